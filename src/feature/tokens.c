/* Cutting a text into characters or words, and into ids. Tables of code points are of this file;
 * what they leave out counts as a letter. Any thread, no allocation. */
#include "feature/tokens.h"

#include "feature/chars.h"
#include "feature/segment.h"

#define REPLACEMENT UINT32_C(0xFFFD)

enum class { LETTER, DIGIT, JOINER, MARK, SINGLE, SPACE, SKIP };

/* Ascending; what lies between is LETTER. JOINER is the underscore and its kin. */
static const struct range {
    uint32_t first, last;
    enum class class;
} ranges[] = {
    {0x00, 0x20, SPACE},        {0x21, 0x2F, SINGLE},       {0x30, 0x39, DIGIT},
    {0x3A, 0x40, SINGLE},       {0x5B, 0x5E, SINGLE},       {0x5F, 0x5F, JOINER},
    {0x60, 0x60, SINGLE},       {0x7B, 0x7E, SINGLE},       {0x7F, 0xA0, SPACE},
    {0xA1, 0xA9, SINGLE},       {0xAB, 0xAC, SINGLE},       {0xAD, 0xAD, SKIP},
    {0xAE, 0xB4, SINGLE},       {0xB6, 0xB9, SINGLE},       {0xBB, 0xBF, SINGLE},
    {0xD7, 0xD7, SINGLE},       {0xF7, 0xF7, SINGLE},       {0x300, 0x36F, MARK},
    {0x37E, 0x37E, SINGLE},     {0x387, 0x387, SINGLE},     {0x483, 0x489, MARK},
    {0x55A, 0x55F, SINGLE},     {0x589, 0x58A, SINGLE},     {0x591, 0x5BD, MARK},
    {0x5BE, 0x5BE, SINGLE},     {0x5BF, 0x5BF, MARK},       {0x5F3, 0x5F4, SINGLE},
    {0x609, 0x60D, SINGLE},     {0x610, 0x61A, MARK},       {0x61B, 0x61F, SINGLE},
    {0x64B, 0x65F, MARK},       {0x660, 0x669, DIGIT},      {0x66A, 0x66D, SINGLE},
    {0x6D4, 0x6D4, SINGLE},     {0x6F0, 0x6F9, DIGIT},      {0x964, 0x965, SINGLE},
    {0x966, 0x96F, DIGIT},      {0xE3F, 0xE3F, SINGLE},     {0x1680, 0x1680, SPACE},
    {0x1AB0, 0x1AFF, MARK},     {0x1DC0, 0x1DFF, MARK},     {0x2000, 0x200A, SPACE},
    {0x200B, 0x200B, SPACE},    {0x200C, 0x200D, MARK},     {0x200E, 0x200F, SKIP},
    {0x2010, 0x2027, SINGLE},   {0x2028, 0x2029, SPACE},    {0x202A, 0x202E, SKIP},
    {0x202F, 0x202F, SPACE},    {0x2030, 0x203E, SINGLE},   {0x203F, 0x2040, JOINER},
    {0x2041, 0x205E, SINGLE},   {0x205F, 0x205F, SPACE},    {0x2060, 0x206F, SKIP},
    {0x207A, 0x207E, SINGLE},   {0x208A, 0x208E, SINGLE},   {0x20A0, 0x20CF, SINGLE},
    {0x20D0, 0x20FF, MARK},     {0x2190, 0x2BFF, SINGLE},   {0x2E00, 0x2FFF, SINGLE},
    {0x3000, 0x3000, SPACE},    {0x3001, 0x303F, SINGLE},   {0x3040, 0x312F, SINGLE},
    {0x3190, 0xA4CF, SINGLE},   {0xF900, 0xFAFF, SINGLE},   {0xFD3E, 0xFD3F, SINGLE},
    {0xFE00, 0xFE0F, MARK},     {0xFE10, 0xFE1F, SINGLE},   {0xFE20, 0xFE2F, MARK},
    {0xFE30, 0xFE6F, SINGLE},   {0xFEFF, 0xFEFF, SKIP},     {0xFF00, 0xFF0F, SINGLE},
    {0xFF10, 0xFF19, DIGIT},    {0xFF1A, 0xFF20, SINGLE},   {0xFF3B, 0xFF40, SINGLE},
    {0xFF5B, 0xFF9F, SINGLE},   {0xFFE0, 0xFFEE, SINGLE},   {0xFFF0, 0xFFFF, SINGLE},
    {0x1F000, 0x1FAFF, SINGLE}, {0x20000, 0x3FFFF, SINGLE}, {0xE0000, 0xE007F, SKIP},
    {0xE0100, 0xE01EF, MARK},
};

