/* The commands that run a recipe's steps: they read the recipe, open the pipeline and hand the
 * steps' answers on. One thread at a time. */
#include "platform/platform_int.h"

#include "base/fs.h"
#include "base/limits.h"

#define OPEN(p, pl, err)                                                                           \
    struct am_pipeline pl;                                                                         \
    AM_TRY(am_platform_pipeline((p), &pl, (err)))

/* The recipe's text (into the arena) and where its relative paths start. */
static enum am_rc read_recipe(struct am_arena *a, const struct am_recipe_ref *r,
                              struct am_recipe_source *out, struct am_err *err)
{
    struct am_buf b;
    *out = (struct am_recipe_source){.text = r->text,
                                     .what = am_tr("recipe"),
                                     .sets = r->sets,
                                     .n_sets = r->n_sets,
                                     .foreign = r->foreign};
    if (!r->path)
        return AM_OK;
    am_buf_init(&b, AM_LIMIT_RECIPE_BYTES);
    enum am_rc rc = am_fs_read_file(r->path, &b, err);
    if (rc != AM_OK) {
        am_context(err, am_tr("cannot read recipe"));
        if (rc == AM_ELIMIT)
            am_hint(err, "A recipe is a short YAML text; `aimass run DATA --target T` takes data.");
        else if (rc == AM_ENOTFOUND)
            am_hint(err, "`aimass init DATA --target T` writes a starter recipe.");
    } else {
        const char *slash = strrchr(r->path, '/');
        out->text = am_arena_str(a, am_buf_view(&b));
        out->what = r->path;
        if (slash)
            out->base_dir =
                am_arena_str(
                    a, (struct am_str){r->path, slash == r->path ? 1 : (size_t)(slash - r->path)})
                    .ptr;
        rc = am_arena_check(a, err);
    }
    am_buf_clear(&b);
    return rc;
}

enum am_rc am_platform_init(struct am_platform *p, struct am_arena *a, const char *source,
                            const char *target, const char *task, struct am_node **out,
                            struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_init(&pl, a, source, target, task, out, err);
}

enum am_rc am_platform_profile(struct am_platform *p, struct am_arena *a, const char *source,
                               const char *target, struct am_node **out, struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_profile(&pl, a, source, target, out, err);
}

enum am_rc am_platform_plan(struct am_platform *p, struct am_arena *a,
                            const struct am_recipe_ref *r, struct am_node **out, struct am_err *err)
{
    struct am_recipe_source s;
    AM_TRY(read_recipe(a, r, &s, err));
    OPEN(p, pl, err);
    return am_pipeline_plan(&pl, a, &s, out, err);
}

enum am_rc am_platform_train(struct am_platform *p, struct am_arena *a,
                             const struct am_recipe_ref *r, struct am_node **out,
                             struct am_err *err)
{
    struct am_recipe_source s;
    AM_TRY(read_recipe(a, r, &s, err));
    OPEN(p, pl, err);
    return am_pipeline_train(&pl, a, &s, out, err);
}

enum am_rc am_platform_find_rate(struct am_platform *p, struct am_arena *a,
                                 const struct am_recipe_ref *r,
                                 const struct am_find_rate_request *q, struct am_node **out,
                                 struct am_err *err)
{
    const struct am_pipeline_rate_job job = {q->lowest, q->highest, q->n_steps, q->page};
    struct am_recipe_source s;
    AM_TRY(read_recipe(a, r, &s, err));
    OPEN(p, pl, err);
    return am_pipeline_find_rate(&pl, a, &s, &job, out, err);
}

enum am_rc am_platform_resume(struct am_platform *p, struct am_arena *a, const char *run,
                              struct am_node **out, struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_resume(&pl, a, run, out, err);
}

enum am_rc am_platform_study(struct am_platform *p, struct am_arena *a, const char *run,
                             struct am_node **out, struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_study(&pl, a, run, out, err);
}

enum am_rc am_platform_evaluate(struct am_platform *p, struct am_arena *a, const char *model,
                                const char *source, struct am_node **out, struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_evaluate(&pl, a, model, source, out, err);
}

enum am_rc am_platform_verify(struct am_platform *p, struct am_arena *a, const char *model,
                              struct am_node **out, struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_verify(&pl, a, model, out, err);
}

enum am_rc am_platform_predict(struct am_platform *p, struct am_arena *a,
                               const struct am_predict_request *r, struct am_node **out,
                               struct am_err *err)
{
    static const enum am_pipeline_format formats[] = {[AM_FORMAT_AUTO] = AM_PIPELINE_AUTO,
                                                      [AM_FORMAT_CSV] = AM_PIPELINE_CSV,
                                                      [AM_FORMAT_JSON] = AM_PIPELINE_JSON};
    struct am_pipeline_predict_job job = {.model = r->model,
                                          .sources = r->sources,
                                          .n_sources = r->n_sources,
                                          .bytes = r->bytes,
                                          .format = formats[r->format],
                                          .otherwise = formats[r->otherwise],
                                          .outputs = r->outputs,
                                          .write = r->write,
                                          .ctx = r->ctx};
    OPEN(p, pl, err);
    return am_pipeline_predict(&pl, a, &job, out, err);
}

enum am_rc am_platform_recommend(struct am_platform *p, struct am_arena *a, const char *model,
                                 unsigned what, const char *name, size_t n, struct am_node **out,
                                 struct am_err *err)
{
    OPEN(p, pl, err);
    return am_pipeline_recommend(&pl, a, model, what, name, n, out, err);
}

enum am_rc am_platform_explain(struct am_platform *p, struct am_arena *a,
                               const struct am_explain_request *r, struct am_node **out,
                               struct am_err *err)
{
    const struct am_pipeline_explain_job job = {.model = r->model,
                                                .source = r->source,
                                                .bytes = r->bytes,
                                                .row = r->row,
                                                .class_name = r->class_name,
                                                .page = r->page};
    OPEN(p, pl, err);
    return am_pipeline_explain(&pl, a, &job, out, err);
}
