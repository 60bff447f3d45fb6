/* Passes over the rows, subspace iteration, eigenvectors; see components.h. */
#include "learn/components.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/rng.h"

#define PARTS_MAX 16
#define PART_ROWS 256
#define BLOCK 64
#define SUM_BYTES ((size_t)256 << 20)

void am_components_clear(struct am_components *c)
{
    am_free(c->mean);
    am_free(c->vectors);
    am_free(c->singular);
    am_free(c->variance);
    *c = (struct am_components){0};
}

/* ---- eigenvectors: Householder to three diagonals, QL with shifts (EISPACK tred2, tql2) ---- */

static void reflect_row(double *a, double *d, double *e, size_t n, size_t i)
{
    double scale = 0, h = 0;
    for (size_t k = 0; k < i; k++)
        scale += fabs(a[i * n + k]);
    if (i == 1 || scale == 0) {
        e[i] = a[i * n + i - 1];
        d[i] = 0;
        return;
    }
    for (size_t k = 0; k < i; k++) {
        a[i * n + k] /= scale;
        h += a[i * n + k] * a[i * n + k];
    }
    double f = a[i * n + i - 1], g = f >= 0 ? -sqrt(h) : sqrt(h), hh;
    e[i] = scale * g;
    h -= f * g;
    a[i * n + i - 1] = f - g;
    f = 0;
    for (size_t j = 0; j < i; j++) {
        a[j * n + i] = a[i * n + j] / h;
        g = 0;
        for (size_t k = 0; k <= j; k++)
            g += a[j * n + k] * a[i * n + k];
        for (size_t k = j + 1; k < i; k++)
            g += a[k * n + j] * a[i * n + k];
        e[j] = g / h;
        f += e[j] * a[i * n + j];
    }
    hh = f / (h + h);
    for (size_t j = 0; j < i; j++) {
        f = a[i * n + j];
        e[j] = g = e[j] - hh * f;
        for (size_t k = 0; k <= j; k++)
            a[j * n + k] -= f * e[k] + g * a[i * n + k];
    }
    d[i] = h;
}

static void tridiagonal(double *a, double *d, double *e, size_t n)
{
    for (size_t i = n - 1; i > 0; i--)
        reflect_row(a, d, e, n, i);
    d[0] = e[0] = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; d[i] != 0 && j < i; j++) {
            double g = 0;
            for (size_t k = 0; k < i; k++)
                g += a[i * n + k] * a[k * n + j];
            for (size_t k = 0; k < i; k++)
                a[k * n + j] -= g * a[k * n + i];
        }
        d[i] = a[i * n + i];
        a[i * n + i] = 1;
        for (size_t j = 0; j < i; j++)
            a[j * n + i] = a[i * n + j] = 0;
    }
}

/* Rows of z are rotated (its columns are the vectors' numbers). */
static void rotate(double *z, size_t n, size_t i, double s, double c)
{
    double *a = z + i * n, *b = z + (i + 1) * n;
    for (size_t k = 0; k < n; k++) {
        const double f = b[k];
        b[k] = s * a[k] + c * f;
        a[k] = c * a[k] - s * f;
    }
}

static bool ql(double *z, double *d, double *e, size_t n, size_t l)
{
    for (unsigned round = 0; round < 60; round++) {
        size_t m = l, i;
        for (; m + 1 < n; m++) {
            const double dd = fabs(d[m]) + fabs(d[m + 1]);
            if (fabs(e[m]) <= 1e-16 * dd || e[m] == 0)
                break;
        }
        if (m == l)
            return true;
        double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1), s = 1, c = 1, p = 0;
        g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
        for (i = m; i-- > l;) {
            double f = s * e[i], b = c * e[i];
            e[i + 1] = r = hypot(f, g);
            if (r == 0) {
                d[i + 1] -= p;
                e[m] = 0;
                break;
            }
            s = f / r;
            c = g / r;
            g = d[i + 1] - p;
            r = (d[i] - g) * s + 2 * c * b;
            p = s * r;
            d[i + 1] = g + p;
            g = c * r - b;
            rotate(z, n, i, s, c);
        }
        if (r == 0 && i + 1 > l && i != SIZE_MAX)
            continue;
        d[l] -= p;
        e[l] = g;
        e[m] = 0;
    }
    return false;
}

