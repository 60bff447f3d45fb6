/* Gradient boosting: trees that a library grows on gradients of ours (learn/trees.h).
 *
 * Newton steps as XGBoost takes them (Chen and Guestrin 2016): logistic loss, cross-entropy of the
 * softmax with hessian 2 p (1 - p), half the squared error. The sum begins at the best constant.
 * Gradients and hessians are rounded to multiples of 2^-24 of a power of two above them all, so
 * that sums of them in double are exact and trees depend on no order of adding; rows are sampled by
 * counters. Losses are added block by block. What comes out are plain trees (nn/layers_trees.h). */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/rng.h"
#include "learn/boost_rows.h"
#include "learn/learn_int.h"
#include "nn/layers_trees.h"

#define LEARNER (&am_learner_gradient_boosting)
#define BLOCK_FLOATS 4096 /* margins worked at once */
#define CLASSES_MAX 4096
#define GRAIN 0x1p-24

static const struct am_learner_key keys[] = {
    AM_KEY("trees", AM_LEARNER_KEY_INT, NULL, 1, 100000, "300",
           "Rounds at most; a round is a tree, or a tree a class."),
    AM_KEY("depth", AM_LEARNER_KEY_INT, NULL, 1, AM_BOOST_DEPTH_MAX, "6",
           "Splits from the root to a leaf at most."),
    AM_KEY("leaves", AM_LEARNER_KEY_INT, NULL, 0, 65536, "0",
           "Leaves of a tree at most, the best split first; 0 = level by level."),
    AM_KEY("learning_rate", AM_LEARNER_KEY_NUMBER, NULL, 1e-6, 1, "0.1",
           "Share of each tree's answer that counts."),
    AM_KEY("lambda", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e9, "1", "L2 penalty on leaf values."),
    AM_KEY("alpha", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e9, "0", "L1 penalty on leaf values."),
    AM_KEY("gamma", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e12, "0",
           "How much a split must lower the loss."),
    AM_KEY("min_child_weight", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e12, "1",
           "Least sum of hessians in a leaf; for numbers: rows."),
    AM_KEY("subsample", AM_LEARNER_KEY_NUMBER, NULL, 0.001, 1, "1",
           "Share of the rows that each round sees."),
    AM_KEY("column_sample", AM_LEARNER_KEY_NUMBER, NULL, 0.001, 1, "1",
           "Share of the features that each tree may split."),
    AM_KEY("bins", AM_LEARNER_KEY_INT, NULL, 2, AM_BOOST_BINS_MAX, "256",
           "Intervals that a feature is cut into."),
    AM_KEY("early_stopping", AM_LEARNER_KEY_INT, NULL, 0, 100000, "20",
           "With validation rows: rounds without a lower loss after which it stops; the best round "
           "is kept. 0 = never."),
    AM_KEY("monotone", AM_LEARNER_KEY_INTS, NULL, -1, 1, NULL,
           "One number a feature: 1 = the answer never falls as it rises, -1 = never rises."),
    AM_KEY("memory", AM_LEARNER_KEY_ENUM, "auto|core|pages", 0, 0, "auto",
           "Where binned rows lie: in memory, or in pages on disk; auto: what fits."),
};

struct boosting {
    const struct am_learn_task *t;
    const struct am_trees_ops *ops;
    struct am_booster *booster; /* owned */
    struct am_boost_feed train, validation;
    size_t n_out;
    float *base;    /* owned, [n_out] */
    double *weight; /* owned, [n_classes]: of classes */
    float *g, *h;   /* owned, [rows, n_out] */
    double *sums;   /* owned, [blocks, 2]: loss and weight */
    const struct am_kernels *kern;
    float unit; /* a power of two, at least every weight */
    bool even;  /* all weights are 1 */
    double subsample;
    size_t rounds, patience, kept; /* kept: rounds of the model */
    struct am_train_result result;
};

/* ---- one pass over the margins ---- */

struct pass {
    struct boosting *b;
    const struct am_boost_feed *rows;
    const float *margins;
    bool train; /* gradients are wanted, too */
    uint64_t round;
    float unit_g, unit_h; /* powers of two, at least every |gradient| and hessian */
    size_t block_rows;
};

static float row_weight(const struct boosting *b, const struct am_boost_feed *f, size_t row)
{
    const float w = am_boost_weight(f, row);
    return b->weight ? (float)((double)w * b->weight[(size_t)f->y[row]]) : w;
}