static enum class class_of(uint32_t c) {
    size_t lo = 0, hi = sizeof ranges / sizeof ranges[0]; while (lo < hi){
        size_t mid = lo + (hi - lo) / 2; if (ranges[mid].last < c) lo = mid + 1; else hi = mid;}
return lo < sizeof ranges / sizeof ranges[0] && ranges[lo].first <= c ? ranges[lo].class : LETTER;
}

/* ---- lower case ---- */

/* In [first, last]: the capitals are at first, first + step, ...; small = capital + shift. */
static const struct fold {
    uint32_t first, last, step;
    int32_t shift;
} folds[] = {
    {'A', 'Z', 1, 32},       {0xC0, 0xD6, 1, 32},   {0xD8, 0xDE, 1, 32},    {0x100, 0x12E, 2, 1},
    {0x132, 0x136, 2, 1},    {0x139, 0x147, 2, 1},  {0x14A, 0x176, 2, 1},   {0x178, 0x178, 1, -121},
    {0x179, 0x17D, 2, 1},    {0x386, 0x386, 1, 38}, {0x388, 0x38A, 1, 37},  {0x38C, 0x38C, 1, 64},
    {0x38E, 0x38F, 1, 63},   {0x391, 0x3A1, 1, 32}, {0x3A3, 0x3AB, 1, 32},  {0x400, 0x40F, 1, 80},
    {0x410, 0x42F, 1, 32},   {0x460, 0x480, 2, 1},  {0x48A, 0x4BE, 2, 1},   {0x4C0, 0x4C0, 1, 15},
    {0x4C1, 0x4CD, 2, 1},    {0x4D0, 0x52E, 2, 1},  {0x1E00, 0x1E94, 2, 1}, {0x1EA0, 0x1EFE, 2, 1},
    {0xFF21, 0xFF3A, 1, 32},
};

static uint32_t to_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    for (size_t i = 0; i < sizeof folds / sizeof folds[0]; i++) {
        const struct fold *f = &folds[i];
        if (c >= f->first && c <= f->last)
            return (c - f->first) % f->step == 0 ? (uint32_t)((int32_t)c + f->shift) : c;
    }
    return c == 0x130 ? 'i' : c;
}

/* ---- code points ---- */

/* The character at p < end; *bytes of it. */
static uint32_t decode(const char *p, const char *end, size_t *bytes)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t n = am_utf8_char(p, (size_t)(end - p));
    *bytes = n ? n : 1;
    switch (n) {
    case 1:
        return u[0];
    case 2:
        return (uint32_t)(u[0] & 0x1F) << 6 | (u[1] & 0x3Fu);
    case 3:
        return (uint32_t)(u[0] & 0x0F) << 12 | (uint32_t)(u[1] & 0x3F) << 6 | (u[2] & 0x3Fu);
    case 4:
        return (uint32_t)(u[0] & 0x07) << 18 | (uint32_t)(u[1] & 0x3F) << 12 |
               (uint32_t)(u[2] & 0x3F) << 6 | (u[3] & 0x3Fu);
    default:
        return REPLACEMENT;
    }
}

uint32_t am_char_next(const char *p, const char *end, size_t *bytes)
{
    return decode(p, end, bytes);
}

