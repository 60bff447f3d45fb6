/* Linear discriminant analysis: classes of one common covariance. Streaming passes sum moments in
 * double; the model is one linear layer with the task's activation.
 *
 * As scikit-learn's LinearDiscriminantAnalysis: solver svd is the within-class scatter over n - C,
 * in units of the features' own deviations, least norm where it is singular; lsqr the average of
 * the classes' covariances by prior, shrunk by a number or by Ledoit and Wolf's formula (2004).
 * Weights of rows and classes count as that many rows. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/dense_solve.h"
#include "learn/gathered.h"
#include "learn/stream.h"

#define BLOCK_ROWS 4096   /* most rows of a stream's block: their weights */
#define MAX_FEATURES 8192 /* a covariance of 512 MiB */

static const struct am_learner_key keys[] = {
    AM_KEY("solver", AM_LEARNER_KEY_ENUM, "svd|lsqr", 0, 0, "svd",
           "svd takes the scatter within classes as it is, lsqr can shrink it."),
    AM_KEY("shrinkage", AM_LEARNER_KEY_ENUM | AM_LEARNER_KEY_NUMBER, "auto|none", 0, 1, "none",
           "Of lsqr: a share of the way to a multiple of the identity; auto by Ledoit and Wolf."),
    AM_KEY("priors", AM_LEARNER_KEY_ENUM, "data|uniform", 0, 0, "data",
           "How frequent classes are: as among the training rows, or all alike."),
};

struct problem {
    const struct am_learn_task *task;
    const struct am_pass *pass;
    size_t f, c;
    const double *class_weights; /* [c] */
    size_t only;                 /* the class whose rows count; SIZE_MAX = all */
    double *memory;              /* owned */
    double *counts;              /* [c, f + 1]: sums of x, then the weight */
    double *mean;                /* [c, f] */
    double *all;                 /* [f] mean by prior */
    double *prior;               /* [c] */
    double *deviation;           /* [f] of the classes */
    double *cov;                 /* [f, f] lower triangle */
    double *gram;                /* [f * f + f + 1] of one pass; then the solver's copy */
    double *coef;                /* [c, f + 1] */
    double *extra;               /* [2 + f] */
};

static void sum_rows(void *ctx, const struct am_rows *r, double *out, double *scratch)
{
    const struct problem *p = ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = (size_t)r->y[i];
        const double w = (r->w ? (double)r->w[i] : 1) * p->class_weights[k];
        double *to = out + k * (p->f + 1);
        to[p->f] += w;
        for (size_t j = 0; j < p->f; j++)
            to[j] += w * (double)r->x[i * r->f + j];
    }
}

/* Rows of the class that counts, about its mean: weights of all others are 0. */
static void gram_rows(void *ctx, const struct am_rows *r, double *out, double *scratch)
{
    const struct problem *p = ctx;
    float *w = (float *)(void *)(scratch + am_pass_scratch(p->f, 1));
    struct am_rows rows = *r;
    for (size_t i = 0; i < r->n; i++)
        w[i] = (size_t)r->y[i] == p->only
                   ? (float)((r->w ? (double)r->w[i] : 1) * p->class_weights[p->only])
                   : 0.0f;
    rows.w = w;
    p->pass->gram(&rows, p->mean + p->only * p->f, 0, out, scratch);
}

/* sum of w (sum over features of ((x - mean) / deviation)^2)^2 of the class that counts: what
 * Ledoit and Wolf's formula asks besides the covariance */
static void fourth_rows(void *ctx, const struct am_rows *r, double *out, double *scratch)
{
    const struct problem *p = ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = (size_t)r->y[i];
        const double w = (r->w ? (double)r->w[i] : 1) * p->class_weights[k];
        double square = 0;
        if (k != p->only)
            continue;
        for (size_t j = 0; j < p->f; j++) {
            const double d = ((double)r->x[i * r->f + j] - p->mean[k * p->f + j]) / p->extra[j];
            square += d * d;
        }
        out[0] += w * square * square;
    }
}

static enum am_rc total(struct problem *p, size_t n, size_t n_scratch,
                        void (*fn)(void *, const struct am_rows *, double *, double *), double *out,
                        struct am_err *err)
{
    struct am_stream s;
    AM_TRY(am_stream_init(&s, p->task->train, n, n_scratch, p->task->pool, p->task->hooks.progress,
                          err));
    enum am_rc rc = am_stream_sum(&s, fn, p, out, err);
    am_stream_clear(&s);
    return rc;
}

