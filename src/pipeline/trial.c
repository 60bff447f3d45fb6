/* The evaluator of candidates: the cache of fitted folds, one candidate over all folds, what a
 * prediction takes. Settings become a recipe of their own (recipe.h), which goes the way of every
 * training: the same checks, features, rows, learner and scores. */
#include "pipeline/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/vec.h"
#include "nn/session.h"
#include "pipeline/train_int.h"

#define CACHE_ENTRIES 256 /* matrices that went to files take no RAM, but take files */

struct entry { /* the rows of one fold under one kind of features */
    unsigned char key[AM_SHA256_BYTES];
    size_t fold;
    struct am_arena *arena; /* owned: what features and augmentation were made of */
    struct am_prepared p;   /* a view of the trials' one with settings of its own */
    struct am_fitted fitted;
    struct am_rows train, test;
    uint64_t bytes, used;
};

struct am_trials {
    const struct am_prepared *p;  /* borrowed */
    const struct am_folds *folds; /* borrowed */
    struct am_pipeline pl;        /* as the caller's, but silent */
    struct am_progress quiet;
    struct am_arena *arena; /* owned */
    struct am_str *metrics;
    size_t n_metrics;
    char *weights_path;
    AM_VEC(struct entry *) entries;
    uint64_t budget, clock;
    struct am_trials_counts counts;
    uint8_t *side; /* owned [n_rows] */
    size_t n;      /* rows that some fold measures */
    uint64_t *row; /* owned [n] */
    double *truth; /* owned [n] */
};

const char *am_trial_status_name(enum am_trial_status s)
{
    static const char *const names[] = {"ok", "failed", "pruned", "canceled"};
    return names[s];
}

/* ---- the rows that are measured ---- */

/* Marks in side the rows that any fold measures; returns how many. */
static size_t measured_rows(struct am_trials *t)
{
    size_t n = 0;
    uint8_t *any = t->side;
    const struct am_folds *f = t->folds;
    bool time = f->spec.n >= 2 && f->spec.split.by == AM_SPLIT_TIME;
    for (uint64_t i = 0; i < t->p->n_rows; i++) {
        bool in =
            f->spec.n < 2 ? f->of[i] == 0 : f->of[i] != AM_FOLD_NONE && !(time && f->of[i] == 0);
        any[i] = in ? AM_ROW_TEST : AM_ROW_DROPPED;
        n += in;
    }
    return n;
}

static enum am_rc read_truth(struct am_trials *t, struct am_err *err)
{
    struct am_table view = {NULL, NULL};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    size_t at = 0;
    enum am_rc rc;
    if (t->p->target_column == SIZE_MAX) {
        for (size_t i = 0; i < t->n; i++)
            t->truth[i] = (double)NAN;
        return AM_OK;
    }
    AM_TRY(am_rows_view(&t->p->table, t->side, t->p->n_rows, AM_PART_BIT(AM_ROW_TEST),
                        t->p->pl->pool, &view, err));
    AM_GO(rc, view.ops->open(view.impl, &t->p->target_column, 1, &it, err));
    for (;;) {
        AM_GO(rc, view.ops->next(it, &b, err));
        if (!b)
            break;
        AM_GO(rc, am_prepared_targets(t->p, b, t->truth + at, err));
        at += b->n_rows;
    }
out:
    view.ops->close(it);
    view.ops->free(view.impl);
    return rc;
}

static enum am_rc list_rows(struct am_trials *t, struct am_err *err)
{
    size_t at = 0;
    t->side = am_alloc_array((size_t)t->p->n_rows + 1, 1);
    if (!t->side)
        return am_fail_nomem(err, t->p->n_rows);
    t->n = measured_rows(t);
    t->row = am_alloc_array(t->n + 1, sizeof *t->row);
    t->truth = am_alloc_array(t->n + 1, sizeof *t->truth);
    if (!t->row || !t->truth)
        return am_fail_nomem(err, t->n * sizeof *t->row);
    for (uint64_t i = 0; i < t->p->n_rows; i++)
        if (t->side[i] == AM_ROW_TEST)
            t->row[at++] = i;
    return read_truth(t, err);
}

