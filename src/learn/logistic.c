/* Logistic regression of two or more classes (softmax): L-BFGS, and OWL-QN for L1, in double over
 * streaming passes, or stochastic training.
 *
 * The objective is scikit-learn's: c * sum of weighted log losses + |w|^2 / 2 (l2), |w|_1 (l1) or
 * l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2 (elastic_net); intercepts are free. The search runs over
 * centred and scaled features, which changes neither objective nor answer, only the conditioning.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/lbfgs.h"
#include "learn/learn_int.h"
#include "learn/stream.h"

#define GUESS_STRIDE 16  /* the first guess uses every 16th block */
#define GUESS_BLOCKS 128 /* when there are at least that many */

static const struct am_learner_key keys[] = {
    AM_KEY("penalty", AM_LEARNER_KEY_ENUM, "l2|l1|elastic_net|none", 0, 0, "l2",
           "What is added to the log loss."),
    AM_KEY("c", AM_LEARNER_KEY_NUMBER, NULL, 1e-12, 1e12, "1",
           "Inverse strength of the penalty, as scikit-learn's C."),
    AM_KEY("l1_ratio", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "0.5",
           "Share of L1 in elastic_net's penalty."),
    AM_KEY("solver", AM_LEARNER_KEY_ENUM, "auto|exact|stochastic", 0, 0, "auto",
           "exact minimises in double, stochastic trains with train's settings; auto is exact."),
    AM_KEY("max_iterations", AM_LEARNER_KEY_INT, NULL, 1, 1e9, "2000",
           "Most iterations of the exact solver."),
    AM_KEY("tolerance", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "1e-7",
           "Largest gradient element, per row and scaled, at which the exact solver stops."),
};

struct problem {
    const struct am_learn_task *task;
    const struct am_pass *pass;
    size_t f, k, n; /* features, outputs, variables k (f + 1) */
    double *class_weights;
    double *mean, *scale; /* [f] */
    double bias_scale;
    double weight; /* of all rows */
    double share;  /* of them that the stream sees */
    double l1, l2; /* per weight of all rows */
    double *coef;  /* [k, f + 1] in terms of the raw features */
    double *sums;  /* [1 + n] */
    double *l1_of; /* [n] for OWL-QN */
    struct am_stream stream;
    uint64_t evaluations;
};

static void pass_moments(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const struct problem *p = ctx;
    (void)scratch;
    p->pass->moments(r, p->mean, 0, sums);
}

static void pass_loss(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const struct problem *p = ctx;
    if (p->k == 1)
        p->pass->logistic(r, p->coef, p->class_weights, sums, scratch);
    else
        p->pass->softmax(r, p->k, p->coef, p->class_weights, sums, scratch);
}

/* From the search's variables to coefficients of raw features. */
static void unscale(const struct problem *p, const double *v, double *coef)
{
    for (size_t q = 0; q < p->k; q++, v += p->f + 1, coef += p->f + 1) {
        double bias = v[p->f] / p->bias_scale;
        for (size_t j = 0; j < p->f; j++) {
            coef[j] = v[j] / p->scale[j];
            bias -= coef[j] * p->mean[j];
        }
        coef[p->f] = bias;
    }
}

static enum am_rc eval(void *ctx, const double *v, double *f, double *g, struct am_err *err)
{
    struct problem *p = ctx;
    double total = p->weight * p->share, penalty = 0;
    unscale(p, v, p->coef);
    AM_TRY(am_stream_sum(&p->stream, pass_loss, p, p->sums, err));
    for (size_t q = 0; q < p->k; q++) {
        size_t at = q * (p->f + 1);
        double bias = p->sums[1 + at + p->f] / total;
        for (size_t j = 0; j < p->f; j++) {
            double w = p->coef[at + j];
            penalty += w * w;
            g[at + j] = (p->sums[1 + at + j] / total - p->mean[j] * bias + p->l2 * w) / p->scale[j];
        }
        g[at + p->f] = bias / p->bias_scale;
    }
    *f = p->sums[0] / total + p->l2 * penalty / 2;
    p->evaluations++;
    am_progress_step(p->task->hooks.progress, p->evaluations, 0,
                     p->evaluations * p->task->train->n_rows, *f);
    return AM_OK;
}

