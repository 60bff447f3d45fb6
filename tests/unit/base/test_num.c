/* Numbers: strict grammar, exact values, shortest printing, round trips over random bit patterns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/rng.h"

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void reads_what_is_a_number(void **state)
{
    (void)state;
    static const char *const good[] = {"0",
                                       "-0",
                                       "+1",
                                       "1.",
                                       ".5",
                                       "00012",
                                       "1e5",
                                       "1E+5",
                                       "1e-5",
                                       "3.141592653589793",
                                       "1e22",
                                       "1e23",
                                       "9007199254740993",
                                       "9007199254740992.5",
                                       "123456789012345678901234567890",
                                       "1.7976931348623157e308",
                                       "2.2250738585072014e-308",
                                       "4.9e-324",
                                       "5e-324",
                                       "2.4703282292062327e-324",
                                       "1e-400",
                                       "0e999999999999",
                                       "1.7976931348623158e308",
                                       "0.1",
                                       "0.30000000000000004",
                                       "8.5",
                                       "1e0000000000000000005",
                                       "179769313486231580793728971405301e276",
                                       "2.2250738585072011e-308",
                                       "6.02214076e23",
                                       "100000000000000016777215",
                                       "100000000000000016777216",
                                       "1e-0",
                                       "0.000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        double v = 77;
        assert_true(am_parse_double(am_str(good[i]), AM_NUM_FINITE, &v));
        assert_true(same_bits(v, strtod(good[i], NULL)));
    }
    static const char *const bad[] = {
        "",    "-",       "+",        ".",   "e5",    "1e",     "1e+",     "1 ",
        " 1",  "0x10",    "1_000",    "1,5", "--1",   "+-1",    "1.2.3",   "1e5.0",
        "nan", "inf",     "Infinity", "1f",  "1e999", "-1e999", "1.8e308", "1e99999999999999999999",
        "1d5", "\xD9\xA1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double v = 77;
        assert_false(am_parse_double(am_str(bad[i]), AM_NUM_FINITE, &v));
        assert_true(v == 77);
    }
    double v;
    assert_false(am_parse_double((struct am_str){"1\0", 2}, AM_NUM_FINITE, &v));
    assert_true(
        am_parse_double((struct am_str){"12345", 2}, AM_NUM_FINITE, &v)); /* the slice only */
    assert_true(v == 12);
}

static void reads_special_values_when_allowed(void **state)
{
    (void)state;
    double v;
    assert_true(am_parse_double(AM_STR("NaN"), AM_NUM_SPECIAL, &v) && isnan(v));
    assert_true(am_parse_double(AM_STR("-inf"), AM_NUM_SPECIAL, &v) && isinf(v) && v < 0);
    assert_true(am_parse_double(AM_STR("+INFINITY"), AM_NUM_SPECIAL, &v) && isinf(v) && v > 0);
    assert_true(am_parse_double(AM_STR("-2.5"), AM_NUM_SPECIAL, &v) && v == -2.5);
    assert_false(am_parse_double(AM_STR("nano"), AM_NUM_SPECIAL, &v));
    assert_false(am_parse_double(AM_STR("in"), AM_NUM_SPECIAL, &v));
    assert_false(am_parse_double(AM_STR("1e999"), AM_NUM_SPECIAL, &v));
    assert_false(am_parse_double(AM_STR("-"), AM_NUM_SPECIAL, &v));
}

static void long_digit_strings_round_once(void **state)
{
    (void)state;
    static char text[4000];
    /* 1 + 2^-53 lies half way: ties to even down, and anything behind it up */
    static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
    double v;
    assert_true(am_parse_double(am_str(half), AM_NUM_FINITE, &v));
    assert_true(v == 1.0);
    size_t n = strlen(half);
    memcpy(text, half, n);
    memset(text + n, '0', 3000);
    text[n + 3000] = '1';
    assert_true(am_parse_double((struct am_str){text, n + 3000}, AM_NUM_FINITE, &v));
    assert_true(v == 1.0);
    assert_true(am_parse_double((struct am_str){text, n + 3001}, AM_NUM_FINITE, &v));
    assert_true(v == 1.0 + 0x1p-52);
    memset(text, '9', 400);
    assert_false(am_parse_double((struct am_str){text, 400}, AM_NUM_FINITE, &v));
    memcpy(text + 400, "e-399", 5);
    assert_true(am_parse_double((struct am_str){text, 405}, AM_NUM_FINITE, &v));
    assert_true(v == 10.0);
    memset(text, '0', 3000);
    text[1] = '.';
    text[2999] = '1';
    memcpy(text + 3000, "e2998", 5);
    assert_true(am_parse_double((struct am_str){text, 3005}, AM_NUM_FINITE, &v));
    assert_true(v == 1.0);
}

