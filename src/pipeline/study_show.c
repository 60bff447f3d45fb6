/* A run's search as it is stored: from the report where the run has one, else from the trials that
 * have ended so far, so that a running or interrupted one can be looked at. */
#include "base/alloc.h"
#include "pipeline/pipeline.h"
#include "pipeline/tune_int.h"
#include "registry/registry.h"

static enum am_rc reported(struct am_pipeline *pl, struct am_arena *a, const char *run,
                           struct am_node **out, struct am_err *err)
{
    struct am_buf b;
    struct am_node *report;
    am_buf_init(&b, (size_t)1 << 28);
    *out = NULL;
    enum am_rc rc = am_registry_file_read(pl->registry, AM_KIND_RUN, run, "report.json", &b, err);
    if (rc == AM_OK)
        rc = am_json_parse(a, am_buf_view(&b), "report.json", &report, err);
    if (rc == AM_OK)
        *out = am_node_get(report, "study");
    am_buf_clear(&b);
    return rc == AM_ENOTFOUND ? AM_OK : rc;
}

/* Trials of study `which` in order; the rest of the searches as {fold, trials}. */
static struct am_node *bodies(struct am_arena *a, const struct am_node *rows, int64_t which)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < rows->list.n; i++)
        if (am_node_i64(rows->list.items[i], "study", 0) == which)
            am_node_push(a, list, am_node_get(rows->list.items[i], "body"));
    return list;
}

static struct am_node *folds(struct am_arena *a, const struct am_node *rows)
{
    struct am_node *list = am_new_list(a);
    int64_t last = 0;
    for (size_t i = 0; i < rows->list.n; i++) {
        int64_t which = am_node_i64(rows->list.items[i], "study", 0);
        if (which <= last)
            continue;
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "fold", am_new_i64(a, which));
        am_node_set(a, m, "trials", bodies(a, rows, which));
        am_node_push(a, list, m);
        last = which;
    }
    return list;
}

enum am_rc am_pipeline_study(struct am_pipeline *pl, struct am_arena *a, const char *run,
                             struct am_node **out, struct am_err *err)
{
    struct am_node *stored, *rows, *study, *around;
    AM_TRY(am_registry_run_get(pl->registry, a, run, &stored, err));
    struct am_str id = am_node_str(stored, "run", "");
    AM_TRY(am_registry_trials(pl->registry, a, id.ptr, &rows, err));
    if (rows->list.n == 0) {
        am_fail(err, AM_ENOTFOUND, "run %.12s has no trials", id.ptr);
        am_hint(err, "Trials come of `tune` in a recipe; `aimass runs` lists runs.");
        return AM_ENOTFOUND;
    }
    AM_TRY(reported(pl, a, id.ptr, &study, err));
    *out = study ? am_node_copy(a, study) : am_new_map(a);
    am_node_set(a, *out, "run", am_new_str(a, id));
    am_node_set(a, *out, "name", am_node_get(stored, "name"));
    am_node_set(a, *out, "state", am_node_get(stored, "state"));
    if (!study)
        am_node_set(a, *out, "trials", bodies(a, rows, 0));
    around = folds(a, rows);
    if (around->list.n)
        am_node_set(a, *out, "nested", around);
    return am_arena_check(a, err);
}
