/* Hyper-parameter search by ask and tell: search spaces, samplers, pruners, Pareto fronts and the
 * importance of parameters.
 *
 * Stores nothing, reads and writes no file, starts nothing: the caller runs the trials and keeps
 * the state that am_tune_export gives. What a study proposes depends on its space, configuration,
 * seed and told results only, and by the bits promise trial n (and its pruning) depends on the
 * trials up to n - delay only, whatever else was told and in whatever order. A study owns its
 * trials; they live, at the same address, until am_tune_free. One thread at a time. */
#ifndef AM_TUNE_TUNE_H
#define AM_TUNE_TUNE_H

#include "base/tree.h"

/* ---- the space -------------------------------------------------------------------------------
 * A map of dotted recipe path -> values to search:
 *
 *   train.learning_rate: {log: [1e-4, 1e-1]}            float, logarithmic
 *   model.dropout: {float: [0, 0.5]}                    float; step: 0.05 makes it a lattice
 *   model.depth: {int: [2, 12]}                         whole number; step: 2
 *   train.batch_size: {log_int: [16, 512]}              whole number, logarithmic
 *   model.type: [logistic, mlp]                         choice (of texts, numbers, lists, maps)
 *   train.shuffle: [true, false]                        boolean
 *   model.layers: {list: {log_int: [8, 256]}, length: [1, 3]}   list of 1 to 3 such numbers
 *   model.activation: {choice: [relu, gelu], when: {model.type: mlp}}
 *
 * `when` names one other path of the space and the value or values (a list) of it under which this
 * one is searched; otherwise the path does not appear in the trial's values at all. */

enum am_tune_kind { AM_TUNE_FLOAT, AM_TUNE_INT, AM_TUNE_CHOICE, AM_TUNE_BOOL };

/* One dimension. A list is several: its length, then one for each place in it. */
struct am_tune_param {
    const char *path; /* of the recipe; the dimensions of a list share it */
    const char *name; /* unique: the path, "model.layers.length", "model.layers.0" ... */
    enum am_tune_kind kind;
    bool log;
    double low, high;                     /* FLOAT, INT: both ends belong to it */
    double step;                          /* INT: >= 1; FLOAT: 0 = continuous */
    const struct am_node *const *choices; /* CHOICE, BOOL */
    size_t n_choices;
    int32_t parent;        /* dimension that switches this one on, or -1 */
    int32_t list_position; /* place in a list, -1 = its length, -2 = not of a list */
    uint32_t line, column; /* where the recipe said it (0 = built in memory) */
};

struct am_tune_space;
/* Checks and copies `over`. AM_EUSAGE with "line L, column C: " when it is empty, a range is
 * reversed or of one point twice over, the logarithm of zero or less is asked for, a word is
 * unknown (with the nearest known one) or a condition goes in circles. */
enum am_rc am_tune_space_parse(const struct am_node *over, struct am_tune_space **out,
                               struct am_err *err) AM_MUST_CHECK;
void am_tune_space_free(struct am_tune_space *s);
size_t am_tune_space_n(const struct am_tune_space *s);
const struct am_tune_param *am_tune_space_param(const struct am_tune_space *s, size_t i);
/* Number of different points, INFINITY when a continuous dimension is in it. */
double am_tune_space_points(const struct am_tune_space *s);

/* ---- the study ------------------------------------------------------------------------------ */

enum am_tune_sampler {
    AM_TUNE_AUTO, /* bayesian, then tpe when trials or conditions grow many; see README.md */
    AM_TUNE_GRID, /* ends by itself (ask gives NULL) */
    AM_TUNE_RANDOM,
    AM_TUNE_SOBOL,    /* up to 24 dimensions low-discrepancy, random beyond */
    AM_TUNE_BAYESIAN, /* Gaussian process, log expected improvement */
    AM_TUNE_TPE,
    AM_TUNE_GENETIC, /* one objective */
    AM_TUNE_CMAES,   /* one objective */
    AM_TUNE_NSGA2
};
enum am_tune_pruner {
    AM_TUNE_PRUNE_NONE,
    AM_TUNE_PRUNE_MEDIAN,
    AM_TUNE_PRUNE_PERCENTILE,
    AM_TUNE_PRUNE_HALVING,   /* ASHA: a trial stops at its rung; the best are promoted later */
    AM_TUNE_PRUNE_HYPERBAND, /* ASHA with several first rungs */
};
/* The recipe's words ("bayesian", "halving", ...); NULL-terminated lists in the order above. */
extern const char *const am_tune_sampler_names[];
extern const char *const am_tune_pruner_names[];
bool am_tune_sampler_by_name(struct am_str name, enum am_tune_sampler *out);
bool am_tune_pruner_by_name(struct am_str name, enum am_tune_pruner *out);

