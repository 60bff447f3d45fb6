/* The list of learners, checking of `model:` against their tables, and the small things that all
 * learners share. No learning happens here. */
#include "learn/layers_int.h"
#include "learn/learn_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/num.h"
#include "learn/balanced.h"
#include "learn/derived.h"
#include "learn/stream.h"

static const struct am_learner_ops *const learners[] = {
    &am_learner_logistic,
    &am_learner_linear,
    &am_learner_mlp,
    &am_learner_cnn,
    &am_learner_rnn,
    &am_learner_lstm,
    &am_learner_gru,
    &am_learner_resnet18,
    &am_learner_resnet50,
    &am_learner_mobilenet_v2,
    &am_learner_autoencoder,
    &am_learner_graph_of_layers,
    &am_learner_linear_svm,
    &am_learner_svm,
    &am_learner_knn,
    &am_learner_naive_bayes,
    &am_learner_lda,
    &am_learner_ensemble,
    &am_learner_decision_tree,
    &am_learner_gradient_boosting,
    &am_learner_random_forest,
    &am_learner_extra_trees,
    &am_learner_isolation_forest,
    &am_learner_ada_boost,
    &am_learner_bagging,
    &am_learner_perceptron,
    &am_learner_kmeans,
    &am_learner_gaussian_mixture,
    &am_learner_dbscan,
    &am_learner_pca,
    &am_learner_svd,
    &am_learner_matrix_factorization,
    &am_learner_baseline,
};
#define N_LEARNERS (sizeof learners / sizeof learners[0])

const struct am_learner_ops *const *am_learners(size_t *n)
{
    *n = N_LEARNERS;
    return learners;
}

const struct am_learner_ops *am_learner_find(struct am_str name)
{
    for (size_t i = 0; i < N_LEARNERS; i++)
        if (am_str_is(name, learners[i]->name))
            return learners[i];
    return NULL;
}

const char *am_key_where(const struct am_node *n, char out[AM_WHERE_CHARS])
{
    out[0] = 0;
    if (n && n->line)
        (void)snprintf(out, AM_WHERE_CHARS, "line %u, column %u: ", n->line, n->column);
    return out;
}

enum am_rc am_learner_of(const struct am_learn_task *task, const struct am_learner_ops **out,
                         struct am_err *err)
{
    const struct am_node *type = am_node_get(task->model, "type");
    const char *names[N_LEARNERS], *near;
    char where[AM_WHERE_CHARS];
    struct am_str name = AM_STR("logistic"), given = AM_STR("");
    if (task->task == AM_TASK_REGRESSION)
        name = AM_STR("linear");
    if (am_task_is_own(task->task))
        name = AM_STR("autoencoder");
    if (type && !am_node_as_str(type, &given))
        return am_fail(err, AM_EUSAGE, "%smodel.type is not a name", am_key_where(type, where));
    if (given.len && !am_str_is(given, "auto"))
        name = given;
    *out = am_learner_find(name);
    if (*out)
        return AM_OK;
    for (size_t i = 0; i < N_LEARNERS; i++)
        names[i] = learners[i]->name;
    near = am_str_nearest(name, names, N_LEARNERS);
    am_fail(err, AM_EUSAGE, "%sunknown model.type \"%.*s\"", am_key_where(type, where),
            AM_FMT(name));
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    else
        am_hint(err, "Known types: logistic, linear, mlp, cnn, rnn, lstm, gru, resnet18, resnet50, "
                     "mobilenet_v2, autoencoder, graph, perceptron, baseline.");
    return AM_EUSAGE;
}

static const struct am_learner_key *find_key(const struct am_learner_ops *ops, struct am_str name)
{
    for (size_t i = 0; i < ops->n_keys; i++)
        if (am_str_is(name, ops->keys[i].name))
            return &ops->keys[i];
    return NULL;
}

static enum am_rc unknown_key(const struct am_learner_ops *ops, const struct am_pair *p,
                              struct am_err *err)
{
    const char *names[32], *near;
    size_t n = ops->n_keys < 32 ? ops->n_keys : 32;
    char where[AM_WHERE_CHARS];
    struct am_node at = {.line = p->line, .column = p->column};
    for (size_t i = 0; i < n; i++)
        names[i] = ops->keys[i].name;
    near = am_str_nearest(p->key, names, n);
    am_fail(err, AM_EUSAGE, "%sunknown key \"model.%.*s\" for type \"%s\"",
            am_key_where(&at, where), AM_FMT(p->key), ops->name);
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    else
        am_hint(err, "See the keys of model type \"%s\" in the recipe's manual.", ops->name);
    return AM_EUSAGE;
}

