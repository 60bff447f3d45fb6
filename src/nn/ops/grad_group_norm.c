/* Gradients of group norm: gn_dx (dy, x, weight -> dx) and gn_sums (dy, x -> [dbias, dweight]);
 * statistics are computed again from x. attr as group_norm. gn_sums keeps its rows' statistics in
 * scratch. Sums over the batch run in row order. Fitting library. */
#include "nn/ops/group_norm.h"
#include "nn/ops/train_ops.h"

#include <string.h>

static enum am_rc dx_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 1);
    return AM_OK;
}

static void dx_group(const float *dy, const float *x, const float *weight, float *dx,
                     size_t positions, size_t c, size_t n, float eps)
{
    const struct am_group_stats k = am_group_stats(x, positions, c, n, eps);
    double a = 0, b = 0;
    AM_GROUP_SUM(positions, n, a, dy[p * c + j] * weight[j])
    AM_GROUP_SUM(positions, n, b, dy[p * c + j] * weight[j] * ((x[p * c + j] - k.mean) * k.inverse))
    const double count = (double)positions * (double)n;
    const float mean_a = (float)(a / count), mean_b = (float)(b / count);
    for (size_t p = 0; p < positions; p++)
        for (size_t j = 0; j < n; j++) {
            const float hat = (x[p * c + j] - k.mean) * k.inverse;
            dx[p * c + j] = k.inverse * (dy[p * c + j] * weight[j] - mean_a - hat * mean_b);
        }
}

static void dx_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t c = s->out.cols, positions = s->out.rows, each = c / (size_t)s->attr.i[0];
    const float *weight = am_arg_ptr(r, &s->in[2]);
    for (size_t b = begin; b < end; b++)
        for (size_t c0 = 0; c0 < c; c0 += each) {
            const size_t at = b * positions * c + c0;
            dx_group(am_arg_ptr(r, &s->in[0]) + at, am_arg_ptr(r, &s->in[1]) + at, weight + c0,
                     am_arg_ptr(r, &s->out) + at, positions, c, each, s->attr.f[0]);
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

/* mean and inverse of each row and group */
static size_t sums_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)g;
    return 2 * rows * (size_t)n->attr.i[0];
}

static void stats_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t groups = (size_t)s->attr.i[0], c = s->in[1].cols, positions = s->in[1].rows;
    const size_t each = c / groups;
    for (size_t i = begin; i < end; i++) {
        const float *x = am_arg_ptr(r, &s->in[1]) + i / groups * positions * c + i % groups * each;
        const struct am_group_stats k = am_group_stats(x, positions, c, each, s->attr.f[0]);
        am_scratch(r, s)[2 * i] = k.mean;
        am_scratch(r, s)[2 * i + 1] = k.inverse;
    }
}

/* channels begin..end of the sums, at most 16 at once */
static void sums_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t groups = (size_t)s->attr.i[0], c = s->in[1].cols, positions = s->in[1].rows;
    const size_t each = c / groups;
    float *out = am_arg_ptr(r, &s->out);
    for (size_t j0 = begin; j0 < end; j0 += 16) {
        const size_t n = end - j0 < 16 ? end - j0 : 16;
        double total[2][16] = {{0}};
        float mean[16], inverse[16];
        for (size_t b = 0; b < r->n_rows; b++) {
            const float *dy = am_arg_ptr(r, &s->in[0]) + b * positions * c + j0;
            const float *x = am_arg_ptr(r, &s->in[1]) + b * positions * c + j0;
            for (size_t j = 0; j < n; j++) {
                const float *k = am_scratch(r, s) + 2 * (b * groups + (j0 + j) / each);
                mean[j] = k[0];
                inverse[j] = k[1];
            }
            for (size_t p0 = 0; p0 < positions; p0 += 64) {
                const size_t p1 = positions - p0 < 64 ? positions : p0 + 64;
                float lane[2][16] = {{0}};
                for (size_t p = p0; p < p1; p++)
                    for (size_t j = 0; j < n; j++) {
                        lane[0][j] += dy[p * c + j];
                        lane[1][j] += dy[p * c + j] * ((x[p * c + j] - mean[j]) * inverse[j]);
                    }
                for (size_t j = 0; j < n; j++) {
                    total[0][j] += (double)lane[0][j];
                    total[1][j] += (double)lane[1][j];
                }
            }
        }
        for (size_t j = 0; j < n; j++) {
            out[j0 + j] = (float)total[0][j];
            out[c + j0 + j] = (float)total[1][j];
        }
    }
}

static void sums_run(const struct am_run *r, const struct am_step *s)
{
    const size_t groups = (size_t)s->attr.i[0], count = am_arg_count(r, &s->in[1]);
    const size_t c = s->out.cols;
    if (count == 0)
        memset(am_arg_ptr(r, &s->out), 0, 2 * c * sizeof(float));
    else
        am_run_split(r, s, r->n_rows * groups, 2 * count / (r->n_rows * groups), stats_part);
    if (count > 0)
        am_run_split(r, s, c, count / c * 2, sums_part);
}

const struct am_op am_op_gn_dx = {
    .name = "gn_dx", .min_in = 3, .max_in = 3, .infer = dx_infer, .run = dx_run};
const struct am_op am_op_gn_sums = {.name = "gn_sums",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .infer = sums_infer,
                                    .run = sums_run,
                                    .scratch = sums_scratch};
