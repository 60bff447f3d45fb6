/* Symbol-to-symbol gradients: walks the graph from the loss back and appends gradient nodes.
 *
 * Each op's rule is a function here, in one table; it sees the value v and the value dy of the
 * gradient of the loss with respect to v, and adds to the gradients of v's inputs those that are
 * needed. Fitting library. */
#include "nn/loss.h"

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/layers_seq.h"
#include "nn/ops/pool.h"
#include "nn/ops/seq_int.h"
#include "nn/ops/train_ops.h"

struct grads {
    struct am_graph *g;
    am_value *of; /* owned, [n]: the gradient found so far, or AM_VALUE_NONE */
    bool *needed; /* owned, [n]: leads to a trained parameter */
};

/* Nodes move when the graph grows: rules read a copy. */
static struct am_gnode copy_of(const struct grads *c, am_value v)
{
    return *am_graph_node(c->g, v);
}

static bool wanted(const struct grads *c, am_value v)
{
    return v != AM_VALUE_NONE && c->needed[v];
}

static void give(struct grads *c, am_value v, am_value grad)
{
    if (grad == AM_VALUE_NONE || !wanted(c, v))
        return;
    if (c->of[v] == AM_VALUE_NONE) {
        c->of[v] = grad;
        return;
    }
    const am_value in[2] = {c->of[v], grad};
    c->of[v] = am_graph_add(c->g, &am_op_add, in, 2, NULL, NULL);
}

static am_value emit(struct grads *c, const struct am_op *op, unsigned n, const am_value *in,
                     const struct am_attr *attr)
{
    return am_graph_add(c->g, op, in, n, attr, NULL);
}
#define EMIT(c, op, attr, ...)                                                                     \
    emit((c), (op), sizeof((am_value[]){__VA_ARGS__}) / sizeof(am_value),                          \
         (am_value[]){__VA_ARGS__}, (attr))

static void linear_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_linear_dx, NULL, dy, n.in[1]));
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_linear_dw, NULL, n.in[0], dy));
    if (am_in_given(&n, 2) && wanted(c, n.in[2]))
        give(c, n.in[2], EMIT(c, &am_op_col_sum, NULL, dy));
}

static void act_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const bool by_input =
        n.attr.act == AM_ACT_GELU || n.attr.act == AM_ACT_GELU_TANH || n.attr.act == AM_ACT_SILU;
    give(c, n.in[0], EMIT(c, &am_op_act_grad, &n.attr, dy, by_input ? n.in[0] : v));
}

static void softmax_grad(struct grads *c, am_value v, am_value dy)
{
    give(c, copy_of(c, v).in[0], EMIT(c, &am_op_softmax_grad, NULL, dy, v));
}

static void dropout_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    give(c, n.in[0], EMIT(c, n.op, &n.attr, dy));
}

static void add_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    give(c, n.in[0], dy);
    give(c, n.in[1], dy);
}

static void mul_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_mul, NULL, dy, n.in[1]));
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_mul, NULL, dy, n.in[0]));
}

static void scale_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const struct am_attr attr = {.f = {n.attr.f[0], 0.0f}};
    give(c, n.in[0], EMIT(c, &am_op_scale, &attr, dy));
}

static void concat_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    int64_t first = 0;
    for (unsigned i = 0; i < n.n_in; i++) {
        const int64_t cols = (int64_t)am_dims_cols(am_in_dims(c->g, &n, i));
        const struct am_attr attr = {.i = {first, cols}};
        if (wanted(c, n.in[i]))
            give(c, n.in[i], EMIT(c, &am_op_columns, &attr, dy));
        first += cols;
    }
}

static void columns_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const struct am_attr attr = {
        .i = {n.attr.i[0], (int64_t)am_dims_cols(am_in_dims(c->g, &n, 0))}};
    give(c, n.in[0], EMIT(c, &am_op_pad_columns, &attr, dy));
}

static void embedding_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_embedding_grad, NULL, dy, n.in[0], n.in[1]));
}

static void tokens_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_tokens_grad, NULL, dy, n.in[0], n.in[1]));
}

