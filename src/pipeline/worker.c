/* The child's side of trial workers: prepares the data of the job from its files, then evaluates
 * one candidate after the other until the socket closes. Never opens the records. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "pipeline/farm.h"
#include "pipeline/wire.h"

struct evaluator { /* of one kind of folds */
    enum am_farm_folds folds;
    size_t outer;
    struct am_folds made;
    struct am_trials *trials;
    struct evaluator *next;
};

struct life {
    int fd;
    struct am_buf in;
    struct am_prepared p;
    const struct am_node *job;
    struct am_str *metrics;
    size_t n_metrics;
    struct evaluator *evaluators; /* owned */
};

#define SMALL_ROWS 10000

enum am_rc am_farm_tune_folds(const struct am_prepared *p, struct am_folds_spec *out,
                              struct am_err *err)
{
    const struct am_node *node = am_node_path(p->recipe.resolved, "tune.folds");
    const unsigned parts = AM_PART_BIT(AM_ROW_TRAIN) | AM_PART_BIT(AM_ROW_VALIDATION);
    uint64_t validation = p->counts.n[AM_ROW_VALIDATION];
    AM_TRY(am_folds_spec_from_node(p, node, "tune.folds", parts, out, err));
    if (!node && (validation == 0 || p->counts.n[AM_ROW_TRAIN] + validation <= SMALL_ROWS))
        out->n = 5;
    return AM_OK;
}

static enum am_rc outer_folds(const struct am_prepared *p, struct am_folds *out, struct am_err *err)
{
    struct am_folds_spec spec;
    const unsigned all =
        AM_PART_BIT(AM_ROW_TRAIN) | AM_PART_BIT(AM_ROW_VALIDATION) | AM_PART_BIT(AM_ROW_TEST);
    AM_TRY(am_folds_spec_from_node(p, am_node_path(p->recipe.resolved, "evaluate.folds"),
                                   "evaluate.folds", all, &spec, err));
    return am_folds_make(p, &spec, NULL, out, err);
}

/* tune.folds of the rows that outer fold `outer` trains on. All of those may take part: the outer
 * fold alone is what its model is measured on. */
static enum am_rc inner_folds(const struct am_prepared *p, size_t outer, struct am_folds *out,
                              struct am_err *err)
{
    struct am_folds around;
    struct am_folds_spec spec;
    uint8_t *side;
    AM_TRY(am_farm_tune_folds(p, &spec, err));
    AM_TRY(outer_folds(p, &around, err));
    spec.parts |= AM_PART_BIT(AM_ROW_TEST);
    side = am_alloc_array((size_t)p->n_rows + 1, 1);
    enum am_rc rc = side ? AM_OK : am_fail_nomem(err, p->n_rows);
    if (rc == AM_OK) {
        am_folds_side(&around, outer, side);
        for (uint64_t i = 0; i < p->n_rows; i++)
            side[i] = side[i] == AM_ROW_TRAIN;
        rc = am_folds_make(p, &spec, side, out, err);
    }
    am_free(side);
    am_folds_clear(&around);
    return rc;
}

static enum am_rc make_folds(const struct am_prepared *p, enum am_farm_folds kind, size_t outer,
                             struct am_folds *out, struct am_err *err)
{
    struct am_folds_spec spec;
    if (kind == AM_FARM_EVALUATE)
        return outer_folds(p, out, err);
    if (kind == AM_FARM_INNER)
        return inner_folds(p, outer, out, err);
    AM_TRY(am_farm_tune_folds(p, &spec, err));
    return am_folds_make(p, &spec, NULL, out, err);
}

static void evaluator_free(struct evaluator *e)
{
    if (!e)
        return;
    am_trials_free(e->trials);
    am_folds_clear(&e->made);
    am_free(e);
}

