/* TF Serving's REST API: predict in row and column form, classify, regress, status, metadata.
 *
 * Follows tensorflow_serving/util/json_tensor.cc in what is accepted: NaN, Infinity and -Infinity
 * tokens,
 * {"b64": …}, pictures as nested lists of pixels, scalars in lists of one. NaN is a missing value.
 */
#include <math.h>
#include <stdio.h>

#include "api/api_int.h"

/* ---- requests ---- */

/* One row: an object by name, a list by position, or the value itself when there is one input. */
static bool parse_instance(struct am_js *js, struct am_call *call)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_columns *c = &call->columns;
    if (!am_js_row_next(js, c))
        return false;
    enum am_js_kind k = am_js_peek(js);
    bool pixels = info->inputs.n == 1 && am_pixel_lists_next(js, info->inputs.columns[0].type);
    if (k == AM_JS_ARRAY && !pixels)
        return am_js_row_list(js, info, c);
    if (k == AM_JS_OBJECT && !am_media_bare(js, info))
        return am_js_row_object(js, info, c, AM_CELL_UNWRAP);
    if (info->inputs.n != 1)
        return am_js_fail(js, AM_EINVAL,
                          "instance %zu is no object: the model has %zu inputs, each instance must "
                          "name them or list them in order",
                          c->n_rows, info->inputs.n);
    if (!am_js_cell(js, c, 0, c->n_rows, AM_CELL_PLAIN))
        return false;
    c->n_rows++;
    return true;
}

static bool parse_instances(struct am_js *js, struct am_call *call)
{
    bool first = true;
    if (!am_js_enter(js, '['))
        return false;
    while (am_js_element(js, &first))
        if (!parse_instance(js, call))
            return false;
    return js->failed == AM_OK;
}

/* One column's list; the first one says how many rows there are. */
static bool parse_column(struct am_js *js, struct am_columns *c, size_t column, bool *have_rows)
{
    size_t row = 0;
    bool first = true;
    if (am_js_peek(js) != AM_JS_ARRAY) { /* a scalar: one row */
        if (*have_rows && c->n_rows != 1)
            return am_js_fail(js, AM_EINVAL, "input \"%.*s\" has 1 value, the others have %zu",
                              AM_FMT(c->schema->columns[column].name), c->n_rows);
        enum am_rc rc = am_columns_reserve(c, 1, js->err);
        if (rc != AM_OK)
            return js->failed = rc, false;
        c->n_rows = 1;
        *have_rows = true;
        return am_js_cell(js, c, column, 0, AM_CELL_PLAIN);
    }
    if (!am_js_enter(js, '['))
        return false;
    for (; am_js_element(js, &first); row++) {
        enum am_rc rc = am_columns_reserve(c, row + 1, js->err);
        if (rc != AM_OK)
            return js->failed = rc, false;
        if (!am_js_cell(js, c, column, row, AM_CELL_UNWRAP))
            return false;
    }
    if (js->failed != AM_OK)
        return false;
    if (*have_rows && row != c->n_rows)
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\" has %zu values, the others have %zu",
                          AM_FMT(c->schema->columns[column].name), row, c->n_rows);
    c->n_rows = row;
    *have_rows = true;
    return true;
}

static bool parse_columns(struct am_js *js, struct am_call *call)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_columns *c = &call->columns;
    struct am_str key;
    bool first = true, have_rows = false;
    if (!am_js_enter(js, '{'))
        return false;
    while (am_js_member(js, &first, &key)) {
        size_t i = am_schema_find(c->schema, key);
        if (i == SIZE_MAX) {
            (void)am_js_fail(js, AM_EINVAL, "unknown input \"%.*s\"",
                             (int)(key.len > 100 ? 100 : key.len), key.ptr);
            am_hint_columns(js->err, info, key);
            return false;
        }
        if (c->seen[i])
            return am_js_fail(js, AM_EINVAL, "input \"%.*s\" is given twice", AM_FMT(key));
        c->seen[i] = 1;
        if (!parse_column(js, c, i, &have_rows))
            return false;
    }
    for (size_t i = 0; i < c->schema->n && js->failed == AM_OK; i++)
        if (!c->seen[i])
            return am_js_fail(js, AM_EINVAL, "input \"%.*s\" is absent",
                              AM_FMT(c->schema->columns[i].name));
    return js->failed == AM_OK;
}

