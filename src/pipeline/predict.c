/* Predict from files or bytes: rows stream through the model; id columns pass through; CSV in gives
 * CSV out, JSON in gives JSON out (a list for a list, one object a line for JSON Lines). Pictures
 * and sounds in (files, folders, archives) give a row each, with its file's name. */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/num.h"
#include "data/source.h"
#include "feature/target.h"
#include "pipeline/open_model.h"
#include "registry/registry.h"

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

/* Bytes become a file that the table engine reads; a JSON list becomes JSON Lines on the way. */
static enum am_rc bytes_to_file(struct am_pipeline *pl, struct am_arena *a, struct am_str bytes,
                                bool json, bool *list, char *path, size_t cap, struct am_err *err)
{
    struct am_str s = am_str_trim(bytes);
    struct am_buf lines;
    char tmp[4400];
    int fd;
    enum am_rc rc;
    *list = json && s.len && s.ptr[0] == '[';
    if (s.len == 0) {
        am_fail(err, AM_EINVAL, "the input is empty");
        am_hint(err,
                "Give CSV with a line of column names, a JSON list of objects, or JSON Lines.");
        return AM_EINVAL;
    }
    am_buf_init(&lines, (size_t)1 << 33);
    if (*list) {
        struct am_node *n;
        enum am_rc parsed = am_json_parse(a, bytes, am_tr("input"), &n, err);
        if (parsed != AM_OK) {
            am_hint(err, "Give a list of objects, or one object a line: {\"column\": value, ...}.");
            return parsed;
        }
        for (size_t i = 0; i < n->list.n; i++) {
            if (n->list.items[i]->kind != AM_NODE_MAP) {
                am_buf_clear(&lines);
                am_fail(err, AM_EINVAL, "input: row %zu is no object", i + 1);
                am_hint(err, "Each row is an object: {\"column\": value, ...}.");
                return AM_EINVAL;
            }
            am_node_to_json(n->list.items[i], AM_JSON_COMPACT, &lines);
            am_buf_char(&lines, '\n');
        }
        bytes = am_buf_view(&lines);
    }
    AM_GO(rc, am_buf_check(&lines, err));
    AM_GO(rc, am_fs_temp(am_registry_scratch(pl->registry), "input", tmp, sizeof tmp, &fd, err));
    rc = am_fs_write_all(fd, bytes.ptr, bytes.len, err);
    am_fs()->close(fd);
    snprintf(path, cap, "%s%s", tmp, json ? ".jsonl" : ".csv");
    if (rc == AM_OK && am_fs()->rename(tmp, path) < 0)
        rc = am_fail(err, AM_EIO, "cannot name the input file");
    if (rc != AM_OK)
        am_fs()->unlink(tmp);
out:
    am_buf_clear(&lines);
    return rc;
}

/* Messages about the file that stands for stdin say "input". */
static void name_input(struct am_err *err, const char *path)
{
    char text[sizeof err->message];
    const char *base = strrchr(path, '/') + 1;
    char *at = err ? strstr(err->message, path) : NULL;
    size_t n = strlen(path);
    if (err && !at) {
        at = strstr(err->message, base);
        n = strlen(base);
    }
    if (!at)
        return;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - err->message), err->message, am_tr("input"),
             at + n);
    memcpy(err->message, text, sizeof text);
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

/* A whole-file JSON list is small by nature: it goes the way of bytes. */
static enum am_rc json_file(const char *path, struct am_buf *b, bool *is_list, struct am_err *err)
{
    am_buf_init(b, AM_LIMIT_JSON_BYTES);
    *is_list = false;
    if (!am_str_ends(am_str(path), AM_STR(".json")) || !am_fs_exists(path))
        return AM_OK;
    AM_TRY(am_fs_read_file(path, b, err));
    struct am_str s = am_str_trim(am_buf_view(b));
    *is_list = s.len && s.ptr[0] == '[';
    return AM_OK;
}

/* ---- pictures and sounds that are no table ---- */

static enum am_rc first_bad_file(const struct am_node *files, struct am_err *err)
{
    const struct am_node *bad = am_node_get(files, "bad");
    if (!bad || bad->kind != AM_NODE_LIST || bad->list.n == 0)
        return am_fail(err, AM_EINVAL, "no picture and no sound was found");
    const struct am_node *one = bad->list.items[0];
    return am_fail(err, AM_EINVAL, "%.*s: %.*s", AM_FMT(am_node_str(one, "file", "")),
                   AM_FMT(am_node_str(one, "reason", "")));
}

