/* The module loader: search list, dlopen, interface check; and the host table that drivers call.
 *
 * One list of opened modules, guarded by one lock, never shrinks. The lock is not held while a
 * driver's own functions run. */
#include "platform/modules.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "tensor/ports_abi.h"

const struct am_host *am_host_table(void)
{
    static const struct am_host host = {.size = sizeof host,
                                        .alloc = am_alloc,
                                        .realloc_array = am_realloc_array,
                                        .free = am_free,
                                        .fail = am_fail_at,
                                        .hint = am_hint,
                                        .fail_nomem = am_fail_nomem_at,
                                        .log = am_log,
                                        .mono_ns = am_mono_ns,
                                        .print_double = am_print_double};
    return &host;
}

struct module {
    char name[64];
    const void *ops;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static struct module opened[16];
static size_t n_opened;

/* First readable candidate into path; false when there is none. */
static bool find(const char *program, const char *name, char *path, size_t path_size)
{
    char dir[PATH_MAX], file[80];
    snprintf(file, sizeof file, "am_%s.so", name);
    for (char *p = file; *p; p++)
        if (*p == '-')
            *p = '_';
    if (!realpath(program ? program : "/proc/self/exe", dir))
        return false;
    for (int level = 0; level < 6; level++) {
        char *slash = strrchr(dir, '/');
        if (!slash)
            return false;
        *slash = '\0';
        const char *const forms[] = {"%s/drivers/%s/%s", "%s/lib/aimass/%.0s%s", "%s/%.0s%s"};
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            if (i == 2 && level > 0)
                continue;
            if (snprintf(path, path_size, forms[i], dir, name, file) < (int)path_size &&
                access(path, R_OK) == 0)
                return true;
        }
        /* multiarch: PREFIX/lib/x86_64-linux-gnu/aimass */
#if defined(__x86_64__)
        snprintf(path, path_size, "%s/lib/x86_64-linux-gnu/aimass/%s", dir, file);
#else
        snprintf(path, path_size, "%s/lib/aarch64-linux-gnu/aimass/%s", dir, file);
#endif
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

static enum am_rc check(const struct am_module_spec *spec, const char *path, const void *ops,
                        struct am_err *err)
{
    const struct {
        uint64_t abi;
        uint32_t size;
    } *head = ops;
    if (head->abi == spec->abi && head->size == spec->size)
        return AM_OK;
    enum am_rc rc = am_fail(err, AM_ECONFLICT,
                            "module \"%s\" was built for another version of this program", path);
    am_hint(err, "Build and install the program and its modules together.");
    return rc;
}

static enum am_rc load(const char *program, const struct am_module_spec *spec, const void **ops,
                       struct am_err *err)
{
    char path[PATH_MAX + 128];
    if (!find(program, spec->name, path, sizeof path)) {
        enum am_rc rc = am_fail(err, AM_EMISSING, "module \"%s\" is not installed", spec->name);
        am_hint(err, "%s", am_tr(spec->remedy));
        return rc;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const void *const *symbol = handle ? dlsym(handle, "am_module") : NULL;
    if (!symbol || !*symbol) {
        const char *why = dlerror();
        enum am_rc rc = am_fail(err, AM_EMISSING, "cannot load module \"%s\": %s", path,
                                why ? why : "it exports no am_module");
        am_hint(err, "%s", am_tr(spec->remedy));
        return rc;
    }
    AM_TRY(check(spec, path, *symbol, err));
    *ops = *symbol;
    return AM_OK;
}

enum am_rc am_module_open(const char *program, const struct am_module_spec *spec, const void **ops,
                          struct am_err *err)
{
    enum am_rc rc = AM_OK;
    *ops = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_opened && !*ops; i++)
        if (strcmp(opened[i].name, spec->name) == 0)
            *ops = opened[i].ops;
    if (*ops) {
        rc = check(spec, spec->name, *ops, err);
    } else {
        rc = load(program, spec, ops, err);
        if (rc == AM_OK && n_opened < sizeof opened / sizeof opened[0]) {
            snprintf(opened[n_opened].name, sizeof opened[n_opened].name, "%s", spec->name);
            opened[n_opened++].ops = *ops;
        }
    }
    if (rc != AM_OK)
        *ops = NULL;
    pthread_mutex_unlock(&lock);
    return rc;
}

enum am_rc am_tables_open(const char *program, const struct am_tables_config *config,
                          struct am_tables *out, struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "tables-duckdb",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_tables_ops),
        .remedy = AM_N("Run scripts/setup and build again: it fetches DuckDB's library and builds "
                       "the module."),
    };
    const void *ops = NULL;
    *out = (struct am_tables){0};
    AM_TRY(am_module_open(program, &spec, &ops, err));
    void *impl = NULL;
    const struct am_tables_ops *tables = ops;
    AM_TRY(tables->open(am_host_table(), config, &impl, err));
    *out = (struct am_tables){tables, impl};
    return AM_OK;
}

