/* `resnet18`, `resnet50` (He et al. 2016) and `mobilenet_v2` (Sandler et al. 2018) as torchvision
 * builds them, with its names, so that its weights load by name. Pictures under 64 pixels get the
 * usual small stem: nothing is thrown away before the first stage. */
#include <stdio.h>

#include "learn/presets.h"

static const struct am_learner_key resnet_keys[] = {
    AM_KEY("stem", AM_LEARNER_KEY_ENUM, "auto|large|small", 0, 0, "auto",
           "The first layers: large divides the size by four (mobilenet_v2: two), small keeps it; "
           "auto is small under 64 pixels."),
    AM_KEYS_FRAMES,
};
static const struct am_learner_key mobilenet_keys[] = {
    AM_KEY("stem", AM_LEARNER_KEY_ENUM, "auto|large|small", 0, 0, "auto",
           "The first layers: large divides the size by four (mobilenet_v2: two), small keeps it; "
           "auto is small under 64 pixels."),
    AM_KEY("width", AM_LEARNER_KEY_NUMBER, NULL, 0.1, 4, "1", "Factor of all channels."),
    AM_KEY("dropout", AM_LEARNER_KEY_NUMBER, NULL, 0, 0.95, "0.2",
           "Rate dropped before the last layer in training."),
    AM_KEYS_FRAMES,
};

struct net {
    struct am_layer_list *l;
    char prefix[40];
    char last[64]; /* name of the layer that the next one reads */
};

static const char *join(char out[64], const char *prefix, const char *name)
{
    (void)snprintf(out, 64, "%s%s", prefix, name);
    return out;
}

struct conv {
    int64_t filters, kernel, stride;
    bool depthwise;
};

/* A layer that reads the last one and becomes it. */
static struct am_node *then(struct net *n, const char *type, const char *name)
{
    char full[64];
    struct am_node *m =
        am_layer_append(n->l, type, join(full, n->prefix, name), n->last[0] ? n->last : NULL);
    (void)snprintf(n->last, sizeof n->last, "%s", full);
    return m;
}

static void activation(struct net *n, const char *name, const char *act)
{
    am_layer_set_text(n->l, then(n, "activation", name), "activation", am_str(act));
}

/* Convolution without bias, batch norm. */
static void conv_norm(struct net *n, const struct conv *c, const char *conv, const char *norm)
{
    struct am_node *m = then(n, c->depthwise ? "depthwise_conv2d" : "conv2d", conv);
    if (!c->depthwise)
        am_layer_set(n->l, m, "filters", c->filters);
    am_layer_set(n->l, m, "kernel", c->kernel);
    am_layer_set(n->l, m, "stride", c->stride);
    am_layer_set(n->l, m, "padding", c->kernel / 2);
    am_node_set(n->l->arena, m, "bias", am_new_bool(n->l->arena, false));
    am_layer_set_text(n->l, m, "init", AM_STR("he_normal"));
    then(n, "batch_norm", norm);
}

static void sum(struct net *n, const char *other, const char *name)
{
    char full[64];
    struct am_arena *a = n->l->arena;
    struct am_node *m = am_layer_append(n->l, "add", join(full, n->prefix, name), NULL);
    struct am_node *in = am_new_list(a);
    am_node_push(a, in, am_new_cstr(a, n->last));
    am_node_push(a, in, am_new_cstr(a, other));
    am_node_set(a, m, "input", in);
    (void)snprintf(n->last, sizeof n->last, "%s", full);
}

static enum am_rc check_picture(const struct am_learn_task *t, const struct am_learner_ops *ops,
                                struct am_err *err)
{
    char dims[AM_DIMS_CHARS];
    if (t->shape.rank == 3 || t->shape.rank == 4)
        return AM_OK;
    am_fail(err, AM_EUSAGE,
            "model.type %s takes pictures and videos, but the features of a row are %s", ops->name,
            t->shape.rank ? am_dims_print(&t->shape, dims) : "[n]");
    am_hint(err, "Use it with one image or video column and no other feature, or use mlp.");
    return AM_EUSAGE;
}

