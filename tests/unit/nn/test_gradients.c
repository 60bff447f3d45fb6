/* Gradient checks: every differentiable op's analytic gradient against central differences of the
 * loss computed by ref; every table against ref; the same bits for 1, 2 and 3 threads and for any
 * bucket; the empty batch. */
#include "nn_test.h"

#include "base/pool.h"
#include "nn/ops/op.h"
#include "seq_models.h"
#include "shape_models.h"

#define COLS 7

typedef am_value model_fn(struct am_graph *g, am_value x);

static am_value dense(struct am_graph *g, am_value x, int64_t n, enum am_act act, const char *name)
{
    const struct am_dense_options o = {.act = act, .init = AM_INIT_NORMAL, .init_scale = 0.5f};
    return am_layer_dense(g, x, n, &o, name);
}

/* One model an op; each ends in columns that the loss can use. */
#define ACT_MODEL(NAME, ACT)                                                                       \
    static am_value m_##NAME(struct am_graph *g, am_value x)                                       \
    {                                                                                              \
        return dense(g, dense(g, x, 11, ACT, "a"), 3, AM_ACT_NONE, "b");                           \
    }
ACT_MODEL(leaky_relu, AM_ACT_LEAKY_RELU)
ACT_MODEL(elu, AM_ACT_ELU)
ACT_MODEL(gelu, AM_ACT_GELU)
ACT_MODEL(gelu_tanh, AM_ACT_GELU_TANH)
ACT_MODEL(silu, AM_ACT_SILU)
ACT_MODEL(sigmoid, AM_ACT_SIGMOID)
ACT_MODEL(tanh, AM_ACT_TANH)
ACT_MODEL(softmax, AM_ACT_SOFTMAX)
ACT_MODEL(linear, AM_ACT_NONE)

static am_value m_dropout(struct am_graph *g, am_value x)
{
    am_value h = am_layer_dropout(g, dense(g, x, 13, AM_ACT_TANH, "a"), 0.3f);
    return dense(g, am_layer_dropout(g, h, 0.2f), 3, AM_ACT_NONE, "b");
}
static am_value m_batch_norm(struct am_graph *g, am_value x)
{
    am_value h = am_layer_batch_norm(g, dense(g, x, 6, AM_ACT_NONE, "a"), 1e-2f, 0.1f, "n");
    return dense(g, am_layer_activation(g, h, AM_ACT_TANH, 0), 3, AM_ACT_NONE, "b");
}
static am_value m_layer_norm(struct am_graph *g, am_value x)
{
    am_value h = am_layer_layer_norm(g, dense(g, x, 6, AM_ACT_NONE, "a"), 1e-2f, "n");
    return dense(g, am_layer_activation(g, h, AM_ACT_TANH, 0), 3, AM_ACT_NONE, "b");
}
static am_value m_embedding(struct am_graph *g, am_value x)
{
    am_value e = am_layer_embedding(g, am_layer_columns(g, x, 5, 2), 4, 3, "e");
    const am_value parts[2] = {e, am_layer_columns(g, x, 0, 5)};
    return dense(g, am_layer_concat(g, parts, 2), 3, AM_ACT_NONE, "b");
}
static am_value m_residual(struct am_graph *g, am_value x)
{
    am_value h = am_layer_add(g, dense(g, x, COLS, AM_ACT_TANH, "a"), x);
    h = am_layer_mul(g, h, dense(g, h, COLS, AM_ACT_SIGMOID, "c"));
    h = am_layer_add(g, h, am_layer_scale(g, h, -0.5f, 0.25f));
    const am_value parts[3] = {h, am_layer_columns(g, h, 2, 3), h};
    return dense(g, am_layer_concat(g, parts, 3), 3, AM_ACT_NONE, "b");
}
/* one parameter in two places: its gradients add up */
static am_value m_shared(struct am_graph *g, am_value x)
{
    const struct am_param_spec spec = {AM_INIT_NORMAL, 0.5f, AM_PARAM_DECAY};
    const am_value w = am_graph_param(g, "w", am_dims2(COLS, COLS), &spec);
    const am_value first[2] = {x, w};
    am_value h = am_graph_add(g, &am_op_linear, first, 2, NULL, NULL);
    h = am_layer_activation(g, h, AM_ACT_TANH, 0);
    const am_value second[2] = {h, w};
    h = am_graph_add(g, &am_op_linear, second, 2, NULL, NULL);
    return am_layer_columns(g, h, 1, 3);
}

