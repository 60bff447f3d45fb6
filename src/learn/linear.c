/* Linear regression: least squares, ridge, lasso and elastic net from the Gram matrix of two
 * streaming passes (so any number of rows fits), or by stochastic training.
 *
 * Penalties as scikit-learn's: ridge |y - Xw|^2 + alpha |w|^2; lasso and elastic net
 * |y - Xw|^2 / (2n) + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2). The intercept is free. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/dense_solve.h"
#include "learn/lbfgs.h"
#include "learn/learn_int.h"
#include "learn/sparse.h"
#include "learn/stream.h"

#define EXACT_MAX_FEATURES 8192 /* a Gram matrix of 512 MiB */

static const struct am_learner_key keys[] = {
    AM_KEY("penalty", AM_LEARNER_KEY_ENUM, "none|l2|l1|elastic_net", 0, 0, "none",
           "none is least squares, l2 ridge, l1 lasso."),
    AM_KEY("alpha", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e12, "1",
           "Strength of the penalty, as scikit-learn's alpha."),
    AM_KEY("l1_ratio", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "0.5",
           "Share of L1 in elastic_net's penalty."),
    AM_KEY("solver", AM_LEARNER_KEY_ENUM, "auto|exact|stochastic", 0, 0, "auto",
           "exact solves the equations in double, stochastic trains with train's settings; auto is "
           "exact up to 8192 features, and always of sparse rows."),
    AM_KEY("max_iterations", AM_LEARNER_KEY_INT, NULL, 1, 1e9, "100000",
           "Most sweeps of coordinate descent (l1, elastic_net)."),
    AM_KEY("tolerance", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "1e-12",
           "Duality gap, relative to the target's sum of squares, at which it stops."),
};

struct problem {
    const struct am_pass *pass;
    size_t f;
    double *mean; /* [f] */
    double y_mean;
    double weight; /* sum of row weights */
    double *gram;  /* [f * f + f + 1]: lower triangle, X^T y, y^T y, centred */
    double *coef;  /* [f + 1] */
    double *sums;  /* [3 + 2 f] */
};

static void pass_moments(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const struct problem *p = ctx;
    (void)scratch;
    p->pass->moments(r, p->mean, p->y_mean, sums);
}

static void pass_gram(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const struct problem *p = ctx;
    p->pass->gram(r, p->mean, p->y_mean, sums, scratch);
}

static enum am_rc sum_up(const struct am_learn_task *t, struct problem *p, size_t n_sums,
                         void (*fn)(void *, const struct am_rows *, double *, double *),
                         double *total, struct am_err *err)
{
    struct am_stream s;
    enum am_rc rc;
    AM_TRY(am_stream_init(&s, t->train, n_sums, am_pass_scratch(p->f, 1), t->pool,
                          t->hooks.progress, err));
    rc = am_stream_sum(&s, fn, p, total, err);
    am_stream_clear(&s);
    return rc;
}

static enum am_rc not_finite(struct am_err *err)
{
    am_fail(err, AM_EINVAL, "features or target hold values that are not finite");
    am_hint(err, "Impute missing values and clean infinite ones first.");
    return AM_EINVAL;
}

static enum am_rc accumulate(const struct am_learn_task *t, struct problem *p, struct am_err *err)
{
    size_t f = p->f;
    AM_TRY(sum_up(t, p, 3 + 2 * f, pass_moments, p->sums, err));
    p->weight = p->sums[0];
    if (!(p->weight > 0))
        return am_fail(err, AM_EINVAL, "the weights of the training rows sum to %g", p->weight);
    for (size_t j = 0; j < f; j++)
        p->mean[j] = p->sums[3 + j] / p->weight;
    p->y_mean = p->sums[1] / p->weight;
    AM_TRY(sum_up(t, p, f * f + f + 1, pass_gram, p->gram, err));
    for (size_t i = 0; i < f; i++)
        if (!isfinite(p->gram[i * f + i]) || !isfinite(p->gram[f * f + i]))
            return not_finite(err);
    return isfinite(p->gram[f * f + f]) ? AM_OK : not_finite(err);
}

