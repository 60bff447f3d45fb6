/* Connections: the parser's callbacks, the limits, and the way out. See http_conn.h.
 *
 * Reading: a loop has one read buffer. A request that lies in it whole is handled in place; what is
 * split over reads is gathered in the connection. The parser is paused at the end of every message,
 * so that a message is handled outside of its callbacks and the next one starts at a known byte.
 * Before the parser sees a request's head, lint() refuses what the library lets pass: bare line
 * feeds, folded lines, space before the colon (request smuggling: RFC 9112, 2.2, 5.1 and 5.2). */
#include "api/http_conn.h"

#include <http_parser.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/tree.h"

#define READ_BYTES 65536
#define KEEP_BYTES 65536 /* buffers above this are freed when idle */
#define ONE_WRITE_BYTES 16384
#define MAX_SPARE 256
#define LINGER_NS 2000000000ull

/* LINGER: an error was answered; what still comes is read away, so that the answer is not lost. */
enum phase { IDLE, HEAD, BODY, BUSY, FLUSHING, LINGER, CLOSING };
enum lint_state { LINT_FIRST, LINT_LINE, LINT_START, LINT_NAME, LINT_VALUE, LINT_END, LINT_DONE };
enum field {
    F_NONE,
    F_HOST,
    F_ORIGIN,
    F_REQUEST_ID,
    F_EXPECT,
    F_INFERENCE,
    F_DEADLINE,
    F_TE,
    F_TYPE,
    N_FIELDS
};

static const struct am_str field_names[N_FIELDS] = {AM_STR_INIT(""),
                                                    AM_STR_INIT("host"),
                                                    AM_STR_INIT("origin"),
                                                    AM_STR_INIT("x-request-id"),
                                                    AM_STR_INIT("expect"),
                                                    AM_STR_INIT("inference-header-content-length"),
                                                    AM_STR_INIT("x-request-deadline-ms"),
                                                    AM_STR_INIT("transfer-encoding"),
                                                    AM_STR_INIT("content-type")};

struct span {
    uint32_t at, len;
    bool set;
};

struct am_conn {
    uv_tcp_t tcp;
    uv_shutdown_t shutdown;
    http_parser parser;
    struct am_http *http;
    struct am_conn *prev, *next;
    struct am_call *call; /* of a deferred request */
    uint64_t ip;
    enum phase phase;
    enum lint_state lint;
    char lint_last;
    bool eof, deferred, in_handler, stopped, more, close_after, expect_sent;
    /* the head, gathered: URL and the fields that count */
    struct am_buf head;
    struct span url, fields[N_FIELDS];
    enum field field; /* being read */
    bool in_value;
    char name[40];
    size_t name_len, n_headers, head_bytes, line_bytes;
    const char *value_end; /* where the last piece of a value ended in the read buffer */
    /* the body: in the read buffer, or gathered */
    const char *slice;
    size_t slice_len, n_chunks, body_bytes, held;
    struct am_buf body;
    struct am_buf rest; /* bytes behind a deferred request */
    int bad_status;
    const char *bad_text;
    struct am_request rq;
    unsigned n_requests, n_writes;
    uint64_t phase_ns, last_ns; /* when the phase began; last byte in or out */
};

static void feed(struct am_conn *c, char *data, size_t n);
static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);
static void flush_out(struct am_conn *c);

void am_http_event(struct am_http *h, enum am_http_event e)
{
    uint64_t n = atomic_load_explicit(&h->events[e], memory_order_relaxed);
    atomic_store_explicit(&h->events[e], n + 1, memory_order_relaxed);
}

bool am_conn_closing(const struct am_conn *c)
{
    return c->phase == CLOSING;
}
uint64_t am_conn_ip(const struct am_conn *c)
{
    return c->ip;
}
struct am_call *am_conn_call(const struct am_conn *c)
{
    return c->call;
}
void am_conn_set_call(struct am_conn *c, struct am_call *call)
{
    c->call = call;
}

static void set_phase(struct am_conn *c, enum phase p)
{
    c->phase = p;
    c->phase_ns = c->last_ns = c->http->now_ns;
}

/* ---- life ---- */

static void let_go(struct am_conn *c)
{
    if (c->held)
        c->http->held_bytes -= c->held;
    c->held = 0;
}

static void release(struct am_conn *c)
{
    struct am_http *h = c->http;
    let_go(c);
    if (c->body.cap > KEEP_BYTES)
        am_buf_clear(&c->body);
    am_buf_clear(&c->rest);
    if (h->n_spare < MAX_SPARE) {
        c->next = h->spare;
        h->spare = c;
        h->n_spare++;
        return;
    }
    am_buf_clear(&c->head);
    am_buf_clear(&c->body);
    am_buf_clear(&c->rest);
    am_free(c);
}

