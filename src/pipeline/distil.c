/* Learning from another model's answers: `train.distil: {from: MODEL@VERSION, alpha: 0.7}`.
 *
 * The teacher predicts the training rows once. For numbers the target becomes alpha * teacher +
 * (1 - alpha) * truth, which minimises the same squared error; for classes each row stands once for
 * each class that matters (at most four), weighted by alpha * p + (1 - alpha) * (is it the true
 * one), which is the cross-entropy against the mixture (Hinton et al. 2015 at temperature 1). So
 * every learner that takes row weights can be taught, not networks alone. One thread. */
#include <stdlib.h>

#include "base/alloc.h"
#include "pipeline/distil.h"
#include "pipeline/open_model.h"
#include "pipeline/packaged.h"

#define CLASSES_MAX 4 /* copies of a row */
#define WEIGHT_MIN 1e-4f

struct copy {
    uint64_t row;
    float y, w;
};

struct am_distilled {
    struct am_train_data data;
    const struct am_train_data *base; /* borrowed */
    struct copy *copies;              /* owned [data.n_rows] */
};

static enum am_rc gather(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                         struct am_err *err)
{
    const struct am_distilled *d = self;
    uint64_t base[256];
    const size_t f = d->base->n_features;
    for (size_t at = 0; at < n; at += 256) {
        const size_t k = n - at < 256 ? n - at : 256;
        float own[256];
        for (size_t i = 0; i < k; i++)
            base[i] = d->copies[rows[at + i]].row;
        AM_TRY(d->base->gather(d->base->self, base, k, x ? x + at * f : NULL, NULL, own, err));
        for (size_t i = 0; i < k; i++) {
            if (y)
                y[at + i] = d->copies[rows[at + i]].y;
            if (w)
                w[at + i] = own[i] * d->copies[rows[at + i]].w;
        }
    }
    return AM_OK;
}

void am_distilled_free(struct am_distilled *d)
{
    if (d)
        am_free(d->copies);
    am_free(d);
}

const struct am_train_data *am_distilled_data(const struct am_distilled *d)
{
    return &d->data;
}

/* ---- the teacher ---- */

static enum am_rc same_task(const struct am_training *t, const struct am_model_info *info,
                            struct am_str from, struct am_err *err)
{
    const enum am_task task = am_target_task(t->p.target);
    bool same = info->task == task && (task == AM_TASK_REGRESSION || am_task_has_classes(task));
    same = same && info->n_classes == am_target_n_classes(t->p.target);
    for (size_t i = 0; same && i < info->n_classes; i++)
        same = am_str_eq(info->classes[i], am_target_class(t->p.target, i));
    if (same)
        return AM_OK;
    am_fail(err, AM_EUSAGE,
            "train.distil.from: model \"%.*s\" does not predict what this recipe does",
            AM_FMT(from));
    am_hint(err, "A teacher needs the same target and classes; distilling is for classes and "
                 "numbers.");
    return AM_EUSAGE;
}

static enum am_rc teach(struct am_training *t, struct am_model *m, struct am_packaged_scores *out,
                        struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m);
    const size_t n_in = info->inputs->n;
    size_t *columns = am_arena_array(t->p.arena, n_in + 1, sizeof *columns);
    struct am_table view = {NULL, NULL};
    AM_TRY(am_arena_check(t->p.arena, err));
    for (size_t i = 0; i < n_in; i++) {
        columns[i] = am_schema_find(t->p.schema, info->inputs->columns[i].name);
        if (columns[i] == SIZE_MAX ||
            t->p.schema->columns[columns[i]].type != info->inputs->columns[i].type)
            return am_fail(err, AM_EUSAGE,
                           "train.distil.from: the teacher needs column \"%.*s\", which these rows "
                           "do not have",
                           AM_FMT(info->inputs->columns[i].name));
    }
    columns[n_in] = t->p.target_column;
    AM_TRY(am_rows_view(&t->p.table, t->p.parts, t->p.n_rows, AM_PART_BIT(AM_ROW_TRAIN),
                        t->p.pl->pool, &view, err));
    const enum am_rc rc = am_score_packaged(m, &view, columns, n_in + 1, NULL, t->p.pl->pool,
                                            t->p.pl->progress, out, err);
    view.ops->free(view.impl);
    return rc;
}

