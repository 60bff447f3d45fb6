/* Training against PyTorch: statistics of batch norm for averaged weights (swa_utils.update_bn),
 * the loss of mixed targets and its gradients; gradients of mixed losses by differences. Goldens:
 * tests/golden/train_goldens.py. */
#include "nn_test.h"

#include "base/fs.h"
#include "base/pool.h"
#include "base/tree.h"
#include "nn/layers_conv.h"
#include "nn/layers_shape.h"
#include "nn/train_norm.h"
#include "tests/support/faults.h"
#include "tests/support/formula.h"

static struct am_node *goldens;

static void close_to(const struct am_node *want, const float *got, const char *what)
{
    assert_non_null(want);
    for (size_t i = 0; i < want->list.n; i++) {
        double v = 0;
        assert_true(am_node_as_f64(want->list.items[i], &v));
        if (!(fabs(v - (double)got[i]) < 2e-6 + 2e-6 * fabs(v)))
            fail_msg("%s[%zu]: %.9g, but PyTorch has %.9g", what, i, (double)got[i], v);
    }
}

/* ---- update_bn ---- */

static struct am_graph *net(void)
{
    const struct am_conv_options conv = {.kernel = {3, 3}, .same = true, .bias = AM_BIAS_YES};
    const struct am_dense_options dense = {.init = AM_INIT_GLOROT_UNIFORM};
    const int64_t dims[3] = {6, 5, 2};
    struct am_graph *g;
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 60));
    x = am_layer_conv2d(g, am_layer_reshape(g, x, dims, 3, "x"), 3, &conv, "c");
    x = am_layer_activation(g, am_layer_batch_norm(g, x, 1e-5f, 0.1f, "n1"), AM_ACT_RELU, 0);
    x = am_layer_dense(g, am_layer_flatten(g, x, "f"), 6, &dense, "d");
    am_graph_output(g, "y", am_layer_batch_norm(g, x, 1e-5f, 0.1f, "n2"));
    MUST(am_graph_check(g, err));
    return g;
}

static bool is_scale(struct am_str s)
{
    return am_str_ends(s, AM_STR("running_var")) ||
           (am_str_ends(s, AM_STR("weight")) && s.ptr[0] == 'n');
}

static void fill(struct am_params *p)
{
    for (size_t k = 0; k < p->n_params; k++)
        for (size_t i = 0; i < p->table[k].n; i++)
            am_param_data(p, k)[i] =
                (float)(draw(i, (uint32_t)k) + (is_scale(p->table[k].name) ? 1 : 0));
}

static struct am_matrix *rows_of(size_t n)
{
    struct am_matrix *m;
    float x[60], y[6] = {0};
    MUST(am_matrix_new(60, 6, NULL, &m, err));
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 60; k++)
            x[k] = (float)(4 * draw(i * 60 + k, 20));
        MUST(am_matrix_append(m, 1, x, y, NULL, err));
    }
    MUST(am_matrix_finish(m, err));
    return m;
}

static void refresh(const struct am_graph *g, struct am_params *p, const struct am_matrix *m,
                    size_t batch, unsigned threads)
{
    const struct am_loss_spec loss = {.kind = AM_LOSS_MSE};
    struct am_pool *pool = NULL;
    struct am_norms *n;
    struct am_feed feed;
    float *scratch;
    if (threads > 1)
        MUST(am_pool_new(threads, &pool, err));
    MUST(am_norms_new(g, p, &loss, 16, pool, &n, err));
    assert_non_null(n);
    assert_true(am_norms_bytes(n) > 0);
    MUST(am_feed_init(&feed, am_matrix_data(m), batch, AM_TRAIN_IN_ORDER, 1, pool, err));
    MUST(am_params_twin(p, &scratch, err));
    MUST(am_norms_refresh(n, &feed, 0, 1, p->data, scratch, err));
    am_free(scratch);
    am_feed_clear(&feed);
    am_norms_free(n);
    am_pool_free(pool);
}

