/* Allocation: overflow, alignment, the n-th-failure hook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"

static void sizes_cannot_wrap(void **state)
{
    (void)state;
    size_t r = 7;
    assert_false(am_mul_size(&r, SIZE_MAX, 2));
    assert_false(am_add_size(&r, SIZE_MAX, 1));
    assert_int_equal(r, 7);
    assert_true(am_mul_size(&r, 6, 7));
    assert_int_equal(r, 42);
    assert_null(am_calloc(SIZE_MAX / 2, 3));
    assert_null(am_alloc_array(SIZE_MAX / 2, 3));
    assert_null(am_realloc_array(NULL, SIZE_MAX / 2, 3));
    assert_null(am_alloc(SIZE_MAX));
    assert_null(am_alloc_aligned(64, SIZE_MAX - 8));
}

static void every_form_gives_memory(void **state)
{
    (void)state;
    char *a = am_alloc(0), *b = am_alloc(0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    am_free(a);
    am_free(b);
    am_free(NULL);
    unsigned char *z = am_calloc(10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(z[i], 0);
    z = am_realloc_array(z, 1000, 10);
    assert_non_null(z);
    am_free(z);
    for (size_t align = 1; align <= 4096; align *= 2) {
        void *p = am_alloc_aligned(align, 100);
        assert_int_equal((uintptr_t)p % align, 0);
        memset(p, 1, 100);
        am_free(p);
    }
    char *s = am_strndup("hello", 3);
    assert_string_equal(s, "hel");
    am_free(s);
    s = am_strndup(NULL, 0);
    assert_string_equal(s, "");
    am_free(s);
    void *x = am_xalloc(3);
    am_free(x);
}

static void the_hook_fails_the_nth_once(void **state)
{
    (void)state;
    am_alloc_fail_nth(3, false);
    void *p[5];
    for (int i = 0; i < 5; i++)
        p[i] = am_alloc(1);
    assert_int_equal(am_alloc_hook_hits(), 1);
    assert_int_equal(am_alloc_hook_calls(), 5);
    am_alloc_fail_nth(0, false);
    for (int i = 0; i < 5; i++) {
        if (i == 2)
            assert_null(p[i]);
        else
            assert_non_null(p[i]);
        am_free(p[i]);
    }
    void *q = am_alloc(1);
    assert_non_null(q);
    am_free(q);
}

static void the_hook_fails_for_ever_and_every_form(void **state)
{
    (void)state;
    void *old = am_alloc(4);
    am_alloc_fail_nth(1, true);
    assert_null(am_alloc(1));
    assert_null(am_calloc(1, 1));
    assert_null(am_alloc_array(1, 1));
    assert_null(am_realloc_array(old, 2, 4));
    assert_null(am_alloc_aligned(64, 1));
    assert_null(am_strndup("a", 1));
    assert_int_equal(am_alloc_hook_hits(), 6);
    am_alloc_fail_nth(0, false);
    memset(old, 1, 4);
    am_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_cannot_wrap),
        cmocka_unit_test(every_form_gives_memory),
        cmocka_unit_test(the_hook_fails_the_nth_once),
        cmocka_unit_test(the_hook_fails_for_ever_and_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
