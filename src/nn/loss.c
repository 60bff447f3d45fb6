/* Loss names and the loss node of a training graph. The arithmetic is in ops/loss.c. */
#include "nn/loss.h"

#include "nn/graph_int.h"
#include "nn/ops/train_ops.h"

static const char *const names[] = {[AM_LOSS_BINARY] = "binary_crossentropy",
                                    [AM_LOSS_CATEGORICAL] = "categorical_crossentropy",
                                    [AM_LOSS_MSE] = "mse",
                                    [AM_LOSS_MAE] = "mae",
                                    [AM_LOSS_HUBER] = "huber",
                                    [AM_LOSS_HINGE] = "hinge"};
#define N_LOSSES (sizeof names / sizeof names[0])

const char *am_loss_name(enum am_loss_kind k)
{
    return (unsigned)k < N_LOSSES ? names[k] : "unknown";
}

bool am_loss_parse(struct am_str s, enum am_loss_kind *out)
{
    for (unsigned i = 0; i < N_LOSSES; i++)
        if (am_str_is(s, names[i])) {
            *out = (enum am_loss_kind)i;
            return true;
        }
    return false;
}

static enum am_rc check_spec(const struct am_loss_spec *s, int64_t cols, struct am_err *err)
{
    if ((unsigned)s->kind >= N_LOSSES)
        return am_fail(err, AM_EINVAL, "there is no loss number %d", (int)s->kind);
    if (!(s->label_smoothing >= 0.0f && s->label_smoothing < 1.0f))
        return am_fail(err, AM_EINVAL, "label smoothing is %g, at least 0 and below 1 needed",
                       (double)s->label_smoothing);
    if (s->label_smoothing > 0.0f && s->kind > AM_LOSS_CATEGORICAL)
        return am_fail(err, AM_EINVAL, "label smoothing does not go with the loss %s",
                       names[s->kind]);
    if (s->kind == AM_LOSS_HUBER && !(s->delta > 0.0f))
        return am_fail(err, AM_EINVAL, "the huber loss needs a delta above 0, not %g",
                       (double)s->delta);
    if (s->kind == AM_LOSS_HINGE && !(s->margin >= 0.0f))
        return am_fail(err, AM_EINVAL, "the hinge loss needs a margin of at least 0, not %g",
                       (double)s->margin);
    if (s->mixed && (s->kind != AM_LOSS_CATEGORICAL || s->class_weights))
        return am_fail(err, AM_EINVAL,
                       "mixed targets go with the cross-entropy of classes without class weights");
    const size_t want = s->kind == AM_LOSS_CATEGORICAL ? (size_t)cols
                        : s->kind == AM_LOSS_BINARY    ? 2
                                                       : 0;
    if (s->class_weights && s->n_class_weights != want)
        return am_fail(err, AM_EINVAL,
                       "the loss %s over %lld outputs takes %zu class weights, not %zu",
                       names[s->kind], (long long)cols, want, s->n_class_weights);
    for (size_t i = 0; s->class_weights && i < want; i++)
        if (!(s->class_weights[i] >= 0.0f && s->class_weights[i] < 3e38f))
            return am_fail(err, AM_EINVAL, "class weight %zu is %g, at least 0 needed", i,
                           (double)s->class_weights[i]);
    return AM_OK;
}

/* The logits behind a probability, or the value itself. */
static am_value logits_of(const struct am_graph *g, am_value y, enum am_loss_kind kind, bool *found)
{
    const struct am_gnode *n = am_graph_node(g, y);
    *found = (kind == AM_LOSS_CATEGORICAL && n->op == &am_op_softmax) ||
             (kind == AM_LOSS_BINARY && n->op == &am_op_act && n->attr.act == AM_ACT_SIGMOID);
    return *found ? n->in[0] : y;
}

enum am_rc am_loss_add(struct am_graph *g, const struct am_loss_spec *s, struct am_err *err)
{
    AM_TRY(am_graph_check(g, err));
    const am_value y = am_graph_find_output(g, "y");
    if (y == AM_VALUE_NONE)
        return am_fail(err, AM_EINVAL, "the graph has no output \"y\"");
    const struct am_dims dims = am_graph_node(g, y)->dims;
    if (dims.rank != 2 || !am_dims_batched(&dims))
        return am_fail(err, AM_EINVAL, "output \"y\" must have the shape [B,n]");
    AM_TRY(check_spec(s, dims.d[1], err));
    bool logits;
    const bool classes = s->kind == AM_LOSS_CATEGORICAL;
    am_value in[4] = {logits_of(g, y, s->kind, &logits)};
    in[1] = am_graph_input(g, "target",
                           am_dims2(AM_DIM_BATCH, s->mixed  ? 3
                                                  : classes ? 1
                                                            : dims.d[1]));
    in[2] = am_graph_input(g, "weight", am_dims2(AM_DIM_BATCH, 1));
    in[3] = s->class_weights
                ? am_graph_const(g, &am_op_const, am_dims1((int64_t)s->n_class_weights),
                                 s->class_weights)
                : AM_VALUE_NONE;
    const float f = s->kind == AM_LOSS_HUBER   ? s->delta
                    : s->kind == AM_LOSS_HINGE ? s->margin
                                               : s->label_smoothing;
    const struct am_attr attr = {.i = {s->kind, logits, classes ? dims.d[1] : 0, s->mixed},
                                 .f = {f}};
    am_graph_output(g, "loss", am_graph_add(g, &am_op_loss, in, 4, &attr, "loss"));
    return am_graph_check(g, err);
}

am_value am_graph_grad_value(const struct am_graph *g, size_t k)
{
    return k < g->params.len ? g->params.ptr[k].grad : AM_VALUE_NONE;
}
