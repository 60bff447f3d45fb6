/* Ensembles of any learners: mean, weighted mean, votes, stacking, greedy selection.
 *
 * Weights and models over predictions are fitted on out-of-fold predictions, from the task's
 * out_of_fold where there is one (its features are fitted inside each fold), else from folds of the
 * given rows. Then the members that count are trained on all rows, and their graphs become one
 * graph with one input. Not here: the arithmetic (combine.c), choosing members (pipeline/). One
 * thread; members train on the task's pool. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/combine.h"
#include "learn/learn_int.h"
#include "nn/graph_merge.h"
#include "nn/layers_combine.h"
#include "nn/session.h"

#define MEMBERS_MAX 64
#define LEAK_CHECK_ROWS 20000 /* leak_check: auto looks up to here; beyond, folds leak little */
#define LEAK_CHECK_SHARE 9    /* one row of so many is held out */

/* combine: auto. One level (a weighted mean) has little to learn, a second one (a model over
 * predictions) needs rows enough for its own errors to be small. */
#define GREEDY_ROWS 200
#define STACK_ROWS 2000

enum combine { BY_MEAN, BY_WEIGHTS, BY_HARD_VOTE, BY_SOFT_VOTE, BY_STACK, BY_GREEDY, BY_AUTO };
static const char *const combine_names[] = {"mean",  "weighted", "hard_vote", "soft_vote",
                                            "stack", "greedy",   "auto"};

static const struct am_learner_key keys[] = {
    AM_KEY("members", AM_LEARNER_KEY_MAPS, NULL, 0, 0, NULL,
           "The models: a list of maps as `model:` itself takes them, such as {type: logistic}; "
           "`weight` fixes a member's share (weighted and votes)."),
    AM_KEY("combine", AM_LEARNER_KEY_ENUM, "auto|mean|weighted|hard_vote|soft_vote|stack|greedy", 0,
           0, "auto",
           "How they become one; weighted, stack and greedy learn it from out-of-fold "
           "predictions. auto: by the training rows, mean below 200, greedy below 2,000, else "
           "stack."),
    AM_KEY("folds", AM_LEARNER_KEY_INT, NULL, 2, 50, "5", "Folds of the out-of-fold predictions."),
    AM_KEY("rounds", AM_LEARNER_KEY_INT, NULL, 1, 1000, "50",
           "Rounds of the greedy selection, with replacement."),
    AM_KEY("meta", AM_LEARNER_KEY_ENUM, "auto|logistic|ridge|nnls", 0, 0, "auto",
           "The model over predictions (stack): logistic for classes, ridge for numbers, nnls "
           "(non-negative least squares) for both; auto is the first that fits."),
    AM_KEY("meta_c", AM_LEARNER_KEY_NUMBER, NULL, 1e-9, 1e9, "0.1",
           "Inverse strength of the penalty of meta: logistic."),
    AM_KEY("meta_alpha", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e9, "1",
           "Penalty of meta: ridge, in units of the target's variance."),
    AM_KEY("leak_check", AM_LEARNER_KEY_ENUM, "auto|always|never", 0, 0, "auto",
           "Stack only: train everything on eight ninths of the rows first; where stacking wins "
           "out of fold and loses on the ninth, greedy selection is used instead. auto: up to "
           "20,000 rows."),
};

extern const struct am_learner_ops am_learner_ensemble;

struct job {
    const struct am_learn_task *task;
    struct am_arena *arena;
    enum combine combine;
    enum am_meta meta;
    double strength;
    size_t n_folds, n_rounds;
    size_t n_members;
    const struct am_node **members; /* without weight; arena */
    double *given;                  /* [n_members] weights of the recipe, 1 when not said; arena */
    bool any_given;
};

/* What the combination came to. */
struct combined {
    enum combine combine;
    enum am_meta meta;
    double *weights; /* [n_members]; arena */
    double *coef;    /* stack: [n_out, n_members * n_out + 1]; arena */
    double *losses;  /* out of fold, of each member; arena; NULL = no predictions were made */
    double loss;     /* of the combination on those */
    bool leak;
    double held_stack, held_greedy; /* of the leak check, NaN = none */
};

/* ---- the recipe's words ---- */

static bool learned(enum combine c)
{
    return c == BY_WEIGHTS || c == BY_STACK || c == BY_GREEDY;
}

