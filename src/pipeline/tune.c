/* The search that `tune` of a recipe asks for: its plan checked before the first row, trials run in
 * workers (farm.h) and stored as they end, nested folds around it, and the best settings put into
 * the recipe, which is then trained as any other. What is tried next is src/tune's business. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/pool.h"
#include "pipeline/condition.h"
#include "pipeline/farm.h"
#include "pipeline/recipe_int.h"
#include "pipeline/train_int.h"
#include "pipeline/tune_int.h"

#define MOST_DEPTH 16 /* of conditions */
#define DEFAULT_TRIALS 40
#define NOT_LIMITED 1000000

/* ---- the plan ---- */

static const struct {
    const char *name;
    enum am_figure figure;
} figures[] = {{"latency_us", AM_FIGURE_LATENCY},
               {"size_bytes", AM_FIGURE_SIZE},
               {"parameters", AM_FIGURE_PARAMETERS},
               {"fit_seconds", AM_FIGURE_FIT}};

static enum am_rc at_tune(const struct am_training *t, const struct am_node *n, struct am_err *err,
                          const char *what)
{
    char where[256];
    am_recipe_where(n, &t->p.recipe.origin, where, sizeof where);
    am_context(err, "%s: %s", where, what);
    return err ? err->rc : AM_EUSAGE;
}

/* A name of a metric, of a composite or of a figure; *better is what is known of its direction. */
static enum am_rc quantity(struct am_training *t, struct am_tuning *u, struct am_str name,
                           struct am_quantity *out, enum am_metric_better *better,
                           struct am_err *err)
{
    const struct am_node *composite = am_node_path(t->p.recipe.resolved, "evaluate.composite");
    const struct am_metric_info *known = am_metric_find(name);
    struct am_str expression = name;
    *out = (struct am_quantity){.name = am_arena_str(t->p.arena, name).ptr,
                                .figure = AM_FIGURE_METRIC};
    *better = AM_METRIC_NEITHER;
    AM_TRY(am_arena_check(t->p.arena, err));
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        if (am_str_is(name, figures[i].name)) {
            out->figure = figures[i].figure;
            *better = AM_METRIC_LOWER;
            return AM_OK;
        }
    if (am_node_as_str(am_node_get_str(composite, name), &expression))
        known = NULL;
    AM_TRY(am_composite_check(expression, am_target_task(t->p.target), err));
    if (known)
        *better = known->better;
    for (out->at = 0; out->at < u->n_metrics; out->at++)
        if (am_str_eq(u->metrics[out->at], expression))
            return AM_OK;
    u->metrics[u->n_metrics++] = expression;
    return AM_OK;
}

static enum am_rc objective(struct am_training *t, struct am_tuning *u, const struct am_node *n,
                            struct am_err *err)
{
    struct am_str name, direction = am_node_str(n, "direction", "");
    enum am_metric_better better;
    struct am_quantity *q = &u->objectives[u->n_objectives];
    if (!am_node_as_str(n, &name))
        name = am_node_str(n, "metric", "");
    if (u->n_objectives == AM_TUNING_QUANTITIES || name.len == 0) {
        am_fail(err, AM_EUSAGE,
                name.len ? "more than %d objectives"
                         : AM_N("an objective has no name (at most %d)"),
                AM_TUNING_QUANTITIES);
        am_hint(err, "Write objective: roc_auc, or objective: [{metric: roc_auc}, {metric: "
                     "latency_us, direction: minimize}].");
        return AM_EUSAGE;
    }
    AM_TRY(quantity(t, u, name, q, &better, err));
    q->maximize = better == AM_METRIC_HIGHER;
    if (direction.len) {
        if (!am_str_is(direction, "minimize") && !am_str_is(direction, "maximize")) {
            am_fail(err, AM_EUSAGE, "direction \"%.*s\" is unknown", AM_FMT(direction));
            am_hint(err, "It is minimize or maximize.");
            return AM_EUSAGE;
        }
        q->maximize = am_str_is(direction, "maximize");
    } else if (better == AM_METRIC_NEITHER) {
        am_fail(err, AM_EUSAGE, "of \"%.*s\" nobody knows whether more is better", AM_FMT(name));
        am_hint(err, "Write objective: [{metric: %.*s, direction: maximize}].", AM_FMT(name));
        return AM_EUSAGE;
    }
    u->n_objectives++;
    return AM_OK;
}

static enum am_rc constraint(struct am_training *t, struct am_tuning *u, struct am_str text,
                             struct am_err *err)
{
    struct am_condition c;
    AM_TRY(am_condition_parse(text, &c, err));
    for (size_t i = 0; i < c.n; i++) {
        const struct am_condition_term *k = &c.terms[i];
        struct am_tuning_constraint *out = &u->constraints[u->n_constraints];
        enum am_metric_better better;
        if (u->n_constraints == AM_TUNING_QUANTITIES || k->left.alias.len || !k->left.metric.len ||
            k->left.number != 0 || k->right.metric.len || k->op == AM_COND_EQ) {
            am_fail(err, AM_EUSAGE, "constraint \"%.*s\" is not NAME <= NUMBER or NAME >= NUMBER",
                    AM_FMT(text));
            am_hint(err, "Write for example `latency_us <= 500`; at most %d of them.",
                    AM_TUNING_QUANTITIES);
            return AM_EUSAGE;
        }
        AM_TRY(quantity(t, u, k->left.metric, &out->of, &better, err));
        out->at_least = k->op == AM_COND_GE || k->op == AM_COND_GT;
        out->limit = k->right.number;
        u->n_constraints++;
    }
    return AM_OK;
}

