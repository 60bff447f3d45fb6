/* The registry in a process of its own, for a server that gave up root: what crosses the socket,
 * and both ends of it.
 *
 * Request (fixed size, native byte order, same machine): struct question. Answer: struct answer,
 * then `n_bytes` bytes; a package travels as a read-only descriptor beside the answer (SCM_RIGHTS).
 * The end that may read the workspace parses nothing but this fixed struct; packages are parsed by
 * the other end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "model/model.h"
#include "registry/registry.h"
#include "serve/source_int.h"

enum question_kind { Q_GENERATION = 1, Q_CATALOG, Q_PACKAGE };

struct question {
    uint32_t kind;
    uint32_t zero;
    int64_t version;
    char model[136]; /* NUL-terminated */
};
struct answer {
    uint32_t rc; /* enum am_rc; not 0: the bytes are message, NUL, hint */
    uint32_t has_fd;
    uint64_t n_bytes; /* Q_CATALOG: JSON; Q_GENERATION: 8 bytes */
};

/* ---- bytes over a socket ---- */

static enum am_rc gone(struct am_err *err)
{
    (void)am_fail(err, AM_EIO, "the loader process does not answer");
    am_hint(err, "Restart the server.");
    return AM_EIO;
}

static bool send_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

static bool receive_all(int fd, void *p, size_t n)
{
    char *at = p;
    while (n > 0) {
        ssize_t k = recv(fd, at, n, 0);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* The answer's head, with a descriptor when there is one. */
static bool send_head(int fd, const struct answer *a, int package)
{
    union control control;
    struct iovec iov = {(void *)(uintptr_t)a, sizeof *a};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (package >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &package, sizeof package);
    }
    ssize_t k;
    do
        k = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    return k == (ssize_t)sizeof *a;
}

static bool receive_head(int fd, struct answer *a, int *package)
{
    union control control;
    struct iovec iov = {a, sizeof *a};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t k;
    *package = -1;
    do
        k = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    while (k < 0 && errno == EINTR);
    struct cmsghdr *c = k > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(package, CMSG_DATA(c), sizeof *package);
    return k == (ssize_t)sizeof *a;
}

/* ---- the end that reads the workspace ---- */

static bool send_error(int socket, const struct am_err *err)
{
    char text[AM_ERR_MESSAGE_BYTES + AM_ERR_HINT_BYTES];
    size_t n = strlen(err->message) + 1, h = strlen(err->hint) + 1;
    struct answer a = {.rc = (uint32_t)err->rc, .n_bytes = n + h};
    memcpy(text, err->message, n);
    memcpy(text + n, err->hint, h);
    return send_head(socket, &a, -1) && send_all(socket, text, n + h);
}

static enum am_rc catalog_text(struct am_registry *r, struct am_buf *out, struct am_err *err)
{
    struct am_node *models = NULL;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 4096);
    enum am_rc rc = am_registry_catalog(r, a, &models, err);
    if (rc == AM_OK) {
        am_node_to_json(models, AM_JSON_COMPACT, out);
        rc = am_buf_check(out, err);
    }
    am_arena_free(a);
    return rc;
}

