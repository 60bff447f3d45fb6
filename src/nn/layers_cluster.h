/* Clusters and recommenders: builders of the ops that say which group a row belongs to, and how
 * much a user wants an item.
 *
 * Everything that training found is a parameter; numbers that count something (the group of a
 * point, an item that a user has seen) are floats that hold them exactly, below 2^24. The ops trust
 * no value: a group, user or item out of range counts as none. A row's result depends on that row
 * only. Errors stick in the graph (graph.h). One thread. */
#ifndef AM_NN_LAYERS_CLUSTER_H
#define AM_NN_LAYERS_CLUSTER_H

#include "nn/graph.h"

#define AM_GROUPS_MAX 100000

struct am_nearest_options {
    int64_t n_points;
    int64_t n_groups; /* 1..AM_GROUPS_MAX */
    float radius;     /* farther from every point than that = in no group (-1); 0 = never */
};
/* x [B, n] -> [B, 2 + n_groups]: the group of the nearest point (of equals the first), the
 * euclidean distance to it, and the distance to the nearest point of each group. Parameters
 * "NAME.points" [n_points, n], "NAME.groups" [n_points]. */
am_value am_layer_nearest(struct am_graph *g, am_value x, const struct am_nearest_options *o,
                          const char *name);

enum am_covariance {                          /* stored as attribute "kind" */
                     AM_COVARIANCE_FULL,      /* factors [k, n * n] */
                     AM_COVARIANCE_TIED,      /* factors [1, n * n] */
                     AM_COVARIANCE_DIAG,      /* factors [k, n] */
                     AM_COVARIANCE_SPHERICAL, /* factors [k, 1] */
                     AM_N_COVARIANCES
};
/* x [B, n] -> [B, 2 + k]: the most probable component, the log density of the row, and the
 * probability of each component. Parameters "NAME.means" [k, n]; "NAME.factors", P with precision =
 * P P^T (upper triangular, row by row; for diag and spherical 1 / deviation); "NAME.constants" [k]:
 * log weight - n/2 log 2 pi + log |P|. */
am_value am_layer_mixture(struct am_graph *g, am_value x, int64_t k, enum am_covariance kind,
                          const char *name);

struct am_factors_options {
    int64_t n_users, n_items, n_factors;
    int64_t n_seen; /* pairs that training saw; at least 1 */
};
/* x [B, 2], the numbers of a user and an item -> [B, 1]: mean + user bias + item bias + user .
 * item. Parameters: "NAME.users" [U, f + 1] (the bias last), "NAME.items" [I, f + 2] (the bias,
 * then what an unknown user gets), "NAME.mean" [1], and for those who rank: "NAME.seen_start" [U +
 * 1, 2] (the first place of each user, as high * 4096 + low) and "NAME.seen_items" [n_seen]. */
am_value am_layer_factors(struct am_graph *g, am_value x, const struct am_factors_options *o,
                          const char *name);

#endif
