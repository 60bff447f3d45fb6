/* Filters of feature selection against scikit-learn's figures, and columns without any spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>

#include "base/fs.h"
#include "base/tree.h"
#include "feature/column_score.h"

#include "tests/support/faults.h"
#include "tests/support/formula.h"

#define N 90

static struct am_err err;
static double value[N], classes[N], numbers[4][N];
static uint32_t cats[3][N];

static uint32_t code_of(double u, unsigned k)
{
    const double c = floor((u + 0.5) * k);
    return c < 0 ? 0 : c > k - 1 ? k - 1 : (uint32_t)c;
}

static int make_columns(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        value[i] = draw(i, 1) * 4;
        const uint32_t c = code_of(draw(i, 2), 3);
        classes[i] = c;
        numbers[0][i] = value[i] * 0.5 + draw(i, 3);
        numbers[1][i] = c + draw(i, 4);
        numbers[2][i] = draw(i, 5) * 100;
        numbers[3][i] = value[i] * value[i];
        cats[0][i] = code_of(draw(i, 6), 4);
        cats[1][i] = (c + code_of(draw(i, 7), 2)) % 3;
        cats[2][i] = code_of(value[i] / 4, 5);
    }
    return 0;
}

static const char *const names[AM_N_COLUMN_SCORES] = {
    [AM_SCORE_VARIANCE] = "variance",
    [AM_SCORE_CORRELATION] = "correlation",
    [AM_SCORE_ANOVA] = "anova",
    [AM_SCORE_CHI2] = "chi2",
    [AM_SCORE_INFORMATION_GAIN] = "information_gain",
    [AM_SCORE_MUTUAL_INFORMATION] = "mutual_information"};

static void goldens(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_buf text;
    struct am_node *all;
    size_t n_checked = 0;
    am_buf_init(&text, 1 << 20);
    assert_int_equal(am_fs_read_file(SELECT_GOLDENS, &text, &err), AM_OK);
    assert_int_equal(am_json_parse(a, am_buf_view(&text), "goldens", &all, &err), AM_OK);
    for (size_t p = 0; p < all->map.n; p++) {
        const struct am_node *part = all->map.pairs[p].value;
        const bool category = all->map.pairs[p].key.ptr[0] == 'c';
        const char *behind = strchr(all->map.pairs[p].key.ptr, '_');
        const bool of_class = strncmp(behind, "_class", 6) == 0;
        const struct am_score_target t = {of_class ? 3 : 0, of_class ? classes : value};
        for (unsigned by = 0; by < AM_N_COLUMN_SCORES; by++) {
            const struct am_node *want = am_node_get(part, names[by]);
            for (size_t i = 0; want && i < want->list.n; i++) {
                struct am_score_column x = {.n = N, .number = numbers[i % 4]};
                double got, golden;
                if (category)
                    x = (struct am_score_column){.n = N, .code = cats[i % 3], .n_codes = 5};
                assert_true(am_node_as_f64(want->list.items[i], &golden));
                assert_int_equal(am_column_score(by, &x, &t, NULL, &got, &err), AM_OK);
                if (fabs(got - golden) > 1e-6 * fmax(1, fabs(golden)))
                    fail_msg("%.*s, %s of column %zu: %.12g, scikit-learn says %.12g",
                             AM_FMT(all->map.pairs[p].key), names[by], i, got, golden);
                n_checked++;
            }
        }
    }
    assert_int_equal(n_checked, 70);
    am_buf_clear(&text);
    am_arena_free(a);
}

static void without_spread(void **state)
{
    (void)state;
    static const double same[N] = {0};
    static const uint32_t code[N] = {0};
    for (unsigned by = 0; by < AM_N_COLUMN_SCORES; by++)
        for (unsigned k = 0; k < 4; k++) {
            const struct am_score_column x = {
                .n = N, .number = k & 1 ? same : NULL, .code = code, .n_codes = 1};
            const struct am_score_target t = {k & 2 ? 3 : 0, k & 2 ? classes : value};
            double got = -1;
            if (by == AM_SCORE_CHI2 && !(k & 2)) {
                assert_int_equal(am_column_score(by, &x, &t, NULL, &got, &err), AM_EUSAGE);
                continue;
            }
            assert_int_equal(am_column_score(by, &x, &t, NULL, &got, &err), AM_OK);
            /* by neighbours pure noise scores near 0, not 0 */
            assert_true(got >= 0 && got < (by == AM_SCORE_MUTUAL_INFORMATION ? 0.2 : 1e-9));
        }
}

static void out_of_memory(void **state)
{
    (void)state;
    for (unsigned by = 0; by < AM_N_COLUMN_SCORES; by++)
        for (unsigned k = 0; k < 4; k++) {
            const struct am_score_column x = {
                .n = N, .number = k & 1 ? numbers[0] : NULL, .code = cats[0], .n_codes = 4};
            const struct am_score_target t = {k & 2 ? 3 : 0, k & 2 ? classes : value};
            double got;
            if (by != AM_SCORE_CHI2 || t.n_classes > 0)
                AM_OOM_LOOP(am_column_score(by, &x, &t, NULL, &got, &err), (void)got);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(goldens), cmocka_unit_test(without_spread),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, make_columns, NULL);
}
