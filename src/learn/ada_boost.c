/* `ada_boost`: small trees, each grown on what those before got wrong. Classes by SAMME (Zhu et al.
 * 2009), numbers by R2 (Drucker 1997), both as scikit-learn words them.
 *
 * Votes of classes are leaves of one set of trees; numbers are the weighted median of the trees, so
 * the trees stay apart as columns. y of classes is a softmax of votes: it ranks, but is no
 * probability. Rounds follow one another; the pool helps inside of large nodes. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/forest.h"
#include "learn/presets.h"
#include "nn/layers_median.h"

static const struct am_learner_key keys[] = {
    AM_KEY("trees", AM_LEARNER_KEY_INT, NULL, 1, 10000, "50", "Rounds, a tree each, at most."),
    AM_KEY("learning_rate", AM_TREE_NUMBER, NULL, 1e-6, 1000, "1",
           "Weight of a round; smaller needs more rounds."),
    AM_KEY("loss", AM_LEARNER_KEY_ENUM, "linear|square|exponential", 0, 0, "linear",
           "Of numbers: how an error counts for the next round's rows."),
    AM_TREE_KEYS(NULL, "all"),
};

struct boost {
    const struct am_learn_task *t;
    const struct am_tree_data *data;
    struct am_tree_grower *grower;
    struct am_trees trees;
    size_t n_rounds;
    double rate;
    struct am_str loss;
    double *w;              /* owned, [n_rows]: sum to 1 */
    double *error;          /* owned, [n_rows]: of the running round */
    double *sum;            /* owned, [n_rows]: weights summed up (R2) */
    double *alpha, *errors; /* owned, [n_rounds] */
    size_t n;               /* rounds kept */
    double *importance;     /* owned, [n_features] */
    bool done;
};

static void boost_clear(struct boost *b)
{
    am_tree_grower_free(b->grower);
    am_trees_clear(&b->trees);
    am_free(b->w);
    am_free(b->error);
    am_free(b->sum);
    am_free(b->alpha);
    am_free(b->errors);
    am_free(b->importance);
}

static enum am_rc boost_alloc(struct boost *b, struct am_err *err)
{
    const size_t n = b->data->n_rows;
    double total = 0;
    b->w = am_alloc_array(n, sizeof *b->w);
    b->error = am_alloc_array(n, sizeof *b->error);
    b->sum = am_alloc_array(n, sizeof *b->sum);
    b->alpha = am_calloc(b->n_rounds, sizeof *b->alpha);
    b->errors = am_calloc(b->n_rounds, sizeof *b->errors);
    b->importance = am_calloc(b->data->n_features, sizeof *b->importance);
    if (!b->w || !b->error || !b->sum || !b->alpha || !b->errors || !b->importance)
        return am_fail_nomem(err, n * sizeof *b->w);
    for (size_t i = 0; i < n; i++)
        total += b->data->weight[i];
    for (size_t i = 0; i < n; i++)
        b->w[i] = b->data->weight[i] / total;
    return AM_OK;
}

/* Weights sum to 1 again. */
static enum am_rc normalise(struct boost *b, struct am_err *err)
{
    double total = 0;
    for (size_t i = 0; i < b->data->n_rows; i++)
        total += b->w[i];
    if (!(total > 0 && isfinite(total))) {
        am_fail(err, AM_EINVAL, "the weights of the rows sum to %g after round %zu", total, b->n);
        am_hint(err, "Use a smaller model.learning_rate.");
        return AM_EINVAL;
    }
    for (size_t i = 0; i < b->data->n_rows; i++)
        b->w[i] /= total;
    return AM_OK;
}

static enum am_rc grow(struct boost *b, size_t n, struct am_grown_tree *tree, struct am_err *err)
{
    struct am_rng rng;
    am_forest_rng(&rng, b->t->seed, AM_FOREST_SPLITS, b->n);
    return am_tree_grow(b->grower, n, &rng, b->t->hooks.progress, tree, err);
}

/* ---- classes: SAMME ---- */

