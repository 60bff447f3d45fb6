/* Runs the graph over rows in blocks and measures; see score.h. */
#include "pipeline/score.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "nn/session.h"

#define BLOCK 1024                     /* rows at once */
#define BLOCK_BYTES ((size_t)32 << 20) /* of a run; above it the block is halved: wide pictures */
#define IMPORTANCE_BYTES ((size_t)64 << 20)

/* y of rows x [n, width] into pred [n, n_out]. A row's bits do not depend on the block. */
struct runner {
    struct am_plan *plan;
    struct am_session *session;
    size_t block;
    bool sparse; /* rows are read sparse */
};

static void runner_clear(struct runner *r)
{
    am_session_free(r->session);
    am_plan_put(r->plan);
    *r = (struct runner){0};
}

/* data NULL: dense rows of the caller's */
static enum am_rc runner_new(struct runner *r, const struct am_learned *l,
                             const struct am_train_data *data, struct am_pool *pool,
                             struct am_err *err)
{
    const bool sparse = data && data->gather_sparse && am_plan_takes_sparse(l->graph);
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 1, .sparse_x = sparse};
    struct am_plan *one = NULL;
    enum am_rc rc;
    *r = (struct runner){.block = BLOCK, .sparse = sparse};
    AM_GO(rc, am_plan_build(l->graph, l->params, &o, &one, err));
    const size_t row =
        data && data->gather_sparse && !sparse ? data->n_features * sizeof(float) : 0;
    while (r->block > 1 && am_plan_session_bytes(one) + row > BLOCK_BYTES / r->block)
        r->block /= 2;
    o.bucket_rows = r->block;
    o.share = one;
    AM_GO(rc, am_plan_build(l->graph, l->params, &o, &r->plan, err));
    rc = am_session_new(r->plan, pool, &r->session, err);
out:
    am_plan_put(one);
    if (rc != AM_OK)
        runner_clear(r);
    return rc;
}

static enum am_rc runner_run(const struct runner *r, size_t n, size_t width, const float *x,
                             float *y, size_t n_out, struct am_err *err)
{
    for (size_t at = 0; at < n; at += r->block) {
        size_t k = n - at < r->block ? n - at : r->block;
        AM_TRY(am_session_run(r->session, k, x + at * width, y + at * n_out, err));
    }
    return AM_OK;
}

enum am_rc am_score_rows(const struct am_learned *l, size_t n, size_t width, const float *x,
                         float *y, size_t n_out, struct am_pool *pool, struct am_err *err)
{
    struct runner r;
    AM_TRY(runner_new(&r, l, NULL, pool, err));
    enum am_rc rc = runner_run(&r, n, width, x, y, n_out, err);
    runner_clear(&r);
    return rc;
}

void am_scored_clear(struct am_scored *s)
{
    am_free(s->clusters);
    am_free(s->x);
    am_free(s->some);
    am_free(s->truth);
    am_free(s->weight);
    am_free(s->pred);
    memset(s, 0, sizeof *s);
}

/* Rows of a span, block by block, with a session of its own. */
struct span {
    const struct am_train_data *data;
    struct runner run;
    size_t begin, end, n_out;
    double *truth, *weight; /* of all rows */
    float *pred;
    enum am_rc rc;
    struct am_err err;
};

/* n rows: y of the model to pred, y and w of the data. x is room for them, or NULL: sparse. */
static enum am_rc score_some(const struct span *s, const uint64_t *rows, size_t n, float *x,
                             struct am_csr_buf *sparse, float *y, float *w, float *pred,
                             struct am_err *err)
{
    const struct am_train_data *d = s->data;
    if (x) {
        AM_TRY(d->gather(d->self, rows, n, x, y, w, err));
        return runner_run(&s->run, n, d->n_features, x, pred, s->n_out, err);
    }
    am_csr_reset(sparse, d->n_features);
    AM_TRY(d->gather_sparse(d->self, rows, n, sparse, y, w, err));
    const struct am_csr part = am_csr_of(sparse);
    return am_session_run_sparse(s->run.session, &part, pred, err);
}

static enum am_rc score_blocks(struct span *s, struct am_err *err)
{
    const size_t width = s->data->n_features, block = s->run.block;
    struct am_csr_buf sparse = {0};
    uint64_t rows[BLOCK];
    float y[BLOCK], w[BLOCK], *x = NULL;
    enum am_rc rc = AM_OK;
    if (!s->run.sparse && !(x = am_alloc_array(block, width * sizeof *x)))
        return am_fail_nomem(err, block * width * sizeof *x);
    for (size_t at = s->begin, k; at < s->end && rc == AM_OK; at += k) {
        k = s->end - at < block ? s->end - at : block;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        rc = score_some(s, rows, k, x, &sparse, y, w, s->pred + at * s->n_out, err);
        for (size_t i = 0; i < k && rc == AM_OK; i++)
            s->truth[at + i] = (double)y[i], s->weight[at + i] = (double)w[i];
    }
    am_csr_clear(&sparse);
    am_free(x);
    return rc;
}

