/* Plans and sessions: fusion, the memory map, shared weights, rows independent of their batch, no
 * allocation in a run, what a wrong run gets. */
#include "nn_test.h"

#include "base/pool.h"

static am_value dense(struct am_graph *g, am_value x, int64_t n, enum am_act act, const char *name)
{
    const struct am_dense_options o = {.act = act, .init = AM_INIT_GLOROT_UNIFORM};
    return am_layer_dense(g, x, n, &o, name);
}

static void deep(struct am_graph **g, struct am_params **p)
{
    MUST(am_graph_new(g, err));
    am_value h = am_graph_input(*g, "x", am_dims2(AM_DIM_BATCH, 30));
    const char *const names[] = {"l0", "l1", "l2", "l3", "l4", "l5"};
    for (int i = 0; i < 6; i++)
        h = am_layer_dropout(*g, dense(*g, h, 40, i % 2 ? AM_ACT_RELU : AM_ACT_GELU, names[i]),
                             0.1f);
    am_graph_output(
        *g, "y",
        dense(*g, am_layer_batch_norm(*g, h, 1e-5f, 0.1f, "bn"), 5, AM_ACT_SOFTMAX, "out"));
    MUST(am_params_new(*g, p, err));
    am_params_init(*p, 3);
}

static void fuses_and_reuses(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan, *train;
    deep(&g, &p);
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 16};
    const struct am_loss_spec spec = {.kind = AM_LOSS_CATEGORICAL};
    MUST(am_plan_build(g, p, &o, &plan, err));
    assert_int_equal(am_plan_n_steps(plan),
                     9); /* 6 fused, batch norm, linear, softmax: no dropout */
    assert_string_equal(am_plan_step_name(plan, 0), "linear+bias+gelu");
    assert_string_equal(am_plan_step_name(plan, 1), "linear+bias+relu");
    assert_string_equal(am_plan_step_name(plan, 8), "softmax");
    assert_int_equal(am_plan_n_inputs(plan), 30);
    assert_int_equal(am_plan_n_outputs(plan), 5);
    /* six layers in the room of two, and a little scratch */
    assert_true(am_plan_session_bytes(plan) <= 2 * 40 * 16 * sizeof(float) + 1024);
    assert_true(am_plan_unshared_bytes(plan) >= 6 * 40 * 16 * sizeof(float));
    assert_true(am_plan_peak_bytes(plan) >=
                am_plan_session_bytes(plan) + p->n_values * sizeof(float) / 2);
    double flops = 2.0 * (30 * 40 + 5 * 40 * 40 + 40 * 5);
    assert_true(am_plan_flops(plan, 10) > 10 * flops && am_plan_flops(plan, 10) < 12.5 * flops);
    MUST(am_train_plan_build(g, p, &spec, 16, &train, err));
    assert_true(am_plan_session_bytes(train) < am_plan_unshared_bytes(train) + 16384);
    for (size_t i = 0; i < am_plan_n_steps(train); i++) /* the loss comes with its gradient */
        assert_string_not_equal(am_plan_step_name(train, i), "loss");
    am_plan_put(plan);
    am_plan_put(train);
    am_params_free(p);
    am_graph_free(g);
}

/* The memory map is right when garbage in the arena changes nothing. */
static void arena_contents_do_not_matter(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    float *grads[2], *x = normals(16 * 30, 1), *x2 = normals(16 * 30, 2), t[16];
    const struct am_loss_spec spec = {.kind = AM_LOSS_CATEGORICAL};
    for (int i = 0; i < 16; i++)
        t[i] = (float)(i % 5);
    deep(&g, &p);
    MUST(am_train_plan_build(g, p, &spec, 16, &plan, err));
    for (int i = 0; i < 2; i++) {
        MUST(am_params_twin(p, &grads[i], err));
        MUST(am_session_new(plan, NULL, &s, err));
        float *copy = floats(p->n_floats);
        memcpy(copy, p->data, am_params_bytes(p));
        struct am_session_io io = {.n_rows = 16, .target = t, .params = copy, .grads = grads[i]};
        for (int k = i; k < 2; k++) { /* the first session has run before */
            memcpy(copy, p->data, am_params_bytes(p));
            io.x = k == 0 ? x2 : x;
            MUST(am_session_run_io(s, &io, err));
        }
        am_free(copy);
        am_session_free(s);
    }
    assert_memory_equal(grads[0], grads[1], am_params_bytes(p));
    am_plan_put(plan);
    am_free(grads[0]);
    am_free(grads[1]);
    am_free(x);
    am_free(x2);
    am_params_free(p);
    am_graph_free(g);
}

static void rows_do_not_depend_on_their_batch(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan, *one;
    struct am_session *s, *s1;
    struct am_pool *pool;
    enum { ROWS = 77 };
    float *x = normals(ROWS * 30, 1), *y = floats(ROWS * 5), y1[5];
    deep(&g, &p);
    MUST(am_pool_new(2, &pool, err));
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = ROWS};
    MUST(am_plan_build(g, p, &o, &plan, err));
    o.bucket_rows = 1;
    o.share = plan;
    MUST(am_plan_build(g, p, &o, &one, err));
    am_params_free(p); /* plans need neither parameters nor graph */
    am_graph_free(g);
    MUST(am_session_new(plan, pool, &s, err));
    MUST(am_session_new(one, NULL, &s1, err));
    am_plan_put(plan); /* sessions hold them */
    am_plan_put(one);
    MUST(am_session_run(s, ROWS, x, y, err));
    for (size_t i = 0; i < ROWS; i++) {
        MUST(am_session_run(s1, 1, x + i * 30, y1, err));
        assert_memory_equal(y1, y + i * 5, sizeof y1);
        double sum = 0;
        for (int j = 0; j < 5; j++)
            sum += (double)y1[j];
        assert_true(fabs(sum - 1) < 1e-5);
    }
    am_session_free(s);
    am_session_free(s1);
    am_pool_free(pool);
    am_free(x);
    am_free(y);
}

