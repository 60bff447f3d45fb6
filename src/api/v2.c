/* Open Inference Protocol v2: infer with JSON and binary tensors.
 *
 * Every input column is a tensor [n] or [n,1]; a model whose inputs are all numbers also takes one
 * matrix `input` [n, n_inputs]. Outputs: `probabilities` FP32 [n, classes] and `label` BYTES [n],
 * or `value` FP64 [n,1]; of a model that learns rows `anomaly_score` FP64 [n,1], `is_anomaly` BOOL
 * [n], `embedding` FP32 [n,k] and `reconstruction` FP64 [n,..], of which "outputs" chooses.
 * Missing: null in JSON, NaN in binary numbers, an empty text in BYTES. Pictures, sounds, videos:
 * BYTES [n], base64 in JSON and the bytes themselves in binary; when the only input is a picture
 * also its pixels, UINT8 or FP32 [n,height,width,channels]. Binary layout: little endian, no
 * padding, BYTES with a 32-bit length each. */
#include <math.h>
#include <stdio.h>

#include "api/api_int.h"

#include "base/date.h"
#include "base/limits.h"
#include "base/num.h"
#include "tensor/media.h"

enum dtype {
    D_BOOL,
    D_U8,
    D_U16,
    D_U32,
    D_U64,
    D_I8,
    D_I16,
    D_I32,
    D_I64,
    D_F16,
    D_BF16,
    D_F32,
    D_F64,
    D_BYTES,
    N_DTYPES
};

static const struct {
    const char *name;
    unsigned bytes;
    double min, max; /* of JSON integers */
} dtypes[N_DTYPES] = {{"BOOL", 1, 0, 1},
                      {"UINT8", 1, 0, 255},
                      {"UINT16", 2, 0, 65535},
                      {"UINT32", 4, 0, 4294967295.0},
                      {"UINT64", 8, 0, 18446744073709551615.0},
                      {"INT8", 1, -128, 127},
                      {"INT16", 2, -32768, 32767},
                      {"INT32", 4, -2147483648.0, 2147483647.0},
                      {"INT64", 8, -9223372036854775808.0, 9223372036854775807.0},
                      {"FP16", 2, 0, 0},
                      {"BF16", 2, 0, 0},
                      {"FP32", 4, 0, 0},
                      {"FP64", 8, 0, 0},
                      {"BYTES", 0, 0, 0}};

struct v2_tensor {
    struct am_str name, datatype;
    uint64_t shape[AM_LIMIT_TENSOR_RANK];
    unsigned rank;
    bool has_shape, has_data;
    uint64_t binary_size;
    bool has_binary;
    char *data; /* where the JSON value starts */
    unsigned depth;
    /* settled */
    enum dtype dtype;
    size_t column, width, rows; /* column SIZE_MAX: the matrix */
    char *pixels;               /* cells of the raw form, of width pixels each; NULL = none */
    uint32_t sides[3];          /* of a tensor of pixels: height, width, channels; 0 = no such */
};

struct v2_parser {
    struct am_call *call;
    const struct am_serve_info *info;
    struct am_js js;
    char *binary, *binary_end; /* what of the binary part is left */
    bool have_rows, matrix, seen_inputs, seen_outputs;
    size_t n_inputs;
};

#define V2_MAX_RANKED 256
#define V2_NAME(s) (int)((s).len > 100 ? 100 : (s).len), (s).ptr

/* ---- parameters ---- */

struct v2_parameters {
    uint64_t binary_size, timeout_us, classification;
    bool has_binary, binary_data, has_binary_data;
};

static bool parameter_u64(struct am_js *js, struct am_str key, uint64_t *out)
{
    double v;
    if (!am_js_number(js, &v))
        return false;
    if (!(v >= 0) || v != floor(v) || v > 9007199254740992.0)
        return am_js_fail(js, AM_EINVAL, "parameter \"%.*s\" must be a whole number, 0 or more",
                          AM_FMT(key));
    *out = (uint64_t)v;
    return true;
}

static bool refused_parameter(struct am_str key)
{
    return am_str_starts(key, AM_STR("triton_")) || am_str_starts(key, AM_STR("shared_memory_"));
}

static bool one_parameter(struct am_js *js, struct am_str key, struct v2_parameters *p)
{
    double v;
    if (am_str_is(key, "binary_data_size")) {
        p->has_binary = true;
        return parameter_u64(js, key, &p->binary_size);
    }
    if (am_str_is(key, "timeout"))
        return parameter_u64(js, key, &p->timeout_us);
    if (am_str_is(key, "classification"))
        return parameter_u64(js, key, &p->classification);
    if (am_str_is(key, "binary_data") || am_str_is(key, "binary_data_output")) {
        p->has_binary_data = true;
        return am_js_bool(js, &p->binary_data);
    }
    if (refused_parameter(key))
        return am_js_fail(js, AM_EINVAL, "parameter \"%.*s\" is not supported", V2_NAME(key));
    if (am_str_is(key, "sequence_id") && am_js_peek(js) == AM_JS_NUMBER) {
        if (!am_js_number(js, &v))
            return false;
        return v == 0 || am_js_fail(js, AM_EINVAL, "the model has no sequences");
    }
    return am_js_skip(js);
}

