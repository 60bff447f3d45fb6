/* Where PyTorch counts the numbers of a row in another order than we do.
 *
 * Its pictures are [channels, places], ours [places, channels]. As long as a value is a picture
 * nobody needs to know; once it is flattened, or before it becomes a picture, the order of its
 * features is part of the weights beside it. A property of values, found by following the graph
 * forwards from flattening and backwards from unflattening. */
#include "nn/graph_int.h"
#include "nn/train_weights_int.h"

static bool is_one_of(const struct am_op *op, const struct am_op *const *list)
{
    while (*list && *list != op)
        list++;
    return *list != NULL;
}

/* The output's features are the input's, one by one. */
static bool keeps_order(const struct am_op *op)
{
    static const struct am_op *const list[] = {
        &am_op_act,       &am_op_softmax,    &am_op_scale,      &am_op_dropout,
        &am_op_dropout2d, &am_op_batch_norm, &am_op_layer_norm, NULL};
    return is_one_of(op, list);
}

/* A sequence that PyTorch has as [channels, steps]: of a convolution, as it goes on. */
static bool keeps_channels_first(const struct am_op *op)
{
    static const struct am_op *const list[] = {&am_op_max_pool,
                                               &am_op_average_pool,
                                               &am_op_group_norm,
                                               &am_op_add,
                                               &am_op_mul,
                                               &am_op_slice,
                                               &am_op_pad,
                                               &am_op_upsample_nearest,
                                               &am_op_concat,
                                               &am_op_columns,
                                               &am_op_upsample_bilinear,
                                               NULL};
    return keeps_order(op) || is_one_of(op, list);
}

static bool channels_first(const struct am_graph *g, am_value v)
{
    for (;;) {
        const struct am_gnode *n = &g->nodes.ptr[v];
        if (n->dims.rank == 4 || n->op == &am_op_conv || n->op == &am_op_conv_transposed)
            return true;
        if (n->dims.rank != 3 || !keeps_channels_first(n->op))
            return false;
        v = n->in[0];
    }
}

static bool feeds_conv(const struct am_graph *g, am_value v)
{
    for (size_t i = v; i < g->nodes.len; i++)
        if (g->nodes.ptr[i].op == &am_op_conv && g->nodes.ptr[i].in[0] == v)
            return true;
    return false;
}

/* Places of a picture or sequence: all dimensions but the batch and the channels. */
static size_t places_of(const struct am_dims *d)
{
    size_t n = 1;
    for (unsigned i = 1; i + 1 < d->rank; i++)
        n *= (size_t)d->d[i];
    return n;
}

static size_t forward(const struct am_graph *g, size_t v, size_t input_places, const size_t *places)
{
    const struct am_gnode *n = &g->nodes.ptr[v];
    if (n->dims.rank != 2)
        return 1;
    if (n->op == &am_op_input)
        return am_str_is(n->name, "x") && input_places ? input_places : 1;
    if (n->op == &am_op_reshape) {
        const struct am_dims *from = &g->nodes.ptr[n->in[0]].dims;
        if (from->rank == 2)
            return places[n->in[0]];
        if (from->rank > 4) /* pictures of pictures: more than one order */
            return 0;
        return channels_first(g, n->in[0]) ? places_of(from) : 1;
    }
    if (keeps_order(n->op))
        return places[n->in[0]];
    if (n->op == &am_op_add || n->op == &am_op_mul)
        return places[n->in[0]] == places[n->in[1]] ? places[n->in[0]] : 0;
    for (unsigned k = 0; (n->op == &am_op_concat || n->op == &am_op_columns) && k < n->n_in; k++)
        if (places[n->in[k]] != 1)
            return 0;
    return 1;
}

static void backward(const struct am_graph *g, size_t v, size_t *places)
{
    const struct am_gnode *n = &g->nodes.ptr[v];
    size_t p = places[v], *in;
    if (n->n_in == 0 || n->in[0] == AM_VALUE_NONE)
        return;
    in = &places[n->in[0]];
    if (n->op == &am_op_reshape && n->dims.rank > 2 && g->nodes.ptr[n->in[0]].dims.rank == 2 &&
        (n->dims.rank == 4 || feeds_conv(g, (am_value)v)))
        p = places_of(&n->dims);
    else if (n->dims.rank != 2 || (!keeps_order(n->op) && n->op != &am_op_reshape))
        return;
    if (p != 1 && *in != p && g->nodes.ptr[n->in[0]].dims.rank == 2)
        *in = *in == 1 ? p : 0;
}

void am_weights_places(const struct am_graph *g, size_t input_places, size_t *places)
{
    for (size_t v = 0; v < g->nodes.len; v++)
        places[v] = forward(g, v, input_places, places);
    for (size_t v = g->nodes.len; v-- > 0;)
        backward(g, v, places);
}
