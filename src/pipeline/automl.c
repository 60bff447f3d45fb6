/* `aimass run DATA --target T --budget 5m`: families are compared, the best are tuned, combined,
 * and what is left is trained by the ordinary path and registered.
 *
 * All choices are made on out-of-fold predictions of the training rows; test rows choose nothing.
 * The clock is watched before each candidate (its time is known from the cost model or from its
 * family's last one), inside it (folds and epochs end at the deadline), and a part of the budget is
 * kept for the last training and the report. Memory: the predictions of each candidate. One thread;
 * learners use the pipeline's pool. */
#include "pipeline/automl.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "learn/combine.h"
#include "pipeline/automl_int.h"
#include "pipeline/portfolio.h"
#include "pipeline/trial.h"
#include "tune/tune.h"

#define CANDIDATES_MAX 400
#define POOL 24       /* candidates an ensemble is chosen from */
#define POOL_FAMILY 5 /* of one family */
#define FAMILIES_TUNED 3
#define FAMILIES_MAX 32
#define STACK_ROWS 1000 /* a second level is asked for from here */

struct candidate {
    const struct am_family *family;
    struct am_node *model; /* arena */
    const char *origin;    /* "portfolio", "tuned" */
    enum am_trial_status status;
    const char *why; /* arena; of a failure */
    double loss, deviation;
    double fit_s; /* of one training */
    double latency_us;
    uint64_t bytes;
    float *pred; /* owned [n, n_out]; NULL = not measured */
    bool chosen;
};

struct tuner {
    const struct am_family *family;
    struct am_tune *tune; /* owned */
    bool done;
};

struct search {
    struct am_pipeline *pl;
    struct am_arena *arena;
    const struct am_auto_job *job;
    uint64_t started_ns, end_ns; /* of the budget; end 0 = no clock */
    double budget_s, prepare_s;
    uint64_t n_trials; /* at most */

    struct am_prepared p;
    struct am_folds folds;
    struct am_trials *trials; /* owned */
    struct am_facts facts;
    struct am_costs *costs; /* owned */

    struct candidate *all; /* owned [CANDIDATES_MAX] */
    size_t n_all;
    struct tuner tuners[FAMILIES_TUNED];
    size_t n_tuners;
    struct am_node *skipped; /* [{family, reason}] */

    size_t n, n_out; /* of predictions */
    float *y;        /* owned [n] */
    uint16_t *fold;  /* owned [n] */
};

/* ---- the clock ---- */

bool am_budget_parse(struct am_str s, double *seconds)
{
    double unit = 1;
    if (s.len && (s.ptr[s.len - 1] == 's' || s.ptr[s.len - 1] == 'm' || s.ptr[s.len - 1] == 'h')) {
        unit = s.ptr[s.len - 1] == 'm' ? 60 : s.ptr[s.len - 1] == 'h' ? 3600 : 1;
        s.len--;
    }
    if (!am_parse_double(s, AM_NUM_FINITE, seconds) || !(*seconds > 0) || *seconds * unit > 1e7)
        return false;
    *seconds *= unit;
    return true;
}

static double elapsed_s(const struct search *s)
{
    return (double)(am_mono_ns() - s->started_ns) * 1e-9;
}

/* What the last training, its report and the registry are kept for, beside training itself. */
static double tail_s(const struct search *s)
{
    return 1.5 * s->prepare_s + fmax(0.8, 0.08 * s->budget_s);
}

/* Until when candidates may run: the last training takes about 15 % of the budget at most. */
static double search_left_s(const struct search *s)
{
    if (!s->end_ns)
        return DBL_MAX;
    return s->budget_s * 0.85 - tail_s(s) - elapsed_s(s);
}

static double refit_left_s(const struct search *s)
{
    return s->end_ns ? s->budget_s - tail_s(s) - elapsed_s(s) : DBL_MAX;
}

/* ---- candidates ---- */

static const char *json_of(struct am_arena *a, const struct am_node *n)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_node_to_json(n, AM_JSON_COMPACT, &b);
    const char *s = am_arena_str(a, am_buf_view(&b)).ptr;
    am_buf_clear(&b);
    return s;
}

static struct am_predictions predictions_of(const struct search *s, const float *pred, size_t n)
{
    return (struct am_predictions){.task = s->facts.task,
                                   .n_rows = s->n,
                                   .n_members = n,
                                   .n_out = s->n_out,
                                   .pred = pred,
                                   .y = s->y};
}

/* Mean loss of the rows, and the deviation of the folds' means. */
static void measure(const struct search *s, const float *pred, double *loss, double *deviation)
{
    double sum[AM_FOLDS_MAX] = {0}, n[AM_FOLDS_MAX] = {0}, mean = 0, square = 0, folds = 0;
    const struct am_predictions p = predictions_of(s, pred, 1);
    *loss = am_combine_loss(&p, pred);
    for (size_t i = 0; i < s->n; i++) {
        double one;
        const struct am_predictions row = {
            .task = p.task, .n_rows = 1, .n_out = p.n_out, .y = &s->y[i]};
        am_combine_losses(&row, pred + i * s->n_out, &one);
        sum[s->fold[i] % AM_FOLDS_MAX] += one;
        n[s->fold[i] % AM_FOLDS_MAX]++;
    }
    for (size_t k = 0; k < AM_FOLDS_MAX; k++)
        if (n[k] > 0) {
            mean += sum[k] / n[k];
            square += sum[k] / n[k] * (sum[k] / n[k]);
            folds++;
        }
    *deviation = folds > 0 ? sqrt(fmax(0, square / folds - mean / folds * (mean / folds))) : NAN;
}

/* Truth and folds, from the first candidate that was measured. */
static enum am_rc take_rows(struct search *s, const struct am_trial_rows *r, struct am_err *err)
{
    if (s->y)
        return AM_OK;
    s->n = r->n;
    s->n_out = r->n_out;
    s->y = am_alloc_array(r->n + 1, sizeof *s->y);
    s->fold = am_alloc_array(r->n + 1, sizeof *s->fold);
    if (!s->y || !s->fold)
        return am_fail_nomem(err, r->n * sizeof *s->y);
    for (size_t i = 0; i < r->n; i++) {
        s->y[i] = (float)r->truth[i];
        s->fold[i] = s->folds.of[r->row[i]];
    }
    return AM_OK;
}