static bool parse_parameters(struct am_js *js, struct v2_parameters *p)
{
    struct am_str key;
    bool first = true;
    if (!am_js_enter(js, '{'))
        return false;
    while (am_js_member(js, &first, &key))
        if (!one_parameter(js, key, p))
            return false;
    return js->failed == AM_OK;
}

/* ---- input tensors ---- */

static bool parse_shape(struct am_js *js, struct v2_tensor *t)
{
    bool first = true;
    double v;
    t->has_shape = true;
    t->rank = 0;
    if (!am_js_enter(js, '['))
        return false;
    while (am_js_element(js, &first)) {
        if (!am_js_number(js, &v))
            return false;
        if (t->rank == AM_LIMIT_TENSOR_RANK)
            return am_js_fail(js, AM_EINVAL, "shape has more than %d dimensions",
                              AM_LIMIT_TENSOR_RANK);
        if (!(v >= 0) || v != floor(v) || v > 4294967295.0)
            return am_js_fail(js, AM_EINVAL, "shape must hold whole numbers from 0 to 4294967295");
        t->shape[t->rank++] = (uint64_t)v;
    }
    return js->failed == AM_OK;
}

/* A model whose only input is a picture takes pixels [rows,height,width,channels], 0 to 255. */
static bool settle_pixels(struct v2_parser *v, struct v2_tensor *t)
{
    bool good = t->dtype == D_U8 || t->dtype == D_F32;
    good = good && t->rank == 4 && (t->shape[3] == 1 || t->shape[3] == 3 || t->shape[3] == 4);
    for (unsigned i = 0; good && i < 3; i++) {
        good = t->shape[i + 1] > 0 && t->shape[i + 1] <= AM_LIMIT_IMAGE_SIDE;
        t->sides[i] = (uint32_t)t->shape[i + 1];
    }
    if (!good || (size_t)t->sides[0] * t->sides[1] > AM_LIMIT_IMAGE_PIXELS)
        return am_js_fail(&v->js, AM_EINVAL,
                          "input \"%.*s\": BYTES [rows,1] or pixels as UINT8 or FP32 "
                          "[rows,height,width,1 or 3 or 4] expected",
                          V2_NAME(t->name));
    t->width = (size_t)t->sides[0] * t->sides[1] * t->sides[2];
    return true;
}

/* The tensor's meaning: which column, how many rows. */
static bool settle(struct v2_parser *v, struct v2_tensor *t)
{
    struct am_js *js = &v->js;
    const struct am_serve_info *info = v->info;
    unsigned d = 0;
    if (!t->name.ptr || !t->datatype.ptr || !t->has_shape)
        return am_js_fail(js, AM_EINVAL, "an input needs \"name\", \"shape\" and \"datatype\"");
    while (d < N_DTYPES && !am_str_is(t->datatype, dtypes[d].name))
        d++;
    if (d == N_DTYPES)
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\": unknown datatype \"%.*s\"",
                          V2_NAME(t->name), V2_NAME(t->datatype));
    t->dtype = (enum dtype)d;
    t->column = am_schema_find(&info->inputs, t->name);
    t->width = 1;
    if (t->column == SIZE_MAX) {
        if (!info->all_numbers || !am_str_is(t->name, "input")) {
            (void)am_js_fail(js, AM_EINVAL, "unknown input \"%.*s\"", V2_NAME(t->name));
            am_hint_columns(js->err, info, t->name);
            return false;
        }
        t->width = info->inputs.n;
    }
    bool pixels =
        t->dtype != D_BYTES && am_media_only(info) && info->inputs.columns[0].type == AM_COL_IMAGE;
    if (pixels && !settle_pixels(v, t))
        return false;
    bool good = pixels                  ? true
                : t->column == SIZE_MAX ? t->rank == 2 && t->shape[1] == t->width
                                        : t->rank == 1 || (t->rank == 2 && t->shape[1] == 1);
    if (!good)
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\": the shape must be [rows,%zu]",
                          V2_NAME(t->name), t->width);
    t->rows = (size_t)t->shape[0];
    if (v->have_rows && t->rows != v->call->columns.n_rows)
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\" has %zu rows, the others have %zu",
                          V2_NAME(t->name), t->rows, v->call->columns.n_rows);
    return true;
}

/* Does the datatype suit the column? */
static bool check_dtype(struct v2_parser *v, const struct v2_tensor *t)
{
    bool text = false;
    if (t->column != SIZE_MAX) {
        enum am_col_type type = v->info->inputs.columns[t->column].type;
        text = type != AM_COL_NUMBER && type != AM_COL_BOOLEAN;
    }
    if (text == (t->dtype == D_BYTES) || t->sides[0])
        return true;
    return am_js_fail(&v->js, AM_EINVAL, "input \"%.*s\": datatype %s does not suit, %s expected",
                      V2_NAME(t->name), dtypes[t->dtype].name,
                      text ? "BYTES" : "FP64 (or another number)");
}

