/* Philox4x32-10 after Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 */
#include "base/rng.h"

#include <math.h>

void am_rng_block(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = (uint32_t)stream,
             c3 = (uint32_t)(stream >> 32), k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void am_rng_init(struct am_rng *r, uint64_t seed, uint64_t stream)
{
    *r = (struct am_rng){.seed = seed, .stream = stream};
}

uint32_t am_rng_u32(struct am_rng *r)
{
    if (r->left == 0) {
        am_rng_block(r->seed, r->stream, r->counter++, r->block);
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

uint64_t am_rng_u64(struct am_rng *r)
{
    uint64_t low = am_rng_u32(r);
    return (uint64_t)am_rng_u32(r) << 32 | low;
}

double am_rng_unit(struct am_rng *r) { return (double)(am_rng_u64(r) >> 11) * 0x1p-53; }

double am_rng_normal(struct am_rng *r)
{
    double u = 1.0 - am_rng_unit(r), v = am_rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t am_rng_below(struct am_rng *r, uint64_t n)
{
    __extension__ typedef unsigned __int128 u128;
    uint64_t floor = (0 - n) % n; /* Lemire 2019 */
    for (;;) {
        u128 m = (u128)am_rng_u64(r) * n;
        if ((uint64_t)m >= floor)
            return (uint64_t)(m >> 64);
    }
}

void am_rng_permutation(struct am_rng *r, uint64_t n, uint64_t *out)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t j = am_rng_below(r, i + 1);
        out[i] = out[j];
        out[j] = i;
    }
}

void am_rng_permutation32(struct am_rng *r, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = (uint32_t)am_rng_below(r, (uint64_t)i + 1);
        out[i] = out[j];
        out[j] = i;
    }
}
