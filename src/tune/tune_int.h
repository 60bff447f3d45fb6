/* What the files of tune/ share: dimensions, the unit cube, a study's inside, the interface of
 * samplers and pruners.
 *
 * Inside, everything is to be made small: am_tune_loss turns objectives round. Samplers see a study
 * through `known`: trials 0..known-1 with what they gave, trials known..n-1 as places only. Work
 * memory comes from an arena that lives for one ask. */
#ifndef AM_TUNE_TUNE_INT_H
#define AM_TUNE_TUNE_INT_H

#include "base/rng.h"
#include "base/vec.h"
#include "tune/tune.h"

enum {
    TUNE_DIMS_MAX = 128,
    TUNE_LEVELS_MAX = 1 << 20,
    TUNE_GOALS_MAX = 8, /* objectives, and constraints */
    TUNE_STEPS_MAX = 1 << 20,
    TUNE_MODEL_MAX = TUNE_DIMS_MAX + 2, /* numbers that a sampler leaves to its next ask */
    TUNE_BAYESIAN_TRIALS = 300,
    TUNE_BAYESIAN_DIMS_MAX = 20
};

enum tune_when { TUNE_ALWAYS, TUNE_ONE_OF, TUNE_AT_LEAST };
struct tune_dim {
    struct am_tune_param p;
    enum tune_when when; /* looks at the level of p.parent */
    size_t n_when;
    const uint32_t *when_levels; /* ONE_OF: its levels; AT_LEAST: one */
    uint32_t n_levels;           /* 0 = continuous */
};
struct am_tune_space {
    struct am_arena *arena; /* owned */
    struct am_node *over;
    struct tune_dim *dims;
    size_t n;
    uint32_t order[TUNE_DIMS_MAX]; /* parents before their children */
};

/* Equal values, however they are written (16 and 16.0, text, lists, maps); depth: 0. */
bool am_tune_same_node(const struct am_node *a, const struct am_node *b, int depth);
/* Level of a place in a discrete dimension, and the middle of a level. */
uint32_t am_tune_level(const struct tune_dim *d, double unit);
double am_tune_level_unit(const struct tune_dim *d, uint32_t level);
double am_tune_value(const struct tune_dim *d, double unit); /* FLOAT, INT */
double am_tune_unit(const struct tune_dim *d, double value); /* nearest inside */
bool am_tune_active(const struct am_tune_space *s, size_t dim, const double *unit);
/* Puts discrete dimensions on the middle of their level, clips, makes inactive ones NaN. */
void am_tune_snap(const struct am_tune_space *s, double *unit);
bool am_tune_same(const struct am_tune_space *s, const double *a, const double *b);
/* The map path -> value of a snapped point; a choice's node is the space's own. */
struct am_node *am_tune_values(const struct am_tune_space *s, const double *unit,
                               struct am_arena *a);
/* The point of a map of values, nearest inside the space; missing = the middle. */
void am_tune_place(const struct am_tune_space *s, const struct am_node *values, double *unit);
/* Point `index` of a space whose continuous dimensions are cut into `cut` levels (long ranges of
 * whole numbers too); false when there are no more. */
bool am_tune_nth_point(const struct am_tune_space *s, uint32_t cut, double index, double *unit);
double am_tune_n_points(const struct am_tune_space *s, uint32_t cut);
bool am_tune_is_hamming(const struct tune_dim *d); /* unordered: choice, boolean */

struct tune_trial {
    struct am_tune_trial t;
    struct am_arena *arena; /* owned: this struct and what it points to */
    double *unit;           /* t.unit */
    double *objectives;     /* what t points to when told */
    double *constraints;
    AM_VEC(struct am_tune_step) steps;
    char *reason;  /* owned */
    double *model; /* numbers of the sampler, n_model of them */
    uint32_t n_model;
    uint32_t rung;    /* halving, hyperband: level of the ladder of steps, 0 = the shortest */
    uint32_t bracket; /* level that its place started at */
};
struct am_tune {
    struct am_arena *arena; /* owned: trials, configuration */
    struct am_tune_space *space;
    struct am_tune_config config;
    AM_VEC(struct tune_trial *) trials;
    AM_VEC(double *) queue; /* places that wait; in the arena */
    size_t queue_at;
    size_t n_told;
    size_t n_done; /* trials 0..n_done-1 are told */
    /* what samplers made of whole blocks of known trials; a function of them, so never exported */
    struct {
        uint32_t *trials; /* owned; nsga2's population, best first */
        size_t n, blocks;
    } front;
    struct tune_cmaes *cmaes; /* owned */
};

/* What a sampler fills. unit: [n_dims], need not be snapped. */
struct tune_proposal {
    double *unit;
    const char *origin; /* static */
    int64_t resumes;    /* >= 0: unit is copied from that trial */
    double *model;      /* [TUNE_MODEL_MAX] room */
    uint32_t n_model;
    uint32_t rung, bracket;
    bool exhausted;
};