static void score_spans(void *ctx, size_t begin, size_t end)
{
    struct span *s = ctx;
    for (size_t i = begin; i < end; i++)
        s[i].rc = score_blocks(&s[i], &s[i].err);
}

/* Small models over many rows: a thread takes a span of its own; else the threads share the work
 * inside of a block. */
#define SPAN_BLOCKS 16
#define SPANS_MAX 64

static size_t spans_of(const struct runner *r, size_t n, const struct am_pool *pool)
{
    size_t k = am_pool_size(pool), most = n / ((size_t)SPAN_BLOCKS * BLOCK);
    if (r->block < BLOCK || am_plan_session_bytes(r->plan) > BLOCK_BYTES / SPANS_MAX)
        return 1;
    k = k < most ? k : most;
    return k < 1 ? 1 : k < SPANS_MAX ? k : SPANS_MAX;
}

static enum am_rc score_all(const struct runner *r, const struct am_train_data *data, size_t n_out,
                            struct am_pool *pool, struct am_scored *out, struct am_err *err)
{
    const size_t n = (size_t)data->n_rows, k = spans_of(r, n, pool);
    struct span *s = am_calloc(k, sizeof *s);
    enum am_rc rc = s ? AM_OK : am_fail_nomem(err, k * sizeof *s);
    for (size_t i = 0; i < k && rc == AM_OK; i++) {
        s[i] = (struct span){.data = data,
                             .run = *r,
                             .begin = n / k * i,
                             .end = i + 1 < k ? n / k * (i + 1) : n,
                             .n_out = n_out,
                             .truth = out->truth,
                             .weight = out->weight,
                             .pred = out->pred};
        if (k > 1)
            rc = am_session_new(r->plan, NULL, &s[i].run.session, err);
    }
    if (rc == AM_OK)
        am_pool_for(pool, k, 1, score_spans, s);
    for (size_t i = 0; s && i < k; i++) {
        if (rc == AM_OK && s[i].rc != AM_OK) {
            rc = s[i].rc;
            if (err)
                *err = s[i].err;
        }
        if (k > 1)
            am_session_free(s[i].run.session);
    }
    am_free(s);
    return rc;
}

/* The rows themselves beside their clusters: what most metrics of clusters need. */
static enum am_rc add_rows(const struct am_train_data *data, struct am_scored *s,
                           struct am_err *err)
{
    const size_t all = s->in.n_rows, width = data->n_features;
    size_t n = AM_SCORED_CELLS / (width ? width : 1);
    uint64_t rows[BLOCK];
    n = n < all ? n : all;
    s->x = am_alloc_array(n + 1, width * sizeof *s->x);
    s->some = am_alloc_array(n + 1, sizeof *s->some);
    if (!s->x || !s->some)
        return am_fail_nomem(err, n * width * sizeof *s->x);
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t k = n - at < BLOCK ? n - at : BLOCK;
        for (size_t i = 0; i < k; i++) {
            rows[i] = (uint64_t)((double)(at + i) * (double)all / (double)n);
            s->some[at + i] = s->pred[rows[i]];
            s->truth[at + i] = s->truth[rows[i]];
        }
        AM_TRY(data->gather(data->self, rows, k, s->x + at * width, NULL, NULL, err));
    }
    s->clusters = s->pred;
    s->n_all = all;
    s->pred = NULL;
    s->in.n_rows = n;
    s->in.pred = s->some;
    s->in.x = s->x;
    s->in.width = width;
    return AM_OK;
}

static enum am_rc score_clusters(const struct am_learned *l, const struct am_train_data *data,
                                 struct am_pool *pool, struct am_scored *out, struct am_err *err)
{
    struct am_learned c = {.params = l->params, .kind = l->kind};
    AM_TRY(am_learn_select_output(l->graph, "cluster", &c.graph, err));
    enum am_rc rc = am_score(&c, AM_TASK_EMBEDDING, 0, data, pool, out, err);
    am_graph_free(c.graph);
    out->in.task = AM_TASK_CLUSTERING;
    if (rc == AM_OK && out->in.n_rows)
        rc = add_rows(data, out, err);
    if (rc != AM_OK)
        am_scored_clear(out);
    return rc;
}

