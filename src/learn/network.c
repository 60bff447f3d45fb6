/* The neural path: builds the graph, prepares the rows for the loss (scaled targets, class weights,
 * one column per class for hinge), runs the trainer and returns the model's own graph.
 *
 * A number to predict is trained in units of its deviation, so that one learning rate fits all
 * targets; the stored graph ends with the way back, and losses are reported in the target's units.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "learn/layers.h"
#include "learn/learn_int.h"
#include "learn/stream.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"
#include "nn/plan.h"

/* Rows as the loss wants them, over the task's. */
struct prepared {
    struct am_train_data data;
    const struct am_train_data *base;
    const double *class_weights; /* NULL = all 1 */
    size_t n_classes;
    bool one_hot;
    bool mixed;             /* targets as loss.h's mixed ones */
    bool labels;            /* the target is a set of n_classes labels, bit by bit */
    bool reconstruct;       /* the target is the features */
    double mean, deviation; /* of a number to predict */
};

struct network {
    const struct am_learn_task *task;
    const struct am_network_spec *spec;
    struct am_train_config config;
    struct prepared train, validation;
    double mean, deviation, loss_factor;
    double *class_weights;  /* owned */
    struct am_arena *arena; /* of the weights' report; borrowed */
    struct am_node *info;   /* borrowed; NULL = none wanted */
    struct am_train_hooks hooks;
};

/* Mixup gives two classes and the share of the second; without it the first has all. Class weights
 * are each class's own part of the row's weight. */
struct shares {
    size_t class, other;
    double share, weight;
};

static struct shares shares_of(const struct prepared *p, const float *target, bool mixes, float w)
{
    struct shares s = {.weight = (double)w};
    if (p->labels)
        return s;
    s.class = s.other = p->n_classes ? (size_t)target[0] : 0;
    if (mixes) {
        s.other = (size_t)target[1];
        s.share = (double)target[2];
    }
    if (p->class_weights) {
        const double other = s.share * p->class_weights[s.other];
        const double all = (1 - s.share) * p->class_weights[s.class] + other;
        s.weight *= all;
        s.share = all > 0 ? other / all : 0;
    }
    return s;
}

static void put_target(const struct prepared *p, const struct shares *s, float target, float *y)
{
    if (p->mixed) {
        y[0] = (float)s->class;
        y[1] = (float)s->other;
        y[2] = (float)s->share;
    } else if (p->one_hot) {
        for (size_t c = 0; c < p->n_classes; c++)
            y[c] = (float)((c == s->class ? 1 - s->share : 0) + (c == s->other ? s->share : 0));
    } else if (p->labels) {
        for (size_t c = 0; c < p->n_classes; c++)
            y[c] = (float)((uint32_t)target >> c & 1);
    } else if (p->n_classes) { /* two of them */
        *y = (float)((1 - s->share) * (double)s->class + s->share * (double)s->other);
    } else {
        *y = (float)(((double)target - p->mean) / p->deviation);
    }
}

/* epoch NULL: the rows as they are */
static enum am_rc gather_chunk(const struct prepared *p, const uint64_t *epoch,
                               const uint64_t *rows, size_t n, float *x, float *y, float *w,
                               struct am_err *err)
{
    const struct am_train_data *b = p->base;
    const bool mixes = epoch && b->mixes;
    float target[3 * 256], weight[256];
    if (epoch)
        AM_TRY(b->gather_at(b->self, *epoch, rows, n, x, target, weight, err));
    else
        AM_TRY(b->gather(b->self, rows, n, x, target, weight, err));
    for (size_t i = 0; i < n; i++) {
        const float *t = target + i * (mixes ? 3 : 1);
        const struct shares s = shares_of(p, t, mixes, weight[i]);
        if (w)
            w[i] = (float)s.weight;
        if (y)
            put_target(p, &s, *t, y + i * p->data.n_targets);
    }
    return AM_OK;
}

