/* Sums over sparse rows; see sparse.h. */
#include "learn/sparse.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"

#define PARTS_MAX 8
#define PARTS_BYTES ((size_t)256 << 20) /* of all parts' sums: fewer parts where they are long */
#define PART_ROWS 256                   /* at least */
#define CHUNK 1024                      /* rows read at once */

enum am_rc am_sparse_sum_init(struct am_sparse_sum *s, const struct am_train_data *data,
                              size_t n_sums, struct am_pool *pool, struct am_progress *progress,
                              struct am_err *err)
{
    size_t most = PARTS_BYTES / sizeof(double) / (n_sums ? n_sums : 1);
    *s = (struct am_sparse_sum){
        .data = data, .pool = pool, .progress = progress, .n_sums = n_sums, .n_parts = 1};
    while (s->n_parts < PARTS_MAX && s->n_parts * 2 <= most &&
           data->n_rows / (s->n_parts * 2) >= PART_ROWS)
        s->n_parts *= 2;
    s->sums = am_alloc_array(s->n_parts, n_sums * sizeof *s->sums);
    s->rows = am_calloc(s->n_parts, sizeof *s->rows);
    s->targets = am_alloc_array(s->n_parts, CHUNK * sizeof *s->targets);
    s->weights = am_alloc_array(s->n_parts, CHUNK * sizeof *s->weights);
    if (s->sums && s->rows && s->targets && s->weights)
        return AM_OK;
    am_sparse_sum_clear(s);
    return am_fail_nomem(err, most * n_sums * sizeof *s->sums);
}

void am_sparse_sum_clear(struct am_sparse_sum *s)
{
    for (size_t i = 0; s->rows && i < s->n_parts; i++)
        am_csr_clear(&s->rows[i]);
    am_free(s->rows);
    am_free(s->sums);
    am_free(s->targets);
    am_free(s->weights);
    *s = (struct am_sparse_sum){0};
}

struct job {
    struct am_sparse_sum *s;
    void (*fn)(void *ctx, const struct am_sparse_rows_view *r, double *sums);
    void *ctx;
    pthread_mutex_t lock; /* guards rc and err */
    enum am_rc rc;
    struct am_err err;
};

/* Up to n rows from `first`: in place where they lie in RAM, else copied. */
static enum am_rc fetch(struct am_sparse_sum *s, size_t part, uint64_t first, size_t n,
                        struct am_sparse_rows_view *r, struct am_err *err)
{
    const struct am_train_data *d = s->data;
    uint64_t rows[CHUNK];
    if (d->view_sparse && d->view_sparse(d->self, first, &r->x, &r->y, &r->w)) {
        r->x.n_rows = r->x.n_rows < n ? r->x.n_rows : n;
        return AM_OK;
    }
    n = n < CHUNK ? n : CHUNK;
    for (size_t i = 0; i < n; i++)
        rows[i] = first + i;
    am_csr_reset(&s->rows[part], d->n_features);
    AM_TRY(d->gather_sparse(d->self, rows, n, &s->rows[part], s->targets + part * CHUNK,
                            s->weights + part * CHUNK, err));
    r->x = am_csr_of(&s->rows[part]);
    r->y = s->targets + part * CHUNK;
    r->w = s->weights + part * CHUNK;
    return AM_OK;
}

static enum am_rc one_part(struct job *j, size_t part, struct am_err *err)
{
    struct am_sparse_sum *s = j->s;
    const uint64_t n = s->data->n_rows, end = n * (part + 1) / s->n_parts;
    double *sums = s->sums + part * s->n_sums;
    struct am_sparse_rows_view r;
    memset(sums, 0, s->n_sums * sizeof *sums);
    for (uint64_t at = n * part / s->n_parts; at < end; at += r.x.n_rows) {
        if (am_progress_canceled(s->progress))
            return am_fail(err, AM_ECANCELED, "training was interrupted");
        AM_TRY(fetch(s, part, at, (size_t)(end - at), &r, err));
        j->fn(j->ctx, &r, sums);
    }
    return AM_OK;
}

static void parts(void *ctx, size_t begin, size_t end)
{
    struct job *j = ctx;
    for (size_t part = begin; part < end; part++) {
        struct am_err err;
        const enum am_rc rc = one_part(j, part, &err);
        if (rc == AM_OK)
            continue;
        pthread_mutex_lock(&j->lock);
        j->rc = rc;
        j->err = err;
        pthread_mutex_unlock(&j->lock);
    }
}

