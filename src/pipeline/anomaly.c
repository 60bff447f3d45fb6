/* What training does for models that learn rows only: the threshold of anomalies, the report's
 * histogram of scores, curves where rows are labelled, and which columns come back badly. One
 * thread. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "eval/pictures.h"
#include "pipeline/train_int.h"

enum am_rc am_training_anomaly_threshold(const struct am_training *t,
                                         const struct am_scored *validation,
                                         const struct am_scored *train, double *out,
                                         struct am_err *err)
{
    const struct am_node *model = am_node_get(t->p.recipe.resolved, "model");
    const struct am_scored *on = validation->in.n_rows ? validation : train;
    double share = am_node_f64(model, "contamination", AM_CONTAMINATION);
    *out = 0;
    if (am_target_task(t->p.target) != AM_TASK_ANOMALY)
        return AM_OK;
    AM_TRY(am_quantile(on->pred, on->in.n_rows, 1 - share, out, err));
    if (!isfinite(*out)) {
        am_fail(err, AM_EINVAL, "the anomaly scores are not finite");
        am_hint(err, "Training diverged; try a smaller train.learning_rate or train.clip_norm.");
        return AM_EINVAL;
    }
    return AM_OK;
}

/* ---- which columns come back badly ---- */

#define ERROR_ROWS 2000

struct column_error {
    double error;
    size_t input;
};

static int by_error(const void *x, const void *y)
{
    const struct column_error *a = x, *b = y;
    if (a->error != b->error)
        return a->error < b->error ? 1 : -1;
    return (a->input > b->input) - (a->input < b->input);
}

/* Mean squared error of each input's numbers in scaled features, over rows taken evenly. */
static enum am_rc sum_errors(const struct am_training *t, const struct am_train_data *rows,
                             struct am_graph *back, struct column_error *e, struct am_err *err)
{
    const struct am_features *f = t->fitted.features;
    struct am_learned l = {.graph = back, .params = t->learned.params};
    size_t width = rows->n_features,
           n = rows->n_rows < ERROR_ROWS ? (size_t)rows->n_rows : (size_t)ERROR_ROWS;
    float *x = am_alloc_array(n + 1, width * sizeof *x),
          *y = am_alloc_array(n + 1, width * sizeof *y);
    uint64_t *numbers = am_alloc_array(n + 1, sizeof *numbers);
    enum am_rc rc = AM_OK;
    if (!x || !y || !numbers)
        AM_GO(rc, am_fail_nomem(err, n * width * sizeof *x));
    for (size_t i = 0; i < n; i++)
        numbers[i] = i * rows->n_rows / n;
    AM_GO(rc, rows->gather(rows->self, numbers, n, x, NULL, NULL, err));
    AM_GO(rc, am_score_rows(&l, n, width, x, y, width, t->p.pl->pool, err));
    for (size_t k = 0; k < am_features_n_inputs(f); k++) {
        const struct am_feature_input *in = am_features_input(f, k);
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = in->first_output; j < in->first_output + in->n_outputs; j++) {
                double d = (double)x[i * width + j] - (double)y[i * width + j];
                sum += d * d;
            }
        e[k] = (struct column_error){in->n_outputs ? sum / (double)(n * in->n_outputs) : 0, k};
    }
out:
    am_free(x);
    am_free(y);
    am_free(numbers);
    return rc;
}

static enum am_rc column_errors(struct am_training *t, const struct am_train_data *rows,
                                struct am_node *r, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    size_t n = am_features_n_inputs(t->fitted.features);
    struct column_error *e = am_arena_array(a, n + 1, sizeof *e);
    struct am_node *list = am_new_list(a);
    struct am_graph *back;
    AM_TRY(am_arena_check(a, err));
    if (n < 2 || am_graph_find_output(t->learned.graph, "reconstruction") == AM_VALUE_NONE)
        return AM_OK;
    AM_TRY(am_learn_select_output(t->learned.graph, "reconstruction", &back, err));
    enum am_rc rc = sum_errors(t, rows, back, e, err);
    am_graph_free(back);
    if (rc != AM_OK)
        return rc;
    qsort(e, n, sizeof *e, by_error);
    for (size_t k = 0; k < n; k++) {
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "column",
                    am_new_str(a, am_features_input(t->fitted.features, e[k].input)->name));
        am_node_set(a, m, "error", am_new_f64(a, e[k].error));
        am_node_push(a, list, m);
    }
    am_node_set(a, r, "column_errors", list);
    return am_arena_check(a, err);
}

/* ---- pictures as they come back ---- */

#define PICTURES 8
#define SIDE 112 /* of a picture on the page, at most */

/* Rows of the largest scores, the largest first; ties: the lower row. */
static size_t worst_rows(const struct am_eval_input *in, uint64_t rows[PICTURES])
{
    size_t n = 0;
    for (size_t i = 0; i < in->n_rows; i++) {
        size_t at = n;
        while (at > 0 && in->pred[i] > in->pred[rows[at - 1]])
            at--;
        if (at == PICTURES)
            continue;
        n += n < PICTURES;
        memmove(&rows[at + 1], &rows[at], (n - at - 1) * sizeof *rows);
        rows[at] = i;
    }
    return n;
}