static enum am_rc gather_parts(const struct prepared *p, const uint64_t *epoch,
                               const uint64_t *rows, size_t n, float *x, float *y, float *w,
                               struct am_err *err)
{
    const struct am_train_data *b = p->base;
    if (p->reconstruct) {
        AM_TRY(epoch ? b->gather_at(b->self, *epoch, rows, n, x ? x : y, NULL, w, err)
                     : b->gather(b->self, rows, n, x ? x : y, NULL, w, err));
        if (x && y)
            memcpy(y, x, n * b->n_features * sizeof *y);
        return AM_OK;
    }
    for (size_t i = 0; i < n; i += 256) {
        size_t part = n - i < 256 ? n - i : 256;
        AM_TRY(gather_chunk(p, epoch, rows + i, part, x ? x + i * p->data.n_features : NULL,
                            y ? y + i * p->data.n_targets : NULL, w ? w + i : NULL, err));
    }
    return AM_OK;
}

static enum am_rc gather_prepared(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                                  float *w, struct am_err *err)
{
    return gather_parts(self, NULL, rows, n, x, y, w, err);
}

static enum am_rc gather_prepared_at(void *self, uint64_t epoch, const uint64_t *rows, size_t n,
                                     float *x, float *y, float *w, struct am_err *err)
{
    return gather_parts(self, &epoch, rows, n, x, y, w, err);
}

static enum am_rc gather_prepared_sparse(void *self, const uint64_t *rows, size_t n,
                                         struct am_csr_buf *x, float *y, float *w,
                                         struct am_err *err)
{
    const struct prepared *p = self;
    const struct am_train_data *b = p->base;
    float target[256], weight[256];
    for (size_t i = 0; i < n; i += 256) {
        const size_t part = n - i < 256 ? n - i : 256;
        AM_TRY(b->gather_sparse(b->self, rows + i, part, x, target, weight, err));
        for (size_t k = 0; k < part; k++) {
            const struct shares s = shares_of(p, target + k, false, weight[k]);
            if (w)
                w[i + k] = (float)s.weight;
            if (y)
                put_target(p, &s, target[k], y + (i + k) * p->data.n_targets);
        }
    }
    return AM_OK;
}

static void prepare_rows(const struct network *n, const struct am_train_data *base,
                         struct prepared *out)
{
    bool one_hot = n->config.loss.kind == AM_LOSS_HINGE && n->task->task == AM_TASK_MULTICLASS;
    bool back = n->spec->goal == AM_GOAL_RECONSTRUCT;
    bool mixed = n->config.loss.mixed, labels = n->task->task == AM_TASK_MULTILABEL;
    *out = (struct prepared){.base = base,
                             .mixed = mixed,
                             .class_weights = n->class_weights,
                             .n_classes = n->task->n_classes,
                             .one_hot = one_hot,
                             .labels = labels,
                             .reconstruct = back,
                             .mean = n->mean,
                             .deviation = n->deviation};
    out->data = (struct am_train_data){
        .n_rows = base->n_rows,
        .n_features = base->n_features,
        .n_targets = back                ? base->n_features
                     : one_hot || labels ? n->task->n_classes
                     : mixed             ? 3
                                         : 1,
        .self = out,
        .gather = gather_prepared,
        .gather_at = base->gather_at ? gather_prepared_at : NULL,
        .gather_sparse = base->gather_sparse && !back ? gather_prepared_sparse : NULL,
        .in_ram = base->in_ram};
}

static void target_sums(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const double *shift = ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        double w = r->w ? (double)r->w[i] : 1, y = (double)r->y[i] - *shift;
        sums[0] += w;
        sums[1] += w * y;
        sums[2] += w * y * y;
    }
}

static enum am_rc scale_target(struct network *n, struct am_err *err)
{
    struct am_stream s;
    double sums[3], shift = 0;
    enum am_rc rc = AM_OK;
    AM_TRY(am_stream_init(&s, n->task->train, 3, 0, n->task->pool, n->task->hooks.progress, err));
    for (int pass = 0; pass < 2 && rc == AM_OK; pass++) {
        rc = am_stream_sum(&s, target_sums, &shift, sums, err);
        if (pass == 0 && sums[0] > 0)
            shift = sums[1] / sums[0];
    }
    am_stream_clear(&s);
    if (rc != AM_OK)
        return rc;
    if (!isfinite(shift) || !isfinite(sums[2]))
        return am_fail(err, AM_EINVAL, "the target holds values that are not finite");
    n->mean = shift;
    n->deviation = sums[0] > 0 && sums[2] > 0 ? sqrt(sums[2] / sums[0]) : 1;
    n->loss_factor =
        n->config.loss.kind == AM_LOSS_MAE ? n->deviation : n->deviation * n->deviation;
    n->config.min_delta /= n->loss_factor;
    return AM_OK;
}

