/* From a prepared recipe to a learned graph: checks, features, rows, the learner with its hooks. */
#include "pipeline/train_int.h"

#include <math.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "learn/balanced.h"
#include "pipeline/automl_int.h"
#include "pipeline/condition.h"
#include "pipeline/distil.h"
#include "pipeline/recipe_int.h"
#include "tensor/kernel_port.h"

#define CHECKPOINT_EVERY_NS 2000000000u /* when the recipe leaves it to us */

/* ---- rows ---- */

void am_rows_clear(struct am_rows *r)
{
    am_augmented_free(r->augmented);
    am_matrix_free(r->matrix);
    *r = (struct am_rows){NULL, NULL, NULL};
}

/* The features of this many bytes are made at once: a batch of small picture files may hold
 * gigabytes of pixels. */
#define FEATURE_BYTES ((size_t)16 << 20)
#define SPARSE_FLOATS 1024 /* a sparse row counts as so many */

struct block { /* scratch of some rows of a batch, grown as needed */
    float *x, *y, *w;
    double *t;
    size_t cap;
    struct am_column *columns; /* owned [n_columns] of the batches */
    struct am_csr_buf sparse;  /* owned */
};

static enum am_rc block_grow(struct block *b, size_t n, size_t width, struct am_err *err)
{
    size_t cells;
    if (n <= b->cap)
        return AM_OK;
    if (!am_mul_size(&cells, n, width ? width : 1))
        return am_fail_nomem(err, n);
    float *x = am_realloc_array(b->x, cells, sizeof *x);
    if (x)
        b->x = x;
    float *y = am_realloc_array(b->y, n, sizeof *y);
    if (y)
        b->y = y;
    float *w = am_realloc_array(b->w, n, sizeof *w);
    if (w)
        b->w = w;
    double *t = am_realloc_array(b->t, n, sizeof *t);
    if (t)
        b->t = t;
    if (!x || !y || !w || !t)
        return am_fail_nomem(err, cells * sizeof *x);
    b->cap = n;
    return AM_OK;
}

static enum am_rc apply_rows(const struct am_fitted *f, bool training, const struct am_batch *in,
                             float *x, struct am_err *err)
{
    return training ? am_features_apply_train(f->fit, f->features, in, NULL, x, err)
                    : am_features_apply(f->features, in, x, err);
}

struct applying { /* rows of a batch on all threads */
    const struct am_fitted *f;
    const struct am_batch *in;
    float *x;
    bool training;
    size_t grain;
    struct am_column *columns; /* [parts][n_columns] */
    atomic_bool failed;
};

struct am_batch am_batch_slice(const struct am_batch *b, size_t begin, size_t n,
                               struct am_column *columns)
{
    for (size_t i = 0; i < b->n_columns; i++) {
        columns[i] = b->columns[i];
        if (am_col_is_string(columns[i].type))
            columns[i].text += begin;
        else if (columns[i].type == AM_COL_DATE)
            columns[i].date += begin;
        else
            columns[i].number += begin;
    }
    return (struct am_batch){n, b->n_columns, columns, b->first_row + begin};
}

static void apply_part(void *ctx, size_t begin, size_t end)
{
    struct applying *d = ctx;
    struct am_column *columns = d->columns + begin / d->grain * d->in->n_columns;
    const struct am_batch part = am_batch_slice(d->in, begin, end - begin, columns);
    struct am_err err;
    if (apply_rows(d->f, d->training, &part, d->x + begin * am_features_width(d->f->features),
                   &err) != AM_OK)
        atomic_store(&d->failed, true);
}

#define DECODE_ROWS 4   /* of files to decode, at once */
#define APPLY_ROWS 1024 /* of numbers and texts */

/* A failure in a part is found again by the whole batch in order, so that the first bad row is the
 * one that is named. */
