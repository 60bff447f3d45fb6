/* Columns of a request: growth keeps cells, relocation moves text, dates, failed allocations,
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "api/columns.h"
#include "base/limits.h"
#include "faults.h"

static const struct am_column_desc three[] = {{AM_STR_INIT("n"), AM_COL_NUMBER},
                                              {AM_STR_INIT("t"), AM_COL_TEXT},
                                              {AM_STR_INIT("d"), AM_COL_DATE}};
static const struct am_schema schema = {three, 3};

static void test_growth_keeps_cells(void **state)
{
    struct am_columns c = {0};
    struct am_err err;
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(am_columns_begin(&c, &schema, 0, &err), AM_OK);
        for (size_t i = 0; i < 1000; i++) {
            assert_int_equal(am_columns_reserve(&c, i + 1, &err), AM_OK);
            am_columns_numbers(&c, 0)[i] = (double)i;
            am_columns_texts(&c, 1)[i] = (struct am_str){text + i % 20, i % 6};
            am_columns_dates(&c, 2)[i] = (int64_t)i * 7;
            c.n_rows++;
        }
        const struct am_batch *b = am_columns_batch(&c);
        assert_int_equal(b->n_rows, 1000);
        for (size_t i = 0; i < 1000; i++) {
            assert_true(b->columns[0].number[i] == (double)i);
            assert_ptr_equal(b->columns[1].text[i].ptr, text + i % 20);
            assert_int_equal(b->columns[2].date[i], (int64_t)i * 7);
        }
    }
    am_columns_clear(&c);
}

static void test_relocation(void **state)
{
    struct am_columns c = {0};
    struct am_err err;
    char from[] = "hello world", to[] = "hello world";
    (void)state;
    assert_int_equal(am_columns_begin(&c, &schema, 0, &err), AM_OK);
    assert_int_equal(am_columns_reserve(&c, 4, &err), AM_OK);
    c.n_rows = 4;
    am_columns_texts(&c, 1)[0] = (struct am_str){from, 5};
    am_columns_texts(&c, 1)[1] = (struct am_str){from + 6, 5};
    am_columns_set_missing(&c, 1, 2);
    am_columns_texts(&c, 1)[3] = AM_STR("static");
    const char *fixed = am_columns_texts(&c, 1)[3].ptr;
    am_columns_relocate(&c, from, sizeof from - 1, to);
    assert_ptr_equal(am_columns_texts(&c, 1)[0].ptr, to);
    assert_ptr_equal(am_columns_texts(&c, 1)[1].ptr, to + 6);
    assert_null(am_columns_texts(&c, 1)[2].ptr);
    assert_ptr_equal(am_columns_texts(&c, 1)[3].ptr, fixed);
    am_columns_clear(&c);
}

static void test_limit(void **state)
{
    struct am_columns c = {0};
    struct am_err err;
    (void)state;
    assert_int_equal(am_columns_begin(&c, &schema, 0, &err), AM_OK);
    assert_int_equal(am_columns_reserve(&c, AM_LIMIT_PREDICT_CELLS / 3 + 1, &err), AM_ELIMIT);
    assert_int_equal(am_columns_reserve(&c, SIZE_MAX, &err), AM_ELIMIT);
    assert_true(err.hint[0] != 0);
    am_columns_clear(&c);
}

static enum am_rc fill(struct am_columns *c, struct am_err *err)
{
    AM_TRY(am_columns_begin(c, &schema, 7, err));
    AM_TRY(am_columns_reserve(c, 10, err));
    return am_columns_reserve(c, 100, err);
}

static void test_failed_allocations(void **state)
{
    struct am_columns c = {0};
    struct am_err err;
    (void)state;
    AM_OOM_LOOP(fill(&c, &err), am_columns_clear(&c));
    assert_int_equal(fill(&c, &err), AM_OK);
    am_columns_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_keeps_cells),
        cmocka_unit_test(test_relocation),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
