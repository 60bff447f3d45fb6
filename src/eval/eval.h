/* Measuring predictions: metrics, curves, intervals, thresholds, importance, from arrays alone.
 *
 * Knows nothing of models or tables: it gets truth and predictions, or a callback that scores. Sums
 * run in row order with compensation, so a figure does not depend on threads. Metric names are
 * those of recipes. Pure functions; any thread. */
#ifndef AM_EVAL_EVAL_H
#define AM_EVAL_EVAL_H

#include "base/pool.h"
#include "base/tree.h"
#include "tensor/task.h"

struct am_ranking; /* eval/ranking.h */
struct am_eval_input {
    enum am_task task;
    size_t n_rows;
    size_t n_classes;     /* 2 for BINARY, 0 without classes */
    const double *truth;  /* [n_rows] class index, or value; ANOMALY, EMBEDDING: 0 = normal, 1 =
                             anomalous, NaN = not labelled; MULTILABEL: bit i = has label i;
                             CLUSTERING: index of the label, NaN =
                             not labelled; RECOMMENDATION: the rating, NaN = none */
    const float *pred;    /* BINARY [n_rows] of the positive class; MULTICLASS, MULTILABEL [n_rows,
                             n_classes];
                             REGRESSION [n_rows]; ANOMALY, EMBEDDING [n_rows] the anomaly score;
                             CLUSTERING [n_rows] the cluster, below 0 = noise */
    const double *weight; /* [n_rows] or NULL */
    double threshold;     /* BINARY, MULTILABEL, ANOMALY: positive when pred >= threshold */
    bool scores;    /* pred are scores, not probabilities: log_loss, brier, ece are undefined */
    const float *x; /* CLUSTERING: [n_rows, width] the rows as the model sees them; NULL = no metric
                       of places */
    size_t width;
    const struct am_ranking *ranking; /* RECOMMENDATION: as ranking.h measures; NULL = none */
};

enum am_metric_better { AM_METRIC_HIGHER, AM_METRIC_LOWER, AM_METRIC_NEITHER };

struct am_metric_info {
    const char *name;
    unsigned tasks; /* bits 1u << enum am_task */
    enum am_metric_better better;
    bool needs_probabilities;
    const char *doc;
};
/* Static table of n rows. */
const struct am_metric_info *am_metrics(size_t *n);
const struct am_metric_info *am_metric_find(struct am_str name); /* NULL = unknown */
/* What a report shows when the recipe names none: a NULL-terminated list of names. */
const char *const *am_metrics_default(enum am_task task);
/* The same for anomalies whose rows are labelled. */
const char *const *am_metrics_default_labelled(void);
/* The same for clusters whose rows are labelled. */
const char *const *am_metrics_default_grouped(void);
/* The same for a recommender with ratings. */
const char *const *am_metrics_default_rated(void);
/* Does the metric compare anomaly scores with labels? NaN unless both kinds of label are there. */
bool am_metric_needs_labels(struct am_str name);

/* The labelled rows of anomaly scores as a two-class input (scores, no probabilities), so that
 * curves and the confusion can be drawn of them. The arrays are the caller's: am_labelled_clear. */
struct am_labelled {
    struct am_eval_input in;
    double *truth, *weight; /* owned; weight NULL = none */
    float *pred;            /* owned */
};
enum am_rc am_labelled_of(const struct am_eval_input *in, struct am_labelled *out,
                          struct am_err *err) AM_MUST_CHECK;
void am_labelled_clear(struct am_labelled *l);

/* The quantile q in [0, 1] of n values, linear between neighbours (numpy's default); NaN without
 * values or when one is not a number. */
enum am_rc am_quantile(const float *v, size_t n, double q, double *out,
                       struct am_err *err) AM_MUST_CHECK;
/* Histogram of anomaly scores: {low, width, n: [..], anomalous: [..] of the labelled ones (absent
 * when no row is labelled), above}. The range ends half as far again as the threshold or the 99th
 * percentile, so that one far row does not hide the others; the last bin holds the `above` rows
 * beyond it, too. */
struct am_node *am_score_histogram(const struct am_eval_input *in, size_t n_bins,
                                   struct am_arena *a);

/* One metric. NaN when it is undefined on these rows (one class only, for example), when a
 * prediction or a true value is not finite, or when a class index is outside 0..n_classes-1.
 * AM_EUSAGE: unknown name (nearest suggested), or a metric of another task. */
enum am_rc am_metric(const struct am_eval_input *in, struct am_str name, double *out,
                     struct am_err *err) AM_MUST_CHECK;
