/* Train and resume: the phases in order, the run's life around them, and the retries of the gate. A
 * run that fails is stored as failed with its reason; one that is interrupted keeps its checkpoint.
 */
#include <math.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/automl_int.h"
#include "pipeline/train_int.h"
#include "pipeline/tune_int.h"

static struct am_node *environment(struct am_training *t)
{
    struct am_arena *a = t->p.arena;
    struct am_node *m = am_new_map(a);
    struct utsname u;
    if (uname(&u) == 0) {
        am_node_set(a, m, "system", am_new_cstr(a, u.sysname));
        am_node_set(a, m, "kernel", am_new_cstr(a, u.release));
        am_node_set(a, m, "machine", am_new_cstr(a, u.machine));
    }
    am_node_set(a, m, "aimass", am_new_cstr(a, AIMASS_VERSION));
    am_node_set(a, m, "tables", am_new_cstr(a, t->p.tables->ops->version(t->p.tables->impl)));
    am_node_set(a, m, "threads", am_new_i64(a, (int64_t)am_pool_size(t->p.pl->pool)));
    am_node_set(a, m, "profile", am_new_cstr(a, t->profile));
    return m;
}

/* Without what `tune` searches: a parameter of a run is said once. */
static struct am_node *without_searched(struct am_training *t, const char *part)
{
    struct am_arena *a = t->p.arena;
    struct am_node *all = am_node_get(t->p.recipe.resolved, part), *out = am_new_map(a);
    const struct am_node *over = am_node_path(t->p.recipe.resolved, "tune.over");
    if (!over || over->kind != AM_NODE_MAP || !all || all->kind != AM_NODE_MAP)
        return all;
    for (size_t i = 0; i < all->map.n; i++) {
        struct am_str key = all->map.pairs[i].key,
                      path = am_arena_printf(a, "%s.%.*s", part, AM_FMT(key)), at;
        bool searched = false;
        for (size_t k = 0; k < over->map.n && !searched; k++) {
            at = over->map.pairs[k].key;
            searched = am_str_is(at, part) || am_str_eq(at, path) ||
                       (am_str_starts(at, path) && at.len > path.len && at.ptr[path.len] == '.');
        }
        if (!searched)
            am_node_set_str(a, out, key, all->map.pairs[i].value);
    }
    return out;
}

/* What a person compares runs by: the model's and the training's settings. */
static struct am_node *params(struct am_training *t)
{
    struct am_node *m = am_new_map(t->p.arena);
    am_node_set(t->p.arena, m, "model", without_searched(t, "model"));
    am_node_set(t->p.arena, m, "train", without_searched(t, "train"));
    am_node_set(t->p.arena, m, "split", am_node_path(t->p.recipe.resolved, "data.split"));
    return m;
}

static const char *yaml_of(struct am_training *t, const struct am_node *n)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 22);
    am_node_to_yaml(n, &b);
    const char *s = am_arena_str(t->p.arena, am_buf_view(&b)).ptr;
    am_buf_clear(&b);
    return s;
}

static enum am_rc start_run(struct am_training *t, const char *base_dir, const char *parent,
                            struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    char commit[65];
    struct am_str name = am_arena_str(a, t->p.name);
    struct am_str experiment = am_node_str(t->p.recipe.resolved, "experiment", "");
    am_git_commit(base_dir, commit);
    struct am_run_spec s = {.name = name.ptr,
                            .experiment = experiment.len ? am_arena_str(a, experiment).ptr : NULL,
                            .recipe = yaml_of(t, t->p.recipe.resolved),
                            .recipe_given = yaml_of(t, t->p.recipe.given),
                            .dataset = t->p.hash.ptr,
                            .git_commit = commit[0] ? commit : NULL,
                            .profile = t->profile,
                            .parent = parent,
                            .seed = &t->seed,
                            .environment = environment(t),
                            .params = params(t)};
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_run_start(t->p.pl->registry, &s, &t->run, err));
    t->p.keep = true;
    return AM_OK;
}

/* The record then says how this very model is trained, so that resume and verify train it alone. */
static enum am_rc search(struct am_training *t, struct am_err *err)
{
    if (!t->tuning)
        return AM_OK;
    AM_TRY(am_training_tune(t, err));
    if (t->search_done)
        return AM_OK;
    if (t->folds)
        AM_TRY(am_run_trial(t->run, AM_STUDY_FOLDS, 0, t->folds, err));
    const struct am_node *trials = am_node_get(t->study, "trials");
    const struct am_metric_point points[] = {
        {"tune.trials", 0, trials ? (double)trials->list.n : 0},
        {"tune.best", 0, am_node_f64(am_node_get(t->study, "best"), "objective", NAN)}};
    AM_TRY(am_run_metrics(t->run, points, 2, err));
    struct am_run_spec s = {.recipe = yaml_of(t, t->p.recipe.resolved), .params = params(t)};
    AM_TRY(am_arena_check(t->p.arena, err));
    return am_run_update(t->run, &s, err);
}

