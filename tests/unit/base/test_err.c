/* Errors: codes, texts, cutting at whole characters, an error quoted inside its successor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

static void codes_have_names_texts_and_statuses(void **state)
{
    (void)state;
    assert_int_equal(AM_OK, 0);
    assert_string_equal(am_rc_name(AM_ECORRUPT), "ECORRUPT");
    assert_string_equal(am_rc_text(AM_ENOTFOUND), "not found");
    assert_int_equal(am_rc_http(AM_ENOTFOUND), 404);
    assert_int_equal(am_rc_http((enum am_rc)999), 500);
    assert_string_equal(am_rc_name((enum am_rc) - 1), "UNKNOWN");
}

static void fail_fills_everything(void **state)
{
    (void)state;
    struct am_err e;
    memset(&e, 0xAA, sizeof e);
    int line = __LINE__ + 1;
    assert_int_equal(am_fail(&e, AM_EINVAL, "column \"%s\" has %d values", "a", 3), AM_EINVAL);
    assert_int_equal(e.rc, AM_EINVAL);
    assert_int_equal(e.line, line);
    assert_non_null(strstr(e.file, "test_err.c"));
    assert_string_equal(e.message, "column \"a\" has 3 values");
    assert_string_equal(e.hint, "");
    assert_int_equal(am_hint(&e, "Give %d.", 4), AM_EINVAL);
    assert_string_equal(e.hint, "Give 4.");
    am_context(&e, "table %s", "t");
    assert_string_equal(e.message, "table t: column \"a\" has 3 values");
    assert_string_equal(e.hint, "Give 4.");
    am_err_clear(&e);
    assert_int_equal(e.rc, AM_OK);
    assert_string_equal(e.message, "");
}

static void null_error_is_fine(void **state)
{
    (void)state;
    assert_int_equal(am_fail(NULL, AM_EBUSY, "x"), AM_EBUSY);
    assert_int_equal(am_fail_errno(NULL, ENOSPC, "x"), AM_ENOSPC);
    assert_int_equal(am_fail_nomem(NULL, 1), AM_ENOMEM);
    am_context(NULL, "x");
    am_err_clear(NULL);
    assert_int_equal(am_hint(NULL, "x"), AM_EINTERNAL);
}

static void errno_maps_to_codes(void **state)
{
    (void)state;
    static const struct {
        int e;
        enum am_rc rc;
    } cases[] = {{ENOSPC, AM_ENOSPC},    {EDQUOT, AM_ENOSPC}, {ENOMEM, AM_ENOMEM},
                 {ENOENT, AM_ENOTFOUND}, {EACCES, AM_EPERM},  {EPERM, AM_EPERM},
                 {EIO, AM_EIO},          {EBADF, AM_EIO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_err e;
        assert_int_equal(am_fail_errno(&e, cases[i].e, "cannot %s", "x"), cases[i].rc);
        assert_memory_equal(e.message, "cannot x: ", 10);
        assert_true(strlen(e.message) > 12);
    }
}

static void an_error_may_quote_itself(void **state)
{
    (void)state;
    struct am_err e;
    am_fail(&e, AM_EIO, "inner");
    am_fail(&e, AM_ECORRUPT, "outer: %s", e.message);
    assert_string_equal(e.message, "outer: inner");
    am_hint(&e, "One.");
    am_hint(&e, "%s Two.", e.hint);
    assert_string_equal(e.hint, "One. Two.");
    am_context(&e, "%s again", e.message);
    assert_string_equal(e.message, "outer: inner again: outer: inner");
}

static void long_text_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[4 * 1024];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        size_t n = shift;
        while (n + 5 < sizeof text) {
            memcpy(text + n, "\xF0\x9F\x98\x80", 4);
            n += 4;
        }
        text[n] = 0;
        struct am_err e;
        am_fail(&e, AM_EINVAL, "%s", text);
        assert_true(strlen(e.message) > AM_ERR_MESSAGE_BYTES - 6);
        assert_true(am_utf8_valid(am_str(e.message)));
        am_hint(&e, "%s", text);
        assert_true(am_utf8_valid(am_str(e.hint)));
        am_context(&e, "%s", "ctx");
        assert_true(am_utf8_valid(am_str(e.message)));
        assert_memory_equal(e.message, "ctx: ", 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_names_texts_and_statuses),
        cmocka_unit_test(fail_fills_everything),
        cmocka_unit_test(null_error_is_fine),
        cmocka_unit_test(errno_maps_to_codes),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(long_text_is_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