/* "inputs": named columns, or a matrix of positional rows, or one column when there is one input.
 */
static bool parse_inputs(struct am_js *js, struct am_call *call)
{
    bool have_rows = false;
    call->column_form = true;
    if (am_js_peek(js) == AM_JS_OBJECT && !am_media_bare(js, am_served_info(call->served)))
        return parse_columns(js, call);
    if (call->columns.schema->n == 1)
        return parse_column(js, &call->columns, 0, &have_rows);
    return parse_instances(js, call);
}

static bool check_signature(struct am_js *js)
{
    struct am_str name;
    if (!am_js_string(js, &name))
        return false;
    if (name.len && !am_str_is(name, "serving_default"))
        return am_js_fail(js, AM_EINVAL,
                          "serving signature name \"%.*s\" not found in signature def",
                          (int)(name.len > 100 ? 100 : name.len), name.ptr);
    return true;
}

static enum am_rc tfs_parse(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_js js;
    struct am_str key;
    bool first = true, seen = false, signature = false;
    AM_TRY(am_columns_begin(&call->columns, &info->inputs, info->uid, err));
    am_js_init(&js, call->rq->body, call->rq->body_len, AM_JS_SPECIAL, err);
    if (am_js_enter(&js, '{'))
        while (am_js_member(&js, &first, &key)) {
            bool ok;
            if (am_str_is(key, "signature_name") && !signature) {
                signature = true;
                ok = check_signature(&js);
            } else if (am_str_is(key, "instances") && !seen) {
                seen = true;
                ok = parse_instances(&js, call);
            } else if (am_str_is(key, "inputs") && !seen) {
                seen = true;
                ok = parse_inputs(&js, call);
            } else {
                ok = am_js_fail(&js, AM_EINVAL, "unexpected key \"%.*s\"",
                                (int)(key.len > 100 ? 100 : key.len), key.ptr);
                am_hint(err, "Send either \"instances\" or \"inputs\", once.");
            }
            if (!ok)
                break;
        }
    (void)am_js_finish(&js);
    if (js.failed == AM_OK && !seen)
        (void)am_js_fail(&js, AM_EINVAL, "Missing 'inputs' or 'instances' key");
    return js.failed;
}

static bool parse_examples(struct am_js *js, struct am_call *call)
{
    const struct am_serve_info *info = am_served_info(call->served);
    bool first = true;
    if (!am_js_enter(js, '['))
        return false;
    while (am_js_element(js, &first))
        if (!am_js_row_next(js, &call->columns) ||
            !am_js_row_object(js, info, &call->columns, AM_CELL_UNWRAP))
            return false;
    return js->failed == AM_OK;
}

static enum am_rc examples_parse(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_js js;
    struct am_str key;
    bool first = true, seen = false, signature = false;
    AM_TRY(am_columns_begin(&call->columns, &info->inputs, info->uid, err));
    am_js_init(&js, call->rq->body, call->rq->body_len, AM_JS_SPECIAL, err);
    if (am_js_enter(&js, '{'))
        while (am_js_member(&js, &first, &key)) {
            bool ok;
            if (am_str_is(key, "signature_name") && !signature) {
                signature = true;
                ok = check_signature(&js);
            } else if (am_str_is(key, "examples") && !seen) {
                seen = true;
                ok = parse_examples(&js, call);
            } else {
                ok = am_js_fail(&js, AM_EINVAL, "unexpected key \"%.*s\": \"examples\" expected",
                                (int)(key.len > 100 ? 100 : key.len), key.ptr);
            }
            if (!ok)
                break;
        }
    (void)am_js_finish(&js);
    if (js.failed == AM_OK && !seen)
        (void)am_js_fail(&js, AM_EINVAL, "When method is classify, key 'examples' is expected");
    return js.failed;
}

