/* nearest, mixture and factors (layers_cluster.h says what they compute and from which parameters).
 *
 * nearest takes distances from the core of distance.h and decides by the distance in double of the
 * point that it gives, so the radius is exact; mixture and factors work in double throughout. No
 * parameter value is trusted: what is out of range is in no group, and answers stay finite. */
#include "nn/ops/cluster.h"

#include <float.h>
#include <math.h>

#include "nn/layers_cluster.h"
#include "nn/ops/distance_int.h"

static bool is_param(const struct am_graph *g, const struct am_gnode *n, unsigned i)
{
    return am_graph_node(g, n->in[i])->op == &am_op_param;
}

static bool all_params(const struct am_graph *g, const struct am_gnode *n)
{
    for (unsigned i = 1; i < n->n_in; i++)
        if (!am_in_given(n, i) || !is_param(g, n, i))
            return false;
    return am_in_given(n, 0);
}

static bool is_matrix(const struct am_dims *d)
{
    return d->rank == 2 && !am_dims_batched(d) && d->d[0] >= 1 && d->d[1] >= 1;
}

static bool is_rows(const struct am_dims *d)
{
    return d->rank == 2 && am_dims_batched(d);
}

/* ---- nearest ---- */

static enum am_rc nearest_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const int64_t k = n->attr.i[0];
    if (!all_params(g, n))
        return am_op_fail(g, n, err, "points and groups must be parameters");
    const struct am_dims *x = am_in_dims(g, n, 0), *p = am_in_dims(g, n, 1),
                         *c = am_in_dims(g, n, 2);
    if (!is_rows(x) || !is_matrix(p) || x->d[1] != p->d[1])
        return am_op_fail(g, n, err, "rows [B,n] and points [m,n] must have the same width");
    if (c->rank != 1 || c->d[0] != p->d[0])
        return am_op_fail(g, n, err, "there must be one group for each point");
    if (k < 1 || k > AM_GROUPS_MAX || !(n->attr.f[0] >= 0.0f))
        return am_op_fail(g, n, err, "1 to 100000 groups and a radius of at least 0 are needed");
    n->dims = am_dims2(x->d[0], 2 + k);
    return AM_OK;
}

struct places { /* of the rows of one run */
    const struct am_step *step;
    const float *points, *groups;
    size_t m, n, k;
    double radius;
};

static size_t group_of(const struct places *p, size_t j)
{
    const float g = p->groups[j];
    return g >= 0 && g < (float)p->k ? (size_t)g : p->k;
}

/* d [m]: squared distances of row x; NULL = not there yet. */
static void nearest_row(const struct places *p, const float *x, const float *d, float *y)
{
    size_t best = p->m;
    float least = INFINITY;
    for (size_t c = 0; c < p->k; c++)
        y[2 + c] = FLT_MAX;
    for (size_t j = 0; j < p->m; j++) {
        const float s =
            d ? d[j] : (float)am_distance_exact(AM_DISTANCE_SQUARED, x, p->points + j * p->n, p->n);
        const size_t c = group_of(p, j);
        if (c == p->k)
            continue;
        if (s < y[2 + c])
            y[2 + c] = s;
        if (s < least) {
            least = s;
            best = j;
        }
    }
    for (size_t c = 0; c < p->k; c++)
        y[2 + c] = y[2 + c] < FLT_MAX ? sqrtf(y[2 + c]) : FLT_MAX;
    y[0] = -1;
    y[1] = FLT_MAX;
    if (best == p->m)
        return;
    const double exact =
        sqrt(am_distance_exact(AM_DISTANCE_SQUARED, x, p->points + best * p->n, p->n));
    y[1] = exact < (double)FLT_MAX ? (float)exact : FLT_MAX;
    if (!(p->radius > 0) || exact <= p->radius)
        y[0] = (float)group_of(p, best);
}

static void nearest_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t cols = s->out.cols;
    const struct places p = {.points = am_arg_ptr(r, &s->in[1]),
                             .groups = am_arg_ptr(r, &s->in[2]),
                             .m = s->in[1].rows,
                             .n = s->in[0].cols,
                             .k = (size_t)s->attr.i[0],
                             .radius = (double)s->attr.f[0]};
    const float *x = am_arg_ptr(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out), *d = am_scratch(r, s) + begin * (p.m + p.n + 1);
    for (size_t i = begin, rows; i < end; i += rows) {
        rows = end - i < AM_DISTANCE_ROWS ? end - i : AM_DISTANCE_ROWS;
        if (s->prepared)
            am_distance_run(r->kern, AM_DISTANCE_SQUARED, s->prepared, p.points, p.m, x + i * p.n,
                            rows, p.n, d + rows * p.m, d);
        for (size_t j = 0; j < rows; j++)
            nearest_row(&p, x + (i + j) * p.n, s->prepared ? d + j * p.m : NULL,
                        y + (i + j) * cols);
    }
}