static bool is_choice(const char *choices, struct am_str s)
{
    for (const char *p = choices; p && *p;) {
        size_t n = strcspn(p, "|");
        if (am_str_eq(s, (struct am_str){p, n}))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static bool in_range(const struct am_learner_key *k, double v)
{
    return isfinite(v) && (k->min >= k->max || (v >= k->min && v <= k->max));
}

static bool ints_fit(const struct am_learner_key *k, const struct am_node *v)
{
    if (v->kind != AM_NODE_LIST || v->list.n > 64)
        return false;
    for (size_t i = 0; i < v->list.n; i++) {
        int64_t n;
        if (!am_node_as_i64(v->list.items[i], &n) || !in_range(k, (double)n))
            return false;
    }
    return true;
}

bool am_spec_fits(const struct am_learner_key *k, const struct am_node *v)
{
    bool b;
    int64_t i;
    double d;
    struct am_str s;
    if ((k->types & AM_LEARNER_KEY_BOOL) && am_node_as_bool(v, &b))
        return true;
    if ((k->types & AM_LEARNER_KEY_INT) && am_node_as_i64(v, &i) && in_range(k, (double)i))
        return true;
    if ((k->types & AM_LEARNER_KEY_NUMBER) && am_node_as_f64(v, &d) && in_range(k, d))
        return true;
    if ((k->types & AM_LEARNER_KEY_ENUM) && am_node_as_str(v, &s) && is_choice(k->choices, s))
        return true;
    if ((k->types & AM_LEARNER_KEY_MAPS) && v->kind == AM_NODE_LIST)
        return true;
    if ((k->types & AM_LEARNER_KEY_MAP) && v->kind == AM_NODE_MAP)
        return true;
    return (k->types & AM_LEARNER_KEY_INTS) && ints_fit(k, v);
}

enum am_rc am_spec_wrong(const struct am_learner_key *k, const struct am_node *v, const char *what,
                         struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    struct am_buf text;
    am_buf_init(&text, 200);
    am_node_to_json(v, AM_JSON_COMPACT, &text);
    am_key_where(v, where);
    am_fail(err, AM_EUSAGE, "%s%s cannot be %.*s", where, what, AM_FMT(am_buf_view(&text)));
    am_buf_clear(&text);
    if (k->types & AM_LEARNER_KEY_ENUM)
        am_hint(err, "It is one of: %s.", k->choices);
    else if (k->types & AM_LEARNER_KEY_MAPS)
        am_hint(err, "It is a list of layers: {name: c1, type: conv2d, filters: 32}.");
    else if (k->types & AM_LEARNER_KEY_INTS)
        am_hint(err, "It is a list of at most 64 whole numbers from %g to %g.", k->min, k->max);
    else if (k->types & AM_LEARNER_KEY_BOOL)
        am_hint(err, "It is true or false.");
    else if (k->min < k->max)
        am_hint(err, "It is a number from %g to %g.", k->min, k->max);
    return AM_EUSAGE;
}

/* Class weights of several labels: each label's own model can balance, one for all cannot. */
static enum am_rc check_labels(const struct am_learn_task *task, const struct am_learner_ops *ops,
                               struct am_err *err)
{
    struct am_str s = AM_STR("");
    (void)am_node_as_str(am_node_get(task->train_spec, "class_weights"), &s);
    if (task->task != AM_TASK_MULTILABEL ||
        (!task->class_weights &&
         (!am_str_is(s, "balanced") || am_learn_label_by_label(ops, task->task))))
        return AM_OK;
    am_fail(err, AM_EUSAGE, "train.class_weights is given, but a row can have several labels");
    am_hint(err,
            "Leave it out; with model types that train a model for each label, balanced works.");
    return AM_EUSAGE;
}

enum am_rc am_learner_check(const struct am_learn_task *task, struct am_err *err)
{
    static const char *const tasks[AM_N_TASKS] = {
        "regression", "classification", "classification", "anomaly",
        "embedding",  "clustering",     "recommendation", "several labels"};
    const struct am_learner_ops *ops;
    struct am_learn_task one;
    char where[AM_WHERE_CHARS], what[64];
    AM_TRY(am_learner_of(task, &ops, err));
    AM_TRY(check_labels(task, ops, err));
    if (am_learn_label_by_label(ops, task->task)) {
        one = am_learn_one_label(task);
        task = &one;
    }
    if (!(ops->tasks & 1u << task->task)) {
        am_fail(err, AM_EUSAGE, "%smodel type \"%s\" cannot do %s",
                am_key_where(am_node_get(task->model, "type"), where), ops->name,
                tasks[task->task]);
        am_hint(err, "%s",
                am_task_is_own(task->task)
                    ? am_tr("Use model.type autoencoder, or predict a target: data.task "
                            "classification or regression.")
                : ops == &am_learner_autoencoder
                    ? am_tr("It learns rows, not a target: set data.task to anomaly or embedding.")
                : task->task == AM_TASK_REGRESSION
                    ? am_tr("Use model.type linear or mlp, or set data.task to classification.")
                    : am_tr("Use model.type logistic or mlp, or set data.task to regression."));
        return AM_EUSAGE;
    }
    if (task->missing.len && !(ops->flags & AM_LEARNER_MISSING)) {
        am_fail(err, AM_EUSAGE,
                "model type \"%s\" cannot learn from missing values, which column \"%.*s\" keeps",
                ops->name, AM_FMT(task->missing));
        am_hint(err, "Remove impute: none from the column, or use model.type gradient_boosting.");
        return AM_EUSAGE;
    }
    for (size_t i = 0; task->model && task->model->kind == AM_NODE_MAP && i < task->model->map.n;
         i++) {
        const struct am_pair *p = &task->model->map.pairs[i];
        const struct am_learner_key *k;
        if (am_str_is(p->key, "type") || am_node_is_null(p->value))
            continue;
        k = find_key(ops, p->key);
        if (!k)
            return unknown_key(ops, p, err);
        (void)snprintf(what, sizeof what, "model.%s", k->name);
        if (!am_spec_fits(k, p->value))
            return am_spec_wrong(k, p->value, what, err);
    }
    if (am_derived_asked(task))
        AM_TRY(am_derived_check(task, err));
    return ops->check ? ops->check(task, err) : AM_OK;
}

bool am_learner_in_steps(const struct am_learn_task *task)
{
    const struct am_learner_ops *ops;
    struct am_err ignored;
    if (am_learner_of(task, &ops, &ignored) != AM_OK)
        return false;
    if (ops == &am_learner_logistic || ops == &am_learner_linear)
        return am_str_is(am_key_text(task, ops, "solver"), "stochastic");
    return ops->flags & AM_LEARNER_STEPS;
}

/* Sparse rows for a learner that knows dense ones only: made dense as they are read, as long as all
 * of them could be. */
static enum am_rc densify(const struct am_learner_ops *ops, const struct am_train_data *data,
                          struct am_train_data *out, const struct am_train_data **use,
                          struct am_err *err)
{
    size_t bytes;
    *use = data;
    if (!data || !data->gather_sparse || ops->sparse)
        return AM_OK;
    if (!am_mul_size(&bytes, (size_t)data->n_rows, data->n_features * sizeof(float)) ||
        bytes > AM_LIMIT_DENSIFY_BYTES) {
        am_fail(err, AM_ELIMIT,
                "model type \"%s\" reads dense rows: %llu of %zu features are more than %zu bytes",
                ops->name, (unsigned long long)data->n_rows, data->n_features,
                AM_LIMIT_DENSIFY_BYTES);
        am_hint(err, "Use logistic, linear or mlp, which read sparse rows, or lower the text "
                     "column's max_features.");
        return AM_ELIMIT;
    }
    *out = *data;
    out->gather_sparse = NULL;
    out->view_sparse = NULL;
    *use = out;
    return AM_OK;
}

/* Row weights for a learner that knows none. */
static enum am_rc refuse_weights(const struct am_learner_ops *ops, const struct am_train_data *d,
                                 struct am_err *err)
{
    uint64_t rows[1024];
    float w[1024];
    for (uint64_t at = 0; ops->flags & AM_LEARNER_NO_WEIGHTS && at < d->n_rows;) {
        const size_t n = d->n_rows - at < 1024 ? (size_t)(d->n_rows - at) : 1024;
        for (size_t i = 0; i < n; i++)
            rows[i] = at + i;
        AM_TRY(d->gather(d->self, rows, n, NULL, NULL, w, err));
        for (size_t i = 0; i < n; i++)
            if (w[i] != 1.0f) {
                am_fail(err, AM_EUNSUPPORTED, "model type \"%s\" takes no row weights", ops->name);
                am_hint(err, "Leave data.weight out, or repeat the rows that count more.");
                return AM_EUNSUPPORTED;
            }
        at += n;
    }
    return AM_OK;
}

enum am_rc am_learner_fit(const struct am_learn_task *task, struct am_learned *out,
                          struct am_arena *a, struct am_err *err)
{
    const struct am_learner_ops *ops;
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    AM_TRY(am_learner_check(task, err));
    AM_TRY(am_learner_of(task, &ops, err));
    if (!task->train || task->train->n_rows == 0)
        return am_fail(err, AM_EINVAL, "there are no training rows");
    if (task->train->n_features != task->n_features || task->train->n_targets != 1)
        return am_fail(err, AM_EINVAL, "training rows have %zu features, but the task has %zu",
                       task->train->n_features, task->n_features);
    if (task->n_features == 0) {
        am_fail(err, AM_EINVAL, "there are no features to learn from");
        am_hint(err, "Name at least one column besides target and ids under features.");
        return AM_EINVAL;
    }
    if (am_derived_asked(task)) {
        rc = am_derived_fit(task, out, a, err);
        if (rc != AM_OK)
            am_learned_clear(out);
        return rc;
    }
    AM_TRY(refuse_weights(ops, task->train, err));
    struct am_learn_task dense = *task;
    struct am_train_data train, validation;
    AM_TRY(densify(ops, task->train, &train, &dense.train, err));
    AM_TRY(densify(ops, task->validation, &validation, &dense.validation, err));
    struct am_balanced *even = NULL;
    if (!(ops->flags & AM_LEARNER_AS_IS))
        AM_TRY(am_balanced_new(&dense, &even, err));
    if (even)
        dense.train = am_balanced_data(even);
    out->info = am_new_map(a);
    rc = am_learn_label_by_label(ops, task->task) ? am_learn_labels(&dense, ops, out, a, err)
                                                  : ops->fit(&dense, out, a, err);
    am_balanced_free(even);
    if (rc == AM_OK)
        rc = am_arena_check(a, err);
    if (rc != AM_OK)
        am_learned_clear(out);
    return rc;
}

void am_learned_clear(struct am_learned *l)
{
    am_params_free(l->params);
    am_graph_free(l->graph);
    memset(l, 0, sizeof *l);
}

bool am_key_given(const struct am_learn_task *t, const char *name)
{
    const struct am_node *n = am_node_get(t->model, name);
    return n && !am_node_is_null(n);
}

static const struct am_learner_key *key_of(const struct am_learner_key *keys, size_t n,
                                           const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, keys[i].name) == 0)
            return &keys[i];
    return NULL;
}

