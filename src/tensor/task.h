/* What a model predicts. Shared by targets, learners, metrics and packages.
 *
 * Regression and classes learn a target; anomaly, embedding and clustering learn the rows
 * themselves, a target is at most a label to measure with; recommendation learns who chose what,
 * and a target is the rating where there is one. Names are those of recipes and packages, but that
 * recipes say "classification" for both kinds of classes. */
#ifndef AM_TENSOR_TASK_H
#define AM_TENSOR_TASK_H

#include "base/str.h"

enum am_task {
    AM_TASK_REGRESSION,     /* one number */
    AM_TASK_BINARY,         /* two classes; the second one is the positive */
    AM_TASK_MULTICLASS,     /* three or more classes */
    AM_TASK_ANOMALY,        /* a score of how unlike the training rows a row is */
    AM_TASK_EMBEDDING,      /* the few numbers that a row is reduced to */
    AM_TASK_CLUSTERING,     /* which of the groups that training found a row belongs to */
    AM_TASK_RECOMMENDATION, /* how much a user wants an item */
    AM_TASK_MULTILABEL,     /* of several labels, which a row has: any number of them */
    AM_N_TASKS
};

static inline const char *am_task_name(enum am_task t)
{
    static const char *const names[AM_N_TASKS] = {"regression",     "binary",    "multiclass",
                                                  "anomaly",        "embedding", "clustering",
                                                  "recommendation", "multilabel"};
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
/* Numbers a row that a model answers with: one a class or label, else one. */
static inline size_t am_task_columns(enum am_task t, size_t n_classes)
{
    return t == AM_TASK_MULTICLASS || t == AM_TASK_MULTILABEL ? n_classes : 1;
}
/* Does the model learn rows instead of a target? */
static inline bool am_task_is_own(enum am_task t)
{
    return t == AM_TASK_ANOMALY || t == AM_TASK_EMBEDDING || t == AM_TASK_CLUSTERING;
}
/* Does such a model answer with a whole number of each row: is it an anomaly, which cluster? */
static inline bool am_task_own_labels(enum am_task t)
{
    return t == AM_TASK_ANOMALY || t == AM_TASK_CLUSTERING;
}
/* May a recipe leave the target out? */
static inline bool am_task_target_optional(enum am_task t)
{
    return am_task_is_own(t) || t == AM_TASK_RECOMMENDATION;
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
    AM_OUTPUT_CLUSTER,  /* its number from 0; -1 = noise, in no cluster */
    /* of clusters that are places: to the nearest, and to each of them */
    AM_OUTPUT_DISTANCE,
    AM_OUTPUT_DISTANCES,
    /* of clusters that are densities: log density of the row, and p of each cluster */
    AM_OUTPUT_LOG_DENSITY,
    AM_OUTPUT_MEMBERSHIPS,
    AM_OUTPUT_LABELS, /* of several labels: those that the row has */
    AM_N_OUTPUTS
};

static inline const char *am_output_name(enum am_output o)
{
    static const char *const names[AM_N_OUTPUTS] = {
        "value",       "probabilities",  "label",   "anomaly_score", "is_anomaly",
        "embedding",   "reconstruction", "cluster", "distance",      "distances",
        "log_density", "memberships",    "labels"};
    return names[o];
}

/* densities: of clustering, whether clusters are densities (the model's "y" is a log density). */
static inline unsigned am_task_outputs(enum am_task t, bool densities)
{
    const unsigned own =
        1u << AM_OUTPUT_SCORE | 1u << AM_OUTPUT_EMBEDDING | 1u << AM_OUTPUT_RESTORED;
    if (am_task_has_classes(t))
        return 1u << AM_OUTPUT_PROBABILITIES | 1u << AM_OUTPUT_LABEL;
    if (t == AM_TASK_MULTILABEL)
        return 1u << AM_OUTPUT_PROBABILITIES | 1u << AM_OUTPUT_LABELS;
    if (t == AM_TASK_CLUSTERING)
        return 1u << AM_OUTPUT_CLUSTER |
               (densities ? 1u << AM_OUTPUT_LOG_DENSITY | 1u << AM_OUTPUT_MEMBERSHIPS
                          : 1u << AM_OUTPUT_DISTANCE | 1u << AM_OUTPUT_DISTANCES);
    return t == AM_TASK_ANOMALY     ? own | 1u << AM_OUTPUT_FLAG
           : t == AM_TASK_EMBEDDING ? own
                                    : 1u << AM_OUTPUT_VALUE;
}

/* When nobody says which. */
static inline unsigned am_task_usual_outputs(enum am_task t, bool densities)
{
    return t == AM_TASK_ANOMALY     ? 1u << AM_OUTPUT_SCORE | 1u << AM_OUTPUT_FLAG
           : t == AM_TASK_EMBEDDING ? 1u << AM_OUTPUT_EMBEDDING
                                    : am_task_outputs(t, densities);
}

#endif