enum am_tune_direction { AM_TUNE_MINIMIZE, AM_TUNE_MAXIMIZE };
struct am_tune_objective {
    const char *name;
    enum am_tune_direction direction;
};
enum am_tune_bound { AM_TUNE_AT_MOST, AM_TUNE_AT_LEAST };
struct am_tune_constraint {
    const char *name;
    enum am_tune_bound bound;
    double limit;
};

/* All zero but `objectives` is a usable configuration. Everything is copied. */
struct am_tune_config {
    const struct am_tune_objective *objectives; /* 1..8 */
    size_t n_objectives;
    const struct am_tune_constraint *constraints; /* 0..8 */
    size_t n_constraints;
    enum am_tune_sampler sampler;
    enum am_tune_pruner pruner;
    uint64_t seed;
    uint32_t delay;      /* q of the bits promise: how many trials may run at once; 0 = 1 */
    uint64_t n_trials;   /* planned, 0 = not known: lets a sampler choose its population */
    uint32_t n_startup;  /* trials of the first design, 0 = the sampler's own */
    uint32_t population; /* genetic, cmaes, nsga2; 0 = the sampler's own */
    /* pruners; "step" is what the trials report (epochs, folds), counted from 1 */
    double percentile;        /* keep this share of the best, (0, 1); 0 = 0.75 (median: 0.5) */
    uint32_t prune_after;     /* finished trials before the first is pruned; 0 = 5 */
    uint64_t prune_from_step; /* no pruning before it; 0 = a fifth of max_steps, at least 1 */
    uint64_t patience;        /* prune only what has not improved for so many steps; 0 = off */
    double min_delta;         /* what counts as improved, for patience */
    uint64_t min_steps;       /* first rung, 0 = 1 */
    uint64_t max_steps;       /* steps of a whole trial; needed by halving and hyperband */
    uint32_t reduction;       /* eta, 0 = 3 */
};

struct am_tune; /* a study */
/* `over` is checked as in am_tune_space_parse. */
enum am_rc am_tune_new(const struct am_node *over, const struct am_tune_config *config,
                       struct am_tune **out, struct am_err *err) AM_MUST_CHECK;
void am_tune_free(struct am_tune *t); /* NULL is fine */
const struct am_tune_space *am_tune_space(const struct am_tune *t);
const struct am_tune_config *am_tune_config(const struct am_tune *t); /* with defaults filled in */

/* ---- trials --------------------------------------------------------------------------------- */

enum am_tune_status { AM_TUNE_PENDING, AM_TUNE_OK, AM_TUNE_FAILED, AM_TUNE_PRUNED };
extern const char *const am_tune_status_names[]; /* "pending", "ok", "failed", "pruned" */

struct am_tune_step {
    uint64_t step;
    double value; /* of the first objective, in its own direction */
};
struct am_tune_trial {
    uint64_t number; /* 0, 1, 2 ... in the order of asking */
    enum am_tune_status status;
    const struct am_node *values; /* map path -> value, active paths only, in the space's order */
    const double *unit;           /* [n_params] place in the unit cube, NaN where inactive */
    const char *origin;        /* "given", "sobol", "bayesian", "promoted" ...: how it was chosen */
    int64_t resumes;           /* trial that this one goes on with (halving, hyperband), or -1 */
    uint64_t steps_max;        /* am_tune_report says stop here; 0 = runs to its end */
    const double *objectives;  /* [n_objectives] status OK; PRUNED: NULL or as told; else NULL */
    const double *constraints; /* [n_constraints], NaN = not measured; NULL when not told */
    double violation;          /* sum of how far over the limits, 0 = feasible */
    const struct am_tune_step *steps;
    size_t n_steps;
    const char *reason; /* of a failure, or NULL */
};

