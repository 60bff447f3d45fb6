/* Cleaning; see clean.h. */
#include "feature/clean.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/uversion.h>

#include "base/alloc.h"
#include "feature/chars.h"

/* ---- HTML ---- */

static const struct {
    const char *name;
    uint32_t c;
} references[] = {
    {"amp", '&'},      {"lt", '<'},       {"gt", '>'},       {"quot", '"'},     {"apos", '\''},
    {"nbsp", ' '},     {"copy", 0xA9},    {"reg", 0xAE},     {"pound", 0xA3},   {"euro", 0x20AC},
    {"cent", 0xA2},    {"yen", 0xA5},     {"sect", 0xA7},    {"deg", 0xB0},     {"middot", 0xB7},
    {"laquo", 0xAB},   {"raquo", 0xBB},   {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018},
    {"rsquo", 0x2019}, {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"bull", 0x2022},  {"hellip", 0x2026},
    {"trade", 0x2122}, {"auml", 0xE4},    {"ouml", 0xF6},    {"uuml", 0xFC},    {"Auml", 0xC4},
    {"Ouml", 0xD6},    {"Uuml", 0xDC},    {"szlig", 0xDF},   {"eacute", 0xE9},  {"egrave", 0xE8},
    {"agrave", 0xE0},  {"ccedil", 0xE7},  {"ntilde", 0xF1},  {"iexcl", 0xA1},   {"iquest", 0xBF},
    {"times", 0xD7},   {"divide", 0xF7},  {"shy", 0xAD},     {"ensp", ' '},     {"emsp", ' '},
};

static void put_char(struct am_buf *out, uint32_t c)
{
    char b[4];
    am_buf_add(out, b, am_char_put(c, b));
}

static unsigned digit_of(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                  : 99;
}

/* &#8364; &#x20AC; behind the #: bytes read, 0 = none */
static size_t number_reference(const char *p, const char *end, uint32_t *c)
{
    const char *from = p;
    const unsigned base = p < end && (*p == 'x' || *p == 'X') ? 16 : 10;
    unsigned n = 0;
    *c = 0;
    p += base == 16;
    for (; p < end && n < 8 && digit_of(*p) < base; p++, n++)
        *c = *c * base + digit_of(*p);
    if (n == 0 || *c == 0 || *c > 0x10FFFF || (*c >= 0xD800 && *c <= 0xDFFF))
        return 0;
    return (size_t)(p - from) + (p < end && *p == ';');
}

/* Behind the &: bytes read, 0 = none */
static size_t reference(const char *p, const char *end, uint32_t *c)
{
    if (p < end && *p == '#') {
        const size_t n = number_reference(p + 1, end, c);
        return n ? n + 1 : 0;
    }
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        const size_t n = strlen(references[i].name);
        if ((size_t)(end - p) > n && memcmp(p, references[i].name, n) == 0 && p[n] == ';') {
            *c = references[i].c;
            return n + 1;
        }
    }
    return 0;
}

static bool begins_with(const char *p, const char *end, const char *word)
{
    for (; *word; word++, p++)
        if (p == end || (*p | 0x20) != *word)
            return false;
    return true;
}

/* Behind <script: where </script begins, or the end. */
static const char *end_of_element(const char *p, const char *end, const char *name)
{
    for (; p < end; p++)
        if (*p == '<' && end - p > 2 && p[1] == '/' && begins_with(p + 2, end, name))
            return p;
    return end;
}

