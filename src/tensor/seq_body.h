/* The body of the avx2 and avx512 tables of recurrent kernels, over vec.h's vector width.
 *
 * Included by seq_avx2.c and seq_avx512.c, which define SEQ_TABLE and SEQ_NAME. Pure; see
 * seq_kernels.h for what each entry promises. */
#include "tensor/seq_kernels.h"
#include "tensor/seq_vec.h"

AM_INLINE void lstm_vec(size_t j, const int whole, vm m, size_t n, const float *pre,
                        const float *rec, float *c, float *h, float *keep)
{
#define GATE(q) vf_add(seq_load(pre + (q)*n + j, whole, m), seq_load(rec + (q)*n + j, whole, m))
    const vf i = seq_sigmoid(GATE(0)), f = seq_sigmoid(GATE(1)), g = seq_tanh(GATE(2)),
             o = seq_sigmoid(GATE(3));
#undef GATE
    const vf cell = vf_fma(f, seq_load(c + j, whole, m), vf_mul(i, g));
    const vf y = vf_mul(o, seq_tanh(cell));
    seq_store(c + j, whole, m, cell);
    seq_store(h + j, whole, m, y);
    if (keep) {
        seq_store(keep + j, whole, m, i);
        seq_store(keep + n + j, whole, m, f);
        seq_store(keep + 2 * n + j, whole, m, g);
        seq_store(keep + 3 * n + j, whole, m, o);
        seq_store(keep + 4 * n + j, whole, m, cell);
        seq_store(keep + 5 * n + j, whole, m, y);
    }
}

static void lstm(size_t n, const float *pre, const float *rec, float *c, float *h, float *keep)
{
    SEQ_VECTORS(n, lstm_vec, n, pre, rec, c, h, keep);
}

AM_INLINE void gru_vec(size_t j, const int whole, vm m, size_t n, const float *pre,
                       const float *rec, float *h, float *keep)
{
    const vf r = seq_sigmoid(vf_add(seq_load(pre + j, whole, m), seq_load(rec + j, whole, m)));
    const vf z =
        seq_sigmoid(vf_add(seq_load(pre + n + j, whole, m), seq_load(rec + n + j, whole, m)));
    const vf hn = seq_load(rec + 2 * n + j, whole, m);
    const vf t = seq_tanh(vf_fma(r, hn, seq_load(pre + 2 * n + j, whole, m)));
    const vf y = vf_fma(z, seq_load(h + j, whole, m), vf_mul(vf_sub(vf_set(1.0f), z), t));
    seq_store(h + j, whole, m, y);
    if (keep) {
        seq_store(keep + j, whole, m, r);
        seq_store(keep + n + j, whole, m, z);
        seq_store(keep + 2 * n + j, whole, m, t);
        seq_store(keep + 3 * n + j, whole, m, hn);
        seq_store(keep + 4 * n + j, whole, m, y);
    }
}

static void gru(size_t n, const float *pre, const float *rec, float *h, float *keep)
{
    SEQ_VECTORS(n, gru_vec, n, pre, rec, h, keep);
}

AM_INLINE void axpy_vec(size_t j, const int whole, vm m, vf a, const float *x, float *y)
{
    seq_store(y + j, whole, m, vf_fma(a, seq_load(x + j, whole, m), seq_load(y + j, whole, m)));
}

static void axpy(size_t n, float a, const float *x, float *y)
{
    SEQ_VECTORS(n, axpy_vec, vf_set(a), x, y);
}

AM_INLINE void maximum_vec(size_t j, const int whole, vm m, const float *x, float *y)
{
    seq_store(y + j, whole, m, vf_max(seq_load(y + j, whole, m), seq_load(x + j, whole, m)));
}

static void maximum(size_t n, const float *x, float *y)
{
    SEQ_VECTORS(n, maximum_vec, x, y);
}

extern const struct am_seq_kernels SEQ_TABLE;
const struct am_seq_kernels SEQ_TABLE = {
    .name = SEQ_NAME, .lstm = lstm, .gru = gru, .axpy = axpy, .maximum = maximum};