static enum am_rc phases(struct am_training *t, struct am_err *err)
{
    if (!t->resumed)
        AM_TRY(am_training_weights_keep(t, err));
    AM_TRY(search(t, err));
    AM_TRY(am_training_rows(t, err));
    if (!t->tuning)
        AM_TRY(am_training_folds(t, err));
    AM_TRY(am_training_learn(t, err));
    return am_training_measure(t, err);
}

/* Writes the run's end; the first error wins. */
static enum am_rc finish(struct am_training *t, enum am_rc rc, struct am_err *err)
{
    struct am_err second = {0};
    enum am_rc end;
    am_log_capture(NULL, NULL);
    if (rc == AM_OK)
        return am_run_finish(t->run, AM_RUN_FINISHED, NULL, err);
    end = am_run_finish(t->run, rc == AM_ECANCELED ? AM_RUN_CANCELED : AM_RUN_FAILED,
                        err ? err->message : NULL, &second);
    if (end != AM_OK)
        am_log_err(AM_LOG_ERROR, "pipeline", &second);
    if (rc == AM_ECANCELED)
        am_hint(err, "Continue with `aimass resume %.12s`.", am_run_id(t->run));
    return rc;
}

static enum am_rc prepare(struct am_training *t, struct am_pipeline *pl, struct am_arena *a,
                          const struct am_recipe_source *src, const struct am_node *run,
                          struct am_err *err)
{
    struct am_str dataset = am_node_str(run, "dataset", "");
    memset(t, 0, sizeof *t);
    AM_TRY(am_prepare_data(&t->p, pl, a, src, run ? dataset.ptr : NULL, err));
    AM_TRY(am_training_weights_find(t, src, run, err));
    t->seed = (uint64_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "seed", 42);
    AM_TRY(am_prepare_rows(&t->p, err));
    AM_TRY(am_training_check(t, err));
    return am_training_tune_check(t, err);
}

static enum am_rc gate(struct am_training *t, bool *holds, struct am_err *err)
{
    char why[300] = "";
    AM_TRY(am_training_accepted(t, holds, why, sizeof why, err));
    if (*holds)
        return AM_OK;
    am_fail(err, AM_EGATE, "the model was not accepted: %s", why);
    am_hint(err,
            "Nothing was registered; run %.12s keeps report and metrics. Lower evaluate.accept, or "
            "try other "
            "settings (evaluate.retry does so by itself).",
            am_run_id(t->run));
    return AM_EGATE;
}

/* The refused run keeps its report, so that a person can see why. */
static enum am_rc keep_report(struct am_training *t, struct am_err *err)
{
    struct am_buf json;
    am_buf_init(&json, 1 << 26);
    am_node_to_json(t->report, AM_JSON_PRETTY, &json);
    struct am_registry_file f = {
        .name = "report.json", .bytes = am_buf_view(&json), .media = "application/json"};
    enum am_rc rc = am_buf_check(&json, err);
    if (rc == AM_OK)
        rc = am_run_artefact(t->run, &f, err);
    am_buf_clear(&json);
    return rc;
}

static enum am_rc run_to_end(struct am_training *t, struct am_node **out, struct am_err *err)
{
    bool accepted = false;
    enum am_rc rc;
    am_log_capture(am_run_log, t->run);
    am_log(AM_LOG_INFO, "pipeline", "run=%s rows=%llu features=%zu", am_run_id(t->run),
           (unsigned long long)t->p.n_rows, t->p.n_columns);
    rc = phases(t, err);
    if (rc == AM_OK)
        rc = gate(t, &accepted, err);
    if (rc == AM_EGATE) {
        struct am_err kept = *err;
        if (keep_report(t, err) != AM_OK)
            am_log_err(AM_LOG_ERROR, "pipeline", err);
        *err = kept;
    }
    if (rc == AM_OK)
        rc = am_training_publish(t, out, err);
    return finish(t, rc, err);
}

