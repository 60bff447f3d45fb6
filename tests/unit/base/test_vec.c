/* The typed vector: growth, failure that changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/vec.h"

static void pushes_keep_order(void **state)
{
    (void)state;
    AM_VEC(int) v = {0};
    for (int i = 0; i < 10000; i++)
        assert_true(am_vec_push(&v, i));
    assert_int_equal(v.len, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(v.ptr[i], i);
    am_vec_clear(&v);
    assert_null(v.ptr);
    assert_int_equal(v.cap, 0);
}

static void failure_changes_nothing(void **state)
{
    (void)state;
    AM_VEC(uint64_t) v = {0};
    for (uint64_t i = 0; i < 8; i++)
        assert_true(am_vec_push(&v, i));
    am_alloc_fail_nth(1, true);
    bool pushed = am_vec_push(&v, 9);
    am_alloc_fail_nth(0, false);
    assert_false(pushed);
    assert_int_equal(v.len, 8);
    assert_int_equal(v.ptr[7], 7);
    assert_false(am_vec_reserve(&v, SIZE_MAX / 4));
    assert_false(am_vec_reserve(&v, SIZE_MAX));
    assert_true(am_vec_reserve(&v, 100));
    assert_true(v.cap >= 100);
    am_vec_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_keep_order),
        cmocka_unit_test(failure_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
