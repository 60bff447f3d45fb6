/* What is the same for every blob driver: whole-value puts and gets, hash checks, mapping.
 *
 * Holds no state; the driver's rules about threads hold. Reads go in pieces of PIECE bytes, so
 * memory does not grow with the blob except in am_blob_get, whose buffer has a maximum. */
#include "store/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

#define PIECE ((size_t)1 << 18)

enum am_rc am_blobs_open(const struct am_blobs_ops *ops, const struct am_blobs_config *config,
                         struct am_blobs *out, struct am_err *err)
{
    *out = (struct am_blobs){NULL, NULL};
    if (ops->abi != AM_BLOBS_ABI || ops->size != sizeof *ops)
        return am_fail(err, AM_EMISSING, "blob driver \"%s\" was built for another version",
                       ops->name);
    void *impl = NULL;
    AM_TRY(ops->open(config, &impl, err));
    *out = (struct am_blobs){ops, impl};
    return AM_OK;
}

void am_blobs_close(struct am_blobs *b)
{
    if (b->ops)
        b->ops->close(b->impl);
    *b = (struct am_blobs){NULL, NULL};
}

enum am_rc am_blob_id_parse(struct am_str text, struct am_blob_id *out, struct am_err *err)
{
    bool good = text.len == AM_SHA256_HEX - 1;
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.ptr[i];
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    if (!good)
        return am_fail(err, AM_EINVAL, "\"%.*s\" is not a blob id (64 lower-case hex digits)",
                       (int)(text.len > 80 ? 80 : text.len), text.ptr ? text.ptr : "");
    memcpy(out->hex, text.ptr, AM_SHA256_HEX - 1);
    out->hex[AM_SHA256_HEX - 1] = '\0';
    return AM_OK;
}

enum am_rc am_blob_put(const struct am_blobs *b, struct am_str bytes, struct am_blob_info *out,
                       struct am_err *err)
{
    void *w = NULL;
    AM_TRY(b->ops->put_begin(b->impl, &w, err));
    enum am_rc rc = b->ops->put_write(w, bytes.ptr ? bytes.ptr : "", bytes.len, err);
    if (rc != AM_OK) {
        b->ops->put_abort(w);
        return rc;
    }
    return b->ops->put_finish(w, out, err);
}

static enum am_rc copy_in(const struct am_blobs *b, int fd, const char *path, void *w, char *piece,
                          struct am_err *err)
{
    for (;;) {
        ssize_t n = am_fs()->read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return am_fail_errno(err, errno, "cannot read \"%s\"", path);
        if (n == 0)
            return AM_OK;
        AM_TRY(b->ops->put_write(w, piece, (size_t)n, err));
    }
}

enum am_rc am_blob_put_file(const struct am_blobs *b, const char *path, struct am_blob_info *out,
                            struct am_err *err)
{
    enum am_rc rc = AM_OK;
    void *w = NULL;
    char *piece = am_alloc(PIECE);
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        AM_GO(rc, am_fail_errno(err, errno, "cannot open \"%s\"", path));
    if (!piece)
        AM_GO(rc, am_fail_nomem(err, PIECE));
    AM_GO(rc, b->ops->put_begin(b->impl, &w, err));
    AM_GO(rc, copy_in(b, fd, path, w, piece, err));
    rc = b->ops->put_finish(w, out, err);
    w = NULL;
out:
    if (w)
        b->ops->put_abort(w);
    if (fd >= 0)
        am_fs()->close(fd);
    am_free(piece);
    return rc;
}

enum am_rc am_blob_take_file(const struct am_blobs *b, const char *path,
                             const struct am_blob_id *known, struct am_blob_info *out,
                             struct am_err *err)
{
    if (b->ops->take) {
        enum am_rc rc = b->ops->take(b->impl, path, known, out, err);
        if (rc != AM_EUNSUPPORTED)
            return rc;
    }
    AM_TRY(am_blob_put_file(b, path, out, err));
    am_fs()->unlink(path); /* given away; what stays is swept with its folder */
    return AM_OK;
}

/* Reads all of a blob through `sink` (which may be NULL) and compares size and hash with what it
 * should be. */
