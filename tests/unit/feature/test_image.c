/* Picture columns: against Pillow and numpy (tests/golden/image_goldens.json), what is chosen from
 * the data, refusals, and the same bits whatever the batches and threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../support/faults.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/pool.h"
#include "cells.h"
#include "feature/fit.h"
#include "feature/image.h"
#include "tensor/media.h"

static const struct am_column_desc photo = {AM_STR_INIT("photo"), AM_COL_IMAGE};

/* The picture of image_goldens.py in the raw form. */
static struct am_str picture(struct am_arena *a, uint32_t w, uint32_t h, uint32_t c, uint32_t k)
{
    size_t n = (size_t)w * h * c;
    unsigned char *p = am_arena_alloc(a, AM_MEDIA_RAW_BYTES + n);
    assert_non_null(p);
    am_image_raw_header(w, h, c, p);
    unsigned char *at = p + AM_MEDIA_RAW_BYTES;
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t ch = 0; ch < c; ch++)
                *at++ = (unsigned char)(x * 37 + y * 59 + ch * 83 + x * y * 7 + k * 29);
    return (struct am_str){(const char *)p, AM_MEDIA_RAW_BYTES + n};
}

static void apply_one(const struct am_features *f, struct am_str cell, float *out)
{
    struct am_column c;
    struct am_batch b = batch_of(AM_COL_IMAGE, &c, &cell, 1, 0);
    OK(am_features_apply(f, &b, out, &err));
}

static void compare(const char *what, const struct am_node *want, const float *got, double allowed)
{
    assert_true(want && want->kind == AM_NODE_LIST);
    for (size_t i = 0; i < want->list.n; i++) {
        double v;
        assert_true(am_node_as_f64(want->list.items[i], &v));
        if (!(fabs(v - (double)got[i]) <= allowed))
            fail_msg("%s: value %zu is %.9g, not %.9g", what, i, (double)got[i], v);
    }
}

static struct am_arena *arena;
static struct am_node *golden;

