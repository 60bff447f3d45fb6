/* The conformance suite of the kernel port (struct am_kernel_port_ops of tensor/kernel_port.h):
 * every driver must pass it. Run with the module's name as argument.
 *
 * The oracle is our plain kernels (am_kernels_ref). */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/modules.h"
#include "rig.h"
#include "tensor/ports_abi.h"
#include "tests/conformance/driver.h"
#include "tests/support/faults.h"

static const char *driver;
static const struct am_kernel_port_ops *ops;

static const struct shape shapes[] = {
    {"one channel 3x3 same relu",
     28,
     28,
     1,
     32,
     {.kernel = {3, 3}, .same = true, .act = AM_ACT_RELU},
     .served = 2},
    {"3x3 same relu",
     14,
     14,
     32,
     64,
     {.kernel = {3, 3}, .same = true, .act = AM_ACT_RELU},
     .served = 2},
    {"three channels 7x7 stride 2",
     32,
     32,
     3,
     64,
     {.kernel = {7, 7}, .stride = {2, 2}, .padding = {3, 3}},
     .served = 2},
    {"no padding", 9, 11, 16, 16, {.kernel = {3, 3}}, .served = 2},
    {"1x1", 7, 5, 24, 40, {.kernel = {1, 1}, .act = AM_ACT_RELU}, .served = 2},
    {"1x1 stride 2 without bias",
     8,
     8,
     32,
     64,
     {.kernel = {1, 1}, .stride = {2, 2}, .bias = AM_BIAS_NO},
     .served = 2},
    {"kernel 3x2 stride 2x1",
     10,
     9,
     16,
     24,
     {.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}},
     .served = 2},
    {"dilation 2",
     12,
     12,
     16,
     32,
     {.kernel = {3, 3}, .padding = {2, 2}, .dilation = {2, 2}},
     .served = 2},
    {"same with an odd zero",
     9,
     10,
     16,
     16,
     {.kernel = {2, 2}, .stride = {2, 2}, .same = true},
     .served = 2},
    {"four groups",
     10,
     10,
     64,
     64,
     {.kernel = {3, 3}, .padding = {1, 1}, .groups = 4},
     .served = 2},
    {"groups of odd size",
     6,
     6,
     9,
     15,
     {.kernel = {3, 3}, .padding = {1, 1}, .groups = 3},
     .served = 1},
    {"depthwise",
     14,
     14,
     32,
     32,
     {.kernel = {3, 3}, .padding = {1, 1}, .groups = 32, .act = AM_ACT_RELU},
     .served = 2},
    {"depthwise stride 2",
     15,
     13,
     48,
     48,
     {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .groups = 48},
     .served = 2},
    {"leaky relu",
     8,
     8,
     16,
     16,
     {.kernel = {3, 3}, .act = AM_ACT_LEAKY_RELU, .alpha = 0.1f},
     .served = 2},
    {"odd channels", 8, 8, 5, 7, {.kernel = {3, 3}, .padding = {1, 1}}, .served = 2},
    {"tanh stays ours", 8, 8, 16, 16, {.kernel = {3, 3}, .act = AM_ACT_TANH}, .served = 1},
    {"a sequence's height", 1, 40, 16, 32, {.kernel = {1, 5}, .padding = {0, 2}}, .served = 2},
    {"batch norm", 14, 14, 16, 32, {.kernel = {3, 3}, .same = true}, .norm = true, .served = 2},
    {"batch norm without bias",
     14,
     14,
     16,
     32,
     {.kernel = {3, 3}, .same = true, .bias = AM_BIAS_NO},
     .norm = true,
     .served = 2},
    {"large: bands of rows",
     56,
     56,
     64,
     64,
     {.kernel = {3, 3}, .same = true, .act = AM_ACT_RELU},
     .served = 2},
    {"large: two bands, stride 2",
     28,
     28,
     128,
     128,
     {.kernel = {3, 3}, .stride = {2, 2}, .same = true},
     .served = 2},
    {"max pool", 14, 14, 32, 0, .p = {.how = AM_POOLING_MAX, .kernel = {2, 2}}, .served = 2},
    {"max pool 3x3 stride 2 padded", 15, 15, 64, 0,
     .p = {.how = AM_POOLING_MAX, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}},
     .served = 2},
    {"average pool", 14, 14, 32, 0, .p = {.how = AM_POOLING_AVERAGE, .kernel = {2, 2}},
     .served = 2},
    {"average pool, padding not counted", 9, 9, 16, 0,
     .p = {.how = AM_POOLING_AVERAGE,
           .kernel = {3, 3},
           .stride = {2, 2},
           .padding = {1, 1},
           .skip_pad = true},
     .served = 2},
};
#define N_SHAPES (sizeof shapes / sizeof shapes[0])

