/* The avx2 kernel table: kern_body.h built for AVX2 and FMA. Reached only through cpu.c, which asks
 * the CPU first.
 *
 * Holds no state; any thread. */
#define KERN_TABLE am_kernels_avx2
#define KERN_NAME "avx2"
#define KERN_ROWS 6
#include "tensor/kern_body.h"