/* Means and scales of the features: the curvature of the log loss at equal probabilities. */
static enum am_rc condition(struct problem *p, struct am_err *err)
{
    struct am_stream s;
    const struct am_learn_task *t = p->task;
    double even = p->k == 1 ? 0.25 : (1 - 1.0 / (double)p->k) / (double)p->k;
    double *sums = am_alloc_array(3 + 2 * p->f, sizeof *sums);
    enum am_rc rc;
    if (!sums)
        return am_fail_nomem(err, (3 + 2 * p->f) * sizeof *sums);
    AM_GO(rc, am_stream_init(&s, t->train, 3 + 2 * p->f, 0, t->pool, t->hooks.progress, err));
    rc = am_stream_sum(&s, pass_moments, p, sums, err);
    am_stream_clear(&s);
    if (rc != AM_OK)
        goto out;
    for (size_t j = 0; j < p->f; j++) {
        double m = sums[3 + j] / sums[0], var = sums[3 + p->f + j] / sums[0] - m * m;
        if (!isfinite(m) || !isfinite(var)) {
            rc = am_fail(err, AM_EINVAL, "feature %zu holds values that are not finite", j);
            am_hint(err, "Impute missing values and clean infinite ones first.");
            goto out;
        }
        p->mean[j] = m;
        /* a column that is constant but for rounding gets no say in its scale */
        var = var > 1e-12 * m * m ? var : 0;
        p->scale[j] = sqrt(even * var + p->l2);
        if (!(p->scale[j] > 0))
            p->scale[j] = 1;
    }
    p->bias_scale = sqrt(even);
out:
    am_free(sums);
    return rc;
}

static enum am_rc minimize(struct problem *p, double *v, struct am_lbfgs_result *r,
                           struct am_err *err)
{
    const struct am_learn_task *t = p->task;
    struct am_lbfgs_problem lp = {.n = p->n, .ctx = p, .eval = eval};
    struct am_lbfgs_options o = {
        .max_iterations = (size_t)am_key_number(t, &am_learner_logistic, "max_iterations"),
        .tolerance = am_key_number(t, &am_learner_logistic, "tolerance")};
    if (p->l1 > 0) {
        for (size_t i = 0; i < p->n; i++) {
            size_t j = i % (p->f + 1);
            p->l1_of[i] = j < p->f ? p->l1 / p->scale[j] : 0;
        }
        lp.l1 = p->l1_of;
    }
    p->share = 1;
    if (am_stream_n_blocks(&p->stream) >= GUESS_BLOCKS) {
        struct am_lbfgs_options first = {o.max_iterations, 1e-4};
        uint64_t all = t->train->n_rows, seen;
        p->stream.stride = GUESS_STRIDE;
        seen = (am_stream_n_blocks(&p->stream) - 1) * p->stream.block_rows;
        p->share = (double)seen / (double)all;
        AM_TRY(am_lbfgs(&lp, &first, v, r, err));
        p->stream.stride = 1;
        p->share = 1;
    }
    return am_lbfgs(&lp, &o, v, r, err);
}

static enum am_rc prepare(struct problem *p, double *counts, struct am_err *err)
{
    const struct am_learn_task *t = p->task;
    double l1_ratio, c = am_key_number(t, &am_learner_logistic, "c");
    enum am_penalty penalty = am_key_penalty(t, &am_learner_logistic, &l1_ratio);
    AM_TRY(am_learn_count(t, counts, err));
    AM_TRY(am_learn_class_weights(t, p->class_weights, err));
    for (size_t i = 0; i < t->n_classes; i++)
        p->weight += counts[i] * p->class_weights[i];
    if (!(p->weight > 0))
        return am_fail(err, AM_EINVAL, "the weights of the training rows sum to %g", p->weight);
    if (penalty != AM_PENALTY_NONE) {
        p->l2 = (1 - l1_ratio) / (c * p->weight);
        p->l1 = l1_ratio / (c * p->weight);
    }
    return condition(p, err);
}