static enum am_rc weigh_classes(struct network *n, struct am_err *err)
{
    bool even = true;
    n->class_weights = am_calloc(n->task->n_classes, sizeof *n->class_weights);
    if (!n->class_weights)
        return am_fail_nomem(err, n->task->n_classes * sizeof *n->class_weights);
    AM_TRY(am_learn_class_weights(n->task, n->class_weights, err));
    for (size_t k = 0; k < n->task->n_classes; k++)
        even &= n->class_weights[k] == 1;
    if (even) {
        am_free(n->class_weights);
        n->class_weights = NULL;
    }
    return AM_OK;
}

static am_value hidden_layer(const struct am_network_spec *s, struct am_graph *g, am_value x,
                             size_t i, int64_t width_before)
{
    char name[32];
    bool norm = s->batch_norm || s->layer_norm;
    struct am_dense_options o = {
        .act = norm ? AM_ACT_NONE : s->activation, .alpha = s->alpha, .init = s->init};
    am_value before = x;
    (void)snprintf(name, sizeof name, "hidden%zu", i + 1);
    x = am_layer_dense(g, x, (int64_t)s->layers[i], &o, name);
    (void)snprintf(name, sizeof name, "norm%zu", i + 1);
    if (s->batch_norm)
        x = am_layer_batch_norm(g, x, 1e-5f, 0.1f, name);
    else if (s->layer_norm)
        x = am_layer_layer_norm(g, x, 1e-5f, name);
    if (norm)
        x = am_layer_activation(g, x, s->activation, s->alpha);
    if (s->dropout > 0)
        x = am_layer_dropout(g, x, s->dropout);
    if (s->residual && width_before == (int64_t)s->layers[i])
        x = am_layer_add(g, x, before);
    return x;
}

enum graph_use { FOR_TRAINING, FOR_PREDICTING };

static enum am_act output_activation(const struct network *n, enum graph_use use)
{
    if (n->task->task == AM_TASK_REGRESSION)
        return AM_ACT_NONE;
    if (n->config.loss.kind == AM_LOSS_HINGE && use == FOR_TRAINING)
        return AM_ACT_NONE;
    return n->task->task == AM_TASK_MULTICLASS ? AM_ACT_SOFTMAX : AM_ACT_SIGMOID;
}

static am_value hidden_layers(const struct network *n, struct am_graph *g, am_value x)
{
    const struct am_network_spec *s = n->spec;
    int64_t width = (int64_t)n->task->n_features;
    if (s->embedding && n->task->n_tokens) { /* ids: the mean of their vectors */
        am_value lengths = am_layer_lengths(g, x);
        x = am_layer_tokens(g, x, (int64_t)n->task->n_tokens, (int64_t)s->embedding, "embedding");
        x = am_layer_seq_pool(g, x, AM_SEQ_POOL_MEAN, lengths);
        width = (int64_t)s->embedding;
    }
    for (size_t i = 0; i < s->n_layers; i++) {
        x = hidden_layer(s, g, x, i, width);
        width = (int64_t)s->layers[i];
    }
    return x;
}

static bool is_row_of(const struct am_graph *g, am_value x, int64_t width)
{
    const struct am_gnode *node = am_graph_node(g, x);
    return node && node->dims.rank == 2 && node->dims.d[1] == width;
}

/* Did the list itself end in what makes probabilities? */
static bool has_activation(const struct am_network_spec *s, enum am_act act)
{
    const struct am_node *l = s->list;
    struct am_str a;
    if (!l || l->kind != AM_NODE_LIST || l->list.n == 0)
        return false;
    a = am_node_str(l->list.items[l->list.n - 1], "activation", "");
    return (act == AM_ACT_SOFTMAX && am_str_is(a, "softmax")) ||
           (act == AM_ACT_SIGMOID && am_str_is(a, "sigmoid"));
}

