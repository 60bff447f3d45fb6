/* One vector of floats over the instruction set that the including file is built for: 16 lanes with
 * AVX-512, 8 with AVX2 + FMA. Only for the kernel bodies of this folder.
 *
 * Not portable by itself: include it from kern_avx2.c, kern_avx512.c and their training twins, each
 * built with its own flags and reached only after the CPU was asked. Functions are pure and inline.
 */
#ifndef AM_TENSOR_VEC_H
#define AM_TENSOR_VEC_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define AM_INLINE static inline __attribute__((always_inline, unused))

#ifdef __AVX512F__

#define VL 16
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

AM_INLINE vf vf_set(float x)
{
    return _mm512_set1_ps(x);
}
AM_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
AM_INLINE void vf_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}
AM_INLINE vm vm_first(size_t n)
{
    return (vm)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}
AM_INLINE vf vf_load_m(const float *p, vm m)
{
    return _mm512_maskz_loadu_ps(m, p);
}
AM_INLINE void vf_store_m(float *p, vm m, vf x)
{
    _mm512_mask_storeu_ps(p, m, x);
}
AM_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
AM_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
AM_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
AM_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
AM_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
AM_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
} /* c - a b */
AM_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
} /* b when a or b is NaN */
AM_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
AM_INLINE vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
AM_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}
AM_INLINE vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, 8);
} /* to nearest even */
AM_INLINE vm vf_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
AM_INLINE vm vf_gt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
AM_INLINE vf vf_pick(vm m, vf yes, vf no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}
AM_INLINE vi vf_bits(vf a)
{
    return _mm512_castps_si512(a);
}
AM_INLINE vf vi_float(vi a)
{
    return _mm512_castsi512_ps(a);
}
AM_INLINE vi vi_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}
AM_INLINE vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}
AM_INLINE vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}
AM_INLINE vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
AM_INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
AM_INLINE vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
AM_INLINE vi vi_shr23(vi a)
{
    return _mm512_srli_epi32(a, 23);
}
AM_INLINE vf vi_to_vf(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
/* sqrt and 1 / x to about 1 ulp without the divider, for loops that it would hold up; x >= 0.
 * Infinity gives infinity and about 0, NaN stays. */
AM_INLINE vf vf_sqrt_quick(vf x)
{
    const vf y = _mm512_min_ps(_mm512_set1_ps(1e38f), _mm512_max_ps(_mm512_set1_ps(1e-36f), x));
    const vf r = _mm512_rsqrt14_ps(y), h = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.5f), y), r);
    return _mm512_mul_ps(x, _mm512_mul_ps(r, _mm512_fnmadd_ps(h, r, _mm512_set1_ps(1.5f))));
}
AM_INLINE vf vf_inverse_quick(vf x)
{
    const vf y = _mm512_min_ps(_mm512_set1_ps(8e37f), x), r = _mm512_rcp14_ps(y);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(y, r, _mm512_set1_ps(2.0f)));
}
/* x * 2^n for whole n */
AM_INLINE vf vf_scale2(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}
AM_INLINE float vf_sum(vf x)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x),
                             _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1)));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    q = _mm_add_ss(q, _mm_shuffle_ps(q, q, 1));
    return _mm_cvtss_f32(q);
}
AM_INLINE float vf_hmax(vf x)
{
    return _mm512_reduce_max_ps(x);
}
/* high and low halves of the 32 x 32 bit products of all lanes */
AM_INLINE void vi_mulhilo(vi a, uint32_t k, vi *hi, vi *lo)
{
    __m512i kk = _mm512_set1_epi64((long long)k);
    __m512i even = _mm512_mul_epu32(a, kk);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), kk);
    *lo = _mm512_mask_blend_epi32((vm)0xaaaa, even, _mm512_slli_epi64(odd, 32));
    *hi = _mm512_mask_blend_epi32((vm)0xaaaa, _mm512_srli_epi64(even, 32), odd);
}
AM_INLINE vi vi_iota(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
AM_INLINE vm vi_ge_u(vi a, vi b)
{
    return _mm512_cmpge_epu32_mask(a, b);
}
AM_INLINE vf vf_keep(vm m, vf x)
{
    return _mm512_maskz_mov_ps(m, x);
}

#else

#define VL 8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* all bits of a lane set or clear */

AM_INLINE vf vf_set(float x)
{
    return _mm256_set1_ps(x);
}
AM_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
AM_INLINE void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}
AM_INLINE vm vm_first(size_t n)
{
    __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), i));
}
AM_INLINE vf vf_load_m(const float *p, vm m)
{
    return _mm256_maskload_ps(p, _mm256_castps_si256(m));
}
AM_INLINE void vf_store_m(float *p, vm m, vf x)
{
    _mm256_maskstore_ps(p, _mm256_castps_si256(m), x);
}
AM_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
AM_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
AM_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
AM_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
AM_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
AM_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
} /* c - a b */
AM_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
} /* b when a or b is NaN */
AM_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
AM_INLINE vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
AM_INLINE vf vf_abs(vf a)
{
    return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
}
AM_INLINE vf vf_round(vf a)
{
    return _mm256_round_ps(a, 8);
} /* to nearest even */
AM_INLINE vm vf_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
AM_INLINE vm vf_gt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
AM_INLINE vf vf_pick(vm m, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, m);
}
AM_INLINE vi vf_bits(vf a)
{
    return _mm256_castps_si256(a);
}
AM_INLINE vf vi_float(vi a)
{
    return _mm256_castsi256_ps(a);
}
AM_INLINE vi vi_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}
AM_INLINE vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}
AM_INLINE vi vi_or(vi a, vi b)
{
    return _mm256_or_si256(a, b);
}
AM_INLINE vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}
AM_INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
AM_INLINE vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
AM_INLINE vi vi_shr23(vi a)
{
    return _mm256_srli_epi32(a, 23);
}
AM_INLINE vf vi_to_vf(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
AM_INLINE vf vf_sqrt_quick(vf x)
{
    return _mm256_sqrt_ps(x);
}
AM_INLINE vf vf_inverse_quick(vf x)
{
    return _mm256_div_ps(_mm256_set1_ps(1.0f), x);
}
/* x * 2^n for whole n in -260..260, in two steps so that neither factor leaves the range */
AM_INLINE vf vf_scale2(vf x, vf n)
{
    __m256i k = _mm256_cvtps_epi32(n);
    __m256i k1 = _mm256_srai_epi32(k, 1), k2 = _mm256_sub_epi32(k, k1),
            bias = _mm256_set1_epi32(127);
    __m256 f1 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k1, bias), 23));
    __m256 f2 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k2, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, f1), f2);
}
AM_INLINE float vf_sum(vf x)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    q = _mm_add_ss(q, _mm_shuffle_ps(q, q, 1));
    return _mm_cvtss_f32(q);
}
AM_INLINE float vf_hmax(vf x)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    q = _mm_max_ss(q, _mm_shuffle_ps(q, q, 1));
    return _mm_cvtss_f32(q);
}
/* high and low halves of the 32 x 32 bit products of all lanes */
AM_INLINE void vi_mulhilo(vi a, uint32_t k, vi *hi, vi *lo)
{
    __m256i kk = _mm256_set1_epi64x((long long)k);
    __m256i even = _mm256_mul_epu32(a, kk);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), kk);
    *lo = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
