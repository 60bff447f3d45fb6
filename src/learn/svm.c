/* Support vector machines: linear ones (sparse rows as they are) and kernels, trained by the
 * drivers behind svm.h. Here: settings, what a problem would cost, probabilities and the model.
 *
 * y is a probability by Platt scaling on decision values of rows that the machine had not seen
 * (five folds), each decision function its own: of two classes one, of a linear machine one a
 * class, shares of their sum; of kernels one for each pair of classes, coupled (Wu, Lin and Weng
 * 2004). Row weights are repetitions, since the libraries know none; class weights multiply c. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/progress.h"
#include "learn/platt.h"
#include "learn/svm_int.h"
#include "nn/layers_combine.h"
#include "nn/layers_distance.h"

#define FOLDS 5
/* Seconds of one kernel value of n numbers: an estimate, measured on no data set; only to
 * say in advance what would take hours. */
#define PAIR_SECONDS(n) (1.5e-9 * ((double)(n) + 20))
#define SECONDS_MAX 3600.0
#define CLASSES_MAX 256

#define KEY_C                                                                                      \
    AM_KEY("c", AM_LEARNER_KEY_NUMBER, NULL, 1e-9, 1e9, "1",                                       \
           "Inverse strength of the penalty, as scikit-learn's C.")
#define KEY_PROBABILITY                                                                            \
    AM_KEY(                                                                                        \
        "probability", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "true",                                    \
        "Calibrate to probabilities on five folds; false is five times faster and gives scores.")
#define KEY_EPSILON                                                                                \
    AM_KEY("epsilon", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e9, "0.1",                                  \
           "Of numbers: errors below this cost nothing, in units of the target's deviation.")

static const struct am_learner_key linear_keys[] = {
    KEY_C,
    AM_KEY("loss", AM_LEARNER_KEY_ENUM, "squared_hinge|hinge", 0, 0, "squared_hinge",
           "Of numbers hinge is the plain distance beyond epsilon, squared_hinge its square."),
    AM_KEY("penalty", AM_LEARNER_KEY_ENUM, "l2|l1", 0, 0, "l2",
           "l1 leaves features out; for classes with squared_hinge."),
    AM_KEY("multi_class", AM_LEARNER_KEY_ENUM, "one_vs_rest|crammer_singer", 0, 0, "one_vs_rest",
           "Three classes and more: one machine a class, or all in one problem."),
    KEY_EPSILON,
    AM_KEY("tolerance", AM_LEARNER_KEY_NUMBER, NULL, 1e-12, 1, "1e-4",
           "When the solver stops, as LIBLINEAR's."),
    AM_KEY("intercept", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "true",
           "A constant, penalised like the coefficients (as in LIBLINEAR)."),
    KEY_PROBABILITY,
};

static const struct am_learner_key kernel_keys[] = {
    AM_KEY("kernel", AM_LEARNER_KEY_ENUM, "rbf|poly|sigmoid|linear", 0, 0, "rbf",
           "How alike two rows are; scale the features."),
    KEY_C,
    AM_KEY("nu", AM_LEARNER_KEY_NUMBER, NULL, 1e-6, 1, NULL,
           "The nu form instead of c: the share of rows that may err (numbers: with c); left out = "
           "the form of c."),
    AM_KEY("gamma", AM_LEARNER_KEY_ENUM | AM_LEARNER_KEY_NUMBER, "scale|auto", 1e-12, 1e12, "scale",
           "Of rbf, poly and sigmoid; scale is 1 / (features * variance), auto 1 / features."),
    AM_KEY("degree", AM_LEARNER_KEY_INT, NULL, 1, 32, "3", "Of poly."),
    AM_KEY("coef0", AM_LEARNER_KEY_NUMBER, NULL, -1e6, 1e6, "0", "Of poly and sigmoid."),
    KEY_EPSILON,
    AM_KEY("tolerance", AM_LEARNER_KEY_NUMBER, NULL, 1e-12, 1, "1e-3",
           "When the solver stops, as LIBSVM's."),
    AM_KEY("cache_mb", AM_LEARNER_KEY_INT, NULL, 1, 65536, "200", "Memory for kernel values."),
    KEY_PROBABILITY,
};

