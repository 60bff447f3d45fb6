/* Gradients of columns (pad with zeros) and embedding (scatter-add, rows in order); constants.
 * Fitting. */
#include "nn/ops/train_ops.h"

#include <string.h>

static enum am_rc const_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    return am_op_fail(g, n, err, "made by am_graph_const only");
}

/* attr.i[0] = first column, attr.i[1] = columns of the result */
static enum am_rc pad_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 2 || n->attr.i[0] < 0 || n->attr.i[0] + x->d[x->rank - 1] > n->attr.i[1])
        return am_op_fail(g, n, err, "the columns lie outside the result");
    n->dims = *x;
    n->dims.d[x->rank - 1] = n->attr.i[1];
    return AM_OK;
}

static void pad_run(const struct am_run *r, const struct am_step *s)
{
    const float *x = am_arg_ptr(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out);
    memset(y, 0, am_arg_count(r, &s->out) * sizeof(float));
    for (size_t i = 0, rows = am_arg_rows(r, &s->out); i < rows; i++)
        memcpy(y + i * s->out.cols + s->attr.i[0], x + i * s->in[0].cols,
               s->in[0].cols * sizeof(float));
}

/* inputs dy [B, f*w], ids [B, f], table [V, w] (its shape only) */
static enum am_rc embedding_grad_infer(const struct am_graph *g, struct am_gnode *n,
                                       struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 2);
    return AM_OK;
}

static void embedding_grad_run(const struct am_run *r, const struct am_step *s)
{
    const float *dy = am_arg_ptr(r, &s->in[0]), *ids = am_arg_ptr(r, &s->in[1]);
    const size_t n = am_arg_count(r, &s->in[1]), width = s->out.cols;
    float *out = am_arg_ptr(r, &s->out);
    memset(out, 0, s->out.rows * width * sizeof(float));
    for (size_t i = 0; i < n; i++, dy += width)
        if (ids[i] >= 0.0f && ids[i] < (float)s->out.rows) {
            float *row = out + (size_t)ids[i] * width;
            r->kern->add(row, dy, row, width);
        }
}

const struct am_op am_op_const = {.name = "const", .flags = AM_OP_LEAF, .infer = const_infer};
const struct am_op am_op_pad_columns = {
    .name = "pad_columns", .min_in = 1, .max_in = 1, .infer = pad_infer, .run = pad_run};
const struct am_op am_op_embedding_grad = {.name = "embedding_grad",
                                           .min_in = 3,
                                           .max_in = 3,
                                           .infer = embedding_grad_infer,
                                           .run = embedding_grad_run};
