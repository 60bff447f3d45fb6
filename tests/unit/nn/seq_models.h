/* Sequence layers for test_gradients.c: x's first columns are 2 or 3 steps, its last two columns
 * hold small whole numbers (0..4), so lengths reach from 0 to beyond the end. */
#ifndef AM_TESTS_SEQ_MODELS_H
#define AM_TESTS_SEQ_MODELS_H

#include "nn/layers_seq.h"
#include "nn/layers_shape.h"
#include "nn_test.h"

static am_value seq_steps(struct am_graph *g, am_value x, int64_t t, int64_t c)
{
    const struct am_dense_options o = {
        .act = AM_ACT_TANH, .init = AM_INIT_NORMAL, .init_scale = 0.5f};
    const int64_t dims[2] = {t, c};
    x = am_layer_dense(g, am_layer_columns(g, x, 0, 5), t * c, &o, "in");
    return am_layer_reshape(g, x, dims, 2, "steps");
}
static am_value seq_out(struct am_graph *g, am_value x)
{
    const struct am_dense_options o = {.init = AM_INIT_NORMAL, .init_scale = 0.5f};
    return am_layer_dense(g, am_layer_flatten(g, x, "flat"), 3, &o, "b");
}
static am_value seq_lengths(struct am_graph *g, am_value x)
{
    return am_layer_columns(g, x, 5, 1);
}

static am_value m_rnn(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.returns = AM_SEQ_STEPS,
                                     .direction = AM_SEQ_BIDIRECTIONAL,
                                     .n_layers = 2,
                                     .lengths = seq_lengths(g, x)};
    return seq_out(g, am_layer_rnn(g, seq_steps(g, x, 3, 2), 3, &o, "rnn"));
}
static am_value m_lstm(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {
        .returns = AM_SEQ_LAST, .n_layers = 2, .dropout = 0.2f, .lengths = seq_lengths(g, x)};
    return seq_out(g, am_layer_lstm(g, seq_steps(g, x, 3, 2), 5, &o, "lstm"));
}
static am_value m_lstm_both(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.returns = AM_SEQ_LAST,
                                     .direction = AM_SEQ_BIDIRECTIONAL,
                                     .n_layers = 2,
                                     .lengths = seq_lengths(g, x)};
    return seq_out(g, am_layer_lstm(g, seq_steps(g, x, 3, 2), 3, &o, "lstm"));
}
static am_value m_gru(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {
        .returns = AM_SEQ_STEPS, .direction = AM_SEQ_BACKWARD, .lengths = seq_lengths(g, x)};
    return seq_out(g, am_layer_gru(g, seq_steps(g, x, 3, 2), 5, &o, "gru"));
}
static am_value m_gru_whole(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {
        .returns = AM_SEQ_LAST, .n_layers = 2, .lengths = AM_VALUE_NONE};
    return seq_out(g, am_layer_gru(g, seq_steps(g, x, 2, 3), 4, &o, "gru"));
}
static am_value m_seq_pools(struct am_graph *g, am_value x)
{
    const am_value s = seq_steps(g, x, 3, 4), n = seq_lengths(g, x);
    const am_value parts[5] = {
        am_layer_seq_pool(g, s, AM_SEQ_POOL_MEAN, n), am_layer_seq_pool(g, s, AM_SEQ_POOL_MAX, n),
        am_layer_seq_pool(g, s, AM_SEQ_POOL_LAST, n), am_layer_seq_pool(g, s, AM_SEQ_POOL_FIRST, n),
        am_layer_flatten(g, am_layer_seq_reverse(g, s, n), "r")};
    return seq_out(g, am_layer_concat(g, parts, 5));
}
static am_value m_attention(struct am_graph *g, am_value x)
{
    const am_value s = seq_steps(g, x, 3, 4);
    const am_value parts[2] = {am_layer_attention_pool(g, s, 5, seq_lengths(g, x), "a1"),
                               am_layer_attention_pool(g, s, 0, AM_VALUE_NONE, "a2")};
    return seq_out(g, am_layer_concat(g, parts, 2));
}

#define SEQ_MODELS                                                                                 \
    {"rnn", m_rnn}, {"lstm", m_lstm}, {"lstm_both", m_lstm_both}, {"gru", m_gru},                  \
        {"gru_whole", m_gru_whole}, {"seq_pools", m_seq_pools},                                    \
    {                                                                                              \
        "attention", m_attention                                                                   \
    }

#endif
