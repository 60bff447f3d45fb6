/* Pictures and sounds in requests: base64, bodies that are files, tensors of pixels, in every
 * protocol; what bad ones get; and that no event loop ever decodes. Cells are of the raw form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base64.h"
#include "http_client.h"
#include "server_fixture.h"
#include "tensor/media.h"

static struct fixture fx;

static struct answer ask(const char *path, const char *headers, const char *body, size_t n)
{
    static struct client c;
    char head[2000];
    struct answer a;
    int k = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n", path,
                     headers, n);
    assert_int_equal(client_open(&c, fx.server.port), 0);
    assert_int_equal(client_send(&c, head, (size_t)k), 0);
    if (n)
        assert_int_equal(client_send(&c, body, n), 0);
    a = client_answer(&c, 0);
    client_close(&c);
    return a;
}

static void expect_bytes(const char *path, const char *headers, const char *body, size_t n,
                         int status, const char *part)
{
    struct answer a = ask(path, headers, body, n);
    if (a.status != status || !strstr(a.body, part))
        fail_msg("%s %s\n got %d %s\nwant %d …%s…", path, headers, a.status, a.body, status, part);
    answer_free(&a);
}

static void expect(const char *path, const char *body, int status, const char *part)
{
    expect_bytes(path, "", body, strlen(body), status, part);
}

/* A grey picture of w x h, every pixel `level`. */
static size_t grey(uint32_t w, uint32_t h, int level, char *out)
{
    am_image_raw_header(w, h, 1, (unsigned char *)out);
    memset(out + AM_MEDIA_RAW_BYTES, level, (size_t)w * h);
    return AM_MEDIA_RAW_BYTES + (size_t)w * h;
}

static const char *in_base64(const char *bytes, size_t n)
{
    static char text[4][4000];
    static unsigned at;
    struct am_buf b;
    char *out = text[at++ % 4];
    am_buf_init(&b, 1 << 20);
    am_base64_encode(&b, bytes, n);
    assert_true(b.len < sizeof text[0]);
    memcpy(out, b.ptr, b.len);
    out[b.len] = 0;
    am_buf_clear(&b);
    return out;
}

static const char *grey64(uint32_t w, uint32_t h, int level)
{
    static char bytes[2000];
    return in_base64(bytes, grey(w, h, level, bytes));
}

