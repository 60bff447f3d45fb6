/* Augmentation of pictures: settings, exactness of flips and moves, sizes of the changes, and rows
 * that depend on nothing but (seed, epoch, row). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "feature/augment.h"
#include "tensor/media.h"

#define H 9
#define W 12
#define N (H * W * 3)

static struct am_err err;
static const struct am_augment_shape shape = {H, W, 3, 1, {-1, -2, 0}, {1, 3, 5}};

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

static void fill(float *x)
{
    struct am_rng r;
    am_rng_init(&r, 5, AM_RNG_USER);
    for (size_t i = 0; i < N; i++) {
        double span = (double)(shape.high[i % 3] - shape.low[i % 3]);
        x[i] = (float)((double)shape.low[i % 3] + (0.2 + 0.6 * am_rng_unit(&r)) * span);
    }
}

static void changed(const struct am_augment *a, uint64_t epoch, uint64_t row, float *x)
{
    float scratch[N];
    fill(x);
    am_augment_picture(a, &shape, 42, epoch, row, x, scratch);
}

static void flipped(const float *x, bool across, bool down, float *out)
{
    for (size_t i = 0; i < H; i++)
        for (size_t k = 0; k < W; k++)
            memcpy(out + (i * W + k) * 3,
                   x + ((down ? H - 1 - i : i) * W + (across ? W - 1 - k : k)) * 3, 3 * sizeof *x);
}

static void test_flip(void **state)
{
    (void)state;
    struct am_augment a = {.flip = AM_AUGMENT_FLIP_BOTH};
    float x[N], as_is[N], want[N];
    size_t seen[4] = {0};
    fill(as_is);
    for (uint64_t row = 0; row < 400; row++) {
        changed(&a, row / 40, row, x);
        unsigned which = 4;
        for (unsigned k = 0; k < 4; k++) {
            flipped(as_is, k & 1, k & 2, want);
            if (memcmp(x, want, sizeof x) == 0)
                which = k;
        }
        assert_true(which < 4); /* one of the four, to the bit */
        seen[which]++;
        float scratch[N]; /* the same draw once more: as it was */
        am_augment_picture(&a, &shape, 42, row / 40, row, x, scratch);
        assert_memory_equal(x, as_is, sizeof x);
    }
    for (unsigned k = 0; k < 4; k++)
        assert_in_range(seen[k], 60, 140);
    a.flip = AM_AUGMENT_FLIP_HORIZONTAL;
    for (uint64_t row = 0; row < 50; row++) {
        changed(&a, 0, row, x);
        flipped(as_is, true, false, want);
        assert_true(memcmp(x, want, sizeof x) == 0 || memcmp(x, as_is, sizeof x) == 0);
    }
}

static void test_crop(void **state)
{
    (void)state;
    struct am_augment a = {.crop = 2};
    float x[N], as_is[N];
    bool seen[5][5] = {{false}};
    fill(as_is);
    for (uint64_t row = 0; row < 400; row++) {
        changed(&a, 3, row, x);
        bool found = false;
        for (int dy = -2; dy <= 2; dy++)
            for (int dx = -2; dx <= 2; dx++) {
                bool same = true;
                for (int i = 0; i < H && same; i++)
                    for (int k = 0; k < W && same; k++) {
                        int y = i + dy, z = k + dx;
                        bool in = y >= 0 && y < H && z >= 0 && z < W;
                        const float *want = in ? as_is + (y * W + z) * 3 : shape.low;
                        same = memcmp(x + (i * W + k) * 3, want, 3 * sizeof *x) == 0;
                    }
                if (same)
                    seen[dy + 2][dx + 2] = found = true;
            }
        assert_true(found);
    }
    for (size_t i = 0; i < 25; i++)
        assert_true(seen[i / 5][i % 5]);
}

/* What each change may do to a picture: its values stay within black and white, something moves,
 * and nothing does when its number is 0. */
