/* Rows in JSON into columns: cells, rows by name, rows by position; and numbers and labels back to
 * JSON.
 *
 * One place for what a value of each column type may look like (docs/API.md has the table). */
#include <math.h>

#include "api/api_int.h"

#include "base/date.h"
#include "base/limits.h"
#include "base/num.h"

static const char *kind_name(enum am_js_kind k)
{
    static const char *const names[] = {"nothing",  "an object", "a list", "text",
                                        "a number", "true",      "false",  "null"};
    return names[k];
}

bool am_js_wrong_kind(struct am_js *js, const struct am_columns *c, size_t column, size_t row,
                      enum am_js_kind k)
{
    const struct am_column_desc *d = &c->schema->columns[column];
    if (k == AM_JS_END)
        return am_js_bad(js, "a value was expected");
    if (js->failed == AM_OK) {
        js->failed = am_fail(js->err, AM_EINVAL, "row %zu: column \"%.*s\" wants %s, got %s", row,
                             AM_FMT(d->name), am_col_type_name(d->type), kind_name(k));
        am_hint(
            js->err,
            am_col_is_media(d->type)
                ? "Pictures, sounds and videos are base64 text or {\"b64\": text}; null is missing."
                : AM_N("Numbers are JSON numbers, booleans true or false, dates ISO 8601 text, "
                       "a missing value is null."));
    }
    return false;
}

static bool number_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row)
{
    double *out = am_columns_numbers(c, column) + row;
    enum am_js_kind k = am_js_peek(js);
    bool truth;
    if (k == AM_JS_NUMBER) {
        if (!am_js_number(js, out))
            return false;
        if (isinf(*out))
            return am_js_fail(js, AM_EINVAL, "row %zu: column \"%.*s\" is infinite", row,
                              AM_FMT(c->schema->columns[column].name));
        if (c->columns[column].type == AM_COL_BOOLEAN && *out != 0 && *out != 1 && !isnan(*out))
            return am_js_wrong_kind(js, c, column, row, k);
        return true;
    }
    if (c->columns[column].type == AM_COL_BOOLEAN && (k == AM_JS_TRUE || k == AM_JS_FALSE)) {
        if (!am_js_bool(js, &truth))
            return false;
        *out = truth;
        return true;
    }
    return am_js_wrong_kind(js, c, column, row, k);
}

/* {"b64": "…"}: TF Serving's spelling of bytes, decoded in place. */
bool am_js_bytes(struct am_js *js, enum am_base64 alphabet, struct am_str *out)
{
    struct am_str key;
    bool first = true, seen = false;
    if (!am_js_enter(js, '{'))
        return false;
    while (am_js_member(js, &first, &key)) {
        if (seen || !am_str_is(key, "b64"))
            return am_js_fail(js, AM_EINVAL,
                              "unknown key \"%.*s\": text or {\"b64\": text} expected",
                              AM_FMT(key));
        seen = true;
        if (!am_js_file(js, out))
            return false;
    }
    if (js->failed != AM_OK)
        return false;
    if (!seen || !am_base64_decode(*out, alphabet, (char *)(uintptr_t)out->ptr, &out->len))
        return am_js_fail(js, AM_EINVAL, "malformed b64 value");
    return true;
}

/* 2.0 and 2 are the same number, so they must be the same category: the shortest text counts,
 * written in place when it fits. */
static bool number_as_text(struct am_js *js, struct am_str *out)
{
    char shortest[AM_DOUBLE_CHARS];
    double v;
    (void)am_js_peek(js);
    char *begin = js->p;
    if (!am_js_number(js, &v))
        return false;
    size_t n = am_print_double(v, shortest), given = (size_t)(js->p - begin);
    if (n < given)
        memcpy(begin, shortest, n);
    *out = (struct am_str){begin, n < given ? n : given};
    return true;
}