static enum am_rc member_node(struct am_arena *a, const struct am_node *given, double *weight,
                              bool *has, const struct am_node **out)
{
    struct am_node *m = am_new_map(a);
    *weight = 1;
    *has = false;
    for (size_t i = 0; m && i < given->map.n; i++) {
        const struct am_pair *p = &given->map.pairs[i];
        if (am_str_is(p->key, "weight"))
            *has = am_node_as_f64(p->value, weight);
        else
            am_node_set_str(a, m, p->key, p->value);
    }
    if (m) {
        m->line = given->line;
        m->column = given->column;
    }
    *out = m;
    return AM_OK;
}

static enum combine combine_of(const struct am_learn_task *t)
{
    const struct am_str s = am_key_text(t, &am_learner_ensemble, "combine");
    for (unsigned i = 0; i < sizeof combine_names / sizeof combine_names[0]; i++)
        if (am_str_is(s, combine_names[i]))
            return (enum combine)i;
    return BY_AUTO;
}

static enum combine by_rows(const struct am_learn_task *t, enum combine c)
{
    const uint64_t n = t->train ? t->train->n_rows : 0;
    if (c != BY_AUTO)
        return c;
    return n < GREEDY_ROWS ? BY_MEAN : n < STACK_ROWS ? BY_GREEDY : BY_STACK;
}

static enum am_rc read_job(const struct am_learn_task *t, struct am_arena *a, struct job *j,
                           struct am_err *err)
{
    const struct am_node *list = am_node_get(t->model, "members");
    const struct am_str meta = am_key_text(t, &am_learner_ensemble, "meta");
    *j = (struct job){.task = t, .arena = a, .combine = by_rows(t, combine_of(t))};
    j->meta = t->task == AM_TASK_REGRESSION ? AM_META_RIDGE : AM_META_LOGISTIC;
    j->meta = am_str_is(meta, "nnls") ? AM_META_NNLS : j->meta;
    j->strength =
        am_key_number(t, &am_learner_ensemble, j->meta == AM_META_RIDGE ? "meta_alpha" : "meta_c");
    j->n_folds = (size_t)am_key_number(t, &am_learner_ensemble, "folds");
    j->n_rounds = (size_t)am_key_number(t, &am_learner_ensemble, "rounds");
    j->n_members = list->list.n;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    j->members = am_arena_array(a, j->n_members, sizeof *j->members);
    j->given = am_arena_array(a, j->n_members, sizeof *j->given);
    AM_TRY(am_arena_check(a, err));
    for (size_t m = 0; m < j->n_members; m++) {
        bool has;
        AM_TRY(member_node(a, list->list.items[m], &j->given[m], &has, &j->members[m]));
        j->any_given = j->any_given || has;
    }
    return am_arena_check(a, err);
}

static struct am_learn_task member_task(const struct job *j, size_t m)
{
    struct am_learn_task t = *j->task;
    t.model = j->members[m];
    t.out_of_fold = NULL;
    t.out_of_fold_ctx = NULL;
    t.hooks = (struct am_train_hooks){.progress = j->task->hooks.progress};
    return t;
}

/* "members[2] (knn): " before what is wrong with it; from 1, as a person counts. */
static void name_member(struct am_err *err, const struct job *j, size_t m)
{
    const struct am_str type = am_node_str(j->members[m], "type", "auto");
    am_context(err, am_tr("member %zu (%.*s) of the ensemble"), m + 1, AM_FMT(type));
}

static enum am_rc check_weight(const struct am_learn_task *t, const struct am_node *member,
                               struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    const struct am_node *w = am_node_get(member, "weight");
    const enum combine c = combine_of(t);
    double v;
    if (!w)
        return AM_OK;
    if (!am_node_as_f64(w, &v) || !(v >= 0) || !isfinite(v)) {
        am_fail(err, AM_EUSAGE, "%sthe weight of a member is a number of at least 0",
                am_key_where(w, where));
        return AM_EUSAGE;
    }
    if (c == BY_WEIGHTS || c == BY_HARD_VOTE || c == BY_SOFT_VOTE)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "%sa member has a weight, but model.combine is %s",
            am_key_where(w, where), combine_names[c]);
    am_hint(err, "Weights belong to weighted, hard_vote and soft_vote; leave them out.");
    return AM_EUSAGE;
}

