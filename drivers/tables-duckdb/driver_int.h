/* Inside of the driver tables-duckdb: the handle, SQL text, error translation. Only for its own
 * files. */
#ifndef AM_DRIVERS_DUCKDB_INT_H
#define AM_DRIVERS_DUCKDB_INT_H

#include "data/tables.h"
#include "duckdb_api.h"

struct duck {
    const struct am_host *host; /* borrowed, for ever */
    const struct duckdb_api *api;
    duckdb_database db;
    duckdb_connection connection; /* for describe; every reading iterator has its own */
    size_t ahead_bytes;           /* of chunks fetched before they are asked for */
    char version[64];
};

struct duck_info { /* what describe hands out; `pub` first */
    struct am_tables_info pub;
    struct am_str date_format, timestamp_format; /* CSV, as sniffed; NULL ptr = ISO */
    char *memory;                                /* owned: all texts */
    struct am_tables_column_info *columns;       /* owned */
};

#define DUCK_FAIL(d, err, rc, ...) (d)->host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)
#define DUCK_NOMEM(d, err, n) (d)->host->fail_nomem((err), (n), __FILE__, __LINE__)

/* SQL text that grows; a failed append sticks. */
struct sql {
    const struct am_host *host;
    char *ptr; /* owned; NUL-terminated */
    size_t len, cap;
    bool failed;
};
void sql_init(struct sql *s, const struct am_host *host);
void sql_clear(struct sql *s);
void sql_add(struct sql *s, const char *p, size_t n);
void sql_text(struct sql *s, const char *text);
void sql_name(struct sql *s, struct am_str name);     /* "quoted" */
void sql_literal(struct sql *s, struct am_str value); /* 'quoted' */
enum am_rc sql_check(const struct sql *s, struct am_err *err);

/* "read_csv([...], ...)", "read_parquet([...])", ... with the types of `columns` (CSV). sniff:
 * leave types, and what is not given, to the engine. */
void sql_source(struct sql *s, const struct am_tables_source *src, const struct duck_info *info,
                const struct am_tables_column *columns, size_t n_columns);
/* sniffed: for what is not given; NULL = leave it to the engine */
void sql_csv_options(struct sql *s, const struct am_csv_options *given,
                     const struct am_tables_info *sniffed);
/* One column of a SELECT list, with its AS. */
void sql_column(struct sql *s, const struct am_tables_source *src, const struct duck_info *info,
                const struct am_tables_column *c);
const char *sql_stored_type(enum am_stored_type t);
enum am_stored_type stored_of_engine_type(struct am_str t);

/* Our error from the engine's text; names files as the source's labels. Always returns an error
 * code. */
enum am_rc duck_fail(const struct duck *d, const struct am_tables_source *src, const char *text,
                     struct am_err *err);
/* The same; *bad gets the cell when one was refused (NULL = not wanted). */
enum am_rc duck_fail_cell(const struct duck *d, const struct am_tables_source *src,
                          const char *text, struct am_bad_cell *bad, struct am_err *err);
enum am_rc duck_read(void *impl, const struct am_tables_read *read, struct am_table *out,
                     struct am_err *err);
enum am_rc duck_describe(void *impl, const struct am_tables_source *src,
                         struct am_tables_info **out, struct am_err *err);
void duck_forget(void *impl, struct am_tables_info *info);
/* For SQL sources: one SELECT, and where its relative file names start. */
enum am_rc duck_prepare_source(const struct duck *d, duckdb_connection c,
                               const struct am_tables_source *src, struct am_err *err);

#endif
