/* Normalisation for applying: batch_norm (x, weight, bias, running mean, running variance;
 * attr.f[0] = eps, attr.f[1] = momentum) as one factor and shift a column, and layer_norm (x,
 * weight, bias; attr.f[0] = eps). */
#include "nn/ops/op.h"

#include <math.h>

static enum am_rc norm_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 2)
        return am_op_fail(g, n, err, "normalisation needs rows and columns");
    for (unsigned i = 1; i < n->n_in; i++) {
        const struct am_dims *p = am_in_dims(g, n, i);
        if (p->rank != 1 || p->d[0] != x->d[x->rank - 1])
            return am_op_fail(g, n, err,
                              "each parameter must have one element for each column of x");
    }
    if (!(n->attr.f[0] > 0.0f && n->attr.f[0] <= 1.0f) ||
        !(n->attr.f[1] >= 0.0f && n->attr.f[1] <= 1.0f))
        return am_op_fail(g, n, err, "eps must be above 0 and at most 1, momentum from 0 to 1");
    n->dims = *x;
    return AM_OK;
}

static void fold(const float *weight, const float *bias, const float *mean, const float *var,
                 float eps, size_t n, float *out /* [2,n]: factor, shift */)
{
    for (size_t j = 0; j < n; j++) {
        const double f = (double)weight[j] / sqrt((double)var[j] + (double)eps);
        out[j] = (float)f;
        out[n + j] = (float)((double)bias[j] - (double)mean[j] * f);
    }
}

static size_t two_rows(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)g;
    (void)rows;
    return 2 * am_dims_cols(&n->dims);
}

static size_t batch_norm_prepared(const struct am_graph *g, const struct am_gnode *n,
                                  const struct am_kernels *k)
{
    (void)k;
    for (unsigned i = 1; i < 5; i++)
        if (am_graph_node(g, n->in[i])->op != &am_op_param)
            return 0;
    return 2 * am_dims_cols(&n->dims);
}

static void batch_norm_prepare(const struct am_kernels *k, const struct am_step *s,
                               const float *params, float *out)
{
    (void)k;
    fold(params + s->in[1].offset, params + s->in[2].offset, params + s->in[3].offset,
         params + s->in[4].offset, s->attr.f[0], s->out.cols, out);
}

static void batch_norm_part(const struct am_run *r, const struct am_step *s, size_t begin,
                            size_t end)
{
    const size_t n = s->out.cols;
    const float *f = s->prepared ? s->prepared : am_scratch(r, s);
    r->kern->affine(am_arg_ptr(r, &s->in[0]) + begin * n, f, f + n,
                    am_arg_ptr(r, &s->out) + begin * n, end - begin, n);
}

static void batch_norm_run(const struct am_run *r, const struct am_step *s)
{
    if (!s->prepared)
        fold(am_arg_ptr(r, &s->in[1]), am_arg_ptr(r, &s->in[2]), am_arg_ptr(r, &s->in[3]),
             am_arg_ptr(r, &s->in[4]), s->attr.f[0], s->out.cols, am_scratch(r, s));
    am_run_rows(r, s, batch_norm_part);
}

static void layer_norm_part(const struct am_run *r, const struct am_step *s, size_t begin,
                            size_t end)
{
    const size_t n = s->out.cols;
    r->kern->layer_norm(am_arg_ptr(r, &s->in[0]) + begin * n, am_arg_ptr(r, &s->in[1]),
                        am_arg_ptr(r, &s->in[2]), s->attr.f[0], am_arg_ptr(r, &s->out) + begin * n,
                        end - begin, n);
}

static void layer_norm_run(const struct am_run *r, const struct am_step *s)
{
    am_run_rows(r, s, layer_norm_part);
}

static const struct am_attr_desc batch_attrs[] = {
    {"eps", AM_ATTR_F, 0, 0, 1}, {"momentum", AM_ATTR_F, 1, 0, 1}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_batch_norm = {.name = "batch_norm",
                                       .min_in = 5,
                                       .max_in = 5,
                                       .flags = AM_OP_IN_PLACE,
                                       .attrs = batch_attrs,
                                       .infer = norm_infer,
                                       .run = batch_norm_run,
                                       .scratch = two_rows,
                                       .prepared = batch_norm_prepared,
                                       .prepare = batch_norm_prepare,
                                       .prepared_inputs = 0x1e};
static const struct am_attr_desc layer_attrs[] = {{"eps", AM_ATTR_F, 0, 0, 1}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_layer_norm = {.name = "layer_norm",
                                       .min_in = 3,
                                       .max_in = 3,
                                       .flags = AM_OP_IN_PLACE,
                                       .attrs = layer_attrs,
                                       .infer = norm_infer,
                                       .run = layer_norm_run};
