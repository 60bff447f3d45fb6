/* What training and the report say of a recommender; inside of pipeline/. */
#ifndef AM_PIPELINE_RECOMMENDER_H
#define AM_PIPELINE_RECOMMENDER_H

#include "eval/ranking.h"
#include "pipeline/train_int.h"

/* Where the held-out choices of data stand among what each user has not chosen in training; ratings
 * below the mean of all are no choices. popular: in the order of what is popular. data NULL: no
 * figure has a meaning. */
enum am_rc am_training_rank(const struct am_learned *l, const struct am_train_data *data, size_t k,
                            bool popular, struct am_ranking *out, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_training_recommender_report(struct am_training *t, const struct am_scored *s,
                                          size_t k, struct am_node *r,
                                          struct am_err *err) AM_MUST_CHECK;

#endif