static enum am_rc evaluator_of(struct life *l, enum am_farm_folds kind, size_t outer,
                               struct evaluator **out, struct am_err *err)
{
    struct am_str weights = am_node_str(l->job, "weights", "");
    struct am_trials_options o = {.metrics = l->metrics,
                                  .n_metrics = l->n_metrics,
                                  .weights_path = weights.len ? weights.ptr : NULL};
    if (kind == AM_FARM_EVALUATE)
        outer = 0; /* one assignment has all of them */
    for (*out = l->evaluators; *out; *out = (*out)->next)
        if ((*out)->folds == kind && (*out)->outer == outer)
            return AM_OK;
    if (kind == AM_FARM_INNER) /* one search after the other: the last one's features are done */
        while (l->evaluators) {
            struct evaluator *gone = l->evaluators;
            l->evaluators = gone->next;
            evaluator_free(gone);
        }
    struct evaluator *e = am_calloc(1, sizeof *e);
    if (!e)
        return am_fail_nomem(err, sizeof *e);
    *e = (struct evaluator){.folds = kind, .outer = outer};
    enum am_rc rc = make_folds(&l->p, kind, outer, &e->made, err);
    o.folds = &e->made;
    if (rc == AM_OK)
        rc = am_trials_new(&l->p, &o, &e->trials, err);
    if (rc != AM_OK) {
        evaluator_free(e);
        return rc;
    }
    e->next = l->evaluators;
    l->evaluators = *out = e;
    return AM_OK;
}

/* ---- one task ---- */

static enum am_rc receive(struct life *l, struct am_arena *a, struct am_node **out,
                          struct am_err *err)
{
    struct am_str text, payload;
    AM_TRY(am_wire_receive(l->fd, &l->in, &text, &payload, err));
    enum am_rc rc = am_json_parse(a, text, "task", out, err);
    am_wire_taken(&l->in);
    return rc;
}

struct reporting {
    struct life *life;
    struct am_arena *arena;
};

static enum am_rc report(void *ctx, uint64_t step, double value, bool *prune, struct am_err *err)
{
    struct reporting *r = ctx;
    struct am_node *m = am_new_map(r->arena), *answer;
    am_node_set(r->arena, m, "step", am_new_i64(r->arena, (int64_t)step));
    am_node_set(r->arena, m, "value", am_new_f64(r->arena, value));
    AM_TRY(am_arena_check(r->arena, err));
    AM_TRY(am_wire_send(r->life->fd, m, NULL, 0, err));
    AM_TRY(receive(r->life, r->arena, &answer, err));
    *prune = am_node_bool(answer, "prune", false);
    return AM_OK;
}

static enum am_rc send_result(struct life *l, struct am_arena *a, const struct am_trial_result *r,
                              struct am_err *err)
{
    struct am_node *m = am_new_map(a);
    struct am_buf b;
    am_node_set(a, m, "status", am_new_i64(a, r->status));
    am_node_set(a, m, "rc", am_new_i64(a, r->rc));
    am_node_set(a, m, "why", am_new_cstr(a, r->why));
    am_node_set(a, m, "n_folds", am_new_i64(a, (int64_t)r->n_folds));
    am_node_set(a, m, "n", am_new_i64(a, (int64_t)r->rows.n));
    am_node_set(a, m, "n_out", am_new_i64(a, (int64_t)r->rows.n_out));
    am_node_set(a, m, "fit_seconds", am_new_f64(a, r->fit_seconds));
    am_node_set(a, m, "latency_us", am_new_f64(a, r->latency_us));
    am_node_set(a, m, "size_bytes", am_new_i64(a, (int64_t)r->size_bytes));
    am_node_set(a, m, "parameters", am_new_i64(a, (int64_t)r->n_parameters));
    AM_TRY(am_arena_check(a, err));
    am_buf_init(&b, (size_t)1 << 36);
    am_buf_add(&b, r->metrics, r->n_folds * r->n_metrics * sizeof *r->metrics);
    am_buf_add(&b, r->mean, r->n_metrics * sizeof *r->mean);
    am_buf_add(&b, r->deviation, r->n_metrics * sizeof *r->deviation);
    if (r->rows.n)
        am_buf_add(&b, r->rows.pred, r->rows.n * r->rows.n_out * sizeof *r->rows.pred);
    enum am_rc rc = am_buf_check(&b, err);
    if (rc == AM_OK)
        rc = am_wire_send(l->fd, m, b.ptr, b.len, err);
    am_buf_clear(&b);
    return rc;
}

