/* Max and average pooling over one vector of channels, forward and backward, for the avx2 and
 * avx512 tables.
 *
 * Included by kern_body.h and tkern_body.h after vec.h; channels are the last dimension, so a
 * window is a handful of loads and no index is ever stored: the gradient finds the maximum again.
 * Pure, see kernels.h. */
#ifndef AM_TENSOR_KERN_POOL_H
#define AM_TENSOR_KERN_POOL_H

#include <string.h>

#include "tensor/kernels.h"
#include "tensor/vec.h"

#ifdef __AVX512F__
/* v replaces best: larger, or not a number */
AM_INLINE vm vm_takes(vf v, vf best)
{
    return (vm)(_mm512_cmp_ps_mask(v, best, _CMP_GT_OQ) | _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q));
}
AM_INLINE vm vm_same(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
#else
AM_INLINE vm vm_takes(vf v, vf best)
{
    return _mm256_or_ps(_mm256_cmp_ps(v, best, _CMP_GT_OQ), _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}
AM_INLINE vm vm_same(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
#endif

struct pool_window {
    size_t at;         /* floats from the picture to the first place of the window */
    size_t rows, cols; /* places inside the picture */
    float share;       /* average: 1 / divisor */
};

AM_INLINE size_t pool_clip(size_t at, size_t kernel, size_t pad, size_t size, size_t *first)
{
    const size_t end = at + kernel > pad + size ? size : at + kernel - pad;
    *first = at > pad ? at - pad : 0;
    return end - *first;
}

AM_INLINE struct pool_window pool_window(const struct am_pooling_shape *p, size_t oy, size_t ox)
{
    struct pool_window w;
    size_t y0, x0;
    w.rows = pool_clip(oy * p->stride[0], p->kernel[0], p->pad[0], p->h, &y0);
    w.cols = pool_clip(ox * p->stride[1], p->kernel[1], p->pad[1], p->w, &x0);
    w.at = (y0 * p->w + x0) * p->c;
    w.share = 1.0f / (float)(p->skip_pad ? w.rows * w.cols : p->kernel[0] * p->kernel[1]);
    return w;
}

/* STATEMENT for every vector of channels at j; m = its lanes; whole vectors take plain loads */
#define POOL_EACH(c, STATEMENT)                                                                    \
    do {                                                                                           \
        size_t j = 0;                                                                              \
        for (; j + VL <= (c); j += VL) {                                                           \
            STATEMENT(vf_load, vf_store)                                                           \
        }                                                                                          \
        if (j < (c)) {                                                                             \
            const vm lanes_ = vm_first((c)-j);                                                     \
            STATEMENT(POOL_LOAD_M, POOL_STORE_M)                                                   \
        }                                                                                          \
    } while (0)
#define POOL_LOAD_M(p) vf_load_m((p), lanes_)
#define POOL_STORE_M(p, x) vf_store_m((p), lanes_, (x))

/* rows and cols are constants in the usual cases */
AM_INLINE void max_window(const float *x, size_t row, size_t c, size_t rows, size_t cols, float *y)
{
#define MAX_STEP(LD_, ST_)                                                                         \
    vf best = LD_(x + j);                                                                          \
    for (size_t ky = 0; ky < rows; ky++)                                                           \
        for (size_t kx = 0; kx < cols; kx++) {                                                     \
            const vf v = LD_(x + ky * row + kx * c + j);                                           \
            best = vf_pick(vm_takes(v, best), v, best);                                            \
        }                                                                                          \
    ST_(y + j, best);
    POOL_EACH(c, MAX_STEP);
#undef MAX_STEP
}

/* sums in pieces of one row and at most AM_GEMM_K_BLOCK places, added in order */
AM_INLINE void mean_window(const float *x, size_t row, size_t c, size_t rows, size_t cols,
                           float share, float *y)
{
#define MEAN_STEP(LD_, ST_)                                                                        \
    vf total = vf_set(0.0f);                                                                       \
    for (size_t ky = 0; ky < rows; ky++)                                                           \
        for (size_t k0 = 0; k0 < cols; k0 += AM_GEMM_K_BLOCK) {                                    \
            const size_t k1 = cols - k0 < AM_GEMM_K_BLOCK ? cols : k0 + AM_GEMM_K_BLOCK;           \
            vf part = vf_set(0.0f);                                                                \
            for (size_t kx = k0; kx < k1; kx++)                                                    \
                part = vf_add(part, LD_(x + ky * row + kx * c + j));                               \
            total = vf_add(total, part);                                                           \
        }                                                                                          \
    ST_(y + j, vf_mul(total, vf_set(share)));
    POOL_EACH(c, MEAN_STEP);
#undef MEAN_STEP
}

AM_INLINE void pool_rows(const struct am_pooling_shape *p, const float *x, float *y, size_t r0,
                         size_t r1)
{
    const size_t c = p->c, row = p->w * c;
    for (size_t r = r0; r < r1; r++) {
        const float *picture = x + r / p->out_h * p->h * row;
        float *to = y + r * p->out_w * c;
        for (size_t ox = 0; ox < p->out_w; ox++, to += c) {
            const struct pool_window w = pool_window(p, r % p->out_h, ox);
            const float *from = picture + w.at;
            if (p->average)
                mean_window(from, row, c, w.rows, w.cols, w.share, to);
            else if (w.rows == 2 && w.cols == 2)
                max_window(from, row, c, 2, 2, to);
            else if (w.rows == 3 && w.cols == 3)
                max_window(from, row, c, 3, 3, to);
            else
                max_window(from, row, c, w.rows, w.cols, to);
        }
    }
}

/* add = 0: the windows do not meet, each place is written once */
AM_INLINE void max_back(const float *dy, const float *x, float *dx, size_t row, size_t c,
                        size_t rows, size_t cols, int add)
{
#define BACK_STEP(LD_, ST_)                                                                        \
    vf best = LD_(x + j), at = vf_set(0.0f);                                                       \
    const vf d = LD_(dy + j);                                                                      \
    for (size_t ky = 0; ky < rows; ky++)                                                           \
        for (size_t kx = 0; kx < cols; kx++) {                                                     \
            const vf v = LD_(x + ky * row + kx * c + j);                                           \
            const vm m = vm_takes(v, best);                                                        \
            best = vf_pick(m, v, best);                                                            \
            at = vf_pick(m, vf_set((float)(ky * cols + kx)), at);                                  \
        }                                                                                          \
    for (size_t ky = 0; ky < rows; ky++)                                                           \
        for (size_t kx = 0; kx < cols; kx++) {                                                     \
            float *to = dx + ky * row + kx * c + j;                                                \
            const vf g = vf_keep(vm_same(at, vf_set((float)(ky * cols + kx))), d);                 \
            ST_(to, add ? vf_add(LD_(to), g) : g);                                                 \
        }
    POOL_EACH(c, BACK_STEP);
#undef BACK_STEP
}

AM_INLINE void mean_back(const float *dy, float *dx, size_t row, size_t c, size_t rows, size_t cols,
                         float share, int add)
{
#define SPREAD_STEP(LD_, ST_)                                                                      \
    const vf g = vf_mul(LD_(dy + j), vf_set(share));                                               \
    for (size_t ky = 0; ky < rows; ky++)                                                           \
        for (size_t kx = 0; kx < cols; kx++) {                                                     \
            float *to = dx + ky * row + kx * c + j;                                                \
            ST_(to, add ? vf_add(LD_(to), g) : g);                                                 \
        }
    POOL_EACH(c, SPREAD_STEP);
#undef SPREAD_STEP
}

AM_INLINE void pool_grad_picture(const struct am_pooling_shape *p, const float *dy, const float *x,
                                 float *dx, int add)
{
    const size_t c = p->c, row = p->w * c;
    for (size_t oy = 0; oy < p->out_h; oy++) {
        for (size_t ox = 0; ox < p->out_w; ox++, dy += c) {
            const struct pool_window w = pool_window(p, oy, ox);
            if (p->average)
                mean_back(dy, dx + w.at, row, c, w.rows, w.cols, w.share, add);
            else if (w.rows == 2 && w.cols == 2)
                max_back(dy, x + w.at, dx + w.at, row, c, 2, 2, add);
            else if (w.rows == 3 && w.cols == 3)
                max_back(dy, x + w.at, dx + w.at, row, c, 3, 3, add);
            else
                max_back(dy, x + w.at, dx + w.at, row, c, w.rows, w.cols, add);
        }
    }
}

/* Windows side by side cover [0, out * kernel): only the edge is left to clear. */
AM_INLINE void pool_clear_edge(const struct am_pooling_shape *p, float *dx)
{
    const size_t row = p->w * p->c, have_h = p->out_h * p->kernel[0],
                 have = p->out_w * p->kernel[1] * p->c;
    for (size_t y = 0; y < have_h && have < row; y++)
        memset(dx + y * row + have, 0, (row - have) * sizeof(float));
    if (have_h < p->h)
        memset(dx + have_h * row, 0, (p->h - have_h) * row * sizeof(float));
}

AM_INLINE void pool_grad_pictures(const struct am_pooling_shape *p, const float *dy, const float *x,
                                  float *dx, size_t n0, size_t n1)
{
    const size_t in = p->h * p->w * p->c, out = p->out_h * p->out_w * p->c;
    const int apart = p->stride[0] == p->kernel[0] && p->stride[1] == p->kernel[1] &&
                      p->pad[0] == 0 && p->pad[1] == 0;
    for (size_t i = n0; i < n1; i++) {
        const float *from = x ? x + i * in : NULL;
        if (apart) {
            pool_clear_edge(p, dx + i * in);
            pool_grad_picture(p, dy + i * out, from, dx + i * in, 0);
        } else {
            memset(dx + i * in, 0, in * sizeof(float));
            pool_grad_picture(p, dy + i * out, from, dx + i * in, 1);
        }
    }
}

#endif
