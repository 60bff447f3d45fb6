/* `bagging`: the same learner on several draws of the rows, answers averaged (Breiman 1996).
 *
 * Rows are drawn with replacement from counters; a class that a draw missed gets one of its rows,
 * since most learners cannot do without. Members are trained one after the other on the task's pool
 * and become one graph; the rows that a member did not see measure it. One thread. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/forest.h"
#include "learn/presets.h"
#include "nn/graph_merge.h"
#include "nn/session.h"

#define BLOCK_ROWS 256
#define MEMBERS_MAX 1000

static const struct am_learner_key keys[] = {
    AM_KEY("of", AM_LEARNER_KEY_MAP, NULL, 0, 0, NULL,
           "The learner, as `model:` takes it: {type: mlp, layers: [16]}; left out = "
           "{type: decision_tree}."),
    AM_KEY("n", AM_LEARNER_KEY_INT, NULL, 1, MEMBERS_MAX, "10", "How many of them."),
    AM_KEY("bootstrap", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "true",
           "Rows are drawn with replacement; false: without."),
    AM_KEY("max_samples", AM_TREE_NUMBER, NULL, 1e-6, 1e9, NULL,
           "Rows drawn for a member: a share below 1, else a count; left out = as many as there "
           "are."),
};

struct bagging {
    const struct am_learn_task *t;
    struct am_learn_task member; /* what a member is given but for its rows and seed */
    size_t n_rows, n_out, n_draws, n_members;
    bool bootstrap;
    float *y;        /* owned, [n_rows] */
    uint32_t *times; /* owned, [n_rows] */
    uint64_t *rows;  /* owned, [n_draws + n_classes] */
    size_t n_drawn;
    double *votes;              /* owned, [n_rows, n_out] */
    uint32_t *n_votes;          /* owned, [n_rows] */
    struct am_learned *learned; /* owned, [n_members] */
};

static void bagging_clear(struct bagging *b)
{
    for (size_t i = 0; b->learned && i < b->n_members; i++)
        am_learned_clear(&b->learned[i]);
    am_free(b->learned);
    am_free(b->y);
    am_free(b->times);
    am_free(b->rows);
    am_free(b->votes);
    am_free(b->n_votes);
}

static enum am_rc bagging_alloc(struct bagging *b, struct am_err *err)
{
    const struct am_train_data *data = b->t->train;
    uint64_t numbers[BLOCK_ROWS];
    b->y = am_alloc_array(b->n_rows, sizeof *b->y);
    b->times = am_alloc_array(b->n_rows, sizeof *b->times);
    b->rows = am_alloc_array(b->n_draws + b->t->n_classes + 1, sizeof *b->rows);
    b->votes = am_calloc(b->n_rows * b->n_out, sizeof *b->votes);
    b->n_votes = am_calloc(b->n_rows, sizeof *b->n_votes);
    b->learned = am_calloc(b->n_members, sizeof *b->learned);
    if (!b->y || !b->times || !b->rows || !b->votes || !b->n_votes || !b->learned)
        return am_fail_nomem(err, b->n_rows * 32);
    for (size_t i = 0; i < b->n_rows; i += BLOCK_ROWS) {
        const size_t n = b->n_rows - i < BLOCK_ROWS ? b->n_rows - i : BLOCK_ROWS;
        for (size_t j = 0; j < n; j++)
            numbers[j] = i + j;
        AM_TRY(data->gather(data->self, numbers, n, NULL, b->y + i, NULL, err));
    }
    return AM_OK;
}

/* ---- rows ---- */

/* A random row of class k. */
static void add_row_of(struct bagging *b, size_t k, struct am_rng *rng)
{
    size_t n = 0, which;
    for (size_t i = 0; i < b->n_rows; i++)
        n += (size_t)b->y[i] == k;
    if (n == 0)
        return;
    which = (size_t)am_rng_below(rng, n);
    for (size_t i = 0; i < b->n_rows; i++)
        if ((size_t)b->y[i] == k && which-- == 0) {
            b->times[i] = 1;
            return;
        }
}

