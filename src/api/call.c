/* A call from request to answer: who may ask, which route, which version, inline or through a
 * worker, and the error answers. Loop thread, but for the two `done` functions. */
#include <stdarg.h>
#include <stdio.h>

#include "api/api_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/num.h"

#define INLINE_BUDGET_NS 200000 /* of predictions in one wake-up of a loop */
#define INLINE_BODY_BYTES 16384 /* larger ones are parsed and answered by a worker */
#define KEEP_BODY_BYTES ((size_t)1 << 20)

/* ---- calls are kept and used again ---- */

static struct am_call *call_new(struct am_loop *l, struct am_conn *c, struct am_request *rq)
{
    struct am_call *call = l->free_calls;
    if (call) {
        l->free_calls = call->next;
    } else {
        call = am_calloc(1, sizeof *call);
        if (!call)
            return NULL;
        call->loop = l;
        am_buf_init(&call->body, (size_t)1 << 30);
        am_buf_init(&call->pixels, 2 * AM_LIMIT_HTTP_BODY_BYTES);
    }
    call->next = NULL;
    call->conn = c;
    call->rq = rq;
    call->route = NULL;
    call->served = NULL;
    call->holds_served = call->parked = call->wanted_again = false;
    call->request_id[0] = 0;
    call->deadline_ns = 0;
    call->type = NULL;
    call->extra_len = 0;
    call->model = call->selector = (struct am_str){"", 0};
    am_buf_reset(&call->body);
    l->n_open_calls++;
    return call;
}

static void call_free(struct am_call *call)
{
    struct am_loop *l = call->loop;
    if (call->holds_served)
        am_served_unref(call->served);
    call->holds_served = false;
    call->served = NULL;
    if (call->body.cap > KEEP_BODY_BYTES)
        am_buf_clear(&call->body);
    if (call->pixels.cap > KEEP_BODY_BYTES)
        am_buf_clear(&call->pixels);
    if (call->columns.block_bytes > KEEP_BODY_BYTES)
        am_columns_clear(&call->columns);
    if (call->result.cap_probability * sizeof(float) > KEEP_BODY_BYTES)
        am_serve_result_clear(&call->result);
    call->next = l->free_calls;
    l->free_calls = call;
    l->n_open_calls--;
}

/* ---- answering ---- */

static bool id_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

/* The client's X-Request-Id when it is harmless, else one of ours. */
static const char *request_id(struct am_call *call)
{
    struct am_str given = call->rq ? call->rq->request_id : (struct am_str){NULL, 0};
    if (call->request_id[0])
        return call->request_id;
    bool good = given.ptr && given.len > 0 && given.len <= 64;
    for (size_t i = 0; good && i < given.len; i++)
        good = id_char(given.ptr[i]);
    if (good)
        (void)snprintf(call->request_id, sizeof call->request_id, "%.*s", (int)given.len,
                       given.ptr);
    else
        (void)snprintf(call->request_id, sizeof call->request_id, "%llx-%u-%llx",
                       (unsigned long long)(call->loop->server->started_ns / 1000),
                       call->loop->slot, (unsigned long long)++call->loop->n_ids);
    return call->request_id;
}

void am_call_extra(struct am_call *call, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(call->extra + call->extra_len, sizeof call->extra - call->extra_len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof call->extra - call->extra_len)
        call->extra_len += (size_t)n;
}

void am_call_reply(struct am_call *call, int status)
{
    struct am_conn *c = call->conn;
    struct am_reply r = {.status = status,
                         .type = call->type,
                         .extra = {call->extra, call->extra_len},
                         .body = am_buf_view(&call->body)};
    if (call->body.failed != AM_OK) {
        am_buf_clear(&call->body);
        r = (struct am_reply){.status = 500, .body = AM_STR("{\"error\":\"out of memory\"}")};
    }
    call->conn = NULL;
    call->rq = NULL;
    if (c) {
        am_conn_set_call(c, NULL);
        am_http_reply(c, &r);
    }
    call_free(call);
}

