/* Weights, votes and models over predictions; see combine.h. */
#include "learn/combine.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "learn/dense_solve.h"
#include "learn/lbfgs.h"

#define ROUNDED 1e6 /* losses of greedy rounds are compared to 6 decimals */

static const float *member(const struct am_predictions *p, size_t m)
{
    return p->pred + m * p->n_rows * p->n_out;
}

static double weight_of(const struct am_predictions *p, size_t i)
{
    return p->w ? (double)p->w[i] : 1.0;
}

static double clipped(double v)
{
    const double low = AM_COMBINE_CLIP;
    return v > low ? (v < 1 - low ? v : 1 - low) : low;
}

/* The probability of the true class, clipped. */
static double p_true(const struct am_predictions *p, const double *q, size_t i)
{
    if (p->task == AM_TASK_BINARY)
        return clipped(p->y[i] > 0.5f ? q[0] : 1 - q[0]);
    const size_t k = (size_t)p->y[i];
    return clipped(k < p->n_out ? q[k] : 0);
}

static double row_loss(const struct am_predictions *p, const double *q, size_t i)
{
    if (p->task != AM_TASK_REGRESSION)
        return -log(p_true(p, q, i));
    const double d = q[0] - (double)p->y[i];
    return d * d;
}

/* Only the column that the loss reads is summed. */
static size_t column_of(const struct am_predictions *p, size_t i)
{
    const size_t k = p->task == AM_TASK_MULTICLASS ? (size_t)p->y[i] : 0;
    return k < p->n_out ? k : 0;
}

void am_combine_losses(const struct am_predictions *p, const float *pred, double *out)
{
    static const float hit = 1;
    for (size_t i = 0; i < p->n_rows; i++) {
        const double q = (double)pred[i * p->n_out + column_of(p, i)];
        const struct am_predictions one = {
            .task = p->task == AM_TASK_REGRESSION ? AM_TASK_REGRESSION : AM_TASK_BINARY,
            .n_out = 1,
            .y = p->task == AM_TASK_MULTICLASS ? &hit : &p->y[i]};
        out[i] = row_loss(&one, &q, 0);
    }
}

double am_combine_loss(const struct am_predictions *p, const float *pred)
{
    double sum = 0, mass = 0;
    for (size_t i = 0; i < p->n_rows; i++) {
        double one;
        const struct am_predictions row = {
            .task = p->task, .n_rows = 1, .n_out = p->n_out, .y = &p->y[i]};
        am_combine_losses(&row, pred + i * p->n_out, &one);
        sum += weight_of(p, i) * one;
        mass += weight_of(p, i);
    }
    return mass > 0 ? sum / mass : 0;
}

/* ---- greedy selection ---- */

/* What the loss reads of each member's prediction: [n_rows] of the true class, or the value. */
static double *read_columns(const struct am_predictions *p)
{
    double *q = am_alloc_array(p->n_members * p->n_rows + 1, sizeof *q);
    for (size_t m = 0; q && m < p->n_members; m++)
        for (size_t i = 0; i < p->n_rows; i++) {
            const double v = (double)member(p, m)[i * p->n_out + column_of(p, i)];
            const bool turn = p->task == AM_TASK_BINARY && !(p->y[i] > 0.5f);
            q[m * p->n_rows + i] = turn ? 1 - v : v;
        }
    return q;
}

/* Loss of (sum + q) / n over what read_columns made. */
static double mean_loss(const struct am_predictions *p, const double *sum, const double *q,
                        double n)
{
    double total = 0, mass = 0;
    for (size_t i = 0; i < p->n_rows; i++) {
        const double v = (sum[i] + q[i]) / n, w = weight_of(p, i);
        const double d = v - (double)p->y[i];
        total += w * (p->task == AM_TASK_REGRESSION ? d * d : -log(clipped(v)));
        mass += w;
    }
    return mass > 0 ? total / mass : 0;
}

struct greedy {
    const struct am_predictions *p;
    const double *q, *penalty;
    double *sum;
    size_t *counts; /* of the rounds so far */
};

