/* Requests and their answers, one server for all: every protocol, aliases and versions, what bad
 * input gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http_client.h"
#include "server_fixture.h"

static struct fixture fx;

static struct answer ask(const char *method, const char *path, const char *headers,
                         const char *body, size_t n)
{
    static struct client c;
    char head[9000];
    struct answer a;
    int k = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n", method,
                     path, headers, n);
    assert_int_equal(client_open(&c, fx.server.port), 0);
    assert_int_equal(client_send(&c, head, (size_t)k), 0);
    if (n)
        assert_int_equal(client_send(&c, body, n), 0);
    a = client_answer(&c, strcmp(method, "HEAD") == 0);
    client_close(&c);
    return a;
}

static void expect(const char *method, const char *path, const char *body, int status,
                   const char *want)
{
    struct answer a = ask(method, path, "", body ? body : "", body ? strlen(body) : 0);
    if (a.status != status || (want && strcmp(a.body, want) != 0))
        fail_msg("%s %s %s\n got %d %s\nwant %d %s", method, path, body ? body : "", a.status,
                 a.body, status, want ? want : "");
    answer_free(&a);
}

/* The body must contain `part`. */
static void expect_part(const char *method, const char *path, const char *body, int status,
                        const char *part)
{
    struct answer a = ask(method, path, "", body ? body : "", body ? strlen(body) : 0);
    if (a.status != status || !strstr(a.body, part))
        fail_msg("%s %s %s\n got %d %s\nwant %d …%s…", method, path, body ? body : "", a.status,
                 a.body, status, part);
    answer_free(&a);
}

#define P(path, body, want) expect("POST", path, body, 200, want)
#define BAD(path, body, part) expect_part("POST", path, body, 400, part)
#define G(path, want) expect("GET", path, NULL, 200, want)

static void test_tfs_documented_set(void **state)
{
    (void)state;
    /* the examples of TF Serving's REST page, with its half_plus_three */
    P("/v1/models/half:predict", "{\"instances\": [1.0,2.0,5.0]}",
      "{\"predictions\":[3.5,4.0,5.5]}");
    P("/v1/models/half:regress",
      "{\"signature_name\":\"serving_default\",\"examples\":[{\"x\":1.0},{\"x\":[2.0]}]}",
      "{\"results\":[3.5,4.0]}");
    P("/v1/models/half/versions/1:predict", "{\"instances\":[{\"x\":1},{\"x\":[3]}]}",
      "{\"predictions\":[3.5,4.5]}");
    P("/v1/models/half:predict", "{\"inputs\":[1,2]}", "{\"outputs\":[3.5,4.0]}");
    P("/v1/models/half:predict", "{\"inputs\":{\"x\":[[1],[2]]}}", "{\"outputs\":[3.5,4.0]}");
    P("/v1/models/half:predict", "{\"instances\":[]}", "{\"predictions\":[]}");
    P("/v1/models/plane:predict", "{\"instances\":[[0.5,0.25]]}",
      "{\"predictions\":[{\"probabilities\":[0.5,0.25,0.25],\"label\":\"red\"}]}");
    P("/v1/models/plane/labels/champion:predict", "{\"inputs\":{\"b\":[1],\"a\":[0]}}",
      "{\"outputs\":{\"probabilities\":[[0.0,1.0,0.0]],\"label\":[\"gr\\\"een\"]}}");
    P("/v1/models/plane:classify", "{\"examples\":[{\"a\":0.5,\"b\":[0.25]}]}",
      "{\"results\":[[[\"red\",0.5],[\"gr\\\"een\",0.25],[\"blue\",0.25]]]}");
}

