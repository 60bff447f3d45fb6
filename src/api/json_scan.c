/* The scanner of json_scan.h. Numbers take Clinger's fast path (exact in double when the digits fit
 * in 53 bits and the power of ten is at most 22: Clinger, PLDI 1990), else base/num.h. */
#include "api/json_scan.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/num.h"

void am_js_init(struct am_js *js, char *text, size_t n, enum am_js_special special,
                struct am_err *err)
{
    *js = (struct am_js){.start = text, .p = text, .end = text + n, .err = err, .special = special};
}

bool am_js_bad(struct am_js *js, const char *what)
{
    if (js->failed == AM_OK) {
        js->failed = am_fail(js->err, AM_EINVAL, "invalid JSON at byte %zu: %s",
                             (size_t)(js->p - js->start), am_tr(what));
        am_hint(js->err, "Send one JSON document (RFC 8259) in UTF-8.");
    }
    return false;
}

bool am_js_fail(struct am_js *js, enum am_rc rc, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (js->failed != AM_OK)
        return false;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, am_tr(fmt), ap);
    va_end(ap);
    js->failed = am_fail(js->err, rc, "%s", text);
    return false;
}

static inline void skip_space(struct am_js *js)
{
    while (js->p < js->end && (*js->p == ' ' || *js->p == '\n' || *js->p == '\r' || *js->p == '\t'))
        js->p++;
}

enum am_js_kind am_js_peek(struct am_js *js)
{
    skip_space(js);
    if (js->p == js->end || js->failed != AM_OK)
        return AM_JS_END;
    switch (*js->p) {
    case '{':
        return AM_JS_OBJECT;
    case '[':
        return AM_JS_ARRAY;
    case '"':
        return AM_JS_STRING;
    case 't':
        return AM_JS_TRUE;
    case 'f':
        return AM_JS_FALSE;
    case 'n':
        return AM_JS_NULL;
    case 'N':
    case 'I':
        return js->special == AM_JS_SPECIAL ? AM_JS_NUMBER : AM_JS_END;
    default:
        return *js->p == '-' || (*js->p >= '0' && *js->p <= '9') ? AM_JS_NUMBER : AM_JS_END;
    }
}

bool am_js_enter(struct am_js *js, char open)
{
    skip_space(js);
    if (js->failed != AM_OK)
        return false;
    if (js->p == js->end || *js->p != open)
        return am_js_bad(js,
                         open == '{' ? "an object was expected" : AM_N("an array was expected"));
    if (++js->depth > AM_LIMIT_JSON_DEPTH)
        return am_js_bad(js, "nested too deep");
    js->p++;
    return true;
}

/* Handles the commas: true when a value follows. */
static inline bool next_in(struct am_js *js, bool *first, char close)
{
    if (js->failed != AM_OK)
        return false;
    skip_space(js);
    if (js->p == js->end)
        return am_js_bad(js, "the document ends too early");
    if (*js->p == close) {
        js->p++;
        js->depth--;
        return false;
    }
    if (!*first) {
        if (*js->p != ',')
            return am_js_bad(js, "a comma or the closing bracket was expected");
        js->p++;
        skip_space(js);
    }
    *first = false;
    return true;
}

bool am_js_member(struct am_js *js, bool *first, struct am_str *key)
{
    if (!next_in(js, first, '}') || !am_js_string(js, key))
        return false;
    skip_space(js);
    if (js->p == js->end || *js->p != ':')
        return am_js_bad(js, "a colon was expected");
    js->p++;
    return true;
}

bool am_js_member_is(struct am_js *js, bool *first, struct am_str key)
{
    char *p = js->p, *end = js->end;
    if (js->failed != AM_OK)
        return false;
    if (!*first) {
        if (p == end || *p != ',')
            return false;
        p++;
        if (p < end && *p == ' ')
            p++;
    }
    if ((size_t)(end - p) < key.len + 3 || *p != '"' || p[key.len + 1] != '"' ||
        p[key.len + 2] != ':' || memcmp(p + 1, key.ptr, key.len) != 0)
        return false;
    js->p = p + key.len + 3;
    *first = false;
    return true;
}