static enum am_rc read_goals(struct am_training *t, const struct am_node *tune, struct am_tuning *u,
                             struct am_err *err)
{
    const struct am_node *o = am_node_get(tune, "objective"), *c = am_node_get(tune, "constraints");
    struct am_node first = {.kind = AM_NODE_TEXT};
    struct am_str s;
    u->metrics = am_arena_array(t->p.arena, t->n_metrics + 4 * (size_t)AM_TUNING_QUANTITIES,
                                sizeof *u->metrics);
    AM_TRY(am_arena_check(t->p.arena, err));
    for (size_t i = 0; i < t->n_metrics; i++)
        u->metrics[u->n_metrics++] = t->metric_names[i];
    if (!o) {
        first.text = t->metric_names[0];
        o = &first;
    }
    for (size_t i = 0; i < (o->kind == AM_NODE_LIST ? o->list.n : 1); i++)
        if (objective(t, u, o->kind == AM_NODE_LIST ? o->list.items[i] : o, err) != AM_OK)
            return at_tune(t, o, err, "tune.objective");
    if (u->n_objectives == 0) {
        am_fail(err, AM_EUSAGE, "it is empty");
        am_hint(err, "Name a metric, for example objective: roc_auc.");
        return at_tune(t, o, err, "tune.objective");
    }
    for (size_t i = 0; c && i < (c->kind == AM_NODE_LIST ? c->list.n : 1); i++)
        if (am_node_as_str(c->kind == AM_NODE_LIST ? c->list.items[i] : c, &s) &&
            constraint(t, u, s, err) != AM_OK)
            return at_tune(t, c, err, "tune.constraints");
    return AM_OK;
}

static bool seconds_of(const struct am_node *n, double *out)
{
    static const struct {
        char unit;
        double factor;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct am_str s;
    if (am_node_as_f64(n, out))
        return *out > 0 && isfinite(*out);
    if (!am_node_as_str(n, &s) || s.len < 2)
        return false;
    for (size_t i = 0; i < 4; i++)
        if (s.ptr[s.len - 1] == units[i].unit &&
            am_parse_double((struct am_str){s.ptr, s.len - 1}, AM_NUM_FINITE, out)) {
            *out *= units[i].factor;
            return *out > 0;
        }
    return false;
}

static enum am_rc read_limits(struct am_training *t, const struct am_node *tune,
                              struct am_tuning *u, struct am_err *err)
{
    const struct am_node *budget = am_node_get(tune, "budget");
    if (budget && !seconds_of(budget, &u->budget_s)) {
        am_fail(err, AM_EUSAGE, "it is no time");
        am_hint(err, "Write for example 90s, 5m or 2h, or a number of seconds.");
        return at_tune(t, budget, err, "tune.budget");
    }
    u->n_trials = (uint64_t)am_node_i64(tune, "trials", budget ? NOT_LIMITED : DEFAULT_TRIALS);
    u->parallel = (unsigned)am_node_i64(tune, "parallel", 4);
    u->n_workers = (unsigned)am_node_i64(tune, "workers", 0);
    u->n_threads = (unsigned)am_pool_size(t->p.pl->pool);
    if (u->n_threads < 1)
        u->n_threads = 1;
    if (u->n_workers == 0)
        u->n_workers = u->n_threads;
    if (u->n_workers > u->parallel)
        u->n_workers = u->parallel;
    if (u->n_workers > u->n_trials)
        u->n_workers = (unsigned)u->n_trials;
    return AM_OK;
}

static void fill_config(const struct am_training *t, const struct am_node *tune,
                        struct am_tuning *u)
{
    for (size_t i = 0; i < u->n_objectives; i++)
        u->tune_objectives[i] = (struct am_tune_objective){
            u->objectives[i].name, u->objectives[i].maximize ? AM_TUNE_MAXIMIZE : AM_TUNE_MINIMIZE};
    for (size_t i = 0; i < u->n_constraints; i++)
        u->tune_constraints[i] = (struct am_tune_constraint){
            u->constraints[i].of.name,
            u->constraints[i].at_least ? AM_TUNE_AT_LEAST : AM_TUNE_AT_MOST,
            u->constraints[i].limit};
    u->config = (struct am_tune_config){.objectives = u->tune_objectives,
                                        .n_objectives = u->n_objectives,
                                        .constraints = u->tune_constraints,
                                        .n_constraints = u->n_constraints,
                                        .seed = (uint64_t)am_node_i64(tune, "seed", 42),
                                        .delay = u->parallel,
                                        .n_trials = u->n_trials == NOT_LIMITED ? 0 : u->n_trials};
    (void)am_tune_sampler_by_name(am_node_str(tune, "search", "auto"), &u->config.sampler);
    (void)am_tune_pruner_by_name(am_node_str(tune, "pruner", "none"), &u->config.pruner);
    u->config.max_steps =
        u->folds.n >= 2
            ? am_folds_count(&(struct am_folds){.spec = u->folds})
            : (uint64_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "epochs", 50);
    /* three rungs: with the usual number of trials some come to the last one */
    u->config.min_steps = u->config.max_steps > 9 ? u->config.max_steps / 9 : 1;
}

/* ---- the space against the recipe ---- */

static struct am_str value_text(struct am_arena *a, const struct am_node *v)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_node_to_json(v, AM_JSON_COMPACT, &b);
    struct am_str s = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return s;
}

static struct am_str number_text(struct am_arena *a, const struct am_tune_param *p, double v)
{
    char text[AM_DOUBLE_CHARS];
    if (p->kind == AM_TUNE_INT)
        return p->list_position >= 0 ? am_arena_printf(a, "[%.0f]", v)
                                     : am_arena_printf(a, "%.0f", v);
    text[am_print_double(v, text)] = 0;
    return p->list_position >= 0 ? am_arena_printf(a, "[%s]", text)
                                 : am_arena_printf(a, "%s", text);
}

/* What switches a path on: its `when`, and theirs. */
static size_t conditions(const struct am_node *over, struct am_str path, struct am_arena *a,
                         struct am_recipe_set *out)
{
    size_t n = 0;
    for (struct am_str at = path; n < MOST_DEPTH;) {
        const struct am_node *when = am_node_get(am_node_get_str(over, at), "when");
        if (!when || when->kind != AM_NODE_MAP || when->map.n == 0)
            break;
        const struct am_node *v = when->map.pairs[0].value;
        if (v->kind == AM_NODE_LIST && v->list.n)
            v = v->list.items[0];
        at = when->map.pairs[0].key;
        out[n++] = (struct am_recipe_set){at, value_text(a, v)};
    }
    return n;
}

/* One value of a path alone: does the recipe take it, and would it be a candidate? */
static enum am_rc check_value(struct am_training *t, struct am_trials *trials,
                              const struct am_node *over, struct am_str path, struct am_str value,
                              struct am_err *err)
{
    struct am_recipe_set sets[MOST_DEPTH + 1];
    size_t n = conditions(over, path, t->p.arena, sets);
    sets[n] = (struct am_recipe_set){path, value};
    AM_TRY(am_arena_check(t->p.arena, err));
    enum am_rc rc = am_recipe_check_setting(t->p.arena, &t->p.recipe, &sets[n], err);
    /* conditions in the order from the outermost: model.type before model.layers */
    for (size_t i = 0; i < n / 2; i++) {
        struct am_recipe_set swap = sets[i];
        sets[i] = sets[n - 1 - i];
        sets[n - 1 - i] = swap;
    }
    if (rc == AM_OK)
        rc = am_trial_check(trials, sets, n + 1, err);
    if (rc != AM_OK && rc != AM_ENOMEM)
        (void)at_tune(t, am_node_get_str(over, path), err, "tune.over");
    return rc;
}

