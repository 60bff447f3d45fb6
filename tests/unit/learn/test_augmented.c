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
#include "base/pool.h"
#include "feature/fit.h"
#include "learn/augmented.h"
#include "learn/learn.h"
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
    float x[ROWS * WIDTH], y[3 * ROWS], w[ROWS];
};

static void *read_all(void *ctx)
{
    struct reader *r = ctx;
    for (size_t i = 0; i < ROWS; i += r->cut) {
        size_t n = ROWS - i < r->cut ? ROWS - i : r->cut;
        const size_t c = r->d->mixes ? 3 : 1; /* numbers of a target */
        uint64_t rows[ROWS];
        float x[ROWS * WIDTH], y[3 * ROWS], w[ROWS];
        for (size_t k = 0; k < n; k++)
            rows[k] = r->backwards ? ROWS - 1 - (i + k) : i + k;
        struct am_err e;
        if (r->d->gather_at(r->d->self, r->epoch, rows, n, x, y, w, &e) != AM_OK)
            return r;
        for (size_t k = 0; k < n; k++) {
            memcpy(r->x + rows[k] * WIDTH, x + k * WIDTH, WIDTH * sizeof *x);
            memcpy(r->y + rows[k] * c, y + k * c, c * sizeof *y);
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
    float x[3 * WIDTH], y[9], w[3], want[3 * WIDTH], want_y[3];
    OK(base->gather(base->self, rows, 3, want, want_y, w, &err));
    OK(d->gather(d->self, rows, 3, x, y, w, &err));
    assert_memory_equal(x, want, sizeof x);
    assert_memory_equal(y, want_y, sizeof want_y);
    const float *px, *py, *pw;
    uint64_t n;
    assert_true(d->view(d->self, 7, &px, &py, &pw, &n));
    assert_memory_equal(px, want, WIDTH * sizeof *px);
    /* the targets alone are those of the rows' own draws */
    float all_y[9], only_y[9];
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
    size_t mixed = 0;
    double shares = 0;
    r = (struct reader){.d = am_augmented_data(a), .cut = ROWS};
    assert_true(r.d->mixes && r.d->n_targets == 1);
    assert_null(read_all(&r));
    for (size_t i = 0; i < ROWS; i++) { /* own class, partner's class, its share; x by the same */
        const float *y = r.y + 3 * i, *x = r.x + i * WIDTH;
        float own[WIDTH], other[WIDTH], own_y;
        bool found = false;
        const uint64_t row = i;
        OK(base->gather(base->self, &row, 1, own, &own_y, NULL, &err));
        assert_true(y[0] == own_y && y[1] >= 0 && y[1] <= 2 && y[2] >= 0 && y[2] <= 0.5f);
        assert_true(r.w[i] == 1);
        for (uint64_t k = 0; k < ROWS && !found; k++) {
            float other_y;
            OK(base->gather(base->self, &k, 1, other, &other_y, NULL, &err));
            found = other_y == y[1];
            for (size_t j = 0; found && j < WIDTH; j++)
                found = fabsf(x[j] - (own[j] * (1 - y[2]) + other[j] * y[2])) < 1e-5f;
        }
        assert_true(found);
        mixed += y[2] > 0.05f;
        shares += (double)y[2];
    }
    assert_in_range(mixed, 40, 60);
    assert_true(shares > 10 && shares < 26); /* 0.3 a row, about */
    am_augmented_free(a);
    a = augmented("{mixup: 2}", false);
    r.d = am_augmented_data(a);
    assert_false(r.d->mixes);
    assert_null(read_all(&r));
    size_t between = 0;
    for (size_t i = 0; i < ROWS; i++) {
        between += r.y[i] != floorf(r.y[i]);
        assert_true(r.w[i] == 1);
    }
    assert_in_range(between, 25, 60);
    am_augmented_free(a);
}

/* A row's share of the loss is its share of the picture times its weight. */
static void test_mixup_weights(void **state)
{
    (void)state;
    const struct am_matrix_options o = {.weights = AM_MATRIX_WEIGHTS};
    struct am_matrix *m;
    struct am_node *spec;
    struct am_augmented *a, *plain;
    const uint64_t rows[4] = {0, 1, 2, 3};
    const struct am_train_data *before = base;
    float y[12], w[4], plain_y[12], only_y[12];
    OK(am_matrix_new(WIDTH, 1, &o, &m, &err));
    for (size_t i = 0; i < ROWS; i++) {
        const float x[WIDTH] = {0}, class = (float)(i % 3), weight = i % 2 ? 3 : 1;
        OK(am_matrix_append(m, 1, x, &class, &weight, &err));
    }
    OK(am_matrix_finish(m, &err));
    OK(am_yaml_parse(arena, AM_STR("{mixup: 2}"), "spec", &spec, &err));
    OK(am_augmented_new(spec, features, am_matrix_data(m), true, 42, &a, &err));
    OK(am_augmented_new(spec, features, before, true, 42, &plain, &err));
    const struct am_train_data *d = am_augmented_data(a), *p = am_augmented_data(plain);
    OK(d->gather_at(d->self, 0, rows, 4, NULL, y, w, &err));
    OK(d->gather_at(d->self, 0, rows, 4, NULL, only_y, NULL, &err));
    OK(p->gather_at(p->self, 0, rows, 4, NULL, plain_y, NULL, &err));
    assert_memory_equal(y, only_y, sizeof y);
    for (size_t i = 0; i < 4; i++) {
        const double s = (double)plain_y[3 * i + 2], own = i % 2 ? 3 : 1,
                     share = (double)y[3 * i + 2];
        const double other = (double)w[i] * share / (s > 0 ? s : 1);
        assert_true(fabs((double)w[i] * (1 - share) - (1 - s) * own) < 1e-5);
        assert_true(s == 0 || fabs(other - 1) < 1e-5 || fabs(other - 3) < 1e-5);
    }
    am_augmented_free(a);
    am_augmented_free(plain);
    am_matrix_free(m);
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
    assert_non_null(strstr(err.message, "tables"));
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

/* A table: noise on numbers in their deviations, categories from other rows, columns at their mean;
 * each epoch anew, the same bits in whatever order. */
#define TABLE_ROWS 400
static void test_table(void **state)
{
    (void)state;
    static double numbers[2][TABLE_ROWS];
    static struct am_str kinds[TABLE_ROWS];
    static const char *const names[] = {"a", "b", "c", "d"};
    struct am_column_desc d[3] = {
        {AM_STR("u"), AM_COL_NUMBER}, {AM_STR("v"), AM_COL_NUMBER}, {AM_STR("k"), AM_COL_CATEGORY}};
    const struct am_schema schema = {d, 3};
    const struct am_features_config config = {.schema = &schema};
    struct am_features_fit *fit;
    struct am_features *f;
    struct am_matrix *m;
    struct am_augmented *a;
    struct am_node *spec;
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        numbers[0][i] = (double)(i * 37 % 101) * 10;
        numbers[1][i] = (double)(i * 53 % 89);
        kinds[i] = am_str(names[i % 4]);
    }
    const struct am_column c[3] = {{.type = AM_COL_NUMBER, .number = numbers[0]},
                                   {.type = AM_COL_NUMBER, .number = numbers[1]},
                                   {.type = AM_COL_CATEGORY, .text = kinds}};
    const struct am_batch b = {.n_rows = TABLE_ROWS, .n_columns = 3, .columns = c};
    OK(am_features_fit_new(&config, &fit, &err));
    OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    assert_int_equal(am_features_width(f), 6);
    static float plain[TABLE_ROWS][6], y[TABLE_ROWS], first[TABLE_ROWS][6], again[TABLE_ROWS][6];
    static uint64_t rows[TABLE_ROWS];
    OK(am_features_apply(f, &b, plain[0], &err));
    OK(am_matrix_new(6, 1, NULL, &m, &err));
    OK(am_matrix_append(m, TABLE_ROWS, plain[0], y, NULL, &err));
    OK(am_matrix_finish(m, &err));
    OK(am_yaml_parse(arena, AM_STR("{noise: 0.2, swap: 0.3, drop: 0.1}"), "s", &spec, &err));
    OK(am_augmented_new(spec, f, am_matrix_data(m), true, 5, &a, &err));
    const struct am_train_data *data = am_augmented_data(a);
    for (size_t i = 0; i < TABLE_ROWS; i++)
        rows[i] = i;
    OK(data->gather_at(data->self, 3, rows, TABLE_ROWS, first[0], NULL, NULL, &err));
    double squares = 0;
    size_t n_numbers = 0, n_mean = 0, n_other = 0;
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        OK(data->gather_at(data->self, 3, rows + i, 1, again[0], NULL, NULL, &err));
        assert_memory_equal(again[0], first[i], sizeof first[i]);
        if (fabsf(first[i][0]) < 1e-6f) { /* the mean of a standardised number */
            n_mean++;
        } else {
            squares += pow((double)first[i][0] - (double)plain[i][0], 2);
            n_numbers++;
        }
        float sum = 0;
        for (size_t k = 2; k < 6; k++)
            sum += first[i][k];
        assert_true(fabsf(sum - 1) < 1e-5f); /* one category, or their shares */
        n_other += memcmp(first[i] + 2, plain[i] + 2, 4 * sizeof(float)) != 0;
    }
    assert_true(fabs(sqrt(squares / (double)n_numbers) - 0.2) < 0.03);
    assert_in_range(n_mean, 20, 60);   /* of 400, one in ten */
    assert_in_range(n_other, 90, 155); /* one in ten, and 0.3 * 3 / 4 of the others */
    OK(data->gather_at(data->self, 4, rows, TABLE_ROWS, again[0], NULL, NULL, &err));
    assert_true(memcmp(again, first, sizeof first) != 0);
    OK(data->gather(data->self, rows, TABLE_ROWS, again[0], NULL, NULL, &err));
    assert_memory_equal(again, plain, sizeof plain);
    am_augmented_free(a);
    AM_OOM_LOOP(am_augmented_new(spec, f, am_matrix_data(m), true, 5, &a, &err),
                am_augmented_free(a));
    am_matrix_free(m);
    am_features_free(f);
    am_features_fit_free(fit);
}

/* Mixed targets through the losses of classes: two or three of them, class weights, hinge; the same
 * bits for any number of threads. */
static const double *class_weights; /* of learn_mixed */
static void learn_mixed(const char *train, size_t n_classes, double *loss)
{
    struct am_augmented *a = augmented("{mixup: 1, flip: horizontal}", true);
    struct am_pool *pool;
    struct am_learned l[2];
    struct am_learn_task t = {.task = n_classes == 2 ? AM_TASK_BINARY : AM_TASK_MULTICLASS,
                              .n_classes = n_classes,
                              .n_features = WIDTH,
                              .shape = {3, {4, 4, 3}},
                              .train = am_augmented_data(a),
                              .validation = base,
                              .class_weights = class_weights,
                              .seed = 3};
    struct am_node *model, *spec;
    OK(am_pool_new(3, &pool, &err));
    OK(am_yaml_parse(arena, AM_STR("{type: cnn, filters: [4], dense: [8]}"), "m", &model, &err));
    OK(am_yaml_parse(arena, am_str(train), "t", &spec, &err));
    t.model = model, t.train_spec = spec;
    for (int i = 0; i < 2; i++) {
        t.pool = i ? pool : NULL;
        OK(am_learner_fit(&t, &l[i], arena, &err));
    }
    assert_memory_equal(l[0].params->data, l[1].params->data, am_params_bytes(l[0].params));
    assert_true(isfinite(l[0].training.train_loss) && isfinite(l[0].training.validation_loss));
    *loss = l[0].training.train_loss;
    am_learned_clear(&l[0]);
    am_learned_clear(&l[1]);
    am_pool_free(pool);
    am_augmented_free(a);
}

static void test_learn_mixed(void **state)
{
    (void)state;
    double plain, weighted, hinge;
    learn_mixed("{epochs: 3, batch_size: 16}", 3, &plain);
    /* with equal numbers of rows balanced weights are 1: mixed losses stay where they were */
    learn_mixed("{epochs: 3, batch_size: 16, class_weights: balanced}", 3, &weighted);
    assert_true(plain == weighted);
    learn_mixed("{epochs: 3, batch_size: 16, accumulate: 2, label_smoothing: 0.1, average: ema}", 3,
                &weighted);
    learn_mixed("{epochs: 2, loss: hinge}", 3, &hinge);
    assert_true(hinge != plain);
    /* weights of classes are weights of their rows */
    static const double cw[3] = {1, 3, 0.5};
    const struct am_matrix_options heavy = {.weights = AM_MATRIX_WEIGHTS};
    struct am_matrix *three = matrix;
    const struct am_train_data *before = base;
    class_weights = cw;
    learn_mixed("{epochs: 2}", 3, &weighted);
    class_weights = NULL;
    OK(am_matrix_new(WIDTH, 1, &heavy, &matrix, &err));
    for (uint64_t i = 0; i < ROWS; i++) {
        float x[WIDTH], y, w;
        OK(before->gather(before->self, &i, 1, x, &y, NULL, &err));
        w = (float)cw[(size_t)y];
        OK(am_matrix_append(matrix, 1, x, &y, &w, &err));
    }
    OK(am_matrix_finish(matrix, &err));
    base = am_matrix_data(matrix);
    learn_mixed("{epochs: 2}", 3, &plain);
    assert_true(fabs(plain - weighted) < 1e-5);
    am_matrix_free(matrix);
    /* two classes: the third becomes the second */
    OK(am_matrix_new(WIDTH, 1, NULL, &matrix, &err));
    for (uint64_t i = 0; i < ROWS; i++) {
        float x[WIDTH], y;
        OK(before->gather(before->self, &i, 1, x, &y, NULL, &err));
        y = y > 0;
        OK(am_matrix_append(matrix, 1, x, &y, NULL, &err));
    }
    OK(am_matrix_finish(matrix, &err));
    base = am_matrix_data(matrix);
    learn_mixed("{epochs: 2, class_weights: balanced}", 2, &weighted);
    learn_mixed("{epochs: 2, loss: hinge}", 2, &hinge);
    am_matrix_free(matrix);
    matrix = three;
    base = before;
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
        cmocka_unit_test(test_same_bits),   cmocka_unit_test(test_as_they_are),
        cmocka_unit_test(test_mixup),       cmocka_unit_test(test_mixup_weights),
        cmocka_unit_test(test_learn_mixed), cmocka_unit_test(test_table),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
