/* The SQLite driver of records.h: handle, snapshots, reads, generation.
 *
 * One writer (sqlite_writer.c), a few idle read connections, one connection that watches for
 * changes. `lock` guards the idle list and the count, `watch_lock` the watching connection; neither
 * is held while SQL of a caller runs. A snapshot is one read transaction on a connection of its
 * own. */
#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "store/sqlite_int.h"

#define IDLE_MAX 4
#define OPEN_MAX 64

struct sqlite_store {
    char *path, *project, *owner; /* owned */
    const struct am_records_schema *schema;
    uint32_t busy_ms;
    pid_t pid;
    int lock_fd;
    struct am_sqlite_writer *writer;

    pthread_mutex_t lock;
    sqlite3 *idle[IDLE_MAX];
    unsigned n_idle, n_open;

    pthread_mutex_t watch_lock;
    sqlite3 *watch;
    sqlite3_stmt *version, *value;
    int64_t last_version;
    uint64_t generation;
};

struct snap {
    struct sqlite_store *store;
    sqlite3 *db;
};

static enum am_rc check_pid(const struct sqlite_store *s, struct am_err *err)
{
    if (s->pid != getpid())
        return am_fail(err, AM_EINTERNAL, "records handle used after fork()");
    return AM_OK;
}

static struct am_sql_scope scope_of(const struct sqlite_store *s)
{
    return (struct am_sql_scope){s->schema, am_str(s->project), am_str(s->owner), am_wall_us()};
}

/* ---- open ---- */

static enum am_rc copy_text(char **out, const char *text, struct am_err *err)
{
    *out = am_strndup(text, strlen(text));
    return *out ? AM_OK : am_fail_nomem(err, strlen(text) + 1);
}

static void sqlite_close(void *impl)
{
    struct sqlite_store *s = impl;
    if (!s)
        return;
    sqlite3_finalize(s->version);
    sqlite3_finalize(s->value);
    sqlite3_close_v2(s->watch);
    for (unsigned i = 0; i < s->n_idle; i++)
        sqlite3_close_v2(s->idle[i]);
    am_sqlite_writer_free(s->writer); /* last: it may checkpoint */
    if (s->lock_fd >= 0)
        am_fs()->close(s->lock_fd);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->watch_lock);
    am_free(s->path);
    am_free(s->project);
    am_free(s->owner);
    am_free(s);
}

static enum am_rc open_parts(struct sqlite_store *s, const struct am_records_config *c,
                             struct am_err *err)
{
    sqlite3 *db = NULL;
    struct am_records_config mine = *c;
    mine.busy_ms = s->busy_ms;
    AM_TRY(copy_text(&s->path, c->url, err));
    AM_TRY(copy_text(&s->project, c->project, err));
    AM_TRY(copy_text(&s->owner, c->owner ? c->owner : "", err));
    AM_TRY(am_sqlite_setup(err));
    AM_TRY(am_sqlite_prepare_file(&mine, &s->lock_fd, err));
    AM_TRY(am_sqlite_connect(s->path, SQLITE_OPEN_READWRITE, s->busy_ms, &db, err));
    return am_sqlite_writer_new(db, &s->writer, err);
}

static enum am_rc sqlite_open(const struct am_records_config *c, void **impl, struct am_err *err)
{
    struct sqlite_store *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->watch_lock, NULL);
    s->schema = c->schema;
    s->busy_ms = c->busy_ms ? c->busy_ms : 10000;
    s->pid = getpid();
    s->lock_fd = -1;
    enum am_rc rc = open_parts(s, c, err);
    if (rc != AM_OK) {
        sqlite_close(s);
        return rc;
    }
    *impl = s;
    return AM_OK;
}

/* ---- writing ---- */

static enum am_rc sqlite_commit(void *impl, const struct am_txn *txn, struct am_txn_result *result,
                                struct am_err *err)
{
    struct sqlite_store *s = impl;
    enum am_rc rc = AM_OK;
    size_t n = 0;
    AM_TRY(check_pid(s, err));
    struct am_sql_scope scope = scope_of(s);
    struct am_sql *ops = am_alloc_array(txn->n_ops ? txn->n_ops : 1, sizeof *ops);
    if (!ops)
        return am_fail_nomem(err, txn->n_ops * sizeof *ops);
    for (; n < txn->n_ops; n++)
        am_sql_init(&ops[n]);
    for (size_t i = 0; i < n; i++) {
        rc = am_sql_op(&ops[i], &scope, &txn->ops[i], err);
        if (rc != AM_OK) {
            result->failed_op = i;
            goto out;
        }
    }
    rc = am_sqlite_writer_commit(s->writer, ops, n, txn->publish, result, err);
out:
    for (size_t i = 0; i < n; i++)
        am_sql_clear(&ops[i]);
    am_free(ops);
    return rc;
}

