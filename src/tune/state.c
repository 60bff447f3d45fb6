/* A study as a tree and back: whoever stores it chooses where.
 *
 * A trial is stored as its place in the unit cube, from which its values follow to the bit, and
 * with the numbers that its sampler left for the next ask. What is read is not trusted: every
 * count, number and name is checked. */
#include <math.h>

#include "tune/tune_int.h"

enum { STATE_VERSION = 1 };

static const char *const origins[] = {"given", "grid",    "random", "sobol", "bayesian",
                                      "tpe",   "genetic", "cmaes",  "nsga2", "promoted"};
static const char *const direction_names[] = {"minimize", "maximize", NULL};
static const char *const bound_names[] = {"<=", ">=", NULL};

/* ---- out ---- */

static struct am_node *numbers(struct am_arena *a, const double *v, size_t n)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++)
        am_node_push(a, list, isnan(v[i]) ? am_new_null(a) : am_new_f64(a, v[i]));
    return list;
}

static struct am_node *steps_node(struct am_arena *a, const struct tune_trial *x)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < x->t.n_steps; i++) {
        struct am_node *pair = am_new_list(a);
        double v = x->t.steps[i].value;
        am_node_push(a, pair, am_new_i64(a, (int64_t)x->t.steps[i].step));
        am_node_push(a, pair, isnan(v) ? am_new_null(a) : am_new_f64(a, v));
        am_node_push(a, list, pair);
    }
    return list;
}

struct am_node *am_tune_export_trial(const struct am_tune *t, uint64_t number, struct am_arena *a)
{
    const struct am_tune_config *c = &t->config;
    struct am_node *m = am_new_map(a);
    const struct tune_trial *x;
    if (number >= t->trials.len)
        return am_new_null(a);
    x = t->trials.ptr[number];
    am_node_set(a, m, "number", am_new_i64(a, (int64_t)number));
    am_node_set(a, m, "status", am_new_cstr(a, am_tune_status_names[x->t.status]));
    am_node_set(a, m, "origin", am_new_cstr(a, x->t.origin));
    am_node_set(a, m, "unit", numbers(a, x->unit, t->space->n));
    am_node_set(a, m, "values", am_node_copy(a, x->t.values)); /* for people; not read back */
    if (x->t.resumes >= 0)
        am_node_set(a, m, "resumes", am_new_i64(a, x->t.resumes));
    if (am_tune_uses_rungs(t)) {
        am_node_set(a, m, "rung", am_new_i64(a, x->rung));
        am_node_set(a, m, "bracket", am_new_i64(a, x->bracket));
    }
    if (x->n_model)
        am_node_set(a, m, "model", numbers(a, x->model, x->n_model));
    if (x->t.status == AM_TUNE_PENDING)
        return m;
    if (x->t.objectives)
        am_node_set(a, m, "objectives", numbers(a, x->objectives, c->n_objectives));
    if (x->t.constraints)
        am_node_set(a, m, "constraints", numbers(a, x->constraints, c->n_constraints));
    if (x->t.n_steps)
        am_node_set(a, m, "steps", steps_node(a, x));
    if (x->t.reason)
        am_node_set(a, m, "reason", am_new_cstr(a, x->t.reason));
    return m;
}

