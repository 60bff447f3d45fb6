/* Log lines: "2026-11-21T13:17:04Z WARN registry run=7 state=failed".
 *
 * Built on the stack, so that logging works when memory is out; text that could forge a line
 * (control characters, broken UTF-8) is escaped. The mutex guards the capture function and is held
 * while it runs, so that after am_log_capture(NULL, NULL) no call is under way; a capture that logs
 * is not captured again. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define LINE_BYTES 4096

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR", "OFF"};
static atomic_int threshold = -1; /* -1 = ask the environment */

static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*capture_fn)(void *, const char *, size_t); /* guarded by capture_lock */
static void *capture_ctx;                                /* guarded by capture_lock */
static atomic_bool capturing;
static _Thread_local bool inside_capture;

void am_log_set_level(enum am_log_level level)
{
    atomic_store(&threshold, (int)level);
}

static int current_level(void)
{
    int level = atomic_load_explicit(&threshold, memory_order_relaxed);
    if (level >= 0)
        return level;
    level = AM_LOG_WARN;
    const char *wish = getenv("AIMASS_LOG");
    static const char *const wishes[] = {"debug", "info", "warn", "error", "off"};
    for (int i = 0; wish && i < 5; i++)
        if (strcmp(wish, wishes[i]) == 0)
            level = i;
    int unset = -1;
    (void)atomic_compare_exchange_strong(&threshold, &unset, level);
    return unset == -1 ? level : unset;
}

void am_log_capture(void (*fn)(void *ctx, const char *line, size_t n), void *ctx)
{
    (void)pthread_mutex_lock(&capture_lock);
    capture_fn = fn;
    capture_ctx = ctx;
    atomic_store(&capturing, fn != NULL);
    (void)pthread_mutex_unlock(&capture_lock);
}

static size_t char_len(const char *p, size_t n)
{
    unsigned char c = (unsigned char)*p;
    return c < 0x20 || c == 0x7F ? 0 : am_utf8_char(p, n);
}

/* Copies text into out (cap bytes), bytes that do not belong on a line as \xNN; returns the length.
 */
static size_t escape(char *out, size_t cap, const char *text, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    while (n) {
        size_t len = char_len(text, n);
        if (cap - at < (len ? len : 4))
            break;
        if (len) {
            memcpy(out + at, text, len);
            at += len;
        } else {
            unsigned char c = (unsigned char)*text;
            len = 1;
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = digits[c >> 4];
            out[at++] = digits[c & 15];
        }
        text += len;
        n -= len;
    }
    return at;
}

static void emit(int level, const char *line, size_t n)
{
    if (level >= current_level()) {
        ssize_t ignored = write(STDERR_FILENO, line, n); /* nowhere to report it */
        (void)ignored;
    }
    if (!atomic_load(&capturing) || inside_capture)
        return;
    (void)pthread_mutex_lock(&capture_lock);
    if (capture_fn) {
        inside_capture = true;
        capture_fn(capture_ctx, line, n);
        inside_capture = false;
    }
    (void)pthread_mutex_unlock(&capture_lock);
}

void am_log(enum am_log_level level, const char *component, const char *fmt, ...)
{
    if (level >= AM_LOG_OFF || ((int)level < current_level() && !atomic_load(&capturing)))
        return;
    char text[LINE_BYTES], line[LINE_BYTES], when[24];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    am_time_iso(am_wall_us(), when);
    int head = snprintf(line, 256, "%s %s %s ", when, level_names[level], component);
    if (head < 0)
        return;
    size_t at = head < 256 ? (size_t)head : 255;
    at += escape(line + at, sizeof line - 1 - at, text, strlen(text));
    line[at++] = '\n';
    emit((int)level, line, at);
}

void am_log_err(enum am_log_level level, const char *component, const struct am_err *err)
{
    am_log(level, component, "code=%s at=%s:%d message=\"%s\"%s%s%s", am_rc_name(err->rc),
           err->file ? err->file : "?", err->line, err->message, err->hint[0] ? " hint=\"" : "",
           err->hint, err->hint[0] ? "\"" : "");
}
