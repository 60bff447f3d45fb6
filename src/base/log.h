/* Log lines: level, time, component, key=value; once, where the error is handled. To stderr, or to
 * a capture function (a run stores its log). Nothing in kernels. Any thread; one line is one write.
 */
#ifndef AM_BASE_LOG_H
#define AM_BASE_LOG_H

#include <stddef.h>

#include "base/err.h"

enum am_log_level { AM_LOG_DEBUG, AM_LOG_INFO, AM_LOG_WARN, AM_LOG_ERROR, AM_LOG_OFF };

void am_log_set_level(
    enum am_log_level level); /* default WARN; AIMASS_LOG=debug|info|warn|error|off */
/* Every line (whatever the level) also goes to fn; NULL stops. */
void am_log_capture(void (*fn)(void *ctx, const char *line, size_t n), void *ctx);
/* am_log(AM_LOG_INFO, "registry", "run=%s state=%s", id, state) */
void am_log(enum am_log_level level, const char *component, const char *fmt, ...) AM_PRINTF(3, 4);
void am_log_err(enum am_log_level level, const char *component, const struct am_err *err);

#endif
