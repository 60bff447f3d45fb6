/* Measuring rankings: of each user, where held-out items stand among all that the user has not
 * chosen in training.
 *
 * Knows no model: it gets one user after the other as scores of the candidates. A user without a
 * held-out item counts nowhere. Equal scores stand in the order of the items. Figures are means
 * over users, in the order they were added. One thread a struct. */
#ifndef AM_EVAL_RANKING_H
#define AM_EVAL_RANKING_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct am_ranking {
    size_t k;       /* the first so many places count */
    size_t n_users; /* added with a held-out item */
    /* sums while users are added, means after am_ranking_finish; NaN without a user */
    double hit_rate, precision_at_k, recall_at_k, ndcg_at_k, map_at_k, mrr, ranking_auc;
};
void am_ranking_init(struct am_ranking *r, size_t k);
/* places: [n_held] 0-based places of the held-out items among n_candidates, rising. recall divides
 * by min(n_held, k); average precision likewise. */
void am_ranking_add(struct am_ranking *r, const size_t *places, size_t n_held, size_t n_candidates);
void am_ranking_finish(struct am_ranking *r);

#endif
