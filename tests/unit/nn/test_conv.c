/* Convolutions: gradients against central differences of the loss by ref, including the way through
 * the input; every table against ref; the same bits for 1, 2 and 3 threads, for any bucket and any
 * split of a batch; the empty batch; batch norm folded at inference; shape errors; no allocation.
 */
#include "nn_test.h"

#include "base/pool.h"
#include "nn/layers_conv.h"
#include "nn/layers_shape.h"
#include "nn/ops/op.h"

struct shape {
    const char *name;
    int64_t h, w, c, n;
    struct am_conv_options o;
    bool transposed;
};
static const struct shape shapes[] = {
    {"3x3", 5, 4, 2, 3, {.kernel = {3, 3}, .padding = {1, 1}}, false},
    {"1x1", 3, 5, 7, 3, {.kernel = {1, 1}}, false},
    {"1x1 stride 2", 3, 5, 3, 2, {.kernel = {1, 1}, .stride = {2, 2}}, false},
    {"strided, same", 7, 6, 1, 5, {.kernel = {5, 3}, .stride = {2, 3}, .same = true}, false},
    {"dilated", 7, 9, 2, 2, {.kernel = {3, 2}, .dilation = {2, 3}, .padding = {1, 0}}, false},
    {"groups", 4, 3, 6, 4, {.kernel = {2, 3}, .groups = 2, .padding = {1, 1}}, false},
    {"depthwise", 5, 5, 5, 5, {.kernel = {3, 3}, .groups = 5, .padding = {1, 1}}, false},
    {"depthwise stride",
     6,
     7,
     3,
     3,
     {.kernel = {3, 3}, .stride = {2, 2}, .groups = 3, .same = true},
     false},
    {"depthwise times 2", 4, 4, 2, 4, {.kernel = {3, 3}, .groups = 2}, false},
    {"transposed",
     3,
     4,
     2,
     3,
     {.kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 0}, .output_padding = {1, 0}},
     true},
    {"transposed, same", 2, 3, 3, 2, {.kernel = {3, 3}, .stride = {2, 1}, .same = true}, true},
    {"transposed with holes", 2, 2, 2, 2, {.kernel = {1, 2}, .stride = {3, 3}}, true},
    {"wide", 3, 19, 17, 33, {.kernel = {3, 3}, .padding = {1, 1}}, false},
    {"deep", 3, 3, 130, 9, {.kernel = {3, 3}, .padding = {1, 1}}, false},
    {"first layer", 9, 29, 1, 32, {.kernel = {3, 3}, .same = true}, false},
    {"Winograd", 6, 9, 18, 21, {.kernel = {3, 3}, .padding = {1, 1}}, false},
    {"Winograd, no padding", 10, 7, 16, 40, {.kernel = {3, 3}}, false},
};
#define N_SHAPES (sizeof shapes / sizeof shapes[0])

struct rig {
    struct am_graph *g;
    struct am_params *p;
    float *x, *target, *grads, *y;
    size_t rows, cols, out;
};

/* A 1x1 convolution first: its weight's gradient needs the gradient by the input of what follows.
 */
static void set_up(struct rig *r, const struct shape *s, size_t rows, bool norm)
{
    const int64_t picture[3] = {s->h, s->w, s->c};
    const struct am_conv_options one = {
        .kernel = {1, 1}, .act = AM_ACT_TANH, .init = AM_INIT_NORMAL, .init_scale = 0.4f};
    struct am_conv_options o = s->o;
    memset(r, 0, sizeof *r);
    r->rows = rows;
    r->cols = (size_t)(s->h * s->w * s->c);
    o.init = AM_INIT_NORMAL;
    o.init_scale = 0.3f;
    o.act = norm ? AM_ACT_NONE : AM_ACT_TANH;
    MUST(am_graph_new(&r->g, err));
    am_value x = am_graph_input(r->g, "x", am_dims2(AM_DIM_BATCH, (int64_t)r->cols));
    x = am_layer_reshape(r->g, x, picture, 3, NULL);
    x = am_layer_conv2d(r->g, x, s->c, &one, "first");
    x = s->transposed ? am_layer_conv2d_transposed(r->g, x, s->n, &o, "second")
                      : am_layer_conv2d(r->g, x, s->n, &o, "second");
    if (norm)
        x = am_layer_activation(r->g, am_layer_batch_norm(r->g, x, 1e-3f, 0.1f, "norm"),
                                AM_ACT_RELU, 0);
    x = am_layer_flatten(r->g, x, NULL);
    am_graph_output(r->g, "y", x);
    MUST(am_graph_check(r->g, err));
    r->out = am_dims_cols(&am_graph_node(r->g, x)->dims);
    MUST(am_params_new(r->g, &r->p, err));
    am_params_init(r->p, 3);
    for (size_t i = 0; i < r->p->n_floats; i++)
        r->p->data[i] += 0.02f * (float)(i % 11) + (norm ? 0.05f : 0.0f);
    MUST(am_params_twin(r->p, &r->grads, err));
    r->x = normals(rows * r->cols, 5);
    r->target = normals(rows * r->out, 6);
    r->y = floats(rows * r->out);
}

