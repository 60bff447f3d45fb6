/* Genetic search: one objective by elitist truncation, several by NSGA-II (Deb et al. 2002).
 *
 * A population is made from whole blocks of the known trials only, so it is a function of the
 * history; the last one is kept to spare the replay. Parents by tournaments of two, crossover SBX
 * or BLX, polynomial mutation, unordered dimensions by exchange and random reset. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

enum { POPULATION = 24, POPULATION_MANY = 50 };

struct breeding {
    const struct am_tune_space *s;
    struct am_rng *r;
    double sbx_eta; /* distribution index of SBX */
};

/* ---- variation ---- */

/* Simulated binary crossover of two coordinates, one child, bounded to 0..1. */
static double sbx(struct breeding *b, double x, double y)
{
    double lo = x < y ? x : y, hi = x < y ? y : x, u = am_rng_unit(b->r), eta = b->sbx_eta;
    double beta, a, bq;
    bool upper = am_rng_unit(b->r) < 0.5;
    if (hi - lo < 1e-14)
        return x;
    beta = 1 + 2 * (upper ? 1 - hi : lo) / (hi - lo);
    a = 2 - pow(beta, -(eta + 1));
    bq = u <= 1 / a ? pow(u * a, 1 / (eta + 1)) : pow(1 / (2 - u * a), 1 / (eta + 1));
    return upper ? 0.5 * (lo + hi + bq * (hi - lo)) : 0.5 * (lo + hi - bq * (hi - lo));
}

static double blend(struct breeding *b, double x, double y)
{
    double lo = x < y ? x : y, hi = x < y ? y : x, reach = 0.5 * (hi - lo);
    double from = fmax(0, lo - reach), to = fmin(1, hi + reach);
    return from + (to - from) * am_rng_unit(b->r);
}

/* Polynomial mutation, eta = 20, bounded. */
static double mutate(struct breeding *b, double x)
{
    const double eta = 20;
    double u = am_rng_unit(b->r), d;
    if (u <= 0.5)
        d = pow(2 * u + (1 - 2 * u) * pow(1 - x, eta + 1), 1 / (eta + 1)) - 1;
    else
        d = 1 - pow(2 * (1 - u) + 2 * (u - 0.5) * pow(x, eta + 1), 1 / (eta + 1));
    return fmin(1, fmax(0, x + d));
}

static void breed(struct breeding *b, const double *mother, const double *father, double *child)
{
    size_t n = b->s->n;
    bool cross = am_rng_unit(b->r) < 0.9, blends = b->sbx_eta < 10 && am_rng_unit(b->r) < 0.5;
    for (size_t i = 0; i < n; i++) {
        bool hamming = am_tune_is_hamming(&b->s->dims[i]);
        double x = mother[i], y = father[i];
        x = isnan(x) ? am_rng_unit(b->r) : x; /* off there: anywhere */
        y = isnan(y) ? am_rng_unit(b->r) : y;
        child[i] = x;
        if (cross && hamming)
            child[i] = am_rng_unit(b->r) < 0.5 ? x : y;
        else if (cross && blends)
            child[i] = blend(b, x, y);
        else if (cross && am_rng_unit(b->r) < 0.5)
            child[i] = sbx(b, x, y);
        if (am_rng_unit(b->r) * (double)n < 1)
            child[i] = hamming ? am_rng_unit(b->r) : mutate(b, child[i]);
    }
    am_tune_snap(b->s, child);
}

/* ---- one objective ---- */

struct scored {
    double violation, y;
    uint32_t trial;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->violation != y->violation)
        return x->violation < y->violation ? -1 : 1;
    if (x->y != y->y)
        return x->y < y->y ? -1 : 1;
    return x->trial < y->trial ? -1 : 1;
}

/* Ranks are positions in a sorted list, so the smaller of two draws wins a tournament. */
static size_t tournament(struct am_rng *r, size_t n)
{
    size_t a = am_rng_below(r, n), b = am_rng_below(r, n);
    return a < b ? a : b;
}

static void offspring(const struct am_tune *t, const uint32_t *ranked, size_t n, double eta,
                      enum tune_purpose purpose, struct tune_proposal *p)
{
    struct am_rng r;
    struct breeding b = {.s = t->space, .r = &r, .sbx_eta = eta};
    am_tune_rng(&r, t, purpose, t->trials.len);
    for (int tries = 0; tries < 20; tries++) { /* a child that was tried is no news */
        size_t i = tournament(&r, n), k = tournament(&r, n);
        breed(&b, t->trials.ptr[ranked[i]]->unit, t->trials.ptr[ranked[k]]->unit, p->unit);
        if (!am_tune_tried(t, p->unit))
            break;
    }
}

static size_t population(const struct am_tune *t, size_t usual)
{
    size_t n = t->config.population ? t->config.population : usual;
    if (!t->config.population && t->config.n_trials && t->config.n_trials / 5 < n)
        n = t->config.n_trials / 5 > 6 ? (size_t)t->config.n_trials / 5 : 6;
    return n < 4 ? 4 : n;
}

