/* Files behind the function table, the fault hook, and the whole-file operations.
 *
 * Every call that reads or changes a file goes through hooked(), which is where tests fail the n-th
 * one. On a failure before the rename the temporary is removed; after it the new file is complete.
 * Any thread; the table is replaced only while nothing else runs. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/vec.h"

/* ---- the real table ---- */

static int real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
}

static const struct am_fs_ops real_ops = {
    .open = real_open,
    .read = read,
    .pread = pread,
    .write = write,
    .pwrite = pwrite,
    .fsync = fsync,
    .close = close,
    .rename = rename,
    .link = link,
    .unlink = unlink,
    .mkdir = mkdir,
    .ftruncate = ftruncate,
};
static const struct am_fs_ops *_Atomic base_ops = &real_ops;

static const struct am_fs_ops *base(void)
{
    return atomic_load(&base_ops);
}

/* ---- the fault table: the same calls, the n-th of which fails ---- */

static struct am_fault faults;
static atomic_int errnum_given;

void am_fs_fail_nth(long n, int errnum, bool forever)
{
    am_fault_arm(&faults, 0, false);
    atomic_store(&errnum_given, errnum);
    am_fault_arm(&faults, n, forever);
}

long am_fs_hook_hits(void)
{
    return am_fault_tripped(&faults);
}

long am_fs_hook_calls(void)
{
    return am_fault_calls(&faults);
}

static bool hook_fails(void)
{
    if (!am_fault_trips(&faults))
        return false;
    errno = atomic_load(&errnum_given);
    return true;
}

static int hooked_open(const char *path, int flags, mode_t mode)
{
    return hook_fails() ? -1 : base()->open(path, flags, mode);
}
static ssize_t hooked_read(int fd, void *buf, size_t n)
{
    return hook_fails() ? -1 : base()->read(fd, buf, n);
}
static ssize_t hooked_pread(int fd, void *buf, size_t n, off_t at)
{
    return hook_fails() ? -1 : base()->pread(fd, buf, n, at);
}
static ssize_t hooked_write(int fd, const void *buf, size_t n)
{
    return hook_fails() ? -1 : base()->write(fd, buf, n);
}
static ssize_t hooked_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return hook_fails() ? -1 : base()->pwrite(fd, buf, n, at);
}
static int hooked_fsync(int fd)
{
    return hook_fails() ? -1 : base()->fsync(fd);
}
static int
hooked_close(int fd) /* like the real one, it lets go of the descriptor even when it fails */
{
    bool fails = hook_fails();
    int e = errno, rc = base()->close(fd);
    if (!fails)
        return rc;
    errno = e;
    return -1;
}
static int hooked_rename(const char *from, const char *to)
{
    return hook_fails() ? -1 : base()->rename(from, to);
}
static int hooked_link(const char *from, const char *to)
{
    return hook_fails() ? -1 : base()->link(from, to);
}
static int hooked_unlink(const char *path)
{
    return hook_fails() ? -1 : base()->unlink(path);
}
static int hooked_mkdir(const char *path, mode_t mode)
{
    return hook_fails() ? -1 : base()->mkdir(path, mode);
}
static int hooked_ftruncate(int fd, off_t size)
{
    return hook_fails() ? -1 : base()->ftruncate(fd, size);
}

static const struct am_fs_ops hooked_ops = {
    .open = hooked_open,
    .read = hooked_read,
    .pread = hooked_pread,
    .write = hooked_write,
    .pwrite = hooked_pwrite,
    .fsync = hooked_fsync,
    .close = hooked_close,
    .rename = hooked_rename,
    .link = hooked_link,
    .unlink = hooked_unlink,
    .mkdir = hooked_mkdir,
    .ftruncate = hooked_ftruncate,
};

const struct am_fs_ops *am_fs(void)
{
    return am_fault_is_armed(&faults) ? &hooked_ops : base();
}

void am_fs_set(const struct am_fs_ops *ops)
{
    atomic_store(&base_ops, ops ? ops : &real_ops);
}

/* ---- whole transfers ---- */

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
            return am_fail_errno(err, errno, "cannot read %zu bytes at %lld", n, (long long)at);
        if (k == 0)
            return am_fail(err, AM_ECORRUPT, "the file ends %zu bytes early at %lld", n,
                           (long long)at);
        to += k;
        at += k;
        n -= (size_t)k;
    }
    return AM_OK;
}

/* Reads to the end of the file. */
static enum am_rc read_rest(int fd, const char *path, struct am_buf *buf, struct am_err *err)
{
    for (;;) {
        size_t room = buf->max - buf->len < 65536 ? buf->max - buf->len : 65536;
        char over = 0, *to = room ? am_buf_reserve(buf, room) : &over;
        if (!to)
            return am_buf_check(buf, err);
        ssize_t k = am_fs()->read(fd, to, room ? room : 1);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return am_fail_errno(err, errno, "cannot read \"%s\"", path);
        if (k == 0)
            return AM_OK;
        if (!room)
            return am_fail(err, AM_ELIMIT, "\"%s\" is over the limit of %zu bytes", path, buf->max);
        am_buf_commit(buf, (size_t)k);
    }
}

