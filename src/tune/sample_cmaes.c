/* CMA-ES (Hansen 2016) with restarts of doubled population.
 *
 * The distribution is made from the known trials, lambda at a time in the order of their numbers,
 * so it is a function of the history; the last one is kept to spare the replay. A sample outside
 * the cube is clipped for the trial and pays the square of the distance; where it was stands in the
 * trial's model numbers. Ranges only: an unordered dimension is taken from one of the best trials,
 * or at random. */
#include <math.h>
#include <stdlib.h>

#include "tune/tune_int.h"

enum { START_SD_TENTHS = 3 };

struct tune_cmaes {
    struct am_arena *arena; /* owned: this struct and its arrays */
    size_t d;               /* dimensions that are ranges */
    uint32_t dims[TUNE_DIMS_MAX];
    size_t consumed; /* trials looked at */
    size_t n_block;  /* of them in the present generation */
    size_t lambda, generation, restarts, stalled;
    double sd, best, best_before;
    double *mean, *ps, *pc; /* [d] */
    double *c, *b;          /* [d, d] covariance; columns of b its eigenvectors */
    double *scale;          /* [d] roots of the eigenvalues */
    double *x;              /* [lambda_max, d] the block */
    double *f;              /* [lambda_max] */
    uint32_t *order;
    double *work; /* [d * (d + 4)] */
    size_t lambda_max;
};

void am_tune_cmaes_free(struct tune_cmaes *c)
{
    if (c)
        am_arena_free(c->arena);
}

/* Cyclic Jacobi: a [n, n] symmetric is destroyed, columns of v become its eigenvectors. */
static void eigen(double *a, size_t n, double *v, double *values)
{
    memset(v, 0, n * n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i * n + i] = 1;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, all = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                all += a[i * n + j] * a[i * n + j];
                off += i != j ? a[i * n + j] * a[i * n + j] : 0;
            }
        if (off <= 1e-28 * all)
            break;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++) {
                double apq = a[p * n + q], th, t, c, s;
                if (fabs(apq) < 1e-300)
                    continue;
                th = (a[q * n + q] - a[p * n + p]) / (2 * apq);
                t = (th >= 0 ? 1 : -1) / (fabs(th) + sqrt(th * th + 1));
                c = 1 / sqrt(t * t + 1);
                s = t * c;
                for (size_t k = 0; k < n; k++) {
                    double x = a[k * n + p], y = a[k * n + q];
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for (size_t k = 0; k < n; k++) {
                    double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                    x = v[k * n + p];
                    y = v[k * n + q];
                    v[k * n + p] = c * x - s * y;
                    v[k * n + q] = s * x + c * y;
                }
            }
    }
    for (size_t i = 0; i < n; i++)
        values[i] = a[i * n + i];
}

/* A fresh distribution: the first about the first trial that was given or the middle, the others
 * anywhere. */
static void begin(struct tune_cmaes *c, const struct am_tune *t)
{
    size_t d = c->d;
    struct am_rng r;
    const struct tune_trial *first = t->trials.len ? t->trials.ptr[0] : NULL;
    bool given = first && strcmp(first->t.origin, "given") == 0;
    am_tune_rng(&r, t, TUNE_DRAW_CMAES, (uint64_t)c->restarts | (uint64_t)1 << 39);
    for (size_t i = 0; i < d; i++) {
        double u = am_rng_unit(&r);
        double at = given ? first->unit[c->dims[i]] : 0.5;
        c->mean[i] = c->restarts ? u : isnan(at) ? 0.5 : at;
        c->ps[i] = c->pc[i] = 0;
        c->scale[i] = 1;
        for (size_t k = 0; k < d; k++)
            c->c[i * d + k] = c->b[i * d + k] = i == k;
    }
    c->sd = START_SD_TENTHS / 10.0;
    c->generation = c->stalled = c->n_block = 0;
    c->best = c->best_before = INFINITY;
}

static enum am_rc make(struct am_tune *t, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct tune_cmaes *c = a ? am_arena_zalloc(a, sizeof *c) : NULL;
    size_t d = 0;
    enum am_rc rc;
    if (!c) {
        am_arena_free(a);
        return am_fail_nomem(err, sizeof *c);
    }
    c->arena = a;
    for (size_t i = 0; i < t->space->n; i++)
        if (!am_tune_is_hamming(&t->space->dims[i]))
            c->dims[d++] = (uint32_t)i;
    c->d = d;
    c->lambda = 4 + (size_t)(3 * log((double)(d > 0 ? d : 1)));
    if (t->config.population)
        c->lambda = t->config.population < 4 ? 4 : t->config.population;
    c->lambda_max = c->lambda << 6;
    c->mean = am_arena_array(a, d + 1, sizeof(double));
    c->ps = am_arena_array(a, d + 1, sizeof(double));
    c->pc = am_arena_array(a, d + 1, sizeof(double));
    c->scale = am_arena_array(a, d + 1, sizeof(double));
    c->c = am_arena_array(a, d * d + 1, sizeof(double));
    c->b = am_arena_array(a, d * d + 1, sizeof(double));
    c->x = am_arena_array(a, c->lambda_max * (d + 1), sizeof(double));
    c->f = am_arena_array(a, c->lambda_max, sizeof(double));
    c->order = am_arena_array(a, c->lambda_max, sizeof *c->order);
    c->work = am_arena_array(a, (d + 1) * (d + 4), sizeof(double));
    rc = am_arena_check(a, err);
    if (rc) {
        am_arena_free(a);
        return rc;
    }
    begin(c, t);
    t->cmaes = c;
    return AM_OK;
}

