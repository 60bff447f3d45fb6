/* Video columns, in the raw form: which frames, that each is what a picture column makes of it (to
 * the bit; the pictures' goldens are in test_image.c), statistics, files, refusals, augmentation
 * alike for all frames, memory running out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../support/faults.h"
#include "base/pool.h"
#include "cells.h"
#include "feature/augment.h"
#include "feature/fit.h"
#include "feature/image.h"
#include "tensor/media.h"

static struct am_arena *arena;

static uint8_t pixel(uint32_t frame, uint32_t y, uint32_t x, uint32_t c, uint32_t k)
{
    return (uint8_t)(x * 37 + y * 59 + c * 83 + x * y * 7 + k * 29 + frame * 53);
}

static struct am_str clip(uint32_t n, uint32_t w, uint32_t h, uint32_t c, uint32_t k)
{
    size_t size = AM_MEDIA_RAW_BYTES + (size_t)n * w * h * c;
    unsigned char *p = am_arena_alloc(arena, size), *at = p + AM_MEDIA_RAW_BYTES;
    assert_non_null(p);
    am_video_raw_header(n, w, h, c, p);
    for (uint32_t f = 0; f < n; f++)
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w; x++)
                for (uint32_t ch = 0; ch < c; ch++)
                    *at++ = pixel(f, y, x, ch, k);
    return (struct am_str){(const char *)p, size};
}

/* Frame f of it as a picture. */
static struct am_str still(uint32_t f, uint32_t w, uint32_t h, uint32_t c, uint32_t k)
{
    size_t size = AM_MEDIA_RAW_BYTES + (size_t)w * h * c;
    unsigned char *p = am_arena_alloc(arena, size), *at = p + AM_MEDIA_RAW_BYTES;
    assert_non_null(p);
    am_image_raw_header(w, h, c, p);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t ch = 0; ch < c; ch++)
                *at++ = pixel(f, y, x, ch, k);
    return (struct am_str){(const char *)p, size};
}

static enum am_rc fit_as(enum am_col_type type, const char *yaml, const struct am_str *cells,
                         size_t n, size_t cut, struct am_pool *pool, struct am_features **out,
                         size_t *n_notes)
{
    const struct am_column_desc column = {AM_STR_INIT("v"), type};
    struct am_node *notes = NULL;
    const enum am_rc rc = fit_cells(&column, yaml, cells, n, cut, pool, arena, out, &notes);
    if (rc == AM_OK && n_notes)
        *n_notes = notes->list.n;
    return rc;
}

static enum am_rc fit_one(const char *yaml, struct am_str cell, struct am_features **out)
{
    return fit_as(AM_COL_VIDEO, yaml, &cell, 1, 1, NULL, out, NULL);
}

static void apply_one(enum am_col_type type, const struct am_features *f, struct am_str cell,
                      float *out)
{
    struct am_column c;
    struct am_batch b = batch_of(type, &c, &cell, 1, 0);
    OK(am_features_apply(f, &b, out, &err));
}

