/* Arithmetic on whole tensors: add (with an activation that the planner fused), mul (same shapes),
 * scale (x * factor + shift: attr.f[0], attr.f[1]). */
#include "nn/ops/op.h"

static enum am_rc pair_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!am_dims_eq(am_in_dims(g, n, 0), am_in_dims(g, n, 1)))
        return am_op_fail(g, n, err, "both inputs must have the same shape");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

#define ADD_FLOATS 4096 /* at a time, so that the activation finds them in the first cache */

static void add_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const float *a = am_arg_ptr(r, &s->in[0]), *b = am_arg_ptr(r, &s->in[1]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin, n; i < end; i += n) {
        n = s->attr.act != AM_ACT_NONE && end - i > ADD_FLOATS ? ADD_FLOATS : end - i;
        r->kern->add(a + i, b + i, y + i, n);
        if (s->attr.act != AM_ACT_NONE)
            r->kern->act(s->attr.act, s->attr.f[0], y + i, y + i, n);
    }
}

static void add_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, add_part);
}

static void mul_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    r->kern->mul(am_arg_ptr(r, &s->in[0]) + begin, am_arg_ptr(r, &s->in[1]) + begin,
                 am_arg_ptr(r, &s->out) + begin, end - begin);
}

static void mul_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, mul_part);
}

static enum am_rc scale_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!(n->attr.f[0] - n->attr.f[0] == 0.0f) || !(n->attr.f[1] - n->attr.f[1] == 0.0f))
        return am_op_fail(g, n, err, "factor and shift must be finite");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void scale_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    r->kern->scale(am_arg_ptr(r, &s->in[0]) + begin, s->attr.f[0], s->attr.f[1],
                   am_arg_ptr(r, &s->out) + begin, end - begin);
}

static void scale_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, scale_part);
}

const struct am_op am_op_add = {.name = "add",
                                .min_in = 2,
                                .max_in = 2,
                                .flags = AM_OP_IN_PLACE | AM_OP_FUSES_ACT,
                                .infer = pair_infer,
                                .run = add_run};
const struct am_op am_op_mul = {.name = "mul",
                                .min_in = 2,
                                .max_in = 2,
                                .flags = AM_OP_IN_PLACE,
                                .infer = pair_infer,
                                .run = mul_run};
static const struct am_attr_desc scale_attrs[] = {{"factor", AM_ATTR_F, 0, -3e38, 3e38},
                                                  {"shift", AM_ATTR_F, 1, -3e38, 3e38},
                                                  {NULL, 0, 0, 0, 0}};
const struct am_op am_op_scale = {.name = "scale",
                                  .min_in = 1,
                                  .max_in = 1,
                                  .flags = AM_OP_IN_PLACE,
                                  .attrs = scale_attrs,
                                  .infer = scale_infer,
                                  .run = scale_run};
