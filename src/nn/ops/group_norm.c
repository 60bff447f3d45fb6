/* group_norm: x [B,...,C], weight [C], bias [C]; attr.i[0] = groups, attr.f[0] = eps. Each row and
 * group of C / groups channels is normalised over all its positions. Rows go over the pool. */
#include "nn/ops/group_norm.h"

static enum am_rc group_norm_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 2 || !am_dims_batched(x))
        return am_op_fail(g, n, err, "normalisation needs rows and columns");
    const int64_t c = x->d[x->rank - 1];
    for (unsigned i = 1; i < 3; i++) {
        const struct am_dims *p = am_in_dims(g, n, i);
        if (p->rank != 1 || p->d[0] != c)
            return am_op_fail(g, n, err,
                              "each parameter must have one element for each column of x");
    }
    if (n->attr.i[0] < 1 || c % n->attr.i[0] != 0)
        return am_op_fail(g, n, err, "the number of groups must divide the channels");
    if (!(n->attr.f[0] > 0.0f && n->attr.f[0] <= 1.0f))
        return am_op_fail(g, n, err, "eps must be above 0 and at most 1, momentum from 0 to 1");
    n->dims = *x;
    return AM_OK;
}

/* factor and shift of each channel, a row after the other */
static size_t factors(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)g;
    return 2 * rows * am_dims_cols(&n->dims);
}

static void rows_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t c = s->out.cols, positions = s->out.rows;
    const float *weight = am_arg_ptr(r, &s->in[1]), *bias = am_arg_ptr(r, &s->in[2]);
    for (size_t b = begin; b < end; b++) {
        const float *x = am_arg_ptr(r, &s->in[0]) + b * positions * c;
        float *shift = am_scratch(r, s) + 2 * b * c, *factor = shift + c;
        am_group_stats(x, positions, c, (size_t)s->attr.i[0], s->attr.f[0], shift, factor);
        for (size_t j = 0; j < c; j++) {
            factor[j] *= weight[j];
            shift[j] = bias[j] - shift[j] * factor[j];
        }
        r->kern->affine(x, factor, shift, am_arg_ptr(r, &s->out) + b * positions * c, positions, c);
    }
}

static void group_norm_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows, 3 * am_dims_count(&s->out.dims), rows_part);
}

static double group_norm_flops(const struct am_graph *g, const struct am_gnode *n)
{
    (void)g;
    return 6.0 * (double)am_dims_count(&n->dims);
}

static const struct am_attr_desc attrs[] = {
    {"groups", AM_ATTR_I, 0, 1, 2e9}, {"eps", AM_ATTR_F, 0, 0, 1}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_group_norm = {.name = "group_norm",
                                       .min_in = 3,
                                       .max_in = 3,
                                       .flags = AM_OP_IN_PLACE,
                                       .attrs = attrs,
                                       .infer = group_norm_infer,
                                       .run = group_norm_run,
                                       .flops = group_norm_flops,
                                       .scratch = factors};
