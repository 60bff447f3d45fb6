/* `autoencoder`: a network that gives a row back through a narrow code. There is no target.
 *
 * The learned graph's output "y" [B,1] is the anomaly score: the mean squared distance between a
 * row and what came back. "reconstruction" [B,n] and "code" [B,k] are outputs beside it:
 * am_learn_select_output makes a model of either, with the same parameters. */
#include <stdio.h>

#include "learn/presets.h"
#include "nn/describe.h"

static const struct am_learner_key keys[] = {
    AM_KEY("kind", AM_LEARNER_KEY_ENUM, "auto|dense|conv", 0, 0, "auto",
           "Dense layers or convolutions; auto is conv for pictures."),
    AM_KEY("encoder", AM_LEARNER_KEY_INTS, NULL, 1, 65536, "[64]",
           "Units of the dense layers before the code; after it they come in reverse."),
    AM_KEY("filters", AM_LEARNER_KEY_INTS, NULL, 1, 65536, "[16, 32]",
           "Channels of the convolutions before the code (conv), each halving the picture."),
    AM_KEY("kernel", AM_LEARNER_KEY_INT, NULL, 1, 255, "3", "Size of the convolutions' window."),
    AM_KEY("code", AM_LEARNER_KEY_INT, NULL, 1, 65536, "8", "Numbers that a row is reduced to."),
    AM_KEY("activation", AM_LEARNER_KEY_ENUM, AM_ACTIVATIONS, 0, 0, "relu",
           "Activation of the hidden layers."),
    AM_KEY(
        "contamination", AM_LEARNER_KEY_NUMBER, NULL, 0, 0.5, "0.01",
        "Expected share of anomalies (task anomaly): the threshold is the score that this share of "
        "the validation rows reaches, of the training rows where there are none."),
};

static bool is_conv(const struct am_learn_task *t)
{
    struct am_str kind = am_key_text(t, &am_learner_autoencoder, "kind");
    return am_str_is(kind, "conv") || (am_str_is(kind, "auto") && t->shape.rank == 3);
}