/* ---- life ---- */

static char *copied(struct am_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    char *out = am_arena_alloc(a, n);
    if (out)
        memcpy(out, s, n);
    return out;
}

static enum am_rc name_metrics(struct am_trials *t, const struct am_trials_options *o,
                               struct am_err *err)
{
    struct am_training own = {.p = *t->p};
    own.p.arena = t->arena;
    t->n_metrics = o->n_metrics;
    if (o->metrics) {
        t->metrics = am_arena_array(t->arena, o->n_metrics + 1, sizeof *t->metrics);
        for (size_t i = 0; t->metrics && i < o->n_metrics; i++) {
            t->metrics[i] = am_arena_str(t->arena, o->metrics[i]);
            AM_TRY(am_composite_check(o->metrics[i], am_target_task(t->p->target), err));
        }
        return am_arena_check(t->arena, err);
    }
    AM_TRY(am_training_metrics(&own, err));
    t->metrics = own.metric_names;
    t->n_metrics = own.n_metrics;
    return AM_OK;
}

enum am_rc am_trials_new(const struct am_prepared *p, const struct am_trials_options *o,
                         struct am_trials **out, struct am_err *err)
{
    struct am_trials *t = am_calloc(1, sizeof *t);
    enum am_rc rc = AM_OK;
    if (!t)
        return am_fail_nomem(err, sizeof *t);
    t->p = p;
    t->folds = o->folds;
    t->pl = *p->pl;
    t->quiet.cancel = p->pl->progress ? p->pl->progress->cancel : NULL;
    t->pl.progress = &t->quiet;
    t->budget = o->memory_bytes ? o->memory_bytes : p->pl->memory_limit_bytes / 4;
    t->arena = am_arena_new(0);
    if (!t->arena)
        AM_GO(rc, am_fail_nomem(err, sizeof(void *)));
    if (o->weights_path)
        t->weights_path = copied(t->arena, o->weights_path);
    AM_GO(rc, name_metrics(t, o, err));
    rc = list_rows(t, err);
out:
    if (rc == AM_OK)
        *out = t;
    else
        am_trials_free(t);
    return rc;
}

static void entry_free(struct entry *e)
{
    if (!e)
        return;
    am_rows_clear(&e->train);
    am_rows_clear(&e->test);
    am_fitted_clear(&e->fitted);
    am_arena_free(e->arena);
    am_free(e);
}

void am_trials_free(struct am_trials *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->entries.len; i++)
        entry_free(t->entries.ptr[i]);
    am_vec_clear(&t->entries);
    am_arena_free(t->arena);
    am_free(t->side);
    am_free(t->row);
    am_free(t->truth);
    am_free(t);
}

size_t am_trials_n_metrics(const struct am_trials *t)
{
    return t->n_metrics;
}

const struct am_str *am_trials_metrics(const struct am_trials *t)
{
    return t->metrics;
}

bool am_trials_higher(const struct am_trials *t, size_t i)
{
    const struct am_metric_info *m = am_metric_find(t->metrics[i]);
    return m && m->better == AM_METRIC_HIGHER;
}

struct am_trials_counts am_trials_counts(const struct am_trials *t)
{
    return t->counts;
}

/* ---- the cache ---- */

/* What of `train` changes neither features nor rows. A key that is not named here counts. */
static bool idle_key(struct am_str key)
{
    static const char *const idle[] = {"optimizer",
                                       "learning_rate",
                                       "momentum",
                                       "beta1",
                                       "beta2",
                                       "epsilon",
                                       "rho",
                                       "weight_decay",
                                       "l1",
                                       "l2",
                                       "epochs",
                                       "batch_size",
                                       "accumulate",
                                       "average",
                                       "schedule",
                                       "clip_norm",
                                       "clip_value",
                                       "early_stopping",
                                       "label_smoothing",
                                       "loss",
                                       "huber_delta",
                                       "threads",
                                       "checkpoint_every",
                                       "kernels",
                                       "recover",
                                       "shuffle",
                                       "freeze",
                                       "weights",
                                       "learning_rates"};
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++)
        if (am_str_is(key, idle[i]))
            return true;
    return false;
}

