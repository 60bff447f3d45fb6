/* The route table, and finding a request's row in it. What is not in the table is refused.
 *
 * A pattern is literal but for {name}: a path segment, or the part of it before a colon. {model}
 * may carry "@VERSION" or "@alias"; {selector} is a version or an alias. The OpenAPI document is
 * made from the same table (openapi.c). Adding a row: keep the longer of two overlapping patterns
 * first. */
#include "api/api_int.h"

#include "base/limits.h"

#define BODY AM_LIMIT_HTTP_BODY_BYTES
#define V2 AM_STYLE_ERROR
#define TFS AM_STYLE_ERROR
#define OWN AM_STYLE_PROBLEM

const struct am_route am_routes[] = {
    /* hot rows first: the search is linear */
    {AM_POST, "/api/v1/models/{model}/predict", "predict", BODY, "Rows", "Predictions",
     "Predict rows of named columns", OWN, am_handle_predict, &am_protocol_native},
    {AM_POST, "/api/v1/models/{model}/versions/{selector}/predict", "predict", BODY, "Rows",
     "Predictions", "Predict with one version", OWN, am_handle_predict, &am_protocol_native},
    {AM_POST, "/v2/models/{model}/infer", "predict", BODY, "InferRequest", "InferResponse",
     "Open Inference Protocol: predict tensors", V2, am_handle_predict, &am_protocol_v2},
    {AM_POST, "/v2/models/{model}/versions/{selector}/infer", "predict", BODY, "InferRequest",
     "InferResponse", "Open Inference Protocol: predict with one version", V2, am_handle_predict,
     &am_protocol_v2},
    {AM_POST, "/v1/models/{model}:predict", "predict", BODY, "TfsPredict", "TfsPredictions",
     "TF Serving: predict", TFS, am_handle_predict, &am_protocol_predict},
    {AM_POST, "/v1/models/{model}/versions/{selector}:predict", "predict", BODY, "TfsPredict",
     "TfsPredictions", "TF Serving: predict with one version", TFS, am_handle_predict,
     &am_protocol_predict},
    {AM_POST, "/v1/models/{model}/labels/{selector}:predict", "predict", BODY, "TfsPredict",
     "TfsPredictions", "TF Serving: predict with one alias", TFS, am_handle_predict,
     &am_protocol_predict},
    {AM_POST, "/v1/models/{model}:classify", "predict", BODY, "TfsExamples", "TfsClassify",
     "TF Serving: classes with scores", TFS, am_handle_predict, &am_protocol_classify},
    {AM_POST, "/v1/models/{model}/versions/{selector}:classify", "predict", BODY, "TfsExamples",
     "TfsClassify", "TF Serving: classes with scores, one version", TFS, am_handle_predict,
     &am_protocol_classify},
    {AM_POST, "/v1/models/{model}/labels/{selector}:classify", "predict", BODY, "TfsExamples",
     "TfsClassify", "TF Serving: classes with scores, one alias", TFS, am_handle_predict,
     &am_protocol_classify},
    {AM_POST, "/v1/models/{model}:regress", "predict", BODY, "TfsExamples", "TfsRegress",
     "TF Serving: numbers", TFS, am_handle_predict, &am_protocol_regress},
    {AM_POST, "/v1/models/{model}/versions/{selector}:regress", "predict", BODY, "TfsExamples",
     "TfsRegress", "TF Serving: numbers, one version", TFS, am_handle_predict,
     &am_protocol_regress},
    {AM_POST, "/v1/models/{model}/labels/{selector}:regress", "predict", BODY, "TfsExamples",
     "TfsRegress", "TF Serving: numbers, one alias", TFS, am_handle_predict, &am_protocol_regress},

    {AM_GET, "/healthz", "health", 0, NULL, "Health", "Does the server answer?", OWN,
     am_handle_healthz, NULL},
    {AM_GET, "/metrics", "metrics", 0, NULL, NULL, "Counters for Prometheus", OWN,
     am_handle_metrics, NULL},
    {AM_GET, "/monitoring/prometheus/metrics", "metrics", 0, NULL, NULL,
     "Counters for Prometheus under TF Serving's names", TFS, am_handle_tfs_metrics, NULL},
    {AM_GET, "/openapi.json", "health", 0, NULL, NULL, "This document", OWN, am_handle_openapi,
     NULL},
    {AM_GET, "/api/v1/openapi.json", "health", 0, NULL, NULL, "This document", OWN,
     am_handle_openapi, NULL},

    {AM_GET, "/v2", "health", 0, NULL, "ServerMetadata", "Name, version and extensions", V2,
     am_handle_v2_server, NULL},
    {AM_GET, "/v2/health/live", "health", 0, NULL, NULL, "Is the process alive?", V2,
     am_handle_live, NULL},
    {AM_GET, "/v2/health/ready", "health", 0, NULL, NULL, "Are the models loaded?", V2,
     am_handle_ready, NULL},
    {AM_GET, "/v2/models/stats", "read", 0, NULL, "ModelStats", "Counters of all models", V2,
     am_handle_v2_stats, NULL},
    {AM_POST, "/v2/repository/index", "read", 65536, NULL, "RepositoryIndex",
     "Models, versions and their state", V2, am_handle_v2_index, NULL},
    {AM_GET, "/v2/models/{model}", "read", 0, NULL, "ModelMetadata", "Inputs and outputs", V2,
     am_handle_v2_model, NULL},
    {AM_GET, "/v2/models/{model}/ready", "health", 0, NULL, NULL, "Is the model loaded?", V2,
     am_handle_v2_model_ready, NULL},
    {AM_GET, "/v2/models/{model}/stats", "read", 0, NULL, "ModelStats", "Counters of a model", V2,
     am_handle_v2_stats, NULL},
    {AM_GET, "/v2/models/{model}/versions/{selector}", "read", 0, NULL, "ModelMetadata",
     "Inputs and outputs of one version", V2, am_handle_v2_model, NULL},
    {AM_GET, "/v2/models/{model}/versions/{selector}/ready", "health", 0, NULL, NULL,
     "Is the version loaded?", V2, am_handle_v2_model_ready, NULL},
    {AM_GET, "/v2/models/{model}/versions/{selector}/stats", "read", 0, NULL, "ModelStats",
     "Counters of a version", V2, am_handle_v2_stats, NULL},

    {AM_GET, "/v1/models/{model}", "read", 0, NULL, "TfsStatus",
     "TF Serving: state of the versions", TFS, am_handle_tfs_status, NULL},
    {AM_GET, "/v1/models/{model}/metadata", "read", 0, NULL, "TfsMetadata",
     "TF Serving: the signature", TFS, am_handle_tfs_metadata, NULL},
    {AM_GET, "/v1/models/{model}/versions/{selector}", "read", 0, NULL, "TfsStatus",
     "TF Serving: state of one version", TFS, am_handle_tfs_status, NULL},
    {AM_GET, "/v1/models/{model}/versions/{selector}/metadata", "read", 0, NULL, "TfsMetadata",
     "TF Serving: the signature of one version", TFS, am_handle_tfs_metadata, NULL},
    {AM_GET, "/v1/models/{model}/labels/{selector}", "read", 0, NULL, "TfsStatus",
     "TF Serving: state of an alias", TFS, am_handle_tfs_status, NULL},
    {AM_GET, "/v1/models/{model}/labels/{selector}/metadata", "read", 0, NULL, "TfsMetadata",
     "TF Serving: the signature of an alias", TFS, am_handle_tfs_metadata, NULL},

    {AM_GET, "/api/v1/models/{model}/recommend", "predict", 0, NULL, "Recommendations",
     "A user's list: ?user=U&n=10", OWN, am_handle_predict, &am_protocol_recommend},
    {AM_GET, "/api/v1/models/{model}/versions/{selector}/recommend", "predict", 0, NULL,
     "Recommendations", "A user's list by one version", OWN, am_handle_predict,
     &am_protocol_recommend},
    {AM_GET, "/api/v1/models/{model}/similar", "predict", 0, NULL, "Recommendations",
     "What is most like an item or a user: ?item=I&n=10 or ?user=U", OWN, am_handle_predict,
     &am_protocol_recommend},
    {AM_GET, "/api/v1/models", "read", 0, NULL, "Models", "All models", OWN, am_handle_models,
     NULL},
    {AM_GET, "/api/v1/models/{model}", "read", 0, NULL, "Model",
     "One model with its versions and its columns", OWN, am_handle_model, NULL},
    {AM_GET, "/api/v1/models/{model}/versions/{selector}", "read", 0, NULL, "Model",
     "One version of a model", OWN, am_handle_model, NULL},
};
const size_t am_n_routes = sizeof am_routes / sizeof *am_routes;

