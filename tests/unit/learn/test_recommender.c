/* The recommender: factors against plain numpy (cluster_goldens.json, explicit and implicit), what
 * it learns from choices with a known structure, lists out of its parameters, bits, refusals,
 * hostile parameters, memory. */
#include "tests/unit/learn/learn_test.h"

#include "base/rng.h"
#include "eval/ranking.h"
#include "learn/factorize.h"
#include "nn/plan.h"
#include "nn/recommend.h"

static struct am_arena *arena;
static struct am_node *goldens;

static double at(const struct am_node *list, size_t i)
{
    double v = NAN;
    assert_true(list && i < list->list.n && am_node_as_f64(list->list.items[i], &v));
    return v;
}

static const struct am_node *item(const struct am_node *list, size_t i)
{
    assert_true(list && i < list->list.n);
    return list->list.items[i];
}

static void near(const char *what, size_t i, double got, double want)
{
    if (!(fabs(got - want) <= 1e-7 * fmax(1, fabs(want))))
        fail_msg("%s %zu: %.12g, numpy has %.12g", what, i, got, want);
}

/* ---- numpy's factors ---- */

static void factors_goldens(void **state)
{
    (void)state;
    static const char *const names[] = {"explicit", "implicit"};
    const struct am_node *g = am_node_get(goldens, "recommender"), *t = am_node_get(g, "triples");
    const size_t n = t->list.n, n_users = 12, n_items = 9, f = 2;
    uint32_t users[200], items[200];
    float values[200];
    struct am_choices by_user, by_item;
    assert_true(n < 200);
    for (size_t i = 0; i < n; i++) { /* given backwards: the order must not matter */
        users[n - 1 - i] = (uint32_t)at(item(t, i), 0);
        items[n - 1 - i] = (uint32_t)at(item(t, i), 1);
        values[n - 1 - i] = (float)at(item(t, i), 2);
    }
    assert_int_equal(
        am_choices_make(users, items, values, n, n_users, n_items, true, &by_user, NULL), AM_OK);
    assert_int_equal(
        am_choices_make(items, users, values, n, n_items, n_users, true, &by_item, NULL), AM_OK);
    for (size_t m = 0; m < 2; m++) {
        const struct am_node *want = am_node_get(g, names[m]);
        double u[12 * 3] = {0}, v[9 * 3] = {0};
        const struct am_factor_options o = {.method = m ? AM_FACTORS_IMPLICIT : AM_FACTORS_EXPLICIT,
                                            .factors = f,
                                            .iterations = 4,
                                            .regularization = 0.1,
                                            .alpha = 2};
        for (size_t i = 0; i < n_users * f; i++)
            u[i / f * 3 + i % f] = at(item(am_node_get(g, "start_users"), i / f), i % f);
        for (size_t i = 0; i < n_items * f; i++)
            v[i / f * 3 + i % f] = at(item(am_node_get(g, "start_items"), i / f), i % f);
        assert_int_equal(am_factors_fit(&by_user, &by_item, &o, am_node_f64(want, "mean", 0), u, v,
                                        NULL, NULL, NULL),
                         AM_OK);
        const size_t width = m ? f : f + 1;
        for (size_t i = 0; i < n_users * width; i++)
            near(names[m], i, u[i / width * 3 + i % width],
                 at(item(am_node_get(want, "users"), i / width), i % width));
        for (size_t i = 0; i < n_items * width; i++)
            near(names[m], i, v[i / width * 3 + i % width],
                 at(item(am_node_get(want, "items"), i / width), i % width));
    }
    am_choices_clear(&by_user);
    am_choices_clear(&by_item);
}

/* ---- a known structure: users of group g want items of group g ---- */

enum { USERS = 60, ITEMS = 40, GROUPS = 4 };

