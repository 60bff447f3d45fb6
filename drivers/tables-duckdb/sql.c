/* SQL text: quoting, the source's table function with its options, and casts from what is stored to
 * what is handed out. Everything from outside goes through sql_name or sql_literal, but the
 * predicates and SQL that users write, which are checked to be one expression or one SELECT. */
#include "driver_int.h"

#include <string.h>

void sql_init(struct sql *s, const struct am_host *host)
{
    *s = (struct sql){.host = host};
}

void sql_clear(struct sql *s)
{
    s->host->free(s->ptr);
    *s = (struct sql){.host = s->host};
}

void sql_add(struct sql *s, const char *p, size_t n)
{
    if (s->failed || n > ((size_t)64 << 20) - s->len) {
        s->failed = true;
        return;
    }
    if (s->len + n + 1 > s->cap) {
        size_t cap = (s->len + n + 1) * 2;
        char *grown = s->host->realloc_array(s->ptr, cap, 1);
        if (!grown) {
            s->failed = true;
            return;
        }
        s->ptr = grown;
        s->cap = cap;
    }
    memcpy(s->ptr + s->len, p, n);
    s->len += n;
    s->ptr[s->len] = '\0';
}

void sql_text(struct sql *s, const char *text)
{
    sql_add(s, text, strlen(text));
}

static void sql_quoted(struct sql *s, struct am_str v, char quote)
{
    sql_add(s, &quote, 1);
    for (size_t i = 0; i < v.len; i++) {
        if (v.ptr[i] == '\0')
            continue; /* cannot be in SQL text */
        if (v.ptr[i] == quote)
            sql_add(s, &quote, 1);
        sql_add(s, &v.ptr[i], 1);
    }
    sql_add(s, &quote, 1);
}

void sql_name(struct sql *s, struct am_str name)
{
    sql_quoted(s, name, '"');
}
void sql_literal(struct sql *s, struct am_str value)
{
    sql_quoted(s, value, '\'');
}

enum am_rc sql_check(const struct sql *s, struct am_err *err)
{
    return s->failed ? s->host->fail_nomem(err, s->cap, __FILE__, __LINE__) : AM_OK;
}

const char *sql_stored_type(enum am_stored_type t)
{
    switch (t) {
    case AM_STORED_DOUBLE:
        return "DOUBLE";
    case AM_STORED_INT:
        return "BIGINT";
    case AM_STORED_BOOL:
        return "BOOLEAN";
    case AM_STORED_DATE:
        return "TIMESTAMP";
    case AM_STORED_BLOB:
        return "BLOB";
    default:
        return "VARCHAR";
    }
}

static bool is_one_of(struct am_str t, const char *const *names)
{
    for (; *names; names++)
        if (t.len == strlen(*names) && memcmp(t.ptr, *names, t.len) == 0)
            return true;
    return false;
}

enum am_stored_type stored_of_engine_type(struct am_str t)
{
    static const char *const ints[] = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",
                                       "UTINYINT", "USMALLINT", "UINTEGER", NULL};
    static const char *const doubles[] = {"FLOAT",    "DOUBLE",  "HUGEINT",
                                          "UHUGEINT", "UBIGINT", NULL};
    static const char *const dates[] = {"DATE",
                                        "TIMESTAMP",
                                        "TIMESTAMP_S",
                                        "TIMESTAMP_MS",
                                        "TIMESTAMP_NS",
                                        "TIMESTAMP WITH TIME ZONE",
                                        NULL};
    static const char *const texts[] = {
        "VARCHAR", "UUID", "TIME",     "INTERVAL", "TIME WITH TIME ZONE",
        "BIT",     "JSON", "\"NULL\"", "NULL",     NULL};
    if (t.len > 0 && (t.ptr[t.len - 1] == ']' || t.ptr[t.len - 1] == ')')) {
        if (t.len > 8 && memcmp(t.ptr, "DECIMAL(", 8) == 0)
            return AM_STORED_DOUBLE;
        if (t.len > 5 && memcmp(t.ptr, "ENUM(", 5) == 0 && t.ptr[t.len - 1] == ')')
            return AM_STORED_TEXT;
        return AM_STORED_OTHER;
    }
    if (is_one_of(t, ints))
        return AM_STORED_INT;
    if (is_one_of(t, doubles))
        return AM_STORED_DOUBLE;
    if (t.len == 7 && memcmp(t.ptr, "BOOLEAN", 7) == 0)
        return AM_STORED_BOOL;
    if (is_one_of(t, dates))
        return AM_STORED_DATE;
    return is_one_of(t, texts)                           ? AM_STORED_TEXT
           : t.len == 4 && memcmp(t.ptr, "BLOB", 4) == 0 ? AM_STORED_BLOB
                                                         : AM_STORED_OTHER;
}

