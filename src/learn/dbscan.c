/* `dbscan` (Ester et al. 1996): clusters are what can be reached from core samples, rows with at
 * least min_points rows (itself counts) within eps; a row near no core sample is noise.
 *
 * Exact: rows are sorted along their widest column, blocks of them are compared by blocked
 * distances (nn/ops/distance.h) with the blocks whose range is near enough, and pairs near eps in
 * double. Core samples are joined by union-find, always towards the smaller row, so the result does
 * not depend on threads. The model keeps the core samples; a row belongs to the nearest one within
 * eps. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/clusters.h"
#include "learn/kmeans.h"
#include "nn/ops/distance.h"

static const struct am_learner_key keys[] = {
    AM_KEY(
        "eps", AM_LEARNER_KEY_NUMBER | AM_LEARNER_KEY_ENUM, "auto", 0, 1e30, "auto",
        "Radius of a row's neighbourhood, in scaled features; auto is where the sorted distances "
        "to the min_points-th neighbour bend most."),
    AM_KEY("min_points", AM_LEARNER_KEY_INT, NULL, 1, 1 << 20, "5",
           "Rows within eps, the row itself counted, that make it a core sample."),
};
#define OPS (&am_learner_dbscan)
#define ROWS AM_DISTANCE_ROWS
#define COLUMNS 256

struct scan {
    const float *x;  /* [n_rows, n] as given */
    float *sorted;   /* [n_rows, n] along the widest column */
    uint32_t *order; /* [n_rows] place -> row */
    float *packed;   /* of each block of COLUMNS */
    size_t pack;     /* floats of one */
    size_t n_rows, n, n_blocks, column;
    size_t min_points;
    double eps;
    uint8_t *core;          /* [n_rows] by place */
    _Atomic uint32_t *root; /* [n_rows] by place */
    void *roots;            /* owned: root */
    struct am_progress *progress;
    atomic_bool failed;
    const struct am_kernels *kern;
    bool join; /* second pass: join core samples; else count neighbours */
};

static void scan_clear(struct scan *s)
{
    am_free(s->sorted);
    am_free(s->order);
    am_free(s->packed);
    am_free(s->core);
    am_free(s->roots);
}

static double exact(const struct scan *s, size_t a, size_t b)
{
    double sum = 0;
    for (size_t j = 0; j < s->n; j++) {
        const double d = (double)s->sorted[a * s->n + j] - (double)s->sorted[b * s->n + j];
        sum += d * d;
    }
    return sum;
}

/* The root of a place; halves the way there. */
static uint32_t find(struct scan *s, uint32_t i)
{
    for (;;) {
        uint32_t up = atomic_load_explicit(&s->root[i], memory_order_relaxed);
        if (up == i)
            return i;
        uint32_t above = atomic_load_explicit(&s->root[up], memory_order_relaxed);
        atomic_compare_exchange_weak(&s->root[i], &up, above);
        i = above;
    }
}

static void unite(struct scan *s, uint32_t a, uint32_t b)
{
    for (;;) {
        a = find(s, a);
        b = find(s, b);
        if (a == b)
            return;
        if (a < b) {
            const uint32_t t = a;
            a = b;
            b = t;
        }
        uint32_t expected = a; /* the larger root hangs below the smaller */
        if (atomic_compare_exchange_strong(&s->root[a], &expected, b))
            return;
    }
}

/* Rows [begin, end) against the block: d [rows, width] squared. */
static void look(struct scan *s, size_t begin, size_t end, size_t first, size_t width,
                 const float *d, uint32_t *counts)
{
    const double limit = s->eps * s->eps;
    const float sure = (float)(limit * (1 - 1e-4)), maybe = (float)(limit * (1 + 1e-4));
    for (size_t i = begin; i < end; i++) {
        const float *row = d + (i - begin) * width;
        if (s->join && !s->core[i])
            continue;
        for (size_t j = 0; j < width; j++) {
            if (!(row[j] <= maybe) || (s->join && (first + j >= i || !s->core[first + j])))
                continue;
            if (row[j] > sure && exact(s, i, first + j) > limit)
                continue;
            if (s->join)
                unite(s, (uint32_t)i, (uint32_t)(first + j));
            else
                counts[i - begin]++;
        }
    }
}