static enum am_rc key_of(const struct am_node *resolved, unsigned char out[AM_SHA256_BYTES],
                         struct am_err *err)
{
    const struct am_node *train = am_node_get(resolved, "train"),
                         *features = am_node_get(resolved, "features");
    struct am_buf b;
    am_buf_init(&b, 1 << 24);
    if (features)
        am_node_to_json(features, AM_JSON_COMPACT, &b);
    for (size_t i = 0; train && train->kind == AM_NODE_MAP && i < train->map.n; i++) {
        if (idle_key(train->map.pairs[i].key))
            continue;
        am_json_quote(&b, train->map.pairs[i].key);
        am_node_to_json(train->map.pairs[i].value, AM_JSON_COMPACT, &b);
    }
    enum am_rc rc = am_buf_check(&b, err);
    if (rc == AM_OK)
        rc = am_sha256(b.ptr, b.len, out, err);
    am_buf_clear(&b);
    return rc;
}

/* Entries of sparse rows are counted where they can be seen. */
static uint64_t sparse_bytes(const struct am_train_data *d)
{
    uint64_t bytes = 0;
    for (uint64_t at = 0; d->view_sparse && at < d->n_rows;) {
        struct am_csr x;
        const float *y, *w;
        if (!d->view_sparse(d->self, at, &x, &y, &w) || x.n_rows == 0)
            break;
        bytes += (x.start[x.n_rows] - x.start[0]) * (sizeof *x.cols + sizeof *x.vals);
        at += x.n_rows;
    }
    return bytes;
}

static uint64_t rows_bytes(const struct am_rows *r)
{
    if (!r->matrix || am_matrix_spilled(r->matrix) || !r->data)
        return 0;
    if (r->data->gather_sparse)
        return sparse_bytes(r->data);
    return r->data->n_rows * (r->data->n_features + r->data->n_targets) * sizeof(float);
}

static void forget_oldest(struct am_trials *t)
{
    size_t at = 0;
    for (size_t i = 1; i < t->entries.len; i++)
        if (t->entries.ptr[i]->used < t->entries.ptr[at]->used)
            at = i;
    t->counts.cached_bytes -= t->entries.ptr[at]->bytes;
    entry_free(t->entries.ptr[at]);
    t->entries.ptr[at] = t->entries.ptr[--t->entries.len];
}

/* Features fitted on the fold's training rows, then both sides' rows. */
static enum am_rc fill_entry(struct am_trials *t, struct entry *e, struct am_err *err)
{
    struct am_table in = {NULL, NULL}, outside = {NULL, NULL};
    size_t share = (size_t)(t->budget / 2);
    enum am_rc rc;
    am_folds_side(t->folds, e->fold, t->side);
    AM_GO(rc, am_rows_view(&t->p->table, t->side, t->p->n_rows, AM_PART_BIT(AM_ROW_TRAIN),
                           t->pl.pool, &outside, err));
    AM_GO(rc, am_rows_view(&t->p->table, t->side, t->p->n_rows, AM_PART_BIT(AM_ROW_TEST),
                           t->pl.pool, &in, err));
    AM_GO(rc, am_fit_features(&e->p, &outside, &e->fitted, err));
    AM_GO(rc, am_make_rows(&e->p, &outside, &e->fitted, true, share ? share : 1, &e->train, err));
    AM_GO(rc, am_make_rows(&e->p, &in, &e->fitted, false, share ? share : 1, &e->test, err));
    e->bytes = rows_bytes(&e->train) + rows_bytes(&e->test);
out:
    if (in.ops)
        in.ops->free(in.impl);
    if (outside.ops)
        outside.ops->free(outside.impl);
    return rc;
}

