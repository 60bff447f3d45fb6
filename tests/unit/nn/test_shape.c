/* Layers of pictures and sequences beyond their values (test_golden.c, test_gradients.c): shape
 * errors name layer and shapes, graph.json with every attribute wrong once, views without a copy,
 * the channels of dropout2d, ids that are none, no allocation in a step, memory running out. */
#include "nn_test.h"

#include "base/pool.h"
#include "nn/ops/op.h"
#include "tests/support/faults.h"

static am_value dense(struct am_graph *g, am_value x, int64_t n, enum am_act act, const char *name)
{
    const struct am_dense_options o = {.act = act, .init = AM_INIT_NORMAL, .init_scale = 0.5f};
    return am_layer_dense(g, x, n, &o, name);
}
#include "shape_models.h"

typedef am_value build_fn(struct am_graph *g, am_value x);

/* ---- errors ---- */

static am_value as(struct am_graph *g, am_value x, int64_t a, int64_t b, int64_t c)
{
    const int64_t d[3] = {a, b, c};
    return am_layer_reshape(g, x, d, c ? 3 : 2, "view");
}
static am_value e_reshape(struct am_graph *g, am_value x)
{
    return as(g, x, 5, 5, 0);
}
static am_value e_reshape_two(struct am_graph *g, am_value x)
{
    return as(g, x, -1, -1, 2);
}
static am_value e_reshape_rest(struct am_graph *g, am_value x)
{
    return as(g, x, 7, -1, 0);
}
static am_value e_reshape_huge(struct am_graph *g, am_value x)
{
    return as(g, x, (int64_t)1 << 40, (int64_t)1 << 40, 0);
}
static am_value e_permute(struct am_graph *g, am_value x)
{
    return am_layer_permute(g, as(g, x, 2, 3, 4), (const unsigned[]){0, 2, 2}, 3, "turn");
}
static am_value e_permute_few(struct am_graph *g, am_value x)
{
    return am_layer_permute(g, as(g, x, 2, 3, 4), (const unsigned[]){1, 0}, 2, "turn");
}
static am_value e_slice(struct am_graph *g, am_value x)
{
    return am_layer_slice(g, as(g, x, 4, 6, 0), (const int64_t[]){2, 0}, (const int64_t[]){3, 6}, 2,
                          "cut");
}
static am_value e_pad(struct am_graph *g, am_value x)
{
    return am_layer_pad(g, x, (const int64_t[]){-1}, (const int64_t[]){3}, 1, "rim");
}
static am_value e_kernel(struct am_graph *g, am_value x)
{
    return pooled(g, as(g, x, 2, 3, 4), AM_POOLING_MAX, 3, 1, 0, false);
}
static am_value e_padding(struct am_graph *g, am_value x)
{
    return pooled(g, as(g, x, 2, 3, 4), AM_POOLING_MAX, 2, 1, 2, false);
}
static am_value e_stride(struct am_graph *g, am_value x)
{
    return pooled(g, as(g, x, 2, 3, 4), AM_POOLING_AVERAGE, 2, -1, 0, false);
}
static am_value e_pool_rank(struct am_graph *g, am_value x)
{
    return pooled(g, x, AM_POOLING_MAX, 2, 2, 0, false);
}
static am_value e_pool_sequence(struct am_graph *g, am_value x)
{
    return pooled(g, as(g, x, 6, 4, 0), AM_POOLING_MAX, 2, 2, 0, false);
}
static am_value e_global(struct am_graph *g, am_value x)
{
    return am_layer_global_pool(g, x, AM_POOLING_MAX, "all");
}
static am_value e_groups(struct am_graph *g, am_value x)
{
    return am_layer_group_norm(g, as(g, x, 2, 3, 4), 3, 1e-5f, "gn");
}
static am_value e_upsample(struct am_graph *g, am_value x)
{
    return am_layer_upsample(g, as(g, x, 2, 3, 4), AM_RESAMPLE_NEAREST, (const int64_t[]){2, 0},
                             "up");
}
static am_value e_upsample_rank(struct am_graph *g, am_value x)
{
    return am_layer_upsample(g, x, AM_RESAMPLE_NEAREST, (const int64_t[]){2, 2}, "up");
}
static am_value e_resize_huge(struct am_graph *g, am_value x)
{
    return am_layer_resize(g, as(g, x, 2, 3, 4), AM_RESAMPLE_NEAREST,
                           (const int64_t[]){(int64_t)1 << 31, (int64_t)1 << 31}, "up");
}
static am_value e_concat(struct am_graph *g, am_value x)
{
    const am_value parts[2] = {as(g, x, 2, 3, 4), as(g, x, 3, 2, 4)};
    return am_layer_concat(g, parts, 2);
}
static am_value e_tokens(struct am_graph *g, am_value x)
{
    return am_layer_tokens(g, as(g, x, 2, 3, 4), 9, 5, "emb");
}
static am_value e_split_row(struct am_graph *g, am_value x)
{
    return am_layer_split_frames(g, x, "frames");
}
static am_value e_split_twice(struct am_graph *g, am_value x)
{
    return am_layer_split_frames(g, am_layer_split_frames(g, as(g, x, 2, 3, 4), "a"), "b");
}
static am_value e_frames_and_rows(struct am_graph *g, am_value x)
{
    const am_value h = am_layer_split_frames(g, as(g, x, 2, 12, 0), "a");
    const am_value parts[2] = {h, am_layer_columns(g, x, 0, 12)};
    return am_layer_concat(g, parts, 2);
}
static am_value e_frames_given(struct am_graph *g, am_value x)
{
    (void)x;
    return am_graph_input(g, "frames", (struct am_dims){2, {-8, 3}});
}
static am_value e_dropout(struct am_graph *g, am_value x)
{
    return am_layer_dropout2d(g, x, 1.5f);
}

