/* Plans that show a trained graph's inside; see probe.h. */
#include "nn/probe.h"

#include "nn/graph_int.h"
#include "nn/layers.h"
#include "nn/layers_shape.h"
#include "nn/loss.h"
#include "nn/train_plan.h"
#include "tensor/train_kernels.h"

/* "conv1" of parameter "conv1.weight" */
static struct am_str layer_of(struct am_str parameter)
{
    for (size_t i = parameter.len; i-- > 0;)
        if (parameter.ptr[i] == '.')
            return (struct am_str){parameter.ptr, i};
    return parameter;
}

/* Past the norm and the activation that follow v. */
static am_value settled(const struct am_graph *g, am_value v)
{
    for (size_t i = (size_t)v + 1; i < g->nodes.len; i++) {
        const struct am_gnode *n = &g->nodes.ptr[i];
        const bool follows =
            n->op == &am_op_act || n->op == &am_op_batch_norm || n->op == &am_op_group_norm;
        if (follows && n->in[0] == v)
            v = (am_value)i;
    }
    return v;
}

enum am_rc am_probe_convolutions(const struct am_graph *g, struct am_arena *a,
                                 const struct am_probe_layer **out, size_t *n, struct am_err *err)
{
    struct am_probe_layer *list = am_arena_array(a, g->nodes.len + 1, sizeof *list);
    *n = 0;
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < g->nodes.len; i++) {
        const struct am_gnode *v = &g->nodes.ptr[i];
        if (v->op != &am_op_conv && v->op != &am_op_conv_transposed)
            continue;
        const am_value at = settled(g, (am_value)i);
        list[(*n)++] =
            (struct am_probe_layer){.name = am_arena_str(a, layer_of(g->nodes.ptr[v->in[1]].name)),
                                    .value = at,
                                    .dims = g->nodes.ptr[at].dims};
    }
    *out = list;
    return am_arena_check(a, err);
}

/* "y" becomes v, flat. */
static void set_answer(struct am_graph *g, am_value v)
{
    const struct am_gnode *n = am_graph_node(g, v);
    if (n && n->dims.rank != 2)
        v = am_layer_flatten(g, v, "y");
    for (size_t i = 0; i < g->n_outputs; i++)
        if (am_str_is(g->outputs[i].name, "y"))
            g->outputs[i].value = v;
}

static enum am_rc build(const struct am_graph *g, const struct am_params *params,
                        size_t bucket_rows, struct am_plan **out, struct am_err *err)
{
    const struct am_kernels *kern = am_kernels_best();
    const struct am_plan_options o = {.mode = AM_PLAN_INFER,
                                      .bucket_rows = bucket_rows,
                                      .kernels = kern,
                                      .train_kernels = am_train_kernels_find(kern->name)};
    AM_TRY(am_graph_check(g, err));
    return am_plan_build(g, params, &o, out, err);
}

enum am_rc am_probe_value_plan(const struct am_graph *g, const struct am_params *params, am_value v,
                               size_t bucket_rows, struct am_plan **out, struct am_err *err)
{
    struct am_graph *copy = NULL;
    enum am_rc rc;
    *out = NULL;
    AM_GO(rc, am_graph_copy(g, &copy, err));
    set_answer(copy, v);
    rc = build(copy, params, bucket_rows, out, err);
out:
    am_graph_free(copy);
    return rc;
}

/* Nothing is trained, so the training form of the graph is the one that predicts, with what the
 * gradients of recurrent layers need. */
static void freeze(struct am_graph *g)
{
    for (size_t k = 0; k < g->params.len; k++)
        g->params.ptr[k].spec.flags |= AM_PARAM_FROZEN;
    for (size_t i = 0; i < g->nodes.len; i++)
        if (g->nodes.ptr[i].op == &am_op_dropout || g->nodes.ptr[i].op == &am_op_dropout2d)
            g->nodes.ptr[i].attr.f[0] = 0;
}

static bool squashes(const struct am_gnode *n)
{
    return n->op == &am_op_softmax || (n->op == &am_op_act && (n->attr.act == AM_ACT_SIGMOID ||
                                                               n->attr.act == AM_ACT_SOFTMAX));
}

/* Appends the gradient; it becomes "y". */
static enum am_rc append_gradient(struct am_graph *g, size_t column, struct am_err *err)
{
    am_value y = am_graph_find_output(g, "y"), x = am_graph_find_input(g, "x"), gradient;
    if (x == AM_VALUE_NONE || y == AM_VALUE_NONE)
        return am_fail(err, AM_EINVAL, "the graph has no input \"x\" or no output \"y\"");
    if (squashes(am_graph_node(g, y)))
        y = am_graph_node(g, y)->in[0];
    const am_value one = am_layer_columns(g, y, (int64_t)column, 1);
    AM_TRY(am_graph_check(g, err));
    AM_TRY(am_grad_between(g, one, am_layer_scale(g, one, 0, 1), x, &gradient, err));
    if (gradient == AM_VALUE_NONE)
        return am_fail(err, AM_EUNSUPPORTED, "no gradient reaches the input of this model");
    set_answer(g, gradient);
    return AM_OK;
}

enum am_rc am_probe_gradient_plan(const struct am_graph *g, const struct am_params *params,
                                  size_t column, size_t bucket_rows, struct am_plan **out,
                                  struct am_err *err)
{
    struct am_graph *copy = NULL, *training = NULL;
    enum am_rc rc;
    *out = NULL;
    AM_GO(rc, am_graph_copy(g, &copy, err));
    freeze(copy);
    AM_GO(rc, am_training_graph(copy, &training, err));
    AM_GO(rc, append_gradient(training, column, err));
    rc = build(training, params, bucket_rows, out, err);
out:
    am_graph_free(copy);
    am_graph_free(training);
    return rc;
}
