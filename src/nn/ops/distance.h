/* Distances of many rows to many centers: the numeric core of the ops `distance`, `similarity` and
 * `neighbours`, for training code too (k-means, DBSCAN, nearest neighbours).
 *
 * Centers are packed once, rows come in blocks; the work is one GEMM of centred values, and pairs
 * so near that it would lose their digits are computed again directly. Not a search structure.
 * Nothing here allocates, fails or starts threads: callers split rows, a row's bits depend on the
 * row only. */
#ifndef AM_NN_OPS_DISTANCE_H
#define AM_NN_OPS_DISTANCE_H

#include "nn/layers_distance.h"
#include "tensor/kernels.h"

/* Rows of one call that use memory well; any number is allowed. */
#define AM_DISTANCE_ROWS 64

/* Floats of k centers of n numbers, packed. */
size_t am_distance_pack_floats(const struct am_kernels *kern, size_t k, size_t n);
/* centers [k, n] row by row. The packed form does not refer to them. */
void am_distance_pack(const struct am_kernels *kern, enum am_distance metric, const float *centers,
                      size_t k, size_t n, float *out);
/* Floats of scratch for m rows. */
size_t am_distance_scratch(size_t m, size_t n);
/* out [m, k] = distance of rows x [m, n] to the centers; centers are those that were packed (near
 * pairs are computed from them). Values that are not finite give what IEEE makes of them. */
void am_distance_run(const struct am_kernels *kern, enum am_distance metric, const float *packed,
                     const float *centers, size_t k, const float *x, size_t m, size_t n,
                     float *scratch, float *out);

#endif