static void a_run_allocates_nothing(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan, *train;
    struct am_session *s, *st;
    float *x = normals(8 * 30, 1), *y = floats(8 * 5), *grads;
    const float t[8] = {0, 1, 2, 3, 4, 0, 1, 2};
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 8};
    const struct am_loss_spec spec = {.kind = AM_LOSS_CATEGORICAL};
    deep(&g, &p);
    MUST(am_params_twin(p, &grads, err));
    MUST(am_plan_build(g, p, &o, &plan, err));
    MUST(am_train_plan_build(g, p, &spec, 8, &train, err));
    MUST(am_session_new(plan, NULL, &s, err));
    MUST(am_session_new(train, NULL, &st, err));
    struct am_session_io io = {.n_rows = 8, .x = x, .target = t, .params = p->data, .grads = grads};
    am_alloc_fail_nth(1, true);
    const enum am_rc r1 = am_session_run(s, 8, x, y, NULL), r2 = am_session_run_io(st, &io, NULL);
    const long hits = am_alloc_hook_hits();
    am_alloc_fail_nth(0, false);
    assert_int_equal(r1, AM_OK);
    assert_int_equal(r2, AM_OK);
    assert_int_equal(hits, 0);
    am_session_free(s);
    am_session_free(st);
    am_plan_put(plan);
    am_plan_put(train);
    am_params_free(p);
    am_graph_free(g);
    am_free(x);
    am_free(y);
    am_free(grads);
}

static void wrong_runs(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan, *train;
    struct am_session *s, *st;
    struct am_err e;
    float *x = normals(4 * 30, 1), y[4 * 5] = {7}, *grads;
    float t[4] = {0, 1, 5, 3};
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 4};
    const struct am_loss_spec spec = {.kind = AM_LOSS_CATEGORICAL};
    deep(&g, &p);
    MUST(am_params_twin(p, &grads, err));
    MUST(am_plan_build(g, p, &o, &plan, err));
    MUST(am_train_plan_build(g, p, &spec, 4, &train, err));
    MUST(am_session_new(plan, NULL, &s, err));
    MUST(am_session_new(train, NULL, &st, err));
    assert_int_equal(am_session_run(s, 5, x, y, &e), AM_EINVAL);
    assert_int_equal(am_session_run(st, 4, x, y, &e), AM_EINVAL);
    assert_int_equal(am_session_run(s, 0, x, y, &e), AM_OK);
    assert_true(y[0] == 7.0f);
    struct am_session_io io = {.n_rows = 4, .x = x, .target = t, .params = p->data, .grads = grads};
    assert_int_equal(am_session_run_io(s, &io, &e), AM_EINVAL);
    assert_int_equal(am_session_run_io(st, &io, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "target 5 of row 2"));
    static const float wrong[] = {-1, 0.5f, NAN, INFINITY, 1e20f};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        t[2] = wrong[i];
        assert_int_equal(am_session_run_io(st, &io, &e), AM_EINVAL);
    }
    t[2] = 4;
    io.grads = NULL;
    assert_int_equal(am_session_run_io(st, &io, &e), AM_EINVAL);
    io.grads = grads;
    assert_int_equal(am_session_run_io(st, &io, &e), AM_OK);
    am_session_free(s);
    am_session_free(st);
    am_plan_put(plan);
    am_plan_put(train);
    am_params_free(p);
    am_graph_free(g);
    am_free(x);
    am_free(grads);
}

static void initial_values(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p, *q;
    deep(&g, &p);
    MUST(am_params_new(g, &q, err));
    am_params_init(q, 3);
    assert_memory_equal(p->data, q->data, am_params_bytes(p));
    am_params_init(q, 4);
    assert_memory_not_equal(p->data, q->data, am_params_bytes(p));
    const struct am_param *w = am_params_find(p, AM_STR("l0.weight")),
                          *b = am_params_find(p, AM_STR("l0.bias"));
    const double limit = sqrt(6.0 / (30 + 40));
    double sum = 0;
    for (size_t i = 0; i < w->n; i++) {
        assert_true(fabs((double)p->data[w->offset + i]) <= limit);
        sum += (double)p->data[w->offset + i] * (double)p->data[w->offset + i];
    }
    assert_true(fabs(sqrt(sum / (double)w->n) - limit / sqrt(3)) < 0.05 * limit);
    assert_true(p->data[b->offset] == 0.0f && (b->flags & AM_PARAM_DECAY) == 0);
    assert_true(w->offset % 16 == 0 && (w->flags & AM_PARAM_DECAY) &&
                ((uintptr_t)p->data & 63) == 0);
    assert_true(am_params_find(p, AM_STR("bn.running_var"))->flags & AM_PARAM_FROZEN);
    am_params_free(p);
    am_params_free(q);
    am_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fuses_and_reuses),
                                       cmocka_unit_test(arena_contents_do_not_matter),
                                       cmocka_unit_test(rows_do_not_depend_on_their_batch),
                                       cmocka_unit_test(a_run_allocates_nothing),
                                       cmocka_unit_test(wrong_runs),
                                       cmocka_unit_test(initial_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
