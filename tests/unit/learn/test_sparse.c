/* Sparse rows through the learners: the same model as from the same rows dense, the same bits from
 * RAM, file and any threads, the refusal of what would not fit, sparse inference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "learn/learn.h"
#include "nn/session.h"
#include "tests/support/faults.h"

enum { ROWS = 700, F = 40 };

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

/* About five of forty features a row, of falling frequency; the target hangs on some of them. */
static double make_row(uint32_t *r, float x[F])
{
    double z = 0;
    for (size_t j = 0; j < F; j++) {
        *r = *r * 1664525u + 1013904223u;
        const double u = (double)(*r >> 8) / (1 << 24);
        *r = *r * 1664525u + 1013904223u;
        x[j] = u < 2.0 / (double)(j + 3) ? (float)((double)(*r >> 8) / (1 << 24) + 0.1) : 0;
        z += (double)x[j] * (j % 5 == 0 ? 2.0 : j % 5 == 1 ? -1.5 : 0);
    }
    *r = *r * 1664525u + 1013904223u;
    return z + ((double)(*r >> 8) / (1 << 24) - 0.5);
}

static enum am_rc make_rows(bool sparse, size_t n_classes, size_t memory, struct am_matrix **out)
{
    const struct am_matrix_options o = {.memory_bytes = memory,
                                        .weights = AM_MATRIX_WEIGHTS,
                                        .form = sparse ? AM_MATRIX_SPARSE : AM_MATRIX_DENSE};
    struct am_csr_buf b = {.n_cols = F};
    struct am_matrix *m = NULL;
    uint32_t r = 5;
    enum am_rc rc = am_matrix_new(F, 1, &o, &m, &err);
    for (size_t i = 0; i < ROWS && rc == AM_OK; i++) {
        float x[F], w = (float)(1 + i % 3) / 2;
        const double z = make_row(&r, x);
        const float y = n_classes == 0   ? (float)z
                        : n_classes == 2 ? (float)(z > 0.3)
                                         : (float)((z > -0.2) + (z > 0.6));
        if (!sparse) {
            rc = am_matrix_append(m, 1, x, &y, &w, &err);
            continue;
        }
        am_csr_reset(&b, F);
        rc = am_csr_push_dense(&b, x, &err);
        const struct am_csr row = am_csr_of(&b);
        if (rc == AM_OK)
            rc = am_matrix_append_sparse(m, &row, &y, &w, &err);
    }
    if (rc == AM_OK)
        rc = am_matrix_finish(m, &err);
    am_csr_clear(&b);
    if (rc == AM_OK)
        *out = m;
    else
        am_matrix_free(m);
    return rc;
}

static enum am_rc learn(const struct am_matrix *m, size_t n_classes, const char *model,
                        const char *train, struct am_pool *pool, struct am_arena *a,
                        struct am_learned *out)
{
    struct am_node *spec = NULL, *how = NULL;
    AM_TRY(am_yaml_parse(a, am_str(model), "model", &spec, &err));
    if (train)
        AM_TRY(am_yaml_parse(a, am_str(train), "train", &how, &err));
    const struct am_learn_task t = {.task = n_classes == 0   ? AM_TASK_REGRESSION
                                            : n_classes == 2 ? AM_TASK_BINARY
                                                             : AM_TASK_MULTICLASS,
                                    .n_classes = n_classes,
                                    .n_features = F,
                                    .train = am_matrix_data(m),
                                    .validation = am_matrix_data(m),
                                    .model = spec,
                                    .train_spec = how,
                                    .seed = 3,
                                    .pool = pool};
    return am_learner_fit(&t, out, a, &err);
}

