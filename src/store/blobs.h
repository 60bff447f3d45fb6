/* Blobs: immutable bytes addressed by their SHA-256. The port, and the file driver's constructor.
 *
 * Not names, not references, not garbage collection: that is the registry's. A blob exists wholly
 * or not at all; put returns after it is durable (AM_OK = it survives a power cut). Handles may be
 * used by any thread; one writer object belongs to one thread. Methods that get a name `out` leave
 * it untouched on failure. */
#ifndef AM_STORE_BLOBS_H
#define AM_STORE_BLOBS_H

#include <stddef.h>

#include "base/sha256.h"
#include "base/str.h"

#define AM_BLOBS_ABI UINT64_C(0x616d626c6f620003) /* changes with every change of this table */

struct am_blob_id {
    char hex[AM_SHA256_HEX]; /* 64 lower-case digits and NUL */
};

struct am_blob_info {
    struct am_blob_id id;
    uint64_t n_bytes;
    int64_t
        put_us; /* wall clock of the last put (an equal put renews it); for grace periods only */
};

struct am_blobs_config {
    const char *url;     /* file driver: the directory, made (0700) when absent */
    const char *project; /* am_name_valid; blobs are never shared between projects */
};

struct am_blobs_ops {
    uint64_t abi;
    uint32_t size; /* of this struct */
    const char *name;

    enum am_rc (*open)(const struct am_blobs_config *config, void **impl, struct am_err *err);
    void (*close)(void *impl);

    /* A put in pieces. After begin exactly one of finish and abort must be called; both free the
     * writer (finish also when it fails). */
    enum am_rc (*put_begin)(void *impl, void **writer, struct am_err *err);
    enum am_rc (*put_write)(void *writer, const void *bytes, size_t n, struct am_err *err);
    enum am_rc (*put_finish)(void *writer, struct am_blob_info *out, struct am_err *err);
    void (*put_abort)(void *writer);

    /* Up to n bytes from `at` into p; *n_read < n only at the end. AM_ENOTFOUND. */
    enum am_rc (*read)(void *impl, const struct am_blob_id *id, uint64_t at, void *p, size_t n,
                       size_t *n_read, struct am_err *err);
    enum am_rc (*stat)(void *impl, const struct am_blob_id *id, struct am_blob_info *out,
                       struct am_err *err);
    /* Every blob, in order of the hash; stops at the first error of `each`. A blob that is put or
     * removed meanwhile may be seen or not. */
    enum am_rc (*list)(void *impl,
                       enum am_rc (*each)(void *ctx, const struct am_blob_info *info,
                                          struct am_err *err),
                       void *ctx, struct am_err *err);
    /* AM_ENOTFOUND when absent. Readers that have it open keep it. */
    enum am_rc (*remove)(void *impl, const struct am_blob_id *id, struct am_err *err);
    /* Optional (NULL: the store is remote, callers read into a file). The path of the blob itself:
     * to be read or mapped, never written. */
    enum am_rc (*path)(void *impl, const struct am_blob_id *id, char *out, size_t cap,
                       struct am_err *err);
    /* Optional (NULL: the file is copied). The file at path, which is the caller's alone and is
     * written no more, becomes the blob and leaves its place; on failure it stays. known = its
     * hash, where the caller took it while writing; NULL = read it. AM_EUNSUPPORTED: it lies on
     * another file system. */
    enum am_rc (*take)(void *impl, const char *path, const struct am_blob_id *known,
                       struct am_blob_info *out, struct am_err *err);
};

struct am_blobs {
    const struct am_blobs_ops *ops;
    void *impl;
};

extern const struct am_blobs_ops am_blobs_files;

/* ---- the same for every driver (blobs.c) ---- */

/* Checks abi and size first. On failure *out is {NULL, NULL}. */
enum am_rc am_blobs_open(const struct am_blobs_ops *ops, const struct am_blobs_config *config,
                         struct am_blobs *out, struct am_err *err) AM_MUST_CHECK;
void am_blobs_close(struct am_blobs *b);

enum am_rc am_blob_put(const struct am_blobs *b, struct am_str bytes, struct am_blob_info *out,
                       struct am_err *err) AM_MUST_CHECK;
enum am_rc am_blob_put_file(const struct am_blobs *b, const char *path, struct am_blob_info *out,
                            struct am_err *err) AM_MUST_CHECK;
/* The same, but the file is given away: moved instead of copied where the store can. */
enum am_rc am_blob_take_file(const struct am_blobs *b, const char *path,
                             const struct am_blob_id *known /* NULL = to be read */,
                             struct am_blob_info *out, struct am_err *err) AM_MUST_CHECK;
/* The whole blob behind what out holds already; its hash is checked (AM_ECORRUPT). AM_ELIMIT over
 * out->max. */
enum am_rc am_blob_get(const struct am_blobs *b, const struct am_blob_id *id, struct am_buf *out,
                       struct am_err *err) AM_MUST_CHECK;
/* Durable, atomic copy into a file, hash checked. */
enum am_rc am_blob_get_file(const struct am_blobs *b, const struct am_blob_id *id, const char *path,
                            struct am_err *err) AM_MUST_CHECK;
/* Reads all of it: AM_OK, AM_ECORRUPT (hash or size differ), AM_ENOTFOUND, AM_EIO. */
enum am_rc am_blob_check(const struct am_blobs *b, const struct am_blob_id *id,
                         struct am_err *err) AM_MUST_CHECK;
/* Read-only mapping of a local blob. AM_EUNSUPPORTED when the driver has no path. */
struct am_blob_map {
    const void *ptr; /* until am_blob_unmap; NULL for an empty blob */
    size_t n_bytes;
};
enum am_rc am_blob_map(const struct am_blobs *b, const struct am_blob_id *id,
                       struct am_blob_map *out, struct am_err *err) AM_MUST_CHECK;
void am_blob_unmap(struct am_blob_map *m);
/* 64 lower-case hex digits, else AM_EINVAL. */
enum am_rc am_blob_id_parse(struct am_str text, struct am_blob_id *out,
                            struct am_err *err) AM_MUST_CHECK;

#endif
