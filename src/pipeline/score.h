/* Predictions of a trained graph over rows, and what is measured on them.
 *
 * Works on the float rows that features made, so training, cross-validation and importance use the
 * same numbers as serving. Owns its arrays. One thread. */
#ifndef AM_PIPELINE_SCORE_H
#define AM_PIPELINE_SCORE_H

#include "eval/eval.h"
#include "eval/ranking.h"
#include "feature/features.h"
#include "learn/learn.h"

struct am_scored {
    struct am_eval_input in; /* truth and pred point into the arrays below; threshold 0.5 */
    double *truth, *weight;  /* owned; weight NULL = all 1 */
    float *pred;             /* owned */
    /* Clustering: in.pred are clusters; above AM_SCORED_CELLS numbers `in` holds so many rows taken
     * evenly, with their numbers x. */
    float *clusters, *x, *some; /* owned: of all n_all rows; in.x; in.pred where they are fewer */
    size_t n_all;
    struct am_ranking ranking; /* recommendation: in.ranking */
};
#define AM_SCORED_CELLS ((size_t)64 << 20)
/* n_classes: 0 for regression. data NULL or empty: in.n_rows = 0. */
enum am_rc am_score(const struct am_learned *l, enum am_task task, size_t n_classes,
                    const struct am_train_data *data, struct am_pool *pool, struct am_scored *out,
                    struct am_err *err) AM_MUST_CHECK;
void am_scored_clear(struct am_scored *s);
/* x [n, width] -> y [n, n_out]. */
enum am_rc am_score_rows(const struct am_learned *l, size_t n, size_t width, const float *x,
                         float *y, size_t n_out, struct am_pool *pool,
                         struct am_err *err) AM_MUST_CHECK;

/* [{column, mean, deviation}], largest first: what the metric loses when a column is shuffled. At
 * most max_rows rows are used. */
enum am_rc am_score_importance(const struct am_learned *l, const struct am_features *f,
                               enum am_task task, size_t n_classes,
                               const struct am_train_data *data, struct am_str metric,
                               double threshold, uint64_t seed, size_t max_rows,
                               struct am_pool *pool, struct am_arena *a, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;

#endif
