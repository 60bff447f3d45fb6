/* Several models in one graph: members' graphs are copied into one, side by side over one input,
 * and what they predict is put together by further nodes. Fitting library.
 *
 * A member's parameters keep their order and values; their names get a prefix ("m3.fc1.weight").
 * Errors stick in the graph being built (graph.h). Members are only read. One thread. */
#ifndef AM_NN_GRAPH_MERGE_H
#define AM_NN_GRAPH_MERGE_H

#include "nn/graph.h"
#include "nn/params.h"

/* Copy member's nodes into g; its input "x" becomes the value x of g, which must have the same
 * dimensions, and it may have no other input. Names of parameters and layers get `prefix` before
 * them ("m3." or ""); members' outputs are not outputs of g. Returns the value in g of the
 * member's output of that name ("y"), or AM_VALUE_NONE with the error in g. */
am_value am_graph_merge(struct am_graph *g, am_value x, const struct am_graph *member,
                        const char *output, const char *prefix);

/* Copy member's values to the parameters that am_graph_merge made of them in the graph of `into`.
 * AM_ENOTFOUND when one of them is missing, AM_EINVAL when its shape differs. */
enum am_rc am_params_merge(struct am_params *into, const struct am_params *member,
                           const char *prefix, struct am_err *err) AM_MUST_CHECK;

/* sum over k of weights[k] * parts[k], in this order; parts have the same dimensions, n >= 1. */
am_value am_graph_weighted_sum(struct am_graph *g, const am_value *parts, const double *weights,
                               size_t n);

#endif
