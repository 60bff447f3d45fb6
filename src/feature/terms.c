/* From texts to terms; see terms.h.
 *
 * Words of a text are put into one buffer with a space between them, so that an n-gram is a slice
 * of it. ASCII goes by a table of 256 bytes, everything else by code points. */
#include "feature/terms.h"

#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/vec.h"
#include "feature/chars.h"
#include "feature/clean.h"
#include "feature/segment.h"
#include "feature/tagger.h"
#include "feature/tokens.h"

#define TEXT_BYTES ((size_t)1 << 28) /* of one text while it is worked on */
#define NGRAMS_MAX 20
#define LENGTH_MAX 64
#define RULE_WORK 4000 /* of a rule for each byte of text, and a thousand bytes more */

static const char *const folds[AM_TEXT_N_FOLDS] = {"none", "width", "nfkc"};
static const char *const splits[AM_TEXT_N_SPLITS] = {"words", "tokens", "segments", "chars",
                                                     "char_wb"};
static const char *const tags[AM_TEXT_N_TAGS] = {"none", "append", "keep", "counts"};

static bool parse(struct am_str s, const char *const *names, unsigned n, unsigned *out)
{
    for (unsigned i = 0; i < n; i++)
        if (am_str_is(s, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

const char *am_text_fold_name(enum am_text_fold f)
{
    return folds[f];
}
const char *am_text_split_name(enum am_text_split s)
{
    return splits[s];
}
const char *am_text_tags_name(enum am_text_tags t)
{
    return tags[t];
}
bool am_text_fold_parse(struct am_str s, enum am_text_fold *out)
{
    unsigned i;
    bool found = parse(s, folds, AM_TEXT_N_FOLDS, &i);
    if (found)
        *out = (enum am_text_fold)i;
    return found;
}
bool am_text_split_parse(struct am_str s, enum am_text_split *out)
{
    unsigned i;
    bool found = parse(s, splits, AM_TEXT_N_SPLITS, &i);
    if (found)
        *out = (enum am_text_split)i;
    return found;
}
bool am_text_tags_parse(struct am_str s, enum am_text_tags *out)
{
    unsigned i;
    bool found = parse(s, tags, AM_TEXT_N_TAGS, &i);
    if (found)
        *out = (enum am_text_tags)i;
    return found;
}

/* ---- the config ---- */

/* "PATTERN => REPLACEMENT"; without an arrow the match is taken out. */
static void part_rule(struct am_str rule, struct am_str *pattern, struct am_str *replacement)
{
    *pattern = rule;
    *replacement = (struct am_str){"", 0};
    for (size_t i = 0; i + 3 <= rule.len; i++)
        if (memcmp(rule.ptr + i, " =>", 3) == 0 && (i + 3 == rule.len || rule.ptr[i + 3] == ' ')) {
            pattern->len = i;
            if (i + 4 <= rule.len)
                *replacement = (struct am_str){rule.ptr + i + 4, rule.len - i - 4};
            return;
        }
}

static enum am_rc compile_rules(struct am_text_config *c, struct am_arena *a, struct am_err *err)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    const struct am_regex **compiled = am_arena_array(a, c->n_rules + 1, sizeof *compiled);
    struct am_str *replacements = am_arena_array(a, c->n_rules + 1, sizeof *replacements);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < c->n_rules; i++) {
        struct am_str pattern;
        if (c->rules[i].len > AM_LIMIT_TEXT_RULE_BYTES)
            return am_fail(err, AM_ELIMIT, "rule %zu has %zu bytes, at most %d allowed", i + 1,
                           c->rules[i].len, AM_LIMIT_TEXT_RULE_BYTES);
        part_rule(c->rules[i], &pattern, &replacements[i]);
        const enum am_rc rc = am_regex_new(pattern, a, &compiled[i], err);
        if (rc != AM_OK) {
            am_context(err, "rule \"%.*s\"", AM_FMT(c->rules[i]));
            return rc;
        }
    }
    c->compiled = compiled;
    c->replacements = replacements;
    return AM_OK;
}

static enum am_rc check_stem(struct am_text_config *c, struct am_err *err)
{
    uint64_t print;
    if (!c->stem.ptr)
        return AM_OK;
    AM_TRY(am_stemmer_print(c->stem, &print, err));
    if (c->stem_print == 0)
        c->stem_print = print;
    if (c->stem_print == print)
        return AM_OK;
    (void)am_fail(err, AM_EUNSUPPORTED,
                  "libstemmer here gives other stems than the one that the model was trained with");
    am_hint(err, "Train the model again on this machine, or install the same libstemmer.");
    return AM_EUNSUPPORTED;
}

enum am_rc am_text_config_build(struct am_text_config *c, struct am_arena *a, struct am_err *err)
{
    const bool chars = c->split == AM_TEXT_CHARS || c->split == AM_TEXT_CHAR_WB;
    if (c->n_rules > AM_LIMIT_TEXT_RULES)
        return am_fail(err, AM_ELIMIT, "%zu cleaning rules, at most %d allowed", c->n_rules,
                       AM_LIMIT_TEXT_RULES);
    if (c->ngrams[0] < 1 || c->ngrams[1] < c->ngrams[0] || c->ngrams[1] > NGRAMS_MAX)
        return am_fail(err, AM_EUSAGE, "n-grams from %u to %u: from 1 to %d, in order",
                       c->ngrams[0], c->ngrams[1], NGRAMS_MAX);
    if (c->min_length < 1 || c->min_length > LENGTH_MAX)
        return am_fail(err, AM_EUSAGE, "words of at least %u characters: 1 to %d allowed",
                       c->min_length, LENGTH_MAX);
    if (chars && (c->stem.ptr || c->n_stops || c->tags != AM_TEXT_TAGS_NONE))
        return am_fail(err, AM_EUSAGE, "characters have no stems, stop words or parts of speech");
    if (c->tags != AM_TEXT_TAGS_NONE && !c->tagger)
        return am_fail(err, AM_EUSAGE, "parts of speech need a tagger");
    if (c->split == AM_TEXT_SEGMENTS)
        AM_TRY(am_segments_open(err));
    if (c->fold == AM_TEXT_FOLD_NFKC)
        AM_TRY(am_clean_nfkc_open(err));
    AM_TRY(check_stem(c, err));
    am_map_init(&c->stop_map);
    for (size_t i = 0; i < c->n_stops; i++)
        AM_TRY(am_map_put(&c->stop_map, c->stops[i], i, err));
    return compile_rules(c, a, err);
}

void am_text_config_clear(struct am_text_config *c)
{
    am_map_clear(&c->stop_map);
}

/* ---- the memory of a thread ---- */

struct span {
    uint32_t begin, end; /* of `words` */
};

struct am_terms {
    struct am_buf clean[2]; /* a text before and after a step */
    struct am_buf words;    /* with a space between them */
    AM_VEC(struct span) spans;
    AM_VEC(struct am_str) tokens; /* for the tagger: as they stand in the text */
    AM_VEC(const char *) tags;
    struct am_regex_scratch regex;
    struct am_stemmer *stemmer; /* of stem_of */
    char stem_of[32];
    struct am_tagger_scratch *tagging;
};

enum am_rc am_terms_new(struct am_terms **out, struct am_err *err)
{
    struct am_terms *t = am_calloc(1, sizeof *t);
    if (!t)
        return am_fail_nomem(err, sizeof *t);
    am_buf_init(&t->clean[0], TEXT_BYTES);
    am_buf_init(&t->clean[1], TEXT_BYTES);
    am_buf_init(&t->words, TEXT_BYTES);
    *out = t;
    return AM_OK;
}

void am_terms_free(struct am_terms *t)
{
    if (!t)
        return;
    am_buf_clear(&t->clean[0]);
    am_buf_clear(&t->clean[1]);
    am_buf_clear(&t->words);
    am_vec_clear(&t->spans);
    am_vec_clear(&t->tokens);
    am_vec_clear(&t->tags);
    am_regex_scratch_clear(&t->regex);
    am_stemmer_free(t->stemmer);
    am_tagger_scratch_free(t->tagging);
    am_free(t);
}

/* ---- cleaning ---- */

struct cleaning {
    struct am_terms *t;
    struct am_str text;
    unsigned at; /* the buffer that comes next */
};

static struct am_buf *next_buffer(struct cleaning *c)
{
    struct am_buf *b = &c->t->clean[c->at];
    am_buf_reset(b);
    return b;
}

static enum am_rc stepped(struct cleaning *c, struct am_err *err)
{
    struct am_buf *b = &c->t->clean[c->at];
    AM_TRY(am_buf_check(b, err));
    c->text = am_buf_view(b);
    c->at ^= 1;
    return AM_OK;
}

/* All steps but lower case. */
static enum am_rc clean(struct cleaning *c, const struct am_text_config *k, struct am_err *err)
{
    if (k->html) {
        am_clean_html(c->text, next_buffer(c));
        AM_TRY(stepped(c, err));
    }
    if (k->fold == AM_TEXT_FOLD_WIDTH) {
        am_clean_width(c->text, next_buffer(c));
        AM_TRY(stepped(c, err));
    } else if (k->fold == AM_TEXT_FOLD_NFKC) {
        AM_TRY(am_clean_nfkc(c->text, next_buffer(c), err));
        AM_TRY(stepped(c, err));
    }
    for (size_t i = 0; i < k->n_rules; i++) {
        uint64_t budget = RULE_WORK * ((uint64_t)c->text.len + 1000);
        AM_TRY(am_clean_rule(k->compiled[i], k->replacements[i], &c->t->regex, c->text, &budget,
                             next_buffer(c), err));
        AM_TRY(stepped(c, err));
    }
    return AM_OK;
}

enum am_rc am_terms_clean(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                          struct am_str *out, struct am_err *err)
{
    struct cleaning k = {t, text, 0};
    AM_TRY(clean(&k, c, err));
    if (c->lower) {
        am_clean_lower(k.text, next_buffer(&k));
        AM_TRY(stepped(&k, err));
    }
    *out = k.text;
    return AM_OK;
}

/* ---- words ---- */

/* 0 = no part of a word, 0x80 = not ASCII; else the byte in lower case */
static const unsigned char ascii[256] = {
#define D(c) [c] = (c)
    D('0'),   D('1'),   D('2'),   D('3'),   D('4'),   D('5'),   D('6'),   D('7'),   D('8'),
    D('9'),   D('_'),
#undef D
#define L(c) [c] = (c), [(c)-32] = (c)
    L('a'),   L('b'),   L('c'),   L('d'),   L('e'),   L('f'),   L('g'),   L('h'),   L('i'),
    L('j'),   L('k'),   L('l'),   L('m'),   L('n'),   L('o'),   L('p'),   L('q'),   L('r'),
    L('s'),   L('t'),   L('u'),   L('v'),   L('w'),   L('x'),   L('y'),   L('z'),
#undef L
#define H(c) [c] = 0x80
#define H8(c) H(c), H(c + 1), H(c + 2), H(c + 3), H(c + 4), H(c + 5), H(c + 6), H(c + 7)
    H8(0x80), H8(0x88), H8(0x90), H8(0x98), H8(0xA0), H8(0xA8), H8(0xB0), H8(0xB8), H8(0xC0),
    H8(0xC8), H8(0xD0), H8(0xD8), H8(0xE0), H8(0xE8), H8(0xF0), H8(0xF8),
#undef H8
#undef H
};

static bool is_stop(const struct am_text_config *c, struct am_str word)
{
    return c->n_stops > 0 && am_map_get(&c->stop_map, word) != NULL;
}

static enum am_rc own_stemmer(struct am_terms *t, const struct am_text_config *c,
                              struct am_err *err)
{
    if (!c->stem.ptr || (t->stemmer && am_str_is(c->stem, t->stem_of)))
        return AM_OK;
    am_stemmer_free(t->stemmer);
    t->stemmer = NULL;
    AM_TRY(am_stemmer_new(c->stem, &t->stemmer, err));
    memcpy(t->stem_of, c->stem.ptr, c->stem.len);
    t->stem_of[c->stem.len] = 0;
    return AM_OK;
}

/* A word that begins at t->words.len - n becomes the next one, or is dropped. */
static enum am_rc keep_word(struct am_terms *t, const struct am_text_config *c, size_t begin,
                            const char *tag, struct am_err *err)
{
    struct am_str word = {t->words.ptr + begin, t->words.len - begin};
    struct span s;
    if (is_stop(c, word)) {
        t->words.len = begin;
        return AM_OK;
    }
    if (c->stem.ptr) {
        const struct am_str stem = am_stemmer_stem(t->stemmer, word);
        if (stem.ptr != word.ptr) {
            t->words.len = begin;
            am_buf_str(&t->words, stem);
        }
    }
    if (tag && c->tags == AM_TEXT_TAGS_APPEND) {
        am_buf_char(&t->words, '_');
        am_buf_cstr(&t->words, tag);
    }
    AM_TRY(am_buf_check(&t->words, err));
    s = (struct span){(uint32_t)begin, (uint32_t)t->words.len};
    am_buf_char(&t->words, ' ');
    if (!am_vec_push(&t->spans, s))
        return am_fail_nomem(err, sizeof s);
    return am_buf_check(&t->words, err);
}

static enum am_rc cut_words(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                            struct am_err *err)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end) {
        uint32_t n = 0;
        while (p < end && ascii[(unsigned char)*p] == 0)
            p++;
        const size_t begin = t->words.len;
        char *w = am_buf_reserve(&t->words, (size_t)(end - p) < 256 ? (size_t)(end - p) : 256);
        size_t used = 0;
        if (!w && p < end)
            return am_buf_check(&t->words, err);
        while (p < end) {
            const unsigned char k = ascii[(unsigned char)*p];
            if (k != 0 && k != 0x80) {
                w[used++] = c->lower ? (char)k : *p;
                p++;
            } else if (k == 0x80) {
                size_t bytes;
                uint32_t ch = am_char_next(p, end, &bytes);
                if (!am_char_is_word(ch)) {
                    p += n == 0 ? bytes : 0;
                    break;
                }
                used += am_char_put(c->lower ? am_char_lower(ch) : ch, w + used);
                p += bytes;
            } else {
                break;
            }
            n++;
            if (used > 248 && p < end) { /* a long one */
                am_buf_commit(&t->words, used);
                used = 0;
                w = am_buf_reserve(&t->words, 256);
                if (!w)
                    return am_buf_check(&t->words, err);
            }
        }
        am_buf_commit(&t->words, used);
        if (n >= c->min_length)
            AM_TRY(keep_word(t, c, begin, NULL, err));
        else
            t->words.len = begin;
    }
    return AM_OK;
}

