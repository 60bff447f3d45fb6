/* Datasets: immutable versions of imported data under a name, addressed by the hash of their
 * content. */
#include "base/log.h"
#include "base/num.h"
#include "registry/registry_int.h"

static const char *const columns[] = {"id",         "hash",   "name",  "number", "n_rows", "bytes",
                                      "created_us", "source", "owner", "schema", "profile"};
enum {
    C_ID,
    C_HASH,
    C_NAME,
    C_NUMBER,
    C_ROWS,
    C_BYTES,
    C_CREATED,
    C_SOURCE,
    C_OWNER,
    C_SCHEMA,
    C_PROFILE
};
#define N_LISTED 9
#define N_ALL 11

/* ---- finding ---- */

static bool is_hex(struct am_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return s.len >= 8 && s.len <= 64;
}

static enum am_rc no_dataset(const char *ref, struct am_err *err)
{
    am_fail(err, AM_ENOTFOUND, "there is no dataset \"%.128s\"", ref);
    am_hint(err, "`aimass datasets` lists what there is.");
    return AM_ENOTFOUND;
}

/* NAME or NAME@3; number 0 = newest */
static enum am_rc find_named(const struct am_snapshot *s, struct am_arena *a, struct am_str name,
                             uint64_t number, struct am_value *id, struct am_err *err)
{
    struct am_order newest = {.column = "number", .descending = true};
    const struct am_cond *by_name = REG_EQ("name", am_v_str(name));
    const struct am_cond *both = REG_AND(by_name, REG_EQ("number", am_v_int((int64_t)number)));
    struct am_query q = {.table = "dataset",
                         REG_COLUMNS("id"),
                         .where = number ? both : by_name,
                         .order = &newest,
                         .n_order = 1};
    return am_snapshot_first(s, a, &q, id, err);
}

/* A hash or the beginning of one; equal content under two names: the newest row. */
static enum am_rc find_hash(const struct am_snapshot *s, struct am_arena *a, struct am_str hex,
                            struct am_value *id, struct am_err *err)
{
    struct reg_row *rows;
    struct am_str pattern = am_arena_printf(a, "%.*s%%", AM_FMT(hex));
    struct am_order newest = {.column = "seq", .descending = true};
    AM_TRY(am_arena_check(a, err));
    struct am_query q = {.table = "dataset",
                         REG_COLUMNS("id", "hash"),
                         .where = REG_CMP("hash", AM_CMP_LIKE, am_v_str(pattern)),
                         .order = &newest,
                         .n_order = 1,
                         .limit = 100};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    if (!rows)
        return AM_ENOTFOUND;
    *id = rows->v[0];
    for (const struct reg_row *o = rows->next; o; o = o->next)
        if (!am_str_eq(o->v[1].text, rows->v[1].text))
            return am_fail(err, AM_EINVAL, "several datasets begin with \"%.*s\"", AM_FMT(hex));
    return AM_OK;
}

enum am_rc reg_find_dataset(const struct am_snapshot *s, struct am_arena *a, const char *ref,
                            const char **out, struct am_err *err)
{
    struct am_str text = am_str(ref), name = text;
    struct am_value id;
    uint64_t number = 0;
    const char *sign = strchr(ref, '@');
    if (sign) {
        struct am_str digits = am_str(sign + 1);
        name.len = (size_t)(sign - ref);
        if (!am_parse_u64(digits, INT64_MAX, &number) || number == 0)
            return am_fail(err, AM_EUSAGE, "\"%.160s\" is not a dataset: NAME, NAME@3 or a hash",
                           ref);
    }
    if (!am_name_valid(name))
        return am_fail(err, AM_EUSAGE, "\"%.160s\" is not a dataset: NAME, NAME@3 or a hash", ref);
    enum am_rc rc = find_named(s, a, name, number, &id, err);
    if (rc == AM_ENOTFOUND && !sign && is_hex(text))
        rc = find_hash(s, a, text, &id, err);
    if (rc == AM_ENOTFOUND)
        return no_dataset(ref, err);
    if (rc == AM_OK)
        *out = id.text.ptr;
    return rc;
}

/* ---- trees ---- */

