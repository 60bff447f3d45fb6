/* The evaluator of one candidate: settings over a resolved recipe, measured fold by fold.
 *
 * A struct am_trials holds prepared data, one assignment of rows to folds that all candidates
 * share, and a cache: the features of a fold are fitted inside its training rows, once, and are
 * used again by every candidate whose settings of `features` (and of what else changes rows) are
 * equal. am_trial_run trains and measures one candidate in this process; study.h runs many in child
 * processes. Nothing here reads the test part (unless the caller's folds contain it) or the
 * records. One thread at a time on one struct am_trials. */
#ifndef AM_PIPELINE_TRIAL_H
#define AM_PIPELINE_TRIAL_H

#include "pipeline/folds.h"

enum am_trial_status {
    AM_TRIAL_OK,
    AM_TRIAL_FAILED,   /* it could not be trained or measured: `why` says the reason */
    AM_TRIAL_PRUNED,   /* the report callback ended it as hopeless */
    AM_TRIAL_CANCELED, /* by the progress object's cancel flag or the deadline */
};
const char *am_trial_status_name(enum am_trial_status s); /* "ok", "failed", ..; static */

struct am_trials_options {
    const struct am_folds *folds; /* borrowed */
    /* Names in the order of the results; NULL = evaluate.metrics of the recipe, or the task's own
     * default ones. am_composite expressions are names, too. */
    const struct am_str *metrics;
    size_t n_metrics;
    const char *weights_path; /* where train.weights is read from; NULL = there is none */
    uint64_t memory_bytes;    /* of cached features in RAM; 0 = a quarter of the pipeline's limit */
};

struct am_trials;
/* p is borrowed, am_prepare_rows was done on it. AM_EUSAGE: an unknown metric, or one of another
 * task. */
enum am_rc am_trials_new(const struct am_prepared *p, const struct am_trials_options *o,
                         struct am_trials **out, struct am_err *err) AM_MUST_CHECK;
void am_trials_free(struct am_trials *t); /* NULL is fine */
size_t am_trials_n_metrics(const struct am_trials *t);
const struct am_str *am_trials_metrics(const struct am_trials *t); /* until free */
/* Is a higher value of metric i better? (AM_METRIC_NEITHER counts as lower.) */
bool am_trials_higher(const struct am_trials *t, size_t i);
/* How often features of a fold were fitted and how often they came from the cache. */
struct am_trials_counts {
    uint64_t n_fitted, n_reused, cached_bytes;
};
struct am_trials_counts am_trials_counts(const struct am_trials *t);

/* One candidate. */
struct am_trial_spec {
    /* Settings over the recipe as in --set: dotted path and YAML text ("model" = "{type: mlp}"
     * replaces the whole map). Only features, model, train and evaluate.threshold can be set. */
    const struct am_recipe_set *sets;
    size_t n_sets;
    /* Optional. After each fold: step = folds done, value = mean so far of the metric `watch`; with
     * a single fold of a learner that trains in epochs, after each epoch: step = the epoch, value =
     * its loss on the measured rows, with the sign of the metric's direction (lower is better: the
     * loss itself). *prune = true ends the candidate as pruned. */
    enum am_rc (*report)(void *ctx, uint64_t step, double value, bool *prune, struct am_err *err);
    void *ctx;
    size_t watch;         /* index of a metric */
    uint64_t deadline_ns; /* of am_mono_ns; 0 = none. Obeyed between epochs and folds */
    bool predictions;     /* keep out-of-fold predictions */
    bool latency;         /* measure what one prediction takes */
    bool one_fold;        /* measure `fold` alone (< am_folds_count) */
    size_t fold;
};

/* Predictions for rows that their model had not seen, in the order of the rows. Several repeats:
 * their mean; NaN where one_fold left a row to other folds. All candidates of one struct am_trials
 * have the same rows in the same order. */
struct am_trial_rows {
    size_t n, n_out;     /* n_out: 1, or the classes of a multi-class task */
    const uint64_t *row; /* borrowed from the trials [n]: rows of the table, ascending */
    const double *truth; /* borrowed from the trials [n]: as am_target_encode */
    float *pred;         /* owned [n, n_out] */
};

struct am_trial_result {
    enum am_trial_status status;
    enum am_rc rc;                  /* of a failed one */
    char why[AM_ERR_MESSAGE_BYTES]; /* "" unless failed */
    size_t n_folds;                 /* that were measured */
    size_t n_metrics;
    double *metrics;           /* owned [n_folds, n_metrics]; NaN = undefined on these rows */
    double *mean;              /* owned [n_metrics], over the folds that have a value */
    double *deviation;         /* owned [n_metrics], of the folds (n in the denominator) */
    double fit_seconds;        /* of all folds: features (where they were fitted) and learning */
    double latency_us;         /* p50 of one row alone, features and model; NaN = not measured */
    uint64_t size_bytes;       /* weights and graph of the last fold's model */
    uint64_t n_parameters;     /* of the last fold's model */
    struct am_trial_rows rows; /* n = 0 unless asked for and status is ok */
};

/* A candidate that fails, is pruned or canceled is a result, not an error: the call then returns
 * AM_OK. Errors are of this process alone (out of memory for the result). *out is cleared with
 * am_trial_result_clear, also after an error. Node trees live in an arena of its own that ends with
 * the call. */
enum am_rc am_trial_run(struct am_trials *t, const struct am_trial_spec *spec,
                        struct am_trial_result *out, struct am_err *err) AM_MUST_CHECK;
void am_trial_result_clear(struct am_trial_result *r);
/* Mean and deviation over r's folds, into r. */
void am_trial_mean(struct am_trial_result *r);
/* Row numbers and truth of all candidates into rows; rows->n is set. */
void am_trials_rows(const struct am_trials *t, struct am_trial_rows *rows);

/* Would this candidate be refused before its first row? Checks paths, types, rules and the learner.
 * The error is the one that a person gets. */
enum am_rc am_trial_check(struct am_trials *t, const struct am_recipe_set *sets, size_t n_sets,
                          struct am_err *err) AM_MUST_CHECK;

#endif
