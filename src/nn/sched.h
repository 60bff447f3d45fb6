/* Learning-rate schedules: a pure function of the position in training, but for `plateau`, which
 * keeps a few numbers that a checkpoint stores. Fitting library only; no memory, any thread.
 *
 * Warm-up rises linearly, step by step, over the first `warmup` epochs; what follows counts epochs
 * from its end and changes between epochs, as PyTorch's schedulers do when stepped once an epoch.
 */
#ifndef AM_NN_SCHED_H
#define AM_NN_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum am_sched_kind {
    AM_SCHED_CONSTANT,
    AM_SCHED_STEP,        /* rate * factor^(epoch / step), whole division */
    AM_SCHED_EXPONENTIAL, /* rate * factor^epoch */
    AM_SCHED_COSINE,      /* min + (rate - min) (1 + cos(pi epoch / epochs)) / 2 */
    AM_SCHED_PLATEAU,     /* times factor after more than patience epochs in a row in which the loss
                             was not below best * (1 - 1e-4) (PyTorch's ReduceLROnPlateau) */
};
const char *am_sched_name(enum am_sched_kind k); /* "cosine"; static */
bool am_sched_parse(struct am_str s, enum am_sched_kind *out);

struct am_sched_config {
    enum am_sched_kind kind;
    uint64_t step;     /* epochs, >= 1 */
    double factor;     /* (0, 1] */
    uint64_t patience; /* epochs */
    double min;        /* lowest rate after warm-up, >= 0 */
    uint64_t warmup;   /* epochs; 0 = none */
};
void am_sched_config_init(
    struct am_sched_config *c); /* constant; step 10, factor 0.1, patience 10 */
enum am_rc am_sched_config_check(const struct am_sched_config *c, struct am_err *err) AM_MUST_CHECK;

struct am_sched_state { /* of plateau; all zero = the start */
    double scale;       /* product of the factors so far; 0 stands for 1 */
    double best;        /* lowest loss seen */
    uint64_t bad_epochs;
    uint64_t seen; /* epochs reported */
};

/* The rate of batch `batch` (of n_batches) of epoch `epoch` (both from 0; n_epochs in all). */
double am_sched_rate(const struct am_sched_config *c, const struct am_sched_state *s,
                     double base_rate, uint64_t epoch, uint64_t n_epochs, uint64_t batch,
                     uint64_t n_batches);
/* After each epoch: its loss (validation when there is one). Moves plateau only. */
void am_sched_epoch(const struct am_sched_config *c, struct am_sched_state *s, double base_rate,
                    double loss);

#endif
