/* The ops weighted_median and exp: against their definitions, one row's bits alone, garbage as
 * weights, stored graphs, shapes that do not fit. */
#include "nn_test.h"

#include "nn/layers_median.h"
#include "nn/ops/op.h"
#include "tests/support/faults.h"

#define ROWS 50

static void answer(const struct am_graph *g, const struct am_params *p, size_t n, size_t n_in,
                   const float *x, size_t n_out, float *y)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = ROWS};
    struct am_plan *plan;
    struct am_session *s;
    MUST(am_plan_build(g, p, &o, &plan, err));
    assert_int_equal(am_plan_n_inputs(plan), n_in);
    assert_int_equal(am_plan_n_outputs(plan), n_out);
    MUST(am_session_new(plan, NULL, &s, err));
    MUST(am_session_run(s, n, x, y, err));
    am_session_free(s);
    am_plan_put(plan);
}

static struct am_graph *median_graph(int64_t n)
{
    struct am_graph *g;
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, n));
    am_graph_output(g, "y", am_layer_weighted_median(g, x, "median"));
    MUST(am_graph_check(g, err));
    return g;
}

/* The least value that values of half the weight do not exceed. */
static float median_of(const float *x, const float *w, size_t n)
{
    double total = 0;
    float best = INFINITY;
    for (size_t k = 0; k < n; k++)
        total += (double)w[k];
    for (size_t k = 0; k < n; k++) {
        double below = 0;
        for (size_t j = 0; j < n; j++)
            below += x[j] <= x[k] ? (double)w[j] : 0;
        best = below >= total / 2 && x[k] < best ? x[k] : best;
    }
    return best;
}

static void medians(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 40; n += 3) {
        const size_t k = (size_t)n;
        struct am_graph *g = median_graph(n);
        struct am_params *p;
        float *x = normals(ROWS * k, 5), y[ROWS], alone;
        struct am_rng rng;
        MUST(am_params_new(g, &p, err));
        am_rng_init(&rng, 9, AM_RNG_USER);
        for (size_t i = 0; i < ROWS * k; i++) /* ties, too */
            x[i] = nearbyintf(x[i] * 4) / 4;
        for (size_t i = 0; i < k; i++)
            p->data[p->table[0].offset + i] = (float)am_rng_below(&rng, 16) / 8;
        p->data[p->table[0].offset] += 1;
        answer(g, p, ROWS, k, x, 1, y);
        for (size_t i = 0; i < ROWS; i++) {
            assert_true(y[i] == median_of(x + i * k, p->data + p->table[0].offset, k));
            answer(g, p, 1, k, x + i * k, 1, &alone);
            assert_true(alone == y[i]);
        }
        am_free(x);
        am_params_free(p);
        am_graph_free(g);
    }
}

static void garbage(void **state)
{
    const float bad[] = {NAN, -1, INFINITY, -INFINITY, 1e38f, 0, -0.0f};
    struct am_graph *g = median_graph(7);
    struct am_params *p;
    float x[ROWS * 7], y[ROWS];
    (void)state;
    MUST(am_params_new(g, &p, err));
    for (size_t shift = 0; shift < 7; shift++) {
        for (size_t i = 0; i < 7; i++)
            p->data[p->table[0].offset + i] = bad[(i + shift) % 7];
        for (size_t i = 0; i < ROWS * 7; i++)
            x[i] = bad[(i * 3 + i / 7) % 7];
        answer(g, p, ROWS, 7, x, 1, y);
    }
    am_params_free(p);
    am_graph_free(g);
}

static void exponentials(void **state)
{
    struct am_graph *g, *back;
    struct am_params *p;
    struct am_node *json;
    struct am_arena *a = am_arena_new(0);
    float *x = normals(ROWS * 3, 8), y[ROWS * 3], again[ROWS * 3];
    (void)state;
    MUST(am_graph_new(&g, err));
    am_value v = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 3));
    am_graph_output(g, "y", am_layer_exp(g, v, -0.75f));
    MUST(am_graph_check(g, err));
    MUST(am_params_new(g, &p, err));
    answer(g, p, ROWS, 3, x, 3, y);
    for (size_t i = 0; i < ROWS * 3; i++)
        assert_true(fabs((double)y[i] - exp(-0.75 * (double)x[i])) <= 1e-7 * (double)y[i]);
    MUST(am_graph_to_node(g, a, &json, err));
    MUST(am_graph_from_node(json, &back, err));
    answer(back, p, ROWS, 3, x, 3, again);
    assert_memory_equal(y, again, sizeof y);
    am_graph_free(back);
    am_graph_free(g);
    am_params_free(p);
    am_arena_free(a);
    am_free(x);
}

static void shapes(void **state)
{
    struct am_graph *g;
    struct am_err e;
    const struct am_param_spec spec = {AM_INIT_ONES, 0, 0};
    (void)state;
    MUST(am_graph_new(&g, err));
    const am_value in[2] = {am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 3)),
                            am_graph_param(g, "w", am_dims1(4), &spec)};
    (void)am_graph_add(g, &am_op_weighted_median, in, 2, NULL, NULL);
    assert_int_equal(am_graph_check(g, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "one weight a column"));
    am_graph_free(g);
    MUST(am_graph_new(&g, err));
    (void)am_layer_exp(g, am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 3)), NAN);
    assert_int_equal(am_graph_check(g, &e), AM_EINVAL);
    am_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(medians), cmocka_unit_test(garbage),
                                       cmocka_unit_test(exponentials), cmocka_unit_test(shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
