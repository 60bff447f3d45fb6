/* Cleaning of texts: HTML, widths, rules, case. For terms.c; appends to a buffer, whose error is
 * sticky. No state; any thread. */
#ifndef AM_FEATURE_CLEAN_H
#define AM_FEATURE_CLEAN_H

#include "feature/regex.h"

/* Tags, comments, scripts and styles become one space each, character references their
 * characters. Whatever comes in, no more comes out. */
void am_clean_html(struct am_str text, struct am_buf *out);
/* Full-width letters, digits and marks to ASCII, half-width kana to kana, U+3000 to a space. */
void am_clean_width(struct am_str text, struct am_buf *out);
void am_clean_lower(struct am_str text, struct am_buf *out);
/* Normalisation form KC by ICU, found at run time. */
enum am_rc am_clean_nfkc_open(struct am_err *err) AM_MUST_CHECK;
enum am_rc am_clean_nfkc(struct am_str text, struct am_buf *out, struct am_err *err) AM_MUST_CHECK;
/* Every match by the replacement. When the budget of work is used up the rest stays as it is. */
enum am_rc am_clean_rule(const struct am_regex *re, struct am_str replacement,
                         struct am_regex_scratch *s, struct am_str text, uint64_t *budget,
                         struct am_buf *out, struct am_err *err) AM_MUST_CHECK;

#endif
