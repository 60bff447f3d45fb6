/* Shared by the files of this driver only. */
#ifndef DRIVERS_TREES_XGBOOST_DRIVER_INT_H
#define DRIVERS_TREES_XGBOOST_DRIVER_INT_H

#include "learn/trees.h"

#define PATH_BYTES 4096
#define fail_at(err, rc, ...) host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)

extern const struct am_host *host;

struct am_booster {
    void *matrix[2]; /* of XGBoost; owned: training and validation rows */
    void *booster;   /* of XGBoost; owned */
    uint64_t n_rows[2];
    size_t n_features, n_outputs;
    char folder[PATH_BYTES]; /* of pages; "" = in memory */
};

/* The library's own words for what went wrong. */
enum am_rc fail_library(struct am_err *err, const char *doing);

/* ops->trees */
enum am_rc model_trees(struct am_booster *b,
                       enum am_rc (*sink)(void *ctx, size_t round, size_t output,
                                          const struct am_boost_tree *tree, struct am_err *err),
                       void *ctx, struct am_err *err);

#endif
