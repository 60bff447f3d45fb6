/* A study: its configuration, ask, tell and report.
 *
 * Samplers choose places (sample_*.c), prune.c stops trials; this file keeps the rule of delay: the
 * n-th ask hands on the results of the first n - delay + 1 trials only. Each trial lives in an
 * arena of its own, so a failed ask leaves the study as it was. */
#include <math.h>

#include "base/limits.h"
#include "tune/tune_int.h"

const char *const am_tune_sampler_names[] = {"auto", "grid",    "random", "sobol", "bayesian",
                                             "tpe",  "genetic", "cmaes",  "nsga2", NULL};
const char *const am_tune_pruner_names[] = {"none",    "median",    "percentile",
                                            "halving", "hyperband", NULL};
const char *const am_tune_status_names[] = {"pending", "ok", "failed", "pruned", NULL};

static bool by_name(struct am_str name, const char *const *names, unsigned *out)
{
    for (unsigned i = 0; names[i]; i++)
        if (am_str_is(name, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

bool am_tune_sampler_by_name(struct am_str name, enum am_tune_sampler *out)
{
    unsigned i = 0;
    bool found = by_name(name, am_tune_sampler_names, &i);
    if (found)
        *out = (enum am_tune_sampler)i;
    return found;
}

bool am_tune_pruner_by_name(struct am_str name, enum am_tune_pruner *out)
{
    unsigned i = 0;
    bool found = by_name(name, am_tune_pruner_names, &i);
    if (found)
        *out = (enum am_tune_pruner)i;
    return found;
}

void am_tune_rng(struct am_rng *r, const struct am_tune *t, enum tune_purpose p, uint64_t number)
{
    am_rng_init(r, t->config.seed,
                (uint64_t)AM_RNG_TUNE << 48 | (uint64_t)p << 40 | (number & 0xffffffffffu));
}

/* ---- configuration ---- */

static enum am_rc check_goals(const struct am_tune_config *c, struct am_err *err)
{
    if (c->n_objectives < 1 || c->n_objectives > TUNE_GOALS_MAX)
        return am_fail(err, AM_EUSAGE, "a search has 1 to %d objectives, not %zu", TUNE_GOALS_MAX,
                       c->n_objectives);
    if (c->n_constraints > TUNE_GOALS_MAX)
        return am_fail(err, AM_EUSAGE, "a search has at most %d constraints, not %zu",
                       TUNE_GOALS_MAX, c->n_constraints);
    for (size_t i = 0; i < c->n_objectives; i++)
        for (size_t k = 0; k < i; k++)
            if (am_str_eq(am_str(c->objectives[i].name), am_str(c->objectives[k].name)))
                return am_fail(err, AM_EUSAGE, "objective %s is named twice",
                               c->objectives[i].name);
    for (size_t i = 0; i < c->n_constraints; i++)
        if (!isfinite(c->constraints[i].limit))
            return am_fail(err, AM_EUSAGE, "the limit of constraint %s is not a finite number",
                           c->constraints[i].name);
    if (c->n_objectives > 1 && (c->sampler == AM_TUNE_GENETIC || c->sampler == AM_TUNE_CMAES)) {
        (void)am_fail(err, AM_EUSAGE, "search %s takes one objective, not %zu",
                      am_tune_sampler_names[c->sampler], c->n_objectives);
        (void)am_hint(err, "Use search: nsga2 or bayesian, or turn all but one into constraints.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc check_pruner(const struct am_tune_config *c, struct am_err *err)
{
    if (c->percentile < 0 || c->percentile >= 1)
        return am_fail(err, AM_EUSAGE, "pruner: the share to keep is within 0 and 1, not %g",
                       c->percentile);
    if (c->reduction == 1)
        return am_fail(err, AM_EUSAGE, "pruner: the reduction is 2 or more, not 1");
    if ((c->pruner == AM_TUNE_PRUNE_HALVING || c->pruner == AM_TUNE_PRUNE_HYPERBAND)) {
        if (c->max_steps == 0)
            return am_fail(err, AM_EUSAGE, "pruner %s needs the steps of a whole trial",
                           am_tune_pruner_names[c->pruner]);
        if (c->min_steps > c->max_steps)
            return am_fail(err, AM_EUSAGE,
                           "pruner: the first rung of %llu steps is more than the trial's %llu",
                           (unsigned long long)c->min_steps, (unsigned long long)c->max_steps);
        if (c->n_objectives > 1)
            return am_fail(err, AM_EUSAGE, "pruner %s takes one objective, not %zu",
                           am_tune_pruner_names[c->pruner], c->n_objectives);
    }
    return AM_OK;
}

static enum am_rc check_config(const struct am_tune_config *c, struct am_err *err)
{
    if ((unsigned)c->sampler > AM_TUNE_NSGA2 || (unsigned)c->pruner > AM_TUNE_PRUNE_HYPERBAND)
        return am_fail(err, AM_EINVAL, "unknown sampler %u or pruner %u", (unsigned)c->sampler,
                       (unsigned)c->pruner);
    AM_TRY(check_goals(c, err));
    return check_pruner(c, err);
}

static void fill_defaults(struct am_tune_config *c)
{
    c->delay = c->delay ? c->delay : 1;
    if (c->percentile == 0)
        c->percentile = c->pruner == AM_TUNE_PRUNE_MEDIAN ? 0.5 : 0.75;
    c->prune_after = c->prune_after ? c->prune_after : 5;
    if (c->prune_from_step == 0)
        c->prune_from_step = c->max_steps >= 5 ? c->max_steps / 5 : 1;
    c->min_steps = c->min_steps ? c->min_steps : 1;
    c->reduction = c->reduction ? c->reduction : 3;
}

static void copy_goals(struct am_tune *t, const struct am_tune_config *c)
{
    struct am_tune_objective *o = am_arena_array(t->arena, c->n_objectives, sizeof *o);
    struct am_tune_constraint *k = am_arena_array(t->arena, c->n_constraints + 1, sizeof *k);
    t->config = *c;
    t->config.objectives = o;
    t->config.constraints = k;
    for (size_t i = 0; o && i < c->n_objectives; i++) {
        o[i] = c->objectives[i];
        o[i].name = am_arena_str(t->arena, am_str(o[i].name)).ptr;
    }
    for (size_t i = 0; k && i < c->n_constraints; i++) {
        k[i] = c->constraints[i];
        k[i].name = am_arena_str(t->arena, am_str(k[i].name)).ptr;
    }
}

enum am_rc am_tune_new(const struct am_node *over, const struct am_tune_config *config,
                       struct am_tune **out, struct am_err *err)
{
    struct am_tune *t = NULL;
    struct am_tune_space *space = NULL;
    struct am_arena *a = NULL;
    enum am_rc rc;
    *out = NULL;
    AM_TRY(check_config(config, err));
    AM_TRY(am_tune_space_parse(over, &space, err));
    a = am_arena_new(0);
    t = am_calloc(1, sizeof *t);
    if (!a || !t) {
        rc = am_fail_nomem(err, sizeof *t);
        goto out;
    }
    t->arena = a;
    copy_goals(t, config);
    fill_defaults(&t->config);
    AM_GO(rc, am_arena_check(a, err));
    t->space = space;
    *out = t;
    return AM_OK;
out:
    am_free(t);
    am_arena_free(a);
    am_tune_space_free(space);
    return rc;
}

static void free_trial(struct tune_trial *x)
{
    struct am_arena *a = x->arena;
    am_vec_clear(&x->steps);
    am_free(x->reason);
    am_arena_free(a);
}

void am_tune_free(struct am_tune *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->trials.len; i++)
        free_trial(t->trials.ptr[i]);
    am_vec_clear(&t->trials);
    am_vec_clear(&t->queue);
    am_free(t->front.trials);
    am_tune_cmaes_free(t->cmaes);
    am_tune_space_free(t->space);
    am_arena_free(t->arena);
    am_free(t);
}

const struct am_tune_space *am_tune_space(const struct am_tune *t)
{
    return t->space;
}

const struct am_tune_config *am_tune_config(const struct am_tune *t)
{
    return &t->config;
}

/* ---- ask ---- */

size_t am_tune_known(const struct am_tune *t, uint64_t number)
{
    return number >= t->config.delay ? (size_t)(number - t->config.delay + 1) : 0;
}

bool am_tune_can_ask(const struct am_tune *t)
{
    return t->n_done >= am_tune_known(t, t->trials.len);
}

enum am_rc am_tune_enqueue(struct am_tune *t, const struct am_node *values, struct am_err *err)
{
    double *unit;
    if (!values || values->kind != AM_NODE_MAP)
        return am_fail(err, AM_EINVAL, "values to try first are not a map of paths");
    unit = am_arena_array(t->arena, t->space->n, sizeof *unit);
    if (!unit || !am_vec_push(&t->queue, unit))
        return am_fail_nomem(err, t->space->n * sizeof *unit);
    am_tune_place(t->space, values, unit);
    return AM_OK;
}

struct tune_trial *am_tune_new_trial(const struct am_tune *t, const double *unit,
                                     const struct tune_proposal *p)
{
    size_t n = t->space->n;
    struct am_arena *a = am_arena_new(0);
    struct tune_trial *x = a ? am_arena_zalloc(a, sizeof *x) : NULL;
    if (!x) {
        am_arena_free(a);
        return NULL;
    }
    x->arena = a;
    x->unit = am_arena_array(a, n, sizeof(double));
    x->objectives = am_arena_array(a, t->config.n_objectives, sizeof(double));
    x->constraints = am_arena_array(a, t->config.n_constraints + 1, sizeof(double));
    x->model = am_arena_array(a, p->n_model + 1, sizeof(double));
    if (am_arena_check(a, NULL) == AM_OK) {
        memcpy(x->unit, unit, n * sizeof *unit);
        memcpy(x->model, p->model, p->n_model * sizeof(double));
        x->n_model = p->n_model;
        x->t.values = am_tune_values(t->space, x->unit, a);
    }
    if (am_arena_check(a, NULL)) {
        am_arena_free(a);
        return NULL;
    }
    x->rung = p->rung;
    x->bracket = p->bracket;
    x->t.number = t->trials.len;
    x->t.unit = x->unit;
    x->t.origin = p->origin;
    x->t.resumes = p->resumes;
    x->t.steps_max = am_tune_uses_rungs(t) ? am_tune_rung_steps(t, p->rung) : 0;
    return x;
}

bool am_tune_tried(const struct am_tune *t, const double *unit)
{
    for (size_t i = 0; i < t->trials.len; i++)
        if (am_tune_same(t->space, t->trials.ptr[i]->unit, unit))
            return true;
    return false;
}

void am_tune_draw(const struct am_tune *t, struct am_rng *r, double *unit)
{
    for (size_t i = 0; i < t->space->n; i++)
        unit[i] = am_rng_unit(r);
    am_tune_snap(t->space, unit);
}

static bool is_mostly_conditional(const struct am_tune_space *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->dims[i].when != TUNE_ALWAYS;
    return 2 * n > s->n;
}

enum am_tune_sampler am_tune_sampler_now(const struct am_tune *t, size_t known)
{
    const struct am_tune_config *c = &t->config;
    bool model_suits = known < TUNE_BAYESIAN_TRIALS && t->space->n <= TUNE_BAYESIAN_DIMS_MAX;
    if (c->sampler == AM_TUNE_BAYESIAN)
        return known < TUNE_BAYESIAN_TRIALS ? AM_TUNE_BAYESIAN : AM_TUNE_TPE;
    if (c->sampler != AM_TUNE_AUTO)
        return c->sampler;
    if (c->n_objectives > 1)
        return c->n_trials > TUNE_BAYESIAN_TRIALS ? AM_TUNE_NSGA2
               : model_suits                      ? AM_TUNE_BAYESIAN
                                                  : AM_TUNE_TPE;
    return model_suits && !is_mostly_conditional(t->space) ? AM_TUNE_BAYESIAN : AM_TUNE_TPE;
}

static enum am_rc sample(struct am_tune *t, size_t known, struct tune_proposal *p,
                         struct am_err *err)
{
    switch (am_tune_sampler_now(t, known)) {
    case AM_TUNE_GRID:
        am_tune_sample_grid(t, p);
        return AM_OK;
    case AM_TUNE_SOBOL:
        am_tune_sample_sobol(t, p);
        return AM_OK;
    case AM_TUNE_BAYESIAN:
        return am_tune_sample_bayesian(t, known, p, err);
    case AM_TUNE_TPE:
        return am_tune_sample_tpe(t, known, p, err);
    case AM_TUNE_GENETIC:
        return am_tune_sample_genetic(t, known, p, err);
    case AM_TUNE_NSGA2:
        return am_tune_sample_nsga2(t, known, p, err);
    case AM_TUNE_CMAES:
        return am_tune_sample_cmaes(t, known, p, err);
    case AM_TUNE_RANDOM:
    case AM_TUNE_AUTO:
        break;
    }
    am_tune_sample_random(t, p);
    return AM_OK;
}

/* A place not tried yet, when the sampler proposes one that was: at random, then in order. */
static void replace_tried(const struct am_tune *t, struct tune_proposal *p)
{
    struct am_rng r;
    double points;
    am_tune_rng(&r, t, TUNE_DRAW_RETRY, t->trials.len);
    for (int i = 0; i < 100; i++) {
        am_tune_draw(t, &r, p->unit);
        if (!am_tune_tried(t, p->unit))
            return;
    }
    points = am_tune_n_points(t->space, 0);
    /* NOLINTNEXTLINE(cert-flp30-c): whole numbers */
    for (double i = 0; i < points && i <= (double)t->trials.len; i++)
        if (am_tune_nth_point(t->space, 0, i, p->unit) && !am_tune_tried(t, p->unit))
            return;
    p->exhausted = isfinite(points);
}

static enum am_rc propose(struct am_tune *t, struct tune_proposal *p, struct am_err *err)
{
    size_t known = am_tune_known(t, t->trials.len);
    if (am_tune_uses_rungs(t))
        am_tune_first_rung(t, p);
    if (t->queue_at < t->queue.len) {
        memcpy(p->unit, t->queue.ptr[t->queue_at], t->space->n * sizeof(double));
        p->origin = "given";
        return AM_OK;
    }
    if (am_tune_uses_rungs(t) && am_tune_promote(t, known, p))
        return AM_OK;
    AM_TRY(sample(t, known, p, err));
    if (p->exhausted)
        return AM_OK;
    am_tune_snap(t->space, p->unit);
    if (am_tune_tried(t, p->unit))
        replace_tried(t, p);
    return AM_OK;
}

enum am_rc am_tune_ask(struct am_tune *t, const struct am_tune_trial **out, struct am_err *err)
{
    double unit[TUNE_DIMS_MAX], model[TUNE_MODEL_MAX];
    struct tune_proposal p = {.unit = unit, .resumes = -1, .model = model, .origin = "random"};
    struct tune_trial *x;
    *out = NULL;
    if (!am_tune_can_ask(t))
        return am_fail(err, AM_EBUSY, "trial %zu waits for the result of trial %zu", t->trials.len,
                       t->n_done);
    AM_TRY(propose(t, &p, err));
    if (p.exhausted)
        return AM_OK;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    if (!am_vec_reserve(&t->trials, t->trials.len + 1))
        return am_fail_nomem(err, sizeof(void *) * (t->trials.len + 1));
    x = am_tune_new_trial(t, p.unit, &p);
    if (!x)
        return am_fail_nomem(err, sizeof *x);
    if (t->queue_at < t->queue.len)
        t->queue_at++;
    t->trials.ptr[t->trials.len++] = x;
    *out = &x->t;
    return AM_OK;
}

/* ---- tell ---- */

size_t am_tune_n(const struct am_tune *t)
{
    return t->trials.len;
}

const struct am_tune_trial *am_tune_trial(const struct am_tune *t, uint64_t number)
{
    return number < t->trials.len ? &t->trials.ptr[number]->t : NULL;
}

size_t am_tune_n_told(const struct am_tune *t)
{
    return t->n_told;
}

static enum am_rc find_pending(const struct am_tune *t, uint64_t number, struct tune_trial **out,
                               struct am_err *err)
{
    if (number >= t->trials.len)
        return am_fail(err, AM_ENOTFOUND, "the search has no trial %llu",
                       (unsigned long long)number);
    *out = t->trials.ptr[number];
    if ((*out)->t.status != AM_TUNE_PENDING)
        return am_fail(err, AM_EEXIST, "trial %llu has its result already",
                       (unsigned long long)number);
    return AM_OK;
}

static double violation(const struct am_tune_config *c, const double *v)
{
    double sum = 0;
    for (size_t i = 0; i < c->n_constraints; i++) {
        const struct am_tune_constraint *k = &c->constraints[i];
        double over = k->bound == AM_TUNE_AT_MOST ? v[i] - k->limit : k->limit - v[i];
        double scale = fabs(k->limit) > 1e-12 ? fabs(k->limit) : 1;
        if (isnan(over))
            sum += 1; /* not measured is not kept */
        else if (over > 0)
            sum += over / scale;
    }
    return sum;
}

static enum am_rc put_steps(struct tune_trial *x, const struct am_tune_step *steps, size_t n,
                            struct am_err *err)
{
    if (n == 0)
        return AM_OK;
    if (n > TUNE_STEPS_MAX)
        return am_fail(err, AM_ELIMIT, "a trial of %zu steps; at most %d", n, TUNE_STEPS_MAX);
    for (size_t i = 1; i < n; i++)
        if (steps[i].step <= steps[i - 1].step)
            return am_fail(err, AM_EINVAL, "steps of a trial go up; %llu follows %llu",
                           (unsigned long long)steps[i].step,
                           (unsigned long long)steps[i - 1].step);
    if (!am_vec_reserve(&x->steps, n))
        return am_fail_nomem(err, n * sizeof *steps);
    memcpy(x->steps.ptr, steps, n * sizeof *steps);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x->steps.ptr[i].value))
            x->steps.ptr[i].value = NAN;
    x->steps.len = n;
    return AM_OK;
}

static void set_status(struct am_tune *t, struct tune_trial *x, const struct am_tune_result *r)
{
    const struct am_tune_config *c = &t->config;
    x->t.status = r->status;
    for (size_t i = 0; r->objectives && i < c->n_objectives; i++) {
        x->objectives[i] = r->objectives[i];
        if (!isfinite(r->objectives[i]) && x->t.status == AM_TUNE_OK)
            x->t.status = AM_TUNE_FAILED;
    }
    x->t.objectives = x->t.status != AM_TUNE_FAILED && r->objectives ? x->objectives : NULL;
    for (size_t i = 0; i < c->n_constraints; i++)
        x->constraints[i] = r->constraints && isfinite(r->constraints[i]) ? r->constraints[i] : NAN;
    x->t.constraints = r->constraints ? x->constraints : NULL;
    x->t.violation = violation(c, x->constraints);
    x->t.steps = x->steps.ptr;
    x->t.n_steps = x->steps.len;
    t->n_told++;
    while (t->n_done < t->trials.len && t->trials.ptr[t->n_done]->t.status != AM_TUNE_PENDING)
        t->n_done++;
}

enum am_rc am_tune_tell(struct am_tune *t, uint64_t number, const struct am_tune_result *result,
                        struct am_err *err)
{
    struct tune_trial *x = NULL;
    char *reason = NULL;
    const char *why = result->reason;
    AM_TRY(find_pending(t, number, &x, err));
    if (result->status <= AM_TUNE_PENDING || result->status > AM_TUNE_PRUNED ||
        (result->status == AM_TUNE_OK && !result->objectives))
        return am_fail(err, AM_EINVAL,
                       "trial %llu: ok needs its objectives, and pending is no result",
                       (unsigned long long)number);
    for (size_t i = 0; result->status == AM_TUNE_OK && i < t->config.n_objectives; i++)
        if (!isfinite(result->objectives[i]) && !why)
            why = am_tr("its objective is not a finite number");
    AM_TRY(put_steps(x, result->steps, result->n_steps, err));
    if (why) {
        reason = am_strndup(why, strlen(why));
        if (!reason)
            return am_fail_nomem(err, strlen(why) + 1);
    }
    x->reason = reason;
    x->t.reason = reason;
    set_status(t, x, result);
    return AM_OK;
}

enum am_rc am_tune_report(struct am_tune *t, uint64_t number, uint64_t step, double value,
                          bool *stop, struct am_err *err)
{
    struct tune_trial *x = NULL;
    struct am_tune_step s = {step, isfinite(value) ? value : NAN};
    *stop = false;
    AM_TRY(find_pending(t, number, &x, err));
    while (x->steps.len && step <= x->steps.ptr[x->steps.len - 1].step)
        x->steps.len--; /* said again, or the trial began again */
    if (x->steps.len == TUNE_STEPS_MAX)
        return am_fail(err, AM_ELIMIT, "a trial of more than %d steps", TUNE_STEPS_MAX);
    if (!am_vec_push(&x->steps, s))
        return am_fail_nomem(err, (x->steps.len + 1) * sizeof s);
    x->t.steps = x->steps.ptr;
    x->t.n_steps = x->steps.len;
    *stop = isnan(s.value) || am_tune_stops(t, x);
    return AM_OK;
}
