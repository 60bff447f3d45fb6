/* What a source holds: names and types, sniffed for CSV (on the first file), told by the engine
 * otherwise.
 *
 * The result is one struct duck_info whose texts live in one block; the caller gives it back to
 * duck_forget. When the sniffer gives up, the file is read as text so that the error names a line.
 */
#include "driver_int.h"

#include <string.h>

static void string_of(const duckdb_string_t *s, struct am_str *out)
{
    uint32_t n = s->value.inlined.length;
    *out = (struct am_str){n <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr, n};
}

/* A small result whose columns are all VARCHAR, copied: cells[row * n_columns + column], NULL ptr =
 * NULL. */
struct text_rows {
    struct am_str *cells; /* owned */
    char *memory;         /* owned */
    size_t n_rows, n_columns;
};

static void text_rows_clear(const struct duck *d, struct text_rows *r)
{
    d->host->free(r->cells);
    d->host->free(r->memory);
    *r = (struct text_rows){0};
}

static enum am_rc add_chunk(const struct duck *d, duckdb_data_chunk chunk, struct text_rows *r,
                            size_t *used, struct am_err *err)
{
    size_t n = d->api->duckdb_data_chunk_get_size(chunk), bytes = 0;
    struct am_str *grown =
        d->host->realloc_array(r->cells, (r->n_rows + n) * r->n_columns + 1, sizeof *grown);
    if (!grown)
        return DUCK_NOMEM(d, err, (r->n_rows + n) * r->n_columns * sizeof *grown);
    r->cells = grown;
    struct am_str *at = r->cells + r->n_rows * r->n_columns;
    for (size_t c = 0; c < r->n_columns; c++) {
        duckdb_vector v = d->api->duckdb_data_chunk_get_vector(chunk, c);
        const uint64_t *valid = d->api->duckdb_vector_get_validity(v);
        const duckdb_string_t *data = d->api->duckdb_vector_get_data(v);
        for (size_t i = 0; i < n; i++) {
            struct am_str *cell = &at[i * r->n_columns + c];
            *cell = (struct am_str){NULL, 0};
            if (!valid || (valid[i / 64] >> (i % 64) & 1))
                string_of(&data[i], cell);
            bytes += cell->len + 1;
        }
    }
    char *memory = d->host->realloc_array(r->memory, *used + bytes, 1);
    if (!memory)
        return DUCK_NOMEM(d, err, *used + bytes);
    r->memory = memory;
    for (size_t i = 0; i < n * r->n_columns; i++) {
        if (!at[i].ptr)
            continue;
        memcpy(memory + *used, at[i].ptr, at[i].len);
        memory[*used + at[i].len] = '\0';
        at[i].ptr = (const char *)(*used + 1); /* an offset + 1 until the memory stands still */
        *used += at[i].len + 1;
    }
    r->n_rows += n;
    return AM_OK;
}

static enum am_rc query_texts(const struct duck *d, const struct am_tables_source *src,
                              const char *sql, struct text_rows *out, struct am_err *err)
{
    duckdb_result result;
    memset(&result, 0, sizeof result);
    *out = (struct text_rows){0};
    enum am_rc rc = AM_OK;
    size_t used = 0;
    if (d->api->duckdb_query(d->connection, sql, &result) != DUCKDB_SUCCESS) {
        rc = duck_fail(d, src, d->api->duckdb_result_error(&result), err);
        goto out;
    }
    out->n_columns = d->api->duckdb_column_count(&result);
    for (duckdb_data_chunk chunk;
         rc == AM_OK && (chunk = d->api->duckdb_fetch_chunk(result)) != NULL;) {
        rc = add_chunk(d, chunk, out, &used, err);
        d->api->duckdb_destroy_data_chunk(&chunk);
    }
    for (size_t i = 0; i < out->n_rows * out->n_columns; i++)
        if (out->cells[i].ptr)
            out->cells[i].ptr = out->memory + ((size_t)out->cells[i].ptr - 1);
out:
    d->api->duckdb_destroy_result(&result);
    if (rc != AM_OK)
        text_rows_clear(d, out);
    return rc;
}

