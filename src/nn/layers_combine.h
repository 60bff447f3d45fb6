/* Layers of ensembles: logits of probabilities, and votes. Builders as those of layers.h: errors
 * stick in the graph. x is [B, n]. One thread. */
#ifndef AM_NN_LAYERS_COMBINE_H
#define AM_NN_LAYERS_COMBINE_H

#include "nn/graph.h"

enum am_odds { AM_ODDS_LOG = 0 /* log p */, AM_ODDS_LOGIT = 1 /* log p - log(1 - p) */ };
/* p is first kept `clip` (0 to 0.5) away from 0 and 1. */
am_value am_layer_log_odds(struct am_graph *g, am_value x, enum am_odds odds, float clip);
/* 1 at the first largest column of a row, 0 elsewhere; one column: 1 where x >= threshold. */
am_value am_layer_vote(struct am_graph *g, am_value x, float threshold);

#endif