static void sort_falling(double *a, double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t j = i + 1; j < n; j++)
            best = values[j] > values[best] ? j : best;
        if (best == i)
            continue;
        const double v = values[i];
        values[i] = values[best];
        values[best] = v;
        for (size_t k = 0; k < n; k++) {
            const double t = a[i * n + k];
            a[i * n + k] = a[best * n + k];
            a[best * n + k] = t;
        }
    }
}

enum am_rc am_eigen_symmetric(size_t n, double *a, double *values, struct am_err *err)
{
    double *e = am_calloc(n + 1, sizeof *e);
    bool found = true;
    if (!e)
        return am_fail_nomem(err, n * sizeof *e);
    tridiagonal(a, values, e, n);
    for (size_t i = 0; i < n; i++) /* vectors as rows */
        for (size_t j = 0; j < i; j++) {
            const double t = a[i * n + j];
            a[i * n + j] = a[j * n + i];
            a[j * n + i] = t;
        }
    for (size_t i = 1; i < n; i++)
        e[i - 1] = e[i];
    e[n - 1] = 0;
    for (size_t l = 0; l < n && found; l++)
        found = ql(a, values, e, n, l);
    am_free(e);
    if (!found)
        return am_fail(err, AM_EINVAL,
                       "eigenvalues of %zu features do not settle: are numbers too "
                       "large?",
                       n);
    sort_falling(a, values, n);
    return AM_OK;
}

/* ---- passes over the rows ---- */

struct part {
    uint64_t begin, end;
    double *sums; /* [n_sums] */
    double *row;  /* [l] of a row */
    float *x;     /* [BLOCK, n] */
    uint64_t *rows;
    struct am_csr_buf sparse;
    struct am_err err;
    enum am_rc rc;
};

struct pass {
    const struct am_train_data *data;
    const double *mean; /* [n] or NULL */
    const double *q;    /* [l, n] the subspace; NULL = means and squares, or the whole matrix */
    size_t n, l, n_sums;
    bool products; /* the whole matrix */
    struct part parts[PARTS_MAX];
    size_t n_parts;
};

/* n_sums: 2 n (sums, squares), n * n (products) or l * n (X^T X q). */
static void add_dense(const struct pass *p, struct part *t, const float *x)
{
    const size_t n = p->n;
    double *s = t->sums;
    if (p->products) {
        for (size_t i = 0; i < n; i++) {
            const double v = (double)x[i] - p->mean[i];
            for (size_t j = 0; j <= i; j++)
                s[i * n + j] += v * ((double)x[j] - p->mean[j]);
        }
        return;
    }
    if (!p->q) {
        for (size_t j = 0; j < n; j++) {
            s[j] += (double)x[j];
            s[n + j] += (double)x[j] * (double)x[j];
        }
        return;
    }
    for (size_t k = 0; k < p->l; k++) {
        double v = 0;
        for (size_t j = 0; j < n; j++)
            v += ((double)x[j] - p->mean[j]) * p->q[k * n + j];
        for (size_t j = 0; j < n; j++)
            s[k * n + j] += v * ((double)x[j] - p->mean[j]);
    }
}

/* Not centered: only `svd` reads sparse rows. */
static void add_sparse(const struct pass *p, struct part *t, const struct am_csr *x, size_t row)
{
    const uint64_t a = x->start[row], b = x->start[row + 1];
    const size_t n = p->n;
    double *s = t->sums;
    for (size_t k = 0; p->q && k < p->l; k++) {
        double v = 0;
        for (uint64_t i = a; i < b; i++)
            v += (double)x->vals[i] * p->q[k * n + x->cols[i]];
        for (uint64_t i = a; i < b; i++)
            s[k * n + x->cols[i]] += v * (double)x->vals[i];
    }
    for (uint64_t i = a; !p->q && i < b; i++) {
        s[x->cols[i]] += (double)x->vals[i];
        s[n + x->cols[i]] += (double)x->vals[i] * (double)x->vals[i];
    }
}

