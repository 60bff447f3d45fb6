/* A strict JSON scanner (RFC 8259) without a tree: the caller pulls objects, arrays, strings and
 * numbers straight into its own buffers.
 *
 * Not for configuration (base/tree.h reads that). Strings are unescaped in place, so the text must
 * be writable and outlive the slices. Never reads outside [start, end). Nesting is bounded by
 * AM_LIMIT_JSON_DEPTH, the stack use is constant. The first failure sticks in `failed`; every later
 * call fails too. One thread. */
#ifndef AM_API_JSON_SCAN_H
#define AM_API_JSON_SCAN_H

#include <stdbool.h>

#include "base/str.h"

enum am_js_special { AM_JS_STRICT, AM_JS_SPECIAL }; /* are NaN, Infinity, -Infinity numbers? */

struct am_js {
    char *start, *p, *end;
    struct am_err *err; /* filled at the first failure */
    unsigned depth;
    enum am_js_special special;
    enum am_rc failed;
};

enum am_js_kind {
    AM_JS_END, /* nothing left, or an impossible character */
    AM_JS_OBJECT,
    AM_JS_ARRAY,
    AM_JS_STRING,
    AM_JS_NUMBER,
    AM_JS_TRUE,
    AM_JS_FALSE,
    AM_JS_NULL
};

void am_js_init(struct am_js *js, char *text, size_t n, enum am_js_special special,
                struct am_err *err);
/* What comes next, white space skipped; nothing else is consumed. */
enum am_js_kind am_js_peek(struct am_js *js);

/* true = a member follows (its key read, the value next); false = the object ended or failed.
 *   if (!am_js_enter(js, '{')) ...; bool first = true; while (am_js_member(js, &first, &key))
 * {value} */
bool am_js_enter(struct am_js *js, char open); /* '{' or '[' */
bool am_js_member(struct am_js *js, bool *first, struct am_str *key);
bool am_js_element(struct am_js *js, bool *first);
/* Is the next member this one, written plainly? Then it is read as by am_js_member; else nothing
 * is. */
bool am_js_member_is(struct am_js *js, bool *first, struct am_str key);
/* Is a plain number next, white space skipped? */
static inline bool am_js_digit_next(struct am_js *js)
{
    while (js->p < js->end && (*js->p == ' ' || *js->p == '\n' || *js->p == '\r' || *js->p == '\t'))
        js->p++;
    return js->p < js->end && (unsigned char)(*js->p - '0') <= 9;
}

bool am_js_string(struct am_js *js, struct am_str *out);
/* The same for a file's bytes as text: as long as the body may be. */
bool am_js_file(struct am_js *js, struct am_str *out);
/* Correctly rounded; out of the range of double is a failure. */
bool am_js_number(struct am_js *js, double *out);
bool am_js_bool(struct am_js *js, bool *out);
bool am_js_null(struct am_js *js);
/* Any value, checked, not changed. */
bool am_js_skip(struct am_js *js);
/* Nothing but white space may follow. */
bool am_js_finish(struct am_js *js);
/* "invalid JSON at byte 17: <what>"; always false. */
bool am_js_bad(struct am_js *js, const char *what);
/* Any other failure, with the code; always false. */
bool am_js_fail(struct am_js *js, enum am_rc rc, const char *fmt, ...) AM_PRINTF(3, 4);

#endif
