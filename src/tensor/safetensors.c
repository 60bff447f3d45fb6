/* safetensors files, read strictly and written aligned (format table in safetensors.h).
 *
 * Parsing goes in phases: frame, JSON, one entry at a time, order and gaps, then values. Nothing is
 * allocated by a size that the file states before that size was compared with the bytes that are
 * there. Any thread. */
#include "tensor/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files are little-endian, as is this code");

#define NAME_MAX_BYTES ((size_t)4 * AM_LIMIT_NAME_BYTES)
#define PAD_PREFIX "__pad."

static const struct {
    const char *text;
    enum am_dtype dtype;
} dtypes[] = {
    {"F32", AM_F32}, {"F64", AM_F64},    {"I64", AM_I64}, {"I32", AM_I32},   {"U8", AM_U8},
    {"I8", AM_I8},   {"BOOL", AM_BOOL8}, {"F16", AM_F16}, {"BF16", AM_BF16},
};

static bool dtype_find(struct am_str text, enum am_dtype *out)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (am_str_is(text, dtypes[i].text)) {
            *out = dtypes[i].dtype;
            return true;
        }
    return false;
}

static const char *dtype_text(enum am_dtype t)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == t)
            return dtypes[i].text;
    return NULL;
}

/* Bytes of a shape; false when it wraps or is over the limit. A 0 may not hide a huge dimension. */
static bool shape_bytes(const uint64_t *dims, unsigned rank, size_t elem, size_t *out)
{
    size_t n = elem;
    for (unsigned i = 0; i < rank; i++)
        if (dims[i] > AM_LIMIT_TENSOR_BYTES || !am_mul_size(&n, n, (size_t)dims[i]))
            return false;
    if (n > AM_LIMIT_TENSOR_BYTES)
        return false;
    *out = n;
    return true;
}

static bool is_pad(struct am_str name)
{
    return am_str_starts(name, AM_STR(PAD_PREFIX));
}

/* ---- values ---- */

static uint64_t load_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* Exponent bits of a float type: all of them set means NaN or infinity. */
static uint64_t exponent_mask(enum am_dtype t)
{
    switch (t) {
    case AM_F32:
        return UINT64_C(0x7f800000);
    case AM_F64:
        return UINT64_C(0x7ff0000000000000);
    case AM_F16:
        return UINT64_C(0x7c00);
    case AM_BF16:
        return UINT64_C(0x7f80);
    default:
        return 0;
    }
}

static enum am_rc check_finite(const struct am_st_tensor *t, enum am_rc rc, struct am_err *err)
{
    uint64_t mask = exponent_mask(t->dtype);
    size_t elem = am_dtype_bytes(t->dtype);
    const unsigned char *p = t->data;
    if (mask == 0)
        return AM_OK;
    for (size_t i = 0; i < t->n_bytes; i += elem)
        if ((load_le(p + i, elem) & mask) == mask)
            return am_fail(err, rc, "tensor \"%.*s\": element %zu is not a finite number",
                           AM_FMT(t->name), i / elem);
    return AM_OK;
}

static enum am_rc check_small(const struct am_st_tensor *t, unsigned char max, struct am_err *err)
{
    const unsigned char *p = t->data;
    for (size_t i = 0; i < t->n_bytes; i++)
        if (p[i] > max)
            return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\": byte %zu is %u, at most %u allowed",
                           AM_FMT(t->name), i, p[i], max);
    return AM_OK;
}

/* ---- reading ---- */

static enum am_rc read_frame(struct am_str file, struct am_str *header, struct am_str *data,
                             struct am_err *err)
{
    uint64_t n;
    if (file.len < 8)
        return am_fail(err, AM_ECORRUPT, "safetensors: %zu bytes, a header needs at least 8",
                       file.len);
    n = load_le((const unsigned char *)file.ptr, 8);
    if (n > AM_LIMIT_MODEL_HEADER_BYTES)
        return am_fail(err, AM_ELIMIT, "safetensors: header of %llu bytes, at most %zu allowed",
                       (unsigned long long)n, AM_LIMIT_MODEL_HEADER_BYTES);
    if (n > file.len - 8)
        return am_fail(err, AM_ECORRUPT, "safetensors: header of %llu bytes, but %zu are left",
                       (unsigned long long)n, file.len - 8);
    *header = (struct am_str){file.ptr + 8, (size_t)n};
    *data = (struct am_str){file.ptr + 8 + n, file.len - 8 - (size_t)n};
    if (n == 0 || header->ptr[0] != '{')
        return am_fail(err, AM_ECORRUPT, "safetensors: the header does not begin with \"{\"");
    return AM_OK;
}

