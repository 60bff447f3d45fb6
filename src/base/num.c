/* Numbers to text and back.
 *
 * Reading: Clinger's exact case (Clinger, PLDI 1990), else strtod in the C locale over a canonical
 * copy on the stack. Printing: Schubfach (Giulietti, "The Schubfach way to render doubles", 2020),
 * whose table of powers of ten is computed once, exactly, with multi-word integers. No allocation.
 * Any thread. */
#include "base/num.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- tables made once ---- */

#define P10_MIN (-292)
#define P10_MAX 324
#define WORDS 18 /* 1152 bits: 10^324 has 1077, and 2^1151 / 10^292 keeps 181 */

struct u128 {
    uint64_t hi, lo;
};

static struct u128
    p10[P10_MAX - P10_MIN + 1]; /* ceil of 10^k, scaled to 128 bits with the top bit set */
static locale_t c_locale;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The top 128 bits of a number of WORDS words (lowest first), rounded up when `inexact` or bits are
 * lost. */
static struct u128 top_bits(const uint64_t w[WORDS], bool inexact)
{
    int i = WORDS - 1;
    while (w[i] == 0)
        i--;
    uint64_t a = w[i], b = i >= 1 ? w[i - 1] : 0, c = i >= 2 ? w[i - 2] : 0;
    int s = __builtin_clzll(a);
    struct u128 r = {a, b};
    uint64_t lost = c;
    if (s) {
        r = (struct u128){a << s | b >> (64 - s), b << s | c >> (64 - s)};
        lost = c << s;
    }
    for (int j = i - 3; j >= 0; j--)
        lost |= w[j];
    if ((lost || inexact) && ++r.lo == 0)
        r.hi++;
    return r;
}

static void make_tables(void)
{
    uint64_t w[WORDS] = {1};
    for (int k = 0; k <= P10_MAX; k++) {
        p10[k - P10_MIN] = top_bits(w, false);
        uint64_t carry = 0;
        for (int i = 0; i < WORDS; i++) {
            unsigned __int128 m = (unsigned __int128)w[i] * 10 + carry;
            w[i] = (uint64_t)m;
            carry = (uint64_t)(m >> 64);
        }
    }
    memset(w, 0, sizeof w);
    w[WORDS - 1] = (uint64_t)1 << 63;
    for (int k = -1; k >= P10_MIN; k--) {
        uint64_t rest = 0;
        for (int i = WORDS - 1; i >= 0; i--) {
            unsigned __int128 d = (unsigned __int128)rest << 64 | w[i];
            w[i] = (uint64_t)(d / 10);
            rest = (uint64_t)(d % 10);
        }
        p10[k - P10_MIN] = top_bits(w, true);
    }
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* ---- reading ---- */

#define DIGITS_MAX 772 /* more digits cannot change a double; a last 1 stands for the rest */

struct decimal {
    bool negative;
    int64_t exponent;  /* value = digits * 10^exponent */
    uint64_t mantissa; /* the digits when there are at most 19 */
    size_t n;          /* digits kept, without leading zeros */
    bool rest;         /* a digit that is not 0 was dropped */
    char digits[DIGITS_MAX];
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void take_digit(struct decimal *d, char c, bool fraction)
{
    if (c == '0' && d->n == 0) {
        d->exponent -= fraction;
        return;
    }
    if (d->n < DIGITS_MAX) {
        d->digits[d->n++] = c;
        if (d->n <= 19)
            d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
        d->exponent -= fraction;
        return;
    }
    d->rest |= c != '0';
    d->exponent += !fraction;
}

static bool read_exponent(const char *p, const char *end, int64_t *out)
{
    bool minus = false;
    if (p < end && (*p == '+' || *p == '-'))
        minus = *p++ == '-';
    if (p == end)
        return false;
    int64_t e = 0;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return false;
        if (e < (int64_t)1 << 40)
            e = e * 10 + (*p - '0');
    }
    *out = minus ? -e : e;
    return true;
}

static bool read_decimal(const char *p, const char *end, struct decimal *d)
{
    const char *first = p;
    for (; p < end && is_digit(*p); p++)
        take_digit(d, *p, false);
    size_t n = (size_t)(p - first);
    if (p < end && *p == '.') {
        first = ++p;
        for (; p < end && is_digit(*p); p++)
            take_digit(d, *p, true);
        n += (size_t)(p - first);
    }
    if (n == 0)
        return false;
    if (p == end)
        return true;
    int64_t e;
    if ((*p != 'e' && *p != 'E') || !read_exponent(p + 1, end, &e))
        return false;
    d->exponent += e;
    return true;
}

static bool slow_value(struct decimal *d, double *out)
{
    char text[DIGITS_MAX + 32];
    int64_t e = d->exponent;
    memcpy(text, d->digits, d->n);
    size_t n = d->n;
    if (d->rest) {
        text[n++] = '1';
        e--;
    }
    int64_t top = e + (int64_t)n; /* value < 10^top */
    if (top > 400)
        return false;
    if (top < -400) {
        *out = 0;
        return true;
    }
    text[n++] = 'e';
    text[n++] = e < 0 ? '-' : '+';
    uint64_t u = (uint64_t)(e < 0 ? -e : e);
    char reversed[20];
    size_t k = 0;
    do
        reversed[k++] = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    while (k)
        text[n++] = reversed[--k];
    text[n] = '\0';
    pthread_once(&once, make_tables);
    double v = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

static const double exact_p10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool decimal_value(struct decimal *d, double *out)
{
    if (d->n == 0) {
        *out = 0;
        return true;
    }
    if (d->n <= 19 && d->mantissa <= (uint64_t)1 << 53) {
        if (d->exponent >= 0 && d->exponent <= 22) {
            *out = (double)d->mantissa * exact_p10[d->exponent];
            return true;
        }
        if (d->exponent < 0 && d->exponent >= -22) {
            *out = (double)d->mantissa / exact_p10[-d->exponent];
            return true;
        }
    }
    return slow_value(d, out);
}

static bool is_word(const char *p, size_t n, const char *lower)
{
    if (strlen(lower) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 0x20) != lower[i])
            return false;
    return true;
}

bool am_parse_double(struct am_str s, enum am_num_special allow, double *out)
{
    const char *p = s.ptr, *end = s.ptr + s.len;
    struct decimal d;
    d.negative = false;
    d.exponent = 0;
    d.mantissa = 0;
    d.n = 0;
    d.rest = false;
    if (s.len == 0)
        return false;
    if (*p == '+' || *p == '-')
        d.negative = *p++ == '-';
    double v;
    if (allow != AM_NUM_FINITE && p < end && !is_digit(*p) && *p != '.') {
        size_t n = (size_t)(end - p);
        if (is_word(p, n, "nan"))
            v = NAN;
        else if (is_word(p, n, "inf") || is_word(p, n, "infinity"))
            v = INFINITY;
        else
            return false;
    } else if (!read_decimal(p, end, &d) || !decimal_value(&d, &v)) {
        return false;
    }
    *out = d.negative ? -v : v;
    return true;
}

bool am_parse_u64(struct am_str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]) || __builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v))
            return false;
    }
    if (v > max)
        return false;
    *out = v;
    return true;
}