bool am_js_element(struct am_js *js, bool *first)
{
    if (!next_in(js, first, ']'))
        return false;
    if (js->p < js->end && *js->p == ']')
        return am_js_bad(js, "a value was expected");
    return true;
}

/* ---- strings ---- */

static bool hex4(const char *p, const char *end, unsigned *out)
{
    unsigned v = 0;
    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        unsigned d;
        if (c >= '0' && c <= '9')
            d = c - '0';
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            d = (unsigned)((c | 32) - 'a' + 10);
        else
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

static char *put_utf8(char *o, unsigned v)
{
    if (v < 0x80) {
        *o++ = (char)v;
    } else if (v < 0x800) {
        *o++ = (char)(0xC0 | v >> 6);
        *o++ = (char)(0x80 | (v & 63));
    } else if (v < 0x10000) {
        *o++ = (char)(0xE0 | v >> 12);
        *o++ = (char)(0x80 | (v >> 6 & 63));
        *o++ = (char)(0x80 | (v & 63));
    } else {
        *o++ = (char)(0xF0 | v >> 18);
        *o++ = (char)(0x80 | (v >> 12 & 63));
        *o++ = (char)(0x80 | (v >> 6 & 63));
        *o++ = (char)(0x80 | (v & 63));
    }
    return o;
}

/* js->p behind the backslash and 'u'; gives the code point of one escape or of a surrogate pair. */
static bool unicode_escape(struct am_js *js, unsigned *out)
{
    unsigned v = 0, low = 0;
    if (!hex4(js->p, js->end, &v))
        return am_js_bad(js, "\\u needs four hexadecimal digits");
    js->p += 4;
    if (v >= 0xDC00 && v <= 0xDFFF)
        return am_js_bad(js, "lone low surrogate");
    if (v >= 0xD800 && v <= 0xDBFF) {
        if (js->end - js->p < 6 || js->p[0] != '\\' || js->p[1] != 'u' ||
            !hex4(js->p + 2, js->end, &low) || low < 0xDC00 || low > 0xDFFF)
            return am_js_bad(js, "lone high surrogate");
        js->p += 6;
        v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
    }
    *out = v;
    return true;
}

/* js->p behind the backslash. *o may be NULL (check only). */
static bool one_escape(struct am_js *js, char **o)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    unsigned v = 0;
    if (js->p == js->end)
        return am_js_bad(js, "the document ends too early");
    char c = *js->p++;
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        if (*o)
            *(*o)++ = to[at - from];
        return true;
    }
    if (c != 'u')
        return js->p--, am_js_bad(js, "unknown escape");
    if (!unicode_escape(js, &v))
        return false;
    if (*o)
        *o = put_utf8(*o, v);
    return true;
}

/* The rest of a string; o = where to write the unescaped bytes (NULL: check only). Gives where the
 * writing ended. js->p ends behind the closing quote. */
static bool string_rest(struct am_js *js, char **o, bool *high)
{
    for (;;) {
        if (js->p == js->end)
            return am_js_bad(js, "a string does not end");
        unsigned char c = (unsigned char)*js->p;
        if (c == '"')
            break;
        if (c < 0x20)
            return am_js_bad(js, "control character in a string");
        js->p++;
        if (c == '\\') {
            if (!one_escape(js, o))
                return false;
        } else {
            *high |= c >= 0x80;
            if (*o)
                *(*o)++ = (char)c;
        }
    }
    js->p++;
    return true;
}

static bool read_string(struct am_js *js, size_t limit, struct am_str *out)
{
    bool high = false;
    skip_space(js);
    if (js->failed != AM_OK)
        return false;
    if (js->p == js->end || *js->p != '"')
        return am_js_bad(js, "a string was expected");
    char *begin = ++js->p;
    char *p = begin, *end = js->end;
    while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        high |= (unsigned char)*p >= 0x80, p++;
    js->p = p;
    char *o = p;
    if (!string_rest(js, &o, &high))
        return false;
    *out = (struct am_str){begin, (size_t)(o - begin)};
    if (out->len > limit)
        return am_js_fail(js, AM_ELIMIT, "a string of %zu bytes is over the limit", out->len);
    if (high && !am_utf8_valid(*out))
        return am_js_bad(js, "invalid UTF-8 in a string");
    return true;
}

