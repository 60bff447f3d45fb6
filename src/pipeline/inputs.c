/* What a person gives to predict or to explain: files, globs, folders and archives of pictures or
 * sounds, or bytes of CSV and JSON. Opened as one table of the model's columns. */
#include "pipeline/inputs.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "registry/registry.h"

/* Bytes become a file that the table engine reads; a JSON list becomes JSON Lines on the way. */
static enum am_rc bytes_to_file(struct am_pipeline *pl, struct am_arena *a, struct am_str bytes,
                                bool json, struct am_inputs *in, struct am_err *err)
{
    struct am_str s = am_str_trim(bytes);
    struct am_buf lines;
    char tmp[4400];
    int fd;
    enum am_rc rc;
    in->list = json && s.len && s.ptr[0] == '[';
    if (s.len == 0) {
        am_fail(err, AM_EINVAL, "the input is empty");
        am_hint(err,
                "Give CSV with a line of column names, a JSON list of objects, or JSON Lines.");
        return AM_EINVAL;
    }
    am_buf_init(&lines, (size_t)1 << 33);
    if (in->list) {
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
    snprintf(in->path, sizeof in->path, "%s%s", tmp, json ? ".jsonl" : ".csv");
    if (rc == AM_OK && am_fs()->rename(tmp, in->path) < 0)
        rc = am_fail(err, AM_EIO, "cannot name the input file");
    if (rc != AM_OK) {
        am_fs()->unlink(tmp);
        in->path[0] = 0;
    }
out:
    am_buf_clear(&lines);
    return rc;
}

/* Messages about the file that stands for stdin say "input". */
void am_inputs_name(const struct am_inputs *in, struct am_err *err)
{
    char text[sizeof err->message];
    if (!err || !in->path[0])
        return;
    const char *base = strrchr(in->path, '/') + 1;
    char *at = strstr(err->message, in->path);
    size_t n = strlen(in->path);
    if (!at) {
        at = strstr(err->message, base);
        n = strlen(base);
    }
    if (!at)
        return;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - err->message), err->message, am_tr("input"),
             at + n);
    memcpy(err->message, text, sizeof text);
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

enum am_rc am_inputs_first_bad(const struct am_node *files, struct am_err *err)
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

enum am_rc am_inputs_open(struct am_pipeline *pl, struct am_arena *a,
                          const struct am_inputs_wanted *w, struct am_inputs *in,
                          struct am_err *err)
{
    struct am_tables *tables;
    bool is_list = false, json = false;
    enum am_rc rc;
    *in = (struct am_inputs){.src = NULL};
    am_buf_init(&in->file, 0);
    AM_GO(rc, pl->tables(pl->tables_ctx, &tables, err));
    if (w->n_sources == 1)
        AM_GO(rc, json_file(w->sources[0], &in->file, &is_list, err));
    json = w->n_sources ? is_list : w->json;
    if (w->n_sources == 0 || is_list)
        AM_GO(rc, bytes_to_file(pl, a, is_list ? am_buf_view(&in->file) : w->bytes, json, in, err));
    size_t n_specs = in->path[0] ? 1 : w->n_sources;
    struct am_str *specs = am_arena_array(a, n_specs, sizeof *specs);
    AM_GO(rc, am_arena_check(a, err));
    for (size_t i = 0; i < n_specs; i++)
        specs[i] = am_str(in->path[0] ? in->path : w->sources[i]);
    struct am_source_options o = {.specs = specs,
                                  .n_specs = n_specs,
                                  .temp_dir = am_registry_scratch(pl->registry),
                                  .pool = pl->pool};
    AM_GO(rc, am_source_open(tables, &o, &in->src, err));
    in->media = am_source_role(in->src, 0) == AM_MEDIA_ROLE_MEDIA;
    if (in->media)
        rc = read_media(in->src, w->info, &in->table, err);
    else
        rc = am_source_read(tables, in->src, w->info->inputs, w->info->ids, w->info->n_ids,
                            &in->table, err);
out:
    if (rc != AM_OK)
        am_inputs_name(in, err);
    return rc;
}

void am_inputs_close(struct am_inputs *in)
{
    if (in->table.ops)
        in->table.ops->free(in->table.impl);
    am_source_close(in->src);
    am_buf_clear(&in->file);
    if (in->path[0])
        am_fs()->unlink(in->path);
}
