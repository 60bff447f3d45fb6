/* Principal components and truncated singular vectors of many rows: the numeric core of `pca`,
 * `svd` and derived features. Inside of learn/.
 *
 * Up to 512 features the whole matrix of products is gathered in one pass and taken apart exactly
 * (Householder, QL); beyond that by randomised subspace iteration (Halko, Martinsson and Tropp
 * 2011), two products a pass, over dense or sparse rows. Double throughout; sums in fixed parts in
 * a fixed order. A component's sign is such that its number of largest magnitude is positive (of
 * equals the first). One caller at a time. */
#ifndef AM_LEARN_COMPONENTS_H
#define AM_LEARN_COMPONENTS_H

#include "nn/matrix.h"

struct am_pool;
struct am_progress;

#define AM_COMPONENTS_EXACT 512 /* features */

struct am_components_options {
    size_t k;        /* components; at most features and rows */
    double share;    /* > 0: as many of k as explain that share of the variance */
    bool center;     /* pca: about the mean; else as the rows are */
    bool randomized; /* also where the exact way would do */
    size_t passes;   /* of the subspace iteration at most */
    uint64_t seed;
};

struct am_components {
    size_t n, k;
    double *mean;     /* owned, [n]; zero without centering */
    double *vectors;  /* owned, [k, n], orthonormal */
    double *singular; /* owned, [k] singular values of the (centered) rows, falling */
    double *
        variance; /* owned, [k] of the rows along each, by n - 1 (pca) or n (svd) as scikit-learn */
    double total; /* variance of all features */
    size_t passes;  /* over the rows */
    bool converged; /* of the iteration */
};
void am_components_clear(struct am_components *c);
enum am_rc am_components_fit(const struct am_train_data *data,
                             const struct am_components_options *o, struct am_pool *pool,
                             struct am_progress *progress, struct am_components *out,
                             struct am_err *err) AM_MUST_CHECK;

/* Eigenvalues of a symmetric matrix, falling, and eigenvectors as rows. a [n, n] is overwritten by
 * the vectors, values [n]. */
enum am_rc am_eigen_symmetric(size_t n, double *a, double *values,
                              struct am_err *err) AM_MUST_CHECK;

#endif
