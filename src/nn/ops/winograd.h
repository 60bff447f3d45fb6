/* Winograd's algorithm for 3x3 convolutions and their gradient by the input.
 *
 * About a third of a direct convolution's time, for four times the packed weight and an error of
 * some 1e-6 of the largest product instead of 1e-7. By shape alone, so that bits depend neither on
 * a clock nor on the batch. Any thread. */
#ifndef AM_NN_WINOGRAD_H
#define AM_NN_WINOGRAD_H

#include "nn/ops/conv_int.h"

/* Whether a convolution of this shape is computed so, with kernels other than ref. */
bool am_winograd_suits(const struct am_conv_geo *q);
bool am_winograd_fits(const struct am_kernels *kern, const struct am_conv_geo *q);
/* The gradient by the input as a convolution of dy, where that suits too. */
bool am_winograd_back(const struct am_conv_geo *q, struct am_conv_geo *out);

/* Floats of the transformed weight: 36 packed matrices [c, n]; of any table. */
size_t am_winograd_floats(const struct am_kernels *kern, const struct am_conv_geo *q);
size_t am_winograd_floats_most(const struct am_conv_geo *q);
/* w [9 c, n] -> out; or, back, w [9 n, c] of the forward convolution, turned and transposed. */
void am_winograd_pack(const struct am_kernels *kern, const struct am_conv_geo *q, const float *w,
                      bool back, float *out);
/* Floats of scratch for any batch of at most `rows`. */
size_t am_winograd_scratch(const struct am_conv_geo *q, size_t rows);

struct am_winograd {
    struct am_conv_geo q;
    const float *x, *u; /* u as packed */
    float *y;
    const float *bias; /* [n] or NULL */
    enum am_act act;
    float alpha;
    size_t batch;
};
void am_winograd_run(const struct am_run *r, const struct am_winograd *w, float *scratch);

#endif