/* The member to add in round n, and the loss with it. */
static size_t greedy_round(const struct greedy *g, size_t n, double *loss)
{
    size_t best = 0;
    double best_score = INFINITY;
    for (size_t m = 0; m < g->p->n_members; m++) {
        const double l = mean_loss(g->p, g->sum, g->q + m * g->p->n_rows, (double)n);
        const double cost = g->penalty && !g->counts[m] ? g->penalty[m] : 0;
        const double score = round((l + cost) * ROUNDED) / ROUNDED;
        const bool tie = score == best_score && g->counts[m] && !g->counts[best];
        if (score < best_score || tie) {
            best = m;
            best_score = score;
            *loss = l;
        }
    }
    return best;
}

enum am_rc am_combine_greedy(const struct am_predictions *p, size_t n_rounds, const double *penalty,
                             double *weights, double *loss, struct am_err *err)
{
    double *q = read_columns(p), *sum = am_calloc(p->n_rows + 1, sizeof *sum);
    size_t *counts = am_calloc(p->n_members + 1, sizeof *counts), best_n = 0;
    size_t *order = am_alloc_array(n_rounds + 1, sizeof *order);
    double best = INFINITY, best_rounded = INFINITY, now = INFINITY;
    enum am_rc rc = AM_OK;
    if (!q || !sum || !counts || !order)
        AM_GO(rc, am_fail_nomem(err, p->n_members * p->n_rows * sizeof *q));
    for (size_t n = 1; n <= n_rounds; n++) {
        const struct greedy g = {p, q, penalty, sum, counts};
        const size_t m = greedy_round(&g, n, &now);
        order[n - 1] = m;
        counts[m]++;
        for (size_t i = 0; i < p->n_rows; i++)
            sum[i] += q[m * p->n_rows + i];
        const double rounded = round(now * ROUNDED) / ROUNDED;
        if (rounded < best_rounded) {
            best_rounded = rounded;
            best = now;
            best_n = n;
        }
    }
    for (size_t m = 0; m < p->n_members; m++)
        weights[m] = 0;
    for (size_t n = 0; n < best_n; n++)
        weights[order[n]] += 1.0 / (double)best_n;
    if (best_n == 0)
        rc = am_fail(err, AM_EINVAL, "no combination of the members has a finite loss");
    if (loss)
        *loss = best;
out:
    am_free(q);
    am_free(sum);
    am_free(counts);
    am_free(order);
    return rc;
}

/* ---- non-negative least squares ---- */

struct active { /* the problem of the variables that are free */
    size_t n, n_free;
    const double *g, *h;
    size_t *index; /* [n_free] */
    double *a, *b; /* [n, n], [n] */
    double *x, *s; /* [n] */
    bool *free_;   /* [n] */
};

static enum am_rc solve_free(struct active *t, struct am_err *err)
{
    size_t rank;
    t->n_free = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->free_[i])
            t->index[t->n_free++] = i;
    for (size_t r = 0; r < t->n_free; r++) {
        t->b[r] = t->h[t->index[r]];
        for (size_t c = 0; c <= r; c++)
            t->a[r * t->n_free + c] = t->g[t->index[r] * t->n + t->index[c]];
    }
    AM_TRY(am_solve_psd(t->n_free, t->a, t->b, &rank, err));
    for (size_t i = 0; i < t->n; i++)
        t->s[i] = 0;
    for (size_t r = 0; r < t->n_free; r++)
        t->s[t->index[r]] = t->b[r];
    return AM_OK;
}

/* One variable becomes free; those that turn negative leave again. */
static enum am_rc free_one(struct active *t, size_t j, struct am_err *err)
{
    t->free_[j] = true;
    for (size_t round = 0; round <= t->n; round++) {
        double step = 1;
        bool inside = true;
        AM_TRY(solve_free(t, err));
        for (size_t i = 0; i < t->n; i++)
            if (t->free_[i] && t->s[i] <= 0) {
                const double d = t->x[i] - t->s[i];
                inside = false;
                step = d > 0 && t->x[i] / d < step ? t->x[i] / d : step;
            }
        for (size_t i = 0; i < t->n; i++) {
            t->x[i] = inside ? t->s[i] : t->x[i] + step * (t->s[i] - t->x[i]);
            if (t->free_[i] && t->s[i] <= 0 && t->x[i] <= 1e-14) {
                t->free_[i] = false;
                t->x[i] = 0;
            }
        }
        if (inside)
            break;
    }
    return AM_OK;
}

