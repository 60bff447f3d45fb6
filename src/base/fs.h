/* Files behind a function table (so that tests fail the n-th call and replay a crash at any write),
 * and the few whole-file operations that the product needs.
 *
 * Atomic durable write = temporary file in the same directory, write, fsync, rename, fsync
 * directory; an fsync error is final. Paths are NUL-terminated C strings from trusted code:
 * user-named things go through am_fs_open_beneath. Any thread. */
#ifndef AM_BASE_FS_H
#define AM_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/str.h"

struct stat;

struct am_fs_ops { /* the errno contract of POSIX; -1 and errno on failure */
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *buf, size_t n);
    ssize_t (*pread)(int fd, void *buf, size_t n, off_t at);
    ssize_t (*write)(int fd, const void *buf, size_t n);
    ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t at);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*link)(const char *from, const char *to); /* for "create if absent" publishes */
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*ftruncate)(int fd, off_t size);
};

const struct am_fs_ops *am_fs(void);
void am_fs_set(const struct am_fs_ops *ops); /* tests; NULL restores the real one */
/* Built-in fault table: the n-th call from now that changes or reads (1 = next) fails with errnum,
 * once or for ever; n = 0 switches off. */
void am_fs_fail_nth(long n, int errnum, bool forever);
long am_fs_hook_hits(void);  /* failures given out, and */
long am_fs_hook_calls(void); /* calls made, since it was last switched on (fault.h) */

enum am_rc am_fs_write_all(int fd, const void *p, size_t n, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_fs_pread_all(int fd, void *p, size_t n, off_t at, struct am_err *err) AM_MUST_CHECK;
/* Whole file into buf (emptied first); AM_ELIMIT over buf->max, AM_ENOTFOUND. */
enum am_rc am_fs_read_file(const char *path, struct am_buf *buf, struct am_err *err) AM_MUST_CHECK;
/* Atomic and durable; replaces. */
enum am_rc am_fs_write_file(const char *path, const void *p, size_t n,
                            struct am_err *err) AM_MUST_CHECK;
/* Rename a complete, fsynced temporary to its place and fsync the directory. */
enum am_rc am_fs_publish(const char *tmp, const char *path, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_fs_sync_dir(const char *dir, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_fs_mkdirs(const char *path, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_fs_remove_tree(const char *path, struct am_err *err) AM_MUST_CHECK;
bool am_fs_exists(const char *path);
/* A new empty file "DIR/PREFIX.XXXXXX" opened read-write; path_out holds its name. */
enum am_rc am_fs_temp(const char *dir, const char *prefix, char *path_out, size_t path_cap,
                      int *fd_out, struct am_err *err) AM_MUST_CHECK;
/* Names (not "." and "..") of a directory, sorted by bytes, one callback each; stops at the first
 * error. */
enum am_rc am_fs_list(const char *dir,
                      enum am_rc (*each)(void *ctx, const char *name, struct am_err *err),
                      void *ctx, struct am_err *err) AM_MUST_CHECK;
/* openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), regular files with one link only. */
enum am_rc am_fs_open_beneath(int dir_fd, const char *name, int flags, mode_t mode, int *fd_out,
                              struct am_err *err) AM_MUST_CHECK;

#endif
