/* Augmentation of table rows: features changed anew in every epoch, before the step.
 *
 * Numbers get normal noise in shares of their deviation, a column may become its mean (drop), a
 * category may become that of another training row (swap). Every draw is a pure function of (seed,
 * epoch, row). Works on rows as am_features_apply gives them. Fitting side only; nothing allocates
 * but the layout; any thread. */
#ifndef AM_FEATURE_AUGMENT_ROWS_H
#define AM_FEATURE_AUGMENT_ROWS_H

#include "base/tree.h"
#include "feature/fit.h"

struct am_augment_rows { /* 0 = off, all of them */
    double noise;        /* 0..10: deviation of the noise, in deviations of the feature */
    double drop;         /* 0..0.9: chance of a column to become its mean */
    double swap;         /* 0..1: chance of a category to become another row's */
};

/* The keys of `train.augment` for tables; static. */
const struct am_feature_key *am_augment_rows_keys(size_t *n);
/* As am_augment_seq_read. */
enum am_rc am_augment_rows_read(const struct am_node *spec, struct am_augment_rows *out, bool *any,
                                struct am_err *err) AM_MUST_CHECK;

struct am_augment_layout; /* which outputs belong together, their means and deviations */
/* x: [n, width of f] training rows, n >= 1. AM_EUSAGE: an input is a picture, a sound or a video.
 */
enum am_rc am_augment_layout_new(const struct am_features *f, const float *x, size_t n,
                                 struct am_augment_layout **out, struct am_err *err) AM_MUST_CHECK;
void am_augment_layout_free(struct am_augment_layout *l); /* NULL is fine */
/* The row of [0, n_rows) that lends its categories. */
uint64_t am_augment_partner(uint64_t seed, uint64_t epoch, uint64_t row, uint64_t n_rows);
/* x, partner: [width]; x in place. */
void am_augment_row(const struct am_augment_rows *a, const struct am_augment_layout *l,
                    uint64_t seed, uint64_t epoch, uint64_t row, float *x, const float *partner);

#endif
