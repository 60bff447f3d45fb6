/* The model object: reference count, what it is, and its description as a tree.
 *
 * Loading is in model_load.c, writing in model_write.c, predicting in predict.c. Everything handed
 * out lives as long as the caller's reference. Any thread. */
#include "model/model_int.h"

#include "base/alloc.h"

const char *am_model_output_name(enum am_model_output o)
{
    return o == AM_MODEL_VALUE ? "value" : o == AM_MODEL_PROBABILITY ? "probability" : "score";
}

struct am_model *am_model_get(struct am_model *m)
{
    atomic_fetch_add_explicit(&m->n_refs, 1, memory_order_relaxed);
    return m;
}

void am_model_put(struct am_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    am_plan_put(m->many);
    am_plan_put(m->one);
    am_params_free(m->params);
    am_graph_free(m->graph);
    am_target_free(m->target);
    am_features_free(m->features);
    am_arena_free(m->arena);
    am_free(m);
}

const struct am_model_info *am_model_info(const struct am_model *m)
{
    return &m->info;
}
const struct am_features *am_model_features(const struct am_model *m)
{
    return m->features;
}
const struct am_target *am_model_target(const struct am_model *m)
{
    return m->target;
}
const struct am_graph *am_model_graph(const struct am_model *m)
{
    return m->graph;
}
const struct am_params *am_model_params(const struct am_model *m)
{
    return m->params;
}
const struct am_node *am_model_manifest(const struct am_model *m)
{
    return m->manifest;
}
const struct am_node *am_model_metrics(const struct am_model *m)
{
    return m->metrics;
}
struct am_str am_model_recipe(const struct am_model *m)
{
    return m->recipe;
}
struct am_str am_model_card(const struct am_model *m)
{
    return m->card;
}
const struct am_batch *am_model_sample(const struct am_model *m)
{
    return &m->sample;
}

struct am_node *am_model_describe(const struct am_model *m, struct am_arena *a)
{
    struct am_node *d = am_new_map(a);
    for (size_t i = 0; i < m->manifest->map.n; i++) {
        const struct am_pair *p = &m->manifest->map.pairs[i];
        if (!am_str_is(p->key, "format") && !am_str_is(p->key, "entries"))
            am_node_set_str(a, d, p->key, am_node_copy(a, p->value));
    }
    am_node_set(a, d, "metrics", am_node_copy(a, m->metrics));
    am_node_set(a, d, "package", am_new_cstr(a, m->info.hash[0] ? m->info.hash : NULL));
    am_node_set(a, d, "memory_bytes", am_new_i64(a, (int64_t)m->info.bytes));
    am_node_set(a, d, "same_numerics_profile", am_new_bool(a, m->info.same_profile));
    return d;
}

bool am_model_sparse(const struct am_features *f, const struct am_graph *g)
{
    return am_features_sparse(f) && am_plan_takes_sparse(g);
}

/* what lies beside "y": the row as it comes back, or its cluster */
const char *am_model_third_output(enum am_task task)
{
    return task == AM_TASK_CLUSTERING ? "cluster" : "reconstruction";
}

static enum am_rc check_own_outputs(const struct am_graph *g, enum am_task task, size_t width,
                                    struct am_err *err)
{
    const char *const names[] = {"code", am_model_third_output(task)};
    width = task == AM_TASK_CLUSTERING ? 1 : width;
    for (size_t i = 0; i < 2; i++) {
        am_value v = am_graph_find_output(g, names[i]);
        const struct am_gnode *n = v == AM_VALUE_NONE ? NULL : am_graph_node(g, v);
        char text[AM_DIMS_CHARS];
        if (!n && i == 1 && task == AM_TASK_ANOMALY)
            continue; /* rows need not come back (isolation_forest) */
        if (!n)
            return am_fail(err, AM_EINVAL, "the graph has no output \"%s\"", names[i]);
        if (n->dims.rank != 2 || !am_dims_batched(&n->dims) ||
            (i == 1 && (uint64_t)n->dims.d[1] != width))
            return am_fail(err, AM_EINVAL, "output \"%s\" is %s, not %zu numbers a row", names[i],
                           am_dims_print(&n->dims, text), width);
    }
    return AM_OK;
}

