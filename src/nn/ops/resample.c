/* upsample_nearest and upsample_bilinear of [B,H,W,C] and [B,T,C] to attr.i[0] x attr.i[1] places
 * (height 1 for a sequence); the new size may also be smaller. */
#include "nn/ops/resample.h"

#include <string.h>

static enum am_rc upsample_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if ((x->rank != 3 && x->rank != 4) || !am_dims_batched(x))
        return am_op_fail(g, n, err, "x must be [B,H,W,C] or [B,T,C]");
    if (n->attr.i[0] < 1 || n->attr.i[1] < 1 || (x->rank == 3 && n->attr.i[0] != 1))
        return am_op_fail(g, n, err,
                          "the new size must be at least 1, and the height of a sequence 1");
    n->dims = *x;
    n->dims.d[x->rank - 2] = n->attr.i[1];
    if (x->rank == 4)
        n->dims.d[1] = n->attr.i[0];
    return am_dims_check(&n->dims, "upsample", err);
}

static void lines(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct am_dims *x = &s->in[0].dims;
    const bool bilinear = s->op == &am_op_upsample_bilinear;
    const size_t c = s->out.cols, w = (size_t)x->d[x->rank - 2], h = am_dims_count(x) / (w * c);
    const size_t out_h = (size_t)s->attr.i[0], out_w = (size_t)s->attr.i[1];
    const float *from = am_arg_ptr(r, &s->in[0]);
    float *to = am_arg_ptr(r, &s->out) + begin * out_w * c;
    for (size_t line = begin; line < end; line++) {
        const struct am_taps v = am_taps(line % out_h, h, out_h, bilinear);
        const float *top = from + (line / out_h * h + v.a) * w * c;
        const float *low = from + (line / out_h * h + v.b) * w * c;
        for (size_t ox = 0; ox < out_w; ox++, to += c) {
            const struct am_taps u = am_taps(ox, w, out_w, bilinear);
            if (!bilinear) {
                memcpy(to, top + u.a * c, c * sizeof(float));
                continue;
            }
            const float *p = top + u.a * c, *q = top + u.b * c;
            const float *l = low + u.a * c, *m = low + u.b * c;
            for (size_t j = 0; j < c; j++)
                to[j] = (1.0f - v.t) * ((1.0f - u.t) * p[j] + u.t * q[j]) +
                        v.t * ((1.0f - u.t) * l[j] + u.t * m[j]);
        }
    }
}

static void upsample_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows * (size_t)s->attr.i[0], (size_t)s->attr.i[1] * s->out.cols, lines);
}

static double upsample_flops(const struct am_graph *g, const struct am_gnode *n)
{
    (void)g;
    return (n->op == &am_op_upsample_bilinear ? 8.0 : 0.0) * (double)am_dims_count(&n->dims);
}

static const struct am_attr_desc attrs[] = {
    {"h", AM_ATTR_I, 0, 1, 2e9}, {"w", AM_ATTR_I, 1, 1, 2e9}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_upsample_nearest = {.name = "upsample_nearest",
                                             .min_in = 1,
                                             .max_in = 1,
                                             .attrs = attrs,
                                             .infer = upsample_infer,
                                             .run = upsample_run,
                                             .flops = upsample_flops};
const struct am_op am_op_upsample_bilinear = {.name = "upsample_bilinear",
                                              .min_in = 1,
                                              .max_in = 1,
                                              .attrs = attrs,
                                              .infer = upsample_infer,
                                              .run = upsample_run,
                                              .flops = upsample_flops};