static int setup(void **state)
{
    (void)state;
    struct am_buf text;
    am_buf_init(&text, AM_LIMIT_JSON_BYTES);
    arena = am_arena_new(0);
    OK(am_fs_read_file(GOLDEN_DIR "/image_goldens.json", &text, &err));
    OK(am_json_parse(arena, am_buf_view(&text), "goldens", &golden, &err));
    am_buf_clear(&text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

static void test_resize(void **state)
{
    (void)state;
    const struct am_node *list = am_node_get(golden, "resize");
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *k = list->list.items[i];
        uint32_t w = (uint32_t)am_node_i64(k, "w", 0), h = (uint32_t)am_node_i64(k, "h", 0);
        uint32_t c = (uint32_t)am_node_i64(k, "c", 0);
        struct am_fimage f = {.height = (uint32_t)am_node_i64(k, "height", 0),
                              .width = (uint32_t)am_node_i64(k, "width", 0),
                              .channels = c,
                              .normal = AM_FN_NONE};
        assert_true(am_fresize_parse(am_node_str(k, "resize", ""), &f.resize));
        am_fimage_constants(&f);
        float out[1024];
        char what[80];
        snprintf(what, sizeof what, "case %zu", i);
        OK(am_fimage_apply(&f, picture(arena, w, h, c, 0), out, &err));
        compare(what, am_node_get(k, "expect"), out, 2e-4);
        if (c == 1) { /* grey to colour: three times the same */
            float three[3072];
            f.channels = 3;
            am_fimage_constants(&f);
            OK(am_fimage_apply(&f, picture(arena, w, h, c, 0), three, &err));
            for (size_t p = 0; p < (size_t)f.width * f.height * 3; p++)
                assert_true(three[p] == out[p / 3]);
        }
    }
}

static void test_normalise(void **state)
{
    (void)state;
    struct am_features *f;
    struct am_str train[3] = {picture(arena, 12, 10, 3, 0), picture(arena, 5, 4, 3, 1),
                              picture(arena, 20, 3, 3, 2)};
    float out[256];
    OK(fit_cells(&photo, "photo: {normalize: standard, size: [5, 6]}", train, 3, 3, NULL, arena, &f,
                 NULL));
    apply_one(f, train[0], out);
    compare("standard", am_node_get(golden, "standard"), out, 2e-5);
    am_features_free(f);
    OK(fit_cells(&photo, "photo: {normalize: standard, size: [5, 6], channels: 1}", train, 3, 3,
                 NULL, arena, &f, NULL));
    apply_one(f, train[0], out);
    /* grey before resizing here and there: the same rounding to bytes */
    compare("standard_grey", am_node_get(golden, "standard_grey"), out, 2e-5);
    am_features_free(f);
    struct am_str one = picture(arena, 6, 5, 3, 0);
    OK(fit_cells(&photo, "photo: {normalize: imagenet}", &one, 1, 1, NULL, arena, &f, NULL));
    apply_one(f, one, out);
    compare("imagenet", am_node_get(golden, "imagenet"), out, 1e-6);
    am_features_free(f);
    OK(fit_cells(&photo, "photo: {normalize: none, channels: 1}", &one, 1, 1, NULL, arena, &f,
                 NULL));
    apply_one(f, one, out);
    compare("grey", am_node_get(golden, "grey"), out, 0);
    am_features_free(f);
    OK(fit_cells(&photo, "photo: {normalize: none}", &one, 1, 1, NULL, arena, &f, NULL));
    apply_one(f, picture(arena, 6, 5, 4, 0), out);
    compare("white", am_node_get(golden, "white"), out, 0);
    am_features_free(f);
    OK(fit_cells(&photo, NULL, &one, 1, 1, NULL, arena, &f, NULL));
    apply_one(f, one, out);
    for (size_t i = 0; i < 90; i++) /* the tutorial's pixels / 255 to the bit */
        assert_true(out[i] == (float)(unsigned char)one.ptr[AM_MEDIA_RAW_BYTES + i] / 255.0f);
    am_features_free(f);
}

static void test_histogram(void **state)
{
    (void)state;
    struct am_features *f;
    struct am_str one = picture(arena, 12, 10, 3, 0);
    float out[64];
    OK(fit_cells(&photo, "photo: {encode: histogram, bins: 8}", &one, 1, 1, NULL, arena, &f, NULL));
    size_t n_tokens;
    assert_int_equal(am_features_width(f), 32);
    assert_int_equal(am_features_shape(f, &n_tokens).rank, 1);
    assert_true(am_str_is(am_features_output_name(f, 9), "photo.green1"));
    assert_true(am_str_is(am_features_output_name(f, 24), "photo.light0"));
    apply_one(f, one, out);
    compare("histogram", am_node_get(golden, "histogram"), out, 1e-6);
    apply_one(f, (struct am_str){NULL, 0}, out);
    for (size_t i = 0; i < 32; i++)
        assert_true(out[i] == 0);
    am_features_free(f);
    one = picture(arena, 12, 10, 1, 0);
    OK(fit_cells(&photo, "photo: {encode: histogram}", &one, 1, 1, NULL, arena, &f, NULL));
    assert_int_equal(am_features_width(f), 16);
    assert_true(am_str_is(am_features_output_name(f, 0), "photo.light0"));
    am_features_free(f);
}

static void shape_is(const struct am_features *f, int64_t h, int64_t w, int64_t c)
{
    size_t n_tokens;
    struct am_dims d = am_features_shape(f, &n_tokens), want = {3, {h, w, c}};
    char text[AM_DIMS_CHARS];
    if (!am_dims_eq(&d, &want))
        fail_msg("shape %s", am_dims_print(&d, text));
    assert_int_equal(am_features_width(f), h * w * c);
    assert_int_equal(n_tokens, 0);
}

static void test_choices(void **state)
{
    (void)state;
    struct am_features *f;
    struct am_node *notes;
    struct am_str none = {NULL, 0};
    struct am_str equal[3] = {picture(arena, 28, 20, 1, 0), none, picture(arena, 28, 20, 1, 1)};
    OK(fit_cells(&photo, NULL, equal, 3, 2, NULL, arena, &f, &notes));
    shape_is(f, 20, 28, 1);
    assert_int_equal(notes->list.n, 0);
    am_features_free(f);
    struct am_str mixed[2] = {picture(arena, 30, 10, 1, 0), picture(arena, 41, 20, 3, 0)};
    OK(fit_cells(&photo, NULL, mixed, 2, 2, NULL, arena, &f, &notes));
    shape_is(f, 15, 36, 3); /* means 15 and 35.5 */
    assert_int_equal(notes->list.n, 1);
    am_features_free(f);
    struct am_str big = picture(arena, 600, 100, 1, 0);
    OK(fit_cells(&photo, NULL, &big, 1, 1, NULL, arena, &f, &notes));
    shape_is(f, 100, 224, 1);
    am_features_free(f);
    OK(fit_cells(&photo, "default: {size: 8, encode: hash, scale: robust}", &big, 1, 1, NULL, arena,
                 &f, &notes));
    shape_is(f, 8, 8, 1);
    am_features_free(f);
    OK(fit_cells(&photo, NULL, &none, 1, 1, NULL, arena, &f, &notes));
    shape_is(f, 32, 32, 1);
    assert_int_equal(notes->list.n, 1);
    float out[1024];
    apply_one(f, none, out);
    assert_true(out[0] == 0 && out[1023] == 0);
    am_features_free(f);
    struct am_str flat = {NULL, 0};
    unsigned char zeros[AM_MEDIA_RAW_BYTES + 4] = {0};
    am_image_raw_header(2, 2, 1, zeros);
    flat = (struct am_str){(const char *)zeros, sizeof zeros};
    OK(fit_cells(&photo, "photo: {normalize: standard}", &flat, 1, 1, NULL, arena, &f, &notes));
    assert_int_equal(notes->list.n, 1);
    apply_one(f, picture(arena, 2, 2, 1, 0), out);
    assert_true(out[0] == 0 && out[3] == 0);
    am_features_free(f);
}

static void test_bits(void **state)
{
    (void)state;
    struct am_str cells[40];
    struct am_features *f, *g;
    for (uint32_t i = 0; i < 40; i++)
        cells[i] = i % 13 == 5 ? (struct am_str){NULL, 0}
                               : picture(arena, 5 + i % 7, 9 + i % 5, i % 3 ? 3 : 4, i);
    static const char spec[] = "photo: {normalize: standard, size: [6, 7], resize: pad}";
    OK(fit_cells(&photo, spec, cells, 40, 40, NULL, arena, &f, NULL));
    static float a[40 * 126], b[40 * 126];
    struct am_column c;
    struct am_batch all = batch_of(AM_COL_IMAGE, &c, cells, 40, 0);
    OK(am_features_apply(f, &all, a, &err));
    for (size_t cut = 1; cut <= 17; cut += 8)
        for (unsigned threads = 1; threads <= 3; threads += 2) {
            struct am_pool *pool;
            OK(am_pool_new(threads, &pool, &err));
            OK(fit_cells(&photo, spec, cells, 40, cut, pool, arena, &g, NULL));
            for (size_t i = 0; i < 40; i += cut) {
                struct am_batch part =
                    batch_of(AM_COL_IMAGE, &c, cells + i, 40 - i < cut ? 40 - i : cut, i);
                OK(am_features_apply(g, &part, b + i * 126, &err));
            }
            assert_memory_equal(a, b, sizeof a);
            am_features_free(g);
            am_pool_free(pool);
        }
    /* through features.json */
    struct am_buf text;
    struct am_node *n;
    am_buf_init(&text, AM_LIMIT_JSON_BYTES);
    am_node_to_json(am_features_to_node(f, arena), AM_JSON_COMPACT, &text);
    OK(am_buf_check(&text, &err));
    OK(am_json_parse(arena, am_buf_view(&text), "features.json", &n, &err));
    OK(am_features_from_node(n, &g, &err));
    all = batch_of(AM_COL_IMAGE, &c, cells, 40, 0);
    memset(b, 0, sizeof b);
    OK(am_features_apply(g, &all, b, &err));
    assert_memory_equal(a, b, sizeof a);
    shape_is(g, 6, 7, 3);
    am_buf_clear(&text);
    struct am_batch sample;
    OK(am_features_sample(g, 1, 3, arena, &sample, &err));
    OK(am_features_apply(g, &sample, b, &err));
    assert_true(b[0] != 0 && b[126] == 0 && b[252] != b[0]);
    am_features_free(g);
    am_features_free(f);
}

static void test_bad_pictures(void **state)
{
    (void)state;
    struct am_features *f;
    struct am_str cells[3] = {picture(arena, 4, 4, 1, 0), AM_STR("not a picture"),
                              picture(arena, 4, 4, 1, 0)};
    am_media_set_loader(NULL);
    assert_int_equal(fit_cells(&photo, NULL, cells, 3, 2, NULL, arena, &f, NULL), AM_EMISSING);
    assert_non_null(strstr(err.message, "column \"photo\", row 2"));
    cells[1] = cells[0];
    OK(fit_cells(&photo, NULL, cells, 3, 2, NULL, arena, &f, NULL));
    cells[2].len -= 3; /* truncated */
    struct am_column c;
    float out[48];
    struct am_batch b = batch_of(AM_COL_IMAGE, &c, cells, 3, 0);
    assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "column \"photo\", row 3"));
    am_features_free(f);
    assert_int_equal(
        fit_cells(&photo, "photo: {normalize: standard}", cells, 3, 2, NULL, arena, &f, NULL),
        AM_EINVAL);
    assert_non_null(strstr(err.message, "row 3"));
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"photo: {size: 0}", "1 to 4096"},
        {"photo: {size: [28]}", "1 to 4096"},
        {"photo: {size: [28, 5000]}", "1 to 4096"},
        {"photo: {size: big}", "1 to 4096"},
        {"photo: {size: [a, b]}", "1 to 4096"},
        {"photo: {channels: 2}", "not 1 or 3"},
        {"photo: {channels: 4}", "not from 1 to 3"},
        {"photo: {resize: zoom}", "not one of stretch"},
        {"photo: {normalize: tanh}", "not one of unit"},
        {"photo: {encode: onehot}", "pixels or histogram"},
        {"photo: {encode: histogram, bins: 1}", "not from 2 to 256"},
        {"photo: {scale: robust}", "does not suit a column of type image"},
        {"photo: {indicator: true}", "does not suit a column of type image"},
        {"photo: {type: text}", "is of type image in the data"},
    };
    struct am_str one = picture(arena, 4, 4, 1, 0);
    struct am_features *f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (fit_cells(&photo, bad[i][0], &one, 1, 1, NULL, arena, &f, NULL) != AM_EUSAGE ||
            !strstr(err.message, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.message);
    }
    assert_int_equal(fit_cells(&photo, "photo: {size: 4096}", &one, 1, 1, NULL, arena, &f, NULL),
                     AM_ELIMIT);
}

