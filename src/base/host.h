/* What a loadable driver gets from the program: a driver does not link base, it calls through this
 * table.
 *
 * Filled by the module loader (platform/modules.c); static, valid for the life of the process. A
 * driver keeps the pointer and uses nothing else of the program but inline functions of the headers
 * it includes. Any thread may call every function. */
#ifndef AM_BASE_HOST_H
#define AM_BASE_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct am_host {
    uint32_t size;                  /* of this struct, for the driver's check */
    uint32_t reserved;              /* 0 */
    void *(*alloc)(size_t n_bytes); /* NULL when memory is out */
    void *(*realloc_array)(void *p, size_t n, size_t item_bytes); /* NULL: p is unchanged */
    void (*free)(void *p);
    enum am_rc (*fail)(struct am_err *err, enum am_rc rc, const char *file, int line,
                       const char *fmt, ...) AM_PRINTF(5, 6);
    enum am_rc (*hint)(struct am_err *err, const char *fmt, ...) AM_PRINTF(2, 3);
    enum am_rc (*fail_nomem)(struct am_err *err, uint64_t n_bytes, const char *file, int line);
    void (*log)(enum am_log_level level, const char *component, const char *fmt, ...)
        AM_PRINTF(3, 4);
    uint64_t (*mono_ns)(void);
    size_t (*print_double)(double v, char out[32]); /* am_print_double */
};

#endif
