/* Which dimensions matter: fANOVA (Hutter et al., ICML 2014) over a forest of regression trees in
 * the unit cube, and PED-ANOVA (Watanabe et al., IJCAI 2023) without one.
 *
 * Both look at finished trials only; a dimension that is off stands in the middle for the forest
 * and is left out of PED-ANOVA's densities. Deterministic by the study's seed. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

enum { TREES = 64, LEAF_LEAST = 2, DEPTH_MAX = 40, TRIALS_LEAST = 4, GRID = 64 };

struct node {
    uint32_t dim, left, right; /* left = 0: a leaf */
    double cut, value;
};

struct forest {
    const double *x; /* [n, d] */
    const double *y;
    size_t n, d;
    struct node *nodes; /* of one tree, [2 n] */
    uint32_t n_nodes;
    uint32_t *rows, *sorted; /* [n] */
    double *low, *high;      /* [2 n, d] box of each node */
    double *cuts, *sums;     /* [2 n] */
    struct am_rng rng;
};

/* ---- one tree ---- */

struct split {
    size_t dim;
    double cut, gain;
};

static void sort_rows(const struct forest *f, size_t dim, uint32_t *r, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap /= 2) /* Shell's: ties by row keep it deterministic */
        for (size_t i = gap; i < n; i++) {
            uint32_t v = r[i];
            double x = f->x[v * f->d + dim];
            size_t k = i;
            for (; k >= gap; k -= gap) {
                double o = f->x[r[k - gap] * f->d + dim];
                if (!(o > x || (o == x && r[k - gap] > v)))
                    break;
                r[k] = r[k - gap];
            }
            r[k] = v;
        }
}

static void best_cut(struct forest *f, const uint32_t *rows, size_t n, size_t dim,
                     struct split *best)
{
    double all = 0, left = 0;
    memcpy(f->sorted, rows, n * sizeof *rows);
    sort_rows(f, dim, f->sorted, n);
    for (size_t i = 0; i < n; i++)
        all += f->y[f->sorted[i]];
    for (size_t i = 0; i + 1 < n; i++) {
        double x = f->x[f->sorted[i] * f->d + dim], next = f->x[f->sorted[i + 1] * f->d + dim];
        double nl = (double)i + 1, nr = (double)n - nl, gain;
        left += f->y[f->sorted[i]];
        if (x == next || i + 1 < LEAF_LEAST || n - i - 1 < LEAF_LEAST)
            continue;
        gain = left * left / nl + (all - left) * (all - left) / nr - all * all / (double)n;
        if (gain > best->gain * (1 + 1e-12) + 1e-300)
            *best = (struct split){dim, x + (next - x) / 2, gain};
    }
}

/* Grows the node over rows[0..n): a stack of depth DEPTH_MAX, by recursion. */
static uint32_t grow(struct forest *f, uint32_t *rows, size_t n, int depth, const double *box)
{
    uint32_t at = f->n_nodes++;
    struct node *node = &f->nodes[at];
    double *low = f->low + at * f->d, *high = f->high + at * f->d, sum = 0;
    struct split s = {0, 0, 0};
    size_t n_left = 0, tried = f->d > 2 ? (f->d * 2 + 2) / 3 : f->d;
    memcpy(low, box, f->d * sizeof *low);
    memcpy(high, box + f->d, f->d * sizeof *high);
    for (size_t i = 0; i < n; i++)
        sum += f->y[rows[i]];
    *node = (struct node){.value = sum / (double)n};
    if (n < (size_t)2 * LEAF_LEAST || depth == DEPTH_MAX)
        return at;
    for (size_t k = 0; k < f->d && (tried > 0 || s.gain == 0); k++) {
        /* a part of the dimensions, more when those cut nothing */
        bool look = am_rng_below(&f->rng, f->d - k) < tried || tried == 0;
        tried -= look && tried > 0;
        if (look)
            best_cut(f, rows, n, k, &s);
    }
    if (s.gain <= 0)
        return at;
    for (size_t i = 0; i < n; i++)
        if (f->x[rows[i] * f->d + s.dim] < s.cut) {
            uint32_t r = rows[i];
            rows[i] = rows[n_left];
            rows[n_left++] = r;
        }
    double child[2 * TUNE_DIMS_MAX];
    memcpy(child, box, 2 * f->d * sizeof *child);
    child[f->d + s.dim] = s.cut;
    uint32_t left = grow(f, rows, n_left, depth + 1, child);
    memcpy(child, box, 2 * f->d * sizeof *child);
    child[s.dim] = s.cut;
    uint32_t right = grow(f, rows + n_left, n - n_left, depth + 1, child);
    f->nodes[at] = (struct node){(uint32_t)s.dim, left, right, s.cut, 0};
    return at;
}