/* {name: value}; names [n]; `composite` = {NAME: expression} or NULL, added after the others. */
enum am_rc am_metrics_node(const struct am_eval_input *in, const struct am_str *names, size_t n,
                           const struct am_node *composite, struct am_arena *a,
                           struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* A weighted expression of metrics: numbers, metric names, + - * / and parentheses (depth <= 16);
 * a term may begin with a sign. AM_EUSAGE names the position (1-based). x / 0 is NaN. */
typedef enum am_rc am_metric_value_fn(void *ctx, struct am_str name, double *out,
                                      struct am_err *err);
enum am_rc am_composite(struct am_str expression, am_metric_value_fn *value, void *ctx, double *out,
                        struct am_err *err) AM_MUST_CHECK;
/* Names and syntax of an expression without values, for the recipe's check. */
enum am_rc am_composite_check(struct am_str expression, enum am_task task,
                              struct am_err *err) AM_MUST_CHECK;

/* The threshold with the best metric, among the midpoints of neighbouring scores (thinned to at
 * most 1000) and the lowest score, inside 0..1; ties go to the one nearest 0.5. *value is NaN
 * (threshold 0.5) when the metric is defined for none. BINARY only; a metric without direction is
 * AM_EUSAGE. */
enum am_rc am_threshold_choose(const struct am_eval_input *in, struct am_str metric,
                               double *threshold, double *value, struct am_err *err) AM_MUST_CHECK;

struct am_bootstrap_options {
    uint64_t seed;
    size_t n_resamples;   /* lowered so that resamples * rows <= 2e7, but not below 100 by that */
    double level;         /* between 0 and 1: 0.95 */
    struct am_pool *pool; /* borrowed; NULL = this thread */
};
/* Percentile intervals: {name: {value, low, high, resamples}}; resamples = those on which the
 * metric was defined. An empty map without rows, names or resamples. The same bits for any pool. */
enum am_rc am_bootstrap(const struct am_eval_input *in, const struct am_str *names, size_t n,
                        const struct am_bootstrap_options *o, struct am_arena *a,
                        struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* [n_classes][n_classes] counts of rows, truth in rows, into counts (caller's, zeroed here). Rows
 * whose class is unknown are left out. */
void am_confusion(const struct am_eval_input *in, uint64_t *counts);
/* Predicted class of a row: pred >= threshold in double, or the first of the largest. */
size_t am_eval_label(const struct am_eval_input *in, size_t row);

/* Curves as nodes with at most `max_points` points each:
 * roc: [{class?, auc, x: [fpr], y: [tpr]}]; pr: [{class?, ap, x: [recall], y: [precision]}];
 * calibration: [{class?, x: [mean predicted], y: [share positive], n: [rows]}]. Classes one against
 * the rest for MULTICLASS (the first 12); a class without both sides has no curve. Empty lists when
 * a prediction is not finite. Memory that is out sticks in the arena (here and below). */
struct am_node *am_curve_roc(const struct am_eval_input *in, size_t max_points, struct am_arena *a);
struct am_node *am_curve_pr(const struct am_eval_input *in, size_t max_points, struct am_arena *a);
struct am_node *am_curve_calibration(const struct am_eval_input *in, size_t n_bins,
                                     struct am_arena *a);
/* {predicted: [..], residual: [..], bins: {low, width, n: [..]}} of at most max_points rows */
struct am_node *am_residuals(const struct am_eval_input *in, size_t max_points, struct am_arena *a);
/* {mean, median, mode, variance} of the predictions (classes: of the label; regression: of the
 * value) */
struct am_node *am_prediction_summary(const struct am_eval_input *in, struct am_arena *a);

/* MULTILABEL: label i as two classes; truth and pred (both [n_rows], the caller's) are filled. */
struct am_eval_input am_eval_label_input(const struct am_eval_input *in, size_t label,
                                         double *truth, float *pred);
/* [{label, rows, precision, recall, f1, roc_auc, average_precision}] in the order of the labels;
 * names [n_classes]. */
enum am_rc am_labels_table(const struct am_eval_input *in, const struct am_str *names,
                           struct am_arena *a, struct am_node **out,
                           struct am_err *err) AM_MUST_CHECK;

/* Permutation importance (Breiman 2001): the metric's loss when one group of columns is shuffled
 * between rows. score() measures with the rows of group g taken in the order perm ([n_rows], or
 * NULL = as is). */
struct am_importance_job {
    size_t n_groups;
    size_t n_rows;
    size_t n_repeats;
    uint64_t seed;
    enum am_metric_better better;
    void *ctx;
    enum am_rc (*score)(void *ctx, size_t group, const uint32_t *perm, double *out,
                        struct am_err *err);
};
/* mean and deviation of the drop over the repeats, [n_groups] each; the caller's arrays. AM_EUSAGE
 * without repeats or with 2^32 rows or more; an error of score() ends it. */
enum am_rc am_importance(const struct am_importance_job *job, double *mean, double *deviation,
                         struct am_err *err) AM_MUST_CHECK;

#endif
