/* Small models around the layers of layers_shape.h, for test_gradients.c: x [B,7] through a dense
 * layer into a picture or sequence, the layers under test, and a dense layer of 3. */
#ifndef AM_TESTS_SHAPE_MODELS_H
#define AM_TESTS_SHAPE_MODELS_H

#include "nn/layers_conv.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"

static am_value dense(struct am_graph *g, am_value x, int64_t n, enum am_act act, const char *name);

static inline am_value picture(struct am_graph *g, am_value x, int64_t h, int64_t w, int64_t c)
{
    const int64_t dims[3] = {h, w, c};
    return am_layer_reshape(g, dense(g, x, h * w * c, AM_ACT_TANH, "a"), dims, 3, "picture");
}
static inline am_value sequence(struct am_graph *g, am_value x, int64_t t, int64_t c)
{
    const int64_t dims[2] = {t, c};
    return am_layer_reshape(g, dense(g, x, t * c, AM_ACT_TANH, "a"), dims, 2, "sequence");
}
static inline am_value finish(struct am_graph *g, am_value h)
{
    return dense(g, am_layer_flatten(g, h, "flat"), 3, AM_ACT_NONE, "b");
}
static inline am_value pooled(struct am_graph *g, am_value x, enum am_pooling how, int64_t k,
                              int64_t s, int64_t p, bool skip_pad)
{
    const struct am_pool_options o = {
        .how = how, .kernel = {k, k}, .stride = {s, s}, .padding = {p, p}, .skip_pad = skip_pad};
    return am_layer_pool2d(g, x, &o, "pool");
}

