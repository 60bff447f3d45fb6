/* Philox4x32-10: ten rounds of two 32 x 32 bit products (Salmon, Moraes, Dror, Shaw: "Parallel
 * random numbers: as easy as 1, 2, 3", SC 2011). Pure integer arithmetic: the same bits on every
 * machine. */
#include "base/rng.h"

#include <math.h>

void am_rng_block(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = (uint32_t)stream,
             c3 = (uint32_t)(stream >> 32), k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
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
    uint64_t lo = am_rng_u32(r);
    return lo | (uint64_t)am_rng_u32(r) << 32;
}

double am_rng_unit(struct am_rng *r)
{
    return (double)(am_rng_u64(r) >> 11) * 0x1p-53;
}

double am_rng_normal(struct am_rng *r)
{
    double u = 1.0 - am_rng_unit(r); /* (0, 1] */
    double angle = 6.283185307179586476925 * am_rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(angle);
}

/* Lemire, "Fast random integer generation in an interval", 2019. */
uint64_t am_rng_below(struct am_rng *r, uint64_t n)
{
    unsigned __int128 m = (unsigned __int128)am_rng_u64(r) * n;
    if ((uint64_t)m < n) {
        uint64_t reject = (0 - n) % n;
        while ((uint64_t)m < reject)
            m = (unsigned __int128)am_rng_u64(r) * n;
    }
    return (uint64_t)(m >> 64);
}

void am_rng_permutation(struct am_rng *r, uint64_t n, uint64_t *out)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t j = am_rng_below(r, i + 1);
        if (j != i)
            out[i] = out[j];
        out[j] = i;
    }
}

void am_rng_permutation32(struct am_rng *r, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = (uint32_t)am_rng_below(r, (uint64_t)i + 1);
        if (j != i)
            out[i] = out[j];
        out[j] = i;
    }
}
