/* The fitting library's ops: training forms, gradients, losses. For grad.c, loss.c and
 * train_plan.c. */
#ifndef AM_NN_TRAIN_OPS_H
#define AM_NN_TRAIN_OPS_H

#include "nn/ops/op.h"

extern const struct am_op am_op_const, am_op_loss, am_op_loss_grad, am_op_linear_dx,
    am_op_linear_dw, am_op_col_sum, am_op_act_grad, am_op_softmax_grad, am_op_dropout_train,
    am_op_bn_stats, am_op_bn_train, am_op_bn_update, am_op_bn_sums, am_op_bn_dx, am_op_ln_dx,
    am_op_ln_sums, am_op_row, am_op_embedding_grad, am_op_pad_columns;

extern const struct am_op am_op_lstm_train, am_op_gru_train, am_op_rnn_grad, am_op_lstm_grad,
    am_op_gru_grad, am_op_seq_dw, am_op_gru_db, am_op_seq_part, am_op_seq_pool_grad,
    am_op_seq_attend_dx, am_op_seq_attend_ds;

extern const struct am_op am_op_pool_grad, am_op_upsample_grad, am_op_tokens_grad, am_op_gn_dx,
    am_op_gn_sums, am_op_dropout2d_train;

extern const struct am_op am_op_conv_dx, am_op_conv_dw;

/* am_op_loss and am_op_loss_grad: inputs prediction, target, weight or none, class weights or none.
 * attr.i[0] = enum am_loss_kind, attr.i[1] = 1: the prediction is logits, attr.i[2] = classes
 * (CATEGORICAL), attr.i[3] = 1: its targets are mixed, attr.f[0] = label smoothing, delta or
 * margin.
 */

/* am_run_gemm of a B that is packed into scratch first where that pays; same bits. Scratch floats
 * for a C [m, n] of sums of k. */
void am_run_product(const struct am_run *r, const struct am_gemm *g, float *scratch);
size_t am_product_scratch(size_t m, size_t n, size_t k);

#endif