static void test_tfs_refusals(void **state)
{
    (void)state;
    BAD("/v1/models/half:predict", "{}", "Missing 'inputs' or 'instances' key");
    BAD("/v1/models/half:predict", "{\"instances\":[1],\"inputs\":[1]}", "unexpected key");
    BAD("/v1/models/half:predict", "{\"signature_name\":\"other\",\"instances\":[1]}",
        "serving signature name \\\"other\\\" not found in signature def");
    BAD("/v1/models/half:predict", "{\"instances\":[\"a\"]}", "wants number, got text");
    BAD("/v1/models/half:predict", "{\"instances\":[Infinity]}", "infinite");
    BAD("/v1/models/half:predict", "{\"instances\":[1e999]}", "out of range");
    BAD("/v1/models/plane:predict", "{\"instances\":[1.0]}", "no object");
    BAD("/v1/models/plane:predict", "{\"instances\":[[1.0]]}", "has 1 values, the model wants 2");
    BAD("/v1/models/plane:predict", "{\"instances\":[[1,2,3]]}", "more than 2 values");
    BAD("/v1/models/plane:predict", "{\"inputs\":{\"a\":[1],\"b\":[1,2]}}", "has 2 values");
    BAD("/v1/models/plane:predict", "{\"inputs\":{\"a\":[1]}}", "\\\"b\\\" is absent");
    BAD("/v1/models/plane:predict", "{\"inputs\":{\"a\":[1],\"a\":[1]}}", "given twice");
    BAD("/v1/models/plane:predict", "{\"inputs\":{\"a\":[1],\"bb\":[1]}}",
        "Did you mean \\\"b\\\"?");
    BAD("/v1/models/plane:regress", "{\"examples\":[]}", "predicts a class");
    BAD("/v1/models/half:classify", "{\"examples\":[]}", "predicts a number");
    BAD("/v1/models/half:predict", "{\"instances\":[NaN]}", "not finite");
    expect_part("POST", "/v1/models/nix:predict", "{\"instances\":[1]}", 404, "not known");
    expect_part("POST", "/v1/models/half/versions/9:predict", "{\"instances\":[1]}", 404,
                "no version or alias \\\"9\\\"");
    expect_part("POST", "/v1/models/broken:predict", "{\"instances\":[1]}", 422, "is cut off");
}

static void test_tfs_status(void **state)
{
    (void)state;
    G("/v1/models/half",
      "{\"model_version_status\":[{\"version\":\"2\",\"state\":\"AVAILABLE\",\"status\":{\"error_"
      "code\":"
      "\"OK\",\"error_message\":\"\"}},{\"version\":\"1\",\"state\":\"AVAILABLE\",\"status\":{"
      "\"error_code\":\"OK\",\"error_message\":\"\"}}]}");
    expect_part("GET", "/v1/models/plane/labels/champion", NULL, 200, "\"version\":\"2\"");
    expect_part("GET", "/v1/models/broken", NULL, 200, "\"state\":\"END\"");
    expect_part(
        "GET", "/v1/models/half/metadata", NULL, 200,
        "\"metadata\":{\"signature_def\":{\"signature_def\":{\"serving_default\":{\"inputs\":{"
        "\"x\":{\"dtype\":\"DT_DOUBLE\"");
    expect_part("GET", "/v1/models/nix", NULL, 404, "not known");
}

static void test_native(void **state)
{
    (void)state;
    P("/api/v1/models/half/predict", "{\"rows\":[{\"x\":1},[3]]}",
      "{\"model\":\"half\",\"version\":2,\"predictions\":[{\"value\":3.5},{\"value\":4.5}]}");
    P("/api/v1/models/half@1/predict", "{\"rows\":[]}",
      "{\"model\":\"half\",\"version\":1,\"predictions\":[]}");
    P("/api/v1/models/plane/versions/champion/predict", "{\"rows\":[{\"b\":0.25,\"a\":0.5}]}",
      "{\"model\":\"plane\",\"version\":2,\"predictions\":[{\"label\":\"red\",\"probability\":{"
      "\"red\":0.5,\"gr\\\"een\":0.25,\"blue\":0.25}}]}");
    P("/api/v1/models/mixed/predict",
      "{\"rows\":[{\"amount\":null,\"member\":null,\"city\":null,\"note\":null,\"since\":null,"
      "\"customer\":17}]}",
      "{\"model\":\"mixed\",\"version\":1,\"predictions\":[{\"label\":\"yes\",\"probability\":{"
      "\"no\":"
      "0.5,\"yes\":0.5}}]}");
    /* each cell arrives: -210 + 10 + 100 * length of "42" + 1000 * 0 + day 0 */
    P("/api/v1/models/mixed/predict",
      "{\"rows\":[{\"amount\":-210,\"member\":true,\"city\":42.0,\"note\":\"\",\"since\":\"1970-01-"
      "01\"}]}",
      "{\"model\":\"mixed\",\"version\":1,\"predictions\":[{\"label\":\"yes\",\"probability\":{"
      "\"no\":"
      "0.5,\"yes\":0.5}}]}");
}

#define SIEVE "/api/v1/models/sieve/predict"
#define ROWS "\"rows\":[[1,0],{\"b\":2,\"a\":-1}]"
#define SIEVE_HEAD "{\"model\":\"sieve\",\"version\":1,\"predictions\":["