enum am_rc am_score(const struct am_learned *l, enum am_task task, size_t n_classes,
                    const struct am_train_data *data, struct am_pool *pool, struct am_scored *out,
                    struct am_err *err)
{
    if (task == AM_TASK_CLUSTERING)
        return score_clusters(l, data, pool, out, err);
    size_t n = data ? (size_t)data->n_rows : 0;
    size_t n_out = am_task_columns(task, n_classes);
    struct runner r = {0};
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    out->in = (struct am_eval_input){.task = task,
                                     .n_classes = n_classes,
                                     .threshold = 0.5,
                                     .scores = l->kind == AM_LEARNED_SCORE};
    if (n == 0)
        return AM_OK;
    out->truth = am_alloc_array(n, sizeof *out->truth);
    out->weight = am_alloc_array(n, sizeof *out->weight);
    out->pred = am_alloc_array(n, n_out * sizeof *out->pred);
    AM_GO(rc, runner_new(&r, l, data, pool, err));
    if (!out->truth || !out->weight || !out->pred)
        AM_GO(rc, am_fail_nomem(err, n * n_out * sizeof *out->pred));
    AM_GO(rc, score_all(&r, data, n_out, pool, out, err));
    out->in.n_rows = n;
    out->in.truth = out->truth;
    out->in.pred = out->pred;
    for (size_t i = 0; i < n && !out->in.weight; i++)
        if (out->weight[i] != 1)
            out->in.weight = out->weight;
out:
    runner_clear(&r);
    if (rc != AM_OK)
        am_scored_clear(out);
    return rc;
}

/* ---- importance ---- */

struct importance {
    const struct am_features *f;
    struct runner run;
    struct am_eval_input in;
    struct am_str metric;
    size_t n, width, n_out;
    float *x, *shuffled; /* [n, width]; NULL: sparse rows in their place */
    struct am_csr_buf rows, mixed;
    float *pred; /* [n, n_out] */
};

/* The rows with the columns [from, to) of others, whose numbers perm gives. */
static enum am_rc mix_rows(struct importance *j, const uint32_t *perm, size_t from, size_t to,
                           struct am_err *err)
{
    const struct am_csr x = am_csr_of(&j->rows);
    struct am_csr_buf *out = &j->mixed;
    am_csr_reset(out, j->width);
    for (size_t i = 0; i < j->n; i++) {
        const uint64_t own = x.start[i + 1] - x.start[i],
                       other = x.start[perm[i] + 1] - x.start[perm[i]];
        AM_TRY(am_csr_reserve(out, 1, (size_t)(own + other), err));
        for (unsigned part = 0; part < 3; part++) { /* before, the other's, behind */
            const size_t row = part == 1 ? perm[i] : i;
            const size_t begin = part == 0   ? 0
                                 : part == 1 ? from
                                             : to,
                         end = part == 0   ? from
                               : part == 1 ? to
                                           : j->width;
            for (uint64_t e = x.start[row]; e < x.start[row + 1]; e++)
                if (x.cols[e] >= begin && x.cols[e] < end) {
                    out->cols[out->n] = x.cols[e];
                    out->vals[out->n++] = x.vals[e];
                }
        }
        out->start[++out->n_rows] = out->n;
    }
    return AM_OK;
}

static enum am_rc run_sparse(struct importance *j, const struct am_csr_buf *rows,
                             struct am_err *err)
{
    const struct am_csr x = am_csr_of(rows);
    for (size_t at = 0, k; at < j->n; at += k) {
        k = j->n - at < j->run.block ? j->n - at : j->run.block;
        const struct am_csr part = am_csr_rows(&x, at, k);
        AM_TRY(am_session_run_sparse(j->run.session, &part, j->pred + at * j->n_out, err));
    }
    return AM_OK;
}

static enum am_rc score_group(void *ctx, size_t group, const uint32_t *perm, double *out,
                              struct am_err *err)
{
    struct importance *j = ctx;
    const float *x = j->x;
    if (j->run.sparse) {
        const struct am_feature_input *in = am_features_input(j->f, group);
        if (perm)
            AM_TRY(mix_rows(j, perm, in->first_output, in->first_output + in->n_outputs, err));
        AM_TRY(run_sparse(j, perm ? &j->mixed : &j->rows, err));
        j->in.pred = j->pred;
        return am_metric(&j->in, j->metric, out, err);
    }
    if (perm) {
        const struct am_feature_input *in = am_features_input(j->f, group);
        memcpy(j->shuffled, j->x, j->n * j->width * sizeof *j->x);
        for (size_t i = 0; i < j->n; i++)
            memcpy(j->shuffled + i * j->width + in->first_output,
                   j->x + perm[i] * j->width + in->first_output, in->n_outputs * sizeof *j->x);
        x = j->shuffled;
    }
    AM_TRY(runner_run(&j->run, j->n, j->width, x, j->pred, j->n_out, err));
    j->in.pred = j->pred;
    return am_metric(&j->in, j->metric, out, err);
}