static enum am_rc to_nodes(const struct am_snapshot *s, struct am_arena *a,
                           const struct reg_row *rows, struct reg_many *out, struct am_err *err)
{
    AM_TRY(reg_many_new(a, rows, out, err));
    for (; rows; rows = rows->next) {
        const struct am_value *v = rows->v;
        struct am_node *n = am_new_map(a);
        am_node_set(a, n, "dataset", reg_node(a, &v[C_HASH]));
        am_node_set(a, n, "name", reg_node(a, &v[C_NAME]));
        am_node_set(a, n, "version", reg_node(a, &v[C_NUMBER]));
        am_node_set(a, n, "rows", reg_node(a, &v[C_ROWS]));
        am_node_set(a, n, "bytes", reg_node(a, &v[C_BYTES]));
        am_node_set(a, n, "created", reg_time(a, &v[C_CREATED]));
        am_node_set(a, n, "source", reg_node(a, &v[C_SOURCE]));
        am_node_set(a, n, "owner", reg_node(a, &v[C_OWNER]));
        reg_many_add(out, v[C_ID].text, n);
    }
    return reg_hang_pairs(s, a, out, "tag", "dataset", "tags", err);
}

static enum am_rc runs_of(const struct am_snapshot *s, struct am_arena *a, const char *hash,
                          struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_query q = {.table = "run",
                         REG_COLUMNS("id"),
                         .where = REG_EQ("dataset", am_v_text(hash)),
                         .limit = 1000};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_list(a);
    for (; rows; rows = rows->next)
        am_node_push(a, *out, reg_node(a, &rows->v[0]));
    return am_arena_check(a, err);
}

static enum am_rc read_all(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                           const char *id, struct am_node **out, struct am_err *err)
{
    struct reg_row *row = NULL;
    struct reg_many one;
    struct am_node *schema, *profile, *files, *runs;
    struct am_query q = {.table = "dataset",
                         .columns = columns,
                         .n_columns = N_ALL,
                         .where = REG_EQ("id", am_v_text(id)),
                         .limit = 1};
    AM_TRY(reg_select(s, a, &q, &row, err));
    if (!row)
        return AM_ENOTFOUND;
    const struct am_value *v = row->v;
    AM_TRY(to_nodes(s, a, row, &one, err));
    *out = one.nodes[0];
    AM_TRY(reg_json(a, &v[C_SCHEMA], "schema of the dataset", &schema, err));
    AM_TRY(reg_json(a, &v[C_PROFILE], "profile of the dataset", &profile, err));
    AM_TRY(reg_files(r, s, a, "dataset", id, &files, err));
    AM_TRY(runs_of(s, a, v[C_HASH].text.ptr, &runs, err));
    am_node_set(a, *out, "schema", schema);
    am_node_set(a, *out, "profile", profile);
    am_node_set(a, *out, "files", files);
    am_node_set(a, *out, "runs", runs);
    return am_arena_check(a, err);
}

