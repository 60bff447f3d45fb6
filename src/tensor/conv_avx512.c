/* The avx512 convolution table: conv_body.h built with the flags of kern_avx512.c. Reached only
 * beside am_kernels_avx512, which asks the CPU first.
 *
 * Holds no state; any thread. */
#define KERN_TABLE am_conv_kernels_avx512
#define KERN_BASE am_kernels_avx512
#define KERN_ROWS 14
#include "tensor/conv_body.h"
