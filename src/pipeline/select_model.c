/* Feature selection by models of the columns: the order in which L1 lets them in, elimination of
 * the weakest, loss by shuffling. Scores are those of whole columns: of several outputs (one-hot)
 * the largest coefficient counts. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "nn/params.h"
#include "pipeline/select.h"
#include "pipeline/train_int.h"

#define STEPS 16       /* of the L1 path */
#define ELIMINATED 0.1 /* share of the columns that goes at once */
#define IMPORTANCE_ROWS 20000

struct work {
    const struct am_prepared *p;
    struct am_arena *arena; /* owned */
    struct am_fitted fitted;
    struct am_rows rows;
    size_t n;                    /* columns */
    double *weight;              /* owned [n] largest |coefficient| of the last model */
    bool *gone;                  /* owned [n] columns that are 0 for the model */
    struct am_train_data masked; /* the rows with those */
};

static void work_clear(struct work *w)
{
    am_rows_clear(&w->rows);
    am_fitted_clear(&w->fitted);
    am_arena_free(w->arena);
    am_free(w->weight);
    am_free(w->gone);
}

static enum am_rc gather_masked(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                                float *weight, struct am_err *err)
{
    const struct work *w = self;
    const struct am_train_data *d = w->rows.data;
    AM_TRY(d->gather(d->self, rows, n, x, y, weight, err));
    for (size_t k = 0; x && k < w->n; k++) {
        const struct am_feature_input *in = am_features_input(w->fitted.features, k);
        for (size_t i = 0; w->gone[k] && i < n; i++)
            memset(x + i * d->n_features + in->first_output, 0, in->n_outputs * sizeof *x);
    }
    return AM_OK;
}

static enum am_rc work_init(struct work *w, const struct am_table *t, const size_t *columns,
                            struct am_err *err)
{
    const uint64_t memory = w->p->pl->memory_limit_bytes / 4;
    w->arena = am_arena_new(0);
    w->weight = am_calloc(w->n + 1, sizeof *w->weight);
    w->gone = am_calloc(w->n + 1, sizeof *w->gone);
    if (!w->arena || !w->weight || !w->gone)
        return am_fail_nomem(err, w->n * sizeof *w->weight);
    AM_TRY(am_fit_columns(w->p, t, columns, w->n, &w->fitted, err));
    AM_TRY(am_make_rows(w->p, t, &w->fitted, false, (size_t)(memory ? memory : 1), &w->rows, err));
    if (!w->rows.data)
        return am_fail(err, AM_EINVAL, "features.select has no training row");
    w->masked = (struct am_train_data){.n_rows = w->rows.data->n_rows,
                                       .n_features = w->rows.data->n_features,
                                       .n_targets = w->rows.data->n_targets,
                                       .self = w,
                                       .gather = gather_masked,
                                       .in_ram = w->rows.data->in_ram};
    return AM_OK;
}

static struct am_learn_task task_of(const struct work *w, const struct am_node *model,
                                    const struct am_train_data *rows)
{
    const struct am_prepared *p = w->p;
    const struct am_node *train = am_node_get(p->recipe.resolved, "train");
    return (struct am_learn_task){.task = am_target_task(p->target),
                                  .n_classes = am_target_n_classes(p->target),
                                  .n_features = rows->n_features,
                                  .shape = am_dims1((int64_t)rows->n_features),
                                  .features = w->fitted.features,
                                  .train = rows,
                                  .model = model,
                                  .train_spec = train,
                                  .seed = (uint64_t)am_node_i64(train, "seed", 42),
                                  .pool = p->pl->pool,
                                  .memory_bytes = p->pl->memory_limit_bytes / 4,
                                  .hooks = {.progress = p->pl->progress}};
}

/* A linear model on the rows as they are masked; its coefficients into w->weight. */
static enum am_rc fit_linear(struct work *w, const char *penalty, double strength,
                             struct am_err *err)
{
    const bool classes = am_target_n_classes(w->p->target) > 0;
    struct am_node *m = am_new_map(w->arena);
    struct am_learned l = {0};
    am_node_set(w->arena, m, "type", am_new_cstr(w->arena, classes ? "logistic" : "linear"));
    am_node_set(w->arena, m, "penalty", am_new_cstr(w->arena, penalty));
    am_node_set(w->arena, m, classes ? "c" : "alpha", am_new_f64(w->arena, strength));
    AM_TRY(am_arena_check(w->arena, err));
    const struct am_learn_task task = task_of(w, m, &w->masked);
    AM_TRY(am_learner_fit(&task, &l, w->arena, err));
    for (size_t k = 0; k < w->n; k++)
        w->weight[k] = 0;
    for (size_t i = 0; i < l.params->n_params; i++) {
        const struct am_param *q = &l.params->table[i];
        if (q->dims.rank != 2 || (size_t)q->dims.d[0] != task.n_features)
            continue;
        const size_t wide = (size_t)q->dims.d[1];
        for (size_t k = 0; k < w->n; k++) {
            const struct am_feature_input *in = am_features_input(w->fitted.features, k);
            const float *c = l.params->data + q->offset + in->first_output * wide;
            for (size_t j = 0; !w->gone[k] && j < in->n_outputs * wide; j++)
                w->weight[k] = fmax(w->weight[k], fabs((double)c[j]));
        }
    }
    am_learned_clear(&l);
    return AM_OK;
}

