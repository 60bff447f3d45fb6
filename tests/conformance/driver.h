/* What the suites of drivers' ports begin with. */
#ifndef AM_TESTS_CONFORMANCE_DRIVER_H
#define AM_TESTS_CONFORMANCE_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fs.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"

/* The module's table of functions; NULL and a line on stderr when it is refused. */
static inline const void *open_driver(const char *name, size_t ops_size)
{
    const struct am_module_spec spec = {name, AM_PORTS_ABI, (uint32_t)ops_size,
                                        "Run scripts/setup."};
    const void *found = NULL;
    struct am_err why;
    if (am_module_open(NULL, &spec, &found, &why) == AM_OK)
        return found;
    fprintf(stderr, "%s\n", why.message);
    return NULL;
}

/* The bytes of a file; am_buf_clear them. */
static inline struct am_buf file_of(const char *dir, const char *name)
{
    char path[512];
    struct am_buf b;
    struct am_err why;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    am_buf_init(&b, (size_t)1 << 30);
    if (am_fs_read_file(path, &b, &why) != AM_OK)
        fail_msg("%s", why.message);
    return b;
}

#endif
