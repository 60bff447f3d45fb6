/* trees: x [B,F], feature [N], value [N], child [N], size [T], base [K], leaf [L,K] or none ->
 * [B,K]. attr.i[0]: divide by the trees of a column; attr.i[1]: nodes of the largest tree;
 * attr.i[2]: 0 counts as missing.
 *
 * layers_trees.h says what the numbers mean. They come from packages, so nothing about them is
 * trusted: a child must lie behind its node and inside its tree (else the node is a leaf), a place
 * outside the row or the leaves is cut to the last, sizes are cut to the nodes that are left; a
 * tree without nodes gives 0 (or the first leaf's row). Plans for inference walk a packed form
 * (tensor/tree_kernels.h), all others, and features too many for it, the parameters themselves; the
 * bits are the same. With one column tree t adds to partial sum t % 16, and these are added
 * pairwise; with more, each column adds its trees in order. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/ops/op.h"
#include "tensor/tree_kernels.h"

enum { IN_X, IN_FEATURE, IN_VALUE, IN_CHILD, IN_SIZE, IN_BASE, IN_LEAF };
#define LANES AM_TREE_LANES
#define TREE_NODES_MAX ((int64_t)1 << 24) /* indices are exact floats */
#define SPREAD_FLOATS 16384               /* of spread rows, on the stack */
#define BLOCK_ROWS 64
#define COLUMNS_MAX 64
#define SUMS_FLOATS 16384 /* partial sums of a block's rows, on the stack */
#define BLOCK_NODES 32768 /* of packed trees that rows visit before the next block: 256 KB */

static enum am_rc trees_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, IN_X);
    if (x->rank != 2 || !am_dims_batched(x) || x->d[1] >= TREE_NODES_MAX)
        return am_op_fail(g, n, err, "x must be a matrix [B,F]");
    for (unsigned i = IN_FEATURE; i <= IN_BASE; i++) {
        const struct am_dims *d = am_in_dims(g, n, i);
        if (d->rank != 1 || am_dims_batched(d) || d->d[0] < 1)
            return am_op_fail(g, n, err, "the numbers of the trees must be vectors");
        if (i <= IN_CHILD && d->d[0] != am_in_dims(g, n, IN_FEATURE)->d[0])
            return am_op_fail(g, n, err, "feature, value and child must have one element a node");
    }
    const int64_t n_out = am_in_dims(g, n, IN_BASE)->d[0];
    if (am_in_dims(g, n, IN_SIZE)->d[0] > am_in_dims(g, n, IN_FEATURE)->d[0])
        return am_op_fail(g, n, err, "there are more trees than nodes");
    if (am_in_given(n, IN_LEAF)) {
        const struct am_dims *l = am_in_dims(g, n, IN_LEAF);
        if (l->rank != 2 || am_dims_batched(l) || l->d[0] < 1 || l->d[1] != n_out)
            return am_op_fail(g, n, err, "the leaves must have a column for each of the base");
    }
    if (n->attr.i[0] < 0 || n->attr.i[0] > 1 || n->attr.i[1] < 1 || n->attr.i[1] > TREE_NODES_MAX ||
        n->attr.i[2] < 0 || n->attr.i[2] > 1)
        return am_op_fail(g, n, err,
                          "mean and zero_missing must be 0 or 1, largest from 1 to 2^24");
    n->dims = am_dims2(x->d[0], n_out);
    return AM_OK;
}

/* ---- the parameters as they are ---- */

struct params { /* of one node of the graph */
    const float *feature, *value, *child, *size, *leaf;
    size_t n_features, n_nodes, n_trees, n_out, n_leaves, largest;
    bool zero_missing;
};

/* A float as an index below n; what is none is the last. n >= 1. */
static size_t index_of(float f, size_t n)
{
    return f >= 0.0f && f < (float)n ? (size_t)f : n - 1;
}

struct split {
    bool leaf, missing_left;
    size_t feature, child; /* child: in the tree */
    float threshold;
};

/* Node i of a tree that begins at node `first` and has n nodes. */
static struct split node_of(const struct params *p, size_t first, size_t n, size_t i)
{
    const float c = p->child[first + i], f = p->feature[first + i];
    struct split s = {.leaf = !(c > (float)i && c < (float)(n - 1)),
                      .missing_left = f < 0.0f,
                      .threshold = p->value[first + i]};
    if (!s.leaf) {
        s.child = (size_t)c;
        s.leaf = s.child <= i; /* what lies between whole numbers */
        s.feature = index_of(f < 0.0f ? -f - 1.0f : f, p->n_features);
    }
    return s;
}

