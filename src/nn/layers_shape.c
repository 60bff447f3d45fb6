/* Builders of layers_shape.h: attributes, parameters, am_graph_add. Shapes are checked by the ops;
 * here only what would not fit into their attributes. Errors stick in the graph. */
#include "nn/layers_shape.h"

#include <math.h>
#include <stdio.h>

#include "nn/ops/op.h"

#define ROW_RANK_MAX (AM_LIMIT_TENSOR_RANK - 1)

/* Dimensions of a row of x, or 0 after an error. */
static unsigned row_rank(const struct am_graph *g, am_value x)
{
    const struct am_gnode *n = am_graph_node(g, x);
    return n ? n->dims.rank - 1 : 0;
}

static am_value wrong_count(struct am_graph *g, am_value x, unsigned n, const char *layer,
                            const char *name)
{
    char dims[AM_DIMS_CHARS] = "";
    if (am_graph_node(g, x))
        am_dims_print(&am_graph_node(g, x)->dims, dims);
    am_graph_fail(g, AM_EINVAL, "layer \"%s\" (%s) of input %s is given %u dimensions of a row",
                  name ? name : "", layer, dims, n);
    return AM_VALUE_NONE;
}

am_value am_layer_reshape(struct am_graph *g, am_value x, const int64_t *dims, unsigned n,
                          const char *name)
{
    struct am_attr attr = {.i = {(int64_t)n}};
    const struct am_gnode *from = am_graph_node(g, x);
    int64_t known = 1, *left = NULL;
    if (!from || n < 1 || n > ROW_RANK_MAX)
        return wrong_count(g, x, n, "reshape", name);
    const int64_t all = (int64_t)am_dims_count(&from->dims);
    for (unsigned i = 0; i < n; i++) {
        attr.i[1 + i] = dims[i];
        if (dims[i] == -1 && !left)
            left = &attr.i[1 + i];
        else if (dims[i] >= 1 && dims[i] <= all / known)
            known *= dims[i];
    }
    if (left)
        *left = all % known == 0 ? all / known : 0;
    return am_graph_add(g, &am_op_reshape, &x, 1, &attr, name);
}

am_value am_layer_split_frames(struct am_graph *g, am_value x, const char *name)
{
    return am_graph_add(g, &am_op_split_frames, &x, 1, NULL, name);
}

am_value am_layer_join_frames(struct am_graph *g, am_value x, const char *name)
{
    return am_graph_add(g, &am_op_join_frames, &x, 1, NULL, name);
}

am_value am_layer_flatten(struct am_graph *g, am_value x, const char *name)
{
    const int64_t all = -1;
    return row_rank(g, x) == 1 ? x : am_layer_reshape(g, x, &all, 1, name);
}

am_value am_layer_permute(struct am_graph *g, am_value x, const unsigned *order, unsigned n,
                          const char *name)
{
    struct am_attr attr = {0};
    if (n < 1 || n != row_rank(g, x))
        return wrong_count(g, x, n, "permute", name);
    for (unsigned i = 0; i < n; i++)
        attr.i[i] = (int64_t)order[i];
    return am_graph_add(g, &am_op_permute, &x, 1, &attr, name);
}

static am_value two_lists(struct am_graph *g, const struct am_op *op, am_value x, const int64_t *a,
                          const int64_t *b, unsigned n, const char *name)
{
    struct am_attr attr = {0};
    if (n < 1 || n != row_rank(g, x))
        return wrong_count(g, x, n, op->name, name);
    for (unsigned i = 0; i < n; i++) {
        attr.i[i] = a[i];
        attr.i[ROW_RANK_MAX + i] = b[i];
    }
    return am_graph_add(g, op, &x, 1, &attr, name);
}

am_value am_layer_slice(struct am_graph *g, am_value x, const int64_t *first, const int64_t *count,
                        unsigned n, const char *name)
{
    return two_lists(g, &am_op_slice, x, first, count, n, name);
}

am_value am_layer_pad(struct am_graph *g, am_value x, const int64_t *before, const int64_t *after,
                      unsigned n, const char *name)
{
    return two_lists(g, &am_op_pad, x, before, after, n, name);
}

am_value am_layer_resize(struct am_graph *g, am_value x, enum am_resample how,
                         const int64_t size[2], const char *name)
{
    const struct am_attr attr = {.i = {row_rank(g, x) == 2 ? 1 : size[0], size[1]}};
    return am_graph_add(
        g, how == AM_RESAMPLE_BILINEAR ? &am_op_upsample_bilinear : &am_op_upsample_nearest, &x, 1,
        &attr, name);
}

