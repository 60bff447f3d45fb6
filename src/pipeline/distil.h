/* Training rows whose targets are mixed with another model's predictions (train.distil). Inside of
 * pipeline/. One thread makes them; any number may read. */
#ifndef AM_PIPELINE_DISTIL_H
#define AM_PIPELINE_DISTIL_H

#include "pipeline/train_int.h"

struct am_distilled;

/* *out = NULL where the recipe says nothing of train.distil. rows (the training rows) is borrowed
 * as long as *out lives; free with am_distilled_free. AM_ENOTFOUND: no such model; AM_EUSAGE: it
 * predicts something else. */
enum am_rc am_training_distil(struct am_training *t, const struct am_train_data *rows,
                              struct am_distilled **out, struct am_err *err) AM_MUST_CHECK;
const struct am_train_data *am_distilled_data(const struct am_distilled *d);
void am_distilled_free(struct am_distilled *d); /* NULL is fine */

#endif
