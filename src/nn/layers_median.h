/* Layers of boosted and isolation trees: the weighted median of a row, and an exponential. Builders
 * as those of layers.h: errors stick in the graph. x is [B, n]. One thread. */
#ifndef AM_NN_LAYERS_MEDIAN_H
#define AM_NN_LAYERS_MEDIAN_H

#include "nn/graph.h"

/* [B, 1]: the least value of the row that values of at least half of the weight do not exceed;
 * the weights are a frozen parameter "NAME.weight" [n], >= 0. */
am_value am_layer_weighted_median(struct am_graph *g, am_value x, const char *name);
/* exp(factor * x) */
am_value am_layer_exp(struct am_graph *g, am_value x, float factor);

#endif