AM_INLINE vi vi_iota(void)
{
    return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}
AM_INLINE vm vi_ge_u(vi a, vi b)
{
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a));
}
AM_INLINE vf vf_keep(vm m, vf x)
{
    return _mm256_and_ps(m, x);
}

#endif

/* Numbers below 1e-38 count as 0 until vf_gradual(): moments of unused weights shrink into that
 * range, where every operation traps into microcode. */
AM_INLINE unsigned vf_flush(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u);
    return before;
}
AM_INLINE void vf_gradual(unsigned before)
{
    _mm_setcsr(before);
}

/* exp with a relative error of 2e-7; 0 below -104, infinity above 88.73, NaN stays (Cephes'
 * polynomial) */
AM_INLINE vf vf_exp(vf x)
{
    vf y = vf_min(vf_set(89.0f), vf_max(vf_set(-104.0f), x));
    vf n = vf_round(vf_mul(y, vf_set(1.44269504f)));
    vf r = vf_fnma(n, vf_set(0.693359375f), y);
    r = vf_fnma(n, vf_set(-2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_fma(vf_mul(r, r), p, vf_add(r, vf_set(1.0f)));
    return vf_scale2(p, n);
}

/* log of a positive normal number (Cephes) */
AM_INLINE vf vf_log(vf x)
{
    vi bits = vf_bits(x);
    vf m = vi_float(vi_or(vi_and(bits, vi_set(0x007fffff)), vi_set(0x3f000000))); /* [0.5, 1) */
    vf e = vi_to_vf(vi_sub(vi_shr23(bits), vi_set(126)));
    vm low = vf_lt(m, vf_set(0.707106781f));
    e = vf_sub(e, vf_pick(low, vf_set(1.0f), vf_set(0.0f)));
    m = vf_sub(vf_add(m, vf_pick(low, m, vf_set(0.0f))), vf_set(1.0f));
    vf z = vf_mul(m, m), p = vf_set(7.0376836292e-2f);
    p = vf_fma(p, m, vf_set(-1.1514610310e-1f));
    p = vf_fma(p, m, vf_set(1.1676998740e-1f));
    p = vf_fma(p, m, vf_set(-1.2420140846e-1f));
    p = vf_fma(p, m, vf_set(1.4249322787e-1f));
    p = vf_fma(p, m, vf_set(-1.6668057665e-1f));
    p = vf_fma(p, m, vf_set(2.0000714765e-1f));
    p = vf_fma(p, m, vf_set(-2.4999993993e-1f));
    p = vf_fma(p, m, vf_set(3.3333331174e-1f));
    vf y = vf_mul(vf_mul(m, z), p);
    y = vf_fma(e, vf_set(-2.12194440e-4f), y);
    y = vf_fnma(vf_set(0.5f), z, y);
    return vf_fma(e, vf_set(0.693359375f), vf_add(m, y));
}

/* log(1 + e) for e in [0, 1] */
AM_INLINE vf vf_log1p(vf e)
{
    vf u = vf_add(vf_set(1.0f), e);
    vf lost = vf_sub(e, vf_sub(u, vf_set(1.0f)));
    return vf_add(vf_log(u), vf_div(lost, u));
}

AM_INLINE vf vf_sigmoid(vf x)
{
    vf e = vf_exp(vf_sub(vf_set(0.0f), x));
    return vf_div(vf_set(1.0f), vf_add(vf_set(1.0f), e));
}

/* Cephes: an odd polynomial near 0, else through exp */
AM_INLINE vf vf_tanh(vf x)
{
    vf z = vf_mul(x, x), p = vf_set(-5.70498872745e-3f);
    p = vf_fma(p, z, vf_set(2.06390887954e-2f));
    p = vf_fma(p, z, vf_set(-5.37397155531e-2f));
    p = vf_fma(p, z, vf_set(1.33314422036e-1f));
    p = vf_fma(p, z, vf_set(-3.33332819422e-1f));
    vf small = vf_fma(vf_mul(p, z), x, x);
    vf e = vf_exp(vf_add(x, x));
    vf large = vf_sub(vf_set(1.0f), vf_div(vf_set(2.0f), vf_add(e, vf_set(1.0f))));
    return vf_pick(vf_lt(vf_abs(x), vf_set(0.625f)), small, large);
}

/* The normal distribution function; Abramowitz and Stegun 7.1.26, absolute error below 1e-7 */
AM_INLINE vf vf_phi(vf x, vf *gauss /* exp(-x^2 / 2) */)
{
    vf a = vf_mul(vf_abs(x), vf_set(0.707106781f));
    vf t = vf_div(vf_set(1.0f), vf_fma(a, vf_set(0.3275911f), vf_set(1.0f)));
    vf p = vf_set(1.061405429f);
    p = vf_fma(p, t, vf_set(-1.453152027f));
    p = vf_fma(p, t, vf_set(1.421413741f));
    p = vf_fma(p, t, vf_set(-0.284496736f));
    p = vf_fma(p, t, vf_set(0.254829592f));
    *gauss = vf_exp(vf_mul(vf_set(-0.5f), vf_mul(x, x)));
    vf half = vf_mul(vf_set(0.5f), vf_mul(vf_mul(p, t), *gauss)); /* of -|x| */
    return vf_pick(vf_lt(x, vf_set(0.0f)), half, vf_sub(vf_set(1.0f), half));
}

#define GELU_C0 0.797884561f /* sqrt(2 / pi) */
#define GELU_C1 0.044715f

#endif
