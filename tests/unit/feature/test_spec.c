/* The recipe's `features:`: every refusal names place and remedy, every accepted spelling does what
 * it says. */
#include "table.h"

#include "base/date.h"
#include "feature/spec.h"

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        enum am_col_type type;
        const char *message, *hint;
    } bad[] = {
        {"x: {scal: none}", AM_COL_NUMBER, "line 1, column 5: features.x: unknown key \"scal\"",
         "\"scale\""},
        {"x: {scale: zscore}", AM_COL_NUMBER, "features.x.scale: not one of standard", ""},
        {"x: {encode: onehot}", AM_COL_NUMBER, "does not suit a column of type number",
         "data.types"},
        {"x: {unit: {from: m, to: ft}}", AM_COL_CATEGORY, "does not suit a column of type category",
         ""},
        {"x: {type: category}", AM_COL_NUMBER,
         "is of type number in the data, the recipe says category", "data"},
        {"x: {type: colour}", AM_COL_NUMBER, "not one of number, boolean", ""},
        {"x: {impute: category}", AM_COL_NUMBER, "only category columns", ""},
        {"x: {impute: median}", AM_COL_CATEGORY, "filled by mode, category or a constant", ""},
        {"x: {impute: {constant: red}}", AM_COL_NUMBER,
         "features.x.impute.constant: not a finite number", ""},
        {"x: {impute: {const: 1}}", AM_COL_NUMBER, "a map here is {constant: VALUE}", ""},
        {"x: {impute: {constant: 2026-02-30}}", AM_COL_DATE, "not a date such as", ""},
        {"x: {impute: {constant: 2}}", AM_COL_BOOLEAN, "not true or false", ""},
        {"x: {quantiles: 1}", AM_COL_NUMBER, "1 is not from 2 to 10000", ""},
        {"x: {unit: {from: mg/dl, to: mmol/l}}", AM_COL_NUMBER, "does not convert to", "factor"},
        {"x: {unit: {from: metre, to: ft}}", AM_COL_NUMBER, "unit \"metre\" is not known",
         "factor"},
        {"x: {unit: {from: m}}", AM_COL_NUMBER, "needs from and to, or a factor", ""},
        {"x: {unit: {factor: 0}}", AM_COL_NUMBER, "a factor of 0", ""},
        {"x: {unit: 3}", AM_COL_NUMBER, "not a map {from", ""},
        {"x: {scale: robust, encode: ordinal}", AM_COL_CATEGORY, "only standard, min-max and none",
         ""},
        {"x: {scale: standard}", AM_COL_CATEGORY, "this encoding is not scaled", ""},
        {"x: {encode: embedding}", AM_COL_CATEGORY, "not one of onehot", ""},
        {"x: {encode: number}", AM_COL_CATEGORY, "not one of onehot", ""},
        {"x: {order: [a, b]}", AM_COL_CATEGORY, "needs `encode: ordinal`", ""},
        {"x: {encode: ordinal, order: [a, a]}", AM_COL_CATEGORY, "stands twice", ""},
        {"x: {encode: hash, unseen: error}", AM_COL_CATEGORY, "knows no unseen", ""},
        {"x: {smoothing: -1}", AM_COL_CATEGORY, "not from 0 to 1e9", ""},
        {"x: {parts: [year, year]}", AM_COL_DATE, "a part stands twice", ""},
        {"x: {parts: [century]}", AM_COL_DATE, "not a list of days", ""},
        {"x: {indicator: 2}", AM_COL_DATE, "not true or false", ""},
        {"x: 5", AM_COL_NUMBER, "features.x: not a map", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_column_desc d = {AM_STR("x"), bad[i].type};
        struct am_fspec s;
        am_err_clear(&err);
        if (am_fspec_read(spec_of(a, bad[i].yaml), &d, a, &s, &err) != AM_EUSAGE ||
            !strstr(err.message, bad[i].message) || !strstr(err.hint, bad[i].hint))
            fail_msg("%s: got \"%s\" (%s)", bad[i].yaml, err.message, err.hint);
        am_arena_free(a);
    }
}

static struct am_fspec read_spec(struct am_arena *a, const char *yaml, enum am_col_type type)
{
    struct am_column_desc d = {AM_STR("x"), type};
    struct am_fspec s;
    OK(am_fspec_read(yaml ? spec_of(a, yaml) : NULL, &d, a, &s, &err));
    return s;
}