enum am_rc am_sparse_sum_run(struct am_sparse_sum *s,
                             void (*fn)(void *ctx, const struct am_sparse_rows_view *r,
                                        double *sums),
                             void *ctx, double *total, struct am_err *err)
{
    struct job j = {.s = s, .fn = fn, .ctx = ctx, .rc = AM_OK};
    pthread_mutex_init(&j.lock, NULL);
    if (s->n_parts == 1)
        parts(&j, 0, 1);
    else
        am_pool_for(s->pool, s->n_parts, 1, parts, &j);
    pthread_mutex_destroy(&j.lock);
    if (j.rc != AM_OK) {
        if (err)
            *err = j.err;
        return j.rc;
    }
    for (size_t step = 1; step < s->n_parts; step *= 2)
        for (size_t i = 0; i + step < s->n_parts; i += 2 * step) {
            double *a = s->sums + i * s->n_sums;
            const double *b = s->sums + (i + step) * s->n_sums;
            for (size_t k = 0; k < s->n_sums; k++)
                a[k] += b[k];
        }
    memcpy(total, s->sums, s->n_sums * sizeof *total);
    return AM_OK;
}

/* ---- work on rows ---- */

static double weight(const struct am_sparse_rows_view *r, size_t i)
{
    return r->w ? (double)r->w[i] : 1;
}

static double product(const struct am_csr *x, size_t i, const double *coef)
{
    double z = coef[x->n_cols];
    for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++)
        z += coef[x->cols[e]] * (double)x->vals[e];
    return z;
}

static void add_row(const struct am_csr *x, size_t i, double d, double *g)
{
    for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++)
        g[x->cols[e]] += d * (double)x->vals[e];
    g[x->n_cols] += d;
}

void am_sparse_moments(const struct am_sparse_rows_view *r, double *out)
{
    const struct am_csr *x = &r->x;
    double *s1 = out + 3, *s2 = s1 + x->n_cols;
    for (size_t i = 0; i < x->n_rows; i++) {
        const double w = weight(r, i), y = (double)r->y[i];
        out[0] += w;
        out[1] += w * y;
        out[2] += w * y * y;
        for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++) {
            const double v = (double)x->vals[e];
            s1[x->cols[e]] += w * v;
            s2[x->cols[e]] += w * v * v;
        }
    }
}

void am_sparse_logistic(const struct am_sparse_rows_view *r, const double *coef,
                        const double class_weights[2], double *out)
{
    for (size_t i = 0; i < r->x.n_rows; i++) {
        const double z = product(&r->x, i, coef), y = (double)r->y[i];
        const double w = weight(r, i) * class_weights[y > 0.5];
        const double e = exp(-fabs(z)), p = (z < 0 ? e : 1) / (1 + e);
        out[0] += w * ((z > 0 ? z : 0) - y * z + log1p(e));
        add_row(&r->x, i, w * (p - y), out + 1);
    }
}

void am_sparse_softmax(const struct am_sparse_rows_view *r, size_t k, const double *coef,
                       const double *class_weights, double *out)
{
    const size_t m = r->x.n_cols + 1;
    double *z = out + 1 + k * m; /* the caller's sums end with room for k numbers */
    for (size_t i = 0; i < r->x.n_rows; i++) {
        const size_t y = (size_t)r->y[i];
        const double w = weight(r, i) * class_weights[y];
        double best = -INFINITY, sum = 0;
        for (size_t q = 0; q < k; q++) {
            z[q] = product(&r->x, i, coef + q * m);
            best = z[q] > best ? z[q] : best;
        }
        out[0] -= w * (z[y] - best);
        for (size_t q = 0; q < k; q++)
            sum += z[q] = exp(z[q] - best);
        /* cppcheck-suppress invalidFunctionArg ; the largest adds 1 */
        out[0] += w * log(sum);
        for (size_t q = 0; q < k; q++)
            add_row(&r->x, i, w * (z[q] / sum - (q == y)), out + 1 + q * m);
    }
}

void am_sparse_squares(const struct am_sparse_rows_view *r, const double *coef, double *out)
{
    for (size_t i = 0; i < r->x.n_rows; i++) {
        const double d = product(&r->x, i, coef) - (double)r->y[i], w = weight(r, i);
        out[0] += w * d * d / 2;
        add_row(&r->x, i, w * d, out + 1);
    }
}
