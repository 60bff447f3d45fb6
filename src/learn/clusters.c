/* `kmeans`, and what all clustering learners share: how many clusters, their graph. The numeric
 * core is kmeans.c; the answers of a row come from the op `nearest`. */
#include "learn/clusters.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "eval/clusters.h"
#include "learn/kmeans.h"
#include "nn/layers_cluster.h"
#include "nn/ops/distance.h"

/* ---- shared ---- */

enum am_rc am_clusters_check(const struct am_learn_task *t, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    if (!t->n_tokens)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "%smodel.type %.*s cannot measure distances between token ids",
            am_key_where(am_node_get(t->model, "type"), where),
            AM_FMT(am_node_str(t->model, "type", "auto")));
    am_hint(err, "Use text features that are numbers (encode: words or tfidf).");
    return AM_EUSAGE;
}

static enum am_rc too_many(const struct am_learn_task *t, int64_t k, struct am_err *err)
{
    am_fail(err, AM_EINVAL, "model.clusters is %lld, but there are %llu training rows",
            (long long)k, (unsigned long long)t->train->n_rows);
    am_hint(err, "Ask for fewer clusters than there are training rows.");
    return AM_EINVAL;
}

enum am_rc am_clusters_asked(const struct am_learn_task *t, int64_t out[AM_CLUSTERS_TRIED],
                             size_t *n, struct am_err *err)
{
    const struct am_node *v = am_node_get(t->model, "clusters");
    *n = 0;
    if (v && v->kind == AM_NODE_LIST) {
        for (size_t i = 0; i < v->list.n && *n < AM_CLUSTERS_TRIED; i++) {
            int64_t k;
            size_t at = *n;
            if (!am_node_as_i64(v->list.items[i], &k))
                continue;
            while (at > 0 && out[at - 1] > k)
                at--;
            if (at > 0 && out[at - 1] == k)
                continue;
            memmove(out + at + 1, out + at, (*n - at) * sizeof *out);
            out[at] = k;
            (*n)++;
        }
    } else if (v && am_node_as_i64(v, &out[0])) {
        *n = 1;
    } else {
        for (int64_t k = 2; k <= 10 && (uint64_t)k < t->train->n_rows; k++)
            out[(*n)++] = k;
        if (*n == 0) {
            out[0] = 1;
            *n = 1;
        }
    }
    if (*n == 0) {
        am_fail(err, AM_EUSAGE, "model.clusters is an empty list");
        am_hint(err, "Name the counts to try, or write auto.");
        return AM_EUSAGE;
    }
    return (uint64_t)out[*n - 1] > t->train->n_rows ? too_many(t, out[*n - 1], err) : AM_OK;
}

size_t am_clusters_elbow(const int64_t *k, const double *v, size_t n)
{
    size_t best = 0;
    double most = -INFINITY;
    const double wide = n ? (double)(k[n - 1] - k[0]) : 0, high = n ? v[0] - v[n - 1] : 0;
    for (size_t i = 0; i < n; i++) {
        const double line = wide > 0 ? v[0] - high * (double)(k[i] - k[0]) / wide : v[i];
        if (line - v[i] > most) {
            most = line - v[i];
            best = i;
        }
    }
    return best;
}

