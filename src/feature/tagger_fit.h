/* Training of the tagger of tagger.h on tagged sentences. Fitting only. One thread; the result
 * depends on sentences, order and seed only. */
#ifndef AM_FEATURE_TAGGER_FIT_H
#define AM_FEATURE_TAGGER_FIT_H

#include "feature/tagger.h"

struct am_tagger_fit;
enum am_rc am_tagger_fit_new(struct am_tagger_fit **out, struct am_err *err) AM_MUST_CHECK;
void am_tagger_fit_free(struct am_tagger_fit *f); /* NULL is fine */
/* One sentence; copied. Tags: 1 to 15 printable characters, at most 254 different ones. */
enum am_rc am_tagger_fit_add(struct am_tagger_fit *f, const struct am_str *tokens,
                             const struct am_str *tags, size_t n, struct am_err *err) AM_MUST_CHECK;
/* Trains for so many epochs and appends the model's bytes to out. */
enum am_rc am_tagger_fit_finish(struct am_tagger_fit *f, unsigned epochs, uint64_t seed,
                                struct am_buf *out, struct am_err *err) AM_MUST_CHECK;

#endif
