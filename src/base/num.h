/* Text to number and back, independent of the locale, whole string, range checked.
 *
 * Not a tokenizer: the caller cuts the slice. Printing a double gives the shortest text that reads
 * back to the same bits (at most 17 digits). Any thread. */
#ifndef AM_BASE_NUM_H
#define AM_BASE_NUM_H

#include "base/str.h"

/* Decimal with optional sign, fraction, exponent; also nan, inf, infinity in any case with sign
 * when allow_special is not 0. No white space, no hex, no "1_000". */
enum am_num_special { AM_NUM_FINITE, AM_NUM_SPECIAL };
bool am_parse_double(struct am_str s, enum am_num_special allow, double *out);
bool am_parse_i64(struct am_str s, int64_t *out);
bool am_parse_u64(struct am_str s, uint64_t max, uint64_t *out);
/* "64m", "2g", "512k", "100" -> bytes (k/m/g/t are 1024-based, "KiB"/"MB" spellings accepted) */
bool am_parse_bytes(struct am_str s, uint64_t *out);

#define AM_DOUBLE_CHARS 32
/* Writes at most AM_DOUBLE_CHARS bytes with a NUL; returns the length. Not finite: "NaN",
 * "Infinity",
 * "-Infinity". Whole numbers print without exponent up to 1e15 and without ".0". */
size_t am_print_double(double v, char out[AM_DOUBLE_CHARS]);
size_t am_print_float(float v, char out[AM_DOUBLE_CHARS]); /* shortest for float */

#endif
