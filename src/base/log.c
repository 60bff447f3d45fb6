/* One line is one write to stderr, and one call of the capture function. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static atomic_int level_now = -1; /* -1 = ask the environment */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards capture_fn, capture_ctx */
static void (*capture_fn)(void *, const char *, size_t);
static void *capture_ctx;

static const char *const names[] = {"debug", "info", "warn", "error", "off"};

void am_log_set_level(enum am_log_level level) { atomic_store(&level_now, (int)level); }

static int level_of(void)
{
    int level = atomic_load_explicit(&level_now, memory_order_relaxed);
    if (level < 0) {
        const char *e = getenv("AIMASS_LOG");
        level = AM_LOG_WARN;
        for (int i = 0; e && i <= AM_LOG_OFF; i++)
            if (strcmp(e, names[i]) == 0)
                level = i;
        atomic_store(&level_now, level);
    }
    return level;
}

void am_log_capture(void (*fn)(void *ctx, const char *line, size_t n), void *ctx)
{
    pthread_mutex_lock(&lock);
    capture_fn = fn;
    capture_ctx = ctx;
    pthread_mutex_unlock(&lock);
}

/* A line must stay one line: control characters of the arguments become spaces. */
static size_t clean(char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 32 || s[i] == 127)
            s[i] = ' ';
    s[n] = '\n';
    return n + 1;
}

void am_log(enum am_log_level level, const char *component, const char *fmt, ...)
{
    char line[2048], time[24];
    va_list ap;
    am_time_iso(am_wall_us(), time);
    int n = snprintf(line, sizeof line - 1, "%s %s %s ", names[level], time, component);
    va_start(ap, fmt);
    int k = vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);
    va_end(ap);
    size_t all = (size_t)n + (k > 0 ? (size_t)k : 0);
    all = clean(line, all < sizeof line - 2 ? all : sizeof line - 2);
    if ((int)level >= level_of() && level != AM_LOG_OFF && write(STDERR_FILENO, line, all) < 0)
        return; /* nowhere to tell */
    pthread_mutex_lock(&lock);
    if (capture_fn)
        capture_fn(capture_ctx, line, all);
    pthread_mutex_unlock(&lock);
}

void am_log_err(enum am_log_level level, const char *component, const struct am_err *err)
{
    am_log(level, component, "error=%s message=\"%s\" at=%s:%d", am_rc_name(err->rc), err->message,
           err->file ? err->file : "?", err->line);
}
