/* The hash map: entries in insertion order, and a table of indices with linear probing, at most
 * half full.
 *
 * The hash of each entry is kept, so growing rehashes nothing; it is keyed, so that nobody can
 * choose keys that collide. One thread at a time. */
#include "base/map.h"

#include "base/alloc.h"

#define MAX_ENTRIES ((size_t)1 << 31)

void am_map_init(struct am_map *m)
{
    *m = (struct am_map){0};
}

void am_map_clear(struct am_map *m)
{
    am_free(m->entries);
    am_free(m->slots);
    am_map_init(m);
}

/* The slot that holds the key, or the empty one where it would go. */
static size_t find_slot(const struct am_map *m, struct am_str key, uint64_t hash)
{
    size_t mask = m->n_slots - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        uint32_t at = m->slots[i];
        if (at == 0)
            return i;
        const struct am_map_entry *e = &m->entries[at - 1];
        if (e->hash == hash && am_str_eq(e->key, key))
            return i;
    }
}

uint64_t *am_map_get(const struct am_map *m, struct am_str key)
{
    if (m->n == 0)
        return NULL;
    uint32_t at = m->slots[find_slot(m, key, am_str_hash_secret(key))];
    return at ? &m->entries[at - 1].value : NULL;
}

static enum am_rc grow(struct am_map *m, struct am_err *err)
{
    size_t cap = m->cap ? m->cap * 2 : 8, n_slots = cap * 2;
    struct am_map_entry *entries = am_realloc_array(m->entries, cap, sizeof *entries);
    if (!entries)
        return am_fail_nomem(err, (uint64_t)cap * sizeof *entries);
    m->entries = entries;
    uint32_t *slots = am_calloc(n_slots, sizeof *slots);
    if (!slots)
        return am_fail_nomem(err, (uint64_t)n_slots * sizeof *slots);
    for (size_t e = 0; e < m->n; e++) {
        size_t i = (size_t)entries[e].hash & (n_slots - 1);
        while (slots[i])
            i = (i + 1) & (n_slots - 1);
        slots[i] = (uint32_t)(e + 1);
    }
    am_free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    m->cap = cap;
    return AM_OK;
}

enum am_rc am_map_put(struct am_map *m, struct am_str key, uint64_t value, struct am_err *err)
{
    uint64_t hash = am_str_hash_secret(key);
    if (m->n) {
        uint32_t at = m->slots[find_slot(m, key, hash)];
        if (at) {
            m->entries[at - 1].value = value;
            return AM_OK;
        }
    }
    if (m->n == MAX_ENTRIES)
        return am_fail(err, AM_ELIMIT, "a map holds at most %zu keys", MAX_ENTRIES);
    if (m->n == m->cap)
        AM_TRY(grow(m, err));
    size_t slot = find_slot(m, key, hash);
    m->entries[m->n++] = (struct am_map_entry){key, hash, value};
    m->slots[slot] = (uint32_t)m->n;
    return AM_OK;
}
