/* What becomes of a trained model: the gate, the package, the registry, the alias, the artefacts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "eval/report.h"
#include "model/model.h"
#include "pipeline/condition.h"
#include "pipeline/packaged.h"
#include "pipeline/train_int.h"

/* ---- gate ---- */

enum am_rc am_training_accepted(struct am_training *t, bool *holds, char *why, size_t cap,
                                struct am_err *err)
{
    const struct am_node *accept = am_node_path(t->p.recipe.resolved, "evaluate.accept");
    size_t n = accept ? accept->kind == AM_NODE_LIST ? accept->list.n : 1 : 0;
    struct am_condition c;
    struct am_str s;
    *holds = true;
    for (size_t i = 0; i < n && *holds; i++) {
        if (!am_node_as_str(accept->kind == AM_NODE_LIST ? accept->list.items[i] : accept, &s))
            continue;
        AM_TRY(am_condition_parse(s, &c, err));
        AM_TRY(am_condition_holds(&c, am_training_deciding(t), NULL, NULL, holds, why, cap, err));
    }
    return AM_OK;
}

/* ---- the other side of `register.if`: an alias's model on this run's rows ---- */

struct rival {
    struct am_training *t;
    struct am_err *err;
    enum am_rc rc;
};

/* Metrics of a packaged model on the rows that decide for this run. */
static enum am_rc rival_metrics(struct am_training *t, struct am_model *m, struct am_node **out,
                                struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m);
    unsigned part = t->p.counts.n[AM_ROW_TEST]         ? AM_ROW_TEST
                    : t->p.counts.n[AM_ROW_VALIDATION] ? AM_ROW_VALIDATION
                                                       : AM_ROW_TRAIN;
    size_t n_in = info->inputs->n;
    size_t *columns = am_arena_array(t->p.arena, n_in + 1, sizeof *columns);
    struct am_packaged_scores scores = {0};
    struct am_table view = {NULL, NULL};
    enum am_rc rc;
    AM_TRY(am_arena_check(t->p.arena, err));
    for (size_t i = 0; i < n_in; i++) {
        columns[i] = am_schema_find(t->p.schema, info->inputs->columns[i].name);
        if (columns[i] == SIZE_MAX ||
            t->p.schema->columns[columns[i]].type != info->inputs->columns[i].type)
            return am_fail(err, AM_EUSAGE,
                           "the other model needs column \"%.*s\", which these rows do not have",
                           AM_FMT(info->inputs->columns[i].name));
    }
    columns[n_in] = t->p.target_column;
    size_t n_read = n_in + (t->p.target_column != SIZE_MAX);
    const struct am_target *truth = am_task_is_own(info->task) ? t->p.target : NULL;
    if (info->task != am_target_task(t->p.target)) {
        am_fail(err, AM_EUSAGE, "the other model's task is %s, this one's is %s",
                am_task_name(info->task), am_task_name(am_target_task(t->p.target)));
        am_hint(err, "Give this model another name, or leave the comparison out of register.if.");
        return AM_EUSAGE;
    }
    AM_TRY(am_rows_view(&t->p.table, t->p.parts, t->p.n_rows, AM_PART_BIT(part), t->p.pl->pool,
                        &view, err));
    rc = am_score_packaged(m, &view, columns, n_read, truth, t->p.pl->pool, t->p.pl->progress,
                           &scores, err);
    if (rc == AM_OK)
        rc = am_metrics_node(&scores.in, t->metric_names, t->n_metrics,
                             am_node_path(t->p.recipe.resolved, "evaluate.composite"), t->p.arena,
                             out, err);
    am_packaged_scores_clear(&scores);
    view.ops->free(view.impl);
    return rc;
}

static const struct am_node *alias_metrics(void *ctx, struct am_str alias)
{
    struct rival *r = ctx;
    struct am_version_ref v;
    struct am_model *m = NULL;
    struct am_node *out = NULL;
    char ref[300];
    snprintf(ref, sizeof ref, "%.*s@%.*s", AM_FMT(r->t->p.name), AM_FMT(alias));
    enum am_rc rc = am_registry_resolve(r->t->p.pl->registry, ref, &v, r->err);
    if (rc == AM_ENOTFOUND)
        return NULL; /* nobody holds the alias: nothing to beat */
    if (rc == AM_OK)
        rc = am_model_open(v.path, NULL, &m, r->err);
    if (rc == AM_OK)
        rc = rival_metrics(r->t, m, &out, r->err);
    am_model_put(m);
    r->rc = rc;
    return out;
}