enum am_rc am_model_check_shapes(const struct am_graph *g, const struct am_features *f,
                                 const struct am_target *t, enum am_model_output output,
                                 struct am_err *err)
{
    am_value vx = am_graph_find_input(g, "x"), vy = am_graph_find_output(g, "y");
    const struct am_gnode *x = vx == AM_VALUE_NONE ? NULL : am_graph_node(g, vx);
    const struct am_gnode *y = vy == AM_VALUE_NONE ? NULL : am_graph_node(g, vy);
    size_t width = am_features_width(f), n_classes = am_target_n_classes(t);
    const enum am_task task = am_target_task(t);
    char text[AM_DIMS_CHARS];
    if (!x || !y)
        return am_fail(err, AM_EINVAL, "the graph has no input \"x\" or no output \"y\"");
    if (x->dims.rank != 2 || !am_dims_batched(&x->dims) || (uint64_t)x->dims.d[1] != width)
        return am_fail(err, AM_EINVAL, "the graph reads %s, the features make %zu numbers a row",
                       am_dims_print(&x->dims, text), width);
    if (y->dims.rank != 2 || !am_dims_batched(&y->dims) ||
        !((uint64_t)y->dims.d[1] == n_classes ||
          (y->dims.d[1] == 1 && n_classes <= 2 && task != AM_TASK_MULTILABEL)))
        return am_fail(err, AM_EINVAL, "the graph makes %s, the target has %zu classes",
                       am_dims_print(&y->dims, text), n_classes);
    bool densities = task == AM_TASK_CLUSTERING && output == AM_MODEL_PROBABILITY;
    const bool classes = am_task_has_classes(task) || task == AM_TASK_MULTILABEL;
    if (!densities && classes == (output == AM_MODEL_VALUE))
        return am_fail(err, AM_EINVAL, "a %s model cannot answer with a %s",
                       am_task_name(am_target_task(t)), am_model_output_name(output));
    return am_task_is_own(task) ? check_own_outputs(g, task, width, err) : AM_OK;
}

/* ---- what it answers with ---- */

static struct am_node *output_node(struct am_arena *a, struct am_node *list, const char *name,
                                   const char *type)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_cstr(a, name));
    am_node_set(a, m, "type", am_new_cstr(a, type));
    am_node_set(a, m, "shape", am_new_list(a));
    am_node_push(a, list, m);
    return m;
}

static void put_shape(struct am_arena *a, struct am_node *m, const struct am_dims *d)
{
    for (unsigned i = 0; i < d->rank; i++)
        am_node_push(a, am_node_get(m, "shape"), am_new_i64(a, d->d[i]));
}

static struct am_node *cluster_nodes(const struct am_graph *g, enum am_model_output output,
                                     struct am_node *list, struct am_arena *a)
{
    const bool densities = output == AM_MODEL_PROBABILITY;
    const struct am_dims d =
        am_dims1((int64_t)am_dims_cols(&am_graph_node(g, am_graph_find_output(g, "code"))->dims));
    output_node(a, list, am_output_name(AM_OUTPUT_CLUSTER), "number");
    output_node(a, list, am_output_name(densities ? AM_OUTPUT_LOG_DENSITY : AM_OUTPUT_DISTANCE),
                "number");
    put_shape(a,
              output_node(a, list,
                          am_output_name(densities ? AM_OUTPUT_MEMBERSHIPS : AM_OUTPUT_DISTANCES),
                          "vector"),
              &d);
    return list;
}

struct am_node *am_model_outputs_node(const struct am_graph *g, const struct am_features *f,
                                      const struct am_target *t, enum am_model_output output,
                                      struct am_arena *a)
{
    struct am_node *list = am_new_list(a), *m;
    enum am_task task = am_target_task(t);
    struct am_dims d = am_dims1((int64_t)am_target_n_classes(t));
    if (task == AM_TASK_REGRESSION || task == AM_TASK_RECOMMENDATION)
        output_node(a, list, "value", "number");
    if (am_task_has_classes(task)) {
        put_shape(a, output_node(a, list, "probabilities", "vector"), &d);
        output_node(a, list, "label", "label");
    }
    if (task == AM_TASK_MULTILABEL) {
        put_shape(a, output_node(a, list, "probabilities", "vector"), &d);
        output_node(a, list, "labels", "labels");
    }
    if (!am_task_is_own(task))
        return list;
    if (task == AM_TASK_CLUSTERING)
        return cluster_nodes(g, output, list, a);
    output_node(a, list, "anomaly_score", "number");
    if (task == AM_TASK_ANOMALY)
        output_node(a, list, "is_anomaly", "boolean");
    d = am_dims1((int64_t)am_dims_cols(&am_graph_node(g, am_graph_find_output(g, "code"))->dims));
    put_shape(a, output_node(a, list, "embedding", "vector"), &d);
    size_t n = am_features_n_restored(f, &d);
    if (n == 0 || am_graph_find_output(g, "reconstruction") == AM_VALUE_NONE)
        return list;
    m = output_node(a, list, "reconstruction", "vector");
    put_shape(a, m, &d);
    if (am_features_restored_columns(f)) {
        struct am_node *columns = am_new_list(a);
        for (size_t i = 0; i < n; i++)
            am_node_push(
                a, columns,
                am_new_str(a, am_features_input(f, am_features_restored_input(f, i))->name));
        am_node_set(a, m, "columns", columns);
    }
    return list;
}
