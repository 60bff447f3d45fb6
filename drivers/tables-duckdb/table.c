/* A read as an am_table: SQL made when opened, a streaming result, one chunk of the engine = one
 * batch.
 *
 * Numbers are handed out where the engine put them, missing ones overwritten with NaN; strings
 * point into the chunk, which lives until the next call. Each iterator has a connection of its own,
 * since a streaming result blocks one. */
#include "driver_int.h"
#include "prefetch.h"

#include <math.h>
#include <string.h>

#define CHUNK_ROWS ((size_t)2048) /* the engine's vector size */
#define NUMBER_CHARS ((size_t)32)

struct duck_table {
    struct duck *d; /* borrowed */
    struct am_schema schema;
    struct am_column_desc *desc;      /* owned [n] */
    struct am_tables_column *columns; /* owned [n] */
    size_t n;
    struct am_tables_source source; /* its arrays are owned below */
    struct duck_info *info;         /* owned copy, or NULL */
    struct am_str *strings;         /* owned: paths, labels, nulls, numbers */
    const struct am_str *numbers;   /* [n_numbers] in strings */
    size_t n_numbers;
    char *memory; /* owned: every text */
    uint64_t n_rows;
    struct am_bad_cell *bad; /* borrowed */
};

struct am_table_iter {
    struct duck_table *t;
    duckdb_connection connection;
    struct prefetch *ahead;
    duckdb_data_chunk chunk;
    struct am_column *columns; /* owned [n] */
    struct am_str *texts;      /* owned [n_text * cap] */
    char *printed;             /* owned [n_printed * cap * NUMBER_CHARS]: numbers as text */
    bool *is_printed;          /* owned [n]: a stored double that is handed out as text */
    size_t n, n_text, n_printed, cap;
    struct am_batch batch;
    uint64_t row;
};

struct copier {
    char *at;
    size_t n_bytes;
};

static struct am_str copy(struct copier *c, struct am_str s)
{
    if (!s.ptr)
        return s;
    if (!c->at) {
        c->n_bytes += s.len + 1;
        return s;
    }
    char *to = c->at;
    memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
    c->at += s.len + 1;
    return (struct am_str){to, s.len};
}

static void table_free(void *impl)
{
    struct duck_table *t = impl;
    if (!t)
        return;
    const struct am_host *host = t->d->host;
    if (t->info)
        host->free(t->info->columns);
    host->free(t->info);
    host->free(t->strings);
    host->free(t->columns);
    host->free(t->desc);
    host->free(t->memory);
    host->free(t);
}

static void copy_strings(struct copier *c, struct am_str *to, const struct am_str *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct am_str s = copy(c, from[i]);
        if (c->at)
            to[i] = s;
    }
}

/* Run twice: without memory it counts bytes, with memory it copies. */
static void copy_all(struct copier *c, struct duck_table *t, const struct am_tables_read *r,
                     const struct duck_info *info)
{
    const struct am_tables_source *src = r->source;
    struct am_str *strings = t->strings;
    copy_strings(c, strings, src->paths, src->n_paths);
    t->source.paths = strings;
    strings += src->n_paths;
    if (src->labels) {
        copy_strings(c, strings, src->labels, src->n_paths);
        t->source.labels = strings;
        strings += src->n_paths;
    }
    copy_strings(c, strings, src->csv.nulls, src->csv.n_nulls);
    t->source.csv.nulls = strings;
    strings += src->csv.n_nulls;
    copy_strings(c, strings, r->numbers, r->n_numbers);
    t->numbers = strings;
    t->n_numbers = r->n_numbers;
    t->source.csv.names = NULL;
    t->source.sql = copy(c, src->sql);
    t->source.base_dir = copy(c, src->base_dir);
    for (size_t i = 0; i < t->n; i++) {
        t->columns[i] = r->columns[i];
        t->columns[i].name = copy(c, r->columns[i].name);
        t->columns[i].expr = copy(c, r->columns[i].expr);
        t->desc[i] = (struct am_column_desc){t->columns[i].name, t->columns[i].type};
    }
    if (!info)
        return;
    struct am_tables_column_info *columns = t->info->columns;
    *t->info = *info;
    t->info->columns = columns;
    t->info->pub.columns = columns;
    t->info->memory = NULL;
    t->info->date_format = copy(c, info->date_format);
    t->info->timestamp_format = copy(c, info->timestamp_format);
    for (size_t i = 0; i < info->pub.n_columns; i++) {
        columns[i] = info->columns[i];
        columns[i].name = copy(c, info->columns[i].name);
        columns[i].engine_type = copy(c, info->columns[i].engine_type);
    }
}

