/* store/: conformance of both drivers and of the suites themselves, crash and fault loops,
 * migration, refusals. Crashes are real: children that are killed while they acknowledge through a
 * pipe. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "conformance/stores.h"
#include "store/records_int.h"
#include "support/faults.h"

#include "failing_vfs.h"

static struct am_err err;
static char dir[256];
static char db[300];

static int make_dir(void **state)
{
    (void)state;
    const char *base = am_test_dir();
    (void)snprintf(dir, sizeof dir, "%s/am-store-XXXXXX", base);
    am_misbehave(AM_BEHAVE, 0);
    fail_vfs(0);
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(db, sizeof db, "%s/records.db", dir);
    return 0;
}

static int drop_dir(void **state)
{
    (void)state;
    return am_fs_remove_tree(dir, NULL) == AM_OK ? 0 : -1;
}

/* ---- a small schema, and its next version ---- */

static const struct am_records_column v1_columns[] = {{"id", AM_COL_INT, true, 0},
                                                      {"twin", AM_COL_INT, false, 0}};
static const struct am_records_column v2_columns[] = {
    {"id", AM_COL_INT, true, 0}, {"twin", AM_COL_INT, false, 0}, {"note", AM_COL_TEXT, false, 2}};
static const char *const by_id[] = {"id"};
static const char *const by_note[] = {"note"};
static const struct am_records_table v1_tables[] = {
    {"row", v1_columns, 2, by_id, 1, NULL, 0, 0},
    {"twin", v1_columns, 2, by_id, 1, NULL, 0, 0},
};
static const struct am_records_table v2_tables[] = {
    {"row", v2_columns, 3, by_id, 1, by_note, 1, 0},
    {"twin", v1_columns, 2, by_id, 1, NULL, 0, 0},
    {"extra", v1_columns, 2, by_id, 1, NULL, 0, 2},
};
static const struct am_records_schema v1 = {v1_tables, 2, 1};
static const struct am_records_schema v2 = {v2_tables, 3, 2};

static enum am_rc open_db(const struct am_records_schema *schema, struct am_records *r,
                          struct am_err *e)
{
    struct am_records_config c = {.url = db, .owner = "ann", .project = "p", .schema = schema};
    return am_records_open(&am_records_sqlite, &c, r, e);
}

/* One transaction: row id and its twin. */
static enum am_rc add_pair(const struct am_records *r, int64_t id, struct am_err *e)
{
    const struct am_value v[] = {am_v_int(id), am_v_int(id)};
    static const char *const columns[] = {"id", "twin"};
    const struct am_op ops[] = {
        {.kind = AM_OP_INSERT,
         .table = "row",
         .columns = columns,
         .n_columns = 2,
         .values = v,
         .n_rows = 1},
        {.kind = AM_OP_INSERT,
         .table = "twin",
         .columns = columns,
         .n_columns = 2,
         .values = v,
         .n_rows = 1},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 2};
    return am_records_commit(r, &txn, NULL, e);
}

static int64_t count_id(const struct am_records *r, const char *table, int64_t id)
{
    struct am_snapshot s;
    int64_t n = -1;
    const struct am_value v = am_v_int(id);
    const struct am_cond is = {
        .kind = AM_COND_CMP, .column = "id", .op = AM_CMP_EQ, .values = &v, .n_values = 1};
    assert_int_equal(am_records_snapshot(r, &s, &err), AM_OK);
    assert_int_equal(am_snapshot_count(&s, table, id < 0 ? NULL : &is, &n, &err), AM_OK);
    am_snapshot_release(&s);
    return n;
}

/* ---- conformance ---- */

static void test_files_conform(void **state)
{
    (void)state;
    assert_null(am_conformance_blobs(&am_blobs_files, dir));
}

static void test_sqlite_conforms(void **state)
{
    (void)state;
    assert_null(am_conformance_records(&am_records_sqlite, dir));
}

