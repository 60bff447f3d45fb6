/* Builders of layers_cluster.h: parameters, then the op. Errors stick in the graph. */
#include "nn/layers_cluster.h"

#include <stdio.h>

#include "nn/ops/cluster.h"

static am_value param(struct am_graph *g, const char *layer, const char *what, struct am_dims d)
{
    char name[AM_LIMIT_NAME_BYTES + 32];
    const struct am_param_spec spec = {AM_INIT_ZEROS, 0.0f, AM_PARAM_FROZEN};
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return am_graph_param(g, name, d, &spec);
}

static bool is_rows(struct am_graph *g, am_value x, const char *name)
{
    const struct am_gnode *n = am_graph_node(g, x);
    if (n && n->dims.rank == 2 && am_dims_batched(&n->dims))
        return true;
    am_graph_fail(g, AM_EINVAL, "layer \"%s\" needs rows [B,n]", name);
    return false;
}

am_value am_layer_nearest(struct am_graph *g, am_value x, const struct am_nearest_options *o,
                          const char *name)
{
    struct am_attr attr = {0};
    am_value in[3] = {x};
    if (!is_rows(g, x, name))
        return AM_VALUE_NONE;
    in[1] = param(g, name, "points", am_dims2(o->n_points, am_graph_node(g, x)->dims.d[1]));
    in[2] = param(g, name, "groups", am_dims1(o->n_points));
    attr.i[0] = o->n_groups;
    attr.f[0] = o->radius;
    return am_graph_add(g, &am_op_nearest, in, 3, &attr, name);
}

am_value am_layer_mixture(struct am_graph *g, am_value x, int64_t k, enum am_covariance kind,
                          const char *name)
{
    struct am_attr attr = {0};
    am_value in[4] = {x};
    if (!is_rows(g, x, name))
        return AM_VALUE_NONE;
    const int64_t n = am_graph_node(g, x)->dims.d[1];
    const bool wide = kind == AM_COVARIANCE_FULL || kind == AM_COVARIANCE_TIED;
    if (n > 32768 || k < 1 || k > AM_GROUPS_MAX) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\": %lld components of %lld numbers are too many",
                      name, (long long)k, (long long)n);
        return AM_VALUE_NONE;
    }
    in[1] = param(g, name, "means", am_dims2(k, n));
    in[2] = param(g, name, "factors",
                  am_dims2(kind == AM_COVARIANCE_TIED ? 1 : k, wide                         ? n * n
                                                               : kind == AM_COVARIANCE_DIAG ? n
                                                                                            : 1));
    in[3] = param(g, name, "constants", am_dims1(k));
    attr.i[0] = kind;
    return am_graph_add(g, &am_op_mixture, in, 4, &attr, name);
}

am_value am_layer_factors(struct am_graph *g, am_value x, const struct am_factors_options *o,
                          const char *name)
{
    am_value in[6] = {x};
    if (!is_rows(g, x, name))
        return AM_VALUE_NONE;
    in[1] = param(g, name, "users", am_dims2(o->n_users, o->n_factors + 1));
    in[2] = param(g, name, "items", am_dims2(o->n_items, o->n_factors + 2));
    in[3] = param(g, name, "mean", am_dims1(1));
    in[4] = param(g, name, "seen_start", am_dims2(o->n_users + 1, 2));
    in[5] = param(g, name, "seen_items", am_dims1(o->n_seen));
    return am_graph_add(g, &am_op_factors, in, 6, NULL, name);
}
