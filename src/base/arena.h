/* Arenas: memory with one lifetime (process, model, plan, request), a byte limit and clean-up
 * callbacks.
 *
 * Objects are never freed singly. A failed allocation sticks (am_arena_check), so that code which
 * builds trees may check once at its end. Built with AM_ARENA_DEBUG each object is a malloc of its
 * own, so that ASan sees overruns. Not thread-safe: one owner at a time. */
#ifndef AM_BASE_ARENA_H
#define AM_BASE_ARENA_H

#include "base/str.h"

struct am_arena;

/* limit_bytes 0 = AM_LIMIT_ARENA_BYTES. NULL when memory is out. */
struct am_arena *am_arena_new(size_t limit_bytes);
void am_arena_free(struct am_arena *a); /* runs clean-ups in reverse order; NULL is fine */
void am_arena_reset(struct am_arena *a);

/* 16-byte aligned; NULL when memory or the limit is out (sticks). */
void *am_arena_alloc(struct am_arena *a, size_t n_bytes);
void *am_arena_zalloc(struct am_arena *a, size_t n_bytes);
void *am_arena_array(struct am_arena *a, size_t n, size_t size); /* zeroed, overflow-checked */
void *am_arena_aligned(struct am_arena *a, size_t align, size_t n_bytes);
/* Copies get a NUL behind them; a failed copy is {NULL,0}. */
struct am_str am_arena_str(struct am_arena *a, struct am_str s);
struct am_str am_arena_printf(struct am_arena *a, const char *fmt, ...) AM_PRINTF(2, 3);
/* Calls fn(arg) when the arena is reset or freed; on failure calls it at once and returns the
 * error. */
enum am_rc am_arena_cleanup(struct am_arena *a, void (*fn)(void *), void *arg,
                            struct am_err *err) AM_MUST_CHECK;
/* Makes a failure of memory that the arena's owner needed elsewhere stick here too. */
void am_arena_fail_nomem(struct am_arena *a, size_t n_bytes);
size_t am_arena_used(const struct am_arena *a);
enum am_rc am_arena_check(const struct am_arena *a, struct am_err *err) AM_MUST_CHECK;

#endif
