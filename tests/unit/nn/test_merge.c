/* Models merged into one graph answer as they do alone; what does not fit together is refused; and
 * the n-th allocation fails cleanly. */
#include "nn_test.h"

#include <stdio.h>

#include "nn/graph_int.h"
#include "nn/graph_merge.h"
#include "tests/support/faults.h"

#define F 5
#define ROWS 7

struct member {
    struct am_graph *g;
    struct am_params *p;
};

static void make(struct member *m, int64_t width, int64_t units, uint64_t seed)
{
    const struct am_dense_options o = {.act = AM_ACT_RELU, .init = AM_INIT_GLOROT_UNIFORM},
                                  last = {.act = AM_ACT_SIGMOID,
                                          .init = AM_INIT_NORMAL,
                                          .init_scale = 1};
    MUST(am_graph_new(&m->g, err));
    am_value x = am_graph_input(m->g, "x", am_dims2(AM_DIM_BATCH, width));
    am_value h =
        am_layer_batch_norm(m->g, am_layer_dense(m->g, x, units, &o, "fc"), 1e-5f, 0.1f, "norm");
    am_graph_output(m->g, "code", h);
    am_graph_output(m->g, "y", am_layer_dense(m->g, h, 2, &last, "out"));
    MUST(am_graph_check(m->g, err));
    MUST(am_params_new(m->g, &m->p, err));
    am_params_init(m->p, seed);
}

static void drop(struct member *m)
{
    am_params_free(m->p);
    am_graph_free(m->g);
}

static void answer(const struct am_graph *g, const struct am_params *p, const float *x, float *y)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = ROWS};
    struct am_plan *plan;
    struct am_session *s;
    MUST(am_plan_build(g, p, &o, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    MUST(am_session_run(s, ROWS, x, y, err));
    am_session_free(s);
    am_plan_put(plan);
}

static enum am_rc merge(const struct member *m, size_t n, const double *weights, struct member *out,
                        struct am_err *err)
{
    char prefix[16];
    am_value parts[8], x;
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    AM_GO(rc, am_graph_new(&out->g, err));
    x = am_graph_input(out->g, "x", am_dims2(AM_DIM_BATCH, F));
    for (size_t k = 0; k < n; k++) {
        (void)snprintf(prefix, sizeof prefix, "m%zu.", k);
        parts[k] = am_graph_merge(out->g, x, m[k].g, "y", prefix);
    }
    am_graph_output(out->g, "y", am_graph_weighted_sum(out->g, parts, weights, n));
    AM_GO(rc, am_params_new(out->g, &out->p, err));
    for (size_t k = 0; k < n; k++) {
        (void)snprintf(prefix, sizeof prefix, "m%zu.", k);
        AM_GO(rc, am_params_merge(out->p, m[k].p, prefix, err));
    }
    return AM_OK;
out:
    drop(out);
    return rc;
}

static void members_answer_as_alone(void **state)
{
    struct member m[3], all, twice[2], nested;
    const double weights[3] = {0.5, 0.25, 0.25}, one[2] = {1, 1};
    float *x = normals(ROWS * F, 3), y[3][ROWS * 2], got[ROWS * 2];
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        make(&m[k], F, 3 + (int64_t)k, 10 + k);
        answer(m[k].g, m[k].p, x, y[k]);
    }
    MUST(merge(m, 3, weights, &all, err));
    answer(all.g, all.p, x, got);
    for (size_t i = 0; i < ROWS * 2; i++)
        assert_true(fabsf(got[i] - (0.5f * y[0][i] + 0.25f * y[1][i] + 0.25f * y[2][i])) < 1e-6f);
    assert_int_equal(all.p->n_values, m[0].p->n_values + m[1].p->n_values + m[2].p->n_values);
    assert_non_null(am_params_find(all.p, AM_STR("m2.out.weight")));
    twice[0] = all, twice[1] = m[1];
    MUST(merge(twice, 2, one, &nested, err)); /* an ensemble may be a member */
    assert_non_null(am_params_find(nested.p, AM_STR("m0.m2.out.weight")));
    answer(nested.g, nested.p, x, y[0]);
    for (size_t i = 0; i < ROWS * 2; i++)
        assert_true(fabsf(y[0][i] - (got[i] + y[1][i])) < 1e-6f);
    drop(&nested);
    drop(&all);
    for (size_t k = 0; k < 3; k++)
        drop(&m[k]);
    am_free(x);
}

static void merged_graphs_are_stored(void **state)
{
    struct member m[2], all;
    const double weights[2] = {0.5, 0.5};
    struct am_arena *a = am_arena_new(0);
    struct am_node *json;
    struct am_graph *back;
    float *x = normals(ROWS * F, 4), y[ROWS * 2], again[ROWS * 2];
    (void)state;
    make(&m[0], F, 3, 1);
    make(&m[1], F, 4, 2);
    MUST(merge(m, 2, weights, &all, err));
    MUST(am_graph_to_node(all.g, a, &json, err));
    MUST(am_graph_from_node(json, &back, err));
    answer(all.g, all.p, x, y);
    answer(back, all.p, x, again);
    assert_memory_equal(y, again, sizeof y);
    am_graph_free(back);
    drop(&all);
    drop(&m[0]);
    drop(&m[1]);
    am_arena_free(a);
    am_free(x);
}

static void refused(void **state)
{
    struct member m[2], other;
    struct am_graph *g;
    struct am_err e;
    (void)state;
    make(&m[0], F, 3, 1);
    make(&other, F + 1, 3, 1);
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, F));
    assert_true(am_graph_merge(g, x, other.g, "y", "m0.") == AM_VALUE_NONE);
    assert_int_equal(am_graph_check(g, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "[B,6]"));
    am_graph_free(g);
    MUST(am_graph_new(&g, err));
    x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, F));
    assert_true(am_graph_merge(g, x, m[0].g, "nothing", "m0.") == AM_VALUE_NONE);
    assert_int_equal(am_graph_check(g, &e), AM_ENOTFOUND);
    am_graph_free(g);
    MUST(am_graph_new(&g, err)); /* the same prefix twice */
    x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, F));
    assert_true(am_graph_merge(g, x, m[0].g, "y", "m.") != AM_VALUE_NONE);
    assert_true(am_graph_merge(g, x, m[0].g, "y", "m.") == AM_VALUE_NONE);
    assert_int_equal(am_graph_check(g, &e), AM_EEXIST);
    am_graph_free(g);
    assert_int_equal(am_params_merge(other.p, m[0].p, "", &e), AM_EINVAL);
    assert_int_equal(am_params_merge(other.p, m[0].p, "m9.", &e), AM_ENOTFOUND);
    drop(&m[0]);
    drop(&other);
}

static void out_of_memory(void **state)
{
    struct member m[2], all;
    const double weights[2] = {0.5, 0.5};
    (void)state;
    make(&m[0], F, 3, 1);
    make(&m[1], F, 4, 2);
    AM_OOM_LOOP(merge(m, 2, weights, &all, NULL), drop(&all));
    drop(&m[0]);
    drop(&m[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(members_answer_as_alone),
                                       cmocka_unit_test(merged_graphs_are_stored),
                                       cmocka_unit_test(refused), cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
