/* Graphs to and from trees (graph.json). Reading trusts nothing; errors name the node.
 *
 * A node is {"op", "in": [ids or null], "dims": [-1 = the batch, -k = k times it, ...], "name", and
 * the op's attributes}; a parameter also {"decay", "frozen", "state"}. How parameters were first
 * drawn is not stored. */
#include "nn/graph.h"

#include <math.h>
#include <string.h>

#include "nn/graph_int.h"
#include "nn/layers.h"

#define VERSION 1

/* ---- writing ---- */

static struct am_node *dims_node(struct am_arena *a, const struct am_dims *d)
{
    struct am_node *list = am_new_list(a);
    for (unsigned i = 0; i < d->rank; i++)
        am_node_push(a, list, am_new_i64(a, d->d[i]));
    return list;
}

static void write_attrs(struct am_arena *a, struct am_node *to, const struct am_gnode *n)
{
    for (const struct am_attr_desc *t = n->op->attrs; t && t->name; t++)
        am_node_set(a, to, t->name,
                    t->kind == AM_ATTR_ACT ? am_new_cstr(a, am_act_name(n->attr.act))
                    : t->kind == AM_ATTR_F ? am_new_f64(a, (double)n->attr.f[t->index])
                                           : am_new_i64(a, n->attr.i[t->index]));
}

static struct am_node *write_node(struct am_arena *a, const struct am_graph *g,
                                  const struct am_gnode *n)
{
    struct am_node *to = am_new_map(a);
    am_node_set(a, to, "op", am_new_cstr(a, n->op->name));
    if (n->n_in > 0) {
        struct am_node *in = am_new_list(a);
        for (unsigned k = 0; k < n->n_in; k++)
            am_node_push(a, in,
                         n->in[k] == AM_VALUE_NONE ? am_new_null(a) : am_new_i64(a, n->in[k]));
        am_node_set(a, to, "in", in);
    }
    am_node_set(a, to, "dims", dims_node(a, &n->dims));
    if (n->name.len > 0)
        am_node_set(a, to, "name", am_new_str(a, n->name));
    if (n->op == &am_op_param) {
        const unsigned flags = g->params.ptr[n->attr.i[0]].spec.flags;
        am_node_set(a, to, "decay", am_new_bool(a, (flags & AM_PARAM_DECAY) != 0));
        am_node_set(a, to, "frozen", am_new_bool(a, (flags & AM_PARAM_FROZEN) != 0));
        am_node_set(a, to, "state", am_new_bool(a, (flags & AM_PARAM_STATE) != 0));
    }
    write_attrs(a, to, n);
    return to;
}

