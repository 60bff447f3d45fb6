/* The table of layer types and their builders: each reads its keys and calls nn's builder. What
 * checks and walks a list is layer_list.c. */
#include <stdio.h>
#include <string.h>

#include "learn/layers_int.h"
#include "nn/layers_conv.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"

#define BOOL AM_LEARNER_KEY_BOOL
#define INT AM_LEARNER_KEY_INT
#define NUM AM_LEARNER_KEY_NUMBER
#define ENUM AM_LEARNER_KEY_ENUM
#define INTS AM_LEARNER_KEY_INTS
#define DIM_MAX 1e9

#define ACTIVATIONS "none|relu|relu6|leaky_relu|elu|gelu|gelu_tanh|silu|sigmoid|tanh|softmax"
#define KEY_ACTIVATION(otherwise)                                                                  \
    AM_KEY("activation", ENUM, ACTIVATIONS, 0, 0, otherwise, "Activation of its outputs.")
#define KEY_ALPHA                                                                                  \
    AM_KEY("alpha", NUM, NULL, 0, 10, "0",                                                         \
           "Slope of leaky_relu below 0 (0 stands for 0.01), or elu's alpha (0 stands for 1).")
#define KEY_BIAS AM_KEY("bias", BOOL, NULL, 0, 0, "true", "Whether a bias is added.")
#define KEY_INIT                                                                                   \
    AM_KEY("init", ENUM, AM_LAYER_INITS, 0, 0, "auto",                                             \
           "Start of the weights: He for the relu family, else Glorot.")
#define KEY_FILTERS(n) AM_KEY("filters", INT, NULL, 1, 65536, n, "Channels of its output.")
#define KEY_KERNEL(n)                                                                              \
    AM_KEY("kernel", INT | INTS, NULL, 1, 65536, n, "Size of the window, or [height, width].")
#define KEY_STRIDE(n, text) AM_KEY("stride", INT | INTS, NULL, 1, 65536, n, text)
#define KEY_PADDING(otherwise)                                                                     \
    AM_KEY("padding", INT | INTS | ENUM, "same|valid", 0, 65536, otherwise,                        \
           "Zeros on both sides, or [height, width]; same keeps the size, valid adds none.")
#define KEY_DILATION                                                                               \
    AM_KEY("dilation", INT | INTS, NULL, 1, 65536, "1", "Distance of the window's places.")

static const struct am_learner_key dense_keys[] = {
    AM_KEY("units", INT, NULL, 1, 1048576, NULL, "Its outputs."), KEY_ACTIVATION("none"), KEY_ALPHA,
    KEY_BIAS, KEY_INIT};
static const struct am_learner_key conv_keys[] = {
    KEY_FILTERS(NULL),
    KEY_KERNEL("3"),
    KEY_STRIDE("1", AM_N("Step of the window, or [height, width].")),
    KEY_PADDING("same"),
    KEY_DILATION,
    AM_KEY("groups", INT, NULL, 1, 65536, "1", "Groups of channels that do not see one another."),
    KEY_ACTIVATION("none"),
    KEY_ALPHA,
    KEY_BIAS,
    KEY_INIT};
static const struct am_learner_key depthwise_keys[] = {
    KEY_KERNEL("3"),
    KEY_STRIDE("1", AM_N("Step of the window, or [height, width].")),
    KEY_PADDING("same"),
    KEY_DILATION,
    AM_KEY("multiplier", INT, NULL, 1, 64, "1", "Outputs of each channel."),
    KEY_ACTIVATION("none"),
    KEY_ALPHA,
    KEY_BIAS,
    KEY_INIT};
static const struct am_learner_key transposed_keys[] = {
    KEY_FILTERS(NULL),
    KEY_KERNEL("3"),
    KEY_STRIDE("1", AM_N("Step of the window, or [height, width].")),
    KEY_PADDING("same"),
    AM_KEY("output_padding", INT | INTS, NULL, 0, 65536, "0", "Lengthens the output's end."),
    KEY_ACTIVATION("none"),
    KEY_ALPHA,
    KEY_BIAS,
    KEY_INIT};