static int setup(void **state)
{
    (void)state;
    arena = am_arena_new(0);
    am_media_set_loader(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

/* ---- which frames, and what becomes of each ---- */

static void frames_are(const char *settings, uint32_t n, const uint32_t *want, size_t n_want,
                       uint32_t channels)
{
    struct am_features *video, *picture;
    char yaml[200];
    static float got[8 * 300], expect[300];
    struct am_str cell = clip(n, 9, 7, channels, 3), one = still(0, 9, 7, channels, 3);
    snprintf(yaml, sizeof yaml, "v: {%s, size: [5, 6], resize: pad}", settings);
    OK(fit_one(yaml, cell, &video));
    snprintf(yaml, sizeof yaml, "v: {size: [5, 6], resize: pad, channels: %d}",
             (int)(am_features_width(video) / (30 * n_want)));
    OK(fit_as(AM_COL_IMAGE, yaml, &one, 1, 1, NULL, &picture, NULL));
    size_t width = am_features_width(picture), n_tokens;
    struct am_dims d = am_features_shape(video, &n_tokens);
    assert_int_equal(d.rank, 4);
    assert_int_equal(d.d[0], n_want);
    assert_int_equal(d.d[1] * 100 + d.d[2] * 10 + d.d[3], 560 + (int)(width / 30));
    assert_int_equal(am_features_width(video), n_want * width);
    apply_one(AM_COL_VIDEO, video, cell, got);
    for (size_t i = 0; i < n_want; i++) {
        apply_one(AM_COL_IMAGE, picture, still(want[i], 9, 7, channels, 3), expect);
        if (memcmp(got + i * width, expect, width * sizeof *got) != 0)
            fail_msg("%s: frame %zu of the row is not frame %u", settings, i, want[i]);
    }
    am_features_free(video);
    am_features_free(picture);
}

static void test_frames(void **state)
{
    (void)state;
    static const uint32_t spread[] = {1, 3, 6, 8}, all[] = {0, 1, 2}, few[] = {0, 0, 1, 1, 1, 2, 2},
                          rate[] = {0, 5, 10, 11}, middle[] = {5};
    frames_are("frames: 4", 10, spread, 4, 3); /* 1.25, 3.75, 6.25, 8.75 */
    frames_are("frames: 3", 3, all, 3, 3);
    frames_are("frames: 7", 3, few, 7, 3);
    frames_are("frames: 1", 10, middle, 1, 3);
    frames_are("frames: 4, fps: 5", 12, rate, 4, 3); /* of 25 a second, the last one again */
    frames_are("frames: 4, channels: 1", 10, spread, 4, 3);
    frames_are("frames: 4, channels: 3", 10, spread, 4, 1);
}

static void test_choices(void **state)
{
    (void)state;
    struct am_features *f;
    size_t n_notes, n_tokens;
    struct am_str none = {NULL, 0};
    struct am_str equal[3] = {clip(2, 20, 28, 3, 0), none, clip(5, 20, 28, 3, 1)};
    OK(fit_as(AM_COL_VIDEO, NULL, equal, 3, 2, NULL, &f, &n_notes));
    struct am_dims d = am_features_shape(f, &n_tokens);
    assert_true(d.rank == 4 && d.d[0] == 8 && d.d[1] == 28 && d.d[2] == 20 && d.d[3] == 3);
    assert_int_equal(n_notes, 0);
    assert_true(am_str_is(am_features_output_name(f, 77), "v"));
    static float out[8 * 28 * 20 * 3];
    out[0] = out[8 * 28 * 20 * 3 - 1] = 1;
    apply_one(AM_COL_VIDEO, f, none, out);
    assert_true(out[0] == 0 && out[8 * 28 * 20 * 3 - 1] == 0);
    am_features_free(f);
    struct am_str large = clip(1, 300, 50, 1, 0);
    OK(fit_as(AM_COL_VIDEO, NULL, &large, 1, 1, NULL, &f, &n_notes));
    d = am_features_shape(f, &n_tokens);
    assert_true(d.d[1] == 50 && d.d[2] == 64 && d.d[3] == 3);
    assert_int_equal(n_notes, 1);
    am_features_free(f);
    OK(fit_as(AM_COL_VIDEO, NULL, &none, 1, 1, NULL, &f, &n_notes));
    assert_int_equal(n_notes, 1);
    am_features_free(f);
}

/* A video of one frame has the statistics of that picture. */
static void test_standard(void **state)
{
    (void)state;
    struct am_features *video, *picture;
    struct am_str clips[2] = {clip(1, 9, 7, 3, 0), clip(1, 5, 6, 3, 1)};
    struct am_str stills[2] = {still(0, 9, 7, 3, 0), still(0, 5, 6, 3, 1)};
    static float a[2 * 90], b[90];
    OK(fit_as(AM_COL_VIDEO, "v: {frames: 2, normalize: standard, size: [5, 6]}", clips, 2, 1, NULL,
              &video, NULL));
    OK(fit_as(AM_COL_IMAGE, "v: {normalize: standard, size: [5, 6], channels: 3}", stills, 2, 2,
              NULL, &picture, NULL));
    apply_one(AM_COL_VIDEO, video, clips[0], a);
    apply_one(AM_COL_IMAGE, picture, stills[0], b);
    assert_memory_equal(a, b, sizeof b);
    assert_memory_equal(a + 90, b, sizeof b);
    am_features_free(video);
    am_features_free(picture);
}

#define ROWS 20
#define WIDTH (3 * 6 * 7 * 3)

static void test_bits(void **state)
{
    (void)state;
    struct am_str cells[ROWS];
    struct am_features *f, *g;
    static float a[ROWS * WIDTH], b[ROWS * WIDTH];
    static const char spec[] = "v: {frames: 3, normalize: standard, size: [6, 7], fps: 12.5}";
    for (uint32_t i = 0; i < ROWS; i++)
        cells[i] = i % 13 == 5 ? (struct am_str){NULL, 0}
                               : clip(1 + i % 6, 5 + i % 7, 9 + i % 5, i % 3 ? 3 : 1, i);
    struct am_column c;
    struct am_batch all = batch_of(AM_COL_VIDEO, &c, cells, ROWS, 0);
    OK(fit_as(AM_COL_VIDEO, spec, cells, ROWS, ROWS, NULL, &f, NULL));
    OK(am_features_apply(f, &all, a, &err));
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        struct am_pool *pool;
        OK(am_pool_new(threads, &pool, &err));
        OK(fit_as(AM_COL_VIDEO, spec, cells, ROWS, 3, pool, &g, NULL));
        for (size_t i = 0; i < ROWS; i++) {
            struct am_batch part = batch_of(AM_COL_VIDEO, &c, cells + i, 1, i);
            OK(am_features_apply(g, &part, b + i * WIDTH, &err));
        }
        assert_memory_equal(a, b, sizeof a);
        am_features_free(g);
        am_pool_free(pool);
    }
    struct am_buf text;
    struct am_node *n;
    am_buf_init(&text, AM_LIMIT_JSON_BYTES);
    am_node_to_json(am_features_to_node(f, arena), AM_JSON_COMPACT, &text);
    OK(am_json_parse(arena, am_buf_view(&text), "features.json", &n, &err));
    OK(am_features_from_node(n, &g, &err));
    all = batch_of(AM_COL_VIDEO, &c, cells, ROWS, 0);
    memset(b, 0, sizeof b);
    OK(am_features_apply(g, &all, b, &err));
    assert_memory_equal(a, b, sizeof a);
    struct am_batch sample;
    OK(am_features_sample(g, 1, 3, arena, &sample, &err));
    OK(am_features_apply(g, &sample, b, &err));
    assert_true(b[0] != 0 && b[WIDTH] == 0 && b[2 * WIDTH] != b[0]);
    /* a file that says otherwise */
    struct am_node *column = (struct am_node *)(uintptr_t)am_node_get(n, "columns")->list.items[0];
    static const int64_t wrong[] = {0, -1, 1025, 70000};
    for (size_t i = 0; i < 4; i++) {
        struct am_features *none;
        am_node_set(arena, column, "frames", am_new_i64(arena, wrong[i]));
        assert_int_equal(am_features_from_node(n, &none, &err), AM_ECORRUPT);
    }
    am_node_set(arena, column, "frames", am_new_i64(arena, 3));
    am_node_set(arena, column, "fps", am_new_f64(arena, -1));
    assert_int_equal(am_features_from_node(n, &(struct am_features *){0}, &err), AM_ECORRUPT);
    am_buf_clear(&text);
    am_features_free(g);
    am_features_free(f);
}

/* ---- refusals ---- */

static void refused(const char *yaml, enum am_col_type type, enum am_rc want, const char *why)
{
    struct am_features *f;
    struct am_str cell = type == AM_COL_IMAGE ? still(0, 64, 64, 3, 0) : clip(2, 64, 64, 3, 0);
    enum am_rc rc = fit_as(type, yaml, &cell, 1, 1, NULL, &f, NULL);
    if (rc != want || !strstr(err.message, why))
        fail_msg("%s: \"%s\" wanted, got %d: %s", yaml, why, (int)rc, err.message);
}

static void test_refused(void **state)
{
    (void)state;
    refused("v: {frames: 0}", AM_COL_VIDEO, AM_EUSAGE, "frames: 0 is not from 1 to 1024");
    refused("v: {fps: -1}", AM_COL_VIDEO, AM_EUSAGE, "fps: -1 is not from 0 to 240");
    refused("v: {encode: histogram}", AM_COL_VIDEO, AM_EUSAGE, "videos are encoded as pixels");
    refused("v: {channels: 2}", AM_COL_VIDEO, AM_EUSAGE, "not 1 or 3");
    refused("v: {frames: 3}", AM_COL_IMAGE, AM_EUSAGE, "does not suit a column of type image");
    refused("v: {bins: 3}", AM_COL_VIDEO, AM_EUSAGE, "does not suit a column of type video");
    refused("v: {frames: 1024, size: 64}", AM_COL_VIDEO, AM_ELIMIT, "feature outputs");
    assert_non_null(strstr(err.hint, "`frames`"));
    struct am_features *f;
    struct am_str good = clip(2, 6, 5, 3, 0), bad = good;
    assert_int_equal(fit_one(NULL,
                             AM_STR("\0\0\0\x18"
                                    "ftypisom"),
                             &f),
                     AM_EMISSING);
    assert_non_null(strstr(err.message, "column \"v\", row 1"));
    assert_non_null(strstr(err.hint, "FFmpeg"));
    OK(fit_one("v: {frames: 2}", good, &f));
    struct am_column c;
    struct am_batch b = batch_of(AM_COL_VIDEO, &c, &bad, 1, 0);
    float out[2 * 90];
    bad.len -= 1;
    assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "column \"v\", row 1"));
    unsigned char huge[AM_MEDIA_RAW_BYTES];
    static const uint32_t sizes[][3] = {
        {65535, 65535, 65535}, {1, 8192, 4096}, {0, 4, 4}, {1, 0, 4}};
    for (size_t i = 0; i < 4; i++) {
        am_video_raw_header(sizes[i][0], sizes[i][1], sizes[i][2], 3, huge);
        bad = (struct am_str){(const char *)huge, sizeof huge};
        enum am_rc rc = am_features_apply(f, &b, out, &err);
        assert_int_equal(rc, i < 2 ? AM_ELIMIT : AM_EINVAL);
    }
    am_video_raw_header(1, 2, 2, 4, huge); /* four channels */
    assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
    am_features_free(f);
}

