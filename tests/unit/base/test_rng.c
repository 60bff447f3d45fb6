/* Random numbers: known answers of Philox4x32-10 (Random123 kat_vectors), ranges, distributions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"

static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, counter;
        uint32_t want[4];
    } kat[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        /* counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0 */
        {0x299f31d0a4093822,
         0x0370734413198a2e,
         0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof kat[0]; i++) {
        uint32_t out[4];
        am_rng_block(kat[i].seed, kat[i].stream, kat[i].counter, out);
        assert_memory_equal(out, kat[i].want, sizeof out);
    }
}

static void the_sequence_is_the_blocks(void **state)
{
    (void)state;
    struct am_rng r;
    uint32_t block[4];
    am_rng_init(&r, 7, AM_RNG_USER);
    for (uint64_t b = 0; b < 10; b++) {
        am_rng_block(7, AM_RNG_USER, b, block);
        for (int i = 0; i < 4; i++)
            assert_int_equal(am_rng_u32(&r), block[i]);
    }
    am_rng_init(&r, 7, AM_RNG_USER);
    am_rng_block(7, AM_RNG_USER, 0, block);
    assert_true(am_rng_u64(&r) == (block[0] | (uint64_t)block[1] << 32));
}

static void ranges_and_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct am_rng r;
    am_rng_init(&r, 3, AM_RNG_USER + 1);
    double sum = 0, square = 0;
    for (int i = 0; i < N; i++) {
        double u = am_rng_unit(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(fabs(sum / N - 0.5) < 0.004); /* 6 sigma */
    sum = 0;
    for (int i = 0; i < N; i++) {
        double x = am_rng_normal(&r);
        assert_true(isfinite(x));
        sum += x;
        square += x * x;
    }
    assert_true(fabs(sum / N) < 0.014);
    assert_true(fabs(square / N - 1) < 0.02);
    size_t count[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t k = am_rng_below(&r, 7);
        assert_true(k < 7);
        count[k]++;
    }
    for (int k = 0; k < 7; k++)
        assert_in_range(count[k], 9400, 10600);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(am_rng_below(&r, 1), 0);
        assert_true(am_rng_below(&r, (uint64_t)3 << 62) < (uint64_t)3 << 62);
    }
}

static void permutations_are_permutations(void **state)
{
    (void)state;
    struct am_rng r;
    uint64_t p[100];
    uint32_t q[100];
    size_t first[5] = {0};
    am_rng_init(&r, 5, AM_RNG_USER);
    am_rng_permutation(&r, 100, p);
    am_rng_init(&r, 5, AM_RNG_USER);
    am_rng_permutation32(&r, 100, q);
    unsigned char seen[100] = {0};
    for (int i = 0; i < 100; i++) {
        assert_true(p[i] < 100 && !seen[p[i]]);
        seen[p[i]] = 1;
        assert_int_equal(p[i], q[i]);
    }
    for (int i = 0; i < 50000; i++) {
        am_rng_permutation(&r, 5, p);
        first[p[0]]++;
    }
    for (int i = 0; i < 5; i++)
        assert_in_range(first[i], 9460, 10540);
    am_rng_permutation(&r, 0, p);
    am_rng_permutation(&r, 1, p);
    assert_int_equal(p[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(the_sequence_is_the_blocks),
        cmocka_unit_test(ranges_and_moments),
        cmocka_unit_test(permutations_are_permutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
