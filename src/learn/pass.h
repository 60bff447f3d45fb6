/* Row work of the exact solvers: sums over a block of rows in double, one table per instruction
 * set. Inside of learn/.
 *
 * Functions add to their outputs, allocate nothing and cannot fail. A block's sums are one fixed
 * chain of operations. Any thread. */
#ifndef AM_LEARN_PASS_H
#define AM_LEARN_PASS_H

#include <stddef.h>

struct am_rows {    /* a block of rows */
    const float *x; /* [n, f] */
    const float *y; /* [n] value or class index */
    const float *w; /* [n] or NULL = all 1 */
    size_t n, f;
};

#define AM_PASS_TILE_DOUBLES 8192 /* of a tile of rows in double */

struct am_pass {
    const char *name; /* as the kernel table's */
    /* sum w, sum w y, sum w y^2, then sum w x [f], sum w x^2 [f]. */
    void (*moments)(const struct am_rows *r, const double *shift /* [f], subtracted from x */,
                    double y_shift, double *out /* [3 + 2 f] */);
    /* Lower triangle (a >= b; above it out[] is not defined) of sum w (x - mean)(x - mean)^T at
     * out[a * f + b], then at out[f * f]
     * sum w (x - mean)(y - y_mean) [f], then sum w (y - y_mean)^2. tile: scratch of
     * AM_PASS_TILE_DOUBLES + 64 f. */
    void (*gram)(const struct am_rows *r, const double *mean, double y_mean, double *out,
                 double *tile);
    /* Two classes, coef [f + 1] (bias last): sum of class_weight * w * log loss, then its gradient
     * [f + 1]. */
    void (*logistic)(const struct am_rows *r, const double *coef, const double class_weights[2],
                     double *out /* [1 + f + 1] */, double *tile);
    /* k classes, coef [k, f + 1]: the same with softmax. out [1 + k (f + 1)]. */
    void (*softmax)(const struct am_rows *r, size_t k, const double *coef,
                    const double *class_weights, double *out, double *tile);
};
/* Scratch doubles that gram, logistic and softmax need. */
static inline size_t am_pass_scratch(size_t f, size_t k)
{
    return AM_PASS_TILE_DOUBLES + 64 * (f + 16) + 64 * (k + 4);
}
const struct am_pass *am_pass_best(void);
const struct am_pass *am_pass_find(const char *name); /* NULL = unknown or not for this CPU */

#endif