static enum am_rc draw(struct bagging *b, size_t member, struct am_err *err)
{
    const size_t c = am_task_has_classes(b->t->task) ? b->t->n_classes : 0;
    struct am_rng rng;
    bool *seen = am_calloc(c + 1, sizeof *seen);
    if (!seen)
        return am_fail_nomem(err, c);
    am_forest_rng(&rng, b->t->seed, AM_FOREST_ROWS, member);
    memset(b->times, 0, b->n_rows * sizeof *b->times);
    for (size_t i = 0, left = b->n_draws; b->bootstrap && i < left; i++)
        b->times[am_rng_below(&rng, b->n_rows)]++;
    for (size_t i = 0, left = b->n_draws; !b->bootstrap && i < b->n_rows && left > 0; i++)
        if (am_rng_below(&rng, b->n_rows - i) < left) { /* Knuth's selection sampling */
            b->times[i] = 1;
            left--;
        }
    for (size_t i = 0; c && i < b->n_rows; i++)
        if (b->times[i] && b->y[i] >= 0 && (size_t)b->y[i] < c)
            seen[(size_t)b->y[i]] = true;
    for (size_t k = 0; k < c; k++)
        if (!seen[k])
            add_row_of(b, k, &rng);
    am_free(seen);
    b->n_drawn = 0;
    for (size_t i = 0; i < b->n_rows; i++)
        for (uint32_t k = 0; k < b->times[i]; k++)
            b->rows[b->n_drawn++] = i;
    return AM_OK;
}

/* ---- members ---- */

/* Answers for the rows that were not drawn. */
static enum am_rc ask_rows(struct bagging *b, const struct am_learned *l, struct am_err *err)
{
    const struct am_train_data *data = b->t->train;
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = BLOCK_ROWS};
    const size_t f = b->t->n_features, k = b->n_out;
    struct am_plan *plan = NULL;
    struct am_session *s = NULL;
    float *x = am_alloc_array(BLOCK_ROWS * f, sizeof *x), *y = NULL;
    uint64_t numbers[BLOCK_ROWS];
    size_t n = 0;
    enum am_rc rc = x ? AM_OK : am_fail_nomem(err, BLOCK_ROWS * f * sizeof *x);
    if (rc == AM_OK && !(y = am_alloc_array(BLOCK_ROWS * k, sizeof *y)))
        rc = am_fail_nomem(err, BLOCK_ROWS * k * sizeof *y);
    if (rc != AM_OK)
        goto out;
    AM_GO(rc, am_plan_build(l->graph, l->params, &o, &plan, err));
    AM_GO(rc, am_session_new(plan, b->t->pool, &s, err));
    for (size_t i = 0; i <= b->n_rows; i++) {
        if (i < b->n_rows && b->times[i] == 0)
            numbers[n++] = i;
        if (n < BLOCK_ROWS && i < b->n_rows)
            continue;
        AM_GO(rc, data->gather(data->self, numbers, n, x, NULL, NULL, err));
        AM_GO(rc, am_session_run(s, n, x, y, err));
        for (size_t j = 0; j < n; j++) {
            b->n_votes[numbers[j]]++;
            for (size_t c = 0; c < k; c++)
                b->votes[numbers[j] * k + c] += (double)y[j * k + c];
        }
        n = 0;
    }
out:
    am_session_free(s);
    am_plan_put(plan);
    am_free(x);
    am_free(y);
    return rc;
}

static enum am_rc fit_member(struct bagging *b, size_t m, struct am_arena *a, struct am_err *err)
{
    struct am_learn_task t = b->member;
    const struct am_train_data *subset = NULL;
    uint32_t seed[4];
    enum am_rc rc;
    AM_TRY(draw(b, m, err));
    AM_TRY(am_train_subset_new(b->t->train, b->rows, b->n_drawn, &subset, err));
    am_rng_block(b->t->seed, AM_RNG_TREES, m, seed);
    t.seed = seed[0];
    t.train = subset;
    rc = am_learner_fit(&t, &b->learned[m], a, err);
    am_train_subset_free(subset);
    if (rc == AM_OK)
        rc = ask_rows(b, &b->learned[m], err);
    return rc;
}

static enum am_rc merge(struct bagging *b, struct am_learned *out, struct am_err *err)
{
    am_value x, sum = AM_VALUE_NONE;
    char prefix[24];
    AM_TRY(am_graph_new(&out->graph, err));
    const struct am_graph *first = b->learned[0].graph;
    x = am_graph_input(out->graph, "x",
                       am_graph_node(first, am_graph_find_input(first, "x"))->dims);
    for (size_t m = 0; m < b->n_members; m++) {
        (void)snprintf(prefix, sizeof prefix, "m%zu.", m);
        const am_value y = am_graph_merge(out->graph, x, b->learned[m].graph, "y", prefix);
        sum = m ? am_layer_add(out->graph, sum, y) : y;
    }
    am_graph_output(out->graph, "y",
                    am_layer_scale(out->graph, sum, 1.0f / (float)b->n_members, 0));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    out->kind = b->learned[0].kind;
    for (size_t m = 0; m < b->n_members; m++) {
        (void)snprintf(prefix, sizeof prefix, "m%zu.", m);
        AM_TRY(am_params_merge(out->params, b->learned[m].params, prefix, err));
    }
    return AM_OK;
}

/* ---- out of bag ---- */

