/* Reads the recipe's `train:` into the engine's configuration. Types and ranges were checked by the
 * recipe's table; what is missing gets the table's defaults. */
#include <math.h>

#include "learn/learn_int.h"

static double number(const struct am_node *m, const char *key, double otherwise)
{
    double v;
    return am_node_as_f64(am_node_get(m, key), &v) ? v : otherwise;
}

static uint64_t count(const struct am_node *m, const char *key, uint64_t otherwise)
{
    int64_t v;
    return am_node_as_i64(am_node_get(m, key), &v) && v >= 0 ? (uint64_t)v : otherwise;
}

static enum am_rc bad_choice(const struct am_node *n, const char *key, struct am_str s,
                             struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    return am_fail(err, AM_EUSAGE, "%strain.%s cannot be \"%.*s\"", am_key_where(n, where), key,
                   AM_FMT(s));
}

static enum am_rc read_optimizer(const struct am_node *m, struct am_optim_config *o,
                                 struct am_err *err)
{
    struct am_str s;
    const struct am_node *n = am_node_get(m, "optimizer");
    if (am_node_as_str(n, &s) && !am_optimizer_parse(s, &o->kind))
        return bad_choice(n, "optimizer", s, err);
    /* train.momentum is of momentum and nesterov; rmsprop runs without, as usual */
    o->momentum = o->kind == AM_OPTIM_RMSPROP ? 0 : number(m, "momentum", 0.9);
    o->beta1 = number(m, "beta1", o->beta1);
    o->beta2 = number(m, "beta2", o->beta2);
    o->rho = number(m, "rho", o->rho);
    o->epsilon = number(m, "epsilon", o->epsilon);
    o->weight_decay = number(m, "weight_decay", 0);
    o->l1 = number(m, "l1", 0);
    o->l2 = number(m, "l2", 0);
    o->clip_norm = number(m, "clip_norm", 0);
    o->clip_value = number(m, "clip_value", 0);
    return AM_OK;
}

/* `schedule: cosine` or `schedule: {type: step, step: 5, factor: 0.5}` */
static enum am_rc read_schedule(const struct am_node *m, struct am_sched_config *c,
                                struct am_err *err)
{
    const struct am_node *n = am_node_get(m, "schedule"), *type = n;
    struct am_str s;
    if (!n || am_node_is_null(n))
        return AM_OK;
    if (n->kind == AM_NODE_MAP)
        type = am_node_get(n, "type");
    if (am_node_as_str(type, &s) && !am_sched_parse(s, &c->kind))
        return bad_choice(type, "schedule", s, err);
    c->step = count(n, "step", c->step);
    c->factor = number(n, "factor", c->kind == AM_SCHED_EXPONENTIAL ? 0.95 : c->factor);
    c->patience = count(n, "patience", c->patience);
    c->min = number(n, "min", 0);
    c->warmup = count(n, "warmup", 0);
    return AM_OK;
}

static void read_early_stopping(const struct am_node *m, struct am_train_config *c)
{
    const struct am_node *n = am_node_get(m, "early_stopping");
    bool on = false;
    if (n && n->kind == AM_NODE_MAP)
        on = true;
    else
        (void)am_node_as_bool(n, &on);
    if (!on)
        return;
    c->patience = count(n, "patience", 10);
    c->min_delta = number(n, "min_delta", 0);
}

/* `recover: false`, or `recover: {times: 3, factor: 0.1}`, which is what it is when not said */
static void read_recover(const struct am_node *m, struct am_train_config *c)
{
    const struct am_node *n = am_node_get(m, "recover");
    bool on = true;
    (void)am_node_as_bool(n, &on);
    c->recover = on ? count(n, "times", 3) : 0;
    c->recover_factor = number(n, "factor", 0.1);
}

