/* Learners: training rows in, a graph with parameters out. One interface for every kind of model.
 *
 * Whatever the learner, the result is an nn graph with input "x" [B, n_features] and output "y":
 * [B, 1] (a regression's value, or p of the second class) or [B, C] (class probabilities), so one
 * package and one serving path fit all. Rows are prepared already (feature/); learners see numbers
 * only and stream over them, so data need not fit in memory. Results depend neither on the number
 * of threads nor on memory. Fitting only: not linked by libaimass. One fit per task at a time. */
#ifndef AM_LEARN_LEARN_H
#define AM_LEARN_LEARN_H

#include "base/tree.h"
#include "nn/train.h"
#include "tensor/task.h"

enum am_learner_key_type { /* bits; equal those of the recipe table */
                           AM_LEARNER_KEY_BOOL = 1,
                           AM_LEARNER_KEY_INT = 2,
                           AM_LEARNER_KEY_NUMBER = 4,
                           AM_LEARNER_KEY_TEXT = 8,
                           AM_LEARNER_KEY_ENUM = 16,
                           AM_LEARNER_KEY_INTS = 64,
                           AM_LEARNER_KEY_MAP = 128,
                           AM_LEARNER_KEY_MAPS = 512, /* a list of maps; the learner checks it */
};
struct am_learner_key {    /* a key under `model:` */
    const char *name;      /* "c" */
    unsigned types;        /* enum am_learner_key_type bits */
    const char *choices;   /* "a|b" for ENUM, else NULL */
    double min, max;       /* of numbers; equal = no bound */
    const char *otherwise; /* default as YAML text; NULL = none */
    const char *doc;       /* one sentence */
};

struct am_features;

struct am_learn_column { /* the numbers of a row that come from a column of the data */
    struct am_str name;
    size_t first, n;
};

struct am_learn_task {
    enum am_task task;
    size_t n_classes; /* 0 without classes, 2 for binary, >= 3 else */
    size_t n_features;
    /* What the features of a row are, [.., last] without the batch: [H,W,C] a picture, [T,C] a
     * sequence of vectors, [T] a sequence of token ids (0 = padding), [n_features] a plain row. The
     * product is n_features; rank 0 counts as [n_features]. */
    struct am_dims shape;
    size_t n_tokens; /* of a token sequence: ids are 0..n_tokens-1; else 0 */
    /* What the features are made of: SMOTE (train.balance) interpolates numbers and lets neighbours
     * vote on categories. NULL = all numbers. Borrowed. */
    const struct am_features *features;
    /* Features made of features (derived.h): the recipe's `features.derived`, NULL = none, and the
     * columns that it may name (n 0 = its place is not known yet), NULL = not known. */
    const struct am_node *derived;
    const struct am_learn_column *columns;
    size_t n_columns;
    size_t user_feature; /* recommendation: which of the two features is the user's number */
    /* Targets: one column; a value, or a class index 0..n_classes-1, or for multilabel a whole
     * number whose bit i says whether the row has label i of n_classes (AM_LIMIT_LABELS at most);
     * not read for anomaly and embedding. */
    const struct am_train_data *train;
    const struct am_train_data *validation; /* NULL = none */
    const struct am_node *model;      /* the recipe's `model:`; keys left out get their defaults */
    const struct am_node *train_spec; /* the recipe's `train:`; NULL = defaults */
    const double *class_weights; /* [n_classes], or NULL: all 1, or "balanced" when train_spec says
                                    so */
    uint64_t seed;
    struct am_pool *pool;  /* borrowed; NULL = this thread alone */
    uint64_t memory_bytes; /* what a learner may hold beside the rows given; 0 = no limit */
    const char *temp_dir;  /* for files beyond that; NULL = "/tmp" */
    /* A column whose missing values stay NaN: learners without AM_LEARNER_MISSING refuse. Empty =
     * there is none; borrowed. */
    struct am_str missing;
    struct am_train_hooks hooks;
    /* Reads the file that train.weights names; NULL = a file of that path. */
    enum am_rc (*read_file)(void *ctx, struct am_str path, struct am_buf *out, struct am_err *err);
    void *read_ctx;
    /* Predictions of a model (as `model:`) for every training row, in their order, by models that
     * had not seen the row, features fitted inside each fold; pred [n_rows, n_out]. NULL = learners
     * that need them (ensemble) cut folds of `train` themselves. */
    enum am_rc (*out_of_fold)(void *ctx, const struct am_node *model, size_t n_folds, size_t n_rows,
                              size_t n_out, float *pred, struct am_err *err);
    void *out_of_fold_ctx;
    /* Set by am_learner_find_rate alone. */
    const struct am_rate_options *rate_options;
    struct am_rate_curve *rate_curve;
};

enum am_learned_kind {
    AM_LEARNED_VALUE,       /* y [B,1]: the predicted number, or the anomaly score */
    AM_LEARNED_PROBABILITY, /* y [B,1]: p of class 1; or [B,C]: p of each class (multilabel: of each
                               label); calibrated by a likelihood */
    AM_LEARNED_SCORE, /* y [B,1] or [B,C] in [0,1], rows sum to 1: ranks, but is no probability */
};

struct am_learned {
    struct am_graph *graph;   /* owned */
    struct am_params *params; /* owned */
    enum am_learned_kind kind;
    struct am_train_result training; /* all zero for exact solvers */
    /* {"learner", "solver", "iterations", "converged", "n_parameters", "objective", "rows", ...} in
     * the arena given to am_learner_fit */
    struct am_node *info;
};
void am_learned_clear(struct am_learned *l);