/* For dense rows. */
static bool make_rooms(struct importance *j)
{
    j->x = am_alloc_array(j->n + 1, j->width * sizeof *j->x);
    j->shuffled = am_alloc_array(j->n + 1, j->width * sizeof *j->x);
    return j->x && j->shuffled;
}

struct ranked {
    double mean, deviation;
    size_t input;
};
static int by_mean(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    if (a->mean != b->mean)
        return a->mean < b->mean ? 1 : -1;
    return (a->input > b->input) - (a->input < b->input);
}

static struct am_node *importance_node(const struct am_features *f, struct ranked *r, size_t n,
                                       struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    qsort(r, n, sizeof *r, by_mean);
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "column", am_new_str(a, am_features_input(f, r[i].input)->name));
        am_node_set(a, m, "mean", am_new_f64(a, r[i].mean));
        am_node_set(a, m, "deviation", am_new_f64(a, r[i].deviation));
        am_node_push(a, list, m);
    }
    return list;
}

enum am_rc am_score_importance(const struct am_learned *l, const struct am_features *f,
                               enum am_task task, size_t n_classes,
                               const struct am_train_data *data, struct am_str metric,
                               double threshold, uint64_t seed, size_t max_rows,
                               struct am_pool *pool, struct am_arena *a, struct am_node **out,
                               struct am_err *err)
{
    size_t n_groups = am_features_n_inputs(f), all = (size_t)data->n_rows;
    struct importance j = {.f = f,
                           .metric = metric,
                           .width = data->n_features,
                           .n = all < max_rows ? all : max_rows,
                           .n_out = am_task_columns(task, n_classes)};
    const struct am_metric_info *info = am_metric_find(metric);
    size_t fit = IMPORTANCE_BYTES / sizeof(float) / (j.width ? j.width : 1);
    const bool sparse = data->gather_sparse && am_plan_takes_sparse(l->graph);
    if (j.n > fit && !sparse)
        j.n = fit < 32 ? (all < 32 ? all : 32) : fit;
    double *truth = am_alloc_array(j.n + 1, sizeof *truth),
           *mean = am_calloc(n_groups + 1, sizeof *mean),
           *dev = am_calloc(n_groups + 1, sizeof *dev);
    uint64_t *rows = am_alloc_array(j.n + 1, sizeof *rows);
    float *y = am_alloc_array(j.n + 1, sizeof *y);
    struct ranked *r = am_calloc(n_groups + 1, sizeof *r);
    enum am_rc rc;
    const bool rows_fit = sparse || make_rooms(&j);
    j.pred = am_alloc_array(j.n + 1, j.n_out * sizeof *j.pred);
    if (!truth || !mean || !dev || !rows || !y || !r || !j.pred || !rows_fit)
        AM_GO(rc, am_fail_nomem(err, j.n * j.width * sizeof *j.x));
    for (size_t i = 0; i < j.n; i++)
        rows[i] = i * all / (j.n ? j.n : 1); /* evenly over all rows */
    am_csr_reset(&j.rows, j.width);
    AM_GO(rc, sparse ? data->gather_sparse(data->self, rows, j.n, &j.rows, y, NULL, err)
                     : data->gather(data->self, rows, j.n, j.x, y, NULL, err));
    for (size_t i = 0; i < j.n; i++)
        truth[i] = (double)y[i];
    j.in = (struct am_eval_input){.task = task,
                                  .n_rows = j.n,
                                  .n_classes = n_classes,
                                  .truth = truth,
                                  .threshold = threshold,
                                  .scores = l->kind == AM_LEARNED_SCORE};
    AM_GO(rc, runner_new(&j.run, l, data, pool, err));
    struct am_importance_job job = {.n_groups = n_groups,
                                    .n_rows = j.n,
                                    .n_repeats = 5,
                                    .seed = seed,
                                    .better = info ? info->better : AM_METRIC_HIGHER,
                                    .ctx = &j,
                                    .score = score_group};
    AM_GO(rc, am_importance(&job, mean, dev, err));
    for (size_t g = 0; g < n_groups; g++)
        r[g] = (struct ranked){mean[g], dev[g], g};
    *out = importance_node(f, r, n_groups, a);
    rc = am_arena_check(a, err);
out:
    runner_clear(&j.run);
    am_free(truth);
    am_free(mean);
    am_free(dev);
    am_free(rows);
    am_free(y);
    am_free(r);
    am_free(j.x);
    am_free(j.shuffled);
    am_csr_clear(&j.rows);
    am_csr_clear(&j.mixed);
    am_free(j.pred);
    return rc;
}
