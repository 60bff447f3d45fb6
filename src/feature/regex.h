/* Regular expressions that cannot blow up: a set of states walks over the text once (Thompson 1968;
 * Pike's priorities), so the work is at most text times pattern, and a budget bounds the whole of a
 * text. Patterns come from recipes and from packages that nobody trusts.
 *
 *   literals . [a-z] [^...] \d \w \s \D \W \S \b \B \t \n \r \. ...  x* x+ x? x{m} x{m,n} x{m,}
 *   *? +? ?? (short matches first)  (group) (?:group) a|b  ^ $ (of the text)  (?i) at the start
 *
 * There are no references to groups. Matching is over code points; leftmost, then what stands first
 * in the pattern. A regex is immutable once made; a scratch belongs to one thread. */
#ifndef AM_FEATURE_REGEX_H
#define AM_FEATURE_REGEX_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define AM_REGEX_MAX_STATES 2000

struct am_regex;

/* AM_EUSAGE with the place in the pattern; AM_ELIMIT: over AM_REGEX_MAX_STATES. Memory of a. */
enum am_rc am_regex_new(struct am_str pattern, struct am_arena *a, const struct am_regex **out,
                        struct am_err *err) AM_MUST_CHECK;

struct am_regex_scratch {
    void *memory; /* owned */
    size_t n;     /* states it has room for */
};
void am_regex_scratch_clear(struct am_regex_scratch *s);

/* The first match at or after byte `from`; *budget falls by the work done and false comes when it
 * is used up. AM_ENOMEM only through *rc. */
bool am_regex_find(const struct am_regex *re, struct am_regex_scratch *s, struct am_str text,
                   size_t from, uint64_t *budget, size_t *begin, size_t *end, enum am_rc *rc);

#endif
