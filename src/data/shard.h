/* Shards: parts of a table that are worked apart and merged; by sample (rows drawn evenly by number
 * and seed) or by key (equal keys stay together).
 *
 * A shard is a number per row; a view reads one shard; profiles of shards merge (am_profile_merge)
 * to the profile of the whole. The caller owns the array. One thread per view. */
#ifndef AM_DATA_SHARD_H
#define AM_DATA_SHARD_H

#include "base/pool.h"
#include "data/profile.h"

#define AM_SHARDS_MAX 4096

struct am_shard_spec {
    unsigned n;        /* 1..AM_SHARDS_MAX */
    struct am_str key; /* NULL ptr = by sample */
    uint64_t seed;
};
/* The recipe's data.shards: a number or {n, key}; NULL = one shard. */
enum am_rc am_shard_spec_from_node(const struct am_node *n, uint64_t seed,
                                   struct am_shard_spec *out, struct am_err *err) AM_MUST_CHECK;
/* shard: [n_rows] */
enum am_rc am_shard_make(const struct am_table *t, const struct am_shard_spec *s, uint16_t *shard,
                         uint64_t n_rows, struct am_err *err) AM_MUST_CHECK;
/* t and shard are borrowed; batches keep the row numbers of the whole table's order within the
 * shard. */
enum am_rc am_shard_view(const struct am_table *t, const uint16_t *shard, uint64_t n_rows,
                         unsigned k, struct am_table *out, struct am_err *err) AM_MUST_CHECK;
/* Profiles every shard apart and merges in shard order. */
enum am_rc am_shard_profile(const struct am_table *t, const uint16_t *shard, uint64_t n_rows,
                            unsigned n, const struct am_profile_options *o, struct am_profile **out,
                            struct am_err *err) AM_MUST_CHECK;

#endif
