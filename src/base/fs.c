/* Files: the real table, the faulty one for tests, and whole-file operations over whichever is set. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/vec.h"

static int real_open(const char *path, int flags, mode_t mode) { return open(path, flags | O_CLOEXEC, mode); }
static int real_mkdir(const char *path, mode_t mode) { return mkdir(path, mode); }

static const struct am_fs_ops real = {real_open, read,   pread, write,  pwrite,     fsync,
                                      close,     rename, link,  unlink, real_mkdir, ftruncate};

/* ---- the faulty table ---- */

static atomic_long countdown, hits;
static atomic_int fault_errno;
static atomic_bool fault_forever;

static bool faulty(void)
{
    long left = atomic_load(&countdown);
    if (left == 0)
        return false;
    left = atomic_fetch_sub(&countdown, 1);
    if (left != 1 && !(left < 1 && atomic_load(&fault_forever)))
        return false;
    atomic_fetch_add(&hits, 1);
    if (!atomic_load(&fault_forever))
        atomic_store(&countdown, 0);
    errno = atomic_load(&fault_errno);
    return true;
}

static int f_open(const char *path, int flags, mode_t mode) { return faulty() ? -1 : real.open(path, flags, mode); }
static ssize_t f_read(int fd, void *p, size_t n) { return faulty() ? -1 : real.read(fd, p, n); }
static ssize_t f_pread(int fd, void *p, size_t n, off_t at) { return faulty() ? -1 : real.pread(fd, p, n, at); }
static ssize_t f_write(int fd, const void *p, size_t n) { return faulty() ? -1 : real.write(fd, p, n); }
static ssize_t f_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return faulty() ? -1 : real.pwrite(fd, p, n, at);
}
static int f_fsync(int fd) { return faulty() ? -1 : real.fsync(fd); }
static int f_close(int fd) { return real.close(fd); } /* a close is not a place to lose a descriptor */
static int f_rename(const char *a, const char *b) { return faulty() ? -1 : real.rename(a, b); }
static int f_link(const char *a, const char *b) { return faulty() ? -1 : real.link(a, b); }
static int f_unlink(const char *p) { return real.unlink(p); } /* clean-up after a fault must work */
static int f_mkdir(const char *p, mode_t m) { return faulty() ? -1 : real.mkdir(p, m); }
static int f_ftruncate(int fd, off_t n) { return faulty() ? -1 : real.ftruncate(fd, n); }

static const struct am_fs_ops faulty_ops = {f_open,  f_read,   f_pread, f_write,  f_pwrite, f_fsync,
                                            f_close, f_rename, f_link,  f_unlink, f_mkdir,  f_ftruncate};

static _Atomic(const struct am_fs_ops *) current = &real;

const struct am_fs_ops *am_fs(void) { return atomic_load_explicit(&current, memory_order_relaxed); }
void am_fs_set(const struct am_fs_ops *ops) { atomic_store(&current, ops ? ops : &real); }

void am_fs_fail_nth(long n, int errnum, bool forever)
{
    atomic_store(&hits, 0);
    atomic_store(&fault_errno, errnum);
    atomic_store(&fault_forever, forever);
    atomic_store(&countdown, n);
    am_fs_set(n ? &faulty_ops : NULL);
}

long am_fs_hook_hits(void) { return atomic_load(&hits); }

/* ---- whole-file operations ---- */

enum am_rc am_fs_write_all(int fd, const void *p, size_t n, struct am_err *err)
{
    const char *at = p;
    while (n) {
        ssize_t k = am_fs()->write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return am_fail_errno(err, k < 0 ? errno : EIO, "cannot write %zu bytes", n);
        at += k;
        n -= (size_t)k;
    }
    return AM_OK;
}

