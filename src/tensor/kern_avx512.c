/* The avx512 kernel table: kern_body.h built for AVX-512 F. Reached only through cpu.c, which asks
 * the CPU first.
 *
 * Holds no state; any thread. */
#define KERN_TABLE am_kernels_avx512
#define KERN_NAME "avx512"
#define KERN_ROWS 14
#include "tensor/kern_body.h"
