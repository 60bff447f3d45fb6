/* Code points: reading and writing UTF-8, lower case, what counts as a letter. For feature/ only;
 * the tables are tokens.c's. No state; any thread. */
#ifndef AM_FEATURE_CHARS_H
#define AM_FEATURE_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at p < end, *bytes of it; a byte that is not UTF-8 is U+FFFD. */
uint32_t am_char_next(const char *p, const char *end, size_t *bytes);
/* Bytes written to out, at most 4. */
size_t am_char_put(uint32_t c, char out[4]);
/* ASCII, Latin, Greek, Cyrillic, full-width letters. */
uint32_t am_char_lower(uint32_t c);
/* What Python's \w takes: letters, digits, ideographs, the underscore. */
bool am_char_is_word(uint32_t c);
bool am_char_is_space(uint32_t c);
bool am_char_is_digit(uint32_t c);

#endif
