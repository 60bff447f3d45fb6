/* The training and evaluation graphs of a model, and their plans.
 *
 * A model's graph is rewritten while it is copied: training turns dropout into random masks and
 * batch norm into statistics of the batch plus an update of the running ones. Evaluation keeps the
 * model as it is. */
#include "nn/train_plan.h"

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/ops/train_ops.h"

struct rewrite {
    struct am_graph *g;
    const struct am_graph *from;
    am_value *to; /* owned, [n]: old id -> new id */
    int64_t n_dropouts;
};

static am_value rewrite_batch_norm(struct rewrite *w, const struct am_gnode *n, const am_value *in)
{
    const am_value stats = am_graph_add(w->g, &am_op_bn_stats, in, 1, &n->attr, NULL);
    const am_value update[4] = {stats, in[3], in[4], in[0]};
    (void)am_graph_add(w->g, &am_op_bn_update, update, 4, &n->attr, NULL);
    const am_value apply[4] = {in[0], stats, in[1], in[2]};
    return am_graph_add(w->g, &am_op_bn_train, apply, 4, &n->attr, NULL);
}

static bool frozen(const struct rewrite *w, am_value v)
{
    const struct am_gnode *n = &w->from->nodes.ptr[v];
    return n->op == &am_op_param &&
           (am_graph_param_spec(w->from, (size_t)n->attr.i[0])->flags & AM_PARAM_FROZEN);
}

/* The twin that keeps what the gradient needs, then the state out of that: its last columns. */
static am_value rewrite_recurrent(struct rewrite *w, const struct am_gnode *n, const am_value *in)
{
    const bool lstm = n->op == &am_op_lstm;
    const int64_t units = n->dims.d[2];
    const am_value kept = am_graph_add(w->g, lstm ? &am_op_lstm_train : &am_op_gru_train, in,
                                       n->n_in, &n->attr, n->name.len ? n->name.ptr : NULL);
    const struct am_attr attr = {.i = {(lstm ? 5 : 4) * units, units}};
    return am_graph_add(w->g, &am_op_seq_part, &kept, 1, &attr, NULL);
}

/* max(relu(x)) is relu(max(x)), on fewer elements; also backwards, since relu lets nothing through
 * where all of a window is negative. Only where nobody else reads relu(x). */
static bool relu_can_wait(const struct rewrite *w, const struct am_gnode *n)
{
    if (n->op != &am_op_max_pool && n->op != &am_op_global_max_pool)
        return false;
    const struct am_graph *from = w->from;
    const struct am_gnode *act = &from->nodes.ptr[n->in[0]];
    size_t uses = 0;
    for (size_t i = n->in[0]; i < from->nodes.len; i++)
        for (unsigned k = 0; k < from->nodes.ptr[i].n_in; k++)
            uses += from->nodes.ptr[i].in[k] == n->in[0];
    for (size_t i = 0; i < from->n_outputs; i++)
        uses += from->outputs[i].value == n->in[0];
    return act->op == &am_op_act && act->attr.act == AM_ACT_RELU && uses == 1;
}

static am_value rewrite_relu_pool(struct rewrite *w, const struct am_gnode *n)
{
    const struct am_gnode *act = &w->from->nodes.ptr[n->in[0]];
    const am_value x = w->to[act->in[0]];
    const am_value y = am_graph_add(w->g, n->op, &x, 1, &n->attr, NULL);
    return am_graph_add(w->g, &am_op_act, &y, 1, &act->attr, n->name.len ? n->name.ptr : NULL);
}

static am_value rewrite_node(struct rewrite *w, const struct am_gnode *n)
{
    am_value in[AM_GRAPH_INPUTS_MAX];
    for (unsigned k = 0; k < n->n_in; k++)
        in[k] = n->in[k] == AM_VALUE_NONE ? AM_VALUE_NONE : w->to[n->in[k]];
    if (n->op == &am_op_input)
        return am_graph_input(w->g, n->name.ptr, n->dims);
    if (n->op == &am_op_param)
        return am_graph_param(w->g, n->name.ptr, n->dims,
                              am_graph_param_spec(w->from, (size_t)n->attr.i[0]));
    const bool drops = n->op == &am_op_dropout || n->op == &am_op_dropout2d;
    if (drops && n->attr.f[0] <= 0.0f)
        return in[0];
    if (drops) {
        const struct am_attr attr = {.f = {n->attr.f[0]}, .i = {w->n_dropouts++}};
        return am_graph_add(w->g,
                            n->op == &am_op_dropout ? &am_op_dropout_train : &am_op_dropout2d_train,
                            in, 1, &attr, NULL);
    }
    /* a frozen one keeps its statistics */
    if (n->op == &am_op_batch_norm && !(frozen(w, n->in[1]) && frozen(w, n->in[2])))
        return rewrite_batch_norm(w, n, in);
    if (relu_can_wait(w, n))
        return rewrite_relu_pool(w, n);
    if (n->op == &am_op_lstm || n->op == &am_op_gru)
        return rewrite_recurrent(w, n, in);
    return am_graph_add(w->g, n->op, in, n->n_in, &n->attr, n->name.len ? n->name.ptr : NULL);
}