static void nearest_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), s->in[0].cols * s->in[1].rows, nearest_part);
}

static size_t nearest_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_dims *p = am_in_dims(g, n, 1);
    return rows * (size_t)(p->d[0] + p->d[1] + 1) + 16;
}

static size_t nearest_prepared(const struct am_graph *g, const struct am_gnode *n,
                               const struct am_kernels *k)
{
    const struct am_dims *p = am_in_dims(g, n, 1);
    return am_distance_pack_floats(k, (size_t)p->d[0], (size_t)p->d[1]);
}

static void nearest_prepare(const struct am_kernels *k, const struct am_step *s,
                            const float *params, float *out)
{
    am_distance_pack(k, AM_DISTANCE_SQUARED, params + s->in[1].offset, s->in[1].rows, s->in[0].cols,
                     out);
}

static double matrix_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *p = am_in_dims(g, n, 1);
    return 3.0 * (double)p->d[0] * (double)p->d[1];
}

static const struct am_attr_desc nearest_attrs[] = {
    {"groups", AM_ATTR_I, 0, 1, AM_GROUPS_MAX},
    {"radius", AM_ATTR_F, 0, 0, FLT_MAX},
    {NULL, 0, 0, 0, 0},
};
const struct am_op am_op_nearest = {.name = "nearest",
                                    .min_in = 3,
                                    .max_in = 3,
                                    .attrs = nearest_attrs,
                                    .infer = nearest_infer,
                                    .run = nearest_run,
                                    .flops = matrix_flops,
                                    .scratch = nearest_scratch,
                                    .prepared = nearest_prepared,
                                    .prepare = nearest_prepare};

/* ---- mixture ---- */

static enum am_rc mixture_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const int64_t kind = n->attr.i[0];
    if (!all_params(g, n))
        return am_op_fail(g, n, err, "means, factors and constants must be parameters");
    const struct am_dims *x = am_in_dims(g, n, 0), *m = am_in_dims(g, n, 1),
                         *f = am_in_dims(g, n, 2), *c = am_in_dims(g, n, 3);
    if (!is_rows(x) || !is_matrix(m) || x->d[1] != m->d[1] || m->d[0] > AM_GROUPS_MAX)
        return am_op_fail(g, n, err, "rows [B,n] and means [k,n] must have the same width");
    if (kind < 0 || kind >= AM_N_COVARIANCES)
        return am_op_fail(g, n, err, "the kind of covariance is unknown");
    const bool wide = kind == AM_COVARIANCE_FULL || kind == AM_COVARIANCE_TIED;
    const int64_t rows = kind == AM_COVARIANCE_TIED ? 1 : m->d[0];
    if (!is_matrix(f) || f->d[0] != rows || (wide && m->d[1] > 32768) ||
        f->d[1] != (wide                         ? m->d[1] * m->d[1]
                    : kind == AM_COVARIANCE_DIAG ? m->d[1]
                                                 : 1))
        return am_op_fail(g, n, err, "the factors do not suit the kind of covariance");
    if (c->rank != 1 || c->d[0] != m->d[0])
        return am_op_fail(g, n, err, "there must be one constant for each mean");
    n->dims = am_dims2(x->d[0], 2 + m->d[0]);
    return AM_OK;
}

/* |(x - m) P|^2 */
static double square(const float *x, const float *m, const float *f, size_t n, int64_t kind)
{
    double total = 0;
    if (kind == AM_COVARIANCE_DIAG || kind == AM_COVARIANCE_SPHERICAL) {
        for (size_t j = 0; j < n; j++) {
            const double d =
                ((double)x[j] - (double)m[j]) * (double)f[kind == AM_COVARIANCE_DIAG ? j : 0];
            total += d * d;
        }
        return total;
    }
    for (size_t j = 0; j < n; j++) {
        double s = 0;
        for (size_t i = 0; i <= j; i++)
            s += ((double)x[i] - (double)m[i]) * (double)f[i * n + j];
        total += s * s;
    }
    return total;
}

#define LEAST_LOG (-1e30)

