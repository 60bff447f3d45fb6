/* Base64 (RFC 4648): bytes to text and back.
 *
 * Encoding is the standard alphabet with padding. Decoding is strict: the length must be a multiple
 * of four, white space, missing padding and bits that stand for nothing are refused. Pure; any
 * thread. */
#ifndef AM_BASE_BASE64_H
#define AM_BASE_BASE64_H

#include "base/str.h"

enum am_base64 {
    AM_BASE64_STANDARD, /* + and / */
    AM_BASE64_EITHER    /* - and _ as well */
};

/* Upper bound of the bytes behind a text of n characters. */
static inline size_t am_base64_bytes(size_t n)
{
    return n / 4 * 3;
}
/* Characters that n bytes become, padding included, no terminator. */
static inline size_t am_base64_chars(size_t n)
{
    return (n / 3 + (n % 3 != 0)) * 4;
}
void am_base64_write(const void *bytes, size_t n, char *to); /* to: [am_base64_chars(n)] */
/* Appends; am_buf_check() says whether it is whole. */
void am_base64_encode(struct am_buf *out, const void *bytes, size_t n);
/* to: room for am_base64_bytes(s.len), may be s.ptr itself. false: no base64; `to` is then
 * undefined. */
bool am_base64_decode(struct am_str s, enum am_base64 alphabet, char *to, size_t *n);

#endif
