/* Tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), multivariate: each good trial
 * is a kernel over all its dimensions, so that settings which work together stay together.
 *
 * The best tenth (at most 25) of the known trials against the rest and what runs now; of 24 draws
 * from the good ones that with the highest ratio of densities is proposed. Weights, the prior
 * kernel and the order of failed, pruned and infeasible trials are those of Optuna's sampler. A
 * dimension that is off in a kernel's trial is uniform in that kernel. History is capped, so an ask
 * stays cheap with thousands of trials. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

enum { STARTUP = 10, DRAWS = 24, GOOD_MAX = 25, KEEP_BEST = 100, KEEP_LAST = 400 };

struct ranked {
    uint32_t trial, rank;
    double violation, y;
};

struct mixture {
    const double **at; /* [n] places; the prior kernel is NULL */
    double *weight;    /* [n] sums to 1 */
    double *normal;    /* [n] log of the normaliser over the continuous dimensions of a kernel */
    size_t n;
    double sd; /* width of the kernels */
};

static int by_worth(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->violation != y->violation)
        return x->violation < y->violation ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->y != y->y)
        return x->y < y->y ? -1 : 1;
    return x->trial < y->trial ? -1 : 1;
}

static int by_trial(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->trial > y->trial) - (x->trial < y->trial);
}

/* Several objectives: finished trials by rank of domination, then by crowding. */
static enum am_rc observe_front(const struct am_tune *t, size_t known, struct am_arena *a,
                                struct ranked *r, size_t *out, struct am_err *err)
{
    size_t m = t->config.n_objectives, n = 0;
    double *f = am_arena_array(a, known * m, sizeof *f);
    double *violation = am_arena_array(a, known, sizeof *violation);
    double *crowd = am_arena_array(a, known, sizeof *crowd);
    uint32_t *rank = am_arena_array(a, known * 2, sizeof *rank);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < known; i++) {
        if (t->trials.ptr[i]->t.status != AM_TUNE_OK)
            continue;
        for (size_t k = 0; k < m; k++)
            f[n * m + k] = am_tune_loss(t, t->trials.ptr[i], k);
        violation[n] = t->trials.ptr[i]->t.violation;
        r[n++] = (struct ranked){.trial = (uint32_t)i};
    }
    am_tune_rank(f, violation, n, m, rank);
    am_tune_crowding(f, rank, n, m, rank + known, crowd);
    for (size_t i = 0; i < n; i++) {
        r[i].rank = rank[i];
        r[i].y = -crowd[i];
    }
    *out = n;
    return AM_OK;
}

static enum am_rc observe(const struct am_tune *t, size_t known, struct am_arena *a,
                          struct ranked *r, size_t *out, struct am_err *err)
{
    uint32_t *index = am_arena_array(a, known, sizeof *index);
    double *y = am_arena_array(a, known, sizeof *y);
    AM_TRY(am_arena_check(a, err));
    if (t->config.n_objectives > 1)
        return observe_front(t, known, a, r, out, err);
    *out = am_tune_observe(t, known, index, y);
    for (size_t i = 0; i < *out; i++) {
        const struct tune_trial *x = t->trials.ptr[index[i]];
        r[i] = (struct ranked){.trial = index[i],
                               .rank = x->t.status == AM_TUNE_OK ? 0 : 1,
                               .violation = x->t.violation,
                               .y = y[i]};
        if (x->t.status == AM_TUNE_FAILED)
            r[i] = (struct ranked){index[i], 2, INFINITY, y[i]};
    }
    return AM_OK;
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z * 0.70710678118654752440);
}

/* Weights 1, the oldest of more than 25 less; the prior weighs 1. */
static void weigh(struct mixture *m)
{
    double sum = 0;
    size_t n = m->n - 1;
    for (size_t i = 0; i <= n; i++) {
        m->weight[i] = 1;
        if (n > GOOD_MAX && i < n - GOOD_MAX)
            m->weight[i] =
                1.0 / (double)n + (1 - 1.0 / (double)n) * (double)i / (double)(n - GOOD_MAX);
        sum += m->weight[i];
    }
    for (size_t i = 0; i <= n; i++)
        m->weight[i] /= sum;
}

/* Kernels of trials in the order of their numbers, and the prior. */
static enum am_rc mix(struct mixture *m, const struct am_tune *t, const struct ranked *r, size_t n,
                      struct am_arena *a, struct am_err *err)
{
    size_t d = t->space->n;
    m->n = n + 1;
    m->at = am_arena_array(a, n + 1, sizeof *m->at);
    m->weight = am_arena_array(a, n + 1, sizeof *m->weight);
    m->normal = am_arena_array(a, n + 1, sizeof *m->normal);
    AM_TRY(am_arena_check(a, err));
    m->sd = 0.2 * pow((double)(n > 0 ? n : 1), -1 / ((double)d + 4));
    m->sd = fmax(m->sd, 1 / fmin(100, (double)n + 2));
    for (size_t i = 0; i < n; i++) {
        m->at[i] = t->trials.ptr[r[i].trial]->unit;
        for (size_t k = 0; k < d; k++) {
            double x = m->at[i][k];
            if (!isnan(x) && !am_tune_is_hamming(&t->space->dims[k]))
                m->normal[i] += log(m->sd * 2.5066282746310002 *
                                    (normal_cdf((1 - x) / m->sd) - normal_cdf(-x / m->sd)));
        }
    }
    weigh(m);
    return AM_OK;
}

/* Probability of a choice in a kernel: 1 / (n + 1) everywhere, 1 more at its own. */
static double choice_log(const struct mixture *m, const struct tune_dim *d, bool same)
{
    double prior = 1 / (double)m->n;
    return log((prior + same) / (1 + prior * d->n_levels));
}

