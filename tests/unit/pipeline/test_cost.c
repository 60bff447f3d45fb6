/* The cost model: lines in logarithms recover a law from observations, the file keeps them, damaged
 * lines and other processors' count for nothing, a file that cannot be written is only not kept;
 * budgets as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "pipeline/automl_int.h"
#include "pipeline/cost.h"
#include "tests/support/faults.h"

static char dir[256], file[300];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/aimass-cost.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(file, sizeof file, "%s/costs", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return am_fs_remove_tree(dir, NULL) == AM_OK ? 0 : -1;
}

/* seconds of a machine that is 7 times slower than the algorithm says, with other slopes */
static double law(double rows, double features)
{
    return 3e-6 * pow(rows, 1.3) * pow(features, 0.7);
}

static void feed(struct am_costs *c)
{
    static const double rows[] = {500, 1000, 4000, 16000, 60000}, features[] = {5, 20, 80};
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 3; k++) {
            const struct am_cost_size size = {rows[i], features[k], 1};
            const struct am_cost seen = {.fit_s = law(rows[i], features[k]),
                                         .latency_us = 2 * features[k],
                                         .model_bytes = 100 * features[k]};
            am_costs_add(c, "random_forest", &size, &seen);
        }
}

static void near(double got, double want, double factor)
{
    if (!(got < want * factor && got > want / factor))
        fail_msg("%g instead of %g within a factor of %g", got, want, factor);
}

static void test_law(void **state)
{
    struct am_costs *c;
    struct am_cost cost, before;
    const struct am_cost_size far = {200000, 40, 1}, between = {8000, 40, 1};
    (void)state;
    assert_int_equal(am_costs_open(dir, &c, NULL), AM_OK);
    assert_true(am_costs_predict(c, "random_forest", &between, &before));
    assert_int_equal(before.n_seen, 0);
    assert_true(before.fit_s > 0 && before.latency_us > 0 && before.model_bytes > 0);
    feed(c);
    assert_true(am_costs_predict(c, "random_forest", &between, &cost));
    near(cost.fit_s, law(8000, 40), 1.3);
    near(cost.latency_us, 80, 1.5);
    near(cost.model_bytes, 4000, 1.5);
    assert_int_equal(cost.n_seen, 15);
    assert_true(cost.memory_bytes > 8000.0 * 40 * 4);
    assert_true(am_costs_predict(c, "random_forest", &far, &cost));
    near(cost.fit_s, law(200000, 40), 1.6);
    assert_false(am_costs_predict(c, "crystal_ball", &far, &cost));
    am_costs_free(c);
}

static void test_kept(void **state)
{
    struct am_costs *c;
    struct am_cost one, two;
    const struct am_cost_size size = {8000, 40, 1};
    (void)state;
    assert_int_equal(am_costs_open(dir, &c, NULL), AM_OK);
    assert_int_equal(am_costs_seen(c, "random_forest"), 15);
    assert_true(am_costs_predict(c, "random_forest", &size, &one));
    am_costs_free(c);
    /* a line cut off, one of another processor, one of nonsense: as if they were not there */
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(am_fs_read_file(file, &b, NULL), AM_OK);
    am_buf_cstr(&b, "Another CPU\trandom_forest\t1000\t10\t1\t9999\t1\t1\n");
    am_buf_str(&b, (struct am_str){b.ptr, 60});
    am_buf_cstr(&b, "\nnonsense\n\t\t\t\t\t\t\t\n");
    am_buf_str(&b, (struct am_str){b.ptr, 40});
    assert_int_equal(am_fs_write_file(file, b.ptr, b.len, NULL), AM_OK);
    am_buf_clear(&b);
    assert_int_equal(am_costs_open(dir, &c, NULL), AM_OK);
    assert_true(am_costs_predict(c, "random_forest", &size, &two));
    assert_true(one.fit_s == two.fit_s && two.n_seen == 15);
    am_costs_free(c);
}

static void test_faults(void **state)
{
    struct am_costs *c;
    const struct am_cost_size size = {100, 4, 1};
    const struct am_cost seen = {.fit_s = 1, .latency_us = 1, .model_bytes = 1};
    (void)state;
    AM_OOM_LOOP(am_costs_open(dir, &c, NULL), am_costs_free(c));
    assert_int_equal(am_costs_open("/nowhere/at/all", &c, NULL), AM_OK);
    am_costs_add(c, "logistic", &size, &seen);
    assert_int_equal(am_costs_seen(c, "logistic"), 1);
    am_costs_add(c, "logistic", &size, &(struct am_cost){.fit_s = NAN});
    struct am_cost cost;
    assert_true(am_costs_predict(c, "logistic", &size, &cost) && isfinite(cost.fit_s));
    am_costs_free(c);
}

static void test_budgets(void **state)
{
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"90s", 90}, {"5m", 300}, {"1h", 3600}, {"300", 300}, {"0.5m", 30}};
    static const char *const bad[] = {"", "soon", "-5s", "0", "5 m", "m", "1e99h", "nan"};
    double s;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(am_budget_parse(am_str(good[i].text), &s));
        assert_true(s == good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (am_budget_parse(am_str(bad[i]), &s))
            fail_msg("\"%s\" is %g s", bad[i], s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_law),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_budgets),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
