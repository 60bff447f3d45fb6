/* The loop that grows a tree: look at a node, split it, look at its children; depth first, or the
 * node whose split gains most when leaves are counted. Then pruning, and the way into am_trees. The
 * grower owns its samples and scratch; no recursion anywhere. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/tree_int.h"

/* Samples times features of a node whose features are worth several threads. */
#define PARALLEL_WORK ((size_t)1 << 17)

struct candidate { /* a node whose split is known; its samples are parted already */
    uint32_t node;
    size_t start, mid, end, depth;
    double decrease; /* of impurity, weighted by the node's share */
    struct am_tree_split split;
};

struct am_tree_grower {
    const struct am_tree_data *data; /* borrowed */
    struct am_tree_options o;
    struct am_pool *pool;                   /* borrowed */
    struct am_tree_sample *samples, *aside; /* owned, [n_max] */
    uint32_t *features, *rank;              /* owned, [n_features], [n_max] (absolute) */
    double *uniform;                        /* owned, [n_features] */
    struct am_tree_split *found;            /* owned, [n_features] */
    double *counts, *left_counts;           /* owned, [n_classes] */
    struct am_tree_scratch *scratch;        /* owned, [n_scratch] */
    atomic_flag *busy;                      /* owned, [n_scratch] */
    size_t n_max, n_scratch;
    AM_VEC(struct candidate) open; /* a stack, or a heap by decrease */
    double root_weight;
    struct am_rng *rng;
    struct am_grown_tree *tree;
};

void am_grown_tree_clear(struct am_grown_tree *t)
{
    am_vec_clear(&t->nodes);
    am_vec_clear(&t->value);
    am_free(t->importance);
    memset(t, 0, sizeof *t);
}

static void scratch_clear(struct am_tree_scratch *s)
{
    am_free(s->key);
    am_free(s->other);
    am_free(s->codes);
    am_free(s->slots);
    am_free(s->slot_n);
    am_free(s->left);
    am_free(s->error);
}

void am_tree_grower_free(struct am_tree_grower *g)
{
    if (!g)
        return;
    for (size_t i = 0; g->scratch && i < g->n_scratch; i++)
        scratch_clear(&g->scratch[i]);
    am_free(g->scratch);
    am_free(g->busy);
    am_free(g->samples);
    am_free(g->aside);
    am_free(g->features);
    am_free(g->rank);
    am_free(g->uniform);
    am_free(g->found);
    am_free(g->counts);
    am_vec_clear(&g->open);
    am_free(g);
}

static bool scratch_init(struct am_tree_scratch *s, size_t n, size_t k, bool absolute)
{
    s->key = am_alloc_array(n, sizeof *s->key);
    s->other = am_alloc_array(n, sizeof *s->other);
    s->codes = am_alloc_array(n, sizeof *s->codes);
    s->slots = am_alloc_array(4 * n + 64, sizeof *s->slots);
    s->slot_n = am_alloc_array(2 * n + 32, sizeof *s->slot_n);
    s->left = am_alloc_array(2 * k + 2, sizeof *s->left);
    s->right = s->left ? s->left + k + 1 : NULL;
    s->error = absolute ? am_alloc_array(n + 1, sizeof *s->error) : NULL;
    return s->key && s->other && s->codes && s->slots && s->slot_n && s->left &&
           (!absolute || s->error);
}

enum am_rc am_tree_grower_new(const struct am_tree_data *d, const struct am_tree_options *o,
                              size_t n, struct am_pool *pool, struct am_tree_grower **out,
                              struct am_err *err)
{
    struct am_tree_grower *g = am_calloc(1, sizeof *g);
    const size_t f = d->n_features, k = d->n_classes;
    const bool absolute = o->criterion == AM_TREE_ABSOLUTE;
    bool ok;
    *out = NULL;
    if (!g)
        return am_fail_nomem(err, sizeof *g);
    g->data = d;
    g->o = *o;
    g->pool = pool;
    g->n_max = n;
    g->n_scratch = pool ? am_pool_size(pool) : 1;
    g->samples = am_alloc_array(n, sizeof *g->samples);
    g->aside = am_alloc_array(n, sizeof *g->aside);
    g->features = am_alloc_array(f, sizeof *g->features);
    g->rank = absolute ? am_alloc_array(n, sizeof *g->rank) : NULL;
    g->uniform = am_calloc(f, sizeof *g->uniform);
    g->found = am_alloc_array(f, sizeof *g->found);
    g->counts = am_alloc_array(k + 1, sizeof *g->counts);
    g->scratch = am_calloc(g->n_scratch, sizeof *g->scratch);
    g->busy = am_calloc(g->n_scratch, sizeof *g->busy);
    ok = g->samples && g->aside && g->features && (!absolute || g->rank) && g->uniform &&
         g->found && g->counts && g->scratch && g->busy;
    for (size_t i = 0; ok && i < g->n_scratch; i++) {
        atomic_flag_clear(&g->busy[i]);
        ok = scratch_init(&g->scratch[i], n, k, absolute);
    }
    if (!ok) {
        am_tree_grower_free(g);
        return am_fail_nomem(err, n * 100);
    }
    *out = g;
    return AM_OK;
}

