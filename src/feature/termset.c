/* See termset.h. Open addressing, linear probing, at most three quarters full. */
#include "feature/termset.h"

#include <string.h>

#include "base/alloc.h"

#define INLINE_BYTES 24

struct am_termset_slot {
    uint32_t id; /* number + 1; 0 = empty */
    uint32_t len;
    union {
        char bytes[INLINE_BYTES]; /* padded by zeros */
        struct {
            const char *ptr; /* borrowed */
            uint64_t hash;
        } far;
    } key;
};

void am_termset_clear(struct am_termset *s)
{
    am_free(s->slots);
    *s = (struct am_termset){0};
}

static bool is_at(const struct am_termset_slot *k, struct am_str term, uint64_t hash)
{
    if (k->len != term.len)
        return false;
    if (term.len > INLINE_BYTES)
        return k->key.far.hash == hash && memcmp(k->key.far.ptr, term.ptr, term.len) == 0;
    return memcmp(k->key.bytes, term.ptr, term.len) == 0;
}

static struct am_termset_slot *place(const struct am_termset *s, struct am_str term, uint64_t hash)
{
    size_t at = (size_t)(hash >> 7) & (s->n_slots - 1);
    while (s->slots[at].id && !is_at(&s->slots[at], term, hash))
        at = (at + 1) & (s->n_slots - 1);
    return &s->slots[at];
}

uint32_t am_termset_find(const struct am_termset *s, struct am_str term)
{
    if (s->n == 0)
        return AM_TERMSET_NONE;
    return place(s, term, am_str_hash(term))->id - 1; /* absent: 0 - 1 */
}

static struct am_str key_of(const struct am_termset_slot *k)
{
    return (struct am_str){k->len > INLINE_BYTES ? k->key.far.ptr : k->key.bytes, k->len};
}

static enum am_rc grow(struct am_termset *s, struct am_err *err)
{
    struct am_termset old = *s;
    const size_t n = s->n_slots ? s->n_slots * 2 : 256;
    struct am_termset_slot *slots = am_calloc(n, sizeof *slots);
    if (!slots)
        return am_fail_nomem(err, n * sizeof *slots);
    s->slots = slots;
    s->n_slots = n;
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].id) {
            const struct am_str term = key_of(&old.slots[i]);
            *place(s, term, am_str_hash(term)) = old.slots[i];
        }
    am_free(old.slots);
    return AM_OK;
}

enum am_rc am_termset_add(struct am_termset *s, struct am_str term, uint32_t *out, bool *added,
                          struct am_err *err)
{
    const uint64_t hash = am_str_hash(term);
    if ((size_t)s->n + 1 > s->n_slots - s->n_slots / 4)
        AM_TRY(grow(s, err));
    struct am_termset_slot *k = place(s, term, hash);
    *added = k->id == 0;
    if (*added) {
        k->id = ++s->n;
        k->len = (uint32_t)term.len;
        if (term.len > INLINE_BYTES) {
            k->key.far.ptr = term.ptr;
            k->key.far.hash = hash;
        } else {
            memcpy(k->key.bytes, term.ptr, term.len);
        }
    }
    *out = k->id - 1;
    return AM_OK;
}
