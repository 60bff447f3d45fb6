/* The one fault counter: fails the n-th call of a kind from now on, and counts what it failed.
 *
 * Tests arm it through the modules that ask it (alloc.h, fs.h); the product never does. A disarmed
 * counter costs one relaxed atomic load a call. A counter is a static object of its module, shared
 * by all threads; arming while other threads count is defined but decides nothing for their calls
 * under way. */
#ifndef AM_BASE_FAULT_H
#define AM_BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

struct am_fault {
    atomic_long left;    /* calls until the failing one; runs on below 0 */
    atomic_long calls;   /* counted since it was armed */
    atomic_long tripped; /* failures given out since it was armed */
    atomic_bool forever; /* every call after the n-th fails, too */
    atomic_bool armed;
};

/* The n-th call from now (1 = next) fails, once or for ever; n = 0 disarms. Sets the counts to 0
 * when arming, keeps them when disarming. */
void am_fault_arm(struct am_fault *f, long n, bool forever);
long am_fault_calls(const struct am_fault *f);
long am_fault_tripped(const struct am_fault *f);

/* Counts one call of an armed counter; true = this one must fail. */
bool am_fault_count(struct am_fault *f);

static inline bool am_fault_is_armed(const struct am_fault *f)
{
    return atomic_load_explicit(&f->armed, memory_order_relaxed);
}

/* Asked at each call that may be failed. */
static inline bool am_fault_trips(struct am_fault *f)
{
    return am_fault_is_armed(f) && am_fault_count(f);
}

#endif
