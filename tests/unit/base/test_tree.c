/* Trees: lookups (linear and hashed), typed reads, builders, printers and what they give back when
 * read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/tree.h"
#include "tests/support/faults.h"

static struct am_arena *arena;
static int set_up(void **state)
{
    (void)state;
    arena = am_arena_new(0);
    return arena ? 0 : -1;
}
static int tear_down(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

static struct am_node *yaml(const char *text)
{
    struct am_err e;
    struct am_node *n = NULL;
    if (am_yaml_parse(arena, am_str(text), "t", &n, &e) != AM_OK)
        fail_msg("%s", e.message);
    return n;
}

static void assert_json(const struct am_node *n, const char *want)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_node_to_json(n, AM_JSON_COMPACT, &b);
    assert_int_equal(am_buf_check(&b, NULL), AM_OK);
    assert_string_equal(b.ptr, want);
    am_buf_clear(&b);
}

static void maps_find_every_key_at_every_size(void **state)
{
    (void)state;
    struct am_node *m = am_new_map(arena);
    for (int i = 0; i < 3000; i++) {
        struct am_str key = am_arena_printf(arena, "k%d", i);
        assert_null(am_node_get_str(m, key));
        am_node_set_str(arena, m, key, am_new_i64(arena, i));
        if (i < 40 || i % 500 == 0)
            for (int k = 0; k <= i; k++)
                assert_int_equal(am_node_i64(m, am_arena_printf(arena, "k%d", k).ptr, -1), k);
    }
    for (int i = 0; i < 3000; i += 7)
        am_node_set(arena, m, am_arena_printf(arena, "k%d", i).ptr, am_new_i64(arena, -i));
    assert_int_equal(m->map.n, 3000);
    for (int i = 0; i < 3000; i++) {
        assert_string_equal(m->map.pairs[i].key.ptr, am_arena_printf(arena, "k%d", i).ptr);
        assert_int_equal(m->map.pairs[i].value->integer, i % 7 ? i : -i);
    }
    const struct am_node *c = am_node_copy(arena, m);
    assert_int_equal(am_node_i64(c, "k2999", -1), 2999);
    assert_null(am_node_get(c, "k3000"));
}

static void absent_things_are_null(void **state)
{
    (void)state;
    struct am_node *m = yaml("a: {b: {c: 5}, d: [1]}\ne: ~\n");
    int64_t i;
    assert_true(am_node_as_i64(am_node_path(m, "a.b.c"), &i) && i == 5);
    assert_null(am_node_path(m, "a.x.c"));
    assert_null(am_node_path(m, "a.b.c.d"));
    assert_null(am_node_path(m, "a.d.0"));
    assert_null(am_node_path(NULL, "a"));
    assert_null(am_node_get(NULL, "a"));
    assert_null(am_node_get(am_node_path(m, "a.d"), "a"));
    assert_true(am_node_is_null(am_node_get(m, "e")));
    assert_true(am_node_is_null(NULL));
    assert_true(am_node_f64(m, "zz", 2.5) == 2.5);
    assert_int_equal(am_node_i64(m, "a", 7), 7);
    assert_true(am_node_bool(m, "zz", true));
    assert_string_equal(am_node_str(m, "zz", "d").ptr, "d");
    assert_null(am_node_str(m, "zz", NULL).ptr);
}

static void plain_text_reads_as_what_is_asked(void **state)
{
    (void)state;
    struct am_node *m = yaml(
        "no: no\nt: true\nq: \"true\"\nsci: 1e-5\nint: 42\nbig: 9223372036854775807\n"
        "whole: 1e3\nzip: 00501\nneg: -0.5\nnul: null\ntilde: ~\nempty:\nqn: \"5\"\n"
        "huge: 1e999\nnan: .nan\ninf: inf\nhex: 0x10\nTrue: True\nzero: 0\nmz: -0\nhalf: 0.5\n");
    struct am_str s;
    bool b;
    int64_t i;
    double d;
    assert_true(am_node_as_str(am_node_get(m, "no"), &s) && am_str_is(s, "no"));
    assert_false(am_node_as_bool(am_node_get(m, "no"), &b));
    assert_false(am_node_as_bool(am_node_get(m, "True"), &b));
    assert_true(am_node_as_bool(am_node_get(m, "t"), &b) && b);
    assert_false(am_node_as_bool(am_node_get(m, "q"), &b));
    assert_true(am_node_as_f64(am_node_get(m, "sci"), &d) && d == 1e-5);
    assert_false(am_node_as_i64(am_node_get(m, "sci"), &i));
    assert_true(am_node_as_i64(am_node_get(m, "int"), &i) && i == 42);
    assert_true(am_node_as_i64(am_node_get(m, "big"), &i) && i == INT64_MAX);
    assert_true(am_node_as_i64(am_node_get(m, "whole"), &i) && i == 1000);
    assert_true(am_node_as_f64(am_node_get(m, "neg"), &d) && d == -0.5);
    assert_true(am_node_as_i64(am_node_get(m, "zero"), &i) && i == 0);
    assert_true(am_node_as_i64(am_node_get(m, "mz"), &i) && i == 0);
    assert_true(am_node_as_f64(am_node_get(m, "half"), &d) && d == 0.5);
    assert_false(am_node_as_i64(am_node_get(m, "zip"), &i)); /* a post code is no number */
    assert_false(am_node_as_f64(am_node_get(m, "zip"), &d));
    assert_true(am_node_as_str(am_node_get(m, "zip"), &s) && am_str_is(s, "00501"));
    static const char *const no_number[] = {"qn", "huge", "nan", "inf", "hex", "nul", "empty"};
    for (size_t k = 0; k < sizeof no_number / sizeof no_number[0]; k++)
        assert_false(am_node_as_f64(am_node_get(m, no_number[k]), &d));
    static const char *const nulls[] = {"nul", "tilde", "empty"};
    for (size_t k = 0; k < 3; k++) {
        assert_true(am_node_is_null(am_node_get(m, nulls[k])));
        assert_false(am_node_as_str(am_node_get(m, nulls[k]), &s));
    }
    assert_false(am_node_as_i64(am_new_f64(arena, 0.5), &i));
    assert_false(am_node_as_i64(am_new_f64(arena, 1e300), &i));
    assert_false(am_node_as_i64(am_new_f64(arena, NAN), &i));
    assert_true(am_node_as_f64(am_new_i64(arena, 3), &d) && d == 3);
    assert_false(am_node_as_f64(am_new_bool(arena, true), &d));
    assert_false(am_node_as_str(am_new_i64(arena, 3), &s));
}

