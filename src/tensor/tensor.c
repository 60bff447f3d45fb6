/* Dimensions and element types: names, sizes, checks. Holds no tensors and no state; any thread. */
#include "tensor/tensor.h"

#include <stdio.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {[AM_F32] = {"f32", 4},    [AM_F64] = {"f64", 8}, [AM_I64] = {"i64", 8},
              [AM_I32] = {"i32", 4},    [AM_U8] = {"u8", 1},   [AM_I8] = {"i8", 1},
              [AM_BOOL8] = {"bool", 1}, [AM_F16] = {"f16", 2}, [AM_BF16] = {"bf16", 2}};
#define N_DTYPES (sizeof dtypes / sizeof dtypes[0])

const char *am_dtype_name(enum am_dtype t)
{
    return (unsigned)t < N_DTYPES ? dtypes[t].name : "unknown";
}

size_t am_dtype_bytes(enum am_dtype t)
{
    return (unsigned)t < N_DTYPES ? dtypes[t].bytes : 0;
}

bool am_dtype_parse(struct am_str s, enum am_dtype *out)
{
    for (unsigned i = 0; i < N_DTYPES; i++)
        if (am_str_is(s, dtypes[i].name)) {
            *out = (enum am_dtype)i;
            return true;
        }
    return false;
}

bool am_dims_eq(const struct am_dims *a, const struct am_dims *b)
{
    if (a->rank != b->rank)
        return false;
    for (unsigned i = 0; i < a->rank; i++)
        if (a->d[i] != b->d[i])
            return false;
    return true;
}

enum am_rc am_dims_check(const struct am_dims *a, const char *what, struct am_err *err)
{
    if (a->rank < 1 || a->rank > AM_LIMIT_TENSOR_RANK)
        return am_fail(err, AM_EINVAL, "tensor \"%s\" has %u dimensions, 1 to %d allowed", what,
                       a->rank, AM_LIMIT_TENSOR_RANK);
    uint64_t n = 1;
    for (unsigned i = 0; i < a->rank; i++) {
        int64_t d = i == 0 && a->d[i] < 0 && a->d[i] > -INT64_MAX ? -a->d[i] : a->d[i];
        if (d < 1)
            return am_fail(err, AM_EINVAL, "tensor \"%s\": dimension %u is %lld, at least 1 needed",
                           what, i, (long long)d);
        if ((uint64_t)d > AM_LIMIT_TENSOR_BYTES / sizeof(float) / n)
            return am_fail(err, AM_ELIMIT, "tensor \"%s\" is larger than %zu bytes", what,
                           AM_LIMIT_TENSOR_BYTES);
        n *= (uint64_t)d;
    }
    return AM_OK;
}

size_t am_dims_count(const struct am_dims *a)
{
    size_t n = 1;
    for (unsigned i = 0; i < a->rank; i++)
        n *= a->d[i] < 0 ? 1 : (size_t)a->d[i];
    return n;
}

size_t am_dims_cols(const struct am_dims *a)
{
    int64_t d = a->rank ? a->d[a->rank - 1] : 1;
    return d < 0 ? 1 : (size_t)d;
}

size_t am_dims_rows(const struct am_dims *a)
{
    return am_dims_count(a) / am_dims_cols(a);
}

const char *am_dims_print(const struct am_dims *a, char out[AM_DIMS_CHARS])
{
    size_t at = 0;
    out[at++] = '[';
    for (unsigned i = 0; i < a->rank && i < AM_LIMIT_TENSOR_RANK; i++) {
        if (i)
            out[at++] = ',';
        if (a->d[i] == AM_DIM_BATCH)
            out[at++] = 'B';
        else if (a->d[i] < 0)
            at += (size_t)snprintf(out + at, AM_DIMS_CHARS - at, "%lldB", -(long long)a->d[i]);
        else
            at += (size_t)snprintf(out + at, AM_DIMS_CHARS - at, "%lld", (long long)a->d[i]);
    }
    out[at++] = ']';
    out[at] = 0;
    return out;
}