static void test_ranges(void **state)
{
    (void)state;
    const struct am_augment all[] = {
        {.rotate = 30},
        {.resized_crop = 0.3},
        {.shift = 0.3},
        {.shear = 20},
        {.zoom = 0.5},
        {.brightness = 0.8},
        {.contrast = 0.8},
        {.saturation = 1},
        {.noise = 0.5},
        {.cutout = 0.5},
        {.rotate = 180, .flip = AM_AUGMENT_FLIP_BOTH, .brightness = 1, .noise = 1, .cutout = 1},
    };
    float x[N], y[N], as_is[N];
    fill(as_is);
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        size_t n_changed = 0;
        for (uint64_t row = 0; row < 60; row++) {
            changed(&all[k], 7, row, x);
            changed(&all[k], 7, row, y);
            assert_memory_equal(x, y, sizeof x);
            n_changed += memcmp(x, as_is, sizeof x) != 0;
            for (size_t i = 0; i < N; i++)
                assert_true(x[i] >= shape.low[i % 3] - 1e-5f && x[i] <= shape.high[i % 3] + 1e-5f);
        }
        if (n_changed < 55)
            fail_msg("case %zu: %zu of 60 changed", k, n_changed);
    }
    const struct am_augment none = {0};
    changed(&none, 1, 1, x);
    assert_memory_equal(x, as_is, sizeof x);
    /* other epochs, rows and seeds: other pictures */
    changed(&all[0], 1, 1, x);
    changed(&all[0], 2, 1, y);
    assert_memory_not_equal(x, y, sizeof x);
    changed(&all[0], 1, 2, y);
    assert_memory_not_equal(x, y, sizeof x);
    /* switching on another change leaves the first draw as it was */
    const struct am_augment both = {.rotate = 30, .cutout = 0.3};
    size_t same = 0;
    changed(&both, 1, 1, y);
    for (size_t i = 0; i < N; i++)
        same += x[i] == y[i];
    assert_in_range(same, N * 8 / 10, N - 1);
}

static double unit(const float *x, size_t i)
{
    return ((double)x[i] - (double)shape.low[i % 3]) /
           ((double)shape.high[i % 3] - (double)shape.low[i % 3]);
}

static void test_meaning(void **state)
{
    (void)state;
    float x[N], as_is[N];
    fill(as_is);
    /* brightness: one factor for all pixels, the same in every channel's own scale */
    struct am_augment a = {.brightness = 0.2};
    changed(&a, 0, 3, x);
    double factor = unit(x, 0) / unit(as_is, 0);
    assert_true(factor > 0.8 && factor < 1.2 && factor != 1);
    for (size_t i = 0; i < N; i++)
        assert_true(fabs(unit(x, i) - factor * unit(as_is, i)) < 1e-6);
    /* contrast: the mean light stays */
    a = (struct am_augment){.contrast = 0.2};
    changed(&a, 0, 3, x);
    double before = 0, after = 0;
    for (size_t i = 0; i < N; i += 3) {
        before += 0.299 * unit(as_is, i) + 0.587 * unit(as_is, i + 1) + 0.114 * unit(as_is, i + 2);
        after += 0.299 * unit(x, i) + 0.587 * unit(x, i + 1) + 0.114 * unit(x, i + 2);
    }
    assert_true(fabs(before - after) < 1e-4);
    /* saturation: the light of each pixel stays */
    a = (struct am_augment){.saturation = 0.2};
    changed(&a, 0, 3, x);
    for (size_t i = 0; i < N; i += 3)
        assert_true(fabs(0.299 * (unit(as_is, i) - unit(x, i)) +
                         0.587 * (unit(as_is, i + 1) - unit(x, i + 1)) +
                         0.114 * (unit(as_is, i + 2) - unit(x, i + 2))) < 1e-6);
    /* noise: its deviation (0.02 keeps clear of black and white) */
    a = (struct am_augment){.noise = 0.02};
    double sum = 0, square = 0;
    for (uint64_t row = 0; row < 30; row++) {
        changed(&a, 0, row, x);
        for (size_t i = 0; i < N; i++) {
            double d = unit(x, i) - unit(as_is, i);
            sum += d;
            square += d * d;
        }
    }
    assert_true(fabs(sum / (30 * N)) < 0.001);
    assert_true(fabs(sqrt(square / (30 * N)) - 0.02) < 0.0006);
    /* cutout: black, at most its square */
    a = (struct am_augment){.cutout = 0.5};
    for (uint64_t row = 0; row < 30; row++) {
        changed(&a, 0, row, x);
        size_t black = 0;
        for (size_t i = 0; i < N; i += 3)
            black += memcmp(x + i, shape.low, 3 * sizeof *x) == 0;
        assert_in_range(black, 4, 16);
    }
    /* an even picture stays even where the edge is far */
    struct am_augment_shape square_shape = {4, 4, 1, 1, {0}, {1, 1, 1, 1}};
    a = (struct am_augment){.zoom = 0.9};
    float dot[16], scratch[16];
    for (size_t i = 0; i < 16; i++)
        dot[i] = 0.5f;
    am_augment_picture(&a, &square_shape, 1, 1, 1, dot, scratch);
    assert_true(dot[5] == 0.5f);
}

