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
#include "learn/sparse.h"
#include "learn/stream.h"

#define GUESS_STRIDE 16    /* the first guess uses every 16th block */
#define GUESS_BLOCKS 64    /* when there are at least that many */
#define CURVATURE_BLOCKS 8 /* the curvature is taken from about as many */
#define CURVATURE_MAX 512  /* up to that many features */
#define SPARSE_TOLERANCE 1e-7

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
    AM_KEY("tolerance", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "1e-9",
           "Largest gradient element, per row and scaled, at which the exact solver stops; 1e-7 "
           "where it is not given and rows are sparse."),
};

struct problem {
    const struct am_learn_task *task;
    const struct am_pass *pass;
    size_t f, k, n; /* features, outputs, variables k (f + 1) */
    double *class_weights;
    double *mean, *scale; /* [f] */
    double bias_scale;
    double weight;  /* of all rows */
    double share;   /* of them that the stream sees */
    double l1, l2;  /* per weight of all rows */
    double *coef;   /* [k, f + 1] in terms of the raw features */
    double *sums;   /* [1 + n] */
    double *l1_of;  /* [n] for OWL-QN */
    double *whiten; /* [k, f + 1, f + 1] lower Cholesky factors, or NULL */
    double *white;  /* [n]: the search's variables before scaling */
    size_t class_;  /* whose curvature is summed */
    struct am_stream stream;
    struct am_sparse_sum sparse; /* instead of stream; data NULL = the rows are dense */
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

static void sparse_loss(void *ctx, const struct am_sparse_rows_view *r, double *sums)
{
    const struct problem *p = ctx;
    if (p->k == 1)
        am_sparse_logistic(r, p->coef, p->class_weights, sums);
    else
        am_sparse_softmax(r, p->k, p->coef, p->class_weights, sums);
}

static void sparse_moments(void *ctx, const struct am_sparse_rows_view *r, double *sums)
{
    (void)ctx;
    am_sparse_moments(r, sums);
}

/* v = L^-T u, class by class */
static void from_white(const struct problem *p, const double *u, double *v)
{
    size_t m = p->f + 1;
    for (size_t q = 0; q < p->k; q++) {
        const double *l = p->whiten + q * m * m;
        for (size_t i = m; i-- > 0;) {
            double s = u[q * m + i];
            for (size_t j = i + 1; j < m; j++)
                s -= l[j * m + i] * v[q * m + j];
            v[q * m + i] = s / l[i * m + i];
        }
    }
}

/* g_u = L^-1 g_v in place */
static void gradient_to_white(const struct problem *p, double *g)
{
    size_t m = p->f + 1;
    for (size_t q = 0; q < p->k; q++) {
        const double *l = p->whiten + q * m * m;
        for (size_t i = 0; i < m; i++) {
            double s = g[q * m + i];
            for (size_t j = 0; j < i; j++)
                s -= l[i * m + j] * g[q * m + j];
            g[q * m + i] = s / l[i * m + i];
        }
    }
}

/* u = L^T v in place */
static void to_white(const struct problem *p, double *v)
{
    size_t m = p->f + 1;
    for (size_t q = 0; q < p->k; q++) {
        const double *l = p->whiten + q * m * m;
        for (size_t i = 0; i < m; i++) {
            double s = 0;
            for (size_t j = i; j < m; j++)
                s += l[j * m + i] * v[q * m + j];
            v[q * m + i] = s;
        }
    }
}

/* From scaled variables to coefficients of raw features. */
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
    if (p->whiten) {
        from_white(p, v, p->white);
        v = p->white;
    }
    unscale(p, v, p->coef);
    if (p->sparse.data)
        AM_TRY(am_sparse_sum_run(&p->sparse, sparse_loss, p, p->sums, err));
    else
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
    if (p->whiten)
        gradient_to_white(p, g);
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
    if (t->train->gather_sparse) {
        struct am_sparse_sum q;
        AM_GO(rc, am_sparse_sum_init(&q, t->train, 3 + 2 * p->f, t->pool, t->hooks.progress, err));
        rc = am_sparse_sum_run(&q, sparse_moments, p, sums, err);
        am_sparse_sum_clear(&q);
    } else {
        AM_GO(rc, am_stream_init(&s, t->train, 3 + 2 * p->f, 0, t->pool, t->hooks.progress, err));
        rc = am_stream_sum(&s, pass_moments, p, sums, err);
        am_stream_clear(&s);
    }
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

/* sum of w p (1 - p) (x, 1)(x, 1)^T for one class: gram with those weights and a target of 1 */
static void pass_curvature(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const struct problem *p = ctx;
    float weight[64], one[64];
    for (size_t r0 = 0; r0 < r->n; r0 += 64) {
        struct am_rows part = {.x = r->x + r0 * r->f, .y = one, .w = weight, .f = r->f};
        part.n = r->n - r0 < 64 ? r->n - r0 : 64;
        for (size_t i = 0; i < part.n; i++) {
            const float *x = part.x + i * r->f;
            double best = -INFINITY, sum = 0, own = 0, w = r->w ? (double)r->w[r0 + i] : 1;
            for (size_t q = 0; q < p->k; q++) {
                const double *c = p->coef + q * (p->f + 1);
                double z = c[p->f];
                for (size_t j = 0; j < p->f; j++)
                    z += c[j] * (double)x[j];
                if (p->k == 1) { /* the other class has 0 */
                    own = z, best = z > 0 ? z : 0, sum = exp(z - best) + exp(-best);
                } else {
                    sum = z > best ? sum * exp(best - z) + 1 : sum + exp(z - best);
                    best = z > best ? z : best;
                    own = q == p->class_ ? z : own;
                }
            }
            own = exp(own - best) / sum;
            weight[i] = (float)(w * p->class_weights[(size_t)r->y[r0 + i]] * own * (1 - own));
            one[i] = 1;
        }
        p->pass->gram(&part, p->mean, 0, sums, scratch);
    }
}

/* H of one class in scaled variables from the sums of pass_curvature, then its factor; false when
 * it is not positive definite */
static bool factor(const struct problem *p, const double *sums, double *l)
{
    size_t f = p->f, m = f + 1;
    double total = p->weight * p->share;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j <= i; j++) {
            double s = i < f ? sums[i * f + j] : j < f ? sums[f * f + j] : sums[f * f + f];
            double si = i < f ? p->scale[i] : p->bias_scale;
            double sj = j < f ? p->scale[j] : p->bias_scale;
            l[i * m + j] = s / total / (si * sj);
            if (i == j)
                l[i * m + j] += (i < f ? p->l2 / (si * si) : 0) + 1e-10;
        }
    for (size_t j = 0; j < m; j++) {
        double d = l[j * m + j];
        for (size_t c = 0; c < j; c++)
            d -= l[j * m + c] * l[j * m + c];
        if (!(d > 1e-13))
            return false;
        l[j * m + j] = d = sqrt(d);
        for (size_t i = j + 1; i < m; i++) {
            double s = l[i * m + j];
            for (size_t c = 0; c < j; c++)
                s -= l[i * m + c] * l[j * m + c];
            l[i * m + j] = s / d;
        }
    }
    return true;
}