/* ---- reading ---- */

static enum am_rc take_reader(struct sqlite_store *s, sqlite3 **out, struct am_err *err)
{
    sqlite3 *db = NULL;
    pthread_mutex_lock(&s->lock);
    bool room = s->n_open < OPEN_MAX;
    s->n_open += room;
    if (room && s->n_idle)
        db = s->idle[--s->n_idle];
    pthread_mutex_unlock(&s->lock);
    if (!room)
        return am_fail(err, AM_EBUSY, "%d reads of the records at once", OPEN_MAX);
    enum am_rc rc = AM_OK;
    if (!db) {
        rc = am_sqlite_connect(s->path, SQLITE_OPEN_READWRITE, s->busy_ms, &db, err);
        if (rc == AM_OK)
            rc = am_sqlite_exec(db, "PRAGMA query_only=ON", err);
    }
    if (rc != AM_OK) {
        sqlite3_close_v2(db);
        pthread_mutex_lock(&s->lock);
        s->n_open--;
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    *out = db;
    return AM_OK;
}

static void give_reader(struct sqlite_store *s, sqlite3 *db)
{
    bool keep =
        sqlite3_get_autocommit(db) != 0; /* a connection stuck in a transaction is not reused */
    pthread_mutex_lock(&s->lock);
    s->n_open--;
    keep = keep && s->n_idle < IDLE_MAX;
    if (keep)
        s->idle[s->n_idle++] = db;
    pthread_mutex_unlock(&s->lock);
    if (!keep)
        sqlite3_close_v2(db);
}

static enum am_rc sqlite_snapshot(void *impl, void **out, struct am_err *err)
{
    struct sqlite_store *s = impl;
    AM_TRY(check_pid(s, err));
    struct snap *snap = am_calloc(1, sizeof *snap);
    if (!snap)
        return am_fail_nomem(err, sizeof *snap);
    snap->store = s;
    enum am_rc rc = take_reader(s, &snap->db, err);
    if (rc == AM_OK) {
        rc = am_sqlite_exec(snap->db, "BEGIN", err);
        if (rc != AM_OK)
            give_reader(s, snap->db);
    }
    if (rc != AM_OK) {
        am_free(snap);
        return rc;
    }
    *out = snap;
    return AM_OK;
}

static void sqlite_release(void *impl)
{
    struct snap *snap = impl;
    (void)sqlite3_exec(snap->db, "ROLLBACK", NULL, NULL, NULL);
    give_reader(snap->store, snap->db);
    am_free(snap);
}

static void read_value(sqlite3_stmt *st, int i, struct am_value *out)
{
    *out = (struct am_value){.kind = AM_VALUE_NULL};
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER:
        *out = am_v_int(sqlite3_column_int64(st, i));
        break;
    case SQLITE_FLOAT:
        *out = am_v_real(sqlite3_column_double(st, i));
        break;
    case SQLITE_TEXT:
        out->kind = AM_VALUE_TEXT;
        out->text.ptr = (const char *)sqlite3_column_text(st, i);
        out->text.len = (size_t)sqlite3_column_bytes(st, i);
        break;
    case SQLITE_BLOB:
        out->kind = AM_VALUE_BLOB;
        out->text.ptr = sqlite3_column_blob(st, i);
        out->text.len = (size_t)sqlite3_column_bytes(st, i);
        if (!out->text.ptr)
            out->text.ptr = "";
        break;
    default:
        break;
    }
}

static enum am_rc read_rows(sqlite3 *db, sqlite3_stmt *st, size_t n_columns, am_row_fn row,
                            void *ctx, struct am_err *err)
{
    struct am_value values[64];
    if (n_columns > 64)
        return am_fail(err, AM_EINTERNAL, "%zu columns in a select", n_columns);
    for (;;) {
        int rc = sqlite3_step(st);
        if (rc == SQLITE_DONE)
            return AM_OK;
        if (rc != SQLITE_ROW)
            return am_sqlite_fail(db, rc, "cannot read the records", err);
        for (size_t i = 0; i < n_columns; i++) {
            read_value(st, (int)i, &values[i]);
            if (values[i].kind == AM_VALUE_TEXT && !values[i].text.ptr)
                return am_fail_nomem(err, values[i].text.len);
        }
        AM_TRY(row(ctx, values, err));
    }
}

