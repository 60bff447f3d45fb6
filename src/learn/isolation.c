/* `isolation_forest`: rows that random splits cut off early are anomalies (Liu, Ting and Zhou
 * 2008). Each tree splits a few rows drawn without replacement at random features and thresholds;
 * y = 2^(-h / c) with h the mean depth of a row, corrected by the rows left in its leaf, and c the
 * depth expected of the sample: scikit-learn's -score_samples, between 0 and 1. Only the drawn rows
 * are read, so rows may lie in a file. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/forest.h"
#include "nn/layers_median.h"

static const struct am_learner_key keys[] = {
    AM_KEY("trees", AM_LEARNER_KEY_INT, NULL, 1, 100000, "100", "Number of trees."),
    AM_KEY("max_samples", AM_TREE_NUMBER, NULL, 1e-6, 1e9, "256",
           "Rows drawn for a tree: a share below 1, else a count."),
    AM_KEY("max_features", AM_LEARNER_KEY_ENUM | AM_TREE_NUMBER, "all", 1e-6, 1e6, "all",
           "Features that a tree may split by: a share of them below 1, else a count."),
    AM_KEY(
        "contamination", AM_LEARNER_KEY_NUMBER, NULL, 0, 0.5, "0.01",
        "Expected share of anomalies: the threshold is the score that this share of the validation "
        "rows reaches, of the training rows where there are none."),
};

/* Mean depth of an unsuccessful search among n: what is left of the path in a leaf of n rows. */
static double path_left(size_t n)
{
    const double m = (double)n;
    if (n <= 2)
        return n == 2 ? 1 : 0;
    return 2 * (log(m - 1) + 0.57721566490153286) - 2 * (m - 1) / m;
}

struct iso {                            /* work of one thread, and a tree */
    size_t n, f;                        /* rows drawn, features of a row */
    float *x;                           /* owned, [n, f] */
    uint64_t *rows;                     /* owned, [n] */
    uint64_t *set;                      /* owned, [cap]: row + 1 */
    size_t cap;                         /* a power of two */
    uint32_t *order, *aside, *features; /* owned, [n], [n], [f] */
    int32_t *feature;                   /* owned, [2 n]: nodes */
    float *threshold, *value;           /* owned */
    uint32_t *left, *right, *depth, *start, *end;
    uint8_t *missing;
    size_t n_nodes;
    struct am_err err;
};

static void iso_clear(struct iso *w)
{
    am_free(w->x);
    am_free(w->rows);
    am_free(w->set);
    am_free(w->order);
    am_free(w->aside);
    am_free(w->features);
    am_free(w->feature);
    am_free(w->threshold);
    am_free(w->value);
    am_free(w->left);
    am_free(w->right);
    am_free(w->depth);
    am_free(w->start);
    am_free(w->end);
    am_free(w->missing);
}

static enum am_rc iso_init(struct iso *w, size_t n, size_t f, struct am_err *err)
{
    const size_t nodes = 2 * n;
    size_t cap = 16, bytes;
    while (cap < 2 * n)
        cap *= 2;
    if (!am_mul_size(&bytes, n, f))
        return am_fail_nomem(err, n);
    *w = (struct iso){.n = n, .f = f, .cap = cap};
    w->x = am_alloc_array(bytes, sizeof *w->x);
    w->rows = am_alloc_array(n, sizeof *w->rows);
    w->set = am_alloc_array(cap, sizeof *w->set);
    w->order = am_alloc_array(n, sizeof *w->order);
    w->aside = am_alloc_array(n, sizeof *w->aside);
    w->features = am_alloc_array(f, sizeof *w->features);
    w->feature = am_alloc_array(nodes, sizeof *w->feature);
    w->threshold = am_alloc_array(nodes, sizeof *w->threshold);
    w->value = am_alloc_array(nodes, sizeof *w->value);
    w->left = am_alloc_array(nodes, sizeof *w->left);
    w->right = am_alloc_array(nodes, sizeof *w->right);
    w->depth = am_alloc_array(nodes, sizeof *w->depth);
    w->start = am_alloc_array(nodes, sizeof *w->start);
    w->end = am_alloc_array(nodes, sizeof *w->end);
    w->missing = am_alloc_array(nodes, sizeof *w->missing);
    if (!w->x || !w->rows || !w->set || !w->order || !w->aside || !w->features || !w->feature ||
        !w->threshold || !w->value || !w->left || !w->right || !w->depth || !w->start || !w->end ||
        !w->missing)
        return am_fail_nomem(err, bytes * sizeof *w->x);
    return AM_OK;
}