/* grad with the dimensions of v */
static am_value shaped_as(struct grads *c, am_value v, am_value grad)
{
    const struct am_dims d = am_graph_node(c->g, v)->dims;
    struct am_attr attr = {.i = {(int64_t)d.rank - 1}};
    for (unsigned i = 1; i < d.rank; i++)
        attr.i[i] = d.d[i];
    return EMIT(c, &am_op_reshape, &attr, grad);
}

static void reshape_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    give(c, n.in[0], shaped_as(c, n.in[0], dy));
}

static void split_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    give(c, n.in[0], EMIT(c, &am_op_join_frames, NULL, dy));
}

static void join_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    give(c, n.in[0], EMIT(c, &am_op_split_frames, NULL, dy));
}

static void permute_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    struct am_attr back = {0};
    for (unsigned i = 0; i + 1 < n.dims.rank; i++)
        back.i[n.attr.i[i]] = (int64_t)i;
    give(c, n.in[0], EMIT(c, &am_op_permute, &back, dy));
}

/* slice and pad undo each other; the lists of their attributes begin at 0 and 7 */
static void slice_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    struct am_attr back = n.attr;
    for (unsigned i = 0; i + 1 < n.dims.rank; i++)
        back.i[7 + i] = am_in_dims(c->g, &n, 0)->d[i + 1] - n.attr.i[i] - n.dims.d[i + 1];
    give(c, n.in[0], EMIT(c, &am_op_pad, &back, dy));
}

static void pad_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    struct am_attr back = n.attr;
    for (unsigned i = 0; i + 1 < n.dims.rank; i++)
        back.i[7 + i] = am_in_dims(c->g, &n, 0)->d[i + 1];
    give(c, n.in[0], EMIT(c, &am_op_slice, &back, dy));
}

static void pool_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    struct am_pooling_shape p;
    struct am_attr attr = n.attr;
    am_pool_shape(n.op, &n.attr, am_in_dims(c->g, &n, 0), &p);
    attr.i[8] = (int64_t)p.h;
    attr.i[9] = (int64_t)p.w;
    attr.i[10] = (int64_t)p.c;
    attr.i[11] = am_pool_is_average(n.op);
    attr.i[12] = am_pool_is_global(n.op);
    const am_value in[2] = {dy, n.in[0]};
    const am_value dx = emit(c, &am_op_pool_grad, p.average ? 1 : 2, in, &attr);
    give(c, n.in[0], shaped_as(c, n.in[0], dx));
}

static void upsample_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const struct am_dims *x = am_in_dims(c->g, &n, 0);
    struct am_attr attr = n.attr;
    attr.i[2] = x->rank == 4 ? x->d[1] : 1;
    attr.i[3] = x->d[x->rank - 2];
    attr.i[4] = n.op == &am_op_upsample_bilinear;
    const am_value dx = EMIT(c, &am_op_upsample_grad, &attr, dy);
    give(c, n.in[0], shaped_as(c, n.in[0], dx));
}

/* A tensor with the same column sums as dy and perhaps fewer rows: a maximum's gradient goes to one
 * place of each window. */
static am_value same_sums(const struct grads *c, am_value dy)
{
    for (;;) {
        const struct am_gnode *n = am_graph_node(c->g, dy);
        const bool view = n && n->op == &am_op_reshape &&
                          am_dims_cols(am_in_dims(c->g, n, 0)) == am_dims_cols(&n->dims);
        if (!view && !(n && n->op == &am_op_pool_grad && !n->attr.i[11]))
            return dy;
        dy = n->in[0];
    }
}

static void conv_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_conv_dx, &n.attr, dy, n.in[1]));
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_conv_dw, &n.attr, n.in[0], dy));
    if (am_in_given(&n, 2) && wanted(c, n.in[2]))
        give(c, n.in[2], EMIT(c, &am_op_col_sum, NULL, same_sums(c, dy)));
}

static void conv_transposed_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_conv, &n.attr, dy, n.in[1]));
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_conv_dw, &n.attr, dy, n.in[0]));
    if (am_in_given(&n, 2) && wanted(c, n.in[2]))
        give(c, n.in[2], EMIT(c, &am_op_col_sum, NULL, dy));
}

