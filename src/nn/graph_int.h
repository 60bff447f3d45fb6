/* The inside of a graph, for graph.c, graph_json.c and the fitting library's rewrites. */
#ifndef AM_NN_GRAPH_INT_H
#define AM_NN_GRAPH_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "nn/graph.h"
#include "nn/ops/op.h"

struct am_graph_param_entry {
    am_value value;
    struct am_param_spec spec;
    am_value grad; /* AM_VALUE_NONE until am_grad_build */
};

struct am_graph {
    struct am_arena *arena; /* owned: names, constants */
    AM_VEC(struct am_gnode) nodes;
    AM_VEC(struct am_graph_param_entry) params;
    struct {
        struct am_str name;
        am_value value;
    } outputs[AM_GRAPH_OUTPUTS_MAX];
    size_t n_outputs;
    struct am_map inputs, param_names; /* name -> node */
    struct am_err failed;              /* the first error; rc 0 = none */
};

/* Append a node as it is: name copied, dims taken, nothing inferred. */
am_value am_graph_append(struct am_graph *g, const struct am_gnode *n);

#endif
