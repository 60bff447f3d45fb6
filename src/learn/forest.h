/* What the learners made of our own trees share: their keys, options, and the graph of a set of
 * trees. Inside of learn/. */
#ifndef AM_LEARN_FOREST_H
#define AM_LEARN_FOREST_H

#include "learn/tree_grow.h"

#define AM_TREE_NUMBER (AM_LEARNER_KEY_INT | AM_LEARNER_KEY_NUMBER)
/* depth: default of max_depth or NULL; features: default of max_features */
#define AM_TREE_KEYS(depth, features)                                                              \
    AM_KEY("criterion", AM_LEARNER_KEY_ENUM,                                                       \
           "auto|gini|entropy|log_loss|squared|absolute|poisson", 0, 0, "auto",                    \
           "What a split lowers; auto is gini for classes, squared error for numbers."),           \
        AM_KEY("max_depth", AM_LEARNER_KEY_INT, NULL, 1, 100000, depth,                            \
               "Splits between root and leaf at most; left out = no limit."),                      \
        AM_KEY("min_samples_split", AM_LEARNER_KEY_INT, NULL, 2, 1e9, "2",                         \
               "Rows that a node needs to be split."),                                             \
        AM_KEY("min_samples_leaf", AM_LEARNER_KEY_INT, NULL, 1, 1e9, "1",                          \
               "Rows that a leaf keeps at least."),                                                \
        AM_KEY("max_features", AM_LEARNER_KEY_ENUM | AM_TREE_NUMBER, "auto|sqrt|log2|all", 1e-6,   \
               1e6, features,                                                                      \
               "Features tried in each split: a share of them below 1, else a count."),            \
        AM_KEY("max_leaves", AM_LEARNER_KEY_INT, NULL, 2, 1e7, NULL,                               \
               "Leaves of a tree at most, the best split first; left out = no limit."),            \
        AM_KEY("min_impurity_decrease", AM_LEARNER_KEY_NUMBER | AM_LEARNER_KEY_INT, NULL, 0, 1e30, \
               "0", "What a split must lower the impurity by, times its share of the rows."),      \
        AM_KEY("ccp_alpha", AM_LEARNER_KEY_NUMBER | AM_LEARNER_KEY_INT, NULL, 0, 1e30, "0",        \
               "Cost of a leaf in minimal cost-complexity pruning; 0 = no pruning."),              \
        AM_KEY("bins", AM_LEARNER_KEY_INT, NULL, 2, 65535, NULL,                                   \
               "Quantiles that a feature is reduced to; left out: every value counts up to "       \
               "300000 rows, 255 beyond.")

/* Criteria that contradict the task. */
enum am_rc am_tree_check(const struct am_learn_task *t, const struct am_learner_ops *ops,
                         struct am_err *err) AM_MUST_CHECK;
void am_tree_options_read(const struct am_learn_task *t, const struct am_learner_ops *ops,
                          struct am_tree_options *o);
/* Targets that the criterion cannot take. */
enum am_rc am_tree_targets(const struct am_tree_data *d, const struct am_tree_options *o,
                           struct am_err *err) AM_MUST_CHECK;

/* Columns of y and width of a leaf for the task's classes (1 for numbers and two classes). */
enum am_rc am_forest_trees_init(const struct am_learn_task *t, struct am_trees *trees,
                                struct am_err *err) AM_MUST_CHECK;
/* x -> trees, as an unfinished graph: am_forest_finish names the output. */
enum am_rc am_forest_graph(const struct am_learn_task *t, const struct am_trees *trees,
                           struct am_graph **g, am_value *x, am_value *y,
                           struct am_err *err) AM_MUST_CHECK;
/* "y", the parameters, and what info says of trees: number, nodes, leaves, depth, bytes. */
enum am_rc am_forest_finish(const struct am_learn_task *t, const struct am_trees *trees, am_value y,
                            struct am_learned *out, struct am_arena *a, const char *name,
                            const char *solver, struct am_err *err) AM_MUST_CHECK;
/* info.importance: importance [n_features] divided by its sum. */
void am_forest_importance(struct am_arena *a, struct am_node *info, const double *importance,
                          size_t n);
/* The generator of tree `number` for one purpose; no two share a number. */
enum am_forest_draws { AM_FOREST_ROWS, AM_FOREST_SPLITS };
void am_forest_rng(struct am_rng *r, uint64_t seed, enum am_forest_draws what, uint64_t number);

#endif