am_value am_layer_upsample(struct am_graph *g, am_value x, enum am_resample how,
                           const int64_t factor[2], const char *name)
{
    const struct am_gnode *n = am_graph_node(g, x);
    int64_t size[2] = {1, 1};
    if (!n || n->dims.rank < 3 || n->dims.rank > 4)
        return wrong_count(g, x, 2, "upsample", name);
    for (unsigned k = 0; k < 2; k++) {
        const int64_t from = n->dims.rank == 4 ? n->dims.d[1 + k] : k ? n->dims.d[1] : 1;
        if (factor[k] < 1 || factor[k] > 1 << 16) {
            am_graph_fail(g, AM_EINVAL, "layer \"%s\" (%s): a factor of %lld, 1 to 65536 allowed",
                          name ? name : "", "upsample", (long long)factor[k]);
            return AM_VALUE_NONE;
        }
        size[k] = from * factor[k]; /* a dimension is below 2^32 */
    }
    return am_layer_resize(g, x, how, size, name);
}

static am_value pool(struct am_graph *g, am_value x, const struct am_pool_options *o,
                     const struct am_attr *attr, const char *name)
{
    return am_graph_add(g, o->how == AM_POOLING_AVERAGE ? &am_op_average_pool : &am_op_max_pool, &x,
                        1, attr, name);
}

am_value am_layer_pool2d(struct am_graph *g, am_value x, const struct am_pool_options *o,
                         const char *name)
{
    const struct am_attr attr = {.i = {o->kernel[0], o->kernel[1],
                                       o->stride[0] ? o->stride[0] : o->kernel[0],
                                       o->stride[1] ? o->stride[1] : o->kernel[1], o->padding[0],
                                       o->padding[1], o->how == AM_POOLING_AVERAGE && o->skip_pad}};
    return pool(g, x, o, &attr, name);
}

am_value am_layer_pool1d(struct am_graph *g, am_value x, const struct am_pool_options *o,
                         const char *name)
{
    const struct am_attr attr = {.i = {1, o->kernel[0], 1,
                                       o->stride[0] ? o->stride[0] : o->kernel[0], 0, o->padding[0],
                                       o->how == AM_POOLING_AVERAGE && o->skip_pad}};
    return pool(g, x, o, &attr, name);
}

am_value am_layer_global_pool(struct am_graph *g, am_value x, enum am_pooling how, const char *name)
{
    return am_graph_add(
        g, how == AM_POOLING_AVERAGE ? &am_op_global_average_pool : &am_op_global_max_pool, &x, 1,
        NULL, name);
}

static am_value param(struct am_graph *g, const char *layer, const char *what, struct am_dims dims,
                      const struct am_param_spec *spec)
{
    char name[AM_LIMIT_NAME_BYTES + 32];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return am_graph_param(g, name, dims, spec);
}

am_value am_layer_group_norm(struct am_graph *g, am_value x, int64_t n_groups, float eps,
                             const char *name)
{
    const struct am_gnode *n = am_graph_node(g, x);
    const struct am_dims d = am_dims1(n ? (int64_t)am_dims_cols(&n->dims) : 1);
    const struct am_param_spec ones = {AM_INIT_ONES, 0.0f, 0}, zeros = {AM_INIT_ZEROS, 0.0f, 0};
    const struct am_attr attr = {.f = {eps}, .i = {n_groups}};
    const am_value in[3] = {x, param(g, name, "weight", d, &ones),
                            param(g, name, "bias", d, &zeros)};
    return am_graph_add(g, &am_op_group_norm, in, 3, &attr, name);
}

am_value am_layer_dropout2d(struct am_graph *g, am_value x, float rate)
{
    const struct am_attr attr = {.f = {rate}};
    return am_graph_add(g, &am_op_dropout2d, &x, 1, &attr, NULL);
}

am_value am_layer_tokens(struct am_graph *g, am_value ids, int64_t n_ids, int64_t width,
                         const char *name)
{
    const struct am_param_spec spec = {
        AM_INIT_NORMAL, width > 0 ? 1.0f / sqrtf((float)width) : 0.0f, AM_PARAM_DECAY};
    const am_value in[2] = {ids, param(g, name, "weight", am_dims2(n_ids, width), &spec)};
    return am_graph_add(g, &am_op_tokens, in, 2, NULL, name);
}
