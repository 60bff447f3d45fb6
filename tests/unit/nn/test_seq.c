/* Sequence layers beyond gradients and goldens: the same bits for any threads, bucket and company;
 * lengths that are no lengths; names of parameters; storing; shape errors; allocation failures. */
#include "nn_test.h"

#include "base/pool.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"
#include "nn/ops/op.h"
#include "tests/support/faults.h"

typedef am_value layer_fn(struct am_graph *g, am_value x, int64_t n_units,
                          const struct am_seq_options *o, const char *name);
static layer_fn *const layers[] = {am_layer_rnn, am_layer_lstm, am_layer_gru};

enum { T = 9, C = 5 };

struct model {
    struct am_graph *g;
    struct am_params *p;
    float *grads;
};

/* x [B, T*C + 1], the last column the length -> [B, 3] */
static struct am_graph *graph_of(layer_fn *layer, int64_t n_units, struct am_err *err)
{
    struct am_graph *g;
    const int64_t dims[2] = {T, C};
    const struct am_dense_options out = {.init = AM_INIT_GLOROT_UNIFORM};
    if (am_graph_new(&g, err) != AM_OK)
        return NULL;
    const am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, T * C + 1));
    const am_value s = am_layer_reshape(g, am_layer_columns(g, x, 0, T * C), dims, 2, "steps");
    const struct am_seq_options o = {.returns = AM_SEQ_STEPS,
                                     .direction = AM_SEQ_BIDIRECTIONAL,
                                     .n_layers = 2,
                                     .lengths = am_layer_columns(g, x, T * C, 1)};
    const am_value h = layer(g, s, n_units, &o, "net");
    const am_value pooled = am_layer_attention_pool(g, h, 4, o.lengths, "pool");
    am_graph_output(g, "y", am_layer_dense(g, pooled, 3, &out, "out"));
    if (am_graph_check(g, err) == AM_OK)
        return g;
    am_graph_free(g);
    return NULL;
}

static void set_up(struct model *m, layer_fn *layer, int64_t n_units)
{
    struct am_err e;
    m->g = graph_of(layer, n_units, &e);
    assert_non_null(m->g);
    MUST(am_params_new(m->g, &m->p, err));
    am_params_init(m->p, 3);
    MUST(am_params_twin(m->p, &m->grads, err));
}

static void tear_down(struct model *m)
{
    am_free(m->grads);
    am_params_free(m->p);
    am_graph_free(m->g);
}

static float *rows_of(size_t n)
{
    float *x = normals(n * (T * C + 1), 5);
    for (size_t i = 0; i < n; i++)
        x[i * (T * C + 1) + T * C] = (float)(i * 7 % (T + 3)) - 1.0f;
    return x;
}

static double train(struct model *m, const float *x, const float *target, size_t n, size_t bucket,
                    struct am_pool *pool)
{
    struct am_plan *plan;
    struct am_session *s;
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    MUST(am_train_plan_build(m->g, m->p, &spec, bucket, &plan, err));
    MUST(am_session_new(plan, pool, &s, err));
    struct am_session_io io = {
        .n_rows = n, .x = x, .target = target, .params = m->p->data, .grads = m->grads};
    MUST(am_session_run_io(s, &io, err));
    am_session_free(s);
    am_plan_put(plan);
    return io.loss;
}

/* 131 rows: more than a chunk, and enough work for the pool. */
static void same_bits_for_any_threads_and_bucket(void **state)
{
    (void)state;
    enum { N = 131 };
    float *x = rows_of(N), *target = normals((size_t)N * 3, 6);
    for (size_t k = 0; k < 3; k++) {
        struct model m;
        set_up(&m, layers[k], 67);
        const double want = train(&m, x, target, N, N, NULL);
        float *grads = floats(m.p->n_floats);
        memcpy(grads, m.grads, am_params_bytes(m.p));
        assert_true(norm_of(grads, m.p->n_floats) > 0);
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct am_pool *pool;
            MUST(am_pool_new(threads, &pool, err));
            memset(m.grads, 0, am_params_bytes(m.p));
            const double got = train(&m, x, target, N, N + 40 * threads, pool);
            assert_memory_equal(&got, &want, sizeof got);
            assert_memory_equal(m.grads, grads, am_params_bytes(m.p));
            am_pool_free(pool);
        }
        am_free(grads);
        tear_down(&m);
    }
    am_free(x);
    am_free(target);
}

