/* Learners of our own trees: decision_tree, random_forest, extra_trees.
 *
 * Trees of a forest are grown side by side, one thread a tree; each draws its rows and features
 * from counters of its own, and trees are added in order, so no bit depends on the threads. A
 * forest's answer is the mean of its leaves (scikit-learn's); out-of-bag rows measure it. */
#include "learn/forest.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/presets.h"

/* ---- keys ---- */

static const struct am_learner_key tree_keys[] = {
    AM_TREE_KEYS(NULL, "all"),
    AM_KEY("splitter", AM_LEARNER_KEY_ENUM, "best|random", 0, 0, "best",
           "The best threshold of a feature, or a random one."),
};

#define FOREST_KEYS(bootstrap)                                                                     \
    AM_KEY("trees", AM_LEARNER_KEY_INT, NULL, 1, 100000, "100", "Number of trees."),               \
        AM_TREE_KEYS(NULL, "auto"),                                                                \
        AM_KEY("bootstrap", AM_LEARNER_KEY_BOOL, NULL, 0, 0, bootstrap,                            \
               "Each tree draws its rows with replacement; the others measure it."),               \
        AM_KEY(                                                                                    \
            "max_samples", AM_TREE_NUMBER, NULL, 1e-6, 1e9, NULL,                                  \
            "Rows drawn for a tree: a share below 1, else a count; left out = as many as there "   \
            "are.")

static const struct am_learner_key forest_keys[] = {FOREST_KEYS("true")};
static const struct am_learner_key extra_keys[] = {FOREST_KEYS("false")};

static enum am_tree_criterion criterion_of(const struct am_learn_task *t,
                                           const struct am_learner_ops *ops)
{
    struct am_str s = am_key_text(t, ops, "criterion");
    if (am_str_is(s, "entropy") || am_str_is(s, "log_loss"))
        return AM_TREE_ENTROPY;
    if (am_str_is(s, "squared"))
        return AM_TREE_SQUARED;
    if (am_str_is(s, "absolute"))
        return AM_TREE_ABSOLUTE;
    if (am_str_is(s, "poisson"))
        return AM_TREE_POISSON;
    if (am_str_is(s, "gini") || am_task_has_classes(t->task))
        return AM_TREE_GINI;
    return AM_TREE_SQUARED;
}

