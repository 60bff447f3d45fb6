/* Augmentation of sounds and token rows, after features and before the step: every change is a pure
 * function of (seed, epoch, row), so it depends on no thread and no batch cut.
 *
 * Works in place on one row. Not here: pictures (augment.h). Any thread; nothing allocates. */
#ifndef AM_FEATURE_AUGMENT_SEQ_H
#define AM_FEATURE_AUGMENT_SEQ_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct am_augment_seq {
    /* sounds: [T, C] */
    double shift; /* 0..1: share of T to move by at most, either way; what is freed is `fill` */
    double noise; /* deviation of normal noise added, in the units of the features */
    double speed; /* 0..0.5: frames are read 1 - speed .. 1 + speed times as fast (linear) */
    unsigned n_time_masks, n_channel_masks; /* SpecAugment (Park et al. 2019) */
    double time_mask, channel_mask;         /* 0..1: greatest share that one mask covers */
    float fill;                             /* of masked and freed cells: 0 = the mean */
    /* tokens: [T] */
    double drop;    /* chance of each token to go; the last one left stays */
    double unknown; /* chance of each token to become 1 */
    double swap;    /* chance of each token to change places with its right neighbour */
};

/* AM_EUSAGE naming the setting out of its range. */
enum am_rc am_augment_seq_check(const struct am_augment_seq *c, struct am_err *err) AM_MUST_CHECK;
/* x: [T, C], in place; scratch: [T * C], needed when shift or speed is not 0 (else NULL). */
void am_augment_sound(const struct am_augment_seq *c, uint64_t seed, uint64_t epoch, uint64_t row,
                      size_t n_frames, size_t n_channels, float *x, float *scratch);
/* ids: [T] in place, padding (0) at the end only, before and after. */
void am_augment_tokens(const struct am_augment_seq *c, uint64_t seed, uint64_t epoch, uint64_t row,
                       size_t length, float *ids);

#endif