static void test_native_rows_learned(void **state)
{
    (void)state;
    P(SIEVE, "{" ROWS "}",
      SIEVE_HEAD "{\"anomaly_score\":1,\"is_anomaly\":false},"
                 "{\"anomaly_score\":5,\"is_anomaly\":true}]}");
    P(SIEVE, "{" ROWS ",\"outputs\":[\"reconstruction\",\"embedding\"]}",
      SIEVE_HEAD "{\"embedding\":[1,1,0.5],\"reconstruction\":{\"a\":0,\"b\\\"\":1}},"
                 "{\"embedding\":[1,-3,0.5],\"reconstruction\":{\"a\":2,\"b\\\"\":-1}}]}");
    P(SIEVE "?outputs=is_anomaly", "{" ROWS "}",
      SIEVE_HEAD "{\"is_anomaly\":false},{\"is_anomaly\":true}]}");
    P(SIEVE "?outputs=is_anomaly", "{\"outputs\":[\"anomaly_score\"]," ROWS "}",
      SIEVE_HEAD "{\"anomaly_score\":1},{\"anomaly_score\":5}]}");
    P(SIEVE "?other=1", "{\"rows\":[]}", SIEVE_HEAD "]}");
    P("/api/v1/models/vectors/predict", "{" ROWS "}",
      "{\"model\":\"vectors\",\"version\":1,\"predictions\":[{\"embedding\":[1,1,0.5]},"
      "{\"embedding\":[1,-3,0.5]}]}");
    P("/api/v1/models/half/predict", "{\"outputs\":[\"value\"],\"rows\":[[1]]}",
      "{\"model\":\"half\",\"version\":2,\"predictions\":[{\"value\":3.5}]}");
    P("/api/v1/models/plane/predict?outputs=label", "{\"rows\":[[1,0]]}",
      "{\"model\":\"plane\",\"version\":3,\"predictions\":[{\"label\":\"red\"}]}");
    BAD(SIEVE, "{\"outputs\":[\"label\"]," ROWS "}",
        "anomaly_score, is_anomaly, embedding, reconstruction");
    BAD("/api/v1/models/vectors/predict", "{\"outputs\":[\"is_anomaly\"]," ROWS "}",
        "anomaly_score, embedding.");
    BAD(SIEVE, "{\"outputs\":[]," ROWS "}", "is empty");
    BAD(SIEVE, "{\"outputs\":{}," ROWS "}", "");
    BAD(SIEVE, "{\"outputs\":[7]," ROWS "}", "");
    BAD(SIEVE, "{\"outputs\":[\"embedding\"],\"outputs\":[\"embedding\"]," ROWS "}", "outputs");
    BAD(SIEVE "?outputs=", "{" ROWS "}", "no output");
    BAD(SIEVE "?outputs=embedding,", "{" ROWS "}", "no output");
}

#define MATRIX                                                                                     \
    "{\"inputs\":[{\"name\":\"input\",\"shape\":[2,2],\"datatype\":\"FP64\",\"data\":[1,0,-1,2]}]"

static void test_v2_rows_learned(void **state)
{
    (void)state;
    P("/v2/models/sieve/infer", MATRIX "}",
      "{\"model_name\":\"sieve\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"anomaly_score\","
      "\"datatype\":\"FP64\",\"shape\":[2,1],\"data\":[1,5]},{\"name\":\"is_anomaly\","
      "\"datatype\":\"BOOL\",\"shape\":[2],\"data\":[false,true]}]}");
    P("/v2/models/sieve/infer",
      MATRIX ",\"outputs\":[{\"name\":\"reconstruction\"},{\"name\":\"embedding\"}]}",
      "{\"model_name\":\"sieve\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"reconstruction\","
      "\"datatype\":\"FP64\",\"shape\":[2,2],\"data\":[0,1,2,-1]},{\"name\":\"embedding\","
      "\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[1,1,0.5,1,-3,0.5]}]}");
    P("/v2/models/vectors/infer", MATRIX "}",
      "{\"model_name\":\"vectors\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"embedding\","
      "\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[1,1,0.5,1,-3,0.5]}]}");
    BAD("/v2/models/vectors/infer", MATRIX ",\"outputs\":[{\"name\":\"reconstruction\"}]}",
        "unexpected inference output");
    BAD("/v2/models/sieve/infer",
        MATRIX ",\"outputs\":[{\"name\":\"embedding\"},{\"name\":\"embedding\"}]}", "wanted twice");
    G("/v2/models/sieve",
      "{\"name\":\"sieve\",\"versions\":[\"1\"],\"platform\":\"aimass\",\"inputs\":[{\"name\":"
      "\"a\","
      "\"datatype\":\"FP64\",\"shape\":[-1,1]},{\"name\":\"b\",\"datatype\":\"FP64\",\"shape\":[-1,"
      "1]}],"
      "\"outputs\":[{\"name\":\"anomaly_score\",\"datatype\":\"FP64\",\"shape\":[-1,1]},"
      "{\"name\":\"is_anomaly\",\"datatype\":\"BOOL\",\"shape\":[-1]},{\"name\":\"embedding\","
      "\"datatype\":\"FP32\",\"shape\":[-1,3]},{\"name\":\"reconstruction\",\"datatype\":\"FP64\","
      "\"shape\":[-1,2]}]}");
}