static int setup(void **state)
{
    (void)state;
    am_modules_set_kernels(NULL);
    ops = open_driver(driver, sizeof *ops);
    if (!ops)
        return -1;
    return ops->start(am_host_table(), &err) == AM_OK ? 0 : -1;
}

static size_t n_threads(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/task");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* The largest difference over the largest value. */
static double distance(const float *a, const float *b, size_t n)
{
    double most = 0, scale = 1e-6;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        most = d > most || isnan(d) ? d : most;
        scale = fmax(scale, fabs((double)a[i]));
    }
    return most / scale;
}

/* ---- the same answers and gradients as ours ---- */

static void forward(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct rig r;
        set_up(&r, &shapes[i], 5);
        float *y = am_alloc_array(r.rows * r.out, sizeof *y);
        assert_int_equal(infer(&r, AM_PLAN_LIBRARY_NONE, NULL, 5, r.y), 0);
        const size_t served = infer(&r, AM_PLAN_LIBRARY_ALL, NULL, 5, y);
        const double d = distance(r.y, y, r.rows * r.out);
        const double most = shapes[i].served < 2 ? 1e-4 : 2e-5; /* ours may be Winograd's */
        if (served < shapes[i].served || !(d < most))
            fail_msg("%s: %zu steps served, distance %g", shapes[i].name, served, d);
        am_free(y);
        tear_down(&r);
    }
}

/* With rows left over: a gradient by the weight has parts of 4 rows here, and 3 are left. */
static void gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct rig r;
        float *own;
        size_t served;
        set_up(&r, &shapes[i], 11);
        const double loss = train(&r, AM_PLAN_LIBRARY_NONE, NULL, 11, &served);
        assert_int_equal(served, 0);
        own = r.grads;
        MUST(am_params_twin(r.p, &r.grads, &err));
        const double other = train(&r, AM_PLAN_LIBRARY_ALL, NULL, 32, &served);
        const double d = distance(own, r.grads, r.p->n_floats);
        if (served < shapes[i].served || !(d < 1e-4) || !(fabs(loss - other) <= 1e-5 * fabs(loss)))
            fail_msg("%s: %zu steps served, distance %g, loss %g and %g", shapes[i].name, served, d,
                     loss, other);
        am_free(own);
        tear_down(&r);
    }
}

/* ---- bits ---- */

/* A row alone, in a batch, in any batch, with any threads. */
static void bits_of_rows(void **state)
{
    (void)state;
    static const size_t buckets[] = {1, 2, 7, 13};
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct rig r;
        set_up(&r, &shapes[i], 13);
        float *y = am_alloc_array(r.rows * r.out, sizeof *y);
        (void)infer(&r, AM_PLAN_LIBRARY_ALL, NULL, 13, r.y);
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct am_pool *pool;
            MUST(am_pool_new(threads, &pool, &err));
            for (size_t k = 0; k < sizeof buckets / sizeof buckets[0]; k++) {
                (void)infer(&r, AM_PLAN_LIBRARY_ALL, pool, buckets[k], y);
                assert_memory_equal(r.y, y, r.rows * r.out * sizeof *y);
            }
            am_pool_free(pool);
        }
        am_free(y);
        tear_down(&r);
    }
}

static void bits_of_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct rig r;
        float *first;
        size_t served;
        set_up(&r, &shapes[i], 20);
        (void)train(&r, AM_PLAN_LIBRARY_ALL, NULL, 24, &served);
        first = r.grads;
        MUST(am_params_twin(r.p, &r.grads, &err));
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct am_pool *pool;
            MUST(am_pool_new(threads, &pool, &err));
            (void)train(&r, AM_PLAN_LIBRARY_ALL, pool, 24, &served);
            assert_memory_equal(first, r.grads, r.p->n_floats * sizeof *first);
            am_pool_free(pool);
        }
        am_free(first);
        tear_down(&r);
    }
}