static enum am_rc read_part(const struct pass *p, struct part *t)
{
    const struct am_train_data *d = p->data;
    for (uint64_t at = t->begin; at < t->end; at += BLOCK) {
        const size_t m = t->end - at < BLOCK ? (size_t)(t->end - at) : BLOCK;
        for (size_t i = 0; i < m; i++)
            t->rows[i] = at + i;
        if (d->gather_sparse && !p->products) {
            am_csr_reset(&t->sparse, p->n);
            AM_TRY(d->gather_sparse(d->self, t->rows, m, &t->sparse, NULL, NULL, &t->err));
            const struct am_csr x = am_csr_of(&t->sparse);
            for (size_t i = 0; i < m; i++)
                add_sparse(p, t, &x, i);
            continue;
        }
        AM_TRY(d->gather(d->self, t->rows, m, t->x, NULL, NULL, &t->err));
        for (size_t i = 0; i < m; i++)
            add_dense(p, t, t->x + i * p->n);
    }
    return AM_OK;
}

static void run_part(void *ctx, size_t begin, size_t end)
{
    struct pass *p = ctx;
    for (size_t i = begin; i < end; i++)
        p->parts[i].rc = read_part(p, &p->parts[i]);
}

static void pass_clear(struct pass *p)
{
    for (size_t i = 0; i < p->n_parts; i++) {
        am_free(p->parts[i].sums);
        am_free(p->parts[i].row);
        am_free(p->parts[i].x);
        am_free(p->parts[i].rows);
        am_csr_clear(&p->parts[i].sparse);
    }
}

/* out [n_sums] */
static enum am_rc pass_run(struct pass *p, struct am_pool *pool, double *out, struct am_err *err)
{
    const uint64_t rows = p->data->n_rows;
    size_t most = SUM_BYTES / sizeof(double) / p->n_sums,
           parts = (size_t)((rows + PART_ROWS - 1) / PART_ROWS);
    enum am_rc rc = AM_OK;
    most = most > PARTS_MAX ? PARTS_MAX : most < 1 ? 1 : most;
    p->n_parts = parts > most ? most : parts < 1 ? 1 : parts;
    for (size_t i = 0; i < p->n_parts; i++) {
        struct part *t = &p->parts[i];
        *t = (struct part){.begin = rows * i / p->n_parts, .end = rows * (i + 1) / p->n_parts};
        t->sums = am_calloc(p->n_sums, sizeof *t->sums);
        t->x = am_alloc_array(BLOCK, p->n * sizeof *t->x);
        t->rows = am_alloc_array(BLOCK, sizeof *t->rows);
        if (!t->sums || !t->x || !t->rows)
            AM_GO(rc, am_fail_nomem(err, p->n_sums * sizeof *t->sums));
    }
    am_pool_for(pool, p->n_parts, 1, run_part, p);
    memset(out, 0, p->n_sums * sizeof *out);
    for (size_t i = 0; i < p->n_parts; i++) {
        if (p->parts[i].rc != AM_OK) {
            if (err)
                *err = p->parts[i].err;
            AM_GO(rc, p->parts[i].rc);
        }
        for (size_t j = 0; j < p->n_sums; j++)
            out[j] += p->parts[i].sums[j];
    }
out:
    pass_clear(p);
    return rc;
}

/* ---- subspace iteration ---- */

/* Rows of q [l, n] made orthonormal, twice for safety; one that is nothing becomes zero. */
static void orthonormal(double *q, size_t l, size_t n)
{
    for (size_t k = 0; k < l; k++) {
        double *v = q + k * n, before = 0, s = 0;
        for (size_t j = 0; j < n; j++)
            before += v[j] * v[j];
        for (unsigned twice = 0; twice < 2; twice++)
            for (size_t i = 0; i < k; i++) {
                double dot = 0;
                for (size_t j = 0; j < n; j++)
                    dot += v[j] * q[i * n + j];
                for (size_t j = 0; j < n; j++)
                    v[j] -= dot * q[i * n + j];
            }
        for (size_t j = 0; j < n; j++)
            s += v[j] * v[j];
        const double f = s > 1e-24 * before && s > 0 ? 1 / sqrt(s) : 0;
        for (size_t j = 0; j < n; j++)
            v[j] *= f;
    }
}

struct space {
    double *q, *y;      /* [l, n] */
    double *small, *ev; /* [l, l], [l] */
    double *last;       /* [l] */
    size_t l;
};

