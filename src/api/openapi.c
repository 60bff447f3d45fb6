/* The OpenAPI 3.1 document, made from the route table: a path, its parameters, body and answers
 * from each row; the schemas that rows name stand here as JSON text. */
#include <stdio.h>

#include "api/api_int.h"

struct schema {
    const char *name, *json;
};

#define OBJECT "\"type\":\"object\""
#define STRINGS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define EXAMPLES "{\"type\":\"array\",\"items\":{" OBJECT "}}"

static const struct schema schemas[] = {
    {"Error",
     "{" OBJECT ",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"string\"}}}"},
    {"Problem",
     "{" OBJECT ",\"description\":\"RFC 9457\",\"required\":[\"title\",\"status\","
     "\"detail\",\"request_id\"],\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{"
     "\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":"
     "\"string\"},\"hint\":{\"type\":\"string\"},\"request_id\":{\"type\":\"string\"}}}"},
    {"Health", "{" OBJECT ",\"properties\":{\"status\":{\"enum\":[\"ok\",\"draining\"]},\"ready\":{"
               "\"type\":\"boolean\"}}}"},
    {"Rows",
     "{" OBJECT ",\"required\":[\"rows\"],\"additionalProperties\":false,\"properties\":{"
     "\"outputs\":{\"description\":\"names of outputs that the model has; left out: its usual "
     "ones\",\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
     "\"rows\":{\"type\":\"array\",\"items\":{\"oneOf\":[{" OBJECT
     ",\"description\":\"column name to value; null is missing; pictures, sounds and videos are "
     "base64 "
     "text or {b64: text}\","
     "\"additionalProperties\":{\"type\":[\"number\",\"string\",\"boolean\",\"object\",\"null\"]}},"
     "{"
     "\"type\":\"array\",\"description\":\"values in the order of the model's columns\"}]}}}}"},
    {"Predictions",
     "{" OBJECT
     ",\"properties\":{\"model\":{\"type\":\"string\"},\"version\":{\"type\":\"integer\"},"
     "\"predictions\":{\"type\":\"array\",\"items\":{" OBJECT
     ",\"properties\":{\"label\":{\"type\":\"string\"},\"probability\":{" OBJECT
     ",\"additionalProperties\":{\"type\":\"number\"}},\"value\":{\"type\":\"number\"},"
     "\"cluster\":{\"type\":\"integer\"},\"distance\":{\"type\":\"number\"},"
     "\"distances\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}},"
     "\"log_density\":{\"type\":\"number\"},"
     "\"memberships\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}},"
     "\"anomaly_score\":{\"type\":\"number\"},\"is_anomaly\":{\"type\":\"boolean\"},"
     "\"embedding\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}},"
     "\"reconstruction\":{\"description\":\"column name to number, or lists of pixels\"}}}}}}"},
    {"Recommendations",
     "{" OBJECT ",\"properties\":{\"model\":{\"type\":\"string\"},\"version\":{\"type\":"
     "\"integer\"},\"user\":{\"type\":\"string\"},\"item\":{\"type\":\"string\"},\"known\":{"
     "\"type\":\"boolean\"},\"note\":{\"type\":\"string\"},\"items\":" EXAMPLES
     ",\"users\":" EXAMPLES "}}"},
    {"Models", "{" OBJECT ",\"properties\":{\"models\":{\"type\":\"array\",\"items\":{" OBJECT
               "}},\"total\":{\"type\":\"integer\"}}}"},
    {"Model",
     "{" OBJECT ",\"properties\":{\"model\":{\"type\":\"string\"},\"list\":" EXAMPLES "}}"},
    {"ServerMetadata", "{" OBJECT ",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{"
                       "\"type\":\"string\"},\"extensions\":" STRINGS "}}"},
    {"ModelMetadata",
     "{" OBJECT ",\"properties\":{\"name\":{\"type\":\"string\"},\"versions\":" STRINGS
     ",\"platform\":{\"type\":\"string\"},\"inputs\":" EXAMPLES ",\"outputs\":" EXAMPLES "}}"},
    {"InferRequest",
     "{" OBJECT ",\"required\":[\"inputs\"],\"properties\":{\"id\":{\"type\":\"string\"},"
     "\"parameters\":{" OBJECT "},\"inputs\":{\"type\":\"array\",\"items\":{" OBJECT
     ",\"required\":[\"name\",\"shape\",\"datatype\"],\"properties\":{\"name\":{\"type\":"
     "\"string\"},"
     "\"shape\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"datatype\":{\"type\":"
     "\"string\"},\"parameters\":{" OBJECT
     "},\"data\":{\"type\":\"array\"}}}},\"outputs\":" EXAMPLES "}}"},
    {"InferResponse", "{" OBJECT ",\"properties\":{\"model_name\":{\"type\":\"string\"},"
                      "\"model_version\":{\"type\":\"string\"},\"id\":{\"type\":\"string\"},"
                      "\"outputs\":" EXAMPLES "}}"},
    {"ModelStats", "{" OBJECT ",\"properties\":{\"model_stats\":" EXAMPLES "}}"},
    {"RepositoryIndex", EXAMPLES},
    {"TfsPredict", "{" OBJECT ",\"properties\":{\"signature_name\":{\"type\":\"string\"},"
                   "\"instances\":{\"type\":\"array\"},\"inputs\":{}}}"},
    {"TfsPredictions",
     "{" OBJECT ",\"properties\":{\"predictions\":{\"type\":\"array\"},\"outputs\":{}}}"},
    {"TfsExamples", "{" OBJECT ",\"required\":[\"examples\"],\"properties\":{\"signature_name\":{"
                    "\"type\":\"string\"},\"examples\":" EXAMPLES "}}"},
    {"TfsClassify", "{" OBJECT ",\"properties\":{\"results\":{\"type\":\"array\"}}}"},
    {"TfsRegress",
     "{" OBJECT ",\"properties\":{\"results\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"number\"}}}}"},
    {"TfsStatus", "{" OBJECT ",\"properties\":{\"model_version_status\":" EXAMPLES "}}"},
    {"TfsMetadata",
     "{" OBJECT ",\"properties\":{\"model_spec\":{" OBJECT "},\"metadata\":{" OBJECT "}}}"},
};

