/* Optimisers against ten steps of PyTorch in float64 (optim_goldens.py), frozen and undecayed
 * entries, and the same bits for any pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/pool.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "tests/support/faults.h"

static const char *golden_path;
static struct am_arena *arena;
static struct am_node *top;

static int load(void **state)
{
    struct am_buf b;
    (void)state;
    am_buf_init(&b, 1 << 20);
    arena = am_arena_new(0);
    assert_int_equal(am_fs_read_file(golden_path, &b, NULL), AM_OK);
    assert_int_equal(am_json_parse(arena, am_buf_view(&b), "goldens", &top, NULL), AM_OK);
    am_buf_clear(&b);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

static size_t numbers(const char *path, double *out, size_t max)
{
    const struct am_node *n = am_node_path(top, path);
    assert_non_null(n);
    assert_true(n->list.n <= max);
    for (size_t i = 0; i < n->list.n; i++)
        assert_true(am_node_as_f64(n->list.items[i], &out[i]));
    return n->list.n;
}

static struct am_params *params_of(struct am_graph **g, size_t n, unsigned flags)
{
    struct am_params *p;
    struct am_param_spec spec = {.init = AM_INIT_ZEROS, .flags = flags};
    assert_int_equal(am_graph_new(g, NULL), AM_OK);
    am_graph_param(*g, "w", am_dims1((int64_t)n), &spec);
    assert_int_equal(am_params_new(*g, &p, NULL), AM_OK);
    return p;
}

static void ten_steps(const char *name, const struct am_optim_config *c, double rate)
{
    double start[64], target[64], slope[64], want[64], off = 0, size = 0;
    char path[64];
    struct am_graph *g;
    struct am_params *p;
    struct am_optim *o;
    float *grad;
    size_t n = numbers("start", start, 64);
    numbers("target", target, 64);
    numbers("slope", slope, 64);
    (void)snprintf(path, sizeof path, "steps.%s", name);
    assert_int_equal(numbers(path, want, 64), n);
    p = params_of(&g, n, AM_PARAM_DECAY);
    assert_int_equal(am_params_twin(p, &grad, NULL), AM_OK);
    assert_int_equal(am_optim_new(c, p, &o, NULL), AM_OK);
    for (size_t i = 0; i < n; i++)
        p->data[i] = (float)start[i];
    for (int k = 0; k < 10; k++) {
        for (size_t i = 0; i < n; i++)
            grad[i] = (float)(slope[i] * ((double)p->data[i] - target[i]));
        (void)am_optim_step(o, p->data, grad, rate, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        double d = (double)p->data[i] - want[i];
        off += d * d;
        size += want[i] * want[i];
    }
    if (sqrt(off / size) > 2e-6)
        fail_msg("%s is off by %g", name, sqrt(off / size));
    for (size_t i = n; i < p->n_floats; i++)
        assert_true(p->data[i] == 0); /* the gap */
    assert_int_equal(am_optim_steps(o), 10);
    am_optim_free(o);
    am_free(grad);
    am_params_free(p);
    am_graph_free(g);
}

static void test_goldens(void **state)
{
    struct am_optim_config c;
    (void)state;
    am_optim_config_init(&c);
    ten_steps("adam", &c, 0.02);
    c.beta1 = 0.8, c.beta2 = 0.95, c.weight_decay = 0.05;
    ten_steps("adam_l2", &c, 0.02);
    am_optim_config_init(&c);
    c.kind = AM_OPTIM_ADAMW, c.weight_decay = 0.3;
    ten_steps("adamw", &c, 0.02);
    am_optim_config_init(&c);
    c.kind = AM_OPTIM_SGD;
    ten_steps("sgd", &c, 0.05);
    c.l2 = 0.04, c.weight_decay = 0.06;
    ten_steps("sgd_l2", &c, 0.05);
    am_optim_config_init(&c);
    c.kind = AM_OPTIM_MOMENTUM;
    ten_steps("momentum", &c, 0.03);
    c.clip_norm = 0.7;
    ten_steps("clip_norm", &c, 0.05);
    c.clip_norm = 0, c.clip_value = 0.25;
    ten_steps("clip_value", &c, 0.05);
    am_optim_config_init(&c);
    c.kind = AM_OPTIM_NESTEROV, c.momentum = 0.8;
    ten_steps("nesterov", &c, 0.03);
    c.kind = AM_OPTIM_ADAGRAD;
    ten_steps("adagrad", &c, 0.1);
    c.kind = AM_OPTIM_RMSPROP, c.rho = 0.95, c.momentum = 0;
    ten_steps("rmsprop", &c, 0.01);
    c.rho = 0.9, c.momentum = 0.5;
    ten_steps("rmsprop_momentum", &c, 0.01);
}