static enum am_rc check_member(const struct am_learn_task *t, const struct am_node *list, size_t m,
                               struct am_arena *a, struct am_err *err)
{
    const struct am_node *given = list->list.items[m], *one;
    struct job j = {.task = t, .arena = a, .members = &one};
    char where[AM_WHERE_CHARS];
    double weight;
    bool has;
    if (given->kind != AM_NODE_MAP || !am_node_get(given, "type")) {
        am_fail(err, AM_EUSAGE, "%smember %zu of model.members names no type",
                am_key_where(given, where), m + 1);
        am_hint(err, "A member is a map such as {type: logistic, c: 0.5}.");
        return AM_EUSAGE;
    }
    if (am_str_is(am_node_str(given, "type", ""), "ensemble")) {
        am_fail(err, AM_EUSAGE, "%sa member of an ensemble cannot be an ensemble",
                am_key_where(given, where));
        am_hint(err, "List its members here instead.");
        return AM_EUSAGE;
    }
    AM_TRY(check_weight(t, given, err));
    AM_TRY(member_node(a, given, &weight, &has, &one));
    AM_TRY(am_arena_check(a, err));
    const struct am_learn_task task = member_task(&j, 0);
    const enum am_rc rc = am_learner_check(&task, err);
    if (rc != AM_OK)
        am_context(err, am_tr("member %zu (%.*s) of the ensemble"), m + 1,
                   AM_FMT(am_node_str(given, "type", "auto")));
    return rc;
}

static enum am_rc check_settings(const struct am_learn_task *t, struct am_err *err)
{
    const struct am_str meta = am_key_text(t, &am_learner_ensemble, "meta");
    const enum combine c = combine_of(t);
    char where[AM_WHERE_CHARS];
    const bool classes = t->task != AM_TASK_REGRESSION;
    if (!classes && (c == BY_HARD_VOTE || c == BY_SOFT_VOTE)) {
        am_fail(err, AM_EUSAGE, "%smodel.combine is %s, but numbers have no votes",
                am_key_where(am_node_get(t->model, "combine"), where), combine_names[c]);
        am_hint(err, "Use mean, weighted, stack or greedy.");
        return AM_EUSAGE;
    }
    if (am_str_is(meta, classes ? "ridge" : "logistic")) {
        am_fail(err, AM_EUSAGE, "%smodel.meta is %.*s, which suits the other kind of target",
                am_key_where(am_node_get(t->model, "meta"), where), AM_FMT(meta));
        am_hint(err, "Use logistic or nnls for classes, ridge or nnls for numbers.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc check(const struct am_learn_task *t, struct am_err *err)
{
    const struct am_node *list = am_node_get(t->model, "members");
    char where[AM_WHERE_CHARS];
    if (!list || list->kind != AM_NODE_LIST || list->list.n < 1 || list->list.n > MEMBERS_MAX) {
        am_fail(err, AM_EUSAGE, "%san ensemble needs model.members: a list of 1 to %d models",
                am_key_where(list, where), MEMBERS_MAX);
        am_hint(err, "For example members: [{type: logistic}, {type: mlp}].");
        return AM_EUSAGE;
    }
    AM_TRY(check_settings(t, err));
    struct am_arena *a = am_arena_new((size_t)1 << 22);
    if (!a)
        return am_fail_nomem(err, 1 << 22);
    enum am_rc rc = AM_OK;
    for (size_t m = 0; m < list->list.n && rc == AM_OK; m++)
        rc = check_member(t, list, m, a, err);
    am_arena_free(a);
    return rc;
}

/* ---- out-of-fold predictions ---- */

#define BLOCK 512

/* pred [n, n_out] of rows of data. */
static enum am_rc predict(const struct am_learned *l, const struct am_train_data *data,
                          size_t n_out, struct am_pool *pool, float *pred, struct am_err *err)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = BLOCK};
    struct am_plan *plan = NULL;
    struct am_session *s = NULL;
    uint64_t rows[BLOCK];
    float *x = am_alloc_array(data->n_features + 1, BLOCK * sizeof *x);
    enum am_rc rc;
    if (!x)
        AM_GO(rc, am_fail_nomem(err, data->n_features * BLOCK * sizeof *x));
    AM_GO(rc, am_plan_build(l->graph, l->params, &o, &plan, err));
    AM_GO(rc, am_session_new(plan, pool, &s, err));
    for (uint64_t at = 0; at < data->n_rows; at += BLOCK) {
        const size_t k = data->n_rows - at < BLOCK ? (size_t)(data->n_rows - at) : BLOCK;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        AM_GO(rc, data->gather(data->self, rows, k, x, NULL, NULL, err));
        AM_GO(rc, am_session_run(s, k, x, pred + at * n_out, err));
    }
out:
    am_session_free(s);
    am_plan_put(plan);
    am_free(x);
    return rc;
}

/* A member trained on some rows and its predictions for others; kind may be NULL. */
static enum am_rc fit_predict(const struct job *j, size_t m, const struct am_train_data *on,
                              const struct am_train_data *of, float *pred, struct am_err *err)
{
    struct am_learn_task t = member_task(j, m);
    struct am_learned l = {0};
    struct am_arena *a = am_arena_new((size_t)1 << 26);
    if (!a)
        return am_fail_nomem(err, 1 << 20);
    struct am_node *spec = t.train_spec ? am_node_copy(a, t.train_spec) : am_new_map(a);
    if (spec)
        am_node_set(a, spec, "early_stopping", am_new_bool(a, false));
    t.train_spec = spec;
    t.train = on;
    t.validation = NULL; /* the rows left out measure only */
    enum am_rc rc = am_arena_check(a, err);
    if (rc == AM_OK)
        rc = am_learner_fit(&t, &l, a, err);
    if (rc == AM_OK)
        rc = predict(&l, of, am_learn_n_outputs(&t), t.pool, pred, err);
    if (rc != AM_OK && rc != AM_ECANCELED)
        name_member(err, j, m);
    am_learned_clear(&l);
    am_arena_free(a);
    return rc;
}

/* y and w of all rows; arrays of the caller's arena. */
static enum am_rc read_targets(const struct am_train_data *d, struct am_arena *a, float **y,
                               float **w, struct am_err *err)
{
    const size_t n = (size_t)d->n_rows;
    uint64_t rows[BLOCK];
    *y = am_arena_array(a, n + 1, sizeof **y);
    *w = am_arena_array(a, n + 1, sizeof **w);
    AM_TRY(am_arena_check(a, err));
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t k = n - at < BLOCK ? n - at : BLOCK;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        AM_TRY(d->gather(d->self, rows, k, NULL, *y + at, *w + at, err));
    }
    return AM_OK;
}