static enum am_rc table_new(struct duck *d, const struct am_tables_read *r,
                            const struct duck_info *info, struct duck_table **out,
                            struct am_err *err)
{
    const struct am_host *host = d->host;
    const struct am_tables_source *src = r->source;
    struct copier count = {0};
    size_t n_strings = src->n_paths * 2 + src->csv.n_nulls + r->n_numbers + 1;
    struct duck_table *t = host->alloc(sizeof *t);
    if (!t)
        return DUCK_NOMEM(d, err, sizeof *t);
    *t = (struct duck_table){
        .d = d, .n = r->n_columns, .source = *src, .n_rows = r->n_rows, .bad = r->bad};
    t->desc = host->alloc((t->n + 1) * sizeof *t->desc);
    t->columns = host->alloc((t->n + 1) * sizeof *t->columns);
    t->strings = host->alloc(n_strings * sizeof *t->strings);
    if (info) {
        t->info = host->alloc(sizeof *t->info);
        if (t->info)
            *t->info = (struct duck_info){
                .columns = host->alloc((info->pub.n_columns + 1) * sizeof *info->columns)};
    }
    if (!t->desc || !t->columns || !t->strings || (info && (!t->info || !t->info->columns))) {
        table_free(t);
        return DUCK_NOMEM(d, err, n_strings * sizeof *t->strings);
    }
    copy_all(&count, t, r, info);
    t->memory = host->alloc(count.n_bytes + 1);
    if (!t->memory) {
        table_free(t);
        return DUCK_NOMEM(d, err, count.n_bytes);
    }
    count.at = t->memory;
    copy_all(&count, t, r, info);
    t->schema = (struct am_schema){t->desc, t->n};
    *out = t;
    return AM_OK;
}

static const struct am_schema *table_schema(void *impl)
{
    return &((struct duck_table *)impl)->schema;
}
static uint64_t table_n_rows(void *impl)
{
    return ((struct duck_table *)impl)->n_rows;
}

static void iter_close(struct am_table_iter *it)
{
    if (!it)
        return;
    const struct duck *d = it->t->d;
    if (it->chunk)
        d->api->duckdb_destroy_data_chunk(&it->chunk);
    prefetch_free(it->ahead);
    if (it->connection)
        d->api->duckdb_disconnect(&it->connection);
    d->host->free(it->columns);
    d->host->free(it->texts);
    d->host->free(it->printed);
    d->host->free(it->is_printed);
    d->host->free(it);
}

static bool any_media(const struct am_table_iter *it)
{
    for (size_t i = 0; i < it->n; i++)
        if (am_col_is_media(it->columns[i].type))
            return true;
    return false;
}

/* Chunks to fetch ahead: one where a cell may be a picture (a row group is 8 MB then). */
static unsigned chunks_ahead(const struct am_table_iter *it)
{
    return any_media(it) ? 1 : (unsigned)(it->t->d->ahead_bytes / (CHUNK_ROWS * 8 * (it->n + 1)));
}

static enum am_rc start(struct am_table_iter *it, const char *sql, struct am_err *err)
{
    const struct duck *d = it->t->d;
    duckdb_prepared_statement statement = NULL;
    duckdb_pending_result pending = NULL;
    duckdb_result result;
    memset(&result, 0, sizeof result);
    enum am_rc rc = AM_OK;
    if (d->api->duckdb_prepare(it->connection, sql, &statement) != DUCKDB_SUCCESS)
        rc = duck_fail(d, &it->t->source, d->api->duckdb_prepare_error(statement), err);
    else if (d->api->duckdb_pending_prepared_streaming(statement, &pending) != DUCKDB_SUCCESS)
        rc = duck_fail_cell(d, &it->t->source, d->api->duckdb_pending_error(pending), it->t->bad,
                            err);
    else if (d->api->duckdb_execute_pending(pending, &result) != DUCKDB_SUCCESS)
        rc = duck_fail_cell(d, &it->t->source, d->api->duckdb_result_error(&result), it->t->bad,
                            err);
    if (rc == AM_OK)
        rc = prefetch_new(d, it->connection, &result, chunks_ahead(it), &it->ahead, err);
    d->api->duckdb_destroy_result(&result);
    d->api->duckdb_destroy_pending(&pending);
    d->api->duckdb_destroy_prepare(&statement);
    return rc;
}

static enum am_rc run_setting(struct am_table_iter *it, const char *sql, struct am_err *err)
{
    const struct duck *d = it->t->d;
    duckdb_result r;
    memset(&r, 0, sizeof r);
    enum am_rc rc = AM_OK;
    if (d->api->duckdb_query(it->connection, sql, &r) != DUCKDB_SUCCESS)
        rc = duck_fail(d, &it->t->source, d->api->duckdb_result_error(&r), err);
    d->api->duckdb_destroy_result(&r);
    return rc;
}

