/* Blobs as files: DIR/PROJECT/ab/cdef… (the hash), written in DIR/PROJECT/tmp.
 *
 * Put = temporary file, write and hash, fsync, mode 0400, rename over its place, fsync of both
 * directories. A put of bytes that are there already replaces the file by an equal one: that renews
 * its time and mends a damaged copy. Temporaries are flocked while they live; open sweeps those of
 * dead processes. The handle is immutable after open, so any thread may use it; a writer belongs to
 * one thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "store/blobs.h"
#include "store/records.h"

#define PATH_CAP 4096
#define SWEEP_AGE_S 60

struct files {
    char root[PATH_CAP - 256]; /* DIR/PROJECT */
    char tmp[PATH_CAP - 240];
    atomic_uchar synced[256]; /* folder ab is known to be durable in root */
};

#define TAKE_PIECE ((size_t)1 << 20)

struct writer {
    struct files *f;       /* borrowed */
    struct am_sha256 *sha; /* owned */
    int fd;
    uint64_t n_bytes;
    char path[PATH_CAP];
};

static bool blob_path(const struct files *f, const struct am_blob_id *id, char out[PATH_CAP])
{
    int n = snprintf(out, PATH_CAP, "%s/%.2s/%s", f->root, id->hex, id->hex + 2);
    return n > 0 && n < PATH_CAP;
}

static enum am_rc no_blob(struct am_err *err, const struct am_blob_id *id, int e)
{
    if (e == ENOENT)
        return am_fail(err, AM_ENOTFOUND, "there is no blob %.12s…", id->hex);
    return am_fail_errno(err, e, "cannot read blob %.12s…", id->hex);
}

/* ---- open ---- */

static enum am_rc sweep_one(void *ctx, const char *name, struct am_err *err)
{
    const struct files *f = ctx;
    char path[PATH_CAP];
    struct stat st;
    (void)err; /* a temporary that cannot be swept now is swept another time */
    if (snprintf(path, sizeof path, "%s/%s", f->tmp, name) >= (int)sizeof path)
        return AM_OK;
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0)
        return AM_OK;
    int64_t now_s = am_wall_us() / 1000000;
    /* the age covers the moment between making a temporary and locking it */
    if (fstat(fd, &st) == 0 && (st.st_mtime > now_s || now_s - st.st_mtime >= SWEEP_AGE_S) &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        am_fs()->unlink(path);
    am_fs()->close(fd);
    return AM_OK;
}

static enum am_rc files_open(const struct am_blobs_config *c, void **impl, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    if (!am_name_valid(am_str(c->project)))
        return am_fail(err, AM_EINVAL, "\"%s\" is not a project name", c->project);
    struct files *f = am_calloc(1, sizeof *f);
    if (!f)
        return am_fail_nomem(err, sizeof *f);
    int n = snprintf(f->root, sizeof f->root, "%s/%s", c->url, c->project);
    if (n < 0 || n >= (int)sizeof f->root)
        AM_GO(rc, am_fail(err, AM_EINVAL, "path of the blobs is too long (%d bytes)", n));
    n = snprintf(f->tmp, sizeof f->tmp, "%s/tmp", f->root);
    AM_GO(rc, am_fs_mkdirs(f->tmp, err));
    AM_GO(rc, am_store_local_fs(f->root, err));
    AM_GO(rc, am_fs_sync_dir(c->url, err));
    AM_GO(rc, am_fs_list(f->tmp, sweep_one, f, err));
    *impl = f;
    return AM_OK;
out:
    am_free(f);
    return rc;
}

static void files_close(void *impl)
{
    am_free(impl);
}

/* ---- put ---- */

static void writer_free(struct writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        am_fs()->close(w->fd);
    am_sha256_free(w->sha);
    am_free(w);
}

static void files_put_abort(void *writer)
{
    struct writer *w = writer;
    am_fs()->unlink(w->path);
    writer_free(w);
}

static enum am_rc files_put_begin(void *impl, void **writer, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    struct files *f = impl;
    struct writer *w = am_calloc(1, sizeof *w);
    if (!w)
        return am_fail_nomem(err, sizeof *w);
    w->f = f;
    w->fd = -1;
    AM_GO(rc, am_sha256_new(&w->sha, err));
    AM_GO(rc, am_fs_temp(f->tmp, "put", w->path, sizeof w->path, &w->fd, err));
    (void)flock(w->fd, LOCK_EX | LOCK_NB);
    *writer = w;
    return AM_OK;
out:
    writer_free(w);
    return rc;
}