/* p is at '<'; NULL when it begins no tag. */
static const char *skip_tag(const char *p, const char *end)
{
    const char *q = p + 1;
    char quote = 0;
    if (q == end)
        return NULL;
    if (end - q >= 3 && memcmp(q, "!--", 3) == 0) {
        for (q += 3; q < end; q++)
            if (*q == '-' && end - q >= 3 && q[1] == '-' && q[2] == '>')
                return q + 3;
        return end;
    }
    const char first = (char)(*q | 0x20);
    if (!(first >= 'a' && first <= 'z') && *q != '/' && *q != '!' && *q != '?')
        return NULL;
    for (; q < end && (quote || *q != '>'); q++) {
        if (quote)
            quote = *q == quote ? 0 : quote;
        else if ((*q == '"' || *q == '\'') && q[-1] == '=')
            quote = *q;
    }
    if (q < end)
        q++;
    if (begins_with(p + 1, end, "script"))
        return end_of_element(q, end, "script");
    if (begins_with(p + 1, end, "style"))
        return end_of_element(q, end, "style");
    return q;
}

void am_clean_html(struct am_str text, struct am_buf *out)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end) {
        const char *from = p;
        while (p < end && *p != '<' && *p != '&')
            p++;
        am_buf_add(out, from, (size_t)(p - from));
        if (p == end)
            return;
        if (*p == '<') {
            const char *q = skip_tag(p, end);
            am_buf_char(out, q ? ' ' : '<');
            p = q ? q : p + 1;
        } else {
            uint32_t c;
            const size_t n = reference(p + 1, end, &c);
            if (n)
                put_char(out, c);
            else
                am_buf_char(out, '&');
            p += 1 + n;
        }
    }
}

/* ---- widths and case ---- */

/* U+FF61..U+FF9F */
static const uint16_t kana[] = {
    0x3002, 0x300C, 0x300D, 0x3001, 0x30FB, 0x30F2, 0x30A1, 0x30A3, 0x30A5, 0x30A7, 0x30A9,
    0x30E3, 0x30E5, 0x30E7, 0x30C3, 0x30FC, 0x30A2, 0x30A4, 0x30A6, 0x30A8, 0x30AA, 0x30AB,
    0x30AD, 0x30AF, 0x30B1, 0x30B3, 0x30B5, 0x30B7, 0x30B9, 0x30BB, 0x30BD, 0x30BF, 0x30C1,
    0x30C4, 0x30C6, 0x30C8, 0x30CA, 0x30CB, 0x30CC, 0x30CD, 0x30CE, 0x30CF, 0x30D2, 0x30D5,
    0x30D8, 0x30DB, 0x30DE, 0x30DF, 0x30E0, 0x30E1, 0x30E2, 0x30E4, 0x30E6, 0x30E8, 0x30E9,
    0x30EA, 0x30EB, 0x30EC, 0x30ED, 0x30EF, 0x30F3, 0x3099, 0x309A,
};

static uint32_t fold_width(uint32_t c)
{
    if (c == 0x3000)
        return ' ';
    if (c >= 0xFF01 && c <= 0xFF5E)
        return c - 0xFEE0;
    if (c >= 0xFF61 && c <= 0xFF9F)
        return kana[c - 0xFF61];
    return c;
}

static void map_chars(struct am_str text, uint32_t (*map)(uint32_t), struct am_buf *out)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end) {
        size_t n;
        const uint32_t c = am_char_next(p, end, &n), d = map(c);
        if (c == d)
            am_buf_add(out, p, n); /* bytes that are not UTF-8, too */
        else
            put_char(out, d);
        p += n;
    }
}

void am_clean_width(struct am_str text, struct am_buf *out)
{
    map_chars(text, fold_width, out);
}

void am_clean_lower(struct am_str text, struct am_buf *out)
{
    map_chars(text, am_char_lower, out);
}

/* ---- NFKC ---- */

#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x)

