/* Pruners: which trial stops at which step, and which goes on later.
 *
 * Median and percentile compare a trial's best so far with the others' best at that step. Halving
 * and hyperband are ASHA (Li et al. 2020): a trial ends on its rung of the ladder max / eta^k, and
 * an ask first looks for a place among the best 1/eta of a rung that has not gone on yet. So the
 * first trials of a rung do not pass for want of company, and a paused one can come back. What
 * trial n is compared with are the trials that it may know, whatever else was told. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

bool am_tune_uses_rungs(const struct am_tune *t)
{
    return t->config.pruner == AM_TUNE_PRUNE_HALVING || t->config.pruner == AM_TUNE_PRUNE_HYPERBAND;
}

uint32_t am_tune_n_rungs(const struct am_tune *t)
{
    uint32_t n = 1;
    uint64_t steps = t->config.max_steps;
    while (steps / t->config.reduction >= t->config.min_steps && n < 40) {
        steps /= t->config.reduction;
        n++;
    }
    return n;
}

uint64_t am_tune_rung_steps(const struct am_tune *t, uint32_t rung)
{
    uint64_t steps = t->config.max_steps;
    for (uint32_t k = am_tune_n_rungs(t); k-- > rung + 1;)
        steps /= t->config.reduction;
    return steps;
}

double am_tune_loss_at(const struct am_tune *t, const struct tune_trial *x, uint64_t steps)
{
    double best = NAN, sign = am_tune_sign(t, 0);
    if (x->steps.len == 0 || x->steps.ptr[x->steps.len - 1].step < steps)
        return NAN;
    for (size_t i = 0; i < x->steps.len && x->steps.ptr[i].step <= steps; i++) {
        double v = sign * x->steps.ptr[i].value;
        if (isnan(v))
            return INFINITY;
        if (isnan(best) || v < best)
            best = v;
    }
    return best;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Has the loss not fallen within the last `patience` steps? */
static bool has_stalled(const struct am_tune *t, const struct tune_trial *x)
{
    const struct am_tune_config *c = &t->config;
    uint64_t now = x->steps.ptr[x->steps.len - 1].step;
    double before, after = am_tune_loss_at(t, x, now);
    if (c->patience == 0)
        return true;
    if (now < x->steps.ptr[0].step + c->patience)
        return false;
    before = am_tune_loss_at(t, x, now - c->patience);
    return !(after < before - c->min_delta);
}

static bool is_worse_than_others(const struct am_tune *t, const struct tune_trial *x)
{
    const struct am_tune_config *c = &t->config;
    uint64_t now = x->steps.ptr[x->steps.len - 1].step;
    size_t known = am_tune_known(t, x->t.number), n = 0, finished = 0;
    double *others = am_alloc_array(known + 1, sizeof *others), at, cut;
    bool worse;
    if (!others)
        return false; /* a trial that runs on does no harm */
    for (size_t i = 0; i < known; i++) {
        const struct tune_trial *o = t->trials.ptr[i];
        if (o->t.status != AM_TUNE_OK)
            continue;
        finished++;
        others[n] = am_tune_loss_at(t, o, now);
        if (!isnan(others[n]))
            n++;
    }
    if (finished < c->prune_after || n == 0) {
        am_free(others);
        return false;
    }
    qsort(others, n, sizeof *others, compare);
    at = c->percentile * (double)(n - 1);
    cut = others[(size_t)at];
    if ((size_t)at + 1 < n && isfinite(others[(size_t)at + 1]))
        cut += (at - floor(at)) * (others[(size_t)at + 1] - cut);
    worse = am_tune_loss_at(t, x, now) > cut;
    am_free(others);
    return worse;
}

