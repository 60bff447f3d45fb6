/* Curves for the report: ROC, precision-recall, calibration, residuals, summaries of the
 * predictions. Points are thinned evenly along the curve, the ends are kept. Not for predictions
 * that are not finite: those give empty lists. Memory that is out sticks in the caller's arena. Any
 * thread. */
#include "eval/eval_int.h"

#include <math.h>

#include "base/alloc.h"

#define CLASSES_SHOWN 12

/* Walked twice: first with a NULL arena, which only counts points. */
struct curve {
    struct am_arena *a;
    struct am_node *x, *y;
    double last_x, last_y, gap; /* L1 distance that the next point must have */
    size_t n;
};

typedef void walk_fn(const struct am_ranked *r, struct curve *c);

static void curve_add(struct curve *c, double x, double y, bool end)
{
    if (!end && c->n && fabs(x - c->last_x) + fabs(y - c->last_y) < c->gap)
        return;
    c->n++;
    c->last_x = x;
    c->last_y = y;
    if (!c->a)
        return;
    am_node_push(c->a, c->x, am_new_f64(c->a, x));
    am_node_push(c->a, c->y, am_new_f64(c->a, y));
}

static void roc_of(const struct am_ranked *r, struct curve *c)
{
    double tp = 0, fp = 0;
    curve_add(c, 0, 0, true);
    for (size_t i = 0; i < r->n;) {
        size_t j = i;
        for (; AM_RANKED_TIE_END(r, i, j); j++)
            *(r->hit[j] ? &tp : &fp) += r->weight[j];
        i = j;
        curve_add(c, fp / r->negatives, tp / r->positives, i == r->n);
    }
}

static void pr_of(const struct am_ranked *r, struct curve *c)
{
    double tp = 0, all = 0;
    curve_add(c, 0, 1, true);
    for (size_t i = 0; i < r->n;) {
        size_t j = i;
        for (; AM_RANKED_TIE_END(r, i, j); j++) {
            all += r->weight[j];
            tp += r->hit[j] ? r->weight[j] : 0;
        }
        i = j;
        if (all > 0)
            curve_add(c, tp / r->positives, tp / all, i == r->n);
    }
}

static struct curve curve_of(const struct am_ranked *r, walk_fn *walk, size_t max_points,
                             struct am_arena *a)
{
    size_t most = max_points < 2 ? 2 : max_points;
    struct curve c = {.gap = r->n <= most ? 0 : 2.0 / (double)most};
    for (walk(r, &c); c.n > most; walk(r, &c)) { /* ends: with the gap over 3 only the ends stay */
        double gap = c.gap > 0 ? c.gap * 1.25 : 0.01;
        c = (struct curve){.gap = gap};
    }
    c = (struct curve){.a = a, .x = am_new_list(a), .y = am_new_list(a), .gap = c.gap};
    walk(r, &c);
    return c;
}

static struct am_node *per_class(const struct am_eval_input *in, size_t max_points,
                                 struct am_arena *a, const char *area_name,
                                 double (*area)(const struct am_ranked *), walk_fn *walk)
{
    struct am_node *list = am_new_list(a);
    size_t from = in->task == AM_TASK_BINARY ? 1 : 0;
    if (!am_task_has_classes(in->task) || !am_eval_finite(in))
        return list;
    for (size_t k = from; k < in->n_classes && k < CLASSES_SHOWN; k++) {
        struct am_ranked r;
        if (am_rank(in, k, &r, NULL) != AM_OK) {
            am_arena_fail_nomem(a, in->n_rows * sizeof(double));
            return list;
        }
        if (r.positives > 0 && r.negatives > 0) {
            struct am_node *m = am_new_map(a);
            struct curve c = curve_of(&r, walk, max_points, a);
            am_node_set(a, m, "class", am_new_i64(a, (int64_t)k));
            am_node_set(a, m, area_name, am_new_f64(a, area(&r)));
            am_node_set(a, m, "x", c.x);
            am_node_set(a, m, "y", c.y);
            am_node_push(a, list, m);
        }
        am_ranked_clear(&r);
    }
    return list;
}

struct am_node *am_curve_roc(const struct am_eval_input *in, size_t max_points, struct am_arena *a)
{
    return per_class(in, max_points, a, "auc", am_ranked_auc, roc_of);
}

struct am_node *am_curve_pr(const struct am_eval_input *in, size_t max_points, struct am_arena *a)
{
    return per_class(in, max_points, a, "ap", am_ranked_ap, pr_of);
}

#define BINS_MAX 64

