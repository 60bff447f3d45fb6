/* Schedules against PyTorch's schedulers (optim_goldens.py), and warm-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/tree.h"
#include "nn/sched.h"

static const char *golden_path;
static struct am_arena *arena;
static struct am_node *top;

static int load(void **state)
{
    struct am_buf b;
    (void)state;
    am_buf_init(&b, 1 << 20);
    arena = am_arena_new(0);
    assert_int_equal(am_fs_read_file(golden_path, &b, NULL), AM_OK);
    assert_int_equal(am_json_parse(arena, am_buf_view(&b), "goldens", &top, NULL), AM_OK);
    am_buf_clear(&b);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

static double item(const char *path, size_t i)
{
    const struct am_node *n = am_node_path(top, path);
    double v;
    assert_non_null(n);
    assert_true(i < n->list.n);
    assert_true(am_node_as_f64(n->list.items[i], &v));
    return v;
}

static void against(const char *name, const struct am_sched_config *c)
{
    struct am_sched_state s = {0};
    char path[64];
    (void)snprintf(path, sizeof path, "schedules.%s", name);
    for (uint64_t e = 0; e < 12; e++) {
        double rate = am_sched_rate(c, &s, 0.5, e, 12, 3, 10);
        if (fabs(rate - item(path, e)) > 1e-9)
            fail_msg("%s, epoch %d: %g is not %g", name, (int)e, rate, item(path, e));
        am_sched_epoch(c, &s, 0.5, item("losses", e));
    }
}

static void test_goldens(void **state)
{
    struct am_sched_config c;
    (void)state;
    am_sched_config_init(&c);
    c.kind = AM_SCHED_STEP, c.step = 3, c.factor = 0.2;
    against("step", &c);
    c.kind = AM_SCHED_EXPONENTIAL, c.factor = 0.8;
    against("exponential", &c);
    c.kind = AM_SCHED_COSINE, c.min = 0.01;
    against("cosine", &c);
    c.kind = AM_SCHED_PLATEAU, c.factor = 0.5, c.patience = 2, c.min = 0;
    against("plateau", &c);
}

static void test_warmup(void **state)
{
    struct am_sched_config c;
    struct am_sched_state s = {0};
    (void)state;
    am_sched_config_init(&c);
    c.kind = AM_SCHED_STEP, c.step = 2, c.factor = 0.5, c.warmup = 2;
    assert_true(fabs(am_sched_rate(&c, &s, 1, 0, 10, 0, 4) - 1.0 / 8) < 1e-12);
    assert_true(fabs(am_sched_rate(&c, &s, 1, 1, 10, 3, 4) - 1) < 1e-12);
    assert_true(fabs(am_sched_rate(&c, &s, 1, 3, 10, 0, 4) - 1) < 1e-12); /* its second epoch */
    assert_true(fabs(am_sched_rate(&c, &s, 1, 4, 10, 0, 4) - 0.5) < 1e-12);
    c.min = 0.7;
    assert_true(fabs(am_sched_rate(&c, &s, 1, 4, 10, 0, 4) - 0.7) < 1e-12);
    assert_true(fabs(am_sched_rate(&c, &s, 1, 0, 10, 0, 4) - 1.0 / 8) < 1e-12);
}

static void test_config(void **state)
{
    struct am_sched_config c;
    enum am_sched_kind k;
    struct am_err err;
    (void)state;
    am_sched_config_init(&c);
    assert_int_equal(am_sched_config_check(&c, &err), AM_OK);
    c.factor = 0;
    assert_int_equal(am_sched_config_check(&c, &err), AM_EUSAGE);
    c.factor = 1, c.step = 0;
    assert_int_equal(am_sched_config_check(&c, &err), AM_EUSAGE);
    c.step = 1, c.min = -1;
    assert_int_equal(am_sched_config_check(&c, &err), AM_EUSAGE);
    for (int i = AM_SCHED_CONSTANT; i <= AM_SCHED_PLATEAU; i++) {
        assert_true(am_sched_parse(am_str(am_sched_name((enum am_sched_kind)i)), &k));
        assert_int_equal(k, i);
    }
    assert_false(am_sched_parse(AM_STR("cos"), &k));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens),
                                       cmocka_unit_test(test_warmup),
                                       cmocka_unit_test(test_config)};
    golden_path = argc > 1 ? argv[1] : "optim_goldens.json";
    return cmocka_run_group_tests(tests, load, unload);
}