/* Nodes of tree t of which `left` are left. */
static size_t nodes_of(const struct params *p, size_t t, size_t left)
{
    const float s = p->size[t];
    size_t n = s >= 1.0f ? s < (float)p->largest ? (size_t)s : p->largest : 1;
    return n < left ? n : left;
}

/* A leaf's value; with columns its row among the leaves. */
static float leaf_value(const struct params *p, size_t node)
{
    const float v = p->value[node];
    if (p->leaf)
        return (float)index_of(v, p->n_leaves);
    return v == -INFINITY ? -FLT_MAX : v; /* a packed leaf's place holds -infinity */
}

static float walk_plain(const struct params *p, size_t first, size_t n, const float *x)
{
    size_t i = 0;
    while (n > 0) {
        const struct split s = node_of(p, first, n, i);
        if (s.leaf)
            return leaf_value(p, first + i);
        float v = x[s.feature];
        v = v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -FLT_MAX : v;
        const bool missing = isnan(v) || (p->zero_missing && v == 0.0f);
        i = s.child + (missing ? !s.missing_left : v >= s.threshold);
    }
    return 0; /* no nodes: with columns the first row of the leaves */
}

/* ---- sums ---- */

/* Groups after which lanes meet the same columns again; 0: columns add their trees in order. */
static size_t period_of(size_t n_out, bool columns)
{
    size_t gcd = 1;
    while (gcd < LANES && n_out % (2 * gcd) == 0)
        gcd *= 2;
    return columns || n_out > COLUMNS_MAX ? 0 : n_out / gcd;
}

/* Partial sums into y [n_out]. */
static void sum_lanes(const float *acc, size_t n_out, size_t period, float *y)
{
    float a[LANES];
    if (n_out > 1) {
        for (size_t i = 0, j = 0; i < period * LANES; i++, j = j + 1 == n_out ? 0 : j + 1)
            y[j] = i < n_out ? acc[i] : y[j] + acc[i];
        return;
    }
    memcpy(a, acc, sizeof a);
    for (size_t n = LANES / 2; n > 0; n /= 2)
        for (size_t i = 0; i < n; i++)
            a[i] += a[i + n];
    y[0] = a[0];
}

/* y begins as 0 and ends as base + y / count. */
static void finish(const struct am_step *s, size_t n_trees, const float *base, bool columns,
                   float *y)
{
    const size_t k = s->out.cols;
    const float count = columns ? (float)n_trees : (float)n_trees / (float)k;
    for (size_t j = 0; j < k; j++)
        y[j] = base[j] + (s->attr.i[0] ? y[j] / count : y[j]);
}

/* The leaves v of trees t0..t0+n for one row. */
static void add_leaves(const struct params *p, size_t t0, size_t n, const float *v, float *y)
{
    const size_t k = p->n_out;
    if (p->leaf) {
        for (size_t t = 0; t < n; t++) {
            const float *leaf = p->leaf + (size_t)v[t] * k;
            for (size_t j = 0; j < k; j++)
                y[j] += leaf[j];
        }
        return;
    }
    for (size_t t = 0, j = t0 % k; t < n; t++, j = j + 1 == k ? 0 : j + 1)
        y[j] += v[t];
}

static void plain_rows(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct params p = {.feature = am_arg_ptr(r, &s->in[IN_FEATURE]),
                             .value = am_arg_ptr(r, &s->in[IN_VALUE]),
                             .child = am_arg_ptr(r, &s->in[IN_CHILD]),
                             .size = am_arg_ptr(r, &s->in[IN_SIZE]),
                             .leaf = s->n_in > IN_LEAF ? am_arg_ptr(r, &s->in[IN_LEAF]) : NULL,
                             .n_features = s->in[IN_X].cols,
                             .n_nodes = s->in[IN_FEATURE].cols,
                             .n_trees = s->in[IN_SIZE].cols,
                             .n_out = s->out.cols,
                             .n_leaves = s->n_in > IN_LEAF ? s->in[IN_LEAF].rows : 0,
                             .largest = (size_t)s->attr.i[1],
                             .zero_missing = s->attr.i[2] != 0};
    const float *x = am_arg_ptr(r, &s->in[IN_X]), *base = am_arg_ptr(r, &s->in[IN_BASE]);
    const size_t period = period_of(p.n_out, p.leaf != NULL);
    for (size_t row = begin; row < end; row++) {
        float acc[COLUMNS_MAX * LANES] = {0}, *y = am_arg_ptr(r, &s->out) + row * p.n_out;
        memset(y, 0, p.n_out * sizeof *y);
        for (size_t t = 0, first = 0, n; t < p.n_trees; t++, first += n) {
            n = nodes_of(&p, t, p.n_nodes - first);
            const float v = walk_plain(&p, first, n, x + row * p.n_features);
            if (period > 0)
                acc[t % (period * LANES)] += v;
            else
                add_leaves(&p, t, 1, &v, y);
        }
        if (period > 0)
            sum_lanes(acc, p.n_out, period, y);
        finish(s, p.n_trees, base, p.leaf != NULL, y);
    }
}

