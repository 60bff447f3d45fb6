/* The port to a table engine: reads CSV, JSON Lines, Parquet and SQL over them, in file order, out
 * of core under a memory limit. A driver (drivers/tables-*) implements it.
 *
 * Not a query builder and not a data base: nothing is stored in the engine. The core names no
 * driver; it gets a `struct am_tables` from the platform. Names and predicates given here come from
 * recipes: the driver quotes names itself and lets predicates only be one expression. One handle
 * may be used by one thread at a time; tables read through it by one thread each. */
#ifndef AM_DATA_TABLES_H
#define AM_DATA_TABLES_H

#include "base/host.h"
#include "tensor/frame.h"

enum am_tables_access {
    AM_TABLES_FILES,  /* the user's own files, as on the command line */
    AM_TABLES_LISTED, /* only the directories in `allowed_dirs`; no network, no extension loading */
};

struct am_tables_config {
    uint64_t memory_limit_bytes; /* 0 = the engine's default */
    unsigned n_threads;          /* 0 = all CPUs */
    const char *temp_dir;        /* for spilling; NULL = no spilling. Must exist */
    enum am_tables_access access;
    const char *const *allowed_dirs; /* [n_allowed_dirs], absolute; AM_TABLES_LISTED only */
    size_t n_allowed_dirs;
};

enum am_tables_format { AM_TABLES_CSV, AM_TABLES_JSON_LINES, AM_TABLES_PARQUET, AM_TABLES_SQL };

enum am_csv_header { AM_CSV_HEADER_SNIFF, AM_CSV_HEADER_YES, AM_CSV_HEADER_NO };

struct am_csv_options { /* 0 or NULL = sniffed */
    char delimiter;
    char quote;
    enum am_csv_header header;
    const struct am_str *nulls; /* texts that mean missing; NULL = am_csv_nulls */
    size_t n_nulls;
    const struct am_str
        *names; /* [n_names] of the columns, in place of the header's; NULL = the header's */
    size_t n_names;
};

struct am_tables_source {
    enum am_tables_format format;
    const struct am_str
        *paths; /* [n_paths] files (no globs); UTF-8 content for CSV, gzip allowed */
    const struct am_str *labels; /* [n_paths] the files' names in messages; NULL = paths */
    size_t n_paths;
    struct am_str sql; /* AM_TABLES_SQL: one SELECT */
    struct am_str
        base_dir; /* AM_TABLES_SQL: relative file names start here; NULL ptr = working directory */
    struct am_csv_options csv;
};

/* What the engine stores for a column. */
enum am_stored_type {
    AM_STORED_DOUBLE,
    AM_STORED_INT, /* 64 bits */
    AM_STORED_BOOL,
    AM_STORED_TEXT,
    AM_STORED_DATE, /* microseconds since 1970-01-01 UTC */
    AM_STORED_BLOB, /* bytes: pictures and sounds */
    AM_STORED_OTHER /* nested, binary: cannot be read */
};

struct am_tables_column_info {
    struct am_str name;
    enum am_stored_type stored;
    struct am_str engine_type; /* the engine's own name of it, for messages */
};

struct am_tables_info { /* all memory belongs to the driver until `forget` */
    const struct am_tables_column_info *columns;
    size_t n_columns;
    char delimiter, quote; /* CSV: as sniffed or given */
    bool has_header;
    size_t skipped_lines; /* CSV: before the header */
};

/* A column of a read: which, and as what. */
struct am_tables_column {
    struct am_str name;
    struct am_str expr; /* NULL ptr = the column `name`; else a SQL expression over the source */
    enum am_stored_type stored; /* type that the source's cells are read as (a CSV cell that is not
                                   of it is an error that names the line) */
    enum am_col_type type; /* type handed out. TEXT/CATEGORY of a number: its canonical text. NUMBER
                              of a stored TEXT: text that is no number comes out as +infinity. */
};

struct am_bad_cell { /* the cell that is not of its column's type; `column` empty when that was not
                        the error */
    char column[256];
    char cell[128]; /* cut off when longer */
};

struct am_tables_read {
    const struct am_tables_source *source;
    const struct am_tables_info *info;      /* from describe; NULL = as sniffed now */
    const struct am_tables_column *columns; /* [n_columns] handed out, in this order */
    size_t n_columns;
    uint64_t n_rows;              /* UINT64_MAX = not known */
    const struct am_str *numbers; /* [n_numbers] stored TEXT columns that expressions see as
                                     numbers, missing where the text is none */
    size_t n_numbers;
    struct am_bad_cell
        *bad; /* filled when a cell is refused; borrowed for the table's life; NULL = not wanted */
};

struct am_tables_ops {
    uint64_t abi;  /* AM_PORTS_ABI */
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    /* *out is the handle; nothing is kept on failure. */
    enum am_rc (*open)(const struct am_host *host, const struct am_tables_config *config,
                       void **out, struct am_err *err);
    void (*close)(void *impl); /* tables read through it must be freed before; NULL is fine */
    /* Columns and types as stored or sniffed. AM_EINVAL with file and line for bad input. */
    enum am_rc (*describe)(void *impl, const struct am_tables_source *source,
                           struct am_tables_info **out, struct am_err *err);
    void (*forget)(void *impl, struct am_tables_info *info); /* NULL is fine */
    /* A table that can be read again; everything in `read` is copied. Rows come in file order. */
    enum am_rc (*read)(void *impl, const struct am_tables_read *read, struct am_table *out,
                       struct am_err *err);
    /* Engine and version, for the run's environment; lives as long as the handle. */
    const char *(*version)(void *impl);
};

struct am_tables {
    const struct am_tables_ops *ops;
    void *impl;
};

/* The texts that mean missing when nothing is said: empty, NA, N/A, NaN, null, None, ? ... */
extern const struct am_str am_csv_nulls[];
extern const size_t am_csv_n_nulls;
const char *
am_stored_type_name(enum am_stored_type t); /* "double" "int" "bool" "text" "date" "blob" "other" */
bool am_stored_type_parse(struct am_str s, enum am_stored_type *out);

#endif