enum am_rc am_nnls(size_t n, const double *g, const double *h, double *x, struct am_err *err)
{
    struct active t = {.n = n, .g = g, .h = h, .x = x};
    double scale = 0;
    enum am_rc rc = AM_OK;
    t.index = am_alloc_array(n + 1, sizeof *t.index);
    t.a = am_alloc_array(n * n + 1, sizeof *t.a);
    t.b = am_alloc_array(n + 1, sizeof *t.b);
    t.s = am_alloc_array(n + 1, sizeof *t.s);
    t.free_ = am_calloc(n + 1, sizeof *t.free_);
    if (!t.index || !t.a || !t.b || !t.s || !t.free_)
        AM_GO(rc, am_fail_nomem(err, n * n * sizeof *t.a));
    for (size_t i = 0; i < n; i++) {
        x[i] = 0;
        scale = fmax(scale, fabs(h[i]));
    }
    for (size_t round = 0; round < 3 * n; round++) {
        double best = 1e-10 * scale;
        size_t j = n;
        for (size_t i = 0; i < n; i++) {
            double slope = h[i];
            for (size_t k = 0; k < n; k++)
                slope -= g[i * n + k] * x[k];
            if (!t.free_[i] && slope > best) {
                best = slope;
                j = i;
            }
        }
        if (j == n)
            break;
        AM_GO(rc, free_one(&t, j, err));
    }
out:
    am_free(t.index);
    am_free(t.a);
    am_free(t.b);
    am_free(t.s);
    am_free(t.free_);
    return rc;
}

/* Normal equations of the targets (classes: 0 and 1 of each column) by the members. */
static void normal_equations(const struct am_predictions *p, double *g, double *h)
{
    const size_t n = p->n_members;
    memset(g, 0, n * n * sizeof *g);
    memset(h, 0, n * sizeof *h);
    for (size_t i = 0; i < p->n_rows; i++)
        for (size_t c = 0; c < p->n_out; c++) {
            const double w = weight_of(p, i);
            const double y =
                p->task == AM_TASK_MULTICLASS ? (double)((size_t)p->y[i] == c) : (double)p->y[i];
            for (size_t a = 0; a < n; a++) {
                const double va = w * (double)member(p, a)[i * p->n_out + c];
                h[a] += va * y;
                for (size_t b = 0; b <= a; b++)
                    g[a * n + b] += va * (double)member(p, b)[i * p->n_out + c];
            }
        }
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++)
            g[a * n + b] = g[b * n + a];
}

static void to_sum_one(double *w, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += w[i];
    for (size_t i = 0; i < n; i++)
        w[i] = sum > 0 ? w[i] / sum : 1.0 / (double)n;
}

static enum am_rc fit_nnls(const struct am_predictions *p, bool sum_one, double *weights,
                           struct am_err *err)
{
    const size_t n = p->n_members;
    double *g = am_alloc_array(n * n + n, sizeof *g), trace = 0;
    if (!g)
        return am_fail_nomem(err, n * n * sizeof *g);
    normal_equations(p, g, g + n * n);
    for (size_t i = 0; i < n; i++)
        trace += g[i * n + i];
    /* a heavy row of ones that must give 1 */
    for (size_t i = 0; sum_one && i < n; i++) {
        g[n * n + i] += 1e4 * trace;
        for (size_t k = 0; k < n; k++)
            g[i * n + k] += 1e4 * trace;
    }
    const enum am_rc rc = am_nnls(n, g, g + n * n, weights, err);
    am_free(g);
    if (rc == AM_OK && sum_one)
        to_sum_one(weights, n);
    return rc;
}

/* ---- weights of a mixture ---- */

#define EM_ROUNDS 2000

