/* The doctor: what the program needs, whether it is there, and how to get it. Also importing a
 * package, which opens it first. One thread. */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "feature/segment.h"
#include "model/model.h"
#include "platform/platform_int.h"
#include "tensor/kernels.h"

static void check(struct am_arena *a, struct am_node *list, const char *name, bool ok,
                  const char *found, const char *remedy, bool *all)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_cstr(a, name));
    am_node_set(a, m, "ok", am_new_bool(a, ok));
    am_node_set(a, m, "found", am_new_cstr(a, found));
    am_node_set(a, m, "remedy", ok ? am_new_null(a) : am_new_cstr(a, am_tr(remedy)));
    am_node_push(a, list, m);
    *all = *all && ok;
}

static void check_space(struct am_platform *p, struct am_arena *a, struct am_node *list, bool *all)
{
    struct statvfs st;
    char text[96] = "?";
    bool ok = statvfs(p->workspace, &st) == 0;
    double free_mb = ok ? (double)st.f_bavail * (double)st.f_frsize / 1e6 : 0;
    if (ok)
        snprintf(text, sizeof text, am_tr("%.0f MB free"), free_mb);
    check(a, list, "disk", ok && free_mb > 200, text,
          "Free some disk space, or choose another --workspace.", all);
}

static void check_blas(struct am_arena *a, struct am_node *list, bool *all)
{
    void *lib = dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_LOCAL);
    check(a, list, "OpenBLAS", lib != NULL, lib ? "libopenblas.so.0" : am_tr("not found"),
          "Install it: apt-get install libopenblas0-pthread. Without it own kernels do the work, "
          "slower.",
          all);
    if (lib)
        dlclose(lib);
}

static void check_sounds(struct am_platform *p, struct am_arena *a, struct am_node *list, bool *all)
{
    const struct am_sounds_ops *ops;
    struct am_err e = {0};
    bool ok = am_sounds_open(p->options.program, &ops, &e) == AM_OK;
    check(a, list, "libsndfile (sounds)", ok, ok ? ops->version() : e.message,
          e.hint[0] ? e.hint : "Run scripts/setup.", all);
}

static void check_videos(struct am_platform *p, struct am_arena *a, struct am_node *list, bool *all)
{
    const struct am_videos_ops *ops;
    struct am_err e = {0};
    bool ok = am_videos_open(p->options.program, &ops, &e) == AM_OK;
    check(a, list, "FFmpeg (videos)", ok, ok ? ops->version() : e.message,
          e.hint[0] ? e.hint : "Run scripts/setup.", all);
}

static void check_images(struct am_platform *p, struct am_arena *a, struct am_node *list, bool *all)
{
    const struct am_images_ops *ops;
    struct am_err e = {0};
    bool ok = am_images_open(p->options.program, &ops, &e) == AM_OK;
    check(a, list, "libvips (pictures)", ok, ok ? ops->version() : e.message,
          e.hint[0] ? e.hint : "Run scripts/setup.", all);
}

static void check_weights(struct am_platform *p, struct am_arena *a, struct am_node *list,
                          bool *all)
{
    const struct am_weights_ops *ops;
    struct am_err e = {0};
    bool ok = am_weights_open(p->options.program, &ops, &e) == AM_OK;
    check(a, list, "libhdf5 (Keras files)", ok, ok ? ops->version() : e.message,
          e.hint[0] ? e.hint : "Run scripts/setup.", all);
}

static void check_trees(struct am_platform *p, struct am_arena *a, struct am_node *list, bool *all)
{
    const struct am_trees_ops *ops;
    struct am_err e = {0};
    bool ok = am_trees_open(p->options.program, &ops, &e) == AM_OK;
    check(a, list, "XGBoost (gradient boosting)", ok, ok ? ops->version() : e.message,
          e.hint[0] ? e.hint : "Run scripts/setup.", all);
}

static void check_svm(struct am_platform *p, struct am_arena *a, struct am_node *list, bool *all)
{
    static const char *const names[2] = {"LIBLINEAR (linear SVM)", "LIBSVM (kernel SVM)"};
    for (int kind = AM_SVM_LINEAR; kind <= AM_SVM_KERNEL; kind++) {
        const struct am_svm_ops *ops;
        struct am_err e = {0};
        bool ok = am_svm_open(p->options.program, (enum am_svm_kind)kind, &ops, &e) == AM_OK;
        check(a, list, names[kind], ok, ok ? ops->version() : e.message,
              e.hint[0] ? e.hint : "Run scripts/setup.", all);
    }
}

