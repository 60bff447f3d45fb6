/* Learning-rate schedules. Pure arithmetic in double; the formulas and PyTorch's names for them are
 * in the header. */
#include "nn/sched.h"

#include <math.h>

static const char *const names[] = {"constant", "step", "exponential", "cosine", "plateau"};

const char *am_sched_name(enum am_sched_kind k)
{
    return names[k];
}

bool am_sched_parse(struct am_str s, enum am_sched_kind *out)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (am_str_is(s, names[i])) {
            *out = (enum am_sched_kind)i;
            return true;
        }
    }
    return false;
}

void am_sched_config_init(struct am_sched_config *c)
{
    *c = (struct am_sched_config){
        .kind = AM_SCHED_CONSTANT, .step = 10, .factor = 0.1, .patience = 10};
}

enum am_rc am_sched_config_check(const struct am_sched_config *c, struct am_err *err)
{
    if (c->step < 1)
        return am_fail(err, AM_EUSAGE, "the schedule's step is 0, but must be at least 1 epoch");
    if (!(c->factor > 0 && c->factor <= 1))
        return am_fail(err, AM_EUSAGE,
                       "the schedule's factor is %g, but must be above 0 and at most 1", c->factor);
    if (!(c->min >= 0 && isfinite(c->min)))
        return am_fail(err, AM_EUSAGE, "the schedule's min is %g, but must not be negative",
                       c->min);
    return AM_OK;
}

static double after_warmup(const struct am_sched_config *c, const struct am_sched_state *s,
                           double base, double epoch, double n_epochs)
{
    switch (c->kind) {
    case AM_SCHED_STEP:
        return base * pow(c->factor, floor(epoch / (double)c->step));
    case AM_SCHED_EXPONENTIAL:
        return base * pow(c->factor, epoch);
    case AM_SCHED_COSINE:
        return c->min + (base - c->min) * (1 + cos(3.14159265358979323846 * epoch / n_epochs)) / 2;
    case AM_SCHED_PLATEAU:
        return s->scale > 0 ? base * s->scale : base;
    case AM_SCHED_CONSTANT:
        break;
    }
    return base;
}

double am_sched_rate(const struct am_sched_config *c, const struct am_sched_state *s,
                     double base_rate, uint64_t epoch, uint64_t n_epochs, uint64_t batch,
                     uint64_t n_batches)
{
    double rate, n = (double)n_batches;
    if (epoch < c->warmup)
        return base_rate * ((double)epoch * n + (double)batch + 1) / ((double)c->warmup * n);
    rate = after_warmup(c, s, base_rate, (double)(epoch - c->warmup),
                        n_epochs > c->warmup ? (double)(n_epochs - c->warmup) : 1);
    return rate < c->min ? c->min : rate;
}

void am_sched_epoch(const struct am_sched_config *c, struct am_sched_state *s, double base_rate,
                    double loss)
{
    if (c->kind != AM_SCHED_PLATEAU)
        return;
    if (s->scale <= 0)
        s->scale = 1;
    /* relative threshold 1e-4, for losses of either sign */
    if (s->seen == 0 || loss < s->best - 1e-4 * fabs(s->best)) {
        s->best = loss;
        s->bad_epochs = 0;
    } else {
        s->bad_epochs++;
    }
    s->seen++;
    if (s->bad_epochs > c->patience) {
        if (base_rate * s->scale > c->min)
            s->scale *= c->factor;
        s->bad_epochs = 0;
    }
}