static void em_round(const struct am_predictions *p, const double *q, const double *weights,
                     double *next)
{
    double mass = 0;
    memset(next, 0, p->n_members * sizeof *next);
    for (size_t i = 0; i < p->n_rows; i++) {
        double sum = 0;
        const double w = weight_of(p, i);
        for (size_t m = 0; m < p->n_members; m++)
            sum += weights[m] * clipped(q[m * p->n_rows + i]);
        for (size_t m = 0; m < p->n_members; m++)
            next[m] += w * weights[m] * clipped(q[m * p->n_rows + i]) / sum;
        mass += w;
    }
    for (size_t m = 0; m < p->n_members; m++)
        next[m] = mass > 0 ? next[m] / mass : 1.0 / (double)p->n_members;
}

enum am_rc am_combine_weights(const struct am_predictions *p, double *weights, struct am_err *err)
{
    if (p->task == AM_TASK_REGRESSION)
        return fit_nnls(p, true, weights, err);
    double *q = read_columns(p), *next = am_alloc_array(p->n_members + 1, sizeof *next);
    enum am_rc rc = AM_OK;
    if (!q || !next)
        AM_GO(rc, am_fail_nomem(err, p->n_members * p->n_rows * sizeof *q));
    for (size_t m = 0; m < p->n_members; m++)
        weights[m] = 1.0 / (double)p->n_members;
    for (size_t round = 0; round < EM_ROUNDS; round++) {
        double moved = 0;
        em_round(p, q, weights, next);
        for (size_t m = 0; m < p->n_members; m++) {
            moved = fmax(moved, fabs(next[m] - weights[m]));
            weights[m] = next[m];
        }
        if (moved < 1e-7)
            break;
    }
    for (size_t m = 0; m < p->n_members; m++)
        weights[m] = weights[m] < 1e-4 ? 0 : weights[m]; /* nobody serves a model for that */
    to_sum_one(weights, p->n_members);
out:
    am_free(q);
    am_free(next);
    return rc;
}

/* ---- a model over predictions ---- */

static double logit(double v)
{
    const double c = clipped(v);
    return log(c) - log(1 - c);
}

/* z [n_members] of a row: logits, or log p of class c. */
static double z_of(const struct am_predictions *p, size_t m, size_t i, size_t c)
{
    const double v = (double)member(p, m)[i * p->n_out + c];
    return p->task == AM_TASK_BINARY ? logit(v) : log(clipped(v));
}

struct meta {
    const struct am_predictions *p;
    const double *z; /* [n_rows, n_out, n_members] */
    double c;
};

static enum am_rc binary_eval(void *ctx, const double *x, double *f, double *g, struct am_err *err)
{
    const struct meta *t = ctx;
    const size_t n = t->p->n_members;
    (void)err;
    *f = 0;
    memset(g, 0, (n + 1) * sizeof *g);
    for (size_t i = 0; i < t->p->n_rows; i++) {
        const double *z = t->z + i * n, w = t->c * weight_of(t->p, i);
        double s = x[n];
        for (size_t m = 0; m < n; m++)
            s += x[m] * z[m];
        const double y = (double)t->p->y[i], e = exp(-fabs(s));
        *f += w * (log1p(e) + (s > 0 ? s : 0) - y * s);
        const double d = w * ((s > 0 ? 1 / (1 + e) : e / (1 + e)) - y);
        for (size_t m = 0; m < n; m++)
            g[m] += d * z[m];
        g[n] += d;
    }
    for (size_t m = 0; m < n; m++) {
        *f += 0.5 * x[m] * x[m];
        g[m] += x[m];
    }
    return AM_OK;
}