/* ---- augmentation ---- */

static void test_augment(void **state)
{
    (void)state;
    struct am_features *video, *picture;
    struct am_augment a;
    struct am_augment_shape shape, one;
    struct am_node *spec;
    bool any;
    struct am_str cell = clip(3, 7, 6, 3, 2), first = still(0, 7, 6, 3, 2);
    static float x[3 * 126], y[126], scratch[126];
    OK(fit_one("v: {frames: 3}", cell, &video));
    OK(fit_as(AM_COL_IMAGE, "v: {channels: 3}", &first, 1, 1, NULL, &picture, NULL));
    assert_true(am_augment_shape_of(video, &shape) && am_augment_shape_of(picture, &one));
    assert_true(shape.frames == 3 && one.frames == 1);
    OK(am_yaml_parse(arena,
                     AM_STR("{flip: both, rotate: 20, shift: 0.2, brightness: 0.3, contrast: 0.2, "
                            "saturation: 0.2, cutout: 0.3}"),
                     "augment", &spec, &err));
    OK(am_augment_read(spec, &a, &any, &err));
    for (uint64_t row = 0; row < 6; row++) {
        apply_one(AM_COL_VIDEO, video, cell, x);
        am_augment_picture(&a, &shape, 5, 2, row, x, scratch);
        for (uint32_t f = 0; f < 3; f++) { /* as a picture in that place would be changed */
            apply_one(AM_COL_IMAGE, picture, still(f, 7, 6, 3, 2), y);
            am_augment_picture(&a, &one, 5, 2, row, y, scratch);
            assert_memory_equal(x + f * 126, y, sizeof y);
        }
    }
    a = (struct am_augment){.noise = 0.1};
    memset(x, 0, sizeof x);
    am_augment_picture(&a, &shape, 5, 2, 0, x, scratch);
    assert_memory_not_equal(x, x + 126, sizeof y); /* each frame has noise of its own */
    am_features_free(video);
    am_features_free(picture);
}

/* With an arena of its own: a failure sticks in it. */
static enum am_rc fit_apart(struct am_str cell, struct am_features **f)
{
    struct am_arena *kept = arena;
    arena = am_arena_new(0);
    enum am_rc rc =
        arena ? fit_one("v: {frames: 2, size: [5, 6], normalize: standard}", cell, f) : AM_ENOMEM;
    am_arena_free(arena);
    arena = kept;
    return rc;
}

static void test_memory(void **state)
{
    (void)state;
    struct am_features *f = NULL;
    struct am_str cell = clip(3, 9, 7, 3, 0);
    struct am_column c;
    struct am_batch b = batch_of(AM_COL_VIDEO, &c, &cell, 1, 0);
    float out[2 * 90];
    AM_OOM_LOOP(fit_apart(cell, &f), am_features_free(f));
    OK(fit_one("v: {frames: 2, size: [5, 6]}", cell, &f));
    AM_OOM_LOOP(am_features_apply(f, &b, out, &err), (void)0);
    am_features_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),   cmocka_unit_test(test_choices),
        cmocka_unit_test(test_standard), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_augment),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
