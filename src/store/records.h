/* Records: typed rows in tables, changed by whole transactions. The port, and the SQLite driver.
 *
 * The level is above SQL: tables are declared as data, reads are condition trees, a write is a list
 * of operations that one transaction applies or refuses as a whole. So values are always bound,
 * nothing is computed while the database is locked, and PostgreSQL can implement it as well. Not a
 * query language: no joins but `exists`, no aggregates but the count and maximum of what hangs on a
 * row. Every row has, without declaring
 * them: seq (order of creation, unique in the table), project, owner, etag (1, +1 at every change),
 * created_us, updated_us. Every call works inside one project; rows of others are invisible, unique
 * keys are per project. Handles may be used by any thread, snapshots by one; none after fork()
 * (AM_EINTERNAL). */
#ifndef AM_STORE_RECORDS_H
#define AM_STORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

#define AM_RECORDS_ABI UINT64_C(0x616d726563730002) /* changes with every change of this file */

/* ---- schema ---- */

enum am_col_kind { AM_COL_INT, AM_COL_REAL, AM_COL_TEXT, AM_COL_BLOB };

struct am_records_column {
    const char *name; /* [a-z][a-z0-9_]*, at most 40; not one of the implicit names */
    enum am_col_kind kind;
    bool required;  /* NOT NULL; columns added by a migration may not be */
    unsigned since; /* schema version that added it; 0 or 1 = the first */
};

struct am_records_table {
    const char *name;
    const struct am_records_column *columns; /* [n_columns], at most 32 */
    size_t n_columns;
    const char *const
        *unique; /* keys as "a,b"; [n_unique]; the first is the key for AM_OP_UPSERT */
    size_t n_unique;
    const char *const *indexes; /* "a,b"; [n_indexes] */
    size_t n_indexes;
    unsigned since; /* schema version that added the table */
};

/* Grows only: a migration adds tables, columns and indexes whose `since` is above the stored
 * version. */
struct am_records_schema {
    const struct am_records_table *tables;
    size_t n_tables;
    unsigned version; /* >= 1 */
};

/* ---- values ---- */

enum am_value_kind {
    AM_VALUE_NULL,
    AM_VALUE_INT,
    AM_VALUE_REAL, /* NaN is stored as NULL */
    AM_VALUE_TEXT,
    AM_VALUE_BLOB,
    AM_VALUE_ADD,    /* only in `set` of an update: the column plus i */
    AM_VALUE_LOOKUP, /* only in inserted values and in set: lookup's column of the one row whose key
                      * column equals text; read inside the transaction, NULL when there is no such
                      * row */
};

struct am_lookup {
    const char *table, *column, *key;
};

struct am_value {
    enum am_value_kind kind;
    union {
        int64_t i;
        double r;
    };
    struct am_str text;             /* TEXT, BLOB, LOOKUP; borrowed */
    const struct am_lookup *lookup; /* LOOKUP */
};

static inline struct am_value am_v_null(void)
{
    return (struct am_value){.kind = AM_VALUE_NULL};
}
static inline struct am_value am_v_int(int64_t i)
{
    return (struct am_value){.kind = AM_VALUE_INT, .i = i};
}
static inline struct am_value am_v_real(double r)
{
    return (struct am_value){.kind = AM_VALUE_REAL, .r = r};
}
/* A slice without pointer is NULL. */
static inline struct am_value am_v_str(struct am_str s)
{
    return (struct am_value){.kind = s.ptr ? AM_VALUE_TEXT : AM_VALUE_NULL, .text = s};
}
static inline struct am_value am_v_text(const char *s)
{
    return am_v_str(am_str(s));
}

/* ---- conditions ---- */

/* A number about the rows of `table` whose `inner` equals this row's `outer`: how many (0 = none),
 * or the largest `column` (NULL = none). */
enum am_aggregate { AM_AGGREGATE_COUNT, AM_AGGREGATE_MAX };
struct am_computed {
    enum am_aggregate what;
    const char *table, *column, *inner, *outer;
};