static enum am_rc classify_parse(struct am_call *call, struct am_err *err)
{
    if (am_served_info(call->served)->n_classes == 0)
        return am_fail(err, AM_EINVAL, "the model predicts a number; ask :regress or :predict");
    return examples_parse(call, err);
}

static enum am_rc regress_parse(struct am_call *call, struct am_err *err)
{
    if (am_served_info(call->served)->n_classes != 0)
        return am_fail(err, AM_EINVAL, "the model predicts a class; ask :classify or :predict");
    return examples_parse(call, err);
}

/* ---- answers ---- */

/* TF Serving prints floats with at least ".0". */
static void print_float(struct am_buf *b, double v)
{
    size_t before = b->len;
    am_print_number(b, v);
    for (size_t i = before; i < b->len; i++)
        if (b->ptr[i] == '.' || b->ptr[i] == 'e' || b->ptr[i] == 'N' || b->ptr[i] == 'I')
            return;
    am_buf_str(b, AM_STR(".0"));
}

static void print_f32(struct am_buf *b, float v)
{
    size_t before = b->len;
    am_print_f32(b, v);
    for (size_t i = before; i < b->len; i++)
        if (b->ptr[i] == '.' || b->ptr[i] == 'e' || b->ptr[i] == 'N' || b->ptr[i] == 'I')
            return;
    am_buf_str(b, AM_STR(".0"));
}

static void print_probabilities(struct am_buf *b, const struct am_serve_result *r, size_t n_classes,
                                size_t row)
{
    am_buf_char(b, '[');
    for (size_t i = 0; i < n_classes; i++) {
        if (i)
            am_buf_char(b, ',');
        print_f32(b, r->probability[row * n_classes + i]);
    }
    am_buf_char(b, ']');
}

/* A model that learns rows: named outputs, or the one output's value alone. */
static void print_own_row(const struct am_call *call, struct am_buf *b, size_t row)
{
    if (call->outputs & (call->outputs - 1))
        am_outputs_print_row(b, call, row);
    else
        am_output_print(b, am_served_info(call->served), &call->result, AM_OUTPUT_EMBEDDING, row);
}

static void print_own_columns(const struct am_call *call, struct am_buf *b)
{
    const struct am_serve_info *info = am_served_info(call->served);
    bool several = (call->outputs & (call->outputs - 1)) != 0, first = true;
    am_buf_str(b, several ? AM_STR("{\"outputs\":{") : AM_STR("{\"outputs\":"));
    for (unsigned o = 0; o < AM_N_OUTPUTS; o++) {
        if (!(call->outputs >> o & 1u))
            continue;
        if (several)
            am_buf_printf(b, "%s\"%s\":", first ? "" : ",", am_output_name((enum am_output)o));
        first = false;
        am_buf_char(b, '[');
        for (size_t row = 0; row < call->columns.n_rows; row++) {
            if (row)
                am_buf_char(b, ',');
            am_output_print(b, info, &call->result, (enum am_output)o, row);
        }
        am_buf_char(b, ']');
    }
    am_buf_str(b, several ? AM_STR("}}") : AM_STR("}"));
}

static void print_row_form(struct am_call *call, struct am_buf *b)
{
    const struct am_serve_info *info = am_served_info(call->served);
    const struct am_serve_result *r = &call->result;
    am_buf_str(b, AM_STR("{\"predictions\":["));
    for (size_t row = 0; row < call->columns.n_rows; row++) {
        if (row)
            am_buf_char(b, ',');
        if (am_task_is_own(info->task)) {
            print_own_row(call, b, row);
            continue;
        }
        if (info->n_classes == 0) {
            print_float(b, r->value[row]);
            continue;
        }
        am_buf_str(b, AM_STR("{\"probabilities\":"));
        print_probabilities(b, r, info->n_classes, row);
        am_buf_str(b, AM_STR(",\"label\":"));
        am_print_label(b, info, r->label[row]);
        am_buf_char(b, '}');
    }
    am_buf_str(b, AM_STR("]}"));
}

