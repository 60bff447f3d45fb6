/* The workspace on disk: folders, locks, scratch; opening and closing.
 *
 *     DIR/records.db      rows (and records.db-wal, records.db.lock)
 *     DIR/blobs/PROJECT/  bytes
 *     DIR/backups/        copies made before a migration
 *     DIR/locks/          files to flock: roles, running runs, "publish" (see removal.c), "open"
 *     DIR/tmp/PID-XXXX/   scratch of a living process, flocked
 *
 * Locks are flocks on descriptors of their own, so they work between threads, too, and the kernel
 * frees them when a process dies. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "registry/registry_int.h"

/* ---- locks ---- */

static enum am_rc lock_file(const char *dir, const char *name, int how, int *out,
                            struct am_err *err)
{
    char path[AM_REGISTRY_PATH];
    if (snprintf(path, sizeof path, "%s/locks/%s", dir, name) >= (int)sizeof path)
        return am_fail(err, AM_EINVAL, "path of the workspace is too long");
    int fd = am_fs()->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open \"%s\"", path);
    while (flock(fd, how) != 0) {
        int e = errno;
        if (e == EINTR)
            continue;
        am_fs()->close(fd);
        if (e == EWOULDBLOCK)
            return am_fail(err, AM_EBUSY, "\"%s\" is held by another process", name);
        return am_fail_errno(err, e, "cannot lock \"%s\"", path);
    }
    *out = fd;
    return AM_OK;
}

enum am_rc reg_lock(struct am_registry *r, const char *name, enum reg_lock_mode mode,
                    struct am_registry_lock **out, struct am_err *err)
{
    static const int how[] = {LOCK_EX | LOCK_NB, LOCK_EX, LOCK_SH};
    *out = NULL;
    struct am_registry_lock *l = am_alloc(sizeof *l);
    if (!l)
        return am_fail_nomem(err, sizeof *l);
    enum am_rc rc = lock_file(r->dir, name, how[mode], &l->fd, err);
    if (rc != AM_OK) {
        am_free(l);
        return rc;
    }
    *out = l;
    return AM_OK;
}

void reg_unlock(struct am_registry_lock *l)
{
    if (!l)
        return;
    am_fs()->close(l->fd);
    am_free(l);
}

void reg_lock_remove(struct am_registry *r, const char *name)
{
    char path[AM_REGISTRY_PATH];
    if (snprintf(path, sizeof path, "%s/locks/%s", r->dir, name) < (int)sizeof path)
        (void)am_fs()->unlink(path);
}

enum am_rc am_registry_role_take(struct am_registry *r, enum am_registry_role role,
                                 struct am_registry_lock **out, struct am_err *err)
{
    static const char *const names[] = {"serve", "schedule", "gc", "migrate", "backup"};
    char name[32];
    (void)snprintf(name, sizeof name, "role-%s", names[role]);
    enum am_rc rc = reg_lock(r, name, REG_LOCK_TRY, out, err);
    if (rc == AM_EBUSY) {
        rc = am_fail(err, AM_EBUSY, "another process has the role \"%s\" of this workspace",
                     names[role]);
        am_hint(err, "Wait until it ends, or use another workspace.");
    }
    return rc;
}

void am_registry_role_drop(struct am_registry_lock *l)
{
    reg_unlock(l);
}

/* ---- scratch ---- */

/* Removes the scratch of a process that is gone; the "open" lock is held. */
static enum am_rc sweep_scratch(void *ctx, const char *name, struct am_err *err)
{
    const char *dir = ctx;
    char path[AM_REGISTRY_PATH];
    (void)err; /* what cannot be swept now is swept another time */
    if (snprintf(path, sizeof path, "%s/tmp/%s", dir, name) >= (int)sizeof path)
        return AM_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return AM_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)!am_fs_remove_tree(path, NULL);
    (void)close(fd);
    return AM_OK;
}