static size_t class_of(const struct am_grown_tree *tree, size_t node)
{
    const double *v = tree->value.ptr + node * tree->n_value;
    size_t best = 0;
    for (size_t k = 1; k < tree->n_value; k++)
        best = v[k] > v[best] ? k : best;
    return best;
}

static size_t take_weighted(struct boost *b)
{
    const struct am_tree_data *d = b->data;
    struct am_tree_sample *s = am_tree_grower_samples(b->grower);
    size_t n = 0;
    for (size_t i = 0; i < d->n_rows; i++)
        if (d->weight[i] > 0) {
            b->w[i] = b->w[i] > DBL_EPSILON ? b->w[i] : DBL_EPSILON;
            s[n++] = (struct am_tree_sample){(uint32_t)i, d->y[i], b->w[i]};
        }
    return n;
}

/* A tree whose leaves vote for their class with weight alpha. */
static enum am_rc add_votes(struct boost *b, const struct am_grown_tree *tree, double alpha,
                            struct am_err *err)
{
    const size_t n = tree->nodes.len, w = b->trees.leaf_width;
    float *values = am_calloc(n * w, sizeof *values);
    if (!values)
        return am_fail_nomem(err, n * w * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        const size_t k = class_of(tree, i);
        if (w == 1)
            values[i] = (float)(k ? alpha : -alpha);
        else
            values[i * w + k] = (float)alpha;
    }
    const enum am_rc rc = am_trees_add_grown(&b->trees, tree, values, err);
    am_free(values);
    return rc;
}

static enum am_rc keep(struct boost *b, const struct am_grown_tree *tree, double alpha,
                       double error)
{
    b->alpha[b->n] = alpha;
    b->errors[b->n++] = error;
    for (size_t k = 0; k < b->data->n_features; k++)
        b->importance[k] += alpha * tree->importance[k];
    return AM_OK;
}

static enum am_rc samme_round(struct boost *b, const struct am_grown_tree *tree, struct am_err *err)
{
    const struct am_tree_data *d = b->data;
    const double classes = (double)d->n_classes;
    double wrong = 0, total = 0, alpha;
    for (size_t i = 0; i < d->n_rows; i++) {
        if (!(d->weight[i] > 0))
            continue;
        b->error[i] = class_of(tree, am_grown_tree_leaf(tree, d, i)) != (size_t)d->y[i];
        wrong += b->w[i] * b->error[i];
        total += b->w[i];
    }
    wrong /= total;
    b->done = wrong <= 0 || wrong >= 1 - 1 / classes;
    if (wrong >= 1 - 1 / classes) {
        if (b->n > 0)
            return AM_OK;
        am_fail(err, AM_EINVAL,
                "the first tree is wrong for %.3g of the rows, no better than chance", wrong);
        am_hint(err, "Let trees be larger: model.max_depth.");
        return AM_EINVAL;
    }
    alpha = wrong <= 0 ? 1 : b->rate * (log((1 - wrong) / wrong) + log(classes - 1));
    AM_TRY(add_votes(b, tree, alpha, err));
    AM_TRY(keep(b, tree, alpha, wrong));
    for (size_t i = 0; i < d->n_rows; i++)
        if (d->weight[i] > 0 && b->error[i] > 0)
            b->w[i] *= exp(alpha);
    return normalise(b, err);
}

/* ---- numbers: R2 ---- */

/* As many rows as there are, drawn by weight. */
static size_t take_drawn(struct boost *b)
{
    const struct am_tree_data *d = b->data;
    struct am_tree_sample *s = am_tree_grower_samples(b->grower);
    struct am_rng rng;
    double total = 0;
    size_t n = 0;
    for (size_t i = 0; i < d->n_rows; i++) {
        total += b->w[i];
        b->sum[i] = total;
        b->error[i] = 0;
    }
    am_forest_rng(&rng, b->t->seed, AM_FOREST_ROWS, b->n);
    for (size_t i = 0; i < d->n_rows; i++) {
        const double u = am_rng_unit(&rng) * total;
        size_t lo = 0, hi = d->n_rows - 1;
        while (lo < hi) {
            const size_t mid = lo + (hi - lo) / 2;
            if (b->sum[mid] > u)
                hi = mid;
            else
                lo = mid + 1;
        }
        b->error[lo]++;
    }
    for (size_t i = 0; i < d->n_rows; i++)
        if (b->error[i] > 0)
            s[n++] = (struct am_tree_sample){(uint32_t)i, d->y[i], b->error[i]};
    return n;
}

