/* How the predictions of several models become one: weights, votes, a model over predictions.
 *
 * Works on arrays of predictions for rows whose truth is known; those must be out-of-fold (made by
 * models that had not seen the row), or the weights go to whoever memorises best. Log loss for
 * classes, squared error for numbers. Everything in double, sums in row order. Fitting only; knows
 * nothing of learners or graphs. Pure functions; any thread. */
#ifndef AM_LEARN_COMBINE_H
#define AM_LEARN_COMBINE_H

#include "base/err.h"
#include "tensor/task.h"

struct am_predictions {
    enum am_task task; /* REGRESSION, BINARY or MULTICLASS */
    size_t n_rows, n_members;
    size_t n_out;      /* columns of a prediction: 1, or the number of classes (MULTICLASS) */
    const float *pred; /* [n_members, n_rows, n_out] values, or probabilities */
    const float *y;    /* [n_rows] value or class index */
    const float *w;    /* [n_rows] or NULL = all 1 */
};

#define AM_COMBINE_CLIP 1e-6 /* probabilities are kept this far from 0 and 1 before a logarithm */

/* Mean log loss (natural), or mean squared error, of pred [n_rows, n_out]. */
double am_combine_loss(const struct am_predictions *p, const float *pred);
/* Of each row, into out [n_rows]. */
void am_combine_losses(const struct am_predictions *p, const float *pred, double *out);

/* Greedy selection with replacement (Caruana et al. 2004, with AutoGluon's rules): each round adds
 * the member that gives the running mean the lowest loss (to 6 decimals; ties go to one that is
 * used already, then to the first); the best prefix of the rounds wins. penalty [n_members] or
 * NULL: is added to the loss when a member is used for the first time (its cost). weights
 * [n_members] sum to 1; *loss of the prefix (without penalties), may be NULL. */
enum am_rc am_combine_greedy(const struct am_predictions *p, size_t n_rounds, const double *penalty,
                             double *weights, double *loss, struct am_err *err) AM_MUST_CHECK;
/* Weights >= 0 that sum to 1 with the lowest loss of the weighted mean: expectation maximisation of
 * a mixture for classes, constrained least squares for numbers. */
enum am_rc am_combine_weights(const struct am_predictions *p, double *weights,
                              struct am_err *err) AM_MUST_CHECK;

enum am_meta { AM_META_LOGISTIC, AM_META_RIDGE, AM_META_NNLS };
/* A model over predictions. coef [n_out, n_members * n_out + 1], bias last.
 * LOGISTIC (classes): of logits, as scikit-learn's LogisticRegression(C = strength) of them for two
 * classes; for more, one factor a member and a bias a class over log p, the same penalty.
 * RIDGE (numbers): as scikit-learn's Ridge(alpha = strength) with everything divided by the
 * target's deviation. NNLS: weights >= 0 by least squares without a bias; for classes they are made
 * to sum to 1 (coef is then a weighted mean of probabilities, not of logits). */
enum am_rc am_combine_meta(const struct am_predictions *p, enum am_meta meta, double strength,
                           double *coef, struct am_err *err) AM_MUST_CHECK;

/* Applying, to predictions pred [n_members, n_rows, n_out] of any rows, into out [n_rows, n_out].
 */
void am_combine_mean(const struct am_predictions *p, const double *weights, float *out);
/* Shares of the votes; each member votes for its first largest class (two classes: p >= 0.5). */
void am_combine_vote(const struct am_predictions *p, const double *weights, float *out);
void am_combine_apply_meta(const struct am_predictions *p, enum am_meta meta, const double *coef,
                           float *out);

/* min |A x - b| with x >= 0 (Lawson and Hanson 1974), of the normal equations: g [n, n] = A^T A,
 * h [n] = A^T b. */
enum am_rc am_nnls(size_t n, const double *g, const double *h, double *x,
                   struct am_err *err) AM_MUST_CHECK;

#endif