/* ---- one generation ---- */

static void sort_block(struct tune_cmaes *c)
{
    for (size_t i = 0; i < c->lambda; i++) {
        uint32_t k = (uint32_t)i;
        size_t at = i;
        for (; at > 0 && c->f[c->order[at - 1]] > c->f[k]; at--)
            c->order[at] = c->order[at - 1];
        c->order[at] = k;
    }
}

struct rates {
    double cs, damp, cc, c1, cmu, mueff, chi;
};

static struct rates rates_of(const struct tune_cmaes *c, const double *w, size_t mu)
{
    struct rates r = {0};
    double d = (double)c->d, squares = 0;
    for (size_t i = 0; i < mu; i++)
        squares += w[i] * w[i];
    r.mueff = 1 / squares;
    r.cs = (r.mueff + 2) / (d + r.mueff + 5);
    r.damp = 1 + r.cs + 2 * fmax(0, sqrt((r.mueff - 1) / (d + 1)) - 1);
    r.cc = (4 + r.mueff / d) / (d + 4 + 2 * r.mueff / d);
    r.c1 = 2 / ((d + 1.3) * (d + 1.3) + r.mueff);
    r.cmu = fmin(1 - r.c1, 2 * (r.mueff - 2 + 1 / r.mueff) / ((d + 2) * (d + 2) + r.mueff));
    r.chi = sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d));
    return r;
}

static void move_paths(struct tune_cmaes *c, const struct rates *r, const double *step)
{
    size_t d = c->d;
    double *z = c->work + d, norm = 0, steady;
    for (size_t k = 0; k < d; k++) { /* z = D^-1 B^T step */
        z[k] = 0;
        for (size_t i = 0; i < d; i++)
            z[k] += c->b[i * d + k] * step[i];
        z[k] /= c->scale[k];
    }
    for (size_t i = 0; i < d; i++) {
        double back = 0;
        for (size_t k = 0; k < d; k++)
            back += c->b[i * d + k] * z[k];
        c->ps[i] = (1 - r->cs) * c->ps[i] + sqrt(r->cs * (2 - r->cs) * r->mueff) * back;
        norm += c->ps[i] * c->ps[i];
    }
    norm = sqrt(norm);
    steady = norm / sqrt(1 - pow(1 - r->cs, 2.0 * (double)c->generation)) <
                     (1.4 + 2 / ((double)d + 1)) * r->chi
                 ? 1
                 : 0;
    for (size_t i = 0; i < d; i++)
        c->pc[i] = (1 - r->cc) * c->pc[i] + steady * sqrt(r->cc * (2 - r->cc) * r->mueff) * step[i];
    for (size_t i = 0; i < d; i++)
        for (size_t k = 0; k < d; k++)
            c->c[i * d + k] = (1 - r->c1 - r->cmu) * c->c[i * d + k] +
                              r->c1 * (c->pc[i] * c->pc[k] +
                                       (1 - steady) * r->cc * (2 - r->cc) * c->c[i * d + k]);
    c->sd = fmin(1, c->sd * exp(r->cs / r->damp * (norm / r->chi - 1)));
}

static void update(struct tune_cmaes *c)
{
    size_t d = c->d, mu = c->lambda / 2;
    double *step = c->work, *w = c->f + c->lambda, sum = 0, sd = c->sd;
    struct rates r;
    sort_block(c);
    for (size_t i = 0; i < mu; i++) {
        w[i] = log((double)(c->lambda + 1) / 2) - log((double)i + 1);
        sum += w[i];
    }
    for (size_t i = 0; i < mu; i++)
        w[i] /= sum;
    r = rates_of(c, w, mu);
    memset(step, 0, d * sizeof *step);
    for (size_t i = 0; i < mu; i++)
        for (size_t k = 0; k < d; k++) {
            double *y = c->x + c->order[i] * d + k;
            *y = (*y - c->mean[k]) / sd;
            step[k] += w[i] * *y;
        }
    c->generation++;
    move_paths(c, &r, step);
    for (size_t k = 0; k < d; k++)
        c->mean[k] += sd * step[k];
    for (size_t i = 0; i < mu; i++) {
        const double *y = c->x + c->order[i] * d;
        for (size_t a = 0; a < d; a++)
            for (size_t b = 0; b < d; b++)
                c->c[a * d + b] += r.cmu * w[i] * y[a] * y[b];
    }
    memcpy(c->work, c->c, d * d * sizeof *c->c);
    eigen(c->work, d, c->b, c->scale);
    for (size_t k = 0; k < d; k++)
        c->scale[k] = sqrt(fmax(c->scale[k], 1e-20));
}