enum am_rc am_clusters_silhouette(const float *x, size_t rows, size_t n, const float *centers,
                                  size_t k, double *out, struct am_err *err)
{
    const struct am_kernels *kern = am_kernels_best();
    const size_t m = rows < AM_SEARCH_ROWS ? rows : AM_SEARCH_ROWS;
    float *some = am_alloc_array(m + 1, n * sizeof *some),
          *pred = am_alloc_array(m + 1, sizeof *pred),
          *packed = am_alloc_array(am_distance_pack_floats(kern, k, n) + 1, sizeof *packed),
          *d = am_alloc_array(k, AM_DISTANCE_ROWS * sizeof *d),
          *scratch = am_alloc_array(am_distance_scratch(AM_DISTANCE_ROWS, n) + 1, sizeof *scratch);
    enum am_rc rc = AM_OK;
    if (!some || !pred || !packed || !d || !scratch)
        AM_GO(rc, am_fail_nomem(err, m * n * sizeof *some));
    for (size_t i = 0; i < m; i++)
        memcpy(some + i * n, x + (size_t)((double)i * (double)rows / (double)m) * n,
               n * sizeof *some);
    am_distance_pack(kern, AM_DISTANCE_SQUARED, centers, k, n, packed);
    for (size_t at = 0, b; at < m; at += b) {
        b = m - at < AM_DISTANCE_ROWS ? m - at : AM_DISTANCE_ROWS;
        am_distance_run(kern, AM_DISTANCE_SQUARED, packed, centers, k, some + at * n, b, n, scratch,
                        d);
        for (size_t r = 0; r < b; r++) {
            size_t best = 0;
            for (size_t c = 1; c < k; c++)
                best = d[r * k + c] < d[r * k + best] ? c : best;
            pred[at + r] = (float)best;
        }
    }
    const struct am_eval_input in = {
        .task = AM_TASK_CLUSTERING, .n_rows = m, .pred = pred, .x = some, .width = n};
    rc = am_silhouette(&in, NULL, out, err);
out:
    am_free(some);
    am_free(pred);
    am_free(packed);
    am_free(d);
    am_free(scratch);
    return rc;
}

void am_clusters_outputs(struct am_graph *g, am_value v, size_t k)
{
    am_graph_output(g, "y", am_layer_columns(g, v, 1, 1));
    am_graph_output(g, "code", am_layer_columns(g, v, 2, (int64_t)k));
    am_graph_output(g, "cluster", am_layer_columns(g, v, 0, 1));
}

enum am_rc am_clusters_places(const struct am_learn_task *t, const float *points,
                              const float *groups, size_t n_points, size_t n_groups, double radius,
                              struct am_learned *out, struct am_err *err)
{
    const size_t n = t->n_features;
    const struct am_nearest_options o = {(int64_t)n_points, (int64_t)n_groups, (float)radius};
    AM_TRY(am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)n));
    am_clusters_outputs(out->graph, am_layer_nearest(out->graph, x, &o, "clusters"), n_groups);
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    memcpy(am_param_data(out->params, 0), points, n_points * n * sizeof *points);
    memcpy(am_param_data(out->params, 1), groups, n_points * sizeof *groups);
    out->kind = AM_LEARNED_VALUE;
    return AM_OK;
}

void am_clusters_info(struct am_learned *l, const uint64_t *sizes, size_t k, struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    for (size_t c = 0; c < k; c++)
        am_node_push(a, list, am_new_i64(a, (int64_t)sizes[c]));
    am_node_set(a, l->info, "clusters", am_new_i64(a, (int64_t)k));
    am_node_set(a, l->info, "sizes", list);
}

/* ---- kmeans ---- */

static const struct am_learner_key keys[] = {
    AM_KEY("clusters", AM_LEARNER_KEY_INT | AM_LEARNER_KEY_INTS | AM_LEARNER_KEY_ENUM, "auto", 1,
           AM_GROUPS_MAX, "auto",
           "How many clusters; or a list to choose from, by the best silhouette; auto tries 2 to "
           "10."),
    AM_KEY("init", AM_LEARNER_KEY_ENUM, "kmeans++|random", 0, 0, "kmeans++",
           "How the first centers are drawn."),
    AM_KEY("n_init", AM_LEARNER_KEY_INT, NULL, 1, 1000, "3",
           "Starts from other centers; the one of least inertia stays."),
    AM_KEY("max_iterations", AM_LEARNER_KEY_INT, NULL, 1, 100000, "300",
           "Iterations of a start at most; epochs with batch."),
    AM_KEY(
        "tolerance", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "1e-4",
        "A start ends when the centers' squared shift is at most that share of the mean variance "
        "of a column."),
    AM_KEY("batch", AM_LEARNER_KEY_INT, NULL, 0, 1 << 24, "0",
           "Rows of a mini-batch: for rows that do not fit the memory; 0 looks at all rows in each "
           "iteration."),
};
#define OPS (&am_learner_kmeans)

