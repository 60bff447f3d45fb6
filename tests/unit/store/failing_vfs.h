/* A VFS over SQLite's own whose n-th call fails, for the fail-n-th-I/O loops. Header-only; one test
 * thread plus SQLite's. Reading, writing, syncing, truncating, opening, deleting and the
 * shared-memory map count. */
#ifndef AM_TESTS_FAILING_VFS_H
#define AM_TESTS_FAILING_VFS_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static atomic_long fail_left; /* 0 = off, 1 = the next call fails */
static atomic_long fail_hits;
static atomic_bool fail_syncs_only;
static sqlite3_vfs *real_vfs;

struct failing_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
};

static int fails(int code)
{
    bool sync = code == SQLITE_IOERR_FSYNC;
    if (atomic_load(&fail_left) == 0 || (atomic_load(&fail_syncs_only) && !sync))
        return SQLITE_OK;
    if (atomic_fetch_sub(&fail_left, 1) != 1)
        return SQLITE_OK;
    atomic_fetch_add(&fail_hits, 1);
    return code;
}

#define REAL(f) (((struct failing_file *)(f))->real)
#define FAIL_AS(code)                                                                              \
    do {                                                                                           \
        int fail_rc_ = fails(code);                                                                \
        if (fail_rc_ != SQLITE_OK)                                                                 \
            return fail_rc_;                                                                       \
    } while (0)

static int ff_close(sqlite3_file *f)
{
    return REAL(f)->pMethods->xClose(REAL(f));
}
static int ff_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    FAIL_AS(SQLITE_IOERR_READ);
    return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}
static int ff_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    FAIL_AS(atomic_load(&fail_left) % 2 ? SQLITE_IOERR_WRITE : SQLITE_FULL);
    return REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}
static int ff_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    FAIL_AS(SQLITE_IOERR_TRUNCATE);
    return REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int ff_sync(sqlite3_file *f, int flags)
{
    FAIL_AS(SQLITE_IOERR_FSYNC);
    return REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int ff_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), n);
}
static int ff_lock(sqlite3_file *f, int l)
{
    return REAL(f)->pMethods->xLock(REAL(f), l);
}
static int ff_unlock(sqlite3_file *f, int l)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), l);
}
static int ff_reserved(sqlite3_file *f, int *out)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}
static int ff_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}
static int ff_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}
static int ff_device(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}
static int ff_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    FAIL_AS(SQLITE_IOERR_SHMMAP);
    return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, out);
}
static int ff_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}
static void ff_shm_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}
static int ff_shm_unmap(sqlite3_file *f, int del)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), del);
}

static const sqlite3_io_methods ff_methods = {
    2,           ff_close,       ff_read,      ff_write,   ff_truncate, ff_sync,   ff_size,
    ff_lock,     ff_unlock,      ff_reserved,  ff_control, ff_sector,   ff_device, ff_shm_map,
    ff_shm_lock, ff_shm_barrier, ff_shm_unmap, NULL,       NULL,
};

static int fv_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct failing_file *f = (struct failing_file *)file;
    (void)v;
    f->base.pMethods = NULL;
    FAIL_AS(SQLITE_CANTOPEN);
    f->real = (sqlite3_file *)(f + 1);
    int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out_flags);
    if (f->real->pMethods)
        f->base.pMethods = &ff_methods;
    return rc;
}
static int fv_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v;
    FAIL_AS(SQLITE_IOERR_DELETE);
    return real_vfs->xDelete(real_vfs, name, sync);
}

static sqlite3_vfs failing_vfs;

/* After the product set SQLite up: the shim becomes the default VFS. */
static void failing_vfs_install(void)
{
    if (real_vfs)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    failing_vfs = *real_vfs;
    failing_vfs.zName = "failing";
    failing_vfs.pNext = NULL;
    failing_vfs.szOsFile += (int)sizeof(struct failing_file);
    failing_vfs.xOpen = fv_open;
    failing_vfs.xDelete = fv_delete;
    sqlite3_vfs_register(&failing_vfs, 1);
}

static void fail_vfs(long n)
{
    atomic_store(&fail_hits, 0);
    atomic_store(&fail_left, n);
}

#endif