/* Two plans of a model, one sharing the other's weights: the same choice, the same bits. */
static void one_choice_for_a_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i += 3) {
        struct am_plan_options o = {
            .mode = AM_PLAN_INFER, .bucket_rows = 1, .library = AM_PLAN_LIBRARY_TIMED};
        struct am_plan *one, *many, *again;
        struct am_session *s;
        struct rig r;
        set_up(&r, &shapes[i], 9);
        float *y = am_alloc_array(r.rows * r.out, sizeof *y);
        MUST(am_plan_build(r.g, r.p, &o, &one, &err));
        o.share = one;
        o.bucket_rows = 9;
        MUST(am_plan_build(r.g, r.p, &o, &many, &err));
        o.share = NULL;
        MUST(am_plan_build(r.g, r.p, &o, &again, &err));
        assert_int_equal(am_plan_n_steps(one), am_plan_n_steps(many));
        for (size_t k = 0; k < am_plan_n_steps(one); k++) {
            assert_string_equal(am_plan_step_name(one, k), am_plan_step_name(many, k));
            assert_string_equal(am_plan_step_name(one, k), am_plan_step_name(again, k));
        }
        MUST(am_session_new(many, NULL, &s, &err));
        MUST(am_session_run(s, 9, r.x, r.y, &err));
        am_session_free(s);
        am_plan_put(many);
        MUST(am_session_new(one, NULL, &s, &err));
        for (size_t k = 0; k < 9; k++)
            MUST(am_session_run(s, 1, r.x + k * r.cols, y + k * r.out, &err));
        am_session_free(s);
        am_plan_put(one);
        assert_memory_equal(r.y, y, r.rows * r.out * sizeof *y);
        (void)infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 4, y);
        assert_memory_equal(r.y, y, r.rows * r.out * sizeof *y);
        am_plan_put(again);
        am_free(y);
        tear_down(&r);
    }
}

/* ---- what a step does not do ---- */

static void no_allocation_in_a_step(void **state)
{
    (void)state;
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = 16, .library = AM_PLAN_LIBRARY_ALL};
    struct am_plan *plan, *training;
    struct am_session *s, *t;
    struct rig r;
    set_up(&r, &shapes[1], 11);
    MUST(am_plan_build(r.g, r.p, &o, &plan, &err));
    MUST(am_session_new(plan, NULL, &s, &err));
    MUST(am_train_plan_build_library(r.g, r.p, &spec, 16, AM_PLAN_LIBRARY_ALL, &training, &err));
    MUST(am_session_new(training, NULL, &t, &err));
    struct am_session_io io = {
        .n_rows = r.rows, .x = r.x, .target = r.target, .params = r.p->data, .grads = r.grads};
    am_alloc_fail_nth(1L << 40, false);
    for (size_t n = 0; n <= r.rows; n++)
        MUST(am_session_run(s, n, r.x, r.y, &err));
    MUST(am_session_run_io(t, &io, &err));
    const long calls = am_alloc_hook_calls();
    am_alloc_fail_nth(0, false);
    assert_int_equal(calls, 0);
    am_session_free(s);
    am_session_free(t);
    am_plan_put(plan);
    am_plan_put(training);
    tear_down(&r);
}

/* The pool's threads and no others: no OpenMP team. */
static void no_threads(void **state)
{
    (void)state;
    struct am_pool *pool;
    struct rig r;
    size_t served;
    MUST(am_pool_new(2, &pool, &err));
    const size_t before = n_threads();
    set_up(&r, &shapes[19], 4);
    assert_true(infer(&r, AM_PLAN_LIBRARY_ALL, pool, 4, r.y) >= 1);
    (void)train(&r, AM_PLAN_LIBRARY_ALL, pool, 4, &served);
    assert_int_equal(n_threads(), before);
    assert_string_equal(getenv("OMP_NUM_THREADS"), "1");
    assert_string_equal(getenv("OMP_WAIT_POLICY"), "passive");
    tear_down(&r);
    am_pool_free(pool);
}

/* ---- the port itself ---- */

static struct am_port_task task_of(const struct shape *s, enum am_port_kind kind)
{
    struct am_port_task t = {.kind = kind,
                             .n_images = 1,
                             .h = (size_t)s->h,
                             .w = (size_t)s->w,
                             .c = (size_t)s->c,
                             .out_h = (size_t)s->h,
                             .out_w = (size_t)s->w,
                             .n = (size_t)s->n,
                             .kernel = {3, 3},
                             .stride = {1, 1},
                             .before = {1, 1},
                             .after = {1, 1},
                             .dilation = {1, 1},
                             .groups = 1};
    return t;
}