/* The media column under the model's name for it, whatever that is, and the files' names. */
static enum am_rc read_media(struct am_source *src, const struct am_model_info *info,
                             struct am_table *out, struct am_err *err)
{
    const struct am_tables_info *has = am_source_info(src);
    struct am_tables_column c[2] = {
        {.name = has->columns[0].name, .stored = has->columns[0].stored}};
    struct am_tables_read read = {.info = has, .columns = c, .n_columns = 1, .n_rows = UINT64_MAX};
    enum am_col_type type;
    if (!am_col_type_parse(has->columns[0].name, &type))
        type = AM_COL_IMAGE;
    if (info->inputs->n != 1 || info->inputs->columns[0].type != type) {
        am_fail(err, AM_EINVAL, "the data is files of type %s, model \"%.*s\" needs other columns",
                am_col_type_name(type), AM_FMT(info->name));
        am_hint(err, "Give a CSV file with the model's columns; pictures and sounds are names of "
                     "files in it.");
        return AM_EINVAL;
    }
    c[0].type = type;
    for (size_t i = 1; i < has->n_columns; i++)
        if (am_str_is(has->columns[i].name, "file"))
            c[read.n_columns++] = (struct am_tables_column){.name = has->columns[i].name,
                                                            .stored = has->columns[i].stored,
                                                            .type = AM_COL_TEXT};
    return am_source_scan(src, &read, AM_SOURCE_BAD_LEFT_OUT, out, err);
}

enum am_rc am_pipeline_predict(struct am_pipeline *pl, struct am_arena *a,
                               const struct am_pipeline_predict_job *job, struct am_node **out,
                               struct am_err *err)
{
    struct am_opened m = {0};
    struct am_tables *tables;
    struct am_source *src = NULL;
    struct am_table t = {NULL, NULL};
    struct am_predictor *p = NULL;
    struct writer w = {.job = job, .json = looks_like_json(job)};
    char path[4500] = "";
    struct am_buf file;
    bool is_list, media = false;
    enum am_rc rc;
    am_buf_init(&w.out, (size_t)1 << 26);
    am_buf_init(&file, 0);
    AM_TRY(am_open_model(pl, a, job->model, 0, &m, err));
    AM_GO(rc, pl->tables(pl->tables_ctx, &tables, err));
    w.model = m.model;
    w.info = am_model_info(m.model);
    w.target = am_model_target(m.model);
    if (job->n_sources) {
        is_list = false;
        if (job->n_sources == 1)
            AM_GO(rc, json_file(job->sources[0], &file, &is_list, err));
        if (is_list)
            AM_GO(rc,
                  bytes_to_file(pl, a, am_buf_view(&file), true, &w.list, path, sizeof path, err));
    } else {
        AM_GO(rc, bytes_to_file(pl, a, job->bytes, w.json, &w.list, path, sizeof path, err));
    }
    size_t n_specs = path[0] ? 1 : job->n_sources;
    struct am_str *specs = am_arena_array(a, n_specs, sizeof *specs);
    AM_GO(rc, am_arena_check(a, err));
    for (size_t i = 0; i < n_specs; i++)
        specs[i] = am_str(path[0] ? path : job->sources[i]);
    struct am_source_options o = {.specs = specs,
                                  .n_specs = n_specs,
                                  .temp_dir = am_registry_scratch(pl->registry),
                                  .pool = pl->pool};
    AM_GO(rc, am_source_open(tables, &o, &src, err));
    media = am_source_role(src, 0) == AM_MEDIA_ROLE_MEDIA;
    if (media && job->format == AM_PIPELINE_AUTO)
        w.json = job->otherwise == AM_PIPELINE_JSON;
    w.list = w.list || (media && w.json);
    w.whole = media;
    if (media)
        AM_GO(rc, read_media(src, w.info, &t, err));
    else
        AM_GO(rc, am_source_read(tables, src, w.info->inputs, w.info->ids, w.info->n_ids, &t, err));
    AM_GO(rc, am_predictor_new(m.model, pl->pool, &p, err));
    AM_GO(rc, stream(&w, p, &t, a, pl->progress, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "model", am_new_str(a, m.name));
    am_node_set(a, *out, "version", m.version ? am_new_i64(a, m.version) : am_new_null(a));
    am_node_set(a, *out, "rows", am_new_i64(a, (int64_t)w.n_rows));
    if (media)
        am_node_set(a, *out, "files", am_source_media_to_node(src, a));
    rc = am_arena_check(a, err);
    if (rc == AM_OK && media && w.n_rows == 0)
        rc = first_bad_file(am_node_get(*out, "files"), err);
out:
    if (rc != AM_OK && path[0])
        name_input(err, path);
    am_predictor_free(p);
    if (t.ops)
        t.ops->free(t.impl);
    am_source_close(src);
    am_model_put(m.model);
    am_buf_clear(&w.out);
    am_buf_clear(&file);
    if (path[0])
        am_fs()->unlink(path);
    return rc;
}
