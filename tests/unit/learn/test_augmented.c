/* train.augment over training rows: the same bits in whatever order, cut and thread; validation
 * sees rows as they are; mixup of classes and numbers; no allocation once warm. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../support/faults.h"
#include "base/alloc.h"
#include "feature/fit.h"
#include "learn/augmented.h"
#include "tensor/media.h"

#define ROWS 60
#define WIDTH 48 /* 4 x 4 x 3 */

static struct am_err err;
static struct am_arena *arena;
static struct am_features *features;
static struct am_matrix *matrix;
static const struct am_train_data *base;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

static struct am_features *fitted(enum am_col_type type, const struct am_str *cell,
                                  const double *number)
{
    struct am_column_desc d = {AM_STR("x"), type};
    struct am_column c = {.type = type};
    const struct am_schema schema = {&d, 1};
    struct am_features_config config = {.schema = &schema};
    struct am_features_fit *fit;
    struct am_features *f;
    if (cell)
        c.text = cell;
    else
        c.number = number;
    const struct am_batch b = {.n_rows = 1, .n_columns = 1, .columns = &c};
    OK(am_features_fit_new(&config, &fit, &err));
    OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    am_features_fit_free(fit);
    return f;
}

static int setup(void **state)
{
    (void)state;
    unsigned char raw[AM_MEDIA_RAW_BYTES + WIDTH] = {0};
    struct am_str cell = {(const char *)raw, sizeof raw};
    am_image_raw_header(4, 4, 3, raw);
    arena = am_arena_new(0);
    features = fitted(AM_COL_IMAGE, &cell, NULL);
    OK(am_matrix_new(WIDTH, 1, NULL, &matrix, &err));
    for (size_t i = 0; i < ROWS; i++) {
        float x[WIDTH], y = (float)(i % 3);
        for (size_t k = 0; k < WIDTH; k++)
            x[k] = (float)((i * 31 + k * 17) % 97) / 97;
        OK(am_matrix_append(matrix, 1, x, &y, NULL, &err));
    }
    OK(am_matrix_finish(matrix, &err));
    base = am_matrix_data(matrix);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    am_features_free(features);
    am_matrix_free(matrix);
    am_arena_free(arena);
    return 0;
}

static struct am_augmented *augmented(const char *yaml, bool classes)
{
    struct am_node *spec;
    struct am_augmented *a;
    OK(am_yaml_parse(arena, am_str(yaml), "spec", &spec, &err));
    OK(am_augmented_new(spec, features, base, classes, 42, &a, &err));
    return a;
}

static const char lots[] = "{flip: both, rotate: 20, crop: 1, noise: 0.1, mixup: 0.5}";

struct reader {
    const struct am_train_data *d;
    uint64_t epoch;
    size_t cut;
    bool backwards;
    float x[ROWS * WIDTH], y[ROWS], w[ROWS];
};

static void *read_all(void *ctx)
{
    struct reader *r = ctx;
    for (size_t i = 0; i < ROWS; i += r->cut) {
        size_t n = ROWS - i < r->cut ? ROWS - i : r->cut;
        uint64_t rows[ROWS];
        float x[ROWS * WIDTH], y[ROWS], w[ROWS];
        for (size_t k = 0; k < n; k++)
            rows[k] = r->backwards ? ROWS - 1 - (i + k) : i + k;
        struct am_err e;
        if (r->d->gather_at(r->d->self, r->epoch, rows, n, x, y, w, &e) != AM_OK)
            return r;
        for (size_t k = 0; k < n; k++) {
            memcpy(r->x + rows[k] * WIDTH, x + k * WIDTH, WIDTH * sizeof *x);
            r->y[rows[k]] = y[k];
            r->w[rows[k]] = w[k];
        }
    }
    return NULL;
}

