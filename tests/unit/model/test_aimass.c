/* The public C interface, linked with libaimass.so and nothing else of ours: test_aimass NUMBERS
 * MIXED VALUE PICTURE MEDIA ANOMALY, packages that the probe wrote. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aimass.h"

static const char *numbers_path, *mixed_path, *value_path, *picture_path, *media_path,
    *anomaly_path;

static aimass_model *load(const char *path)
{
    aimass_model *m = NULL;
    aimass_error err = {0};
    if (aimass_load(path, &m, &err) != AIMASS_OK)
        fail_msg("%s", err.message);
    return m;
}

static aimass_predictor *predictor(aimass_model *m)
{
    aimass_predictor *p = NULL;
    assert_int_equal(aimass_predictor_new(m, &p, NULL), AIMASS_OK);
    return p;
}

static void test_describe(void **state)
{
    aimass_model *m = load(mixed_path);
    (void)state;
    assert_int_equal(aimass_abi_version(), AIMASS_ABI_VERSION);
    assert_int_equal(aimass_n_inputs(m), 5);
    assert_string_equal(aimass_input_name(m, 2), "col2");
    assert_int_equal(aimass_input_type(m, 2), AIMASS_CATEGORY);
    assert_int_equal(aimass_input_type(m, 4), AIMASS_DATE);
    assert_null(aimass_input_name(m, 5));
    assert_int_equal(aimass_n_classes(m), 3);
    assert_int_equal(aimass_n_embedding(m), 0);
    assert_string_equal(aimass_class_name(m, 1), "class1");
    assert_null(aimass_class_name(m, 3));
    assert_non_null(strstr(aimass_describe(m), "\"multiclass\""));
    assert_true(aimass_describe(m)[0] == '{');
    assert_non_null(strstr(aimass_card(m), "# small"));
    aimass_retain(m);
    aimass_free(m);
    assert_int_equal(aimass_n_inputs(m), 5);
    aimass_free(m);
    aimass_free(NULL);
    aimass_predictor_free(NULL);
}

/* The same rows as one row each, as a matrix, as columns of numbers and as columns of text. */
static void test_same_answers(void **state)
{
    aimass_model *m = load(numbers_path);
    aimass_predictor *p = predictor(m);
    aimass_answer a;
    enum { ROWS = 7, COLS = 30 };
    double rows[ROWS * COLS], columns[COLS][ROWS];
    char texts[COLS][ROWS][32];
    const char *text_ptrs[COLS][ROWS];
    aimass_column c[COLS + 1];
    float want[ROWS * 2];
    aimass_error err;
    (void)state;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++) {
            double v = (i * 37 + j * 11) % 23 * 0.5 + j;
            rows[i * COLS + j] = columns[j][i] = i == j ? (double)NAN : v;
            snprintf(texts[j][i], sizeof texts[j][i], "%.17g", v);
            text_ptrs[j][i] = i == j ? NULL : texts[j][i];
        }
    assert_int_equal(aimass_predict_rows(p, rows, ROWS, COLS, &a, &err), AIMASS_OK);
    assert_int_equal(a.n_rows, ROWS);
    assert_int_equal(a.n_classes, 2);
    memcpy(want, a.probability, sizeof want);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(aimass_predict_row(p, rows + i * COLS, COLS, &a, &err), AIMASS_OK);
        assert_memory_equal(a.probability, want + 2 * i, 2 * sizeof *want);
        assert_int_equal(a.label[0], (double)want[2 * i + 1] >= aimass_threshold(m));
        assert_true(a.value[0] == (double)want[2 * i + a.label[0]]);
    }
    c[0] = (aimass_column){.name = "not an input", .numbers = rows};
    for (int j = 0; j < COLS; j++) /* any order, more than needed */
        c[1 + j] = (aimass_column){.name = aimass_input_name(m, (size_t)(COLS - 1 - j)),
                                   .numbers = columns[COLS - 1 - j]};
    assert_int_equal(aimass_predict_columns(p, c, COLS + 1, ROWS, &a, &err), AIMASS_OK);
    assert_memory_equal(a.probability, want, sizeof want);
    for (int j = 0; j < COLS; j++)
        c[1 + j] = (aimass_column){.name = aimass_input_name(m, (size_t)j), .texts = text_ptrs[j]};
    assert_int_equal(aimass_predict_columns(p, c, COLS + 1, ROWS, &a, &err), AIMASS_OK);
    assert_memory_equal(a.probability, want, sizeof want);
    assert_int_equal(aimass_predict_rows(p, rows, 0, COLS, &a, &err), AIMASS_OK);
    assert_int_equal(a.n_rows, 0);
    aimass_free(m); /* the predictor keeps it */
    assert_int_equal(aimass_predict_row(p, rows, COLS, &a, &err), AIMASS_OK);
    aimass_predictor_free(p);
}