static am_value head(const struct network *n, enum graph_use use, struct am_graph *g, am_value x)
{
    const struct am_network_spec *s = n->spec;
    const int64_t width = (int64_t)am_learn_n_outputs(n->task);
    struct am_dense_options o = {
        .act = output_activation(n, use),
        .init = s->init == AM_INIT_ZEROS && !s->list ? AM_INIT_ZEROS : AM_INIT_GLOROT_UNIFORM};
    const struct am_gnode *node = am_graph_node(g, x);
    if (node && am_dims_fold(&node->dims) != 1) {
        char dims[AM_DIMS_CHARS];
        am_graph_fail(g, AM_EUSAGE,
                      "the last layer gives %s, each frame alone: join_frames and a pooling over "
                      "them are missing",
                      am_dims_print(&node->dims, dims));
        return AM_VALUE_NONE;
    }
    if (node && node->dims.rank > 2)
        x = am_layer_flatten(g, x, "output");
    if (s->head == AM_HEAD_NONE && !is_row_of(g, x, width)) {
        char dims[AM_DIMS_CHARS];
        node = am_graph_node(g, x);
        if (node)
            am_graph_fail(g, AM_EUSAGE,
                          "the last layer gives %s, but the task has %lld outputs and model.head "
                          "is none",
                          am_dims_print(&node->dims, dims), (long long)width);
        return AM_VALUE_NONE;
    }
    if (s->head == AM_HEAD_NONE || (s->head == AM_HEAD_AUTO && is_row_of(g, x, width)))
        return has_activation(s, o.act) ? x : am_layer_activation(g, x, o.act, 0);
    return am_layer_dense(g, x, width, &o,
                          s->head_name             ? s->head_name
                          : s->n_layers || s->list ? "output"
                                                   : "linear");
}

void am_learn_give_back(struct am_graph *g, am_value x, am_value back, am_value code)
{
    const int64_t dims[2] = {(int64_t)am_dims_cols(&am_graph_node(g, x)->dims), 1};
    am_value d = am_layer_add(g, back, am_layer_scale(g, x, -1, 0));
    d = am_layer_reshape(g, am_layer_mul(g, d, d), dims, 2, "score");
    am_graph_output(g, "y", am_layer_global_pool(g, d, AM_POOLING_AVERAGE, "score"));
    am_graph_output(g, "reconstruction", back);
    if (code != AM_VALUE_NONE)
        am_graph_output(g, "code", code);
}

static enum am_rc reconstruct(const struct network *n, enum graph_use use, struct am_graph *g,
                              am_value x, am_value back, am_value code, struct am_err *err)
{
    char dims[AM_DIMS_CHARS];
    const int64_t width = (int64_t)n->task->n_features;
    const struct am_gnode *node = am_graph_node(g, back);
    if (node && node->dims.rank > 2)
        back = am_layer_flatten(g, back, "output");
    node = am_graph_node(g, code);
    if (node && node->dims.rank > 2)
        code = am_layer_flatten(g, code, "code");
    AM_TRY(am_graph_check(g, err));
    if (!is_row_of(g, back, width))
        return am_fail(err, AM_EUSAGE, "the last layer gives %s, but rows have %lld features",
                       am_dims_print(&am_graph_node(g, back)->dims, dims), (long long)width);
    if (use == FOR_TRAINING)
        am_graph_output(g, "y", back);
    else
        am_learn_give_back(g, x, back, code);
    return am_graph_check(g, err);
}

static am_value named(const struct am_layer_value *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (am_str_is(v[i].name, name))
            return v[i].value;
    return AM_VALUE_NONE;
}

