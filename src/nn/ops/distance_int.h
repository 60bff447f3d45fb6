/* Inside of the distance ops: the table of inner loops per instruction set, and the layout of a
 * packed set of centers. For nn/ops/distance*.c only. */
#ifndef AM_NN_OPS_DISTANCE_INT_H
#define AM_NN_OPS_DISTANCE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "nn/ops/distance.h"

#define AM_DIRECT_PANEL 16

/* Rows that a thread takes at once: a GEMM of one row would read all centers for it alone. */
#define AM_DISTANCE_UNIT 32

struct am_distance_table {
    const char *name;
    /* out [m, k1 - k0] = sums of squares or of absolute differences; k0 a multiple of the panel */
    void (*direct)(enum am_distance metric, const float *x, size_t m, size_t n, const float *packed,
                   size_t k0, size_t k1, float *out, size_t out_row);
    /* Positions of values <= limit, in order; index [n]. */
    size_t (*below)(const float *v, size_t n, float limit, uint32_t *index);
    /* v = exp(-gamma v) */
    void (*gauss)(float *v, size_t n, float gamma);
};
const struct am_distance_table *am_distance_table(const struct am_kernels *kern);

/* A packed set: what the GEMM needs, or panels for the direct way. */
struct am_packed_centers {
    const float *norm;  /* [k] |c - mean|^2 (cosine: 1 / |c|, 0 for a zero row) */
    const float *mean;  /* [n] */
    const float *panel; /* packed -2 (c - mean), or cosine: -c / |c|; or direct panels */
    const float *bias;  /* [k] what a lower bound of the squared distance starts from */
};
/* Are distances of n numbers computed without a GEMM? */
bool am_distance_is_direct(enum am_distance metric, size_t n);
struct am_packed_centers am_distance_unpack(const float *packed, size_t k, size_t n);

/* How far a squared distance from the GEMM may be from the true one, as a share of |x|^2 + |c|^2;
 * the bias of the packed form is norm * (1 - that). */
float am_distance_slack(enum am_distance metric, size_t n);

/* Distance in double of two rows as the model's exact order sees it: squares for SQUARED and
 * EUCLIDEAN. */
double am_distance_exact(enum am_distance metric, const float *a, const float *b, size_t n);

/* x - mean into out [m, n] and its squared norm (cosine: x / |x|, and 1 or 0) into norm [m]. */
void am_distance_center(enum am_distance metric, const float *mean, const float *x, size_t m,
                        size_t n, float *out, float *norm);

#endif