static bool small_stem(const struct am_learn_task *t, const struct am_learner_ops *ops)
{
    struct am_str s = am_key_text(t, ops, "stem");
    int64_t sides[2];
    am_preset_sides(t, sides);
    return am_str_is(s, "small") || (am_str_is(s, "auto") && (sides[0] < 64 || sides[1] < 64));
}

/* ---- ResNet ---- */

struct stage {
    int64_t filters, stride;
    bool bottleneck, widen; /* widen: the short cut needs a convolution */
};

static void residual_block(struct net *n, const struct stage *s)
{
    char before[64], after[64];
    const int64_t out = s->bottleneck ? 4 * s->filters : s->filters;
    (void)snprintf(before, sizeof before, "%s", n->last);
    if (s->bottleneck) {
        conv_norm(n, &(struct conv){s->filters, 1, 1, false}, "conv1", "bn1");
        activation(n, "relu1", "relu");
        conv_norm(n, &(struct conv){s->filters, 3, s->stride, false}, "conv2", "bn2");
        activation(n, "relu2", "relu");
        conv_norm(n, &(struct conv){out, 1, 1, false}, "conv3", "bn3");
    } else {
        conv_norm(n, &(struct conv){s->filters, 3, s->stride, false}, "conv1", "bn1");
        activation(n, "relu1", "relu");
        conv_norm(n, &(struct conv){s->filters, 3, 1, false}, "conv2", "bn2");
    }
    if (s->widen) {
        (void)snprintf(after, sizeof after, "%s", n->last);
        (void)snprintf(n->last, sizeof n->last, "%s", before);
        conv_norm(n, &(struct conv){out, 1, s->stride, false}, "downsample.0", "downsample.1");
        (void)snprintf(before, sizeof before, "%s", after);
    }
    sum(n, before, "add");
    activation(n, "relu", "relu");
}

static enum am_rc write_resnet(const struct am_learn_task *t, const struct am_learner_ops *ops,
                               struct am_layer_list *l, struct am_network_spec *s,
                               struct am_err *err)
{
    static const size_t blocks18[4] = {2, 2, 2, 2}, blocks50[4] = {3, 4, 6, 3};
    const bool bottleneck = ops == &am_learner_resnet50;
    const size_t *blocks = bottleneck ? blocks50 : blocks18;
    struct net n = {.l = l};
    AM_TRY(check_picture(t, ops, err));
    am_preset_split(l, t);
    if (small_stem(t, ops)) {
        conv_norm(&n, &(struct conv){64, 3, 1, false}, "conv1", "bn1");
        activation(&n, "relu", "relu");
    } else {
        struct am_node *p;
        conv_norm(&n, &(struct conv){64, 7, 2, false}, "conv1", "bn1");
        activation(&n, "relu", "relu");
        p = then(&n, "max_pool", "maxpool");
        am_layer_set(l, p, "kernel", 3);
        am_layer_set(l, p, "stride", 2);
        am_layer_set(l, p, "padding", 1);
    }
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < blocks[i]; k++) {
            const struct stage stage = {.filters = (int64_t)64 << i,
                                        .stride = i > 0 && k == 0 ? 2 : 1,
                                        .bottleneck = bottleneck,
                                        .widen = k == 0 && (i > 0 || bottleneck)};
            (void)snprintf(n.prefix, sizeof n.prefix, "layer%zu.%zu.", i + 1, k);
            residual_block(&n, &stage);
        }
    n.prefix[0] = 0;
    then(&n, "global_average_pool", "avgpool");
    (void)am_preset_join(l, t, ops);
    s->head_name = "fc";
    return AM_OK;
}

AM_PRESET(resnet18, write_resnet)
AM_PRESET(resnet50, write_resnet)

/* ---- MobileNetV2 ---- */

