/* What is the same for every records driver: the check of the driver and of the schema, the
 * first-row helper, and the list of file systems that cannot hold a workspace. Holds no state. */
#include "store/records.h"

#include <errno.h>
#include <sys/vfs.h>

#include "store/records_int.h"

const char *const am_records_implicit[AM_RECORDS_N_IMPLICIT] = {"seq",  "project",    "owner",
                                                                "etag", "created_us", "updated_us"};

static bool name_good(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++) {
        char c = s[n];
        bool good = (c >= 'a' && c <= 'z') || (n > 0 && ((c >= '0' && c <= '9') || c == '_'));
        if (!good || n >= 40)
            return false;
    }
    return n > 0;
}

bool am_records_is_implicit(const char *name)
{
    for (size_t i = 0; i < AM_RECORDS_N_IMPLICIT; i++)
        if (strcmp(am_records_implicit[i], name) == 0)
            return true;
    return false;
}

const struct am_records_table *am_records_find_table(const struct am_records_schema *s,
                                                     const char *name)
{
    for (size_t i = 0; i < s->n_tables; i++)
        if (strcmp(s->tables[i].name, name) == 0)
            return &s->tables[i];
    return NULL;
}

const struct am_records_column *am_records_find_column(const struct am_records_table *t,
                                                       const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

bool am_records_key_part(const char **cursor, char out[AM_RECORDS_NAME_CAP])
{
    size_t n = 0;
    const char *p = *cursor;
    if (!*p)
        return false;
    for (; *p && *p != ','; p++)
        if (n < AM_RECORDS_NAME_CAP - 1)
            out[n++] = *p;
    out[n] = '\0';
    *cursor = *p ? p + 1 : p;
    return true;
}

static enum am_rc check_keys(const struct am_records_table *t, const char *const *keys, size_t n,
                             struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *cursor = keys[i];
        char part[AM_RECORDS_NAME_CAP];
        while (am_records_key_part(&cursor, part))
            if (!am_records_find_column(t, part) && !am_records_is_implicit(part))
                return am_fail(err, AM_EINTERNAL, "key \"%s\" of table \"%s\" names no column",
                               keys[i], t->name);
    }
    return AM_OK;
}

static enum am_rc check_table(const struct am_records_table *t, struct am_err *err)
{
    if (!name_good(t->name) || t->n_columns == 0 || t->n_columns > 32 || t->n_unique > 8 ||
        t->n_indexes > 8)
        return am_fail(err, AM_EINTERNAL, "table \"%s\" has a wrong name or size", t->name);
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct am_records_column *c = &t->columns[i];
        if (!name_good(c->name) || am_records_is_implicit(c->name) ||
            am_records_find_column(t, c->name) != c)
            return am_fail(err, AM_EINTERNAL, "column \"%s.%s\" has a wrong name", t->name,
                           c->name);
        if (c->required && c->since > 1 && c->since > t->since)
            return am_fail(err, AM_EINTERNAL, "column \"%s.%s\" is added later and required",
                           t->name, c->name);
    }
    AM_TRY(check_keys(t, t->unique, t->n_unique, err));
    return check_keys(t, t->indexes, t->n_indexes, err);
}

enum am_rc am_records_open(const struct am_records_ops *ops, const struct am_records_config *config,
                           struct am_records *out, struct am_err *err)
{
    *out = (struct am_records){NULL, NULL};
    if (ops->abi != AM_RECORDS_ABI || ops->size != sizeof *ops)
        return am_fail(err, AM_EMISSING, "records driver \"%s\" was built for another version",
                       ops->name);
    if (config->schema->version < 1)
        return am_fail(err, AM_EINTERNAL, "schema version %u", config->schema->version);
    for (size_t i = 0; i < config->schema->n_tables; i++)
        AM_TRY(check_table(&config->schema->tables[i], err));
    if (!am_name_valid(am_str(config->project)))
        return am_fail(err, AM_EINVAL, "\"%s\" is not a project name", config->project);
    void *impl = NULL;
    AM_TRY(ops->open(config, &impl, err));
    *out = (struct am_records){ops, impl};
    return AM_OK;
}