static enum am_rc rewrite_all(struct rewrite *w, struct am_err *err)
{
    const struct am_graph *from = w->from;
    for (size_t i = 0; i < from->nodes.len; i++)
        w->to[i] = rewrite_node(w, &from->nodes.ptr[i]);
    for (size_t i = 0; i < from->n_outputs; i++)
        am_graph_output(w->g, from->outputs[i].name.ptr, w->to[from->outputs[i].value]);
    return am_graph_check(w->g, err);
}

enum am_rc am_training_graph(const struct am_graph *model, struct am_graph **out,
                             struct am_err *err)
{
    struct rewrite w = {.from = model};
    enum am_rc rc;
    *out = NULL;
    AM_TRY(am_graph_check(model, err));
    AM_TRY(am_graph_new(&w.g, err));
    w.to = am_alloc_array(model->nodes.len ? model->nodes.len : 1, sizeof *w.to);
    rc = w.to ? rewrite_all(&w, err) : am_fail_nomem(err, model->nodes.len * sizeof *w.to);
    am_free(w.to);
    if (rc != AM_OK) {
        am_graph_free(w.g);
        return rc;
    }
    *out = w.g;
    return AM_OK;
}

static enum am_rc build(struct am_graph *g, const struct am_params *params, enum am_plan_mode mode,
                        size_t bucket_rows, const struct am_kernels *kernels,
                        enum am_plan_library library, struct am_plan **out, struct am_err *err)
{
    const struct am_kernels *kern = kernels ? kernels : am_kernels_best();
    const struct am_plan_options o = {.mode = mode,
                                      .library = library,
                                      .bucket_rows = bucket_rows,
                                      .kernels = kern,
                                      .train_kernels = am_train_kernels_find(kern->name)};
    return am_plan_build(g, params, &o, out, err);
}

static enum am_rc build_training(const struct am_graph *model, const struct am_params *params,
                                 const struct am_loss_spec *loss, size_t bucket_rows,
                                 const struct am_kernels *kernels, enum am_plan_library library,
                                 struct am_plan **out, struct am_err *err)
{
    struct am_graph *g = NULL;
    enum am_rc rc;
    *out = NULL;
    AM_GO(rc, am_training_graph(model, &g, err));
    AM_GO(rc, am_loss_add(g, loss, err));
    AM_GO(rc, am_grad_build(g, err));
    rc = build(g, params, AM_PLAN_TRAIN, bucket_rows, kernels, library, out, err);
out:
    am_graph_free(g);
    return rc;
}

enum am_rc am_train_plan_build_with(const struct am_graph *model, const struct am_params *params,
                                    const struct am_loss_spec *loss, size_t bucket_rows,
                                    const struct am_kernels *kernels, struct am_plan **out,
                                    struct am_err *err)
{
    return build_training(model, params, loss, bucket_rows, kernels, AM_PLAN_LIBRARY_NONE, out,
                          err);
}

enum am_rc am_train_plan_build_library(const struct am_graph *model, const struct am_params *params,
                                       const struct am_loss_spec *loss, size_t bucket_rows,
                                       enum am_plan_library library, struct am_plan **out,
                                       struct am_err *err)
{
    return build_training(model, params, loss, bucket_rows, NULL, library, out, err);
}

enum am_rc am_eval_plan_build_with(const struct am_graph *model, const struct am_params *params,
                                   const struct am_loss_spec *loss, size_t bucket_rows,
                                   const struct am_kernels *kernels, struct am_plan **out,
                                   struct am_err *err)
{
    struct am_graph *g = NULL;
    enum am_rc rc;
    *out = NULL;
    AM_GO(rc, am_graph_copy(model, &g, err));
    AM_GO(rc, am_loss_add(g, loss, err));
    rc = build(g, params, AM_PLAN_EVAL, bucket_rows, kernels, AM_PLAN_LIBRARY_NONE, out, err);
out:
    am_graph_free(g);
    return rc;
}

enum am_rc am_train_plan_build(const struct am_graph *model, const struct am_params *params,
                               const struct am_loss_spec *loss, size_t bucket_rows,
                               struct am_plan **out, struct am_err *err)
{
    return am_train_plan_build_with(model, params, loss, bucket_rows, NULL, out, err);
}

enum am_rc am_eval_plan_build(const struct am_graph *model, const struct am_params *params,
                              const struct am_loss_spec *loss, size_t bucket_rows,
                              struct am_plan **out, struct am_err *err)
{
    return am_eval_plan_build_with(model, params, loss, bucket_rows, NULL, out, err);
}
