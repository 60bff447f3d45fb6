/* Layers: builders that append the usual blocks to a graph and declare their parameters.
 *
 * Every function returns the new value, or AM_VALUE_NONE after an error (graph.h: errors stick).
 * `name` prefixes the parameters: "fc1" makes "fc1.weight" and "fc1.bias". x is [B, n] throughout.
 * One thread. */
#ifndef AM_NN_LAYERS_H
#define AM_NN_LAYERS_H

#include "nn/graph.h"

enum am_bias { AM_BIAS_YES, AM_BIAS_NO };

struct am_dense_options {
    enum am_act act; /* AM_ACT_NONE..AM_ACT_SOFTMAX */
    float alpha;     /* leaky relu: slope (0 = 0.01); elu: alpha (0 = 1) */
    enum am_bias bias;
    enum am_init init; /* of the weight; AM_INIT_ZEROS really means zeros */
    float init_scale;
};
/* weight [n_in, n_units] (y = x W + b; the transpose of PyTorch's), bias [n_units]. */
am_value am_layer_dense(struct am_graph *g, am_value x, int64_t n_units,
                        const struct am_dense_options *o, const char *name);
/* alpha as above; SOFTMAX is over the last dimension. NONE returns x. */
am_value am_layer_activation(struct am_graph *g, am_value x, enum am_act act, float alpha);
/* Inverted dropout: rate in [0, 1) is the share dropped; nothing at inference. */
am_value am_layer_dropout(struct am_graph *g, am_value x, float rate);
/* weight, bias, running_mean, running_var, all [n]; momentum is the weight of the new batch
 * (PyTorch's convention, 0.1); the running variance is unbiased. */
am_value am_layer_batch_norm(struct am_graph *g, am_value x, float eps, float momentum,
                             const char *name);
am_value am_layer_layer_norm(struct am_graph *g, am_value x, float eps, const char *name);
/* ids [B, f] (whole numbers as floats) -> [B, f * width]; an id outside 0..n_ids-1 gives zeros.
 * weight [n_ids, width], normal with deviation 1 / sqrt(width). */
am_value am_layer_embedding(struct am_graph *g, am_value ids, int64_t n_ids, int64_t width,
                            const char *name);
am_value am_layer_add(struct am_graph *g, am_value a, am_value b);
am_value am_layer_mul(struct am_graph *g, am_value a, am_value b);
am_value am_layer_scale(struct am_graph *g, am_value x, float factor,
                        float shift); /* x * factor + shift */
am_value am_layer_concat(struct am_graph *g, const am_value *parts, size_t n); /* n in 1..8 */
am_value am_layer_columns(struct am_graph *g, am_value x, int64_t first,
                          int64_t n); /* x[:, first:first+n] */

const char *am_act_name(enum am_act a); /* "relu"; static */
bool am_act_parse(struct am_str s, enum am_act *out);

#endif