static void reads_whole_numbers_in_range(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    assert_true(am_parse_i64(AM_STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(am_parse_i64(AM_STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(am_parse_i64(AM_STR("+7"), &i) && i == 7);
    assert_false(am_parse_i64(AM_STR("9223372036854775808"), &i));
    assert_false(am_parse_i64(AM_STR("-9223372036854775809"), &i));
    assert_false(am_parse_i64(AM_STR("-"), &i));
    assert_false(am_parse_i64(AM_STR("1.0"), &i));
    assert_false(am_parse_i64(AM_STR("--1"), &i));
    assert_true(am_parse_u64(AM_STR("18446744073709551615"), UINT64_MAX, &u) && u == UINT64_MAX);
    assert_false(am_parse_u64(AM_STR("18446744073709551616"), UINT64_MAX, &u));
    assert_false(am_parse_u64(AM_STR("99999999999999999999999"), UINT64_MAX, &u));
    assert_false(am_parse_u64(AM_STR("101"), 100, &u));
    assert_false(am_parse_u64(AM_STR("-1"), 100, &u));
    assert_false(am_parse_u64(AM_STR(""), 100, &u));
}

static void reads_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"100", 100},
                {"512k", 524288},
                {"64m", 67108864},
                {"2g", 2147483648},
                {"1T", 1099511627776},
                {"1KiB", 1024},
                {"3MB", 3145728},
                {"7b", 7},
                {"0", 0},
                {"16777215t", 16777215ull << 40}};
    static const char *const bad[] = {"",   "k",   "1.5g", "-1",        "1 m",
                                      "1x", "1kk", "1ib",  "16777216t", "1kib2"};
    uint64_t v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(am_parse_bytes(am_str(good[i].text), &v));
        assert_true(v == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(am_parse_bytes(am_str(bad[i]), &v));
}

static void prints_the_shortest(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {1, "1"},
                 {-1, "-1"},
                 {0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456789012345, "123456789012345"},
                 {999999999999999, "999999999999999"},
                 {1e15, "1e+15"},
                 {1e21, "1e+21"},
                 {0.0001, "0.0001"},
                 {1e-7, "1e-7"},
                 {5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {2.2250738585072014e-308, "2.2250738585072014e-308"},
                 {1.25e-9, "1.25e-9"},
                 {12.5, "12.5"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {1e23, "1e+23"},
                 {9007199254740993.0, "9.007199254740992e+15"},
                 {123456.789, "123456.789"},
                 {NAN, "NaN"},
                 {INFINITY, "Infinity"},
                 {-INFINITY, "-Infinity"},
                 {9.5e-3, "0.0095"},
                 {8.41e21, "8.41e+21"},
                 {2.98023223876953125e-8, "2.9802322387695312e-8"}};
    char out[AM_DOUBLE_CHARS];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(am_print_double(cases[i].v, out), strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
    }
    static const struct {
        float v;
        const char *text;
    } floats[] = {{0.1f, "0.1"},
                  {1.0f / 3, "0.33333334"},
                  {16777216.0f, "16777216"},
                  {1e-45f, "1e-45"},
                  {3.4028235e38f, "3.4028235e+38"},
                  {-0.0f, "-0"},
                  {1e10f, "10000000000"},
                  {0.7f, "0.7"},
                  {NAN, "NaN"},
                  {-INFINITY, "-Infinity"},
                  {1.17549435e-38f, "1.1754944e-38"}};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        assert_int_equal(am_print_float(floats[i].v, out), strlen(floats[i].text));
        assert_string_equal(out, floats[i].text);
    }
}

/* Fewer digits than the C library needs at some precision would be a wrong value; more, not the
 * shortest. */
static size_t digits_needed(double v)
{
    char text[40];
    for (int p = 0; p < 17; p++) {
        (void)snprintf(text, sizeof text, "%.*e", p, v);
        if (same_bits(strtod(text, NULL), v))
            return (size_t)p + 1;
    }
    return 17;
}

static size_t digits_used(const char *text)
{
    size_t n = 0, zeros = 0;
    bool leading = true;
    for (; *text && *text != 'e'; text++) {
        if (*text == '-' || *text == '.' || (leading && *text == '0'))
            continue;
        leading = false;
        n++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static void random_bits_survive(void **state)
{
    (void)state;
    struct am_rng r;
    am_rng_init(&r, 1, AM_RNG_USER);
    char out[AM_DOUBLE_CHARS];
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = am_rng_u64(&r);
        if (i % 4 == 1)
            bits = (bits & 0x800FFFFFFFFFFFFFu) | (uint64_t)(1023 + i % 64 - 32) << 52; /* near 1 */
        if (i % 4 == 2)
            bits &= ~(uint64_t)0 << (i % 53); /* short mantissas and powers of two */
        double v, back, c;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        size_t n = am_print_double(v, out);
        assert_true(n < AM_DOUBLE_CHARS && out[n] == 0);
        assert_true(am_parse_double((struct am_str){out, n}, AM_NUM_FINITE, &back));
        c = strtod(out, NULL);
        assert_true(same_bits(v, back));
        assert_true(same_bits(v, c));
        if (i % 8 == 0)
            assert_true(v == 0 || digits_used(out) <= digits_needed(v));
        float f, fb;
        memcpy(&f, &bits, sizeof f);
        if (!isfinite(f))
            continue;
        n = am_print_float(f, out);
        fb = strtof(out, NULL);
        assert_memory_equal(&f, &fb, sizeof f);
        assert_true(digits_used(out) <= 9);
    }
    for (int k = 0; k < 20000; k++) { /* decimals as people write them */
        double v = (double)k / 100;
        char want[32];
        (void)snprintf(want, sizeof want, "%.15g", v);
        am_print_double(v, out);
        assert_string_equal(out, want);
    }
}

static void locale_plays_no_part(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "sv_SE.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_ALL, names[i]))
            break;
    double v;
    char out[AM_DOUBLE_CHARS];
    assert_true(am_parse_double(AM_STR("0.30000000000000004"), AM_NUM_FINITE, &v));
    assert_true(v == 0.1 + 0.2);
    assert_false(am_parse_double(AM_STR("0,5"), AM_NUM_FINITE, &v));
    am_print_double(0.5, out);
    assert_string_equal(out, "0.5");
    (void)setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_a_number),
        cmocka_unit_test(reads_special_values_when_allowed),
        cmocka_unit_test(long_digit_strings_round_once),
        cmocka_unit_test(reads_whole_numbers_in_range),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(prints_the_shortest),
        cmocka_unit_test(random_bits_survive),
        cmocka_unit_test(locale_plays_no_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