static void shape_errors(void **state)
{
    (void)state;
    static const struct {
        build_fn *fn;
        const char *parts[3];
    } wrong[] = {
        {e_reshape, {"\"view\"", "[B,24]", "another number of elements"}},
        {e_reshape_two, {"reshape", "-1", "at least 1"}},
        {e_reshape_rest, {"reshape", "0", "at least 1"}},
        {e_reshape_huge, {"reshape", "larger than", ""}},
        {e_permute, {"permute \"turn\"", "[B,2,3,4]", "once"}},
        {e_permute_few, {"\"turn\" (permute)", "[B,2,3,4]", "2 dimensions"}},
        {e_slice, {"slice \"cut\"", "[B,4,6]", "outside"}},
        {e_pad, {"pad \"rim\"", "[B,24]", "at least 0"}},
        {e_kernel, {"max_pool \"pool\"", "[B,2,3,4]", "larger than the padded input"}},
        {e_padding, {"max_pool \"pool\"", "[B,2,3,4]", "half the kernel"}},
        {e_stride, {"average_pool \"pool\"", "[B,2,3,4]", "stride"}},
        {e_pool_rank, {"max_pool \"pool\"", "[B,24]", "[B,H,W,C]"}},
        {e_pool_sequence, {"max_pool \"pool\"", "[B,6,4]", "along its length"}},
        {e_global, {"global_max_pool \"all\"", "[B,24]", "positions"}},
        {e_groups, {"group_norm \"gn\"", "[B,2,3,4] [4] [4]", "divide"}},
        {e_upsample, {"\"up\" (upsample)", "factor of 0", ""}},
        {e_upsample_rank, {"\"up\" (upsample)", "[B,24]", ""}},
        {e_resize_huge, {"upsample", "larger than", ""}},
        {e_concat, {"concat", "[B,2,3,4] [B,3,2,4]", "but the last"}},
        {e_tokens, {"tokens", "[B,2,3,4] [9,5]", "matrix"}},
        {e_split_row, {"split_frames \"frames\"", "[B,24]", "videos"}},
        {e_split_twice, {"split_frames \"b\"", "[2B,3,4]", "split already"}},
        {e_frames_and_rows, {"concat", "[2B,12] [B,12]", ""}},
        {e_frames_given, {"input \"frames\"", "several rows", ""}},
        {e_dropout, {"dropout2d", "[B,24]", "below 1"}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct am_graph *g;
        struct am_err e;
        MUST(am_graph_new(&g, err));
        const am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 24));
        assert_true(wrong[i].fn(g, x) == AM_VALUE_NONE);
        assert_int_not_equal(am_graph_check(g, &e), AM_OK);
        for (unsigned k = 0; k < 3; k++)
            if (!strstr(e.message, wrong[i].parts[k])) {
                print_error("\"%s\" lacks \"%s\"\n", e.message, wrong[i].parts[k]);
                fail();
            }
        am_graph_free(g);
    }
}

