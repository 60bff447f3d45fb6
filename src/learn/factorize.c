/* Alternating least squares and BPR; see factorize.h. */
#include "learn/factorize.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/rng.h"

void am_choices_clear(struct am_choices *c)
{
    am_free(c->start);
    am_free(c->col);
    am_free(c->value);
    *c = (struct am_choices){0};
}

struct choice {
    uint32_t col;
    float value;
    size_t at; /* of the triple: equal pairs keep their order */
};

static int by_col(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->col != y->col)
        return x->col < y->col ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Sorts each row; merges equal pairs where asked. */
static void settle(struct am_choices *c, struct choice *all, bool merge)
{
    size_t n = 0;
    for (size_t r = 0; r < c->n_rows; r++) {
        const size_t begin = c->start[r], end = c->start[r + 1], first = n;
        qsort(all + begin, end - begin, sizeof *all, by_col);
        c->start[r] = n;
        for (size_t i = begin; i < end; i++) {
            if (merge && n > first && c->col[n - 1] == all[i].col) {
                c->value[n - 1] += all[i].value;
                continue;
            }
            c->col[n] = all[i].col;
            c->value[n++] = all[i].value;
        }
    }
    c->start[c->n_rows] = n;
}

enum am_rc am_choices_make(const uint32_t *rows, const uint32_t *cols, const float *values,
                           size_t n, size_t n_rows, size_t n_cols, bool merge,
                           struct am_choices *out, struct am_err *err)
{
    struct choice *all = am_alloc_array(n + 1, sizeof *all);
    size_t *next = am_calloc(n_rows + 1, sizeof *next);
    enum am_rc rc = AM_OK;
    *out = (struct am_choices){.n_rows = n_rows, .n_cols = n_cols};
    out->start = am_calloc(n_rows + 1, sizeof *out->start);
    out->col = am_alloc_array(n + 1, sizeof *out->col);
    out->value = am_alloc_array(n + 1, sizeof *out->value);
    if (!all || !next || !out->start || !out->col || !out->value)
        AM_GO(rc, am_fail_nomem(err, n * sizeof *all));
    for (size_t i = 0; i < n; i++)
        out->start[rows[i] + 1]++;
    for (size_t r = 0; r < n_rows; r++) {
        out->start[r + 1] += out->start[r];
        next[r] = out->start[r];
    }
    for (size_t i = 0; i < n; i++)
        all[next[rows[i]]++] = (struct choice){cols[i], values[i], i};
    settle(out, all, merge);
out:
    am_free(all);
    am_free(next);
    if (rc != AM_OK)
        am_choices_clear(out);
    return rc;
}

void am_factors_start(double *users, size_t n_users, double *items, size_t n_items, size_t factors,
                      uint64_t seed)
{
    for (size_t side = 0; side < 2; side++) {
        double *v = side ? items : users;
        struct am_rng rng;
        am_rng_init(&rng, seed, AM_RNG_FACTORS + side);
        for (size_t i = 0; i < (side ? n_items : n_users); i++)
            for (size_t j = 0; j <= factors; j++)
                v[i * (factors + 1) + j] = j < factors ? 0.1 * am_rng_normal(&rng) : 0;
    }
}

/* ---- alternating least squares ---- */

struct half { /* one side is solved, the other stands */
    const struct am_choices *by;
    const struct am_factor_options *o;
    const double *other; /* [n_cols, f + 1] */
    double *own;         /* [n_rows, f + 1] */
    const double *gram;  /* [f, f] of the other side; implicit */
    double mean;
    atomic_bool failed, singular;
};