static const struct {
    const char *name;
    model_fn *fn;
} models[] = {{"linear", m_linear},
              {"leaky_relu", m_leaky_relu},
              {"elu", m_elu},
              {"gelu", m_gelu},
              {"gelu_tanh", m_gelu_tanh},
              {"silu", m_silu},
              {"sigmoid", m_sigmoid},
              {"tanh", m_tanh},
              {"softmax", m_softmax},
              {"dropout", m_dropout},
              {"batch_norm", m_batch_norm},
              {"layer_norm", m_layer_norm},
              {"embedding", m_embedding},
              {"residual", m_residual},
              {"shared", m_shared},
              SEQ_MODELS,
              {"max_pool", m_max_pool},
              {"average_pool", m_average_pool},
              {"pool1d", m_pool1d},
              {"global_pool", m_global_pool},
              {"bilinear", m_bilinear},
              {"moves", m_moves},
              {"group_norm", m_group_norm},
              {"batch_norm2d", m_batch_norm2d},
              {"dropout2d", m_dropout2d},
              {"tokens", m_tokens},
              {"frames", m_frames}};
#define N_MODELS (sizeof models / sizeof models[0])

struct rig {
    struct am_graph *g;
    struct am_params *p;
    float *x, *target, *weight, *grads;
    size_t rows;
    struct am_loss_spec spec;
};

static void set_up(struct rig *r, model_fn *fn, enum am_loss_kind kind, size_t rows)
{
    static const float class_weights[3] = {0.5f, 1.0f, 2.0f};
    memset(r, 0, sizeof *r);
    r->rows = rows;
    MUST(am_graph_new(&r->g, err));
    am_value y = fn(r->g, am_graph_input(r->g, "x", am_dims2(AM_DIM_BATCH, COLS)));
    if (kind == AM_LOSS_CATEGORICAL)
        y = am_layer_activation(r->g, y, AM_ACT_SOFTMAX, 0);
    else if (kind == AM_LOSS_BINARY)
        y = am_layer_activation(r->g, y, AM_ACT_SIGMOID, 0);
    am_graph_output(r->g, "y", y);
    MUST(am_params_new(r->g, &r->p, err));
    am_params_init(r->p, 11);
    for (size_t k = 0; k < r->p->n_params; k++) /* biases and norms away from their flat starts */
        for (size_t i = 0; i < r->p->table[k].n && !(r->p->table[k].flags & AM_PARAM_FROZEN); i++)
            am_param_data(r->p, k)[i] += 0.1f * (float)((i * 5 + k) % 7) - 0.3f;
    MUST(am_params_twin(r->p, &r->grads, err));
    r->x = normals(rows * COLS, 21);
    r->weight = floats(rows);
    const bool classes = kind == AM_LOSS_CATEGORICAL;
    r->target = normals(rows * 3, 22);
    for (size_t i = 0; i < rows; i++) {
        r->weight[i] = (float)(i % 4) * 0.5f + 0.25f;
        for (size_t j = 0; j < 2; j++) /* ids for the embedding, some outside the table */
            r->x[i * COLS + 5 + j] = (float)((i * 3 + j) % 5);
    }
    for (size_t i = 0;
         i < rows * 3 && kind != AM_LOSS_MSE && kind != AM_LOSS_MAE && kind != AM_LOSS_HUBER; i++)
        r->target[i] = (float)(i % (classes ? 3 : 2));
    r->spec = (struct am_loss_spec){.kind = kind, .delta = 0.6f, .margin = 1.0f};
    if (classes || kind == AM_LOSS_BINARY) {
        r->spec.label_smoothing = 0.1f;
        r->spec.class_weights = class_weights;
        r->spec.n_class_weights = classes ? 3 : 2;
    }
}