/* Values to try before the sampler's own (the defaults, a portfolio); a map path -> value. Values
 * outside the space are moved to the nearest inside it, missing ones take the middle. Copied. */
enum am_rc am_tune_enqueue(struct am_tune *t, const struct am_node *values,
                           struct am_err *err) AM_MUST_CHECK;
/* The next trial; *out = NULL when every point of the space has been tried. AM_EBUSY while a trial
 * that it must know (number <= next - delay) is not told yet; am_tune_can_ask says so beforehand.
 */
enum am_rc am_tune_ask(struct am_tune *t, const struct am_tune_trial **out,
                       struct am_err *err) AM_MUST_CHECK;
bool am_tune_can_ask(const struct am_tune *t);

struct am_tune_result {
    enum am_tune_status status;       /* OK, FAILED, PRUNED */
    const double *objectives;         /* [n_objectives] with OK; not finite = the trial failed */
    const double *constraints;        /* [n_constraints] or NULL */
    const struct am_tune_step *steps; /* replaces what am_tune_report noted, unless n_steps is 0 */
    size_t n_steps;
    const char *reason; /* copied */
};
/* AM_ENOTFOUND: no such trial; AM_EEXIST: told before. */
enum am_rc am_tune_tell(struct am_tune *t, uint64_t number, const struct am_tune_result *result,
                        struct am_err *err) AM_MUST_CHECK;
/* Notes an intermediate value of a pending trial and says whether to stop it now. Stop a trial that
 * is to stop, then tell it as PRUNED. A value that is not finite stops it. */
enum am_rc am_tune_report(struct am_tune *t, uint64_t number, uint64_t step, double value,
                          bool *stop, struct am_err *err) AM_MUST_CHECK;

size_t am_tune_n(const struct am_tune *t);
const struct am_tune_trial *am_tune_trial(const struct am_tune *t, uint64_t number); /* or NULL */
size_t am_tune_n_told(const struct am_tune *t);

/* ---- what came out -------------------------------------------------------------------------- */

/* The best feasible finished trial (first told number wins ties); with several objectives the knee
 * of the Pareto front. NULL when none is feasible. */
const struct am_tune_trial *am_tune_best(const struct am_tune *t);
/* Feasible trials that no other dominates, by the first objective from best to worst. out:
 * [am_tune_n()], owned by the caller; returns how many. */
size_t am_tune_pareto(const struct am_tune *t, const struct am_tune_trial **out);
/* Best by objective `want` among the front's trials whose other objectives keep to their limits
 * (limits[n_objectives], NaN = none; epsilon-constraint). NULL when none does. */
const struct am_tune_trial *am_tune_pick(const struct am_tune *t, size_t want,
                                         const double *limits);
/* Volume that the front dominates up to `reference` [n_objectives]; 2 or more objectives, exact. */
enum am_rc am_tune_hypervolume(const struct am_tune *t, const double *reference, double *out,
                               struct am_err *err) AM_MUST_CHECK;

enum am_tune_importance { AM_TUNE_FANOVA, AM_TUNE_PED_ANOVA };
/* Share of each dimension in objective `which`, [n_params], sums to 1 (all 0 when nothing varies).
 * AM_EINVAL with fewer than 4 finished trials. */
enum am_rc am_tune_importance(const struct am_tune *t, enum am_tune_importance method, size_t which,
                              double *out, struct am_err *err) AM_MUST_CHECK;

/* ---- keeping -------------------------------------------------------------------------------- */

/* The whole study (space, configuration, trials) as a tree in `a`; am_tune_import makes an equal
 * study of it, that proposes the same bits from then on. Check the arena. Trials that were pending
 * still are: run them again or tell them. */
struct am_node *am_tune_export(const struct am_tune *t, struct am_arena *a);
enum am_rc am_tune_import(const struct am_node *state, struct am_tune **out,
                          struct am_err *err) AM_MUST_CHECK;
/* One trial at a time, for who appends: export one; add it to a study (number = am_tune_n, or
 * replaces a pending one). */
struct am_node *am_tune_export_trial(const struct am_tune *t, uint64_t number, struct am_arena *a);
enum am_rc am_tune_import_trial(struct am_tune *t, const struct am_node *trial,
                                struct am_err *err) AM_MUST_CHECK;

#endif
