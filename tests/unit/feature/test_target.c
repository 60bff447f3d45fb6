/* The target: which task, the order of classes, errors with their remedy, and the way through its
 * file form. */
#include "table.h"

#include "feature/target.h"
#include "tests/support/faults.h"

#define STR8(a, b, c, d, e, f, g, h)                                                               \
    {                                                                                              \
        AM_STR_INIT(a), AM_STR_INIT(b), AM_STR_INIT(c), AM_STR_INIT(d), AM_STR_INIT(e),            \
            AM_STR_INIT(f), AM_STR_INIT(g), AM_STR_INIT(h)                                         \
    }

static enum am_rc fit(struct am_target_config config, const void *cells, size_t n,
                      struct am_target **out)
{
    struct am_target_fit *f = NULL;
    struct am_column c = {.type = config.type};
    if (config.type == AM_COL_NUMBER || config.type == AM_COL_BOOLEAN)
        c.number = cells;
    else
        c.text = cells;
    config.name = AM_STR("t");
    *out = NULL;
    am_err_clear(&err);
    enum am_rc rc = am_target_fit_new(&config, &f, &err);
    if (rc == AM_OK)
        rc = am_target_fit_update(f, &c, n, &err);
    if (rc == AM_OK)
        rc = am_target_fit_finish(f, out, &err);
    if (rc == AM_OK) {
        assert_true(am_target_fit_why(f).len > 5);
    }
    am_target_fit_free(f);
    return rc;
}

static void expect_classes(struct am_target_config config, const void *cells, size_t n,
                           size_t n_classes, const char *const *classes)
{
    struct am_target *t;
    OK(fit(config, cells, n, &t));
    assert_int_equal(am_target_n_classes(t), n_classes);
    assert_int_equal(am_target_task(t), n_classes == 2 ? AM_TASK_BINARY : AM_TASK_MULTICLASS);
    uint64_t rows = 0;
    for (size_t i = 0; i < n_classes; i++) {
        assert_string_equal(am_target_class(t, i).ptr, classes[i]);
        assert_int_equal(am_target_find(t, am_str(classes[i])), i);
        rows += am_target_class_rows(t, i);
    }
    assert_int_equal(rows, n);
    am_target_free(t);
}

static const struct am_str mb[] = STR8("M", "B", "M", "B", "B", "M", "B", "B");
static const struct am_str sizes[] = STR8("10", "9", "10", "9", "-2", "-2", "9", "9");
static const double ones[] = {1, 0, 1, 0, 1, 1, 0, 0}, whole[60] = {3, 1, 2, 3, 1, 2},
                    tens[] = {10, 9, 10, 9, 10, 9, 10, 9};

static void classes_have_an_order(void **state)
{
    (void)state;
    double sixty[60];
    for (int i = 0; i < 60; i++)
        sixty[i] = i % 3 + 1;
    expect_classes((struct am_target_config){.type = AM_COL_CATEGORY}, mb, 8, 2,
                   (const char *[]){"B", "M"});
    expect_classes((struct am_target_config){.type = AM_COL_CATEGORY, .positive = AM_STR("B")}, mb,
                   8, 2, (const char *[]){"M", "B"});
    expect_classes((struct am_target_config){.type = AM_COL_TEXT}, sizes, 8, 3,
                   (const char *[]){"-2", "9", "10"});
    expect_classes((struct am_target_config){.type = AM_COL_BOOLEAN}, ones, 8, 2,
                   (const char *[]){"false", "true"});
    expect_classes((struct am_target_config){.type = AM_COL_NUMBER}, ones, 8, 2,
                   (const char *[]){"0", "1"});
    expect_classes((struct am_target_config){.type = AM_COL_NUMBER}, tens, 8, 2,
                   (const char *[]){"9", "10"});
    expect_classes((struct am_target_config){.type = AM_COL_NUMBER, .positive = AM_STR("0.0")},
                   ones, 8, 2, (const char *[]){"1", "0"});
    expect_classes((struct am_target_config){.type = AM_COL_NUMBER}, sixty, 60, 3,
                   (const char *[]){"1", "2", "3"});
}