struct am_tree_sample *am_tree_grower_samples(struct am_tree_grower *g)
{
    return g->samples;
}

size_t am_tree_take_rows(struct am_tree_grower *g, const uint32_t *times)
{
    const struct am_tree_data *d = g->data;
    size_t n = 0;
    for (size_t i = 0; i < d->n_rows; i++) {
        const double w = d->weight[i] * (times ? (double)times[i] : 1);
        if (w > 0)
            g->samples[n++] = (struct am_tree_sample){(uint32_t)i, d->y[i], w};
    }
    return n;
}

/* ---- what a node is like ---- */

static void class_stats(const struct am_tree_grower *g, const struct am_tree_sample *s,
                        struct am_tree_stats *st)
{
    const size_t k = g->data->n_classes;
    double squares = 0, entropy = 0;
    memset(st->counts, 0, k * sizeof *st->counts);
    st->pure = true;
    for (size_t i = 0; i < st->n; i++) {
        st->counts[(size_t)s[i].y] += s[i].w;
        st->pure = st->pure && s[i].y == s[0].y;
    }
    for (size_t c = 0; c < k; c++)
        st->weight += st->counts[c];
    for (size_t c = 0; c < k; c++)
        squares += st->counts[c] * st->counts[c];
    for (size_t c = 0; g->o.criterion == AM_TREE_ENTROPY && c < k; c++) {
        const double p = st->counts[c] / st->weight;
        entropy -= p > 0 ? p * log2(p) : 0;
    }
    st->impurity =
        g->o.criterion == AM_TREE_GINI ? 1 - squares / (st->weight * st->weight) : entropy;
}