static void test_tfs_rows_learned(void **state)
{
    (void)state;
    P("/v1/models/sieve:predict", "{\"instances\":[[1,0]]}",
      "{\"predictions\":[{\"anomaly_score\":1,\"is_anomaly\":false}]}");
    P("/v1/models/sieve:predict", "{\"inputs\":[[1,0],[1,1]]}",
      "{\"outputs\":{\"anomaly_score\":[1,2],\"is_anomaly\":[false,true]}}");
    P("/v1/models/vectors:predict", "{\"instances\":[[1,0]]}", "{\"predictions\":[[1,1,0.5]]}");
    P("/v1/models/vectors:predict", "{\"inputs\":[[1,0]]}", "{\"outputs\":[[1,1,0.5]]}");
    P("/v1/models/sieve:regress", "{\"examples\":[{\"a\":1,\"b\":1}]}", "{\"results\":[2.0]}");
    BAD("/v1/models/sieve:classify", "{\"examples\":[]}", "predicts a number");
    expect_part("GET", "/v1/models/vectors/metadata", NULL, 200,
                "\"outputs\":{\"embedding\":{\"dtype\":\"DT_FLOAT\",\"tensor_shape\":{\"dim\":[{"
                "\"size\":\"-1\",\"name\":\"\"},{\"size\":\"3\",\"name\":\"\"}]");
    expect_part("GET", "/api/v1/models/sieve", NULL, 200,
                "\"task\":\"anomaly\",\"target\":null,\"classes\":[],\"threshold\":2");
}

static void test_native_refusals(void **state)
{
    const char *path = "/api/v1/models/mixed/predict";
    (void)state;
    BAD(path, "", "invalid JSON at byte 0");
    BAD(path, "[]", "an object was expected");
    BAD(path, "{}", "\"detail\":\"the key \\\"rows\\\" is missing\"");
    BAD(path, "{\"rows\":[],\"x\":1}", "unknown key \\\"x\\\"");
    BAD(path, "{\"rows\":[],\"rows\":[]}", "second key");
    BAD(path, "{\"rows\":{}}", "an array was expected");
    BAD(path, "{\"rows\":[{\"amount\":1}]}", "column \\\"member\\\" is absent");
    BAD(path, "{\"rows\":[{\"amuont\":1}]}", "Did you mean \\\"amount\\\"?");
    BAD(path, "{\"rows\":[{\"amount\":1,\"amount\":1}]}", "given twice");
    BAD(path, "{\"rows\":[{\"amount\":\"1\"}]}", "wants number, got text");
    BAD(path, "{\"rows\":[{\"amount\":true}]}", "wants number, got true");
    BAD(path, "{\"rows\":[{\"member\":2}]}", "wants boolean, got a number");
    BAD(path, "{\"rows\":[{\"since\":\"yesterday\"}]}", "is no date");
    BAD(path, "{\"rows\":[{\"since\":5}]}", "wants date, got a number");
    BAD(path, "{\"rows\":[{\"city\":[]}]}", "wants category, got a list");
    BAD(path, "{\"rows\":[{\"amount\":NaN}]}", "a value was expected");
    BAD(path, "{\"rows\":[{\"city\":\"\xff\"}]}", "invalid UTF-8");
    BAD(path, "{\"rows\":[]} x", "bytes behind the document");
    BAD(path, "{\"rows\":[{\"city\":{\"b64\":\"!!!!\"}}]}", "malformed b64");
}

static void test_deep_nesting(void **state)
{
    char body[2100] = "{\"rows\":";
    (void)state;
    memset(body + 8, '[', 1000);
    BAD("/api/v1/models/mixed/predict", body, "\"status\":400");
    memset(body + 8 + 1000, ']', 1000);
    body[2008] = '}';
    BAD("/v2/models/half/infer", body, "nested too deep");
}