/* What failed before the candidate ran is its failure, too. */
static enum am_rc failed_result(struct life *l, enum am_rc rc, const struct am_err *why,
                                struct am_trial_result *out, struct am_err *err)
{
    *out = (struct am_trial_result){.status = AM_TRIAL_FAILED,
                                    .rc = rc,
                                    .latency_us = (double)NAN,
                                    .n_metrics = l->n_metrics,
                                    .mean = am_calloc(l->n_metrics + 1, sizeof(double)),
                                    .deviation = am_calloc(l->n_metrics + 1, sizeof(double))};
    snprintf(out->why, sizeof out->why, "%s", why->message);
    return out->mean && out->deviation ? AM_OK : am_fail_nomem(err, l->n_metrics);
}

static enum am_rc do_task(struct life *l, struct am_arena *a, const struct am_node *task,
                          struct am_err *err)
{
    const struct am_node *sets = am_node_get(task, "sets");
    size_t n = sets && sets->kind == AM_NODE_MAP ? sets->map.n : 0,
           outer = (size_t)am_node_i64(task, "outer", 0);
    struct am_recipe_set *list = am_arena_array(a, n + 1, sizeof *list);
    enum am_farm_folds kind = (enum am_farm_folds)am_node_i64(task, "folds", 0);
    struct reporting reporting = {l, a};
    struct evaluator *e;
    struct am_trial_result r = {0};
    struct am_err why = {0};
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++) {
        list[i].path = sets->map.pairs[i].key;
        (void)am_node_as_str(sets->map.pairs[i].value, &list[i].value);
    }
    struct am_trial_spec spec = {.sets = list,
                                 .n_sets = n,
                                 .watch = (size_t)am_node_i64(task, "watch", 0),
                                 .predictions = am_node_bool(task, "predictions", false),
                                 .latency = true,
                                 .one_fold = kind == AM_FARM_EVALUATE,
                                 .fold = outer,
                                 .report = am_node_bool(task, "reports", false) ? report : NULL,
                                 .ctx = &reporting};
    enum am_rc rc = evaluator_of(l, kind, outer, &e, &why);
    rc =
        rc == AM_OK ? am_trial_run(e->trials, &spec, &r, err) : failed_result(l, rc, &why, &r, err);
    if (rc == AM_OK)
        rc = send_result(l, a, &r, err);
    am_trial_result_clear(&r);
    return rc;
}

static enum am_rc tasks(struct life *l, struct am_err *err)
{
    for (enum am_rc rc = AM_OK; rc == AM_OK;) {
        struct am_arena *a = am_arena_new(0);
        struct am_node *task;
        if (!a)
            return am_fail_nomem(err, sizeof(void *));
        rc = receive(l, a, &task, err);
        if (rc == AM_OK)
            rc = do_task(l, a, task, err);
        am_arena_free(a);
        if (rc == AM_EIO)
            return AM_OK; /* nobody wants more */
        AM_TRY(rc);
    }
    return AM_OK;
}

/* ---- life ---- */

static enum am_rc same_parts(const struct life *l, struct am_err *err)
{
    unsigned char sum[AM_SHA256_BYTES];
    char hash[AM_SHA256_HEX];
    AM_TRY(am_sha256(l->p.parts, (size_t)l->p.n_rows, sum, err));
    am_sha256_hex(sum, hash);
    if (am_str_is(am_node_str(l->job, "parts", ""), hash))
        return AM_OK;
    return am_fail(err, AM_EINTERNAL, "a trial worker parts the rows in another way");
}

