/* Naive Bayes: Gaussian, multinomial and Bernoulli, from sums of one or two streaming passes, so
 * any number of rows fits. The model is the class's log density (nn/ops/gauss.c, or one linear
 * layer) and a softmax.
 *
 * Formulas, names and defaults as scikit-learn's: var_smoothing is a share of the largest variance,
 * alpha is Laplace's, binarize the threshold above which a feature counts as there. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/gathered.h"
#include "learn/stream.h"
#include "nn/layers_distance.h"

static const struct am_learner_key keys[] = {
    AM_KEY("kind", AM_LEARNER_KEY_ENUM, "gaussian|multinomial|bernoulli", 0, 0, "gaussian",
           "What a feature is: a number, a count (never negative), or there or not."),
    AM_KEY("alpha", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e9, "1",
           "Smoothing of multinomial and bernoulli: added to each count."),
    AM_KEY("var_smoothing", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e9, "1e-9",
           "Of gaussian: this share of the largest variance is added to all."),
    AM_KEY("binarize", AM_LEARNER_KEY_NUMBER, NULL, -1e30, 1e30, "0",
           "Of bernoulli: a feature above this is there."),
    AM_KEY("priors", AM_LEARNER_KEY_ENUM, "data|uniform", 0, 0, "data",
           "How frequent classes are: as among the training rows, or all alike."),
};

enum kind { GAUSSIAN, MULTINOMIAL, BERNOULLI };

struct sums {
    size_t f, c; /* features, classes */
    enum kind kind;
    double threshold;
    const double *class_weights; /* [c] */
    const double *mean;          /* [c, f], of the second pass */
};

/* per class: weight, then f sums; last: rows with a value that cannot be */
static void sum_rows(void *ctx, const struct am_rows *r, double *out, double *scratch)
{
    const struct sums *s = ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = (size_t)r->y[i];
        const double w = (r->w ? (double)r->w[i] : 1) * s->class_weights[k];
        const float *x = r->x + i * r->f;
        double *to = out + k * (s->f + 1);
        bool bad = false;
        to[s->f] += w;
        for (size_t j = 0; j < s->f; j++) {
            bad = bad || !isfinite(x[j]) || (s->kind == MULTINOMIAL && x[j] < 0);
            to[j] += w * (s->kind == BERNOULLI ? (double)x[j] > s->threshold : (double)x[j]);
        }
        out[s->c * (s->f + 1)] += bad;
    }
}

/* sums of squares about the classes' means, and about the mean of all rows */
static void sum_squares(void *ctx, const struct am_rows *r, double *out, double *scratch)
{
    const struct sums *s = ctx;
    const double *all = s->mean + s->c * s->f;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = (size_t)r->y[i];
        const double w = (r->w ? (double)r->w[i] : 1) * s->class_weights[k];
        const float *x = r->x + i * r->f;
        for (size_t j = 0; j < s->f; j++) {
            const double d = (double)x[j] - s->mean[k * s->f + j], e = (double)x[j] - all[j];
            out[k * s->f + j] += w * d * d;
            out[s->c * s->f + j] += w * e * e;
        }
    }
}

static enum am_rc total(const struct am_learn_task *t, struct sums *s, size_t n,
                        void (*fn)(void *, const struct am_rows *, double *, double *), double *out,
                        struct am_err *err)
{
    struct am_stream stream;
    AM_TRY(am_stream_init(&stream, t->train, n, 0, t->pool, t->hooks.progress, err));
    enum am_rc rc = am_stream_sum(&stream, fn, s, out, err);
    am_stream_clear(&stream);
    return rc;
}

static enum am_rc bad_values(const struct sums *s, double n, struct am_err *err)
{
    if (!(n > 0))
        return AM_OK;
    am_fail(err, AM_EINVAL, "%.0f training rows hold a feature that is %s", n,
            s->kind == MULTINOMIAL ? "negative or not a finite number" : "not a finite number");
    am_hint(err, s->kind == MULTINOMIAL
                     ? "Kind multinomial counts: use scale: none or min_max for the columns, or "
                       "kind: gaussian."
                     : "Impute missing values and clean infinite ones first.");
    return AM_EINVAL;
}

static void set_priors(const struct am_learn_task *t, const struct sums *s, const double *counts,
                       double *prior)
{
    const bool uniform = am_str_is(am_key_text(t, &am_learner_naive_bayes, "priors"), "uniform");
    double all = 0;
    for (size_t k = 0; k < s->c; k++)
        all += counts[k * (s->f + 1) + s->f];
    for (size_t k = 0; k < s->c; k++)
        prior[k] = uniform ? -log((double)s->c) : log(counts[k * (s->f + 1) + s->f] / all);
}

