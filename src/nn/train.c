/* The training loop. All state that a resume needs is in struct am_train_state, the parameter block
 * and the optimiser; everything else is a function of the configuration.
 *
 * Owns plans, sessions, gradients and batches for one call. Runs on the caller's thread; the pool
 * helps inside a step. */
#include "nn/train.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/pool.h"
#include "base/progress.h"
#include "nn/train_checkpoint.h"
#include "nn/train_int.h"
#include "nn/train_norm.h"
#include "nn/train_plan.h"

#define CHECKPOINT_MAX_BYTES ((size_t)1 << 40)

#define EXPLODED 10 /* times the loss of the first epoch */

struct loop {
    const struct am_graph *graph;
    struct am_params *params;
    const struct am_train_data *data, *validation;
    const struct am_train_config *config;
    const struct am_train_hooks *hooks;
    struct am_pool *pool;
    struct am_train_result *result;
    struct am_plan *plan, *eval_plan;
    struct am_session *session, *eval_session;
    struct am_feed feed, eval_feed;
    struct am_optim *optim;
    struct am_norms *norms; /* of averaged weights; NULL = nothing to refresh */
    float *grads;
    float *more;      /* of the 2nd, 3rd, .. batch of a step; NULL = one batch a step */
    size_t part_rows; /* rows of a run: the batch */
    struct am_train_state state;
    struct am_buf bytes; /* of checkpoints */
    uint64_t n_batches;
    uint64_t epoch_began_ns;
    double rate; /* of the last batch */
    bool lost;   /* what failed was divergence, which can be recovered from */
};

void am_train_config_init(struct am_train_config *c)
{
    memset(c, 0, sizeof *c);
    c->loss = (struct am_loss_spec){.kind = AM_LOSS_MSE, .delta = 1, .margin = 1};
    am_optim_config_init(&c->optim);
    am_sched_config_init(&c->sched);
    c->learning_rate = 0.001;
    c->epochs = 50;
    c->batch_size = 32;
    c->accumulate = 1;
    c->average_decay = 0.999;
    c->recover_factor = 0.1;
    c->checkpoint_every = 1;
}

enum am_rc am_train_config_check(const struct am_train_config *c, struct am_err *err)
{
    AM_TRY(am_optim_config_check(&c->optim, err));
    AM_TRY(am_sched_config_check(&c->sched, err));
    if (!(c->learning_rate > 0 && isfinite(c->learning_rate)))
        return am_fail(err, AM_EUSAGE, "the learning rate is %g, but must be above 0",
                       c->learning_rate);
    if (c->epochs < 1)
        return am_fail(err, AM_EUSAGE, "0 epochs asked for, but at least 1 is needed");
    if (c->batch_size < 1)
        return am_fail(err, AM_EUSAGE, "the batch size is 0, but must be at least 1");
    if (c->accumulate < 1)
        return am_fail(err, AM_EUSAGE, "gradients of 0 batches make a step, but it needs 1");
    if (c->average == AM_TRAIN_AVERAGE_EMA && !(c->average_decay > 0 && c->average_decay < 1))
        return am_fail(err, AM_EUSAGE, "the average's decay is %g, but must be above 0 and below 1",
                       c->average_decay);
    if (c->recover && !(c->recover_factor > 0 && c->recover_factor < 1))
        return am_fail(err, AM_EUSAGE,
                       "the factor of recovery is %g, but must be above 0 and below 1",
                       c->recover_factor);
    if (!(c->min_delta >= 0 && isfinite(c->min_delta)))
        return am_fail(err, AM_EUSAGE, "early stopping's min_delta is %g, but must not be negative",
                       c->min_delta);
    return AM_OK;
}

static enum am_rc check_data(const struct loop *l, struct am_err *err)
{
    const struct am_train_data *v = l->validation;
    if (l->data->n_rows == 0)
        return am_fail(err, AM_EINVAL, "there are no training rows");
    if (l->config->patience > 0 && (!v || v->n_rows == 0)) {
        am_fail(err, AM_EUSAGE, "early stopping needs validation rows, but there are none");
        am_hint(err, "Set data.split.validation above 0, or remove train.early_stopping.");
        return AM_EUSAGE;
    }
    if (v && (v->n_features != l->data->n_features || v->n_targets != l->data->n_targets))
        return am_fail(err, AM_EINVAL,
                       "validation rows have %zu features, but training rows have %zu",
                       v->n_features, l->data->n_features);
    return AM_OK;
}

