/* `cnn`: blocks of convolution, batch norm, activation and pooling, then dense layers; over
 * pictures, the frames of videos, sequences, tokens (through an embedding) and plain rows as
 * sequences of one channel. */
#include <stdio.h>

#include "learn/presets.h"

static const struct am_learner_key keys[] = {
    AM_KEY("filters", AM_LEARNER_KEY_INTS, NULL, 1, 65536, "[32, 64]",
           "Channels of each block of convolutions, first to last."),
    AM_KEY("kernel", AM_LEARNER_KEY_INT, NULL, 1, 255, "3", "Size of the convolutions' window."),
    AM_KEY("convolutions", AM_LEARNER_KEY_INT, NULL, 1, 16, "1", "Convolutions of each block."),
    AM_KEY("pool", AM_LEARNER_KEY_INT, NULL, 1, 255, "2",
           "Window and step of the pooling after each block; 1 = none."),
    AM_KEY("pool_kind", AM_LEARNER_KEY_ENUM, "max|average", 0, 0, "max", "What pooling takes."),
    AM_KEY("global_pool", AM_LEARNER_KEY_ENUM, "none|max|average", 0, 0, "none",
           "Pool each channel to one number before the dense layers, instead of flattening."),
    AM_KEY("batch_norm", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "false",
           "Normalise each channel over the batch, before its activation."),
    AM_KEY("activation", AM_LEARNER_KEY_ENUM, AM_ACTIVATIONS, 0, 0, "relu",
           "Activation of the hidden layers."),
    AM_KEY("dense", AM_LEARNER_KEY_INTS, NULL, 1, 65536, "[128]",
           "Units of each dense layer after the convolutions; [] = none."),
    AM_KEY("dropout", AM_LEARNER_KEY_NUMBER, NULL, 0, 0.95, "0",
           "Rate of a dense layer's outputs that is dropped in training."),
    AM_KEY("embedding", AM_LEARNER_KEY_INT, NULL, 1, 65536, "64",
           "Width of a token's vector, when rows are tokens."),
    AM_KEYS_FRAMES,
};

static const char *numbered(char out[48], const char *name, int64_t i, int64_t j, int64_t n)
{
    if (n > 1)
        (void)snprintf(out, 48, "%s%lld_%lld", name, (long long)i, (long long)j);
    else
        (void)snprintf(out, 48, "%s%lld", name, (long long)i);
    return out;
}

/* Rows of numbers become sequences, frames pictures; gives 2 for pictures, 1 for sequences. */
static enum am_rc shape_rows(const struct am_learn_task *t, const struct am_learner_ops *ops,
                             struct am_layer_list *l, int *dims, struct am_err *err)
{
    struct am_node *n;
    *dims = t->shape.rank >= 3 ? 2 : 1;
    if (t->shape.rank > 4)
        return am_fail(err, AM_EUSAGE,
                       "model.type %s takes videos, pictures and sequences, not %u dimensions",
                       ops->name, t->shape.rank);
    am_preset_split(l, t);
    if (t->n_tokens) {
        n = am_layer_append(l, "embedding", "embedding", NULL);
        am_layer_set(l, n, "width", (int64_t)am_key_number(t, ops, "embedding"));
    } else if (t->shape.rank < 2) {
        struct am_node *shape = am_new_list(l->arena);
        n = am_layer_append(l, "reshape", "sequence", NULL);
        am_node_push(l->arena, shape, am_new_i64(l->arena, -1));
        am_node_push(l->arena, shape, am_new_i64(l->arena, 1));
        am_node_set(l->arena, n, "shape", shape);
    }
    return AM_OK;
}

struct block {
    const struct am_learn_task *t;
    const struct am_learner_ops *ops;
    int dims;
    int64_t number, filters, convolutions;
};

static void write_block(struct am_layer_list *l, const struct block *b)
{
    bool norm = am_key_bool(b->t, b->ops, "batch_norm");
    struct am_str act = am_key_text(b->t, b->ops, "activation");
    char name[48];
    for (int64_t j = 1; j <= b->convolutions; j++) {
        struct am_node *n =
            am_layer_append(l, b->dims == 2 ? "conv2d" : "conv1d",
                            numbered(name, "conv", b->number, j, b->convolutions), NULL);
        am_layer_set(l, n, "filters", b->filters);
        am_layer_set(l, n, "kernel", (int64_t)am_key_number(b->t, b->ops, "kernel"));
        if (norm) {
            am_node_set(l->arena, n, "bias", am_new_bool(l->arena, false));
            am_layer_append(l, "batch_norm", numbered(name, "norm", b->number, j, b->convolutions),
                            NULL);
            n = am_layer_append(l, "activation",
                                numbered(name, "act", b->number, j, b->convolutions), NULL);
        }
        am_layer_set_text(l, n, "activation", act);
    }
}

/* Where the picture is smaller than the window already, pooling ends. */
static bool shrink(int64_t size[2], int dims, int64_t pool)
{
    if (pool < 2 || size[0] < pool || (dims == 2 && size[1] < pool))
        return false;
    size[0] /= pool;
    size[1] /= pool;
    return true;
}

static enum am_rc write_cnn(const struct am_learn_task *t, const struct am_learner_ops *ops,
                            struct am_layer_list *l, struct am_network_spec *s, struct am_err *err)
{
    int64_t filters[64], dense[64], pool = (int64_t)am_key_number(t, ops, "pool");
    size_t n = am_key_ints(t, ops, "filters", filters, 64);
    size_t n_dense = am_key_ints(t, ops, "dense", dense, 64);
    int64_t size[2];
    struct am_str global = am_key_text(t, ops, "global_pool");
    char name[48];
    struct block b = {
        .t = t, .ops = ops, .convolutions = (int64_t)am_key_number(t, ops, "convolutions")};
    (void)s;
    am_preset_sides(t, size);
    AM_TRY(shape_rows(t, ops, l, &b.dims, err));
    for (size_t i = 0; i < n; i++) {
        b.number = (int64_t)i + 1;
        b.filters = filters[i];
        write_block(l, &b);
        if (shrink(size, b.dims, pool))
            am_layer_set(l,
                         am_layer_append(l,
                                         am_str_is(am_key_text(t, ops, "pool_kind"), "max")
                                             ? "max_pool"
                                             : "average_pool",
                                         numbered(name, "pool", b.number, 0, 1), NULL),
                         "kernel", pool);
    }
    if (am_str_is(global, "none"))
        am_layer_append(l, "flatten", "flatten", NULL);
    else
        am_layer_append(l, am_str_is(global, "max") ? "global_max_pool" : "global_average_pool",
                        "global_pool", NULL);
    (void)am_preset_join(l, t, ops);
    am_preset_dense(l, dense, n_dense, "dense", am_key_text(t, ops, "activation"),
                    am_key_number(t, ops, "dropout"));
    return AM_OK;
}

AM_PRESET(cnn, write_cnn)

const struct am_learner_ops am_learner_cnn = {
    .name = "cnn",
    .doc =
        "Convolutions and pooling, then dense layers: for pictures, videos, sequences and tokens.",
    .flags = AM_LEARNER_STEPS,
    .tasks = AM_NETWORK_TASKS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fit = fit_cnn,
    .graph = graph_cnn,
};
