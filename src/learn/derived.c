/* Fits derived features, widens the rows by them, fits the learner, and puts all of it into one
 * graph; see derived.h. */
#include "learn/derived.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "learn/learn_int.h"
#include "nn/graph_merge.h"
#include "nn/session.h"

#define PARTS_MAX 16 /* entries of features.derived */
#define BLOCK 256

bool am_derived_asked(const struct am_learn_task *t)
{
    return t->derived && t->derived->kind == AM_NODE_LIST && t->derived->list.n > 0;
}

/* ---- an entry ---- */

struct part {
    struct am_learn_task task; /* of the columns alone; model without `of` */
    struct am_train_data data;
    const struct am_train_data *base;
    size_t *columns; /* arena, [n] numbers of the row */
    size_t n;
    struct am_learned l;
    size_t width; /* of its code */
    char prefix[40];
};

static enum am_rc bad_entry(const struct am_node *e, const char *what, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    am_fail(err, AM_EUSAGE, "%sfeatures.derived: %s", am_key_where(e, where), am_tr(what));
    am_hint(err, "An entry is {type: kmeans, clusters: 8, of: [a, b]}; types are kmeans, "
                 "gaussian_mixture, dbscan, pca, svd, autoencoder.");
    return AM_EUSAGE;
}

/* The learner's own keys: the entry without `of`. */
static struct am_node *model_of(const struct am_node *e, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    for (size_t i = 0; i < e->map.n; i++)
        if (!am_str_is(e->map.pairs[i].key, "of"))
            am_node_set_str(a, m, e->map.pairs[i].key, am_node_copy(a, e->map.pairs[i].value));
    return m;
}

static enum am_rc entry_task(const struct am_learn_task *t, const struct am_node *e,
                             struct am_learn_task *out, struct am_arena *a, struct am_err *err)
{
    const struct am_learner_ops *l;
    const unsigned clustering = 1u << AM_TASK_CLUSTERING, embedding = 1u << AM_TASK_EMBEDDING;
    if (e->kind != AM_NODE_MAP)
        return bad_entry(e, "an entry is no map", err);
    l = am_learner_find(am_node_str(e, "type", ""));
    if (!l || !(l->tasks & (clustering | embedding)) || strcmp(l->name, "baseline") == 0)
        return bad_entry(e, "the type is none that makes features", err);
    *out = (struct am_learn_task){.task = l->tasks & clustering ? AM_TASK_CLUSTERING
                                                                : AM_TASK_EMBEDDING,
                                  .n_features = t->n_features,
                                  .model = model_of(e, a),
                                  .train_spec = l->flags & AM_LEARNER_STEPS ? t->train_spec : NULL,
                                  .seed = t->seed,
                                  .pool = t->pool,
                                  .memory_bytes = t->memory_bytes,
                                  .missing = t->missing,
                                  .hooks = {.progress = t->hooks.progress}};
    return am_arena_check(a, err);
}

static enum am_rc unknown_column(const struct am_node *n, struct am_str name, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    am_fail(err, AM_EUSAGE, "%sfeatures.derived: \"%.*s\" is no column that features are made of",
            am_key_where(n, where), AM_FMT(name));
    am_hint(err, "Name columns of the data that are used as features.");
    return AM_EUSAGE;
}

static const struct am_learn_column *column_named(const struct am_learn_task *t, struct am_str name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (am_str_eq(t->columns[i].name, name))
            return &t->columns[i];
    return NULL;
}

