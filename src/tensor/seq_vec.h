/* What the vector bodies of recurrent kernels share: loads of whole and last vectors, and the two
 * activations without the divider (to about 2 ulp).
 *
 * Only for seq_body.h and tseq_body.h; see vec.h. Pure. */
#ifndef AM_TENSOR_SEQ_VEC_H
#define AM_TENSOR_SEQ_VEC_H

#include "tensor/vec.h"

/* n floats cut into vectors: BODY(j, whole, m) with whole = 1, then once with the mask of the rest.
 */
#define SEQ_VECTORS(n, BODY, ...)                                                                  \
    do {                                                                                           \
        size_t j_ = 0;                                                                             \
        for (; j_ + VL <= (n); j_ += VL)                                                           \
            BODY(j_, 1, vm_first(VL), __VA_ARGS__);                                                \
        if (j_ < (n))                                                                              \
            BODY(j_, 0, vm_first((n)-j_), __VA_ARGS__);                                            \
    } while (0)

AM_INLINE vf seq_load(const float *p, const int whole, vm m)
{
    return whole ? vf_load(p) : vf_load_m(p, m);
}
AM_INLINE void seq_store(float *p, const int whole, vm m, vf x)
{
    if (whole)
        vf_store(p, x);
    else
        vf_store_m(p, m, x);
}

AM_INLINE vf seq_sigmoid(vf x)
{
    return vf_inverse_quick(vf_add(vf_set(1.0f), vf_exp(vf_sub(vf_set(0.0f), x))));
}

/* vf_tanh with the quick inverse */
AM_INLINE vf seq_tanh(vf x)
{
    vf z = vf_mul(x, x), p = vf_set(-5.70498872745e-3f);
    p = vf_fma(p, z, vf_set(2.06390887954e-2f));
    p = vf_fma(p, z, vf_set(-5.37397155531e-2f));
    p = vf_fma(p, z, vf_set(1.33314422036e-1f));
    p = vf_fma(p, z, vf_set(-3.33332819422e-1f));
    vf small = vf_fma(vf_mul(p, z), x, x);
    vf inv = vf_inverse_quick(vf_add(vf_exp(vf_add(x, x)), vf_set(1.0f)));
    vf large = vf_fnma(vf_set(2.0f), inv, vf_set(1.0f));
    return vf_pick(vf_lt(vf_abs(x), vf_set(0.625f)), small, large);
}

#endif