static void defaults_by_type(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_fspec s = read_spec(a, NULL, AM_COL_NUMBER);
    assert_true(s.kind == AM_F_NUMBER && s.scale == AM_FS_STANDARD && s.impute == AM_FI_MEAN &&
                s.factor == 1);
    s = read_spec(a, NULL, AM_COL_BOOLEAN);
    assert_true(s.scale == AM_FS_NONE && s.impute == AM_FI_MODE);
    s = read_spec(a, NULL, AM_COL_CATEGORY);
    assert_true(s.kind == AM_F_ONEHOT && s.impute == AM_FI_CATEGORY && s.max_categories == 100);
    s = read_spec(a, NULL, AM_COL_TEXT);
    assert_true(s.kind == AM_F_WORDS && s.buckets == 256);
    s = read_spec(a, NULL, AM_COL_DATE);
    assert_true(s.kind == AM_F_DATE && s.n_parts == 5 && s.cyclic && s.auto_parts);
    /* `default` counts where it suits, the column's own keys win */
    const char *common =
        "{default: {scale: min-max, impute: median, encode: ordinal}, x: {impute: mode}}";
    s = read_spec(a, common, AM_COL_NUMBER);
    assert_true(s.scale == AM_FS_MINMAX && s.impute == AM_FI_MODE && s.kind == AM_F_NUMBER);
    s = read_spec(a, common, AM_COL_CATEGORY);
    assert_true(s.kind == AM_F_ORDINAL && s.scale == AM_FS_MINMAX && s.impute == AM_FI_MODE);
    s = read_spec(a, "{default: {scale: log, impute: median}}", AM_COL_CATEGORY);
    assert_true(s.kind == AM_F_ONEHOT && s.impute == AM_FI_CATEGORY);
    s = read_spec(a, "{default: {scale: log}}", AM_COL_BOOLEAN);
    assert_true(s.scale == AM_FS_NONE);
    s = read_spec(a, "{\"x\": {\"quantiles\": 1000, \"indicator\": false, \"cyclic\": true}}",
                  AM_COL_CATEGORY);
    assert_true(s.kind == AM_F_ONEHOT); /* defaults that do not suit are no error */
    s = read_spec(a, "x: {type: date, impute: {constant: 1970-01-02 00:00:01.5}}", AM_COL_DATE);
    assert_true(s.constant_date == INT64_C(86401500000));
    s = read_spec(a, "x: {unit: {from: km/h, to: m/s}}", AM_COL_NUMBER);
    assert_true(fabs(s.factor - 1 / 3.6) < 1e-15 && s.offset == 0);
    am_arena_free(a);
}

static void dates_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-13-01",
                                      "2026-00-01",
                                      "2026-01-32",
                                      "2023-02-29",
                                      "2026-01-01x",
                                      "2026-01-01 24:00",
                                      "2026-01-01 1:00",
                                      "2026-01-01 10:00:60",
                                      "2026-01-01 10:00:00.",
                                      "26-01-01"};
    int64_t us;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(am_date_parse(am_str(bad[i]), &us));
    assert_true(am_date_parse(AM_STR("2024-02-29T23:59:59.999999Z"), &us) &&
                us == INT64_C(1709251199999999));
    assert_true(am_date_parse(AM_STR("1969-12-31"), &us) && us == -INT64_C(86400000000));
    /* every int64 has parts */
    const int64_t ends[] = {INT64_MIN + 1, INT64_MAX, 0, -1};
    for (int i = 0; i < 4; i++) {
        for (unsigned p = 0; p < AM_FP_N_PARTS; p++)
            assert_true(isfinite(am_fpart_value((enum am_fpart)p, ends[i])));
        double m = am_fpart_value(AM_FP_MONTH, ends[i]), d = am_fpart_value(AM_FP_DAY, ends[i]);
        assert_true(m >= 1 && m <= 12 && d >= 1 && d <= 31);
    }
}

static void keys_are_documented(void **state)
{
    (void)state;
    size_t n;
    const struct am_feature_key *k = am_feature_keys(&n);
    assert_true(n > 15);
    for (size_t i = 0; i < n; i++) {
        assert_true(k[i].types != 0 && strlen(k[i].doc) > 10);
        assert_true(((k[i].types & AM_FEATURE_KEY_ENUM) != 0) == (k[i].choices != NULL));
    }
}