static const char *format(const char *fmt, ...)
{
    static char text[16000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return text;
}

#define NATIVE "/api/v1/models/picture/predict"
#define BRIGHT "{\"label\":\"bright\",\"probability\":{\"dark\":0.25,\"bright\":0.75}}"
#define DARK "{\"label\":\"dark\",\"probability\":{\"dark\":1,\"bright\":0}}"

static void test_native_base64(void **state)
{
    (void)state;
    const char *four = grey64(2, 2, 192), *none = grey64(1, 3, 0);
    expect(NATIVE, format("{\"rows\":[{\"photo\":\"%s\"}]}", four), 200, "[" BRIGHT "]");
    expect(NATIVE, format("{\"rows\":[{\"photo\":{\"b64\":\"%s\"}},[\"%s\"]]}", four, none), 200,
           "[" BRIGHT "," DARK "]");
    expect(NATIVE, "{\"rows\":[{\"photo\":null}]}", 200, "[" DARK "]");
    /* an escape inside of the text is still the same text */
    expect(NATIVE, format("{\"rows\":[{\"photo\":\"\\u%04x%s\"}]}", four[0], four + 1), 200,
           BRIGHT);
}

static void test_openapi(void **state)
{
    (void)state;
    static struct client c;
    static const char get[] = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(client_open(&c, fx.server.port), 0);
    assert_int_equal(client_send(&c, get, sizeof get - 1), 0);
    struct answer a = client_answer(&c, 0);
    client_close(&c);
    assert_int_equal(a.status, 200);
    assert_non_null(
        strstr(a.body, "#/components/schemas/Rows\"}},\"image/*\":{},\"audio/*\":{},\"video/*\":{},"
                       "\"application/octet-stream\":{}}},\"responses\""));
    answer_free(&a);
}

static void test_body_is_the_file(void **state)
{
    (void)state;
    char bytes[2000];
    size_t n = grey(30, 30, 192, bytes);
    expect_bytes(NATIVE, "Content-Type: image/png\r\n", bytes, n, 200, "[" BRIGHT "]");
    expect_bytes(NATIVE, "Content-Type: IMAGE/x-any; a=b\r\n", bytes, n, 200, BRIGHT);
    expect_bytes(NATIVE, "Content-Type: application/octet-stream\r\n", bytes, n, 200, BRIGHT);
    expect_bytes("/api/v1/models/picture/versions/1/predict", "Content-Type: image/png\r\n", bytes,
                 n, 200, BRIGHT);
    expect_bytes(NATIVE, "Content-Type: audio/wav\r\n", bytes, n, 400, "wants image");
    expect_bytes(NATIVE, "Content-Type: image/png\r\n", "", 0, 400, "the file is empty");
    expect_bytes(NATIVE, "Content-Type: image/png\r\n", bytes, n - 1, 400,
                 "899 bytes of pixels, 900 were expected");
    expect_bytes("/api/v1/models/card/predict", "Content-Type: image/png\r\n", bytes, n, 400,
                 "whose only input is a picture");
    expect_bytes(NATIVE, "", bytes, n, 400, "Content-Type: application/octet-stream");
    /* models of numbers take JSON whatever its type is called */
    expect_bytes("/api/v1/models/half/predict", "Content-Type: application/octet-stream\r\n",
                 "{\"rows\":[[1]]}", 14, 200, "3.5");
    expect_bytes(NATIVE, "Content-Type: image/png\r\nContent-Type: image/png\r\n", bytes, n, 400,
                 "given twice");
}

static void test_video(void **state)
{
    (void)state;
    static const char path[] = "/api/v1/models/clip/predict",
                      type[] = "Content-Type: video/mp4\r\n";
    char film[AM_MEDIA_RAW_BYTES + 4 * 6];
    memset(film, 0, sizeof film);
    am_video_raw_header(4, 3, 2, 1, (unsigned char *)film);
    memset(film + AM_MEDIA_RAW_BYTES, 192, sizeof film - AM_MEDIA_RAW_BYTES);
    expect_bytes(path, type, film, sizeof film, 200, "[" BRIGHT "]");
    expect_bytes(path, "Content-Type: application/octet-stream\r\n", film, sizeof film, 200,
                 BRIGHT);
    expect(path, format("{\"rows\":[{\"film\":\"%s\"}]}", in_base64(film, sizeof film)), 200,
           BRIGHT);
    expect("/v1/models/clip:predict",
           format("{\"instances\":[{\"b64\":\"%s\"}]}", in_base64(film, sizeof film)), 200,
           "bright");
    expect("/v2/models/clip/infer",
           format("{\"inputs\":[{\"name\":\"film\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":["
                  "\"%s\"]}]}",
                  in_base64(film, sizeof film)),
           200, "\"data\":[0.25,0.75]");
    expect("/v2/models/clip/infer",
           "{\"inputs\":[{\"name\":\"film\",\"shape\":[1],\"datatype\":\"UINT8\",\"data\":[1]}]}",
           400, "BYTES expected");
    expect_bytes(path, "Content-Type: image/png\r\n", film, sizeof film, 400, "wants video");
    expect_bytes(NATIVE, type, film, sizeof film, 400, "wants image");
    expect_bytes(path, type, "", 0, 400, "the file is empty");
    expect_bytes(path, type, film, sizeof film - 1, 400, "23 bytes of pixels, 24 were expected");
    am_video_raw_header(65535, 4096, 4096, 1, (unsigned char *)film);
    expect_bytes(path, type, film, sizeof film, 413, "65535 frames of 4096 x 4096");
    expect_bytes(path, type,
                 "\0\0\0\x18"
                 "ftypisom",
                 12, 501, "there is no decoder of videos");
}

static void test_columns_of_all_kinds(void **state)
{
    (void)state;
    char sound[AM_MEDIA_RAW_BYTES + 6] = {0};
    am_sound_raw_header(8000, 1, 3, (unsigned char *)sound);
    const char *voice = in_base64(sound, sizeof sound);
    expect("/api/v1/models/card/predict",
           format("{\"rows\":[{\"price\":0.5,\"voice\":\"%s\",\"photo\":\"%s\"},[1,null,null]]}",
                  voice, grey64(3, 1, 7)),
           200, "[{\"value\":3007.5},{\"value\":1}]");
    expect("/api/v1/models/card/predict",
           format("{\"rows\":[[1,null,null],[1,null,\"%s\"]]}", grey64(3, 1, 7)), 501,
           "row 1: column \\\"voice\\\": there is no decoder of sounds");
}

static void test_bad_cells(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"%%%\"",  "\"QQ\"",   "\"QQ=\"",         "\"QR==\"",
                                        "\"Q Q=\"", "\"-_-_\"", "{\"b64\":\"Q\"}", "{\"b64\":5}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect(NATIVE, format("{\"rows\":[{\"photo\":%s}]}", texts[i]), 400, "\"status\":400");
    expect(NATIVE, "{\"rows\":[{\"photo\":\"Q\"}]}", 400, "is no base64 text");
    expect(NATIVE, "{\"rows\":[{\"photo\":{\"b64\":\"QQ==\",\"b64\":\"QQ==\"}}]}", 400,
           "unknown key");
    expect(NATIVE, "{\"rows\":[{\"photo\":{}}]}", 400, "malformed b64");
    expect(NATIVE, "{\"rows\":[{\"photo\":1}]}", 400, "wants image, got a number");
    expect(NATIVE, "{\"rows\":[{\"photo\":[1]}]}", 400, "wants image, got a list");
    expect(NATIVE, "{\"rows\":[{\"photo\":\"\"}]}", 400,
           "row 0: column \\\"photo\\\": the file is empty");
    /* "AMIM" with a side of 2^31 */
    char huge[] = "AMIM\1\1\0\0\0\0\0\x80\1\0\0\0";
    expect(NATIVE, format("{\"rows\":[[\"%s\"]]}", in_base64(huge, 16)), 413, "at most");
    /* no decoder in this test */
    expect(NATIVE, "{\"rows\":[[\"iVBORw0KGgo=\"]]}", 501, "there is no decoder of pictures");
}

static void test_tfs(void **state)
{
    (void)state;
    const char *four = grey64(2, 2, 192);
    const char *want = "{\"predictions\":[{\"probabilities\":[0.25,0.75],\"label\":\"bright\"}]}";
    expect("/v1/models/picture:predict", format("{\"instances\":[{\"b64\":\"%s\"}]}", four), 200,
           want);
    expect("/v1/models/picture:predict",
           format("{\"instances\":[{\"photo\":{\"b64\":\"%s\"}}]}", four), 200, want);
    expect("/v1/models/picture:predict",
           format("{\"instances\":[{\"photo\":[{\"b64\":\"%s\"}]}]}", four), 200, want);
    expect("/v1/models/picture:predict",
           format("{\"inputs\":[{\"b64\":\"%s\"},{\"b64\":\"%s\"}]}", four, four), 200,
           "{\"outputs\":{\"probabilities\":[[0.25,0.75],[0.25,0.75]],\"label\":[\"bright\",");
    expect("/v1/models/picture:predict", format("{\"inputs\":{\"b64\":\"%s\"}}", four), 200,
           "{\"outputs\":{\"probabilities\":[[0.25,0.75]]");
    expect("/v1/models/picture:predict",
           format("{\"inputs\":{\"photo\":[{\"b64\":\"%s\"}]}}", four), 200, "\"bright\"");
    expect("/v1/models/picture:classify",
           format("{\"examples\":[{\"photo\":{\"b64\":\"%s\"}}]}", four), 200,
           "{\"results\":[[[\"dark\",0.25],[\"bright\",0.75]]]}");
    expect("/v1/models/picture:predict", "{\"instances\":[{\"b65\":\"QQ==\"}]}", 400,
           "unknown column");
    expect("/v1/models/picture:predict", "{\"instances\":[{\"b64\":\"QQ=\"}]}", 400,
           "malformed b64");
}

/* Pictures as nested lists, as Keras users send them. */
static void test_tfs_pixels(void **state)
{
    (void)state;
    const char *flat = "[[192,192,192,192],[192,192,192,192],[192,192,192,192],[192,192,192,192]]";
    const char *deep =
        " [ [[192.4],[191.5],[192],[192]],[[192],[192],[192],[192]],[[192],[192],[192],[192]],"
        "[[192],[192],[192],[192]] ] ";
    const char *colour =
        "[[[192,192,192],[192,192,192],[192,192,192]],[[192,192,192],[192,192,192],"
        "[192,192,192]]]";
    const char *want = "{\"predictions\":[{\"probabilities\":[0.25,0.75],\"label\":\"bright\"}]}";
    const char *path = "/v1/models/picture:predict";
    expect(path, format("{\"instances\":[%s]}", flat), 200, want);
    expect(path, format("{\"instances\":[%s]}", deep), 200, want);
    expect(path, format("{\"instances\":[%s]}", colour), 200, want);
    expect(path, format("{\"instances\":[{\"photo\":%s}]}", colour), 200, want);
    expect(
        path,
        format("{\"instances\":[%s,{\"b64\":\"%s\"},{\"photo\":%s}]}", flat, grey64(2, 2, 0), deep),
        200,
        "[0.25,0.75],\"label\":\"bright\"},{\"probabilities\":[1.0,0.0],\"label\":\"dark\"},"
        "{\"probabilities\":[0.25,0.75]");
    expect(path, format("{\"inputs\":[%s,%s]}", deep, flat), 200,
           "{\"outputs\":{\"probabilities\":[[0.25,0.75],[0.25,0.75]]");
    expect(path, format("{\"inputs\":{\"photo\":[%s]}}", flat), 200, "[[0.25,0.75]]");
    expect("/api/v1/models/picture/predict", format("{\"rows\":[{\"photo\":%s},[%s]]}", deep, flat),
           200, "\"bright\"");
    static const char *const bad[] = {"[[1,2],[3]]",
                                      "[[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3]]",
                                      "[[[1,2]],[[3,4]]]",
                                      "[[]]",
                                      "[[256,1,1,1],[1,1,1,1],[1,1,1,1],[1,1,1,1]]",
                                      "[[-1,1,1,1],[1,1,1,1],[1,1,1,1],[1,1,1,1]]",
                                      "[[1,2],[3,4]]",
                                      "[[[[1]],[[1]]],[[[1]],[[1]]]]",
                                      "[[1,1,1,1],[1,1,1,1],[1,1,1,1],7]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect(path, format("{\"instances\":[%s]}", bad[i]), 400, "error");
    expect(path, format("{\"instances\":[%s]}", bad[1]), 400, "lists of pixels must be");
    expect(path, "{\"instances\":[[[1,null]]]}", 400, "error");
    expect("/v1/models/card:predict", format("{\"instances\":[%s]}", flat), 400, "error");
}

static void test_v2_bytes(void **state)
{
    (void)state;
    char body[4000], cell[200];
    size_t n = grey(2, 2, 192, cell);
    expect("/v2/models/picture/infer",
           format("{\"inputs\":[{\"name\":\"photo\",\"shape\":[1],\"datatype\":\"BYTES\","
                  "\"data\":[\"%s\"]}]}",
                  grey64(2, 2, 192)),
           200, "\"data\":[0.25,0.75]");
    /* binary: a length before each, an empty one is missing */
    int k = snprintf(body, sizeof body,
                     "{\"inputs\":[{\"name\":\"photo\",\"shape\":[2,1],\"datatype\":\"BYTES\","
                     "\"parameters\":{\"binary_data_size\":%zu}}]}",
                     n + 8);
    uint32_t length = (uint32_t)n;
    memcpy(body + k, &length, 4);
    memcpy(body + k + 4, cell, n);
    memset(body + k + 4 + n, 0, 4);
    const char *head = format("Inference-Header-Content-Length: %d\r\n", k);
    expect_bytes("/v2/models/picture/infer", head, body, (size_t)k + n + 8, 200,
                 "\"data\":[0.25,0.75,1,0]");
    /* raw: the file itself */
    struct answer a =
        ask("/v2/models/picture/infer", "Inference-Header-Content-Length: 0\r\n", cell, n);
    assert_int_equal(a.status, 200);
    assert_non_null(memmem(a.body, a.n, "bright", 6));
    answer_free(&a);
    expect_bytes("/v2/models/picture/infer", "Inference-Header-Content-Length: 0\r\n", cell, n - 1,
                 400, "3 bytes of pixels");
}

static void pixels(const char *dtype, const char *shape, const char *data, int status,
                   const char *part)
{
    expect(
        "/v2/models/picture/infer",
        format("{\"inputs\":[{\"name\":\"photo\",\"shape\":%s,\"datatype\":\"%s\",\"data\":%s}]}",
               shape, dtype, data),
        status, part);
}

static void test_v2_pixels(void **state)
{
    (void)state;
    char body[4000];
    pixels("UINT8", "[1,2,2,1]", "[192,192,192,192]", 200, "\"data\":[0.25,0.75]");
    pixels("UINT8", "[2,1,2,1]", "[[[[192],[192]]],[[[0],[0]]]]", 200, "\"data\":[0.25,0.75,1,0]");
    pixels("FP32", "[1,1,1,3]", "[191.6,192.4,192]", 200, "\"data\":[0.25,0.75]");
    pixels("UINT8", "[0,2,2,1]", "[]", 200, "\"data\":[]");
    pixels("UINT8", "[1,2,2,2]", "[0,0,0,0,0,0,0,0]", 400, "UINT8 or FP32");
    pixels("UINT8", "[1,2,2]", "[0,0,0,0]", 400, "UINT8 or FP32");
    pixels("UINT8", "[1,0,2,1]", "[]", 400, "UINT8 or FP32");
    pixels("INT64", "[1,1,1,1]", "[7]", 400, "UINT8 or FP32");
    pixels("FP32", "[1,1,1,1]", "[256]", 400, "is not in 0 to 255");
    pixels("FP32", "[1,1,1,1]", "[-0.6]", 400, "is not in 0 to 255");
    pixels("UINT8", "[1,1,1,1]", "[null]", 400, "is no UINT8");
    pixels("UINT8", "[1,2,1,1]", "[1]", 400, "has 1 elements, its shape wants 2");
    pixels("UINT8", "[1,65535,65535,4]", "[1]", 400, "UINT8 or FP32");
    pixels("UINT8", "[4000,1000,1000,1]", "[1]", 400, "the data is shorter");
    /* binary */
    int k = snprintf(body, sizeof body,
                     "{\"inputs\":[{\"name\":\"photo\",\"shape\":[2,1,2,1],\"datatype\":\"UINT8\","
                     "\"parameters\":{\"binary_data_size\":4}}]}");
    memcpy(body + k, "\xc0\xc0\0\0", 4);
    const char *head = format("Inference-Header-Content-Length: %d\r\n", k);
    expect_bytes("/v2/models/picture/infer", head, body, (size_t)k + 4, 200,
                 "\"data\":[0.25,0.75,1,0]");
    float f[2] = {192, 192};
    k = snprintf(body, sizeof body,
                 "{\"inputs\":[{\"name\":\"photo\",\"shape\":[1,1,2,1],\"datatype\":\"FP32\","
                 "\"parameters\":{\"binary_data_size\":8}}]}");
    memcpy(body + k, f, 8);
    head = format("Inference-Header-Content-Length: %d\r\n", k);
    expect_bytes("/v2/models/picture/infer", head, body, (size_t)k + 8, 200,
                 "\"data\":[0.25,0.75]");
    /* a model with further inputs takes bytes only */
    expect(
        "/v2/models/card/infer",
        "{\"inputs\":[{\"name\":\"photo\",\"shape\":[1,1,1,1],\"datatype\":\"UINT8\",\"data\":[1]"
        "}]}",
        400, "the shape must be [rows,1]");
}

/* The work of one request is bounded however small its pictures are packed. */
static void test_limits(void **state)
{
    (void)state;
    size_t n = 5000, at = 0;
    char *body = malloc(n * 40 + 100);
    const char *dot = grey64(1, 1, 1);
    at += (size_t)snprintf(body, 100, "{\"rows\":[");
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(body + at, 60, "%s[\"%s\"]", i ? "," : "", dot);
    at += (size_t)snprintf(body + at, 10, "]}");
    expect_bytes(NATIVE, "", body, at, 413, "more than 4096 pictures");
    free(body);
}

/* Whatever the size and however quick the model. */
/* A file may be as large in base64 as the body, longer than other texts may be. */
static void test_large_base64(void **state)
{
    (void)state;
    size_t side = 3700, n = AM_MEDIA_RAW_BYTES + side * side, at = 0;
    char *cell = malloc(n), *body = malloc(n * 4 / 3 + 200);
    assert_true(cell && body && n * 4 / 3 > AM_LIMIT_JSON_STRING_BYTES);
    memset(cell, (char)192, n);
    am_image_raw_header((uint32_t)side, (uint32_t)side, 1, (unsigned char *)cell);
    at += (size_t)snprintf(body, 100, "{\"instances\":[{\"b64\":\"");
    am_base64_write(cell, n, body + at);
    at += am_base64_chars(n);
    at += (size_t)snprintf(body + at, 10, "\"}]}");
    expect_bytes("/v1/models/picture:predict", "", body, at, 200, "\"bright\"");
    free(cell);
    free(body);
}

static void test_never_on_a_loop(void **state)
{
    (void)state;
    char bytes[200];
    size_t n = grey(2, 2, 192, bytes);
    for (int i = 0; i < 50; i++) {
        expect_bytes(NATIVE, "Content-Type: image/png\r\n", bytes, n, 200, BRIGHT);
        pthread_t t = atomic_load(&fx.fake.last_thread);
        for (unsigned k = 0; k <= fx.server.n_loops; k++)
            if (fx.server.loops[k].thread)
                assert_false(pthread_equal(t, fx.server.loops[k].thread));
        assert_false(pthread_equal(t, fx.thread));
    }
}

static int start(void **state)
{
    (void)state;
    return fixture_start(&fx, NULL, 2);
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(&fx);
    return atomic_load(&fx.fake.n_live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openapi),
        cmocka_unit_test(test_native_base64),
        cmocka_unit_test(test_body_is_the_file),
        cmocka_unit_test(test_video),
        cmocka_unit_test(test_columns_of_all_kinds),
        cmocka_unit_test(test_bad_cells),
        cmocka_unit_test(test_tfs),
        cmocka_unit_test(test_tfs_pixels),
        cmocka_unit_test(test_v2_bytes),
        cmocka_unit_test(test_v2_pixels),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_large_base64),
        cmocka_unit_test(test_never_on_a_loop),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
