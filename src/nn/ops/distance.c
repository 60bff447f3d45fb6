/* Distances to centers: the core (distance.h) and the op `distance`, x [B, n] and centers [k, n] ->
 * [B, k].
 *
 * |x - c|^2 is |x'|^2 - 2 x'.c' + |c'|^2 of values less their mean, so one GEMM does the work;
 * where little is left of both squares the pair is computed again from its differences. Rows of few
 * numbers, and sums of absolute differences, are computed directly from panels. */
#include "nn/ops/distance.h"

#include <math.h>
#include <string.h>

#include "nn/ops/distance_int.h"
#include "nn/ops/op.h"

#define DIRECT_MAX 16  /* numbers of a row up to which differences cost no more than a GEMM */
#define NEAR 0.015625f /* share of |x|^2 + |c|^2 below which digits are lost */

extern const struct am_distance_table am_distance_table_ref;
#ifdef AM_HAVE_X86
extern const struct am_distance_table am_distance_table_avx2, am_distance_table_avx512;
#endif

const struct am_distance_table *am_distance_table(const struct am_kernels *kern)
{
#ifdef AM_HAVE_X86
    if (strcmp(kern->name, "avx512") == 0)
        return &am_distance_table_avx512;
    if (strcmp(kern->name, "avx2") == 0)
        return &am_distance_table_avx2;
#endif
    (void)kern;
    return &am_distance_table_ref;
}