/* The trial's prepared data, in the entry's own arena: features outlive the trial. */
static enum am_rc entry_new(struct am_trials *t, const struct am_prepared *of, size_t fold,
                            struct entry **out, struct am_err *err)
{
    struct entry *e = am_calloc(1, sizeof *e);
    enum am_rc rc;
    *out = NULL;
    if (!e)
        return am_fail_nomem(err, sizeof *e);
    e->fold = fold;
    e->arena = am_arena_new(0);
    if (!e->arena)
        AM_GO(rc, am_fail_nomem(err, sizeof(void *)));
    e->p = *of;
    e->p.arena = e->arena;
    e->p.pl = &t->pl;
    e->p.recipe.resolved = am_node_copy(e->arena, of->recipe.resolved);
    e->p.columns = am_arena_array(e->arena, of->n_columns + 1, sizeof *e->p.columns);
    AM_GO(rc, am_arena_check(e->arena, err));
    memcpy(e->p.columns, of->columns, of->n_columns * sizeof *of->columns);
    rc = fill_entry(t, e, err);
out:
    if (rc == AM_OK)
        *out = e;
    else
        entry_free(e);
    return rc;
}

static enum am_rc entry_of(struct am_trials *t, const struct am_prepared *p,
                           const unsigned char key[AM_SHA256_BYTES], size_t fold,
                           struct entry **out, struct am_err *err)
{
    for (size_t i = 0; i < t->entries.len; i++) {
        struct entry *e = t->entries.ptr[i];
        if (e->fold != fold || memcmp(e->key, key, AM_SHA256_BYTES) != 0)
            continue;
        e->used = ++t->clock;
        t->counts.n_reused++;
        *out = e;
        return AM_OK;
    }
    /* an entry at once needs at most half of the budget for either side */
    while (t->entries.len &&
           (t->counts.cached_bytes > t->budget / 2 || t->entries.len >= CACHE_ENTRIES))
        forget_oldest(t);
    AM_TRY(entry_new(t, p, fold, out, err));
    memcpy((*out)->key, key, AM_SHA256_BYTES);
    (*out)->used = ++t->clock;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    if (!am_vec_push(&t->entries, *out)) {
        entry_free(*out);
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
        return am_fail_nomem(err, sizeof *out);
    }
    t->counts.cached_bytes += (*out)->bytes;
    t->counts.n_fitted++;
    return AM_OK;
}

/* ---- one candidate ---- */

struct trial { /* while it runs */
    struct am_trials *t;
    const struct am_trial_spec *spec;
    struct am_trial_result *out;
    struct am_training training;
    struct am_arena *arena; /* owned */
    unsigned char key[AM_SHA256_BYTES];
    const char *how; /* of a network, or the reason to stop; static */
    bool pruned, single;
    size_t n_folds, first; /* pairs to run */
    uint16_t *seen;        /* owned [n] predictions added to a row so far; NULL = not asked for */
};

