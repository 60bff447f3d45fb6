/* Pooling of [B,H,W,C] and [B,T,C] (one line of a picture): max_pool, average_pool, and over all
 * positions global_max_pool, global_average_pool ([B,...,C] -> [B,C]). Attributes: pool.h. The
 * kernels do the work. */
#include "nn/ops/pool.h"

#include <string.h>

bool am_pool_is_global(const struct am_op *op)
{
    return op == &am_op_global_max_pool || op == &am_op_global_average_pool;
}

bool am_pool_is_average(const struct am_op *op)
{
    return op == &am_op_average_pool || op == &am_op_global_average_pool;
}

void am_pool_shape(const struct am_op *op, const struct am_attr *attr, const struct am_dims *x,
                   struct am_pooling_shape *out)
{
    memset(out, 0, sizeof *out);
    out->average = am_pool_is_average(op);
    out->skip_pad = attr->i[6] != 0;
    out->c = (size_t)x->d[x->rank - 1];
    out->w = (size_t)x->d[x->rank - 2];
    out->h = am_dims_count(x) / (out->c * out->w);
    for (unsigned k = 0; k < 2; k++) {
        const size_t all = k ? out->w : out->h;
        out->kernel[k] = am_pool_is_global(op) ? all : (size_t)attr->i[k];
        out->stride[k] = am_pool_is_global(op) ? all : (size_t)attr->i[2 + k];
        out->pad[k] = am_pool_is_global(op) ? 0 : (size_t)attr->i[4 + k];
    }
    out->out_h = (out->h + 2 * out->pad[0] - out->kernel[0]) / out->stride[0] + 1;
    out->out_w = (out->w + 2 * out->pad[1] - out->kernel[1]) / out->stride[1] + 1;
}

static enum am_rc pool_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    const int64_t *a = n->attr.i;
    if ((x->rank != 3 && x->rank != 4) || !am_dims_batched(x))
        return am_op_fail(g, n, err, "x must be [B,H,W,C] or [B,T,C]");
    if (x->rank == 3 && (a[0] != 1 || a[2] != 1 || a[4] != 0))
        return am_op_fail(g, n, err, "a sequence is pooled along its length only");
    for (unsigned k = 0; k < 2; k++) {
        const int64_t size = x->rank == 4 ? x->d[1 + k] : k ? x->d[1] : 1;
        if (a[k] < 1 || a[2 + k] < 1 || a[2 + k] > 1 << 30)
            return am_op_fail(g, n, err, "kernel and stride must be at least 1");
        if (a[4 + k] < 0 || a[4 + k] > a[k] / 2)
            return am_op_fail(g, n, err, "the padding must be at most half the kernel");
        if (a[k] > AM_POOL_PLACES_MAX || a[k] > size + 2 * a[4 + k])
            return am_op_fail(g, n, err, "the kernel is larger than the padded input");
    }
    if (a[0] * a[1] > AM_POOL_PLACES_MAX)
        return am_op_fail(g, n, err, "a window has more than 2^24 places");
    struct am_pooling_shape p;
    am_pool_shape(n->op, &n->attr, x, &p);
    n->dims = *x;
    n->dims.d[1] = (int64_t)(x->rank == 4 ? p.out_h : p.out_w);
    if (x->rank == 4)
        n->dims.d[2] = (int64_t)p.out_w;
    return AM_OK;
}

static enum am_rc global_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 3 || !am_dims_batched(x))
        return am_op_fail(g, n, err, "x must have positions between batch and channels");
    if (am_dims_count(x) / am_dims_cols(x) > AM_POOL_PLACES_MAX)
        return am_op_fail(g, n, err, "a window has more than 2^24 places");
    n->dims = am_dims2(AM_DIM_BATCH, x->d[x->rank - 1]);
    return AM_OK;
}

static void pool_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    struct am_pooling_shape p;
    am_pool_shape(s->op, &s->attr, &s->in[0].dims, &p);
    r->kern->pool(&p, am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->out), begin, end);
}

static void pool_run(const struct am_run *r, const struct am_step *s)
{
    struct am_pooling_shape p;
    am_pool_shape(s->op, &s->attr, &s->in[0].dims, &p);
    am_run_split(r, s, r->n_rows * p.out_h, p.out_w * p.kernel[0] * p.kernel[1] * p.c, pool_part);
}

static double pool_flops(const struct am_graph *g, const struct am_gnode *n)
{
    struct am_pooling_shape p;
    am_pool_shape(n->op, &n->attr, am_in_dims(g, n, 0), &p);
    return (double)am_dims_count(&n->dims) * (double)p.kernel[0] * (double)p.kernel[1];
}

static const struct am_attr_desc max_attrs[] = {{"kernel_h", AM_ATTR_I, 0, 1, AM_POOL_PLACES_MAX},
                                                {"kernel_w", AM_ATTR_I, 1, 1, AM_POOL_PLACES_MAX},
                                                {"stride_h", AM_ATTR_I, 2, 1, 1 << 30},
                                                {"stride_w", AM_ATTR_I, 3, 1, 1 << 30},
                                                {"padding_h", AM_ATTR_I, 4, 0, AM_POOL_PLACES_MAX},
                                                {"padding_w", AM_ATTR_I, 5, 0, AM_POOL_PLACES_MAX},
                                                {NULL, 0, 0, 0, 0}};
static const struct am_attr_desc average_attrs[] = {
    {"kernel_h", AM_ATTR_I, 0, 1, AM_POOL_PLACES_MAX},
    {"kernel_w", AM_ATTR_I, 1, 1, AM_POOL_PLACES_MAX},
    {"stride_h", AM_ATTR_I, 2, 1, 1 << 30},
    {"stride_w", AM_ATTR_I, 3, 1, 1 << 30},
    {"padding_h", AM_ATTR_I, 4, 0, AM_POOL_PLACES_MAX},
    {"padding_w", AM_ATTR_I, 5, 0, AM_POOL_PLACES_MAX},
    {"skip_pad", AM_ATTR_I, 6, 0, 1},
    {NULL, 0, 0, 0, 0}};
const struct am_op am_op_max_pool = {.name = "max_pool",
                                     .min_in = 1,
                                     .max_in = 1,
                                     .attrs = max_attrs,
                                     .infer = pool_infer,
                                     .run = pool_run,
                                     .flops = pool_flops};
const struct am_op am_op_average_pool = {.name = "average_pool",
                                         .min_in = 1,
                                         .max_in = 1,
                                         .attrs = average_attrs,
                                         .infer = pool_infer,
                                         .run = pool_run,
                                         .flops = pool_flops};
const struct am_op am_op_global_max_pool = {.name = "global_max_pool",
                                            .min_in = 1,
                                            .max_in = 1,
                                            .infer = global_infer,
                                            .run = pool_run,
                                            .flops = pool_flops};
const struct am_op am_op_global_average_pool = {.name = "global_average_pool",
                                                .min_in = 1,
                                                .max_in = 1,
                                                .infer = global_infer,
                                                .run = pool_run,
                                                .flops = pool_flops};