static void maybe_release(struct am_conn *c)
{
    if (c->phase == CLOSING && c->eof && !c->deferred && c->n_writes == 0)
        release(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct am_conn *c = handle->data;
    struct am_http *h = c->http;
    if (c->prev)
        c->prev->next = c->next;
    else
        h->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    h->n_conns--;
    c->eof = true;
    if (!c->deferred)
        let_go(c);
    if (h->closed)
        h->closed(h->ctx, c);
    if (c->deferred && h->gone)
        h->gone(h->ctx, c); /* answers, which releases */
    else
        maybe_release(c);
}

static void close_conn(struct am_conn *c)
{
    if (c->phase == CLOSING)
        return;
    c->phase = CLOSING;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void reset_message(struct am_conn *c)
{
    let_go(c);
    am_buf_reset(&c->head);
    c->head.failed = AM_OK;
    c->url = (struct span){0, 0, false};
    memset(c->fields, 0, sizeof c->fields);
    c->field = F_NONE;
    c->in_value = false;
    c->name_len = c->n_headers = c->head_bytes = c->line_bytes = 0;
    c->value_end = NULL;
    c->slice = NULL;
    c->slice_len = c->n_chunks = c->body_bytes = 0;
    if (c->body.cap > KEEP_BYTES)
        am_buf_clear(&c->body);
    else
        am_buf_reset(&c->body);
    c->bad_status = 0;
    c->bad_text = NULL;
    c->lint = LINT_FIRST;
    c->lint_last = 0;
    c->expect_sent = false;
}

static struct am_conn *conn_new(struct am_http *h)
{
    struct am_conn *c = h->spare;
    if (c) {
        h->spare = c->next;
        h->n_spare--;
        struct am_buf head = c->head, body = c->body, rest = c->rest;
        memset(c, 0, sizeof *c);
        c->head = head;
        c->body = body;
        c->rest = rest;
        am_buf_reset(&c->rest);
    } else {
        c = am_calloc(1, sizeof *c);
        if (!c)
            return NULL;
        am_buf_init(&c->head, AM_LIMIT_HTTP_HEADERS_BYTES + AM_LIMIT_HTTP_URI_BYTES);
        am_buf_init(&c->body, h->limits->body_bytes);
        am_buf_init(&c->rest, h->limits->body_bytes + READ_BYTES);
    }
    c->http = h;
    reset_message(c);
    return c;
}

static void on_alloc(uv_handle_t *handle, size_t n, uv_buf_t *buf)
{
    struct am_conn *c = handle->data;
    (void)n;
    *buf = uv_buf_init(c->http->read_buf, READ_BYTES);
}

static void start_reading(struct am_conn *c)
{
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        close_conn(c);
    c->stopped = false;
}

static uint64_t peer_ip(const uv_tcp_t *tcp)
{
    struct sockaddr_storage ss;
    int n = (int)sizeof ss;
    memset(&ss, 0, sizeof ss);
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&ss, &n) != 0)
        return 0;
    if (ss.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &ss, sizeof in);
        return am_str_hash((struct am_str){(const char *)&in.sin_addr, sizeof in.sin_addr});
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, &ss, sizeof in6);
    return am_str_hash((struct am_str){(const char *)&in6.sin6_addr, sizeof in6.sin6_addr});
}

static void refuse(struct am_conn *c)
{
    static const char busy[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        "Retry-After: 1\r\nConnection: close\r\nContent-Length: 32\r\n\r\n"
        "{\"error\":\"too many connections\"}";
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)busy, sizeof busy - 1);
    (void)uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
    am_http_event(c->http, AM_HTTP_REFUSED_CONNS);
    close_conn(c);
}

/* A new connection in the list, its handle not connected yet; NULL when memory is out. */
static struct am_conn *conn_begin(struct am_http *h)
{
    struct am_conn *c = conn_new(h);
    if (!c)
        return NULL;
    h->now_ns = am_mono_ns();
    if (uv_tcp_init(h->loop, &c->tcp) != 0) {
        release(c);
        return NULL;
    }
    c->tcp.data = c;
    c->prev = NULL;
    c->next = h->first;
    if (h->first)
        h->first->prev = c;
    h->first = c;
    h->n_conns++;
    set_phase(c, IDLE);
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    return c;
}