/* fold [n]: rows dealt out at random, classes evenly. */
static enum am_rc deal(const struct job *j, const float *y, size_t n, uint16_t *fold,
                       struct am_err *err)
{
    const size_t c = j->task->task == AM_TASK_REGRESSION ? 1 : j->task->n_classes;
    uint64_t *order = am_alloc_array(n + 1, sizeof *order);
    size_t *next = am_calloc(c + 1, sizeof *next);
    struct am_rng r;
    if (order && next) {
        am_rng_init(&r, j->task->seed, AM_RNG_FOLD);
        am_rng_permutation(&r, n, order);
        for (size_t i = 0; i < n; i++) {
            const size_t k = c > 1 ? (size_t)y[order[i]] % c : 0;
            fold[order[i]] = (uint16_t)(next[k]++ % j->n_folds);
        }
    }
    const bool ok = order && next;
    am_free(order);
    am_free(next);
    return ok ? AM_OK : am_fail_nomem(err, n * sizeof *order);
}

/* Rows of `data` inside or outside of a fold; rows [n] is scratch. */
static enum am_rc side(const struct am_train_data *data, const uint16_t *fold, size_t k, bool in,
                       uint64_t *rows, const struct am_train_data **out, size_t *n_out,
                       struct am_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < data->n_rows; i++)
        if ((fold[i] == k) == in)
            rows[n++] = i;
    *n_out = n;
    return am_train_subset_new(data, rows, n, out, err);
}

/* pred [n_members, n, n_out] by folds of these rows. */
static enum am_rc own_folds(const struct job *j, const struct am_train_data *data, const float *y,
                            float *pred, struct am_err *err)
{
    const size_t n = (size_t)data->n_rows, c = am_learn_n_outputs(j->task);
    uint16_t *fold = am_alloc_array(n + 1, sizeof *fold);
    uint64_t *rows = am_alloc_array(n + 1, sizeof *rows);
    float *part = am_alloc_array(n + 1, c * sizeof *part);
    const struct am_train_data *on = NULL, *of = NULL;
    enum am_rc rc;
    if (!fold || !rows || !part)
        AM_GO(rc, am_fail_nomem(err, n * sizeof *rows));
    AM_GO(rc, deal(j, y, n, fold, err));
    for (size_t k = 0; k < j->n_folds; k++) {
        size_t n_in, n_out;
        AM_GO(rc, side(data, fold, k, false, rows, &on, &n_out, err));
        AM_GO(rc, side(data, fold, k, true, rows, &of, &n_in, err));
        for (size_t m = 0; m < j->n_members && n_in && n_out; m++) {
            AM_GO(rc, fit_predict(j, m, on, of, part, err));
            for (size_t i = 0; i < n_in; i++)
                memcpy(pred + (m * n + rows[i]) * c, part + i * c, c * sizeof *part);
        }
        am_train_subset_free(on);
        am_train_subset_free(of);
        on = of = NULL;
    }
    rc = AM_OK;
out:
    am_train_subset_free(on);
    am_train_subset_free(of);
    am_free(fold);
    am_free(rows);
    am_free(part);
    return rc;
}