static struct am_matrix *rows_of(bool rated, bool swapped)
{
    struct am_matrix *m;
    assert_int_equal(am_matrix_new(2, 1, NULL, &m, NULL), AM_OK);
    for (uint32_t u = 0; u < USERS; u++)
        for (uint32_t i = 0; i < ITEMS; i++) {
            const bool own = u % GROUPS == i % GROUPS;
            uint32_t r[4];
            am_rng_block(7, AM_RNG_USER, u * ITEMS + i, r);
            if (rated ? r[0] % 3 : (own ? r[0] % 10 >= 5 : r[0] % 40 != 0))
                continue;
            const float x[2] = {(float)(swapped ? i : u), (float)(swapped ? u : i)},
                        y = rated ? (own ? 5.0f : 2.0f) + (float)(r[1] % 3) * 0.1f : NAN;
            assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
        }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static struct am_learn_task task(const struct am_matrix *m, const char *model)
{
    return (struct am_learn_task){.task = AM_TASK_RECOMMENDATION,
                                  .n_features = 2,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(arena, model),
                                  .seed = 3};
}

static const char *const choices[] = {
    "{type: matrix_factorization, factors: 4, implicit: true}",
    "{type: matrix_factorization, factors: 4, method: bpr, iterations: 60}"};

static void learns_choices(void **state)
{
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        struct am_matrix *m = rows_of(false, k % 2);
        struct am_learn_task t = task(m, choices[k / 2]);
        t.user_feature = k % 2;
        struct am_learned l = fit_task(arena, &t);
        struct am_recommender r;
        size_t top[5], right = 0;
        float v[ITEMS];
        assert_true(am_recommender_of(l.params, &r));
        assert_int_equal(r.n_users, USERS);
        assert_int_equal(am_recommender_user_feature(l.graph), k % 2);
        for (size_t u = 0; u < USERS; u++) {
            uint8_t marks[ITEMS] = {0};
            am_recommender_scores(&r, u, v);
            am_recommender_seen(&r, u, marks);
            const size_t n = am_recommender_top(v, ITEMS, marks, 3, top);
            assert_int_equal(n, 3);
            for (size_t i = 0; i < n; i++) {
                const float x[2] = {(float)(k % 2 ? top[i] : u), (float)(k % 2 ? u : top[i])};
                float y;
                assert_int_equal(marks[top[i]], 0);
                right += top[i] % GROUPS == u % GROUPS;
                run_rows(&l, x, 1, &y); /* the graph scores pairs alike */
                assert_true(fabsf(y - v[top[i]]) <= 1e-5f * fmaxf(1, fabsf(y)));
            }
        }
        if (right < USERS * 3 * 9 / 10)
            fail_msg("%s: %zu of %d", choices[k / 2], right, USERS * 3);
        am_recommender_like_item(&r, 6, v);
        uint8_t self[ITEMS] = {[6] = 1};
        for (size_t i = 0; i < am_recommender_top(v, ITEMS, self, 4, top); i++)
            assert_int_equal(top[i] % GROUPS, 2);
        am_learned_clear(&l);
        am_matrix_free(m);
    }
}

static void learns_ratings(void **state)
{
    (void)state;
    struct am_matrix *m = rows_of(true, false);
    struct am_learn_task t =
        task(m, "{type: matrix_factorization, factors: 4, regularization: 0.02}");
    struct am_learned l = fit_task(arena, &t);
    double error = 0;
    assert_false(am_node_bool(l.info, "implicit", true));
    for (size_t u = 0; u < USERS; u++)
        for (size_t i = 0; i < ITEMS; i++) {
            const float x[2] = {(float)u, (float)i};
            float y;
            run_rows(&l, x, 1, &y);
            error += fabs((double)y - (u % GROUPS == i % GROUPS ? 5.1 : 2.1)) / (USERS * ITEMS);
        }
    if (!(error < 0.25)) /* the mean alone: about 1.1 */
        fail_msg("%g", error);
    /* unknown: neither, no user (the item's own mean), no item (mean and the user's bias) */
    const float odd[] = {-1, -1, -1, 3, 3, -1, NAN, 2, 1e9f, 1e9f};
    float y[5];
    run_rows(&l, odd, 5, y);
    const struct am_param *mean = am_params_find(l.params, AM_STR("factors.mean"));
    assert_true(y[0] == l.params->data[mean->offset] && y[4] == y[0]);
    for (size_t i = 0; i < 5; i++)
        assert_true(y[i] > 1 && y[i] < 6);
    am_learned_clear(&l);
    am_matrix_free(m);
}

/* ---- ranking ---- */

static void ranking(void **state)
{
    (void)state;
    struct am_ranking r;
    const size_t one[] = {0, 3, 9}, two[] = {5}, three[] = {2};
    am_ranking_init(&r, 4);
    am_ranking_add(&r, one, 3, 10);
    am_ranking_add(&r, two, 1, 6);
    am_ranking_add(&r, three, 1, 3);
    am_ranking_add(&r, one, 0, 10); /* nothing held out: counts nowhere */
    am_ranking_finish(&r);
    const double ideal = 1 + 1 / log2(3) + 1 / log2(4);
    assert_int_equal(r.n_users, 3);
    near("hit rate", 0, r.hit_rate, 2.0 / 3);
    near("precision", 0, r.precision_at_k, (0.5 + 0 + 0.25) / 3);
    near("recall", 0, r.recall_at_k, (2.0 / 3 + 0 + 1) / 3);
    near("ndcg", 0, r.ndcg_at_k, ((1 + 1 / log2(5)) / ideal + 0 + 1 / log2(4)) / 3);
    near("map", 0, r.map_at_k, ((1 + 0.5) / 3 + 0 + 1.0 / 3) / 3);
    near("mrr", 0, r.mrr, (1 + 1.0 / 6 + 1.0 / 3) / 3);
    near("auc", 0, r.ranking_auc, (1 - (0 + 2 + 7) / 21.0 + 0 + 0) / 3);
    am_ranking_init(&r, 4);
    am_ranking_finish(&r);
    assert_true(isnan(r.hit_rate));
}

/* ---- bits, refusals, hostile parameters, memory ---- */

