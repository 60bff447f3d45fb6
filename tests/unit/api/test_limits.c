/* Time limits, limits of connections, draining, refused starts: servers of their own with small
 * limits. Nothing sleeps: each test waits for the server's own act (an answer or a close). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http_client.h"
#include "server_fixture.h"

static struct fixture fx;

static void start(const struct am_http_limits *l, unsigned n_loops)
{
    memset(&fx, 0, sizeof fx);
    assert_int_equal(fixture_start(&fx, l, n_loops), 0);
    while (!am_serve_ready(fx.serve))
        sched_yield();
}

static void stop(void)
{
    fixture_stop(&fx);
    assert_int_equal(atomic_load(&fx.fake.n_live), 0);
}

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

static void expect_status(struct client *c, int status)
{
    struct answer a = client_answer(c, 0);
    assert_int_equal(a.status, status);
    answer_free(&a);
}

#define LIVE "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define SLOW                                                                                       \
    "POST /v1/models/slow:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n\r\n"       \
    "{\"instances\":[1]}"

static void test_slow_head_and_body(void **state)
{
    const struct am_http_limits l = {.tick_ms = 5, .header_ms = 40, .body_idle_ms = 40};
    static const char head[] = "GET /v2 HTTP/1.1\r\nHost: loc";
    static const char body[] = "POST /v1/models/half:predict HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 100\r\n\r\n{\"inst";
    (void)state;
    start(&l, 1);
    struct client *c = dial();
    client_send(c, head, sizeof head - 1);
    expect_status(c, 408);
    assert_true(client_closed(c));
    hang_up(c);
    c = dial();
    client_send(c, body, sizeof body - 1);
    expect_status(c, 408);
    assert_true(client_closed(c));
    hang_up(c);
    c = dial(); /* the second request of a connection has the same limits */
    client_send(c, LIVE, sizeof LIVE - 1);
    expect_status(c, 200);
    client_send(c, head, sizeof head - 1);
    expect_status(c, 408);
    hang_up(c);
    stop();
}

static void test_dripping_body(void **state)
{
    const struct am_http_limits l = {.tick_ms = 5, .rate_grace_ms = 40, .body_idle_ms = 3600000};
    static const char body[] = "POST /v1/models/half:predict HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 100\r\n\r\n";
    struct answer a = {0};
    (void)state;
    start(&l, 1);
    struct client *c = dial();
    client_send(c, body, sizeof body - 1);
    for (int i = 0; i < 50; i++) /* never idle as long as the socket takes bytes */
        (void)client_send(c, " ", 1);
    a = client_answer(c, 0);
    assert_int_equal(a.status, 408);
    answer_free(&a);
    hang_up(c);
    stop();
}

static void test_idle_connection_is_closed(void **state)
{
    const struct am_http_limits l = {.tick_ms = 5, .keepalive_ms = 30};
    (void)state;
    start(&l, 1);
    struct client *c = dial();
    assert_true(client_closed(c));
    hang_up(c);
    c = dial();
    client_send(c, LIVE, sizeof LIVE - 1);
    expect_status(c, 200);
    assert_true(client_closed(c));
    hang_up(c);
    stop();
}

static void test_reader_that_never_reads(void **state)
{
    const struct am_http_limits l = {.tick_ms = 5, .write_idle_ms = 30};
    static const char big[] = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)state;
    start(&l, 1);
    struct client *c = dial();
    int i = 0;
    while (i < 100000 && client_send(c, big, sizeof big - 1) == 0) /* until the server closes */
        i++;
    assert_true(i < 100000);
    hang_up(c);
    stop();
}

static void test_requests_per_connection(void **state)
{
    const struct am_http_limits l = {.requests_per_conn = 3};
    (void)state;
    start(&l, 1);
    struct client *c = dial();
    for (int i = 0; i < 3; i++) {
        client_send(c, LIVE, sizeof LIVE - 1);
        struct answer a = client_answer(c, 0);
        assert_int_equal(a.status, 200);
        assert_int_equal(strstr(a.head, "Connection: close") != NULL, i == 2);
        answer_free(&a);
    }
    assert_true(client_closed(c));
    hang_up(c);
    stop();
}

static void test_connections_of_one_address(void **state)
{
    const struct am_http_limits l = {.conns_per_ip = 4};
    struct client *c[4];
    (void)state;
    start(&l, 2);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            c[i] = dial();
            client_send(c[i], LIVE, sizeof LIVE - 1);
            struct answer a = client_answer(c[i], 0);
            if (a.status == 503 &&
                round) { /* the closes of the last round are still on their way */
                answer_free(&a);
                hang_up(c[i--]);
                continue;
            }
            assert_int_equal(a.status, 200);
            answer_free(&a);
        }
        struct client *fifth = dial();
        expect_status(fifth, 503);
        assert_true(client_closed(fifth));
        hang_up(fifth);
        for (int i = 0; i < 4; i++)
            hang_up(c[i]);
    }
    stop();
}

