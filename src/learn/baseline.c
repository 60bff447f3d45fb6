/* The baseline that every report compares with: the mean of a number, the shares of the classes (so
 * its label is the majority). One streaming pass; features are not looked at. */
#include <math.h>

#include "base/alloc.h"
#include "learn/learn_int.h"
#include "learn/stream.h"

static void sum_targets(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    (void)ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        double w = r->w ? (double)r->w[i] : 1;
        sums[0] += w;
        sums[1] += w * (double)r->y[i];
    }
}

static enum am_rc fit_mean(const struct am_learn_task *t, double *bias, struct am_err *err)
{
    struct am_stream s;
    double sums[2];
    enum am_rc rc;
    AM_TRY(am_stream_init(&s, t->train, 2, 0, t->pool, t->hooks.progress, err));
    rc = am_stream_sum(&s, sum_targets, NULL, sums, err);
    am_stream_clear(&s);
    *bias = sums[0] > 0 ? sums[1] / sums[0] : 0;
    return rc;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    size_t k = am_learn_n_outputs(t), f = t->n_features;
    double *coef = am_calloc(k * (f + 1), sizeof *coef), *counts = NULL;
    enum am_rc rc;
    if (!coef)
        return am_fail_nomem(err, k * (f + 1) * sizeof *coef);
    out->kind = AM_LEARNED_PROBABILITY;
    if (t->task == AM_TASK_REGRESSION) {
        out->kind = AM_LEARNED_VALUE;
        AM_GO(rc, fit_mean(t, &coef[f], err));
    } else {
        counts = am_calloc(t->n_classes, sizeof *counts);
        if (!counts) {
            rc = am_fail_nomem(err, t->n_classes * sizeof *counts);
            goto out;
        }
        AM_GO(rc, am_learn_count(t, counts, err));
        if (k == 1)
            coef[f] = log(counts[1] / counts[0]);
        for (size_t c = 0; k > 1 && c < k; c++)
            coef[c * (f + 1) + f] = log(counts[c] / counts[0]);
    }
    AM_GO(rc, am_learn_linear_model(t, coef, out, err));
    am_learn_info(t, out, a, "baseline", "exact");
out:
    am_free(counts);
    am_free(coef);
    return rc;
}

const struct am_learner_ops am_learner_baseline = {
    .name = "baseline",
    .doc = "The mean of the target, or the shares of its classes; looks at no feature.",
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .fit = fit,
};
