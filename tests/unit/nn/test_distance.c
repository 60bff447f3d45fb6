/* The ops that compare rows with kept rows: distance, similarity, neighbours, gauss, couple. Each
 * against plain loops in double, for every kernel table of this CPU, in blocks and alone; and with
 * parameters that no learner would write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "nn/layers.h"
#include "nn/layers_distance.h"
#include "nn/ops/distance.h"
#include "nn/session.h"
#include "tests/support/faults.h"

#define ROWS 70
#define KEPT 611

static struct am_err err;
static float x[ROWS * 80], kept[KEPT * 80], values[KEPT * 2], y[ROWS * KEPT], again[ROWS * KEPT];

static float noise(size_t i)
{
    return (float)sin((double)i * 12.9898 + (double)(i % 7)) * 2;
}

/* Far from 0, so that digits are lost where they can be; some rows are the same. */
static void fill(size_t n)
{
    for (size_t i = 0; i < KEPT * n; i++)
        kept[i] = 100 + noise(i);
    for (size_t i = 0; i < ROWS * n; i++)
        x[i] = 100 + noise(i * 3 + 1);
    memcpy(x, kept + 5 * n, n * sizeof *x);
    memcpy(kept + 9 * n, kept + 5 * n, n * sizeof *x);
    for (size_t i = 0; i < KEPT; i++) {
        values[2 * i] = (float)(i % 3);
        values[2 * i + 1] = (float)(1 + i % 4) / 2;
    }
}

static double exact(enum am_distance metric, const float *a, const float *b, size_t n)
{
    double s = 0, aa = 0, bb = 0, ab = 0;
    for (size_t j = 0; j < n; j++) {
        const double d = (double)a[j] - (double)b[j];
        s += metric == AM_DISTANCE_MANHATTAN ? fabs(d) : d * d;
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
        ab += (double)a[j] * (double)b[j];
    }
    if (metric == AM_DISTANCE_COSINE)
        return fmax(0, 1 - ab / sqrt(aa * bb));
    return metric == AM_DISTANCE_EUCLIDEAN ? sqrt(s) : s;
}

static struct am_graph *graph_of(size_t n, am_value *in)
{
    struct am_graph *g;
    assert_int_equal(am_graph_new(&g, &err), AM_OK);
    *in = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, (int64_t)n));
    return g;
}

static void put(struct am_params *p, const char *name, const float *v, size_t n)
{
    const struct am_param *found = am_params_find(p, am_str(name));
    assert_non_null(found);
    assert_int_equal(found->n, n);
    memcpy(p->data + found->offset, v, n * sizeof *v);
}

static void run(const struct am_graph *g, const struct am_params *p, const char *table,
                struct am_pool *pool, size_t block, float *out)
{
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = block, .kernels = am_kernels_find(table)};
    struct am_plan *plan;
    struct am_session *s;
    if (am_plan_build(g, p, &o, &plan, &err) != AM_OK ||
        am_session_new(plan, pool, &s, &err) != AM_OK)
        fail_msg("%s", err.message);
    const size_t cols = am_plan_n_outputs(plan), n = am_plan_n_inputs(plan);
    for (size_t i = 0, k; i < ROWS; i += k) {
        k = ROWS - i < block ? ROWS - i : block;
        assert_int_equal(am_session_run(s, k, x + i * n, out + i * cols, &err), AM_OK);
    }
    am_session_free(s);
    am_plan_put(plan);
}

static const char *const tables[] = {"ref", "avx2", "avx512"};
static const size_t widths[] = {1, 3, 16, 17, 64, 80};

static void finish(struct am_graph *g, am_value out, struct am_params **p)
{
    am_graph_output(g, "y", out);
    if (am_graph_check(g, &err) != AM_OK)
        fail_msg("%s", err.message);
    assert_int_equal(am_params_new(g, p, &err), AM_OK);
}

