/* Models that learn rows: the autoencoder's forward numbers against PyTorch, what it learns from
 * rows, pictures and sounds, the mean row beside it, and what is refused. */
#include "tests/unit/learn/learn_test.h"

#include "base/rng.h"
#include "nn/plan.h"
#include "tests/support/formula.h"

/* ---- PyTorch's numbers ---- */

/* The formula of autoencoder_goldens.py. */
static void fill(struct am_params *p)
{
    for (size_t k = 0; k < p->n_params; k++) {
        const struct am_param *e = &p->table[k];
        const uint32_t seed = seed_of(e->name);
        for (size_t i = 0; i < e->n; i++) {
            double u = draw(i, seed);
            u *= e->dims.rank == 2 ? sqrt(24.0 / (double)e->dims.d[0]) : 0.2;
            p->data[e->offset + i] = (float)u;
        }
    }
}

static float *floats(const struct am_node *list, size_t *n)
{
    float *v = am_alloc_array(list->list.n + 1, sizeof *v);
    double d;
    *n = list->list.n;
    for (size_t i = 0; i < *n; i++) {
        assert_true(am_node_as_f64(list->list.items[i], &d));
        v[i] = (float)d;
    }
    return v;
}

static float *run(const struct am_graph *g, const struct am_params *p, const char *output,
                  const float *x, size_t rows, size_t *n_out)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = rows, .output = output};
    struct am_plan *plan;
    struct am_session *s;
    assert_int_equal(am_plan_build(g, p, &o, &plan, NULL), AM_OK);
    assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
    *n_out = am_plan_n_outputs(plan);
    float *y = am_alloc_array(rows * *n_out, sizeof *y);
    assert_int_equal(am_session_run(s, rows, x, y, NULL), AM_OK);
    am_session_free(s);
    am_plan_put(plan);
    return y;
}

static void compare(const char *what, const float *got, const struct am_node *want)
{
    size_t n;
    float *w = floats(want, &n);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - w[i]) <= 2e-5f * fmaxf(1, fabsf(w[i]))))
            fail_msg("%s %zu: %.9g, PyTorch has %.9g", what, i, (double)got[i], (double)w[i]);
    am_free(w);
}

static void goldens(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    const struct am_node *cases = am_node_get(load_goldens(a), "cases");
    assert_int_equal(cases->list.n, 3);
    for (size_t i = 0; i < cases->list.n; i++) {
        const struct am_node *c = cases->list.items[i];
        struct am_learn_task t = {.task = AM_TASK_ANOMALY,
                                  .n_features = (size_t)am_node_i64(c, "width", 0),
                                  .model = parse_yaml(a, am_node_str(c, "model", "").ptr)};
        struct am_graph *g;
        struct am_params *p;
        size_t n_x, n;
        float *x = floats(am_node_get(c, "x"), &n_x), *y;
        assert_int_equal(am_learner_graph(&t, &g, NULL), AM_OK);
        assert_int_equal(am_params_new(g, &p, NULL), AM_OK);
        fill(p);
        size_t rows = n_x / t.n_features;
        y = run(g, p, NULL, x, rows, &n);
        assert_int_equal(n, 1);
        compare("score", y, am_node_get(c, "score"));
        am_free(y);
        y = run(g, p, "code", x, rows, &n);
        compare("code", y, am_node_get(c, "code"));
        am_free(y);
        y = run(g, p, "reconstruction", x, rows, &n);
        assert_int_equal(n, t.n_features);
        compare("reconstruction", y, am_node_get(c, "reconstruction"));
        am_free(y);
        am_free(x);
        am_params_free(p);
        am_graph_free(g);
    }
    am_arena_free(a);
}

/* ---- what it learns ---- */

