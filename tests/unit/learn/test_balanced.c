/* train.balance: how many rows each class has afterwards, where made rows lie, and that nothing but
 * training sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "learn/balanced.h"

#include "tests/support/faults.h"
#include "tests/support/formula.h"

#define F 3
#define ROWS 160

static struct am_err err;
static struct am_arena *arena;
static struct am_matrix *matrix;
static float x[ROWS][F], y[ROWS];
static const unsigned sizes[3] = {100, 45, 15}; /* of the classes */

static int setup(void **state)
{
    (void)state;
    size_t at = 0;
    arena = am_arena_new(0);
    for (unsigned k = 0; k < 3; k++)
        for (unsigned i = 0; i < sizes[k]; i++, at++) {
            for (unsigned j = 0; j < F; j++)
                x[at][j] = (float)(draw(at, j + 1) + k);
            y[at] = (float)k;
        }
    if (am_matrix_new(F, 1, NULL, &matrix, &err) != AM_OK ||
        am_matrix_append(matrix, ROWS, x[0], y, NULL, &err) != AM_OK)
        return -1;
    return am_matrix_finish(matrix, &err) == AM_OK ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    am_matrix_free(matrix);
    am_arena_free(arena);
    return 0;
}

static struct am_learn_task task_of(const char *train)
{
    struct am_node *n;
    assert_int_equal(am_yaml_parse(arena, am_str(train), "train", &n, &err), AM_OK);
    return (struct am_learn_task){.task = AM_TASK_MULTICLASS,
                                  .n_classes = 3,
                                  .n_features = F,
                                  .shape = am_dims1(F),
                                  .train = am_matrix_data(matrix),
                                  .train_spec = n,
                                  .seed = 7};
}

struct rows {
    float *x, *y; /* owned */
    size_t n, of[3];
};

static struct rows rows_of(const struct am_train_data *d)
{
    struct rows r = {.n = (size_t)d->n_rows};
    uint64_t *at = am_alloc_array(r.n, sizeof *at);
    r.x = am_alloc_array(r.n, F * sizeof *r.x);
    r.y = am_alloc_array(r.n, sizeof *r.y);
    for (size_t i = 0; i < r.n; i++) /* from both ends, so that runs are short */
        at[i] = i % 2 ? r.n - 1 - i / 2 : i / 2;
    assert_int_equal(d->gather(d->self, at, r.n, r.x, r.y, NULL, &err), AM_OK);
    for (size_t i = 0; i < r.n; i++)
        r.of[(size_t)r.y[i]]++;
    am_free(at);
    return r;
}

static void rows_free(struct rows *r)
{
    am_free(r->x);
    am_free(r->y);
}

/* The base's row with these features, SIZE_MAX = none. */
static size_t find(const float *v)
{
    for (size_t i = 0; i < ROWS; i++)
        if (memcmp(v, x[i], sizeof x[i]) == 0)
            return i;
    return SIZE_MAX;
}

static void expect_sizes(const char *train, size_t a, size_t b, size_t c, bool made)
{
    const struct am_learn_task t = task_of(train);
    struct am_balanced *even;
    assert_int_equal(am_balanced_new(&t, &even, &err), AM_OK);
    struct rows r = rows_of(am_balanced_data(even));
    size_t n_made = 0, seen[ROWS] = {0};
    assert_int_equal(r.of[0], a);
    assert_int_equal(r.of[1], b);
    assert_int_equal(r.of[2], c);
    for (size_t i = 0; i < r.n; i++) {
        const size_t at = find(r.x + i * F);
        n_made += at == SIZE_MAX;
        if (at != SIZE_MAX) {
            assert_true(y[at] == r.y[i]);
            seen[at]++;
        }
    }
    assert_int_equal(n_made > 0, made);
    if (a == 100 && b == 100) /* nothing is lost */
        for (size_t i = 0; i < ROWS; i++)
            assert_true(seen[i] >= 1);
    rows_free(&r);
    am_balanced_free(even);
}

static void sizes_of_classes(void **state)
{
    (void)state;
    expect_sizes("{balance: over}", 100, 100, 100, false);
    expect_sizes("{balance: {type: over, ratio: 0.5}}", 100, 50, 50, false);
    expect_sizes("{balance: under}", 15, 15, 15, false);
    expect_sizes("{balance: {type: under, ratio: 0.5}}", 30, 30, 15, false);
    expect_sizes("{balance: smote}", 100, 100, 100, true);
    expect_sizes("{balance: {type: smote, ratio: 0.3}}", 100, 45, 30, true);
    struct am_balanced *none;
    const struct am_learn_task t = task_of("{balance: none}");
    assert_int_equal(am_balanced_new(&t, &none, &err), AM_OK);
    assert_null(none);
}

