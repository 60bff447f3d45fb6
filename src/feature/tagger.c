/* Tagging; see tagger.h. */
#include "feature/tagger.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "feature/chars.h"

#define HEAD 32
#define TAG_BYTES 16
#define START 255

struct slot { /* of the table of features: hash 0 with end 0 = empty */
    uint32_t hash, begin, end;
};

struct am_tagger {
    struct am_str bytes; /* in the arena */
    size_t n_tags, n_entries, n_slots;
    const char (*names)[TAG_BYTES + 1];
    const struct slot *slots, *words; /* open addressing; of words begin is the tag */
    size_t n_word_slots;
    const uint8_t *tags;   /* [n_entries] */
    const int16_t *values; /* [n_entries] */
};

struct am_tagger_scratch {
    AM_VEC(struct am_tagger_word) words;
    int32_t scores[256];
};

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t mixed(uint32_t h)
{
    h ^= h >> 16;
    h *= 0x7FEB352Du;
    h ^= h >> 15;
    h *= 0x846CA68Bu;
    return h ^ h >> 16;
}

/* ---- loading ---- */

static size_t slots_for(size_t n)
{
    size_t k = 16;
    while (k < n * 2)
        k *= 2;
    return k;
}

static bool put(struct slot *slots, size_t n_slots, struct slot s)
{
    size_t at = mixed(s.hash) & (n_slots - 1);
    for (; slots[at].end; at = (at + 1) & (n_slots - 1))
        if (slots[at].hash == s.hash)
            return false;
    slots[at] = s;
    return true;
}

static const struct slot *find(const struct slot *slots, size_t n_slots, uint32_t hash)
{
    for (size_t at = mixed(hash) & (n_slots - 1); slots[at].end; at = (at + 1) & (n_slots - 1))
        if (slots[at].hash == hash)
            return &slots[at];
    return NULL;
}

static enum am_rc corrupt(struct am_err *err, const char *what)
{
    return am_fail(err, AM_ECORRUPT, "model of parts of speech: %s", am_tr(what));
}

static enum am_rc load_features(struct am_tagger *t, const unsigned char *p, size_t n,
                                struct am_arena *a, struct am_err *err)
{
    t->n_slots = slots_for(n);
    struct slot *slots = am_arena_array(a, t->n_slots, sizeof *slots);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++) {
        const uint32_t begin = u32_at(p + 8 * i + 4);
        const size_t end = i + 1 < n ? u32_at(p + 8 * i + 12) : t->n_entries;
        if (begin >= end || end > t->n_entries)
            return corrupt(err, "a feature without entries");
        if (!put(slots, t->n_slots, (struct slot){u32_at(p + 8 * i), begin, (uint32_t)end}))
            return corrupt(err, "a feature stands twice");
    }
    t->slots = slots;
    return AM_OK;
}

static enum am_rc load_entries(struct am_tagger *t, const unsigned char *p, struct am_arena *a,
                               struct am_err *err)
{
    uint8_t *tags = am_arena_array(a, t->n_entries + 1, sizeof *tags);
    int16_t *values = am_arena_array(a, t->n_entries + 1, sizeof *values);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < t->n_entries; i++, p += 4) {
        if (p[0] >= t->n_tags)
            return corrupt(err, "an entry names no tag");
        tags[i] = p[0];
        values[i] = (int16_t)(uint16_t)(p[2] | p[3] << 8);
    }
    t->tags = tags;
    t->values = values;
    return AM_OK;
}

static enum am_rc load_words(struct am_tagger *t, const unsigned char *p, size_t n,
                             struct am_arena *a, struct am_err *err)
{
    t->n_word_slots = slots_for(n);
    struct slot *slots = am_arena_array(a, t->n_word_slots, sizeof *slots);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++, p += 8) {
        const uint32_t tag = u32_at(p + 4);
        if (tag >= t->n_tags)
            return corrupt(err, "a word without a tag");
        (void)put(slots, t->n_word_slots, (struct slot){u32_at(p), tag, 1}); /* the first counts */
    }
    t->words = slots;
    return AM_OK;
}

