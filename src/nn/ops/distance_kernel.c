/* similarity: x [B, n] and centers [k, n] -> [B, k] of a kernel machine: attr.i[0] = kind, i[1] =
 * degree, f[0] = gamma, f[1] = coef0. Gaussian on the distances of distance.h, the others on one
 * GEMM of inner products. Also the builders of layers_distance.h. */
#include <math.h>
#include <stdio.h>

#include "nn/ops/distance_int.h"
#include "nn/ops/op.h"

static enum am_rc similarity_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *c = am_in_dims(g, n, 1);
    if (x->rank != 2 || c->rank != 2 || am_dims_batched(c) || x->d[1] != c->d[1])
        return am_op_fail(g, n, err, "rows [B,n] and centers [k,n] must have the same width");
    if (am_graph_node(g, n->in[1])->op != &am_op_param)
        return am_op_fail(g, n, err, "the centers must be a parameter");
    if (n->attr.i[0] < 0 || n->attr.i[0] >= AM_N_SIMILARITIES)
        return am_op_fail(g, n, err, "the kind of kernel is unknown");
    if (n->attr.i[1] < 1 || n->attr.i[1] > 32)
        return am_op_fail(g, n, err, "the degree must be from 1 to 32");
    if (!isfinite(n->attr.f[0]) || !isfinite(n->attr.f[1]))
        return am_op_fail(g, n, err, "gamma and coef0 must be finite");
    n->dims = am_dims2(x->d[0], c->d[0]);
    return AM_OK;
}

/* The kernel of inner products, or of squared distances. */
static void apply(const struct am_kernels *kern, const struct am_attr *a, float *v, size_t n)
{
    if (a->i[0] == AM_SIMILARITY_RBF) {
        am_distance_table(kern)->gauss(v, n, a->f[0]);
        return;
    }
    kern->scale(v, a->f[0], a->f[1], v, n);
    if (a->i[0] == AM_SIMILARITY_SIGMOID) {
        kern->act(AM_ACT_TANH, 1.0f, v, v, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float base = v[i];
        for (int64_t d = 1; d < a->i[1]; d++)
            v[i] *= base;
    }
}

static void products(const struct am_run *r, const struct am_step *s, const float *x, size_t m,
                     float *y)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    const struct am_gemm g = {.m = m,
                              .n = k,
                              .k = n,
                              .a = x,
                              .a_row = n,
                              .a_col = 1,
                              .b = s->prepared,
                              .c = y,
                              .c_row = k};
    r->kern->gemm(&g, 0, m, 0, k);
}

static void plain(const struct am_run *r, const struct am_step *s, const float *x, size_t m,
                  float *y)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    const float *c = am_arg_ptr(r, &s->in[1]);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < k; j++) {
            double d = 0;
            if (s->attr.i[0] == AM_SIMILARITY_RBF)
                d = am_distance_exact(AM_DISTANCE_SQUARED, x + i * n, c + j * n, n);
            for (size_t p = 0; s->attr.i[0] != AM_SIMILARITY_RBF && p < n; p++)
                d += (double)x[i * n + p] * (double)c[j * n + p];
            y[i * k + j] = (float)d;
        }
}

static void similarity_part(const struct am_run *r, const struct am_step *s, size_t begin,
                            size_t end)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    float *scratch = am_scratch(r, s) + am_distance_scratch(begin, n);
    for (size_t i = begin, m; i < end; i += m) {
        const float *x = am_arg_ptr(r, &s->in[0]) + i * n;
        float *y = am_arg_ptr(r, &s->out) + i * k;
        m = end - i < AM_DISTANCE_ROWS ? end - i : AM_DISTANCE_ROWS;
        if (!s->prepared)
            plain(r, s, x, m, y);
        else if (s->attr.i[0] == AM_SIMILARITY_RBF)
            am_distance_run(r->kern, AM_DISTANCE_SQUARED, s->prepared, am_arg_ptr(r, &s->in[1]), k,
                            x, m, n, scratch, y);
        else
            products(r, s, x, m, y);
        apply(r->kern, &s->attr, y, m * k);
    }
}

static void similarity_units(const struct am_run *r, const struct am_step *s, size_t begin,
                             size_t end)
{
    const size_t rows = am_arg_rows(r, &s->out), last = end * AM_DISTANCE_UNIT;
    similarity_part(r, s, begin * AM_DISTANCE_UNIT, last < rows ? last : rows);
}

static void similarity_run(const struct am_run *r, const struct am_step *s)
{
    const size_t rows = am_arg_rows(r, &s->out);
    am_run_split(r, s, (rows + AM_DISTANCE_UNIT - 1) / AM_DISTANCE_UNIT,
                 AM_DISTANCE_UNIT * s->in[0].cols * s->out.cols, similarity_units);
}

