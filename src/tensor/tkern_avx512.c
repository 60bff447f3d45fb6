/* The avx512 training kernel table: tkern_body.h built with the flags of kern_avx512.c. Reached
 * only through train_cpu.c, which asks the CPU first. Holds no state; any thread. */
#define TKERN_TABLE am_train_kernels_avx512
#define KERN_NAME "avx512"
#include "tensor/tkern_body.h"
