/* Lloyd with bounds, k-means++, mini-batches; see kmeans.h. */
#include "learn/kmeans.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/ops/distance.h"

#define PARTS_MAX 64
#define PART_ROWS 512
#define SUM_BYTES ((size_t)64 << 20) /* of the sums of all parts */
#define BLOCK AM_DISTANCE_ROWS
#define SLACK 1e-4f /* of distances in float, far more than they are wrong */
#define TRIALS_MAX 32

enum am_rc am_rows_in_ram(const struct am_train_data *data, uint64_t most, const float **x,
                          float **owned, struct am_err *err)
{
    const float *y, *w;
    uint64_t have = 0;
    size_t bytes, n = data->n_features;
    uint64_t rows[256];
    *owned = NULL;
    if (data->view && data->view(data->self, 0, x, &y, &w, &have) && have >= data->n_rows)
        return AM_OK;
    if (!am_mul_size(&bytes, (size_t)data->n_rows, n * sizeof(float)) || (most && bytes > most)) {
        am_fail(err, AM_ELIMIT, "%llu rows of %zu numbers do not fit the memory of %llu bytes",
                (unsigned long long)data->n_rows, n, (unsigned long long)most);
        am_hint(err, "Give more memory, take a sample (data.sample), or use k-means with "
                     "model.batch, which reads the rows bit by bit.");
        return AM_ELIMIT;
    }
    *owned = am_alloc(bytes ? bytes : 1);
    if (!*owned)
        return am_fail_nomem(err, bytes);
    for (uint64_t at = 0; at < data->n_rows; at += 256) {
        const size_t k = data->n_rows - at < 256 ? (size_t)(data->n_rows - at) : 256;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        enum am_rc rc = data->gather(data->self, rows, k, *owned + at * n, NULL, NULL, err);
        if (rc != AM_OK) {
            am_free(*owned);
            *owned = NULL;
            return rc;
        }
    }
    *x = *owned;
    return AM_OK;
}

void am_kmeans_clear(struct am_kmeans *m)
{
    am_free(m->centers);
    *m = (struct am_kmeans){0};
}

/* ---- one fit over rows in RAM ---- */

struct part { /* some rows; always the same ones for a shape */
    size_t begin, end;
    double *sums;   /* [k, n] of the rows of each cluster */
    double *counts; /* [k] */
    double total;   /* inertia, or a potential */
    double trials[TRIALS_MAX];
    uint64_t changed;
    float *rows, *distance, *scratch; /* [BLOCK, n], [BLOCK, k], of the distances */
};

struct fit {
    const float *x; /* [rows, n] */
    size_t rows, n, k;
    const struct am_kernels *kern;
    struct am_pool *pool;
    struct am_progress *progress;
    struct part parts[PARTS_MAX];
    size_t n_parts;
    float *centers, *packed; /* [k, n] */
    double *moved;           /* [k] how far each center went */
    float *half;             /* [k] half the way to the next center */
    int32_t *label;          /* [rows], -1 = none yet */
    float *upper, *lower;    /* [rows] bounds of the distance to the own and to any other center */
    float *near;             /* [rows] k-means++: squared distance to the nearest center so far */
    size_t most, second;     /* centers that moved farthest */
    /* of k-means++ */
    float *candidates, *packed_candidates;
    size_t n_candidates;
    void *block; /* owned: all of the above */
};

