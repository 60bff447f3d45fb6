/* Training forms and gradients of dropout, batch norm and layer norm. Statistics and sums are
 * tensors [2,n]: mean over variance, sum over weighted sum; `row` takes one line of them. Fitting
 * library. */
#include "base/rng.h"
#include "nn/ops/train_ops.h"

#include <math.h>
#include <string.h>

/* ---- dropout: attr.f[0] = rate, attr.i[0] = the dropout's number in the graph. Its gradient is
 * the same op applied to dy with the same number: the mask is a function of (seed, number, step,
 * element). ---- */

static enum am_rc like_input(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void dropout_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const uint64_t stream = AM_RNG_DROPOUT | (uint64_t)s->attr.i[0] << 32;
    r->tkern->dropout(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->out), begin, end, s->attr.f[0],
                      r->seed, stream, r->step << 32);
}

static void dropout_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, dropout_part);
}

/* The same for whole channels: element b * C + c of the mask is for channel c of row b. */
static size_t mask_floats(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)g;
    return (rows + 1) * am_dims_cols(&n->dims);
}

static void masked_rows(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t c = s->out.cols, count = am_dims_count(&s->out.dims);
    const float *none = am_scratch(r, s), *mask = none + c;
    for (size_t b = begin; b < end; b++)
        r->kern->affine(am_arg_ptr(r, &s->in[0]) + b * count, mask + b * c, none,
                        am_arg_ptr(r, &s->out) + b * count, s->out.rows, c);
}

static void dropout2d_run(const struct am_run *r, const struct am_step *s)
{
    const uint64_t stream = AM_RNG_DROPOUT | (uint64_t)s->attr.i[0] << 32;
    const size_t c = s->out.cols, n = r->n_rows * c;
    float *none = am_scratch(r, s), *mask = none + c;
    memset(none, 0, c * sizeof(float));
    for (size_t i = 0; i < n; i++)
        mask[i] = 1.0f;
    r->tkern->dropout(mask, mask, 0, n, s->attr.f[0], r->seed, stream, r->step << 32);
    am_run_split(r, s, r->n_rows, am_dims_count(&s->out.dims), masked_rows);
}

/* ---- batch norm ---- */

static enum am_rc two_lines(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = am_dims2(2, (int64_t)am_dims_cols(am_in_dims(g, n, 0)));
    return AM_OK;
}

static void stats_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->out.cols;
    float *out = am_arg_ptr(r, &s->out);
    r->tkern->col_stats(am_arg_ptr(r, &s->in[0]), am_arg_rows(r, &s->in[0]), n, begin, end, out,
                        out + n);
}

static void stats_run(const struct am_run *r, const struct am_step *s)
{
    am_run_columns(r, s, &s->in[0], stats_part);
}

static void bn_train_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->out.cols;
    const float *f = am_scratch(r, s);
    r->kern->affine(am_arg_ptr(r, &s->in[0]) + begin * n, f, f + n,
                    am_arg_ptr(r, &s->out) + begin * n, end - begin, n);
}

/* inputs x, stats, weight, bias */
static void bn_train_run(const struct am_run *r, const struct am_step *s)
{
    const size_t n = s->out.cols;
    const float *stats = am_arg_ptr(r, &s->in[1]), *weight = am_arg_ptr(r, &s->in[2]);
    const float *bias = am_arg_ptr(r, &s->in[3]);
    float *f = am_scratch(r, s);
    for (size_t j = 0; j < n; j++) {
        const double k = (double)weight[j] / sqrt((double)stats[n + j] + (double)s->attr.f[0]);
        f[j] = (float)k;
        f[n + j] = (float)((double)bias[j] - (double)stats[j] * k);
    }
    am_run_rows(r, s, bn_train_part);
}

static size_t two_rows(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)g;
    (void)rows;
    return 2 * am_dims_cols(&n->dims);
}

/* inputs stats, running mean, running variance, x (for its rows); writes the running ones in place
 */
static void update_run(const struct am_run *r, const struct am_step *s)
{
    const float *stats = am_arg_ptr(r, &s->in[0]);
    float *mean = am_arg_ptr(r, &s->in[1]), *var = am_arg_ptr(r, &s->in[2]);
    const size_t n = s->in[0].cols, rows = am_arg_rows(r, &s->in[3]);
    const float k = s->attr.f[1], unbiased = rows > 1 ? (float)rows / (float)(rows - 1) : 1.0f;
    *am_arg_ptr(r, &s->out) = 0.0f;
    if (rows == 0)
        return;
    for (size_t j = 0; j < n; j++) {
        mean[j] += k * (stats[j] - mean[j]);
        var[j] += k * (stats[n + j] * unbiased - var[j]);
    }
}