static void print_column_form(struct am_call *call, struct am_buf *b)
{
    const struct am_serve_info *info = am_served_info(call->served);
    const struct am_serve_result *r = &call->result;
    size_t n = call->columns.n_rows;
    if (am_task_is_own(info->task)) {
        print_own_columns(call, b);
        return;
    }
    am_buf_str(b, info->n_classes ? AM_STR("{\"outputs\":{\"probabilities\":[")
                                  : AM_STR("{\"outputs\":["));
    for (size_t row = 0; row < n; row++) {
        if (row)
            am_buf_char(b, ',');
        if (info->n_classes)
            print_probabilities(b, r, info->n_classes, row);
        else
            print_float(b, r->value[row]);
    }
    am_buf_char(b, ']');
    if (info->n_classes) {
        am_buf_str(b, AM_STR(",\"label\":["));
        for (size_t row = 0; row < n; row++) {
            if (row)
                am_buf_char(b, ',');
            am_print_label(b, info, r->label[row]);
        }
        am_buf_str(b, AM_STR("]}"));
    }
    am_buf_char(b, '}');
}

static enum am_rc tfs_print(struct am_call *call, struct am_err *err)
{
    am_buf_reset(&call->body);
    if (call->column_form)
        print_column_form(call, &call->body);
    else
        print_row_form(call, &call->body);
    return am_buf_check(&call->body, err);
}

static enum am_rc classify_print(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_buf *b = &call->body;
    am_buf_reset(b);
    am_buf_str(b, AM_STR("{\"results\":["));
    for (size_t row = 0; row < call->columns.n_rows; row++) {
        am_buf_str(b, row ? AM_STR(",[") : AM_STR("["));
        for (size_t i = 0; i < info->n_classes; i++) {
            am_buf_str(b, i ? AM_STR(",[") : AM_STR("["));
            am_print_label(b, info, (int32_t)i);
            am_buf_char(b, ',');
            print_f32(b, call->result.probability[row * info->n_classes + i]);
            am_buf_char(b, ']');
        }
        am_buf_char(b, ']');
    }
    am_buf_str(b, AM_STR("]}"));
    return am_buf_check(b, err);
}

static enum am_rc regress_print(struct am_call *call, struct am_err *err)
{
    struct am_buf *b = &call->body;
    am_buf_reset(b);
    am_buf_str(b, AM_STR("{\"results\":["));
    for (size_t row = 0; row < call->columns.n_rows; row++) {
        if (row)
            am_buf_char(b, ',');
        print_float(b, call->result.value[row]);
    }
    am_buf_str(b, AM_STR("]}"));
    return am_buf_check(b, err);
}

const struct am_protocol am_protocol_predict = {"tfs", tfs_parse, tfs_print};
const struct am_protocol am_protocol_classify = {"tfs-classify", classify_parse, classify_print};
const struct am_protocol am_protocol_regress = {"tfs-regress", regress_parse, regress_print};

/* ---- status and metadata ---- */

static const char *state_name(enum am_version_state s)
{
    static const char *const names[] = {"START", "AVAILABLE", "END"};
    return names[s];
}

static void print_status(struct am_buf *b, const struct am_catalog_version *v)
{
    bool failed = v->state == AM_VERSION_FAILED;
    am_buf_printf(b, "{\"version\":\"%lld\",\"state\":\"%s\",\"status\":{\"error_code\":\"%s\",",
                  (long long)v->number, state_name(v->state), failed ? "INTERNAL" : "OK");
    am_buf_str(b, AM_STR("\"error_message\":"));
    am_json_quote(b, failed ? v->why : AM_STR(""));
    am_buf_str(b, AM_STR("}}"));
}