bool am_parse_i64(struct am_str s, int64_t *out)
{
    bool minus = s.len && s.ptr[0] == '-';
    if (s.len && (minus || s.ptr[0] == '+')) {
        s.ptr++;
        s.len--;
    }
    uint64_t u;
    if (!am_parse_u64(s, (uint64_t)INT64_MAX + minus, &u))
        return false;
    *out = minus ? (int64_t)(0 - u) : (int64_t)u;
    return true;
}

bool am_parse_bytes(struct am_str s, uint64_t *out)
{
    size_t n = 0;
    while (n < s.len && is_digit(s.ptr[n]))
        n++;
    uint64_t v;
    if (!am_parse_u64((struct am_str){s.ptr, n}, UINT64_MAX, &v))
        return false;
    const char *unit = s.ptr + n;
    size_t left = s.len - n;
    int shift = 0;
    if (left) {
        static const char letters[] = {'k', 'm', 'g', 't'};
        const char *at = memchr(letters, unit[0] | 0x20, sizeof letters);
        if (at) {
            shift = 10 * (int)(at - letters + 1);
            unit++;
            left--;
        }
        if (left && !is_word(unit, left, "b") && !(at && is_word(unit, left, "ib")))
            return false;
    }
    if (v > UINT64_MAX >> shift)
        return false;
    *out = v << shift;
    return true;
}

/* ---- printing ---- */

/* floor(x / 2^n) of negatives too: an arithmetic shift, as on every compiler we build with */
static int floor_shift(int x, int n)
{
    return x >> n;
}
static int floor_log2_p10(int e)
{
    return floor_shift(e * 1741647, 19);
}