static void tear_down(struct rig *r)
{
    am_free(r->x);
    am_free(r->target);
    am_free(r->y);
    am_free(r->grads);
    am_params_free(r->p);
    am_graph_free(r->g);
}

static double train(struct rig *r, const char *table, struct am_pool *pool, size_t bucket)
{
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    struct am_plan *plan;
    struct am_session *s;
    MUST(am_train_plan_build_with(r->g, r->p, &spec, bucket, am_kernels_find(table), &plan, err));
    MUST(am_session_new(plan, pool, &s, err));
    struct am_session_io io = {
        .n_rows = r->rows, .x = r->x, .target = r->target, .params = r->p->data, .grads = r->grads};
    MUST(am_session_run_io(s, &io, err));
    am_session_free(s);
    am_plan_put(plan);
    return io.loss;
}

static void infer(struct rig *r, const char *table, struct am_pool *pool, size_t rows, float *y)
{
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = rows, .kernels = am_kernels_find(table)};
    struct am_plan *plan;
    struct am_session *s;
    MUST(am_plan_build(r->g, r->p, &o, &plan, err));
    MUST(am_session_new(plan, pool, &s, err));
    for (size_t at = 0; at < r->rows; at += rows) {
        const size_t n = r->rows - at < rows ? r->rows - at : rows;
        MUST(am_session_run(s, n, r->x + at * r->cols, y + at * r->out, err));
    }
    am_session_free(s);
    am_plan_put(plan);
}

static double loss_of(const struct rig *r, struct am_session *s, float *params)
{
    struct am_session_io io = {.n_rows = r->rows, .x = r->x, .target = r->target, .params = params};
    MUST(am_session_run_io(s, &io, err));
    return io.loss;
}

/* Every 1st, 2nd, .. parameter so that at most 60 are tried. */
static void central_differences(void **state)
{
    (void)state;
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    const float h = 1.0f / 256;
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct rig r;
        struct am_plan *plan;
        struct am_session *s;
        set_up(&r, &shapes[i], 2, false);
        (void)train(&r, "ref", NULL, 2);
        MUST(am_eval_plan_build_with(r.g, r.p, &spec, 2, &am_kernels_ref, &plan, err));
        MUST(am_session_new(plan, NULL, &s, err));
        for (size_t k = 0; k < r.p->n_params; k++) {
            const struct am_param *p = &r.p->table[k];
            double d = 0, w = 0;
            for (size_t e = 0; e < p->n; e += 1 + p->n / 60) {
                float *at = r.p->data + p->offset + e, was = *at;
                *at = was + h;
                const double up = loss_of(&r, s, r.p->data);
                *at = was - h;
                const double want = (up - loss_of(&r, s, r.p->data)) / (2 * (double)h);
                *at = was;
                const double got = (double)r.grads[p->offset + e];
                d += (got - want) * (got - want);
                w += want * want;
            }
            if (sqrt(d) > 3e-3 * sqrt(w) + 2e-5) {
                print_error("%s, %s: gradient off by %g of %g\n", shapes[i].name, p->name.ptr,
                            sqrt(d), sqrt(w));
                fail();
            }
        }
        am_session_free(s);
        am_plan_put(plan);
        tear_down(&r);
    }
}