enum am_cond_kind { AM_COND_CMP, AM_COND_AND, AM_COND_OR, AM_COND_NOT, AM_COND_EXISTS };
enum am_cmp {
    AM_CMP_EQ,
    AM_CMP_NE,
    AM_CMP_LT,
    AM_CMP_LE,
    AM_CMP_GT,
    AM_CMP_GE,
    AM_CMP_LIKE,  /* % and _; case matters */
    AM_CMP_ILIKE, /* ASCII case does not matter */
    AM_CMP_IN,
    AM_CMP_IS_NULL,
};

/* A NULL column is in no comparison but IS_NULL; NOT of a comparison with NULL is false, too,
 * except that NOT EXISTS is plain. Depth at most 16, nodes at most 1024. */
struct am_cond {
    enum am_cond_kind kind;
    /* CMP: column op values[0] (IN: values[0..n_values)) */
    const char *column;
    const struct am_computed *computed; /* instead of column */
    enum am_cmp op;
    const struct am_value *values;
    size_t n_values;
    /* AND, OR: kids[0..n_kids) (AND of none is true, OR of none is false); NOT, EXISTS: kids[0] */
    const struct am_cond *const *kids;
    size_t n_kids;
    /* EXISTS: a row of `table` whose `inner` equals this row's `outer` and that meets kids[0] (if
     * n_kids) */
    const char *table, *inner, *outer;
};

/* ---- reading ---- */

/* Order by a column of the row itself, or (table given) by `column` of the one row of `table` whose
 * `inner` equals this row's `outer` and that meets `where`. NULL sorts last either way. */
struct am_order {
    const char *column;
    const struct am_computed *computed; /* instead of column */
    bool descending;
    const char *table, *inner, *outer;
    const struct am_cond *where;
};

struct am_query {
    const char *table;
    const char *const *columns; /* [n_columns], implicit ones too */
    size_t n_columns;
    const struct am_computed *computed; /* [n_computed], after the columns */
    size_t n_computed;
    const struct am_cond *where;  /* NULL = all */
    const struct am_order *order; /* then by seq ascending */
    size_t n_order;
    int64_t limit; /* < 0 = none */
    int64_t offset;
};

/* values[n_columns + n_computed], text and blobs valid during the call only. An error stops the
 * select and is returned. */
typedef enum am_rc (*am_row_fn)(void *ctx, const struct am_value *values, struct am_err *err);

/* ---- writing ---- */

enum am_op_kind {
    AM_OP_INSERT, /* rows[n_rows][n_columns]; a taken unique key refuses the transaction: AM_EEXIST
                   */
    AM_OP_INSERT_NEW, /* the same, but rows whose key is taken are left out */
    AM_OP_UPSERT,  /* a row whose first unique key is taken changes it; with `newer` only when the
                    * new row's  value of that column is at least the stored one's */
    AM_OP_UPDATE,  /* columns = values of rows[0] where `where` */
    AM_OP_DELETE,  /* where */
    AM_OP_REQUIRE, /* changes nothing: `expect` alone decides */
};

#define AM_EXPECT_ANY (-1)
#define AM_EXPECT_SOME (-2) /* one or more */

struct am_op {
    enum am_op_kind kind;
    const char *table;
    const char *const *columns; /* [n_columns] */
    size_t n_columns;
    const struct am_value *values; /* [n_rows * n_columns]; UPDATE: n_rows = 1 */
    size_t n_rows;
    const struct am_cond *where;
    const char *newer; /* UPSERT; may be NULL */
    /* rows that UPDATE and DELETE must change, that REQUIRE must find: a number, ANY or SOME.
     * Otherwise the transaction is refused: AM_ECONFLICT. (0 is a real expectation; ops made by
     * hand set ANY.) */
    int64_t expect;
};

struct am_txn {
    const struct am_op *ops;
    size_t n_ops;
    bool publish; /* readers of am_records_generation shall see a change */
};

struct am_txn_result {
    size_t failed_op; /* of a refused transaction (AM_EEXIST, AM_ECONFLICT, AM_EINVAL); n_ops
                         otherwise */
};