static void test_mixed_columns(void **state)
{
    aimass_model *m = load(mixed_path);
    aimass_predictor *p = predictor(m);
    aimass_answer a;
    aimass_error err;
    const double number[2] = {3.5, (double)NAN}, seconds[2] = {1763731024, (double)NAN};
    const char *boolean[2] = {"true", NULL}, *category[2] = {"kind1", "never seen"},
               *text[2] = {"some words", NULL}, *date[2] = {"2025-11-21 13:17:04", NULL},
               *bad[2] = {"x", "y"};
    float first[6];
    aimass_column c[5] = {{"col0", number, NULL},
                          {"col1", NULL, boolean},
                          {"col2", NULL, category},
                          {"col3", NULL, text},
                          {"col4", NULL, date}};
    (void)state;
    assert_int_equal(aimass_predict_columns(p, c, 5, 2, &a, &err), AIMASS_OK);
    memcpy(first, a.probability, sizeof first);
    assert_true(fabs(first[0] + first[1] + first[2] - 1) < 1e-5);
    c[4] = (aimass_column){"col4", seconds, NULL};
    assert_int_equal(aimass_predict_columns(p, c, 5, 2, &a, &err), AIMASS_OK);
    assert_memory_equal(a.probability, first, sizeof first);

    c[4] = (aimass_column){"col4", NULL, bad};
    assert_int_equal(aimass_predict_columns(p, c, 5, 2, &a, &err), AIMASS_INVALID);
    assert_non_null(strstr(err.message, "\"col4\", row 0: \"x\" is no date"));
    c[4] = (aimass_column){"col4", NULL, NULL};
    assert_int_equal(aimass_predict_columns(p, c, 5, 2, &a, &err), AIMASS_INVALID);
    c[4].texts = date;
    c[1].texts = bad;
    assert_int_equal(aimass_predict_columns(p, c, 5, 2, &a, &err), AIMASS_INVALID);
    c[1].texts = boolean;
    c[2] = (aimass_column){"col2", number, NULL};
    assert_int_equal(aimass_predict_columns(p, c, 5, 2, &a, &err), AIMASS_INVALID);
    assert_true(err.hint[0] != 0);
    assert_int_equal(aimass_predict_columns(p, c, 4, 2, &a, &err), AIMASS_INVALID);
    assert_int_equal(aimass_predict_row(p, number, 5, &a, &err), AIMASS_INVALID);
    assert_int_equal(aimass_predict_row(p, number, 1, &a, NULL), AIMASS_INVALID);
    aimass_predictor_free(p);
    aimass_free(m);
}

/* A picture of one colour in the raw form. */
static size_t picture(unsigned w, unsigned h, int level, unsigned char *out)
{
    aimass_image_header(w, h, 3, out);
    memset(out + AIMASS_RAW_BYTES, level, (size_t)w * h * 3);
    return AIMASS_RAW_BYTES + (size_t)w * h * 3;
}