/* The suites notice every misbehaviour, and pass the wrapper that behaves. */
static void test_suites_notice(void **state)
{
    static const enum am_misbehaviour blobs[] = {AM_LOST_ACK, AM_UNAVAILABLE, AM_TRUNCATE, AM_FLIP,
                                                 AM_FORGET};
    static const enum am_misbehaviour records[] = {AM_LOST_ACK, AM_UNAVAILABLE, AM_TRUNCATE,
                                                   AM_FORGET};
    for (size_t i = 0; i < 5; i++) {
        am_misbehave(blobs[i], 1);
        assert_non_null(am_conformance_blobs(&am_blobs_bad, dir));
        drop_dir(state);
        assert_int_equal(make_dir(state), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        am_misbehave(records[i], 1);
        assert_non_null(am_conformance_records(&am_records_bad, dir));
        drop_dir(state);
        assert_int_equal(make_dir(state), 0);
    }
    assert_null(am_conformance_blobs(&am_blobs_bad, dir));
    assert_null(am_conformance_records(&am_records_bad, dir));
}

/* ---- blobs ---- */

static struct am_blobs open_blobs(void)
{
    struct am_blobs b;
    struct am_blobs_config c = {.url = dir, .project = "p"};
    assert_int_equal(am_blobs_open(&am_blobs_files, &c, &b, &err), AM_OK);
    return b;
}

static enum am_rc nothing(void *ctx, const struct am_blob_info *info, struct am_err *e)
{
    (void)e;
    assert_int_equal(info->n_bytes, 100000);
    ++*(int *)ctx;
    return AM_OK;
}

static void test_blob_damage(void **state)
{
    (void)state;
    struct am_blobs b = open_blobs();
    struct am_blob_info info;
    char path[4096];
    struct am_buf buf;
    am_buf_init(&buf, 1000);
    assert_int_equal(am_blob_put(&b, AM_STR("precious"), &info, &err), AM_OK);
    assert_int_equal(b.ops->path(b.impl, &info.id, path, sizeof path, &err), AM_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0400);
    assert_int_equal(chmod(path, 0600), 0);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fputc('q', f), 'q');
    assert_int_equal(fclose(f), 0);
    assert_int_equal(am_blob_check(&b, &info.id, &err), AM_ECORRUPT);
    assert_int_equal(am_blob_get(&b, &info.id, &buf, &err), AM_ECORRUPT);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(am_blob_check(&b, &info.id, &err), AM_ECORRUPT);
    assert_int_equal(am_blob_put(&b, AM_STR("precious"), &info, &err), AM_OK); /* mends it */
    assert_int_equal(am_blob_check(&b, &info.id, &err), AM_OK);
    am_buf_clear(&buf);
    am_blobs_close(&b);
}

static void test_blob_sweep(void **state)
{
    (void)state;
    char old[400], young[400];
    struct timeval long_ago[2] = {{1000, 0}, {1000, 0}};
    struct am_blobs b = open_blobs();
    am_blobs_close(&b);
    (void)snprintf(old, sizeof old, "%s/p/tmp/put.aaaaaa", dir);
    (void)snprintf(young, sizeof young, "%s/p/tmp/put.bbbbbb", dir);
    assert_int_equal(am_fs_write_file(old, "x", 1, &err), AM_OK);
    assert_int_equal(am_fs_write_file(young, "x", 1, &err), AM_OK);
    assert_int_equal(utimes(old, long_ago), 0);
    b = open_blobs();
    assert_false(am_fs_exists(old));
    assert_true(am_fs_exists(young));
    am_blobs_close(&b);
}

static enum am_rc put_big(const struct am_blobs *b, struct am_err *e)
{
    static char bytes[100000];
    struct am_blob_info info;
    return am_blob_put(b, (struct am_str){bytes, sizeof bytes}, &info, e);
}

static enum am_rc put_and_get(const struct am_blobs *b, struct am_err *e)
{
    static const char text[] = "some bytes";
    struct am_blob_info info;
    struct am_buf buf;
    char path[400];
    AM_TRY(am_blob_put(b, am_str(text), &info, e));
    am_buf_init(&buf, 1000);
    enum am_rc rc = am_blob_get(b, &info.id, &buf, e);
    am_buf_clear(&buf);
    AM_TRY(rc);
    (void)snprintf(path, sizeof path, "%s/out", dir);
    return am_blob_get_file(b, &info.id, path, e);
}

