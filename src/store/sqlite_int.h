/* Inside the SQLite driver: connections and the writer.
 *
 * sqlite_base.c: library set-up, connections, error codes. sqlite_writer.c: the thread that
 * commits. sqlite_open.c: making, checking, migrating and copying the file. records_sqlite.c: the
 * ops table. */
#ifndef AM_STORE_SQLITE_INT_H
#define AM_STORE_SQLITE_INT_H

#include <sqlite3.h>

#include "store/records_int.h"

#define AM_SQLITE_APPLICATION_ID 0x41694d61 /* "AiMa" */

struct am_sqlite_writer;

/* Once a process: memory through am_alloc, no statistics. */
enum am_rc am_sqlite_setup(struct am_err *err) AM_MUST_CHECK;
/* The connection's last error with `what` before it. rc: what the call returned. */
enum am_rc am_sqlite_fail(sqlite3 *db, int rc, const char *what, struct am_err *err);
/* A connection with every safety setting. flags: SQLITE_OPEN_READWRITE [| CREATE]. */
enum am_rc am_sqlite_connect(const char *path, int flags, uint32_t busy_ms, sqlite3 **out,
                             struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sqlite_exec(sqlite3 *db, const char *sql, struct am_err *err) AM_MUST_CHECK;
/* One integer from a statement that gives one. */
enum am_rc am_sqlite_int(sqlite3 *db, const char *sql, int64_t *out,
                         struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sqlite_bind(sqlite3_stmt *st, const struct am_value *values, size_t n,
                          struct am_err *err) AM_MUST_CHECK;

/* Makes or checks or migrates the file; *lock_fd stays open (a shared flock on PATH.lock) while the
 * store is open. */
enum am_rc am_sqlite_prepare_file(const struct am_records_config *c, int *lock_fd,
                                  struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sqlite_backup(sqlite3 *from, const char *path, struct am_err *err) AM_MUST_CHECK;

/* db becomes the writer's. The thread starts with the first commit. */
enum am_rc am_sqlite_writer_new(sqlite3 *db, struct am_sqlite_writer **out,
                                struct am_err *err) AM_MUST_CHECK;
void am_sqlite_writer_free(struct am_sqlite_writer *w);
enum am_rc am_sqlite_writer_commit(struct am_sqlite_writer *w, struct am_sql *ops, size_t n_ops,
                                   bool publish, struct am_txn_result *result,
                                   struct am_err *err) AM_MUST_CHECK;

#endif