struct am_records_config {
    const char *url;   /* SQLite: the path of the database file (its folder exists) */
    const char *owner; /* stamped on new rows */
    const char *project;
    const struct am_records_schema *schema; /* borrowed until close; static data */
    const char *backup_dir;                 /* where the copy goes before a migration; exists */
    uint32_t busy_ms;                       /* waiting for other processes; 0 = 10000 */
};

struct am_records_ops {
    uint64_t abi;
    uint32_t size; /* of this struct */
    const char *name;

    /* Makes, checks or migrates. AM_EUNSUPPORTED: newer schema_version, or a network file system.
     * AM_ECORRUPT: not such a store, or damaged. */
    enum am_rc (*open)(const struct am_records_config *config, void **impl, struct am_err *err);
    void (*close)(void *impl); /* finishes what was submitted */

    /* All or nothing, durable when it returns AM_OK. Concurrent calls share one sync. AM_EBUSY:
     * another process held the lock for busy_ms; AM_EIO after a failed sync: the outcome is unknown
     * (wholly there or wholly absent) and this handle writes no more. result may be NULL. */
    enum am_rc (*commit)(void *impl, const struct am_txn *txn, struct am_txn_result *result,
                         struct am_err *err);

    /* One consistent state for several reads. AM_EBUSY when too many are open. */
    enum am_rc (*snapshot)(void *impl, void **snap, struct am_err *err);
    void (*release)(void *snap);
    enum am_rc (*select)(void *snap, const struct am_query *q, am_row_fn row, void *ctx,
                         struct am_err *err);
    enum am_rc (*count)(void *snap, const char *table, const struct am_cond *where, int64_t *out,
                        struct am_err *err);

    /* Grows when a transaction with `publish` was committed by any process. Cheap. */
    enum am_rc (*generation)(void *impl, uint64_t *out, struct am_err *err);
    /* A consistent copy into a new file, while others write; atomic. */
    enum am_rc (*backup)(void *impl, const char *path, struct am_err *err);
};

struct am_records {
    const struct am_records_ops *ops;
    void *impl;
};

extern const struct am_records_ops am_records_sqlite;

/* ---- the same for every driver (records.c): checks, then the driver ---- */

/* Checks abi, size and the schema (AM_EINTERNAL). On failure *out is {NULL, NULL}. */
enum am_rc am_records_open(const struct am_records_ops *ops, const struct am_records_config *config,
                           struct am_records *out, struct am_err *err) AM_MUST_CHECK;
void am_records_close(struct am_records *r);
enum am_rc am_records_commit(const struct am_records *r, const struct am_txn *txn,
                             struct am_txn_result *result, struct am_err *err) AM_MUST_CHECK;

struct am_snapshot {
    const struct am_records_ops *ops; /* NULL = not open */
    void *impl;
};
enum am_rc am_records_snapshot(const struct am_records *r, struct am_snapshot *out,
                               struct am_err *err) AM_MUST_CHECK;
void am_snapshot_release(struct am_snapshot *s); /* twice is fine */
enum am_rc am_snapshot_select(const struct am_snapshot *s, const struct am_query *q, am_row_fn row,
                              void *ctx, struct am_err *err) AM_MUST_CHECK;
/* The first row only, copied into the arena: values[q->n_columns + q->n_computed]. AM_ENOTFOUND
 * (without message) when there is none. */
enum am_rc am_snapshot_first(const struct am_snapshot *s, struct am_arena *a,
                             const struct am_query *q, struct am_value *values,
                             struct am_err *err) AM_MUST_CHECK;
enum am_rc am_snapshot_count(const struct am_snapshot *s, const char *table,
                             const struct am_cond *where, int64_t *out,
                             struct am_err *err) AM_MUST_CHECK;
enum am_rc am_records_generation(const struct am_records *r, uint64_t *out,
                                 struct am_err *err) AM_MUST_CHECK;
enum am_rc am_records_backup(const struct am_records *r, const char *path,
                             struct am_err *err) AM_MUST_CHECK;

/* AM_EUNSUPPORTED when the directory lies on a network file system (NFS, SMB, Ceph, Lustre, AFS …).
 */
enum am_rc am_store_local_fs(const char *dir, struct am_err *err) AM_MUST_CHECK;

#endif
