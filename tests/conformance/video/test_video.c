/* The conformance suite of the video port (struct am_videos_ops of tensor/media.h): every driver
 * must pass it. Run with the module's name as argument; today there is one, video-ffmpeg.
 *
 * files/ was made by the ffmpeg command line (make_files.sh), the expected pictures too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"
#include "tests/conformance/driver.h"

static const char *driver;
static const struct am_videos_ops *ops;
static struct am_err err;

static int setup(void **state)
{
    (void)state;
    ops = open_driver(driver, sizeof *ops);
    if (!ops)
        return -1;
    return ops->start(am_host_table(), &err) == AM_OK ? 0 : -1;
}

/* ---- what a call gives ---- */

#define KEPT 24
struct taken {
    uint32_t n, width, height;
    uint64_t sum[KEPT];     /* of the pixels, each by its place */
    uint8_t first[KEPT][3]; /* the upper left pixel */
    const uint8_t *golden;  /* compared with, NULL = not */
    unsigned worst;         /* distance of a byte from it */
    enum am_rc answer;      /* of the callback */
};

static enum am_rc keep(void *ctx, uint32_t i, struct am_image *frame, struct am_err *e)
{
    struct taken *t = ctx;
    size_t n = (size_t)frame->width * frame->height * frame->channels;
    assert_int_equal(i, t->n);
    assert_int_equal(frame->channels, 3);
    assert_true(i < KEPT);
    t->width = frame->width;
    t->height = frame->height;
    t->sum[i] = 0;
    memcpy(t->first[i], frame->pixels, 3);
    for (size_t k = 0; k < n; k++) {
        t->sum[i] += frame->pixels[k] * (uint64_t)(k + 1);
        if (!t->golden)
            continue;
        int d = frame->pixels[k] - t->golden[i * n + k];
        t->worst = (unsigned)abs(d) > t->worst ? (unsigned)abs(d) : t->worst;
    }
    memset(frame->pixels, 0xAA, n); /* allowed: they are lent */
    t->n++;
    return t->answer == AM_OK ? AM_OK : am_fail(e, t->answer, "enough");
}

static enum am_rc take(struct am_str bytes, uint32_t n, double fps, struct taken *out)
{
    const struct am_video_take wanted = {.n_frames = n, .fps = fps};
    out->n = 0;
    return ops->frames(bytes, &wanted, keep, out, &err);
}

static void must_take(const char *name, uint32_t n, double fps, struct taken *out)
{
    struct am_buf b = file_of(FILES, name);
    *out = (struct taken){0};
    if (take(am_buf_view(&b), n, fps, out) != AM_OK)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(out->n, n);
    am_buf_clear(&b);
}

/* ---- tests ---- */

static const struct {
    const char *name, *format, *codec;
    uint32_t n_frames;
    bool told; /* the file tells its length: a cut is seen */
} files[] = {
    {"h264.mp4", "mp4", "h264", 20, true},
    {"hevc.mp4", "mp4", "hevc", 20, true},
    {"mpeg4.avi", "avi", "mpeg4", 20, true},
    {"mjpeg.avi", "avi", "mjpeg", 20, true},
    {"vp9.webm", "matroska", "vp9", 20, true},
    {"ffv1.mkv", "matroska", "ffv1", 20, true},
    {"theora.ogv", "ogg", "theora", 20, true},
    {"mpeg1.mpg", "mpeg", "mpeg1video", 20, false},
    {"mpeg2.ts", "mpeg-ts", "mpeg2video", 20, false},
    {"wmv2.wmv", "wmv", "wmv2", 20, false},
    {"flv.flv", "flv", "flv1", 20, false},
    {"sound.mp4", "mp4", "h264", 20, true},
};
#define N_FILES (sizeof files / sizeof files[0])

static void test_probe(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct am_video_info info;
        struct am_buf b = file_of(FILES, files[i].name);
        if (ops->probe(am_buf_view(&b), &info, &err) != AM_OK)
            fail_msg("%s: %s", files[i].name, err.message);
        assert_string_equal(info.format, files[i].format);
        assert_string_equal(info.codec, files[i].codec);
        assert_int_equal(info.width, 48);
        assert_int_equal(info.height, 32);
        if (info.n_frames != files[i].n_frames)
            fail_msg("%s: %u frames", files[i].name, info.n_frames);
        am_buf_clear(&b);
    }
}

