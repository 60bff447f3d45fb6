/* Log lines: form, levels, escapes, capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

static uint64_t mono(void)
{
    return 0;
}
static int64_t wall(void)
{
    return 1795267024000000;
}
static const struct am_clock_ops still = {mono, wall};

static struct am_buf captured;
static void keep(void *ctx, const char *line, size_t n)
{
    am_buf_add(ctx, line, n);
    am_log(AM_LOG_ERROR, "capture", "not captured again");
}

static void lines_have_one_form(void **state)
{
    (void)state;
    am_clock_set(&still);
    am_buf_init(&captured, 100000);
    am_log_set_level(AM_LOG_OFF); /* captured whatever the level */
    am_log_capture(keep, &captured);
    am_log(AM_LOG_INFO, "registry", "run=%d state=%s", 7, "failed");
    am_log(AM_LOG_DEBUG, "x", "a\nb\x1b[31m\xFF caf\xC3\xA9");
    am_log(AM_LOG_OFF, "x", "never");
    struct am_err e;
    am_fail(&e, AM_EIO, "broke");
    am_hint(&e, "Mend it.");
    am_log_err(AM_LOG_WARN, "x", &e);
    am_log_capture(NULL, NULL);
    am_log(AM_LOG_ERROR, "x", "after");
    assert_true(
        am_str_starts(am_buf_view(&captured),
                      AM_STR("2026-11-21T13:17:04Z INFO registry run=7 state=failed\n"
                             "2026-11-21T13:17:04Z DEBUG x a\\x0ab\\x1b[31m\\xff caf\xC3\xA9\n"
                             "2026-11-21T13:17:04Z WARN x code=EIO at=")));
    assert_true(
        am_str_ends(am_buf_view(&captured), AM_STR("message=\"broke\" hint=\"Mend it.\"\n")));
    am_buf_clear(&captured);
    am_clock_set(NULL);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, '\n', sizeof text - 1);
    am_buf_init(&captured, 100000);
    am_log_set_level(AM_LOG_OFF);
    am_log_capture(keep, &captured);
    am_log(AM_LOG_INFO, "x", "%s", text);
    am_log(AM_LOG_INFO, text, "%s", text);
    am_log_capture(NULL, NULL);
    assert_true(captured.len > 4000 && captured.len <= 2 * 4096);
    assert_int_equal(captured.ptr[captured.len - 1], '\n');
    am_buf_clear(&captured);
}

static void levels_filter_what_goes_to_stderr(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    am_log_set_level(AM_LOG_WARN);
    am_log(AM_LOG_INFO, "x", "hidden");
    am_log(AM_LOG_WARN, "x", "shown");
    am_log_set_level(AM_LOG_OFF);
    am_log(AM_LOG_ERROR, "x", "hidden");
    am_buf_init(&captured, 1000);
    am_log_capture(keep, &captured);
    am_log(AM_LOG_ERROR, "x", "hidden"); /* goes to the capture only */
    am_log_capture(NULL, NULL);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    (void)close(fds[1]);
    char out[1000];
    ssize_t n = read(fds[0], out, sizeof out - 1);
    assert_true(n > 0);
    out[n] = 0;
    (void)close(fds[0]);
    assert_non_null(strstr(out, " WARN x shown\n"));
    assert_null(strstr(out, "hidden"));
    assert_non_null(strstr(captured.ptr, "hidden"));
    am_buf_clear(&captured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_one_form),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(levels_filter_what_goes_to_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
