/* Minimising a smooth convex function, with or without an L1 penalty, in double: L-BFGS (Nocedal
 * 1980; weak Wolfe line search of Lewis and Overton 2013) and OWL-QN (Andrew and Gao 2007). Inside
 * of learn/. Allocates for one call; one thread. */
#ifndef AM_LEARN_LBFGS_H
#define AM_LEARN_LBFGS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct am_lbfgs_problem {
    size_t n;
    void *ctx;
    /* *f and g [n] of the smooth part at x */
    enum am_rc (*eval)(void *ctx, const double *x, double *f, double *g, struct am_err *err);
    const double *l1; /* [n], >= 0: sum l1_i |x_i| is added; NULL = none */
};
struct am_lbfgs_options {
    size_t max_iterations;
    double tolerance; /* stop when no element of the (pseudo-)gradient exceeds it */
};
struct am_lbfgs_result {
    size_t iterations, evaluations;
    double objective; /* L1 included */
    double gradient;  /* largest element */
    bool converged;
};

/* x [n]: the start, then the minimiser. Reaching max_iterations is no error (converged = false). A
 * function that is not finite at the start is AM_EINVAL. */
enum am_rc am_lbfgs(const struct am_lbfgs_problem *p, const struct am_lbfgs_options *o, double *x,
                    struct am_lbfgs_result *result, struct am_err *err) AM_MUST_CHECK;

#endif
