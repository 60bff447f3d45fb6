/* Lines in logarithms over observed trainings; see cost.h. */
#include "pipeline/cost.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/num.h"
#include "base/progress.h"
#include "base/rng.h"
#include "learn/dense_solve.h"
#include "nn/session.h"
#include "pipeline/cost_int.h"
#include "pipeline/pipeline.h"
#include "pipeline/score.h"

#define FILE_BYTES ((size_t)4 << 20)
#define SEEN_MAX 200 /* of a family; older ones give way */
#define PATH_BYTES 4096

/* What the algorithm says before anything was seen: logarithms to base e of seconds at 1,000 rows
 * and 10 features, and slopes by rows, features, outputs. */
static const struct am_cost_prior {
    const char *family;
    double fit[4], latency[4], bytes[4];
    double work; /* memory while training, as a multiple of the rows' own bytes */
} priors[] = {
    {"baseline", {-9, 1, .5, .3}, {0, 0, .1, .1}, {4, 0, 1, 1}, 0},
    {"logistic", {-5, 1, 1.2, 1}, {0, 0, .3, .2}, {4, 0, 1, 1}, .5},
    {"linear", {-7, 1, 1.5, .3}, {0, 0, .3, .2}, {4, 0, 1, 1}, .5},
    {"mlp", {0, 1, .3, .1}, {.5, 0, .3, .1}, {9, 0, .5, .2}, .5},
    {"perceptron", {-1, 1, .5, .3}, {0, 0, .3, .2}, {4, 0, 1, 1}, .5},
    {"decision_tree", {-5, 1.1, 1, .3}, {0, .1, .1, .1}, {8, .8, .1, .3}, 4},
    {"random_forest", {-1.5, 1.1, .6, .3}, {2, .1, .1, .1}, {13, .9, .1, .3}, 5},
    {"extra_trees", {-2, 1.1, .6, .3}, {2, .1, .1, .1}, {13.5, .9, .1, .3}, 5},
    {"gradient_boosting", {-1.5, .8, .8, .9}, {1, .1, .1, .7}, {12, .3, .1, .9}, 2},
    {"ada_boost", {-2, 1.1, 1, .3}, {1, .1, .1, .3}, {9, .2, .1, .3}, 4},
    {"bagging", {-2, 1.1, 1, .3}, {2, .1, .1, .3}, {12, .9, .1, .3}, 5},
    {"linear_svm", {-5, 1, 1, .9}, {0, 0, .3, .2}, {4, 0, 1, 1}, 1.5},
    {"svm", {-2.5, 2, .8, .7}, {3, .9, .9, .3}, {9, .9, 1, .2}, 3},
    {"knn", {-8, 1, 1, 0}, {4, 1, .9, 0}, {10.6, 1, 1, 0}, 2},
    {"gaussian_nb", {-8, 1, 1, .1}, {0, 0, .3, .3}, {5, 0, 1, 1}, .2},
    {"multinomial_nb", {-8, 1, 1, .1}, {0, 0, .3, .3}, {5, 0, 1, 1}, .2},
    {"bernoulli_nb", {-8, 1, 1, .1}, {0, 0, .3, .3}, {5, 0, 1, 1}, .2},
    {"naive_bayes", {-8, 1, 1, .1}, {0, 0, .3, .3}, {5, 0, 1, 1}, .2},
    {"lda", {-6.5, 1, 1.8, .1}, {0, 0, .3, .3}, {4, 0, 1, 1}, 1},
};
#define N_FAMILIES (sizeof priors / sizeof priors[0])

struct seen {
    double at[4];               /* 1, log rows / 1000, log features / 10, log outputs */
    double fit, latency, bytes; /* logarithms; NaN = not measured */
};
struct family {
    struct seen *seen; /* owned [SEEN_MAX] */
    size_t n;
    double fit[4], latency[4], bytes[4];
};
struct am_costs {
    char path[PATH_BYTES];
    char cpu[49];
    struct family of[N_FAMILIES];
};

static void cpu_name(char out[49])
{
    memset(out, 0, 49);
#if defined(__x86_64__)
    unsigned r[3][4] = {{0}};
    for (unsigned i = 0; i < 3; i++)
        (void)__get_cpuid(0x80000002u + i, &r[i][0], &r[i][1], &r[i][2], &r[i][3]);
    memcpy(out, r, 48);
#endif
    if (!out[0])
        memcpy(out, "cpu", 4);
    for (char *p = out; *p; p++)
        if (*p == '\t' || *p == '\n')
            *p = ' ';
}

