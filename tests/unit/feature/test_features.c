/* What fitting and applying promise: bits that depend neither on the cut of batches nor on threads,
 * one implementation for training and serving, finite outputs whatever comes, survival of failed
 * allocations. */
#include "table.h"

#include <float.h>

#include "base/pool.h"
#include "tests/support/faults.h"

static struct table table;

static struct am_features_config table_config(struct am_arena *a, struct am_pool *pool)
{
    return (struct am_features_config){.spec = spec_of(a, table_spec),
                                       .schema = &table_schema,
                                       .task = AM_TASK_REGRESSION,
                                       .seed = 5,
                                       .pool = pool};
}

static enum am_rc fit_table(const struct am_features_config *config, size_t cut,
                            struct am_features_fit **fit, struct am_features **f)
{
    struct am_column columns[COLUMNS];
    *fit = NULL;
    *f = NULL;
    enum am_rc rc = am_features_fit_new(config, fit, &err);
    for (size_t row = 0; row < ROWS && rc == AM_OK; row += cut) {
        struct am_batch b = table_slice(&table, row, row + cut < ROWS ? cut : ROWS - row, columns);
        rc = am_features_fit_update(*fit, &b, table.y + row, NULL, &err);
    }
    if (rc == AM_OK)
        rc = am_features_fit_finish(*fit, f, &err);
    return rc;
}

static struct am_buf json_of(const struct am_features *f)
{
    struct am_buf b;
    struct am_arena *a = am_arena_new(0);
    am_buf_init(&b, 1 << 24);
    am_node_to_json(am_features_to_node(f, a), AM_JSON_COMPACT, &b);
    OK(am_arena_check(a, &err));
    OK(am_buf_check(&b, &err));
    am_arena_free(a);
    return b;
}

static void cuts_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const size_t cuts[] = {ROWS, 1, 7, 1000};
    struct am_buf first = {0};
    float *want = NULL;
    for (unsigned threads = 1; threads <= 3; threads++) {
        for (size_t k = 0; k < 4; k++) {
            struct am_arena *a = am_arena_new(0);
            struct am_pool *pool = NULL;
            OK(am_pool_new(threads, &pool, &err));
            struct am_features_config config = table_config(a, pool);
            struct am_features_fit *fit;
            struct am_features *f;
            OK(fit_table(&config, cuts[k], &fit, &f));
            struct am_buf json = json_of(f);
            size_t width = am_features_width(f);
            float *out = am_alloc_array(ROWS * width, sizeof *out);
            struct am_column columns[COLUMNS];
            for (size_t row = 0; row < ROWS; row += cuts[k]) {
                struct am_batch b =
                    table_slice(&table, row, row + cuts[k] < ROWS ? cuts[k] : ROWS - row, columns);
                OK(am_features_apply_train(fit, f, &b, NULL, out + row * width, &err));
            }
            if (want == NULL) {
                first = json;
                want = out;
            } else {
                assert_int_equal(json.len, first.len);
                assert_memory_equal(json.ptr, first.ptr, first.len);
                assert_memory_equal(out, want, ROWS * width * sizeof *out);
                am_buf_clear(&json);
                am_free(out);
            }
            am_features_free(f);
            am_features_fit_free(fit);
            am_pool_free(pool);
            am_arena_free(a);
        }
    }
    am_buf_clear(&first);
    am_free(want);
}

static void one_row_equals_many(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_features_config config = table_config(a, NULL);
    struct am_features_fit *fit;
    struct am_features *f;
    OK(fit_table(&config, 100, &fit, &f));
    assert_false(am_features_all_numbers(f));
    size_t width = am_features_width(f);
    float *all = am_alloc_array(ROWS * width, sizeof *all),
          *one = am_alloc_array(width, sizeof *one);
    struct am_column columns[COLUMNS];
    struct am_batch b = table_slice(&table, 0, ROWS, columns);
    OK(am_features_apply(f, &b, all, &err));
    for (size_t i = 0; i < ROWS * width; i++)
        assert_true(isfinite(all[i]));
    for (size_t row = 0; row < ROWS; row++) {
        b = table_slice(&table, row, 1, columns);
        OK(am_features_apply(f, &b, one, &err));
        assert_memory_equal(one, all + row * width, width * sizeof *one);
    }
    am_free(all);
    am_free(one);
    am_features_free(f);
    am_features_fit_free(fit);
    am_arena_free(a);
}