static void reference(struct am_buf *b, const char *schema)
{
    am_buf_printf(b, "{\"$ref\":\"#/components/schemas/%s\"}", schema);
}

static void content(struct am_buf *b, const char *type, const char *schema)
{
    am_buf_printf(b, "\"content\":{\"%s\":{\"schema\":", type);
    reference(b, schema);
    am_buf_cstr(b, "}}");
}

static void parameters(struct am_buf *b, const struct am_route *r)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"model", "Name of a model; MODEL@3 and MODEL@alias name one version"},
                 {"selector", "Version number or alias"}};
    bool first = true;
    am_buf_cstr(b, "\"parameters\":[");
    for (size_t i = 0; i < 2; i++) {
        char brace[16];
        (void)snprintf(brace, sizeof brace, "{%s}", known[i].name);
        if (!strstr(r->pattern, brace))
            continue;
        am_buf_printf(b,
                      "%s{\"name\":\"%s\",\"in\":\"path\",\"required\":true,\"description\":\"%s\","
                      "\"schema\":{\"type\":\"string\"}}",
                      first ? "" : ",", known[i].name, known[i].text);
        first = false;
    }
    am_buf_cstr(b, "]");
}

static void operation(struct am_buf *b, const struct am_route *r, size_t n)
{
    bool problem = r->style == AM_STYLE_PROBLEM;
    am_buf_printf(b,
                  "\"%s\":{\"operationId\":\"op%zu\",\"summary\":\"%s\",\"x-permission\":\"%s\",",
                  r->method == AM_GET ? "get" : "post", n, r->summary, r->permission);
    if (r->max_body)
        am_buf_printf(b, "\"x-max-body-bytes\":%zu,", r->max_body);
    parameters(b, r);
    if (r->request) {
        am_buf_cstr(b, ",\"requestBody\":{\"required\":true,");
        content(b, "application/json", r->request);
        if (r->protocol == &am_protocol_native) { /* into the content just closed */
            b->len--;
            am_buf_cstr(
                b,
                ",\"image/*\":{},\"audio/*\":{},\"video/*\":{},\"application/octet-stream\":{}}");
        }
        am_buf_char(b, '}');
    }
    am_buf_cstr(b, ",\"responses\":{\"200\":{\"description\":\"done\"");
    if (r->response) {
        am_buf_char(b, ',');
        content(b, "application/json", r->response);
    }
    am_buf_cstr(b, "},\"default\":{\"description\":\"refused or failed\",");
    content(b, problem ? "application/problem+json" : "application/json",
            problem ? "Problem" : "Error");
    am_buf_cstr(b, "}}}");
}

/* Has an earlier row the same path? Then it printed this row's method too. */
static bool path_seen(size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(am_routes[k].pattern, am_routes[i].pattern) == 0)
            return true;
    return false;
}

void am_api_openapi(struct am_buf *b)
{
    bool first_path = true;
    am_buf_cstr(
        b, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"AI Mass\",\"version\":\"" AM_API_VERSION
           "\",\"license\":{\"name\":\"Apache-2.0\"}},\"paths\":{");
    for (size_t i = 0; i < am_n_routes; i++) {
        bool first = true;
        if (path_seen(i))
            continue;
        am_buf_printf(b, "%s\"%s\":{", first_path ? "" : ",", am_routes[i].pattern);
        first_path = false;
        for (size_t k = i; k < am_n_routes; k++) {
            if (strcmp(am_routes[k].pattern, am_routes[i].pattern) != 0)
                continue;
            if (!first)
                am_buf_char(b, ',');
            first = false;
            operation(b, &am_routes[k], k);
        }
        am_buf_char(b, '}');
    }
    am_buf_cstr(b, "},\"components\":{\"schemas\":{");
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        am_buf_printf(b, "%s\"%s\":%s", i ? "," : "", schemas[i].name, schemas[i].json);
    am_buf_cstr(b, "}}}");
}