static void test_pictures(void **state)
{
    aimass_model *m = load(picture_path);
    aimass_predictor *p = predictor(m);
    unsigned char one[200], two[400];
    const void *bytes[3] = {one, NULL, two};
    size_t n[3] = {picture(6, 5, 40, one), 0, picture(7, 9, 200, two)};
    aimass_media media = {"col0", bytes, n};
    aimass_column texts = {"col0", NULL, (const char *const *)bytes};
    float want[9];
    aimass_answer a;
    aimass_error err;
    (void)state;
    assert_int_equal(aimass_input_type(m, 0), AIMASS_IMAGE);
    assert_int_equal(aimass_predict_media(p, &media, 1, NULL, 0, 3, &a, &err), AIMASS_OK);
    memcpy(want, a.probability, sizeof want);
    assert_true(fabs(want[0] + want[1] + want[2] - 1) < 1e-5);
    assert_true(memcmp(want, want + 6, 3 * sizeof *want) != 0);
    for (int i = 0; i < 3; i++) { /* a row's bits depend on the row */
        media.bytes = bytes + i;
        media.n_bytes = n + i;
        assert_int_equal(aimass_predict_media(p, &media, 1, NULL, 0, 1, &a, &err), AIMASS_OK);
        assert_memory_equal(a.probability, want + 3 * i, 3 * sizeof *want);
    }
    media = (aimass_media){"col0", bytes, n};
    n[0]--;
    assert_int_equal(aimass_predict_media(p, &media, 1, NULL, 0, 3, &a, &err), AIMASS_INVALID);
    n[0]++;
    one[0] = 'X'; /* no file is decoded here */
    assert_int_equal(aimass_predict_media(p, &media, 1, NULL, 0, 3, &a, &err), AIMASS_INVALID);
    assert_non_null(strstr(err.message, "row 0 is no image in the raw form"));
    n[0] = 3;
    assert_int_equal(aimass_predict_media(p, &media, 1, NULL, 0, 1, &a, &err), AIMASS_INVALID);
    assert_int_equal(aimass_predict_columns(p, &texts, 1, 1, &a, &err), AIMASS_INVALID);
    assert_non_null(strstr(err.hint, "aimass_predict_media"));
    assert_int_equal(aimass_predict_media(p, NULL, 0, NULL, 0, 1, &a, &err), AIMASS_INVALID);
    aimass_predictor_free(p);
    aimass_free(m);
}

static void test_numbers_and_media(void **state)
{
    aimass_model *m = load(media_path);
    aimass_predictor *p = predictor(m);
    unsigned char one[200], sound[AIMASS_RAW_BYTES + 1600] = {0};
    unsigned char video[AIMASS_RAW_BYTES + 3 * 6 * 5] = {0};
    const void *bytes[3] = {one, sound, video};
    size_t n[3] = {picture(6, 5, 40, one), sizeof sound, sizeof video};
    aimass_media media[3] = {
        {"col2", bytes + 1, n + 1}, {"col1", bytes, n}, {"col3", bytes + 2, n + 2}};
    double number = 3;
    aimass_column column = {"col0", &number, NULL};
    aimass_answer a;
    aimass_error err;
    (void)state;
    aimass_audio_header(8000, 1, 800, sound);
    aimass_video_header(3, 6, 5, 1, video);
    assert_int_equal(aimass_input_type(m, 2), AIMASS_AUDIO);
    assert_int_equal(aimass_input_type(m, 3), AIMASS_VIDEO);
    assert_int_equal(aimass_predict_media(p, media, 3, &column, 1, 1, &a, &err), AIMASS_OK);
    assert_true(isfinite(a.value[0]));
    media[0].name = "col1"; /* a sound where a picture belongs */
    media[1].name = "col2";
    assert_int_equal(aimass_predict_media(p, media, 3, &column, 1, 1, &a, &err), AIMASS_INVALID);
    media[0].name = "col2";
    media[1].name = "col1";
    n[2]--; /* a pixel is missing */
    assert_int_equal(aimass_predict_media(p, media, 3, &column, 1, 1, &a, &err), AIMASS_INVALID);
    assert_non_null(strstr(err.message, "90 were expected"));
    n[2]++;
    bytes[2] = one; /* a picture where a video belongs */
    assert_int_equal(aimass_predict_media(p, media, 3, &column, 1, 1, &a, &err), AIMASS_INVALID);
    assert_non_null(strstr(err.hint, "aimass_video_header"));
    aimass_predictor_free(p);
    aimass_free(m);
}

static void test_regression(void **state)
{
    aimass_model *m = load(value_path);
    aimass_predictor *p = predictor(m);
    aimass_answer a;
    double row[30] = {0};
    (void)state;
    assert_int_equal(aimass_predict_row(p, row, 30, &a, NULL), AIMASS_OK);
    assert_int_equal(a.n_classes, 0);
    assert_null(a.probability);
    assert_null(a.label);
    assert_true(isfinite(a.value[0]));
    aimass_predictor_free(p);
    aimass_free(m);
}

