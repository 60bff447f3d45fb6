/* Progress: thinned out by a clock that stands still, rates, time left, cancelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/progress.h"

static uint64_t now_ns;
static uint64_t mono(void)
{
    return now_ns;
}
static int64_t wall(void)
{
    return 0;
}
static const struct am_clock_ops ops = {mono, wall};

static struct am_progress_event seen[100];
static size_t n_seen;
static void sink(void *ctx, const struct am_progress_event *ev)
{
    (void)ctx;
    seen[n_seen++] = *ev;
}

static void steps_are_thinned_out(void **state)
{
    (void)state;
    struct am_progress p = {.sink = sink};
    am_clock_set(&ops);
    now_ns = 1000;
    n_seen = 0;
    am_progress_begin(&p, "train", 1000);
    for (uint64_t i = 1; i <= 1000; i++) { /* one a millisecond */
        now_ns += 1000000;
        am_progress_step(&p, i, 1000, i * 10, 0.5);
    }
    am_progress_end(&p);
    am_progress_end(&p); /* once only */
    am_clock_set(NULL);
    assert_int_equal(n_seen, 1 + 10 + 1);
    assert_string_equal(seen[0].phase, "train");
    assert_int_equal(seen[0].total, 1000);
    assert_true(isnan(seen[0].loss) && isnan(seen[0].rows_per_s) && isnan(seen[0].left_s));
    assert_int_equal(seen[5].done, 500);
    assert_true(fabs(seen[5].rows_per_s - 10000) < 1e-6);
    assert_true(fabs(seen[5].left_s - 0.5) < 1e-9);
    assert_true(seen[5].loss == 0.5);
    assert_false(seen[5].finished);
    assert_true(seen[11].finished);
    assert_int_equal(seen[11].done, 1000);
}

static void nobody_needs_to_watch(void **state)
{
    (void)state;
    struct am_progress p = {0};
    am_progress_begin(NULL, "x", 1);
    am_progress_step(NULL, 1, 1, 1, 0);
    am_progress_end(NULL);
    assert_false(am_progress_canceled(NULL));
    am_progress_begin(&p, "x", 0);
    am_progress_step(&p, 1, 0, 1, 0);
    am_progress_end(&p);
    assert_false(am_progress_canceled(&p));
    atomic_bool cancel = false;
    p.cancel = &cancel;
    assert_false(am_progress_canceled(&p));
    cancel = true;
    assert_true(am_progress_canceled(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_thinned_out),
        cmocka_unit_test(nobody_needs_to_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