static void tear_down(struct rig *r)
{
    am_free(r->x);
    am_free(r->target);
    am_free(r->weight);
    am_free(r->grads);
    am_params_free(r->p);
    am_graph_free(r->g);
}

/* One training run; running statistics are put back. Returns the loss. */
static double train_once(struct rig *r, const char *table, struct am_pool *pool, size_t bucket)
{
    struct am_plan *plan;
    struct am_session *s;
    const struct am_kernels *kern = am_kernels_find(table);
    float *before = floats(r->p->n_floats);
    memcpy(before, r->p->data, am_params_bytes(r->p));
    MUST(am_train_plan_build_with(r->g, r->p, &r->spec, bucket, kern, &plan, err));
    MUST(am_session_new(plan, pool, &s, err));
    struct am_session_io io = {.n_rows = r->rows,
                               .x = r->x,
                               .target = r->target,
                               .weight = r->weight,
                               .params = r->p->data,
                               .grads = r->grads,
                               .seed = 5,
                               .step = 3};
    MUST(am_session_run_io(s, &io, err));
    memcpy(r->p->data, before, am_params_bytes(r->p));
    am_free(before);
    am_session_free(s);
    am_plan_put(plan);
    return io.loss;
}

/* The loss alone, with training's dropout and batch statistics: a training plan run for its loss.
 */
struct probe {
    struct am_plan *plan;
    struct am_session *s;
    float *grads, *params;
};

static double loss_at(struct rig *r, struct probe *q, size_t at, float delta)
{
    memcpy(q->params, r->p->data, am_params_bytes(r->p));
    q->params[at] += delta;
    struct am_session_io io = {.n_rows = r->rows,
                               .x = r->x,
                               .target = r->target,
                               .weight = r->weight,
                               .params = q->params,
                               .grads = q->grads,
                               .seed = 5,
                               .step = 3};
    MUST(am_session_run_io(q->s, &io, err));
    return io.loss;
}

static bool check_param(struct rig *r, struct probe *q, size_t k, const char *name)
{
    const struct am_param *p = &r->p->table[k];
    const float h = 1.0f / 128;
    double d = 0, w = 0;
    for (size_t i = 0; i < p->n; i++) {
        const size_t at = p->offset + i;
        const double want = (loss_at(r, q, at, h) - loss_at(r, q, at, -h)) / (2 * (double)h);
        const double got = (double)r->grads[at];
        d += (got - want) * (got - want);
        w += want * want;
    }
    const double limit = 2e-3 * sqrt(w) + 2e-4;
    if (sqrt(d) <= limit)
        return true;
    print_error("%s, loss %s, %s: gradient off by %g of %g\n", name, am_loss_name(r->spec.kind),
                p->name.ptr, sqrt(d), sqrt(w));
    return false;
}

static bool check_differences(size_t m, enum am_loss_kind kind)
{
    struct rig r;
    struct probe q;
    bool ok = true;
    set_up(&r, models[m].fn, kind, 5);
    (void)train_once(&r, "ref", NULL, r.rows);
    MUST(am_train_plan_build_with(r.g, r.p, &r.spec, r.rows, &am_kernels_ref, &q.plan, err));
    MUST(am_session_new(q.plan, NULL, &q.s, err));
    MUST(am_params_twin(r.p, &q.grads, err));
    MUST(am_params_twin(r.p, &q.params, err));
    for (size_t k = 0; k < r.p->n_params; k++)
        if (!(r.p->table[k].flags & AM_PARAM_FROZEN))
            ok &= check_param(&r, &q, k, models[m].name);
    am_session_free(q.s);
    am_plan_put(q.plan);
    am_free(q.grads);
    am_free(q.params);
    tear_down(&r);
    return ok;
}

