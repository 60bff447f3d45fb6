/* Gradients of pooling. Inputs dy and, for the maximum, x; the result is [B,H,W,C] with the sizes
 * of attr.i[8..10], whatever rank x has. attr.i[11] = 1 for the average, attr.i[12] = 1 for a
 * global pool. Pictures go over the pool. Fitting library. */
#include "nn/ops/pool.h"
#include "nn/ops/train_ops.h"

static const struct am_op *forward_of(const struct am_attr *a)
{
    if (a->i[12])
        return a->i[11] ? &am_op_global_average_pool : &am_op_global_max_pool;
    return a->i[11] ? &am_op_average_pool : &am_op_max_pool;
}

static struct am_dims input_dims(const struct am_attr *a)
{
    return (struct am_dims){4, {AM_DIM_BATCH, a->i[8], a->i[9], a->i[10]}};
}

static enum am_rc grad_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (n->n_in != (n->attr.i[11] ? 1u : 2u))
        return am_op_fail(g, n, err, "a maximum needs its input, an average does not");
    n->dims = input_dims(&n->attr);
    return am_dims_check(&n->dims, "pool_grad", err);
}

static void grad_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    struct am_pooling_shape p;
    am_pool_shape(forward_of(&s->attr), &s->attr, &s->out.dims, &p);
    r->tkern->pool_grad(&p, am_arg_ptr(r, &s->in[0]), s->n_in > 1 ? am_arg_ptr(r, &s->in[1]) : NULL,
                        am_arg_ptr(r, &s->out), begin, end);
}

static void grad_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows, am_dims_count(&s->out.dims), grad_part);
}

const struct am_op am_op_pool_grad = {
    .name = "pool_grad", .min_in = 1, .max_in = 2, .infer = grad_infer, .run = grad_run};