static void test_update_bn(void **state)
{
    struct am_graph *g = net();
    struct am_matrix *m = rows_of(40), *one_more = rows_of(33);
    struct am_params *p, *q;
    const struct am_node *want = am_node_get(goldens, "update_bn");
    (void)state;
    MUST(am_params_new(g, &p, err));
    MUST(am_params_new(g, &q, err));
    fill(p);
    fill(q);
    refresh(g, p, m, 16, 1);
    for (size_t k = 0; k < p->n_params; k++) {
        const struct am_param *e = &p->table[k];
        if (e->flags & AM_PARAM_STATE)
            close_to(am_node_get_str(want, e->name), am_param_data(p, k), e->name.ptr);
        else /* weights stay */
            assert_memory_equal(am_param_data(p, k), am_param_data(q, k), e->n * sizeof(float));
    }
    refresh(g, q, m, 32, 3); /* batches of a step that accumulates; threads */
    assert_memory_equal(p->data, q->data, am_params_bytes(p));
    refresh(g, q, one_more, 16, 1); /* one row in the last batch: it has no variance */
    fill(p);
    struct am_matrix *two = rows_of(32);
    refresh(g, p, two, 16, 1);
    assert_memory_equal(p->data, q->data, am_params_bytes(p));
    am_matrix_free(two);
    am_matrix_free(one_more);
    am_matrix_free(m);
    am_params_free(p);
    am_params_free(q);
    am_graph_free(g);
}

static void test_nothing_to_refresh(void **state)
{
    const struct am_loss_spec loss = {.kind = AM_LOSS_MSE};
    struct am_graph *g = net();
    struct am_params *p;
    struct am_norms *n;
    (void)state;
    MUST(am_params_new(g, &p, err));
    MUST(am_train_freeze(g, p, AM_STR("n*"), err));
    MUST(am_norms_new(g, p, &loss, 16, NULL, &n, err));
    assert_null(n);
    am_params_free(p);
    am_graph_free(g);
}

static struct am_graph *oom_graph;
static struct am_params *oom_params;
static struct am_matrix *oom_rows;

static enum am_rc refresh_once(void)
{
    const struct am_loss_spec loss = {.kind = AM_LOSS_MSE};
    struct am_norms *n = NULL;
    struct am_feed feed;
    float *scratch = NULL;
    enum am_rc rc =
        am_feed_init(&feed, am_matrix_data(oom_rows), 16, AM_TRAIN_IN_ORDER, 1, NULL, NULL);
    if (rc != AM_OK)
        return rc;
    rc = am_norms_new(oom_graph, oom_params, &loss, 16, NULL, &n, NULL);
    if (rc == AM_OK)
        rc = am_params_twin(oom_params, &scratch, NULL);
    if (rc == AM_OK)
        rc = am_norms_refresh(n, &feed, 0, 1, oom_params->data, scratch, NULL);
    am_free(scratch);
    am_norms_free(n);
    am_feed_clear(&feed);
    return rc;
}

static void test_memory(void **state)
{
    (void)state;
    oom_graph = net();
    oom_rows = rows_of(40);
    MUST(am_params_new(oom_graph, &oom_params, err));
    AM_OOM_LOOP(refresh_once(), (void)0);
    am_matrix_free(oom_rows);
    am_params_free(oom_params);
    am_graph_free(oom_graph);
}

/* ---- mixed targets ---- */

#define ROWS 6
static const float mixed_targets[3 * ROWS] = {0, 3, 0.25f,  1, 1, 0.5f, 2, 0, 0,
                                              3, 2, 0.125f, 1, 2, 1,    2, 1, 0.375f};

enum output { LOGITS, PROBABILITIES };

/* logits = x W + b; PROBABILITIES hides the softmax behind a scale, so that the loss sees it not.
 */
static struct am_graph *classes(enum output o)
{
    const struct am_dense_options dense = {.init = AM_INIT_GLOROT_UNIFORM};
    struct am_graph *g;
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 5));
    x = am_layer_activation(g, am_layer_dense(g, x, 4, &dense, "o"), AM_ACT_SOFTMAX, 0);
    am_graph_output(g, "y", o == LOGITS ? x : am_layer_scale(g, x, 1, 0));
    MUST(am_graph_check(g, err));
    return g;
}

struct run {
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    float x[ROWS * 5], w[ROWS], *grads;
    const float *target;
};