static void test_blob_faults(void **state)
{
    (void)state;
    struct am_blobs b = open_blobs();
    int n = 0;
    char tmp[300];
    /* whatever fails, the list holds whole blobs only */
    AM_IO_LOOP(put_big(&b, &err), (void)0,
               assert_int_equal(b.ops->list(b.impl, nothing, &n, &err), AM_OK));
    AM_IO_LOOP(put_and_get(&b, &err), (void)0, (void)0);
    AM_OOM_LOOP(put_and_get(&b, &err), (void)0);
    am_blobs_close(&b);
    struct am_blobs_config c = {.url = dir, .project = "q"};
    AM_OOM_LOOP(am_blobs_open(&am_blobs_files, &c, &b, &err), am_blobs_close(&b));
    AM_IO_LOOP(am_blobs_open(&am_blobs_files, &c, &b, &err), am_blobs_close(&b), (void)0);
    /* nothing was left behind in the temporary folder */
    (void)snprintf(tmp, sizeof tmp, "%s/p/tmp", dir);
    assert_int_equal(rmdir(tmp), 0);
}

/* The order that survives a power cut: the file is synced before the rename, its folder after it.
 */
static struct am_fs_ops watched;
static const struct am_fs_ops *real_fs;
static int n_unsynced, n_renamed_unsynced, n_unsynced_renames, n_mkdirs;
static ino_t unsynced_parent; /* of the last folder made */

static ssize_t watch_write(int fd, const void *p, size_t n)
{
    n_unsynced++;
    return real_fs->write(fd, p, n);
}
static int watch_fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        n_unsynced_renames = 0;
    else
        n_unsynced = 0;
    if (st.st_ino == unsynced_parent)
        unsynced_parent = 0;
    return real_fs->fsync(fd);
}
static int watch_mkdir(const char *path, mode_t mode)
{
    char parent[400];
    struct stat st;
    (void)snprintf(parent, sizeof parent, "%s/..", path);
    int rc = real_fs->mkdir(path, mode);
    if (rc == 0 && stat(parent, &st) == 0) {
        unsynced_parent = st.st_ino;
        n_mkdirs++;
    }
    return rc;
}
static int watch_rename(const char *from, const char *to)
{
    n_renamed_unsynced += n_unsynced > 0;
    n_unsynced_renames++;
    return real_fs->rename(from, to);
}

static void test_blob_order(void **state)
{
    (void)state;
    struct am_blobs b = open_blobs();
    struct am_blob_info info;
    char path[400];
    real_fs = am_fs();
    watched = *real_fs;
    watched.write = watch_write;
    watched.fsync = watch_fsync;
    watched.rename = watch_rename;
    watched.mkdir = watch_mkdir;
    am_fs_set(&watched);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "item %d", i);
        assert_int_equal(am_blob_put(&b, am_str(path), &info, &err), AM_OK);
        assert_int_equal(n_unsynced_renames, 0);
        assert_int_equal(unsynced_parent, 0);
    }
    assert_true(n_mkdirs > 0);
    (void)snprintf(path, sizeof path, "%s/out", dir);
    assert_int_equal(am_blob_get_file(&b, &info.id, path, &err), AM_OK);
    assert_int_equal(n_unsynced_renames, 0);
    assert_int_equal(n_renamed_unsynced, 0);
    am_fs_set(NULL);
    am_blobs_close(&b);
}

/* ---- records: crash ---- */

static void child_appends(int fd, int64_t from)
{
    struct am_records r;
    if (open_db(&v1, &r, &err) != AM_OK)
        _exit(1);
    for (int64_t id = from;; id++) {
        if (add_pair(&r, id, &err) != AM_OK || write(fd, &id, sizeof id) != sizeof id)
            _exit(2);
    }
}

static int64_t read_acks(int fd, int64_t acked, bool *more)
{
    int64_t id;
    *more = read(fd, &id, sizeof id) == (ssize_t)sizeof id;
    return *more ? id : acked;
}

