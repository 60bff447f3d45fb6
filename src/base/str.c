/* Slices, UTF-8, names, and the growing buffer.
 *
 * Locale plays no part: only ASCII white space is trimmed, order is by bytes. One thread at a time
 * for a buffer; the rest is pure. */
#include "base/str.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"

int am_str_cmp(struct am_str a, struct am_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c)
        return c;
    return (a.len > b.len) - (a.len < b.len);
}

bool am_str_starts(struct am_str s, struct am_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool am_str_ends(struct am_str s, struct am_str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

struct am_str am_str_trim(struct am_str s)
{
    while (s.len && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Little-endian loads, so that the hash is the same on every machine. */
static uint64_t load64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(v) : v;
}

static uint64_t load_tail(const unsigned char *p, size_t n) /* n < 8 */
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* Both halves of the 128-bit product, folded: the mixing step of wyhash (public domain, Wang Yi).
 */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t am_str_hash(struct am_str s)
{
    static const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu,
                          k2 = 0x8ebc6af09c88c6e3u;
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t n = s.len;
    uint64_t h = k0 ^ (uint64_t)n;
    for (; n > 16; n -= 16, p += 16)
        h = mix(load64(p) ^ k1, load64(p + 8) ^ h);
    uint64_t a = n >= 8 ? load64(p) : load_tail(p, n);
    uint64_t b = n >= 8 ? (n == 16 ? load64(p + 8) : load_tail(p + 8, n - 8)) : 0;
    h = mix(a ^ k1, b ^ h ^ k2);
    return mix(h ^ k0, (uint64_t)s.len ^ k1);
}

/* ---- SipHash-1-3 (Aumasson and Bernstein, 2012) under a key drawn once per process ---- */

static uint64_t secret[2];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void draw_secret(void)
{
    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret) {
        secret[0] = am_mono_ns(); /* weaker, and only on kernels without the call */
        secret[1] = (uint64_t)(uintptr_t)&secret;
    }
}

static uint64_t rotl(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

uint64_t am_str_hash_secret(struct am_str s)
{
    (void)pthread_once(&secret_once, draw_secret);
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                     secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t n = s.len;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t m = load64(p);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)s.len << 56 | load_tail(p, n);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* RFC 3629: no overlong form, no surrogate, at most U+10FFFF */
size_t am_utf8_char(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || n < len)
        return 0;
    unsigned char lo = 0x80, hi = 0xBF;
    if (c == 0xE0)
        lo = 0xA0;
    else if (c == 0xED)
        hi = 0x9F;
    else if (c == 0xF0)
        lo = 0x90;
    else if (c == 0xF4)
        hi = 0x8F;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool am_utf8_valid(struct am_str s)
{
    const char *p = s.ptr;
    size_t n = s.len;
    while (n) {
        if (n >= 8 && (load64((const unsigned char *)p) & 0x8080808080808080u) == 0) {
            p += 8;
            n -= 8;
            continue;
        }
        size_t k = am_utf8_char(p, n);
        if (k == 0)
            return false;
        p += k;
        n -= k;
    }
    return true;
}

#define DISTANCE_LEN_MAX 127
#define DISTANCE_CAP 99u

/* Optimal string alignment: insert, delete, replace, swap of two neighbours; three rolling rows. */
unsigned am_str_distance(struct am_str a, struct am_str b)
{
    unsigned rows[3][DISTANCE_LEN_MAX + 1];
    if (am_str_eq(a, b))
        return 0;
    if (a.len > DISTANCE_LEN_MAX || b.len > DISTANCE_LEN_MAX)
        return DISTANCE_CAP;
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *prev = rows[(i + 2) % 3], *prev2 = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned best = prev[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (prev[j] + 1 < best)
                best = prev[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            now[j] = best;
        }
    }
    unsigned d = rows[a.len % 3][b.len];
    return d < DISTANCE_CAP ? d : DISTANCE_CAP;
}

const char *am_str_nearest(struct am_str s, const char *const *names, size_t n)
{
    unsigned limit = s.len < (size_t)3 * DISTANCE_CAP ? 1u + (unsigned)s.len / 3u : DISTANCE_CAP;
    const char *best = NULL;
    unsigned best_d = limit + 1;
    for (size_t i = 0; i < n; i++) {
        unsigned d = am_str_distance(s, am_str(names[i]));
        if (d < best_d) {
            best_d = d;
            best = names[i];
        }
    }
    return best;
}

bool am_name_valid(struct am_str s)
{
    if (s.len < 1 || s.len > 128 || s.ptr[0] == '.' || s.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

void am_buf_init(struct am_buf *b, size_t max_bytes)
{
    *b = (struct am_buf){.max = max_bytes};
}

void am_buf_clear(struct am_buf *b)
{
    am_free(b->ptr);
    am_buf_init(b, b->max);
}

void am_buf_reset(struct am_buf *b)
{
    b->len = 0;
    b->failed = AM_OK;
    if (b->ptr)
        b->ptr[0] = '\0';
}

/* Room for n more bytes and the NUL. */
static bool make_room(struct am_buf *b, size_t n)
{
    if (b->failed != AM_OK)
        return false;
    if (b->ptr && b->cap - b->len > n)
        return true;
    if (n > b->max - b->len) {
        b->failed = AM_ELIMIT;
        return false;
    }
    size_t want = b->len + n < SIZE_MAX ? b->len + n + 1 : SIZE_MAX;
    size_t cap = b->cap < SIZE_MAX / 2 ? b->cap * 2 : want;
    if (cap < 64)
        cap = 64;
    if (cap > b->max && b->max < SIZE_MAX)
        cap = b->max + 1;
    if (cap < want)
        cap = want;
    char *p = am_realloc_array(b->ptr, cap, 1);
    if (!p) {
        b->failed = AM_ENOMEM;
        return false;
    }
    p[b->len] = '\0';
    b->ptr = p;
    b->cap = cap;
    return true;
}

void am_buf_add(struct am_buf *b, const void *bytes, size_t n)
{
    if (!make_room(b, n))
        return;
    if (n)
        memcpy(b->ptr + b->len, bytes, n);
    b->len += n;
    b->ptr[b->len] = '\0';
}

void am_buf_str(struct am_buf *b, struct am_str s)
{
    am_buf_add(b, s.ptr, s.len);
}
void am_buf_cstr(struct am_buf *b, const char *s)
{
    am_buf_add(b, s, strlen(s));
}
void am_buf_char(struct am_buf *b, char c)
{
    am_buf_add(b, &c, 1);
}

void am_buf_vprintf(struct am_buf *b, const char *fmt, va_list ap)
{
    if (!make_room(b, 0))
        return;
    size_t room = b->cap - b->len;
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(b->ptr + b->len, room, fmt, ap);
    if (n < 0) {
        b->failed = AM_EINTERNAL;
    } else if ((size_t)n < room) {
        b->len += (size_t)n;
    } else if (make_room(b, (size_t)n)) {
        (void)vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    b->ptr[b->len] = '\0';
}

void am_buf_printf(struct am_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    am_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

char *am_buf_reserve(struct am_buf *b, size_t n)
{
    return make_room(b, n) ? b->ptr + b->len : NULL;
}

void am_buf_commit(struct am_buf *b, size_t n)
{
    b->len += n;
    b->ptr[b->len] = '\0';
}

enum am_rc am_buf_check(const struct am_buf *b, struct am_err *err)
{
    if (b->failed == AM_OK)
        return AM_OK;
    if (b->failed == AM_ELIMIT)
        return am_fail(err, AM_ELIMIT, "text over the limit of %zu bytes", b->max);
    if (b->failed == AM_ENOMEM)
        return am_fail_nomem(err, b->cap);
    return am_fail(err, b->failed, "a text could not be formatted");
}
