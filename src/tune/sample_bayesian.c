/* The Bayesian sampler: a Gaussian process of the loss (and one for each constraint), log expected
 * improvement times the probability of keeping the constraints, maximised over the mixed space.
 *
 * Trials that run are put in with the value that the model believes (kriging believer). Several
 * objectives become one by random weights a trial (ParEGO, Knowles 2006). The hyper-parameters of
 * the fit are kept with the trial, so that the next fit starts from them after a resume too. */
#include <math.h>
#include <stdlib.h>

#include "tune/gp.h"

enum {
    SPREAD = 2048, /* candidates over the whole space */
    NEAR = 600,    /* candidates around the best */
    POLISHED = 6,  /* candidates that are improved by gradient and line search */
    LINE_LEVELS = 16
};

/* Improvements below a hundredth of a deviation are not looked for: without it half of the trials
 * go to the tenth digit of a local optimum. */
static const double worth_while = 0.01;
/* What standing on the edge of a continuous range costs in log merit, falling to nothing at `edge`
 * of the range: corners are where a model knows least and where optima seldom are. */
static const double edge_cost = 0.5, edge = 0.1;

struct search {
    const struct am_tune *t;
    const struct am_tune_space *s;
    struct am_arena *a;
    struct tune_gp goal, limits[TUNE_GOALS_MAX];
    size_t n_limits;
    double best;      /* least standardised feasible loss less worth_while */
    bool is_feasible; /* some trial keeps every constraint */
    const double *best_unit;
    double *work; /* [10 cap] */
    double *x;    /* [n] the whole place while continuous dimensions move */
    size_t n_moving;
    uint32_t moving[TUNE_DIMS_MAX];
};

