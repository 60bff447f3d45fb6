/* The part of DuckDB's C API that this driver uses, declared by hand after the published interface
 * of DuckDB 1.5 (its header is not in the prebuilt package), and the table of its functions filled
 * by dlsym.
 *
 * Not a complete header. Structs and numbers here are DuckDB's ABI. The library is opened once and
 * never closed. Any thread. */
#ifndef AM_DRIVERS_DUCKDB_API_H
#define AM_DRIVERS_DUCKDB_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/host.h"

typedef void *duckdb_database;
typedef void *duckdb_connection;
typedef void *duckdb_config;
typedef void *duckdb_prepared_statement;
typedef void *duckdb_extracted_statements;
typedef void *duckdb_pending_result;
typedef void *duckdb_data_chunk;
typedef void *duckdb_vector;

typedef struct { /* 48 bytes; all but the last are obsolete */
    uint64_t n_columns, n_rows, n_changed;
    void *columns;
    char *message;
    void *internal_data;
} duckdb_result;

typedef struct { /* 16 bytes; up to 12 bytes of text lie inside */
    union {
        struct {
            uint32_t length;
            char prefix[4];
            char *ptr;
        } pointer;
        struct {
            uint32_t length;
            char inlined[12];
        } inlined;
    } value;
} duckdb_string_t;

enum { DUCKDB_SUCCESS = 0, DUCKDB_ERROR = 1 };
enum {
    DUCKDB_PENDING_READY = 0,
    DUCKDB_PENDING_NOT_READY = 1,
    DUCKDB_PENDING_ERROR = 2,
    DUCKDB_PENDING_NO_TASKS = 3
};
enum { DUCKDB_STATEMENT_SELECT = 1 };
enum { DUCKDB_TYPE_DOUBLE = 11, DUCKDB_TYPE_TIMESTAMP = 12, DUCKDB_TYPE_VARCHAR = 17 };

#define DUCKDB_FUNCTIONS(X)                                                                        \
    X(const char *, duckdb_library_version, (void))                                                \
    X(int, duckdb_create_config, (duckdb_config * out))                                            \
    X(int, duckdb_set_config, (duckdb_config config, const char *name, const char *value))         \
    X(void, duckdb_destroy_config, (duckdb_config * config))                                       \
    X(int, duckdb_open_ext,                                                                        \
      (const char *path, duckdb_database *out, duckdb_config config, char **message))              \
    X(void, duckdb_close, (duckdb_database * db))                                                  \
    X(int, duckdb_connect, (duckdb_database db, duckdb_connection * out))                          \
    X(void, duckdb_interrupt, (duckdb_connection c))                                               \
    X(void, duckdb_disconnect, (duckdb_connection * c))                                            \
    X(void, duckdb_free, (void *p))                                                                \
    X(int, duckdb_query, (duckdb_connection c, const char *sql, duckdb_result *out))               \
    X(void, duckdb_destroy_result, (duckdb_result * r))                                            \
    X(const char *, duckdb_result_error, (duckdb_result * r))                                      \
    X(uint64_t, duckdb_column_count, (duckdb_result * r))                                          \
    X(int, duckdb_column_type, (duckdb_result * r, uint64_t column))                               \
    X(duckdb_data_chunk, duckdb_fetch_chunk, (duckdb_result r))                                    \
    X(uint64_t, duckdb_extract_statements,                                                         \
      (duckdb_connection c, const char *sql, duckdb_extracted_statements *out))                    \
    X(const char *, duckdb_extract_statements_error, (duckdb_extracted_statements s))              \
    X(int, duckdb_prepare_extracted_statement,                                                     \
      (duckdb_connection c, duckdb_extracted_statements s, uint64_t i,                             \
       duckdb_prepared_statement * out))                                                           \
    X(void, duckdb_destroy_extracted, (duckdb_extracted_statements * s))                           \
    X(int, duckdb_prepare, (duckdb_connection c, const char *sql, duckdb_prepared_statement *out)) \
    X(const char *, duckdb_prepare_error, (duckdb_prepared_statement s))                           \
    X(int, duckdb_prepared_statement_type, (duckdb_prepared_statement s))                          \
    X(void, duckdb_destroy_prepare, (duckdb_prepared_statement * s))                               \
    X(int, duckdb_pending_prepared, (duckdb_prepared_statement s, duckdb_pending_result * out))    \
    X(int, duckdb_pending_prepared_streaming,                                                      \
      (duckdb_prepared_statement s, duckdb_pending_result * out))                                  \
    X(const char *, duckdb_pending_error, (duckdb_pending_result p))                               \
    X(int, duckdb_pending_execute_task, (duckdb_pending_result p))                                 \
    X(int, duckdb_execute_pending, (duckdb_pending_result p, duckdb_result * out))                 \
    X(void, duckdb_destroy_pending, (duckdb_pending_result * p))                                   \
    X(uint64_t, duckdb_data_chunk_get_size, (duckdb_data_chunk chunk))                             \
    X(duckdb_vector, duckdb_data_chunk_get_vector, (duckdb_data_chunk chunk, uint64_t column))     \
    X(void *, duckdb_vector_get_data, (duckdb_vector v))                                           \
    X(uint64_t *, duckdb_vector_get_validity, (duckdb_vector v))                                   \
    X(void, duckdb_destroy_data_chunk, (duckdb_data_chunk * chunk))

struct duckdb_api {
#define X(type, name, args) type(*name) args;
    DUCKDB_FUNCTIONS(X)
#undef X
};

/* Opens libduckdb.so beside this module, or in node_modules of a folder above it, once. */
enum am_rc duckdb_api_open(const struct am_host *host, const struct duckdb_api **out,
                           struct am_err *err);

#endif