void am_tables_close(struct am_tables *t)
{
    if (t->ops)
        t->ops->close(t->impl);
    *t = (struct am_tables){0};
}

/* ---- pictures, sounds, videos ---- */

enum am_rc am_images_open(const char *program, const struct am_images_ops **out, struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "images-vips",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_images_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs libvips, which reads "
                       "pictures."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, &spec, &ops, err));
    const struct am_images_ops *images = ops;
    AM_TRY(images->start(am_host_table(), err));
    *out = images;
    return AM_OK;
}

enum am_rc am_sounds_open(const char *program, const struct am_sounds_ops **out, struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "sounds-sndfile",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_sounds_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs libsndfile, which reads "
                       "sounds."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, &spec, &ops, err));
    const struct am_sounds_ops *sounds = ops;
    AM_TRY(sounds->start(am_host_table(), err));
    *out = sounds;
    return AM_OK;
}

enum am_rc am_videos_open(const char *program, const struct am_videos_ops **out, struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "video-ffmpeg",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_videos_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs FFmpeg's libraries, which "
                       "read videos."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, &spec, &ops, err));
    const struct am_videos_ops *videos = ops;
    AM_TRY(videos->start(am_host_table(), err));
    *out = videos;
    return AM_OK;
}

static enum am_rc load_images(void *ctx, const struct am_images_ops **out, struct am_err *err)
{
    return am_images_open(ctx, out, err);
}

static enum am_rc load_sounds(void *ctx, const struct am_sounds_ops **out, struct am_err *err)
{
    return am_sounds_open(ctx, out, err);
}

static enum am_rc load_videos(void *ctx, const struct am_videos_ops **out, struct am_err *err)
{
    return am_videos_open(ctx, out, err);
}

enum am_rc am_weights_open(const char *program, const struct am_weights_ops **out,
                           struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "weights-hdf5",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_weights_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs libhdf5 (Debian: "
                       "libhdf5-dev), which reads weights of Keras."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, &spec, &ops, err));
    const struct am_weights_ops *weights = ops;
    AM_TRY(weights->start(am_host_table(), err));
    *out = weights;
    return AM_OK;
}

static enum am_rc load_weights(void *ctx, const struct am_weights_ops **out, struct am_err *err)
{
    return am_weights_open(ctx, out, err);
}

void am_modules_set_weights(const char *program)
{
    struct am_weights_loader l = {.open = load_weights};
    memcpy(&l.ctx, &program, sizeof program); /* const: the loader only hands it back */
    am_weights_set_loader(&l);
}

void am_modules_set_media(const char *program)
{
    struct am_media_loader l = {
        .images = load_images, .sounds = load_sounds, .videos = load_videos};
    memcpy(&l.ctx, &program, sizeof program); /* const: the loader only hands it back */
    am_media_set_loader(&l);
}

/* ---- convolution kernels ---- */

enum am_rc am_kernels_open(const char *program, const struct am_kernel_port_ops **out,
                           struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "kernels-dnnl",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_kernel_port_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs oneDNN (Debian: libdnnl2, "
                       "libdnnl-dev). Without it leave out train.kernels and unset AIMASS_DNNL: "
                       "our own kernels do the work."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, &spec, &ops, err));
    const struct am_kernel_port_ops *kernels = ops;
    AM_TRY(kernels->start(am_host_table(), err));
    *out = kernels;
    return AM_OK;
}

static enum am_rc load_kernels(void *ctx, const struct am_kernel_port_ops **out, struct am_err *err)
{
    return am_kernels_open(ctx, out, err);
}

/* An OpenMP runtime reads its environment once, when the first library brings it. */
static void hold_openmp(const char *name, const char *value)
{
    const char *now = getenv(name);
    if (!now || strcmp(now, value) != 0)
        (void)setenv(name, value, 1);
}

void am_modules_set_kernels(const char *program)
{
    struct am_kernel_port_loader l = {.open = load_kernels};
    memcpy(&l.ctx, &program, sizeof program); /* const: the loader only hands it back */
    hold_openmp("OMP_NUM_THREADS", "1");
    hold_openmp("OMP_WAIT_POLICY", "passive");
    am_kernel_port_set_loader(&l);
}