/* numbers and the flag only, so that rows may come as one matrix; with and without columns that are
 * not affine */
static void rows_as_matrix(void **state)
{
    (void)state;
    static const size_t mixed[] = {0, 1, 2, 3, 4, 5, 12}, plain[] = {0, 1, 5, 12};
    for (int k = 0; k < 2; k++) {
        const size_t *use = k ? plain : mixed;
        size_t n = k ? 4 : 7;
        struct am_arena *a = am_arena_new(0);
        struct am_features_config config = table_config(a, NULL);
        config.columns = use;
        config.n_columns = n;
        struct am_features_fit *fit = NULL;
        struct am_features *f = NULL;
        struct am_column columns[7];
        double *x = am_alloc_array(ROWS * n, sizeof *x);
        for (size_t c = 0; c < n; c++) {
            columns[c] = table.columns[use[c]];
            for (size_t i = 0; i < ROWS; i++)
                x[i * n + c] = columns[c].number[i];
        }
        struct am_batch b = {.n_rows = ROWS, .n_columns = n, .columns = columns};
        OK(am_features_fit_new(&config, &fit, &err));
        assert_false(am_features_fit_needs_target(fit));
        OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
        OK(am_features_fit_finish(fit, &f, &err));
        assert_true(am_features_all_numbers(f));
        size_t width = am_features_width(f);
        float *p = am_alloc_array(ROWS * width, sizeof *p),
              *q = am_alloc_array(ROWS * width, sizeof *q);
        OK(am_features_apply(f, &b, p, &err));
        am_features_apply_rows(f, x, ROWS, q);
        assert_memory_equal(p, q, ROWS * width * sizeof *p);
        am_free(x);
        am_free(p);
        am_free(q);
        am_features_free(f);
        am_features_fit_free(fit);
        am_arena_free(a);
    }
}

static void file_form_keeps_bits(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_features_config config = table_config(a, NULL);
    struct am_features_fit *fit;
    struct am_features *f, *g = NULL;
    OK(fit_table(&config, 100, &fit, &f));
    struct am_buf json = json_of(f);
    struct am_node *tree = NULL;
    OK(am_json_parse(a, am_buf_view(&json), "features.json", &tree, &err));
    OK(am_features_from_node(tree, &g, &err));
    struct am_buf again = json_of(g);
    assert_int_equal(json.len, again.len);
    assert_memory_equal(json.ptr, again.ptr, json.len);
    size_t width = am_features_width(f);
    assert_int_equal(width, am_features_width(g));
    float *p = am_alloc_array(ROWS * width, sizeof *p),
          *q = am_alloc_array(ROWS * width, sizeof *q);
    struct am_column columns[COLUMNS];
    struct am_batch b = table_slice(&table, 0, ROWS, columns);
    OK(am_features_apply(f, &b, p, &err));
    OK(am_features_apply(g, &b, q, &err));
    assert_memory_equal(p, q, ROWS * width * sizeof *p);
    am_free(p);
    am_free(q);
    am_buf_clear(&json);
    am_buf_clear(&again);
    am_features_free(f);
    am_features_free(g);
    am_features_fit_free(fit);
    am_arena_free(a);
}

