/* The numbers that goldens are made of: tests/golden/formula.py has the same, so that neither side
 * stores them. */
#ifndef AM_TESTS_SUPPORT_FORMULA_H
#define AM_TESTS_SUPPORT_FORMULA_H

#include <stdint.h>

#include "base/str.h"

/* In [-0.5, 0.5), from a 32-bit hash of place and seed. */
static inline double draw(uint64_t i, uint32_t seed)
{
    uint32_t h = (uint32_t)(i * 2654435761u + (uint64_t)seed * 40503u + 12345u);
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    h *= 3266489917u;
    h ^= h >> 16;
    return (double)h / 4294967296.0 - 0.5;
}

/* A parameter's own seed. */
static inline uint32_t seed_of(struct am_str name)
{
    uint64_t s = 0;
    for (size_t i = 0; i < name.len; i++)
        s += (i + 1) * (unsigned char)name.ptr[i];
    return (uint32_t)(s & 0xFFFF);
}

#endif
