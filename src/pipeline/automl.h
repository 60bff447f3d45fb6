/* Judgement of an expert, as steps: from data to a tuned and combined model inside a time budget,
 * advice on model families, and one small model in place of an ensemble.
 *
 * As the steps of pipeline.h: each answers a tree in the caller's arena, holds no state between
 * calls; one at a time on one struct am_pipeline. What `auto` ends with is an ordinary recipe with
 * a fixed model, trained by the ordinary path; the search itself obeys a clock and is outside the
 * bits promise. */
#ifndef AM_PIPELINE_AUTOML_H
#define AM_PIPELINE_AUTOML_H

#include "pipeline/pipeline.h"

struct am_auto_job {
    const char *source;
    const char *target;      /* the column to predict */
    struct am_str budget;    /* "5m", "90s", "1h", "300": of everything; empty = by trials alone */
    uint64_t n_trials;       /* at most so many candidates; 0 = as many as the budget lasts for */
    double latency_us;       /* the model answers one row in at most this; 0 = as it comes */
    const char *const *sets; /* [n_sets] as --set; `model` is not theirs to say */
    size_t n_sets;
};
/* As am_pipeline_train, and {"recipe": YAML, "leaderboard": [{name, family, origin, loss,
 * deviation, fit_seconds, latency_us, bytes, status, reason, chosen}], "search": {metric, folds,
 * budget_seconds, seconds, trials, chosen, why, skipped: [{family, reason}]}}. AM_EUSAGE: a budget
 * that is none, or too small for one trial. */
enum am_rc am_pipeline_auto(struct am_pipeline *p, struct am_arena *a,
                            const struct am_auto_job *job, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;

/* {"rows", "columns", "features", "task", "classes": [{name, share}], "quality": [{kind, text,
 * remedy}], "families": [{family, suits, why, fit_seconds, latency_us, model_bytes, memory_bytes,
 * measured}], "portfolio": [{name, model}], "run_seconds"}. Nothing is registered. */
enum am_rc am_pipeline_advise(struct am_pipeline *p, struct am_arena *a, const char *source,
                              const char *target, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;

/* One model in place of another one (an ensemble), trained on the same rows. */
struct am_single_job {
    const char *model; /* MODEL[@VERSION|@ALIAS] */
    const char *type;  /* `model.type` of the new one; NULL = refit: the ensemble's best member;
                          distil: gradient_boosting where it can be trained, else mlp */
    bool distil;       /* train on the model's own predictions, too */
    double alpha;      /* share of the teacher's predictions in the target, [0, 1] */
};
/* As am_pipeline_train, and {"parent", "lost": {metric: {parent, now, difference}}}. */
enum am_rc am_pipeline_single(struct am_pipeline *p, struct am_arena *a,
                              const struct am_single_job *job, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;

#endif
