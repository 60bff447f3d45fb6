/* The JSON scanner: what is accepted, what is refused and where, numbers against Python's bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "api/json_scan.h"

/* A copy at the end of its own allocation, so that ASan sees reads behind the text. */
static char *exact(const char *text, size_t n)
{
    char *p = malloc(n ? n : 1);
    memcpy(p, text, n);
    return p;
}

static bool skips(const char *text, size_t n, enum am_js_special special, struct am_err *err)
{
    struct am_js js;
    char *copy = exact(text, n);
    am_js_init(&js, copy, n, special, err);
    bool ok = am_js_skip(&js) && am_js_finish(&js);
    assert_int_equal(ok, js.failed == AM_OK);
    assert_memory_equal(copy, text, n); /* skipping changes nothing */
    free(copy);
    return ok;
}

#define ACCEPTED(text) assert_true(skips(text, sizeof(text) - 1, AM_JS_STRICT, &err))
#define REFUSED(text) assert_false(skips(text, sizeof(text) - 1, AM_JS_STRICT, &err))

static void test_grammar(void **state)
{
    struct am_err err;
    (void)state;
    ACCEPTED("{}");
    ACCEPTED("[]");
    ACCEPTED(" [ 1 , 2 , { \"a\" : [ ] , \"b\" : null } ] ");
    ACCEPTED("[true,false,null,-0.5e-3,\"\\u00e9\\ud83d\\ude00\\n\"]");
    ACCEPTED("\"\"");
    ACCEPTED("-0");
    ACCEPTED("[[[[[[[[[[1]]]]]]]]]]");
    ACCEPTED("[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]");
    ACCEPTED("[\"\\u0000\"]");
    REFUSED("");
    REFUSED(" ");
    REFUSED("[1,]");
    REFUSED("[,1]");
    REFUSED("[1 2]");
    REFUSED("[1,,2]");
    REFUSED("{\"a\":1,}");
    REFUSED("{\"a\" 1}");
    REFUSED("{a:1}");
    REFUSED("{\"a\":}");
    REFUSED("{1:1}");
    REFUSED("[1]]");
    REFUSED("[1}");
    REFUSED("[1");
    REFUSED("{\"a\":1");
    REFUSED("\"abc");
    REFUSED("\"a\nb\"");
    REFUSED("\"\\x\"");
    REFUSED("\"\\u12g4\"");
    REFUSED("\"\\u12");
    REFUSED("[\"\\ud800\"]");
    REFUSED("[\"\\udc00\"]");
    REFUSED("[\"\\ud800\\u0041\"]");
    REFUSED("[\"\xff\"]");
    REFUSED("[\"\xc0\xaf\"]");
    REFUSED("[\"\xed\xa0\x80\"]");
    REFUSED("01");
    REFUSED("-");
    REFUSED("+1");
    REFUSED(".5");
    REFUSED("1.");
    REFUSED("1e");
    REFUSED("1e+");
    REFUSED("0x10");
    REFUSED("1_000");
    REFUSED("NaN");
    REFUSED("[Infinity]");
    REFUSED("-Infinity");
    REFUSED("tru");
    REFUSED("nul");
    REFUSED("truefalse");
    REFUSED("'a'");
    REFUSED("[1]\0");
    REFUSED("\xef\xbb\xbf[1]");
    REFUSED("// x\n1");
}

static void test_every_truncation_fails(void **state)
{
    static const char text[] =
        "{\"rows\":[{\"a\":-1.5e3,\"b\":\"x\\u00e9\\n\",\"c\":[true,false,null]}]}";
    struct am_err err;
    (void)state;
    assert_true(skips(text, sizeof text - 1, AM_JS_STRICT, &err));
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_false(skips(text, n, AM_JS_STRICT, &err));
}

static void test_depth(void **state)
{
    char text[2001];
    struct am_err err;
    (void)state;
    memset(text, '[', 1000);
    memset(text + 1000, ']', 1000);
    assert_false(skips(text, 2000, AM_JS_STRICT, &err));
    assert_non_null(strstr(err.message, "nested too deep"));
    assert_true(skips(text + 1000 - 64, 128, AM_JS_STRICT, &err));
    assert_false(skips(text + 1000 - 65, 130, AM_JS_STRICT, &err));
}

static void test_position_in_the_message(void **state)
{
    struct am_err err;
    (void)state;
    REFUSED("[1, 2 3]");
    assert_string_equal(err.message,
                        "invalid JSON at byte 6: a comma or the closing bracket was expected");
    assert_int_equal(err.rc, AM_EINVAL);
    assert_true(err.hint[0] != 0);
}

