/* Sparse rows (CSR): a view that anybody may read, and a buffer that grows row by row.
 *
 * What a text column's counts are made of: of up to a million features a row has some hundred.
 * Columns of a row ascend strictly; a value may be 0 but not NaN. A view borrows; a buffer owns its
 * arrays, belongs to one thread at a time and keeps its room when it is emptied, so that serving
 * allocates nothing after the first requests. */
#ifndef AM_TENSOR_SPARSE_H
#define AM_TENSOR_SPARSE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct am_csr {
    size_t n_rows, n_cols;
    const uint64_t *start; /* [n_rows + 1]: row i is entries [start[i], start[i + 1]) of the two: */
    const uint32_t *cols;  /* each < n_cols */
    const float *vals;
};

struct am_csr_buf {
    size_t n_rows, n_cols; /* n_cols is for the owner to set */
    size_t n;              /* entries */
    uint64_t *start;       /* owned, [cap_rows + 1] */
    uint32_t *cols;        /* owned, [cap] */
    float *vals;           /* owned, [cap] */
    size_t cap_rows, cap;
    void *scratch; /* of whoever fills it, kept from batch to batch */
    void (*scratch_free)(void *scratch);
};

/* All zero is an empty buffer. */
void am_csr_clear(struct am_csr_buf *b);
/* No rows; room is kept. */
void am_csr_reset(struct am_csr_buf *b, size_t n_cols);
/* Room for so many rows and entries more. */
enum am_rc am_csr_reserve(struct am_csr_buf *b, size_t rows, size_t entries,
                          struct am_err *err) AM_MUST_CHECK;
/* One row of n entries. */
enum am_rc am_csr_push(struct am_csr_buf *b, const uint32_t *cols, const float *vals, size_t n,
                       struct am_err *err) AM_MUST_CHECK;
/* One row out of a dense one [n_cols]: what is not 0. */
enum am_rc am_csr_push_dense(struct am_csr_buf *b, const float *row,
                             struct am_err *err) AM_MUST_CHECK;
/* Valid until the buffer changes. */
static inline struct am_csr am_csr_of(const struct am_csr_buf *b)
{
    return (struct am_csr){b->n_rows, b->n_cols, b->start, b->cols, b->vals};
}
/* Rows [first, first + n) of a view, as a view. */
static inline struct am_csr am_csr_rows(const struct am_csr *x, size_t first, size_t n)
{
    return (struct am_csr){n, x->n_cols, x->start + first, x->cols, x->vals};
}
/* out [n_rows, n_cols] */
void am_csr_to_dense(const struct am_csr *x, float *out);
/* Ascending columns below n_cols in every row, offsets that never fall. For what came from outside:
 * AM_EINVAL. */
enum am_rc am_csr_check(const struct am_csr *x, size_t n_entries, struct am_err *err) AM_MUST_CHECK;

#endif