static size_t family_of(struct am_str name)
{
    size_t i = 0;
    while (i < N_FAMILIES && !am_str_is(name, priors[i].family))
        i++;
    return i;
}

static double log_or_nan(double v)
{
    return v > 0 && isfinite(v) ? log(v) : NAN;
}

static void place(const struct am_cost_size *s, double at[4])
{
    at[0] = 1;
    at[1] = log(fmax(s->rows, 1) / 1000);
    at[2] = log(fmax(s->features, 1) / 10);
    at[3] = log(fmax(s->outputs, 1));
}

/* ---- the line ---- */

static double line(const double *b, const double *at)
{
    return b[0] + b[1] * at[1] + b[2] * at[2] + b[3] * at[3];
}

#define SLOPE_PRIOR 2.0 /* observations' worth of belief in the algorithm's slopes */
#define LEVEL_PRIOR 0.02

/* b: least squares around the prior. Without observations it is the prior. */
static void fit_line(const struct family *f, const double *prior, size_t which, double *b)
{
    double a[16] = {0}, h[4] = {0};
    size_t rank;
    for (size_t i = 0; i < f->n; i++) {
        const struct seen *s = &f->seen[i];
        const double y = which == 0 ? s->fit : which == 1 ? s->latency : s->bytes;
        if (isnan(y))
            continue;
        const double rest = y - line(prior, s->at);
        for (size_t r = 0; r < 4; r++) {
            h[r] += s->at[r] * rest;
            for (size_t c = 0; c <= r; c++)
                a[r * 4 + c] += s->at[r] * s->at[c];
        }
    }
    for (size_t r = 0; r < 4; r++)
        a[r * 5] += r ? SLOPE_PRIOR : LEVEL_PRIOR;
    struct am_err ignored;
    if (am_solve_psd(4, a, h, &rank, &ignored) != AM_OK)
        memset(h, 0, sizeof h);
    for (size_t r = 0; r < 4; r++)
        b[r] = prior[r] + h[r];
}

static void fit_family(struct am_costs *c, size_t k)
{
    fit_line(&c->of[k], priors[k].fit, 0, c->of[k].fit);
    fit_line(&c->of[k], priors[k].latency, 1, c->of[k].latency);
    fit_line(&c->of[k], priors[k].bytes, 2, c->of[k].bytes);
}

/* ---- observations ---- */

static bool remember(struct am_costs *c, size_t k, const struct am_cost_size *size,
                     const struct am_cost *v)
{
    struct family *f = &c->of[k];
    struct seen s = {.fit = log_or_nan(v->fit_s),
                     .latency = log_or_nan(v->latency_us),
                     .bytes = log_or_nan(v->model_bytes)};
    if (!f->seen)
        f->seen = am_alloc_array(SEEN_MAX, sizeof *f->seen);
    if (!f->seen)
        return false;
    place(size, s.at);
    if (f->n == SEEN_MAX) {
        memmove(f->seen, f->seen + 1, (SEEN_MAX - 1) * sizeof *f->seen);
        f->n--;
    }
    f->seen[f->n++] = s;
    return true;
}

/* The cell up to the next tab or the end. */
static struct am_str next_cell(struct am_str *rest)
{
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != '\t')
        n++;
    const struct am_str cell = {rest->ptr, n};
    n += n < rest->len;
    *rest = (struct am_str){rest->ptr + n, rest->len - n};
    return cell;
}

static void read_line(struct am_costs *c, struct am_str text)
{
    double v[6];
    if (!am_str_is(next_cell(&text), c->cpu))
        return;
    const size_t k = family_of(next_cell(&text));
    if (k == N_FAMILIES)
        return;
    for (size_t i = 0; i < 6; i++)
        if (!am_parse_double(next_cell(&text), AM_NUM_FINITE, &v[i]) || !(v[i] >= 0))
            return;
    const struct am_cost_size size = {v[0], v[1], v[2]};
    const struct am_cost cost = {.fit_s = v[3], .latency_us = v[4], .model_bytes = v[5]};
    if (v[0] >= 1 && v[1] >= 1 && v[2] >= 1)
        (void)remember(c, k, &size, &cost);
}