static enum am_rc check_width(const struct am_plan *p, const struct am_train_data *d,
                              struct am_err *err)
{
    if (am_plan_n_inputs(p) == d->n_features)
        return AM_OK;
    return am_fail(err, AM_EINVAL, "the model takes %zu inputs, but rows have %zu features",
                   am_plan_n_inputs(p), d->n_features);
}

static enum am_rc set_up(struct loop *l, struct am_err *err)
{
    const struct am_train_config *c = l->config;
    size_t step_rows;
    if (!am_mul_size(&step_rows, c->batch_size, c->accumulate))
        step_rows = SIZE_MAX;
    AM_TRY(am_feed_init(&l->feed, l->data, step_rows, c->order, c->seed, l->pool, err));
    l->part_rows = c->batch_size < l->feed.batch_size ? c->batch_size : l->feed.batch_size;
    l->feed.training = true;
    l->n_batches = am_feed_n_batches(&l->feed);
    AM_TRY(am_train_plan_build_library(
        l->graph, l->params, &c->loss, l->part_rows,
        c->library_kernels ? AM_PLAN_LIBRARY_TABLE : AM_PLAN_LIBRARY_NONE, &l->plan, err));
    AM_TRY(check_width(l->plan, l->data, err));
    AM_TRY(am_session_new(l->plan, l->pool, &l->session, err));
    AM_TRY(am_params_twin(l->params, &l->grads, err));
    if (l->part_rows < l->feed.batch_size)
        AM_TRY(am_params_twin(l->params, &l->more, err));
    if (c->average != AM_TRAIN_AVERAGE_NONE)
        AM_TRY(am_params_twin(l->params, &l->state.average, err));
    if (c->average != AM_TRAIN_AVERAGE_NONE)
        AM_TRY(am_norms_new(l->graph, l->params, &c->loss, l->part_rows, l->pool, &l->norms, err));
    AM_TRY(am_optim_new(&c->optim, l->params, &l->optim, err));
    if (l->validation) {
        AM_TRY(am_feed_init(&l->eval_feed, l->validation, am_feed_eval_rows(l->validation),
                            AM_TRAIN_IN_ORDER, 0, l->pool, err));
        AM_TRY(am_eval_plan_build(l->graph, l->params, &c->loss, l->eval_feed.batch_size,
                                  &l->eval_plan, err));
        AM_TRY(am_session_new(l->eval_plan, l->pool, &l->eval_session, err));
    }
    if (c->patience > 0 || c->recover > 0)
        AM_TRY(am_params_twin(l->params, &l->state.best, err));
    if (c->recover > 0) { /* before the first epoch: back to the start */
        memcpy(l->state.best, l->params->data, am_params_bytes(l->params));
        l->state.safe = true;
    }
    return am_checkpoint_fingerprint(l->graph, l->params, c, l->data, l->validation,
                                     l->state.fingerprint, err);
}

static void tear_down(struct loop *l)
{
    am_buf_clear(&l->bytes);
    am_free(l->state.best);
    am_free(l->state.average);
    am_optim_free(l->optim);
    am_norms_free(l->norms);
    am_free(l->grads);
    am_free(l->more);
    am_session_free(l->eval_session);
    am_session_free(l->session);
    am_plan_put(l->eval_plan);
    am_plan_put(l->plan);
    am_feed_clear(&l->eval_feed);
    am_feed_clear(&l->feed);
}

static bool has_place(const struct loop *l)
{
    return l->hooks->checkpoint_save || l->hooks->checkpoint_path;
}

