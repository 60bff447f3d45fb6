/* Reading `train.augment` by a table of keys: the one reader behind pictures, sounds, tokens and
 * tables. Fitting side; shared by the files of feature/ only. Pure; any thread. */
#ifndef AM_FEATURE_AUGMENT_KEYS_H
#define AM_FEATURE_AUGMENT_KEYS_H

#include "base/rng.h"
#include "base/tree.h"
#include "feature/fit.h"

/* The draws of a row in an epoch; 2^23 of 32 bits are a row's own, as many again from counter bit
 * 23 on. */
static inline void am_augment_rng(struct am_rng *r, uint64_t seed, uint64_t epoch, uint64_t row)
{
    am_rng_init(r, seed, (epoch + 1) << 32 | AM_RNG_AUGMENT);
    r->counter = row << 24;
}

struct am_augment_table {
    const struct am_feature_key *keys; /* [n], of types NUMBER, INT and ENUM, each with a default */
    size_t n;
    const char *what; /* "pictures": of messages, translated */
};

/* values [n]: a key's number, or the place of its choice (from 0); defaults where spec (a map, or
 * NULL or null) says nothing. AM_EUSAGE with line and column: an unknown key with the nearest name,
 * a value out of range. */
enum am_rc am_augment_keys_read(const struct am_node *spec, const struct am_augment_table *t,
                                double *values, struct am_err *err) AM_MUST_CHECK;

#endif
