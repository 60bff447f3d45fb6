/* The reference table of tree walks, and the choice among tables. Holds no state; any thread. */
#define TREE_TABLE am_tree_kernels_ref
#define TREE_NAME "ref"
#include "tensor/tree_body.h"

#ifdef AM_HAVE_X86
extern const struct am_tree_kernels am_tree_kernels_avx2, am_tree_kernels_avx512;
#endif

const struct am_tree_kernels *am_tree_kernels_beside(const char *name)
{
#ifdef AM_HAVE_X86
    if (strcmp(name, "avx512") == 0)
        return &am_tree_kernels_avx512;
    if (strcmp(name, "avx2") == 0)
        return &am_tree_kernels_avx2;
#endif
    (void)name;
    return &am_tree_kernels_ref;
}