/* The k-th values of evaluate.retry as sets; *n = 0 when they are used up. */
static enum am_rc retry_sets(struct am_arena *a, const struct am_node *resolved, size_t k,
                             const char ***out, size_t *n, struct am_err *err)
{
    const struct am_node *m = am_node_path(resolved, "evaluate.retry");
    *n = 0;
    if (!m || m->kind != AM_NODE_MAP)
        return AM_OK;
    *out = am_arena_array(a, m->map.n + 1, sizeof **out);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < m->map.n; i++) {
        const struct am_node *v = m->map.pairs[i].value;
        struct am_buf text;
        if (v->kind == AM_NODE_LIST ? k >= v->list.n : k > 0)
            continue;
        am_buf_init(&text, 1 << 16);
        am_node_to_json(v->kind == AM_NODE_LIST ? v->list.items[k] : v, AM_JSON_COMPACT, &text);
        (*out)[(*n)++] =
            am_arena_printf(a, "%.*s=%.*s", AM_FMT(m->map.pairs[i].key), AM_FMT(am_buf_view(&text)))
                .ptr;
        am_buf_clear(&text);
    }
    return am_arena_check(a, err);
}

static enum am_rc with_sets(struct am_arena *a, const struct am_recipe_source *src,
                            const char *const *more, size_t n_more, struct am_recipe_source *out,
                            struct am_err *err)
{
    const char **sets = am_arena_array(a, src->n_sets + n_more + 1, sizeof *sets);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < src->n_sets; i++)
        sets[i] = src->sets[i];
    for (size_t i = 0; i < n_more; i++)
        sets[src->n_sets + i] = more[i];
    *out = *src;
    out->sets = sets;
    out->n_sets = src->n_sets + n_more;
    return AM_OK;
}

enum am_rc am_pipeline_train(struct am_pipeline *pl, struct am_arena *a,
                             const struct am_recipe_source *src, struct am_node **out,
                             struct am_err *err)
{
    struct am_err own = {0};
    struct am_recipe_source now = *src;
    struct am_node *attempts = am_new_list(a);
    uint64_t started = am_mono_ns();
    char parent[65] = "";
    err = err ? err : &own;
    for (size_t k = 0;; k++) {
        struct am_training *t = am_arena_zalloc(a, sizeof *t);
        const char **more = NULL;
        size_t n_more = 0;
        AM_TRY(am_arena_check(a, err));
        enum am_rc rc = prepare(t, pl, a, &now, NULL, err);
        if (rc == AM_OK)
            rc = start_run(t, src->base_dir, parent[0] ? parent : NULL, err);
        if (rc == AM_OK) {
            snprintf(parent, sizeof parent, "%s", am_run_id(t->run));
            rc = run_to_end(t, out, err);
        }
        struct am_err kept = *err;
        enum am_rc more_rc =
            rc == AM_EGATE ? retry_sets(a, t->p.recipe.resolved, k, &more, &n_more, err) : AM_OK;
        am_training_clear(t);
        if (more_rc != AM_OK)
            return more_rc;
        *err = kept;
        if (rc == AM_EGATE && n_more) {
            am_node_push(a, attempts, am_new_cstr(a, parent));
            AM_TRY(with_sets(a, src, more, n_more, &now, err));
            am_err_clear(err);
            continue;
        }
        if (rc != AM_OK)
            return rc;
        am_node_set(a, *out, "refused_runs", attempts);
        am_node_set(a, *out, "seconds", am_new_f64(a, (double)(am_mono_ns() - started) * 1e-9));
        return am_arena_check(a, err);
    }
}

enum am_rc am_training_once(struct am_pipeline *pl, struct am_arena *a,
                            const struct am_recipe_source *src, const char *dataset_hash,
                            enum am_rc (*before)(void *ctx, struct am_training *t,
                                                 struct am_err *err),
                            void *ctx, struct am_node **out, struct am_err *err)
{
    struct am_training *t = am_arena_zalloc(a, sizeof *t);
    const uint64_t started = am_mono_ns();
    enum am_rc rc;
    AM_TRY(am_arena_check(a, err));
    AM_GO(rc, am_prepare_data(&t->p, pl, a, src, dataset_hash, err));
    AM_GO(rc, am_training_weights_find(t, src, NULL, err));
    t->seed = (uint64_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "seed", 42);
    AM_GO(rc, am_prepare_rows(&t->p, err));
    AM_GO(rc, am_training_check(t, err));
    AM_GO(rc, start_run(t, src->base_dir, NULL, err));
    if (before)
        rc = before(ctx, t, err);
    rc = rc == AM_OK ? run_to_end(t, out, err) : finish(t, rc, err);
    if (rc == AM_OK)
        am_node_set(a, *out, "seconds", am_new_f64(a, (double)(am_mono_ns() - started) * 1e-9));
out:
    am_training_clear(t);
    return rc;
}

