/* What draws rows again: bootstrap intervals (Efron 1979, percentile), permutation importance, and
 * the choice of a threshold. Draws come from counters, so neither threads nor order change a
 * figure. Arrays are freed before a call returns. Any thread. */
#include "eval/eval_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

#define DRAWS_MAX 2e7

struct resample {
    const struct am_eval_input *in;
    const struct am_str *names;
    size_t n, n_resamples;
    uint64_t seed;
    double *values; /* [n][n_resamples] */
    enum am_rc *rc; /* [n_resamples] */
};

static void resample_chunk(void *ctx, size_t begin, size_t end)
{
    struct resample *r = ctx;
    const struct am_eval_input *in = r->in;
    size_t n = in->n_rows, c = am_task_columns(in->task, in->n_classes);
    double *truth = am_alloc_array(n, sizeof *truth), *weight = am_alloc_array(n, sizeof *weight);
    float *pred = am_alloc_array(n * c, sizeof *pred);
    for (size_t b = begin; b < end; b++) {
        struct am_rng g;
        struct am_eval_input draw = *in;
        if (!truth || !weight || !pred) {
            r->rc[b] = AM_ENOMEM;
            continue;
        }
        am_rng_init(&g, r->seed, ((uint64_t)AM_RNG_BOOTSTRAP << 32) + b);
        for (size_t i = 0; i < n; i++) {
            size_t k = (size_t)am_rng_below(&g, n);
            truth[i] = in->truth[k];
            weight[i] = am_eval_weight(in, k);
            memcpy(pred + i * c, in->pred + k * c, c * sizeof *pred);
        }
        draw.truth = truth;
        draw.pred = pred;
        draw.weight = in->weight ? weight : NULL;
        for (size_t m = 0; m < r->n && r->rc[b] == AM_OK; m++)
            r->rc[b] = am_metric(&draw, r->names[m], &r->values[m * r->n_resamples + b], NULL);
    }
    am_free(truth);
    am_free(weight);
    am_free(pred);
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t k = (size_t)at;
    return k + 1 < n ? sorted[k] + (at - (double)k) * (sorted[k + 1] - sorted[k]) : sorted[n - 1];
}

static struct am_node *interval(double *v, size_t n, double level, double value, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i]))
            v[k++] = v[i];
    qsort(v, k, sizeof *v, by_value);
    am_node_set(a, m, "value", am_new_f64(a, value));
    am_node_set(a, m, "low", am_new_f64(a, k ? quantile(v, k, (1 - level) / 2) : NAN));
    am_node_set(a, m, "high", am_new_f64(a, k ? quantile(v, k, (1 + level) / 2) : NAN));
    am_node_set(a, m, "resamples", am_new_i64(a, (int64_t)k));
    return m;
}

#define RESAMPLES_MIN 100

static size_t affordable(size_t wanted, size_t n_rows)
{
    size_t most = (size_t)(DRAWS_MAX / (double)n_rows);
    most = most < RESAMPLES_MIN ? RESAMPLES_MIN : most;
    return wanted < most ? wanted : most;
}

enum am_rc am_bootstrap(const struct am_eval_input *in, const struct am_str *names, size_t n,
                        const struct am_bootstrap_options *o, struct am_arena *a,
                        struct am_node **out, struct am_err *err)
{
    struct resample r = {.in = in, .names = names, .n = n, .seed = o->seed};
    double *point = NULL; /* [n] */
    enum am_rc rc = AM_OK;
    *out = am_new_map(a);
    if (!(o->level > 0 && o->level < 1))
        return am_fail(err, AM_EUSAGE, "the level of an interval is %g, not in 0..1", o->level);
    if (in->n_rows == 0 || n == 0 || o->n_resamples == 0)
        return am_arena_check(a, err);
    r.n_resamples = affordable(o->n_resamples, in->n_rows);
    point = am_calloc(n, sizeof *point);
    r.values = am_calloc(n, r.n_resamples * sizeof *r.values);
    r.rc = am_calloc(r.n_resamples, sizeof *r.rc);
    if (!point || !r.values || !r.rc)
        AM_GO(rc, am_fail_nomem(err, n * r.n_resamples * sizeof *r.values));
    for (size_t m = 0; m < n; m++) /* refuses names before any work */
        AM_GO(rc, am_metric(in, names[m], &point[m], err));
    am_pool_for(o->pool, r.n_resamples, 16, resample_chunk, &r);
    for (size_t b = 0; b < r.n_resamples; b++)
        if (r.rc[b] != AM_OK)
            AM_GO(rc, am_fail_nomem(err, in->n_rows * (sizeof(double) * 2 + sizeof(float))));
    for (size_t m = 0; m < n; m++) {
        double *v = r.values + m * r.n_resamples;
        am_node_set_str(a, *out, names[m], interval(v, r.n_resamples, o->level, point[m], a));
    }
    rc = am_arena_check(a, err);
out:
    am_free(point);
    am_free(r.values);
    am_free(r.rc);
    return rc;
}