static const struct am_learner_key pool_keys[] = {
    KEY_KERNEL("2"), KEY_STRIDE("0", AM_N("Step of the window; 0 = its size.")),
    AM_KEY("padding", INT | INTS, NULL, 0, 65536, "0", "Places added on both sides."),
    AM_KEY("count_padding", BOOL, NULL, 0, 0, "true", "An average counts the places added.")};
static const struct am_learner_key batch_norm_keys[] = {
    AM_KEY("epsilon", NUM, NULL, 1e-12, 1, "1e-5", "Added to the variance."),
    AM_KEY("momentum", NUM, NULL, 0, 1, "0.1", "Weight of a batch in the running statistics.")};
static const struct am_learner_key layer_norm_keys[] = {
    AM_KEY("epsilon", NUM, NULL, 1e-12, 1, "1e-5", "Added to the variance.")};
static const struct am_learner_key group_norm_keys[] = {
    AM_KEY("groups", INT, NULL, 1, 65536, "8", "Groups of channels."),
    AM_KEY("epsilon", NUM, NULL, 1e-12, 1, "1e-5", "Added to the variance.")};
static const struct am_learner_key dropout_keys[] = {
    AM_KEY("rate", NUM, NULL, 0, 0.95, "0.5", "Share that is dropped in training.")};
static const struct am_learner_key activation_keys[] = {KEY_ACTIVATION("relu"), KEY_ALPHA};
static const struct am_learner_key reshape_keys[] = {
    AM_KEY("shape", INTS, NULL, -1, DIM_MAX, NULL,
           "Dimensions of a row; one of them may be -1: what is left.")};
static const struct am_learner_key permute_keys[] = {
    AM_KEY("order", INTS, NULL, 0, 7, NULL,
           "The old place of each new dimension, from 0, without the batch.")};
static const struct am_learner_key slice_keys[] = {
    AM_KEY("first", INTS, NULL, 0, DIM_MAX, NULL, "Where each dimension begins."),
    AM_KEY("count", INTS, NULL, 1, DIM_MAX, NULL, "How much of each dimension.")};
static const struct am_learner_key pad_keys[] = {
    AM_KEY("before", INTS, NULL, 0, DIM_MAX, NULL, "Zeros before each dimension."),
    AM_KEY("after", INTS, NULL, 0, DIM_MAX, NULL, "Zeros after each dimension.")};
#define KEY_METHOD                                                                                 \
    AM_KEY("method", ENUM, "nearest|bilinear", 0, 0, "nearest", "How new places get their value.")
static const struct am_learner_key upsample_keys[] = {
    AM_KEY("factor", INT | INTS, NULL, 1, 1024, "2", "Times as large, or [height, width]."),
    KEY_METHOD};
static const struct am_learner_key resize_keys[] = {
    AM_KEY("size", INT | INTS, NULL, 1, 65536, NULL, "New size, or [height, width]."), KEY_METHOD};
static const struct am_learner_key embedding_keys[] = {
    AM_KEY("width", INT, NULL, 1, 65536, "64", "Numbers for each token."),
    AM_KEY("tokens", INT, NULL, 0, DIM_MAX, "0", "How many ids there are; 0 = those of the data.")};
#define KEYS_RECURRENT                                                                             \
    AM_KEY("units", INT, NULL, 1, 65536, "64", "Numbers in its state."),                           \
        AM_KEY("layers", INT, NULL, 1, 64, "1", "Recurrent layers on top of one another."),        \
        AM_KEY("bidirectional", BOOL, NULL, 0, 0, "false", "Also from the end to the beginning."), \
        AM_KEY("dropout", NUM, NULL, 0, 0.95, "0", "Rate that is dropped between the layers."),    \
        AM_KEY("sequences", BOOL, NULL, 0, 0, "false",                                             \
               "Give the state after each step, not only the last.")