/* ---- graph.json ---- */

static am_value all_layers(struct am_graph *g, am_value x)
{
    const int64_t zero[3] = {0, 0, 0}, one[3] = {1, 0, 1}, count[3] = {2, 3, 4};
    am_value h = am_layer_pad(g, as(g, x, 2, 3, 4), zero, one, 3, "rim");
    h = am_layer_slice(g, h, zero, count, 3, "cut");
    h = am_layer_permute(g, h, (const unsigned[]){1, 0, 2}, 3, "turn");
    h = am_layer_group_norm(g, am_layer_dropout2d(g, h, 0.25f), 2, 1e-5f, "gn");
    h = pooled(g, h, AM_POOLING_MAX, 2, 1, 1, false);
    h = pooled(g, h, AM_POOLING_AVERAGE, 2, 0, 0, true);
    h = am_layer_upsample(g, h, AM_RESAMPLE_BILINEAR, (const int64_t[]){2, 3}, "up");
    h = am_layer_resize(g, h, AM_RESAMPLE_NEAREST, (const int64_t[]){3, 2}, "down");
    h = am_layer_activation(g, am_layer_split_frames(g, h, "frames"), AM_ACT_TANH, 0);
    h = am_layer_join_frames(g, h, "video");
    const am_value ids = am_layer_columns(g, x, 0, 3);
    const am_value parts[3] = {am_layer_global_pool(g, h, AM_POOLING_MAX, "max"),
                               am_layer_global_pool(g, h, AM_POOLING_AVERAGE, "mean"),
                               am_layer_flatten(g, am_layer_tokens(g, ids, 9, 5, "emb"), "f")};
    return dense(g, am_layer_concat(g, parts, 3), 3, AM_ACT_NONE, "out");
}

static enum am_rc build(build_fn *fn, int64_t cols, struct am_graph **out, struct am_err *err)
{
    struct am_graph *g;
    *out = NULL;
    AM_TRY(am_graph_new(&g, err));
    am_graph_output(g, "y", fn(g, am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, cols))));
    const enum am_rc rc = am_graph_check(g, err);
    if (rc != AM_OK) {
        am_graph_free(g);
        return rc;
    }
    *out = g;
    return AM_OK;
}

/* What was read either is refused, or makes a plan that runs. */
static void read_and_run(const struct am_node *n)
{
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    struct am_err e;
    am_err_clear(&e);
    if (am_graph_from_node(n, &g, &e) != AM_OK) {
        assert_true(e.message[0] != 0);
        return;
    }
    MUST(am_params_new(g, &p, err));
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 2};
    if (am_plan_build(g, p, &o, &plan, &e) == AM_OK) {
        float *x = normals(am_plan_n_inputs(plan) * 2, 3), *y = floats(am_plan_n_outputs(plan) * 2);
        MUST(am_session_new(plan, NULL, &s, err));
        MUST(am_session_run(s, 2, x, y, err));
        am_session_free(s);
        am_plan_put(plan);
        am_free(x);
        am_free(y);
    }
    am_params_free(p);
    am_graph_free(g);
}

static void graph_json(void **state)
{
    (void)state;
    static const int64_t values[] = {-1, 0,          1,          2,         3,
                                     7,  1000000000, 4294967296, INT64_MAX, INT64_MIN};
    struct am_graph *g, *h;
    struct am_node *n, *m;
    struct am_arena *a = am_arena_new(0);
    struct am_buf one, two;
    MUST(build(all_layers, 24, &g, err));
    MUST(am_graph_to_node(g, a, &n, err));
    MUST(am_graph_from_node(n, &h, err));
    MUST(am_graph_to_node(h, a, &m, err));
    am_buf_init(&one, 1 << 20);
    am_buf_init(&two, 1 << 20);
    am_node_to_json(n, AM_JSON_COMPACT, &one);
    am_node_to_json(m, AM_JSON_COMPACT, &two);
    assert_true(am_str_eq(am_buf_view(&one), am_buf_view(&two)));
    am_graph_free(h);
    const struct am_node *nodes = am_node_get(n, "nodes");
    size_t n_tried = 0;
    for (size_t i = 0; i < nodes->list.n; i++)
        for (size_t k = 0; k < nodes->list.items[i]->map.n; k++) {
            const struct am_node **at =
                (const struct am_node **)(void *)&nodes->list.items[i]->map.pairs[k].value;
            const struct am_node *was = *at;
            if (was->kind != AM_NODE_INT && was->kind != AM_NODE_REAL)
                continue;
            for (size_t v = 0; v < sizeof values / sizeof values[0]; v++, n_tried++) {
                *at = am_new_i64(a, values[v]);
                read_and_run(n);
            }
            *at = am_new_null(a);
            assert_int_not_equal(am_graph_from_node(n, &h, &(struct am_err){0}), AM_OK);
            *at = was;
        }
    assert_true(n_tried > 500);
    am_buf_clear(&one);
    am_buf_clear(&two);
    am_graph_free(g);
    am_arena_free(a);
}