/* |y - X w|^2 from the Gram matrix */
static double residual(const struct problem *p)
{
    size_t f = p->f;
    double s = p->gram[f * f + f];
    for (size_t i = 0; i < f; i++) {
        double aw = 0;
        for (size_t j = 0; j < f; j++)
            aw += p->coef[j] * (i >= j ? p->gram[i * f + j] : p->gram[j * f + i]);
        s += p->coef[i] * (aw - 2 * p->gram[f * f + i]);
    }
    return s > 0 ? s : 0;
}

static enum am_rc solve_squares(const struct am_learn_task *t, struct problem *p,
                                struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    size_t f = p->f, rank, bytes;
    double l1_ratio, *copy, ridge = am_key_number(t, &am_learner_linear, "alpha");
    enum am_rc rc;
    if (am_key_penalty(t, &am_learner_linear, &l1_ratio) == AM_PENALTY_NONE)
        ridge = 0;
    bytes = f * f * sizeof *copy;
    copy = am_alloc(bytes);
    if (!copy)
        return am_fail_nomem(err, bytes);
    memcpy(copy, p->gram, bytes);
    for (size_t i = 0; i < f; i++)
        copy[i * f + i] += ridge;
    memcpy(p->coef, p->gram + f * f, f * sizeof *copy);
    rc = am_solve_psd(f, copy, p->coef, &rank, err);
    am_free(copy);
    am_node_set(a, out->info, "rank", am_new_i64(a, (int64_t)rank));
    am_node_set(a, out->info, "converged", am_new_bool(a, true));
    am_node_set(a, out->info, "iterations", am_new_i64(a, 1));
    return rc;
}

static enum am_rc solve_penalized(const struct am_learn_task *t, struct problem *p, double l1_ratio,
                                  struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    size_t f = p->f;
    double alpha = am_key_number(t, &am_learner_linear, "alpha") * p->weight;
    struct am_descent_result r;
    AM_TRY(am_solve_elastic_net(
        f, p->gram, p->gram + f * f, p->gram[f * f + f], alpha * l1_ratio, alpha * (1 - l1_ratio),
        (size_t)am_key_number(t, &am_learner_linear, "max_iterations"),
        am_key_number(t, &am_learner_linear, "tolerance"), p->coef, &r, err));
    am_node_set(a, out->info, "converged", am_new_bool(a, r.converged));
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)r.iterations));
    return AM_OK;
}

static enum am_rc solve(const struct am_learn_task *t, struct problem *p, struct am_learned *out,
                        struct am_arena *a, struct am_err *err)
{
    size_t f = p->f;
    double l1_ratio;
    enum am_penalty penalty = am_key_penalty(t, &am_learner_linear, &l1_ratio);
    if (penalty == AM_PENALTY_NONE || penalty == AM_PENALTY_L2)
        AM_TRY(solve_squares(t, p, out, a, err));
    else
        AM_TRY(solve_penalized(t, p, l1_ratio, out, a, err));
    p->coef[f] = p->y_mean;
    for (size_t j = 0; j < f; j++)
        p->coef[f] -= p->coef[j] * p->mean[j];
    AM_TRY(am_learn_linear_model(t, p->coef, out, err));
    am_learn_info(t, out, a, "linear", "exact");
    am_node_set(a, out->info, "train_mse", am_new_f64(a, residual(p) / p->weight));
    return AM_OK;
}

static enum am_rc fit_exact(const struct am_learn_task *t, struct am_learned *out,
                            struct am_arena *a, struct am_err *err)
{
    size_t f = t->n_features, n = f * f + 6 * f + 8;
    struct problem p = {.pass = am_pass_best(), .f = f};
    double *memory = am_calloc(n, sizeof *memory);
    enum am_rc rc;
    if (!memory)
        return am_fail_nomem(err, n * sizeof *memory);
    p.gram = memory;
    p.mean = memory + f * f + f + 1;
    p.coef = p.mean + f;
    p.sums = p.coef + f + 1;
    am_progress_begin(t->hooks.progress, "train", 0);
    rc = accumulate(t, &p, err);
    if (rc == AM_OK)
        rc = solve(t, &p, out, a, err);
    am_progress_end(t->hooks.progress);
    am_free(memory);
    return rc;
}

/* ---- sparse rows: no Gram matrix, but L-BFGS (OWL-QN with L1) over centred, scaled features ----
 */

