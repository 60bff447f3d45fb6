/* The server: sockets, one loop a core and one for control, signals, draining, the watchdog.
 *
 * Every loop has its own listening socket (SO_REUSEPORT), so a connection stays with one thread.
 * The calling thread runs the control loop: signals, the watchdog and, when asked, health and
 * metrics on a port of their own. Nothing here parses or predicts. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#define TICK_MS 250
#define STALL_NS 1000000000ull

/* ---- sockets ---- */

static enum am_rc loopback_only(const char *host, struct am_err *err)
{
    if (!host || strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
        strcmp(host, "::1") == 0)
        return AM_OK;
    (void)am_fail(err, AM_EUSAGE, "cannot listen on \"%s\": not a loopback address", host);
    am_hint(err, "Until login exists the server listens on 127.0.0.1 and ::1 only; reach it from "
                 "other machines through an SSH tunnel.");
    return AM_EUSAGE;
}

static socklen_t loopback_address(int family, int port, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(ss, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    in6.sin6_addr = in6addr_loopback;
    memcpy(ss, &in6, sizeof in6);
    return sizeof in6;
}

enum reuse { REUSE_NO, REUSE_PORT };

/* A bound, listening socket, or -1 and errno. *port 0 becomes the port given. */
static int listen_on(int family, int *port, enum reuse reuse)
{
    struct sockaddr_storage ss;
    socklen_t n = loopback_address(family, *port, &ss);
    int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        (reuse == REUSE_PORT && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(fd, (struct sockaddr *)&ss, n) != 0 || listen(fd, 1024) != 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    n = sizeof ss;
    if (*port == 0 && getsockname(fd, (struct sockaddr *)&ss, &n) == 0) {
        struct sockaddr_in in;
        memcpy(&in, &ss, sizeof in);
        *port = ntohs(in.sin_port); /* the same place in both families */
    }
    return fd;
}

static enum am_rc port_error(int port, struct am_err *err)
{
    if (errno != EADDRINUSE)
        return am_fail_errno(err, errno, "cannot listen on port %d", port);
    (void)am_fail(err, AM_EBUSY, "port %d is in use", port);
    am_hint(err, "Stop the other program, or choose a port with --port (0 = any free one).");
    return AM_EBUSY;
}

/* The sockets of n loops; families as the host says, IPv6 only where the machine has it. */
static enum am_rc bind_loops(struct am_server *s, unsigned first, unsigned n, int *port,
                             struct am_err *err)
{
    const char *host = s->options.host;
    bool v4 = !host || strcmp(host, "::1") != 0, v6 = !host || strcmp(host, "127.0.0.1") != 0;
    int family = v4 ? AF_INET : AF_INET6;
    if (*port !=
        0) { /* SO_REUSEPORT would silently share a port with another server of this user */
        int probe = listen_on(family, port, REUSE_NO);
        if (probe < 0)
            return port_error(*port, err);
        close(probe);
    }
    for (unsigned i = first; i < first + n; i++) {
        s->fds[i][0] = listen_on(family, port, REUSE_PORT);
        if (s->fds[i][0] < 0)
            return port_error(*port, err);
        if (v4 && v6)
            s->fds[i][1] = listen_on(AF_INET6, port, REUSE_PORT);
    }
    return AM_OK;
}

unsigned am_api_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (unsigned)n;
}

static void set_limits(struct am_server *s, const struct am_http_limits *given)
{
    struct am_http_limits *l = &s->limits;
    struct rlimit files = {1024, 1024};
    *l = given ? *given : (struct am_http_limits){0};
#define DEFAULT(field, value) l->field = l->field ? l->field : (value)
    DEFAULT(header_ms, AM_LIMIT_HTTP_HEADER_MS);
    DEFAULT(body_idle_ms, AM_LIMIT_HTTP_BODY_IDLE_MS);
    DEFAULT(keepalive_ms, AM_LIMIT_HTTP_KEEPALIVE_MS);
    DEFAULT(write_idle_ms, AM_LIMIT_HTTP_WRITE_IDLE_MS);
    DEFAULT(rate_grace_ms, AM_LIMIT_HTTP_HEADER_MS);
    DEFAULT(body_bytes, AM_LIMIT_HTTP_BODY_BYTES);
    DEFAULT(bodies_bytes, AM_LIMIT_HTTP_BODIES_BYTES);
    DEFAULT(requests_per_conn, AM_LIMIT_HTTP_REQUESTS_PER_CONN);
    DEFAULT(conns_per_ip, AM_LIMIT_HTTP_CONNS_PER_IP);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur > 65536)
        files.rlim_cur = 65536;
    DEFAULT(conns, (unsigned)(files.rlim_cur * 8 / 10 / s->n_loops));
#undef DEFAULT
}