double am_spec_number(const struct am_node *spec, const struct am_learner_key *keys, size_t n,
                      const char *name)
{
    const struct am_learner_key *k = key_of(keys, n, name);
    double v = 0;
    if (am_node_as_f64(am_node_get(spec, name), &v))
        return v;
    if (k && k->otherwise)
        (void)am_parse_double(am_str(k->otherwise), AM_NUM_FINITE, &v);
    return v;
}

struct am_str am_spec_text(const struct am_node *spec, const struct am_learner_key *keys, size_t n,
                           const char *name)
{
    const struct am_learner_key *k = key_of(keys, n, name);
    struct am_str s = AM_STR("");
    if (am_node_as_str(am_node_get(spec, name), &s))
        return s;
    return am_str(k && k->otherwise ? k->otherwise : "");
}

bool am_spec_bool(const struct am_node *spec, const struct am_learner_key *keys, size_t n,
                  const char *name)
{
    const struct am_learner_key *k = key_of(keys, n, name);
    bool b;
    if (am_node_as_bool(am_node_get(spec, name), &b))
        return b;
    return k && k->otherwise && strcmp(k->otherwise, "true") == 0;
}

double am_key_number(const struct am_learn_task *t, const struct am_learner_ops *ops,
                     const char *name)
{
    return am_spec_number(t->model, ops->keys, ops->n_keys, name);
}