static void central_differences(void **state)
{
    (void)state;
    bool ok = true;
    for (size_t m = 0; m < N_MODELS; m++) {
        ok &= check_differences(m, AM_LOSS_MSE);
        ok &= check_differences(m, AM_LOSS_CATEGORICAL);
    }
    ok &= check_differences(0, AM_LOSS_BINARY);
    ok &= check_differences(0, AM_LOSS_HUBER);
    ok &= check_differences(7, AM_LOSS_MAE);
    ok &= check_differences(7, AM_LOSS_HINGE);
    assert_true(ok);
}

static void tables_agree_with_ref(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 2, 3, 17, 64, 131};
    for (size_t m = 0; m < N_MODELS; m++)
        for (size_t i = 0; i < 6; i++)
            for (size_t t = 1; t < 3; t++) {
                struct rig r;
                if (!am_kernels_find(all_tables[t]))
                    continue;
                if (strncmp(models[m].name, "batch_norm", 10) == 0 && rows[i] < 3)
                    continue; /* gradients of rounding only */
                set_up(&r, models[m].fn, i % 2 ? AM_LOSS_MSE : AM_LOSS_CATEGORICAL, rows[i]);
                const double want = train_once(&r, "ref", NULL, rows[i]);
                float *grads = floats(r.p->n_floats);
                memcpy(grads, r.grads, am_params_bytes(r.p));
                memset(r.grads, 0, am_params_bytes(r.p));
                const double got = train_once(&r, all_tables[t], NULL, rows[i]);
                if (fabs(got - want) > 1e-5 * fabs(want) ||
                    distance(r.grads, grads, r.p->n_floats) >
                        1e-5 * norm_of(grads, r.p->n_floats)) {
                    print_error("%s by %s, %zu rows: loss %g, not %g; gradients off by %g\n",
                                models[m].name, all_tables[t], rows[i], got, want,
                                distance(r.grads, grads, r.p->n_floats));
                    fail();
                }
                am_free(grads);
                tear_down(&r);
            }
}

/* Wide enough that the steps go over the pool. */
static am_value m_wide(struct am_graph *g, am_value x)
{
    am_value h = dense(g, x, 301, AM_ACT_RELU, "a");
    h = am_layer_dropout(
        g, am_layer_batch_norm(g, dense(g, h, 257, AM_ACT_NONE, "b"), 1e-5f, 0.1f, "n"), 0.5f);
    return dense(g, dense(g, h, 290, AM_ACT_GELU, "c"), 3, AM_ACT_NONE, "d");
}

static void same_bits_of(model_fn *model)
{
    struct rig r;
    set_up(&r, model, AM_LOSS_CATEGORICAL, 263);
    const double want = train_once(&r, am_kernels_best()->name, NULL, 263);
    float *grads = floats(r.p->n_floats);
    memcpy(grads, r.grads, am_params_bytes(r.p));
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct am_pool *pool;
        MUST(am_pool_new(threads, &pool, err));
        for (size_t spare = 0; spare < 600; spare += 299) {
            memset(r.grads, 0, am_params_bytes(r.p));
            const double got = train_once(&r, am_kernels_best()->name, pool, 263 + spare);
            assert_memory_equal(&got, &want, sizeof got);
            assert_memory_equal(r.grads, grads, am_params_bytes(r.p));
        }
        am_pool_free(pool);
    }
    am_free(grads);
    tear_down(&r);
}

static void same_bits_for_any_threads_and_bucket(void **state)
{
    (void)state;
    same_bits_of(m_wide);
    same_bits_of(m_wide_picture);
    same_bits_of(m_frames);
}

