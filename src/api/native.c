/* POST /api/v1/models/MODEL/predict: {"rows": [{column: value, …}, …]} or {"rows": [[value, …], …]}
 * in, and
 * {"model", "version", "predictions": [{"label", "probability": {class: p}} or {"value"} or
 * {"anomaly_score", "is_anomaly"} or {"embedding"}]} out; "outputs": [names] in the request (or
 * ?outputs=a,b beside any body) chooses others that the model has. */
#include "api/api_int.h"

static bool parse_rows(struct am_js *js, struct am_call *call)
{
    const struct am_serve_info *info = am_served_info(call->served);
    bool first = true;
    if (!am_js_enter(js, '['))
        return false;
    while (am_js_element(js, &first)) {
        if (!am_js_row_next(js, &call->columns))
            return false;
        bool ok = am_js_peek(js) == AM_JS_ARRAY
                      ? am_js_row_list(js, info, &call->columns)
                      : am_js_row_object(js, info, &call->columns, AM_CELL_PLAIN);
        if (!ok)
            return false;
    }
    return js->failed == AM_OK;
}

/* "outputs": ["embedding", ..] */
static bool parse_outputs(struct am_js *js, struct am_call *call)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_str name;
    unsigned mask = 0;
    bool first = true;
    if (!am_js_enter(js, '['))
        return false;
    while (am_js_element(js, &first)) {
        if (!am_js_string(js, &name))
            return false;
        enum am_rc rc = am_output_native(info, name, &mask, js->err);
        if (rc != AM_OK)
            return js->failed = rc, false;
    }
    if (js->failed == AM_OK && mask == 0)
        return am_js_fail(js, AM_EINVAL, "\"outputs\" is empty");
    am_outputs_want(call, mask);
    return js->failed == AM_OK;
}

static enum am_rc native_parse(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_js js;
    struct am_str key;
    bool first = true, seen = false, chosen = false;
    AM_TRY(am_columns_begin(&call->columns, &info->inputs, info->uid, err));
    if (am_media_is_body(call->rq, info))
        return am_media_body(call, err);
    am_js_init(&js, call->rq->body, call->rq->body_len, AM_JS_STRICT, err);
    if (am_js_enter(&js, '{'))
        while (am_js_member(&js, &first, &key)) {
            if (!chosen && am_str_is(key, "outputs")) {
                chosen = true;
                if (!parse_outputs(&js, call))
                    break;
                continue;
            }
            if (seen || !am_str_is(key, "rows")) {
                (void)am_js_fail(&js, AM_EINVAL,
                                 am_str_is(key, "rows") ? "a second key \"%.*s\""
                                                        : AM_N("unknown key \"%.*s\""),
                                 (int)(key.len > 100 ? 100 : key.len), key.ptr);
                am_hint(err, "Send {\"rows\": [{column: value, ...}, ...]}.");
                break;
            }
            seen = true;
            if (!parse_rows(&js, call))
                break;
        }
    (void)am_js_finish(&js);
    if (js.failed == AM_OK && !seen) {
        (void)am_js_fail(&js, AM_EINVAL, "the key \"rows\" is missing");
        am_hint(err, "Send {\"rows\": [{column: value, ...}, ...]}.");
    }
    if (js.failed != AM_OK && am_media_only(info) && !seen)
        am_hint(err,
                "Send the file as the body with `Content-Type: application/octet-stream`, or "
                "{\"rows\": [{\"%.*s\": base64 text}]}.",
                AM_FMT(info->inputs.columns[0].name));
    return js.failed;
}

static enum am_rc native_print(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_buf *b = &call->body;
    am_buf_reset(b);
    am_buf_str(b, AM_STR("{\"model\":\""));
    am_buf_str(b, info->model);
    am_buf_str(b, AM_STR("\",\"version\":"));
    am_buf_str(b, info->version_text);
    am_buf_str(b, AM_STR(",\"predictions\":["));
    for (size_t row = 0; row < call->columns.n_rows; row++) {
        if (row)
            am_buf_char(b, ',');
        am_outputs_print_row(b, call, row);
    }
    am_buf_str(b, AM_STR("]}"));
    return am_buf_check(b, err);
}

const struct am_protocol am_protocol_native = {"native", native_parse, native_print};