static void scan_rows(struct scan *s, size_t begin, size_t end, float *d, float *scratch)
{
    uint32_t counts[ROWS] = {0};
    const size_t n = s->n, c = s->column;
    const double low = (double)s->sorted[begin * n + c] - s->eps * (1 + 1e-6),
                 high = (double)s->sorted[(end - 1) * n + c] + s->eps * (1 + 1e-6);
    for (size_t b = 0; b < s->n_blocks; b++) {
        const size_t first = b * COLUMNS,
                     width = s->n_rows - first < COLUMNS ? s->n_rows - first : COLUMNS;
        if ((double)s->sorted[first * n + c] > high)
            break;
        if ((double)s->sorted[(first + width - 1) * n + c] < low)
            continue;
        am_distance_run(s->kern, AM_DISTANCE_SQUARED, s->packed + b * s->pack,
                        s->sorted + first * n, width, s->sorted + begin * n, end - begin, n,
                        scratch, d);
        look(s, begin, end, first, width, d, counts);
    }
    for (size_t i = begin; !s->join && i < end; i++)
        s->core[i] = counts[i - begin] >= s->min_points;
}

static void scan_part(void *ctx, size_t begin, size_t end)
{
    struct scan *s = ctx;
    float *d = am_alloc_array(ROWS, COLUMNS * sizeof *d),
          *scratch = am_alloc_array(am_distance_scratch(ROWS, s->n) + 1, sizeof *scratch);
    if (!d || !scratch)
        atomic_store(&s->failed, true);
    for (size_t at = begin * ROWS; d && scratch && at < s->n_rows && at < end * ROWS; at += ROWS)
        if (!am_progress_canceled(s->progress))
            scan_rows(s, at, at + ROWS < s->n_rows ? at + ROWS : s->n_rows, d, scratch);
    am_free(d);
    am_free(scratch);
}

static enum am_rc pass(struct scan *s, bool join, struct am_pool *pool, struct am_err *err)
{
    s->join = join;
    am_pool_for(pool, (s->n_rows + ROWS - 1) / ROWS, 4, scan_part, s);
    if (atomic_load(&s->failed))
        return am_fail_nomem(err, (size_t)ROWS * COLUMNS * sizeof(float));
    return am_progress_canceled(s->progress)
               ? am_fail(err, AM_ECANCELED, "canceled while neighbours were counted")
               : AM_OK;
}

/* ---- order ---- */

struct placed {
    float key;
    uint32_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->key < y->key || x->key > y->key)
        return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static size_t widest(const float *x, size_t rows, size_t n)
{
    size_t best = 0;
    double most = -1;
    for (size_t j = 0; j < n; j++) {
        double s = 0, ss = 0;
        for (size_t i = 0; i < rows; i++) {
            const double v = (double)x[i * n + j] - (double)x[j];
            s += v;
            ss += v * v;
        }
        const double v = ss - s * s / (double)rows;
        if (v > most) {
            most = v;
            best = j;
        }
    }
    return best;
}

static enum am_rc scan_init(struct scan *s, struct am_err *err)
{
    const size_t rows = s->n_rows, n = s->n;
    struct placed *p = am_alloc_array(rows, sizeof *p);
    s->n_blocks = (rows + COLUMNS - 1) / COLUMNS;
    s->pack = (am_distance_pack_floats(s->kern, COLUMNS, n) + 15) / 16 * 16;
    s->sorted = am_alloc_array(rows, n * sizeof *s->sorted);
    s->order = am_alloc_array(rows, sizeof *s->order);
    s->core = am_calloc(rows, 1);
    s->root = s->roots = am_alloc_array(rows, sizeof *s->root);
    s->packed = am_alloc_array(s->n_blocks, s->pack * sizeof *s->packed);
    if (!p || !s->sorted || !s->order || !s->core || !s->root || !s->packed) {
        am_free(p);
        return am_fail_nomem(err, rows * n * sizeof *s->sorted);
    }
    s->column = widest(s->x, rows, n);
    for (size_t i = 0; i < rows; i++)
        p[i] = (struct placed){s->x[i * n + s->column], (uint32_t)i};
    qsort(p, rows, sizeof *p, by_key);
    for (size_t i = 0; i < rows; i++) {
        s->order[i] = p[i].row;
        atomic_init(&s->root[i], (uint32_t)i);
        memcpy(s->sorted + i * n, s->x + p[i].row * n, n * sizeof *s->sorted);
    }
    am_free(p);
    for (size_t b = 0; b < s->n_blocks; b++) {
        const size_t first = b * COLUMNS, width = rows - first < COLUMNS ? rows - first : COLUMNS;
        am_distance_pack(s->kern, AM_DISTANCE_SQUARED, s->sorted + first * n, width, n,
                         s->packed + b * s->pack);
    }
    return AM_OK;
}