/* Categories that are numbers or booleans in the table may come so in JSON: their text counts. */
static bool text_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row)
{
    struct am_str *out = am_columns_texts(c, column) + row;
    enum am_js_kind k = am_js_peek(js);
    bool truth;
    switch (k) {
    case AM_JS_STRING:
        return am_js_string(js, out);
    case AM_JS_OBJECT:
        if (!am_js_bytes(js, AM_BASE64_EITHER, out))
            return false;
        if (out->len > AM_LIMIT_JSON_STRING_BYTES)
            return am_js_fail(js, AM_ELIMIT, "a string of %zu bytes is over the limit", out->len);
        return am_utf8_valid(*out) || am_js_fail(js, AM_EINVAL, "malformed b64 value");
    case AM_JS_NUMBER:
        return number_as_text(js, out);
    case AM_JS_TRUE:
    case AM_JS_FALSE:
        if (!am_js_bool(js, &truth))
            return false;
        *out = truth ? AM_STR("true") : AM_STR("false");
        return true;
    default:
        return am_js_wrong_kind(js, c, column, row, k);
    }
}

static bool date_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row)
{
    struct am_str text;
    enum am_js_kind k = am_js_peek(js);
    if (k != AM_JS_STRING)
        return am_js_wrong_kind(js, c, column, row, k);
    if (!am_js_string(js, &text))
        return false;
    if (!am_date_parse(text, am_columns_dates(c, column) + row))
        return am_js_fail(js, AM_EINVAL,
                          "row %zu: column \"%.*s\": \"%.*s\" is no date (ISO 8601 expected)", row,
                          AM_FMT(c->schema->columns[column].name),
                          (int)(text.len > 60 ? 60 : text.len), text.ptr);
    return true;
}

bool am_js_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row,
                enum am_unwrap unwrap)
{
    if (c->columns[column].type == AM_COL_NUMBER && am_js_digit_next(js))
        return am_js_number(js, am_columns_numbers(c, column) + row);
    enum am_js_kind k = am_js_peek(js);
    if (k == AM_JS_NULL) {
        am_columns_set_missing(c, column, row);
        return am_js_null(js);
    }
    if (k == AM_JS_ARRAY && unwrap == AM_CELL_UNWRAP &&
        !am_pixel_lists_next(js, c->columns[column].type)) {
        bool first = true;
        if (!am_js_enter(js, '[') || !am_js_element(js, &first))
            return am_js_fail(js, AM_EINVAL, "row %zu: column \"%.*s\" has no value", row,
                              AM_FMT(c->schema->columns[column].name));
        if (!am_js_cell(js, c, column, row, AM_CELL_PLAIN))
            return false;
        if (am_js_element(js, &first))
            return am_js_fail(js, AM_EINVAL, "row %zu: column \"%.*s\" has more than one value",
                              row, AM_FMT(c->schema->columns[column].name));
        return js->failed == AM_OK;
    }
    switch (c->columns[column].type) {
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
        return text_cell(js, c, column, row);
    case AM_COL_DATE:
        return date_cell(js, c, column, row);
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return am_media_cell(js, c, column, row);
    default:
        return number_cell(js, c, column, row);
    }
}

/* ---- rows ---- */

bool am_js_row_next(struct am_js *js, struct am_columns *c)
{
    if (js->failed != AM_OK)
        return false;
    if (c->n_rows == UINT32_MAX - 1)
        return am_js_fail(js, AM_ELIMIT, "too many rows");
    enum am_rc rc = am_columns_reserve(c, c->n_rows + 1, js->err);
    if (rc != AM_OK)
        js->failed = rc;
    return rc == AM_OK;
}

void am_hint_columns(struct am_err *err, const struct am_serve_info *info, struct am_str name)
{
    const struct am_column_desc *d = info->inputs.columns;
    const struct am_column_desc *best = NULL;
    unsigned best_distance = 1 + (unsigned)(name.len / 3);
    for (size_t i = 0; i < info->inputs.n && name.len <= AM_LIMIT_NAME_BYTES; i++) {
        unsigned distance = am_str_distance(name, d[i].name);
        if (distance <= best_distance && (!best || distance < best_distance)) {
            best = &d[i];
            best_distance = distance;
        }
    }
    if (best)
        am_hint(err, "Did you mean \"%.*s\"?", AM_FMT(best->name));
    else
        am_hint(err, "The model's columns are listed by GET /api/v1/models/%.*s.",
                AM_FMT(info->model));
}