static void tables_agree_with_ref(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++)
        for (size_t t = 1; t < 3; t++)
            for (size_t rows = 1; rows < 20; rows += 9) {
                struct rig r;
                if (!am_kernels_find(all_tables[t]))
                    continue;
                set_up(&r, &shapes[i], rows, false);
                float *want = floats(rows * r.out), *grads = floats(r.p->n_floats);
                const double loss = train(&r, "ref", NULL, rows);
                memcpy(grads, r.grads, am_params_bytes(r.p));
                infer(&r, "ref", NULL, rows, want);
                const double got = train(&r, all_tables[t], NULL, rows);
                infer(&r, all_tables[t], NULL, rows, r.y);
                if (fabs(got - loss) > 1e-5 * loss ||
                    distance(r.grads, grads, r.p->n_floats) >
                        1e-5 * norm_of(grads, r.p->n_floats) ||
                    distance(r.y, want, rows * r.out) > 1e-5 * norm_of(want, rows * r.out)) {
                    print_error("%s by %s, %zu rows: loss %g, not %g\n", shapes[i].name,
                                all_tables[t], rows, got, loss);
                    fail();
                }
                am_free(want);
                am_free(grads);
                tear_down(&r);
            }
}

static void same_bits(void **state)
{
    (void)state;
    static const struct shape big[] = {
        {"big", 21, 23, 19, 35, {.kernel = {3, 3}, .padding = {1, 1}}, false},
        {"big stride", 30, 31, 16, 33, {.kernel = {3, 3}, .stride = {2, 2}, .same = true}, false},
        {"big depthwise", 60, 61, 40, 40, {.kernel = {3, 3}, .groups = 40, .same = true}, false},
        {"large Winograd", 30, 27, 64, 130, {.kernel = {3, 3}, .same = true}, false},
        {"many filters", 5, 6, 300, 140, {.kernel = {3, 3}, .same = true}, false},
        {"one large picture", 150, 151, 8, 33, {.kernel = {3, 3}, .same = true}, false}};
    const char *table = am_kernels_best()->name;
    for (size_t i = 0; i < sizeof big / sizeof big[0]; i++) {
        struct rig r;
        const size_t rows = big[i].h > 100 ? 1 : 13;
        set_up(&r, &big[i], rows, false);
        float *want = floats(rows * r.out), *grads = floats(r.p->n_floats);
        const double loss = train(&r, table, NULL, rows);
        memcpy(grads, r.grads, am_params_bytes(r.p));
        infer(&r, "ref", NULL, rows, r.y);
        infer(&r, table, NULL, rows, want);
        assert_true(distance(r.y, want, rows * r.out) < 1e-5 * norm_of(r.y, rows * r.out));
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct am_pool *pool;
            MUST(am_pool_new(threads, &pool, err));
            const double got = train(&r, table, pool, rows + threads * 7);
            assert_memory_equal(&got, &loss, sizeof got);
            assert_memory_equal(r.grads, grads, am_params_bytes(r.p));
            infer(&r, table, pool, threads == 3 ? 1 : 5, r.y); /* a row alone, and in a batch */
            assert_memory_equal(r.y, want, rows * r.out * sizeof(float));
            am_pool_free(pool);
        }
        am_free(want);
        am_free(grads);
        tear_down(&r);
    }
}

static void empty_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct rig r;
        set_up(&r, &shapes[i], 2, false);
        r.rows = 0;
        for (size_t e = 0; e < r.p->n_floats; e++)
            r.grads[e] = 0.0f;
        for (size_t k = 0; k < r.p->n_params; k++)
            for (size_t e = 0; e < r.p->table[k].n; e++)
                r.grads[r.p->table[k].offset + e] = 7.0f;
        assert_true(train(&r, am_kernels_best()->name, NULL, 2) == 0.0);
        assert_true(norm_of(r.grads, r.p->n_floats) == 0.0);
        tear_down(&r);
    }
}

/* At inference the norm is in the weights: one step less, the same numbers as evaluation's. */
static void batch_norm_is_folded(void **state)
{
    (void)state;
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    for (size_t i = 0; i < N_SHAPES; i++)
        for (size_t t = 0; t < 3; t++) {
            struct rig r;
            struct am_plan *plan;
            struct am_session *s;
            const struct am_kernels *kern = am_kernels_find(all_tables[t]);
            if (!kern)
                continue;
            set_up(&r, &shapes[i], 3, true);
            infer(&r, all_tables[t], NULL, 3, r.y);
            MUST(am_eval_plan_build_with(r.g, r.p, &spec, 3, kern, &plan, err));
            MUST(am_session_new(plan, NULL, &s, err));
            float *want = floats(3 * r.out);
            struct am_session_io io = {
                .n_rows = 3, .x = r.x, .target = r.target, .params = r.p->data, .y = want};
            MUST(am_session_run_io(s, &io, err));
            if (distance(r.y, want, 3 * r.out) > 1e-5 * norm_of(want, 3 * r.out)) {
                print_error("%s by %s: folded batch norm is off by %g\n", shapes[i].name,
                            all_tables[t], distance(r.y, want, 3 * r.out));
                fail();
            }
            am_session_free(s);
            am_plan_put(plan);
            const struct am_plan_options o = {
                .mode = AM_PLAN_INFER, .bucket_rows = 3, .kernels = kern};
            MUST(am_plan_build(r.g, r.p, &o, &plan, err));
            if (!shapes[i].transposed) {
                assert_int_equal(am_plan_n_steps(plan), 2);
                assert_string_equal(am_plan_step_name(plan, 1), "conv+bias+norm+relu");
            }
            am_plan_put(plan);
            am_free(want);
            tear_down(&r);
        }
}

