/* Augmentation of sounds and tokens: every change by itself, its range over many rows, and that a
 * row's draws depend on (seed, epoch, row) only. */
#include "table.h"

#include "feature/augment_seq.h"

#define FRAMES 50
#define CHANNELS 8
#define N (FRAMES * CHANNELS)

static struct am_arena *arena;

static void ramp(float *x)
{
    for (size_t i = 0; i < N; i++)
        x[i] = (float)(i / CHANNELS + 1); /* the frame's number */
}

static void test_deterministic(void **state)
{
    (void)state;
    struct am_augment_seq a = {
        .speed = 0.2, .shift = 0.3, .noise = 1, .time_mask = 0.2, .channel_mask = 0.4, .masks = 2};
    float x[N], y[N], z[N], scratch[N];
    for (uint64_t row = 0; row < 20; row++) {
        ramp(x);
        ramp(y);
        am_augment_sound(&a, 7, 3, row, FRAMES, CHANNELS, x, scratch);
        am_augment_sound(&a, 7, 3, row, FRAMES, CHANNELS, y, scratch);
        assert_memory_equal(x, y, sizeof x);
        for (unsigned other = 0; other < 3; other++) {
            ramp(z);
            am_augment_sound(&a, 7 + (other == 0), 3 + (other == 1), row + (other == 2), FRAMES,
                             CHANNELS, z, scratch);
            assert_memory_not_equal(x, z, sizeof x);
        }
    }
    struct am_augment_seq off = {.masks = 3};
    ramp(x);
    ramp(y);
    am_augment_sound(&off, 7, 3, 1, FRAMES, CHANNELS, x, scratch);
    assert_memory_equal(x, y, sizeof x);
}

static void test_shift_and_speed(void **state)
{
    (void)state;
    float x[N], scratch[N];
    struct am_augment_seq a = {.shift = 0.2, .masks = 1};
    long least = 0, most = 0;
    for (uint64_t row = 0; row < 300; row++) {
        ramp(x);
        am_augment_sound(&a, 1, 0, row, FRAMES, CHANNELS, x, scratch);
        long by = 25 + 1 - lroundf(x[25 * CHANNELS]);
        least = by < least ? by : least;
        most = by > most ? by : most;
        for (long t = 0; t < FRAMES; t++) {
            float want = t - by >= 0 && t - by < FRAMES ? (float)(t - by + 1) : 0;
            for (long c = 0; c < CHANNELS; c++)
                assert_true(x[t * CHANNELS + c] == want);
        }
    }
    assert_int_equal(least, -10);
    assert_int_equal(most, 10);
    a = (struct am_augment_seq){.speed = 0.25, .masks = 1};
    double slowest = 9, fastest = 0;
    for (uint64_t row = 0; row < 300; row++) {
        ramp(x);
        am_augment_sound(&a, 1, 0, row, FRAMES, CHANNELS, x, scratch);
        double speed = ((double)x[20 * CHANNELS] - 1) / 20;
        slowest = fmin(slowest, speed);
        fastest = fmax(fastest, speed);
        for (size_t t = 0; t < 38; t++)
            assert_true(fabs((double)x[t * CHANNELS + 3] - (1 + speed * (double)t)) < 1e-3);
    }
    assert_true(slowest > 0.7499 && slowest < 0.76 && fastest > 1.24 && fastest < 1.2501);
}

static void test_masks_and_noise(void **state)
{
    (void)state;
    float x[N], scratch[N];
    struct am_augment_seq a = {.time_mask = 0.2, .channel_mask = 0.5, .masks = 1};
    size_t most_frames = 0, most_channels = 0, free_rows = 0;
    for (uint64_t row = 0; row < 400; row++) {
        size_t frames = 0, channels = 0;
        ramp(x);
        am_augment_sound(&a, 5, 1, row, FRAMES, CHANNELS, x, scratch);
        for (size_t t = 0; t < FRAMES; t++) {
            bool all = true;
            for (size_t c = 0; c < CHANNELS; c++) {
                assert_true(x[t * CHANNELS + c] == 0 || x[t * CHANNELS + c] == (float)(t + 1));
                all = all && x[t * CHANNELS + c] == 0;
            }
            frames += all;
        }
        for (size_t c = 0; c < CHANNELS; c++) {
            bool all = true;
            for (size_t t = 0; t < FRAMES; t++)
                all = all && x[t * CHANNELS + c] == 0;
            channels += all;
        }
        most_frames = frames > most_frames ? frames : most_frames;
        most_channels = channels > most_channels ? channels : most_channels;
        free_rows += frames == 0 && channels == 0;
    }
    assert_int_equal(most_frames, 10);
    assert_int_equal(most_channels, 4);
    assert_in_range(free_rows, 2, 30); /* 1 of 11 x 1 of 5 */
    a = (struct am_augment_seq){.noise = 2, .masks = 1};
    double sum = 0, square = 0;
    for (uint64_t row = 0; row < 50; row++) {
        memset(x, 0, sizeof x);
        am_augment_sound(&a, 5, 1, row, FRAMES, CHANNELS, x, scratch);
        for (size_t i = 0; i < N; i++) {
            sum += (double)x[i];
            square += (double)x[i] * (double)x[i];
        }
    }
    assert_true(fabs(sum / (50 * N)) < 0.05 && fabs(sqrt(square / (50 * N)) - 2) < 0.05);
}

