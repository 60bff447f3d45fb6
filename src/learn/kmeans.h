/* k-means: the numeric core that the learner `kmeans`, derived features and others share. Inside of
 * learn/.
 *
 * Lloyd's algorithm with Hamerly's bounds (SDM 2010), which leave out rows that cannot have changed
 * their cluster, from greedy k-means++ (Arthur and Vassilvitskii 2007); distances by one GEMM a
 * block (nn/ops/distance.h). Or mini-batches (Sculley 2010). Sums run in fixed parts in a fixed
 * order, so no result depends on threads. One caller at a time. */
#ifndef AM_LEARN_KMEANS_H
#define AM_LEARN_KMEANS_H

#include "nn/matrix.h"

struct am_pool;
struct am_progress;

struct am_kmeans_options {
    size_t k;
    size_t n_init;         /* starts; the one of least inertia stays */
    size_t max_iterations; /* of Lloyd; epochs of mini-batches */
    size_t batch;          /* rows of a mini-batch; 0 = Lloyd, which needs the rows in RAM */
    double tolerance; /* of the squared shift of the centers, as a share of the mean variance */
    uint64_t seed;
    bool random_init; /* k rows drawn at random, not k-means++ */
};

struct am_kmeans {
    size_t k, n;              /* k may be smaller than asked: rows had so few different values */
    float *centers;           /* owned, [k, n] */
    double inertia;           /* sum of squared distances to the nearest center, all rows */
    size_t iterations, start; /* of the start that stayed; which one, from 0 */
    bool converged;
};
void am_kmeans_clear(struct am_kmeans *m);
/* AM_EINVAL: more clusters than rows. AM_ECANCELED. */
enum am_rc am_kmeans_fit(const struct am_train_data *data, const struct am_kmeans_options *o,
                         struct am_pool *pool, struct am_progress *progress, struct am_kmeans *out,
                         struct am_err *err) AM_MUST_CHECK;

/* All rows of data in one block: a view where there is one, else a copy in *owned (am_free), which
 * must not be longer than `most` bytes (0 = any) or it is AM_ELIMIT. */
enum am_rc am_rows_in_ram(const struct am_train_data *data, uint64_t most, const float **x,
                          float **owned, struct am_err *err) AM_MUST_CHECK;

#endif
