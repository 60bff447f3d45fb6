/* Trees as one node of a graph: a set of decision trees, filled tree by tree, becomes the storable
 * op "trees" (ops/trees.c) and its parameters. For fitting: the applying library reads the op only.
 *
 * A split sends a row left when x < threshold, right when x >= threshold, and a missing value (NaN)
 * the way the node says; infinite x counts as +-FLT_MAX. A learner whose rule is x <= t takes
 * am_trees_threshold. The caller owns the struct and clears it; one thread at a time. */
#ifndef AM_NN_LAYERS_TREES_H
#define AM_NN_LAYERS_TREES_H

#include "base/vec.h"
#include "nn/params.h"

#define AM_TREES_NODES_MAX ((size_t)1 << 24) /* of one tree: indices are exact floats */

enum am_trees_combine {
    AM_TREES_SUM,  /* y = base + sum of the trees' leaves */
    AM_TREES_MEAN, /* y = base + that sum / (n_trees * leaf_width / n_out) */
};

/* One tree as a learner has it; borrowed. Node 0 is the root; children may lie in any order. */
struct am_tree {
    size_t n_nodes;              /* >= 1 */
    const int32_t *feature;      /* [n_nodes]; -1 = leaf */
    const float *threshold;      /* [n_nodes]; of splits; not NaN */
    const uint32_t *left;        /* [n_nodes]; of splits */
    const uint32_t *right;       /* [n_nodes] */
    const uint8_t *missing_left; /* [n_nodes]; NULL = missing goes right everywhere */
    const float *value;          /* [n_nodes, leaf_width]; of leaves; finite */
};

/* Trees in the order of their parameters: breadth first, the right child behind the left one. */
struct am_trees {
    size_t n_features;
    size_t n_out;      /* columns of y */
    size_t leaf_width; /* 1: tree t adds to column t % n_out; n_out: each tree adds to all */
    enum am_trees_combine combine;
    bool zero_missing;     /* 0 counts as missing: trees of sparse rows; false after init */
    AM_VEC(float) size;    /* [n_trees]; nodes of a tree */
    AM_VEC(float) feature; /* f, or -f - 1 where missing goes left */
    AM_VEC(float) value;   /* threshold; of a leaf: its value, or its row in leaf */
    AM_VEC(float) child;   /* of a split: the left child, counted in the tree; of a leaf: 0 */
    AM_VEC(float) leaf;    /* [n_leaves, leaf_width] where leaf_width > 1 */
    AM_VEC(float) base;    /* [n_out]; what y begins with */
};

/* base: [n_out] or NULL = 0. AM_EINVAL: leaf_width is neither 1 nor n_out, sizes out of range. */
enum am_rc am_trees_init(struct am_trees *t, size_t n_features, size_t n_out, size_t leaf_width,
                         enum am_trees_combine combine, const float *base,
                         struct am_err *err) AM_MUST_CHECK;
void am_trees_clear(struct am_trees *t); /* also after a failed init; twice is fine */
/* Appends a copy; nodes that the root does not reach are left out. AM_EINVAL: a feature, child or
 * number out of range, a node reached twice. On failure t is as before. */
enum am_rc am_trees_add(struct am_trees *t, const struct am_tree *tree,
                        struct am_err *err) AM_MUST_CHECK;
static inline size_t am_trees_count(const struct am_trees *t)
{
    return t->size.len;
}

/* The float t' with x < t' exactly when x <= t, for every float x. */
float am_trees_threshold(double t);

/* x [B, n_features] -> [B, n_out]; at least one tree. Parameters "NAME.feature", ".value",
 * ".child", ".size", ".base" and ".leaf": all frozen, zero until am_trees_fill. */
am_value am_layer_trees(struct am_graph *g, am_value x, const struct am_trees *t, const char *name);
/* Writes t into the parameters that am_layer_trees of the same t and name declared.
 * AM_ENOTFOUND, AM_EINVAL when they do not fit. */
enum am_rc am_trees_fill(const struct am_trees *t, struct am_params *params, const char *name,
                         struct am_err *err) AM_MUST_CHECK;

#endif