enum am_rc am_tagger_load(struct am_str bytes, struct am_arena *a, const struct am_tagger **out,
                          struct am_err *err)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (bytes.len > AM_TAGGER_MAX_BYTES)
        return am_fail(err, AM_ELIMIT, "model of parts of speech: %zu bytes, at most %zu allowed",
                       bytes.len, AM_TAGGER_MAX_BYTES);
    if (bytes.len < HEAD || memcmp(p, "AMTAGGR1", 8) != 0)
        return corrupt(err, "no AMTAGGR1 at its beginning");
    const uint64_t n_tags = u32_at(p + 8), n_features = u32_at(p + 12), n_entries = u32_at(p + 16),
                   n_words = u32_at(p + 20);
    if (n_tags < 1 || n_tags > 254 ||
        HEAD + n_tags * TAG_BYTES + n_features * 8 + n_entries * 4 + n_words * 8 != bytes.len)
        return corrupt(err, "its counts do not fit its length");
    struct am_tagger *t = am_arena_zalloc(a, sizeof *t);
    char(*names)[TAG_BYTES + 1] = am_arena_array(a, n_tags, sizeof *names);
    AM_TRY(am_arena_check(a, err));
    t->bytes = am_arena_str(a, bytes);
    t->n_tags = n_tags;
    t->n_entries = n_entries;
    p += HEAD;
    for (size_t i = 0; i < n_tags; i++, p += TAG_BYTES) {
        memcpy(names[i], p, TAG_BYTES);
        names[i][TAG_BYTES] = 0;
        for (const char *c = names[i]; *c; c++)
            if (*c <= ' ' || *c > '~')
                return corrupt(err, "a tag's name");
        if (!names[i][0])
            return corrupt(err, "a tag's name");
    }
    t->names = names;
    AM_TRY(load_features(t, p, n_features, a, err));
    AM_TRY(load_entries(t, p + n_features * 8, a, err));
    AM_TRY(load_words(t, p + n_features * 8 + n_entries * 4, n_words, a, err));
    *out = t;
    return am_arena_check(a, err);
}

struct am_str am_tagger_bytes(const struct am_tagger *t)
{
    return t->bytes;
}
size_t am_tagger_n_tags(const struct am_tagger *t)
{
    return t->n_tags;
}
const char *am_tagger_tag_name(const struct am_tagger *t, size_t i)
{
    return t->names[i];
}

enum am_rc am_tagger_scratch_new(struct am_tagger_scratch **out, struct am_err *err)
{
    *out = am_calloc(1, sizeof **out);
    return *out ? AM_OK : am_fail_nomem(err, sizeof **out);
}

void am_tagger_scratch_free(struct am_tagger_scratch *s)
{
    if (!s)
        return;
    am_vec_clear(&s->words);
    am_free(s);
}

/* ---- tokens ---- */

static bool is_mark(uint32_t c)
{
    return !am_char_is_word(c) && c != '$' && c != '%' && c != '&' && c != '+' && c != '#';
}

bool am_tagger_token(struct am_str *rest, struct am_str *token)
{
    const char *p = rest->ptr, *end = p + rest->len, *q;
    size_t n;
    while (p < end && am_char_is_space(am_char_next(p, end, &n)))
        p += n;
    if (p == end)
        return false;
    uint32_t c = am_char_next(p, end, &n);
    q = p + n;
    if (!is_mark(c)) {
        const char *last = q; /* behind the last character that is no mark */
        while (q < end && !am_char_is_space(c = am_char_next(q, end, &n))) {
            q += n;
            if (!is_mark(c))
                last = q;
        }
        q = last;
    }
    *token = (struct am_str){p, (size_t)(q - p)};
    *rest = (struct am_str){q, (size_t)(end - q)};
    return true;
}

/* ---- features ---- */

static uint32_t hash_of(const char *p, size_t n, uint32_t salt)
{
    uint32_t h = 2166136261u ^ salt * 0x9E3779B1u;
    for (size_t i = 0; i < n; i++)
        /* cppcheck-suppress uninitvar ; callers filled the first n bytes */
        h = (h ^ (unsigned char)p[i]) * 16777619u;
    return mixed(h);
}

static uint32_t combined(uint32_t a, uint32_t b)
{
    return mixed(a * 0x9E3779B1u ^ (b + 0x7F4A7C15u));
}

uint32_t am_tagger_word_hash(struct am_str token)
{
    return hash_of(token.ptr, token.len, 99);
}

/* Which kinds of characters are in it: digit 1, capital 2, small letter 4, hyphen 8. */
static uint32_t kinds_of(const char *p, size_t n)
{
    uint32_t kinds = 0;
    for (size_t i = 0; i < n; i++)
        kinds |= p[i] >= '0' && p[i] <= '9'   ? 1u
                 : p[i] >= 'A' && p[i] <= 'Z' ? 2u
                 : p[i] >= 'a' && p[i] <= 'z' ? 4u
                 : p[i] == '-'                ? 8u
                                              : 0u;
    return kinds;
}

static uint32_t suffix(const char *p, size_t n, size_t k, uint32_t salt)
{
    return n > k ? hash_of(p + n - k, k, salt) : hash_of(p, n, salt);
}