#define PREDICTIONS_SHARE 8 /* of the memory flag */
#define PREDICTIONS_KEPT 4  /* at least */

/* Predictions of the worst candidates give way when all of them take too much memory. */
static void make_room(struct search *s)
{
    const double each = (double)s->n * (double)s->n_out * sizeof(float);
    for (;;) {
        struct candidate *worst = NULL;
        size_t held = 0;
        for (size_t i = 0; i < s->n_all; i++) {
            struct candidate *c = &s->all[i];
            held += c->pred != NULL;
            if (c->pred && (!worst || c->loss > worst->loss))
                worst = c;
        }
        if (held <= PREDICTIONS_KEPT ||
            each * (double)held <= (double)s->pl->memory_limit_bytes / PREDICTIONS_SHARE)
            return;
        am_free(worst->pred);
        worst->pred = NULL;
    }
}

/* Results of a candidate; the first of a family is what the cost model learns from. */
static enum am_rc take_result(struct search *s, struct candidate *c, struct am_trial_result *r,
                              bool typical, struct am_err *err)
{
    c->status = r->status;
    c->why = am_arena_str(s->arena, am_str(r->why)).ptr;
    if (r->status != AM_TRIAL_OK || r->rows.n == 0)
        return am_arena_check(s->arena, err);
    c->fit_s = r->fit_seconds / (double)(r->n_folds ? r->n_folds : 1);
    c->latency_us = r->latency_us;
    c->bytes = r->size_bytes;
    AM_TRY(take_rows(s, &r->rows, err));
    c->pred = r->rows.pred;
    r->rows.pred = NULL;
    measure(s, c->pred, &c->loss, &c->deviation);
    if (!isfinite(c->loss)) {
        c->status = AM_TRIAL_FAILED;
        c->why = am_tr("its predictions are not finite");
    }
    const double share = s->folds.spec.n > 1 ? 1 - 1.0 / s->folds.spec.n : 1;
    const struct am_cost_size size = {(double)s->facts.n_rows * share, (double)s->facts.n_features,
                                      (double)s->n_out};
    const struct am_cost seen = {
        .fit_s = c->fit_s, .latency_us = c->latency_us, .model_bytes = (double)c->bytes};
    if (typical)
        am_costs_add(s->costs, c->family->name, &size, &seen);
    return am_arena_check(s->arena, err);
}

static void skip(struct search *s, const struct am_family *f, const char *reason)
{
    struct am_node *m = am_new_map(s->arena);
    am_node_set(s->arena, m, "family", am_new_cstr(s->arena, f->name));
    am_node_set(s->arena, m, "reason", am_new_cstr(s->arena, reason));
    am_node_push(s->arena, s->skipped, m);
}

/* One candidate; *out may be not OK. */
static enum am_rc try_one(struct search *s, const struct am_family *family, struct am_node *model,
                          const char *origin, bool typical, struct candidate **out,
                          struct am_err *err)
{
    struct candidate *c = &s->all[s->n_all++];
    const struct am_recipe_set set = {AM_STR("model"), am_str(json_of(s->arena, model))};
    const double left = search_left_s(s);
    const struct am_trial_spec spec = {
        .sets = &set,
        .n_sets = 1,
        .deadline_ns = s->end_ns ? am_mono_ns() + (uint64_t)(fmax(left, 0.001) * 1e9) : 0,
        .predictions = true,
        .latency = true};
    struct am_trial_result r = {0};
    *c = (struct candidate){.family = family,
                            .model = model,
                            .origin = origin,
                            .loss = INFINITY,
                            .deviation = (double)NAN};
    *out = c;
    AM_TRY(am_arena_check(s->arena, err));
    enum am_rc rc = am_trial_run(s->trials, &spec, &r, err);
    if (rc == AM_OK)
        rc = take_result(s, c, &r, typical, err);
    am_trial_result_clear(&r);
    make_room(s);
    if (rc == AM_OK && am_progress_canceled(s->pl->progress))
        rc = am_fail(err, AM_ECANCELED, "canceled while models were compared");
    am_log(AM_LOG_INFO, "auto",
           "candidate=%zu family=%s origin=%s status=%s loss=%.6g seconds=%.3g", s->n_all,
           family->name, origin, am_trial_status_name(c->status), c->loss, c->fit_s);
    return rc;
}

/* Seconds that all folds of a candidate would take: its family's last one, else the cost model. */
static double expected_s(const struct search *s, const struct am_family *f)
{
    const double folds = (double)am_folds_count(&s->folds);
    struct am_cost cost;
    for (size_t i = s->n_all; i-- > 0;)
        if (s->all[i].family == f && s->all[i].status == AM_TRIAL_OK)
            return s->all[i].fit_s * folds;
    const double share = s->folds.spec.n > 1 ? 1 - 1.0 / s->folds.spec.n : 1;
    const struct am_cost_size size = {(double)s->facts.n_rows * share, (double)s->facts.n_features,
                                      s->facts.n_classes > 2 ? (double)s->facts.n_classes : 1};
    return am_costs_predict(s->costs, f->name, &size, &cost) ? cost.fit_s * folds : 0;
}

static bool room(const struct search *s)
{
    return s->n_all < CANDIDATES_MAX && (s->n_trials == 0 || s->n_all < s->n_trials) &&
           search_left_s(s) > 0;
}

static enum am_rc parse_model(struct search *s, const char *yaml, struct am_node **out,
                              struct am_err *err)
{
    return am_yaml_parse(s->arena, am_str(yaml), "portfolio", out, err);
}

/* Can it be trained here at all: learner, keys, driver? The reason is noted once a family. */
static bool possible(struct search *s, const struct am_family *f, struct am_node *model)
{
    const struct am_recipe_set set = {AM_STR("model"), am_str(json_of(s->arena, model))};
    struct am_err why = {0};
    if (am_trial_check(s->trials, &set, 1, &why) == AM_OK)
        return true;
    skip(s, f, why.message);
    return false;
}

