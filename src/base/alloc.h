/* Allocation that may fail, size arithmetic that cannot wrap, and the test hook that fails the n-th
 * call.
 *
 * All memory of the product comes from here (arenas included), so that tests can fail each call in
 * turn. Not an accounting layer: limits live in arenas and buffers. Any thread. */
#ifndef AM_BASE_ALLOC_H
#define AM_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when memory is out (or the hook says so). n = 0 gives a unique pointer. */
void *am_alloc(size_t n_bytes) __attribute__((malloc));
void *am_calloc(size_t n, size_t size) __attribute__((malloc)); /* zeroed; NULL on overflow too */
void *am_alloc_array(size_t n, size_t size) __attribute__((malloc));
void *am_realloc_array(void *p, size_t n, size_t size);
void *am_alloc_aligned(size_t align, size_t n_bytes)
    __attribute__((malloc)); /* free with am_free */
/* Aligned to 64; large blocks on huge pages where the system has them, for what is streamed over.
 */
void *am_alloc_tensor(size_t n_bytes) __attribute__((malloc));
void am_free(void *p); /* NULL is fine */
/* A NUL-terminated copy of n bytes; NULL when memory is out. */
char *am_strndup(const char *p, size_t n) __attribute__((malloc));

/* Dies with a message when memory is out: only before the server starts and in the CLI. */
void *am_xalloc(size_t n_bytes) __attribute__((malloc, returns_nonnull));

/* false on overflow; *out is untouched then */
static inline bool am_mul_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool am_add_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* Test hook: the n-th allocation from now (1 = next) fails, once or for ever; n = 0 switches it
 * off. The failures given out and the calls made since it was last switched on (fault.h). */
void am_alloc_fail_nth(long n, bool forever);
long am_alloc_hook_hits(void);
long am_alloc_hook_calls(void);

#endif