static const struct am_learner_key recurrent_keys[] = {KEYS_RECURRENT};
static const struct am_learner_key rnn_keys[] = {
    KEYS_RECURRENT,
    AM_KEY("activation", ENUM, "tanh|relu", 0, 0, "tanh", "Activation of its state.")};
static const struct am_learner_key attention_keys[] = {
    AM_KEY("units", INT, NULL, 0, 65536, "0", "Width of the scores; 0 = the input's.")};
static const struct am_learner_key scale_keys[] = {
    AM_KEY("factor", NUM, NULL, 0, 0, "1", "Multiplies."),
    AM_KEY("shift", NUM, NULL, 0, 0, "0", "Is added after it.")};

static bool rectifies(enum am_act a)
{
    return a == AM_ACT_RELU || a == AM_ACT_LEAKY_RELU || a == AM_ACT_ELU || a == AM_ACT_GELU ||
           a == AM_ACT_GELU_TANH || a == AM_ACT_SILU;
}

enum am_init am_init_named(struct am_str s, enum am_act act)
{
    if (am_str_is(s, "he_uniform"))
        return AM_INIT_HE_UNIFORM;
    if (am_str_is(s, "he_normal"))
        return AM_INIT_HE_NORMAL;
    if (am_str_is(s, "glorot_uniform"))
        return AM_INIT_GLOROT_UNIFORM;
    if (am_str_is(s, "glorot_normal"))
        return AM_INIT_GLOROT_NORMAL;
    return rectifies(act) ? AM_INIT_HE_UNIFORM : AM_INIT_GLOROT_UNIFORM;
}

enum am_act am_act_named(struct am_str s)
{
    enum am_act a = AM_ACT_NONE;
    if (am_str_is(s, "softmax"))
        return AM_ACT_SOFTMAX;
    if (am_str_is(s, "relu6"))
        return AM_ACT_RELU;
    if (!am_str_is(s, "none"))
        (void)am_act_parse(s, &a);
    return a;
}

/* ---- reading keys ---- */

static double number(const struct am_layer_args *a, const char *key)
{
    return am_spec_number(a->spec, a->type->keys, a->type->n_keys, key);
}

static int64_t whole(const struct am_layer_args *a, const char *key)
{
    return (int64_t)number(a, key);
}

static struct am_str text(const struct am_layer_args *a, const char *key)
{
    return am_spec_text(a->spec, a->type->keys, a->type->n_keys, key);
}

static bool flag(const struct am_layer_args *a, const char *key)
{
    return am_spec_bool(a->spec, a->type->keys, a->type->n_keys, key);
}

/* 3 or [3, 5] */
static void pair(const struct am_layer_args *a, const char *key, int64_t out[2])
{
    const struct am_node *n = am_node_get(a->spec, key);
    if (n && n->kind == AM_NODE_LIST && n->list.n >= 1) {
        (void)am_node_as_i64(n->list.items[0], &out[0]);
        (void)am_node_as_i64(n->list.items[n->list.n > 1 ? 1 : 0], &out[1]);
        return;
    }
    out[0] = out[1] = whole(a, key);
}

static unsigned ints(const struct am_layer_args *a, const char *key, int64_t out[8])
{
    const struct am_node *n = am_node_get(a->spec, key);
    unsigned k = 0;
    for (; n && n->kind == AM_NODE_LIST && k < n->list.n && k < 8; k++)
        (void)am_node_as_i64(n->list.items[k], &out[k]);
    return k;
}

static const struct am_dims *dims_of(const struct am_layer_args *a, unsigned i)
{
    static const struct am_dims none = {1, {1}};
    const struct am_gnode *n = am_graph_node(a->g, a->in[i]);
    return n ? &n->dims : &none;
}

static am_value refuse(struct am_layer_args *a, const char *why)
{
    am_graph_fail(a->g, AM_EINVAL, "%s", am_tr(why));
    return AM_VALUE_NONE;
}