static double loss_of(const struct boost *b, double e)
{
    return am_str_is(b->loss, "square")        ? e * e
           : am_str_is(b->loss, "exponential") ? 1 - exp(-e)
                                               : e;
}

static enum am_rc r2_round(struct boost *b, const struct am_grown_tree *tree, struct am_err *err)
{
    const struct am_tree_data *d = b->data;
    double most = 0, loss = 0, beta, alpha;
    for (size_t i = 0; i < d->n_rows; i++) {
        b->error[i] = fabs(tree->value.ptr[am_grown_tree_leaf(tree, d, i)] - (double)d->y[i]);
        most = b->w[i] > 0 && b->error[i] > most ? b->error[i] : most;
    }
    for (size_t i = 0; i < d->n_rows; i++) {
        b->error[i] = loss_of(b, most > 0 ? b->error[i] / most : 0);
        loss += b->w[i] > 0 ? b->w[i] * b->error[i] : 0;
    }
    b->done = loss <= 0 || loss >= 0.5;
    if (loss >= 0.5 && b->n > 0)
        return AM_OK;
    beta = loss / (1 - loss);
    alpha = loss <= 0 || loss >= 0.5 ? 1 : b->rate * log(1 / beta);
    AM_TRY(am_trees_add_grown(&b->trees, tree, NULL, err));
    AM_TRY(keep(b, tree, alpha, loss));
    if (b->done)
        return AM_OK;
    for (size_t i = 0; i < d->n_rows; i++)
        if (b->w[i] > 0)
            b->w[i] *= pow(beta, (1 - b->error[i]) * b->rate);
    return normalise(b, err);
}

/* ---- rounds ---- */

static enum am_rc run(struct boost *b, struct am_err *err)
{
    struct am_progress *progress = b->t->hooks.progress;
    am_progress_begin(progress, "train", b->n_rounds);
    for (size_t r = 0; r < b->n_rounds && !b->done; r++) {
        struct am_grown_tree tree;
        const bool classes = b->data->n_classes > 0;
        AM_TRY(grow(b, classes ? take_weighted(b) : take_drawn(b), &tree, err));
        const enum am_rc rc = classes ? samme_round(b, &tree, err) : r2_round(b, &tree, err);
        am_grown_tree_clear(&tree);
        if (rc != AM_OK)
            return rc;
        am_progress_step(progress, r + 1, b->n_rounds, (r + 1) * b->data->n_rows,
                         b->n ? b->errors[b->n - 1] : (double)NAN);
    }
    am_progress_end(progress);
    return AM_OK;
}

/* R2: as many columns as rounds turned out to be kept. */
static enum am_rc spread(struct boost *b, struct am_err *err)
{
    if (b->data->n_classes)
        return AM_OK;
    b->trees.n_out = b->n;
    b->trees.base.len = 0;
    if (!am_vec_reserve(&b->trees.base, b->n))
        return am_fail_nomem(err, b->n * sizeof(float));
    for (size_t i = 0; i < b->n; i++)
        b->trees.base.ptr[i] = 0;
    b->trees.base.len = b->n;
    return AM_OK;
}

static am_value answer(const struct boost *b, struct am_graph *g, am_value y)
{
    double sum = 0;
    const double k = (double)b->data->n_classes;
    for (size_t i = 0; i < b->n; i++)
        sum += b->alpha[i];
    if (b->data->n_classes == 0)
        return b->n == 1 ? y : am_layer_weighted_median(g, y, "median");
    if (b->data->n_classes == 2)
        return am_layer_activation(g, am_layer_scale(g, y, (float)(1 / sum), 0), AM_ACT_SIGMOID, 0);
    return am_layer_activation(g, am_layer_scale(g, y, (float)(1 / sum / (k - 1)), 0),
                               AM_ACT_SOFTMAX, 0);
}