static enum am_rc package_fd(struct am_registry *r, const struct question *q, int *out,
                             struct am_err *err)
{
    struct am_version_ref *ref = am_alloc(sizeof *ref);
    struct stat st;
    if (!ref)
        return am_fail_nomem(err, sizeof *ref);
    enum am_rc rc = am_registry_package(r, q->model, q->version, ref, err);
    if (rc == AM_OK) {
        *out = open(ref->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (*out < 0)
            rc = am_fail_errno(err, errno, "cannot open the package of \"%s\"", q->model);
        else if (fstat(*out, &st) != 0 || !S_ISREG(st.st_mode))
            rc = am_fail(err, AM_ECORRUPT, "the package of \"%s\" is no file", q->model);
    }
    am_free(ref);
    return rc;
}

static bool answer_one(struct am_registry *r, int socket, const struct question *q,
                       struct am_buf *text)
{
    struct am_err err;
    uint64_t generation = 0;
    int fd = -1;
    enum am_rc rc = AM_OK;
    am_buf_reset(text);
    if (q->kind == Q_GENERATION) {
        rc = am_registry_generation(r, &generation, &err);
        am_buf_add(text, &generation, sizeof generation);
    } else if (q->kind == Q_CATALOG) {
        rc = catalog_text(r, text, &err);
    } else if (q->kind == Q_PACKAGE && memchr(q->model, 0, sizeof q->model) &&
               am_name_valid(am_str(q->model))) {
        rc = package_fd(r, q, &fd, &err);
    } else {
        rc = am_fail(&err, AM_EINVAL, "unknown question");
    }
    bool ok;
    if (rc != AM_OK) {
        ok = send_error(socket, &err);
    } else {
        struct answer a = {.has_fd = fd >= 0, .n_bytes = text->len};
        ok = send_head(socket, &a, fd) && send_all(socket, text->ptr, text->len);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

enum am_rc am_source_serve(struct am_registry *r, int socket, struct am_err *err)
{
    struct question q;
    struct am_buf text;
    (void)err;
    am_buf_init(&text, AM_LIMIT_JSON_BYTES);
    while (receive_all(socket, &q, sizeof q) && answer_one(r, socket, &q, &text))
        ;
    am_buf_clear(&text);
    return AM_OK; /* the peer is gone: that is how it ends */
}

bool am_source_send_error(int socket, const struct am_err *err)
{
    struct question q;
    return receive_all(socket, &q, sizeof q) && send_error(socket, err);
}

/* ---- the end that serves ---- */

struct remote {
    int socket; /* owned */
};

static enum am_rc take_error(struct am_str bytes, uint32_t code, struct am_err *err)
{
    enum am_rc rc = code > AM_OK && code <= AM_EINTERNAL ? (enum am_rc)code : AM_EINTERNAL;
    const char *end = memchr(bytes.ptr, 0, bytes.len);
    (void)am_fail(err, rc, "%.*s", end ? (int)(end - bytes.ptr) : AM_FMT(bytes));
    if (end && (size_t)(end + 1 - bytes.ptr) < bytes.len && end[1])
        am_hint(err, "%.*s", (int)(bytes.len - (size_t)(end + 1 - bytes.ptr)), end + 1);
    return rc;
}

/* One question and its answer; *fd >= 0 is the caller's. */
static enum am_rc ask(struct remote *m, const struct question *q, struct am_buf *bytes, int *fd,
                      struct am_err *err)
{
    struct answer a = {0};
    if (!send_all(m->socket, q, sizeof *q) || !receive_head(m->socket, &a, fd))
        return gone(err);
    char *at = a.n_bytes <= bytes->max ? am_buf_reserve(bytes, (size_t)a.n_bytes + 1) : NULL;
    if (!at || !receive_all(m->socket, at, (size_t)a.n_bytes))
        return gone(err);
    am_buf_commit(bytes, (size_t)a.n_bytes);
    return a.rc == AM_OK ? AM_OK : take_error(am_buf_view(bytes), a.rc, err);
}

static enum am_rc remote_generation(void *impl, uint64_t *out, struct am_err *err)
{
    struct question q = {.kind = Q_GENERATION};
    struct am_buf bytes;
    int fd;
    am_buf_init(&bytes, 4096);
    enum am_rc rc = ask(impl, &q, &bytes, &fd, err);
    if (rc == AM_OK && bytes.len != sizeof *out)
        rc = gone(err);
    if (rc == AM_OK)
        memcpy(out, bytes.ptr, sizeof *out);
    am_buf_clear(&bytes);
    return rc;
}

static enum am_rc remote_catalog(void *impl, struct am_arena *a, struct am_node **out,
                                 struct am_err *err)
{
    struct question q = {.kind = Q_CATALOG};
    struct am_buf bytes;
    int fd;
    am_buf_init(&bytes, AM_LIMIT_JSON_BYTES);
    enum am_rc rc = ask(impl, &q, &bytes, &fd, err);
    if (rc == AM_OK)
        rc = am_json_parse(a, am_arena_str(a, am_buf_view(&bytes)), "catalogue", out, err);
    am_buf_clear(&bytes);
    return rc;
}

/* The package's bytes are mapped while the model object copies what it needs. */
static enum am_rc open_package(int fd, struct am_model **out, struct am_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        return am_fail(err, AM_ECORRUPT, "the package is no file, or empty");
    size_t n = (size_t)st.st_size;
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return am_fail_errno(err, errno, "cannot map a package of %zu bytes", n);
    const struct am_model_options o = {.flags = AM_MODEL_LIBRARY};
    enum am_rc rc = am_model_open_bytes((struct am_str){p, n}, &o, out, err);
    (void)munmap(p, n);
    return rc;
}

static enum am_rc remote_load(void *impl, const char *model, int64_t version,
                              struct am_serve_model *out, struct am_err *err)
{
    struct question q = {.kind = Q_PACKAGE, .version = version};
    struct am_buf bytes;
    struct am_model *m = NULL;
    int fd = -1;
    if (strlen(model) >= sizeof q.model)
        return am_fail(err, AM_EINVAL, "the name of a model is too long");
    memcpy(q.model, model, strlen(model) + 1);
    am_buf_init(&bytes, 4096);
    enum am_rc rc = ask(impl, &q, &bytes, &fd, err);
    if (rc == AM_OK && fd < 0)
        rc = gone(err);
    if (rc == AM_OK)
        rc = open_package(fd, &m, err);
    if (fd >= 0)
        close(fd);
    am_buf_clear(&bytes);
    AM_TRY(rc);
    return am_serve_model_of(m, out, err);
}

static void remote_free(void *impl)
{
    struct remote *m = impl;
    close(m->socket);
    am_free(m);
}

enum am_rc am_source_remote(int socket, struct am_serve_source *out, struct am_err *err)
{
    static const struct am_serve_source_ops ops = {.generation = remote_generation,
                                                   .catalog = remote_catalog,
                                                   .load = remote_load,
                                                   .free = remote_free};
    struct remote *m = am_calloc(1, sizeof *m);
    if (!m) {
        close(socket);
        return am_fail_nomem(err, sizeof *m);
    }
    m->socket = socket;
    *out = (struct am_serve_source){&ops, m};
    return AM_OK;
}