/* relu6(x) = 6 - relu(6 - relu(x)) */
static am_value activate(struct am_layer_args *a, am_value x)
{
    struct am_str s = text(a, "activation");
    x = am_layer_activation(a->g, x, am_act_named(s), (float)number(a, "alpha"));
    if (!am_str_is(s, "relu6"))
        return x;
    x = am_layer_scale(a->g, x, -1, 6);
    x = am_layer_activation(a->g, x, AM_ACT_RELU, 0);
    return am_layer_scale(a->g, x, -1, 6);
}

/* ---- builders ---- */

static am_value build_dense(struct am_layer_args *a)
{
    enum am_act act = am_act_named(text(a, "activation"));
    struct am_dense_options o = {.bias = flag(a, "bias") ? AM_BIAS_YES : AM_BIAS_NO,
                                 .init = am_init_named(text(a, "init"), act)};
    a->keeps_steps = true;
    return activate(a, am_layer_dense(a->g, a->in[0], whole(a, "units"), &o, a->name));
}

static void conv_options(struct am_layer_args *a, struct am_conv_options *o)
{
    struct am_str padding = AM_STR("");
    const struct am_node *p = am_node_get(a->spec, "padding");
    *o = (struct am_conv_options){
        .bias = flag(a, "bias") ? AM_BIAS_YES : AM_BIAS_NO,
        .init = am_init_named(text(a, "init"), am_act_named(text(a, "activation")))};
    pair(a, "kernel", o->kernel);
    pair(a, "stride", o->stride);
    if (!p || (am_node_as_str(p, &padding) && am_str_is(padding, "same")))
        o->same = true;
    else if (padding.len == 0 || !am_str_is(padding, "valid"))
        pair(a, "padding", o->padding);
}

enum conv { CONV1D, CONV2D, DEPTHWISE, TRANSPOSED };

static am_value build_conv(struct am_layer_args *a)
{
    const struct am_dims *d = dims_of(a, 0);
    struct am_conv_options o;
    int64_t filters;
    conv_options(a, &o);
    if (a->type->choice != TRANSPOSED)
        pair(a, "dilation", o.dilation);
    if (a->type->choice == CONV1D ? d->rank != 3 : d->rank != 4)
        return refuse(a, a->type->choice == CONV1D ? AM_N("it needs a sequence [B,T,C]")
                                                   : AM_N("it needs a picture [B,H,W,C]"));
    a->keeps_steps = o.same && o.stride[0] == 1;
    if (a->type->choice == DEPTHWISE) {
        o.groups = d->d[3];
        filters = o.groups * whole(a, "multiplier");
    } else {
        filters = whole(a, "filters");
    }
    if (a->type->choice == TRANSPOSED) {
        pair(a, "output_padding", o.output_padding);
        return activate(a, am_layer_conv2d_transposed(a->g, a->in[0], filters, &o, a->name));
    }
    if (a->type->choice != DEPTHWISE)
        o.groups = whole(a, "groups");
    return activate(a, a->type->choice == CONV1D
                           ? am_layer_conv1d(a->g, a->in[0], filters, &o, a->name)
                           : am_layer_conv2d(a->g, a->in[0], filters, &o, a->name));
}

static am_value build_pool(struct am_layer_args *a)
{
    struct am_pool_options o = {.how = (enum am_pooling)a->type->choice,
                                .skip_pad = !flag(a, "count_padding")};
    pair(a, "kernel", o.kernel);
    pair(a, "stride", o.stride);
    pair(a, "padding", o.padding);
    switch (dims_of(a, 0)->rank) {
    case 3:
        return am_layer_pool1d(a->g, a->in[0], &o, a->name);
    case 4:
        return am_layer_pool2d(a->g, a->in[0], &o, a->name);
    default:
        return refuse(a, AM_N("it needs a picture [B,H,W,C] or a sequence [B,T,C]"));
    }
}

/* Of a sequence with lengths: over a row's own steps. */
static am_value build_global_pool(struct am_layer_args *a)
{
    enum am_pooling how = (enum am_pooling)a->type->choice;
    if (a->lengths != AM_VALUE_NONE)
        return am_layer_seq_pool(
            a->g, a->in[0], how == AM_POOLING_MAX ? AM_SEQ_POOL_MAX : AM_SEQ_POOL_MEAN, a->lengths);
    return am_layer_global_pool(a->g, a->in[0], how, a->name);
}

