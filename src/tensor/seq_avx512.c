/* The avx512 table of recurrent kernels: seq_body.h built for AVX-512. Reached only beside
 * am_kernels_avx512, which asks the CPU first.
 *
 * Holds no state; any thread. */
#define SEQ_TABLE am_seq_kernels_avx512
#define SEQ_NAME "avx512"
#include "tensor/seq_body.h"