int am_api_status(const struct am_err *err)
{
    switch (err->rc) {
    case AM_EUNSUPPORTED:
        return 501;
    case AM_EBUSY:
        return 503;
    case AM_OK:
        return 500;
    default:
        return am_rc_http(err->rc);
    }
}

/* What a client may read: causes inside the server are logged, not told. */
static bool secret(const struct am_err *err)
{
    return err->rc == AM_EIO || err->rc == AM_EINTERNAL || err->rc == AM_ENOMEM ||
           err->rc == AM_ENOSPC || err->rc == AM_OK;
}

static void print_problem(struct am_call *call, int status, struct am_str detail,
                          struct am_str hint)
{
    struct am_buf *b = &call->body;
    call->type = "application/problem+json";
    am_buf_cstr(b, "{\"type\":\"about:blank\",\"title\":");
    am_json_quote(b, am_str(am_http_status_text(status)));
    am_buf_printf(b, ",\"status\":%d,\"detail\":", status);
    am_json_quote(b, detail);
    if (hint.len) {
        am_buf_cstr(b, ",\"hint\":");
        am_json_quote(b, hint);
    }
    am_buf_cstr(b, ",\"request_id\":");
    am_json_quote(b, am_str(request_id(call)));
    am_buf_char(b, '}');
}

static void print_error(struct am_call *call, struct am_str detail, struct am_str hint)
{
    char text[AM_ERR_MESSAGE_BYTES + AM_ERR_HINT_BYTES + 4];
    int n = hint.len ? snprintf(text, sizeof text, "%.*s. %.*s", AM_FMT(detail), AM_FMT(hint))
                     : snprintf(text, sizeof text, "%.*s", AM_FMT(detail));
    am_buf_cstr(&call->body, "{\"error\":");
    am_json_quote(&call->body, (struct am_str){text, n < 0 ? 0 : (size_t)n});
    am_buf_char(&call->body, '}');
}

static void fail_with(struct am_call *call, int status, const struct am_err *err, const char *extra)
{
    struct am_str detail = am_str(err->message), hint = am_str(err->hint);
    char hidden[128];
    am_buf_reset(&call->body);
    call->type = NULL;
    call->extra_len = 0;
    if (extra)
        am_call_extra(call, "%s", extra);
    if (secret(err)) {
        am_log(AM_LOG_ERROR, "api", "request=%s code=%s message=\"%s\"", request_id(call),
               am_rc_name(err->rc), err->message);
        int n = snprintf(hidden, sizeof hidden, "%s (request %s)", am_tr("internal error"),
                         request_id(call));
        detail = (struct am_str){hidden, (size_t)n};
        hint = (struct am_str){"", 0};
    }
    if (status == 503 || status == 429)
        am_call_extra(call, "Retry-After: 1\r\n");
    if (call->route ? call->route->style == AM_STYLE_PROBLEM
                    : call->rq && am_str_starts(call->rq->path, AM_STR("/api/")))
        print_problem(call, status, detail, hint);
    else
        print_error(call, detail, hint);
    am_call_reply(call, status);
}

void am_call_fail_status(struct am_call *call, int status, const struct am_err *err)
{
    fail_with(call, status, err, NULL);
}

void am_call_fail(struct am_call *call, const struct am_err *err)
{
    am_call_fail_status(call, am_api_status(err), err);
}

/* ---- who may ask ---- */

static struct am_str host_name(struct am_str host)
{
    if (host.len && host.ptr[0] == '[') {
        const char *close = memchr(host.ptr, ']', host.len);
        return close ? (struct am_str){host.ptr, (size_t)(close - host.ptr) + 1} : host;
    }
    const char *colon = memchr(host.ptr, ':', host.len);
    return colon ? (struct am_str){host.ptr, (size_t)(colon - host.ptr)} : host;
}