static am_value build_time_pool(struct am_layer_args *a)
{
    if (dims_of(a, 0)->rank != 3)
        return refuse(a, AM_N("it needs a sequence [B,T,C]"));
    return am_layer_seq_pool(a->g, a->in[0], (enum am_seq_pool)a->type->choice, a->lengths);
}

static am_value build_batch_norm(struct am_layer_args *a)
{
    a->keeps_steps = true;
    return am_layer_batch_norm(a->g, a->in[0], (float)number(a, "epsilon"),
                               (float)number(a, "momentum"), a->name);
}

static am_value build_layer_norm(struct am_layer_args *a)
{
    a->keeps_steps = true;
    return am_layer_layer_norm(a->g, a->in[0], (float)number(a, "epsilon"), a->name);
}

static am_value build_group_norm(struct am_layer_args *a)
{
    return am_layer_group_norm(a->g, a->in[0], whole(a, "groups"), (float)number(a, "epsilon"),
                               a->name);
}

static am_value build_dropout(struct am_layer_args *a)
{
    float rate = (float)number(a, "rate");
    a->keeps_steps = true;
    if (rate <= 0)
        return a->in[0];
    return a->type->choice ? am_layer_dropout2d(a->g, a->in[0], rate)
                           : am_layer_dropout(a->g, a->in[0], rate);
}

static am_value build_activation(struct am_layer_args *a)
{
    a->keeps_steps = true;
    return activate(a, a->in[0]);
}

static am_value build_flatten(struct am_layer_args *a)
{
    return am_layer_flatten(a->g, a->in[0], a->name);
}

static am_value build_reshape(struct am_layer_args *a)
{
    int64_t dims[8];
    unsigned n = ints(a, "shape", dims);
    return n ? am_layer_reshape(a->g, a->in[0], dims, n, a->name)
             : refuse(a, AM_N("it needs its key \"shape\""));
}

static am_value build_split_frames(struct am_layer_args *a)
{
    if (dims_of(a, 0)->rank < 3)
        return refuse(a, AM_N("it needs a video [B,T,H,W,C] or a sequence [B,T,C]"));
    return am_layer_split_frames(a->g, a->in[0], a->name);
}

static am_value build_join_frames(struct am_layer_args *a)
{
    if (am_dims_fold(dims_of(a, 0)) == 1)
        return refuse(a, AM_N("it needs frames, as split_frames makes them"));
    return am_layer_join_frames(a->g, a->in[0], a->name);
}

static am_value build_permute(struct am_layer_args *a)
{
    int64_t dims[8];
    unsigned order[8], n = ints(a, "order", dims);
    for (unsigned i = 0; i < n; i++)
        order[i] = (unsigned)dims[i];
    return n ? am_layer_permute(a->g, a->in[0], order, n, a->name)
             : refuse(a, AM_N("it needs its key \"order\""));
}

static am_value build_slice(struct am_layer_args *a)
{
    int64_t first[8], count[8];
    unsigned n = ints(a, "first", first), m = ints(a, "count", count);
    return n && n == m ? am_layer_slice(a->g, a->in[0], first, count, n, a->name)
                       : refuse(a, AM_N("it needs its keys \"first\" and \"count\", equally long"));
}

static am_value build_pad(struct am_layer_args *a)
{
    int64_t before[8], after[8];
    unsigned n = ints(a, "before", before), m = ints(a, "after", after);
    return n && n == m
               ? am_layer_pad(a->g, a->in[0], before, after, n, a->name)
               : refuse(a, AM_N("it needs its keys \"before\" and \"after\", equally long"));
}

static am_value build_resample(struct am_layer_args *a)
{
    enum am_resample how =
        am_str_is(text(a, "method"), "bilinear") ? AM_RESAMPLE_BILINEAR : AM_RESAMPLE_NEAREST;
    int64_t size[2];
    pair(a, a->type->choice ? "size" : "factor", size);
    return a->type->choice ? am_layer_resize(a->g, a->in[0], how, size, a->name)
                           : am_layer_upsample(a->g, a->in[0], how, size, a->name);
}

