/* Exact duplicates by a 128-bit hash of the canonical row (one half says the place in the table,
 * the other one is kept there), and the leak check of splits built on it.
 *
 * One pass when the table of hashes fits AM_DUPLICATES_BYTES, else several, each for the rows whose
 * hash falls to it, so memory stays bounded whatever the number of rows. */
#include "base/alloc.h"
#include "data/rowhash.h"
#include "data/split_int.h"

#define AM_DUPLICATES_BYTES ((uint64_t)48 << 20)
#define HASH_ROWS 1024 /* hashed by one thread at a time */
#define AHEAD 8        /* slots fetched before they are looked at */

struct slot {
    uint64_t hash; /* .b of the row; .a is its place */
    uint64_t row;  /* + 1; 0 = free */
};

struct scan {
    const uint8_t *parts;
    uint64_t n_rows, n_passes, pass;
    struct slot *slots; /* owned */
    uint64_t mask;
    struct row_hash *hash; /* owned [cap] */
    size_t cap;
    struct am_pool *pool;
    const struct am_batch *batch;
    void (*each)(void *ctx, uint64_t row, uint64_t first);
    void *ctx;
};

static void hash_rows(void *ctx, size_t begin, size_t end)
{
    struct scan *s = ctx;
    row_hash_batch(s->batch, begin, end, 0x243f6a8885a308d3ull, s->hash);
}

static void take_batch(struct scan *s, const struct am_batch *b, uint64_t row)
{
    s->batch = b;
    am_pool_for(s->pool, b->n_rows, HASH_ROWS, hash_rows, s);
    for (size_t i = 0; i < b->n_rows && row < s->n_rows; i++, row++) {
        if (i + AHEAD < b->n_rows)
            __builtin_prefetch(&s->slots[s->hash[i + AHEAD].a & s->mask]);
        struct row_hash h = s->hash[i];
        if (s->parts[row] == AM_ROW_DROPPED || h.a / (s->mask + 1) % s->n_passes != s->pass)
            continue;
        uint64_t at = h.a & s->mask;
        while (s->slots[at].row && s->slots[at].hash != h.b)
            at = (at + 1) & s->mask;
        if (s->slots[at].row)
            s->each(s->ctx, row, s->slots[at].row - 1);
        else
            s->slots[at] = (struct slot){h.b, row + 1};
    }
}

static enum am_rc one_pass(struct scan *s, const struct am_table *t, const size_t *columns,
                           size_t n, struct am_err *err)
{
    struct am_table_iter *it = NULL;
    enum am_rc rc = AM_OK;
    uint64_t row = 0;
    AM_TRY(t->ops->open(t->impl, columns, n, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > s->cap) {
            am_free(s->hash);
            s->cap = b->n_rows;
            s->hash = am_alloc_array(s->cap, sizeof *s->hash);
        }
        if (!s->hash) {
            s->cap = 0;
            rc = am_fail_nomem(err, b->n_rows * sizeof *s->hash);
            goto out;
        }
        take_batch(s, b, row);
        row += b->n_rows;
    }
out:
    t->ops->close(it);
    return rc;
}

enum am_rc duplicates_each(const struct am_table *t, const struct am_str *ignore, size_t n_ignore,
                           const uint8_t *parts, uint64_t n_rows, struct am_pool *pool,
                           void (*each)(void *ctx, uint64_t row, uint64_t first), void *ctx,
                           struct am_err *err)
{
    struct scan s = {
        .parts = parts, .n_rows = n_rows, .n_passes = 1, .each = each, .ctx = ctx, .pool = pool};
    size_t *columns = NULL, n = 0;
    enum am_rc rc = AM_OK;
    uint64_t n_slots = 64;
    while (n_slots < n_rows * 2 && n_slots * 2 * sizeof(struct slot) <= AM_DUPLICATES_BYTES)
        n_slots *= 2;
    s.n_passes = (n_rows * 2 + n_slots - 1) / n_slots;
    if (s.n_passes == 0)
        return AM_OK;
    s.mask = n_slots - 1;
    AM_GO(rc,
          split_identity(t->ops->schema(t->impl), NULL, 0, ignore, n_ignore, &columns, &n, err));
    for (; s.pass < s.n_passes; s.pass++) {
        am_free(s.slots);
        s.slots = am_calloc((size_t)n_slots, sizeof *s.slots);
        if (!s.slots) {
            rc = am_fail_nomem(err, n_slots * sizeof *s.slots);
            goto out;
        }
        AM_GO(rc, one_pass(&s, t, columns, n, err));
    }
out:
    am_free(s.slots);
    am_free(s.hash);
    am_free(columns);
    return rc;
}

struct leaks {
    uint8_t *parts;
    enum am_split_leaks policy;
    struct am_split_counts *counts;
};

static void note_leak(void *ctx, uint64_t row, uint64_t first)
{
    struct leaks *l = ctx;
    if (l->parts[row] == l->parts[first])
        return;
    if (l->counts->n_leaks++ == 0 || row < l->counts->first_leak[1]) {
        l->counts->first_leak[0] = first;
        l->counts->first_leak[1] = row;
    }
    if (l->policy == AM_LEAKS_GROUP) {
        l->parts[row] = l->parts[first];
        l->counts->n_moved++;
    }
}

enum am_rc split_leaks(const struct am_table *t, const struct am_split_spec *s, uint8_t *parts,
                       uint64_t n_rows, struct am_split_counts *counts, struct am_err *err)
{
    struct leaks l = {parts, s->leaks, counts};
    AM_TRY(duplicates_each(t, s->ignore, s->n_ignore, parts, n_rows, s->pool, note_leak, &l, err));
    if (counts->n_leaks == 0 || s->leaks != AM_LEAKS_ERROR)
        return AM_OK;
    enum am_rc rc =
        am_fail(err, AM_EINVAL,
                "%llu rows of one part are equal to rows of another: first rows %llu and %llu",
                (unsigned long long)counts->n_leaks, (unsigned long long)counts->first_leak[0] + 1,
                (unsigned long long)counts->first_leak[1] + 1);
    am_hint(err, "Drop duplicates with data.clean: {duplicates: drop}, or keep equal rows together "
                 "with data.split: {leaks: group}.");
    return rc;
}
