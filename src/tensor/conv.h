/* What convolution kernels are handed: one image (or a band of its rows), channels-last, whose
 * padding is already there.
 *
 * An output pixel is a product of a patch and a packed matrix. The patch is not copied together: it
 * is a list of runs of floats at fixed distances from the pixel's place (implicit GEMM). The same
 * kernels serve the convolution, its gradient by the input and the transposed convolution. Kernels
 * neither allocate nor fail nor start threads; callers split output rows. An output element is the
 * same chain of operations whatever rows surround it. Any thread. */
#ifndef AM_TENSOR_CONV_H
#define AM_TENSOR_CONV_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/kernels.h"

struct am_conv_piece { /* consecutive floats of a patch */
    size_t offset;     /* from the pixel's place */
    size_t len;        /* 1..AM_CONV_PIECE_MAX */
};

/* Pieces are added in blocks: a block ends before the piece with which it would have more floats
 * than this. A block is a chain of fused multiply-adds from 0 upwards; blocks are added in order,
 * then bias, then act. */
#define AM_CONV_PIECE_MAX 320

struct am_conv {
    const float *x;      /* pixel (0,0) */
    size_t x_row, x_col; /* floats between the places of output rows and columns */
    const struct am_conv_piece *pieces;
    size_t n_pieces, k; /* k = sum of len */
    const float *b;     /* packed [k, n] (am_pack) */
    bool far;           /* b does not stay in the second cache: fetch the next part meanwhile */
    size_t n, width;    /* output channels, output columns */
    float *y;
    size_t y_row, y_col; /* floats between output rows and columns */
    const float *bias;   /* [n] or NULL */
    enum am_act act;
    float alpha;
};

/* Each channel by itself: y[row, col, c] = act(sum over taps x[.. + offset + c] w[tap, c] + bias).
 */
struct am_depthwise {
    const float *x;
    size_t x_row, x_col;
    const size_t *offsets; /* of the taps */
    const size_t *w_rows;  /* the tap's row of w */
    size_t n_taps;
    const float *w; /* [.., n] */
    size_t n, width;
    float *y;
    size_t y_row, y_col;
    const float *bias;
    enum am_act act;
    float alpha;
};

/* out[i, j] (+)= sum over rows and columns, in order, of x[row, col, i] dy[row, col, j]: one chain
 * of fused multiply-adds from 0, then one addition unless `first`. */
struct am_conv_dw {
    const float *x;
    size_t x_row, x_col;
    const float *dy;
    size_t dy_row, dy_col;
    size_t rows, width;
    size_t m, n; /* m consecutive floats of x, n of dy */
    float *out;
    size_t out_row;
    bool first;
};

/* out[tap, c] (+)= sum of x[row, col, offset + c] dy[row, col, c]; chains as above. */
struct am_depthwise_dw {
    const float *x;
    size_t x_row, x_col;
    const size_t *offsets;
    size_t n_taps;
    const float *dy;
    size_t dy_row, dy_col;
    size_t rows, width, n;
    float *out; /* [n_taps, n] */
    bool first;
};

/* Winograd's F(4x4, 3x3) (Lavin, Gray 2015): tiles of 4x4 outputs from 6x6 inputs by 36 products
 * where a direct sum takes 144. Element (i, k) of a transformed tile lies at (i * 6 + k) * step. */
enum { AM_WINOGRAD_OUT = 4, AM_WINOGRAD_IN = 6, AM_WINOGRAD_TERMS = 36 };

struct am_winograd_in {
    const float *at[AM_WINOGRAD_TERMS]; /* the channels of each pixel of the tile */
    size_t c;
    float *v; /* [36][.. step], c floats each */
    size_t step;
};
/* One channel's filters, at most a panel of them; those missing become zeros. */
struct am_winograd_weight {
    const float *w; /* tap t at w + t * step, n floats each */
    size_t step, n;
    float *u; /* [36][.. u_step], a panel each */
    size_t u_step;
};
struct am_winograd_out {
    const float *m; /* [36][.. step], n floats each */
    size_t n, step;
    const float *bias; /* [n] or NULL */
    bool relu;
    float *to[AM_WINOGRAD_OUT * AM_WINOGRAD_OUT]; /* channels of each pixel; NULL = none there */
};

struct am_conv_kernels {
    void (*conv)(const struct am_conv *c, size_t row0, size_t row1);
    void (*depthwise)(const struct am_depthwise *d, size_t row0, size_t row1);
    void (*dw)(const struct am_conv_dw *d);
    void (*depthwise_dw)(const struct am_depthwise_dw *d);
    void (*winograd_weight)(const struct am_winograd_weight *t); /* these three NULL in ref */
    void (*winograd_in)(const struct am_winograd_in *t);
    void (*winograd_out)(const struct am_winograd_out *t);
};
extern const struct am_conv_kernels am_conv_kernels_ref;
/* The table of the same instruction set. */
const struct am_conv_kernels *am_conv_kernels_beside(const struct am_kernels *kern);

#endif
