/* The driver svm-libsvm: the port of learn/svm.h over LIBSVM 3.24 (Chang and Lin 2011), for kernel
 * machines of classes and numbers. Its own probabilities are not used. See svm-common/guard.h for
 * what stands around the library. */
#include "../svm-common/guard.h"
#include "tensor/ports_abi.h"

#include <libsvm/svm.h>

static struct svm_node *fill_row(const struct am_svm_problem *p, size_t i, struct svm_node *to)
{
    const uint32_t row = p->rows[i];
    if (p->x) {
        const float *x = p->x + (size_t)row * p->n_features;
        for (size_t j = 0; j < p->n_features; j++)
            if (x[j] != 0.0f)
                *to++ = (struct svm_node){(int)j + 1, (double)x[j]};
    } else {
        for (uint64_t e = p->sparse->start[row]; e < p->sparse->start[row + 1]; e++)
            *to++ = (struct svm_node){(int)p->sparse->cols[e] + 1, (double)p->sparse->vals[e]};
    }
    *to++ = (struct svm_node){-1, 0};
    return to;
}

static void fill(const struct am_svm_problem *p, struct svm_problem *out)
{
    size_t entries = 0;
    for (size_t i = 0; i < p->n; i++)
        entries += guard_entries(p, i) + 1;
    struct svm_node *nodes = guard_alloc(entries * sizeof *nodes);
    out->l = (int)p->n;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    out->x = guard_alloc(p->n * sizeof *out->x);
    out->y = guard_alloc(p->n * sizeof *out->y);
    for (size_t i = 0; i < p->n; i++) {
        out->y[i] = p->y[i];
        out->x[i] = nodes;
        nodes = fill_row(p, i, nodes);
    }
}

static void set_parameter(const struct job *j, struct svm_parameter *par)
{
    static const int kernels[] = {LINEAR, RBF, POLY, SIGMOID};
    const struct am_svm_options *o = j->o;
    const size_t k = o->class_weights ? j->p->n_classes : 0;
    memset(par, 0, sizeof *par);
    par->svm_type = j->p->n_classes ? o->nu > 0 ? NU_SVC : C_SVC : o->nu > 0 ? NU_SVR : EPSILON_SVR;
    par->kernel_type = kernels[o->kernel];
    par->degree = o->degree;
    par->gamma = o->gamma;
    par->coef0 = o->coef0;
    par->cache_size = (double)o->cache_bytes / 1048576.0;
    par->eps = o->tolerance;
    par->C = o->c;
    par->nu = o->nu;
    par->p = o->epsilon;
    par->shrinking = 1;
    par->nr_weight = (int)k;
    par->weight_label = guard_alloc((k + 1) * sizeof *par->weight_label);
    par->weight = guard_alloc((k + 1) * sizeof *par->weight);
    for (size_t c = 0; c < k; c++) {
        par->weight_label[c] = (int)c;
        par->weight[c] = o->class_weights[c];
    }
}

/* Of classes a < b, counted among pairs (0,1), (0,2), .. */
static size_t pair_of(size_t a, size_t b, size_t k)
{
    return a * (2 * k - a - 1) / 2 + b - a - 1;
}

/* The library's pair (i, j) of its own order of classes: its coefficients into our pair's. */
static void take_pair(const struct job *job, const struct svm_model *m, size_t i, size_t j,
                      size_t from)
{
    const size_t k = (size_t)m->nr_class, a = (size_t)m->label[i], b = (size_t)m->label[j];
    const size_t n = job->out->n_support;
    /* > 0 is class i there; here it is the lower class, or of two classes the second */
    const double sign = k == 2 ? (a == 1 ? 1 : -1) : a < b ? 1 : -1;
    double *out = job->out->coef + (k == 2  ? 0
                                    : a < b ? pair_of(a, b, k)
                                            : pair_of(b, a, k)) *
                                       (n + 1);
    size_t first_i = 0, first_j = 0;
    for (size_t c = 0; c < j; c++) {
        first_i += c < i ? (size_t)m->nSV[c] : 0;
        first_j += (size_t)m->nSV[c];
    }
    for (size_t s = 0; s < (size_t)m->nSV[i]; s++)
        out[first_i + s] = sign * m->sv_coef[j - 1][first_i + s];
    for (size_t s = 0; s < (size_t)m->nSV[j]; s++)
        out[first_j + s] = sign * m->sv_coef[i][first_j + s];
    out[n] = -sign * m->rho[from];
}

static enum am_rc work(void *ctx)
{
    const struct job *j = ctx;
    struct svm_problem problem;
    struct svm_parameter parameter;
    const size_t k = j->p->n_classes;
    fill(j->p, &problem);
    set_parameter(j, &parameter);
    const char *wrong = svm_check_parameter(&problem, &parameter);
    if (wrong)
        return fail_at(j->err, AM_EINVAL, "LIBSVM refuses the settings: %s", wrong);
    const struct svm_model *m = svm_train(&problem, &parameter);
    if (k != 0 && m->nr_class != (int)k)
        return fail_at(j->err, AM_EINVAL, "only %d of %zu classes have a training row", m->nr_class,
                       k);
    const size_t n = (size_t)m->l;
    j->out->n_outputs = k > 2 ? k * (k - 1) / 2 : 1;
    j->out->n_support = n;
    j->out->support = guard_result(n * sizeof *j->out->support);
    j->out->coef = guard_result(j->out->n_outputs * (n + 1) * sizeof *j->out->coef);
    for (size_t s = 0; s < n; s++)
        j->out->support[s] = j->p->rows[m->sv_indices[s] - 1];
    if (k == 0) {
        memcpy(j->out->coef, m->sv_coef[0], n * sizeof(double));
        j->out->coef[n] = -m->rho[0];
    }
    for (size_t a = 0, pair = 0; a < k; a++)
        for (size_t b = a + 1; b < k; b++)
            take_pair(j, m, a, b, pair++);
    return AM_OK;
}

static enum am_rc train_machine(const struct am_svm_problem *p, const struct am_svm_options *o,
                                struct am_svm_result *out, struct am_err *err)
{
    struct job j = {p, o, out, err};
    return guard_train("LIBSVM", &j, work);
}

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    svm_set_print_string_function(guard_print);
    return guard_start(h, err);
}

static const char *version(void)
{
    static char text[] = "LIBSVM 0.00";
    guard_version(text + 7, libsvm_version);
    return text;
}

static const struct am_svm_ops ops = {.abi = AM_PORTS_ABI,
                                      .size = sizeof ops,
                                      .name = "svm-libsvm",
                                      .start = start,
                                      .train = train_machine,
                                      .version = version};

extern const struct am_svm_ops *const am_module;
__attribute__((visibility("default"))) const struct am_svm_ops *const am_module = &ops;
