/* The commands about what is stored: runs, datasets, models, aliases, tags, export, import, rm, gc.
 * They open the registry at first use and hand its answers on. One thread at a time. */
#include "platform/platform_int.h"

#include <stdio.h>

#define OPEN(p, r, err)                                                                            \
    struct am_registry *r;                                                                         \
    AM_TRY(am_platform_registry((p), &r, (err)))

static struct am_registry_list list_of(const struct am_list_options *o)
{
    struct am_registry_list l = {NULL, NULL, 0, 0};
    if (o)
        l = (struct am_registry_list){o->filter, o->order_by, o->limit, o->offset};
    return l;
}

enum am_rc am_platform_runs(struct am_platform *p, struct am_arena *a,
                            const struct am_list_options *o, struct am_node **out,
                            struct am_err *err)
{
    struct am_registry_list l = list_of(o);
    OPEN(p, r, err);
    return am_registry_runs(r, a, &l, out, err);
}

enum am_rc am_platform_run_show(struct am_platform *p, struct am_arena *a, const char *run,
                                struct am_node **out, struct am_err *err)
{
    OPEN(p, r, err);
    return am_registry_run_get(r, a, run, out, err);
}

enum am_rc am_platform_datasets(struct am_platform *p, struct am_arena *a,
                                const struct am_list_options *o, struct am_node **out,
                                struct am_err *err)
{
    struct am_registry_list l = list_of(o);
    OPEN(p, r, err);
    return am_registry_datasets(r, a, &l, out, err);
}

enum am_rc am_platform_models(struct am_platform *p, struct am_arena *a,
                              const struct am_list_options *o, struct am_node **out,
                              struct am_err *err)
{
    struct am_registry_list l = list_of(o);
    OPEN(p, r, err);
    return am_registry_models(r, a, &l, out, err);
}

/* MODEL shows the model, MODEL@X a version. */
enum am_rc am_platform_model_show(struct am_platform *p, struct am_arena *a, const char *model,
                                  struct am_node **out, struct am_err *err)
{
    OPEN(p, r, err);
    if (strchr(model, '@')) {
        struct am_version_ref v;
        struct am_node *signature;
        AM_TRY(am_registry_version_get(r, a, model, out, err));
        AM_TRY(am_registry_resolve(r, model, &v, err));
        AM_TRY(am_platform_signature_of(p, a, v.path, &signature, err));
        am_node_set(a, *out, "signature", signature);
        return am_arena_check(a, err);
    }
    return am_registry_model_get(r, a, model, out, err);
}

enum am_rc am_platform_model_alias(struct am_platform *p, struct am_arena *a, const char *model,
                                   const char *alias, enum am_alias_action action,
                                   struct am_node **out, struct am_err *err)
{
    OPEN(p, r, err);
    if (action != AM_ALIAS_SET && strchr(model, '@')) {
        am_fail(err, AM_EUSAGE, "\"%s\" names a version, but an alias belongs to the model", model);
        am_hint(err, "Write the model's name alone.");
        return AM_EUSAGE;
    }
    switch (action) {
    case AM_ALIAS_SET:
        return am_registry_alias_set(r, a, model, alias, out, err);
    case AM_ALIAS_REMOVE:
        return am_registry_alias_remove(r, a, model, alias, out, err);
    default:
        return am_registry_alias_undo(r, a, model, alias, out, err);
    }
}

enum am_rc am_platform_model_tag(struct am_platform *p, struct am_arena *a, const char *model,
                                 const char *key, const char *value, struct am_node **out,
                                 struct am_err *err)
{
    OPEN(p, r, err);
    return am_registry_tag(r, a, strchr(model, '@') ? AM_KIND_VERSION : AM_KIND_MODEL, model, key,
                           value, out, err);
}

enum am_rc am_platform_model_export(struct am_platform *p, struct am_arena *a, const char *model,
                                    const char *path, struct am_node **out, struct am_err *err)
{
    OPEN(p, r, err);
    return am_registry_version_export(r, a, model, path, out, err);
}