static double kernel_log(const struct mixture *m, const struct am_tune_space *s, size_t i,
                         const double *x)
{
    const double *at = m->at[i];
    double sum = at ? -m->normal[i] : 0;
    for (size_t k = 0; k < s->n; k++) {
        const struct tune_dim *d = &s->dims[k];
        if (isnan(x[k])) {
            if (at && !isnan(at[k]) && !am_tune_is_hamming(d)) /* its normaliser is not wanted */
                sum += log(m->sd * 2.5066282746310002 *
                           (normal_cdf((1 - at[k]) / m->sd) - normal_cdf(-at[k] / m->sd)));
        } else if (am_tune_is_hamming(d)) {
            sum += !at || isnan(at[k]) ? -log(d->n_levels) : choice_log(m, d, at[k] == x[k]);
        } else if (at && !isnan(at[k])) {
            double z = (x[k] - at[k]) / m->sd;
            sum -= 0.5 * z * z;
        }
    }
    return sum;
}

/* terms: [n] */
static double mixture_log(const struct mixture *m, const struct am_tune_space *s, const double *x,
                          double *terms)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < m->n; i++) {
        terms[i] = kernel_log(m, s, i, x) + log(m->weight[i]);
        most = terms[i] > most ? terms[i] : most;
    }
    for (size_t i = 0; i < m->n; i++)
        sum += exp(terms[i] - most);
    /* cppcheck-suppress invalidFunctionArg ; the largest adds 1 */
    return most + log(sum);
}

static double draw_near(struct am_rng *r, double mu, double sd)
{
    for (int i = 0; i < 100; i++) {
        double x = mu + sd * am_rng_normal(r);
        if (x >= 0 && x <= 1)
            return x;
    }
    return mu;
}

static void draw(const struct mixture *m, const struct am_tune_space *s, struct am_rng *r,
                 double *x)
{
    double u = am_rng_unit(r);
    size_t i = 0;
    const double *at;
    while (i + 1 < m->n && u >= m->weight[i])
        u -= m->weight[i++];
    at = m->at[i];
    for (size_t o = 0; o < s->n; o++) {
        size_t k = s->order[o];
        const struct tune_dim *d = &s->dims[k];
        double v = am_rng_unit(r);
        if (!am_tune_active(s, k, x)) {
            x[k] = NAN;
            continue;
        }
        x[k] = v;
        if (!at || isnan(at[k]))
            continue;
        if (!am_tune_is_hamming(d))
            x[k] = draw_near(r, at[k], m->sd);
        else if (am_rng_unit(r) < (double)m->n / (double)(m->n + d->n_levels))
            x[k] = at[k]; /* else uniform: 1 / (n + 1) for each choice */
    }
    am_tune_snap(s, x);
}

/* Keeps the best KEEP_BEST of the bad and the last KEEP_LAST, in the order of their numbers. */
static size_t forget(struct ranked *bad, size_t n)
{
    if (n <= KEEP_BEST + KEEP_LAST)
        return n;
    qsort(bad + KEEP_BEST, n - KEEP_BEST, sizeof *bad, by_trial);
    memmove(bad + KEEP_BEST, bad + n - KEEP_LAST, KEEP_LAST * sizeof *bad);
    return KEEP_BEST + KEEP_LAST;
}

static enum am_rc choose(struct am_tune *t, size_t known, struct am_arena *a,
                         struct tune_proposal *p, struct am_err *err)
{
    size_t all = t->trials.len, n = 0, n_good, n_bad;
    struct ranked *r = am_arena_array(a, all, sizeof *r), *bad;
    double *terms = am_arena_array(a, all + 1, sizeof *terms), *x, best = -INFINITY;
    struct mixture good, rest;
    struct am_rng rng;
    x = am_arena_array(a, t->space->n, sizeof *x);
    memset(&good, 0, sizeof good);
    memset(&rest, 0, sizeof rest);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(observe(t, known, a, r, &n, err));
    if (n < 2)
        return AM_OK;
    qsort(r, n, sizeof *r, by_worth);
    n_good = (n + 9) / 10 < GOOD_MAX ? (n + 9) / 10 : GOOD_MAX;
    qsort(r, n_good, sizeof *r, by_trial);
    bad = r + n_good;
    n_bad = forget(bad, n - n_good);
    for (size_t i = known; i < all; i++) /* what runs now counts as bad: do not go there again */
        bad[n_bad++] = (struct ranked){.trial = (uint32_t)i};
    qsort(bad, n_bad, sizeof *bad, by_trial);
    AM_TRY(mix(&good, t, r, n_good, a, err));
    AM_TRY(mix(&rest, t, bad, n_bad, a, err));
    am_tune_rng(&rng, t, TUNE_DRAW_TPE, t->trials.len);
    for (int i = 0; i < DRAWS; i++) {
        double v;
        draw(&good, t->space, &rng, x);
        v = mixture_log(&good, t->space, x, terms) - mixture_log(&rest, t->space, x, terms);
        if (v > best && !am_tune_tried(t, x)) {
            best = v;
            memcpy(p->unit, x, t->space->n * sizeof *x);
            p->origin = "tpe";
        }
    }
    return AM_OK;
}

enum am_rc am_tune_sample_tpe(struct am_tune *t, size_t known, struct tune_proposal *p,
                              struct am_err *err)
{
    struct am_arena *a;
    enum am_rc rc;
    am_tune_sample_sobol(t, p);
    if (t->trials.len < (t->config.n_startup ? t->config.n_startup : STARTUP) || known < 2)
        return AM_OK;
    a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    rc = choose(t, known, a, p, err);
    am_arena_free(a);
    return rc;
}