enum am_rc am_tune_sample_genetic(struct am_tune *t, size_t known, struct tune_proposal *p,
                                  struct am_err *err)
{
    size_t size = population(t, POPULATION), seen = known / size * size, n;
    struct scored *s;
    uint32_t *index;
    double *y;
    am_tune_sample_sobol(t, p);
    if (seen == 0)
        return AM_OK;
    s = am_alloc_array(seen, sizeof *s);
    index = am_alloc_array(seen, sizeof *index);
    y = am_alloc_array(seen, sizeof *y);
    if (!s || !index || !y) {
        am_free(s);
        am_free(index);
        am_free(y);
        return am_fail_nomem(err, seen * sizeof *s);
    }
    n = am_tune_observe(t, seen, index, y);
    for (size_t i = 0; i < n; i++)
        s[i] = (struct scored){t->trials.ptr[index[i]]->t.violation, y[i], index[i]};
    qsort(s, n, sizeof *s, by_score);
    for (size_t i = 0; i < n; i++)
        index[i] = s[i].trial;
    if (n >= 2) {
        p->origin = "genetic";
        offspring(t, index, n < size ? n : size, 2, TUNE_DRAW_GENETIC, p);
    }
    am_free(s);
    am_free(index);
    am_free(y);
    return AM_OK;
}

/* ---- several objectives ---- */

struct survivor {
    uint32_t rank, trial;
    double crowd;
};

static int by_survival(const void *a, const void *b)
{
    const struct survivor *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->crowd != y->crowd)
        return x->crowd > y->crowd ? -1 : 1;
    return x->trial < y->trial ? -1 : 1;
}

struct room {
    double *f, *violation, *crowd;
    uint32_t *rank, *order;
    struct survivor *all;
};

/* The population and the next block of trials, of which the best `size` stay, best first. */
static void survive(struct am_tune *t, struct room *w, size_t size, size_t block)
{
    size_t m = t->config.n_objectives, n = 0;
    for (size_t i = 0; i < t->front.n; i++)
        w->all[n++].trial = t->front.trials[i];
    for (size_t i = block * size; i < (block + 1) * size; i++)
        if (t->trials.ptr[i]->t.status == AM_TUNE_OK)
            w->all[n++].trial = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        const struct tune_trial *x = t->trials.ptr[w->all[i].trial];
        for (size_t k = 0; k < m; k++)
            w->f[i * m + k] = am_tune_loss(t, x, k);
        w->violation[i] = x->t.violation;
    }
    am_tune_rank(w->f, w->violation, n, m, w->rank);
    am_tune_crowding(w->f, w->rank, n, m, w->order, w->crowd);
    for (size_t i = 0; i < n; i++) {
        w->all[i].rank = w->rank[i];
        w->all[i].crowd = w->crowd[i];
    }
    qsort(w->all, n, sizeof *w->all, by_survival);
    t->front.n = n < size ? n : size;
    for (size_t i = 0; i < t->front.n; i++)
        t->front.trials[i] = w->all[i].trial;
    t->front.blocks = block + 1;
}

static enum am_rc replay(struct am_tune *t, size_t size, size_t blocks, struct am_err *err)
{
    size_t m = t->config.n_objectives, n = 2 * size;
    struct am_arena *a;
    struct room w;
    enum am_rc rc;
    if (!t->front.trials) {
        t->front.trials = am_alloc_array(size, sizeof *t->front.trials);
        if (!t->front.trials)
            return am_fail_nomem(err, size * sizeof *t->front.trials);
    }
    if (t->front.blocks >= blocks)
        return AM_OK;
    a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, n * sizeof *w.all);
    w.f = am_arena_array(a, n * m, sizeof(double));
    w.violation = am_arena_array(a, n, sizeof(double));
    w.crowd = am_arena_array(a, n, sizeof(double));
    w.rank = am_arena_array(a, n, sizeof(uint32_t));
    w.order = am_arena_array(a, n, sizeof(uint32_t));
    w.all = am_arena_array(a, n, sizeof *w.all);
    rc = am_arena_check(a, err);
    while (rc == AM_OK && t->front.blocks < blocks)
        survive(t, &w, size, t->front.blocks);
    am_arena_free(a);
    return rc;
}

enum am_rc am_tune_sample_nsga2(struct am_tune *t, size_t known, struct tune_proposal *p,
                                struct am_err *err)
{
    size_t size = population(t, POPULATION_MANY);
    am_tune_sample_sobol(t, p);
    AM_TRY(replay(t, size, known / size, err));
    if (t->front.n < 2)
        return AM_OK;
    p->origin = "nsga2";
    offspring(t, t->front.trials, t->front.n, 20, TUNE_DRAW_NSGA2, p);
    return AM_OK;
}
