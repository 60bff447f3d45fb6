/* Answers about the server and its models: health, metadata, statistics, lists, Prometheus.
 *
 * Everything here reads the loop's catalogue and counters: no lock, no disk, no waiting. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api_int.h"

#include "base/clock.h"

static const struct am_catalog *catalog(struct am_call *call)
{
    return am_serve_catalog(call->loop->server->serve, call->loop->slot);
}

/* ---- health ---- */

void am_handle_live(struct am_call *call)
{
    call->type = "";
    am_call_reply(call, 200);
}

static bool server_ready(const struct am_call *call)
{
    const struct am_server *s = call->loop->server;
    return !atomic_load(&s->draining) && am_serve_ready(s->serve) && am_serve_alive(s->serve);
}

void am_handle_ready(struct am_call *call)
{
    call->type = "";
    am_call_reply(call, server_ready(call) ? 200 : 400);
}

void am_handle_healthz(struct am_call *call)
{
    bool ready = server_ready(call);
    am_buf_printf(&call->body, "{\"status\":\"%s\",\"ready\":%s}",
                  atomic_load(&call->loop->server->draining) ? "draining" : "ok",
                  ready ? "true" : "false");
    am_call_reply(call, 200);
}

void am_handle_openapi(struct am_call *call)
{
    am_buf_str(&call->body, am_buf_view(&call->loop->server->openapi));
    am_call_reply(call, 200);
}

/* ---- Open Inference Protocol ---- */

void am_handle_v2_server(struct am_call *call)
{
    am_buf_cstr(&call->body, "{\"name\":\"aimass\",\"version\":\"" AM_API_VERSION
                             "\",\"extensions\":[\"binary_tensor_data\",\"classification\","
                             "\"parameters\",\"statistics\"]}");
    am_call_reply(call, 200);
}

static void print_io(struct am_buf *b, struct am_str name, const char *dtype, const char *shape)
{
    am_buf_str(b, AM_STR("{\"name\":"));
    am_json_quote(b, name);
    am_buf_printf(b, ",\"datatype\":\"%s\",\"shape\":[%s]}", dtype, shape);
}

static const char *v2_dtype(enum am_col_type t)
{
    switch (t) {
    case AM_COL_NUMBER:
        return "FP64";
    case AM_COL_BOOLEAN:
        return "BOOL";
    default:
        return "BYTES";
    }
}

/* Every output the model has, with its shape. */
static void print_outputs(struct am_buf *b, const struct am_serve_info *info)
{
    unsigned mask = am_outputs_of(info);
    bool first = true;
    for (unsigned o = 0; mask >> o; o++) {
        struct am_dims d = am_output_dims(info, (enum am_output)o);
        char shape[32 * AM_LIMIT_TENSOR_RANK];
        size_t at = (size_t)snprintf(shape, sizeof shape, "-1");
        if (!(mask >> o & 1u))
            continue;
        for (unsigned i = 0; i < d.rank; i++)
            at += (size_t)snprintf(shape + at, sizeof shape - at, ",%lld", (long long)d.d[i]);
        if (!first)
            am_buf_char(b, ',');
        first = false;
        print_io(b, am_str(am_output_name((enum am_output)o)),
                 am_output_datatype((enum am_output)o), shape);
    }
}

void am_handle_v2_model(struct am_call *call)
{
    struct am_served *served = am_call_served(call);
    struct am_buf *b = &call->body;
    struct am_err err;
    if (!served)
        return;
    const struct am_serve_info *info = am_served_info(served);
    const struct am_catalog_model *m = am_call_model(call, &err);
    am_buf_str(b, AM_STR("{\"name\":"));
    am_json_quote(b, info->model);
    am_buf_str(b, AM_STR(",\"versions\":["));
    for (size_t i = 0; m && i < m->n_versions; i++)
        am_buf_printf(b, "%s\"%lld\"", i ? "," : "", (long long)m->versions[i].number);
    am_buf_str(b, AM_STR("],\"platform\":\"aimass\",\"inputs\":["));
    for (size_t i = 0; i < info->inputs.n; i++) {
        if (i)
            am_buf_char(b, ',');
        print_io(b, info->inputs.columns[i].name, v2_dtype(info->inputs.columns[i].type), "-1,1");
    }
    am_buf_str(b, AM_STR("],\"outputs\":["));
    print_outputs(b, info);
    am_buf_str(b, AM_STR("]}"));
    am_call_reply(call, 200);
}