/* Strong to weak: a column that comes in earlier scores more; among equals the larger coefficient
 * of the last model. */
static enum am_rc by_l1(struct work *w, double *score, struct am_err *err)
{
    const bool classes = am_target_n_classes(w->p->target) > 0;
    const double n = (double)w->rows.data->n_rows;
    double sum = 0;
    for (size_t k = 0; k < w->n; k++)
        score[k] = 0;
    for (unsigned s = 0; s < STEPS; s++) {
        const double part = (double)s / (STEPS - 1);
        const double strength =
            classes ? 2 / n * pow(1e4, part) : am_target_deviation(w->p->target) * pow(1e-3, part);
        AM_TRY(fit_linear(w, "l1", strength, err));
        for (size_t k = 0; k < w->n; k++)
            if (w->weight[k] > 0 && score[k] == 0)
                score[k] = STEPS - s;
    }
    for (size_t k = 0; k < w->n; k++)
        sum += w->weight[k];
    for (size_t k = 0; k < w->n; k++)
        score[k] = (score[k] + (sum > 0 ? 0.999 * w->weight[k] / sum : 0)) / STEPS;
    return AM_OK;
}

/* The weakest tenth goes, the model is fitted again: recursive elimination. */
static enum am_rc by_elimination(struct work *w, double *score, struct am_err *err)
{
    for (size_t left = w->n, out = 0; left > 0;) {
        const size_t goes = left > 1 ? (size_t)fmax(1, ELIMINATED * (double)left) : 1;
        AM_TRY(fit_linear(w, "l2", 1, err));
        for (size_t g = 0; g < goes; g++, left--) {
            size_t weakest = SIZE_MAX;
            for (size_t k = 0; k < w->n; k++)
                if (!w->gone[k] && (weakest == SIZE_MAX || w->weight[k] < w->weight[weakest]))
                    weakest = k;
            w->gone[weakest] = true;
            score[weakest] = (double)++out / (double)w->n;
        }
    }
    return AM_OK;
}

/* Two thirds of the rows train the recipe's own model, the others tell what shuffling costs. */
static enum am_rc by_shuffling(struct work *w, double *score, struct am_err *err)
{
    const struct am_prepared *p = w->p;
    const uint64_t n = w->rows.data->n_rows;
    const struct am_train_data *half[2] = {NULL, NULL};
    struct am_learned l = {0};
    struct am_node *list = NULL;
    uint64_t *rows = am_alloc_array((size_t)n + 1, sizeof *rows);
    enum am_rc rc = rows ? AM_OK : am_fail_nomem(err, (size_t)n * sizeof *rows);
    for (unsigned side = 0; side < 2 && rc == AM_OK; side++) {
        size_t k = 0;
        for (uint64_t i = 0; i < n; i++)
            if ((i % 3 == 2) == (side == 1))
                rows[k++] = i;
        rc = am_train_subset_new(w->rows.data, rows, k, &half[side], err);
    }
    if (rc == AM_OK) {
        struct am_learn_task task = task_of(w, am_node_get(p->recipe.resolved, "model"), half[0]);
        task.shape = am_features_shape(w->fitted.features, &task.n_tokens);
        rc = am_learner_fit(&task, &l, w->arena, err);
        if (rc == AM_OK)
            rc = am_score_importance(&l, w->fitted.features, task.task, task.n_classes, half[1],
                                     am_str(am_metrics_default(task.task)[0]), 0.5, task.seed,
                                     IMPORTANCE_ROWS, p->pl->pool, w->arena, &list, err);
    }
    for (size_t i = 0; rc == AM_OK && i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i];
        const size_t k = am_features_find_input(w->fitted.features, am_node_str(m, "column", ""));
        if (k < w->n)
            (void)am_node_as_f64(am_node_get(m, "mean"), &score[k]);
    }
    am_learned_clear(&l);
    am_train_subset_free(half[0]);
    am_train_subset_free(half[1]);
    am_free(rows);
    return rc;
}

enum am_rc am_select_by_model(const struct am_prepared *p, const struct am_table *t,
                              enum am_select_model by, const size_t *columns, size_t n,
                              double *score, struct am_err *err)
{
    struct work w = {.p = p, .n = n};
    enum am_rc rc;
    if (n == 0)
        return AM_OK;
    rc = work_init(&w, t, columns, err);
    if (rc == AM_OK)
        rc = by == AM_SELECT_L1          ? by_l1(&w, score, err)
             : by == AM_SELECT_RECURSIVE ? by_elimination(&w, score, err)
                                         : by_shuffling(&w, score, err);
    if (rc != AM_OK)
        am_context(err, "features.select");
    work_clear(&w);
    return rc;
}