static enum am_rc apply_batch(const struct am_prepared *p, const struct am_batch *in,
                              const struct am_fitted *f, bool training, float *x,
                              struct am_err *err)
{
    struct applying d = {.f = f, .in = in, .x = x, .training = training, .grain = APPLY_ROWS};
    for (size_t i = 0; i < in->n_columns; i++)
        if (am_col_is_media(in->columns[i].type))
            d.grain = DECODE_ROWS;
    const size_t parts = (in->n_rows + d.grain - 1) / d.grain;
    if (parts > 1 && am_pool_size(p->pl->pool) > 1) {
        d.columns = am_alloc_array(parts * (in->n_columns + 1), sizeof *d.columns);
        if (!d.columns)
            return am_fail_nomem(err, parts * in->n_columns * sizeof *d.columns);
        am_pool_for(p->pl->pool, in->n_rows, d.grain, apply_part, &d);
        am_free(d.columns);
        if (!atomic_load(&d.failed))
            return AM_OK;
    }
    return apply_rows(f, training, in, x, err);
}

/* Some rows of a batch whose last column is the target, where there is one. */
static enum am_rc append_rows(const struct am_prepared *p, const struct am_batch *b,
                              const struct am_fitted *f, bool training, struct block *s,
                              struct am_matrix *m, struct am_err *err)
{
    struct am_batch in = {b->n_rows, f->n_columns, b->columns, b->first_row};
    const bool sparse = am_features_sparse(f->features);
    AM_TRY(block_grow(s, b->n_rows, sparse ? 1 : am_features_width(f->features), err));
    AM_TRY(am_prepared_targets(p, b, s->t, err));
    for (size_t i = 0; i < b->n_rows; i++)
        s->y[i] = (float)s->t[i];
    am_fitted_weights(p, f, b, s->w);
    if (sparse) {
        am_csr_reset(&s->sparse, am_features_width(f->features));
        AM_TRY(training
                   ? am_features_apply_train_sparse(f->fit, f->features, &in, NULL, &s->sparse, err)
                   : am_features_apply_sparse(f->features, &in, &s->sparse, err));
        const struct am_csr x = am_csr_of(&s->sparse);
        return am_matrix_append_sparse(m, &x, s->y, s->w, err);
    }
    AM_TRY(apply_batch(p, &in, f, training, s->x, err));
    return am_matrix_append(m, b->n_rows, s->x, s->y, s->w, err);
}

static enum am_rc append_batch(const struct am_prepared *p, const struct am_batch *b,
                               const struct am_fitted *f, bool training, struct block *s,
                               struct am_matrix *m, struct am_err *err)
{
    size_t width = am_features_sparse(f->features) ? SPARSE_FLOATS : am_features_width(f->features);
    size_t most = FEATURE_BYTES / sizeof(float);
    most = width > 1 ? most / width : most;
    most = most ? most : 1;
    if (b->n_rows <= most)
        return append_rows(p, b, f, training, s, m, err);
    if (!s->columns)
        s->columns = am_alloc_array(b->n_columns, sizeof *s->columns);
    if (!s->columns)
        return am_fail_nomem(err, b->n_columns * sizeof *s->columns);
    for (size_t at = 0, n; at < b->n_rows; at += n) {
        n = b->n_rows - at < most ? b->n_rows - at : most;
        const struct am_batch part = am_batch_slice(b, at, n, s->columns);
        AM_TRY(append_rows(p, &part, f, training, s, m, err));
    }
    return AM_OK;
}

static const struct am_node *augment_spec(const struct am_prepared *p)
{
    return am_node_path(p->recipe.resolved, "train.augment");
}

static enum am_rc augment_rows(const struct am_prepared *p, const struct am_features *f,
                               struct am_rows *out, struct am_err *err)
{
    const struct am_node *train = am_node_get(p->recipe.resolved, "train");
    AM_TRY(am_augmented_new(augment_spec(p), f, out->data,
                            am_task_has_classes(am_target_task(p->target)),
                            (uint64_t)am_node_i64(train, "seed", 42), &out->augmented, err));
    if (out->augmented)
        out->data = am_augmented_data(out->augmented);
    return AM_OK;
}

