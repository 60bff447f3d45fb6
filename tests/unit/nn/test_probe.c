/* Looking inside: the gradient of an output by the input against central differences for pictures,
 * sequences and plain rows; what a convolution answers; token ids have no gradient. */
#include "nn_test.h"

#include "nn/layers_conv.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"
#include "nn/probe.h"

#define ROWS 3

typedef am_value model_fn(struct am_graph *g, am_value x);

static am_value dense(struct am_graph *g, am_value x, int64_t n, enum am_act act, const char *name)
{
    const struct am_dense_options o = {.act = act, .init = AM_INIT_NORMAL, .init_scale = 0.5f};
    return am_layer_dense(g, x, n, &o, name);
}

static am_value m_picture(struct am_graph *g, am_value x)
{
    const struct am_conv_options o = {.kernel = {3, 3},
                                      .same = true,
                                      .act = AM_ACT_RELU,
                                      .init = AM_INIT_NORMAL,
                                      .init_scale = 0.4f};
    const struct am_conv_options bare = {
        .kernel = {2, 2}, .bias = AM_BIAS_NO, .init = AM_INIT_NORMAL, .init_scale = 0.4f};
    const struct am_pool_options pool = {.how = AM_POOLING_MAX, .kernel = {2, 2}};
    am_value h = am_layer_reshape(g, x, (const int64_t[]){6, 6, 2}, 3, "in");
    h = am_layer_conv2d(g, h, 5, &o, "first");
    h = am_layer_pool2d(g, am_layer_dropout2d(g, h, 0.5f), &pool, "pool");
    h = am_layer_conv2d(g, h, 4, &bare, "second");
    h = am_layer_activation(g, am_layer_batch_norm(g, h, 1e-2f, 0.1f, "norm"), AM_ACT_TANH, 0);
    h = am_layer_dropout(g, am_layer_flatten(g, h, "flat"), 0.5f);
    return dense(g, h, 3, AM_ACT_SOFTMAX, "out");
}

static am_value m_lstm(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.direction = AM_SEQ_BIDIRECTIONAL, .lengths = AM_VALUE_NONE};
    am_value h = am_layer_reshape(g, x, (const int64_t[]){12, 6}, 2, "in");
    return dense(g, am_layer_lstm(g, h, 4, &o, "cell"), 1, AM_ACT_SIGMOID, "out");
}

static am_value m_gru(struct am_graph *g, am_value x)
{
    const struct am_seq_options o = {.lengths = AM_VALUE_NONE};
    am_value h = am_layer_reshape(g, x, (const int64_t[]){12, 6}, 2, "in");
    return dense(g, am_layer_gru(g, h, 4, &o, "cell"), 2, AM_ACT_NONE, "out");
}

static am_value m_tokens(struct am_graph *g, am_value x)
{
    am_value e = am_layer_tokens(g, x, 9, 3, "words");
    return dense(g, am_layer_flatten(g, e, "flat"), 2, AM_ACT_SOFTMAX, "out");
}

struct made {
    struct am_graph *g;
    struct am_params *params;
};

static struct made make(model_fn *model, int64_t width)
{
    struct made m;
    MUST(am_graph_new(&m.g, err));
    am_value x = am_graph_input(m.g, "x", am_dims2(AM_DIM_BATCH, width));
    am_graph_output(m.g, "y", model(m.g, x));
    MUST(am_graph_check(m.g, err));
    MUST(am_params_new(m.g, &m.params, err));
    am_params_init(m.params, 11);
    for (size_t k = 0; k < m.params->n_params; k++) /* running statistics that are not 0 and 1 */
        for (size_t i = 0; i < m.params->table[k].n; i++)
            if (m.params->table[k].flags & AM_PARAM_STATE)
                am_param_data(m.params, k)[i] += 0.25f * (float)(i + 1);
    return m;
}

static void clear(struct made *m)
{
    am_graph_free(m->g);
    am_params_free(m->params);
}

static void run(struct am_plan *plan, size_t n, const float *x, float *y)
{
    struct am_session *s;
    MUST(am_session_new(plan, NULL, &s, err));
    MUST(am_session_run(s, n, x, y, err));
    am_session_free(s);
}