static void test_same_bits(void **state)
{
    (void)state;
    static struct reader r[4];
    struct am_augmented *a = augmented(lots, true), *b = augmented(lots, true);
    pthread_t t[4];
    for (size_t i = 0; i < 4; i++) {
        r[i] = (struct reader){.d = am_augmented_data(i == 3 ? b : a),
                               .epoch = 5,
                               .cut = i == 0 ? ROWS : 7 * i,
                               .backwards = i == 2};
        assert_int_equal(pthread_create(&t[i], NULL, read_all, &r[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
        assert_memory_equal(r[i].x, r[0].x, sizeof r[0].x);
        assert_memory_equal(r[i].y, r[0].y, sizeof r[0].y);
    }
    r[1].epoch = 6;
    assert_null(read_all(&r[1]));
    assert_memory_not_equal(r[1].x, r[0].x, sizeof r[0].x);
    am_augmented_free(a);
    am_augmented_free(b);
}

static void test_as_they_are(void **state)
{
    (void)state;
    struct am_augmented *a = augmented(lots, true);
    const struct am_train_data *d = am_augmented_data(a);
    const uint64_t rows[3] = {7, 0, 59};
    float x[3 * WIDTH], y[3], w[3], want[3 * WIDTH], want_y[3];
    OK(base->gather(base->self, rows, 3, want, want_y, w, &err));
    OK(d->gather(d->self, rows, 3, x, y, w, &err));
    assert_memory_equal(x, want, sizeof x);
    assert_memory_equal(y, want_y, sizeof y);
    const float *px, *py, *pw;
    uint64_t n;
    assert_true(d->view(d->self, 7, &px, &py, &pw, &n));
    assert_memory_equal(px, want, WIDTH * sizeof *px);
    /* the targets alone are those of the rows' own draws */
    float all_y[3], only_y[3];
    OK(d->gather_at(d->self, 1, rows, 3, x, all_y, w, &err));
    OK(d->gather_at(d->self, 1, rows, 3, NULL, only_y, NULL, &err));
    assert_memory_equal(all_y, only_y, sizeof all_y);
    /* warm: nothing is allocated */
    am_alloc_fail_nth(1, true);
    enum am_rc rc = d->gather_at(d->self, 2, rows, 3, x, y, w, &err);
    long calls = am_alloc_hook_calls();
    am_alloc_fail_nth(0, false);
    assert_int_equal(rc, AM_OK);
    assert_int_equal(calls, 0);
    am_augmented_free(a);
}

static void test_mixup(void **state)
{
    (void)state;
    static struct reader r;
    struct am_augmented *a = augmented("{mixup: 2}", true);
    r = (struct reader){.d = am_augmented_data(a), .cut = ROWS};
    size_t other = 0;
    assert_null(read_all(&r));
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(r.y[i] == 0 || r.y[i] == 1 || r.y[i] == 2);
        other += r.y[i] != (float)(i % 3);
    }
    assert_in_range(other, 5, 30); /* a third of 2/3, about */
    am_augmented_free(a);
    a = augmented("{mixup: 2}", false);
    r.d = am_augmented_data(a);
    assert_null(read_all(&r));
    size_t between = 0;
    for (size_t i = 0; i < ROWS; i++) {
        between += r.y[i] != floorf(r.y[i]);
        assert_true(r.w[i] == 1);
    }
    assert_in_range(between, 25, 60);
    am_augmented_free(a);
}

static void test_refused(void **state)
{
    (void)state;
    struct am_node *spec;
    struct am_augmented *a;
    double one = 1;
    struct am_features *numbers = fitted(AM_COL_NUMBER, NULL, &one);
    OK(am_yaml_parse(arena, AM_STR("{flip: horizontal}"), "spec", &spec, &err));
    assert_int_equal(am_augmented_new(spec, numbers, base, true, 1, &a, &err), AM_EUSAGE);
    assert_null(a);
    assert_non_null(strstr(err.message, "only input"));
    am_features_free(numbers);
    struct am_column_desc d[2] = {{AM_STR("x"), AM_COL_NUMBER}, {AM_STR("z"), AM_COL_IMAGE}};
    struct am_schema s = {d, 2};
    assert_int_equal(am_augmented_check(spec, &s, &err), AM_EUSAGE);
    s.n = 1;
    assert_int_equal(am_augmented_check(spec, &s, &err), AM_EUSAGE);
    assert_int_equal(am_augmented_check(NULL, &s, &err), AM_OK);
    d[0].type = AM_COL_IMAGE;
    assert_int_equal(am_augmented_check(spec, &s, &err), AM_OK);
    OK(am_yaml_parse(arena, AM_STR("{drop: 0.1}"), "spec", &spec, &err));
    assert_int_equal(am_augmented_check(spec, &s, &err), AM_EUSAGE);
    d[0].type = AM_COL_TEXT;
    assert_int_equal(am_augmented_check(spec, &s, &err), AM_OK);
    OK(am_yaml_parse(arena, AM_STR("{flip: none}"), "spec", &spec, &err));
    OK(am_augmented_new(spec, features, base, true, 1, &a, &err));
    assert_null(a);
}

static struct am_node *ready;
static enum am_rc read_ready(void)
{
    struct am_augmented *a;
    const uint64_t rows[2] = {1, 2};
    float x[2 * WIDTH];
    enum am_rc rc = am_augmented_new(ready, features, base, true, 42, &a, &err);
    if (rc == AM_OK)
        rc = am_augmented_data(a)->gather_at(am_augmented_data(a)->self, 0, rows, 2, x, NULL, NULL,
                                             &err);
    am_augmented_free(a);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    OK(am_yaml_parse(arena, am_str(lots), "spec", &ready, &err));
    AM_OOM_LOOP(read_ready(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_as_they_are),
        cmocka_unit_test(test_mixup),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
