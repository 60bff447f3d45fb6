/* What trials gave, as losses to be made small: the one place that knows what a failed or pruned
 * trial counts for a model. Also the best trial and what the trials cost each other. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

double am_tune_sign(const struct am_tune *t, size_t objective)
{
    return t->config.objectives[objective].direction == AM_TUNE_MAXIMIZE ? -1 : 1;
}

double am_tune_loss(const struct am_tune *t, const struct tune_trial *x, size_t objective)
{
    if (x->t.status != AM_TUNE_OK)
        return NAN;
    return am_tune_sign(t, objective) * x->objectives[objective];
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Loss of a trial that was stopped: what it was told with, or its last value. */
static double pruned_loss(const struct am_tune *t, const struct tune_trial *x)
{
    if (x->t.objectives)
        return am_tune_sign(t, 0) * x->objectives[0];
    return x->steps.len ? am_tune_sign(t, 0) * x->steps.ptr[x->steps.len - 1].value : NAN;
}

static size_t observe_plain(const struct am_tune *t, size_t known, uint32_t *index, double *y)
{
    double worst = -INFINITY, median;
    size_t n = 0, out = 0, n_pruned = 0;
    for (size_t i = 0; i < known; i++) {
        double l = am_tune_loss(t, t->trials.ptr[i], 0);
        n_pruned += t->trials.ptr[i]->t.status == AM_TUNE_PRUNED;
        if (isnan(l))
            continue;
        worst = l > worst ? l : worst;
        y[n++] = l;
    }
    if (n == 0)
        return 0;
    if (n_pruned) /* the median is theirs alone */
        qsort(y, n, sizeof *y, compare);
    median = n % 2 ? y[n / 2] : (y[n / 2 - 1] + y[n / 2]) / 2;
    for (size_t i = 0; i < known; i++) {
        const struct tune_trial *x = t->trials.ptr[i];
        double l = am_tune_loss(t, x, 0);
        if (x->t.status == AM_TUNE_FAILED) {
            l = worst;
        } else if (x->t.status == AM_TUNE_PRUNED) {
            l = pruned_loss(t, x);
            l = isfinite(l) ? (l > median ? l : median) : worst;
        }
        if (isnan(l))
            continue;
        index[out] = (uint32_t)i;
        y[out++] = l;
    }
    return out;
}

/* Loss on a rung; a finished trial that reported no steps counts with its objective. */
static double rung_loss(const struct am_tune *t, const struct tune_trial *x, uint64_t steps)
{
    double l = am_tune_loss_at(t, x, steps);
    if (isnan(l) && x->t.status == AM_TUNE_OK)
        l = am_tune_loss(t, x, 0);
    return isfinite(l) ? l : NAN;
}

/* The highest rung that enough places have reached, each place once (its longest trial). */
static size_t observe_rung(const struct am_tune *t, size_t known, uint32_t *index, double *y)
{
    size_t n = 0, enough = t->space->n + 2;
    for (uint32_t rung = am_tune_n_rungs(t); rung-- > 0;) {
        uint64_t steps = am_tune_rung_steps(t, rung);
        n = 0;
        for (size_t i = 0; i < known; i++) {
            double l = rung_loss(t, t->trials.ptr[i], steps);
            bool gone_on = false;
            for (size_t k = i + 1; k < known && !gone_on; k++)
                gone_on = t->trials.ptr[k]->t.resumes == (int64_t)i &&
                          !isnan(rung_loss(t, t->trials.ptr[k], steps));
            if (isnan(l) || gone_on)
                continue;
            index[n] = (uint32_t)i;
            y[n++] = l;
        }
        if (n >= enough)
            break;
    }
    return n;
}

size_t am_tune_observe(const struct am_tune *t, size_t known, uint32_t *index, double *y)
{
    return am_tune_uses_rungs(t) ? observe_rung(t, known, index, y)
                                 : observe_plain(t, known, index, y);
}