static enum am_rc only_some_paths(const struct am_recipe_set *sets, size_t n, struct am_err *err)
{
    static const char *const roots[] = {"features", "model", "train"};
    for (size_t i = 0; i < n; i++) {
        const char *dot = memchr(sets[i].path.ptr, '.', sets[i].path.len);
        struct am_str root = {sets[i].path.ptr,
                              dot ? (size_t)(dot - sets[i].path.ptr) : sets[i].path.len};
        bool ok = am_str_is(sets[i].path, "evaluate.threshold");
        for (size_t k = 0; k < 3 && !ok; k++)
            ok = am_str_is(root, roots[k]);
        ok = ok && !am_str_is(sets[i].path, "train.threads") &&
             !am_str_starts(sets[i].path, AM_STR("train.weights"));
        if (ok)
            continue;
        am_fail(err, AM_EUSAGE, "\"%.*s\" is no setting that candidates can differ in",
                AM_FMT(sets[i].path));
        am_hint(err, "Candidates differ in settings under features, model and train, and in "
                     "evaluate.threshold; data and its split are the same for all.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

/* The candidate's recipe, checked, and the columns that it uses. */
static enum am_rc set_up(struct am_trials *t, struct am_arena *a, const struct am_recipe_set *sets,
                         size_t n_sets, struct am_training *out, struct am_err *err)
{
    struct am_str target = {NULL, 0};
    *out = (struct am_training){.p = *t->p, .weights_path = t->weights_path};
    out->p.arena = a;
    out->p.pl = &t->pl;
    AM_TRY(only_some_paths(sets, n_sets, err));
    AM_TRY(am_recipe_with(a, &t->p->recipe, sets, n_sets, &out->p.recipe, err));
    AM_TRY(am_recipe_check_columns(&out->p.recipe, t->p->schema, err));
    out->seed = (uint64_t)am_node_i64(am_node_get(out->p.recipe.resolved, "train"), "seed", 42);
    if (t->p->target_column != SIZE_MAX)
        target = t->p->schema->columns[t->p->target_column].name;
    AM_TRY(am_features_select(am_node_get(out->p.recipe.resolved, "features"), t->p->schema, target,
                              t->p->ids, t->p->n_ids, a, &out->p.columns, &out->p.n_columns, err));
    return am_training_check(out, err);
}

enum am_rc am_trial_check(struct am_trials *t, const struct am_recipe_set *sets, size_t n_sets,
                          struct am_err *err)
{
    struct am_training training;
    struct am_arena *a = am_arena_new(0);
    enum am_rc rc =
        a ? set_up(t, a, sets, n_sets, &training, err) : am_fail_nomem(err, sizeof(void *));
    am_arena_free(a);
    return rc;
}

static enum am_rc out_of_time(struct am_err *err)
{
    return am_fail(err, AM_ECANCELED, "the time for this candidate is over");
}

static enum am_rc say(struct trial *r, uint64_t step, double value, struct am_err *err)
{
    bool prune = false;
    if (r->spec->deadline_ns && am_mono_ns() > r->spec->deadline_ns)
        return out_of_time(err);
    if (!r->spec->report || isnan(value))
        return AM_OK;
    AM_TRY(r->spec->report(r->spec->ctx, step, value, &prune, err));
    if (!prune)
        return AM_OK;
    r->pruned = true;
    return am_fail(err, AM_ECANCELED, "pruned at step %llu", (unsigned long long)step);
}

static enum am_rc on_epoch(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    struct trial *r = ctx;
    double loss = r->single ? e->validation_loss : (double)NAN;
    if (am_trials_higher(r->t, r->spec->watch))
        loss = -loss;
    return say(r, e->epoch, loss, err);
}

static const struct am_node *without_stopping(struct am_arena *a, const struct am_node *spec)
{
    struct am_node *copy = am_node_copy(a, spec);
    am_node_set(a, copy, "early_stopping", am_new_bool(a, false));
    return copy;
}

/* Learns on the fold's training rows. A fold that only measures chooses nothing: it stops no
 * training. The validation part does, as in every training. */
static enum am_rc learn(struct trial *r, struct entry *e, struct am_learned *out,
                        struct am_err *err)
{
    struct am_training *t = &r->training;
    struct am_learn_task task;
    t->fitted = e->fitted;
    t->rows[AM_ROW_TRAIN] = e->train;
    t->rows[AM_ROW_VALIDATION] = r->t->folds->spec.n < 2 ? e->test : (struct am_rows){0};
    AM_TRY(am_training_task(t, &task, err));
    if (r->t->folds->spec.n >= 2)
        task.train_spec = without_stopping(r->arena, task.train_spec);
    AM_TRY(am_arena_check(r->arena, err));
    task.hooks = (struct am_train_hooks){.ctx = r, .on_epoch = on_epoch, .progress = &r->t->quiet};
    return am_learner_fit(&task, out, r->arena, err);
}

static enum am_rc keep_predictions(struct trial *r, size_t fold, const struct am_scored *s,
                                   struct am_err *err)
{
    struct am_trial_rows *rows = &r->out->rows;
    size_t n_out = am_task_columns(s->in.task, s->in.n_classes), at = 0;
    if (!r->spec->predictions)
        return AM_OK;
    if (!rows->pred) {
        rows->n_out = n_out;
        rows->pred = am_calloc(r->t->n * n_out + 1, sizeof *rows->pred);
        r->seen = am_calloc(r->t->n + 1, sizeof *r->seen);
        if (!rows->pred || !r->seen)
            return am_fail_nomem(err, r->t->n * n_out * sizeof *rows->pred);
    }
    am_folds_side(r->t->folds, fold, r->t->side);
    for (size_t i = 0; i < r->t->n; i++) {
        if (r->t->side[r->t->row[i]] != AM_ROW_TEST)
            continue;
        if (at >= s->in.n_rows)
            return am_fail(err, AM_EINTERNAL, "a fold has more rows than predictions");
        float share = 1 / (float)++r->seen[i];
        for (size_t k = 0; k < n_out; k++)
            rows->pred[i * n_out + k] +=
                share * (s->pred[at * n_out + k] - rows->pred[i * n_out + k]);
        at++;
    }
    return AM_OK;
}

static enum am_rc measure(struct trial *r, struct entry *e, const struct am_learned *l, size_t done,
                          struct am_err *err)
{
    struct am_training *t = &r->training;
    enum am_task task = am_target_task(t->p.target);
    const struct am_scored none = {.pred = NULL};
    struct am_scored s = {0}, own = {0};
    struct am_node *values;
    enum am_rc rc;
    AM_GO(rc, am_score(l, task, am_target_n_classes(t->p.target), e->test.data, r->t->pl.pool, &s,
                       err));
    s.in.threshold = t->threshold;
    if (task == AM_TASK_ANOMALY) { /* of the rows that this fold's model learned */
        AM_GO(rc, am_score(l, task, 0, e->train.data, r->t->pl.pool, &own, err));
        AM_GO(rc, am_training_anomaly_threshold(t, &none, &own, &s.in.threshold, err));
    }
    AM_GO(rc, am_metrics_node(&s.in, r->t->metrics, r->t->n_metrics, NULL, r->arena, &values, err));
    for (size_t m = 0; m < r->t->n_metrics; m++)
        if (!am_node_as_f64(am_node_get_str(values, r->t->metrics[m]),
                            &r->out->metrics[done * r->t->n_metrics + m]))
            r->out->metrics[done * r->t->n_metrics + m] = (double)NAN;
    rc = keep_predictions(r, e->fold, &s, err);
out:
    am_scored_clear(&s);
    am_scored_clear(&own);
    return rc;
}

void am_trial_mean(struct am_trial_result *o)
{
    for (size_t m = 0; m < o->n_metrics; m++) {
        double sum = 0, square = 0, n = 0;
        for (size_t k = 0; k < o->n_folds; k++) {
            double v = o->metrics[k * o->n_metrics + m];
            if (isnan(v))
                continue;
            sum += v;
            n++;
        }
        double mean = n > 0 ? sum / n : (double)NAN;
        for (size_t k = 0; k < o->n_folds; k++) {
            double v = o->metrics[k * o->n_metrics + m] - mean;
            square += isnan(v) ? 0 : v * v;
        }
        o->mean[m] = mean;
        o->deviation[m] = n > 0 ? sqrt(square / n) : (double)NAN;
    }
}

/* ---- what one prediction takes ---- */

#define LATENCY_RUNS 64
#define LATENCY_NS 20000000u

static int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct one_row {
    const struct am_features *features;
    size_t n_columns;
    struct am_session *session;
    struct am_column *columns; /* arena [n_columns] */
    float *x, *y;              /* arena; x NULL: sparse */
    struct am_csr_buf sparse;  /* owned */
};

static enum am_rc predict_one(struct one_row *o, const struct am_batch *one, struct am_err *err)
{
    if (o->x) {
        AM_TRY(am_features_apply(o->features, one, o->x, err));
        return am_session_run(o->session, 1, o->x, o->y, err);
    }
    am_csr_reset(&o->sparse, am_features_width(o->features));
    AM_TRY(am_features_apply_sparse(o->features, one, &o->sparse, err));
    const struct am_csr x = am_csr_of(&o->sparse);
    return am_session_run_sparse(o->session, &x, o->y, err);
}

static enum am_rc time_rows(struct one_row *o, const struct am_batch *b, double *out,
                            struct am_err *err)
{
    const struct am_batch rows = {b->n_rows, o->n_columns, b->columns, b->first_row};
    uint64_t ns[LATENCY_RUNS], began = am_mono_ns();
    size_t n = 0;
    for (size_t i = 0; n < LATENCY_RUNS && (n < 5 || am_mono_ns() - began < LATENCY_NS); i++) {
        const struct am_batch one = am_batch_slice(&rows, i % b->n_rows, 1, o->columns);
        uint64_t at = am_mono_ns();
        AM_TRY(predict_one(o, &one, err));
        if (i >= 3) /* the first ones warm up */
            ns[n++] = am_mono_ns() - at;
    }
    qsort(ns, n, sizeof *ns, by_time);
    *out = (double)ns[n / 2] * 1e-3;
    return AM_OK;
}

static enum am_rc one_row_new(struct trial *r, const struct entry *e, const struct am_learned *l,
                              struct one_row *o, struct am_err *err)
{
    const bool sparse = am_features_sparse(e->fitted.features) && am_plan_takes_sparse(l->graph);
    struct am_plan_options po = {.mode = AM_PLAN_INFER, .bucket_rows = 1, .sparse_x = sparse};
    struct am_plan *plan;
    *o = (struct one_row){.features = e->fitted.features, .n_columns = e->fitted.n_columns};
    AM_TRY(am_plan_build(l->graph, l->params, &po, &plan, err));
    enum am_rc rc = am_session_new(plan, NULL, &o->session, err);
    o->columns = am_arena_array(r->arena, o->n_columns + 1, sizeof *o->columns);
    o->y = am_arena_aligned(r->arena, 64, (am_plan_n_outputs(plan) + 1) * sizeof *o->y);
    if (!sparse)
        o->x = am_arena_aligned(r->arena, 64, (am_features_width(o->features) + 1) * sizeof *o->x);
    am_plan_put(plan);
    AM_TRY(rc);
    return am_arena_check(r->arena, err);
}

static enum am_rc latency(struct trial *r, struct entry *e, const struct am_learned *l,
                          struct am_err *err)
{
    struct one_row o = {.session = NULL};
    struct am_table view = {NULL, NULL};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    enum am_rc rc;
    am_folds_side(r->t->folds, e->fold, r->t->side);
    AM_TRY(am_rows_view(&r->t->p->table, r->t->side, r->t->p->n_rows, AM_PART_BIT(AM_ROW_TEST),
                        r->t->pl.pool, &view, err));
    AM_GO(rc, one_row_new(r, e, l, &o, err));
    AM_GO(rc, view.ops->open(view.impl, e->fitted.columns, e->fitted.n_columns, &it, err));
    AM_GO(rc, view.ops->next(it, &b, err));
    if (b && b->n_rows)
        rc = time_rows(&o, b, &r->out->latency_us, err);
out:
    view.ops->close(it);
    view.ops->free(view.impl);
    am_session_free(o.session);
    am_csr_clear(&o.sparse);
    return rc;
}

static enum am_rc size_of(struct trial *r, const struct am_learned *l, struct am_err *err)
{
    struct am_node *graph;
    struct am_buf b;
    AM_TRY(am_graph_to_node(l->graph, r->arena, &graph, err));
    am_buf_init(&b, AM_LIMIT_JSON_BYTES);
    am_node_to_json(graph, AM_JSON_COMPACT, &b);
    r->out->n_parameters = l->params->n_values;
    r->out->size_bytes = l->params->n_values * sizeof(float) + b.len;
    enum am_rc rc = am_buf_check(&b, err);
    am_buf_clear(&b);
    return rc;
}

static enum am_rc one_fold(struct trial *r, size_t fold, size_t done, struct am_err *err)
{
    struct am_learned learned = {0};
    struct entry *e;
    uint64_t began = am_mono_ns();
    enum am_rc rc;
    if (am_progress_canceled(&r->t->quiet))
        return am_fail(err, AM_ECANCELED, "canceled");
    AM_TRY(entry_of(r->t, &r->training.p, r->key, fold, &e, err));
    AM_GO(rc, learn(r, e, &learned, err));
    r->out->fit_seconds += (double)(am_mono_ns() - began) * 1e-9;
    AM_GO(rc, measure(r, e, &learned, done, err));
    if (done + 1 == r->n_folds) {
        AM_GO(rc, size_of(r, &learned, err));
        if (r->spec->latency)
            rc = latency(r, e, &learned, err);
    }
out:
    am_learned_clear(&learned);
    return rc;
}

static enum am_rc all_folds(struct trial *r, struct am_err *err)
{
    struct am_trial_result *o = r->out;
    for (size_t i = 0; i < r->n_folds; i++) {
        AM_TRY(one_fold(r, r->first + i, i, err));
        o->n_folds = i + 1;
        am_trial_mean(o);
        if (i + 1 < r->n_folds)
            AM_TRY(say(r, i + 1, o->mean[r->spec->watch], err));
    }
    return AM_OK;
}

static enum am_rc results_new(const struct trial *r, struct am_err *err)
{
    struct am_trial_result *o = r->out;
    o->n_metrics = r->t->n_metrics;
    o->metrics = am_alloc_array(r->n_folds * o->n_metrics + 1, sizeof *o->metrics);
    o->mean = am_alloc_array(o->n_metrics + 1, sizeof *o->mean);
    o->deviation = am_alloc_array(o->n_metrics + 1, sizeof *o->deviation);
    if (!o->metrics || !o->mean || !o->deviation)
        return am_fail_nomem(err, o->n_metrics * sizeof *o->metrics);
    for (size_t m = 0; m < o->n_metrics; m++)
        o->mean[m] = o->deviation[m] = (double)NAN;
    return AM_OK;
}

static void settle(struct trial *r, enum am_rc rc, const struct am_err *err)
{
    struct am_trial_result *o = r->out;
    o->rc = rc;
    if (rc == AM_OK) {
        for (size_t i = 0; r->seen && i < r->t->n; i++)
            for (size_t k = 0; !r->seen[i] && k < o->rows.n_out; k++)
                o->rows.pred[i * o->rows.n_out + k] = NAN; /* one_fold: of another fold */
        o->rows.n = o->rows.pred ? r->t->n : 0;
        o->rows.row = r->t->row;
        o->rows.truth = r->t->truth;
        return;
    }
    o->status = rc != AM_ECANCELED ? AM_TRIAL_FAILED
                : r->pruned        ? AM_TRIAL_PRUNED
                                   : AM_TRIAL_CANCELED;
    if (rc != AM_ECANCELED)
        snprintf(o->why, sizeof o->why, "%s", err->message);
    am_free(o->rows.pred);
    o->rows = (struct am_trial_rows){0};
}

enum am_rc am_trial_run(struct am_trials *t, const struct am_trial_spec *spec,
                        struct am_trial_result *out, struct am_err *err)
{
    struct am_err own = {0};
    struct trial r = {.t = t, .spec = spec, .out = out};
    enum am_rc rc;
    r.first = spec->one_fold ? spec->fold : 0;
    r.n_folds = spec->one_fold ? 1 : am_folds_count(t->folds);
    r.single = t->folds->spec.n < 2;
    *out = (struct am_trial_result){.latency_us = (double)NAN};
    AM_TRY(results_new(&r, err));
    r.arena = am_arena_new(0);
    if (!r.arena)
        return am_fail_nomem(err, sizeof(void *));
    AM_GO(rc, set_up(t, r.arena, spec->sets, spec->n_sets, &r.training, &own));
    AM_GO(rc, key_of(r.training.p.recipe.resolved, r.key, &own));
    rc = all_folds(&r, &own);
out:
    settle(&r, rc, &own);
    am_free(r.seen);
    am_arena_free(r.arena);
    return AM_OK;
}

void am_trials_rows(const struct am_trials *t, struct am_trial_rows *rows)
{
    rows->n = t->n;
    rows->row = t->row;
    rows->truth = t->truth;
}

void am_trial_result_clear(struct am_trial_result *r)
{
    am_free(r->metrics);
    am_free(r->mean);
    am_free(r->deviation);
    am_free(r->rows.pred);
    *r = (struct am_trial_result){0};
}
