/* .npy files (format table in npy.h): a scanner of the one Python literal that the format allows,
 * and a writer that gives numpy's own bytes.
 *
 * Grammar read: '{' item (',' item)* ','? '}' white space; item = quoted key ':' value, where a
 * value is a quoted text, True, False or a tuple of numbers. Any thread. */
#include "tensor/npy.h"

#include "base/alloc.h"
#include "base/num.h"

#define MAGIC "\x93NUMPY"
#define HEADER_MAX_BYTES 65535

static const struct {
    const char *text;
    enum am_dtype dtype;
} descrs[] = {{"<f4", AM_F32}, {"<f8", AM_F64}, {"<i8", AM_I64}};

struct scan {
    const char *p, *end;
};

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static bool take(struct scan *s, char c)
{
    skip_space(s);
    if (s->p >= s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    skip_space(s);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool take_quoted(struct scan *s, struct am_str *out)
{
    char quote;
    const char *e;
    skip_space(s);
    if (s->p >= s->end || (*s->p != '\'' && *s->p != '"'))
        return false;
    quote = *s->p++;
    e = memchr(s->p, quote, (size_t)(s->end - s->p));
    if (!e || memchr(s->p, '\\', (size_t)(e - s->p)))
        return false;
    *out = (struct am_str){s->p, (size_t)(e - s->p)};
    s->p = e + 1;
    return true;
}

static bool take_size(struct scan *s, uint64_t *out)
{
    const char *b;
    skip_space(s);
    for (b = s->p; s->p < s->end && *s->p >= '0' && *s->p <= '9';)
        s->p++;
    return am_parse_u64((struct am_str){b, (size_t)(s->p - b)}, INT64_MAX, out);
}

static enum am_rc read_shape(struct scan *s, struct am_npy *out, struct am_err *err)
{
    bool comma = true;
    if (!take(s, '('))
        return am_fail(err, AM_ECORRUPT, "npy: shape is no tuple");
    out->rank = 0;
    while (!take(s, ')')) {
        if (!comma)
            return am_fail(err, AM_ECORRUPT, "npy: a comma is missing in the shape");
        if (out->rank == AM_LIMIT_TENSOR_RANK)
            return am_fail(err, AM_ELIMIT, "npy: more than %d dims", AM_LIMIT_TENSOR_RANK);
        if (!take_size(s, &out->dims[out->rank]))
            return am_fail(err, AM_ECORRUPT, "npy: dim %u is no size", out->rank);
        out->rank++;
        comma = take(s, ',');
    }
    if (out->rank == 1 && !comma) /* (3) is a number in Python, not a tuple */
        return am_fail(err, AM_ECORRUPT, "npy: shape is no tuple");
    return AM_OK;
}

static enum am_rc read_descr(struct scan *s, struct am_npy *out, struct am_err *err)
{
    struct am_str text;
    if (take(s, '['))
        return am_fail(err, AM_EUNSUPPORTED, "npy: structured types are not supported");
    if (!take_quoted(s, &text))
        return am_fail(err, AM_ECORRUPT, "npy: descr is no text");
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (am_str_is(text, descrs[i].text)) {
            out->dtype = descrs[i].dtype;
            return AM_OK;
        }
    return am_fail(err, AM_EUNSUPPORTED, "npy: type \"%.*s\" is not one of <f4, <f8, <i8",
                   AM_FMT(text));
}

static enum am_rc read_order(struct scan *s, struct am_err *err)
{
    if (take_word(s, "False"))
        return AM_OK;
    if (take_word(s, "True"))
        return am_fail(err, AM_EUNSUPPORTED, "npy: Fortran order is not supported");
    return am_fail(err, AM_ECORRUPT, "npy: fortran_order is neither True nor False");
}

static enum am_rc read_header(struct am_str header, struct am_npy *out, struct am_err *err)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    struct scan s = {header.ptr, header.ptr + header.len};
    unsigned seen = 0, key;
    bool comma = true;
    if (!take(&s, '{'))
        return am_fail(err, AM_ECORRUPT, "npy: the header is no Python map");
    while (!take(&s, '}')) {
        struct am_str name;
        if (!comma || !take_quoted(&s, &name) || !take(&s, ':'))
            return am_fail(err, AM_ECORRUPT, "npy: the header is no Python map of three keys");
        key = am_str_is(name, "descr")           ? DESCR
              : am_str_is(name, "fortran_order") ? ORDER
              : am_str_is(name, "shape")         ? SHAPE
                                                 : 0;
        if (key == 0 || (seen & key))
            return am_fail(err, AM_ECORRUPT, "npy: key \"%.*s\" is unknown or given twice",
                           AM_FMT(name));
        seen |= key;
        AM_TRY(key == DESCR   ? read_descr(&s, out, err)
               : key == ORDER ? read_order(&s, err)
                              : read_shape(&s, out, err));
        comma = take(&s, ',');
    }
    skip_space(&s);
    if (seen != ALL || s.p != s.end)
        return am_fail(err, AM_ECORRUPT, "npy: a key is missing, or bytes follow the header's map");
    return AM_OK;
}

static bool array_bytes(const struct am_npy *a, size_t *out)
{
    size_t n = am_dtype_bytes(a->dtype);
    for (unsigned i = 0; i < a->rank; i++)
        if (a->dims[i] > AM_LIMIT_TENSOR_BYTES || !am_mul_size(&n, n, (size_t)a->dims[i]))
            return false;
    *out = n;
    return n <= AM_LIMIT_TENSOR_BYTES;
}

enum am_rc am_npy_parse(struct am_str file, struct am_npy *out, struct am_err *err)
{
    const unsigned char *p = (const unsigned char *)file.ptr;
    struct am_npy array;
    size_t n_header, at, want;
    memset(&array, 0, sizeof array);
    if (file.len < 10 || memcmp(p, MAGIC, 6) != 0)
        return am_fail(err, AM_ECORRUPT, "npy: no \"\\x93NUMPY\" at the start");
    if ((p[6] != 1 && p[6] != 2) || p[7] != 0)
        return am_fail(err, AM_EUNSUPPORTED, "npy: version %u.%u, only 1.0 and 2.0 are supported",
                       p[6], p[7]);
    at = p[6] == 1 ? 10 : 12;
    if (file.len < at)
        return am_fail(err, AM_ECORRUPT, "npy: the file ends in its header");
    n_header = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] == 2)
        n_header |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (n_header > HEADER_MAX_BYTES)
        return am_fail(err, AM_ELIMIT, "npy: header of %zu bytes, at most %d allowed", n_header,
                       HEADER_MAX_BYTES);
    if (n_header > file.len - at)
        return am_fail(err, AM_ECORRUPT, "npy: the file ends in its header");
    AM_TRY(read_header((struct am_str){file.ptr + at, n_header}, &array, err));
    at += n_header;
    if (!array_bytes(&array, &want))
        return am_fail(err, AM_ELIMIT, "npy: the shape is over %zu bytes", AM_LIMIT_TENSOR_BYTES);
    if (want != file.len - at)
        return am_fail(err, AM_ECORRUPT, "npy: the shape needs %zu bytes, %zu follow the header",
                       want, file.len - at);
    array.data = file.ptr + at;
    array.n_bytes = want;
    *out = array;
    return AM_OK;
}