static struct am_node *numbers(struct am_arena *a, const double *v, size_t n)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++)
        am_node_push(a, list, am_new_f64(a, v[i]));
    return list;
}

static enum am_rc finish(struct boost *b, struct am_learned *out, struct am_arena *a,
                         struct am_err *err)
{
    const struct am_param *weights;
    am_value x, y;
    AM_TRY(spread(b, err));
    AM_TRY(am_trees_share_leaves(&b->trees, err));
    AM_TRY(am_forest_graph(b->t, &b->trees, &out->graph, &x, &y, err));
    y = answer(b, out->graph, y);
    AM_TRY(am_forest_finish(b->t, &b->trees, y, out, a, "ada_boost",
                            b->data->n_classes ? "SAMME" : "R2", err));
    weights = am_params_find(out->params, AM_STR("median.weight"));
    for (size_t i = 0; weights && i < b->n; i++)
        out->params->data[weights->offset + i] = (float)b->alpha[i];
    am_forest_importance(a, out->info, b->importance, b->data->n_features);
    am_node_set(a, out->info, "tree_weights", numbers(a, b->alpha, b->n));
    am_node_set(a, out->info, "tree_errors", numbers(a, b->errors, b->n));
    out->kind = b->data->n_classes ? AM_LEARNED_SCORE : AM_LEARNED_VALUE;
    return AM_OK;
}

static enum am_rc fit_ada_boost(const struct am_learn_task *t, struct am_learned *out,
                                struct am_arena *a, struct am_err *err)
{
    const struct am_learner_ops *ops = &am_learner_ada_boost;
    const struct am_tree_load load = {.bins = (size_t)am_key_number(t, ops, "bins"),
                                      .n_at_once = t->pool ? am_pool_size(t->pool) : 1,
                                      .learner = ops->name};
    struct boost b = {.t = t,
                      .n_rounds = (size_t)am_key_number(t, ops, "trees"),
                      .rate = am_key_number(t, ops, "learning_rate"),
                      .loss = am_key_text(t, ops, "loss")};
    struct am_tree_data *data = NULL;
    struct am_tree_options o;
    enum am_rc rc;
    am_tree_options_read(t, ops, &o);
    if (!am_key_given(t, "max_depth"))
        o.max_depth = am_task_has_classes(t->task) ? 1 : 3;
    AM_GO(rc, am_tree_data_new(t, &load, &data, err));
    b.data = data;
    AM_GO(rc, am_tree_targets(data, &o, err));
    AM_GO(rc, am_trees_init(&b.trees, t->n_features, am_learn_n_outputs(t), am_learn_n_outputs(t),
                            AM_TREES_SUM, NULL, err));
    AM_GO(rc, boost_alloc(&b, err));
    AM_GO(rc, am_tree_grower_new(data, &o, data->n_rows, t->pool, &b.grower, err));
    AM_GO(rc, run(&b, err));
    rc = finish(&b, out, a, err);
out:
    boost_clear(&b);
    am_tree_data_free(data);
    return rc;
}

static enum am_rc check_ada_boost(const struct am_learn_task *t, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    if (am_task_has_classes(t->task) && am_key_given(t, "loss")) {
        am_fail(err, AM_EUSAGE, "%smodel.loss is set, but the target has classes",
                am_key_where(am_node_get(t->model, "loss"), where));
        am_hint(err, "Leave it out: it belongs to numbers.");
        return AM_EUSAGE;
    }
    return am_tree_check(t, &am_learner_ada_boost, err);
}

const struct am_learner_ops am_learner_ada_boost = {
    .name = "ada_boost",
    .doc = "Small trees, each grown on what those before got wrong (SAMME; R2 for numbers).",
    .tasks = AM_ALL_TASKS,
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check_ada_boost,
    .fit = fit_ada_boost,
};
