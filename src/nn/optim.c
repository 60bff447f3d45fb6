/* Optimisers: cuts the parameter block into segments of one treatment (decayed, plain, frozen) and
 * runs the kernel loop of the chosen rule over each, in fixed chunks.
 *
 * The arithmetic lives in tensor/train_kernels.h. Owns the moment blocks; weights and gradients
 * belong to the caller. */
#include "nn/optim.h"

#include <math.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "tensor/train_kernels.h"

#define CHUNK_FLOATS                                                                               \
    ((size_t)1 << 14) /* a multiple of 16; fixed, so that bits never depend on it */

struct segment {
    size_t offset, n; /* floats */
    bool decayed;
    float rate; /* factor of the learning rate */
};

struct am_optim {
    struct am_optim_config config;
    const struct am_params *params; /* borrowed: the layout */
    const struct am_train_kernels *kernels;
    struct segment *segments; /* owned, [n_segments] */
    size_t n_segments;
    float *moment[2]; /* owned */
    unsigned n_moments;
    uint64_t steps;
};

static const char *const names[] = {"sgd",     "momentum", "nesterov", "adagrad",
                                    "rmsprop", "adam",     "adamw"};

const char *am_optimizer_name(enum am_optimizer k)
{
    return names[k];
}

bool am_optimizer_parse(struct am_str s, enum am_optimizer *out)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (am_str_is(s, names[i])) {
            *out = (enum am_optimizer)i;
            return true;
        }
    }
    return false;
}

void am_optim_config_init(struct am_optim_config *c)
{
    *c = (struct am_optim_config){.kind = AM_OPTIM_ADAM,
                                  .momentum = 0.9,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .rho = 0.99,
                                  .epsilon = 1e-8};
}

static enum am_rc check_unit(const char *name, double v, struct am_err *err)
{
    if (v >= 0 && v < 1)
        return AM_OK;
    return am_fail(err, AM_EUSAGE, "%s is %g, but must be at least 0 and below 1", name, v);
}

static enum am_rc check_positive(const char *name, double v, struct am_err *err)
{
    if (v >= 0 && isfinite(v))
        return AM_OK;
    return am_fail(err, AM_EUSAGE, "%s is %g, but must be a number that is not negative", name, v);
}

enum am_rc am_optim_config_check(const struct am_optim_config *c, struct am_err *err)
{
    AM_TRY(check_unit("momentum", c->momentum, err));
    AM_TRY(check_unit("beta1", c->beta1, err));
    AM_TRY(check_unit("beta2", c->beta2, err));
    AM_TRY(check_unit("rho", c->rho, err));
    AM_TRY(check_positive("weight_decay", c->weight_decay, err));
    AM_TRY(check_positive("l1", c->l1, err));
    AM_TRY(check_positive("l2", c->l2, err));
    AM_TRY(check_positive("clip_norm", c->clip_norm, err));
    AM_TRY(check_positive("clip_value", c->clip_value, err));
    if (!(c->epsilon >= 1e-30 && isfinite(c->epsilon)))
        return am_fail(err, AM_EUSAGE, "epsilon is %g, but must be above 0", c->epsilon);
    return AM_OK;
}

static unsigned moments_of(const struct am_optim_config *c)
{
    switch (c->kind) {
    case AM_OPTIM_SGD:
        return 0;
    case AM_OPTIM_MOMENTUM:
    case AM_OPTIM_NESTEROV:
    case AM_OPTIM_ADAGRAD:
        return 1;
    case AM_OPTIM_RMSPROP:
        return c->momentum > 0 ? 2 : 1;
    case AM_OPTIM_ADAM:
    case AM_OPTIM_ADAMW:
        break;
    }
    return 2;
}

/* Neighbours of the same treatment make one segment; gaps between tensors belong to the one before
 * and stay zero, since their gradients are. */
static void cut_segments(struct am_optim *o)
{
    const struct am_params *p = o->params;
    for (size_t k = 0; k < p->n_params; k++) {
        const struct am_param *e = &p->table[k];
        size_t end = k + 1 < p->n_params ? p->table[k + 1].offset : p->n_floats;
        bool decayed = (e->flags & AM_PARAM_DECAY) != 0;
        struct segment *last = o->n_segments ? &o->segments[o->n_segments - 1] : NULL;
        if (e->flags & (AM_PARAM_FROZEN | AM_PARAM_STATE))
            continue;
        if (last && last->decayed == decayed && last->rate == e->rate &&
            last->offset + last->n == e->offset)
            last->n += end - e->offset;
        else
            o->segments[o->n_segments++] =
                (struct segment){e->offset, end - e->offset, decayed, e->rate};
    }
}

