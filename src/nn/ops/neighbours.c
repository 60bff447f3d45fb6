/* neighbours: x [B, n], kept rows [R, n] and their values [R, 2] (value or class, weight) -> [B,
 * 1], or [B, n_classes] shares. attr.i: metric, k, votes by distance?, n_classes (0 = values).
 *
 * Exact. Blocks of lower bounds of the distances come from one GEMM; only rows whose bound is not
 * above the k-th nearest so far are compared in double, in the order of the rows, so equals are
 * taken first come, and neither block nor kernel shows in the result. Values of the parameters are
 * trusted in nothing: a class out of range has no vote. */
#include <math.h>

#include "nn/ops/distance_int.h"
#include "nn/ops/op.h"

#define K_MAX 1024
#define COLUMNS 512 /* of a block of bounds */
#define LOOK 64     /* columns looked at under one limit */
#define CLASSES_MAX 100000

static enum am_rc neighbours_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *c = am_in_dims(g, n, 1),
                         *v = am_in_dims(g, n, 2);
    const int64_t metric = n->attr.i[0], k = n->attr.i[1], classes = n->attr.i[3];
    if (x->rank != 2 || c->rank != 2 || am_dims_batched(c) || x->d[1] != c->d[1])
        return am_op_fail(g, n, err, "rows [B,n] and kept rows [R,n] must have the same width");
    if (v->rank != 2 || v->d[0] != c->d[0] || v->d[1] != 2)
        return am_op_fail(g, n, err, "the values must be [R,2] for kept rows [R,n]");
    if (am_graph_node(g, n->in[1])->op != &am_op_param)
        return am_op_fail(g, n, err, "the kept rows must be a parameter");
    if (metric < AM_DISTANCE_EUCLIDEAN || metric >= AM_N_DISTANCES)
        return am_op_fail(g, n, err, "the metric is unknown");
    if (k < 1 || k > K_MAX || k > c->d[0] || c->d[0] > (int64_t)UINT32_MAX)
        return am_op_fail(g, n, err,
                          "the number of neighbours must be from 1 to the kept rows, at most 1024");
    if (classes < 0 || classes > CLASSES_MAX)
        return am_op_fail(g, n, err, "the number of classes must be from 0 to 100000");
    n->dims = am_dims2(x->d[0], classes ? classes : 1);
    return AM_OK;
}

struct nearest {      /* the best of one row so far, nearest first */
    double *distance; /* [k]; squares for the euclidean metric */
    uint32_t *row;    /* [k] */
    size_t n;
};

struct search { /* of a block of rows; everything lies in the step's scratch */
    enum am_distance metric;
    size_t k, n, n_rows, m;
    const float *x, *rows;
    struct am_packed_centers centers;
    double *distance;               /* [m, k] */
    uint32_t *row;                  /* [m, k] */
    uint32_t *found;                /* [m] */
    float *centered, *norm, *bound; /* [m, n], [m], [m, COLUMNS] */
};