static void selection(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *message, *hint;
    } bad[] = {
        {"only: [colr]", "no column \"colr\"", "\"color\""},
        {"drop: [nothing at all]", "no column", ""},
        {"only: [color, color]", "stands twice", ""},
        {"only: [std]", "is the target", ""},
        {"only: [code]", "is an id column", ""},
        {"{only: [color], drop: [color]}", "in features.drop too", ""},
        {"only: color", "not a list", ""},
        {"only: [[a]]", "not a column name", ""},
    };
    const struct am_str ids[] = {AM_STR_INIT("code")};
    struct am_arena *a = am_arena_new(0);
    size_t *columns, n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        am_err_clear(&err);
        if (am_features_select(spec_of(a, bad[i].yaml), &table_schema, AM_STR("std"), ids, 1, a,
                               &columns, &n, &err) != AM_EUSAGE ||
            !strstr(err.message, bad[i].message) || !strstr(err.hint, bad[i].hint))
            fail_msg("%s: got \"%s\" (%s)", bad[i].yaml, err.message, err.hint);
    }
    OK(am_features_select(NULL, &table_schema, AM_STR("std"), ids, 1, a, &columns, &n, &err));
    assert_true(n == COLUMNS - 2 && columns[0] == 1);
    OK(am_features_select(spec_of(a, "only: [day, color]"), &table_schema, AM_STR("std"), ids, 1, a,
                          &columns, &n, &err));
    assert_true(n == 2 && columns[0] == 11 && columns[1] == 6);
    struct am_schema two = {table_columns, 2};
    assert_int_equal(am_features_select(spec_of(a, "drop: [minmax]"), &two, AM_STR("std"), NULL, 0,
                                        a, &columns, &n, &err),
                     AM_EUSAGE);
    assert_non_null(strstr(err.message, "no feature column is left"));
    am_arena_free(a);
}

static void data_can_contradict(void **state)
{
    (void)state;
    static const struct am_str cells[] = {AM_STR_INIT("a"), AM_STR_INIT("b"), AM_STR_INIT("c")};
    static const char *const yaml[] = {"x: {encode: ordinal, order: [a, b]}",
                                       "x: {unseen: error, max_categories: 2}"};
    static const char *const message[] = {"lacks the category \"c\"",
                                          "1 of 3 categories would go to (other)"};
    for (int i = 0; i < 2; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_column_desc d = {AM_STR("x"), AM_COL_CATEGORY};
        struct am_schema s = {&d, 1};
        struct am_features_config config = {.spec = spec_of(a, yaml[i]), .schema = &s};
        struct am_column c = {.type = AM_COL_CATEGORY, .text = cells};
        struct am_batch b = {.n_rows = 3, .n_columns = 1, .columns = &c};
        struct am_features_fit *fit = NULL;
        struct am_features *f = NULL;
        OK(am_features_fit_new(&config, &fit, &err));
        OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
        assert_int_equal(am_features_fit_finish(fit, &f, &err), AM_EUSAGE);
        if (!strstr(err.message, message[i]))
            fail_msg("%s", err.message);
        am_features_fit_free(fit);
        am_arena_free(a);
    }
}

static void words_are_hashed(void **state)
{
    (void)state;
    float a[64], b[64], c[64];
    am_fwords(AM_STR("The cat, the CAT!"), 64, a);
    am_fwords(AM_STR("cat the... Cat THE"), 64, b);
    assert_memory_equal(a, b, sizeof a);
    double sum = 0;
    for (int i = 0; i < 64; i++)
        sum += (double)a[i] * (double)a[i];
    assert_true(fabs(sum - 1) < 1e-6);
    /* two Chinese characters: each one, and the pair; another order is another pair */
    am_fwords(AM_STR("\xE4\xB8\xAD\xE6\x96\x87"), 64, b);
    am_fwords(AM_STR("\xE6\x96\x87\xE4\xB8\xAD"), 64, c);
    assert_memory_not_equal(b, c, sizeof b);
    int used = 0;
    for (int i = 0; i < 64; i++)
        used += b[i] != 0;
    assert_int_equal(used, 3);
    am_fwords((struct am_str){NULL, 0}, 64, a);
    am_fwords(AM_STR("\xff\xc3 \xe4\xb8"), 64, b); /* cut characters */
    for (int i = 0; i < 64; i++)
        assert_true(a[i] == 0 && b[i] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),         cmocka_unit_test(defaults_by_type),
        cmocka_unit_test(dates_parse),      cmocka_unit_test(keys_are_documented),
        cmocka_unit_test(selection),        cmocka_unit_test(data_can_contradict),
        cmocka_unit_test(words_are_hashed),
    };
    (void)table_spec, (void)table_init, (void)table_slice;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