static void plant(struct forest *f)
{
    double box[2 * TUNE_DIMS_MAX];
    for (size_t i = 0; i < f->d; i++) {
        box[i] = 0;
        box[f->d + i] = 1;
    }
    for (size_t i = 0; i < f->n; i++)
        f->rows[i] = (uint32_t)am_rng_below(&f->rng, f->n);
    f->n_nodes = 0;
    (void)grow(f, f->rows, f->n, 0, box);
}

/* ---- marginals ---- */

static double box_volume(const struct forest *f, size_t node, size_t without)
{
    double v = 1;
    for (size_t i = 0; i < f->d; i++)
        if (i != without)
            v *= f->high[node * f->d + i] - f->low[node * f->d + i];
    return v;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t find_cut(const double *cuts, size_t n, double x)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cuts[mid] < x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Variance of the tree's mean along one dimension, all others averaged over the cube. */
static double marginal_variance(struct forest *f, size_t dim, double mean)
{
    size_t n = 0, w = 0;
    double variance = 0, level = 0;
    f->cuts[n++] = 0;
    for (size_t i = 0; i < f->n_nodes; i++)
        if (f->nodes[i].left && f->nodes[i].dim == dim)
            f->cuts[n++] = f->nodes[i].cut;
    f->cuts[n++] = 1;
    qsort(f->cuts, n, sizeof *f->cuts, compare);
    for (size_t i = 0; i < n; i++)
        if (w == 0 || f->cuts[i] > f->cuts[w - 1])
            f->cuts[w++] = f->cuts[i];
    memset(f->sums, 0, (w + 1) * sizeof *f->sums);
    for (size_t i = 0; i < f->n_nodes; i++)
        if (!f->nodes[i].left) { /* a leaf adds its share to the intervals that it spans */
            double share = box_volume(f, i, dim) * (f->nodes[i].value - mean);
            f->sums[find_cut(f->cuts, w, f->low[i * f->d + dim])] += share;
            f->sums[find_cut(f->cuts, w, f->high[i * f->d + dim])] -= share;
        }
    for (size_t i = 0; i + 1 < w; i++) {
        level += f->sums[i];
        variance += level * level * (f->cuts[i + 1] - f->cuts[i]);
    }
    return variance;
}

static void add_tree(struct forest *f, double *out)
{
    double mean = 0, total = 0;
    for (size_t i = 0; i < f->n_nodes; i++)
        if (!f->nodes[i].left)
            mean += box_volume(f, i, f->d) * f->nodes[i].value;
    for (size_t i = 0; i < f->n_nodes; i++)
        if (!f->nodes[i].left)
            total +=
                box_volume(f, i, f->d) * (f->nodes[i].value - mean) * (f->nodes[i].value - mean);
    for (size_t k = 0; k < f->d && total > 0; k++)
        out[k] += marginal_variance(f, k, mean) / total;
}

static enum am_rc fanova(const struct am_tune *t, const double *x, const double *y, size_t n,
                         struct am_arena *a, double *out, struct am_err *err)
{
    size_t d = t->space->n;
    struct forest f = {.x = x, .y = y, .n = n, .d = d};
    f.nodes = am_arena_array(a, 2 * n, sizeof *f.nodes);
    f.rows = am_arena_array(a, n, sizeof *f.rows);
    f.sorted = am_arena_array(a, n, sizeof *f.sorted);
    f.low = am_arena_array(a, 2 * n * d, sizeof *f.low);
    f.high = am_arena_array(a, 2 * n * d, sizeof *f.high);
    f.cuts = am_arena_array(a, 2 * n + 2, sizeof *f.cuts);
    f.sums = am_arena_array(a, 2 * n + 3, sizeof *f.sums);
    AM_TRY(am_arena_check(a, err));
    for (int i = 0; i < TREES; i++) {
        am_tune_rng(&f.rng, t, TUNE_DRAW_FOREST, (uint64_t)i);
        plant(&f);
        add_tree(&f, out);
    }
    return AM_OK;
}

/* ---- PED-ANOVA ---- */

/* Density of some trials along a dimension, on levels or a grid; returns how many were on. */
static size_t density(const struct tune_dim *d, const double *x, const uint32_t *rows, size_t n,
                      size_t stride, double *out, size_t n_out)
{
    double mean = 0, var = 0, width, sum = 0;
    size_t on = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[rows[i] * stride])) {
            mean += x[rows[i] * stride];
            on++;
        }
    mean /= (double)(on > 0 ? on : 1);
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[rows[i] * stride]))
            var += (x[rows[i] * stride] - mean) * (x[rows[i] * stride] - mean);
    width = 1.06 * sqrt(var / (double)(on > 0 ? on : 1)) * pow((double)on + 1, -0.2);
    width = fmax(width, 1.0 / GRID);
    for (size_t g = 0; g < n_out; g++) {
        double at = ((double)g + 0.5) / (double)n_out;
        out[g] = 1e-9;
        for (size_t i = 0; i < n; i++) {
            double u = x[rows[i] * stride], z = (at - u) / width;
            if (isnan(u))
                continue;
            if (am_tune_is_hamming(d))
                out[g] += am_tune_level(d, u) == g;
            else
                out[g] += exp(-0.5 * z * z);
        }
        if (am_tune_is_hamming(d))
            out[g] += 1.0 / (double)n_out;
        sum += out[g];
    }
    for (size_t g = 0; g < n_out; g++)
        out[g] /= sum;
    return on;
}

