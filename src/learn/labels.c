/* Several labels with learners of two classes: one model for each label over the same rows, then
 * one graph of all of them side by side. A label that all training rows have, or none, gets a
 * constant by Laplace's rule. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "learn/learn_int.h"
#include "nn/graph_merge.h"

bool am_learn_label_by_label(const struct am_learner_ops *ops, enum am_task task)
{
    return task == AM_TASK_MULTILABEL && !(ops->tasks & 1u << AM_TASK_MULTILABEL) &&
           (ops->tasks & 1u << AM_TASK_BINARY);
}

struct am_learn_task am_learn_one_label(const struct am_learn_task *t)
{
    struct am_learn_task one = *t;
    one.task = AM_TASK_BINARY;
    one.n_classes = 2;
    one.class_weights = NULL;
    one.hooks = (struct am_train_hooks){.progress = t->hooks.progress};
    return one;
}

/* ---- one label of the rows ---- */

struct label_rows {
    const struct am_train_data *base; /* borrowed; NULL = none */
    unsigned label;
    struct am_train_data data;
};

static void pick(const struct label_rows *r, float *y, size_t n)
{
    for (size_t i = 0; y && i < n; i++)
        y[i] = (float)((uint32_t)y[i] >> r->label & 1);
}

static enum am_rc gather(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                         struct am_err *err)
{
    const struct label_rows *r = self;
    AM_TRY(r->base->gather(r->base->self, rows, n, x, y, w, err));
    pick(r, y, n);
    return AM_OK;
}

static enum am_rc gather_sparse(void *self, const uint64_t *rows, size_t n, struct am_csr_buf *x,
                                float *y, float *w, struct am_err *err)
{
    const struct label_rows *r = self;
    AM_TRY(r->base->gather_sparse(r->base->self, rows, n, x, y, w, err));
    pick(r, y, n);
    return AM_OK;
}

static const struct am_train_data *rows_of(struct label_rows *r, const struct am_train_data *base,
                                           unsigned label)
{
    if (!base)
        return NULL;
    *r = (struct label_rows){.base = base, .label = label};
    r->data = (struct am_train_data){.n_rows = base->n_rows,
                                     .n_features = base->n_features,
                                     .n_targets = 1,
                                     .self = r,
                                     .gather = gather,
                                     .gather_sparse = base->gather_sparse ? gather_sparse : NULL,
                                     .in_ram = base->in_ram};
    return &r->data;
}

/* ---- all of them ---- */

struct members {
    size_t n;
    struct am_learned *of; /* owned, [n] */
    double (*share)[2];    /* owned, [n]: weight without and with the label */
};

#define CHUNK 4096
static enum am_rc count(const struct am_learn_task *t, struct members *m, struct am_err *err)
{
    const struct am_train_data *d = t->train;
    uint64_t rows[CHUNK];
    float y[CHUNK], w[CHUNK];
    for (uint64_t at = 0; at < d->n_rows;) {
        const size_t n = d->n_rows - at < CHUNK ? (size_t)(d->n_rows - at) : CHUNK;
        for (size_t i = 0; i < n; i++)
            rows[i] = at + i;
        AM_TRY(d->gather(d->self, rows, n, NULL, y, w, err));
        for (size_t i = 0; i < n; i++) {
            if (!(y[i] >= 0) || y[i] != truncf(y[i]) || y[i] >= (float)(1u << m->n))
                return am_fail(err, AM_EINVAL, "a target is no set of %zu labels", m->n);
            for (size_t l = 0; l < m->n; l++)
                m->share[l][(uint32_t)y[i] >> l & 1] += (double)w[i];
        }
        at += n;
    }
    return AM_OK;
}

