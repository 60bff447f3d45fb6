/* Dimensions and element types of tensors: plain data, no memory.
 *
 * Not a container: who holds elements (a parameter block, a session's arena, a request) says so
 * itself. A tensor is row-major and dense; engines see it as a matrix [rows, cols] whose cols is
 * the last dimension. The first dimension may be AM_DIM_BATCH, known only at run time. Any thread.
 */
#ifndef AM_TENSOR_TENSOR_H
#define AM_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

enum am_dtype { AM_F32, AM_F64, AM_I64, AM_I32, AM_U8, AM_I8, AM_BOOL8, AM_F16, AM_BF16 };

const char *am_dtype_name(enum am_dtype t); /* "f32"; static */
size_t am_dtype_bytes(enum am_dtype t);
bool am_dtype_parse(struct am_str s, enum am_dtype *out);

/* Only as the first dimension: -k is k rows for each row of the batch (the frames of a video as
 * rows of their own, nn/layers_shape.h). */
#define AM_DIM_BATCH (-1)

struct am_dims {
    unsigned rank; /* 1..AM_LIMIT_TENSOR_RANK */
    int64_t d[AM_LIMIT_TENSOR_RANK];
};

static inline struct am_dims am_dims1(int64_t a)
{
    return (struct am_dims){1, {a}};
}
static inline struct am_dims am_dims2(int64_t a, int64_t b)
{
    return (struct am_dims){2, {a, b}};
}

bool am_dims_eq(const struct am_dims *a, const struct am_dims *b);
static inline bool am_dims_batched(const struct am_dims *a)
{
    return a->rank > 0 && a->d[0] < 0;
}
/* Rows for each row of the batch: 1 unless frames are split; 1 without a batch. */
static inline size_t am_dims_fold(const struct am_dims *a)
{
    return am_dims_batched(a) ? (size_t)(-a->d[0]) : 1;
}
/* Rank, each dimension >= 1 (or the batch), product * 4 within AM_LIMIT_TENSOR_BYTES; `what` names
 * the tensor in the error. */
enum am_rc am_dims_check(const struct am_dims *a, const char *what,
                         struct am_err *err) AM_MUST_CHECK;
/* Elements, with the batch (all of the first dimension) counted as one row; only for checked
 * dimensions. */
size_t am_dims_count(const struct am_dims *a);
size_t am_dims_cols(const struct am_dims *a); /* the last dimension; 1 when that is the batch */
size_t am_dims_rows(const struct am_dims *a); /* count / cols */

#define AM_DIMS_CHARS 192 /* 8 numbers of 20 characters, commas, brackets */
/* "[B,30]", "[8B,30]" into out; returns out. */
const char *am_dims_print(const struct am_dims *a, char out[AM_DIMS_CHARS]);

#endif
