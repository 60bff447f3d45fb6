/* What trees need behind them: a weighted median of a row (AdaBoost.R2), and exp (isolation).
 *
 * weighted_median: inputs x [B, n] and weights [n]; values and weights of a row are sorted in
 * scratch, so a row's bits are its own. Any weights are survived: without a sum that reaches half
 * of the total the largest value is taken. exp: attr.f[0] is the factor. */
#include <math.h>
#include <stdio.h>

#include "nn/layers_median.h"
#include "nn/ops/op.h"

static enum am_rc median_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    if (x->rank != 2 || w->rank != 1 || w->d[0] != x->d[1] || am_dims_batched(w))
        return am_op_fail(g, n, err, "a weighted median needs rows and one weight a column");
    n->dims = am_dims2(x->d[0], 1);
    return AM_OK;
}

static size_t median_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    return 2 * rows * (size_t)am_in_dims(g, n, 0)->d[1];
}

/* Pairs (value, weight) by value; Shell sort, gaps of Ciura. */
static void sort_pairs(float *p, size_t n)
{
    static const size_t gaps[] = {3937, 1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t k = 0; k < sizeof gaps / sizeof gaps[0]; k++) {
        const size_t gap = gaps[k];
        for (size_t i = gap; i < n; i++) {
            const float v = p[2 * i], w = p[2 * i + 1];
            size_t at = i;
            for (; at >= gap && p[2 * (at - gap)] > v; at -= gap) {
                p[2 * at] = p[2 * (at - gap)];
                p[2 * at + 1] = p[2 * (at - gap) + 1];
            }
            p[2 * at] = v;
            p[2 * at + 1] = w;
        }
    }
}

static void median_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->in[0].cols;
    const float *x = am_arg_ptr(r, &s->in[0]), *w = am_arg_ptr(r, &s->in[1]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin; i < end; i++) {
        float *p = am_scratch(r, s) + 2 * i * n;
        double total = 0, sum = 0;
        size_t at = 0;
        for (size_t k = 0; k < n; k++) {
            p[2 * k] = x[i * n + k];
            p[2 * k + 1] = w[k];
        }
        sort_pairs(p, n);
        for (size_t k = 0; k < n; k++)
            total += (double)p[2 * k + 1];
        for (at = 0; at + 1 < n; at++) {
            sum += (double)p[2 * at + 1];
            if (sum >= total / 2)
                break;
        }
        y[i] = p[2 * at];
    }
}

static void median_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), 16 * s->in[0].cols, median_part);
}

static double median_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 20 * (double)am_in_dims(g, n, 0)->d[1];
}

static enum am_rc exp_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!isfinite(n->attr.f[0]))
        return am_op_fail(g, n, err, "the factor must be finite");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void exp_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const float *x = am_arg_ptr(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin; i < end; i++)
        y[i] = (float)exp((double)s->attr.f[0] * (double)x[i]);
}

static void exp_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, exp_part);
}

const struct am_op am_op_weighted_median = {.name = "weighted_median",
                                            .min_in = 2,
                                            .max_in = 2,
                                            .infer = median_infer,
                                            .run = median_run,
                                            .flops = median_flops,
                                            .scratch = median_scratch};
static const struct am_attr_desc exp_attrs[] = {{"factor", AM_ATTR_F, 0, -1e30, 1e30},
                                                {NULL, 0, 0, 0, 0}};
const struct am_op am_op_exp = {.name = "exp",
                                .min_in = 1,
                                .max_in = 1,
                                .attrs = exp_attrs,
                                .infer = exp_infer,
                                .run = exp_run};

am_value am_layer_weighted_median(struct am_graph *g, am_value x, const char *name)
{
    const struct am_param_spec spec = {AM_INIT_ONES, 0, AM_PARAM_FROZEN};
    const struct am_gnode *n = am_graph_node(g, x);
    char param[AM_LIMIT_NAME_BYTES + 1];
    if (!n)
        return AM_VALUE_NONE;
    (void)snprintf(param, sizeof param, "%s.weight", name);
    const am_value in[2] = {x, am_graph_param(g, param, am_dims1(n->dims.d[1]), &spec)};
    return am_graph_add(g, &am_op_weighted_median, in, 2, NULL, name);
}

am_value am_layer_exp(struct am_graph *g, am_value x, float factor)
{
    const struct am_attr a = {.f = {factor}};
    return am_graph_add(g, &am_op_exp, &x, 1, &a, NULL);
}
