/* Growing decision trees: rows coded once, any number of trees grown from them. Inside of learn/.
 *
 * Each feature's values are sorted once and replaced by their rank ("code"), so that a split is
 * found by counting or by sorting small integers, and nothing is lost: the trees are exact CART
 * (Breiman et al. 1984; tests compare with scikit-learn). With bins, codes are at most that many
 * quantiles. A missing value is the largest code. Coded rows are read-only and shared by threads;
 * a grower belongs to one thread. No learner and no graph here. */
#ifndef AM_LEARN_TREE_GROW_H
#define AM_LEARN_TREE_GROW_H

#include "base/rng.h"
#include "base/vec.h"
#include "learn/learn_int.h"
#include "nn/layers_trees.h"

enum am_tree_criterion {
    AM_TREE_GINI,
    AM_TREE_ENTROPY,
    AM_TREE_SQUARED,
    AM_TREE_ABSOLUTE,
    AM_TREE_POISSON, /* targets >= 0 */
};
enum am_tree_splitter {
    AM_TREE_BEST,
    AM_TREE_RANDOM, /* one uniform threshold a feature (Geurts et al. 2006) */
};

struct am_tree_options {
    enum am_tree_criterion criterion;
    enum am_tree_splitter splitter;
    size_t max_depth;    /* 0 = no limit */
    size_t min_split;    /* samples of a node that may be split; >= 2 */
    size_t min_leaf;     /* samples of a leaf; >= 1 */
    size_t max_features; /* features looked at in each split, more where all of them are constant */
    size_t max_leaves;   /* 0 = no limit; else the best split of the whole tree is made first */
    double min_decrease; /* of impurity times the node's share of the weight */
    double ccp_alpha;    /* minimal cost-complexity pruning */
};

struct am_tree_column {
    void *codes;       /* owned, [n_rows] of `width` bytes; n_values = missing */
    unsigned width;    /* 1, 2 or 4 */
    uint32_t n_values; /* codes of values are 0..n_values-1 */
    bool missing;      /* some row's value is */
    float *low,
        *high;   /* owned, [n_values]: the least and largest value of a code; equal when exact */
    double *cut; /* owned, [n_values - 1]: code <= k exactly when x <= cut[k]; NULL = exact: halfway
                    between the values that a node has */
};

struct am_tree_data {
    size_t n_rows, n_features;
    size_t n_classes;               /* 0 = numbers */
    struct am_tree_column *columns; /* owned, [n_features] */
    float *y;                       /* owned, [n_rows]: a number, or a class */
    double *weight;                 /* owned, [n_rows]: of the row times its class */
    size_t bins;                    /* 0 = exact */
    uint64_t n_bytes;               /* of all that */
    double *xlogx;                  /* owned, [n_xlogx]: k ln k of whole numbers, for entropy */
    size_t n_xlogx;
};

/* Beyond so many rows features are coded by quantiles, unless the recipe says otherwise. */
#define AM_TREE_EXACT_ROWS ((uint64_t)300000)
#define AM_TREE_BINS 255

struct am_tree_load {
    size_t bins;         /* 0 = exact up to AM_TREE_EXACT_ROWS, else AM_TREE_BINS */
    size_t n_at_once;    /* trees that are grown at the same time, for the check of memory */
    const char *learner; /* for messages */
};
/* Reads and codes the task's rows; classes are checked, weights are row times class weight. A task
 * whose memory_bytes are too few for it is AM_ELIMIT with what it takes. AM_ECANCELED. */
enum am_rc am_tree_data_new(const struct am_learn_task *t, const struct am_tree_load *load,
                            struct am_tree_data **out, struct am_err *err) AM_MUST_CHECK;
void am_tree_data_free(struct am_tree_data *d); /* NULL is fine */
static inline uint32_t am_tree_code(const struct am_tree_column *c, size_t row)
{
    return c->width == 1   ? ((const uint8_t *)c->codes)[row]
           : c->width == 2 ? ((const uint16_t *)c->codes)[row]
                           : ((const uint32_t *)c->codes)[row];
}

struct am_tree_node {
    int32_t feature;      /* -1 = leaf */
    uint32_t code;        /* left when the row's code <= code, or missing and missing_left */
    uint32_t left, right; /* of splits */
    uint32_t n_samples;
    bool missing_left;
    double threshold; /* left when x <= threshold */
    double weight, impurity;
};
struct am_grown_tree {
    AM_VEC(struct am_tree_node) nodes; /* node 0 is the root; children come behind parents */
    AM_VEC(double) value;              /* [n_nodes, n_value] */
    size_t n_value;                    /* class shares, or 1: mean (absolute: median) */
    size_t n_leaves, depth;
    double *importance; /* owned, [n_features]: sums to 1, or all 0 */
};
void am_grown_tree_clear(struct am_grown_tree *t);

struct am_tree_sample { /* a row in the bag */
    uint32_t row;
    float y;
    double w; /* > 0 */
};

struct am_tree_grower;
/* For trees of up to n samples. pool helps inside large nodes; NULL inside a pool's work. */
enum am_rc am_tree_grower_new(const struct am_tree_data *d, const struct am_tree_options *o,
                              size_t n, struct am_pool *pool, struct am_tree_grower **out,
                              struct am_err *err) AM_MUST_CHECK;
void am_tree_grower_free(struct am_tree_grower *g); /* NULL is fine */
/* Where the caller puts the samples of the next tree, [n]; am_tree_grow changes their order. */
struct am_tree_sample *am_tree_grower_samples(struct am_tree_grower *g);
/* Every row of weight > 0, times[row] times (NULL = once); returns how many samples. */
size_t am_tree_take_rows(struct am_tree_grower *g, const uint32_t *times);
/* Samples in ascending order of rows, at least one. Random choices come from rng, in the order of
 * nodes. Ties of gain: the feature looked at first (ascending when all are), then the lowest
 * threshold. out is empty on failure. AM_ECANCELED when progress says so (may be NULL). */
enum am_rc am_tree_grow(struct am_tree_grower *g, size_t n, struct am_rng *rng,
                        const struct am_progress *progress, struct am_grown_tree *out,
                        struct am_err *err) AM_MUST_CHECK;
/* The leaf of a coded row. */
uint32_t am_grown_tree_leaf(const struct am_grown_tree *t, const struct am_tree_data *d,
                            size_t row);

/* Appends a grown tree to t: leaves' values are values[leaf_width * node ..] or, with NULL, those
 * of the tree (binary classes: the second one's share). */
enum am_rc am_trees_add_grown(struct am_trees *t, const struct am_grown_tree *g,
                              const float *values, struct am_err *err) AM_MUST_CHECK;
/* Rows of the leaf table that are equal bit by bit become one. */
enum am_rc am_trees_share_leaves(struct am_trees *t, struct am_err *err) AM_MUST_CHECK;

#endif