enum am_rc am_npy_write(const struct am_npy *array, struct am_buf *out, struct am_err *err)
{
    const char *descr = NULL;
    size_t want, n_header;
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (descrs[i].dtype == array->dtype)
            descr = descrs[i].text;
    if (!descr)
        return am_fail(err, AM_EINVAL, "npy: type %s cannot be written",
                       am_dtype_name(array->dtype));
    if (array->rank > AM_LIMIT_TENSOR_RANK || !array_bytes(array, &want) || want != array->n_bytes)
        return am_fail(err, AM_EINVAL, "npy: the shape does not make %zu bytes", array->n_bytes);
    am_buf_add(out, MAGIC "\x01\x00\x00\x00", 10); /* the length follows below */
    am_buf_printf(out, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (unsigned i = 0; i < array->rank; i++)
        am_buf_printf(out, "%s%llu", i ? ", " : "", (unsigned long long)array->dims[i]);
    am_buf_cstr(out, array->rank == 1 ? ",), }" : "), }");
    while (!out->failed && (out->len + 1) % 64)
        am_buf_char(out, ' ');
    am_buf_char(out, '\n');
    AM_TRY(am_buf_check(out, err));
    n_header = out->len - 10; /* below 1000: rank is limited */
    out->ptr[8] = (char)(n_header & 255);
    out->ptr[9] = (char)(n_header >> 8);
    am_buf_add(out, array->data, array->n_bytes);
    return am_buf_check(out, err);
}