#define V2X(datatype, shape, data)                                                                 \
    "{\"inputs\":[{\"name\":\"x\",\"shape\":" shape ",\"datatype\":\"" datatype                    \
    "\",\"data\":" data "}]}"

static void test_v2_json(void **state)
{
    (void)state;
    P("/v2/models/half/infer", V2X("FP64", "[2,1]", "[[1],[2]]"),
      "{\"model_name\":\"half\",\"model_version\":\"2\",\"outputs\":[{\"name\":\"value\","
      "\"datatype\":"
      "\"FP64\",\"shape\":[2,1],\"data\":[3.5,4]}]}");
    P("/v2/models/half/versions/1/infer", V2X("INT8", "[2]", "[-128,127]"),
      "{\"model_name\":\"half\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"value\","
      "\"datatype\":"
      "\"FP64\",\"shape\":[2,1],\"data\":[-61,66.5]}]}");
    P("/v2/models/half/infer", V2X("FP64", "[0]", "[]"),
      "{\"model_name\":\"half\",\"model_version\":\"2\",\"outputs\":[{\"name\":\"value\","
      "\"datatype\":"
      "\"FP64\",\"shape\":[0,1],\"data\":[]}]}");
    /* keys in an order that needs the data to be read later; id; matrix; one output */
    P("/v2/models/plane/infer",
      "{\"id\":\"a\\\"b\",\"model_name\":\"plane\",\"inputs\":[{\"data\":[0.5,0.25],\"datatype\":"
      "\"FP32\",\"shape\":[1,2],\"name\":\"input\"}],\"outputs\":[{\"name\":\"label\"}]}",
      "{\"model_name\":\"plane\",\"model_version\":\"3\",\"id\":\"a\\\"b\",\"outputs\":[{\"name\":"
      "\"label\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"red\"]}]}");
    P("/v2/models/plane@champion/infer",
      "{\"inputs\":[{\"name\":\"b\",\"shape\":[1,1],\"datatype\":\"FP64\",\"data\":[0.25]},{"
      "\"name\":"
      "\"a\",\"shape\":[1],\"datatype\":\"BOOL\",\"data\":[true]}],\"outputs\":[{\"name\":"
      "\"probabilities\",\"parameters\":{\"classification\":2}}]}",
      "{\"model_name\":\"plane\",\"model_version\":\"2\",\"outputs\":[{\"name\":\"probabilities\","
      "\"datatype\":\"BYTES\",\"shape\":[1,2],\"data\":[\"1:0:red\",\"0.25:1:gr\\\"een\"]}]}");
}

static void test_v2_refusals(void **state)
{
    const char *path = "/v2/models/half/infer";
    (void)state;
    BAD(path, "{}", "expected 1 inputs but got 0");
    BAD(path, V2X("FP64", "[3]", "[1,2]"), "has 2 elements, its shape wants 3");
    BAD(path, V2X("FP64", "[1]", "[1,2]"), "more than the 1 elements");
    BAD(path, V2X("FP64", "[1,2]", "[1,2]"), "shape must be [rows,1]");
    BAD(path, V2X("FP64", "[-1]", "[1]"), "whole numbers");
    BAD(path, V2X("FP64", "[4294967295]", "[1]"), "the data is shorter");
    BAD(path, V2X("FP64", "[1e19]", "[1]"), "whole numbers");
    BAD(path, V2X("FP64", "[1,1,1,1,1,1,1,1,1]", "[1]"), "more than 8 dimensions");
    BAD(path, V2X("FP64", "[1]", "[[[1]]]"), "nested deeper");
    BAD(path, V2X("UINT8", "[1]", "[300]"), "out of the range of UINT8");
    BAD(path, V2X("INT32", "[1]", "[1.5]"), "out of the range of INT32");
    BAD(path, V2X("FP64", "[1]", "[\"a\"]"), "is no FP64");
    BAD(path, V2X("FP63", "[1]", "[1]"), "unknown datatype");
    BAD(path, V2X("BYTES", "[1]", "[\"1\"]"), "does not suit");
    BAD(path, "{\"inputs\":[{\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}]}",
        "unknown input");
    BAD(path, "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP64\"}]}",
        "needs either");
    BAD(path, "{\"inputs\":[{\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}]}",
        "needs \\\"name\\\"");
    BAD(path, "{\"inputs\":[],\"inputs\":[]}", "given twice");
    BAD("/v2/models/plane/infer",
        "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]},{\"name\":"
        "\"a\","
        "\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}]}",
        "given twice");
    BAD("/v2/models/plane/infer",
        "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]},{\"name\":"
        "\"input\",\"shape\":[1,2],\"datatype\":\"FP64\",\"data\":[1,2]}]}",
        "cannot stand beside");
    BAD("/v2/models/plane/infer",
        "{\"inputs\":[{\"name\":\"input\",\"shape\":[1,2],\"datatype\":\"FP64\",\"data\":[1,2]}],"
        "\"outputs\":[{\"name\":\"label\"},{\"name\":\"label\"}]}",
        "wanted twice");
    BAD("/v2/models/plane/infer", "{\"parameters\":{\"triton_x\":1}}", "not supported");
    BAD("/v2/models/plane/infer", "{\"parameters\":{\"sequence_id\":3}}", "no sequences");
}

