/* A malloc that fails from outside, for libraries without a hook: preloaded by child.sh.
 *
 *     AM_FAIL_IN=libduckdb,libstdc++   only calls from these objects count
 *     AM_FAIL_NTH=7                    the 7th of them fails (0 = none); AM_FAIL_FOREVER=1: and all
 * after AM_FAIL_COUNT=FILE               how many there were, written at exit
 *
 * Uses glibc's own entry points below its malloc. Any thread. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static const char *names; /* NULL = off */
static long nth;
static bool forever;
static atomic_long calls;
static _Thread_local bool inside;

__attribute__((constructor)) static void start(void)
{
    const char *n = getenv("AM_FAIL_NTH");
    nth = n ? strtol(n, NULL, 10) : 0;
    forever = getenv("AM_FAIL_FOREVER") != NULL;
    names = getenv("AM_FAIL_IN");
}

__attribute__((destructor)) static void stop(void)
{
    const char *path = getenv("AM_FAIL_COUNT");
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (fd >= 0) {
        (void)!write(fd, text, (size_t)n);
        (void)close(fd);
    }
}

/* Does the object around this address bear one of the names? */
static bool counts(const void *caller)
{
    Dl_info at;
    if (!dladdr(caller, &at) || !at.dli_fname)
        return false;
    const char *slash = strrchr(at.dli_fname, '/'), *own = slash ? slash + 1 : at.dli_fname;
    for (const char *p = names; p && *p;) {
        size_t n = strcspn(p, ",");
        if (strncmp(own, p, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static bool fails(const void *caller)
{
    if (!names || inside)
        return false;
    inside = true;
    bool mine = counts(caller);
    inside = false;
    if (!mine)
        return false;
    long k = atomic_fetch_add(&calls, 1) + 1;
    if (nth == 0 || k < nth || (k > nth && !forever))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}
void *memalign(size_t align, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}
void *aligned_alloc(size_t align, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}
int posix_memalign(void **out, size_t align, size_t n)
{
    void *p = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}
