/* .npy files: one array; versions 1.0 and 2.0, little-endian f32, f64 and i64, C order.
 *
 *   offset  size    what
 *   0       6       "\x93NUMPY"
 *   6       2       version: 1 0, or 2 0
 *   8       2 or 4  n, little-endian: bytes of the header
 *   10/12   n       Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), },
 * spaces, newline; the data starts at a multiple of 64 (written), of anything (read)
 *   ..      ..      the elements, nothing behind them
 *
 * Nothing is evaluated: the three keys are scanned, each exactly once, in any order. Pickled
 * objects, Fortran order, big-endian and structured types are refused. Bytes are borrowed. Any
 * thread. */
#ifndef AM_TENSOR_NPY_H
#define AM_TENSOR_NPY_H

#include "base/str.h"
#include "tensor/tensor.h"

struct am_npy {
    enum am_dtype dtype; /* AM_F32, AM_F64, AM_I64 */
    unsigned rank;       /* 0..AM_LIMIT_TENSOR_RANK */
    uint64_t dims[AM_LIMIT_TENSOR_RANK];
    const void *data; /* borrowed from the file; any alignment */
    size_t n_bytes;
};

/* AM_ECORRUPT, AM_ELIMIT, AM_EUNSUPPORTED. */
enum am_rc am_npy_parse(struct am_str file, struct am_npy *out, struct am_err *err) AM_MUST_CHECK;
/* Appends to out, which must be empty; version 1.0. AM_EINVAL when n_bytes is not what the shape
 * says. */
enum am_rc am_npy_write(const struct am_npy *array, struct am_buf *out,
                        struct am_err *err) AM_MUST_CHECK;

#endif
