/* The avx2 table of recurrent gradients: tseq_body.h built for AVX2 and FMA. Reached only beside
 * am_kernels_avx2, which asks the CPU first.
 *
 * Holds no state; any thread. */
#define SEQ_TABLE am_seq_train_kernels_avx2
#define SEQ_NAME "avx2"
#include "tensor/tseq_body.h"
