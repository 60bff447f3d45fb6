/* The fault counter behind the n-th-failure hooks of alloc.c and fs.c. Atomics only, no lock: the
 * counter decides which one call fails even when several threads call at once. Any thread. */
#include "base/fault.h"

void am_fault_arm(struct am_fault *f, long n, bool forever)
{
    atomic_store(&f->armed, false);
    if (n <= 0)
        return;
    atomic_store(&f->left, n);
    atomic_store(&f->forever, forever);
    atomic_store(&f->calls, 0);
    atomic_store(&f->tripped, 0);
    atomic_store(&f->armed, true);
}

long am_fault_calls(const struct am_fault *f)
{
    return atomic_load(&f->calls);
}

long am_fault_tripped(const struct am_fault *f)
{
    return atomic_load(&f->tripped);
}

bool am_fault_count(struct am_fault *f)
{
    atomic_fetch_add(&f->calls, 1);
    long left = atomic_fetch_sub(&f->left, 1) - 1;
    if (left != 0 && !(left < 0 && atomic_load(&f->forever)))
        return false;
    atomic_fetch_add(&f->tripped, 1);
    return true;
}