static void numbers_are_regression(void **state)
{
    (void)state;
    struct am_target *t;
    double many[500], few[30], parts[200];
    for (int i = 0; i < 500; i++)
        many[i] = i % 100;
    for (int i = 0; i < 30; i++)
        few[i] = i % 3;
    for (int i = 0; i < 200; i++)
        parts[i] = i % 2 + 0.5;
    OK(fit((struct am_target_config){.type = AM_COL_NUMBER}, many, 500, &t));
    assert_int_equal(am_target_task(t), AM_TASK_REGRESSION);
    assert_true(fabs(am_target_mean(t) - 49.5) < 1e-12 &&
                fabs(am_target_deviation(t) - 28.866070047722118) < 1e-12);
    am_target_free(t);
    OK(fit((struct am_target_config){.type = AM_COL_NUMBER}, few, 30,
           &t)); /* 3 values in 30 rows: too few rows */
    assert_int_equal(am_target_task(t), AM_TASK_REGRESSION);
    am_target_free(t);
    OK(fit((struct am_target_config){.type = AM_COL_NUMBER}, parts, 200, &t)); /* fractions */
    assert_int_equal(am_target_task(t), AM_TASK_REGRESSION);
    am_target_free(t);
    OK(fit((struct am_target_config){.type = AM_COL_NUMBER, .want = AM_TARGET_CLASSIFICATION},
           parts, 200, &t));
    assert_true(am_str_is(am_target_class(t, 1), "1.5"));
    am_target_free(t);
    OK(fit((struct am_target_config){.type = AM_COL_BOOLEAN, .want = AM_TARGET_REGRESSION}, ones, 8,
           &t));
    assert_int_equal(am_target_task(t), AM_TASK_REGRESSION);
    am_target_free(t);
}