static void builders_take_failed_parts(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(300);
    struct am_node *m = am_new_map(a);
    for (int i = 0; i < 50; i++) {
        struct am_node *l = am_new_list(a);
        am_node_push(a, l, am_new_f64(a, i));
        am_node_push(a, l, NULL);
        am_node_set(a, m, "key", l);
        am_node_set(a, NULL, "key", l);
        am_node_set_str(a, m, am_arena_printf(a, "%d", i), am_new_cstr(a, "v"));
    }
    assert_int_equal(am_arena_check(a, NULL), AM_ELIMIT);
    am_arena_free(a);
    assert_int_equal(am_new_cstr(arena, NULL)->kind, AM_NODE_NULL);
}

static void json_prints_valid_text(void **state)
{
    (void)state;
    struct am_node *m = am_new_map(arena), *l = am_new_list(arena);
    am_node_set(
        arena, m, "text",
        am_new_cstr(arena, "a\"b\\c\n\r\t\b\f\x01\x7f \xC3\xA9 \xE2\x80\xA8 \xF0\x9F\x98\x80"));
    am_node_set(arena, m, "broken", am_new_cstr(arena, "x\xFFy\xC3"));
    am_node_set(arena, m, "nul", am_new_str(arena, (struct am_str){"a\0b", 3}));
    am_node_push(arena, l, am_new_f64(arena, NAN));
    am_node_push(arena, l, am_new_f64(arena, -INFINITY));
    am_node_push(arena, l, am_new_f64(arena, 3));
    am_node_push(arena, l, am_new_f64(arena, 0.1));
    am_node_push(arena, l, am_new_f64(arena, 1e300));
    am_node_push(arena, l, am_new_i64(arena, INT64_MIN));
    am_node_push(arena, l, am_new_bool(arena, false));
    am_node_push(arena, l, am_new_null(arena));
    am_node_push(arena, l, am_new_list(arena));
    am_node_push(arena, l, am_new_map(arena));
    am_node_set(arena, m, "list", l);
    assert_json(
        m,
        "{\"text\":\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u007f \xC3\xA9 \\u2028 \xF0\x9F\x98\x80\","
        "\"broken\":\"x\xEF\xBF\xBDy\xEF\xBF\xBD\",\"nul\":\"a\\u0000b\","
        "\"list\":[null,null,3.0,0.1,1e+300,-9223372036854775808,false,null,[],{}]}");
    assert_json(NULL, "null");
    assert_json(yaml("a: no\nb: 7\nc: true\nd: 0.50\ne: ~\nf: 007\ng: \"7\"\nh: 1e3\n"),
                "{\"a\":\"no\",\"b\":7,\"c\":true,\"d\":0.5,\"e\":null,\"f\":\"007\",\"g\":\"7\","
                "\"h\":1000.0}");
    struct am_buf b;
    am_buf_init(&b, 1000);
    am_node_to_json(yaml("{a: [1, {b: 2}], c: {}, d: []}"), AM_JSON_PRETTY, &b);
    assert_string_equal(
        b.ptr,
        "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}");
    am_buf_clear(&b);
}

