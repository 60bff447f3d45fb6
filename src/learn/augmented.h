/* Training rows that look different in every epoch: am_train_data over other data, whose gather_at
 * changes rows as `train.augment` says (feature/augment.h, augment_seq.h, augment_rows.h).
 *
 * gather and view give the rows as they are. A row of an epoch is a pure function of (seed, epoch,
 * row), so the step sees the same bits whichever thread reads ahead, and in whatever batches. Any
 * number of threads may read; work memory is kept between calls, so after the first calls nothing
 * is allocated. */
#ifndef AM_LEARN_AUGMENTED_H
#define AM_LEARN_AUGMENTED_H

#include "base/tree.h"
#include "feature/features.h"
#include "nn/matrix.h"

struct am_augmented;

/* Are the settings right for a model whose only input is of this type (of category type: none is)?
 * AM_EUSAGE with line and column. spec: `train.augment`, may be NULL. */
enum am_rc am_augmented_check(const struct am_node *spec, const struct am_schema *inputs,
                              struct am_err *err) AM_MUST_CHECK;
/* *out = NULL when nothing is switched on. base and f are borrowed; f is needed here only.
 * classes: targets are class indices; mixup makes the data mix (am_train_data). AM_EUSAGE: a
 * picture, sound or video stands among other columns. */
enum am_rc am_augmented_new(const struct am_node *spec, const struct am_features *f,
                            const struct am_train_data *base, bool classes, uint64_t seed,
                            struct am_augmented **out, struct am_err *err) AM_MUST_CHECK;
const struct am_train_data *am_augmented_data(const struct am_augmented *a);
void am_augmented_free(struct am_augmented *a); /* NULL is fine */

#endif