/* ---- the model ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Losses far above the rest say only "bad"; then mean 0, deviation 1. work: [n] */
static void standardise(double *y, size_t n, double *work)
{
    double mean = 0, var = 0, sd;
    if (n > 10) {
        double median, mad;
        memcpy(work, y, n * sizeof *y);
        median = median_of(work, n);
        for (size_t i = 0; i < n; i++)
            work[i] = fabs(y[i] - median);
        mad = median_of(work, n);
        for (size_t i = 0; i < n; i++)
            if (mad > 0 && y[i] > median + 5 * mad)
                y[i] = median + 5 * mad;
    }
    for (size_t i = 0; i < n; i++)
        mean += y[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (y[i] - mean) * (y[i] - mean) / (double)n;
    sd = sqrt(var) > 1e-12 * (1 + fabs(mean)) ? sqrt(var) : 1;
    for (size_t i = 0; i < n; i++)
        y[i] = (y[i] - mean) / sd;
}

/* The power transform of Yeo and Johnson (2000). */
static double yeo_johnson(double y, double l)
{
    if (y >= 0)
        return fabs(l) < 1e-9 ? log1p(y) : (pow(1 + y, l) - 1) / l;
    return fabs(2 - l) < 1e-9 ? -log1p(-y) : -(pow(1 - y, 2 - l) - 1) / (2 - l);
}

/* Makes standardised losses more alike to normal ones: the exponent of greatest likelihood. */
static void straighten(double *y, size_t n)
{
    double best = INFINITY, at = 1, jacobian = 0;
    for (size_t i = 0; i < n; i++)
        jacobian += (y[i] >= 0 ? 1 : -1) * log1p(fabs(y[i]));
    for (int k = -10; k <= 40; k++) {
        double l = k / 10.0, mean = 0, var = 0, loss;
        for (size_t i = 0; i < n; i++)
            mean += yeo_johnson(y[i], l) / (double)n;
        for (size_t i = 0; i < n; i++) {
            double v = yeo_johnson(y[i], l) - mean;
            var += v * v / (double)n;
        }
        loss = 0.5 * (double)n * log(var + 1e-300) - (l - 1) * jacobian;
        if (loss < best) {
            best = loss;
            at = l;
        }
    }
    for (size_t i = 0; i < n; i++)
        y[i] = yeo_johnson(y[i], at);
}

/* Several objectives as one: augmented Chebyshev with weights drawn for this trial. */
static size_t observe_goals(const struct am_tune *t, size_t known, uint32_t *index, double *y)
{
    size_t m = t->config.n_objectives, n = 0;
    double low[TUNE_GOALS_MAX], high[TUNE_GOALS_MAX], w[TUNE_GOALS_MAX], sum = 0;
    struct am_rng r;
    if (m == 1)
        return am_tune_observe(t, known, index, y);
    am_tune_rng(&r, t, TUNE_DRAW_BAYESIAN, t->trials.len | (uint64_t)1 << 39);
    for (size_t k = 0; k < m; k++) {
        low[k] = INFINITY;
        high[k] = -INFINITY;
        w[k] = -log(1 - am_rng_unit(&r)); /* uniform on the simplex */
        sum += w[k];
        for (size_t i = 0; i < known; i++) {
            double f = am_tune_loss(t, t->trials.ptr[i], k);
            low[k] = f < low[k] ? f : low[k];
            high[k] = f > high[k] ? f : high[k];
        }
    }
    for (size_t i = 0; i < known; i++) {
        double worst = -INFINITY, all = 0;
        if (t->trials.ptr[i]->t.status != AM_TUNE_OK)
            continue;
        for (size_t k = 0; k < m; k++) {
            double f = am_tune_loss(t, t->trials.ptr[i], k) - low[k];
            f *= w[k] / sum / (high[k] > low[k] ? high[k] - low[k] : 1);
            worst = f > worst ? f : worst;
            all += f;
        }
        index[n] = (uint32_t)i;
        y[n++] = worst + 0.05 * all;
    }
    return n;
}

static void put_place(const struct search *q, struct tune_gp *gp, size_t trial, double y)
{
    memcpy(gp->x + gp->n * gp->d, q->t->trials.ptr[trial]->unit, gp->d * sizeof(double));
    gp->y[gp->n++] = y;
}

/* Adds what runs with the values that the model believes. */
static bool believe(struct search *q, struct tune_gp *gp, size_t known)
{
    size_t n = gp->n;
    double mean, variance;
    if (!am_gp_factor(gp))
        return false;
    if (known == q->t->trials.len)
        return true;
    for (size_t i = known; i < q->t->trials.len; i++) {
        size_t now = gp->n;
        gp->n = n;
        am_gp_predict(gp, q->t->trials.ptr[i]->unit, &mean, &variance, q->work);
        gp->n = now;
        put_place(q, gp, i, mean);
    }
    am_gp_pairs(gp);
    return am_gp_factor(gp);
}

static double over_limit(const struct am_tune_constraint *k, double v)
{
    return k->bound == AM_TUNE_AT_MOST ? v - k->limit : k->limit - v;
}

static enum am_rc model_limits(struct search *q, size_t known, const uint8_t *hamming,
                               struct am_err *err)
{
    const struct am_tune_config *c = &q->t->config;
    for (size_t k = 0; k < c->n_constraints; k++) {
        struct tune_gp *gp = &q->limits[q->n_limits];
        double var = 0;
        AM_TRY(am_gp_init(gp, q->a, q->t->trials.len, q->s->n, hamming, err));
        for (size_t i = 0; i < known; i++) {
            const struct tune_trial *x = q->t->trials.ptr[i];
            if (x->t.constraints && !isnan(x->constraints[k]))
                put_place(q, gp, i, over_limit(&c->constraints[k], x->constraints[k]));
        }
        if (gp->n == 0)
            continue;
        for (size_t i = 0; i < gp->n; i++)
            var += gp->y[i] * gp->y[i] / (double)gp->n;
        for (size_t i = 0; i < gp->n; i++) /* zero stays the limit */
            gp->y[i] /= var > 0 ? sqrt(var) : 1;
        am_gp_fit(gp, NULL);
        if (believe(q, gp, known))
            q->n_limits++;
    }
    return AM_OK;
}

/* The hyper-parameters that the last trial of this sampler left, or NULL. */
static const double *last_fit(const struct am_tune *t)
{
    for (size_t i = t->trials.len; i-- > 0;)
        if (t->trials.ptr[i]->n_model == t->space->n + 2)
            return t->trials.ptr[i]->model;
    return NULL;
}

static void find_best(struct search *q, const uint32_t *index, size_t n)
{
    size_t best = n;
    for (int any = 0; any < 2 && best == n; any++) /* the least feasible one, else the least */
        for (size_t i = 0; i < n; i++) {
            const struct tune_trial *x = q->t->trials.ptr[index[i]];
            bool keeps = x->t.status == AM_TUNE_OK && x->t.violation == 0;
            if ((keeps || any) && (best == n || q->goal.y[i] < q->goal.y[best])) {
                best = i;
                q->is_feasible = keeps || q->t->config.n_constraints == 0;
            }
        }
    q->best = q->goal.y[best] - worth_while;
    q->best_unit = q->t->trials.ptr[index[best]]->unit;
}

static enum am_rc build(struct search *q, size_t known, struct tune_proposal *p, bool *usable,
                        struct am_err *err)
{
    const struct am_tune *t = q->t;
    size_t cap = t->trials.len, d = q->s->n, n;
    uint8_t *hamming = am_arena_alloc(q->a, d);
    uint32_t *index = am_arena_array(q->a, cap, sizeof *index);
    q->work = am_arena_array(q->a, cap * 10, sizeof(double));
    q->x = am_arena_array(q->a, d * 2, sizeof(double));
    AM_TRY(am_arena_check(q->a, err));
    for (size_t i = 0; i < d; i++)
        hamming[i] = am_tune_is_hamming(&q->s->dims[i]);
    AM_TRY(am_gp_init(&q->goal, q->a, cap, d, hamming, err));
    n = observe_goals(t, known, index, q->goal.y);
    *usable = n >= 2;
    if (!*usable)
        return AM_OK;
    standardise(q->goal.y, n, q->work);
    if (n >= 5) {
        straighten(q->goal.y, n);
        standardise(q->goal.y, n, q->work);
    }
    for (size_t i = 0; i < n; i++)
        put_place(q, &q->goal, index[i], q->goal.y[i]);
    find_best(q, index, n);
    am_gp_fit(&q->goal, last_fit(t));
    memcpy(p->model, q->goal.p, (d + 2) * sizeof(double));
    p->n_model = (uint32_t)(d + 2);
    *usable = believe(q, &q->goal, known);
    return model_limits(q, known, hamming, err);
}

/* ---- acquisition ---- */

static double edge_merit(const struct search *q, const double *x)
{
    double sum = 0;
    for (size_t i = 0; i < q->s->n; i++) {
        double inside = fmin(x[i], 1 - x[i]);
        if (q->s->dims[i].n_levels == 0 && !isnan(x[i]) && inside < edge)
            sum -= edge_cost * (1 - inside / edge);
    }
    return sum;
}

static double merit(const struct search *q, const double *x)
{
    double mean, variance, sum = edge_merit(q, x), slope;
    if (q->is_feasible) {
        am_gp_predict(&q->goal, x, &mean, &variance, q->work);
        sum += am_log_ei(mean, sqrt(variance), q->best, NULL, NULL);
    }
    for (size_t k = 0; k < q->n_limits; k++) {
        am_gp_predict(&q->limits[k], x, &mean, &variance, q->work);
        sum += am_log_phi(-mean / sqrt(variance), &slope);
    }
    return sum;
}

static void merit8(const struct search *q, const double *x, double *out)
{
    double mean[8], variance[8], slope;
    for (size_t c = 0; c < 8; c++)
        out[c] = edge_merit(q, x + c * q->s->n);
    if (q->is_feasible) {
        am_gp_predict8(&q->goal, x, mean, variance, q->work);
        for (size_t c = 0; c < 8; c++)
            out[c] += am_log_ei(mean[c], sqrt(variance[c]), q->best, NULL, NULL);
    }
    for (size_t k = 0; k < q->n_limits; k++) {
        am_gp_predict8(&q->limits[k], x, mean, variance, q->work);
        for (size_t c = 0; c < 8; c++)
            out[c] += am_log_phi(-mean[c] / sqrt(variance[c]), &slope);
    }
}

/* Negative merit over the moving dimensions, for the minimiser. */
static double moving_loss(void *ctx, const double *at, double *gradient)
{
    struct search *q = ctx;
    double mean, variance, sum = 0, by_mean, by_sd, d_mean[TUNE_DIMS_MAX], d_var[TUNE_DIMS_MAX];
    for (size_t i = 0; i < q->n_moving; i++) {
        q->x[q->moving[i]] = at[i];
        gradient[i] = 0;
    }
    for (size_t k = q->is_feasible ? 0 : 1; k <= q->n_limits; k++) {
        double sd;
        am_gp_slope(k ? &q->limits[k - 1] : &q->goal, q->x, &mean, &variance, d_mean, d_var,
                    q->work);
        sd = sqrt(variance);
        if (k == 0) {
            sum += am_log_ei(mean, sd, q->best, &by_mean, &by_sd);
        } else {
            sum += am_log_phi(-mean / sd, &by_mean);
            by_sd = by_mean * mean / variance;
            by_mean /= -sd;
        }
        for (size_t i = 0; i < q->n_moving; i++)
            gradient[i] -= by_mean * d_mean[q->moving[i]] + by_sd * d_var[q->moving[i]] / (2 * sd);
    }
    sum += edge_merit(q, q->x);
    for (size_t i = 0; i < q->n_moving; i++)
        if (fmin(at[i], 1 - at[i]) < edge)
            gradient[i] -= (at[i] < 0.5 ? 1 : -1) * edge_cost / edge;
    return -sum;
}

/* ---- its maximum ---- */

static double climb(struct search *q, double *x)
{
    double at[TUNE_DIMS_MAX], low[TUNE_DIMS_MAX], high[TUNE_DIMS_MAX];
    double work[TUNE_BAYESIAN_DIMS_MAX * TUNE_MINIMIZE_WORK], *room = work, value;
    q->n_moving = 0;
    for (size_t i = 0; i < q->s->n && q->n_moving < TUNE_BAYESIAN_DIMS_MAX; i++)
        if (q->s->dims[i].n_levels == 0 && !isnan(x[i])) {
            at[q->n_moving] = x[i];
            low[q->n_moving] = 0;
            high[q->n_moving] = 1;
            q->moving[q->n_moving++] = (uint32_t)i;
        }
    memcpy(q->x, x, q->s->n * sizeof *x);
    if (q->n_moving == 0)
        return merit(q, x);
    value = -am_tune_minimize(moving_loss, q, q->n_moving, at, low, high, 30, 1e-6, room);
    for (size_t i = 0; i < q->n_moving; i++)
        x[q->moving[i]] = at[i];
    return value;
}

/* Tries other levels of one dimension, all of them when few, else the near ones and a few far. */
static bool try_levels(struct search *q, struct am_rng *r, size_t dim, double *x, double *value)
{
    const struct tune_dim *d = &q->s->dims[dim];
    uint32_t n = d->n_levels, now = am_tune_level(d, x[dim]), tries = n;
    double *y = q->x + q->s->n, start[TUNE_DIMS_MAX];
    bool better = false;
    if (n > LINE_LEVELS)
        tries = LINE_LEVELS;
    memcpy(start, x, q->s->n * sizeof *x);
    for (uint32_t k = 0; k < tries; k++) {
        uint32_t level = k;
        double v;
        if (n > LINE_LEVELS) { /* +-1, +-2, +-4, +-8, then anywhere */
            int64_t step = k < 8 ? (int64_t)1 << (k / 2) : 0, to = now + (k % 2 ? -step : step);
            level = k < 8 ? (uint32_t)(to < 0    ? 0
                                       : to >= n ? n - 1
                                                 : to)
                          : (uint32_t)am_rng_below(r, n);
        }
        if (level == now)
            continue;
        memcpy(y, start, q->s->n * sizeof *y);
        y[dim] = am_tune_level_unit(d, level);
        am_tune_snap(q->s, y);
        v = merit(q, y);
        if (v > *value + 1e-9) {
            *value = v;
            memcpy(x, y, q->s->n * sizeof *x);
            better = true;
        }
    }
    return better;
}

static double polish(struct search *q, struct am_rng *r, double *x)
{
    double value = climb(q, x);
    for (int round = 0; round < 5; round++) {
        bool better = false;
        for (size_t i = 0; i < q->s->n; i++)
            if (q->s->dims[i].n_levels && !isnan(x[i]))
                better |= try_levels(q, r, i, x, &value);
        if (!better)
            break;
        value = climb(q, x);
    }
    return value;
}

/* Candidate `c`: over the whole space, or the best with noise, now wide, now narrow. */
static void candidate(struct search *q, struct am_rng *r, size_t c, double *x)
{
    size_t n = q->s->n;
    if (c < SPREAD) {
        am_tune_sobol(r->seed, r->stream + 1, (uint32_t)c, n, x);
    } else {
        double sd = c % 2 ? 0.1 : 0.02;
        for (size_t i = 0; i < n; i++) {
            x[i] = q->best_unit[i];
            if (isnan(x[i]) || (am_tune_is_hamming(&q->s->dims[i]) && am_rng_unit(r) < 0.2))
                x[i] = am_rng_unit(r);
            else if (!am_tune_is_hamming(&q->s->dims[i]))
                x[i] += sd * am_rng_normal(r);
        }
    }
    am_tune_snap(q->s, x);
}

struct ranked {
    double merit;
    uint32_t index;
};

static int by_merit(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->merit != y->merit)
        return x->merit > y->merit ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static enum am_rc maximise(struct search *q, double *unit, struct am_err *err)
{
    size_t n = q->s->n, all = SPREAD + NEAR;
    double *x = am_arena_array(q->a, all * n, sizeof *x), best = -INFINITY;
    struct ranked *order = am_arena_array(q->a, all, sizeof *order);
    struct am_rng r;
    AM_TRY(am_arena_check(q->a, err));
    am_tune_rng(&r, q->t, TUNE_DRAW_BAYESIAN, q->t->trials.len);
    for (size_t c = 0; c < all; c++)
        candidate(q, &r, c, x + c * n);
    for (size_t c = 0; c < all; c += 8) {
        double m[8];
        merit8(q, x + c * n, m);
        for (size_t k = 0; k < 8; k++)
            order[c + k] = (struct ranked){m[k], (uint32_t)(c + k)};
    }
    qsort(order, all, sizeof *order, by_merit);
    for (size_t k = 0; k < POLISHED; k++) {
        double *at = x + order[k].index * n, value = polish(q, &r, at);
        if (value > best && !am_tune_tried(q->t, at)) {
            best = value;
            memcpy(unit, at, n * sizeof *unit);
        }
    }
    for (size_t k = POLISHED; k < all && best == -INFINITY; k++) /* all of them tried before */
        if (!am_tune_tried(q->t, x + order[k].index * n)) {
            memcpy(unit, x + order[k].index * n, n * sizeof *unit);
            best = order[k].merit;
        }
    return AM_OK;
}

static uint32_t design_size(const struct am_tune *t)
{
    size_t n = 2 * t->space->n;
    if (t->config.n_startup)
        return t->config.n_startup;
    return n < 5 ? 5 : n > 8 ? 8 : (uint32_t)n;
}

enum am_rc am_tune_sample_bayesian(struct am_tune *t, size_t known, struct tune_proposal *p,
                                   struct am_err *err)
{
    struct search q = {.t = t, .s = t->space};
    bool usable = false;
    enum am_rc rc = AM_OK;
    am_tune_sample_sobol(t, p);
    if (t->trials.len < design_size(t) || known < 2)
        return AM_OK;
    q.a = am_arena_new(0);
    if (!q.a)
        return am_fail_nomem(err, sizeof q);
    AM_GO(rc, build(&q, known, p, &usable, err));
    if (usable) {
        p->origin = "bayesian";
        AM_GO(rc, maximise(&q, p->unit, err));
    }
out:
    am_arena_free(q.a);
    return rc;
}
