/* Training rows with classes of equal size: rows repeated, left out, or made between neighbours.
 *
 * `train.balance` works where a learner is fitted, so validation, test and the other folds never
 * see it. The rows of a class follow their order in the base; drawn ones are a function of the seed
 * alone. Any number of threads may read. */
#ifndef AM_LEARN_BALANCED_H
#define AM_LEARN_BALANCED_H

#include "learn/learn.h"

enum am_balance { AM_BALANCE_NONE, AM_BALANCE_OVER, AM_BALANCE_UNDER, AM_BALANCE_SMOTE };

struct am_balance_spec {
    enum am_balance type;
    double ratio;       /* over, smote: rows of a smaller class over those of the largest; under: of
                           the smallest over those of a larger one. In (0, 1] */
    size_t n_neighbors; /* of smote */
};
/* train_spec: the recipe's `train:`, may be NULL. */
struct am_balance_spec am_balance_spec_of(const struct am_node *train_spec);

/* Can the task's classes be balanced as its train_spec says? Before any row: shape and sparse rows
 * count where they are known. AM_EUSAGE. */
enum am_rc am_balanced_check(const struct am_learn_task *task, struct am_err *err) AM_MUST_CHECK;

struct am_balanced;
/* *out = NULL when the task's train_spec asks for nothing. task->train is borrowed. AM_EUSAGE as
 * am_balanced_check. */
enum am_rc am_balanced_new(const struct am_learn_task *task, struct am_balanced **out,
                           struct am_err *err) AM_MUST_CHECK;
const struct am_train_data *am_balanced_data(const struct am_balanced *b);
void am_balanced_free(struct am_balanced *b); /* NULL is fine */

#endif