static void test_kill_loop(void **state)
{
    (void)state;
    int64_t n_acked = 0;
    struct am_records r;
    for (int cycle = 0; cycle < 200; cycle++) {
        int p[2];
        bool more = true;
        int64_t from = 1000 * (cycle + 1), acked = from - 1;
        assert_int_equal(pipe(p), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(p[0]);
            child_appends(p[1], from);
        }
        close(p[1]);
        for (int i = 0; i < cycle % 4;
             i++) { /* killed while opening, or in the middle of some row */
            acked = read_acks(p[0], acked, &more);
            assert_true(more);
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        for (more = true; more;)
            acked = read_acks(p[0], acked, &more);
        close(p[0]);
        assert_int_equal(open_db(&v1, &r, &err), AM_OK);
        for (int64_t id = from; id <= acked; id++)
            assert_int_equal(count_id(&r, "row", id), 1);
        n_acked += acked - from + 1;
        assert_true(count_id(&r, "row", -1) >= n_acked);
        assert_int_equal(count_id(&r, "row", -1), count_id(&r, "twin", -1));
        am_records_close(&r);
    }
    assert_true(n_acked >= 300);
}

/* All acknowledged rows of one long-lived writer are there, not only the last one. */
static void test_kill_keeps_all(void **state)
{
    (void)state;
    int p[2];
    int64_t id = 0;
    struct am_records r;
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(p[0]);
        child_appends(p[1], 1);
    }
    close(p[1]);
    while (id < 300)
        assert_int_equal(read(p[0], &id, sizeof id), sizeof id);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (read(p[0], &id, sizeof id) == (ssize_t)sizeof id)
        continue;
    close(p[0]);
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_true(count_id(&r, "row", -1) >= id);
    assert_int_equal(count_id(&r, "row", -1), count_id(&r, "twin", -1));
    for (int64_t i = 1; i <= id; i++)
        assert_int_equal(count_id(&r, "row", i), 1);
    am_records_close(&r);
}

