/* Opens OpenBLAS once with dlopen and fills the table of blas.h. No arithmetic here.
 *
 * The pthread flavour is told to use one thread: parallel work is the pool's business. Any thread.
 */
#include "tensor/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "libopenblas.so.0"

static struct am_blas table;
static const char *missing; /* what was not found, or NULL; written once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Function pointers come out of dlsym as object pointers; POSIX guarantees that the copy is valid.
 */
static void *find(void *lib, const char *name, void *slot)
{
    void *p = dlsym(lib, name);
    if (!p && !missing)
        missing = name;
    memcpy(slot, &p, sizeof p);
    return p;
}

static void open_once(void)
{
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        missing = LIBRARY;
        return;
    }
    void (*set_threads)(int);
    char *(*config)(void);
    find(lib, "cblas_sgemm", &table.sgemm);
    find(lib, "cblas_dgemm", &table.dgemm);
    find(lib, "cblas_sgemv", &table.sgemv);
    find(lib, "cblas_dgemv", &table.dgemv);
    find(lib, "cblas_dsyrk", &table.dsyrk);
    find(lib, "dpotrf_", &table.dpotrf);
    find(lib, "dpotrs_", &table.dpotrs);
    find(lib, "dgelsd_", &table.dgelsd);
    find(lib, "dsyev_", &table.dsyev);
    if (find(lib, "openblas_set_num_threads", &set_threads))
        set_threads(1);
    if (find(lib, "openblas_get_config", &config))
        table.version = config();
}

enum am_rc am_blas_open(const struct am_blas **out, struct am_err *err)
{
    *out = NULL;
    pthread_once(&once, open_once);
    if (missing) {
        am_fail(err, AM_EMISSING, "cannot find %s of the linear algebra library OpenBLAS", missing);
        am_hint(err, "Install the Debian package libopenblas0-pthread.");
        return AM_EMISSING;
    }
    *out = &table;
    return AM_OK;
}

const struct am_blas *am_blas(void)
{
    pthread_once(&once, open_once);
    return missing ? NULL : &table;
}
