/* Features made of features: clusters' distances, components and the like as further numbers of a
 * row, fitted on the training rows where a learner is fitted, and part of its graph. Inside of
 * learn/.
 *
 * `features.derived` is a list of {type: LEARNER, of: [columns], ...its keys}; LEARNER is one of
 * task clustering or embedding, its "code" (distances, memberships, components) is appended to the
 * row. As everything happens inside am_learner_fit, folds and ensembles fit them anew, and serving
 * runs the very nodes that training ran. One fit per task at a time. */
#ifndef AM_LEARN_DERIVED_H
#define AM_LEARN_DERIVED_H

#include "learn/learn.h"

/* Does the task derive features? */
bool am_derived_asked(const struct am_learn_task *t);
/* Types and keys, and the main task: AM_EUSAGE. Columns where they are known. */
enum am_rc am_derived_check(const struct am_learn_task *t, struct am_err *err) AM_MUST_CHECK;
/* am_learner_fit of a task that derives. out->info is a map. */
enum am_rc am_derived_fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                          struct am_err *err) AM_MUST_CHECK;

#endif