static size_t n_finished(const struct search *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_all; i++)
        n += s->all[i].status == AM_TRIAL_OK;
    return n;
}

/* One family after the other, each with its k-th setting. */
static enum am_rc portfolio_round(struct search *s, const struct am_family_advice *list, size_t n,
                                  size_t k, bool *dead, struct am_err *err)
{
    for (size_t i = 0; i < n && room(s); i++) {
        const struct am_family *f = list[i].family;
        struct am_node *model;
        struct candidate *c;
        size_t has = 0;
        while (has <= k && f->portfolio[has])
            has++;
        if (!list[i].suits || dead[i] || has <= k)
            continue;
        AM_TRY(parse_model(s, f->portfolio[k], &model, err));
        if (!possible(s, f, model)) {
            dead[i] = true;
            continue;
        }
        if (n_finished(s) > 0 && expected_s(s, f) > search_left_s(s)) {
            if (k == 0)
                skip(s, f, am_tr("it would take longer than what is left of the budget"));
            dead[i] = true;
            continue;
        }
        AM_TRY(try_one(s, f, model, "portfolio", k == 0, &c, err));
        dead[i] = c->status != AM_TRIAL_OK;
        if (dead[i])
            skip(s, f,
                 c->status == AM_TRIAL_CANCELED ? am_tr("the budget ended while it was trained")
                                                : c->why);
    }
    return AM_OK;
}

static enum am_rc portfolio(struct search *s, struct am_err *err)
{
    struct am_family_advice list[FAMILIES_MAX];
    bool dead[FAMILIES_MAX] = {false};
    const size_t n = am_families_advise(&s->facts, list);
    for (size_t i = 0; i < n; i++)
        if (!list[i].suits)
            skip(s, list[i].family, am_tr(list[i].why));
    for (size_t k = 0; k < 3; k++)
        AM_TRY(portfolio_round(s, list, n, k, dead, err));
    return AM_OK;
}

/* ---- tuning ---- */

/* What was tried before, as trials of the study. */
static enum am_rc tell_known(struct search *s, struct tuner *t, struct am_err *err)
{
    const struct am_tune_space *space = am_tune_space(t->tune);
    for (size_t i = 0; i < s->n_all; i++) {
        const struct candidate *c = &s->all[i];
        const struct am_tune_trial *trial;
        struct am_node *values = am_new_map(s->arena);
        if (c->family != t->family || c->status != AM_TRIAL_OK)
            continue;
        for (size_t k = 0; k < am_tune_space_n(space); k++) {
            const struct am_tune_param *q = am_tune_space_param(space, k);
            const char *dot = strchr(q->path, '.');
            struct am_node *v = dot ? am_node_get(c->model, dot + 1) : NULL;
            if (v)
                am_node_set(s->arena, values, q->path, v);
        }
        AM_TRY(am_arena_check(s->arena, err));
        AM_TRY(am_tune_enqueue(t->tune, values, err));
        AM_TRY(am_tune_ask(t->tune, &trial, err));
        const struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &c->loss};
        if (trial)
            AM_TRY(am_tune_tell(t->tune, trial->number, &r, err));
    }
    return AM_OK;
}

static enum am_rc start_tuner(struct search *s, const struct am_family *f, struct am_err *err)
{
    static const struct am_tune_objective loss = {"loss", AM_TUNE_MINIMIZE};
    const struct am_tune_config config = {
        .objectives = &loss, .n_objectives = 1, .sampler = AM_TUNE_AUTO, .seed = 42};
    struct am_node *space;
    struct tuner *t = &s->tuners[s->n_tuners];
    *t = (struct tuner){.family = f};
    AM_TRY(am_yaml_parse(s->arena, am_str(f->space), "space", &space, err));
    AM_TRY(am_tune_new(space, &config, &t->tune, err));
    s->n_tuners++;
    return tell_known(s, t, err);
}

/* The best families by their best candidate. */
static enum am_rc start_tuners(struct search *s, struct am_err *err)
{
    const struct am_family *used[FAMILIES_TUNED] = {NULL};
    for (size_t round = 0; round < FAMILIES_TUNED; round++) {
        const struct candidate *best = NULL;
        for (size_t i = 0; i < s->n_all; i++) {
            const struct candidate *c = &s->all[i];
            bool known = c->status != AM_TRIAL_OK || !c->family->space;
            for (size_t k = 0; k < round; k++)
                known = known || used[k] == c->family;
            if (!known && (!best || c->loss < best->loss))
                best = c;
        }
        if (!best)
            break;
        used[round] = best->family;
        AM_TRY(start_tuner(s, best->family, err));
    }
    return AM_OK;
}

/* "model.depth": 5 over the family's type. */
static struct am_node *model_of(struct search *s, const struct tuner *t,
                                const struct am_node *values)
{
    struct am_node *m = am_new_map(s->arena);
    am_node_set(s->arena, m, "type", am_new_cstr(s->arena, t->family->name));
    for (size_t i = 0; i < values->map.n; i++) {
        const struct am_str key = values->map.pairs[i].key;
        const char *dot = memchr(key.ptr, '.', key.len);
        const struct am_str name = {dot + 1, key.len - (size_t)(dot + 1 - key.ptr)};
        am_node_set_str(s->arena, m, name, am_node_copy(s->arena, values->map.pairs[i].value));
    }
    return m;
}

static enum am_rc tune_once(struct search *s, struct tuner *t, struct am_err *err)
{
    const struct am_tune_trial *trial;
    struct candidate *c;
    AM_TRY(am_tune_ask(t->tune, &trial, err));
    if (!trial) {
        t->done = true;
        return AM_OK;
    }
    const uint64_t number = trial->number;
    AM_TRY(try_one(s, t->family, model_of(s, t, trial->values), "tuned", false, &c, err));
    const struct am_tune_result r = {.status =
                                         c->status == AM_TRIAL_OK ? AM_TUNE_OK : AM_TUNE_FAILED,
                                     .objectives = &c->loss,
                                     .reason = c->why};
    return am_tune_tell(t->tune, number, &r, err);
}