static struct am_kmeans_options options_of(const struct am_learn_task *t)
{
    return (struct am_kmeans_options){
        .n_init = (size_t)am_key_number(t, OPS, "n_init"),
        .max_iterations = (size_t)am_key_number(t, OPS, "max_iterations"),
        .batch = (size_t)am_key_number(t, OPS, "batch"),
        .tolerance = am_key_number(t, OPS, "tolerance"),
        .seed = t->seed,
        .random_init = am_str_is(am_key_text(t, OPS, "init"), "random"),
    };
}

/* The rows that silhouettes are measured on: all in RAM, or some of them. */
static enum am_rc search_rows(const struct am_train_data *d, float **x, size_t *n,
                              struct am_err *err)
{
    uint64_t rows[AM_SEARCH_ROWS];
    *n = d->n_rows < AM_SEARCH_ROWS ? (size_t)d->n_rows : AM_SEARCH_ROWS;
    *x = am_alloc_array(*n + 1, d->n_features * sizeof **x);
    if (!*x)
        return am_fail_nomem(err, *n * d->n_features * sizeof **x);
    for (size_t i = 0; i < *n; i++)
        rows[i] = (uint64_t)((double)i * (double)d->n_rows / (double)*n);
    return d->gather(d->self, rows, *n, *x, NULL, NULL, err);
}

static void add_search(struct am_arena *a, struct am_node *list, int64_t k, double inertia,
                       double silhouette)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "clusters", am_new_i64(a, k));
    am_node_set(a, m, "inertia", am_new_f64(a, inertia));
    am_node_set(a, m, "silhouette", isnan(silhouette) ? am_new_null(a) : am_new_f64(a, silhouette));
    am_node_push(a, list, m);
}

/* Every count is fitted; the best silhouette stays (of equals the fewest clusters). */
static enum am_rc choose(const struct am_learn_task *t, struct am_kmeans_options *o,
                         const int64_t *k, size_t n, struct am_kmeans *best, struct am_learned *out,
                         struct am_arena *a, struct am_err *err)
{
    double inertia[AM_CLUSTERS_TRIED], s, most = -INFINITY;
    struct am_node *list = am_new_list(a);
    float *x = NULL;
    size_t n_x;
    enum am_rc rc;
    AM_GO(rc, search_rows(t->train, &x, &n_x, err));
    for (size_t i = 0; i < n; i++) {
        struct am_kmeans m;
        o->k = (size_t)k[i];
        AM_GO(rc, am_kmeans_fit(t->train, o, t->pool, t->hooks.progress, &m, err));
        inertia[i] = m.inertia;
        rc = am_clusters_silhouette(x, n_x, t->n_features, m.centers, m.k, &s, err);
        add_search(a, list, k[i], m.inertia, s);
        if (rc == AM_OK && (best->centers == NULL || s > most)) {
            am_kmeans_clear(best);
            *best = m;
            most = isnan(s) ? -INFINITY : s;
        } else {
            am_kmeans_clear(&m);
        }
        if (rc != AM_OK)
            goto out;
    }
    am_node_set(a, out->info, "search", list);
    am_node_set(a, out->info, "elbow", am_new_i64(a, k[am_clusters_elbow(k, inertia, n)]));
    am_node_set(a, out->info, "chosen_by", am_new_cstr(a, "silhouette"));
out:
    am_free(x);
    return rc;
}

