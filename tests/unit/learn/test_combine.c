/* Combining models: greedy selection, stacking and least squares against numpy, scikit-learn and
 * scipy (combine_goldens.json); ensembles as learners: one graph equal to its members combined, a
 * stack on out-of-fold predictions above the best member above a stack on in-sample ones, the leak
 * check, votes, bad settings, memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/pool.h"
#include "base/rng.h"
#include "learn/combine.h"
#include "learn/learn.h"
#include "nn/layers_combine.h"
#include "nn/session.h"
#include "tests/support/faults.h"

#define ROWS 1400
#define WIDE 12

static struct am_node *goldens;
static struct am_arena *arena;

static struct am_node *parse_yaml(struct am_arena *a, const char *text)
{
    struct am_node *n;
    assert_int_equal(am_yaml_parse(a, am_str(text), "test", &n, NULL), AM_OK);
    return n;
}

static struct am_node *load_goldens(const char *path)
{
    struct am_buf b;
    struct am_node *n;
    am_buf_init(&b, 4 << 20);
    assert_int_equal(am_fs_read_file(path, &b, NULL), AM_OK);
    assert_int_equal(am_json_parse(arena, am_buf_view(&b), "goldens", &n, NULL), AM_OK);
    am_buf_clear(&b);
    return n;
}

/* Predictions of all rows of m into y [n]; two classes. */
static void predict(const struct am_learned *l, const struct am_matrix *m, float *y)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 64};
    const struct am_train_data *d = am_matrix_data(m);
    struct am_plan *p;
    struct am_session *s;
    assert_int_equal(am_plan_build(l->graph, l->params, &o, &p, NULL), AM_OK);
    assert_int_equal(am_session_new(p, NULL, &s, NULL), AM_OK);
    for (uint64_t r = 0; r < d->n_rows; r += 64) {
        float x[64 * 16];
        uint64_t rows[64];
        const size_t n = d->n_rows - r < 64 ? (size_t)(d->n_rows - r) : 64;
        for (size_t i = 0; i < n; i++)
            rows[i] = r + i;
        assert_int_equal(d->gather(d->self, rows, n, x, NULL, NULL, NULL), AM_OK);
        assert_int_equal(am_session_run(s, n, x, y + r, NULL), AM_OK);
    }
    am_session_free(s);
    am_plan_put(p);
}

static size_t floats(const struct am_node *list, float *out, size_t cap)
{
    assert_non_null(list);
    assert_true(list->list.n <= cap);
    for (size_t i = 0; i < list->list.n; i++) {
        double v;
        assert_true(am_node_as_f64(list->list.items[i], &v));
        out[i] = (float)v;
    }
    return list->list.n;
}

static double at(const struct am_node *list, size_t i)
{
    double v = NAN;
    assert_true(i < list->list.n && am_node_as_f64(list->list.items[i], &v));
    return v;
}

static float pred[20000], truth[ROWS], result[20000];

static struct am_predictions load(const char *name, enum am_task task, size_t n_out)
{
    const struct am_node *g = am_node_get(goldens, name);
    const size_t n = floats(am_node_get(g, "y"), truth, ROWS);
    const size_t all = floats(am_node_get(g, "pred"), pred, sizeof pred / sizeof pred[0]);
    return (struct am_predictions){.task = task,
                                   .n_rows = n,
                                   .n_members = all / n / n_out,
                                   .n_out = n_out,
                                   .pred = pred,
                                   .y = truth};
}

static void near_list(const double *got, const struct am_node *want, double within)
{
    for (size_t i = 0; i < want->list.n; i++)
        if (fabs(got[i] - at(want, i)) > within)
            fail_msg("%zu: %.9g instead of %.9g", i, got[i], at(want, i));
}

