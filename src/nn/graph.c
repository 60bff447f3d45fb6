/* The graph's list: appending nodes, names, outputs, sticky errors. Knows no op but input and
 * param. Ownership and threads as graph.h says. */
#include "nn/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "nn/graph_int.h"

enum am_rc am_graph_new(struct am_graph **out, struct am_err *err)
{
    *out = NULL;
    struct am_graph *g = am_calloc(1, sizeof *g);
    if (!g)
        return am_fail_nomem(err, sizeof *g);
    g->arena = am_arena_new(0);
    if (!g->arena) {
        am_free(g);
        return am_fail_nomem(err, 1024);
    }
    am_map_init(&g->inputs);
    am_map_init(&g->param_names);
    *out = g;
    return AM_OK;
}

void am_graph_free(struct am_graph *g)
{
    if (!g)
        return;
    am_vec_clear(&g->nodes);
    am_vec_clear(&g->params);
    am_map_clear(&g->inputs);
    am_map_clear(&g->param_names);
    am_arena_free(g->arena);
    am_free(g);
}

void am_graph_fail(struct am_graph *g, enum am_rc rc, const char *fmt, ...)
{
    if (g->failed.rc != AM_OK)
        return;
    char text[AM_ERR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, am_tr(fmt), ap);
    va_end(ap);
    am_fail(&g->failed, rc, "%s", text);
}

enum am_rc am_graph_check(const struct am_graph *g, struct am_err *err)
{
    if (g->failed.rc != AM_OK) {
        if (err)
            *err = g->failed;
        return g->failed.rc;
    }
    return am_arena_check(g->arena, err);
}

size_t am_graph_n_nodes(const struct am_graph *g)
{
    return g->nodes.len;
}

const struct am_gnode *am_graph_node(const struct am_graph *g, am_value v)
{
    return v < g->nodes.len ? &g->nodes.ptr[v] : NULL;
}

/* The names of nodes of this op; NULL for ops whose names need not differ. */
static struct am_map *names_of(struct am_graph *g, const struct am_op *op)
{
    return op == &am_op_input ? &g->inputs : op == &am_op_param ? &g->param_names : NULL;
}

am_value am_graph_append(struct am_graph *g, const struct am_gnode *n)
{
    if (g->failed.rc != AM_OK)
        return AM_VALUE_NONE;
    if (g->nodes.len >= AM_LIMIT_GRAPH_NODES) {
        am_graph_fail(g, AM_ELIMIT, "the graph has more than %d nodes", AM_LIMIT_GRAPH_NODES);
        return AM_VALUE_NONE;
    }
    struct am_gnode copy = *n;
    if (n->name.len > 0) {
        copy.name = am_arena_str(g->arena, n->name);
        if (!copy.name.ptr) {
            am_fail_nomem(&g->failed, n->name.len);
            return AM_VALUE_NONE;
        }
    } else {
        copy.name = (struct am_str){"", 0};
    }
    struct am_map *names = names_of(g, n->op);
    if (names && am_map_put(names, copy.name, g->nodes.len, &g->failed) != AM_OK)
        return AM_VALUE_NONE;
    if (!am_vec_push(&g->nodes, copy)) {
        am_fail_nomem(&g->failed, sizeof copy);
        return AM_VALUE_NONE;
    }
    return (am_value)(g->nodes.len - 1);
}

/* Name and dimensions of an input or parameter; false after recording the error. */
static bool leaf_ok(struct am_graph *g, const struct am_op *op, struct am_str name,
                    const struct am_dims *dims)
{
    struct am_err err;
    if (name.len == 0 || name.len > AM_LIMIT_NAME_BYTES || !am_utf8_valid(name)) {
        am_graph_fail(g, AM_EINVAL, "the name of an %s has %zu bytes, 1 to %d allowed", op->name,
                      name.len, AM_LIMIT_NAME_BYTES);
        return false;
    }
    char text[AM_LIMIT_NAME_BYTES + 1];
    memcpy(text, name.ptr, name.len);
    text[name.len] = 0;
    if (am_dims_check(dims, text, &err) != AM_OK) {
        am_graph_fail(g, err.rc, "%s", err.message);
        return false;
    }
    if (am_dims_fold(dims) != 1) {
        am_graph_fail(g, AM_EINVAL, "%s \"%s\" has several rows for each of the batch", op->name,
                      text);
        return false;
    }
    if (am_map_get(names_of(g, op), name)) {
        am_graph_fail(g, AM_EEXIST, "two of the graph's %ss are named \"%s\"", op->name, text);
        return false;
    }
    return true;
}