/* Numbers of the row that `of` names; without it all. */
static enum am_rc entry_columns(const struct am_learn_task *t, const struct am_node *e,
                                struct part *p, struct am_arena *a, struct am_err *err)
{
    const struct am_node *of = am_node_get(e, "of");
    p->columns = am_arena_array(a, t->n_features + 1, sizeof *p->columns);
    AM_TRY(am_arena_check(a, err));
    if (!of)
        for (p->n = 0; p->n < t->n_features; p->n++)
            p->columns[p->n] = p->n;
    for (size_t i = 0; of && i < (of->kind == AM_NODE_LIST ? of->list.n : 1); i++) {
        const struct am_node *one = of->kind == AM_NODE_LIST ? of->list.items[i] : of;
        struct am_str name = {"", 0};
        const struct am_learn_column *c = am_node_as_str(one, &name) ? column_named(t, name) : NULL;
        if (!c || c->first + c->n > t->n_features || p->n + c->n > t->n_features)
            return unknown_column(one, name, err);
        for (size_t j = 0; j < c->n; j++)
            p->columns[p->n++] = c->first + j;
    }
    return of && of->kind == AM_NODE_LIST && of->list.n == 0
               ? bad_entry(e, "`of` is an empty list", err)
               : AM_OK;
}

enum am_rc am_derived_check(const struct am_learn_task *t, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    enum am_rc rc = AM_OK;
    if (!a)
        return am_fail_nomem(err, sizeof(void *));
    if (am_task_target_optional(t->task)) {
        am_fail(err, AM_EUSAGE, "features.derived is given, but the task is %s",
                am_task_name(t->task));
        am_hint(err, "Derived features are for models that predict a target.");
        rc = AM_EUSAGE;
    }
    if (rc == AM_OK && (t->n_tokens || t->shape.rank > 1)) {
        am_fail(err, AM_EUSAGE, "features.derived is given, but rows are no plain numbers");
        am_hint(err, "Leave it out, or leave pictures, sounds and ids of tokens out.");
        rc = AM_EUSAGE;
    }
    if (rc == AM_OK && t->derived->list.n > PARTS_MAX)
        rc = bad_entry(t->derived, "there are more than 16 entries", err);
    for (size_t i = 0; rc == AM_OK && i < t->derived->list.n; i++) {
        const struct am_node *e = t->derived->list.items[i];
        struct am_learn_task sub;
        struct part p = {.n = 0};
        rc = entry_task(t, e, &sub, a, err);
        if (rc == AM_OK)
            rc = am_learner_check(&sub, err);
        if (rc == AM_OK && t->columns)
            rc = entry_columns(t, e, &p, a, err);
    }
    am_arena_free(a);
    return rc;
}

/* ---- some numbers of each row as rows of their own ---- */

static enum am_rc gather_columns(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                                 float *w, struct am_err *err)
{
    const struct part *p = self;
    const size_t wide = p->base->n_features;
    float *all = am_alloc_array(BLOCK, wide * sizeof *all);
    enum am_rc rc = AM_OK;
    if (!all)
        return am_fail_nomem(err, BLOCK * wide * sizeof *all);
    for (size_t at = 0; x && at < n && rc == AM_OK; at += BLOCK) {
        const size_t k = n - at < BLOCK ? n - at : BLOCK;
        rc = p->base->gather(p->base->self, rows + at, k, all, NULL, NULL, err);
        for (size_t i = 0; rc == AM_OK && i < k; i++)
            for (size_t j = 0; j < p->n; j++)
                x[(at + i) * p->n + j] = all[i * wide + p->columns[j]];
    }
    for (size_t i = 0; y && i < n; i++)
        y[i] = 0;
    for (size_t i = 0; w && i < n; i++)
        w[i] = 1;
    am_free(all);
    return rc;
}

static enum am_rc part_fit(const struct am_learn_task *t, const struct am_node *e, struct part *p,
                           struct am_arena *a, struct am_err *err)
{
    AM_TRY(entry_task(t, e, &p->task, a, err));
    AM_TRY(entry_columns(t, e, p, a, err));
    if (p->n == 0)
        return bad_entry(e, "its columns make no features", err);
    p->base = t->train;
    p->data = (struct am_train_data){.n_rows = t->train->n_rows,
                                     .n_features = p->n,
                                     .n_targets = 1,
                                     .self = p,
                                     .gather = gather_columns,
                                     .in_ram = t->train->in_ram};
    p->task.n_features = p->n;
    p->task.train = &p->data;
    AM_TRY(am_learner_fit(&p->task, &p->l, a, err));
    p->width =
        am_dims_cols(&am_graph_node(p->l.graph, am_graph_find_output(p->l.graph, "code"))->dims);
    return AM_OK;
}

