/* The learning-rate range test: one short training whose rate rises from step to step. Works on
 * copies; the caller's parameters and running statistics stay as they are. Fitting library. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "nn/train_int.h"
#include "nn/train_plan.h"

#define SMOOTHING 0.9
#define DIVERGED 4.0

struct finder {
    struct am_feed feed;
    struct am_plan *plan;
    struct am_session *session;
    struct am_optim *optim;
    float *weights, *grads; /* owned copies */
};

static enum am_rc check(const struct am_rate_options *o, struct am_err *err)
{
    if (o->lowest > 0 && o->highest > o->lowest && isfinite(o->highest) && o->n_steps >= 2 &&
        o->n_steps <= AM_RATE_STEPS_MAX)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "no learning rates from %g to %g in %zu steps", o->lowest, o->highest,
            o->n_steps);
    am_hint(err, "The lowest is above 0, the highest above that, in 2 to %d steps.",
            AM_RATE_STEPS_MAX);
    return AM_EUSAGE;
}

static enum am_rc set_up(struct finder *f, const struct am_graph *graph,
                         const struct am_params *params, const struct am_train_data *data,
                         const struct am_train_config *c, struct am_pool *pool, struct am_err *err)
{
    AM_TRY(am_train_config_check(c, err));
    if (data->n_rows == 0)
        return am_fail(err, AM_EINVAL, "there are no training rows");
    AM_TRY(am_feed_init(&f->feed, data, c->batch_size, c->order, c->seed, pool, err));
    f->feed.training = true;
    AM_TRY(am_train_plan_build_library(
        graph, params, &c->loss, f->feed.batch_size,
        c->library_kernels ? AM_PLAN_LIBRARY_TABLE : AM_PLAN_LIBRARY_NONE, &f->plan, err));
    if (am_plan_n_inputs(f->plan) != data->n_features)
        return am_fail(err, AM_EINVAL, "the model takes %zu inputs, but rows have %zu features",
                       am_plan_n_inputs(f->plan), data->n_features);
    AM_TRY(am_session_new(f->plan, pool, &f->session, err));
    AM_TRY(am_params_twin(params, &f->weights, err));
    AM_TRY(am_params_twin(params, &f->grads, err));
    memcpy(f->weights, params->data, am_params_bytes(params));
    return am_optim_new(&c->optim, params, &f->optim, err);
}

/* The rate of the steepest fall of the loss over the logarithm of the rate, before its lowest. */
static double suggest(const struct am_rate_curve *c)
{
    /* a fall over a tenth of the curve on both sides: the noise of single batches is longer than a
     * step */
    const size_t half = c->n / 10 ? c->n / 10 : 1;
    size_t low = 0, best = 0;
    double slope = 0;
    for (size_t i = 1; i < c->n; i++)
        if (c->loss[i] < c->loss[low])
            low = i;
    for (size_t i = half; i + half <= low; i++) {
        double s = c->loss[i + half] - c->loss[i - half]; /* steps are even in log(rate) */
        if (s < slope) {
            slope = s;
            best = i;
        }
    }
    return best ? c->rate[best] : (double)NAN;
}

static enum am_rc step(struct finder *f, const struct am_train_config *c, size_t i, double rate,
                       struct am_pool *pool, double *loss, struct am_err *err)
{
    struct am_session_io io = {.params = f->weights, .grads = f->grads, .seed = c->seed, .step = i};
    struct am_batch_view b;
    struct am_csr rows;
    uint64_t n = am_feed_n_batches(&f->feed);
    AM_TRY(am_feed_batch(&f->feed, i / n, i % n, &b, err));
    am_feed_give(&b, 0, b.n, 0, &rows, &io);
    io.target = b.y, io.weight = b.w;
    AM_TRY(am_session_run_io(f->session, &io, err));
    *loss = io.loss;
    if (isfinite(io.loss) && !isfinite(am_optim_step(f->optim, f->weights, f->grads, rate, pool)))
        *loss = (double)INFINITY;
    return AM_OK;
}

enum am_rc am_train_find_rate(const struct am_graph *graph, const struct am_params *params,
                              const struct am_train_data *data,
                              const struct am_train_config *config,
                              const struct am_rate_options *options, struct am_pool *pool,
                              struct am_progress *progress, struct am_rate_curve *out,
                              struct am_err *err)
{
    struct am_rate_options o = options ? *options : (struct am_rate_options){0};
    struct finder f = {0};
    double mean = 0, weight = 0, lowest = (double)INFINITY, loss = 0;
    enum am_rc rc;
    o.lowest = o.lowest != 0 ? o.lowest : 1e-7;
    o.highest = o.highest != 0 ? o.highest : 1;
    o.n_steps = o.n_steps ? o.n_steps : 100;
    out->n = 0;
    out->suggestion = (double)NAN;
    AM_TRY(check(&o, err));
    AM_GO(rc, set_up(&f, graph, params, data, config, pool, err));
    am_progress_begin(progress, "train", o.n_steps);
    for (size_t i = 0; i < o.n_steps; i++) {
        double part = (double)i / (double)(o.n_steps - 1);
        double rate = o.lowest * pow(o.highest / o.lowest, part);
        if (am_progress_canceled(progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled while learning rates were tried"));
        AM_GO(rc, step(&f, config, i, rate, pool, &loss, err));
        if (!isfinite(loss))
            break;
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss;
        weight = SMOOTHING * weight + (1 - SMOOTHING);
        out->rate[i] = rate;
        out->loss[i] = mean / weight;
        out->n = i + 1;
        if (out->loss[i] < lowest)
            lowest = out->loss[i];
        if (out->loss[i] > DIVERGED * lowest)
            break;
        am_progress_step(progress, i + 1, o.n_steps, i + 1, out->loss[i]);
    }
    am_progress_end(progress);
    out->suggestion = suggest(out);
out:
    am_optim_free(f.optim);
    am_free(f.grads);
    am_free(f.weights);
    am_session_free(f.session);
    am_plan_put(f.plan);
    am_feed_clear(&f.feed);
    return rc;
}
