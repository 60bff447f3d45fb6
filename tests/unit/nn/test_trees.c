/* Trees in a graph: against a walk written here over the learner's own arrays, for every table,
 * number of rows and threads; missing, infinite and zero values; what the builder refuses; a
 * stranger's numbers in the parameters; memory running out. */
#include "nn_test.h"

#include <float.h>
#include <stdio.h>

#include "base/pool.h"
#include "nn/graph_int.h"
#include "nn/layers_trees.h"
#include "tests/support/faults.h"

#define NODES 127
#define TREES_MAX 70
#define OUT_MAX 5
#define ROWS 200

struct grown { /* a tree as a learner has it */
    size_t n;
    int32_t feature[NODES];
    float threshold[NODES], value[NODES * OUT_MAX];
    uint32_t left[NODES], right[NODES];
    uint8_t missing_left[NODES];
};

struct shape {
    size_t n_trees, n_features, n_out, width, depth;
    enum am_trees_combine combine;
    bool zero_missing;
};

static struct grown grown[TREES_MAX];

/* Thresholds are multiples of 1/4, and so are features: equal values happen. */
static float quarter(struct am_rng *r)
{
    return (float)((int)am_rng_below(r, 17) - 8) / 4;
}

static size_t grow(struct grown *t, struct am_rng *r, const struct shape *s, size_t depth)
{
    const size_t i = t->n++;
    for (size_t k = 0; k < s->width; k++)
        t->value[i * s->width + k] = (float)am_rng_normal(r);
    t->feature[i] = -1;
    if (depth == 0 || (depth < s->depth && am_rng_below(r, 5) == 0))
        return i;
    t->feature[i] = (int32_t)am_rng_below(r, s->n_features);
    t->threshold[i] = quarter(r);
    t->missing_left[i] = (uint8_t)am_rng_below(r, 2);
    t->right[i] = (uint32_t)grow(t, r, s, depth - 1); /* right first: order is free */
    t->left[i] = (uint32_t)grow(t, r, s, depth - 1);
    return i;
}

static struct am_tree tree_of(const struct grown *t)
{
    return (struct am_tree){t->n,     t->feature,      t->threshold, t->left,
                            t->right, t->missing_left, t->value};
}

static float base_of(size_t k)
{
    return 0.5f - (float)k;
}

static void make(const struct shape *s, uint64_t seed, struct am_trees *out)
{
    struct am_rng r;
    float base[OUT_MAX];
    am_rng_init(&r, seed, AM_RNG_USER);
    for (size_t k = 0; k < s->n_out; k++)
        base[k] = base_of(k);
    MUST(am_trees_init(out, s->n_features, s->n_out, s->width, s->combine, base, err));
    out->zero_missing = s->zero_missing;
    for (size_t t = 0; t < s->n_trees; t++) {
        grown[t].n = 0;
        (void)grow(&grown[t], &r, s, s->depth);
        const struct am_tree tree = tree_of(&grown[t]);
        MUST(am_trees_add(out, &tree, err));
    }
    assert_int_equal(am_trees_count(out), s->n_trees);
}

static void expect(const struct shape *s, const float *x, double *y)
{
    for (size_t k = 0; k < s->n_out; k++)
        y[k] = 0;
    for (size_t t = 0; t < s->n_trees; t++) {
        const struct grown *g = &grown[t];
        size_t i = 0;
        while (g->feature[i] >= 0) {
            const float v = x[g->feature[i]];
            const bool missing = isnan(v) || (s->zero_missing && v == 0);
            const bool left = missing ? g->missing_left[i] : v < g->threshold[i];
            i = left ? g->left[i] : g->right[i];
        }
        for (size_t k = 0; k < s->width; k++)
            y[s->width == 1 ? t % s->n_out : k] += (double)g->value[i * s->width + k];
    }
    for (size_t k = 0; k < s->n_out; k++) {
        if (s->combine == AM_TREES_MEAN)
            y[k] /= (double)(s->n_trees * s->width) / (double)s->n_out;
        y[k] += (double)base_of(k);
    }
}

static float *make_rows(size_t n, size_t f)
{
    float *x = floats(n * f);
    struct am_rng r;
    am_rng_init(&r, 9, AM_RNG_USER);
    for (size_t i = 0; i < n * f; i++) {
        const uint64_t kind = am_rng_below(&r, 12);
        x[i] = kind == 0 ? NAN : kind == 1 ? INFINITY : kind == 2 ? -INFINITY : quarter(&r);
    }
    return x;
}

struct model {
    struct am_graph *g;
    struct am_params *p;
};

