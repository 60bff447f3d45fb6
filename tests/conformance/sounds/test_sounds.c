/* The conformance suite of the sound port (struct am_sounds_ops of tensor/media.h): every driver
 * must pass it. Run with the module's name as argument; today there is one, sounds-sndfile.
 *
 * Every file holds 800 samples of sin(2 pi 440 t) / 2 at 8000 a second; plain WAV is written here,
 * files/ was made by SoX (make_files.sh). */
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"
#include "tests/conformance/driver.h"

static const char *driver;
static const struct am_sounds_ops *ops;
static struct am_err err;

static int setup(void **state)
{
    (void)state;
    ops = open_driver(driver, sizeof *ops);
    if (!ops)
        return -1;
    return ops->start(am_host_table(), &err) == AM_OK ? 0 : -1;
}

static double tone(size_t i)
{
    return sin(2 * M_PI * 440 * (double)i / 8000) / 2;
}

/* ---- WAV of our own ---- */

struct wav {
    unsigned char b[16384];
    size_t n;
};

static void put(struct wav *w, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        w->b[w->n++] = (unsigned char)(v >> 8 * i);
}

static void put_tag(struct wav *w, const char *tag)
{
    memcpy(w->b + w->n, tag, 4);
    w->n += 4;
}

static void put_sample(struct wav *w, double v, unsigned bits, bool is_float)
{
    if (is_float) {
        float f = (float)v;
        uint32_t u;
        memcpy(&u, &f, 4);
        put(w, u, 4);
    } else if (bits == 8) {
        put(w, (uint32_t)(lround(v * 127) + 128), 1);
    } else {
        put(w, (uint32_t)lround(v * (double)((1u << (bits - 1)) - 1)), bits / 8);
    }
}

static void wav_init(struct wav *w, unsigned bits, bool is_float, unsigned channels, uint32_t rate,
                     size_t n_frames)
{
    uint32_t data = (uint32_t)n_frames * channels * bits / 8;
    w->n = 0;
    put_tag(w, "RIFF");
    put(w, 36 + data, 4);
    put_tag(w, "WAVE");
    put_tag(w, "fmt ");
    put(w, 16, 4);
    put(w, is_float ? 3 : 1, 2);
    put(w, channels, 2);
    put(w, rate, 4);
    put(w, rate * channels * bits / 8, 4);
    put(w, channels * bits / 8, 2);
    put(w, bits, 2);
    put_tag(w, "data");
    put(w, data, 4);
    for (size_t i = 0; i < n_frames; i++) {
        for (unsigned c = 0; c < channels; c++)
            put_sample(w, c == 0 ? tone(i) : -tone(i), bits, is_float);
    }
}

static struct am_str bytes_of(const struct wav *w)
{
    return (struct am_str){(const char *)w->b, w->n};
}

static void check_tone(struct am_str bytes, uint32_t channels, const char *format, double tolerance)
{
    struct am_sound_info info;
    struct am_sound s;
    if (ops->probe(bytes, &info, &err) != AM_OK)
        fail_msg("%s: %s", format, err.message);
    assert_string_equal(info.format, format);
    assert_int_equal(info.channels, channels);
    assert_int_equal(info.sample_rate, 8000);
    if (ops->decode(bytes, &s, &err) != AM_OK)
        fail_msg("%s: %s", format, err.message);
    assert_int_equal(s.channels, channels);
    assert_int_equal(s.sample_rate, 8000);
    assert_true(s.n_frames <= info.n_frames);
    assert_in_range(s.n_frames, 800, 1016); /* ADPCM: whole blocks */
    for (size_t i = 0; i < 800; i++) {
        double d = fabs((double)s.samples[i * channels] - tone(i));
        if (!(d <= tolerance))
            fail_msg("%s: sample %zu is %g, not %g", format, i, (double)s.samples[i * channels],
                     tone(i));
    }
    am_free(s.samples);
}