static void run_new(struct run *r, struct am_graph *g, const struct am_loss_spec *loss,
                    const struct am_kernels *kernels, bool weighted, const float *target)
{
    *r = (struct run){.g = g, .target = target};
    MUST(am_params_new(g, &r->p, err));
    for (size_t i = 0; i < ROWS * 5; i++)
        r->x[i] = (float)(4 * draw(i, 30));
    for (size_t i = 0; i < r->p->table[0].n; i++)
        am_param_data(r->p, 0)[i] = (float)(2 * draw(i, 31));
    for (size_t i = 0; i < r->p->table[1].n; i++)
        am_param_data(r->p, 1)[i] = (float)draw(i, 32);
    for (size_t i = 0; i < ROWS; i++)
        r->w[i] = weighted ? (float)(draw(i, 33) + 1) : 1;
    MUST(am_train_plan_build_with(g, r->p, loss, ROWS, kernels, &r->plan, err));
    MUST(am_session_new(r->plan, NULL, &r->s, err));
    MUST(am_params_twin(r->p, &r->grads, err));
}

static void run_clear(struct run *r)
{
    am_session_free(r->s);
    am_plan_put(r->plan);
    am_free(r->grads);
    am_params_free(r->p);
    am_graph_free(r->g);
}

static double run_once(struct run *r)
{
    struct am_session_io io = {.n_rows = ROWS,
                               .x = r->x,
                               .target = r->target,
                               .weight = r->w,
                               .params = r->p->data,
                               .grads = r->grads};
    MUST(am_session_run_io(r->s, &io, err));
    return io.loss;
}

static void test_mixed_golden(void **state)
{
    const struct am_node *list = am_node_get(goldens, "mixed");
    (void)state;
    for (size_t k = 0; k < list->list.n; k++)
        for (size_t t = 0; t < sizeof all_tables / sizeof *all_tables; t++)
            for (int o = LOGITS; o <= PROBABILITIES; o++) {
                const struct am_node *want = list->list.items[k];
                const struct am_kernels *kernels = am_kernels_find(all_tables[t]);
                struct run r;
                const struct am_loss_spec loss = {.kind = AM_LOSS_CATEGORICAL,
                                                  .mixed = true,
                                                  .label_smoothing =
                                                      (float)am_node_f64(want, "smoothing", 0)};
                if (!kernels)
                    continue;
                run_new(&r, classes((enum output)o), &loss, kernels,
                        am_node_bool(want, "weighted", false), mixed_targets);
                double got = run_once(&r), v = am_node_f64(want, "loss", 0);
                if (!(fabs(got - v) < 2e-6))
                    fail_msg("loss %.9g, but PyTorch has %.9g", got, v);
                close_to(am_node_get(want, "weight"), r.grads + r.p->table[0].offset, "weight");
                close_to(am_node_get(want, "bias"), r.grads + r.p->table[1].offset, "bias");
                run_clear(&r);
            }
}

/* Whole targets as mixed ones: the same bits as the plain loss. */
static void test_unmixed(void **state)
{
    static const float whole[3 * ROWS] = {0, 3, 0, 1, 1, 0.5f, 2, 0, 0, 3, 3, 1, 1, 2, 0, 2, 1, 0};
    static const float plain[ROWS] = {0, 1, 2, 3, 1, 2};
    struct am_loss_spec loss = {.kind = AM_LOSS_CATEGORICAL, .mixed = true};
    struct run a, b;
    (void)state;
    run_new(&a, classes(LOGITS), &loss, NULL, true, whole);
    loss.mixed = false;
    run_new(&b, classes(LOGITS), &loss, NULL, true, plain);
    assert_true(run_once(&a) == run_once(&b));
    assert_memory_equal(a.grads, b.grads, am_params_bytes(a.p));
    run_clear(&a);
    run_clear(&b);
}

/* Central differences of the loss in every parameter. */
static void check_differences(struct run *r, const char *what)
{
    float *grads = floats(r->p->n_floats);
    (void)run_once(r);
    memcpy(grads, r->grads, am_params_bytes(r->p));
    for (size_t k = 0; k < r->p->n_params; k++)
        for (size_t i = 0; i < r->p->table[k].n; i++) {
            float *w = am_param_data(r->p, k) + i, before = *w;
            const float h = 1e-2f;
            *w = before + h;
            double up = run_once(r);
            *w = before - h;
            double slope = (up - run_once(r)) / (2 * (double)h);
            *w = before;
            double got = (double)grads[r->p->table[k].offset + i];
            if (!(fabs(slope - got) < 2e-3 * (1 + fabs(slope))))
                fail_msg("%s: gradient %g of %s[%zu], but the loss falls by %g", what, got,
                         r->p->table[k].name.ptr, i, slope);
        }
    am_free(grads);
}