struct am_str am_key_text(const struct am_learn_task *t, const struct am_learner_ops *ops,
                          const char *name)
{
    return am_spec_text(t->model, ops->keys, ops->n_keys, name);
}

bool am_key_bool(const struct am_learn_task *t, const struct am_learner_ops *ops, const char *name)
{
    return am_spec_bool(t->model, ops->keys, ops->n_keys, name);
}

enum am_penalty am_key_penalty(const struct am_learn_task *t, const struct am_learner_ops *ops,
                               double *l1_ratio)
{
    struct am_str s = am_key_text(t, ops, "penalty");
    *l1_ratio = 0;
    if (am_str_is(s, "l2"))
        return AM_PENALTY_L2;
    if (am_str_is(s, "l1")) {
        *l1_ratio = 1;
        return AM_PENALTY_L1;
    }
    if (am_str_is(s, "elastic_net")) {
        *l1_ratio = am_key_number(t, ops, "l1_ratio");
        return AM_PENALTY_ELASTIC_NET;
    }
    return AM_PENALTY_NONE;
}

enum am_rc am_check_penalty(const struct am_learn_task *t, const char *strength, struct am_err *err)
{
    struct am_str s = AM_STR("");
    char where[AM_WHERE_CHARS];
    bool given = am_node_as_str(am_node_get(t->model, "penalty"), &s);
    const struct am_node *ratio = am_node_get(t->model, "l1_ratio"),
                         *amount = am_node_get(t->model, strength);
    if (am_key_given(t, "l1_ratio") && !am_str_is(s, "elastic_net")) {
        am_fail(err, AM_EUSAGE, "%smodel.l1_ratio is set, but model.penalty is not elastic_net",
                am_key_where(ratio, where));
        am_hint(err, "Set penalty: elastic_net, or remove l1_ratio.");
        return AM_EUSAGE;
    }
    if (am_key_given(t, strength) && given && am_str_is(s, "none")) {
        am_fail(err, AM_EUSAGE, "%smodel.%s is set, but model.penalty is none",
                am_key_where(amount, where), strength);
        am_hint(err, "Set penalty to l2, l1 or elastic_net, or remove %s.", strength);
        return AM_EUSAGE;
    }
    return AM_OK;
}