static void test_goldens_binary(void **state)
{
    const struct am_node *g = am_node_get(goldens, "binary");
    const struct am_predictions p = load("binary", AM_TASK_BINARY, 1);
    double w[8], coef[9], loss;
    (void)state;
    for (size_t m = 0; m < p.n_members; m++)
        assert_true(fabs(am_combine_loss(&p, pred + m * p.n_rows) -
                         at(am_node_get(g, "losses"), m)) < 1e-7);
    assert_int_equal(am_combine_greedy(&p, 40, NULL, w, &loss, NULL), AM_OK);
    near_list(w, am_node_get(g, "greedy"), 1e-9);
    am_combine_mean(&p, w, result);
    assert_true(fabs(am_combine_loss(&p, result) - loss) < 1e-6);
    assert_int_equal(am_combine_meta(&p, AM_META_LOGISTIC, 0.1, coef, NULL), AM_OK);
    near_list(coef, am_node_get(g, "logistic"), 1e-4);
    assert_int_equal(am_combine_weights(&p, w, NULL), AM_OK);
    near_list(w, am_node_get(g, "weights"), 2e-3);
    double sum = 0;
    for (size_t m = 0; m < p.n_members; m++)
        sum += at(am_node_get(g, "nnls"), m);
    assert_int_equal(am_combine_meta(&p, AM_META_NNLS, 0, coef, NULL), AM_OK);
    for (size_t m = 0; m < p.n_members; m++)
        assert_true(fabs(coef[m] - at(am_node_get(g, "nnls"), m) / sum) < 1e-6);
}

static void test_goldens_multi(void **state)
{
    const struct am_node *g = am_node_get(goldens, "multi"), *pooled = am_node_get(g, "pooled");
    const struct am_predictions p = load("multi", AM_TASK_MULTICLASS, 3);
    double w[8], coef[3 * 13];
    (void)state;
    assert_int_equal(am_combine_greedy(&p, 40, NULL, w, NULL, NULL), AM_OK);
    near_list(w, am_node_get(g, "greedy"), 1e-6);
    assert_int_equal(am_combine_meta(&p, AM_META_LOGISTIC, 0.1, coef, NULL), AM_OK);
    for (size_t m = 0; m < 4; m++)
        for (size_t c = 0; c < 3; c++)
            assert_true(fabs(coef[c * 13 + m * 3 + c] - at(am_node_get(g, "factors"), m)) < 1e-4);
    am_combine_apply_meta(&p, AM_META_LOGISTIC, coef, result);
    for (size_t i = 0; i < p.n_rows * 3; i++)
        assert_true(fabs((double)result[i] - at(pooled, i)) < 1e-4);
}

static void test_goldens_numbers(void **state)
{
    const struct am_node *g = am_node_get(goldens, "numbers");
    const struct am_predictions p = load("numbers", AM_TASK_REGRESSION, 1);
    double w[8], coef[9];
    (void)state;
    assert_int_equal(am_combine_greedy(&p, 40, NULL, w, NULL, NULL), AM_OK);
    near_list(w, am_node_get(g, "greedy"), 1e-6);
    assert_int_equal(am_combine_meta(&p, AM_META_RIDGE, 1, coef, NULL), AM_OK);
    near_list(coef, am_node_get(g, "ridge"), 1e-5);
    assert_int_equal(am_combine_meta(&p, AM_META_NNLS, 0, coef, NULL), AM_OK);
    near_list(coef, am_node_get(g, "nnls"), 1e-6);
    assert_int_equal(am_combine_weights(&p, w, NULL), AM_OK);
    double sum = 0;
    for (size_t m = 0; m < p.n_members; m++) {
        assert_true(w[m] >= 0);
        sum += w[m];
    }
    assert_true(fabs(sum - 1) < 1e-9);
}

static void test_nnls(void **state)
{
    const struct am_node *list = am_node_get(goldens, "systems");
    static float b[100];
    (void)state;
    for (size_t s = 0; s < list->list.n; s++) {
        const struct am_node *g = list->list.items[s];
        const size_t n = (size_t)am_node_i64(g, "n", 0), rows = floats(am_node_get(g, "b"), b, 100);
        double gram[144] = {0}, h[12] = {0}, x[12];
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < n; i++) {
                const double v = at(am_node_get(g, "a"), r * n + i);
                h[i] += v * at(am_node_get(g, "b"), r);
                for (size_t k = 0; k < n; k++)
                    gram[i * n + k] += v * at(am_node_get(g, "a"), r * n + k);
            }
        assert_int_equal(am_nnls(n, gram, h, x, NULL), AM_OK);
        near_list(x, am_node_get(g, "x"), 1e-6);
    }
}