static double distance(const float *a, const float *b)
{
    double d = 0;
    for (unsigned j = 0; j < F; j++)
        d += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return d;
}

/* Is b one of the k nearest of a in its class? */
static bool is_near(size_t a, size_t b, size_t k)
{
    size_t nearer = 0;
    for (size_t i = 0; i < ROWS; i++)
        nearer += i != a && y[i] == y[a] && distance(x[i], x[a]) < distance(x[b], x[a]);
    return nearer < k;
}

static bool between(const float *v, const float *a, const float *b)
{
    double gap = -1;
    for (unsigned j = 0; j < F; j++) {
        const double g = ((double)v[j] - (double)a[j]) / ((double)b[j] - (double)a[j]);
        if (gap >= 0 && fabs(g - gap) > 1e-3)
            return false;
        gap = g;
    }
    return gap >= -1e-6 && gap <= 1 + 1e-6;
}

static void made_rows(void **state)
{
    (void)state;
    const struct am_learn_task t = task_of("{balance: {type: smote, neighbors: 4}}");
    struct am_balanced *even, *again;
    assert_int_equal(am_balanced_new(&t, &even, &err), AM_OK);
    assert_int_equal(am_balanced_new(&t, &again, &err), AM_OK);
    struct rows r = rows_of(am_balanced_data(even)), s = rows_of(am_balanced_data(again));
    assert_memory_equal(r.x, s.x, r.n * F * sizeof *r.x);
    for (size_t i = 0; i < r.n; i++) {
        bool ok = find(r.x + i * F) != SIZE_MAX;
        for (size_t a = 0; a < ROWS && !ok; a++)
            for (size_t b = 0; b < ROWS && !ok; b++)
                ok = a != b && y[a] == r.y[i] && y[b] == r.y[i] &&
                     between(r.x + i * F, x[a], x[b]) && is_near(a, b, 4);
        assert_true(ok);
    }
    rows_free(&r);
    rows_free(&s);
    am_balanced_free(even);
    am_balanced_free(again);
}

/* A learner is given them: with classes of 100 and 15 rows that overlap, the small one is found
 * more often. */
static size_t found(const char *train)
{
    struct am_learn_task t = task_of(train);
    struct am_node *model;
    struct am_learned l;
    assert_int_equal(am_yaml_parse(arena, AM_STR("{type: baseline}"), "m", &model, &err), AM_OK);
    t.model = model;
    assert_int_equal(am_learner_fit(&t, &l, arena, &err), AM_OK);
    const int64_t rows = am_node_i64(l.info, "rows", -1);
    am_learned_clear(&l);
    assert_int_equal(rows, ROWS); /* the baseline says what the data are like */
    assert_int_equal(am_yaml_parse(arena, AM_STR("{type: logistic}"), "m", &model, &err), AM_OK);
    t.model = model;
    assert_int_equal(am_learner_fit(&t, &l, arena, &err), AM_OK);
    const size_t n = (size_t)am_node_i64(l.info, "rows", -1);
    am_learned_clear(&l);
    return n;
}

static void learners(void **state)
{
    (void)state;
    assert_int_equal(found("{balance: over}"), 300);
    assert_int_equal(found("{balance: under}"), 45);
    assert_int_equal(found("{balance: none}"), ROWS);
}

static void refusals(void **state)
{
    (void)state;
    struct am_balanced *even;
    struct am_learn_task t = task_of("{balance: over}");
    t.task = AM_TASK_REGRESSION;
    t.n_classes = 0;
    assert_int_equal(am_balanced_new(&t, &even, &err), AM_EUSAGE);
    t = task_of("{balance: smote}");
    t.n_tokens = 100;
    assert_int_equal(am_balanced_new(&t, &even, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "over"));
}

static void out_of_memory(void **state)
{
    (void)state;
    struct am_balanced *even;
    static const char *const specs[] = {"{balance: over}", "{balance: smote}"};
    for (size_t i = 0; i < 2; i++) {
        const struct am_learn_task t = task_of(specs[i]);
        AM_OOM_LOOP(am_balanced_new(&t, &even, &err), am_balanced_free(even));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_of_classes),
                                       cmocka_unit_test(made_rows), cmocka_unit_test(learners),
                                       cmocka_unit_test(refusals), cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
