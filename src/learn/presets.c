/* What writers of lists of layers share, and the learner `graph`, whose list is the recipe's own.
 */
#include "learn/presets.h"

#include <stdio.h>

#include "base/num.h"

enum am_rc am_preset_fit(const struct am_learn_task *t, const struct am_learner_ops *ops,
                         am_preset *write, struct am_learned *out, struct am_arena *a,
                         struct am_err *err)
{
    struct am_layer_list l = {.arena = a};
    struct am_network_spec s = {.name = ops->name};
    AM_TRY(write(t, ops, &l, &s, err));
    AM_TRY(am_arena_check(a, err));
    if (!s.list)
        s.list = l.list;
    return am_network_fit(t, &s, out, a, err);
}

enum am_rc am_preset_graph(const struct am_learn_task *t, const struct am_learner_ops *ops,
                           am_preset *write, struct am_graph **out, struct am_err *err)
{
    struct am_layer_list l = {.arena = am_arena_new(0)};
    struct am_network_spec s = {.name = ops->name};
    enum am_rc rc;
    if (!l.arena)
        return am_fail_nomem(err, 0);
    AM_GO(rc, write(t, ops, &l, &s, err));
    AM_GO(rc, am_arena_check(l.arena, err));
    if (!s.list)
        s.list = l.list;
    rc = am_network_graph(t, &s, out, err);
out:
    am_arena_free(l.arena);
    return rc;
}

void am_layer_set(struct am_layer_list *l, struct am_node *n, const char *key, int64_t v)
{
    am_node_set(l->arena, n, key, am_new_i64(l->arena, v));
}

void am_layer_set_text(struct am_layer_list *l, struct am_node *n, const char *key, struct am_str v)
{
    am_node_set(l->arena, n, key, am_new_str(l->arena, v));
}

void am_layer_set_number(struct am_layer_list *l, struct am_node *n, const char *key, double v)
{
    am_node_set(l->arena, n, key, am_new_f64(l->arena, v));
}

void am_layer_set_bool(struct am_layer_list *l, struct am_node *n, const char *key)
{
    am_node_set(l->arena, n, key, am_new_bool(l->arena, true));
}

/* "[32, 64]" */
static size_t parse_ints(const char *text, int64_t *out, size_t cap)
{
    size_t n = 0;
    while (*text && n < cap) {
        int64_t v = 0;
        if (*text < '0' || *text > '9') {
            text++;
            continue;
        }
        while (*text >= '0' && *text <= '9')
            v = v * 10 + (*text++ - '0');
        out[n++] = v;
    }
    return n;
}

size_t am_key_ints(const struct am_learn_task *t, const struct am_learner_ops *ops,
                   const char *name, int64_t *out, size_t cap)
{
    const struct am_node *n = am_node_get(t->model, name);
    size_t k = 0;
    if (n && n->kind == AM_NODE_LIST) {
        for (size_t i = 0; i < n->list.n && k < cap; i++)
            k += am_node_as_i64(n->list.items[i], &out[k]);
        return k;
    }
    for (size_t i = 0; i < ops->n_keys; i++)
        if (am_str_is(am_str(name), ops->keys[i].name) && ops->keys[i].otherwise)
            return parse_ints(ops->keys[i].otherwise, out, cap);
    return 0;
}

void am_preset_dense(struct am_layer_list *l, const int64_t *units, size_t n, const char *name,
                     struct am_str activation, double dropout)
{
    for (size_t i = 0; i < n; i++) {
        char text[48];
        struct am_node *d;
        (void)snprintf(text, sizeof text, "%s%zu", name, i + 1);
        d = am_layer_append(l, "dense", text, NULL);
        am_layer_set(l, d, "units", units[i]);
        am_layer_set_text(l, d, "activation", activation);
        if (dropout > 0) {
            (void)snprintf(text, sizeof text, "%s%zu_dropout", name, i + 1);
            am_layer_set_number(l, am_layer_append(l, "dropout", text, NULL), "rate", dropout);
        }
    }
}

/* ---- frames ---- */

static bool is_video(const struct am_learn_task *t)
{
    return t->shape.rank == 4;
}

void am_preset_split(struct am_layer_list *l, const struct am_learn_task *t)
{
    if (is_video(t))
        am_layer_append(l, "split_frames", "frames", NULL);
}

const char *am_preset_join(struct am_layer_list *l, const struct am_learn_task *t,
                           const struct am_learner_ops *ops)
{
    struct am_str how = am_key_text(t, ops, "frames");
    if (!is_video(t))
        return NULL;
    am_layer_append(l, "join_frames", "steps", NULL);
    if (am_str_is(how, "lstm") || am_str_is(how, "gru"))
        am_layer_set(l, am_layer_append(l, am_str_is(how, "gru") ? "gru" : "lstm", "time", NULL),
                     "units", (int64_t)am_key_number(t, ops, "frame_units"));
    else
        am_layer_append(l,
                        am_str_is(how, "mean")  ? "global_average_pool"
                        : am_str_is(how, "max") ? "global_max_pool"
                                                : "attention_pool",
                        "time", NULL);
    return "time";
}

void am_preset_sides(const struct am_learn_task *t, int64_t out[2])
{
    const int64_t *d = t->shape.d + is_video(t);
    out[0] = t->shape.rank ? d[0] : (int64_t)t->n_features;
    out[1] = t->shape.rank > 1 ? d[1] : 1;
}

/* ---- graph ---- */

static const struct am_learner_key keys[] = {
    AM_KEY("layers", AM_LEARNER_KEY_MAPS, NULL, 0, 0, NULL,
           "Layers, each with name, type, input (a name, a list of names, or \"x\"; left out: the "
           "layer before) and its type's keys."),
    AM_KEY("head", AM_LEARNER_KEY_ENUM, "auto|dense|none", 0, 0, "auto",
           "A dense layer of the task's width after the last layer: always, never, or unless the "
           "last layer has that width."),
};

static enum am_rc write_graph(const struct am_learn_task *t, const struct am_learner_ops *ops,
                              struct am_layer_list *l, struct am_network_spec *s,
                              struct am_err *err)
{
    struct am_str head = am_key_text(t, ops, "head");
    (void)l;
    (void)err;
    s->list = am_node_get(t->model, "layers");
    s->head = am_str_is(head, "dense")  ? AM_HEAD_DENSE
              : am_str_is(head, "none") ? AM_HEAD_NONE
                                        : AM_HEAD_AUTO;
    return AM_OK;
}

static enum am_rc check_graph(const struct am_learn_task *t, struct am_err *err)
{
    if (!am_key_given(t, "layers")) {
        am_fail(err, AM_EUSAGE, "model.type is graph, but model.layers is missing");
        am_hint(err, "A layer is written {name: c1, type: conv2d, filters: 32}.");
        return AM_EUSAGE;
    }
    return am_layers_check(am_node_get(t->model, "layers"), err);
}

extern const struct am_learner_ops am_learner_graph_of_layers;
AM_PRESET(graph_of_layers, write_graph)

const struct am_learner_ops am_learner_graph_of_layers = {
    .name = "graph",
    .doc = "A network of your own: a list of named layers.",
    .flags = AM_LEARNER_STEPS,
    .tasks = AM_NETWORK_TASKS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check_graph,
    .fit = fit_graph_of_layers,
    .graph = graph_graph_of_layers,
};
