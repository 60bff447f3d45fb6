/* Sets of trees: from a learner's own arrays to the order of the op "trees", and into a graph.
 *
 * Fitting only. Everything is checked here, since learners may hand over what another library said;
 * the op itself trusts its parameters no more than a stranger's (ops/trees.c). */
#include "nn/layers_trees.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/ops/op.h"

enum am_rc am_trees_init(struct am_trees *t, size_t n_features, size_t n_out, size_t leaf_width,
                         enum am_trees_combine combine, const float *base, struct am_err *err)
{
    *t = (struct am_trees){
        .n_features = n_features, .n_out = n_out, .leaf_width = leaf_width, .combine = combine};
    if (n_features < 1 || n_features >= AM_TREES_NODES_MAX || n_out < 1 ||
        n_out > AM_LIMIT_CLASSES || (leaf_width != 1 && leaf_width != n_out))
        return am_fail(err, AM_EINVAL, "trees over %zu features cannot give %zu outputs from %zu",
                       n_features, n_out, leaf_width);
    if (!am_vec_reserve(&t->base, n_out))
        return am_fail_nomem(err, n_out * sizeof(float));
    for (size_t k = 0; k < n_out; k++)
        t->base.ptr[k] = base ? base[k] : 0.0f;
    t->base.len = n_out;
    return AM_OK;
}

void am_trees_clear(struct am_trees *t)
{
    am_vec_clear(&t->size);
    am_vec_clear(&t->feature);
    am_vec_clear(&t->value);
    am_vec_clear(&t->child);
    am_vec_clear(&t->leaf);
    am_vec_clear(&t->base);
}

static enum am_rc bad_node(struct am_err *err, size_t tree, size_t node, const char *why)
{
    return am_fail(err, AM_EINVAL, "node %zu of tree %zu: %s", node, tree, why);
}

static enum am_rc add_leaf(struct am_trees *t, const struct am_tree *tree, uint32_t from,
                           struct am_err *err)
{
    const size_t width = t->leaf_width, at = t->value.len - 1;
    const float *value = tree->value + from * width;
    for (size_t k = 0; k < width; k++)
        if (!isfinite(value[k]))
            return bad_node(err, t->size.len, from, "the leaf's value is not finite");
    t->feature.ptr[at] = t->child.ptr[at] = 0;
    if (width == 1) {
        t->value.ptr[at] = value[0];
        return AM_OK;
    }
    if (t->leaf.len / width >= AM_TREES_NODES_MAX)
        return am_fail(err, AM_ELIMIT, "the trees have more than %zu leaves", AM_TREES_NODES_MAX);
    t->value.ptr[at] = (float)(t->leaf.len / width);
    if (!am_vec_reserve(&t->leaf, t->leaf.len + width))
        return am_fail_nomem(err, width * sizeof(float));
    memcpy(t->leaf.ptr + t->leaf.len, value, width * sizeof *value);
    t->leaf.len += width;
    return AM_OK;
}

/* The children join the end of the queue: that is where they will lie. */
static enum am_rc add_split(struct am_trees *t, const struct am_tree *tree, uint32_t from,
                            uint32_t *queue, size_t *n, struct am_err *err)
{
    const size_t at = t->value.len - 1;
    const int32_t f = tree->feature[from];
    if (f < 0 || (size_t)f >= t->n_features)
        return bad_node(err, t->size.len, from, "it splits a feature that is not there");
    if (isnan(tree->threshold[from]))
        return bad_node(err, t->size.len, from, "the threshold is no number");
    if (tree->left[from] >= tree->n_nodes || tree->right[from] >= tree->n_nodes)
        return bad_node(err, t->size.len, from, "a child is not there");
    if (*n + 2 > tree->n_nodes)
        return bad_node(err, t->size.len, from, "the nodes are no tree");
    t->feature.ptr[at] = (float)(tree->missing_left && tree->missing_left[from] ? -f - 1 : f);
    t->value.ptr[at] = tree->threshold[from];
    t->child.ptr[at] = (float)*n;
    queue[(*n)++] = tree->left[from];
    queue[(*n)++] = tree->right[from];
    return AM_OK;
}

static enum am_rc add_nodes(struct am_trees *t, const struct am_tree *tree, uint32_t *queue,
                            size_t *n_nodes, struct am_err *err)
{
    size_t n = 1;
    queue[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t len = t->value.len + 1;
        if (!am_vec_reserve(&t->feature, len) || !am_vec_reserve(&t->value, len) ||
            !am_vec_reserve(&t->child, len))
            return am_fail_nomem(err, len * sizeof(float));
        t->feature.len = t->value.len = t->child.len = len;
        if (tree->feature[queue[i]] == -1)
            AM_TRY(add_leaf(t, tree, queue[i], err));
        else
            AM_TRY(add_split(t, tree, queue[i], queue, &n, err));
    }
    *n_nodes = n;
    return am_vec_push(&t->size, (float)n) ? AM_OK : am_fail_nomem(err, sizeof(float));
}

