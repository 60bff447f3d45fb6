/* Rows laid out in a plane by their two principal components, for pictures. One thread. */
#ifndef AM_LEARN_REDUCE_H
#define AM_LEARN_REDUCE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* x [n_rows, width], width >= 2; which [n] of them are placed: out [n, 2]. Components are those of
 * all rows; shares[2]: of the variance that each explains. */
enum am_rc am_reduce_to_two(const float *x, size_t n_rows, size_t width, const size_t *which,
                            size_t n, uint64_t seed, double *out, double shares[2],
                            struct am_err *err) AM_MUST_CHECK;

#endif