/* x = a factor a member, then a bias a class. */
static enum am_rc pool_eval(void *ctx, const double *x, double *f, double *g, struct am_err *err)
{
    const struct meta *t = ctx;
    const size_t n = t->p->n_members, c = t->p->n_out;
    double *s = am_alloc_array(c + 1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, c * sizeof *s);
    *f = 0;
    memset(g, 0, (n + c) * sizeof *g);
    for (size_t i = 0; i < t->p->n_rows; i++) {
        const double w = t->c * weight_of(t->p, i);
        const size_t y = column_of(t->p, i);
        double top = -INFINITY, sum = 0;
        for (size_t k = 0; k < c; k++) {
            const double *z = t->z + (i * c + k) * n;
            s[k] = x[n + k];
            for (size_t m = 0; m < n; m++)
                s[k] += x[m] * z[m];
            top = fmax(top, s[k]);
        }
        for (size_t k = 0; k < c; k++)
            sum += exp(s[k] - top);
        /* cppcheck-suppress invalidFunctionArg ; the largest adds 1 */
        *f += w * (log(sum) + top - s[y]);
        for (size_t k = 0; k < c; k++) {
            const double *z = t->z + (i * c + k) * n;
            const double d = w * (exp(s[k] - top) / sum - (double)(k == y));
            for (size_t m = 0; m < n; m++)
                g[m] += d * z[m];
            g[n + k] += d;
        }
    }
    for (size_t m = 0; m < n; m++) {
        *f += 0.5 * x[m] * x[m];
        g[m] += x[m];
    }
    am_free(s);
    return AM_OK;
}

static void spread(const struct am_predictions *p, const double *x, double *coef)
{
    const size_t n = p->n_members, c = p->n_out, width = n * c + 1;
    memset(coef, 0, c * width * sizeof *coef);
    for (size_t k = 0; k < c; k++) {
        for (size_t m = 0; m < n; m++)
            coef[k * width + m * c + k] = x[m];
        coef[k * width + n * c] = p->task == AM_TASK_BINARY ? x[n] : x[n + k];
    }
}

static enum am_rc fit_logistic(const struct am_predictions *p, double c, double *coef,
                               struct am_err *err)
{
    const size_t n = p->n_members, k = p->n_out;
    const bool two = p->task == AM_TASK_BINARY;
    double *z = am_alloc_array(p->n_rows * k * n + 1, sizeof *z);
    double *x = am_calloc(n + k + 1, sizeof *x);
    struct am_lbfgs_result result;
    enum am_rc rc = AM_OK;
    if (!z || !x)
        AM_GO(rc, am_fail_nomem(err, p->n_rows * k * n * sizeof *z));
    for (size_t i = 0; i < p->n_rows; i++)
        for (size_t j = 0; j < k; j++)
            for (size_t m = 0; m < n; m++)
                z[(i * k + j) * n + m] = z_of(p, m, i, j);
    for (size_t m = 0; m < n; m++)
        x[m] = 1.0 / (double)n;
    struct meta t = {p, z, c};
    const struct am_lbfgs_problem problem = {
        .n = n + k, .ctx = &t, .eval = two ? binary_eval : pool_eval};
    const struct am_lbfgs_options o = {.max_iterations = 500, .tolerance = 1e-6 * c};
    AM_GO(rc, am_lbfgs(&problem, &o, x, &result, err));
    spread(p, x, coef);
out:
    am_free(z);
    am_free(x);
    return rc;
}

/* Means of the members and the target, and the target's deviation. */
static double centre(const struct am_predictions *p, double *means)
{
    const size_t n = p->n_members;
    double mass = 0, square = 0;
    memset(means, 0, (n + 1) * sizeof *means);
    for (size_t i = 0; i < p->n_rows; i++) {
        const double w = weight_of(p, i);
        mass += w;
        for (size_t m = 0; m < n; m++)
            means[m] += w * (double)member(p, m)[i];
        means[n] += w * (double)p->y[i];
    }
    for (size_t m = 0; m <= n && mass > 0; m++)
        means[m] /= mass;
    for (size_t i = 0; i < p->n_rows; i++)
        square += weight_of(p, i) * ((double)p->y[i] - means[n]) * ((double)p->y[i] - means[n]);
    return mass > 0 ? square / mass : 0;
}