size_t am_learn_n_outputs(const struct am_learn_task *t)
{
    return t->task == AM_TASK_MULTICLASS || t->task == AM_TASK_MULTILABEL ? t->n_classes : 1;
}

struct counting {
    size_t n_classes;
};

static void count_rows(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    const struct counting *c = ctx;
    (void)scratch;
    for (size_t i = 0; i < r->n; i++) {
        float y = r->y[i];
        if (y >= 0 && y < (float)c->n_classes && y == truncf(y))
            sums[(size_t)y] += r->w ? (double)r->w[i] : 1;
        else
            sums[c->n_classes]++;
    }
}

enum am_rc am_learn_count(const struct am_learn_task *t, double *counts, struct am_err *err)
{
    struct counting c = {t->n_classes};
    struct am_stream s;
    double *sums = am_alloc_array(t->n_classes + 1, sizeof *sums);
    enum am_rc rc;
    if (!sums)
        return am_fail_nomem(err, (t->n_classes + 1) * sizeof *sums);
    rc = am_stream_init(&s, t->train, t->n_classes + 1, 0, t->pool, t->hooks.progress, err);
    if (rc == AM_OK) {
        rc = am_stream_sum(&s, count_rows, &c, sums, err);
        am_stream_clear(&s);
    }
    if (rc == AM_OK && sums[t->n_classes] > 0)
        rc = am_fail(err, AM_EINVAL, "%.0f targets are not class indices from 0 to %zu",
                     sums[t->n_classes], t->n_classes - 1);
    for (size_t k = 0; rc == AM_OK && k < t->n_classes; k++) {
        counts[k] = sums[k];
        if (!(sums[k] > 0)) {
            rc = am_fail(err, AM_EINVAL, "class %zu of %zu has no training row", k, t->n_classes);
            am_hint(err, "Give the training part at least one row of each class: split stratified, "
                         "or bring more rows.");
        }
    }
    am_free(sums);
    return rc;
}

enum am_rc am_learn_class_weights(const struct am_learn_task *t, double *out, struct am_err *err)
{
    struct am_str s = AM_STR("");
    double total = 0;
    AM_TRY(am_learn_count(t, out, err));
    for (size_t k = 0; k < t->n_classes; k++)
        total += out[k];
    (void)am_node_as_str(am_node_get(t->train_spec, "class_weights"), &s);
    for (size_t k = 0; k < t->n_classes; k++) {
        if (t->class_weights)
            out[k] = t->class_weights[k];
        else
            out[k] = am_str_is(s, "balanced") ? total / ((double)t->n_classes * out[k]) : 1;
    }
    return AM_OK;
}