void am_handle_tfs_status(struct am_call *call)
{
    struct am_err err;
    const struct am_catalog_model *m = am_call_model(call, &err);
    const struct am_catalog_version *one = NULL;
    struct am_buf *b = &call->body;
    if (!m) {
        am_call_want(call, &err);
        return;
    }
    if (call->selector.len && !(one = am_catalog_select(m, call->selector))) {
        (void)am_fail(&err, AM_ENOTFOUND, "Servable not found for request: Specific(%.*s, %.*s)",
                      AM_FMT(call->model), AM_FMT(call->selector));
        am_call_want(call, &err);
        return;
    }
    am_buf_str(b, AM_STR("{\"model_version_status\":["));
    if (one)
        print_status(b, one);
    for (size_t i = m->n_versions; !one && i-- > 0;) {
        print_status(b, &m->versions[i]);
        if (i)
            am_buf_char(b, ',');
    }
    am_buf_str(b, AM_STR("]}"));
    am_call_reply(call, 200);
}

static void print_tensor(struct am_buf *b, struct am_str name, const char *dtype, const char *dims)
{
    am_json_quote(b, name);
    am_buf_printf(b,
                  ":{\"dtype\":\"%s\",\"tensor_shape\":{\"dim\":[%s],\"unknown_rank\":false},"
                  "\"name\":",
                  dtype, dims);
    am_json_quote(b, name);
    am_buf_char(b, '}');
}

static const char *dtype_name(enum am_col_type t)
{
    switch (t) {
    case AM_COL_NUMBER:
        return "DT_DOUBLE";
    case AM_COL_BOOLEAN:
        return "DT_BOOL";
    default:
        return "DT_STRING";
    }
}

static void print_output_tensors(struct am_buf *b, const struct am_serve_info *info)
{
    static const char *const types[AM_N_OUTPUTS] = {
        "DT_DOUBLE", "DT_FLOAT",  "DT_STRING", "DT_DOUBLE", "DT_BOOL",  "DT_FLOAT", "DT_DOUBLE",
        "DT_INT32",  "DT_DOUBLE", "DT_FLOAT",  "DT_DOUBLE", "DT_FLOAT", "DT_STRING"};
    unsigned mask = am_task_is_own(info->task) ? am_outputs_default(info) : am_outputs_of(info);
    bool first = true;
    for (unsigned o = 0; mask >> o; o++) {
        struct am_dims d = am_output_dims(info, (enum am_output)o);
        char dims[96];
        if (!(mask >> o & 1u))
            continue;
        size_t at = (size_t)snprintf(dims, sizeof dims, "{\"size\":\"-1\",\"name\":\"\"}");
        if (o == AM_OUTPUT_PROBABILITIES || o == AM_OUTPUT_EMBEDDING || o == AM_OUTPUT_DISTANCES ||
            o == AM_OUTPUT_MEMBERSHIPS)
            (void)snprintf(dims + at, sizeof dims - at, ",{\"size\":\"%lld\",\"name\":\"\"}",
                           (long long)d.d[0]);
        if (!first)
            am_buf_char(b, ',');
        first = false;
        print_tensor(b, am_str(am_output_name((enum am_output)o)), types[o], dims);
    }
}

void am_handle_tfs_metadata(struct am_call *call)
{
    static const char batch[] = "{\"size\":\"-1\",\"name\":\"\"}";
    struct am_buf *b = &call->body;
    struct am_served *served = am_call_served(call);
    if (!served)
        return;
    const struct am_serve_info *info = am_served_info(served);
    am_buf_str(b, AM_STR("{\"model_spec\":{\"name\":"));
    am_json_quote(b, info->model);
    am_buf_printf(b, ",\"signature_name\":\"\",\"version\":\"%lld\"},", (long long)info->version);
    am_buf_str(b, AM_STR("\"metadata\":{\"signature_def\":{\"signature_def\":{\"serving_default\":{"
                         "\"inputs\":{"));
    for (size_t i = 0; i < info->inputs.n; i++) {
        if (i)
            am_buf_char(b, ',');
        print_tensor(b, info->inputs.columns[i].name, dtype_name(info->inputs.columns[i].type),
                     batch);
    }
    am_buf_str(b, AM_STR("},\"outputs\":{"));
    print_output_tensors(b, info);
    am_buf_str(b, AM_STR("},\"method_name\":\"tensorflow/serving/predict\"}}}}}"));
    am_call_reply(call, 200);
}
