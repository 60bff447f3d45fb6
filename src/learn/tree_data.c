/* Rows for growing trees: columns of codes. Exact: the rank of a value among the column's own;
 * with bins: the quantile it lies in. Columns are coded side by side on the pool; no bit depends on
 * that. Owns nothing but what am_tree_data_free frees. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/tree_grow.h"

#define BLOCK_ROWS 512
/* Quantiles are those of so many rows, taken evenly. */
#define SKETCH_ROWS ((size_t)200000)
#define XLOGX ((size_t)65536)

void am_tree_data_free(struct am_tree_data *d)
{
    if (!d)
        return;
    for (size_t k = 0; d->columns && k < d->n_features; k++) {
        am_free(d->columns[k].codes);
        am_free(d->columns[k].low);
        if (d->columns[k].high != d->columns[k].low)
            am_free(d->columns[k].high);
        am_free(d->columns[k].cut);
    }
    am_free(d->columns);
    am_free(d->y);
    am_free(d->weight);
    am_free(d->xlogx);
    am_free(d);
}

/* ---- sorting ---- */

/* Floats in their order; both zeros are one. NaN never comes here. */
static uint32_t order_of(float v)
{
    uint32_t bits;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t order)
{
    const uint32_t bits = order & 0x80000000u ? order & 0x7fffffffu : ~order;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* By the upper 32 bits, stable; the result lies in key. */
static void sort_keys(uint64_t *key, uint64_t *other, size_t n)
{
    uint64_t *from = key, *to = other;
    for (unsigned shift = 32; shift < 64; shift += 11) {
        size_t count[2048] = {0}, at = 0;
        uint64_t *swap = from;
        for (size_t i = 0; i < n; i++)
            count[from[i] >> shift & 2047]++;
        for (size_t b = 0; b < 2048; b++) {
            const size_t c = count[b];
            count[b] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++)
            to[count[from[i] >> shift & 2047]++] = from[i];
        from = to;
        to = swap;
    }
    if (from != key)
        memcpy(key, from, n * sizeof *key);
}

/* ---- one column ---- */

static enum am_rc make_codes(struct am_tree_column *c, size_t n_rows, struct am_err *err)
{
    c->width = c->n_values <= UINT8_MAX ? 1 : c->n_values <= UINT16_MAX ? 2 : 4;
    c->codes = am_alloc_array(n_rows, c->width);
    return c->codes ? AM_OK : am_fail_nomem(err, n_rows * c->width);
}

static void put_code(struct am_tree_column *c, size_t row, uint32_t code)
{
    if (c->width == 1)
        ((uint8_t *)c->codes)[row] = (uint8_t)code;
    else if (c->width == 2)
        ((uint16_t *)c->codes)[row] = (uint16_t)code;
    else
        ((uint32_t *)c->codes)[row] = code;
}

/* Keys of the values that are there, sorted: order of the value, then place. */
static size_t sorted_keys(const float *x, size_t n, uint64_t *key, uint64_t *other)
{
    size_t there = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            key[there++] = (uint64_t)order_of(fminf(fmaxf(x[i], -FLT_MAX), FLT_MAX)) << 32 | i;
    sort_keys(key, other, there);
    return there;
}

static enum am_rc code_exactly(struct am_tree_column *c, const float *x, size_t n, uint64_t *key,
                               uint64_t *other, struct am_err *err)
{
    const size_t there = sorted_keys(x, n, key, other);
    uint32_t code = 0;
    for (size_t i = 0; i < there; i++)
        c->n_values += i == 0 || key[i] >> 32 != key[i - 1] >> 32;
    c->low = am_alloc_array((size_t)c->n_values + 1, sizeof *c->low);
    if (!c->low)
        return am_fail_nomem(err, c->n_values * sizeof *c->low);
    c->high = c->low;
    c->missing = there < n;
    AM_TRY(make_codes(c, n, err));
    for (size_t i = 0; c->missing && i < n; i++)
        if (isnan(x[i]))
            put_code(c, i, c->n_values);
    for (size_t i = 0; i < there; i++) {
        code += i > 0 && key[i] >> 32 != key[i - 1] >> 32;
        put_code(c, (uint32_t)key[i], code);
        c->low[code] = value_of((uint32_t)(key[i] >> 32));
    }
    return AM_OK;
}

/* Cuts halfway between neighbouring values, at most bins - 1 of them, each where the next
 * n / bins values are full. */
static enum am_rc find_cuts(struct am_tree_column *c, const float *sample, size_t n, size_t bins,
                            uint64_t *key, uint64_t *other, struct am_err *err)
{
    const size_t there = sorted_keys(sample, n, key, other);
    size_t distinct = 0, k = 0, done = 0;
    for (size_t i = 0; i < there; i++)
        distinct += i == 0 || key[i] >> 32 != key[i - 1] >> 32;
    const size_t most = distinct < bins ? distinct : bins;
    c->low = am_calloc(most + 1, sizeof *c->low);
    c->high = am_calloc(most + 1, sizeof *c->high);
    c->cut = am_calloc(most + 1, sizeof *c->cut);
    if (!c->low || !c->high || !c->cut)
        return am_fail_nomem(err, most * sizeof *c->cut);
    for (size_t i = 0; i < there; i++) {
        const bool next = i > 0 && key[i] >> 32 != key[i - 1] >> 32;
        const float v = value_of((uint32_t)(key[i] >> 32));
        /* a bin ends where it has its share of what the bins before it left over */
        if (next && k + 1 < most &&
            (distinct <= bins ||
             (double)(i - done) >= (double)(there - done) / (double)(most - k))) {
            c->cut[k] = (double)c->high[k] / 2 + (double)v / 2;
            if (!(c->cut[k] < (double)v))
                c->cut[k] = (double)c->high[k];
            k++;
            done = i;
        }
        if (i == done)
            c->low[k] = v;
        c->high[k] = v;
    }
    c->n_values = there ? (uint32_t)k + 1 : 0;
    return AM_OK;
}

static uint32_t bin_of(const struct am_tree_column *c, float x)
{
    uint32_t lo = 0, hi = c->n_values - 1;
    const double v = (double)x;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (v <= c->cut[mid])
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* ---- all columns ---- */

struct loading {
    struct am_tree_data *d;
    float **x; /* [n_features][n]: values, or a sample of them */
    size_t n, bins;
    struct am_err *errs; /* [n_features] */
};

static void code_columns(void *ctx, size_t begin, size_t end)
{
    struct loading *l = ctx;
    uint64_t *key = am_alloc_array(l->n + 1, sizeof *key),
             *other = am_alloc_array(l->n + 1, sizeof *other);
    for (size_t k = begin; k < end; k++) {
        struct am_tree_column *c = &l->d->columns[k];
        if (!key || !other)
            (void)am_fail_nomem(&l->errs[k], l->n * sizeof *key);
        else if (l->bins)
            (void)find_cuts(c, l->x[k], l->n, l->bins, key, other, &l->errs[k]);
        else
            (void)code_exactly(c, l->x[k], l->n, key, other, &l->errs[k]);
        am_free(l->x[k]);
        l->x[k] = NULL;
    }
    am_free(key);
    am_free(other);
}

static enum am_rc code_all(struct loading *l, struct am_pool *pool, struct am_err *err)
{
    const size_t f = l->d->n_features;
    l->errs = am_calloc(f, sizeof *l->errs);
    if (!l->errs)
        return am_fail_nomem(err, f * sizeof *l->errs);
    am_pool_for(pool, f, 1, code_columns, l);
    enum am_rc rc = AM_OK;
    for (size_t k = 0; k < f && rc == AM_OK; k++)
        if (l->errs[k].rc != AM_OK) {
            rc = l->errs[k].rc;
            if (err)
                *err = l->errs[k];
        }
    am_free(l->errs);
    return rc;
}

/* Rows numbers[begin..] of data into columns x[k][at..]. */
static void transpose(float *const *x, size_t f, size_t at, const float *rows, size_t n)
{
    for (size_t k = 0; k < f; k++)
        for (size_t i = 0; i < n; i++)
            x[k][at + i] = rows[i * f + k];
}

struct reading {
    const struct am_learn_task *t;
    float *block; /* [BLOCK_ROWS, n_features] */
    uint64_t numbers[BLOCK_ROWS];
};

/* Rows of a sample of n of all rows (n = all: each). */
static enum am_rc read_block(struct reading *r, size_t first, size_t n, size_t of, float *y,
                             float *w, struct am_err *err)
{
    const struct am_train_data *data = r->t->train;
    if (am_progress_canceled(r->t->hooks.progress))
        return am_fail(err, AM_ECANCELED, "canceled");
    for (size_t i = 0; i < n; i++)
        r->numbers[i] =
            of == data->n_rows
                ? first + i
                : (uint64_t)(((double)(first + i) + 0.5) * (double)data->n_rows / (double)of);
    return data->gather(data->self, r->numbers, n, r->block, y, w, err);
}

static void free_columns(float **x, size_t f)
{
    for (size_t k = 0; x && k < f; k++)
        am_free(x[k]);
    am_free(x);
}

/* Columns of values, of all rows (with y and weights) or of a sample of n. */
static enum am_rc read_columns(struct reading *r, struct am_tree_data *d, size_t n, float ***out,
                               struct am_err *err)
{
    const bool all = n == d->n_rows;
    float **x = am_calloc(d->n_features, sizeof *x), w[BLOCK_ROWS];
    enum am_rc rc = x ? AM_OK : am_fail_nomem(err, d->n_features * sizeof *x);
    for (size_t k = 0; rc == AM_OK && k < d->n_features; k++) {
        x[k] = am_alloc_array(n, sizeof *x[k]);
        if (!x[k])
            rc = am_fail_nomem(err, n * sizeof *x[k]);
    }
    for (size_t i = 0; rc == AM_OK && i < n; i += BLOCK_ROWS) {
        const size_t m = n - i < BLOCK_ROWS ? n - i : BLOCK_ROWS;
        rc = read_block(r, i, m, n, all ? d->y + i : NULL, all ? w : NULL, err);
        if (rc != AM_OK)
            break;
        transpose(x, d->n_features, i, r->block, m);
        for (size_t j = 0; all && j < m; j++)
            d->weight[i + j] = (double)w[j];
    }
    if (rc == AM_OK) {
        *out = x;
        return AM_OK;
    }
    free_columns(x, d->n_features);
    return rc;
}

/* The second pass with bins. */
static enum am_rc read_bins(struct reading *r, struct am_tree_data *d, struct am_err *err)
{
    float w[BLOCK_ROWS];
    for (size_t k = 0; k < d->n_features; k++)
        AM_TRY(make_codes(&d->columns[k], d->n_rows, err));
    for (size_t i = 0; i < d->n_rows; i += BLOCK_ROWS) {
        const size_t m = d->n_rows - i < BLOCK_ROWS ? d->n_rows - i : BLOCK_ROWS;
        AM_TRY(read_block(r, i, m, d->n_rows, d->y + i, w, err));
        for (size_t j = 0; j < m; j++)
            d->weight[i + j] = (double)w[j];
        for (size_t k = 0; k < d->n_features; k++) {
            struct am_tree_column *c = &d->columns[k];
            for (size_t j = 0; j < m; j++) {
                const float v = r->block[j * d->n_features + k];
                const bool none = isnan(v) || c->n_values == 0;
                c->missing = c->missing || none;
                put_code(c, i + j, none ? c->n_values : bin_of(c, v));
            }
        }
    }
    return AM_OK;
}

/* ---- the whole ---- */

static size_t bins_of(const struct am_learn_task *t, const struct am_tree_load *load)
{
    if (load->bins)
        return load->bins;
    return t->train->n_rows > AM_TREE_EXACT_ROWS ? AM_TREE_BINS : 0;
}

/* Bytes a row: target, weight and out-of-bag votes; and of each tree that is being grown samples,
 * keys and sums (tree_grow.c). */
#define ROW_BYTES 28
#define SAMPLE_BYTES 96

/* What coding and growing hold at most, codes being up to 4 bytes (bins: 1 or 2). */
static enum am_rc check_memory(const struct am_learn_task *t, const struct am_tree_load *load,
                               struct am_tree_data *d, struct am_err *err)
{
    const double n = (double)d->n_rows, f = (double)d->n_features,
                 trees = (double)(load->n_at_once ? load->n_at_once : 1),
                 row = ROW_BYTES + 8 * (double)d->n_classes + SAMPLE_BYTES * trees;
    const double exact = n * (4 * f + row), sketch = fmin(n, (double)SKETCH_ROWS) * 4 * f,
                 binned = n * ((d->bins > 255 ? 2 : 1) * f + row) + sketch,
                 need = d->bins ? binned : exact;
    d->n_bytes = (uint64_t)need;
    if (t->memory_bytes == 0 || need <= (double)t->memory_bytes)
        return AM_OK;
    am_fail(err, AM_ELIMIT,
            "%s over %zu rows of %zu features needs %.0f MB, but %.0f MB are allowed",
            load->learner, d->n_rows, d->n_features, need / 1e6, (double)t->memory_bytes / 1e6);
    if (d->bins == 0 && binned <= (double)t->memory_bytes)
        am_hint(err, "Set model.bins to 255 (%.0f MB), or allow more memory.", binned / 1e6);
    else
        am_hint(err, "Allow more memory, or learn gradient_boosting, which works from files.");
    return AM_ELIMIT;
}

static enum am_rc check_targets(const struct am_learn_task *t, struct am_tree_data *d,
                                struct am_err *err)
{
    double *weights, sum = 0;
    enum am_rc rc = AM_OK;
    if (d->n_classes) {
        weights = am_alloc_array(d->n_classes, sizeof *weights);
        if (!weights)
            return am_fail_nomem(err, d->n_classes * sizeof *weights);
        rc = am_learn_class_weights(t, weights, err);
        for (size_t i = 0; rc == AM_OK && i < d->n_rows; i++)
            d->weight[i] *= weights[(size_t)d->y[i]];
        am_free(weights);
    }
    for (size_t i = 0; rc == AM_OK && i < d->n_rows; i++) {
        if (!isfinite(d->y[i]))
            rc = am_fail(err, AM_EINVAL, "the target of training row %zu is not a finite number",
                         i + 1);
        sum += d->weight[i];
    }
    if (rc == AM_OK && !(sum > 0 && isfinite(sum)))
        rc = am_fail(err, AM_EINVAL, "the weights of the training rows sum to %g", sum);
    return rc;
}

static enum am_rc make_tables(struct am_tree_data *d, struct am_err *err)
{
    if (d->n_classes == 0)
        return AM_OK;
    d->n_xlogx = d->n_rows < XLOGX ? d->n_rows + 1 : XLOGX;
    d->xlogx = am_alloc_array(d->n_xlogx, sizeof *d->xlogx);
    if (!d->xlogx)
        return am_fail_nomem(err, d->n_xlogx * sizeof *d->xlogx);
    d->xlogx[0] = 0;
    for (size_t i = 1; i < d->n_xlogx; i++)
        d->xlogx[i] = (double)i * log((double)i);
    return AM_OK;
}

static enum am_rc load_rows(const struct am_learn_task *t, struct am_tree_data *d,
                            struct am_err *err)
{
    struct reading r = {.t = t};
    struct loading l = {.d = d, .bins = d->bins};
    enum am_rc rc = AM_OK;
    r.block = am_alloc_array(BLOCK_ROWS * d->n_features, sizeof *r.block);
    if (!r.block)
        AM_GO(rc, am_fail_nomem(err, BLOCK_ROWS * d->n_features * sizeof *r.block));
    l.n = d->bins && d->n_rows > SKETCH_ROWS ? SKETCH_ROWS : d->n_rows;
    AM_GO(rc, read_columns(&r, d, l.n, &l.x, err));
    AM_GO(rc, code_all(&l, t->pool, err));
    if (d->bins)
        AM_GO(rc, read_bins(&r, d, err));
out:
    free_columns(l.x, d->n_features);
    am_free(r.block);
    return rc;
}

enum am_rc am_tree_data_new(const struct am_learn_task *t, const struct am_tree_load *load,
                            struct am_tree_data **out, struct am_err *err)
{
    struct am_tree_data *d;
    enum am_rc rc;
    *out = NULL;
    if (t->train->n_rows >= UINT32_MAX) {
        am_fail(err, AM_ELIMIT, "%s cannot take %llu rows, at most %u", load->learner,
                (unsigned long long)t->train->n_rows, UINT32_MAX - 1);
        am_hint(err, "Learn gradient_boosting, or a part of the rows.");
        return AM_ELIMIT;
    }
    d = am_calloc(1, sizeof *d);
    if (!d)
        return am_fail_nomem(err, sizeof *d);
    d->n_rows = (size_t)t->train->n_rows;
    d->n_features = t->n_features;
    d->n_classes = am_task_has_classes(t->task) ? t->n_classes : 0;
    d->bins = bins_of(t, load);
    AM_GO(rc, check_memory(t, load, d, err));
    d->columns = am_calloc(d->n_features, sizeof *d->columns);
    d->y = am_alloc_array(d->n_rows, sizeof *d->y);
    d->weight = am_alloc_array(d->n_rows, sizeof *d->weight);
    if (!d->columns || !d->y || !d->weight)
        AM_GO(rc, am_fail_nomem(err, d->n_rows * sizeof *d->weight));
    AM_GO(rc, load_rows(t, d, err));
    AM_GO(rc, check_targets(t, d, err));
    AM_GO(rc, make_tables(d, err));
    *out = d;
    d = NULL;
out:
    am_tree_data_free(d);
    return rc;
}