static enum am_rc check_param(struct am_training *t, struct am_trials *trials,
                              const struct am_node *over, const struct am_tune_param *p,
                              struct am_err *err)
{
    struct am_str path = am_str(p->path);
    if (p->list_position == -1 || p->list_position > 0)
        return AM_OK;
    for (size_t i = 0; i < p->n_choices; i++)
        AM_TRY(check_value(t, trials, over, path, value_text(t->p.arena, p->choices[i]), err));
    if (p->kind != AM_TUNE_FLOAT && p->kind != AM_TUNE_INT)
        return AM_OK;
    AM_TRY(check_value(t, trials, over, path, number_text(t->p.arena, p, p->low), err));
    return check_value(t, trials, over, path, number_text(t->p.arena, p, p->high), err);
}

static enum am_rc check_space(struct am_training *t, struct am_tuning *u, struct am_err *err)
{
    struct am_tune_space *space = NULL;
    struct am_folds folds = {0};
    struct am_trials *trials = NULL;
    struct am_trials_options o = {.folds = &folds,
                                  .metrics = u->metrics,
                                  .n_metrics = u->n_metrics,
                                  .weights_path = t->weights_path};
    enum am_rc rc = am_tune_space_parse(u->over, &space, err);
    if (rc == AM_EUSAGE && err) {
        am_context(err, "%s", t->p.recipe.origin.what);
        if (!err->hint[0])
            am_hint(err, "Write for example {log: [1e-4, 0.1]}, {float: [0, 0.5]}, {int: [2, 12]} "
                         "or a list of values.");
    }
    AM_TRY(rc);
    AM_GO(rc, am_folds_make(&t->p, &u->folds, NULL, &folds, err));
    AM_GO(rc, am_trials_new(&t->p, &o, &trials, err));
    for (size_t i = 0; i < am_tune_space_n(space); i++)
        AM_GO(rc, check_param(t, trials, u->over, am_tune_space_param(space, i), err));
out:
    am_trials_free(trials);
    am_folds_clear(&folds);
    am_tune_space_free(space);
    return rc;
}

enum am_rc am_training_tune_check(struct am_training *t, struct am_err *err)
{
    const struct am_node *tune = am_node_get(t->p.recipe.resolved, "tune");
    struct am_tuning *u;
    struct am_folds_spec outer;
    t->tuning = NULL;
    AM_TRY(am_training_fold_spec(t, &outer, err));
    if (!tune || tune->kind != AM_NODE_MAP)
        return AM_OK;
    u = am_arena_zalloc(t->p.arena, sizeof *u);
    AM_TRY(am_arena_check(t->p.arena, err));
    u->over = am_node_get(tune, "over");
    if (!u->over || u->over->kind != AM_NODE_MAP || u->over->map.n == 0) {
        am_fail(err, AM_EUSAGE, "nothing is searched");
        am_hint(err, "Say what, for example tune: {over: {train.learning_rate: {log: [1e-4, "
                     "0.1]}}}.");
        return at_tune(t, u->over ? u->over : tune, err, "tune.over");
    }
    AM_TRY(read_goals(t, tune, u, err));
    AM_TRY(read_limits(t, tune, u, err));
    AM_TRY(am_farm_tune_folds(&t->p, &u->folds, err));
    u->outer = outer;
    fill_config(t, tune, u);
    AM_TRY(check_space(t, u, err));
    u->node = tune;
    t->tuning = u;
    return AM_OK;
}

/* ---- one study ---- */

struct running {
    bool used;
    uint64_t number, began_ns;
};

struct study {
    struct am_training *t;
    struct am_tuning *u;
    struct am_farm *farm;   /* borrowed */
    struct am_tune *tune;   /* owned */
    int64_t which;          /* 0 = of the recipe; k = around outer fold k - 1 */
    struct am_node *trials; /* bodies, in the order of their ends */
    struct running running[AM_FARM_WORKERS_MAX];
    size_t n_running, n_ok, n_done;
    uint64_t began_ns;
    double before_s, budget_s; /* spent before a resume; 0 = no limit */
    bool stopped, late;
};

static double spent(const struct study *s)
{
    return s->before_s + (double)(am_mono_ns() - s->began_ns) * 1e-9;
}

static double figure_of(const struct am_quantity *q, const struct am_trial_result *r)
{
    switch (q->figure) {
    case AM_FIGURE_LATENCY:
        return r->latency_us;
    case AM_FIGURE_SIZE:
        return (double)r->size_bytes;
    case AM_FIGURE_PARAMETERS:
        return (double)r->n_parameters;
    case AM_FIGURE_FIT:
        return r->fit_seconds;
    case AM_FIGURE_METRIC:
        break;
    }
    return r->mean[q->at];
}

/* What the recipe says of a path, or what it would be without: where a search begins. */
static struct am_node *default_of(const struct am_training *t, struct am_str path)
{
    struct am_arena *a = t->p.arena;
    const struct am_node *resolved = t->p.recipe.resolved;
    struct am_str name = am_arena_str(a, path);
    struct am_node *v = name.ptr ? am_node_path(resolved, name.ptr) : NULL;
    const struct am_learner_ops *ops;
    struct am_learn_task task;
    const char *otherwise = NULL;
    if (v)
        return v;
    if (!am_str_starts(path, AM_STR("model.")) || am_training_task(t, &task, NULL) != AM_OK ||
        am_learner_of(&task, &ops, NULL) != AM_OK)
        return NULL;
    if (am_str_is(path, "model.type"))
        return am_new_cstr(a, ops->name);
    for (size_t i = 0; i < ops->n_keys; i++)
        if (am_str_is((struct am_str){path.ptr + 6, path.len - 6}, ops->keys[i].name))
            otherwise = ops->keys[i].otherwise;
    if (otherwise && am_yaml_parse(a, am_str(otherwise), "default", &v, NULL) == AM_OK)
        return v;
    return NULL;
}

