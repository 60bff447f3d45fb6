/* The report's text and plots: escapes, finite coordinates for any numbers, sections that are
 * missing, memory that runs out. check_html.py parses whole reports. */
#include "common.h"

#include "report_data.h"
#include "tests/support/faults.h"

static void escapes(void **state)
{
    (void)state;
    struct am_buf b;
    am_buf_init(&b, 4096);
    am_html_text(&b, AM_STR("<a href=\"x\" b='y'>&\x01\x7f\t\n\xc3\xa4"));
    assert_string_equal(b.ptr,
                        "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;&#xfffd;\x7f\t\n\xc3\xa4");
    am_buf_clear(&b);
}

/* Any pair of numbers on both axes, in each kind of plot: no coordinate that is no number, and an
 * end. */
static void plots_of_any_numbers(void **state)
{
    (void)state;
    static const double odd[] = {NAN,    INFINITY, -INFINITY, 0,        1,      1e308,
                                 -1e308, 5e-324,   1e16,      1e16 + 2, 1e-300, -0.0};
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    for (size_t i = 0; i < 12 * 12 * 3; i++) {
        double x[] = {odd[i % 12], odd[i / 12 % 12]}, y[] = {odd[i / 12 % 12], odd[i % 12]};
        struct am_svg_series s = {.x = x, .y = y, .n = 2, .name = "a"};
        s.kind = i / 144 == 0 ? AM_SVG_LINE : i / 144 == 1 ? AM_SVG_DOTS : AM_SVG_BARS;
        struct am_svg_plot p = {.title = "t",
                                .x_label = "u",
                                .y_label = "v",
                                .series = &s,
                                .n_series = 1,
                                .diagonal = 1};
        am_buf_reset(&b);
        am_svg_draw(&p, &b);
        OK(am_buf_check(&b, &err));
        if (strstr(b.ptr, "nan") || strstr(b.ptr, "inf"))
            fail_msg("plot %zu of %g and %g: %s", i, x[0], x[1], b.ptr);
        assert_in_range(b.len, 200, 8000);
    }
    am_buf_clear(&b);
}

static void long_names_are_cut(void **state)
{
    (void)state;
    double x[] = {0, 1};
    char name[400] = "";
    for (int i = 0; i < 100; i++)
        memcpy(name + 3 * i, "\xe8\x89\xaf", 4);
    struct am_svg_series s = {.x = x, .y = x, .n = 2, .name = name};
    struct am_svg_plot p = {
        .title = "t", .x_label = "u", .y_label = "v", .series = &s, .n_series = 1};
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_svg_draw(&p, &b);
    assert_non_null(strstr(b.ptr, "&hellip;"));
    assert_true(am_utf8_valid(am_buf_view(&b)));
    am_buf_clear(&b);
}

static void sections_follow_keys(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    struct am_node *m = made_report(AM_TASK_BINARY, NULL, a);
    am_buf_init(&b, 1 << 24);
    am_report_html(m, &b);
    OK(am_buf_check(&b, &err));
    assert_non_null(strstr(b.ptr, "95 % interval (test)"));
    assert_non_null(strstr(b.ptr, "AUC 0."));
    assert_null(strstr(b.ptr, ">baseline<")); /* it was not measured */
    assert_null(strstr(b.ptr, "Cross-validation"));
    struct am_node *folds = am_new_map(a), *metrics = am_new_map(a), *one = am_new_map(a),
                   *rows = am_new_map(a);
    am_node_set(a, one, "mean", am_new_f64(a, 0.875));
    am_node_set(a, one, "deviation", am_new_f64(a, 0.0125));
    am_node_set(a, metrics, "accuracy", one);
    am_node_set(a, folds, "metrics", metrics);
    am_node_set(a, m, "folds", folds);
    am_node_set(a, rows, "validation", am_new_i64(a, 5)); /* no test rows */
    am_node_set(a, m, "rows", rows);
    am_buf_reset(&b);
    am_report_html(m, &b);
    assert_non_null(strstr(b.ptr, "0.8750 &plusmn; 0.0125"));
    assert_non_null(strstr(b.ptr, "95 % interval (validation)"));
    am_buf_clear(&b);
    am_arena_free(a);
}

/* Values of a wrong kind leave their section out and break nothing. */
static void wrong_kinds(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "rows",   "metrics", "intervals", "folds",     "classes",    "confusion",
        "roc",    "pr",      "history",   "residuals", "importance", "predictions",
        "advice", "columns", "recipe",    "threshold", "calibration"};
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    am_buf_init(&b, 1 << 24);
    for (size_t i = 0; i < 17; i++)
        for (size_t k = 0; k < 3; k++) {
            struct am_node *m = made_report(AM_TASK_BINARY, NULL, a), *list = am_new_list(a);
            am_node_push(a, list, am_new_i64(a, 3));
            am_node_set(a, m, keys[i],
                        k == 0   ? am_new_cstr(a, "x")
                        : k == 1 ? list
                                 : am_new_map(a));
            am_buf_reset(&b);
            am_report_html(m, &b);
            OK(am_buf_check(&b, &err));
            am_arena_reset(a);
        }
    am_buf_clear(&b);
    am_arena_free(a);
}

static const struct am_node *tree;
static size_t whole;

static enum am_rc html(void)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 24);
    am_report_html(tree, &b);
    enum am_rc rc = am_buf_check(&b, &err);
    if (rc == AM_OK && whole)
        assert_int_equal(b.len, whole); /* OK means that no plot is missing */
    whole = whole ? whole : b.len;
    am_buf_clear(&b);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_buf small;
    tree = made_report(AM_TASK_MULTICLASS, NULL, a);
    OK(html());
    AM_OOM_LOOP(html(), (void)0);
    am_buf_init(&small, 1000);
    am_report_html(tree, &small);
    assert_int_equal(am_buf_check(&small, &err), AM_ELIMIT);
    am_buf_clear(&small);
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(plots_of_any_numbers),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(sections_follow_keys),
        cmocka_unit_test(wrong_kinds),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