static enum am_rc out_of_fold(const struct job *j, const float *y, float *pred, struct am_err *err)
{
    const struct am_learn_task *t = j->task;
    const size_t n = (size_t)t->train->n_rows, c = am_learn_n_outputs(t);
    if (n < 2 * j->n_folds) {
        am_fail(err, AM_EINVAL, "%zu training rows are too few for %zu folds of an ensemble", n,
                j->n_folds);
        am_hint(err, "Lower model.folds, or use combine: mean.");
        return AM_EINVAL;
    }
    if (!t->out_of_fold)
        return own_folds(j, t->train, y, pred, err);
    for (size_t m = 0; m < j->n_members; m++) {
        const enum am_rc rc = t->out_of_fold(t->out_of_fold_ctx, j->members[m], j->n_folds, n, c,
                                             pred + m * n * c, err);
        if (rc != AM_OK && rc != AM_ECANCELED)
            name_member(err, j, m);
        if (rc != AM_OK)
            return rc;
    }
    return AM_OK;
}

/* ---- the combination ---- */

static void combine_apply(const struct combined *b, const struct am_predictions *p, float *out)
{
    if (b->combine == BY_STACK)
        am_combine_apply_meta(p, b->meta, b->coef, out);
    else if (b->combine == BY_HARD_VOTE)
        am_combine_vote(p, b->weights, out);
    else
        am_combine_mean(p, b->weights, out);
}

static enum am_rc fit_greedy(const struct job *j, const struct am_predictions *p,
                             struct combined *out, struct am_err *err)
{
    out->combine = BY_GREEDY;
    return am_combine_greedy(p, j->n_rounds, NULL, out->weights, NULL, err);
}

static enum am_rc fit_combined(const struct job *j, const struct am_predictions *p,
                               struct combined *out, struct am_err *err)
{
    out->combine = j->combine;
    out->meta = j->meta;
    if (j->combine == BY_GREEDY)
        return fit_greedy(j, p, out, err);
    if (j->combine == BY_WEIGHTS)
        return am_combine_weights(p, out->weights, err);
    for (size_t m = 0; m < j->n_members; m++)
        out->weights[m] = 1; /* stack: everybody is asked */
    return am_combine_meta(p, j->meta, j->strength, out->coef, err);
}

static enum am_rc new_combined(const struct job *j, struct combined *out, struct am_err *err)
{
    const size_t c = am_learn_n_outputs(j->task);
    *out = (struct combined){
        .combine = j->combine, .meta = j->meta, .held_stack = NAN, .held_greedy = NAN};
    out->weights = am_arena_array(j->arena, j->n_members, sizeof(double));
    out->coef = am_arena_array(j->arena, c * (j->n_members * c + 1), sizeof(double));
    out->losses = am_arena_array(j->arena, j->n_members, sizeof(double));
    return am_arena_check(j->arena, err);
}

/* Loss of a combination; out is scratch [n_rows, n_out]. */
static double loss_of(const struct combined *b, const struct am_predictions *p, float *out)
{
    combine_apply(b, p, out);
    return am_combine_loss(p, out);
}

struct held { /* of the leak check; all owned */
    const struct am_train_data *in, *out;
    uint64_t *rows;
    uint16_t *part;
    float *pred, *of, *scratch; /* [n_members, n, n_out] of the rows inside and outside */
};

static enum am_rc hold_out(const struct job *j, const float *y, struct held *h, struct am_err *err)
{
    const size_t n = (size_t)j->task->train->n_rows, c = am_learn_n_outputs(j->task);
    struct job ninths = *j;
    size_t k;
    ninths.n_folds = LEAK_CHECK_SHARE;
    h->rows = am_alloc_array(n + 1, sizeof *h->rows);
    h->part = am_alloc_array(n + 1, sizeof *h->part);
    h->pred = am_alloc_array(n + 1, j->n_members * c * sizeof *h->pred);
    h->of = am_alloc_array(n + 1, j->n_members * c * sizeof *h->of);
    h->scratch = am_alloc_array(n + 1, c * sizeof *h->scratch);
    if (!h->rows || !h->part || !h->pred || !h->of || !h->scratch)
        return am_fail_nomem(err, n * j->n_members * c * sizeof *h->of);
    AM_TRY(deal(&ninths, y, n, h->part, err));
    AM_TRY(side(j->task->train, h->part, 0, false, h->rows, &h->in, &k, err));
    return side(j->task->train, h->part, 0, true, h->rows, &h->out, &k, err);
}