static enum am_rc save(struct loop *l, struct am_err *err)
{
    enum am_rc rc;
    if (!has_place(l))
        return AM_OK;
    rc = am_checkpoint_write(&l->state, l->params, l->optim, &l->bytes, err);
    if (rc == AM_OK && l->hooks->checkpoint_save)
        rc = l->hooks->checkpoint_save(l->hooks->ctx, l->bytes.ptr, l->bytes.len, err);
    else if (rc == AM_OK)
        rc = am_fs_write_file(l->hooks->checkpoint_path, l->bytes.ptr, l->bytes.len, err);
    if (rc != AM_OK)
        am_context(err, "cannot save the checkpoint");
    return rc;
}

static enum am_rc load(struct loop *l, struct am_err *err)
{
    const struct am_train_hooks *h = l->hooks;
    enum am_rc rc = AM_OK;
    if (h->checkpoint_load) {
        AM_TRY(h->checkpoint_load(h->ctx, &l->bytes, err));
    } else if (h->checkpoint_path && am_fs_exists(h->checkpoint_path)) {
        rc = am_fs_read_file(h->checkpoint_path, &l->bytes, err);
    }
    if (rc != AM_OK || l->bytes.len == 0)
        return rc;
    AM_TRY(am_checkpoint_read(am_buf_view(&l->bytes), &l->state, l->params, l->optim, err));
    if (l->state.epoch > l->config->epochs || l->state.batch > l->n_batches)
        return am_fail(err, AM_ECORRUPT, "the checkpoint is damaged: its position is epoch %llu",
                       (unsigned long long)l->state.epoch);
    l->result->resumed = true;
    l->result->resumed_epoch = l->state.epoch;
    return AM_OK;
}

static enum am_rc diverged(struct loop *l, const char *what, double v, struct am_err *err)
{
    am_fail(err, AM_EINVAL, "training diverged: the %s became %g in epoch %llu, batch %llu of %llu",
            am_tr(what), v, (unsigned long long)l->state.epoch + 1,
            (unsigned long long)l->state.batch + 1, (unsigned long long)l->n_batches);
    am_hint(err,
            "Lower train.learning_rate (it was %g), set train.clip_norm, or scale the "
            "features and the target.",
            l->rate);
    l->lost = true;
    return AM_EINVAL;
}

/* All steps, those before training was set back, too. */
static uint64_t steps_done(const struct loop *l)
{
    return l->state.steps_before + am_optim_steps(l->optim);
}

/* The weight sum of the rows of a step, as the loss of one run over all of them adds it. */
static double mass_of(const struct loop *l, const struct am_batch_view *b)
{
    const struct am_loss_spec *s = &l->config->loss;
    const size_t cols = s->mixed ? 1 : l->data->n_targets; /* mixed: no class weights */
    const double share = 1 / (double)cols;
    const float *cw = s->class_weights;
    double mass = 0;
    for (size_t i = 0; i < b->n; i++)
        for (size_t j = 0; j < cols; j++) {
            const float t = b->y[i * cols + j];
            double c = 1;
            if (cw && s->kind == AM_LOSS_CATEGORICAL)
                c = t >= 0 && (double)t < (double)s->n_class_weights ? (double)cw[(size_t)t] : 0;
            else if (cw)
                c = (double)t * (double)cw[1] + (1 - (double)t) * (double)cw[0];
            mass += (double)b->w[i] * share * c;
        }
    return mass;
}

struct blocks {
    float *to;
    const float *from;
    float share;
};

static void add_chunk(void *ctx, size_t begin, size_t end)
{
    const struct blocks *k = ctx;
    am_kernels_best()->add(k->to + begin * 16, k->from + begin * 16, k->to + begin * 16,
                           (end - begin) * 16);
}

static void mix_chunk(void *ctx, size_t begin, size_t end)
{
    const struct blocks *k = ctx;
    for (size_t i = begin * 16; i < end * 16; i++)
        k->to[i] += k->share * (k->from[i] - k->to[i]);
}

static void for_blocks(struct loop *l, struct blocks *k, void (*fn)(void *, size_t, size_t))
{
    am_pool_for(l->pool, l->params->n_floats / 16, 1024, fn, k);
}