static void test_distance(void **state)
{
    (void)state;
    struct am_pool *pool;
    assert_int_equal(am_pool_new(3, &pool, &err), AM_OK);
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (int metric = 0; metric < AM_N_DISTANCES; metric++) {
            am_value in;
            struct am_params *p;
            const size_t n = widths[w];
            struct am_graph *g = graph_of(n, &in);
            fill(n);
            finish(g, am_layer_distance(g, in, KEPT, (enum am_distance)metric, "d"), &p);
            put(p, "d.centers", kept, KEPT * n);
            for (size_t t = 0; t < 3; t++) {
                if (!am_kernels_find(tables[t]))
                    continue;
                run(g, p, tables[t], NULL, ROWS, y);
                run(g, p, tables[t], pool, 1, again); /* row by row: the same bits */
                assert_memory_equal(y, again, ROWS * KEPT * sizeof *y);
                for (size_t i = 0; i < ROWS * KEPT; i++) {
                    const double want =
                        exact((enum am_distance)metric, x + i / KEPT * n, kept + i % KEPT * n, n);
                    if (fabs(want - (double)y[i]) > 3e-5 * want + 1e-12)
                        fail_msg("%s, metric %d, width %zu: %.9g, not %.9g", tables[t], metric, n,
                                 (double)y[i], want);
                }
            }
            am_params_free(p);
            am_graph_free(g);
        }
    am_pool_free(pool);
}

/* Neighbours by sorting all distances, ties by index. */
static void slow(enum am_distance metric, const float *row, size_t n, size_t k, bool by_distance,
                 double out[3])
{
    bool used[KEPT] = {false};
    double total = 0, first = -1;
    out[0] = out[1] = out[2] = 0;
    for (size_t j = 0; j < k; j++) {
        size_t best = SIZE_MAX;
        double least = INFINITY;
        for (size_t i = 0; i < KEPT; i++)
            if (!used[i] && exact(metric, row, kept + i * n, n) < least) {
                least = exact(metric, row, kept + i * n, n);
                best = i;
            }
        used[best] = true;
        first = first < 0 ? least : first;
        const double w = (double)values[2 * best + 1] * (!by_distance ? 1
                                                         : first == 0 ? least == 0
                                                                      : 1 / least);
        out[(size_t)values[2 * best]] += w;
        total += w;
    }
    for (size_t c = 0; c < 3; c++)
        out[c] /= total;
}

static void test_neighbours(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (int metric = AM_DISTANCE_EUCLIDEAN; metric < AM_N_DISTANCES; metric++)
            for (int by = 0; by < 2; by++) {
                am_value in;
                struct am_params *p;
                const size_t n = widths[w];
                const struct am_neighbours_options o = {.n_rows = KEPT,
                                                        .k = 7,
                                                        .metric = (enum am_distance)metric,
                                                        .by_distance = by == 1,
                                                        .n_classes = 3};
                if (n == 1 && metric == AM_DISTANCE_COSINE)
                    continue; /* all are alike */
                struct am_graph *g = graph_of(n, &in);
                fill(n);
                finish(g, am_layer_neighbours(g, in, &o, "k"), &p);
                put(p, "k.rows", kept, KEPT * n);
                put(p, "k.values", values, KEPT * 2);
                for (size_t t = 0; t < 3; t++) {
                    if (!am_kernels_find(tables[t]))
                        continue;
                    run(g, p, tables[t], NULL, ROWS, y);
                    run(g, p, tables[t], NULL, 1, again);
                    assert_memory_equal(y, again, ROWS * 3 * sizeof *y);
                    for (size_t i = 0; i < ROWS; i++) {
                        double want[3];
                        slow((enum am_distance)metric, x + i * n, n, 7, by == 1, want);
                        for (size_t c = 0; c < 3; c++)
                            if (fabs(want[c] - (double)y[i * 3 + c]) > 1e-5)
                                fail_msg("%s, metric %d, width %zu, row %zu: %g, not %g", tables[t],
                                         metric, n, i, (double)y[i * 3 + c], want[c]);
                    }
                }
                am_params_free(p);
                am_graph_free(g);
            }
}