struct machine {
    const struct am_learn_task *task;
    const struct am_learner_ops *ops;
    enum am_svm_kind kind;
    const struct am_svm_ops *port;
    struct am_svm_rows rows;
    struct am_svm_options options;
    struct am_svm_result result;
    size_t n_classes;      /* 0 = numbers */
    double *class_weights; /* owned */
    double *a, *b;         /* owned, [n_outputs]: Platt's */
    double mean, scale;    /* of a number to predict */
};

static void result_clear(struct am_svm_result *r)
{
    am_free(r->weights);
    am_free(r->support);
    am_free(r->coef);
    memset(r, 0, sizeof *r);
}

/* ---- settings ---- */

static bool canceled(void *ctx)
{
    return am_progress_canceled(ctx);
}

/* Variance of all the features' values together, as scikit-learn's X.var(). */
static double variance(const struct am_gathered *g)
{
    double sum = 0, squares = 0;
    const size_t n = g->n * g->f;
    for (size_t i = 0; i < n; i++)
        sum += (double)g->x[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)g->x[i] - mean) * ((double)g->x[i] - mean);
    return squares / (double)n;
}

static double gamma_of(const struct machine *m)
{
    double v = 0;
    if (am_node_as_f64(am_node_get(m->task->model, "gamma"), &v))
        return v;
    if (am_str_is(am_key_text(m->task, m->ops, "gamma"), "auto"))
        return 1 / (double)m->task->n_features;
    v = variance(&m->rows.dense);
    return v > 0 ? 1 / ((double)m->task->n_features * v) : 1;
}

static void kernel_options(struct machine *m)
{
    const struct am_str kernel = am_key_text(m->task, m->ops, "kernel");
    struct am_svm_options *o = &m->options;
    o->kernel = am_str_is(kernel, "rbf")      ? AM_SVM_KERNEL_RBF
                : am_str_is(kernel, "poly")   ? AM_SVM_KERNEL_POLY
                : am_str_is(kernel, "linear") ? AM_SVM_KERNEL_LINEAR
                                              : AM_SVM_KERNEL_SIGMOID;
    o->gamma = gamma_of(m);
    o->coef0 = am_key_number(m->task, m->ops, "coef0");
    o->degree = (int)am_key_number(m->task, m->ops, "degree");
    o->nu = am_key_given(m->task, "nu") ? am_key_number(m->task, m->ops, "nu") : 0;
    o->cache_bytes = (size_t)am_key_number(m->task, m->ops, "cache_mb") << 20;
}

static void linear_options(struct machine *m)
{
    struct am_svm_options *o = &m->options;
    o->loss =
        am_str_is(am_key_text(m->task, m->ops, "loss"), "hinge") ? AM_SVM_HINGE : AM_SVM_SQUARED;
    o->penalty = am_str_is(am_key_text(m->task, m->ops, "penalty"), "l1") ? AM_SVM_L1 : AM_SVM_L2;
    o->classes = am_str_is(am_key_text(m->task, m->ops, "multi_class"), "crammer_singer")
                     ? AM_SVM_CRAMMER_SINGER
                     : AM_SVM_ONE_REST;
    o->bias = am_key_bool(m->task, m->ops, "intercept");
}

/* Numbers are learned in units of their deviation. */
static void scale_target(struct machine *m)
{
    struct am_gathered *g = &m->rows.dense;
    double weight = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < g->n; i++) {
        weight += g->w[i];
        sum += g->w[i] * (double)g->y[i];
    }
    m->mean = sum / weight;
    for (size_t i = 0; i < g->n; i++)
        squares += g->w[i] * ((double)g->y[i] - m->mean) * ((double)g->y[i] - m->mean);
    m->scale = squares > 0 ? sqrt(squares / weight) : 1;
    for (size_t i = 0; i < g->n; i++)
        g->y[i] = (float)(((double)g->y[i] - m->mean) / m->scale);
}

static enum am_rc settings(struct machine *m, struct am_err *err)
{
    const struct am_learn_task *t = m->task;
    m->n_classes = am_task_has_classes(t->task) ? t->n_classes : 0;
    m->mean = 0;
    m->scale = 1;
    m->options = (struct am_svm_options){.c = am_key_number(t, m->ops, "c") * m->rows.unit,
                                         .epsilon = am_key_number(t, m->ops, "epsilon"),
                                         .tolerance = am_key_number(t, m->ops, "tolerance"),
                                         .seed = t->seed,
                                         .canceled = t->hooks.progress ? canceled : NULL,
                                         .ctx = t->hooks.progress};
    if (m->kind == AM_SVM_LINEAR)
        linear_options(m);
    else
        kernel_options(m);
    if (m->n_classes == 0) {
        scale_target(m);
        return AM_OK;
    }
    m->class_weights = am_calloc(m->n_classes, sizeof *m->class_weights);
    if (!m->class_weights)
        return am_fail_nomem(err, m->n_classes * sizeof *m->class_weights);
    m->options.class_weights = m->class_weights;
    return am_learn_class_weights(t, m->class_weights, err);
}

