/* The ops of clusters and recommenders, for the list of storable ops; their meaning and the layout
 * of their parameters stand in layers_cluster.h. */
#ifndef AM_NN_OPS_CLUSTER_H
#define AM_NN_OPS_CLUSTER_H

#include "nn/ops/op.h"

extern const struct am_op am_op_nearest, am_op_mixture, am_op_factors;

#endif