/* *moves: does the alias move? */
static enum am_rc alias_moves(struct am_training *t, bool *moves, char *why, size_t cap,
                              struct am_err *err)
{
    struct am_str text = am_node_str(am_node_get(t->p.recipe.resolved, "register"), "if", "");
    struct rival r = {t, err, AM_OK};
    struct am_condition c;
    *moves = true;
    if (text.len == 0)
        return AM_OK;
    AM_TRY(am_condition_parse(text, &c, err));
    enum am_rc rc =
        am_condition_holds(&c, am_training_deciding(t), alias_metrics, &r, moves, why, cap, err);
    return r.rc != AM_OK ? r.rc : rc;
}

/* ---- git ---- */

static bool first_line(const char *path, struct am_buf *b)
{
    struct am_str s;
    if (am_fs_read_file(path, b, NULL) != AM_OK)
        return false;
    s = am_buf_view(b);
    const char *nl = memchr(s.ptr, '\n', s.len);
    if (nl) {
        b->len = (size_t)(nl - s.ptr);
        b->ptr[b->len] = 0;
    }
    return b->len > 0;
}

void am_git_commit(const char *dir, char out[65])
{
    char at[4096], path[4400];
    struct am_buf b;
    out[0] = 0;
    am_buf_init(&b, 1 << 20);
    if (!dir || !realpath(dir, at))
        if (!getcwd(at, sizeof at))
            at[0] = 0;
    for (char *slash = at + strlen(at); at[0] && slash; slash = strrchr(at, '/')) {
        *slash = 0;
        snprintf(path, sizeof path, "%s/.git/HEAD", at);
        if (!first_line(path, &b))
            continue;
        if (am_str_starts(am_buf_view(&b), AM_STR("ref: "))) {
            char ref[512];
            snprintf(ref, sizeof ref, "%s", b.ptr + 5);
            snprintf(path, sizeof path, "%s/.git/%s", at, ref);
            if (strstr(ref, "..") || !first_line(path, &b))
                am_buf_reset(&b);
        }
        if (b.len >= 40 && b.len <= 64)
            snprintf(out, 65, "%s", b.ptr);
        break;
    }
    am_buf_clear(&b);
}

/* ---- package ---- */

enum am_rc am_training_package(struct am_training *t, const char *path, struct am_err *err)
{
    struct am_buf yaml;
    struct am_str run = t->run ? am_str(am_run_id(t->run)) : (struct am_str){"", 0};
    am_buf_init(&yaml, 1 << 22);
    am_node_to_yaml(t->p.recipe.resolved, &yaml);
    struct am_model_spec s = {.name = t->p.name,
                              .features = t->fitted.features,
                              .target = t->p.target,
                              .graph = t->learned.graph,
                              .params = t->learned.params,
                              .output = (enum am_model_output)t->learned.kind,
                              .threshold = t->threshold,
                              .ids = t->p.ids,
                              .n_ids = t->p.n_ids - (t->p.weight_column != SIZE_MAX),
                              .recipe = am_buf_view(&yaml),
                              .metrics = t->metrics,
                              .description = {"", 0},
                              .dataset_hash = t->p.hash,
                              .dataset_name = t->p.dataset,
                              .parent = {"", 0},
                              .run = run,
                              .git_commit = {"", 0},
                              .n_rows = t->p.counts.n[AM_ROW_TRAIN],
                              .seed = t->seed,
                              .profile = t->profile,
                              .created_us = am_wall_us()};
    enum am_rc rc = am_buf_check(&yaml, err);
    if (rc == AM_OK)
        rc = am_model_write(&s, path, err);
    am_buf_clear(&yaml);
    return rc;
}

/* ---- artefacts ---- */