/* ---- eps ---- */

#define KNEE_ROWS 2000

static int by_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The k-th smallest squared distance of a row to all; d [k] */
static double kth(const struct scan *s, size_t row, size_t k, double *d)
{
    size_t n = 0;
    for (size_t j = 0; j < s->n_rows; j++) {
        const double v = exact(s, row, j);
        size_t at = n;
        if (n == k && !(v < d[k - 1]))
            continue;
        at -= n == k;
        for (; at > 0 && d[at - 1] > v; at--)
            d[at] = d[at - 1];
        d[at] = v;
        n += n < k;
    }
    return d[k - 1];
}

/* Some rows' distances to their min_points-th nearest (itself counted), sorted; where the curve
 * lies farthest below the line between its ends. */
static enum am_rc knee(const struct scan *s, double *eps, struct am_err *err)
{
    const size_t m = s->n_rows < KNEE_ROWS ? s->n_rows : KNEE_ROWS,
                 k = s->min_points < s->n_rows ? s->min_points : s->n_rows;
    double *d = am_alloc_array(k, sizeof *d), *far = am_alloc_array(m, sizeof *far);
    double most = -1;
    if (!d || !far) {
        am_free(d);
        am_free(far);
        return am_fail_nomem(err, (k + m) * sizeof *d);
    }
    for (size_t i = 0; i < m; i++) {
        const size_t row = (size_t)((double)i * (double)s->n_rows / (double)m);
        far[i] = sqrt(kth(s, row, k, d));
    }
    qsort(far, m, sizeof *far, by_double);
    *eps = far[m - 1];
    for (size_t i = 0; i < m; i++) {
        const double line =
            far[0] + (far[m - 1] - far[0]) * (double)i / (double)(m > 1 ? m - 1 : 1);
        if (line - far[i] > most) {
            most = line - far[i];
            *eps = far[i];
        }
    }
    am_free(d);
    am_free(far);
    if (*eps > 0)
        return AM_OK;
    am_fail(err, AM_EINVAL, "model.eps cannot be found: most rows are equal");
    am_hint(err, "Set model.eps.");
    return AM_EINVAL;
}

/* ---- clusters ---- */

struct found {
    size_t n_core, n_clusters;
    float *points, *groups; /* owned, in the order of the rows */
};

/* Clusters are numbered by their first core sample. */
static enum am_rc collect(struct scan *s, struct found *f, struct am_err *err)
{
    uint32_t *place = am_alloc_array(s->n_rows, sizeof *place);
    int32_t *number = am_alloc_array(s->n_rows, sizeof *number);
    enum am_rc rc = AM_OK;
    f->n_core = 0;
    for (size_t i = 0; i < s->n_rows; i++)
        f->n_core += s->core[i];
    f->points = am_alloc_array(f->n_core + 1, s->n * sizeof *f->points);
    f->groups = am_alloc_array(f->n_core + 1, sizeof *f->groups);
    if (!place || !number || !f->points || !f->groups)
        AM_GO(rc, am_fail_nomem(err, f->n_core * s->n * sizeof *f->points));
    for (size_t i = 0; i < s->n_rows; i++) {
        place[s->order[i]] = (uint32_t)i;
        number[i] = -1;
    }
    size_t at = 0;
    for (size_t row = 0; row < s->n_rows; row++) {
        if (!s->core[place[row]])
            continue;
        const uint32_t root = find(s, place[row]);
        if (number[root] < 0)
            number[root] = (int32_t)f->n_clusters++;
        memcpy(f->points + at * s->n, s->x + row * s->n, s->n * sizeof *f->points);
        f->groups[at++] = (float)number[root];
    }
out:
    am_free(place);
    am_free(number);
    return rc;
}