static struct am_node *export_config(const struct am_tune_config *c, struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *goals = am_new_list(a), *limits = am_new_list(a);
    for (size_t i = 0; i < c->n_objectives; i++) {
        struct am_node *o = am_new_map(a);
        am_node_set(a, o, "name", am_new_cstr(a, c->objectives[i].name));
        am_node_set(a, o, "direction", am_new_cstr(a, direction_names[c->objectives[i].direction]));
        am_node_push(a, goals, o);
    }
    for (size_t i = 0; i < c->n_constraints; i++) {
        struct am_node *o = am_new_map(a);
        am_node_set(a, o, "name", am_new_cstr(a, c->constraints[i].name));
        am_node_set(a, o, "bound", am_new_cstr(a, bound_names[c->constraints[i].bound]));
        am_node_set(a, o, "limit", am_new_f64(a, c->constraints[i].limit));
        am_node_push(a, limits, o);
    }
    am_node_set(a, m, "objectives", goals);
    am_node_set(a, m, "constraints", limits);
    am_node_set(a, m, "sampler", am_new_cstr(a, am_tune_sampler_names[c->sampler]));
    am_node_set(a, m, "pruner", am_new_cstr(a, am_tune_pruner_names[c->pruner]));
    am_node_set(a, m, "seed", am_new_i64(a, (int64_t)c->seed));
    am_node_set(a, m, "delay", am_new_i64(a, c->delay));
    am_node_set(a, m, "n_trials", am_new_i64(a, (int64_t)c->n_trials));
    am_node_set(a, m, "n_startup", am_new_i64(a, c->n_startup));
    am_node_set(a, m, "population", am_new_i64(a, c->population));
    am_node_set(a, m, "percentile", am_new_f64(a, c->percentile));
    am_node_set(a, m, "prune_after", am_new_i64(a, c->prune_after));
    am_node_set(a, m, "prune_from_step", am_new_i64(a, (int64_t)c->prune_from_step));
    am_node_set(a, m, "patience", am_new_i64(a, (int64_t)c->patience));
    am_node_set(a, m, "min_delta", am_new_f64(a, c->min_delta));
    am_node_set(a, m, "min_steps", am_new_i64(a, (int64_t)c->min_steps));
    am_node_set(a, m, "max_steps", am_new_i64(a, (int64_t)c->max_steps));
    am_node_set(a, m, "reduction", am_new_i64(a, c->reduction));
    return m;
}

struct am_node *am_tune_export(const struct am_tune *t, struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *queue = am_new_list(a), *trials = am_new_list(a);
    am_node_set(a, m, "version", am_new_i64(a, STATE_VERSION));
    am_node_set(a, m, "over", am_node_copy(a, t->space->over));
    am_node_set(a, m, "config", export_config(&t->config, a));
    for (size_t i = t->queue_at; i < t->queue.len; i++)
        am_node_push(a, queue, numbers(a, t->queue.ptr[i], t->space->n));
    am_node_set(a, m, "queue", queue);
    for (size_t i = 0; i < t->trials.len; i++)
        am_node_push(a, trials, am_tune_export_trial(t, i, a));
    am_node_set(a, m, "trials", trials);
    return m;
}

/* ---- in ---- */

static enum am_rc bad_part(struct am_err *err, const char *what)
{
    return am_fail(err, AM_ECORRUPT, "the stored search is damaged: %s", what);
}