/* Every kind is decoded whole; the pattern moves, so frames differ. */
static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct taken t;
        must_take(files[i].name, 20, 0, &t);
        assert_int_equal(t.width, 48);
        assert_int_equal(t.height, 32);
        for (size_t k = 1; k < 20; k++)
            if (t.sum[k] == t.sum[k - 1])
                fail_msg("%s: frames %zu and %zu are equal", files[i].name, k - 1, k);
        must_take(files[i].name, 0, 0, &t);
    }
}

/* The very bytes that FFmpeg's own program gives for frames 2, 7, 12 and 17. */
static void test_golden(void **state)
{
    (void)state;
    static const char *const names[] = {"h264.mp4", "mpeg4.avi", "vp9.webm", "mpeg1.mpg",
                                        "ffv1.mkv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.rgb", names[i]);
        struct am_buf golden = file_of(FILES, name), b = file_of(FILES, names[i]);
        assert_int_equal(golden.len, 4 * 48 * 32 * 3);
        struct taken t = {.golden = (const uint8_t *)golden.ptr};
        if (take(am_buf_view(&b), 4, 0, &t) != AM_OK)
            fail_msg("%s: %s", names[i], err.message);
        if (t.worst > 0)
            fail_msg("%s: a byte differs by %u", names[i], t.worst);
        am_buf_clear(&golden);
        am_buf_clear(&b);
    }
}

/* Which frames: by time, where frames last differently long, or the last one where it is over. */
static void test_times(void **state)
{
    (void)state;
    struct taken all, t;
    must_take("uneven.mkv", 5, 2.5,
              &t); /* shown at 0, 0.1, 0.4, 0.9, 1.6 s; asked at 0, .4, .8, 1.2, 1.6 */
    assert_true(t.sum[0] != t.sum[1]);
    assert_true(t.sum[1] == t.sum[2]);
    assert_true(t.sum[3] != t.sum[2] && t.sum[4] != t.sum[3]);
    must_take("h264.mp4", 20, 0, &all);
    must_take("h264.mp4", 20, 10, &t);
    assert_memory_equal(t.sum, all.sum, 20 * sizeof t.sum[0]);
    must_take("h264.mp4", 10, 5, &t);
    for (size_t i = 0; i < 10; i++)
        assert_true(t.sum[i] == all.sum[2 * i]);
    must_take("h264.mp4", 4, 1, &t); /* 2 seconds long */
    assert_true(t.sum[0] == all.sum[0] && t.sum[1] == all.sum[10]);
    assert_true(t.sum[2] == all.sum[19] && t.sum[3] == all.sum[19]);
    must_take("mpeg4.avi", 20, 0, &all);
    must_take("mpeg4.avi", 10, 5, &t);
    for (size_t i = 0; i < 10; i++)
        assert_true(t.sum[i] == all.sum[2 * i]);
    must_take("mpeg4.avi", 1, 0, &t);
    assert_true(t.sum[0] == all.sum[10]);
}

/* What is not wanted may be left out; it changes nothing of what is given. */
static void test_left_out(void **state)
{
    (void)state;
    static const char *const names[] = {"keys.mp4", "open.mp4", "open265.mp4", "keys.webm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct taken all, t;
        must_take(names[i], 20, 0, &all);
        for (uint32_t n = 1; n <= 9; n++) {
            must_take(names[i], n, 0, &t);
            for (uint32_t k = 0; k < n; k++)
                if (t.sum[k] != all.sum[(2 * k + 1) * 20 / (2 * n)])
                    fail_msg("%s: frame %u of %u is another one", names[i], k, n);
        }
    }
    struct am_buf b =
        file_of(FILES, "keys.mp4"); /* damage there is not met, but by the whole check */
    struct taken good, t;
    unsigned n_not_met = 0;
    must_take("keys.mp4", 2, 0, &good);
    for (size_t at = b.len / 4; at < b.len; at += 7) {
        char old = b.ptr[at];
        b.ptr[at] = (char)(old ^ 0x55);
        t = (struct taken){0};
        n_not_met += take(am_buf_view(&b), 0, 0, &t) == AM_EINVAL &&
                     take(am_buf_view(&b), 2, 0, &t) == AM_OK && t.sum[0] == good.sum[0] &&
                     t.sum[1] == good.sum[1];
        b.ptr[at] = old;
    }
    assert_true(n_not_met > 3);
    am_buf_clear(&b);
}