static void model_of(const struct am_trees *t, struct model *m)
{
    MUST(am_graph_new(&m->g, err));
    am_value x = am_graph_input(m->g, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    am_graph_output(m->g, "y", am_layer_trees(m->g, x, t, "trees"));
    MUST(am_graph_check(m->g, err));
    MUST(am_params_new(m->g, &m->p, err));
    MUST(am_trees_fill(t, m->p, "trees", err));
}

static void model_clear(struct model *m)
{
    am_params_free(m->p);
    am_graph_free(m->g);
}

/* Rows in pieces of `piece`. */
static void run(const struct model *m, const char *table, struct am_pool *pool, size_t piece,
                size_t n, const float *x, size_t f, float *y, size_t k)
{
    struct am_plan *plan;
    struct am_session *s;
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = piece, .kernels = am_kernels_find(table)};
    MUST(am_plan_build(m->g, m->p, &o, &plan, err));
    MUST(am_session_new(plan, pool, &s, err));
    for (size_t i = 0; i < n; i += piece)
        MUST(am_session_run(s, n - i < piece ? n - i : piece, x + i * f, y + i * k, err));
    am_session_free(s);
    am_plan_put(plan);
}

static const struct shape shapes[] = {
    {1, 1, 1, 1, 0, AM_TREES_SUM, false},    {1, 3, 1, 1, 4, AM_TREES_SUM, false},
    {16, 7, 1, 1, 6, AM_TREES_SUM, false},   {70, 20, 1, 1, 6, AM_TREES_MEAN, false},
    {33, 20, 1, 1, 5, AM_TREES_SUM, true},   {45, 5, 3, 1, 5, AM_TREES_SUM, false},
    {50, 5, 5, 1, 5, AM_TREES_MEAN, false},  {20, 11, 4, 4, 6, AM_TREES_MEAN, false},
    {9, 9000, 1, 1, 6, AM_TREES_SUM, false}, /* too wide to be packed */
    {8, 9000, 2, 1, 6, AM_TREES_MEAN, true}, {8, 9000, 3, 3, 6, AM_TREES_SUM, false},
    {65, 300, 1, 1, 6, AM_TREES_SUM, false},
};

static void test_values(void **state)
{
    (void)state;
    struct am_pool *pool;
    MUST(am_pool_new(3, &pool, err));
    for (size_t c = 0; c < sizeof shapes / sizeof *shapes; c++) {
        const struct shape *s = &shapes[c];
        struct am_trees t;
        struct model m;
        const size_t n = s->n_features > 1000 ? 40 : ROWS, k = s->n_out;
        make(s, c, &t);
        model_of(&t, &m);
        float *x = make_rows(n, s->n_features), *y = floats(n * k), *z = floats(n * k);
        run(&m, "ref", NULL, n, n, x, s->n_features, y, k);
        for (size_t i = 0; i < n; i++) {
            double want[OUT_MAX];
            expect(s, x + i * s->n_features, want);
            for (size_t j = 0; j < k; j++)
                if (!(fabs((double)y[i * k + j] - want[j]) < 1e-4))
                    fail_msg("shape %zu row %zu output %zu: %g, not %g", c, i, j,
                             (double)y[i * k + j], want[j]);
        }
        for (size_t a = 0; a < 3; a++) {
            static const size_t pieces[] = {1, 3, 64, ROWS};
            if (!am_kernels_find(all_tables[a]))
                continue;
            for (size_t q = 0; q < 8; q++) {
                memset(z, 0xff, n * k * sizeof *z);
                run(&m, all_tables[a], q < 4 ? NULL : pool, pieces[q % 4], n, x, s->n_features, z,
                    k);
                if (memcmp(y, z, n * k * sizeof *y) != 0)
                    fail_msg("shape %zu: %s by %zu rows gives other bits", c, all_tables[a],
                             pieces[q % 4]);
            }
        }
        am_free(x);
        am_free(y);
        am_free(z);
        model_clear(&m);
        am_trees_clear(&t);
    }
    am_pool_free(pool);
}

/* A chain far deeper than any group of steps, and one leaf beside it. */
static void test_deep(void **state)
{
    (void)state;
    enum { DEPTH = 300, N = 2 * DEPTH + 1 };
    static int32_t feature[N];
    static float threshold[N], value[N];
    static uint32_t left[N], right[N];
    struct am_trees t;
    struct model m;
    float x[4] = {0.5f, 150.5f, 299.5f, 1e9f}, y[4];
    for (size_t i = 0; i < N; i++) {
        feature[i] = i % 2 || i == N - 1 ? -1 : 0;
        threshold[i] = (float)(i / 2 + 1);
        left[i] = (uint32_t)i + 1;
        right[i] = (uint32_t)i + 2;
        value[i] = (float)i;
    }
    const struct am_tree chain = {N, feature, threshold, left, right, NULL, value};
    const struct am_tree leaf = {1, (int32_t[]){-1}, threshold, left, right, NULL, (float[]){1000}};
    MUST(am_trees_init(&t, 1, 1, 1, AM_TREES_SUM, NULL, err));
    MUST(am_trees_add(&t, &chain, err));
    MUST(am_trees_add(&t, &leaf, err));
    model_of(&t, &m);
    for (size_t a = 0; a < 3; a++) {
        if (!am_kernels_find(all_tables[a]))
            continue;
        run(&m, all_tables[a], NULL, 4, 4, x, 1, y, 1);
        assert_true(y[0] == 1001 && y[1] == 1301 && y[2] == 1599 && y[3] == 1600);
    }
    model_clear(&m);
    am_trees_clear(&t);
}