/* Is the row part of this round? A function of seed, round and row alone. */
static bool sampled(const struct pass *p, size_t row)
{
    uint32_t out[4];
    am_rng_block(p->b->t->seed, AM_RNG_BOOST, p->round << 32 | row / 4, out);
    return (double)out[row % 4] < p->b->subsample * 0x1p32;
}

/* v to a whole multiple of unit * GRAIN: adding 1.5 * 2^52 rounds to whole numbers. */
static inline float grain(float v, float unit)
{
    const double step = (double)unit * GRAIN, round = 0x1.8p52;
    return (float)((((double)v * (1 / step) + round) - round) * step);
}

static inline void put(const struct pass *p, size_t at, size_t row, float g, float h)
{
    struct boosting *b = p->b;
    const bool in = b->subsample >= 1 || sampled(p, row);
    b->g[at] = in ? grain(g, p->unit_g) : 0;
    b->h[at] = in ? grain(h, p->unit_h) : 0;
}

static float at_least(float p)
{
    return p > 1e-12f ? p : 1e-12f;
}

static void add_loss(double *sums, float w, float right)
{
    sums[0] -= (double)w * (double)logf(at_least(right));
    sums[1] += (double)w;
}

/* The loss of n rows of weight 1: one logarithm for each sixteen of them. */
static void add_losses(double *sums, const float *q, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        double product = 1;
        for (size_t k = i; k < n && k < i + 16; k++)
            product *= (double)at_least(y[k] > 0.5f ? q[k] : 1 - q[k]);
        sums[0] -= log(product);
    }
    sums[1] += (double)n;
}

static void binary_rows(const struct pass *p, size_t r0, size_t r1, double *sums)
{
    float q[BLOCK_FLOATS];
    struct boosting *b = p->b;
    const size_t n = r1 - r0;
    b->kern->scale(p->margins + r0, 1, b->base[0], q, n);
    b->kern->act(AM_ACT_SIGMOID, 0, q, q, n);
    if (b->even)
        add_losses(sums, q, p->rows->y + r0, n);
    for (size_t i = 0; i < n; i++) {
        const float w = b->even ? 1 : row_weight(b, p->rows, r0 + i), y = p->rows->y[r0 + i];
        if (!b->even)
            add_loss(sums, w, y > 0.5f ? q[i] : 1 - q[i]);
        if (p->train)
            put(p, r0 + i, r0 + i, (q[i] - y) * w, q[i] * (1 - q[i]) * w);
    }
}

static void class_rows(const struct pass *p, size_t r0, size_t r1, double *sums)
{
    struct boosting *b = p->b;
    const size_t k = b->n_out;
    float q[CLASSES_MAX];
    for (size_t r = r0; r < r1; r++) {
        const size_t own = (size_t)p->rows->y[r];
        for (size_t j = 0; j < k; j++)
            q[j] = p->margins[r * k + j] + b->base[j];
        b->kern->softmax(q, q, 1, k);
        const float w = row_weight(b, p->rows, r);
        add_loss(sums, w, q[own]);
        for (size_t j = 0; p->train && j < k; j++)
            put(p, r * k + j, r, (q[j] - (j == own ? 1.0f : 0.0f)) * w, 2 * q[j] * (1 - q[j]) * w);
    }
}

static void value_rows(const struct pass *p, size_t r0, size_t r1, double *sums)
{
    struct boosting *b = p->b;
    for (size_t r = r0; r < r1; r++) {
        const float w = am_boost_weight(p->rows, r);
        const double off = (double)p->margins[r] + (double)b->base[0] - (double)p->rows->y[r];
        sums[0] += (double)w * off * off;
        sums[1] += (double)w;
        if (p->train) /* rounded when the largest is known */
            b->g[r] = (float)off * w;
    }
}

static void pass_blocks(void *ctx, size_t begin, size_t end)
{
    const struct pass *p = ctx;
    struct boosting *b = p->b;
    for (size_t k = begin; k < end; k++) {
        const size_t r0 = k * p->block_rows, n = (size_t)p->rows->rows.n_rows;
        const size_t r1 = r0 + p->block_rows < n ? r0 + p->block_rows : n;
        double sums[2] = {0, 0};
        if (b->t->task == AM_TASK_REGRESSION)
            value_rows(p, r0, r1, sums);
        else if (b->n_out == 1)
            binary_rows(p, r0, r1, sums);
        else
            class_rows(p, r0, r1, sums);
        b->sums[2 * k] = sums[0];
        b->sums[2 * k + 1] = sums[1];
    }
}

