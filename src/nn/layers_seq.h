/* Layers over sequences [B,T,C], channels last: recurrent layers, pooling over time, attention
 * pooling, reversal.
 *
 * Every function returns the new value, or AM_VALUE_NONE after an error (graph.h: errors stick).
 * `lengths` is a value [B,1] of whole numbers (am_layer_lengths, or any input), AM_VALUE_NONE = all
 * steps; it is cut to 0..T. A step at or beyond a row's length is padding: it leaves the state
 * alone, its output is 0, and it has no gradient. Equations, order of gates and names of parameters
 * are PyTorch's; a weight is the transpose of PyTorch's. One thread. */
#ifndef AM_NN_LAYERS_SEQ_H
#define AM_NN_LAYERS_SEQ_H

#include "nn/graph.h"

enum am_seq_return {
    AM_SEQ_LAST,  /* [B, H]: the state after a row's last step, 0 for a row of length 0 */
    AM_SEQ_STEPS, /* [B, T, H]: the state after each step */
};
enum am_seq_direction {
    AM_SEQ_FORWARD,
    AM_SEQ_BACKWARD,      /* from a row's last step to its first; outputs stay at their steps */
    AM_SEQ_BIDIRECTIONAL, /* both: H is 2 n_units, forward first */
};

struct am_seq_options {
    enum am_seq_return returns;
    enum am_seq_direction direction;
    unsigned n_layers; /* 0 = 1; each runs over all steps of the one below */
    float dropout;     /* between layers, rate in [0, 1) */
    am_value lengths;  /* [B,1]; AM_VALUE_NONE = all steps (0 would be node 0: always set it) */
    enum am_act act;   /* am_layer_rnn: AM_ACT_NONE = tanh, AM_ACT_TANH, AM_ACT_RELU */
};

/* Parameters of layer k: NAME.weight_ih_lk [C, G n_units], NAME.weight_hh_lk [n_units, G n_units],
 * NAME.bias_ih_lk and NAME.bias_hh_lk [G n_units], "_reverse" behind for the backward direction;
 * all uniform in +-1/sqrt(n_units). G and the order of gates: rnn 1; lstm 4 (i f g o); gru 3 (r z
 * n, the reset applied after the product with the state). */
am_value am_layer_rnn(struct am_graph *g, am_value x, int64_t n_units,
                      const struct am_seq_options *o, const char *name);
am_value am_layer_lstm(struct am_graph *g, am_value x, int64_t n_units,
                       const struct am_seq_options *o, const char *name);
am_value am_layer_gru(struct am_graph *g, am_value x, int64_t n_units,
                      const struct am_seq_options *o, const char *name);

/* Token ids [B,T] -> [B,1]: how many are not 0. */
am_value am_layer_lengths(struct am_graph *g, am_value ids);

enum am_seq_pool { AM_SEQ_POOL_MEAN, AM_SEQ_POOL_MAX, AM_SEQ_POOL_LAST, AM_SEQ_POOL_FIRST };
/* [B,T,C] -> [B,C] over a row's own steps; 0 for a row of length 0. */
am_value am_layer_seq_pool(struct am_graph *g, am_value x, enum am_seq_pool kind, am_value lengths);
/* [B,T,C] -> [B,C]: sum of softmax over a row's steps of (tanh(x W + b) . q), times x (Yang et al.
 * 2016). NAME.weight [C, n_units], NAME.bias [n_units], NAME.query [n_units, 1]; n_units 0 = C. */
am_value am_layer_attention_pool(struct am_graph *g, am_value x, int64_t n_units, am_value lengths,
                                 const char *name);
/* Each row's own steps in reverse order; steps beyond its length stay where they are. */
am_value am_layer_seq_reverse(struct am_graph *g, am_value x, am_value lengths);

#endif