void am_tagger_word(struct am_str token, bool first, struct am_tagger_word *out)
{
    char low[64];
    const size_t n = token.len < sizeof low ? token.len : sizeof low;
    const char *p = token.ptr + (token.len - n); /* of long words the end */
    const uint32_t kinds = kinds_of(p, n);
    const bool capital = token.len > 0 && token.ptr[0] >= 'A' && token.ptr[0] <= 'Z';
    const bool year = n == 4 && !(kinds & 8);
    for (size_t i = 0; i < n; i++)
        low[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] | 0x20) : p[i];
    out->shape = kinds | (uint32_t)capital << 4 | (uint32_t)(first && capital) << 5;
    out->word = hash_of(low, n, 1);
    if ((kinds & 7) == 1)
        out->word = hash_of(year ? "!year" : "!digits", year ? 5 : 7, 1);
    out->suffix1 = suffix(low, n, 1, 2);
    out->suffix2 = suffix(low, n, 2, 3);
    out->suffix3 = suffix(low, n, 3, 4);
    out->prefix = hash_of(low, n > 1 ? 1 : n, 5);
}

void am_tagger_features(const struct am_tagger_word *w, size_t n, size_t i, unsigned prev,
                        unsigned before, uint32_t out[AM_TAGGER_FEATURES])
{
    static const struct am_tagger_word nothing = {11, 12, 13, 14, 15, 64};
    const struct am_tagger_word *b2 = i >= 2 ? &w[i - 2] : &nothing,
                                *b1 = i >= 1 ? &w[i - 1] : &nothing, *k = &w[i],
                                *a1 = i + 1 < n ? &w[i + 1] : &nothing,
                                *a2 = i + 2 < n ? &w[i + 2] : &nothing;
    const uint32_t values[AM_TAGGER_FEATURES] = {0,
                                                 k->word,
                                                 k->suffix3,
                                                 k->suffix2,
                                                 combined(k->suffix1, k->prefix),
                                                 k->shape,
                                                 prev,
                                                 combined(prev, before),
                                                 combined(prev, k->word),
                                                 b1->word,
                                                 b1->suffix3,
                                                 b2->word,
                                                 a1->word,
                                                 a1->suffix3,
                                                 a2->word,
                                                 combined(k->suffix3, k->shape),
                                                 combined(k->word, a1->word),
                                                 combined(prev, a1->suffix3)};
    for (uint32_t f = 0; f < AM_TAGGER_FEATURES; f++)
        out[f] = combined(f + 1, values[f]);
}

/* ---- tagging ---- */

static unsigned best_tag(const struct am_tagger *t, struct am_tagger_scratch *s, size_t n, size_t i,
                         unsigned prev, unsigned before)
{
    uint32_t f[AM_TAGGER_FEATURES];
    unsigned best = 0;
    am_tagger_features(s->words.ptr, n, i, prev, before, f);
    memset(s->scores, 0, t->n_tags * sizeof *s->scores);
    for (size_t k = 0; k < AM_TAGGER_FEATURES; k++) {
        const struct slot *at = find(t->slots, t->n_slots, f[k]);
        for (uint32_t e = at ? at->begin : 0; at && e < at->end; e++)
            s->scores[t->tags[e]] += t->values[e];
    }
    for (unsigned k = 1; k < t->n_tags; k++)
        if (s->scores[k] > s->scores[best])
            best = k;
    return best;
}

static bool ends_sentence(struct am_str token)
{
    return token.len == 1 && (token.ptr[0] == '.' || token.ptr[0] == '!' || token.ptr[0] == '?');
}

enum am_rc am_tagger_tag(const struct am_tagger *t, struct am_tagger_scratch *s,
                         const struct am_str *tokens, size_t n, const char **tags,
                         struct am_err *err)
{
    for (size_t from = 0, to; from < n; from = to) {
        unsigned prev = START, before = START;
        for (to = from; to < n && (to == from || !ends_sentence(tokens[to - 1]));)
            to++;
        if (!am_vec_reserve(&s->words, to - from))
            return am_fail_nomem(err, (to - from) * sizeof *s->words.ptr);
        for (size_t i = from; i < to; i++)
            am_tagger_word(tokens[i], i == from, &s->words.ptr[i - from]);
        for (size_t i = from; i < to; i++) {
            const struct slot *known =
                find(t->words, t->n_word_slots, am_tagger_word_hash(tokens[i]));
            const unsigned tag =
                known ? known->begin : best_tag(t, s, to - from, i - from, prev, before);
            tags[i] = t->names[tag];
            before = prev;
            prev = tag;
        }
    }
    return AM_OK;
}
