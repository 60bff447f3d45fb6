/* The HTTP layer, byte by byte over raw sockets: the probes of the reference, smuggling, limits,
 * time limits, pipelining, continuation, draining, and the swap of versions under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/wait.h>

#include "http_client.h"
#include "server_fixture.h"

static struct fixture fx;

#define BODY "{\"instances\":[1.0,2.0,5.0]}"
#define ANSWER "{\"predictions\":[3.5,4.0,5.5]}"
#define HEAD "POST /v1/models/half:predict HTTP/1.1\r\nHost: localhost\r\n"

static struct client *dial(void)
{
    struct client *c = malloc(sizeof *c);
    assert_int_equal(client_open(c, fx.server.port), 0);
    return c;
}

static void hang_up(struct client *c)
{
    client_close(c);
    free(c);
}

static void expect_answer(struct client *c, int status, const char *body)
{
    struct answer a = client_answer(c, 0);
    if (a.status != status || (body && strcmp(a.body, body) != 0))
        fail_msg("got %d %s, want %d %s", a.status, a.body, status, body ? body : "");
    answer_free(&a);
}

/* Send the bytes on a new connection; the answer must have the status and the connection end. */
static void refused(const char *bytes, size_t n, int status)
{
    struct client *c = dial();
    assert_int_equal(client_send(c, bytes, n), 0);
    struct answer a = client_answer(c, 0);
    if (a.status != status)
        fail_msg("%.*s\ngot %d %s, want %d", (int)(n > 300 ? 300 : n), bytes, a.status, a.body,
                 status);
    answer_free(&a);
    assert_true(client_closed(c));
    hang_up(c);
}
#define REFUSED(text, status) refused(text, sizeof(text) - 1, status)

static void test_one_request(void **state)
{
    struct client *c = dial();
    (void)state;
    client_send(c, HEAD "Content-Length: 27\r\n\r\n" BODY, sizeof HEAD + 22 + 27 - 1);
    expect_answer(c, 200, ANSWER);
    client_send(c, HEAD "Content-Length: 27\r\n\r\n" BODY, sizeof HEAD + 22 + 27 - 1);
    expect_answer(c, 200, ANSWER);
    hang_up(c);
}

static void test_every_split(void **state)
{
    static const char text[] = HEAD "X-A: b\r\nContent-Length: 27\r\n\r\n" BODY;
    struct client *c = dial();
    (void)state;
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        int one = 1;
        setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
        client_send(c, text, cut);
        /* a second connection's answer shows that the loop has read the first part, or soon will */
        if (cut % 16 == 0) {
            struct client *other = dial();
            client_send(other, text, sizeof text - 1);
            expect_answer(other, 200, ANSWER);
            hang_up(other);
        }
        client_send(c, text + cut, sizeof text - 1 - cut);
        expect_answer(c, 200, ANSWER);
    }
    hang_up(c);
}

static void test_pipelined(void **state)
{
    char text[8192];
    size_t n = 0;
    struct client *c = dial();
    (void)state;
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, HEAD "Content-Length: 27\r\n\r\n" BODY);
    client_send(c, text, n);
    for (int i = 0; i < 8; i++)
        expect_answer(c, 200, ANSWER);
    /* with requests that leave the loop in between: the order stays */
    n = 0;
    for (int i = 0; i < 8; i++) {
        char body[64];
        int k = snprintf(body, sizeof body, "{\"instances\":[%d]}", i);
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "POST /v1/models/%s:predict HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: %d\r\n\r\n%s",
                              i % 3 ? "slow" : "half", k, body);
    }
    client_send(c, text, n);
    for (int i = 0; i < 8; i++) {
        char want[64];
        (void)snprintf(want, sizeof want, "{\"predictions\":[%.1f]}", i / 2.0 + 3);
        expect_answer(c, 200, want);
    }
    hang_up(c);
}

