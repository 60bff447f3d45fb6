/* What the child that reads a file tells its parent through a pipe: records, each a head, two names
 * and values. Both are of one build, so a head is the struct as it lies in memory; but the parent
 * trusts no number in it, since a damaged file may have made the child anything. */
#ifndef AM_WEIGHTS_HDF5_RECORDS_H
#define AM_WEIGHTS_HDF5_RECORDS_H

#include "tensor/weights.h"

#define PATH_BYTES 2048
#define DEPTH_MAX 32

enum kind {
    IS_ARRAY = 1, /* path, named, dims, n values behind */
    IS_END,       /* the walk is complete */
    /* What ended it; path says where. */
    IS_DAMAGED,
    IS_ELSEWHERE, /* a link, storage in another file */
    IS_TOO_LARGE, /* more than `detail` bytes are claimed */
    IS_FILTER,    /* number `detail` */
    IS_TOO_DEEP,
    IS_TOO_MANY,
    IS_LONG_NAME,
    IS_RANK,   /* `detail` dimensions */
    IS_NO_ROOM /* memory for `detail` bytes */
};

struct record {
    uint32_t kind, rank;
    uint32_t n_path, n_named; /* bytes behind the head */
    uint64_t dims[AM_LIMIT_TENSOR_RANK];
    uint64_t n; /* values (float) behind the names */
    uint64_t detail;
};

/* Most bytes that the arrays of a file of this size may claim together. */
uint64_t most_bytes(size_t file_bytes);
/* The child's side (walk.c): reads the file and writes records to fd; never returns an error but
 * through them. The library is started. */
void walk_file(struct am_str file, int fd);

#endif
