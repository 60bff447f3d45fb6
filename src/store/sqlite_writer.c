/* The one thread of a process that writes to the records.
 *
 * Callers queue transactions whose SQL is ready and sleep. The thread takes all that wait, applies
 * each in a savepoint of one BEGIN IMMEDIATE … COMMIT (one sync), and answers after COMMIT;
 * meanwhile the next batch forms. A refused transaction is rolled back alone. When SQLite had to
 * give up the whole batch (memory, disk), the others are done again one by one. A failed sync is
 * final: the writer stops, and the file is left as it is for recovery by the next process.
 * Checkpoints run after the answers. The mutex guards queue, stop, started and each pending's done;
 * the rest belongs to the thread. */
#include <errno.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"
#include "store/sqlite_int.h"

#define BATCH 256
#define CHECKPOINT_PAGES 1000

struct pending {
    struct am_sql *ops; /* borrowed from the sleeping caller, as all of this */
    size_t n_ops;
    bool publish;
    struct am_txn_result *result;
    struct am_err err;
    enum am_rc rc;
    bool done;
    pthread_cond_t answered;
    struct pending *next;
};

struct am_sqlite_writer {
    sqlite3 *db; /* owned */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct pending *head, **tail;
    bool stop, started;
    pthread_t thread;
    bool broken;   /* a sync failed */
    int wal_pages; /* after the last commit */
};

/* ---- one transaction ---- */

static enum am_rc run_statement(sqlite3 *db, const struct am_sql *op, sqlite3_stmt *st,
                                struct am_err *err)
{
    int64_t n = 0;
    for (size_t r = 0; r < op->n_rows; r++) {
        AM_TRY(am_sqlite_bind(st, op->binds.ptr + r * op->n_params, op->n_params, err));
        int rc = sqlite3_step(st);
        if (rc == SQLITE_ROW && op->reads) {
            n = sqlite3_column_int64(st, 0);
        } else if (rc != SQLITE_DONE) {
            enum am_rc code = am_sqlite_fail(db, rc, "cannot write", err);
            (void)sqlite3_reset(st);
            return code;
        } else {
            n += sqlite3_changes64(db);
        }
        (void)sqlite3_reset(st); /* its code is the step's */
    }
    bool good =
        op->expect == AM_EXPECT_ANY || op->expect == n || (op->expect == AM_EXPECT_SOME && n > 0);
    if (!good)
        return am_fail(err, AM_ECONFLICT, "%lld rows where another number is expected",
                       (long long)n);
    return AM_OK;
}

static enum am_rc apply(sqlite3 *db, struct pending *p)
{
    for (size_t i = 0; i < p->n_ops; i++) {
        sqlite3_stmt *st = NULL;
        if (p->ops[i].n_rows == 0)
            continue;
        enum am_rc code;
        int rc = sqlite3_prepare_v2(db, p->ops[i].text.ptr, (int)p->ops[i].text.len, &st, NULL);
        if (rc != SQLITE_OK)
            code = am_sqlite_fail(db, rc, "cannot prepare a change", &p->err);
        else
            code = run_statement(db, &p->ops[i], st, &p->err);
        sqlite3_finalize(st);
        if (code != AM_OK) {
            p->result->failed_op = i;
            return code;
        }
    }
    if (p->publish)
        return am_sqlite_exec(db, "UPDATE am_meta SET value = value + 1 WHERE key = 'generation'",
                              &p->err);
    return AM_OK;
}

/* false: the batch is lost, nothing of it can be committed. */
static bool apply_in_savepoint(struct am_sqlite_writer *w, struct pending *p)
{
    p->rc = am_sqlite_exec(w->db, "SAVEPOINT one", &p->err);
    if (p->rc == AM_OK) {
        p->rc = apply(w->db, p);
        if (p->rc == AM_OK)
            p->rc = am_sqlite_exec(w->db, "RELEASE one", &p->err);
        if (p->rc == AM_OK)
            return true;
    }
    return !sqlite3_get_autocommit(w->db) &&
           sqlite3_exec(w->db, "ROLLBACK TO one; RELEASE one", NULL, NULL, NULL) == SQLITE_OK;
}

/* ---- a batch ---- */

static void fail_all(struct pending *const *list, size_t n, enum am_rc rc, const struct am_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (list[i]->rc == AM_OK) {
            list[i]->rc = rc;
            list[i]->err = *err;
            list[i]->result->failed_op = list[i]->n_ops;
        }
}

static bool is_sync_error(sqlite3 *db)
{
    int full = sqlite3_extended_errcode(db);
    return full == SQLITE_IOERR_FSYNC || full == SQLITE_IOERR_DIR_FSYNC;
}