static void conn_ready(struct am_conn *c, bool (*admit)(void *, uint64_t ip))
{
    struct am_http *h = c->http;
    (void)uv_tcp_nodelay(&c->tcp, 1);
    c->ip = peer_ip(&c->tcp);
    am_http_event(h, AM_HTTP_ACCEPTED);
    if (!admit(h->ctx, c->ip) || h->n_conns > h->limits->conns)
        refuse(c);
    else
        start_reading(c);
}

void am_http_accept(struct am_http *h, uv_stream_t *listener, bool (*admit)(void *, uint64_t ip))
{
    struct am_conn *c = conn_begin(h);
    if (!c) {
        h->stuck = listener; /* the next tick tries again */
        h->stuck_admit = admit;
    } else if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
        close_conn(c);
    } else {
        conn_ready(c, admit);
    }
}

void am_http_open(struct am_http *h, int fd, bool (*admit)(void *, uint64_t ip))
{
    struct am_conn *c = conn_begin(h);
    if (!c)
        close(fd);
    else if (uv_tcp_open(&c->tcp, fd) != 0)
        close_conn(c);
    else
        conn_ready(c, admit);
}

/* ---- the head: lint and callbacks ---- */

/* A whole line's end in [p, end): checks CR before LF. Gives the byte behind, or end, or NULL. */
static const char *line_end(struct am_conn *c, const char *p, const char *end, bool *found)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    const char *last = nl ? nl : end;
    char before = last > p ? last[-1] : c->lint_last;
    *found = nl != NULL;
    if (!nl) {
        c->lint_last = before;
        return end;
    }
    c->lint_last = '\n';
    return before == '\r' ? nl + 1 : NULL;
}

static bool lint_name(struct am_conn *c, const char **p, const char *end)
{
    for (; *p < end; (*p)++) {
        char ch = **p;
        if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n')
            return false;
        if (ch == ':') {
            c->lint = LINT_VALUE;
            c->lint_last = ch;
            (*p)++;
            return true;
        }
    }
    return true;
}

static bool lint_line_start(struct am_conn *c, char ch)
{
    if (ch == ' ' || ch == '\t' || ch == '\n' || ch == ':')
        return false;
    c->lint = ch == '\r' ? LINT_END : LINT_NAME;
    return true;
}

/* Checks the head's bytes that the parser library lets pass; false = refuse the request. */
static bool lint(struct am_conn *c, const char *p, const char *end)
{
    bool found;
    while (p < end && c->lint != LINT_DONE) {
        switch (c->lint) {
        case LINT_FIRST: /* empty lines before a request are allowed (RFC 9112, 2.2) */
            if (*p != '\r' && *p != '\n')
                c->lint = LINT_LINE;
            else
                p++;
            break;
        case LINT_LINE:
        case LINT_VALUE:
            p = line_end(c, p, end, &found);
            if (!p)
                return false;
            if (found)
                c->lint = LINT_START;
            break;
        case LINT_START:
            if (!lint_line_start(c, *p))
                return false;
            p++;
            break;
        case LINT_NAME:
            if (!lint_name(c, &p, end))
                return false;
            break;
        default: /* LINT_END */
            if (*p != '\n')
                return false;
            c->lint = LINT_DONE;
            break;
        }
    }
    return true;
}

static int bad(struct am_conn *c, int status, const char *text)
{
    if (!c->bad_status) {
        c->bad_status = status;
        c->bad_text = text;
    }
    return 1;
}

static bool in_trailer(const struct am_conn *c)
{
    return c->phase == BODY;
}

static int count_head(struct am_conn *c, size_t n)
{
    c->head_bytes += n;
    c->line_bytes += n;
    if (c->line_bytes > AM_LIMIT_HTTP_HEADER_LINE_BYTES ||
        c->head_bytes > AM_LIMIT_HTTP_HEADERS_BYTES)
        return bad(c, 431, "request headers are over the limit");
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct am_conn *c = p->data;
    c->url.set = true;
    c->url.len += (uint32_t)n;
    if (c->url.len > AM_LIMIT_HTTP_URI_BYTES)
        return bad(c, 414, "the request target is over the limit of 8192 bytes");
    am_buf_add(&c->head, at, n);
    return 0;
}

/* A header is complete: NUL behind its value, so that slices can be used as they are. */
static void end_field(struct am_conn *c)
{
    c->in_value = false;
    c->name_len = c->line_bytes = 0;
    c->field = F_NONE;
}

static int on_field(http_parser *p, const char *at, size_t n)
{
    struct am_conn *c = p->data;
    if (c->in_value || c->name_len == 0) {
        end_field(c);
        if (++c->n_headers > AM_LIMIT_HTTP_HEADERS)
            return bad(c, 431, "more than 100 request headers");
    }
    for (size_t i = 0; i < n && c->name_len + i < sizeof c->name; i++) {
        char ch = at[i];
        c->name[c->name_len + i] = (char)(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch);
    }
    c->name_len += n;
    return count_head(c, n);
}