/* Room for every row's cell in the raw form. */
static bool claim_pixels(struct v2_parser *v, struct v2_tensor *t)
{
    struct am_call *call = v->call;
    size_t cell = AM_MEDIA_RAW_BYTES + t->width;
    struct am_str *texts = am_columns_texts(&call->columns, t->column);
    if (t->rows > AM_LIMIT_PREDICT_MEDIA)
        return am_js_fail(&v->js, AM_ELIMIT,
                          "more than %d pictures, sounds and videos in one request",
                          AM_LIMIT_PREDICT_MEDIA);
    if (t->rows > call->rq->body_len / t->width)
        return am_js_fail(&v->js, AM_EINVAL,
                          "input \"%.*s\": shape promises %zu pictures, the data is shorter",
                          V2_NAME(t->name), t->rows);
    am_buf_reset(&call->pixels);
    t->pixels = am_buf_reserve(&call->pixels, t->rows * cell + 1);
    if (!t->pixels)
        return v->js.failed = am_buf_check(&call->pixels, v->js.err), false;
    for (size_t row = 0; row < t->rows; row++) {
        char *at = t->pixels + row * cell;
        am_image_raw_header(t->sides[1], t->sides[0], t->sides[2], (unsigned char *)at);
        texts[row] = (struct am_str){at, cell};
    }
    return true;
}

static bool claim(struct v2_parser *v, struct v2_tensor *t)
{
    struct am_columns *c = &v->call->columns;
    struct am_js *js = &v->js;
    if (t->column == SIZE_MAX ? v->n_inputs > 0 : v->matrix)
        return am_js_fail(js, AM_EINVAL, "input \"input\" cannot stand beside other inputs");
    if (t->column == SIZE_MAX) {
        v->matrix = true;
    } else {
        if (c->seen[t->column])
            return am_js_fail(js, AM_EINVAL, "input \"%.*s\" is given twice", V2_NAME(t->name));
        c->seen[t->column] = 1;
    }
    /* each element takes at least one byte of the request: no memory for promises */
    if (t->rows > v->call->rq->body_len)
        return am_js_fail(js, AM_EINVAL,
                          "input \"%.*s\": shape promises %zu rows, the data is shorter",
                          V2_NAME(t->name), t->rows);
    v->n_inputs++;
    enum am_rc rc = am_columns_reserve(c, t->rows, js->err);
    if (rc != AM_OK)
        return js->failed = rc, false;
    c->n_rows = t->rows;
    v->have_rows = true;
    return !t->sides[0] || claim_pixels(v, t);
}

/* Element k of the tensor of pixels. */
static bool store_pixel(struct v2_parser *v, const struct v2_tensor *t, size_t k, double value)
{
    double round = floor(value + 0.5);
    if (!(round >= 0 && round <= 255))
        return am_js_fail(&v->js, AM_EINVAL, "input \"%.*s\": pixel %zu is not in 0 to 255",
                          V2_NAME(t->name), k);
    size_t at = k / t->width * (AM_MEDIA_RAW_BYTES + t->width) + AM_MEDIA_RAW_BYTES + k % t->width;
    t->pixels[at] = (char)(unsigned char)round;
    return true;
}

static bool store_number(struct v2_parser *v, const struct v2_tensor *t, size_t k, double value)
{
    struct am_columns *c = &v->call->columns;
    size_t column = t->column == SIZE_MAX ? k % t->width : t->column, row = k / t->width;
    if (t->pixels)
        return store_pixel(v, t, k, value);
    if (isinf(value) ||
        (c->columns[column].type == AM_COL_BOOLEAN && value != 0 && value != 1 && !isnan(value)))
        return am_js_fail(&v->js, AM_EINVAL, "input \"%.*s\": element %zu is %s", V2_NAME(t->name),
                          k, isinf(value) ? "infinite" : "no boolean");
    am_columns_numbers(c, column)[row] = value;
    return true;
}

/* One JSON scalar into element k. */
static bool json_element(struct v2_parser *v, const struct v2_tensor *t, size_t k)
{
    struct am_js *js = &v->js;
    struct am_columns *c = &v->call->columns;
    enum am_js_kind kind = am_js_peek(js);
    double value;
    if (k >= t->rows * t->width)
        return am_js_fail(js, AM_EINVAL,
                          "input \"%.*s\" has more than the %zu elements of its shape",
                          V2_NAME(t->name), t->rows * t->width);
    if (!t->pixels &&
        (t->dtype == D_BYTES || kind == AM_JS_NULL || kind == AM_JS_TRUE || kind == AM_JS_FALSE)) {
        size_t column = t->column == SIZE_MAX ? k % t->width : t->column;
        if ((kind == AM_JS_TRUE || kind == AM_JS_FALSE) && t->dtype == D_BOOL) {
            bool truth;
            return am_js_bool(js, &truth) && store_number(v, t, k, truth);
        }
        return am_js_cell(js, c, column, k / t->width, AM_CELL_PLAIN);
    }
    if (kind != AM_JS_NUMBER)
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\": element %zu is no %s", V2_NAME(t->name),
                          k, dtypes[t->dtype].name);
    if (!am_js_number(js, &value))
        return false;
    if (t->dtype <= D_I64 &&
        (value != floor(value) || value < dtypes[t->dtype].min || value > dtypes[t->dtype].max))
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\": element %zu is out of the range of %s",
                          V2_NAME(t->name), k, dtypes[t->dtype].name);
    if (t->dtype == D_F32)
        value = (double)(float)value;
    return store_number(v, t, k, value);
}