bool am_tune_stops(const struct am_tune *t, const struct tune_trial *x)
{
    const struct am_tune_config *c = &t->config;
    uint64_t now = x->steps.ptr[x->steps.len - 1].step;
    if (am_tune_uses_rungs(t))
        return x->rung + 1 < am_tune_n_rungs(t) && now >= x->t.steps_max;
    if (now < c->prune_from_step || (c->pruner == AM_TUNE_PRUNE_NONE && c->patience == 0))
        return false;
    if (!has_stalled(t, x))
        return false;
    return c->pruner == AM_TUNE_PRUNE_NONE || is_worse_than_others(t, x);
}

/* ---- rungs ---- */

/* Hyperband deals new places over the brackets as its own budgets do: bracket with s rungs above
 * its first gets ceil((s_max + 1) / (s + 1) * eta^s) of them. */
void am_tune_first_rung(const struct am_tune *t, struct tune_proposal *p)
{
    uint32_t n = am_tune_n_rungs(t);
    uint64_t share[40], all = 0, own = 0;
    p->rung = p->bracket = 0;
    if (t->config.pruner != AM_TUNE_PRUNE_HYPERBAND)
        return;
    for (uint32_t b = 0; b < n; b++) {
        uint32_t s = n - 1 - b;
        share[b] = (uint64_t)ceil(n / (s + 1.0) * pow(t->config.reduction, s));
        all += share[b];
    }
    for (size_t i = 0; i < t->trials.len; i++)
        own += t->trials.ptr[i]->t.resumes < 0;
    own %= all;
    for (uint32_t b = 0; b < n; b++) {
        if (own < share[b]) {
            p->rung = p->bracket = b;
            return;
        }
        own -= share[b];
    }
}

static bool has_gone_on(const struct am_tune *t, size_t number)
{
    for (size_t i = number + 1; i < t->trials.len; i++)
        if (t->trials.ptr[i]->t.resumes == (int64_t)number)
            return true;
    return false;
}

static bool stands_on(const struct tune_trial *x, uint32_t bracket, uint32_t rung)
{
    return x->bracket == bracket && x->rung == rung && x->t.status != AM_TUNE_FAILED;
}

/* The best of a rung's first 1/eta that has not gone on; t->trials.len when there is none. */
static size_t promotable(const struct am_tune *t, size_t known, uint32_t bracket, uint32_t rung)
{
    uint64_t steps = am_tune_rung_steps(t, rung);
    size_t on_rung = 0, best = t->trials.len;
    double best_loss = INFINITY;
    for (size_t i = 0; i < known; i++)
        on_rung += stands_on(t->trials.ptr[i], bracket, rung) &&
                   !isnan(am_tune_loss_at(t, t->trials.ptr[i], steps));
    for (size_t i = 0; i < known; i++) {
        const struct tune_trial *x = t->trials.ptr[i];
        double loss = stands_on(x, bracket, rung) ? am_tune_loss_at(t, x, steps) : NAN;
        size_t better = 0;
        if (!(loss < best_loss) || has_gone_on(t, i))
            continue;
        for (size_t k = 0; k < known; k++) {
            double other = stands_on(t->trials.ptr[k], bracket, rung)
                               ? am_tune_loss_at(t, t->trials.ptr[k], steps)
                               : NAN;
            better += other < loss || (other == loss && k < i);
        }
        if (better < on_rung / t->config.reduction) {
            best = i;
            best_loss = loss;
        }
    }
    return best;
}

bool am_tune_promote(const struct am_tune *t, size_t known, struct tune_proposal *p)
{
    uint32_t n = am_tune_n_rungs(t);
    for (uint32_t rung = n - 1; rung-- > 0;)
        for (uint32_t bracket = 0; bracket <= rung; bracket++) {
            size_t i = promotable(t, known, bracket, rung);
            if (i == t->trials.len)
                continue;
            p->resumes = (int64_t)i;
            p->rung = rung + 1;
            p->bracket = bracket;
            p->origin = "promoted";
            memcpy(p->unit, t->trials.ptr[i]->unit, t->space->n * sizeof(double));
            return true;
        }
    return false;
}