static enum am_rc prepare(struct life *l, struct am_pipeline *pl, struct am_arena *a,
                          struct am_err *err)
{
    const struct am_node *metrics = am_node_get(l->job, "metrics");
    struct am_recipe_source src = {.text = am_node_str(l->job, "recipe", ""),
                                   .what = am_tr("recipe"),
                                   .foreign = am_node_bool(l->job, "foreign", false)};
    struct am_str base = am_node_str(l->job, "base_dir", "");
    src.base_dir = base.len ? base.ptr : NULL;
    AM_TRY(am_prepare_data(&l->p, pl, a, &src, "", err));
    AM_TRY(am_prepare_rows(&l->p, err));
    AM_TRY(same_parts(l, err));
    l->n_metrics = metrics && metrics->kind == AM_NODE_LIST ? metrics->list.n : 0;
    l->metrics = am_arena_array(a, l->n_metrics + 1, sizeof *l->metrics);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < l->n_metrics; i++)
        (void)am_node_as_str(metrics->list.items[i], &l->metrics[i]);
    return AM_OK;
}

static enum am_rc refuse(const struct life *l, struct am_arena *a, const struct am_err *why)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "refused", am_new_cstr(a, why->message));
    am_node_set(a, m, "hint", am_new_cstr(a, why->hint));
    am_node_set(a, m, "rc", am_new_i64(a, why->rc));
    return am_arena_check(a, NULL) == AM_OK ? am_wire_send(l->fd, m, NULL, 0, NULL) : AM_ENOMEM;
}

enum am_rc am_worker_begin(int fd, struct am_arena *a, struct am_worker_start *out,
                           struct am_err *err)
{
    struct life l = {.fd = fd};
    struct am_str scratch;
    am_buf_init(&l.in, (size_t)1 << 30);
    enum am_rc rc = receive(&l, a, &out->job, err);
    out->in = l.in;
    if (rc != AM_OK)
        am_buf_clear(&out->in);
    AM_TRY(rc);
    scratch = am_node_str(out->job, "scratch", ".");
    out->scratch = am_arena_alloc(a, scratch.len + 1);
    AM_TRY(am_arena_check(a, err));
    memcpy(out->scratch, scratch.ptr, scratch.len);
    out->scratch[scratch.len] = 0;
    out->n_threads = (unsigned)am_node_i64(out->job, "threads", 1);
    out->memory_limit_bytes = (uint64_t)am_node_i64(out->job, "memory", 1 << 30);
    return AM_OK;
}

enum am_rc am_worker_run(int fd, struct am_pipeline *pl, struct am_arena *a,
                         struct am_worker_start *start, struct am_err *err)
{
    struct am_err own = {0};
    struct life l = {.fd = fd, .job = start->job, .in = start->in};
    struct am_node *ready = am_new_map(a);
    enum am_rc rc;
    err = err ? err : &own;
    am_buf_init(&start->in, 0);
    pl->dataset = am_node_get(start->job, "dataset");
    pl->scratch = start->scratch;
    am_node_set(a, ready, "ready", am_new_bool(a, true));
    rc = prepare(&l, pl, a, err);
    if (rc == AM_OK)
        rc = am_arena_check(a, err);
    if (rc != AM_OK)
        (void)refuse(&l, a, err);
    if (rc == AM_OK)
        rc = am_wire_send(fd, ready, NULL, 0, err);
    if (rc == AM_OK)
        rc = tasks(&l, err);
    while (l.evaluators) {
        struct evaluator *gone = l.evaluators;
        l.evaluators = gone->next;
        evaluator_free(gone);
    }
    am_prepared_clear(&l.p);
    am_buf_clear(&l.in);
    return rc;
}
