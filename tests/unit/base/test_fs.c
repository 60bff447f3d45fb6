/* Files: whole transfers, atomic writes under every failing call, listing, names given by users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "tests/support/faults.h"

static char dir[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/aimass-fs-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}
static int tear_down(void **state)
{
    (void)state;
    return am_fs_remove_tree(dir, NULL) == AM_OK && !am_fs_exists(dir) ? 0 : -1;
}

static const char *in_dir(const char *name)
{
    static char paths[4][PATH_MAX + 64];
    static unsigned at;
    char *p = paths[at++ % 4];
    (void)snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

struct names {
    char text[1000];
    size_t n;
};
static enum am_rc note(void *ctx, const char *name, struct am_err *err)
{
    (void)err;
    struct names *l = ctx;
    (void)snprintf(l->text + strlen(l->text), sizeof l->text - strlen(l->text), "%s ", name);
    l->n++;
    return AM_OK;
}
static size_t n_files(void)
{
    struct names l = {0};
    assert_int_equal(am_fs_list(dir, note, &l, NULL), AM_OK);
    return l.n;
}

static void assert_holds(const char *path, const char *text)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(am_fs_read_file(path, &b, NULL), AM_OK);
    assert_string_equal(am_buf_view(&b).ptr, text);
    assert_int_equal(b.len, strlen(text));
    am_buf_clear(&b);
}

static void files_come_back_whole(void **state)
{
    (void)state;
    struct am_buf b;
    struct am_err e;
    static char big[300000];
    memset(big, 'x', sizeof big);
    assert_int_equal(am_fs_write_file(in_dir("a"), big, sizeof big, &e), AM_OK);
    am_buf_init(&b, sizeof big);
    assert_int_equal(am_fs_read_file(in_dir("a"), &b, &e), AM_OK);
    assert_int_equal(b.len, sizeof big);
    assert_memory_equal(b.ptr, big, sizeof big);
    am_buf_clear(&b);
    am_buf_init(&b, sizeof big - 1);
    assert_int_equal(am_fs_read_file(in_dir("a"), &b, &e), AM_ELIMIT);
    am_buf_clear(&b);
    assert_int_equal(am_fs_write_file(in_dir("a"), "", 0, &e), AM_OK);
    assert_holds(in_dir("a"), "");
    assert_int_equal(am_fs_read_file(in_dir("none"), &b, &e), AM_ENOTFOUND);
    assert_non_null(strstr(e.message, "none"));
    assert_int_equal(am_fs_read_file(dir, &b, &e), AM_EIO);
    am_buf_clear(&b);
    am_buf_init(&b, 4); /* a file whose size is not known beforehand */
    assert_int_equal(am_fs_read_file("/proc/self/status", &b, &e), AM_ELIMIT);
    am_buf_clear(&b);
    assert_int_equal(n_files(), 1);
    assert_int_equal(am_fs_write_file(in_dir("no/such"), "x", 1, &e), AM_ENOTFOUND);
    struct stat st;
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

/* ---- calls that do half of what was asked ---- */