static size_t put_text(char *at, const char *s)
{
    uint32_t n = (uint32_t)strlen(s);
    memcpy(at, &n, 4);
    memcpy(at + 4, s, n);
    return 4 + n;
}

static void test_v2_binary(void **state)
{
    static const char json[] =
        "{\"inputs\":[{\"name\":\"amount\",\"shape\":[2,1],\"datatype\":\"FP32\",\"parameters\":{"
        "\"binary_data_size\":8}},{\"name\":\"member\",\"shape\":[2,1],\"datatype\":\"BOOL\","
        "\"parameters\":{\"binary_data_size\":2}},{\"name\":\"city\",\"shape\":[2,1],\"datatype\":"
        "\"BYTES\",\"parameters\":{\"binary_data_size\":12}},{\"name\":\"note\",\"shape\":[2,1],"
        "\"datatype\":\"BYTES\",\"data\":[\"\",null]},{\"name\":\"since\",\"shape\":[2,1],"
        "\"datatype\":"
        "\"BYTES\",\"parameters\":{\"binary_data_size\":18}}],\"parameters\":{\"binary_data_"
        "output\":"
        "true}}";
    char body[2048], header[128];
    float amounts[2] = {-400.0f, __builtin_nanf("")};
    size_t n = sizeof json - 1;
    (void)state;
    memcpy(body, json, n);
    memcpy(body + n, amounts, 8);
    n += 8;
    body[n++] = 0;
    body[n++] = 0;
    n += put_text(body + n, "Bonn");
    n += put_text(body + n, "");
    n += put_text(body + n, "1970-01-01");
    n += put_text(body + n, "");
    (void)snprintf(header, sizeof header, "Inference-Header-Content-Length: %zu\r\n",
                   sizeof json - 1);
    struct answer a = ask("POST", "/v2/models/mixed/infer", header, body, n);
    if (a.status != 200)
        fail_msg("%d %s", a.status, a.body);
    size_t head = strtoul(header_value(a.head, "Inference-Header-Content-Length"), NULL, 10);
    assert_non_null(strstr(a.head, "application/octet-stream"));
    assert_int_equal(a.n, head + 16 + 14);
    float p[4];
    memcpy(p, a.body + head, sizeof p);
    assert_true(p[0] == 0.5f && p[1] == 0.5f && p[2] == 0.5f && p[3] == 0.5f);
    assert_memory_equal(a.body + head + 16, "\3\0\0\0yes\3\0\0\0yes", 14);
    answer_free(&a);
    /* one byte more, one less, a header that lies */
    for (int i = 0; i < 4; i++) {
        static const char *const parts[] = {"unexpected additional", "unexpected size",
                                            "does not suit", "does not suit"};
        size_t lie[] = {sizeof json - 1, sizeof json - 1, 999999, sizeof json - 1};
        (void)snprintf(header, sizeof header, "Inference-Header-Content-Length: %s%zu\r\n",
                       i == 3 ? "+" : "", lie[i]);
        a = ask("POST", "/v2/models/mixed/infer", header, body,
                i == 0   ? n + 1
                : i == 1 ? n - 1
                         : n);
        if (a.status != 400 || !strstr(a.body, parts[i]))
            fail_msg("%d: %d %s", i, a.status, a.body);
        answer_free(&a);
    }
}

static void test_v2_raw(void **state)
{
    double x = 5;
    struct answer a = ask("POST", "/v2/models/half/infer", "Inference-Header-Content-Length: 0\r\n",
                          (const char *)&x, sizeof x);
    (void)state;
    assert_int_equal(a.status, 200);
    memcpy(&x, a.body + a.n - 8, 8);
    assert_true(x == 5.5);
    answer_free(&a);
    a = ask("POST", "/v2/models/half/infer", "Inference-Header-Content-Length: 0\r\n", "1234567",
            7);
    assert_int_equal(a.status, 400);
    answer_free(&a);
}