static enum am_rc too_dear(const struct machine *m, double seconds, struct am_err *err)
{
    am_fail(err, AM_ELIMIT,
            "a kernel machine on %llu rows of %zu features would compare about %.2g pairs of rows, "
            "roughly %.1f hours",
            (unsigned long long)m->task->train->n_rows, m->task->n_features,
            seconds / PAIR_SECONDS(m->task->n_features), seconds / 3600);
    am_hint(err, "Use type linear_svm or gradient_boosting, whose time grows with the rows and not "
                 "with their square, or train on fewer rows (data.sample).");
    return AM_ELIMIT;
}

/* What the training would take, before the rows are read. */
static enum am_rc check_cost(const struct machine *m, struct am_err *err)
{
    const double n = (double)m->task->train->n_rows;
    const bool folds =
        am_task_has_classes(m->task->task) && am_key_bool(m->task, m->ops, "probability");
    const double share = (FOLDS - 1) / (double)FOLDS;
    const double pairs = n * n * (folds ? 1 + FOLDS * share * share : 1);
    const double seconds = pairs * PAIR_SECONDS(m->task->n_features);
    return m->kind == AM_SVM_KERNEL && seconds > SECONDS_MAX ? too_dear(m, seconds, err) : AM_OK;
}

/* ---- probabilities ---- */

struct decisions {
    double *value; /* [n, n_outputs] */
    double *scratch;
    uint8_t *fold;
    double *f, *w; /* of one decision function */
    uint8_t *positive;
};

static enum am_rc decide_fold(struct machine *m, struct decisions *d, unsigned fold,
                              struct am_err *err)
{
    struct am_svm_problem p;
    struct am_svm_result r = {0};
    const size_t k = m->result.n_outputs;
    enum am_rc rc;
    AM_TRY(am_svm_problem_of(&m->rows, d->fold, fold, m->n_classes, &p, err));
    AM_GO(rc, m->port->train(&p, &m->options, &r, err));
    double *grown = am_realloc_array(d->scratch, r.n_support + 1, sizeof *grown);
    if (!grown)
        AM_GO(rc, am_fail_nomem(err, r.n_support * sizeof *grown));
    d->scratch = grown;
    for (size_t i = 0; i < m->rows.dense.n; i++)
        if (d->fold[i] == fold)
            am_svm_decide(&m->rows, &r, &m->options, i, d->scratch, d->value + i * k);
out:
    result_clear(&r);
    am_free((void *)(uintptr_t)p.rows);
    am_free((void *)(uintptr_t)p.y);
    return rc;
}

/* Which class is meant by a decision function above 0, and which by one below (SIZE_MAX = all
 * others). */
static void sides(const struct machine *m, size_t output, size_t *above, size_t *below)
{
    const size_t k = m->n_classes;
    *above = k == 2 ? 1 : output;
    *below = k == 2 ? 0 : SIZE_MAX;
    if (k == 2 || m->kind == AM_SVM_LINEAR)
        return;
    for (size_t a = 0, pair = 0; a < k; a++)
        for (size_t b = a + 1; b < k; b++, pair++)
            if (pair == output) {
                *above = a;
                *below = b;
            }
}

static void calibrate(struct machine *m, struct decisions *d)
{
    const struct am_gathered *g = &m->rows.dense;
    for (size_t o = 0; o < m->result.n_outputs; o++) {
        size_t above, below, n = 0;
        sides(m, o, &above, &below);
        for (size_t i = 0; i < g->n; i++) {
            const size_t y = (size_t)g->y[i];
            if (y != above && below != SIZE_MAX && y != below)
                continue;
            d->f[n] = d->value[i * m->result.n_outputs + o];
            d->w[n] = g->w[i];
            d->positive[n++] = y == above;
        }
        am_platt_fit(d->f, d->positive, d->w, n, &m->a[o], &m->b[o]);
    }
}