/* ---- the wider rows ---- */

struct wide {
    const struct am_train_data *base;
    struct am_train_data data;
    float *codes; /* owned, [n_rows, extra] */
    size_t extra;
};

static enum am_rc gather_wide(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                              float *w, struct am_err *err)
{
    const struct wide *d = self;
    const size_t f = d->base->n_features, all = f + d->extra;
    AM_TRY(d->base->gather(d->base->self, rows, n, x, y, w, err));
    for (size_t i = n; x && i-- > 0;) { /* in place, from the end */
        memmove(x + i * all, x + i * f, f * sizeof *x);
        memcpy(x + i * all + f, d->codes + rows[i] * d->extra, d->extra * sizeof *x);
    }
    return AM_OK;
}

/* Codes of all rows by one part, into columns [first, first + width) of d->codes. */
static enum am_rc run_part(const struct part *p, struct wide *d, size_t first, struct am_pool *pool,
                           struct am_err *err)
{
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = BLOCK, .output = "code"};
    struct part on = *p; /* its columns of these rows */
    struct am_plan *plan = NULL;
    struct am_session *s = NULL;
    float *x = am_alloc_array(BLOCK, p->n * sizeof *x),
          *y = am_alloc_array(BLOCK, p->width * sizeof *y);
    uint64_t rows[BLOCK];
    enum am_rc rc;
    on.base = d->base;
    if (!x || !y)
        AM_GO(rc, am_fail_nomem(err, BLOCK * p->n * sizeof *x));
    AM_GO(rc, am_plan_build(p->l.graph, p->l.params, &o, &plan, err));
    AM_GO(rc, am_session_new(plan, pool, &s, err));
    for (uint64_t at = 0; at < d->base->n_rows; at += BLOCK) {
        const size_t k = d->base->n_rows - at < BLOCK ? (size_t)(d->base->n_rows - at) : BLOCK;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        AM_GO(rc, gather_columns(&on, rows, k, x, NULL, NULL, err));
        AM_GO(rc, am_session_run(s, k, x, y, err));
        for (size_t i = 0; i < k; i++)
            memcpy(d->codes + (at + i) * d->extra + first, y + i * p->width, p->width * sizeof *y);
    }
out:
    am_session_free(s);
    am_plan_put(plan);
    am_free(x);
    am_free(y);
    return rc;
}

static enum am_rc widen(const struct am_learn_task *t, const struct am_train_data *base,
                        const struct part *parts, size_t n, struct wide *d, struct am_err *err)
{
    size_t first = 0, bytes;
    d->base = base;
    if (!base)
        return AM_OK;
    for (size_t i = 0; i < n; i++)
        d->extra += parts[i].width;
    if (!am_mul_size(&bytes, (size_t)base->n_rows, d->extra * sizeof(float)) ||
        (t->memory_bytes && bytes > t->memory_bytes)) {
        am_fail(err, AM_ELIMIT, "%zu derived features of %llu rows do not fit the memory", d->extra,
                (unsigned long long)base->n_rows);
        am_hint(err, "Derive fewer numbers, or give more memory.");
        return AM_ELIMIT;
    }
    d->codes = am_alloc(bytes ? bytes : 1);
    if (!d->codes)
        return am_fail_nomem(err, bytes);
    for (size_t i = 0; i < n; i++) {
        AM_TRY(run_part(&parts[i], d, first, t->pool, err));
        first += parts[i].width;
    }
    d->data = (struct am_train_data){.n_rows = base->n_rows,
                                     .n_features = base->n_features + d->extra,
                                     .n_targets = base->n_targets,
                                     .self = d,
                                     .gather = gather_wide,
                                     .in_ram = base->in_ram};
    return AM_OK;
}

