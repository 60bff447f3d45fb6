/* Anomaly scores: the labelled ones as two classes, quantiles, the histogram of the report.
 *
 * Knows nothing of models. Arrays that a call makes are the caller's to clear. Any thread. */
#include "eval/eval_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

static bool is_labelled(const struct am_eval_input *in, size_t i)
{
    return in->truth[i] >= 0 && in->truth[i] <= 1;
}

enum am_rc am_labelled_of(const struct am_eval_input *in, struct am_labelled *out,
                          struct am_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n_rows; i++)
        n += is_labelled(in, i);
    *out = (struct am_labelled){.in = *in};
    out->truth = am_alloc_array(n + 1, sizeof *out->truth);
    out->pred = am_alloc_array(n + 1, sizeof *out->pred);
    if (in->weight)
        out->weight = am_alloc_array(n + 1, sizeof *out->weight);
    if (!out->truth || !out->pred || (in->weight && !out->weight)) {
        am_labelled_clear(out);
        return am_fail_nomem(err, n * (sizeof(double) * 2 + sizeof(float)));
    }
    n = 0;
    for (size_t i = 0; i < in->n_rows; i++) {
        if (!is_labelled(in, i))
            continue;
        out->truth[n] = in->truth[i];
        if (in->weight)
            out->weight[n] = in->weight[i];
        out->pred[n++] = in->pred[i];
    }
    out->in.task = AM_TASK_BINARY;
    out->in.n_rows = n;
    out->in.n_classes = 2;
    out->in.truth = out->truth;
    out->in.pred = out->pred;
    out->in.weight = out->weight;
    out->in.scores = true;
    return AM_OK;
}

void am_labelled_clear(struct am_labelled *l)
{
    am_free(l->truth);
    am_free(l->weight);
    am_free(l->pred);
    *l = (struct am_labelled){0};
}

static int by_value(const void *x, const void *y)
{
    float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

enum am_rc am_quantile(const float *v, size_t n, double q, double *out, struct am_err *err)
{
    bool ok = n > 0;
    *out = (double)NAN;
    for (size_t i = 0; i < n; i++)
        ok = ok && !isnan(v[i]);
    if (!ok)
        return AM_OK;
    float *sorted = am_alloc_array(n, sizeof *sorted);
    if (!sorted)
        return am_fail_nomem(err, n * sizeof *sorted);
    memcpy(sorted, v, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    double at = q * (double)(n - 1);
    size_t k = (size_t)at;
    double low = (double)sorted[k < n ? k : n - 1];
    *out = k + 1 < n ? low + (at - (double)k) * ((double)sorted[k + 1] - low) : low;
    am_free(sorted);
    return AM_OK;
}

#define BINS_MAX 200
#define ROOM 1.5 /* of the range beyond the threshold or the 99th percentile */

struct am_node *am_score_histogram(const struct am_eval_input *in, size_t n_bins,
                                   struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *all = am_new_list(a), *bad = am_new_list(a);
    uint64_t n[2][BINS_MAX] = {{0}}, above = 0, labels = 0;
    double high = 0, width;
    n_bins = n_bins < 1 ? 1 : n_bins > BINS_MAX ? BINS_MAX : n_bins;
    if (am_quantile(in->pred, in->n_rows, 0.99, &high, NULL) != AM_OK)
        am_arena_fail_nomem(a, in->n_rows * sizeof(float));
    high = fmax(isfinite(high) ? high : 0, isfinite(in->threshold) ? in->threshold : 0) * ROOM;
    width = high > 0 ? high / (double)n_bins : 1;
    for (size_t i = 0; i < in->n_rows; i++) {
        double at = (double)in->pred[i] / width;
        labels += is_labelled(in, i);
        if (at >= (double)n_bins)
            above++;
        size_t b = at >= (double)n_bins ? n_bins - 1 : at > 0 ? (size_t)at : 0;
        n[0][b]++;
        n[1][b] += is_labelled(in, i) && in->truth[i] > 0.5;
    }
    for (size_t b = 0; b < n_bins; b++) {
        am_node_push(a, all, am_new_i64(a, (int64_t)n[0][b]));
        am_node_push(a, bad, am_new_i64(a, (int64_t)n[1][b]));
    }
    am_node_set(a, m, "low", am_new_f64(a, 0));
    am_node_set(a, m, "width", am_new_f64(a, width));
    am_node_set(a, m, "n", all);
    if (labels)
        am_node_set(a, m, "anomalous", bad);
    am_node_set(a, m, "above", am_new_i64(a, (int64_t)above));
    return m;
}