/* Half of the trials to the best family, a third to the second, a sixth to the third. */
static enum am_rc tune(struct search *s, struct am_err *err)
{
    static const unsigned char turns[] = {0, 1, 0, 2, 0, 1};
    size_t idle = 0;
    if (!room(s) || n_finished(s) == 0)
        return AM_OK;
    if (!s->end_ns && s->n_trials == 0)
        return AM_OK;
    AM_TRY(start_tuners(s, err));
    for (size_t i = 0; room(s) && idle < sizeof turns; i++) {
        struct tuner *t = &s->tuners[turns[i % sizeof turns]];
        if (turns[i % sizeof turns] >= s->n_tuners || t->done ||
            expected_s(s, t->family) > search_left_s(s)) {
            idle++;
            continue;
        }
        idle = 0;
        AM_TRY(tune_once(s, t, err));
    }
    return AM_OK;
}

/* ---- the combination ---- */

enum shape { SHAPE_SINGLE, SHAPE_GREEDY, SHAPE_STACK };

struct chosen {
    enum shape shape;
    size_t which[POOL]; /* candidates */
    double weights[POOL];
    size_t n;
    double loss;        /* each fold's rows predicted by a combination of the other folds */
    double gain, noise; /* against the best single one: mean and its standard error */
    float *pred;        /* owned [POOL, n, n_out] of the pool */
    size_t pool[POOL];
    size_t n_pool;
};

static int by_loss(const void *x, const void *y)
{
    const struct candidate *const *a = x, *const *b = y;
    return ((*a)->loss > (*b)->loss) - ((*a)->loss < (*b)->loss);
}

/* The best candidates, some of each family, whose last training fits the time and whose answers fit
 * the latency. */
static void fill_pool(const struct search *s, struct chosen *c)
{
    const struct candidate *order[CANDIDATES_MAX] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < s->n_all; i++)
        if (s->all[i].status == AM_TRIAL_OK && s->all[i].pred)
            order[n++] = &s->all[i];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    qsort(order, n, sizeof *order, by_loss);
    for (size_t i = 0; i < n && c->n_pool < POOL; i++) {
        size_t same = 0;
        const bool fits = order[i]->fit_s * 1.3 <= refit_left_s(s) &&
                          !(s->job->latency_us > 0 && order[i]->latency_us > s->job->latency_us);
        for (size_t k = 0; k < c->n_pool; k++)
            same += s->all[c->pool[k]].family == order[i]->family;
        if (fits && same < POOL_FAMILY)
            c->pool[c->n_pool++] = (size_t)(order[i] - s->all);
    }
    if (c->n_pool == 0 && n > 0) /* better late than nothing */
        c->pool[c->n_pool++] = (size_t)(order[0] - s->all);
}

/* Rows of p whose fold is (in) or is not k; the caller frees pred, y and rows. */
struct part {
    struct am_predictions p;
    float *pred, *y;
    size_t *rows;
};

static void part_clear(struct part *t)
{
    am_free(t->pred);
    am_free(t->y);
    am_free(t->rows);
}

static enum am_rc part_of(const struct search *s, const struct am_predictions *p, size_t k, bool in,
                          struct part *out, struct am_err *err)
{
    size_t n = 0;
    const size_t c = s->n_out;
    *out = (struct part){.p = *p};
    out->rows = am_alloc_array(s->n + 1, sizeof *out->rows);
    out->y = am_alloc_array(s->n + 1, sizeof *out->y);
    out->pred = am_alloc_array(s->n + 1, p->n_members * c * sizeof *out->pred);
    if (!out->rows || !out->y || !out->pred)
        return am_fail_nomem(err, s->n * p->n_members * c * sizeof *out->pred);
    for (size_t i = 0; i < s->n; i++)
        if ((s->fold[i] == k) == in) {
            out->rows[n] = i;
            out->y[n++] = s->y[i];
        }
    for (size_t m = 0; m < p->n_members; m++)
        for (size_t i = 0; i < n; i++)
            memcpy(out->pred + (m * n + i) * c, p->pred + (m * s->n + out->rows[i]) * c,
                   c * sizeof *out->pred);
    out->p.n_rows = n;
    out->p.pred = out->pred;
    out->p.y = out->y;
    return AM_OK;
}

static enum am_meta meta_of(const struct search *s)
{
    return s->facts.task == AM_TASK_REGRESSION ? AM_META_RIDGE : AM_META_LOGISTIC;
}

/* A combination of the members fitted on `on`, applied to `of`, into out [of rows, n_out]. */
static enum am_rc combine_part(const struct search *s, enum shape shape, const struct part *on,
                               const struct part *of, float *out, struct am_err *err)
{
    const size_t m = on->p.n_members, c = s->n_out;
    double *x = am_calloc(c * (m * c + 1) + m + 1, sizeof *x);
    enum am_rc rc;
    if (!x)
        return am_fail_nomem(err, c * m * c * sizeof *x);
    if (shape == SHAPE_STACK) {
        rc = am_combine_meta(&on->p, meta_of(s), meta_of(s) == AM_META_RIDGE ? 1 : 0.1, x, err);
        if (rc == AM_OK)
            am_combine_apply_meta(&of->p, meta_of(s), x, out);
    } else {
        rc = am_combine_greedy(&on->p, 50, NULL, x, NULL, err);
        if (rc == AM_OK)
            am_combine_mean(&of->p, x, out);
    }
    am_free(x);
    return rc;
}

