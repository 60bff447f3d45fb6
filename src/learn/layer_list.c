/* Lists of layers: checked against the table of types, wired by name, built one after the other.
 *
 * Nothing here knows what a type does. Errors of nn's builders, which know shapes but no recipe,
 * get the layer's line, column and name. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "learn/layers_int.h"
#include "nn/layers_shape.h"

#define LAYERS_MAX 1000

static struct am_str name_of(const struct am_node *spec)
{
    return am_node_str(spec, "name", "");
}

/* "line 3, column 5: layer 2 ("c1")" */
#define LABEL_CHARS (AM_WHERE_CHARS + 120)
static const char *label(const struct am_node *spec, size_t i, char out[LABEL_CHARS])
{
    char where[AM_WHERE_CHARS];
    struct am_str s = name_of(spec);
    size_t n = (size_t)snprintf(out, LABEL_CHARS, "%s", am_key_where(spec, where));
    if (s.len)
        (void)snprintf(out + n, LABEL_CHARS - n, am_tr("layer \"%.*s\""), AM_FMT(s));
    else
        (void)snprintf(out + n, LABEL_CHARS - n, am_tr("layer %zu"), i + 1);
    return out;
}

static const struct am_learner_key *find_key(const struct am_layer_type *t, struct am_str name)
{
    for (size_t i = 0; i < t->n_keys; i++)
        if (am_str_is(name, t->keys[i].name))
            return &t->keys[i];
    return NULL;
}

static enum am_rc unknown_key(const struct am_layer_type *t, const struct am_pair *p,
                              const char *what, struct am_err *err)
{
    const char *names[40] = {"name", "type", "input"}, *near;
    size_t n = 3;
    char where[AM_WHERE_CHARS];
    struct am_node at = {.line = p->line, .column = p->column};
    for (size_t i = 0; i < t->n_keys && n < 40; i++)
        names[n++] = t->keys[i].name;
    near = am_str_nearest(p->key, names, n);
    am_fail(err, AM_EUSAGE, "%sunknown key \"%.*s\" for a layer of type \"%s\"",
            am_key_where(&at, where), AM_FMT(p->key), t->name);
    (void)what;
    if (near) {
        am_hint(err, "Did you mean \"%s\"?", near);
    } else {
        struct am_buf list;
        am_buf_init(&list, AM_ERR_HINT_BYTES / 2);
        for (size_t i = 0; i < n; i++)
            am_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
        am_hint(err, "Known keys here: %.*s.", AM_FMT(am_buf_view(&list)));
        am_buf_clear(&list);
    }
    return AM_EUSAGE;
}

static enum am_rc find_type(const struct am_node *spec, size_t i, const struct am_layer_type **out,
                            struct am_err *err)
{
    const char *names[64], *near;
    size_t n;
    const struct am_layer_type *types = am_layer_types(&n);
    char at[LABEL_CHARS];
    struct am_str s = am_node_str(spec, "type", "");
    *out = am_layer_type_find(s);
    if (*out)
        return AM_OK;
    for (size_t k = 0; k < n && k < 64; k++)
        names[k] = types[k].name;
    near = am_str_nearest(s, names, n < 64 ? n : 64);
    if (s.len)
        am_fail(err, AM_EUSAGE, "%s has the unknown type \"%.*s\"", label(spec, i, at), AM_FMT(s));
    else
        am_fail(err, AM_EUSAGE, "%s has no type", label(spec, i, at));
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    else
        am_hint(err, "Types are dense, conv2d, max_pool, lstm, embedding, add, concat and others: "
                     "see the manual.");
    return AM_EUSAGE;
}

static enum am_rc check_layer(const struct am_node *spec, size_t i, struct am_err *err)
{
    const struct am_layer_type *t;
    char at[LABEL_CHARS], what[AM_LIMIT_NAME_BYTES + 64];
    if (spec->kind != AM_NODE_MAP) {
        am_fail(err, AM_EUSAGE, "%s is not a map", label(spec, i, at));
        am_hint(err, "A layer is written {name: c1, type: conv2d, filters: 32}.");
        return AM_EUSAGE;
    }
    AM_TRY(find_type(spec, i, &t, err));
    for (size_t k = 0; k < spec->map.n; k++) {
        const struct am_pair *p = &spec->map.pairs[k];
        const struct am_learner_key *key;
        if (am_str_is(p->key, "type") || am_str_is(p->key, "name") || am_str_is(p->key, "input") ||
            am_node_is_null(p->value))
            continue;
        (void)snprintf(what, sizeof what, "model.layers[%zu].%.*s", i, (int)p->key.len, p->key.ptr);
        key = find_key(t, p->key);
        if (!key)
            return unknown_key(t, p, what, err);
        if (!am_spec_fits(key, p->value))
            return am_spec_wrong(key, p->value, what, err);
    }
    for (size_t k = 0; k < t->n_keys; k++)
        if (!t->keys[k].otherwise && !am_node_get(spec, t->keys[k].name)) {
            am_fail(err, AM_EUSAGE, "%s of type \"%s\" needs its key \"%s\"", label(spec, i, at),
                    t->name, t->keys[k].name);
            am_hint(err, "%s", am_tr(t->keys[k].doc));
            return AM_EUSAGE;
        }
    return AM_OK;
}

