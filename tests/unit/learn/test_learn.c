/* Learners: coefficients beside scikit-learn's (learn_goldens.py), the same bits for any pool and
 * place of the rows, keys and their errors, perceptron and baseline, memory faults. */
#include "learn_test.h"

#include "base/progress.h"

static struct table table, scaled;

/* The variants that the golden script makes: dependent columns, a target cut at its median. */
static void prepare(const struct am_node *c)
{
    load_table(am_node_str(c, "data", "").ptr, &table);
    scale_table(&table, NULL, 0, &scaled);
    if (am_node_bool(c, "dependent", false)) {
        for (size_t i = 0; i < scaled.n; i++) {
            scaled.x[i][scaled.f] = scaled.x[i][2];
            scaled.x[i][scaled.f + 1] = 2 * scaled.x[i][0];
        }
        scaled.f += 2;
    }
    if (am_node_bool(c, "median", false)) { /* of 442 values */
        double order[MAX_ROWS];
        memcpy(order, table.y, sizeof order);
        for (size_t i = 1; i < scaled.n; i++)
            for (size_t j = i; j > 0 && order[j] < order[j - 1]; j--) {
                double t = order[j];
                order[j] = order[j - 1], order[j - 1] = t;
            }
        for (size_t i = 0; i < scaled.n; i++)
            scaled.y[i] = table.y[i] > (order[scaled.n / 2] + order[(scaled.n - 1) / 2]) / 2;
        scaled.n_classes = 2;
    }
}

static double coefficient_error(const struct am_node *c, const struct am_learned *l)
{
    const struct am_node *want = am_node_get(c, "coef");
    size_t k = want->list.n / (scaled.f + 1);
    const float *w = am_param_data(l->params, 0), *b = am_param_data(l->params, 1);
    double off = 0, size = 0;
    assert_int_equal(k * (scaled.f + 1), want->list.n);
    for (size_t q = 0; q < k; q++)
        for (size_t j = 0; j <= scaled.f; j++) {
            double v, got = j < scaled.f ? (double)w[j * k + q] : (double)b[q];
            assert_true(am_node_as_f64(want->list.items[q * (scaled.f + 1) + j], &v));
            off = fabs(v - got) > off ? fabs(v - got) : off;
            size = fabs(v) > size ? fabs(v) : size;
        }
    return off / (size > 1 ? size : 1);
}

static void test_coefficients(void **state)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_node *cases = am_node_get(load_goldens(a), "cases");
    (void)state;
    for (size_t i = 0; i < cases->list.n; i++) {
        const struct am_node *c = cases->list.items[i];
        bool weights = am_node_bool(c, "weights", false);
        struct am_matrix *m;
        struct am_learn_task t;
        struct am_learned l;
        struct am_err err;
        double off;
        prepare(c);
        m = matrix_of(&scaled, NULL, 0, false, weights, 0);
        t = task_of(a, &scaled, m, am_node_str(c, "model", "").ptr,
                    am_node_str(c, "train", "").ptr);
        if (am_learner_fit(&t, &l, a, &err) != AM_OK)
            fail_msg("%s: %s", am_node_str(c, "name", "").ptr, err.message);
        off = coefficient_error(c, &l);
        print_message("%-22s off by %.1e, %d iterations\n", am_node_str(c, "name", "").ptr, off,
                      (int)am_node_i64(l.info, "iterations", -1));
        assert_true(am_node_bool(l.info, "converged", false));
        assert_true(off < 1e-4);
        am_learned_clear(&l);
        am_matrix_free(m);
    }
    am_arena_free(a);
}

static void fill_noise(struct table *t, size_t n, size_t n_classes)
{
    memset(t, 0, sizeof *t);
    t->n = n, t->f = 12, t->n_classes = n_classes;
    for (size_t i = 0; i < n; i++) {
        double z = 0;
        for (size_t j = 0; j < t->f; j++) {
            t->x[i][j] = (double)((i * 2654435761u + j * 40503u * (i + 3)) % 1009) / 300 - 1.6;
            z += t->x[i][j] * ((double)j - 5);
        }
        z += (double)(i * 7919 % 101) / 10 - 5;
        t->y[i] = n_classes == 0 ? z : n_classes == 2 ? z > 0 : z > 6 ? 2 : z > -6;
    }
}