/* ---- rows ---- */

/* Copies of row i into out; how many. */
static size_t copies_of(const struct am_eval_input *in, uint64_t i, double alpha, struct copy *out)
{
    double q[2];
    const float *p = in->pred + i * (in->task == AM_TASK_MULTICLASS ? in->n_classes : 1);
    const size_t truth = (size_t)in->truth[i];
    if (in->task == AM_TASK_REGRESSION) {
        out[0] = (struct copy){i, (float)(alpha * (double)p[0] + (1 - alpha) * in->truth[i]), 1};
        return 1;
    }
    size_t n = 0;
    if (in->task == AM_TASK_BINARY) {
        q[1] = alpha * (double)p[0] + (1 - alpha) * (double)truth;
        q[0] = 1 - q[1];
        for (size_t c = 0; c < 2; c++)
            if (q[c] > (double)WEIGHT_MIN)
                out[n++] = (struct copy){i, (float)c, (float)q[c]};
        return n;
    }
    out[n++] = (struct copy){i, (float)truth, (float)(alpha * (double)p[truth] + 1 - alpha)};
    while (n < CLASSES_MAX) { /* the likeliest of the others */
        size_t best = in->n_classes;
        for (size_t c = 0; c < in->n_classes; c++) {
            bool taken = false;
            for (size_t k = 0; k < n; k++)
                taken = taken || (size_t)out[k].y == c;
            if (!taken && (best == in->n_classes || p[c] > p[best]))
                best = c;
        }
        if (best == in->n_classes || !(alpha * (double)p[best] > (double)WEIGHT_MIN))
            break;
        out[n++] = (struct copy){i, (float)best, (float)(alpha * (double)p[best])};
    }
    return n;
}

static enum am_rc make_rows(const struct am_train_data *base, const struct am_eval_input *in,
                            double alpha, struct am_distilled **out, struct am_err *err)
{
    struct am_distilled *d = am_calloc(1, sizeof *d);
    if (!d)
        return am_fail_nomem(err, sizeof *d);
    d->base = base;
    d->copies = am_alloc_array(in->n_rows + 1, CLASSES_MAX * sizeof *d->copies);
    if (!d->copies) {
        am_distilled_free(d);
        return am_fail_nomem(err, in->n_rows * CLASSES_MAX * sizeof *d->copies);
    }
    uint64_t n = 0;
    for (uint64_t i = 0; i < in->n_rows; i++)
        n += copies_of(in, i, alpha, d->copies + n);
    d->data = (struct am_train_data){.n_rows = n,
                                     .n_features = base->n_features,
                                     .n_targets = 1,
                                     .self = d,
                                     .gather = gather,
                                     .in_ram = base->in_ram};
    *out = d;
    return AM_OK;
}

enum am_rc am_training_distil(struct am_training *t, const struct am_train_data *rows,
                              struct am_distilled **out, struct am_err *err)
{
    const struct am_node *spec = am_node_path(t->p.recipe.resolved, "train.distil");
    const struct am_str from = am_node_str(spec, "from", "");
    struct am_packaged_scores s = {0};
    struct am_opened m = {0};
    enum am_rc rc;
    *out = NULL;
    if (from.len == 0)
        return AM_OK;
    AM_TRY(am_open_model(t->p.pl, t->p.arena, am_arena_str(t->p.arena, from).ptr, 0, &m, err));
    AM_GO(rc, same_task(t, am_model_info(m.model), from, err));
    AM_GO(rc, teach(t, m.model, &s, err));
    if (s.in.n_rows != rows->n_rows)
        AM_GO(rc, am_fail(err, AM_EINVAL, "the teacher answered %zu rows, but %llu are trained on",
                          s.in.n_rows, (unsigned long long)rows->n_rows));
    rc = make_rows(rows, &s.in, am_node_f64(spec, "alpha", 0.7), out, err);
out:
    am_packaged_scores_clear(&s);
    am_model_put(m.model);
    return rc;
}