am_value am_graph_input(struct am_graph *g, const char *name, struct am_dims dims)
{
    const struct am_gnode n = {.op = &am_op_input, .dims = dims, .name = am_str(name)};
    if (g->failed.rc != AM_OK || !leaf_ok(g, n.op, n.name, &dims))
        return AM_VALUE_NONE;
    return am_graph_append(g, &n);
}

am_value am_graph_param(struct am_graph *g, const char *name, struct am_dims dims,
                        const struct am_param_spec *spec)
{
    const struct am_gnode n = {
        .op = &am_op_param, .dims = dims, .name = am_str(name), .attr.i = {(int64_t)g->params.len}};
    if (g->failed.rc != AM_OK || !leaf_ok(g, n.op, n.name, &dims))
        return AM_VALUE_NONE;
    if (am_dims_batched(&dims)) {
        am_graph_fail(g, AM_EINVAL, "parameter \"%s\" has the batch as a dimension", name);
        return AM_VALUE_NONE;
    }
    struct am_graph_param_entry e = {(am_value)g->nodes.len, *spec, AM_VALUE_NONE};
    if (e.spec.flags & AM_PARAM_STATE)
        e.spec.flags |= AM_PARAM_FROZEN;
    if (!am_vec_reserve(&g->params, g->params.len + 1)) {
        am_fail_nomem(&g->failed, sizeof e);
        return AM_VALUE_NONE;
    }
    am_value v = am_graph_append(g, &n);
    if (v != AM_VALUE_NONE)
        (void)am_vec_push(&g->params, e);
    return v;
}

am_value am_graph_const(struct am_graph *g, const struct am_op *op, struct am_dims dims,
                        const float *data)
{
    struct am_err err;
    if (g->failed.rc != AM_OK)
        return AM_VALUE_NONE;
    if (am_dims_check(&dims, "constant", &err) != AM_OK) {
        am_graph_fail(g, err.rc, "%s", err.message);
        return AM_VALUE_NONE;
    }
    const size_t n_bytes = am_dims_count(&dims) * sizeof(float);
    float *copy = am_arena_alloc(g->arena, n_bytes);
    if (!copy) {
        am_fail_nomem(&g->failed, n_bytes);
        return AM_VALUE_NONE;
    }
    memcpy(copy, data, n_bytes);
    const struct am_gnode n = {.op = op, .dims = dims, .data = copy};
    return am_graph_append(g, &n);
}

enum am_rc am_op_fail(const struct am_graph *g, const struct am_gnode *n, struct am_err *err,
                      const char *why)
{
    char shapes[AM_GRAPH_INPUTS_MAX * 40] = "";
    size_t at = 0;
    for (unsigned i = 0; i < n->n_in && at + 40 < sizeof shapes; i++) {
        char one[AM_DIMS_CHARS];
        const char *s = am_in_given(n, i) ? am_dims_print(am_in_dims(g, n, i), one) : "-";
        at += (size_t)snprintf(shapes + at, 40, " %.38s", s);
    }
    return am_fail(err, AM_EINVAL, "node %zu (%s \"%.*s\") with inputs%s: %s", g->nodes.len,
                   n->op->name, AM_FMT(n->name), shapes, am_tr(why));
}

/* All inputs of a node that have rows have the same number of them, and so has the node; only what
 * splits and joins frames changes it. */
static enum am_rc settle_rows(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    int64_t rows = 0;
    for (unsigned i = 0; i < n->n_in; i++) {
        const struct am_dims *d = am_in_given(n, i) ? am_in_dims(g, n, i) : NULL;
        if (!d || !am_dims_batched(d))
            continue;
        if (rows != 0 && rows != d->d[0])
            return am_op_fail(g, n, err, "frames and whole rows do not go together");
        rows = d->d[0];
    }
    if (rows != 0 && am_dims_batched(&n->dims) && n->op != &am_op_split_frames &&
        n->op != &am_op_join_frames)
        n->dims.d[0] = rows;
    return AM_OK;
}