static void predict(const struct model *m, const struct am_kernels *kern, const float *x, size_t n,
                    float *y)
{
    struct am_plan *plan;
    struct am_session *s;
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = n ? n : 1, .kernels = kern};
    MUST(am_plan_build(m->g, m->p, &o, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    MUST(am_session_run(s, n, x, y, err));
    am_session_free(s);
    am_plan_put(plan);
}

/* A row alone and in a batch; what lies beyond its length is never read. */
static void a_row_stands_for_itself(void **state)
{
    (void)state;
    enum { N = 23, ROW = T * C + 1 };
    float *x = rows_of(N), *y = floats((size_t)N * 3), one[3];
    for (size_t k = 0; k < 3; k++)
        for (size_t t = 0; t < 3; t++) {
            struct model m;
            const struct am_kernels *kern = am_kernels_find(all_tables[t]);
            if (!kern)
                continue;
            set_up(&m, layers[k], 19);
            predict(&m, kern, x, N, y);
            for (size_t i = 0; i < N; i++) {
                float row[ROW];
                memcpy(row, x + i * ROW, sizeof row);
                for (size_t e = 0; e < T * C; e++)
                    if ((float)(e / C) >= row[T * C])
                        row[e] = 1e6f;
                predict(&m, kern, row, 1, one);
                assert_memory_equal(one, y + i * 3, sizeof one);
            }
            tear_down(&m);
        }
    am_free(x);
    am_free(y);
}

/* NaN, negative and 0 are no steps, fractions are cut, infinity is all steps. */
static void lengths_that_are_none(void **state)
{
    (void)state;
    enum { N = 7, ROW = T * C + 1 };
    const float given[N] = {NAN, -3, 0, 2.9f, 2, INFINITY, T};
    float *x = rows_of(N), y[N * 3];
    struct model m;
    for (size_t i = 0; i < N; i++) {
        memcpy(x + i * ROW, x, (ROW - 1) * sizeof *x);
        x[i * ROW + ROW - 1] = given[i];
    }
    set_up(&m, am_layer_gru, 6);
    predict(&m, am_kernels_best(), x, N, y);
    assert_memory_equal(y, y + 3, 3 * sizeof *y);
    assert_memory_equal(y, y + 6, 3 * sizeof *y);
    assert_memory_equal(y + 9, y + 12, 3 * sizeof *y);
    assert_memory_equal(y + 15, y + 18, 3 * sizeof *y);
    assert_true(memcmp(y, y + 9, 3 * sizeof *y) != 0 && memcmp(y + 9, y + 15, 12) != 0);
    tear_down(&m);
    am_free(x);
}

static void lengths_of_token_ids(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    MUST(am_graph_new(&g, err));
    const am_value ids = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 4));
    am_graph_output(g, "y", am_layer_lengths(g, ids));
    MUST(am_graph_check(g, err));
    MUST(am_params_new(g, &p, err));
    const struct model m = {.g = g, .p = p};
    const float x[12] = {3, 1, 2, 0, 0, 0, 0, 0, 5, 6, 7, 8};
    float y[3];
    predict(&m, am_kernels_best(), x, 3, y);
    assert_true(y[0] == 3 && y[1] == 0 && y[2] == 4);
    am_params_free(p);
    am_graph_free(g);
}

static void names_and_storing(void **state)
{
    (void)state;
    static const char *const names[] = {
        "net.weight_ih_l0", "net.weight_hh_l0",         "net.bias_ih_l0",        "net.bias_hh_l0",
        "net.bias_hh_l1",   "net.weight_ih_l1_reverse", "net.bias_ih_l0_reverse"};
    for (size_t k = 0; k < 3; k++) {
        struct model m;
        struct am_graph *again;
        struct am_node *node;
        struct am_arena *a = am_arena_new(0);
        float *x = rows_of(4), y[12], z[12];
        set_up(&m, layers[k], 6);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            assert_non_null(am_params_find(m.p, am_str(names[i])));
        MUST(am_graph_to_node(m.g, a, &node, err));
        MUST(am_graph_from_node(node, &again, err));
        predict(&m, am_kernels_best(), x, 4, y);
        am_graph_free(m.g);
        m.g = again;
        predict(&m, am_kernels_best(), x, 4, z);
        assert_memory_equal(y, z, sizeof y);
        tear_down(&m);
        am_arena_free(a);
        am_free(x);
    }
}