static void check_words(struct am_arena *a, struct am_node *list, bool *all)
{
    struct am_err e = {0};
    char version[32];
    const bool ok = am_segments_open(&e) == AM_OK;
    (void)snprintf(version, sizeof version, "ICU %u", am_segments_version());
    check(a, list, "ICU (words)", ok, ok ? version : e.message,
          e.hint[0] ? e.hint : "Run scripts/setup.", all);
}

/* Optional: what is missing is no fault. */
static void check_kernels(struct am_platform *p, struct am_arena *a, struct am_node *list,
                          bool *all)
{
    const struct am_kernel_port_ops *ops;
    struct am_err e = {0};
    const bool there = am_kernels_open(p->options.program, &ops, &e) == AM_OK;
    check(a, list, "oneDNN (convolutions)", true,
          there ? ops->version()
                : am_tr("not found; own kernels do the work (apt-get install libdnnl2)"),
          "", all);
}

enum am_rc am_platform_doctor(struct am_platform *p, struct am_arena *a, struct am_node **out,
                              struct am_err *err)
{
    struct am_node *list = am_new_list(a);
    struct am_registry *r;
    struct am_tables *t;
    struct am_err e = {0};
    bool all = true;
    check(a, list, "kernels", true, am_numerics_profile(), "", &all);
    enum am_rc rc = am_platform_registry(p, &r, &e);
    check(a, list, "workspace", rc == AM_OK, rc == AM_OK ? p->workspace : e.message,
          e.hint[0] ? e.hint : "Choose another --workspace.", &all);
    if (rc == AM_OK) {
        check_space(p, a, list, &all);
        rc = am_platform_tables(p, &t, &e);
        check(a, list, "DuckDB (tables)", rc == AM_OK,
              rc == AM_OK ? t->ops->version(t->impl) : e.message,
              e.hint[0] ? e.hint : "Run scripts/setup.", &all);
    }
    check_blas(a, list, &all);
    check_kernels(p, a, list, &all);
    check_images(p, a, list, &all);
    check_sounds(p, a, list, &all);
    check_weights(p, a, list, &all);
    check_trees(p, a, list, &all);
    check_svm(p, a, list, &all);
    check_videos(p, a, list, &all);
    check_words(a, list, &all);
    *out = am_new_map(a);
    am_node_set(a, *out, "ok", am_new_bool(a, all));
    am_node_set(a, *out, "checks", list);
    return am_arena_check(a, err);
}

static enum am_rc import_package(struct am_platform *p, struct am_arena *a, const char *path,
                                 const char *name, enum am_signature_policy policy,
                                 struct am_node **out, struct am_err *err)
{
    struct am_model *m = NULL;
    struct am_registry *r;
    AM_TRY(am_platform_registry(p, &r, err));
    struct am_model_options o = {0};
    struct am_node *signature;
    AM_TRY(am_platform_trust(p, a, policy, &o.package, err));
    enum am_rc rc = am_model_open(path, &o, &m, err); /* strict, and runs the stored sample */
    if (rc == AM_EPERM)
        am_hint(err,
                "Have it signed by a key that is trusted here (`aimass key list`), or trust the "
                "signer's: aimass key trust NAME PUBLIC.pub");
    if (rc != AM_OK && err && !err->hint[0])
        am_hint(err,
                "Take the package again from where it was made: `aimass model export MODEL FILE`.");
    if (rc != AM_OK)
        return rc;
    const struct am_model_info *info = am_model_info(m);
    struct am_version_spec v = {.model = name ? name : am_arena_str(a, info->name).ptr,
                                .package = path,
                                .task = am_task_name(info->task),
                                .metrics = am_model_metrics(m)};
    rc = am_arena_check(a, err);
    if (rc == AM_OK)
        rc = am_registry_version_add(r, a, &v, out, err);
    am_model_put(m);
    if (rc == AM_OK && (rc = am_platform_signature_of(p, a, path, &signature, err)) == AM_OK)
        am_node_set(a, *out, "signature", signature);
    return rc;
}

enum am_rc am_platform_model_import(struct am_platform *p, struct am_arena *a, const char *path,
                                    const char *name, struct am_node **out, struct am_err *err)
{
    return import_package(p, a, path, name, AM_SIGNATURE_OPTIONAL, out, err);
}

enum am_rc am_platform_model_import_signed(struct am_platform *p, struct am_arena *a,
                                           const char *path, const char *name, struct am_node **out,
                                           struct am_err *err)
{
    return import_package(p, a, path, name, AM_SIGNATURE_REQUIRED, out, err);
}