/* The gradient of all rows of a step, batch by batch; loss and weight of all of them. */
static enum am_rc gradients(struct loop *l, const struct am_batch_view *b, double *loss,
                            double *weight, struct am_err *err)
{
    const struct am_train_config *c = l->config;
    const double mass = b->n > l->part_rows ? mass_of(l, b) : 0;
    uint64_t step = steps_done(l) * c->accumulate;
    *loss = *weight = 0;
    for (size_t at = 0; at < b->n; at += l->part_rows, step++) {
        struct am_csr rows;
        struct am_session_io io = {.target = b->y + at * l->data->n_targets,
                                   .weight = b->w + at,
                                   .params = l->params->data,
                                   .grads = at ? l->more : l->grads,
                                   .seed = c->seed,
                                   .step = step,
                                   .mass = mass};
        struct blocks sum = {l->grads, l->more, 1};
        am_feed_give(b, at, b->n - at < l->part_rows ? b->n - at : l->part_rows,
                     l->data->n_features, &rows, &io);
        AM_TRY(am_session_run_io(l->session, &io, err));
        if (!isfinite(io.loss))
            return diverged(l, "loss", io.loss, err);
        if (at)
            for_blocks(l, &sum, add_chunk);
        *loss += io.loss * io.weight_sum;
        *weight += io.weight_sum;
    }
    return AM_OK;
}

/* One more in the average of the weights. */
static void average(struct loop *l)
{
    struct am_train_state *s = &l->state;
    const struct am_train_config *c = l->config;
    /* the first averages are short, so that they leave the start behind */
    const double n = (double)s->n_averaged, ramp = (1 + n) / (10 + n);
    const double decay = ramp < c->average_decay ? ramp : c->average_decay;
    struct blocks k = {s->average, l->params->data, (float)(1 - decay)};
    if (s->epoch < c->average_start)
        return;
    if (c->average == AM_TRAIN_AVERAGE_SWA)
        k.share = (float)(1 / (n + 1));
    if (s->n_averaged == 0)
        memcpy(s->average, l->params->data, am_params_bytes(l->params));
    else
        for_blocks(l, &k, mix_chunk);
    s->n_averaged++;
}

/* One step of the optimiser. */
static enum am_rc one_batch(struct loop *l, struct am_err *err)
{
    struct am_train_state *s = &l->state;
    const struct am_train_config *c = l->config;
    struct am_batch_view b;
    double norm, loss, weight;
    AM_TRY(am_feed_batch(&l->feed, s->epoch, s->batch, &b, err));
    l->rate = am_sched_rate(&c->sched, &s->sched, c->learning_rate, s->epoch, c->epochs, s->batch,
                            l->n_batches) *
              s->rate_scale;
    AM_TRY(gradients(l, &b, &loss, &weight, err));
    norm = am_optim_step(l->optim, l->params->data, l->grads, l->rate, l->pool);
    if (!isfinite(norm))
        return diverged(l, "gradient", norm, err);
    if (l->hooks->after_step)
        AM_TRY(l->hooks->after_step(l->hooks->ctx, steps_done(l), l->params, err));
    if (c->average == AM_TRAIN_AVERAGE_EMA)
        average(l);
    s->loss_sum += loss;
    s->weight_sum += weight;
    s->batch++;
    return AM_OK;
}

/* The weights that validation measures and the result holds. */
static float *best_known(const struct loop *l)
{
    return l->state.n_averaged ? l->state.average : l->params->data;
}

static void report(const struct loop *l)
{
    const struct am_train_state *s = &l->state;
    uint64_t rows = s->batch * l->feed.batch_size, n = l->data->n_rows;
    uint64_t done = s->epoch * n + (rows < n ? rows : n);
    am_progress_step(l->hooks->progress, done, l->config->epochs * n, done,
                     s->weight_sum > 0 ? s->loss_sum / s->weight_sum : 0);
}

static enum am_rc interrupted(struct loop *l, struct am_err *err)
{
    AM_TRY(save(l, err));
    am_fail(err, AM_ECANCELED, "training was interrupted in epoch %llu of %llu",
            (unsigned long long)l->state.epoch + 1, (unsigned long long)l->config->epochs);
    if (has_place(l))
        am_hint(err, "Its state was saved: resume goes on from there.");
    return AM_ECANCELED;
}

