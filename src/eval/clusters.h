/* Measuring clusters: from rows and the number of each row's cluster, and against labels.
 *
 * Rows in no cluster (pred below 0, noise) count nowhere. Definitions follow scikit-learn 1.2
 * (sklearn.metrics), in double; a figure without meaning is NaN: fewer than two clusters, or as
 * many as rows. Sums run in row order. Weights are not looked at. Pure; any thread. */
#ifndef AM_EVAL_CLUSTERS_H
#define AM_EVAL_CLUSTERS_H

#include "eval/eval.h"

/* Above so many rows the silhouette is that of so many, taken evenly. */
#define AM_SILHOUETTE_ROWS 10000
/* each: the value of every row looked at, in row order with its cluster in `cluster` (both
 * [AM_SILHOUETTE_ROWS]); *n_each of them. NULL = the mean only. */
struct am_silhouettes {
    size_t n;
    double *each;     /* the caller's, [AM_SILHOUETTE_ROWS] */
    int32_t *cluster; /* the caller's, the same */
};
enum am_rc am_silhouette(const struct am_eval_input *in, struct am_silhouettes *each, double *out,
                         struct am_err *err) AM_MUST_CHECK;
enum am_rc am_davies_bouldin(const struct am_eval_input *in, double *out,
                             struct am_err *err) AM_MUST_CHECK;
enum am_rc am_calinski_harabasz(const struct am_eval_input *in, double *out,
                                struct am_err *err) AM_MUST_CHECK;
/* Clusters that have a row. */
enum am_rc am_clusters_used(const struct am_eval_input *in, double *out,
                            struct am_err *err) AM_MUST_CHECK;
/* Rows with a label (truth not NaN); noise is a cluster of its own here. Adjusted Rand index, and
 * mutual information normalised by the arithmetic mean of both entropies. NaN without such rows. */
enum am_rc am_label_agreement(const struct am_eval_input *in, double *adjusted_rand, double *nmi,
                              struct am_err *err) AM_MUST_CHECK;

#endif