static void test_ten_thousand_pipelined(void **state)
{
    static const char one[] = "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct client *c = dial();
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 9000; i++)
            if (client_send(c, one, sizeof one - 1) != 0)
                _exit(1);
        _exit(0);
    }
    for (int i = 0; i < 9000; i++)
        expect_answer(c, 200, "");
    waitpid(child, NULL, 0);
    hang_up(c);
}

static void test_chunked(void **state)
{
    static const char text[] = HEAD "Transfer-Encoding: chunked\r\n\r\n"
                                    "a\r\n{\"instance\r\n9;x=y\r\ns\":[1.0,2\r\n8\r\n.0,5.0]}\r\n"
                                    "0\r\nHost: evil\r\n\r\n";
    struct client *c = dial();
    (void)state;
    for (int i = 0; i < 3; i++) {
        client_send(c, text, sizeof text - 1);
        expect_answer(c, 200, ANSWER);
    }
    for (size_t i = 0; i < sizeof text - 1; i++) /* byte by byte */
        client_send(c, text + i, 1);
    expect_answer(c, 200, ANSWER);
    hang_up(c);
}

static void test_expect_continue(void **state)
{
    struct client *c = dial();
    (void)state;
    client_send(c, HEAD "Content-Length: 27\r\nExpect: 100-continue\r\n\r\n", sizeof HEAD + 44 - 1);
    struct answer a = client_answer(c, 1);
    assert_int_equal(a.status, 100);
    answer_free(&a);
    client_send(c, BODY, 27);
    expect_answer(c, 200, ANSWER);
    hang_up(c);
    REFUSED(HEAD "Content-Length: 27\r\nExpect: a-miracle\r\n\r\n", 417);
    REFUSED(HEAD "Content-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n", 413);
}

static void test_connection_header(void **state)
{
    struct client *c = dial();
    static const char close_it[] =
        "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const char old[] = "GET /v2/health/live HTTP/1.0\r\n\r\n";
    static const char old_keep[] = "GET /v2/health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    (void)state;
    client_send(c, close_it, sizeof close_it - 1);
    struct answer a = client_answer(c, 0);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "Connection: close"));
    answer_free(&a);
    assert_true(client_closed(c));
    hang_up(c);
    c = dial();
    client_send(c, old, sizeof old - 1);
    expect_answer(c, 200, "");
    assert_true(client_closed(c));
    hang_up(c);
    c = dial();
    for (int i = 0; i < 2; i++) {
        client_send(c, old_keep, sizeof old_keep - 1);
        expect_answer(c, 200, "");
    }
    hang_up(c);
}