enum am_rc am_fs_read_file(const char *path, struct am_buf *buf, struct am_err *err)
{
    am_buf_reset(buf);
    int fd = am_fs()->open(path, O_RDONLY, 0);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open \"%s\"", path);
    struct stat st;
    enum am_rc rc = AM_OK;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        if ((uint64_t)st.st_size > buf->max)
            rc = am_fail(err, AM_ELIMIT, "\"%s\" has %lld bytes, over the limit of %zu", path,
                         (long long)st.st_size, buf->max);
        else
            (void)am_buf_reserve(buf, (size_t)st.st_size); /* a failure sticks */
    }
    if (rc == AM_OK)
        rc = am_buf_check(buf, err);
    if (rc == AM_OK)
        rc = read_rest(fd, path, buf, err);
    (void)am_fs()->close(fd); /* nothing was written */
    return rc;
}

/* ---- storing ---- */

enum am_rc am_fs_sync_dir(const char *dir, struct am_err *err)
{
    int fd = am_fs()->open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open directory \"%s\"", dir);
    int e = am_fs()->fsync(fd) == 0 ? 0 : errno;
    (void)am_fs()->close(fd); /* read only */
    return e ? am_fail_errno(err, e, "cannot sync directory \"%s\"", dir) : AM_OK;
}

/* The directory part of path into dir[PATH_MAX]; "." when it has none. */
static enum am_rc parent_of(const char *path, char dir[PATH_MAX], struct am_err *err)
{
    size_t n = strlen(path);
    if (n >= PATH_MAX)
        return am_fail(err, AM_EINVAL, "a path of %zu bytes is too long", n);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0) {
        memcpy(dir, ".", 2);
        return AM_OK;
    }
    memcpy(dir, path, n);
    dir[n] = '\0';
    return AM_OK;
}

enum am_rc am_fs_publish(const char *tmp, const char *path, struct am_err *err)
{
    char dir[PATH_MAX];
    enum am_rc rc = parent_of(path, dir, err);
    if (rc == AM_OK && am_fs()->rename(tmp, path) != 0)
        rc = am_fail_errno(err, errno, "cannot rename \"%s\" to \"%s\"", tmp, path);
    if (rc != AM_OK) {
        (void)am_fs()->unlink(tmp);
        return rc;
    }
    return am_fs_sync_dir(dir, err);
}

/* Writes, syncs and closes fd in any case. */
static enum am_rc fill_and_close(int fd, const void *p, size_t n, const char *path,
                                 struct am_err *err)
{
    enum am_rc rc = am_fs_write_all(fd, p, n, err);
    if (rc != AM_OK)
        am_context(err, "cannot store \"%s\"", path);
    else if (am_fs()->fsync(fd) != 0)
        rc = am_fail_errno(err, errno, "cannot sync \"%s\"", path);
    if (am_fs()->close(fd) != 0 && rc == AM_OK)
        rc = am_fail_errno(err, errno, "cannot close \"%s\"", path);
    return rc;
}

enum am_rc am_fs_write_file(const char *path, const void *p, size_t n, struct am_err *err)
{
    char dir[PATH_MAX], tmp[PATH_MAX];
    int fd;
    AM_TRY(parent_of(path, dir, err));
    AM_TRY(am_fs_temp(dir, ".tmp", tmp, sizeof tmp, &fd, err));
    enum am_rc rc = fill_and_close(fd, p, n, path, err);
    if (rc != AM_OK) {
        (void)am_fs()->unlink(tmp);
        return rc;
    }
    return am_fs_publish(tmp, path, err);
}

enum am_rc am_fs_temp(const char *dir, const char *prefix, char *path_out, size_t path_cap,
                      int *fd_out, struct am_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (int tries = 0; tries < 100; tries++) {
        unsigned char r[6];
        char tail[7];
        if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
            return am_fail_errno(err, errno, "cannot get random bytes");
        for (int i = 0; i < 6; i++)
            tail[i] = letters[r[i] % 36];
        tail[6] = '\0';
        int n = snprintf(path_out, path_cap, "%s/%s.%s", dir, prefix, tail);
        if (n < 0 || (size_t)n >= path_cap)
            return am_fail(err, AM_EINVAL, "the path of a temporary file in \"%s\" is too long",
                           dir);
        int fd = am_fs()->open(path_out, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
        if (fd >= 0) {
            *fd_out = fd;
            return AM_OK;
        }
        if (errno != EEXIST)
            return am_fail_errno(err, errno, "cannot create a temporary file in \"%s\"", dir);
    }
    return am_fail(err, AM_EIO, "no free name for a temporary file in \"%s\"", dir);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum am_rc make_dir(const char *path, struct am_err *err)
{
    char dir[PATH_MAX];
    if (am_fs()->mkdir(path, 0777) != 0) {
        int e = errno;
        if (e == EEXIST && is_dir(path))
            return AM_OK;
        if (e == EEXIST)
            return am_fail(err, AM_EEXIST, "\"%s\" is not a directory", path);
        return am_fail_errno(err, e, "cannot make directory \"%s\"", path);
    }
    AM_TRY(parent_of(path, dir, err));
    return am_fs_sync_dir(dir, err);
}

enum am_rc am_fs_mkdirs(const char *path, struct am_err *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= PATH_MAX)
        return am_fail(err, AM_EINVAL, "a directory's path of %zu bytes is not possible", n);
    for (size_t i = 1; i <= n; i++) {
        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (!is_dir(part))
            AM_TRY(make_dir(part, err));
    }
    return AM_OK;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    if (kind == FTW_DP || kind == FTW_D || kind == FTW_DNR)
        return hook_fails() ? -1 : rmdir(path);
    return am_fs()->unlink(path);
}

enum am_rc am_fs_remove_tree(const char *path, struct am_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT)
        return AM_OK;
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0)
        return am_fail_errno(err, errno, "cannot remove \"%s\"", path);
    return AM_OK;
}

