/* Walking decision trees: many trees for one row, or for many, sixteen at a time.
 *
 * Same rules as kernels.h: pure, no allocation, any thread. A node is 8 bytes; a leaf is a node
 * that leads to itself, so that all trees of a group take the same number of steps without a
 * branch. Which leaf a row reaches is exact, and sums are in the order given here, so all tables
 * give equal bits. Who makes the nodes has checked every index (nn/ops/trees.c). The tables stand
 * beside am_kernels of the same name. */
#ifndef AM_TENSOR_TREE_KERNELS_H
#define AM_TENSOR_TREE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define AM_TREE_LANES 16 /* trees of a group */
/* So that a kernel finds the low five bits of place / 2 without a mask. */
#define AM_TREE_FEATURE_BITS_MIN 6

/* | offset | size | what                                                                       |
 * |      0 |    4 | float: the threshold, of a leaf its value                                  |
 * |      4 |    4 | low feature_bits: the place; above them: the left child, in the group      |
 * The place is 2 f where a missing value goes left, 2 f + 1 where it goes right, of a leaf twice
 * the number of features. The row goes to the left child, or to the node behind it where
 * x >= threshold. A leaf's child is itself, and what it reads is -infinity. */
struct am_tree_node {
    float threshold;
    uint32_t where;
};

struct am_tree_group {
    uint32_t first;    /* node of the set at which the group's own begin */
    uint32_t n_levels; /* steps after which every row is at a leaf */
    uint32_t root[AM_TREE_LANES];
};

struct am_tree_set {
    const struct am_tree_node *nodes;
    const struct am_tree_group *groups;
    uint32_t feature_bits; /* AM_TREE_FEATURE_BITS_MIN..31 */
    /* Rows without missing values, one float a feature: x[place / 2]. Others: x[place], a row of
     * 2 n_features + 1 floats. */
    int whole;
    size_t n_features;
};

struct am_tree_kernels {
    const char *name;
    /* acc[r, g % period, lane] += the leaf of the row's lane-th tree, group by group from g0 to g1.
     * x [n_rows, x_row], acc [n_rows, period, AM_TREE_LANES] */
    void (*sum)(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                size_t n_rows, size_t period, float *acc);
    /* out[r, g - g0, lane] = the leaf's value. out [n_rows, g1 - g0, AM_TREE_LANES] */
    void (*leaves)(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                   size_t n_rows, float *out);
    /* How rows are read: [n] to [n + 1], or [2 n + 1] when not whole, where NaN is -infinity at
     * places 2 f, +infinity at 2 f + 1. Infinite x becomes +-FLT_MAX; the last is -infinity. */
    void (*spread)(const float *x, size_t n, int whole, float *out);
    int (*any_missing)(const float *x, size_t n); /* is there a NaN? */
};

extern const struct am_tree_kernels am_tree_kernels_ref;
const struct am_tree_kernels *am_tree_kernels_beside(const char *name);

#endif
