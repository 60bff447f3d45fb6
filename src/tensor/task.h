/* What a model predicts. Shared by targets, learners, metrics and packages.
 *
 * Regression and classes learn a target; anomaly and embedding learn the rows themselves, a target
 * is at most a label to measure with. Names are those of recipes and packages, but that recipes say
 * "classification" for both kinds of classes. */
#ifndef AM_TENSOR_TASK_H
#define AM_TENSOR_TASK_H

#include "base/str.h"

enum am_task {
    AM_TASK_REGRESSION, /* one number */
    AM_TASK_BINARY,     /* two classes; the second one is the positive */
    AM_TASK_MULTICLASS, /* three or more classes */
    AM_TASK_ANOMALY,    /* a score of how unlike the training rows a row is */
    AM_TASK_EMBEDDING,  /* the few numbers that a row is reduced to */
    AM_N_TASKS
};

static inline const char *am_task_name(enum am_task t)
{
    static const char *const names[AM_N_TASKS] = {"regression", "binary", "multiclass", "anomaly",
                                                  "embedding"};
    return names[t];
}

static inline bool am_task_parse(struct am_str s, enum am_task *out)
{
    for (unsigned i = 0; i < AM_N_TASKS; i++)
        if (am_str_is(s, am_task_name((enum am_task)i))) {
            *out = (enum am_task)i;
            return true;
        }
    return false;
}

static inline bool am_task_has_classes(enum am_task t)
{
    return t == AM_TASK_BINARY || t == AM_TASK_MULTICLASS;
}
/* Does the model learn rows instead of a target? */
static inline bool am_task_is_own(enum am_task t)
{
    return t == AM_TASK_ANOMALY || t == AM_TASK_EMBEDDING;
}

#endif