static uint32_t order_of(float v)
{
    uint32_t bits;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Median as scikit-learn's: where the weight falls in half, the mean of both neighbours. */
static void absolute_stats(const struct am_tree_grower *g, const struct am_tree_sample *s,
                           struct am_tree_stats *st)
{
    uint64_t *key = g->scratch[0].key;
    double below = 0, error = 0;
    size_t i = 0;
    for (size_t j = 0; j < st->n; j++)
        key[j] = (uint64_t)order_of(s[j].y) << 32 | j;
    am_tree_sort(key, g->scratch[0].other, st->n, (uint64_t)1 << 32);
    while (i + 1 < st->n && below + s[(uint32_t)key[i]].w < st->weight / 2)
        below += s[(uint32_t)key[i++]].w;
    st->center = (double)s[(uint32_t)key[i]].y;
    if (i + 1 < st->n && below + s[(uint32_t)key[i]].w == st->weight / 2)
        st->center = (st->center + (double)s[(uint32_t)key[i + 1]].y) / 2;
    for (size_t j = 0; j < st->n; j++) {
        error += s[j].w * fabs((double)s[j].y - st->center);
        g->rank[(uint32_t)key[j]] = (uint32_t)j;
    }
    st->impurity = error / st->weight;
}

static void number_stats(const struct am_tree_grower *g, const struct am_tree_sample *s,
                         struct am_tree_stats *st)
{
    st->pure = true;
    for (size_t i = 0; i < st->n; i++) {
        const double y = (double)s[i].y;
        st->weight += s[i].w;
        st->sum += s[i].w * y;
        st->squares += s[i].w * y * y;
        st->pure = st->pure && s[i].y == s[0].y;
    }
    st->center = st->sum / st->weight;
    st->impurity = st->squares / st->weight - st->center * st->center;
    if (g->o.criterion == AM_TREE_ABSOLUTE) {
        absolute_stats(g, s, st);
    } else if (g->o.criterion == AM_TREE_POISSON) {
        double loss = 0;
        for (size_t i = 0; i < st->n; i++)
            if (s[i].y > 0)
                loss += s[i].w * (double)s[i].y * log((double)s[i].y / st->center);
        st->impurity = loss / st->weight;
    }
    if (st->pure)
        st->impurity = 0;
}

static void stats_of(const struct am_tree_grower *g, size_t start, size_t end,
                     struct am_tree_stats *st)
{
    *st = (struct am_tree_stats){.n = end - start, .counts = g->counts};
    if (g->data->n_classes)
        class_stats(g, g->samples + start, st);
    else
        number_stats(g, g->samples + start, st);
}

/* ---- the best split of a node ---- */

struct search_work {
    struct am_tree_grower *g;
    const struct am_tree_search *node;
    size_t first; /* of g->features */
};

static void search_features(void *ctx, size_t begin, size_t end)
{
    const struct search_work *w = ctx;
    struct am_tree_grower *g = w->g;
    size_t which = 0;
    while (atomic_flag_test_and_set(&g->busy[which]))
        which = (which + 1) % g->n_scratch;
    for (size_t i = w->first + begin; i < w->first + end; i++)
        am_tree_search_feature(w->node, g->features[i], g->uniform[i], &g->scratch[which],
                               &g->found[i]);
    atomic_flag_clear(&g->busy[which]);
}

/* Feature number i of this node: drawn from those not looked at yet. */
static void draw_feature(struct am_tree_grower *g, size_t i)
{
    const size_t f = g->data->n_features;
    if (g->o.max_features < f) {
        const size_t j = i + (size_t)((uint64_t)am_rng_u32(g->rng) * (f - i) >> 32);
        const uint32_t swap = g->features[i];
        g->features[i] = g->features[j];
        g->features[j] = swap;
    }
    if (g->o.splitter == AM_TREE_RANDOM)
        g->uniform[i] = (double)am_rng_u32(g->rng) / 4294967296.0;
}

/* Looks at max_features features, and on until one of them is not constant. */
static void best_split(struct am_tree_grower *g, const struct am_tree_search *node,
                       struct am_tree_split *best)
{
    const size_t f = g->data->n_features;
    struct search_work w = {g, node, 0};
    size_t want = g->o.max_features < f ? g->o.max_features : f;
    bool constant = true;
    *best = (struct am_tree_split){.gain = -(double)INFINITY};
    for (; w.first < f && constant; want = 1) {
        for (size_t i = w.first; i < w.first + want; i++)
            draw_feature(g, i);
        if (g->pool && node->stats.n * want >= PARALLEL_WORK)
            am_pool_for(g->pool, want, 1, search_features, &w);
        else
            search_features(&w, 0, want);
        for (size_t i = w.first; i < w.first + want; i++) {
            constant = constant && g->found[i].constant;
            if (g->found[i].found && g->found[i].gain > best->gain)
                *best = g->found[i];
        }
        w.first += want;
    }
}

static bool goes_left(const struct am_tree_split *s, const struct am_tree_column *c, size_t row)
{
    const uint32_t code = am_tree_code(c, row);
    return code == c->n_values ? s->missing_left : code <= s->code;
}

/* Stable, so rows stay in ascending order. Returns where the right side begins. */
static size_t part_samples(struct am_tree_grower *g, struct am_tree_split *s, size_t start,
                           size_t end)
{
    const struct am_tree_column *c = &g->data->columns[s->feature];
    size_t left = start, right = 0;
    for (size_t i = start; i < end; i++) {
        if (goes_left(s, c, g->samples[i].row))
            g->samples[left++] = g->samples[i];
        else
            g->aside[right++] = g->samples[i];
    }
    memcpy(g->samples + left, g->aside, right * sizeof *g->samples);
    if (!s->missing_seen) /* nothing known: with the larger part */
        s->missing_left = left - start > end - left;
    return left;
}

/* ---- growing ---- */

static enum am_rc push_node(struct am_tree_grower *g, uint32_t *out, struct am_err *err)
{
    struct am_grown_tree *t = g->tree;
    struct am_tree_node n = {.feature = -1};
    if (t->nodes.len >= AM_TREES_NODES_MAX) {
        am_fail(err, AM_ELIMIT, "a tree has more than %zu nodes", AM_TREES_NODES_MAX);
        am_hint(err, "Set model.min_samples_leaf, model.max_depth or model.max_leaves.");
        return AM_ELIMIT;
    }
    *out = (uint32_t)t->nodes.len;
    if (!am_vec_push(&t->nodes, n) || !am_vec_reserve(&t->value, t->value.len + t->n_value))
        return am_fail_nomem(err, t->nodes.len * sizeof n);
    t->value.len += t->n_value;
    return AM_OK;
}

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->decrease > b->decrease || (a->decrease == b->decrease && a->node < b->node);
}

