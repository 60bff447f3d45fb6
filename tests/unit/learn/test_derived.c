/* Derived features: what a model gains from them, that its one graph gives what its parts give,
 * that they see training rows and named columns only, bits, refusals, memory. */
#include "tests/unit/learn/learn_test.h"

#include "base/rng.h"
#include "nn/plan.h"

static struct am_arena *arena;

enum { N = 600, W = 3 };

/* A ring inside a ring: no line parts them, distances to centers do. x[0] says nothing. */
static struct am_matrix *rings(size_t n, uint64_t seed, float *keep)
{
    struct am_matrix *m;
    struct am_rng rng;
    am_rng_init(&rng, seed, AM_RNG_USER);
    assert_int_equal(am_matrix_new(W, 1, NULL, &m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        const double a = am_rng_unit(&rng) * 6.2831853,
                     r = (i % 2 ? 1 : 3) + am_rng_normal(&rng) * 0.2;
        const float noise = (float)am_rng_normal(&rng),
                    x[W] = {noise, (float)(r * cos(a)), (float)(r * sin(a))}, y = (float)(i % 2);
        if (keep)
            memcpy(keep + i * W, x, sizeof x);
        assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static const struct am_learn_column columns[] = {
    {{"c", 1}, 0, 1}, {{"a", 1}, 1, 1}, {{"b", 1}, 2, 1}};

static struct am_learn_task task(const struct am_matrix *m, const char *derived)
{
    return (struct am_learn_task){.task = AM_TASK_BINARY,
                                  .n_classes = 2,
                                  .n_features = W,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(arena, "{type: logistic}"),
                                  .derived = parse_yaml(arena, derived),
                                  .columns = columns,
                                  .n_columns = 3,
                                  .seed = 5};
}

static double right(const struct am_learned *l, const float *x, size_t n)
{
    float *y = am_alloc_array(n, sizeof *y);
    double sum = 0;
    run_rows(l, x, n, y);
    for (size_t i = 0; i < n; i++)
        sum += (y[i] >= 0.5f) == (i % 2 == 1);
    am_free(y);
    return sum / (double)n;
}

#define RINGS "[{type: kmeans, clusters: 8, of: [a, b]}, {type: pca, components: 2}]"

static void gains(void **state)
{
    (void)state;
    static float fresh[N * W];
    struct am_matrix *m = rings(N, 1, NULL), *other = rings(N, 2, fresh);
    struct am_learn_task t = task(m, RINGS), plain = task(m, "");
    struct am_learned with = fit_task(arena, &t), without = fit_task(arena, &plain);
    assert_true(right(&without, fresh, N) < 0.7);
    assert_true(right(&with, fresh, N) > 0.97);
    assert_int_equal(am_node_get(with.info, "derived")->list.n, 2);
    assert_int_equal(am_node_i64(am_node_get(with.info, "derived")->list.items[0], "derived", 0),
                     8);
    am_learned_clear(&with);
    am_learned_clear(&without);
    am_matrix_free(m);
    am_matrix_free(other);
}

/* p = sigmoid(w . [x, distances, components] + b), recomputed from the stored parameters. */
static void one_graph(void **state)
{
    (void)state;
    static float x[N * W];
    struct am_matrix *m = rings(N, 3, x);
    struct am_learn_task t = task(m, RINGS);
    struct am_learned l = fit_task(arena, &t);
    const float *c = l.params->data +
                     am_params_find(l.params, AM_STR("derived1.clusters.points"))->offset,
                *p = l.params->data +
                     am_params_find(l.params, AM_STR("derived2.components.weight"))->offset,
                *q = l.params->data +
                     am_params_find(l.params, AM_STR("derived2.components.bias"))->offset,
                *w = l.params->data + am_params_find(l.params, AM_STR("linear.weight"))->offset,
                *b = l.params->data + am_params_find(l.params, AM_STR("linear.bias"))->offset;
    float y[50];
    run_rows(&l, x, 50, y);
    for (size_t i = 0; i < 50; i++) {
        double z = (double)b[0];
        for (size_t j = 0; j < W; j++)
            z += (double)w[j] * (double)x[i * W + j];
        for (size_t k = 0; k < 8; k++)
            z += (double)w[W + k] * hypot((double)x[i * W + 1] - (double)c[k * 2],
                                          (double)x[i * W + 2] - (double)c[k * 2 + 1]);
        for (size_t k = 0; k < 2; k++) {
            double s = (double)q[k];
            for (size_t j = 0; j < W; j++)
                s += (double)p[j * 2 + k] * (double)x[i * W + j];
            z += (double)w[W + 8 + k] * s;
        }
        const double want = 1 / (1 + exp(-z));
        if (fabs((double)y[i] - want) > 1e-4)
            fail_msg("row %zu: %g, its parts give %g", i, (double)y[i], want);
    }
    am_learned_clear(&l);
    am_matrix_free(m);
}

static void same_bits(void **state)
{
    (void)state;
    struct am_matrix *m = rings(N, 4, NULL), *held = rings(200, 5, NULL);
    struct am_pool *pool;
    assert_int_equal(am_pool_new(3, &pool, NULL), AM_OK);
    struct am_learn_task t = task(m, RINGS);
    struct am_learned one = fit_task(arena, &t);
    t.pool = pool;
    struct am_learned more = fit_task(arena, &t);
    t.validation = am_matrix_data(held); /* fitted on training rows alone */
    struct am_learned watched = fit_task(arena, &t);
    assert_memory_equal(one.params->data, more.params->data, am_params_bytes(one.params));
    assert_memory_equal(one.params->data, watched.params->data, am_params_bytes(one.params));
    am_learned_clear(&one);
    am_learned_clear(&more);
    am_learned_clear(&watched);
    am_pool_free(pool);
    am_matrix_free(m);
    am_matrix_free(held);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *derived, *says;
    } bad[] = {
        {"[{type: mlp}]", "none that makes features"},
        {"[{type: baseline}]", "none that makes features"},
        {"[3]", "no map"},
        {"[{type: kmeans, of: [z]}]", "\"z\""},
        {"[{type: kmeans, of: []}]", "empty"},
        {"[{type: kmeans, cluster: 3}]", "cluster"},
        {"[{type: dbscan, eps: 0}]", "eps"},
    };
    struct am_matrix *m = rings(60, 6, NULL);
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        struct am_err err = {0};
        struct am_learn_task t = task(m, i < 7 ? bad[i].derived : "[{type: kmeans}]");
        if (i == 7) {
            t.task = AM_TASK_CLUSTERING;
            t.model = parse_yaml(arena, "{type: kmeans}");
        }
        const enum am_rc rc = am_learner_check(&t, &err);
        if (rc != AM_EUSAGE ||
            !strstr(err.message, i < 7 ? bad[i].says : "the task is clustering") || !err.hint[0])
            fail_msg("%zu: %d, %s (%s)", i, (int)rc, err.message, err.hint);
    }
    am_matrix_free(m);
}

static void memory(void **state)
{
    (void)state;
    struct am_matrix *m = rings(20, 7, NULL);
    struct am_learn_task t =
        task(m, "[{type: kmeans, clusters: 2, of: a}, {type: pca, components: 1}]");
    AM_OOM_LOOP(fit_and_forget(&t), (void)0);
    am_matrix_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gains), cmocka_unit_test(one_graph),
                                       cmocka_unit_test(same_bits), cmocka_unit_test(refused),
                                       cmocka_unit_test(memory)};
    (void)examples_path, (void)golden_path, (void)load_table, (void)scale_table, (void)matrix_of;
    (void)task_of, (void)load_goldens, (void)score;
    arena = am_arena_new(0);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    am_arena_free(arena);
    return failed;
}