/* losses [n]: of each row, by a combination that was fitted on the other folds. */
static enum am_rc cross_fit(const struct search *s, enum shape shape,
                            const struct am_predictions *p, double *losses, struct am_err *err)
{
    const size_t folds = s->folds.spec.n < 2 ? 2 : s->folds.spec.n;
    float *out = am_alloc_array(s->n + 1, s->n_out * sizeof *out);
    double *part_losses = am_alloc_array(s->n + 1, sizeof *part_losses);
    enum am_rc rc = AM_OK;
    struct part on = {0}, of = {0};
    if (!out || !part_losses)
        AM_GO(rc, am_fail_nomem(err, s->n * s->n_out * sizeof *out));
    for (size_t k = 0; k < folds; k++) {
        AM_GO(rc, part_of(s, p, k, false, &on, err));
        AM_GO(rc, part_of(s, p, k, true, &of, err));
        if (of.p.n_rows && on.p.n_rows) {
            AM_GO(rc, combine_part(s, shape, &on, &of, out, err));
            am_combine_losses(&of.p, out, part_losses);
            for (size_t i = 0; i < of.p.n_rows; i++)
                losses[of.rows[i]] = part_losses[i];
        }
        part_clear(&on);
        part_clear(&of);
        on = of = (struct part){0};
    }
out:
    part_clear(&on);
    part_clear(&of);
    am_free(out);
    am_free(part_losses);
    return rc;
}

/* Is `b` better than `a` beyond one standard error of the difference? */
static bool beats(const double *a, const double *b, size_t n, double *gain, double *noise)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] - b[i];
        square += (a[i] - b[i]) * (a[i] - b[i]);
    }
    *gain = sum / (double)n;
    *noise = sqrt(fmax(0, square / (double)n - *gain * *gain) / (double)n);
    return *gain > *noise;
}

static double mean_of(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return n ? sum / (double)n : NAN;
}

static enum am_rc decide(struct search *s, struct chosen *c, const struct am_predictions *p,
                         struct am_err *err)
{
    double *losses = am_alloc_array(3 * s->n + 1, sizeof *losses);
    double gain, noise;
    enum am_rc rc;
    if (!losses)
        return am_fail_nomem(err, 3 * s->n * sizeof *losses);
    double *best = losses, *greedy = losses + s->n, *stack = losses + 2 * s->n;
    am_combine_losses(p, p->pred, best);
    c->shape = SHAPE_SINGLE;
    c->loss = mean_of(best, s->n);
    AM_GO(rc, cross_fit(s, SHAPE_GREEDY, p, greedy, err));
    /* folds by time leave the first stretch without predictions, which a stack cannot do without */
    const bool stackable = s->n >= STACK_ROWS && s->n == s->facts.n_rows;
    if (stackable)
        AM_GO(rc, cross_fit(s, SHAPE_STACK, p, stack, err));
    if (beats(best, greedy, s->n, &c->gain, &c->noise)) {
        c->shape = SHAPE_GREEDY;
        c->loss = mean_of(greedy, s->n);
    }
    if (stackable && beats(c->shape == SHAPE_GREEDY ? greedy : best, stack, s->n, &gain, &noise)) {
        (void)beats(best, stack, s->n, &c->gain, &c->noise);
        c->shape = SHAPE_STACK;
        c->loss = mean_of(stack, s->n);
    }
out:
    am_free(losses);
    return rc;
}

/* Does what was chosen fit the time and the latency? If not, the pool loses its most costly one. */
static bool affordable(const struct search *s, struct chosen *c)
{
    double fit = 0, latency = 0;
    size_t worst = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct candidate *q = &s->all[c->which[i]], *w = &s->all[c->which[worst]];
        fit += q->fit_s;
        latency += q->latency_us;
        worst = s->job->latency_us > 0 ? (q->latency_us > w->latency_us ? i : worst)
                                       : (q->fit_s > w->fit_s ? i : worst);
    }
    /* a stack needs its out-of-fold predictions no second time: the search's are used */
    const bool ok =
        fit * 1.3 <= refit_left_s(s) && !(s->job->latency_us > 0 && latency > s->job->latency_us);
    if (ok || c->n < 2)
        return true;
    for (size_t i = 0; i < c->n_pool; i++)
        if (c->pool[i] == c->which[worst]) {
            memmove(c->pool + i, c->pool + i + 1, (c->n_pool - i - 1) * sizeof *c->pool);
            c->n_pool--;
            break;
        }
    return false;
}

static enum am_rc take_members(struct chosen *c, const struct am_predictions *p, struct am_err *err)
{
    double w[POOL] = {0};
    c->n = 0;
    if (c->shape == SHAPE_SINGLE) {
        c->which[0] = c->pool[0];
        c->weights[0] = 1;
        c->n = 1;
        return AM_OK;
    }
    AM_TRY(am_combine_greedy(p, 50, NULL, w, NULL, err));
    for (size_t m = 0; m < c->n_pool; m++)
        if (c->shape == SHAPE_STACK || w[m] > 0) {
            c->which[c->n] = c->pool[m];
            c->weights[c->n++] = w[m];
        }
    return AM_OK;
}

#define STACK_MEMBERS 8 /* a model over more of them learns noise */

static enum am_rc choose(struct search *s, struct chosen *c, struct am_err *err)
{
    fill_pool(s, c);
    c->pred = am_alloc_array(s->n + 1, POOL * s->n_out * sizeof *c->pred);
    if (!c->pred)
        return am_fail_nomem(err, s->n * POOL * s->n_out * sizeof *c->pred);
    for (;;) {
        for (size_t m = 0; m < c->n_pool; m++)
            memcpy(c->pred + m * s->n * s->n_out, s->all[c->pool[m]].pred,
                   s->n * s->n_out * sizeof *c->pred);
        struct am_predictions p = predictions_of(s, c->pred, c->n_pool);
        AM_TRY(decide(s, c, &p, err));
        if (c->shape == SHAPE_STACK && c->n_pool > STACK_MEMBERS) {
            c->n_pool = STACK_MEMBERS;
            p.n_members = STACK_MEMBERS;
            AM_TRY(decide(s, c, &p, err));
        }
        AM_TRY(take_members(c, &p, err));
        if (affordable(s, c))
            return AM_OK;
    }
}

/* ---- the model as a recipe ---- */

