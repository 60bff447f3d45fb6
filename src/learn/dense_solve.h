/* Small dense problems in double: positive (semi-)definite systems and coordinate descent. Inside
 * of learn/. Not a linear algebra library; one thread. */
#ifndef AM_LEARN_DENSE_SOLVE_H
#define AM_LEARN_DENSE_SOLVE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* x = A^+ b: the solution, or the one of least norm when A (symmetric, positive semi-definite) is
 * singular. a [n, n] lower triangle; overwritten. b [n] becomes x. *rank = what was found. */
enum am_rc am_solve_psd(size_t n, double *a, double *b, size_t *rank,
                        struct am_err *err) AM_MUST_CHECK;

struct am_descent_result {
    size_t iterations;
    double gap; /* duality gap over b-scale: as scikit-learn's */
    bool converged;
};
/* min 1/2 w^T A w - b^T w + l1 |w|_1 + l2/2 w^T w, by cyclic coordinate descent; yy = y^T y (for
 * the gap). a [n, n] lower triangle, not changed. w [n]: the start, then the minimiser. Stops when
 * the duality gap is at most tolerance * yy. */
enum am_rc am_solve_elastic_net(size_t n, const double *a, const double *b, double yy, double l1,
                                double l2, size_t max_iterations, double tolerance, double *w,
                                struct am_descent_result *result, struct am_err *err) AM_MUST_CHECK;

#endif