static void test_v2_metadata(void **state)
{
    (void)state;
    G("/v2/health/live", "");
    G("/v2/health/ready", "");
    G("/v2/models/half/ready", "");
    G("/v2/models/plane/versions/3/ready", "");
    expect_part("GET", "/v2/models/broken/ready", NULL, 422, "cut off");
    expect_part("GET", "/v2/models/nix/ready", NULL, 404, "not known");
    expect_part("GET", "/v2", NULL, 200, "\"binary_tensor_data\"");
    G("/v2/models/plane",
      "{\"name\":\"plane\",\"versions\":[\"1\",\"2\",\"3\"],\"platform\":\"aimass\",\"inputs\":[{"
      "\"name\":\"a\",\"datatype\":\"FP64\",\"shape\":[-1,1]},{\"name\":\"b\",\"datatype\":"
      "\"FP64\","
      "\"shape\":[-1,1]}],\"outputs\":[{\"name\":\"probabilities\",\"datatype\":\"FP32\",\"shape\":"
      "["
      "-1,3]},{\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[-1]}]}");
    expect_part("GET", "/v2/models/half/stats", NULL, 200, "\"inference_stats\":{\"success\"");
    expect_part("POST", "/v2/repository/index", NULL, 200,
                "{\"name\":\"half\",\"version\":\"2\",\"state\":\"READY\"}");
}

static void test_slow_model_goes_through_workers(void **state)
{
    (void)state;
    P("/v1/models/slow:predict", "{\"instances\":[1.0,2.0]}", "{\"predictions\":[3.5,4.0]}");
    P("/v2/models/slow/infer",
      "{\"id\":\"7\",\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":"
      "\"FP64\",\"data\":[4]}]}",
      "{\"model_name\":\"slow\",\"model_version\":\"1\",\"id\":\"7\",\"outputs\":[{\"name\":"
      "\"value\","
      "\"datatype\":\"FP64\",\"shape\":[1,1],\"data\":[5]}]}");
    BAD("/v1/models/slow:predict", "{\"instances\":[null]}", "not finite");
}

static void test_failure_inside_is_not_told(void **state)
{
    (void)state;
    atomic_store(&fx.fake.fail_predict, 1);
    struct answer a = ask("POST", "/api/v1/models/half/predict", "X-Request-Id: abc-1\r\n",
                          "{\"rows\":[{\"x\":1}]}", 18);
    assert_int_equal(a.status, 500);
    assert_non_null(strstr(a.body, "\"request_id\":\"abc-1\""));
    assert_null(strstr(a.body, "passwd"));
    answer_free(&a);
    const char *body = V2X("FP64", "[1]", "[4]");
    a = ask("POST", "/v2/models/slow/infer", "", body, strlen(body));
    atomic_store(&fx.fake.fail_predict, 0);
    assert_int_equal(a.status, 500);
    assert_null(strstr(a.body, "passwd"));
    answer_free(&a);
}

static void test_routes(void **state)
{
    (void)state;
    expect_part("GET", "/", NULL, 404, "no such path");
    expect_part("GET", "/v2/", NULL, 404, "no such path");
    expect_part("GET", "//v2", NULL, 404, "no such path");
    expect_part("GET", "/V2", NULL, 404, "no such path");
    expect_part("GET", "/v2?x=1", NULL, 200, "aimass");
    expect_part("DELETE", "/v2", NULL, 405, "not allowed");
    expect_part("GET", "/v1/models/half:predict", NULL, 405, "not allowed");
    expect_part("POST", "/v1/models/half", "{}", 405, "not allowed");
    expect_part("GET", "/api/v1/models/..", NULL, 400, "malformed name");
    expect_part("GET", "/api/v1/models/%2e%2e", NULL, 400, "malformed name");
    expect_part("GET", "/api/v1/models/a%2fb", NULL, 400, "malformed name");
    expect_part("GET", "/api/v1/models/a%00", NULL, 400, "malformed name");
    expect_part("GET", "/api/v1/models/a%zz", NULL, 400, "malformed name");
    expect_part("GET", "/api/v1/models/half@1@2", NULL, 400, "malformed name");
    expect_part("GET", "/api/v1/models/h%61lf", NULL, 200, "\"model\":\"half\"");
    expect("HEAD", "/v2", NULL, 200, "");
    expect_part("GET", "/openapi.json", NULL, 200, "\"openapi\":\"3.1.0\"");
    expect_part("GET", "/healthz", NULL, 200, "\"ready\":true");
    expect_part("GET", "/metrics", NULL, 200, "nv_inference_request_success{model=\"half\"");
    expect_part("GET", "/monitoring/prometheus/metrics", NULL, 200,
                ":tensorflow:serving:request_count{model_name=\"half\",status=\"OK\"}");
    expect_part("GET", "/api/v1/models", NULL, 200, "\"total\":10");
    expect_part("GET", "/api/v1/models/plane/versions/champion", NULL, 200, "\"version\":2");
}

