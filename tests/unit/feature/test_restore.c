/* The way back: numbers through every scale and unit, pictures and sounds, what does not come back.
 */
#include "table.h"

#include "tensor/media.h"

static struct table table;

static struct am_features *fitted(struct am_arena *a, const char *spec,
                                  const struct am_schema *schema, const struct am_batch *batch)
{
    struct am_features_config c = {
        .spec = spec_of(a, spec), .schema = schema, .task = AM_TASK_ANOMALY, .seed = 5};
    struct am_features_fit *fit;
    struct am_features *f;
    OK(am_features_fit_new(&c, &fit, &err));
    OK(am_features_fit_update(fit, batch, NULL, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    am_features_fit_free(fit);
    return f;
}

/* Every number and boolean of the table, and nothing else, comes back as it was. */
static void numbers(void **state)
{
    (void)state;
    static const char spec[] = "minmax: {scale: min-max, impute: median}\n"
                               "robust: {scale: robust, indicator: true}\n"
                               "log: {scale: log, unit: {from: kg, to: g}}\n"
                               "rank: {scale: quantile, quantiles: 200}\n"
                               "size: {encode: ordinal}\n"
                               "code: {encode: hash, buckets: 16}\n"
                               "town: {max_categories: 4}\n"
                               "note: {buckets: 8}\n";
    struct am_arena *a = am_arena_new(0);
    struct am_column columns[COLUMNS];
    struct am_batch all = table_slice(&table, 0, ROWS, columns);
    struct am_features *f = fitted(a, spec, &table_schema, &all);
    struct am_dims shape;
    size_t n = am_features_n_restored(f, &shape), width = am_features_width(f), compared = 0;
    float *x = am_arena_array(a, ROWS * width, sizeof *x);
    double back[COLUMNS];
    assert_int_equal(n, 7);
    assert_int_equal(shape.rank, 1);
    assert_int_equal(shape.d[0], 7);
    assert_true(am_features_restored_columns(f));
    assert_int_equal(am_features_restored_input(f, 7), SIZE_MAX);
    OK(am_features_apply(f, &all, x, &err));
    for (size_t row = 0; row < ROWS; row++) {
        am_features_restore(f, x + row * width, back);
        for (size_t i = 0; i < n; i++) {
            size_t input = am_features_restored_input(f, i);
            double want = all.columns[input].number[row];
            bool rank = am_str_is(table_columns[input].name, "rank");
            assert_true(isfinite(back[i]));
            if (!isfinite(want))
                continue;
            compared++;
            if (!(fabs(back[i] - want) <= (rank ? 0.5 : 1e-4) * fmax(1, fabs(want))))
                fail_msg("%s, row %zu: %.9g, was %.9g", table_columns[input].name.ptr, row, back[i],
                         want);
        }
    }
    assert_true(compared > 6 * ROWS);
    am_features_free(f);
    am_arena_free(a);
}

/* A constant column is its value; numbers that a network makes never leave the range of double. */
static void edges(void **state)
{
    (void)state;
    static const struct am_column_desc desc[] = {{AM_STR_INIT("same"), AM_COL_NUMBER},
                                                 {AM_STR_INIT("log"), AM_COL_NUMBER},
                                                 {AM_STR_INIT("q"), AM_COL_NUMBER}};
    static const struct am_schema schema = {desc, 3};
    static const double same[] = {7, 7, 7, 7}, log_[] = {1, 10, 100, 1e6}, q[] = {1, 2, 3, 4};
    const struct am_column columns[] = {{.type = AM_COL_NUMBER, .number = same},
                                        {.type = AM_COL_NUMBER, .number = log_},
                                        {.type = AM_COL_NUMBER, .number = q}};
    const struct am_batch b = {.n_rows = 4, .n_columns = 3, .columns = columns};
    struct am_arena *a = am_arena_new(0);
    struct am_features *f = fitted(a, "log: {scale: log}\nq: {scale: quantile}\n", &schema, &b);
    double back[3];
    am_features_restore(f, (const float[]){123.0f, 3e38f, -5.0f}, back);
    if (!(back[0] == 7 && isfinite(back[1]) && back[1] > 1e300 && back[2] == 1))
        fail_msg("%g %g %g", back[0], back[1], back[2]);
    am_features_restore(f, (const float[]){0, -3e38f, 9}, back);
    assert_true(isfinite(back[1]) && back[1] < -1e300 && back[2] == 4);
    am_features_free(f);
    am_arena_free(a);
}

static void pictures(void **state)
{
    (void)state;
    static const struct am_column_desc desc[] = {{AM_STR_INIT("photo"), AM_COL_IMAGE}};
    static const struct am_schema schema = {desc, 1};
    static const char *const specs[] = {"photo: {normalize: unit}", "photo: {normalize: standard}",
                                        "photo: {normalize: imagenet}", "photo: {normalize: none}"};
    enum { H = 4, W = 3, C = 3 };
    struct am_arena *a = am_arena_new(0);
    struct am_str cells[3];
    for (size_t k = 0; k < 3; k++) {
        unsigned char *p = am_arena_array(a, AM_MEDIA_RAW_BYTES + H * W * C, 1);
        am_image_raw_header(W, H, C, p);
        for (size_t i = 0; i < H * W * C; i++)
            p[AM_MEDIA_RAW_BYTES + i] = (unsigned char)draw(i, k);
        cells[k] = (struct am_str){(const char *)p, AM_MEDIA_RAW_BYTES + H * W * C};
    }
    const struct am_column column = {.type = AM_COL_IMAGE, .text = cells};
    const struct am_batch b = {.n_rows = 3, .n_columns = 1, .columns = &column};
    for (size_t s = 0; s < 4; s++) {
        struct am_features *f = fitted(a, specs[s], &schema, &b);
        struct am_dims shape;
        float x[3 * H * W * C];
        double back[H * W * C];
        assert_int_equal(am_features_n_restored(f, &shape), H * W * C);
        assert_int_equal(shape.rank, 3);
        assert_false(am_features_restored_columns(f));
        OK(am_features_apply(f, &b, x, &err));
        for (size_t k = 0; k < 3; k++) {
            am_features_restore(f, x + k * H * W * C, back);
            for (size_t i = 0; i < H * W * C; i++)
                if (fabs(back[i] - (unsigned char)cells[k].ptr[AM_MEDIA_RAW_BYTES + i]) > 1e-3)
                    fail_msg("%s: %g", specs[s], back[i]);
        }
        for (size_t i = 0; i < H * W * C; i++)
            x[i] = i % 2 ? 1e9f : -1e9f;
        am_features_restore(f, x, back);
        assert_true(back[0] == 0 && back[1] == 255);
        am_features_free(f);
    }
    am_arena_free(a);
}

static void sounds(void **state)
{
    (void)state;
    static const struct am_column_desc desc[] = {{AM_STR_INIT("clip"), AM_COL_AUDIO}};
    static const struct am_schema schema = {desc, 1};
    struct am_arena *a = am_arena_new(0);
    struct am_str cells[2];
    for (size_t k = 0; k < 2; k++) {
        unsigned char *p = am_arena_array(a, AM_MEDIA_RAW_BYTES + 16000, 1);
        am_sound_raw_header(8000, 1, 8000, p);
        for (size_t i = 0; i < 16000; i++)
            p[AM_MEDIA_RAW_BYTES + i] = (unsigned char)(draw(i, k) % 64);
        cells[k] = (struct am_str){(const char *)p, AM_MEDIA_RAW_BYTES + 16000};
    }
    const struct am_column column = {.type = AM_COL_AUDIO, .text = cells};
    const struct am_batch b = {.n_rows = 2, .n_columns = 1, .columns = &column};
    struct am_features *f = fitted(a, "{}", &schema, &b);
    struct am_dims shape;
    size_t width = am_features_width(f), n = am_features_n_restored(f, &shape);
    float *x = am_arena_array(a, 2 * width, sizeof *x);
    double *back = am_arena_array(a, n, sizeof *back);
    assert_int_equal(n, width);
    assert_int_equal(shape.rank, 2);
    OK(am_features_apply(f, &b, x, &err));
    am_features_restore(f, x, back);
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(back[i]));
    am_features_free(f);
    am_arena_free(a);
}

/* Nothing to give back: words and categories only. */
static void nothing(void **state)
{
    (void)state;
    static const struct am_column_desc desc[] = {{AM_STR_INIT("c"), AM_COL_CATEGORY}};
    static const struct am_schema schema = {desc, 1};
    const struct am_str cells[] = {AM_STR("a"), AM_STR("b"), AM_STR("a")};
    const struct am_column column = {.type = AM_COL_CATEGORY, .text = cells};
    const struct am_batch b = {.n_rows = 3, .n_columns = 1, .columns = &column};
    struct am_arena *a = am_arena_new(0);
    struct am_features *f = fitted(a, "{}", &schema, &b);
    struct am_dims shape;
    assert_int_equal(am_features_n_restored(f, &shape), 0);
    am_features_free(f);
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(edges),
                                       cmocka_unit_test(pictures), cmocka_unit_test(sounds),
                                       cmocka_unit_test(nothing)};
    (void)table_spec;
    table_init(&table);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
