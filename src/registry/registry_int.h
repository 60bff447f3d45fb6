/* Inside registry/: the handle, the tables' names, conditions written inline, row helpers.
 *
 * The REG_* macros make compound literals: they live until the end of the enclosing block, so build
 * a query or an operation and use it in the same block. */
#ifndef AM_REGISTRY_REGISTRY_INT_H
#define AM_REGISTRY_REGISTRY_INT_H

#include <stdio.h>

#include "base/limits.h"
#include "registry/registry.h"
#include "store/blobs.h"
#include "store/records.h"

#define AM_REGISTRY_SCHEMA_VERSION 2 /* 2: table trial */
#define AM_REGISTRY_PATH 4096
#define AM_REGISTRY_ID 33 /* 32 hex digits and NUL */

struct am_registry {
    struct am_records records;
    struct am_blobs blobs;
    char dir[AM_REGISTRY_PATH - 512];
    char scratch[AM_REGISTRY_PATH];
    int scratch_fd; /* flocked: tells others that the scratch directory is in use */
};

struct am_registry_lock {
    int fd;
};

/* ---- what can be listed ---- */

enum am_attribute_kind { AM_ATTR_TEXT, AM_ATTR_NUMBER, AM_ATTR_TIME };
struct am_attribute {
    const char *name, *column;
    enum am_attribute_kind kind;
    const struct am_computed *computed; /* instead of column */
};
struct am_entity {
    const char *table;
    const char *kind;      /* in tag, metric_last, file */
    const char *id_column; /* what their ref holds */
    const struct am_attribute *attributes;
    size_t n_attributes;
    bool has_params, has_metrics;
    const struct am_cond *listed; /* rows that lists leave out do not meet this; NULL = none */
    const struct am_computed *computed; /* [n_computed]: come behind the columns of a listed row */
    size_t n_computed;
};
extern const struct am_entity am_registry_entities[];
extern const struct am_records_schema am_registry_schema;

/* run_write.c */
struct am_registry *reg_run_registry(const struct am_run *run);

/* ---- filter.c ---- */

/* A filter expression as a condition tree in the arena; empty text (or NULL pointer) gives *out =
 * NULL. */
enum am_rc am_filter_parse(struct am_arena *a, struct am_str text, enum am_registry_kind kind,
                           const struct am_cond **out, struct am_err *err) AM_MUST_CHECK;
#define AM_FILTER_ORDERS 8
/* order has room for AM_FILTER_ORDERS */
enum am_rc am_order_parse(struct am_arena *a, struct am_str text, enum am_registry_kind kind,
                          struct am_order *order, size_t *n, struct am_err *err) AM_MUST_CHECK;

/* ---- inline conditions, queries, operations ---- */

#define REG_CMP(col, cmp, v)                                                                       \
    (&(const struct am_cond){.kind = AM_COND_CMP,                                                  \
                             .column = (col),                                                      \
                             .op = (cmp),                                                          \
                             .values = (const struct am_value[]){(v)},                             \
                             .n_values = 1})
#define REG_EQ(col, v) REG_CMP(col, AM_CMP_EQ, v)
#define REG_AND(...)                                                                               \
    (&(const struct am_cond){.kind = AM_COND_AND,                                                  \
                             .kids = (const struct am_cond *const[]){__VA_ARGS__},                 \
                             .n_kids = sizeof((const struct am_cond *const[]){__VA_ARGS__}) /      \
                                       sizeof(void *)})
#define REG_COLUMNS(...)                                                                           \
    .columns = (const char *const[]){__VA_ARGS__},                                                 \
    .n_columns = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define REG_VALUES(...) .values = (const struct am_value[]){__VA_ARGS__}, .n_rows = 1
#define REG_LOOKUP(tab, col, keycol, id)                                                           \
    ((struct am_value){.kind = AM_VALUE_LOOKUP,                                                    \
                       .text = am_str(id),                                                         \
                       .lookup = &(const struct am_lookup){(tab), (col), (keycol)}})
