/* The avx512 table of recurrent gradients: tseq_body.h built for AVX-512. Reached only beside
 * am_kernels_avx512, which asks the CPU first.
 *
 * Holds no state; any thread. */
#define SEQ_TABLE am_seq_train_kernels_avx512
#define SEQ_NAME "avx512"
#include "tensor/tseq_body.h"