static bool unknown_column(struct am_js *js, const struct am_serve_info *info, size_t row,
                           struct am_str name)
{
    (void)am_js_fail(js, AM_EINVAL, "row %zu: unknown column \"%.*s\"", row,
                     (int)(name.len > 100 ? 100 : name.len), name.ptr);
    am_hint_columns(js->err, info, name);
    return false;
}

static bool is_id(const struct am_serve_info *info, struct am_str name)
{
    for (size_t i = 0; i < info->n_ids; i++)
        if (am_str_eq(info->ids[i], name))
            return true;
    return false;
}

static bool absent_column(struct am_js *js, const struct am_columns *c, uint32_t stamp)
{
    for (size_t i = 0; i < c->schema->n; i++)
        if (c->seen[i] != stamp) {
            (void)am_js_fail(js, AM_EINVAL, "row %zu: column \"%.*s\" is absent", c->n_rows,
                             AM_FMT(c->schema->columns[i].name));
            am_hint(js->err, "Send every column of the model; null means a missing value.");
            return false;
        }
    return true;
}

bool am_js_row_object(struct am_js *js, const struct am_serve_info *info, struct am_columns *c,
                      enum am_unwrap unwrap)
{
    const struct am_column_desc *d = c->schema->columns;
    size_t n = c->schema->n, expected = 0, found = 0, row = c->n_rows;
    size_t plain = info->plain_names ? n : 0;
    uint32_t stamp = (uint32_t)row + 1;
    struct am_str key;
    bool first = true;
    if (!am_js_enter(js, '{'))
        return false;
    for (;;) {
        /* rows usually keep the model's order */
        size_t i = expected;
        if (expected >= plain || !am_js_member_is(js, &first, d[expected].name)) {
            if (!am_js_member(js, &first, &key))
                break;
            i = am_schema_find(c->schema, key);
        }
        if (i == SIZE_MAX) {
            if (!is_id(info, key))
                return unknown_column(js, info, row, key);
            if (!am_js_skip(js))
                return false;
            continue;
        }
        if (c->seen[i] == stamp)
            return am_js_fail(js, AM_EINVAL, "row %zu: column \"%.*s\" is given twice", row,
                              AM_FMT(d[i].name));
        c->seen[i] = stamp;
        expected = i + 1;
        found++;
        if (!am_js_cell(js, c, i, row, unwrap))
            return false;
    }
    if (js->failed != AM_OK || (found != n && !absent_column(js, c, stamp)))
        return false;
    c->n_rows++;
    return true;
}

bool am_js_row_list(struct am_js *js, const struct am_serve_info *info, struct am_columns *c)
{
    size_t n = c->schema->n, i = 0, row = c->n_rows;
    bool first = true;
    (void)info;
    if (!am_js_enter(js, '['))
        return false;
    while (am_js_element(js, &first)) {
        if (i == n)
            return am_js_fail(js, AM_EINVAL, "row %zu has more than %zu values", row, n);
        if (!am_js_cell(js, c, i++, row, AM_CELL_PLAIN))
            return false;
    }
    if (js->failed != AM_OK)
        return false;
    if (i != n)
        return am_js_fail(js, AM_EINVAL, "row %zu has %zu values, the model wants %zu", row, i, n);
    c->n_rows++;
    return true;
}

/* ---- printing ---- */

void am_print_number(struct am_buf *b, double v)
{
    char *at = am_buf_reserve(b, AM_DOUBLE_CHARS);
    if (at)
        am_buf_commit(b, am_print_double(v, at));
}

void am_print_f32(struct am_buf *b, float v)
{
    char *at = am_buf_reserve(b, AM_DOUBLE_CHARS);
    if (at)
        am_buf_commit(b, am_print_float(v, at));
}

void am_print_u64(struct am_buf *b, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    am_buf_add(b, digits + n, sizeof digits - n);
}

void am_print_label(struct am_buf *b, const struct am_serve_info *info, int32_t label)
{
    if (label < 0 || (size_t)label >= info->n_classes)
        am_buf_cstr(b, "null");
    else
        am_buf_str(b, info->quoted[label]);
}