static struct am_node *chosen_model(struct search *s, const struct chosen *c)
{
    struct am_arena *a = s->arena;
    if (c->n == 1)
        return s->all[c->which[0]].model;
    struct am_node *m = am_new_map(a), *members = am_new_list(a);
    am_node_set(a, m, "type", am_new_cstr(a, "ensemble"));
    am_node_set(a, m, "combine", am_new_cstr(a, c->shape == SHAPE_STACK ? "stack" : "weighted"));
    for (size_t i = 0; i < c->n; i++) {
        struct am_node *one = am_node_copy(a, s->all[c->which[i]].model);
        if (c->shape != SHAPE_STACK)
            am_node_set(a, one, "weight", am_new_f64(a, c->weights[i]));
        am_node_push(a, members, one);
    }
    am_node_set(a, m, "members", members);
    if (c->shape == SHAPE_STACK) {
        am_node_set(a, m, "folds", am_new_i64(a, (int64_t)s->folds.spec.n));
        am_node_set(a, m, "leak_check", am_new_cstr(a, "never")); /* done by cross_fit's folds */
    }
    return m;
}

/* ---- the leaderboard ---- */

static struct am_node *number_or_null(struct am_arena *a, double v)
{
    return isfinite(v) ? am_new_f64(a, v) : am_new_null(a);
}

static struct am_node *board_row(const struct search *s, const struct candidate *c, size_t k)
{
    struct am_arena *a = s->arena;
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_str(a, am_arena_printf(a, "%s-%zu", c->family->name, k + 1)));
    am_node_set(a, m, "family", am_new_cstr(a, c->family->name));
    am_node_set(a, m, "origin", am_new_cstr(a, c->origin));
    am_node_set(a, m, "status", am_new_cstr(a, am_trial_status_name(c->status)));
    am_node_set(a, m, "loss", number_or_null(a, c->loss));
    am_node_set(a, m, "deviation", number_or_null(a, c->deviation));
    am_node_set(a, m, "fit_seconds", number_or_null(a, c->fit_s));
    am_node_set(a, m, "latency_us", number_or_null(a, c->latency_us));
    am_node_set(a, m, "bytes", am_new_i64(a, (int64_t)c->bytes));
    am_node_set(a, m, "chosen", am_new_bool(a, c->chosen));
    am_node_set(a, m, "model", am_new_cstr(a, json_of(a, c->model)));
    if (c->status == AM_TRIAL_FAILED)
        am_node_set(a, m, "reason", am_new_cstr(a, c->why));
    return m;
}

static int by_loss_then_place(const void *x, const void *y)
{
    const struct candidate *const *a = x, *const *b = y;
    if ((*a)->loss != (*b)->loss && !(isinf((*a)->loss) && isinf((*b)->loss)))
        return (*a)->loss > (*b)->loss ? 1 : -1;
    return (*a > *b) - (*a < *b);
}

static struct am_node *leaderboard(struct search *s, const struct chosen *c)
{
    struct am_arena *a = s->arena;
    const struct candidate *order[CANDIDATES_MAX] = {NULL};
    struct am_node *list = am_new_list(a);
    if (c->n > 1) {
        struct am_node *m = am_new_map(a);
        double fit = 0, latency = 0, bytes = 0;
        for (size_t i = 0; i < c->n; i++) {
            fit += s->all[c->which[i]].fit_s;
            latency += s->all[c->which[i]].latency_us;
            bytes += (double)s->all[c->which[i]].bytes;
        }
        am_node_set(a, m, "name", am_new_cstr(a, "ensemble"));
        am_node_set(a, m, "family", am_new_cstr(a, "ensemble"));
        am_node_set(a, m, "origin", am_new_cstr(a, c->shape == SHAPE_STACK ? "stack" : "greedy"));
        am_node_set(a, m, "status", am_new_cstr(a, "ok"));
        am_node_set(a, m, "loss", number_or_null(a, c->loss));
        am_node_set(a, m, "deviation", am_new_null(a));
        am_node_set(a, m, "fit_seconds", am_new_f64(a, fit));
        am_node_set(a, m, "latency_us", am_new_f64(a, latency));
        am_node_set(a, m, "bytes", am_new_f64(a, bytes));
        am_node_set(a, m, "chosen", am_new_bool(a, true));
        am_node_push(a, list, m);
    }
    for (size_t i = 0; i < c->n; i++)
        s->all[c->which[i]].chosen = true;
    for (size_t i = 0; i < s->n_all; i++)
        order[i] = &s->all[i];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    qsort(order, s->n_all, sizeof *order, by_loss_then_place);
    for (size_t i = 0; i < s->n_all; i++)
        am_node_push(a, list, board_row(s, order[i], (size_t)(order[i] - s->all)));
    return list;
}

static struct am_str why_chosen(const struct search *s, const struct chosen *c)
{
    const char *best = s->all[c->pool[0]].family->name;
    if (c->n == 1 && n_finished(s) == 1)
        return am_arena_printf(s->arena, am_tr("%s: the only model that the budget finished"),
                               best);
    if (c->n == 1)
        return am_arena_printf(
            s->arena,
            am_tr("%s alone: no combination was better by more than one standard error (%.2g)"),
            best, c->noise);
    return am_arena_printf(s->arena,
                           c->shape == SHAPE_STACK
                               ? am_tr("%zu models stacked: out of fold %.4g better than the best "
                                       "single one (%s), standard error %.2g")
                               : am_tr("%zu models together: out of fold %.4g better than the best "
                                       "single one (%s), standard error %.2g"),
                           c->n, c->gain, best, c->noise);
}

static struct am_node *search_node(const struct search *s, const struct chosen *c)
{
    struct am_arena *a = s->arena;
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "metric",
                am_new_cstr(a, s->facts.task == AM_TASK_REGRESSION ? "mse" : "log_loss"));
    am_node_set(a, m, "folds", am_new_i64(a, (int64_t)am_folds_count(&s->folds)));
    am_node_set(a, m, "budget_seconds", s->end_ns ? am_new_f64(a, s->budget_s) : am_new_null(a));
    am_node_set(a, m, "search_seconds", am_new_f64(a, elapsed_s(s)));
    am_node_set(a, m, "trials", am_new_i64(a, (int64_t)s->n_all));
    am_node_set(a, m, "finished", am_new_i64(a, (int64_t)n_finished(s)));
    am_node_set(a, m, "chosen",
                am_new_cstr(a, c->n == 1                 ? "single"
                               : c->shape == SHAPE_STACK ? "stack"
                                                         : "greedy"));
    am_node_set(a, m, "best_single", number_or_null(a, s->all[c->pool[0]].loss));
    am_node_set(a, m, "loss", number_or_null(a, c->loss));
    am_node_set(a, m, "why", am_new_str(a, why_chosen(s, c)));
    am_node_set(a, m, "skipped", s->skipped);
    return m;
}

