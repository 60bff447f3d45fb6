/* The training loop: batches, epochs, validation, early stopping, checkpoint and resume. Fitting
 * library only.
 *
 * Shuffles are counter-based, so position (epoch, batch) and seed say which rows come next: the
 * same configuration, rows and seed give the same weight bits for any number of threads and any
 * size of memory, also when training was killed and resumed. Not a scheduler of runs and no store:
 * files and records belong to the caller, through the hooks. One training at a time per params. */
#ifndef AM_NN_TRAIN_H
#define AM_NN_TRAIN_H

#include "nn/loss.h"
#include "nn/matrix.h"
#include "nn/optim.h"
#include "nn/sched.h"

struct am_pool;
struct am_progress;

enum am_train_order { AM_TRAIN_SHUFFLED, AM_TRAIN_IN_ORDER };

/* Averages of the weights over training. From the first average on, the validation loss, the best
 * epoch and the result are the average's. Running statistics of batch norm belong to weights, so
 * those of an average are measured anew after each epoch, over up to 256 batches of it, as
 * torch.optim.swa_utils.update_bn does. */
enum am_train_average {
    AM_TRAIN_AVERAGE_NONE,
    AM_TRAIN_AVERAGE_EMA, /* after each step: a += (1 - d) (w - a), d = min(decay,
                              (1 + n) / (10 + n)) after n averages */
    AM_TRAIN_AVERAGE_SWA, /* after each epoch: the mean of all so far (Izmailov et al. 2018) */
};

struct am_train_config {
    struct am_loss_spec loss;
    struct am_optim_config optim;
    struct am_sched_config sched;
    double learning_rate; /* > 0 */
    uint64_t epochs;      /* >= 1 */
    size_t batch_size;    /* >= 1; the last batch of an epoch may be smaller */
    /* >= 1: batches whose gradients make one step of the optimiser, as if the batch were so many
     * times as large, with the memory of one batch. Each batch adds its own sums, so the bits are
     * the large batch's where those sums are the blocks of a large one (AM_GEMM_K_BLOCK rows), else
     * equal up to rounding; batch norm sees the small batches. */
    size_t accumulate;
    enum am_train_average average;
    double average_decay;   /* of EMA, (0, 1) */
    uint64_t average_start; /* complete epochs before averaging begins */
    enum am_train_order order;
    uint64_t seed; /* of shuffles and dropout (weights: am_params_init) */
    /* Early stopping on the validation loss: 0 = off. After `patience` epochs in a row without a
     * loss below best - min_delta training stops, and the best epoch's weights are restored (also
     * when the last epoch is reached first). */
    uint64_t patience;
    double min_delta;
    /* When training diverges (a loss, gradient or weight that is not finite, or an epoch whose loss
     * is more than ten times that of the first one), go back to the best epoch's weights (the first
     * ones before any) and do the epoch again with the learning rate times `recover_factor` (0, 1)
     * and a fresh optimiser, at most so many times; 0 = divergence is an error at once. */
    uint64_t recover;
    double recover_factor;
    /* Convolutions and pools by the table of plan_port.c: AM_EMISSING without a library, other bits
     * with it (am_kernel_port_profile). */
    bool library_kernels;
    uint64_t checkpoint_every; /* epochs between checkpoints; 0 = only when interrupted */
};
/* adam 0.001, 50 epochs, batch 32, shuffled, no early stopping, checkpoint every epoch, MSE */
void am_train_config_init(struct am_train_config *c);
enum am_rc am_train_config_check(const struct am_train_config *c, struct am_err *err) AM_MUST_CHECK;

struct am_train_epoch {
    uint64_t epoch;         /* from 1 */
    double train_loss;      /* mean over the epoch's batches as they were trained, no penalties */
    double validation_loss; /* NaN = no validation rows */
    double learning_rate;   /* of the epoch's last batch */
    double seconds;         /* since the epoch began (since the resume, for a resumed epoch) */
    bool improved;          /* the lowest monitored loss so far */
};

/* Training diverged and was set back. */
struct am_train_recovery {
    uint64_t epoch;       /* that is done again, from 1 */
    uint64_t from_epoch;  /* whose weights it goes on with; 0 = the first ones */
    uint64_t times;       /* so far, from 1 */
    double learning_rate; /* from now on, before the schedule */
    const char *why;      /* the error's message; for the call */
};