static enum am_rc read_shape(const struct am_node *shape, struct am_st_tensor *t,
                             struct am_err *err)
{
    if (!shape || shape->kind != AM_NODE_LIST)
        return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\": shape is no list", AM_FMT(t->name));
    if (shape->list.n > AM_LIMIT_TENSOR_RANK)
        return am_fail(err, AM_ELIMIT, "tensor \"%.*s\" has %zu dims, at most %d allowed",
                       AM_FMT(t->name), shape->list.n, AM_LIMIT_TENSOR_RANK);
    t->rank = (unsigned)shape->list.n;
    for (unsigned i = 0; i < t->rank; i++) {
        const struct am_node *d = shape->list.items[i];
        if (d->kind != AM_NODE_INT || d->integer < 0)
            return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\": dim %u is no size", AM_FMT(t->name),
                           i);
        t->dims[i] = (uint64_t)d->integer;
    }
    return AM_OK;
}

static enum am_rc read_span(const struct am_node *offsets, struct am_str data,
                            struct am_st_tensor *t, struct am_err *err)
{
    int64_t begin, end;
    size_t want;
    if (!offsets || offsets->kind != AM_NODE_LIST || offsets->list.n != 2 ||
        offsets->list.items[0]->kind != AM_NODE_INT || offsets->list.items[1]->kind != AM_NODE_INT)
        return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\": data_offsets are not two numbers",
                       AM_FMT(t->name));
    begin = offsets->list.items[0]->integer;
    end = offsets->list.items[1]->integer;
    if (begin < 0 || end < begin || (uint64_t)end > data.len)
        return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\": bytes %lld to %lld of %zu",
                       AM_FMT(t->name), (long long)begin, (long long)end, data.len);
    if (!shape_bytes(t->dims, t->rank, am_dtype_bytes(t->dtype), &want))
        return am_fail(err, AM_ELIMIT, "tensor \"%.*s\": its shape is over %zu bytes",
                       AM_FMT(t->name), AM_LIMIT_TENSOR_BYTES);
    t->n_bytes = (size_t)(end - begin);
    if (t->n_bytes != want)
        return am_fail(err, AM_ECORRUPT,
                       "tensor \"%.*s\": its shape needs %zu bytes, data_offsets give %zu",
                       AM_FMT(t->name), want, t->n_bytes);
    t->data = data.ptr + begin;
    return AM_OK;
}

static enum am_rc read_tensor(const struct am_pair *pair, struct am_str data,
                              struct am_st_tensor *t, struct am_err *err)
{
    const struct am_node *v = pair->value;
    struct am_str dtype;
    t->name = pair->key;
    if (t->name.len == 0 || t->name.len > NAME_MAX_BYTES || memchr(t->name.ptr, 0, t->name.len))
        return am_fail(err, AM_ECORRUPT,
                       "safetensors: a tensor name of %zu bytes, 1 to %zu without NUL allowed",
                       t->name.len, NAME_MAX_BYTES);
    if (v->kind != AM_NODE_MAP || v->map.n != 3 || !am_node_as_str(am_node_get(v, "dtype"), &dtype))
        return am_fail(err, AM_ECORRUPT,
                       "tensor \"%.*s\": needs dtype, shape and data_offsets only",
                       AM_FMT(t->name));
    if (!dtype_find(dtype, &t->dtype))
        return am_fail(err, AM_EUNSUPPORTED, "tensor \"%.*s\": dtype \"%.*s\" is not supported",
                       AM_FMT(t->name), AM_FMT(dtype));
    AM_TRY(read_shape(am_node_get(v, "shape"), t, err));
    AM_TRY(read_span(am_node_get(v, "data_offsets"), data, t, err));
    if (t->dtype == AM_BOOL8)
        return check_small(t, 1, err);
    if (!is_pad(t->name))
        return AM_OK;
    if (t->dtype != AM_U8 || t->rank != 1)
        return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\": padding is U8 with one dim",
                       AM_FMT(t->name));
    return check_small(t, 0, err);
}