/* Two processes write at once; neither loses a row. */
static void test_two_processes(void **state)
{
    (void)state;
    struct am_records r;
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    am_records_close(&r);
    pid_t pids[2];
    for (int k = 0; k < 2; k++) {
        pids[k] = fork();
        assert_true(pids[k] >= 0);
        if (pids[k] == 0) {
            if (open_db(&v1, &r, &err) != AM_OK)
                _exit(1);
            for (int i = 0; i < 60; i++)
                if (add_pair(&r, 1000 * k + i, &err) != AM_OK)
                    _exit(2);
            am_records_close(&r);
            _exit(0);
        }
    }
    for (int k = 0; k < 2; k++) {
        int status = -1;
        assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_int_equal(count_id(&r, "row", -1), 120);
    am_records_close(&r);
}

/* ---- records: faults ---- */

static enum am_rc open_add_close(int64_t id)
{
    struct am_records r;
    AM_TRY(open_db(&v1, &r, &err));
    enum am_rc rc = add_pair(&r, id, &err);
    struct am_snapshot s;
    int64_t n = 0;
    if (rc == AM_OK)
        rc = am_records_snapshot(&r, &s, &err);
    if (rc == AM_OK) {
        rc = am_snapshot_count(&s, "row", NULL, &n, &err);
        am_snapshot_release(&s);
    }
    am_records_close(&r);
    return rc;
}

static void test_records_oom(void **state)
{
    (void)state;
    int64_t id = 1;
    struct am_records r;
    AM_OOM_LOOP(open_add_close(id++), (void)0);
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_int_equal(count_id(&r, "row", -1), count_id(&r, "twin", -1));
    AM_OOM_LOOP(add_pair(&r, id++, &err), (void)0);
    assert_int_equal(add_pair(&r, id, &err), AM_OK); /* the same handle goes on */
    assert_int_equal(count_id(&r, "row", id), 1);
    am_records_close(&r);
    AM_IO_LOOP(open_add_close(++id), (void)0, (void)0); /* lock file and publish go through am_fs */
}

/* Every failing call of SQLite on the disk: a clean error, and the next open finds a whole store.
 */
static void test_records_io(void **state)
{
    (void)state;
    struct am_records r;
    int64_t id = 1;
    long hits = 1;
    assert_int_equal(open_db(&v1, &r, &err), AM_OK); /* starts SQLite */
    am_records_close(&r);
    failing_vfs_install();
    for (long n = 1; hits > 0; n++, id++) {
        fail_vfs(n);
        enum am_rc rc = open_add_close(id);
        hits = atomic_load(&fail_hits);
        fail_vfs(0);
        if (rc != AM_OK && rc != AM_EIO && rc != AM_ENOSPC && rc != AM_EPERM)
            fail_msg("call %ld: %s %s", n, am_rc_name(rc), err.message);
        assert_int_equal(open_db(&v1, &r, &err), AM_OK);
        int64_t there = count_id(&r, "row", id);
        assert_int_equal(there, count_id(&r, "twin", id));
        if (rc == AM_OK)
            assert_int_equal(there, 1);
        am_records_close(&r);
    }
    /* making a store */
    hits = 1;
    for (long n = 1; hits > 0; n++) {
        drop_dir(state);
        assert_int_equal(make_dir(state), 0);
        fail_vfs(n);
        (void)!open_add_close(id);
        hits = atomic_load(&fail_hits);
        fail_vfs(0);
        assert_int_equal(open_db(&v1, &r, &err), AM_OK);
        assert_int_equal(count_id(&r, "row", -1), count_id(&r, "twin", -1));
        am_records_close(&r);
    }
}

/* A failed sync is final for the handle; the store itself goes on after a restart. */
static void test_sync_is_final(void **state)
{
    (void)state;
    struct am_records r;
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    am_records_close(&r);
    failing_vfs_install();
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_int_equal(add_pair(&r, 1, &err), AM_OK);
    atomic_store(&fail_syncs_only, true);
    fail_vfs(1);
    assert_int_equal(add_pair(&r, 2, &err), AM_EIO);
    assert_int_equal(atomic_load(&fail_hits), 1);
    fail_vfs(0);
    atomic_store(&fail_syncs_only, false);
    assert_int_equal(add_pair(&r, 3, &err), AM_EIO); /* although the disk "works" again */
    assert_non_null(strstr(err.message, "read-only"));
    assert_int_equal(count_id(&r, "row", 1), 1); /* reads go on */
    am_records_close(&r);
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_int_equal(count_id(&r, "row", 1), 1);
    assert_int_equal(count_id(&r, "row", 3), 0);
    assert_int_equal(count_id(&r, "row", 2), count_id(&r, "twin", 2));
    assert_int_equal(add_pair(&r, 4, &err), AM_OK);
    am_records_close(&r);
}

/* ---- records: versions and damage ---- */

static enum am_rc count_backups(void *ctx, const char *name, struct am_err *e)
{
    (void)e;
    if (strncmp(name, "records-v1-", 11) == 0)
        (void)snprintf(ctx, 300, "%s/%s", dir, name);
    return AM_OK;
}

static void test_migration(void **state)
{
    (void)state;
    struct am_records r, old;
    char backup[300] = "";
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_int_equal(add_pair(&r, 7, &err), AM_OK);
    assert_int_equal(open_db(&v2, &old, &err),
                     AM_EBUSY); /* not while somebody works with the old one */
    am_records_close(&r);
    assert_int_equal(open_db(&v2, &r, &err), AM_OK);
    assert_int_equal(count_id(&r, "row", 7), 1);
    static const char *const columns[] = {"id", "note"};
    const struct am_value v[] = {am_v_int(8), am_v_text("new column")};
    const struct am_op ops[] = {
        {.kind = AM_OP_INSERT,
         .table = "row",
         .columns = columns,
         .n_columns = 2,
         .values = v,
         .n_rows = 1},
        {.kind = AM_OP_INSERT,
         .table = "extra",
         .columns = columns,
         .n_columns = 1,
         .values = v,
         .n_rows = 1},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 2};
    assert_int_equal(am_records_commit(&r, &txn, NULL, &err), AM_OK);
    am_records_close(&r);
    assert_int_equal(open_db(&v1, &r, &err), AM_EUNSUPPORTED); /* newer is refused */
    assert_null(r.impl);
    assert_non_null(strstr(err.message, "newer"));
    /* the backup is the old store */
    assert_int_equal(am_fs_list(dir, count_backups, backup, &err), AM_OK);
    assert_true(backup[0] != '\0');
    (void)snprintf(db, sizeof db, "%s", backup);
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    assert_int_equal(count_id(&r, "row", 7), 1);
    am_records_close(&r);
}

static void test_migration_faults(void **state)
{
    (void)state;
    struct am_records r;
    long hits = 1;
    failing_vfs_install();
    for (long n = 1; hits > 0; n++) {
        drop_dir(state);
        assert_int_equal(make_dir(state), 0);
        assert_int_equal(open_db(&v1, &r, &err), AM_OK);
        assert_int_equal(add_pair(&r, 7, &err), AM_OK);
        am_records_close(&r);
        fail_vfs(n);
        enum am_rc rc = open_db(&v2, &r, &err);
        hits = atomic_load(&fail_hits);
        fail_vfs(0);
        if (rc == AM_OK)
            am_records_close(&r);
        assert_int_equal(open_db(&v2, &r, &err), AM_OK);
        assert_int_equal(count_id(&r, "row", 7), 1);
        assert_int_equal(count_id(&r, "extra", -1), 0);
        am_records_close(&r);
    }
}

static void expect_corrupt(void)
{
    struct am_records r;
    assert_int_equal(open_db(&v1, &r, &err), AM_ECORRUPT);
    assert_null(r.ops);
}

static void test_damage(void **state)
{
    (void)state;
    struct am_records r;
    char wal[320];
    assert_int_equal(am_fs_write_file(db, "", 0, &err), AM_OK); /* empty: not silently made anew */
    expect_corrupt();
    char junk[8192];
    memset(junk, 'j', sizeof junk);
    assert_int_equal(am_fs_write_file(db, junk, sizeof junk, &err), AM_OK);
    expect_corrupt();
    assert_int_equal(unlink(db), 0);
    (void)snprintf(wal, sizeof wal, "%s-wal", db);
    assert_int_equal(am_fs_write_file(wal, junk, sizeof junk, &err),
                     AM_OK); /* the file is gone, its log not */
    expect_corrupt();
    assert_int_equal(unlink(wal), 0);
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    am_records_close(&r);
    sqlite3 *other = NULL; /* somebody else's SQLite file */
    assert_int_equal(unlink(db), 0);
    assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    expect_corrupt();
}

static void test_after_fork(void **state)
{
    (void)state;
    struct am_records r;
    int status = -1;
    assert_int_equal(open_db(&v1, &r, &err), AM_OK);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct am_snapshot s;
        bool good = add_pair(&r, 1, &err) == AM_EINTERNAL &&
                    am_records_snapshot(&r, &s, &err) == AM_EINTERNAL;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    am_records_close(&r);
}

static void test_remote_file_systems(void **state)
{
    (void)state;
    assert_string_equal(am_store_remote_fs_name(0x6969), "NFS");
    assert_string_equal(am_store_remote_fs_name(0xff534d42), "CIFS");
    assert_null(am_store_remote_fs_name(0xef53)); /* ext4 */
    assert_int_equal(am_store_local_fs(dir, &err), AM_OK);
    assert_int_equal(am_store_local_fs("/nonexistent", &err), AM_ENOTFOUND);
}

static void test_other_abi(void **state)
{
    (void)state;
    struct am_records_ops other = am_records_sqlite;
    struct am_blobs_ops another = am_blobs_files;
    struct am_records r;
    struct am_blobs b;
    struct am_records_config c = {.url = db, .project = "p", .schema = &v1};
    struct am_blobs_config d = {.url = dir, .project = "p"};
    other.abi++;
    another.size--;
    assert_int_equal(am_records_open(&other, &c, &r, &err), AM_EMISSING);
    assert_int_equal(am_blobs_open(&another, &d, &b, &err), AM_EMISSING);
    d.project = "../up";
    assert_int_equal(am_blobs_open(&am_blobs_files, &d, &b, &err), AM_EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_files_conform), T(test_sqlite_conforms), T(test_suites_notice),
        T(test_blob_damage),   T(test_blob_sweep),      T(test_blob_faults),
        T(test_blob_order),    T(test_kill_loop),       T(test_kill_keeps_all),
        T(test_two_processes), T(test_records_oom),     T(test_records_io),
        T(test_sync_is_final), T(test_migration),       T(test_migration_faults),
        T(test_damage),        T(test_after_fork),      T(test_remote_file_systems),
        T(test_other_abi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