static void test_turned(void **state)
{
    (void)state;
    struct taken t, upright;
    struct am_video_info info;
    struct am_buf b = file_of(FILES, "turned.mp4");
    assert_int_equal(ops->probe(am_buf_view(&b), &info, &err), AM_OK);
    am_buf_clear(&b);
    assert_int_equal(info.width, 32);
    assert_int_equal(info.height, 48);
    must_take("turned.mp4", 3, 0, &t);
    assert_int_equal(t.width, 32);
    assert_int_equal(t.height, 48);
    must_take("h264.mp4", 3, 0, &upright);
    assert_true(t.sum[0] != upright.sum[0]);
}

static void refused(struct am_str bytes, enum am_rc want, const char *why)
{
    struct taken t = {0};
    struct am_video_info info;
    for (uint32_t n = 0; n < 3; n += 2) {
        enum am_rc rc = take(bytes, n, 0, &t);
        if (rc != want || !strstr(err.message, why))
            fail_msg("\"%s\" wanted, got %d: %s", why, (int)rc,
                     rc == AM_OK ? "decoded" : err.message);
        assert_int_equal(t.n, 0);
    }
    assert_int_equal(ops->probe(bytes, &info, &err), want);
}

static void refused_file(const char *name, enum am_rc want, const char *why)
{
    struct am_buf b = file_of(FILES, name);
    refused(am_buf_view(&b), want, why);
    am_buf_clear(&b);
}

static void test_refused(void **state)
{
    (void)state;
    refused((struct am_str){"", 0}, AM_EINVAL, "empty");
    refused(AM_STR("a,b,c\n1,2,3\n"), AM_EINVAL, "not a video");
    refused(AM_STR("\x89PNG\r\n\x1a\n0000000000000000"), AM_EINVAL, "not a video");
    refused(AM_STR("RIFF\x10\0\0\0WAVEfmt "), AM_EINVAL, "WAV");
    refused(AM_STR("\0\0\0\x18"
                   "ftypheic\0\0\0\0mif1heic"),
            AM_EINVAL, "HEIF");
    refused_file("audio.mp4", AM_EINVAL, "no video");
    refused_file("audio.ogg", AM_EINVAL, "no video");
    refused_file("many.mkv", AM_ELIMIT, "streams");
    refused_file("codec.avi", AM_EINVAL, "codec huffyuv");
    refused_file("huge.mp4", AM_ELIMIT, "8192 x 4096");
}

/* Lists that name other files, alone and dressed up. */
static void test_playlists(void **state)
{
    (void)state;
    refused(AM_STR("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/hostname\n"),
            AM_EINVAL, "playlist");
    refused(AM_STR("ffconcat version 1.0\nfile '/etc/hostname'\n"), AM_EINVAL, "playlist");
    refused(AM_STR("<?xml version=\"1.0\"?><MPD><BaseURL>file:///etc/</BaseURL></MPD>"), AM_EINVAL,
            "XML");
    refused(AM_STR("\0\0\0\x10"
                   "ftypisom\0\0\0\0#EXTM3U\nfile:///etc/hostname\n"),
            AM_EINVAL, "truncated");
    refused(AM_STR("RIFF\x30\0\0\0AVI #EXTM3U\nfile:///etc/hostname\n                    "),
            AM_EINVAL, "no video");
    struct am_buf b = file_of(FILES, "h264.mp4"); /* its data said to be in another file */
    char *dref = NULL;
    for (size_t i = 0; i + 4 < b.len && !dref; i++)
        if (memcmp(b.ptr + i, "url \0\0\0\1", 8) == 0)
            dref = b.ptr + i;
    assert_non_null(dref);
    memcpy(dref, "alis\0\0\0\0", 8);
    struct taken t = {0};
    enum am_rc rc = take(am_buf_view(&b), 2, 0, &t); /* of the file itself, or refused */
    assert_true(rc == AM_OK || rc == AM_EINVAL);
    am_buf_clear(&b);
}