/* The recipe's own settings are the first trial. */
static enum am_rc enqueue_defaults(struct study *s, struct am_err *err)
{
    struct am_node *values = am_new_map(s->t->p.arena);
    for (size_t i = 0; i < s->u->over->map.n; i++) {
        struct am_node *v = default_of(s->t, s->u->over->map.pairs[i].key);
        if (v && !am_node_is_null(v))
            am_node_set_str(s->t->p.arena, values, s->u->over->map.pairs[i].key, v);
    }
    AM_TRY(am_arena_check(s->t->p.arena, err));
    return am_tune_enqueue(s->tune, values, err);
}

static enum am_rc sets_of(struct am_arena *a, const struct am_node *values,
                          struct am_recipe_set **out, size_t *n, struct am_err *err)
{
    *n = values ? values->map.n : 0;
    *out = am_arena_array(a, *n + 1, sizeof **out);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = (struct am_recipe_set){am_arena_str(a, values->map.pairs[i].key),
                                           value_text(a, values->map.pairs[i].value)};
    return am_arena_check(a, err);
}

static enum am_rc launch(struct study *s, const struct am_tune_trial *trial, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    size_t k = 0;
    if (!a)
        return am_fail_nomem(err, sizeof(void *));
    struct am_farm_task task = {.id = (uint64_t)s->which << 40 | trial->number,
                                .folds = s->which ? AM_FARM_INNER : AM_FARM_TUNE,
                                .outer = s->which ? (size_t)s->which - 1 : 0,
                                .watch = s->u->objectives[0].at,
                                .reports = s->u->config.pruner != AM_TUNE_PRUNE_NONE};
    struct am_recipe_set *sets;
    enum am_rc rc = sets_of(a, trial->values, &sets, &task.n_sets, err);
    task.sets = sets;
    if (rc == AM_OK)
        rc = am_farm_start(s->farm, &task, err);
    am_arena_free(a);
    AM_TRY(rc);
    while (s->running[k].used)
        k++;
    s->running[k] = (struct running){true, trial->number, am_mono_ns()};
    s->n_running++;
    return AM_OK;
}

/* What is stored of a trial and shown in the report. */
static struct am_node *body_of(struct study *s, uint64_t number, const struct am_trial_result *r,
                               double seconds)
{
    struct am_arena *a = s->t->p.arena;
    struct am_node *b = am_new_map(a), *metrics = am_new_map(a);
    const struct am_tune_trial *trial = am_tune_trial(s->tune, number);
    bool told = trial->status != AM_TUNE_PENDING;
    am_node_set(a, b, "number", am_new_i64(a, (int64_t)number));
    am_node_set(a, b, "status",
                am_new_cstr(a, told ? am_tune_status_names[trial->status]
                                    : am_trial_status_name(AM_TRIAL_CANCELED)));
    am_node_set(a, b, "values", am_node_copy(a, trial->values));
    am_node_set(a, b, "origin", am_new_cstr(a, trial->origin));
    const char *why = trial->reason ? trial->reason : r->why;
    if (why[0])
        am_node_set(a, b, "why", am_new_cstr(a, why));
    for (size_t m = 0; r->mean && m < r->n_metrics && r->n_folds; m++) {
        struct am_node *one = am_new_map(a), *each = am_new_list(a);
        am_node_set(a, one, "mean", am_new_f64(a, r->mean[m]));
        am_node_set(a, one, "deviation", am_new_f64(a, r->deviation[m]));
        for (size_t k = 0; k < r->n_folds; k++)
            am_node_push(a, each, am_new_f64(a, r->metrics[k * r->n_metrics + m]));
        am_node_set(a, one, "each", each);
        am_node_set_str(a, metrics, s->u->metrics[m], one);
    }
    am_node_set(a, b, "metrics", metrics);
    am_node_set(a, b, "fit_seconds", am_new_f64(a, r->fit_seconds));
    am_node_set(a, b, "latency_us", am_new_f64(a, r->latency_us));
    am_node_set(a, b, "size_bytes", am_new_i64(a, (int64_t)r->size_bytes));
    am_node_set(a, b, "parameters", am_new_i64(a, (int64_t)r->n_parameters));
    am_node_set(a, b, "seconds", am_new_f64(a, seconds));
    am_node_set(a, b, "at_s", am_new_f64(a, spent(s)));
    if (told)
        am_node_set(a, b, "trial", am_tune_export_trial(s->tune, number, a));
    return b;
}

static enum am_rc keep(struct study *s, uint64_t number, const struct am_trial_result *r,
                       double seconds, struct am_err *err)
{
    struct am_node *body = body_of(s, number, r, seconds);
    const struct am_tune_trial *trial = am_tune_trial(s->tune, number);
    struct am_buf text;
    AM_TRY(am_arena_check(s->t->p.arena, err));
    am_node_push(s->t->p.arena, s->trials, body);
    if (s->t->run)
        AM_TRY(am_run_trial(s->t->run, s->which, (int64_t)number, body, err));
    am_buf_init(&text, 1 << 16);
    am_node_to_json(am_node_get(body, "values"), AM_JSON_COMPACT, &text);
    am_log(AM_LOG_INFO, "tune",
           "study=%lld trial=%llu status=%.*s %s=%g seconds=%.2f values=%.*s%s%s",
           (long long)s->which, (unsigned long long)number, AM_FMT(am_node_str(body, "status", "")),
           s->u->objectives[0].name, trial->objectives ? trial->objectives[0] : (double)NAN,
           seconds, AM_FMT(am_buf_view(&text)), r->why[0] ? " why=" : "", r->why);
    am_buf_clear(&text);
    return AM_OK;
}

static double best_so_far(const struct study *s)
{
    const struct am_tune_trial *b = am_tune_best(s->tune);
    return b && b->objectives ? b->objectives[0] : (double)NAN;
}