/* ---- views ---- */

static am_value plain(struct am_graph *g, am_value x)
{
    am_value h = am_layer_activation(g, dense(g, x, 12, AM_ACT_NONE, "a"), AM_ACT_TANH, 0);
    return dense(g, h, 3, AM_ACT_NONE, "b");
}
/* The same: the activation sees another shape than the dense layer made. */
static am_value with_views(struct am_graph *g, am_value x)
{
    am_value h = as(g, dense(g, x, 12, AM_ACT_NONE, "a"), 3, 2, 2);
    h = as(g, am_layer_activation(g, h, AM_ACT_TANH, 0), 6, 2, 0);
    h = dense(g, am_layer_flatten(g, h, "flat"), 3, AM_ACT_NONE, "b");
    return am_layer_flatten(g, as(g, h, 1, 3, 0), "y");
}

struct ran {
    size_t n_steps, n_bytes;
    float y[15];
};

static void run_model(build_fn *fn, struct ran *out)
{
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    MUST(build(fn, 4, &g, err));
    MUST(am_params_new(g, &p, err));
    am_params_init(p, 7);
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 5};
    MUST(am_plan_build(g, p, &o, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    float *x = normals(20, 5);
    MUST(am_session_run(s, 5, x, out->y, err));
    out->n_steps = am_plan_n_steps(plan);
    out->n_bytes = am_plan_session_bytes(plan);
    am_free(x);
    am_session_free(s);
    am_plan_put(plan);
    am_params_free(p);
    am_graph_free(g);
}

static void views_cost_nothing(void **state)
{
    (void)state;
    struct ran a, b;
    run_model(plain, &a);
    run_model(with_views, &b);
    assert_memory_equal(a.y, b.y, sizeof a.y);
    assert_int_equal(a.n_bytes, b.n_bytes);
    assert_int_equal(b.n_steps, 3); /* linear, tanh, linear; plain fuses the first two */
}

static am_value bare_view(struct am_graph *g, am_value x)
{
    return am_layer_flatten(g, as(g, x, 2, 2, 0), "y");
}

static am_value frames_as_y(struct am_graph *g, am_value x)
{
    return am_layer_split_frames(g, as(g, dense(g, x, 4, AM_ACT_NONE, "a"), 2, 2, 0), "f");
}

static am_value picture_as_y(struct am_graph *g, am_value x)
{
    return as(g, dense(g, x, 4, AM_ACT_NONE, "a"), 2, 2, 0);
}

static void plan_refuses(build_fn *fn, const char *why)
{
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_err e;
    MUST(build(fn, 4, &g, err));
    MUST(am_params_new(g, &p, err));
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 5};
    assert_int_not_equal(am_plan_build(g, p, &o, &plan, &e), AM_OK);
    assert_non_null(strstr(e.message, why));
    am_params_free(p);
    am_graph_free(g);
}

static void views_as_output(void **state)
{
    (void)state;
    plan_refuses(bare_view, "itself");
    plan_refuses(picture_as_y, "[B,n]");
    plan_refuses(frames_as_y, "[B,n]");
}

/* ---- dropout2d: the gradient of x W against target 0 is proportional to the squared mask ---- */

#define CHANNELS 1000