/* Flat or nested lists, row-major. */
static bool json_data(struct v2_parser *v, const struct v2_tensor *t)
{
    struct am_js *js = &v->js;
    bool first[AM_LIMIT_TENSOR_RANK + 1];
    unsigned depth = 0;
    size_t k = 0;
    if (!am_js_enter(js, '['))
        return false;
    first[0] = true;
    for (;;) {
        if (!am_js_element(js, &first[depth])) {
            if (js->failed != AM_OK)
                return false;
            if (depth == 0)
                break;
            depth--;
        } else if (am_js_peek(js) == AM_JS_ARRAY) {
            if (++depth >= t->rank)
                return am_js_fail(js, AM_EINVAL,
                                  "input \"%.*s\": data nested deeper than its shape",
                                  V2_NAME(t->name));
            if (!am_js_enter(js, '['))
                return false;
            first[depth] = true;
        } else if (!json_element(v, t, k++)) {
            return false;
        }
    }
    if (k != t->rows * t->width)
        return am_js_fail(js, AM_EINVAL, "input \"%.*s\" has %zu elements, its shape wants %zu",
                          V2_NAME(t->name), k, t->rows * t->width);
    return true;
}

static double half_to_double(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 0 ? ldexp(m, -24) : e == 31 ? (m ? NAN : INFINITY) : ldexp(m + 1024, e - 25);
    return h & 0x8000 ? -v : v;
}

static double load_number(const char *p, enum dtype d)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    float f;
    double v;
    switch (dtypes[d].bytes) {
    case 1:
        memcpy(&u8, p, 1);
        return d == D_I8 ? (double)(int8_t)u8 : (double)u8;
    case 2:
        memcpy(&u16, p, 2);
        if (d == D_F16)
            return half_to_double(u16);
        if (d == D_BF16) {
            u32 = (uint32_t)u16 << 16;
            memcpy(&f, &u32, 4);
            return (double)f;
        }
        return d == D_I16 ? (double)(int16_t)u16 : (double)u16;
    case 4:
        memcpy(&u32, p, 4);
        memcpy(&f, p, 4);
        return d == D_F32 ? (double)f : d == D_I32 ? (double)(int32_t)u32 : (double)u32;
    default:
        memcpy(&u64, p, 8);
        memcpy(&v, p, 8);
        return d == D_F64 ? v : d == D_I64 ? (double)(int64_t)u64 : (double)u64;
    }
}

static bool store_text(struct v2_parser *v, const struct v2_tensor *t, size_t row, struct am_str s)
{
    struct am_columns *c = &v->call->columns;
    if (s.len == 0) {
        am_columns_set_missing(c, t->column, row);
        return true;
    }
    if (!am_col_is_media(c->columns[t->column].type) && !am_utf8_valid(s))
        return am_js_fail(&v->js, AM_EINVAL, "input \"%.*s\": element %zu is no UTF-8",
                          V2_NAME(t->name), row);
    if (c->columns[t->column].type != AM_COL_DATE) {
        am_columns_texts(c, t->column)[row] = s;
        return true;
    }
    return am_date_parse(s, am_columns_dates(c, t->column) + row) ||
           am_js_fail(&v->js, AM_EINVAL, "input \"%.*s\": element %zu is no ISO 8601 date",
                      V2_NAME(t->name), row);
}

static bool binary_texts(struct v2_parser *v, const struct v2_tensor *t, const char *p,
                         const char *end)
{
    for (size_t row = 0; row < t->rows; row++) {
        uint32_t n;
        if (end - p < 4)
            return am_js_fail(&v->js, AM_EINVAL, "unexpected size for input \"%.*s\"",
                              V2_NAME(t->name));
        memcpy(&n, p, 4);
        p += 4;
        if (n > (size_t)(end - p))
            return am_js_fail(&v->js, AM_EINVAL, "unexpected size for input \"%.*s\"",
                              V2_NAME(t->name));
        if (!store_text(v, t, row, (struct am_str){p, n}))
            return false;
        p += n;
    }
    return p == end || am_js_fail(&v->js, AM_EINVAL, "unexpected additional input data in \"%.*s\"",
                                  V2_NAME(t->name));
}