enum am_rc am_learn_linear_model(const struct am_learn_task *t, const double *coef,
                                 struct am_learned *out, struct am_err *err)
{
    size_t k = am_learn_n_outputs(t), f = t->n_features;
    struct am_dense_options o = {.act = t->task == AM_TASK_REGRESSION   ? AM_ACT_NONE
                                        : t->task == AM_TASK_MULTICLASS ? AM_ACT_SOFTMAX
                                                                        : AM_ACT_SIGMOID,
                                 .init = AM_INIT_ZEROS};
    am_value x;
    float *w, *b;
    AM_TRY(am_graph_new(&out->graph, err));
    x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)f));
    am_graph_output(out->graph, "y", am_layer_dense(out->graph, x, (int64_t)k, &o, "linear"));
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    w = am_param_data(out->params, 0);
    b = am_param_data(out->params, 1);
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < f; j++)
            w[j * k + c] = (float)coef[c * (f + 1) + j];
        b[c] = (float)coef[c * (f + 1) + f];
    }
    for (size_t i = 0; i < out->params->n_floats; i++)
        if (!isfinite(out->params->data[i])) {
            am_fail(err, AM_EINVAL, "the fitted coefficients are not finite numbers");
            am_hint(err, "Scale the features, or use a penalty.");
            return AM_EINVAL;
        }
    return AM_OK;
}

void am_learn_info(const struct am_learn_task *t, struct am_learned *l, struct am_arena *a,
                   const char *learner, const char *solver)
{
    am_node_set(a, l->info, "learner", am_new_cstr(a, learner));
    am_node_set(a, l->info, "solver", am_new_cstr(a, solver));
    am_node_set(a, l->info, "rows", am_new_i64(a, (int64_t)t->train->n_rows));
    am_node_set(a, l->info, "n_features", am_new_i64(a, (int64_t)t->n_features));
    am_node_set(a, l->info, "n_parameters", am_new_i64(a, (int64_t)l->params->n_values));
}

enum am_rc am_learner_graph(const struct am_learn_task *task, struct am_graph **out,
                            struct am_err *err)
{
    const struct am_learner_ops *ops;
    struct am_learned l = {0};
    size_t n;
    AM_TRY(am_learner_of(task, &ops, err));
    if (ops->graph)
        return ops->graph(task, out, err);
    if (ops->flags & AM_LEARNER_FROM_ROWS)
        return am_fail(err, AM_EUNSUPPORTED,
                       "what a model of type \"%s\" is made of is known only after training",
                       ops->name);
    if (!am_mul_size(&n, am_learn_n_outputs(task), task->n_features + 1))
        return am_fail_nomem(err, task->n_features);
    double *zeros = am_calloc(n, sizeof *zeros);
    if (!zeros)
        return am_fail_nomem(err, n * sizeof *zeros);
    enum am_rc rc = am_learn_linear_model(task, zeros, &l, err);
    am_free(zeros);
    am_params_free(l.params);
    if (rc == AM_OK)
        *out = l.graph;
    else
        am_graph_free(l.graph);
    return rc;
}

enum am_rc am_learner_find_rate(const struct am_learn_task *task,
                                const struct am_rate_options *options, struct am_arena *a,
                                struct am_node **out, struct am_err *err)
{
    struct am_rate_curve *curve = am_arena_alloc(a, sizeof *curve);
    struct am_learn_task t = *task;
    struct am_learned l;
    struct am_node *rates = am_new_list(a), *losses = am_new_list(a);
    AM_TRY(am_arena_check(a, err));
    curve->n = 0;
    curve->suggestion = -1;
    t.rate_options = options;
    t.rate_curve = curve;
    AM_TRY(am_learner_fit(&t, &l, a, err));
    am_learned_clear(&l);
    if (curve->n == 0 && curve->suggestion < 0) {
        am_fail(err, AM_EUNSUPPORTED, "this learner is not trained step by step");
        am_hint(err, "Learning rates belong to mlp, cnn, lstm and the other networks.");
        return AM_EUNSUPPORTED;
    }
    for (size_t i = 0; i < curve->n; i++) {
        am_node_push(a, rates, am_new_f64(a, curve->rate[i]));
        am_node_push(a, losses, am_new_f64(a, curve->loss[i]));
    }
    *out = am_new_map(a);
    am_node_set(a, *out, "rates", rates);
    am_node_set(a, *out, "losses", losses);
    am_node_set(a, *out, "suggestion",
                isfinite(curve->suggestion) ? am_new_f64(a, curve->suggestion) : am_new_null(a));
    return am_arena_check(a, err);
}