/* A member that costs more than it gives is not taken. */
static void test_penalty(void **state)
{
    const struct am_predictions p = load("binary", AM_TASK_BINARY, 1);
    const double cost[8] = {0, 0, 0, 0, 1};
    double w[8], loss;
    (void)state;
    assert_int_equal(am_combine_greedy(&p, 40, cost, w, &loss, NULL), AM_OK);
    assert_true(w[4] == 0 && w[3] > 0);
}

/* ---- ensembles as learners ---- */

static struct am_matrix *rows_of(size_t from, size_t to)
{
    static float x[ROWS * WIDE], y[ROWS];
    const struct am_node *g = am_node_get(goldens, "rows");
    struct am_matrix *m;
    floats(am_node_get(g, "x"), x, ROWS * WIDE);
    floats(am_node_get(g, "y"), y, ROWS);
    assert_int_equal(am_matrix_new(WIDE, 1, NULL, &m, NULL), AM_OK);
    assert_int_equal(am_matrix_append(m, to - from, x + from * WIDE, y + from, NULL, NULL), AM_OK);
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static struct am_learn_task task_for(const struct am_matrix *m, const char *model)
{
    return (struct am_learn_task){.task = AM_TASK_BINARY,
                                  .n_classes = 2,
                                  .n_features = WIDE,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(arena, model),
                                  .seed = 42};
}

#define MEMBERS                                                                                    \
    "{type: logistic}, {type: knn, neighbors: 15}, {type: naive_bayes}, {type: decision_tree}, "   \
    "{type: extra_trees, trees: 30}"

static double loss_on(const struct am_learned *l, const struct am_matrix *m)
{
    const struct am_train_data *d = am_matrix_data(m);
    static float y[ROWS], t[ROWS];
    uint64_t rows[ROWS];
    for (size_t i = 0; i < d->n_rows; i++)
        rows[i] = i;
    assert_int_equal(d->gather(d->self, rows, (size_t)d->n_rows, NULL, t, NULL, NULL), AM_OK);
    predict(l, m, y);
    const struct am_predictions p = {.task = AM_TASK_BINARY,
                                     .n_rows = (size_t)d->n_rows,
                                     .n_members = 1,
                                     .n_out = 1,
                                     .pred = y,
                                     .y = t};
    return am_combine_loss(&p, y);
}

/* Loss on `test` of a stack whose weights were learned from predictions of its own training rows.
 */
static double in_sample_stack(const struct am_matrix *train, const struct am_matrix *test)
{
    static const char *const types[] = {"{type: logistic}", "{type: knn, neighbors: 15}",
                                        "{type: naive_bayes}", "{type: decision_tree}",
                                        "{type: extra_trees, trees: 30}"};
    static float in[5 * ROWS], of[5 * ROWS], y[ROWS], t[ROWS], out[ROWS];
    const size_t n = (size_t)am_matrix_n_rows(train), k = (size_t)am_matrix_n_rows(test);
    uint64_t rows[ROWS];
    double coef[6];
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = i;
    const struct am_train_data *d = am_matrix_data(train), *e = am_matrix_data(test);
    assert_int_equal(d->gather(d->self, rows, n, NULL, y, NULL, NULL), AM_OK);
    assert_int_equal(e->gather(e->self, rows, k, NULL, t, NULL, NULL), AM_OK);
    for (size_t m = 0; m < 5; m++) {
        const struct am_learn_task task = task_for(train, types[m]);
        struct am_learned l;
        assert_int_equal(am_learner_fit(&task, &l, arena, NULL), AM_OK);
        predict(&l, train, in + m * n);
        predict(&l, test, of + m * k);
        am_learned_clear(&l);
    }
    struct am_predictions p = {
        .task = AM_TASK_BINARY, .n_rows = n, .n_members = 5, .n_out = 1, .pred = in, .y = y};
    assert_int_equal(am_combine_meta(&p, AM_META_LOGISTIC, 0.1, coef, NULL), AM_OK);
    p.n_rows = k;
    p.pred = of;
    p.y = t;
    am_combine_apply_meta(&p, AM_META_LOGISTIC, coef, out);
    return am_combine_loss(&p, out);
}

static double member_loss(const struct am_matrix *train, const struct am_matrix *test,
                          const char *model)
{
    const struct am_learn_task t = task_for(train, model);
    struct am_learned l;
    assert_int_equal(am_learner_fit(&t, &l, arena, NULL), AM_OK);
    const double loss = loss_on(&l, test);
    am_learned_clear(&l);
    return loss;
}

static void test_stack_beats_best_beats_in_sample(void **state)
{
    struct am_matrix *train = rows_of(0, 500), *test = rows_of(500, ROWS);
    const double stack = member_loss(
        train, test, "{type: ensemble, combine: stack, members: [" MEMBERS "], folds: 5}");
    const double greedy =
        member_loss(train, test, "{type: ensemble, members: [" MEMBERS "], folds: 5}");
    const double in_sample = in_sample_stack(train, test);
    double best = INFINITY;
    static const char *const types[] = {"{type: logistic}", "{type: knn, neighbors: 15}",
                                        "{type: naive_bayes}", "{type: decision_tree}",
                                        "{type: extra_trees, trees: 30}"};
    (void)state;
    for (size_t m = 0; m < 5; m++)
        best = fmin(best, member_loss(train, test, types[m]));
    print_message("stack %.4f greedy %.4f best single %.4f in-sample stack %.4f\n", stack, greedy,
                  best, in_sample);
    assert_true(stack < best);
    assert_true(greedy < best);
    assert_true(best < in_sample);
    am_matrix_free(train);
    am_matrix_free(test);
}

/* One graph gives what its members give, combined; any number of threads the same bits. */
static void test_one_graph(void **state)
{
    static const char *const ways[] = {"mean", "weighted", "hard_vote", "soft_vote"};
    static const char *const types[] = {"{type: logistic}", "{type: decision_tree, max_depth: 3}",
                                        "{type: naive_bayes}"};
    struct am_matrix *train = rows_of(0, 200), *test = rows_of(200, 300);
    static float members[3 * 100], want[100], got[100];
    const double weights[] = {0.5, 0.25, 0.25}, even[] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        const struct am_learn_task t = task_for(train, types[m]);
        struct am_learned l;
        assert_int_equal(am_learner_fit(&t, &l, arena, NULL), AM_OK);
        predict(&l, test, members + m * 100);
        am_learned_clear(&l);
    }
    const struct am_predictions p = {.task = AM_TASK_BINARY,
                                     .n_rows = 100,
                                     .n_members = 3,
                                     .n_out = 1,
                                     .pred = members,
                                     .y = truth};
    for (size_t k = 0; k < 4; k++) {
        char model[400];
        const bool given = k == 1 || k == 2;
        (void)snprintf(model, sizeof model,
                       "{type: ensemble, combine: %s, members: [{type: logistic%s}, {type: "
                       "decision_tree, max_depth: 3%s}, {type: naive_bayes%s}]}",
                       ways[k], given ? ", weight: 2" : "", given ? ", weight: 1" : "",
                       given ? ", weight: 1" : "");
        struct am_learn_task t = task_for(train, model);
        struct am_learned l;
        assert_int_equal(am_pool_new(1 + (unsigned)k % 3, &t.pool, NULL), AM_OK);
        assert_int_equal(am_learner_fit(&t, &l, arena, NULL), AM_OK);
        am_pool_free(t.pool);
        predict(&l, test, got);
        if (k == 2)
            am_combine_vote(&p, weights, want);
        else
            am_combine_mean(&p, given ? weights : even, want);
        for (size_t i = 0; i < 100; i++)
            if (fabs((double)(got[i] - want[i])) > 1e-6)
                fail_msg("%s: row %zu is %g instead of %g", ways[k], i, (double)got[i],
                         (double)want[i]);
        assert_int_equal(l.kind, k == 2 ? AM_LEARNED_SCORE : AM_LEARNED_PROBABILITY);
        am_learned_clear(&l);
    }
    am_matrix_free(train);
    am_matrix_free(test);
}

