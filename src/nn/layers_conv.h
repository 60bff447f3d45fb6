/* Convolution layers: builders over the ops of ops/conv.c. Everything is channels-last: a picture
 * is [B,H,W,C], a sequence [B,T,C].
 *
 * Same rules as layers.h: the new value, or AM_VALUE_NONE after an error that sticks in the graph;
 * `name` prefixes the parameters ("c1.weight", "c1.bias"). Messages name the layer and the shapes.
 * One thread. */
#ifndef AM_NN_LAYERS_CONV_H
#define AM_NN_LAYERS_CONV_H

#include "nn/layers.h"

/* Pairs are {height, width}; conv1d reads the first number of each. 0 in stride, dilation or groups
 * means 1. */
struct am_conv_options {
    int64_t kernel[2];  /* >= 1 */
    int64_t stride[2];  /* >= 1 */
    int64_t padding[2]; /* zeros on both sides; ignored with `same` */
    bool same; /* output = ceil(input / stride); an odd zero goes to the end, as TensorFlow does */
    int64_t dilation[2];
    int64_t groups;            /* divides channels in and out; depthwise = channels in */
    int64_t output_padding[2]; /* transposed only: < stride; lengthens the output's end */
    enum am_act act;
    float alpha; /* as in am_dense_options */
    enum am_bias bias;
    enum am_init init;
    float init_scale;
};

/* x [B,H,W,C] -> [B,OH,OW,n_filters], OH = (H + padding - dilation (kernel - 1) - 1) / stride + 1.
 * weight [kh * kw * C / groups, n_filters], row (ky * kw + kx) * (C / groups) + c; bias
 * [n_filters]. */
am_value am_layer_conv2d(struct am_graph *g, am_value x, int64_t n_filters,
                         const struct am_conv_options *o, const char *name);
/* x [B,T,C] -> [B,OT,n_filters]. */
am_value am_layer_conv1d(struct am_graph *g, am_value x, int64_t n_filters,
                         const struct am_conv_options *o, const char *name);
/* The gradient of conv2d with respect to its input, as a layer (PyTorch's ConvTranspose2d):
 * OH = (H - 1) stride - 2 padding + dilation (kernel - 1) + 1 + output_padding; with `same`
 * OH = H stride. weight [kh * kw * n_filters / groups, C]: that of the convolution from n_filters
 * to C channels. */
am_value am_layer_conv2d_transposed(struct am_graph *g, am_value x, int64_t n_filters,
                                    const struct am_conv_options *o, const char *name);

/* The weight of the graph's first convolution: its parameter's name (lives as long as the graph)
 * and sizes (c_in of one group). false: there is none. */
struct am_conv_filters {
    struct am_str name;
    size_t kernel_h, kernel_w, c_in, c_out;
};
bool am_layer_first_conv(const struct am_graph *g, struct am_conv_filters *out);

#endif
