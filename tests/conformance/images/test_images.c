/* The conformance suite of the picture port (tensor/media.h): every driver must pass it. Run with
 * the module's name as argument; today there is one, images-vips. Files and what they decode to are
 * made by tests/golden/image_files.py. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../support/faults.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "platform/modules.h"
#include "tensor/media.h"
#include "tensor/ports_abi.h"
#include "tests/conformance/driver.h"

#ifdef __SANITIZE_THREAD__
/* The decoding libraries are built without the sanitizer: it does not see how their threads wait
 * for one another. What our own code and the driver do stays watched. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "ignore_noninstrumented_modules=1";
}
#endif

static const char *driver;
static const struct am_images_ops *ops;
static struct am_err err;

struct file {
    char *bytes;
    size_t n;
};

static struct file read_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", FILES, name);
    FILE *f = fopen(path, "rb");
    struct file out = {malloc((size_t)1 << 20), 0};
    if (!f)
        fail_msg("no file %s", path);
    out.n = fread(out.bytes, 1, (size_t)1 << 20, f);
    fclose(f);
    return out;
}

static struct am_str str_of(const struct file *f)
{
    return (struct am_str){f->bytes, f->n};
}

static int setup(void **state)
{
    (void)state;
    ops = open_driver(driver, sizeof *ops);
    if (!ops)
        return -1;
    return ops->start(am_host_table(), &err) == AM_OK && ops->start(am_host_table(), &err) == AM_OK
               ? 0
               : -1;
}

static const struct {
    const char *name, *format;
    uint32_t n_frames;
    int tolerance; /* of a byte: other decoders of lossy kinds may round otherwise */
} good[] = {
    {"rgb.png", "png", 1, 0},      {"grey.png", "png", 1, 0},
    {"rgba.png", "png", 1, 0},     {"grey_alpha.png", "png", 1, 0},
    {"palette.png", "png", 1, 0},  {"palette_alpha.png", "png", 1, 0},
    {"bit1.png", "png", 1, 0},     {"grey16.png", "png", 1, 0},
    {"rgb16.png", "png", 1, 0},    {"rgb.jpg", "jpeg", 1, 2},
    {"grey.jpg", "jpeg", 1, 2},    {"progressive.jpg", "jpeg", 1, 2},
    {"cmyk.jpg", "jpeg", 1, 6},    {"turned1.jpg", "jpeg", 1, 2},
    {"turned2.jpg", "jpeg", 1, 2}, {"turned3.jpg", "jpeg", 1, 2},
    {"turned4.jpg", "jpeg", 1, 2}, {"turned5.jpg", "jpeg", 1, 2},
    {"turned6.jpg", "jpeg", 1, 2}, {"turned7.jpg", "jpeg", 1, 2},
    {"turned8.jpg", "jpeg", 1, 2}, {"lossless.webp", "webp", 1, 0},
    {"lossy.webp", "webp", 1, 4},  {"animated.webp", "webp", 3, 0},
    {"still.gif", "gif", 1, 0},    {"animated.gif", "gif", 3, 0},
    {"rgb.tif", "tiff", 1, 0},     {"lzw.tif", "tiff", 1, 0},
    {"pages.tif", "tiff", 3, 0},   {"cmyk.tif", "tiff", 1, 0},
    {"grey16.tif", "tiff", 1, 0},  {"picture.bmp", "bmp", 1, 0},
    {"grey.bmp", "bmp", 1, 0},     {"palette.bmp", "bmp", 1, 0},
    {"bit1.bmp", "bmp", 1, 0},     {"bit4.bmp", "bmp", 1, 0},
    {"rgb555.bmp", "bmp", 1, 0},   {"rgb565.bmp", "bmp", 1, 0},
    {"rgb32.bmp", "bmp", 1, 0},    {"rgba32.bmp", "bmp", 1, 0},
    {"top_down.bmp", "bmp", 1, 0},
};
#define N_GOOD (sizeof good / sizeof good[0])