static enum am_rc read_metadata(const struct am_node *m, struct am_err *err)
{
    if (m->kind != AM_NODE_MAP)
        return am_fail(err, AM_ECORRUPT, "safetensors: __metadata__ is no map");
    for (size_t i = 0; i < m->map.n; i++)
        if (m->map.pairs[i].value->kind != AM_NODE_TEXT)
            return am_fail(err, AM_ECORRUPT, "safetensors: __metadata__ \"%.*s\" is no text",
                           AM_FMT(m->map.pairs[i].key));
    return AM_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct am_st_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* No hole, no overlap, nothing behind: each begins where the one before ends. */
static enum am_rc check_cover(const struct am_st_tensor *t, size_t n, struct am_str data,
                              struct am_err *err)
{
    const char *at = data.ptr;
    for (size_t i = 0; i < n; i++) {
        if (t[i].data != at)
            return am_fail(err, AM_ECORRUPT,
                           "tensor \"%.*s\" begins at byte %zu, the one before ends at %zu",
                           AM_FMT(t[i].name), (size_t)((const char *)t[i].data - data.ptr),
                           (size_t)(at - data.ptr));
        at += t[i].n_bytes;
    }
    if ((size_t)(at - data.ptr) != data.len)
        return am_fail(err, AM_ECORRUPT, "safetensors: %zu bytes behind the last tensor",
                       data.len - (size_t)(at - data.ptr));
    return AM_OK;
}

/* Nobody typed the header: its syntax errors are corruption. */
static enum am_rc parse_json(struct am_arena *a, struct am_str header, struct am_node **root,
                             struct am_err *err)
{
    enum am_rc rc = am_json_parse(a, header, "safetensors header", root, err);
    if (rc != AM_EINVAL)
        return rc;
    if (err)
        err->rc = AM_ECORRUPT;
    return AM_ECORRUPT;
}

enum am_rc am_safetensors_parse(struct am_arena *a, struct am_str file, enum am_st_policy policy,
                                struct am_safetensors *out, struct am_err *err)
{
    struct am_str header = {0}, data = {0};
    struct am_node *root;
    struct am_st_tensor *t;
    const struct am_node *metadata = NULL;
    size_t n = 0, kept = 0;
    AM_TRY(read_frame(file, &header, &data, err));
    AM_TRY(parse_json(a, header, &root, err));
    if (root->kind != AM_NODE_MAP)
        return am_fail(err, AM_ECORRUPT, "safetensors: the header is no map");
    t = am_arena_array(a, root->map.n ? root->map.n : 1, sizeof *t);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < root->map.n; i++) {
        const struct am_pair *pair = &root->map.pairs[i];
        if (am_str_is(pair->key, "__metadata__")) {
            metadata = pair->value;
            AM_TRY(read_metadata(metadata, err));
        } else {
            AM_TRY(read_tensor(pair, data, &t[n++], err));
        }
    }
    qsort(t, n, sizeof *t, by_place);
    AM_TRY(check_cover(t, n, data, err));
    for (size_t i = 0; i < n; i++)
        if (!is_pad(t[i].name))
            t[kept++] = t[i];
    for (size_t i = 0; policy == AM_ST_FINITE && i < kept; i++)
        AM_TRY(check_finite(&t[i], AM_ECORRUPT, err));
    *out = (struct am_safetensors){t, kept, metadata};
    return AM_OK;
}

const struct am_st_tensor *am_safetensors_find(const struct am_safetensors *s, struct am_str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (am_str_eq(s->tensors[i].name, name))
            return &s->tensors[i];
    return NULL;
}

/* ---- writing ---- */

static enum am_rc check_writable(const struct am_st_tensor *t, enum am_st_policy policy,
                                 struct am_err *err)
{
    size_t want;
    if (t->name.len == 0 || t->name.len > NAME_MAX_BYTES || am_str_starts(t->name, AM_STR("__")) ||
        memchr(t->name.ptr, 0, t->name.len) || !am_utf8_valid(t->name))
        return am_fail(err, AM_EINVAL, "tensor name \"%.*s\" cannot be stored", AM_FMT(t->name));
    if (!dtype_text(t->dtype) || t->rank > AM_LIMIT_TENSOR_RANK)
        return am_fail(err, AM_EINVAL, "tensor \"%.*s\": unknown dtype or %u dims", AM_FMT(t->name),
                       t->rank);
    if (!shape_bytes(t->dims, t->rank, am_dtype_bytes(t->dtype), &want) || want != t->n_bytes)
        return am_fail(err, AM_EINVAL, "tensor \"%.*s\": its shape does not make %zu bytes",
                       AM_FMT(t->name), t->n_bytes);
    return policy == AM_ST_FINITE ? check_finite(t, AM_EINVAL, err) : AM_OK;
}