static am_value build_embedding(struct am_layer_args *a)
{
    int64_t tokens = whole(a, "tokens");
    if (tokens == 0)
        tokens = (int64_t)a->task->n_tokens;
    if (dims_of(a, 0)->rank != 2 || tokens == 0)
        return refuse(a, AM_N("it needs token ids [B,T]"));
    a->lengths = am_layer_lengths(a->g, a->in[0]);
    a->keeps_steps = true;
    return am_layer_tokens(a->g, a->in[0], tokens, whole(a, "width"), a->name);
}

enum recurrent { RNN, LSTM, GRU };

static am_value build_recurrent(struct am_layer_args *a)
{
    struct am_seq_options o = {.returns = flag(a, "sequences") ? AM_SEQ_STEPS : AM_SEQ_LAST,
                               .direction =
                                   flag(a, "bidirectional") ? AM_SEQ_BIDIRECTIONAL : AM_SEQ_FORWARD,
                               .n_layers = (unsigned)whole(a, "layers"),
                               .dropout = (float)number(a, "dropout"),
                               .lengths = a->lengths};
    if (dims_of(a, 0)->rank != 3)
        return refuse(a, AM_N("it needs a sequence [B,T,C]"));
    a->keeps_steps = o.returns == AM_SEQ_STEPS;
    switch (a->type->choice) {
    case LSTM:
        return am_layer_lstm(a->g, a->in[0], whole(a, "units"), &o, a->name);
    case GRU:
        return am_layer_gru(a->g, a->in[0], whole(a, "units"), &o, a->name);
    default:
        o.act = am_act_named(text(a, "activation"));
        return am_layer_rnn(a->g, a->in[0], whole(a, "units"), &o, a->name);
    }
}

static am_value build_attention(struct am_layer_args *a)
{
    if (dims_of(a, 0)->rank != 3)
        return refuse(a, AM_N("it needs a sequence [B,T,C]"));
    return am_layer_attention_pool(a->g, a->in[0], whole(a, "units"), a->lengths, a->name);
}

static am_value build_reverse(struct am_layer_args *a)
{
    if (dims_of(a, 0)->rank != 3)
        return refuse(a, AM_N("it needs a sequence [B,T,C]"));
    a->keeps_steps = true;
    return am_layer_seq_reverse(a->g, a->in[0], a->lengths);
}

enum joining { ADD, MULTIPLY, CONCAT };

static am_value build_join(struct am_layer_args *a)
{
    am_value x = a->in[0];
    a->keeps_steps = true;
    if (a->type->choice == CONCAT)
        return am_layer_concat(a->g, a->in, a->n_in);
    for (unsigned i = 1; i < a->n_in; i++)
        x = a->type->choice == ADD ? am_layer_add(a->g, x, a->in[i])
                                   : am_layer_mul(a->g, x, a->in[i]);
    return x;
}

static am_value build_scale(struct am_layer_args *a)
{
    a->keeps_steps = true;
    return am_layer_scale(a->g, a->in[0], (float)number(a, "factor"), (float)number(a, "shift"));
}

#define TYPE(name, doc, keys, build, choice)                                                       \
    {                                                                                              \
        name, doc, 1, 1, keys, sizeof(keys) / sizeof((keys)[0]), build, choice                     \
    }
#define PLAIN(name, doc, most, build, choice)                                                      \
    {                                                                                              \
        name, doc, (most) > 1 ? 2 : 1, most, NULL, 0, build, choice                                \
    }