enum am_rc am_server_bind(struct am_server *s, const struct am_api_options *o,
                          const struct am_http_limits *limits, struct am_err *err)
{
    memset(s, 0, sizeof *s);
    memset(s->fds, 0xff, sizeof s->fds);
    s->options = *o;
    s->started_ns = am_mono_ns();
    s->n_loops = o->n_loops ? o->n_loops : am_api_cpus();
    if (s->n_loops > AM_API_MAX_LOOPS)
        s->n_loops = AM_API_MAX_LOOPS;
    set_limits(s, limits);
    AM_TRY(loopback_only(o->host, err));
    s->port = o->port < 0 ? AM_API_PORT : o->port;
    s->admin_port = o->admin_port < 0 ? 0 : o->admin_port;
    if (s->port > 65535 || s->admin_port > 65535)
        return am_fail(err, AM_EUSAGE, "port %d is not in 0 .. 65535",
                       s->port > 65535 ? s->port : s->admin_port);
    AM_TRY(bind_loops(s, 0, s->n_loops, &s->port, err));
    if (o->admin_port != 0)
        AM_TRY(bind_loops(s, s->n_loops, 1, &s->admin_port, err));
    (void)snprintf(s->url, sizeof s->url, "http://%s:%d",
                   o->host && strcmp(o->host, "::1") == 0 ? "[::1]" : "127.0.0.1", s->port);
    return AM_OK;
}

/* ---- a loop ---- */

static bool admit(void *ctx, uint64_t ip)
{
    struct am_loop *l = ctx;
    _Atomic uint16_t *n = &l->server->by_ip[ip % AM_API_IP_BUCKETS];
    return atomic_fetch_add(n, 1) < l->server->limits.conns_per_ip;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct am_loop *l = listener->data;
    if (status == 0)
        am_http_accept(&l->http, listener, admit);
}

static void on_check(uv_check_t *check)
{
    struct am_loop *l = check->data;
    l->inline_ns = 0;
    uint64_t since = atomic_exchange_explicit(&l->busy_since_ns, 0, memory_order_relaxed);
    if (!since)
        return;
    uint64_t busy = am_mono_ns() - since;
    if (busy > atomic_load_explicit(&l->max_busy_ns, memory_order_relaxed))
        atomic_store_explicit(&l->max_busy_ns, busy, memory_order_relaxed);
}