enum am_rc am_trees_add(struct am_trees *t, const struct am_tree *tree, struct am_err *err)
{
    const size_t n_before = t->value.len, leaves_before = t->leaf.len;
    size_t n_nodes = 0;
    if (tree->n_nodes < 1 || tree->n_nodes > AM_TREES_NODES_MAX)
        return am_fail(err, AM_EINVAL, "a tree of %zu nodes; 1 to %zu are possible", tree->n_nodes,
                       AM_TREES_NODES_MAX);
    uint32_t *queue = am_alloc(tree->n_nodes * sizeof *queue);
    if (!queue)
        return am_fail_nomem(err, tree->n_nodes * sizeof *queue);
    const enum am_rc rc = add_nodes(t, tree, queue, &n_nodes, err);
    am_free(queue);
    if (rc != AM_OK) {
        t->feature.len = t->value.len = t->child.len = n_before;
        t->leaf.len = leaves_before;
    }
    return rc;
}

float am_trees_threshold(double t)
{
    if (t >= (double)FLT_MAX)
        return INFINITY;
    float f = (float)t;
    if ((double)f > t) /* rounded up: no float lies between */
        return f;
    return nextafterf(f, INFINITY);
}

/* ---- the graph ---- */

struct part {
    const char *name;
    const float *data;
    size_t n;
};
#define N_PARTS 6

/* In the order of the op's inputs behind x. */
static size_t parts_of(const struct am_trees *t, struct part out[N_PARTS])
{
    out[0] = (struct part){"feature", t->feature.ptr, t->feature.len};
    out[1] = (struct part){"value", t->value.ptr, t->value.len};
    out[2] = (struct part){"child", t->child.ptr, t->child.len};
    out[3] = (struct part){"size", t->size.ptr, t->size.len};
    out[4] = (struct part){"base", t->base.ptr, t->base.len};
    out[5] = (struct part){"leaf", t->leaf.ptr, t->leaf.len};
    return t->leaf_width > 1 ? 6 : 5;
}

am_value am_layer_trees(struct am_graph *g, am_value x, const struct am_trees *t, const char *name)
{
    static const struct am_param_spec spec = {.init = AM_INIT_ZEROS, .flags = AM_PARAM_FROZEN};
    struct part parts[N_PARTS];
    const size_t n = parts_of(t, parts);
    const struct am_gnode *from = am_graph_node(g, x);
    am_value in[1 + N_PARTS] = {x};
    if (t->size.len == 0 ||
        (from && (from->dims.rank != 2 || from->dims.d[1] != (int64_t)t->n_features))) {
        am_graph_fail(g, AM_EINVAL, "layer \"%s\": %zu trees over %zu features do not fit x", name,
                      t->size.len, t->n_features);
        return AM_VALUE_NONE;
    }
    for (size_t i = 0; i < n; i++) {
        char full[AM_LIMIT_NAME_BYTES + 16];
        const struct am_dims dims =
            i == 5 ? am_dims2((int64_t)(t->leaf.len / t->leaf_width), (int64_t)t->leaf_width)
                   : am_dims1((int64_t)parts[i].n);
        snprintf(full, sizeof full, "%s.%s", name, parts[i].name);
        in[1 + i] = am_graph_param(g, full, dims, &spec);
    }
    struct am_attr attr = {.i = {t->combine == AM_TREES_MEAN, 1, t->zero_missing}};
    for (size_t i = 0; i < t->size.len; i++)
        if (t->size.ptr[i] > (float)attr.i[1])
            attr.i[1] = (int64_t)t->size.ptr[i];
    return am_graph_add(g, &am_op_trees, in, (unsigned)(1 + n), &attr, name);
}

enum am_rc am_trees_fill(const struct am_trees *t, struct am_params *params, const char *name,
                         struct am_err *err)
{
    struct part parts[N_PARTS];
    const size_t n = parts_of(t, parts);
    for (size_t i = 0; i < n; i++) {
        char full[AM_LIMIT_NAME_BYTES + 16];
        snprintf(full, sizeof full, "%s.%s", name, parts[i].name);
        const struct am_param *p = am_params_find(params, am_str(full));
        if (!p)
            return am_fail(err, AM_ENOTFOUND, "there is no parameter \"%s\"", full);
        if (p->n != parts[i].n)
            return am_fail(err, AM_EINVAL, "parameter \"%s\" has %zu elements, not %zu", full, p->n,
                           parts[i].n);
        memcpy(params->data + p->offset, parts[i].data, p->n * sizeof(float));
    }
    return AM_OK;
}