static void refused(am_value (*build)(struct am_graph *g, am_value x), const char *part)
{
    struct am_graph *g;
    struct am_err e;
    am_err_clear(&e);
    MUST(am_graph_new(&g, err));
    const am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 6));
    assert_true(build(g, x) == AM_VALUE_NONE);
    assert_int_equal(am_graph_check(g, &e), AM_EINVAL);
    if (!strstr(e.message, part)) {
        print_error("\"%s\" lacks \"%s\"\n", e.message, part);
        fail();
    }
    am_graph_free(g);
}

static am_value three_by_two(struct am_graph *g, am_value x)
{
    const int64_t dims[2] = {3, 2};
    return am_layer_reshape(g, x, dims, 2, "steps");
}
static am_value bad_rank(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.lengths = AM_VALUE_NONE};
    return am_layer_lstm(g, x, 3, &o, "mine");
}
static am_value bad_units(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.lengths = AM_VALUE_NONE};
    return am_layer_gru(g, three_by_two(g, x), 0, &o, "mine");
}
static am_value bad_act(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.lengths = AM_VALUE_NONE, .act = AM_ACT_GELU};
    return am_layer_rnn(g, three_by_two(g, x), 2, &o, "mine");
}
static am_value bad_lengths(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.lengths = x};
    return am_layer_rnn(g, three_by_two(g, x), 2, &o, "mine");
}
static am_value bad_weight(struct am_graph *g, am_value x)
{
    const struct am_param_spec spec = {AM_INIT_ZEROS, 0, 0};
    const am_value in[2] = {three_by_two(g, x), am_graph_param(g, "w", am_dims2(2, 7), &spec)};
    return am_graph_add(g, &am_op_lstm, in, 2, NULL, "mine");
}
static am_value bad_pool(struct am_graph *g, am_value x)
{
    return am_layer_seq_pool(g, x, AM_SEQ_POOL_MEAN, AM_VALUE_NONE);
}
static am_value bad_attention(struct am_graph *g, am_value x)
{
    return am_layer_attention_pool(g, x, 2, AM_VALUE_NONE, "mine");
}
static am_value bad_ids(struct am_graph *g, am_value x)
{
    return am_layer_lengths(g, three_by_two(g, x));
}

static void shape_errors(void **state)
{
    (void)state;
    refused(bad_rank, "layer \"mine\" needs a sequence [B,T,C] and at least one unit, not [B,6]");
    refused(bad_units, "at least one unit, not [B,3,2] and 0");
    refused(bad_act, "tanh or relu");
    refused(bad_lengths, "lengths must be a column [B,1]");
    refused(bad_weight, "(lstm \"mine\") with inputs [B,3,2] [2,7]");
    refused(bad_pool, "must be a sequence [B,T,C]");
    refused(bad_attention, "layer \"mine\" needs a sequence");
    refused(bad_ids, "token ids must be a matrix [B,T]");
}

static enum am_rc build_all(struct am_err *err)
{
    struct am_graph *g = graph_of(am_layer_lstm, 3, err);
    if (!g)
        return err->rc;
    struct am_params *p = NULL;
    struct am_plan *plan = NULL;
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    enum am_rc rc = am_params_new(g, &p, err);
    if (rc == AM_OK)
        rc = am_train_plan_build(g, p, &spec, 4, &plan, err);
    am_plan_put(plan);
    am_params_free(p);
    am_graph_free(g);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct am_err e;
    AM_OOM_LOOP(build_all(&e), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_for_any_threads_and_bucket),
        cmocka_unit_test(a_row_stands_for_itself),
        cmocka_unit_test(lengths_that_are_none),
        cmocka_unit_test(lengths_of_token_ids),
        cmocka_unit_test(names_and_storing),
        cmocka_unit_test(shape_errors),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
