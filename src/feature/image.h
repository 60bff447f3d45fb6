/* Pictures and videos as features: the bytes of a cell to [H,W,C] or [T,H,W,C] floats or to
 * histograms, in training and at prediction alike.
 *
 *   decode (of a video: `frames` pictures of it) -> one or three channels -> resize -> y = (x -
 * shift[c]) * mul[c], x in 0..255
 *
 * Channels: alpha is blended over white; grey of RGB is (19595 R + 38470 G + 7471 B + 32768) >> 16
 * (ITU-R 601, as Pillow has it). Resizing is linear interpolation with a support that grows when
 * the picture shrinks, so that every source pixel counts (Pillow's BILINEAR, antialias=True
 * elsewhere), in float32 without rounding to bytes; a row's bits depend on its bytes only. Any
 * thread. Decoding and resizing allocate for the time of the call. Only for feature/. */
#ifndef AM_FEATURE_IMAGE_H
#define AM_FEATURE_IMAGE_H

#include "base/tree.h"
#include "tensor/media.h"

enum am_fresize {
    AM_FR_STRETCH, /* to the size, whatever the sides' ratio */
    AM_FR_CROP,    /* ratio kept, the middle cut out */
    AM_FR_PAD,     /* ratio kept, black at both ends */
    AM_FR_N
};
enum am_fnormal { AM_FN_UNIT, AM_FN_STANDARD, AM_FN_IMAGENET, AM_FN_NONE, AM_FN_N };
const char *am_fresize_name(enum am_fresize r);
const char *am_fnormal_name(enum am_fnormal n);
bool am_fresize_parse(struct am_str s, enum am_fresize *out);
bool am_fnormal_parse(struct am_str s, enum am_fnormal *out);

#define AM_F_MAX_BINS 256
#define AM_F_MAX_FRAMES 1024
#define AM_F_MAX_FPS 240
#define AM_F_SAMPLE_SIDE 32 /* of a synthetic picture */

struct am_fimage {
    uint32_t height, width; /* of the result; 0 in a histogram, in a spec: not said */
    uint32_t channels;      /* 1 or 3; 0 in a spec: not said */
    enum am_fresize resize;
    enum am_fnormal normal;
    double shift[3], mul[3]; /* [channels] */
    uint32_t bins;           /* histogram: of each colour and of the light */
    uint32_t frames;         /* of a video; 0 = a picture */
    double fps;              /* of a video: 0 = spread evenly, see struct am_video_take */
};

/* [height, width, channels] to out; NULL bytes give zeros. AM_EINVAL, AM_ELIMIT, AM_EMISSING (no
 * decoder), AM_ENOMEM. */
enum am_rc am_fimage_apply(const struct am_fimage *f, struct am_str bytes, float *out,
                           struct am_err *err) AM_MUST_CHECK;
/* The same for a video: [frames, height, width, channels]. */
enum am_rc am_fimage_apply_video(const struct am_fimage *f, struct am_str bytes, float *out,
                                 struct am_err *err) AM_MUST_CHECK;
/* [am_fimage_histogram_width] to out: shares of red, green, blue (three channels only) and of the
 * light in each bin, times the number of bins: 1 = as many as in an even picture. NULL bytes give
 * zeros. */
enum am_rc am_fimage_histogram(const struct am_fimage *f, struct am_str bytes, float *out,
                               struct am_err *err) AM_MUST_CHECK;
size_t am_fimage_histogram_width(const struct am_fimage *f);
/* Constants of unit, imagenet and none into shift and mul. */
void am_fimage_constants(struct am_fimage *f);
/* Ranges of a column that anybody made: AM_ECORRUPT naming it. */
enum am_rc am_fimage_check(const struct am_fimage *f, struct am_str name, bool histogram,
                           struct am_err *err) AM_MUST_CHECK;

/* The parts, for tests and fitting. Pixels: 1, 3 or 4 channels to 1 or 3, in place when fewer. */
void am_fimage_convert(struct am_image *i, uint32_t channels);
/* [h, w, c] of bytes, the part box = {x0, y0, x1, y1} of it (in pixels, inside the picture), to
 * [height, width, c] floats 0..255. */
enum am_rc am_fimage_resize(const uint8_t *pixels, uint32_t w, uint32_t h, uint32_t c,
                            const double box[4], uint32_t width, uint32_t height, size_t out_stride,
                            float *out, struct am_err *err) AM_MUST_CHECK;

/* ---- fitting (image_fit.c) ---- */

struct am_fimage_fit { /* state of one column */
    uint64_t n;        /* pictures */
    uint32_t min_h, max_h, min_w, max_w;
    uint64_t sum_h, sum_w;
    uint64_t n_colour;
    /* of per-picture means of x and x^2: red, green, blue, light; each picture counts the same */
    double mean[4], square[4];
};

#endif
