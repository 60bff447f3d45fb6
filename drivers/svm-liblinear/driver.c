/* The driver svm-liblinear: the port of learn/svm.h over LIBLINEAR 2.3 (Fan et al. 2008), for
 * linear machines of classes and numbers. Rows stay sparse as they are. See svm-common/guard.h for
 * what stands around the library. */
#include "../svm-common/guard.h"
#include "tensor/ports_abi.h"

#include <linear.h>

static int solver_of(const struct am_svm_problem *p, const struct am_svm_options *o)
{
    const bool squared = o->loss == AM_SVM_SQUARED;
    if (p->n_classes == 0)
        return squared ? L2R_L2LOSS_SVR : L2R_L1LOSS_SVR_DUAL;
    if (o->classes == AM_SVM_CRAMMER_SINGER)
        return MCSVM_CS;
    if (o->penalty == AM_SVM_L1)
        return L1R_L2LOSS_SVC;
    if (!squared)
        return L2R_L1LOSS_SVC_DUAL;
    return p->n > p->n_features ? L2R_L2LOSS_SVC : L2R_L2LOSS_SVC_DUAL;
}

static struct feature_node *fill_row(const struct am_svm_problem *p, size_t i, bool bias,
                                     struct feature_node *to)
{
    const uint32_t row = p->rows[i];
    if (p->x) {
        const float *x = p->x + (size_t)row * p->n_features;
        for (size_t j = 0; j < p->n_features; j++)
            if (x[j] != 0.0f)
                *to++ = (struct feature_node){(int)j + 1, (double)x[j]};
    } else {
        for (uint64_t e = p->sparse->start[row]; e < p->sparse->start[row + 1]; e++)
            *to++ = (struct feature_node){(int)p->sparse->cols[e] + 1, (double)p->sparse->vals[e]};
    }
    if (bias)
        *to++ = (struct feature_node){(int)p->n_features + 1, 1};
    *to++ = (struct feature_node){-1, 0};
    return to;
}

/* The library's problem: an equal row that follows itself shares its entries. */
static void fill(const struct job *j, struct problem *out)
{
    const struct am_svm_problem *p = j->p;
    size_t entries = 0;
    for (size_t i = 0; i < p->n; i++)
        if (i == 0 || p->rows[i] != p->rows[i - 1])
            entries += guard_entries(p, i) + (j->o->bias ? 2 : 1);
    struct feature_node *nodes = guard_alloc(entries * sizeof *nodes);
    out->l = (int)p->n;
    out->n = (int)p->n_features + (j->o->bias ? 1 : 0);
    out->bias = j->o->bias ? 1 : -1;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    out->x = guard_alloc(p->n * sizeof *out->x);
    out->y = guard_alloc(p->n * sizeof *out->y);
    for (size_t i = 0; i < p->n; i++) {
        out->y[i] = p->y[i];
        out->x[i] = nodes;
        if (i > 0 && p->rows[i] == p->rows[i - 1])
            out->x[i] = out->x[i - 1];
        else
            nodes = fill_row(p, i, j->o->bias, nodes);
    }
}

static void set_parameter(const struct job *j, struct parameter *par)
{
    const size_t k = j->o->class_weights ? j->p->n_classes : 0;
    memset(par, 0, sizeof *par);
    par->solver_type = solver_of(j->p, j->o);
    par->eps = j->o->tolerance;
    par->C = j->o->c;
    par->p = j->o->epsilon;
    par->nr_weight = (int)k;
    par->weight_label = guard_alloc((k + 1) * sizeof *par->weight_label);
    par->weight = guard_alloc((k + 1) * sizeof *par->weight);
    for (size_t c = 0; c < k; c++) {
        par->weight_label[c] = (int)c;
        par->weight[c] = j->o->class_weights[c];
    }
}

/* One decision function of the library's into output `to`, turned round by sign -1. */
static void take(const struct job *j, const struct model *m, size_t from, size_t width, size_t to,
                 double sign)
{
    const size_t f = j->p->n_features;
    double *w = j->out->weights + to * (f + 1);
    for (size_t i = 0; i < f; i++)
        w[i] = sign * m->w[i * width + from];
    w[f] = j->o->bias ? sign * m->w[f * width + from] : 0;
}

static enum am_rc work(void *ctx)
{
    const struct job *j = ctx;
    struct problem problem;
    struct parameter parameter;
    const size_t k = j->p->n_classes;
    fill(j, &problem);
    set_parameter(j, &parameter);
    const char *wrong = check_parameter(&problem, &parameter);
    if (wrong)
        return fail_at(j->err, AM_EINVAL, "LIBLINEAR refuses the settings: %s", wrong);
    const struct model *m = train(&problem, &parameter);
    if (k != 0 && m->nr_class != (int)k)
        return fail_at(j->err, AM_EINVAL, "only %d of %zu classes have a training row", m->nr_class,
                       k);
    const bool pairs = k == 2 && parameter.solver_type != MCSVM_CS;
    j->out->n_outputs = k > 2 ? k : 1;
    j->out->weights =
        guard_result(j->out->n_outputs * (j->p->n_features + 1) * sizeof *j->out->weights);
    if (k == 0) {
        take(j, m, 0, 1, 0, 1);
    } else if (pairs) { /* > 0 is the library's first class */
        take(j, m, 0, 1, 0, m->label[0] == 1 ? 1 : -1);
    } else if (k == 2) { /* Crammer and Singer: the difference of both */
        double *w = j->out->weights;
        for (size_t i = 0; i <= j->p->n_features; i++)
            if (i < j->p->n_features || j->o->bias)
                w[i] = (m->label[0] == 1 ? 1 : -1) * (m->w[2 * i] - m->w[2 * i + 1]);
    } else {
        for (size_t c = 0; c < k; c++)
            take(j, m, c, k, (size_t)m->label[c], 1);
    }
    return AM_OK;
}

static enum am_rc train_machine(const struct am_svm_problem *p, const struct am_svm_options *o,
                                struct am_svm_result *out, struct am_err *err)
{
    struct job j = {p, o, out, err};
    return guard_train("LIBLINEAR", &j, work);
}

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    set_print_string_function(guard_print);
    return guard_start(h, err);
}

static const char *version(void)
{
    static char text[] = "LIBLINEAR 0.00";
    guard_version(text + 10, liblinear_version);
    return text;
}

static const struct am_svm_ops ops = {.abi = AM_PORTS_ABI,
                                      .size = sizeof ops,
                                      .name = "svm-liblinear",
                                      .start = start,
                                      .train = train_machine,
                                      .version = version};

extern const struct am_svm_ops *const am_module;
__attribute__((visibility("default"))) const struct am_svm_ops *const am_module = &ops;