static bool binary_data(struct v2_parser *v, const struct v2_tensor *t)
{
    size_t left = (size_t)(v->binary_end - v->binary), n = t->rows * t->width;
    const char *p = v->binary;
    if (t->binary_size > left)
        return am_js_fail(&v->js, AM_EINVAL,
                          "unexpected size for input \"%.*s\": %llu bytes announced, %zu there",
                          V2_NAME(t->name), (unsigned long long)t->binary_size, left);
    v->binary += t->binary_size;
    if (t->dtype == D_BYTES)
        return binary_texts(v, t, p, v->binary);
    unsigned step = dtypes[t->dtype].bytes;
    if (t->binary_size != (uint64_t)n * step)
        return am_js_fail(&v->js, AM_EINVAL,
                          "unexpected size for input \"%.*s\": %llu bytes, its shape wants %llu",
                          V2_NAME(t->name), (unsigned long long)t->binary_size,
                          (unsigned long long)n * step);
    if (t->pixels && t->dtype == D_U8) {
        for (size_t row = 0; row < t->rows; row++)
            memcpy(t->pixels + row * (AM_MEDIA_RAW_BYTES + t->width) + AM_MEDIA_RAW_BYTES,
                   p + row * t->width, t->width);
        return true;
    }
    for (size_t k = 0; k < n; k++, p += step)
        if (!store_number(v, t, k, load_number(p, t->dtype)))
            return false;
    return true;
}

static bool read_tensor(struct v2_parser *v, struct v2_tensor *t)
{
    if (!settle(v, t) || !check_dtype(v, t) || !claim(v, t))
        return false;
    return true;
}

/* "data": read at once when the rest is known, else remembered and read after the object. */
static bool tensor_data(struct v2_parser *v, struct v2_tensor *t, bool *read)
{
    struct am_js *js = &v->js;
    t->has_data = true;
    if (t->name.ptr && t->datatype.ptr && t->has_shape) {
        *read = true;
        return read_tensor(v, t) && json_data(v, t);
    }
    (void)am_js_peek(js);
    t->data = js->p;
    t->depth = js->depth;
    return am_js_skip(js);
}

static bool tensor_member(struct v2_parser *v, struct v2_tensor *t, struct am_str key, bool *read)
{
    struct am_js *js = &v->js;
    struct v2_parameters p = {0};
    if (am_str_is(key, "name") && !t->name.ptr)
        return am_js_string(js, &t->name);
    if (am_str_is(key, "datatype") && !t->datatype.ptr)
        return am_js_string(js, &t->datatype);
    if (am_str_is(key, "shape") && !t->has_shape)
        return parse_shape(js, t);
    if (am_str_is(key, "data") && !t->has_data)
        return tensor_data(v, t, read);
    if (am_str_is(key, "parameters")) {
        if (!parse_parameters(js, &p))
            return false;
        t->has_binary |= p.has_binary;
        t->binary_size = p.has_binary ? p.binary_size : t->binary_size;
        return true;
    }
    return am_js_fail(js, AM_EINVAL, "an input has an unknown or repeated key \"%.*s\"",
                      V2_NAME(key));
}

static bool parse_tensor(struct v2_parser *v)
{
    struct am_js *js = &v->js;
    struct v2_tensor t = {0};
    struct am_str key;
    bool first = true, read = false;
    if (!am_js_enter(js, '{'))
        return false;
    while (am_js_member(js, &first, &key))
        if (!tensor_member(v, &t, key, &read))
            return false;
    if (js->failed != AM_OK)
        return false;
    if (t.has_data == t.has_binary)
        return am_js_fail(js, AM_EINVAL,
                          "input \"%.*s\" needs either \"data\" or \"binary_data_size\"",
                          V2_NAME(t.name));
    if (read)
        return true;
    if (!read_tensor(v, &t))
        return false;
    if (t.has_binary)
        return binary_data(v, &t);
    char *behind = js->p;
    unsigned depth = js->depth;
    js->p = t.data;
    js->depth = t.depth;
    bool ok = json_data(v, &t);
    if (ok) {
        js->p = behind;
        js->depth = depth;
    }
    return ok;
}

/* ---- wanted outputs ---- */

static bool want_output(struct v2_parser *v, struct am_str name, const struct v2_parameters *p)
{
    struct am_call *call = v->call;
    struct am_wanted w = {.binary = call->binary_default};
    if (!am_output_find(v->info, name, &w.output))
        return am_js_fail(&v->js, AM_EINVAL,
                          "unexpected inference output \"%.*s\" for model \"%.*s\"", V2_NAME(name),
                          AM_FMT(v->info->model));
    for (size_t i = 0; i < call->n_wanted; i++)
        if (call->wanted[i].output == w.output)
            return am_js_fail(&v->js, AM_EINVAL, "output \"%.*s\" is wanted twice", V2_NAME(name));
    if (p->classification && w.output != AM_OUTPUT_PROBABILITIES)
        return am_js_fail(&v->js, AM_EINVAL, "output \"%.*s\" has no classes to rank",
                          V2_NAME(name));
    if (p->classification && v->info->n_classes > V2_MAX_RANKED)
        return am_js_fail(&v->js, AM_EINVAL, "classification needs a model of at most %d classes",
                          V2_MAX_RANKED);
    w.classification = p->classification > v->info->n_classes ? (unsigned)v->info->n_classes
                                                              : (unsigned)p->classification;
    w.binary = p->has_binary_data ? p->binary_data : w.binary;
    w.binary_set = p->has_binary_data;
    call->wanted[call->n_wanted++] = w;
    return true;
}