static struct am_graph *scores(int64_t n, enum am_act act)
{
    const struct am_dense_options dense = {.init = AM_INIT_GLOROT_UNIFORM};
    struct am_graph *g;
    MUST(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 5));
    x = am_layer_dense(g, x, n, &dense, "o");
    am_graph_output(g, "y", am_layer_activation(g, x, act, 0));
    MUST(am_graph_check(g, err));
    return g;
}

static void test_differences(void **state)
{
    static const float soft[4 * ROWS] = {0.75f, 0, 0,     0.25f, 0, 1,      0,      0,
                                         0,     0, 1,     0,     0, 0,      0.5f,   0.5f,
                                         0,     1, 0.25f, 0,     0, 0.625f, 0.375f, 0};
    struct am_loss_spec loss = {
        .kind = AM_LOSS_CATEGORICAL, .mixed = true, .label_smoothing = 0.1f};
    const struct am_kernels *ref = am_kernels_find("ref");
    struct run r;
    (void)state;
    run_new(&r, classes(LOGITS), &loss, ref, true, mixed_targets);
    check_differences(&r, "logits");
    run_clear(&r);
    run_new(&r, classes(PROBABILITIES), &loss, ref, true, mixed_targets);
    check_differences(&r, "probabilities");
    run_clear(&r);
    loss = (struct am_loss_spec){.kind = AM_LOSS_BINARY, .label_smoothing = 0.1f};
    run_new(&r, scores(1, AM_ACT_SIGMOID), &loss, ref, true, soft);
    check_differences(&r, "binary");
    run_clear(&r);
    loss = (struct am_loss_spec){.kind = AM_LOSS_HINGE, .margin = 1};
    run_new(&r, scores(4, AM_ACT_NONE), &loss, ref, true, soft);
    check_differences(&r, "hinge");
    run_clear(&r);
}

static void test_refused(void **state)
{
    static const float cw[4] = {1, 1, 1, 1};
    struct am_loss_spec loss = {.kind = AM_LOSS_MSE, .mixed = true};
    float bad[3 * ROWS];
    struct am_plan *plan;
    struct am_err err;
    struct run r;
    (void)state;
    struct am_graph *g = classes(LOGITS);
    assert_int_equal(am_params_new(g, &r.p, &err), AM_OK);
    assert_int_equal(am_train_plan_build(g, r.p, &loss, 4, &plan, &err), AM_EINVAL);
    loss = (struct am_loss_spec){
        .kind = AM_LOSS_CATEGORICAL, .mixed = true, .class_weights = cw, .n_class_weights = 4};
    assert_int_equal(am_train_plan_build(g, r.p, &loss, 4, &plan, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "mixed targets"));
    am_params_free(r.p);
    loss.class_weights = NULL;
    run_new(&r, g, &loss, NULL, false, bad);
    for (size_t k = 0; k < 3; k++) {
        struct am_session_io io = {
            .n_rows = ROWS, .x = r.x, .target = bad, .params = r.p->data, .grads = r.grads};
        memcpy(bad, mixed_targets, sizeof bad);
        bad[3 * 2 + k] = k == 2 ? 1.5f : 4;
        assert_int_equal(am_session_run_io(r.s, &io, &err), AM_EINVAL);
        assert_non_null(strstr(err.message, "of row 2 is not"));
    }
    run_clear(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update_bn),    cmocka_unit_test(test_nothing_to_refresh),
        cmocka_unit_test(test_mixed_golden), cmocka_unit_test(test_unmixed),
        cmocka_unit_test(test_differences),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_memory),
    };
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    if (am_fs_read_file(argc > 1 ? argv[1] : "train_goldens.json", &b, NULL) != AM_OK ||
        am_json_parse(a, am_buf_view(&b), "goldens", &goldens, NULL) != AM_OK)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    am_buf_clear(&b);
    am_arena_free(a);
    return rc;
}
