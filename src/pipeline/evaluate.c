/* Evaluate a finished model on new rows that have the target: the same metrics as in training,
 * measured through the model's own prediction path. */
#include "eval/eval.h"

#include <stdio.h>

#include "base/alloc.h"
#include "data/source.h"
#include "feature/target.h"
#include "pipeline/open_model.h"
#include "pipeline/packaged.h"
#include "registry/registry.h"

enum am_rc am_open_model(struct am_pipeline *pl, struct am_arena *a, const char *ref,
                         unsigned flags, struct am_opened *out, struct am_err *err)
{
    struct am_model_options o = {.flags = flags};
    struct am_version_ref v;
    memset(out, 0, sizeof *out);
    if (am_str_ends(am_str(ref), AM_STR(".aim"))) {
        enum am_rc opened = am_model_open(ref, &o, &out->model, err);
        if (opened != AM_OK && err && !err->hint[0])
            am_hint(
                err,
                "Take the package again from where it was made: `aimass model export MODEL FILE`.");
        if (opened != AM_OK)
            return opened;
        out->name = am_arena_str(a, am_model_info(out->model)->name);
    } else {
        AM_TRY(am_registry_resolve(pl->registry, ref, &v, err));
        AM_TRY(am_model_open(v.path, &o, &out->model, err));
        out->name = am_arena_str(a, am_str(v.model));
        out->version = v.version;
    }
    enum am_rc rc = am_arena_check(a, err);
    if (rc != AM_OK)
        am_model_put(out->model);
    return rc;
}

enum am_rc am_check_inputs(const struct am_model *m, const struct am_batch *b, struct am_err *err)
{
    const struct am_schema *inputs = am_model_info(m)->inputs;
    for (size_t k = 0; k < inputs->n; k++) {
        enum am_col_type type = inputs->columns[k].type;
        if (type != AM_COL_NUMBER && type != AM_COL_BOOLEAN)
            continue;
        for (size_t i = 0; i < b->n_rows; i++) {
            if (!isinf(b->columns[k].number[i]))
                continue;
            am_fail(err, AM_EINVAL,
                    "row %llu: column \"%.*s\" holds a value that is not a finite %s",
                    (unsigned long long)(b->first_row + i + 1), AM_FMT(inputs->columns[k].name),
                    am_tr(am_col_type_name(type)));
            am_hint(err, "Correct the value, or leave it empty: the model knows what to do with a "
                         "missing one.");
            return AM_EINVAL;
        }
    }
    return AM_OK;
}

static bool has_column(const struct am_source *src, struct am_str name)
{
    const struct am_tables_info *has = am_source_info(src);
    for (size_t i = 0; i < has->n_columns; i++)
        if (am_str_eq(has->columns[i].name, name))
            return true;
    return false;
}

/* The model's inputs and its target, as a schema to read. Where rows are learned, the label is read
 * when it is there. */
static enum am_rc wanted_schema(struct am_arena *a, const struct am_model *m,
                                const struct am_source *src, struct am_schema *out,
                                struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m);
    bool own = am_task_is_own(info->task);
    struct am_column_desc *c = am_arena_array(a, info->inputs->n + 1, sizeof *c);
    AM_TRY(am_arena_check(a, err));
    memcpy(c, info->inputs->columns, info->inputs->n * sizeof *c);
    c[info->inputs->n] = (struct am_column_desc){info->target, am_target_type(am_model_target(m))};
    *out = (struct am_schema){c, info->inputs->n + (!own || has_column(src, info->target))};
    return AM_OK;
}

static bool any_label(const struct am_packaged_scores *d)
{
    for (size_t i = 0; i < d->truth.len; i++)
        if (!isnan(d->truth.ptr[i]))
            return true;
    return false;
}

static enum am_rc metrics_of(struct am_arena *a, const struct am_model *m,
                             const struct am_packaged_scores *d, struct am_node *out,
                             struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m);
    bool labels = any_label(d);
    const char *const *names =
        labels && info->task == AM_TASK_ANOMALY      ? am_metrics_default_labelled()
        : labels && info->task == AM_TASK_CLUSTERING ? am_metrics_default_grouped()
                                                     : am_metrics_default(info->task);
    const struct am_node *stored = am_node_get(am_model_metrics(m), "test");
    struct am_str list[64];
    struct am_node *metrics, *bands;
    struct am_bootstrap_options boot = {.seed = 42, .n_resamples = 1000, .level = 0.95};
    size_t n = 0;
    for (size_t i = 0; names[i]; i++)
        list[n++] = am_str(names[i]);
    for (size_t i = 0; stored && i < stored->map.n && n < 64;
         i++) { /* and what training measured */
        bool have = am_metric_find(stored->map.pairs[i].key) == NULL ||
                    (!labels && am_task_is_own(info->task) &&
                     am_metric_needs_labels(stored->map.pairs[i].key));
        for (size_t k = 0; k < n; k++)
            have = have || am_str_eq(list[k], stored->map.pairs[i].key);
        if (!have)
            list[n++] = stored->map.pairs[i].key;
    }
    AM_TRY(am_metrics_node(&d->in, list, n, NULL, a, &metrics, err));
    AM_TRY(am_bootstrap(&d->in, list, info->task == AM_TASK_CLUSTERING ? 0 : n, &boot, a, &bands,
                        err));
    am_node_set(a, out, "metrics", metrics);
    am_node_set(a, out, "intervals", bands);
    am_node_set(a, out, "trained", stored ? am_node_copy(a, stored) : am_new_null(a));
    return am_arena_check(a, err);
}

enum am_rc am_pipeline_evaluate(struct am_pipeline *pl, struct am_arena *a, const char *model,
                                const char *source, struct am_node **out, struct am_err *err)
{
    struct am_opened m = {0};
    struct am_tables *tables;
    struct am_source *src = NULL;
    struct am_table t = {NULL, NULL};
    struct am_packaged_scores d = {0};
    struct am_schema schema;
    struct am_str spec = am_str(source);
    struct am_source_options o = {
        .specs = &spec, .n_specs = 1, .temp_dir = am_registry_scratch(pl->registry)};
    enum am_rc rc;
    AM_TRY(pl->tables(pl->tables_ctx, &tables, err));
    AM_TRY(am_open_model(pl, a, model, 0, &m, err));
    AM_GO(rc, am_source_open(tables, &o, &src, err));
    AM_GO(rc, wanted_schema(a, m.model, src, &schema, err));
    AM_GO(rc, am_source_read(tables, src, &schema, NULL, 0, &t, err));
    AM_GO(rc, am_score_packaged(m.model, &t, NULL, 0, NULL, pl->pool, pl->progress, &d, err));
    if (d.truth.len == 0)
        AM_GO(rc,
              am_fail(err, AM_EINVAL, "no row of \"%s\" has a value in the target column \"%.*s\"",
                      source, AM_FMT(am_model_info(m.model)->target)));
    *out = am_new_map(a);
    am_node_set(a, *out, "model", am_new_str(a, m.name));
    am_node_set(a, *out, "version", am_new_i64(a, m.version));
    am_node_set(a, *out, "rows", am_new_i64(a, (int64_t)d.truth.len));
    am_node_set(a, *out, "rows_without_target", am_new_i64(a, (int64_t)d.n_skipped));
    rc = metrics_of(a, m.model, &d, *out, err);
out:
    if (t.ops)
        t.ops->free(t.impl);
    am_source_close(src);
    am_model_put(m.model);
    am_packaged_scores_clear(&d);
    return rc;
}
