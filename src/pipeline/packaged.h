/* Predictions of a packaged model on a table that has its target: for `evaluate` and for the rival
 * of `register.if`. Through the model's own prediction path, not through the training rows. One
 * thread. */
#ifndef AM_PIPELINE_PACKAGED_H
#define AM_PIPELINE_PACKAGED_H

#include "base/progress.h"
#include "base/vec.h"
#include "eval/eval.h"
#include "model/model.h"

struct am_pool;
struct am_target;

struct am_packaged_scores {
    AM_VEC(double) truth;
    AM_VEC(float) pred;
    AM_VEC(float) x;         /* clustering: the rows as the model sees them */
    uint64_t n_skipped;      /* rows without a target; those of models that learn rows stay */
    struct am_eval_input in; /* over the vectors; filled at the end */
};

/* columns: [inputs of the model in order, target] as indices into t's schema; NULL = t has just
 * these. truth: whose targets are read; NULL = the model's. A model that learns rows may do
 * without: n_columns is then that of its inputs, and its truth is NaN. */
enum am_rc am_score_packaged(struct am_model *m, const struct am_table *t, const size_t *columns,
                             size_t n_columns, const struct am_target *truth, struct am_pool *pool,
                             struct am_progress *progress, struct am_packaged_scores *out,
                             struct am_err *err) AM_MUST_CHECK;
void am_packaged_scores_clear(struct am_packaged_scores *s);

#endif
