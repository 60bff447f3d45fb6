/* Slices, UTF-8, hashes, names, distances, the growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "tests/support/faults.h"

static void slices_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(am_str_cmp(AM_STR("a"), AM_STR("b")) < 0);
    assert_true(am_str_cmp(AM_STR("b"), AM_STR("a")) > 0);
    assert_true(am_str_cmp(AM_STR("a"), AM_STR("ab")) < 0);
    assert_true(am_str_cmp(AM_STR("\x80"), AM_STR("a")) > 0);
    assert_int_equal(am_str_cmp(AM_STR(""), (struct am_str){NULL, 0}), 0);
    assert_true(am_str_starts(AM_STR("abc"), AM_STR("ab")));
    assert_false(am_str_starts(AM_STR("a"), AM_STR("ab")));
    assert_true(am_str_starts((struct am_str){0}, AM_STR("")));
    assert_true(am_str_ends(AM_STR("abc"), AM_STR("bc")));
    assert_false(am_str_ends(AM_STR("abc"), AM_STR("ab")));
    assert_true(am_str_is(am_str_trim(AM_STR(" \t\r\n x y \v\f")), "x y"));
    assert_int_equal(am_str_trim(AM_STR("  ")).len, 0);
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii, longer than a word",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "12345678\xC3\xA9"};
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2z",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xE2\x82",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "12345678\xFE",
                                      "\xF0\x9F\x98",
                                      "\xE2\x28\xA1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(am_utf8_valid(am_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(am_utf8_valid(am_str(bad[i])));
    assert_true(am_utf8_valid((struct am_str){NULL, 0}));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void hashes_are_stable_and_spread(void **state)
{
    (void)state;
    /* part of the bits promise: these values may never change */
    assert_true(am_str_hash(AM_STR("")) == 0xbdb7d2941b805e0au);
    assert_true(am_str_hash(AM_STR("a")) == 0x233afe204b61fbdeu);
    assert_true(am_str_hash(AM_STR("the quick brown fox jumps over the lazy dog")) ==
                0x69d33fbaf6fd78d9u);
    enum { N = 65536 };
    static uint64_t h[N];
    size_t low[256] = {0};
    for (size_t i = 0; i < N; i++) {
        char key[40];
        int n = snprintf(key, sizeof key, "%s%zu", i % 2 ? "a prefix over 16 bytes" : "", i);
        h[i] = am_str_hash((struct am_str){key, (size_t)n});
        low[h[i] & 255]++;
    }
    for (size_t b = 0; b < 256; b++) /* 256 expected, standard deviation 16 */
        assert_in_range(low[b], 160, 352);
    qsort(h, N, sizeof h[0], by_value);
    for (size_t i = 1; i < N; i++)
        assert_true(h[i] != h[i - 1]);
    char zeros[33] = {0};
    for (size_t n = 1; n <= 32; n++) { /* length counts, and so does every byte */
        assert_true(am_str_hash((struct am_str){zeros, n}) !=
                    am_str_hash((struct am_str){zeros, n - 1}));
        uint64_t before = am_str_hash((struct am_str){zeros, n});
        uint64_t secret = am_str_hash_secret((struct am_str){zeros, n});
        for (size_t k = 0; k < n; k++) {
            zeros[k] = 1;
            assert_true(am_str_hash((struct am_str){zeros, n}) != before);
            assert_true(am_str_hash_secret((struct am_str){zeros, n}) != secret);
            zeros[k] = 0;
        }
        assert_true(am_str_hash_secret((struct am_str){zeros, n}) == secret);
    }
}