static enum am_rc iter_columns(struct am_table_iter *it, const size_t *columns, struct am_err *err)
{
    const struct duck_table *t = it->t;
    it->columns = t->d->host->alloc((it->n + 1) * sizeof *it->columns);
    it->is_printed = t->d->host->alloc((it->n + 1) * sizeof *it->is_printed);
    if (!it->columns || !it->is_printed)
        return DUCK_NOMEM(t->d, err, (it->n + 1) * sizeof *it->columns);
    for (size_t i = 0; i < it->n; i++) {
        const struct am_tables_column *c = &t->columns[columns ? columns[i] : i];
        it->columns[i] = (struct am_column){.type = c->type};
        it->is_printed[i] = am_col_is_string(c->type) && c->stored == AM_STORED_DOUBLE;
        it->n_text += am_col_is_string(c->type);
        it->n_printed += it->is_printed[i];
    }
    return AM_OK;
}

/* Room for the texts of a chunk of n rows. */
static enum am_rc iter_room(struct am_table_iter *it, size_t n, struct am_err *err)
{
    const struct am_host *host = it->t->d->host;
    if (n <= it->cap)
        return AM_OK;
    host->free(it->texts);
    host->free(it->printed);
    it->texts = host->alloc((it->n_text * n + 1) * sizeof *it->texts);
    it->printed = host->alloc(it->n_printed * n * NUMBER_CHARS + 1);
    it->cap = it->texts && it->printed ? n : 0;
    return it->cap ? AM_OK
                   : DUCK_NOMEM(it->t->d, err, it->n_text * n * (sizeof *it->texts + NUMBER_CHARS));
}

static enum am_rc table_open(void *impl, const size_t *columns, size_t n_columns,
                             struct am_table_iter **out, struct am_err *err)
{
    struct duck_table *t = impl;
    const struct duck *d = t->d;
    enum am_rc rc = AM_OK;
    struct sql s;
    sql_init(&s, d->host);
    *out = NULL;
    struct am_table_iter *it = d->host->alloc(sizeof *it);
    if (!it)
        return DUCK_NOMEM(d, err, sizeof *it);
    memset(it, 0, sizeof *it);
    it->t = t;
    it->n = columns ? n_columns : t->n;
    AM_GO(rc, iter_columns(it, columns, err));
    if (d->api->duckdb_connect(d->db, &it->connection) != DUCKDB_SUCCESS) {
        rc = DUCK_FAIL(d, err, AM_EINTERNAL, "the table engine opens no further connection");
        goto out;
    }
    /* The engine's threads run this far ahead of the reader. It counts 16 bytes for a picture,
     * however large: then not further than the chunk in hand. */
    AM_GO(rc, run_setting(it,
                          any_media(it) ? "SET streaming_buffer_size='16B'"
                                        : "SET streaming_buffer_size='4MB'",
                          err));
    AM_GO(rc, duck_prepare_source(d, it->connection, &t->source, err));
    sql_text(&s, "SELECT ");
    for (size_t i = 0; i < it->n; i++) {
        if (i)
            sql_text(&s, ", ");
        sql_column(&s, &t->source, t->info, &t->columns[columns ? columns[i] : i]);
    }
    if (it->n == 0)
        sql_text(&s, "1");
    sql_text(&s, " FROM ");
    for (size_t i = 0; i < t->n_numbers; i++) {
        sql_text(&s, i ? ", TRY_CAST(" : "(SELECT * REPLACE (TRY_CAST(");
        sql_name(&s, t->numbers[i]);
        sql_text(&s, " AS DOUBLE) AS ");
        sql_name(&s, t->numbers[i]);
    }
    if (t->n_numbers)
        sql_text(&s, ") FROM ");
    sql_source(&s, &t->source, t->info, t->columns, t->n);
    if (t->n_numbers)
        sql_text(&s, ")");
    AM_GO(rc, sql_check(&s, err));
    AM_GO(rc, start(it, s.ptr, err));
    *out = it;
    it = NULL;
out:
    sql_clear(&s);
    iter_close(it);
    return rc;
}

static bool is_valid(const uint64_t *valid, size_t i)
{
    return !valid || (valid[i / 64] >> (i % 64) & 1);
}

static void take_text(const duckdb_string_t *data, const uint64_t *valid, size_t n,
                      struct am_str *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_valid(valid, i)) {
            out[i] = (struct am_str){NULL, 0};
            continue;
        }
        uint32_t len = data[i].value.inlined.length;
        out[i] = (struct am_str){
            len <= 12 ? data[i].value.inlined.inlined : data[i].value.pointer.ptr, len};
    }
}

