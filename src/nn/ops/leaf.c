/* Leaves (inputs and parameters), dropout as the identity, and the list of the ops that graph.json
 * may name. */
#include "nn/ops/cluster.h"

static enum am_rc leaf_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    return am_op_fail(g, n, err, "made by am_graph_input or am_graph_param only");
}

const struct am_op am_op_input = {.name = "input", .flags = AM_OP_LEAF, .infer = leaf_infer};
const struct am_op am_op_param = {.name = "param", .flags = AM_OP_LEAF, .infer = leaf_infer};

static enum am_rc same_as_input(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!(n->attr.f[0] >= 0.0f && n->attr.f[0] < 1.0f))
        return am_op_fail(g, n, err, "the rate of dropout must be at least 0 and below 1");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

/* Nothing at inference; the fitting library replaces it in training graphs. */
static const struct am_attr_desc dropout_attrs[] = {{"rate", AM_ATTR_F, 0, 0, 1},
                                                    {NULL, 0, 0, 0, 0}};
const struct am_op am_op_dropout = {.name = "dropout",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .flags = AM_OP_IDENTITY,
                                    .attrs = dropout_attrs,
                                    .infer = same_as_input};
const struct am_op am_op_dropout2d = {.name = "dropout2d",
                                      .min_in = 1,
                                      .max_in = 1,
                                      .flags = AM_OP_IDENTITY,
                                      .attrs = dropout_attrs,
                                      .infer = same_as_input};

const struct am_op *am_op_find(struct am_str name)
{
    static const struct am_op *const all[] = {
        &am_op_input,
        &am_op_param,
        &am_op_linear,
        &am_op_conv,
        &am_op_conv_transposed,
        &am_op_act,
        &am_op_softmax,
        &am_op_dropout,
        &am_op_batch_norm,
        &am_op_layer_norm,
        &am_op_embedding,
        &am_op_nearest,
        &am_op_mixture,
        &am_op_factors,
        &am_op_add,
        &am_op_mul,
        &am_op_scale,
        &am_op_concat,
        &am_op_columns,
        &am_op_trees,
        &am_op_rnn,
        &am_op_lstm,
        &am_op_gru,
        &am_op_seq_lengths,
        &am_op_seq_pool,
        &am_op_seq_attend,
        &am_op_seq_reverse,
        &am_op_tokens,
        &am_op_reshape,
        &am_op_split_frames,
        &am_op_join_frames,
        &am_op_permute,
        &am_op_slice,
        &am_op_pad,
        &am_op_max_pool,
        &am_op_average_pool,
        &am_op_global_max_pool,
        &am_op_global_average_pool,
        &am_op_upsample_nearest,
        &am_op_upsample_bilinear,
        &am_op_group_norm,
        &am_op_dropout2d,
        &am_op_log_odds,
        &am_op_vote,
        &am_op_weighted_median,
        &am_op_exp,
        &am_op_distance,
        &am_op_similarity,
        &am_op_neighbours,
        &am_op_gauss,
        &am_op_couple,
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (am_str_is(name, all[i]->name))
            return all[i];
    return NULL;
}
