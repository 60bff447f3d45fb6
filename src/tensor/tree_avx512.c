/* Walking trees with AVX-512: a group of sixteen trees is one vector of node numbers, each step
 * three gathers; four such vectors (rows, or groups of one row) hide one another's waiting.
 *
 * Reached only beside am_kernels_avx512, which asks the CPU first. Holds no state; any thread. */
#include <float.h>
#include <immintrin.h>
#include <math.h>

#include "tensor/tree_kernels.h"

#define SIDE 4   /* vectors at once */
#define LEVELS 8 /* steps between two looks whether all are at leaves */

struct lane { /* one row in one group */
    const struct am_tree_node *nodes;
    const float *x;
    __m512i at;
};

static inline __attribute__((always_inline)) void step(struct lane *l, __m128i bits, __m512i mask)
{
    const __m512 t = _mm512_i32gather_ps(l->at, &l->nodes->threshold, 8);
    const __m512i w = _mm512_i32gather_epi32(l->at, &l->nodes->where, 8);
    const __m512 x = _mm512_i32gather_ps(_mm512_and_si512(w, mask), l->x, 4);
    const __m512i child = _mm512_srl_epi32(w, bits);
    l->at = _mm512_mask_add_epi32(child, _mm512_cmp_ps_mask(x, t, _CMP_GE_OQ), child,
                                  _mm512_set1_epi32(1));
}

/* n: SIDE or 1, known where it is called */
static inline __attribute__((always_inline)) void walk(struct lane *l, int n, uint32_t n_levels,
                                                       uint32_t feature_bits, __m512 *v)
{
    const __m128i bits = _mm_cvtsi32_si128((int)feature_bits);
    const __m512i mask = _mm512_set1_epi32((int)((1u << feature_bits) - 1));
    for (uint32_t left = n_levels; left > 0;) {
        const uint32_t n_steps = left < LEVELS ? left : LEVELS;
        __m512i was[SIDE];
        __mmask16 moved = 0;
        for (int i = 0; i < n; i++)
            was[i] = l[i].at;
        for (uint32_t k = 0; k < n_steps; k++)
            for (int i = 0; i < n; i++)
                step(&l[i], bits, mask);
        for (int i = 0; i < n; i++)
            moved |= _mm512_cmpneq_epi32_mask(was[i], l[i].at);
        left = moved ? left - n_steps : 0;
    }
    for (int i = 0; i < n; i++)
        v[i] = _mm512_i32gather_ps(l[i].at, &l[i].nodes->threshold, 8);
}

static inline struct lane lane_of(const struct am_tree_set *s, size_t g, const float *x)
{
    return (struct lane){s->nodes + s->groups[g].first, x, _mm512_loadu_si512(s->groups[g].root)};
}

static inline uint32_t levels_of(const struct am_tree_set *s, size_t g)
{
    uint32_t most = 0;
    for (size_t i = 0; i < SIDE; i++)
        most = s->groups[g + i].n_levels > most ? s->groups[g + i].n_levels : most;
    return most;
}

static void row_sum(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, float *acc)
{
    __m512 a = _mm512_loadu_ps(acc), v[SIDE];
    struct lane l[SIDE];
    size_t g = g0;
    for (; g + SIDE <= g1; g += SIDE) {
        for (size_t i = 0; i < SIDE; i++)
            l[i] = lane_of(s, g + i, x);
        walk(l, SIDE, levels_of(s, g), s->feature_bits, v);
        for (size_t i = 0; i < SIDE; i++)
            a = _mm512_add_ps(a, v[i]);
    }
    for (; g < g1; g++) {
        l[0] = lane_of(s, g, x);
        walk(l, 1, s->groups[g].n_levels, s->feature_bits, v);
        a = _mm512_add_ps(a, v[0]);
    }
    _mm512_storeu_ps(acc, a);
}

static void sum(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                size_t n_rows, float *acc)
{
    size_t r = 0;
    for (; r + SIDE <= n_rows; r += SIDE) {
        __m512 a[SIDE], v[SIDE];
        struct lane l[SIDE];
        for (size_t i = 0; i < SIDE; i++)
            a[i] = _mm512_loadu_ps(acc + (r + i) * AM_TREE_LANES);
        for (size_t g = g0; g < g1; g++) {
            for (size_t i = 0; i < SIDE; i++)
                l[i] = lane_of(s, g, x + (r + i) * x_row);
            walk(l, SIDE, s->groups[g].n_levels, s->feature_bits, v);
            for (size_t i = 0; i < SIDE; i++)
                a[i] = _mm512_add_ps(a[i], v[i]);
        }
        for (size_t i = 0; i < SIDE; i++)
            _mm512_storeu_ps(acc + (r + i) * AM_TREE_LANES, a[i]);
    }
    for (; r < n_rows; r++)
        row_sum(s, g0, g1, x + r * x_row, acc + r * AM_TREE_LANES);
}

static void leaves(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                   size_t n_rows, float *out)
{
    for (size_t r = 0; r < n_rows; r++, x += x_row) {
        __m512 v[SIDE];
        struct lane l[SIDE];
        size_t g = g0;
        for (; g + SIDE <= g1; g += SIDE) {
            for (size_t i = 0; i < SIDE; i++)
                l[i] = lane_of(s, g + i, x);
            walk(l, SIDE, levels_of(s, g), s->feature_bits, v);
            for (size_t i = 0; i < SIDE; i++, out += AM_TREE_LANES)
                _mm512_storeu_ps(out, v[i]);
        }
        for (; g < g1; g++, out += AM_TREE_LANES) {
            l[0] = lane_of(s, g, x);
            walk(l, 1, s->groups[g].n_levels, s->feature_bits, v);
            _mm512_storeu_ps(out, v[0]);
        }
    }
}

static void spread(const float *x, size_t n, float *out)
{
    const __m512 low = _mm512_set1_ps(-FLT_MAX), high = _mm512_set1_ps(FLT_MAX);
    for (size_t j = 0; j < n; j += 16) {
        const __mmask16 m = n - j < 16 ? (__mmask16)((1u << (n - j)) - 1) : (__mmask16)0xffff;
        const __m512 v = _mm512_maskz_loadu_ps(m, x + j);
        const __mmask16 none = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        const __m512 cut = _mm512_min_ps(_mm512_max_ps(v, low), high);
        _mm512_mask_storeu_ps(out + j, m,
                              _mm512_mask_blend_ps(none, cut, _mm512_set1_ps(-INFINITY)));
        _mm512_mask_storeu_ps(out + n + j, m,
                              _mm512_mask_blend_ps(none, cut, _mm512_set1_ps(INFINITY)));
    }
    out[2 * n] = -INFINITY;
}

const struct am_tree_kernels am_tree_kernels_avx512 = {
    .name = "avx512", .sum = sum, .leaves = leaves, .spread = spread};