static enum am_rc check_names(const struct am_st_tensor *tensors, size_t n, struct am_err *err)
{
    struct am_map names;
    enum am_rc rc = AM_OK;
    am_map_init(&names);
    for (size_t i = 0; i < n; i++) {
        if (am_map_get(&names, tensors[i].name)) {
            rc = am_fail(err, AM_EINVAL, "tensor \"%.*s\" is given twice", AM_FMT(tensors[i].name));
            goto out;
        }
        AM_GO(rc, am_map_put(&names, tensors[i].name, i, err));
    }
out:
    am_map_clear(&names);
    return rc;
}

static void put_entry(struct am_buf *h, struct am_str name, const char *dtype, const uint64_t *dims,
                      unsigned rank, size_t begin, size_t end)
{
    am_buf_char(h, h->len > 1 ? ',' : ' ');
    am_json_quote(h, name);
    am_buf_printf(h, ":{\"dtype\":\"%s\",\"shape\":[", dtype);
    for (unsigned i = 0; i < rank; i++)
        am_buf_printf(h, "%s%llu", i ? "," : "", (unsigned long long)dims[i]);
    am_buf_printf(h, "],\"data_offsets\":[%zu,%zu]}", begin, end);
}

static size_t pad_to(size_t at)
{
    return (AM_SAFETENSORS_ALIGN - at % AM_SAFETENSORS_ALIGN) % AM_SAFETENSORS_ALIGN;
}

static enum am_rc put_header(const struct am_st_tensor *tensors, size_t n,
                             const struct am_node *metadata, struct am_buf *h, struct am_err *err)
{
    size_t at = 0, n_pads = 0;
    am_buf_char(h, '{');
    if (metadata) {
        am_buf_cstr(h, " \"__metadata__\":");
        am_node_to_json(metadata, AM_JSON_COMPACT, h);
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t pad = pad_to(at);
        if (pad) {
            char name[40];
            int len = snprintf(name, sizeof name, PAD_PREFIX "%zu", n_pads++);
            put_entry(h, (struct am_str){name, (size_t)len}, "U8", &pad, 1, at, at + (size_t)pad);
            at += (size_t)pad;
        }
        put_entry(h, tensors[i].name, dtype_text(tensors[i].dtype), tensors[i].dims,
                  tensors[i].rank, at, at + tensors[i].n_bytes);
        if (!am_add_size(&at, at, tensors[i].n_bytes))
            return am_fail(err, AM_ELIMIT, "tensors together are over the address space");
    }
    am_buf_char(h, '}');
    while (!h->failed && (8 + h->len) % AM_SAFETENSORS_ALIGN)
        am_buf_char(h, ' ');
    return am_buf_check(h, err);
}

enum am_rc am_safetensors_write(const struct am_st_tensor *tensors, size_t n,
                                const struct am_node *metadata, enum am_st_policy policy,
                                struct am_buf *out, struct am_err *err)
{
    static const char zeros[AM_SAFETENSORS_ALIGN];
    struct am_buf header;
    uint64_t n_header;
    enum am_rc rc;
    am_buf_init(&header, AM_LIMIT_MODEL_HEADER_BYTES);
    for (size_t i = 0; i < n; i++)
        AM_GO(rc, check_writable(&tensors[i], policy, err));
    if (metadata)
        AM_GO(rc, read_metadata(metadata, err));
    AM_GO(rc, check_names(tensors, n, err));
    AM_GO(rc, put_header(tensors, n, metadata, &header, err));
    n_header = header.len;
    am_buf_add(out, &n_header, sizeof n_header);
    am_buf_add(out, header.ptr, header.len);
    for (size_t i = 0; i < n; i++) {
        am_buf_add(out, zeros,
                   pad_to(out->len)); /* the data begins aligned, so file offsets serve */
        am_buf_add(out, tensors[i].data, tensors[i].n_bytes);
    }
    rc = am_buf_check(out, err);
out:
    am_buf_clear(&header);
    return rc;
}