static am_value row_of(struct grads *c, am_value two, int64_t i)
{
    const struct am_attr attr = {.i = {i}};
    return EMIT(c, &am_op_row, &attr, two);
}

/* bn_train: inputs x, stats, weight, bias; the path through the statistics is inside bn_dx */
static void batch_norm_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const am_value sums = EMIT(c, &am_op_bn_sums, &n.attr, dy, n.in[0], n.in[1]);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_bn_dx, &n.attr, dy, n.in[0], n.in[1], n.in[2], sums));
    if (wanted(c, n.in[2]))
        give(c, n.in[2], row_of(c, sums, 1));
    if (wanted(c, n.in[3]))
        give(c, n.in[3], row_of(c, sums, 0));
}

/* A frozen batch norm, x * factor + shift: the gradient is that of the factor alone, a batch norm
 * without mean and bias. Weight, bias and statistics are frozen. */
static void frozen_batch_norm_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const struct am_dims dims = am_graph_node(c->g, n.in[1])->dims;
    float *zeros = am_calloc(am_dims_count(&dims), sizeof *zeros);
    if (!zeros) {
        am_graph_fail(c->g, AM_ENOMEM, "out of memory for the gradient of a batch norm");
        return;
    }
    const am_value none = am_graph_const(c->g, &am_op_const, dims, zeros);
    am_free(zeros);
    give(c, n.in[0], EMIT(c, &am_op_batch_norm, &n.attr, dy, n.in[1], none, none, n.in[4]));
}

static void layer_norm_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_ln_dx, &n.attr, dy, n.in[0], n.in[1]));
    if (!wanted(c, n.in[1]) && !wanted(c, n.in[2]))
        return;
    const am_value sums = EMIT(c, &am_op_ln_sums, &n.attr, dy, n.in[0]);
    if (wanted(c, n.in[1]))
        give(c, n.in[1], row_of(c, sums, 1));
    if (wanted(c, n.in[2]))
        give(c, n.in[2], row_of(c, sums, 0));
}

/* rnn keeps its state only; lstm_train and gru_train are reached through the state taken from what
 * they keep */
static void recurrent_grad(struct grads *c, am_value kept, am_value dy)
{
    const struct am_gnode n = copy_of(c, kept);
    const int64_t units = am_graph_node(c->g, n.in[1])->dims.d[0];
    const bool lstm = n.op == &am_op_lstm_train, gru = n.op == &am_op_gru_train;
    const struct am_op *op = lstm ? &am_op_lstm_grad : gru ? &am_op_gru_grad : &am_op_rnn_grad;
    const struct am_attr input_part = {.i = {0, 3 * units}};
    struct am_attr attr = n.attr;
    attr.i[1] = lstm ? AM_CELL_LSTM : gru ? AM_CELL_GRU : AM_CELL_RNN;
    const am_value lengths = n.n_in > 3 ? n.in[3] : AM_VALUE_NONE;
    const am_value d = EMIT(c, op, &attr, dy, kept, n.in[1], lengths);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], gru ? EMIT(c, &am_op_seq_part, &input_part, d) : d);
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_seq_dw, &attr, kept, d));
    if (am_in_given(&n, 2) && wanted(c, n.in[2]))
        give(c, n.in[2], EMIT(c, gru ? &am_op_gru_db : &am_op_col_sum, NULL, d));
}

static void state_grad(struct grads *c, am_value v, am_value dy)
{
    recurrent_grad(c, copy_of(c, v).in[0], dy);
}

static void seq_pool_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const struct am_attr attr = {.i = {n.attr.i[0], am_in_dims(c->g, &n, 0)->d[1]}};
    const am_value lengths = n.n_in > 1 ? n.in[1] : AM_VALUE_NONE;
    const am_value x = n.attr.i[0] == AM_SEQ_POOL_MAX ? n.in[0] : AM_VALUE_NONE;
    give(c, n.in[0], EMIT(c, &am_op_seq_pool_grad, &attr, dy, lengths, x));
}