static enum am_rc drain(const struct am_blobs *b, const struct am_blob_id *id,
                        enum am_rc (*sink)(void *, const char *, size_t, struct am_err *),
                        void *ctx, struct am_err *err)
{
    struct am_blob_info info;
    struct am_sha256 *sha = NULL;
    unsigned char hash[AM_SHA256_BYTES];
    struct am_blob_id got;
    uint64_t at = 0;
    enum am_rc rc = AM_OK;
    char *piece = am_alloc(PIECE);
    if (!piece)
        AM_GO(rc, am_fail_nomem(err, PIECE));
    AM_GO(rc, am_sha256_new(&sha, err));
    AM_GO(rc, b->ops->stat(b->impl, id, &info, err));
    for (;;) {
        size_t n = 0;
        AM_GO(rc, b->ops->read(b->impl, id, at, piece, PIECE, &n, err));
        am_sha256_add(sha, piece, n);
        at += n;
        if (sink)
            AM_GO(rc, sink(ctx, piece, n, err));
        if (n < PIECE)
            break;
    }
    am_sha256_end(sha, hash);
    am_sha256_hex(hash, got.hex);
    if (at != info.n_bytes || memcmp(got.hex, id->hex, AM_SHA256_HEX) != 0)
        rc = am_fail(err, AM_ECORRUPT, "blob %.12s… is damaged: %llu bytes with hash %.12s…",
                     id->hex, (unsigned long long)at, got.hex);
out:
    am_sha256_free(sha);
    am_free(piece);
    return rc;
}

enum am_rc am_blob_check(const struct am_blobs *b, const struct am_blob_id *id, struct am_err *err)
{
    return drain(b, id, NULL, NULL, err);
}

static enum am_rc sink_buf(void *ctx, const char *p, size_t n, struct am_err *err)
{
    struct am_buf *out = ctx;
    am_buf_add(out, p, n);
    return am_buf_check(out, err);
}

enum am_rc am_blob_get(const struct am_blobs *b, const struct am_blob_id *id, struct am_buf *out,
                       struct am_err *err)
{
    struct am_blob_info info;
    AM_TRY(b->ops->stat(b->impl, id, &info, err));
    if (out->len > out->max || info.n_bytes > out->max - out->len)
        return am_fail(err, AM_ELIMIT, "blob %.12s… has %llu bytes, at most %zu fit here", id->hex,
                       (unsigned long long)info.n_bytes, out->max - out->len);
    return drain(b, id, sink_buf, out, err);
}

static enum am_rc sink_fd(void *ctx, const char *p, size_t n, struct am_err *err)
{
    return am_fs_write_all(*(int *)ctx, p, n, err);
}

static struct am_str dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return AM_STR(".");
    return (struct am_str){path, slash == path ? 1 : (size_t)(slash - path)};
}

enum am_rc am_blob_get_file(const struct am_blobs *b, const struct am_blob_id *id, const char *path,
                            struct am_err *err)
{
    char dir[4096];
    char tmp[4200] = "";
    int fd = -1;
    enum am_rc rc = AM_OK;
    struct am_str d = dir_of(path);
    if (d.len >= sizeof dir)
        return am_fail(err, AM_EINVAL, "path of %zu bytes is too long", d.len);
    memcpy(dir, d.ptr, d.len);
    dir[d.len] = '\0';
    AM_TRY(am_fs_temp(dir, ".aimass", tmp, sizeof tmp, &fd, err));
    AM_GO(rc, drain(b, id, sink_fd, &fd, err));
    if (am_fs()->fsync(fd) != 0)
        AM_GO(rc, am_fail_errno(err, errno, "cannot sync \"%s\"", tmp));
    rc = am_fs_publish(tmp, path, err);
out:
    if (rc != AM_OK)
        am_fs()->unlink(tmp);
    am_fs()->close(fd);
    return rc;
}

enum am_rc am_blob_map(const struct am_blobs *b, const struct am_blob_id *id,
                       struct am_blob_map *out, struct am_err *err)
{
    char path[4096];
    struct am_blob_info info;
    if (!b->ops->path)
        return am_fail(err, AM_EUNSUPPORTED, "blobs of \"%s\" cannot be mapped", b->ops->name);
    AM_TRY(b->ops->stat(b->impl, id, &info, err));
    AM_TRY(b->ops->path(b->impl, id, path, sizeof path, err));
    if (info.n_bytes == 0) {
        *out = (struct am_blob_map){NULL, 0};
        return AM_OK;
    }
    if (info.n_bytes > SIZE_MAX)
        return am_fail(err, AM_ELIMIT, "blob %.12s… is larger than memory", id->hex);
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open blob %.12s…", id->hex);
    void *p = mmap(NULL, (size_t)info.n_bytes, PROT_READ, MAP_SHARED, fd, 0);
    int e = errno;
    am_fs()->close(fd);
    if (p == MAP_FAILED)
        return am_fail_errno(err, e, "cannot map blob %.12s…", id->hex);
    *out = (struct am_blob_map){p, (size_t)info.n_bytes};
    return AM_OK;
}

void am_blob_unmap(struct am_blob_map *m)
{
    if (m->ptr)
        munmap((void *)(uintptr_t)m->ptr, m->n_bytes);
    *m = (struct am_blob_map){NULL, 0};
}
