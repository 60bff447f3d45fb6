/* JSON: what is accepted and what is refused (in the spirit of JSONTestSuite), places, limits,
 * memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/limits.h"
#include "base/tree.h"
#include "tests/support/faults.h"

#define S(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static enum am_rc parse(struct am_arena *a, struct am_str text, struct am_node **out,
                        struct am_err *err)
{
    return am_json_parse(a, text, "doc", out, err);
}

static void accepts_json(void **state)
{
    (void)state;
    static const struct am_str good[] = {S("null"),
                                         S("true"),
                                         S("false"),
                                         S("0"),
                                         S("-0"),
                                         S("1"),
                                         S("-1"),
                                         S("1.5"),
                                         S("1e5"),
                                         S("1E+5"),
                                         S("1e-5"),
                                         S("0.1e-2"),
                                         S("9223372036854775807"),
                                         S("-9223372036854775808"),
                                         S("1e308"),
                                         S("1e-400"),
                                         S("\"\""),
                                         S("\"a\""),
                                         S("\"\\u00e9\""),
                                         S("\"\\ud83d\\ude00\""),
                                         S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
                                         S("\"\\u0000\""),
                                         S("\"\xC3\xA9\""),
                                         S("\"\xF0\x9F\x98\x80\""),
                                         S("\"\x7f\""),
                                         S("[]"),
                                         S("[ ]"),
                                         S("[1]"),
                                         S("[1,2]"),
                                         S(" [1 , 2 ] "),
                                         S("\t\n\r[\n]\r"),
                                         S("[[[]]]"),
                                         S("{}"),
                                         S("{\"a\":1}"),
                                         S("{\"a\":{\"b\":[]}}"),
                                         S("{\"\":0}"),
                                         S("{\"a\":1,\"A\":2}"),
                                         S("[null,true,\"x\",{}]"),
                                         S("\"/\""),
                                         S("[\"\\u2028\"]")};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_node *n = NULL;
        struct am_err e;
        if (parse(a, good[i], &n, &e) != AM_OK)
            fail_msg("refused %s: %s", good[i].ptr, e.message);
        assert_non_null(n);
        assert_true(n->line >= 1 && n->column >= 1);
        am_arena_free(a);
    }
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    static const struct am_str bad[] = {S(""),
                                        S(" "),
                                        S("nul"),
                                        S("True"),
                                        S("NaN"),
                                        S("Infinity"),
                                        S("-Infinity"),
                                        S("01"),
                                        S("-01"),
                                        S("+1"),
                                        S("1."),
                                        S(".5"),
                                        S("1e"),
                                        S("1e+"),
                                        S("0x1"),
                                        S("1_000"),
                                        S("-"),
                                        S("--1"),
                                        S("1 2"),
                                        S("1e999"),
                                        S("-1e999"),
                                        S("9223372036854775808"),
                                        S("-9223372036854775809"),
                                        S("123456789012345678901234567890"),
                                        S("\""),
                                        S("\"a"),
                                        S("'a'"),
                                        S("\"\n\""),
                                        S("\"\t\""),
                                        S("\"\\x\""),
                                        S("\"\\u12\""),
                                        S("\"\\u12g4\""),
                                        S("\"\\ud800\""),
                                        S("\"\\udc00\""),
                                        S("\"\\ud800\\u0041\""),
                                        S("\"\xFF\""),
                                        S("\"\xC0\x80\""),
                                        S("\"\xED\xA0\x80\""),
                                        S("\"\xF4\x90\x80\x80\""),
                                        S("\"\xC3\""),
                                        S("["),
                                        S("]"),
                                        S("[1"),
                                        S("[1,"),
                                        S("[1,]"),
                                        S("[,1]"),
                                        S("[1,,2]"),
                                        S("[1 2]"),
                                        S("{"),
                                        S("}"),
                                        S("{\"a\"}"),
                                        S("{\"a\":}"),
                                        S("{\"a\":1,}"),
                                        S("{a:1}"),
                                        S("{1:1}"),
                                        S("{\"a\" 1}"),
                                        S("{\"a\":1 \"b\":2}"),
                                        S("{\"a\":1,\"a\":2}"),
                                        S("{\"a\":{\"b\":1,\"b\":1}}"),
                                        S("{\"a\":1,\"\\u0061\":2}"),
                                        S("[1]x"),
                                        S("[1][2]"),
                                        S("{}{}"),
                                        S("// c\n1"),
                                        S("/* c */ 1"),
                                        S("\xEF\xBB\xBF"
                                          "1"),
                                        S("[1]\0"),
                                        S("\0"),
                                        S("{\"a\\u0000\":1}"),
                                        S("[1}"),
                                        S("{]"),
                                        S("\"a\0b\""),
                                        S("\xA0"
                                          "1"),
                                        S("[\"a\",\n4\n,1,")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_node *n = NULL;
        struct am_err e;
        enum am_rc rc = parse(a, bad[i], &n, &e);
        if (rc != AM_EINVAL)
            fail_msg("case %zu: %s gave %s", i, bad[i].ptr, am_rc_name(rc));
        assert_null(n);
        assert_non_null(strstr(e.message, "doc, line "));
        am_arena_free(a);
    }
}