static am_value start_graph(const struct am_learn_task *t, struct am_learned *out,
                            struct am_err *err)
{
    if (am_graph_new(&out->graph, err) != AM_OK)
        return AM_VALUE_NONE;
    return am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
}

static enum am_rc end_graph(const struct am_learn_task *t, struct am_learned *out, am_value scores,
                            struct am_err *err)
{
    am_learn_class_output(out->graph, t,
                          am_layer_activation(out->graph, scores, AM_ACT_SOFTMAX, 0));
    AM_TRY(am_graph_check(out->graph, err));
    return am_params_new(out->graph, &out->params, err);
}

/* ---- gaussian ---- */

/* work: means [c, f] and that of all rows [f], then sums of squares of the same shape */
static enum am_rc variances(const struct am_learn_task *t, struct sums *s, const double *counts,
                            double *work, struct am_err *err)
{
    const size_t n = (s->c + 1) * s->f;
    double *mean = work, *var = work + n, *all = mean + s->c * s->f, weight = 0, largest = 0;
    memset(work, 0, 2 * n * sizeof *work);
    for (size_t k = 0; k < s->c; k++) {
        const double *c = counts + k * (s->f + 1);
        weight += c[s->f];
        for (size_t j = 0; j < s->f; j++) {
            mean[k * s->f + j] = c[j] / c[s->f];
            all[j] += c[j];
        }
    }
    for (size_t j = 0; j < s->f; j++)
        all[j] /= weight;
    s->mean = mean;
    AM_TRY(total(t, s, n, sum_squares, var, err));
    for (size_t j = 0; j < s->f; j++)
        largest = fmax(largest, var[s->c * s->f + j] / weight);
    const double add = largest * am_key_number(t, &am_learner_naive_bayes, "var_smoothing");
    for (size_t k = 0; k < s->c; k++)
        for (size_t j = 0; j < s->f; j++) {
            double *v = &var[k * s->f + j];
            *v = *v / counts[k * (s->f + 1) + s->f] + add;
            if (!(*v > 0)) {
                am_fail(err, AM_EINVAL,
                        "feature %zu does not vary among the rows of class %zu, and var_smoothing "
                        "is 0",
                        j, k);
                am_hint(err, "Leave model.var_smoothing at its default, or drop the column.");
                return AM_EINVAL;
            }
        }
    return AM_OK;
}

static enum am_rc fit_gaussian(const struct am_learn_task *t, struct sums *s, const double *counts,
                               double *prior, double *work, struct am_learned *out,
                               struct am_err *err)
{
    AM_TRY(variances(t, s, counts, work, err));
    const double *mean = work, *var = work + (s->c + 1) * s->f;
    am_value x = start_graph(t, out, err);
    AM_TRY(out->graph ? AM_OK : AM_ENOMEM);
    AM_TRY(end_graph(t, out, am_layer_gauss(out->graph, x, (int64_t)s->c, "classes"), err));
    float *m = am_learn_param(out->params, "classes.means"),
          *p = am_learn_param(out->params, "classes.precisions"),
          *b = am_learn_param(out->params, "classes.bias");
    for (size_t k = 0; k < s->c; k++) {
        double bias = prior[k];
        for (size_t j = 0; j < s->f; j++) {
            const double v = var[k * s->f + j];
            m[k * s->f + j] = (float)mean[k * s->f + j];
            p[k * s->f + j] = (float)fmin(1 / v, 3e38);
            bias -= log(6.283185307179586 * v) / 2;
        }
        b[k] = (float)bias;
    }
    return AM_OK;
}

/* ---- counts ---- */

/* x > threshold as 1 or 0: the sign of the difference, blown up, then what is above a half. */
static am_value binarized(struct am_graph *g, am_value x, double threshold)
{
    x = am_layer_scale(g, am_layer_scale(g, x, 1, -(float)threshold), 3e38f, 0);
    x = am_layer_activation(g, x, AM_ACT_SIGMOID, 0);
    return am_layer_activation(g, am_layer_scale(g, x, 2, -1), AM_ACT_RELU, 0);
}

/* The logarithms that class c's features add: their bias; share > 0 adds that share of them to mean
 * [f], out (stride: the classes) gets them less mean. */
static double class_logs(const struct sums *s, const double *c, double alpha, double bias,
                         double *mean, double share, float *out)
{
    double all = 0;
    for (size_t j = 0; j < s->f; j++)
        all += c[j] + alpha;
    for (size_t j = 0; j < s->f; j++) {
        double v = log((c[j] + alpha) / all);
        if (s->kind == BERNOULLI) {
            const double p = (c[j] + alpha) / (c[s->f] + 2 * alpha);
            v = log(p) - log1p(-p);
            bias += log1p(-p);
        }
        if (share > 0)
            mean[j] += share * v;
        if (out)
            out[j * s->c] = (float)(v - mean[j]);
    }
    return bias;
}