static void outputs_know_their_input(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_features_config config = table_config(a, NULL);
    struct am_features_fit *fit;
    struct am_features *f;
    OK(fit_table(&config, 100, &fit, &f));
    size_t at = 0;
    assert_int_equal(am_features_n_inputs(f), COLUMNS);
    assert_int_equal(am_features_schema(f)->n, COLUMNS);
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct am_feature_input *in = am_features_input(f, i);
        assert_true(am_str_eq(in->name, table_columns[i].name));
        assert_int_equal(in->type, table_columns[i].type);
        assert_int_equal(in->first_output, at);
        assert_int_equal(am_features_find_input(f, in->name), i);
        for (size_t k = 0; k < in->n_outputs; k++)
            assert_int_equal(am_features_output_input(f, at + k), i);
        at += in->n_outputs;
    }
    assert_int_equal(at, am_features_width(f));
    assert_true(am_features_find_input(f, AM_STR("nothing")) == SIZE_MAX);
    size_t color = am_features_input(f, 6)->first_output;
    assert_int_equal(am_features_input(f, 6)->n_outputs, 6); /* 4, other, missing */
    assert_true(am_str_is(am_features_output_name(f, color + 4), "color=(other)"));
    assert_true(am_str_is(am_features_output_name(f, color + 5), "color=(missing)"));
    assert_true(am_str_is(am_features_output_name(f, am_features_width(f) - 1), "mode"));
    am_features_free(f);
    am_features_fit_free(fit);
    am_arena_free(a);
}

/* ---- single number columns ---- */

/* Fits x: SPEC on n cells; the caller frees. notes may be NULL. */
static struct am_features *fit_numbers(const char *spec, enum am_col_type type, const double *cells,
                                       size_t n, char *note)
{
    struct am_arena *a = am_arena_new(0);
    struct am_column_desc d = {AM_STR("x"), type};
    struct am_schema s = {&d, 1};
    struct am_features_config config = {.spec = spec_of(a, spec), .schema = &s};
    struct am_column c = {.type = type, .number = cells};
    struct am_batch b = {.n_rows = n, .n_columns = 1, .columns = &c};
    struct am_features_fit *fit = NULL;
    struct am_features *f = NULL;
    OK(am_features_fit_new(&config, &fit, &err));
    OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    struct am_node *notes = am_features_fit_notes(fit, a);
    if (note)
        snprintf(note, 200, "%s", notes->list.n ? notes->list.items[0]->text.ptr : "");
    am_features_fit_free(fit);
    am_arena_free(a);
    return f;
}

static float apply_number(const struct am_features *f, double x)
{
    float one[2], row[2];
    struct am_column c = {.type = am_features_input(f, 0)->type, .number = &x};
    struct am_batch b = {.n_rows = 1, .n_columns = 1, .columns = &c};
    OK(am_features_apply(f, &b, one, &err));
    am_features_apply_rows(f, &x, 1, row);
    assert_memory_equal(one, row, am_features_width(f) * sizeof *one);
    assert_true(isfinite(one[0]));
    return one[0];
}

static void extremes_stay_finite(void **state)
{
    (void)state;
    static const char *const specs[] = {"x: {scale: standard}",
                                        "x: {scale: min-max}",
                                        "x: {scale: robust}",
                                        "x: {scale: log}",
                                        "x: {scale: quantile}",
                                        "x: {scale: none}",
                                        "x: {scale: log, indicator: true}",
                                        "x: {indicator: true}",
                                        "x: {unit: {factor: 1e300}}"};
    static const double inf = INFINITY, nan = NAN;
    const double cells[][6] = {
        {1, 2, 3, 4, 5, 6},
        {DBL_MAX, -DBL_MAX, DBL_MAX, 0, 1, DBL_MIN},
        {inf, -inf, nan, nan, inf, inf},
        {nan, 5, 5, 5, 5, nan},
        {4.9e-324, 0, 0, 4.9e-324, 0, -4.9e-324},
        {1e308, 1e308, 1.1e308, -1e308, 1.7e308, 1e308},
        {0, 0, 0, 0, 0, 7},
    };
    const double probes[] = {0,       -0.0,     1,       -1, inf,    -inf, nan,
                             DBL_MAX, -DBL_MAX, DBL_MIN, 5,  1e-300, 3e38, -1e39};
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        for (size_t k = 0; k < sizeof cells / sizeof *cells; k++) {
            struct am_features *f = fit_numbers(specs[s], AM_COL_NUMBER, cells[k], 6, NULL);
            for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
                apply_number(f, probes[i]);
            am_features_free(f);
        }
    }
}