enum am_rc am_costs_open(const char *dir, struct am_costs **out, struct am_err *err)
{
    struct am_costs *c = am_calloc(1, sizeof *c);
    struct am_buf b;
    if (!c)
        return am_fail_nomem(err, sizeof *c);
    cpu_name(c->cpu);
    const int n = snprintf(c->path, sizeof c->path, "%s/costs", dir);
    if (n < 0 || (size_t)n >= sizeof c->path)
        c->path[0] = 0;
    am_buf_init(&b, FILE_BYTES);
    if (c->path[0] && am_fs_exists(c->path) && am_fs_read_file(c->path, &b, NULL) == AM_OK) {
        struct am_str all = am_buf_view(&b);
        for (size_t at = 0, end; at < all.len; at = end + 1) {
            for (end = at; end < all.len && all.ptr[end] != '\n';)
                end++;
            if (end < all.len) /* a line that was cut off counts for nothing */
                read_line(c, (struct am_str){all.ptr + at, end - at});
        }
    }
    am_buf_clear(&b);
    for (size_t k = 0; k < N_FAMILIES; k++)
        fit_family(c, k);
    *out = c;
    return AM_OK;
}

void am_costs_free(struct am_costs *c)
{
    for (size_t k = 0; c && k < N_FAMILIES; k++)
        am_free(c->of[k].seen);
    am_free(c);
}

size_t am_costs_seen(const struct am_costs *c, const char *family)
{
    const size_t k = family_of(am_str(family));
    return k < N_FAMILIES ? c->of[k].n : 0;
}

bool am_costs_predict(const struct am_costs *c, const char *family, const struct am_cost_size *size,
                      struct am_cost *out)
{
    const size_t k = family_of(am_str(family));
    double at[4];
    if (k == N_FAMILIES)
        return false;
    place(size, at);
    const struct family *f = &c->of[k];
    const double rows = size->rows * (size->features + 1) * (double)sizeof(float);
    *out = (struct am_cost){.fit_s = exp(line(f->fit, at)),
                            .latency_us = exp(line(f->latency, at)),
                            .model_bytes = exp(line(f->bytes, at)),
                            .n_seen = f->n};
    out->memory_bytes = rows * (1 + priors[k].work) + 2 * out->model_bytes;
    return true;
}

void am_costs_add(struct am_costs *c, const char *family, const struct am_cost_size *size,
                  const struct am_cost *v)
{
    const size_t k = family_of(am_str(family));
    char text[512];
    if (k == N_FAMILIES || !remember(c, k, size, v))
        return;
    fit_family(c, k);
    const int n = snprintf(
        text, sizeof text, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.6g\t%.6g\t%.0f\n", c->cpu, family,
        size->rows, size->features, size->outputs, isfinite(v->fit_s) ? v->fit_s : 0,
        isfinite(v->latency_us) ? v->latency_us : 0, isfinite(v->model_bytes) ? v->model_bytes : 0);
    if (!c->path[0] || n <= 0 || (size_t)n >= sizeof text)
        return;
    const int fd = am_fs()->open(c->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    (void)(am_fs()->write(fd, text, (size_t)n) == n);
    (void)am_fs()->close(fd);
}

/* ---- calibration ---- */

static const size_t sizes[][2] = {{500, 8}, {500, 32}, {2000, 8}, {4000, 16}};
#define N_SIZES (sizeof sizes / sizeof sizes[0])
#define CALIBRATION_S 0.4 /* a family that took so long for one training gets no larger one */

/* Rows with some structure: two classes by a noisy bend, so that trees grow and solvers work. */
static enum am_rc generate(size_t n, size_t f, struct am_matrix **out, struct am_err *err)
{
    struct am_rng r;
    float x[64], y;
    AM_TRY(am_matrix_new(f, 1, NULL, out, err));
    am_rng_init(&r, 7, AM_RNG_USER);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < f; j++)
            x[j] = (float)am_rng_normal(&r);
        const double s = (double)(x[0] + x[1] * x[2]) + am_rng_normal(&r);
        y = s > 0 ? 1.0f : 0.0f;
        AM_TRY(am_matrix_append(*out, 1, x, &y, NULL, err));
    }
    return am_matrix_finish(*out, err);
}

