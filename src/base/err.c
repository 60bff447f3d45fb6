/* Error codes and the filling of the error object.
 *
 * Nothing here allocates: the text is built on the stack first, so that a message may quote the
 * very error it replaces. Long text is cut at a whole UTF-8 character. Any thread. */
#include "base/err.h"

#include <errno.h>
#include <libintl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
    int http;
} codes[] = {
#define X(name, http, text) {#name, text, http},
    AM_RC_MAP(X)
#undef X
};
#define N_CODES (sizeof codes / sizeof codes[0])

const char *am_rc_name(enum am_rc rc)
{
    return (unsigned)rc < N_CODES ? codes[rc].name : "UNKNOWN";
}

const char *am_rc_text(enum am_rc rc)
{
    return (unsigned)rc < N_CODES ? codes[rc].text : "unknown error";
}

int am_rc_http(enum am_rc rc)
{
    return (unsigned)rc < N_CODES ? codes[rc].http : 500;
}

const char *am_tr(const char *text)
{
    return text[0] ? dgettext("aimass", text) : text;
}

/* A cut text must not end in half a character. */
static void trim_half_char(char *s, size_t n)
{
    size_t i = n;
    while (i > 0 && n - i < 3 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0)
        return;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (want > n - i + 1)
        s[i - 1] = '\0';
}

static void format_into(char *out, size_t cap, const char *fmt, va_list ap)
{
    int n = vsnprintf(out, cap, am_tr(fmt), ap);
    if (n < 0)
        out[0] = '\0';
    else if ((size_t)n >= cap)
        trim_half_char(out, cap - 1);
}

static void fill(struct am_err *err, enum am_rc rc, const char *file, int line, const char *message)
{
    err->rc = rc;
    err->line = line;
    err->file = file;
    size_t n = strnlen(message, sizeof err->message - 1);
    memcpy(err->message, message, n);
    err->message[n] = '\0';
    if (message[n])
        trim_half_char(err->message, n);
    err->hint[0] = '\0';
}

enum am_rc am_fail_at(struct am_err *err, enum am_rc rc, const char *file, int line,
                      const char *fmt, ...)
{
    if (!err)
        return rc;
    char text[AM_ERR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    format_into(text, sizeof text, fmt, ap);
    va_end(ap);
    fill(err, rc, file, line, text);
    return rc;
}

static enum am_rc rc_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return AM_ENOSPC;
    case ENOMEM:
        return AM_ENOMEM;
    case ENOENT:
        return AM_ENOTFOUND;
    case EACCES:
    case EPERM:
        return AM_EPERM;
    default:
        return AM_EIO;
    }
}

enum am_rc am_fail_errno_at(struct am_err *err, int errnum, const char *file, int line,
                            const char *fmt, ...)
{
    enum am_rc rc = rc_of_errno(errnum);
    if (!err)
        return rc;
    char text[AM_ERR_MESSAGE_BYTES], reason[128];
    va_list ap;
    va_start(ap, fmt);
    format_into(text, sizeof text - sizeof reason, fmt, ap);
    va_end(ap);
    size_t n = strlen(text);
    (void)snprintf(text + n, sizeof text - n, ": %s", strerror_r(errnum, reason, sizeof reason));
    fill(err, rc, file, line, text);
    return rc;
}

enum am_rc am_fail_nomem_at(struct am_err *err, uint64_t n_bytes, const char *file, int line)
{
    return am_fail_at(err, AM_ENOMEM, file, line, "out of memory: %llu bytes wanted",
                      (unsigned long long)n_bytes);
}

enum am_rc am_hint(struct am_err *err, const char *fmt, ...)
{
    if (!err)
        return AM_EINTERNAL;
    char text[AM_ERR_HINT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    format_into(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(err->hint, text, strlen(text) + 1);
    return err->rc;
}

void am_context(struct am_err *err, const char *fmt, ...)
{
    if (!err)
        return;
    char text[AM_ERR_MESSAGE_BYTES * 2 + 2];
    va_list ap;
    va_start(ap, fmt);
    format_into(text, AM_ERR_MESSAGE_BYTES, fmt, ap);
    va_end(ap);
    size_t n = strlen(text);
    (void)snprintf(text + n, sizeof text - n, ": %s", err->message);
    n = strnlen(text, sizeof err->message - 1);
    memcpy(err->message, text, n);
    err->message[n] = '\0';
    if (text[n])
        trim_half_char(err->message, n);
}

void am_err_clear(struct am_err *err)
{
    if (!err)
        return;
    err->rc = AM_OK;
    err->line = 0;
    err->file = NULL;
    err->message[0] = '\0';
    err->hint[0] = '\0';
}
