/* Opens libarchive once with dlopen and fills the table of unpack.h. */
#include "data/unpack.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "libarchive.so.13"

static struct archive_api table;
static const char *missing; /* what was not found, or NULL; written once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Function pointers come out of dlsym as object pointers; POSIX guarantees that the copy is valid.
 */
static void find(void *lib, const char *name, void *slot)
{
    void *p = dlsym(lib, name);
    if (!p && !missing)
        missing = name;
    memcpy(slot, &p, sizeof p);
}

static void open_once(void)
{
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        missing = LIBRARY;
        return;
    }
#define X(name) find(lib, #name, &table.name);
    ARCHIVE_FUNCTIONS(X)
#undef X
}

enum am_rc archive_api_open(const struct archive_api **out, struct am_err *err)
{
    pthread_once(&once, open_once);
    *out = missing ? NULL : &table;
    if (!missing)
        return AM_OK;
    enum am_rc rc = am_fail(err, AM_EMISSING, "cannot find %s of the library libarchive", missing);
    am_hint(err, "Install the Debian package libarchive13, or unpack the archive into a folder.");
    return rc;
}
