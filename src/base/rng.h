/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A draw is a pure function of (seed, stream, counter), so results depend neither on thread count
 * nor on the order of the work. Give every purpose its own stream (AM_RNG_*). Any thread; the
 * sequential generator struct belongs to one thread. */
#ifndef AM_BASE_RNG_H
#define AM_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum am_rng_stream { /* stable numbers: they are part of the bits promise */
                     AM_RNG_SPLIT = 1,
                     AM_RNG_SAMPLE = 2,
                     AM_RNG_FOLD = 3,
                     AM_RNG_INIT = 4,
                     AM_RNG_SHUFFLE = 5,
                     AM_RNG_DROPOUT = 6,
                     AM_RNG_BOOTSTRAP = 7,
                     AM_RNG_PERMUTE = 8,
                     AM_RNG_SKETCH = 9,
                     AM_RNG_SAMPLE_INPUT = 10,
                     AM_RNG_AUGMENT = 11,
                     AM_RNG_TREES = 12, /* with the number of the tree above the 16th bit */
                     AM_RNG_EXPLAIN = 20,
                     AM_RNG_CLUSTER = 40, /* and 41 */
                     AM_RNG_FACTORS = 42, /* to 44 */
                     AM_RNG_TUNE = 30,
                     AM_RNG_BOOST = 50,
                     AM_RNG_BALANCE = 60, /* with the class above the 16th bit */
                     AM_RNG_USER = 1000   /* + n for tests */
};

/* out[4] = philox(counter = {lo(counter), hi(counter), lo(stream), hi(stream)}, key = seed) */
void am_rng_block(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);

struct am_rng {
    uint64_t seed, stream, counter;
    uint32_t block[4];
    unsigned left;
};
void am_rng_init(struct am_rng *r, uint64_t seed, uint64_t stream);
uint32_t am_rng_u32(struct am_rng *r);
uint64_t am_rng_u64(struct am_rng *r);
double am_rng_unit(struct am_rng *r);                /* [0, 1), 53 bits */
double am_rng_normal(struct am_rng *r);              /* Box-Muller */
uint64_t am_rng_below(struct am_rng *r, uint64_t n); /* unbiased; n > 0 */
/* out[i] = a permutation of 0..n-1 (Fisher-Yates) */
void am_rng_permutation(struct am_rng *r, uint64_t n, uint64_t *out);
void am_rng_permutation32(struct am_rng *r, uint32_t n, uint32_t *out);

#endif
