/* The commands that judge: run with a budget, advise, refit and distil. They open the pipeline and
 * hand the steps' answers on. One thread at a time. */
#include "pipeline/automl.h"
#include "platform/platform_int.h"

enum am_rc am_platform_auto(struct am_platform *p, struct am_arena *a,
                            const struct am_auto_request *r, struct am_node **out,
                            struct am_err *err)
{
    const struct am_auto_job job = {.source = r->source,
                                    .target = r->target,
                                    .budget = am_str(r->budget ? r->budget : ""),
                                    .n_trials = r->n_trials,
                                    .latency_us = r->latency_us,
                                    .sets = r->sets,
                                    .n_sets = r->n_sets};
    struct am_pipeline pl;
    AM_TRY(am_platform_pipeline(p, &pl, err));
    return am_pipeline_auto(&pl, a, &job, out, err);
}

enum am_rc am_platform_advise(struct am_platform *p, struct am_arena *a, const char *source,
                              const char *target, struct am_node **out, struct am_err *err)
{
    struct am_pipeline pl;
    AM_TRY(am_platform_pipeline(p, &pl, err));
    return am_pipeline_advise(&pl, a, source, target, out, err);
}

enum am_rc am_platform_single(struct am_platform *p, struct am_arena *a,
                              const struct am_single_request *r, struct am_node **out,
                              struct am_err *err)
{
    const struct am_single_job job = {
        .model = r->model, .type = r->type, .distil = r->distil, .alpha = r->alpha};
    struct am_pipeline pl;
    AM_TRY(am_platform_pipeline(p, &pl, err));
    return am_pipeline_single(&pl, a, &job, out, err);
}