static enum field find_field(const struct am_conn *c)
{
    struct am_str name = {c->name, c->name_len};
    if (c->name_len > sizeof c->name)
        return F_NONE;
    for (unsigned i = 1; i < N_FIELDS; i++)
        if (am_str_eq(name, field_names[i]))
            return (enum field)i;
    return F_NONE;
}

static int begin_value(struct am_conn *c)
{
    c->in_value = true;
    c->field = in_trailer(c) ? F_NONE : find_field(c);
    if (c->field == F_NONE)
        return 0;
    struct span *s = &c->fields[c->field];
    if (s->set)
        return bad(c, 400, "a request header is given twice");
    s->set = true;
    s->at = (uint32_t)c->head.len;
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct am_conn *c = p->data;
    if (!c->in_value && begin_value(c) != 0)
        return 1;
    if (c->field != F_NONE) {
        c->fields[c->field].len += (uint32_t)n;
        am_buf_add(&c->head, at, n);
    }
    return count_head(c, n);
}

static struct am_str span_str(const struct am_conn *c, struct span s)
{
    if (!s.set)
        return (struct am_str){NULL, 0};
    return am_str_trim((struct am_str){c->head.ptr + s.at, s.len});
}

static bool same_word(struct am_str s, const char *lower)
{
    if (s.len != strlen(lower))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] | 32) != lower[i] && s.ptr[i] != lower[i])
            return false;
    return true;
}

static void say_continue(struct am_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)text, sizeof text - 1);
    flush_out(c);
    if (c->phase != CLOSING && uv_try_write((uv_stream_t *)&c->tcp, &b, 1) != (int)b.len)
        close_conn(c); /* 25 bytes do not fit: the peer does not read */
    c->expect_sent = true;
}

static int check_headers(http_parser *p)
{
    struct am_conn *c = p->data;
    const size_t max = c->http->limits->body_bytes;
    p->upgrade = 0; /* upgrades are ignored (RFC 9110, 7.8) */
    c->phase = BODY;
    c->phase_ns = c->http->now_ns;
    end_field(c);
    if (c->head.failed != AM_OK)
        return bad(c, 503, "out of memory");
    struct am_str te = span_str(c, c->fields[F_TE]), expect = span_str(c, c->fields[F_EXPECT]);
    if (te.ptr && !same_word(te, "chunked"))
        return bad(c, 400, "only Transfer-Encoding: chunked is supported");
    if (p->http_major != 1 || p->http_minor > 1)
        return bad(c, 505, "only HTTP/1.0 and HTTP/1.1 are supported");
    if (te.ptr && p->http_minor == 0)
        return bad(c, 400, "Transfer-Encoding in an HTTP/1.0 request");
    if (p->http_minor == 1 && !c->fields[F_HOST].set)
        return bad(c, 400, "the Host header is missing");
    if (p->method == HTTP_CONNECT)
        return bad(c, 405, "method not allowed");
    bool sized = (p->flags & F_CONTENTLENGTH) != 0;
    if (sized && p->content_length > max)
        return bad(c, 413, "the request body is over the limit");
    if (expect.ptr) {
        if (!same_word(expect, "100-continue"))
            return bad(c, 417, "unknown expectation");
        if (te.ptr || (sized && p->content_length > 0))
            say_continue(c);
    }
    return 0;
}

static int on_headers(http_parser *p)
{
    return check_headers(p) == 0 ? 0 : -1; /* 1 would mean: has no body */
}

static int on_chunk(http_parser *p)
{
    struct am_conn *c = p->data;
    c->n_chunks++;
    if (c->n_chunks > AM_LIMIT_HTTP_CHUNKS ||
        (c->n_chunks > AM_LIMIT_HTTP_CHUNKS_FREE &&
         c->body_bytes / c->n_chunks < AM_LIMIT_HTTP_CHUNK_MEAN_BYTES))
        return bad(c, 413, "too many small chunks in the request body");
    if (p->content_length > c->http->limits->body_bytes - c->body_bytes)
        return bad(c, 413, "the request body is over the limit");
    return 0;
}

static bool hold(struct am_conn *c, const char *bytes, size_t n)
{
    struct am_http *h = c->http;
    if (n > h->limits->bodies_bytes || h->held_bytes > h->limits->bodies_bytes - n)
        return false;
    am_buf_add(&c->body, bytes, n);
    if (c->body.failed != AM_OK)
        return false;
    h->held_bytes += n;
    c->held += n;
    return true;
}

