/* The file of train.weights: found beside the recipe, kept with the run, read by the learner.
 *
 * A run must give the same bits when it is resumed or verified, wherever that happens and whatever
 * became of the file; so its bytes become an artefact of the run, and those are read from then on.
 * A recipe that somebody else sent may not name a file of this machine. */
#include "base/fs.h"
#include "pipeline/recipe_int.h"
#include "pipeline/train_int.h"

#define ARTEFACT "weights"

/* NULL = none */
static const struct am_node *file_of(const struct am_training *t, struct am_str *path)
{
    const struct am_node *w = am_node_path(t->p.recipe.resolved, "train.weights");
    if (w && w->kind == AM_NODE_MAP)
        w = am_node_get(w, "file");
    return w && am_node_as_str(w, path) && path->len > 0 ? w : NULL;
}

/* Where the run's artefact lies; NULL = it has none. */
static char *artefact(struct am_arena *a, const struct am_node *run)
{
    const struct am_node *list = am_node_get(run, "artefacts");
    for (size_t i = 0; list && i < list->list.n; i++) {
        const struct am_node *f = list->list.items[i];
        struct am_str path = am_node_str(f, "path", "");
        char *copy;
        if (!am_str_is(am_node_str(f, "name", ""), ARTEFACT) || path.len == 0)
            continue;
        copy = am_arena_alloc(a, path.len + 1);
        if (copy) {
            memcpy(copy, path.ptr, path.len);
            copy[path.len] = 0;
        }
        return copy;
    }
    return NULL;
}

static char *beside(struct am_arena *a, const char *dir, struct am_str path)
{
    const size_t n = dir && path.ptr[0] != '/' ? strlen(dir) + 1 : 0;
    char *out = am_arena_alloc(a, n + path.len + 1);
    if (!out)
        return NULL;
    if (n) {
        memcpy(out, dir, n - 1);
        out[n - 1] = '/';
    }
    memcpy(out + n, path.ptr, path.len);
    out[n + path.len] = 0;
    return out;
}

static enum am_rc not_there(const struct am_training *t, const struct am_node *at,
                            struct am_err *err)
{
    char where[256];
    am_recipe_where(at, &t->p.recipe.origin, where, sizeof where);
    am_fail(err, AM_ENOTFOUND, "%s: train.weights: there is no file \"%s\"", where,
            t->weights_path);
    am_hint(err, "A relative path starts at the recipe's folder.");
    return AM_ENOTFOUND;
}

enum am_rc am_training_weights_find(struct am_training *t, const struct am_recipe_source *src,
                                    const struct am_node *run, struct am_err *err)
{
    struct am_str path;
    const struct am_node *at = file_of(t, &path);
    t->weights_path = NULL;
    if (!at)
        return AM_OK;
    if (src->foreign) {
        am_fail(err, AM_EPERM, "a recipe that was sent cannot name a file: train.weights");
        am_hint(err, "Run it with `aimass train` on this machine, or leave train.weights out.");
        return AM_EPERM;
    }
    if (memchr(path.ptr, 0, path.len))
        return am_fail(err, AM_EUSAGE, "train.weights is no path");
    t->weights_path = run ? artefact(t->p.arena, run) : NULL;
    if (!t->weights_path)
        t->weights_path = beside(t->p.arena, src->base_dir, path);
    AM_TRY(am_arena_check(t->p.arena, err));
    return am_fs_exists(t->weights_path) ? AM_OK : not_there(t, at, err);
}

enum am_rc am_training_weights_keep(struct am_training *t, struct am_err *err)
{
    const struct am_registry_file f = {.name = ARTEFACT, .path = t->weights_path};
    struct am_node *run;
    char *kept;
    if (!t->weights_path)
        return AM_OK;
    AM_TRY(am_run_artefact(t->run, &f, err));
    AM_TRY(am_registry_run_get(t->p.pl->registry, t->p.arena, am_run_id(t->run), &run, err));
    kept = artefact(t->p.arena, run);
    AM_TRY(am_arena_check(t->p.arena, err));
    if (kept)
        t->weights_path = kept;
    return AM_OK;
}

enum am_rc am_training_weights_read(void *path, struct am_str name, struct am_buf *out,
                                    struct am_err *err)
{
    (void)name; /* it was resolved when the training began */
    return am_fs_read_file(path, out, err);
}