/* Rows of each cluster, by the model that was learned. */
static enum am_rc count_rows(const struct am_learn_task *t, const struct am_kmeans *m,
                             uint64_t *sizes, struct am_err *err)
{
    const struct am_kernels *kern = am_kernels_best();
    const size_t n = m->n, k = m->k;
    float *x = am_alloc_array(AM_DISTANCE_ROWS, n * sizeof *x),
          *packed = am_alloc_array(am_distance_pack_floats(kern, k, n) + 1, sizeof *packed),
          *d = am_alloc_array(k, AM_DISTANCE_ROWS * sizeof *d),
          *scratch = am_alloc_array(am_distance_scratch(AM_DISTANCE_ROWS, n) + 1, sizeof *scratch);
    uint64_t rows[AM_DISTANCE_ROWS];
    enum am_rc rc = AM_OK;
    if (!x || !packed || !d || !scratch)
        AM_GO(rc, am_fail_nomem(err, k * n * sizeof *x));
    am_distance_pack(kern, AM_DISTANCE_SQUARED, m->centers, k, n, packed);
    for (uint64_t at = 0; at < t->train->n_rows; at += AM_DISTANCE_ROWS) {
        size_t b = 0;
        for (; b < AM_DISTANCE_ROWS && at + b < t->train->n_rows; b++)
            rows[b] = at + b;
        AM_GO(rc, t->train->gather(t->train->self, rows, b, x, NULL, NULL, err));
        am_distance_run(kern, AM_DISTANCE_SQUARED, packed, m->centers, k, x, b, n, scratch, d);
        for (size_t r = 0; r < b; r++) {
            size_t best = 0;
            for (size_t c = 1; c < k; c++)
                best = d[r * k + c] < d[r * k + best] ? c : best;
            sizes[best]++;
        }
    }
out:
    am_free(x);
    am_free(packed);
    am_free(d);
    am_free(scratch);
    return rc;
}

static enum am_rc finish(const struct am_learn_task *t, const struct am_kmeans *m,
                         const struct am_kmeans_options *o, struct am_learned *out,
                         struct am_arena *a, struct am_err *err)
{
    float *groups = am_alloc_array(m->k, sizeof *groups);
    uint64_t *sizes = am_calloc(m->k, sizeof *sizes);
    enum am_rc rc;
    if (!groups || !sizes)
        AM_GO(rc, am_fail_nomem(err, m->k * sizeof *sizes));
    for (size_t c = 0; c < m->k; c++)
        groups[c] = (float)c;
    AM_GO(rc, count_rows(t, m, sizes, err));
    AM_GO(rc, am_clusters_places(t, m->centers, groups, m->k, m->k, 0, out, err));
    am_learn_info(t, out, a, "kmeans", o->batch ? "mini-batches" : "lloyd");
    am_clusters_info(out, sizes, m->k, a);
    am_node_set(a, out->info, "inertia", am_new_f64(a, m->inertia));
    am_node_set(a, out->info, "objective", am_new_f64(a, m->inertia));
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)m->iterations));
    am_node_set(a, out->info, "converged", am_new_bool(a, m->converged));
out:
    am_free(groups);
    am_free(sizes);
    return rc;
}

static enum am_rc fit_kmeans(const struct am_learn_task *t, struct am_learned *out,
                             struct am_arena *a, struct am_err *err)
{
    struct am_kmeans_options o = options_of(t);
    struct am_kmeans m = {0};
    int64_t k[AM_CLUSTERS_TRIED];
    size_t n;
    enum am_rc rc;
    AM_TRY(am_clusters_asked(t, k, &n, err));
    am_progress_begin(t->hooks.progress, "train", o.max_iterations);
    o.k = (size_t)k[0];
    if (n == 1)
        AM_GO(rc, am_kmeans_fit(t->train, &o, t->pool, t->hooks.progress, &m, err));
    else
        AM_GO(rc, choose(t, &o, k, n, &m, out, a, err));
    rc = finish(t, &m, &o, out, a, err);
out:
    am_progress_end(t->hooks.progress);
    am_kmeans_clear(&m);
    return rc;
}

const struct am_learner_ops am_learner_kmeans = {
    .name = "kmeans",
    .doc = "Clusters around their means (k-means++, Lloyd with bounds, or mini-batches).",
    .tasks = 1u << AM_TASK_CLUSTERING,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_NO_WEIGHTS,
    .check = am_clusters_check,
    .fit = fit_kmeans,
};