/* The nearest multiple of 8 that is not more than a tenth below. */
static int64_t divisible(double v)
{
    int64_t n = (int64_t)(v + 4) / 8 * 8;
    if (n < 8)
        n = 8;
    return (double)n < 0.9 * v ? n + 8 : n;
}

static void inverted_block(struct net *n, int64_t in, int64_t out, int64_t expand, int64_t stride)
{
    char before[64];
    (void)snprintf(before, sizeof before, "%s", n->last);
    if (expand > 1) {
        conv_norm(n, &(struct conv){in * expand, 1, 1, false}, "conv.0.0", "conv.0.1");
        activation(n, "conv.0.2", "relu6");
        conv_norm(n, &(struct conv){0, 3, stride, true}, "conv.1.0", "conv.1.1");
        activation(n, "conv.1.2", "relu6");
        conv_norm(n, &(struct conv){out, 1, 1, false}, "conv.2", "conv.3");
    } else {
        conv_norm(n, &(struct conv){0, 3, stride, true}, "conv.0.0", "conv.0.1");
        activation(n, "conv.0.2", "relu6");
        conv_norm(n, &(struct conv){out, 1, 1, false}, "conv.1", "conv.2");
    }
    if (stride == 1 && in == out)
        sum(n, before, "add");
}

static enum am_rc write_mobilenet(const struct am_learn_task *t, const struct am_learner_ops *ops,
                                  struct am_layer_list *l, struct am_network_spec *s,
                                  struct am_err *err)
{
    static const struct {
        int64_t expand, filters, n, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    const double width = am_key_number(t, ops, "width"), dropout = am_key_number(t, ops, "dropout");
    struct net n = {.l = l};
    int64_t in = divisible(32 * width);
    size_t number = 1;
    bool small;
    AM_TRY(check_picture(t, ops, err));
    am_preset_split(l, t);
    small = small_stem(t, ops);
    conv_norm(&n, &(struct conv){in, 3, small ? 1 : 2, false}, "features.0.0", "features.0.1");
    activation(&n, "features.0.2", "relu6");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        for (int64_t k = 0; k < stages[i].n; k++, number++) {
            int64_t out = divisible((double)stages[i].filters * width);
            int64_t stride = k > 0 || (small && i == 1) ? 1 : stages[i].stride;
            (void)snprintf(n.prefix, sizeof n.prefix, "features.%zu.", number);
            inverted_block(&n, in, out, stages[i].expand, stride);
            in = out;
        }
    n.prefix[0] = 0;
    conv_norm(&n, &(struct conv){divisible(1280 * (width > 1 ? width : 1)), 1, 1, false},
              "features.18.0", "features.18.1");
    activation(&n, "features.18.2", "relu6");
    then(&n, "global_average_pool", "avgpool");
    const char *time = am_preset_join(l, t, ops);
    if (time)
        (void)snprintf(n.last, sizeof n.last, "%s", time);
    if (dropout > 0)
        am_layer_set_number(l, then(&n, "dropout", "classifier.0"), "rate", dropout);
    s->head_name = "classifier.1";
    return AM_OK;
}

AM_PRESET(mobilenet_v2, write_mobilenet)

#define LEARNER(id, text, table)                                                                   \
    const struct am_learner_ops am_learner_##id = {                                                \
        .name = #id,                                                                               \
        .doc = text,                                                                               \
        .flags = AM_LEARNER_STEPS,                                                                 \
        .tasks = AM_NETWORK_TASKS,                                                                 \
        .keys = table,                                                                             \
        .n_keys = sizeof(table) / sizeof((table)[0]),                                              \
        .fit = fit_##id,                                                                           \
        .graph = graph_##id,                                                                       \
    }
LEARNER(resnet18, "Residual network of 18 layers, for pictures and videos.", resnet_keys);
LEARNER(resnet50, "Residual network of 50 layers, for pictures and videos.", resnet_keys);
LEARNER(mobilenet_v2, "Small network of separated convolutions, for pictures and videos.",
        mobilenet_keys);
