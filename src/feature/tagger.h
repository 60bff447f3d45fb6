/* Parts of speech: an averaged perceptron that tags greedily from left to right (Collins 2002;
 * the features after Honnibal's "A good part-of-speech tagger in about 200 lines").
 *
 * A model is one block of bytes, little endian, which nobody trusts:
 *
 *   0  8  "AMTAGGR1"
 *   8  4  n_tags (1..255)        12 4 n_features     16 4 n_entries    20 4 n_words
 *   24 4  scale: float32, a weight is entry.weight * scale
 *   28 4  0
 *   32    tags: n_tags x 16 bytes, NUL padded
 *         features: n_features x {u32 hash, ascending; u32 first entry}
 *         entries: n_entries x {u8 tag, u8 0, i16 weight}
 *         words of one tag: n_words x {u32 hash, ascending; u32 tag}
 *
 * A tagger is immutable and shared; a scratch belongs to one thread. Trained by tagger_fit.h. */
#ifndef AM_FEATURE_TAGGER_H
#define AM_FEATURE_TAGGER_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define AM_TAGGER_FEATURES 18
#define AM_TAGGER_MAX_BYTES ((size_t)16 << 20)

struct am_tagger;
/* bytes are copied into a. AM_ECORRUPT. */
enum am_rc am_tagger_load(struct am_str bytes, struct am_arena *a, const struct am_tagger **out,
                          struct am_err *err) AM_MUST_CHECK;
struct am_str am_tagger_bytes(const struct am_tagger *t);
size_t am_tagger_n_tags(const struct am_tagger *t);
const char *am_tagger_tag_name(const struct am_tagger *t, size_t i);

struct am_tagger_scratch;
enum am_rc am_tagger_scratch_new(struct am_tagger_scratch **out, struct am_err *err) AM_MUST_CHECK;
void am_tagger_scratch_free(struct am_tagger_scratch *s); /* NULL is fine */

/* The next token of *rest: words with what lies inside them (can't, 3.5, well-known), marks one by
 * one. Borrowed from the text. */
bool am_tagger_token(struct am_str *rest, struct am_str *token);
/* tags [n]: names that live as long as the tagger. A sentence ends at . ! ? and is tagged by
 * itself. */
enum am_rc am_tagger_tag(const struct am_tagger *t, struct am_tagger_scratch *s,
                         const struct am_str *tokens, size_t n, const char **tags,
                         struct am_err *err) AM_MUST_CHECK;

/* For training: what is known of token i of a sentence whose tags before it are prev (255 = the
 * sentence's beginning); words: their hashes made by am_tagger_words. */
struct am_tagger_word {
    uint32_t word, suffix1, suffix2, suffix3, prefix, shape;
};
void am_tagger_word(struct am_str token, bool first, struct am_tagger_word *out);
void am_tagger_features(const struct am_tagger_word *w, size_t n, size_t i, unsigned prev,
                        unsigned before, uint32_t out[AM_TAGGER_FEATURES]);
/* Of a token as it stands, for the words of one tag. */
uint32_t am_tagger_word_hash(struct am_str token);

#endif
