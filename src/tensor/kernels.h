/* Compute kernels for applying models: one const table per instruction set, chosen at run time.
 *
 * `ref` is plain C: complete, slow, the oracle of the tests and the fallback of any CPU. `avx2` and
 * `avx512` are built from one source over a vector width. Not a scheduler: kernels never start
 * threads, allocate or fail; callers split outputs. An output element is always computed by the
 * same chain of operations, whatever rows, tiles or threads surround it. No pointer may alias an
 * output except where said. Any thread. */
#ifndef AM_TENSOR_KERNELS_H
#define AM_TENSOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum am_act {
    AM_ACT_NONE,
    AM_ACT_RELU,
    AM_ACT_LEAKY_RELU, /* alpha = slope below 0 */
    AM_ACT_ELU,        /* alpha (exp x - 1) below 0 */
    AM_ACT_GELU,       /* x Phi(x), by erf */
    AM_ACT_GELU_TANH,  /* the tanh approximation */
    AM_ACT_SILU,
    AM_ACT_SIGMOID,
    AM_ACT_TANH,
    AM_ACT_SOFTMAX, /* over the last dimension: a layer's activation, not for act()/gemm() */
};

/* C[m0..m1, n0..n1] of C = act(A B + bias). Element sums run over k in blocks of AM_GEMM_K_BLOCK,
 * each block a chain of fused multiply-adds from 0 upwards, blocks added in order, then bias, then
 * act. */
#define AM_GEMM_K_BLOCK 256
struct am_gemm {
    size_t m, n, k; /* whole problem */
    const float *a; /* element (i, p) at a[i * a_row + p * a_col]; one of both strides is 1 */
    size_t a_row, a_col;
    const float *b; /* element (p, j) at b[p * b_row + j], or packed when b_row = 0 */
    size_t b_row;
    float *c; /* element (i, j) at c[i * c_row + j] */
    size_t c_row;
    const float *bias; /* [n] or NULL */
    enum am_act act;
    float alpha;
};

/* Pooling of pictures [n, h, w, c] to [n, out_h, out_w, c]. pad < kernel; every window has a place
 * inside its picture. Padding is never a maximum; the average divides by kernel places, with
 * skip_pad by those inside. A NaN in a window is its maximum. */
struct am_pooling_shape {
    size_t h, w, c, out_h, out_w;
    size_t kernel[2], stride[2], pad[2];
    int average, skip_pad;
};

struct am_kernels {
    const char *name; /* "ref" "avx2" "avx512" */
    size_t panel;     /* columns of a packed panel */
    size_t tile_rows; /* rows of a register tile: a good multiple for splitting */
    void (*gemm)(const struct am_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1);
    /* n0 must be a multiple of panel */

    /* act in place or not (y may be x); n elements */
    void (*act)(enum am_act act, float alpha, const float *x, float *y, size_t n);
    void (*add)(const float *a, const float *b, float *y, size_t n); /* y may be a or b; so mul */
    void (*mul)(const float *a, const float *b, float *y, size_t n);
    void (*scale)(const float *x, float factor, float shift, float *y, size_t n); /* y may be x */
    void (*softmax)(const float *x, float *y, size_t rows, size_t cols);          /* y may be x */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float eps, float *y,
                       size_t rows, size_t cols); /* y may be x */
    /* y[i,j] = x[i,j] * factor[j] + shift[j]; y may be x */
    void (*affine)(const float *x, const float *factor, const float *shift, float *y, size_t rows,
                   size_t cols);
    /* rows r0..r1 of the n * out_h rows of y */
    void (*pool)(const struct am_pooling_shape *p, const float *x, float *y, size_t r0, size_t r1);
    /* am_pack_transposed's work: see there */
    void (*pack_transposed)(const float *b, size_t b_row, size_t k, size_t n, float *out);
};

extern const struct am_kernels am_kernels_ref;
/* The fastest table this CPU runs. AIMASS_KERNELS=ref|avx2|avx512 in the environment lowers the
 * choice (read once). */
const struct am_kernels *am_kernels_best(void);
/* By name; NULL when unknown, not built in, or this CPU cannot run it. */
const struct am_kernels *am_kernels_find(const char *name);

/* What the bits of results depend on besides recipe, data and seed: "avx512/k1;openblas 0.3.21"
 * style text: instruction set and kernel table version. Static. */
const char *am_numerics_profile(void);

/* Floats of the packed form of B [k, n]: panels of `panel` columns, zero-padded, each [k][panel].
 */
size_t am_pack_floats(const struct am_kernels *kern, size_t k, size_t n);
void am_pack(const struct am_kernels *kern, const float *b, size_t b_row, size_t k, size_t n,
             float *out);
/* The same from B^T: b is [n, k] with row stride b_row. */
void am_pack_transposed(const struct am_kernels *kern, const float *b, size_t b_row, size_t k,
                        size_t n, float *out);

#endif