bool am_distance_is_direct(enum am_distance metric, size_t n)
{
    return metric == AM_DISTANCE_MANHATTAN || (metric != AM_DISTANCE_COSINE && n <= DIRECT_MAX);
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

size_t am_distance_pack_floats(const struct am_kernels *kern, size_t k, size_t n)
{
    const size_t direct = round_up(k, AM_DIRECT_PANEL) * n, gemm = am_pack_floats(kern, n, k);
    return 2 * round_up(k, 16) + round_up(n, 16) + (direct > gemm ? direct : gemm);
}

struct am_packed_centers am_distance_unpack(const float *packed, size_t k, size_t n)
{
    struct am_packed_centers c = {.norm = packed};
    c.bias = c.norm + round_up(k, 16);
    c.mean = c.bias + round_up(k, 16);
    c.panel = c.mean + round_up(n, 16);
    return c;
}

float am_distance_slack(enum am_distance metric, size_t n)
{
    const size_t chain = (n < AM_GEMM_K_BLOCK ? n : AM_GEMM_K_BLOCK) + n / AM_GEMM_K_BLOCK + 16;
    (void)metric;
    return (float)chain * 1.2e-7f;
}

double am_distance_exact(enum am_distance metric, const float *a, const float *b, size_t n)
{
    double s = 0, aa = 0, bb = 0;
    if (metric == AM_DISTANCE_COSINE) {
        for (size_t p = 0; p < n; p++) {
            s += (double)a[p] * (double)b[p];
            aa += (double)a[p] * (double)a[p];
            bb += (double)b[p] * (double)b[p];
        }
        return aa == 0 || bb == 0 ? 1 : fmax(0, 1 - s / (sqrt(aa) * sqrt(bb)));
    }
    if (metric == AM_DISTANCE_MANHATTAN) {
        for (size_t p = 0; p < n; p++)
            s += fabs((double)a[p] - (double)b[p]);
        return s;
    }
    for (size_t p = 0; p < n; p++) {
        const double d = (double)a[p] - (double)b[p];
        s += d * d;
    }
    return s;
}

void am_distance_center(enum am_distance metric, const float *mean, const float *x, size_t m,
                        size_t n, float *out, float *norm)
{
    for (size_t i = 0; i < m; i++) {
        const float *row = x + i * n;
        float *to = out + i * n;
        double s = 0;
        for (size_t p = 0; p < n; p++) {
            to[p] = row[p] - mean[p];
            s += (double)to[p] * (double)to[p];
        }
        norm[i] = (float)s;
        if (metric != AM_DISTANCE_COSINE)
            continue;
        const float f = s > 0 ? (float)(1 / sqrt(s)) : 0.0f;
        for (size_t p = 0; p < n; p++)
            to[p] *= f;
        norm[i] = s > 0 ? 1.0f : 0.0f;
    }
}

/* Columns of direct panels, padded with zeros. */
static void pack_direct(const float *centers, size_t k, size_t n, float *panel)
{
    memset(panel, 0, round_up(k, AM_DIRECT_PANEL) * n * sizeof *panel);
    for (size_t j = 0; j < k; j++) {
        float *to = panel + j / AM_DIRECT_PANEL * AM_DIRECT_PANEL * n + j % AM_DIRECT_PANEL;
        for (size_t p = 0; p < n; p++)
            to[p * AM_DIRECT_PANEL] = centers[j * n + p];
    }
}

/* Panels as am_pack makes them, of values made from the centers. */
static void pack_gemm(const struct am_kernels *kern, enum am_distance metric, const float *centers,
                      size_t k, size_t n, const float *mean, const float *norm, float *panel)
{
    memset(panel, 0, am_pack_floats(kern, n, k) * sizeof *panel);
    for (size_t j = 0; j < k; j++) {
        float *to = panel + j / kern->panel * kern->panel * n + j % kern->panel;
        const float *c = centers + j * n;
        for (size_t p = 0; p < n; p++)
            to[p * kern->panel] =
                metric == AM_DISTANCE_COSINE ? -c[p] * norm[j] : -2 * (c[p] - mean[p]);
    }
}

void am_distance_pack(const struct am_kernels *kern, enum am_distance metric, const float *centers,
                      size_t k, size_t n, float *out)
{
    float *norm = out, *bias = norm + round_up(k, 16), *mean = bias + round_up(k, 16),
          *panel = mean + round_up(n, 16);
    const float keep = 1.0f - am_distance_slack(metric, n);
    memset(out, 0, (size_t)(panel - out) * sizeof *out);
    if (am_distance_is_direct(metric, n)) {
        pack_direct(centers, k, n, panel);
        return;
    }
    for (size_t p = 0; p < n && metric != AM_DISTANCE_COSINE; p++) {
        double s = 0;
        for (size_t j = 0; j < k; j++)
            s += (double)centers[j * n + p];
        mean[p] = (float)(s / (double)k);
    }
    for (size_t j = 0; j < k; j++) {
        double s = 0;
        for (size_t p = 0; p < n; p++) {
            const float d = centers[j * n + p] - mean[p];
            s += (double)d * (double)d;
        }
        norm[j] = (float)s;
        if (metric == AM_DISTANCE_COSINE)
            norm[j] = s > 0 ? (float)(1 / sqrt(s)) : 0.0f;
        bias[j] =
            metric == AM_DISTANCE_COSINE ? 1.0f - am_distance_slack(metric, n) : norm[j] * keep;
    }
    pack_gemm(kern, metric, centers, k, n, mean, norm, panel);
}

size_t am_distance_scratch(size_t m, size_t n)
{
    return m * n + m;
}

/* One row of what the GEMM gave, |c|^2 - 2 x.c, made a squared distance. */
static void finish_row(const struct am_packed_centers *c, const float *centers, const float *x,
                       float norm, size_t k, size_t n, float *out)
{
    for (size_t j = 0; j < k; j++) {
        const float both = norm + c->norm[j];
        float d = out[j] + norm;
        if (d < NEAR * both)
            d = (float)am_distance_exact(AM_DISTANCE_SQUARED, x, centers + j * n, n);
        out[j] = d;
    }
}

static void finish(enum am_distance metric, const struct am_packed_centers *c, const float *centers,
                   const float *x, const float *norm, size_t m, size_t k, size_t n, float *out)
{
    for (size_t i = 0; i < m; i++) {
        float *row = out + i * k;
        if (metric != AM_DISTANCE_COSINE)
            finish_row(c, centers, x + i * n, norm[i], k, n, row);
        for (size_t j = 0; metric == AM_DISTANCE_COSINE && j < k; j++) {
            row[j] = row[j] + 1.0f;
            if (row[j] < NEAR)
                row[j] = (float)am_distance_exact(metric, x + i * n, centers + j * n, n);
        }
    }
}

void am_distance_run(const struct am_kernels *kern, enum am_distance metric, const float *packed,
                     const float *centers, size_t k, const float *x, size_t m, size_t n,
                     float *scratch, float *out)
{
    const struct am_packed_centers c = am_distance_unpack(packed, k, n);
    if (am_distance_is_direct(metric, n)) {
        am_distance_table(kern)->direct(metric, x, m, n, c.panel, 0, k, out, k);
    } else {
        float *norm = scratch + m * n;
        am_distance_center(metric, c.mean, x, m, n, scratch, norm);
        const struct am_gemm g = {.m = m,
                                  .n = k,
                                  .k = n,
                                  .a = scratch,
                                  .a_row = n,
                                  .a_col = 1,
                                  .b = c.panel,
                                  .c = out,
                                  .c_row = k,
                                  .bias = metric == AM_DISTANCE_COSINE ? NULL : c.norm};
        kern->gemm(&g, 0, m, 0, k);
        finish(metric, &c, centers, x, norm, m, k, n, out);
    }
    for (size_t i = 0; metric == AM_DISTANCE_EUCLIDEAN && i < m * k; i++)
        out[i] = sqrtf(out[i]);
}

/* ---- the op ---- */

static enum am_rc distance_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *c = am_in_dims(g, n, 1);
    if (x->rank != 2 || c->rank != 2 || am_dims_batched(c) || x->d[1] != c->d[1])
        return am_op_fail(g, n, err, "rows [B,n] and centers [k,n] must have the same width");
    if (am_graph_node(g, n->in[1])->op != &am_op_param)
        return am_op_fail(g, n, err, "the centers must be a parameter");
    if (n->attr.i[0] < 0 || n->attr.i[0] >= AM_N_DISTANCES)
        return am_op_fail(g, n, err, "the metric is unknown");
    n->dims = am_dims2(x->d[0], c->d[0]);
    return AM_OK;
}

