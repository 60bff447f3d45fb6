/* The only file that calls malloc and its kin.
 *
 * The test hook costs one relaxed atomic load while it is off. The counter is shared by all
 * threads. Not an allocator of its own: the C library's is the one. Any thread. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_after; /* 0 = off; n = the n-th call from now fails */
static atomic_bool fail_forever;
static atomic_long fail_hits;
static atomic_bool fail_armed;

void am_alloc_fail_nth(long n, bool forever)
{
    atomic_store(&fail_armed, false);
    atomic_store(&fail_after, n);
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_hits, 0);
    atomic_store(&fail_armed, n > 0);
}

long am_alloc_hook_hits(void)
{
    return atomic_load(&fail_hits);
}

static bool hook_fails(void)
{
    if (!atomic_load_explicit(&fail_armed, memory_order_relaxed))
        return false;
    long left = atomic_fetch_sub(&fail_after, 1) - 1;
    if (left != 0 && !(left < 0 && atomic_load(&fail_forever)))
        return false;
    atomic_fetch_add(&fail_hits, 1);
    return true;
}

void *am_alloc(size_t n_bytes)
{
    if (hook_fails() || n_bytes > PTRDIFF_MAX)
        return NULL;
    return malloc(n_bytes ? n_bytes : 1);
}

void *am_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!am_mul_size(&bytes, n, size) || hook_fails() || bytes > PTRDIFF_MAX)
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
    if (!am_mul_size(&bytes, n, size) || hook_fails() || bytes > PTRDIFF_MAX)
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *am_alloc_aligned(size_t align, size_t n_bytes)
{
    void *p = NULL;
    if (hook_fails() || n_bytes > PTRDIFF_MAX)
        return NULL;
    if (align < sizeof(void *))
        align = sizeof(void *);
    return posix_memalign(&p, align, n_bytes ? n_bytes : 1) == 0 ? p : NULL;
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
