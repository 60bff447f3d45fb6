/* Which training kernel table this CPU runs: the one beside am_kernels_best(). Any thread. */
#include "tensor/cpu_int.h"
#include "tensor/train_kernels.h"

#include <string.h>

#ifdef AM_HAVE_X86
extern const struct am_train_kernels am_train_kernels_avx2, am_train_kernels_avx512;
#endif

const struct am_train_kernels *am_train_kernels_find(const char *name)
{
    static const struct am_train_kernels *const tables[] = {
#ifdef AM_HAVE_X86
        &am_train_kernels_avx512,
        &am_train_kernels_avx2,
#endif
        &am_train_kernels_ref,
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return am_cpu_runs(name) ? tables[i] : NULL;
    return NULL;
}

const struct am_train_kernels *am_train_kernels_best(void)
{
    return am_train_kernels_find(am_kernels_best()->name);
}
