/* Fitted transforms against scikit-learn and numpy: tests/golden/feature_goldens.json, made by the
 * script of the same name. Each case is fitted on its training cells and compared on those and on
 * unseen cells. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/limits.h"
#include "feature/fit.h"

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

static struct am_column column_of(struct am_arena *a, const struct am_node *cells,
                                  enum am_col_type type)
{
    size_t n = cells->list.n;
    struct am_column c = {.type = type};
    double *numbers = am_arena_array(a, n + 1, sizeof *numbers);
    struct am_str *texts = am_arena_array(a, n + 1, sizeof *texts);
    int64_t *dates = am_arena_array(a, n + 1, sizeof *dates);
    for (size_t i = 0; i < n; i++) {
        const struct am_node *cell = cells->list.items[i];
        bool missing = am_node_is_null(cell);
        if (type == AM_COL_DATE) {
            dates[i] = AM_DATE_MISSING;
            assert_true(missing || am_node_as_i64(cell, &dates[i]));
        } else if (type == AM_COL_NUMBER || type == AM_COL_BOOLEAN) {
            numbers[i] = (double)NAN;
            assert_true(missing || am_node_as_f64(cell, &numbers[i]));
        } else {
            assert_true(missing || am_node_as_str(cell, &texts[i]));
        }
    }
    if (type == AM_COL_DATE)
        c.date = dates;
    else if (type == AM_COL_NUMBER || type == AM_COL_BOOLEAN)
        c.number = numbers;
    else
        c.text = texts;
    return c;
}

static void compare(const char *name, const char *what, const struct am_node *want,
                    const float *got, size_t n, size_t width)
{
    assert_int_equal(want->list.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(want->list.items[i]->list.n, width);
        for (size_t j = 0; j < width; j++) {
            double w;
            assert_true(am_node_as_f64(want->list.items[i]->list.items[j], &w));
            double d = fabs((double)got[i * width + j] - w);
            if (!(d <= 1e-6 * fmax(1, fabs(w))))
                fail_msg("%s, %s, row %zu, output %zu: %.9g, golden %.9g", name, what, i, j,
                         (double)got[i * width + j], w);
        }
    }
}

static void check_apply(struct am_arena *a, const struct am_node *c, const struct am_features *f,
                        enum am_col_type type, const char *cells, const char *expect)
{
    struct am_column column = column_of(a, am_node_get(c, cells), type);
    struct am_batch b = {
        .n_rows = am_node_get(c, cells)->list.n, .n_columns = 1, .columns = &column};
    size_t width = am_features_width(f);
    float *out = am_arena_array(a, b.n_rows * width + 1, sizeof *out);
    OK(am_features_apply(f, &b, out, &err));
    compare(am_node_str(c, "name", "").ptr, cells, am_node_get(c, expect), out, b.n_rows, width);
}

static void check_names(const struct am_node *c, const struct am_features *f)
{
    const struct am_node *names = am_node_get(c, "names");
    assert_int_equal(names->list.n, am_features_width(f));
    for (size_t j = 0; j < names->list.n; j++) {
        struct am_str got = am_features_output_name(f, j);
        if (!am_str_eq(got, names->list.items[j]->text))
            fail_msg("%s: output %zu is \"%.*s\", golden \"%s\"", am_node_str(c, "name", "").ptr, j,
                     AM_FMT(got), names->list.items[j]->text.ptr);
    }
}

static enum am_task task_of(const struct am_node *c)
{
    struct am_str t = am_node_str(c, "task", "regression");
    return am_str_is(t, "binary")       ? AM_TASK_BINARY
           : am_str_is(t, "multiclass") ? AM_TASK_MULTICLASS
                                        : AM_TASK_REGRESSION;
}

static void check_case(const struct am_node *c)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *features = am_new_map(a);
    am_node_set(a, features, "x", am_node_get(c, "spec"));
    enum am_col_type type;
    assert_true(am_col_type_parse(am_node_str(c, "type", ""), &type));
    struct am_column_desc desc = {AM_STR("x"), type};
    struct am_schema schema = {&desc, 1};
    struct am_features_config config = {.spec = features,
                                        .schema = &schema,
                                        .task = task_of(c),
                                        .n_classes = (size_t)am_node_i64(c, "n_classes", 0),
                                        .seed = (uint64_t)am_node_i64(c, "seed", 0)};
    struct am_features_fit *fit = NULL;
    struct am_features *f = NULL;
    OK(am_features_fit_new(&config, &fit, &err));
    struct am_column column = column_of(a, am_node_get(c, "train"), type);
    struct am_batch b = {
        .n_rows = am_node_get(c, "train")->list.n, .n_columns = 1, .columns = &column};
    const double *y = NULL;
    if (am_node_get(c, "y"))
        y = column_of(a, am_node_get(c, "y"), AM_COL_NUMBER).number;
    OK(am_features_fit_update(fit, &b, y, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    check_names(c, f);
    check_apply(a, c, f, type, "train", "expect_train");
    check_apply(a, c, f, type, "predict", "expect_predict");
    if (am_node_get(c, "expect_oof")) {
        size_t width = am_features_width(f);
        float *out = am_arena_array(a, b.n_rows * width, sizeof *out);
        OK(am_features_apply_train(fit, f, &b, NULL, out, &err));
        compare(am_node_str(c, "name", "").ptr, "out of fold", am_node_get(c, "expect_oof"), out,
                b.n_rows, width);
    }
    am_features_free(f);
    am_features_fit_free(fit);
    am_arena_free(a);
}

static void test_goldens(void **state)
{
    (void)state;
    struct am_buf text;
    struct am_node *doc = NULL;
    struct am_arena *a = am_arena_new(0);
    am_buf_init(&text, AM_LIMIT_JSON_BYTES);
    OK(am_fs_read_file(GOLDEN_DIR "/feature_goldens.json", &text, &err));
    OK(am_json_parse(a, am_buf_view(&text), "goldens", &doc, &err));
    const struct am_node *cases = am_node_get(doc, "cases");
    assert_true(cases->list.n >= 28);
    for (size_t i = 0; i < cases->list.n; i++)
        check_case(cases->list.items[i]);
    am_arena_free(a);
    am_buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