enum am_rc am_tree_check(const struct am_learn_task *t, const struct am_learner_ops *ops,
                         struct am_err *err)
{
    const bool classes = am_task_has_classes(t->task),
               of_classes = criterion_of(t, ops) <= AM_TREE_ENTROPY;
    const struct am_node *n = am_node_get(t->model, "criterion");
    struct am_str s = am_key_text(t, ops, "criterion");
    char where[AM_WHERE_CHARS];
    if (classes != of_classes) {
        am_fail(err, AM_EUSAGE, "%smodel.criterion %.*s does not fit the target",
                am_key_where(n, where), AM_FMT(s));
        am_hint(err, "%s",
                classes ? am_tr("For classes it is gini, entropy or log_loss.")
                        : am_tr("For numbers it is squared, absolute or poisson."));
        return AM_EUSAGE;
    }
    n = am_node_get(t->model, "max_samples");
    if (am_key_given(t, "max_samples") && !am_key_bool(t, ops, "bootstrap")) {
        am_fail(err, AM_EUSAGE, "%smodel.max_samples is set, but model.bootstrap is false",
                am_key_where(n, where));
        am_hint(err, "Set bootstrap: true, or remove max_samples.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static size_t share_or_count(double v, size_t of)
{
    const double n = v < 1 ? v * (double)of : v;
    return n < 1 ? 1 : n < (double)of ? (size_t)n : of;
}

static size_t max_features(const struct am_learn_task *t, const struct am_learner_ops *ops)
{
    const size_t f = t->n_features;
    struct am_str s = am_key_text(t, ops, "max_features");
    double v;
    if (am_node_as_f64(am_node_get(t->model, "max_features"), &v))
        return share_or_count(v, f);
    if (am_str_is(s, "sqrt") || (am_str_is(s, "auto") && am_task_has_classes(t->task)))
        return share_or_count(floor(sqrt((double)f)), f);
    if (am_str_is(s, "log2"))
        return share_or_count(fmax(1, floor(log2((double)f))), f);
    return f;
}

void am_tree_options_read(const struct am_learn_task *t, const struct am_learner_ops *ops,
                          struct am_tree_options *o)
{
    *o = (struct am_tree_options){.criterion = criterion_of(t, ops),
                                  .splitter = am_str_is(am_key_text(t, ops, "splitter"), "random")
                                                  ? AM_TREE_RANDOM
                                                  : AM_TREE_BEST,
                                  .max_depth = (size_t)am_key_number(t, ops, "max_depth"),
                                  .min_split = (size_t)am_key_number(t, ops, "min_samples_split"),
                                  .min_leaf = (size_t)am_key_number(t, ops, "min_samples_leaf"),
                                  .max_features = max_features(t, ops),
                                  .max_leaves = (size_t)am_key_number(t, ops, "max_leaves"),
                                  .min_decrease = am_key_number(t, ops, "min_impurity_decrease"),
                                  .ccp_alpha = am_key_number(t, ops, "ccp_alpha")};
}

enum am_rc am_tree_targets(const struct am_tree_data *d, const struct am_tree_options *o,
                           struct am_err *err)
{
    double sum = 0;
    if (o->criterion != AM_TREE_POISSON)
        return AM_OK;
    for (size_t i = 0; i < d->n_rows; i++) {
        sum += (double)d->y[i];
        if (d->y[i] < 0) {
            am_fail(err, AM_EINVAL, "model.criterion is poisson, but the target of row %zu is %g",
                    i + 1, (double)d->y[i]);
            am_hint(err, "Poisson needs targets of 0 and above; use squared or absolute.");
            return AM_EINVAL;
        }
    }
    if (!(sum > 0)) {
        am_fail(err, AM_EINVAL, "model.criterion is poisson, but all targets are 0");
        am_hint(err, "Use squared or absolute.");
        return AM_EINVAL;
    }
    return AM_OK;
}

/* ---- graphs of trees ---- */

enum am_rc am_forest_trees_init(const struct am_learn_task *t, struct am_trees *trees,
                                struct am_err *err)
{
    const size_t k = am_learn_n_outputs(t);
    return am_trees_init(trees, t->n_features, k, k, AM_TREES_MEAN, NULL, err);
}

enum am_rc am_forest_graph(const struct am_learn_task *t, const struct am_trees *trees,
                           struct am_graph **g, am_value *x, am_value *y, struct am_err *err)
{
    AM_TRY(am_graph_new(g, err));
    *x = am_graph_input(*g, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    *y = am_layer_trees(*g, *x, trees, "trees");
    return am_graph_check(*g, err);
}

/* Depth of the deepest leaf; parents come before children. */
static enum am_rc depth_of(const struct am_trees *trees, size_t *out, struct am_err *err)
{
    size_t most = 0, first = 0;
    *out = 0;
    for (size_t i = 0; i < am_trees_count(trees); i++)
        most = (size_t)trees->size.ptr[i] > most ? (size_t)trees->size.ptr[i] : most;
    uint32_t *depth = am_alloc_array(most + 1, sizeof *depth);
    if (!depth)
        return am_fail_nomem(err, most * sizeof *depth);
    for (size_t i = 0; i < am_trees_count(trees); i++) {
        const size_t n = (size_t)trees->size.ptr[i];
        depth[0] = 0;
        for (size_t j = 0; j < n; j++) {
            const size_t child = (size_t)trees->child.ptr[first + j];
            *out = depth[j] > *out ? depth[j] : *out;
            if (child)
                depth[child] = depth[child + 1] = depth[j] + 1;
        }
        first += n;
    }
    am_free(depth);
    return AM_OK;
}

enum am_rc am_forest_finish(const struct am_learn_task *t, const struct am_trees *trees, am_value y,
                            struct am_learned *out, struct am_arena *a, const char *name,
                            const char *solver, struct am_err *err)
{
    size_t depth, leaves = 0;
    am_graph_output(out->graph, "y", y);
    AM_TRY(am_params_new(out->graph, &out->params, err));
    AM_TRY(am_trees_fill(trees, out->params, "trees", err));
    AM_TRY(depth_of(trees, &depth, err));
    for (size_t i = 0; i < trees->child.len; i++)
        leaves += trees->child.ptr[i] == 0;
    am_learn_info(t, out, a, name, solver);
    am_node_set(a, out->info, "trees", am_new_i64(a, (int64_t)am_trees_count(trees)));
    am_node_set(a, out->info, "depth", am_new_i64(a, (int64_t)depth));
    am_node_set(a, out->info, "leaves", am_new_i64(a, (int64_t)leaves));
    am_node_set(a, out->info, "nodes", am_new_i64(a, (int64_t)trees->child.len));
    if (trees->leaf_width > 1)
        am_node_set(a, out->info, "leaf_rows",
                    am_new_i64(a, (int64_t)(trees->leaf.len / trees->leaf_width)));
    am_node_set(a, out->info, "bytes", am_new_i64(a, (int64_t)am_params_bytes(out->params)));
    return AM_OK;
}

void am_forest_importance(struct am_arena *a, struct am_node *info, const double *importance,
                          size_t n)
{
    struct am_node *list = am_new_list(a);
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += importance[k];
    for (size_t k = 0; k < n; k++)
        am_node_push(a, list, am_new_f64(a, sum > 0 ? importance[k] / sum : 0));
    am_node_set(a, info, "importance", list);
}

void am_forest_rng(struct am_rng *r, uint64_t seed, enum am_forest_draws what, uint64_t number)
{
    const uint64_t stream = what == AM_FOREST_ROWS ? AM_RNG_BOOTSTRAP : AM_RNG_TREES;
    am_rng_init(r, seed, stream | (number + 1) << 16);
}

/* ---- growing many ---- */

struct forest {
    const struct am_learn_task *t;
    const struct am_learner_ops *ops;
    struct am_tree_options o;
    const struct am_tree_data *data;
    size_t n_trees, n_draws; /* rows drawn for a tree; 0 = no bootstrap */
    /* workers: a thread takes one for a tree */
    size_t n_workers;
    struct am_tree_grower **grower; /* owned, [n_workers] */
    uint32_t **times;               /* owned, [n_workers][n_rows], bootstrap only */
    atomic_flag *busy;              /* owned, [n_workers] */
    /* the trees of a wave */
    size_t first, wave;
    struct am_grown_tree *grown; /* owned, [wave] */
    uint8_t **bag;               /* owned, [wave][n_rows / 8 + 1]: bit = the row was drawn */
    struct am_err *errs;         /* owned, [wave] */
    /* out of bag */
    double *votes; /* owned, [n_rows, n_value] */
    uint32_t *n_votes;
    double *importance; /* owned, [n_features] */
};

static void forest_clear(struct forest *f)
{
    for (size_t i = 0; i < f->n_workers; i++) {
        if (f->grower)
            am_tree_grower_free(f->grower[i]);
        if (f->times)
            am_free(f->times[i]);
    }
    for (size_t i = 0; i < f->wave; i++) {
        if (f->grown)
            am_grown_tree_clear(&f->grown[i]);
        if (f->bag)
            am_free(f->bag[i]);
    }
    am_free(f->grower);
    am_free(f->times);
    am_free(f->busy);
    am_free(f->grown);
    am_free(f->bag);
    am_free(f->errs);
    am_free(f->votes);
    am_free(f->n_votes);
    am_free(f->importance);
}

static size_t n_workers(const struct am_learn_task *t, size_t n_trees)
{
    const size_t n = t->pool ? am_pool_size(t->pool) : 1;
    return n < n_trees ? n : n_trees;
}

static enum am_rc forest_alloc(struct forest *f, struct am_err *err)
{
    const size_t n = f->data->n_rows, k = f->data->n_classes ? f->data->n_classes : 1;
    f->n_workers = n_workers(f->t, f->n_trees);
    f->wave = 2 * f->n_workers < f->n_trees ? 2 * f->n_workers : f->n_trees;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    f->grower = am_calloc(f->n_workers, sizeof *f->grower);
    f->times = am_calloc(f->n_workers, sizeof *f->times);
    f->busy = am_calloc(f->n_workers, sizeof *f->busy);
    f->grown = am_calloc(f->wave, sizeof *f->grown);
    f->bag = am_calloc(f->wave, sizeof *f->bag);
    f->errs = am_calloc(f->wave, sizeof *f->errs);
    f->importance = am_calloc(f->data->n_features, sizeof *f->importance);
    if (!f->grower || !f->times || !f->busy || !f->grown || !f->bag || !f->errs || !f->importance)
        return am_fail_nomem(err, f->wave * sizeof *f->grown);
    for (size_t i = 0; i < f->n_workers; i++) {
        atomic_flag_clear(&f->busy[i]);
        AM_TRY(am_tree_grower_new(f->data, &f->o, n, NULL, &f->grower[i], err));
        f->times[i] = f->n_draws ? am_alloc_array(n, sizeof *f->times[i]) : NULL;
        if (f->n_draws && !f->times[i])
            return am_fail_nomem(err, n * sizeof *f->times[i]);
    }
    if (f->n_draws == 0)
        return AM_OK;
    f->votes = am_calloc(n * k, sizeof *f->votes);
    f->n_votes = am_calloc(n, sizeof *f->n_votes);
    if (!f->votes || !f->n_votes)
        return am_fail_nomem(err, n * k * sizeof *f->votes);
    for (size_t i = 0; i < f->wave; i++) {
        f->bag[i] = am_alloc(n / 8 + 1);
        if (!f->bag[i])
            return am_fail_nomem(err, n / 8 + 1);
    }
    return AM_OK;
}

static size_t draw_rows(struct forest *f, size_t worker, size_t i)
{
    const size_t n = f->data->n_rows;
    uint32_t *times = f->times[worker];
    struct am_rng rng;
    if (f->n_draws == 0)
        return am_tree_take_rows(f->grower[worker], NULL);
    am_forest_rng(&rng, f->t->seed, AM_FOREST_ROWS, f->first + i);
    memset(times, 0, n * sizeof *times);
    for (size_t j = 0; j < f->n_draws; j++)
        times[am_rng_below(&rng, n)]++;
    memset(f->bag[i], 0, n / 8 + 1);
    for (size_t j = 0; j < n; j++)
        f->bag[i][j / 8] |= (uint8_t)((times[j] > 0) << (j % 8));
    return am_tree_take_rows(f->grower[worker], times);
}

static void grow_trees(void *ctx, size_t begin, size_t end)
{
    struct forest *f = ctx;
    size_t worker = 0;
    while (atomic_flag_test_and_set(&f->busy[worker]))
        worker = (worker + 1) % f->n_workers;
    for (size_t i = begin; i < end; i++) {
        struct am_rng rng;
        const size_t n = draw_rows(f, worker, i);
        am_forest_rng(&rng, f->t->seed, AM_FOREST_SPLITS, f->first + i);
        f->errs[i].rc = am_tree_grow(f->grower[worker], n, &rng, f->t->hooks.progress, &f->grown[i],
                                     &f->errs[i]);
    }
    atomic_flag_clear(&f->busy[worker]);
}

/* The wave's trees ask the rows that they did not see. */
static void ask_rows(void *ctx, size_t begin, size_t end)
{
    struct forest *f = ctx;
    for (size_t i = 0; i < f->wave && f->first + i < f->n_trees; i++) {
        const struct am_grown_tree *g = &f->grown[i];
        for (size_t row = begin; row < end; row++) {
            if (f->bag[i][row / 8] >> (row % 8) & 1)
                continue;
            const double *v =
                g->value.ptr + (size_t)am_grown_tree_leaf(g, f->data, row) * g->n_value;
            for (size_t k = 0; k < g->n_value; k++)
                f->votes[row * g->n_value + k] += v[k];
            f->n_votes[row]++;
        }
    }
}

static enum am_rc grow_wave(struct forest *f, struct am_trees *trees, struct am_err *err)
{
    const size_t n = f->n_trees - f->first < f->wave ? f->n_trees - f->first : f->wave;
    am_pool_for(f->t->pool, n, 1, grow_trees, f);
    for (size_t i = 0; i < n; i++)
        if (f->errs[i].rc != AM_OK) {
            if (err)
                *err = f->errs[i];
            return f->errs[i].rc;
        }
    if (f->n_draws)
        am_pool_for(f->t->pool, f->data->n_rows, 4096, ask_rows, f);
    for (size_t i = 0; i < n; i++) {
        AM_TRY(am_trees_add_grown(trees, &f->grown[i], NULL, err));
        for (size_t k = 0; k < f->data->n_features; k++)
            f->importance[k] += f->grown[i].importance[k];
        am_grown_tree_clear(&f->grown[i]);
    }
    return am_trees_share_leaves(trees, err);
}

static enum am_rc grow_forest(struct forest *f, struct am_trees *trees, struct am_err *err)
{
    struct am_progress *progress = f->t->hooks.progress;
    am_progress_begin(progress, "train", f->n_trees);
    for (f->first = 0; f->first < f->n_trees; f->first += f->wave) {
        AM_TRY(grow_wave(f, trees, err));
        const size_t done = f->first + f->wave < f->n_trees ? f->first + f->wave : f->n_trees;
        am_progress_step(progress, done, f->n_trees, done * f->data->n_rows, (double)NAN);
    }
    am_progress_end(progress);
    return AM_OK;
}

/* ---- out of bag ---- */

static bool is_right(const struct forest *f, size_t row)
{
    const size_t k = f->data->n_classes;
    size_t best = 0;
    for (size_t c = 1; c < k; c++)
        if (f->votes[row * k + c] > f->votes[row * k + best])
            best = c;
    return best == (size_t)f->data->y[row];
}

static struct am_node *out_of_bag(const struct forest *f, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    size_t n = 0, right = 0;
    double sum = 0, squares = 0, rest = 0;
    for (size_t i = 0; i < f->data->n_rows; i++) {
        if (f->n_votes[i] == 0 || !(f->data->weight[i] > 0))
            continue;
        n++;
        if (f->data->n_classes) {
            right += is_right(f, i);
        } else {
            const double y = (double)f->data->y[i], e = y - f->votes[i] / f->n_votes[i];
            sum += y;
            squares += y * y;
            rest += e * e;
        }
    }
    am_node_set(a, m, "rows", am_new_i64(a, (int64_t)n));
    if (n && f->data->n_classes)
        am_node_set(a, m, "accuracy", am_new_f64(a, (double)right / (double)n));
    else if (n && squares - sum * sum / (double)n > 0)
        am_node_set(a, m, "r2", am_new_f64(a, 1 - rest / (squares - sum * sum / (double)n)));
    return m;
}

/* ---- learners ---- */

static enum am_rc load_data(const struct am_learn_task *t, const struct am_learner_ops *ops,
                            size_t at_once, struct am_tree_data **out, struct am_err *err)
{
    const struct am_tree_load load = {
        .bins = (size_t)am_key_number(t, ops, "bins"), .n_at_once = at_once, .learner = ops->name};
    return am_tree_data_new(t, &load, out, err);
}

static enum am_rc finish_forest(struct forest *f, const struct am_trees *trees,
                                struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    am_value x, y;
    AM_TRY(am_forest_graph(f->t, trees, &out->graph, &x, &y, err));
    AM_TRY(am_forest_finish(f->t, trees, y, out, a, f->ops->name,
                            f->data->bins ? "histograms" : "exact splits", err));
    am_forest_importance(a, out->info, f->importance, f->data->n_features);
    if (f->n_draws)
        am_node_set(a, out->info, "out_of_bag", out_of_bag(f, a));
    out->kind = f->data->n_classes ? AM_LEARNED_PROBABILITY : AM_LEARNED_VALUE;
    return AM_OK;
}

static enum am_rc fit_forest(const struct am_learn_task *t, const struct am_learner_ops *ops,
                             enum am_tree_splitter splitter, struct am_learned *out,
                             struct am_arena *a, struct am_err *err)
{
    struct forest f = {.t = t, .ops = ops, .n_trees = (size_t)am_key_number(t, ops, "trees")};
    const double draws = am_key_number(t, ops, "max_samples");
    struct am_tree_data *data = NULL;
    struct am_trees trees = {0};
    enum am_rc rc;
    am_tree_options_read(t, ops, &f.o);
    f.o.splitter = splitter;
    AM_GO(rc, load_data(t, ops, n_workers(t, f.n_trees), &data, err));
    f.data = data;
    if (am_key_bool(t, ops, "bootstrap"))
        f.n_draws = draws > 0 ? share_or_count(draws, data->n_rows) : data->n_rows;
    AM_GO(rc, am_tree_targets(data, &f.o, err));
    AM_GO(rc, am_forest_trees_init(t, &trees, err));
    AM_GO(rc, forest_alloc(&f, err));
    AM_GO(rc, grow_forest(&f, &trees, err));
    rc = finish_forest(&f, &trees, out, a, err);
out:
    forest_clear(&f);
    am_trees_clear(&trees);
    am_tree_data_free(data);
    return rc;
}

static enum am_rc fit_tree(const struct am_learn_task *t, struct am_learned *out,
                           struct am_arena *a, struct am_err *err)
{
    const struct am_learner_ops *ops = &am_learner_decision_tree;
    struct am_tree_options o;
    struct am_tree_data *data = NULL;
    struct am_tree_grower *g = NULL;
    struct am_grown_tree tree = {0};
    struct am_trees trees = {0};
    struct am_rng rng;
    am_value x, y;
    enum am_rc rc;
    am_tree_options_read(t, ops, &o);
    AM_GO(rc, load_data(t, ops, t->pool ? am_pool_size(t->pool) : 1, &data, err));
    AM_GO(rc, am_tree_targets(data, &o, err));
    AM_GO(rc, am_forest_trees_init(t, &trees, err));
    AM_GO(rc, am_tree_grower_new(data, &o, data->n_rows, t->pool, &g, err));
    am_forest_rng(&rng, t->seed, AM_FOREST_SPLITS, 0);
    AM_GO(rc, am_tree_grow(g, am_tree_take_rows(g, NULL), &rng, t->hooks.progress, &tree, err));
    AM_GO(rc, am_trees_add_grown(&trees, &tree, NULL, err));
    AM_GO(rc, am_trees_share_leaves(&trees, err));
    AM_GO(rc, am_forest_graph(t, &trees, &out->graph, &x, &y, err));
    AM_GO(rc, am_forest_finish(t, &trees, y, out, a, ops->name,
                               data->bins ? "histograms" : "exact splits", err));
    am_forest_importance(a, out->info, tree.importance, data->n_features);
    out->kind = data->n_classes ? AM_LEARNED_PROBABILITY : AM_LEARNED_VALUE;
out:
    am_tree_grower_free(g);
    am_grown_tree_clear(&tree);
    am_trees_clear(&trees);
    am_tree_data_free(data);
    return rc;
}

static enum am_rc fit_random_forest(const struct am_learn_task *t, struct am_learned *out,
                                    struct am_arena *a, struct am_err *err)
{
    return fit_forest(t, &am_learner_random_forest, AM_TREE_BEST, out, a, err);
}

static enum am_rc fit_extra_trees(const struct am_learn_task *t, struct am_learned *out,
                                  struct am_arena *a, struct am_err *err)
{
    return fit_forest(t, &am_learner_extra_trees, AM_TREE_RANDOM, out, a, err);
}

static enum am_rc check_tree(const struct am_learn_task *t, struct am_err *err)
{
    return am_tree_check(t, &am_learner_decision_tree, err);
}

static enum am_rc check_forest(const struct am_learn_task *t, struct am_err *err)
{
    return am_tree_check(t, &am_learner_random_forest, err);
}

static enum am_rc check_extra(const struct am_learn_task *t, struct am_err *err)
{
    return am_tree_check(t, &am_learner_extra_trees, err);
}

const struct am_learner_ops am_learner_decision_tree = {
    .name = "decision_tree",
    .doc = "One decision tree: exact CART, pruned on request; missing values go the better way.",
    .tasks = AM_ALL_TASKS,
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING,
    .keys = tree_keys,
    .n_keys = sizeof tree_keys / sizeof tree_keys[0],
    .check = check_tree,
    .fit = fit_tree,
};

const struct am_learner_ops am_learner_random_forest = {
    .name = "random_forest",
    .doc = "Mean of trees grown on rows drawn with replacement and on some features a split; "
           "out-of-bag rows measure it.",
    .tasks = AM_ALL_TASKS,
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING,
    .keys = forest_keys,
    .n_keys = sizeof forest_keys / sizeof forest_keys[0],
    .check = check_forest,
    .fit = fit_random_forest,
};

const struct am_learner_ops am_learner_extra_trees = {
    .name = "extra_trees",
    .doc = "As random_forest, but with random thresholds and, usually, all rows for each tree.",
    .tasks = AM_ALL_TASKS,
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING,
    .keys = extra_keys,
    .n_keys = sizeof extra_keys / sizeof extra_keys[0],
    .check = check_extra,
    .fit = fit_extra_trees,
};