static bool put_row(struct iso *w, uint64_t row)
{
    size_t at = (size_t)(row * 0x9E3779B97F4A7C15u >> 20) & (w->cap - 1);
    while (w->set[at]) {
        if (w->set[at] == row + 1)
            return false;
        at = (at + 1) & (w->cap - 1);
    }
    w->set[at] = row + 1;
    return true;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* n of all rows without replacement (Floyd's), ascending. */
static void draw_rows(struct iso *w, uint64_t of, struct am_rng *rng)
{
    memset(w->set, 0, w->cap * sizeof *w->set);
    for (size_t i = 0; i < w->n; i++) {
        const uint64_t last = of - w->n + i, row = am_rng_below(rng, last + 1);
        if (put_row(w, row)) {
            w->rows[i] = row;
        } else {
            (void)put_row(w, last);
            w->rows[i] = last;
        }
    }
    qsort(w->rows, w->n, sizeof *w->rows, by_number);
}

static float at(const struct iso *w, size_t i, uint32_t feature)
{
    return w->x[(size_t)w->order[i] * w->f + feature];
}

/* Least and largest value; false: one value or none. */
static bool range_of(const struct iso *w, size_t start, size_t end, uint32_t feature, double *low,
                     double *high)
{
    *low = DBL_MAX;
    *high = -DBL_MAX;
    for (size_t i = start; i < end; i++) {
        const double v = (double)fminf(fmaxf(at(w, i, feature), -FLT_MAX), FLT_MAX);
        if (isnan(at(w, i, feature)))
            continue;
        *low = v < *low ? v : *low;
        *high = v > *high ? v : *high;
    }
    return *high > *low + 1e-7;
}

static uint32_t new_node(struct iso *w, size_t start, size_t end, uint32_t depth, double unit)
{
    const size_t k = w->n_nodes++;
    w->feature[k] = -1;
    w->threshold[k] = 0;
    w->left[k] = w->right[k] = 0;
    w->missing[k] = 0;
    w->depth[k] = depth;
    w->start[k] = (uint32_t)start;
    w->end[k] = (uint32_t)end;
    w->value[k] = (float)(((double)depth + path_left(end - start)) / unit);
    return (uint32_t)k;
}

/* Missing rows go together, left as likely as the others did. Returns where the right side begins.
 */
static size_t part(struct iso *w, size_t k, double t, struct am_rng *rng)
{
    const uint32_t feature = (uint32_t)w->feature[k];
    size_t left = w->start[k], right = 0, less = 0, there = 0;
    for (size_t i = w->start[k]; i < w->end[k]; i++) {
        there += (size_t)!isnan(at(w, i, feature));
        less += (size_t)((double)at(w, i, feature) <= t);
    }
    w->missing[k] = am_rng_unit(rng) * (double)there < (double)less;
    for (size_t i = w->start[k]; i < w->end[k]; i++) {
        const float v = at(w, i, feature);
        if (isnan(v) ? w->missing[k] : (double)v <= t)
            w->order[left++] = w->order[i];
        else
            w->aside[right++] = w->order[i];
    }
    memcpy(w->order + left, w->aside, right * sizeof *w->aside);
    return left;
}

/* Nodes are worked in the order of their making, so no stack is needed. */
static void grow(struct iso *w, size_t n_features, struct am_rng *rng)
{
    const double unit = path_left(w->n) > 0 ? path_left(w->n) : 1;
    const uint32_t deepest = (uint32_t)ceil(log2((double)(w->n > 2 ? w->n : 2)));
    for (size_t i = 0; i < w->n; i++)
        w->order[i] = (uint32_t)i;
    for (size_t j = 0; j < w->f; j++)
        w->features[j] = (uint32_t)j;
    for (size_t j = 0; n_features < w->f && j < n_features; j++) {
        const size_t o = j + (size_t)am_rng_below(rng, w->f - j);
        const uint32_t swap = w->features[j];
        w->features[j] = w->features[o];
        w->features[o] = swap;
    }
    w->n_nodes = 0;
    (void)new_node(w, 0, w->n, 0, unit);
    for (size_t k = 0; k < w->n_nodes; k++) {
        double low = 0, high = 0, t;
        bool found = false;
        if (w->depth[k] >= deepest || w->end[k] - w->start[k] < 2)
            continue;
        for (size_t j = 0; j < n_features && !found; j++) {
            const size_t o = j + (size_t)am_rng_below(rng, n_features - j);
            const uint32_t feature = w->features[o];
            w->features[o] = w->features[j];
            w->features[j] = feature;
            found = range_of(w, w->start[k], w->end[k], feature, &low, &high);
            w->feature[k] = found ? (int32_t)feature : -1;
        }
        if (!found)
            continue;
        t = low + am_rng_unit(rng) * (high - low);
        t = t < high ? t : low;
        w->threshold[k] = am_trees_threshold(t);
        const size_t mid = part(w, k, t, rng);
        w->left[k] = new_node(w, w->start[k], mid, w->depth[k] + 1, unit);
        w->right[k] = new_node(w, mid, w->end[k], w->depth[k] + 1, unit);
    }
}

/* ---- the forest ---- */

struct wave {
    const struct am_learn_task *t;
    struct iso *work; /* [n]: a tree each */
    size_t first, n_features;
};

static void grow_trees(void *ctx, size_t begin, size_t end)
{
    const struct wave *v = ctx;
    const struct am_train_data *data = v->t->train;
    for (size_t i = begin; i < end; i++) {
        struct iso *w = &v->work[i];
        struct am_rng rng;
        am_forest_rng(&rng, v->t->seed, AM_FOREST_ROWS, v->first + i);
        draw_rows(w, data->n_rows, &rng);
        w->err.rc = data->gather(data->self, w->rows, w->n, w->x, NULL, NULL, &w->err);
        if (w->err.rc != AM_OK)
            continue;
        am_forest_rng(&rng, v->t->seed, AM_FOREST_SPLITS, v->first + i);
        grow(w, v->n_features, &rng);
    }
}

static enum am_rc grow_forest(struct wave *v, size_t n_work, size_t n_trees, struct am_trees *trees,
                              struct am_err *err)
{
    struct am_progress *progress = v->t->hooks.progress;
    am_progress_begin(progress, "train", n_trees);
    for (v->first = 0; v->first < n_trees; v->first += n_work) {
        const size_t n = n_trees - v->first < n_work ? n_trees - v->first : n_work;
        if (am_progress_canceled(progress))
            return am_fail(err, AM_ECANCELED, "canceled");
        am_pool_for(v->t->pool, n, 1, grow_trees, v);
        for (size_t i = 0; i < n; i++) {
            const struct iso *w = &v->work[i];
            const struct am_tree tree = {.n_nodes = w->n_nodes,
                                         .feature = w->feature,
                                         .threshold = w->threshold,
                                         .left = w->left,
                                         .right = w->right,
                                         .missing_left = w->missing,
                                         .value = w->value};
            if (w->err.rc != AM_OK) {
                if (err)
                    *err = w->err;
                return w->err.rc;
            }
            AM_TRY(am_trees_add(trees, &tree, err));
        }
        am_progress_step(progress, v->first + n, n_trees, (v->first + n) * v->work[0].n,
                         (double)NAN);
    }
    am_progress_end(progress);
    return AM_OK;
}

static size_t count_of(const struct am_learn_task *t, const char *key, double v, uint64_t of)
{
    double given;
    if (am_node_as_f64(am_node_get(t->model, key), &given))
        v = given;
    v = v < 1 ? v * (double)of : v;
    return v < 1 ? 1 : v < (double)of ? (size_t)v : (size_t)of;
}

static enum am_rc fit_isolation(const struct am_learn_task *t, struct am_learned *out,
                                struct am_arena *a, struct am_err *err)
{
    const struct am_learner_ops *ops = &am_learner_isolation_forest;
    const size_t n_trees = (size_t)am_key_number(t, ops, "trees"),
                 n = count_of(t, "max_samples", 256, t->train->n_rows),
                 threads = t->pool ? am_pool_size(t->pool) : 1,
                 n_work = 2 * threads < n_trees ? 2 * threads : n_trees;
    struct wave v = {
        .t = t, .n_features = count_of(t, "max_features", (double)t->n_features, t->n_features)};
    struct am_trees trees = {0};
    am_value x, y;
    enum am_rc rc = AM_OK;
    v.work = am_calloc(n_work, sizeof *v.work);
    if (!v.work)
        return am_fail_nomem(err, n_work * sizeof *v.work);
    if (n > AM_TREES_NODES_MAX / 2) {
        rc = am_fail(err, AM_ELIMIT, "model.max_samples gives %zu rows a tree, at most %zu", n,
                     AM_TREES_NODES_MAX / 2);
        am_hint(err, "A few hundred are enough for isolation.");
        goto out;
    }
    for (size_t i = 0; i < n_work; i++)
        AM_GO(rc, iso_init(&v.work[i], n, t->n_features, err));
    AM_GO(rc, am_trees_init(&trees, t->n_features, 1, 1, AM_TREES_MEAN, NULL, err));
    AM_GO(rc, grow_forest(&v, n_work, n_trees, &trees, err));
    AM_GO(rc, am_forest_graph(t, &trees, &out->graph, &x, &y, err));
    am_graph_output(out->graph, "code", y); /* the mean depth, in expected depths */
    y = am_layer_exp(out->graph, y, -0.69314718f);
    AM_GO(rc, am_forest_finish(t, &trees, y, out, a, ops->name, "random splits", err));
    am_node_set(a, out->info, "samples", am_new_i64(a, (int64_t)n));
    out->kind = AM_LEARNED_VALUE;
out:
    for (size_t i = 0; i < n_work; i++)
        iso_clear(&v.work[i]);
    am_free(v.work);
    am_trees_clear(&trees);
    return rc;
}

const struct am_learner_ops am_learner_isolation_forest = {
    .name = "isolation_forest",
    .doc = "Anomaly scores between 0 and 1 by how early random splits cut a row off.",
    .tasks = 1u << AM_TASK_ANOMALY,
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING | AM_LEARNER_NO_WEIGHTS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fit = fit_isolation,
};
