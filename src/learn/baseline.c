/* The baseline that every report compares with: the mean of a number, the shares of the classes (so
 * its label is the majority), the mean row where rows are learned. One streaming pass; features are
 * not looked at but for that mean row. */
#include <math.h>

#include "base/alloc.h"
#include "learn/presets.h"
#include "learn/stream.h"
#include "nn/layers_trees.h"

static void sum_targets(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    (void)ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        double w = r->w ? (double)r->w[i] : 1;
        sums[0] += w;
        sums[1] += w * (double)r->y[i];
    }
}

static enum am_rc fit_mean(const struct am_learn_task *t, double *bias, struct am_err *err)
{
    struct am_stream s;
    double sums[2];
    enum am_rc rc;
    AM_TRY(am_stream_init(&s, t->train, 2, 0, t->pool, t->hooks.progress, err));
    rc = am_stream_sum(&s, sum_targets, NULL, sums, err);
    am_stream_clear(&s);
    *bias = sums[0] > 0 ? sums[1] / sums[0] : 0;
    return rc;
}

static void sum_features(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    (void)ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        double w = r->w ? (double)r->w[i] : 1;
        sums[r->f] += w;
        for (size_t k = 0; k < r->f; k++)
            sums[k] += w * (double)r->x[i * r->f + k];
    }
}

/* Whatever comes in, the mean row comes out: a dense layer of one column with a zero weight. */
static enum am_rc mean_row_graph(const struct am_learn_task *t, struct am_graph **out,
                                 struct am_err *err)
{
    const struct am_dense_options o = {.act = AM_ACT_NONE, .init = AM_INIT_ZEROS};
    AM_TRY(am_graph_new(out, err));
    am_value x = am_graph_input(*out, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    am_value one = am_layer_columns(*out, x, 0, 1);
    am_value mean = am_layer_dense(*out, one, (int64_t)t->n_features, &o, "mean");
    AM_TRY(am_graph_check(*out, err));
    am_learn_give_back(*out, x, mean, AM_VALUE_NONE);
    return am_graph_check(*out, err);
}

static enum am_rc fit_mean_row(const struct am_learn_task *t, struct am_learned *out,
                               struct am_arena *a, struct am_err *err)
{
    size_t f = t->n_features;
    struct am_stream s;
    struct am_train_data dense = *t->train; /* sparse rows are read as dense ones */
    dense.gather_sparse = NULL;
    double *sums = am_calloc(f + 1, sizeof *sums);
    enum am_rc rc;
    if (!sums)
        return am_fail_nomem(err, (f + 1) * sizeof *sums);
    AM_GO(rc, mean_row_graph(t, &out->graph, err));
    AM_GO(rc, am_params_new(out->graph, &out->params, err));
    AM_GO(rc, am_stream_init(&s, &dense, f + 1, 0, t->pool, t->hooks.progress, err));
    rc = am_stream_sum(&s, sum_features, NULL, sums, err);
    am_stream_clear(&s);
    if (rc != AM_OK)
        goto out;
    am_params_init(out->params, t->seed);
    const struct am_param *bias = am_params_find(out->params, AM_STR("mean.bias"));
    for (size_t k = 0; bias && k < f; k++)
        out->params->data[bias->offset + k] = (float)(sums[f] > 0 ? sums[k] / sums[f] : 0);
    out->kind = AM_LEARNED_VALUE;
    am_learn_info(t, out, a, "baseline", "exact");
out:
    am_free(sums);
    return rc;
}

static enum am_rc add_constant(const struct am_learn_task *t, const struct am_trees *trees,
                               struct am_learned *out, struct am_err *err)
{
    AM_TRY(am_graph_new(&out->graph, err));
    am_value y = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    y = am_layer_trees(out->graph, y, trees, "constant");
    if (t->task != AM_TASK_REGRESSION)
        y = am_layer_activation(out->graph, y, trees->n_out > 1 ? AM_ACT_SOFTMAX : AM_ACT_SIGMOID,
                                0);
    am_graph_output(out->graph, "y", y);
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    return am_trees_fill(trees, out->params, "constant", err);
}

/* Where features may be missing a product with 0 is no 0: a tree that is one leaf. coef [k, f + 1]
 */
static enum am_rc constant_model(const struct am_learn_task *t, size_t k, const double *coef,
                                 struct am_learned *out, struct am_err *err)
{
    static const int32_t none = -1;
    static const uint32_t child = 0;
    static const float zero = 0;
    const struct am_tree leaf = {1, &none, &zero, &child, &child, NULL, &zero};
    struct am_trees trees;
    enum am_rc rc = am_trees_init(&trees, t->n_features, k, 1, AM_TREES_SUM, NULL, err);
    for (size_t c = 0; rc == AM_OK && c < k; c++)
        trees.base.ptr[c] = (float)coef[c * (t->n_features + 1) + t->n_features];
    if (rc == AM_OK)
        rc = am_trees_add(&trees, &leaf, err);
    if (rc == AM_OK)
        rc = add_constant(t, &trees, out, err);
    am_trees_clear(&trees);
    return rc;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    size_t k = am_learn_n_outputs(t), f = t->n_features;
    double *coef = am_calloc(k * (f + 1), sizeof *coef), *counts = NULL;
    enum am_rc rc;
    if (!coef)
        return am_fail_nomem(err, k * (f + 1) * sizeof *coef);
    if (am_task_is_own(t->task)) {
        am_free(coef);
        return fit_mean_row(t, out, a, err);
    }
    out->kind = AM_LEARNED_PROBABILITY;
    if (t->task == AM_TASK_REGRESSION) {
        out->kind = AM_LEARNED_VALUE;
        AM_GO(rc, fit_mean(t, &coef[f], err));
    } else {
        counts = am_calloc(t->n_classes, sizeof *counts);
        if (!counts) {
            rc = am_fail_nomem(err, t->n_classes * sizeof *counts);
            goto out;
        }
        AM_GO(rc, am_learn_count(t, counts, err));
        if (k == 1)
            coef[f] = log(counts[1] / counts[0]);
        for (size_t c = 0; k > 1 && c < k; c++)
            coef[c * (f + 1) + f] = log(counts[c] / counts[0]);
    }
    AM_GO(rc, t->missing.len ? constant_model(t, k, coef, out, err)
                             : am_learn_linear_model(t, coef, out, err));
    am_learn_info(t, out, a, "baseline", "exact");
out:
    am_free(counts);
    am_free(coef);
    return rc;
}

const struct am_learner_ops am_learner_baseline = {
    .name = "baseline",
    .doc = "The mean of the target, or the shares of its classes; looks at no feature.",
    .tasks = AM_ALL_TASKS | AM_OWN_TASKS,
    .flags = AM_LEARNER_AS_IS | AM_LEARNER_MISSING,
    .fit = fit,
    .sparse = true,
};