enum am_rc am_registry_dataset_get(struct am_registry *r, struct am_arena *a, const char *ref,
                                   struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    const char *id = NULL;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find_dataset(&s, a, ref, &id, err);
    if (rc == AM_OK)
        rc = read_all(r, &s, a, id, out, err);
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_datasets(struct am_registry *r, struct am_arena *a,
                                const struct am_registry_list *l, struct am_node **out,
                                struct am_err *err)
{
    struct am_snapshot s;
    struct reg_row *rows;
    int64_t total = 0;
    enum am_rc rc = AM_OK;
    struct reg_many many;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    AM_GO(rc, reg_select_list(&s, a, AM_KIND_DATASET, l, columns, N_LISTED, &rows, &total, err));
    AM_GO(rc, to_nodes(&s, a, rows, &many, err));
    rc = reg_many_answer(a, &many, "datasets", total, out, err);
out:
    am_snapshot_release(&s);
    return rc;
}

/* ---- adding ---- */

static enum am_rc insert(struct am_registry *r, struct am_arena *a,
                         const struct am_dataset_spec *spec, const char *id,
                         const struct reg_stored *files, struct am_txn_result *result,
                         struct am_err *err)
{
    struct am_value schema, profile;
    AM_TRY(reg_json_text(a, spec->schema, &schema, err));
    AM_TRY(reg_json_text(a, spec->profile, &profile, err));
    const struct am_op ops[] = {
        {.kind = AM_OP_INSERT_NEW,
         .table = "dataset_name",
         REG_COLUMNS("name", "last_version"),
         REG_VALUES(am_v_text(spec->name), am_v_int(0))},
        {.kind = AM_OP_UPDATE,
         .table = "dataset_name",
         REG_COLUMNS("last_version"),
         REG_VALUES(REG_ADD(1)),
         .where = REG_EQ("name", am_v_text(spec->name)),
         .expect = 1},
        {.kind = AM_OP_INSERT,
         .table = "dataset",
         REG_COLUMNS("id", "name", "number", "hash", "n_rows", "bytes", "source", "schema",
                     "profile"),
         REG_VALUES(am_v_text(id), am_v_text(spec->name),
                    REG_LOOKUP("dataset_name", "last_version", "name", spec->name),
                    am_v_text(spec->hash), am_v_int((int64_t)spec->n_rows),
                    am_v_int((int64_t)files->n_bytes), am_v_text(spec->source), schema, profile)},
        {.kind = AM_OP_INSERT,
         .table = "file",
         .columns = reg_file_columns,
         .n_columns = 6,
         .values = files->rows,
         .n_rows = files->n},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 4};
    return am_records_commit(&r->records, &txn, result, err);
}

static enum am_rc find_equal(struct am_registry *r, struct am_arena *a,
                             const struct am_dataset_spec *spec, struct am_node **out,
                             struct am_err *err)
{
    struct am_snapshot s;
    struct am_value id;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    struct am_query q = {.table = "dataset",
                         REG_COLUMNS("id"),
                         .where = REG_AND(REG_EQ("name", am_v_text(spec->name)),
                                          REG_EQ("hash", am_v_text(spec->hash)))};
    enum am_rc rc = am_snapshot_first(&s, a, &q, &id, err);
    if (rc == AM_OK)
        rc = read_all(r, &s, a, id.text.ptr, out, err);
    am_snapshot_release(&s);
    return rc;
}

/* The row is committed, but its answer could not be made: the call failed, so the row goes again
 * (unless somebody refers to it already). */
static void take_back(struct am_registry *r, const char *hash)
{
    struct am_err err = {0};
    struct am_arena *a = am_arena_new(0);
    if (!a || am_registry_dataset_withdraw(r, a, hash, &err) != AM_OK)
        am_log_err(AM_LOG_WARN, "registry", &err);
    am_arena_free(a);
}

enum am_rc am_registry_dataset_add(struct am_registry *r, struct am_arena *a,
                                   const struct am_dataset_spec *spec, struct am_node **out,
                                   struct am_err *err)
{
    struct am_registry_lock *publishing = NULL;
    struct am_txn_result result = {0};
    struct reg_stored files;
    struct am_blob_id hash;
    char id[AM_REGISTRY_ID];
    bool added = false;
    enum am_rc rc = AM_OK;
    if (!am_name_valid(am_str(spec->name)))
        return am_fail(err, AM_EINVAL, "\"%.160s\" is not a dataset name",
                       spec->name ? spec->name : "");
    AM_TRY(am_blob_id_parse(am_str(spec->hash), &hash, err));
    rc = find_equal(r, a, spec, out, err);
    if (rc == AM_OK) {
        am_node_set(a, *out, "new", am_new_bool(a, false));
        return am_arena_check(a, err);
    }
    if (rc != AM_ENOTFOUND)
        return rc;
    reg_new_id(id);
    AM_TRY(reg_lock(r, "publish", REG_LOCK_SHARED, &publishing, err));
    AM_GO(rc, reg_store_files(r, a, "dataset", id, spec->files, spec->n_files, &files, err));
    rc = insert(r, a, spec, id, &files, &result, err);
    bool raced = rc == AM_EEXIST && result.failed_op == 2; /* somebody else added it meanwhile */
    added = rc == AM_OK;
    if (rc == AM_OK || raced)
        rc = find_equal(r, a, spec, out, err);
    if (rc == AM_OK) {
        am_node_set(a, *out, "new", am_new_bool(a, !raced));
        rc = am_arena_check(a, err);
    }
out:
    reg_unlock(publishing);
    if (rc != AM_OK && added)
        take_back(r, spec->hash);
    return rc;
}
