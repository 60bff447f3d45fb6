/* Cross-validated accuracy beside scikit-learn's on the same 3 x 10 folds (learn_goldens.py): the
 * mean must reach scikit-learn's less half a deviation of its folds. */
#include "learn_test.h"

struct model {
    const char *data, *name, *spec, *train;
};

static double mean_of(const struct am_node *list, double *deviation)
{
    double m = 0, v = 0, s;
    for (size_t i = 0; i < list->list.n; i++) {
        assert_true(am_node_as_f64(list->list.items[i], &s));
        m += s / (double)list->list.n;
    }
    for (size_t i = 0; i < list->list.n; i++) {
        assert_true(am_node_as_f64(list->list.items[i], &s));
        v += (s - m) * (s - m) / (double)list->list.n;
    }
    *deviation = sqrt(v);
    return m;
}

static double fold_score(const struct table *t, const struct model *m, const char *part, char fold)
{
    static struct table scaled;
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *train, *test;
    struct am_learn_task k;
    struct am_learned l;
    struct am_err err;
    double s;
    scale_table(t, part, fold, &scaled);
    train = matrix_of(&scaled, part, fold, false, false, 0);
    test = matrix_of(&scaled, part, fold, true, false, 0);
    k = task_of(a, t, train, m->spec, m->train);
    if (am_learner_fit(&k, &l, a, &err) != AM_OK)
        fail_msg("%s", err.message);
    s = score(&l, test, t->n_classes);
    am_learned_clear(&l);
    am_matrix_free(train);
    am_matrix_free(test);
    am_arena_free(a);
    return s;
}

static void against(const struct model *m)
{
    static struct table t;
    struct am_arena *a = am_arena_new(0);
    const struct am_node *all = am_node_get(load_goldens(a), "cross_validation"), *entry = NULL;
    double ours = 0, theirs, deviation;
    char path[64];
    load_table(m->data, &t);
    for (size_t i = 0; i < all->list.n; i++)
        if (am_str_is(am_node_str(all->list.items[i], "data", ""), m->data))
            entry = all->list.items[i];
    assert_non_null(entry);
    (void)snprintf(path, sizeof path, "scores.%s", m->name);
    theirs = mean_of(am_node_path(entry, path), &deviation);
    for (size_t r = 0; r < 3; r++) {
        struct am_str part;
        assert_true(am_node_as_str(am_node_get(entry, "folds")->list.items[r], &part));
        assert_int_equal(part.len, t.n);
        for (char fold = '0'; fold <= '9'; fold++)
            ours += fold_score(&t, m, part.ptr, fold) / 30;
    }
    print_message("%-14s %-9s ours %.4f, scikit-learn %.4f, needed %.4f\n", m->data, m->name, ours,
                  theirs, theirs - deviation / 2);
    assert_true(ours >= theirs - deviation / 2);
    am_arena_free(a);
}

static void test_linear_models(void **state)
{
    const struct model models[] = {
        {"breast_cancer", "logistic", "{type: logistic}", ""},
        {"iris", "logistic", "{type: logistic}", ""},
        {"wine", "logistic", "{type: logistic}", ""},
        {"diabetes", "linear", "{type: linear}", ""},
    };
    (void)state;
    for (size_t i = 0; i < 4; i++)
        against(&models[i]);
}

static void test_networks(void **state)
{
    const char *spec = "{type: mlp, layers: [100]}";
    const struct model models[] = {
        {"breast_cancer", "mlp", spec, "{epochs: 60}"},
        {"iris", "mlp", spec, "{epochs: 300, learning_rate: 0.003, l2: 0.002}"},
        {"wine", "mlp", spec, "{epochs: 100}"},
        {"diabetes", "mlp", spec, "{epochs: 20, learning_rate: 0.003, weight_decay: 0.01}"},
    };
    (void)state;
    for (size_t i = 0; i < 4; i++)
        against(&models[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear_models),
                                       cmocka_unit_test(test_networks)};
    golden_path = argc > 1 ? argv[1] : "learn_goldens.json";
    examples_path = argc > 2 ? argv[2] : "examples";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