/* Enough rows for several blocks: the table many times over. */
static struct am_matrix *many(const struct table *t, size_t times, size_t memory)
{
    struct am_matrix_options o = {.memory_bytes = memory};
    struct am_matrix *m;
    assert_int_equal(am_matrix_new(t->f, 1, &o, &m, NULL), AM_OK);
    for (size_t k = 0; k < times; k++)
        for (size_t i = 0; i < t->n; i++) {
            float x[MAX_FEATURES], y = (float)t->y[i];
            for (size_t j = 0; j < t->f; j++)
                x[j] = (float)t->x[i][j] + (float)(k % 17) * 0.01f * (float)(j % 3);
            assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
        }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static void test_bits(void **state)
{
    const struct {
        size_t n_classes;
        const char *model, *train;
        size_t times;
    } cases[] = {
        {2, "{type: logistic}", "", 30},
        {3, "{type: logistic, penalty: l1}", "", 10},
        {0, "{type: linear}", "", 30},
        {0, "{type: linear, penalty: l1, alpha: 0.1}", "", 30},
        {2, "{type: logistic, solver: stochastic}", "{epochs: 2, batch_size: 256}", 10},
        {3, "{type: perceptron}", "{epochs: 2, class_weights: balanced}", 4},
        {0, "{type: mlp, layers: [32, 32], residual: true, layer_norm: true}", "{epochs: 2}", 4},
        {3, "{type: baseline}", "", 30},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned first = {0}, l;
        fill_noise(&table, MAX_ROWS, cases[i].n_classes);
        for (int file = 0; file < 2; file++) {
            struct am_matrix *m = many(&table, cases[i].times, file ? 100000 : 0);
            for (unsigned threads = 1; threads <= 3; threads++) {
                struct am_learn_task t = task_of(a, &table, m, cases[i].model, cases[i].train);
                assert_int_equal(am_pool_new(threads, &t.pool, NULL), AM_OK);
                assert_int_equal(am_matrix_spilled(m), file);
                assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
                if (!first.params) {
                    first = l;
                } else {
                    assert_memory_equal(first.params->data, l.params->data,
                                        am_params_bytes(l.params));
                    am_learned_clear(&l);
                }
                am_pool_free(t.pool);
            }
            am_matrix_free(m);
        }
        am_learned_clear(&first);
        am_arena_free(a);
    }
}

/* Moving features moves intercepts only: penalties do not see them. */
static void test_shift(void **state)
{
    const struct {
        const char *data, *model;
    } cases[] = {{"breast_cancer", "{type: logistic}"},
                 {"wine", "{type: logistic, c: 0.3}"},
                 {"wine", "{type: logistic, penalty: l1}"},
                 {"diabetes", "{type: linear, penalty: l2, alpha: 20}"},
                 {"diabetes", "{type: linear, penalty: l1}"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *here, *there;
        struct am_learned l, moved;
        struct am_learn_task t;
        load_table(cases[i].data, &table);
        scale_table(&table, NULL, 0, &scaled);
        here = matrix_of(&scaled, NULL, 0, false, false, 0);
        t = task_of(a, &scaled, here, cases[i].model, "");
        assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
        for (size_t r = 0; r < scaled.n; r++)
            for (size_t j = 0; j < scaled.f; j++)
                scaled.x[r][j] += (double)j - 4;
        there = matrix_of(&scaled, NULL, 0, false, false, 0);
        t.train = am_matrix_data(there);
        assert_int_equal(am_learner_fit(&t, &moved, a, NULL), AM_OK);
        for (size_t k = 0; k < l.params->table[0].n; k++)
            assert_true(
                fabs((double)(am_param_data(l.params, 0)[k] - am_param_data(moved.params, 0)[k])) <
                1e-4 * (1 + fabs((double)am_param_data(l.params, 0)[k])));
        assert_true(fabs(score(&moved, there, scaled.n_classes) -
                         score(&l, here, scaled.n_classes)) < 1e-5);
        am_learned_clear(&l);
        am_learned_clear(&moved);
        am_matrix_free(here);
        am_matrix_free(there);
        am_arena_free(a);
    }
}

/* Quality on the training rows of every kind of task and learner: nobody forgets to learn. */
static void test_learns(void **state)
{
    const struct {
        const char *data, *model, *train;
        double least;
    } cases[] = {
        {"breast_cancer", "{type: perceptron}", "{epochs: 30, learning_rate: 0.01}", 0.96},
        {"wine", "{type: perceptron}", "{epochs: 60, learning_rate: 0.01}", 0.97},
        {"breast_cancer", "{type: logistic, solver: stochastic}",
         "{epochs: 60, learning_rate: 0.01}", 0.97},
        {"wine", "{type: logistic, solver: stochastic}", "{epochs: 60, learning_rate: 0.01}", 0.97},
        {"diabetes", "{type: linear, solver: stochastic}", "{epochs: 60, learning_rate: 0.01}",
         0.5},
        {"diabetes", "{type: linear, solver: stochastic}",
         "{optimizer: sgd, epochs: 60, learning_rate: 0.01, loss: huber}", 0.48},
        {"diabetes", "{type: mlp, layers: [], dropout: 0}", "{epochs: 60, learning_rate: 0.01}",
         0.5},
        {"wine", "{type: mlp, layers: [16, 16], batch_norm: true, residual: true}", "{epochs: 40}",
         0.98},
        {"iris", "{type: mlp, layers: [16], activation: tanh}",
         "{epochs: 100, loss: hinge, optimizer: momentum, learning_rate: 0.01}", 0.95},
        {"breast_cancer", "{type: mlp, layers: [16, 8], dropout: 0.1}", "{epochs: 50}", 0.97},
        {"diabetes", "{type: mlp, layers: [32], activation: leaky_relu, activation_alpha: 0.1}",
         "{epochs: 60, loss: mae, clip_norm: 1, schedule: {type: cosine, warmup: 2}}", 0.45},
        {"breast_cancer", "{type: baseline}", "", 0.627},
        {"diabetes", "{type: baseline}", "", -1e-6},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *m;
        struct am_learn_task t;
        struct am_learned l;
        struct am_err err;
        double s;
        load_table(cases[i].data, &table);
        scale_table(&table, NULL, 0, &scaled);
        m = matrix_of(&scaled, NULL, 0, false, false, 0);
        t = task_of(a, &scaled, m, cases[i].model, cases[i].train);
        if (am_learner_fit(&t, &l, a, &err) != AM_OK)
            fail_msg("%s: %s", cases[i].model, err.message);
        s = score(&l, m, scaled.n_classes);
        if (!(s >= cases[i].least))
            fail_msg("%s %s: %.4f", cases[i].data, cases[i].model, s);
        assert_int_equal(am_node_i64(l.info, "rows", 0), (int)scaled.n);
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

static void test_outputs(void **state)
{
    static float y[MAX_ROWS * 3];
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m;
    struct am_learn_task t;
    struct am_learned l;
    (void)state;
    load_table("wine", &table);
    scale_table(&table, NULL, 0, &scaled);
    m = matrix_of(&scaled, NULL, 0, false, false, 0);
    t = task_of(a, &scaled, m, "{type: baseline}", "");
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
    assert_int_equal(l.kind, AM_LEARNED_PROBABILITY);
    assert_int_equal(predict(&l, m, y), 3);
    assert_true(fabs((double)y[0] - 59.0 / 178) < 1e-6 && fabs((double)y[1] - 71.0 / 178) < 1e-6);
    am_learned_clear(&l);
    t = task_of(a, &scaled, m, "{type: perceptron}", "{epochs: 1}");
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
    assert_int_equal(l.kind, AM_LEARNED_SCORE);
    (void)predict(&l, m, y);
    assert_true(fabs((double)(y[0] + y[1] + y[2]) - 1) < 1e-5);
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

struct history {
    double last;
    uint64_t epochs;
};

static enum am_rc note(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    struct history *h = ctx;
    (void)err;
    h->last = e->validation_loss;
    h->epochs = e->epoch;
    return AM_OK;
}

/* Losses are told in the target's units, and the stored graph predicts in them. */
static void test_units(void **state)
{
    static float y[MAX_ROWS];
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m;
    struct am_learn_task t;
    struct am_learned l;
    struct history h = {0};
    double mse = 0;
    (void)state;
    load_table("diabetes", &table);
    scale_table(&table, NULL, 0, &scaled);
    m = matrix_of(&scaled, NULL, 0, false, false, 0);
    t = task_of(a, &scaled, m, "{type: mlp, layers: [8]}", "{epochs: 3}");
    t.validation = t.train;
    t.hooks.ctx = &h, t.hooks.on_epoch = note;
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
    (void)predict(&l, m, y);
    for (size_t i = 0; i < scaled.n; i++)
        mse += ((double)y[i] - scaled.y[i]) * ((double)y[i] - scaled.y[i]) / (double)scaled.n;
    assert_int_equal(h.epochs, 3);
    assert_true(fabs(mse / h.last - 1) < 1e-4);
    assert_true(fabs(mse / l.training.validation_loss - 1) < 1e-4);
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

static void test_bad_keys(void **state)
{
    const struct {
        const char *model;
        enum am_task task;
        const char *message, *hint;
    } cases[] = {
        {"{type: logistc}", AM_TASK_BINARY, "unknown model.type \"logistc\"", "\"logistic\""},
        {"{type: 3}", AM_TASK_BINARY, "unknown model.type", ""},
        {"{type: logistic}", AM_TASK_REGRESSION, "cannot do regression", "linear or mlp"},
        {"{type: linear}", AM_TASK_MULTICLASS, "cannot do classification", "logistic"},
        {"{type: mlp, layer: [3]}", AM_TASK_BINARY, "unknown key \"model.layer\"", "\"layers\""},
        {"{type: mlp, layers: [0]}", AM_TASK_BINARY, "model.layers cannot be", "from 1 to 65536"},
        {"{type: mlp, layers: 16}", AM_TASK_BINARY, "model.layers cannot be", "list"},
        {"{type: mlp, dropout: 1}", AM_TASK_BINARY, "model.dropout cannot be", "from 0 to 0.95"},
        {"{type: mlp, activation: rely}", AM_TASK_BINARY, "model.activation cannot be \"rely\"",
         "relu|"},
        {"{type: mlp, batch_norm: 1}", AM_TASK_BINARY, "model.batch_norm", "true or false"},
        {"{type: mlp, batch_norm: true, layer_norm: true}", AM_TASK_BINARY, "both true", "one"},
        {"{type: mlp, activation_alpha: 1}", AM_TASK_BINARY, "activation \"relu\" has none", ""},
        {"{type: logistic, c: 0}", AM_TASK_BINARY, "model.c cannot be", "1e-12"},
        {"{type: logistic, c: 1, penalty: none}", AM_TASK_BINARY, "penalty is none", "remove c"},
        {"{type: logistic, l1_ratio: 0.5}", AM_TASK_BINARY, "is not elastic_net", "elastic_net"},
        {"{type: linear, alpha: -1}", AM_TASK_REGRESSION, "model.alpha", ""},
        {"{type: baseline, c: 1}", AM_TASK_BINARY, "unknown key \"model.c\"", "manual"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learn_task t = {.task = cases[i].task,
                                  .n_classes = 3,
                                  .n_features = 4,
                                  .model = parse_yaml(a, cases[i].model)};
        struct am_err err;
        assert_int_equal(am_learner_check(&t, &err), AM_EUSAGE);
        if (!strstr(err.message, cases[i].message) || !strstr(err.hint, cases[i].hint))
            fail_msg("%s: %s / %s", cases[i].model, err.message, err.hint);
        assert_non_null(strstr(err.message, "line 1"));
        am_arena_free(a);
    }
}

static void test_tables(void **state)
{
    size_t n;
    const struct am_learner_ops *const *all = am_learners(&n);
    struct am_learn_task t = {.task = AM_TASK_MULTICLASS};
    struct am_arena *a = am_arena_new(0);
    const struct am_learner_ops *o;
    (void)state;
    assert_true(n >= 33);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(am_learner_find(am_str(all[i]->name)), all[i]);
        for (size_t k = 0; k < all[i]->n_keys; k++) {
            const struct am_learner_key *key = &all[i]->keys[k];
            /* lists and maps have no default; what else has none says what leaving it out means */
            const unsigned whole = AM_LEARNER_KEY_MAPS | AM_LEARNER_KEY_MAP | AM_LEARNER_KEY_INTS;
            assert_true(key->name && key->types && key->doc);
            if (!key->otherwise && !(key->types & whole) && !strstr(key->doc, "eft out"))
                fail_msg("%s.%s has no default", all[i]->name, key->name);
            assert_true(!(key->types & AM_LEARNER_KEY_ENUM) == !key->choices);
        }
    }
    assert_int_equal(am_learner_of(&t, &o, NULL), AM_OK);
    assert_string_equal(o->name, "logistic");
    t.task = AM_TASK_REGRESSION;
    assert_int_equal(am_learner_of(&t, &o, NULL), AM_OK);
    assert_string_equal(o->name, "linear");
    t.model = parse_yaml(a, "{type: auto}");
    assert_int_equal(am_learner_of(&t, &o, NULL), AM_OK);
    assert_string_equal(o->name, "linear");
    am_arena_free(a);
    assert_null(am_learner_find(AM_STR("forest")));
}

static void expect(struct table *t, const char *model, const char *train, enum am_rc want,
                   const char *message)
{
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m = matrix_of(t, NULL, 0, false, false, 0);
    struct am_learn_task k = task_of(a, t, m, model, train);
    struct am_learned l;
    struct am_err err;
    assert_int_equal(am_learner_fit(&k, &l, a, &err), want);
    if (!strstr(err.message, message))
        fail_msg("%s: %s", model, err.message);
    assert_null(l.graph);
    am_matrix_free(m);
    am_arena_free(a);
}

static void test_bad_data(void **state)
{
    (void)state;
    fill_noise(&table, 50, 2);
    table.n_classes = 3;
    expect(&table, "{type: logistic}", "", AM_EINVAL, "class 2 of 3 has no training row");
    expect(&table, "{type: mlp}", "", AM_EINVAL, "class 2 of 3 has no training row");
    expect(&table, "{type: baseline}", "", AM_EINVAL, "class 2 of 3 has no training row");
    table.n_classes = 2, table.y[7] = 5;
    expect(&table, "{type: logistic}", "", AM_EINVAL, "not class indices");
    fill_noise(&table, 50, 2);
    table.x[3][4] = INFINITY;
    expect(&table, "{type: logistic}", "", AM_EINVAL, "not finite");
    expect(&table, "{type: mlp}", "", AM_EINVAL, "diverged");
    fill_noise(&table, 50, 0);
    table.x[3][4] = NAN;
    expect(&table, "{type: linear}", "", AM_EINVAL, "not finite");
    fill_noise(&table, 50, 0);
    table.y[2] = NAN;
    expect(&table, "{type: linear}", "", AM_EINVAL, "not finite");
    expect(&table, "{type: mlp}", "", AM_EINVAL, "not finite");
    fill_noise(&table, 50, 0);
    expect(&table, "{type: mlp}", "{loss: cross_entropy}", AM_EUSAGE, "does not fit");
    expect(&table, "{type: mlp}", "{optimizer: adamm}", AM_EUSAGE, "train.optimizer");
    expect(&table, "{type: mlp}", "{label_smoothing: 0.1}", AM_EUSAGE, "label_smoothing");
    expect(&table, "{type: mlp}", "{early_stopping: true}", AM_EUSAGE, "validation rows");
    fill_noise(&table, 0, 0);
    expect(&table, "{type: linear}", "", AM_EINVAL, "no training rows");
}

static void test_cancel(void **state)
{
    const char *models[] = {"{type: logistic}", "{type: mlp}"};
    (void)state;
    fill_noise(&table, 50, 2);
    for (size_t i = 0; i < 2; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *m = matrix_of(&table, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &table, m, models[i], "");
        atomic_bool cancel = true;
        struct am_progress p = {.cancel = &cancel};
        struct am_learned l;
        k.hooks.progress = &p;
        assert_int_equal(am_learner_fit(&k, &l, a, NULL), AM_ECANCELED);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

static enum am_rc fit_once(const struct am_learn_task *t, struct am_learned *l)
{
    struct am_arena *a = am_arena_new(0);
    enum am_rc rc;
    if (!a)
        return AM_ENOMEM;
    rc = am_learner_fit(t, l, a, NULL);
    am_arena_free(a);
    return rc;
}

static void test_memory(void **state)
{
    const struct {
        size_t n_classes;
        const char *model;
    } cases[] = {{2, "{type: logistic}"}, {3, "{type: logistic, penalty: l1}"},
                 {0, "{type: linear}"},   {0, "{type: linear, penalty: l1}"},
                 {3, "{type: baseline}"}, {3, "{type: perceptron}"},
                 {0, "{type: mlp}"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *m;
        struct am_learn_task t;
        struct am_learned l;
        fill_noise(&table, 60, cases[i].n_classes);
        m = matrix_of(&table, NULL, 0, false, false, 0);
        t = task_of(a, &table, m, cases[i].model, "{epochs: 1}");
        AM_OOM_LOOP(fit_once(&t, &l), am_learned_clear(&l));
        am_matrix_free(m);
        am_arena_free(a);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coefficients), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_shift),        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_outputs),      cmocka_unit_test(test_units),
        cmocka_unit_test(test_bad_keys),     cmocka_unit_test(test_tables),
        cmocka_unit_test(test_bad_data),     cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_memory),
    };
    golden_path = argc > 1 ? argv[1] : "learn_goldens.json";
    examples_path = argc > 2 ? argv[2] : "examples";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
