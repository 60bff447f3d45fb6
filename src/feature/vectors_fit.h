/* Training of word vectors: skip-gram with negative sampling (Mikolov et al. 2013) over words and
 * their n-grams of characters (Bojanowski et al. 2017). Fitting only.
 *
 * One thread works in the order of the rows and draws from counters, so the bits depend on texts,
 * settings and seed only, whatever the threads. */
#ifndef AM_FEATURE_VECTORS_FIT_H
#define AM_FEATURE_VECTORS_FIT_H

#include "base/arena.h"
#include "feature/vectors.h"

struct am_vectors_config {
    size_t dimensions, window, epochs, negatives;
    uint32_t from, to;  /* n-grams; to 0 = none */
    size_t n_buckets;   /* of n-grams */
    double rate;        /* falls to 0 linearly */
    double sample;      /* words of a greater share are passed over at random; 0 = never */
    uint64_t min_count; /* rarer words have no vector of their own */
};

/* words [n] and counts [n]: the vocabulary; stream: indices of words, UINT32_MAX between texts.
 * Vectors of a; a word's is the mean of its own and of its n-grams'. */
enum am_rc am_vectors_train(const struct am_vectors_config *c, const struct am_str *words,
                            const uint64_t *counts, size_t n, const uint32_t *stream,
                            size_t n_stream, uint64_t seed, struct am_arena *a,
                            struct am_vectors *out, struct am_err *err) AM_MUST_CHECK;

#endif