#define SPARSE_TOLERANCE 1e-9

struct sparse {
    const struct am_learn_task *task;
    struct am_sparse_sum sum;
    size_t f;
    double weight, y_scale, l1, l2;
    double *mean, *scale, *coef, *sums, *l1_of,
        *v; /* [f], [f], [f + 1], [3 + 2 f], [f + 1] twice */
};

static void sparse_moments(void *ctx, const struct am_sparse_rows_view *r, double *sums)
{
    (void)ctx;
    am_sparse_moments(r, sums);
}

static void sparse_squares(void *ctx, const struct am_sparse_rows_view *r, double *sums)
{
    const struct sparse *p = ctx;
    am_sparse_squares(r, p->coef, sums);
}

static void sparse_unscale(struct sparse *p, const double *v)
{
    double bias = v[p->f] * p->y_scale;
    for (size_t j = 0; j < p->f; j++) {
        p->coef[j] = v[j] * p->y_scale / p->scale[j];
        bias -= p->coef[j] * p->mean[j];
    }
    p->coef[p->f] = bias;
}

/* In units of the target's variance. */
static enum am_rc sparse_eval(void *ctx, const double *v, double *f, double *g, struct am_err *err)
{
    struct sparse *p = ctx;
    const double unit = p->y_scale * p->y_scale;
    double penalty = 0;
    sparse_unscale(p, v);
    AM_TRY(am_sparse_sum_run(&p->sum, sparse_squares, p, p->sums, err));
    const double bias = p->sums[1 + p->f] / p->weight;
    for (size_t j = 0; j < p->f; j++) {
        const double w = p->coef[j];
        penalty += w * w;
        g[j] = (p->sums[1 + j] / p->weight - p->mean[j] * bias + p->l2 * w) * p->y_scale /
               p->scale[j] / unit;
    }
    g[p->f] = bias * p->y_scale / unit;
    *f = (p->sums[0] / p->weight + p->l2 * penalty / 2) / unit;
    return AM_OK;
}

static enum am_rc sparse_moments_of(struct sparse *p, struct am_err *err)
{
    const struct am_learn_task *t = p->task;
    AM_TRY(am_sparse_sum_init(&p->sum, t->train, 3 + 2 * p->f, t->pool, t->hooks.progress, err));
    const enum am_rc rc = am_sparse_sum_run(&p->sum, sparse_moments, p, p->sums, err);
    am_sparse_sum_clear(&p->sum);
    if (rc != AM_OK)
        return rc;
    p->weight = p->sums[0];
    if (!(p->weight > 0))
        return am_fail(err, AM_EINVAL, "the weights of the training rows sum to %g", p->weight);
    const double y = p->sums[1] / p->weight, var = p->sums[2] / p->weight - y * y;
    if (!isfinite(y) || !isfinite(var))
        return not_finite(err);
    p->y_scale = var > 0 ? sqrt(var) : 1;
    p->v[p->f] = y / p->y_scale;
    return AM_OK;
}

static enum am_rc sparse_scales(struct sparse *p, struct am_err *err)
{
    double l1_ratio, alpha = am_key_number(p->task, &am_learner_linear, "alpha");
    const enum am_penalty penalty = am_key_penalty(p->task, &am_learner_linear, &l1_ratio);
    if (penalty == AM_PENALTY_L2)
        p->l2 = alpha / p->weight;
    else if (penalty != AM_PENALTY_NONE)
        p->l1 = alpha * l1_ratio, p->l2 = alpha * (1 - l1_ratio);
    for (size_t j = 0; j < p->f; j++) {
        const double m = p->sums[3 + j] / p->weight,
                     var = p->sums[3 + p->f + j] / p->weight - m * m;
        if (!isfinite(m) || !isfinite(var))
            return not_finite(err);
        p->mean[j] = m;
        p->scale[j] = sqrt((var > 1e-12 * m * m ? var : 0) + p->l2);
        if (!(p->scale[j] > 0))
            p->scale[j] = 1;
        p->l1_of[j] = p->l1 / (p->scale[j] * p->y_scale);
    }
    return AM_OK;
}

