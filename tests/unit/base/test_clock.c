/* Clocks: replaceable, and times as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static uint64_t fixed_mono(void)
{
    return 123;
}
static int64_t fixed_wall(void)
{
    return -1;
}

static void a_test_may_stop_time(void **state)
{
    (void)state;
    static const struct am_clock_ops ops = {fixed_mono, fixed_wall};
    am_clock_set(&ops);
    assert_int_equal(am_mono_ns(), 123);
    assert_int_equal(am_wall_us(), -1);
    am_clock_set(NULL);
    uint64_t a = am_mono_ns(), b = am_mono_ns();
    assert_true(b >= a && a > 0);
    assert_true(am_wall_us() > 1700000000000000);
}

static void times_print_as_iso(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00Z"},
                 {1795267024000000, "2026-11-21T13:17:04Z"},
                 {1709164799999999, "2024-02-28T23:59:59Z"},
                 {1709164800000000, "2024-02-29T00:00:00Z"},
                 {-1, "1969-12-31T23:59:59Z"}};
    char out[24];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        am_time_iso(cases[i].us, out);
        assert_string_equal(out, cases[i].text);
    }
    am_time_iso(INT64_MAX, out); /* no overrun */
    am_time_iso(INT64_MIN, out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_test_may_stop_time),
        cmocka_unit_test(times_print_as_iso),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