static bool is_right(const struct bagging *b, size_t row)
{
    const double *v = b->votes + row * b->n_out;
    size_t best = 0;
    if (b->n_out == 1)
        return (v[0] / b->n_votes[row] > 0.5) == (b->y[row] > 0.5f);
    for (size_t k = 1; k < b->n_out; k++)
        best = v[k] > v[best] ? k : best;
    return best == (size_t)b->y[row];
}

static struct am_node *out_of_bag(const struct bagging *b, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    size_t n = 0, right = 0;
    double mean = 0, rest = 0, total = 0;
    for (size_t i = 0; i < b->n_rows; i++) {
        if (b->n_votes[i] == 0)
            continue;
        n++;
        mean += (double)b->y[i];
        right += b->t->n_classes && is_right(b, i);
    }
    mean /= n ? (double)n : 1;
    am_node_set(a, m, "rows", am_new_i64(a, (int64_t)n));
    for (size_t i = 0; i < b->n_rows; i++)
        if (b->n_votes[i]) {
            const double y = (double)b->y[i], e = y - b->votes[i * b->n_out] / b->n_votes[i];
            rest += e * e;
            total += (y - mean) * (y - mean);
        }
    if (n && am_task_has_classes(b->t->task))
        am_node_set(a, m, "accuracy", am_new_f64(a, (double)right / (double)n));
    else if (n && total > 0)
        am_node_set(a, m, "r2", am_new_f64(a, 1 - rest / total));
    return m;
}

/* ---- the learner ---- */

static struct am_learn_task member_task(const struct am_learn_task *t, struct am_arena *a)
{
    struct am_learn_task m = *t;
    m.model = am_node_get(t->model, "of");
    if (!m.model || m.model->kind != AM_NODE_MAP) {
        struct am_node *tree = am_new_map(a);
        am_node_set(a, tree, "type", am_new_cstr(a, "decision_tree"));
        m.model = tree;
    }
    m.hooks = (struct am_train_hooks){.progress = t->hooks.progress};
    return m;
}

static enum am_rc check_bagging(const struct am_learn_task *t, struct am_err *err)
{
    struct am_arena *a = am_arena_new((size_t)1 << 20);
    if (!a)
        return am_fail_nomem(err, 1 << 12);
    const struct am_learn_task m = member_task(t, a);
    enum am_rc rc = am_arena_check(a, err);
    if (rc == AM_OK)
        rc = am_learner_check(&m, err);
    if (rc != AM_OK && rc != AM_ENOMEM)
        am_context(err, am_tr("model.of (%.*s)"), AM_FMT(am_node_str(m.model, "type", "auto")));
    am_arena_free(a);
    return rc;
}

static enum am_rc fit_bagging(const struct am_learn_task *t, struct am_learned *out,
                              struct am_arena *a, struct am_err *err)
{
    const struct am_learner_ops *ops = &am_learner_bagging;
    double v = am_key_number(t, ops, "max_samples");
    struct bagging b = {.t = t,
                        .member = member_task(t, a),
                        .n_rows = (size_t)t->train->n_rows,
                        .n_out = am_learn_n_outputs(t),
                        .n_members = (size_t)am_key_number(t, ops, "n"),
                        .bootstrap = am_key_bool(t, ops, "bootstrap")};
    enum am_rc rc;
    v = v <= 0 ? (double)b.n_rows : v < 1 ? v * (double)b.n_rows : v;
    b.n_draws = v < 1 ? 1 : v < (double)b.n_rows ? (size_t)v : b.n_rows;
    AM_GO(rc, am_arena_check(a, err));
    AM_GO(rc, bagging_alloc(&b, err));
    for (size_t m = 0; m < b.n_members; m++) {
        AM_GO(rc, fit_member(&b, m, a, err));
        if (am_progress_canceled(t->hooks.progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled"));
    }
    AM_GO(rc, merge(&b, out, err));
    am_learn_info(t, out, a, ops->name, "average");
    am_node_set(a, out->info, "of", am_new_str(a, am_node_str(b.member.model, "type", "auto")));
    am_node_set(a, out->info, "members", am_new_i64(a, (int64_t)b.n_members));
    am_node_set(a, out->info, "bytes", am_new_i64(a, (int64_t)am_params_bytes(out->params)));
    am_node_set(a, out->info, "out_of_bag", out_of_bag(&b, a));
out:
    bagging_clear(&b);
    return rc;
}

const struct am_learner_ops am_learner_bagging = {
    .name = "bagging",
    .doc = "The same learner on several draws of the rows, averaged; out-of-bag rows measure it.",
    .tasks = AM_ALL_TASKS,
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_MISSING | AM_LEARNER_AS_IS,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .sparse = true,
    .check = check_bagging,
    .fit = fit_bagging,
};
