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

#define HELD 32 /* floats of a row that two registers hold */

struct lane { /* one row in one group */
    const struct am_tree_node *nodes;
    const float *x;
    __m512 low, high; /* of x, when it is held */
    __m512i at;
};

enum reading {               /* of rows: known where walk is called */
               PLACES,       /* x[place] */
               WHOLE,        /* x[place / 2] */
               IN_REGISTERS, /* the same, of at most HELD floats */
};

struct how {
    __m128i bits;
    __m512i mask;
    enum reading reading;
};

#define INLINE static inline __attribute__((always_inline))

/* Thresholds and places of sixteen nodes: eight bytes a load. */
INLINE void nodes_at(const struct lane *l, __m512 *threshold, __m512i *where)
{
    const __m512i even =
                      _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                  odd =
                      _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const __m512i a = _mm512_i32gather_epi64(_mm512_castsi512_si256(l->at), l->nodes, 8);
    const __m512i b = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(l->at, 1), l->nodes, 8);
    *threshold = _mm512_castsi512_ps(_mm512_permutex2var_epi32(a, even, b));
    *where = _mm512_permutex2var_epi32(a, odd, b);
}

INLINE void step(struct lane *l, const struct how *h)
{
    __m512 t, x;
    __m512i w;
    nodes_at(l, &t, &w);
    if (h->reading == IN_REGISTERS)
        x = _mm512_permutex2var_ps(l->low, _mm512_srli_epi32(w, 1), l->high);
    else if (h->reading == WHOLE)
        x = _mm512_i32gather_ps(_mm512_srli_epi32(_mm512_and_si512(w, h->mask), 1), l->x, 4);
    else
        x = _mm512_i32gather_ps(_mm512_and_si512(w, h->mask), l->x, 4);
    const __m512i child = _mm512_srl_epi32(w, h->bits);
    l->at = _mm512_mask_add_epi32(child, _mm512_cmp_ps_mask(x, t, _CMP_GE_OQ), child,
                                  _mm512_set1_epi32(1));
}

/* n at most SIDE, known where it is called, as is h->reading */
INLINE void walk(struct lane *l, int n, uint32_t n_levels, const struct how *h, __m512 *v)
{
    for (uint32_t left = n_levels; left > 0;) {
        const uint32_t n_steps = left < LEVELS ? left : LEVELS;
        __m512i was[SIDE];
        __mmask16 moved = 0;
        for (int i = 0; i < n; i++)
            was[i] = l[i].at;
        for (uint32_t k = 0; k < n_steps; k++)
            for (int i = 0; i < n; i++)
                step(&l[i], h);
        for (int i = 0; i < n; i++)
            moved |= _mm512_cmpneq_epi32_mask(was[i], l[i].at);
        left = moved ? left - n_steps : 0;
    }
    for (int i = 0; i < n; i++)
        v[i] = _mm512_i32gather_ps(l[i].at, &l[i].nodes->threshold, 8);
}

INLINE struct how how_of(const struct am_tree_set *s, enum reading reading)
{
    return (struct how){_mm_cvtsi32_si128((int)s->feature_bits),
                        _mm512_set1_epi32((int)((1u << s->feature_bits) - 1)), reading};
}

INLINE struct lane lane_of(const struct am_tree_set *s, size_t g, const float *x,
                           enum reading reading)
{
    struct lane l = {.nodes = s->nodes + s->groups[g].first,
                     .x = x,
                     .at = _mm512_loadu_si512(s->groups[g].root)};
    if (reading == IN_REGISTERS) {
        const uint32_t n = (uint32_t)s->n_features + 1;
        const uint32_t there = n >= HELD ? 0xffffffffu : (1u << n) - 1;
        l.low = _mm512_maskz_loadu_ps((__mmask16)there, x);
        l.high = _mm512_maskz_loadu_ps((__mmask16)(there >> 16), x + 16);
    }
    return l;
}

INLINE uint32_t levels_of(const struct am_tree_set *s, size_t g, int n)
{
    uint32_t most = 0;
    for (int i = 0; i < n; i++)
        most = s->groups[g + (size_t)i].n_levels > most ? s->groups[g + (size_t)i].n_levels : most;
    return most;
}

/* n groups from g on for one row, side by side */
INLINE void row_walk(const struct am_tree_set *s, size_t g, const float *x, int n,
                     enum reading reading, __m512 *v)
{
    struct lane l[SIDE];
    const struct how h = how_of(s, reading);
    for (int i = 0; i < n; i++)
        l[i] = lane_of(s, g + (size_t)i, x, reading);
    walk(l, n, levels_of(s, g, n), &h, v);
}

/* The next groups of a row; returns how many. */
INLINE int row_groups(const struct am_tree_set *s, size_t g, size_t g1, const float *x,
                      enum reading reading, __m512 *v)
{
    switch (g1 - g) {
    case 1:
        row_walk(s, g, x, 1, reading, v);
        return 1;
    case 2:
        row_walk(s, g, x, 2, reading, v);
        return 2;
    case 3:
        row_walk(s, g, x, 3, reading, v);
        return 3;
    default:
        row_walk(s, g, x, 4, reading, v);
        return 4;
    }
}