static void seq_attend_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    const am_value lengths = n.n_in > 2 ? n.in[2] : AM_VALUE_NONE;
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_seq_attend_dx, NULL, dy, n.in[0], n.in[1], lengths));
    if (wanted(c, n.in[1]))
        give(c, n.in[1], EMIT(c, &am_op_seq_attend_ds, NULL, dy, n.in[0], n.in[1], lengths));
}

static void seq_reverse_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    give(c, n.in[0], EMIT(c, &am_op_seq_reverse, NULL, dy, n.n_in > 1 ? n.in[1] : AM_VALUE_NONE));
}

static void group_norm_grad(struct grads *c, am_value v, am_value dy)
{
    const struct am_gnode n = copy_of(c, v);
    if (wanted(c, n.in[0]))
        give(c, n.in[0], EMIT(c, &am_op_gn_dx, &n.attr, dy, n.in[0], n.in[1]));
    if (!wanted(c, n.in[1]) && !wanted(c, n.in[2]))
        return;
    const am_value sums = EMIT(c, &am_op_gn_sums, &n.attr, dy, n.in[0]);
    if (wanted(c, n.in[1]))
        give(c, n.in[1], row_of(c, sums, 1));
    if (wanted(c, n.in[2]))
        give(c, n.in[2], row_of(c, sums, 0));
}

static const struct {
    const struct am_op *op;
    void (*rule)(struct grads *c, am_value v, am_value dy);
} rules[] = {
    {&am_op_linear, linear_grad},
    {&am_op_conv, conv_grad},
    {&am_op_conv_transposed, conv_transposed_grad},
    {&am_op_act, act_grad},
    {&am_op_softmax, softmax_grad},
    {&am_op_dropout_train, dropout_grad},
    {&am_op_dropout2d_train, dropout_grad},
    {&am_op_add, add_grad},
    {&am_op_mul, mul_grad},
    {&am_op_scale, scale_grad},
    {&am_op_concat, concat_grad},
    {&am_op_columns, columns_grad},
    {&am_op_embedding, embedding_grad},
    {&am_op_bn_train, batch_norm_grad},
    {&am_op_batch_norm, frozen_batch_norm_grad},
    {&am_op_layer_norm, layer_norm_grad},
    {&am_op_tokens, tokens_grad},
    {&am_op_reshape, reshape_grad},
    {&am_op_split_frames, split_grad},
    {&am_op_join_frames, join_grad},
    {&am_op_permute, permute_grad},
    {&am_op_slice, slice_grad},
    {&am_op_pad, pad_grad},
    {&am_op_max_pool, pool_grad},
    {&am_op_average_pool, pool_grad},
    {&am_op_global_max_pool, pool_grad},
    {&am_op_global_average_pool, pool_grad},
    {&am_op_upsample_nearest, upsample_grad},
    {&am_op_upsample_bilinear, upsample_grad},
    {&am_op_group_norm, group_norm_grad},
    {&am_op_rnn, recurrent_grad},
    {&am_op_seq_part, state_grad},
    {&am_op_seq_pool, seq_pool_grad},
    {&am_op_seq_attend, seq_attend_grad},
    {&am_op_seq_reverse, seq_reverse_grad},
};

static enum am_rc apply_rule(struct grads *c, am_value v, struct am_err *err)
{
    const struct am_op *op = am_graph_node(c->g, v)->op;
    if (op == &am_op_param)
        return AM_OK;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].op == op) {
            rules[i].rule(c, v, c->of[v]);
            return am_graph_check(c->g, err);
        }
    return am_fail(err, AM_EUNSUPPORTED, "node %u (%s) has no gradient", v, op->name);
}

static void find_needed(struct grads *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct am_gnode *node = am_graph_node(c->g, (am_value)i);
        if (node->op == &am_op_param)
            c->needed[i] =
                !(am_graph_param_spec(c->g, (size_t)node->attr.i[0])->flags & AM_PARAM_FROZEN);
        for (unsigned k = 0; k < node->n_in; k++)
            c->needed[i] |= wanted(c, node->in[k]);
        if (node->op == &am_op_bn_stats || (node->op->flags & AM_OP_EFFECT))
            c->needed[i] = false; /* bn_dx covers it */
    }
}