double am_cost_latency(const struct am_learned *l, size_t width)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 1};
    struct am_plan *plan = NULL;
    struct am_session *s = NULL;
    struct am_err ignored;
    double best = NAN;
    float *x = am_calloc(width + 1, sizeof *x), *y = NULL;
    if (x && am_plan_build(l->graph, l->params, &o, &plan, &ignored) == AM_OK &&
        am_session_new(plan, NULL, &s, &ignored) == AM_OK)
        y = am_calloc(am_plan_n_outputs(plan) + 1, sizeof *y);
    for (size_t i = 0; y && i < 30; i++) {
        const uint64_t from = am_mono_ns();
        if (am_session_run(s, 1, x, y, &ignored) != AM_OK)
            break;
        const double us = (double)(am_mono_ns() - from) * 1e-3;
        best = i >= 5 && !(best <= us) ? us : best; /* the quietest: a machine has other work */
    }
    am_session_free(s);
    am_plan_put(plan);
    am_free(x);
    am_free(y);
    return best;
}

static enum am_rc one_fit(struct am_costs *c, const struct am_pipeline *pl, const char *family,
                          const struct am_matrix *m, double *seconds, struct am_err *err)
{
    struct am_arena *a = am_arena_new((size_t)1 << 26);
    if (!a)
        return am_fail_nomem(err, 1 << 20);
    struct am_node *model = am_new_map(a);
    const struct am_learner_ops *ops = am_learner_find(am_str(family));
    const bool classes = ops->tasks & 1u << AM_TASK_BINARY;
    const struct am_train_data *d = am_matrix_data(m);
    struct am_learned l = {0};
    am_node_set(a, model, "type", am_new_cstr(a, family));
    const struct am_learn_task t = {.task = classes ? AM_TASK_BINARY : AM_TASK_REGRESSION,
                                    .n_classes = classes ? 2 : 0,
                                    .n_features = d->n_features,
                                    .train = d,
                                    .model = model,
                                    .seed = 42,
                                    .pool = pl->pool,
                                    .hooks = {.progress = pl->progress}};
    const uint64_t from = am_mono_ns();
    enum am_rc rc = am_arena_check(a, err);
    if (rc == AM_OK)
        rc = am_learner_fit(&t, &l, a, err);
    *seconds = (double)(am_mono_ns() - from) * 1e-9;
    if (rc == AM_OK) {
        const struct am_cost_size size = {(double)d->n_rows, (double)d->n_features, 1};
        const struct am_cost seen = {.fit_s = *seconds,
                                     .latency_us = am_cost_latency(&l, d->n_features),
                                     .model_bytes = (double)am_params_bytes(l.params)};
        am_costs_add(c, family, &size, &seen);
    }
    am_learned_clear(&l);
    am_arena_free(a);
    return rc;
}

enum am_rc am_costs_calibrate(struct am_costs *c, const struct am_pipeline *pl,
                              uint64_t deadline_ns, struct am_err *err)
{
    struct am_matrix *m[N_SIZES] = {NULL};
    enum am_rc rc = AM_OK;
    bool all = true;
    for (size_t k = 0; k < N_FAMILIES; k++)
        all = all && (c->of[k].n > 0 || !am_learner_find(am_str(priors[k].family)));
    if (all)
        return AM_OK;
    for (size_t i = 0; i < N_SIZES; i++)
        AM_GO(rc, generate(sizes[i][0], sizes[i][1], &m[i], err));
    for (size_t k = 0; k < N_FAMILIES; k++) {
        double seconds = 0;
        if (c->of[k].n > 0 || !am_learner_find(am_str(priors[k].family)))
            continue;
        for (size_t i = 0; i < N_SIZES && seconds < CALIBRATION_S; i++) {
            struct am_err why = {0};
            if (deadline_ns && am_mono_ns() > deadline_ns)
                goto out;
            const enum am_rc one = one_fit(c, pl, priors[k].family, m[i], &seconds, &why);
            if (one == AM_ECANCELED || one == AM_ENOMEM) {
                *err = why;
                rc = one;
                goto out;
            }
            if (one != AM_OK) /* a driver is missing, or the learner wants other rows */
                break;
        }
    }
out:
    for (size_t i = 0; i < N_SIZES; i++)
        am_matrix_free(m[i]);
    return rc;
}