/* Cut at many places: where the file tells its length, a verdict each time and never a frame. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct am_buf b = file_of(FILES, files[i].name);
        for (size_t n = 0; n < b.len - 1; n += 1 + n / 8) {
            struct taken t = {0};
            enum am_rc rc = take((struct am_str){b.ptr, n}, 3, 0, &t);
            if (files[i].told && rc == AM_OK)
                fail_msg("%s cut at %zu of %zu is read", files[i].name, n, b.len);
            if (rc != AM_OK && rc != AM_EINVAL && rc != AM_ELIMIT)
                fail_msg("%s cut at %zu: %d %s", files[i].name, n, (int)rc, err.message);
        }
        am_buf_clear(&b);
    }
}

/* Single bytes changed: any verdict, no harm (the sanitizers watch). */
static void test_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        struct am_buf b = file_of(FILES, files[i].name);
        for (size_t n = 0; n < b.len; n += n < 600 ? 5 : 89) {
            struct taken t = {0};
            char old = b.ptr[n];
            b.ptr[n] = (char)(old ^ (n % 2 ? 0xFF : 0x40));
            enum am_rc rc = take(am_buf_view(&b), 3, 0, &t);
            if (rc != AM_OK && rc != AM_EINVAL && rc != AM_ELIMIT)
                fail_msg("%s byte %zu: %d %s", files[i].name, n, (int)rc, err.message);
            assert_true(rc != AM_OK || t.n == 3);
            b.ptr[n] = old;
        }
        am_buf_clear(&b);
    }
}

static bool stop_soon(void *ctx)
{
    unsigned *left = ctx;
    return (*left)-- == 0;
}

static void test_stopped(void **state)
{
    (void)state;
    struct am_buf b = file_of(FILES, "h264.mp4");
    struct taken t = {.answer = AM_EBUSY};
    assert_int_equal(take(am_buf_view(&b), 3, 0, &t), AM_EBUSY); /* the caller has enough */
    assert_int_equal(t.n, 1);
    struct am_video_take wanted = {.n_frames = 2, .deadline_ns = 1};
    t = (struct taken){0};
    assert_int_equal(ops->frames(am_buf_view(&b), &wanted, keep, &t, &err), AM_ETIMEDOUT);
    for (unsigned i = 0; i < 60; i++) {
        unsigned left = i;
        wanted = (struct am_video_take){.n_frames = 2, .stop = stop_soon, .stop_ctx = &left};
        t = (struct taken){0};
        enum am_rc rc = ops->frames(am_buf_view(&b), &wanted, keep, &t, &err);
        assert_true(rc == AM_ECANCELED || rc == AM_OK);
        if (i == 0)
            assert_int_equal(rc, AM_ECANCELED);
    }
    am_buf_clear(&b);
}

static void test_memory(void **state)
{
    (void)state;
    struct am_buf b = file_of(FILES, "turned.mp4");
    struct taken t = {0};
    for (unsigned n = 1; n < 3; n++) {
        am_alloc_fail_nth(n, false);
        enum am_rc rc = take(am_buf_view(&b), 2, 0, &t);
        am_alloc_fail_nth(0, false);
        assert_int_equal(rc, AM_ENOMEM);
    }
    assert_non_null(ops->version());
    am_buf_clear(&b);
}

static void *work(void *ctx)
{
    struct taken *t = ctx;
    struct am_buf b = file_of(FILES, "h264.mp4");
    for (unsigned i = 0; i < 5; i++)
        if (take(am_buf_view(&b), 8, 0, t) != AM_OK)
            t->n = 0;
    am_buf_clear(&b);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t thread[4];
    static struct taken t[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, &t[i]), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(&t[i], &t[0], sizeof t[0]);
    assert_int_equal(t[0].n, 8);
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "video-ffmpeg";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),     cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_golden),    cmocka_unit_test(test_times),
        cmocka_unit_test(test_left_out),  cmocka_unit_test(test_turned),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_playlists),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_stopped),   cmocka_unit_test(test_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