static void round_blocks(void *ctx, size_t begin, size_t end)
{
    const struct pass *p = ctx;
    const size_t n = (size_t)p->rows->rows.n_rows;
    for (size_t r = begin * BLOCK_FLOATS; r < end * BLOCK_FLOATS && r < n; r++)
        put(p, r, r, p->b->g[r], am_boost_weight(p->rows, r));
}

static float power_above(float v)
{
    int e = 0;
    (void)frexpf(v, &e);
    return v > 0 ? ldexpf(1, e) : 1;
}

static float largest(const float *v, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
    return most;
}

static size_t blocks_of(size_t n, size_t block)
{
    return (n + block - 1) / block;
}

/* The loss of the rows under the trees so far; with `train` also gradients and hessians. */
static double run_pass(struct boosting *b, bool train, const float *margins, bool gradients,
                       uint64_t round)
{
    struct pass p = {.b = b,
                     .rows = train ? &b->train : &b->validation,
                     .margins = margins,
                     .train = gradients,
                     .round = round,
                     .unit_g = b->unit,
                     .unit_h = b->unit,
                     .block_rows = b->n_out == 1 ? BLOCK_FLOATS : BLOCK_FLOATS / b->n_out + 1};
    const size_t n = (size_t)p.rows->rows.n_rows, n_blocks = blocks_of(n, p.block_rows);
    double loss = 0, weight = 0;
    am_pool_for(b->t->pool, n_blocks, 1, pass_blocks, &p);
    for (size_t k = 0; k < n_blocks; k++) {
        loss += b->sums[2 * k];
        weight += b->sums[2 * k + 1];
    }
    if (gradients && b->t->task == AM_TASK_REGRESSION) {
        p.unit_g = power_above(largest(b->g, n));
        am_pool_for(b->t->pool, blocks_of(n, BLOCK_FLOATS), 1, round_blocks, &p);
    }
    return weight > 0 ? loss / weight : 0;
}

/* ---- what the sum begins with ---- */

static enum am_rc check_classes(const struct boosting *b, const struct am_boost_feed *f,
                                double *counts, struct am_err *err)
{
    for (size_t i = 0; i < f->seen; i++) {
        if (!(f->y[i] >= 0 && f->y[i] < (float)b->t->n_classes && f->y[i] == truncf(f->y[i])))
            return am_fail(err, AM_EINVAL, "target %g is not a class index from 0 to %zu",
                           (double)f->y[i], b->t->n_classes - 1);
        if (counts)
            counts[(size_t)f->y[i]] += (double)am_boost_weight(f, i);
    }
    for (size_t k = 0; counts && k < b->t->n_classes; k++)
        if (!(counts[k] > 0)) {
            am_fail(err, AM_EINVAL, "class %zu of %zu has no training row", k, b->t->n_classes);
            am_hint(err, "Give the training part at least one row of each class: split stratified, "
                         "or bring more rows.");
            return AM_EINVAL;
        }
    return AM_OK;
}

static enum am_rc class_base(struct boosting *b, struct am_err *err)
{
    const struct am_learn_task *t = b->t;
    const size_t n = t->n_classes;
    struct am_str balanced = AM_STR("");
    double total = 0, sum = 0;
    b->weight = am_calloc(2 * n, sizeof *b->weight);
    if (!b->weight)
        return am_fail_nomem(err, 2 * n * sizeof *b->weight);
    double *counts = b->weight + n;
    AM_TRY(check_classes(b, &b->train, counts, err));
    AM_TRY(check_classes(b, &b->validation, NULL, err));
    for (size_t k = 0; k < n; k++)
        total += counts[k];
    (void)am_node_as_str(am_node_get(t->train_spec, "class_weights"), &balanced);
    for (size_t k = 0; k < n; k++) {
        b->weight[k] = t->class_weights                  ? t->class_weights[k]
                       : am_str_is(balanced, "balanced") ? total / ((double)n * counts[k])
                                                         : 1;
        counts[k] *= b->weight[k];
        sum += counts[k];
    }
    if (!(sum > 0))
        return am_fail(err, AM_EINVAL, "the weights of the training rows sum to %g", sum);
    for (size_t k = 0; k < n; k++) /* a class of weight 0 is as rare as a float can say */
        counts[k] = log(counts[k] / sum > 1e-12 ? counts[k] / sum : 1e-12);
    if (b->n_out == 1)
        b->base[0] = (float)(counts[1] - counts[0]);
    for (size_t k = 0; b->n_out > 1 && k < n; k++)
        b->base[k] = (float)counts[k];
    return AM_OK;
}