static enum am_rc few_rows(const struct machine *m, unsigned *n_folds, struct am_err *err)
{
    size_t least = SIZE_MAX;
    for (size_t k = 0; k < m->n_classes; k++) {
        size_t n = 0;
        for (size_t i = 0; i < m->rows.dense.n; i++)
            n += (size_t)m->rows.dense.y[i] == k && m->rows.times[i] > 0;
        least = n < least ? n : least;
    }
    *n_folds = least < FOLDS ? (unsigned)least : FOLDS;
    if (least >= 2)
        return AM_OK;
    am_fail(err, AM_EINVAL, "probabilities need two training rows of each class");
    am_hint(err, "Set model.probability: false, or bring more rows.");
    return AM_EINVAL;
}

static enum am_rc probabilities(struct machine *m, struct am_err *err)
{
    const size_t n = m->rows.dense.n, k = m->result.n_outputs;
    struct decisions d = {0};
    unsigned n_folds;
    enum am_rc rc;
    AM_TRY(few_rows(m, &n_folds, err));
    d.value = am_calloc(n * k, sizeof *d.value);
    d.fold = am_calloc(n, 1);
    d.f = am_alloc_array(n, sizeof *d.f);
    d.w = am_alloc_array(n, sizeof *d.w);
    d.positive = am_alloc(n);
    if (!d.value || !d.fold || !d.f || !d.w || !d.positive)
        AM_GO(rc, am_fail_nomem(err, n * (k + 3) * sizeof *d.value));
    AM_GO(rc, am_svm_folds(&m->rows, m->n_classes, n_folds, m->task->seed, d.fold, err));
    for (unsigned fold = 0; fold < n_folds; fold++) {
        am_progress_step(m->task->hooks.progress, fold + 1, n_folds + 1, 0, (double)NAN);
        AM_GO(rc, decide_fold(m, &d, fold, err));
    }
    calibrate(m, &d);
out:
    am_free(d.value);
    am_free(d.scratch);
    am_free(d.fold);
    am_free(d.f);
    am_free(d.w);
    am_free(d.positive);
    return rc;
}

/* ---- the model ---- */

/* Linear machines, and the linear kernel folded into one: coefficients [n_outputs, f + 1]. */
static enum am_rc fold_linear(struct machine *m, struct am_err *err)
{
    const size_t f = m->rows.dense.f, n = m->result.n_support, k = m->result.n_outputs;
    if (m->result.weights || m->options.kernel != AM_SVM_KERNEL_LINEAR)
        return AM_OK;
    double *w = am_calloc(k * (f + 1), sizeof *w);
    if (!w)
        return am_fail_nomem(err, k * (f + 1) * sizeof *w);
    for (size_t o = 0; o < k; o++) {
        const double *c = m->result.coef + o * (n + 1);
        for (size_t s = 0; s < n; s++)
            for (size_t j = 0; j < f; j++)
                w[o * (f + 1) + j] += c[s] * (double)m->rows.dense.x[m->result.support[s] * f + j];
        w[o * (f + 1) + f] = c[n];
    }
    m->result.weights = w;
    return AM_OK;
}

static am_value decision_values(const struct machine *m, struct am_graph *g, am_value x)
{
    static const enum am_similarity kinds[] = {0, AM_SIMILARITY_RBF, AM_SIMILARITY_POLY,
                                               AM_SIMILARITY_SIGMOID};
    const struct am_dense_options o = {.init = AM_INIT_ZEROS};
    const struct am_similarity_options s = {.kind = kinds[m->options.kernel],
                                            .gamma = (float)m->options.gamma,
                                            .coef0 = (float)m->options.coef0,
                                            .degree = m->options.degree ? m->options.degree : 1};
    if (!m->result.weights)
        x = am_layer_similarity(g, x, (int64_t)m->result.n_support, &s, "support");
    return am_layer_dense(g, x, (int64_t)m->result.n_outputs, &o, "decision");
}

static am_value answer(const struct machine *m, struct am_graph *g, am_value f, bool probability)
{
    if (m->n_classes == 0)
        return f;
    if (m->n_classes == 2)
        return am_layer_activation(g, f, AM_ACT_SIGMOID, 0);
    if (m->kind == AM_SVM_KERNEL)
        return am_layer_couple(g, am_layer_activation(g, f, AM_ACT_SIGMOID, 0),
                               (int64_t)m->n_classes);
    if (probability) /* shares of their sum */
        f = am_layer_log_odds(g, am_layer_activation(g, f, AM_ACT_SIGMOID, 0), AM_ODDS_LOG, 1e-7f);
    return am_layer_activation(g, f, AM_ACT_SOFTMAX, 0);
}

