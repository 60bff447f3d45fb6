/* The only file that calls malloc and its kin.
 *
 * The test hook is a fault counter (fault.h), shared by all threads. Not an allocator of its own:
 * the C library's is the one. Any thread. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"

static struct am_fault faults;

void am_alloc_fail_nth(long n, bool forever)
{
    am_fault_arm(&faults, n, forever);
}

long am_alloc_hook_hits(void)
{
    return am_fault_tripped(&faults);
}

long am_alloc_hook_calls(void)
{
    return am_fault_calls(&faults);
}

void *am_alloc(size_t n_bytes)
{
    if (am_fault_trips(&faults) || n_bytes > PTRDIFF_MAX)
        return NULL;
    return malloc(n_bytes ? n_bytes : 1);
}

void *am_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!am_mul_size(&bytes, n, size) || am_fault_trips(&faults) || bytes > PTRDIFF_MAX)
        return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *am_alloc_array(size_t n, size_t size)
{
    size_t bytes;
    return am_mul_size(&bytes, n, size) ? am_alloc(bytes) : NULL;
}

void *am_realloc_array(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!am_mul_size(&bytes, n, size) || am_fault_trips(&faults) || bytes > PTRDIFF_MAX)
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *am_alloc_aligned(size_t align, size_t n_bytes)
{
    void *p = NULL;
    if (am_fault_trips(&faults) || n_bytes > PTRDIFF_MAX)
        return NULL;
    if (align < sizeof(void *))
        align = sizeof(void *);
    return posix_memalign(&p, align, n_bytes ? n_bytes : 1) == 0 ? p : NULL;
}

#define HUGE_PAGE ((size_t)2 << 20)

void *am_alloc_tensor(size_t n_bytes)
{
    if (n_bytes < 2 * HUGE_PAGE)
        return am_alloc_aligned(64, n_bytes);
    void *p = am_alloc_aligned(HUGE_PAGE, n_bytes);
    if (p) /* advice: without it the pages are small */
        (void)madvise(p, n_bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return p;
}

void am_free(void *p)
{
    free(p);
}

char *am_strndup(const char *p, size_t n)
{
    size_t bytes;
    char *copy = am_add_size(&bytes, n, 1) ? am_alloc(bytes) : NULL;
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

void *am_xalloc(size_t n_bytes)
{
    void *p = am_alloc(n_bytes);
    if (!p) {
        (void)fprintf(stderr, "aimass: out of memory: %zu bytes wanted\n", n_bytes);
        abort();
    }
    return p;
}