static enum am_rc push_candidate(struct am_tree_grower *g, const struct candidate *c,
                                 struct am_err *err)
{
    if (!am_vec_push(&g->open, *c))
        return am_fail_nomem(err, g->open.len * sizeof *c);
    struct candidate *heap = g->open.ptr;
    for (size_t i = g->open.len - 1;
         g->o.max_leaves && i > 0 && before(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2) {
        const struct candidate swap = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = swap;
    }
    return AM_OK;
}

static struct candidate pop_candidate(struct am_tree_grower *g)
{
    struct candidate *heap = g->open.ptr;
    if (g->o.max_leaves == 0)
        return heap[--g->open.len];
    const struct candidate top = heap[0], last = heap[--g->open.len];
    size_t i = 0;
    for (size_t c = 1; c < g->open.len; c = 2 * i + 1) {
        if (c + 1 < g->open.len && before(&heap[c + 1], &heap[c]))
            c++;
        if (!before(&heap[c], &last))
            break;
        heap[i] = heap[c];
        i = c;
    }
    if (g->open.len)
        heap[i] = last;
    return top;
}

static void set_value(struct am_tree_grower *g, uint32_t node, const struct am_tree_stats *st)
{
    double *v = g->tree->value.ptr + (size_t)node * g->tree->n_value;
    struct am_tree_node *n = &g->tree->nodes.ptr[node];
    n->weight = st->weight;
    n->impurity = st->impurity;
    n->n_samples = (uint32_t)st->n;
    if (g->data->n_classes == 0)
        v[0] = st->center;
    for (size_t k = 0; k < g->data->n_classes; k++)
        v[k] = st->counts[k] / st->weight;
}

/* Fills the node; when it can be split, it becomes a candidate. */
static enum am_rc consider(struct am_tree_grower *g, uint32_t node, size_t start, size_t end,
                           size_t depth, struct am_err *err)
{
    struct am_tree_search search = {
        .data = g->data, .o = &g->o, .samples = g->samples + start, .rank = g->rank};
    struct candidate c = {.node = node, .start = start, .end = end, .depth = depth};
    struct am_tree_stats left, right;
    stats_of(g, start, end, &search.stats);
    set_value(g, node, &search.stats);
    if (node == 0)
        g->root_weight = search.stats.weight;
    if ((g->o.max_depth && depth >= g->o.max_depth) || end - start < g->o.min_split ||
        end - start < 2 * g->o.min_leaf || search.stats.pure ||
        search.stats.impurity <= DBL_EPSILON)
        return AM_OK;
    best_split(g, &search, &c.split);
    if (!c.split.found)
        return AM_OK;
    c.mid = part_samples(g, &c.split, start, end);
    if (g->o.max_leaves == 0 && g->o.min_decrease == 0)
        return push_candidate(g, &c, err); /* nobody asks how much is gained */
    stats_of(g, start, c.mid, &left);
    stats_of(g, c.mid, end, &right);
    c.decrease = (search.stats.weight * search.stats.impurity - left.weight * left.impurity -
                  right.weight * right.impurity) /
                 g->root_weight;
    if (c.decrease + DBL_EPSILON < g->o.min_decrease)
        return AM_OK;
    return push_candidate(g, &c, err);
}

static enum am_rc split_node(struct am_tree_grower *g, const struct candidate *c,
                             struct am_err *err)
{
    uint32_t left, right;
    AM_TRY(push_node(g, &left, err));
    AM_TRY(push_node(g, &right, err));
    struct am_tree_node *n = &g->tree->nodes.ptr[c->node];
    n->feature = (int32_t)c->split.feature;
    n->code = c->split.code;
    n->threshold = c->split.threshold;
    n->missing_left = c->split.missing_left;
    n->left = left;
    n->right = right;
    AM_TRY(consider(g, left, c->start, c->mid, c->depth + 1, err));
    return consider(g, right, c->mid, c->end, c->depth + 1, err);
}

/* ---- afterwards ---- */

/* The smallest subtree of least cost: impurity by weight plus alpha for each leaf (Breiman et al.
 * 1984, 3.3). Children come behind their parents. */
static enum am_rc prune(struct am_tree_grower *g, struct am_err *err)
{
    struct am_grown_tree *t = g->tree;
    double *cost = am_alloc_array(t->nodes.len, sizeof *cost);
    if (!cost)
        return am_fail_nomem(err, t->nodes.len * sizeof *cost);
    for (size_t i = t->nodes.len; i-- > 0;) {
        struct am_tree_node *n = &t->nodes.ptr[i];
        const double alone = n->impurity * n->weight / g->root_weight + g->o.ccp_alpha;
        cost[i] = alone;
        if (n->feature < 0)
            continue;
        if (alone <= cost[n->left] + cost[n->right])
            n->feature = -1;
        else
            cost[i] = cost[n->left] + cost[n->right];
    }
    am_free(cost);
    return AM_OK;
}

/* Depth, leaves and importance of what the root still reaches. */
static enum am_rc finish(struct am_tree_grower *g, struct am_err *err)
{
    struct am_grown_tree *t = g->tree;
    const size_t f = g->data->n_features;
    uint32_t *depth = am_calloc(t->nodes.len, sizeof *depth); /* + 1; 0 = not reached */
    double sum = 0;
    t->importance = am_calloc(f, sizeof *t->importance);
    if (!depth || !t->importance) {
        am_free(depth);
        return am_fail_nomem(err, t->nodes.len * sizeof *depth);
    }
    depth[0] = 1;
    for (size_t i = 0; i < t->nodes.len; i++) {
        const struct am_tree_node *n = &t->nodes.ptr[i];
        if (depth[i] == 0)
            continue;
        t->depth = depth[i] - 1 > t->depth ? depth[i] - 1 : t->depth;
        t->n_leaves += n->feature < 0;
        if (n->feature < 0)
            continue;
        const struct am_tree_node *l = &t->nodes.ptr[n->left], *r = &t->nodes.ptr[n->right];
        depth[n->left] = depth[n->right] = depth[i] + 1;
        t->importance[n->feature] +=
            n->weight * n->impurity - l->weight * l->impurity - r->weight * r->impurity;
    }
    for (size_t k = 0; k < f; k++)
        sum += t->importance[k];
    for (size_t k = 0; k < f && sum > 0; k++)
        t->importance[k] /= sum;
    am_free(depth);
    return AM_OK;
}

static enum am_rc grow(struct am_tree_grower *g, size_t n, const struct am_progress *progress,
                       struct am_err *err)
{
    uint32_t root;
    size_t leaves = 1;
    AM_TRY(push_node(g, &root, err));
    AM_TRY(consider(g, root, 0, n, 0, err));
    while (g->open.len > 0 && (g->o.max_leaves == 0 || leaves < g->o.max_leaves)) {
        const struct candidate c = pop_candidate(g);
        if (am_progress_canceled(progress))
            return am_fail(err, AM_ECANCELED, "canceled");
        AM_TRY(split_node(g, &c, err));
        leaves++;
    }
    if (g->o.ccp_alpha > 0)
        AM_TRY(prune(g, err));
    return finish(g, err);
}

enum am_rc am_tree_grow(struct am_tree_grower *g, size_t n, struct am_rng *rng,
                        const struct am_progress *progress, struct am_grown_tree *out,
                        struct am_err *err)
{
    memset(out, 0, sizeof *out);
    out->n_value = g->data->n_classes ? g->data->n_classes : 1;
    if (n == 0)
        return am_fail(err, AM_EINVAL, "there is no row of positive weight");
    for (size_t k = 0; k < g->data->n_features; k++)
        g->features[k] = (uint32_t)k;
    g->open.len = 0;
    g->rng = rng;
    g->tree = out;
    const enum am_rc rc = grow(g, n, progress, err);
    if (rc != AM_OK)
        am_grown_tree_clear(out);
    return rc;
}

uint32_t am_grown_tree_leaf(const struct am_grown_tree *t, const struct am_tree_data *d, size_t row)
{
    uint32_t at = 0;
    while (t->nodes.ptr[at].feature >= 0) {
        const struct am_tree_node *n = &t->nodes.ptr[at];
        const struct am_tree_column *c = &d->columns[n->feature];
        const uint32_t code = am_tree_code(c, row);
        at = (code == c->n_values ? n->missing_left : code <= n->code) ? n->left : n->right;
    }
    return at;
}

/* ---- into am_trees ---- */

enum am_rc am_trees_add_grown(struct am_trees *t, const struct am_grown_tree *g,
                              const float *values, struct am_err *err)
{
    const size_t n = g->nodes.len, w = t->leaf_width;
    int32_t *feature = am_alloc_array(n, sizeof *feature);
    float *threshold = am_calloc(n, sizeof *threshold), *own = NULL;
    uint32_t *left = am_calloc(n, sizeof *left), *right = am_calloc(n, sizeof *right);
    uint8_t *missing = am_calloc(n, sizeof *missing);
    enum am_rc rc = AM_OK;
    if (!values)
        own = am_alloc_array(n * w, sizeof *own);
    if (!feature || !threshold || !left || !right || !missing || (!values && !own))
        AM_GO(rc, am_fail_nomem(err, n * (20 + 4 * w)));
    for (size_t i = 0; i < n; i++) {
        const struct am_tree_node *v = &g->nodes.ptr[i];
        feature[i] = v->feature;
        if (v->feature >= 0) {
            /* stored numbers are finite */
            threshold[i] = isinf(v->threshold) ? FLT_MAX : am_trees_threshold(v->threshold);
            left[i] = v->left;
            right[i] = v->right;
            missing[i] = v->missing_left;
        }
        for (size_t k = 0; own && k < w; k++)
            own[i * w + k] = (float)(g->n_value == 2 && w == 1 ? g->value.ptr[2 * i + 1]
                                                               : g->value.ptr[i * w + k]);
    }
    const struct am_tree tree = {.n_nodes = n,
                                 .feature = feature,
                                 .threshold = threshold,
                                 .left = left,
                                 .right = right,
                                 .missing_left = missing,
                                 .value = values ? values : own};
    rc = am_trees_add(t, &tree, err);
out:
    am_free(feature);
    am_free(threshold);
    am_free(left);
    am_free(right);
    am_free(missing);
    am_free(own);
    return rc;
}

static uint64_t hash_row(const float *row, size_t w)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < w; i++) {
        uint32_t bits;
        memcpy(&bits, &row[i], sizeof bits);
        h = (h ^ bits) * 1099511628211u;
        h ^= h >> 29;
    }
    return h;
}