/* Dynamic stacking: does a stack that wins out of fold lose on rows held out of everything? */
static enum am_rc check_leak(const struct job *j, const float *y, struct combined *b,
                             struct am_err *err)
{
    struct held h = {0};
    struct combined stack, greedy;
    float *in_y, *in_w, *of_y, *of_w;
    enum am_rc rc;
    AM_GO(rc, hold_out(j, y, &h, err));
    AM_GO(rc, new_combined(j, &stack, err));
    AM_GO(rc, new_combined(j, &greedy, err));
    AM_GO(rc, read_targets(h.in, j->arena, &in_y, &in_w, err));
    AM_GO(rc, read_targets(h.out, j->arena, &of_y, &of_w, err));
    AM_GO(rc, own_folds(j, h.in, in_y, h.pred, err));
    const struct am_predictions in = {.task = j->task->task,
                                      .n_rows = (size_t)h.in->n_rows,
                                      .n_members = j->n_members,
                                      .n_out = am_learn_n_outputs(j->task),
                                      .pred = h.pred,
                                      .y = in_y,
                                      .w = in_w};
    AM_GO(rc, fit_combined(j, &in, &stack, err));
    AM_GO(rc, fit_greedy(j, &in, &greedy, err));
    struct am_predictions of = in;
    of.n_rows = (size_t)h.out->n_rows;
    of.pred = h.of;
    of.y = of_y;
    of.w = of_w;
    for (size_t m = 0; m < j->n_members; m++)
        AM_GO(rc, fit_predict(j, m, h.in, h.out, h.of + m * of.n_rows * of.n_out, err));
    b->held_stack = loss_of(&stack, &of, h.scratch);
    b->held_greedy = loss_of(&greedy, &of, h.scratch);
    b->leak = b->held_stack > b->held_greedy &&
              loss_of(&stack, &in, h.scratch) < loss_of(&greedy, &in, h.scratch);
out:
    am_train_subset_free(h.in);
    am_train_subset_free(h.out);
    am_free(h.rows);
    am_free(h.part);
    am_free(h.pred);
    am_free(h.of);
    am_free(h.scratch);
    return rc;
}

static bool wants_leak_check(const struct job *j)
{
    const struct am_str s = am_key_text(j->task, &am_learner_ensemble, "leak_check");
    if (j->combine != BY_STACK || j->n_members < 2 || am_str_is(s, "never"))
        return false;
    return am_str_is(s, "always") ||
           (j->task->train->n_rows <= LEAK_CHECK_ROWS && j->task->train->n_rows >= 20 * j->n_folds);
}

/* Weights given or equal: nothing is learned. */
static void fixed_weights(const struct job *j, struct combined *b)
{
    double sum = 0;
    for (size_t m = 0; m < j->n_members; m++)
        sum += j->given[m];
    for (size_t m = 0; m < j->n_members; m++)
        b->weights[m] = sum > 0 ? j->given[m] / sum : 1.0 / (double)j->n_members;
    b->losses = NULL;
    b->loss = NAN;
}

static enum am_rc combine(const struct job *j, struct combined *b, struct am_err *err)
{
    const size_t n = (size_t)j->task->train->n_rows, c = am_learn_n_outputs(j->task);
    float *y, *w;
    AM_TRY(new_combined(j, b, err));
    if (!learned(j->combine) || (j->combine == BY_WEIGHTS && j->any_given)) {
        fixed_weights(j, b);
        return AM_OK;
    }
    AM_TRY(read_targets(j->task->train, j->arena, &y, &w, err));
    float *pred = am_alloc_array(n + 1, (j->n_members + 1) * c * sizeof *pred);
    if (!pred)
        return am_fail_nomem(err, n * j->n_members * c * sizeof *pred);
    const struct am_predictions p = {.task = j->task->task,
                                     .n_rows = n,
                                     .n_members = j->n_members,
                                     .n_out = c,
                                     .pred = pred,
                                     .y = y,
                                     .w = w};
    enum am_rc rc;
    AM_GO(rc, out_of_fold(j, y, pred, err));
    for (size_t m = 0; m < j->n_members; m++)
        b->losses[m] = am_combine_loss(&p, pred + m * n * c);
    AM_GO(rc, fit_combined(j, &p, b, err));
    if (wants_leak_check(j)) {
        AM_GO(rc, check_leak(j, y, b, err));
        if (b->leak)
            AM_GO(rc, fit_greedy(j, &p, b, err));
    }
    b->loss = loss_of(b, &p, pred + j->n_members * n * c);
out:
    am_free(pred);
    return rc;
}

