/* What tree_split.c and tree_grow.c share: a node's samples, and the search for its best split. */
#ifndef AM_LEARN_TREE_INT_H
#define AM_LEARN_TREE_INT_H

#include "learn/tree_grow.h"

struct am_tree_stats { /* of a node's samples */
    size_t n;
    double weight, sum, squares; /* of y and y^2, weighted */
    double *counts;              /* borrowed, [n_classes]: weight per class */
    double impurity;
    double center; /* the leaf's number */
    bool pure;     /* one class, or one number */
};

struct am_tree_split {
    bool found, constant;
    double gain;            /* comparable within a node only */
    uint32_t feature, code; /* left: code <= code, or missing and missing_left */
    bool missing_left;
    bool missing_seen;
    double threshold;
};

struct am_tree_scratch {   /* of one thread; all owned */
    uint64_t *key, *other; /* [n] */
    uint32_t *codes;       /* [n] */
    double *slots;         /* [4 n + 64]: sums by code, or the trees of sums of medians */
    uint32_t *slot_n;      /* [2 n + 32] */
    double *left, *right;  /* [n_classes] */
    double *error;         /* [n + 1], absolute */
};

struct am_tree_search { /* of a node; read-only while features are searched */
    const struct am_tree_data *data;
    const struct am_tree_options *o;
    const struct am_tree_sample *samples; /* [stats.n] */
    struct am_tree_stats stats;
    const uint32_t *rank; /* absolute: of each sample's y among the node's, ties by place */
};

/* The best split by one feature. uniform in [0, 1): where a random threshold lies. */
void am_tree_search_feature(const struct am_tree_search *n, uint32_t feature, double uniform,
                            struct am_tree_scratch *s, struct am_tree_split *out);
/* n keys by their upper 32 bits, which are below `range`; the result lies in key. */
void am_tree_sort(uint64_t *key, uint64_t *other, size_t n, uint64_t range);

#endif
