/* Pictures for the report: small PNGs inside the page, the worst mistakes, filters, activations and
 * what part of a picture a prediction hangs on.
 *
 * Arrays in, texts in the caller's arena out ("data:image/png;base64,..."); knows no model, file or
 * feature. Floats are channels-last, [height, width, channels]. Pure but for callbacks; any thread.
 */
#ifndef AM_EVAL_PICTURES_H
#define AM_EVAL_PICTURES_H

#include "eval/eval.h"

struct am_pixels {
    uint32_t width, height, channels; /* 1 grey, 3 RGB, 4 RGB and alpha */
    const uint8_t *data;              /* [height, width, channels] */
};
/* Appends a PNG file. AM_EINVAL: no pixels, or another number of channels; AM_ENOMEM. */
enum am_rc am_png_write(const struct am_pixels *p, struct am_buf *out,
                        struct am_err *err) AM_MUST_CHECK;
/* The PNG as text for <img src>, averaged down until no side is longer than max_side (0 = as it
 * is). *out lives in the arena. */
enum am_rc am_picture_uri(const struct am_pixels *p, uint32_t max_side, struct am_arena *a,
                          struct am_str *out, struct am_err *err) AM_MUST_CHECK;
/* The same for floats: all channels scaled together, least to black, largest to white. Other
 * numbers of channels than 1 and 3 are shown as their mean. Not finite counts as the least. */
struct am_floats {
    size_t height, width, channels;
    const float *data; /* [height, width, channels] */
};
enum am_rc am_picture_of_floats(const struct am_floats *f, uint32_t max_side, struct am_arena *a,
                                struct am_str *out, struct am_err *err) AM_MUST_CHECK;

/* Channels side by side as grey tiles, each scaled by itself, `zoom` dots a value: the activations
 * of a layer. At most 64 channels. */
enum am_rc am_picture_maps(const struct am_floats *f, uint32_t zoom, struct am_arena *a,
                           struct am_str *out, struct am_err *err) AM_MUST_CHECK;
/* Filters of a convolution as tiles: w is [kernel_h * kernel_w * c_in, c_out] as nn/layers_conv.h
 * stores it. c_in 3 gives colour, else the mean over c_in. At most 64 filters. */
enum am_rc am_picture_filters(const float *w, size_t kernel_h, size_t kernel_w, size_t c_in,
                              size_t c_out, uint32_t zoom, struct am_arena *a, struct am_str *out,
                              struct am_err *err) AM_MUST_CHECK;

/* ---- mistakes ---- */

/* Rows with the wrong label, the most certain first (p of the predicted class minus p of the true
 * one; ties: the lower row). Returns how many, at most n. Classification only, else 0. */
size_t am_worst_mistakes(const struct am_eval_input *in, size_t n, size_t *rows);
/* {row, truth, predicted, probability: of the predicted class, picture} for the report's list
 * "mistakes". classes: the label nodes; picture may be empty (a sound, say). */
struct am_node *am_mistake_node(const struct am_eval_input *in, size_t row,
                                const struct am_node *classes, struct am_str picture,
                                struct am_arena *a);

/* ---- saliency by occlusion ---- */

/* How much p of a class falls when a square of the picture is covered: measured by predicting
 * covered pictures, no gradients. The cover is the mean of each channel of this picture. */
struct am_occlusion {
    struct am_floats x; /* the model's input of one row */
    size_t patch,
        stride; /* of the square, in pixels; 0 = a sixth of the shorter side, half of it */
    /* x: [n, height * width * channels]; p: [n] of the class looked at. n is at most 32. */
    enum am_rc (*predict)(void *ctx, const float *x, size_t n, float *p, struct am_err *err);
    void *ctx;
};
/* heat: [height, width], the mean fall over all squares that cover the pixel; may be negative. */
enum am_rc am_saliency_occlusion(const struct am_occlusion *o, float *heat,
                                 struct am_err *err) AM_MUST_CHECK;
/* The picture in grey with what matters in red (and what speaks against it in blue). */
enum am_rc am_picture_heat(const struct am_floats *x, const float *heat, uint32_t max_side,
                           struct am_arena *a, struct am_str *out,
                           struct am_err *err) AM_MUST_CHECK;

#endif