static void dropout2d_drops_channels(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    float *grads, *zeros = floats(4 * CHANNELS);
    const struct am_param_spec ones = {AM_INIT_ONES, 0, 0};
    const float x = 1;
    MUST(am_graph_new(&g, err));
    const am_value in[2] = {am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 1)),
                            am_graph_param(g, "w", am_dims2(1, 4 * CHANNELS), &ones)};
    am_value h = as(g, am_graph_add(g, &am_op_linear, in, 2, NULL, NULL), 2, 2, CHANNELS);
    am_graph_output(g, "y", am_layer_flatten(g, am_layer_dropout2d(g, h, 0.3f), "y"));
    MUST(am_params_new(g, &p, err));
    am_params_init(p, 1);
    MUST(am_params_twin(p, &grads, err));
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    MUST(am_train_plan_build(g, p, &spec, 1, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    struct am_session_io io = {
        .n_rows = 1, .x = &x, .target = zeros, .params = p->data, .grads = grads, .seed = 3};
    MUST(am_session_run_io(s, &io, err));
    size_t n_dropped = 0;
    const float kept = 2.0f / (4 * CHANNELS) / 0.49f;
    for (size_t c = 0; c < CHANNELS; c++) {
        for (size_t i = 1; i < 4; i++)
            assert_true(grads[c] == grads[i * CHANNELS + c]);
        assert_true(grads[c] == 0.0f || fabsf(grads[c] - kept) < 1e-6f * kept);
        n_dropped += grads[c] == 0.0f;
    }
    assert_in_range(n_dropped, 240, 360); /* 300 +- 4 deviations */
    am_session_free(s);
    am_plan_put(plan);
    am_params_free(p);
    am_graph_free(g);
    am_free(grads);
    am_free(zeros);
}

/* ---- ids ---- */

static am_value token_rows(struct am_graph *g, am_value x)
{
    return am_layer_flatten(g, am_layer_tokens(g, x, 3, 2, "emb"), "y");
}

static void ids_that_are_none(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    MUST(build(token_rows, 6, &g, err));
    MUST(am_params_new(g, &p, err));
    for (size_t i = 0; i < 6; i++)
        am_param_data(p, 0)[i] = (float)(i + 1);
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 1};
    MUST(am_plan_build(g, p, &o, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    const float x[6] = {0, 1, -1, 2, 3, NAN}, want[12] = {0, 0, 3, 4, 0, 0, 5, 6};
    float y[12];
    MUST(am_session_run(s, 1, x, y, err));
    assert_memory_equal(y, want, sizeof y);
    am_session_free(s);
    am_plan_put(plan);
    am_params_free(p);
    am_graph_free(g);
}

/* ---- memory ---- */

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    struct am_pool *pool;
    float *grads, *x = normals(64 * 7, 1), *target = normals(64 * 3, 2);
    MUST(build(m_wide_picture, 7, &g, err));
    MUST(am_params_new(g, &p, err));
    am_params_init(p, 1);
    MUST(am_params_twin(p, &grads, err));
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    MUST(am_pool_new(2, &pool, err));
    MUST(am_train_plan_build(g, p, &spec, 64, &plan, err));
    MUST(am_session_new(plan, pool, &s, err));
    struct am_session_io io = {
        .n_rows = 64, .x = x, .target = target, .params = p->data, .grads = grads};
    am_alloc_fail_nth(1, true);
    const enum am_rc rc = am_session_run_io(s, &io, NULL);
    const long hits = am_alloc_hook_hits();
    am_alloc_fail_nth(0, false);
    assert_int_equal(rc, AM_OK);
    assert_int_equal(hits, 0);
    am_session_free(s);
    am_plan_put(plan);
    am_pool_free(pool);
    am_params_free(p);
    am_graph_free(g);
    am_free(grads);
    am_free(x);
    am_free(target);
}

static enum am_rc build_and_plan(struct am_graph **g, struct am_params **p, struct am_plan **plan,
                                 struct am_err *err)
{
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    *p = NULL;
    *plan = NULL;
    enum am_rc rc = build(all_layers, 24, g, err);
    if (rc == AM_OK)
        rc = am_params_new(*g, p, err);
    if (rc == AM_OK)
        rc = am_train_plan_build(*g, *p, &spec, 3, plan, err);
    if (rc != AM_OK) {
        am_params_free(*p);
        am_graph_free(*g);
    }
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_err e;
    AM_OOM_LOOP(build_and_plan(&g, &p, &plan, &e),
                (am_plan_put(plan), am_params_free(p), am_graph_free(g)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shape_errors),
                                       cmocka_unit_test(graph_json),
                                       cmocka_unit_test(views_cost_nothing),
                                       cmocka_unit_test(views_as_output),
                                       cmocka_unit_test(dropout2d_drops_channels),
                                       cmocka_unit_test(ids_that_are_none),
                                       cmocka_unit_test(a_step_allocates_nothing),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