/* Takes the memory of r. */
static enum am_rc info_of(const struct duck *d, struct text_rows *r, size_t name_at, size_t type_at,
                          struct duck_info **out, struct am_err *err)
{
    struct duck_info *info = d->host->alloc(sizeof *info);
    struct am_tables_column_info *columns = d->host->alloc((r->n_rows + 1) * sizeof *columns);
    if (!info || !columns) {
        d->host->free(info);
        d->host->free(columns);
        return DUCK_NOMEM(d, err, (r->n_rows + 1) * sizeof *columns);
    }
    *info = (struct duck_info){.columns = columns, .memory = r->memory};
    for (size_t i = 0; i < r->n_rows; i++) {
        struct am_str type = r->cells[i * r->n_columns + type_at];
        columns[i] = (struct am_tables_column_info){.name = r->cells[i * r->n_columns + name_at],
                                                    .stored = stored_of_engine_type(type),
                                                    .engine_type = type};
    }
    info->pub.columns = columns;
    info->pub.n_columns = r->n_rows;
    r->memory = NULL;
    *out = info;
    return AM_OK;
}

static void sql_names(struct sql *s, const struct am_csv_options *o)
{
    if (!o->names)
        return;
    sql_text(s, ", names=[");
    for (size_t i = 0; i < o->n_names; i++) {
        if (i)
            sql_text(s, ",");
        sql_literal(s, o->names[i]);
    }
    sql_text(s, "]");
}

static enum am_rc sniff(const struct duck *d, const struct am_tables_source *src,
                        struct duck_info **out, struct am_err *err)
{
    struct sql s;
    struct text_rows rows = {0};
    sql_init(&s, d->host);
    sql_text(&s, "SELECT Delimiter, Quote, CAST(HasHeader AS VARCHAR), DateFormat, "
                 "TimestampFormat, c.name, c.type "
                 "FROM (SELECT *, unnest(Columns) AS c FROM sniff_csv(");
    sql_literal(&s, src->paths[0]);
    sql_csv_options(&s, &src->csv, NULL);
    sql_names(&s, &src->csv);
    sql_text(&s, "))");
    enum am_rc rc = sql_check(&s, err);
    if (rc == AM_OK)
        rc = query_texts(d, src, s.ptr, &rows, err);
    if (rc == AM_OK && rows.n_rows == 0)
        rc = DUCK_FAIL(d, err, AM_EINVAL, "%.*s has no columns", (int)src->paths[0].len,
                       src->paths[0].ptr);
    if (rc == AM_OK) {
        struct am_str *first = rows.cells;
        rc = info_of(d, &rows, 5, 6, out, err);
        if (rc == AM_OK) {
            (*out)->pub.delimiter = first[0].len == 1 ? first[0].ptr[0] : ',';
            (*out)->pub.quote = first[1].len == 1 ? first[1].ptr[0] : '"';
            (*out)->pub.has_header = first[2].len > 0 && first[2].ptr[0] == 't';
            if (first[3].len)
                (*out)->date_format = first[3];
            if (first[4].len)
                (*out)->timestamp_format = first[4];
        }
    }
    text_rows_clear(d, &rows);
    sql_clear(&s);
    return rc;
}

/* Every column as text, by the names given; finds the line that the sniffer could not take. */
static enum am_rc describe_as_text(const struct duck *d, const struct am_tables_source *src,
                                   struct duck_info **out, struct am_err *err)
{
    const struct am_csv_options *o = &src->csv;
    struct text_rows names = {.n_rows = o->n_names, .n_columns = 2}, probe = {0};
    size_t bytes = 16;
    for (size_t i = 0; i < o->n_names; i++)
        bytes += o->names[i].len + 1;
    names.memory = d->host->alloc(bytes);
    names.cells = d->host->alloc((o->n_names * 2 + 1) * sizeof *names.cells);
    struct sql s;
    sql_init(&s, d->host);
    enum am_rc rc = AM_OK;
    if (!names.memory || !names.cells) {
        rc = DUCK_NOMEM(d, err, bytes);
        goto out;
    }
    char *at = names.memory;
    memcpy(at, "VARCHAR", 8);
    at += 8;
    for (size_t i = 0; i < o->n_names; i++) {
        names.cells[2 * i] = (struct am_str){at, o->names[i].len};
        names.cells[2 * i + 1] = (struct am_str){names.memory, 7};
        memcpy(at, o->names[i].ptr, o->names[i].len);
        at += o->names[i].len;
        *at++ = '\0';
    }
    AM_GO(rc, info_of(d, &names, 0, 1, out, err));
    (*out)->pub.delimiter = o->delimiter ? o->delimiter : ',';
    (*out)->pub.quote = o->quote ? o->quote : '"';
    (*out)->pub.has_header = o->header == AM_CSV_HEADER_YES;
    sql_text(&s, "SELECT ");
    for (size_t i = 0; i < o->n_names; i++) { /* all of them: only what is asked for is looked at */
        sql_text(&s, i ? ", CAST(count(" : "CAST(count(");
        sql_name(&s, o->names[i]);
        sql_text(&s, ") AS VARCHAR)");
    }
    sql_text(&s, " FROM ");
    sql_source(&s, src, *out, NULL, 0);
    AM_GO(rc, sql_check(&s, err));
    rc = query_texts(d, src, s.ptr, &probe, err);
out:
    if (rc != AM_OK && *out) {
        duck_forget((void *)(uintptr_t)d, &(*out)->pub);
        *out = NULL;
    }
    text_rows_clear(d, &probe);
    text_rows_clear(d, &names);
    sql_clear(&s);
    return rc;
}