static size_t similarity_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    return am_distance_scratch(rows, (size_t)am_in_dims(g, n, 0)->d[1]);
}

static size_t similarity_prepared(const struct am_graph *g, const struct am_gnode *n,
                                  const struct am_kernels *k)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return n->attr.i[0] == AM_SIMILARITY_RBF
               ? am_distance_pack_floats(k, (size_t)c->d[0], (size_t)c->d[1])
               : am_pack_floats(k, (size_t)c->d[1], (size_t)c->d[0]);
}

static void similarity_prepare(const struct am_kernels *k, const struct am_step *s,
                               const float *params, float *out)
{
    const size_t n = s->in[0].cols;
    const float *c = params + s->in[1].offset;
    if (s->attr.i[0] == AM_SIMILARITY_RBF)
        am_distance_pack(k, AM_DISTANCE_SQUARED, c, s->out.cols, n, out);
    else
        am_pack_transposed(k, c, n, n, s->out.cols, out);
}

static double similarity_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return 2.0 * (double)c->d[0] * (double)c->d[1] + 20.0 * (double)c->d[0];
}

static const struct am_attr_desc attrs[] = {{"kind", AM_ATTR_I, 0, 0, AM_N_SIMILARITIES - 1},
                                            {"degree", AM_ATTR_I, 1, 1, 32},
                                            {"gamma", AM_ATTR_F, 0, -3e38, 3e38},
                                            {"coef0", AM_ATTR_F, 1, -3e38, 3e38},
                                            {NULL, 0, 0, 0, 0}};
const struct am_op am_op_similarity = {.name = "similarity",
                                       .min_in = 2,
                                       .max_in = 2,
                                       .attrs = attrs,
                                       .infer = similarity_infer,
                                       .run = similarity_run,
                                       .flops = similarity_flops,
                                       .scratch = similarity_scratch,
                                       .prepared = similarity_prepared,
                                       .prepare = similarity_prepare};

/* ---- builders ---- */

static am_value kept(struct am_graph *g, const char *name, const char *what, int64_t rows,
                     int64_t cols)
{
    const struct am_param_spec spec = {AM_INIT_ZEROS, 0, AM_PARAM_FROZEN};
    char full[AM_LIMIT_NAME_BYTES + 32];
    (void)snprintf(full, sizeof full, "%s.%s", name, what);
    return am_graph_param(g, full, am_dims2(rows, cols), &spec);
}

static int64_t width_of(const struct am_graph *g, am_value x)
{
    const struct am_gnode *n = am_graph_node(g, x);
    return n ? (int64_t)am_dims_cols(&n->dims) : 0;
}

static am_value from_centers(struct am_graph *g, const struct am_op *op, am_value x,
                             int64_t n_centers, const struct am_attr *attr, const char *name)
{
    const int64_t width = width_of(g, x);
    if (width == 0 || n_centers < 1) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs an input and at least one center, not %lld",
                      name, (long long)n_centers);
        return AM_VALUE_NONE;
    }
    const am_value in[2] = {x, kept(g, name, "centers", n_centers, width)};
    return am_graph_add(g, op, in, 2, attr, name);
}

am_value am_layer_distance(struct am_graph *g, am_value x, int64_t n_centers,
                           enum am_distance metric, const char *name)
{
    const struct am_attr attr = {.i = {(int64_t)metric}};
    return from_centers(g, &am_op_distance, x, n_centers, &attr, name);
}

am_value am_layer_similarity(struct am_graph *g, am_value x, int64_t n_centers,
                             const struct am_similarity_options *o, const char *name)
{
    const struct am_attr attr = {.f = {o->gamma, o->coef0}, .i = {(int64_t)o->kind, o->degree}};
    return from_centers(g, &am_op_similarity, x, n_centers, &attr, name);
}

am_value am_layer_neighbours(struct am_graph *g, am_value x, const struct am_neighbours_options *o,
                             const char *name)
{
    const struct am_attr attr = {
        .i = {(int64_t)o->metric, o->k, o->by_distance ? 1 : 0, o->n_classes}};
    const int64_t width = width_of(g, x);
    if (width == 0 || o->n_rows < 1) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs an input and at least one row, not %lld",
                      name, (long long)o->n_rows);
        return AM_VALUE_NONE;
    }
    const am_value in[3] = {x, kept(g, name, "rows", o->n_rows, width),
                            kept(g, name, "values", o->n_rows, 2)};
    return am_graph_add(g, &am_op_neighbours, in, 3, &attr, name);
}