static bool same_name(struct am_str s, const char *name)
{
    if (s.len != strlen(name))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((char)(c >= 'A' && c <= 'Z' ? c + 32 : c) != name[i])
            return false;
    }
    return true;
}

/* Against DNS rebinding: only names that mean this machine, with any port (tunnels change it). */
bool am_host_allowed(const struct am_server *s, struct am_str host)
{
    struct am_str name = host_name(host);
    uint64_t port;
    if (host.len > name.len) {
        struct am_str rest = {host.ptr + name.len + 1, host.len - name.len - 1};
        if (host.ptr[name.len] != ':' || !am_parse_u64(rest, 65535, &port))
            return false;
    }
    if (same_name(name, "127.0.0.1") || same_name(name, "localhost") || same_name(name, "[::1]"))
        return true;
    for (size_t i = 0; i < s->options.n_hosts; i++)
        if (same_name(name, s->options.hosts[i]))
            return true;
    return false;
}

bool am_origin_allowed(struct am_str origin, struct am_str host)
{
    struct am_str rest = origin;
    if (!origin.ptr)
        return true;
    if (am_str_starts(rest, AM_STR("http://")))
        rest = (struct am_str){rest.ptr + 7, rest.len - 7};
    else if (am_str_starts(rest, AM_STR("https://")))
        rest = (struct am_str){rest.ptr + 8, rest.len - 8};
    else
        return false;
    return host.ptr && am_str_eq(rest, host);
}

static enum am_rc check_sender(const struct am_server *s, const struct am_request *rq,
                               struct am_err *err)
{
    if (rq->host.ptr && !am_host_allowed(s, rq->host)) {
        (void)am_fail(err, AM_EPERM, "host \"%.*s\" is not served here",
                      (int)(rq->host.len > 100 ? 100 : rq->host.len), rq->host.ptr);
        am_hint(err, "Use 127.0.0.1, localhost or [::1] as the host name.");
        return AM_EPERM;
    }
    if (!am_origin_allowed(rq->origin, rq->host))
        return am_fail(err, AM_EPERM, "requests from pages of other origins are refused");
    return AM_OK;
}

/* ---- predictions ---- */

static void predict_ready(struct am_call *call);

static void count(struct am_call *call, enum am_serve_outcome outcome)
{
    uint64_t now = am_mono_ns(), start = call->rq ? call->rq->start_ns : now;
    struct am_serve_times t = {.now_ns = now,
                               .request_ns = now > start ? now - start : 0,
                               .queue_ns = call->job.queue_ns,
                               .compute_ns = call->result.compute_ns};
    if (call->served)
        am_serve_count(call->served, call->loop->slot, outcome, call->columns.n_rows, &t);
}

static void predict_fail(struct am_call *call, const struct am_err *err)
{
    enum am_serve_outcome outcome =
        err->rc == AM_EBUSY || err->rc == AM_ETIMEDOUT ? AM_SERVED_REJECTED
        : err->rc == AM_EINVAL || err->rc == AM_ELIMIT || err->rc == AM_EUNSUPPORTED
            ? AM_SERVED_OTHER
            : AM_SERVED_BACKEND;
    count(call, outcome);
    am_call_fail(call, err);
}

static void predict_answer(struct am_call *call)
{
    struct am_err err;
    if (call->route->protocol->print(call, &err) != AM_OK) {
        predict_fail(call, &err);
        return;
    }
    count(call, AM_SERVED_OK);
    am_call_reply(call, 200);
}

static void push_done(struct am_call *call)
{
    struct am_loop *l = call->loop;
    struct am_call *head = atomic_load(&l->done);
    do
        call->next = head;
    while (!atomic_compare_exchange_weak(&l->done, &head, call));
    (void)uv_async_send(&l->wake);
}

static void on_job_done(struct am_serve_job *job)
{
    push_done((struct am_call *)((char *)job - offsetof(struct am_call, job)));
}

