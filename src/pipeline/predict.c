/* Predict from files or bytes: rows stream through the model; id columns pass through; CSV in gives
 * CSV out, JSON in gives JSON out (a list for a list, one object a line for JSON Lines). Pictures
 * and sounds in (files, folders, archives) give a row each, with its file's name. */
#include "base/alloc.h"
#include "base/num.h"
#include "feature/target.h"
#include "pipeline/inputs.h"
#include "pipeline/open_model.h"
#include "tensor/kernel_port.h"

struct writer {
    const struct am_pipeline_predict_job *job;
    const struct am_model *model;
    const struct am_model_info *info;
    const struct am_target *target;
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

static void csv_cell(struct am_buf *b, struct am_str s)
{
    bool quote = false;
    for (size_t i = 0; i < s.len; i++)
        quote = quote || s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\n' || s.ptr[i] == '\r';
    if (!quote) {
        am_buf_add(b, s.ptr, s.len);
        return;
    }
    am_buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            am_buf_char(b, '"');
        am_buf_char(b, s.ptr[i]);
    }
    am_buf_char(b, '"');
}

static void put_double(struct am_buf *b, double v)
{
    char text[AM_DOUBLE_CHARS];
    am_buf_add(b, text, am_print_double(v, text));
}

static void put_float(struct am_buf *b, float v)
{
    char text[AM_DOUBLE_CHARS];
    am_buf_add(b, text, am_print_float(v, text));
}

static void csv_header(struct writer *w, const struct am_schema *s)
{
    size_t n_in = w->info->inputs->n;
    for (size_t i = n_in; i < s->n; i++) {
        csv_cell(&w->out, s->columns[i].name);
        am_buf_char(&w->out, ',');
    }
    if (w->info->task == AM_TASK_REGRESSION) {
        am_buf_cstr(&w->out, "prediction\n");
        return;
    }
    am_buf_cstr(&w->out, "prediction");
    for (size_t k = 0; k < w->info->n_classes; k++) {
        struct am_buf name;
        am_buf_init(&name, 1 << 16);
        am_buf_printf(&name, "probability_%.*s", AM_FMT(w->info->classes[k]));
        am_buf_char(&w->out, ',');
        csv_cell(&w->out, am_buf_view(&name));
        am_buf_clear(&name);
    }
    am_buf_char(&w->out, '\n');
}

static void csv_row(struct writer *w, const struct am_batch *b, const struct am_prediction *p,
                    size_t i)
{
    size_t n_in = w->info->inputs->n, c = w->info->n_classes;
    for (size_t k = n_in; k < b->n_columns; k++) {
        csv_cell(&w->out, b->columns[k].text[i]);
        am_buf_char(&w->out, ',');
    }
    if (w->info->task == AM_TASK_REGRESSION) {
        put_double(&w->out, p->value[i]);
    } else {
        csv_cell(&w->out, w->info->classes[p->label[i]]);
        for (size_t k = 0; k < c; k++) {
            am_buf_char(&w->out, ',');
            put_float(&w->out, p->probability[i * c + k]);
        }
    }
    am_buf_char(&w->out, '\n');
}

static void json_row(struct writer *w, const struct am_schema *s, const struct am_batch *b,
                     const struct am_prediction *p, size_t i, const struct am_node *const *labels)
{
    size_t n_in = w->info->inputs->n, c = w->info->n_classes;
    am_buf_cstr(&w->out, w->list && w->n_rows ? ",\n{" : "{");
    for (size_t k = n_in; k < b->n_columns; k++) {
        am_json_quote(&w->out, s->columns[k].name);
        am_buf_char(&w->out, ':');
        if (b->columns[k].text[i].ptr)
            am_json_quote(&w->out, b->columns[k].text[i]);
        else
            am_buf_cstr(&w->out, "null");
        am_buf_char(&w->out, ',');
    }
    if (w->info->task == AM_TASK_REGRESSION) {
        am_buf_cstr(&w->out, "\"value\":");
        put_double(&w->out, p->value[i]);
    } else {
        am_buf_cstr(&w->out, "\"label\":");
        am_node_to_json(labels[p->label[i]], AM_JSON_COMPACT, &w->out);
        am_buf_cstr(&w->out, ",\"probability\":{");
        for (size_t k = 0; k < c; k++) {
            am_buf_cstr(&w->out, k ? "," : "");
            am_json_quote(&w->out, w->info->classes[k]);
            am_buf_char(&w->out, ':');
            put_float(&w->out, p->probability[i * c + k]);
        }
        am_buf_char(&w->out, '}');
    }
    am_buf_cstr(&w->out, w->list ? "}" : "}\n");
}

static enum am_rc stream(struct writer *w, struct am_predictor *p, const struct am_table *t,
                         struct am_arena *a, struct am_progress *progress, struct am_err *err)
{
    const struct am_schema *s = t->ops->schema(t->impl);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    const struct am_node **labels = am_arena_array(a, w->info->n_classes + 1, sizeof *labels);
    struct am_prediction answer = {0};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    enum am_rc rc;
    for (size_t k = 0; labels && k < w->info->n_classes; k++)
        labels[k] = am_target_label_node(w->target, k, a);
    AM_TRY(am_arena_check(a, err));
    if (!w->json)
        csv_header(w, s);
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
                json_row(w, s, b, &answer, i, labels);
            else
                csv_row(w, b, &answer, i);
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
    /* own kernels unless oneDNN is demanded: a file's answers are the same in every process */
    const bool demanded = am_kernel_port_wish() == AM_PORT_WISH_ON;
    AM_TRY(am_open_model(pl, a, job->model, demanded ? AM_MODEL_LIBRARY : 0, &m, err));
    w.model = m.model;
    w.info = am_model_info(m.model);
    w.target = am_model_target(m.model);
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