static void test_pixels(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_GOOD; k++) {
        char raw_name[80];
        snprintf(raw_name, sizeof raw_name, "%s.raw", good[k].name);
        struct file f = read_file(good[k].name), raw = read_file(raw_name);
        struct am_image want, got;
        struct am_image_info info;
        assert_int_equal(am_image_decode(str_of(&raw), &want, &err), AM_OK);
        if (ops->probe(str_of(&f), &info, &err) != AM_OK ||
            ops->decode(str_of(&f), &got, &err) != AM_OK)
            fail_msg("%s: %s", good[k].name, err.message);
        if (info.width != want.width || info.height != want.height || got.width != want.width ||
            got.height != want.height || got.channels != want.channels ||
            info.channels != want.channels || info.n_frames != good[k].n_frames ||
            strcmp(info.format, good[k].format) != 0)
            fail_msg("%s: probe %u x %u x %u, %u frames, %s; decode %u x %u x %u", good[k].name,
                     info.width, info.height, info.channels, info.n_frames, info.format, got.width,
                     got.height, got.channels);
        size_t n = (size_t)got.width * got.height * got.channels;
        for (size_t i = 0; i < n; i++)
            if (abs(got.pixels[i] - want.pixels[i]) > good[k].tolerance)
                fail_msg("%s: byte %zu is %d, not %d", good[k].name, i, got.pixels[i],
                         want.pixels[i]);
        am_image_clear(&want);
        am_image_clear(&got);
        free(f.bytes);
        free(raw.bytes);
    }
}

static void refused(const char *name, struct am_str bytes, enum am_rc want)
{
    struct am_image got = {0};
    struct am_image_info info;
    err = (struct am_err){0};
    enum am_rc rc = ops->decode(bytes, &got, &err);
    if (rc != want || got.pixels != NULL || err.message[0] == '\0')
        fail_msg("%s: rc %d, not %d: %s", name, rc, want, err.message);
    if (strchr(err.message, '\n'))
        fail_msg("%s: message of two lines", name);
    (void)ops->probe(bytes, &info, &err);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const big[] = {"huge.png", "long.png", "huge.jpg",
                                      "huge.gif", "huge.tif", "huge.bmp"};
    for (size_t i = 0; i < sizeof big / sizeof big[0]; i++) {
        struct file f = read_file(big[i]);
        struct am_image_info info;
        refused(big[i], str_of(&f), AM_ELIMIT);
        assert_int_equal(ops->probe(str_of(&f), &info, &err), AM_ELIMIT);
        free(f.bytes);
    }
    static const char *const other[] = {"float.tif", "rle.bmp", "outside.bmp",
                                        "masks.bmp", "os2.bmp", "short.bmp"};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        struct file f = read_file(other[i]);
        refused(other[i], str_of(&f), AM_EINVAL);
        free(f.bytes);
    }
    static const struct am_str texts[] = {
        AM_STR_INIT(""),
        AM_STR_INIT("x"),
        AM_STR_INIT("a,b\n1,2\n"),
        AM_STR_INIT("GIF89a"),
        AM_STR_INIT("\x89PNG\r\n\x1A\n"),
        AM_STR_INIT("\xFF\xD8\xFF"),
        AM_STR_INIT("II*"),
        AM_STR_INIT("RIFF    WEBP"),
        AM_STR_INIT("<svg></svg>"),
        AM_STR_INIT("%PDF-1.4"),
        AM_STR_INIT("P5 2 2 255\n1234"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refused("text", texts[i], AM_EINVAL);
}

/* What is missing a part is refused; the same pixels only where nothing but the tail is gone. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_GOOD; k++) {
        struct file f = read_file(good[k].name);
        bool several = good[k].n_frames > 1; /* the first may be whole */
        for (size_t cut = 1; cut < 8; cut++) {
            struct am_str part = {f.bytes, f.n * cut / 8};
            struct am_image got;
            if (!several && cut <= 4)
                refused(good[k].name, part, AM_EINVAL);
            else if (ops->decode(part, &got, &err) == AM_OK)
                am_image_clear(&got);
        }
        free(f.bytes);
    }
    static const char *const whole[] = {"rgb.png", "rgb.jpg", "grey.jpg", "lossless.webp",
                                        "still.gif"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        struct file f = read_file(whole[i]);
        refused(whole[i], (struct am_str){f.bytes, f.n * 3 / 4}, AM_EINVAL);
        free(f.bytes);
    }
}

/* Any byte turned: an answer or a refusal, and no byte beyond the given ones. */
static void test_damaged(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_GOOD; k++) {
        struct file f = read_file(good[k].name);
        char *tight = malloc(f.n);
        size_t step = f.n / 97 + 1;
        for (size_t at = 0; at < f.n; at += at < 64 ? 1 : step) {
            memcpy(tight, f.bytes, f.n);
            tight[at] = (char)(tight[at] ^ (at % 2 ? 0xFF : 0x10));
            struct am_image got = {0};
            enum am_rc rc = ops->decode((struct am_str){tight, f.n}, &got, &err);
            assert_true(rc == AM_OK || rc == AM_EINVAL || rc == AM_ELIMIT);
            assert_true((rc == AM_OK) == (got.pixels != NULL));
            am_image_clear(&got);
        }
        free(tight);
        free(f.bytes);
    }
}