/* ---- resume ---- */

/* The epochs before the checkpoint, for the report's learning curve and the run's metrics. */
static void old_history(struct am_training *t, const struct am_node *run, int64_t step,
                        struct am_node *history)
{
    static const char *const keys[][2] = {{"train.loss", "train_loss"},
                                          {"validation.loss", "validation_loss"}};
    struct am_arena *a = t->p.arena;
    for (size_t k = 0; k < 2; k++) {
        const struct am_node *points = am_node_get(am_node_get(run, "history"), keys[k][0]);
        for (size_t i = 0; points && i < points->list.n; i++) {
            int64_t at = am_node_i64(points->list.items[i], "step", 0);
            if (at > step)
                continue;
            if (k == 0)
                am_node_push(a, am_node_get(history, "epoch"), am_new_i64(a, at));
            am_node_push(a, am_node_get(history, keys[k][1]),
                         am_new_f64(a, am_node_f64(points->list.items[i], "value", NAN)));
        }
    }
}

/* A run that searches goes on from what its person wrote, and the trials that are stored. */
static enum am_rc take_up_search(struct am_training *t, struct am_arena *a,
                                 const struct am_node *stored, struct am_recipe_source *src,
                                 const struct am_node **trials, bool *done, struct am_err *err)
{
    struct am_str given = am_node_str(stored, "recipe_given", "");
    struct am_node *tree, *now, *list;
    *trials = NULL;
    *done = false;
    if (given.len == 0)
        return AM_OK;
    AM_TRY(am_yaml_parse(a, given, src->what, &tree, err));
    if (!am_node_get(tree, "tune"))
        return AM_OK;
    AM_TRY(am_yaml_parse(a, src->text, src->what, &now, err));
    AM_TRY(
        am_registry_trials(t->p.pl->registry, a, am_node_str(stored, "run", "").ptr, &list, err));
    *done = am_node_get(now, "tune") == NULL;
    *trials = list;
    src->text = given;
    return AM_OK;
}

static struct am_node *stored_folds(const struct am_node *trials)
{
    for (size_t i = 0; trials && i < trials->list.n; i++)
        if (am_node_i64(trials->list.items[i], "study", 0) == AM_STUDY_FOLDS)
            return am_node_get(trials->list.items[i], "body");
    return NULL;
}

enum am_rc am_pipeline_resume(struct am_pipeline *pl, struct am_arena *a, const char *run,
                              struct am_node **out, struct am_err *err)
{
    struct am_err own = {0};
    struct am_node *stored;
    struct am_training *t = am_arena_zalloc(a, sizeof *t);
    struct am_buf bytes;
    int64_t step = 0;
    uint64_t started = am_mono_ns();
    const struct am_node *trials;
    bool done;
    enum am_rc rc;
    err = err ? err : &own;
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_registry_run_get(pl->registry, a, run, &stored, err));
    struct am_recipe_source src = {.text = am_node_str(stored, "recipe", ""),
                                   .what = am_tr("the run's recipe")};
    struct am_str id = am_node_str(stored, "run", "");
    if (am_str_is(am_node_str(stored, "state", ""), "finished")) {
        am_fail(err, AM_ECONFLICT, "run %.*s has finished, there is nothing to resume", AM_FMT(id));
        return AM_ECONFLICT;
    }
    am_buf_init(&bytes, (size_t)1 << 34);
    rc = am_registry_checkpoint_read(pl->registry, id.ptr, &step, &bytes, err);
    am_buf_clear(&bytes);
    if (rc != AM_OK && rc != AM_ENOTFOUND)
        return rc;
    t->p.pl = pl;
    AM_GO(rc, take_up_search(t, a, stored, &src, &trials, &done, err));
    AM_GO(rc, prepare(t, pl, a, &src, stored, err));
    t->stored_trials = trials;
    t->search_done = done;
    t->folds = stored_folds(trials);
    t->resumed = true;
    t->resumed_history = am_training_history(t);
    old_history(t, stored, step, t->resumed_history);
    AM_GO(rc, am_run_resume(pl->registry, id.ptr, step, &t->run, err));
    AM_GO(rc, run_to_end(t, out, err));
    am_node_set(a, *out, "resumed_from", am_new_i64(a, step));
    am_node_set(a, *out, "seconds", am_new_f64(a, (double)(am_mono_ns() - started) * 1e-9));
    rc = am_arena_check(a, err);
out:
    am_training_clear(t);
    return rc;
}
