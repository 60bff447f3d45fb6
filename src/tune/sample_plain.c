/* Samplers that look at no result: grid, random, Sobol. Each is a function of seed and number. */
#include "tune/tune_int.h"

/* How many of a study's trials the samplers chose (not given, not promoted). */
static uint64_t n_own(const struct am_tune *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->trials.len; i++)
        n += t->trials.ptr[i]->t.resumes < 0 && strcmp(t->trials.ptr[i]->t.origin, "given") != 0;
    return n;
}

/* Levels for what has no levels of its own: as many as the planned trials allow, else 5. */
static uint32_t grid_cut(const struct am_tune *t)
{
    uint32_t cut = 2;
    if (t->config.n_trials == 0)
        return 5;
    while (cut < 100 && am_tune_n_points(t->space, cut + 1) <= (double)t->config.n_trials &&
           am_tune_n_points(t->space, cut + 1) > am_tune_n_points(t->space, cut))
        cut++;
    return cut;
}

void am_tune_sample_grid(struct am_tune *t, struct tune_proposal *p)
{
    uint32_t cut = grid_cut(t);
    double at = (double)n_own(t);
    p->origin = "grid";
    do /* a value given first is not tried twice */
        p->exhausted = !am_tune_nth_point(t->space, cut, at++, p->unit);
    while (!p->exhausted && am_tune_tried(t, p->unit));
}

void am_tune_sample_random(struct am_tune *t, struct tune_proposal *p)
{
    struct am_rng r;
    am_tune_rng(&r, t, TUNE_DRAW_RANDOM, t->trials.len);
    p->origin = "random";
    am_tune_draw(t, &r, p->unit);
}

void am_tune_sample_sobol(struct am_tune *t, struct tune_proposal *p)
{
    struct am_rng r;
    am_tune_rng(&r, t, TUNE_DRAW_SHIFT, 0);
    p->origin = "sobol";
    am_tune_sobol(r.seed, r.stream, (uint32_t)n_own(t), t->space->n, p->unit);
}