enum am_rc am_optim_new(const struct am_optim_config *c, const struct am_params *params,
                        struct am_optim **out, struct am_err *err)
{
    enum am_rc rc;
    struct am_optim *o;
    AM_TRY(am_optim_config_check(c, err));
    o = am_calloc(1, sizeof *o);
    if (!o)
        return am_fail_nomem(err, sizeof *o);
    o->config = *c;
    o->params = params;
    o->kernels = am_train_kernels_best();
    o->segments = am_alloc_array(params->n_params + 1, sizeof *o->segments);
    if (!o->segments) {
        rc = am_fail_nomem(err, params->n_params * sizeof *o->segments);
        goto out;
    }
    cut_segments(o);
    for (; o->n_moments < moments_of(c); o->n_moments++)
        AM_GO(rc, am_params_twin(params, &o->moment[o->n_moments], err));
    *out = o;
    return AM_OK;
out:
    am_optim_free(o);
    return rc;
}

void am_optim_free(struct am_optim *o)
{
    if (!o)
        return;
    am_free(o->moment[0]);
    am_free(o->moment[1]);
    am_free(o->segments);
    am_free(o);
}

struct work {
    const struct am_optim *o;
    float *w;
    const float *g;
    size_t offset;
    struct am_optim_args args;
};

static void update(void *ctx, size_t begin, size_t end)
{
    const struct work *k = ctx;
    const struct am_optim *o = k->o;
    const struct am_train_kernels *t = o->kernels;
    size_t at = k->offset + begin * 16, n = (end - begin) * 16;
    float *w = k->w + at;
    const float *g = k->g + at;
    float *m = o->moment[0] ? o->moment[0] + at : NULL;
    float *v = o->moment[1] ? o->moment[1] + at : NULL;
    switch (o->config.kind) {
    case AM_OPTIM_SGD:
        t->sgd(n, w, g, &k->args);
        break;
    case AM_OPTIM_MOMENTUM:
        t->momentum(n, w, g, m, &k->args);
        break;
    case AM_OPTIM_NESTEROV:
        t->nesterov(n, w, g, m, &k->args);
        break;
    case AM_OPTIM_ADAGRAD:
        t->adagrad(n, w, g, m, &k->args);
        break;
    case AM_OPTIM_RMSPROP: /* the average is the first block, momentum the second */
        t->rmsprop(n, w, g, v, m, &k->args);
        break;
    case AM_OPTIM_ADAM:
    case AM_OPTIM_ADAMW:
        t->adam(n, w, g, m, v, &k->args);
        break;
    }
}

static struct am_optim_args args_of(const struct am_optim *o, double learning_rate, double scale)
{
    const struct am_optim_config *c = &o->config;
    double t = (double)o->steps;
    return (struct am_optim_args){
        .learning_rate = (float)learning_rate,
        .grad_scale = (float)scale,
        .clip_value = (float)c->clip_value,
        .momentum = (float)c->momentum,
        .beta1 = (float)c->beta1,
        .beta2 = (float)(c->kind == AM_OPTIM_RMSPROP ? c->rho : c->beta2),
        .eps = (float)c->epsilon,
        .correction1 = (float)(1 - pow(c->beta1, t)),
        .correction2 = (float)(1 - pow(c->beta2, t)),
    };
}

double am_optim_step(struct am_optim *o, float *weights, const float *grads, double learning_rate,
                     struct am_pool *pool)
{
    const struct am_optim_config *c = &o->config;
    double norm = -1, scale = 1;
    if (c->clip_norm > 0) {
        norm = sqrt(o->kernels->sum_squares(o->params->n_floats, grads));
        if (!isfinite(norm))
            return norm;
        if (norm > c->clip_norm)
            scale = c->clip_norm / (norm + 1e-6); /* as torch.nn.utils.clip_grad_norm_ */
    }
    o->steps++;
    for (size_t i = 0; i < o->n_segments; i++) {
        const struct segment *s = &o->segments[i];
        struct work k = {o, weights, grads, s->offset,
                         args_of(o, learning_rate * (double)s->rate, scale)};
        if (s->decayed) {
            k.args.l1 = (float)c->l1;
            k.args.l2 = (float)(c->kind == AM_OPTIM_ADAMW ? c->l2 : c->l2 + c->weight_decay);
            k.args.decay = c->kind == AM_OPTIM_ADAMW ? (float)c->weight_decay : 0;
        }
        if (s->n <= 2 * CHUNK_FLOATS)
            update(&k, 0, s->n / 16);
        else
            am_pool_for(pool, s->n / 16, CHUNK_FLOATS / 16, update, &k);
    }
    return norm;
}

uint64_t am_optim_steps(const struct am_optim *o)
{
    return o->steps;
}

void am_optim_set_steps(struct am_optim *o, uint64_t n)
{
    o->steps = n;
}

unsigned am_optim_n_moments(const struct am_optim *o)
{
    return o->n_moments;
}

float *am_optim_moment(struct am_optim *o, unsigned i)
{
    return o->moment[i];
}
