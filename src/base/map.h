/* The one hash map: slices to 64-bit values, iterated in insertion order (so results are
 * repeatable).
 *
 * Keys are borrowed: they must outlive the map (put them in an arena first). No removal. One thread
 * at a time; concurrent readers are fine while nobody writes. */
#ifndef AM_BASE_MAP_H
#define AM_BASE_MAP_H

#include "base/str.h"

struct am_map_entry {
    struct am_str key;
    uint64_t hash;
    uint64_t value;
};

struct am_map {
    struct am_map_entry *entries; /* owned, insertion order */
    uint32_t *slots;              /* owned, open addressing, entry index + 1 */
    size_t n, cap, n_slots;
};

void am_map_init(struct am_map *m);
void am_map_clear(struct am_map *m);
/* The value's place, or NULL when absent; valid until the next put. */
uint64_t *am_map_get(const struct am_map *m, struct am_str key);
/* Sets or overwrites. AM_ENOMEM only; at most 2^31 entries (AM_ELIMIT). */
enum am_rc am_map_put(struct am_map *m, struct am_str key, uint64_t value,
                      struct am_err *err) AM_MUST_CHECK;

#endif