static size_t even(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t count_parts(size_t rows, size_t n, size_t k)
{
    size_t most = SUM_BYTES / sizeof(double) / (k * n + k),
           parts = (rows + PART_ROWS - 1) / PART_ROWS;
    most = most > PARTS_MAX ? PARTS_MAX : most < 1 ? 1 : most;
    return parts > most ? most : parts < 1 ? 1 : parts;
}

/* One allocation, cut up. */
static enum am_rc fit_init(struct fit *f, struct am_err *err)
{
    const size_t k = f->k, n = f->n, wide = k > TRIALS_MAX ? k : TRIALS_MAX;
    const size_t pack = even(am_distance_pack_floats(f->kern, k, n)),
                 packs = even(am_distance_pack_floats(f->kern, TRIALS_MAX, n)),
                 scratch = even(am_distance_scratch(BLOCK, n));
    f->n_parts = count_parts(f->rows, n, k);
    const size_t part = even(BLOCK * n) + even(BLOCK * wide) + scratch;
    size_t floats = even(k * n) + pack + even(k) + 4 * even(f->rows) + even(TRIALS_MAX * n) +
                    packs + f->n_parts * part;
    size_t doubles = even(k) + f->n_parts * (even(k * n) + even(k)), bytes, more;
    if (!am_mul_size(&bytes, floats, sizeof(float)) ||
        !am_mul_size(&more, doubles, sizeof(double)) || !am_add_size(&bytes, bytes, more))
        return am_fail_nomem(err, SIZE_MAX);
    double *d = f->block = am_alloc(bytes);
    if (!d)
        return am_fail_nomem(err, bytes);
    f->moved = d;
    d += even(k);
    for (size_t i = 0; i < f->n_parts; i++) {
        f->parts[i] = (struct part){.begin = f->rows * i / f->n_parts,
                                    .end = f->rows * (i + 1) / f->n_parts,
                                    .sums = d,
                                    .counts = d + even(k * n)};
        d += even(k * n) + even(k);
    }
    /* cppcheck-suppress invalidPointerCast ; one block of memory, cut into arrays */
    float *p = (float *)d;
#define TAKE(field, count)                                                                         \
    (field) = p;                                                                                   \
    p += even(count)
    TAKE(f->centers, k * n);
    TAKE(f->packed, pack);
    TAKE(f->half, k);
    TAKE(f->upper, f->rows);
    TAKE(f->lower, f->rows);
    TAKE(f->near, f->rows);
    /* cppcheck-suppress invalidPointerCast */
    f->label = (int32_t *)p;
    p += even(f->rows);
    TAKE(f->candidates, TRIALS_MAX * n);
    TAKE(f->packed_candidates, packs);
    for (size_t i = 0; i < f->n_parts; i++) {
        TAKE(f->parts[i].rows, BLOCK * n);
        TAKE(f->parts[i].distance, BLOCK * wide);
        TAKE(f->parts[i].scratch, scratch);
    }
#undef TAKE
    return AM_OK;
}

struct job {
    struct fit *f;
    void (*fn)(struct fit *f, struct part *p);
};

static void run_parts(void *ctx, size_t begin, size_t end)
{
    const struct job *j = ctx;
    for (size_t i = begin; i < end; i++)
        j->fn(j->f, &j->f->parts[i]);
}

static void each_part(struct fit *f, void (*fn)(struct fit *f, struct part *p))
{
    struct job j = {f, fn};
    am_pool_for(f->pool, f->n_parts, 1, run_parts, &j);
}

static double total_of(const struct fit *f)
{
    double s = 0;
    for (size_t i = 0; i < f->n_parts; i++)
        s += f->parts[i].total;
    return s;
}

static double squared(const float *a, const float *b, size_t n)
{
    double s[4] = {0, 0, 0, 0};
    size_t j = 0;
    for (; j + 4 <= n; j += 4)
        for (size_t k = 0; k < 4; k++) {
            const double d = (double)a[j + k] - (double)b[j + k];
            s[k] += d * d;
        }
    for (; j < n; j++) {
        const double d = (double)a[j] - (double)b[j];
        s[0] += d * d;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* ---- k-means++ ---- */

/* Squared distances to the candidates, never above what a row has already. */
static void try_candidates(struct fit *f, struct part *p)
{
    const size_t c = f->n_candidates;
    memset(p->trials, 0, sizeof p->trials);
    for (size_t i = p->begin, m; i < p->end; i += m) {
        m = p->end - i < BLOCK ? p->end - i : BLOCK;
        am_distance_run(f->kern, AM_DISTANCE_SQUARED, f->packed_candidates, f->candidates, c,
                        f->x + i * f->n, m, f->n, p->scratch, p->distance);
        for (size_t r = 0; r < m; r++)
            for (size_t j = 0; j < c; j++) {
                const float d = p->distance[r * c + j];
                p->trials[j] += (double)(d < f->near[i + r] ? d : f->near[i + r]);
            }
    }
}

/* The one candidate that stays. */
static void keep_candidate(struct fit *f, struct part *p)
{
    p->total = 0;
    for (size_t i = p->begin, m; i < p->end; i += m) {
        m = p->end - i < BLOCK ? p->end - i : BLOCK;
        am_distance_run(f->kern, AM_DISTANCE_SQUARED, f->packed_candidates, f->candidates, 1,
                        f->x + i * f->n, m, f->n, p->scratch, p->distance);
        for (size_t r = 0; r < m; r++) {
            if (p->distance[r] < f->near[i + r])
                f->near[i + r] = p->distance[r];
            p->total += (double)f->near[i + r];
        }
    }
}

static void forget_near(struct fit *f, struct part *p)
{
    for (size_t i = p->begin; i < p->end; i++)
        f->near[i] = FLT_MAX;
}

/* The row at which the sum of `near` from the first one on passes v. */
static size_t row_at(const struct fit *f, double v)
{
    size_t last = f->rows - 1;
    for (size_t i = 0; i < f->n_parts; i++) {
        const struct part *p = &f->parts[i];
        if (v >= p->total && i + 1 < f->n_parts) {
            v -= p->total;
            continue;
        }
        for (size_t r = p->begin; r < p->end; r++) {
            v -= (double)f->near[r];
            if (f->near[r] > 0)
                last = r;
            if (v < 0)
                return last;
        }
    }
    return last;
}

static void pack_candidates(struct fit *f, size_t n)
{
    f->n_candidates = n;
    am_distance_pack(f->kern, AM_DISTANCE_SQUARED, f->candidates, n, f->n, f->packed_candidates);
}

static void take_row(struct fit *f, float *to, size_t row)
{
    memcpy(to, f->x + row * f->n, f->n * sizeof *to);
}

/* Centers by k-means++; how many there are: fewer than k where rows have no more different values.
 */
static size_t plus_plus(struct fit *f, struct am_rng *rng)
{
    size_t trials = 2 + (size_t)log((double)f->k);
    trials = trials > TRIALS_MAX ? TRIALS_MAX : trials;
    each_part(f, forget_near);
    take_row(f, f->candidates, (size_t)am_rng_below(rng, f->rows));
    for (size_t c = 0;; c++) {
        double pot, best = INFINITY;
        size_t chosen = 0;
        memcpy(f->centers + c * f->n, f->candidates, f->n * sizeof *f->centers);
        pack_candidates(f, 1);
        each_part(f, keep_candidate);
        pot = total_of(f);
        if (c + 1 == f->k || !(pot > 0) || am_progress_canceled(f->progress))
            return c + 1;
        for (size_t t = 0; t < trials; t++)
            take_row(f, f->candidates + t * f->n, row_at(f, am_rng_unit(rng) * pot));
        pack_candidates(f, trials);
        each_part(f, try_candidates);
        for (size_t t = 0; t < trials; t++) {
            double sum = 0;
            for (size_t i = 0; i < f->n_parts; i++)
                sum += f->parts[i].trials[t];
            if (sum < best) {
                best = sum;
                chosen = t;
            }
        }
        memmove(f->candidates, f->candidates + chosen * f->n, f->n * sizeof *f->candidates);
    }
}

/* k different rows (Floyd's sampling keeps no list of all). */
static void random_rows(struct fit *f, struct am_rng *rng)
{
    size_t n = 0;
    uint64_t *rows = (uint64_t *)(void *)f->parts[0].sums; /* [k] of [k, n] doubles */
    for (size_t j = f->rows - f->k; j < f->rows; j++) {
        uint64_t r = am_rng_below(rng, j + 1);
        for (size_t i = 0; i < n; i++)
            if (rows[i] == r)
                r = j;
        rows[n++] = r;
    }
    for (size_t i = 0; i < n; i++)
        take_row(f, f->centers + i * f->n, (size_t)rows[i]);
}

/* ---- Lloyd ---- */

static void sum_row(struct part *p, const float *x, size_t n, int32_t c, double sign)
{
    double *s = p->sums + (size_t)c * n;
    for (size_t j = 0; j < n; j++)
        s[j] += sign * (double)x[j];
    p->counts[c] += sign;
}

static void relabel(struct fit *f, struct part *p, size_t row, int32_t c)
{
    if (f->label[row] == c)
        return;
    if (f->label[row] >= 0)
        sum_row(p, f->x + row * f->n, f->n, f->label[row], -1);
    sum_row(p, f->x + row * f->n, f->n, c, 1);
    f->label[row] = c;
    p->changed++;
}

/* The nearest and the second of d [k]. */
static void two_nearest(const float *d, size_t k, size_t *nearest, float *first, float *second)
{
    float a = d[0], b = INFINITY;
    size_t at = 0;
    for (size_t j = 1; j < k; j++) {
        if (d[j] < a) {
            b = a;
            a = d[j];
            at = j;
        } else if (d[j] < b) {
            b = d[j];
        }
    }
    *nearest = at;
    *first = a;
    *second = b;
}

/* m rows, numbers in which; compared with all centers. */
static void compare(struct fit *f, struct part *p, const float *x, const size_t *which, size_t m)
{
    am_distance_run(f->kern, AM_DISTANCE_SQUARED, f->packed, f->centers, f->k, x, m, f->n,
                    p->scratch, p->distance);
    for (size_t r = 0; r < m; r++) {
        float a, b;
        size_t c;
        two_nearest(p->distance + r * f->k, f->k, &c, &a, &b);
        relabel(f, p, which[r], (int32_t)c);
        f->upper[which[r]] = sqrtf(a);
        f->lower[which[r]] = sqrtf(b);
    }
}

/* Can the row's cluster have changed? Bounds follow the centers first. */
static bool may_change(const struct fit *f, size_t i)
{
    const int32_t c = f->label[i];
    if (c < 0)
        return true;
    f->upper[i] = (f->upper[i] + (float)f->moved[c]) * (1 + 1e-6f);
    f->lower[i] -= (float)f->moved[(size_t)c == f->most ? f->second : f->most] * (1 + 1e-6f);
    const float least = f->half[c] > f->lower[i] ? f->half[c] : f->lower[i];
    if (f->upper[i] * (1 + SLACK) < least)
        return false;
    f->upper[i] = sqrtf((float)squared(f->x + i * f->n, f->centers + (size_t)c * f->n, f->n));
    return !(f->upper[i] * (1 + SLACK) < least);
}

static void assign(struct fit *f, struct part *p)
{
    size_t which[BLOCK], m = 0;
    p->changed = 0;
    for (size_t i = p->begin; i < p->end; i++) {
        if (may_change(f, i)) {
            memcpy(p->rows + m * f->n, f->x + i * f->n, f->n * sizeof *p->rows);
            which[m++] = i;
        }
        if (m == BLOCK) {
            compare(f, p, p->rows, which, m);
            m = 0;
        }
    }
    if (m)
        compare(f, p, p->rows, which, m);
}

static void forget(struct fit *f, struct part *p)
{
    for (size_t i = p->begin; i < p->end; i++)
        f->label[i] = -1;
    memset(p->sums, 0, f->k * f->n * sizeof *p->sums);
    memset(p->counts, 0, f->k * sizeof *p->counts);
}

static void add_inertia(struct fit *f, struct part *p)
{
    p->total = 0;
    for (size_t i = p->begin; i < p->end; i++)
        p->total += squared(f->x + i * f->n, f->centers + (size_t)f->label[i] * f->n, f->n);
}

/* A cluster without rows gets the row that is farthest from its center. */
static void fill_empty(struct fit *f, size_t c)
{
    double far = -1;
    size_t row = 0, at = 0;
    for (size_t i = 0; i < f->n_parts; i++)
        for (size_t r = f->parts[i].begin; r < f->parts[i].end; r++) {
            const double d =
                squared(f->x + r * f->n, f->centers + (size_t)f->label[r] * f->n, f->n);
            if (d > far) {
                far = d;
                row = r;
                at = i;
            }
        }
    relabel(f, &f->parts[at], row, (int32_t)c);
    take_row(f, f->centers + c * f->n, row);
}

/* New centers from the sums; the squared length of all shifts. */
static double move_centers(struct fit *f)
{
    double shift = 0;
    bool refill = false;
    for (size_t c = 0; c < f->k; c++) {
        double n = 0;
        for (size_t i = 0; i < f->n_parts; i++)
            n += f->parts[i].counts[c];
        if (n < 0.5) {
            fill_empty(f, c);
            refill = true;
        }
    }
    f->most = f->second = 0;
    for (size_t c = 0; c < f->k; c++) {
        double n = 0, d = 0;
        for (size_t i = 0; i < f->n_parts; i++)
            n += f->parts[i].counts[c];
        for (size_t j = 0; n > 0.5 && j < f->n; j++) {
            double s = 0;
            for (size_t i = 0; i < f->n_parts; i++)
                s += f->parts[i].sums[c * f->n + j];
            const float to = (float)(s / n);
            const double step = (double)to - (double)f->centers[c * f->n + j];
            d += step * step;
            f->centers[c * f->n + j] = to;
        }
        shift += d;
        f->moved[c] = sqrt(d);
        if (c == 0 || f->moved[c] > f->moved[f->most]) {
            f->second = f->most;
            f->most = c;
        } else if (f->second == f->most || f->moved[c] > f->moved[f->second]) {
            f->second = c;
        }
    }
    for (size_t i = 0; refill && i < f->rows; i++) { /* bounds mean nothing now */
        f->upper[i] = FLT_MAX;
        f->lower[i] = 0;
    }
    return shift;
}

/* Half of each center's way to the next one. */
static void half_ways(struct fit *f)
{
    for (size_t at = 0, m; at < f->k; at += m) {
        struct part *p = &f->parts[0];
        m = f->k - at < BLOCK ? f->k - at : BLOCK;
        am_distance_run(f->kern, AM_DISTANCE_SQUARED, f->packed, f->centers, f->k,
                        f->centers + at * f->n, m, f->n, p->scratch, p->distance);
        for (size_t r = 0; r < m; r++) {
            float least = FLT_MAX;
            for (size_t j = 0; j < f->k; j++)
                if (j != at + r && p->distance[r * f->k + j] < least)
                    least = p->distance[r * f->k + j];
            f->half[at + r] = sqrtf(least) / 2;
        }
    }
}

/* From f->centers on; the bounds are exact as long as they are kept, so this is Lloyd's result. */
static enum am_rc lloyd(struct fit *f, const struct am_kmeans_options *o, double tolerance,
                        struct am_kmeans *out, struct am_err *err)
{
    each_part(f, forget);
    memset(f->moved, 0, f->k * sizeof *f->moved);
    out->converged = false;
    for (out->iterations = 0; out->iterations < o->max_iterations && !out->converged;) {
        uint64_t changed = 0;
        am_distance_pack(f->kern, AM_DISTANCE_SQUARED, f->centers, f->k, f->n, f->packed);
        half_ways(f);
        each_part(f, assign);
        for (size_t i = 0; i < f->n_parts; i++)
            changed += f->parts[i].changed;
        out->converged = changed == 0;
        if (am_progress_canceled(f->progress))
            return am_fail(err, AM_ECANCELED, "canceled while clusters were sought");
        out->iterations++;
        if (!out->converged)
            out->converged = move_centers(f) <= tolerance;
        am_progress_step(f->progress, out->iterations, o->max_iterations, out->iterations * f->rows,
                         NAN);
    }
    /* the rows as the last centers have them */
    am_distance_pack(f->kern, AM_DISTANCE_SQUARED, f->centers, f->k, f->n, f->packed);
    half_ways(f);
    each_part(f, assign);
    each_part(f, add_inertia);
    out->inertia = total_of(f);
    return AM_OK;
}

/* Mean over the columns of their variances, about the first row so that no digits are lost. */
static double mean_variance(const float *x, size_t rows, size_t n, double *sums /* [2 n] */)
{
    double total = 0;
    memset(sums, 0, 2 * n * sizeof *sums);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) {
            const double v = (double)x[i * n + j] - (double)x[j];
            sums[j] += v;
            sums[n + j] += v * v;
        }
    for (size_t j = 0; j < n; j++)
        total += (sums[n + j] - sums[j] * sums[j] / (double)rows) / (double)rows;
    return total > 0 ? total / (double)n : 0;
}

static enum am_rc take(struct fit *f, size_t k, struct am_kmeans *best, const struct am_kmeans *now,
                       struct am_err *err)
{
    float *c = am_alloc_array(k, f->n * sizeof *c);
    if (!c)
        return am_fail_nomem(err, k * f->n * sizeof *c);
    memcpy(c, f->centers, k * f->n * sizeof *c);
    am_free(best->centers);
    *best = *now;
    best->centers = c;
    best->k = k;
    best->n = f->n;
    return AM_OK;
}

static enum am_rc fit_lloyd(const float *x, size_t rows, size_t n,
                            const struct am_kmeans_options *o, struct am_pool *pool,
                            struct am_progress *progress, struct am_kmeans *out, struct am_err *err)
{
    struct fit *f = am_calloc(1, sizeof *f);
    struct am_kmeans best = {.inertia = INFINITY};
    double tolerance, *sums = am_alloc_array(2 * n, sizeof *sums);
    enum am_rc rc = AM_OK;
    if (!f || !sums) {
        am_free(f);
        am_free(sums);
        return am_fail_nomem(err, sizeof *f);
    }
    tolerance = o->tolerance * mean_variance(x, rows, n, sums);
    am_free(sums);
    *f = (struct fit){.x = x,
                      .rows = rows,
                      .n = n,
                      .k = o->k,
                      .kern = am_kernels_best(),
                      .pool = pool,
                      .progress = progress};
    AM_GO(rc, fit_init(f, err));
    for (size_t start = 0; start < o->n_init; start++) {
        struct am_kmeans now = {.start = start};
        struct am_rng rng;
        am_rng_init(&rng, o->seed + start, AM_RNG_CLUSTER);
        f->k = o->k;
        if (o->random_init)
            random_rows(f, &rng);
        else
            f->k = plus_plus(f, &rng);
        AM_GO(rc, lloyd(f, o, tolerance, &now, err));
        if (now.inertia < best.inertia)
            AM_GO(rc, take(f, f->k, &best, &now, err));
    }
    if (!best.centers)
        rc = am_fail(err, AM_EINVAL, "the rows hold numbers too large to measure distances");
out:
    am_free(f->block);
    am_free(f);
    if (rc != AM_OK)
        am_free(best.centers);
    else
        *out = best;
    return rc;
}

/* ---- mini-batches ---- */

struct small { /* what a batch needs */
    float *x, *distance, *scratch, *packed;
    uint64_t *rows;
    double *counts, *centers; /* [k], [k, n] */
    float *now;               /* [k, n] the centers in float */
    const struct am_kernels *kern;
};

static void small_clear(struct small *s)
{
    am_free(s->x);
    am_free(s->distance);
    am_free(s->scratch);
    am_free(s->packed);
    am_free(s->rows);
    am_free(s->counts);
    am_free(s->centers);
    am_free(s->now);
}

static enum am_rc small_init(struct small *s, size_t batch, size_t first, size_t n, size_t k,
                             struct am_err *err)
{
    const size_t most = batch > first ? batch : first;
    s->kern = am_kernels_best();
    s->x = am_alloc_array(most, n * sizeof *s->x);
    s->distance = am_alloc_array(BLOCK, k * sizeof *s->distance);
    s->scratch = am_alloc_array(am_distance_scratch(BLOCK, n) + 1, sizeof *s->scratch);
    s->packed = am_alloc_array(am_distance_pack_floats(s->kern, k, n), sizeof *s->packed);
    s->rows = am_alloc_array(most, sizeof *s->rows);
    s->counts = am_calloc(k, sizeof *s->counts);
    s->centers = am_calloc(k, n * sizeof *s->centers);
    s->now = am_calloc(k, n * sizeof *s->now);
    return s->x && s->distance && s->scratch && s->packed && s->rows && s->counts && s->centers &&
                   s->now
               ? AM_OK
               : am_fail_nomem(err, most * n * sizeof *s->x);
}

static void draw_rows(struct small *s, struct am_rng *rng, uint64_t n_rows, size_t m)
{
    for (size_t i = 0; i < m; i++)
        s->rows[i] = am_rng_below(rng, n_rows);
}

/* The rows in order; each draws its center nearer by 1 / (rows that the center had). The mean
 * squared distance before. */
static double small_step(struct small *s, size_t m, size_t n, size_t k, bool learn)
{
    double total = 0;
    am_distance_pack(s->kern, AM_DISTANCE_SQUARED, s->now, k, n, s->packed);
    for (size_t at = 0, b; at < m; at += b) {
        b = m - at < BLOCK ? m - at : BLOCK;
        am_distance_run(s->kern, AM_DISTANCE_SQUARED, s->packed, s->now, k, s->x + at * n, b, n,
                        s->scratch, s->distance);
        for (size_t r = 0; r < b; r++) {
            float first, second;
            size_t c;
            two_nearest(s->distance + r * k, k, &c, &first, &second);
            total += (double)first;
            if (!learn)
                continue;
            s->counts[c]++;
            for (size_t j = 0; j < n; j++)
                s->centers[c * n + j] +=
                    ((double)s->x[(at + r) * n + j] - s->centers[c * n + j]) / s->counts[c];
        }
    }
    for (size_t i = 0; learn && i < k * n; i++)
        s->now[i] = (float)s->centers[i];
    return total;
}

#define NO_BETTER 10 /* batches in a row without a lower average */

static enum am_rc small_steps(const struct am_train_data *data, const struct am_kmeans_options *o,
                              struct small *s, struct am_rng *rng, struct am_progress *progress,
                              struct am_kmeans *m, struct am_err *err)
{
    const size_t batch = o->batch;
    uint64_t steps = o->max_iterations * ((data->n_rows + batch - 1) / batch);
    double mean = NAN, best = INFINITY, alpha = 2.0 * (double)batch / ((double)data->n_rows + 1);
    size_t worse = 0;
    alpha = alpha > 1 ? 1 : alpha;
    m->converged = false;
    for (m->iterations = 0; m->iterations < steps && !m->converged; m->iterations++) {
        draw_rows(s, rng, data->n_rows, batch);
        AM_TRY(data->gather(data->self, s->rows, batch, s->x, NULL, NULL, err));
        const double now = small_step(s, batch, m->n, m->k, true) / (double)batch;
        mean = m->iterations == 0 ? now : mean * (1 - alpha) + now * alpha;
        worse = mean < best ? 0 : worse + 1;
        best = mean < best ? mean : best;
        m->converged = worse >= NO_BETTER;
        if (am_progress_canceled(progress))
            return am_fail(err, AM_ECANCELED, "canceled while clusters were sought");
        am_progress_step(progress, m->iterations + 1, steps, (m->iterations + 1) * batch, now);
    }
    return AM_OK;
}

static enum am_rc small_inertia(const struct am_train_data *data, struct small *s, size_t batch,
                                struct am_kmeans *m, struct am_err *err)
{
    m->inertia = 0;
    for (uint64_t at = 0; at < data->n_rows; at += batch) {
        const size_t b = data->n_rows - at < batch ? (size_t)(data->n_rows - at) : batch;
        for (size_t i = 0; i < b; i++)
            s->rows[i] = at + i;
        AM_TRY(data->gather(data->self, s->rows, b, s->x, NULL, NULL, err));
        m->inertia += small_step(s, b, m->n, m->k, false);
    }
    return AM_OK;
}

/* One start: centers from a few batches' rows, then steps. */
static enum am_rc small_start(const struct am_train_data *data, const struct am_kmeans_options *o,
                              struct am_pool *pool, struct am_progress *progress, struct small *s,
                              size_t first, struct am_kmeans *m, struct am_err *err)
{
    struct am_kmeans_options begin = *o;
    struct am_kmeans init = {0};
    struct am_rng rng;
    am_rng_init(&rng, o->seed + m->start, AM_RNG_CLUSTER + 1);
    draw_rows(s, &rng, data->n_rows, first);
    AM_TRY(data->gather(data->self, s->rows, first, s->x, NULL, NULL, err));
    begin.n_init = 1;
    begin.max_iterations = 1;
    begin.seed = o->seed + m->start;
    AM_TRY(fit_lloyd(s->x, first, data->n_features, &begin, pool, NULL, &init, err));
    m->k = init.k;
    m->n = init.n;
    memset(s->counts, 0, o->k * sizeof *s->counts);
    for (size_t i = 0; i < m->k * m->n; i++) {
        s->now[i] = init.centers[i];
        s->centers[i] = (double)init.centers[i];
    }
    am_kmeans_clear(&init);
    AM_TRY(small_steps(data, o, s, &rng, progress, m, err));
    return small_inertia(data, s, o->batch, m, err);
}

static enum am_rc fit_batches(const struct am_train_data *data, const struct am_kmeans_options *o,
                              struct am_pool *pool, struct am_progress *progress,
                              struct am_kmeans *out, struct am_err *err)
{
    struct small s = {0};
    struct am_kmeans best = {.inertia = INFINITY};
    const size_t n = data->n_features;
    size_t first = 3 * o->batch < 3 * o->k ? 3 * o->k : 3 * o->batch;
    enum am_rc rc;
    if (first > data->n_rows)
        first = (size_t)data->n_rows;
    AM_GO(rc, small_init(&s, o->batch, first, n, o->k, err));
    for (size_t start = 0; start < o->n_init; start++) {
        struct am_kmeans m = {.start = start};
        AM_GO(rc, small_start(data, o, pool, progress, &s, first, &m, err));
        if (!(m.inertia < best.inertia))
            continue;
        struct fit f = {.n = n, .centers = s.now};
        AM_GO(rc, take(&f, m.k, &best, &m, err));
    }
    if (!best.centers)
        rc = am_fail(err, AM_EINVAL, "the rows hold numbers too large to measure distances");
out:
    small_clear(&s);
    if (rc != AM_OK)
        am_free(best.centers);
    else
        *out = best;
    return rc;
}

enum am_rc am_kmeans_fit(const struct am_train_data *data, const struct am_kmeans_options *o,
                         struct am_pool *pool, struct am_progress *progress, struct am_kmeans *out,
                         struct am_err *err)
{
    const float *x;
    float *owned;
    *out = (struct am_kmeans){0};
    if (o->k > data->n_rows) {
        am_fail(err, AM_EINVAL, "%zu clusters of %llu rows", o->k,
                (unsigned long long)data->n_rows);
        am_hint(err, "Ask for fewer clusters than there are training rows.");
        return AM_EINVAL;
    }
    if (o->batch)
        return fit_batches(data, o, pool, progress, out, err);
    AM_TRY(am_rows_in_ram(data, 0, &x, &owned, err));
    enum am_rc rc =
        fit_lloyd(x, (size_t)data->n_rows, data->n_features, o, pool, progress, out, err);
    am_free(owned);
    return rc;
}