#define REG_ADD(n) ((struct am_value){.kind = AM_VALUE_ADD, .i = (n)})
#define REG_KIND_REF(kind, ref)                                                                    \
    REG_AND(REG_EQ("kind", am_v_text(kind)), REG_EQ("ref", am_v_text(ref)))

/* ---- rows.c ---- */

struct reg_row {
    struct reg_row *next;
    struct am_value v[]; /* [n_columns + n_computed], texts in the arena */
};
/* All rows of a query, in order, in the arena. */
enum am_rc reg_select(const struct am_snapshot *s, struct am_arena *a, const struct am_query *q,
                      struct reg_row **out, struct am_err *err) AM_MUST_CHECK;
/* The rows of a listed kind, with filter, order and paging; total counts without paging. */
enum am_rc reg_select_list(const struct am_snapshot *s, struct am_arena *a,
                           enum am_registry_kind kind, const struct am_registry_list *l,
                           const char *const *columns, size_t n_columns, struct reg_row **out,
                           int64_t *total, struct am_err *err) AM_MUST_CHECK;
/* The rows of a list as one thing: what hangs on them is read with one statement for every
 * REG_MANY_AT_ONCE of them. */
struct reg_many {
    size_t n, cap;
    struct am_str *ids;     /* [n]: what the column `ref` of the other table holds */
    struct am_str *keys;    /* [n]: see reg_hanging.key; = ids by default */
    struct am_node **nodes; /* [n] maps */
};
#define REG_MANY_AT_ONCE 256
enum am_rc reg_many_new(struct am_arena *a, const struct reg_row *rows, struct reg_many *out,
                        struct am_err *err) AM_MUST_CHECK;
void reg_many_add(struct reg_many *m, struct am_str id, struct am_node *node);
/* What is read for each of the rows: `columns` of `table` where `ref` is one of the ids (and kind
 * is `kind` when given), in the order of `order` within a row. columns[0] = ref. take()'s values
 * are valid during the call only. */
struct reg_hanging {
    const char *table, *kind, *ref;
    const char *const *columns; /* [n_columns] */
    size_t n_columns;
    const char *order;
    /* When ref does not tell the rows apart: the text, in the arena, that equals one of `keys`. */
    struct am_str (*key)(struct am_arena *a, const struct am_value *v);
    void (*take)(struct am_arena *a, struct am_node *field, const struct am_value *v);
};
/* Sets `field` of every node to an empty map or list and lets take() fill it. */
enum am_rc reg_hang(const struct am_snapshot *s, struct am_arena *a, const struct reg_many *m,
                    const struct reg_hanging *h, const char *field, enum am_node_kind kind,
                    struct am_err *err) AM_MUST_CHECK;