static enum am_rc check_autoencoder(const struct am_learn_task *t, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    if (t->n_tokens) {
        am_fail(err, AM_EUSAGE, "%smodel.type autoencoder cannot give tokens back",
                am_key_where(am_node_get(t->model, "type"), where));
        am_hint(err, "Use text features that are numbers.");
        return AM_EUSAGE;
    }
    if (t->task == AM_TASK_EMBEDDING && am_key_given(t, "contamination")) {
        am_fail(err, AM_EUSAGE, "%smodel.contamination is set, but data.task is embedding",
                am_key_where(am_node_get(t->model, "contamination"), where));
        am_hint(err, "Leave it out, or set data.task to anomaly.");
        return AM_EUSAGE;
    }
    if (is_conv(t) && t->shape.rank != 2 && t->shape.rank != 3 && t->n_features > 1) {
        am_fail(err, AM_EUSAGE, "%smodel.kind is conv, but rows are no pictures or sounds",
                am_key_where(am_node_get(t->model, "kind"), where));
        am_hint(err, "Use kind: dense.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static void code_layer(struct am_layer_list *l, const struct am_learn_task *t)
{
    am_layer_set(l, am_layer_append(l, "dense", "code", NULL), "units",
                 (int64_t)am_key_number(t, &am_learner_autoencoder, "code"));
}

static void write_dense(const struct am_learn_task *t, struct am_layer_list *l)
{
    const struct am_learner_ops *ops = &am_learner_autoencoder;
    struct am_str act = am_key_text(t, ops, "activation");
    int64_t units[64], back[64];
    size_t n = am_key_ints(t, ops, "encoder", units, 64);
    for (size_t i = 0; i < n; i++)
        back[i] = units[n - 1 - i];
    am_layer_append(l, "flatten", "flatten", "x");
    am_preset_dense(l, units, n, "encoder", act, 0);
    code_layer(l, t);
    am_preset_dense(l, back, n, "decoder", act, 0);
    am_layer_set(l, am_layer_append(l, "dense", "output", NULL), "units", (int64_t)t->n_features);
}

static struct am_node *conv_layer(struct am_layer_list *l, const char *type, const char *name,
                                  size_t i, int64_t filters, const struct am_learn_task *t)
{
    char text[48];
    struct am_node *n;
    (void)snprintf(text, sizeof text, "%s%zu", name, i);
    n = am_layer_append(l, type, text, NULL);
    am_layer_set(l, n, "filters", filters);
    am_layer_set(l, n, "kernel", (int64_t)am_key_number(t, &am_learner_autoencoder, "kernel"));
    am_layer_set(l, n, "stride", 2);
    return n;
}

static void set_list(struct am_layer_list *l, struct am_node *n, const char *key, const int64_t *v,
                     size_t k)
{
    struct am_node *list = am_new_list(l->arena);
    for (size_t i = 0; i < k; i++)
        am_node_push(l->arena, list, am_new_i64(l->arena, v[i]));
    am_node_set(l->arena, n, key, list);
}

/* Halves rounded up on the way in; doubled and cut on the way back. A sound [T,C] is a picture of
 * one channel. */
static void write_conv(const struct am_learn_task *t, struct am_layer_list *l)
{
    const struct am_learner_ops *ops = &am_learner_autoencoder;
    struct am_str act = am_key_text(t, ops, "activation");
    const int64_t h = t->shape.d[0], w = t->shape.d[1], c = t->shape.rank == 3 ? t->shape.d[2] : 1,
                  zeros[3] = {0, 0, 0};
    int64_t filters[64], size[3] = {h, w, c};
    size_t n = am_key_ints(t, ops, "filters", filters, 16);
    if (t->shape.rank == 2)
        set_list(l, am_layer_append(l, "reshape", "picture", NULL), "shape", size, 3);
    for (size_t i = 0; i < n; i++) {
        am_layer_set_text(l, conv_layer(l, "conv2d", "encoder", i + 1, filters[i], t), "activation",
                          act);
        size[0] = (size[0] + 1) / 2;
        size[1] = (size[1] + 1) / 2;
        size[2] = filters[i];
    }
    am_layer_append(l, "flatten", "flatten", NULL);
    code_layer(l, t);
    am_preset_dense(l, &(int64_t){size[0] * size[1] * size[2]}, 1, "decoder", act, 0);
    set_list(l, am_layer_append(l, "reshape", "grid", NULL), "shape", size, 3);
    for (size_t i = n; i-- > 0;) {
        struct am_node *m =
            conv_layer(l, "conv2d_transposed", "decode", n - i, i ? filters[i - 1] : c, t);
        if (i)
            am_layer_set_text(l, m, "activation", act);
        size[0] *= 2;
        size[1] *= 2;
    }
    if (size[0] != h || size[1] != w) {
        struct am_node *m = am_layer_append(l, "slice", "cut", NULL);
        const int64_t count[3] = {h, w, c};
        set_list(l, m, "first", zeros, 3);
        set_list(l, m, "count", count, 3);
    }
    am_layer_append(l, "flatten", "output", NULL);
}

static enum am_rc write_autoencoder(const struct am_learn_task *t, const struct am_learner_ops *ops,
                                    struct am_layer_list *l, struct am_network_spec *s,
                                    struct am_err *err)
{
    (void)ops;
    (void)err;
    if (is_conv(t) && (t->shape.rank == 2 || t->shape.rank == 3))
        write_conv(t, l);
    else
        write_dense(t, l);
    s->goal = AM_GOAL_RECONSTRUCT;
    return AM_OK;
}

enum am_rc am_learn_select_output(const struct am_graph *g, const char *name, struct am_graph **out,
                                  struct am_err *err)
{
    return am_graph_select_output(g, name, out, err);
}

AM_PRESET(autoencoder, write_autoencoder)

const struct am_learner_ops am_learner_autoencoder = {
    .name = "autoencoder",
    .doc = "Gives rows back through a narrow code: anomaly scores and embeddings; has no target.",
    .flags = AM_LEARNER_STEPS,
    .tasks = AM_OWN_TASKS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check_autoencoder,
    .fit = fit_autoencoder,
    .graph = graph_autoencoder,
};