static void on_want_done(struct am_serve_want *w)
{
    push_done((struct am_call *)((char *)w - offsetof(struct am_call, want)));
}

static enum am_rc detach(struct am_call *call, struct am_err *err)
{
    const char *before = call->rq->body;
    size_t n = call->rq->body_len;
    AM_TRY(am_http_defer(call->conn, call->rq, err));
    am_conn_set_call(call->conn, call);
    if (call->rq->body != before) {
        if (call->columns.schema)
            am_columns_relocate(&call->columns, before, n, call->rq->body);
        uintptr_t at = (uintptr_t)call->id.ptr - (uintptr_t)before;
        if (call->id.ptr && at <= n)
            call->id.ptr = call->rq->body + at;
    }
    return AM_OK;
}

static void predict_queue(struct am_call *call)
{
    struct am_loop *l = call->loop;
    struct am_err err;
    call->served = am_served_ref(call->served);
    call->holds_served = true;
    call->job = (struct am_serve_job){.served = call->served,
                                      .result = &call->result,
                                      .deadline_ns = call->deadline_ns,
                                      .done = on_job_done};
    enum am_rc rc = detach(call, &err);
    if (rc == AM_OK) {
        call->job.batch = am_columns_batch(&call->columns);
        rc = am_serve_submit(l->server->serve, &call->job, &err);
    }
    if (rc != AM_OK)
        predict_fail(call, &err);
}

static void predict_run(struct am_call *call)
{
    struct am_loop *l = call->loop;
    struct am_serve *serve = l->server->serve;
    struct am_err err;
    size_t n = call->columns.n_rows;
    if (n == 0) {
        call->result.n_rows = 0;
        call->result.n_classes = am_served_info(call->served)->n_classes;
        predict_answer(call);
        return;
    }
    if (l->inline_ns > INLINE_BUDGET_NS || !am_serve_inline(serve, call->served, n)) {
        predict_queue(call);
        return;
    }
    if (am_serve_predict(serve, l->slot, call->served, am_columns_batch(&call->columns),
                         &call->result, &err) != AM_OK) {
        predict_fail(call, &err);
        return;
    }
    l->inline_ns += call->result.compute_ns;
    predict_answer(call);
}

/* All of it on a worker: parse, predict, print. */
static void work_whole(struct am_serve_job *job, unsigned slot)
{
    struct am_call *call = (struct am_call *)((char *)job - offsetof(struct am_call, job));
    const struct am_protocol *p = call->route->protocol;
    struct am_serve *serve = call->loop->server->serve;
    job->rc = p->parse(call, &job->err);
    call->result.n_rows = 0;
    if (job->rc == AM_OK && am_served_info(call->served)->has_media)
        job->rc = am_media_check(&call->columns, &job->err);
    if (job->rc == AM_OK && call->columns.n_rows > 0)
        job->rc = am_serve_predict(serve, slot, call->served, am_columns_batch(&call->columns),
                                   &call->result, &job->err);
    if (job->rc == AM_OK)
        job->rc = p->print(call, &job->err);
    call->printed = job->rc == AM_OK;
}

static void predict_whole(struct am_call *call)
{
    struct am_err err;
    bool media = am_served_info(call->served)->has_media;
    call->served = am_served_ref(call->served);
    call->holds_served = true;
    call->columns.schema = NULL;
    call->job = (struct am_serve_job){.served = call->served,
                                      .deadline_ns = call->deadline_ns,
                                      .work = work_whole,
                                      .cost_ns = 4 * call->rq->body_len +
                                                 (media ? am_served_p99_ns(call->served, 1) : 0),
                                      .done = on_job_done};
    enum am_rc rc = detach(call, &err);
    if (rc == AM_OK)
        rc = am_serve_submit(call->loop->server->serve, &call->job, &err);
    if (rc != AM_OK)
        predict_fail(call, &err);
}