static enum am_rc tell(struct study *s, uint64_t number, const struct am_trial_result *r,
                       struct am_err *err)
{
    double objectives[AM_TUNING_QUANTITIES], constraints[AM_TUNING_QUANTITIES];
    char why[AM_ERR_MESSAGE_BYTES];
    struct am_tune_result out = {.status = r->status == AM_TRIAL_OK       ? AM_TUNE_OK
                                           : r->status == AM_TRIAL_PRUNED ? AM_TUNE_PRUNED
                                                                          : AM_TUNE_FAILED,
                                 .reason = r->why[0] ? r->why : NULL};
    for (size_t i = 0; out.status == AM_TUNE_OK && i < s->u->n_objectives; i++) {
        objectives[i] = figure_of(&s->u->objectives[i], r);
        if (isfinite(objectives[i]))
            continue;
        out.status = AM_TUNE_FAILED;
        snprintf(why, sizeof why, am_tr("%s is not defined on these rows"),
                 s->u->objectives[i].name);
        out.reason = why;
    }
    for (size_t i = 0; out.status == AM_TUNE_OK && i < s->u->n_constraints; i++)
        constraints[i] = figure_of(&s->u->constraints[i].of, r);
    if (out.status == AM_TUNE_OK) {
        out.objectives = objectives;
        out.constraints = s->u->n_constraints ? constraints : NULL;
        s->n_ok++;
    }
    return am_tune_tell(s->tune, number, &out, err);
}

static enum am_rc ended(struct study *s, const struct am_farm_event *e, struct am_err *err)
{
    uint64_t number = e->id & (((uint64_t)1 << 40) - 1);
    double seconds = 0;
    for (size_t i = 0; i < AM_FARM_WORKERS_MAX; i++)
        if (s->running[i].used && s->running[i].number == number) {
            seconds = (double)(am_mono_ns() - s->running[i].began_ns) * 1e-9;
            s->running[i].used = false;
            s->n_running--;
        }
    AM_TRY(tell(s, number, &e->result, err));
    s->n_done++;
    AM_TRY(keep(s, number, &e->result, seconds, err));
    am_progress_step(s->t->p.pl->progress, s->n_done,
                     s->u->n_trials == NOT_LIMITED ? 0 : s->u->n_trials, 0, best_so_far(s));
    return AM_OK;
}

static enum am_rc reported(struct study *s, const struct am_farm_event *e, struct am_err *err)
{
    bool stop = false;
    AM_TRY(
        am_tune_report(s->tune, e->id & (((uint64_t)1 << 40) - 1), e->step, e->value, &stop, err));
    return am_farm_answer(s->farm, e->id, stop ? AM_FARM_PRUNE : AM_FARM_GO_ON, err);
}

/* Trials that are cut are kept with their values, and run again by a resume. */
static enum am_rc cut_running(struct study *s, struct am_err *err)
{
    struct am_trial_result r = {.latency_us = (double)NAN};
    snprintf(r.why, sizeof r.why, "%s",
             s->late ? am_tr("cut at the end of the budget") : am_tr("cut by the person"));
    for (size_t i = 0; i < AM_FARM_WORKERS_MAX; i++) {
        struct running *k = &s->running[i];
        if (!k->used)
            continue;
        am_farm_cut(s->farm, (uint64_t)s->which << 40 | k->number);
        k->used = false;
        s->n_running--;
        AM_TRY(keep(s, k->number, &r, (double)(am_mono_ns() - k->began_ns) * 1e-9, err));
    }
    return AM_OK;
}

static bool over(struct study *s)
{
    s->stopped = am_progress_canceled(s->t->p.pl->progress);
    s->late = s->budget_s > 0 && spent(s) >= s->budget_s;
    return s->stopped || s->late;
}

/* Trials that a resume found unfinished come first. */
static enum am_rc next_trial(struct study *s, const struct am_tune_trial **out, struct am_err *err)
{
    *out = NULL;
    for (uint64_t n = 0; n < am_tune_n(s->tune); n++) {
        const struct am_tune_trial *t = am_tune_trial(s->tune, n);
        bool runs = false;
        for (size_t i = 0; i < AM_FARM_WORKERS_MAX; i++)
            runs = runs || (s->running[i].used && s->running[i].number == n);
        if (t->status == AM_TUNE_PENDING && !runs) {
            *out = t;
            return AM_OK;
        }
    }
    if (am_tune_n(s->tune) >= s->u->n_trials || !am_tune_can_ask(s->tune))
        return AM_OK;
    return am_tune_ask(s->tune, out, err);
}

static enum am_rc wait_once(struct study *s, struct am_err *err)
{
    struct am_farm_event e;
    int ms = 100; /* how soon Ctrl-C is seen */
    if (s->budget_s > 0 && (s->budget_s - spent(s)) * 1000 < ms)
        ms = s->budget_s > spent(s) ? (int)((s->budget_s - spent(s)) * 1000) + 1 : 0;
    AM_TRY(am_farm_wait(s->farm, ms, &e, err));
    if (e.what == AM_FARM_REPORT)
        return reported(s, &e, err);
    if (e.what != AM_FARM_RESULT)
        return AM_OK;
    enum am_rc rc = ended(s, &e, err);
    am_trial_result_clear(&e.result);
    return rc;
}

static enum am_rc search(struct study *s, struct am_err *err)
{
    while (!over(s)) {
        const struct am_tune_trial *trial = NULL;
        while (am_farm_n_idle(s->farm) > 0) {
            AM_TRY(next_trial(s, &trial, err));
            if (!trial)
                break;
            AM_TRY(launch(s, trial, err));
        }
        if (s->n_running == 0)
            return AM_OK;
        AM_TRY(wait_once(s, err));
    }
    return cut_running(s, err);
}

/* Trials of an earlier attempt. Those that are missing between them are asked for again, which
 * gives the same values. */
static enum am_rc take_up(struct study *s, const struct am_node *stored, struct am_err *err)
{
    for (size_t i = 0; stored && i < stored->list.n; i++) {
        const struct am_node *row = stored->list.items[i], *body = am_node_get(row, "body"),
                             *trial = am_node_get(body, "trial");
        uint64_t number = (uint64_t)am_node_i64(row, "number", -1);
        const struct am_tune_trial *asked;
        if (am_node_i64(row, "study", 0) != s->which || !trial || am_node_is_null(trial))
            continue;
        while (am_tune_n(s->tune) < number) {
            AM_TRY(am_tune_ask(s->tune, &asked, err));
            if (!asked)
                break;
        }
        AM_TRY(am_tune_import_trial(s->tune, trial, err));
        am_node_push(s->t->p.arena, s->trials, am_node_copy(s->t->p.arena, body));
        s->n_done++;
        s->n_ok += am_tune_trial(s->tune, number)->status == AM_TUNE_OK;
        s->before_s = fmax(s->before_s, am_node_f64(body, "at_s", 0));
    }
    return am_arena_check(s->t->p.arena, err);
}

