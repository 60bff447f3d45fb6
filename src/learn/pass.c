/* Which table of row work this CPU runs: the one beside the compute kernels'. Any thread. */
#include "learn/pass.h"

#include <string.h>

#include "tensor/kernels.h"

extern const struct am_pass am_pass_ref;
#ifdef AM_HAVE_X86
extern const struct am_pass am_pass_avx2, am_pass_avx512;
#endif

const struct am_pass *am_pass_find(const char *name)
{
    static const struct am_pass *const tables[] = {
#ifdef AM_HAVE_X86
        &am_pass_avx512,
        &am_pass_avx2,
#endif
        &am_pass_ref,
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return am_kernels_find(name) ? tables[i] : NULL;
    return NULL;
}

const struct am_pass *am_pass_best(void)
{
    return am_pass_find(am_kernels_best()->name);
}