static struct {
    __typeof__(&unorm2_getNFKCInstance) instance;
    __typeof__(&unorm2_normalize) normalize;
    __typeof__(&u_strFromUTF8WithSub) from;
    __typeof__(&u_strToUTF8WithSub) to;
    const UNormalizer2 *nfkc;
} icu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void)
{
    UErrorCode e = U_ZERO_ERROR;
    void *lib = dlopen("libicuuc.so." U_ICU_VERSION_SHORT, RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return;
    const struct {
        const char *name;
        void *at;
    } wanted[] = {{NAME_OF(unorm2_getNFKCInstance), &icu.instance},
                  {NAME_OF(unorm2_normalize), &icu.normalize},
                  {NAME_OF(u_strFromUTF8WithSub), &icu.from},
                  {NAME_OF(u_strToUTF8WithSub), &icu.to}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = dlsym(lib, wanted[i].name);
        if (!found)
            return;
        *(void **)wanted[i].at = found;
    }
    icu.nfkc = icu.instance(&e);
}

enum am_rc am_clean_nfkc_open(struct am_err *err)
{
    (void)pthread_once(&once, look_up);
    if (icu.nfkc)
        return AM_OK;
    (void)am_fail(err, AM_EUNSUPPORTED, "ICU %s is not there, which makes the normal form NFKC",
                  U_ICU_VERSION_SHORT);
    am_hint(err, "Install the Debian package libicu%s, or use `fold: width`.", U_ICU_VERSION_SHORT);
    return AM_EUNSUPPORTED;
}

static bool is_ascii(struct am_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

enum am_rc am_clean_nfkc(struct am_str text, struct am_buf *out, struct am_err *err)
{
    const size_t n = text.len;
    UErrorCode e = U_ZERO_ERROR;
    int32_t n_wide = 0, n_normal = 0, n_bytes = 0;
    enum am_rc rc = AM_OK;
    if (is_ascii(text)) {
        am_buf_add(out, text.ptr, n);
        return AM_OK;
    }
    AM_TRY(am_clean_nfkc_open(err));
    if (n > (size_t)1 << 26) /* one character can become 18 */
        return am_fail(err, AM_ELIMIT, "a text of %zu bytes is too long for the normal form", n);
    UChar *wide = am_alloc_array(n + 1, sizeof *wide),
          *normal = am_alloc_array(18 * n + 1, sizeof *normal);
    char *bytes = am_alloc_array(18 * n + 1, 3);
    if (!wide || !normal || !bytes)
        AM_GO(rc, am_fail_nomem(err, 18 * n));
    (void)icu.from(wide, (int32_t)n + 1, &n_wide, text.ptr, (int32_t)n, 0xFFFD, NULL, &e);
    n_normal = icu.normalize(icu.nfkc, wide, n_wide, normal, (int32_t)(18 * n + 1), &e);
    (void)icu.to(bytes, (int32_t)(3 * (18 * n + 1)), &n_bytes, normal, n_normal, 0xFFFD, NULL, &e);
    if (U_FAILURE(e))
        AM_GO(rc, am_fail(err, AM_EINVAL, "ICU cannot normalise a text of %zu bytes", n));
    am_buf_add(out, bytes, (size_t)n_bytes);
out:
    am_free(wide);
    am_free(normal);
    am_free(bytes);
    return rc;
}

/* ---- rules ---- */

enum am_rc am_clean_rule(const struct am_regex *re, struct am_str replacement,
                         struct am_regex_scratch *s, struct am_str text, uint64_t *budget,
                         struct am_buf *out, struct am_err *err)
{
    size_t at = 0, begin, end;
    enum am_rc rc = AM_OK;
    while (at <= text.len && am_regex_find(re, s, text, at, budget, &begin, &end, &rc)) {
        am_buf_add(out, text.ptr + at, begin - at);
        am_buf_str(out, replacement);
        at = end;
        if (begin == end) { /* on by one character */
            size_t n = 1;
            if (at < text.len) {
                (void)am_char_next(text.ptr + at, text.ptr + text.len, &n);
                am_buf_add(out, text.ptr + at, n);
            }
            at += n;
        }
    }
    if (rc != AM_OK)
        return am_fail_nomem(err, 1);
    if (at < text.len)
        am_buf_add(out, text.ptr + at, text.len - at);
    return AM_OK;
}
