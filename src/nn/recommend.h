/* A recommender as its parameters hold it (layers_cluster.h: factors): scores of all items
 * for a user, lists, what is alike. Reading only; nothing here allocates. Any thread. */
#ifndef AM_NN_RECOMMEND_H
#define AM_NN_RECOMMEND_H

#include "nn/params.h"

struct am_recommender { /* borrowed from the parameters */
    size_t n_users, n_items, factors, n_seen;
    const float *users; /* [U, f + 1] */
    const float *items; /* [I, f + 2] */
    const float *start; /* [U + 1, 2] */
    const float *seen;  /* [n_seen] */
    float mean;
};
/* false: these are no parameters of a recommender. */
bool am_recommender_of(const struct am_params *p, struct am_recommender *out);

/* Which number of a row is the user's, 0 or 1: the builder swaps them where it is the second. */
size_t am_recommender_user_feature(const struct am_graph *g);

#define AM_NOBODY SIZE_MAX /* an unknown user */
/* out [n_items]: as the op `factors` scores pairs; an unknown user gets what is popular. */
void am_recommender_scores(const struct am_recommender *r, size_t user, float *out);
/* Marks [n_items]: 1 where training saw that the user chose it; the others are left alone. */
void am_recommender_seen(const struct am_recommender *r, size_t user, uint8_t *marks);
/* The cosine of item with every item, out [n_items]; with users the same for a user, [n_users]. */
void am_recommender_like_item(const struct am_recommender *r, size_t item, float *out);
void am_recommender_like_user(const struct am_recommender *r, size_t user, float *out);
/* The n largest of v [m] without those marked, the largest first, of equals the lower number; how
 * many. marks NULL = none. */
size_t am_recommender_top(const float *v, size_t m, const uint8_t *marks, size_t n, size_t *out);

#endif