/* The stored form reads back and answers the same. */
static void test_stored(void **state)
{
    struct am_matrix *train = rows_of(0, 200), *test = rows_of(200, 300);
    const struct am_learn_task t =
        task_for(train, "{type: ensemble, combine: stack, members: [{type: logistic}, {type: "
                        "naive_bayes}, {type: decision_tree, max_depth: 3}], folds: 3}");
    struct am_learned l, back = {0};
    struct am_node *node;
    float a[100], b[100];
    (void)state;
    assert_int_equal(am_learner_fit(&t, &l, arena, NULL), AM_OK);
    assert_int_equal(am_graph_to_node(l.graph, arena, &node, NULL), AM_OK);
    assert_int_equal(am_graph_from_node(node, &back.graph, NULL), AM_OK);
    back.params = l.params;
    predict(&l, test, a);
    predict(&back, test, b);
    assert_memory_equal(a, b, sizeof a);
    am_graph_free(back.graph);
    am_learned_clear(&l);
    am_matrix_free(train);
    am_matrix_free(test);
}

/* Folds leak what is left out: the mean of the other folds is low where the fold's own rows are
 * high. With three rows a fold and no penalty the stack reads the target off it; on rows held out
 * of everything nothing of that is left. */
static void test_leak_check(void **state)
{
    struct am_rng r;
    struct am_matrix *m;
    (void)state;
    am_rng_init(&r, 11, AM_RNG_USER);
    assert_int_equal(am_matrix_new(2, 1, NULL, &m, NULL), AM_OK);
    for (size_t i = 0; i < 135; i++) {
        const float x[2] = {(float)am_rng_normal(&r), (float)am_rng_normal(&r)};
        const float y = (float)am_rng_normal(&r);
        assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    for (size_t k = 0; k < 2; k++) {
        struct am_learn_task t = task_for(
            m, k == 0 ? "{type: ensemble, combine: stack, meta_alpha: 1e-8, folds: 40, leak_check: "
                        "always, members: [{type: baseline}, {type: linear}]}"
                      : "{type: ensemble, combine: stack, meta_alpha: 1e-8, folds: 40, leak_check: "
                        "never, members: [{type: baseline}, {type: linear}]}");
        struct am_learned l;
        t.task = AM_TASK_REGRESSION;
        t.n_classes = 0;
        t.n_features = 2;
        assert_int_equal(am_learner_fit(&t, &l, arena, NULL), AM_OK);
        const struct am_str way = am_node_str(l.info, "combine", "");
        const struct am_node *leak = am_node_get(l.info, "leak_check");
        assert_true(am_str_is(way, k == 0 ? "greedy" : "stack"));
        assert_true((leak != NULL) == (k == 0));
        if (k == 0)
            assert_true(am_node_bool(leak, "found", false));
        am_learned_clear(&l);
    }
    am_matrix_free(m);
}

static void refused(const char *model, enum am_task task, const char *says)
{
    struct am_matrix *m = rows_of(0, 60);
    struct am_learn_task t = task_for(m, model);
    struct am_learned l;
    struct am_err err = {0};
    t.task = task;
    t.n_classes = task == AM_TASK_BINARY ? 2 : 0;
    assert_int_not_equal(am_learner_fit(&t, &l, arena, &err), AM_OK);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    am_matrix_free(m);
}

static void test_refused(void **state)
{
    (void)state;
    refused("{type: ensemble}", AM_TASK_BINARY, "model.members");
    refused("{type: ensemble, members: []}", AM_TASK_BINARY, "list of 1 to 64");
    refused("{type: ensemble, members: [{c: 1}]}", AM_TASK_BINARY, "names no type");
    refused("{type: ensemble, members: [{type: logstic}]}", AM_TASK_BINARY, "logstic");
    refused("{type: ensemble, members: [{type: logistic}, {type: logistic, trees: 3}]}",
            AM_TASK_BINARY, "member 2 (logistic) of the ensemble");
    refused("{type: ensemble, members: [{type: linear}]}", AM_TASK_BINARY, "cannot do");
    refused("{type: ensemble, members: [{type: ensemble, members: [{type: logistic}]}]}",
            AM_TASK_BINARY, "cannot be an ensemble");
    refused("{type: ensemble, combine: hard_vote, members: [{type: linear}]}", AM_TASK_REGRESSION,
            "have no votes");
    refused("{type: ensemble, combine: stack, meta: ridge, members: [{type: logistic}]}",
            AM_TASK_BINARY, "other kind of target");
    refused("{type: ensemble, combine: mean, members: [{type: logistic, weight: 2}]}",
            AM_TASK_BINARY, "has a weight");
    refused("{type: ensemble, combine: weighted, members: [{type: logistic, weight: -1}]}",
            AM_TASK_BINARY, "at least 0");
    refused("{type: ensemble, combine: greedy, folds: 50, members: [{type: logistic}]}",
            AM_TASK_BINARY, "too few for 50 folds");
}

/* Whatever a hostile package feeds them, the two ops give finite numbers; attributes out of range
 * are no graph. */
static void test_ops(void **state)
{
    const float x[8] = {NAN, INFINITY, -INFINITY, 0, 1, 0.25f, -3, 1e30f};
    float y[8];
    (void)state;
    for (unsigned k = 0; k < 3; k++) {
        struct am_learned l = {0};
        struct am_plan *plan;
        struct am_session *s;
        const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 2};
        assert_int_equal(am_graph_new(&l.graph, NULL), AM_OK);
        const am_value in = am_graph_input(l.graph, "x", am_dims2(AM_DIM_BATCH, 4));
        am_graph_output(
            l.graph, "y",
            k == 2 ? am_layer_vote(l.graph, in, 0.5f)
                   : am_layer_log_odds(l.graph, in, k ? AM_ODDS_LOGIT : AM_ODDS_LOG, 1e-6f));
        assert_int_equal(am_params_new(l.graph, &l.params, NULL), AM_OK);
        assert_int_equal(am_plan_build(l.graph, l.params, &o, &plan, NULL), AM_OK);
        assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
        assert_int_equal(am_session_run(s, 2, x, y, NULL), AM_OK);
        for (size_t i = 0; i < 8; i++)
            assert_true(isfinite(y[i]));
        if (k == 2)
            assert_true(y[4] == 0 && y[7] == 1);
        else
            assert_true(fabs((double)y[5] - (k ? log(0.25 / 0.75) : log(0.25))) < 1e-6);
        am_session_free(s);
        am_plan_put(plan);
        am_learned_clear(&l);
    }
    struct am_graph *g;
    assert_int_equal(am_graph_new(&g, NULL), AM_OK);
    const am_value in = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 4));
    (void)am_layer_log_odds(g, in, AM_ODDS_LOG, 0);
    assert_int_not_equal(am_graph_check(g, NULL), AM_OK);
    am_graph_free(g);
}