enum am_rc am_trees_share_leaves(struct am_trees *t, struct am_err *err)
{
    const size_t w = t->leaf_width, n = w > 1 ? t->leaf.len / w : 0;
    size_t cap = 16, kept = 0;
    if (n < 2)
        return AM_OK;
    while (cap < 2 * n)
        cap *= 2;
    uint32_t *table = am_calloc(cap, sizeof *table), /* kept row + 1 */
        *now = am_alloc_array(n, sizeof *now);
    if (!table || !now) {
        am_free(table);
        am_free(now);
        return am_fail_nomem(err, (cap + n) * sizeof *table);
    }
    for (size_t i = 0; i < n; i++) {
        const float *row = t->leaf.ptr + i * w;
        size_t at = (size_t)hash_row(row, w) & (cap - 1);
        while (table[at] &&
               memcmp(t->leaf.ptr + (size_t)(table[at] - 1) * w, row, w * sizeof *row) != 0)
            at = (at + 1) & (cap - 1);
        if (!table[at]) {
            memmove(t->leaf.ptr + kept * w, row, w * sizeof *row);
            table[at] = (uint32_t)++kept;
        }
        now[i] = table[at] - 1;
    }
    t->leaf.len = kept * w;
    for (size_t i = 0; i < t->value.len; i++)
        if (t->child.ptr[i] == 0)
            t->value.ptr[i] = (float)now[(size_t)t->value.ptr[i]];
    am_free(table);
    am_free(now);
    return AM_OK;
}