void am_handle_v2_model_ready(struct am_call *call)
{
    struct am_err err;
    struct am_served *served;
    struct am_loop *l = call->loop;
    enum am_rc rc =
        am_serve_find(l->server->serve, l->slot, call->model, call->selector, &served, &err);
    if (rc == AM_OK) {
        call->type = "";
        am_call_reply(call, 200);
        return;
    }
    if (rc == AM_EBUSY && !am_call_model(call, &err)) {
        am_call_fail(call, &err);
        return;
    }
    if (rc == AM_EBUSY) {
        (void)am_fail(&err, AM_EINVAL, "Model version not ready");
        am_call_fail_status(call, 400, &err);
        return;
    }
    am_call_fail(call, &err);
}

static void print_stat(struct am_buf *b, const char *name, uint64_t count, uint64_t ns)
{
    am_buf_printf(b, "\"%s\":{\"count\":%llu,\"ns\":%llu}", name, (unsigned long long)count,
                  (unsigned long long)ns);
}

static uint64_t failures(const struct am_serve_counts *n)
{
    uint64_t sum = 0;
    for (unsigned i = AM_SERVED_OK + 1; i < AM_SERVE_OUTCOMES; i++)
        sum += n->requests[i];
    return sum;
}

static void print_stats(struct am_buf *b, const struct am_served *v)
{
    const struct am_serve_info *info = am_served_info(v);
    struct am_serve_counts n;
    am_served_counts(v, &n);
    uint64_t ok = n.requests[AM_SERVED_OK];
    am_buf_str(b, AM_STR("{\"name\":"));
    am_json_quote(b, info->model);
    am_buf_printf(b,
                  ",\"version\":\"%lld\",\"last_inference\":%lld,\"inference_count\":%llu,"
                  "\"execution_count\":%llu,\"inference_stats\":{",
                  (long long)info->version, (long long)(n.last_us / 1000),
                  (unsigned long long)n.rows, (unsigned long long)n.runs);
    print_stat(b, "success", ok, n.request_ns);
    am_buf_char(b, ',');
    print_stat(b, "fail", failures(&n), 0);
    am_buf_char(b, ',');
    print_stat(b, "queue", ok, n.queue_ns);
    am_buf_char(b, ',');
    print_stat(b, "compute_input", ok, 0);
    am_buf_char(b, ',');
    print_stat(b, "compute_infer", ok, n.compute_ns);
    am_buf_char(b, ',');
    print_stat(b, "compute_output", ok, 0);
    am_buf_char(b, ',');
    print_stat(b, "cache_hit", 0, 0);
    am_buf_char(b, ',');
    print_stat(b, "cache_miss", 0, 0);
    am_buf_str(b, AM_STR("},\"response_stats\":{},\"batch_stats\":[],\"memory_usage\":[]}"));
}

static void stats_of_model(struct am_buf *b, const struct am_catalog_model *m,
                           struct am_str selector, bool *first)
{
    const struct am_catalog_version *one = selector.len ? am_catalog_select(m, selector) : NULL;
    for (size_t i = 0; i < m->n_versions; i++) {
        const struct am_catalog_version *v = &m->versions[i];
        if (!v->served || (selector.len && v != one))
            continue;
        if (!*first)
            am_buf_char(b, ',');
        *first = false;
        print_stats(b, v->served);
    }
}

void am_handle_v2_stats(struct am_call *call)
{
    const struct am_catalog *c = catalog(call);
    struct am_err err;
    bool first = true;
    am_buf_str(&call->body, AM_STR("{\"model_stats\":["));
    if (call->model.len) {
        const struct am_catalog_model *m = am_call_model(call, &err);
        if (!m) {
            am_call_fail(call, &err);
            return;
        }
        stats_of_model(&call->body, m, call->selector, &first);
    }
    for (size_t i = 0; call->model.len == 0 && c && i < c->n_models; i++)
        stats_of_model(&call->body, &c->models[i], call->selector, &first);
    am_buf_str(&call->body, AM_STR("]}"));
    am_call_reply(call, 200);
}

