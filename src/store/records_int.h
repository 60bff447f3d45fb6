/* Inside store/: what records drivers share, and the SQL text that the SQLite driver runs.
 *
 * am_sql_* are pure: they turn an operation or a query into one statement and the values to bind,
 * on the caller's thread and before any lock. Identifiers come from the declared schema only;
 * everything else is bound. */
#ifndef AM_STORE_RECORDS_INT_H
#define AM_STORE_RECORDS_INT_H

#include "base/vec.h"
#include "store/records.h"

#define AM_RECORDS_N_IMPLICIT 6
#define AM_RECORDS_NAME_CAP 48
#define AM_RECORDS_COND_DEPTH 16
#define AM_RECORDS_COND_NODES 1024
#define AM_RECORDS_IN_VALUES 256

extern const char *const am_records_implicit[AM_RECORDS_N_IMPLICIT];
bool am_records_is_implicit(const char *name);
const struct am_records_table *am_records_find_table(const struct am_records_schema *s,
                                                     const char *name);
const struct am_records_column *am_records_find_column(const struct am_records_table *t,
                                                       const char *name);
/* Cuts "a,b" into parts: false at the end. */
bool am_records_key_part(const char **cursor, char out[AM_RECORDS_NAME_CAP]);
/* "NFS" for a file system magic that cannot hold a workspace, else NULL. */
const char *am_store_remote_fs_name(uint32_t magic);

struct am_sql {
    struct am_buf text;
    AM_VEC(struct am_value) binds; /* [n_rows * n_params]; text borrowed from the operation */
    size_t n_rows;                 /* the statement is run once a row */
    size_t n_params;
    bool reads; /* REQUIRE: the first column of the answer is the number of rows */
    int64_t expect;
};

struct am_sql_scope {
    const struct am_records_schema *schema;
    struct am_str project, owner;
    int64_t now_us;
};

void am_sql_init(struct am_sql *s);
void am_sql_clear(struct am_sql *s);
enum am_rc am_sql_op(struct am_sql *s, const struct am_sql_scope *scope, const struct am_op *op,
                     struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sql_query(struct am_sql *s, const struct am_sql_scope *scope,
                        const struct am_query *q, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sql_count(struct am_sql *s, const struct am_sql_scope *scope, const char *table,
                        const struct am_cond *where, struct am_err *err) AM_MUST_CHECK;
/* Statements that take a store from schema version `from` (0 = nothing there) to the schema's,
 * separated by
 * ";\n". */
void am_sql_schema(struct am_buf *out, const struct am_records_schema *schema, unsigned from);

#endif
