/* Activations: act (element-wise; attr.act, attr.f[0] = alpha) and softmax over the last dimension.
 */
#include "nn/layers.h"
#include "nn/ops/op.h"

static const char *const names[] = {
    [AM_ACT_NONE] = "none",      [AM_ACT_RELU] = "relu",       [AM_ACT_LEAKY_RELU] = "leaky_relu",
    [AM_ACT_ELU] = "elu",        [AM_ACT_GELU] = "gelu",       [AM_ACT_GELU_TANH] = "gelu_tanh",
    [AM_ACT_SILU] = "silu",      [AM_ACT_SIGMOID] = "sigmoid", [AM_ACT_TANH] = "tanh",
    [AM_ACT_SOFTMAX] = "softmax"};

const char *am_act_name(enum am_act a)
{
    return (unsigned)a <= AM_ACT_SOFTMAX ? names[a] : "unknown";
}

bool am_act_parse(struct am_str s, enum am_act *out)
{
    for (unsigned i = 0; i <= AM_ACT_SOFTMAX; i++)
        if (am_str_is(s, names[i])) {
            *out = (enum am_act)i;
            return true;
        }
    return false;
}

static enum am_rc act_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if ((unsigned)n->attr.act >= AM_ACT_SOFTMAX)
        return am_op_fail(g, n, err, "not an element-wise activation");
    if (n->attr.f[0] != n->attr.f[0])
        return am_op_fail(g, n, err, "alpha is not a number");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void act_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    r->kern->act(s->attr.act, s->attr.f[0], am_arg_ptr(r, &s->in[0]) + begin,
                 am_arg_ptr(r, &s->out) + begin, end - begin);
}

static void act_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, act_part);
}

static double act_flops(const struct am_graph *g, const struct am_gnode *n)
{
    (void)g;
    return (n->attr.act <= AM_ACT_LEAKY_RELU ? 1.0 : 20.0) * (double)am_dims_count(&n->dims);
}

static const struct am_attr_desc act_attrs[] = {{"act", AM_ATTR_ACT, 0, 0, AM_ACT_TANH},
                                                {"alpha", AM_ATTR_F, 0, -1e6, 1e6},
                                                {NULL, 0, 0, 0, 0}};
const struct am_op am_op_act = {.name = "act",
                                .min_in = 1,
                                .max_in = 1,
                                .flags = AM_OP_IN_PLACE,
                                .attrs = act_attrs,
                                .infer = act_infer,
                                .run = act_run,
                                .flops = act_flops};

static enum am_rc softmax_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (am_in_dims(g, n, 0)->rank < 2)
        return am_op_fail(g, n, err, "softmax needs rows and columns");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void softmax_run(const struct am_run *r, const struct am_step *s)
{
    r->kern->softmax(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->out), am_arg_rows(r, &s->out),
                     s->out.cols);
}

const struct am_op am_op_softmax = {.name = "softmax",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .flags = AM_OP_IN_PLACE,
                                    .infer = softmax_infer,
                                    .run = softmax_run};