void am_handle_v2_index(struct am_call *call)
{
    static const char *const states[] = {"UNAVAILABLE", "READY", "UNAVAILABLE"};
    const struct am_catalog *c = catalog(call);
    struct am_buf *b = &call->body;
    bool first = true;
    am_buf_char(b, '[');
    for (size_t i = 0; c && i < c->n_models; i++)
        for (size_t k = 0; k < c->models[i].n_versions; k++) {
            const struct am_catalog_version *v = &c->models[i].versions[k];
            am_buf_cstr(b, first ? "{\"name\":" : ",{\"name\":");
            first = false;
            am_json_quote(b, c->models[i].name);
            am_buf_printf(b, ",\"version\":\"%lld\",\"state\":\"%s\"", (long long)v->number,
                          states[v->state]);
            if (v->why.len) {
                am_buf_str(b, AM_STR(",\"reason\":"));
                am_json_quote(b, v->why);
            }
            am_buf_char(b, '}');
        }
    am_buf_char(b, ']');
    am_call_reply(call, 200);
}

/* ---- /api/v1 ---- */

static void print_node(struct am_buf *b, const struct am_node *n)
{
    if (n)
        am_node_to_json(n, AM_JSON_COMPACT, b);
    else
        am_buf_str(b, AM_STR("null"));
}

/* The members of a map of the registry, without the braces; `but` is left out. */
static void print_members(struct am_buf *b, const struct am_node *n, const char *but)
{
    for (size_t i = 0; n && n->kind == AM_NODE_MAP && i < n->map.n; i++) {
        if (am_str_is(n->map.pairs[i].key, but))
            continue;
        am_json_quote(b, n->map.pairs[i].key);
        am_buf_char(b, ':');
        print_node(b, n->map.pairs[i].value);
        am_buf_char(b, ',');
    }
}

static void print_columns(struct am_buf *b, const struct am_serve_info *info)
{
    am_buf_printf(b, "\"task\":\"%s\",\"target\":", am_task_name(info->task));
    if (info->target.len)
        am_json_quote(b, info->target);
    else
        am_buf_str(b, AM_STR("null"));
    am_buf_str(b, AM_STR(",\"classes\":["));
    for (size_t i = 0; i < info->n_classes; i++) {
        if (i)
            am_buf_char(b, ',');
        am_json_quote(b, info->classes[i]);
    }
    am_buf_str(b, AM_STR("],\"threshold\":"));
    if (info->task == AM_TASK_BINARY || info->task == AM_TASK_ANOMALY)
        am_print_number(b, info->threshold);
    else
        am_buf_str(b, AM_STR("null"));
    am_buf_str(b, AM_STR(",\"outputs\":["));
    print_outputs(b, info);
    am_buf_char(b, ']');
    if (info->restored) {
        am_buf_str(b, AM_STR(",\"reconstructed\":["));
        for (size_t i = 0; i < info->n_restored; i++) {
            if (i)
                am_buf_char(b, ',');
            am_json_quote(b, info->restored[i]);
        }
        am_buf_char(b, ']');
    }
    am_buf_str(b, AM_STR(",\"columns\":["));
    for (size_t i = 0; i < info->inputs.n; i++) {
        am_buf_str(b, i ? AM_STR(",{\"name\":") : AM_STR("{\"name\":"));
        am_json_quote(b, info->inputs.columns[i].name);
        am_buf_printf(b, ",\"type\":\"%s\"}", am_col_type_name(info->inputs.columns[i].type));
    }
    am_buf_char(b, ']');
}

static const char *state_text(enum am_version_state s)
{
    static const char *const names[] = {"known", "ready", "failed"};
    return names[s];
}

static void print_version(struct am_buf *b, const struct am_catalog_version *v)
{
    am_buf_char(b, '{');
    print_members(b, v->detail, "model");
    am_buf_printf(b, "\"state\":\"%s\"", state_text(v->state));
    if (v->why.len) {
        am_buf_str(b, AM_STR(",\"why\":"));
        am_json_quote(b, v->why);
    }
    if (v->served) {
        am_buf_printf(b, ",\"load_seconds\":%.6f,", am_served_load_seconds(v->served));
        print_columns(b, am_served_info(v->served));
    }
    am_buf_char(b, '}');
}

static void print_model_head(struct am_buf *b, const struct am_catalog_model *m)
{
    am_buf_char(b, '{');
    print_members(b, m->detail, "list");
    am_buf_printf(b, "\"serving\":%lld,\"state\":\"%s\"",
                  m->n_versions ? (long long)m->versions[m->serving].number : 0,
                  m->n_versions ? state_text(m->versions[m->serving].state) : "known");
}