/* The best one that ended; where halving let none run to its end, the best of those that came
 * furthest. */
static const struct am_tune_trial *best_of(const struct study *s)
{
    const struct am_tune_trial *best = am_tune_best(s->tune);
    bool up = s->u->objectives[0].maximize;
    if (best || s->n_ok)
        return best;
    for (uint64_t n = 0; n < am_tune_n(s->tune); n++) {
        const struct am_tune_trial *t = am_tune_trial(s->tune, n);
        if (t->status != AM_TUNE_PRUNED || t->n_steps == 0)
            continue;
        const struct am_tune_step *a = &t->steps[t->n_steps - 1],
                                  *b = best ? &best->steps[best->n_steps - 1] : NULL;
        if (!b || a->step > b->step ||
            (a->step == b->step && (up ? a->value > b->value : a->value < b->value)))
            best = t;
    }
    return best;
}

static enum am_rc nothing_found(const struct study *s, struct am_err *err)
{
    const struct am_tune_trial *failed = NULL, *least = NULL;
    for (uint64_t n = 0; n < am_tune_n(s->tune); n++) {
        const struct am_tune_trial *t = am_tune_trial(s->tune, n);
        if (!failed && t->status == AM_TUNE_FAILED)
            failed = t;
        if (t->status == AM_TUNE_OK && (!least || t->violation < least->violation))
            least = t;
    }
    if (s->stopped)
        return am_fail(err, AM_ECANCELED, "canceled before the first trial ended");
    if (least) {
        am_fail(err, AM_EGATE, "none of %zu trials keeps to tune.constraints", s->n_ok);
        am_hint(err,
                "Trial %llu comes nearest; `aimass study` shows it. Widen the constraints or "
                "the space.",
                (unsigned long long)least->number);
        return AM_EGATE;
    }
    if (s->late && !failed) {
        am_fail(err, AM_ETIMEDOUT, "the budget of %g s was over before the first trial ended",
                s->budget_s);
        am_hint(err, "Raise tune.budget, or make a trial cheaper: fewer tune.folds, fewer epochs, "
                     "or data.sample.");
        return AM_ETIMEDOUT;
    }
    am_fail(err, AM_EINVAL, "all %zu trials failed; the first one: %s", s->n_done,
            failed && failed->reason ? failed->reason : am_tr("unknown"));
    am_hint(err, "The settings of the first trial are the recipe's own: does it train without "
                 "tune?");
    return AM_EINVAL;
}

static void study_clear(struct study *s)
{
    am_tune_free(s->tune);
    s->tune = NULL;
}

static enum am_rc study_begin(struct study *s, struct am_training *t, int64_t which,
                              struct am_farm *farm, struct am_err *err)
{
    struct am_tuning *u = t->tuning;
    size_t outer = u->outer.n >= 2 ? am_folds_count(&(struct am_folds){.spec = u->outer}) : 0;
    *s = (struct study){.t = t,
                        .u = u,
                        .farm = farm,
                        .which = which,
                        .trials = am_new_list(t->p.arena),
                        .began_ns = am_mono_ns(),
                        .budget_s = u->budget_s / (double)(1 + outer)};
    AM_TRY(am_arena_check(t->p.arena, err));
    AM_TRY(am_tune_new(u->over, &u->config, &s->tune, err));
    AM_TRY(enqueue_defaults(s, err));
    return take_up(s, t->stored_trials, err);
}

/* ---- around it ---- */

static struct am_node *applied_node(const struct am_training *t)
{
    struct am_node *copy = am_node_copy(t->p.arena, t->p.recipe.resolved);
    for (size_t i = 0; copy && i < copy->map.n; i++)
        if (am_str_is(copy->map.pairs[i].key, "tune")) {
            memmove(&copy->map.pairs[i], &copy->map.pairs[i + 1],
                    (copy->map.n - i - 1) * sizeof copy->map.pairs[i]);
            copy->map.n--;
            break;
        }
    return copy;
}

/* The best settings become the recipe's own; `tune` leaves it, so that the record and the package
 * say how this very model is trained. */
static enum am_rc apply(struct am_training *t, const struct am_node *values, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_str target = {NULL, 0};
    struct am_recipe_set *sets;
    struct am_recipe best;
    size_t n;
    AM_TRY(sets_of(a, values, &sets, &n, err));
    AM_TRY(am_recipe_with(a, &t->p.recipe, sets, n, &best, err));
    t->p.recipe = best;
    t->p.recipe.resolved = applied_node(t);
    AM_TRY(am_arena_check(a, err));
    t->seed = (uint64_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "seed", 42);
    if (t->p.target_column != SIZE_MAX)
        target = t->p.schema->columns[t->p.target_column].name;
    AM_TRY(am_features_select(am_node_get(t->p.recipe.resolved, "features"), t->p.schema, target,
                              t->p.ids, t->p.n_ids, a, &t->p.columns, &t->p.n_columns, err));
    struct am_tuning *u = t->tuning;
    AM_TRY(am_training_check(t, err));
    t->tuning = u;
    return AM_OK;
}

/* One outer fold: the best of its search, trained on its training side, measured on the fold. */
static enum am_rc measure_outer(struct am_training *t, struct am_farm *farm, size_t k,
                                const struct am_node *values, struct am_trial_result *out,
                                struct am_err *err)
{
    struct am_farm_task task = {
        .id = UINT64_MAX, .folds = AM_FARM_EVALUATE, .outer = k, .predictions = true};
    struct am_farm_event e = {.what = AM_FARM_NOTHING};
    struct am_recipe_set *sets;
    AM_TRY(sets_of(t->p.arena, values, &sets, &task.n_sets, err));
    task.sets = sets;
    AM_TRY(am_farm_start(farm, &task, err));
    while (e.what != AM_FARM_RESULT) {
        if (am_progress_canceled(t->p.pl->progress))
            return am_fail(err, AM_ECANCELED, "canceled while folds were measured");
        AM_TRY(am_farm_wait(farm, 100, &e, err));
    }
    *out = e.result;
    if (out->status == AM_TRIAL_OK)
        return AM_OK;
    am_fail(err, AM_EINVAL, "the best settings of fold %zu cannot be measured: %s", k + 1,
            out->why);
    return AM_EINVAL;
}

struct outer { /* of all outer folds */
    struct am_folds folds;
    struct am_trials *rows; /* which rows there are, and their truth */
    struct am_trial_result all;
    float *pred; /* owned */
    uint16_t *seen;
};