/* ---- one graph ---- */

struct build {
    const struct job *j;
    const struct combined *b;
    struct am_learned *members; /* owned [n_members]; without graph: not used */
    am_value y[MEMBERS_MAX];
    double weights[MEMBERS_MAX];
    size_t which[MEMBERS_MAX]; /* member of y[i] */
    size_t n;                  /* that are used */
};

static am_value concat_all(struct am_graph *g, const am_value *v, size_t n)
{
    am_value now[MEMBERS_MAX];
    /* cppcheck-suppress uninitvar ; the caller filled the first n */
    memcpy(now, v, n * sizeof *now);
    while (n > 1) {
        size_t k = 0;
        for (size_t at = 0; at < n; at += AM_GRAPH_INPUTS_MAX) {
            const size_t part = n - at < AM_GRAPH_INPUTS_MAX ? n - at : AM_GRAPH_INPUTS_MAX;
            now[k++] = part == 1 ? now[at] : am_layer_concat(g, now + at, part);
        }
        n = k;
    }
    return now[0];
}

static am_value stack_head(struct am_graph *g, struct build *u)
{
    const enum am_task task = u->j->task->task;
    const bool logits = u->b->meta == AM_META_LOGISTIC;
    const struct am_dense_options o = {.act = !logits                  ? AM_ACT_NONE
                                              : task == AM_TASK_BINARY ? AM_ACT_SIGMOID
                                                                       : AM_ACT_SOFTMAX,
                                       .init = AM_INIT_ZEROS};
    am_value z[MEMBERS_MAX];
    for (size_t i = 0; i < u->n; i++)
        z[i] = logits ? am_layer_log_odds(g, u->y[i],
                                          task == AM_TASK_BINARY ? AM_ODDS_LOGIT : AM_ODDS_LOG,
                                          (float)AM_COMBINE_CLIP)
                      : u->y[i];
    return am_layer_dense(g, concat_all(g, z, u->n), (int64_t)am_learn_n_outputs(u->j->task), &o,
                          "meta");
}

static am_value head(struct am_graph *g, struct build *u)
{
    if (u->b->combine == BY_STACK)
        return stack_head(g, u);
    for (size_t i = 0; u->b->combine == BY_HARD_VOTE && i < u->n; i++)
        u->y[i] = am_layer_vote(g, u->y[i], 0.5f);
    if (u->n == 1 && u->weights[0] == 1)
        return u->y[0];
    return am_graph_weighted_sum(g, u->y, u->weights, u->n);
}

static void set_meta(const struct build *u, struct am_params *p)
{
    const size_t c = am_learn_n_outputs(u->j->task), width = u->j->n_members * c + 1;
    const struct am_param *w = am_params_find(p, AM_STR("meta.weight")),
                          *bias = am_params_find(p, AM_STR("meta.bias"));
    for (size_t k = 0; w && bias && k < c; k++) {
        for (size_t i = 0; i < u->n; i++)
            for (size_t q = 0; q < c; q++)
                p->data[w->offset + (i * c + q) * c + k] =
                    (float)u->b->coef[k * width + u->which[i] * c + q];
        p->data[bias->offset + k] = (float)u->b->coef[k * width + width - 1];
    }
}

static enum am_rc merge(struct build *u, struct am_learned *out, struct am_err *err)
{
    char prefix[32];
    AM_TRY(am_graph_new(&out->graph, err));
    struct am_graph *g = out->graph;
    const struct am_graph *first = u->members[u->which[0]].graph;
    const struct am_gnode *in = am_graph_node(first, am_graph_find_input(first, "x"));
    const am_value x = am_graph_input(g, "x", in->dims);
    for (size_t i = 0; i < u->n; i++) {
        (void)snprintf(prefix, sizeof prefix, "m%zu.", u->which[i] + 1);
        u->y[i] = am_graph_merge(g, x, u->members[u->which[i]].graph, "y", prefix);
    }
    am_graph_output(g, "y", head(g, u));
    AM_TRY(am_graph_check(g, err));
    AM_TRY(am_params_new(g, &out->params, err));
    for (size_t i = 0; i < u->n; i++) {
        (void)snprintf(prefix, sizeof prefix, "m%zu.", u->which[i] + 1);
        AM_TRY(am_params_merge(out->params, u->members[u->which[i]].params, prefix, err));
    }
    if (u->b->combine == BY_STACK)
        set_meta(u, out->params);
    return AM_OK;
}

