/* The avx2 training kernel table: tkern_body.h built with the flags of kern_avx2.c. Reached only
 * through train_cpu.c, which asks the CPU first. Holds no state; any thread. */
#define TKERN_TABLE am_train_kernels_avx2
#define KERN_NAME "avx2"
#include "tensor/tkern_body.h"
