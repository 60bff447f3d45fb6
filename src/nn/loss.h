/* Losses and gradients: what turns a model's graph into a training graph. Fitting library only.
 *
 * am_loss_add appends the inputs "target" and "weight" and the loss of output "y"; am_grad_build
 * appends the gradient of that loss for every parameter that is not frozen (symbol to symbol:
 * gradients are nodes like any other). nn/train_plan.h does both. One thread. */
#ifndef AM_NN_LOSS_H
#define AM_NN_LOSS_H

#include "nn/graph.h"

enum am_loss_kind {
    AM_LOSS_BINARY,      /* binary cross-entropy; y [B,C] probabilities, target [B,C] in [0,1] */
    AM_LOSS_CATEGORICAL, /* cross-entropy; y [B,C] probabilities, target [B,1] class index */
    AM_LOSS_MSE,
    AM_LOSS_MAE,
    AM_LOSS_HUBER, /* 0.5 d^2 for |d| <= delta, else delta (|d| - delta / 2) */
    AM_LOSS_HINGE, /* max(0, margin - (2 target - 1) y), target in {0,1}; margin 0 = the
                      perceptron's; between 0 and 1: that share of each of the two */
};

struct am_loss_spec {
    enum am_loss_kind kind;
    float label_smoothing;      /* [0, 1): CATEGORICAL as PyTorch; BINARY target (1-s) + s/2 */
    float delta;                /* HUBER; > 0 */
    float margin;               /* HINGE; >= 0 */
    const float *class_weights; /* [n_class_weights] or NULL; CATEGORICAL: C; BINARY: 2 (of 0, of
                                   1), copied */
    size_t n_class_weights;
    /* CATEGORICAL: target [B,3]: a class, another one, and the share in [0,1] that the other's loss
     * has in the row's (mixup, Zhang et al. 2018). Without class_weights: rows carry them. */
    bool mixed;
};
/* A row's loss is the mean over its columns (CATEGORICAL: the one class); the batch's is
 * sum(weight * class weight * loss) / sum(weight * class weight), as PyTorch's with class weights.
 */

const char *am_loss_name(
    enum am_loss_kind k); /* "binary_crossentropy", "categorical_crossentropy", "mse", ... */
bool am_loss_parse(struct am_str s, enum am_loss_kind *out);

/* When "y" is softmax (CATEGORICAL) or sigmoid (BINARY) of logits, the loss is taken of the logits.
 */
enum am_rc am_loss_add(struct am_graph *g, const struct am_loss_spec *spec,
                       struct am_err *err) AM_MUST_CHECK;
/* After am_loss_add. The gradient of parameter k becomes am_graph_grad_value(g, k). */
enum am_rc am_grad_build(struct am_graph *g, struct am_err *err) AM_MUST_CHECK;
am_value am_graph_grad_value(const struct am_graph *g, size_t k); /* AM_VALUE_NONE: no gradient */
/* The gradient of any value by an earlier one (an input, say): `seed` is the gradient by `from`
 * itself, of its dimensions. *out = AM_VALUE_NONE when nothing leads from `to` to `from`. */
enum am_rc am_grad_between(struct am_graph *g, am_value from, am_value seed, am_value to,
                           am_value *out, struct am_err *err) AM_MUST_CHECK;

#endif
