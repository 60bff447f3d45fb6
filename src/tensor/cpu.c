/* Which kernel table this CPU runs, packing of matrices, and the numerics profile. Not kernels.
 *
 * The choice is made once (atomic, idempotent) and never changes while the process lives. Any
 * thread. */
#include "tensor/cpu_int.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef AM_HAVE_X86
extern const struct am_kernels am_kernels_avx2, am_kernels_avx512;
#endif

bool am_cpu_runs(const char *table)
{
    if (strcmp(table, "ref") == 0)
        return true;
#ifdef AM_HAVE_X86
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(table, "avx2") == 0)
        return avx2;
    if (strcmp(table, "avx512") == 0)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    return false;
}

static const struct am_kernels *const tables[] = {
#ifdef AM_HAVE_X86
    &am_kernels_avx512,
    &am_kernels_avx2,
#endif
    &am_kernels_ref,
};
#define N_TABLES (sizeof tables / sizeof tables[0])

const struct am_kernels *am_kernels_find(const char *name)
{
    for (size_t i = 0; i < N_TABLES; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return am_cpu_runs(name) ? tables[i] : NULL;
    return NULL;
}

const struct am_kernels *am_kernels_best(void)
{
    static _Atomic(const struct am_kernels *) chosen;
    const struct am_kernels *k = atomic_load_explicit(&chosen, memory_order_acquire);
    if (k)
        return k;
    const char *wish = getenv("AIMASS_KERNELS");
    if (wish)
        k = am_kernels_find(wish);
    for (size_t i = 0; !k && i < N_TABLES; i++)
        k = am_kernels_find(tables[i]->name);
    atomic_store_explicit(&chosen, k, memory_order_release);
    return k;
}

/* "k1" is the version of the kernels: it grows with every change that changes a result's bits. */
const char *am_numerics_profile(void)
{
    const char *name = am_kernels_best()->name;
    if (strcmp(name, "avx512") == 0)
        return "x86-64 avx512 kernels-2";
    if (strcmp(name, "avx2") == 0)
        return "x86-64 avx2 kernels-2";
    return "portable ref kernels-2";
}

size_t am_pack_floats(const struct am_kernels *kern, size_t k, size_t n)
{
    return (n + kern->panel - 1) / kern->panel * kern->panel * k;
}

void am_pack(const struct am_kernels *kern, const float *b, size_t b_row, size_t k, size_t n,
             float *out)
{
    const size_t w = kern->panel;
    for (size_t j = 0; j < n; j += w) {
        const size_t have = n - j < w ? n - j : w;
        for (size_t p = 0; p < k; p++, out += w) {
            memcpy(out, b + p * b_row + j, have * sizeof(float));
            memset(out + have, 0, (w - have) * sizeof(float));
        }
    }
}

void am_pack_transposed(const struct am_kernels *kern, const float *b, size_t b_row, size_t k,
                        size_t n, float *out)
{
    kern->pack_transposed(b, b_row, k, n, out);
}
