/* Shards: a number per row, views by that number, and profiles worked apart and merged in shard
 * order. */
#include "data/shard.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "data/profile_int.h"
#include "data/split_int.h"

enum am_rc am_shard_spec_from_node(const struct am_node *n, uint64_t seed,
                                   struct am_shard_spec *out, struct am_err *err)
{
    int64_t count = 1;
    *out = (struct am_shard_spec){.n = 1, .seed = seed};
    if (!n || am_node_is_null(n))
        return AM_OK;
    if (n->kind == AM_NODE_MAP) {
        count = am_node_i64(n, "n", 1);
        struct am_str key = am_node_str(n, "key", "");
        if (key.len)
            out->key = key;
    } else if (!am_node_as_i64(n, &count)) {
        return am_fail(err, AM_EUSAGE, "data.shards is neither a number nor a map");
    }
    if (count < 1 || count > AM_SHARDS_MAX) {
        enum am_rc rc = am_fail(err, AM_EUSAGE, "%lld shards", (long long)count);
        am_hint(err, "Use 1 to %d shards.", AM_SHARDS_MAX);
        return rc;
    }
    out->n = (unsigned)count;
    return AM_OK;
}

enum am_rc am_shard_make(const struct am_table *t, const struct am_shard_spec *s, uint16_t *shard,
                         uint64_t n_rows, struct am_err *err)
{
    if (s->n < 1 || s->n > AM_SHARDS_MAX)
        return am_fail(err, AM_EUSAGE, "%u shards, at most %d are allowed", s->n, AM_SHARDS_MAX);
    if (!s->key.ptr) {
        for (uint64_t i = 0; i < n_rows; i++) {
            uint32_t r[4];
            am_rng_block(s->seed, AM_RNG_SAMPLE, i, r);
            shard[i] = (uint16_t)(((uint64_t)r[0] * s->n) >> 32);
        }
        return AM_OK;
    }
    struct split_keys k;
    uint8_t *parts = am_calloc((size_t)n_rows + 1, 1); /* no row is dropped */
    if (!parts)
        return am_fail_nomem(err, n_rows);
    enum am_rc rc = split_keys_read(t, s->key, parts, n_rows, SPLIT_MISSING_IS_A_KEY, &k, err);
    for (uint64_t i = 0; rc == AM_OK && i < n_rows; i++) {
        uint64_t hash = am_str_hash(k.map.entries[k.of[i]].key);
        uint32_t r[4];
        am_rng_block(s->seed, AM_RNG_SAMPLE, hash, r);
        shard[i] = (uint16_t)(((uint64_t)r[0] * s->n) >> 32);
    }
    if (rc == AM_OK)
        split_keys_clear(&k);
    am_free(parts);
    return rc;
}

enum am_rc am_shard_view(const struct am_table *t, const uint16_t *shard, uint64_t n_rows,
                         unsigned k, struct am_table *out, struct am_err *err)
{
    return am_fold_view(t, shard, n_rows, k, AM_FOLD_IN, out, err);
}

/* The profile of one shard, with the rows' numbers in the whole table, so that the sample is the
 * whole's. */
static enum am_rc profile_one(const struct am_table *t, const uint16_t *shard, uint64_t n_rows,
                              unsigned k, struct am_profile *p, struct am_err *err)
{
    struct am_table view;
    struct am_table_iter *it = NULL;
    enum am_rc rc = AM_OK;
    uint64_t *rows = NULL, at = 0;
    size_t cap = 0;
    AM_TRY(am_shard_view(t, shard, n_rows, k, &view, err));
    AM_GO(rc, view.ops->open(view.impl, NULL, 0, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, view.ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > cap) {
            cap = b->n_rows;
            am_free(rows);
            rows = am_alloc_array(cap, sizeof *rows);
        }
        if (!rows) {
            rc = am_fail_nomem(err, cap * sizeof *rows);
            goto out;
        }
        for (size_t i = 0; i < b->n_rows; at++)
            if (shard[at] == k)
                rows[i++] = at;
        AM_GO(rc, profile_update_at(p, b, rows, err));
    }
out:
    view.ops->close(it);
    view.ops->free(view.impl);
    am_free(rows);
    return rc;
}

enum am_rc am_shard_profile(const struct am_table *t, const uint16_t *shard, uint64_t n_rows,
                            unsigned n, const struct am_profile_options *o, struct am_profile **out,
                            struct am_err *err)
{
    struct am_profile *whole = NULL, *part = NULL;
    const struct am_schema *schema = t->ops->schema(t->impl);
    enum am_rc rc = AM_OK;
    *out = NULL;
    AM_GO(rc, am_profile_new(schema, o, &whole, err));
    for (unsigned k = 0; k < n; k++) {
        AM_GO(rc, am_profile_new(schema, o, &part, err));
        AM_GO(rc, profile_one(t, shard, n_rows, k, part, err));
        AM_GO(rc, am_profile_merge(whole, part, err));
        am_profile_free(part);
        part = NULL;
    }
    AM_GO(rc, am_profile_finish(whole, err));
    *out = whole;
    whole = NULL;
out:
    am_profile_free(part);
    am_profile_free(whole);
    return rc;
}