enum am_rc am_platform_rm(struct am_platform *p, struct am_arena *a, const char *what,
                          struct am_node **out, struct am_err *err)
{
    OPEN(p, r, err);
    return am_registry_rm(r, a, what, out, err);
}

#define GC_GRACE_S 3600 /* a blob written by a command that still runs is younger than this */

enum am_rc am_platform_gc(struct am_platform *p, struct am_arena *a, enum am_gc_mode mode,
                          struct am_node **out, struct am_err *err)
{
    OPEN(p, r, err);
    return am_registry_gc(r, a, GC_GRACE_S,
                          mode == AM_GC_DRY_RUN ? AM_REGISTRY_GC_DRY_RUN : AM_REGISTRY_GC_REAL, out,
                          err);
}

/* ---- compare ---- */

/* a gets what was out of memory here: two texts cut short must not decide. */
static bool same_text(struct am_arena *a, const struct am_node *x, const struct am_node *y)
{
    struct am_buf bx, by;
    am_buf_init(&bx, 1 << 20);
    am_buf_init(&by, 1 << 20);
    am_node_to_json(x, AM_JSON_COMPACT, &bx);
    am_node_to_json(y, AM_JSON_COMPACT, &by);
    bool same = am_str_eq(am_buf_view(&bx), am_buf_view(&by));
    if (am_buf_check(&bx, NULL) != AM_OK || am_buf_check(&by, NULL) != AM_OK)
        am_arena_fail_nomem(a, bx.len + by.len);
    am_buf_clear(&bx);
    am_buf_clear(&by);
    return same;
}

/* {key: [value of run 0, run 1, …]} over the union of the keys; equal rows are left out when asked.
 */
static struct am_node *side_by_side(struct am_arena *a, struct am_node *const *runs, size_t n,
                                    const char *field, bool only_differences)
{
    struct am_node *out = am_new_map(a);
    for (size_t i = 0; i < n; i++) {
        const struct am_node *m = am_node_get(runs[i], field);
        for (size_t k = 0; m && k < m->map.n; k++) {
            struct am_str key = m->map.pairs[k].key;
            struct am_node *row = am_new_list(a);
            bool differs = false;
            if (am_node_get_str(out, key))
                continue;
            for (size_t j = 0; j < n; j++) {
                struct am_node *v = am_node_get_str(am_node_get(runs[j], field), key);
                am_node_push(a, row, v ? v : am_new_null(a));
                differs = differs || !v || !same_text(a, v, m->map.pairs[k].value);
            }
            if (differs || !only_differences)
                am_node_set_str(a, out, key, row);
        }
    }
    return out;
}

enum am_rc am_platform_compare(struct am_platform *p, struct am_arena *a, const char *const *runs,
                               size_t n_runs, struct am_node **out, struct am_err *err)
{
    struct am_node *list = am_new_list(a), **got;
    OPEN(p, r, err);
    if (n_runs < 2) {
        am_fail(err, AM_EUSAGE, "cannot compare %zu run: two or more are needed", n_runs);
        am_hint(err, "`aimass runs` lists them.");
        return AM_EUSAGE;
    }
    got = am_arena_array(a, n_runs, sizeof *got); /* NOLINT(bugprone-sizeof-expression): pointers */
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n_runs; i++) {
        static const char *const shown[] = {"run",     "name",    "state",
                                            "started", "seconds", "dataset"};
        struct am_node *row = am_new_map(a);
        AM_TRY(am_registry_run_get(r, a, runs[i], &got[i], err));
        for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
            struct am_node *v = am_node_get(got[i], shown[k]);
            am_node_set(a, row, shown[k], v ? v : am_new_null(a));
        }
        am_node_push(a, list, row);
    }
    *out = am_new_map(a);
    am_node_set(a, *out, "runs", list);
    am_node_set(a, *out, "params", side_by_side(a, got, n_runs, "params", true));
    am_node_set(a, *out, "metrics", side_by_side(a, got, n_runs, "metrics", false));
    return am_arena_check(a, err);
}