static const struct am_layer_type types[] = {
    TYPE("dense", "Every output sees every number of the last dimension.", dense_keys, build_dense,
         0),
    TYPE("conv1d", "Convolution over a sequence [T,C].", conv_keys, build_conv, CONV1D),
    TYPE("conv2d", "Convolution over a picture [H,W,C].", conv_keys, build_conv, CONV2D),
    TYPE("depthwise_conv2d", "Convolution of each channel alone.", depthwise_keys, build_conv,
         DEPTHWISE),
    TYPE("conv2d_transposed", "The way back of a convolution: enlarges a picture.", transposed_keys,
         build_conv, TRANSPOSED),
    TYPE("max_pool", "The largest number of each window.", pool_keys, build_pool, AM_POOLING_MAX),
    TYPE("average_pool", "The mean of each window.", pool_keys, build_pool, AM_POOLING_AVERAGE),
    PLAIN("global_max_pool", "The largest number of each channel.", 1, build_global_pool,
          AM_POOLING_MAX),
    PLAIN("global_average_pool", "The mean of each channel.", 1, build_global_pool,
          AM_POOLING_AVERAGE),
    PLAIN("last_step", "The last step of a sequence.", 1, build_time_pool, AM_SEQ_POOL_LAST),
    PLAIN("first_step", "The first step of a sequence.", 1, build_time_pool, AM_SEQ_POOL_FIRST),
    TYPE("attention_pool", "Mean over the steps, weighted by what they hold.", attention_keys,
         build_attention, 0),
    TYPE("batch_norm", "Normalises each channel over the batch.", batch_norm_keys, build_batch_norm,
         0),
    TYPE("layer_norm", "Normalises over the last dimension.", layer_norm_keys, build_layer_norm, 0),
    TYPE("group_norm", "Normalises each row over groups of channels.", group_norm_keys,
         build_group_norm, 0),
    TYPE("dropout", "Drops numbers at random in training.", dropout_keys, build_dropout, 0),
    TYPE("dropout2d", "Drops whole channels at random in training.", dropout_keys, build_dropout,
         1),
    TYPE("activation", "An activation alone.", activation_keys, build_activation, 0),
    PLAIN("flatten", "All numbers of a row in one dimension.", 1, build_flatten, 0),
    TYPE("reshape", "Other dimensions for the same numbers.", reshape_keys, build_reshape, 0),
    PLAIN(
        "split_frames",
        "Each frame of a video [T,H,W,C] becomes a row of its own, so that the layers after it see "
        "pictures.",
        1, build_split_frames, 0),
    PLAIN("join_frames", "The frames of a row are a sequence [T,...] again.", 1, build_join_frames,
          0),
    TYPE("permute", "Dimensions in another order.", permute_keys, build_permute, 0),
    TYPE("slice", "A part of each dimension.", slice_keys, build_slice, 0),
    TYPE("pad", "Zeros around each dimension.", pad_keys, build_pad, 0),
    TYPE("upsample", "Enlarges a picture or a sequence.", upsample_keys, build_resample, 0),
    TYPE("resize", "A picture or sequence of a given size.", resize_keys, build_resample, 1),
    TYPE("embedding", "A learned vector for each token.", embedding_keys, build_embedding, 0),
    TYPE("rnn", "Plain recurrent layers over a sequence.", rnn_keys, build_recurrent, RNN),
    TYPE("lstm", "Long short-term memory over a sequence.", recurrent_keys, build_recurrent, LSTM),
    TYPE("gru", "Gated recurrent units over a sequence.", recurrent_keys, build_recurrent, GRU),
    PLAIN("reverse", "The steps of a sequence in reverse order.", 1, build_reverse, 0),
    PLAIN("add", "Sum of its inputs.", 8, build_join, ADD),
    PLAIN("multiply", "Product of its inputs.", 8, build_join, MULTIPLY),
    PLAIN("concat", "Its inputs side by side in the last dimension.", 8, build_join, CONCAT),
    TYPE("scale", "Times a factor, plus a shift.", scale_keys, build_scale, 0),
};

const struct am_layer_type *am_layer_types(size_t *n)
{
    *n = sizeof types / sizeof types[0];
    return types;
}

const struct am_layer_type *am_layer_type_find(struct am_str name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (am_str_is(name, types[i].name))
            return &types[i];
    return NULL;
}
