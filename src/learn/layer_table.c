/* What `plan` tells of a network before a row is read: its layers, parameters, operations and
 * memory. Builds plans to know what they need, and runs nothing. */
#include <stdio.h>

#include "base/alloc.h"
#include "learn/learn_int.h"
#include "nn/describe.h"
#include "nn/session.h"
#include "nn/train_norm.h"
#include "nn/train_plan.h"

static void list_layers(const struct am_graph_row *rows, size_t n, struct am_arena *a,
                        struct am_node *out)
{
    struct am_node *list = am_new_list(a);
    size_t params = 0, trained = 0;
    double flops = 0;
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a);
        char dims[AM_DIMS_CHARS];
        am_node_set(a, m, "name", am_new_str(a, rows[i].name));
        am_node_set(a, m, "type", am_new_str(a, rows[i].type));
        am_node_set(a, m, "output", am_new_cstr(a, am_dims_print(&rows[i].dims, dims)));
        am_node_set(a, m, "parameters", am_new_i64(a, (int64_t)rows[i].n_params));
        am_node_set(a, m, "flops", am_new_f64(a, rows[i].flops));
        am_node_push(a, list, m);
        params += rows[i].n_params;
        trained += rows[i].n_trained;
        flops += rows[i].flops;
    }
    am_node_set(a, out, "layers", list);
    am_node_set(a, out, "parameters", am_new_i64(a, (int64_t)params));
    am_node_set(a, out, "trained", am_new_i64(a, (int64_t)trained));
    am_node_set(a, out, "flops", am_new_f64(a, flops));
}

static enum am_rc count_predict(const struct am_graph *g, const struct am_params *p,
                                struct am_arena *a, struct am_node *out, struct am_err *err)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 1};
    struct am_plan *plan;
    AM_TRY(am_plan_build(g, p, &o, &plan, err));
    am_node_set(a, out, "predict_bytes", am_new_i64(a, (int64_t)am_plan_peak_bytes(plan)));
    am_plan_put(plan);
    return AM_OK;
}

static enum am_rc count_norms(const struct am_graph *g, const struct am_params *p,
                              const struct am_loss_spec *loss, const struct am_train_config *c,
                              size_t *out, struct am_err *err)
{
    struct am_norms *n;
    if (c->average == AM_TRAIN_AVERAGE_NONE)
        return AM_OK;
    AM_TRY(am_norms_new(g, p, loss, c->batch_size, NULL, &n, err));
    *out = am_norms_bytes(n);
    am_norms_free(n);
    return AM_OK;
}

/* Losses differ in the last step only: the squared error of y stands for all. */
static enum am_rc count_train(const struct am_learn_task *t, const struct am_graph *g,
                              const struct am_params *p, struct am_arena *a, struct am_node *out,
                              struct am_err *err)
{
    const struct am_loss_spec loss = {.kind = AM_LOSS_MSE};
    struct am_learn_task as_number = *t;
    struct am_train_config c;
    struct am_optim *optim;
    struct am_plan *plan;
    size_t blocks;
    as_number.task = AM_TASK_REGRESSION;
    if (t->train_spec && t->train_spec->kind == AM_NODE_MAP) {
        struct am_node *spec = am_node_copy(a, t->train_spec);
        am_node_set(a, spec, "loss", am_new_cstr(a, "auto"));
        as_number.train_spec = spec;
    }
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_learn_train_config(&as_number, &c, err));
    AM_TRY(am_train_plan_build(g, p, &loss, c.batch_size, &plan, err));
    /* weights, gradients, those of the other batches of a step, best, average */
    blocks = 2 + (c.accumulate > 1 ? 1u : 0u) + (c.patience > 0 ? 1u : 0u) +
             (c.average != AM_TRAIN_AVERAGE_NONE ? 1u : 0u);
    size_t between = 0; /* of batch norm's statistics for averages */
    enum am_rc rc = count_norms(g, p, &loss, &c, &between, err);
    if (rc == AM_OK)
        rc = am_optim_new(&c.optim, p, &optim, err);
    if (rc == AM_OK) {
        blocks += am_optim_n_moments(optim);
        am_node_set(a, out, "train_bytes",
                    am_new_i64(a, (int64_t)(am_plan_session_bytes(plan) + between +
                                            blocks * am_params_bytes(p))));
        am_node_set(a, out, "batch_size", am_new_i64(a, (int64_t)c.batch_size));
        am_optim_free(optim);
    }
    am_plan_put(plan);
    return rc;
}

enum am_rc am_learner_layers(const struct am_learn_task *task, struct am_arena *a,
                             struct am_node **out, struct am_err *err)
{
    const struct am_graph_row *rows;
    struct am_graph *g = NULL;
    struct am_params *p = NULL;
    size_t n;
    enum am_rc rc;
    *out = am_new_map(a);
    AM_TRY(am_learner_graph(task, &g, err));
    AM_GO(rc, am_graph_describe(g, a, &rows, &n, err));
    list_layers(rows, n, a, *out);
    AM_GO(rc, am_params_new(g, &p, err));
    AM_GO(rc, count_predict(g, p, a, *out, err));
    AM_GO(rc, count_train(task, g, p, a, *out, err));
    rc = am_arena_check(a, err);
out:
    am_params_free(p);
    am_graph_free(g);
    return rc;
}
