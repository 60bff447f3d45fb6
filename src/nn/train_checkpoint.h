/* The checkpoint: everything that a training needs to go on with the same bits. Inside of nn/.
 *
 * Little-endian, no holes. Data only: read with every size checked before use.
 *
 *   offset  size  what
 *        0     8  "AMCKPT\0\3" (the last byte is the version)
 *        8    32  fingerprint: SHA-256 of configuration, graph and data shape
 *       40     8  complete epochs
 *       48     8  batches done of the next epoch
 *       56     8  optimiser steps
 *       64     8  sum of weighted losses of the running epoch (f64)
 *       72     8  sum of weights of the running epoch (f64)
 *       80     8  plateau: scale (f64)
 *       88     8  plateau: best (f64)
 *       96     8  plateau: bad epochs
 *      104     8  plateau: epochs seen
 *      112     8  best epoch (0 = none)
 *      120     8  best loss (f64)
 *      128     8  epochs since the best (of early stopping)
 *      136     8  last training loss (f64)
 *      144     8  last validation loss (f64)
 *      152     8  floats per block, F
 *      160     4  number of moment blocks, M
 *      164     4  bits: 1 = the best weights follow, 2 = the average of the weights follows
 *      168     8  how many weights the average holds
 *      176     8  times that training was set back after it diverged
 *      184     8  product of the factors of those times (f64)
 *      192     8  training loss of the first epoch (f64; NaN = none yet)
 *      200     8  optimiser steps before the last of those times
 *      208   4*F  weights (running statistics among them)
 *       ..  4FM  moments
 *       ..   4*F  best weights, when present
 *       ..   4*F  average, when present
 *       ..    32  SHA-256 of all bytes before */
#ifndef AM_NN_TRAIN_CHECKPOINT_H
#define AM_NN_TRAIN_CHECKPOINT_H

#include "base/sha256.h"
#include "nn/train.h"

#define AM_CHECKPOINT_HEADER_BYTES 208

struct am_train_state {
    unsigned char fingerprint[AM_SHA256_BYTES];
    uint64_t epoch; /* complete ones */
    uint64_t batch; /* done of the next one */
    double loss_sum, weight_sum;
    struct am_sched_state sched;
    uint64_t best_epoch;
    double best_loss;
    uint64_t stale; /* epochs since the best one, as early stopping counts */
    double train_loss, validation_loss;
    bool has_best;
    bool safe;      /* best holds weights to go back to: the best epoch's, or the first ones */
    float *best;    /* owned by the loop: [n_floats], or NULL */
    float *average; /* owned by the loop: [n_floats], or NULL */
    uint64_t n_averaged;
    uint64_t n_recovered; /* of train.h's recover */
    double rate_scale;    /* factors of those, 1 without */
    double first_loss;    /* NaN = no epoch yet */
    uint64_t steps_before;
};

enum am_rc am_checkpoint_fingerprint(const struct am_graph *g, const struct am_params *p,
                                     const struct am_train_config *c,
                                     const struct am_train_data *data,
                                     const struct am_train_data *validation,
                                     unsigned char out[AM_SHA256_BYTES],
                                     struct am_err *err) AM_MUST_CHECK;
/* out is emptied first; its maximum must allow for the size. */
enum am_rc am_checkpoint_write(const struct am_train_state *s, const struct am_params *p,
                               struct am_optim *o, struct am_buf *out,
                               struct am_err *err) AM_MUST_CHECK;
/* Fills s (but for fingerprint, which is compared), p->data and o. Nothing is changed on failure.
 */
enum am_rc am_checkpoint_read(struct am_str bytes, struct am_train_state *s, struct am_params *p,
                              struct am_optim *o, struct am_err *err) AM_MUST_CHECK;

#endif
