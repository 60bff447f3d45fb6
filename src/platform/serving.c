/* Opening a workspace for prediction; as root, in two processes: a loader that may read the
 * workspace and parses nothing from outside, and this one, which becomes an ordinary user and meets
 * the network.
 *
 * A directory descriptor alone would not do: new versions appear in files of mode 0600 under a
 * directory of mode 0700, and SQLite opens its own files. So the reading right stays with a process
 * of its own, which answers three fixed questions (serve/source_remote.c). */
#include "platform/serving.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "registry/registry.h"
#include "serve/source.h"

struct am_serving {
    struct am_serve *serve;        /* owned */
    struct am_registry_lock *lock; /* owned; NULL with a loader process */
    pid_t loader;                  /* 0 = none */
};

/* The registry, with the role that only one server of a workspace may have. */
static enum am_rc open_registry(const char *workspace, struct am_registry **out,
                                struct am_registry_lock **lock, struct am_err *err)
{
    struct am_registry_options o = {.workspace = workspace};
    AM_TRY(am_registry_open(&o, out, err));
    enum am_rc rc = am_registry_role_take(*out, AM_ROLE_SERVE, lock, err);
    if (rc != AM_OK) {
        if (rc == AM_EBUSY)
            am_hint(err, "Another `aimass serve` holds this workspace; stop it first.");
        am_registry_close(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- the loader process ---- */

static _Noreturn void loader_main(const char *workspace, int socket)
{
    struct am_registry *r = NULL;
    struct am_registry_lock *lock = NULL;
    struct am_err err;
    (void)prctl(PR_SET_NAME, "aimass-loader");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* the terminal's Ctrl-C and a service manager's TERM go to the whole group: it ends with the
     * server */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    if (dup2(socket, 3) < 0)
        _exit(1);
    (void)close_range(4, ~0u, 0); /* the listening sockets above all */
    (void)fcntl(3, F_SETFD, FD_CLOEXEC);
    if (open_registry(workspace, &r, &lock, &err) != AM_OK)
        (void)am_source_send_error(3, &err);
    else if (am_source_serve(r, 3, &err) != AM_OK)
        am_log_err(AM_LOG_ERROR, "loader", &err);
    am_registry_role_drop(lock);
    am_registry_close(r);
    _exit(0);
}

/* ---- giving root up ---- */

static enum am_rc find_user(const char *name, uid_t *uid, gid_t *gid, struct am_err *err)
{
    errno = 0;
    const struct passwd *pw = getpwnam(name);
    if (!pw) {
        (void)am_fail(err, AM_EUSAGE, "there is no user \"%s\" to become", name);
        am_hint(err, "Name another with --user, or start the server as an ordinary user.");
        return AM_EUSAGE;
    }
    if (pw->pw_uid == 0)
        return am_fail(err, AM_EUSAGE, "user \"%s\" is root", name);
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    return AM_OK;
}

static enum am_rc become(uid_t uid, gid_t gid, struct am_err *err)
{
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return am_fail_errno(err, errno, "cannot give up root");
    if (setuid(0) == 0 || setgid(0) == 0)
        return am_fail(err, AM_EINTERNAL, "root could be taken back");
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#if defined(__SANITIZE_ADDRESS__)
    (void)prctl(PR_SET_DUMPABLE, 1); /* LeakSanitizer looks at its own process at exit */
#endif
    return AM_OK;
}

static enum am_rc open_split(struct am_serving *s, const struct am_serving_options *o,
                             struct am_serve_source *source, struct am_err *err)
{
    uid_t uid = 0;
    gid_t gid = 0;
    int pair[2];
    AM_TRY(find_user(o->user ? o->user : "nobody", &uid, &gid, err));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return am_fail_errno(err, errno, "cannot make a socket pair");
    s->loader = fork();
    if (s->loader < 0) {
        enum am_rc rc = am_fail_errno(err, errno, "cannot start the loader process");
        s->loader = 0;
        close(pair[0]);
        close(pair[1]);
        return rc;
    }
    if (s->loader == 0)
        loader_main(o->workspace, pair[1]);
    close(pair[1]);
    AM_TRY(am_source_remote(pair[0], source, err));
    enum am_rc rc = become(uid, gid, err);
    if (rc != AM_OK)
        source->ops->free(source->impl);
    else
        am_log(AM_LOG_INFO, "serve", "loader=%ld uid=%lu", (long)s->loader, (unsigned long)uid);
    return rc;
}

static enum am_rc open_source(struct am_serving *s, const struct am_serving_options *o,
                              struct am_serve_source *source, struct am_err *err)
{
    struct am_registry *r = NULL;
    uint64_t generation;
    if (geteuid() == 0) {
        AM_TRY(open_split(s, o, source, err));
    } else {
        AM_TRY(open_registry(o->workspace, &r, &s->lock, err));
        AM_TRY(am_source_registry(r, source, err));
    }
    /* a workspace that cannot be read fails the start, not the first request */
    enum am_rc rc = source->ops->generation(source->impl, &generation, err);
    if (rc != AM_OK) {
        am_registry_role_drop(s->lock);
        s->lock = NULL;
        source->ops->free(source->impl);
    }
    return rc;
}

enum am_rc am_serving_open(const struct am_serving_options *o, struct am_serving **out,
                           struct am_err *err)
{
    struct am_serve_source source = {0};
    struct am_serving *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    enum am_rc rc = open_source(s, o, &source, err);
    if (rc == AM_OK)
        rc = am_serve_new(&o->serve, &source, &s->serve, err);
    if (rc != AM_OK) {
        am_serving_close(s);
        return rc;
    }
    *out = s;
    return AM_OK;
}

struct am_serve *am_serving_serve(struct am_serving *s)
{
    return s->serve;
}

void am_serving_close(struct am_serving *s)
{
    if (!s)
        return;
    /* the lock goes before the registry that gave it, which am_serve_free closes */
    am_registry_role_drop(s->lock);
    am_serve_free(s->serve);
    if (s->loader > 0)
        (void)waitpid(s->loader, NULL, 0);
    am_free(s);
}