/* {name: [nodes], total} */
enum am_rc reg_many_answer(struct am_arena *a, const struct reg_many *m, const char *name,
                           int64_t total, struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* {key: value} from "tag" or "metric_last" of that kind, or from "param" (kind NULL). */
enum am_rc reg_hang_pairs(const struct am_snapshot *s, struct am_arena *a, const struct reg_many *m,
                          const char *table, const char *kind, const char *field,
                          struct am_err *err) AM_MUST_CHECK;
/* {key: value} of the (kind, ref) rows of `table` ("tag" or "metric_last"), by key. */
enum am_rc reg_pairs(const struct am_snapshot *s, struct am_arena *a, const char *table,
                     const char *kind, const char *ref, struct am_node **out,
                     struct am_err *err) AM_MUST_CHECK;
/* [{name, blob, bytes, media, path}] by name */
enum am_rc reg_files(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                     const char *kind, const char *ref, struct am_node **out,
                     struct am_err *err) AM_MUST_CHECK;
const char *reg_text(const struct am_value *v);                         /* NULL value: NULL */
struct am_node *reg_node(struct am_arena *a, const struct am_value *v); /* any value */
struct am_node *reg_time(struct am_arena *a, const struct am_value *v); /* us -> ISO or null */
/* stored JSON text -> tree (null when absent) */
enum am_rc reg_json(struct am_arena *a, const struct am_value *v, const char *what,
                    struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* tree -> JSON text in the arena (null value when n is NULL) */
enum am_rc reg_json_text(struct am_arena *a, const struct am_node *n, struct am_value *out,
                         struct am_err *err) AM_MUST_CHECK;
void reg_new_id(char out[AM_REGISTRY_ID]); /* random, not from the clock */

/* A flat list of dotted keys. */
struct reg_pair {
    const char *key;
    struct am_str text; /* what a person reads */
    double number;      /* NaN when the text is no number */
};
struct reg_flat {
    struct reg_pair *pairs; /* in the arena */
    size_t n, cap;
};
/* Nested maps become "a.b"; lists and scalars become their JSON text; keys and values are checked.
 */
enum am_rc reg_flatten(struct am_arena *a, const struct am_node *n, const char *what,
                       struct reg_flat *out, struct am_err *err) AM_MUST_CHECK;
enum am_rc reg_check_key(struct am_str key, const char *what, struct am_err *err) AM_MUST_CHECK;
/* Rows for "tag" (kind, ref, key, value) and "metric_last" (kind, ref, key, value, at_us), in the
 * arena. */
const struct am_value *reg_tag_rows(struct am_arena *a, const char *kind, const char *ref,
                                    const struct reg_flat *f);
const struct am_value *reg_metric_rows(struct am_arena *a, const char *kind, const char *ref,
                                       const struct reg_flat *f, int64_t at_us);

/* ---- workspace.c ---- */

/* flock on DIR/locks/NAME. AM_EBUSY (without hint) when taken and not waiting. */
enum reg_lock_mode { REG_LOCK_TRY, REG_LOCK_WAIT, REG_LOCK_SHARED };
enum am_rc reg_lock(struct am_registry *r, const char *name, enum reg_lock_mode mode,
                    struct am_registry_lock **out, struct am_err *err) AM_MUST_CHECK;
void reg_unlock(struct am_registry_lock *l);
/* Removes the file as well: for locks named after a run, by their holder. */
void reg_lock_remove(struct am_registry *r, const char *name);

/* ---- files.c ---- */

struct reg_stored {
    struct am_blob_info *infos; /* [n] in the arena */
    struct am_value *rows;      /* [n * 6]: kind, ref, name, blob, bytes, media */
    size_t n;
    uint64_t n_bytes;
};
extern const char *const reg_file_columns[6];
/* Puts the bytes of files into blobs (durable) and prepares their rows. The caller holds the shared
 * "publish" lock until the rows are committed. */
enum am_rc reg_store_files(struct am_registry *r, struct am_arena *a, const char *kind,
                           const char *ref, const struct am_registry_file *files, size_t n,
                           struct reg_stored *out, struct am_err *err) AM_MUST_CHECK;

/* ---- across nouns ---- */

/* The row id of what `ref` names, into out[]; model and experiment: their names. */
enum am_rc reg_find(struct am_registry *r, struct am_arena *a, const struct am_snapshot *s,
                    enum am_registry_kind kind, const char *ref, const char **out,
                    struct am_err *err) AM_MUST_CHECK;
enum am_rc reg_find_run(const struct am_snapshot *s, struct am_arena *a, const char *id,
                        const char **out, struct am_err *err) AM_MUST_CHECK;
enum am_rc reg_find_dataset(const struct am_snapshot *s, struct am_arena *a, const char *ref,
                            const char **out, struct am_err *err) AM_MUST_CHECK;
struct reg_version {
    const char *id, *model, *package;
    int64_t number;
};
enum am_rc reg_find_version(const struct am_snapshot *s, struct am_arena *a, const char *ref,
                            struct reg_version *out, struct am_err *err) AM_MUST_CHECK;
/* Runs whose process is gone become `interrupted`. */
enum am_rc reg_reconcile(struct am_registry *r, struct am_err *err) AM_MUST_CHECK;
/* "run-ID" */
void reg_run_lock_name(const char *id, char out[48]);

#endif