static enum am_rc make_scratch(struct am_registry *r, struct am_err *err)
{
    char id[AM_REGISTRY_ID], tmp[AM_REGISTRY_PATH];
    (void)snprintf(tmp, sizeof tmp, "%s/tmp", r->dir);
    AM_TRY(am_fs_list(tmp, sweep_scratch, r->dir, err));
    reg_new_id(id);
    (void)snprintf(r->scratch, sizeof r->scratch, "%s/tmp/%ld-%.8s", r->dir, (long)getpid(), id);
    if (am_fs()->mkdir(r->scratch, 0700) != 0)
        return am_fail_errno(err, errno, "cannot make \"%s\"", r->scratch);
    r->scratch_fd = am_fs()->open(r->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (r->scratch_fd < 0 || flock(r->scratch_fd, LOCK_EX | LOCK_NB) != 0)
        return am_fail_errno(err, errno, "cannot lock \"%s\"", r->scratch);
    return AM_OK;
}

/* ---- open ---- */

static enum am_rc make_dirs(struct am_registry *r, const char *given, struct am_err *err)
{
    static const char *const names[] = {"locks", "tmp", "backups"};
    char path[PATH_MAX];
    if (!given || !*given)
        return am_fail(err, AM_EINVAL, "no workspace directory given");
    bool fresh = !am_fs_exists(given);
    AM_TRY(am_fs_mkdirs(given, err));
    if (!realpath(given, path))
        return am_fail_errno(err, errno, "cannot use \"%s\" as workspace", given);
    size_t n = strlen(path);
    if (n < sizeof r->dir)
        memcpy(r->dir, path, n + 1);
    else
        return am_fail(err, AM_EINVAL, "path of the workspace has %zu bytes, at most %zu allowed",
                       n, sizeof r->dir - 1);
    if (fresh && chmod(r->dir, 0700) != 0)
        return am_fail_errno(err, errno, "cannot protect \"%s\"", r->dir);
    AM_TRY(am_store_local_fs(r->dir, err));
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", r->dir, names[i]);
        AM_TRY(am_fs_mkdirs(path, err));
    }
    return AM_OK;
}

static const char *login_name(char *buf, size_t cap)
{
    struct passwd pw, *found = NULL;
    char text[1024];
    if (getpwuid_r(geteuid(), &pw, text, sizeof text, &found) == 0 && found)
        (void)snprintf(buf, cap, "%s", pw.pw_name);
    else
        (void)snprintf(buf, cap, "uid-%lu", (unsigned long)geteuid());
    return buf;
}

static enum am_rc open_stores(struct am_registry *r, const struct am_registry_options *o,
                              struct am_err *err)
{
    char db[AM_REGISTRY_PATH], blobs[AM_REGISTRY_PATH], backups[AM_REGISTRY_PATH], owner[256];
    const char *project = o->project ? o->project : "default";
    (void)snprintf(db, sizeof db, "%s/records.db", r->dir);
    (void)snprintf(blobs, sizeof blobs, "%s/blobs", r->dir);
    (void)snprintf(backups, sizeof backups, "%s/backups", r->dir);
    /* the blobs' folder is made after the records: so this is a loss, not a new workspace */
    if (!am_fs_exists(db) && am_fs_exists(blobs)) {
        am_fail(err, AM_ECORRUPT, "workspace \"%s\" has blobs but no records", r->dir);
        am_hint(err, "Restore records.db from a backup, or name another workspace.");
        return AM_ECORRUPT;
    }
    struct am_records_config rc = {.url = db,
                                   .owner = o->owner ? o->owner : login_name(owner, sizeof owner),
                                   .project = project,
                                   .schema = &am_registry_schema,
                                   .backup_dir = backups};
    AM_TRY(am_records_open(&am_records_sqlite, &rc, &r->records, err));
    AM_TRY(am_fs_mkdirs(blobs, err));
    struct am_blobs_config bc = {.url = blobs, .project = project};
    return am_blobs_open(&am_blobs_files, &bc, &r->blobs, err);
}

enum am_rc am_registry_open(const struct am_registry_options *o, struct am_registry **out,
                            struct am_err *err)
{
    struct am_registry_lock *opening = NULL;
    enum am_rc rc = AM_OK;
    struct am_registry *r = am_calloc(1, sizeof *r);
    if (!r)
        return am_fail_nomem(err, sizeof *r);
    r->scratch_fd = -1;
    AM_GO(rc, make_dirs(r, o->workspace, err));
    AM_GO(rc, reg_lock(r, "open", REG_LOCK_WAIT, &opening, err));
    AM_GO(rc, open_stores(r, o, err));
    AM_GO(rc, make_scratch(r, err));
    *out = r;
    r = NULL;
out:
    reg_unlock(opening);
    am_registry_close(r);
    return rc;
}

void am_registry_close(struct am_registry *r)
{
    if (!r)
        return;
    if (r->scratch_fd >= 0) {
        (void)!am_fs_remove_tree(r->scratch, NULL);
        am_fs()->close(r->scratch_fd);
    }
    am_blobs_close(&r->blobs);
    am_records_close(&r->records);
    am_free(r);
}

const char *am_registry_dir(const struct am_registry *r)
{
    return r->dir;
}
const char *am_registry_scratch(const struct am_registry *r)
{
    return r->scratch;
}

enum am_rc am_registry_generation(struct am_registry *r, uint64_t *out, struct am_err *err)
{
    return am_records_generation(&r->records, out, err);
}

enum am_rc am_registry_backup_records(struct am_registry *r, const char *path, struct am_err *err)
{
    return am_records_backup(&r->records, path, err);
}
