/* YAML: the strict subset, with line and column of every refusal; places of nodes; limits; memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/tree.h"
#include "tests/support/faults.h"

static void reads_a_recipe_with_places(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = NULL;
    struct am_err e;
    static const char text[] = "# comment\n"
                               "data:\n"
                               "  source: [a.csv, 'b c.csv']\n"
                               "  target: \"y\"   # what\n"
                               "train: {learning_rate: 1e-3, on: false}\n"
                               "note: |\n"
                               "  two\n"
                               "  lines\n"
                               "? explicit\n"
                               ": 1\n"
                               "\xC3\xA9: \xC3\xA9 x\n";
    if (am_yaml_parse(a, am_str(text), "r.yaml", &n, &e) != AM_OK)
        fail_msg("%s", e.message);
    assert_int_equal(n->map.n, 5);
    assert_int_equal(n->map.pairs[0].line, 2);
    assert_int_equal(n->map.pairs[0].column, 1);
    const struct am_node *data = n->map.pairs[0].value;
    assert_int_equal(data->line, 3);
    assert_int_equal(data->column, 3);
    const struct am_node *source = am_node_get(data, "source");
    assert_int_equal(source->list.n, 2);
    assert_int_equal(source->list.items[1]->line, 3);
    assert_int_equal(source->list.items[1]->column, 19);
    assert_true(source->list.items[0]->plain);
    assert_false(source->list.items[1]->plain);
    assert_true(am_str_is(source->list.items[1]->text, "b c.csv"));
    assert_true(am_node_f64(am_node_get(n, "train"), "learning_rate", 0) == 1e-3);
    assert_false(am_node_bool(am_node_get(n, "train"), "on", true));
    assert_true(am_str_is(am_node_str(n, "note", ""), "two\nlines\n"));
    assert_int_equal(am_node_i64(n, "explicit", 0), 1);
    assert_int_equal(n->map.pairs[4].value->column, 4); /* characters */
    am_arena_free(a);
}

static void reads_json_and_other_forms(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"a\": [1, 2.5, true, null, \"x\\n\\u00e9\\/\"], \"b\": {}}",
        "{\n\t\"a\": 1,\n\t\"b\": [\n\t\t2\n\t]\n}",
        "[]",
        "x",
        "",
        "# only a comment\n",
        "---\na: 1\n",
        "---\na: 1\n...\n",
        ("\xEF\xBB\xBF"
         "a: 1\n"),
        "a: 1\r\nb: 2\r\n",
        "a:\n- 1\n- 2\n",
        "{\"e\": \"\\ud83d\\ude00\"}",
        "a: >\n  folded\n  text\n",
        "'a': 1\n\"b\": 2\n",
        "a: b\n  c\n",
        "a: http://x/y:z\n"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_node *n = NULL;
        struct am_err e;
        if (am_yaml_parse(a, am_str(good[i]), "t", &n, &e) != AM_OK)
            fail_msg("%s: %s", good[i], e.message);
        assert_non_null(n);
        am_arena_free(a);
    }
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = NULL;
    assert_int_equal(am_yaml_parse(a, AM_STR("{\"e\": \"\\ud83d\\ude00\"}"), "t", &n, NULL), AM_OK);
    assert_true(am_str_is(am_node_str(n, "e", ""), "\xF0\x9F\x98\x80"));
    assert_int_equal(am_yaml_parse(a, (struct am_str){NULL, 0}, "t", &n, NULL), AM_OK);
    assert_true(am_node_is_null(n));
    am_arena_free(a);
}

