/* Rows of support vector machines: gathered, weighted by repetition, dealt to folds, decided. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/rng.h"
#include "learn/svm_int.h"

#define ROWS_MAX ((size_t)50000000)
#define REPEAT_MAX 16 /* times the rows, at most, when weights become repetitions */
#define DIVISIONS 8   /* of the smallest weight that may be the unit */

void am_svm_rows_clear(struct am_svm_rows *r)
{
    am_gathered_clear(&r->dense);
    am_csr_clear(&r->sparse);
    am_free(r->times);
    memset(r, 0, sizeof *r);
}

/* ---- weights ---- */

static bool fits(const struct am_gathered *g, double unit, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < g->n; i++) {
        const double times = g->w[i] / unit, whole = nearbyint(times);
        if (whole < 1 || whole > 1e6 || fabs(times - whole) > 1e-4 * whole)
            return false;
        *total += (size_t)whole;
    }
    return *total <= REPEAT_MAX * g->n && *total <= ROWS_MAX;
}

static enum am_rc weigh(struct am_svm_rows *r, struct am_err *err)
{
    const struct am_gathered *g = &r->dense;
    double least = INFINITY;
    for (size_t i = 0; i < g->n; i++)
        least = fmin(least, g->w[i]);
    for (int d = 1; d <= DIVISIONS; d++) {
        r->unit = least / d;
        if (!fits(g, r->unit, &r->total))
            continue;
        r->times = am_alloc_array(g->n, sizeof *r->times);
        if (!r->times)
            return am_fail_nomem(err, g->n * sizeof *r->times);
        for (size_t i = 0; i < g->n; i++)
            r->times[i] = (uint32_t)nearbyint(g->w[i] / r->unit);
        return AM_OK;
    }
    am_fail(err, AM_EUNSUPPORTED,
            "support vector machines take row weights only as repeated rows, and these are no "
            "small multiples of one number");
    am_hint(err, "Round the weights to whole numbers, or use logistic, linear or "
                 "gradient_boosting, which take any.");
    return AM_EUNSUPPORTED;
}

/* ---- reading ---- */

#define CHUNK 1024
static enum am_rc read_sparse(const struct am_learn_task *t, struct am_svm_rows *out,
                              struct am_err *err)
{
    const struct am_train_data *d = t->train;
    struct am_gathered *g = &out->dense;
    const size_t n = (size_t)d->n_rows;
    uint64_t rows[CHUNK];
    float w[CHUNK];
    g->f = t->n_features;
    if (n > ROWS_MAX)
        return am_fail(err, AM_ELIMIT, "%zu rows are more than the %zu that a machine takes", n,
                       ROWS_MAX);
    g->y = am_alloc_array(n, sizeof *g->y);
    g->w = am_alloc_array(n, sizeof *g->w);
    if (!g->y || !g->w)
        return am_fail_nomem(err, n * (sizeof *g->y + sizeof *g->w));
    am_csr_reset(&out->sparse, t->n_features);
    for (size_t at = 0, k; at < n; at += k) {
        k = n - at < CHUNK ? n - at : CHUNK;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        AM_TRY(d->gather_sparse(d->self, rows, k, &out->sparse, g->y + at, w, err));
        for (size_t i = 0; i < k; i++) {
            g->w[at + i] = (double)w[i];
            if (!isfinite(g->y[at + i]) || !(w[i] >= 0) || !isfinite(w[i]))
                return am_fail(err, AM_EINVAL,
                               "target or weight of a training row is not a number");
        }
    }
    g->n = n;
    out->csr = am_csr_of(&out->sparse);
    out->is_sparse = true;
    for (size_t e = 0; e < out->sparse.n; e++)
        if (!isfinite(out->sparse.vals[e]))
            return am_fail(err, AM_EINVAL, "a feature of the training rows is not a finite number");
    return AM_OK;
}

/* Rows of weight 0 of sparse data stay where they are and count no time. */
static enum am_rc weigh_sparse(struct am_svm_rows *r, struct am_err *err)
{
    struct am_gathered *g = &r->dense;
    size_t kept = 0;
    double *w = g->w, *some = am_alloc_array(g->n, sizeof *some);
    if (!some)
        return am_fail_nomem(err, g->n * sizeof *some);
    for (size_t i = 0; i < g->n; i++)
        if (w[i] > 0)
            some[kept++] = w[i];
    const size_t n = g->n;
    enum am_rc rc =
        kept ? AM_OK : am_fail(err, AM_EINVAL, "the weights of the training rows are all 0");
    g->w = some;
    g->n = kept;
    if (rc == AM_OK)
        rc = weigh(r, err);
    g->w = w;
    g->n = n;
    am_free(some);
    if (rc != AM_OK || kept == n)
        return rc;
    am_free(r->times);
    r->times = am_alloc_array(n, sizeof *r->times);
    if (!r->times)
        return am_fail_nomem(err, n * sizeof *r->times);
    for (size_t i = 0; i < n; i++)
        r->times[i] = (uint32_t)nearbyint(w[i] / r->unit);
    return AM_OK;
}

