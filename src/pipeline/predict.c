/* Predict from files or bytes: rows stream through the model; id columns pass through; CSV in gives
 * CSV out, JSON in gives JSON out (a list for a list, one object a line for JSON Lines). Pictures
 * and sounds in (files, folders, archives) give a row each, with its file's name. */
#include "base/alloc.h"
#include "feature/target.h"
#include "pipeline/answers.h"
#include "pipeline/inputs.h"
#include "pipeline/open_model.h"

struct writer {
    const struct am_pipeline_predict_job *job;
    const struct am_model *model;
    const struct am_model_info *info;
    const struct am_target *target;
    struct am_answers answers;
    struct am_buf out;
    bool json;
    bool list;  /* JSON: one list around the rows */
    bool whole; /* no rows at all: an error that the caller tells */
    uint64_t n_rows;
};

static enum am_rc flush(struct writer *w, struct am_err *err)
{
    AM_TRY(am_buf_check(&w->out, err));
    if (w->out.len)
        AM_TRY(w->job->write(w->job->ctx, w->out.ptr, w->out.len, err));
    am_buf_reset(&w->out);
    return AM_OK;
}

static enum am_rc stream(struct writer *w, struct am_predictor *p, const struct am_table *t,
                         struct am_arena *a, struct am_progress *progress, struct am_err *err)
{
    const struct am_schema *s = t->ops->schema(t->impl);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    const struct am_node **labels = am_arena_array(a, w->info->n_classes + 1, sizeof *labels);
    struct am_prediction answer = {.wanted = am_answers_wanted(w->answers.outputs)};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    enum am_rc rc;
    for (size_t k = 0; labels && k < w->info->n_classes; k++)
        labels[k] = am_target_label_node(w->target, k, a);
    AM_TRY(am_arena_check(a, err));
    w->answers.info = w->info;
    w->answers.labels = labels;
    if (!w->json)
        am_answers_csv_header(&w->answers, s, &w->out);
    else if (w->list)
        am_buf_char(&w->out, '[');
    AM_GO(rc, t->ops->open(t->impl, NULL, 0, &it, err));
    for (;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        struct am_batch in = {b->n_rows, w->info->inputs->n, b->columns, b->first_row};
        AM_GO(rc, am_check_inputs(w->model, &in, err));
        AM_GO(rc, am_model_predict(p, &in, &answer, err));
        for (size_t i = 0; i < b->n_rows; i++, w->n_rows++) {
            if (w->json)
                am_buf_cstr(&w->out, w->list && w->n_rows ? ",\n" : "");
            if (w->json)
                am_answers_json_row(&w->answers, s, b, &answer, i, &w->out);
            else
                am_answers_csv_row(&w->answers, b, &answer, i, &w->out);
            if (w->json && !w->list)
                am_buf_char(&w->out, '\n');
            if (w->out.len > 65536)
                AM_GO(rc, flush(w, err));
        }
        if (am_progress_canceled(progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled"));
    }
    if (w->json && w->list)
        am_buf_cstr(&w->out, "]\n");
    if (w->n_rows > 0 || !w->whole)
        rc = flush(w, err);
out:
    t->ops->close(it);
    am_prediction_clear(&answer);
    return rc;
}

static bool looks_like_json(const struct am_pipeline_predict_job *job)
{
    struct am_str s = am_str_trim(job->bytes);
    if (job->format != AM_PIPELINE_AUTO)
        return job->format == AM_PIPELINE_JSON;
    if (job->n_sources == 0)
        return s.len && (s.ptr[0] == '[' || s.ptr[0] == '{');
    struct am_str name = am_str(job->sources[0]);
    return am_str_ends(name, AM_STR(".json")) || am_str_ends(name, AM_STR(".jsonl")) ||
           am_str_ends(name, AM_STR(".ndjson")) || am_str_ends(name, AM_STR(".jsonl.gz"));
}

enum am_rc am_pipeline_predict(struct am_pipeline *pl, struct am_arena *a,
                               const struct am_pipeline_predict_job *job, struct am_node **out,
                               struct am_err *err)
{
    struct am_opened m = {0};
    struct am_inputs in = {.src = NULL};
    struct am_predictor *p = NULL;
    struct writer w = {.job = job, .json = looks_like_json(job)};
    enum am_rc rc;
    am_buf_init(&w.out, (size_t)1 << 26);
    AM_TRY(am_open_model(pl, a, job->model, AM_MODEL_LIBRARY, &m, err)); /* as in serving */
    w.model = m.model;
    w.info = am_model_info(m.model);
    w.target = am_model_target(m.model);
    AM_GO(rc, am_answers_choose(w.info, job->outputs, &w.answers.outputs, err));
    const struct am_inputs_wanted wanted = {.info = w.info,
                                            .sources = job->sources,
                                            .n_sources = job->n_sources,
                                            .bytes = job->bytes,
                                            .json = w.json};
    AM_GO(rc, am_inputs_open(pl, a, &wanted, &in, err));
    if (in.media && job->format == AM_PIPELINE_AUTO)
        w.json = job->otherwise == AM_PIPELINE_JSON;
    w.list = in.list || (in.media && w.json);
    w.whole = in.media;
    AM_GO(rc, am_predictor_new(m.model, pl->pool, &p, err));
    AM_GO(rc, stream(&w, p, &in.table, a, pl->progress, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "model", am_new_str(a, m.name));
    am_node_set(a, *out, "version", m.version ? am_new_i64(a, m.version) : am_new_null(a));
    am_node_set(a, *out, "rows", am_new_i64(a, (int64_t)w.n_rows));
    if (in.media)
        am_node_set(a, *out, "files", am_source_media_to_node(in.src, a));
    rc = am_arena_check(a, err);
    if (rc == AM_OK && in.media && w.n_rows == 0)
        rc = am_inputs_first_bad(am_node_get(*out, "files"), err);
out:
    if (rc != AM_OK)
        am_inputs_name(&in, err);
    am_predictor_free(p);
    am_inputs_close(&in);
    am_model_put(m.model);
    am_buf_clear(&w.out);
    return rc;
}