static const struct {
    const char *model, *train;
    size_t n_classes;
    double tolerance; /* of parameters, dense and sparse */
} cases[] = {
    {"{type: logistic, tolerance: 1.0e-9}", NULL, 2, 1e-4},
    {"{type: logistic, tolerance: 1.0e-9, c: 0.3}", NULL, 3, 1e-4},
    {"{type: logistic, penalty: l1, tolerance: 1.0e-8}", NULL, 2, 2e-3},
    {"{type: linear, penalty: l2, alpha: 0.5}", NULL, 0, 1e-4},
    {"{type: linear, penalty: elastic_net, alpha: 0.01}", NULL, 0, 2e-3},
    {"{type: linear}", NULL, 0, 1e-3},
    {"{type: logistic, solver: stochastic}", "{epochs: 3, batch_size: 32, learning_rate: 0.01}", 2,
     1e-4},
    {"{type: mlp, layers: [20, 5]}", "{epochs: 2, batch_size: 50, learning_rate: 0.01}", 3, 1e-3},
    {"{type: baseline}", NULL, 3, 1e-6},
};

static void compare(const struct am_learned *a, const struct am_learned *b, double tolerance,
                    const char *what)
{
    assert_int_equal(a->params->n_floats, b->params->n_floats);
    for (size_t i = 0; i < a->params->n_floats; i++) {
        const double p = (double)a->params->data[i], q = (double)b->params->data[i];
        if (!(fabs(p - q) <= tolerance * (1 + fabs(p))))
            fail_msg("%s: parameter %zu is %g dense, %g sparse", what, i, p, q);
    }
}

static void test_dense_and_sparse(void **state)
{
    (void)state;
    struct am_pool *pool;
    OK(am_pool_new(3, &pool, &err));
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *dense, *sparse, *file;
        struct am_learned d, s, f, p;
        OK(make_rows(false, cases[k].n_classes, 0, &dense));
        OK(make_rows(true, cases[k].n_classes, 0, &sparse));
        OK(make_rows(true, cases[k].n_classes, 20000, &file));
        assert_false(am_matrix_spilled(sparse));
        assert_true(am_matrix_spilled(file));
        OK(learn(dense, cases[k].n_classes, cases[k].model, cases[k].train, NULL, a, &d));
        OK(learn(sparse, cases[k].n_classes, cases[k].model, cases[k].train, NULL, a, &s));
        OK(learn(file, cases[k].n_classes, cases[k].model, cases[k].train, NULL, a, &f));
        OK(learn(sparse, cases[k].n_classes, cases[k].model, cases[k].train, pool, a, &p));
        compare(&d, &s, cases[k].tolerance, cases[k].model);
        const size_t bytes = s.params->n_floats * sizeof(float);
        assert_memory_equal(s.params->data, f.params->data, bytes); /* wherever the rows lie */
        assert_memory_equal(s.params->data, p.params->data, bytes); /* whatever the threads */
        am_learned_clear(&d);
        am_learned_clear(&s);
        am_learned_clear(&f);
        am_learned_clear(&p);
        am_matrix_free(dense);
        am_matrix_free(sparse);
        am_matrix_free(file);
        am_arena_free(a);
    }
    am_pool_free(pool);
}