/* Decision functions into the last layer: times factor, plus shift. */
static void set_decision(const struct machine *m, float *w, float *b)
{
    const size_t k = m->result.n_outputs,
                 n = m->result.weights ? m->rows.dense.f : m->result.n_support;
    const double *from = m->result.weights ? m->result.weights : m->result.coef;
    for (size_t o = 0; o < k; o++) {
        double factor = m->scale, shift = m->mean;
        if (m->n_classes) {
            factor = m->a ? -m->a[o] : 1;
            shift = m->a ? -m->b[o] : 0;
        }
        for (size_t s = 0; s < n; s++)
            w[s * k + o] = (float)(factor * from[o * (n + 1) + s]);
        b[o] = (float)(factor * from[o * (n + 1) + n] + shift);
    }
}

static enum am_rc build(struct machine *m, struct am_learned *out, struct am_err *err)
{
    const size_t f = m->rows.dense.f;
    if (m->result.n_support == 0 && !m->result.weights) { /* nothing but a constant */
        m->result.weights = am_calloc(m->result.n_outputs * (f + 1), sizeof(double));
        if (!m->result.weights)
            return am_fail_nomem(err, f * sizeof(double));
        for (size_t o = 0; o < m->result.n_outputs; o++)
            m->result.weights[o * (f + 1) + f] = m->result.coef[o];
    }
    AM_TRY(fold_linear(m, err));
    AM_TRY(am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)f));
    am_graph_output(out->graph, "y",
                    answer(m, out->graph, decision_values(m, out->graph, x), m->a != NULL));
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    if (!m->result.weights) {
        float *centers = am_learn_param(out->params, "support.centers");
        for (size_t s = 0; s < m->result.n_support; s++)
            memcpy(centers + s * f, m->rows.dense.x + m->result.support[s] * f,
                   f * sizeof *centers);
    }
    set_decision(m, am_learn_param(out->params, "decision.weight"),
                 am_learn_param(out->params, "decision.bias"));
    for (size_t i = 0; i < out->params->n_floats; i++)
        if (!isfinite(out->params->data[i])) {
            am_fail(err, AM_EINVAL, "the trained machine holds values that are not finite");
            am_hint(err, "Scale the features, or lower model.c.");
            return AM_EINVAL;
        }
    return AM_OK;
}

static enum am_rc train(struct machine *m, struct am_err *err)
{
    const bool wanted = m->n_classes && am_key_bool(m->task, m->ops, "probability");
    struct am_svm_problem p;
    AM_TRY(am_svm_problem_of(&m->rows, NULL, 0, m->n_classes, &p, err));
    enum am_rc rc = m->port->train(&p, &m->options, &m->result, err);
    am_free((void *)(uintptr_t)p.rows);
    am_free((void *)(uintptr_t)p.y);
    if (rc != AM_OK || !wanted)
        return rc;
    m->a = am_calloc(m->result.n_outputs, sizeof *m->a);
    m->b = am_calloc(m->result.n_outputs, sizeof *m->b);
    if (!m->a || !m->b)
        return am_fail_nomem(err, 2 * m->result.n_outputs * sizeof *m->a);
    return probabilities(m, err);
}

static enum am_rc fit_machine(struct machine *m, struct am_learned *out, struct am_arena *a,
                              struct am_err *err)
{
    enum am_rc rc;
    AM_TRY(check_cost(m, err));
    AM_TRY(am_svm_port(m->kind, &m->port, err));
    am_progress_begin(m->task->hooks.progress, "train", 0);
    AM_GO(rc, am_svm_rows_read(m->task, &m->rows, err));
    AM_GO(rc, settings(m, err));
    AM_GO(rc, train(m, err));
    AM_GO(rc, build(m, out, err));
    out->kind = m->n_classes == 0 ? AM_LEARNED_VALUE
                : m->a            ? AM_LEARNED_PROBABILITY
                                  : AM_LEARNED_SCORE;
    am_learn_info(m->task, out, a, m->ops->name, m->port->name);
    am_node_set(a, out->info, "version", am_new_cstr(a, m->port->version()));
    if (m->kind == AM_SVM_KERNEL)
        am_node_set(a, out->info, "support_vectors", am_new_i64(a, (int64_t)m->result.n_support));
out:
    am_progress_end(m->task->hooks.progress);
    result_clear(&m->result);
    am_svm_rows_clear(&m->rows);
    am_free(m->class_weights);
    am_free(m->a);
    am_free(m->b);
    return rc;
}