static void assert_yaml_gives_back(const struct am_node *n)
{
    struct am_buf text, first, second;
    struct am_err e;
    struct am_node *again = NULL;
    am_buf_init(&text, 1 << 20);
    am_buf_init(&first, 1 << 20);
    am_buf_init(&second, 1 << 20);
    am_node_to_yaml(n, &text);
    assert_int_equal(am_buf_check(&text, NULL), AM_OK);
    if (am_yaml_parse(arena, am_buf_view(&text), "again", &again, &e) != AM_OK)
        fail_msg("%s in:\n%s", e.message, text.ptr);
    am_node_to_json(n, AM_JSON_COMPACT, &first);
    am_node_to_json(again, AM_JSON_COMPACT, &second);
    assert_string_equal(first.ptr, second.ptr);
    am_buf_clear(&text);
    am_buf_clear(&first);
    am_buf_clear(&second);
}

static void yaml_prints_what_reads_back_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "plain",
                                        "two words",
                                        "true",
                                        "no",
                                        "Null",
                                        "~",
                                        "1.5",
                                        "007",
                                        "-",
                                        "- x",
                                        "a: b",
                                        "a #b",
                                        "#c",
                                        "it's",
                                        "\"q\"",
                                        "[x]",
                                        "{x}",
                                        "a,b",
                                        " lead",
                                        "trail ",
                                        "line\nbreak",
                                        "tab\there",
                                        "*star",
                                        "&amp",
                                        "!tag",
                                        "%dir",
                                        "@at",
                                        "`tick",
                                        "?",
                                        "? x",
                                        "<<",
                                        "key:",
                                        "\xC3\xA9t\xC3\xA9",
                                        "\xC2\x85",
                                        "\xE2\x80\xA8",
                                        "\x7F",
                                        "\xEF\xBB\xBF",
                                        "2024-01-01",
                                        "1e5",
                                        ".5",
                                        "0x10",
                                        "a\\b",
                                        "/path/to.csv",
                                        "on",
                                        "Y",
                                        "---",
                                        "...",
                                        "\xF0\x9F\x98\x80",
                                        "1_000",
                                        "12:30",
                                        "=",
                                        "nan",
                                        ".inf"};
    struct am_node *m = am_new_map(arena), *l = am_new_list(arena), *maps = am_new_list(arena);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        am_node_set(arena, m, texts[i], am_new_cstr(arena, texts[i]));
        am_node_push(arena, l, am_new_cstr(arena, texts[i]));
        struct am_node *one = am_new_map(arena);
        am_node_set(arena, one, texts[i], l);
        am_node_set(arena, one, "empty", am_new_map(arena));
        am_node_set(arena, one, "none", am_new_list(arena));
        am_node_push(arena, maps, one);
    }
    assert_yaml_gives_back(m);
    assert_yaml_gives_back(l);
    assert_yaml_gives_back(maps);
    struct am_node *nested = am_new_list(arena);
    am_node_push(arena, nested, maps);
    am_node_push(arena, nested, am_new_f64(arena, 2));
    am_node_push(arena, nested, am_new_map(arena));
    struct am_node *top = am_new_map(arena);
    am_node_set(arena, top, "nested", nested);
    am_node_set(arena, top, "m", m);
    char long_key[3000];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = 0;
    am_node_set(arena, top, long_key, am_new_i64(arena, 1));
    am_node_set(arena, top, "real", am_new_f64(arena, 0.1));
    am_node_set(arena, top, "null", am_new_null(arena));
    assert_yaml_gives_back(top);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_yaml_gives_back(am_new_cstr(arena, texts[i]));
    assert_yaml_gives_back(am_new_map(arena));
    assert_yaml_gives_back(am_new_list(arena));
    assert_yaml_gives_back(
        yaml("a: 0.50\nb: no\nc: ~\nd:\ne: plain, with comma\nf: 12:30\ng: [x y, 'z']\n"));
    struct am_buf b;
    am_buf_init(&b, 1000);
    am_node_to_yaml(
        yaml("data: {source: a.csv, id: [x, \"1\"]}\nsteps: [{a: 1, b: 2}, {c: 0.50}]\n"), &b);
    assert_string_equal(
        b.ptr,
        "data:\n  source: a.csv\n  id: [x, \"1\"]\nsteps:\n  - a: 1\n    b: 2\n  - c: 0.50\n");
    am_buf_clear(&b);
}