static enum am_rc value_base(struct boosting *b, struct am_err *err)
{
    double sum = 0, weight = 0;
    for (size_t i = 0; i < b->train.seen; i++) {
        const double w = (double)am_boost_weight(&b->train, i);
        sum += w * (double)b->train.y[i];
        weight += w;
    }
    if (!(weight > 0))
        return am_fail(err, AM_EINVAL, "the weights of the training rows sum to %g", weight);
    b->base[0] = (float)(sum / weight);
    return AM_OK;
}

static bool all_ones(const struct boosting *b)
{
    for (size_t k = 0; b->weight && k < b->t->n_classes; k++)
        if (b->weight[k] != 1)
            return false;
    return !b->train.w && !b->validation.w;
}

static enum am_rc begin(struct boosting *b, struct am_err *err)
{
    AM_TRY(b->t->task == AM_TASK_REGRESSION ? value_base(b, err) : class_base(b, err));
    float most = b->train.w ? largest(b->train.w, (size_t)b->train.seen) : 1;
    double heaviest = 1;
    for (size_t k = 0; b->weight && k < b->t->n_classes; k++)
        heaviest = b->weight[k] > heaviest ? b->weight[k] : heaviest;
    b->unit = power_above((float)((double)most * heaviest));
    b->even = all_ones(b);
    return AM_OK;
}

/* ---- rounds ---- */

static enum am_rc tell(struct boosting *b, size_t round, double loss, double validation,
                       uint64_t began, struct am_err *err)
{
    const bool watched = b->t->validation != NULL;
    const double monitored = watched ? validation : loss;
    struct am_train_result *r = &b->result;
    const bool better = r->best_epoch == 0 || monitored < r->best_loss;
    if (better) {
        r->best_epoch = round;
        r->best_loss = monitored;
    }
    r->epochs = r->steps = round;
    r->train_loss = loss;
    r->validation_loss = validation;
    const struct am_train_epoch e = {.epoch = round,
                                     .train_loss = loss,
                                     .validation_loss = validation,
                                     .learning_rate = am_key_number(b->t, LEARNER, "learning_rate"),
                                     .seconds = (double)(am_mono_ns() - began) * 1e-9,
                                     .improved = better};
    am_progress_step(b->t->hooks.progress, round, b->rounds, round * b->train.rows.n_rows, loss);
    return b->t->hooks.on_epoch ? b->t->hooks.on_epoch(b->t->hooks.ctx, &e, err) : AM_OK;
}

static enum am_rc boost(struct boosting *b, struct am_err *err)
{
    uint64_t began = am_mono_ns();
    for (size_t round = 0;; round++) {
        const float *margins;
        double validation = (double)NAN;
        const bool last = round == b->rounds;
        if (am_progress_canceled(b->t->hooks.progress))
            return am_fail(err, AM_ECANCELED, "training was canceled");
        AM_TRY(b->ops->margins(b->booster, false, &margins, err));
        const double loss = run_pass(b, true, margins, !last, round);
        if (b->t->validation && round > 0) {
            AM_TRY(b->ops->margins(b->booster, true, &margins, err));
            validation = run_pass(b, false, margins, false, round);
        }
        if (round > 0)
            AM_TRY(tell(b, round, loss, validation, began, err));
        began = am_mono_ns();
        b->result.stopped_early = !last && b->patience > 0 && b->t->validation &&
                                  round - b->result.best_epoch >= b->patience;
        if (last || b->result.stopped_early)
            break;
        AM_TRY(b->ops->grow(b->booster, b->g, b->h, err));
    }
    b->kept = b->result.epochs;
    if (b->t->validation && b->patience > 0) {
        b->kept = b->result.best_epoch;
        b->result.restored_best = b->kept < b->result.epochs;
    }
    return AM_OK;
}

/* ---- the model ---- */

struct taking {
    const struct boosting *b;
    struct am_trees *trees;
};

static enum am_rc take(void *ctx, size_t round, size_t output, const struct am_boost_tree *tree,
                       struct am_err *err)
{
    const struct taking *k = ctx;
    if (round >= k->b->kept)
        return AM_OK;
    if (am_trees_count(k->trees) != round * k->b->n_out + output)
        return am_fail(err, AM_ECORRUPT, "tree %zu of round %zu is out of order", output, round);
    const struct am_tree t = {.n_nodes = tree->n_nodes,
                              .feature = tree->feature,
                              .threshold = tree->threshold,
                              .left = tree->left,
                              .right = tree->right,
                              .missing_left = tree->missing_left,
                              .value = tree->value};
    return am_trees_add(k->trees, &t, err);
}