static void *decode_all(void *bad)
{
    for (size_t k = 0; k < N_GOOD; k++) {
        struct file f = read_file(good[k].name);
        struct am_image a, b;
        struct am_err e;
        if (ops->decode(str_of(&f), &a, &e) != AM_OK || ops->decode(str_of(&f), &b, &e) != AM_OK ||
            memcmp(a.pixels, b.pixels, (size_t)a.width * a.height * a.channels) != 0)
            __atomic_fetch_add((int *)bad, 1, __ATOMIC_RELAXED);
        am_image_clear(&a);
        am_image_clear(&b);
        f.n /= 2;
        (void)ops->decode(str_of(&f), &a, &e);
        am_image_clear(&a);
        free(f.bytes);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t t[4];
    int bad = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, decode_all, &bad), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(bad, 0);
}

static enum am_rc decode_once(const struct file *f)
{
    struct am_image got;
    enum am_rc rc = ops->decode(str_of(f), &got, &err);
    if (rc == AM_OK)
        am_image_clear(&got);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    static const char *const names[] = {"rgb.png", "grey_alpha.png", "turned6.jpg", "cmyk.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct file f = read_file(names[i]);
        AM_OOM_LOOP(decode_once(&f), (void)0);
        free(f.bytes);
    }
}

/* ---- through the port, with the module and with drivers that lie ---- */

static struct am_images_ops liar;
static struct am_image lie;

static enum am_rc liar_probe(struct am_str bytes, struct am_image_info *out, struct am_err *e)
{
    (void)bytes;
    (void)e;
    *out = (struct am_image_info){lie.width, lie.height, lie.channels, "lie", 1};
    return AM_OK;
}

static enum am_rc liar_decode(struct am_str bytes, struct am_image *out, struct am_err *e)
{
    (void)bytes;
    (void)e;
    *out = lie;
    if (lie.pixels)
        out->pixels = am_alloc(16);
    return AM_OK;
}

static enum am_rc load_liar(void *ctx, const struct am_images_ops **out, struct am_err *e)
{
    (void)ctx;
    (void)e;
    *out = &liar;
    return AM_OK;
}

static void test_misbehaving(void **state)
{
    (void)state;
    const struct am_media_loader l = {.images = load_liar};
    struct am_image got;
    struct am_image_info info;
    uint8_t some = 0;
    const struct am_image lies[] = {
        {0, 4, 1, &some}, {4, 4, 1, NULL}, {2, 2, 2, &some}, {1u << 31, 1u << 31, 1, &some}};
    for (size_t i = 0; i < 4; i++) {
        am_media_set_loader(&l);
        liar = (struct am_images_ops){AM_PORTS_ABI, sizeof liar, 0,           "liar",
                                      NULL,         liar_probe,  liar_decode, NULL};
        lie = lies[i];
        assert_int_not_equal(am_image_decode(AM_STR("any"), &got, &err), AM_OK);
        assert_null(got.pixels);
        assert_true(i == 1 || am_image_probe(AM_STR("any"), &info, &err) != AM_OK);
    }
    am_media_set_loader(&l);
    liar.abi++;
    assert_int_equal(am_image_decode(AM_STR("any"), &got, &err), AM_ECONFLICT);
    am_media_set_loader(NULL);
    assert_int_equal(am_image_decode(AM_STR("any"), &got, &err), AM_EMISSING);
    assert_true(err.hint[0] != '\0');
}

static void test_loader(void **state)
{
    (void)state;
    const void *found;
    struct am_module_spec spec = {driver, AM_PORTS_ABI + 1, sizeof *ops, ""};
    assert_int_equal(am_module_open(NULL, &spec, &found, &err), AM_ECONFLICT);
    assert_int_equal(ops->abi, AM_PORTS_ABI);
    assert_true(strlen(ops->version()) > 0);
    const struct am_images_ops *opened;
    assert_int_equal(am_images_open(NULL, &opened, &err), AM_OK);
    assert_ptr_equal(opened, ops);
    am_modules_set_media(NULL);
    struct file f = read_file("rgb.png");
    struct am_image got;
    assert_int_equal(am_image_decode(str_of(&f), &got, &err), AM_OK);
    am_image_clear(&got);
    am_media_set_loader(NULL);
    free(f.bytes);
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "images-vips";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loader),  cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_faults),  cmocka_unit_test(test_misbehaving),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