/* Streams of draws by purpose; a trial's number is added. */
enum tune_purpose {
    TUNE_DRAW_RANDOM = 1,
    TUNE_DRAW_SHIFT,
    TUNE_DRAW_BAYESIAN,
    TUNE_DRAW_TPE,
    TUNE_DRAW_GENETIC,
    TUNE_DRAW_CMAES,
    TUNE_DRAW_NSGA2,
    TUNE_DRAW_FOREST,
    TUNE_DRAW_RETRY
};
void am_tune_rng(struct am_rng *r, const struct am_tune *t, enum tune_purpose p, uint64_t number);

/* ---- what the trials gave (study.c) ---- */
double am_tune_sign(const struct am_tune *t, size_t objective); /* 1 or -1 */
/* Objective to be made small; NaN when the trial has none (pending, failed, pruned early). */
double am_tune_loss(const struct am_tune *t, const struct tune_trial *x, size_t objective);
/* Observations for a model of one loss: trials among 0..known-1 with a comparable value. Failed
 * trials get the worst value seen, pruned ones the worse of their last value and the median; under
 * halving and hyperband values of one rung are compared. index, y: [known]; returns how many. */
size_t am_tune_observe(const struct am_tune *t, size_t known, uint32_t *index, double *y);
/* Place at random (all dimensions, snapped). */
void am_tune_draw(const struct am_tune *t, struct am_rng *r, double *unit);
bool am_tune_tried(const struct am_tune *t, const double *unit);

/* Trials that the n-th may know, from the first on. */
size_t am_tune_known(const struct am_tune *t, uint64_t number);
/* The sampler that auto and bayesian come to. */
enum am_tune_sampler am_tune_sampler_now(const struct am_tune *t, size_t known);
/* NULL when memory is out; takes the next number, but is not one of t's trials yet. */
struct tune_trial *am_tune_new_trial(const struct am_tune *t, const double *unit,
                                     const struct tune_proposal *p);

/* ---- samplers: p->unit (not snapped), p->origin ---- */
void am_tune_sample_grid(struct am_tune *t, struct tune_proposal *p);
void am_tune_sample_random(struct am_tune *t, struct tune_proposal *p);
void am_tune_sample_sobol(struct am_tune *t, struct tune_proposal *p);
typedef enum am_rc tune_sample_fn(struct am_tune *t, size_t known, struct tune_proposal *p,
                                  struct am_err *err);
tune_sample_fn am_tune_sample_bayesian, am_tune_sample_tpe, am_tune_sample_genetic,
    am_tune_sample_nsga2, am_tune_sample_cmaes;

void am_tune_cmaes_free(struct tune_cmaes *c);

/* ---- sobol.c ---- */
enum { TUNE_SOBOL_DIMS = 24 };
uint32_t am_tune_sobol_bits(uint32_t dim, uint32_t index); /* dim < 24; before the shift */
/* Point `index` of the shifted sequence of a seed; dimensions beyond the table are random. */
void am_tune_sobol(uint64_t seed, uint64_t stream, uint32_t index, size_t n_dims, double *unit);

/* ---- pareto.c: losses, all to be made small ---- */
/* rank[n] by non-dominated sorting with constraint domination (violation 0 = feasible, NULL = all);
 * f: [n, m] */
void am_tune_rank(const double *f, const double *violation, size_t n, size_t m, uint32_t *rank);
/* Crowding distance within each rank; order: work [n]. */
void am_tune_crowding(const double *f, const uint32_t *rank, size_t n, size_t m, uint32_t *order,
                      double *out);
/* Hypervolume of points [n, m] up to reference; points outside are dropped from the array. work:
 * [n (n + 1) / 2 * m] unless m is 2, order: [n]. */
double am_tune_volume(double *points, size_t n, size_t m, const double *reference, double *work,
                      uint32_t *order);
size_t am_tune_knee(const double *f, size_t n, size_t m);

/* ---- prune.c ---- */
bool am_tune_stops(const struct am_tune *t, const struct tune_trial *x);
bool am_tune_uses_rungs(const struct am_tune *t);
uint32_t am_tune_n_rungs(const struct am_tune *t);
uint64_t am_tune_rung_steps(const struct am_tune *t, uint32_t rung);
/* Rung and bracket of a new place. */
void am_tune_first_rung(const struct am_tune *t, struct tune_proposal *p);
/* True: p is the promotion of a trial that ended on its rung among the best. */
bool am_tune_promote(const struct am_tune *t, size_t known, struct tune_proposal *p);
/* Loss of the first objective that a trial showed within so many steps; NaN when it got not so far.
 */
double am_tune_loss_at(const struct am_tune *t, const struct tune_trial *x, uint64_t steps);

#endif