struct matched {
    struct am_str model, selector;
};

/* The parameter that starts at *p of the pattern takes the path up to the literal that follows. */
static bool take_parameter(const char **pattern, struct am_str *path, struct am_str *value)
{
    const char *close = strchr(*pattern, '}');
    size_t n = 0;
    while (n < path->len && path->ptr[n] != '/' && path->ptr[n] != ':')
        n++;
    if (n == 0)
        return false;
    *value = (struct am_str){path->ptr, n};
    path->ptr += n;
    path->len -= n;
    *pattern = close + 1;
    return true;
}

static bool match(const char *pattern, struct am_str path, struct matched *m)
{
    *m = (struct matched){{NULL, 0}, {NULL, 0}};
    while (*pattern) {
        if (*pattern == '{') {
            struct am_str *value = pattern[1] == 'm' ? &m->model : &m->selector;
            if (!take_parameter(&pattern, &path, value))
                return false;
            continue;
        }
        if (path.len == 0 || *path.ptr != *pattern)
            return false;
        pattern++;
        path.ptr++;
        path.len--;
    }
    return path.len == 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* Percent-decoded into the call's names; false when malformed or too long. */
static bool decode(struct am_call *call, size_t *used, struct am_str s, struct am_str *out)
{
    char *begin = call->names + *used, *o = begin, *end = call->names + sizeof call->names;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            int a = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
            int b = a >= 0 ? hex(s.ptr[i + 2]) : -1;
            if (b < 0)
                return false;
            c = (char)(a << 4 | b);
            i += 2;
        }
        if (o == end)
            return false;
        *o++ = c;
    }
    *out = (struct am_str){begin, (size_t)(o - begin)};
    *used += out->len;
    return true;
}