static int interrupts;
static ssize_t short_write(int fd, const void *p, size_t n)
{
    if (interrupts++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return write(fd, p, n > 3 ? 3 : n);
}
static ssize_t short_read(int fd, void *p, size_t n)
{
    if (interrupts++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return read(fd, p, n > 3 ? 3 : n);
}
static ssize_t short_pread(int fd, void *p, size_t n, off_t at)
{
    if (interrupts++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return pread(fd, p, n > 3 ? 3 : n, at);
}

static void short_transfers_are_completed(void **state)
{
    (void)state;
    struct am_fs_ops ops = *am_fs();
    ops.write = short_write;
    ops.read = short_read;
    ops.pread = short_pread;
    am_fs_set(&ops);
    assert_int_equal(am_fs_write_file(in_dir("a"), "hello world", 11, NULL), AM_OK);
    assert_holds(in_dir("a"), "hello world");
    int fd = am_fs()->open(in_dir("a"), O_RDONLY, 0);
    char out[8] = {0};
    assert_int_equal(am_fs_pread_all(fd, out, 7, 3, NULL), AM_OK);
    assert_string_equal(out, "lo worl");
    assert_int_equal(am_fs_pread_all(fd, out, 7, 6, NULL), AM_ECORRUPT);
    assert_int_equal(am_fs()->close(fd), 0);
    am_fs_set(NULL);
}

/* ---- every failing call ---- */

static bool old_or_new(const char *path)
{
    struct am_buf b;
    am_buf_init(&b, 1000);
    bool ok = am_fs_read_file(path, &b, NULL) == AM_OK &&
              (am_str_is(am_buf_view(&b), "old") || am_str_is(am_buf_view(&b), "new text"));
    am_buf_clear(&b);
    return ok;
}

static void a_write_is_all_or_nothing(void **state)
{
    (void)state;
    struct am_err e;
    const char *path = in_dir("state");
    assert_int_equal(am_fs_write_file(path, "old", 3, &e), AM_OK);
    AM_IO_LOOP(am_fs_write_file(path, "new text", 8, &e),
               assert_int_equal(am_fs_write_file(path, "old", 3, NULL), AM_OK), {
                   assert_true(old_or_new(path));
                   assert_int_equal(n_files(), 1); /* no temporary is left */
                   assert_true(e.rc == AM_EIO || e.rc == AM_ENOSPC);
                   assert_true(e.message[0] != 0);
                   assert_int_equal(am_fs_write_file(path, "old", 3, NULL), AM_OK);
               });
}

static void a_dead_disk_leaves_the_old_file(void **state)
{
    (void)state;
    const char *path = in_dir("state");
    assert_int_equal(am_fs_write_file(path, "old", 3, NULL), AM_OK);
    for (long n = 1; n <= 5; n++) { /* open, write, fsync, close, rename: dead from there on */
        am_fs_fail_nth(n, EIO, true);
        assert_int_equal(am_fs_write_file(path, "new text", 8, NULL), AM_EIO);
        am_fs_fail_nth(0, 0, false);
        assert_holds(path, "old");
    }
    for (long n = 1; n <= 5; n++) { /* one call fails: an fsync's error is final, too */
        am_fs_fail_nth(n, EIO, false);
        assert_int_equal(am_fs_write_file(path, "new text", 8, NULL), AM_EIO);
        am_fs_fail_nth(0, 0, false);
        assert_holds(path, "old");
    }
    am_fs_fail_nth(6, EIO,
                   true); /* the directory's sync: the new file is complete, the caller warned */
    assert_int_equal(am_fs_write_file(path, "new text", 8, NULL), AM_EIO);
    am_fs_fail_nth(0, 0, false);
    assert_holds(path, "new text");
}

static enum am_rc read_it(const char *path)
{
    struct am_buf b;
    struct am_err err;
    am_buf_init(&b, 1000);
    enum am_rc rc = am_fs_read_file(path, &b, &err);
    if (rc == AM_OK)
        assert_string_equal(b.ptr, "text");
    am_buf_clear(&b);
    return rc;
}

static enum am_rc list_it(void)
{
    struct names l = {0};
    struct am_err err;
    enum am_rc rc = am_fs_list(dir, note, &l, &err);
    assert_int_equal(l.n, rc == AM_OK ? 1 : 0);
    return rc;
}

static enum am_rc temp_it(void)
{
    char path[PATH_MAX];
    int fd;
    struct am_err err;
    AM_TRY(am_fs_temp(dir, "part", path, sizeof path, &fd, &err));
    (void)close(fd);
    return unlink(path) == 0 ? AM_OK : AM_EINTERNAL;
}

static void reading_calls_fail_cleanly(void **state)
{
    (void)state;
    const char *path = in_dir("a");
    assert_int_equal(am_fs_write_file(path, "text", 4, NULL), AM_OK);
    int done = 0;
    /* closing after reading may fail without harm: then the call must be complete */
    for (long n = 1; n < 10 && !done; n++) {
        am_fs_fail_nth(n, EIO, false);
        enum am_rc rc = read_it(path);
        done = am_fs_hook_hits() == 0;
        am_fs_fail_nth(0, 0, false);
        assert_true(rc == AM_OK || rc == AM_EIO);
    }
    assert_true(done);
    AM_OOM_LOOP(read_it(path), (void)0);
    AM_OOM_LOOP(list_it(), (void)0);
    AM_IO_LOOP(list_it(), (void)0, (void)0);
    AM_IO_LOOP(temp_it(), (void)0, assert_int_equal(n_files(), 1));
    AM_OOM_LOOP(am_fs_write_file(path, "text", 4, NULL), (void)0);
}

static void directories(void **state)
{
    (void)state;
    struct am_err e;
    const char *deep = in_dir("x//y/z/");
    AM_IO_LOOP(am_fs_mkdirs(deep, &e),
               assert_int_equal(am_fs_remove_tree(in_dir("x"), NULL), AM_OK),
               assert_true(e.rc == AM_EIO || e.rc == AM_ENOSPC));
    assert_int_equal(am_fs_mkdirs(in_dir("x/y/z"), &e), AM_OK);
    assert_int_equal(am_fs_mkdirs(in_dir("x/y/z"), &e), AM_OK);
    assert_int_equal(am_fs_write_file(in_dir("x/f"), "1", 1, &e), AM_OK);
    assert_int_equal(am_fs_mkdirs(in_dir("x/f"), &e), AM_EEXIST);
    assert_int_not_equal(am_fs_mkdirs(in_dir("x/f/g"), &e), AM_OK);
    assert_int_equal(am_fs_mkdirs("", &e), AM_EINVAL);
    assert_int_equal(am_fs_sync_dir(in_dir("none"), &e), AM_ENOTFOUND);
    /* a link is removed, not followed */
    assert_int_equal(am_fs_mkdirs(in_dir("keep"), &e), AM_OK);
    assert_int_equal(am_fs_write_file(in_dir("keep/f"), "1", 1, &e), AM_OK);
    assert_int_equal(symlink(in_dir("keep"), in_dir("x/link")), 0);
    for (long n = 1; n < 20; n++) {
        am_fs_fail_nth(n, EIO, false);
        enum am_rc rc = am_fs_remove_tree(in_dir("x"), &e);
        am_fs_fail_nth(0, 0, false);
        assert_int_equal(rc == AM_OK, !am_fs_exists(in_dir("x")));
        if (rc == AM_OK)
            break;
    }
    assert_false(am_fs_exists(in_dir("x")));
    assert_holds(in_dir("keep/f"), "1");
    assert_int_equal(am_fs_remove_tree(in_dir("x"), &e), AM_OK); /* nothing there */
    assert_int_equal(am_fs_remove_tree(in_dir("keep/f"), &e), AM_OK);
    assert_false(am_fs_exists(in_dir("keep/f")));
}

static enum am_rc stop_at_b(void *ctx, const char *name, struct am_err *err)
{
    (void)note(ctx, name, err);
    return strcmp(name, "b") == 0 ? am_fail(err, AM_ECANCELED, "stop") : AM_OK;
}

static void lists_are_sorted_by_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a", "B", ".h", "\xC3\xA9"};
    struct am_err e;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(am_fs_write_file(in_dir(names[i]), "", 0, &e), AM_OK);
    struct names l = {0};
    assert_int_equal(am_fs_list(dir, note, &l, &e), AM_OK);
    assert_string_equal(l.text, ".h B a b \xC3\xA9 ");
    memset(&l, 0, sizeof l);
    assert_int_equal(am_fs_list(dir, stop_at_b, &l, &e), AM_ECANCELED);
    assert_string_equal(l.text, ".h B a b ");
    assert_int_equal(am_fs_list(in_dir("none"), note, &l, &e), AM_ENOTFOUND);
}

static void temporaries_have_names_of_their_own(void **state)
{
    (void)state;
    char a[PATH_MAX], b[PATH_MAX], tiny[10];
    int fa, fb;
    assert_int_equal(am_fs_temp(dir, "p", a, sizeof a, &fa, NULL), AM_OK);
    assert_int_equal(am_fs_temp(dir, "p", b, sizeof b, &fb, NULL), AM_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(am_fs_write_all(fa, "hello", 5, NULL), AM_OK);
    (void)close(fa);
    (void)close(fb);
    assert_int_equal(am_fs_publish(a, b, NULL), AM_OK);
    assert_holds(b, "hello");
    assert_false(am_fs_exists(a));
    assert_int_equal(am_fs_publish(b, in_dir("no/such"), NULL), AM_ENOTFOUND);
    assert_false(am_fs_exists(b)); /* a failed publish removes the temporary */
    assert_int_equal(am_fs_temp(dir, "p", tiny, sizeof tiny, &fa, NULL), AM_EINVAL);
    assert_int_equal(am_fs_temp(in_dir("none"), "p", a, sizeof a, &fa, NULL), AM_ENOTFOUND);
}

/* Both ways of opening: the kernel's, and ours for kernels that lack it. */
static enum am_rc open_user(int way, int d, const char *name, int flags, struct am_err *err)
{
    int fd = -1;
    if (way == 1)
        am_fs_fail_nth(1, ENOSYS, false);
    enum am_rc rc = am_fs_open_beneath(d, name, flags, 0600, &fd, err);
    am_fs_fail_nth(0, 0, false);
    if (rc == AM_OK)
        (void)close(fd);
    else
        assert_int_equal(fd, -1);
    return rc;
}

static void users_names_stay_inside(void **state)
{
    (void)state;
    struct am_err e;
    int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(am_fs_mkdirs(in_dir("sub"), &e), AM_OK);
    assert_int_equal(am_fs_write_file(in_dir("sub/f"), "text", 4, &e), AM_OK);
    assert_int_equal(symlink("g", in_dir("link")), 0);
    assert_int_equal(symlink("sub", in_dir("dlink")), 0);
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    for (int way = 0; way < 2; way++) {
        assert_int_equal(am_fs_write_file(in_dir("g"), "text", 4, &e), AM_OK);
        assert_int_equal(open_user(way, d, "sub/f", O_RDONLY, &e), AM_OK);
        assert_int_equal(open_user(way, d, "new", O_RDWR | O_CREAT, &e), AM_OK);
        assert_int_equal(open_user(way, d, "none", O_RDONLY, &e), AM_ENOTFOUND);
        assert_int_equal(open_user(way, d, "/etc/passwd", O_RDONLY, &e), AM_EPERM);
        assert_int_equal(open_user(way, d, "../x", O_RDONLY, &e), AM_EPERM);
        assert_int_equal(open_user(way, d, "sub/../../x", O_RDONLY, &e), AM_EPERM);
        assert_int_equal(open_user(way, d, "link", O_RDONLY, &e), AM_EPERM);
        assert_int_equal(open_user(way, d, "dlink/f", O_RDONLY, &e), AM_EPERM);
        assert_int_equal(open_user(way, d, "sub", O_RDONLY, &e), AM_EPERM);
        assert_int_equal(open_user(way, d, "pipe", O_RDONLY, &e), AM_EPERM); /* and does not hang */
        assert_int_not_equal(open_user(way, d, "", O_RDONLY, &e), AM_OK);
        /* truncation waits for the checks: the second name's file keeps its bytes */
        assert_int_equal(link(in_dir("g"), in_dir("hard")), 0);
        assert_int_equal(open_user(way, d, "hard", O_WRONLY | O_TRUNC, &e), AM_EPERM);
        assert_holds(in_dir("g"), "text");
        assert_int_equal(unlink(in_dir("hard")), 0);
        assert_int_equal(open_user(way, d, "g", O_WRONLY | O_TRUNC, &e), AM_OK);
        assert_holds(in_dir("g"), "");
    }
    int fd = -1;
    AM_IO_LOOP(am_fs_open_beneath(d, "g", O_WRONLY | O_TRUNC, 0, &fd, &e), (void)close(fd),
               (void)0);
    (void)close(d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(files_come_back_whole),      T(short_transfers_are_completed),
        T(a_write_is_all_or_nothing),  T(a_dead_disk_leaves_the_old_file),
        T(reading_calls_fail_cleanly), T(directories),
        T(lists_are_sorted_by_bytes),  T(temporaries_have_names_of_their_own),
        T(users_names_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