struct scored {
    double y;
    uint32_t row;
};

static int by_loss(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->y != y->y)
        return x->y < y->y ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static enum am_rc ped_anova(const struct am_tune *t, const double *x, const double *y, size_t n,
                            struct am_arena *a, double *out, struct am_err *err)
{
    size_t d = t->space->n, n_top = n / 10 < 4 ? (n < 8 ? n / 2 : 4) : n / 10;
    uint32_t *order = am_arena_array(a, n, sizeof *order);
    struct scored *sorted = am_arena_array(a, n, sizeof *sorted);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct scored){y[i], (uint32_t)i};
    qsort(sorted, n, sizeof *sorted, by_loss);
    for (size_t i = 0; i < n; i++)
        order[i] = sorted[i].row;
    for (size_t k = 0; k < d; k++) {
        const struct tune_dim *dim = &t->space->dims[k];
        size_t n_out = am_tune_is_hamming(dim) ? dim->n_levels : GRID;
        double *top = am_arena_array(a, n_out, sizeof *top);
        double *all = am_arena_array(a, n_out, sizeof *all);
        AM_TRY(am_arena_check(a, err));
        if (density(dim, x + k, order, n_top, d, top, n_out) == 0 ||
            density(dim, x + k, order, n, d, all, n_out) == 0)
            continue;
        for (size_t g = 0; g < n_out; g++)
            out[k] += (top[g] - all[g]) * (top[g] - all[g]) / all[g];
    }
    return AM_OK;
}

enum am_rc am_tune_importance(const struct am_tune *t, enum am_tune_importance method, size_t which,
                              double *out, struct am_err *err)
{
    size_t d = t->space->n, n = 0, all = t->trials.len;
    double sum = 0, *x, *y;
    struct am_arena *a;
    enum am_rc rc;
    if (which >= t->config.n_objectives)
        return am_fail(err, AM_EINVAL, "the search has no objective %zu", which);
    memset(out, 0, d * sizeof *out);
    a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, all * d * sizeof *x);
    x = am_arena_array(a, all * d + 1, sizeof *x);
    y = am_arena_array(a, all + 1, sizeof *y);
    AM_GO(rc, am_arena_check(a, err));
    for (size_t i = 0; i < all; i++) {
        const struct tune_trial *o = t->trials.ptr[i];
        if (o->t.status != AM_TUNE_OK)
            continue;
        for (size_t k = 0; k < d; k++) {
            bool off = isnan(o->unit[k]) && method == AM_TUNE_FANOVA;
            x[n * d + k] = off ? 0.5 : o->unit[k];
        }
        y[n++] = am_tune_loss(t, o, which);
    }
    if (n < TRIALS_LEAST) {
        rc = am_fail(err, AM_EINVAL, "importance needs %d finished trials or more, not %zu",
                     TRIALS_LEAST, n);
        goto out;
    }
    rc = method == AM_TUNE_FANOVA ? fanova(t, x, y, n, a, out, err)
                                  : ped_anova(t, x, y, n, a, out, err);
    for (size_t k = 0; k < d; k++)
        sum += out[k];
    for (size_t k = 0; k < d && sum > 0; k++)
        out[k] /= sum;
out:
    am_arena_free(a);
    return rc;
}