void sql_csv_options(struct sql *s, const struct am_csv_options *given,
                     const struct am_tables_info *sniffed)
{
    struct am_csv_options full = *given;
    if (sniffed && !full.delimiter)
        full.delimiter = sniffed->delimiter;
    if (sniffed && !full.quote)
        full.quote = sniffed->quote;
    if (sniffed && full.header == AM_CSV_HEADER_SNIFF)
        full.header = sniffed->has_header ? AM_CSV_HEADER_YES : AM_CSV_HEADER_NO;
    const struct am_csv_options *o = &full;
    if (o->delimiter) {
        sql_text(s, ", delim=");
        sql_literal(s, (struct am_str){&o->delimiter, 1});
    }
    if (o->quote) {
        sql_text(s, ", quote=");
        sql_literal(s, (struct am_str){&o->quote, 1});
        sql_text(s, ", escape=");
        sql_literal(s, (struct am_str){&o->quote, 1});
    }
    if (o->header != AM_CSV_HEADER_SNIFF)
        sql_text(s, o->header == AM_CSV_HEADER_YES ? ", header=true" : ", header=false");
    sql_text(s, ", nullstr=[");
    for (size_t i = 0; i < o->n_nulls; i++) {
        if (i)
            sql_text(s, ",");
        sql_literal(s, o->nulls[i]);
    }
    sql_text(s, o->n_nulls ? "]" : "'']");
    /* lines up to 16 MiB only where names alone ask for it; small buffers share the work evenly and
     * keep the memory low */
    sql_text(s, o->n_names > 16384 ? ", max_line_size=16777216"
                                   : ", max_line_size=2000000, buffer_size=8000000");
    sql_text(s, ", sample_size=10240");
}

static void sql_paths(struct sql *s, const struct am_tables_source *src)
{
    sql_text(s, "[");
    for (size_t i = 0; i < src->n_paths; i++) {
        if (i)
            sql_text(s, ",");
        sql_literal(s, src->paths[i]);
    }
    sql_text(s, "]");
}

static const struct am_tables_column *
asked_for(struct am_str name, const struct am_tables_column *columns, size_t n, size_t hint)
{
    for (size_t k = 0; k < n; k++) {
        const struct am_tables_column *c = &columns[(hint + k) % n];
        if (!c->expr.ptr && c->name.len == name.len && memcmp(c->name.ptr, name.ptr, name.len) == 0)
            return c;
    }
    return NULL;
}

static void sql_csv_columns(struct sql *s, const struct duck_info *info,
                            const struct am_tables_column *columns, size_t n_columns)
{
    sql_text(s, ", auto_detect=false, columns={");
    size_t hint = 0;
    for (size_t i = 0; i < info->pub.n_columns; i++) {
        const struct am_tables_column_info *c = &info->columns[i];
        const struct am_tables_column *asked = asked_for(c->name, columns, n_columns, hint);
        if (asked)
            hint = (size_t)(asked - columns) + 1;
        if (i)
            sql_text(s, ",");
        sql_literal(s, c->name);
        sql_text(s, ":'");
        bool day = c->engine_type.len == 4 && memcmp(c->engine_type.ptr, "DATE", 4) == 0;
        enum am_stored_type stored = asked ? asked->stored : c->stored;
        sql_text(s, day && stored == AM_STORED_DATE ? "DATE" : sql_stored_type(stored));
        sql_text(s, "'");
    }
    sql_text(s, "}");
    if (info->date_format.ptr) {
        sql_text(s, ", dateformat=");
        sql_literal(s, info->date_format);
    }
    if (info->timestamp_format.ptr) {
        sql_text(s, ", timestampformat=");
        sql_literal(s, info->timestamp_format);
    }
}

