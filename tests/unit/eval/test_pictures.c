/* Pictures of the report: what a PNG holds when it is read back, tiles and filters at their places,
 * the worst mistakes in order, occlusion against a model whose answer hangs on known pixels. */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/base64.h"
#include "eval/pictures.h"
#include "tests/support/faults.h"

struct decoded {
    uint32_t width, height, channels;
    unsigned char *rows; /* each behind its filter byte 0 */
};

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static struct decoded read_png(const unsigned char *p, size_t n)
{
    struct decoded d = {.width = be32(p + 16), .height = be32(p + 20)};
    assert_memory_equal(p, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
    assert_int_equal(p[24], 8);
    d.channels = p[25] == 0 ? 1 : p[25] == 2 ? 3 : 4;
    size_t stride = (size_t)d.width * d.channels + 1;
    uLongf size = (uLongf)(stride * d.height);
    d.rows = malloc(size);
    assert_memory_equal(p + 37, "IDAT", 4);
    assert_int_equal(uncompress(d.rows, &size, p + 41, be32(p + 33)), Z_OK);
    assert_int_equal(size, stride * d.height);
    assert_memory_equal(p + n - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
    return d;
}

static struct decoded read_uri(struct am_str uri)
{
    struct am_str text = {uri.ptr + 22, uri.len - 22};
    char *bytes = malloc(am_base64_bytes(text.len) + 1);
    size_t n;
    assert_true(am_str_starts(uri, AM_STR("data:image/png;base64,")));
    assert_true(am_base64_decode(text, AM_BASE64_STANDARD, bytes, &n));
    struct decoded d = read_png((const unsigned char *)bytes, n);
    free(bytes);
    return d;
}

static unsigned at(const struct decoded *d, size_t y, size_t x, size_t c)
{
    size_t stride = (size_t)d->width * d->channels + 1;
    assert_int_equal(d->rows[y * stride], 0);
    return d->rows[y * stride + 1 + x * d->channels + c];
}

static void pngs_hold_the_pixels(void **state)
{
    (void)state;
    uint8_t pixels[7 * 5 * 4];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (uint32_t c = 1; c <= 4; c++) {
        struct am_pixels p = {7, 5, c, pixels};
        struct am_buf b;
        am_buf_init(&b, 1 << 16);
        if (c == 2) {
            assert_int_equal(am_png_write(&p, &b, &err), AM_EINVAL);
            continue;
        }
        OK(am_png_write(&p, &b, &err));
        struct decoded d = read_png((const unsigned char *)b.ptr, b.len);
        assert_true(d.width == 7 && d.height == 5 && d.channels == c);
        for (size_t i = 0; i < 35 * (size_t)c; i++)
            assert_int_equal(at(&d, i / c / 7, i / c % 7, i % c), pixels[i]);
        free(d.rows);
        am_buf_clear(&b);
    }
    struct am_buf b;
    am_buf_init(&b, 1 << 16);
    assert_int_equal(am_png_write(&(struct am_pixels){0, 5, 1, pixels}, &b, &err), AM_EINVAL);
    assert_int_equal(am_png_write(&(struct am_pixels){5, 70000, 1, pixels}, &b, &err), AM_EINVAL);
}

static void large_ones_are_averaged_down(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    uint8_t pixels[5 * 4];
    struct am_str uri;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(10 * i);
    OK(am_picture_uri(&(struct am_pixels){5, 4, 1, pixels}, 3, a, &uri, &err));
    struct decoded d = read_uri(uri);
    assert_true(d.width == 3 && d.height == 2);
    assert_int_equal(at(&d, 0, 0, 0), (0 + 10 + 50 + 60) / 4);
    assert_int_equal(at(&d, 0, 2, 0), (40 + 90) / 2);
    assert_int_equal(at(&d, 1, 1, 0), (120 + 130 + 170 + 180) / 4);
    free(d.rows);
    OK(am_picture_uri(&(struct am_pixels){5, 4, 1, pixels}, 5, a, &uri, &err));
    d = read_uri(uri);
    assert_true(d.width == 5 && d.height == 4);
    free(d.rows);
    am_arena_free(a);
}

static void floats_are_scaled(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    const float one[] = {-1, 0, 1, NAN, INFINITY, -INFINITY}, two[] = {0, 2, 4, 6};
    struct am_str uri;
    OK(am_picture_of_floats(&(struct am_floats){2, 3, 1, one}, 0, a, &uri, &err));
    struct decoded d = read_uri(uri);
    assert_int_equal(at(&d, 0, 0, 0), 0);
    assert_int_equal(at(&d, 0, 1, 0), 128);
    assert_int_equal(at(&d, 0, 2, 0), 255);
    assert_int_equal(at(&d, 1, 0, 0), 0);
    free(d.rows);
    /* two channels: their mean, 1 and 5 */
    OK(am_picture_of_floats(&(struct am_floats){1, 2, 2, two}, 0, a, &uri, &err));
    d = read_uri(uri);
    assert_true(d.channels == 1 && at(&d, 0, 0, 0) == 0 && at(&d, 0, 1, 0) == 255);
    free(d.rows);
    assert_int_equal(am_picture_of_floats(&(struct am_floats){0, 2, 1, two}, 0, a, &uri, &err),
                     AM_EINVAL);
    am_arena_free(a);
}

/* [ky, kx, c_in, c_out] with c_out last: tile k shows filter k, each scaled by itself. */
static void filters_and_maps(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    float w[2 * 2 * 3 * 5], map[2 * 3 * 4];
    struct am_str uri;
    for (size_t i = 0; i < 60; i++)
        w[i] = i % 5 == 4 && i / 5 % 3 == 2 ? (float)(i / 15) : -1; /* filter 4, blue */
    OK(am_picture_filters(w, 2, 2, 3, 5, 1, a, &uri, &err));
    struct decoded d = read_uri(uri); /* 3 x 2 tiles of 2 x 2 with a border */
    assert_true(d.width == 10 && d.height == 7 && d.channels == 3);
    assert_int_equal(at(&d, 0, 0, 0), 0x80);
    assert_int_equal(at(&d, 1, 1, 2), 0); /* constant: black */
    assert_int_equal(at(&d, 4, 4, 0), 0); /* filter 4 stands in the second row, second column */
    assert_int_equal(at(&d, 4, 4, 2), 64);
    assert_int_equal(at(&d, 4, 5, 2), 128);
    assert_int_equal(at(&d, 5, 5, 2), 255);
    assert_int_equal(at(&d, 4, 7, 2), 0x80); /* there is no tile 5 */
    free(d.rows);
    for (size_t i = 0; i < 24; i++)
        map[i] = (float)(i % 4 == 1 ? i / 4 : 0);
    OK(am_picture_maps(&(struct am_floats){2, 3, 4, map}, 2, a, &uri, &err));
    d = read_uri(uri); /* 2 x 2 tiles of 6 x 4 dots */
    assert_true(d.width == 15 && d.height == 11 && d.channels == 1);
    assert_int_equal(at(&d, 1, 8, 0), 0);
    assert_int_equal(at(&d, 1, 10, 0), 51);
    assert_int_equal(at(&d, 2, 11, 0), 51);
    assert_int_equal(at(&d, 4, 13, 0), 255);
    free(d.rows);
    assert_int_equal(am_picture_filters(w, 0, 2, 3, 5, 1, a, &uri, &err), AM_EINVAL);
    assert_int_equal(am_picture_filters(w, 2, 2, 3, 0, 1, a, &uri, &err), AM_EINVAL);
    am_arena_free(a);
}

static void mistakes_by_certainty(void **state)
{
    (void)state;
    static const double truth[] = {0, 1, 2, 0, NAN, 1};
    static const float pred[] = {0.1f, 0.9f, 0,    /* 0 taken for 1: 0.8 */
                                 0.2f, 0.5f, 0.3f, /* right */
                                 0.6f, 0.3f, 0.1f, /* 2 taken for 0: 0.5 */
                                 0.1f, 0.9f, 0,    /* as the first */
                                 1,    0,    0,    /* nobody knows */
                                 0,    0,    1};   /* 1 taken for 2: 1 */
    struct am_eval_input in = {
        .task = AM_TASK_MULTICLASS, .n_rows = 6, .n_classes = 3, .truth = truth, .pred = pred};
    size_t rows[6];
    assert_int_equal(am_worst_mistakes(&in, 6, rows), 4);
    assert_true(rows[0] == 5 && rows[1] == 0 && rows[2] == 3 && rows[3] == 2);
    assert_int_equal(am_worst_mistakes(&in, 2, rows), 2);
    assert_true(rows[0] == 5 && rows[1] == 0);
    assert_int_equal(am_worst_mistakes(&in, 0, rows), 0);
    struct am_arena *a = am_arena_new(0);
    struct am_node *classes = am_new_list(a);
    am_node_push(a, classes, am_new_cstr(a, "shoe"));
    am_node_push(a, classes, am_new_cstr(a, "coat"));
    struct am_node *m = am_mistake_node(&in, 0, classes, AM_STR(""), a);
    assert_true(am_str_is(am_node_str(m, "truth", ""), "shoe"));
    assert_true(am_str_is(am_node_str(m, "predicted", ""), "coat"));
    NEAR(am_node_f64(m, "probability", 0), (double)0.9f);
    assert_null(am_node_get(m, "picture"));
    am_arena_free(a);
    /* two classes: p of the second, cut at the threshold */
    static const float two[] = {0.45f, 0.1f, 0.9f, 0.3f};
    static const double t2[] = {0, 1, 0, 0};
    in = (struct am_eval_input){.task = AM_TASK_BINARY,
                                .n_rows = 4,
                                .n_classes = 2,
                                .truth = t2,
                                .pred = two,
                                .threshold = 0.4};
    assert_int_equal(am_worst_mistakes(&in, 4, rows), 3);
    assert_true(rows[2] == 0 && rows[0] + rows[1] == 3);
}

/* p = what stands at (3, 5) in the second channel; every call is counted and bounded. */
struct one_pixel {
    size_t n_rows, largest;
};

static enum am_rc look(void *ctx, const float *x, size_t n, float *p, struct am_err *e)
{
    struct one_pixel *o = ctx;
    (void)e;
    o->n_rows += n;
    o->largest = n > o->largest ? n : o->largest;
    for (size_t i = 0; i < n; i++)
        p[i] = x[i * 8 * 10 * 2 + (3 * 10 + 5) * 2 + 1];
    return AM_OK;
}

static enum am_rc refuse(void *ctx, const float *x, size_t n, float *p, struct am_err *e)
{
    (void)ctx, (void)x, (void)n, (void)p;
    return am_fail(e, AM_EUNSUPPORTED, "no");
}

static void occlusion_finds_the_pixel(void **state)
{
    (void)state;
    float x[8 * 10 * 2] = {0}, heat[80];
    struct one_pixel one = {0};
    struct am_occlusion o = {
        .x = {8, 10, 2, x}, .patch = 3, .stride = 1, .predict = look, .ctx = &one};
    x[(3 * 10 + 5) * 2 + 1] = 1; /* its channel's mean is 1 / 80 */
    OK(am_saliency_occlusion(&o, heat, &err));
    assert_int_equal(one.n_rows, 1 + 6 * 8);
    assert_int_equal(one.largest, 32);
    assert_true(fabsf(heat[35] - (1 - 1.0f / 80)) < 1e-6f); /* all squares over it cover it */
    for (size_t i = 0; i < 80; i++) {
        size_t y = i / 10, u = i % 10, far = (y > 5 || y < 1 || u > 7 || u < 3);
        assert_true(heat[i] <= heat[35]);
        if (far)
            assert_true(heat[i] == 0);
    }
    /* any patch and stride covers every pixel: no division by nothing */
    for (size_t patch = 0; patch < 12; patch++)
        for (size_t stride = 0; stride < 12; stride++) {
            o.patch = patch;
            o.stride = stride;
            OK(am_saliency_occlusion(&o, heat, &err));
            for (size_t i = 0; i < 80; i++)
                assert_true(isfinite(heat[i]));
            assert_true(heat[35] > 0.9f);
        }
    o.predict = refuse;
    assert_int_equal(am_saliency_occlusion(&o, heat, &err), AM_EUNSUPPORTED);
    o.x.height = 0;
    assert_int_equal(am_saliency_occlusion(&o, heat, &err), AM_EINVAL);
}

static void heat_is_red_and_blue(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    const float x[] = {0, 1, 2}, heat[] = {0.5f, -1, 0};
    struct am_str uri;
    OK(am_picture_heat(&(struct am_floats){1, 3, 1, x}, heat, 0, a, &uri, &err));
    struct decoded d = read_uri(uri);
    assert_true(at(&d, 0, 0, 0) == 128 && at(&d, 0, 0, 1) == 0 && at(&d, 0, 0, 2) == 0);
    assert_true(at(&d, 0, 1, 0) == 0 && at(&d, 0, 1, 2) == 255);
    assert_true(at(&d, 0, 2, 0) == 255 && at(&d, 0, 2, 1) == 255);
    free(d.rows);
    am_arena_free(a);
}

static enum am_rc all_of_it(void)
{
    struct am_arena *a = am_arena_new(0);
    float x[8 * 10 * 2] = {0}, heat[80];
    struct one_pixel one = {0};
    struct am_floats f = {8, 10, 2, x};
    struct am_occlusion o = {.x = f, .predict = look, .ctx = &one};
    struct am_str uri;
    enum am_rc rc = a ? am_saliency_occlusion(&o, heat, NULL) : AM_ENOMEM;
    if (rc == AM_OK)
        rc = am_picture_heat(&f, heat, 4, a, &uri, NULL);
    if (rc == AM_OK)
        rc = am_picture_of_floats(&f, 4, a, &uri, NULL);
    if (rc == AM_OK)
        rc = am_picture_maps(&f, 2, a, &uri, NULL);
    am_arena_free(a);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    OK(all_of_it());
    AM_OOM_LOOP(all_of_it(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pngs_hold_the_pixels),  cmocka_unit_test(large_ones_are_averaged_down),
        cmocka_unit_test(floats_are_scaled),     cmocka_unit_test(filters_and_maps),
        cmocka_unit_test(mistakes_by_certainty), cmocka_unit_test(occlusion_finds_the_pixel),
        cmocka_unit_test(heat_is_red_and_blue),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