static void test_threshold(void **state)
{
    (void)state;
    static const double t[] = {0, -0.0, 0.1, 1, -1, 1e-45, 3e38, 1e39, -1e39, 0.30000000000000004};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        const float cut = am_trees_threshold(t[i]);
        float x = (float)t[i];
        x = nextafterf(nextafterf(x, -INFINITY), -INFINITY);
        for (int k = 0; k < 5; k++, x = nextafterf(x, INFINITY))
            if (isfinite(x))
                assert_int_equal(x < cut, (double)x <= t[i]);
    }
}

static enum am_rc add_bad(struct am_trees *t, const struct am_tree *bad)
{
    struct am_err e;
    return am_trees_add(t, bad, &e);
}

static void test_refused(void **state)
{
    (void)state;
    struct am_trees t;
    struct am_err e;
    const int32_t split[3] = {0, -1, -1}, far[3] = {5, -1, -1}, two[3] = {0, 0, -1};
    const float th[3] = {1, 2, 3}, none[3] = {NAN, NAN, NAN}, inf[3] = {1, INFINITY, 1};
    const uint32_t l[3] = {1, 0, 0}, r[3] = {2, 2, 0}, out[3] = {3, 0, 0}, self[3] = {0, 0, 0};
    MUST(am_trees_init(&t, 5, 1, 1, AM_TREES_SUM, NULL, err));
    const struct am_tree bad[] = {
        {0, split, th, l, r, NULL, th},    {3, far, th, l, r, NULL, th},
        {3, split, none, l, r, NULL, th},  {3, split, th, out, r, NULL, th},
        {3, split, th, self, r, NULL, th}, {3, two, th, l, r, NULL, th},
        {3, split, th, l, r, NULL, inf},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(add_bad(&t, &bad[i]), AM_EINVAL);
        assert_int_equal(t.value.len, 0);
        assert_int_equal(am_trees_count(&t), 0);
    }
    struct am_graph *g;
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 5));
    assert_int_equal(am_layer_trees(g, x, &t, "none"), AM_VALUE_NONE);
    assert_int_equal(am_graph_check(g, &e), AM_EINVAL);
    am_graph_free(g);
    am_trees_clear(&t);
    assert_int_equal(am_trees_init(&t, 0, 1, 1, AM_TREES_SUM, NULL, &e), AM_EINVAL);
    assert_int_equal(am_trees_init(&t, 5, 3, 2, AM_TREES_SUM, NULL, &e), AM_EINVAL);
    am_trees_clear(&t);
}

/* graph.json there and back; attributes and shapes that cannot be are refused. */
static void test_stored(void **state)
{
    (void)state;
    struct am_trees t;
    struct model m;
    struct am_graph *back;
    struct am_err e;
    struct am_node *n;
    struct am_arena *a = am_arena_new(0);
    make(&shapes[7], 3, &t);
    model_of(&t, &m);
    MUST(am_graph_to_node(m.g, a, &n, err));
    MUST(am_graph_from_node(n, &back, err));
    assert_int_equal(am_graph_n_nodes(back), am_graph_n_nodes(m.g));
    am_graph_free(back);
    struct am_node *nodes = am_node_get(n, "nodes"), *op = nodes->list.items[nodes->list.n - 1];
    struct am_str name;
    assert_true(am_node_as_str(am_node_get(op, "op"), &name) && am_str_is(name, "trees"));
    static const struct {
        const char *name;
        int64_t bad;
    } attrs[] = {{"mean", 2}, {"largest", 0}, {"largest", 1 << 25}, {"zero_missing", -1}};
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        const int64_t good = am_node_i64(op, attrs[i].name, -7);
        assert_int_not_equal(good, -7);
        am_node_set(a, op, attrs[i].name, am_new_i64(a, attrs[i].bad));
        assert_int_not_equal(am_graph_from_node(n, &back, &e), AM_OK);
        am_node_set(a, op, attrs[i].name, am_new_i64(a, good));
    }
    MUST(am_graph_from_node(n, &back, err));
    am_graph_free(back);
    model_clear(&m);
    am_trees_clear(&t);
    am_arena_free(a);
}