static enum am_rc bad_name(struct am_str raw, struct am_err *err)
{
    (void)am_fail(err, AM_EINVAL, "malformed name \"%.*s\" in the path",
                  (int)(raw.len > 80 ? 80 : raw.len), raw.ptr);
    am_hint(err, "Names are 1 to 128 of A-Z a-z 0-9 . _ - ; a version is MODEL@3 or MODEL@alias.");
    return AM_EINVAL;
}

/* {model} may be NAME@SELECTOR. */
static enum am_rc take_names(struct am_call *call, const struct matched *m, struct am_err *err)
{
    size_t used = 0;
    struct am_str selector = {NULL, 0};
    call->model = call->selector = (struct am_str){"", 0};
    if (!m->model.ptr)
        return AM_OK;
    if (!decode(call, &used, m->model, &call->model))
        return bad_name(m->model, err);
    if (m->selector.ptr && !decode(call, &used, m->selector, &selector))
        return bad_name(m->selector, err);
    const char *at = memchr(call->model.ptr, '@', call->model.len);
    if (at) {
        if (selector.ptr)
            return bad_name(m->model, err);
        size_t n = (size_t)(at - call->model.ptr);
        selector = (struct am_str){at + 1, call->model.len - n - 1};
        call->model.len = n;
    }
    if (!am_name_valid(call->model))
        return bad_name(m->model, err);
    if (selector.ptr && !am_name_valid(selector))
        return bad_name(m->selector.ptr ? m->selector : m->model, err);
    if (selector.ptr)
        call->selector = selector;
    return AM_OK;
}

enum am_rc am_route_find(struct am_call *call, struct am_str method_name, enum am_method method,
                         struct am_str path, struct am_buf *allow, struct am_err *err)
{
    struct matched m;
    enum am_method wanted = method == AM_HEAD ? AM_GET : method;
    bool other = false;
    for (size_t i = 0; i < am_n_routes; i++) {
        const struct am_route *r = &am_routes[i];
        if (!match(r->pattern, path, &m))
            continue;
        if (r->method == wanted) {
            call->route = r;
            return take_names(call, &m, err);
        }
        if (!other)
            am_buf_cstr(allow, r->method == AM_GET ? "GET, HEAD" : "POST");
        else
            am_buf_cstr(allow, r->method == AM_GET ? ", GET, HEAD" : ", POST");
        call->route = r;
        other = true;
    }
    if (other) {
        (void)am_fail(err, AM_EUNSUPPORTED, "method %.*s is not allowed for this path",
                      AM_FMT(method_name));
        return AM_EUNSUPPORTED;
    }
    call->route = NULL;
    (void)am_fail(err, AM_ENOTFOUND, "no such path: %.*s", (int)(path.len > 100 ? 100 : path.len),
                  path.ptr);
    am_hint(err, "GET /openapi.json lists the paths.");
    return AM_ENOTFOUND;
}