static void refusals(void **state)
{
    (void)state;
    static const double same[] = {4, 4, 4}, nan[] = {NAN, NAN, INFINITY},
                        single[] = {1, 0, 0, 0, 0};
    static const struct am_str lonely[] = STR8("a", "a", "a", "b", "b", "b", "c", "a");
    static const struct am_str missing[] = {{NULL, 0}, {NULL, 0}};
    const struct {
        struct am_target_config config;
        const void *cells;
        size_t n;
        enum am_rc rc;
        const char *message;
    } bad[] = {
        {{.type = AM_COL_NUMBER}, same, 3, AM_EINVAL, "is constant: every row is \"4\""},
        {{.type = AM_COL_NUMBER, .want = AM_TARGET_CLASSIFICATION},
         same,
         3,
         AM_EINVAL,
         "is constant"},
        {{.type = AM_COL_CATEGORY}, lonely, 3, AM_EINVAL, "is constant: every row is \"a\""},
        {{.type = AM_COL_NUMBER}, nan, 3, AM_EINVAL, "is missing in all 3 rows"},
        {{.type = AM_COL_CATEGORY}, missing, 2, AM_EINVAL, "is missing in all 2 rows"},
        {{.type = AM_COL_CATEGORY}, missing, 0, AM_EINVAL, "no row"},
        {{.type = AM_COL_CATEGORY}, lonely, 8, AM_EINVAL, "class \"c\" has 1 row, 2 needed"},
        {{.type = AM_COL_NUMBER}, single, 5, AM_EINVAL, "class \"1\" has 1 row"},
        {{.type = AM_COL_CATEGORY, .min_class_rows = 4}, mb, 8, AM_EINVAL, "class \"M\" has 3 row"},
        {{.type = AM_COL_CATEGORY, .positive = AM_STR("Q")}, mb, 8, AM_EUSAGE, "\"Q\" is no class"},
        {{.type = AM_COL_TEXT, .positive = AM_STR("9")}, sizes, 8, AM_EUSAGE, "is for two classes"},
        {{.type = AM_COL_CATEGORY, .want = AM_TARGET_REGRESSION},
         mb,
         8,
         AM_EUSAGE,
         "cannot be predicted as a number"},
        {{.type = AM_COL_DATE}, mb, 8, AM_EUSAGE, "of type date cannot"},
        {{.type = AM_COL_NUMBER, .want = AM_TARGET_REGRESSION, .positive = AM_STR("1")},
         ones,
         8,
         AM_EUSAGE,
         "positive"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct am_target *t;
        if (fit(bad[i].config, bad[i].cells, bad[i].n, &t) != bad[i].rc ||
            !strstr(err.message, bad[i].message))
            fail_msg("case %zu: got \"%s\"", i, err.message);
    }
    size_t at;
    assert_int_equal(am_target_column(&table_schema, AM_STR("colour"), &at, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "\"color\""));
    OK(am_target_column(&table_schema, AM_STR("color"), &at, &err));
    assert_int_equal(at, 6);
}

static void encode_and_file_form(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_target *t, *u = NULL;
    struct am_buf json, again;
    double y[8];
    OK(fit((struct am_target_config){.type = AM_COL_NUMBER, .positive = AM_STR("9")}, tens, 8, &t));
    am_buf_init(&json, 1 << 16);
    am_buf_init(&again, 1 << 16);
    am_node_to_json(am_target_to_node(t, a), AM_JSON_COMPACT, &json);
    struct am_node *n = NULL;
    OK(am_json_parse(a, am_buf_view(&json), "target", &n, &err));
    OK(am_target_from_node(n, &u, &err));
    am_node_to_json(am_target_to_node(u, a), AM_JSON_COMPACT, &again);
    assert_string_equal(json.ptr, again.ptr);
    const double cells[] = {9, 10, NAN, INFINITY};
    struct am_column c = {.type = AM_COL_NUMBER, .number = cells};
    OK(am_target_encode(u, &c, 4, 0, y, &err));
    assert_true(y[0] == 1 && y[1] == 0 && isnan(y[2]) && isnan(y[3]));
    assert_true(am_target_label_node(u, 1, a)->kind == AM_NODE_INT &&
                am_target_label_node(u, 1, a)->integer == 9);
    const double odd = 9.5;
    c.number = &odd;
    assert_int_equal(am_target_encode(u, &c, 1, 41, y, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "row 42 has the class \"9.5\""));
    c.type = AM_COL_BOOLEAN;
    assert_int_equal(am_target_encode(u, &c, 1, 0, y, &err), AM_EINVAL);
    am_buf_clear(&json);
    am_buf_clear(&again);
    am_target_free(t);
    am_target_free(u);
    am_arena_free(a);
}

static void hostile_targets(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]",
        "3",
        "{}",
        "{\"task\":\"binary\"}",
        "{\"name\":\"t\",\"type\":\"number\",\"task\":\"binary\",\"classes\":[\"1\"]}",
        "{\"name\":\"t\",\"type\":\"number\",\"task\":\"binary\",\"classes\":[\"1\",\"1\"]}",
        "{\"name\":\"t\",\"type\":\"number\",\"task\":\"binary\",\"classes\":[\"1\",\"1.0\"]}",
        "{\"name\":\"t\",\"type\":\"number\",\"task\":\"binary\",\"classes\":[\"1\",\"x\"]}",
        "{\"name\":\"t\",\"type\":\"boolean\",\"task\":\"binary\",\"classes\":[\"1\",\"0\"]}",
        "{\"name\":\"t\",\"type\":\"category\",\"task\":\"binary\",\"classes\":[\"a\",2]}",
        "{\"name\":\"t\",\"type\":\"category\",\"task\":\"binary\",\"classes\":[\"a\",\"b\"],"
        "\"rows\":[1]}",
        "{\"name\":\"t\",\"type\":\"category\",\"task\":\"binary\",\"classes\":[\"a\",\"b\"],"
        "\"rows\":[1,-1]}",
        "{\"name\":\"t\",\"type\":\"category\",\"task\":\"multiclass\",\"classes\":[\"a\",\"b\"]}",
        "{\"name\":\"t\",\"type\":\"category\",\"task\":\"regression\"}",
        "{\"name\":\"t\",\"type\":\"date\",\"task\":\"binary\",\"classes\":[\"a\",\"b\"]}",
        "{\"name\":\"t\",\"type\":\"number\",\"task\":\"regression\",\"deviation\":0}",
        "{\"name\":7,\"type\":\"number\",\"task\":\"regression\"}",
        "{\"type\":\"number\",\"task\":\"regression\"}",
        "{\"name\":null,\"type\":\"number\",\"task\":\"regression\"}",
        "{\"name\":null,\"type\":\"number\",\"task\":\"anomaly\"}",
        "{\"name\":null,\"type\":\"number\",\"task\":\"anomaly\",\"normal\":[\"1\"],\"rows\":[0,0]"
        "}",
        "{\"name\":\"a\",\"type\":\"number\",\"task\":\"anomaly\",\"normal\":[],\"rows\":[0,0]}",
        "{\"name\":\"a\",\"type\":\"text\",\"task\":\"anomaly\",\"normal\":[\"x\"],\"rows\":[0]}",
        "{\"name\":\"a\",\"type\":\"text\",\"task\":\"anomaly\",\"normal\":[\"x\"],\"rows\":[0,-1]"
        "}",
        "{\"name\":\"a\",\"type\":\"text\",\"task\":\"anomaly\",\"normal\":[7],\"rows\":[0,1]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_node *n = NULL;
        struct am_target *t = NULL;
        OK(am_json_parse(a, am_str(bad[i]), "target", &n, &err));
        if (am_target_from_node(n, &t, &err) != AM_ECORRUPT)
            fail_msg("%s was accepted", bad[i]);
        am_arena_free(a);
    }
}

/* ---- models that learn rows ---- */

static void own(const struct am_target *classes, const char *const *normal, size_t n,
                struct am_target **out)
{
    struct am_str labels[4];
    for (size_t i = 0; i < n; i++)
        labels[i] = am_str(normal[i]);
    OK(am_target_own(AM_TASK_ANOMALY, classes, labels, n, out, &err));
}

static void encoded(const struct am_target *t, const void *cells, size_t n, const double *want)
{
    struct am_column c = {.type = am_target_type(t), .number = cells};
    double got[8];
    OK(am_target_encode(t, &c, n, 0, got, &err));
    for (size_t i = 0; i < n; i++)
        if (isnan(want[i]) ? !isnan(got[i]) : got[i] != want[i])
            fail_msg("row %zu: %g, not %g", i, got[i], want[i]);
}

