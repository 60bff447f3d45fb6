/* HDF5 files of weights (Keras): the port to the library that reads them (drivers/weights-*).
 *
 * The driver walks the file and hands out each array of floating-point numbers under its path; what
 * the paths mean is not its business. Bytes come from anybody: links that leave the file, filters
 * other than deflate and shuffle, plug-ins and arrays that claim more than the file can hold are
 * refused. Not a writer. The loader is set once, before threads start; reading from any thread. */
#ifndef AM_TENSOR_WEIGHTS_H
#define AM_TENSOR_WEIGHTS_H

#include "base/host.h"
#include "tensor/tensor.h"

struct am_weights_array { /* lives during the call that gets it */
    struct am_str path;   /* "layers/dense/vars/0", no slash in front */
    struct am_str named; /* the same, each group under the name it gives itself (attribute "name" of
                            the group or of its group "vars"), if it does */
    unsigned rank;       /* 0..AM_LIMIT_TENSOR_RANK; 0 = a single number */
    uint64_t dims[AM_LIMIT_TENSOR_RANK];
    size_t n; /* values */
};

struct am_weights_sink {
    void *ctx;
    /* Before an array is read, in byte order of the paths' parts: *values gets room for n floats
     * that stays the sink's, or NULL: not wanted. An error ends the walk with it. */
    enum am_rc (*array)(void *ctx, const struct am_weights_array *a, float **values,
                        struct am_err *err);
};

struct am_weights_ops {
    uint64_t abi;  /* AM_PORTS_ABI */
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err); /* once, before all else */
    /* Integers, texts and the like are passed over. AM_ECORRUPT: damaged; AM_EUNSUPPORTED: links,
     * filters; AM_ELIMIT: more than base/limits.h allows. Thread-safe; one file at a time. */
    enum am_rc (*read)(struct am_str file, const struct am_weights_sink *sink, struct am_err *err);
    const char *(*version)(void);
};

/* Where the driver comes from; called at the first HDF5 file. NULL = none (AM_EMISSING). */
struct am_weights_loader {
    void *ctx;
    enum am_rc (*open)(void *ctx, const struct am_weights_ops **out, struct am_err *err);
};
void am_weights_set_loader(const struct am_weights_loader *l); /* copied */

/* Do the bytes begin as an HDF5 file? */
bool am_weights_is_hdf5(struct am_str file);
/* Walks the file; see ops->read. file: at most AM_LIMIT_WEIGHTS_BYTES. */
enum am_rc am_weights_walk(struct am_str file, const struct am_weights_sink *sink,
                           struct am_err *err) AM_MUST_CHECK;

#endif
