/* Fuzz target: bytes of a connection. A connection over a socket pair is fed the input cut into
 * pieces (the first byte says how); every request that comes out is answered at once, or on the
 * next turn. Checked: no crash, no leak, the loop ends, the routes of what came out are found or
 * refused cleanly. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_int.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct am_conn *waiting;
static unsigned n_requests;

static void handle(void *ctx, struct am_conn *c, struct am_request *rq)
{
    struct am_err err;
    static struct am_call call;
    struct am_buf allow;
    (void)ctx;
    am_buf_init(&allow, 4096);
    call.rq = rq;
    err.message[0] = 0;
    if (am_route_find(&call, rq->method_name, rq->method, rq->path, &allow, &err) == AM_OK
            ? !call.route
            : !err.message[0])
        abort();
    am_buf_clear(&allow);
    volatile unsigned char sum = 0;
    for (size_t i = 0; i < rq->body_len; i++)
        sum = (unsigned char)(sum + (unsigned char)rq->body[i]);
    if (++n_requests % 3 == 0 && am_http_defer(c, rq, &err) == AM_OK)
        waiting = c;
    else
        am_http_reply(c, &(struct am_reply){.status = 200, .body = AM_STR("{}")});
}

static void answer_waiting(void)
{
    struct am_conn *c = waiting;
    waiting = NULL;
    if (c)
        am_http_reply(c, &(struct am_reply){.status = 200, .body = AM_STR("{\"later\":1}")});
}

static void gone(void *ctx, struct am_conn *c)
{
    (void)ctx;
    if (waiting == c)
        answer_waiting();
}

static bool admit(void *ctx, uint64_t ip)
{
    (void)ctx;
    (void)ip;
    return true;
}

static int client_fd;

static void turn(uv_loop_t *loop)
{
    char sink[4096];
    for (int i = 0; i < 3; i++) {
        (void)uv_run(loop, UV_RUN_NOWAIT);
        answer_waiting();
    }
    while (recv(client_fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct am_http_limits limits = {.header_ms = 1000,
                                                 .body_idle_ms = 1000,
                                                 .keepalive_ms = 1000,
                                                 .write_idle_ms = 1000,
                                                 .rate_grace_ms = 1000,
                                                 .body_bytes = 65536,
                                                 .bodies_bytes = 65536,
                                                 .requests_per_conn = 100,
                                                 .conns_per_ip = 100,
                                                 .conns = 100};
    struct am_http http = {.limits = &limits, .handle = handle, .gone = gone};
    struct am_err err;
    uv_loop_t loop;
    int pair[2];
    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return 0;
    waiting = NULL;
    n_requests = data[0];
    client_fd = pair[0];
    if (uv_loop_init(&loop) != 0 || am_http_init(&http, &loop, &err) != AM_OK)
        abort();
    am_http_open(&http, pair[1], admit);
    size_t step = (size_t)(data[0] % 32) * (data[0] % 32) + 1;
    for (size_t at = 1; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        if (send(client_fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        turn(&loop);
    }
    if (data[0] & 32)
        am_http_drain(&http);
    close(client_fd);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    answer_waiting();
    am_http_abort(&http);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0)
        answer_waiting();
    answer_waiting();
    am_http_clear(&http);
    if (uv_loop_close(&loop) != 0)
        abort();
    return 0;
}