void am_handle_models(struct am_call *call)
{
    const struct am_catalog *c = catalog(call);
    struct am_buf *b = &call->body;
    am_buf_str(b, AM_STR("{\"models\":["));
    for (size_t i = 0; c && i < c->n_models; i++) {
        if (i)
            am_buf_char(b, ',');
        print_model_head(b, &c->models[i]);
        am_buf_char(b, '}');
    }
    am_buf_printf(b, "],\"total\":%zu}", c ? c->n_models : 0);
    am_call_reply(call, 200);
}

void am_handle_model(struct am_call *call)
{
    struct am_err err;
    struct am_buf *b = &call->body;
    const struct am_catalog_model *m = am_call_model(call, &err);
    const struct am_catalog_version *one = NULL;
    if (m && call->selector.len && !(one = am_catalog_select(m, call->selector))) {
        (void)am_fail(&err, AM_ENOTFOUND, "model \"%.*s\" has no version or alias \"%.*s\"",
                      AM_FMT(call->model), AM_FMT(call->selector));
        m = NULL;
    }
    if (!m) {
        am_call_want(call, &err);
        return;
    }
    if (one) {
        am_buf_str(b, AM_STR("{\"model\":"));
        am_json_quote(b, m->name);
        am_buf_str(b, AM_STR(",\"detail\":"));
        print_version(b, one);
        am_buf_char(b, '}');
        am_call_reply(call, 200);
        return;
    }
    print_model_head(b, m);
    am_buf_str(b, AM_STR(",\"list\":["));
    for (size_t i = m->n_versions; i-- > 0;) {
        print_version(b, &m->versions[i]);
        if (i)
            am_buf_char(b, ',');
    }
    am_buf_str(b, AM_STR("]}"));
    am_call_reply(call, 200);
}

/* ---- Prometheus ---- */