bool am_js_string(struct am_js *js, struct am_str *out)
{
    return read_string(js, AM_LIMIT_JSON_STRING_BYTES, out);
}

bool am_js_file(struct am_js *js, struct am_str *out)
{
    return read_string(js, AM_LIMIT_HTTP_BODY_BYTES, out);
}

/* ---- numbers ---- */

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool digit(const char *p, const char *end)
{
    return p < end && (unsigned char)(*p - '0') <= 9;
}

/* "NaN", "Infinity", "-Infinity" */
static bool special_number(struct am_js *js, double *out)
{
    static const struct {
        const char *text;
        size_t n;
        double v;
    } words[] = {{"NaN", 3, __builtin_nan("")},
                 {"Infinity", 8, __builtin_inf()},
                 {"-Infinity", 9, -__builtin_inf()}};
    for (size_t i = 0; i < 3; i++)
        if ((size_t)(js->end - js->p) >= words[i].n &&
            memcmp(js->p, words[i].text, words[i].n) == 0) {
            js->p += words[i].n;
            *out = words[i].v;
            return true;
        }
    return am_js_bad(js, "a number was expected");
}

/* The exponent part at p, when there is one; NULL = malformed. */
static char *scan_exponent(char *p, const char *end, int *exponent)
{
    int x = 0, sign = 1;
    if (p == end || (*p | 32) != 'e')
        return p;
    p++;
    if (p < end && (*p == '-' || *p == '+'))
        sign = *p++ == '-' ? -1 : 1;
    if (!digit(p, end))
        return NULL;
    for (; digit(p, end); p++)
        if (x < 100000)
            x = x * 10 + (*p - '0');
    *exponent += sign * x;
    return p;
}

/* Digits into *m, as long as they fit; n = how many there were. */
static inline char *scan_digits(char *p, const char *end, uint64_t *m, int *n)
{
    uint64_t v = *m;
    char *begin = p;
    for (; digit(p, end); p++)
        v = v * 10 + (unsigned char)(*p - '0');
    *n += (int)(p - begin > 1000 ? 1000 : p - begin);
    *m = v;
    return p;
}

static bool slow_number(struct am_js *js, char *begin, char *p, double *out)
{
    struct am_str text = {begin, (size_t)(p - begin)};
    if (!am_parse_double(text, AM_NUM_FINITE, out))
        return am_js_fail(js, AM_EINVAL, "number %.*s at byte %zu is out of range",
                          (int)(text.len > 40 ? 40 : text.len), text.ptr,
                          (size_t)(begin - js->start));
    js->p = p;
    return true;
}

bool am_js_number(struct am_js *js, double *out)
{
    uint64_t m = 0;
    int n = 0, exponent = 0;
    skip_space(js);
    char *begin = js->p, *p = begin, *end = js->end;
    if (js->failed != AM_OK)
        return false;
    if (p < end && *p == '-')
        p++;
    if (!digit(p, end))
        return js->special == AM_JS_SPECIAL ? special_number(js, out)
                                            : am_js_bad(js, "a number was expected");
    if (*p == '0' && digit(p + 1, end))
        return am_js_bad(js, "a number must not start with 0");
    p = scan_digits(p, end, &m, &n);
    if (p < end && *p == '.') {
        char *fraction = ++p;
        p = scan_digits(p, end, &m, &n);
        if (p == fraction)
            return js->p = p, am_js_bad(js, "a digit was expected behind the point");
        exponent = (int)(fraction - p);
    }
    p = scan_exponent(p, end, &exponent);
    if (!p)
        return am_js_bad(js, "a number has a malformed exponent");
    if (n > 19 || m >= 1ull << 53 || exponent < -22 || exponent > 22)
        return slow_number(js, begin, p, out);
    double r = (double)m;
    r = exponent < 0 ? r / pow10_exact[-exponent] : r * pow10_exact[exponent];
    *out = *begin == '-' ? -r : r;
    js->p = p;
    return true;
}