static enum am_rc files_put_write(void *writer, const void *p, size_t n, struct am_err *err)
{
    struct writer *w = writer;
    AM_TRY(am_fs_write_all(w->fd, p, n, err));
    am_sha256_add(w->sha, p, n);
    w->n_bytes += n;
    return AM_OK;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static enum am_rc publish(struct writer *w, const struct am_blob_id *id, struct am_err *err)
{
    char path[PATH_CAP], dir[PATH_CAP];
    if (!blob_path(w->f, id, path) ||
        snprintf(dir, sizeof dir, "%s/%.2s", w->f->root, id->hex) >= (int)sizeof dir)
        return am_fail(err, AM_EINVAL, "path of the blobs is too long");
    if (fchmod(w->fd, 0400) != 0 || am_fs()->fsync(w->fd) != 0)
        return am_fail_errno(err, errno, "cannot sync \"%s\"", w->path);
    atomic_uchar *synced = &w->f->synced[hex_digit(id->hex[0]) * 16 + hex_digit(id->hex[1])];
    if (!atomic_load(synced)) {
        if (am_fs()->mkdir(dir, 0700) != 0 && errno != EEXIST)
            return am_fail_errno(err, errno, "cannot make \"%s\"", dir);
        AM_TRY(am_fs_sync_dir(w->f->root, err));
        atomic_store(synced, 1);
    }
    return am_fs_publish(w->path, path, err);
}

static enum am_rc files_put_finish(void *writer, struct am_blob_info *out, struct am_err *err)
{
    struct writer *w = writer;
    struct am_blob_info info = {.n_bytes = w->n_bytes, .put_us = am_wall_us()};
    unsigned char hash[AM_SHA256_BYTES];
    am_sha256_end(w->sha, hash);
    am_sha256_hex(hash, info.id.hex);
    enum am_rc rc = publish(w, &info.id, err);
    if (rc != AM_OK) {
        files_put_abort(w);
        return rc;
    }
    writer_free(w);
    *out = info;
    return AM_OK;
}

/* Hashes the whole file through fd. */
static enum am_rc hash_file(struct writer *w, struct am_blob_info *out, struct am_err *err)
{
    unsigned char hash[AM_SHA256_BYTES];
    ssize_t n;
    AM_TRY(am_sha256_new(&w->sha, err));
    char *piece = am_alloc(TAKE_PIECE);
    if (!piece)
        return am_fail_nomem(err, TAKE_PIECE);
    while ((n = am_fs()->read(w->fd, piece, TAKE_PIECE)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            am_sha256_add(w->sha, piece, (size_t)n);
            w->n_bytes += (uint64_t)n;
        }
    }
    am_free(piece);
    if (n < 0)
        return am_fail_errno(err, errno, "cannot read \"%s\"", w->path);
    out->n_bytes = w->n_bytes;
    am_sha256_end(w->sha, hash);
    am_sha256_hex(hash, out->id.hex);
    return AM_OK;
}

static enum am_rc files_take(void *impl, const char *path, const struct am_blob_id *known,
                             struct am_blob_info *out, struct am_err *err)
{
    struct files *f = impl;
    struct am_blob_info info = {.put_us = am_wall_us()};
    struct stat own, there;
    enum am_rc rc = AM_OK;
    if (stat(f->root, &there) != 0 || lstat(path, &own) != 0)
        return am_fail_errno(err, errno, "cannot look at \"%s\"", path);
    if (own.st_dev != there.st_dev || !S_ISREG(own.st_mode) || own.st_nlink != 1 ||
        strlen(path) >= PATH_CAP)
        return am_fail(err, AM_EUNSUPPORTED, "\"%s\" cannot be moved into the blobs", path);
    struct writer *w = am_calloc(1, sizeof *w);
    if (!w)
        return am_fail_nomem(err, sizeof *w);
    w->f = f;
    snprintf(w->path, sizeof w->path, "%s", path);
    w->fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (w->fd < 0)
        AM_GO(rc, am_fail_errno(err, errno, "cannot open \"%s\"", path));
    info.n_bytes = (uint64_t)own.st_size;
    if (known)
        info.id = *known;
    else
        AM_GO(rc, hash_file(w, &info, err));
    rc = publish(w, &info.id, err);
    if (rc == AM_OK)
        *out = info;
out:
    writer_free(w);
    return rc;
}

/* ---- read ---- */

static enum am_rc files_read(void *impl, const struct am_blob_id *id, uint64_t at, void *p,
                             size_t n, size_t *n_read, struct am_err *err)
{
    char path[PATH_CAP];
    size_t got = 0;
    if (!blob_path(impl, id, path) || at > INT64_MAX)
        return am_fail(err, AM_EINVAL, "cannot read blob %.12s… at %llu", id->hex,
                       (unsigned long long)at);
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0)
        return no_blob(err, id, errno);
    while (got < n) {
        ssize_t k = am_fs()->pread(fd, (char *)p + got, n - got, (off_t)(at + got));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            int e = errno;
            am_fs()->close(fd);
            return am_fail_errno(err, e, "cannot read blob %.12s…", id->hex);
        }
        if (k == 0)
            break;
        got += (size_t)k;
    }
    am_fs()->close(fd);
    *n_read = got;
    return AM_OK;
}