static void empty_batch(void **state)
{
    (void)state;
    for (size_t m = 0; m < N_MODELS; m++)
        for (size_t t = 0; t < 3; t++) {
            struct rig r;
            if (!am_kernels_find(all_tables[t]))
                continue;
            set_up(&r, models[m].fn, AM_LOSS_CATEGORICAL, 4);
            r.rows = 0;
            for (size_t k = 0; k < r.p->n_params; k++)
                for (size_t i = 0; i < r.p->table[k].n; i++)
                    r.grads[r.p->table[k].offset + i] =
                        r.p->table[k].flags & AM_PARAM_FROZEN ? 0.0f : 7.0f;
            assert_true(train_once(&r, all_tables[t], NULL, 4) == 0.0);
            if (norm_of(r.grads, r.p->n_floats) != 0.0) {
                print_error("%s by %s: gradients of no rows are not 0\n", models[m].name,
                            all_tables[t]);
                fail();
            }
            tear_down(&r);
        }
}

/* All weights 0: loss 0 and gradients 0, not NaN. */
static void weightless_batch(void **state)
{
    (void)state;
    struct rig r;
    set_up(&r, m_tanh, AM_LOSS_MSE, 4);
    memset(r.weight, 0, 4 * sizeof(float));
    assert_true(train_once(&r, am_kernels_best()->name, NULL, 4) == 0.0);
    assert_true(norm_of(r.grads, r.p->n_floats) == 0.0);
    tear_down(&r);
}

static void dropout_follows_seed_and_step(void **state)
{
    (void)state;
    struct rig r;
    struct am_plan *plan;
    struct am_session *s;
    double loss[4];
    set_up(&r, m_dropout, AM_LOSS_MSE, 32);
    MUST(am_train_plan_build(r.g, r.p, &r.spec, 32, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    for (uint64_t i = 0; i < 4; i++) {
        struct am_session_io io = {.n_rows = 32,
                                   .x = r.x,
                                   .target = r.target,
                                   .params = r.p->data,
                                   .grads = r.grads,
                                   .seed = i == 2 ? 8 : 7,
                                   .step = i == 1 ? 1 : 0};
        MUST(am_session_run_io(s, &io, err));
        loss[i] = io.loss;
    }
    assert_true(loss[0] != loss[1] && loss[0] != loss[2] && loss[0] == loss[3]);
    am_session_free(s);
    am_plan_put(plan);
    tear_down(&r);
}

static void frozen_parameters_get_no_gradient(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    float *grads;
    MUST(am_graph_new(&g, err));
    const struct am_param_spec frozen = {AM_INIT_ONES, 0, AM_PARAM_FROZEN};
    am_value in[2] = {am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 2)),
                      am_graph_param(g, "w", am_dims2(2, 3), &frozen)};
    am_value h = dense(g, in[0], 3, AM_ACT_NONE, "live");
    const am_value two[2] = {am_graph_add(g, &am_op_linear, in, 2, NULL, NULL), h};
    am_graph_output(g, "y", am_layer_add(g, two[0], two[1]));
    MUST(am_params_new(g, &p, err));
    am_params_init(p, 1);
    MUST(am_params_twin(p, &grads, err));
    for (size_t i = 0; i < p->n_floats; i++)
        grads[i] = 5.0f;
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    MUST(am_train_plan_build(g, p, &spec, 2, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    const float x[4] = {1, 2, 3, 4}, t[6] = {0};
    struct am_session_io io = {.n_rows = 2, .x = x, .target = t, .params = p->data, .grads = grads};
    MUST(am_session_run_io(s, &io, err));
    assert_true(grads[am_params_find(p, AM_STR("w"))->offset] == 5.0f);
    assert_true(grads[am_params_find(p, AM_STR("live.weight"))->offset] != 5.0f);
    am_session_free(s);
    am_plan_put(plan);
    am_free(grads);
    am_params_free(p);
    am_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(central_differences),
                                       cmocka_unit_test(tables_agree_with_ref),
                                       cmocka_unit_test(same_bits_for_any_threads_and_bucket),
                                       cmocka_unit_test(empty_batch),
                                       cmocka_unit_test(weightless_batch),
                                       cmocka_unit_test(dropout_follows_seed_and_step),
                                       cmocka_unit_test(frozen_parameters_get_no_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
