/* Every rule of advice: facts on which it fires, and facts near them on which it must not. */
#include "common.h"

#include "eval/advice.h"
#include "tests/support/faults.h"

static const uint64_t even[] = {500, 500};
static const char *const class_names[] = {"no", "<yes>"};

/* A healthy run: no rule fires. */
static struct am_advice_facts healthy(const char *metric)
{
    bool error = am_metric_find(am_str(metric))->better == AM_METRIC_LOWER;
    return (struct am_advice_facts){.task = error ? AM_TASK_REGRESSION : AM_TASK_BINARY,
                                    .n_train = 1000,
                                    .n_features = 20,
                                    .class_rows = error ? NULL : even,
                                    .class_names = error ? NULL : class_names,
                                    .n_classes = error ? 0 : 2,
                                    .metric = metric,
                                    .train = error ? 40000 : 0.95,
                                    .held_out = error ? 42000 : 0.93,
                                    .baseline = error ? 90000 : 0.5,
                                    .deviation = NAN,
                                    .top_column = "age",
                                    .top_drop = error ? 9000 : 0.1,
                                    .second_drop = error ? 8000 : 0.08};
}

/* The text of the advice of this kind, or NULL; *n = how many pieces there are at all. */
static const char *said(struct am_arena *a, const struct am_advice_facts *f, const char *kind,
                        size_t *n)
{
    const struct am_node *list = am_advice(f, a);
    const char *text = NULL;
    OK(am_arena_check(a, &err));
    *n = list->list.n;
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i];
        assert_true(am_node_str(m, "remedy", "").len > 20);
        if (am_str_is(am_node_str(m, "kind", ""), kind))
            text = am_node_str(m, "text", "").ptr;
    }
    return text;
}

static struct am_arena *arena;

static void fires(struct am_advice_facts f, const char *kind, const char *figure)
{
    size_t n;
    const char *text = said(arena, &f, kind, &n);
    assert_non_null(text);
    if (!strstr(text, figure))
        fail_msg("\"%s\" lacks %s", text, figure);
    assert_int_equal(n, 1); /* and no other rule with it */
}

static void silent(struct am_advice_facts f)
{
    size_t n;
    (void)said(arena, &f, "", &n);
    assert_int_equal(n, 0);
}

static void healthy_is_silent(void **state)
{
    (void)state;
    silent(healthy("accuracy"));
    silent(healthy("roc_auc"));
    silent(healthy("rmse"));
}

static void overfit(void **state)
{
    (void)state;
    struct am_advice_facts f = healthy("accuracy");
    f.train = 1;
    f.held_out = 0.81;
    fires(f, "overfit", "0.81");
    f.deviation = 0.2; /* few test rows: the gap may be chance */
    silent(f);
    f.deviation = 0.02;
    fires(f, "overfit", "0.81");
    f = healthy("rmse");
    f.train = 10000;
    fires(f, "overfit", "4.2e+04");
    f = healthy("rmse"); /* no baseline: the gap is measured against the error itself */
    f.baseline = NAN;
    silent(f);
    f.train = 10000;
    fires(f, "overfit", "4.2e+04");
    f = healthy("accuracy");
    f.held_out = NAN;
    silent(f);
}

static void underfit(void **state)
{
    (void)state;
    struct am_advice_facts f = healthy("accuracy");
    f.train = 0.53;
    f.held_out = 0.52;
    fires(f, "underfit", "0.53");
    f.held_out = NAN; /* training rows are enough to see it */
    fires(f, "underfit", "0.53");
    f.train = f.held_out = 0.62;
    silent(f);
    f = healthy("rmse");
    f.train = 85000;
    f.held_out = 86000;
    fires(f, "underfit", "8.5e+04");
    f.baseline = NAN;
    silent(f);
}

static void imbalance(void **state)
{
    (void)state;
    static const uint64_t rare[] = {920, 80}, enough[] = {880, 120}, three[] = {500, 440, 60},
                          three_enough[] = {500, 400, 100};
    static const char *const names[] = {"a", "b", "c"};
    struct am_advice_facts f = healthy("accuracy");
    f.class_rows = rare;
    fires(f, "imbalance", "\"<yes>\" has 80 of 1000");
    f.class_rows = enough;
    silent(f);
    f.task = AM_TASK_MULTICLASS;
    f.class_names = names;
    f.n_classes = 3;
    f.class_rows = three;
    fires(f, "imbalance", "\"c\" has 60");
    f.class_rows = three_enough;
    silent(f);
    f.task = AM_TASK_REGRESSION;
    f.class_rows = three;
    silent(f);
}

static void leak(void **state)
{
    (void)state;
    struct am_advice_facts f = healthy("accuracy");
    f.n_leaks = 12;
    fires(f, "leak", "12 rows");
    f = healthy("accuracy");
    f.train = f.held_out = 1;
    f.top_drop = 0.45;
    f.second_drop = 0.01;
    fires(f, "leak", "\"age\"");
    f.second_drop = 0.2; /* two columns share the work */
    silent(f);
    f.second_drop = 0;
    f.held_out = 0.99; /* good, not too good */
    silent(f);
    f.held_out = 1;
    f.top_column = NULL;
    silent(f);
    f = healthy("rmse");
    f.train = f.held_out = 10;
    f.top_drop = 80000;
    f.second_drop = 5;
    fires(f, "leak", "\"age\"");
    f.held_out = f.train = 1000;
    silent(f);
}

static void few_rows(void **state)
{
    (void)state;
    struct am_advice_facts f = healthy("accuracy");
    f.n_train = 99;
    f.n_features = 2;
    fires(f, "few_rows", "99 training rows for 2 columns");
    f.n_train = 100;
    silent(f);
    f.n_features = 11;
    fires(f, "few_rows", "11 columns");
    f.one_input = true; /* pixels are no columns */
    f.n_features = 784;
    fires(f, "few_rows", "100 training rows");
    f.n_train = 500;
    silent(f);
    f.one_input = false;
    f.n_train = 100;
    f.n_features = 10;
    silent(f);
}

static void without_figures(void **state)
{
    (void)state;
    struct am_advice_facts f = healthy("accuracy");
    f.metric = "prediction_mean"; /* no direction: nothing to say about it */
    f.train = 900;
    silent(f);
    f.metric = NULL;
    silent(f);
}

static enum am_rc everything(void)
{
    struct am_advice_facts f = healthy("accuracy");
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return AM_ENOMEM;
    f.n_leaks = f.n_train = 3;
    f.held_out = 0.1;
    (void)am_advice(&f, a);
    enum am_rc rc = am_arena_check(a, &err);
    am_arena_free(a);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    AM_OOM_LOOP(everything(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_is_silent),
        cmocka_unit_test(overfit),
        cmocka_unit_test(underfit),
        cmocka_unit_test(imbalance),
        cmocka_unit_test(leak),
        cmocka_unit_test(few_rows),
        cmocka_unit_test(without_figures),
        cmocka_unit_test(out_of_memory),
    };
    arena = am_arena_new(0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    am_arena_free(arena);
    return failed;
}
