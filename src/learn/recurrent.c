/* `rnn`, `lstm` and `gru`: recurrent layers over a row's steps, pooled to one vector, then dense
 * layers. Tokens go through an embedding; the rows of a picture are its steps; the columns of a
 * plain row are steps of one number. */
#include "learn/presets.h"

#define KEYS                                                                                       \
    AM_KEY("units", AM_LEARNER_KEY_INT, NULL, 1, 65536, "64",                                      \
           "Numbers in the state of a recurrent layer."),                                          \
        AM_KEY("depth", AM_LEARNER_KEY_INT, NULL, 1, 64, "1",                                      \
               "Recurrent layers on top of one another."),                                         \
        AM_KEY("bidirectional", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "false",                          \
               "Read each row from its end, too."),                                                \
        AM_KEY("pooling", AM_LEARNER_KEY_ENUM, "last|mean|max|attention", 0, 0, "last",            \
               "How the states of all steps become one vector."),                                  \
        AM_KEY("dense", AM_LEARNER_KEY_INTS, NULL, 1, 65536, "[]",                                 \
               "Units of each dense layer after them; [] = none."),                                \
        AM_KEY("activation", AM_LEARNER_KEY_ENUM, AM_ACTIVATIONS, 0, 0, "relu",                    \
               "Activation of the dense layers."),                                                 \
        AM_KEY("dropout", AM_LEARNER_KEY_NUMBER, NULL, 0, 0.95, "0",                               \
               "Rate that is dropped in training: between recurrent layers, before the dense "     \
               "ones and after each of them."),                                                    \
        AM_KEY("embedding", AM_LEARNER_KEY_INT, NULL, 1, 65536, "64",                              \
               "Width of a token's vector, when rows are tokens.")

static const struct am_learner_key keys[] = {KEYS};

static void steps_of(const struct am_learn_task *t, const struct am_learner_ops *ops,
                     struct am_layer_list *l)
{
    struct am_node *n, *shape = am_new_list(l->arena);
    if (t->n_tokens) {
        n = am_layer_append(l, "embedding", "embedding", NULL);
        am_layer_set(l, n, "width", (int64_t)am_key_number(t, ops, "embedding"));
        return;
    }
    if (t->shape.rank == 2)
        return;
    n = am_layer_append(l, "reshape", "steps", NULL);
    am_node_push(l->arena, shape,
                 am_new_i64(l->arena, t->shape.rank > 2 ? t->shape.d[0] : (int64_t)t->n_features));
    am_node_push(l->arena, shape, am_new_i64(l->arena, -1));
    am_node_set(l->arena, n, "shape", shape);
}

static enum am_rc write_recurrent(const struct am_learn_task *t, const struct am_learner_ops *ops,
                                  struct am_layer_list *l, struct am_network_spec *s,
                                  struct am_err *err)
{
    struct am_str pooling = am_key_text(t, ops, "pooling");
    double dropout = am_key_number(t, ops, "dropout");
    int64_t dense[64];
    size_t n_dense = am_key_ints(t, ops, "dense", dense, 64);
    struct am_node *n;
    (void)s;
    (void)err;
    steps_of(t, ops, l);
    n = am_layer_append(l, ops->name, "recurrent", NULL);
    am_layer_set(l, n, "units", (int64_t)am_key_number(t, ops, "units"));
    am_layer_set(l, n, "layers", (int64_t)am_key_number(t, ops, "depth"));
    am_layer_set_number(l, n, "dropout", dropout);
    if (am_key_bool(t, ops, "bidirectional"))
        am_layer_set_bool(l, n, "bidirectional");
    if (!am_str_is(pooling, "last")) {
        am_layer_set_bool(l, n, "sequences");
        am_layer_append(l,
                        am_str_is(pooling, "mean")  ? "global_average_pool"
                        : am_str_is(pooling, "max") ? "global_max_pool"
                                                    : "attention_pool",
                        "pool", NULL);
    }
    if (dropout > 0)
        am_layer_set_number(l, am_layer_append(l, "dropout", "pool_dropout", NULL), "rate",
                            dropout);
    am_preset_dense(l, dense, n_dense, "dense", am_key_text(t, ops, "activation"), dropout);
    return AM_OK;
}

AM_PRESET(rnn, write_recurrent)
AM_PRESET(lstm, write_recurrent)
AM_PRESET(gru, write_recurrent)

#define LEARNER(id, text)                                                                          \
    const struct am_learner_ops am_learner_##id = {                                                \
        .name = #id,                                                                               \
        .doc = text,                                                                               \
        .flags = AM_LEARNER_STEPS,                                                                 \
        .tasks = AM_NETWORK_TASKS,                                                                 \
        .keys = keys,                                                                              \
        .n_keys = sizeof keys / sizeof keys[0],                                                    \
        .fit = fit_##id,                                                                           \
        .graph = graph_##id,                                                                       \
    }
LEARNER(rnn, "Plain recurrent network over sequences and tokens.");
LEARNER(lstm, "Long short-term memory over sequences and tokens.");
LEARNER(gru, "Gated recurrent units over sequences and tokens.");