void sql_source(struct sql *s, const struct am_tables_source *src, const struct duck_info *info,
                const struct am_tables_column *columns, size_t n_columns)
{
    switch (src->format) {
    case AM_TABLES_CSV:
        sql_text(s, "read_csv(");
        sql_paths(s, src);
        sql_csv_options(s, &src->csv, info ? &info->pub : NULL);
        if (info)
            sql_csv_columns(s, info, columns, n_columns);
        sql_text(s, ")");
        return;
    case AM_TABLES_JSON_LINES:
        sql_text(s, "read_json(");
        sql_paths(s, src);
        sql_text(s, ", format='auto', map_inference_threshold=-1, field_appearance_threshold=0)");
        return;
    case AM_TABLES_PARQUET:
        sql_text(s, "read_parquet(");
        sql_paths(s, src);
        sql_text(s, ", hive_partitioning=false)");
        return;
    case AM_TABLES_SQL:
        sql_text(s, "(");
        sql_add(s, src->sql.ptr, src->sql.len);
        sql_text(s, "\n)");
        return;
    }
}

/* The column as its stored type. */
static void sql_stored(struct sql *s, const struct am_tables_source *src,
                       const struct duck_info *info, const struct am_tables_column *c)
{
    if (c->expr.ptr) {
        sql_text(s, "CAST((");
        sql_add(s, c->expr.ptr, c->expr.len);
        sql_text(s, "\n) AS ");
        sql_text(s, sql_stored_type(c->stored));
        sql_text(s, ")");
        return;
    }
    if (src->format == AM_TABLES_CSV && c->stored != AM_STORED_DATE) {
        sql_name(s, c->name);
        return;
    }
    const struct am_tables_column_info *engine = NULL;
    for (size_t i = 0; info && i < info->pub.n_columns && !engine; i++)
        if (info->columns[i].name.len == c->name.len &&
            memcmp(info->columns[i].name.ptr, c->name.ptr, c->name.len) == 0)
            engine = &info->columns[i];
    bool zoned = engine && engine->engine_type.len == 24 && c->stored == AM_STORED_DATE;
    sql_text(s, zoned ? "make_timestamp(epoch_us(" : "CAST(");
    sql_name(s, c->name);
    if (zoned) {
        sql_text(s, "))"); /* UTC, whatever the session's zone */
        return;
    }
    sql_text(s, " AS ");
    sql_text(s, sql_stored_type(c->stored));
    sql_text(s, ")");
}

/* Casts from a stored type (`%` stands for the cell) to a type handed out. */
static const char *cast_of(enum am_stored_type from, enum am_col_type to)
{
    switch (to) {
    case AM_COL_NUMBER:
        if (from == AM_STORED_TEXT)
            return "CASE WHEN % IS NULL THEN NULL ELSE coalesce(TRY_CAST(% AS DOUBLE),CAST('inf' "
                   "AS DOUBLE)) END";
        if (from == AM_STORED_DATE)
            return "CAST(epoch_us(%) AS DOUBLE)";
        return from == AM_STORED_DOUBLE ? "%" : "CAST(% AS DOUBLE)";
    case AM_COL_BOOLEAN:
        if (from == AM_STORED_TEXT)
            return "CASE WHEN % IS NULL THEN NULL WHEN lower(trim(%)) IN "
                   "('true','t','yes','y','on','1','1.0') THEN CAST(1 AS DOUBLE) WHEN "
                   "lower(trim(%)) IN "
                   "('false','f','no','n','off','0','0.0') THEN CAST(0 AS DOUBLE) ELSE CAST('inf' "
                   "AS DOUBLE) END";
        if (from == AM_STORED_DATE)
            return NULL;
        return from == AM_STORED_DOUBLE ? "%" : "CAST(% AS DOUBLE)"; /* table.c checks 0 and 1 */
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return "%";
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
        if (from == AM_STORED_DOUBLE)
            return "%"; /* table.c prints them: the engine binds many CASEs in quadratic time */
        return from == AM_STORED_TEXT ? "%" : "CAST(% AS VARCHAR)";
    case AM_COL_DATE:
        if (from == AM_STORED_TEXT)
            return "CAST(% AS TIMESTAMP)";
        return from == AM_STORED_DATE ? "%" : NULL;
    }
    return NULL;
}

void sql_column(struct sql *s, const struct am_tables_source *src, const struct duck_info *info,
                const struct am_tables_column *c)
{
    const char *cast = cast_of(c->stored, c->type);
    for (const char *p = cast ? cast : "NULL"; *p; p++) {
        if (*p == '%')
            sql_stored(s, src, info, c);
        else
            sql_add(s, p, 1);
    }
    sql_text(s, " AS ");
    sql_name(s, c->name);
}
