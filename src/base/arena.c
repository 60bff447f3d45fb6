/* Arenas: a chain of blocks that double in size, newest first.
 *
 * A reset keeps one block of at most KEEP_MAX, so that a request on a warm arena allocates nothing.
 * Under ASan (or with AM_ARENA_DEBUG) every object is a block of its own. One owner at a time. */
#include "base/arena.h"

#include "base/alloc.h"
#include "base/limits.h"

#include <stdarg.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
#define AM_ARENA_DEBUG 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AM_ARENA_DEBUG 1
#endif
#endif
#ifdef AM_ARENA_DEBUG
enum { APART = 1 };
#else
enum { APART = 0 };
#endif

#define BLOCK_FIRST ((size_t)4096)
#define KEEP_MAX ((size_t)1 << 20)

struct block {
    struct block *next; /* owned; older */
    size_t cap, used;   /* bytes behind this header */
    size_t pad;         /* keeps the header a multiple of 16 */
};
_Static_assert(sizeof(struct block) % 16 == 0, "objects are 16-byte aligned");

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *);
    void *arg;
};

struct am_arena {
    struct block *top;        /* owned */
    struct cleanup *cleanups; /* in the blocks; newest first */
    size_t used, limit, next_size;
    enum am_rc failed; /* sticky */
    size_t failed_bytes;
};

struct am_arena *am_arena_new(size_t limit_bytes)
{
    struct am_arena *a = am_calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->limit = limit_bytes ? limit_bytes : AM_LIMIT_ARENA_BYTES;
    a->next_size = BLOCK_FIRST;
    return a;
}

static void run_cleanups(struct am_arena *a)
{
    while (a->cleanups) {
        struct cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->arg);
    }
}

static void free_blocks(struct block *b)
{
    while (b) {
        struct block *next = b->next;
        am_free(b);
        b = next;
    }
}

void am_arena_free(struct am_arena *a)
{
    if (!a)
        return;
    run_cleanups(a);
    free_blocks(a->top);
    am_free(a);
}

void am_arena_reset(struct am_arena *a)
{
    run_cleanups(a);
    struct block *keep = NULL;
    for (struct block **at = &a->top; !APART && *at; at = &(*at)->next)
        if ((*at)->cap <= KEEP_MAX) {
            keep = *at;
            *at = keep->next;
            break;
        }
    free_blocks(a->top);
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->top = keep;
    a->used = 0;
    a->failed = AM_OK;
}

static void *fail_alloc(struct am_arena *a, enum am_rc rc, size_t n)
{
    if (a->failed == AM_OK) {
        a->failed = rc;
        a->failed_bytes = n;
    }
    return NULL;
}

static struct block *add_block(struct am_arena *a, size_t n)
{
    size_t cap = n, bytes;
    if (!APART && cap < a->next_size)
        cap = a->next_size;
    if (!am_add_size(&bytes, cap, sizeof(struct block)))
        return NULL;
    struct block *b = am_alloc(bytes);
    if (!b)
        return NULL;
    b->cap = cap;
    b->used = 0;
    /* a big object does not hide the room that the block in use still has */
    if (a->top && n > a->next_size / 2 && a->top->cap - a->top->used > cap - n) {
        b->next = a->top->next;
        a->top->next = b;
    } else {
        b->next = a->top;
        a->top = b;
    }
    if (!APART && a->next_size < KEEP_MAX)
        a->next_size *= 2;
    return b;
}

void *am_arena_alloc(struct am_arena *a, size_t n_bytes)
{
    size_t n = n_bytes ? n_bytes : 1;
    if (a->failed != AM_OK)
        return NULL;
    if (n > a->limit || a->limit - a->used < n)
        return fail_alloc(a, AM_ELIMIT, n_bytes);
    size_t step = APART ? n : (n + 15) & ~(size_t)15;
    struct block *b = a->top;
    if (APART || !b || b->cap - b->used < step)
        b = add_block(a, step);
    if (!b)
        return fail_alloc(a, AM_ENOMEM, n_bytes);
    char *p = (char *)(b + 1) + b->used;
    b->used += step;
    a->used += step < a->limit - a->used ? step : a->limit - a->used;
    return p;
}

void *am_arena_zalloc(struct am_arena *a, size_t n_bytes)
{
    void *p = am_arena_alloc(a, n_bytes);
    return p ? memset(p, 0, n_bytes) : NULL;
}

void *am_arena_array(struct am_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!am_mul_size(&bytes, n, size))
        return fail_alloc(a, AM_ELIMIT, SIZE_MAX);
    return am_arena_zalloc(a, bytes);
}

void *am_arena_aligned(struct am_arena *a, size_t align, size_t n_bytes)
{
    size_t bytes;
    if (align <= 16)
        return am_arena_alloc(a, n_bytes);
    if (!am_add_size(&bytes, n_bytes, align - 16))
        return fail_alloc(a, AM_ELIMIT, n_bytes);
    char *p = am_arena_alloc(a, bytes);
    if (!p)
        return NULL;
    return p + ((0 - (uintptr_t)p) & (align - 1));
}

struct am_str am_arena_str(struct am_arena *a, struct am_str s)
{
    size_t bytes;
    if (!am_add_size(&bytes, s.len, 1)) {
        (void)fail_alloc(a, AM_ELIMIT, s.len);
        return (struct am_str){0};
    }
    char *p = am_arena_alloc(a, bytes);
    if (!p)
        return (struct am_str){0};
    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return (struct am_str){p, s.len};
}

struct am_str am_arena_printf(struct am_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        (void)fail_alloc(a, AM_EINTERNAL, 0);
        return (struct am_str){0};
    }
    char *p = am_arena_alloc(a, (size_t)n + 1);
    if (!p)
        return (struct am_str){0};
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct am_str){p, (size_t)n};
}

enum am_rc am_arena_cleanup(struct am_arena *a, void (*fn)(void *), void *arg, struct am_err *err)
{
    struct cleanup *c = am_arena_alloc(a, sizeof *c);
    if (!c) {
        fn(arg);
        return am_arena_check(a, err);
    }
    *c = (struct cleanup){a->cleanups, fn, arg};
    a->cleanups = c;
    return AM_OK;
}

void am_arena_fail_nomem(struct am_arena *a, size_t n_bytes)
{
    (void)fail_alloc(a, AM_ENOMEM, n_bytes);
}

size_t am_arena_used(const struct am_arena *a)
{
    return a->used;
}

enum am_rc am_arena_check(const struct am_arena *a, struct am_err *err)
{
    if (a->failed == AM_OK)
        return AM_OK;
    if (a->failed == AM_ELIMIT)
        return am_fail(err, AM_ELIMIT, "%zu more bytes are over the memory limit of %zu bytes",
                       a->failed_bytes, a->limit);
    if (a->failed == AM_ENOMEM)
        return am_fail_nomem(err, a->failed_bytes);
    return am_fail(err, a->failed, "a text could not be formatted");
}
