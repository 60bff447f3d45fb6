/* What a study came to: the best trial, the Pareto front, choices from it, hypervolume. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

static bool counts(const struct tune_trial *x)
{
    return x->t.status == AM_TUNE_OK && x->t.violation == 0;
}

const struct am_tune_trial *am_tune_best(const struct am_tune *t)
{
    size_t m = t->config.n_objectives, n = 0, at = 0;
    const struct tune_trial *best = NULL;
    const struct am_tune_trial **front;
    double *f;
    if (m > 1) {
        front = am_alloc_array(t->trials.len + 1, sizeof(void *));
        f = am_alloc_array(t->trials.len + 1, m * sizeof *f);
        if (front && f) {
            n = am_tune_pareto(t, front);
            for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < m; k++)
                    f[i * m + k] = am_tune_sign(t, k) * front[i]->objectives[k];
            if (n)
                at = front[am_tune_knee(f, n, m)]->number;
        }
        am_free(f);
        am_free(front);
        return n ? &t->trials.ptr[at]->t : NULL;
    }
    for (size_t i = 0; i < t->trials.len; i++) {
        const struct tune_trial *x = t->trials.ptr[i];
        if (counts(x) && (!best || am_tune_loss(t, x, 0) < am_tune_loss(t, best, 0)))
            best = x;
    }
    return best ? &best->t : NULL;
}

/* Better or equal everywhere and better somewhere; of equal ones the first. */
static bool is_dominated(const struct am_tune *t, const struct tune_trial *x)
{
    for (size_t i = 0; i < t->trials.len; i++) {
        const struct tune_trial *o = t->trials.ptr[i];
        bool no_worse = counts(o) && o != x, better = false;
        for (size_t k = 0; no_worse && k < t->config.n_objectives; k++) {
            double a = am_tune_loss(t, o, k), b = am_tune_loss(t, x, k);
            no_worse = a <= b;
            better |= a < b;
        }
        if (no_worse && (better || o->t.number < x->t.number))
            return true;
    }
    return false;
}

size_t am_tune_pareto(const struct am_tune *t, const struct am_tune_trial **out)
{
    size_t n = 0;
    for (size_t i = 0; i < t->trials.len; i++) {
        const struct tune_trial *x = t->trials.ptr[i];
        size_t at;
        double loss = am_tune_loss(t, x, 0);
        if (!counts(x) || is_dominated(t, x))
            continue;
        for (at = n++; at > 0 && am_tune_sign(t, 0) * out[at - 1]->objectives[0] > loss; at--)
            out[at] = out[at - 1];
        out[at] = &x->t;
    }
    return n;
}

const struct am_tune_trial *am_tune_pick(const struct am_tune *t, size_t want, const double *limits)
{
    const struct tune_trial *best = NULL;
    if (want >= t->config.n_objectives)
        return NULL;
    for (size_t i = 0; i < t->trials.len; i++) {
        const struct tune_trial *x = t->trials.ptr[i];
        bool keeps = counts(x);
        for (size_t k = 0; keeps && k < t->config.n_objectives; k++)
            keeps = k == want || isnan(limits[k]) ||
                    am_tune_loss(t, x, k) <= am_tune_sign(t, k) * limits[k];
        if (keeps &&
            (!best || am_tune_loss(t, x, want) < am_tune_loss(t, best, want) ||
             (am_tune_loss(t, x, want) == am_tune_loss(t, best, want) && is_dominated(t, best))))
            best = x;
    }
    return best ? &best->t : NULL;
}

enum am_rc am_tune_hypervolume(const struct am_tune *t, const double *reference, double *out,
                               struct am_err *err)
{
    size_t m = t->config.n_objectives, n = 0, all = t->trials.len + 1;
    double at[TUNE_GOALS_MAX] = {0}, *points, *work;
    const struct am_tune_trial **front;
    uint32_t *order;
    struct am_arena *a;
    enum am_rc rc;
    *out = 0;
    if (m < 2)
        return am_fail(err, AM_EINVAL, "a hypervolume needs two objectives or more");
    a = am_arena_new(0);
    if (!a)
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
        return am_fail_nomem(err, all * sizeof *front);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    front = am_arena_array(a, all, sizeof *front);
    AM_GO(rc, am_arena_check(a, err));
    n = am_tune_pareto(t, front);
    points = am_arena_array(a, n + 1, m * sizeof *points);
    order = am_arena_array(a, n + 1, sizeof *order);
    work = am_arena_array(a, m > 2 ? n * (n + 1) / 2 + 1 : 1, m * sizeof *work);
    AM_GO(rc, am_arena_check(a, err));
    for (size_t k = 0; k < m; k++) {
        at[k] = am_tune_sign(t, k) * reference[k];
        for (size_t i = 0; i < n; i++)
            points[i * m + k] = am_tune_sign(t, k) * front[i]->objectives[k];
    }
    *out = am_tune_volume(points, n, m, at, work, order);
out:
    am_arena_free(a);
    return rc;
}