static enum am_rc search(struct problem *p, double *v, struct am_learned *out, struct am_arena *a,
                         struct am_err *err)
{
    const struct am_learn_task *t = p->task;
    struct am_lbfgs_result r;
    enum am_rc rc;
    AM_TRY(am_stream_init(&p->stream, t->train, 1 + p->n, am_pass_scratch(p->f, p->k), t->pool,
                          t->hooks.progress, err));
    rc = minimize(p, v, &r, err);
    am_stream_clear(&p->stream);
    if (rc != AM_OK)
        return rc;
    unscale(p, v, p->coef);
    AM_TRY(am_learn_linear_model(t, p->coef, out, err));
    am_learn_info(t, out, a, "logistic", "exact");
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)r.iterations));
    am_node_set(a, out->info, "evaluations", am_new_i64(a, (int64_t)p->evaluations));
    am_node_set(a, out->info, "converged", am_new_bool(a, r.converged));
    am_node_set(a, out->info, "objective", am_new_f64(a, r.objective));
    am_node_set(a, out->info, "gradient", am_new_f64(a, r.gradient));
    return AM_OK;
}

static enum am_rc fit_exact(const struct am_learn_task *t, struct am_learned *out,
                            struct am_arena *a, struct am_err *err)
{
    struct problem p = {.task = t,
                        .pass = am_pass_best(),
                        .f = t->n_features,
                        .k = am_learn_n_outputs(t),
                        .share = 1};
    double *memory, *counts, *v;
    size_t n;
    enum am_rc rc;
    p.n = p.k * (p.f + 1);
    n = 4 * p.n + 1 + 2 * p.f + 2 * t->n_classes;
    memory = am_calloc(n, sizeof *memory);
    if (!memory)
        return am_fail_nomem(err, n * sizeof *memory);
    p.coef = memory, v = p.coef + p.n, p.l1_of = v + p.n, p.sums = p.l1_of + p.n;
    p.mean = p.sums + p.n + 1, p.scale = p.mean + p.f;
    p.class_weights = p.scale + p.f, counts = p.class_weights + t->n_classes;
    am_progress_begin(t->hooks.progress, "train", 0);
    rc = prepare(&p, counts, err);
    if (rc == AM_OK)
        rc = search(&p, v, out, a, err);
    am_progress_end(t->hooks.progress);
    am_free(memory);
    return rc;
}

static enum am_rc fit_stochastic(const struct am_learn_task *t, struct am_learned *out,
                                 struct am_arena *a, struct am_err *err)
{
    double l1_ratio, c = am_key_number(t, &am_learner_logistic, "c");
    enum am_penalty penalty = am_key_penalty(t, &am_learner_logistic, &l1_ratio);
    struct am_network_spec spec = {.init = AM_INIT_ZEROS, .name = "logistic"};
    if (penalty != AM_PENALTY_NONE) {
        spec.l2 = (1 - l1_ratio) / (c * (double)t->train->n_rows);
        spec.l1 = l1_ratio / (c * (double)t->train->n_rows);
    }
    return am_network_fit(t, &spec, out, a, err);
}

static enum am_rc check(const struct am_learn_task *t, struct am_err *err)
{
    return am_check_penalty(t, "c", err);
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    out->kind = AM_LEARNED_PROBABILITY;
    if (am_str_is(am_key_text(t, &am_learner_logistic, "solver"), "stochastic"))
        return fit_stochastic(t, out, a, err);
    return fit_exact(t, out, a, err);
}

const struct am_learner_ops am_learner_logistic = {
    .name = "logistic",
    .doc = "Logistic regression of two or more classes.",
    .tasks = 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check,
    .fit = fit,
};