/* L L^T x = b in place; false = not positive definite */
static bool solve(double *a, double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double s = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                s -= a[i * n + k] * a[j * n + k];
            if (i == j && !(s > 0))
                return false;
            a[i * n + j] = i == j ? sqrt(s) : s / a[j * n + j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}

/* Ratings less mean and the other's bias, by [other, 1]. */
static void explicit_system(const struct half *h, size_t row, double *a, double *b)
{
    const size_t f = h->o->factors, n = f + 1, begin = h->by->start[row],
                 end = h->by->start[row + 1];
    memset(a, 0, n * n * sizeof *a);
    memset(b, 0, n * sizeof *b);
    for (size_t k = begin; k < end; k++) {
        const double *v = h->other + h->by->col[k] * n,
                     r = (double)h->by->value[k] - h->mean - v[f];
        for (size_t i = 0; i < n; i++) {
            const double w = i < f ? v[i] : 1;
            for (size_t j = 0; j <= i; j++)
                a[i * n + j] += w * (j < f ? v[j] : 1);
            b[i] += w * r;
        }
    }
    for (size_t i = 0; i < n; i++)
        a[i * n + i] += h->o->regularization * (double)(end - begin);
}

static void implicit_system(const struct half *h, size_t row, double *a, double *b)
{
    const size_t f = h->o->factors;
    memcpy(a, h->gram, f * f * sizeof *a);
    memset(b, 0, f * sizeof *b);
    for (size_t k = h->by->start[row]; k < h->by->start[row + 1]; k++) {
        const double *v = h->other + h->by->col[k] * (f + 1),
                     w = h->o->alpha * (double)h->by->value[k];
        for (size_t i = 0; i < f; i++) {
            for (size_t j = 0; j <= i; j++)
                a[i * f + j] += w * v[i] * v[j];
            b[i] += (w > 0 ? 1 + w : 0) * v[i];
        }
    }
    for (size_t i = 0; i < f; i++)
        a[i * f + i] += h->o->regularization;
}

static void solve_rows(void *ctx, size_t begin, size_t end)
{
    struct half *h = ctx;
    const size_t f = h->o->factors, n = f + 1;
    const bool implicit = h->o->method == AM_FACTORS_IMPLICIT;
    double *a = am_alloc_array(n * n + n, sizeof *a);
    if (!a) {
        atomic_store(&h->failed, true);
        return;
    }
    double *b = a + n * n;
    for (size_t row = begin; row < end; row++) {
        double *own = h->own + row * n;
        memset(own, 0, n * sizeof *own);
        if (h->by->start[row] == h->by->start[row + 1])
            continue;
        if (implicit)
            implicit_system(h, row, a, b);
        else
            explicit_system(h, row, a, b);
        if (!solve(a, b, implicit ? f : n))
            atomic_store(&h->singular, true);
        else
            memcpy(own, b, (implicit ? f : n) * sizeof *own);
    }
    am_free(a);
}

/* Lower triangle of V^T V, in the order of the rows. */
static void gram_of(const double *v, size_t rows, size_t f, double *g)
{
    memset(g, 0, f * f * sizeof *g);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < f; i++)
            for (size_t j = 0; j <= i; j++)
                g[i * f + j] += v[r * (f + 1) + i] * v[r * (f + 1) + j];
}

static enum am_rc solve_side(struct half *h, double *gram, struct am_pool *pool, struct am_err *err)
{
    if (h->o->method == AM_FACTORS_IMPLICIT)
        gram_of(h->other, h->by->n_cols, h->o->factors, gram);
    h->gram = gram;
    am_pool_for(pool, h->by->n_rows, 16, solve_rows, h);
    if (atomic_load(&h->failed))
        return am_fail_nomem(err, h->o->factors * h->o->factors * sizeof(double));
    if (!atomic_load(&h->singular))
        return AM_OK;
    am_fail(err, AM_EINVAL, "a system of least squares has no single solution");
    am_hint(err, "Set model.regularization above 0, or fewer factors.");
    return AM_EINVAL;
}