/* Rows of f numbers that two hidden ones make, with targets that must not be looked at. */
static struct am_matrix *rows_of(size_t n, size_t f)
{
    struct am_matrix *m;
    struct am_rng r;
    float x[256], y = NAN;
    assert_true(f <= 256);
    am_rng_init(&r, 11, AM_RNG_USER);
    assert_int_equal(am_matrix_new(f, 1, NULL, &m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        double u = am_rng_normal(&r), v = am_rng_normal(&r);
        for (size_t k = 0; k < f; k++)
            x[k] = (float)(u * sin((double)k) + v * cos(2 * (double)k) + 1);
        assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static double mean_score(const struct am_learned *l, const struct am_matrix *m)
{
    const struct am_train_data *d = am_matrix_data((struct am_matrix *)(uintptr_t)m);
    size_t n = (size_t)d->n_rows, k;
    float *x = am_alloc_array(n * d->n_features, sizeof *x), *y;
    uint64_t *rows = am_alloc_array(n, sizeof *rows);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        rows[i] = i;
    assert_int_equal(d->gather(d->self, rows, n, x, NULL, NULL, NULL), AM_OK);
    y = run(l->graph, l->params, NULL, x, n, &k);
    for (size_t i = 0; i < n; i++)
        sum += (double)y[i] / (double)n;
    am_free(x);
    am_free(y);
    am_free(rows);
    return sum;
}

static void learns(struct am_dims shape, const char *model, double share)
{
    struct am_arena *a = am_arena_new(0);
    size_t f = am_dims_count(&shape);
    struct am_matrix *m = rows_of(400, f);
    struct am_learn_task t = {.task = AM_TASK_ANOMALY,
                              .n_features = f,
                              .shape = shape,
                              .train = am_matrix_data(m),
                              .model = parse_yaml(a, model),
                              .train_spec = parse_yaml(a, "{epochs: 30, learning_rate: 0.01}"),
                              .seed = 1};
    struct am_learned l, base;
    struct am_err err;
    if (am_learner_fit(&t, &l, a, &err) != AM_OK)
        fail_msg("%s: %s / %s", model, err.message, err.hint);
    t.model = parse_yaml(a, "{type: baseline}");
    if (am_learner_fit(&t, &base, a, &err) != AM_OK)
        fail_msg("baseline: %s / %s", err.message, err.hint);
    assert_int_equal(l.kind, AM_LEARNED_VALUE);
    double of_model = mean_score(&l, m), of_mean = mean_score(&base, m);
    if (!(of_model < share * of_mean))
        fail_msg("%s: %g, the mean row has %g", model, of_model, of_mean);
    am_learned_clear(&l);
    am_learned_clear(&base);
    am_matrix_free(m);
    am_arena_free(a);
}

static void rows_pictures_sounds(void **state)
{
    (void)state;
    learns(am_dims1(12), "{type: autoencoder, encoder: [16], code: 2, activation: tanh}", 0.1);
    learns((struct am_dims){3, {7, 6, 1}}, "{type: autoencoder, filters: [4, 8], code: 4}", 0.5);
    learns(am_dims2(10, 4), "{type: autoencoder, encoder: [32], code: 4}", 0.5);
    learns(am_dims2(10, 5), "{type: autoencoder, kind: conv, filters: [4, 8], code: 4}", 0.5);
}

/* The mean row's score is the variance of the rows. */
static void mean_row(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m = rows_of(300, 3);
    const struct am_train_data *d = am_matrix_data(m);
    struct am_learn_task t = {.task = AM_TASK_EMBEDDING,
                              .n_features = 3,
                              .train = d,
                              .model = parse_yaml(a, "{type: baseline}")};
    struct am_learned l;
    struct am_err err;
    double sum[3] = {0}, square[3] = {0}, variance = 0;
    float x[3];
    if (am_learner_fit(&t, &l, a, &err) != AM_OK)
        fail_msg("%s", err.message);
    for (uint64_t i = 0; i < 300; i++) {
        assert_int_equal(d->gather(d->self, &i, 1, x, NULL, NULL, NULL), AM_OK);
        for (size_t k = 0; k < 3; k++) {
            sum[k] += (double)x[k] / 300;
            square[k] += (double)x[k] * (double)x[k] / 300;
        }
    }
    for (size_t k = 0; k < 3; k++)
        variance += (square[k] - sum[k] * sum[k]) / 3;
    assert_true(fabs(mean_score(&l, m) - variance) < 1e-4 * variance);
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

/* ---- refusals ---- */

static void refuse(enum am_task task, struct am_dims shape, const char *model, const char *message,
                   const char *hint)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task t = {.task = task,
                              .n_classes = task == AM_TASK_BINARY ? 2 : 0,
                              .n_features = am_dims_count(&shape),
                              .shape = shape,
                              .model = parse_yaml(a, model)};
    struct am_err err;
    if (am_learner_check(&t, &err) != AM_EUSAGE || !strstr(err.message, message) ||
        !strstr(err.hint, hint))
        fail_msg("%s: %s / %s", model, err.message, err.hint);
    am_arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    struct am_dims row = am_dims1(5);
    refuse(AM_TASK_BINARY, row, "{type: autoencoder}", "cannot do classification", "data.task");
    refuse(AM_TASK_REGRESSION, row, "{type: autoencoder}", "cannot do regression", "data.task");
    refuse(AM_TASK_ANOMALY, row, "{type: logistic}", "cannot do anomaly", "autoencoder");
    refuse(AM_TASK_EMBEDDING, row, "{type: cnn}", "cannot do embedding", "autoencoder");
    refuse(AM_TASK_EMBEDDING, row, "{type: autoencoder, contamination: 0.1}", "contamination",
           "anomaly");
    refuse(AM_TASK_ANOMALY, row, "{type: autoencoder, contamination: 0.6}", "contamination", "0.5");
    refuse(AM_TASK_ANOMALY, row, "{type: autoencoder, kind: conv}", "no pictures or sounds",
           "dense");
    refuse(AM_TASK_ANOMALY, row, "{type: autoencoder, code: 0}", "model.code", "1");
}

static void steps(void **state)
{
    (void)state;
    static const struct {
        enum am_task task;
        const char *model;
        bool steps;
    } known[] = {{AM_TASK_ANOMALY, "{type: autoencoder}", true},
                 {AM_TASK_ANOMALY, "{code: 2}", true},
                 {AM_TASK_BINARY, "{type: mlp}", true},
                 {AM_TASK_BINARY, "{type: logistic}", false},
                 {AM_TASK_BINARY, "{}", false},
                 {AM_TASK_BINARY, "{type: logistic, solver: stochastic}", true},
                 {AM_TASK_REGRESSION, "{type: linear}", false},
                 {AM_TASK_REGRESSION, "{type: baseline}", false}};
    struct am_arena *a = am_arena_new(0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct am_learn_task t = {
            .task = known[i].task, .n_features = 3, .model = parse_yaml(a, known[i].model)};
        if (am_learner_in_steps(&t) != known[i].steps)
            fail_msg("%s", known[i].model);
    }
    am_arena_free(a);
}

static void memory(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m = rows_of(20, 3);
    struct am_learn_task t = {.task = AM_TASK_ANOMALY,
                              .n_features = 3,
                              .train = am_matrix_data(m),
                              .train_spec = parse_yaml(a, "{epochs: 1}"),
                              .model = parse_yaml(a, "{type: baseline}")};
    AM_OOM_LOOP(fit_and_forget(&t), (void)0);
    t.model = parse_yaml(a, "{type: autoencoder, encoder: [4], code: 1}");
    AM_OOM_LOOP(fit_and_forget(&t), (void)0);
    am_matrix_free(m);
    am_arena_free(a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens),  cmocka_unit_test(rows_pictures_sounds),
        cmocka_unit_test(mean_row), cmocka_unit_test(refused),
        cmocka_unit_test(steps),    cmocka_unit_test(memory)};
    golden_path = argc > 1 ? argv[1] : "autoencoder_goldens.json";
    (void)examples_path, (void)load_table, (void)scale_table, (void)matrix_of, (void)task_of;
    (void)score;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