/* ---- names ---- */

struct place {
    am_value value, lengths;
};

struct walk {
    const struct am_learn_task *task;
    struct am_graph *g;
    const struct am_node *list;
    struct am_map names;  /* name -> place of the layer, from 1; 0 = "x" */
    struct place *places; /* owned, [n + 1] */
};

static enum am_rc add_name(struct am_map *names, const struct am_node *spec, size_t i,
                           struct am_err *err)
{
    struct am_str s = name_of(spec);
    char at[LABEL_CHARS];
    if (s.len == 0)
        return AM_OK;
    if (s.len > AM_LIMIT_NAME_BYTES) {
        am_fail(err, AM_EUSAGE, "layer %zu has a name of %zu bytes, at most %d allowed", i + 1,
                s.len, (int)AM_LIMIT_NAME_BYTES);
        return AM_EUSAGE;
    }
    if (am_map_get(names, s)) {
        am_fail(err, AM_EUSAGE, "%s: another layer has this name already", label(spec, i, at));
        am_hint(err, "Names are unique, and \"x\" is the model's input.");
        return AM_EUSAGE;
    }
    return am_map_put(names, s, i + 1, err);
}

static enum am_rc no_such_input(const struct am_node *spec, size_t i, struct am_str s,
                                const struct am_node *list, struct am_err *err)
{
    const char *near = NULL;
    char at[LABEL_CHARS], copy[AM_LIMIT_NAME_BYTES + 1];
    for (size_t k = 0; k < list->list.n && !near; k++) {
        struct am_str name = name_of(list->list.items[k]);
        const char *one[1] = {copy};
        if (name.len == 0 || name.len > AM_LIMIT_NAME_BYTES || k == i)
            continue;
        (void)snprintf(copy, sizeof copy, "%.*s", AM_FMT(name));
        near = am_str_nearest(s, one, 1);
    }
    am_fail(err, AM_EUSAGE, "%s reads \"%.*s\", which no layer before it is called",
            label(spec, i, at), AM_FMT(s));
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    else
        am_hint(err, "A layer reads layers above it, or \"x\", the model's input.");
    return AM_EUSAGE;
}

/* Places of a layer's inputs, 0 = x. */
static enum am_rc inputs_of(const struct am_map *names, const struct am_node *list, size_t i,
                            const struct am_layer_type *t, size_t out[AM_GRAPH_INPUTS_MAX],
                            unsigned *n, struct am_err *err)
{
    const struct am_node *spec = list->list.items[i], *in = am_node_get(spec, "input");
    size_t given = in && in->kind == AM_NODE_LIST ? in->list.n : 1;
    char at[LABEL_CHARS];
    *n = 0;
    if (given < t->min_in || given > t->max_in) {
        am_fail(err, AM_EUSAGE, "%s of type \"%s\" has %zu inputs", label(spec, i, at), t->name,
                given);
        am_hint(err, "It takes %u to %u: input: NAME, or input: [NAME, NAME].", t->min_in,
                t->max_in);
        return AM_EUSAGE;
    }
    if (!in || am_node_is_null(in)) {
        out[(*n)++] = i; /* the layer before, or x */
        return AM_OK;
    }
    for (size_t k = 0; k < given; k++) {
        struct am_str s = AM_STR("");
        const uint64_t *p;
        if (!am_node_as_str(in->kind == AM_NODE_LIST ? in->list.items[k] : in, &s))
            return no_such_input(spec, i, AM_STR("?"), list, err);
        p = am_map_get(names, s);
        if (!p)
            return no_such_input(spec, i, s, list, err);
        out[(*n)++] = (size_t)*p;
    }
    return AM_OK;
}

static enum am_rc check_list(const struct am_node *list, struct am_map *names, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    AM_TRY(am_map_put(names, AM_STR("x"), 0, err));
    if (!list || list->kind != AM_NODE_LIST || list->list.n == 0 || list->list.n > LAYERS_MAX) {
        am_fail(err, AM_EUSAGE, "%smodel.layers must be a list of 1 to %d layers",
                am_key_where(list, where), LAYERS_MAX);
        am_hint(err, "A layer is written {name: c1, type: conv2d, filters: 32}.");
        return AM_EUSAGE;
    }
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_layer_type *t;
        size_t in[AM_GRAPH_INPUTS_MAX];
        unsigned n;
        AM_TRY(check_layer(list->list.items[i], i, err));
        AM_TRY(find_type(list->list.items[i], i, &t, err));
        AM_TRY(inputs_of(names, list, i, t, in, &n, err));
        AM_TRY(add_name(names, list->list.items[i], i, err));
    }
    return AM_OK;
}

enum am_rc am_layers_check(const struct am_node *list, struct am_err *err)
{
    struct am_map names;
    am_map_init(&names);
    enum am_rc rc = check_list(list, &names, err);
    am_map_clear(&names);
    return rc;
}

/* ---- building ---- */

