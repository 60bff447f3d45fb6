/* Gradients of resizing and of token tables: upsample_grad scatters each picture of dy over its
 * picture of dx (attr.i[0..1] = size of dy, i[2..3] = size of dx, i[4] = 1: bilinear; the result is
 * [B,H,W,C]), tokens_grad adds dy to the table's rows in order of position, padding and unknown ids
 * left out. Reshape, permute, slice and pad are their own gradients. Fitting library. */
#include "nn/ops/resample.h"
#include "nn/ops/train_ops.h"

#include <string.h>

static enum am_rc upsample_grad_infer(const struct am_graph *g, struct am_gnode *n,
                                      struct am_err *err)
{
    const struct am_dims *dy = am_in_dims(g, n, 0);
    n->dims = (struct am_dims){4, {AM_DIM_BATCH, n->attr.i[2], n->attr.i[3], dy->d[dy->rank - 1]}};
    return am_dims_check(&n->dims, "upsample_grad", err);
}

static void spread(const float *dy, float weight, float *dx, size_t c)
{
    for (size_t j = 0; j < c; j++)
        dx[j] += weight * dy[j];
}

static void pictures(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t out_h = (size_t)s->attr.i[0], out_w = (size_t)s->attr.i[1];
    const size_t h = (size_t)s->attr.i[2], w = (size_t)s->attr.i[3], c = s->out.cols;
    const bool bilinear = s->attr.i[4] != 0;
    const float *dy = am_arg_ptr(r, &s->in[0]) + begin * out_h * out_w * c;
    for (size_t n = begin; n < end; n++) {
        float *dx = am_arg_ptr(r, &s->out) + n * h * w * c;
        memset(dx, 0, h * w * c * sizeof(float));
        for (size_t o = 0; o < out_h * out_w; o++, dy += c) {
            const struct am_taps v = am_taps(o / out_w, h, out_h, bilinear);
            const struct am_taps u = am_taps(o % out_w, w, out_w, bilinear);
            if (!bilinear) {
                r->kern->add(dx + (v.a * w + u.a) * c, dy, dx + (v.a * w + u.a) * c, c);
                continue;
            }
            spread(dy, (1.0f - v.t) * (1.0f - u.t), dx + (v.a * w + u.a) * c, c);
            spread(dy, (1.0f - v.t) * u.t, dx + (v.a * w + u.b) * c, c);
            spread(dy, v.t * (1.0f - u.t), dx + (v.b * w + u.a) * c, c);
            spread(dy, v.t * u.t, dx + (v.b * w + u.b) * c, c);
        }
    }
}

static void upsample_grad_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows,
                 (size_t)s->attr.i[0] * (size_t)s->attr.i[1] * s->out.cols * (s->attr.i[4] ? 4 : 1),
                 pictures);
}

/* inputs dy [B,T,w], ids [B,T], table [V,w] (its shape only) */
static enum am_rc tokens_grad_infer(const struct am_graph *g, struct am_gnode *n,
                                    struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 2);
    return AM_OK;
}

static void tokens_grad_run(const struct am_run *r, const struct am_step *s)
{
    const float *dy = am_arg_ptr(r, &s->in[0]), *ids = am_arg_ptr(r, &s->in[1]);
    const size_t n = am_arg_count(r, &s->in[1]), width = s->out.cols;
    float *out = am_arg_ptr(r, &s->out);
    memset(out, 0, s->out.rows * width * sizeof(float));
    for (size_t i = 0; i < n; i++, dy += width)
        if (ids[i] >= 1.0f && ids[i] < (float)s->out.rows) {
            float *row = out + (size_t)ids[i] * width;
            r->kern->add(row, dy, row, width);
        }
}

const struct am_op am_op_upsample_grad = {.name = "upsample_grad",
                                          .min_in = 1,
                                          .max_in = 1,
                                          .infer = upsample_grad_infer,
                                          .run = upsample_grad_run};
const struct am_op am_op_tokens_grad = {.name = "tokens_grad",
                                        .min_in = 3,
                                        .max_in = 3,
                                        .infer = tokens_grad_infer,
                                        .run = tokens_grad_run};