static size_t even(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t scratch_row(size_t n, size_t k)
{
    return even(3 * k + 2 + n + COLUMNS);
}

static void keep(struct nearest *best, size_t k, double d, uint32_t row)
{
    size_t at = best->n;
    if (at == k) {
        if (!(d < best->distance[k - 1]))
            return;
        at--;
    }
    for (; at > 0 && best->distance[at - 1] > d; at--) {
        best->distance[at] = best->distance[at - 1];
        best->row[at] = best->row[at - 1];
    }
    best->distance[at] = d;
    best->row[at] = row;
    best->n += best->n < k;
}

/* What a bound may be at most so that its row could still be among the k nearest. */
static float limit_of(const struct search *s, const struct nearest *best, float norm)
{
    const float slack = am_distance_slack(s->metric, s->n);
    double d;
    if (best->n < s->k)
        return INFINITY;
    d = best->distance[s->k - 1];
    if (am_distance_is_direct(s->metric, s->n))
        d *= 1 + (double)slack;
    else if (s->metric != AM_DISTANCE_COSINE)
        d -= (double)norm * (1 - (double)slack);
    return nextafterf((float)d, INFINITY);
}

static void look(const struct am_distance_table *t, const struct search *s, size_t i, size_t first,
                 size_t width)
{
    struct nearest best = {s->distance + i * s->k, s->row + i * s->k, s->found[i]};
    uint32_t hits[LOOK];
    for (size_t j = 0; j < width; j += LOOK) {
        const size_t n = width - j < LOOK ? width - j : LOOK;
        const float limit = limit_of(s, &best, s->norm[i]);
        const size_t n_hits = t->below(s->bound + i * COLUMNS + j, n, limit, hits);
        for (size_t h = 0; h < n_hits; h++) {
            const size_t row = first + j + hits[h];
            const double d =
                am_distance_exact(s->metric, s->x + i * s->n, s->rows + row * s->n, s->n);
            keep(&best, s->k, d, (uint32_t)row);
        }
    }
    s->found[i] = (uint32_t)best.n;
}

static void search(const struct am_kernels *kern, struct search *s)
{
    const struct am_distance_table *t = am_distance_table(kern);
    const bool direct = am_distance_is_direct(s->metric, s->n);
    const size_t step = COLUMNS / kern->panel * kern->panel / 16 * 16;
    for (size_t i = 0; i < s->m; i++)
        s->found[i] = 0;
    if (!direct)
        am_distance_center(s->metric, s->centers.mean, s->x, s->m, s->n, s->centered, s->norm);
    for (size_t j = 0, width; j < s->n_rows; j += width) {
        width = s->n_rows - j < step ? s->n_rows - j : step;
        const struct am_gemm g = {.m = s->m,
                                  .n = width,
                                  .k = s->n,
                                  .a = s->centered,
                                  .a_row = s->n,
                                  .a_col = 1,
                                  .b = s->centers.panel + j * s->n,
                                  .c = s->bound,
                                  .c_row = COLUMNS,
                                  .bias = s->centers.bias + j};
        if (direct)
            t->direct(s->metric, s->x, s->m, s->n, s->centers.panel, j, j + width, s->bound,
                      COLUMNS);
        else
            kern->gemm(&g, 0, s->m, 0, width);
        for (size_t i = 0; i < s->m; i++)
            look(t, s, i, j, width);
    }
}

/* Without packed rows (evaluation plans): all pairs. */
static void search_plainly(struct search *s)
{
    for (size_t i = 0; i < s->m; i++) {
        struct nearest best = {s->distance + i * s->k, s->row + i * s->k, 0};
        for (size_t j = 0; j < s->n_rows; j++) {
            const double d =
                am_distance_exact(s->metric, s->x + i * s->n, s->rows + j * s->n, s->n);
            if (d == d)
                keep(&best, s->k, d, (uint32_t)j);
        }
        s->found[i] = (uint32_t)best.n;
    }
}

/* The weight of a neighbour's vote; by distance, only equals of the row count where there are. */
static double vote_of(const struct search *s, const struct am_step *step, const double *distance,
                      size_t j, const float *value)
{
    const double w = isfinite(value[1]) && value[1] > 0 ? (double)value[1] : 0;
    const double d = s->metric == AM_DISTANCE_EUCLIDEAN ? sqrt(distance[j]) : distance[j];
    if (!step->attr.i[2])
        return w;
    if (distance[0] == 0)
        return d == 0 ? w : 0;
    return w / d;
}

static void vote(const struct search *s, const struct am_step *step, const float *values, size_t i,
                 float *y)
{
    const size_t n_classes = (size_t)step->attr.i[3], width = n_classes ? n_classes : 1;
    const double *distance = s->distance + i * s->k;
    double total = 0, sum = 0;
    for (size_t c = 0; c < width; c++)
        y[c] = 0;
    for (size_t j = 0; j < s->found[i]; j++) {
        const float *v = values + 2 * (size_t)s->row[i * s->k + j];
        const double w = vote_of(s, step, distance, j, v);
        if (n_classes && !(v[0] >= 0 && v[0] < (float)n_classes))
            continue;
        total += w;
        sum += w * (double)v[0];
        if (n_classes)
            y[(size_t)v[0]] += (float)w;
    }
    if (!n_classes)
        y[0] = (float)(sum / total);
    for (size_t c = 0; n_classes && c < n_classes; c++)
        y[c] = (float)((double)y[c] / total); /* nobody voted: not a number */
}

static void neighbours_part(const struct am_run *r, const struct am_step *step, size_t begin,
                            size_t end)
{
    const size_t n = step->in[0].cols, k = (size_t)step->attr.i[1], cols = step->out.cols;
    struct search s = {.metric = (enum am_distance)step->attr.i[0],
                       .k = k,
                       .n = n,
                       .n_rows = step->in[1].rows,
                       .rows = am_arg_ptr(r, &step->in[1])};
    double *scratch = (double *)(void *)(am_scratch(r, step) + begin * scratch_row(n, k));
    if (step->prepared)
        s.centers = am_distance_unpack(step->prepared, s.n_rows, n);
    for (size_t i = begin; i < end; i += s.m) {
        s.m = end - i < AM_DISTANCE_ROWS ? end - i : AM_DISTANCE_ROWS;
        s.x = am_arg_ptr(r, &step->in[0]) + i * n;
        s.distance = scratch;
        /* cppcheck-suppress invalidPointerCast ; one block of memory, cut into arrays */
        s.row = (uint32_t *)(scratch + s.m * k);
        s.found = s.row + s.m * k;
        /* cppcheck-suppress invalidPointerCast */
        s.norm = (float *)(s.found + s.m);
        s.centered = s.norm + s.m;
        s.bound = s.centered + s.m * n;
        if (step->prepared)
            search(r->kern, &s);
        else
            search_plainly(&s);
        for (size_t j = 0; j < s.m; j++)
            vote(&s, step, am_arg_ptr(r, &step->in[2]), j,
                 am_arg_ptr(r, &step->out) + (i + j) * cols);
    }
}

static void neighbours_units(const struct am_run *r, const struct am_step *s, size_t begin,
                             size_t end)
{
    const size_t rows = am_arg_rows(r, &s->out), last = end * AM_DISTANCE_UNIT;
    neighbours_part(r, s, begin * AM_DISTANCE_UNIT, last < rows ? last : rows);
}

static void neighbours_run(const struct am_run *r, const struct am_step *s)
{
    const size_t rows = am_arg_rows(r, &s->out);
    am_run_split(r, s, (rows + AM_DISTANCE_UNIT - 1) / AM_DISTANCE_UNIT,
                 AM_DISTANCE_UNIT * s->in[0].cols * s->in[1].rows, neighbours_units);
}

static size_t neighbours_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    return rows * scratch_row((size_t)am_in_dims(g, n, 0)->d[1], (size_t)n->attr.i[1]) + 16;
}