static void test_mixup(void **state)
{
    (void)state;
    struct am_augment a = {.mixup = 0.4};
    struct am_augment_mix m, again;
    double share = 0;
    size_t partners[10] = {0};
    for (uint64_t row = 0; row < 4000; row++) {
        am_augment_mix_of(&a, 9, 2, row, 10, &m);
        am_augment_mix_of(&a, 9, 2, row, 10, &again);
        assert_true(m.partner == again.partner && m.share == again.share);
        assert_true(m.partner < 10 && m.share >= 0 && m.share <= 0.5);
        share += m.share;
        partners[m.partner]++;
    }
    for (size_t i = 0; i < 10; i++)
        assert_in_range(partners[i], 320, 480);
    /* E min(b, 1 - b) of Beta(0.4, 0.4): numpy, 1e7 draws */
    assert_true(fabs(share / 4000 - 0.1602) < 0.01);
    float x[2] = {1, 2}, other[2] = {3, -2};
    m.share = 0.25;
    am_augment_mix(&m, 2, x, other);
    assert_true(x[0] == 1.5f && x[1] == 1);
    a.mixup = 0;
    am_augment_mix_of(&a, 9, 2, 7, 10, &m);
    assert_true(m.partner == 7 && m.share == 0);
    a.mixup = 1e-9; /* ends only, and it ends */
    am_augment_mix_of(&a, 9, 2, 7, 10, &m);
    assert_true(m.share == 0);
}

static void test_settings(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"a: {rotat: 3}", "unknown key \"rotat\""},
        {"a: {rotate: 181}", "train.augment.rotate: not a number from 0 to 180"},
        {"a: {rotate: -1}", "from 0 to 180"},
        {"a: {crop: 1.5}", "train.augment.crop"},
        {"a: {flip: up}", "not one of none, horizontal"},
        {"a: {flip: 3}", "not one of none, horizontal"},
        {"a: {mixup: lots}", "train.augment.mixup"},
        {"a: 3", "not a map"},
        {"a: {noise: .inf}", "train.augment.noise"},
    };
    struct am_arena *arena = am_arena_new(0);
    struct am_node *n;
    struct am_augment a;
    bool any;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        OK(am_yaml_parse(arena, am_str(bad[i][0]), "spec", &n, &err));
        if (am_augment_read(am_node_get(n, "a"), &a, &any, &err) != AM_EUSAGE ||
            !strstr(err.message, bad[i][1]) || !strstr(err.message, "line 1"))
            fail_msg("%s: %s", bad[i][0], err.message);
    }
    OK(am_yaml_parse(arena,
                     AM_STR("{flip: both, rotate: 10, crop: 4, resized_crop: 0.5, shift: 0.1, "
                            "shear: 5, zoom: 0.2, brightness: 0.3, contrast: 0.4, saturation: 0.6, "
                            "noise: 0.05, cutout: 0.25, mixup: 0.2}"),
                     "spec", &n, &err));
    OK(am_augment_read(n, &a, &any, &err));
    assert_true(any && a.flip == AM_AUGMENT_FLIP_BOTH && a.rotate == 10 && a.crop == 4 &&
                a.resized_crop == 0.5 && a.shift == 0.1 && a.shear == 5 && a.zoom == 0.2 &&
                a.brightness == 0.3 && a.contrast == 0.4 && a.saturation == 0.6 &&
                a.noise == 0.05 && a.cutout == 0.25 && a.mixup == 0.2);
    size_t n_keys;
    const struct am_feature_key *keys = am_augment_keys(&n_keys);
    assert_int_equal(n_keys, n->map.n);
    for (size_t i = 0; i < n_keys; i++)
        assert_true(am_str_is(n->map.pairs[i].key, keys[i].name));
    OK(am_yaml_parse(arena, AM_STR("{flip: none, rotate: 0}"), "spec", &n, &err));
    OK(am_augment_read(n, &a, &any, &err));
    assert_false(any);
    OK(am_augment_read(NULL, &a, &any, &err));
    assert_false(any);
    am_arena_free(arena);
}

static void test_shape_of(void **state)
{
    (void)state;
    static const struct am_column_desc photo = {AM_STR_INIT("photo"), AM_COL_IMAGE};
    const struct am_schema schema = {&photo, 1};
    struct am_features_config config = {.schema = &schema};
    struct am_features_fit *fit;
    struct am_features *f;
    unsigned char raw[AM_MEDIA_RAW_BYTES + 24] = {0};
    am_image_raw_header(4, 2, 3, raw);
    const struct am_str cell = {(const char *)raw, sizeof raw};
    const struct am_column c = {.type = AM_COL_IMAGE, .text = &cell};
    const struct am_batch b = {.n_rows = 1, .n_columns = 1, .columns = &c};
    OK(am_features_fit_new(&config, &fit, &err));
    OK(am_features_fit_update(fit, &b, NULL, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    struct am_augment_shape s;
    assert_true(am_augment_shape_of(f, &s));
    assert_true(s.height == 2 && s.width == 4 && s.channels == 3 && s.low[2] == 0 &&
                s.high[0] == 1);
    am_features_free(f);
    am_features_fit_free(fit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flip),     cmocka_unit_test(test_crop),
        cmocka_unit_test(test_ranges),   cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_mixup),    cmocka_unit_test(test_settings),
        cmocka_unit_test(test_shape_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
