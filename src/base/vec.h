/* The one typed vector: `AM_VEC(int) v = {0}; if (!am_vec_push(&v, 3)) ...; am_vec_clear(&v);`
 *
 * Owns its memory, not what the elements point to. One thread at a time. */
#ifndef AM_BASE_VEC_H
#define AM_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

#define AM_VEC(type)                                                                               \
    struct {                                                                                       \
        type *ptr;                                                                                 \
        size_t len, cap;                                                                           \
    }

/* Grow *ptr (elements of size bytes) so that n fit; false when memory is out, *ptr unchanged. */
bool am_vec_grow_raw(void **ptr, size_t *cap, size_t n, size_t size);

#define am_vec_reserve(v, n)                                                                       \
    ((n) <= (v)->cap || am_vec_grow_raw((void **)&(v)->ptr, &(v)->cap, (n), sizeof *(v)->ptr))
#define am_vec_push(v, x)                                                                          \
    (am_vec_reserve((v), (v)->len + 1) ? ((v)->ptr[(v)->len++] = (x), true) : false)
#define am_vec_clear(v) (am_free((v)->ptr), (v)->ptr = NULL, (v)->len = (v)->cap = 0)

#endif
