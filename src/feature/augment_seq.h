/* Augmentation of sounds and of token rows: features changed anew in every epoch, before the step.
 *
 * Every draw is a pure function of (seed, epoch, row), so a changed row depends on no thread, no
 * batch and no order of work. Works in place on one row as am_features_apply gives it. Order for
 * sounds: speed, shift, noise, masks; for tokens: drop, unknown, swap. What is masked or comes from
 * beyond the ends is 0, the mean of normalised features. Fitting side only. Nothing allocates; any
 * thread. Pictures: augment.h. */
#ifndef AM_FEATURE_AUGMENT_SEQ_H
#define AM_FEATURE_AUGMENT_SEQ_H

#include "base/tree.h"
#include "feature/fit.h"

struct am_augment_seq { /* 0 = off, all of them */
    /* sounds: [T, C] */
    double
        speed; /* 0..0.5: frames are read 1 - speed to 1 + speed times as fast (linear between) */
    double shift; /* 0..1: moved by up to this share of T, either way */
    double noise; /* 0..10: deviation of normal noise, in the units of the features */
    double time_mask, channel_mask; /* 0..1: greatest share that one mask covers (SpecAugment, Park
                                       et al. 2019); the width is drawn evenly from 0 up */
    unsigned masks;                 /* 1..10 of each kind */
    /* tokens: [T], chances of each */
    double drop;    /* 0..0.9: to go; one always stays */
    double unknown; /* 0..0.9: to become id 1 */
    double swap;    /* 0..1: to change places with its right neighbour */
};

/* The keys of `train.augment` for sounds and tokens in the form of the recipe table; static. */
const struct am_feature_key *am_augment_seq_keys(size_t *n);

enum am_augment_seq_kind { AM_AUGMENT_SOUND, AM_AUGMENT_TOKENS };
struct am_augment_seq_shape {
    enum am_augment_seq_kind kind;
    size_t n_frames, n_channels; /* T, C; C = 1 of tokens */
};
/* The only input is a sound or a column of ids. False otherwise. */
bool am_augment_seq_shape_of(const struct am_features *f, struct am_augment_seq_shape *out);

/* spec: the map `train.augment`, or NULL or null (all off). Ranges are checked, keys that are
 * unknown or not of this kind refused: AM_EUSAGE with line and column. *any = something is on. */
enum am_rc am_augment_seq_read(const struct am_node *spec, enum am_augment_seq_kind kind,
                               struct am_augment_seq *out, bool *any,
                               struct am_err *err) AM_MUST_CHECK;

/* x: [T, C], in place; scratch: [T * C], for speed and shift. */
void am_augment_sound(const struct am_augment_seq *a, uint64_t seed, uint64_t epoch, uint64_t row,
                      size_t n_frames, size_t n_channels, float *x, float *scratch);
/* ids: [T], in place; padding (0) at the end only, before and after. */
void am_augment_tokens(const struct am_augment_seq *a, uint64_t seed, uint64_t epoch, uint64_t row,
                       size_t length, float *ids);

#endif