static enum am_rc fit_members(struct build *u, struct am_err *err)
{
    const struct job *j = u->j;
    for (size_t m = 0; m < j->n_members; m++) {
        if (u->b->weights[m] <= 0)
            continue;
        const struct am_learn_task t = member_task(j, m);
        const enum am_rc rc = am_learner_fit(&t, &u->members[m], j->arena, err);
        if (rc != AM_OK && rc != AM_ECANCELED)
            name_member(err, j, m);
        if (rc != AM_OK)
            return rc;
        u->weights[u->n] = u->b->weights[m];
        u->which[u->n++] = m;
    }
    return AM_OK;
}

static enum am_learned_kind kind_of(const struct build *u)
{
    if (u->j->task->task == AM_TASK_REGRESSION)
        return AM_LEARNED_VALUE;
    if (u->b->combine == BY_STACK)
        return AM_LEARNED_PROBABILITY;
    for (size_t i = 0; i < u->n; i++)
        if (u->members[u->which[i]].kind == AM_LEARNED_SCORE)
            return AM_LEARNED_SCORE;
    return u->b->combine == BY_HARD_VOTE ? AM_LEARNED_SCORE : AM_LEARNED_PROBABILITY;
}

static void tell(const struct build *u, struct am_learned *out, struct am_arena *a)
{
    const struct job *j = u->j;
    const struct combined *b = u->b;
    struct am_node *list = am_new_list(a);
    am_learn_info(j->task, out, a, "ensemble", combine_names[b->combine]);
    am_node_set(a, out->info, "combine", am_new_cstr(a, combine_names[b->combine]));
    for (size_t m = 0; m < j->n_members; m++) {
        struct am_node *one = am_new_map(a);
        const struct am_node *info = u->members[m].info;
        am_node_set(a, one, "type", am_new_str(a, am_node_str(j->members[m], "type", "auto")));
        if (b->combine != BY_STACK)
            am_node_set(a, one, "weight", am_new_f64(a, b->weights[m]));
        if (b->losses)
            am_node_set(a, one, "loss", am_new_f64(a, b->losses[m]));
        if (info)
            am_node_set(a, one, "n_parameters", am_node_get(info, "n_parameters"));
        am_node_push(a, list, one);
    }
    am_node_set(a, out->info, "members", list);
    if (!b->losses)
        return;
    am_node_set(a, out->info, "folds", am_new_i64(a, (int64_t)j->n_folds));
    am_node_set(a, out->info, "loss", am_new_f64(a, b->loss));
    if (isnan(b->held_stack))
        return;
    struct am_node *leak = am_new_map(a);
    am_node_set(a, leak, "found", am_new_bool(a, b->leak));
    am_node_set(a, leak, "held_out_stack", am_new_f64(a, b->held_stack));
    am_node_set(a, leak, "held_out_greedy", am_new_f64(a, b->held_greedy));
    am_node_set(a, out->info, "leak_check", leak);
}

static enum am_rc fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                      struct am_err *err)
{
    struct job j;
    struct combined b;
    enum am_rc rc;
    AM_TRY(read_job(t, a, &j, err));
    AM_TRY(combine(&j, &b, err));
    struct build *u = am_calloc(1, sizeof *u);
    struct am_learned *members = am_calloc(j.n_members, sizeof *members);
    if (!u || !members)
        AM_GO(rc, am_fail_nomem(err, j.n_members * sizeof *members));
    *u = (struct build){.j = &j, .b = &b, .members = members};
    AM_GO(rc, fit_members(u, err));
    AM_GO(rc, merge(u, out, err));
    out->kind = kind_of(u);
    tell(u, out, a);
out:
    for (size_t m = 0; members && m < j.n_members; m++)
        am_learned_clear(&members[m]);
    am_free(members);
    am_free(u);
    return rc;
}

const struct am_learner_ops am_learner_ensemble = {
    .name = "ensemble",
    .doc = "Several models as one: their mean, weighted mean or votes, a model stacked on their "
           "out-of-fold predictions, or a greedy selection.",
    .tasks = 1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING | AM_LEARNER_AS_IS,
    .sparse = true, /* to members that read them; the others get them dense */
    .check = check,
    .fit = fit,
};
