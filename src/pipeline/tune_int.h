/* Shared by tune.c and what runs around it: the plan of a search. Lives in the training's arena. */
#ifndef AM_PIPELINE_TUNE_INT_H
#define AM_PIPELINE_TUNE_INT_H

#include "pipeline/folds.h"
#include "tune/tune.h"

#define AM_TUNING_QUANTITIES 8
#define AM_STUDY_FOLDS (-1) /* in place of a study's number: the table of nested folds */

enum am_figure { /* what is measured of a candidate beside metrics */
                 AM_FIGURE_METRIC,
                 AM_FIGURE_LATENCY,
                 AM_FIGURE_SIZE,
                 AM_FIGURE_PARAMETERS,
                 AM_FIGURE_FIT
};
struct am_quantity {
    const char *name;
    enum am_figure figure;
    size_t at; /* of the metrics, for AM_FIGURE_METRIC */
    bool maximize;
};
struct am_tuning_constraint {
    struct am_quantity of;
    bool at_least;
    double limit;
};

struct am_tuning {
    const struct am_node *node, *over; /* of the recipe */
    struct am_quantity objectives[AM_TUNING_QUANTITIES];
    size_t n_objectives;
    struct am_tuning_constraint constraints[AM_TUNING_QUANTITIES];
    size_t n_constraints;
    struct am_str *metrics; /* of a trial: the recipe's, then those that goals need */
    size_t n_metrics;
    struct am_folds_spec folds; /* of a trial */
    struct am_folds_spec outer; /* around the search; n = 0: none */
    uint64_t n_trials;
    double budget_s; /* 0 = none */
    unsigned parallel, n_workers, n_threads;
    struct am_tune_objective tune_objectives[AM_TUNING_QUANTITIES];
    struct am_tune_constraint tune_constraints[AM_TUNING_QUANTITIES];
    struct am_tune_config config;
};

#endif