/* weight (decayed), bias (not), frozen: with a zero gradient only the penalty moves anything */
static void test_flags(void **state)
{
    struct am_optim_config c;
    struct am_graph *g;
    struct am_params *p;
    struct am_optim *o;
    float *grad;
    const struct am_param_spec decayed = {.flags = AM_PARAM_DECAY}, plain = {0},
                               frozen = {.flags = AM_PARAM_FROZEN};
    (void)state;
    assert_int_equal(am_graph_new(&g, NULL), AM_OK);
    am_graph_param(g, "a", am_dims1(20), &decayed);
    am_graph_param(g, "b", am_dims1(3), &plain);
    am_graph_param(g, "c", am_dims1(5), &frozen);
    am_graph_param(g, "d", am_dims1(7), &decayed);
    assert_int_equal(am_params_new(g, &p, NULL), AM_OK);
    assert_int_equal(am_params_twin(p, &grad, NULL), AM_OK);
    am_optim_config_init(&c);
    c.kind = AM_OPTIM_SGD, c.l1 = 0.5, c.l2 = 0.1;
    assert_int_equal(am_optim_new(&c, p, &o, NULL), AM_OK);
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < p->table[k].n; i++)
            am_param_data(p, k)[i] = i % 2 ? 2 : -2;
    for (size_t i = 0; i < p->table[2].n; i++)
        grad[p->table[2].offset + i] = 9; /* must be ignored */
    (void)am_optim_step(o, p->data, grad, 0.1, NULL);
    assert_true(fabs(am_param_data(p, 0)[1] - 1.93) < 1e-6); /* 2 - 0.1 (0.5 + 0.2) */
    assert_true(fabs(am_param_data(p, 0)[0] + 1.93) < 1e-6);
    assert_true(fabs(am_param_data(p, 3)[1] - 1.93) < 1e-6);
    assert_true(am_param_data(p, 1)[1] == 2);
    assert_true(am_param_data(p, 2)[1] == 2);
    am_optim_free(o);
    am_free(grad);
    am_params_free(p);
    am_graph_free(g);
}

/* A block large enough to be split gives the same bits for 1, 2 and 3 threads. */
static void test_threads(void **state)
{
    enum { N = 100003 };
    struct am_graph *g;
    struct am_params *p;
    float *grad, *first = NULL;
    (void)state;
    p = params_of(&g, N, AM_PARAM_DECAY);
    assert_int_equal(am_params_twin(p, &grad, NULL), AM_OK);
    assert_int_equal(am_params_twin(p, &first, NULL), AM_OK);
    for (size_t i = 0; i < N; i++)
        grad[i] = (float)((double)(i * 2654435761u % 1000) / 500 - 1);
    for (int kind = AM_OPTIM_SGD; kind <= AM_OPTIM_ADAMW; kind++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct am_optim_config c;
            struct am_optim *o;
            struct am_pool *pool;
            am_optim_config_init(&c);
            c.kind = (enum am_optimizer)kind, c.clip_norm = 10, c.weight_decay = 0.01;
            assert_int_equal(am_pool_new(threads, &pool, NULL), AM_OK);
            assert_int_equal(am_optim_new(&c, p, &o, NULL), AM_OK);
            for (size_t i = 0; i < N; i++)
                p->data[i] = (float)i / N;
            for (int k = 0; k < 3; k++)
                assert_true(am_optim_step(o, p->data, grad, 0.01, pool) > 10);
            if (threads == 1)
                memcpy(first, p->data, am_params_bytes(p));
            assert_memory_equal(first, p->data, am_params_bytes(p));
            am_optim_free(o);
            am_pool_free(pool);
        }
    am_free(first);
    am_free(grad);
    am_params_free(p);
    am_graph_free(g);
}

static void test_bad_gradient(void **state)
{
    struct am_optim_config c;
    struct am_graph *g;
    struct am_params *p;
    struct am_optim *o;
    float *grad;
    (void)state;
    p = params_of(&g, 5, 0);
    assert_int_equal(am_params_twin(p, &grad, NULL), AM_OK);
    am_optim_config_init(&c);
    c.clip_norm = 1;
    assert_int_equal(am_optim_new(&c, p, &o, NULL), AM_OK);
    grad[2] = NAN;
    assert_true(isnan(am_optim_step(o, p->data, grad, 0.1, NULL)));
    assert_true(p->data[0] == 0 && am_optim_steps(o) == 0);
    am_optim_free(o);
    am_free(grad);
    am_params_free(p);
    am_graph_free(g);
}

static void test_config(void **state)
{
    struct am_optim_config c;
    struct am_err err;
    enum am_optimizer k;
    (void)state;
    am_optim_config_init(&c);
    c.beta1 = 1;
    assert_int_equal(am_optim_config_check(&c, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "beta1 is 1"));
    am_optim_config_init(&c);
    c.epsilon = 0;
    assert_int_equal(am_optim_config_check(&c, &err), AM_EUSAGE);
    c.epsilon = 1e-8, c.l1 = -1;
    assert_int_equal(am_optim_config_check(&c, &err), AM_EUSAGE);
    for (int i = AM_OPTIM_SGD; i <= AM_OPTIM_ADAMW; i++) {
        assert_true(am_optimizer_parse(am_str(am_optimizer_name((enum am_optimizer)i)), &k));
        assert_int_equal(k, i);
    }
    assert_false(am_optimizer_parse(AM_STR("adamx"), &k));
}

static void test_memory(void **state)
{
    struct am_optim_config c;
    struct am_graph *g;
    struct am_params *p;
    struct am_optim *o = NULL;
    (void)state;
    p = params_of(&g, 5, 0);
    am_optim_config_init(&c);
    AM_OOM_LOOP(am_optim_new(&c, p, &o, NULL), am_optim_free(o));
    am_params_free(p);
    am_graph_free(g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_bad_gradient),
        cmocka_unit_test(test_config),  cmocka_unit_test(test_memory),
    };
    golden_path = argc > 1 ? argv[1] : "optim_goldens.json";
    return cmocka_run_group_tests(tests, load, unload);
}
