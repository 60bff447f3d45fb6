/* The records file before normal use: making, checking, migrating, copying.
 *
 * A flock on PATH.lock decides who may do so: exclusive while the file is made, checked after a
 * crash or migrated, shared while the store is open. A new file is made beside its place and
 * renamed, so that an empty or missing file beside a log is damage and never silently made anew.
 * The database file itself is opened by SQLite only (closing any other descriptor would drop its
 * locks). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/sqlite_int.h"

#define PATH_CAP 4096

static enum am_rc join(char out[PATH_CAP], const char *a, const char *b, struct am_err *err)
{
    if (snprintf(out, PATH_CAP, "%s%s", a, b) >= PATH_CAP)
        return am_fail(err, AM_EINVAL, "path of the records is too long (%zu bytes)", strlen(a));
    return AM_OK;
}

static void dir_of(const char *path, char out[PATH_CAP])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= PATH_CAP || !slash) {
        memcpy(out, ".", 2);
        return;
    }
    memcpy(out, path, n);
    memcpy(out + n, n ? "" : "/", n ? 1 : 2);
}

/* size of a file, -1 when it is absent */
static int64_t size_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* ---- the lock ---- */

static enum am_rc share(int fd, struct am_err *err)
{
    while (flock(fd, LOCK_SH) != 0)
        if (errno != EINTR)
            return am_fail_errno(err, errno, "cannot lock the records");
    return AM_OK;
}

static enum am_rc lock(const char *url, int *fd_out, bool *alone, struct am_err *err)
{
    char path[PATH_CAP];
    AM_TRY(join(path, url, ".lock", err));
    int fd = am_fs()->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open \"%s\"", path);
    *alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!*alone) {
        enum am_rc rc = share(fd, err);
        if (rc != AM_OK) {
            am_fs()->close(fd);
            return rc;
        }
    }
    *fd_out = fd;
    return AM_OK;
}

/* ---- making ---- */

static enum am_rc run_schema(sqlite3 *db, const struct am_records_schema *schema, unsigned from,
                             struct am_err *err)
{
    struct am_buf sql;
    enum am_rc rc = AM_OK;
    am_buf_init(&sql, (size_t)1 << 20);
    am_buf_cstr(&sql, "BEGIN IMMEDIATE;\n");
    if (from == 0)
        am_buf_cstr(&sql,
                    "CREATE TABLE am_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;\n"
                    "INSERT INTO am_meta VALUES ('generation', 1);\n");
    am_sql_schema(&sql, schema, from);
    am_buf_printf(&sql, "PRAGMA application_id=%d;\nPRAGMA user_version=%u;\nCOMMIT;",
                  AM_SQLITE_APPLICATION_ID, schema->version);
    AM_GO(rc, am_buf_check(&sql, err));
    rc = am_sqlite_exec(db, sql.ptr, err);
    if (rc != AM_OK)
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
out:
    am_buf_clear(&sql);
    return rc;
}

static void remove_with_logs(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char p[PATH_CAP];
    for (size_t i = 0; i < 4; i++)
        if (join(p, path, ends[i], NULL) == AM_OK)
            (void)unlink(p);
}

static enum am_rc fill_new(const char *tmp, const struct am_records_config *c, struct am_err *err)
{
    sqlite3 *db = NULL;
    char wal[PATH_CAP];
    enum am_rc rc = AM_OK;
    int fd = am_fs()->open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot make \"%s\"", tmp);
    am_fs()->close(fd);
    AM_GO(rc, join(wal, tmp, "-wal", err));
    AM_GO(rc, am_sqlite_connect(tmp, SQLITE_OPEN_READWRITE, 1000, &db, err));
    AM_GO(rc, run_schema(db, c->schema, 0, err));
    AM_GO(rc, am_sqlite_exec(db, "PRAGMA journal_mode=WAL", err));
out:
    sqlite3_close_v2(db);
    if (rc == AM_OK && size_of(wal) > 0)
        rc = am_fail(err, AM_EIO, "cannot complete \"%s\"", tmp);
    return rc;
}

static enum am_rc make(const struct am_records_config *c, struct am_err *err)
{
    char tmp[PATH_CAP], wal[PATH_CAP];
    AM_TRY(join(tmp, c->url, ".new", err));
    AM_TRY(join(wal, c->url, "-wal", err));
    if (size_of(wal) > 0) {
        am_fail(err, AM_ECORRUPT, "\"%s\" is missing although its log is there", c->url);
        am_hint(err, "Restore the workspace from a backup.");
        return AM_ECORRUPT;
    }
    remove_with_logs(tmp);
    enum am_rc rc = fill_new(tmp, c, err);
    if (rc == AM_OK)
        rc = am_fs_publish(tmp, c->url, err);
    if (rc != AM_OK)
        remove_with_logs(tmp);
    return rc;
}

/* ---- checking ---- */

static enum am_rc quick_check(sqlite3 *db, struct am_err *err)
{
    sqlite3_stmt *st = NULL;
    enum am_rc result = AM_OK;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (rc != SQLITE_ROW) {
        result = am_sqlite_fail(db, rc, "cannot check the records", err);
    } else if (!text || strcmp(text, "ok") != 0) {
        result = am_fail(err, AM_ECORRUPT, "the records are damaged: %s", text ? text : "?");
        am_hint(err, "Restore the workspace from a backup.");
    }
    sqlite3_finalize(st);
    return result;
}