static size_t neighbours_prepared(const struct am_graph *g, const struct am_gnode *n,
                                  const struct am_kernels *k)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return am_distance_pack_floats(k, (size_t)c->d[0], (size_t)c->d[1]);
}

static void neighbours_prepare(const struct am_kernels *k, const struct am_step *s,
                               const float *params, float *out)
{
    am_distance_pack(k, (enum am_distance)s->attr.i[0], params + s->in[1].offset, s->in[1].rows,
                     s->in[0].cols, out);
}

static double neighbours_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *c = am_in_dims(g, n, 1);
    return 2.0 * (double)c->d[0] * (double)c->d[1];
}

static const struct am_attr_desc attrs[] = {{"metric", AM_ATTR_I, 0, 0, AM_N_DISTANCES - 1},
                                            {"k", AM_ATTR_I, 1, 1, K_MAX},
                                            {"by_distance", AM_ATTR_I, 2, 0, 1},
                                            {"classes", AM_ATTR_I, 3, 0, CLASSES_MAX},
                                            {NULL, 0, 0, 0, 0}};
const struct am_op am_op_neighbours = {.name = "neighbours",
                                       .min_in = 3,
                                       .max_in = 3,
                                       .attrs = attrs,
                                       .infer = neighbours_infer,
                                       .run = neighbours_run,
                                       .flops = neighbours_flops,
                                       .scratch = neighbours_scratch,
                                       .prepared = neighbours_prepared,
                                       .prepare = neighbours_prepare};
