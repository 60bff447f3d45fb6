/* Augmentation of pictures and videos: rows [H,W,C] or [T,H,W,C] of features, changed anew in every
 * epoch, before the step.
 *
 * Every draw is a pure function of (seed, epoch, row), so a changed row depends on no thread, no
 * batch and no order of work. Works on normalised rows as am_features_apply gives them: `low` and
 * `high` say what black and white are there (am_features_pixels), so that brightness, contrast,
 * saturation and noise mean the same whatever the normalisation. Moves sample the four nearest
 * pixels; what comes from beyond the edge, and cutout, is black. Flips and whole-pixel moves copy
 * pixels to the bit. All frames of a video are moved, coloured and cut alike; noise is each frame's
 * own. Order: geometry, brightness, contrast, saturation, noise, cutout, mixup.
 * Fitting side only. Nothing allocates; any thread. Sounds and tokens: augment_seq.h. */
#ifndef AM_FEATURE_AUGMENT_H
#define AM_FEATURE_AUGMENT_H

#include "base/tree.h"
#include "feature/fit.h"

enum am_augment_flip { /* each with chance 1/2 */
                       AM_AUGMENT_NO_FLIP = 0,
                       AM_AUGMENT_FLIP_HORIZONTAL = 1,
                       AM_AUGMENT_FLIP_VERTICAL = 2,
                       AM_AUGMENT_FLIP_BOTH = 3
};

/* 0 = off, all of them. "Up to" is drawn evenly from [-v, v]. */
struct am_augment {
    enum am_augment_flip flip;
    double rotate;       /* 0..180 degrees, up to */
    double crop;         /* 0..1024 whole pixels, up to, down and across: a padded picture, cut */
    double resized_crop; /* 0..1: the least share of the area that is cut out and enlarged (even in
                            [v, 1], sides 3:4 to 4:3); 1 and 0 are off */
    double shift;        /* 0..1 of the side, up to, down and across */
    double shear;        /* 0..60 degrees, up to */
    double zoom;         /* 0..0.9: scaled by 1 - v .. 1 + v */
    double brightness;   /* 0..1: times 1 - v .. 1 + v */
    double contrast;     /* 0..1: distance from the picture's mean light, times 1 - v .. 1 + v */
    double saturation;   /* 0..1: distance from grey, times 1 - v .. 1 + v; three channels only */
    double noise;        /* 0..1: deviation of normal noise, 1 = from black to white */
    double cutout;       /* 0..1: side of a black square, as a share of the shorter side */
    double mixup;        /* 0..4: alpha; blended with another row by Beta(alpha, alpha), targets
                            and the loss of classes by the same shares */
};

/* The keys of `train.augment` in the form of the recipe table; static. Names without the prefix. */
const struct am_feature_key *am_augment_keys(size_t *n);
/* spec: the map `train.augment`, or NULL or null (all off). Ranges are checked, unknown keys
 * refused with the nearest name: AM_EUSAGE with line and column. *any = something is on. */
enum am_rc am_augment_read(const struct am_node *spec, struct am_augment *out, bool *any,
                           struct am_err *err) AM_MUST_CHECK;

struct am_augment_shape {
    size_t height, width, channels; /* of a row; 1 to 4 channels */
    size_t frames;                  /* 1 = a picture */
    float low[4], high[4];          /* black and white of each channel after normalisation */
};
/* The only input is a picture or a video: its shape and pixels. False otherwise: such rows cannot
 * be augmented as pictures. */
bool am_augment_shape_of(const struct am_features *f, struct am_augment_shape *out);

/* All but mixup, in place, x: all frames. scratch: [height * width * channels]. */
void am_augment_picture(const struct am_augment *a, const struct am_augment_shape *shape,
                        uint64_t seed, uint64_t epoch, uint64_t row, float *x, float *scratch);

struct am_augment_mix {
    uint64_t partner; /* the other row, below n_rows */
    double share;     /* of the other row, in [0, 1] */
};
void am_augment_mix_of(const struct am_augment *a, uint64_t seed, uint64_t epoch, uint64_t row,
                       uint64_t n_rows, struct am_augment_mix *out);
/* x = x (1 - share) + other share */
void am_augment_mix(const struct am_augment_mix *m, size_t n, float *x, const float *other);

#endif