static void depth_is_bounded_everywhere(void **state)
{
    (void)state;
    struct am_node *deep = am_new_i64(arena, 1);
    for (int i = 0; i < 100000; i++) {
        struct am_node *l = i % 2 ? am_new_list(arena) : am_new_map(arena);
        if (i % 2)
            am_node_push(arena, l, deep);
        else
            am_node_set(arena, l, "k", deep);
        deep = l;
    }
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_node_to_json(deep, AM_JSON_COMPACT, &b);
    assert_int_equal(am_buf_check(&b, NULL), AM_ELIMIT);
    am_buf_reset(&b);
    am_node_to_yaml(deep, &b);
    assert_int_equal(am_buf_check(&b, NULL), AM_ELIMIT);
    am_buf_clear(&b);
    struct am_arena *other = am_arena_new(0);
    (void)am_node_copy(other, deep);
    assert_int_equal(am_arena_check(other, NULL), AM_ELIMIT);
    am_arena_free(other);
}

static enum am_rc build_and_print(void)
{
    struct am_err err;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return AM_ENOMEM;
    struct am_buf b;
    am_buf_init(&b, 100000);
    struct am_node *m = am_new_map(a);
    for (int i = 0; i < 60; i++) {
        struct am_node *l = am_new_list(a);
        for (int k = 0; k < 6; k++)
            am_node_push(a, l, am_new_cstr(a, "text of some length, so that blocks fill up"));
        am_node_set_str(a, m, am_arena_printf(a, "key %d", i), l);
    }
    struct am_node *c = am_node_copy(a, m);
    enum am_rc rc = am_arena_check(a, &err);
    if (rc == AM_OK) {
        am_node_to_json(c, AM_JSON_PRETTY, &b);
        am_node_to_yaml(c, &b);
        rc = am_buf_check(&b, &err);
    }
    am_buf_clear(&b);
    am_arena_free(a);
    return rc;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    AM_OOM_LOOP(build_and_print(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maps_find_every_key_at_every_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absent_things_are_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_text_reads_as_what_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(builders_take_failed_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_prints_valid_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(yaml_prints_what_reads_back_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depth_is_bounded_everywhere, set_up, tear_down),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
