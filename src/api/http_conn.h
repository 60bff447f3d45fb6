/* One HTTP/1.1 connection over libuv: bytes in, requests out to a handler, answers back.
 *
 * The only file that knows the HTTP parser library is http_conn.c. Limits, time limits, keep-alive,
 * pipelining, chunked bodies, Expect and refusals of malformed input are settled here, so the
 * handler sees only well-formed requests. Everything runs on the connection's loop thread; a
 * handler either answers at once (am_http_reply) or defers and answers later on the same thread. */
#ifndef AM_API_HTTP_CONN_H
#define AM_API_HTTP_CONN_H

#include <stdbool.h>
#include <uv.h>

#include "base/str.h"

struct am_conn;
struct am_call;

enum am_method { AM_GET, AM_HEAD, AM_POST, AM_OPTIONS, AM_METHOD_OTHER };

/* Slices live until the answer is given. */
struct am_request {
    enum am_method method;
    struct am_str method_name;
    struct am_str path, query; /* as sent; query without '?' */
    struct am_str host, origin, request_id, expect;
    struct am_str inference_length; /* Inference-Header-Content-Length */
    struct am_str deadline;         /* X-Request-Deadline-Ms */
    struct am_str content_type;
    char *body; /* writable */
    size_t body_len;
    uint64_t start_ns; /* first byte seen */
    bool keep_alive;
};

struct am_reply {
    int status;
    const char *type;    /* content type; NULL = application/json */
    struct am_str extra; /* whole header lines with CRLF */
    struct am_str body;  /* copied when it cannot be sent at once */
};

/* Times in milliseconds; 0 = base/limits.h. Tests make them small. */
struct am_http_limits {
    uint64_t tick_ms; /* 0 = 250 */
    uint64_t header_ms, body_idle_ms, keepalive_ms, write_idle_ms, rate_grace_ms;
    size_t body_bytes, bodies_bytes;
    unsigned requests_per_conn, conns_per_ip, conns;
};

enum am_http_event { /* counters of a loop */
                     AM_HTTP_ACCEPTED,
                     AM_HTTP_REFUSED_CONNS,
                     AM_HTTP_REQUESTS,
                     AM_HTTP_2XX,
                     AM_HTTP_4XX,
                     AM_HTTP_5XX,
                     AM_HTTP_MALFORMED,
                     AM_HTTP_TIMED_OUT,
                     AM_HTTP_TOO_LARGE,
                     AM_HTTP_EVENTS
};

/* What the connections of one loop share. */
struct am_http {
    uv_loop_t *loop;
    const struct am_http_limits *limits;
    /* The handler: answer with am_http_reply or keep with am_http_defer. */
    void (*handle)(void *ctx, struct am_conn *c, struct am_request *rq);
    /* The peer of a deferred request is gone; the answer will be dropped. May be NULL. */
    void (*gone)(void *ctx, struct am_conn *c);
    void (*closed)(void *ctx, struct am_conn *c); /* for counting by address */
    void *ctx;
    struct am_conn *first; /* all connections */
    struct am_conn *spare; /* closed ones, kept for reuse */
    size_t n_conns, n_spare;
    _Atomic size_t held_bytes; /* gathered bodies of all connections */
    uv_stream_t *stuck; /* a listener whose connection could not be taken for lack of memory */
    bool (*stuck_admit)(void *, uint64_t ip);
    bool draining;      /* answers close their connections */
    char *read_buf;     /* owned: AM_HTTP_READ_BYTES */
    struct am_buf out;  /* answers of one read, sent together */
    struct am_buf head; /* of the answer being made */
    char date[40];      /* "Sat, 21 Nov 2026 13:17:04 GMT" */
    char head_ok[200];  /* of a 200 in JSON, up to the length */
    size_t head_ok_len;
    uint64_t now_ns; /* of the running read */
    _Atomic uint64_t events[AM_HTTP_EVENTS];
};

enum am_rc am_http_init(struct am_http *h, uv_loop_t *loop, struct am_err *err) AM_MUST_CHECK;
void am_http_clear(struct am_http *h); /* after all connections are closed */
/* Accept from a listening handle. ip: of the peer, for am_conn_ip. */
void am_http_accept(struct am_http *h, uv_stream_t *listener, bool (*admit)(void *, uint64_t ip));
/* The same for a connected socket, which is taken over. */
void am_http_open(struct am_http *h, int fd, bool (*admit)(void *, uint64_t ip));
/* Every tick: close what waits too long, refresh the date. */
void am_http_tick(struct am_http *h);
/* Close idle connections, let the busy ones finish. */
void am_http_drain(struct am_http *h);
void am_http_abort(struct am_http *h);

void am_http_reply(struct am_conn *c, const struct am_reply *r);
/* Keep the request open after the handler returns; rq->body moves when it lay in the read buffer,
 * and its slices with it. */
enum am_rc am_http_defer(struct am_conn *c, struct am_request *rq,
                         struct am_err *err) AM_MUST_CHECK;
bool am_conn_closing(const struct am_conn *c);
uint64_t am_conn_ip(const struct am_conn *c); /* hash of the peer's address */
struct am_call *am_conn_call(const struct am_conn *c);
void am_conn_set_call(struct am_conn *c, struct am_call *call);
void am_http_event(struct am_http *h, enum am_http_event e);
const char *am_http_status_text(int status);

#endif