/* What goes into the closing softmax or sigmoid, by running the graph without it. */
static void check_gradient(model_fn *model, size_t width, size_t n_out, size_t column)
{
    struct made m = make(model, (int64_t)width);
    struct am_plan *gradient, *value;
    const am_value y = am_graph_find_output(m.g, "y");
    const bool squashed = n_out != 2;
    float *x = normals(ROWS * width, 5), *dx = floats(ROWS * width), *moved = floats(ROWS * width);
    float high[ROWS * 3], low[ROWS * 3];
    MUST(am_probe_gradient_plan(m.g, m.params, column, ROWS, &gradient, err));
    MUST(am_probe_value_plan(m.g, m.params, squashed ? am_graph_node(m.g, y)->in[0] : y, ROWS,
                             &value, err));
    run(gradient, ROWS, x, dx);
    double worst = 0, size = norm_of(dx, ROWS * width);
    for (size_t j = 0; j < width; j++) {
        const float step = 1e-2f;
        for (int side = 0; side < 2; side++) {
            memcpy(moved, x, ROWS * width * sizeof *x);
            for (size_t i = 0; i < ROWS; i++)
                moved[i * width + j] += side ? -step : step;
            run(value, ROWS, moved, side ? low : high);
        }
        for (size_t i = 0; i < ROWS; i++) {
            double want = ((double)high[i * n_out + column] - (double)low[i * n_out + column]) /
                          (2 * (double)step);
            worst = fmax(worst, fabs(want - (double)dx[i * width + j]));
        }
    }
    assert_true(size > 0.1);
    assert_true(worst < 5e-3 * fmax(1, size));
    /* a row alone has the same gradient */
    run(gradient, 1, x + width, moved);
    assert_memory_equal(moved, dx + width, width * sizeof *dx);
    am_plan_put(gradient);
    am_plan_put(value);
    am_free(x);
    am_free(dx);
    am_free(moved);
    clear(&m);
}

static void gradients_by_the_input(void **state)
{
    (void)state;
    check_gradient(m_picture, 72, 3, 0);
    check_gradient(m_picture, 72, 3, 2);
    check_gradient(m_lstm, 72, 1, 0);
    check_gradient(m_gru, 72, 2, 1);
}

static void ids_have_none(void **state)
{
    (void)state;
    struct made m = make(m_tokens, 7);
    struct am_plan *plan;
    struct am_err err;
    assert_int_equal(am_probe_gradient_plan(m.g, m.params, 0, 1, &plan, &err), AM_EUNSUPPORTED);
    assert_null(plan);
    clear(&m);
}

/* By hand: the first convolution at one place; the second one's value is after norm and tanh. */
static void layers_answer(void **state)
{
    (void)state;
    struct made m = make(m_picture, 72);
    struct am_arena *a = am_arena_new(0);
    const struct am_probe_layer *layers;
    struct am_plan *plan;
    size_t n;
    float *x = normals(72, 5), y[180];
    MUST(am_probe_convolutions(m.g, a, &layers, &n, err));
    assert_int_equal(n, 2);
    assert_true(am_str_is(layers[0].name, "first") && am_str_is(layers[1].name, "second"));
    assert_true(layers[0].dims.rank == 4 && layers[0].dims.d[3] == 5);
    MUST(am_probe_value_plan(m.g, m.params, layers[0].value, 1, &plan, err));
    assert_int_equal(am_plan_n_outputs(plan), 180);
    run(plan, 1, x, y);
    const float *w = am_param_data(m.params, 0), *b = am_param_data(m.params, 1);
    double sum = (double)b[3];
    for (size_t ky = 0; ky < 3; ky++)
        for (size_t kx = 0; kx < 3; kx++)
            for (size_t c = 0; c < 2; c++)
                sum += (double)x[((1 + ky) * 6 + 3 + kx) * 2 + c] *
                       (double)w[((ky * 3 + kx) * 2 + c) * 5 + 3];
    assert_true(fabs(fmax(sum, 0) - (double)y[(2 * 6 + 4) * 5 + 3]) < 1e-5);
    am_plan_put(plan);
    MUST(am_probe_value_plan(m.g, m.params, layers[1].value, 1, &plan, err));
    run(plan, 1, x, y);
    for (size_t i = 0; i < 16; i++)
        assert_true(y[i] > -1 && y[i] < 1);
    am_plan_put(plan);
    am_free(x);
    am_arena_free(a);
    clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_by_the_input),
                                       cmocka_unit_test(ids_have_none),
                                       cmocka_unit_test(layers_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
