/* What convolution's op files share: geometry from a node's attributes, and a pass over images.
 *
 * attr.i: 0,1 kernel (height, width); 2,3 stride; 4,5 zeros before; 6,7 zeros after; 8,9 dilation;
 * 10 groups; 11,12 height and width of the convolution's input, set by infer; 13,14 output padding
 * (transposed). A sequence [B,T,C] is a picture of height 1. Nothing here allocates. */
#ifndef AM_NN_CONV_INT_H
#define AM_NN_CONV_INT_H

#include "nn/ops/op.h"
#include "tensor/conv.h"

#define AM_CONV_TAPS_MAX 4096 /* kernel height times width */
#define AM_CONV_SLOTS 16      /* chunks of a pass, each with its own band of padded rows */

struct am_conv_geo {
    size_t h, w, c;   /* input of the convolution */
    size_t oh, ow, n; /* its output */
    size_t kh, kw, sh, sw, top, left, dh, dw, groups;
};
/* c and n as given; the rest from the attributes that infer checked. */
struct am_conv_geo am_conv_geo(const struct am_attr *a, size_t c, size_t n);
static inline bool am_conv_is_depthwise(const struct am_conv_geo *q)
{
    return q->groups > 1 && q->groups == q->c && q->n == q->c;
}

/* Which source rows a band needs, and where zeros have to be put around them. */
struct am_conv_window {
    ptrdiff_t y, x;    /* of the first tap, from a pixel's place; often negative */
    size_t tall, wide; /* of all taps together */
    size_t step_y, step_x;
    size_t band;         /* output rows of a unit of work */
    size_t bands;        /* units of an image */
    size_t cols, floats; /* of the padded band; 0 = read straight from the image */
};
/* Rows of a unit so that a padded band stays in the cache and there is work to share out. */
void am_conv_window_size(struct am_conv_window *v, size_t src_h, size_t src_w, size_t src_c,
                         size_t oh, size_t ow, size_t batch);
/* Rows row0..row0+n of the output need this; copies them with zeros around into `to`. */
void am_conv_band(const struct am_conv_window *v, const float *image, size_t h, size_t w, size_t c,
                  size_t row0, size_t n, float *to);
/* Floats of scratch for the padded bands, for any batch. */
size_t am_conv_slots(const struct am_conv_window *v, size_t src_c, size_t oh);
/* The window of the convolution itself over its input. */
struct am_conv_window am_conv_window_of(const struct am_conv_geo *q, size_t batch);

/* dst = act(correlation of src by the transposed weight + bias): the gradient by the input and the
 * transposed convolution. */
struct am_conv_back {
    struct am_conv_geo q;
    const float *dy, *w;
    float *dx;
    const float *bias;
    enum am_act act;
    float alpha;
    size_t batch;
};
void am_conv_back_run(const struct am_run *r, const struct am_conv_back *b, float *scratch);
size_t am_conv_back_scratch(const struct am_conv_geo *q);

#endif
