/* The inner loops of distances, written once over plain arrays of LANES columns and compiled per
 * instruction set (distance_ref.c, distance_avx2.c, distance_avx512.c define NAME and TABLE).
 *
 * Centers lie in panels of AM_DIRECT_PANEL columns, [n][panel] each. Reads what the caller gives,
 * keeps nothing; any thread. */
#include <math.h>
#include <string.h>

#include "nn/ops/distance_int.h"

#define LANES AM_DIRECT_PANEL

/* One value a lane; GCC and clang cut it into the registers that there are. */
typedef float vf __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline void squares_row(const float *x, const float *panel, size_t n, float *acc)
{
    vf sum, v;
    memcpy(&sum, acc, sizeof sum);
    for (size_t p = 0; p < n; p++) {
        memcpy(&v, panel + p * LANES, sizeof v);
        const vf d = x[p] - v;
        sum += d * d;
    }
    memcpy(acc, &sum, sizeof sum);
}

static inline void absolutes_row(const float *x, const float *panel, size_t n, float *acc)
{
    vf sum, v;
    memcpy(&sum, acc, sizeof sum);
    for (size_t p = 0; p < n; p++) {
        memcpy(&v, panel + p * LANES, sizeof v);
        const vf d = x[p] - v;
        vi bits;
        memcpy(&bits, &d, sizeof bits);
        bits &= 0x7fffffff;
        vf a;
        memcpy(&a, &bits, sizeof a);
        sum += a;
    }
    memcpy(acc, &sum, sizeof sum);
}

static void direct(enum am_distance metric, const float *x, size_t m, size_t n, const float *packed,
                   size_t k0, size_t k1, float *out, size_t out_row)
{
    for (size_t j0 = k0; j0 < k1; j0 += LANES) {
        const float *panel = packed + j0 * n;
        const size_t width = k1 - j0 < LANES ? k1 - j0 : LANES;
        for (size_t i = 0; i < m; i++) {
            float acc[LANES] = {0};
            if (metric == AM_DISTANCE_MANHATTAN)
                absolutes_row(x + i * n, panel, n, acc);
            else
                squares_row(x + i * n, panel, n, acc);
            memcpy(out + i * out_row + (j0 - k0), acc, width * sizeof *acc);
        }
    }
}

static size_t below(const float *v, size_t n, float limit, uint32_t *index)
{
    size_t found = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        int hit = 0;
        for (size_t j = 0; j < 64; j++)
            hit |= v[i + j] <= limit;
        for (size_t j = 0; hit && j < 64; j++)
            if (v[i + j] <= limit)
                index[found++] = (uint32_t)(i + j);
    }
    for (; i < n; i++)
        if (v[i] <= limit)
            index[found++] = (uint32_t)i;
    return found;
}

/* exp of x in [-87, 88]: 2^k times a polynomial on |r| <= ln(2) / 2, about 1 ulp. */
static inline float exp_lane(float x)
{
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    const float t = x * 1.44269504f + magic, k = t - magic;
    float r = x - k * 0.693359375f, p = 1.9875691500e-4f;
    r = r + k * 2.12194440e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits, whole = (int32_t)k;
    memcpy(&bits, &p, sizeof bits);
    bits += whole * (1 << 23);
    memcpy(&p, &bits, sizeof p);
    return p;
}

static void gauss(float *v, size_t n, float gamma)
{
    for (size_t i = 0; i < n; i++) {
        const float e = -gamma * v[i];
        v[i] = e < -87.0f ? 0.0f : e == e ? exp_lane(e) : e;
    }
}

const struct am_distance_table TABLE = {NAME, direct, below, gauss};