/* Move the slice of the read buffer into the connection's own buffer. */
static int gather(struct am_conn *c)
{
    if (c->slice) {
        if (!hold(c, c->slice, c->slice_len))
            return bad(c, 503, "no memory left for the request body");
        c->slice = NULL;
        c->slice_len = 0;
    }
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct am_conn *c = p->data;
    c->body_bytes += n;
    if (c->body_bytes > c->http->limits->body_bytes)
        return bad(c, 413, "the request body is over the limit");
    if (!c->slice && c->body.len == 0) {
        c->slice = at;
        c->slice_len = n;
        return 0;
    }
    if (gather(c) != 0)
        return 1;
    return hold(c, at, n) ? 0 : bad(c, 503, "no memory left for the request body");
}

static int on_complete(http_parser *p)
{
    p->upgrade = 0;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings callbacks = {.on_url = on_url,
                                               .on_header_field = on_field,
                                               .on_header_value = on_value,
                                               .on_headers_complete = on_headers,
                                               .on_chunk_header = on_chunk,
                                               .on_body = on_body,
                                               .on_message_complete = on_complete};

/* ---- requests ---- */

static void fill_request(struct am_conn *c)
{
    struct am_request *rq = &c->rq;
    const http_parser *p = &c->parser;
    struct am_str url = {c->head.ptr, c->url.len};
    const char *q = url.len ? memchr(url.ptr, '?', url.len) : NULL;
    *rq = (struct am_request){.start_ns = c->phase_ns, .path = url};
    if (q) {
        rq->path.len = (size_t)(q - url.ptr);
        rq->query = (struct am_str){q + 1, url.len - rq->path.len - 1};
    }
    rq->method = p->method == HTTP_GET       ? AM_GET
                 : p->method == HTTP_HEAD    ? AM_HEAD
                 : p->method == HTTP_POST    ? AM_POST
                 : p->method == HTTP_OPTIONS ? AM_OPTIONS
                                             : AM_METHOD_OTHER;
    rq->method_name = am_str(http_method_str((enum http_method)p->method));
    rq->host = span_str(c, c->fields[F_HOST]);
    rq->origin = span_str(c, c->fields[F_ORIGIN]);
    rq->request_id = span_str(c, c->fields[F_REQUEST_ID]);
    rq->inference_length = span_str(c, c->fields[F_INFERENCE]);
    rq->deadline = span_str(c, c->fields[F_DEADLINE]);
    rq->content_type = span_str(c, c->fields[F_TYPE]);
    rq->keep_alive = http_should_keep_alive(p) != 0;
    if (c->slice) {
        rq->body = (char *)(uintptr_t)c->slice;
        rq->body_len = c->slice_len;
    } else {
        rq->body = c->body.ptr;
        rq->body_len = c->body.len;
    }
}

static void handle_message(struct am_conn *c)
{
    struct am_http *h = c->http;
    if (c->head.failed != AM_OK || c->body.failed != AM_OK) {
        close_conn(c);
        return;
    }
    fill_request(c);
    c->n_requests++;
    c->close_after =
        !c->rq.keep_alive || h->draining || c->n_requests >= h->limits->requests_per_conn;
    c->phase = BUSY;
    am_http_event(h, AM_HTTP_REQUESTS);
    c->in_handler = true;
    h->handle(h->ctx, c, &c->rq);
    c->in_handler = false;
}

enum am_rc am_http_defer(struct am_conn *c, struct am_request *rq, struct am_err *err)
{
    if (c->slice) {
        c->body.len = 0;
        if (gather(c) != 0)
            return am_fail(err, AM_EBUSY, "no memory left for the request body");
        rq->body = c->body.ptr;
    }
    c->deferred = true;
    return AM_OK;
}

static void refuse_message(struct am_conn *c)
{
    struct am_buf body;
    int status = c->bad_status ? c->bad_status : 400;
    c->bad_status = status;
    const char *text = c->bad_text ? c->bad_text : "malformed HTTP request";
    let_go(c); /* before the answer: who reads it may count on the room */
    am_buf_clear(&c->body);
    am_buf_init(&body, 4096);
    am_buf_str(&body, AM_STR("{\"error\":"));
    am_json_quote(&body, am_str(am_tr(text)));
    am_buf_char(&body, '}');
    if (body.failed != AM_OK)
        am_buf_clear(&body); /* an empty answer still has its status */
    am_http_event(c->http, status == 413 || status == 414 || status == 431 ? AM_HTTP_TOO_LARGE
                                                                           : AM_HTTP_MALFORMED);
    c->close_after = true;
    c->more = false;
    c->rq.method = AM_GET;
    am_http_reply(c, &(struct am_reply){.status = status, .body = am_buf_view(&body)});
    am_buf_clear(&body);
}

static void stash(struct am_conn *c, const char *data, size_t n)
{
    if (n) {
        am_buf_add(&c->rest, data, n);
        if (c->rest.failed != AM_OK) {
            close_conn(c);
            return;
        }
    }
    if (!c->stopped) {
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
        c->stopped = true;
    }
}

/* One run of the parser over data; gives the bytes used. *done: a whole message is there. */
static size_t parse(struct am_conn *c, char *data, size_t n, bool *done)
{
    *done = false;
    if (c->phase == IDLE) {
        reset_message(c);
        set_phase(c, HEAD);
    }
    if (c->phase == HEAD && !lint(c, data, data + n)) {
        c->bad_text = "malformed request head";
        refuse_message(c);
        return n;
    }
    size_t used = http_parser_execute(&c->parser, &callbacks, data, n);
    enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
    if (c->phase == CLOSING)
        return n;
    if (e == HPE_PAUSED) {
        http_parser_pause(&c->parser, 0);
        *done = true;
        return used;
    }
    if (e != HPE_OK || used != n) {
        refuse_message(c);
        return n;
    }
    if (c->slice && gather(c) != 0)
        refuse_message(c);
    return n;
}

static void feed(struct am_conn *c, char *data, size_t n)
{
    while (n > 0 && c->phase != CLOSING && c->phase != LINGER) {
        if (c->deferred || c->phase == FLUSHING || c->n_writes > 0) {
            stash(c, data, n);
            break;
        }
        bool done;
        size_t used = parse(c, data, n, &done);
        data += used;
        n -= used;
        if (!done)
            continue;
        c->more = n > 0;
        handle_message(c);
    }
    c->more = false;
    if (c->phase != CLOSING)
        flush_out(c);
}

/* Bytes that waited behind a deferred request or a slow reader. */
static void resume(struct am_conn *c)
{
    if (c->phase == CLOSING || c->phase == LINGER || c->in_handler || c->deferred ||
        c->n_writes > 0)
        return;
    if (c->rest.len) {
        struct am_buf waiting = c->rest;
        am_buf_init(&c->rest, waiting.max);
        feed(c, waiting.ptr, waiting.len);
        am_buf_clear(&waiting);
    }
    if (c->phase != CLOSING && !c->deferred && c->n_writes == 0 && c->stopped)
        start_reading(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct am_conn *c = s->data;
    if (n == UV_EOF && c->deferred) { /* half-closed: the answer may still be wanted */
        c->close_after = true;
        (void)uv_read_stop(s);
        c->stopped = true;
        return;
    }
    if (n < 0) {
        close_conn(c);
        return;
    }
    if (n == 0 || c->phase == LINGER)
        return;
    c->http->now_ns = am_mono_ns();
    c->last_ns = c->http->now_ns;
    feed(c, buf->base, (size_t)n);
}

/* ---- answers ---- */

struct pending {
    uv_write_t req;
    struct am_conn *c;
    char bytes[];
};

static void on_shutdown(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status; /* the handle's close is what counts */
}

static void linger(struct am_conn *c)
{
    set_phase(c, LINGER);
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0)
        close_conn(c);
    else if (c->stopped)
        start_reading(c);
}

static void after_answer(struct am_conn *c)
{
    if (c->phase == CLOSING || c->phase == LINGER)
        return;
    if (!c->close_after)
        set_phase(c, IDLE);
    else if (c->bad_status)
        linger(c);
    else
        close_conn(c);
}

static void on_written(uv_write_t *req, int status)
{
    struct pending *p = (struct pending *)req;
    struct am_conn *c = p->c;
    am_free(p);
    c->n_writes--;
    c->http->now_ns = c->last_ns = am_mono_ns();
    if (c->phase == CLOSING) {
        maybe_release(c);
        return;
    }
    if (status < 0) {
        close_conn(c);
        return;
    }
    if (c->n_writes != 0)
        return;
    if (c->phase == FLUSHING)
        after_answer(c);
    resume(c);
}

/* What the socket did not take is copied and queued. */
static void send_bytes(struct am_conn *c, struct am_str a, struct am_str b)
{
    uv_buf_t bufs[2] = {uv_buf_init((char *)(uintptr_t)a.ptr, (unsigned)a.len),
                        uv_buf_init((char *)(uintptr_t)b.ptr, (unsigned)b.len)};
    int sent = c->n_writes ? 0 : uv_try_write((uv_stream_t *)&c->tcp, bufs, b.len ? 2 : 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        close_conn(c);
        return;
    }
    size_t at = sent > 0 ? (size_t)sent : 0, total = a.len + b.len;
    if (at == total)
        return;
    struct pending *p = am_alloc(sizeof *p + total - at);
    if (!p) {
        close_conn(c);
        return;
    }
    size_t from_a = at < a.len ? a.len - at : 0;
    size_t b_at = at > a.len ? at - a.len : 0;
    if (from_a)
        memcpy(p->bytes, a.ptr + at, from_a);
    if (b.len > b_at)
        memcpy(p->bytes + from_a, b.ptr + b_at, b.len - b_at);
    p->c = c;
    uv_buf_t rest = uv_buf_init(p->bytes, (unsigned)(total - at));
    if (uv_write(&p->req, (uv_stream_t *)&c->tcp, &rest, 1, on_written) != 0) {
        am_free(p);
        close_conn(c);
        return;
    }
    c->n_writes++;
    if (!c->deferred && (c->phase == IDLE || c->phase == BUSY))
        c->phase = FLUSHING;
}

static void flush_out(struct am_conn *c)
{
    struct am_buf *out = &c->http->out;
    if (out->len == 0)
        return;
    struct am_str bytes = am_buf_view(out);
    send_bytes(c, bytes, (struct am_str){"", 0});
    if (out->cap > (size_t)16 * KEEP_BYTES)
        am_buf_clear(out);
    else
        am_buf_reset(out);
    if (c->phase != FLUSHING && c->close_after && !c->deferred)
        after_answer(c);
}

const char *am_http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {{200, "OK"},
                 {204, "No Content"},
                 {400, "Bad Request"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {417, "Expectation Failed"},
                 {422, "Unprocessable Content"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"},
                 {507, "Insufficient Storage"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Error";
}

static void add_number(struct am_buf *b, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    am_buf_add(b, digits + n, sizeof digits - n);
}

static void other_head(struct am_conn *c, const struct am_reply *r, struct am_buf *b)
{
    am_buf_str(b, AM_STR("HTTP/1.1 "));
    add_number(b, (uint64_t)r->status);
    am_buf_char(b, ' ');
    am_buf_cstr(b, am_http_status_text(r->status));
    am_buf_str(b, AM_STR("\r\nDate: "));
    am_buf_add(b, c->http->date, 29);
    if (!r->type || *r->type) {
        am_buf_str(b, AM_STR("\r\nContent-Type: "));
        am_buf_cstr(b, r->type ? r->type : "application/json");
    }
    am_buf_str(b, AM_STR("\r\nX-Content-Type-Options: nosniff\r\nContent-Length: "));
}

static void make_head(struct am_conn *c, const struct am_reply *r, struct am_buf *b)
{
    if (r->status == 200 && !r->type)
        am_buf_add(b, c->http->head_ok, c->http->head_ok_len);
    else
        other_head(c, r, b);
    add_number(b, r->body.len);
    am_buf_str(b, AM_STR("\r\n"));
    if (c->close_after)
        am_buf_str(b, AM_STR("Connection: close\r\n"));
    else if (c->parser.http_minor == 0)
        am_buf_str(b, AM_STR("Connection: keep-alive\r\n"));
    if (r->extra.len)
        am_buf_str(b, r->extra);
    am_buf_str(b, AM_STR("\r\n"));
}

void am_http_reply(struct am_conn *c, const struct am_reply *r)
{
    struct am_http *h = c->http;
    bool was_deferred = c->deferred;
    am_http_event(h, r->status < 400 ? AM_HTTP_2XX : r->status < 500 ? AM_HTTP_4XX : AM_HTTP_5XX);
    c->deferred = false;
    if (c->phase == CLOSING) {
        maybe_release(c);
        return;
    }
    if (h->draining)
        c->close_after = true;
    struct am_str body = c->rq.method == AM_HEAD ? (struct am_str){"", 0} : r->body;
    if (was_deferred)
        h->now_ns = am_mono_ns();
    if (c->more || h->out.len) { /* several answers leave together */
        make_head(c, r, &h->out);
        am_buf_str(&h->out, body);
        if (h->out.failed != AM_OK) {
            am_buf_clear(&h->out);
            close_conn(c);
            return;
        }
        if (h->out.len > READ_BYTES)
            flush_out(c);
        if (c->phase == BUSY || c->phase == HEAD || c->phase == BODY)
            set_phase(c, IDLE);
        if (c->close_after)
            flush_out(c);
        return;
    }
    am_buf_reset(&h->head);
    make_head(c, r, &h->head);
    if (body.len <= ONE_WRITE_BYTES) { /* copying is cheaper than a vector for the kernel */
        am_buf_str(&h->head, body);
        body.len = 0;
    }
    if (h->head.failed != AM_OK) {
        close_conn(c);
        return;
    }
    send_bytes(c, am_buf_view(&h->head), body);
    if (c->phase != CLOSING && c->phase != FLUSHING)
        after_answer(c);
    if (was_deferred)
        resume(c);
}

/* ---- the loop's share ---- */

static void refresh_date(struct am_http *h)
{
    struct tm tm;
    time_t now = (time_t)(am_wall_us() / 1000000);
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    gmtime_r(&now, &tm);
    (void)snprintf(h->date, sizeof h->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                   &days[(size_t)3 * (size_t)(tm.tm_wday % 7)], tm.tm_mday % 100,
                   &months[(size_t)3 * (size_t)(tm.tm_mon % 12)], (tm.tm_year + 1900) % 10000,
                   tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
    int n = snprintf(h->head_ok, sizeof h->head_ok,
                     "HTTP/1.1 200 OK\r\nDate: %.29s\r\nContent-Type: application/json\r\n"
                     "X-Content-Type-Options: nosniff\r\nContent-Length: ",
                     h->date);
    h->head_ok_len = (size_t)n;
}

enum am_rc am_http_init(struct am_http *h, uv_loop_t *loop, struct am_err *err)
{
    h->loop = loop;
    h->read_buf = am_alloc(READ_BYTES);
    if (!h->read_buf)
        return am_fail_nomem(err, READ_BYTES);
    am_buf_init(&h->out, (size_t)1 << 31);
    am_buf_init(&h->head, 65536);
    refresh_date(h);
    return AM_OK;
}

void am_http_clear(struct am_http *h)
{
    while (h->spare) {
        struct am_conn *c = h->spare;
        h->spare = c->next;
        am_buf_clear(&c->head);
        am_buf_clear(&c->body);
        am_buf_clear(&c->rest);
        am_free(c);
    }
    am_free(h->read_buf);
    h->read_buf = NULL;
    am_buf_clear(&h->out);
    am_buf_clear(&h->head);
}

static bool too_slow(const struct am_conn *c, uint64_t now, uint64_t since, uint64_t idle)
{
    const struct am_http_limits *l = c->http->limits;
    const uint64_t ms = 1000000;
    switch (c->phase) {
    case IDLE:
        return idle > l->keepalive_ms * ms;
    case HEAD:
        return since > l->header_ms * ms;
    case BODY:
        return idle > l->body_idle_ms * ms ||
               (since > l->rate_grace_ms * ms &&
                c->body_bytes < (since / 1000000000 + 1) * AM_LIMIT_HTTP_BODY_RATE / 2);
    case LINGER:
        return since > LINGER_NS;
    case FLUSHING:
        return idle > l->write_idle_ms * ms;
    default:
        (void)now;
        return false;
    }
}

void am_http_tick(struct am_http *h)
{
    uint64_t now = am_mono_ns();
    struct am_conn *next;
    h->now_ns = now;
    refresh_date(h);
    if (h->stuck) {
        uv_stream_t *listener = h->stuck;
        h->stuck = NULL;
        am_http_accept(h, listener, h->stuck_admit);
    }
    for (struct am_conn *c = h->first; c; c = next) {
        next = c->next;
        uint64_t since = now > c->phase_ns ? now - c->phase_ns : 0;
        uint64_t idle = now > c->last_ns ? now - c->last_ns : 0;
        if (!too_slow(c, now, since, idle))
            continue;
        if (c->phase == HEAD || c->phase == BODY) {
            am_http_event(h, AM_HTTP_TIMED_OUT);
            c->bad_status = 408;
            c->bad_text = "the request took too long to arrive";
            refuse_message(c);
        } else {
            if (c->phase == FLUSHING)
                am_http_event(h, AM_HTTP_TIMED_OUT);
            close_conn(c);
        }
    }
}

void am_http_drain(struct am_http *h)
{
    struct am_conn *next;
    h->draining = true;
    for (struct am_conn *c = h->first; c; c = next) {
        next = c->next;
        if (c->phase == IDLE)
            close_conn(c);
        else
            c->close_after = true;
    }
}

void am_http_abort(struct am_http *h)
{
    struct am_conn *next;
    for (struct am_conn *c = h->first; c; c = next) {
        next = c->next;
        close_conn(c);
    }
}