static enum am_rc artefacts(struct am_training *t, struct am_err *err)
{
    struct am_buf json, html;
    enum am_rc rc;
    am_buf_init(&json, 1 << 26);
    am_buf_init(&html, 1 << 26);
    am_node_to_json(t->report, AM_JSON_PRETTY, &json);
    am_report_html(t->report, &html);
    struct am_registry_file files[] = {
        {.name = "report.json", .bytes = am_buf_view(&json), .media = "application/json"},
        {.name = "report.html", .bytes = am_buf_view(&html), .media = "text/html"}};
    AM_GO(rc, am_buf_check(&json, err));
    AM_GO(rc, am_buf_check(&html, err));
    AM_GO(rc, am_run_artefact(t->run, &files[0], err));
    rc = am_run_artefact(t->run, &files[1], err);
out:
    am_buf_clear(&json);
    am_buf_clear(&html);
    return rc;
}

/* Every final figure as a metric of the run: "test.accuracy". */
static enum am_rc final_metrics(struct am_training *t, struct am_err *err)
{
    int64_t step = (int64_t)t->learned.training.epochs;
    for (size_t i = 0; i < t->metrics->map.n; i++) {
        const struct am_pair *part = &t->metrics->map.pairs[i];
        for (size_t k = 0; k < part->value->map.n; k++) {
            struct am_str key = am_arena_printf(t->p.arena, "%.*s.%.*s", AM_FMT(part->key),
                                                AM_FMT(part->value->map.pairs[k].key));
            double v;
            if (!key.ptr || !am_node_as_f64(part->value->map.pairs[k].value, &v))
                continue;
            struct am_metric_point p = {key.ptr, step, v};
            AM_TRY(am_run_metrics(t->run, &p, 1, err));
        }
    }
    return AM_OK;
}

/* register.alias: which names move to the new version. */
struct alias_plan {
    const char **names; /* [n]; arena */
    size_t n;           /* 0 = none move */
    const char *kept;   /* why not, or NULL; arena */
};

static enum am_rc plan_aliases(struct am_training *t, struct alias_plan *out, struct am_err *err)
{
    const struct am_node *alias = am_node_path(t->p.recipe.resolved, "register.alias");
    size_t n = alias ? alias->kind == AM_NODE_LIST ? alias->list.n : 1 : 0;
    char why[300] = "";
    bool moves;
    *out = (struct alias_plan){am_arena_array(t->p.arena, n + 1, sizeof *out->names), 0, NULL};
    AM_TRY(am_arena_check(t->p.arena, err));
    if (n == 0)
        return AM_OK;
    AM_TRY(alias_moves(t, &moves, why, sizeof why, err));
    if (!moves)
        out->kept = am_arena_str(t->p.arena, am_str(why)).ptr;
    for (size_t i = 0; moves && i < n; i++) {
        struct am_str s;
        if (am_node_as_str(alias->kind == AM_NODE_LIST ? alias->list.items[i] : alias, &s))
            out->names[out->n++] = am_arena_str(t->p.arena, s).ptr;
    }
    return am_arena_check(t->p.arena, err);
}

/* The first alias moved with the version, in its transaction; here the others follow. */
static enum am_rc set_aliases(struct am_training *t, const struct alias_plan *plan, const char *ref,
                              struct am_node *out, struct am_err *err)
{
    struct am_node *list = am_new_list(t->p.arena), *moved;
    am_node_set(t->p.arena, out, "aliases", list);
    if (plan->kept)
        am_node_set(t->p.arena, out, "alias_kept", am_new_cstr(t->p.arena, plan->kept));
    for (size_t i = 0; i < plan->n; i++) {
        if (i > 0)
            AM_TRY(am_registry_alias_set(t->p.pl->registry, t->p.arena, ref, plan->names[i], &moved,
                                         err));
        am_node_push(t->p.arena, list, am_new_cstr(t->p.arena, plan->names[i]));
    }
    return am_arena_check(t->p.arena, err);
}

/* A file that a browser opens by its name; the artefact in the blobs is the one that counts. */
static enum am_rc report_copy(struct am_training *t, int64_t version, struct am_str *path,
                              struct am_err *err)
{
    struct am_buf html;
    struct am_str dir =
        am_arena_printf(t->p.arena, "%s/reports", am_registry_dir(t->p.pl->registry));
    enum am_rc rc;
    *path = am_arena_printf(t->p.arena, "%.*s/%.*s-%lld.html", AM_FMT(dir), AM_FMT(t->p.name),
                            (long long)version);
    AM_TRY(am_arena_check(t->p.arena, err));
    AM_TRY(am_fs_mkdirs(dir.ptr, err));
    am_buf_init(&html, 1 << 26);
    am_report_html(t->report, &html);
    rc = am_buf_check(&html, err);
    if (rc == AM_OK)
        rc = am_fs_write_file(path->ptr, html.ptr, html.len, err);
    am_buf_clear(&html);
    return rc;
}