am_value am_graph_add(struct am_graph *g, const struct am_op *op, const am_value *in, unsigned n_in,
                      const struct am_attr *attr, const char *name)
{
    struct am_gnode n = {.op = op, .n_in = n_in, .name = am_str(name ? name : "")};
    struct am_err err;
    if (g->failed.rc != AM_OK)
        return AM_VALUE_NONE;
    if (n_in < op->min_in || n_in > op->max_in) {
        am_graph_fail(g, AM_EINVAL, "node %zu (%s) has %u inputs, %u to %u allowed", g->nodes.len,
                      op->name, n_in, op->min_in, op->max_in);
        return AM_VALUE_NONE;
    }
    for (unsigned i = 0; i < n_in; i++) {
        const bool optional = i >= op->min_in && in[i] == AM_VALUE_NONE;
        if (!optional && in[i] >= g->nodes.len) {
            am_graph_fail(
                g, AM_EINVAL, "node %zu (%s): input %u is node %lld, which does not exist",
                g->nodes.len, op->name, i, in[i] == AM_VALUE_NONE ? -1 : (long long)in[i]);
            return AM_VALUE_NONE;
        }
        n.in[i] = in[i];
    }
    if (attr)
        n.attr = *attr;
    if (op->infer(g, &n, &err) != AM_OK || settle_rows(g, &n, &err) != AM_OK) {
        g->failed = err;
        return AM_VALUE_NONE;
    }
    return am_graph_append(g, &n);
}

void am_graph_output(struct am_graph *g, const char *name, am_value v)
{
    if (g->failed.rc != AM_OK)
        return;
    if (v >= g->nodes.len) {
        am_graph_fail(g, AM_EINVAL, "output \"%s\" is node %u of %zu", name, v, g->nodes.len);
        return;
    }
    size_t i = 0;
    while (i < g->n_outputs && !am_str_is(g->outputs[i].name, name))
        i++;
    if (i == AM_GRAPH_OUTPUTS_MAX || strlen(name) > AM_LIMIT_NAME_BYTES || !*name) {
        am_graph_fail(g, AM_ELIMIT, "output \"%.20s\": at most %d outputs, names of 1 to %d bytes",
                      name, AM_GRAPH_OUTPUTS_MAX, AM_LIMIT_NAME_BYTES);
        return;
    }
    if (i == g->n_outputs) {
        struct am_str copy = am_arena_str(g->arena, am_str(name));
        if (!copy.ptr) {
            am_fail_nomem(&g->failed, strlen(name));
            return;
        }
        g->outputs[g->n_outputs++].name = copy;
    }
    g->outputs[i].value = v;
}

am_value am_graph_find_output(const struct am_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (am_str_is(g->outputs[i].name, name))
            return g->outputs[i].value;
    return AM_VALUE_NONE;
}

am_value am_graph_find_input(const struct am_graph *g, const char *name)
{
    const uint64_t *v = am_map_get(&g->inputs, am_str(name));
    return v ? (am_value)*v : AM_VALUE_NONE;
}

size_t am_graph_n_params(const struct am_graph *g)
{
    return g->params.len;
}

am_value am_graph_param_value(const struct am_graph *g, size_t k)
{
    return k < g->params.len ? g->params.ptr[k].value : AM_VALUE_NONE;
}

const struct am_param_spec *am_graph_param_spec(const struct am_graph *g, size_t k)
{
    return k < g->params.len ? &g->params.ptr[k].spec : NULL;
}

/* One node of from, inputs mapped one to one, into the empty or partly built graph g. */
static void copy_node(struct am_graph *g, const struct am_graph *from, const struct am_gnode *n)
{
    struct am_gnode copy = *n;
    if (n->data) {
        (void)am_graph_const(g, n->op, n->dims, n->data);
        return;
    }
    if (n->op == &am_op_param) {
        const struct am_graph_param_entry *e = &from->params.ptr[n->attr.i[0]];
        if (!am_vec_push(&g->params, *e)) {
            am_fail_nomem(&g->failed, sizeof *e);
            return;
        }
    }
    (void)am_graph_append(g, &copy);
}

enum am_rc am_graph_copy(const struct am_graph *from, struct am_graph **out, struct am_err *err)
{
    struct am_graph *g = NULL;
    enum am_rc rc;
    *out = NULL;
    AM_TRY(am_graph_check(from, err));
    AM_TRY(am_graph_new(&g, err));
    for (size_t i = 0; i < from->nodes.len && g->failed.rc == AM_OK; i++)
        copy_node(g, from, &from->nodes.ptr[i]);
    for (size_t i = 0; i < from->n_outputs; i++)
        am_graph_output(g, from->outputs[i].name.ptr, from->outputs[i].value);
    AM_GO(rc, am_graph_check(g, err));
    *out = g;
    g = NULL;
out:
    am_graph_free(g);
    return rc;
}