static enum am_rc one_float(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)g;
    (void)err;
    n->dims = am_dims1(1);
    return AM_OK;
}

/* inputs dy, x, stats -> [dbias, dweight] */
static void bn_sums_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->out.cols;
    const float *stats = am_arg_ptr(r, &s->in[2]);
    float *out = am_arg_ptr(r, &s->out);
    r->tkern->norm_sums(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->in[1]), stats, stats + n,
                        s->attr.f[0], am_arg_rows(r, &s->in[0]), n, begin, end, out, out + n);
}

static void bn_sums_run(const struct am_run *r, const struct am_step *s)
{
    am_run_columns(r, s, &s->in[0], bn_sums_part);
}

/* inputs dy, x, stats, weight, sums */
static void bn_dx_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->out.cols;
    const float *stats = am_arg_ptr(r, &s->in[2]), *sums = am_arg_ptr(r, &s->in[4]);
    r->tkern->batch_norm_grad(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->in[1]), stats, stats + n,
                              s->attr.f[0], am_arg_ptr(r, &s->in[3]), sums, sums + n,
                              am_arg_ptr(r, &s->out), am_arg_rows(r, &s->out), n, begin, end);
}

static void bn_dx_run(const struct am_run *r, const struct am_step *s)
{
    am_run_rows(r, s, bn_dx_part);
}

/* ---- layer norm: dy, x, weight -> dx; dy, x -> [dbias, dweight] ---- */

static void ln_dx_run(const struct am_run *r, const struct am_step *s)
{
    r->tkern->layer_norm_grad(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->in[1]),
                              am_arg_ptr(r, &s->in[2]), s->attr.f[0], am_arg_ptr(r, &s->out),
                              am_arg_rows(r, &s->out), s->out.cols);
}

static void ln_sums_run(const struct am_run *r, const struct am_step *s)
{
    const size_t n = s->out.cols;
    float *out = am_arg_ptr(r, &s->out);
    r->tkern->layer_norm_sums(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->in[1]), s->attr.f[0],
                              am_arg_rows(r, &s->in[0]), n, out + n, out);
}

static enum am_rc row_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank != 2 || n->attr.i[0] < 0 || n->attr.i[0] >= x->d[0])
        return am_op_fail(g, n, err, "there is no such row");
    n->dims = am_dims1(x->d[1]);
    return AM_OK;
}

static void row_run(const struct am_run *r, const struct am_step *s)
{
    const size_t n = s->out.cols;
    memcpy(am_arg_ptr(r, &s->out), am_arg_ptr(r, &s->in[0]) + (size_t)s->attr.i[0] * n,
           n * sizeof(float));
}

const struct am_op am_op_dropout_train = {.name = "dropout_train",
                                          .min_in = 1,
                                          .max_in = 1,
                                          .flags = AM_OP_IN_PLACE,
                                          .infer = like_input,
                                          .run = dropout_run};
const struct am_op am_op_dropout2d_train = {.name = "dropout2d_train",
                                            .min_in = 1,
                                            .max_in = 1,
                                            .flags = AM_OP_IN_PLACE,
                                            .infer = like_input,
                                            .run = dropout2d_run,
                                            .scratch = mask_floats};
const struct am_op am_op_bn_stats = {
    .name = "bn_stats", .min_in = 1, .max_in = 1, .infer = two_lines, .run = stats_run};
const struct am_op am_op_bn_train = {.name = "bn_train",
                                     .min_in = 4,
                                     .max_in = 4,
                                     .flags = AM_OP_IN_PLACE,
                                     .infer = like_input,
                                     .run = bn_train_run,
                                     .scratch = two_rows};
const struct am_op am_op_bn_update = {.name = "bn_update",
                                      .min_in = 4,
                                      .max_in = 4,
                                      .flags = AM_OP_EFFECT,
                                      .infer = one_float,
                                      .run = update_run};
const struct am_op am_op_bn_sums = {
    .name = "bn_sums", .min_in = 3, .max_in = 3, .infer = two_lines, .run = bn_sums_run};
const struct am_op am_op_bn_dx = {.name = "bn_dx",
                                  .min_in = 5,
                                  .max_in = 5,
                                  .flags = AM_OP_IN_PLACE,
                                  .infer = like_input,
                                  .run = bn_dx_run};
const struct am_op am_op_ln_dx = {
    .name = "ln_dx", .min_in = 3, .max_in = 3, .infer = like_input, .run = ln_dx_run};
const struct am_op am_op_ln_sums = {
    .name = "ln_sums", .min_in = 2, .max_in = 2, .infer = two_lines, .run = ln_sums_run};
const struct am_op am_op_row = {
    .name = "row", .min_in = 1, .max_in = 1, .infer = row_infer, .run = row_run};
