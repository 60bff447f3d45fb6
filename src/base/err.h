/* Error codes and the error object that every fallible function fills.
 *
 * A fallible function returns enum am_rc (0 = ok) and takes a last `struct am_err *err`, which may
 * be NULL. The object is a fixed struct: no allocation, no globals, usable after out-of-memory.
 * Messages are lower case, without full stop: what and why with the value; the hint is a full
 * sentence that says what to do. Format strings are translated here (gettext domain "aimass"), so
 * callers pass plain English literals. Any thread; an am_err belongs to one thread at a time. */
#ifndef AM_BASE_ERR_H
#define AM_BASE_ERR_H

#include <stdint.h>

/* name, HTTP status, text */
#define AM_RC_MAP(X)                                                                               \
    X(OK, 200, "ok")                                                                               \
    X(EINVAL, 400, "invalid input")                                                                \
    X(EUSAGE, 400, "usage or recipe error")                                                        \
    X(ENOTFOUND, 404, "not found")                                                                 \
    X(EEXIST, 409, "already exists")                                                               \
    X(ECONFLICT, 409, "conflict")                                                                  \
    X(ELIMIT, 413, "over a limit")                                                                 \
    X(ECORRUPT, 422, "corrupt data")                                                               \
    X(EPERM, 403, "not permitted")                                                                 \
    X(EGATE, 422, "acceptance gate failed")                                                        \
    X(ECANCELED, 499, "canceled")                                                                  \
    X(EUNSUPPORTED, 501, "unsupported")                                                            \
    X(EMISSING, 501, "a needed component is missing")                                              \
    X(EBUSY, 503, "busy")                                                                          \
    X(ETIMEDOUT, 504, "timed out")                                                                 \
    X(ENOSPC, 507, "no space left")                                                                \
    X(EIO, 500, "input/output error")                                                              \
    X(ENOMEM, 500, "out of memory")                                                                \
    X(EINTERNAL, 500, "internal error")

enum am_rc {
#define X(name, http, text) AM_##name,
    AM_RC_MAP(X)
#undef X
};

#define AM_ERR_MESSAGE_BYTES 768
#define AM_ERR_HINT_BYTES 512

struct am_err {
    enum am_rc rc;
    int line;         /* of our source */
    const char *file; /* of our source, static */
    char message[AM_ERR_MESSAGE_BYTES];
    char hint[AM_ERR_HINT_BYTES];
};

#define AM_MUST_CHECK __attribute__((warn_unused_result))
#define AM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* Fill err (if not NULL) and return rc: `return am_fail(err, AM_EINVAL, "column \"%s\" ...",
 * name);` */
#define am_fail(err, rc, ...) am_fail_at((err), (rc), __FILE__, __LINE__, __VA_ARGS__)
/* The same with errno's text appended; ENOSPC/EDQUOT -> AM_ENOSPC, ENOMEM -> AM_ENOMEM, ENOENT ->
 * AM_ENOTFOUND, EACCES/EPERM -> AM_EPERM, else AM_EIO. */
#define am_fail_errno(err, errnum, ...)                                                            \
    am_fail_errno_at((err), (errnum), __FILE__, __LINE__, __VA_ARGS__)
/* Out of memory with the wanted size. */
#define am_fail_nomem(err, n_bytes) am_fail_nomem_at((err), (n_bytes), __FILE__, __LINE__)

enum am_rc am_fail_at(struct am_err *err, enum am_rc rc, const char *file, int line,
                      const char *fmt, ...) AM_PRINTF(5, 6);
enum am_rc am_fail_errno_at(struct am_err *err, int errnum, const char *file, int line,
                            const char *fmt, ...) AM_PRINTF(5, 6);
enum am_rc am_fail_nomem_at(struct am_err *err, uint64_t n_bytes, const char *file, int line);

/* Set the hint of an error already filled; returns err->rc (AM_EINTERNAL when err is NULL, so
 * prefer to call it as a statement before `return rc`). */
enum am_rc am_hint(struct am_err *err, const char *fmt, ...) AM_PRINTF(2, 3);
/* Put "context: " before the message. */
void am_context(struct am_err *err, const char *fmt, ...) AM_PRINTF(2, 3);
void am_err_clear(struct am_err *err);

const char *am_rc_name(enum am_rc rc); /* "EINVAL"; static */
const char *am_rc_text(enum am_rc rc); /* "invalid input"; static */
int am_rc_http(enum am_rc rc);

/* Translate a literal (gettext domain "aimass"); the result is static. */
const char *am_tr(const char *text) __attribute__((format_arg(1)));
/* Marks a literal that am_tr gets later (a table of texts), for scripts/po-update. */
#define AM_N(text) text

#define AM_TRY(call)                                                                               \
    do {                                                                                           \
        enum am_rc am_try_rc_ = (call);                                                            \
        if (am_try_rc_ != AM_OK)                                                                   \
            return am_try_rc_;                                                                     \
    } while (0)

/* In a function that holds resources: `AM_GO(rc, call);` jumps to its one `out:` label. */
#define AM_GO(rc, call)                                                                            \
    do {                                                                                           \
        (rc) = (call);                                                                             \
        if ((rc) != AM_OK)                                                                         \
            goto out;                                                                              \
    } while (0)

#endif
