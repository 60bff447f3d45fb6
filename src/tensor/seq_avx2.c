/* The avx2 table of recurrent kernels: seq_body.h built for AVX2 and FMA. Reached only beside
 * am_kernels_avx2, which asks the CPU first.
 *
 * Holds no state; any thread. */
#define SEQ_TABLE am_seq_kernels_avx2
#define SEQ_NAME "avx2"
#include "tensor/seq_body.h"
