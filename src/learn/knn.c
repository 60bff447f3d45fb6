/* k nearest neighbours: the training rows are the model. Exact; the search is the op `neighbours`
 * (nn/ops/neighbours.c), so nothing is learned here but what is kept.
 *
 * As scikit-learn's KNeighbors*: class shares among the k nearest, or their mean; by distance the
 * votes count 1 / distance. Weights of rows and classes multiply votes. */
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "learn/gathered.h"
#include "nn/layers_distance.h"

static const struct am_learner_key keys[] = {
    AM_KEY("neighbors", AM_LEARNER_KEY_INT, NULL, 1, 1024, "5",
           "How many of the nearest rows vote."),
    AM_KEY("metric", AM_LEARNER_KEY_ENUM, "euclidean|manhattan|cosine", 0, 0, "euclidean",
           "What near means; scale the features."),
    AM_KEY("votes", AM_LEARNER_KEY_ENUM, "uniform|distance", 0, 0, "uniform",
           "distance: a vote counts 1 / distance, and equal rows alone where there are any."),
};

static enum am_distance metric_of(const struct am_learn_task *t)
{
    const struct am_str s = am_key_text(t, &am_learner_knn, "metric");
    return am_str_is(s, "manhattan") ? AM_DISTANCE_MANHATTAN
           : am_str_is(s, "cosine")  ? AM_DISTANCE_COSINE
                                     : AM_DISTANCE_EUCLIDEAN;
}

static enum am_rc build(const struct am_learn_task *t, const struct am_gathered *rows,
                        struct am_learned *out, struct am_err *err)
{
    const size_t k = (size_t)am_key_number(t, &am_learner_knn, "neighbors");
    const struct am_neighbours_options o = {
        .n_rows = (int64_t)rows->n,
        .k = (int64_t)(k < rows->n ? k : rows->n),
        .metric = metric_of(t),
        .by_distance = am_str_is(am_key_text(t, &am_learner_knn, "votes"), "distance"),
        .n_classes = am_task_has_classes(t->task) ? (int64_t)t->n_classes : 0};
    AM_TRY(am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    am_learn_class_output(out->graph, t, am_layer_neighbours(out->graph, x, &o, "knn"));
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    memcpy(am_learn_param(out->params, "knn.rows"), rows->x, rows->n * rows->f * sizeof(float));
    float *values = am_learn_param(out->params, "knn.values");
    for (size_t i = 0; i < rows->n; i++) {
        values[2 * i] = rows->y[i];
        values[2 * i + 1] = (float)rows->w[i];
    }
    return AM_OK;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    struct am_gathered rows;
    const size_t asked = (size_t)am_key_number(t, &am_learner_knn, "neighbors");
    AM_TRY(am_gather_all(t, AM_GATHER_CLASS_WEIGHTS, AM_LIMIT_TENSOR_BYTES / 4, &rows, err));
    if (asked > rows.n && am_key_given(t, "neighbors")) {
        am_fail(err, AM_EINVAL, "model.neighbors is %zu, but there are only %zu training rows",
                asked, rows.n);
        am_hint(err, "Ask for fewer neighbours, or bring more rows.");
        am_gathered_clear(&rows);
        return AM_EINVAL;
    }
    enum am_rc rc = build(t, &rows, out, err);
    if (rc == AM_OK) {
        out->kind = am_task_has_classes(t->task) ? AM_LEARNED_PROBABILITY : AM_LEARNED_VALUE;
        am_learn_info(t, out, a, "knn", "exact");
        am_node_set(a, out->info, "rows_kept", am_new_i64(a, (int64_t)rows.n));
    }
    am_gathered_clear(&rows);
    return rc;
}

const struct am_learner_ops am_learner_knn = {
    .name = "knn",
    .doc = "k nearest neighbours: the training rows themselves answer.",
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS,
    .fit = fit,
};