static enum am_rc run_read(struct snap *snap, struct am_sql *sql, size_t n_columns, am_row_fn row,
                           void *ctx, struct am_err *err)
{
    sqlite3_stmt *st = NULL;
    enum am_rc result = AM_OK;
    int rc = sqlite3_prepare_v2(snap->db, sql->text.ptr, (int)sql->text.len, &st, NULL);
    if (rc != SQLITE_OK)
        AM_GO(result, am_sqlite_fail(snap->db, rc, "cannot read the records", err));
    AM_GO(result, am_sqlite_bind(st, sql->binds.ptr, sql->n_params, err));
    result = read_rows(snap->db, st, n_columns, row, ctx, err);
out:
    sqlite3_finalize(st);
    return result;
}

static enum am_rc sqlite_select(void *impl, const struct am_query *q, am_row_fn row, void *ctx,
                                struct am_err *err)
{
    struct snap *snap = impl;
    struct am_sql_scope scope = scope_of(snap->store);
    struct am_sql sql;
    am_sql_init(&sql);
    enum am_rc rc = am_sql_query(&sql, &scope, q, err);
    if (rc == AM_OK)
        rc = run_read(snap, &sql, q->n_columns + q->n_computed, row, ctx, err);
    am_sql_clear(&sql);
    return rc;
}

static enum am_rc take_count(void *ctx, const struct am_value *values, struct am_err *err)
{
    (void)err;
    *(int64_t *)ctx = values[0].i;
    return AM_OK;
}

static enum am_rc sqlite_count(void *impl, const char *table, const struct am_cond *where,
                               int64_t *out, struct am_err *err)
{
    struct snap *snap = impl;
    struct am_sql_scope scope = scope_of(snap->store);
    struct am_sql sql;
    am_sql_init(&sql);
    enum am_rc rc = am_sql_count(&sql, &scope, table, where, err);
    if (rc == AM_OK)
        rc = run_read(snap, &sql, 1, take_count, out, err);
    am_sql_clear(&sql);
    return rc;
}

/* ---- generation ---- */

/* with watch_lock held */
static enum am_rc open_watch(struct sqlite_store *s, struct am_err *err)
{
    if (s->value)
        return AM_OK;
    if (!s->watch)
        AM_TRY(am_sqlite_connect(s->path, SQLITE_OPEN_READWRITE, s->busy_ms, &s->watch, err));
    int rc = SQLITE_OK;
    if (!s->version)
        rc = sqlite3_prepare_v2(s->watch, "PRAGMA data_version", -1, &s->version, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->watch, "SELECT value FROM am_meta WHERE key = 'generation'", -1,
                                &s->value, NULL);
    if (rc != SQLITE_OK)
        return am_sqlite_fail(s->watch, rc, "cannot watch the records", err);
    return AM_OK;
}

static enum am_rc step_int(sqlite3 *db, sqlite3_stmt *st, int64_t *out, struct am_err *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    enum am_rc result = AM_OK;
    if (rc != SQLITE_ROW)
        result = am_sqlite_fail(db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc,
                                "cannot watch the records", err);
    (void)sqlite3_reset(st);
    return result;
}

static enum am_rc watch(struct sqlite_store *s, struct am_err *err)
{
    int64_t version = 0, value = 0;
    AM_TRY(open_watch(s, err));
    AM_TRY(step_int(s->watch, s->version, &version, err));
    if (s->generation != 0 && version == s->last_version)
        return AM_OK;
    /* a commit between the two reads only makes the next call look again */
    AM_TRY(step_int(s->watch, s->value, &value, err));
    s->last_version = version;
    s->generation = (uint64_t)value;
    return AM_OK;
}

static enum am_rc sqlite_generation(void *impl, uint64_t *out, struct am_err *err)
{
    struct sqlite_store *s = impl;
    AM_TRY(check_pid(s, err));
    pthread_mutex_lock(&s->watch_lock);
    enum am_rc rc = watch(s, err);
    if (rc == AM_OK)
        *out = s->generation;
    pthread_mutex_unlock(&s->watch_lock);
    return rc;
}

static enum am_rc sqlite_backup(void *impl, const char *path, struct am_err *err)
{
    struct sqlite_store *s = impl;
    sqlite3 *db = NULL;
    AM_TRY(check_pid(s, err));
    AM_TRY(take_reader(s, &db, err));
    enum am_rc rc = am_sqlite_backup(db, path, err);
    give_reader(s, db);
    return rc;
}

const struct am_records_ops am_records_sqlite = {
    .abi = AM_RECORDS_ABI,
    .size = sizeof(struct am_records_ops),
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .commit = sqlite_commit,
    .snapshot = sqlite_snapshot,
    .release = sqlite_release,
    .select = sqlite_select,
    .count = sqlite_count,
    .generation = sqlite_generation,
    .backup = sqlite_backup,
};