static bool index_of(struct am_str name, const char *const *names, size_t n, unsigned *out)
{
    for (unsigned i = 0; i < n && names[i]; i++)
        if (am_str_is(name, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

/* A list of n numbers, null = NaN. */
static bool read_numbers(const struct am_node *list, size_t n, double *out)
{
    if (!list || list->kind != AM_NODE_LIST || list->list.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (am_node_is_null(list->list.items[i]))
            out[i] = NAN;
        else if (!am_node_as_f64(list->list.items[i], &out[i]) || !isfinite(out[i]))
            return false;
    }
    return true;
}

static bool read_unit(const struct am_tune *t, const struct am_node *list, double *unit)
{
    double before[TUNE_DIMS_MAX];
    if (!read_numbers(list, t->space->n, unit))
        return false;
    memcpy(before, unit, t->space->n * sizeof *unit);
    am_tune_snap(t->space, unit);
    return am_tune_same(t->space, before, unit);
}

static enum am_rc read_goals(const struct am_node *m, struct am_tune_objective *goals,
                             struct am_tune_constraint *limits, struct am_tune_config *c,
                             struct am_arena *a, struct am_err *err)
{
    const struct am_node *g = am_node_get(m, "objectives"), *l = am_node_get(m, "constraints");
    if (!g || !l || g->kind != AM_NODE_LIST || l->kind != AM_NODE_LIST ||
        g->list.n > TUNE_GOALS_MAX || l->list.n > TUNE_GOALS_MAX)
        return bad_part(err, "objectives");
    for (size_t i = 0; i < g->list.n; i++) {
        unsigned d = 0;
        if (!index_of(am_node_str(g->list.items[i], "direction", ""), direction_names, 2, &d))
            return bad_part(err, "direction");
        goals[i].direction = (enum am_tune_direction)d;
        goals[i].name = am_arena_str(a, am_node_str(g->list.items[i], "name", "")).ptr;
    }
    for (size_t i = 0; i < l->list.n; i++) {
        unsigned b = 0;
        if (!index_of(am_node_str(l->list.items[i], "bound", ""), bound_names, 2, &b))
            return bad_part(err, "bound");
        limits[i].bound = (enum am_tune_bound)b;
        limits[i].name = am_arena_str(a, am_node_str(l->list.items[i], "name", "")).ptr;
        limits[i].limit = am_node_f64(l->list.items[i], "limit", NAN);
    }
    c->objectives = goals;
    c->n_objectives = g->list.n;
    c->constraints = limits;
    c->n_constraints = l->list.n;
    return am_arena_check(a, err);
}

static uint32_t small(const struct am_node *m, const char *key)
{
    int64_t v = am_node_i64(m, key, 0);
    return v < 0 ? 0 : v > 1000000 ? 1000000 : (uint32_t)v;
}

static uint64_t large(const struct am_node *m, const char *key)
{
    int64_t v = am_node_i64(m, key, 0);
    return v < 0 ? 0 : (uint64_t)v;
}

static enum am_rc read_config(const struct am_node *m, struct am_tune_config *c, struct am_err *err)
{
    if (!am_tune_sampler_by_name(am_node_str(m, "sampler", ""), &c->sampler) ||
        !am_tune_pruner_by_name(am_node_str(m, "pruner", ""), &c->pruner))
        return bad_part(err, "sampler or pruner");
    c->seed = (uint64_t)am_node_i64(m, "seed", 0);
    c->delay = small(m, "delay");
    c->n_trials = large(m, "n_trials");
    c->n_startup = small(m, "n_startup");
    c->population = small(m, "population");
    c->percentile = am_node_f64(m, "percentile", 0);
    c->prune_after = small(m, "prune_after");
    c->prune_from_step = large(m, "prune_from_step");
    c->patience = large(m, "patience");
    c->min_delta = am_node_f64(m, "min_delta", 0);
    c->min_steps = large(m, "min_steps");
    c->max_steps = large(m, "max_steps");
    c->reduction = small(m, "reduction");
    return AM_OK;
}

static enum am_rc read_steps(const struct am_node *list, struct am_arena *a,
                             struct am_tune_result *r, struct am_err *err)
{
    struct am_tune_step *s;
    if (!list)
        return AM_OK;
    if (list->kind != AM_NODE_LIST)
        return bad_part(err, "steps");
    s = am_arena_array(a, list->list.n + 1, sizeof *s);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *pair = list->list.items[i];
        int64_t step;
        if (pair->kind != AM_NODE_LIST || pair->list.n != 2 ||
            !am_node_as_i64(pair->list.items[0], &step) || step < 0)
            return bad_part(err, "steps");
        s[i].step = (uint64_t)step;
        s[i].value = NAN;
        (void)am_node_as_f64(pair->list.items[1], &s[i].value);
    }
    r->steps = s;
    r->n_steps = list->list.n;
    return AM_OK;
}

/* The trial as it was asked: place, origin, rung, the sampler's numbers. */
static enum am_rc put_asked(struct am_tune *t, const struct am_node *m, struct am_err *err)
{
    double unit[TUNE_DIMS_MAX], model[TUNE_MODEL_MAX];
    struct tune_proposal p = {.unit = unit, .model = model, .resumes = -1};
    const struct am_node *numbers_left = am_node_get(m, "model");
    struct tune_trial *x;
    unsigned origin = 0;
    if (!read_unit(t, am_node_get(m, "unit"), unit))
        return bad_part(err, "unit");
    if (!index_of(am_node_str(m, "origin", ""), origins, sizeof origins / sizeof *origins, &origin))
        return bad_part(err, "origin");
    p.origin = origins[origin];
    p.resumes = am_node_i64(m, "resumes", -1);
    p.rung = small(m, "rung");
    p.bracket = small(m, "bracket");
    if (p.resumes >= (int64_t)t->trials.len || p.resumes < -1 || p.rung >= am_tune_n_rungs(t) ||
        p.bracket > p.rung)
        return bad_part(err, "rung");
    if (numbers_left) {
        p.n_model = numbers_left->kind == AM_NODE_LIST && numbers_left->list.n <= TUNE_MODEL_MAX
                        ? (uint32_t)numbers_left->list.n
                        : 0;
        if (!read_numbers(numbers_left, p.n_model, model))
            return bad_part(err, "model");
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    if (!am_vec_reserve(&t->trials, t->trials.len + 1))
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
        return am_fail_nomem(err, sizeof x);
    x = am_tune_new_trial(t, unit, &p);
    if (!x)
        return am_fail_nomem(err, sizeof *x);
    t->trials.ptr[t->trials.len++] = x;
    if (strcmp(p.origin, "given") == 0 && t->queue_at < t->queue.len)
        t->queue_at++;
    return AM_OK;
}

static enum am_rc put_result(struct am_tune *t, const struct am_node *m, uint64_t number,
                             enum am_tune_status status, struct am_arena *a, struct am_err *err)
{
    double objectives[TUNE_GOALS_MAX], constraints[TUNE_GOALS_MAX];
    struct am_tune_result r = {.status = status};
    const struct am_node *o = am_node_get(m, "objectives"), *c = am_node_get(m, "constraints");
    struct am_str reason = am_node_str(m, "reason", NULL);
    if ((o && !read_numbers(o, t->config.n_objectives, objectives)) ||
        (c && !read_numbers(c, t->config.n_constraints, constraints)) ||
        (status == AM_TUNE_OK && !o))
        return bad_part(err, "objectives or constraints");
    r.objectives = o ? objectives : NULL;
    r.constraints = c ? constraints : NULL;
    AM_TRY(read_steps(am_node_get(m, "steps"), a, &r, err));
    if (reason.ptr)
        r.reason = am_arena_str(a, reason).ptr;
    AM_TRY(am_arena_check(a, err));
    return am_tune_tell(t, number, &r, err);
}

enum am_rc am_tune_import_trial(struct am_tune *t, const struct am_node *trial, struct am_err *err)
{
    int64_t number = am_node_i64(trial, "number", -1);
    unsigned status = 0;
    struct am_arena *a;
    enum am_rc rc;
    if (number < 0 || (uint64_t)number > t->trials.len)
        return bad_part(err, "number");
    if (!index_of(am_node_str(trial, "status", ""), am_tune_status_names, 4, &status))
        return bad_part(err, "status");
    if ((uint64_t)number == t->trials.len)
        AM_TRY(put_asked(t, trial, err));
    if (status == AM_TUNE_PENDING)
        return AM_OK;
    a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    rc = put_result(t, trial, (uint64_t)number, (enum am_tune_status)status, a, err);
    am_arena_free(a);
    return rc;
}

static enum am_rc import_rest(struct am_tune *t, const struct am_node *state, struct am_err *err)
{
    const struct am_node *queue = am_node_get(state, "queue");
    const struct am_node *trials = am_node_get(state, "trials");
    for (size_t i = 0; trials && trials->kind == AM_NODE_LIST && i < trials->list.n; i++)
        AM_TRY(am_tune_import_trial(t, trials->list.items[i], err));
    for (size_t i = 0; queue && queue->kind == AM_NODE_LIST && i < queue->list.n; i++) {
        double *unit = am_arena_array(t->arena, t->space->n, sizeof *unit);
        if (!unit || !am_vec_push(&t->queue, unit))
            return am_fail_nomem(err, t->space->n * sizeof *unit);
        if (!read_unit(t, queue->list.items[i], unit))
            return bad_part(err, "queue");
    }
    return AM_OK;
}

enum am_rc am_tune_import(const struct am_node *state, struct am_tune **out, struct am_err *err)
{
    struct am_tune_objective goals[TUNE_GOALS_MAX];
    struct am_tune_constraint limits[TUNE_GOALS_MAX];
    struct am_tune_config c = {0};
    const struct am_node *config = am_node_get(state, "config");
    struct am_arena *a;
    enum am_rc rc;
    *out = NULL;
    if (am_node_i64(state, "version", 0) != STATE_VERSION)
        return am_fail(err, AM_EUNSUPPORTED,
                       "the stored search is of version %lld; this program reads version %d",
                       (long long)am_node_i64(state, "version", 0), STATE_VERSION);
    a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    AM_GO(rc, read_goals(config, goals, limits, &c, a, err));
    AM_GO(rc, read_config(config, &c, err));
    AM_GO(rc, am_tune_new(am_node_get(state, "over"), &c, out, err));
    rc = import_rest(*out, state, err);
    if (rc) {
        am_tune_free(*out);
        *out = NULL;
    }
out:
    am_arena_free(a);
    return rc;
}
