/* Copies graphs into one another. Nothing is executed or inferred again: what a member's nodes
 * computed over its own input they compute over an input of the same dimensions. */
#include "nn/graph_merge.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/layers.h"

/* prefix and name in one arena string; empty stays empty, NULL = no memory. */
static struct am_str prefixed(struct am_arena *a, const char *prefix, struct am_str name)
{
    const size_t n = strlen(prefix);
    if (name.len == 0)
        return (struct am_str){"", 0};
    char *p = am_arena_alloc(a, n + name.len + 1);
    if (!p)
        return (struct am_str){NULL, 0};
    memcpy(p, prefix, n);
    memcpy(p + n, name.ptr, name.len);
    p[n + name.len] = 0;
    return (struct am_str){p, n + name.len};
}

static bool same_dims(const struct am_dims *a, const struct am_dims *b)
{
    bool same = a->rank == b->rank;
    for (size_t i = 0; same && i < a->rank; i++)
        same = a->d[i] == b->d[i];
    return same;
}

/* The member's input as a value of g. */
static am_value take_input(struct am_graph *g, am_value x, const struct am_gnode *n)
{
    const struct am_gnode *to = am_graph_node(g, x);
    char ours[AM_DIMS_CHARS], theirs[AM_DIMS_CHARS];
    if (!am_str_is(n->name, "x")) {
        am_graph_fail(g, AM_EUNSUPPORTED, "a member of the ensemble has a second input \"%.*s\"",
                      AM_FMT(n->name));
        return AM_VALUE_NONE;
    }
    if (!to || !same_dims(&to->dims, &n->dims)) {
        am_graph_fail(g, AM_EINVAL, "a member of the ensemble takes rows of %s, not of %s",
                      am_dims_print(&n->dims, theirs),
                      to ? am_dims_print(&to->dims, ours) : "nothing");
        return AM_VALUE_NONE;
    }
    return x;
}

static am_value take_param(struct am_graph *g, const struct am_graph *member,
                           const struct am_gnode *n, struct am_str name)
{
    const struct am_graph_param_entry *e = &member->params.ptr[n->attr.i[0]];
    struct am_dims dims = n->dims;
    return am_graph_param(g, name.ptr, dims, &e->spec);
}

static am_value take_node(struct am_graph *g, am_value x, const struct am_graph *member,
                          const struct am_gnode *n, const char *prefix, const am_value *map)
{
    struct am_gnode copy = *n;
    if (n->op == &am_op_input)
        return take_input(g, x, n);
    if (n->data)
        return am_graph_const(g, n->op, n->dims, n->data);
    copy.name = prefixed(g->arena, prefix, n->name);
    if (!copy.name.ptr) {
        am_graph_fail(g, AM_ENOMEM, "out of memory");
        return AM_VALUE_NONE;
    }
    if (n->op == &am_op_param)
        return take_param(g, member, n, copy.name);
    for (unsigned i = 0; i < n->n_in; i++)
        if (n->in[i] != AM_VALUE_NONE)
            copy.in[i] = map[n->in[i]];
    return am_graph_append(g, &copy);
}

am_value am_graph_merge(struct am_graph *g, am_value x, const struct am_graph *member,
                        const char *output, const char *prefix)
{
    const am_value y = am_graph_find_output(member, output);
    am_value *map, found;
    if (g->failed.rc != AM_OK)
        return AM_VALUE_NONE;
    if (y == AM_VALUE_NONE) {
        am_graph_fail(g, AM_ENOTFOUND, "a member of the ensemble has no output \"%s\"", output);
        return AM_VALUE_NONE;
    }
    map = am_alloc_array(member->nodes.len, sizeof *map);
    if (!map) {
        (void)am_fail_nomem(&g->failed, member->nodes.len * sizeof *map);
        return AM_VALUE_NONE;
    }
    for (size_t i = 0; i < member->nodes.len && g->failed.rc == AM_OK; i++)
        map[i] = take_node(g, x, member, &member->nodes.ptr[i], prefix, map);
    found = g->failed.rc == AM_OK ? map[y] : AM_VALUE_NONE;
    am_free(map);
    return found;
}

enum am_rc am_params_merge(struct am_params *into, const struct am_params *member,
                           const char *prefix, struct am_err *err)
{
    for (size_t k = 0; k < member->n_params; k++) {
        const struct am_param *from = &member->table[k], *to;
        char name[AM_LIMIT_NAME_BYTES + 1];
        const int n =
            snprintf(name, sizeof name, "%s%.*s", prefix, (int)from->name.len, from->name.ptr);
        to = n > 0 && (size_t)n < sizeof name ? am_params_find(into, am_str(name)) : NULL;
        if (!to)
            return am_fail(err, AM_ENOTFOUND, "the ensemble has no parameter \"%s%.*s\"", prefix,
                           AM_FMT(from->name));
        if (to->n != from->n)
            return am_fail(err, AM_EINVAL, "parameter \"%s\" has %zu values, its member %zu", name,
                           to->n, from->n);
        memcpy(into->data + to->offset, member->data + from->offset, from->n * sizeof(float));
    }
    return AM_OK;
}

am_value am_graph_weighted_sum(struct am_graph *g, const am_value *parts, const double *weights,
                               size_t n)
{
    am_value sum = AM_VALUE_NONE;
    for (size_t k = 0; k < n; k++) {
        am_value part = am_layer_scale(g, parts[k], (float)weights[k], 0);
        sum = k == 0 ? part : am_layer_add(g, sum, part);
    }
    return sum;
}