static void test_similarity(void **state)
{
    (void)state;
    for (int kind = 0; kind < AM_N_SIMILARITIES; kind++) {
        am_value in;
        struct am_params *p;
        const size_t n = 17;
        const struct am_similarity_options o = {.kind = (enum am_similarity)kind,
                                                .gamma = kind ? 1e-5f : 0.05f,
                                                .coef0 = 0.25f,
                                                .degree = 3};
        struct am_graph *g = graph_of(n, &in);
        fill(n);
        finish(g, am_layer_similarity(g, in, KEPT, &o, "s"), &p);
        put(p, "s.centers", kept, KEPT * n);
        for (size_t t = 0; t < 3; t++) {
            if (!am_kernels_find(tables[t]))
                continue;
            run(g, p, tables[t], NULL, ROWS, y);
            for (size_t i = 0; i < ROWS * KEPT; i++) {
                const float *a = x + i / KEPT * n, *b = kept + i % KEPT * n;
                double dot = 0;
                for (size_t j = 0; j < n; j++)
                    dot += (double)a[j] * (double)b[j];
                const double z = (double)o.gamma * dot + 0.25;
                const double want =
                    kind == AM_SIMILARITY_RBF
                        ? exp(-(double)o.gamma * exact(AM_DISTANCE_SQUARED, a, b, n))
                    : kind == AM_SIMILARITY_POLY ? z * z * z
                                                 : tanh(z);
                if (fabs(want - (double)y[i]) > 1e-4 * fabs(want) + 1e-6)
                    fail_msg("%s, kind %d: %.9g, not %.9g", tables[t], kind, (double)y[i], want);
            }
        }
        am_params_free(p);
        am_graph_free(g);
    }
}

/* What no learner writes: rows that are no numbers, classes out of range, weights below 0. Any
 * answer, no harm (ASan sees), the next run is as ever. */
static void test_garbage(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, -1, 1e9f, 0.5f};
    const size_t n = 20, n_bad = sizeof bad / sizeof *bad;
    am_value in;
    struct am_params *p;
    struct am_graph *g = graph_of(n, &in);
    const struct am_neighbours_options o = {.n_rows = KEPT,
                                            .k = 50,
                                            .metric = AM_DISTANCE_EUCLIDEAN,
                                            .by_distance = true,
                                            .n_classes = 3};
    fill(n);
    am_value parts[4];
    parts[0] = am_layer_neighbours(g, in, &o, "k");
    parts[1] = am_layer_distance(g, in, 40, AM_DISTANCE_COSINE, "d");
    parts[2] = am_layer_gauss(g, in, 5, "g");
    parts[3] = am_layer_couple(g, am_layer_columns(g, parts[1], 0, 10), 5);
    finish(g, am_layer_concat(g, parts, 4), &p);
    for (size_t i = 0; i < p->n_floats; i++)
        p->data[i] = bad[(i * 7 + i / 11) % n_bad];
    run(g, p, am_kernels_best()->name, NULL, ROWS, y);
    for (size_t i = 0; i < ROWS * n; i++)
        x[i] = bad[i % n_bad];
    run(g, p, am_kernels_best()->name, NULL, ROWS, y);
    am_params_free(p);
    am_graph_free(g);
}

static void test_shapes(void **state)
{
    (void)state;
    const struct am_neighbours_options wrong[] = {
        {.n_rows = 3, .k = 4, .metric = AM_DISTANCE_EUCLIDEAN},
        {.n_rows = 3, .k = 0, .metric = AM_DISTANCE_EUCLIDEAN},
        {.n_rows = 3, .k = 1, .metric = AM_N_DISTANCES},
        {.n_rows = 3, .k = 1, .metric = AM_DISTANCE_EUCLIDEAN, .n_classes = -1},
        {.n_rows = 0, .k = 1, .metric = AM_DISTANCE_EUCLIDEAN},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        am_value in;
        struct am_graph *g = graph_of(4, &in);
        assert_int_equal(am_layer_neighbours(g, in, &wrong[i], "k"), AM_VALUE_NONE);
        assert_int_not_equal(am_graph_check(g, &err), AM_OK);
        am_graph_free(g);
    }
    am_value in;
    struct am_graph *g = graph_of(4, &in);
    assert_int_equal(am_layer_couple(g, in, 3), AM_VALUE_NONE); /* 3 classes are 3 pairs */
    am_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),   cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_similarity), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