/* Reference implementations are refused, and no primitive says that it is one. */
static void reference_is_refused(void **state)
{
    (void)state;
    struct am_port_primitive *p;
    size_t made = 0;
    for (int kind = AM_PORT_CONV; kind <= AM_PORT_POOL_GRAD; kind++)
        for (size_t i = 0; i < N_SHAPES; i++)
            for (int blocked = 0; blocked < 2; blocked++) {
                struct am_port_task t = task_of(&shapes[i], (enum am_port_kind)kind);
                t.n = kind >= AM_PORT_POOL || t.n == 0 ? t.c : t.n;
                t.blocked_x = blocked == 1 && ops->block() > 0 && t.c % ops->block() == 0;
                t.blocked_y = blocked == 1 && ops->block() > 0 && t.n % ops->block() == 0;
                am_err_clear(&err);
                const enum am_rc rc = ops->make(&t, NULL, &p, &err);
                if (rc != AM_OK) {
                    assert_int_equal(rc, AM_EINVAL);
                    assert_null(p);
                    assert_int_not_equal(err.message[0], '\0');
                    continue;
                }
                made++;
                assert_null(strstr(ops->info(p)->implementation, "ref"));
                assert_null(strstr(ops->info(p)->implementation, "simple"));
                ops->drop(p);
            }
    assert_true(made > 100);
    struct am_port_task odd = task_of(&shapes[1], AM_PORT_CONV);
    odd.act = AM_ACT_GELU;
    assert_int_equal(ops->make(&odd, NULL, &p, &err), AM_EINVAL);
    odd.act = AM_ACT_NONE;
    odd.out_h = 5; /* is 14 */
    assert_int_equal(ops->make(&odd, NULL, &p, &err), AM_EINVAL);
    ops->drop(NULL);
    ops->context_free(NULL);
}

/* Weights that went in come out. */
static void weights_go_round(void **state)
{
    (void)state;
    const struct am_port_task t = task_of(&shapes[1], AM_PORT_CONV_DW);
    const size_t n = 3 * 3 * t.c * t.n;
    struct am_port_primitive *p;
    struct am_port_context *c;
    MUST(ops->make(&t, NULL, &p, &err));
    MUST(ops->context_new(p, &c, &err));
    assert_true(ops->info(p)->weight_floats >= n);
    float *x = normals(t.h * t.w * t.c, 1), *dy = normals(t.h * t.w * t.n, 2);
    float *packed = am_alloc_aligned(64, ops->info(p)->weight_floats * sizeof(float));
    float *scratch = am_alloc_aligned(64, (ops->info(p)->scratch_floats + 16) * sizeof(float));
    float *dw = am_alloc_array(n, sizeof *dw);
    assert_true(
        ops->run(c, &(struct am_port_args){.x = x, .dy = dy, .out = packed, .scratch = scratch}));
    assert_true(ops->unpack(c, packed, dw));
    for (size_t k = 0; k < 9 * t.c; k += 37) { /* one column against the definition */
        double sum = 0;
        const size_t ky = k / t.c / 3, kx = k / t.c % 3, channel = k % t.c, filter = k % t.n;
        for (size_t y = 0; y < t.h; y++)
            for (size_t z = 0; z < t.w; z++)
                if (y + ky >= 1 && y + ky <= t.h && z + kx >= 1 && z + kx <= t.w)
                    sum += (double)x[((y + ky - 1) * t.w + z + kx - 1) * t.c + channel] *
                           (double)dy[(y * t.w + z) * t.n + filter];
        assert_true(fabs(sum - (double)dw[k * t.n + filter]) < 1e-3);
    }
    am_free(x);
    am_free(dy);
    am_free(packed);
    am_free(scratch);
    am_free(dw);
    ops->context_free(c);
    ops->drop(p);
}

static void versions(void **state)
{
    (void)state;
    const char *profile;
    assert_int_equal(ops->start(am_host_table(), &err), AM_OK);
    assert_non_null(strstr(ops->version(), "oneDNN"));
    MUST(am_kernel_port_profile(&profile, &err));
    assert_non_null(strstr(profile, am_numerics_profile()));
    assert_non_null(strstr(profile, ops->version()));
}

static enum am_rc build(struct rig *r, struct am_plan **plan, struct am_session **s)
{
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = 2, .library = AM_PLAN_LIBRARY_ALL};
    AM_TRY(am_plan_build(r->g, r->p, &o, plan, &err));
    const enum am_rc rc = am_session_new(*plan, NULL, s, &err);
    if (rc != AM_OK)
        am_plan_put(*plan);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    struct am_plan *plan;
    struct am_session *s;
    struct rig r;
    set_up(&r, &shapes[17], 2);
    AM_OOM_LOOP(build(&r, &plan, &s), (am_session_free(s), am_plan_put(plan)));
    tear_down(&r);
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "kernels-dnnl";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_threads),
        cmocka_unit_test(forward),
        cmocka_unit_test(gradients),
        cmocka_unit_test(bits_of_rows),
        cmocka_unit_test(bits_of_gradients),
        cmocka_unit_test(one_choice_for_a_model),
        cmocka_unit_test(no_allocation_in_a_step),
        cmocka_unit_test(reference_is_refused),
        cmocka_unit_test(weights_go_round),
        cmocka_unit_test(versions),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