/* Without a packed form (training and evaluation plans): pair by pair. */
static void distance_plain(const struct am_run *r, const struct am_step *s, size_t begin,
                           size_t end)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    const enum am_distance metric = (enum am_distance)s->attr.i[0];
    const float *x = am_arg_ptr(r, &s->in[0]), *c = am_arg_ptr(r, &s->in[1]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < k; j++) {
            const double d = am_distance_exact(metric, x + i * n, c + j * n, n);
            y[i * k + j] = (float)(metric == AM_DISTANCE_EUCLIDEAN ? sqrt(d) : d);
        }
}

static void distance_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    const float *x = am_arg_ptr(r, &s->in[0]);
    float *scratch = am_scratch(r, s) + am_distance_scratch(begin, n);
    if (!s->prepared) {
        distance_plain(r, s, begin, end);
        return;
    }
    for (size_t i = begin, m; i < end; i += m) {
        m = end - i < AM_DISTANCE_ROWS ? end - i : AM_DISTANCE_ROWS;
        am_distance_run(r->kern, (enum am_distance)s->attr.i[0], s->prepared,
                        am_arg_ptr(r, &s->in[1]), k, x + i * n, m, n, scratch,
                        am_arg_ptr(r, &s->out) + i * k);
    }
}

static void distance_units(const struct am_run *r, const struct am_step *s, size_t begin,
                           size_t end)
{
    const size_t rows = am_arg_rows(r, &s->out), last = end * AM_DISTANCE_UNIT;
    distance_part(r, s, begin * AM_DISTANCE_UNIT, last < rows ? last : rows);
}

static void distance_run(const struct am_run *r, const struct am_step *s)
{
    const size_t rows = am_arg_rows(r, &s->out);
    am_run_split(r, s, (rows + AM_DISTANCE_UNIT - 1) / AM_DISTANCE_UNIT,
                 AM_DISTANCE_UNIT * s->in[0].cols * s->out.cols, distance_units);
}

static size_t distance_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    return am_distance_scratch(rows, (size_t)am_in_dims(g, n, 0)->d[1]);
}

static size_t distance_prepared(const struct am_graph *g, const struct am_gnode *n,
                                const struct am_kernels *k)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return am_distance_pack_floats(k, (size_t)c->d[0], (size_t)c->d[1]);
}

static void distance_prepare(const struct am_kernels *k, const struct am_step *s,
                             const float *params, float *out)
{
    am_distance_pack(k, (enum am_distance)s->attr.i[0], params + s->in[1].offset, s->out.cols,
                     s->in[0].cols, out);
}

static double distance_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return 2.0 * (double)c->d[0] * (double)c->d[1];
}

static const struct am_attr_desc distance_attrs[] = {
    {"metric", AM_ATTR_I, 0, 0, AM_N_DISTANCES - 1}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_distance = {.name = "distance",
                                     .min_in = 2,
                                     .max_in = 2,
                                     .attrs = distance_attrs,
                                     .infer = distance_infer,
                                     .run = distance_run,
                                     .flops = distance_flops,
                                     .scratch = distance_scratch,
                                     .prepared = distance_prepared,
                                     .prepare = distance_prepare};
