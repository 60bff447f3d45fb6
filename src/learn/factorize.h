/* Matrix factorisation: the numeric core of `matrix_factorization`. Inside of learn/.
 *
 * Explicit ratings: alternating least squares with biases, ridge times the number of ratings (Zhou
 * et al. 2008; Koren et al. 2009). Choices: the same with confidences (Hu, Koren and Volinsky
 * 2008), or Bayesian personalised ranking by single steps (Rendle et al. 2009), which runs on one
 * thread. In double; users are solved apart, so nothing depends on threads. One caller at a time.
 */
#ifndef AM_LEARN_FACTORIZE_H
#define AM_LEARN_FACTORIZE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct am_pool;
struct am_progress;

struct am_choices { /* who chose what, by one of both sides; rows sorted by the other's number */
    size_t n_rows, n_cols;
    size_t *start; /* owned, [n_rows + 1] */
    uint32_t *col; /* owned, [n] */
    float *value;  /* owned, [n] a rating, or how often */
};
void am_choices_clear(struct am_choices *c);
/* n triples (row, column, value), in any order; `merge`: equal pairs become one, values added. */
enum am_rc am_choices_make(const uint32_t *rows, const uint32_t *cols, const float *values,
                           size_t n, size_t n_rows, size_t n_cols, bool merge,
                           struct am_choices *out, struct am_err *err) AM_MUST_CHECK;

enum am_factor_method { AM_FACTORS_EXPLICIT, AM_FACTORS_IMPLICIT, AM_FACTORS_BPR };
struct am_factor_options {
    enum am_factor_method method;
    size_t factors, iterations;
    double regularization, alpha, learning_rate;
    uint64_t seed;
};
/* users [n_users, f + 1], items [n_items, f + 1], a bias last (0 with IMPLICIT): filled with the
 * start, become the result. by_item is by_user's transpose (NULL with BPR). mean: of the ratings.
 */
enum am_rc am_factors_fit(const struct am_choices *by_user, const struct am_choices *by_item,
                          const struct am_factor_options *o, double mean, double *users,
                          double *items, struct am_pool *pool, struct am_progress *progress,
                          struct am_err *err) AM_MUST_CHECK;
/* The usual start: normal numbers of deviation 0.1, biases 0. */
void am_factors_start(double *users, size_t n_users, double *items, size_t n_items, size_t factors,
                      uint64_t seed);

#endif