static enum am_rc fit_sparse(const struct am_learn_task *t, struct am_learned *out,
                             struct am_arena *a, struct am_err *err)
{
    const size_t f = t->n_features, n = 7 * f + 8;
    struct sparse p = {.task = t, .f = f};
    double *memory = am_calloc(n, sizeof *memory), tolerance = SPARSE_TOLERANCE;
    struct am_lbfgs_result r;
    enum am_rc rc;
    if (!memory)
        return am_fail_nomem(err, n * sizeof *memory);
    p.mean = memory, p.scale = p.mean + f, p.coef = p.scale + f, p.l1_of = p.coef + f + 1;
    p.v = p.l1_of + f + 1, p.sums = p.v + f + 1;
    am_progress_begin(t->hooks.progress, "train", 0);
    AM_GO(rc, sparse_moments_of(&p, err));
    AM_GO(rc, sparse_scales(&p, err));
    AM_GO(rc, am_sparse_sum_init(&p.sum, t->train, 2 + f, t->pool, t->hooks.progress, err));
    if (am_key_given(t, "tolerance"))
        tolerance = am_key_number(t, &am_learner_linear, "tolerance");
    const struct am_lbfgs_problem lp = {
        .n = f + 1, .ctx = &p, .eval = sparse_eval, .l1 = p.l1 > 0 ? p.l1_of : NULL};
    const struct am_lbfgs_options o = {
        (size_t)am_key_number(t, &am_learner_linear, "max_iterations"), tolerance};
    AM_GO(rc, am_lbfgs(&lp, &o, p.v, &r, err));
    sparse_unscale(&p, p.v);
    AM_GO(rc, am_sparse_sum_run(&p.sum, sparse_squares, &p, p.sums, err));
    AM_GO(rc, am_learn_linear_model(t, p.coef, out, err));
    am_learn_info(t, out, a, "linear", "exact");
    am_node_set(a, out->info, "converged", am_new_bool(a, r.converged));
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)r.iterations));
    am_node_set(a, out->info, "train_mse", am_new_f64(a, 2 * p.sums[0] / p.weight));
out:
    am_progress_end(t->hooks.progress);
    am_sparse_sum_clear(&p.sum);
    am_free(memory);
    return rc;
}

static enum am_rc fit_stochastic(const struct am_learn_task *t, struct am_learned *out,
                                 struct am_arena *a, struct am_err *err)
{
    double l1_ratio, alpha = am_key_number(t, &am_learner_linear, "alpha");
    enum am_penalty penalty = am_key_penalty(t, &am_learner_linear, &l1_ratio);
    struct am_network_spec spec = {.init = AM_INIT_ZEROS, .name = "linear"};
    if (penalty == AM_PENALTY_L2) {
        spec.l2 = 2 * alpha / (double)t->train->n_rows;
    } else if (penalty != AM_PENALTY_NONE) {
        spec.l1 = 2 * alpha * l1_ratio;
        spec.l2 = 2 * alpha * (1 - l1_ratio);
    }
    return am_network_fit(t, &spec, out, a, err);
}

static enum am_rc check(const struct am_learn_task *t, struct am_err *err)
{
    AM_TRY(am_check_penalty(t, "alpha", err));
    if (am_str_is(am_key_text(t, &am_learner_linear, "solver"), "exact") && t->train &&
        !t->train->gather_sparse && t->n_features > EXACT_MAX_FEATURES) {
        am_fail(err, AM_EUSAGE, "model.solver exact takes at most %d features, but there are %zu",
                EXACT_MAX_FEATURES, t->n_features);
        am_hint(err, "Use solver: stochastic.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    struct am_str solver = am_key_text(t, &am_learner_linear, "solver");
    out->kind = AM_LEARNED_VALUE;
    if (t->train->gather_sparse && !am_str_is(solver, "stochastic"))
        return fit_sparse(t, out, a, err);
    if (am_str_is(solver, "stochastic") ||
        (am_str_is(solver, "auto") && t->n_features > EXACT_MAX_FEATURES))
        return fit_stochastic(t, out, a, err);
    return fit_exact(t, out, a, err);
}

const struct am_learner_ops am_learner_linear = {
    .name = "linear",
    .doc = "Linear regression: least squares, ridge, lasso, elastic net.",
    .tasks = 1u << AM_TASK_REGRESSION,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check,
    .fit = fit,
    .sparse = true,
};