static enum am_rc importance_of(const struct am_importance_job *job, size_t g, double base,
                                uint32_t *perm, double *mean, double *deviation, struct am_err *err)
{
    double square = 0, v;
    *mean = 0;
    for (size_t k = 0; k < job->n_repeats; k++) {
        struct am_rng r;
        am_rng_init(&r, job->seed, ((uint64_t)AM_RNG_PERMUTE << 32) + g * job->n_repeats + k);
        am_rng_permutation32(&r, (uint32_t)job->n_rows, perm);
        AM_TRY(job->score(job->ctx, g, perm, &v, err));
        double drop = job->better == AM_METRIC_LOWER ? v - base : base - v;
        double d = drop - *mean; /* Welford's running mean and square */
        *mean += d / (double)(k + 1);
        square += d * (drop - *mean);
    }
    *deviation = sqrt(square / (double)job->n_repeats);
    return AM_OK;
}

enum am_rc am_importance(const struct am_importance_job *job, double *mean, double *deviation,
                         struct am_err *err)
{
    double base;
    enum am_rc rc = AM_OK;
    if (job->n_repeats == 0 || job->n_rows > UINT32_MAX)
        return am_fail(err, AM_EUSAGE, "importance of %zu rows, %zu times", job->n_rows,
                       job->n_repeats);
    uint32_t *perm = am_alloc_array(job->n_rows, sizeof *perm);
    if (!perm)
        return am_fail_nomem(err, job->n_rows * sizeof *perm);
    if (job->n_groups)
        rc = job->score(job->ctx, 0, NULL, &base, err);
    for (size_t g = 0; rc == AM_OK && g < job->n_groups; g++)
        rc = importance_of(job, g, base, perm, &mean[g], &deviation[g], err);
    am_free(perm);
    return rc;
}

#define CANDIDATES 1000

/* Midpoints of neighbours that differ, thinned, then the lowest score; only what a model may carry,
 * 0..1. out [CANDIDATES + 1]. */
static size_t candidates(const struct am_ranked *r, double *out)
{
    size_t n_mid = 0, n = 0, seen = 0;
    for (size_t i = 0; i + 1 < r->n; i++)
        n_mid += r->score[i] > r->score[i + 1];
    size_t step = n_mid / CANDIDATES + 1;
    for (size_t i = 0; i < r->n; i++) {
        bool last = i + 1 == r->n;
        if (!last && !(r->score[i] > r->score[i + 1]))
            continue;
        if (!last && seen++ % step != 0)
            continue;
        double t = last ? (double)r->score[i] : ((double)r->score[i] + (double)r->score[i + 1]) / 2;
        if (t >= 0 && t <= 1)
            out[n++] = t;
    }
    return n;
}

enum am_rc am_threshold_choose(const struct am_eval_input *in, struct am_str metric,
                               double *threshold, double *value, struct am_err *err)
{
    struct am_eval_input at = *in;
    const struct am_metric_info *info = am_metric_find(metric);
    struct am_ranked r;
    double best = NAN, best_t = 0.5, v, t[CANDIDATES + 1];
    enum am_rc rc = AM_OK;
    if (in->task != AM_TASK_BINARY)
        return am_fail(err, AM_EUSAGE, "a decision threshold is for two classes only");
    AM_TRY(am_metric(in, metric, &v, err));
    if (info->better == AM_METRIC_NEITHER)
        return am_fail(err, AM_EUSAGE, "no threshold is best for \"%s\"", info->name);
    AM_TRY(am_rank(in, 1, &r, err));
    size_t n = candidates(&r, t);
    am_ranked_clear(&r);
    for (size_t i = 0; rc == AM_OK && i < n; i++) {
        at.threshold = t[i];
        rc = am_metric(&at, metric, &v, err);
        if (rc != AM_OK || isnan(v))
            continue;
        bool nearer = v == best && fabs(t[i] - 0.5) < fabs(best_t - 0.5);
        if (isnan(best) || nearer || (info->better == AM_METRIC_LOWER ? v < best : v > best)) {
            best = v;
            best_t = t[i];
        }
    }
    *threshold = best_t;
    *value = best;
    return rc;
}