static enum am_rc migrate(sqlite3 *db, const struct am_records_config *c, unsigned from, bool alone,
                          struct am_err *err)
{
    char dir[PATH_CAP], path[PATH_CAP];
    if (!alone) {
        am_fail(err, AM_EBUSY, "the records have version %u and must be brought to %u", from,
                c->schema->version);
        am_hint(err, "Stop the other programs that use this workspace, then try again.");
        return AM_EBUSY;
    }
    dir_of(c->url, dir);
    int n = snprintf(path, sizeof path, "%s/records-v%u-%lld.db",
                     c->backup_dir ? c->backup_dir : dir, from, (long long)am_wall_us());
    if (n < 0 || n >= (int)sizeof path)
        return am_fail(err, AM_EINVAL, "path of the backup is too long");
    AM_TRY(am_sqlite_backup(db, path, err));
    AM_TRY(run_schema(db, c->schema, from, err));
    am_log(AM_LOG_INFO, "records", "event=migrated from=%u to=%u backup=%s", from,
           c->schema->version, path);
    return AM_OK;
}

static enum am_rc check_version(sqlite3 *db, const struct am_records_config *c, bool alone,
                                struct am_err *err)
{
    int64_t id = 0, version = 0;
    AM_TRY(am_sqlite_int(db, "PRAGMA application_id", &id, err));
    if (id != AM_SQLITE_APPLICATION_ID)
        return am_fail(err, AM_ECORRUPT, "\"%s\" is not a records file of AI Mass", c->url);
    AM_TRY(am_sqlite_int(db, "PRAGMA user_version", &version, err));
    if (version > (int64_t)c->schema->version) {
        am_fail(err, AM_EUNSUPPORTED,
                "the workspace was written by a newer AI Mass (records %lld, "
                "this program knows %u)",
                (long long)version, c->schema->version);
        am_hint(err, "Use the newer program, or another workspace.");
        return AM_EUNSUPPORTED;
    }
    if (version < 1)
        return am_fail(err, AM_ECORRUPT, "\"%s\" has no schema version", c->url);
    if (version < (int64_t)c->schema->version)
        return migrate(db, c, (unsigned)version, alone, err);
    return AM_OK;
}

static enum am_rc check(const struct am_records_config *c, bool alone, struct am_err *err)
{
    char wal[PATH_CAP];
    sqlite3 *db = NULL;
    enum am_rc rc = AM_OK;
    AM_TRY(join(wal, c->url, "-wal", err));
    bool unclean = alone && size_of(wal) > 0; /* nobody has it open, yet its log was left behind */
    AM_GO(rc, am_sqlite_connect(c->url, SQLITE_OPEN_READWRITE, c->busy_ms, &db, err));
    if (unclean)
        AM_GO(rc, quick_check(db, err));
    rc = check_version(db, c, alone, err);
out:
    sqlite3_close_v2(db);
    return rc;
}

enum am_rc am_sqlite_prepare_file(const struct am_records_config *c, int *lock_fd,
                                  struct am_err *err)
{
    char dir[PATH_CAP];
    bool alone = false;
    int fd = -1;
    enum am_rc rc = AM_OK;
    dir_of(c->url, dir);
    AM_TRY(am_store_local_fs(dir, err));
    AM_TRY(lock(c->url, &fd, &alone, err));
    int64_t size = size_of(c->url);
    if (size < 0 && alone) {
        AM_GO(rc, make(c, err));
    } else if (size <= 0) {
        rc = am_fail(err, AM_ECORRUPT, "\"%s\" is %s", c->url, size < 0 ? "missing" : "empty");
        am_hint(err, "Restore the workspace from a backup.");
        goto out;
    }
    AM_GO(rc, check(c, alone, err));
    if (alone)
        AM_GO(rc, share(fd, err));
    *lock_fd = fd;
    return AM_OK;
out:
    am_fs()->close(fd);
    return rc;
}

/* ---- copying ---- */

static enum am_rc copy_into(sqlite3 *from, const char *tmp, struct am_err *err)
{
    sqlite3 *to = NULL;
    enum am_rc rc = AM_OK;
    AM_TRY(am_sqlite_connect(tmp, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 1000, &to, err));
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        AM_GO(rc, am_sqlite_fail(to, sqlite3_errcode(to), "cannot copy the records", err));
    int step = sqlite3_backup_step(b, -1);
    int end = sqlite3_backup_finish(b);
    if (step != SQLITE_DONE || end != SQLITE_OK)
        AM_GO(rc,
              am_sqlite_fail(to, step != SQLITE_DONE ? step : end, "cannot copy the records", err));
    rc = quick_check(to, err);
out:
    sqlite3_close_v2(to);
    return rc;
}

enum am_rc am_sqlite_backup(sqlite3 *from, const char *path, struct am_err *err)
{
    char tmp[PATH_CAP], wal[PATH_CAP];
    AM_TRY(join(tmp, path, ".tmp", err));
    AM_TRY(join(wal, tmp, "-wal", err));
    remove_with_logs(tmp);
    enum am_rc rc = copy_into(from, tmp, err);
    if (rc == AM_OK && size_of(wal) > 0)
        rc = am_fail(err, AM_EIO, "cannot complete \"%s\"", tmp);
    if (rc == AM_OK)
        rc = am_fs_publish(tmp, path, err);
    if (rc != AM_OK)
        remove_with_logs(tmp);
    return rc;
}