static void nearest_names(void **state)
{
    (void)state;
    assert_int_equal(am_str_distance(AM_STR("kitten"), AM_STR("sitting")), 3);
    assert_int_equal(am_str_distance(AM_STR("ab"), AM_STR("ba")), 1);
    assert_int_equal(am_str_distance(AM_STR(""), AM_STR("abc")), 3);
    assert_int_equal(am_str_distance(AM_STR("abc"), AM_STR("")), 3);
    assert_int_equal(am_str_distance(AM_STR("same"), AM_STR("same")), 0);
    char big[300];
    memset(big, 'x', sizeof big);
    assert_int_equal(am_str_distance((struct am_str){big, 300}, AM_STR("x")), 99);
    assert_int_equal(am_str_distance((struct am_str){big, 127}, AM_STR("")), 99);
    static const char *const names[] = {"learning_rate", "epochs", "batch_size"};
    assert_string_equal(am_str_nearest(AM_STR("learnign_rate"), names, 3), "learning_rate");
    assert_string_equal(am_str_nearest(AM_STR("epoch"), names, 3), "epochs");
    assert_null(am_str_nearest(AM_STR("dropout"), names, 3));
    assert_null(am_str_nearest(AM_STR("x"), names, 0));
}

static void names_are_checked(void **state)
{
    (void)state;
    char big[130];
    memset(big, 'x', sizeof big);
    assert_true(am_name_valid((struct am_str){big, 128}));
    assert_false(am_name_valid((struct am_str){big, 129}));
    assert_true(am_name_valid(AM_STR("A-z_0.9")));
    assert_false(am_name_valid(AM_STR("")));
    assert_false(am_name_valid(AM_STR(".hidden")));
    assert_false(am_name_valid(AM_STR("-option")));
    assert_false(am_name_valid(AM_STR("a/b")));
    assert_false(am_name_valid(AM_STR("a b")));
    assert_false(am_name_valid((struct am_str){"a\0b", 3}));
    assert_false(am_name_valid(AM_STR("caf\xC3\xA9")));
}

static void buffers_grow_to_their_maximum(void **state)
{
    (void)state;
    struct am_err e;
    struct am_buf b;
    for (size_t max = 0; max < 200; max += 7) {
        am_buf_init(&b, max);
        for (size_t i = 0; i < max; i++) {
            am_buf_char(&b, 'x');
            assert_int_equal(b.ptr[b.len], 0);
        }
        assert_int_equal(am_buf_check(&b, &e), AM_OK);
        assert_int_equal(b.len, max);
        am_buf_char(&b, 'y');
        assert_int_equal(b.len, max);
        assert_int_equal(am_buf_check(&b, &e), AM_ELIMIT);
        am_buf_cstr(&b, "");
        assert_int_equal(am_buf_check(&b, &e), AM_ELIMIT); /* sticks */
        am_buf_reset(&b);
        assert_int_equal(am_buf_check(&b, &e), AM_OK);
        am_buf_clear(&b);
        assert_int_equal(b.max, max);
    }
    am_buf_init(&b, 10);
    assert_int_equal(am_buf_view(&b).len, 0);
    assert_string_equal(am_buf_view(&b).ptr, "");
    am_buf_printf(&b, "%d", 1234567);
    assert_null(am_buf_reserve(&b, 4));
    assert_int_equal(b.failed, AM_ELIMIT);
    am_buf_reset(&b);
    memcpy(am_buf_reserve(&b, 10), "0123456789", 10);
    am_buf_commit(&b, 10);
    assert_string_equal(b.ptr, "0123456789");
    am_buf_reset(&b);
    am_buf_printf(&b, "%s", "01234567890");
    assert_int_equal(b.failed, AM_ELIMIT);
    am_buf_clear(&b);
    am_buf_init(&b, SIZE_MAX);
    for (int i = 0; i < 100; i++)
        am_buf_printf(&b, "%0*d,", i, i);
    assert_int_equal(am_buf_check(&b, NULL), AM_OK);
    assert_null(am_buf_reserve(&b, SIZE_MAX));
    am_buf_clear(&b);
}

static enum am_rc build(void)
{
    struct am_buf b;
    struct am_err err;
    am_buf_init(&b, 10000);
    am_buf_cstr(&b, "start ");
    for (int i = 0; i < 300; i++)
        am_buf_printf(&b, "%d ", i);
    am_buf_str(&b, AM_STR("end"));
    enum am_rc rc = am_buf_check(&b, &err);
    if (rc == AM_OK)
        assert_true(am_str_ends(am_buf_view(&b), AM_STR("299 end")));
    am_buf_clear(&b);
    return rc;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    AM_OOM_LOOP(build(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(hashes_are_stable_and_spread),
        cmocka_unit_test(nearest_names),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(buffers_grow_to_their_maximum),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