static bool parse_output(struct v2_parser *v)
{
    struct am_js *js = &v->js;
    struct v2_parameters p = {0};
    struct am_str key, name = {NULL, 0};
    bool first = true;
    if (!am_js_enter(js, '{'))
        return false;
    while (am_js_member(js, &first, &key)) {
        bool ok = am_str_is(key, "name") && !name.ptr ? am_js_string(js, &name)
                  : am_str_is(key, "parameters")      ? parse_parameters(js, &p)
                                                      : am_js_skip(js);
        if (!ok)
            return false;
    }
    if (js->failed != AM_OK)
        return false;
    if (!name.ptr)
        return am_js_fail(js, AM_EINVAL, "an output needs a \"name\"");
    return want_output(v, name, &p);
}

static bool parse_list(struct v2_parser *v, bool (*each)(struct v2_parser *))
{
    bool first = true;
    if (!am_js_enter(&v->js, '['))
        return false;
    while (am_js_element(&v->js, &first))
        if (!each(v))
            return false;
    return v->js.failed == AM_OK;
}

/* ---- the request ---- */

static bool request_member(struct v2_parser *v, struct am_str key)
{
    struct am_js *js = &v->js;
    struct am_call *call = v->call;
    struct v2_parameters p = {0};
    if (am_str_is(key, "inputs") && !v->seen_inputs) {
        v->seen_inputs = true;
        return parse_list(v, parse_tensor);
    }
    if (am_str_is(key, "outputs") && !v->seen_outputs) {
        v->seen_outputs = true;
        return parse_list(v, parse_output);
    }
    if (am_str_is(key, "id") && !call->id.ptr)
        return am_js_string(js, &call->id);
    if (am_str_is(key, "parameters")) {
        if (!parse_parameters(js, &p))
            return false;
        call->binary_default |= p.has_binary_data && p.binary_data;
        uint64_t until = call->rq->start_ns + p.timeout_us * 1000;
        if (p.timeout_us && p.timeout_us < 1000000000 && until < call->deadline_ns)
            call->deadline_ns = until;
        return true;
    }
    if (am_str_is(key, "inputs") || am_str_is(key, "outputs") || am_str_is(key, "id"))
        return am_js_fail(js, AM_EINVAL, "key \"%.*s\" is given twice", V2_NAME(key));
    return am_js_skip(js); /* "model_name" and the like: clients send more than the protocol says */
}

static bool all_given(struct v2_parser *v)
{
    const struct am_columns *c = &v->call->columns;
    if (v->matrix)
        return true;
    for (size_t i = 0; i < c->schema->n; i++)
        if (!c->seen[i])
            return am_js_fail(&v->js, AM_EINVAL,
                              "expected %zu inputs but got %zu: input \"%.*s\" is absent",
                              c->schema->n, v->n_inputs, AM_FMT(c->schema->columns[i].name));
    return true;
}

/* The whole body is the one input's bytes, one row. */
static enum am_rc raw_request(struct v2_parser *v, struct am_err *err)
{
    struct am_call *call = v->call;
    const struct am_schema *s = &v->info->inputs;
    struct v2_tensor t = {.rank = 2,
                          .shape = {1, s->n},
                          .has_shape = true,
                          .name = AM_STR("input"),
                          .datatype = AM_STR("FP64")};
    if (!v->info->all_numbers && s->n != 1)
        return am_fail(err, AM_EINVAL, "a raw request needs a model with one input");
    if (!v->info->all_numbers || s->n == 1) {
        t.name = s->columns[0].name;
        t.datatype = v->info->all_numbers ? AM_STR("FP64") : AM_STR("BYTES");
    }
    t.binary_size = call->rq->body_len;
    call->binary_default = true;
    if (am_media_only(v->info)) { /* the file itself, no length before it */
        AM_TRY(am_columns_reserve(&call->columns, 1, err));
        am_columns_texts(&call->columns, 0)[0] =
            (struct am_str){call->rq->body_len ? call->rq->body : "", call->rq->body_len};
        call->columns.n_rows = 1;
        return AM_OK;
    }
    v->binary = call->rq->body;
    v->binary_end = v->binary + call->rq->body_len;
    if (read_tensor(v, &t))
        (void)binary_data(v, &t);
    return v->js.failed;
}

