/* Dates: what is one and what is not, there and back again, the ends of int64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/date.h"

static void date(const char *text, bool good, int64_t us)
{
    int64_t got = -1;
    if (am_date_parse(am_str(text), &got) != good || (good && got != us))
        fail_msg("%s: %lld", text, (long long)got);
}

static void test_dates(void **state)
{
    (void)state;
    date("1970-01-01", true, 0);
    date("1969-12-31", true, -86400000000);
    date("2000-02-29", true, 951782400000000);
    date("2026-11-21T13:17:04Z", true, 1795267024000000);
    date("2026-11-21 13:17:04.25", true, 1795267024250000);
    date("2026-11-21T13:17", true, 1795267020000000);
    date("2026-11-21T14:17:04+01:00", true, 1795267024000000);
    date("2026-11-21T08:47:04-0430", true, 1795267024000000);
    date("0001-01-01", true, -62135596800000000);
    date("1900-02-29", false, 0);
    date("2026-02-30", false, 0);
    date("2026-13-01", false, 0);
    date("2026-1-1", false, 0);
    date("2026-11-21T24:00:00", false, 0);
    date("2026-11-21T", false, 0);
    date("2026-11-21T13:17:04.", false, 0);
    date("2026-11-21Tx", false, 0);
    date("2026-11-21Z", false, 0);
    date("2026-11-21T13:17:04+15:00", false, 0);
    date("2026-11-21T13:17:04+1", false, 0);
    date("2026-11-21 ", false, 0);
    date("21.11.2026", false, 0);
    date("", false, 0);
}

static void test_slices(void **state)
{
    int64_t us = 7;
    (void)state;
    assert_false(am_date_parse((struct am_str){NULL, 0}, &us));
    assert_true(am_date_parse((struct am_str){"2026-11-21T13", 10}, &us));
    assert_true(us == 1795219200000000);
    assert_false(am_date_parse((struct am_str){"2026-11-21T13", 13}, &us));
    assert_true(us == 1795219200000000);
}

static void prints(int64_t us, const char *wanted)
{
    char text[AM_DATE_CHARS];
    am_date_print(us, text);
    assert_string_equal(text, wanted);
}

static void test_print(void **state)
{
    (void)state;
    prints(0, "1970-01-01");
    prints(-1, "1969-12-31T23:59:59.999999Z");
    prints(951782400000000, "2000-02-29");
    prints(1795267024000000, "2026-11-21T13:17:04Z");
    prints(1795267024250000, "2026-11-21T13:17:04.25Z");
    prints(-62135596800000000, "0001-01-01");
    /* Python: datetime64 of the same numbers */
    prints(INT64_MAX, "+294247-01-10T04:00:54.775807Z");
    prints(INT64_MIN, "-290308-12-21T19:59:05.224192Z");
}

static void test_there_and_back(void **state)
{
    char text[AM_DATE_CHARS];
    (void)state;
    for (int64_t i = 0; i < 20000; i++) {
        int64_t us = -62167219200000000 + i * 15778476043217, got = 0; /* years 0 to 9999 */
        am_date_print(us, text);
        assert_true(am_date_parse(am_str(text), &got));
        assert_true(got == us);
    }
    for (int64_t day = -800000; day < 800000; day += 7) {
        struct am_civil c = am_civil_of_days(day);
        assert_true(am_days_of_civil(c.year, c.month, c.day) == day);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