/* Two parameters may come out with one gradient node: the second gets a copy, since each has its
 * own place. */
static void bind(struct grads *c)
{
    struct am_graph *g = c->g;
    for (size_t k = 0; k < g->params.len; k++) {
        am_value grad = c->of[g->params.ptr[k].value];
        const struct am_attr same = {.f = {1.0f, 0.0f}};
        for (size_t j = 0; j < k && grad != AM_VALUE_NONE; j++)
            if (g->params.ptr[j].grad == grad) {
                grad = EMIT(c, &am_op_scale, &same, grad);
                break;
            }
        g->params.ptr[k].grad = grad;
    }
}

static enum am_rc backward(struct grads *c, am_value loss, struct am_err *err)
{
    const struct am_gnode n = copy_of(c, loss);
    find_needed(c, (size_t)loss + 1);
    if (!wanted(c, n.in[0]))
        return AM_OK;
    c->of[n.in[0]] = am_graph_add(c->g, &am_op_loss_grad, n.in, n.n_in, &n.attr, "loss_grad");
    AM_TRY(am_graph_check(c->g, err));
    for (am_value v = loss; v-- > 0;)
        if (c->needed[v] && c->of[v] != AM_VALUE_NONE)
            AM_TRY(apply_rule(c, v, err));
    bind(c);
    return am_graph_check(c->g, err);
}

static void find_needed_from(struct grads *c, am_value to, size_t n)
{
    c->needed[to] = true;
    for (size_t i = (size_t)to + 1; i < n; i++) {
        const struct am_gnode *node = am_graph_node(c->g, (am_value)i);
        for (unsigned k = 0; k < node->n_in; k++)
            c->needed[i] |= wanted(c, node->in[k]);
        if (node->op == &am_op_bn_stats || (node->op->flags & AM_OP_EFFECT))
            c->needed[i] = false;
    }
}

static enum am_rc grads_init(struct grads *c, struct am_graph *g, size_t n, struct am_err *err)
{
    *c = (struct grads){.g = g};
    c->of = am_alloc_array(n, sizeof *c->of);
    c->needed = am_calloc(n, sizeof *c->needed);
    for (size_t i = 0; c->of && i < n; i++)
        c->of[i] = AM_VALUE_NONE;
    return c->of && c->needed ? AM_OK : am_fail_nomem(err, n * sizeof *c->of);
}

static void grads_clear(struct grads *c)
{
    am_free(c->of);
    am_free(c->needed);
}

enum am_rc am_grad_between(struct am_graph *g, am_value from, am_value seed, am_value to,
                           am_value *out, struct am_err *err)
{
    struct grads c;
    enum am_rc rc;
    *out = AM_VALUE_NONE;
    AM_TRY(am_graph_check(g, err));
    if (from == AM_VALUE_NONE || to >= from)
        return am_fail(err, AM_EINVAL, "a gradient goes from a value to an earlier one");
    const size_t n = (size_t)from + 1;
    rc = grads_init(&c, g, n, err);
    if (rc == AM_OK) {
        find_needed_from(&c, to, n);
        give(&c, from, seed);
        for (am_value v = from; rc == AM_OK && v > to; v--)
            if (c.needed[v] && c.of[v] != AM_VALUE_NONE)
                rc = apply_rule(&c, v, err);
        *out = c.of[to];
    }
    grads_clear(&c);
    return rc;
}

enum am_rc am_grad_build(struct am_graph *g, struct am_err *err)
{
    struct grads c;
    AM_TRY(am_graph_check(g, err));
    const am_value loss = am_graph_find_output(g, "loss");
    if (loss == AM_VALUE_NONE || am_graph_node(g, loss)->op != &am_op_loss)
        return am_fail(err, AM_EINVAL, "gradients need am_loss_add first");
    enum am_rc rc = grads_init(&c, g, (size_t)loss + 1, err);
    if (rc == AM_OK)
        rc = backward(&c, loss, err);
    grads_clear(&c);
    return rc;
}