static bool is_mark(struct am_str token)
{
    size_t n;
    return !am_char_is_word(am_char_next(token.ptr, token.ptr + token.len, &n));
}

static size_t n_chars(struct am_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

static enum am_rc cut_tokens(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                             struct am_err *err)
{
    struct am_token_scan s;
    const enum am_token_unit unit =
        c->split == AM_TEXT_SEGMENTS ? AM_TOKEN_SEGMENTS : AM_TOKEN_WORDS;
    if (!am_token_scan_init(&s, text, unit, c->lower))
        return am_fail_nomem(err, 1);
    while (am_token_next(&s)) {
        const struct am_str token = {s.token, s.n};
        const size_t begin = t->words.len;
        if (is_mark(token) || n_chars(token) < c->min_length)
            continue;
        am_buf_str(&t->words, token);
        AM_TRY(am_buf_check(&t->words, err));
        AM_TRY(keep_word(t, c, begin, NULL, err));
    }
    return AM_OK;
}

/* ---- parts of speech ---- */

static bool keeps(const struct am_text_config *c, const char *tag)
{
    for (size_t i = 0; i < c->n_keep; i++)
        if (strncmp(tag, c->keep[i].ptr, c->keep[i].len) == 0)
            return true;
    return c->n_keep == 0;
}

/* Tokens with their tags into words; the marks that a tagger needs to see are dropped after it. */
static enum am_rc tagged(struct am_terms *t, const struct am_text_config *c, struct am_err *err)
{
    for (size_t i = 0; i < t->tokens.len; i++) {
        const struct am_str token = t->tokens.ptr[i];
        const char *tag = t->tags.ptr[i];
        const size_t begin = t->words.len;
        if (!keeps(c, tag) ||
            (c->tags != AM_TEXT_TAGS_COUNTS && (is_mark(token) || n_chars(token) < c->min_length)))
            continue;
        if (c->tags == AM_TEXT_TAGS_COUNTS) {
            const struct am_str s = am_str(tag);
            struct span k = {(uint32_t)begin, (uint32_t)(begin + s.len)};
            am_buf_str(&t->words, s);
            am_buf_char(&t->words, ' ');
            AM_TRY(am_buf_check(&t->words, err));
            if (!am_vec_push(&t->spans, k))
                return am_fail_nomem(err, sizeof k);
            continue;
        }
        if (c->lower)
            am_clean_lower(token, &t->words);
        else
            am_buf_str(&t->words, token);
        AM_TRY(am_buf_check(&t->words, err));
        AM_TRY(keep_word(t, c, begin, tag, err));
    }
    return AM_OK;
}

static enum am_rc tag_words(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                            struct am_err *err)
{
    if (!t->tagging)
        AM_TRY(am_tagger_scratch_new(&t->tagging, err));
    t->tokens.len = t->tags.len = 0;
    for (struct am_str rest = text, token; am_tagger_token(&rest, &token);)
        if (!am_vec_push(&t->tokens, token))
            return am_fail_nomem(err, sizeof token);
    if (!am_vec_reserve(&t->tags, t->tokens.len))
        return am_fail_nomem(err, t->tokens.len * sizeof *t->tags.ptr);
    t->tags.len = t->tokens.len;
    AM_TRY(am_tagger_tag(c->tagger, t->tagging, t->tokens.ptr, t->tokens.len, t->tags.ptr, err));
    return tagged(t, c, err);
}

/* ---- n-grams ---- */

typedef enum am_rc emit_fn(void *ctx, struct am_str term, struct am_err *err);

static enum am_rc word_ngrams(const struct am_terms *t, const struct am_text_config *c,
                              emit_fn *emit, void *ctx, struct am_err *err)
{
    const struct span *s = t->spans.ptr;
    const size_t n = t->spans.len;
    for (uint32_t k = c->ngrams[0]; k <= c->ngrams[1]; k++)
        for (size_t i = 0; i + k <= n; i++) {
            const size_t from = s[i].begin, to = s[i + k - 1].end;
            AM_TRY(emit(ctx, (struct am_str){t->words.ptr + from, to - from}, err));
        }
    return AM_OK;
}

/* spans of the characters in words; n-grams of [first, last) of them */
static enum am_rc char_ngrams(const struct am_terms *t, uint32_t k, size_t first, size_t last,
                              emit_fn *emit, void *ctx, struct am_err *err)
{
    const struct span *s = t->spans.ptr;
    for (size_t i = first; i + k <= last; i++) {
        const size_t from = s[i].begin, to = s[i + k - 1].end;
        AM_TRY(emit(ctx, (struct am_str){t->words.ptr + from, to - from}, err));
    }
    return AM_OK;
}

static enum am_rc push_char(struct am_terms *t, uint32_t ch, struct am_err *err)
{
    char b[4];
    const size_t n = am_char_put(ch, b);
    const struct span s = {(uint32_t)t->words.len, (uint32_t)(t->words.len + n)};
    am_buf_add(&t->words, b, n);
    return am_vec_push(&t->spans, s) ? am_buf_check(&t->words, err) : am_fail_nomem(err, sizeof s);
}

/* Two and more white spaces become one space, as scikit-learn has it. */
static enum am_rc whole_chars(struct am_terms *t, const struct am_text_config *c,
                              struct am_str text, emit_fn *emit, void *ctx, struct am_err *err)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end) {
        size_t n;
        uint32_t ch = am_char_next(p, end, &n);
        p += n;
        if (am_char_is_space(ch)) {
            bool more = false;
            while (p < end && am_char_is_space(am_char_next(p, end, &n))) {
                more = true;
                p += n;
            }
            ch = more ? ' ' : ch;
        }
        AM_TRY(push_char(t, ch, err));
    }
    for (uint32_t k = c->ngrams[0]; k <= c->ngrams[1]; k++)
        AM_TRY(char_ngrams(t, k, 0, t->spans.len, emit, ctx, err));
    return AM_OK;
}