bool am_fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* ---- listing ---- */

static int by_bytes(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

enum am_rc am_fs_list(const char *dir,
                      enum am_rc (*each)(void *ctx, const char *name, struct am_err *err),
                      void *ctx, struct am_err *err)
{
    DIR *d = hook_fails() ? NULL : opendir(dir);
    if (!d)
        return am_fail_errno(err, errno, "cannot list \"%s\"", dir);
    AM_VEC(char *) names = {0};
    enum am_rc rc = AM_OK;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            if (errno)
                rc = am_fail_errno(err, errno, "cannot list \"%s\"", dir);
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *copy = am_strndup(e->d_name, strlen(e->d_name));
        if (!copy || !am_vec_push(&names, copy)) {
            am_free(copy);
            rc = am_fail_nomem(err, strlen(e->d_name) + 1);
            break;
        }
    }
    (void)closedir(d);
    if (rc == AM_OK && names.len)
        qsort(names.ptr, names.len, sizeof *names.ptr, by_bytes);
    for (size_t i = 0; i < names.len; i++) {
        if (rc == AM_OK)
            rc = each(ctx, names.ptr[i], err);
        am_free(names.ptr[i]);
    }
    am_vec_clear(&names);
    return rc;
}

/* ---- names that users gave ---- */

/* The same promise on kernels without openat2 (before 5.6, and some sandboxes): one component at a
 * time, no "..", no link. */
static int open_by_steps(int dir_fd, const char *name, int flags, mode_t mode)
{
    int at = dir_fd;
    for (;;) {
        char part[NAME_MAX + 1];
        size_t n = strcspn(name, "/");
        if (n == 0 || n > NAME_MAX || (n == 2 && name[0] == '.' && name[1] == '.')) {
            if (at != dir_fd)
                (void)close(at);
            errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
            return -1;
        }
        memcpy(part, name, n);
        part[n] = '\0';
        bool last = name[n] == '\0';
        int next = last ? openat(at, part, flags | O_NOFOLLOW, mode)
                        : openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int e = next < 0 && !last && errno == ENOTDIR ? ELOOP : errno;
        if (at != dir_fd)
            (void)close(at);
        errno = e;
        if (next < 0 || last)
            return next;
        at = next;
        name += n + 1;
    }
}

static int open_contained(int dir_fd, const char *name, int flags, mode_t mode)
{
    bool fault = hook_fails();
    if (fault && errno != ENOSYS) /* tests get the second way with ENOSYS */
        return -1;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    while (!fault) {
        fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    if (fd < 0 && errno == ENOSYS)
        return open_by_steps(dir_fd, name, flags, mode);
    return (int)fd;
}

enum am_rc am_fs_open_beneath(int dir_fd, const char *name, int flags, mode_t mode, int *fd_out,
                              struct am_err *err)
{
    /* O_NONBLOCK: a pipe must not hang us. Truncation waits until the file is known to be ours. */
    int how = (flags & ~O_TRUNC) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open_contained(dir_fd, name, how, mode);
    if (fd < 0 && (errno == ELOOP || errno == EXDEV))
        return am_fail(err, AM_EPERM, "\"%s\" leads out of its directory or through a link", name);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open \"%s\"", name);
    struct stat st;
    enum am_rc rc = AM_OK;
    if (fstat(fd, &st) != 0)
        rc = am_fail_errno(err, errno, "cannot look at \"%s\"", name);
    else if (!S_ISREG(st.st_mode))
        rc = am_fail(err, AM_EPERM, "\"%s\" is not a regular file", name);
    else if (st.st_nlink != 1)
        rc = am_fail(err, AM_EPERM, "\"%s\" has %llu links, only one is allowed", name,
                     (unsigned long long)st.st_nlink);
    else if ((flags & O_TRUNC) && am_fs()->ftruncate(fd, 0) != 0)
        rc = am_fail_errno(err, errno, "cannot empty \"%s\"", name);
    if (rc != AM_OK) {
        (void)am_fs()->close(fd);
        return rc;
    }
    *fd_out = fd;
    return AM_OK;
}