static void test_numbers_against_python(void **state)
{
    static const struct {
        const char *text;
        uint64_t bits;
    } rows[] = {
#include "json_numbers.inc"
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct am_err err;
        struct am_js js;
        double v = 0;
        uint64_t bits;
        size_t n = strlen(rows[i].text);
        char *copy = exact(rows[i].text, n);
        am_js_init(&js, copy, n, AM_JS_STRICT, &err);
        if (!am_js_number(&js, &v))
            fail_msg("%s: %s", rows[i].text, err.message);
        assert_ptr_equal(js.p, js.end);
        memcpy(&bits, &v, sizeof bits);
        if (bits != rows[i].bits)
            fail_msg("%s: %.17g", rows[i].text, v);
        free(copy);
    }
}

static void test_numbers_out_of_range(void **state)
{
    struct am_err err;
    char digits[400];
    (void)state;
    REFUSED("1e400");
    assert_non_null(strstr(err.message, "out of range"));
    REFUSED("-1e309");
    memset(digits, '9', sizeof digits);
    assert_false(skips(digits, sizeof digits, AM_JS_STRICT, &err));
    digits[0] = '0';
    digits[1] = '.';
    assert_true(skips(digits, sizeof digits, AM_JS_STRICT, &err));
}

static void test_special_numbers(void **state)
{
    struct am_err err;
    char text[] = "[NaN,Infinity,-Infinity,-1]";
    struct am_js js;
    double v[4];
    bool first = true;
    size_t n = 0;
    (void)state;
    am_js_init(&js, text, sizeof text - 1, AM_JS_SPECIAL, &err);
    assert_true(am_js_enter(&js, '['));
    while (am_js_element(&js, &first))
        assert_true(am_js_number(&js, &v[n++]));
    assert_true(am_js_finish(&js));
    assert_int_equal(n, 4);
    assert_true(isnan(v[0]) && v[1] == INFINITY && v[2] == -INFINITY && v[3] == -1);
    assert_false(skips("[Nan]", 5, AM_JS_SPECIAL, &err));
    assert_false(skips("[-Inf]", 6, AM_JS_SPECIAL, &err));
}

static void check_string(const char *json, size_t n, const char *want, size_t want_n)
{
    struct am_err err;
    struct am_js js;
    struct am_str s;
    char *copy = exact(json, n);
    am_js_init(&js, copy, n, AM_JS_STRICT, &err);
    assert_true(am_js_string(&js, &s) && am_js_finish(&js));
    assert_int_equal(s.len, want_n);
    assert_memory_equal(s.ptr, want, want_n);
    free(copy);
}

static void test_strings(void **state)
{
    (void)state;
#define STRING(json, want) check_string(json, sizeof(json) - 1, want, sizeof(want) - 1)
    STRING("\"\"", "");
    STRING("\"plain\"", "plain");
    STRING("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz");
    STRING("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    STRING("\"x\\u0000y\"", "x\0y");
    STRING("\"\xe4\xb8\xad\xe6\x96\x87\"", "\xe4\xb8\xad\xe6\x96\x87");
#undef STRING
}

static void test_members(void **state)
{
    char text[] = " { \"a\" : 1 , \"b\\u0062\" : [ 2 , 3 ] } ";
    struct am_err err;
    struct am_js js;
    struct am_str key;
    bool first = true, inner = true;
    double v;
    (void)state;
    am_js_init(&js, text, sizeof text - 1, AM_JS_STRICT, &err);
    assert_true(am_js_enter(&js, '{'));
    assert_true(am_js_member(&js, &first, &key) && am_str_is(key, "a"));
    assert_true(am_js_number(&js, &v) && v == 1);
    assert_true(am_js_member(&js, &first, &key) && am_str_is(key, "bb"));
    assert_true(am_js_enter(&js, '['));
    assert_true(am_js_element(&js, &inner) && am_js_number(&js, &v) && v == 2);
    assert_true(am_js_element(&js, &inner) && am_js_number(&js, &v) && v == 3);
    assert_false(am_js_element(&js, &inner));
    assert_false(am_js_member(&js, &first, &key));
    assert_true(am_js_finish(&js));
}

static void test_failure_sticks(void **state)
{
    char text[] = "[x, 1]";
    struct am_err err;
    struct am_js js;
    bool first = true;
    double v;
    (void)state;
    am_js_init(&js, text, sizeof text - 1, AM_JS_STRICT, &err);
    assert_true(am_js_enter(&js, '[') && am_js_element(&js, &first));
    assert_false(am_js_number(&js, &v));
    char *at = js.p;
    assert_false(am_js_number(&js, &v) || am_js_skip(&js) || am_js_finish(&js) ||
                 am_js_element(&js, &first) || am_js_null(&js));
    assert_ptr_equal(js.p, at);
    assert_non_null(strstr(err.message, "byte 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_every_truncation_fails),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_position_in_the_message),
        cmocka_unit_test(test_numbers_against_python),
        cmocka_unit_test(test_numbers_out_of_range),
        cmocka_unit_test(test_special_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_failure_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
