/* Row matrices: RAM and file give the same rows, subsets, faults in memory and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "nn/matrix.h"
#include "tests/support/faults.h"

enum { ROWS = 3000, F = 5, T = 2 };

static float value(uint64_t row, size_t column)
{
    return (float)(row * 10 + column);
}

static enum am_rc fill(const struct am_matrix_options *o, size_t part, struct am_matrix **out)
{
    struct am_matrix *m;
    enum am_rc rc = am_matrix_new(F, T, o, &m, NULL);
    if (rc != AM_OK)
        return rc;
    for (uint64_t r = 0; r < ROWS && rc == AM_OK; r += part) {
        float x[64 * F], y[64 * T], w[64];
        size_t n = ROWS - r < part ? (size_t)(ROWS - r) : part;
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < F; j++)
                x[i * F + j] = value(r + i, j);
            for (size_t j = 0; j < T; j++)
                y[i * T + j] = value(r + i, F + j);
            w[i] = value(r + i, F + T);
        }
        rc = am_matrix_append(m, n, x, y, w, NULL);
    }
    if (rc == AM_OK)
        rc = am_matrix_finish(m, NULL);
    if (rc == AM_OK)
        *out = m;
    else
        am_matrix_free(m);
    return rc;
}

static enum am_rc check_rows(const struct am_train_data *d, bool weights)
{
    enum { N = 400 };
    static float x[N * F], y[N * T], w[N];
    uint64_t rows[N];
    enum am_rc rc;
    for (size_t i = 0; i < N; i++) /* runs, jumps and repeats */
        rows[i] = i < 150 ? 1000 + i : i < 300 ? i * 7919 % ROWS : ROWS - 1 - i % 3;
    rc = d->gather(d->self, rows, N, x, y, w, NULL);
    if (rc != AM_OK)
        return rc;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < F; j++)
            assert_true(x[i * F + j] == value(rows[i], j));
        for (size_t j = 0; j < T; j++)
            assert_true(y[i * T + j] == value(rows[i], F + j));
        assert_true(w[i] == (weights ? value(rows[i], F + T) : 1));
    }
    return d->gather(d->self, rows, 1, NULL, y, NULL, NULL);
}

static void test_places(void **state)
{
    const size_t memory[] = {0, 1 << 20, 20000, 300, 1};
    (void)state;
    for (size_t k = 0; k < 5; k++)
        for (size_t part = 1; part <= 64; part = part * 3 + 4) {
            for (int weights = 0; weights < 2; weights++) {
                struct am_matrix_options o = {.memory_bytes = memory[k],
                                              .weights = weights ? AM_MATRIX_WEIGHTS
                                                                 : AM_MATRIX_NO_WEIGHTS};
                struct am_matrix *m;
                assert_int_equal(fill(&o, part, &m), AM_OK);
                assert_int_equal(am_matrix_n_rows(m), ROWS);
                assert_int_equal(am_matrix_spilled(m), k >= 2);
                assert_int_equal(check_rows(am_matrix_data(m), weights), AM_OK);
                am_matrix_free(m);
            }
        }
}

static void test_view(void **state)
{
    struct am_matrix_options o = {.memory_bytes = 1 << 20, .weights = AM_MATRIX_WEIGHTS};
    struct am_matrix *m;
    const struct am_train_data *d;
    uint64_t seen = 0;
    (void)state;
    assert_int_equal(fill(&o, 64, &m), AM_OK);
    d = am_matrix_data(m);
    while (seen < ROWS) {
        const float *x, *y, *w;
        uint64_t n;
        assert_true(d->view(d->self, seen, &x, &y, &w, &n));
        assert_true(n >= 1 && n <= ROWS - seen);
        assert_true(x[0] == value(seen, 0) && y[1] == value(seen, F + 1));
        assert_true(x[(n - 1) * F] == value(seen + n - 1, 0) && w[n - 1] == value(seen + n - 1, 7));
        seen += n;
    }
    am_matrix_free(m);
}

static void test_subset(void **state)
{
    struct am_matrix *m;
    const struct am_train_data *s;
    uint64_t rows[700], pick[] = {0, 699, 3};
    float x[3 * F], y[3 * T], w[3];
    struct am_err err;
    (void)state;
    assert_int_equal(fill(NULL, 64, &m), AM_OK);
    for (size_t i = 0; i < 700; i++)
        rows[i] = i * 3 + 1;
    assert_int_equal(am_train_subset_new(am_matrix_data(m), rows, 700, &s, &err), AM_OK);
    assert_int_equal(s->n_rows, 700);
    assert_int_equal(s->gather(s->self, pick, 3, x, y, w, &err), AM_OK);
    assert_true(x[0] == value(1, 0) && x[F] == value(2098, 0) && y[2 * T] == value(10, F));
    am_train_subset_free(s);
    rows[5] = ROWS;
    assert_int_equal(am_train_subset_new(am_matrix_data(m), rows, 700, &s, &err), AM_EINVAL);
    am_matrix_free(m);
}

static enum am_rc fill_and_check(const struct am_matrix_options *o, struct am_matrix **m)
{
    enum am_rc rc = fill(o, 64, m);
    if (rc != AM_OK)
        return rc;
    rc = check_rows(am_matrix_data(*m), false);
    if (rc != AM_OK)
        am_matrix_free(*m);
    return rc;
}

static void test_faults(void **state)
{
    struct am_matrix_options ram = {0}, file = {.memory_bytes = 20000};
    struct am_matrix *m = NULL;
    (void)state;
    AM_OOM_LOOP(fill_and_check(&ram, &m), am_matrix_free(m));
    AM_OOM_LOOP(fill_and_check(&file, &m), am_matrix_free(m));
    AM_IO_LOOP(fill_and_check(&file, &m), am_matrix_free(m), (void)0);
}

static void test_errors(void **state)
{
    struct am_matrix_options o = {.memory_bytes = 1000, .temp_dir = "/nonexistent-directory"};
    struct am_matrix *m;
    struct am_err err;
    (void)state;
    assert_int_equal(am_matrix_new(SIZE_MAX, 2, NULL, &m, &err), AM_ELIMIT);
    assert_int_equal(fill(&o, 64, &m), AM_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_view),
                                       cmocka_unit_test(test_subset), cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