/* ---- the packed form ---- */

struct head { /* at the beginning of what is prepared; then groups, nodes, base, leaf */
    uint64_t groups, nodes, base, leaf; /* bytes from the head; leaf 0 = none */
    uint64_t n_groups, n_trees, n_nodes, n_leaves;
};

static unsigned bits_for(uint64_t n) /* that hold 0..n-1 */
{
    unsigned b = 1;
    while (((uint64_t)1 << b) < n)
        b++;
    return b;
}

struct sizes {
    uint64_t n_features, n_nodes, n_trees, n_out, n_leaf_floats;
    uint64_t largest;
};

static uint64_t lay_out(const struct sizes *z, struct head *h)
{
    h->n_trees = z->n_trees;
    h->n_groups = (z->n_trees + LANES - 1) / LANES;
    h->n_nodes = z->n_nodes + 2 * h->n_groups; /* an empty leaf, and one that nobody reaches */
    h->n_leaves = z->n_leaf_floats / z->n_out;
    h->groups = (sizeof *h + 63) / 64 * 64;
    h->nodes = (h->groups + h->n_groups * sizeof(struct am_tree_group) + 63) / 64 * 64;
    h->base = h->nodes + h->n_nodes * sizeof(struct am_tree_node);
    h->leaf = z->n_leaf_floats ? h->base + z->n_out * sizeof(float) : 0;
    return h->base + (z->n_out + z->n_leaf_floats) * sizeof(float);
}

static unsigned feature_bits(uint64_t n_features)
{
    const unsigned b = bits_for(2 * n_features + 1);
    return b > AM_TREE_FEATURE_BITS_MIN ? b : AM_TREE_FEATURE_BITS_MIN;
}

/* In floats; 0 = there are too many features, or nodes in a group, for packed nodes. */
static size_t trees_prepared(const struct am_graph *g, const struct am_gnode *n,
                             const struct am_kernels *k)
{
    (void)k;
    for (unsigned i = IN_FEATURE; i < n->n_in; i++)
        if (am_graph_node(g, n->in[i])->op != &am_op_param)
            return 0;
    const struct sizes z = {
        .n_features = (uint64_t)am_in_dims(g, n, IN_X)->d[1],
        .n_nodes = (uint64_t)am_in_dims(g, n, IN_FEATURE)->d[0],
        .n_trees = (uint64_t)am_in_dims(g, n, IN_SIZE)->d[0],
        .n_out = (uint64_t)n->dims.d[1],
        .n_leaf_floats = am_in_given(n, IN_LEAF) ? am_dims_count(am_in_dims(g, n, IN_LEAF)) : 0,
        .largest = (uint64_t)n->attr.i[1]};
    const uint64_t most = z.largest * LANES < z.n_nodes ? z.largest * LANES : z.n_nodes;
    struct head h;
    if (2 * z.n_features + 1 > SPREAD_FLOATS ||
        bits_for(most + 2) + feature_bits(z.n_features) > 32)
        return 0;
    return (size_t)((lay_out(&z, &h) + 3) / 4);
}

/* Tree nodes go to out[0..n), their places counted from `at` in the group. Returns the steps to its
 * deepest leaf. A node's depth waits in `where` until the node is written: children lie behind. */
static uint32_t pack_tree(const struct params *p, size_t first, size_t n, uint32_t at,
                          struct am_tree_node *out)
{
    const unsigned bits = feature_bits(p->n_features);
    uint32_t deepest = 0;
    for (size_t i = 0; i < n; i++)
        out[i].where = 0;
    for (size_t i = 0; i < n; i++) {
        const struct split s = node_of(p, first, n, i);
        const uint32_t depth = out[i].where, here = at + (uint32_t)i;
        if (s.leaf) {
            out[i].threshold = leaf_value(p, first + i);
            out[i].where = here << bits | (uint32_t)(2 * p->n_features);
            deepest = depth > deepest ? depth : deepest;
            continue;
        }
        for (size_t c = s.child; c < s.child + 2; c++)
            out[c].where = out[c].where > depth + 1 ? out[c].where : depth + 1;
        out[i].threshold = s.threshold;
        out[i].where =
            (at + (uint32_t)s.child) << bits | (uint32_t)(2 * s.feature + (s.missing_left ? 0 : 1));
    }
    return deepest;
}