/* Where the report can be read. The version is registered by now: that the copy could not be
 * written does not undo it, the artefact is named instead. */
static enum am_rc report_place(struct am_training *t, int64_t version, struct am_str *path,
                               struct am_err *err)
{
    struct am_err copy = {0};
    const char *artefact;
    if (report_copy(t, version, path, &copy) == AM_OK)
        return AM_OK;
    am_log_err(AM_LOG_WARN, "pipeline", &copy);
    AM_TRY(am_registry_file_path(t->p.pl->registry, t->p.arena, AM_KIND_RUN, am_run_id(t->run),
                                 "report.html", &artefact, err));
    *path = am_str(artefact);
    return AM_OK;
}

/* The search in a few words; the report has all of it. */
static struct am_node *study_summary(struct am_training *t)
{
    static const char *const keys[] = {"objectives", "search", "ended", "seconds", "best"};
    struct am_arena *a = t->p.arena;
    struct am_node *out = am_new_map(a);
    const struct am_node *trials = am_node_get(t->study, "trials");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        am_node_set(a, out, keys[i], am_node_get(t->study, keys[i]));
    am_node_set(a, out, "trials", am_new_i64(a, trials ? (int64_t)trials->list.n : 0));
    return out;
}

enum am_rc am_training_publish(struct am_training *t, struct am_node **out, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_registry *r = t->p.pl->registry;
    struct alias_plan aliases;
    struct am_str report_path;
    struct am_version_ref ref;
    struct am_node *version;
    char path[4400], name[300];
    AM_TRY(artefacts(t, err));
    AM_TRY(final_metrics(t, err));
    snprintf(path, sizeof path, "%s/%s.aim", am_registry_scratch(r), am_run_id(t->run));
    AM_TRY(plan_aliases(t, &aliases, err));
    AM_TRY(am_training_package(t, path, err));
    struct am_version_spec v = {.model = am_arena_str(a, t->p.name).ptr,
                                .package = path,
                                .run = am_run_id(t->run),
                                .dataset = t->p.hash.ptr,
                                .task = am_arena_str(a, am_node_str(t->report, "task", "")).ptr,
                                .alias = aliases.n ? aliases.names[0] : NULL,
                                .idempotency_key = am_run_id(t->run),
                                .metrics = t->metrics,
                                .tags = am_node_path(t->p.recipe.resolved, "register.tags")};
    AM_TRY(am_arena_check(a, err));
    enum am_rc rc = am_registry_version_add(r, a, &v, &version, err);
    am_fs()->unlink(path);
    if (rc != AM_OK)
        return rc;
    int64_t number = am_node_i64(version, "version", 0);
    snprintf(name, sizeof name, "%.*s@%lld", AM_FMT(t->p.name), (long long)number);
    AM_TRY(am_registry_resolve(r, name, &ref, err));
    AM_TRY(report_place(t, number, &report_path, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "run", am_new_cstr(a, am_run_id(t->run)));
    am_node_set(a, *out, "model", am_new_str(a, t->p.name));
    am_node_set(a, *out, "version", am_new_i64(a, number));
    am_node_set(a, *out, "package", am_new_cstr(a, ref.path));
    am_node_set(a, *out, "metrics", t->metrics);
    am_node_set(a, *out, "intervals", t->intervals);
    if (t->folds)
        am_node_set(a, *out, "folds", t->folds);
    if (t->study)
        am_node_set(a, *out, "study", study_summary(t));
    am_node_set(a, *out, "threshold", am_new_f64(a, t->threshold));
    am_node_set(a, *out, "advice", t->advice);
    am_node_set(a, *out, "report", am_new_str(a, report_path));
    am_node_set(a, *out, "dataset", am_new_str(a, t->p.dataset));
    if (t->p.import_report && am_node_get(t->p.import_report, "import"))
        am_node_set(a, *out, "files", am_node_get(t->p.import_report, "import"));
    am_node_set(a, *out, "rows", am_node_get(t->report, "rows"));
    AM_TRY(set_aliases(t, &aliases, name, *out, err));
    return am_arena_check(a, err);
}
