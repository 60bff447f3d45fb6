/* The body of the avx2 and avx512 tables of recurrent gradients, over vec.h's vector width.
 *
 * Included by tseq_avx2.c and tseq_avx512.c, which define SEQ_TABLE and SEQ_NAME. Pure; see
 * seq_kernels.h for what each entry promises. */
#include "tensor/seq_kernels.h"
#include "tensor/seq_vec.h"

/* x (1 - x) */
AM_INLINE vf slope(vf x)
{
    return vf_fnma(x, x, x);
}

AM_INLINE void lstm_grad_vec(size_t j, const int whole, vm m, size_t n, const float *keep,
                             const float *c_before, const float *dy, const float *rec, float *dc,
                             float *d)
{
    const vf one = vf_set(1.0f);
    const vf i = seq_load(keep + j, whole, m), f = seq_load(keep + n + j, whole, m),
             g = seq_load(keep + 2 * n + j, whole, m), o = seq_load(keep + 3 * n + j, whole, m);
    const vf t = seq_tanh(seq_load(keep + 4 * n + j, whole, m));
    const vf dh = vf_add(seq_load(dy + j, whole, m), seq_load(rec + j, whole, m));
    const vf cell = vf_fma(vf_mul(dh, o), vf_fnma(t, t, one), seq_load(dc + j, whole, m));
    const vf before = c_before ? seq_load(c_before + j, whole, m) : vf_set(0.0f);
    seq_store(d + j, whole, m, vf_mul(vf_mul(cell, g), slope(i)));
    seq_store(d + n + j, whole, m, vf_mul(vf_mul(cell, before), slope(f)));
    seq_store(d + 2 * n + j, whole, m, vf_mul(vf_mul(cell, i), vf_fnma(g, g, one)));
    seq_store(d + 3 * n + j, whole, m, vf_mul(vf_mul(dh, t), slope(o)));
    seq_store(dc + j, whole, m, vf_mul(cell, f));
}

static void lstm_grad(size_t n, const float *keep, const float *c_before, const float *dy,
                      const float *rec, float *dc, float *d)
{
    SEQ_VECTORS(n, lstm_grad_vec, n, keep, c_before, dy, rec, dc, d);
}

AM_INLINE void gru_grad_vec(size_t j, const int whole, vm m, size_t n, const float *keep,
                            const float *h_before, const float *dy, const float *rec, float *carry,
                            float *d)
{
    const vf one = vf_set(1.0f);
    const vf r = seq_load(keep + j, whole, m), z = seq_load(keep + n + j, whole, m),
             t = seq_load(keep + 2 * n + j, whole, m);
    const vf dh = vf_add(vf_add(seq_load(dy + j, whole, m), seq_load(rec + j, whole, m)),
                         seq_load(carry + j, whole, m));
    const vf before = h_before ? seq_load(h_before + j, whole, m) : vf_set(0.0f);
    const vf dt = vf_mul(vf_mul(dh, vf_sub(one, z)), vf_fnma(t, t, one));
    seq_store(d + j, whole, m, vf_mul(vf_mul(dt, seq_load(keep + 3 * n + j, whole, m)), slope(r)));
    seq_store(d + n + j, whole, m, vf_mul(vf_mul(dh, vf_sub(before, t)), slope(z)));
    seq_store(d + 2 * n + j, whole, m, dt);
    seq_store(d + 3 * n + j, whole, m, vf_mul(dt, r));
    seq_store(carry + j, whole, m, vf_mul(dh, z));
}

static void gru_grad(size_t n, const float *keep, const float *h_before, const float *dy,
                     const float *rec, float *carry, float *d)
{
    SEQ_VECTORS(n, gru_grad_vec, n, keep, h_before, dy, rec, carry, d);
}

AM_INLINE void dot_vec(size_t j, const int whole, vm m, const float *x, const float *y, vf *sum)
{
    *sum = vf_fma(seq_load(x + j, whole, m), seq_load(y + j, whole, m), *sum);
}

static float dot(size_t n, const float *x, const float *y)
{
    vf sum = vf_set(0.0f);
    SEQ_VECTORS(n, dot_vec, x, y, &sum);
    return vf_sum(sum);
}

extern const struct am_seq_train_kernels SEQ_TABLE;
const struct am_seq_train_kernels SEQ_TABLE = {
    .name = SEQ_NAME, .lstm_grad = lstm_grad, .gru_grad = gru_grad, .dot = dot};