static void predict_ready(struct am_call *call)
{
    struct am_err err;
    call->columns.n_rows = 0;
    call->job.queue_ns = 0;
    call->result.compute_ns = 0;
    call->id = (struct am_str){NULL, 0};
    call->n_wanted = 0;
    call->binary_default = call->column_form = call->printed = false;
    am_outputs_want(call, am_outputs_default(am_served_info(call->served)));
    if (call->route->protocol == &am_protocol_native && am_outputs_query(call, &err) != AM_OK) {
        predict_fail(call, &err);
        return;
    }
    if (call->rq->body_len > INLINE_BODY_BYTES || am_served_info(call->served)->has_media ||
        call->route->protocol == &am_protocol_recommend) {
        predict_whole(call);
        return;
    }
    if (call->route->protocol->parse(call, &err) != AM_OK) {
        predict_fail(call, &err);
        return;
    }
    predict_run(call);
}

static void set_deadline(struct am_call *call)
{
    uint64_t ms = AM_LIMIT_PREDICT_MS, given;
    if (call->rq->deadline.ptr && am_parse_u64(call->rq->deadline, AM_LIMIT_PREDICT_MS, &given))
        ms = given;
    call->deadline_ns = call->rq->start_ns + ms * 1000000;
}

static void unpark(struct am_call *call)
{
    struct am_loop *l = call->loop;
    if (!call->parked)
        return;
    if (call->prev_parked)
        call->prev_parked->next_parked = call->next_parked;
    else
        l->parked = call->next_parked;
    if (call->next_parked)
        call->next_parked->prev_parked = call->prev_parked;
    l->n_parked--;
}

/* Wait for the loader. */
static void park(struct am_call *call)
{
    struct am_loop *l = call->loop;
    struct am_err err;
    if (l->n_parked >= AM_LIMIT_HTTP_PARKED) {
        (void)am_fail(&err, AM_EBUSY, "too many requests wait for models to load");
        am_call_fail(call, &err);
        return;
    }
    set_deadline(call);
    call->columns.schema = NULL;
    call->id = (struct am_str){NULL, 0};
    call->want = (struct am_serve_want){
        .model = call->model, .selector = call->selector, .done = on_want_done};
    enum am_rc rc = detach(call, &err);
    if (rc == AM_OK)
        rc = am_serve_want(l->server->serve, &call->want, &err);
    if (rc != AM_OK) {
        am_call_fail(call, &err);
        return;
    }
    call->parked = true;
    call->prev_parked = NULL;
    call->next_parked = l->parked;
    if (l->parked)
        l->parked->prev_parked = call;
    l->parked = call;
    l->n_parked++;
}

void am_handle_predict(struct am_call *call)
{
    struct am_loop *l = call->loop;
    struct am_err err;
    set_deadline(call);
    enum am_rc rc =
        am_serve_find(l->server->serve, l->slot, call->model, call->selector, &call->served, &err);
    if (rc == AM_OK)
        predict_ready(call);
    else if (rc == AM_EBUSY)
        park(call);
    else
        am_call_fail(call, &err);
}

const struct am_catalog_model *am_call_model(struct am_call *call, struct am_err *err)
{
    struct am_loop *l = call->loop;
    const struct am_catalog *c = am_serve_catalog(l->server->serve, l->slot);
    const struct am_catalog_model *m = c ? am_catalog_find(c, call->model) : NULL;
    if (!m)
        (void)am_fail(err, AM_ENOTFOUND, "model \"%.*s\" is not known", AM_FMT(call->model));
    return m;
}

void am_call_want(struct am_call *call, const struct am_err *err)
{
    if (call->wanted_again) {
        am_call_fail(call, err);
        return;
    }
    call->wanted_again = true;
    park(call);
}

struct am_served *am_call_served(struct am_call *call)
{
    struct am_loop *l = call->loop;
    struct am_err err;
    enum am_rc rc =
        am_serve_find(l->server->serve, l->slot, call->model, call->selector, &call->served, &err);
    if (rc == AM_OK)
        return call->served;
    if (rc == AM_EBUSY)
        am_call_want(call, &err);
    else
        am_call_fail(call, &err);
    return NULL;
}