static struct am_tree_node empty_leaf(const struct params *p, uint32_t here)
{
    return (struct am_tree_node){0, here << feature_bits(p->n_features) |
                                        (uint32_t)(2 * p->n_features)};
}

static void pack_groups(const struct params *p, const struct head *h, struct am_tree_group *groups,
                        struct am_tree_node *nodes)
{
    size_t first = 0, at = 0;
    for (size_t g = 0; g < h->n_groups; g++) {
        uint32_t n = 1; /* the group's nodes so far; 0 is the empty leaf */
        groups[g] = (struct am_tree_group){.first = (uint32_t)at};
        nodes[at] = empty_leaf(p, 0);
        for (size_t t = g * LANES; t < p->n_trees && t < (g + 1) * LANES; t++) {
            const size_t n_nodes = nodes_of(p, t, p->n_nodes - first);
            if (n_nodes == 0)
                continue;
            groups[g].root[t % LANES] = n;
            const uint32_t levels = pack_tree(p, first, n_nodes, n, nodes + at + n);
            groups[g].n_levels = levels > groups[g].n_levels ? levels : groups[g].n_levels;
            n += (uint32_t)n_nodes;
            first += n_nodes;
        }
        nodes[at + n] = empty_leaf(p, n);
        at += n + 1;
    }
}

static void trees_prepare(const struct am_kernels *k, const struct am_step *s, const float *params,
                          float *out)
{
    (void)k;
    const bool columns = s->n_in > IN_LEAF;
    const struct sizes z = {.n_features = s->in[IN_X].cols,
                            .n_nodes = s->in[IN_FEATURE].cols,
                            .n_trees = s->in[IN_SIZE].cols,
                            .n_out = s->out.cols,
                            .n_leaf_floats =
                                columns ? s->in[IN_LEAF].rows * s->in[IN_LEAF].cols : 0};
    char *block = (char *)out;
    struct head h;
    (void)lay_out(&z, &h);
    memcpy(block, &h, sizeof h);
    memcpy(block + h.base, params + s->in[IN_BASE].offset, s->out.cols * sizeof(float));
    if (columns)
        memcpy(block + h.leaf, params + s->in[IN_LEAF].offset, z.n_leaf_floats * sizeof(float));
    const struct params p = {.feature = params + s->in[IN_FEATURE].offset,
                             .value = params + s->in[IN_VALUE].offset,
                             .child = params + s->in[IN_CHILD].offset,
                             .size = params + s->in[IN_SIZE].offset,
                             .leaf = columns ? params + s->in[IN_LEAF].offset : NULL,
                             .n_features = z.n_features,
                             .n_nodes = z.n_nodes,
                             .n_trees = z.n_trees,
                             .n_out = z.n_out,
                             .n_leaves = h.n_leaves,
                             .largest = (size_t)s->attr.i[1]};
    pack_groups(&p, &h, (struct am_tree_group *)(void *)(block + h.groups),
                (struct am_tree_node *)(void *)(block + h.nodes));
}

/* ---- a run over packed trees ---- */

struct packed {
    const struct am_tree_kernels *kern;
    struct am_tree_set set;
    struct params p; /* n_features, n_trees, n_out, leaf */
    const float *base;
    size_t n_groups, n_nodes;
};

static struct packed packed_of(const struct am_run *r, const struct am_step *s)
{
    const char *block = (const char *)s->prepared;
    const struct head *h = (const struct head *)(const void *)block;
    return (struct packed){
        .kern = am_tree_kernels_beside(r->kern->name),
        .set = {.nodes = (const struct am_tree_node *)(const void *)(block + h->nodes),
                .groups = (const struct am_tree_group *)(const void *)(block + h->groups),
                .feature_bits = feature_bits(s->in[IN_X].cols),
                .n_features = s->in[IN_X].cols},
        .p = {.n_features = s->in[IN_X].cols,
              .n_trees = (size_t)h->n_trees,
              .n_out = s->out.cols,
              .leaf = h->leaf ? (const float *)(const void *)(block + h->leaf) : NULL},
        .base = (const float *)(const void *)(block + h->base),
        .n_groups = (size_t)h->n_groups,
        .n_nodes = (size_t)h->n_nodes};
}

/* The end of the groups from g0 on that make a block. */
static size_t block_end(const struct packed *k, size_t g0)
{
    size_t g = g0 + 1;
    while (g < k->n_groups && (g + 1 < k->n_groups ? k->set.groups[g + 1].first : k->n_nodes) -
                                      k->set.groups[g0].first <=
                                  BLOCK_NODES)
        g++;
    return g;
}