static enum am_rc no_clusters(const struct scan *s, struct am_err *err)
{
    am_fail(err, AM_EINVAL, "no row has %zu rows within eps = %g: all rows are noise",
            s->min_points, s->eps);
    am_hint(err, "Set a larger model.eps or fewer model.min_points.");
    return AM_EINVAL;
}

static enum am_rc finish(const struct am_learn_task *t, struct scan *s, const struct found *f,
                         struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    uint64_t *sizes = am_arena_zalloc(a, (f->n_clusters + 1) * sizeof *sizes);
    AM_TRY(am_arena_check(a, err));
    if (f->n_core == 0)
        return no_clusters(s, err);
    for (size_t i = 0; i < f->n_core; i++)
        sizes[(size_t)f->groups[i]]++;
    AM_TRY(am_clusters_places(t, f->points, f->groups, f->n_core, f->n_clusters, s->eps, out, err));
    am_learn_info(t, out, a, "dbscan", "exact");
    am_clusters_info(out, sizes, f->n_clusters, a);
    am_node_set(a, out->info, "core_samples", am_new_i64(a, (int64_t)f->n_core));
    am_node_set(a, out->info, "eps", am_new_f64(a, s->eps));
    return am_arena_check(a, err);
}

static enum am_rc check_dbscan(const struct am_learn_task *t, struct am_err *err)
{
    double eps;
    char where[AM_WHERE_CHARS];
    const struct am_node *v = am_node_get(t->model, "eps");
    AM_TRY(am_clusters_check(t, err));
    if (!am_node_as_f64(v, &eps) || eps > 0)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "%smodel.eps is %g, which holds no neighbour", am_key_where(v, where),
            eps);
    am_hint(err, "Set a radius above 0, or auto.");
    return AM_EUSAGE;
}

static enum am_rc fit_dbscan(const struct am_learn_task *t, struct am_learned *out,
                             struct am_arena *a, struct am_err *err)
{
    struct scan s = {.n_rows = (size_t)t->train->n_rows,
                     .n = t->n_features,
                     .min_points = (size_t)am_key_number(t, OPS, "min_points"),
                     .kern = am_kernels_best(),
                     .progress = t->hooks.progress};
    struct found f = {0};
    float *owned = NULL;
    enum am_rc rc;
    if (t->train->n_rows >= UINT32_MAX)
        return am_fail(err, AM_ELIMIT, "too many rows to compare all of them");
    AM_TRY(am_rows_in_ram(t->train, t->memory_bytes, &s.x, &owned, err));
    am_progress_begin(s.progress, "train", 2);
    AM_GO(rc, scan_init(&s, err));
    if (!am_node_as_f64(am_node_get(t->model, "eps"), &s.eps))
        AM_GO(rc, knee(&s, &s.eps, err));
    AM_GO(rc, pass(&s, false, t->pool, err));
    am_progress_step(s.progress, 1, 2, s.n_rows, NAN);
    AM_GO(rc, pass(&s, true, t->pool, err));
    AM_GO(rc, collect(&s, &f, err));
    rc = finish(t, &s, &f, out, a, err);
out:
    am_progress_end(s.progress);
    scan_clear(&s);
    am_free(f.points);
    am_free(f.groups);
    am_free(owned);
    return rc;
}

const struct am_learner_ops am_learner_dbscan = {
    .name = "dbscan",
    .doc = "Clusters of any shape where rows lie dense; the rest is noise.",
    .tasks = 1u << AM_TASK_CLUSTERING,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_NO_WEIGHTS,
    .check = check_dbscan,
    .fit = fit_dbscan,
};