static enum am_rc fit_ridge(const struct am_predictions *p, double alpha, double *coef,
                            struct am_err *err)
{
    const size_t n = p->n_members;
    double *g = am_calloc(n * n + 2 * n + 1, sizeof *g);
    size_t rank;
    if (!g)
        return am_fail_nomem(err, n * n * sizeof *g);
    double *h = g + n * n, *means = h + n;
    const double variance = centre(p, means);
    for (size_t i = 0; i < p->n_rows; i++) {
        const double w = weight_of(p, i), y = (double)p->y[i] - means[n];
        for (size_t a = 0; a < n; a++) {
            const double va = w * ((double)member(p, a)[i] - means[a]);
            h[a] += va * y;
            for (size_t b = 0; b <= a; b++)
                g[a * n + b] += va * ((double)member(p, b)[i] - means[b]);
        }
    }
    for (size_t a = 0; a < n; a++)
        g[a * n + a] += alpha * variance;
    const enum am_rc rc = am_solve_psd(n, g, h, &rank, err);
    coef[n] = means[n];
    for (size_t m = 0; rc == AM_OK && m < n; m++) {
        coef[m] = h[m];
        coef[n] -= h[m] * means[m];
    }
    am_free(g);
    return rc;
}

enum am_rc am_combine_meta(const struct am_predictions *p, enum am_meta meta, double strength,
                           double *coef, struct am_err *err)
{
    if (meta == AM_META_LOGISTIC)
        return fit_logistic(p, strength, coef, err);
    if (meta == AM_META_RIDGE)
        return fit_ridge(p, strength, coef, err);
    double *x = am_calloc(p->n_members + p->n_out + 1, sizeof *x);
    if (!x)
        return am_fail_nomem(err, p->n_members * sizeof *x);
    const enum am_rc rc = fit_nnls(p, false, x, err);
    if (rc == AM_OK && p->task != AM_TASK_REGRESSION)
        to_sum_one(x, p->n_members);
    if (rc == AM_OK)
        spread(p, x, coef);
    am_free(x);
    return rc;
}

/* ---- applying ---- */

void am_combine_mean(const struct am_predictions *p, const double *weights, float *out)
{
    const size_t n = p->n_rows * p->n_out;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t m = 0; m < p->n_members; m++)
            sum += weights[m] * (double)member(p, m)[i];
        out[i] = (float)sum;
    }
}

void am_combine_vote(const struct am_predictions *p, const double *weights, float *out)
{
    for (size_t i = 0; i < p->n_rows; i++) {
        float *y = out + i * p->n_out;
        memset(y, 0, p->n_out * sizeof *y);
        for (size_t m = 0; m < p->n_members; m++) {
            const float *q = member(p, m) + i * p->n_out;
            size_t best = 0;
            if (p->n_out == 1) {
                y[0] += q[0] >= 0.5f ? (float)weights[m] : 0;
                continue;
            }
            for (size_t c = 1; c < p->n_out; c++)
                best = q[c] > q[best] ? c : best;
            y[best] += (float)weights[m];
        }
    }
}

static void meta_row(const struct am_predictions *p, enum am_meta meta, const double *coef,
                     size_t i, float *y)
{
    const size_t c = p->n_out, width = p->n_members * c + 1;
    double top = -INFINITY, sum = 0;
    for (size_t k = 0; k < c; k++) {
        double s = coef[k * width + width - 1];
        for (size_t m = 0; m < p->n_members; m++)
            for (size_t j = 0; j < c; j++) {
                const double a = coef[k * width + m * c + j];
                if (a == 0)
                    continue;
                s += a * (meta == AM_META_LOGISTIC ? z_of(p, m, i, j)
                                                   : (double)member(p, m)[i * c + j]);
            }
        y[k] = (float)s;
        top = fmax(top, s);
    }
    if (meta != AM_META_LOGISTIC)
        return;
    if (p->task == AM_TASK_BINARY) {
        y[0] = (float)(1 / (1 + exp(-(double)y[0])));
        return;
    }
    for (size_t k = 0; k < c; k++)
        sum += exp((double)y[k] - top);
    for (size_t k = 0; k < c; k++)
        y[k] = (float)(exp((double)y[k] - top) / sum);
}

void am_combine_apply_meta(const struct am_predictions *p, enum am_meta meta, const double *coef,
                           float *out)
{
    for (size_t i = 0; i < p->n_rows; i++)
        meta_row(p, meta, coef, i, out + i * p->n_out);
}