INLINE void add(float *acc, __m512 v)
{
    _mm512_storeu_ps(acc, _mm512_add_ps(_mm512_loadu_ps(acc), v));
}

INLINE void row_sum(const struct am_tree_set *s, size_t g0, size_t g1, const float *x,
                    enum reading reading, size_t period, float *acc)
{
    __m512 v[SIDE];
    size_t at = g0 % period;
    for (size_t g = g0; g < g1;) {
        const int n = row_groups(s, g, g1, x, reading, v);
        for (int i = 0; i < n; i++) {
            add(acc + at * AM_TREE_LANES, v[i]);
            at = at + 1 == period ? 0 : at + 1;
        }
        g += (size_t)n;
    }
}

INLINE void sum_as(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                   size_t n_rows, enum reading reading, size_t period, float *acc)
{
    const struct how h = how_of(s, reading);
    const size_t row = period * AM_TREE_LANES;
    size_t r = 0;
    for (; r + SIDE <= n_rows; r += SIDE)
        for (size_t g = g0, at = g0 % period; g < g1; g++, at = at + 1 == period ? 0 : at + 1) {
            __m512 v[SIDE];
            struct lane l[SIDE];
            for (size_t i = 0; i < SIDE; i++)
                l[i] = lane_of(s, g, x + (r + i) * x_row, reading);
            walk(l, SIDE, s->groups[g].n_levels, &h, v);
            for (size_t i = 0; i < SIDE; i++)
                add(acc + (r + i) * row + at * AM_TREE_LANES, v[i]);
        }
    for (; r < n_rows; r++)
        row_sum(s, g0, g1, x + r * x_row, reading, period, acc + r * row);
}

INLINE void leaves_as(const struct am_tree_set *s, size_t g0, size_t g1, const float *x,
                      size_t x_row, size_t n_rows, enum reading reading, float *out)
{
    for (size_t r = 0; r < n_rows; r++, x += x_row)
        for (size_t g = g0; g < g1;) {
            __m512 v[SIDE];
            const int n = row_groups(s, g, g1, x, reading, v);
            for (int i = 0; i < n; i++, out += AM_TREE_LANES)
                _mm512_storeu_ps(out, v[i]);
            g += (size_t)n;
        }
}

static enum reading reading_of(const struct am_tree_set *s)
{
    return !s->whole ? PLACES : s->n_features < HELD ? IN_REGISTERS : WHOLE;
}

static void sum(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                size_t n_rows, size_t period, float *acc)
{
    switch (reading_of(s)) {
    case PLACES:
        sum_as(s, g0, g1, x, x_row, n_rows, PLACES, period, acc);
        break;
    case WHOLE:
        sum_as(s, g0, g1, x, x_row, n_rows, WHOLE, period, acc);
        break;
    default:
        sum_as(s, g0, g1, x, x_row, n_rows, IN_REGISTERS, period, acc);
    }
}

static void leaves(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                   size_t n_rows, float *out)
{
    switch (reading_of(s)) {
    case PLACES:
        leaves_as(s, g0, g1, x, x_row, n_rows, PLACES, out);
        break;
    case WHOLE:
        leaves_as(s, g0, g1, x, x_row, n_rows, WHOLE, out);
        break;
    default:
        leaves_as(s, g0, g1, x, x_row, n_rows, IN_REGISTERS, out);
    }
}

static __mmask16 rest(size_t n)
{
    return n < 16 ? (__mmask16)((1u << n) - 1) : (__mmask16)0xffff;
}

static void spread(const float *x, size_t n, int whole, float *out)
{
    const __m512 low = _mm512_set1_ps(-FLT_MAX), high = _mm512_set1_ps(FLT_MAX);
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
                  second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    for (size_t j = 0; j < n; j += 16) {
        const __m512 v = _mm512_maskz_loadu_ps(rest(n - j), x + j);
        const __m512 cut = _mm512_min_ps(_mm512_max_ps(v, low), high);
        if (whole) {
            _mm512_mask_storeu_ps(out + j, rest(n - j), cut);
            continue;
        }
        const __mmask16 none = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        const __m512 a = _mm512_mask_blend_ps(none, cut, _mm512_set1_ps(-INFINITY)),
                     b = _mm512_mask_blend_ps(none, cut, _mm512_set1_ps(INFINITY));
        const size_t left = 2 * (n - j);
        _mm512_mask_storeu_ps(out + 2 * j, rest(left), _mm512_permutex2var_ps(a, first, b));
        if (left > 16)
            _mm512_mask_storeu_ps(out + 2 * j + 16, rest(left - 16),
                                  _mm512_permutex2var_ps(a, second, b));
    }
    out[whole ? n : 2 * n] = -INFINITY;
}

static int any_missing(const float *x, size_t n)
{
    __mmask16 any = 0;
    for (size_t j = 0; j < n; j += 16) {
        const __m512 v = _mm512_maskz_loadu_ps(rest(n - j), x + j);
        any |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    }
    return any != 0;
}

const struct am_tree_kernels am_tree_kernels_avx512 = {
    .name = "avx512", .sum = sum, .leaves = leaves, .spread = spread, .any_missing = any_missing};
