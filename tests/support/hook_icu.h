/* ICU's allocations through am_alloc, so that the fail-n-th loops reach them. Called first in main:
 * ICU refuses the change once it has started. What ICU initialises once it keeps as failed when
 * memory was out then, so a loop runs its call once without a fault first. Not for ICU's detector
 * of encodings: ICU 72 frees pointers that it never set when memory is out there. Test programs
 * only.
 */
#ifndef AM_TESTS_HOOK_ICU_H
#define AM_TESTS_HOOK_ICU_H

#include <stdbool.h>
#include <unicode/uclean.h>

#include "base/alloc.h"

static void *hook_icu_alloc(const void *ctx, size_t n)
{
    (void)ctx;
    return am_alloc(n);
}
static void *hook_icu_realloc(const void *ctx, void *p, size_t n)
{
    (void)ctx;
    return am_realloc_array(p, n, 1);
}
static void hook_icu_free(const void *ctx, void *p)
{
    (void)ctx;
    am_free(p);
}

static inline bool hook_icu(void)
{
    UErrorCode status = U_ZERO_ERROR;
    u_setMemoryFunctions(NULL, hook_icu_alloc, hook_icu_realloc, hook_icu_free, &status);
    return status == U_ZERO_ERROR;
}

#endif