static void constant_and_missing_columns(void **state)
{
    (void)state;
    char note[200];
    const double nan = NAN, constant[] = {7.1, 7.1, nan, 7.1}, none[] = {nan, nan, INFINITY},
                 mixed[] = {1, nan, INFINITY, 3};
    static const char *const scales[] = {"x: {scale: standard}", "x: {scale: min-max}",
                                         "x: {scale: robust}", "x: {scale: log}",
                                         "x: {scale: quantile}"};
    for (size_t i = 0; i < 5; i++) {
        struct am_features *f = fit_numbers(scales[i], AM_COL_NUMBER, constant, 4, note);
        assert_non_null(strstr(note, "is constant"));
        assert_true(apply_number(f, 7.1) == 0 && apply_number(f, 1e9) == 0 &&
                    apply_number(f, nan) == 0);
        am_features_free(f);
    }
    struct am_features *f = fit_numbers("x: {scale: none}", AM_COL_NUMBER, none, 2, note);
    assert_non_null(strstr(note, "has no value"));
    assert_true(apply_number(f, 5) == 0 && apply_number(f, nan) == 0);
    am_features_free(f);
    f = fit_numbers("x: {scale: none}", AM_COL_NUMBER, mixed, 4,
                    note); /* infinite = missing: mean of 1 and 3 */
    assert_non_null(strstr(note, "1 infinite"));
    assert_true(apply_number(f, INFINITY) == 2 && apply_number(f, -INFINITY) == 2 &&
                apply_number(f, nan) == 2);
    am_features_free(f);
    const double flags[] = {0, 1, nan, 0, 1};
    f = fit_numbers("x: {}", AM_COL_BOOLEAN, flags, 5, NULL); /* a tie: the smaller */
    assert_true(apply_number(f, nan) == 0 && apply_number(f, 1) == 1);
    am_features_free(f);
}

static void log_is_odd(void **state)
{
    (void)state;
    const double cells[] = {-100, -1, 0, 1, 100};
    struct am_features *f = fit_numbers("x: {scale: log}", AM_COL_NUMBER, cells, 5, NULL);
    assert_true(apply_number(f, 0) == 0);
    for (double v = 0.5; v < 1e6; v *= 3)
        assert_true(apply_number(f, v) == -apply_number(f, -v) && apply_number(f, v) > 0);
    am_features_free(f);
}

/* ---- categories at prediction ---- */

static void unseen_can_be_refused(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_column_desc d = {AM_STR("x"), AM_COL_CATEGORY};
    struct am_schema s = {&d, 1};
    const struct am_str cells[] = {AM_STR_INIT("a"), AM_STR_INIT("b"), AM_STR_INIT("a")};
    const struct am_str bad = AM_STR_INIT("c"), missing = {NULL, 0};
    static const char *const specs[] = {"x: {unseen: error}",
                                        "x: {unseen: error, encode: ordinal}"};
    for (int k = 0; k < 2; k++) {
        struct am_features_config config = {.spec = spec_of(a, specs[k]), .schema = &s};
        struct am_column c = {.type = AM_COL_CATEGORY, .text = cells};
        struct am_batch b = {.n_rows = 3, .n_columns = 1, .columns = &c};
        struct am_features_fit *fit = NULL;
        struct am_features *f = NULL;
        OK(am_features_fit_new(&config, &fit, &err));
        OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
        OK(am_features_fit_finish(fit, &f, &err));
        float out[6];
        OK(am_features_apply(f, &b, out, &err));
        c.text = &missing;
        b.n_rows = 1;
        OK(am_features_apply(f, &b, out, &err));
        c.text = &bad;
        assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
        assert_non_null(strstr(err.message, "\"c\""));
        c.type = AM_COL_TEXT;
        assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
        assert_non_null(strstr(err.message, "type text"));
        b.n_columns = 0;
        assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
        am_features_free(f);
        am_features_fit_free(fit);
    }
    am_arena_free(a);
}

