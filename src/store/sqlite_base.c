/* SQLite library set-up, connections and error codes.
 *
 * All of SQLite's memory comes from am_alloc, so the fail-n-th-allocation loops reach into it.
 * Every connection is used by one thread at a time (no mutexes inside), distrusts the schema,
 * refuses to damage the file, and has no extensions, triggers or views. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "store/sqlite_int.h"

#define HEAD 16 /* SQLite asks for the size of what it allocated: kept before the block */

static void *mem_alloc(int n)
{
    char *p = am_alloc((size_t)n + HEAD);
    if (!p)
        return NULL;
    memcpy(p, &n, sizeof n);
    return p + HEAD;
}

static void mem_free(void *p)
{
    if (p)
        am_free((char *)p - HEAD);
}

static void *mem_realloc(void *p, int n)
{
    char *q = am_realloc_array((char *)p - HEAD, (size_t)n + HEAD, 1);
    if (!q)
        return NULL;
    memcpy(q, &n, sizeof n);
    return q + HEAD;
}

static int mem_size(void *p)
{
    int n = 0;
    if (p)
        memcpy(&n, (char *)p - HEAD, sizeof n);
    return n;
}

static int mem_roundup(int n)
{
    return (n + 15) & ~15;
}
static int mem_init(void *p)
{
    (void)p;
    return SQLITE_OK;
}
static void mem_shutdown(void *p)
{
    (void)p;
}

static const sqlite3_mem_methods mem_methods = {
    mem_alloc, mem_free, mem_realloc, mem_size, mem_roundup, mem_init, mem_shutdown, NULL,
};

enum am_rc am_sqlite_setup(struct am_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards configured */
    static bool configured;
    pthread_mutex_lock(&lock);
    if (!configured) {
        /* refused when somebody else started SQLite in this process: then its settings stay */
        (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &mem_methods);
        (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        configured = true;
    }
    int rc = sqlite3_initialize();
    pthread_mutex_unlock(&lock);
    if (rc != SQLITE_OK)
        return am_sqlite_fail(NULL, rc, "cannot start SQLite", err);
    return AM_OK;
}

static enum am_rc code_of(int rc)
{
    if (rc == SQLITE_IOERR_NOMEM)
        return AM_ENOMEM;
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return AM_EBUSY;
    case SQLITE_FULL:
        return AM_ENOSPC;
    case SQLITE_NOMEM:
        return AM_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return AM_ECORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return AM_EPERM;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL:
        return AM_EIO;
    case SQLITE_TOOBIG:
        return AM_ELIMIT;
    default:
        return AM_EINTERNAL;
    }
}

enum am_rc am_sqlite_fail(sqlite3 *db, int rc, const char *what, struct am_err *err)
{
    int full = db ? sqlite3_extended_errcode(db) : rc;
    if ((full & 0xff) != (rc & 0xff))
        full = rc;
    if (full == SQLITE_CONSTRAINT_UNIQUE || full == SQLITE_CONSTRAINT_PRIMARYKEY)
        return am_fail(err, AM_EEXIST, "%s: the row exists already (%s)", am_tr(what),
                       sqlite3_errmsg(db));
    if ((full & 0xff) == SQLITE_CONSTRAINT)
        return am_fail(err, AM_ECONFLICT, "%s: a row that this one needs is not there (%s)",
                       am_tr(what), sqlite3_errmsg(db));
    const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    enum am_rc code = am_fail(err, code_of(full), "%s: %s (SQLite %d)", am_tr(what), text, full);
    if (code == AM_EBUSY)
        am_hint(err, "Another process is writing to the workspace; try again.");
    if (code == AM_ECORRUPT)
        am_hint(err, "Restore the workspace from a backup.");
    return code;
}

enum am_rc am_sqlite_exec(sqlite3 *db, const char *sql, struct am_err *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return am_sqlite_fail(db, rc, "records", err);
    return AM_OK;
}

enum am_rc am_sqlite_int(sqlite3 *db, const char *sql, int64_t *out, struct am_err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(st, 0);
        rc = SQLITE_OK;
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT;
    }
    enum am_rc result = AM_OK;
    if (rc != SQLITE_OK)
        result = am_sqlite_fail(db, rc, "records", err);
    sqlite3_finalize(st);
    return result;
}

static void lower_limits(sqlite3 *db)
{
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 64 << 20);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 1 << 20);
    sqlite3_limit(db, SQLITE_LIMIT_COLUMN, 100);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
    sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 4);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000);
    sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, 8192);
    sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
}

enum am_rc am_sqlite_connect(const char *path, int flags, uint32_t busy_ms, sqlite3 **out,
                             struct am_err *err)
{
    sqlite3 *db = NULL;
    enum am_rc result = AM_OK;
    int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        AM_GO(result, am_sqlite_fail(db, rc, "cannot open the records", err));
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, (int)(busy_ms > 600000 ? 600000 : busy_ms));
    lower_limits(db);
    static const struct {
        int op, value;
    } config[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < sizeof config / sizeof *config; i++) {
        rc = sqlite3_db_config(db, config[i].op, config[i].value, (int *)NULL);
        if (rc != SQLITE_OK)
            AM_GO(result, am_sqlite_fail(db, rc, "cannot set up the records", err));
    }
    AM_GO(result, am_sqlite_exec(db,
                                 "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; "
                                 "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; "
                                 "PRAGMA case_sensitive_like=ON",
                                 err));
    *out = db;
    return AM_OK;
out:
    sqlite3_close_v2(db);
    return result;
}

enum am_rc am_sqlite_bind(sqlite3_stmt *st, const struct am_value *values, size_t n,
                          struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct am_value *v = &values[i];
        int at = (int)i + 1, rc = SQLITE_OK;
        const char *text = v->text.ptr ? v->text.ptr : "";
        switch (v->kind) {
        case AM_VALUE_INT:
            rc = sqlite3_bind_int64(st, at, v->i);
            break;
        case AM_VALUE_REAL:
            rc = sqlite3_bind_double(st, at, v->r);
            break;
        case AM_VALUE_TEXT:
            rc = sqlite3_bind_text64(st, at, text, v->text.len, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case AM_VALUE_BLOB:
            rc = sqlite3_bind_blob64(st, at, text, v->text.len, SQLITE_STATIC);
            break;
        default:
            rc = sqlite3_bind_null(st, at);
            break;
        }
        if (rc != SQLITE_OK)
            return am_sqlite_fail(sqlite3_db_handle(st), rc, "records", err);
    }
    return AM_OK;
}
