/* Slices of bytes, and a growing buffer with a maximum from birth.
 *
 * struct am_str borrows: whoever hands one out says how long the bytes live. Strings cross modules
 * in this form; NUL only at the edge of the system. struct am_buf owns; its append functions never
 * fail loudly: the first failure (memory, maximum) sticks, and am_buf_check() reports it once at
 * the end. am_buf keeps a NUL behind its bytes. One thread at a time. */
#ifndef AM_BASE_STR_H
#define AM_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct am_str {
    const char *ptr; /* borrowed; NULL = missing (an empty string has a pointer) */
    size_t len;
};

#define AM_STR(literal) ((struct am_str){"" literal, sizeof(literal) - 1})
#define AM_STR_INIT(literal)                                                                       \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    } /* for static initialisers */
/* for printf("%.*s", AM_FMT(s)) */
#define AM_FMT(s) (int)((s).len > 4096 ? 4096 : (s).len), ((s).ptr ? (s).ptr : "")

static inline struct am_str am_str(const char *cstr)
{
    return (struct am_str){cstr, cstr ? strlen(cstr) : 0};
}
static inline bool am_str_eq(struct am_str a, struct am_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool am_str_is(struct am_str a, const char *cstr)
{
    return am_str_eq(a, am_str(cstr));
}
int am_str_cmp(struct am_str a, struct am_str b); /* byte order */
bool am_str_starts(struct am_str s, struct am_str prefix);
bool am_str_ends(struct am_str s, struct am_str suffix);
struct am_str am_str_trim(struct am_str s); /* ASCII white space off both ends */
uint64_t am_str_hash(struct am_str s);      /* stable across runs and machines */
/* Keyed with a secret of this process, for tables whose keys strangers choose (SipHash-1-3). */
uint64_t am_str_hash_secret(struct am_str s);
bool am_utf8_valid(struct am_str s);
/* Length of the well-formed character at p, 0 when there is none; n > 0 bytes are there. */
size_t am_utf8_char(const char *p, size_t n);
/* Damerau-Levenshtein, capped at 99; for "did you mean". */
unsigned am_str_distance(struct am_str a, struct am_str b);
/* The nearest of n names within distance 1 + len/3, or NULL. */
const char *am_str_nearest(struct am_str s, const char *const *names, size_t n);
/* 1..128 of [A-Za-z0-9._-], no leading '.' or '-': names of models, aliases, experiments. */
bool am_name_valid(struct am_str s);

struct am_buf {
    char *ptr; /* owned; NULL until the first byte */
    size_t len;
    size_t cap;
    size_t max;
    enum am_rc failed; /* sticky */
};

void am_buf_init(struct am_buf *b, size_t max_bytes);
void am_buf_clear(struct am_buf *b); /* frees; the buffer can be used again, same maximum */
void am_buf_reset(struct am_buf *b); /* empties and forgets failure, keeps the memory */
void am_buf_add(struct am_buf *b, const void *bytes, size_t n);
void am_buf_str(struct am_buf *b, struct am_str s);
void am_buf_cstr(struct am_buf *b, const char *s);
void am_buf_char(struct am_buf *b, char c);
void am_buf_printf(struct am_buf *b, const char *fmt, ...) AM_PRINTF(2, 3);
void am_buf_vprintf(struct am_buf *b, const char *fmt, va_list ap);
/* n writable bytes at the end, or NULL; am_buf_commit() takes what was written. */
char *am_buf_reserve(struct am_buf *b, size_t n);
void am_buf_commit(struct am_buf *b, size_t n);
enum am_rc am_buf_check(const struct am_buf *b, struct am_err *err) AM_MUST_CHECK;
static inline struct am_str am_buf_view(const struct am_buf *b)
{
    return (struct am_str){b->ptr ? b->ptr : "", b->len};
}

#endif
