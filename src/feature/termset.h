/* Terms to numbers 0, 1, ... in order of arrival: a hash table made for many short keys. Keys of up
 * to 24 bytes lie in the slot itself, so that a lookup is one cache line; longer ones are borrowed.
 * One thread writes; concurrent readers are fine while nobody does. Inside of feature/. */
#ifndef AM_FEATURE_TERMSET_H
#define AM_FEATURE_TERMSET_H

#include "base/str.h"

#include <stdint.h>

#define AM_TERMSET_NONE UINT32_MAX

struct am_termset_slot;
struct am_termset {
    struct am_termset_slot *slots; /* owned; all zero is an empty set */
    size_t n_slots;
    uint32_t n;
};

void am_termset_clear(struct am_termset *s);
/* AM_TERMSET_NONE when absent. */
uint32_t am_termset_find(const struct am_termset *s, struct am_str term);
/* The term's number; *added says whether it is new. A new term must outlive the set. AM_ENOMEM. */
enum am_rc am_termset_add(struct am_termset *s, struct am_str term, uint32_t *out, bool *added,
                          struct am_err *err) AM_MUST_CHECK;

#endif
