/* Scores of a packaged model over a table; see packaged.h. */
#include "pipeline/packaged.h"

#include <math.h>

#include "base/alloc.h"
#include "feature/features.h"
#include "feature/target.h"

/* Clusters are measured by the rows as the model sees them. */
static enum am_rc add_numbers(struct am_packaged_scores *s, const struct am_model *m,
                              const struct am_batch *in, struct am_err *err)
{
    const size_t width = am_features_width(am_model_features(m)), n = s->x.len;
    if (am_model_info(m)->task != AM_TASK_CLUSTERING)
        return AM_OK;
    if (!am_vec_reserve(&s->x, n + in->n_rows * width))
        return am_fail_nomem(err, in->n_rows * width * sizeof(float));
    AM_TRY(am_features_apply(am_model_features(m), in, s->x.ptr + n, err));
    s->x.len += in->n_rows * width;
    return AM_OK;
}

static enum am_rc add_batch(struct am_packaged_scores *s, const struct am_model *m,
                            const struct am_target *truth, struct am_predictor *p,
                            const struct am_batch *b, struct am_prediction *answer, double *y,
                            struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m);
    size_t n_in = info->inputs->n, c = info->n_classes, per = am_task_columns(info->task, c);
    struct am_batch in = {b->n_rows, n_in, b->columns, b->first_row};
    AM_TRY(am_model_predict(p, &in, answer, err));
    if (b->n_columns > n_in)
        AM_TRY(am_target_encode(truth, &b->columns[n_in], b->n_rows, b->first_row, y, err));
    AM_TRY(add_numbers(s, m, &in, err));
    for (size_t i = 0; b->n_columns == n_in && i < b->n_rows; i++)
        y[i] = (double)NAN;
    if (!am_vec_reserve(&s->truth, s->truth.len + b->n_rows) ||
        !am_vec_reserve(&s->pred, s->pred.len + b->n_rows * per))
        return am_fail_nomem(err, b->n_rows * per * sizeof(float));
    for (size_t i = 0; i < b->n_rows; i++) {
        if (isnan(y[i]) && !am_task_target_optional(info->task)) {
            s->n_skipped++;
            continue;
        }
        s->truth.ptr[s->truth.len++] = y[i];
        for (size_t k = 0; k < per; k++)
            s->pred.ptr[s->pred.len++] =
                !am_task_has_classes(info->task) && info->task != AM_TASK_MULTILABEL
                    ? (info->task == AM_TASK_CLUSTERING ? (float)answer->label[i]
                                                        : (float)answer->value[i])
                : info->task == AM_TASK_BINARY ? answer->probability[i * 2 + 1]
                                               : answer->probability[i * c + k];
    }
    return AM_OK;
}

enum am_rc am_score_packaged(struct am_model *m, const struct am_table *t, const size_t *columns,
                             size_t n_columns, const struct am_target *truth, struct am_pool *pool,
                             struct am_progress *progress, struct am_packaged_scores *out,
                             struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m);
    struct am_prediction answer = {0};
    struct am_predictor *p = NULL;
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    double *y = NULL;
    size_t cap = 0;
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    AM_TRY(am_predictor_new(m, pool, &p, err));
    AM_GO(rc, t->ops->open(t->impl, columns, columns ? n_columns : 0, &it, err));
    for (;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > cap) {
            double *q = am_realloc_array(y, b->n_rows, sizeof *q);
            if (!q)
                AM_GO(rc, am_fail_nomem(err, b->n_rows * sizeof *q));
            y = q;
            cap = b->n_rows;
        }
        AM_GO(rc, add_batch(out, m, truth ? truth : am_model_target(m), p, b, &answer, y, err));
        if (am_progress_canceled(progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled"));
    }
    out->in = (struct am_eval_input){.task = info->task,
                                     .n_rows = out->truth.len,
                                     .n_classes = info->n_classes,
                                     .truth = out->truth.ptr,
                                     .pred = out->pred.ptr,
                                     .threshold = info->threshold,
                                     .scores = info->output == AM_MODEL_SCORE,
                                     .x = out->x.len ? out->x.ptr : NULL,
                                     .width = am_features_width(am_model_features(m))};
out:
    t->ops->close(it);
    am_predictor_free(p);
    am_prediction_clear(&answer);
    am_free(y);
    if (rc != AM_OK)
        am_packaged_scores_clear(out);
    return rc;
}

void am_packaged_scores_clear(struct am_packaged_scores *s)
{
    am_vec_clear(&s->truth);
    am_vec_clear(&s->pred);
    am_vec_clear(&s->x);
    memset(s, 0, sizeof *s);
}