static void same_bits(void **state)
{
    (void)state;
    struct am_pool *pool;
    assert_int_equal(am_pool_new(3, &pool, NULL), AM_OK);
    for (size_t k = 0; k < 3; k++) {
        struct am_matrix *m = rows_of(k == 2, false);
        struct am_learn_task t = task(m, k < 2 ? choices[k] : "{type: matrix_factorization}");
        struct am_learned one = fit_task(arena, &t);
        t.pool = pool;
        struct am_learned more = fit_task(arena, &t);
        assert_memory_equal(one.params->data, more.params->data, am_params_bytes(one.params));
        am_learned_clear(&one);
        am_learned_clear(&more);
        am_matrix_free(m);
    }
    am_pool_free(pool);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        size_t n_features;
        enum am_rc rc;
        const char *says;
    } bad[] = {
        {"{type: matrix_factorization, method: bpr, implicit: false}", 2, AM_EUSAGE, "bpr"},
        {"{type: matrix_factorization, factors: 0}", 2, AM_EUSAGE, "factors"},
        {"{type: matrix_factorization, method: svd}", 2, AM_EUSAGE, "svd"},
        {"{type: matrix_factorization, factor: 3}", 2, AM_EUSAGE, "factor"},
        {"{type: matrix_factorization}", 3, AM_EINVAL, "3 features"},
        {"{type: kmeans}", 2, AM_EUSAGE, "recommendation"},
        {"{type: matrix_factorization, iterations: 400, method: bpr, learning_rate: 10, "
         "regularization: 1000}",
         2, AM_EINVAL, "finite"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct am_matrix *m = rows_of(false, false), *wide;
        const float x[3] = {0, 0, 0}, y = 0;
        struct am_learn_task t = task(m, bad[i].model);
        struct am_learned l;
        struct am_err err = {0};
        assert_int_equal(am_matrix_new(3, 1, NULL, &wide, NULL), AM_OK);
        assert_int_equal(am_matrix_append(wide, 1, x, &y, NULL, NULL), AM_OK);
        assert_int_equal(am_matrix_finish(wide, NULL), AM_OK);
        t.n_features = bad[i].n_features;
        t.train = am_matrix_data(t.n_features == 3 ? wide : m);
        const enum am_rc rc = am_learner_fit(&t, &l, arena, &err);
        if (rc != bad[i].rc || !strstr(err.message, bad[i].says) || !err.hint[0])
            fail_msg("%s: %d, %s (%s)", bad[i].model, (int)rc, err.message, err.hint);
        am_matrix_free(m);
        am_matrix_free(wide);
    }
}

static void hostile(void **state)
{
    (void)state;
    static const float poison[] = {-1, 3.4e38f, -3.4e38f, 1e-40f, 4096, 16777217.0f, 1e20f};
    struct am_matrix *m = rows_of(false, false);
    struct am_learn_task t = task(m, choices[0]);
    struct am_learned l = fit_task(arena, &t);
    struct am_recommender r;
    assert_true(am_recommender_of(l.params, &r));
    for (size_t round = 0; round < 7; round++) {
        for (size_t i = 0; i < l.params->n_params; i++)
            for (size_t j = 0; j < l.params->table[i].n; j++)
                am_param_data(l.params, i)[j] = poison[(j + i + round) % 7];
        for (size_t u = 0; u < USERS + 2; u++) {
            const float x[2] = {(float)u - 1, (float)(u % ITEMS)};
            float y, v[ITEMS > USERS ? ITEMS : USERS];
            uint8_t marks[ITEMS] = {0};
            size_t top[5];
            run_rows(&l, x, 1, &y);
            assert_true(isfinite(y));
            am_recommender_scores(&r, u, v);
            am_recommender_seen(&r, u, marks);
            for (size_t i = 0; i < am_recommender_top(v, ITEMS, marks, 5, top); i++)
                assert_true(top[i] < ITEMS);
            am_recommender_like_item(&r, u, v);
            am_recommender_like_user(&r, u, v);
        }
    }
    am_learned_clear(&l);
    am_matrix_free(m);
}

static void memory(void **state)
{
    (void)state;
    static const char *const models[] = {
        "{type: matrix_factorization, factors: 2, iterations: 1}",
        "{type: matrix_factorization, factors: 2, iterations: 1, method: bpr}"};
    struct am_matrix *m = rows_of(false, false);
    for (size_t k = 0; k < 2; k++) {
        struct am_learn_task t = task(m, models[k]);
        AM_OOM_LOOP(fit_and_forget(&t), (void)0);
    }
    am_matrix_free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_goldens), cmocka_unit_test(learns_choices),
        cmocka_unit_test(learns_ratings),  cmocka_unit_test(ranking),
        cmocka_unit_test(same_bits),       cmocka_unit_test(refused),
        cmocka_unit_test(hostile),         cmocka_unit_test(memory)};
    golden_path = argc > 1 ? argv[1] : "cluster_goldens.json";
    (void)examples_path, (void)load_table, (void)scale_table, (void)matrix_of, (void)task_of;
    (void)score;
    arena = am_arena_new(0);
    goldens = load_goldens(arena);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    am_arena_free(arena);
    return failed;
}
