/* Multi-layer perceptron, and the perceptron without hidden layers: two settings of the neural
 * path. Reads and checks keys only. */
#include <string.h>

#include "learn/layers_int.h"

#define DROPOUT_MAX 0.95

static const struct am_learner_key keys[] = {
    AM_KEY("layers", AM_LEARNER_KEY_INTS, NULL, 1, 65536, "[100]",
           "Units of each hidden layer, first to last; [] is a linear model."),
    AM_KEY("activation", AM_LEARNER_KEY_ENUM,
           "relu|leaky_relu|elu|gelu|gelu_tanh|silu|sigmoid|tanh|none", 0, 0, "relu",
           "Activation of the hidden layers."),
    AM_KEY("activation_alpha", AM_LEARNER_KEY_NUMBER, NULL, 0, 10, "0",
           "Slope of leaky_relu below 0 (0 stands for 0.01), or elu's alpha (0 stands for 1)."),
    AM_KEY("dropout", AM_LEARNER_KEY_NUMBER, NULL, 0, DROPOUT_MAX, "0",
           "Rate of a hidden layer's outputs that is dropped in training."),
    AM_KEY("batch_norm", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "false",
           "Normalise each hidden unit over the batch, before its activation."),
    AM_KEY("layer_norm", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "false",
           "Normalise each row over the hidden layer, before its activation."),
    AM_KEY("residual", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "false",
           "Add a layer's input to its output where their widths are equal."),
    AM_KEY("init", AM_LEARNER_KEY_ENUM, "auto|he_uniform|he_normal|glorot_uniform|glorot_normal", 0,
           0, "auto", "Start of the weights: He for the relu family, else Glorot."),
    AM_KEY("embedding", AM_LEARNER_KEY_INT, NULL, 1, 65536, "64",
           "Width of a token's vector, when rows are tokens."),
};

static void read_layers(const struct am_learn_task *t, struct am_network_spec *s)
{
    const struct am_node *n = am_node_get(t->model, "layers");
    s->n_layers = 1;
    s->layers[0] = 100;
    if (!n || n->kind != AM_NODE_LIST)
        return;
    s->n_layers = n->list.n < 64 ? n->list.n : 64;
    for (size_t i = 0; i < s->n_layers; i++) {
        int64_t units = 1;
        (void)am_node_as_i64(n->list.items[i], &units);
        s->layers[i] = (size_t)units;
    }
}

static struct am_network_spec mlp_spec(const struct am_learn_task *t)
{
    const struct am_learner_ops *o = &am_learner_mlp;
    struct am_network_spec s = {
        .activation = am_act_named(am_key_text(t, o, "activation")),
        .alpha = (float)am_key_number(t, o, "activation_alpha"),
        .dropout = (float)am_key_number(t, o, "dropout"),
        .batch_norm = am_key_bool(t, o, "batch_norm"),
        .layer_norm = am_key_bool(t, o, "layer_norm"),
        .residual = am_key_bool(t, o, "residual"),
        .embedding = (size_t)am_key_number(t, o, "embedding"),
        .name = "mlp",
    };
    s.init = am_init_named(am_key_text(t, o, "init"), s.activation);
    read_layers(t, &s);
    return s;
}

static enum am_rc fit_mlp(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                          struct am_err *err)
{
    struct am_network_spec s = mlp_spec(t);
    return am_network_fit(t, &s, out, a, err);
}

static enum am_rc graph_mlp(const struct am_learn_task *t, struct am_graph **out,
                            struct am_err *err)
{
    struct am_network_spec s = mlp_spec(t);
    return am_network_graph(t, &s, out, err);
}

static enum am_rc check_mlp(const struct am_learn_task *t, struct am_err *err)
{
    const struct am_learner_ops *o = &am_learner_mlp;
    struct am_str s = am_key_text(t, o, "activation");
    char where[AM_WHERE_CHARS];
    if (am_key_bool(t, o, "batch_norm") && am_key_bool(t, o, "layer_norm")) {
        am_fail(err, AM_EUSAGE, "%smodel.batch_norm and model.layer_norm are both true",
                am_key_where(am_node_get(t->model, "layer_norm"), where));
        am_hint(err, "Choose one of them.");
        return AM_EUSAGE;
    }
    if (am_key_number(t, o, "activation_alpha") > 0 && !am_str_is(s, "leaky_relu") &&
        !am_str_is(s, "elu")) {
        am_fail(err, AM_EUSAGE, "%smodel.activation_alpha is set, but activation \"%.*s\" has none",
                am_key_where(am_node_get(t->model, "activation_alpha"), where), AM_FMT(s));
        am_hint(err, "Use it with leaky_relu or elu, or remove it.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc fit_perceptron(const struct am_learn_task *t, struct am_learned *out,
                                 struct am_arena *a, struct am_err *err)
{
    struct am_network_spec s = {.loss = AM_LOSS_HINGE,
                                .loss_given = true,
                                .margin = 0,
                                .init = AM_INIT_GLOROT_UNIFORM,
                                .name = "perceptron"};
    return am_network_fit(t, &s, out, a, err);
}

const struct am_learner_ops am_learner_mlp = {
    .name = "mlp",
    .doc = "Neural network of dense layers.",
    .flags = AM_LEARNER_STEPS,
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS |
             1u << AM_TASK_MULTILABEL,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .check = check_mlp,
    .sparse = true,
    .fit = fit_mlp,
    .graph = graph_mlp,
};

const struct am_learner_ops am_learner_perceptron = {
    .name = "perceptron",
    .doc = "Rosenblatt's perceptron: a linear boundary moved by its mistakes; scores, no "
           "probabilities.",
    .flags = AM_LEARNER_STEPS,
    .tasks = 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .fit = fit_perceptron,
    .sparse = true,
};