enum am_rc am_fs_pread_all(int fd, void *p, size_t n, off_t at, struct am_err *err)
{
    char *to = p;
    while (n) {
        ssize_t k = am_fs()->pread(fd, to, n, at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return am_fail_errno(err, errno, "cannot read %zu bytes", n);
        if (k == 0)
            return am_fail(err, AM_ECORRUPT, "file ends %zu bytes too early", n);
        to += k;
        at += k;
        n -= (size_t)k;
    }
    return AM_OK;
}

enum am_rc am_fs_read_file(const char *path, struct am_buf *buf, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    am_buf_reset(buf);
    int fd = am_fs()->open(path, O_RDONLY, 0);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open \"%s\"", path);
    for (;;) {
        size_t room = buf->max - buf->len < 65536 ? buf->max - buf->len + 1 : 65536;
        char tmp[65536];
        ssize_t k = am_fs()->read(fd, tmp, room > sizeof tmp ? sizeof tmp : room);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            AM_GO(rc, am_fail_errno(err, errno, "cannot read \"%s\"", path));
        if (k == 0)
            break;
        am_buf_add(buf, tmp, (size_t)k);
        if (buf->failed == AM_ELIMIT)
            AM_GO(rc, am_fail(err, AM_ELIMIT, "\"%s\" has more than %zu bytes", path, buf->max));
        AM_GO(rc, am_buf_check(buf, err));
    }
    rc = am_buf_check(buf, err);
out:
    am_fs()->close(fd);
    return rc;
}

static void folder_of(const char *path, char *out, size_t cap)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (slash == path ? 1 : (size_t)(slash - path)) : 1;
    snprintf(out, cap, "%.*s", (int)n, slash ? path : ".");
}

enum am_rc am_fs_sync_dir(const char *dir, struct am_err *err)
{
    int fd = am_fs()->open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open folder \"%s\"", dir);
    enum am_rc rc = am_fs()->fsync(fd) < 0 ? am_fail_errno(err, errno, "cannot sync folder \"%s\"", dir) : AM_OK;
    am_fs()->close(fd);
    return rc;
}

enum am_rc am_fs_publish(const char *tmp, const char *path, struct am_err *err)
{
    char dir[4096];
    folder_of(path, dir, sizeof dir);
    if (am_fs()->rename(tmp, path) < 0)
        return am_fail_errno(err, errno, "cannot rename \"%s\" to \"%s\"", tmp, path);
    return am_fs_sync_dir(dir, err);
}

enum am_rc am_fs_temp(const char *dir, const char *prefix, char *path_out, size_t path_cap, int *fd_out,
                      struct am_err *err)
{
    for (int tries = 0; tries < 100; tries++) {
        uint64_t r;
        if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
            return am_fail_errno(err, errno, "cannot draw a random name");
        int n = snprintf(path_out, path_cap, "%s/%s.%016llx", dir, prefix, (unsigned long long)r);
        if (n < 0 || (size_t)n >= path_cap)
            return am_fail(err, AM_ELIMIT, "path \"%s\" is too long", dir);
        int fd = am_fs()->open(path_out, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd >= 0) {
            *fd_out = fd;
            return AM_OK;
        }
        if (errno != EEXIST)
            return am_fail_errno(err, errno, "cannot make a file in \"%s\"", dir);
    }
    return am_fail(err, AM_EIO, "cannot find a free name in \"%s\"", dir);
}

enum am_rc am_fs_write_file(const char *path, const void *p, size_t n, struct am_err *err)
{
    char dir[4096], tmp[4200];
    enum am_rc rc;
    int fd = -1;
    folder_of(path, dir, sizeof dir);
    AM_TRY(am_fs_temp(dir, ".tmp", tmp, sizeof tmp, &fd, err));
    AM_GO(rc, am_fs_write_all(fd, p, n, err));
    if (am_fs()->fsync(fd) < 0) /* final: never tried again */
        AM_GO(rc, am_fail_errno(err, errno, "cannot sync \"%s\"", tmp));
    rc = am_fs_publish(tmp, path, err);
out:
    am_fs()->close(fd);
    if (rc != AM_OK) {
        am_fs()->unlink(tmp);
        am_context(err, "cannot write \"%s\"", path);
    }
    return rc;
}