/* Canonical text of numbers; NaN is missing. printed: [n * NUMBER_CHARS] */
static void print_numbers(const struct duck *d, const double *v, const uint64_t *valid, size_t n,
                          char *printed, struct am_str *out)
{
    for (size_t i = 0; i < n; i++, printed += NUMBER_CHARS) {
        out[i] = (struct am_str){NULL, 0};
        if (is_valid(valid, i) && !isnan(v[i]))
            out[i] = (struct am_str){printed, d->host->print_double(v[i], printed)};
    }
}

static void take_number(double *v, const uint64_t *valid, size_t n, struct am_column *c)
{
    for (size_t i = 0; valid && i < n; i++)
        if (!is_valid(valid, i))
            v[i] = NAN;
    for (size_t i = 0; c->type == AM_COL_BOOLEAN && i < n; i++)
        if (v[i] != 0 && v[i] != 1 && !isnan(v[i]))
            v[i] = INFINITY; /* no boolean */
    c->number = v;
}

static void take_date(int64_t *date, const uint64_t *valid, size_t n, struct am_column *c)
{
    for (size_t i = 0; i < n; i++)
        if (!is_valid(valid, i) || date[i] == INT64_MAX || date[i] == -INT64_MAX)
            date[i] = AM_DATE_MISSING; /* also the engine's own +-infinity */
    c->date = date;
}

static void take_columns(struct am_table_iter *it, size_t n)
{
    const struct duck *d = it->t->d;
    struct am_str *texts = it->texts;
    char *printed = it->printed;
    for (size_t k = 0; k < it->n; k++) {
        struct am_column *c = &it->columns[k];
        duckdb_vector v = d->api->duckdb_data_chunk_get_vector(it->chunk, k);
        const uint64_t *valid = d->api->duckdb_vector_get_validity(v);
        void *data = d->api->duckdb_vector_get_data(v);
        if (c->type == AM_COL_DATE) {
            take_date(data, valid, n, c);
        } else if (!am_col_is_string(c->type)) {
            take_number(data, valid, n, c);
        } else {
            if (it->is_printed[k]) {
                print_numbers(d, data, valid, n, printed, texts);
                printed += n * NUMBER_CHARS;
            } else {
                take_text(data, valid, n, texts);
            }
            c->text = texts;
            texts += n;
        }
    }
}

static enum am_rc iter_next(struct am_table_iter *it, const struct am_batch **out,
                            struct am_err *err)
{
    const struct duck *d = it->t->d;
    *out = NULL;
    it->row += it->batch.n_rows;
    it->batch.n_rows = 0;
    if (it->chunk)
        d->api->duckdb_destroy_data_chunk(&it->chunk);
    size_t n = 0;
    do {
        if (it->chunk)
            d->api->duckdb_destroy_data_chunk(&it->chunk);
        const char *message;
        it->chunk = prefetch_next(it->ahead, &message);
        if (!it->chunk)
            return message ? duck_fail_cell(d, &it->t->source, message, it->t->bad, err) : AM_OK;
        n = d->api->duckdb_data_chunk_get_size(it->chunk);
    } while (n == 0);
    if (n > CHUNK_ROWS)
        return DUCK_FAIL(d, err, AM_EINTERNAL, "the table engine gave %zu rows at once", n);
    AM_TRY(iter_room(it, n, err));
    take_columns(it, n);
    it->batch = (struct am_batch){
        .n_rows = n, .n_columns = it->n, .columns = it->columns, .first_row = it->row};
    *out = &it->batch;
    return AM_OK;
}

static const struct am_table_ops table_ops = {.schema = table_schema,
                                              .n_rows = table_n_rows,
                                              .open = table_open,
                                              .next = iter_next,
                                              .close = iter_close,
                                              .free = table_free};

enum am_rc duck_read(void *impl, const struct am_tables_read *read, struct am_table *out,
                     struct am_err *err)
{
    struct duck *d = impl;
    struct am_tables_info *described = NULL;
    *out = (struct am_table){0};
    if (!read->info && read->source->format != AM_TABLES_PARQUET)
        AM_TRY(duck_describe(d, read->source, &described, err));
    const struct am_tables_info *info = read->info ? read->info : described;
    struct duck_table *t = NULL;
    enum am_rc rc = table_new(d, read, (const struct duck_info *)info, &t, err);
    duck_forget(d, described);
    if (rc == AM_OK)
        *out = (struct am_table){&table_ops, t};
    return rc;
}