struct am_train_hooks { /* every member may be NULL */
    void *ctx;
    /* After each epoch, on the calling thread. An error ends training with it. AM_ECANCELED from
     * here ends it as a cancel does, without another checkpoint. */
    enum am_rc (*on_epoch)(void *ctx, const struct am_train_epoch *e, struct am_err *err);
    /* After each recovery, on the calling thread. */
    enum am_rc (*on_recovery)(void *ctx, const struct am_train_recovery *r, struct am_err *err);
    struct am_progress *progress; /* phase "train"; its cancel flag is obeyed between batches */
    /* The place of the checkpoint: a file written atomically (checkpoint_path), or bytes through
     * the callbacks. load leaves *out empty when there is none. A checkpoint that does not belong
     * to this configuration, graph and data is AM_ECONFLICT; one that is damaged AM_ECORRUPT. */
    const char *checkpoint_path;
    enum am_rc (*checkpoint_save)(void *ctx, const void *bytes, size_t n, struct am_err *err);
    enum am_rc (*checkpoint_load)(void *ctx, struct am_buf *out, struct am_err *err);
    /* After the optimiser's step `step` (from 1), before averages: may change weights (pruning
     * masks). What it does must be a function of step and weights, or a resumed training differs.
     * It must leave gaps between tensors zero. */
    enum am_rc (*after_step)(void *ctx, uint64_t step, struct am_params *params,
                             struct am_err *err);
};

struct am_train_result {
    uint64_t epochs;     /* complete ones, those before a resume included */
    uint64_t steps;      /* optimiser steps */
    uint64_t best_epoch; /* from 1: the lowest monitored loss; 0 = none */
    double best_loss;    /* of that epoch: validation, or training without validation rows */
    double train_loss, validation_loss; /* of the last epoch; NaN = none */
    uint64_t n_recovered;               /* times that it was set back after it diverged */
    uint64_t resumed_epoch;             /* complete epochs that the checkpoint held; 0 = fresh */
    bool resumed, stopped_early, restored_best;
    bool averaged; /* the weights are an average */
};

/* Train params (initialised by the caller; overwritten by a checkpoint when one is found) on data.
 * graph is the model's own (input "x", output "y"). validation may be NULL unless patience > 0.
 * AM_ECANCELED after a cancel: a checkpoint was saved at the batch boundary when there is a place
 * for it, result is filled, and the next call with the same arguments goes on from there. A loss
 * that is not finite is AM_EINVAL with a hint. result is written on failure, too. */
enum am_rc am_train_run(const struct am_graph *graph, struct am_params *params,
                        const struct am_train_data *data, const struct am_train_data *validation,
                        const struct am_train_config *config, const struct am_train_hooks *hooks,
                        struct am_pool *pool, struct am_train_result *result,
                        struct am_err *err) AM_MUST_CHECK;

/* Mean loss of data under params, rows in order (no dropout, running statistics). */
enum am_rc am_train_loss(const struct am_graph *graph, const struct am_params *params,
                         const struct am_train_data *data, const struct am_loss_spec *loss,
                         struct am_pool *pool, double *out, struct am_err *err) AM_MUST_CHECK;

/* Does a pattern name this parameter? `*` is any run of characters, `?` one; a layer's name stands
 * for all of its parameters ("conv1" for "conv1.weight" and "conv1.bias"). */
bool am_train_names(struct am_str pattern, struct am_str name);
/* How many parameters a pattern names. */
size_t am_train_match(const struct am_params *params, struct am_str pattern);
/* Freeze what the pattern names, in graph and block: no gradient, no step. A batch norm whose
 * weight and bias are frozen uses its running statistics and leaves them alone. A pattern that
 * names nothing is AM_EUSAGE. */
enum am_rc am_train_freeze(struct am_graph *graph, struct am_params *params, struct am_str pattern,
                           struct am_err *err) AM_MUST_CHECK;
/* Multiply the learning rate of what the pattern names; factor >= 0, later calls win. */
enum am_rc am_train_rate(struct am_params *params, struct am_str pattern, double factor,
                         struct am_err *err) AM_MUST_CHECK;

/* The learning-rate range test (Smith 2017): steps with rates that rise evenly in their logarithm,
 * on a copy of params; ends when the smoothed loss is four times its lowest. */
struct am_rate_options {
    double lowest, highest; /* 0 = 1e-7 and 1 */
    size_t n_steps;         /* 0 = 100; at most AM_RATE_STEPS_MAX */
};
#define AM_RATE_STEPS_MAX 1000
struct am_rate_curve {
    size_t n;
    double rate[AM_RATE_STEPS_MAX];
    double loss[AM_RATE_STEPS_MAX]; /* exponentially smoothed (0.9), unbiased */
    double suggestion; /* rate of the steepest fall before the lowest loss; NaN = none falls */
};
enum am_rc am_train_find_rate(const struct am_graph *graph, const struct am_params *params,
                              const struct am_train_data *data,
                              const struct am_train_config *config,
                              const struct am_rate_options *options /* NULL = defaults */,
                              struct am_pool *pool, struct am_progress *progress /* or NULL */,
                              struct am_rate_curve *out, struct am_err *err) AM_MUST_CHECK;

/* Row at place i of a keyed permutation of 0..n-1 (a Feistel network over Philox-like rounds with
 * cycle walking): no memory, any place at once. */
uint64_t am_train_shuffled(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i);

#endif