/* (g * cp) / 2^128 with a sticky lowest bit */
static uint64_t round_to_odd(struct u128 g, uint64_t cp)
{
    unsigned __int128 x = (unsigned __int128)g.lo * cp;
    unsigned __int128 y = (unsigned __int128)g.hi * cp + (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

struct shortest {
    uint64_t digits;
    int exponent; /* value = digits * 10^exponent */
};

/* The shortest decimal inside the rounding interval of c * 2^q; nearest to it when several are. */
static struct shortest schubfach(uint64_t c, int q, bool lower_is_closer)
{
    bool even = c % 2 == 0;
    uint64_t cbl = 4 * c - 2 + lower_is_closer, cb = 4 * c, cbr = 4 * c + 2;
    int k = floor_shift(q * 1262611 - (lower_is_closer ? 524031 : 0), 22);
    int h = q + floor_log2_p10(-k) + 1;
    struct u128 g = p10[-k - P10_MIN];
    uint64_t vbl = round_to_odd(g, cbl << h), vb = round_to_odd(g, cb << h),
             vbr = round_to_odd(g, cbr << h);
    uint64_t lower = vbl + !even, upper = vbr - !even;
    uint64_t s = vb / 4;
    if (s >= 10) {
        uint64_t sp = s / 10;
        bool up = lower <= 40 * sp, wp = 40 * sp + 40 <= upper;
        if (up != wp)
            return (struct shortest){sp + wp, k + 1};
    }
    bool u = lower <= 4 * s, w = 4 * s + 4 <= upper;
    if (u != w)
        return (struct shortest){s + w, k};
    uint64_t mid = 4 * s + 2;
    bool round_up = vb > mid || (vb == mid && (s & 1));
    return (struct shortest){s + round_up, k};
}

static size_t put_u64(char *out, uint64_t v)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    char tmp[20];
    size_t at = sizeof tmp;
    while (v >= 100) {
        at -= 2;
        memcpy(tmp + at, pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(tmp + at, pairs + 2 * v, 2);
    } else {
        tmp[--at] = (char)('0' + v);
    }
    memcpy(out, tmp + at, sizeof tmp - at);
    return sizeof tmp - at;
}

/* 0.00012, 12.5, 1.25e-7, 1.25e+16; the exponent's point is where a reader expects it. */
static size_t lay_out(char *out, struct shortest s)
{
    if (s.digits % 100000000 == 0) {
        s.digits /= 100000000;
        s.exponent += 8;
    }
    while (s.digits % 10 == 0) {
        s.digits /= 10;
        s.exponent++;
    }
    char digits[20];
    int n = (int)put_u64(digits, s.digits);
    int point = n + s.exponent; /* digits before the decimal point */
    char *p = out;
    if (point >= -4 && point <= 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', (size_t)-point);
        p += -point;
        memcpy(p, digits, (size_t)n);
        p += n;
    } else if (point > 0 && point <= 15) {
        int whole = n < point ? n : point;
        memcpy(p, digits, (size_t)whole);
        p += whole;
        memset(p, '0', (size_t)(point - whole));
        p += point - whole;
        if (n > point) {
            *p++ = '.';
            memcpy(p, digits + point, (size_t)(n - point));
            p += n - point;
        }
    } else {
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)(n - 1));
            p += n - 1;
        }
        *p++ = 'e';
        int e = point - 1;
        *p++ = e < 0 ? '-' : '+';
        p += put_u64(p, (uint64_t)(e < 0 ? -e : e));
    }
    *p = '\0';
    return (size_t)(p - out);
}

static size_t put_text(char *out, const char *text)
{
    size_t n = strlen(text);
    memcpy(out, text, n + 1);
    return n;
}

/* What float and double share: sign, special values, whole numbers. 0 = not printed yet. */
static size_t print_easy(double v, char *out)
{
    if (isnan(v))
        return put_text(out, "NaN");
    if (isinf(v))
        return put_text(out, v < 0 ? "-Infinity" : "Infinity");
    double a = fabs(v);
    if (a >= 1e15)
        return 0;
    uint64_t u = (uint64_t)a;
    if ((double)u != a)
        return 0;
    size_t n = 0;
    if (signbit(v))
        out[n++] = '-';
    n += put_u64(out + n, u);
    out[n] = '\0';
    return n;
}

size_t am_print_double(double v, char out[AM_DOUBLE_CHARS])
{
    size_t n = print_easy(v, out);
    if (n)
        return n;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t m = bits & (((uint64_t)1 << 52) - 1);
    int e = (int)(bits >> 52 & 0x7FF);
    pthread_once(&once, make_tables);
    struct shortest s = e ? schubfach(m | (uint64_t)1 << 52, e - 1075, m == 0 && e > 1)
                          : schubfach(m, -1074, false);
    if (bits >> 63)
        *out++ = '-';
    return (bits >> 63) + lay_out(out, s);
}

size_t am_print_float(float v, char out[AM_DOUBLE_CHARS])
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t m = bits & (((uint32_t)1 << 23) - 1);
    int e = (int)(bits >> 23 & 0xFF);
    size_t n = v < 16777216.0f && v > -16777216.0f ? print_easy((double)v, out) : 0;
    if (n == 0 && e == 0xFF)
        n = print_easy((double)v, out);
    if (n)
        return n;
    pthread_once(&once, make_tables);
    struct shortest s =
        e ? schubfach(m | (uint64_t)1 << 23, e - 150, m == 0 && e > 1) : schubfach(m, -149, false);
    if (bits >> 31)
        *out++ = '-';
    return (bits >> 31) + lay_out(out, s);
}
