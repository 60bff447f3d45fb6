/* Sparse rows; see sparse.h. Pure memory work, no state. */
#include "tensor/sparse.h"

#include <string.h>

#include "base/alloc.h"

void am_csr_clear(struct am_csr_buf *b)
{
    am_free(b->start);
    am_free(b->cols);
    am_free(b->vals);
    if (b->scratch)
        b->scratch_free(b->scratch);
    *b = (struct am_csr_buf){0};
}

void am_csr_reset(struct am_csr_buf *b, size_t n_cols)
{
    b->n_rows = b->n = 0;
    b->n_cols = n_cols;
    if (b->start)
        b->start[0] = 0;
}

static enum am_rc grow_rows(struct am_csr_buf *b, size_t rows, struct am_err *err)
{
    size_t want, cap = b->cap_rows ? b->cap_rows : 16;
    uint64_t *start;
    if (!am_add_size(&want, b->n_rows, rows))
        return am_fail_nomem(err, SIZE_MAX);
    if (b->start && want <= b->cap_rows)
        return AM_OK;
    while (cap < want)
        cap = cap > want / 2 ? want : cap * 2;
    start = am_realloc_array(b->start, cap + 1, sizeof *start);
    if (!start)
        return am_fail_nomem(err, (cap + 1) * sizeof *start);
    if (!b->start)
        start[0] = 0;
    b->start = start;
    b->cap_rows = cap;
    return AM_OK;
}

enum am_rc am_csr_reserve(struct am_csr_buf *b, size_t rows, size_t entries, struct am_err *err)
{
    size_t want, cap = b->cap ? b->cap : 64;
    uint32_t *cols;
    float *vals;
    AM_TRY(grow_rows(b, rows, err));
    if (!am_add_size(&want, b->n, entries))
        return am_fail_nomem(err, SIZE_MAX);
    if (b->cols && b->vals && want <= b->cap)
        return AM_OK;
    while (cap < want)
        cap = cap > want / 2 ? want : cap * 2;
    cols = am_realloc_array(b->cols, cap, sizeof *cols);
    if (cols)
        b->cols = cols;
    vals = am_realloc_array(b->vals, cap, sizeof *vals);
    if (vals)
        b->vals = vals;
    if (!cols || !vals)
        return am_fail_nomem(err, cap * (sizeof *cols + sizeof *vals));
    b->cap = cap;
    return AM_OK;
}

enum am_rc am_csr_push(struct am_csr_buf *b, const uint32_t *cols, const float *vals, size_t n,
                       struct am_err *err)
{
    AM_TRY(am_csr_reserve(b, 1, n, err));
    if (n > 0) {
        memcpy(b->cols + b->n, cols, n * sizeof *cols);
        memcpy(b->vals + b->n, vals, n * sizeof *vals);
    }
    b->n += n;
    b->start[++b->n_rows] = b->n;
    return AM_OK;
}

enum am_rc am_csr_push_dense(struct am_csr_buf *b, const float *row, struct am_err *err)
{
    size_t n = 0;
    for (size_t j = 0; j < b->n_cols; j++)
        n += row[j] != 0;
    AM_TRY(am_csr_reserve(b, 1, n, err));
    for (size_t j = 0; j < b->n_cols; j++) {
        if (row[j] != 0) {
            b->cols[b->n] = (uint32_t)j;
            b->vals[b->n++] = row[j];
        }
    }
    b->start[++b->n_rows] = b->n;
    return AM_OK;
}

void am_csr_to_dense(const struct am_csr *x, float *out)
{
    for (size_t i = 0; i < x->n_rows; i++, out += x->n_cols) {
        memset(out, 0, x->n_cols * sizeof *out);
        for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++)
            out[x->cols[e]] = x->vals[e];
    }
}

enum am_rc am_csr_check(const struct am_csr *x, size_t n_entries, struct am_err *err)
{
    for (size_t i = 0; i < x->n_rows; i++) {
        if (x->start[i] > x->start[i + 1] || x->start[i + 1] > n_entries)
            return am_fail(err, AM_EINVAL, "sparse row %zu has no valid range of entries", i);
        for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++)
            if (x->cols[e] >= x->n_cols || (e > x->start[i] && x->cols[e] <= x->cols[e - 1]))
                return am_fail(err, AM_EINVAL, "sparse row %zu: column %u of %zu is out of order",
                               i, x->cols[e], x->n_cols);
    }
    return AM_OK;
}