static inline am_value m_max_pool(struct am_graph *g, am_value x)
{
    am_value h = pooled(g, picture(g, x, 4, 6, 3), AM_POOLING_MAX, 2, 0, 0, false);
    return finish(g, pooled(g, h, AM_POOLING_MAX, 2, 1, 1, false));
}
static inline am_value m_average_pool(struct am_graph *g, am_value x)
{
    am_value h = pooled(g, picture(g, x, 5, 3, 2), AM_POOLING_AVERAGE, 2, 1, 0, false);
    return finish(g, pooled(g, h, AM_POOLING_AVERAGE, 3, 2, 1, true));
}
static inline am_value m_pool1d(struct am_graph *g, am_value x)
{
    const struct am_pool_options o = {
        .how = AM_POOLING_AVERAGE, .kernel = {3}, .stride = {2}, .padding = {1}};
    am_value h = am_layer_pool1d(g, sequence(g, x, 7, 2), &o, "pool");
    return finish(g, am_layer_upsample(g, h, AM_RESAMPLE_NEAREST, (const int64_t[2]){1, 3}, "up"));
}
static inline am_value m_global_pool(struct am_graph *g, am_value x)
{
    const am_value h = picture(g, x, 3, 2, 5);
    const am_value parts[2] = {am_layer_global_pool(g, h, AM_POOLING_AVERAGE, "mean"),
                               am_layer_global_pool(g, h, AM_POOLING_MAX, "max")};
    return finish(g, am_layer_concat(g, parts, 2));
}
static inline am_value m_bilinear(struct am_graph *g, am_value x)
{
    am_value h = am_layer_upsample(g, picture(g, x, 3, 2, 2), AM_RESAMPLE_BILINEAR,
                                   (const int64_t[2]){2, 3}, "up");
    return finish(g, am_layer_resize(g, h, AM_RESAMPLE_BILINEAR, (const int64_t[2]){4, 5}, "down"));
}
static inline am_value m_moves(struct am_graph *g, am_value x)
{
    const unsigned order[3] = {2, 0, 1};
    const int64_t before[3] = {1, 0, 2}, after[3] = {0, 1, 0}, first[3] = {1, 1, 0},
                  count[3] = {3, 2, 2};
    am_value h = am_layer_permute(g, picture(g, x, 3, 2, 5), order, 3, "turn"); /* [5,3,2] */
    h = am_layer_pad(g, h, before, after, 3, "pad");                            /* [6,4,4] */
    h = am_layer_activation(g, am_layer_scale(g, h, 1, 0.5f), AM_ACT_SIGMOID, 0);
    const am_value s = am_layer_slice(g, h, first, count, 3, "slice"); /* [3,2,2] */
    const am_value parts[2] = {am_layer_columns(g, s, 1, 1), s};
    return finish(g, am_layer_concat(g, parts, 2));
}
static inline am_value m_group_norm(struct am_graph *g, am_value x)
{
    am_value h = am_layer_group_norm(g, picture(g, x, 3, 2, 6), 3, 1e-2f, "n");
    return finish(g, am_layer_activation(g, h, AM_ACT_GELU, 0));
}
static inline am_value m_batch_norm2d(struct am_graph *g, am_value x)
{
    am_value h = am_layer_batch_norm(g, picture(g, x, 3, 2, 4), 1e-2f, 0.1f, "n");
    return finish(g, am_layer_activation(g, h, AM_ACT_TANH, 0));
}
static inline am_value m_dropout2d(struct am_graph *g, am_value x)
{
    am_value h = am_layer_dropout2d(g, picture(g, x, 3, 2, 7), 0.3f);
    return finish(g, am_layer_dropout2d(g, am_layer_activation(g, h, AM_ACT_TANH, 0), 0.2f));
}
/* Frames as rows of their own, whatever is done to them, and back into a sequence. */
static inline am_value m_frames(struct am_graph *g, am_value x)
{
    const int64_t dims[4] = {3, 4, 2, 2};
    const struct am_conv_options c = {.kernel = {3, 3}, .same = true, .act = AM_ACT_TANH};
    const unsigned order[3] = {1, 0, 2};
    am_value h = am_layer_reshape(g, dense(g, x, 48, AM_ACT_TANH, "a"), dims, 4, "video");
    h = am_layer_conv2d(g, am_layer_split_frames(g, h, "split"), 4, &c, "conv");
    h = am_layer_batch_norm(g, h, 1e-2f, 0.1f, "n");
    h = am_layer_dropout2d(g, am_layer_group_norm(g, h, 2, 1e-2f, "gn"), 0.2f);
    h = am_layer_permute(g, pooled(g, h, AM_POOLING_AVERAGE, 2, 1, 0, false), order, 3, "turn");
    h = am_layer_dropout(g, am_layer_flatten(g, h, "flat"), 0.1f);
    h = am_layer_join_frames(g, dense(g, h, 5, AM_ACT_GELU, "f"), "join"); /* [B,3,5] */
    const struct am_seq_options o = {
        .returns = AM_SEQ_LAST, .n_layers = 1, .lengths = AM_VALUE_NONE};
    return finish(g, am_layer_lstm(g, h, 4, &o, "lstm"));
}
/* ids in columns 5 and 6, some 0 and some outside the table */
static inline am_value m_tokens(struct am_graph *g, am_value x)
{
    am_value h = am_layer_tokens(g, am_layer_columns(g, x, 5, 2), 4, 3, "e");
    const am_value parts[2] = {am_layer_flatten(g, h, "flat"), am_layer_columns(g, x, 0, 5)};
    return dense(g, am_layer_concat(g, parts, 2), 3, AM_ACT_NONE, "b");
}
/* Wide enough that each step goes over the pool in several chunks. */
static inline am_value m_wide_picture(struct am_graph *g, am_value x)
{
    const unsigned order[3] = {1, 2, 0};
    const int64_t zeros[3] = {0, 0, 0}, one[3] = {1, 0, 0}, all[3] = {8, 4, 16};
    am_value h = picture(g, x, 8, 8, 16);
    h = am_layer_dropout2d(g, am_layer_group_norm(g, h, 4, 1e-5f, "n"), 0.25f);
    h = am_layer_add(g, pooled(g, h, AM_POOLING_MAX, 3, 1, 1, false),
                     pooled(g, h, AM_POOLING_AVERAGE, 3, 1, 1, true));
    h = pooled(g, h, AM_POOLING_MAX, 2, 0, 0, false); /* [4,4,16] */
    h = am_layer_upsample(g, h, AM_RESAMPLE_BILINEAR, (const int64_t[2]){2, 1}, "up");
    h = am_layer_upsample(g, h, AM_RESAMPLE_NEAREST, (const int64_t[2]){1, 2}, "wide"); /* [8,8] */
    h = am_layer_pad(g, am_layer_slice(g, h, zeros, all, 3, "s"), one, one, 3, "p");    /* [10,4] */
    h = am_layer_permute(g, h, order, 3, "turn");
    const am_value parts[2] = {am_layer_global_pool(g, h, AM_POOLING_MAX, "max"),
                               am_layer_global_pool(g, h, AM_POOLING_AVERAGE, "mean")};
    return dense(g, am_layer_concat(g, parts, 2), 3, AM_ACT_NONE, "d");
}

#endif