static enum am_rc constant(const struct am_learn_task *one, const double share[2],
                           struct am_learned *out, struct am_err *err)
{
    double *coef = am_calloc(one->n_features + 1, sizeof *coef);
    if (!coef)
        return am_fail_nomem(err, (one->n_features + 1) * sizeof *coef);
    coef[one->n_features] = log((share[1] + 1) / (share[0] + 1));
    enum am_rc rc = am_learn_linear_model(one, coef, out, err);
    out->kind = AM_LEARNED_PROBABILITY;
    am_free(coef);
    return rc;
}

static enum am_rc fit_label(const struct am_learn_task *t, const struct am_learner_ops *ops,
                            struct members *m, unsigned label, struct am_arena *a,
                            struct am_err *err)
{
    struct label_rows train, validation;
    struct am_learn_task one = am_learn_one_label(t);
    struct am_learned *l = &m->of[label];
    one.train = rows_of(&train, t->train, label);
    one.validation = rows_of(&validation, t->validation, label);
    l->info = am_new_map(a);
    AM_TRY(am_arena_check(a, err));
    if (!(m->share[label][0] > 0) || !(m->share[label][1] > 0))
        return constant(&one, m->share[label], l, err);
    return ops->fit(&one, l, a, err);
}

/* More than eight values side by side. */
static am_value concat(struct am_graph *g, am_value *parts, size_t n)
{
    while (n > 1) {
        size_t kept = 0;
        for (size_t i = 0, k; i < n; i += k) {
            k = n - i < AM_GRAPH_INPUTS_MAX ? n - i : AM_GRAPH_INPUTS_MAX;
            parts[kept++] = k > 1 ? am_layer_concat(g, parts + i, k) : parts[i];
        }
        n = kept;
    }
    return parts[0];
}

static enum am_rc merge(const struct am_learn_task *t, const struct members *m,
                        struct am_learned *out, struct am_err *err)
{
    am_value parts[AM_LIMIT_LABELS];
    char prefix[32];
    AM_TRY(am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    for (size_t l = 0; l < m->n; l++) {
        (void)snprintf(prefix, sizeof prefix, "label%zu.", l);
        parts[l] = am_graph_merge(out->graph, x, m->of[l].graph, "y", prefix);
    }
    am_graph_output(out->graph, "y", concat(out->graph, parts, m->n));
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    for (size_t l = 0; l < m->n; l++) {
        (void)snprintf(prefix, sizeof prefix, "label%zu.", l);
        AM_TRY(am_params_merge(out->params, m->of[l].params, prefix, err));
    }
    return AM_OK;
}

enum am_rc am_learn_labels(const struct am_learn_task *t, const struct am_learner_ops *ops,
                           struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    struct members m = {.n = t->n_classes};
    struct am_node *infos = am_new_list(a);
    enum am_rc rc;
    if (m.n < 1 || m.n > AM_LIMIT_LABELS)
        return am_fail(err, AM_ELIMIT, "%zu labels, at most %d are allowed", m.n, AM_LIMIT_LABELS);
    m.of = am_calloc(m.n, sizeof *m.of);
    m.share = am_calloc(m.n, sizeof *m.share);
    if (!m.of || !m.share)
        AM_GO(rc, am_fail_nomem(err, m.n * sizeof *m.of));
    AM_GO(rc, count(t, &m, err));
    out->kind = AM_LEARNED_PROBABILITY;
    for (unsigned l = 0; l < m.n; l++) {
        AM_GO(rc, fit_label(t, ops, &m, l, a, err));
        am_node_push(a, infos, m.of[l].info);
        if (m.of[l].kind == AM_LEARNED_SCORE)
            out->kind = AM_LEARNED_SCORE;
    }
    AM_GO(rc, merge(t, &m, out, err));
    am_learn_info(t, out, a, ops->name, "one model a label");
    am_node_set(a, out->info, "labels", infos);
out:
    for (size_t l = 0; m.of && l < m.n; l++)
        am_learned_clear(&m.of[l]);
    am_free(m.of);
    am_free(m.share);
    return rc;
}