/* Rayleigh-Ritz: q turned so that its rows are the vectors of X^T X in that space. y = X^T X q. */
static enum am_rc turn(struct space *s, size_t n, struct am_err *err)
{
    const size_t l = s->l;
    for (size_t a = 0; a < l; a++)
        for (size_t b = 0; b <= a; b++) {
            double v = 0, w = 0;
            for (size_t j = 0; j < n; j++) {
                v += s->q[a * n + j] * s->y[b * n + j];
                w += s->q[b * n + j] * s->y[a * n + j];
            }
            s->small[a * l + b] = s->small[b * l + a] = (v + w) / 2;
        }
    AM_TRY(am_eigen_symmetric(l, s->small, s->ev, err));
    /* y becomes the turned q; q the turned y: the next space */
    double *turned = s->y, *row = am_alloc_array(2 * l, sizeof *row);
    if (!row)
        return am_fail_nomem(err, l * sizeof *row);
    for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < l; k++) {
            double a = 0, b = 0;
            for (size_t i = 0; i < l; i++) {
                a += s->small[k * l + i] * s->q[i * n + j];
                b += s->small[k * l + i] * s->y[i * n + j];
            }
            row[k] = a;
            row[l + k] = b;
        }
        for (size_t k = 0; k < l; k++) {
            turned[k * n + j] = row[k];
            s->q[k * n + j] = row[l + k];
        }
    }
    am_free(row);
    return AM_OK;
}

static bool settled(const struct space *s, size_t k)
{
    for (size_t i = 0; i < k; i++)
        if (!(fabs(s->ev[i] - s->last[i]) <= 1e-9 * s->ev[0]))
            return false;
    return true;
}

static void space_clear(struct space *s)
{
    am_free(s->q);
    am_free(s->y);
    am_free(s->small);
    am_free(s->ev);
    am_free(s->last);
}

