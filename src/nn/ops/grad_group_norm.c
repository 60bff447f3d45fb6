/* Gradients of group norm: gn_dx (dy, x, weight -> dx) and gn_sums (dy, x -> [dbias, dweight]);
 * statistics are computed again from x. attr as group_norm. Rows go over the pool, each with four
 * numbers a channel in scratch; sums over the batch then run in row order. Fitting library. */
#include "nn/ops/group_norm.h"
#include "nn/ops/train_ops.h"

#include <string.h>

/* A row's scratch: mean and inverse of each channel's group, sum of dy and of dy * xhat over its
 * positions. */
struct row_sums {
    float *mean, *inverse, *sum, *sum_hat;
};

static size_t four_each(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    return 4 * rows * am_dims_cols(am_in_dims(g, n, 1));
}

static struct row_sums row_sums(const struct am_run *r, const struct am_step *s, size_t b)
{
    const size_t c = s->in[1].cols, positions = s->in[1].rows;
    const float *dy = am_arg_ptr(r, &s->in[0]) + b * positions * c;
    const float *x = am_arg_ptr(r, &s->in[1]) + b * positions * c;
    float *at_row = am_scratch(r, s) + 4 * b * c;
    const struct row_sums k = {at_row, at_row + c, at_row + 2 * c, at_row + 3 * c};
    am_group_stats(x, positions, c, (size_t)s->attr.i[0], s->attr.f[0], k.mean, k.inverse);
    for (size_t j0 = 0; j0 < c; j0 += AM_GROUP_TILE) {
        const size_t n = am_group_tile(c, j0);
        const float *mu = k.mean + j0;
        AM_GROUP_TILE_SUM(positions, c, j0, n, k.sum, dy[at]);
        AM_GROUP_TILE_SUM(positions, c, j0, n, k.sum_hat, dy[at] * (x[at] - mu[j]));
    }
    for (size_t j = 0; j < c; j++)
        k.sum_hat[j] *= k.inverse[j];
    return k;
}

static enum am_rc dx_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 1);
    return AM_OK;
}

/* dx = inverse * (dy w - mean(dy w) - xhat mean(dy w xhat)), means over the group */
static void dx_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t c = s->out.cols, positions = s->out.rows, groups = (size_t)s->attr.i[0];
    const float *weight = am_arg_ptr(r, &s->in[2]);
    const double count = (double)positions * (double)(c / groups);
    for (size_t b = begin; b < end; b++) {
        const struct row_sums k = row_sums(r, s, b);
        const float *dy = am_arg_ptr(r, &s->in[0]) + b * positions * c;
        const float *x = am_arg_ptr(r, &s->in[1]) + b * positions * c;
        float *dx = am_arg_ptr(r, &s->out) + b * positions * c;
        for (size_t j = 0; j < c; j++) {
            k.sum[j] *= weight[j];
            k.sum_hat[j] *= weight[j];
        }
        am_group_mean(k.sum, c, groups, count);
        am_group_mean(k.sum_hat, c, groups, count);
        for (size_t j = 0; j < c; j++) {
            k.sum[j] *= k.inverse[j];
            k.sum_hat[j] *= k.inverse[j] * k.inverse[j];
            k.inverse[j] *= weight[j];
        }
        for (size_t p = 0; p < positions; p++, dy += c, x += c, dx += c)
            for (size_t j = 0; j < c; j++)
                dx[j] = dy[j] * k.inverse[j] - k.sum[j] - (x[j] - k.mean[j]) * k.sum_hat[j];
    }
}

static void dx_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows, 6 * am_dims_count(&s->out.dims), dx_part);
}

static enum am_rc sums_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = am_dims2(2, (int64_t)am_dims_cols(am_in_dims(g, n, 1)));
    return AM_OK;
}

static void sums_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    for (size_t b = begin; b < end; b++)
        (void)row_sums(r, s, b);
}

static void sums_run(const struct am_run *r, const struct am_step *s)
{
    const size_t c = s->out.cols;
    float *out = am_arg_ptr(r, &s->out);
    am_run_split(r, s, r->n_rows, 6 * am_dims_count(&s->in[1].dims), sums_part);
    memset(out, 0, 2 * c * sizeof(float));
    for (size_t b = 0; b < r->n_rows; b++) {
        const float *sums = am_scratch(r, s) + (4 * b + 2) * c;
        r->kern->add(out, sums, out, 2 * c);
    }
}

const struct am_op am_op_gn_dx = {.name = "gn_dx",
                                  .min_in = 3,
                                  .max_in = 3,
                                  .infer = dx_infer,
                                  .run = dx_run,
                                  .scratch = four_each};
const struct am_op am_op_gn_sums = {.name = "gn_sums",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .infer = sums_infer,
                                    .run = sums_run,
                                    .scratch = four_each};