static void default_outputs(struct am_call *call, const struct am_serve_info *info)
{
    unsigned mask = call->n_wanted ? 0 : am_outputs_default(info);
    for (unsigned o = 0; mask >> o; o++)
        if (mask >> o & 1u)
            call->wanted[call->n_wanted++] = (struct am_wanted){.output = (enum am_output)o};
    for (size_t i = 0; i < call->n_wanted; i++)
        mask |= 1u << call->wanted[i].output;
    am_outputs_want(call, mask);
    for (size_t i = 0; i < call->n_wanted; i++)
        if (!call->wanted[i].binary_set)
            call->wanted[i].binary = call->binary_default;
}

static enum am_rc v2_parse(struct am_call *call, struct am_err *err)
{
    struct am_request *rq = call->rq;
    struct v2_parser v = {.call = call, .info = am_served_info(call->served)};
    uint64_t json = rq->body_len;
    struct am_str key;
    bool first = true;
    AM_TRY(am_columns_begin(&call->columns, &v.info->inputs, v.info->uid, err));
    if (rq->inference_length.ptr && !am_parse_u64(rq->inference_length, rq->body_len, &json))
        return am_fail(err, AM_EINVAL,
                       "Inference-Header-Content-Length \"%.*s\" does not suit a body of %zu bytes",
                       (int)(rq->inference_length.len > 40 ? 40 : rq->inference_length.len),
                       rq->inference_length.ptr, rq->body_len);
    am_js_init(&v.js, rq->body, json, AM_JS_STRICT, err);
    if (rq->inference_length.ptr && json == 0) {
        AM_TRY(raw_request(&v, err));
        default_outputs(call, v.info);
        return AM_OK;
    }
    v.binary = rq->body + json;
    v.binary_end = rq->body + rq->body_len;
    if (am_js_enter(&v.js, '{'))
        while (am_js_member(&v.js, &first, &key))
            if (!request_member(&v, key))
                break;
    (void)am_js_finish(&v.js);
    if (v.js.failed == AM_OK && v.binary != v.binary_end)
        (void)am_js_fail(&v.js, AM_EINVAL, "unexpected additional input data: %zu bytes",
                         (size_t)(v.binary_end - v.binary));
    if (v.js.failed == AM_OK)
        (void)all_given(&v);
    if (v.js.failed == AM_OK)
        default_outputs(call, v.info);
    return v.js.failed;
}

/* ---- the answer ---- */

/* Class indices of one row, the likeliest first (ties: the lower index). */
static size_t best_class(const float *p, size_t n, const bool *used)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        if (!used[i] && (best == SIZE_MAX || p[i] > p[best]))
            best = i;
    return best;
}

/* Texts of a BYTES output, one after the other, through `put`. */
struct v2_texts {
    struct am_buf *b;
    bool binary;
    size_t n;
};

static void put_text(struct v2_texts *x, struct am_str s)
{
    uint32_t n = (uint32_t)s.len;
    if (x->binary) {
        am_buf_add(x->b, &n, 4);
        am_buf_str(x->b, s);
    } else {
        if (x->n)
            am_buf_char(x->b, ',');
        am_json_quote(x->b, s);
    }
    x->n++;
}

static void put_ranked(struct v2_texts *x, struct am_call *call, const struct am_wanted *w)
{
    const struct am_serve_info *info = am_served_info(call->served);
    size_t n = info->n_classes;
    bool used[V2_MAX_RANKED];
    char text[AM_DOUBLE_CHARS + 160];
    for (size_t row = 0; row < call->columns.n_rows; row++) {
        const float *p = call->result.probability + row * n;
        memset(used, 0, sizeof used);
        for (unsigned k = 0; k < w->classification; k++) {
            size_t i = best_class(p, n, used);
            char number[AM_DOUBLE_CHARS];
            used[i] = true;
            am_print_float(p[i], number);
            int len = snprintf(text, sizeof text, "%s:%zu:%.*s", number, i,
                               (int)(info->classes[i].len > 100 ? 100 : info->classes[i].len),
                               info->classes[i].ptr);
            put_text(x, (struct am_str){text, (size_t)len});
        }
    }
}

/* Several labels as one text, "red;round". */
static void put_set(struct v2_texts *x, const struct am_serve_info *info, uint32_t set)
{
    struct am_buf text;
    am_buf_init(&text, (size_t)1 << 20);
    for (size_t k = 0; k < info->n_classes && k < 32; k++)
        if (set >> k & 1) {
            if (text.len)
                am_buf_char(&text, ';');
            am_buf_str(&text, info->classes[k]);
        }
    put_text(x, am_buf_view(&text));
    am_buf_clear(&text);
}

static void put_f32(struct am_buf *b, bool binary, const float *v, size_t n)
{
    if (binary)
        am_buf_add(b, v, n * sizeof *v);
    for (size_t k = 0; !binary && k < n; k++) {
        if (k)
            am_buf_char(b, ',');
        am_print_f32(b, v[k]);
    }
}

static void put_f64(struct am_buf *b, bool binary, const double *v, size_t n)
{
    if (binary)
        am_buf_add(b, v, n * sizeof *v);
    for (size_t k = 0; !binary && k < n; k++) {
        if (k)
            am_buf_char(b, ',');
        am_print_number(b, v[k]);
    }
}