/* Bodies in flight share one bound: the one that is too much is refused, and room comes back. */
static void test_bytes_in_flight(void **state)
{
    const struct am_http_limits l = {.bodies_bytes = 100000};
    static const char head[] = "POST /v1/models/half:predict HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 80000\r\n\r\n{\"instances\":[1";
    static char spaces[80000];
    (void)state;
    memset(spaces, ' ', sizeof spaces);
    start(&l, 1);
    for (int round = 0; round < 3; round++) {
        struct client *a = dial(), *b = dial();
        client_send(a, head, sizeof head - 1);
        client_send(a, spaces, 60000);
        while (fx.server.loops[0].http.held_bytes < 60000)
            sched_yield();
        client_send(b, head, sizeof head - 1);
        client_send(b, spaces, 60000);
        expect_status(b, 503);
        client_send(a, spaces, 80000 - 60000 - 15 - 2);
        client_send(a, "]}", 2);
        expect_status(a, 200);
        hang_up(a);
        hang_up(b);
    }
    stop();
}

static void test_drain(void **state)
{
    const struct am_http_limits l = {.tick_ms = 5};
    (void)state;
    start(&l, 2);
    struct client *idle = dial(), *busy = dial(), *half = dial();
    client_send(idle, LIVE, sizeof LIVE - 1);
    expect_status(idle, 200);
    client_send(half, LIVE, 20);
    client_send(busy, SLOW, sizeof SLOW - 1);
    expect_status(busy, 200);
    atomic_store(&fx.stop, true);
    assert_true(client_closed(idle));
    assert_true(client_closed(busy));
    client_send(half, &LIVE[20], sizeof LIVE - 1 - 20); /* begun before: answered, then closed */
    struct answer a = client_answer(half, 0);
    if (a.status == 200)
        assert_non_null(strstr(a.head, "Connection: close"));
    answer_free(&a);
    stop();
    struct client late;
    assert_int_not_equal(client_open(&late, fx.server.port), 0);
    client_close(&late);
    hang_up(idle);
    hang_up(busy);
    hang_up(half);
}

static void test_deadlines(void **state)
{
    static const char past[] = "POST /v1/models/slow:predict HTTP/1.1\r\nHost: localhost\r\n"
                               "X-Request-Deadline-Ms: 0\r\nContent-Length: 17\r\n\r\n"
                               "{\"instances\":[1]}";
    (void)state;
    start(NULL, 1);
    struct client *c = dial();
    client_send(c, past, sizeof past - 1);
    struct answer a = client_answer(c, 0);
    assert_true(a.status == 503 || a.status == 504);
    answer_free(&a);
    client_send(c, SLOW, sizeof SLOW - 1);
    expect_status(c, 200);
    hang_up(c);
    stop();
}

/* Whatever allocation fails while requests run: an answer or a closed connection, and the next is
 * served. */
static void test_failed_allocations(void **state)
{
    static const char *const requests[] = {SLOW, LIVE,
                                           "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                           "POST /v1/models/plane/versions/1:predict "
                                           "HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n"
                                           "\r\n{\"instances\":[[0.5,1]]}",
                                           "POST /api/v1/models/mixed/predict HTTP/1.1\r\nHost: "
                                           "localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                                           "8\r\n{\"rows\":\r\n4\r\n[]} \r\n0\r\n\r\n"};
    const struct am_http_limits l = {.tick_ms = 5};
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        for (long n = 1; n <= 24; n += n < 12 ? 1 : 4) {
            start(&l, 1);
            am_alloc_fail_nth(n, false);
            struct client *c = dial();
            client_send(c, requests[i], strlen(requests[i]));
            shutdown(c->fd, SHUT_WR);
            struct answer a = client_answer(c, 0);
            am_alloc_fail_nth(0, false);
            assert_true(a.closed || a.status == 200 || a.status >= 500);
            answer_free(&a);
            hang_up(c);
            c = dial();
            client_send(c, LIVE, sizeof LIVE - 1);
            expect_status(c, 200);
            hang_up(c);
            stop();
        }
}

static void refused_start(const char *host, int port, enum am_rc want)
{
    struct am_server s;
    struct am_err err;
    struct am_api_options o = {.host = host, .port = port, .n_loops = 1};
    assert_int_equal(am_server_bind(&s, &o, NULL, &err), want);
    assert_true(err.hint[0] != 0 || want == AM_EUSAGE);
    am_server_clear(&s);
}

static void test_refused_starts(void **state)
{
    (void)state;
    start(NULL, 1);
    refused_start("0.0.0.0", 0, AM_EUSAGE);
    refused_start("example.org", 0, AM_EUSAGE);
    refused_start("192.168.1.1", 0, AM_EUSAGE);
    refused_start(NULL, 70000, AM_EUSAGE);
    refused_start(NULL, fx.server.port, AM_EBUSY);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_head_and_body),
        cmocka_unit_test(test_dripping_body),
        cmocka_unit_test(test_idle_connection_is_closed),
        cmocka_unit_test(test_reader_that_never_reads),
        cmocka_unit_test(test_requests_per_connection),
        cmocka_unit_test(test_connections_of_one_address),
        cmocka_unit_test(test_bytes_in_flight),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_failed_allocations),
        cmocka_unit_test(test_refused_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