static bool has_stagnated(struct tune_cmaes *c)
{
    double widest = 0, narrowest = INFINITY, least = c->f[c->order[0]];
    double spread = c->f[c->order[c->lambda - 1]] - least;
    if (least < c->best - 1e-9 * (1 + fabs(c->best)))
        c->stalled = 0;
    else
        c->stalled++;
    c->best = fmin(c->best, least);
    for (size_t k = 0; k < c->d; k++) {
        widest = fmax(widest, c->scale[k]);
        narrowest = fmin(narrowest, c->scale[k]);
    }
    return c->sd * widest < 1e-7 || widest > 1e7 * narrowest || spread <= 1e-13 * fabs(least) ||
           c->stalled > 10 + 30 * c->d / c->lambda;
}

/* What a trial counts for, whatever came after it: a stopped one its last value, a failed one, and
 * one beyond its constraints, more than any other. */
static double worth(const struct am_tune *t, const struct tune_trial *x)
{
    double y = am_tune_loss(t, x, 0);
    if (x->t.status == AM_TUNE_PRUNED)
        y = x->t.objectives ? am_tune_sign(t, 0) * x->objectives[0]
            : x->steps.len  ? am_tune_sign(t, 0) * x->steps.ptr[x->steps.len - 1].value
                            : NAN;
    if (isnan(y))
        return 1e200;
    return x->t.violation > 0 ? 1e100 * (1 + x->t.violation) : y;
}

/* Takes a known trial into the block; a whole block moves the distribution. */
static void consume(struct tune_cmaes *c, const struct am_tune *t, size_t i)
{
    const struct tune_trial *x = t->trials.ptr[i];
    double penalty = 0, y = worth(t, x);
    if (x->n_model == c->d + 1 && x->model[c->d] != (double)c->restarts)
        return; /* drawn before the restart */
    for (size_t k = 0; k < c->d; k++) {
        double inside = x->unit[c->dims[k]];
        double at = x->n_model == c->d + 1 ? x->model[k] : isnan(inside) ? 0.5 : inside;
        double out = at < 0 ? at : at > 1 ? at - 1 : 0;
        c->x[c->n_block * c->d + k] = at;
        penalty += out * out;
    }
    c->f[c->n_block++] = y + penalty * 10 * (1 + fabs(y));
    if (c->n_block < c->lambda)
        return;
    update(c);
    c->n_block = 0;
    if (has_stagnated(c)) {
        c->restarts++;
        if (c->lambda * 4 <= c->lambda_max)
            c->lambda *= 2;
        begin(c, t);
    }
}

static void sample(struct tune_cmaes *c, const struct am_tune *t, const uint32_t *index,
                   const double *y, size_t n, struct tune_proposal *p)
{
    struct am_rng r;
    double *z = c->work;
    am_tune_rng(&r, t, TUNE_DRAW_CMAES, t->trials.len);
    for (size_t k = 0; k < c->d; k++)
        z[k] = c->scale[k] * am_rng_normal(&r);
    for (size_t i = 0; i < c->d; i++) {
        double step = 0;
        for (size_t k = 0; k < c->d; k++)
            step += c->b[i * c->d + k] * z[k];
        p->model[i] = c->mean[i] + c->sd * step;
        p->unit[c->dims[i]] = p->model[i];
    }
    p->model[c->d] = (double)c->restarts;
    p->n_model = (uint32_t)c->d + 1;
    for (size_t i = 0; i < t->space->n; i++) { /* unordered: from the best of a few, or anywhere */
        size_t best = n;
        double at;
        if (!am_tune_is_hamming(&t->space->dims[i]))
            continue;
        p->unit[i] = am_rng_unit(&r);
        for (int k = 0; k < 8 && n; k++) {
            size_t one = am_rng_below(&r, n);
            best = best == n || y[one] < y[best] ? one : best;
        }
        at = best < n ? t->trials.ptr[index[best]]->unit[i] : NAN;
        if (am_rng_unit(&r) < 0.8 && !isnan(at))
            p->unit[i] = at;
    }
}

enum am_rc am_tune_sample_cmaes(struct am_tune *t, size_t known, struct tune_proposal *p,
                                struct am_err *err)
{
    uint32_t *index = am_alloc_array(known + 1, sizeof *index);
    double *y = am_alloc_array(known + 1, sizeof *y);
    enum am_rc rc = AM_OK;
    size_t n;
    if (!index || !y)
        rc = am_fail_nomem(err, (known + 1) * sizeof *y);
    if (rc == AM_OK && !t->cmaes)
        rc = make(t, err);
    if (rc == AM_OK) {
        n = am_tune_observe(t, known, index, y);
        for (; t->cmaes->consumed < known; t->cmaes->consumed++)
            consume(t->cmaes, t, t->cmaes->consumed);
        sample(t->cmaes, t, index, y, n, p);
        p->origin = "cmaes";
    }
    am_free(index);
    am_free(y);
    return rc;
}
