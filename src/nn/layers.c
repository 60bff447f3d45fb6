/* Layer builders: only am_graph_param and am_graph_add calls. Errors stick in the graph. */
#include "nn/layers.h"

#include <math.h>
#include <stdio.h>

#include "nn/ops/op.h"

static am_value param(struct am_graph *g, const char *layer, const char *what, struct am_dims dims,
                      enum am_init init, float scale, unsigned flags)
{
    char name[AM_LIMIT_NAME_BYTES + 32];
    const struct am_param_spec spec = {init, scale, flags};
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return am_graph_param(g, name, dims, &spec);
}

/* Columns of x, or 0 after an earlier error. */
static int64_t width_of(const struct am_graph *g, am_value x)
{
    const struct am_gnode *n = am_graph_node(g, x);
    return n ? (int64_t)am_dims_cols(&n->dims) : 0;
}

am_value am_layer_activation(struct am_graph *g, am_value x, enum am_act act, float alpha)
{
    if (act == AM_ACT_NONE)
        return x;
    if (act == AM_ACT_SOFTMAX)
        return am_graph_add(g, &am_op_softmax, &x, 1, NULL, NULL);
    if (alpha == 0.0f)
        alpha = act == AM_ACT_LEAKY_RELU ? 0.01f : 1.0f;
    const struct am_attr attr = {.act = act, .f = {alpha}};
    return am_graph_add(g, &am_op_act, &x, 1, &attr, NULL);
}

am_value am_layer_dense(struct am_graph *g, am_value x, int64_t n_units,
                        const struct am_dense_options *o, const char *name)
{
    const int64_t n_in = width_of(g, x);
    if (n_in == 0 || n_units < 1) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs an input and at least one unit, not %lld",
                      name, (long long)n_units);
        return AM_VALUE_NONE;
    }
    am_value in[3] = {x};
    in[1] =
        param(g, name, "weight", am_dims2(n_in, n_units), o->init, o->init_scale, AM_PARAM_DECAY);
    in[2] = o->bias == AM_BIAS_YES
                ? param(g, name, "bias", am_dims1(n_units), AM_INIT_ZEROS, 0.0f, 0)
                : AM_VALUE_NONE;
    am_value y = am_graph_add(g, &am_op_linear, in, 3, NULL, name);
    return am_layer_activation(g, y, o->act, o->alpha);
}

am_value am_layer_dropout(struct am_graph *g, am_value x, float rate)
{
    const struct am_attr attr = {.f = {rate}};
    return am_graph_add(g, &am_op_dropout, &x, 1, &attr, NULL);
}

am_value am_layer_batch_norm(struct am_graph *g, am_value x, float eps, float momentum,
                             const char *name)
{
    const struct am_dims d = am_dims1(width_of(g, x));
    const struct am_attr attr = {.f = {eps, momentum}};
    const am_value in[5] = {x, param(g, name, "weight", d, AM_INIT_ONES, 0.0f, 0),
                            param(g, name, "bias", d, AM_INIT_ZEROS, 0.0f, 0),
                            param(g, name, "running_mean", d, AM_INIT_ZEROS, 0.0f, AM_PARAM_STATE),
                            param(g, name, "running_var", d, AM_INIT_ONES, 0.0f, AM_PARAM_STATE)};
    return am_graph_add(g, &am_op_batch_norm, in, 5, &attr, name);
}

am_value am_layer_layer_norm(struct am_graph *g, am_value x, float eps, const char *name)
{
    const struct am_dims d = am_dims1(width_of(g, x));
    const struct am_attr attr = {.f = {eps}};
    const am_value in[3] = {x, param(g, name, "weight", d, AM_INIT_ONES, 0.0f, 0),
                            param(g, name, "bias", d, AM_INIT_ZEROS, 0.0f, 0)};
    return am_graph_add(g, &am_op_layer_norm, in, 3, &attr, name);
}

am_value am_layer_embedding(struct am_graph *g, am_value ids, int64_t n_ids, int64_t width,
                            const char *name)
{
    const float scale = width > 0 ? 1.0f / sqrtf((float)width) : 0.0f;
    const am_value in[2] = {ids, param(g, name, "weight", am_dims2(n_ids, width), AM_INIT_NORMAL,
                                       scale, AM_PARAM_DECAY)};
    return am_graph_add(g, &am_op_embedding, in, 2, NULL, name);
}

am_value am_layer_add(struct am_graph *g, am_value a, am_value b)
{
    const am_value in[2] = {a, b};
    return am_graph_add(g, &am_op_add, in, 2, NULL, NULL);
}

am_value am_layer_mul(struct am_graph *g, am_value a, am_value b)
{
    const am_value in[2] = {a, b};
    return am_graph_add(g, &am_op_mul, in, 2, NULL, NULL);
}

am_value am_layer_scale(struct am_graph *g, am_value x, float factor, float shift)
{
    const struct am_attr attr = {.f = {factor, shift}};
    return am_graph_add(g, &am_op_scale, &x, 1, &attr, NULL);
}

am_value am_layer_concat(struct am_graph *g, const am_value *parts, size_t n)
{
    return am_graph_add(g, &am_op_concat, parts, (unsigned)(n > AM_GRAPH_INPUTS_MAX ? 0 : n), NULL,
                        NULL);
}

am_value am_layer_columns(struct am_graph *g, am_value x, int64_t first, int64_t n)
{
    const struct am_attr attr = {.i = {first, n}};
    return am_graph_add(g, &am_op_columns, &x, 1, &attr, NULL);
}
