/* Drivers that misbehave: wrappers over the file and SQLite drivers (see stores.h). The plan is
 * global: one test thread sets it. */
#include "conformance/stores.h"

static enum am_misbehaviour plan;
static long left;

void am_misbehave(enum am_misbehaviour how, long n)
{
    plan = how;
    left = n;
}

static bool hit(enum am_misbehaviour how)
{
    if (plan != how || left == 0)
        return false;
    if (left > 0)
        left--;
    return true;
}

static enum am_rc unavailable(struct am_err *err)
{
    return hit(AM_UNAVAILABLE) ? am_fail(err, AM_EBUSY, "503 from the store") : AM_OK;
}

/* ---- blobs ---- */

static const struct am_blobs_ops *const files = &am_blobs_files;

static enum am_rc b_open(const struct am_blobs_config *c, void **impl, struct am_err *err)
{
    return files->open(c, impl, err);
}
static void b_close(void *impl)
{
    files->close(impl);
}
static enum am_rc b_put_begin(void *impl, void **writer, struct am_err *err)
{
    AM_TRY(unavailable(err));
    return files->put_begin(impl, writer, err);
}
static enum am_rc b_put_write(void *writer, const void *p, size_t n, struct am_err *err)
{
    return files->put_write(writer, p, n, err);
}
static enum am_rc b_put_finish(void *writer, struct am_blob_info *out, struct am_err *err)
{
    if (hit(AM_FORGET)) {
        files->put_abort(writer);
        memset(out, 0, sizeof *out);
        memset(out->id.hex, 'a', sizeof out->id.hex - 1);
        return AM_OK;
    }
    struct am_blob_info info;
    AM_TRY(files->put_finish(writer, &info, err));
    if (hit(AM_LOST_ACK))
        return am_fail(err, AM_EIO, "connection reset after the last byte");
    *out = info;
    return AM_OK;
}
static void b_put_abort(void *writer)
{
    files->put_abort(writer);
}
static enum am_rc b_read(void *impl, const struct am_blob_id *id, uint64_t at, void *p, size_t n,
                         size_t *n_read, struct am_err *err)
{
    AM_TRY(unavailable(err));
    AM_TRY(files->read(impl, id, at, p, n, n_read, err));
    if (*n_read > 0 && hit(AM_TRUNCATE))
        --*n_read;
    if (*n_read > 0 && hit(AM_FLIP))
        ((char *)p)[*n_read / 2] ^= 1;
    return AM_OK;
}
static enum am_rc b_stat(void *impl, const struct am_blob_id *id, struct am_blob_info *out,
                         struct am_err *err)
{
    AM_TRY(unavailable(err));
    return files->stat(impl, id, out, err);
}
static enum am_rc b_list(void *impl,
                         enum am_rc (*each)(void *, const struct am_blob_info *, struct am_err *),
                         void *ctx, struct am_err *err)
{
    AM_TRY(unavailable(err));
    return files->list(impl, each, ctx, err);
}
static enum am_rc b_remove(void *impl, const struct am_blob_id *id, struct am_err *err)
{
    AM_TRY(unavailable(err));
    return files->remove(impl, id, err);
}
static enum am_rc b_path(void *impl, const struct am_blob_id *id, char *out, size_t cap,
                         struct am_err *err)
{
    AM_TRY(unavailable(err));
    return files->path(impl, id, out, cap, err);
}

const struct am_blobs_ops am_blobs_bad = {
    AM_BLOBS_ABI, sizeof(struct am_blobs_ops),
    "bad",        b_open,
    b_close,      b_put_begin,
    b_put_write,  b_put_finish,
    b_put_abort,  b_read,
    b_stat,       b_list,
    b_remove,     b_path,
    NULL,
};

/* ---- records ---- */

static const struct am_records_ops *const sqlite = &am_records_sqlite;

static enum am_rc r_open(const struct am_records_config *c, void **impl, struct am_err *err)
{
    return sqlite->open(c, impl, err);
}
static void r_close(void *impl)
{
    sqlite->close(impl);
}
static enum am_rc r_commit(void *impl, const struct am_txn *txn, struct am_txn_result *result,
                           struct am_err *err)
{
    AM_TRY(unavailable(err));
    if (hit(AM_FORGET))
        return AM_OK;
    AM_TRY(sqlite->commit(impl, txn, result, err));
    if (hit(AM_LOST_ACK))
        return am_fail(err, AM_EIO, "connection reset after COMMIT");
    return AM_OK;
}
static enum am_rc r_snapshot(void *impl, void **out, struct am_err *err)
{
    AM_TRY(unavailable(err));
    return sqlite->snapshot(impl, out, err);
}
static void r_release(void *snap)
{
    sqlite->release(snap);
}

struct cut {
    am_row_fn row;
    void *ctx;
    bool cut;
};
static enum am_rc cut_row(void *ctx, const struct am_value *values, struct am_err *err)
{
    struct cut *c = ctx;
    if (c->cut || hit(AM_TRUNCATE)) {
        c->cut = true;
        return AM_OK;
    }
    return c->row(c->ctx, values, err);
}
static enum am_rc r_select(void *snap, const struct am_query *q, am_row_fn row, void *ctx,
                           struct am_err *err)
{
    struct cut c = {row, ctx, false};
    return sqlite->select(snap, q, cut_row, &c, err);
}
static enum am_rc r_count(void *snap, const char *table, const struct am_cond *where, int64_t *out,
                          struct am_err *err)
{
    return sqlite->count(snap, table, where, out, err);
}
static enum am_rc r_generation(void *impl, uint64_t *out, struct am_err *err)
{
    AM_TRY(unavailable(err));
    return sqlite->generation(impl, out, err);
}
static enum am_rc r_backup(void *impl, const char *path, struct am_err *err)
{
    return sqlite->backup(impl, path, err);
}

const struct am_records_ops am_records_bad = {
    AM_RECORDS_ABI, sizeof(struct am_records_ops),
    "bad",          r_open,
    r_close,        r_commit,
    r_snapshot,     r_release,
    r_select,       r_count,
    r_generation,   r_backup,
};