static void mark_broken(struct am_sqlite_writer *w)
{
    w->broken = true;
    /* what the kernel dropped must not be checkpointed as if it were there */
    (void)sqlite3_db_config(w->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    am_log(AM_LOG_ERROR, "records", "event=sync_failed action=writer_stopped");
}

static enum am_rc commit_batch(struct am_sqlite_writer *w, struct am_err *err)
{
    enum am_rc rc = am_sqlite_exec(w->db, "COMMIT", err);
    if (rc == AM_OK)
        return AM_OK;
    if (is_sync_error(w->db))
        mark_broken(w);
    if (!sqlite3_get_autocommit(w->db))
        (void)sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static enum am_rc check_broken(const struct am_sqlite_writer *w, struct am_err *err)
{
    if (!w->broken)
        return AM_OK;
    am_fail(err, AM_EIO, "the records are read-only since a sync to disk failed");
    am_hint(err, "Check the disk, then start the program again.");
    return AM_EIO;
}

static void run_batch(struct am_sqlite_writer *w, struct pending *const *list, size_t n)
{
    struct am_err err;
    size_t n_good = 0;
    am_err_clear(&err);
    for (size_t i = 0; i < n; i++)
        list[i]->rc = AM_OK;
    enum am_rc rc = check_broken(w, &err);
    if (rc == AM_OK)
        rc = am_sqlite_exec(w->db, "BEGIN IMMEDIATE", &err);
    if (rc != AM_OK) {
        fail_all(list, n, rc, &err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bool alive = apply_in_savepoint(w, list[i]);
        n_good += list[i]->rc == AM_OK;
        if (alive)
            continue;
        (void)sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
        for (size_t k = 0; k < n; k++)
            if (k != i)
                run_batch(w, &list[k], 1);
        return;
    }
    if (n_good == 0) {
        (void)sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
        return;
    }
    rc = commit_batch(w, &err);
    if (rc != AM_OK)
        fail_all(list, n, rc, &err);
}

static void maybe_checkpoint(struct am_sqlite_writer *w)
{
    if (w->broken || w->wal_pages < CHECKPOINT_PAGES)
        return;
    int rc = sqlite3_wal_checkpoint_v2(w->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && is_sync_error(w->db))
        mark_broken(w);
    w->wal_pages = 0; /* the hook counts again at the next commit */
}

static int on_wal(void *ctx, sqlite3 *db, const char *name, int n_pages)
{
    (void)db;
    (void)name;
    ((struct am_sqlite_writer *)ctx)->wal_pages = n_pages;
    return SQLITE_OK;
}

static size_t take_batch(struct am_sqlite_writer *w, struct pending **list)
{
    size_t n = 0;
    while (w->head && n < BATCH) {
        list[n++] = w->head;
        w->head = w->head->next;
    }
    if (!w->head)
        w->tail = &w->head;
    return n;
}

static void *writer_main(void *arg)
{
    struct am_sqlite_writer *w = arg;
    struct pending *list[BATCH];
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->head && !w->stop)
            pthread_cond_wait(&w->wake, &w->lock);
        if (!w->head)
            break;
        size_t n = take_batch(w, list);
        pthread_mutex_unlock(&w->lock);
        run_batch(w, list, n);
        pthread_mutex_lock(&w->lock);
        for (size_t i = 0; i < n; i++) {
            list[i]->done = true;
            pthread_cond_signal(&list[i]->answered); /* the pending is gone once the lock is free */
        }
        pthread_mutex_unlock(&w->lock);
        maybe_checkpoint(w);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- callers ---- */

enum am_rc am_sqlite_writer_new(sqlite3 *db, struct am_sqlite_writer **out, struct am_err *err)
{
    struct am_sqlite_writer *w = am_calloc(1, sizeof *w);
    if (!w) {
        sqlite3_close_v2(db);
        return am_fail_nomem(err, sizeof *w);
    }
    w->db = db;
    w->tail = &w->head;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    sqlite3_wal_hook(db, on_wal, w); /* replaces the automatic checkpoint */
    *out = w;
    return AM_OK;
}

void am_sqlite_writer_free(struct am_sqlite_writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    bool join = w->started;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    if (join)
        pthread_join(w->thread, NULL);
    sqlite3_close_v2(w->db);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    am_free(w);
}

/* with the lock held */
static enum am_rc start_thread(struct am_sqlite_writer *w, struct am_err *err)
{
    if (w->started)
        return AM_OK;
    int e = pthread_create(&w->thread, NULL, writer_main, w);
    if (e != 0)
        return am_fail_errno(err, e, "cannot start the records' writer");
    w->started = true;
    return AM_OK;
}

enum am_rc am_sqlite_writer_commit(struct am_sqlite_writer *w, struct am_sql *ops, size_t n_ops,
                                   bool publish, struct am_txn_result *result, struct am_err *err)
{
    struct pending p = {.ops = ops, .n_ops = n_ops, .publish = publish, .result = result};
    pthread_cond_init(&p.answered, NULL);
    pthread_mutex_lock(&w->lock);
    enum am_rc rc = start_thread(w, err);
    if (rc == AM_OK) {
        *w->tail = &p;
        /* p leaves the queue before this function returns */
        // cppcheck-suppress autoVariables
        w->tail = &p.next;
        pthread_cond_signal(&w->wake);
        while (!p.done)
            pthread_cond_wait(&p.answered, &w->lock);
        rc = p.rc;
        if (rc != AM_OK && err)
            *err = p.err;
    }
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&p.answered);
    return rc;
}