static enum am_rc fit_linear(const struct am_learn_task *t, struct am_learned *out,
                             struct am_arena *a, struct am_err *err)
{
    struct machine m = {.task = t, .ops = &am_learner_linear_svm, .kind = AM_SVM_LINEAR};
    return fit_machine(&m, out, a, err);
}

static enum am_rc fit_kernel(const struct am_learn_task *t, struct am_learned *out,
                             struct am_arena *a, struct am_err *err)
{
    struct machine m = {.task = t, .ops = &am_learner_svm, .kind = AM_SVM_KERNEL};
    return fit_machine(&m, out, a, err);
}

/* ---- checks ---- */

static enum am_rc wrong(const struct am_learn_task *t, const char *key, const char *why,
                        const char *hint, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    am_fail(err, AM_EUSAGE, "%smodel.%s %s", am_key_where(am_node_get(t->model, key), where), key,
            am_tr(why));
    am_hint(err, "%s", am_tr(hint));
    return AM_EUSAGE;
}

static enum am_rc check_classes(const struct am_learn_task *t, struct am_err *err)
{
    if (am_task_has_classes(t->task) && am_key_given(t, "epsilon"))
        return wrong(t, "epsilon", AM_N("is set, but the task has classes"),
                     AM_N("Remove it: it is of regression."), err);
    if (t->task == AM_TASK_REGRESSION && am_key_given(t, "probability"))
        return wrong(t, "probability", AM_N("is set, but a number is predicted"),
                     AM_N("Remove it: it is of classification."), err);
    return AM_OK;
}

static enum am_rc check_linear(const struct am_learn_task *t, struct am_err *err)
{
    const bool hinge = am_str_is(am_key_text(t, &am_learner_linear_svm, "loss"), "hinge");
    const bool cs =
        am_str_is(am_key_text(t, &am_learner_linear_svm, "multi_class"), "crammer_singer");
    AM_TRY(check_classes(t, err));
    if (am_str_is(am_key_text(t, &am_learner_linear_svm, "penalty"), "l1") &&
        (hinge || cs || t->task == AM_TASK_REGRESSION))
        return wrong(t, "penalty", AM_N("l1 is for classes with squared_hinge, one_vs_rest"),
                     AM_N("Use penalty: l2, or type linear or logistic with l1."), err);
    if (cs && (t->task == AM_TASK_REGRESSION || am_key_given(t, "loss")))
        return wrong(t, "multi_class", AM_N("crammer_singer has a loss of its own, of classes"),
                     AM_N("Remove loss, or set multi_class: one_vs_rest."), err);
    return AM_OK;
}

static enum am_rc check_kernel(const struct am_learn_task *t, struct am_err *err)
{
    AM_TRY(check_classes(t, err));
    if (am_task_has_classes(t->task) && am_key_given(t, "nu") && am_key_given(t, "c"))
        return wrong(t, "nu", AM_N("is set, and so is model.c"),
                     AM_N("Give one of them: nu replaces c for classes."), err);
    if (t->task == AM_TASK_REGRESSION && am_key_given(t, "nu") && am_key_given(t, "epsilon"))
        return wrong(t, "nu", AM_N("is set, and so is model.epsilon"),
                     AM_N("Give one of them: nu replaces epsilon for numbers."), err);
    if (t->n_classes > CLASSES_MAX)
        return wrong(t, "type", AM_N("svm takes at most 256 classes"),
                     AM_N("Use type linear_svm or gradient_boosting."), err);
    return AM_OK;
}

const struct am_learner_ops am_learner_linear_svm = {
    .name = "linear_svm",
    .doc = "Linear support vector machine (LIBLINEAR), with calibrated probabilities.",
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = linear_keys,
    .n_keys = sizeof linear_keys / sizeof linear_keys[0],
    .sparse = true,
    .check = check_linear,
    .fit = fit_linear,
};

const struct am_learner_ops am_learner_svm = {
    .name = "svm",
    .doc = "Support vector machine with a kernel (LIBSVM), with calibrated probabilities.",
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = kernel_keys,
    .n_keys = sizeof kernel_keys / sizeof kernel_keys[0],
    .flags = AM_LEARNER_FROM_ROWS,
    .check = check_kernel,
    .fit = fit_kernel,
};
