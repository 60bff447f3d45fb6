/* Arenas: alignment, limit, sticky failure, clean-ups, reuse after a reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "tests/support/faults.h"

static void objects_are_aligned_and_apart(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    unsigned char *p[200];
    for (size_t i = 0; i < 200; i++) {
        size_t n = i * 37;
        p[i] = am_arena_alloc(a, n);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, n);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < i * 37; k++)
            assert_int_equal(p[i][k], i);
    for (size_t align = 1; align <= 4096; align *= 2) {
        unsigned char *q = am_arena_aligned(a, align, 100);
        assert_int_equal((uintptr_t)q % align, 0);
        memset(q, 1, 100);
    }
    int *z = am_arena_array(a, 50, sizeof *z);
    for (int i = 0; i < 50; i++)
        assert_int_equal(z[i], 0);
    assert_true(am_arena_used(a) >= 200 * 199 / 2 * 37);
    assert_int_equal(am_arena_check(a, NULL), AM_OK);
    am_arena_free(a);
    am_arena_free(NULL);
}

static void texts_are_copied_with_a_nul(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_str s = am_arena_str(a, (struct am_str){"abcdef", 3});
    assert_int_equal(s.len, 3);
    assert_string_equal(s.ptr, "abc");
    s = am_arena_str(a, (struct am_str){NULL, 0});
    assert_string_equal(s.ptr, "");
    s = am_arena_printf(a, "%s-%05d", "x", 42);
    assert_string_equal(s.ptr, "x-00042");
    assert_int_equal(s.len, 7);
    am_arena_free(a);
}

static void the_limit_sticks(void **state)
{
    (void)state;
    struct am_err e;
    struct am_arena *a = am_arena_new(1000);
    assert_non_null(am_arena_alloc(a, 500));
    assert_null(am_arena_alloc(a, 600));
    assert_null(am_arena_alloc(a, 1));
    assert_null(am_arena_str(a, AM_STR("x")).ptr);
    assert_null(am_arena_printf(a, "x").ptr);
    assert_int_equal(am_arena_check(a, &e), AM_ELIMIT);
    assert_non_null(strstr(e.message, "600"));
    am_arena_reset(a);
    assert_int_equal(am_arena_check(a, &e), AM_OK);
    assert_int_equal(am_arena_used(a), 0);
    assert_non_null(am_arena_alloc(a, 900));
    am_arena_reset(a);
    assert_null(am_arena_array(a, SIZE_MAX / 2, 4));
    assert_int_equal(am_arena_check(a, &e), AM_ELIMIT);
    am_arena_reset(a);
    assert_null(am_arena_alloc(a, SIZE_MAX));
    am_arena_reset(a);
    assert_null(am_arena_aligned(a, 4096, SIZE_MAX - 100));
    am_arena_free(a);
}

static int order[8], n_order;
static void note(void *arg)
{
    order[n_order++] = *(int *)arg;
}

static void cleanups_run_in_reverse(void **state)
{
    (void)state;
    static int one = 1, two = 2, three = 3;
    n_order = 0;
    struct am_arena *a = am_arena_new(4096);
    assert_int_equal(am_arena_cleanup(a, note, &one, NULL), AM_OK);
    assert_int_equal(am_arena_cleanup(a, note, &two, NULL), AM_OK);
    am_arena_reset(a);
    assert_int_equal(n_order, 2);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1);
    assert_null(am_arena_alloc(a, 5000));
    assert_int_equal(am_arena_cleanup(a, note, &three, NULL), AM_ELIMIT); /* at once */
    assert_int_equal(n_order, 3);
    am_arena_free(a);
    assert_int_equal(n_order, 3);
}

static enum am_rc use(void)
{
    struct am_err err;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return AM_ENOMEM;
    for (size_t i = 0; i < 6; i++)
        (void)am_arena_zalloc(a, 3000);
    (void)am_arena_aligned(a, 64, 100000);
    (void)am_arena_printf(a, "%d", 3);
    enum am_rc rc = am_arena_check(a, &err);
    am_arena_free(a);
    return rc;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    AM_OOM_LOOP(use(), (void)0);
}

static void a_big_object_leaves_the_small_block_in_use(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 50; i++) {
            assert_non_null(am_arena_alloc(a, 10));
            unsigned char *big = am_arena_alloc(a, 100000);
            memset(big, 1, 100000);
        }
        am_arena_reset(a);
    }
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_aligned_and_apart),
        cmocka_unit_test(texts_are_copied_with_a_nul),
        cmocka_unit_test(the_limit_sticks),
        cmocka_unit_test(cleanups_run_in_reverse),
        cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(a_big_object_leaves_the_small_block_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
