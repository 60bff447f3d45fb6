/* Out-of-fold predictions for ensembles: every member on the same folds of the training rows, with
 * features fitted inside each fold, once for all members (trial.h). Lives as long as the training.
 * One thread. */
#include "base/alloc.h"
#include "base/log.h"
#include "pipeline/automl_int.h"
#include "pipeline/trial.h"

struct offer {
    struct offer *next;
    struct am_str model; /* text_of */
    size_t n_folds, n_rows, n_out;
    const float *pred; /* borrowed */
};

struct am_oof {
    struct am_folds folds;
    size_t n_folds;
    struct am_trials *trials; /* owned; NULL = nothing was predicted yet */
    struct offer *offers;     /* arena */
};

/* As text that does not depend on whether the node was read or built: numbers of a recipe are plain
 * text, those of a search are numbers. */
static enum am_rc text_of(struct am_arena *a, const struct am_node *n, struct am_str *out,
                          struct am_err *err)
{
    struct am_node *read;
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_node_to_yaml(n, &b);
    enum am_rc rc = am_yaml_parse(a, am_arena_str(a, am_buf_view(&b)), "model", &read, err);
    am_buf_reset(&b);
    if (rc == AM_OK) {
        am_node_to_json(read, AM_JSON_COMPACT, &b);
        *out = am_arena_str(a, am_buf_view(&b));
        rc = am_arena_check(a, err);
    }
    am_buf_clear(&b);
    return rc;
}

static enum am_rc oof_of(struct am_training *t, struct am_err *err)
{
    if (!t->oof)
        t->oof = am_arena_zalloc(t->p.arena, sizeof *t->oof);
    return am_arena_check(t->p.arena, err);
}

enum am_rc am_oof_offer(struct am_training *t, const struct am_node *model, size_t n_folds,
                        size_t n_rows, size_t n_out, const float *pred, struct am_err *err)
{
    struct offer *o = am_arena_zalloc(t->p.arena, sizeof *o);
    struct am_str text;
    AM_TRY(oof_of(t, err));
    AM_TRY(text_of(t->p.arena, model, &text, err));
    *o = (struct offer){.next = t->oof->offers,
                        .model = text,
                        .n_folds = n_folds,
                        .n_rows = n_rows,
                        .n_out = n_out,
                        .pred = pred};
    t->oof->offers = o;
    return am_arena_check(t->p.arena, err);
}

static const struct offer *find(const struct am_training *t, struct am_str model, size_t n_folds)
{
    const struct offer *o = t->oof->offers;
    while (o && (o->n_folds != n_folds || !am_str_eq(o->model, model)))
        o = o->next;
    return o;
}

/* Folds of the training part, drawn as data.split draws. */
static enum am_rc open_trials(struct am_training *t, size_t n_folds, struct am_err *err)
{
    struct am_folds_spec spec;
    if (t->oof->trials && t->oof->n_folds == n_folds)
        return AM_OK;
    am_trials_free(t->oof->trials);
    am_folds_clear(&t->oof->folds);
    t->oof->trials = NULL;
    struct am_node *n = am_new_i64(t->p.arena, (int64_t)n_folds);
    AM_TRY(am_arena_check(t->p.arena, err));
    AM_TRY(am_folds_spec_from_node(&t->p, n, "model.folds", AM_PART_BIT(AM_ROW_TRAIN), &spec, err));
    AM_TRY(am_folds_make(&t->p, &spec, NULL, &t->oof->folds, err));
    const struct am_trials_options o = {
        .folds = &t->oof->folds, .metrics = t->metric_names, .n_metrics = t->n_metrics};
    AM_TRY(am_trials_new(&t->p, &o, &t->oof->trials, err));
    t->oof->n_folds = n_folds;
    return AM_OK;
}

static enum am_rc failed(const struct am_trial_result *r, struct am_err *err)
{
    if (r->status == AM_TRIAL_CANCELED)
        return am_fail(err, AM_ECANCELED, "canceled while an ensemble's folds were trained");
    return am_fail(err, r->rc != AM_OK ? r->rc : AM_EINVAL, "%s", r->why);
}

enum am_rc am_oof_predict(void *ctx, const struct am_node *model, size_t n_folds, size_t n_rows,
                          size_t n_out, float *pred, struct am_err *err)
{
    struct am_training *t = ctx;
    AM_TRY(oof_of(t, err));
    struct am_str json;
    AM_TRY(text_of(t->p.arena, model, &json, err));
    const struct offer *known = find(t, json, n_folds);
    am_log(AM_LOG_INFO, "pipeline", "member=%.*s out_of_fold=%s", AM_FMT(json),
           known ? "known" : "trained");
    if (known && known->n_rows == n_rows && known->n_out == n_out) {
        memcpy(pred, known->pred, n_rows * n_out * sizeof *pred);
        return AM_OK;
    }
    AM_TRY(open_trials(t, n_folds, err));
    const struct am_recipe_set set = {AM_STR("model"), json};
    const struct am_trial_spec spec = {.sets = &set, .n_sets = 1, .predictions = true};
    struct am_trial_result r = {0};
    enum am_rc rc = am_trial_run(t->oof->trials, &spec, &r, err);
    if (rc == AM_OK && r.status != AM_TRIAL_OK)
        rc = failed(&r, err);
    if (rc == AM_OK && (r.rows.n != n_rows || r.rows.n_out != n_out)) {
        /* time folds predict no row of the first stretch */
        rc = am_fail(err, AM_EUNSUPPORTED,
                     "an ensemble needs a prediction for every training row, but these folds give "
                     "%zu of %zu",
                     r.rows.n, n_rows);
        am_hint(err, "Use combine: mean or fixed weights with a split by time.");
    }
    if (rc == AM_OK)
        memcpy(pred, r.rows.pred, n_rows * n_out * sizeof *pred);
    am_trial_result_clear(&r);
    return rc;
}

void am_oof_clear(struct am_training *t)
{
    if (!t->oof)
        return;
    am_trials_free(t->oof->trials);
    am_folds_clear(&t->oof->folds);
    t->oof = NULL;
}
