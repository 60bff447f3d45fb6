/* Batch norm's statistics for weights that no batch was trained with: averages of weights.
 *
 * The mean over batches of what each batch's own statistics are (mean, unbiased variance), as
 * torch.optim.swa_utils.update_bn makes them; dropout is on, as in training. Fitting library. One
 * thread at a time. */
#ifndef AM_NN_TRAIN_NORM_H
#define AM_NN_TRAIN_NORM_H

#include "nn/train_int.h"

/* At most so many batches are looked at: the first ones of the epoch. */
#define AM_NORM_BATCHES 256

struct am_norms;
/* *out = NULL: the model has no batch norm, or only frozen ones. rows: of a batch. */
enum am_rc am_norms_new(const struct am_graph *model, const struct am_params *params,
                        const struct am_loss_spec *loss, size_t rows, struct am_pool *pool,
                        struct am_norms **out, struct am_err *err) AM_MUST_CHECK;
void am_norms_free(struct am_norms *n); /* NULL is fine */
/* Bytes that it takes while it refreshes. */
size_t am_norms_bytes(const struct am_norms *n);
/* Writes the running statistics into weights (a block of the parameters' layout). feed: the
 * training rows, as epoch sees them; scratch: another block. A function of weights, rows, epoch and
 * seed only. */
enum am_rc am_norms_refresh(struct am_norms *n, struct am_feed *feed, uint64_t epoch, uint64_t seed,
                            float *weights, float *scratch, struct am_err *err) AM_MUST_CHECK;

#endif
