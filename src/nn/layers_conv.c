/* Convolution builders: resolve defaults and `same`, declare parameters, append one node. Errors
 * stick in the graph. */
#include "nn/layers_conv.h"

#include <stdio.h>

#include "nn/ops/op.h"

#define SIZE_MAX_WANTED 4096

struct plan_of_layer {
    struct am_graph *g;
    const struct am_conv_options *o;
    const char *name;
    am_value x;
    int64_t n_filters, channels;
    bool transposed;
};

static am_value param(struct am_graph *g, const char *layer, const char *what, struct am_dims dims,
                      enum am_init init, float scale, unsigned flags)
{
    char name[AM_LIMIT_NAME_BYTES + 32];
    const struct am_param_spec spec = {init, scale, flags};
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return am_graph_param(g, name, dims, &spec);
}

/* Zeros on both sides so that the output is ceil(size / stride), or size * stride transposed. */
static void same_padding(const struct plan_of_layer *l, int64_t *i, unsigned axis, int64_t size)
{
    const int64_t reach = i[8 + axis] * (i[axis] - 1) + 1, stride = i[2 + axis];
    const int64_t out = (size + stride - 1) / stride;
    int64_t total = l->transposed ? reach - stride : (out - 1) * stride + reach - size;
    if (l->transposed && total < 0) {
        i[13 + axis] = -total;
        total = 0;
    }
    total = total < 0 ? 0 : total;
    i[4 + axis] = total / 2;
    i[6 + axis] = total - total / 2;
}

/* false after recording what is wrong. */
static bool fill_attr(const struct plan_of_layer *l, const int64_t size[2], struct am_attr *a)
{
    const struct am_conv_options *o = l->o;
    for (unsigned k = 0; k < 2; k++) {
        a->i[k] = o->kernel[k];
        a->i[2 + k] = o->stride[k] == 0 ? 1 : o->stride[k];
        a->i[4 + k] = a->i[6 + k] = o->padding[k];
        a->i[8 + k] = o->dilation[k] == 0 ? 1 : o->dilation[k];
        a->i[13 + k] = o->output_padding[k];
        if (a->i[k] < 1 || a->i[k] > SIZE_MAX_WANTED || a->i[2 + k] < 1 ||
            a->i[2 + k] > SIZE_MAX_WANTED || a->i[8 + k] < 1 || a->i[8 + k] > SIZE_MAX_WANTED) {
            am_graph_fail(l->g, AM_EINVAL,
                          "layer \"%s\": kernel %lld, stride %lld and dilation %lld must be from 1 "
                          "to %d",
                          l->name, (long long)a->i[k], (long long)a->i[2 + k],
                          (long long)a->i[8 + k], SIZE_MAX_WANTED);
            return false;
        }
        if (o->same)
            same_padding(l, a->i, k, size[k]);
    }
    a->i[10] = o->groups == 0 ? 1 : o->groups;
    if (a->i[10] < 1 || l->channels % a->i[10] != 0 || l->n_filters % a->i[10] != 0) {
        am_graph_fail(l->g, AM_EINVAL,
                      "layer \"%s\": %lld groups do not divide %lld channels and %lld filters",
                      l->name, (long long)a->i[10], (long long)l->channels,
                      (long long)l->n_filters);
        return false;
    }
    return true;
}

static am_value append(const struct plan_of_layer *l, const int64_t size[2])
{
    struct am_attr attr = {0};
    const struct am_conv_options *o = l->o;
    if (!fill_attr(l, size, &attr))
        return AM_VALUE_NONE;
    const int64_t inner = l->transposed ? l->n_filters : l->channels;
    const int64_t outer = l->transposed ? l->channels : l->n_filters;
    const struct am_dims w = am_dims2(attr.i[0] * attr.i[1] * (inner / attr.i[10]), outer);
    am_value in[3] = {l->x};
    in[1] = param(l->g, l->name, "weight", w, o->init, o->init_scale, AM_PARAM_DECAY);
    in[2] = o->bias == AM_BIAS_YES
                ? param(l->g, l->name, "bias", am_dims1(l->n_filters), AM_INIT_ZEROS, 0.0f, 0)
                : AM_VALUE_NONE;
    const struct am_op *op = l->transposed ? &am_op_conv_transposed : &am_op_conv;
    return am_layer_activation(l->g, am_graph_add(l->g, op, in, 3, &attr, l->name), o->act,
                               o->alpha);
}

/* rank 4: a picture; rank 3: a sequence. */
static am_value build(struct am_graph *g, am_value x, int64_t n_filters,
                      const struct am_conv_options *o, const char *name, unsigned rank,
                      bool transposed)
{
    const struct am_gnode *node = am_graph_node(g, x);
    char dims[AM_DIMS_CHARS];
    if (!node) /* after an earlier error */
        return am_graph_add(g, &am_op_conv, (am_value[]){x, x}, 2, NULL, name);
    const struct am_dims d = node->dims;
    if (d.rank != rank || !am_dims_batched(&d)) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs an input %s, not %s", name,
                      rank == 4 ? "[B,H,W,C]" : "[B,T,C]", am_dims_print(&d, dims));
        return AM_VALUE_NONE;
    }
    if (n_filters < 1 || n_filters > INT32_MAX) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs at least one filter, not %lld", name,
                      (long long)n_filters);
        return AM_VALUE_NONE;
    }
    const struct plan_of_layer l = {.g = g,
                                    .o = o,
                                    .name = name,
                                    .x = x,
                                    .n_filters = n_filters,
                                    .channels = d.d[rank - 1],
                                    .transposed = transposed};
    const int64_t size[2] = {rank == 4 ? d.d[1] : 1, d.d[rank - 2]};
    return append(&l, size);
}

am_value am_layer_conv2d(struct am_graph *g, am_value x, int64_t n_filters,
                         const struct am_conv_options *o, const char *name)
{
    return build(g, x, n_filters, o, name, 4, false);
}

am_value am_layer_conv2d_transposed(struct am_graph *g, am_value x, int64_t n_filters,
                                    const struct am_conv_options *o, const char *name)
{
    return build(g, x, n_filters, o, name, 4, true);
}

am_value am_layer_conv1d(struct am_graph *g, am_value x, int64_t n_filters,
                         const struct am_conv_options *o, const char *name)
{
    struct am_conv_options flat = *o; /* a picture of height 1 */
    flat.kernel[1] = o->kernel[0];
    flat.stride[1] = o->stride[0];
    flat.padding[1] = o->padding[0];
    flat.dilation[1] = o->dilation[0];
    flat.kernel[0] = flat.stride[0] = flat.dilation[0] = 1;
    flat.padding[0] = flat.output_padding[0] = flat.output_padding[1] = 0;
    return build(g, x, n_filters, &flat, name, 3, false);
}

bool am_layer_first_conv(const struct am_graph *g, struct am_conv_filters *out)
{
    for (size_t v = 0; v < am_graph_n_nodes(g); v++) {
        const struct am_gnode *n = am_graph_node(g, (am_value)v);
        if (n->op != &am_op_conv)
            continue;
        const struct am_gnode *w = am_graph_node(g, n->in[1]);
        const size_t kh = (size_t)n->attr.i[0], kw = (size_t)n->attr.i[1];
        *out = (struct am_conv_filters){.name = w->name,
                                        .kernel_h = kh,
                                        .kernel_w = kw,
                                        .c_in = (size_t)w->dims.d[0] / (kh * kw),
                                        .c_out = (size_t)w->dims.d[1]};
        return true;
    }
    return false;
}
