/* The one thread pool: futex, no spinning, nested-safe, above single-threaded kernels.
 *
 * am_pool_for cuts [0, n) into chunks of `grain` items whatever the number of threads, so a caller
 * whose chunks write disjoint outputs gets the same bits for any thread count. The calling thread
 * works too; a call from inside a chunk runs inline. A pool may be shared by several callers; NULL
 * pool = run inline. */
#ifndef AM_BASE_POOL_H
#define AM_BASE_POOL_H

#include "base/err.h"

#include <stddef.h>

struct am_pool;

/* n_threads counts the caller: 1 makes no thread; 0 = number of CPUs this process may use. */
enum am_rc am_pool_new(unsigned n_threads, struct am_pool **out, struct am_err *err) AM_MUST_CHECK;
void am_pool_free(struct am_pool *p); /* waits for the threads; NULL is fine */
unsigned am_pool_size(const struct am_pool *p);
/* fn(ctx, begin, end) for every chunk; returns when all are done. fn must not fail: it records
 * errors in ctx. */
void am_pool_for(struct am_pool *p, size_t n, size_t grain, void (*fn)(void *, size_t, size_t),
                 void *ctx);

#endif