static bool literal(struct am_js *js, const char *text, size_t n)
{
    if (js->failed != AM_OK)
        return false;
    if ((size_t)(js->end - js->p) < n || memcmp(js->p, text, n) != 0)
        return am_js_bad(js, "a value was expected");
    js->p += n;
    return true;
}

bool am_js_bool(struct am_js *js, bool *out)
{
    enum am_js_kind k = am_js_peek(js);
    *out = k == AM_JS_TRUE;
    if (k == AM_JS_TRUE)
        return literal(js, "true", 4);
    if (k == AM_JS_FALSE)
        return literal(js, "false", 5);
    return am_js_bad(js, "true or false was expected");
}

bool am_js_null(struct am_js *js)
{
    skip_space(js);
    return literal(js, "null", 4);
}

/* ---- skipping ---- */

static bool skip_string(struct am_js *js)
{
    char *none = NULL;
    bool high = false;
    skip_space(js);
    if (js->p == js->end || *js->p != '"')
        return am_js_bad(js, "a string was expected");
    char *begin = ++js->p;
    if (!string_rest(js, &none, &high))
        return false;
    if (high && !am_utf8_valid((struct am_str){begin, (size_t)(js->p - 1 - begin)}))
        return am_js_bad(js, "invalid UTF-8 in a string");
    return true;
}

static bool skip_scalar(struct am_js *js)
{
    double v;
    switch (am_js_peek(js)) {
    case AM_JS_STRING:
        return skip_string(js);
    case AM_JS_NUMBER:
        return am_js_number(js, &v);
    case AM_JS_TRUE:
        return literal(js, "true", 4);
    case AM_JS_FALSE:
        return literal(js, "false", 5);
    case AM_JS_NULL:
        return literal(js, "null", 4);
    default:
        return am_js_bad(js, "a value was expected");
    }
}

/* Behind a key of an object at this level: the colon. */
static bool skip_key(struct am_js *js)
{
    if (!skip_string(js))
        return false;
    skip_space(js);
    if (js->p == js->end || *js->p != ':')
        return am_js_bad(js, "a colon was expected");
    js->p++;
    return true;
}

bool am_js_skip(struct am_js *js)
{
    uint64_t objects[(AM_LIMIT_JSON_DEPTH + 64) / 64] = {0}; /* bit: is this level an object? */
    unsigned base = js->depth;
    bool first = true;
    for (;;) {
        enum am_js_kind k = am_js_peek(js);
        if (k == AM_JS_OBJECT || k == AM_JS_ARRAY) {
            if (!am_js_enter(js, k == AM_JS_OBJECT ? '{' : '['))
                return false;
            uint64_t bit = 1ull << (js->depth & 63);
            if (k == AM_JS_OBJECT)
                objects[js->depth / 64] |= bit;
            else
                objects[js->depth / 64] &= ~bit;
            first = true;
        } else if (!skip_scalar(js)) {
            return false;
        } else {
            first = false;
        }
        /* close what ends here; stop in front of the next value */
        for (;;) {
            if (js->depth == base)
                return true;
            bool object = objects[js->depth / 64] >> (js->depth & 63) & 1;
            bool more = next_in(js, &first, object ? '}' : ']');
            if (js->failed != AM_OK)
                return false;
            if (!more) {
                first = false;
                continue;
            }
            if (object && !skip_key(js))
                return false;
            if (!object && js->p < js->end && *js->p == ']')
                return am_js_bad(js, "a value was expected");
            break;
        }
    }
}

bool am_js_finish(struct am_js *js)
{
    skip_space(js);
    if (js->failed != AM_OK)
        return false;
    if (js->p != js->end)
        return am_js_bad(js, "bytes behind the document");
    return true;
}