/* ---- from data to candidates ---- */

static const char *metrics_of(const struct am_node *start)
{
    const struct am_str task = am_node_str(start, "task", "");
    return am_str_is(task, "binary")       ? "[log_loss, roc_auc, accuracy, f1]"
           : am_str_is(task, "multiclass") ? "[log_loss, accuracy, f1]"
                                           : "[rmse, mae, r2]";
}

static bool listed(const struct am_node *list, struct am_str name)
{
    struct am_str s;
    for (size_t i = 0; list && list->kind == AM_NODE_LIST && i < list->list.n; i++)
        if (am_node_as_str(list->list.items[i], &s) && am_str_eq(s, name))
            return true;
    return false;
}

/* Texts as terms, sparse: what every family can read and straight lines are good at. */
static void encode_texts(struct search *s, struct am_node *recipe, const struct am_node *columns)
{
    struct am_arena *a = s->arena;
    for (size_t i = 0; columns && i < columns->list.n; i++) {
        const struct am_str name = am_node_str(columns->list.items[i], "name", "");
        struct am_node *features = am_node_get(recipe, "features"), *how = am_new_map(a);
        if (!am_str_is(am_node_str(columns->list.items[i], "type", ""), "text") ||
            (s->job->target && am_str_is(name, s->job->target)) ||
            listed(am_node_path(recipe, "data.id"), name) ||
            listed(am_node_get(features, "drop"), name))
            continue;
        if (!features) {
            features = am_new_map(a);
            am_node_set(a, recipe, "features", features);
        }
        am_node_set(a, how, "encode", am_new_cstr(a, "tfidf"));
        am_node_set_str(a, features, name, how);
    }
}

/* The starter recipe without a validation part (folds do its work), networks that end by
 * themselves. */
static enum am_rc base_recipe(struct search *s, struct am_node **out, struct am_err *err)
{
    struct am_arena *a = s->arena;
    struct am_node *start, *recipe, *split, *train, *metrics;
    AM_TRY(am_pipeline_init(s->pl, a, s->job->source, s->job->target, NULL, &start, err));
    AM_TRY(am_yaml_parse(a, am_node_str(start, "recipe", ""), "recipe", &recipe, err));
    split = am_node_path(recipe, "data.split");
    if (split && am_node_get(split, "test"))
        am_node_set(a, split, "validation", am_new_i64(a, 0));
    AM_TRY(am_yaml_parse(a,
                         am_str("{optimizer: adamw, learning_rate: 0.003, weight_decay: 0.01, "
                                "epochs: 30, batch_size: 64, schedule: {type: cosine, warmup: 2}}"),
                         "train", &train, err));
    AM_TRY(am_yaml_parse(a, am_str(metrics_of(start)), "metrics", &metrics, err));
    am_node_set(a, recipe, "train", train);
    encode_texts(s, recipe, am_node_get(start, "columns"));
    am_node_set(a, am_node_get(recipe, "evaluate"), "metrics", metrics);
    *out = recipe;
    return am_arena_check(a, err);
}

static enum am_rc yaml_of(struct am_arena *a, const struct am_node *n, struct am_str *out,
                          struct am_err *err)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 22);
    am_node_to_yaml(n, &b);
    *out = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return am_arena_check(a, err);
}

static struct am_recipe_source source_of(const struct search *s, struct am_str text)
{
    return (struct am_recipe_source){
        .text = text, .what = am_tr("recipe"), .sets = s->job->sets, .n_sets = s->job->n_sets};
}

/* Fewer folds where rows are many: the error of the estimate falls with the rows. */
static int64_t n_folds_for(uint64_t rows)
{
    return rows > 200000 ? 2 : rows > 50000 ? 3 : 5;
}

static enum am_rc open_search(struct search *s, struct am_node *recipe, struct am_err *err)
{
    struct am_folds_spec spec;
    struct am_str text;
    AM_TRY(yaml_of(s->arena, recipe, &text, err));
    const struct am_recipe_source src = source_of(s, text);
    AM_TRY(am_prepare_data(&s->p, s->pl, s->arena, &src, NULL, err));
    AM_TRY(am_prepare_rows(&s->p, err));
    AM_TRY(am_facts_of(&s->p, &s->facts, err));
    s->prepare_s = elapsed_s(s);
    if (s->facts.n_media) {
        am_fail(err, AM_EUSAGE,
                "the rows are pictures, sounds or videos, and --budget compares "
                "models of tables");
        am_hint(err, "Train a network with `aimass run DATA`, or search with `tune:` in a recipe.");
        return AM_EUSAGE;
    }
    struct am_node *folds = am_new_i64(s->arena, n_folds_for(s->facts.n_rows));
    AM_TRY(am_folds_spec_from_node(&s->p, folds, "run", AM_PART_BIT(AM_ROW_TRAIN), &spec, err));
    AM_TRY(am_folds_make(&s->p, &spec, NULL, &s->folds, err));
    const struct am_trials_options o = {.folds = &s->folds};
    AM_TRY(am_trials_new(&s->p, &o, &s->trials, err));
    AM_TRY(am_costs_open(am_registry_dir(s->pl->registry), &s->costs, err));
    if (s->end_ns && s->budget_s >= 60) /* a second or two, once a machine */
        AM_TRY(am_costs_calibrate(s->costs, s->pl,
                                  s->started_ns + (uint64_t)(s->budget_s * 0.1 * 1e9), err));
    s->all = am_calloc(CANDIDATES_MAX, sizeof *s->all);
    s->skipped = am_new_list(s->arena);
    return s->all ? am_arena_check(s->arena, err) : am_fail_nomem(err, CANDIDATES_MAX);
}