static enum am_rc check_weights(struct loop *l, struct am_err *err)
{
    const float *w = l->params->data;
    for (size_t i = 0; i < l->params->n_floats; i++)
        if (!isfinite(w[i]))
            return diverged(l, "weights", w[i], err);
    return AM_OK;
}

/* Losses, schedule and early stopping after the last batch of an epoch. */
static enum am_rc end_epoch(struct loop *l, struct am_train_epoch *e, struct am_err *err)
{
    struct am_train_state *s = &l->state;
    const struct am_train_config *c = l->config;
    double monitored;
    AM_TRY(check_weights(l, err));
    if (c->average == AM_TRAIN_AVERAGE_SWA)
        average(l);
    if (l->norms && s->n_averaged)
        AM_TRY(am_norms_refresh(l->norms, &l->feed, s->epoch, c->seed, s->average, l->grads, err));
    s->train_loss = s->weight_sum > 0 ? s->loss_sum / s->weight_sum : 0;
    s->validation_loss = NAN;
    if (l->validation) {
        AM_TRY(
            am_feed_loss(&l->eval_feed, l->eval_session, best_known(l), &s->validation_loss, err));
        if (!isfinite(s->validation_loss))
            return diverged(l, "validation loss", s->validation_loss, err);
    }
    if (isnan(s->first_loss))
        s->first_loss = s->train_loss;
    if (c->recover && s->train_loss > EXPLODED * fabs(s->first_loss)) {
        (void)diverged(l, "loss of an epoch", s->train_loss, err);
        return AM_EINVAL;
    }
    monitored = l->validation ? s->validation_loss : s->train_loss;
    e->improved = s->best_epoch == 0 || monitored < s->best_loss - c->min_delta;
    s->epoch++;
    if (e->improved) {
        s->best_epoch = s->epoch;
        s->best_loss = monitored;
        s->stale = 0;
        if (s->best) {
            memcpy(s->best, best_known(l), am_params_bytes(l->params));
            s->has_best = true;
        }
    } else {
        s->stale++;
    }
    am_sched_epoch(&c->sched, &s->sched, c->learning_rate, monitored);
    s->batch = 0;
    s->loss_sum = s->weight_sum = 0;
    e->epoch = s->epoch;
    e->train_loss = s->train_loss;
    e->validation_loss = s->validation_loss;
    e->learning_rate = l->rate;
    e->seconds = (double)(am_mono_ns() - l->epoch_began_ns) * 1e-9;
    return AM_OK;
}

static bool stopped(const struct loop *l)
{
    return l->config->patience > 0 && l->state.stale >= l->config->patience;
}

static enum am_rc one_epoch(struct loop *l, struct am_err *err)
{
    struct am_train_epoch e = {0};
    uint64_t every = l->config->checkpoint_every;
    l->epoch_began_ns = am_mono_ns();
    while (l->state.batch < l->n_batches) {
        if (am_progress_canceled(l->hooks->progress))
            return interrupted(l, err);
        AM_TRY(one_batch(l, err));
        report(l);
    }
    AM_TRY(end_epoch(l, &e, err));
    if (l->hooks->on_epoch)
        AM_TRY(l->hooks->on_epoch(l->hooks->ctx, &e, err));
    if (every > 0 &&
        (l->state.epoch % every == 0 || l->state.epoch == l->config->epochs || stopped(l)))
        return save(l, err);
    return AM_OK;
}

