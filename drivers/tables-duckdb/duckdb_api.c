/* Finds and opens the prebuilt libduckdb.so: beside this module (install folder), or under
 * node_modules/@duckdb of a folder above it (build tree). Absolute paths only; never the search
 * path. */
#include "duckdb_api.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__aarch64__)
#define PACKAGE "@duckdb/node-bindings-linux-arm64"
#else
#define PACKAGE "@duckdb/node-bindings-linux-x64"
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static bool ready;
static struct duckdb_api api;

static void *open_first(const char *module, char *why, size_t why_size)
{
    char dir[PATH_MAX], path[PATH_MAX + 128];
    if (!realpath(module, dir)) {
        snprintf(why, why_size, "the module's own path \"%s\" is not readable", module);
        return NULL;
    }
    snprintf(why, why_size,
             "there is no libduckdb.so beside the module \"%s\" and no node_modules above it",
             module);
    for (int level = 0;; level++) {
        char *slash = strrchr(dir, '/');
        if (!slash)
            return NULL;
        *slash = '\0';
        for (int kind = 0; kind < 2; kind++) {
            if (kind == 0 && level > 0)
                continue;
            snprintf(path, sizeof path,
                     kind == 0 ? "%s/libduckdb.so" : "%s/node_modules/" PACKAGE "/libduckdb.so",
                     dir);
            if (access(path, R_OK) != 0)
                continue;
            void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL); /* half the time of RTLD_NOW */
            if (!library)
                snprintf(why, why_size, "%s", dlerror());
            return library;
        }
    }
}

static bool bind_all(void *library, char *why, size_t why_size)
{
#define X(type, name, args)                                                                        \
    *(void **)&api.name = dlsym(library, #name);                                                   \
    if (!api.name) {                                                                               \
        snprintf(why, why_size, "the library has no function " #name);                             \
        return false;                                                                              \
    }
    DUCKDB_FUNCTIONS(X)
#undef X
    return true;
}

enum am_rc duckdb_api_open(const struct am_host *host, const struct duckdb_api **out,
                           struct am_err *err)
{
    static const char anchor = 0;
    enum am_rc rc = AM_OK;
    char why[512] = "";
    pthread_mutex_lock(&lock);
    if (!ready) {
        Dl_info info;
        void *library = NULL;
        if (dladdr(&anchor, &info) && info.dli_fname)
            library = open_first(info.dli_fname, why, sizeof why);
        ready = library && bind_all(library, why, sizeof why);
    }
    if (!ready) {
        rc = host->fail(err, AM_EMISSING, __FILE__, __LINE__,
                        "cannot open the table engine DuckDB: %s", why);
        host->hint(
            err,
            "Run scripts/setup, which fetches the pinned library with npm ci, and build again.");
    }
    pthread_mutex_unlock(&lock);
    *out = &api;
    return rc;
}
