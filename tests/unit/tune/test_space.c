/* Search spaces: the recipe's words, what is refused and where, conditions, values to places and
 * back, enumeration. */
#include "common.h"

static struct am_tune_space *space(const char *over)
{
    struct am_arena *a = am_arena_new(0);
    struct am_tune_space *s = NULL;
    OK(am_tune_space_parse(yaml(a, over), &s, &err));
    am_arena_free(a);
    return s;
}

static void test_words(void **state)
{
    struct am_tune_space *s = space("train.learning_rate: {log: [1e-4, 1e-1]}\n"
                                    "model.dropout: {float: [0, 0.5], step: 0.05}\n"
                                    "model.depth: {int: [2, 12], step: 2}\n"
                                    "train.batch_size: {log_int: [16, 512]}\n"
                                    "model.type: [logistic, mlp]\n"
                                    "train.shuffle: [true, false]\n");
    static const enum am_tune_kind kinds[] = {AM_TUNE_FLOAT, AM_TUNE_FLOAT,  AM_TUNE_INT,
                                              AM_TUNE_INT,   AM_TUNE_CHOICE, AM_TUNE_BOOL};
    (void)state;
    assert_int_equal(am_tune_space_n(s), 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(am_tune_space_param(s, i)->kind, kinds[i]);
    assert_true(am_tune_space_param(s, 0)->log);
    assert_true(am_tune_space_param(s, 3)->log);
    assert_int_equal(am_tune_space_param(s, 2)->line, 3);
    assert_int_equal(s->dims[1].n_levels, 11);
    assert_int_equal(s->dims[2].n_levels, 6);
    assert_int_equal(s->dims[3].n_levels, 497);
    assert_true(isinf(am_tune_space_points(s)));
    assert_null(am_tune_space_param(s, 6));
    am_tune_space_free(s);
}

/* Each place's value has that place's level again, both ends are reached, logarithms are even. */
static void test_units(void **state)
{
    struct am_tune_space *s = space("a: {log_int: [1, 1000]}\nb: {int: [-3, 4]}\n"
                                    "c: {float: [-1, 1], step: 0.25}\nd: {log: [0.01, 100]}\n");
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (uint32_t l = 0; l < s->dims[i].n_levels; l++) {
            double u = am_tune_level_unit(&s->dims[i], l);
            assert_true(u > 0 && u < 1);
            assert_int_equal(am_tune_level(&s->dims[i], u), l);
            assert_true(fabs(am_tune_value(&s->dims[i], u) - s->dims[i].p.low -
                             l * s->dims[i].p.step) < 1e-12);
            assert_true(am_tune_unit(&s->dims[i], am_tune_value(&s->dims[i], u)) == u);
        }
    assert_true(fabs(am_tune_value(&s->dims[3], 0.5) - 1) < 1e-12);
    assert_true(am_tune_value(&s->dims[3], 0) == 0.01 && am_tune_value(&s->dims[3], 1) == 100);
    assert_true(am_tune_value(&s->dims[0], 0) == 1 && am_tune_value(&s->dims[0], 1) == 1000);
    assert_true(am_tune_value(&s->dims[0], 0.5) > 20 && am_tune_value(&s->dims[0], 0.5) < 35);
    am_tune_space_free(s);
}

static void test_refused(void **state)
{
    static const struct {
        const char *over, *says, *hint;
    } cases[] = {
        {"{}", "is empty", "Name settings"},
        {"a: {log: [0, 1]}", "line 1, column 10: tune.over: a: the logarithm of 0", NULL},
        {"a: {log: [-1, 1]}", "logarithm of -1", NULL},
        {"a: {log_int: [0, 8]}", "logarithm of 0", NULL},
        {"a: 1\nb: {float: [2, 1]}", "a: is neither", NULL},
        {"x: [1, 2]\nb: {float: [2, 1]}", "line 2, column 12: tune.over: b: the range is reversed",
         NULL},
        {"b: {int: [3, 3]}", "holds 3 only", NULL},
        {"b: {int: [1.5, 3]}", "whole numbers", NULL},
        {"b: {int: [1, x]}", "two numbers", NULL},
        {"b: {int: [1, 2, 3]}", "two numbers", NULL},
        {"b: {float: [1, .inf]}", "two numbers", NULL},
        {"b: {int: [1, 9], step: 0}", "step is not", NULL},
        {"b: {int: [1, 9], step: 20}", "leaves one value only", NULL},
        {"b: {log: [1, 9], step: 2}", "takes no step", NULL},
        {"b: {lgo: [1, 9]}", "line 1, column 5: tune.over: b: unknown word \"lgo\"", "\"log\""},
        {"b: {log: [1, 9], int: [1, 2]}", "one is enough", NULL},
        {"b: {step: 1}", "says no values", NULL},
        {"b: {}", "is empty", NULL},
        {"b: []", "empty", NULL},
        {"b: [x]", "one value only", NULL},
        {"b: [x, y, x]", "value 3 is the same as value 1", NULL},
        {"b: [16, 16.0]", "same", NULL},
        {"b: {int: [0, 90000000]}", "more than", NULL},
        {"b: {choice: [a, b], when: {c: 1}}", "not searched", NULL},
        {"cat: [p, q]\nb: {choice: [a, b], when: {cta: p}}", "\"cta\", which is not searched",
         "\"cat\""},
        {"c: [p, q]\nb: {choice: [a, b], when: {c: r}}", "a value that c does not take", NULL},
        {"c: {float: [0, 1]}\nb: {choice: [a, b], when: {c: 0.5}}", "continuous", NULL},
        {"c: {choice: [p, q], when: {b: a}}\nb: {choice: [a, b], when: {c: p}}", "circle", NULL},
        {"b: {list: {int: [1, 4]}}", "no length", NULL},
        {"b: {list: {int: [1, 4]}, length: [3, 2]}", "reversed", NULL},
        {"b: {list: {int: [1, 4]}, length: [0, 0]}", "length is within", NULL},
        {"b: {int: [1, 4], length: 2}", "length goes with list", NULL},
        {"b: {list: {list: {int: [1, 4]}, length: 2}, length: 2}", "list within a list", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_tune_space *s = NULL;
        am_err_clear(&err);
        assert_int_equal(am_tune_space_parse(yaml(a, cases[i].over), &s, &err), AM_EUSAGE);
        if (!strstr(err.message, cases[i].says) ||
            (cases[i].hint && !strstr(err.hint, cases[i].hint)))
            fail_msg("%s: %s (%s)", cases[i].over, err.message, err.hint);
        assert_null(s);
        am_arena_free(a);
    }
    struct am_tune_space *s = NULL;
    assert_int_equal(am_tune_space_parse(NULL, &s, &err), AM_EUSAGE);
}

static const char *const nested =
    "kind: [a, b, c]\n"
    "depth: {int: [1, 4], when: {kind: [a, b]}}\n"
    "leaf: {choice: [x, y], when: {depth: [3, 4]}}\n"
    "gamma: {log: [0.1, 10], when: {kind: c}}\n"
    "layers: {list: {int: [8, 10]}, length: [1, 3], when: {kind: b}}\n";

/* What is off is not among the values, whatever the place; what is on always is. */
static void test_conditions(void **state)
{
    struct am_tune_space *s = space(nested);
    struct am_rng r;
    double unit[16];
    size_t seen[3] = {0};
    (void)state;
    assert_int_equal(am_tune_space_n(s), 8);
    assert_string_equal(am_tune_space_param(s, 4)->name, "layers.length");
    assert_string_equal(am_tune_space_param(s, 7)->name, "layers.2");
    am_rng_init(&r, 1, AM_RNG_USER);
    for (int i = 0; i < 500; i++) {
        struct am_arena *a = am_arena_new(0);
        for (size_t k = 0; k < 8; k++)
            unit[k] = am_rng_unit(&r);
        am_tune_snap(s, unit);
        const struct am_node *v = am_tune_values(s, unit, a), *layers = am_node_get(v, "layers");
        struct am_str kind = am_node_str(v, "kind", "");
        int64_t depth = am_node_i64(v, "depth", 0);
        seen[kind.ptr[0] - 'a']++;
        assert_int_equal(depth > 0, kind.ptr[0] != 'c');
        assert_int_equal(am_node_get(v, "leaf") != NULL, depth >= 3);
        assert_int_equal(am_node_get(v, "gamma") != NULL, kind.ptr[0] == 'c');
        assert_int_equal(layers != NULL, kind.ptr[0] == 'b');
        if (layers) {
            assert_in_range(layers->list.n, 1, 3);
            for (size_t k = 0; k < layers->list.n; k++) {
                int64_t w = 0;
                assert_true(am_node_as_i64(layers->list.items[k], &w) && w >= 8 && w <= 10);
            }
        }
        /* and the values lead back to the place */
        double back[16];
        am_tune_place(s, v, back);
        for (size_t k = 0; k < 8; k++)
            assert_true(isnan(back[k]) ? isnan(unit[k]) : fabs(back[k] - unit[k]) < 1e-9);
        am_arena_free(a);
    }
    assert_true(seen[0] > 100 && seen[1] > 100 && seen[2] > 100);
    am_tune_space_free(s);
}

/* kind a: depth 1, 2 or (3, 4 with x, y) = 6; b: the same times lists 3 + 9 + 27; c: gamma. */
static void test_enumeration(void **state)
{
    struct am_tune_space *s = space(nested);
    double unit[16], points[400][16];
    size_t n = 0;
    (void)state;
    assert_true(am_tune_n_points(s, 5) == 6 + 6 * 39 + 5);
    assert_true(isinf(am_tune_space_points(s)));
    for (; am_tune_nth_point(s, 5, (double)n, unit); n++) {
        double copy[16];
        memcpy(copy, unit, sizeof copy);
        am_tune_snap(s, copy);
        assert_true(am_tune_same(s, copy, unit));
        for (size_t i = 0; i < n; i++)
            assert_false(am_tune_same(s, unit, points[i]));
        memcpy(points[n], unit, sizeof unit);
    }
    assert_int_equal(n, 245);
    am_tune_space_free(s);
}

static void test_places(void **state)
{
    struct am_tune_space *s =
        space("a: {int: [1, 5]}\nb: {float: [0, 1]}\nc: [[16], [32, 16], 7]\n");
    struct am_arena *a = am_arena_new(0);
    double unit[3];
    (void)state;
    am_tune_place(s, yaml(a, "{a: 99, b: -3, c: [32, 16], other: 1}"), unit);
    assert_true(am_tune_value(&s->dims[0], unit[0]) == 5 && unit[1] == 0);
    assert_int_equal(am_tune_level(&s->dims[2], unit[2]), 1);
    am_tune_place(s, yaml(a, "{c: nothing}"), unit); /* the middle, the first choice */
    assert_true(am_tune_value(&s->dims[0], unit[0]) == 3 && unit[1] == 0.5);
    assert_int_equal(am_tune_level(&s->dims[2], unit[2]), 0);
    am_arena_free(a);
    am_tune_space_free(s);
}

static void test_memory(void **state)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_node *over = yaml(a, nested);
    struct am_tune_space *s = NULL;
    (void)state;
    AM_OOM_LOOP(am_tune_space_parse(over, &s, &err), am_tune_space_free(s));
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),       cmocka_unit_test(test_units),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_enumeration), cmocka_unit_test(test_places),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