static enum am_rc iterate(const struct am_train_data *data, const struct am_components_options *o,
                          const double *mean, struct am_pool *pool, struct am_progress *progress,
                          struct am_components *c, double *values, struct am_err *err)
{
    const size_t n = data->n_features;
    struct space s = {.l = o->k + (o->k < 10 ? 10 : o->k)};
    struct pass p = {.data = data, .mean = mean, .n = n};
    struct am_rng rng;
    enum am_rc rc = AM_OK;
    s.l = s.l > n ? n : s.l;
    s.q = am_alloc_array(s.l, n * sizeof *s.q);
    s.y = am_alloc_array(s.l, n * sizeof *s.y);
    s.small = am_alloc_array(s.l, s.l * sizeof *s.small);
    s.ev = am_calloc(s.l, sizeof *s.ev);
    s.last = am_calloc(s.l, sizeof *s.last);
    if (!s.q || !s.y || !s.small || !s.ev || !s.last)
        AM_GO(rc, am_fail_nomem(err, s.l * n * sizeof *s.q));
    am_rng_init(&rng, o->seed, AM_RNG_CLUSTER);
    for (size_t i = 0; i < s.l * n; i++)
        s.q[i] = am_rng_normal(&rng);
    for (c->converged = false; !c->converged && c->passes < o->passes; c->passes++) {
        orthonormal(s.q, s.l, n);
        p.q = s.q;
        p.l = s.l;
        p.n_sums = s.l * n;
        AM_GO(rc, pass_run(&p, pool, s.y, err));
        memcpy(s.last, s.ev, s.l * sizeof *s.ev);
        AM_GO(rc, turn(&s, n, err));
        c->converged = settled(&s, o->k);
        am_progress_step(progress, c->passes + 1, o->passes, 0, NAN);
        if (am_progress_canceled(progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled while components were sought"));
    }
    memcpy(c->vectors, s.y, o->k * n * sizeof *s.y);
    memcpy(values, s.ev, o->k * sizeof *values);
out:
    space_clear(&s);
    return rc;
}

static enum am_rc take_apart(const struct am_train_data *data, size_t k, const double *mean,
                             struct am_pool *pool, struct am_components *c, double *values,
                             struct am_err *err)
{
    const size_t n = data->n_features;
    struct pass p = {.data = data, .mean = mean, .n = n, .n_sums = n * n, .products = true};
    double *all = am_alloc_array(n, n * sizeof *all), *ev = am_alloc_array(n, sizeof *ev);
    enum am_rc rc = AM_OK;
    if (!all || !ev)
        AM_GO(rc, am_fail_nomem(err, n * n * sizeof *all));
    AM_GO(rc, pass_run(&p, pool, all, err));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            all[j * n + i] = all[i * n + j];
    AM_GO(rc, am_eigen_symmetric(n, all, ev, err));
    memcpy(c->vectors, all, k * n * sizeof *all);
    memcpy(values, ev, k * sizeof *ev);
    c->passes++;
    c->converged = true;
out:
    am_free(all);
    am_free(ev);
    return rc;
}

/* ---- all of it ---- */

static void fix_sign(double *v, size_t n)
{
    size_t best = 0;
    for (size_t j = 1; j < n; j++)
        if (fabs(v[j]) > fabs(v[best]))
            best = j;
    const bool turn_it = v[best] < 0;
    for (size_t j = 0; turn_it && j < n; j++)
        v[j] = -v[j];
}

/* Means and the variance of all features; sums [2 n]. */
static void totals(struct am_components *c, const double *sums, double rows, bool center)
{
    c->total = 0;
    for (size_t j = 0; j < c->n; j++) {
        const double mean = sums[j] / rows, ss = sums[c->n + j] - mean * sums[j];
        c->mean[j] = center ? mean : 0;
        c->total += ss > 0 ? ss / (center ? rows > 1 ? rows - 1 : 1 : rows) : 0;
    }
}

static void finish(struct am_components *c, const struct am_components_options *o,
                   const double *sums, const double *values, double rows)
{
    double share = 0;
    c->k = o->k;
    for (size_t k = 0; k < o->k; k++) {
        double mean = 0, *v = c->vectors + k * c->n;
        fix_sign(v, c->n);
        c->singular[k] = sqrt(values[k] > 0 ? values[k] : 0);
        for (size_t j = 0; j < c->n; j++)
            mean += sums[j] / rows * v[j];
        c->variance[k] =
            o->center ? values[k] / (rows > 1 ? rows - 1 : 1) : values[k] / rows - mean * mean;
        c->variance[k] = c->variance[k] > 0 ? c->variance[k] : 0;
        share += c->total > 0 ? c->variance[k] / c->total : 0;
        if (o->share > 0 && share >= o->share - 1e-12 && c->k == o->k)
            c->k = k + 1;
    }
}

enum am_rc am_components_fit(const struct am_train_data *data,
                             const struct am_components_options *o, struct am_pool *pool,
                             struct am_progress *progress, struct am_components *out,
                             struct am_err *err)
{
    const size_t n = data->n_features;
    const bool exact = n <= AM_COMPONENTS_EXACT && !o->randomized && !data->gather_sparse;
    struct pass first = {.data = data, .n = n, .n_sums = 2 * n};
    double *sums = am_alloc_array(2 * n, sizeof *sums), *values = am_alloc_array(n, sizeof *values);
    enum am_rc rc = AM_OK;
    *out = (struct am_components){.n = n};
    out->mean = am_calloc(n, sizeof *out->mean);
    out->vectors = am_alloc_array(o->k, n * sizeof *out->vectors);
    out->singular = am_calloc(o->k, sizeof *out->singular);
    out->variance = am_calloc(o->k, sizeof *out->variance);
    if (!sums || !values || !out->mean || !out->vectors || !out->singular || !out->variance)
        AM_GO(rc, am_fail_nomem(err, o->k * n * sizeof *out->vectors));
    AM_GO(rc, pass_run(&first, pool, sums, err));
    totals(out, sums, (double)data->n_rows, o->center);
    if (exact)
        AM_GO(rc, take_apart(data, o->k, out->mean, pool, out, values, err));
    else
        AM_GO(rc, iterate(data, o, out->mean, pool, progress, out, values, err));
    finish(out, o, sums, values, (double)data->n_rows);
    for (size_t i = 0; i < out->k * n; i++)
        if (!isfinite(out->vectors[i]))
            AM_GO(rc, am_fail(err, AM_EINVAL,
                              "the components are not finite: numbers are too "
                              "large"));
out:
    am_free(sums);
    am_free(values);
    if (rc != AM_OK)
        am_components_clear(out);
    return rc;
}