static void test_smuggling_is_refused(void **state)
{
    (void)state;
    REFUSED(HEAD "Content-Length: 27\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 27\r\n\r\n0\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: 27\r\nContent-Length: 20\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: 27\r\nContent-Length: 27\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: +27\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: -1\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: 0x1b\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: 27, 27\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Content-Length: 18446744073709551643\r\n\r\n" BODY, 400);
    REFUSED(HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400);
    REFUSED(HEAD "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400);
    REFUSED(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400);
    REFUSED(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    REFUSED(HEAD "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400);
    REFUSED(HEAD "X: a\r\n folded\r\nContent-Length: 0\r\n\r\n", 400);
    REFUSED(HEAD "X: a\nContent-Length: 0\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\nHost: localhost\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: localhost\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: localhost\r\n\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: local\0host\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: localhost\r\nX\0: 1\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: localhost\r\n: 1\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\n Host: localhost\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400);
    REFUSED("GET /v2 HTTP/1.1\r\n\r\n", 400);
    REFUSED("GET /v2\r\n\r\n", 505); /* HTTP/0.9 */
    REFUSED("GET /v2 HTTP/2.0\r\nHost: localhost\r\n\r\n", 505);
    REFUSED("GET /v2 HTTP/9.9\r\nHost: localhost\r\n\r\n", 505);
    REFUSED("BREW /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400);
    REFUSED("\x16\x03\x01\x02\x00\x01\x00", 400);
    REFUSED(HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400);
    REFUSED(HEAD "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400);
    REFUSED(HEAD "Transfer-Encoding: chunked\r\n\r\n0x1\r\n", 400);
    REFUSED("POST /v1/models/half:predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400);
    REFUSED("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405);
}

static void test_upgrade_is_ignored(void **state)
{
    static const char text[] =
        "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    struct client *c = dial();
    (void)state;
    for (int i = 0; i < 2; i++) {
        client_send(c, text, sizeof text - 1);
        expect_answer(c, 200, "");
    }
    hang_up(c);
}

static void test_size_limits(void **state)
{
    char *text = malloc(200000);
    size_t n;
    (void)state;
    n = (size_t)snprintf(text, 200000, "GET /v2?%09000d HTTP/1.1\r\nHost: localhost\r\n\r\n", 0);
    refused(text, n, 414);
    n = (size_t)snprintf(text, 200000, "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: %08300d\r\n\r\n",
                         0);
    refused(text, n, 431);
    n = (size_t)snprintf(text, 200000, "GET /v2 HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, 200000 - n, "X%d: %05000d\r\n", i, 0);
    n += (size_t)snprintf(text + n, 200000 - n, "\r\n");
    refused(text, n, 431);
    n = (size_t)snprintf(text, 200000, "GET /v2 HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 101; i++)
        n += (size_t)snprintf(text + n, 200000 - n, "X%d: 1\r\n", i);
    n += (size_t)snprintf(text + n, 200000 - n, "\r\n");
    refused(text, n, 431);
    REFUSED(HEAD "Content-Length: 67108865\r\n\r\n", 413);
    REFUSED(HEAD "Transfer-Encoding: chunked\r\n\r\n4000001\r\n", 413);
    /* one-byte chunks */
    n = (size_t)snprintf(text, 200000, HEAD "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1100; i++)
        n += (size_t)snprintf(text + n, 200000 - n, "1\r\n \r\n");
    refused(text, n, 413);
    free(text);
}

static void test_large_body(void **state)
{
    size_t at = 14;
    char *body = malloc(1100000), head[256];
    struct client *c = dial();
    (void)state;
    memcpy(body, "{\"instances\":[", 14);
    for (int i = 0; i < 500000; i++) {
        body[at++] = '1';
        body[at++] = ',';
    }
    body[at - 1] = ']';
    body[at++] = '}';
    int k = snprintf(head, sizeof head, HEAD "Content-Length: %zu\r\n\r\n", at);
    client_send(c, head, (size_t)k);
    client_send(c, body, at);
    struct answer a = client_answer(c, 0);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.n, 16 + 500000 * 4 - 1 + 2);
    assert_memory_equal(a.body, "{\"predictions\":[3.5,3.5,", 24);
    answer_free(&a);
    client_send(c, HEAD "Content-Length: 27\r\n\r\n" BODY, sizeof HEAD + 22 + 27 - 1);
    expect_answer(c, 200, ANSWER);
    hang_up(c);
    free(body);
}

/* A reader that never reads must not stop the loop, and its answers arrive when it does. */
static void test_slow_reader(void **state)
{
    static const char metrics[] = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct client *slow = dial();
    (void)state;
    for (int i = 0; i < 400; i++)
        client_send(slow, metrics, sizeof metrics - 1);
    for (int i = 0; i < 20; i++) {
        struct client *c = dial();
        client_send(c, metrics, sizeof metrics - 1);
        expect_answer(c, 200, NULL);
        hang_up(c);
    }
    for (int i = 0; i < 400; i++)
        expect_answer(slow, 200, NULL);
    hang_up(slow);
}

static void test_peer_leaves(void **state)
{
    static const char half[] = HEAD "Content-Length: 27\r\n\r\n{\"inst";
    static const char slow[] = "POST /v1/models/slow:predict HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 17\r\n\r\n{\"instances\":[1]}";
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct client *c = dial();
        struct linger now = {1, 0};
        client_send(c, i % 2 ? half : slow, i % 2 ? sizeof half - 1 : sizeof slow - 1);
        if (i % 4 < 2)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        hang_up(c);
    }
    struct client *c = dial(); /* half-closed: the answer still comes */
    client_send(c, slow, sizeof slow - 1);
    shutdown(c->fd, SHUT_WR);
    expect_answer(c, 200, "{\"predictions\":[3.5]}");
    hang_up(c);
}

static void *hammer(void *arg)
{
    long *bad = arg;
    struct client *c = dial();
    for (int i = 0; i < 400; i++) {
        static const char text[] =
            "POST /v1/models/plane/labels/champion:predict HTTP/1.1\r\n"
            "Host: localhost\r\nContent-Length: 23\r\n\r\n{\"instances\":[[0.5,1]]}";
        client_send(c, text, sizeof text - 1);
        struct answer a = client_answer(c, 0);
        *bad += a.status != 200;
        answer_free(&a);
    }
    hang_up(c);
    return NULL;
}

/* Versions and aliases move while requests run: none fails, the old ones are let go. */
static void test_swap_under_load(void **state)
{
    pthread_t threads[3];
    long bad[3] = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, hammer, &bad[i]);
    for (int i = 4; i < 24; i++) {
        atomic_store(&fx.fake.plane_versions, i);
        atomic_store(&fx.fake.champion, i);
        atomic_fetch_add(&fx.fake.generation, 1);
        char want[64], request[256];
        int n = snprintf(request, sizeof request,
                         "GET /v2/models/plane/versions/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
        struct client *c = dial(); /* asks for the new version: waits until it is loaded */
        client_send(c, request, (size_t)n);
        (void)snprintf(want, sizeof want, "\"%d\"]", i);
        struct answer a = client_answer(c, 0);
        if (a.status != 200 || !strstr(a.body, want))
            fail_msg("%d: %d %s", i, a.status, a.body);
        answer_free(&a);
        hang_up(c);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
    while (atomic_load(&fx.fake.n_live) > 16) /* max_loaded; the loops let go when they wake */
        sched_yield();
}

static void *hammer_slow(void *arg)
{
    struct client *c = dial();
    long *bad = arg;
    for (int i = 0; i < 200; i++) {
        static const char text[] = "POST /v1/models/slow:predict HTTP/1.1\r\nHost: localhost\r\n"
                                   "Content-Length: 22\r\n\r\n{\"instances\":[1,2,-6]}";
        client_send(c, text, sizeof text - 1);
        struct answer a = client_answer(c, 0);
        *bad += a.status != 200 || strcmp(a.body, "{\"predictions\":[3.5,4.0,0.0]}") != 0;
        answer_free(&a);
    }
    hang_up(c);
    return NULL;
}

static void test_many_through_the_workers(void **state)
{
    pthread_t threads[8];
    long bad[8] = {0};
    (void)state;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, hammer_slow, &bad[i]);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
}

static void test_admin_port(void **state)
{
    static const char text[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct client c;
    (void)state;
    assert_int_equal(client_open(&c, fx.server.admin_port), 0);
    client_send(&c, text, sizeof text - 1);
    expect_answer(&c, 200, "{\"status\":\"ok\",\"ready\":true}");
    client_close(&c);
}

static int start(void **state)
{
    (void)state;
    if (fixture_start(&fx, NULL, 2) != 0)
        return -1;
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
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_ten_thousand_pipelined),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_connection_header),
        cmocka_unit_test(test_smuggling_is_refused),
        cmocka_unit_test(test_upgrade_is_ignored),
        cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_peer_leaves),
        cmocka_unit_test(test_swap_under_load),
        cmocka_unit_test(test_many_through_the_workers),
        cmocka_unit_test(test_admin_port),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
