/* What the clustering learners share: the count of clusters asked, its choice, graphs. Inside of
 * learn/. One thread a fit. */
#ifndef AM_LEARN_CLUSTERS_H
#define AM_LEARN_CLUSTERS_H

#include "learn/learn_int.h"

#define AM_CLUSTERS_TRIED 64

/* The counts that model.clusters asks to try, rising; one = no choice. AM_EINVAL: more than rows.
 */
enum am_rc am_clusters_asked(const struct am_learn_task *t, int64_t out[AM_CLUSTERS_TRIED],
                             size_t *n, struct am_err *err) AM_MUST_CHECK;
/* The place of the count at which a falling curve bends most: farthest below the line between its
 * ends (Satopaa et al. 2011). */
size_t am_clusters_elbow(const int64_t *k, const double *v, size_t n);
/* Mean silhouette of at most AM_SEARCH_ROWS rows taken evenly, each in the group of its nearest
 * center; NaN without a meaning. */
#define AM_SEARCH_ROWS 2000
enum am_rc am_clusters_silhouette(const float *x, size_t rows, size_t n, const float *centers,
                                  size_t k, double *out, struct am_err *err) AM_MUST_CHECK;

/* out->graph and params: x -> nearest -> "y" distance, "code" distances, "cluster". points
 * [n_points, n_features]. */
enum am_rc am_clusters_places(const struct am_learn_task *t, const float *points,
                              const float *groups, size_t n_points, size_t n_groups, double radius,
                              struct am_learned *out, struct am_err *err) AM_MUST_CHECK;
/* The outputs of [B, 2 + k], v: cluster, score, codes. */
void am_clusters_outputs(struct am_graph *g, am_value v, size_t k);
/* Plain rows? AM_EUSAGE for token ids. */
enum am_rc am_clusters_check(const struct am_learn_task *t, struct am_err *err) AM_MUST_CHECK;
/* {"clusters", "sizes": [..]} into info. sizes [k] */
void am_clusters_info(struct am_learned *l, const uint64_t *sizes, size_t k, struct am_arena *a);

#endif