/* ---- one graph ---- */

/* The part's columns of x: runs of neighbours, eight to a concat. */
static am_value pick(struct am_graph *g, am_value x, const struct part *p, size_t n_features)
{
    am_value all = AM_VALUE_NONE;
    if (p->n == n_features)
        return x;
    for (size_t i = 0, j; i < p->n; i = j) {
        for (j = i + 1; j < p->n && p->columns[j] == p->columns[j - 1] + 1; j++)
            continue;
        const am_value run = am_layer_columns(g, x, (int64_t)p->columns[i], (int64_t)(j - i));
        const am_value both[2] = {all, run};
        all = all == AM_VALUE_NONE ? run : am_layer_concat(g, both, 2);
    }
    return all;
}

static enum am_rc compose(const struct am_learn_task *t, const struct part *parts, size_t n,
                          const struct am_learned *main, struct am_learned *out, struct am_err *err)
{
    AM_TRY(am_graph_new(&out->graph, err));
    const am_value x =
        am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features));
    am_value row = x;
    for (size_t i = 0; i < n; i++) {
        const am_value from = pick(out->graph, x, &parts[i], t->n_features);
        const am_value both[2] = {
            row, am_graph_merge(out->graph, from, parts[i].l.graph, "code", parts[i].prefix)};
        row = am_layer_concat(out->graph, both, 2);
    }
    am_graph_output(out->graph, "y", am_graph_merge(out->graph, row, main->graph, "y", ""));
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    for (size_t i = 0; i < n; i++)
        AM_TRY(am_params_merge(out->params, parts[i].l.params, parts[i].prefix, err));
    return am_params_merge(out->params, main->params, "", err);
}

static void describe(const struct part *parts, size_t n, struct am_learned *out, struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "type", am_new_str(a, am_node_str(parts[i].l.info, "learner", "")));
        am_node_set(a, m, "features", am_new_i64(a, (int64_t)parts[i].n));
        am_node_set(a, m, "derived", am_new_i64(a, (int64_t)parts[i].width));
        am_node_push(a, list, m);
    }
    am_node_set(a, out->info, "derived", list);
    am_node_set(a, out->info, "n_parameters", am_new_i64(a, (int64_t)out->params->n_values));
}

enum am_rc am_derived_fit(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                          struct am_err *err)
{
    const size_t n = t->derived->list.n;
    struct part *parts = am_calloc(n, sizeof *parts);
    struct wide train = {0}, validation = {0};
    struct am_learned main = {0};
    struct am_learn_task inner = *t;
    enum am_rc rc = AM_OK;
    if (!parts)
        return am_fail_nomem(err, n * sizeof *parts);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(parts[i].prefix, sizeof parts[i].prefix, "derived%zu.", i + 1);
        AM_GO(rc, part_fit(t, t->derived->list.items[i], &parts[i], a, err));
    }
    AM_GO(rc, widen(t, t->train, parts, n, &train, err));
    AM_GO(rc, widen(t, t->validation, parts, n, &validation, err));
    inner.derived = NULL;
    inner.train = &train.data;
    inner.validation = t->validation ? &validation.data : NULL;
    inner.n_features = train.data.n_features;
    inner.shape = am_dims1((int64_t)inner.n_features);
    AM_GO(rc, am_learner_fit(&inner, &main, a, err));
    AM_GO(rc, compose(t, parts, n, &main, out, err));
    out->kind = main.kind;
    out->training = main.training;
    out->info = main.info;
    describe(parts, n, out, a);
out:
    for (size_t i = 0; i < n; i++)
        am_learned_clear(&parts[i].l);
    am_learned_clear(&main);
    am_free(train.codes);
    am_free(validation.codes);
    am_free(parts);
    return rc;
}
