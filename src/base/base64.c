/* Base64 by table; see base64.h. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void am_base64_write(const void *bytes, size_t n, char *to)
{
    const unsigned char *p = bytes;
    for (; n >= 3; n -= 3, p += 3, to += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        to[0] = digits[v >> 18];
        to[1] = digits[v >> 12 & 63];
        to[2] = digits[v >> 6 & 63];
        to[3] = digits[v & 63];
    }
    if (n > 0) {
        uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0);
        to[0] = digits[v >> 18];
        to[1] = digits[v >> 12 & 63];
        to[2] = n > 1 ? digits[v >> 6 & 63] : '=';
        to[3] = '=';
    }
}

void am_base64_encode(struct am_buf *out, const void *bytes, size_t n)
{
    char *to = am_buf_reserve(out, am_base64_chars(n) + 1);
    if (!to)
        return;
    am_base64_write(bytes, n, to);
    am_buf_commit(out, am_base64_chars(n));
}

/* 64 = no digit */
static unsigned digit(unsigned char c, enum am_base64 alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26u;
    if (c >= '0' && c <= '9')
        return c - '0' + 52u;
    if (c == '+' || (c == '-' && alphabet == AM_BASE64_EITHER))
        return 62;
    if (c == '/' || (c == '_' && alphabet == AM_BASE64_EITHER))
        return 63;
    return 64;
}

bool am_base64_decode(struct am_str s, enum am_base64 alphabet, char *to, size_t *n)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t len = s.len, out = 0;
    unsigned pad = 0;
    if (len % 4 != 0)
        return false;
    while (pad < 2 && pad < len && p[len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < len; i += 4) {
        unsigned use = i + 4 == len ? 4 - pad : 4;
        uint32_t v = 0;
        for (unsigned k = 0; k < use; k++) {
            unsigned d = digit(p[i + k], alphabet);
            if (d == 64)
                return false;
            v |= d << (18 - 6 * k);
        }
        if (use < 4 && (v & (use == 3 ? 0xffu : 0xffffu)) != 0)
            return false;
        to[out++] = (char)(v >> 16 & 255);
        if (use > 2)
            to[out++] = (char)(v >> 8 & 255);
        if (use > 3)
            to[out++] = (char)(v & 255);
    }
    *n = out;
    return true;
}
