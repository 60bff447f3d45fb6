/* What a recipe says of a network's parameters before the first step: weights from a file, frozen
 * layers, learning rates by name. */
#include "learn/learn_int.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "nn/train_weights.h"

#define NAMES_MAX 4096 /* of train.weights.map */

static enum am_rc read_file(const struct am_learn_task *t, struct am_str path, struct am_buf *out,
                            struct am_err *err)
{
    char name[4096];
    if (t->read_file)
        return t->read_file(t->read_ctx, path, out, err);
    if (path.len >= sizeof name)
        return am_fail(err, AM_EUSAGE, "the path of train.weights is too long");
    memcpy(name, path.ptr, path.len);
    name[path.len] = 0;
    return am_fs_read_file(name, out, err);
}

static struct am_node *names(struct am_arena *a, const struct am_str *s, size_t n)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n && i < 100; i++)
        am_node_push(a, list, am_new_str(a, s[i]));
    return list;
}

static size_t texts(const struct am_node *n, struct am_str *out, size_t cap)
{
    size_t k = 0;
    if (n && n->kind != AM_NODE_LIST && am_node_as_str(n, &out[0]))
        return 1;
    for (size_t i = 0; n && n->kind == AM_NODE_LIST && i < n->list.n && k < cap; i++)
        if (am_node_as_str(n->list.items[i], &out[k]))
            k++;
    return k;
}

static enum am_weights_layout layout_of(const struct am_node *spec)
{
    struct am_str s = am_node_str(spec, "layout", "auto");
    return am_str_is(s, "pytorch") ? AM_WEIGHTS_PYTORCH
           : am_str_is(s, "keras") ? AM_WEIGHTS_KERAS
           : am_str_is(s, "own")   ? AM_WEIGHTS_OURS
                                   : AM_WEIGHTS_AUTO;
}

static const char *layout_name(enum am_weights_layout l)
{
    return l == AM_WEIGHTS_PYTORCH ? "pytorch" : l == AM_WEIGHTS_KERAS ? "keras" : "own";
}

/* train.weights.map: {OURS: THEIRS} */
static enum am_rc read_map(const struct am_node *spec, struct am_arena *a,
                           struct am_weights_options *o, struct am_err *err)
{
    const struct am_node *m = am_node_get(spec, "map");
    struct am_weights_name *names;
    char where[AM_WHERE_CHARS];
    size_t n = m && m->kind == AM_NODE_MAP ? m->map.n : 0;
    if (n > NAMES_MAX)
        return am_fail(err, AM_ELIMIT, "train.weights.map has %zu names, at most %d are allowed", n,
                       NAMES_MAX);
    names = am_arena_array(a, n + 1, sizeof *names);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++) {
        names[i].ours = m->map.pairs[i].key;
        if (!am_node_as_str(m->map.pairs[i].value, &names[i].theirs) || names[i].theirs.len == 0)
            return am_fail(err, AM_EUSAGE, "%strain.weights.map: \"%.*s\" stands for no name",
                           am_key_where(m->map.pairs[i].value, where), AM_FMT(names[i].ours));
    }
    o->map = names;
    o->n_map = n;
    return AM_OK;
}

/* Pixels of a row, when rows are pictures. */
static size_t pixels(const struct am_learn_task *t)
{
    return t->shape.rank == 3 ? (size_t)(t->shape.d[0] * t->shape.d[1]) : 0;
}

static void report(const struct am_weights_report *r, struct am_str path, struct am_arena *a,
                   struct am_node *info)
{
    struct am_node *w = am_new_map(a);
    am_node_set(a, w, "file", am_new_str(a, path));
    am_node_set(a, w, "layout", am_new_cstr(a, layout_name(r->layout)));
    am_node_set(a, w, "matched", am_new_i64(a, (int64_t)r->n_matched));
    am_node_set(a, w, "skipped", am_new_i64(a, (int64_t)r->n_skipped));
    am_node_set(a, w, "missing", names(a, r->missing, r->n_missing));
    am_node_set(a, w, "unused", names(a, r->unused, r->n_unused));
    am_node_set(a, info, "weights", w);
}

static enum am_rc load_weights(const struct am_learn_task *t, const struct am_node *spec,
                               struct am_graph *g, struct am_params *p, struct am_arena *a,
                               struct am_node *info, struct am_err *err)
{
    const struct am_node *file = spec->kind == AM_NODE_MAP ? am_node_get(spec, "file") : spec;
    struct am_str path, skip[64];
    struct am_weights_options o = {.skip = skip};
    struct am_weights_report r;
    struct am_buf bytes;
    char where[AM_WHERE_CHARS];
    enum am_rc rc;
    if (!am_node_as_str(file, &path) || path.len == 0)
        return am_fail(err, AM_EUSAGE, "%strain.weights names no file", am_key_where(spec, where));
    o.layout = layout_of(spec);
    o.n_skip = texts(am_node_get(spec, "skip"), skip, 64);
    o.input_places = pixels(t);
    am_buf_init(&bytes, AM_LIMIT_WEIGHTS_BYTES);
    AM_GO(rc, read_map(spec, a, &o, err));
    AM_GO(rc, read_file(t, path, &bytes, err));
    AM_GO(rc, am_weights_load(g, p, am_buf_view(&bytes), &o, a, &r, err));
    if (r.n_missing && am_node_bool(spec, "strict", false)) {
        rc = am_fail(err, AM_EUSAGE, "the weights have no \"%.*s\", which the model has",
                     AM_FMT(r.missing[0]));
        am_hint(err, "Give train.weights.skip its name, or leave train.weights.strict out.");
        goto out;
    }
    if (info)
        report(&r, path, a, info);
out:
    am_buf_clear(&bytes);
    if (rc != AM_OK)
        am_context(err, "cannot load train.weights");
    return rc;
}

enum am_rc am_learn_prepare(const struct am_learn_task *t, struct am_graph *graph,
                            struct am_params *params, struct am_arena *a, struct am_node *info,
                            struct am_err *err)
{
    const struct am_node *weights = am_node_get(t->train_spec, "weights");
    const struct am_node *rates = am_node_get(t->train_spec, "learning_rates");
    struct am_str freeze[64];
    size_t n = texts(am_node_get(t->train_spec, "freeze"), freeze, 64);
    if (weights && !am_node_is_null(weights))
        AM_TRY(load_weights(t, weights, graph, params, a, info, err));
    for (size_t i = 0; i < n; i++)
        AM_TRY(am_train_freeze(graph, params, freeze[i], err));
    for (size_t i = 0; rates && rates->kind == AM_NODE_MAP && i < rates->map.n; i++) {
        double factor;
        if (am_node_as_f64(rates->map.pairs[i].value, &factor))
            AM_TRY(am_train_rate(params, rates->map.pairs[i].key, factor, err));
    }
    return AM_OK;
}
