/* Builders of the sequence layers: parameters, one linear over all steps, the recurrent op, and
 * what returns the last state. Errors stick in the graph. */
#include "nn/layers_seq.h"

#include <math.h>
#include <stdio.h>

#include "nn/layers.h"
#include "nn/ops/op.h"

static am_value uniform(struct am_graph *g, struct am_dims dims, float scale, unsigned flags,
                        const char *layer, const char *what, const char *ending)
{
    char name[AM_LIMIT_NAME_BYTES + 64];
    const struct am_param_spec spec = {scale > 0.0f ? AM_INIT_UNIFORM : AM_INIT_ZEROS, scale,
                                       flags};
    snprintf(name, sizeof name, "%s.%s%s", layer, what, ending);
    return am_graph_param(g, name, dims, &spec);
}

/* Whether x is a sequence; records an error when it is not. */
static bool is_sequence(struct am_graph *g, am_value x, int64_t n_units, const char *name)
{
    const struct am_gnode *n = am_graph_node(g, x);
    char dims[AM_DIMS_CHARS];
    if (n && n->dims.rank == 3 && am_dims_batched(&n->dims) && n_units >= 1 &&
        n_units <= (int64_t)(AM_LIMIT_TENSOR_BYTES / 64))
        return true;
    am_graph_fail(g, AM_EINVAL,
                  "layer \"%s\" needs a sequence [B,T,C] and at least one unit, not %s and %lld",
                  name, n ? am_dims_print(&n->dims, dims) : "nothing", (long long)n_units);
    return false;
}

struct cell {
    const struct am_op *op;
    int64_t gates;
};

static am_value one_direction(struct am_graph *g, am_value x, int64_t n_units,
                              const struct cell *cell, const struct am_seq_options *o,
                              const char *name, unsigned layer, bool backwards)
{
    char ending[24];
    snprintf(ending, sizeof ending, "_l%u%s", layer, backwards ? "_reverse" : "");
    if (!is_sequence(g, x, n_units, name))
        return AM_VALUE_NONE;
    const int64_t width = am_graph_node(g, x)->dims.d[2], gates = cell->gates * n_units;
    const float scale = 1.0f / sqrtf((float)n_units);
    const unsigned decay = AM_PARAM_DECAY;
    am_value in[4] = {x};
    in[1] = uniform(g, am_dims2(width, gates), scale, decay, name, "weight_ih", ending);
    const am_value weight =
        uniform(g, am_dims2(n_units, gates), scale, decay, name, "weight_hh", ending);
    in[2] = uniform(g, am_dims1(gates), scale, 0, name, "bias_ih", ending);
    const am_value bias = uniform(g, am_dims1(gates), scale, 0, name, "bias_hh", ending);
    in[0] = am_graph_add(g, &am_op_linear, in, 3, NULL, name);
    in[1] = weight;
    in[2] = bias;
    in[3] = o->lengths;
    const struct am_attr attr = {.act = o->act == AM_ACT_NONE ? AM_ACT_TANH : o->act,
                                 .i = {backwards}};
    return am_graph_add(g, cell->op, in, 4, &attr, name);
}

/* Steps, or the state after the last: the backward direction ends at a row's first step. */
static am_value returned(struct am_graph *g, am_value h, const struct am_seq_options *o, bool whole,
                         bool backwards)
{
    if (whole)
        return h;
    return am_layer_seq_pool(g, h, backwards ? AM_SEQ_POOL_FIRST : AM_SEQ_POOL_LAST, o->lengths);
}

static am_value recurrent(struct am_graph *g, am_value x, int64_t n_units, struct cell cell,
                          const struct am_seq_options *o, const char *name)
{
    const unsigned n_layers = o->n_layers ? o->n_layers : 1;
    for (unsigned k = 0; k < n_layers; k++) {
        const bool whole = k + 1 < n_layers || o->returns == AM_SEQ_STEPS;
        am_value parts[2];
        size_t n = 0;
        for (int backwards = 0; backwards < 2; backwards++) {
            if (o->direction != AM_SEQ_BIDIRECTIONAL &&
                backwards != (o->direction == AM_SEQ_BACKWARD))
                continue;
            am_value h = one_direction(g, x, n_units, &cell, o, name, k, backwards != 0);
            parts[n++] = returned(g, h, o, whole, backwards != 0);
        }
        x = n == 2 ? am_layer_concat(g, parts, 2) : parts[0];
        if (k + 1 < n_layers && o->dropout > 0.0f)
            x = am_layer_dropout(g, x, o->dropout);
    }
    return x;
}

am_value am_layer_rnn(struct am_graph *g, am_value x, int64_t n_units,
                      const struct am_seq_options *o, const char *name)
{
    return recurrent(g, x, n_units, (struct cell){&am_op_rnn, 1}, o, name);
}

am_value am_layer_lstm(struct am_graph *g, am_value x, int64_t n_units,
                       const struct am_seq_options *o, const char *name)
{
    return recurrent(g, x, n_units, (struct cell){&am_op_lstm, 4}, o, name);
}

am_value am_layer_gru(struct am_graph *g, am_value x, int64_t n_units,
                      const struct am_seq_options *o, const char *name)
{
    return recurrent(g, x, n_units, (struct cell){&am_op_gru, 3}, o, name);
}

am_value am_layer_lengths(struct am_graph *g, am_value ids)
{
    return am_graph_add(g, &am_op_seq_lengths, &ids, 1, NULL, NULL);
}

am_value am_layer_seq_pool(struct am_graph *g, am_value x, enum am_seq_pool kind, am_value lengths)
{
    const am_value in[2] = {x, lengths};
    const struct am_attr attr = {.i = {(int64_t)kind}};
    return am_graph_add(g, &am_op_seq_pool, in, 2, &attr, NULL);
}

am_value am_layer_attention_pool(struct am_graph *g, am_value x, int64_t n_units, am_value lengths,
                                 const char *name)
{
    if (!is_sequence(g, x, n_units ? n_units : 1, name))
        return AM_VALUE_NONE;
    const int64_t width = am_graph_node(g, x)->dims.d[2];
    n_units = n_units ? n_units : width;
    const float in_scale = sqrtf(6.0f / (float)(width + n_units)); /* Glorot and Bengio 2010 */
    am_value in[3] = {x};
    in[1] = uniform(g, am_dims2(width, n_units), in_scale, AM_PARAM_DECAY, name, "weight", "");
    in[2] = uniform(g, am_dims1(n_units), 0.0f, 0, name, "bias", "");
    const am_value hidden =
        am_layer_activation(g, am_graph_add(g, &am_op_linear, in, 3, NULL, name), AM_ACT_TANH, 0);
    const am_value score[2] = {hidden,
                               uniform(g, am_dims2(n_units, 1), sqrtf(6.0f / (float)(n_units + 1)),
                                       AM_PARAM_DECAY, name, "query", "")};
    in[1] = am_graph_add(g, &am_op_linear, score, 2, NULL, name);
    in[2] = lengths;
    return am_graph_add(g, &am_op_seq_attend, in, 3, NULL, name);
}

am_value am_layer_seq_reverse(struct am_graph *g, am_value x, am_value lengths)
{
    const am_value in[2] = {x, lengths};
    return am_graph_add(g, &am_op_seq_reverse, in, 2, NULL, NULL);
}
