/* Training and evaluation plans in one call. Fitting library only.
 *
 * Both start from the model's own graph (input "x", output "y"); it is copied, never changed. One
 * thread. */
#ifndef AM_NN_TRAIN_PLAN_H
#define AM_NN_TRAIN_PLAN_H

#include "nn/loss.h"
#include "nn/plan.h"

/* The model's graph as it is trained, without a loss: dropout as masks, batch norm by the batch
 * (not a frozen one), recurrent layers with what their gradients need. */
enum am_rc am_training_graph(const struct am_graph *model, struct am_graph **out,
                             struct am_err *err) AM_MUST_CHECK;
/* Forward, loss and gradients in one plan (AM_PLAN_TRAIN). Run it with am_session_run_io. */
enum am_rc am_train_plan_build(const struct am_graph *model, const struct am_params *params,
                               const struct am_loss_spec *loss, size_t bucket_rows,
                               struct am_plan **out, struct am_err *err) AM_MUST_CHECK;
/* Forward and loss without dropout and with running statistics (AM_PLAN_EVAL). */
enum am_rc am_eval_plan_build(const struct am_graph *model, const struct am_params *params,
                              const struct am_loss_spec *loss, size_t bucket_rows,
                              struct am_plan **out, struct am_err *err) AM_MUST_CHECK;

/* The same with a kernel table other than am_kernels_best() (tests, comparisons). */
enum am_rc am_train_plan_build_with(const struct am_graph *model, const struct am_params *params,
                                    const struct am_loss_spec *loss, size_t bucket_rows,
                                    const struct am_kernels *kernels, struct am_plan **out,
                                    struct am_err *err) AM_MUST_CHECK;
enum am_rc am_eval_plan_build_with(const struct am_graph *model, const struct am_params *params,
                                   const struct am_loss_spec *loss, size_t bucket_rows,
                                   const struct am_kernels *kernels, struct am_plan **out,
                                   struct am_err *err) AM_MUST_CHECK;

/* The training plan with a library of convolution kernels where `library` says (TABLE, ALL, NONE).
 */
enum am_rc am_train_plan_build_library(const struct am_graph *model, const struct am_params *params,
                                       const struct am_loss_spec *loss, size_t bucket_rows,
                                       enum am_plan_library library, struct am_plan **out,
                                       struct am_err *err) AM_MUST_CHECK;

#endif