/* Back to weights that were good, slower, or the error as it is. */
static enum am_rc recover(struct loop *l, enum am_rc rc, struct am_err *err)
{
    struct am_train_state *s = &l->state;
    const size_t bytes = am_params_bytes(l->params);
    if (!l->lost || s->n_recovered >= l->config->recover || !s->safe)
        return rc;
    l->lost = false;
    memcpy(l->params->data, s->best, bytes);
    s->steps_before += am_optim_steps(l->optim);
    am_optim_set_steps(l->optim, 0);
    for (unsigned i = 0; i < am_optim_n_moments(l->optim); i++)
        memset(am_optim_moment(l->optim, i), 0, bytes);
    s->n_averaged = 0;
    s->batch = 0;
    s->loss_sum = s->weight_sum = 0;
    s->n_recovered++;
    s->rate_scale *= l->config->recover_factor;
    const struct am_train_recovery r = {.epoch = s->epoch + 1,
                                        .from_epoch = s->best_epoch,
                                        .times = s->n_recovered,
                                        .learning_rate = l->config->learning_rate * s->rate_scale,
                                        .why = err->message};
    if (l->hooks->on_recovery)
        AM_TRY(l->hooks->on_recovery(l->hooks->ctx, &r, err));
    am_err_clear(err);
    return AM_OK;
}

static void fill_result(struct loop *l)
{
    struct am_train_result *r = l->result;
    const struct am_train_state *s = &l->state;
    r->epochs = s->epoch;
    r->steps = l->optim ? steps_done(l) : 0;
    r->n_recovered = s->n_recovered;
    r->best_epoch = s->best_epoch;
    r->best_loss = s->best_loss;
    r->train_loss = s->train_loss;
    r->validation_loss = s->validation_loss;
}

enum am_rc am_train_run(const struct am_graph *graph, struct am_params *params,
                        const struct am_train_data *data, const struct am_train_data *validation,
                        const struct am_train_config *config, const struct am_train_hooks *hooks,
                        struct am_pool *pool, struct am_train_result *result, struct am_err *err)
{
    static const struct am_train_hooks no_hooks = {0};
    struct loop l = {.graph = graph,
                     .params = params,
                     .data = data,
                     .validation = validation && validation->n_rows ? validation : NULL,
                     .config = config,
                     .hooks = hooks ? hooks : &no_hooks,
                     .pool = pool,
                     .result = result,
                     .state = {.train_loss = NAN,
                               .validation_loss = NAN,
                               .best_loss = NAN,
                               .first_loss = NAN,
                               .rate_scale = 1}};
    struct am_err own = {0};
    enum am_rc rc;
    err = err ? err : &own;
    memset(result, 0, sizeof *result);
    am_buf_init(&l.bytes, CHECKPOINT_MAX_BYTES);
    AM_GO(rc, am_train_config_check(config, err));
    AM_GO(rc, check_data(&l, err));
    AM_GO(rc, set_up(&l, err));
    AM_GO(rc, load(&l, err));
    am_progress_begin(l.hooks->progress, "train", config->epochs * data->n_rows);
    while (l.state.epoch < config->epochs && !stopped(&l)) {
        rc = one_epoch(&l, err);
        if (rc != AM_OK)
            AM_GO(rc, recover(&l, rc, err));
    }
    am_progress_end(l.hooks->progress);
    result->stopped_early = l.state.epoch < config->epochs;
    if (config->patience > 0 && l.state.has_best && l.state.best_epoch != l.state.epoch) {
        memcpy(params->data, l.state.best, am_params_bytes(params));
        result->restored_best = true;
    } else if (l.state.n_averaged) {
        memcpy(params->data, l.state.average, am_params_bytes(params));
    }
    result->averaged = l.state.n_averaged > 0;
out:
    fill_result(&l);
    tear_down(&l);
    return rc;
}

enum am_rc am_train_loss(const struct am_graph *graph, const struct am_params *params,
                         const struct am_train_data *data, const struct am_loss_spec *loss,
                         struct am_pool *pool, double *out, struct am_err *err)
{
    struct am_feed feed;
    struct am_plan *plan = NULL;
    struct am_session *session = NULL;
    enum am_rc rc;
    AM_TRY(am_feed_init(&feed, data, am_feed_eval_rows(data), AM_TRAIN_IN_ORDER, 0, pool, err));
    AM_GO(rc, am_eval_plan_build(graph, params, loss, feed.batch_size, &plan, err));
    AM_GO(rc, check_width(plan, data, err));
    AM_GO(rc, am_session_new(plan, pool, &session, err));
    rc = am_feed_loss(&feed, session, params->data, out, err);
out:
    am_session_free(session);
    am_plan_put(plan);
    am_feed_clear(&feed);
    return rc;
}