static enum am_rc make_graph(const struct boosting *b, const struct am_trees *trees,
                             struct am_learned *out, struct am_err *err)
{
    AM_TRY(am_graph_new(&out->graph, err));
    struct am_graph *g = out->graph;
    const am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, (int64_t)b->t->n_features));
    am_value y = am_layer_trees(g, x, trees, "trees");
    if (b->t->task != AM_TASK_REGRESSION)
        y = am_layer_activation(g, y, b->n_out > 1 ? AM_ACT_SOFTMAX : AM_ACT_SIGMOID, 0);
    am_graph_output(g, "y", y);
    AM_TRY(am_graph_check(g, err));
    AM_TRY(am_params_new(g, &out->params, err));
    return am_trees_fill(trees, out->params, "trees", err);
}

static enum am_rc finish(struct boosting *b, struct am_learned *out, struct am_arena *a,
                         struct am_err *err)
{
    struct am_trees trees;
    struct taking k = {b, &trees};
    enum am_rc rc =
        am_trees_init(&trees, b->t->n_features, b->n_out, 1, AM_TREES_SUM, b->base, err);
    trees.zero_missing = b->train.rows.sparse;
    if (rc == AM_OK)
        rc = b->ops->trees(b->booster, take, &k, err);
    if (rc == AM_OK && am_trees_count(&trees) != b->kept * b->n_out)
        rc = am_fail(err, AM_ECORRUPT, "%zu trees came back, not %zu", am_trees_count(&trees),
                     b->kept * b->n_out);
    if (rc == AM_OK)
        rc = make_graph(b, &trees, out, err);
    if (rc == AM_OK) {
        out->kind = b->t->task == AM_TASK_REGRESSION ? AM_LEARNED_VALUE : AM_LEARNED_PROBABILITY;
        out->training = b->result;
        am_learn_info(b->t, out, a, LEARNER->name, b->ops->version());
        am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)b->result.epochs));
        am_node_set(a, out->info, "trees", am_new_i64(a, (int64_t)am_trees_count(&trees)));
        am_node_set(a, out->info, "nodes", am_new_i64(a, (int64_t)trees.value.len));
        am_node_set(a, out->info, "converged", am_new_bool(a, b->result.stopped_early));
    }
    am_trees_clear(&trees);
    return rc;
}

/* ---- the learner ---- */

static enum am_rc room(struct boosting *b, struct am_err *err)
{
    const size_t n = (size_t)b->t->train->n_rows,
                 n_validation = b->t->validation ? (size_t)b->t->validation->n_rows : 0,
                 most = n > n_validation ? n : n_validation,
                 block = b->n_out == 1 ? BLOCK_FLOATS : BLOCK_FLOATS / b->n_out + 1;
    size_t floats;
    if (!am_mul_size(&floats, n, b->n_out))
        return am_fail_nomem(err, n);
    b->base = am_calloc(b->n_out, sizeof *b->base);
    b->g = am_alloc_array(floats, sizeof *b->g);
    b->h = am_alloc_array(floats, sizeof *b->h);
    b->sums = am_alloc_array(2 * blocks_of(most, block), sizeof *b->sums);
    return b->base && b->g && b->h && b->sums ? AM_OK
                                              : am_fail_nomem(err, 2 * floats * sizeof(float));
}

/* Bytes in memory when bins lie there: a byte a number; rows' places, margins and gradients. */
static double core_bytes(const struct boosting *b)
{
    const double rows =
        (double)b->t->train->n_rows + (b->t->validation ? (double)b->t->validation->n_rows : 0);
    return rows * ((double)b->t->n_features + 24 + 28 * (double)b->n_out);
}

