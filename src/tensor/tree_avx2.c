/* The avx2 table of tree walks: tree_body.h built for AVX2. Reached only beside am_kernels_avx2,
 * which asks the CPU first.
 *
 * Holds no state; any thread. */
#define TREE_TABLE am_tree_kernels_avx2
#define TREE_NAME "avx2"
#include "tensor/tree_body.h"
