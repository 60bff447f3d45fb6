/* gauss: x [B, n], means [k, n], precisions [k, n], bias [k] -> [B, k] =
 * bias - 1/2 sum precision (x - mean)^2: log densities of axis-parallel Gaussians (naive Bayes,
 * mixtures). Differences are taken before they are squared, and sums are in double, so that narrow
 * classes far from 0 keep their digits. */
#include <stdio.h>

#include "nn/layers_distance.h"
#include "nn/ops/op.h"

static enum am_rc gauss_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *mean = am_in_dims(g, n, 1),
                         *bias = am_in_dims(g, n, 3);
    if (x->rank != 2 || mean->rank != 2 || am_dims_batched(mean) || x->d[1] != mean->d[1])
        return am_op_fail(g, n, err, "rows [B,n] and means [k,n] must have the same width");
    if (!am_dims_eq(mean, am_in_dims(g, n, 2)))
        return am_op_fail(g, n, err, "means and precisions must have the same shape");
    if (bias->rank != 1 || bias->d[0] != mean->d[0])
        return am_op_fail(g, n, err, "the bias must have one number for each mean");
    n->dims = am_dims2(x->d[0], mean->d[0]);
    return AM_OK;
}

static void gauss_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    const float *mean = am_arg_ptr(r, &s->in[1]), *precision = am_arg_ptr(r, &s->in[2]),
                *bias = am_arg_ptr(r, &s->in[3]);
    for (size_t i = begin; i < end; i++) {
        const float *x = am_arg_ptr(r, &s->in[0]) + i * n;
        float *y = am_arg_ptr(r, &s->out) + i * k;
        for (size_t c = 0; c < k; c++) {
            double sum = 0;
            for (size_t p = 0; p < n; p++) {
                const double d = (double)x[p] - (double)mean[c * n + p];
                sum += (double)precision[c * n + p] * d * d;
            }
            y[c] = (float)((double)bias[c] - sum / 2);
        }
    }
}

static void gauss_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), s->in[0].cols * s->out.cols, gauss_part);
}

static double gauss_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return 4.0 * (double)c->d[0] * (double)c->d[1];
}

const struct am_op am_op_gauss = {.name = "gauss",
                                  .min_in = 4,
                                  .max_in = 4,
                                  .infer = gauss_infer,
                                  .run = gauss_run,
                                  .flops = gauss_flops};

am_value am_layer_gauss(struct am_graph *g, am_value x, int64_t n_means, const char *name)
{
    static const char *const what[3] = {"means", "precisions", "bias"};
    const struct am_param_spec spec = {AM_INIT_ZEROS, 0, AM_PARAM_FROZEN};
    const struct am_gnode *node = am_graph_node(g, x);
    am_value in[4] = {x};
    if (!node || n_means < 1) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs an input and at least one mean, not %lld",
                      name, (long long)n_means);
        return AM_VALUE_NONE;
    }
    const int64_t width = (int64_t)am_dims_cols(&node->dims);
    for (unsigned i = 0; i < 3; i++) {
        char full[AM_LIMIT_NAME_BYTES + 32];
        (void)snprintf(full, sizeof full, "%s.%s", name, what[i]);
        in[i + 1] =
            am_graph_param(g, full, i < 2 ? am_dims2(n_means, width) : am_dims1(n_means), &spec);
    }
    return am_graph_add(g, &am_op_gauss, in, 4, NULL, name);
}