static void test_wav(void **state)
{
    (void)state;
    static struct wav w;
    wav_init(&w, 8, false, 1, 8000, 800);
    check_tone(bytes_of(&w), 1, "wav", 0.012);
    wav_init(&w, 16, false, 1, 8000, 800);
    check_tone(bytes_of(&w), 1, "wav", 1e-4);
    wav_init(&w, 24, false, 2, 8000, 800);
    check_tone(bytes_of(&w), 2, "wav", 1e-6);
    wav_init(&w, 32, true, 2, 8000, 800);
    check_tone(bytes_of(&w), 2, "wav", 1e-7);
    memset(w.b + 40, 0xFF, 4); /* as streaming writers leave the size */
    check_tone(bytes_of(&w), 2, "wav", 1e-7);
}

static struct am_buf read_file(const char *name)
{
    char path[512];
    struct am_buf b;
    snprintf(path, sizeof path, "%s/%s", FILES, name);
    am_buf_init(&b, AM_LIMIT_MEDIA_FILE_BYTES);
    if (am_fs_read_file(path, &b, &err) != AM_OK)
        fail_msg("%s", err.message);
    return b;
}

static const struct {
    const char *name, *format;
    uint32_t channels;
    double tolerance;
} files[] = {{"mono.flac", "flac", 1, 1e-4}, {"stereo.flac", "flac", 2, 1e-6},
             {"mono.ogg", "ogg", 1, 0.05},   {"mono.aiff", "aiff", 1, 1e-4},
             {"mono.au", "au", 1, 1e-4},     {"alaw.wav", "wav", 1, 0.02},
             {"adpcm.wav", "wav", 1, 0.06}};

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct am_buf b = read_file(files[i].name);
        check_tone(am_buf_view(&b), files[i].channels, files[i].format, files[i].tolerance);
        am_buf_clear(&b);
    }
}

static void refused(struct am_str bytes, enum am_rc want, const char *why)
{
    struct am_sound s;
    enum am_rc rc = ops->decode(bytes, &s, &err);
    if (rc != want || !strstr(err.message, why))
        fail_msg("\"%s\" wanted, got %d: %s", why, (int)rc, rc == AM_OK ? "decoded" : err.message);
    assert_null(s.samples);
}

static void test_refused(void **state)
{
    (void)state;
    static struct wav w;
    refused((struct am_str){"", 0}, AM_EINVAL, "empty");
    refused(AM_STR("a,b,c\n1,2,3\n"), AM_EINVAL, "not a sound");
    refused(AM_STR("\x89PNG\r\n\x1a\n0000000000000000"), AM_EINVAL, "not a sound");
    refused(AM_STR("RIFF\x10\0\0\0AVI LIST"), AM_EINVAL, "not a sound");
    wav_init(&w, 16, false, 1, 8000, 0);
    refused(bytes_of(&w), AM_EINVAL, "empty");
    wav_init(&w, 8, false, AM_LIMIT_SOUND_CHANNELS + 1, 8000, 100);
    refused(bytes_of(&w), AM_ELIMIT, "channels");
    wav_init(&w, 8, false, 1, AM_LIMIT_SOUND_RATE + 1, 100);
    refused(bytes_of(&w), AM_ELIMIT, "samples a second");
    wav_init(&w, 32, true, 1, 8000, 100);
    memset(w.b + w.n - 4, 0xFF, 4);
    refused(bytes_of(&w), AM_EINVAL, "not a finite number");
    /* FLAC's header has 36 bits for the number of samples */
    struct am_buf b = read_file("mono.flac");
    b.ptr[21] = (char)(b.ptr[21] | 0x0F);
    refused(am_buf_view(&b), AM_ELIMIT, "at most");
    am_buf_clear(&b);
}