/* ---- coming back ---- */

static void resume_parked(struct am_call *call)
{
    struct am_loop *l = call->loop;
    unpark(call);
    call->parked = false;
    if (!call->conn) { /* answered by its deadline, or the peer left */
        call_free(call);
        return;
    }
    if (call->want.rc != AM_OK) {
        am_call_fail(call, &call->want.err);
        return;
    }
    struct am_err err;
    enum am_rc rc =
        am_serve_find(l->server->serve, l->slot, call->model, call->selector, &call->served, &err);
    if (rc != AM_OK) {
        am_call_fail(call, &err);
        return;
    }
    if (call->route->protocol) {
        predict_ready(call);
    } else {
        call->route->handler(call);
    }
}

void am_call_resume(struct am_call *call)
{
    if (call->parked) {
        resume_parked(call);
        return;
    }
    if (!call->conn) {
        count(call, AM_SERVED_CANCELED);
        call_free(call);
        return;
    }
    if (call->job.rc != AM_OK) {
        predict_fail(call, &call->job.err);
    } else if (call->printed) {
        count(call, AM_SERVED_OK);
        am_call_reply(call, 200);
    } else {
        predict_answer(call);
    }
}

/* The connection drops the answer anyway, but it must be told that none comes. */
void am_call_gone(void *loop, struct am_conn *c)
{
    (void)loop;
    struct am_call *call = am_conn_call(c);
    if (!call)
        return;
    am_conn_set_call(c, NULL);
    call->conn = NULL;
    call->rq = NULL;
    am_http_reply(c, &(struct am_reply){.status = 499});
}

void am_calls_expire(struct am_loop *l)
{
    uint64_t now = am_mono_ns();
    for (struct am_call *call = l->parked; call; call = call->next_parked) {
        if (!call->conn || now < call->deadline_ns)
            continue;
        struct am_conn *c = call->conn;
        static const struct am_reply late = {
            .status = 503,
            .extra = AM_STR_INIT("Retry-After: 1\r\n"),
            .body = AM_STR_INIT("{\"error\":\"the model is still loading\"}")};
        am_conn_set_call(c, NULL);
        call->conn = NULL;
        call->rq = NULL;
        am_http_reply(c, &late);
    }
}

/* ---- dispatch ---- */

static void refuse_method(struct am_call *call, struct am_buf *allow, const struct am_err *err)
{
    char line[64];
    (void)snprintf(line, sizeof line, "Allow: %.*s\r\n", AM_FMT(am_buf_view(allow)));
    fail_with(call, 405, err, line);
}

void am_server_handle(void *loop, struct am_conn *c, struct am_request *rq)
{
    struct am_loop *l = loop;
    struct am_err err;
    if (!atomic_load_explicit(&l->busy_since_ns, memory_order_relaxed))
        atomic_store_explicit(&l->busy_since_ns, l->http.now_ns, memory_order_relaxed);
    struct am_call *call = call_new(l, c, rq);
    if (!call) {
        am_http_reply(
            c, &(struct am_reply){.status = 503, .body = AM_STR("{\"error\":\"out of memory\"}")});
        return;
    }
    enum am_rc rc = check_sender(l->server, rq, &err);
    if (rc == AM_OK)
        rc = am_route_find(call, rq->method_name, rq->method, rq->path, &call->body, &err);
    if (rc == AM_EUNSUPPORTED) {
        refuse_method(call, &call->body, &err);
        return;
    }
    if (rc == AM_OK && rq->body_len > call->route->max_body && call->route->max_body > 0)
        rc = am_fail(&err, AM_ELIMIT, "the request body has %zu bytes, at most %zu allowed",
                     rq->body_len, call->route->max_body);
    if (rc != AM_OK) {
        am_call_fail(call, &err);
        return;
    }
    call->route->handler(call);
}