static void see_share(struct problem *p, uint64_t stride)
{
    uint64_t all = p->task->train->n_rows, seen;
    p->stream.stride = stride;
    seen = am_stream_n_blocks(&p->stream) * p->stream.block_rows;
    p->share = stride == 1 || seen > all ? 1 : (double)seen / (double)all;
}

/* The metric at v (scaled variables), from some blocks; v becomes u. */
static enum am_rc whiten(struct problem *p, double *memory, double *v, struct am_err *err)
{
    size_t m = p->f + 1, n_sums = p->f * p->f + m;
    struct am_stream s;
    double *sums = am_alloc_array(n_sums, sizeof *sums);
    enum am_rc rc = AM_OK;
    bool good = true;
    if (!sums)
        return am_fail_nomem(err, n_sums * sizeof *sums);
    AM_GO(rc, am_stream_init(&s, p->task->train, n_sums, am_pass_scratch(p->f, 1), p->task->pool,
                             p->task->hooks.progress, err));
    s.stride = am_stream_n_blocks(&s) / CURVATURE_BLOCKS;
    s.stride = s.stride ? s.stride : 1;
    see_share(p, s.stride);
    unscale(p, v, p->coef);
    for (p->class_ = 0; p->class_ < p->k && good && rc == AM_OK; p->class_++) {
        rc = am_stream_sum(&s, pass_curvature, p, sums, err);
        good = rc == AM_OK && factor(p, sums, memory + p->class_ * m * m);
    }
    am_stream_clear(&s);
    see_share(p, 1);
    if (rc == AM_OK && good) {
        p->whiten = memory;
        to_white(p, v);
    }
out:
    am_free(sums);
    return rc;
}