static void print_inputs(const struct walk *w, const size_t *in, unsigned n, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = 0;
    for (unsigned k = 0; k < n && at < cap; k++) {
        char dims[AM_DIMS_CHARS];
        const struct am_gnode *node = am_graph_node(w->g, w->places[in[k]].value);
        if (!node)
            continue;
        at += (size_t)snprintf(out + at, cap - at, "%s%s", k ? " " : "",
                               am_dims_print(&node->dims, dims));
    }
}

static enum am_rc explain(const struct walk *w, const struct am_layer_type *t, size_t i,
                          const size_t *in, unsigned n, const struct am_err *why,
                          struct am_err *err)
{
    char at[LABEL_CHARS], shapes[400];
    if (why->rc != AM_EINVAL && why->rc != AM_EUSAGE) {
        if (err)
            *err = *why;
        return why->rc;
    }
    print_inputs(w, in, n, shapes, sizeof shapes);
    am_fail(err, AM_EUSAGE, "%s of type \"%s\" cannot take %s: %s",
            label(w->list->list.items[i], i, at), t->name, shapes, why->message);
    am_hint(err, "Shapes are those of a batch, channels last: a picture [B,H,W,C], a sequence "
                 "[B,T,C], a row [B,n].");
    return AM_EUSAGE;
}

static enum am_rc build_layer(struct walk *w, size_t i, struct am_err *err)
{
    struct am_layer_args a = {.task = w->task, .g = w->g, .spec = w->list->list.items[i]};
    char name[AM_LIMIT_NAME_BYTES + 1];
    struct am_str s = name_of(a.spec);
    size_t in[AM_GRAPH_INPUTS_MAX];
    struct am_err why;
    struct place *p = &w->places[i + 1];
    AM_TRY(find_type(a.spec, i, &a.type, err));
    AM_TRY(inputs_of(&w->names, w->list, i, a.type, in, &a.n_in, err));
    if (s.len)
        (void)snprintf(name, sizeof name, "%.*s", AM_FMT(s));
    else
        (void)snprintf(name, sizeof name, "%s%zu", a.type->name, i + 1);
    a.name = name;
    for (unsigned k = 0; k < a.n_in; k++)
        a.in[k] = w->places[in[k]].value;
    a.lengths = w->places[in[0]].lengths;
    p->value = a.type->build(&a);
    p->lengths = a.keeps_steps ? a.lengths : AM_VALUE_NONE;
    if (am_graph_check(w->g, &why) != AM_OK)
        return explain(w, a.type, i, in, a.n_in, &why, err);
    return add_name(&w->names, a.spec, i, err);
}

/* x as the task's shape says. */
static enum am_rc shape_input(struct walk *w, am_value x, struct am_err *err)
{
    const struct am_dims *d = &w->task->shape;
    w->places[0] = (struct place){x, AM_VALUE_NONE};
    if (d->rank > 1)
        w->places[0].value = am_layer_reshape(w->g, x, d->d, d->rank, "x");
    return am_graph_check(w->g, err);
}

static enum am_rc build_all(struct walk *w, am_value x, struct am_layer_value *values,
                            am_value *out, struct am_err *err)
{
    size_t n = w->list->list.n;
    AM_TRY(am_map_put(&w->names, AM_STR("x"), 0, err));
    AM_TRY(shape_input(w, x, err));
    for (size_t i = 0; i < n; i++) {
        AM_TRY(build_layer(w, i, err));
        if (values)
            values[i] =
                (struct am_layer_value){name_of(w->list->list.items[i]), w->places[i + 1].value};
    }
    *out = w->places[n].value;
    return AM_OK;
}

enum am_rc am_layers_build_all(const struct am_learn_task *t, struct am_graph *g, am_value x,
                               const struct am_node *list, struct am_layer_value *values,
                               am_value *out, struct am_err *err)
{
    struct walk w = {.task = t, .g = g, .list = list};
    enum am_rc rc;
    AM_TRY(am_layers_check(list, err));
    am_map_init(&w.names);
    w.places = am_alloc_array(list->list.n + 1, sizeof *w.places);
    rc = w.places ? build_all(&w, x, values, out, err)
                  : am_fail_nomem(err, (list->list.n + 1) * sizeof *w.places);
    am_free(w.places);
    am_map_clear(&w.names);
    return rc;
}

enum am_rc am_layers_build(const struct am_learn_task *t, struct am_graph *g, am_value x,
                           const struct am_node *list, am_value *out, struct am_err *err)
{
    return am_layers_build_all(t, g, x, list, NULL, out, err);
}

/* ---- writing lists ---- */

struct am_node *am_layer_append(struct am_layer_list *l, const char *type, const char *name,
                                const char *input)
{
    struct am_arena *a = l->arena;
    struct am_node *n = am_new_map(a);
    if (!l->list)
        l->list = am_new_list(a);
    am_node_set(a, n, "name", am_new_cstr(a, name));
    am_node_set(a, n, "type", am_new_cstr(a, type));
    if (input)
        am_node_set(a, n, "input", am_new_cstr(a, input));
    am_node_push(a, l->list, n);
    return n;
}