static enum am_rc means(struct problem *p, struct am_err *err)
{
    const bool uniform = am_str_is(am_key_text(p->task, &am_learner_lda, "priors"), "uniform");
    double weight = 0;
    AM_TRY(total(p, p->c * (p->f + 1), 0, sum_rows, p->counts, err));
    for (size_t k = 0; k < p->c; k++)
        weight += p->counts[k * (p->f + 1) + p->f];
    for (size_t k = 0; k < p->c; k++) {
        const double *c = p->counts + k * (p->f + 1);
        p->prior[k] = uniform ? 1 / (double)p->c : c[p->f] / weight;
        for (size_t j = 0; j < p->f; j++) {
            p->mean[k * p->f + j] = c[j] / c[p->f];
            p->all[j] += p->prior[k] * p->mean[k * p->f + j];
            if (!isfinite(c[j])) {
                am_fail(err, AM_EINVAL, "features hold values that are not finite");
                am_hint(err, "Impute missing values and clean infinite ones first.");
                return AM_EINVAL;
            }
        }
    }
    return AM_OK;
}

static enum am_rc class_gram(struct problem *p, size_t k, struct am_err *err)
{
    p->only = k;
    return total(p, p->f * p->f + p->f + 1, am_pass_scratch(p->f, 1) + BLOCK_ROWS / 2, gram_rows,
                 p->gram, err);
}

/* Ledoit and Wolf's share for the class whose sums of squares lie in gram, in units of its own
 * deviations (extra [f]). */
static enum am_rc ledoit_wolf(struct problem *p, double n, double *share, struct am_err *err)
{
    const size_t f = p->f;
    double trace = 0, squares = 0, fourth;
    AM_TRY(total(p, 1, 0, fourth_rows, &fourth, err));
    for (size_t i = 0; i < f; i++) {
        trace += p->gram[i * f + i] / (n * p->extra[i] * p->extra[i]);
        for (size_t j = 0; j <= i; j++) {
            const double v = p->gram[i * f + j] / (n * p->extra[i] * p->extra[j]);
            squares += v * v * (i == j ? 1 : 2);
        }
    }
    const double mu = trace / (double)f;
    double delta = (squares - 2 * mu * trace + (double)f * mu * mu) / (double)f;
    const double beta = fmin((fourth / n - squares) / ((double)f * n), delta);
    *share = beta == 0 || f == 1 ? 0 : beta / delta;
    return AM_OK;
}

/* Adds prior * shrunk covariance of class k to cov. */
static enum am_rc add_shrunk(struct problem *p, size_t k, struct am_err *err)
{
    const size_t f = p->f;
    const double n = p->counts[k * (f + 1) + f];
    const struct am_node *given = am_node_get(p->task->model, "shrinkage");
    const bool automatic = am_str_is(am_key_text(p->task, &am_learner_lda, "shrinkage"), "auto");
    double share = 0, trace = 0;
    for (size_t j = 0; j < f; j++) {
        const double v = p->gram[j * f + j] / n;
        p->extra[j] = automatic && v > 0 ? sqrt(v) : 1;
        trace += p->gram[j * f + j] / (n * p->extra[j] * p->extra[j]);
    }
    if (automatic)
        AM_TRY(ledoit_wolf(p, n, &share, err));
    else
        (void)am_node_as_f64(given, &share);
    for (size_t i = 0; i < f; i++)
        for (size_t j = 0; j <= i; j++) {
            double v = (1 - share) * p->gram[i * f + j] / n;
            if (i == j)
                v += share * trace / (double)f * p->extra[i] * p->extra[i];
            p->cov[i * f + j] += p->prior[k] * v;
        }
    return AM_OK;
}

static enum am_rc covariance(struct problem *p, bool svd, struct am_err *err)
{
    const size_t f = p->f;
    double weight = 0;
    for (size_t k = 0; k < p->c; k++) {
        weight += p->counts[k * (f + 1) + f];
        AM_TRY(class_gram(p, k, err));
        if (!svd)
            AM_TRY(add_shrunk(p, k, err));
        for (size_t i = 0; svd && i < f; i++)
            for (size_t j = 0; j <= i; j++)
                p->cov[i * f + j] += p->gram[i * f + j];
    }
    if (!svd)
        return AM_OK;
    if (!(weight > (double)p->c)) {
        am_fail(err, AM_EINVAL, "%g training rows are too few for %zu classes", weight, p->c);
        am_hint(err, "Bring more rows than classes.");
        return AM_EINVAL;
    }
    for (size_t j = 0; j < f; j++) {
        const double v = p->cov[j * f + j] / weight;
        p->deviation[j] = v > 0 ? sqrt(v) : 1;
    }
    for (size_t i = 0; i < f; i++)
        for (size_t j = 0; j <= i; j++)
            p->cov[i * f + j] /= (weight - (double)p->c) * p->deviation[i] * p->deviation[j];
    return AM_OK;
}

