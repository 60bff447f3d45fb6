/* Texts as token ids [T] for embeddings: 0 = padding (at the end only), 1 = unknown, then the
 * vocabulary in order of falling frequency.
 *
 *   chars   one token a code point; white space of any length is one space; none at the ends
 *   words   the words of UAX 29 in plain C: runs of letters, digits and marks (with ' ’ . : _ and
 *           , inside as the rules say); each ideograph, kana and Hangul syllable run as below;
 *           any other visible character is a token of its own
 *
 * Why not ICU here: its dictionary for Chinese changes with its version, so the same text would
 * give other ids on another machine; these rules are ours, need no library, and libaimass stays
 * small. Chinese characters, hiragana and katakana are one token each; Hangul runs stay together
 * (Korean writes spaces). Lower case covers ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic.
 * Invalid UTF-8 bytes are U+FFFD each. Nothing allocates in applying; any thread. */
#ifndef AM_FEATURE_TOKENS_H
#define AM_FEATURE_TOKENS_H

#include "base/arena.h"
#include "base/map.h"

#define AM_TOKENS_MAX_LENGTH 65536
#define AM_TOKENS_MAX_VOCABULARY 1000000
#define AM_TOKEN_BYTES 96 /* longer words are cut here, at a code point */

enum am_token_unit { AM_TOKEN_CHARS, AM_TOKEN_WORDS };

/* Goes over a text token by token. */
struct am_token_scan {
    const char *p, *end; /* borrowed */
    enum am_token_unit unit;
    bool lower;
    bool started;               /* a token came out already */
    char token[AM_TOKEN_BYTES]; /* the last one */
    size_t n;
};
void am_token_scan_init(struct am_token_scan *s, struct am_str text, enum am_token_unit unit,
                        bool lower);
/* false at the end; else s->token[0..n) is the next token, n > 0. */
bool am_token_next(struct am_token_scan *s);

struct am_tokens { /* what is fitted; in the features' arena */
    enum am_token_unit unit;
    bool lower;
    size_t length;                   /* T */
    const struct am_str *vocabulary; /* [n_vocabulary]: ids 2, 3, ... */
    size_t n_vocabulary;
};
/* map: token -> index in the vocabulary. out: [length]; a missing text gives zeros. */
void am_tokens_apply(const struct am_tokens *t, const struct am_map *map, struct am_str text,
                     float *out);

#endif
