/* Runs the training graph without its gradients over batches, each batch norm replacing its running
 * statistics by the batch's, and keeps the mean of them in double, batches in order. */
#include "nn/train_norm.h"

#include <string.h>

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/ops/train_ops.h"
#include "nn/train_plan.h"

struct statistic {        /* a running mean or variance */
    size_t offset, n, at; /* in the block of parameters; floats; in the sums */
};

struct am_norms {
    struct am_plan *plan;       /* owned */
    struct am_session *session; /* owned; made at the first refresh */
    struct am_pool *pool;       /* borrowed */
    struct statistic *stats;    /* owned, [n_stats] */
    size_t n_stats, n_sums, rows;
    double *sums; /* owned, [n_sums] */
};

void am_norms_free(struct am_norms *n)
{
    if (!n)
        return;
    am_session_free(n->session);
    am_plan_put(n->plan);
    am_free(n->stats);
    am_free(n->sums);
    am_free(n);
}

size_t am_norms_bytes(const struct am_norms *n)
{
    return n ? am_plan_session_bytes(n->plan) + n->n_sums * sizeof *n->sums : 0;
}

static size_t count(const struct am_graph *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->nodes.len; i++)
        n += g->nodes.ptr[i].op == &am_op_bn_update;
    return n;
}

static void add(struct am_norms *n, const struct am_graph *g, const struct am_params *p,
                am_value param)
{
    const struct am_param *e = &p->table[(size_t)g->nodes.ptr[param].attr.i[0]];
    n->stats[n->n_stats++] = (struct statistic){e->offset, e->n, n->n_sums};
    n->n_sums += e->n;
}

/* The whole of a batch's statistics becomes the running one. */
static void find_statistics(struct am_norms *n, struct am_graph *g, const struct am_params *p)
{
    for (size_t i = 0; i < g->nodes.len; i++) {
        struct am_gnode *u = &g->nodes.ptr[i];
        if (u->op != &am_op_bn_update)
            continue;
        u->attr.f[1] = 1;
        add(n, g, p, u->in[1]);
        add(n, g, p, u->in[2]);
    }
}

static enum am_rc fill(struct am_norms *n, struct am_graph *g, const struct am_params *p,
                       const struct am_loss_spec *loss, struct am_err *err)
{
    const struct am_kernels *kern = am_kernels_best();
    const struct am_plan_options o = {.mode = AM_PLAN_TRAIN,
                                      .bucket_rows = n->rows,
                                      .kernels = kern,
                                      .train_kernels = am_train_kernels_find(kern->name)};
    n->stats = am_alloc_array(2 * count(g), sizeof *n->stats);
    if (!n->stats)
        return am_fail_nomem(err, 2 * count(g) * sizeof *n->stats);
    find_statistics(n, g, p);
    n->sums = am_alloc_array(n->n_sums, sizeof *n->sums);
    if (!n->sums)
        return am_fail_nomem(err, n->n_sums * sizeof *n->sums);
    AM_TRY(am_loss_add(g, loss, err)); /* a training plan's end; no gradient hangs on it */
    return am_plan_build(g, p, &o, &n->plan, err);
}

enum am_rc am_norms_new(const struct am_graph *model, const struct am_params *params,
                        const struct am_loss_spec *loss, size_t rows, struct am_pool *pool,
                        struct am_norms **out, struct am_err *err)
{
    struct am_graph *g = NULL;
    struct am_norms *n = NULL;
    enum am_rc rc = am_training_graph(model, &g, err);
    *out = NULL;
    if (rc == AM_OK && count(g) > 0) {
        n = am_calloc(1, sizeof *n);
        if (n)
            n->rows = rows, n->pool = pool;
        rc = n ? fill(n, g, params, loss, err) : am_fail_nomem(err, sizeof *n);
    }
    am_graph_free(g);
    if (rc == AM_OK)
        *out = n;
    else
        am_norms_free(n);
    return rc;
}

/* From 0, all of a batch's statistic is exactly that. */
static void clear(const struct am_norms *n, float *weights)
{
    for (size_t k = 0; k < n->n_stats; k++)
        memset(weights + n->stats[k].offset, 0, n->stats[k].n * sizeof *weights);
}

static void take(struct am_norms *n, const float *weights)
{
    for (size_t k = 0; k < n->n_stats; k++) {
        const struct statistic *s = &n->stats[k];
        for (size_t i = 0; i < s->n; i++)
            n->sums[s->at + i] += (double)weights[s->offset + i];
    }
}

static void put(const struct am_norms *n, size_t batches, float *weights)
{
    for (size_t k = 0; k < n->n_stats; k++) {
        const struct statistic *s = &n->stats[k];
        for (size_t i = 0; i < s->n; i++)
            weights[s->offset + i] = (float)(n->sums[s->at + i] / (double)batches);
    }
}

enum am_rc am_norms_refresh(struct am_norms *n, struct am_feed *feed, uint64_t epoch, uint64_t seed,
                            float *weights, float *scratch, struct am_err *err)
{
    const size_t width = feed->data->n_features, targets = feed->data->n_targets;
    const uint64_t n_batches = am_feed_n_batches(feed);
    size_t seen = 0;
    if (!n->session)
        AM_TRY(am_session_new(n->plan, n->pool, &n->session, err));
    memset(n->sums, 0, n->n_sums * sizeof *n->sums);
    for (uint64_t k = 0; k < n_batches && seen < AM_NORM_BATCHES; k++) {
        struct am_batch_view b;
        AM_TRY(am_feed_batch(feed, epoch, k, &b, err));
        for (size_t at = 0; at < b.n && seen < AM_NORM_BATCHES; at += n->rows) {
            struct am_csr rows;
            struct am_session_io io = {.target = b.y + at * targets,
                                       .weight = b.w + at,
                                       .params = weights,
                                       .grads = scratch,
                                       .seed = seed,
                                       .step = (epoch + 1) << 24 | seen};
            am_feed_give(&b, at, b.n - at < n->rows ? b.n - at : n->rows, width, &rows, &io);
            if (io.n_rows == 1 && seen > 0) /* one row has no variance */
                continue;
            clear(n, weights);
            AM_TRY(am_session_run_io(n->session, &io, err));
            take(n, weights);
            seen++;
        }
    }
    if (seen > 0)
        put(n, seen, weights);
    return AM_OK;
}