static void close_handle(uv_handle_t *h)
{
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void close_listeners(struct am_loop *l)
{
    for (unsigned i = 0; i < l->n_listeners; i++)
        close_handle((uv_handle_t *)&l->listeners[i]);
}

/* Stop taking connections; once all are closed the loop runs out of handles and ends. */
static void maybe_finish(struct am_loop *l)
{
    if (!l->stopping || l->closing)
        return;
    if (atomic_load(&l->server->hurry) || am_mono_ns() > l->drain_until_ns)
        am_http_abort(&l->http);
    if (l->http.n_conns > 0 || l->n_open_calls > 0)
        return;
    l->closing = true;
    close_handle((uv_handle_t *)&l->tick);
    close_handle((uv_handle_t *)&l->check);
    close_handle((uv_handle_t *)&l->wake);
    if (l->slot == l->server->n_loops) {
        close_handle((uv_handle_t *)&l->server->on_term);
        close_handle((uv_handle_t *)&l->server->on_int);
    }
}

static void on_conn_closed(void *ctx, struct am_conn *c)
{
    struct am_loop *l = ctx;
    if (am_conn_ip(c))
        atomic_fetch_sub(&l->server->by_ip[am_conn_ip(c) % AM_API_IP_BUCKETS], 1);
    maybe_finish(l);
}

static void begin_drain(struct am_loop *l)
{
    unsigned ms = l->server->options.drain_ms ? l->server->options.drain_ms : 10000;
    l->stopping = true;
    l->drain_until_ns = am_mono_ns() + ms * 1000000ull;
    close_listeners(l);
    am_http_drain(&l->http);
}

/* Calls that come back from workers and the loader, in the order in which they were pushed. */
static void take_done(struct am_loop *l)
{
    struct am_call *list = atomic_exchange(&l->done, NULL), *ordered = NULL;
    while (list) {
        struct am_call *next = list->next;
        list->next = ordered;
        ordered = list;
        list = next;
    }
    while (ordered) {
        struct am_call *next = ordered->next;
        ordered->next = NULL;
        am_call_resume(ordered);
        ordered = next;
    }
}

static void on_wake(uv_async_t *a)
{
    struct am_loop *l = a->data;
    take_done(l);
    am_serve_sync(l->server->serve, l->slot);
    if (atomic_load(&l->server->draining) && !l->stopping)
        begin_drain(l);
    maybe_finish(l);
}

static void on_tick(uv_timer_t *t)
{
    struct am_loop *l = t->data;
    am_http_tick(&l->http);
    am_calls_expire(l);
    maybe_finish(l);
}

static int open_listener(struct am_loop *l, int *fd)
{
    uv_tcp_t *t = &l->listeners[l->n_listeners];
    int e = uv_tcp_init(&l->uv, t);
    if (e)
        return e;
    l->n_listeners++;
    t->data = l;
    e = uv_tcp_open(t, *fd);
    if (e)
        return e;
    *fd = -1; /* the handle owns it now */
    return uv_listen((uv_stream_t *)t, 1024, on_connection);
}

static enum am_rc loop_open(struct am_server *s, unsigned i, struct am_err *err)
{
    struct am_loop *l = &s->loops[i];
    l->server = s;
    l->slot = i;
    int e = uv_loop_init(&l->uv);
    if (e)
        return am_fail(err, AM_EIO, "cannot make an event loop: %s", uv_strerror(e));
    l->started = true;
    l->http.limits = &s->limits;
    l->http.handle = am_server_handle;
    l->http.gone = am_call_gone;
    l->http.closed = on_conn_closed;
    l->http.ctx = l;
    AM_TRY(am_http_init(&l->http, &l->uv, err));
    l->wake.data = l->tick.data = l->check.data = l;
    if ((e = uv_async_init(&l->uv, &l->wake, on_wake)) != 0 ||
        (e = uv_timer_init(&l->uv, &l->tick)) != 0 || (e = uv_check_init(&l->uv, &l->check)) != 0 ||
        (e = uv_check_start(&l->check, on_check)) != 0)
        return am_fail(err, AM_EIO, "cannot start an event loop: %s", uv_strerror(e));
    uint64_t ms = s->limits.tick_ms ? s->limits.tick_ms : TICK_MS;
    (void)uv_timer_start(&l->tick, on_tick, ms, ms);
    for (unsigned k = 0; k < 2; k++)
        if (s->fds[i][k] >= 0 && (e = open_listener(l, &s->fds[i][k])) != 0)
            return am_fail(err, AM_EIO, "cannot listen: %s", uv_strerror(e));
    return AM_OK;
}

static void *loop_main(void *arg)
{
    struct am_loop *l = arg;
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

/* ---- control ---- */

void am_server_changed(void *server)
{
    struct am_server *s = server;
    if (!atomic_load(&s->live))
        return;
    for (unsigned i = 0; i <= s->n_loops; i++)
        (void)uv_async_send(&s->loops[i].wake);
}

static void on_signal(uv_signal_t *sig, int number)
{
    struct am_server *s = sig->data;
    if (atomic_exchange(&s->draining, true)) /* the second time: at once */
        atomic_store(&s->hurry, true);
    am_log(AM_LOG_INFO, "api", "signal=%d state=draining", number);
    am_server_changed(s);
}

static void watch_loops(struct am_server *s, uint64_t now)
{
    for (unsigned i = 0; i < s->n_loops; i++) {
        uint64_t since = atomic_load_explicit(&s->loops[i].busy_since_ns, memory_order_relaxed);
        if (since && now > since && now - since > STALL_NS)
            am_log(AM_LOG_WARN, "api", "loop=%u stalled_ms=%llu", i,
                   (unsigned long long)((now - since) / 1000000));
    }
}

static void on_control_tick(uv_timer_t *t)
{
    struct am_loop *l = t->data;
    struct am_server *s = l->server;
    on_tick(t);
    watch_loops(s, am_mono_ns());
    if (s->options.stop && atomic_load(s->options.stop) && !atomic_exchange(&s->draining, true))
        am_server_changed(s);
}

static enum am_rc start_signals(struct am_server *s, struct am_err *err)
{
    struct am_loop *control = &s->loops[s->n_loops];
    int e;
    s->on_term.data = s->on_int.data = s;
    (void)signal(SIGPIPE, SIG_IGN);
    if ((e = uv_signal_init(&control->uv, &s->on_term)) != 0 ||
        (e = uv_signal_init(&control->uv, &s->on_int)) != 0 ||
        (e = uv_signal_start(&s->on_term, on_signal, SIGTERM)) != 0 ||
        (e = uv_signal_start(&s->on_int, on_signal, SIGINT)) != 0)
        return am_fail(err, AM_EIO, "cannot watch signals: %s", uv_strerror(e));
    uint64_t ms = s->limits.tick_ms ? s->limits.tick_ms : 100;
    (void)uv_timer_start(&control->tick, on_control_tick, ms, ms);
    return AM_OK;
}

enum am_rc am_server_start(struct am_server *s, struct am_serve *serve, struct am_err *err)
{
    s->serve = serve;
    s->by_ip = am_calloc(AM_API_IP_BUCKETS, sizeof *s->by_ip);
    struct am_loop *loops = am_calloc(s->n_loops + 1, sizeof *loops);
    if (!s->by_ip || !loops) {
        am_free(loops);
        return am_fail_nomem(err, sizeof *loops * (s->n_loops + 1));
    }
    s->loops = loops;
    am_buf_init(&s->openapi, AM_LIMIT_JSON_BYTES);
    am_api_openapi(&s->openapi);
    AM_TRY(am_buf_check(&s->openapi, err));
    for (unsigned i = 0; i <= s->n_loops; i++)
        AM_TRY(loop_open(s, i, err));
    AM_TRY(start_signals(s, err));
    for (unsigned i = 0; i < s->n_loops; i++) {
        int e = pthread_create(&s->loops[i].thread, NULL, loop_main, &s->loops[i]);
        if (e)
            return am_fail_errno(err, e, "cannot start a thread");
        s->n_threads++;
    }
    atomic_store(&s->live, true);
    return AM_OK;
}

void am_server_run(struct am_server *s)
{
    if (s->options.ready)
        s->options.ready(s->options.ctx, s->url, s->port, s->admin_port);
    (void)uv_run(&s->loops[s->n_loops].uv, UV_RUN_DEFAULT);
}

static void free_calls(struct am_loop *l)
{
    while (l->free_calls) {
        struct am_call *call = l->free_calls;
        l->free_calls = call->next;
        am_columns_clear(&call->columns);
        am_serve_result_clear(&call->result);
        am_buf_clear(&call->body);
        am_buf_clear(&call->binary);
        am_buf_clear(&call->pixels);
        am_free(call);
    }
}

static void close_any(uv_handle_t *h, void *arg)
{
    (void)arg;
    close_handle(h);
}

void am_server_clear(struct am_server *s)
{
    if (s->loops) {
        atomic_store(&s->draining, true);
        for (unsigned i = 0; i < s->n_threads; i++)
            (void)uv_async_send(&s->loops[i].wake);
        for (unsigned i = 0; i < s->n_threads; i++)
            pthread_join(s->loops[i].thread, NULL);
        /* workers and the loader end before the loops that they wake are freed */
        if (s->end_serve)
            s->end_serve(s->serve_owner);
        s->end_serve = NULL;
        for (unsigned i = 0; i <= s->n_loops; i++) {
            struct am_loop *l = &s->loops[i];
            if (!l->started)
                continue;
            uv_walk(&l->uv, close_any, NULL); /* what a failed start left open */
            (void)uv_run(&l->uv, UV_RUN_DEFAULT);
            (void)uv_loop_close(&l->uv);
            am_http_clear(&l->http);
            free_calls(l);
        }
    }
    if (s->end_serve)
        s->end_serve(s->serve_owner);
    s->end_serve = NULL;
    for (unsigned i = 0; i <= AM_API_MAX_LOOPS; i++)
        for (unsigned k = 0; k < 2; k++)
            if (s->fds[i][k] >= 0)
                close(s->fds[i][k]);
    am_free(s->loops);
    am_free((void *)(uintptr_t)s->by_ip);
    am_buf_clear(&s->openapi);
    s->loops = NULL;
    s->by_ip = NULL;
}