static void close_search(struct search *s)
{
    for (size_t i = 0; s->all && i < s->n_all; i++)
        am_free(s->all[i].pred);
    am_free(s->all);
    for (size_t i = 0; i < s->n_tuners; i++)
        am_tune_free(s->tuners[i].tune);
    am_free(s->y);
    am_free(s->fold);
    am_trials_free(s->trials);
    am_folds_clear(&s->folds);
    am_costs_free(s->costs);
    am_prepared_clear(&s->p);
}

static enum am_rc nothing_finished(const struct search *s, struct am_err *err)
{
    for (size_t i = 0; i < s->n_all; i++)
        if (s->all[i].status == AM_TRIAL_FAILED)
            return am_fail(err, AM_EINVAL, "no model could be trained; the first failed: %s",
                           s->all[i].why);
    am_fail(err, AM_EUSAGE, "the budget of %.3g s ended before one model was trained and measured",
            s->budget_s);
    am_hint(err,
            "Reading and splitting the data took %.2g s; give --budget at least %.0fs, or "
            "leave it out for one quick model.",
            s->prepare_s, ceil(fmax(4 * s->prepare_s, 2 * s->budget_s) + 1));
    return AM_EUSAGE;
}

static enum am_rc read_job(struct search *s, struct am_err *err)
{
    const struct am_auto_job *j = s->job;
    if (j->budget.len && !am_budget_parse(j->budget, &s->budget_s)) {
        am_fail(err, AM_EUSAGE, "--budget \"%.*s\" is no time", AM_FMT(j->budget));
        am_hint(err, "Write seconds, minutes or hours: 90s, 5m, 1h.");
        return AM_EUSAGE;
    }
    for (size_t i = 0; i < j->n_sets; i++)
        if (am_str_starts(am_str(j->sets[i]), AM_STR("model"))) {
            am_fail(err, AM_EUSAGE, "--set %s: with --budget the model is what is searched",
                    j->sets[i]);
            am_hint(err, "Leave it out, or train that model: `aimass run DATA --target T --set "
                         "model.type=...` without --budget.");
            return AM_EUSAGE;
        }
    s->n_trials = j->n_trials ? j->n_trials : j->budget.len ? 0 : 20;
    if (s->budget_s > 0)
        s->end_ns = s->started_ns + (uint64_t)(s->budget_s * 1e9);
    return AM_OK;
}

struct extra {
    const struct search *s;
    const struct chosen *c;
    struct am_node *board, *search;
};

/* What the search knows goes into the training before it begins: nothing is predicted twice. */
static enum am_rc prepare_training(void *ctx, struct am_training *t, struct am_err *err)
{
    const struct extra *e = ctx;
    const struct chosen *c = e->c;
    t->extra = am_new_map(t->p.arena);
    am_node_set(t->p.arena, t->extra, "leaderboard", e->board);
    am_node_set(t->p.arena, t->extra, "search", e->search);
    if (c->shape != SHAPE_STACK || c->n < 2)
        return am_arena_check(t->p.arena, err);
    for (size_t i = 0; i < c->n; i++) {
        const struct candidate *q = &e->s->all[c->which[i]];
        AM_TRY(am_oof_offer(t, q->model, e->s->folds.spec.n, e->s->n, e->s->n_out, q->pred, err));
    }
    return am_arena_check(t->p.arena, err);
}

static enum am_rc finish(struct search *s, struct am_node *recipe, const struct chosen *c,
                         struct am_node **out, struct am_err *err)
{
    struct extra e = {.s = s, .c = c};
    struct am_str text;
    am_node_set(s->arena, recipe, "model", chosen_model(s, c));
    e.board = leaderboard(s, c);
    e.search = search_node(s, c);
    /* importance asks the model for 5 x columns x 2,000 rows */
    double us = 0;
    for (size_t i = 0; i < c->n; i++)
        us += s->all[c->which[i]].latency_us;
    const double rows = fmin((double)s->p.counts.n[AM_ROW_TEST], 2000);
    if (s->end_ns && 5 * rows * (double)s->facts.n_columns * us * 1e-6 / 4 > refit_left_s(s) / 2)
        am_node_set(s->arena, am_node_get(recipe, "evaluate"), "importance",
                    am_new_bool(s->arena, false));
    AM_TRY(yaml_of(s->arena, recipe, &text, err));
    const struct am_recipe_source src = source_of(s, text);
    AM_TRY(am_training_once(s->pl, s->arena, &src, s->p.hash.ptr, prepare_training, &e, out, err));
    am_node_set(s->arena, *out, "recipe", am_new_str(s->arena, text));
    am_node_set(s->arena, *out, "leaderboard", e.board);
    am_node_set(s->arena, *out, "search", e.search);
    am_node_set(s->arena, *out, "seconds", am_new_f64(s->arena, elapsed_s(s)));
    return am_arena_check(s->arena, err);
}

enum am_rc am_pipeline_auto(struct am_pipeline *pl, struct am_arena *a,
                            const struct am_auto_job *job, struct am_node **out, struct am_err *err)
{
    struct search *s = am_arena_zalloc(a, sizeof *s);
    struct chosen *c = am_arena_zalloc(a, sizeof *c);
    struct am_node *recipe;
    enum am_rc rc;
    AM_TRY(am_arena_check(a, err));
    s->pl = pl;
    s->arena = a;
    s->job = job;
    s->started_ns = am_mono_ns();
    AM_TRY(read_job(s, err));
    AM_GO(rc, base_recipe(s, &recipe, err));
    AM_GO(rc, open_search(s, recipe, err));
    am_progress_begin(pl->progress, "search", 0);
    rc = portfolio(s, err);
    if (rc == AM_OK)
        rc = tune(s, err);
    am_progress_end(pl->progress);
    if (rc != AM_OK)
        goto out;
    if (n_finished(s) == 0)
        AM_GO(rc, nothing_finished(s, err));
    AM_GO(rc, choose(s, c, err));
    rc = finish(s, recipe, c, out, err);
out:
    am_free(c->pred);
    close_search(s);
    return rc;
}