static void test_load_errors(void **state)
{
    aimass_model *m = NULL;
    aimass_error err;
    unsigned char key[1][32] = {{0}};
    (void)state;
    assert_int_equal(aimass_load("/nowhere/model.aim", &m, &err), AIMASS_NOT_FOUND);
    assert_int_equal(err.status, AIMASS_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nowhere/model.aim"));
    assert_int_equal(aimass_load_bytes("PK\3\4", 4, &m, &err), AIMASS_CORRUPT);
    assert_int_equal(aimass_load_bytes(NULL, 0, &m, &err), AIMASS_CORRUPT);
    assert_int_equal(aimass_load_signed(numbers_path, (const unsigned char(*)[32])key, 1, &m, &err),
                     AIMASS_PERMISSION);
    assert_int_equal(aimass_load_signed(mixed_path, (const unsigned char(*)[32])key, 1, &m, &err),
                     AIMASS_PERMISSION);
    assert_null(m);
}

/* One model, many threads, a predictor each: the same bits. */
struct job {
    aimass_model *m;
    float probability;
    int ok;
};
static void *work(void *arg)
{
    struct job *j = arg;
    aimass_predictor *p = NULL;
    aimass_answer a;
    double row[30];
    for (int i = 0; i < 30; i++)
        row[i] = i;
    j->ok = aimass_predictor_new(j->m, &p, NULL) == AIMASS_OK;
    for (int i = 0; i < 2000 && j->ok; i++)
        j->ok = aimass_predict_row(p, row, 30, &a, NULL) == AIMASS_OK;
    j->probability = j->ok ? a.probability[1] : -1;
    aimass_predictor_free(p);
    aimass_free(j->m);
    return NULL;
}

static void test_threads(void **state)
{
    aimass_model *m = load(numbers_path);
    struct job jobs[4];
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){.m = aimass_retain(m)};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    aimass_free(m);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(jobs[i].ok);
        assert_memory_equal(&jobs[i].probability, &jobs[0].probability, sizeof(float));
    }
}

static void test_anomaly(void **state)
{
    aimass_model *m = load(anomaly_path);
    aimass_predictor *p = predictor(m);
    aimass_answer a;
    const double near[] = {5, 7, 8, 9}, far[] = {500, -700, 800, 900};
    double score;
    (void)state;
    assert_int_equal(aimass_n_inputs(m), 4);
    assert_int_equal(aimass_n_classes(m), 0);
    assert_true(aimass_threshold(m) > 0);
    assert_non_null(strstr(aimass_describe(m), "\"anomaly_score\""));
    assert_int_equal(aimass_predict_row(p, near, 4, &a, NULL), AIMASS_OK);
    assert_null(a.probability);
    score = a.value[0];
    assert_int_equal(a.label[0], score >= aimass_threshold(m));
    assert_int_equal(aimass_n_embedding(m), 3);
    float code[3];
    memcpy(code, aimass_embedding(p), sizeof code);
    const aimass_column columns[] = {{.name = "col0", .numbers = near},
                                     {.name = "col1", .numbers = near + 1},
                                     {.name = "col2", .numbers = near + 2},
                                     {.name = "col3", .numbers = near + 3}};
    assert_int_equal(aimass_predict_columns(p, columns, 4, 1, &a, NULL), AIMASS_OK);
    assert_memory_equal(code, aimass_embedding(p), sizeof code);
    assert_memory_equal(&score, a.value, sizeof score);
    assert_int_equal(aimass_predict_row(p, far, 4, &a, NULL), AIMASS_OK);
    assert_true(a.value[0] > 100 * score && a.label[0] == 1);
    aimass_predictor_free(p);
    aimass_free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe),      cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_mixed_columns), cmocka_unit_test(test_regression),
        cmocka_unit_test(test_pictures),      cmocka_unit_test(test_numbers_and_media),
        cmocka_unit_test(test_anomaly),       cmocka_unit_test(test_load_errors),
        cmocka_unit_test(test_threads),
    };
    if (argc != 7)
        return 2;
    numbers_path = argv[1];
    mixed_path = argv[2];
    value_path = argv[3];
    picture_path = argv[4];
    media_path = argv[5];
    anomaly_path = argv[6];
    return cmocka_run_group_tests_name("aimass", tests, NULL, NULL);
}