/* Of each word with a space at both ends; a short word counts once. */
static enum am_rc chars_of_words(struct am_terms *t, const struct am_text_config *c,
                                 struct am_str text, emit_fn *emit, void *ctx, struct am_err *err)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end) {
        size_t n;
        uint32_t ch = am_char_next(p, end, &n);
        if (am_char_is_space(ch)) {
            p += n;
            continue;
        }
        t->words.len = t->spans.len = 0;
        AM_TRY(push_char(t, ' ', err));
        while (p < end && !am_char_is_space(ch = am_char_next(p, end, &n))) {
            AM_TRY(push_char(t, ch, err));
            p += n;
        }
        AM_TRY(push_char(t, ' ', err));
        for (uint32_t k = c->ngrams[0]; k <= c->ngrams[1]; k++) {
            const size_t len = t->spans.len;
            if (len <= k) { /* the whole of it, and no longer n-grams */
                AM_TRY(emit(ctx, am_buf_view(&t->words), err));
                break;
            }
            AM_TRY(char_ngrams(t, k, 0, len, emit, ctx, err));
        }
    }
    return AM_OK;
}

enum am_rc am_terms_each(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                         emit_fn *emit, void *ctx, struct am_err *err)
{
    const bool chars = c->split == AM_TEXT_CHARS || c->split == AM_TEXT_CHAR_WB;
    struct cleaning k = {t, text, 0};
    if (text.ptr == NULL)
        return AM_OK;
    if (text.len > TEXT_BYTES / 4)
        return am_fail(err, AM_ELIMIT, "a text of %zu bytes, at most %zu allowed", text.len,
                       TEXT_BYTES / 4);
    am_buf_reset(&t->words);
    t->spans.len = 0;
    if (chars) {
        struct am_str cleaned;
        AM_TRY(am_terms_clean(t, c, text, &cleaned, err));
        return (c->split == AM_TEXT_CHARS ? whole_chars : chars_of_words)(t, c, cleaned, emit, ctx,
                                                                          err);
    }
    AM_TRY(clean(&k, c, err));
    AM_TRY(own_stemmer(t, c, err));
    if (c->tags != AM_TEXT_TAGS_NONE)
        AM_TRY(tag_words(t, c, k.text, err));
    else if (c->split == AM_TEXT_WORDS)
        AM_TRY(cut_words(t, c, k.text, err));
    else
        AM_TRY(cut_tokens(t, c, k.text, err));
    return word_ngrams(t, c, emit, ctx, err);
}