static enum am_rc add_fold(struct outer *o, size_t k, const struct am_trial_result *r,
                           struct am_err *err)
{
    size_t n = r->rows.n, n_out = r->rows.n_out;
    if (!o->pred) {
        o->pred = am_calloc(n * n_out + 1, sizeof *o->pred);
        o->seen = am_calloc(n + 1, sizeof *o->seen);
        if (!o->pred || !o->seen)
            return am_fail_nomem(err, n * n_out * sizeof *o->pred);
    }
    memcpy(o->all.metrics + k * r->n_metrics, r->metrics, r->n_metrics * sizeof *r->metrics);
    for (size_t i = 0; i < n; i++) {
        if (isnan(r->rows.pred[i * n_out]))
            continue; /* a row of another fold */
        float share = 1 / (float)++o->seen[i];
        for (size_t c = 0; c < n_out; c++)
            o->pred[i * n_out + c] +=
                share * (r->rows.pred[i * n_out + c] - o->pred[i * n_out + c]);
    }
    o->all.rows = (struct am_trial_rows){.n = n, .n_out = n_out};
    o->all.n_folds = k + 1;
    return AM_OK;
}

static void outer_clear(struct outer *o)
{
    o->all.rows.pred = NULL;
    am_trial_result_clear(&o->all);
    am_trials_free(o->rows);
    am_folds_clear(&o->folds);
    am_free(o->pred);
    am_free(o->seen);
}

static enum am_rc outer_new(struct am_training *t, struct outer *o, struct am_err *err)
{
    const struct am_tuning *u = t->tuning;
    struct am_trials_options options = {
        .folds = &o->folds, .metrics = u->metrics, .n_metrics = u->n_metrics};
    AM_TRY(am_folds_make(&t->p, &u->outer, NULL, &o->folds, err));
    AM_TRY(am_trials_new(&t->p, &options, &o->rows, err));
    size_t n = am_folds_count(&o->folds);
    o->all.n_metrics = u->n_metrics;
    o->all.metrics = am_calloc(n * u->n_metrics + 1, sizeof(double));
    o->all.mean = am_calloc(u->n_metrics + 1, sizeof(double));
    o->all.deviation = am_calloc(u->n_metrics + 1, sizeof(double));
    if (!o->all.metrics || !o->all.mean || !o->all.deviation)
        return am_fail_nomem(err, n * u->n_metrics * sizeof(double));
    return AM_OK;
}

static struct am_node *chosen_node(struct am_training *t, const struct am_tune_trial *best)
{
    struct am_arena *a = t->p.arena;
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "trial", am_new_i64(a, (int64_t)best->number));
    am_node_set(a, m, "values", am_node_copy(a, best->values));
    am_node_set(a, m, "objective",
                best->objectives ? am_new_f64(a, best->objectives[0]) : am_new_null(a));
    return m;
}

/* Folds around the whole search: what is chosen inside a fold's training rows is measured on rows
 * that the choice has not seen. */
static enum am_rc nested(struct am_training *t, struct am_farm *farm, struct am_err *err)
{
    struct outer o = {.folds = {.n_rows = 0}};
    struct am_node *chosen = am_new_list(t->p.arena);
    enum am_rc rc;
    AM_GO(rc, outer_new(t, &o, err));
    for (size_t k = 0; k < am_folds_count(&o.folds); k++) {
        struct study s;
        struct am_trial_result r = {0};
        rc = study_begin(&s, t, (int64_t)k + 1, farm, err);
        if (rc == AM_OK)
            rc = search(&s, err);
        const struct am_tune_trial *best = rc == AM_OK ? best_of(&s) : NULL;
        if (rc == AM_OK && s.stopped)
            rc = am_fail(err, AM_ECANCELED, "canceled while folds were measured");
        if (rc == AM_OK && !best)
            rc = nothing_found(&s, err);
        if (rc == AM_OK)
            rc = measure_outer(t, farm, k, best->values, &r, err);
        if (rc == AM_OK)
            rc = add_fold(&o, k, &r, err);
        if (rc == AM_OK)
            am_node_push(t->p.arena, chosen, chosen_node(t, best));
        am_trial_result_clear(&r);
        study_clear(&s);
        if (rc != AM_OK)
            goto out;
    }
    am_trial_mean(&o.all);
    AM_GO(rc, am_training_fold_table(t, &o.folds, &o.all, err));
    am_node_set(t->p.arena, t->folds, "nested", chosen);
    o.all.rows.pred = o.pred;
    am_trials_rows(o.rows, &o.all.rows);
    rc = am_training_keep_predictions(t, &o.all.rows, err);
out:
    outer_clear(&o);
    return rc;
}

/* ---- the report's part ---- */

static struct am_node *param_nodes(struct am_training *t, const struct am_tune *tune)
{
    struct am_arena *a = t->p.arena;
    struct am_node *list = am_new_list(a);
    const struct am_tune_space *space = am_tune_space(tune);
    static const char *const kinds[] = {"float", "int", "choice", "bool"};
    for (size_t i = 0; i < am_tune_space_n(space); i++) {
        const struct am_tune_param *p = am_tune_space_param(space, i);
        struct am_node *m = am_new_map(a), *choices = am_new_list(a);
        am_node_set(a, m, "name", am_new_cstr(a, p->name));
        am_node_set(a, m, "path", am_new_cstr(a, p->path));
        am_node_set(a, m, "kind", am_new_cstr(a, kinds[p->kind]));
        am_node_set(a, m, "log", am_new_bool(a, p->log));
        if (p->n_choices == 0) {
            am_node_set(a, m, "low", am_new_f64(a, p->low));
            am_node_set(a, m, "high", am_new_f64(a, p->high));
        }
        for (size_t k = 0; k < p->n_choices; k++)
            am_node_push(a, choices, am_new_str(a, value_text(a, p->choices[k])));
        if (p->n_choices)
            am_node_set(a, m, "choices", choices);
        am_node_push(a, list, m);
    }
    return list;
}

