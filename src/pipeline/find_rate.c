/* The learning-rate range test of a recipe: its rows, its network, a rate that rises from step to
 * step. Nothing is registered but the dataset's import, which goes again when nobody refers to it.
 */
#include "base/fs.h"
#include "eval/report.h"
#include "pipeline/train_int.h"

static enum am_rc write_page(const char *path, const struct am_node *found, struct am_err *err)
{
    struct am_buf page;
    am_buf_init(&page, (size_t)1 << 24);
    am_rates_html(found, &page);
    enum am_rc rc = am_buf_check(&page, err);
    if (rc == AM_OK)
        rc = am_fs_write_file(path, page.ptr, page.len, err);
    am_buf_clear(&page);
    return rc;
}

static enum am_rc find(struct am_training *t, const struct am_recipe_source *src,
                       const struct am_pipeline_rate_job *job, struct am_node **out,
                       struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    const struct am_node *train = am_node_get(t->p.recipe.resolved, "train");
    struct am_rate_options o = {job->lowest, job->highest, job->n_steps};
    struct am_learn_task task;
    t->seed = (uint64_t)am_node_i64(train, "seed", 42);
    AM_TRY(am_training_weights_find(t, src, NULL, err));
    AM_TRY(am_prepare_rows(&t->p, err));
    AM_TRY(am_training_check(t, err));
    AM_TRY(am_training_rows(t, err));
    AM_TRY(am_training_task(t, &task, err));
    task.hooks.progress = t->p.pl->progress;
    AM_TRY(am_learner_find_rate(&task, &o, a, out, err));
    am_node_set(a, *out, "name", am_new_str(a, t->p.name));
    am_node_set(a, *out, "dataset", am_new_str(a, t->p.dataset));
    am_node_set(a, *out, "learning_rate",
                am_new_f64(a, am_node_f64(train, "learning_rate", 0.001)));
    am_node_set(a, *out, "page", job->page ? am_new_cstr(a, job->page) : am_new_null(a));
    AM_TRY(am_arena_check(a, err));
    return job->page ? write_page(job->page, *out, err) : AM_OK;
}

enum am_rc am_pipeline_find_rate(struct am_pipeline *pl, struct am_arena *a,
                                 const struct am_recipe_source *src,
                                 const struct am_pipeline_rate_job *job, struct am_node **out,
                                 struct am_err *err)
{
    struct am_training *t = am_arena_zalloc(a, sizeof *t);
    AM_TRY(am_arena_check(a, err));
    enum am_rc rc = am_prepare_data(&t->p, pl, a, src, NULL, err);
    if (rc == AM_OK)
        rc = find(t, src, job, out, err);
    am_training_clear(t);
    return rc;
}
