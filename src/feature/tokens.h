/* Texts as token ids [T] for embeddings: 0 = padding (at the end only), 1 = unknown, then the
 * vocabulary in order of falling frequency.
 *
 *   chars   one token a code point; white space of any length is one space; none at the ends
 *   segments  words as ICU cuts them (segment.h), by dictionary in Chinese, Japanese and Thai
 *   tokens  words after UAX 29: runs of letters, digits, marks and '_'; inside them ' ’ · . between
 *           letters and . , ; ' between digits; ideographs, kana and bopomofo one token each; any
 *           other visible character is a token of its own
 *
 * Why not ICU for tokens: its dictionary for Chinese changes with its version, so the same text
 * could give other ids on another machine; these rules are ours and need no library. Hangul and
 * every alphabet stay in runs. Lower case covers ASCII, Latin-1, Latin Extended-A and Additional,
 * Greek, Cyrillic and full-width letters. A byte that is not UTF-8 is U+FFFD. Nothing allocates;
 * any thread. */
#ifndef AM_FEATURE_TOKENS_H
#define AM_FEATURE_TOKENS_H

#include "base/map.h"

#define AM_TOKENS_MAX_LENGTH 65536
#define AM_TOKEN_BYTES 96 /* the rest of longer words is passed over */

#define AM_TOKEN_UNKNOWN 1
#define AM_TOKEN_FIRST 2 /* id of the vocabulary's first entry */

enum am_token_unit { AM_TOKEN_CHARS, AM_TOKEN_WORDS, AM_TOKEN_SEGMENTS };

/* Goes over a text token by token. */
struct am_token_scan {
    const char *text, *p, *end; /* borrowed */
    enum am_token_unit unit;
    bool lower;
    bool started;               /* a token came out already */
    bool full;                  /* the last one is cut */
    char token[AM_TOKEN_BYTES]; /* the last one */
    size_t n;
};
/* false, of segments only: ICU is not there or memory is out. One scan of segments a thread. */
bool am_token_scan_init(struct am_token_scan *s, struct am_str text, enum am_token_unit unit,
                        bool lower);
/* false at the end; else s->token[0..n) is the next token, n > 0. */
bool am_token_next(struct am_token_scan *s);

/* vocabulary: token -> index, id = index + 2. out: [length]; a missing text gives zeros. false as
 * above. */
bool am_tokens_apply(const struct am_map *vocabulary, struct am_str text, enum am_token_unit unit,
                     bool lower, size_t length, float *out);

#endif
