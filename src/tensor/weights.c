/* Finds the driver that reads HDF5 files, at the first one, and hands files to it. */
#include "tensor/weights.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/limits.h"
#include "tensor/ports_abi.h"

static struct am_weights_loader loader;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one thread asks the loader */
static _Atomic(const struct am_weights_ops *) weights_ops;

void am_weights_set_loader(const struct am_weights_loader *l)
{
    pthread_mutex_lock(&lock);
    loader = l ? *l : (struct am_weights_loader){0};
    atomic_store(&weights_ops, NULL);
    pthread_mutex_unlock(&lock);
}

static enum am_rc open_ops(const struct am_weights_ops **out, struct am_err *err)
{
    enum am_rc rc;
    *out = atomic_load(&weights_ops);
    if (*out)
        return AM_OK;
    pthread_mutex_lock(&lock);
    if (loader.open) {
        rc = loader.open(loader.ctx, out, err);
    } else {
        rc = am_fail(err, AM_EMISSING, "there is no reader of HDF5 files");
        am_hint(err, "Run scripts/setup and build again: it installs libhdf5, which reads weights "
                     "of Keras.");
    }
    if (rc == AM_OK && ((*out)->abi != AM_PORTS_ABI || (*out)->size != sizeof **out)) {
        rc = am_fail(err, AM_ECONFLICT,
                     "the reader of HDF5 files was built for another version of this program");
        am_hint(err, "Build and install the program and its modules together.");
    }
    if (rc == AM_OK)
        atomic_store(&weights_ops, *out);
    pthread_mutex_unlock(&lock);
    return rc;
}

bool am_weights_is_hdf5(struct am_str file)
{
    return file.len >= 8 && memcmp(file.ptr, "\x89HDF\r\n\x1a\n", 8) == 0;
}

enum am_rc am_weights_walk(struct am_str file, const struct am_weights_sink *sink,
                           struct am_err *err)
{
    const struct am_weights_ops *ops;
    if (!am_weights_is_hdf5(file))
        return am_fail(err, AM_EINVAL, "not an HDF5 file");
    if (file.len > AM_LIMIT_WEIGHTS_BYTES)
        return am_fail(err, AM_ELIMIT, "the file has %zu bytes, at most %zu are allowed", file.len,
                       AM_LIMIT_WEIGHTS_BYTES);
    AM_TRY(open_ops(&ops, err));
    return ops->read(file, sink, err);
}