static struct am_node *calibration_of(const struct am_eval_input *in, size_t cls, size_t n_bins,
                                      struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *x = am_new_list(a), *y = am_new_list(a),
                   *w = am_new_list(a);
    size_t stride = in->task == AM_TASK_MULTICLASS ? in->n_classes : 1;
    double p[BINS_MAX] = {0}, hit[BINS_MAX] = {0}, n[BINS_MAX] = {0};
    for (size_t i = 0; i < in->n_rows; i++) {
        double v = (double)in->pred[i * stride + (stride > 1 ? cls : 0)];
        size_t b = v >= 1 ? n_bins - 1 : v <= 0 ? 0 : (size_t)(v * (double)n_bins);
        p[b] += am_eval_weight(in, i) * v;
        hit[b] += am_eval_weight(in, i) * (in->truth[i] == (double)cls);
        n[b] += am_eval_weight(in, i);
    }
    for (size_t b = 0; b < n_bins; b++) {
        if (n[b] <= 0)
            continue;
        am_node_push(a, x, am_new_f64(a, p[b] / n[b]));
        am_node_push(a, y, am_new_f64(a, hit[b] / n[b]));
        am_node_push(a, w, am_new_f64(a, n[b]));
    }
    am_node_set(a, m, "class", am_new_i64(a, (int64_t)cls));
    am_node_set(a, m, "x", x);
    am_node_set(a, m, "y", y);
    am_node_set(a, m, "n", w);
    return m;
}

struct am_node *am_curve_calibration(const struct am_eval_input *in, size_t n_bins,
                                     struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    size_t from = in->task == AM_TASK_BINARY ? 1 : 0;
    n_bins = n_bins < 1 ? 1 : n_bins > BINS_MAX ? BINS_MAX : n_bins;
    if (!am_task_has_classes(in->task) || in->n_rows == 0 || !am_eval_finite(in))
        return list;
    for (size_t k = from; k < in->n_classes && k < CLASSES_SHOWN; k++)
        am_node_push(a, list, calibration_of(in, k, n_bins, a));
    return list;
}

#define RESIDUAL_BINS 30

struct am_node *am_residuals(const struct am_eval_input *in, size_t max_points, struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *x = am_new_list(a), *y = am_new_list(a),
                   *bins = am_new_map(a), *counts = am_new_list(a);
    double low = INFINITY, high = -INFINITY;
    uint64_t n[RESIDUAL_BINS] = {0};
    size_t step = max_points && in->n_rows ? (in->n_rows - 1) / max_points + 1 : 1;
    for (size_t i = 0; i < in->n_rows; i++) {
        double r = in->truth[i] - (double)in->pred[i];
        if (!isfinite(r))
            continue;
        low = fmin(low, r);
        high = fmax(high, r);
    }
    double width = high > low ? high / RESIDUAL_BINS - low / RESIDUAL_BINS : 1.0;
    for (size_t i = 0; i < in->n_rows; i++) {
        double r = in->truth[i] - (double)in->pred[i];
        if (!isfinite(r))
            continue;
        double at = fmin(r / width - low / width, RESIDUAL_BINS - 1);
        n[at > 0 ? (size_t)at : 0]++;
        if (i % step == 0) {
            am_node_push(a, x, am_new_f64(a, (double)in->pred[i]));
            am_node_push(a, y, am_new_f64(a, r));
        }
    }
    for (size_t b = 0; b < RESIDUAL_BINS; b++)
        am_node_push(a, counts, am_new_i64(a, (int64_t)n[b]));
    am_node_set(a, bins, "low", am_new_f64(a, low <= high ? low : 0));
    am_node_set(a, bins, "width", am_new_f64(a, width));
    am_node_set(a, bins, "n", counts);
    am_node_set(a, m, "predicted", x);
    am_node_set(a, m, "residual", y);
    am_node_set(a, m, "bins", bins);
    return m;
}

struct am_node *am_prediction_summary(const struct am_eval_input *in, struct am_arena *a)
{
    static const char *const names[] = {"mean", "median", "mode", "variance"};
    static const char *const metrics[] = {"prediction_mean", "prediction_median", "prediction_mode",
                                          "prediction_variance"};
    struct am_node *m = am_new_map(a);
    for (size_t i = 0; i < 4; i++) {
        double v = NAN;
        if (am_metric(in, am_str(metrics[i]), &v, NULL) != AM_OK)
            am_arena_fail_nomem(a, in->n_rows * sizeof(double));
        am_node_set(a, m, names[i], am_new_f64(a, v));
    }
    return m;
}
