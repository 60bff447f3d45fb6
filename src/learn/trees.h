/* Growing trees on gradients: the port to a library that does it (drivers/trees-*).
 *
 * The library bins the rows once, then grows one round of trees after another on the gradients it
 * is given; losses, sampling of rows, early stopping and the model are ours
 * (learn/gradient_boosting.c). Gradients are whole multiples of a power of two small enough that
 * any order of adding them is exact, so a driver whose choices depend on such sums alone gives the
 * same trees for any number of threads. Not a predictor of models: nn/ops/trees.c is. Trained from
 * one thread at a time; the loader is set once, before threads start. */
#ifndef AM_LEARN_TREES_H
#define AM_LEARN_TREES_H

#include <stdbool.h>

#include "base/host.h"
#include "tensor/sparse.h"

#define AM_BOOST_DEPTH_MAX 24
#define AM_BOOST_BINS_MAX 256 /* a bin is a byte */

/* Rows as the library reads them: from the first to the last, several times over. */
struct am_boost_rows {
    uint64_t n_rows;
    size_t n_features;
    bool sparse; /* batches are sparse; what is not stored is 0 */
    void *ctx;
    /* The rows from `first` on: 1 or more, at most n_rows - first. x [*n, n_features], NaN =
     * missing, no infinite value; or sparse rows. They live until the next call for these rows. */
    enum am_rc (*batch)(void *ctx, uint64_t first, const float **x, struct am_csr *sparse,
                        size_t *n, struct am_err *err);
};

struct am_boost_config {
    size_t n_outputs; /* trees of a round */
    unsigned depth;   /* 1..AM_BOOST_DEPTH_MAX */
    unsigned leaves;  /* 0 = only depth bounds a tree, level by level; else so many, best first */
    unsigned bins;    /* 2..AM_BOOST_BINS_MAX a feature */
    double learning_rate;    /* of each leaf's value, > 0 */
    double lambda, alpha;    /* L2 and L1 on leaf values */
    double gamma;            /* least gain of a split */
    double min_child_weight; /* least sum of hessians in a leaf */
    double column_sample;    /* (0, 1]: of the features, drawn for each tree */
    const int8_t *monotone;  /* [n_features] of -1, 0, 1; NULL = all 0 */
    uint64_t seed;           /* of drawing columns */
    unsigned n_threads;      /* >= 1 */
    /* A folder for pages of rows: they are kept there, not in memory. NULL = in memory, one byte a
     * number. */
    const char *page_dir;
};

struct am_booster;

/* One tree of the sum; as struct am_tree of nn/layers_trees.h with leaf width 1. */
struct am_boost_tree {
    size_t n_nodes;
    const int32_t *feature; /* -1 = leaf */
    const float *threshold;
    const uint32_t *left, *right;
    const uint8_t *missing_left;
    const float *value;
    const float *gain;  /* of splits: what the loss fell by */
    const float *cover; /* sum of hessians */
};

struct am_trees_ops {
    uint64_t abi;  /* AM_PORTS_ABI */
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err); /* first; again is fine */
    const char *(*version)(void);                                        /* "XGBoost 1.7.4" */

    /* Bins train, and validation (NULL = none) by the same bins. config and rows are borrowed for
     * the call, monotone as well. An error of batch() ends it with that error. */
    enum am_rc (*make)(const struct am_boost_config *config, const struct am_boost_rows *train,
                       const struct am_boost_rows *validation, struct am_booster **out,
                       struct am_err *err);
    void (*drop)(struct am_booster *b); /* NULL is fine; page files are gone then */
    /* Sums of all trees so far for each row [n_rows, n_outputs], which begin as 0. They live until
     * the next call for b. */
    enum am_rc (*margins)(struct am_booster *b, bool validation, const float **out,
                          struct am_err *err);
    /* One round: a tree an output. gradient, hessian [n_rows, n_outputs], hessian >= 0; borrowed.
     */
    enum am_rc (*grow)(struct am_booster *b, float *gradient, float *hessian, struct am_err *err);
    /* All trees, round after round, output after output; an error of the sink ends it. */
    enum am_rc (*trees)(struct am_booster *b,
                        enum am_rc (*sink)(void *ctx, size_t round, size_t output,
                                           const struct am_boost_tree *tree, struct am_err *err),
                        void *ctx, struct am_err *err);
};

/* Where the driver comes from; called when a model first wants it. NULL = none (AM_EMISSING). */
struct am_trees_loader {
    void *ctx;
    enum am_rc (*open)(void *ctx, const struct am_trees_ops **out, struct am_err *err);
};
void am_trees_set_loader(const struct am_trees_loader *l); /* copied */
enum am_rc am_trees_port(const struct am_trees_ops **out, struct am_err *err) AM_MUST_CHECK;

#endif