static void values_and_places(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = NULL;
    assert_int_equal(parse(a,
                           AM_STR("{\n  \"\xC3\xA9\": [10,\n    -2.5e1],\n \"b\\\"]\" : {\"c\" : "
                                  "\"x,y\" , \"d\":null}}\n"),
                           &n, NULL),
                     AM_OK);
    assert_int_equal(n->map.n, 2);
    assert_int_equal(n->line, 1);
    assert_int_equal(n->map.pairs[0].line, 2);
    assert_int_equal(n->map.pairs[0].column, 3);
    const struct am_node *l = n->map.pairs[0].value;
    assert_int_equal(l->line, 2);
    assert_int_equal(l->column, 8); /* characters, not bytes */
    assert_int_equal(l->list.items[0]->kind, AM_NODE_INT);
    assert_int_equal(l->list.items[0]->integer, 10);
    assert_int_equal(l->list.items[1]->line, 3);
    assert_int_equal(l->list.items[1]->column, 5);
    assert_true(l->list.items[1]->real == -25.0);
    assert_true(am_str_is(n->map.pairs[1].key, "b\"]"));
    assert_int_equal(n->map.pairs[1].line, 4);
    const struct am_node *m = n->map.pairs[1].value;
    assert_true(am_str_is(am_node_str(m, "c", ""), "x,y"));
    assert_int_equal(m->map.pairs[1].column, 26);
    assert_int_equal(am_node_get(m, "d")->column, 30);
    assert_false(am_node_get(m, "c")->plain);
    am_arena_free(a);
}

static void errors_say_where(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n;
    struct am_err e;
    assert_int_equal(parse(a, AM_STR("{\n \"a\": 1,\n \"a\": 2}"), &n, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "line 3"));
    assert_int_equal(parse(a, AM_STR("[1,\n2,\n x]"), &n, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "line 3, column 2"));
    assert_int_equal(parse(a, (struct am_str){NULL, 0}, &n, &e), AM_EINVAL);
    am_arena_free(a);
}

static void limits_hold(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n;
    struct am_err e;
    struct am_buf b;
    am_buf_init(&b, AM_LIMIT_JSON_BYTES + 16);
    for (int i = 0; i < AM_LIMIT_JSON_DEPTH; i++)
        am_buf_char(&b, '[');
    for (int i = 0; i < AM_LIMIT_JSON_DEPTH; i++)
        am_buf_char(&b, ']');
    assert_int_equal(parse(a, am_buf_view(&b), &n, &e), AM_OK);
    am_buf_reset(&b);
    for (int i = 0; i < 100000; i++)
        am_buf_cstr(&b, i % 2 ? "{\"a\":" : "[");
    assert_int_equal(parse(a, am_buf_view(&b), &n, &e), AM_ELIMIT);
    assert_non_null(strstr(e.message, "line 1, column 193")); /* 32 x 6 characters, then the 65th */
    am_buf_reset(&b);
    am_buf_cstr(&b, "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                    "[[[[[\\\"[\"");
    assert_int_equal(parse(a, am_buf_view(&b), &n, &e), AM_OK);
    am_buf_reset(&b);
    am_buf_char(&b, '{');
    for (int i = 0; i <= AM_LIMIT_JSON_KEYS; i++)
        am_buf_printf(&b, "%s\"%d\":0", i ? "," : "", i);
    am_buf_char(&b, '}');
    assert_int_equal(parse(a, am_buf_view(&b), &n, &e), AM_ELIMIT);
    am_buf_reset(&b);
    am_buf_char(&b, '[');
    for (size_t i = 0; i <= AM_LIMIT_JSON_VALUES; i++)
        am_buf_add(&b, "0,", 2);
    assert_int_equal(parse(a, am_buf_view(&b), &n, &e), AM_ELIMIT);
    am_buf_reset(&b);
    size_t over = AM_LIMIT_JSON_STRING_BYTES + 1;
    char *p = am_buf_reserve(&b, over + 2);
    memset(p, 'x', over + 2);
    p[0] = p[over + 1] = '"';
    am_buf_commit(&b, over + 2);
    assert_int_equal(parse(a, am_buf_view(&b), &n, &e), AM_ELIMIT);
    assert_int_equal(parse(a, (struct am_str){"", AM_LIMIT_JSON_BYTES + 1}, &n, &e), AM_ELIMIT);
    am_buf_clear(&b);
    am_arena_free(a);
    a = am_arena_new(200);
    assert_int_equal(parse(a, AM_STR("[[1,2,3,4,5,6,7,8,9,10,11,12]]"), &n, &e), AM_ELIMIT);
    am_arena_free(a);
}

static enum am_rc parse_once(struct am_str text)
{
    struct am_err err;
    struct am_node *n = NULL;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return AM_ENOMEM;
    enum am_rc rc = parse(a, text, &n, &err);
    am_arena_free(a);
    return rc;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    static const char text[] = "{\"name\": \"a text that is long enough to need a second buffer "
                               "\\u00e9 ........................\","
                               " \"list\": [1, 2.5, true, null, \"x\"], \"map\": "
                               "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,"
                               " \"h\":8,\"i\":9,\"j\":[[],{},[{\"k\":\"v\"}]]}}";
    AM_OOM_LOOP(parse_once(am_str(text)), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_json),      cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(values_and_places), cmocka_unit_test(errors_say_where),
        cmocka_unit_test(limits_hold),       cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
