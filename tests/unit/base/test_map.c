/* The hash map: a hundred thousand keys, insertion order, overwriting, failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "tests/support/faults.h"

static void holds_100k_keys_in_order(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_map m;
    am_map_init(&m);
    assert_null(am_map_get(&m, AM_STR("x")));
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(
            am_map_put(&m, am_arena_printf(a, "key-%llu", (unsigned long long)i), i, NULL), AM_OK);
    assert_int_equal(m.n, 100000);
    for (uint64_t i = 0; i < 100000; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%llu", (unsigned long long)i);
        assert_string_equal(m.entries[i].key.ptr, key);
        const uint64_t *v = am_map_get(&m, am_str(key));
        assert_non_null(v);
        assert_int_equal(*v, i);
    }
    assert_null(am_map_get(&m, AM_STR("key-100000")));
    am_map_clear(&m);
    am_arena_free(a);
}

static void overwrites_and_tells_keys_apart(void **state)
{
    (void)state;
    struct am_map m;
    am_map_init(&m);
    assert_int_equal(am_map_put(&m, AM_STR(""), 1, NULL), AM_OK);
    assert_int_equal(am_map_put(&m, (struct am_str){"a\0b", 3}, 2, NULL), AM_OK);
    assert_int_equal(am_map_put(&m, (struct am_str){"a\0c", 3}, 3, NULL), AM_OK);
    assert_int_equal(am_map_put(&m, AM_STR("a"), 4, NULL), AM_OK);
    assert_int_equal(am_map_put(&m, AM_STR(""), 5, NULL), AM_OK);
    assert_int_equal(m.n, 4);
    assert_int_equal(*am_map_get(&m, AM_STR("")), 5);
    assert_int_equal(*am_map_get(&m, (struct am_str){"a\0b", 3}), 2);
    assert_int_equal(*am_map_get(&m, (struct am_str){"a\0c", 3}), 3);
    *am_map_get(&m, AM_STR("a")) = 9;
    assert_int_equal(*am_map_get(&m, AM_STR("a")), 9);
    am_map_clear(&m);
    assert_int_equal(m.n, 0);
}

static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                    "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};

static enum am_rc fill(void)
{
    struct am_map m;
    struct am_err err;
    enum am_rc rc = AM_OK;
    am_map_init(&m);
    size_t n = 0;
    while (n < 20 && (rc = am_map_put(&m, am_str(names[n]), n, &err)) == AM_OK)
        n++;
    assert_int_equal(m.n, n);
    for (size_t i = 0; i < n; i++) /* what went in before the failure is still there */
        assert_int_equal(*am_map_get(&m, am_str(names[i])), i);
    if (rc != AM_OK) { /* and the map goes on */
        am_alloc_fail_nth(0, false);
        assert_int_equal(am_map_put(&m, am_str(names[n]), n, NULL), AM_OK);
        assert_int_equal(*am_map_get(&m, am_str(names[n])), n);
    }
    am_map_clear(&m);
    return rc;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    int failures = 0;
    for (long n = 1; n < 10; n++) {
        am_alloc_fail_nth(n, false);
        enum am_rc rc = fill();
        am_alloc_fail_nth(0, false);
        failures += rc == AM_ENOMEM;
        assert_true(rc == AM_OK || rc == AM_ENOMEM);
    }
    assert_int_equal(failures, 6); /* 8, 16, 32 entries: two arrays each */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_100k_keys_in_order),
        cmocka_unit_test(overwrites_and_tells_keys_apart),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