void am_records_close(struct am_records *r)
{
    if (r->ops)
        r->ops->close(r->impl);
    *r = (struct am_records){NULL, NULL};
}

enum am_rc am_records_commit(const struct am_records *r, const struct am_txn *txn,
                             struct am_txn_result *result, struct am_err *err)
{
    struct am_txn_result mine;
    if (!result)
        result = &mine;
    result->failed_op = txn->n_ops;
    return r->ops->commit(r->impl, txn, result, err);
}

enum am_rc am_records_snapshot(const struct am_records *r, struct am_snapshot *out,
                               struct am_err *err)
{
    *out = (struct am_snapshot){NULL, NULL};
    AM_TRY(r->ops->snapshot(r->impl, &out->impl, err));
    out->ops = r->ops;
    return AM_OK;
}

void am_snapshot_release(struct am_snapshot *s)
{
    if (s->ops)
        s->ops->release(s->impl);
    *s = (struct am_snapshot){NULL, NULL};
}

enum am_rc am_snapshot_select(const struct am_snapshot *s, const struct am_query *q, am_row_fn row,
                              void *ctx, struct am_err *err)
{
    return s->ops->select(s->impl, q, row, ctx, err);
}

struct first {
    struct am_arena *a;
    struct am_value *values;
    size_t n;
    bool found;
};

static enum am_rc first_row(void *ctx, const struct am_value *values, struct am_err *err)
{
    struct first *f = ctx;
    f->found = true;
    for (size_t i = 0; i < f->n; i++) {
        f->values[i] = values[i];
        if (values[i].text.ptr)
            f->values[i].text = am_arena_str(f->a, values[i].text);
    }
    return am_arena_check(f->a, err);
}

enum am_rc am_snapshot_first(const struct am_snapshot *s, struct am_arena *a,
                             const struct am_query *q, struct am_value *values, struct am_err *err)
{
    struct first f = {a, values, q->n_columns + q->n_computed, false};
    struct am_query one = *q;
    one.limit = 1;
    AM_TRY(am_snapshot_select(s, &one, first_row, &f, err));
    return f.found ? AM_OK : AM_ENOTFOUND;
}

enum am_rc am_snapshot_count(const struct am_snapshot *s, const char *table,
                             const struct am_cond *where, int64_t *out, struct am_err *err)
{
    return s->ops->count(s->impl, table, where, out, err);
}

enum am_rc am_records_generation(const struct am_records *r, uint64_t *out, struct am_err *err)
{
    return r->ops->generation(r->impl, out, err);
}

enum am_rc am_records_backup(const struct am_records *r, const char *path, struct am_err *err)
{
    return r->ops->backup(r->impl, path, err);
}

const char *am_store_remote_fs_name(uint32_t magic)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } remote[] = {
        {0x6969, "NFS"},      {0x517b, "SMB"},        {0xff534d42, "CIFS"},  {0xfe534d42, "SMB2"},
        {0x00c36400, "Ceph"}, {0x0bd00bd0, "Lustre"}, {0x5346414f, "AFS"},   {0x6b414653, "AFS"},
        {0x73757245, "Coda"}, {0x01161970, "GFS2"},   {0x7461636f, "OCFS2"}, {0x19830326, "BeeGFS"},
    };
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if (remote[i].magic == magic)
            return remote[i].name;
    return NULL;
}

enum am_rc am_store_local_fs(const char *dir, struct am_err *err)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return am_fail_errno(err, errno, "cannot examine \"%s\"", dir);
    const char *name = am_store_remote_fs_name((uint32_t)fs.f_type);
    if (!name)
        return AM_OK;
    am_fail(err, AM_EUNSUPPORTED, "\"%s\" lies on a network file system (%s)", dir, name);
    am_hint(err, "Put the workspace on a local disk: --workspace DIR or AIMASS_WORKSPACE.");
    return AM_EUNSUPPORTED;
}