/* Close to the answer in scaled variables, on some blocks when there are many; then in the metric
 * of the curvature there, on all of them. */
static enum am_rc minimize_smooth(struct problem *p, const struct am_lbfgs_problem *lp,
                                  const struct am_lbfgs_options *o, double *v,
                                  struct am_lbfgs_result *r, struct am_err *err)
{
    struct am_lbfgs_options first = {o->max_iterations, 1e-3};
    size_t m = p->f + 1;
    double *memory = am_alloc_array(p->k * m * m + p->n, sizeof *memory);
    enum am_rc rc;
    if (!memory)
        return am_fail_nomem(err, (p->k * m * m + p->n) * sizeof *memory);
    p->white = memory + p->k * m * m;
    if (am_stream_n_blocks(&p->stream) >= GUESS_BLOCKS)
        see_share(p, GUESS_STRIDE);
    AM_GO(rc, am_lbfgs(lp, &first, v, r, err));
    see_share(p, 1);
    AM_GO(rc, whiten(p, memory, v, err));
    AM_GO(rc, am_lbfgs(lp, o, v, r, err));
    if (p->whiten) {
        from_white(p, v, p->white);
        memcpy(v, p->white, p->n * sizeof *v);
    }
out:
    p->whiten = NULL;
    am_free(memory);
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
    if (p->sparse.data) {
        if (!am_key_given(t, "tolerance"))
            o.tolerance = SPARSE_TOLERANCE;
        return am_lbfgs(&lp, &o, v, r, err);
    }
    if (p->l1 <= 0 && p->f <= CURVATURE_MAX && p->k * p->f <= (size_t)8 * CURVATURE_MAX) {
        return minimize_smooth(p, &lp, &o, v, r, err);
    }
    if (am_stream_n_blocks(&p->stream) >= GUESS_BLOCKS) {
        struct am_lbfgs_options first = {o.max_iterations, 1e-4};
        see_share(p, GUESS_STRIDE);
        AM_TRY(am_lbfgs(&lp, &first, v, r, err));
    }
    see_share(p, 1);
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

/* What does not change any probability is settled: intercepts sum to 0 over the classes, and so
 * does every coefficient where no penalty settles it. */
static void centre_classes(struct problem *p)
{
    size_t m = p->f + 1;
    for (size_t j = p->l1 > 0 || p->l2 > 0 ? p->f : 0; p->k > 1 && j < m; j++) {
        double mean = 0;
        for (size_t q = 0; q < p->k; q++)
            mean += p->coef[q * m + j] / (double)p->k;
        for (size_t q = 0; q < p->k; q++)
            p->coef[q * m + j] -= mean;
    }
}

static enum am_rc search(struct problem *p, double *v, struct am_learned *out, struct am_arena *a,
                         struct am_err *err)
{
    const struct am_learn_task *t = p->task;
    struct am_lbfgs_result r;
    enum am_rc rc;
    if (t->train->gather_sparse)
        AM_TRY(am_sparse_sum_init(&p->sparse, t->train, 1 + p->n + p->k, t->pool, t->hooks.progress,
                                  err));
    else
        AM_TRY(am_stream_init(&p->stream, t->train, 1 + p->n, am_pass_scratch(p->f, p->k), t->pool,
                              t->hooks.progress, err));
    rc = minimize(p, v, &r, err);
    if (p->sparse.data)
        am_sparse_sum_clear(&p->sparse);
    else
        am_stream_clear(&p->stream);
    if (rc != AM_OK)
        return rc;
    unscale(p, v, p->coef);
    centre_classes(p);
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
    n = 4 * p.n + 1 + p.k + 2 * p.f + 2 * t->n_classes;
    memory = am_calloc(n, sizeof *memory);
    if (!memory)
        return am_fail_nomem(err, n * sizeof *memory);
    p.coef = memory, v = p.coef + p.n, p.l1_of = v + p.n, p.sums = p.l1_of + p.n;
    p.mean = p.sums + p.n + 1 + p.k, p.scale = p.mean + p.f;
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
    .sparse = true,
};