static enum am_rc fit_counts(const struct am_learn_task *t, const struct sums *s,
                             const double *counts, const double *prior, double *mean,
                             struct am_learned *out, struct am_err *err)
{
    const struct am_dense_options o = {.init = AM_INIT_ZEROS};
    /* scikit-learn, too, takes no less: the logarithm of a count of 0 */
    const double alpha = fmax(am_key_number(t, &am_learner_naive_bayes, "alpha"), 1e-10);
    am_value x = start_graph(t, out, err);
    AM_TRY(out->graph ? AM_OK : AM_ENOMEM);
    if (s->kind == BERNOULLI)
        x = binarized(out->graph, x, s->threshold);
    AM_TRY(end_graph(t, out, am_layer_dense(out->graph, x, (int64_t)s->c, &o, "classes"), err));
    float *w = am_learn_param(out->params, "classes.weight"),
          *b = am_learn_param(out->params, "classes.bias");
    /* what all classes have in common is taken out, since float has few digits */
    double common = 0;
    for (size_t k = 0; k < s->c; k++)
        common +=
            class_logs(s, counts + k * (s->f + 1), alpha, prior[k], NULL, 0, NULL) / (double)s->c;
    for (size_t j = 0; j < s->f; j++)
        mean[j] = 0;
    for (size_t k = 0; k < s->c; k++)
        (void)class_logs(s, counts + k * (s->f + 1), alpha, prior[k], mean, 1 / (double)s->c, NULL);
    for (size_t k = 0; k < s->c; k++)
        b[k] = (float)(class_logs(s, counts + k * (s->f + 1), alpha, prior[k], mean, 0, w + k) -
                       common);
    return AM_OK;
}

static enum kind kind_of(const struct am_learn_task *t)
{
    const struct am_str s = am_key_text(t, &am_learner_naive_bayes, "kind");
    return am_str_is(s, "multinomial") ? MULTINOMIAL
           : am_str_is(s, "bernoulli") ? BERNOULLI
                                       : GAUSSIAN;
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    static const char *const solvers[] = {"gaussian", "multinomial", "bernoulli"};
    const size_t f = t->n_features, c = t->n_classes, n = c * (f + 1) + 1;
    struct sums s = {.f = f,
                     .c = c,
                     .kind = kind_of(t),
                     .threshold = am_key_number(t, &am_learner_naive_bayes, "binarize")};
    double *memory = am_calloc(n + 2 * (c + 1) * f + 2 * c, sizeof *memory);
    enum am_rc rc;
    if (!memory)
        return am_fail_nomem(err, (n + 2 * (c + 1) * f + 2 * c) * sizeof *memory);
    double *work = memory + n, *prior = work + 2 * (c + 1) * f, *class_weights = prior + c;
    s.class_weights = class_weights;
    AM_GO(rc, am_learn_class_weights(t, class_weights, err));
    AM_GO(rc, total(t, &s, n, sum_rows, memory, err));
    AM_GO(rc, bad_values(&s, memory[n - 1], err));
    set_priors(t, &s, memory, prior);
    if (s.kind == GAUSSIAN)
        AM_GO(rc, fit_gaussian(t, &s, memory, prior, work, out, err));
    else
        AM_GO(rc, fit_counts(t, &s, memory, prior, work, out, err));
    out->kind = AM_LEARNED_PROBABILITY;
    am_learn_info(t, out, a, "naive_bayes", solvers[s.kind]);
out:
    am_free(memory);
    return rc;
}

static enum am_rc refuse(const struct am_learn_task *t, const char *key, const char *kinds,
                         struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    am_fail(err, AM_EUSAGE, "%smodel.%s is set, but it belongs to kind %s",
            am_key_where(am_node_get(t->model, key), where), key, kinds);
    am_hint(err, "Remove it, or set model.kind.");
    return AM_EUSAGE;
}

static enum am_rc check(const struct am_learn_task *t, struct am_err *err)
{
    const enum kind kind = kind_of(t);
    if (kind == GAUSSIAN && am_key_given(t, "alpha"))
        return refuse(t, "alpha", "multinomial or bernoulli", err);
    if (kind != GAUSSIAN && am_key_given(t, "var_smoothing"))
        return refuse(t, "var_smoothing", "gaussian", err);
    if (kind != BERNOULLI && am_key_given(t, "binarize"))
        return refuse(t, "binarize", "bernoulli", err);
    return AM_OK;
}

const struct am_learner_ops am_learner_naive_bayes = {
    .name = "naive_bayes",
    .doc = "Naive Bayes: Gaussian, multinomial (counts) or Bernoulli features.",
    .tasks = 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS,
    .check = check,
    .fit = fit,
};