static void test_tokens(void **state)
{
    (void)state;
    struct am_augment_seq drop = {.drop = 0.3}, unknown = {.unknown = 0.25}, swap = {.swap = 0.5},
                          all = {.drop = 0.9};
    size_t kept = 0, unknowns = 0, swaps = 0;
    for (uint64_t row = 0; row < 500; row++) {
        float x[24];
        for (unsigned kind = 0; kind < 4; kind++) {
            for (size_t i = 0; i < 24; i++)
                x[i] = i < 20 ? (float)(i + 2) : 0;
            am_augment_tokens(kind == 0   ? &drop
                              : kind == 1 ? &unknown
                              : kind == 2 ? &swap
                                          : &all,
                              9, 2, row, 24, x);
            size_t n = 0, sum = 0;
            while (n < 24 && x[n] != 0)
                sum += (size_t)x[n++];
            for (size_t i = n; i < 24; i++)
                assert_true(x[i] == 0);
            assert_true(n >= 1);
            if (kind == 0) {
                kept += n;
                for (size_t i = 1; i < n; i++)
                    assert_true(x[i] > x[i - 1]);
            } else if (kind == 1) {
                assert_int_equal(n, 20);
                for (size_t i = 0; i < n; i++)
                    unknowns += x[i] == 1;
            } else if (kind == 2) {
                assert_int_equal(n, 20);
                assert_int_equal(sum, 20 * 2 + 190);
                for (size_t i = 0; i < n; i++) {
                    assert_true(fabsf(x[i] - (float)(i + 2)) <= 1);
                    swaps += x[i] == (float)(i + 3);
                }
            }
        }
    }
    assert_in_range(kept, 6800, 7200); /* of 10000, 70 % */
    assert_in_range(unknowns, 2300, 2700);
    assert_in_range(swaps, 3100, 3400); /* 1/3 of the places: p / (1 + p) */
    float none[3] = {0, 0, 0};
    am_augment_tokens(&drop, 9, 2, 1, 3, none);
    assert_true(none[0] == 0);
}

static void test_read(void **state)
{
    (void)state;
    struct am_augment_seq a;
    bool any;
    arena = am_arena_new(0);
    OK(am_augment_seq_read(NULL, AM_AUGMENT_SOUND, &a, &any, &err));
    assert_false(any);
    OK(am_augment_seq_read(spec_of(arena, "{shift: 0.1, masks: 2, time_mask: 0.2}"),
                           AM_AUGMENT_SOUND, &a, &any, &err));
    assert_true(any && a.shift == 0.1 && a.masks == 2 && a.time_mask == 0.2);
    OK(am_augment_seq_read(spec_of(arena, "{drop: 0.1, swap: 0}"), AM_AUGMENT_TOKENS, &a, &any,
                           &err));
    assert_true(any && a.drop == 0.1);
    static const char *const bad[] = {"{drop: 0.1}", "{shfit: 0.1}", "{shift: 2}", "{masks: 1.5}",
                                      "{speed: fast}"};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(
            am_augment_seq_read(spec_of(arena, bad[i]), AM_AUGMENT_SOUND, &a, &any, &err),
            AM_EUSAGE);
    size_t n;
    assert_non_null(am_augment_seq_keys(&n));
    assert_int_equal(n, 9);
    am_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_shift_and_speed),
        cmocka_unit_test(test_masks_and_noise),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