static void labels_of_rows(void **state)
{
    (void)state;
    static const struct am_str kinds[8] = {
        AM_STR_INIT("ok"),   AM_STR_INIT("ok"),   AM_STR_INIT("ok"), AM_STR_INIT("leak"),
        AM_STR_INIT("idle"), AM_STR_INIT("idle"), AM_STR_INIT("ok"), AM_STR_INIT("leak")};
    static const struct am_str seen[3] = {AM_STR_INIT("idle"), {NULL, 0}, AM_STR_INIT("new")};
    static const double flags[6] = {0, 0, 0, 1, 0, 1};
    const char *both[] = {"ok", "idle"}, *zero[] = {"0.0"}, *nobody[] = {"okay"};
    struct am_target *classes, *t;
    OK(fit((struct am_target_config){.type = AM_COL_CATEGORY, .min_class_rows = 1}, kinds, 8,
           &classes));
    own(classes, NULL, 0, &t);
    assert_int_equal(am_target_n_normal(t), 1);
    assert_true(am_str_is(am_target_normal(t, 0), "ok"));
    assert_int_equal(am_target_n_classes(t), 0);
    assert_int_equal(am_target_label_rows(t, 0), 4);
    assert_int_equal(am_target_label_rows(t, 1), 4);
    am_target_free(t);
    own(classes, both, 2, &t);
    assert_int_equal(am_target_label_rows(t, 1), 2);
    encoded(t, seen, 3, (const double[]){0, NAN, 1});
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = am_target_to_node(t, a);
    am_target_free(t);
    OK(am_target_from_node(n, &t, &err));
    assert_int_equal(am_target_task(t), AM_TASK_ANOMALY);
    assert_int_equal(am_target_n_normal(t), 2);
    assert_int_equal(am_target_label_rows(t, 0), 6);
    encoded(t, seen, 3, (const double[]){0, NAN, 1});
    am_target_free(t);
    struct am_str wrong = am_str(nobody[0]);
    assert_int_equal(am_target_own(AM_TASK_ANOMALY, classes, &wrong, 1, &t, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "\"ok\""));
    struct am_str every[3] = {AM_STR("ok"), AM_STR("idle"), AM_STR("leak")};
    assert_int_equal(am_target_own(AM_TASK_ANOMALY, classes, every, 3, &t, &err), AM_EUSAGE);
    am_target_free(classes);
    OK(fit((struct am_target_config){.type = AM_COL_BOOLEAN, .min_class_rows = 1}, flags, 6,
           &classes));
    own(classes, zero, 1, &t);
    encoded(t, (const double[]){1, NAN, 0}, 3, (const double[]){1, NAN, 0});
    am_target_free(t);
    am_target_free(classes);
    own(NULL, NULL, 0, &t); /* nobody labelled the rows */
    assert_int_equal(am_target_name(t).len, 0);
    n = am_target_to_node(t, a);
    am_target_free(t);
    OK(am_target_from_node(n, &t, &err));
    assert_int_equal(am_target_n_normal(t), 0);
    am_target_free(t);
    am_arena_free(a);
}

static enum am_rc life(void)
{
    struct am_target *t, *u = NULL;
    enum am_rc rc = fit((struct am_target_config){.type = AM_COL_TEXT}, sizes, 8, &t);
    struct am_arena *a = rc == AM_OK ? am_arena_new(0) : NULL;
    if (rc == AM_OK && a == NULL)
        rc = AM_ENOMEM;
    if (rc == AM_OK) {
        struct am_node *n = am_target_to_node(t, a);
        rc = am_arena_check(a, &err);
        if (rc == AM_OK)
            rc = am_target_from_node(n, &u, &err);
    }
    am_target_free(u);
    u = NULL;
    if (rc == AM_OK && (rc = am_target_own(AM_TASK_EMBEDDING, t, NULL, 0, &u, &err)) == AM_OK)
        am_target_free(u);
    am_target_free(t);
    am_arena_free(a);
    if (rc == AM_OK) {
        rc = fit((struct am_target_config){.type = AM_COL_NUMBER, .want = AM_TARGET_REGRESSION},
                 whole, 60, &t);
        am_target_free(t);
    }
    return rc;
}

static void failed_allocations(void **state)
{
    (void)state;
    AM_OOM_LOOP(life(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_have_an_order),
        cmocka_unit_test(numbers_are_regression),
        cmocka_unit_test(refusals),
        cmocka_unit_test(encode_and_file_form),
        cmocka_unit_test(labels_of_rows),
        cmocka_unit_test(hostile_targets),
        cmocka_unit_test(failed_allocations),
    };
    (void)table_spec, (void)table_init, (void)table_slice, (void)spec_of;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