static void metric_head(struct am_buf *b, const char *name, const char *kind, const char *help)
{
    am_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* Labels need no escaping: names are [A-Za-z0-9._-]. */
static void metric_labels(struct am_buf *b, const char *name, const struct am_served *v)
{
    const struct am_serve_info *info = am_served_info(v);
    am_buf_printf(b, "%s{model=\"%.*s\",version=\"%lld\"", name, AM_FMT(info->model),
                  (long long)info->version);
}

typedef uint64_t (*metric_value)(const struct am_serve_counts *n);

static uint64_t m_success(const struct am_serve_counts *n)
{
    return n->requests[AM_SERVED_OK];
}
static uint64_t m_rows(const struct am_serve_counts *n)
{
    return n->rows;
}
static uint64_t m_runs(const struct am_serve_counts *n)
{
    return n->runs;
}
static uint64_t m_request(const struct am_serve_counts *n)
{
    return n->request_ns / 1000;
}
static uint64_t m_queue(const struct am_serve_counts *n)
{
    return n->queue_ns / 1000;
}
static uint64_t m_compute(const struct am_serve_counts *n)
{
    return n->compute_ns / 1000;
}

static const struct {
    const char *name, *help;
    metric_value value;
} model_metrics[] = {
    {"nv_inference_request_success", "Number of successful inference requests", m_success},
    {"nv_inference_count", "Number of inferences (rows) performed", m_rows},
    {"nv_inference_exec_count", "Number of model executions performed", m_runs},
    {"nv_inference_request_duration_us", "Cumulative request duration in microseconds", m_request},
    {"nv_inference_queue_duration_us", "Cumulative queuing duration in microseconds", m_queue},
    {"nv_inference_compute_infer_duration_us", "Cumulative compute duration in microseconds",
     m_compute},
};

static void each_served(const struct am_catalog *c,
                        void (*fn)(struct am_buf *b, const struct am_served *v, const void *arg),
                        struct am_buf *b, const void *arg)
{
    for (size_t i = 0; c && i < c->n_models; i++)
        for (size_t k = 0; k < c->models[i].n_versions; k++)
            if (c->models[i].versions[k].served)
                fn(b, c->models[i].versions[k].served, arg);
}

static void one_counter(struct am_buf *b, const struct am_served *v, const void *arg)
{
    const size_t *i = arg;
    struct am_serve_counts n;
    am_served_counts(v, &n);
    metric_labels(b, model_metrics[*i].name, v);
    am_buf_printf(b, "} %llu\n", (unsigned long long)model_metrics[*i].value(&n));
}

static void one_failure(struct am_buf *b, const struct am_served *v, const void *arg)
{
    static const char *const reasons[] = {"REJECTED", "CANCELED", "BACKEND", "OTHER"};
    struct am_serve_counts n;
    (void)arg;
    am_served_counts(v, &n);
    for (unsigned i = 0; i < 4; i++) {
        metric_labels(b, "nv_inference_request_failure", v);
        am_buf_printf(b, ",reason=\"%s\"} %llu\n", reasons[i],
                      (unsigned long long)n.requests[i + 1]);
    }
}

static void one_load(struct am_buf *b, const struct am_served *v, const void *arg)
{
    (void)arg;
    metric_labels(b, "nv_model_load_duration_secs", v);
    am_buf_printf(b, "} %.6f\n", am_served_load_seconds(v));
}

static void one_histogram(struct am_buf *b, const struct am_served *v, const void *arg)
{
    struct am_serve_counts n;
    uint64_t sum = 0;
    (void)arg;
    am_served_counts(v, &n);
    for (unsigned k = 0; k < AM_SERVE_BUCKETS; k++) {
        uint64_t edge = am_serve_bucket_ns(k);
        sum += n.bucket[k];
        metric_labels(b, "aimass_request_duration_seconds_bucket", v);
        if (edge == UINT64_MAX)
            am_buf_printf(b, ",le=\"+Inf\"} %llu\n", (unsigned long long)sum);
        else
            am_buf_printf(b, ",le=\"%.9g\"} %llu\n", (double)edge * 1e-9, (unsigned long long)sum);
    }
    metric_labels(b, "aimass_request_duration_seconds_sum", v);
    am_buf_printf(b, "} %.9g\n", (double)n.request_ns * 1e-9);
    metric_labels(b, "aimass_request_duration_seconds_count", v);
    am_buf_printf(b, "} %llu\n", (unsigned long long)sum);
}

static uint64_t http_event(const struct am_server *s, enum am_http_event e)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= s->n_loops; i++)
        sum += atomic_load_explicit(&s->loops[i].http.events[e], memory_order_relaxed);
    return sum;
}