/* Anything at all in the parameters: every run ends, inside its memory, with the bits of the plain
 * walk (a graph whose x is wide takes that one). */
static void test_garbage(void **state)
{
    (void)state;
    static const size_t which[] = {3, 5, 7, 8, 10};
    for (size_t c = 0; c < 5 * 12; c++) {
        const struct shape *s = &shapes[which[c % 5]];
        struct am_trees t;
        struct model m;
        struct am_rng r;
        const size_t n = 9, k = s->n_out;
        make(s, c, &t);
        model_of(&t, &m);
        am_rng_init(&r, c, AM_RNG_USER + 1);
        for (size_t i = 0; i < m.p->n_floats; i++) {
            static const float odd[] = {0, -1, 1, 2, 1e9f, -1e9f, 0.5f, 126, 3e38f};
            const uint32_t bits = am_rng_u32(&r);
            if (c / 5 < 4 && am_rng_below(&r, 8))
                continue; /* a few */
            if (c / 5 % 2)
                memcpy(&m.p->data[i], &bits, sizeof bits);
            else
                m.p->data[i] = odd[am_rng_below(&r, 9)];
        }
        float *x = make_rows(n, s->n_features), *y = floats(n * k), *z = floats(n * k);
        run(&m, "ref", NULL, n, n, x, s->n_features, y, k);
        for (size_t a = 1; a < 3; a++) {
            if (!am_kernels_find(all_tables[a]))
                continue;
            run(&m, all_tables[a], NULL, 5, n, x, s->n_features, z, k);
            for (size_t i = 0; i < n * k; i++)
                assert_true((isnan(y[i]) && isnan(z[i])) || memcmp(&y[i], &z[i], 4) == 0);
        }
        am_free(x);
        am_free(y);
        am_free(z);
        model_clear(&m);
        am_trees_clear(&t);
    }
}

/* The packed walk against the plain one on the same trees: a plan that evaluates prepares nothing.
 */
static void test_plain(void **state)
{
    (void)state;
    for (size_t c = 0; c < 8; c++) {
        const struct shape *s = &shapes[c];
        struct am_trees narrow, wide;
        struct model a, b;
        const size_t n = 30, k = s->n_out, f = s->n_features;
        make(s, c, &narrow);
        wide = narrow; /* the same trees over more features */
        wide.n_features = 9000;
        model_of(&narrow, &a);
        model_of(&wide, &b);
        float *x = make_rows(n, f), *far = floats(n * 9000), *y = floats(n * k), *z = floats(n * k);
        for (size_t i = 0; i < n; i++)
            memcpy(far + i * 9000, x + i * f, f * sizeof *x);
        run(&a, "ref", NULL, n, n, x, f, y, k);
        run(&b, "ref", NULL, n, n, far, 9000, z, k);
        assert_memory_equal(y, z, n * k * sizeof *y);
        am_free(x);
        am_free(far);
        am_free(y);
        am_free(z);
        model_clear(&a);
        model_clear(&b);
        am_trees_clear(&narrow);
    }
}

static enum am_rc build(struct am_trees *t, struct am_graph **g, struct am_params **p,
                        struct am_err *err)
{
    const float base[3] = {1, 2, 3};
    *g = NULL;
    *p = NULL;
    enum am_rc rc = am_trees_init(t, 5, 3, 3, AM_TREES_SUM, base, err);
    for (size_t i = 0; rc == AM_OK && i < 3; i++) {
        const struct am_tree tree = tree_of(&grown[i]);
        rc = am_trees_add(t, &tree, err);
    }
    if (rc == AM_OK)
        rc = am_graph_new(g, err);
    if (rc == AM_OK) {
        am_value x = am_graph_input(*g, "x", am_dims2(AM_DIM_BATCH, 5));
        am_graph_output(*g, "y", am_layer_trees(*g, x, t, "trees"));
        rc = am_params_new(*g, p, err);
    }
    if (rc == AM_OK)
        rc = am_trees_fill(t, *p, "trees", err);
    if (rc == AM_OK)
        return AM_OK;
    am_params_free(*p);
    am_graph_free(*g);
    am_trees_clear(t);
    return rc;
}

static void test_memory(void **state)
{
    (void)state;
    const struct shape s = {3, 5, 3, 3, 5, AM_TREES_SUM, false};
    struct am_trees t;
    struct am_graph *g;
    struct am_params *p;
    struct am_err e;
    make(&s, 1, &t);
    am_trees_clear(&t);
    AM_OOM_LOOP(build(&t, &g, &p, &e), {
        am_params_free(p);
        am_graph_free(g);
        am_trees_clear(&t);
    });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_deep),
        cmocka_unit_test(test_plain),   cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_stored),
        cmocka_unit_test(test_garbage), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
