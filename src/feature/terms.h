/* From a text to its terms, as counts and TF-IDF need them: cleaned, cut into words or characters,
 * without stop words, stemmed, joined to n-grams.
 *
 *   clean  HTML is stripped, widths folded (or NFKC by ICU), rules applied in order, lower case
 *   split  words: runs of letters, digits and _ of at least min_length characters (scikit-learn's
 *          token pattern); tokens: words and marks as tokens.h cuts them; segments: as ICU cuts
 *          them; chars, char_wb: n-grams of characters of the whole text, or of each word with a
 *          space at both ends (scikit-learn's analyzers)
 *
 * A config is immutable once made and shared; a struct am_terms is the memory of one thread at a
 * time and keeps its room from text to text. */
#ifndef AM_FEATURE_TERMS_H
#define AM_FEATURE_TERMS_H

#include "base/map.h"
#include "feature/regex.h"

enum am_text_fold { AM_TEXT_FOLD_NONE, AM_TEXT_FOLD_WIDTH, AM_TEXT_FOLD_NFKC, AM_TEXT_N_FOLDS };
enum am_text_split {
    AM_TEXT_WORDS,
    AM_TEXT_TOKENS,
    AM_TEXT_SEGMENTS,
    AM_TEXT_CHARS,
    AM_TEXT_CHAR_WB,
    AM_TEXT_N_SPLITS
};
enum am_text_tags {
    AM_TEXT_TAGS_NONE,
    AM_TEXT_TAGS_APPEND, /* run_VB */
    AM_TEXT_TAGS_KEEP,   /* only words of the tags kept */
    AM_TEXT_TAGS_COUNTS, /* the tags themselves are the terms */
    AM_TEXT_N_TAGS
};
struct am_tagger; /* tagger.h */

struct am_text_config {
    bool html, lower;
    enum am_text_fold fold;
    const struct am_str *rules; /* [n_rules] "PATTERN => REPLACEMENT" */
    size_t n_rules;
    enum am_text_split split;
    uint32_t min_length;
    const struct am_str *stops; /* [n_stops] */
    size_t n_stops;
    struct am_str stem;  /* libstemmer's name of a language; NULL ptr = none */
    uint64_t stem_print; /* what the library made of some words where the model was trained */
    uint32_t ngrams[2];  /* from, to */
    enum am_text_tags tags;
    const struct am_str *keep; /* [n_keep] tags; a tag is kept when it begins with one of them */
    size_t n_keep;
    const struct am_tagger *tagger; /* NULL without tags */
    /* made by am_text_config_build */
    const struct am_regex **compiled; /* [n_rules] */
    const struct am_str *replacements;
    struct am_map stop_map; /* owned: am_text_config_clear */
};

/* Checks ranges and compiles rules and stop words, in a; finds the libraries that are needed.
 * AM_EUSAGE or AM_ELIMIT for what is wrong, AM_EUNSUPPORTED naming the package. */
enum am_rc am_text_config_build(struct am_text_config *c, struct am_arena *a,
                                struct am_err *err) AM_MUST_CHECK;
void am_text_config_clear(struct am_text_config *c);

struct am_terms;
enum am_rc am_terms_new(struct am_terms **out, struct am_err *err) AM_MUST_CHECK;
void am_terms_free(struct am_terms *t); /* NULL is fine */
/* Calls emit for every term in order; a missing text has none. emit's error ends it. The term's
 * bytes live until emit returns. */
enum am_rc am_terms_each(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                         enum am_rc (*emit)(void *ctx, struct am_str term, struct am_err *err),
                         void *ctx, struct am_err *err) AM_MUST_CHECK;
/* The cleaned text, lower case included; lives until the next call with t. */
enum am_rc am_terms_clean(struct am_terms *t, const struct am_text_config *c, struct am_str text,
                          struct am_str *out, struct am_err *err) AM_MUST_CHECK;

const char *am_text_fold_name(enum am_text_fold f);
const char *am_text_split_name(enum am_text_split s);
const char *am_text_tags_name(enum am_text_tags t);
bool am_text_fold_parse(struct am_str s, enum am_text_fold *out);
bool am_text_split_parse(struct am_str s, enum am_text_split *out);
bool am_text_tags_parse(struct am_str s, enum am_text_tags *out);

/* stop_words.c: a list of common words that carry little, by language ("en", "zh", "de", "fr",
 * "es"); NULL = unknown. Static. */
const char *const *am_stop_words(struct am_str language, size_t *n);

/* stem.c: Snowball's stemmers in libstemmer, found at run time. */
struct am_stemmer;
/* AM_EUNSUPPORTED: no library, or a language that it does not know. */
enum am_rc am_stemmer_new(struct am_str language, struct am_stemmer **out,
                          struct am_err *err) AM_MUST_CHECK;
void am_stemmer_free(struct am_stemmer *s); /* NULL is fine */
/* word is in lower case; the result lives until the next call. */
struct am_str am_stemmer_stem(struct am_stemmer *s, struct am_str word);
/* A number that changes when the stems of some words do. */
enum am_rc am_stemmer_print(struct am_str language, uint64_t *out,
                            struct am_err *err) AM_MUST_CHECK;

#endif
