/* The graph: a list of operations in static single assignment form, in an arena.
 *
 * A node computes one float32 tensor from earlier nodes; its index is the value's id. Nodes are
 * only ever appended, so inputs always have smaller ids. Not executable: plan.h turns a graph into
 * steps. Builders never fail loudly: the first error (bad shape, memory, limit) sticks in the
 * graph, later calls return AM_VALUE_NONE and accept it as input, and am_graph_check() reports it
 * once. One thread while it is built; a finished graph may be read by many. */
#ifndef AM_NN_GRAPH_H
#define AM_NN_GRAPH_H

#include "base/tree.h"
#include "tensor/kernels.h"
#include "tensor/tensor.h"

struct am_graph;
struct am_op; /* ops/op.h */

typedef uint32_t am_value; /* id of a node and of what it computes */
#define AM_VALUE_NONE UINT32_MAX
#define AM_GRAPH_INPUTS_MAX 8   /* of one node */
#define AM_GRAPH_OUTPUTS_MAX 16 /* of one graph */

enum am_init { /* how am_params_init fills a parameter; fan_in and fan_out are its first and last
                  dimension */
               AM_INIT_ZEROS,
               AM_INIT_ONES,
               AM_INIT_GLOROT_UNIFORM, /* Glorot and Bengio 2010 */
               AM_INIT_GLOROT_NORMAL,
               AM_INIT_HE_UNIFORM, /* He et al. 2015, gain sqrt 2 */
               AM_INIT_HE_NORMAL,
               AM_INIT_NORMAL,  /* standard deviation `scale` */
               AM_INIT_UNIFORM, /* in [-scale, scale) */
};

enum am_param_flag {
    AM_PARAM_DECAY =
        1, /* weight decay, L1 and L2 apply (weights yes; biases, norms and states no) */
    AM_PARAM_FROZEN = 2, /* no gradient, optimisers leave it alone */
    AM_PARAM_STATE =
        4, /* running statistics: written by the training step itself; implies FROZEN */
};

struct am_param_spec {
    enum am_init init;
    float scale;    /* of NORMAL and UNIFORM */
    unsigned flags; /* enum am_param_flag */
};

struct am_attr { /* what an op needs besides tensors; each op says in its file what it reads */
    enum am_act act;
    float f[4];
    int64_t i[16];
};

struct am_gnode {
    const struct am_op *op;
    am_value in[AM_GRAPH_INPUTS_MAX]; /* AM_VALUE_NONE = an optional input left out */
    unsigned n_in;
    struct am_dims dims;
    struct am_attr attr;
    const float *data;  /* of a constant: in the graph's arena; else NULL */
    struct am_str name; /* inputs, outputs and parameters have one; else empty */
};

enum am_rc am_graph_new(struct am_graph **out, struct am_err *err) AM_MUST_CHECK;
void am_graph_free(struct am_graph *g); /* NULL is fine */
enum am_rc am_graph_copy(const struct am_graph *g, struct am_graph **out,
                         struct am_err *err) AM_MUST_CHECK;
/* The first thing that went wrong while building, or AM_OK. */
enum am_rc am_graph_check(const struct am_graph *g, struct am_err *err) AM_MUST_CHECK;

size_t am_graph_n_nodes(const struct am_graph *g);
/* Valid until the graph is freed or grows. NULL out of range. */
const struct am_gnode *am_graph_node(const struct am_graph *g, am_value v);

/* A tensor given at each run. Names are unique: "x" is the model's input [B, width]. */
am_value am_graph_input(struct am_graph *g, const char *name, struct am_dims dims);
/* A parameter; the k-th call makes the k-th entry of am_params. Names are unique. */
am_value am_graph_param(struct am_graph *g, const char *name, struct am_dims dims,
                        const struct am_param_spec *spec);
/* Append an operation; checks arity and shapes (messages name node, op and shapes). in may hold
 * AM_VALUE_NONE where the op allows; name may be NULL. */
am_value am_graph_add(struct am_graph *g, const struct am_op *op, const am_value *in, unsigned n_in,
                      const struct am_attr *attr, const char *name);
/* Name a value as an output: "y" is the model's prediction. */
void am_graph_output(struct am_graph *g, const char *name, am_value v);
am_value am_graph_find_output(const struct am_graph *g, const char *name); /* or AM_VALUE_NONE */
am_value am_graph_find_input(const struct am_graph *g, const char *name);  /* or AM_VALUE_NONE */

/* A constant tensor of the fitting library; data is copied. Not storable in graph.json. */
am_value am_graph_const(struct am_graph *g, const struct am_op *op, struct am_dims dims,
                        const float *data);

size_t am_graph_n_params(const struct am_graph *g);
am_value am_graph_param_value(const struct am_graph *g, size_t k); /* the k-th parameter's node */
const struct am_param_spec *am_graph_param_spec(const struct am_graph *g, size_t k);
/* Record an error in the graph (the first one wins); for builders in other files. */
void am_graph_fail(struct am_graph *g, enum am_rc rc, const char *fmt, ...) AM_PRINTF(3, 4);

/* graph.json: {"version": 1, "nodes": [{"op", "in": [ids], "dims", "name", ...attributes}],
 * "outputs": {name: id}}. Reading trusts nothing: counts, ids, shapes, names and attributes are
 * checked, shapes are inferred again and compared. Only ops of the applying library can be stored
 * (no gradients, no losses). */
enum am_rc am_graph_to_node(const struct am_graph *g, struct am_arena *a, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
enum am_rc am_graph_from_node(const struct am_node *n, struct am_graph **out,
                              struct am_err *err) AM_MUST_CHECK;

#endif