static enum am_rc describe_other(const struct duck *d, const struct am_tables_source *src,
                                 struct duck_info **out, struct am_err *err)
{
    struct sql s;
    struct text_rows rows = {0};
    sql_init(&s, d->host);
    sql_text(&s, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ");
    sql_source(&s, src, NULL, NULL, 0);
    sql_text(&s, ")");
    enum am_rc rc = sql_check(&s, err);
    if (rc == AM_OK)
        rc = query_texts(d, src, s.ptr, &rows, err);
    if (rc == AM_OK)
        rc = info_of(d, &rows, 0, 1, out, err);
    text_rows_clear(d, &rows);
    sql_clear(&s);
    return rc;
}

enum am_rc duck_prepare_source(const struct duck *d, duckdb_connection c,
                               const struct am_tables_source *src, struct am_err *err)
{
    if (src->format != AM_TABLES_SQL)
        return AM_OK;
    struct sql s;
    sql_init(&s, d->host);
    duckdb_extracted_statements all = NULL;
    duckdb_prepared_statement one = NULL;
    duckdb_result result;
    memset(&result, 0, sizeof result);
    enum am_rc rc = AM_OK;
    sql_add(&s, src->sql.ptr, src->sql.len);
    AM_GO(rc, sql_check(&s, err));
    uint64_t n = d->api->duckdb_extract_statements(c, s.ptr, &all);
    if (n == 0) {
        rc = duck_fail(d, src, d->api->duckdb_extract_statements_error(all), err);
        goto out;
    }
    s.len = 0;
    sql_text(&s, "SET SESSION file_search_path=");
    sql_literal(&s, src->base_dir.ptr ? src->base_dir : (struct am_str){"", 0});
    AM_GO(rc, sql_check(&s, err));
    if (d->api->duckdb_query(c, s.ptr, &result) != DUCKDB_SUCCESS) {
        rc = duck_fail(d, src, d->api->duckdb_result_error(&result), err);
        goto out;
    }
    int prepared = d->api->duckdb_prepare_extracted_statement(c, all, 0, &one);
    if (prepared != DUCKDB_SUCCESS) {
        rc = duck_fail(d, src, d->api->duckdb_prepare_error(one), err);
    } else if (n != 1 || d->api->duckdb_prepared_statement_type(one) != DUCKDB_STATEMENT_SELECT) {
        rc = DUCK_FAIL(d, err, AM_EUSAGE, "the SQL source is not one SELECT statement");
        d->host->hint(err, "Give one SELECT over files, as SELECT * FROM 'data.csv' WHERE x > 0.");
    }
out:
    d->api->duckdb_destroy_result(&result);
    d->api->duckdb_destroy_prepare(&one);
    d->api->duckdb_destroy_extracted(&all);
    sql_clear(&s);
    return rc;
}

enum am_rc duck_describe(void *impl, const struct am_tables_source *src,
                         struct am_tables_info **out, struct am_err *err)
{
    struct duck *d = impl;
    struct duck_info *info = NULL;
    *out = NULL;
    AM_TRY(duck_prepare_source(d, d->connection, src, err));
    enum am_rc rc;
    if (src->format == AM_TABLES_CSV) {
        rc = sniff(d, src, &info, err);
        if (rc == AM_EUNSUPPORTED && src->csv.n_names > 0)
            rc = describe_as_text(d, src, &info, err);
    } else {
        rc = describe_other(d, src, &info, err);
    }
    if (rc == AM_OK)
        *out = &info->pub;
    return rc;
}

void duck_forget(void *impl, struct am_tables_info *info)
{
    struct duck *d = impl;
    struct duck_info *full = (struct duck_info *)info; /* `pub` is its first member */
    if (!full)
        return;
    d->host->free(full->columns);
    d->host->free(full->memory);
    d->host->free(full);
}
