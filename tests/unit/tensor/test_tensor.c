/* Dimensions and element types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tensor/tensor.h"

static void dims(void **state)
{
    (void)state;
    struct am_err err;
    char text[AM_DIMS_CHARS];
    struct am_dims d = am_dims2(AM_DIM_BATCH, 30);
    assert_string_equal(am_dims_print(&d, text), "[B,30]");
    assert_int_equal(am_dims_check(&d, "x", &err), AM_OK);
    assert_int_equal(am_dims_count(&d), 30);
    assert_int_equal(am_dims_rows(&d), 1);
    assert_int_equal(am_dims_cols(&d), 30);
    assert_true(am_dims_batched(&d));
    struct am_dims b = am_dims1(AM_DIM_BATCH);
    assert_int_equal(am_dims_count(&b), 1);
    assert_int_equal(am_dims_cols(&b), 1);
    struct am_dims frames = {3, {-8, 4, 3}}; /* eight rows for each of the batch */
    assert_int_equal(am_dims_check(&frames, "frames", &err), AM_OK);
    assert_true(am_dims_batched(&frames));
    assert_int_equal(am_dims_fold(&frames), 8);
    assert_int_equal(am_dims_fold(&b), 1);
    assert_int_equal(am_dims_count(&frames), 12);
    assert_int_equal(am_dims_rows(&frames), 4);
    assert_string_equal(am_dims_print(&frames, text), "[8B,4,3]");
    struct am_dims cube = {3, {2, 3, 5}};
    assert_int_equal(am_dims_count(&cube), 30);
    assert_int_equal(am_dims_rows(&cube), 6);
    assert_false(am_dims_eq(&cube, &d));
    assert_true(am_dims_eq(&cube, &cube));
}

static void bad_dims(void **state)
{
    (void)state;
    static const struct {
        struct am_dims d;
        enum am_rc rc;
    } bad[] = {{{0, {0}}, AM_EINVAL},
               {{9, {1}}, AM_EINVAL},
               {{2, {4, -1}}, AM_EINVAL},
               {{2, {4, 0}}, AM_EINVAL},
               {{2, {3, -7}}, AM_EINVAL},
               {{2, {-((int64_t)1 << 40), 1 << 20}}, AM_ELIMIT},
               {{1, {INT64_MIN}}, AM_EINVAL},
               {{1, {INT64_MAX}}, AM_ELIMIT},
               {{3, {1 << 20, 1 << 20, 1 << 20}}, AM_ELIMIT},
               {{2, {(int64_t)1 << 32, (int64_t)1 << 32}}, AM_ELIMIT}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_err err;
        assert_int_equal(am_dims_check(&bad[i].d, "weird", &err), bad[i].rc);
        assert_non_null(strstr(err.message, "\"weird\""));
    }
    struct am_dims long_one = {
        8,
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MIN}};
    char text[AM_DIMS_CHARS];
    assert_true(strlen(am_dims_print(&long_one, text)) < AM_DIMS_CHARS);
}

static void dtypes(void **state)
{
    (void)state;
    for (int i = 0; i <= AM_BF16; i++) {
        enum am_dtype t;
        assert_true(am_dtype_parse(am_str(am_dtype_name((enum am_dtype)i)), &t));
        assert_int_equal(t, i);
        assert_in_range(am_dtype_bytes(t), 1, 8);
    }
    enum am_dtype t;
    assert_false(am_dtype_parse(AM_STR("f33"), &t));
    assert_int_equal(am_dtype_bytes((enum am_dtype)99), 0);
    assert_string_equal(am_dtype_name((enum am_dtype)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dims), cmocka_unit_test(bad_dims),
                                       cmocka_unit_test(dtypes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