enum am_rc am_graph_to_node(const struct am_graph *g, struct am_arena *a, struct am_node **out,
                            struct am_err *err)
{
    *out = NULL;
    AM_TRY(am_graph_check(g, err));
    struct am_node *top = am_new_map(a), *nodes = am_new_list(a), *outputs = am_new_map(a);
    for (size_t i = 0; i < g->nodes.len; i++) {
        const struct am_gnode *n = &g->nodes.ptr[i];
        if (am_op_find(am_str(n->op->name)) != n->op)
            return am_fail(err, AM_EINVAL, "node %zu (%s) belongs to training and cannot be stored",
                           i, n->op->name);
        am_node_push(a, nodes, write_node(a, g, n));
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        am_node_set_str(a, outputs, g->outputs[i].name, am_new_i64(a, g->outputs[i].value));
    am_node_set(a, top, "version", am_new_i64(a, VERSION));
    am_node_set(a, top, "nodes", nodes);
    am_node_set(a, top, "outputs", outputs);
    AM_TRY(am_arena_check(a, err));
    *out = top;
    return AM_OK;
}

/* ---- reading ---- */

struct reader {
    struct am_graph *g;
    size_t at; /* the node being read */
    struct am_err *err;
};

static enum am_rc bad(const struct reader *r, const char *why)
{
    return am_fail(r->err, AM_ECORRUPT, "graph: node %zu: %s", r->at, am_tr(why));
}

/* Names become NUL-terminated; an embedded NUL would make two names one. */
static enum am_rc read_name(const struct reader *r, const struct am_node *n,
                            char out[AM_LIMIT_NAME_BYTES + 1])
{
    struct am_str s = {"", 0};
    const struct am_node *v = am_node_get(n, "name");
    out[0] = 0;
    if (!v)
        return AM_OK;
    if (!am_node_as_str(v, &s) || s.len > AM_LIMIT_NAME_BYTES || memchr(s.ptr, 0, s.len))
        return bad(r, "\"name\" must be a string of at most 128 bytes without NUL");
    memcpy(out, s.ptr, s.len);
    out[s.len] = 0;
    return AM_OK;
}

static enum am_rc read_dims(const struct reader *r, const struct am_node *n, struct am_dims *out)
{
    const struct am_node *v = am_node_get(n, "dims");
    if (!v || v->kind != AM_NODE_LIST || v->list.n < 1 || v->list.n > AM_LIMIT_TENSOR_RANK)
        return bad(r, "\"dims\" must be a list of 1 to 8 whole numbers");
    out->rank = (unsigned)v->list.n;
    for (unsigned i = 0; i < out->rank; i++)
        if (!am_node_as_i64(v->list.items[i], &out->d[i]))
            return bad(r, "\"dims\" must be a list of 1 to 8 whole numbers");
    return AM_OK;
}

static enum am_rc read_inputs(const struct reader *r, const struct am_node *n,
                              am_value in[AM_GRAPH_INPUTS_MAX], unsigned *n_in)
{
    const struct am_node *v = am_node_get(n, "in");
    *n_in = 0;
    if (!v)
        return AM_OK;
    if (v->kind != AM_NODE_LIST || v->list.n > AM_GRAPH_INPUTS_MAX)
        return bad(r, "\"in\" must be a list of at most 8 node numbers");
    for (size_t k = 0; k < v->list.n; k++) {
        int64_t id;
        if (am_node_is_null(v->list.items[k])) {
            in[k] = AM_VALUE_NONE;
            continue;
        }
        if (!am_node_as_i64(v->list.items[k], &id) || id < 0 || (uint64_t)id >= r->at)
            return bad(r, "\"in\" names a node that does not come before this one");
        in[k] = (am_value)id;
    }
    *n_in = (unsigned)v->list.n;
    return AM_OK;
}

static enum am_rc read_attrs(const struct reader *r, const struct am_node *n,
                             const struct am_op *op, struct am_attr *out)
{
    *out = (struct am_attr){0};
    for (const struct am_attr_desc *t = op->attrs; t && t->name; t++) {
        const struct am_node *v = am_node_get(n, t->name);
        struct am_str s;
        double f;
        bool ok = false;
        if (t->kind == AM_ATTR_ACT)
            ok = am_node_as_str(v, &s) && am_act_parse(s, &out->act) &&
                 out->act <= (enum am_act)t->max;
        else if (t->kind == AM_ATTR_F && (ok = am_node_as_f64(v, &f) && f >= t->min && f <= t->max))
            out->f[t->index] = (float)f;
        else if (t->kind == AM_ATTR_I)
            ok = am_node_as_i64(v, &out->i[t->index]) && (double)out->i[t->index] >= t->min &&
                 (double)out->i[t->index] <= t->max;
        if (!ok)
            return am_fail(r->err, AM_ECORRUPT,
                           "graph: node %zu (%s): \"%s\" is missing or out of range", r->at,
                           op->name, t->name);
    }
    return AM_OK;
}

static unsigned read_flags(const struct am_node *n)
{
    return (am_node_bool(n, "decay", false) ? AM_PARAM_DECAY : 0u) |
           (am_node_bool(n, "frozen", false) ? AM_PARAM_FROZEN : 0u) |
           (am_node_bool(n, "state", false) ? AM_PARAM_STATE : 0u);
}

static enum am_rc read_node(const struct reader *r, const struct am_node *n)
{
    char name[AM_LIMIT_NAME_BYTES + 1];
    am_value in[AM_GRAPH_INPUTS_MAX];
    unsigned n_in;
    struct am_dims dims;
    struct am_attr attr;
    struct am_str op_name;
    if (!am_node_as_str(am_node_get(n, "op"), &op_name))
        return bad(r, "\"op\" is missing");
    const struct am_op *op = am_op_find(op_name);
    if (!op)
        return am_fail(r->err, AM_EUNSUPPORTED, "graph: node %zu: unknown operation \"%.*s\"",
                       r->at, AM_FMT(op_name));
    AM_TRY(read_name(r, n, name));
    AM_TRY(read_dims(r, n, &dims));
    AM_TRY(read_inputs(r, n, in, &n_in));
    AM_TRY(read_attrs(r, n, op, &attr));
    const struct am_param_spec spec = {AM_INIT_ZEROS, 0.0f, read_flags(n)};
    am_value v = op == &am_op_input   ? am_graph_input(r->g, name, dims)
                 : op == &am_op_param ? am_graph_param(r->g, name, dims, &spec)
                                      : am_graph_add(r->g, op, in, n_in, &attr, name);
    AM_TRY(am_graph_check(r->g, r->err));
    const struct am_dims *got = &am_graph_node(r->g, v)->dims;
    if (!am_dims_eq(got, &dims)) {
        char a[AM_DIMS_CHARS], b[AM_DIMS_CHARS];
        return am_fail(r->err, AM_ECORRUPT,
                       "graph: node %zu (%s) says it is %s but its inputs make %s", r->at, op->name,
                       am_dims_print(&dims, a), am_dims_print(got, b));
    }
    return AM_OK;
}

static enum am_rc read_outputs(struct reader *r, const struct am_node *n)
{
    if (!n || n->kind != AM_NODE_MAP || n->map.n > AM_GRAPH_OUTPUTS_MAX)
        return am_fail(r->err, AM_ECORRUPT,
                       "graph: \"outputs\" must be a map of at most %d node numbers",
                       AM_GRAPH_OUTPUTS_MAX);
    for (size_t i = 0; i < n->map.n; i++) {
        char name[AM_LIMIT_NAME_BYTES + 1];
        const struct am_str key = n->map.pairs[i].key;
        int64_t id;
        if (key.len == 0 || key.len > AM_LIMIT_NAME_BYTES || memchr(key.ptr, 0, key.len) ||
            !am_node_as_i64(n->map.pairs[i].value, &id) || id < 0 ||
            (uint64_t)id >= r->g->nodes.len)
            return am_fail(r->err, AM_ECORRUPT, "graph: output \"%.*s\" names no node",
                           AM_FMT(key));
        memcpy(name, key.ptr, key.len);
        name[key.len] = 0;
        am_graph_output(r->g, name, (am_value)id);
    }
    return am_graph_check(r->g, r->err);
}

static enum am_rc read_all(struct reader *r, const struct am_node *n)
{
    int64_t version;
    const struct am_node *nodes = am_node_get(n, "nodes");
    if (!am_node_as_i64(am_node_get(n, "version"), &version) || version != VERSION)
        return am_fail(r->err, AM_EUNSUPPORTED, "graph: \"version\" is not %d", VERSION);
    if (!nodes || nodes->kind != AM_NODE_LIST || nodes->list.n > AM_LIMIT_GRAPH_NODES)
        return am_fail(r->err, AM_ECORRUPT, "graph: \"nodes\" must be a list of at most %d",
                       AM_LIMIT_GRAPH_NODES);
    for (r->at = 0; r->at < nodes->list.n; r->at++)
        AM_TRY(read_node(r, nodes->list.items[r->at]));
    return read_outputs(r, am_node_get(n, "outputs"));
}

enum am_rc am_graph_from_node(const struct am_node *n, struct am_graph **out, struct am_err *err)
{
    struct reader r = {.err = err};
    *out = NULL;
    AM_TRY(am_graph_new(&r.g, err));
    const enum am_rc rc = read_all(&r, n);
    if (rc != AM_OK) {
        am_graph_free(r.g);
        return rc;
    }
    *out = r.g;
    return AM_OK;
}