static void test_no_route_changes_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < am_n_routes; i++) {
        const struct am_route *r = &am_routes[i];
        assert_true(r->method == AM_GET || r->method == AM_POST);
        if (r->method == AM_POST)
            assert_true(r->protocol || strcmp(r->pattern, "/v2/repository/index") == 0);
        assert_non_null(r->permission);
        assert_true(strcmp(r->permission, "predict") == 0 || strcmp(r->permission, "read") == 0 ||
                    strcmp(r->permission, "metrics") == 0 || strcmp(r->permission, "health") == 0);
    }
}

static int status_with(const char *headers)
{
    char text[512];
    struct client c;
    int n = snprintf(text, sizeof text, "GET /v2 HTTP/1.1\r\n%s\r\n", headers);
    assert_int_equal(client_open(&c, fx.server.port), 0);
    assert_int_equal(client_send(&c, text, (size_t)n), 0);
    struct answer a = client_answer(&c, 0);
    int status = a.status;
    answer_free(&a);
    client_close(&c);
    return status;
}

static void test_host_and_origin(void **state)
{
    (void)state;
    assert_int_equal(status_with("Host: localhost\r\n"), 200);
    assert_int_equal(status_with("Host: LocalHost:1234\r\n"), 200);
    assert_int_equal(status_with("Host: 127.0.0.1:80\r\n"), 200);
    assert_int_equal(status_with("Host: [::1]:80\r\n"), 200);
    assert_int_equal(status_with("Host: [::1]\r\n"), 200);
    assert_int_equal(status_with("Host: example.org\r\n"), 403);
    assert_int_equal(status_with("Host: localhost.example.org\r\n"), 403);
    assert_int_equal(status_with("Host: 127.0.0.1.example.org\r\n"), 403);
    assert_int_equal(status_with("Host: localhost:x\r\n"), 403);
    assert_int_equal(status_with("Host: [::1]x\r\n"), 403);
    assert_int_equal(status_with("Host: \r\n"), 403);
    assert_int_equal(status_with("Host: localhost\r\nOrigin: http://localhost\r\n"), 200);
    assert_int_equal(status_with("Host: localhost:8\r\nOrigin: http://localhost:8\r\n"), 200);
    assert_int_equal(status_with("Host: localhost:8\r\nOrigin: http://localhost:9\r\n"), 403);
    assert_int_equal(status_with("Host: localhost\r\nOrigin: https://example.org\r\n"), 403);
    assert_int_equal(status_with("Host: localhost\r\nOrigin: null\r\n"), 403);
}

static int start(void **state)
{
    (void)state;
    if (fixture_start(&fx, NULL, 2) != 0)
        return -1;
    /* until the loader has all: an answer from an explicit version waits for it */
    expect("POST", "/v1/models/half/versions/1:predict", "{\"instances\":[]}", 200, NULL);
    while (!am_serve_ready(fx.serve))
        sched_yield();
    return 0;
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
        cmocka_unit_test(test_tfs_documented_set),
        cmocka_unit_test(test_tfs_refusals),
        cmocka_unit_test(test_tfs_status),
        cmocka_unit_test(test_native),
        cmocka_unit_test(test_native_refusals),
        cmocka_unit_test(test_native_rows_learned),
        cmocka_unit_test(test_v2_rows_learned),
        cmocka_unit_test(test_tfs_rows_learned),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_v2_json),
        cmocka_unit_test(test_v2_refusals),
        cmocka_unit_test(test_v2_binary),
        cmocka_unit_test(test_v2_raw),
        cmocka_unit_test(test_v2_metadata),
        cmocka_unit_test(test_slow_model_goes_through_workers),
        cmocka_unit_test(test_failure_inside_is_not_told),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_no_route_changes_anything),
        cmocka_unit_test(test_host_and_origin),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