enum am_rc am_svm_rows_read(const struct am_learn_task *t, struct am_svm_rows *out,
                            struct am_err *err)
{
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    if (t->train->gather_sparse) {
        rc = read_sparse(t, out, err);
        if (rc == AM_OK)
            rc = weigh_sparse(out, err);
    } else {
        rc = am_gather_all(t, AM_GATHER_ROW_WEIGHTS, AM_LIMIT_TENSOR_BYTES, &out->dense, err);
        if (rc == AM_OK)
            rc = weigh(out, err);
    }
    if (rc != AM_OK)
        am_svm_rows_clear(out);
    return rc;
}

/* ---- problems ---- */

enum am_rc am_svm_problem_of(const struct am_svm_rows *r, const uint8_t *fold, unsigned skip,
                             size_t n_classes, struct am_svm_problem *out, struct am_err *err)
{
    uint32_t *rows = am_alloc_array(r->total ? r->total : 1, sizeof *rows);
    double *y = am_alloc_array(r->total ? r->total : 1, sizeof *y);
    memset(out, 0, sizeof *out);
    if (!rows || !y) {
        am_free(rows);
        am_free(y);
        return am_fail_nomem(err, r->total * (sizeof *rows + sizeof *y));
    }
    for (size_t i = 0; i < r->dense.n; i++)
        for (uint32_t k = 0; k < r->times[i] && !(fold && fold[i] == skip); k++) {
            rows[out->n] = (uint32_t)i;
            y[out->n++] = (double)r->dense.y[i];
        }
    out->n_features = r->dense.f;
    out->x = r->is_sparse ? NULL : r->dense.x;
    out->sparse = r->is_sparse ? &r->csr : NULL;
    out->rows = rows;
    out->y = y;
    out->n_classes = n_classes;
    return AM_OK;
}

enum am_rc am_svm_folds(const struct am_svm_rows *r, size_t n_classes, unsigned n_folds,
                        uint64_t seed, uint8_t *fold, struct am_err *err)
{
    const size_t n = r->dense.n;
    uint32_t *order = am_alloc_array(n, sizeof *order);
    size_t *dealt = am_calloc(n_classes, sizeof *dealt);
    struct am_rng rng;
    if (!order || !dealt) {
        am_free(order);
        am_free(dealt);
        return am_fail_nomem(err, n * sizeof *order);
    }
    am_rng_init(&rng, seed, AM_RNG_FOLD);
    am_rng_permutation32(&rng, (uint32_t)n, order);
    for (size_t i = 0; i < n; i++)
        fold[order[i]] = (uint8_t)(dealt[(size_t)r->dense.y[order[i]]]++ % n_folds);
    am_free(order);
    am_free(dealt);
    return AM_OK;
}

/* ---- decisions ---- */

static double power(double x, int n)
{
    double y = 1;
    for (int i = 0; i < n; i++)
        y *= x;
    return y;
}

static double kernel_of(const struct am_svm_options *o, const float *a, const float *b, size_t n)
{
    double s = 0;
    if (o->kernel == AM_SVM_KERNEL_RBF) {
        for (size_t j = 0; j < n; j++) {
            const double d = (double)a[j] - (double)b[j];
            s += d * d;
        }
        return exp(-o->gamma * s);
    }
    for (size_t j = 0; j < n; j++)
        s += (double)a[j] * (double)b[j];
    return o->kernel == AM_SVM_KERNEL_LINEAR ? s
           : o->kernel == AM_SVM_KERNEL_POLY ? power(o->gamma * s + o->coef0, o->degree)
                                             : tanh(o->gamma * s + o->coef0);
}

static void decide_linear(const struct am_svm_rows *r, const struct am_svm_result *m, size_t i,
                          double *out)
{
    const size_t f = r->dense.f;
    for (size_t k = 0; k < m->n_outputs; k++) {
        const double *w = m->weights + k * (f + 1);
        double s = w[f];
        if (r->is_sparse)
            for (uint64_t e = r->csr.start[i]; e < r->csr.start[i + 1]; e++)
                s += w[r->csr.cols[e]] * (double)r->csr.vals[e];
        for (size_t j = 0; !r->is_sparse && j < f; j++)
            s += w[j] * (double)r->dense.x[i * f + j];
        out[k] = s;
    }
}

void am_svm_decide(const struct am_svm_rows *r, const struct am_svm_result *m,
                   const struct am_svm_options *o, size_t i, double *scratch, double *out)
{
    const size_t f = r->dense.f, n = m->n_support;
    if (m->weights) {
        decide_linear(r, m, i, out);
        return;
    }
    for (size_t s = 0; s < n; s++)
        scratch[s] = kernel_of(o, r->dense.x + i * f, r->dense.x + m->support[s] * f, f);
    for (size_t k = 0; k < m->n_outputs; k++) {
        const double *c = m->coef + k * (n + 1);
        double sum = c[n];
        for (size_t s = 0; s < n; s++)
            sum += c[s] * scratch[s];
        out[k] = sum;
    }
}