static enum am_rc fill_graph(const struct network *n, enum graph_use use, struct am_graph *g,
                             struct am_err *err)
{
    const struct am_network_spec *s = n->spec;
    const size_t n_values = s->list && s->list->kind == AM_NODE_LIST ? s->list->list.n : 0;
    struct am_layer_value *values = NULL;
    am_value in = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, (int64_t)n->task->n_features));
    am_value x = in;
    enum am_rc rc = AM_OK;
    if (s->list) {
        values = am_calloc(n_values + 1, sizeof *values);
        if (!values)
            return am_fail_nomem(err, n_values * sizeof *values);
        AM_GO(rc, am_layers_build_all(n->task, g, in, s->list, values, &x, err));
    } else {
        x = hidden_layers(n, g, x);
    }
    if (s->goal == AM_GOAL_RECONSTRUCT)
        AM_GO(rc, reconstruct(n, use, g, in, x, named(values, n_values, "code"), err));
    else
        x = head(n, use, g, x);
    if (s->goal == AM_GOAL_PREDICT && n->task->task == AM_TASK_REGRESSION && use == FOR_PREDICTING)
        x = am_layer_scale(g, x, (float)n->deviation, (float)n->mean);
    if (s->goal == AM_GOAL_PREDICT)
        am_graph_output(g, "y", x);
    rc = am_graph_check(g, err);
out:
    am_free(values);
    return rc;
}

/* Both uses declare the same parameters in the same order. */
static enum am_rc build(const struct network *n, enum graph_use use, struct am_graph **out,
                        struct am_err *err)
{
    struct am_graph *g;
    enum am_rc rc;
    AM_TRY(am_graph_new(&g, err));
    rc = fill_graph(n, use, g, err);
    if (rc == AM_OK)
        *out = g;
    else
        am_graph_free(g);
    return rc;
}

static enum am_rc on_epoch(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    const struct network *n = ctx;
    struct am_train_epoch scaled = *e;
    scaled.train_loss *= n->loss_factor;
    scaled.validation_loss *= n->loss_factor;
    return n->task->hooks.on_epoch ? n->task->hooks.on_epoch(n->task->hooks.ctx, &scaled, err)
                                   : AM_OK;
}

static enum am_rc on_recovery(void *ctx, const struct am_train_recovery *r, struct am_err *err)
{
    const struct am_train_hooks *h = &((const struct network *)ctx)->task->hooks;
    return h->on_recovery ? h->on_recovery(h->ctx, r, err) : AM_OK;
}

static enum am_rc save(void *ctx, const void *bytes, size_t len, struct am_err *err)
{
    const struct am_train_hooks *h = &((const struct network *)ctx)->task->hooks;
    return h->checkpoint_save(h->ctx, bytes, len, err);
}

static enum am_rc load(void *ctx, struct am_buf *out, struct am_err *err)
{
    const struct am_train_hooks *h = &((const struct network *)ctx)->task->hooks;
    return h->checkpoint_load(h->ctx, out, err);
}

static enum am_rc set_up(struct network *n, struct am_err *err)
{
    const struct am_learn_task *t = n->task;
    struct am_learn_task as_number = *t;
    bool back = n->spec->goal == AM_GOAL_RECONSTRUCT;
    as_number.task = AM_TASK_REGRESSION;
    AM_TRY(am_learn_train_config(back ? &as_number : t, &n->config, err));
    if (n->spec->loss_given) {
        n->config.loss.kind = n->spec->loss;
        n->config.loss.margin = (float)n->spec->margin;
    }
    if (n->config.loss.label_smoothing > 0 && n->config.loss.kind != AM_LOSS_BINARY &&
        n->config.loss.kind != AM_LOSS_CATEGORICAL) {
        am_fail(err, AM_EUSAGE, "train.label_smoothing fits cross_entropy only");
        am_hint(err, "Remove it, or set train.loss to cross_entropy for a classification.");
        return AM_EUSAGE;
    }
    if (!back && t->task != AM_TASK_MULTILABEL)
        AM_TRY(t->task == AM_TASK_REGRESSION ? scale_target(n, err) : weigh_classes(n, err));
    n->config.optim.l1 += n->spec->l1 / n->deviation;
    n->config.optim.l2 += n->spec->l2;
    n->config.loss.mixed = t->train->mixes && n->config.loss.kind == AM_LOSS_CATEGORICAL && !back;
    prepare_rows(n, t->train, &n->train);
    if (t->validation)
        prepare_rows(n, t->validation, &n->validation);
    n->hooks = t->hooks;
    n->hooks.ctx = n;
    n->hooks.on_epoch = on_epoch;
    n->hooks.on_recovery = on_recovery;
    n->hooks.checkpoint_save = t->hooks.checkpoint_save ? save : NULL;
    n->hooks.checkpoint_load = t->hooks.checkpoint_load ? load : NULL;
    return AM_OK;
}