static void mixture_row(const struct am_run *r, const struct am_step *s, size_t i)
{
    const size_t n = s->in[0].cols, k = s->in[1].rows, width = s->in[2].cols;
    const float *x = am_arg_ptr(r, &s->in[0]) + i * n, *means = am_arg_ptr(r, &s->in[1]),
                *factors = am_arg_ptr(r, &s->in[2]), *constants = am_arg_ptr(r, &s->in[3]);
    const bool tied = s->attr.i[0] == AM_COVARIANCE_TIED;
    float *y = am_arg_ptr(r, &s->out) + i * s->out.cols;
    double most = LEAST_LOG, sum = 0;
    size_t best = 0;
    for (size_t c = 0; c < k; c++) {
        const double q =
            square(x, means + c * n, factors + (tied ? 0 : c * width), n, s->attr.i[0]);
        double p = (double)constants[c] - q / 2;
        p = p > LEAST_LOG ? p : LEAST_LOG; /* not a number, too */
        p = p < -LEAST_LOG ? p : -LEAST_LOG;
        y[2 + c] = (float)p;
        if (p > most) {
            most = p;
            best = c;
        }
    }
    for (size_t c = 0; c < k; c++) {
        const double e = exp((double)y[2 + c] - most);
        y[2 + c] = (float)e;
        sum += e;
    }
    for (size_t c = 0; c < k; c++)
        y[2 + c] = sum > 0 ? (float)((double)y[2 + c] / sum) : 1.0f / (float)k;
    y[0] = (float)best;
    y[1] = (float)(sum > 0 ? most + log(sum) : most);
}

static void mixture_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        mixture_row(r, s, i);
}

static void mixture_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), s->in[1].rows * (s->in[2].cols + 8), mixture_part);
}

static double mixture_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_in_dims(g, n, 1)->d[0] * (double)am_in_dims(g, n, 2)->d[1];
}

static const struct am_attr_desc mixture_attrs[] = {{"kind", AM_ATTR_I, 0, 0, AM_N_COVARIANCES - 1},
                                                    {NULL, 0, 0, 0, 0}};
const struct am_op am_op_mixture = {.name = "mixture",
                                    .min_in = 4,
                                    .max_in = 4,
                                    .attrs = mixture_attrs,
                                    .infer = mixture_infer,
                                    .run = mixture_run,
                                    .flops = mixture_flops};

/* ---- factors ---- */

static enum am_rc factors_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!all_params(g, n))
        return am_op_fail(g, n, err, "users, items and what they saw must be parameters");
    const struct am_dims *x = am_in_dims(g, n, 0), *u = am_in_dims(g, n, 1),
                         *v = am_in_dims(g, n, 2), *mean = am_in_dims(g, n, 3),
                         *start = am_in_dims(g, n, 4), *seen = am_in_dims(g, n, 5);
    if (!is_rows(x) || x->d[1] != 2)
        return am_op_fail(g, n, err, "rows must be a user and an item, [B,2]");
    if (!is_matrix(u) || !is_matrix(v) || u->d[1] + 1 != v->d[1])
        return am_op_fail(g, n, err, "users [U,f+1] and items [I,f+2] do not suit each other");
    if (mean->rank != 1 || mean->d[0] != 1 || start->rank != 2 || start->d[0] != u->d[0] + 1 ||
        start->d[1] != 2 || seen->rank != 1)
        return am_op_fail(g, n, err, "the mean or the lists of seen items have another shape");
    n->dims = am_dims2(x->d[0], 1);
    return AM_OK;
}

static void factors_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const float *x = am_arg_ptr(r, &s->in[0]), *users = am_arg_ptr(r, &s->in[1]),
                *items = am_arg_ptr(r, &s->in[2]);
    const size_t n_users = s->in[1].rows, n_items = s->in[2].rows, f = s->in[1].cols - 1;
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin; i < end; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        const float *u = a >= 0 && a < (float)n_users ? users + (size_t)a * (f + 1) : NULL,
                    *v = b >= 0 && b < (float)n_items ? items + (size_t)b * (f + 2) : NULL;
        double p = (double)am_arg_ptr(r, &s->in[3])[0];
        if (u)
            p += (double)u[f];
        if (u && v)
            p += (double)v[f];
        for (size_t j = 0; u && v && j < f; j++)
            p += (double)u[j] * (double)v[j];
        if (!u && v)
            p = (double)v[f + 1];
        y[i] = p > (double)-FLT_MAX && p < (double)FLT_MAX ? (float)p : 0.0f;
    }
}

static void factors_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), s->in[1].cols, factors_part);
}

static double factors_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_in_dims(g, n, 1)->d[1];
}

const struct am_op am_op_factors = {.name = "factors",
                                    .min_in = 6,
                                    .max_in = 6,
                                    .infer = factors_infer,
                                    .run = factors_run,
                                    .flops = factors_flops};