/* Cut at many places: a verdict each time, never a sound. */
static void test_truncated(void **state)
{
    (void)state;
    static struct wav w;
    struct am_sound s;
    wav_init(&w, 16, false, 1, 8000, 800);
    for (size_t n = 0; n < w.n; n += n < 64 ? 1 : 97)
        assert_int_equal(ops->decode((struct am_str){(const char *)w.b, n}, &s, &err), AM_EINVAL);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct am_buf b = read_file(files[i].name);
        for (size_t n = 0; n < b.len; n += 1 + n / 8) {
            enum am_rc rc = ops->decode((struct am_str){b.ptr, n}, &s, &err);
            if (rc == AM_OK)
                fail_msg("%s cut at %zu of %zu is read", files[i].name, n, b.len);
            assert_true(rc == AM_EINVAL || rc == AM_ELIMIT);
        }
        am_buf_clear(&b);
    }
}

/* Single bytes changed: any verdict, no harm (the sanitizers watch). */
static void test_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct am_buf b = read_file(files[i].name);
        for (size_t n = 0; n < b.len && n < 1200; n += n < 160 ? 1 : 7) {
            struct am_sound s;
            char old = b.ptr[n];
            b.ptr[n] = (char)(old ^ (n % 2 ? 0xFF : 0x40));
            enum am_rc rc = ops->decode(am_buf_view(&b), &s, &err);
            assert_true(rc == AM_OK || rc == AM_EINVAL || rc == AM_ELIMIT);
            if (rc == AM_OK) {
                assert_true(s.n_frames > 0 && s.channels >= 1);
                am_free(s.samples);
            }
            b.ptr[n] = old;
        }
        am_buf_clear(&b);
    }
}

/* The checksums of all pages of an Ogg file made right again. */
static void seal_pages(struct am_buf *b)
{
    unsigned char *p = (unsigned char *)b->ptr;
    for (size_t at = 0; at + 27 <= b->len && memcmp(p + at, "OggS", 4) == 0;) {
        size_t n = 27 + (size_t)p[at + 26];
        for (size_t i = at + 27, end = at + n; i < end && i < b->len; i++)
            n += p[i];
        if (at + n > b->len)
            return;
        uint32_t crc = 0;
        memset(p + at + 22, 0, 4);
        for (size_t i = at; i < at + n; i++) {
            crc ^= (uint32_t)p[i] << 24;
            for (int k = 0; k < 8; k++)
                crc = crc << 1 ^ (crc >> 31 ? UINT32_C(0x04c11db7) : 0);
        }
        memcpy(p + at + 22, &crc, 4);
        at += n;
    }
}

/* A server that is sent damaged files for ever does not grow: also when their checksums are right,
 * so that only the codec sees it. */
static void test_no_growth(void **state)
{
    (void)state;
    struct am_buf good = read_file("mono.ogg");
    size_t before = 0, refused = 0;
    for (size_t round = 0; round < 3000; round++) {
        struct am_buf b;
        struct am_sound s;
        am_buf_init(&b, 1 << 20);
        am_buf_str(&b, am_buf_view(&good));
        b.ptr[28 + round * 37 % 2600] ^= (char)(1 + round % 255);
        if (round % 4)
            seal_pages(&b);
        if (ops->decode(am_buf_view(&b), &s, &err) == AM_OK)
            am_free(s.samples);
        else
            refused++;
        am_buf_clear(&b);
        if (round == 200) /* what is kept for ever has been made */
            before = mallinfo2().uordblks;
    }
    size_t after = mallinfo2().uordblks;
    assert_true(refused > 1000);
    if (after > before + (256 << 10))
        fail_msg("%zu bytes more after %zu damaged files", after - before, refused);
    am_buf_clear(&good);
}

static void test_memory(void **state)
{
    (void)state;
    static struct wav w;
    struct am_sound s;
    wav_init(&w, 16, false, 1, 8000, 800);
    am_alloc_fail_nth(1, false);
    assert_int_equal(ops->decode(bytes_of(&w), &s, &err), AM_ENOMEM);
    am_alloc_fail_nth(0, false);
    assert_null(s.samples);
    assert_non_null(ops->version());
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "sounds-sndfile";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wav),     cmocka_unit_test(test_files),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_no_growth),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