static enum am_rc fit_once(const struct am_learn_task *t, struct am_learned *l, struct am_err *err)
{
    struct am_arena *a = am_arena_new((size_t)1 << 26); /* its own: a failure sticks */
    if (!a)
        return AM_ENOMEM;
    const enum am_rc rc = am_learner_fit(t, l, a, err);
    l->info = NULL;
    am_arena_free(a);
    return rc;
}

static void test_no_memory(void **state)
{
    struct am_matrix *m = rows_of(0, 60);
    const struct am_learn_task t = task_for(
        m, "{type: ensemble, combine: stack, folds: 2, leak_check: never, members: [{type: "
           "logistic}, {type: naive_bayes}]}");
    struct am_learned l;
    struct am_err err;
    (void)state;
    AM_OOM_LOOP(fit_once(&t, &l, &err), am_learned_clear(&l));
    am_matrix_free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens_binary),
        cmocka_unit_test(test_goldens_multi),
        cmocka_unit_test(test_goldens_numbers),
        cmocka_unit_test(test_nnls),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_stack_beats_best_beats_in_sample),
        cmocka_unit_test(test_one_graph),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_leak_check),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_no_memory),
    };
    (void)argc;
    arena = am_arena_new((size_t)1 << 30);
    goldens = load_goldens(argv[1]);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    am_arena_free(arena);
    return failed;
}
