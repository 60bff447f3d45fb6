/* safetensors files: a table of named tensors and their bytes, read strictly and written aligned.
 *
 *   offset  size  what
 *   0       8     n, little-endian: bytes of the header, at most AM_LIMIT_MODEL_HEADER_BYTES
 *   8       n     JSON, first byte '{', may end in spaces: {"NAME": {"dtype": "F32", "shape": [..],
 *                 "data_offsets": [begin, end]}, .., "__metadata__": {"key": "text", ..}}
 *   8 + n   ..    the tensors' bytes: no hole, no overlap, nothing behind the last one
 *
 * Our writer pads the header with spaces so that the data starts at a multiple of 64 and puts U8
 * tensors named __pad.0, __pad.1, .. (zero bytes) between the others, so that each begins at a
 * multiple of 64. The reader checks and hides them. Not a container: bytes are borrowed. Any
 * thread. */
#ifndef AM_TENSOR_SAFETENSORS_H
#define AM_TENSOR_SAFETENSORS_H

#include "base/tree.h"
#include "tensor/tensor.h"

#define AM_SAFETENSORS_ALIGN 64

struct am_st_tensor {
    struct am_str name; /* reader: lives in the arena */
    enum am_dtype dtype;
    unsigned rank; /* 0..AM_LIMIT_TENSOR_RANK; 0 = a single number */
    uint64_t dims[AM_LIMIT_TENSOR_RANK];
    const void *data; /* borrowed; any alignment when the file is not ours */
    size_t n_bytes;
};

enum am_st_policy {
    AM_ST_FINITE, /* NaN or infinity in a float tensor is AM_ECORRUPT, naming tensor and element */
    AM_ST_ANY_FLOAT, /* floats are not looked at */
};

struct am_safetensors {
    const struct am_st_tensor *tensors; /* [n], in order of their bytes, without padding */
    size_t n;
    const struct am_node *metadata; /* map of texts, or NULL */
};

/* Borrows file for as long as out is used; the table lives in a. AM_ECORRUPT with what and where;
 * AM_ELIMIT over a limit; AM_EUNSUPPORTED for a dtype that tensor.h has not. */
enum am_rc am_safetensors_parse(struct am_arena *a, struct am_str file, enum am_st_policy policy,
                                struct am_safetensors *out, struct am_err *err) AM_MUST_CHECK;
/* The tensor of that name, or NULL. */
const struct am_st_tensor *am_safetensors_find(const struct am_safetensors *s, struct am_str name);

/* Appends a whole file to out, which must be empty. Names: unique, not starting with "__".
 * metadata: map of texts or NULL. AM_EINVAL: bad name, shape and n_bytes that differ, non-finite
 * where the policy refuses. */
enum am_rc am_safetensors_write(const struct am_st_tensor *tensors, size_t n,
                                const struct am_node *metadata, enum am_st_policy policy,
                                struct am_buf *out, struct am_err *err) AM_MUST_CHECK;

#endif