static void fill_info(const struct am_blob_id *id, const struct stat *st, struct am_blob_info *out)
{
    out->id = *id;
    out->n_bytes = (uint64_t)st->st_size;
    out->put_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

static enum am_rc files_stat(void *impl, const struct am_blob_id *id, struct am_blob_info *out,
                             struct am_err *err)
{
    char path[PATH_CAP];
    struct stat st;
    if (!blob_path(impl, id, path))
        return am_fail(err, AM_EINVAL, "path of the blobs is too long");
    if (lstat(path, &st) != 0)
        return no_blob(err, id, errno);
    if (!S_ISREG(st.st_mode))
        return am_fail(err, AM_ECORRUPT, "blob %.12s… is not a regular file", id->hex);
    fill_info(id, &st, out);
    return AM_OK;
}

struct listing {
    const struct files *f;
    char first[3];
    enum am_rc (*each)(void *ctx, const struct am_blob_info *info, struct am_err *err);
    void *ctx;
};

static enum am_rc list_file(void *ctx, const char *name, struct am_err *err)
{
    struct listing *l = ctx;
    struct am_blob_id id;
    struct am_blob_info info;
    char hex[AM_SHA256_HEX + 2];
    int n = snprintf(hex, sizeof hex, "%s%s", l->first, name);
    if (n != AM_SHA256_HEX - 1 || am_blob_id_parse(am_str(hex), &id, NULL) != AM_OK)
        return AM_OK; /* not ours: left alone */
    char path[PATH_CAP];
    struct stat st;
    if (!blob_path(l->f, &id, path) || lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return AM_OK; /* removed meanwhile */
    fill_info(&id, &st, &info);
    return l->each(l->ctx, &info, err);
}

static enum am_rc list_dir(void *ctx, const char *name, struct am_err *err)
{
    struct listing *l = ctx;
    char dir[PATH_CAP];
    struct stat st;
    if (strlen(name) != 2 ||
        snprintf(dir, sizeof dir, "%s/%s", l->f->root, name) >= (int)sizeof dir ||
        lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return AM_OK;
    memcpy(l->first, name, 3);
    return am_fs_list(dir, list_file, l, err);
}

static enum am_rc
files_list(void *impl, enum am_rc (*each)(void *, const struct am_blob_info *, struct am_err *),
           void *ctx, struct am_err *err)
{
    struct files *f = impl;
    struct listing l = {.f = f, .each = each, .ctx = ctx};
    return am_fs_list(f->root, list_dir, &l, err);
}

static enum am_rc files_remove(void *impl, const struct am_blob_id *id, struct am_err *err)
{
    char path[PATH_CAP];
    if (!blob_path(impl, id, path))
        return am_fail(err, AM_EINVAL, "path of the blobs is too long");
    if (am_fs()->unlink(path) != 0) {
        int e = errno;
        if (e == ENOENT)
            return no_blob(err, id, e);
        return am_fail_errno(err, e, "cannot remove blob %.12s…", id->hex);
    }
    return AM_OK;
}

static enum am_rc files_path(void *impl, const struct am_blob_id *id, char *out, size_t cap,
                             struct am_err *err)
{
    char path[PATH_CAP];
    struct am_blob_info info;
    AM_TRY(files_stat(impl, id, &info, err));
    if (!blob_path(impl, id, path) || strlen(path) >= cap)
        return am_fail(err, AM_EINVAL, "path of the blobs is too long");
    memcpy(out, path, strlen(path) + 1);
    return AM_OK;
}

const struct am_blobs_ops am_blobs_files = {
    .abi = AM_BLOBS_ABI,
    .size = sizeof(struct am_blobs_ops),
    .name = "files",
    .open = files_open,
    .close = files_close,
    .put_begin = files_put_begin,
    .put_write = files_put_write,
    .put_finish = files_put_finish,
    .put_abort = files_put_abort,
    .read = files_read,
    .stat = files_stat,
    .list = files_list,
    .remove = files_remove,
    .path = files_path,
    .take = files_take,
};
