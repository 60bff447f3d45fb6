/* Shared by automl.c, single.c and oof.c: one training from a recipe in memory, out-of-fold
 * predictions that are known already, budgets as text. Inside of pipeline/. One thread. */
#ifndef AM_PIPELINE_AUTOML_INT_H
#define AM_PIPELINE_AUTOML_INT_H

#include "pipeline/train_int.h"

/* "90s", "5m", "1h", "300" -> seconds; false = no positive time. */
bool am_budget_parse(struct am_str s, double *seconds);

/* One training without retries, over a dataset that is registered already. before is called when
 * the rows are parted and the run has started; it may be NULL. */
enum am_rc am_training_once(struct am_pipeline *pl, struct am_arena *a,
                            const struct am_recipe_source *src, const char *dataset_hash,
                            enum am_rc (*before)(void *ctx, struct am_training *t,
                                                 struct am_err *err),
                            void *ctx, struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* oof.c: out-of-fold predictions of members of an ensemble for the training rows (learn.h:
 * out_of_fold), features fitted inside each fold; ctx = the am_training. */
enum am_rc am_oof_predict(void *ctx, const struct am_node *model, size_t n_folds, size_t n_rows,
                          size_t n_out, float *pred, struct am_err *err) AM_MUST_CHECK;
/* Predictions that am_oof_predict would make and that are there already: borrowed until the
 * training ends. */
enum am_rc am_oof_offer(struct am_training *t, const struct am_node *model, size_t n_folds,
                        size_t n_rows, size_t n_out, const float *pred,
                        struct am_err *err) AM_MUST_CHECK;
void am_oof_clear(struct am_training *t);

/* advise.c: a finished training becomes an observation of the cost model, when its model is a
 * family at its default settings. */
void am_training_note_cost(const struct am_training *t, double seconds);

#endif
