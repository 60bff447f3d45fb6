/* Sobol's sequence with the direction numbers of Joe and Kuo (new-joe-kuo-6.21201), 24 dimensions,
 * shifted by a random word per dimension.
 *
 * Point n is made from the Gray code of n, so no state is kept. Pure functions; any thread. */
#include "tune/tune_int.h"

enum { BITS = 32 };

/* degree s, coefficients a, first m of dimensions 2..24 */
static const struct {
    uint8_t s, a, m[7];
} joe_kuo[TUNE_SOBOL_DIMS - 1] = {
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
    {6, 19, {1, 1, 1, 15, 7, 5}},
    {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}},
    {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}},
    {7, 7, {1, 1, 3, 13, 7, 35, 63}},
    {7, 8, {1, 3, 5, 9, 1, 25, 53}},
    {7, 14, {1, 3, 1, 13, 9, 35, 107}},
};

static void directions(uint32_t dim, uint32_t v[BITS])
{
    unsigned s;
    if (dim == 0) {
        for (unsigned i = 0; i < BITS; i++)
            v[i] = 1u << (BITS - 1 - i);
        return;
    }
    s = joe_kuo[dim - 1].s;
    for (unsigned i = 0; i < BITS; i++) {
        if (i < s) {
            v[i] = (uint32_t)joe_kuo[dim - 1].m[i] << (BITS - 1 - i);
            continue;
        }
        v[i] = v[i - s] ^ (v[i - s] >> s);
        for (unsigned k = 1; k < s; k++)
            if (joe_kuo[dim - 1].a >> (s - 1 - k) & 1u)
                v[i] ^= v[i - k];
    }
}

uint32_t am_tune_sobol_bits(uint32_t dim, uint32_t index)
{
    uint32_t v[BITS], x = 0, gray = index ^ (index >> 1);
    directions(dim, v);
    for (unsigned i = 0; gray; i++, gray >>= 1)
        if (gray & 1u)
            x ^= v[i];
    return x;
}

void am_tune_sobol(uint64_t seed, uint64_t stream, uint32_t index, size_t n_dims, double *unit)
{
    struct am_rng r;
    for (size_t i = 0; i < n_dims; i++) {
        am_rng_init(&r, seed, stream + i);
        if (i < TUNE_SOBOL_DIMS) {
            uint32_t x = am_tune_sobol_bits((uint32_t)i, index) ^ am_rng_u32(&r);
            unit[i] = (x + 0.5) * 0x1p-32;
        } else {
            r.counter = 1 + (uint64_t)index;
            r.left = 0;
            unit[i] = am_rng_unit(&r);
        }
    }
}