static void refuses_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line, column; /* 0 = any */
        const char *why;
    } bad[] = {
        {"a: &x 1\n", 1, 4, "anchors are not allowed"},
        {"a: &x [1]\n", 1, 4, "anchors are not allowed"},
        {"a:\n  &x b: 1\n", 2, 3, "anchors are not allowed"},
        {"a: 1\nb: *x\n", 2, 4, "aliases are not allowed"},
        {"*x : 1\n", 1, 1, "aliases are not allowed"},
        {"a: !!int 1\n", 1, 4, "tags are not allowed"},
        {"a: !x {b: 1}\n", 1, 4, "tags are not allowed"},
        {"a: !<tag:x> [1]\n", 1, 4, "tags are not allowed"},
        {"a: 1\nb: 2\n\na: 3\n", 4, 1, "key \"a\" stands twice"},
        {"x: {k: 1, k: 2}\n", 1, 11, "key \"k\" stands twice"},
        {"a: 1\n\"a\": 2\n", 2, 1, "key \"a\" stands twice"},
        {"<<: {a: 1}\n", 1, 1, "merge keys are not allowed"},
        {"a: 1\n---\nb: 2\n", 2, 1, "a second document begins"},
        {"%YAML 1.1\n---\na: 1\n", 1, 1, "directives are not allowed"},
        {"%TAG ! tag:x,1:\n---\na: 1\n", 1, 1, "directives are not allowed"},
        {"[a, b]: 1\n", 1, 1, "a key must be a text"},
        {"? {a: 1}\n: 2\n", 1, 3, "a key must be a text"},
        {": 1\n", 1, 1, "not valid yaml"},
        {"?\n: 1\n", 1, 2, "a key is missing"},
        {"a: \"x\\0y\"\n", 1, 4, "a text holds a NUL character"},
        {"a: [1, 2\n", 2, 1, "not valid yaml"},
        {"a: 1\n b: 2\n", 2, 0, "not valid yaml"},
        {"a: \"x\n", 2, 1, "not valid yaml"},
        {"a:\n\tb: 1\n", 2, 1, "not valid yaml"},
        {"a: b: c\n", 1, 5, "not valid yaml"},
        {"a: 1\nb\n", 3, 1, "not valid yaml"},
        {"a: @x\n", 1, 4, "not valid yaml"},
        {"a: \"\\q\"\n", 1, 0, "not valid yaml"},
        {"ok: 1\nab: \xFF\n", 2, 5, "not valid yaml"},
        {"a: \x01\n", 1, 4, "not valid yaml"},
        {"{\"a\": 1, \"a\": 2}", 1, 10, "stands twice"},
        {"{\"a\": 1", 2, 1, "not valid yaml"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_node *n = NULL;
        struct am_err e;
        char place[80];
        if (am_yaml_parse(a, am_str(bad[i].text), "r.yaml", &n, &e) != AM_EINVAL)
            fail_msg("accepted: %s", bad[i].text);
        assert_null(n);
        if (bad[i].column)
            (void)snprintf(place, sizeof place, "r.yaml, line %u, column %u: ", bad[i].line,
                           bad[i].column);
        else
            (void)snprintf(place, sizeof place, "r.yaml, line %u, column ", bad[i].line);
        if (!strstr(e.message, place) || !strstr(e.message, bad[i].why))
            fail_msg("%s: wanted %s%s, got %s", bad[i].text, place, bad[i].why, e.message);
        am_arena_free(a);
    }
}

static void limits_hold(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n;
    struct am_err e;
    struct am_buf b;
    am_buf_init(&b, 8 << 20);
    for (int i = 0; i < AM_LIMIT_JSON_DEPTH; i++)
        am_buf_char(&b, '[');
    for (int i = 0; i < AM_LIMIT_JSON_DEPTH; i++)
        am_buf_char(&b, ']');
    assert_int_equal(am_yaml_parse(a, am_buf_view(&b), "t", &n, &e), AM_OK);
    am_buf_reset(&b);
    for (int i = 0; i < 500000; i++)
        am_buf_char(&b, '[');
    assert_int_equal(am_yaml_parse(a, am_buf_view(&b), "t", &n, &e), AM_ELIMIT);
    assert_non_null(strstr(e.message, "line 1, column 65"));
    am_buf_reset(&b);
    for (int i = 0; i < 250000; i++)
        am_buf_cstr(&b, "{a: ");
    assert_int_equal(am_yaml_parse(a, am_buf_view(&b), "t", &n, &e), AM_ELIMIT);
    am_buf_reset(&b);
    for (int i = 0; i < 250000; i++)
        am_buf_cstr(&b, "- ");
    assert_int_equal(am_yaml_parse(a, am_buf_view(&b), "t", &n, &e), AM_ELIMIT);
    am_buf_reset(&b);
    for (int i = 0; i < 1000; i++)
        am_buf_printf(&b, "%*sa:\n", i, "");
    assert_int_equal(am_yaml_parse(a, am_buf_view(&b), "t", &n, &e), AM_ELIMIT);
    assert_non_null(strstr(e.message, "line 65, column 65"));
    am_buf_reset(&b);
    while (b.len <= AM_LIMIT_RECIPE_BYTES)
        am_buf_cstr(&b, "# comment\n");
    assert_int_equal(am_yaml_parse(a, am_buf_view(&b), "t", &n, &e), AM_ELIMIT);
    am_buf_clear(&b);
    am_arena_free(a);
    a = am_arena_new(100);
    assert_int_equal(am_yaml_parse(a, AM_STR("[a, b, c, d]"), "t", &n, &e), AM_ELIMIT);
    am_arena_free(a);
}

static enum am_rc parse_once(const char *text)
{
    struct am_err err;
    struct am_node *n = NULL;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return AM_ENOMEM;
    enum am_rc rc = am_yaml_parse(a, am_str(text), "t", &n, &err);
    am_arena_free(a);
    return rc;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    AM_OOM_LOOP(parse_once("a: [1, 2, 3]\nb: {c: d, e: f}\ntext: some longer text here\n"),
                (void)0);
    struct am_buf b;
    am_buf_init(&b, 100000);
    for (int i = 0; i < 80; i++)
        am_buf_printf(&b, "key%d: [value, value, value]\n", i);
    AM_OOM_LOOP(parse_once(b.ptr), (void)0);
    am_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_recipe_with_places), cmocka_unit_test(reads_json_and_other_forms),
        cmocka_unit_test(refuses_with_the_place),     cmocka_unit_test(limits_hold),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