static void http_metrics(struct am_buf *b, const struct am_server *s)
{
    static const struct {
        const char *name, *help;
        enum am_http_event e;
    } rows[] = {
        {"aimass_http_connections_total", "Connections accepted", AM_HTTP_ACCEPTED},
        {"aimass_http_connections_refused_total", "Connections over a limit",
         AM_HTTP_REFUSED_CONNS},
        {"aimass_http_requests_total", "Requests read", AM_HTTP_REQUESTS},
        {"aimass_http_malformed_total", "Requests refused as malformed", AM_HTTP_MALFORMED},
        {"aimass_http_timed_out_total", "Connections closed by a time limit", AM_HTTP_TIMED_OUT},
        {"aimass_http_too_large_total", "Requests over a size limit", AM_HTTP_TOO_LARGE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        metric_head(b, rows[i].name, "counter", rows[i].help);
        am_buf_printf(b, "%s %llu\n", rows[i].name, (unsigned long long)http_event(s, rows[i].e));
    }
    metric_head(b, "aimass_http_responses_total", "counter", "Answers by class of status");
    static const char *const classes[] = {"2xx", "4xx", "5xx"};
    for (unsigned i = 0; i < 3; i++)
        am_buf_printf(b, "aimass_http_responses_total{class=\"%s\"} %llu\n", classes[i],
                      (unsigned long long)http_event(s, (enum am_http_event)(AM_HTTP_2XX + i)));
    metric_head(b, "aimass_loop_busy_max_seconds", "gauge",
                "Longest time that a loop was busy without reading its sockets");
    for (unsigned i = 0; i <= s->n_loops; i++)
        am_buf_printf(b, "aimass_loop_busy_max_seconds{loop=\"%u\"} %.6f\n", i,
                      (double)atomic_load_explicit(&s->loops[i].max_busy_ns, memory_order_relaxed) *
                          1e-9);
}

static uint64_t resident_bytes(void)
{
    char text[128];
    unsigned long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re"); /* memory, not disk: does not block */
    if (!f)
        return 0;
    bool got = fgets(text, sizeof text, f) != NULL;
    (void)fclose(f);
    char *rest = NULL;
    if (!got)
        return 0;
    size = strtoull(text, &rest, 10);
    (void)size;
    pages = strtoull(rest, NULL, 10);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void am_handle_metrics(struct am_call *call)
{
    const struct am_server *s = call->loop->server;
    const struct am_catalog *c = catalog(call);
    struct am_buf *b = &call->body;
    for (size_t i = 0; i < sizeof model_metrics / sizeof *model_metrics; i++) {
        metric_head(b, model_metrics[i].name, "counter", model_metrics[i].help);
        each_served(c, one_counter, b, &i);
    }
    metric_head(b, "nv_inference_request_failure", "counter",
                "Number of failed requests by reason");
    each_served(c, one_failure, b, NULL);
    metric_head(b, "nv_model_load_duration_secs", "gauge", "Model load time in seconds");
    each_served(c, one_load, b, NULL);
    metric_head(b, "aimass_request_duration_seconds", "histogram",
                "Duration of successful predictions, from the first byte to the answer");
    each_served(c, one_histogram, b, NULL);
    metric_head(b, "nv_inference_pending_request_count", "gauge",
                "Requests waiting for a worker, all models");
    am_buf_printf(b, "nv_inference_pending_request_count %zu\n", am_serve_queued(s->serve));
    http_metrics(b, s);
    metric_head(b, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes");
    am_buf_printf(b, "process_resident_memory_bytes %llu\n", (unsigned long long)resident_bytes());
    metric_head(b, "aimass_uptime_seconds", "gauge", "Seconds since the start");
    am_buf_printf(b, "aimass_uptime_seconds %.3f\n", (double)(am_mono_ns() - s->started_ns) * 1e-9);
    call->type = "text/plain; version=0.0.4; charset=utf-8";
    am_call_reply(call, 200);
}

/* TF Serving's counters add up over versions. */
static void tfs_model(struct am_buf *b, const struct am_catalog_model *m, int part)
{
    uint64_t ok = 0, bad = 0, rows = 0;
    double us = 0;
    for (size_t i = 0; i < m->n_versions; i++) {
        struct am_serve_counts n;
        if (!m->versions[i].served)
            continue;
        am_served_counts(m->versions[i].served, &n);
        ok += n.requests[AM_SERVED_OK];
        bad += failures(&n);
        rows += n.rows;
        us += (double)n.request_ns * 1e-3;
    }
    if (part == 0)
        am_buf_printf(b,
                      ":tensorflow:serving:request_count{model_name=\"%.*s\",status=\"OK\"} %llu\n"
                      ":tensorflow:serving:request_count{model_name=\"%.*s\",status=\"ERROR\"} "
                      "%llu\n",
                      AM_FMT(m->name), (unsigned long long)ok, AM_FMT(m->name),
                      (unsigned long long)bad);
    else if (part == 1)
        am_buf_printf(b, ":tensorflow:serving:request_example_count_total{model=\"%.*s\"} %llu\n",
                      AM_FMT(m->name), (unsigned long long)rows);
    else
        am_buf_printf(b,
                      ":tensorflow:serving:request_latency_sum{model_name=\"%.*s\","
                      "API=\"Predict\",entrypoint=\"REST\"} %.9g\n"
                      ":tensorflow:serving:request_latency_count{model_name=\"%.*s\","
                      "API=\"Predict\",entrypoint=\"REST\"} %llu\n",
                      AM_FMT(m->name), us, AM_FMT(m->name), (unsigned long long)ok);
}

void am_handle_tfs_metrics(struct am_call *call)
{
    static const char *const heads[] = {
        "# TYPE :tensorflow:serving:request_count counter\n",
        "# TYPE :tensorflow:serving:request_example_count_total counter\n",
        "# TYPE :tensorflow:serving:request_latency summary\n"};
    const struct am_catalog *c = catalog(call);
    for (int part = 0; part < 3; part++) {
        am_buf_cstr(&call->body, heads[part]);
        for (size_t i = 0; c && i < c->n_models; i++)
            tfs_model(&call->body, &c->models[i], part);
    }
    call->type = "text/plain; version=0.0.4; charset=utf-8";
    am_call_reply(call, 200);
}