enum am_rc am_fs_mkdirs(const char *path, struct am_err *err)
{
    char at[4096];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof at)
        return am_fail(err, AM_EINVAL, "\"%s\" is no usable path", path);
    memcpy(at, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        struct stat st;
        if (at[i] != '/' && at[i] != 0)
            continue;
        char keep = at[i];
        at[i] = 0;
        if (am_fs()->mkdir(at, 0700) < 0) {
            int e = errno;
            if (e != EEXIST)
                return am_fail_errno(err, e, "cannot make folder \"%s\"", at);
            if (stat(at, &st) != 0 || !S_ISDIR(st.st_mode))
                return am_fail(err, AM_EEXIST, "\"%s\" is not a folder", at);
        }
        at[i] = keep;
    }
    return AM_OK;
}

bool am_fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* Depth first with an explicit list of folders: no recursion on what lies on a disk. */
enum am_rc am_fs_remove_tree(const char *path, struct am_err *err)
{
    AM_VEC(char *) todo = {0};
    enum am_rc rc = AM_OK;
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? AM_OK : am_fail_errno(err, errno, "cannot look at \"%s\"", path);
    if (!S_ISDIR(st.st_mode))
        return am_fs()->unlink(path) < 0 ? am_fail_errno(err, errno, "cannot remove \"%s\"", path) : AM_OK;
    char *root = am_strndup(path, strlen(path));
    if (!root || !am_vec_push(&todo, root)) {
        am_free(root);
        return am_fail_nomem(err, strlen(path));
    }
    while (todo.len && rc == AM_OK) {
        char *dir = todo.ptr[todo.len - 1];
        size_t before = todo.len;
        DIR *d = opendir(dir);
        struct dirent *e;
        if (!d)
            AM_GO(rc, am_fail_errno(err, errno, "cannot open folder \"%s\"", dir));
        while (rc == AM_OK && (e = readdir(d))) {
            char child[4352];
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                continue;
            snprintf(child, sizeof child, "%s/%s", dir, e->d_name);
            if (lstat(child, &st) != 0)
                continue;
            if (!S_ISDIR(st.st_mode)) {
                if (am_fs()->unlink(child) < 0)
                    rc = am_fail_errno(err, errno, "cannot remove \"%s\"", child);
                continue;
            }
            char *copy = am_strndup(child, strlen(child));
            if (!copy || !am_vec_push(&todo, copy)) {
                am_free(copy);
                rc = am_fail_nomem(err, strlen(child));
            }
        }
        closedir(d);
        if (rc == AM_OK && todo.len == before) {
            if (rmdir(dir) != 0)
                rc = am_fail_errno(err, errno, "cannot remove folder \"%s\"", dir);
            am_free(todo.ptr[--todo.len]);
        }
    }
out:
    while (todo.len)
        am_free(todo.ptr[--todo.len]);
    am_vec_clear(&todo);
    return rc;
}

static int by_name(const void *x, const void *y) { return strcmp(*(char *const *)x, *(char *const *)y); }

enum am_rc am_fs_list(const char *dir, enum am_rc (*each)(void *ctx, const char *name, struct am_err *err),
                      void *ctx, struct am_err *err)
{
    AM_VEC(char *) names = {0};
    enum am_rc rc = AM_OK;
    struct dirent *e;
    DIR *d = opendir(dir);
    if (!d)
        return am_fail_errno(err, errno, "cannot open folder \"%s\"", dir);
    while (rc == AM_OK && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *copy = am_strndup(e->d_name, strlen(e->d_name));
        if (!copy || !am_vec_push(&names, copy)) {
            am_free(copy);
            rc = am_fail_nomem(err, 256);
        }
    }
    closedir(d);
    if (names.len)
        qsort(names.ptr, names.len, sizeof *names.ptr, by_name);
    for (size_t i = 0; i < names.len && rc == AM_OK; i++)
        rc = each(ctx, names.ptr[i], err);
    while (names.len)
        am_free(names.ptr[--names.len]);
    am_vec_clear(&names);
    return rc;
}

enum am_rc am_fs_open_beneath(int dir_fd, const char *name, int flags, mode_t mode, int *fd_out,
                              struct am_err *err)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .mode = flags & O_CREAT ? (unsigned)mode : 0u,
                           .resolve = (unsigned)(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)};
    struct stat st;
    int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open \"%s\"", name);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        close(fd);
        return am_fail(err, AM_EPERM, "\"%s\" is not a plain file with one name", name);
    }
    *fd_out = fd;
    return AM_OK;
}