enum am_rc am_make_rows(const struct am_prepared *p, const struct am_table *view,
                        const struct am_fitted *f, bool training, size_t memory_bytes,
                        struct am_rows *out, struct am_err *err)
{
    struct am_matrix_options o = {
        .memory_bytes = memory_bytes,
        .temp_dir = am_pipeline_scratch(p->pl),
        .weights = p->weight_column == SIZE_MAX ? AM_MATRIX_NO_WEIGHTS : AM_MATRIX_WEIGHTS,
        .form = am_features_sparse(f->features) ? AM_MATRIX_SPARSE : AM_MATRIX_DENSE};
    size_t *columns = am_arena_array(p->arena, f->n_columns + 2, sizeof *columns);
    struct am_table_iter *it = NULL;
    struct block s = {0};
    const struct am_batch *b;
    enum am_rc rc;
    *out = (struct am_rows){NULL, NULL, NULL};
    AM_TRY(am_arena_check(p->arena, err));
    size_t n_read = am_fitted_columns(p, f, columns);
    AM_GO(rc, am_matrix_new(am_features_width(f->features), 1, &o, &out->matrix, err));
    AM_GO(rc, view->ops->open(view->impl, columns, n_read, &it, err));
    for (;;) {
        AM_GO(rc, view->ops->next(it, &b, err));
        if (!b)
            break;
        AM_GO(rc, append_batch(p, b, f, training, &s, out->matrix, err));
        if (am_progress_canceled(p->pl->progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled while rows were made"));
    }
    AM_GO(rc, am_matrix_finish(out->matrix, err));
    if (am_matrix_n_rows(out->matrix))
        out->data = am_matrix_data(out->matrix);
    if (training && out->data)
        AM_GO(rc, augment_rows(p, f->features, out, err));
out:
    view->ops->close(it);
    am_free(s.x);
    am_free(s.y);
    am_free(s.w);
    am_csr_clear(&s.sparse);
    am_free(s.t);
    am_free(s.columns);
    if (rc != AM_OK)
        am_rows_clear(out);
    return rc;
}

enum am_rc am_training_rows(struct am_training *t, struct am_err *err)
{
    struct am_prepared *p = &t->p;
    struct am_table view = {NULL, NULL};
    AM_TRY(am_rows_view(&p->table, p->parts, p->n_rows, AM_PART_BIT(AM_ROW_TRAIN), p->pl->pool,
                        &view, err));
    enum am_rc rc = am_fit_features(p, &view, &t->fitted, err);
    view.ops->free(view.impl);
    for (unsigned part = AM_ROW_TRAIN; part <= AM_ROW_TEST && rc == AM_OK; part++) {
        /* a quarter of the memory for the training rows, a sixteenth for each of the others; the
         * table engine has half, the cached table an eighth */
        size_t memory = (size_t)(p->pl->memory_limit_bytes / (part == AM_ROW_TRAIN ? 4 : 16));
        if (p->counts.n[part] == 0)
            continue;
        rc = am_rows_view(&p->table, p->parts, p->n_rows, AM_PART_BIT(part), p->pl->pool, &view,
                          err);
        if (rc != AM_OK)
            break;
        rc = am_make_rows(p, &view, &t->fitted, part == AM_ROW_TRAIN, memory ? memory : 1,
                          &t->rows[part], err);
        view.ops->free(view.impl);
    }
    return rc;
}

/* ---- checks ---- */

static enum am_rc class_weights(const struct am_training *t, double **out, struct am_err *err)
{
    const struct am_node *w = am_node_path(t->p.recipe.resolved, "train.class_weights");
    size_t n = am_target_n_classes(t->p.target);
    *out = NULL;
    if (!w || w->kind != AM_NODE_MAP)
        return AM_OK;
    if (n == 0) {
        am_fail(err, AM_EUSAGE, "train.class_weights is given, but the task is %s",
                am_task_name(am_target_task(t->p.target)));
        am_hint(err, "Leave it out.");
        return AM_EUSAGE;
    }
    double *v = am_arena_array(t->p.arena, n, sizeof *v);
    AM_TRY(am_arena_check(t->p.arena, err));
    for (size_t i = 0; i < n; i++)
        v[i] = 1.0;
    for (size_t i = 0; i < w->map.n; i++) {
        size_t k = am_target_find(t->p.target, w->map.pairs[i].key);
        if (k == SIZE_MAX) {
            am_fail(err, AM_EUSAGE,
                    "train.class_weights names \"%.*s\", which is no class of the target",
                    AM_FMT(w->map.pairs[i].key));
            am_hint(err, "Its first class is \"%.*s\".", AM_FMT(am_target_class(t->p.target, 0)));
            return AM_EUSAGE;
        }
        (void)am_node_as_f64(w->map.pairs[i].value, &v[k]);
    }
    *out = v;
    return AM_OK;
}

/* What `of` in features.derived may name; before features are fitted without places. */
static enum am_rc feature_columns(const struct am_training *t, const struct am_learn_column **out,
                                  size_t *n, struct am_err *err)
{
    const struct am_features *f = t->fitted.features;
    *n = f ? am_features_n_inputs(f) : t->p.n_columns;
    struct am_learn_column *c = am_arena_array(t->p.arena, *n + 1, sizeof *c);
    AM_TRY(am_arena_check(t->p.arena, err));
    memset(c, 0, (*n + 1) * sizeof *c);
    for (size_t i = 0; !f && i < *n; i++) /* their names alone */
        c[i].name = t->p.schema->columns[t->p.columns[i]].name;
    for (size_t i = 0; f && i < *n; i++) {
        const struct am_feature_input *in = am_features_input(f, i);
        c[i] = (struct am_learn_column){in->name, in->first_output, in->n_outputs};
    }
    *out = c;
    return AM_OK;
}

/* Of a recommender's two features: the user's. */
static size_t user_feature(const struct am_training *t)
{
    const struct am_str user = am_node_str(am_node_get(t->p.recipe.resolved, "data"), "user", "");
    return t->p.n_columns == 2 && user.len &&
           am_str_eq(t->p.schema->columns[t->p.columns[1]].name, user);
}

enum am_rc am_training_task(const struct am_training *t, struct am_learn_task *out,
                            struct am_err *err)
{
    double *weights;
    size_t n_tokens = 0;
    struct am_dims shape = am_dims1(1);
    const struct am_feature_input *missing = NULL;
    AM_TRY(class_weights(t, &weights, err));
    if (t->fitted.features) {
        shape = am_features_shape(t->fitted.features, &n_tokens);
        missing = am_features_keep_missing(t->fitted.features);
    }
    const struct am_learn_column *columns;
    size_t n_columns;
    AM_TRY(feature_columns(t, &columns, &n_columns, err));
    *out = (struct am_learn_task){
        .task = am_target_task(t->p.target),
        .n_classes = am_target_n_classes(t->p.target),
        .n_features = t->fitted.features ? am_features_width(t->fitted.features) : 1,
        .shape = shape,
        .n_tokens = n_tokens,
        .user_feature = user_feature(t),
        .derived = am_node_path(t->p.recipe.resolved, "features.derived"),
        .columns = columns,
        .n_columns = n_columns,
        .features = t->fitted.features,
        .train = t->rows[AM_ROW_TRAIN].data,
        .validation = t->rows[AM_ROW_VALIDATION].data,
        .model = am_node_get(t->p.recipe.resolved, "model"),
        .train_spec = am_node_get(t->p.recipe.resolved, "train"),
        .class_weights = weights,
        .seed = t->seed,
        .pool = t->p.pl->pool,
        .memory_bytes = t->p.pl->memory_limit_bytes / 2,
        .temp_dir = am_pipeline_scratch(t->p.pl),
        .missing = missing ? missing->name : AM_STR(""),
        .read_file = t->weights_path ? am_training_weights_read : NULL,
        .read_ctx = t->weights_path};
    return AM_OK;
}

enum am_rc am_training_metrics(struct am_training *t, struct am_err *err)
{
    const struct am_node *list = am_node_path(t->p.recipe.resolved, "evaluate.metrics");
    const struct am_node *composite = am_node_path(t->p.recipe.resolved, "evaluate.composite");
    struct am_str chosen =
        am_node_str(am_node_path(t->p.recipe.resolved, "evaluate.threshold"), "maximize", "");
    enum am_task task = am_target_task(t->p.target);
    const struct am_node *model = am_node_get(t->p.recipe.resolved, "model");
    const bool rates = !am_node_bool(model, "implicit", false) &&
                       !am_str_is(am_node_str(model, "method", "als"), "bpr");
    bool labels = t->p.target_column != SIZE_MAX;
    const char *const *defaults =
        task == AM_TASK_ANOMALY && labels                   ? am_metrics_default_labelled()
        : task == AM_TASK_CLUSTERING && labels              ? am_metrics_default_grouped()
        : task == AM_TASK_RECOMMENDATION && labels && rates ? am_metrics_default_rated()
                                                            : am_metrics_default(task);
    size_t n = 0;
    while (defaults[n])
        n++;
    if (list && list->kind == AM_NODE_LIST && list->list.n)
        n = list->list.n;
    t->metric_names = am_arena_array(t->p.arena, n + 1, sizeof *t->metric_names);
    AM_TRY(am_arena_check(t->p.arena, err));
    for (size_t i = 0; i < n; i++) {
        if (!list || list->list.n == 0 || !am_node_as_str(list->list.items[i], &t->metric_names[i]))
            t->metric_names[i] = am_str(defaults[i]);
        AM_TRY(am_composite_check(t->metric_names[i], task, err));
        if (!labels && am_metric_needs_labels(t->metric_names[i])) {
            am_fail(err, AM_EUSAGE,
                    "metric \"%.*s\" compares with labels, but the recipe names none",
                    AM_FMT(t->metric_names[i]));
            am_hint(err,
                    "Name the label column in data.target: it is measured with, never learned; "
                    "or take the metric out.");
            return AM_EUSAGE;
        }
    }
    t->n_metrics = n;
    for (size_t i = 0; composite && composite->kind == AM_NODE_MAP && i < composite->map.n; i++) {
        struct am_str s;
        if (am_node_as_str(composite->map.pairs[i].value, &s))
            AM_TRY(am_composite_check(s, task, err));
    }
    if (chosen.len) {
        if (task != AM_TASK_BINARY) {
            am_fail(err, AM_EUSAGE, "evaluate.threshold is for two classes only");
            am_hint(err, "Leave it out.");
            return AM_EUSAGE;
        }
        AM_TRY(am_composite_check(chosen, task, err));
    }
    return AM_OK;
}

static enum am_rc check_conditions(const struct am_training *t, struct am_err *err)
{
    const struct am_node *accept = am_node_path(t->p.recipe.resolved, "evaluate.accept");
    struct am_str s, when = am_node_str(am_node_get(t->p.recipe.resolved, "register"), "if", "");
    struct am_condition c;
    for (size_t i = 0; accept && i < (accept->kind == AM_NODE_LIST ? accept->list.n : 1); i++)
        if (am_node_as_str(accept->kind == AM_NODE_LIST ? accept->list.items[i] : accept, &s))
            AM_TRY(am_condition_parse(s, &c, err));
    return when.len ? am_condition_parse(when, &c, err) : AM_OK;
}

static enum am_rc check_augment(const struct am_prepared *p, const struct am_learn_task *task,
                                struct am_err *err)
{
    const struct am_node *spec = augment_spec(p);
    char where[256];
    if (spec && spec->kind == AM_NODE_MAP && spec->map.n && !am_learner_in_steps(task)) {
        am_recipe_where(spec, &p->recipe.origin, where, sizeof where);
        am_fail(err, AM_EUSAGE,
                "%s: train.augment is given, but model type \"%.*s\" looks at every "
                "row once and cannot change it anew in each epoch",
                where, AM_FMT(am_node_str(task->model, "type", "auto")));
        am_hint(err, "Use a network (cnn, mlp, lstm and others; logistic and linear with solver: "
                     "stochastic), or leave train.augment out.");
        return AM_EUSAGE;
    }
    struct am_column_desc first = {{"", 0}, AM_COL_NUMBER};
    if (p->n_columns > 0)
        first = p->schema->columns[p->columns[0]];
    const struct am_schema inputs = {&first, p->n_columns};
    return am_augmented_check(augment_spec(p), &inputs, err);
}

/* Whose kernels train, and that they are there. */
static enum am_rc check_kernels(struct am_training *t, struct am_err *err)
{
    const struct am_node *train = am_node_get(t->p.recipe.resolved, "train");
    t->profile = am_numerics_profile();
    if (!am_str_is(am_node_str(train, "kernels", "own"), "dnnl"))
        return AM_OK;
    const enum am_rc rc = am_kernel_port_profile(&t->profile, err);
    if (rc != AM_OK)
        am_context(err, "train.kernels: dnnl");
    return rc;
}

enum am_rc am_training_check(struct am_training *t, struct am_err *err)
{
    struct am_learn_task task;
    double threshold = 0.5;
    AM_TRY(check_kernels(t, err));
    AM_TRY(am_training_task(t, &task, err));
    AM_TRY(am_learner_check(&task, err));
    AM_TRY(am_balanced_check(&task, err));
    AM_TRY(am_select_check(&t->p, err));
    AM_TRY(check_augment(&t->p, &task, err));
    AM_TRY(am_training_metrics(t, err));
    (void)am_node_as_f64(am_node_path(t->p.recipe.resolved, "evaluate.threshold"), &threshold);
    t->threshold = threshold;
    return check_conditions(t, err);
}

/* ---- learning ---- */

/* A plateau that lowered the rate is said in the log and in the report ("plateaus" of the history).
 */
static void note_plateau(struct am_training *t, const struct am_train_epoch *e)
{
    struct am_arena *a = t->p.arena;
    const struct am_node *schedule = am_node_path(t->p.recipe.resolved, "train.schedule");
    struct am_str kind = am_node_str(schedule, "type", "");
    struct am_node *list = am_node_get(t->history, "plateaus"), *m;
    (void)am_node_as_str(schedule, &kind);
    double before = t->rate;
    t->rate = e->learning_rate;
    if (!am_str_is(kind, "plateau") || !(before > 0 && e->learning_rate < before))
        return;
    am_log(AM_LOG_INFO, "train", "plateau epoch=%llu learning_rate=%g before=%g",
           (unsigned long long)e->epoch, e->learning_rate, before);
    if (!list) {
        list = am_new_list(a);
        am_node_set(a, t->history, "plateaus", list);
    }
    m = am_new_map(a);
    am_node_set(a, m, "epoch", am_new_i64(a, (int64_t)e->epoch));
    am_node_set(a, m, "learning_rate", am_new_f64(a, e->learning_rate));
    am_node_push(a, list, m);
}

static enum am_rc on_epoch(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    struct am_training *t = ctx;
    struct am_arena *a = t->p.arena;
    struct am_metric_point points[3] = {
        {"train.loss", (int64_t)e->epoch, e->train_loss},
        {"train.learning_rate", (int64_t)e->epoch, e->learning_rate},
        {"validation.loss", (int64_t)e->epoch, e->validation_loss}};
    note_plateau(t, e);
    am_node_push(a, am_node_get(t->history, "epoch"), am_new_i64(a, (int64_t)e->epoch));
    am_node_push(a, am_node_get(t->history, "train_loss"), am_new_f64(a, e->train_loss));
    if (!isnan(e->validation_loss))
        am_node_push(a, am_node_get(t->history, "validation_loss"),
                     am_new_f64(a, e->validation_loss));
    AM_TRY(am_arena_check(a, err));
    return t->run ? am_run_metrics(t->run, points, isnan(e->validation_loss) ? 2 : 3, err) : AM_OK;
}

/* In the log, in the report ("recoveries" of the history) and as a metric of the run. */
static enum am_rc on_recovery(void *ctx, const struct am_train_recovery *r, struct am_err *err)
{
    struct am_training *t = ctx;
    struct am_arena *a = t->p.arena;
    struct am_node *list = am_node_get(t->history, "recoveries"), *m = am_new_map(a);
    const struct am_metric_point point = {"train.recovered", (int64_t)r->epoch, (double)r->times};
    am_log(AM_LOG_WARN, "train", "diverged=%llu epoch=%llu from_epoch=%llu learning_rate=%g why=%s",
           (unsigned long long)r->times, (unsigned long long)r->epoch,
           (unsigned long long)r->from_epoch, r->learning_rate, r->why);
    if (!list) {
        list = am_new_list(a);
        am_node_set(a, t->history, "recoveries", list);
    }
    am_node_set(a, m, "epoch", am_new_i64(a, (int64_t)r->epoch));
    am_node_set(a, m, "from_epoch", am_new_i64(a, (int64_t)r->from_epoch));
    am_node_set(a, m, "learning_rate", am_new_f64(a, r->learning_rate));
    am_node_set(a, m, "why", am_new_cstr(a, r->why));
    am_node_push(a, list, m);
    AM_TRY(am_arena_check(a, err));
    return t->run ? am_run_metrics(t->run, &point, 1, err) : AM_OK;
}

static enum am_rc save_checkpoint(void *ctx, const void *bytes, size_t n, struct am_err *err)
{
    struct am_training *t = ctx;
    const struct am_node *epochs = am_node_get(t->history, "epoch");
    bool ours = am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "checkpoint_every", 0) == 0;
    uint64_t now = am_mono_ns();
    if (ours && !am_progress_canceled(t->p.pl->progress) &&
        now - t->checkpointed_ns < CHECKPOINT_EVERY_NS)
        return AM_OK;
    t->checkpointed_ns = now;
    return am_run_checkpoint(t->run, epochs ? (int64_t)epochs->list.n : 0, bytes, n, 2, err);
}

static enum am_rc load_checkpoint(void *ctx, struct am_buf *out, struct am_err *err)
{
    struct am_training *t = ctx;
    int64_t step;
    if (!t->resumed)
        return AM_OK;
    enum am_rc rc =
        am_registry_checkpoint_read(t->p.pl->registry, am_run_id(t->run), &step, out, err);
    if (rc == AM_ENOTFOUND) { /* interrupted before the first one: from the start */
        am_buf_reset(out);
        return AM_OK;
    }
    return rc;
}

struct am_node *am_training_history(struct am_training *t)
{
    static const char *const lists[] = {"epoch", "train_loss", "validation_loss"};
    struct am_node *h = am_new_map(t->p.arena);
    for (size_t i = 0; i < 3; i++)
        am_node_set(t->p.arena, h, lists[i], am_new_list(t->p.arena));
    return h;
}

enum am_rc am_training_learn(struct am_training *t, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_learn_task task;
    t->history = t->resumed_history ? t->resumed_history : am_training_history(t);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_training_task(t, &task, err));
    task.hooks = (struct am_train_hooks){
        .ctx = t, .on_epoch = on_epoch, .on_recovery = on_recovery, .progress = t->p.pl->progress};
    if (t->run) {
        struct am_node *spec = am_node_copy(a, task.train_spec);
        if (am_node_i64(spec, "checkpoint_every", 0) ==
            0) /* every epoch is offered, save_checkpoint chooses */
            am_node_set(a, spec, "checkpoint_every", am_new_i64(a, 1));
        AM_TRY(am_arena_check(a, err));
        task.train_spec = spec;
        task.hooks.checkpoint_save = save_checkpoint;
        task.hooks.checkpoint_load = load_checkpoint;
    }
    task.out_of_fold = am_oof_predict;
    task.out_of_fold_ctx = t;
    t->checkpointed_ns = am_mono_ns();
    struct am_distilled *taught;
    AM_TRY(am_training_distil(t, task.train, &taught, err));
    if (taught)
        task.train = am_distilled_data(taught);
    const uint64_t from = am_mono_ns();
    const enum am_rc rc = am_learner_fit(&task, &t->learned, a, err);
    if (rc == AM_OK)
        am_training_note_cost(t, (double)(am_mono_ns() - from) * 1e-9);
    am_distilled_free(taught);
    return rc;
}

void am_training_clear(struct am_training *t)
{
    am_oof_clear(t);
    am_learned_clear(&t->learned);
    for (size_t i = 0; i < 3; i++)
        am_rows_clear(&t->rows[i]);
    am_fitted_clear(&t->fitted);
    am_prepared_clear(&t->p);
    am_run_close(t->run);
    t->run = NULL;
}