static enum am_rc read_loss(const struct am_learn_task *t, const struct am_node *m,
                            struct am_loss_spec *l, struct am_err *err)
{
    const struct am_node *n = am_node_get(m, "loss");
    struct am_str s = AM_STR("auto");
    bool number_wanted = t->task == AM_TASK_REGRESSION, number_loss = true;
    char where[AM_WHERE_CHARS];
    (void)am_node_as_str(n, &s);
    l->label_smoothing = (float)number(m, "label_smoothing", 0);
    l->delta = (float)number(m, "huber_delta", 1);
    l->margin = 1;
    l->kind = number_wanted                   ? AM_LOSS_MSE
              : t->task == AM_TASK_MULTICLASS ? AM_LOSS_CATEGORICAL
                                              : AM_LOSS_BINARY;
    if (am_str_is(s, "auto"))
        return AM_OK;
    if (am_str_is(s, "cross_entropy")) {
        number_loss = false;
    } else if (am_str_is(s, "hinge")) {
        number_loss = false;
        l->kind = AM_LOSS_HINGE;
    } else if (am_str_is(s, "mse")) {
        l->kind = AM_LOSS_MSE;
    } else if (am_str_is(s, "mae")) {
        l->kind = AM_LOSS_MAE;
    } else if (am_str_is(s, "huber")) {
        l->kind = AM_LOSS_HUBER;
    } else {
        return bad_choice(n, "loss", s, err);
    }
    if (number_loss == number_wanted)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "%strain.loss \"%.*s\" does not fit the task", am_key_where(n, where),
            AM_FMT(s));
    am_hint(err, number_wanted ? "Use mse, mae or huber for numbers."
                               : AM_N("Use cross_entropy or hinge for classes."));
    return AM_EUSAGE;
}

/* `average: ema` or `average: {type: swa, start: 5}` */
static enum am_rc read_average(const struct am_node *m, struct am_train_config *c,
                               struct am_err *err)
{
    const struct am_node *n = am_node_get(m, "average"), *type = n;
    struct am_str s = AM_STR("none");
    if (n && n->kind == AM_NODE_MAP) {
        type = am_node_get(n, "type");
        s = AM_STR("ema");
    }
    (void)am_node_as_str(type, &s);
    if (am_str_is(s, "none"))
        return AM_OK;
    if (!am_str_is(s, "ema") && !am_str_is(s, "swa"))
        return bad_choice(type, "average", s, err);
    c->average = am_str_is(s, "ema") ? AM_TRAIN_AVERAGE_EMA : AM_TRAIN_AVERAGE_SWA;
    c->average_decay = number(n, "decay", c->average_decay);
    c->average_start =
        count(n, "start", c->average == AM_TRAIN_AVERAGE_EMA ? 0 : c->epochs * 3 / 4);
    if (c->average_start < c->epochs)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "train.average starts after epoch %llu, but there are %llu",
            (unsigned long long)c->average_start, (unsigned long long)c->epochs);
    am_hint(err, "Lower train.average.start, or train longer.");
    return AM_EUSAGE;
}

enum am_rc am_learn_train_config(const struct am_learn_task *task, struct am_train_config *out,
                                 struct am_err *err)
{
    const struct am_node *m = task->train_spec;
    struct am_str kernels;
    bool shuffle = true;
    am_train_config_init(out);
    AM_TRY(read_optimizer(m, &out->optim, err));
    AM_TRY(read_schedule(m, &out->sched, err));
    AM_TRY(read_loss(task, m, &out->loss, err));
    read_early_stopping(m, out);
    read_recover(m, out);
    out->learning_rate = number(m, "learning_rate", 0.001);
    out->epochs = count(m, "epochs", 50);
    out->batch_size = count(m, "batch_size", 32);
    out->checkpoint_every = count(m, "checkpoint_every", 1);
    out->accumulate = count(m, "accumulate", 1);
    if (am_node_as_str(am_node_get(m, "kernels"), &kernels))
        out->library_kernels = am_str_is(kernels, "dnnl");
    AM_TRY(read_average(m, out, err));
    out->seed = task->seed;
    (void)am_node_as_bool(am_node_get(m, "shuffle"), &shuffle);
    out->order = shuffle ? AM_TRAIN_SHUFFLED : AM_TRAIN_IN_ORDER;
    return am_train_config_check(out, err);
}