static void put_i32(struct am_buf *b, bool binary, const int32_t *v, size_t n)
{
    if (binary)
        am_buf_add(b, v, n * sizeof *v);
    for (size_t k = 0; !binary && k < n; k++)
        am_buf_printf(b, "%s%d", k ? "," : "", (int)v[k]);
}

static void put_flags(struct am_buf *b, bool binary, const int32_t *v, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (binary) {
            am_buf_char(b, v[k] ? 1 : 0);
            continue;
        }
        if (k)
            am_buf_char(b, ',');
        am_buf_str(b, v[k] ? AM_STR("true") : AM_STR("false"));
    }
}

/* The data of one wanted output: JSON elements or binary bytes. */
static void put_data(struct am_call *call, const struct am_wanted *w, struct am_buf *b)
{
    const struct am_serve_info *info = am_served_info(call->served);
    const struct am_serve_result *r = &call->result;
    size_t n = call->columns.n_rows;
    struct v2_texts x = {.b = b, .binary = w->binary};
    if (w->classification) {
        put_ranked(&x, call, w);
        return;
    }
    switch (w->output) {
    case AM_OUTPUT_LABEL:
        for (size_t row = 0; row < n; row++)
            put_text(&x, r->label[row] < 0 ? AM_STR("") : info->classes[r->label[row]]);
        break;
    case AM_OUTPUT_LABELS:
        for (size_t row = 0; row < n; row++)
            put_set(&x, info, (uint32_t)r->label[row]);
        break;
    case AM_OUTPUT_PROBABILITIES:
        put_f32(b, w->binary, r->probability, n * info->n_classes);
        break;
    case AM_OUTPUT_FLAG:
        put_flags(b, w->binary, r->label, n);
        break;
    case AM_OUTPUT_CLUSTER:
        put_i32(b, w->binary, r->label, n);
        break;
    case AM_OUTPUT_EMBEDDING:
    case AM_OUTPUT_DISTANCES:
    case AM_OUTPUT_MEMBERSHIPS:
        put_f32(b, w->binary, r->embedding, n * info->n_embedding);
        break;
    case AM_OUTPUT_RESTORED:
        put_f64(b, w->binary, r->restored, n * info->n_restored);
        break;
    default:
        put_f64(b, w->binary, r->value, n);
    }
}

static void print_output(struct am_call *call, const struct am_wanted *w, struct am_buf *b,
                         struct am_buf *binary)
{
    struct am_dims d = am_output_dims(am_served_info(call->served), w->output);
    am_buf_str(b, AM_STR("{\"name\":\""));
    am_buf_cstr(b, am_output_name(w->output));
    am_buf_str(b, AM_STR("\",\"datatype\":\""));
    am_buf_cstr(b, w->classification ? "BYTES" : am_output_datatype(w->output));
    am_buf_str(b, AM_STR("\",\"shape\":["));
    am_print_u64(b, call->columns.n_rows);
    for (unsigned i = 0; i < d.rank; i++) {
        am_buf_char(b, ',');
        am_print_u64(b, w->classification ? w->classification : (uint64_t)d.d[i]);
    }
    if (w->binary) {
        size_t before = binary->len;
        put_data(call, w, binary);
        am_buf_str(b, AM_STR("],\"parameters\":{\"binary_data_size\":"));
        am_print_u64(b, binary->len - before);
        am_buf_str(b, AM_STR("}}"));
    } else {
        am_buf_str(b, AM_STR("],\"data\":["));
        put_data(call, w, b);
        am_buf_str(b, AM_STR("]}"));
    }
}

static enum am_rc v2_print(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_buf *b = &call->body, *binary = &call->binary;
    am_buf_reset(b);
    if (binary->max == 0)
        am_buf_init(binary, (size_t)1 << 30);
    am_buf_reset(binary);
    am_buf_str(b, AM_STR("{\"model_name\":\""));
    am_buf_str(b, info->model);
    am_buf_str(b, AM_STR("\",\"model_version\":\""));
    am_buf_str(b, info->version_text);
    am_buf_char(b, '"');
    if (call->id.ptr) {
        am_buf_str(b, AM_STR(",\"id\":"));
        am_json_quote(b, call->id);
    }
    am_buf_str(b, AM_STR(",\"outputs\":["));
    for (size_t i = 0; i < call->n_wanted; i++) {
        if (i)
            am_buf_char(b, ',');
        print_output(call, &call->wanted[i], b, binary);
    }
    am_buf_str(b, AM_STR("]}"));
    if (binary->len) {
        call->type = "application/octet-stream";
        am_call_extra(call, "Inference-Header-Content-Length: %zu\r\n", b->len);
        am_buf_str(b, am_buf_view(binary));
    }
    AM_TRY(am_buf_check(binary, err));
    return am_buf_check(b, err);
}

const struct am_protocol am_protocol_v2 = {"v2", v2_parse, v2_print};