static void refuse(int64_t h, int64_t w, int64_t c, int64_t n, struct am_conv_options o,
                   const char *says, const char *also)
{
    const int64_t picture[3] = {h, w, c};
    struct am_graph *g;
    struct am_err e;
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, h * w * c));
    x = am_layer_reshape(g, x, picture, h == 1 ? 2 : 3, NULL);
    (void)am_layer_conv2d(g, x, n, &o, "edges");
    am_err_clear(&e);
    assert_int_equal(am_graph_check(g, &e), AM_EINVAL);
    if (!strstr(e.message, "edges") || !strstr(e.message, says) || !strstr(e.message, also)) {
        print_error("%s\n", e.message);
        fail();
    }
    am_graph_free(g);
}

static void shape_errors_name_layer_and_shapes(void **state)
{
    (void)state;
    refuse(3, 3, 2, 4, (struct am_conv_options){.kernel = {5, 5}}, "larger than the padded input",
           "[B,3,3,2]");
    refuse(3, 3, 2, 4, (struct am_conv_options){.kernel = {0, 3}}, "kernel 0", "4096");
    refuse(3, 3, 2, 4, (struct am_conv_options){.kernel = {3, 3}, .groups = 3}, "3 groups",
           "2 channels");
    refuse(3, 3, 2, 0, (struct am_conv_options){.kernel = {3, 3}}, "at least one filter", "0");
    refuse(3, 3, 2, 1, (struct am_conv_options){.kernel = {4000, 3}}, "4096 places", "[B,3,3,2]");
    refuse(3, 3, 2, 1, (struct am_conv_options){.kernel = {3, 3}, .padding = {-1, 0}}, "padding",
           "[B,3,3,2]");
}

/* A sequence is the picture of height 1. */
static void conv1d_is_a_row(void **state)
{
    (void)state;
    const int64_t two[2] = {11, 3}, three[3] = {1, 11, 3};
    float *y[2];
    for (int i = 0; i < 2; i++) {
        struct rig r = {.rows = 2, .cols = 33};
        const struct am_conv_options flat = {.kernel = {i ? 4 : 1, i ? 0 : 4},
                                             .stride = {i ? 2 : 1, 2},
                                             .padding = {i ? 1 : 0, 1},
                                             .init = AM_INIT_HE_NORMAL};
        MUST(am_graph_new(&r.g, err));
        am_value x = am_graph_input(r.g, "x", am_dims2(AM_DIM_BATCH, 33));
        x = am_layer_reshape(r.g, x, i ? two : three, i ? 2 : 3, NULL);
        x = i ? am_layer_conv1d(r.g, x, 5, &flat, "c") : am_layer_conv2d(r.g, x, 5, &flat, "c");
        x = am_layer_flatten(r.g, x, NULL);
        am_graph_output(r.g, "y", x);
        MUST(am_graph_check(r.g, err));
        r.out = am_dims_cols(&am_graph_node(r.g, x)->dims);
        assert_int_equal(r.out, 25);
        MUST(am_params_new(r.g, &r.p, err));
        am_params_init(r.p, 3);
        r.x = normals(66, 5);
        y[i] = floats(50);
        infer(&r, am_kernels_best()->name, NULL, 2, y[i]);
        assert_true(norm_of(y[i], 50) > 1);
        tear_down(&r);
    }
    assert_memory_equal(y[0], y[1], 50 * sizeof(float));
    am_free(y[0]);
    am_free(y[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(central_differences),
                                       cmocka_unit_test(tables_agree_with_ref),
                                       cmocka_unit_test(same_bits),
                                       cmocka_unit_test(empty_batch),
                                       cmocka_unit_test(batch_norm_is_folded),
                                       cmocka_unit_test(shape_errors_name_layer_and_shapes),
                                       cmocka_unit_test(conv1d_is_a_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
