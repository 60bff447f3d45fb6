/* Sums over sparse rows (CSR) for the exact solvers, in parallel and yet always with the same bits.
 * Inside of learn/.
 *
 * Rows are cut into a few parts whose number depends on rows and sums only; each part adds up its
 * rows in order, then parts are added in a fixed tree. So a sum over a million features costs a few
 * vectors of memory, not one a block as stream.h has. One thread calls. */
#ifndef AM_LEARN_SPARSE_H
#define AM_LEARN_SPARSE_H

#include "nn/matrix.h"

struct am_pool;
struct am_progress;

struct am_sparse_sum {
    const struct am_train_data *data; /* borrowed */
    struct am_pool *pool;             /* borrowed */
    struct am_progress *progress;     /* borrowed; may be NULL */
    size_t n_parts, n_sums;
    double *sums;             /* owned, [n_parts, n_sums] */
    struct am_csr_buf *rows;  /* owned, [n_parts]: for data without view */
    float *targets, *weights; /* owned, [n_parts, 1024] */
};

struct am_sparse_rows_view {
    struct am_csr x;
    const float *y; /* [x.n_rows] */
    const float *w; /* [x.n_rows] or NULL = all 1 */
};

enum am_rc am_sparse_sum_init(struct am_sparse_sum *s, const struct am_train_data *data,
                              size_t n_sums, struct am_pool *pool, struct am_progress *progress,
                              struct am_err *err) AM_MUST_CHECK;
void am_sparse_sum_clear(struct am_sparse_sum *s);
/* total [n_sums] = sum over all rows of what fn adds. AM_ECANCELED. */
enum am_rc am_sparse_sum_run(struct am_sparse_sum *s,
                             void (*fn)(void *ctx, const struct am_sparse_rows_view *r,
                                        double *sums),
                             void *ctx, double *total, struct am_err *err) AM_MUST_CHECK;

/* What rows add to sums; layouts as of struct am_pass. */
/* sum w, sum w y, sum w y^2, then sum w x [f], sum w x^2 [f] */
void am_sparse_moments(const struct am_sparse_rows_view *r, double *out /* [3 + 2 f] */);
void am_sparse_logistic(const struct am_sparse_rows_view *r, const double *coef /* [f + 1] */,
                        const double class_weights[2], double *out /* [1 + f + 1] */);
void am_sparse_softmax(const struct am_sparse_rows_view *r, size_t k, const double *coef,
                       const double *class_weights,
                       double *out /* [1 + k (f + 1) + k], the last k scratch */);
/* w (y - x coef)^2 / 2 and its gradient */
void am_sparse_squares(const struct am_sparse_rows_view *r, const double *coef,
                       double *out /* [1 + f + 1] */);

#endif