static enum am_rc make_booster(struct boosting *b, struct am_err *err)
{
    const struct am_learn_task *t = b->t;
    const struct am_str memory = am_key_text(t, LEARNER, "memory");
    const bool pages =
        am_str_is(memory, "pages") || (am_str_is(memory, "auto") && t->memory_bytes > 0 &&
                                       core_bytes(b) > (double)t->memory_bytes);
    const struct am_node *signs = am_node_get(t->model, "monotone");
    int8_t *monotone = NULL;
    if (signs && signs->kind == AM_NODE_LIST) {
        monotone = am_calloc(t->n_features, sizeof *monotone);
        if (!monotone)
            return am_fail_nomem(err, t->n_features);
        for (size_t j = 0; j < t->n_features; j++) {
            int64_t v = 0;
            (void)am_node_as_i64(signs->list.items[j], &v);
            monotone[j] = (int8_t)v;
        }
    }
    const struct am_boost_config c = {
        .n_outputs = b->n_out,
        .depth = (unsigned)am_key_number(t, LEARNER, "depth"),
        .leaves = (unsigned)am_key_number(t, LEARNER, "leaves"),
        .bins = (unsigned)am_key_number(t, LEARNER, "bins"),
        .learning_rate = am_key_number(t, LEARNER, "learning_rate"),
        .lambda = am_key_number(t, LEARNER, "lambda"),
        .alpha = am_key_number(t, LEARNER, "alpha"),
        .gamma = am_key_number(t, LEARNER, "gamma"),
        .min_child_weight = am_key_number(t, LEARNER, "min_child_weight"),
        .column_sample = am_key_number(t, LEARNER, "column_sample"),
        .monotone = monotone,
        .seed = t->seed,
        .n_threads = t->pool ? am_pool_size(t->pool) : 1,
        .page_dir = pages ? (t->temp_dir ? t->temp_dir : "/tmp") : NULL};
    const enum am_rc rc = b->ops->make(
        &c, &b->train.rows, t->validation ? &b->validation.rows : NULL, &b->booster, err);
    am_free(monotone);
    return rc;
}

static enum am_rc fit_all(struct boosting *b, struct am_learned *out, struct am_arena *a,
                          struct am_err *err)
{
    const struct am_learn_task *t = b->t;
    struct am_progress *progress = t->hooks.progress;
    AM_TRY(am_trees_port(&b->ops, err));
    AM_TRY(room(b, err));
    AM_TRY(am_boost_feed_init(&b->train, t->train, progress, err));
    if (t->validation)
        AM_TRY(am_boost_feed_init(&b->validation, t->validation, progress, err));
    am_progress_begin(progress, "bins", t->train->n_rows);
    enum am_rc rc = make_booster(b, err);
    am_progress_end(progress);
    AM_TRY(rc);
    if (b->train.seen != t->train->n_rows ||
        (t->validation && b->validation.seen != t->validation->n_rows))
        return am_fail(err, AM_EIO, "%s has not read all rows", b->ops->name);
    AM_TRY(begin(b, err));
    am_progress_begin(progress, "train", b->rounds);
    rc = boost(b, err);
    am_progress_end(progress);
    return rc == AM_OK ? finish(b, out, a, err) : rc;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    struct boosting b = {.t = t,
                         .n_out = am_learn_n_outputs(t),
                         .kern = am_kernels_best(),
                         .subsample = am_key_number(t, LEARNER, "subsample"),
                         .rounds = (size_t)am_key_number(t, LEARNER, "trees"),
                         .patience = (size_t)am_key_number(t, LEARNER, "early_stopping")};
    const enum am_rc rc = fit_all(&b, out, a, err);
    if (b.booster)
        b.ops->drop(b.booster);
    am_boost_feed_clear(&b.train);
    am_boost_feed_clear(&b.validation);
    am_free(b.base);
    am_free(b.weight);
    am_free(b.g);
    am_free(b.h);
    am_free(b.sums);
    return rc;
}

static enum am_rc check(const struct am_learn_task *t, struct am_err *err)
{
    const struct am_node *signs = am_node_get(t->model, "monotone");
    char where[AM_WHERE_CHARS];
    if (t->n_classes > CLASSES_MAX) {
        am_fail(err, AM_EUSAGE,
                "model type \"gradient_boosting\" grows a tree a class each round: %zu classes are "
                "too many",
                t->n_classes);
        am_hint(err, "It takes at most %d; use logistic, mlp or random_forest.", CLASSES_MAX);
        return AM_EUSAGE;
    }
    if (signs && signs->kind == AM_NODE_LIST && t->n_features > 0 &&
        signs->list.n != t->n_features) {
        am_fail(err, AM_EUSAGE, "%smodel.monotone has %zu numbers, but there are %zu features",
                am_key_where(signs, where), signs->list.n, t->n_features);
        am_hint(err, "Give one number a feature, in their order: aimass plan shows it.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

const struct am_learner_ops am_learner_gradient_boosting = {
    .name = "gradient_boosting",
    .doc = "Gradient-boosted trees, grown by XGBoost; missing values need no filling.",
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING,
    .sparse = true,
    .check = check,
    .fit = fit,
};