size_t am_char_put(uint32_t c, char b[4])
{
    size_t n;
    if (c < 0x80) {
        b[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (char)(0xC0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (char)(0xE0 | c >> 12);
        n = 3;
    } else {
        b[0] = (char)(0xF0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        b[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3F));
    return n;
}

uint32_t am_char_lower(uint32_t c)
{
    return to_lower(c);
}

/* Of what stands alone in texts: superscripts and fractions, kana, ideographs. */
static const struct {
    uint32_t first, last;
} lone_letters[] = {
    {0xB2, 0xB3},     {0xB9, 0xB9},     {0xBC, 0xBE},       {0x3005, 0x3007}, {0x3041, 0x309A},
    {0x309D, 0x309F}, {0x30A1, 0x30FA}, {0x30FC, 0x312F},   {0x3400, 0x4DBF}, {0x4E00, 0xA4CF},
    {0xF900, 0xFAFF}, {0xFF66, 0xFF9F}, {0x20000, 0x3FFFF},
};

bool am_char_is_word(uint32_t c)
{
    const enum class k = class_of(c);
    if (k == LETTER || k == DIGIT || k == JOINER)
        return c != REPLACEMENT;
    for (size_t i = 0; k == SINGLE && i < sizeof lone_letters / sizeof lone_letters[0]; i++)
        if (c >= lone_letters[i].first && c <= lone_letters[i].last)
            return true;
    return false;
}

bool am_char_is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F) ||
           (c >= 0x80 && class_of(c) == SPACE && c != 0x200B && (c >= 0xA0 || c == 0x85));
}

bool am_char_is_digit(uint32_t c)
{
    return class_of(c) == DIGIT;
}

static void append(struct am_token_scan *s, uint32_t c)
{
    if (s->lower)
        c = to_lower(c);
    char b[4];
    const size_t n = am_char_put(c, b);
    s->full = s->full || s->n + n > sizeof s->token;
    if (s->full)
        return;
    memcpy(s->token + s->n, b, n);
    s->n += n;
}

/* ---- scanning ---- */

bool am_token_scan_init(struct am_token_scan *s, struct am_str text, enum am_token_unit unit,
                        bool lower)
{
    s->text = s->p = text.ptr;
    s->end = text.ptr ? text.ptr + text.len : NULL;
    s->unit = unit;
    s->lower = lower;
    s->started = false;
    s->full = false;
    s->n = 0;
    return unit != AM_TOKEN_SEGMENTS || !text.ptr || am_segments_start(text);
}

static bool next_char(struct am_token_scan *s)
{
    bool space = false;
    while (s->p < s->end) {
        size_t bytes;
        uint32_t c = decode(s->p, s->end, &bytes);
        enum class k = class_of(c);
        if (k != SPACE && k != SKIP) {
            if (space && s->started) {
                append(s, ' ');
            } else {
                append(s, c);
                s->p += bytes;
            }
            return true;
        }
        space = space || k == SPACE;
        s->p += bytes;
    }
    return false;
}

static bool joins_letters(uint32_t c)
{
    return c == '\'' || c == '.' || c == 0xB7 || c == 0x2018 || c == 0x2019;
}

static bool joins_digits(uint32_t c)
{
    return c == '.' || c == ',' || c == ';' || c == '\'';
}

/* Does the word go on over the mark c at s->p, whose character takes `bytes`? last: LETTER or
 * DIGIT. */
static bool goes_on(const struct am_token_scan *s, uint32_t c, size_t bytes, enum class last)
{
    size_t n;
    if (!(last == LETTER && joins_letters(c)) && !(last == DIGIT && joins_digits(c)))
        return false;
    if (s->p + bytes >= s->end)
        return false;
    return class_of(decode(s->p + bytes, s->end, &n)) == last;
}

static void finish_word(struct am_token_scan *s, enum class last)
{
    while (s->p < s->end) {
        size_t bytes;
        uint32_t c = decode(s->p, s->end, &bytes);
        enum class k = class_of(c);
        if (k == LETTER || k == DIGIT || k == JOINER)
            last = k;
        else if (k != MARK && k != SKIP && !goes_on(s, c, bytes, last))
            return;
        if (k != SKIP)
            append(s, c);
        s->p += bytes;
    }
}

static bool next_word(struct am_token_scan *s)
{
    while (s->p < s->end) {
        size_t bytes;
        uint32_t c = decode(s->p, s->end, &bytes);
        enum class k = class_of(c);
        s->p += bytes;
        if (k == SPACE || k == SKIP || k == MARK)
            continue;
        append(s, c);
        if (k != SINGLE)
            finish_word(s, k);
        return true;
    }
    return false;
}

/* Segments of nothing but space and marks are no tokens. */
static bool next_segment(struct am_token_scan *s)
{
    while (s->p < s->end) {
        const size_t at = am_segments_next();
        const char *to = at == 0 ? s->end : s->text + at;
        bool seen = false;
        s->n = 0;
        s->full = false;
        while (s->p < to) {
            size_t bytes;
            const uint32_t c = decode(s->p, s->end, &bytes);
            const enum class k = class_of(c);
            if (k != SPACE && k != SKIP)
                append(s, c);
            seen = seen || (k != SPACE && k != SKIP && k != MARK);
            s->p += bytes;
        }
        if (seen)
            return true;
    }
    return false;
}

bool am_token_next(struct am_token_scan *s)
{
    s->n = 0;
    s->full = false;
    bool found = s->unit == AM_TOKEN_CHARS   ? next_char(s)
                 : s->unit == AM_TOKEN_WORDS ? next_word(s)
                                             : next_segment(s);
    s->started = true;
    return found;
}

bool am_tokens_apply(const struct am_map *vocabulary, struct am_str text, enum am_token_unit unit,
                     bool lower, size_t length, float *out)
{
    struct am_token_scan s;
    size_t n = 0;
    if (!am_token_scan_init(&s, text, unit, lower))
        return false;
    while (n < length && am_token_next(&s)) {
        const uint64_t *at = am_map_get(vocabulary, (struct am_str){s.token, s.n});
        out[n++] = at ? (float)(*at + AM_TOKEN_FIRST) : (float)AM_TOKEN_UNKNOWN;
    }
    for (; n < length; n++)
        out[n] = 0;
    return true;
}