static enum am_rc alternate(const struct am_choices *by_user, const struct am_choices *by_item,
                            const struct am_factor_options *o, double mean, double *users,
                            double *items, struct am_pool *pool, struct am_progress *progress,
                            struct am_err *err)
{
    double *gram = am_alloc_array(o->factors, o->factors * sizeof *gram);
    enum am_rc rc = AM_OK;
    if (!gram)
        return am_fail_nomem(err, o->factors * o->factors * sizeof *gram);
    for (size_t k = 0; k < o->iterations && rc == AM_OK; k++) {
        struct half u = {.by = by_user, .o = o, .other = items, .own = users, .mean = mean},
                    v = {.by = by_item, .o = o, .other = users, .own = items, .mean = mean};
        rc = solve_side(&u, gram, pool, err);
        if (rc == AM_OK)
            rc = solve_side(&v, gram, pool, err);
        am_progress_step(progress, k + 1, o->iterations, 0, NAN);
        if (rc == AM_OK && am_progress_canceled(progress))
            rc = am_fail(err, AM_ECANCELED, "canceled while factors were learned");
    }
    am_free(gram);
    return rc;
}

/* ---- Bayesian personalised ranking ---- */

static bool has_chosen(const struct am_choices *c, size_t row, uint32_t col)
{
    size_t lo = c->start[row], hi = c->start[row + 1];
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (c->col[mid] < col)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->start[row + 1] && c->col[lo] == col;
}

#define TRIES 32 /* for an item that the user has not chosen */

static void bpr_step(const struct am_choices *c, const uint32_t *user_of,
                     const struct am_factor_options *o, struct am_rng *rng, double *users,
                     double *items)
{
    const size_t f = o->factors, n = f + 1, k = (size_t)am_rng_below(rng, c->start[c->n_rows]),
                 row = user_of[k];
    uint32_t other = 0;
    double x = 0;
    unsigned tries = 0;
    for (; tries < TRIES; tries++) {
        other = (uint32_t)am_rng_below(rng, c->n_cols);
        if (!has_chosen(c, row, other))
            break;
    }
    if (tries == TRIES)
        return;
    double *u = users + row * n, *i = items + c->col[k] * n, *j = items + other * n;
    x = i[f] - j[f];
    for (size_t q = 0; q < f; q++)
        x += u[q] * (i[q] - j[q]);
    const double g = 1 / (1 + exp(x)), rate = o->learning_rate, r = o->regularization;
    for (size_t q = 0; q < f; q++) {
        const double uq = u[q];
        u[q] += rate * (g * (i[q] - j[q]) - r * u[q]);
        i[q] += rate * (g * uq - r * i[q]);
        j[q] += rate * (-g * uq - r * j[q]);
    }
    i[f] += rate * (g - r * i[f]);
    j[f] += rate * (-g - r * j[f]);
}

static enum am_rc rank_pairs(const struct am_choices *c, const struct am_factor_options *o,
                             double *users, double *items, struct am_progress *progress,
                             struct am_err *err)
{
    const size_t n = c->start[c->n_rows];
    uint32_t *user_of = am_alloc_array(n + 1, sizeof *user_of);
    struct am_rng rng;
    enum am_rc rc = AM_OK;
    if (!user_of)
        return am_fail_nomem(err, n * sizeof *user_of);
    for (size_t r = 0; r < c->n_rows; r++)
        for (size_t k = c->start[r]; k < c->start[r + 1]; k++)
            user_of[k] = (uint32_t)r;
    am_rng_init(&rng, o->seed, AM_RNG_FACTORS + 2);
    for (size_t epoch = 0; epoch < o->iterations && rc == AM_OK; epoch++) {
        for (size_t k = 0; k < n; k++)
            bpr_step(c, user_of, o, &rng, users, items);
        am_progress_step(progress, epoch + 1, o->iterations, (epoch + 1) * n, NAN);
        if (am_progress_canceled(progress))
            rc = am_fail(err, AM_ECANCELED, "canceled while factors were learned");
    }
    am_free(user_of);
    return rc;
}

enum am_rc am_factors_fit(const struct am_choices *by_user, const struct am_choices *by_item,
                          const struct am_factor_options *o, double mean, double *users,
                          double *items, struct am_pool *pool, struct am_progress *progress,
                          struct am_err *err)
{
    if (o->method == AM_FACTORS_BPR)
        return rank_pairs(by_user, o, users, items, progress, err);
    return alternate(by_user, by_item, o, mean, users, items, pool, progress, err);
}
