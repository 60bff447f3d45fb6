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

/* ---- what a model may answer with; masks are bits 1 << enum am_output ---- */

enum am_output {
    AM_OUTPUT_VALUE,
    AM_OUTPUT_PROBABILITIES,
    AM_OUTPUT_LABEL,
    AM_OUTPUT_SCORE,
    AM_OUTPUT_FLAG,
    AM_OUTPUT_EMBEDDING,
    AM_OUTPUT_RESTORED, /* of models whose rows come back at all */
    AM_N_OUTPUTS
};

static inline const char *am_output_name(enum am_output o)
{
    static const char *const names[AM_N_OUTPUTS] = {"value",         "probabilities", "label",
                                                    "anomaly_score", "is_anomaly",    "embedding",
                                                    "reconstruction"};
    return names[o];
}

static inline unsigned am_task_outputs(enum am_task t)
{
    const unsigned own =
        1u << AM_OUTPUT_SCORE | 1u << AM_OUTPUT_EMBEDDING | 1u << AM_OUTPUT_RESTORED;
    if (am_task_has_classes(t))
        return 1u << AM_OUTPUT_PROBABILITIES | 1u << AM_OUTPUT_LABEL;
    return t == AM_TASK_REGRESSION ? 1u << AM_OUTPUT_VALUE
           : t == AM_TASK_ANOMALY  ? own | 1u << AM_OUTPUT_FLAG
                                   : own;
}

/* When nobody says which. */
static inline unsigned am_task_usual_outputs(enum am_task t)
{
    return t == AM_TASK_ANOMALY     ? 1u << AM_OUTPUT_SCORE | 1u << AM_OUTPUT_FLAG
           : t == AM_TASK_EMBEDDING ? 1u << AM_OUTPUT_EMBEDDING
                                    : am_task_outputs(t);
}

#endif