static void empty_batches(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_features_config config = table_config(a, NULL);
    struct am_features_fit *fit = NULL;
    struct am_features *f = NULL;
    struct am_column columns[COLUMNS];
    struct am_batch b = table_slice(&table, 0, 0, columns);
    OK(am_features_fit_new(&config, &fit, &err));
    OK(am_features_fit_update(fit, &b, table.y, NULL, &err));
    assert_int_equal(am_features_fit_finish(fit, &f, &err), AM_EINVAL);
    b.n_rows = 1; /* one row is enough */
    assert_int_equal(am_features_fit_update(fit, &b, NULL, NULL, &err),
                     AM_EINVAL); /* needs the target */
    OK(am_features_fit_update(fit, &b, table.y, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    b.n_rows = 0;
    OK(am_features_apply(f, &b, NULL, &err));
    assert_int_equal(am_features_fit_finish(fit, &f, &err), AM_EINVAL);
    assert_int_equal(am_features_fit_update(fit, &b, table.y, NULL, &err), AM_EINVAL);
    am_features_free(f);
    am_features_fit_free(fit);
    am_arena_free(a);
}

static void samples_are_usable(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_features_config config = table_config(a, NULL);
    struct am_features_fit *fit;
    struct am_features *f;
    OK(fit_table(&config, 100, &fit, &f));
    struct am_batch b;
    OK(am_features_sample(f, 1, 5, a, &b, &err));
    assert_int_equal(b.n_rows, 5);
    size_t width = am_features_width(f);
    float *out = am_alloc_array(5 * width, sizeof *out);
    OK(am_features_apply(f, &b, out, &err));
    for (size_t i = 0; i < 5 * width; i++)
        assert_true(isfinite(out[i]) && fabsf(out[i]) < 30);
    for (size_t c = 0; c < COLUMNS; c++)
        assert_true(am_cell_missing(&b.columns[c], 1) && !am_cell_missing(&b.columns[c], 2));
    am_free(out);
    am_features_free(f);
    am_features_fit_free(fit);
    am_arena_free(a);
}

/* ---- memory ---- */

static struct am_features_config oom_config;

static enum am_rc whole_life(void)
{
    struct am_features_fit *fit = NULL;
    struct am_features *f = NULL, *g = NULL;
    struct am_column columns[COLUMNS];
    struct am_arena *a = NULL;
    struct am_batch b = table_slice(&table, 0, 300, columns), sample;
    enum am_rc rc = am_features_fit_new(&oom_config, &fit, &err);
    if (rc == AM_OK)
        rc = am_features_fit_update(fit, &b, table.y, NULL, &err);
    if (rc == AM_OK)
        rc = am_features_fit_finish(fit, &f, &err);
    if (rc == AM_OK && (a = am_arena_new(0)) == NULL)
        rc = am_fail_nomem(&err, 0);
    if (rc == AM_OK) {
        struct am_node *n = am_features_to_node(f, a);
        am_features_fit_notes(fit, a);
        rc = am_arena_check(a, &err);
        if (rc == AM_OK)
            rc = am_features_from_node(n, &g, &err);
    }
    if (rc == AM_OK)
        rc = am_features_sample(g, 1, 3, a, &sample, &err);
    am_arena_free(a);
    am_features_free(g);
    am_features_free(f);
    am_features_fit_free(fit);
    return rc;
}

static void failed_allocations(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    oom_config = table_config(a, NULL);
    AM_OOM_LOOP(whole_life(), (void)0);
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_and_threads_change_no_bit),
        cmocka_unit_test(one_row_equals_many),
        cmocka_unit_test(rows_as_matrix),
        cmocka_unit_test(file_form_keeps_bits),
        cmocka_unit_test(outputs_know_their_input),
        cmocka_unit_test(extremes_stay_finite),
        cmocka_unit_test(constant_and_missing_columns),
        cmocka_unit_test(log_is_odd),
        cmocka_unit_test(unseen_can_be_refused),
        cmocka_unit_test(empty_batches),
        cmocka_unit_test(samples_are_usable),
        cmocka_unit_test(failed_allocations),
    };
    table_init(&table);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