static void describe(const struct network *n, struct am_learned *out, struct am_arena *a)
{
    const struct am_train_result *r = &out->training;
    const struct am_train_config *c = &n->config;
    am_learn_info(n->task, out, a, n->spec->name, "stochastic");
    am_node_set(a, out->info, "optimizer", am_new_cstr(a, am_optimizer_name(c->optim.kind)));
    am_node_set(a, out->info, "loss", am_new_cstr(a, am_loss_name(c->loss.kind)));
    am_node_set(a, out->info, "epochs", am_new_i64(a, (int64_t)r->epochs));
    am_node_set(a, out->info, "steps", am_new_i64(a, (int64_t)r->steps));
    am_node_set(a, out->info, "best_epoch", am_new_i64(a, (int64_t)r->best_epoch));
    am_node_set(a, out->info, "stopped_early", am_new_bool(a, r->stopped_early));
    am_node_set(a, out->info, "restored_best", am_new_bool(a, r->restored_best));
    if (r->n_recovered)
        am_node_set(a, out->info, "recovered", am_new_i64(a, (int64_t)r->n_recovered));
    am_node_set(a, out->info, "train_loss", am_new_f64(a, r->train_loss));
    am_node_set(a, out->info, "validation_loss", am_new_f64(a, r->validation_loss));
}

static enum am_rc train(struct network *n, struct am_learned *out, struct am_err *err)
{
    const struct am_learn_task *t = n->task;
    struct am_train_result *r = &out->training;
    struct am_graph *graph = NULL;
    enum am_rc rc;
    AM_TRY(build(n, FOR_TRAINING, &graph, err));
    AM_GO(rc, build(n, FOR_PREDICTING, &out->graph, err));
    if (!am_plan_takes_sparse(graph)) /* its first layer reads dense rows only */
        n->train.data.gather_sparse = n->validation.data.gather_sparse = NULL;
    AM_GO(rc, am_params_new(graph, &out->params, err));
    am_params_init(out->params, t->seed);
    AM_GO(rc, am_learn_prepare(t, graph, out->params, n->arena, n->info, err));
    if (t->rate_curve) {
        rc = am_train_find_rate(graph, out->params, &n->train.data, &n->config, t->rate_options,
                                t->pool, t->hooks.progress, t->rate_curve, err);
        for (size_t i = 0; i < t->rate_curve->n; i++)
            t->rate_curve->loss[i] *= n->loss_factor;
        goto out;
    }
    rc =
        am_train_run(graph, out->params, &n->train.data, t->validation ? &n->validation.data : NULL,
                     &n->config, &n->hooks, t->pool, r, err);
    r->train_loss *= n->loss_factor;
    r->validation_loss *= n->loss_factor;
    r->best_loss *= n->loss_factor;
out:
    am_graph_free(graph);
    return rc;
}

enum am_rc am_network_graph(const struct am_learn_task *t, const struct am_network_spec *spec,
                            struct am_graph **out, struct am_err *err)
{
    struct network n = {.task = t, .spec = spec, .mean = 0, .deviation = 1, .loss_factor = 1};
    return build(&n, FOR_PREDICTING, out, err);
}

enum am_rc am_network_fit(const struct am_learn_task *t, const struct am_network_spec *spec,
                          struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    struct network n = {.task = t, .spec = spec, .mean = 0, .deviation = 1, .loss_factor = 1};
    enum am_rc rc;
    n.arena = a;
    n.info = out->info;
    AM_GO(rc, set_up(&n, err));
    AM_GO(rc, train(&n, out, err));
    out->kind = t->task == AM_TASK_REGRESSION || spec->goal == AM_GOAL_RECONSTRUCT
                    ? AM_LEARNED_VALUE
                : n.config.loss.kind == AM_LOSS_HINGE ? AM_LEARNED_SCORE
                                                      : AM_LEARNED_PROBABILITY;
    describe(&n, out, a);
out:
    am_free(n.class_weights);
    return rc;
}
