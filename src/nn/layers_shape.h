/* Layers that move, pool and resize: builders for pictures [B,H,W,C], sequences [B,T,C] and token
 * ids [B,T], channels last.
 *
 * Every function returns the new value, or AM_VALUE_NONE after an error (graph.h: errors stick).
 * `name` stands in shape errors and prefixes parameters; where there are none it may be NULL.
 * Dimensions of "one row" are those after the batch. Activations, dropout, add, mul, scale, concat
 * (on the last axis) and batch norm of layers.h take any rank. Any graph; one thread. */
#ifndef AM_NN_LAYERS_SHAPE_H
#define AM_NN_LAYERS_SHAPE_H

#include "nn/layers.h"

/* The same numbers in the same order with other dimensions of a row; no copy in the plan. One of
 * dims may be -1: what is left. n in 1..7. */
am_value am_layer_reshape(struct am_graph *g, am_value x, const int64_t *dims, unsigned n,
                          const char *name);
/* [B,T,...] -> [TB,...]: each frame of a row becomes a row of its own, so that all layers see
 * frames; and back, T from what was split. Views, no copy. Values of frames and of whole rows do
 * not go into one layer. */
am_value am_layer_split_frames(struct am_graph *g, am_value x, const char *name);
am_value am_layer_join_frames(struct am_graph *g, am_value x, const char *name);
am_value am_layer_flatten(struct am_graph *g, am_value x, const char *name); /* -> [B, n] */
/* Row dimension i of the result is row dimension order[i] of x (0 = the first after the batch);
 * n = all of them. */
am_value am_layer_permute(struct am_graph *g, am_value x, const unsigned *order, unsigned n,
                          const char *name);
/* first[i] and count[i] of row dimension i; n = all of them. */
am_value am_layer_slice(struct am_graph *g, am_value x, const int64_t *first, const int64_t *count,
                        unsigned n, const char *name);
/* before[i] and after[i] zeros on both sides of row dimension i; n = all of them. */
am_value am_layer_pad(struct am_graph *g, am_value x, const int64_t *before, const int64_t *after,
                      unsigned n, const char *name);

enum am_resample { AM_RESAMPLE_NEAREST, AM_RESAMPLE_BILINEAR }; /* PyTorch, align_corners=False */
/* [B,H,W,C] -> [B,H*factor[0],W*factor[1],C]; [B,T,C] -> [B,T*factor[1],C]. */
am_value am_layer_upsample(struct am_graph *g, am_value x, enum am_resample how,
                           const int64_t factor[2], const char *name);
/* To a given size; also smaller (no smoothing before). [B,T,C]: size[1] is the new T. */
am_value am_layer_resize(struct am_graph *g, am_value x, enum am_resample how,
                         const int64_t size[2], const char *name);

enum am_pooling { AM_POOLING_MAX, AM_POOLING_AVERAGE };
struct am_pool_options {
    enum am_pooling how;
    int64_t kernel[2];  /* height, width */
    int64_t stride[2];  /* 0 = the kernel */
    int64_t padding[2]; /* on both sides; at most half the kernel; never the maximum */
    bool skip_pad;      /* average: divide by the places inside the picture (PyTorch's
                           count_include_pad=False) */
};
/* [B,H,W,C] -> [B,(H+2p-k)/s+1,(W+2p-k)/s+1,C], rounded down. A gradient goes to the first of equal
 * maxima (rows, then columns). */
am_value am_layer_pool2d(struct am_graph *g, am_value x, const struct am_pool_options *o,
                         const char *name);
/* [B,T,C] -> [B,(T+2p-k)/s+1,C]; uses kernel[0], stride[0], padding[0]. */
am_value am_layer_pool1d(struct am_graph *g, am_value x, const struct am_pool_options *o,
                         const char *name);
/* Over all dimensions but batch and last: [B,...,C] -> [B,C]. */
am_value am_layer_global_pool(struct am_graph *g, am_value x, enum am_pooling how,
                              const char *name);

/* [B,...,C]: mean and variance of each row over its group of C / n_groups channels and all
 * positions; "name.weight" and "name.bias" [C]. n_groups divides C; 1 = all, C = instance norm. */
am_value am_layer_group_norm(struct am_graph *g, am_value x, int64_t n_groups, float eps,
                             const char *name);
/* Whole channels of a row are dropped: one draw for each row and channel. Nothing at inference. */
am_value am_layer_dropout2d(struct am_graph *g, am_value x, float rate);
/* ids [B,T] (whole numbers as floats) -> [B,T,width]. Id 0 is padding: zeros and no gradient, as
 * for ids outside 0..n_ids-1. "name.weight" [n_ids, width], normal with deviation
 * 1 / sqrt(width). */
am_value am_layer_tokens(struct am_graph *g, am_value ids, int64_t n_ids, int64_t width,
                         const char *name);

#endif