/* A plan with sparse_x answers sparse rows as it answers the same dense ones. */
static void test_inference(void **state)
{
    static const char *const models[] = {"{type: logistic}", "{type: mlp, layers: [16]}"};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *m;
        struct am_learned l;
        struct am_csr_buf b = {0};
        struct am_plan *packed, *plan;
        struct am_session *s, *p;
        uint64_t rows[64];
        float x[64 * F], dense[64 * 3], packed_y[64 * 3], sparse[64 * 3], one[3];
        OK(make_rows(true, 3, 0, &m));
        OK(learn(m, 3, models[k], "{epochs: 1}", NULL, a, &l));
        assert_true(am_plan_takes_sparse(l.graph));
        struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 64};
        OK(am_plan_build(l.graph, l.params, &o, &packed, &err));
        o.sparse_x = true;
        OK(am_plan_build(l.graph, l.params, &o, &plan, &err));
        OK(am_session_new(plan, NULL, &s, &err));
        OK(am_session_new(packed, NULL, &p, &err));
        for (size_t i = 0; i < 64; i++)
            rows[i] = i * 11 % ROWS;
        const struct am_train_data *d = am_matrix_data(m);
        am_csr_reset(&b, F);
        OK(d->gather(d->self, rows, 64, x, NULL, NULL, &err));
        OK(d->gather_sparse(d->self, rows, 64, &b, NULL, NULL, &err));
        const struct am_csr view = am_csr_of(&b);
        OK(am_session_run(s, 64, x, dense, &err));
        OK(am_session_run(p, 64, x, packed_y, &err));
        OK(am_session_run_sparse(s, &view, sparse, &err));
        for (size_t i = 0; i < 64 * 3; i++) {
            assert_true(fabsf(dense[i] - sparse[i]) < 1e-5f);
            assert_true(fabsf(packed_y[i] - sparse[i]) < 1e-5f);
        }
        const struct am_csr row = am_csr_rows(&view, 17, 1);
        OK(am_session_run_sparse(s, &row, one, &err));
        assert_memory_equal(one, sparse + 17 * 3, sizeof one);
        assert_int_equal(am_session_run_sparse(p, &view, sparse, &err), AM_EINVAL);
        struct am_csr narrow = view;
        narrow.n_cols = F - 1;
        assert_int_equal(am_session_run_sparse(s, &narrow, sparse, &err), AM_EINVAL);
        am_session_free(s);
        am_session_free(p);
        am_plan_put(plan);
        am_plan_put(packed);
        am_csr_clear(&b);
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

static void test_refused(void **state)
{
    enum { WIDE = 1 << 20 };
    const struct am_matrix_options o = {.form = AM_MATRIX_SPARSE};
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m;
    struct am_csr_buf b = {0};
    struct am_node *spec;
    struct am_learned l;
    const uint32_t col = WIDE - 1;
    const float one = 1;
    (void)state;
    OK(am_matrix_new(WIDE, 1, &o, &m, &err));
    for (size_t i = 0; i < 300; i++) {
        const float y = (float)(i % 2);
        am_csr_reset(&b, WIDE);
        OK(am_csr_push(&b, &col, &one, i % 2, &err));
        const struct am_csr row = am_csr_of(&b);
        OK(am_matrix_append_sparse(m, &row, &y, NULL, &err));
    }
    assert_int_equal(am_matrix_append(m, 1, &one, &one, NULL, &err), AM_EINVAL);
    OK(am_matrix_finish(m, &err));
    OK(am_yaml_parse(a, am_str("{type: decision_tree}"), "model", &spec, &err));
    struct am_learn_task t = {.task = AM_TASK_BINARY,
                              .n_classes = 2,
                              .n_features = WIDE,
                              .train = am_matrix_data(m),
                              .model = spec};
    assert_int_equal(am_learner_fit(&t, &l, a, &err), AM_ELIMIT);
    assert_non_null(strstr(err.message, "decision_tree"));
    assert_non_null(strstr(err.hint, "logistic"));
    OK(am_yaml_parse(a, am_str("{type: logistic}"), "model", &spec, &err));
    t.model = spec; /* a million features cost what their entries cost */
    OK(am_learner_fit(&t, &l, a, &err));
    am_learned_clear(&l);
    am_csr_clear(&b);
    am_matrix_free(m);
    am_arena_free(a);
}

static enum am_rc all_of_it(size_t memory)
{
    struct am_matrix *m = NULL;
    struct am_csr_buf b = {0};
    float y[50], w[50];
    uint64_t rows[50];
    AM_TRY(make_rows(true, 2, memory, &m));
    const struct am_train_data *d = am_matrix_data(m);
    for (size_t i = 0; i < 50; i++)
        rows[i] = i * 13 % ROWS;
    am_csr_reset(&b, F);
    enum am_rc rc = d->gather_sparse(d->self, rows, 50, &b, y, w, &err);
    am_csr_clear(&b);
    am_matrix_free(m);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    AM_OOM_LOOP(all_of_it(0), (void)0);
    AM_OOM_LOOP(all_of_it(20000), (void)0);
    AM_IO_LOOP(all_of_it(20000), (void)0, (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense_and_sparse),
        cmocka_unit_test(test_inference),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