/* What a learner is, as bits of am_learner_ops.flags; docs/LEARNERS.md's matrix is made of them. */
enum am_learner_flag {
    AM_LEARNER_STEPS = 1,      /* trained in steps, epoch by epoch (am_learner_in_steps) */
    AM_LEARNER_FROM_ROWS = 2,  /* what the model is made of is known only after rows were seen
                                  (trees,  neighbours): `plan` shows no layers */
    AM_LEARNER_MISSING = 4,    /* takes NaN among the features as "missing" */
    AM_LEARNER_NO_WEIGHTS = 8, /* row weights other than 1 are refused by am_learner_fit */
    AM_LEARNER_AS_IS = 16,     /* train.balance leaves its rows alone: it fits other learners on
                                  them, or says what they are like */
};

struct am_learner_ops {
    const char *name;                  /* "logistic": `model.type` */
    const char *doc;                   /* one sentence */
    unsigned tasks;                    /* bits 1 << enum am_task */
    const struct am_learner_key *keys; /* without `type` */
    size_t n_keys;
    unsigned flags; /* enum am_learner_flag */
    /* Takes rows by gather_sparse / view_sparse where the data has them. Others are given the same
     * rows dense as long as all of them fit AM_LIMIT_DENSIFY_BYTES; beyond it am_learner_fit
     * refuses with AM_ELIMIT and the learner's name. */
    bool sparse;
    /* Settings that contradict one another; types, ranges and unknown keys are checked by
     * am_learner_check before. */
    enum am_rc (*check)(const struct am_learn_task *task, struct am_err *err);
    /* info is filled into the map given. */
    enum am_rc (*fit)(const struct am_learn_task *task, struct am_learned *out, struct am_arena *a,
                      struct am_err *err);
    /* The graph that fit would train, without rows; NULL = one dense layer. */
    enum am_rc (*graph)(const struct am_learn_task *task, struct am_graph **out,
                        struct am_err *err);
};

const struct am_learner_ops *am_learner_find(struct am_str name); /* NULL = unknown */
/* All of them, in the order of the manual. Static. */
const struct am_learner_ops *const *am_learners(size_t *n);
/* Can it do this task at all, by itself or with a model for each label? */
bool am_learner_takes(const struct am_learner_ops *ops, enum am_task task);
/* The table of docs/LEARNERS.md: learner x task, missing values, weights, sparse rows. */
void am_learners_markdown(struct am_buf *out);
/* The learner of `model.type`; a missing type or "auto" is "logistic", "linear" or "autoencoder" by
 * task. AM_EUSAGE with line, column and the nearest name. */
enum am_rc am_learner_of(const struct am_learn_task *task, const struct am_learner_ops **out,
                         struct am_err *err) AM_MUST_CHECK;
/* Keys, types, ranges, contradictions and the task of `model:`; train and validation may still be
 * NULL here. AM_EUSAGE. */
enum am_rc am_learner_check(const struct am_learn_task *task, struct am_err *err) AM_MUST_CHECK;
/* Check, then train. On failure out is empty. AM_ECANCELED when the task's hooks said so. */
enum am_rc am_learner_fit(const struct am_learn_task *task, struct am_learned *out,
                          struct am_arena *a, struct am_err *err) AM_MUST_CHECK;

/* Is it trained in steps, epoch by epoch, so that `train.augment` and the like mean something? The
 * exact solvers are not. task was checked. */
bool am_learner_in_steps(const struct am_learn_task *task);

/* The graph that would be trained: shapes and parameters before any row is read (`plan`).
 * task.train may be NULL. *out is the caller's. */
enum am_rc am_learner_graph(const struct am_learn_task *task, struct am_graph **out,
                            struct am_err *err) AM_MUST_CHECK;

/* A copy of a learned graph whose "y" is another of its outputs (an autoencoder's "reconstruction"
 * or "code"); the parameters fit both. AM_ENOTFOUND. */
enum am_rc am_learn_select_output(const struct am_graph *g, const char *name, struct am_graph **out,
                                  struct am_err *err) AM_MUST_CHECK;

/* What a network is made of, for `plan`; without rows: {"layers": [{"name", "type", "output" (text,
 * "[B,28,28,32]"), "parameters", "flops" (of a row)}, ..], "parameters", "trained" (without running
 * statistics and frozen ones), "flops" (of a row), "predict_bytes" (one row: what a session takes
 * and packed weights), "train_bytes" (one step: session, weights, gradients, moments),
 * "batch_size"}. */
enum am_rc am_learner_layers(const struct am_learn_task *task, struct am_arena *a,
                             struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* The learning-rate range test (train.h) of a task's network on its rows: {"rates": [..], "losses":
 * [..], "suggestion"}; AM_EUNSUPPORTED for learners without steps. Nothing is trained or kept. */
enum am_rc am_learner_find_rate(const struct am_learn_task *task,
                                const struct am_rate_options *options, struct am_arena *a,
                                struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* Training knobs from the recipe's `train:` (missing keys: defaults). `loss` auto fits the task. */
enum am_rc am_learn_train_config(const struct am_learn_task *task, struct am_train_config *out,
                                 struct am_err *err) AM_MUST_CHECK;

#endif