static void test_hostile(void **state)
{
    (void)state;
#define COL(rest) "{\"format\":1,\"columns\":[{\"name\":\"x\",\"type\":\"image\"," rest "}]}"
#define SIZE "\"kind\":\"image\",\"channels\":1,\"height\":4,\"width\":4,"
#define HOW "\"resize\":\"crop\",\"normalize\":\"unit\","
    static const char *const bad[] = {
        COL("\"kind\":\"image\""),
        COL("\"kind\":\"number\",\"scale\":\"none\""),
        COL("\"kind\":\"histogram\",\"channels\":1"),
        COL("\"kind\":\"histogram\",\"channels\":2,\"bins\":8"),
        COL("\"kind\":\"histogram\",\"channels\":1,\"bins\":257"),
        COL("\"kind\":\"histogram\",\"channels\":1,\"bins\":1"),
        COL("\"kind\":\"image\",\"channels\":1,\"height\":0,\"width\":4," HOW
            "\"shift\":[0],\"mul\":[1]"),
        COL("\"kind\":\"image\",\"channels\":3,\"height\":65535,\"width\":65535," HOW
            "\"shift\":[0,0,0],\"mul\":[1,1,1]"),
        COL(SIZE HOW "\"shift\":[0],\"mul\":[1,2]"),
        COL(SIZE HOW "\"shift\":[],\"mul\":[]"),
        COL(SIZE HOW "\"shift\":[0],\"mul\":[1e300]"),
        COL(SIZE HOW "\"shift\":[1e300],\"mul\":[1e300]"),
        COL(SIZE HOW "\"shift\":[\"0\"],\"mul\":[1]"),
        COL(SIZE "\"resize\":\"zoom\",\"normalize\":\"unit\",\"shift\":[0],\"mul\":[1]"),
        COL(SIZE "\"resize\":\"crop\",\"normalize\":\"x\",\"shift\":[0],\"mul\":[1]"),
    };
    struct am_features *f;
    struct am_node *n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        OK(am_json_parse(arena, am_str(bad[i]), "features.json", &n, &err));
        enum am_rc rc = am_features_from_node(n, &f, &err);
        if (rc != AM_ECORRUPT && rc != AM_ELIMIT)
            fail_msg("%s: rc %d", bad[i], rc);
    }
    OK(am_json_parse(arena, AM_STR(COL(SIZE HOW "\"shift\":[0],\"mul\":[1]")), "f", &n, &err));
    OK(am_features_from_node(n, &f, &err));
    am_features_free(f);
}

static enum am_rc whole_way(const struct am_str *cells, size_t n)
{
    struct am_arena *own = am_arena_new(0); /* a failure stays in an arena */
    struct am_features *f;
    struct am_column c;
    float out[3 * 48];
    struct am_batch b = batch_of(AM_COL_IMAGE, &c, cells, n, 0);
    if (own == NULL)
        return AM_ENOMEM;
    enum am_rc rc = fit_cells(&photo, "photo: {size: 4, normalize: standard}", cells, n, n, NULL,
                              own, &f, NULL);
    if (rc == AM_OK)
        rc = am_features_apply(f, &b, out, &err);
    am_features_free(f);
    am_arena_free(own);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    struct am_str cells[3] = {picture(arena, 5, 6, 3, 0), picture(arena, 4, 4, 1, 1),
                              picture(arena, 9, 2, 4, 2)};
    AM_OOM_LOOP(whole_way(cells, 3), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),    cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_histogram), cmocka_unit_test(test_choices),
        cmocka_unit_test(test_bits),      cmocka_unit_test(test_bad_pictures),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