static enum am_rc add_picture(struct am_arena *a, const struct am_dims *d, const float *x,
                              struct am_node *m, struct am_err *err)
{
    const struct am_floats f = {.height = (size_t)d->d[0],
                                .width = (size_t)d->d[1],
                                .channels = (size_t)d->d[2],
                                .data = x};
    struct am_str uri;
    AM_TRY(am_picture_of_floats(&f, SIDE, a, &uri, err));
    am_node_set(a, m, "picture", am_new_str(a, uri));
    return AM_OK;
}

static enum am_rc pictures(struct am_training *t, const struct am_scored *s,
                           const struct am_train_data *rows, struct am_node *r, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_learned l = {.params = t->learned.params};
    struct am_node *list = am_new_list(a);
    uint64_t worst[PICTURES + 1];
    size_t n_tokens, width = rows->n_features, n = worst_rows(&s->in, worst);
    struct am_dims d = am_features_shape(t->fitted.features, &n_tokens);
    float *x = NULL, *y = NULL;
    enum am_rc rc;
    if (d.rank != 3 || n == 0 ||
        am_graph_find_output(t->learned.graph, "reconstruction") == AM_VALUE_NONE)
        return AM_OK;
    AM_TRY(am_learn_select_output(t->learned.graph, "reconstruction", &l.graph, err));
    x = am_alloc_array(n, width * sizeof *x);
    y = am_alloc_array(n, width * sizeof *y);
    if (!x || !y)
        AM_GO(rc, am_fail_nomem(err, n * width * sizeof *x));
    AM_GO(rc, rows->gather(rows->self, worst, n, x, NULL, NULL, err));
    AM_GO(rc, am_score_rows(&l, n, width, x, y, width, t->p.pl->pool, err));
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a), *back = am_new_map(a);
        am_node_set(a, m, "row", am_new_i64(a, (int64_t)worst[i] + 1));
        am_node_set(a, m, "score", am_new_f64(a, (double)s->in.pred[worst[i]]));
        am_node_set(a, m, "back", back);
        am_node_push(a, list, m);
        AM_GO(rc, add_picture(a, &d, x + i * width, m, err));
        AM_GO(rc, add_picture(a, &d, y + i * width, back, err));
    }
    am_node_set(a, r, "reconstructions", list);
    rc = am_arena_check(a, err);
out:
    am_free(x);
    am_free(y);
    am_graph_free(l.graph);
    return rc;
}

/* ---- the report ---- */

#define CURVE_POINTS 200
#define BINS 60

static struct am_node *names(struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    am_node_push(a, list, am_new_cstr(a, am_tr("normal")));
    am_node_push(a, list, am_new_cstr(a, am_tr("anomalous")));
    return list;
}

static enum am_rc labelled(struct am_training *t, const struct am_scored *s, struct am_node *r,
                           struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_node *table = am_new_list(a);
    struct am_labelled l;
    uint64_t n[4] = {0};
    AM_TRY(am_labelled_of(&s->in, &l, err));
    if (l.in.n_rows) {
        am_confusion(&l.in, n);
        for (size_t i = 0; i < 2; i++) {
            struct am_node *row = am_new_list(a);
            for (size_t k = 0; k < 2; k++)
                am_node_push(a, row, am_new_i64(a, (int64_t)n[i * 2 + k]));
            am_node_push(a, table, row);
        }
        am_node_set(a, r, "classes", names(a));
        am_node_set(a, r, "confusion", table);
        am_node_set(a, r, "roc", am_curve_roc(&l.in, CURVE_POINTS, a));
        am_node_set(a, r, "pr", am_curve_pr(&l.in, CURVE_POINTS, a));
    }
    am_labelled_clear(&l);
    return am_arena_check(a, err);
}

enum am_rc am_training_anomaly_report(struct am_training *t, const struct am_scored *s,
                                      const struct am_train_data *rows, struct am_node *r,
                                      struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    const struct am_node *model = am_node_get(t->p.recipe.resolved, "model");
    am_node_set(a, r, "scores", am_score_histogram(&s->in, BINS, a));
    if (s->in.task == AM_TASK_ANOMALY) {
        am_node_set(a, r, "threshold", am_new_f64(a, t->threshold));
        am_node_set(a, r, "contamination",
                    am_new_f64(a, am_node_f64(model, "contamination", AM_CONTAMINATION)));
        if (t->p.target_column != SIZE_MAX)
            AM_TRY(labelled(t, s, r, err));
    }
    if (!rows)
        return am_arena_check(a, err);
    AM_TRY(pictures(t, s, rows, r, err));
    return column_errors(t, rows, r, err);
}