static enum am_rc importance_node(struct am_training *t, const struct am_tune *tune,
                                  struct am_node **out, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    const struct am_tune_space *space = am_tune_space(tune);
    size_t n = am_tune_space_n(space);
    double *share = am_arena_array(a, n + 1, sizeof *share);
    AM_TRY(am_arena_check(a, err));
    *out = am_new_list(a);
    enum am_rc rc = am_tune_importance(tune, AM_TUNE_FANOVA, 0, share, NULL);
    if (rc == AM_EINVAL) /* too few trials */
        return AM_OK;
    if (rc != AM_OK)
        return am_fail(err, rc, "cannot measure which settings matter");
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "name", am_new_cstr(a, am_tune_space_param(space, i)->name));
        am_node_set(a, m, "share", am_new_f64(a, share[i]));
        am_node_push(a, *out, m);
    }
    return am_arena_check(a, err);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = am_node_i64(*(struct am_node *const *)a, "number", 0),
            y = am_node_i64(*(struct am_node *const *)b, "number", 0);
    return (x > y) - (x < y);
}

/* The trial as tune knows it: its place in the unit cube, for the plots. */
static void add_places(struct study *s)
{
    struct am_arena *a = s->t->p.arena;
    size_t n = am_tune_space_n(am_tune_space(s->tune));
    for (size_t i = 0; i < s->trials->list.n; i++) {
        struct am_node *b = s->trials->list.items[i], *unit = am_new_list(a),
                       *objectives = am_new_list(a);
        const struct am_tune_trial *t =
            am_tune_trial(s->tune, (uint64_t)am_node_i64(b, "number", 0));
        for (size_t k = 0; t && k < n; k++)
            am_node_push(a, unit, am_new_f64(a, t->unit[k]));
        for (size_t k = 0; t && t->objectives && k < s->u->n_objectives; k++)
            am_node_push(a, objectives, am_new_f64(a, t->objectives[k]));
        am_node_set(a, b, "unit", unit);
        am_node_set(a, b, "objectives", objectives);
        if (t && t->violation > 0)
            am_node_set(a, b, "violation", am_new_f64(a, t->violation));
    }
}

static struct am_node *goals(struct am_training *t)
{
    struct am_arena *a = t->p.arena;
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < t->tuning->n_objectives; i++) {
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "name", am_new_cstr(a, t->tuning->objectives[i].name));
        am_node_set(a, m, "direction",
                    am_new_cstr(a, t->tuning->objectives[i].maximize ? "maximize" : "minimize"));
        am_node_push(a, list, m);
    }
    return list;
}

static enum am_rc study_node(struct study *s, const struct am_tune_trial *best, struct am_err *err)
{
    struct am_training *t = s->t;
    struct am_arena *a = t->p.arena;
    struct am_node *out = am_new_map(a), *importance, *front = am_new_list(a),
                   *limits = am_node_get(s->u->node, "constraints");
    const struct am_tune_trial **list = am_arena_array(a, am_tune_n(s->tune) + 1, sizeof(void *));
    AM_TRY(am_arena_check(a, err));
    AM_TRY(importance_node(t, s->tune, &importance, err));
    add_places(s);
    if (s->trials->list.n)
        qsort(s->trials->list.items, s->trials->list.n, sizeof(void *), by_number);
    size_t n = am_tune_pareto(s->tune, list);
    for (size_t i = 0; i < n; i++)
        am_node_push(a, front, am_new_i64(a, (int64_t)list[i]->number));
    am_node_set(a, out, "objectives", goals(t));
    if (limits)
        am_node_set(a, out, "constraints", limits);
    am_node_set(a, out, "search",
                am_new_cstr(a, am_tune_sampler_names[am_tune_config(s->tune)->sampler]));
    am_node_set(a, out, "pruner",
                am_new_cstr(a, am_tune_pruner_names[am_tune_config(s->tune)->pruner]));
    am_node_set(a, out, "parallel", am_new_i64(a, s->u->parallel));
    am_node_set(a, out, "folds", am_new_i64(a, s->u->folds.n));
    am_node_set(a, out, "by",
                am_new_cstr(a, am_folds_by_name(&(struct am_folds){.spec = s->u->folds})));
    am_node_set(a, out, "seconds", am_new_f64(a, spent(s)));
    if (s->budget_s > 0)
        am_node_set(a, out, "budget_s", am_new_f64(a, s->budget_s));
    am_node_set(a, out, "ended",
                am_new_cstr(a, s->stopped ? "stopped"
                               : s->late  ? "budget"
                                          : "complete"));
    am_node_set(a, out, "params", param_nodes(t, s->tune));
    am_node_set(a, out, "trials", s->trials);
    am_node_set(a, out, "best", chosen_node(t, best));
    am_node_set(a, out, "importance", importance);
    if (s->u->n_objectives > 1)
        am_node_set(a, out, "pareto", front);
    t->study = out;
    return am_arena_check(a, err);
}

/* ---- all of it ---- */

static enum am_rc farm_new(struct am_training *t, struct am_farm **out, struct am_err *err)
{
    const struct am_tuning *u = t->tuning;
    struct am_farm_options o = {.n_workers = u->n_workers,
                                .n_threads = u->n_threads,
                                .metrics = u->metrics,
                                .n_metrics = u->n_metrics,
                                .weights_path = t->weights_path};
    return am_farm_new(&t->p, &o, out, err);
}

enum am_rc am_training_tune(struct am_training *t, struct am_err *err)
{
    struct am_tuning *u = t->tuning;
    struct am_farm *farm = NULL;
    struct study s = {.tune = NULL};
    struct am_progress *progress = t->p.pl->progress;
    const struct am_tune_trial *best;
    enum am_rc rc;
    if (!u)
        return AM_OK;
    AM_GO(rc, farm_new(t, &farm, err));
    AM_GO(rc, study_begin(&s, t, 0, farm, err));
    am_progress_begin(progress, "tune", u->n_trials == NOT_LIMITED ? 0 : u->n_trials);
    if (!t->search_done)
        AM_GO(rc, search(&s, err));
    am_progress_end(progress);
    best = best_of(&s);
    if (!best) {
        rc = nothing_found(&s, err);
        goto out;
    }
    AM_GO(rc, study_node(&s, best, err));
    if (s.stopped && progress && progress->cancel) /* heard: the best so far is trained now */
        atomic_store(progress->cancel, false);
    if (u->outer.n >= 2 && !s.stopped && !t->search_done) {
        am_progress_begin(progress, "folds", 0);
        AM_GO(rc, nested(t, farm, err));
        am_progress_end(progress);
    }
    rc = apply(t, best->values, err);
out:
    study_clear(&s);
    am_farm_free(farm);
    return rc;
}