/* coef of class k: covariance^+ of its mean (svd: less the mean of all). */
static enum am_rc solve_class(struct problem *p, size_t k, bool svd, size_t *rank,
                              struct am_err *err)
{
    const size_t f = p->f;
    double *b = p->coef + k * (f + 1), bias = 0;
    const double *mean = p->mean + k * f;
    memcpy(p->gram, p->cov, f * f * sizeof *p->gram);
    for (size_t j = 0; j < f; j++)
        b[j] = (mean[j] - (svd ? p->all[j] : 0)) / p->deviation[j];
    AM_TRY(am_solve_psd(f, p->gram, b, rank, err));
    for (size_t j = 0; j < f; j++) {
        b[j] /= p->deviation[j];
        bias -= svd ? b[j] * ((mean[j] - p->all[j]) / 2 + p->all[j]) : b[j] * mean[j] / 2;
    }
    b[f] = bias + log(p->prior[k]);
    return AM_OK;
}

static enum am_rc solve(struct problem *p, struct am_learned *out, struct am_arena *a,
                        struct am_err *err)
{
    const size_t f = p->f;
    const bool svd = am_str_is(am_key_text(p->task, &am_learner_lda, "solver"), "svd");
    size_t rank = 0;
    for (size_t j = 0; j < f; j++)
        p->deviation[j] = 1;
    AM_TRY(means(p, err));
    AM_TRY(covariance(p, svd, err));
    for (size_t k = 0; k < p->c; k++)
        AM_TRY(solve_class(p, k, svd, &rank, err));
    if (p->task->task == AM_TASK_BINARY) /* the difference decides */
        for (size_t j = 0; j <= f; j++)
            p->coef[j] = p->coef[f + 1 + j] - p->coef[j];
    AM_TRY(am_learn_linear_model(p->task, p->coef, out, err));
    am_learn_info(p->task, out, a, "lda", svd ? "svd" : "lsqr");
    am_node_set(a, out->info, "rank", am_new_i64(a, (int64_t)rank));
    return AM_OK;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    const size_t f = t->n_features, c = t->n_classes;
    const size_t n = 2 * f * f + 5 * f + 3 + 3 * c * (f + 1) + 2 * c;
    struct problem p = {.task = t, .pass = am_pass_best(), .f = f, .c = c};
    enum am_rc rc;
    p.memory = am_calloc(n, sizeof *p.memory);
    if (!p.memory)
        return am_fail_nomem(err, n * sizeof *p.memory);
    double *weights = p.memory;
    p.counts = weights + c;
    p.mean = p.counts + c * (f + 1);
    p.coef = p.mean + c * f;
    p.prior = p.coef + c * (f + 1);
    p.all = p.prior + c;
    p.deviation = p.all + f;
    p.extra = p.deviation + f;
    p.cov = p.extra + f + 2;
    p.gram = p.cov + f * f;
    p.class_weights = weights;
    out->kind = AM_LEARNED_PROBABILITY;
    am_progress_begin(t->hooks.progress, "train", 0);
    rc = am_learn_class_weights(t, weights, err);
    if (rc == AM_OK)
        rc = solve(&p, out, a, err);
    am_progress_end(t->hooks.progress);
    am_free(p.memory);
    return rc;
}

static enum am_rc check(const struct am_learn_task *t, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    const struct am_node *shrinkage = am_node_get(t->model, "shrinkage");
    if (am_key_given(t, "shrinkage") &&
        !am_str_is(am_key_text(t, &am_learner_lda, "shrinkage"), "none") &&
        am_str_is(am_key_text(t, &am_learner_lda, "solver"), "svd")) {
        am_fail(err, AM_EUSAGE, "%smodel.shrinkage is set, but solver svd does not shrink",
                am_key_where(shrinkage, where));
        am_hint(err, "Set solver: lsqr, or remove shrinkage.");
        return AM_EUSAGE;
    }
    if (t->n_features > MAX_FEATURES) {
        am_fail(err, AM_EUSAGE, "type lda takes at most %d features, but there are %zu",
                MAX_FEATURES, t->n_features);
        am_hint(err, "Use type logistic, or reduce the features.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

const struct am_learner_ops am_learner_lda = {
    .name = "lda",
    .doc = "Linear discriminant analysis: classes of one common covariance, with shrinkage.",
    .tasks = 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check,
    .fit = fit,
};