static void sum_block(const struct packed *k, const float *x, size_t x_row, size_t n, size_t period,
                      float *y)
{
    float acc[SUMS_FLOATS];
    memset(acc, 0, n * period * LANES * sizeof *acc);
    for (size_t g = 0, end; g < k->n_groups; g = end) {
        end = n > 1 ? block_end(k, g) : k->n_groups;
        k->kern->sum(&k->set, g, end, x, x_row, n, period, acc);
    }
    for (size_t r = 0; r < n; r++)
        sum_lanes(acc + r * period * LANES, k->p.n_out, period, y + r * k->p.n_out);
}

#define LEAF_GROUPS 16 /* walked before their leaves are added */
static void columns_block(const struct packed *k, const float *x, size_t x_row, size_t n, float *y)
{
    float v[BLOCK_ROWS * LEAF_GROUPS * LANES];
    memset(y, 0, n * k->p.n_out * sizeof *y);
    for (size_t g = 0; g < k->n_groups; g += LEAF_GROUPS) {
        const size_t end = g + LEAF_GROUPS < k->n_groups ? g + LEAF_GROUPS : k->n_groups;
        const size_t t0 = g * LANES, t1 = end * LANES < k->p.n_trees ? end * LANES : k->p.n_trees;
        k->kern->leaves(&k->set, g, end, x, x_row, n, v);
        for (size_t r = 0; r < n; r++)
            add_leaves(&k->p, t0, t1 - t0, v + r * (end - g) * LANES, y + r * k->p.n_out);
    }
}

/* n rows as the kernels read them; returns floats a row. Where 0 is missing too no row is whole. */
static size_t spread(struct packed *k, const float *from, size_t n, bool zero_missing, float *to)
{
    const size_t f = k->p.n_features;
    k->set.whole = !zero_missing && !k->kern->any_missing(from, n * f);
    const size_t row = k->set.whole ? f + 1 : 2 * f + 1;
    for (size_t i = 0; i < n; i++) {
        const float *x = from + i * f;
        float *out = to + i * row;
        k->kern->spread(x, f, k->set.whole, out);
        for (size_t j = 0; zero_missing && j < f; j++)
            if (x[j] == 0.0f) {
                out[2 * j] = -INFINITY;
                out[2 * j + 1] = INFINITY;
            }
    }
    return row;
}

static void packed_rows(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    struct packed k = packed_of(r, s);
    const size_t period = period_of(k.p.n_out, k.p.leaf != NULL),
                 fit = SPREAD_FLOATS / (2 * k.p.n_features + 1),
                 sums = period > 0 ? SUMS_FLOATS / (period * LANES) : BLOCK_ROWS,
                 least = fit < sums ? fit : sums, block = least < BLOCK_ROWS ? least : BLOCK_ROWS;
    float x[SPREAD_FLOATS];
    for (size_t row = begin; row < end; row += block) {
        const size_t n = end - row < block ? end - row : block;
        float *y = am_arg_ptr(r, &s->out) + row * k.p.n_out;
        const size_t x_row =
            spread(&k, am_arg_ptr(r, &s->in[IN_X]) + row * k.p.n_features, n, s->attr.i[2] != 0, x);
        if (period > 0)
            sum_block(&k, x, x_row, n, period, y);
        else
            columns_block(&k, x, x_row, n, y);
        for (size_t i = 0; i < n; i++)
            finish(s, k.p.n_trees, k.base, k.p.leaf != NULL, y + i * k.p.n_out);
    }
}

static void trees_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), 8 * s->in[IN_SIZE].cols,
                 s->prepared ? packed_rows : plain_rows);
}

static double trees_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const double n_trees = (double)am_in_dims(g, n, IN_SIZE)->d[0];
    return 2 * n_trees * (1 + log2((double)am_in_dims(g, n, IN_FEATURE)->d[0] / n_trees));
}

static const struct am_attr_desc trees_attrs[] = {{"mean", AM_ATTR_I, 0, 0, 1},
                                                  {"largest", AM_ATTR_I, 1, 1, 16777216},
                                                  {"zero_missing", AM_ATTR_I, 2, 0, 1},
                                                  {NULL, 0, 0, 0, 0}};
const struct am_op am_op_trees = {.name = "trees",
                                  .min_in = 6,
                                  .max_in = 7,
                                  .attrs = trees_attrs,
                                  .infer = trees_infer,
                                  .run = trees_run,
                                  .flops = trees_flops,
                                  .prepared = trees_prepared,
                                  .prepare = trees_prepare,
                                  .prepared_inputs = 0x7e};
