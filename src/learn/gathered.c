/* Training rows gathered into one block, checked, with weights of rows and classes multiplied. */
#include "learn/gathered.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"

#define CHUNK 4096 /* rows read at once */

void am_gathered_clear(struct am_gathered *g)
{
    am_free(g->x);
    am_free(g->y);
    am_free(g->w);
    memset(g, 0, sizeof *g);
}

static enum am_rc too_many(const struct am_learn_task *t, size_t bytes_max, struct am_err *err)
{
    am_fail(err, AM_ELIMIT,
            "%llu rows of %zu features are more than the %zu MB that this learner holds at once",
            (unsigned long long)t->train->n_rows, t->n_features, bytes_max >> 20);
    am_hint(err, "Take fewer rows (data.sample), or a learner that reads row by row, such as "
                 "logistic, linear or gradient_boosting.");
    return AM_ELIMIT;
}

/* Rows [0, n) at the end of out: weights, checks, and the rows of no weight taken out. */
static enum am_rc take(const double *class_weights, const float *w, size_t n,
                       struct am_gathered *out, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const float *x = out->x + (out->n + i) * out->f;
        for (size_t j = 0; j < out->f; j++)
            if (!isfinite(x[j])) {
                am_fail(err, AM_EINVAL, "a feature of the training rows is not a finite number");
                am_hint(err, "Impute missing values and clean infinite ones first.");
                return AM_EINVAL;
            }
    }
    size_t at = out->n;
    for (size_t i = 0; i < n; i++) {
        const size_t from = out->n + i;
        double weight = w ? (double)w[i] : 1;
        const float y = out->y[from];
        if (!isfinite(y) || !(weight >= 0) || !isfinite(weight))
            return am_fail(err, AM_EINVAL, "target or weight of a training row is not a number");
        if (class_weights)
            weight *= class_weights[(size_t)y];
        if (!(weight > 0))
            continue;
        if (at != from)
            memcpy(out->x + at * out->f, out->x + from * out->f, out->f * sizeof *out->x);
        out->y[at] = y;
        out->w[at++] = weight;
    }
    out->n = at;
    return AM_OK;
}

static enum am_rc gather(const struct am_learn_task *t, const double *class_weights,
                         struct am_gathered *out, struct am_err *err)
{
    const struct am_train_data *d = t->train;
    uint64_t rows[CHUNK];
    float w[CHUNK];
    for (uint64_t at = 0; at < d->n_rows;) {
        const size_t n = d->n_rows - at < CHUNK ? (size_t)(d->n_rows - at) : CHUNK;
        for (size_t i = 0; i < n; i++)
            rows[i] = at + i;
        AM_TRY(d->gather(d->self, rows, n, out->x + out->n * out->f, out->y + out->n, w, err));
        AM_TRY(take(class_weights, w, n, out, err));
        at += n;
        if (am_progress_canceled(t->hooks.progress))
            return am_fail(err, AM_ECANCELED, "canceled while rows were gathered");
    }
    if (out->n == 0)
        return am_fail(err, AM_EINVAL, "the weights of the training rows are all 0");
    return AM_OK;
}

enum am_rc am_gather_all(const struct am_learn_task *t, enum am_gather_weights weights,
                         size_t bytes_max, struct am_gathered *out, struct am_err *err)
{
    double *class_weights = NULL;
    size_t n = (size_t)t->train->n_rows, bytes;
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    out->f = t->n_features;
    if (!am_mul_size(&bytes, n, (t->n_features + 3) * sizeof(float)) || bytes > bytes_max)
        return too_many(t, bytes_max, err);
    out->x = am_alloc_array(n * out->f, sizeof *out->x);
    out->y = am_alloc_array(n, sizeof *out->y);
    out->w = am_alloc_array(n, sizeof *out->w);
    class_weights = am_calloc(t->n_classes + 1, sizeof *class_weights);
    if (!out->x || !out->y || !out->w || !class_weights)
        AM_GO(rc, am_fail_nomem(err, bytes));
    const bool use = am_task_has_classes(t->task) && weights == AM_GATHER_CLASS_WEIGHTS;
    if (am_task_has_classes(t->task))
        AM_GO(rc, am_learn_class_weights(t, class_weights, err));
    rc = gather(t, use ? class_weights : NULL, out, err);
out:
    am_free(class_weights);
    if (rc != AM_OK)
        am_gathered_clear(out);
    return rc;
}

void am_learn_class_output(struct am_graph *g, const struct am_learn_task *t, am_value shares)
{
    if (t->task == AM_TASK_BINARY)
        shares = am_layer_columns(g, shares, 1, 1);
    am_graph_output(g, "y", shares);
}

float *am_learn_param(struct am_params *p, const char *name)
{
    const struct am_param *found = am_params_find(p, am_str(name));
    assert(found);
    return p->data + found->offset;
}
