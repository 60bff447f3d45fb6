/* Trees and forests: exact answers and fold scores of scikit-learn (forest_goldens.py), weights,
 * missing values, quantiles, the same bits for any number of threads, refusals, and the n-th
 * allocation failing. */
#include "learn_test.h"

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/tree_grow.h"

#define N 400
#define F 6

static struct am_node *load_forest(struct am_arena *a)
{
    return load_goldens(a);
}

static uint32_t hashed(uint32_t i, uint32_t j)
{
    uint32_t h = i * 2654435761u + j * 40503u + 12345u;
    h = (h ^ h >> 15) * 2246822519u;
    h = (h ^ h >> 13) * 3266489917u;
    return (h ^ h >> 16) & 0xffffu;
}

/* The rows of the script's exact cases. */
static void formula_table(struct table *t, const char *target, uint32_t first)
{
    memset(t, 0, sizeof *t);
    t->n = N;
    t->f = F;
    t->n_classes = target[0] == 'b' ? 2 : target[0] == 'c' ? 4 : 0;
    for (uint32_t i = 0; i < N; i++) {
        const double noise = hashed(i, 99);
        for (uint32_t j = 0; j < F; j++)
            t->x[i][j] = hashed(first + i, j);
        if (target[0] == 'n')
            t->y[i] = nearbyint(t->x[i][0] / 256 + (t->x[i][1] > 30000 ? 100 : 0) + noise / 1024);
        else if (target[0] == 'b')
            t->y[i] = t->x[i][0] + t->x[i][2] + 3 * noise > 163840;
        else
            t->y[i] = floor(fmin(fmax(floor((t->x[i][1] + 2 * noise) / 50000), 0), 3));
    }
}

static void fit(const struct am_learn_task *k, struct am_learned *l, struct am_arena *a)
{
    struct am_err err;
    if (am_learner_fit(k, l, a, &err) != AM_OK)
        fail_msg("%s", err.message);
}

static void close_to(const struct am_node *want, const float *got, size_t n, size_t step, size_t k,
                     double tolerance, const char *name)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i += step)
        for (size_t c = 0; c < k; c++, at++) {
            double v;
            assert_true(am_node_as_f64(want->list.items[at], &v));
            if (!(fabs(v - (double)got[i * k + c]) <= tolerance * (1 + fabs(v))))
                fail_msg("%s: row %zu, output %zu: %.9g, scikit-learn %.9g", name, i, c,
                         (double)got[i * k + c], v);
        }
    assert_int_equal(at, want->list.n);
}

static void test_exact(void **state)
{
    static struct table t, fresh;
    static float y[N * 4];
    size_t n_only = 0;
    struct am_arena *a = am_arena_new(0);
    const struct am_node *cases = am_node_get(load_forest(a), "cases");
    (void)state;
    for (size_t i = 0; i < cases->list.n; i++) {
        const struct am_node *c = cases->list.items[i], *importance = am_node_get(c, "importance");
        const char *name = am_node_str(c, "name", "").ptr;
        struct am_learned l;
        formula_table(&t, am_node_str(c, "target", "").ptr, 0);
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, am_node_bool(c, "weights", false), 0);
        struct am_learn_task k =
            task_of(a, &t, m, am_node_str(c, "model", "").ptr, am_node_str(c, "train", "").ptr);
        fit(&k, &l, a);
        size_t outputs = predict(&l, m, y);
        if (am_node_i64(l.info, "leaves", 0) != am_node_i64(c, "leaves", -1))
            fail_msg("%s: %d leaves, scikit-learn %d", name, (int)am_node_i64(l.info, "leaves", 0),
                     (int)am_node_i64(c, "leaves", 0));
        close_to(am_node_get(c, "y"), y, N, 5, outputs, 1e-6, name);
        if (importance->list.n) { /* the tree is the only one */
            assert_int_equal(am_node_i64(l.info, "depth", 0), am_node_i64(c, "depth", -1));
            for (size_t j = 0; j < F; j++) {
                double want, got;
                assert_true(am_node_as_f64(importance->list.items[j], &want));
                assert_true(am_node_as_f64(am_node_get(l.info, "importance")->list.items[j], &got));
                if (fabs(want - got) > 1e-6)
                    fail_msg("%s: importance of feature %zu: %g, scikit-learn %g", name, j, got,
                             want);
            }
            formula_table(&fresh, am_node_str(c, "target", "").ptr, 1000);
            struct am_matrix *new_rows = matrix_of(&fresh, NULL, 0, false, false, 0);
            outputs = predict(&l, new_rows, y);
            close_to(am_node_get(c, "fresh"), y, N, 5, outputs, 1e-6, name);
            am_matrix_free(new_rows);
            n_only++;
        }
        am_learned_clear(&l);
        am_matrix_free(m);
    }
    assert_true(n_only >= 12);
    am_arena_free(a);
}

/* ---- boosting, isolation ---- */

static void near_list(const struct am_node *want, const struct am_node *got, double tolerance,
                      const char *name)
{
    assert_int_equal(want->list.n, got->list.n);
    for (size_t i = 0; i < want->list.n; i++) {
        double a, b;
        assert_true(am_node_as_f64(want->list.items[i], &a));
        assert_true(am_node_as_f64(got->list.items[i], &b));
        if (!(fabs(a - b) <= tolerance * (1 + fabs(a))))
            fail_msg("%s: number %zu is %.9g, scikit-learn %.9g", name, i, b, a);
    }
}

static void test_boosted(void **state)
{
    static struct table t;
    static float y[N * 4];
    struct am_arena *a = am_arena_new(0);
    const struct am_node *cases = am_node_get(load_forest(a), "boosted");
    (void)state;
    assert_true(cases->list.n >= 2);
    for (size_t i = 0; i < cases->list.n; i++) {
        const struct am_node *c = cases->list.items[i];
        const char *name = am_node_str(c, "name", "").ptr;
        struct am_learned l;
        formula_table(&t, am_node_str(c, "target", "").ptr, 0);
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, am_node_str(c, "model", "").ptr, "");
        fit(&k, &l, a);
        const size_t outputs = predict(&l, m, y);
        assert_int_equal(am_node_i64(l.info, "trees", 0), am_node_i64(c, "trees", -1));
        near_list(am_node_get(c, "weights"), am_node_get(l.info, "tree_weights"), 1e-6, name);
        near_list(am_node_get(c, "errors"), am_node_get(l.info, "tree_errors"), 1e-6, name);
        close_to(am_node_get(c, "y"), y, N, 5, outputs, 1e-5, name);
        am_learned_clear(&l);
        am_matrix_free(m);
    }
    am_arena_free(a);
}

/* The weighted median of R2's trees is the one that the formula gives. */
static void test_median(void **state)
{
    static struct table t;
    static float y[N];
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    double weights[40], sum = 0;
    (void)state;
    formula_table(&t, "number", 0);
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
    struct am_learn_task k = task_of(a, &t, m, "{type: ada_boost, trees: 12, max_depth: 4}", "");
    fit(&k, &l, a);
    assert_int_equal(predict(&l, m, y), 1);
    const struct am_node *list = am_node_get(l.info, "tree_weights");
    const size_t n = list->list.n;
    assert_true(n >= 3 && n <= 12);
    for (size_t i = 0; i < n; i++) {
        assert_true(am_node_as_f64(list->list.items[i], &weights[i]));
        sum += weights[i];
    }
    struct am_learned trees = l; /* the same graph, but for the median */
    static float all[N * 12];
    for (am_value v = 0; v < am_graph_n_nodes(l.graph); v++)
        if (am_graph_node(l.graph, v)->dims.rank == 2 &&
            am_graph_node(l.graph, v)->dims.d[1] == (int64_t)n)
            am_graph_output(l.graph, "trees", v);
    assert_int_equal(am_learn_select_output(l.graph, "trees", &trees.graph, NULL), AM_OK);
    assert_int_equal(predict(&trees, m, all), n);
    for (size_t i = 0; i < N; i++) {
        double below = 0, not_above = 0;
        for (size_t j = 0; j < n; j++) {
            below += all[i * n + j] < y[i] ? weights[j] : 0;
            not_above += all[i * n + j] <= y[i] ? weights[j] : 0;
        }
        assert_true(below < sum / 2 + 1e-5 && not_above >= sum / 2 - 1e-5);
    }
    am_graph_free(trees.graph);
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

static double area(const float *score, size_t n, size_t n_normal)
{
    double wins = 0;
    for (size_t i = n_normal; i < n; i++)
        for (size_t j = 0; j < n_normal; j++)
            wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
    return wins / (double)(n_normal * (n - n_normal));
}

static double correlation(const float *x, const struct am_node *list, size_t n)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0, v;
    for (size_t i = 0; i < n; i++) {
        assert_true(am_node_as_f64(list->list.items[i], &v));
        mx += (double)x[i] / (double)n;
        my += v / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        assert_true(am_node_as_f64(list->list.items[i], &v));
        xy += ((double)x[i] - mx) * (v - my);
        xx += ((double)x[i] - mx) * ((double)x[i] - mx);
        yy += (v - my) * (v - my);
    }
    return xy / sqrt(xx * yy);
}

/* Scores agree with the mean of twenty of scikit-learn's forests about as one of them does, and
 * find the outliers as well. */
static void test_isolation(void **state)
{
    static struct table t;
    static float y[500];
    struct am_arena *a = am_arena_new(0);
    const struct am_node *g = am_node_get(load_forest(a), "isolation"), *x = am_node_get(g, "x");
    struct am_learned l;
    double deviation, mean = 0;
    (void)state;
    memset(&t, 0, sizeof t);
    t.n = 500;
    t.f = 4;
    for (size_t i = 0; i < t.n * t.f; i++)
        assert_true(am_node_as_f64(x->list.items[i], &t.x[i / t.f][i % t.f]));
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
    struct am_learn_task k = task_of(a, &t, m, "{type: isolation_forest}", "");
    k.task = AM_TASK_ANOMALY;
    fit(&k, &l, a);
    assert_int_equal(predict(&l, m, y), 1);
    const struct am_node *areas = am_node_get(g, "areas");
    double least = 1, v;
    for (size_t i = 0; i < areas->list.n; i++) {
        assert_true(am_node_as_f64(areas->list.items[i], &v));
        mean += v / (double)areas->list.n;
        least = fmin(least, v);
    }
    deviation = mean - least;
    assert_true(area(y, 500, 450) > mean - 1.5 * deviation);
    assert_true(correlation(y, am_node_get(g, "mean_score"), 500) > 0.985);
    double sum = 0, theirs = 0;
    for (size_t i = 0; i < 500; i++) {
        assert_true(y[i] > 0 && y[i] < 1);
        sum += (double)y[i] / 500;
        assert_true(am_node_as_f64(am_node_get(g, "mean_score")->list.items[i], &v));
        theirs += v / 500;
    }
    assert_true(fabs(sum - theirs) < 0.01); /* of 0.43: the same depths */
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

/* Two rows, one tree: the formula by hand. Both are cut off at depth 1, c(2) = 1: 2^-1. With three
 * rows 0, 0, 1: the lone one has depth 1, the others 1 + c(2), over c(3). */
static void test_isolation_formula(void **state)
{
    struct am_arena *a = am_arena_new(0);
    static struct table t;
    float y[3];
    const double c3 = 2 * (log(2) + 0.57721566490153286) - 4.0 / 3;
    (void)state;
    for (size_t n = 2; n <= 3; n++) {
        struct am_learned l;
        memset(&t, 0, sizeof t);
        t.n = n;
        t.f = 1;
        t.x[n - 1][0] = 1;
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, "{type: isolation_forest, trees: 1}", "");
        k.task = AM_TASK_ANOMALY;
        fit(&k, &l, a);
        assert_int_equal(predict(&l, m, y), 1);
        const double deep = n == 2 ? 0.5 : pow(2, -2 / c3), lone = n == 2 ? 0.5 : pow(2, -1 / c3);
        assert_true(fabs((double)y[0] - deep) < 1e-6);
        assert_true(fabs((double)y[n - 1] - lone) < 1e-6);
        am_learned_clear(&l);
        am_matrix_free(m);
    }
    am_arena_free(a);
}

/* ---- folds ---- */

struct model {
    const char *name, *spec;
};

static double fold_scores(const struct table *t, const struct am_node *entry, const char *spec)
{
    double mean = 0;
    for (size_t r = 0; r < 3; r++)
        for (char fold = '0'; fold <= '9'; fold++) {
            struct am_str part;
            assert_true(am_node_as_str(am_node_get(entry, "folds")->list.items[r], &part));
            struct am_arena *a = am_arena_new(0);
            struct am_matrix *train = matrix_of(t, part.ptr, fold, false, false, 0),
                             *test = matrix_of(t, part.ptr, fold, true, false, 0);
            struct am_learn_task k = task_of(a, t, train, spec, "");
            struct am_learned l;
            k.seed = (uint64_t)(r * 10) + (uint64_t)(fold - '0');
            fit(&k, &l, a);
            mean += score(&l, test, t->n_classes) / 30;
            am_learned_clear(&l);
            am_matrix_free(train);
            am_matrix_free(test);
            am_arena_free(a);
        }
    return mean;
}

static const char *folds_path;

/* As test_accuracy.c: the mean must reach scikit-learn's less half a deviation of its folds. */
static void test_folds(void **state)
{
    const struct model models[] = {
        {"tree", "{type: decision_tree, min_samples_leaf: 5}"},
        {"random_forest", "{type: random_forest}"},
        {"extra_trees", "{type: extra_trees}"},
        {"ada_boost", "{type: ada_boost, max_depth: 2}"},
        {"bagging", "{type: bagging}"},
    };
    static struct table t;
    struct am_arena *a = am_arena_new(0);
    const struct am_node *theirs = am_node_get(load_forest(a), "folds");
    const char *saved = golden_path;
    (void)state;
    golden_path = folds_path;
    const struct am_node *folds = am_node_get(load_goldens(a), "cross_validation");
    golden_path = saved;
    assert_int_equal(theirs->list.n, folds->list.n);
    for (size_t i = 0; i < folds->list.n; i++) {
        const struct am_node *entry = folds->list.items[i], *peer = theirs->list.items[i];
        const char *data = am_node_str(entry, "data", "").ptr;
        load_table(data, &t);
        for (size_t k = 0; k < sizeof models / sizeof models[0]; k++) {
            const struct am_node *list = am_node_get(am_node_get(peer, "scores"), models[k].name);
            double mean = 0, var = 0, v;
            /* R2 takes trees of depth 3 there */
            const char *spec = t.n_classes == 0 && k == 3 ? "{type: ada_boost}" : models[k].spec;
            for (size_t j = 0; j < 30; j++) {
                assert_true(am_node_as_f64(list->list.items[j], &v));
                mean += v / 30;
            }
            for (size_t j = 0; j < 30; j++) {
                assert_true(am_node_as_f64(list->list.items[j], &v));
                var += (v - mean) * (v - mean) / 30;
            }
            const double ours = fold_scores(&t, entry, spec);
            print_message("%-14s %-14s ours %.4f, scikit-learn %.4f, needed %.4f\n", data,
                          models[k].name, ours, mean, mean - sqrt(var) / 2);
            assert_true(ours >= mean - sqrt(var) / 2);
        }
    }
    am_arena_free(a);
}

/* ---- weights, missing values, quantiles ---- */

static struct am_matrix *weighted(const struct table *t, const float *w)
{
    const struct am_matrix_options o = {.weights = AM_MATRIX_WEIGHTS};
    struct am_matrix *m;
    assert_int_equal(am_matrix_new(t->f, 1, &o, &m, NULL), AM_OK);
    for (size_t i = 0; i < t->n; i++) {
        float x[MAX_FEATURES], y = (float)t->y[i];
        for (size_t j = 0; j < t->f; j++)
            x[j] = (float)t->x[i][j];
        assert_int_equal(am_matrix_append(m, 1, x, &y, &w[i], NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

/* A row of weight 2 is a row given twice, one of weight 0 a row left out (trees that draw nothing).
 */
static void test_weights(void **state)
{
    static struct table t, twice;
    static float y1[600 * 4], y2[600 * 4], w[600];
    const char *specs[] = {"{type: decision_tree, max_depth: 6}",
                           "{type: decision_tree, criterion: entropy, max_depth: 5}",
                           "{type: ada_boost, trees: 4, max_depth: 2}"};
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l1, l2;
        formula_table(&t, "classes", 0);
        t.n = 300;
        twice = t;
        twice.n = 0;
        for (size_t i = 0; i < t.n; i++) {
            w[i] = (float)(i % 3);
            for (size_t k = 0; k < i % 3; k++) {
                memcpy(twice.x[twice.n], t.x[i], sizeof t.x[i]);
                twice.y[twice.n++] = t.y[i];
            }
        }
        struct am_matrix *m1 = weighted(&t, w), *m2 = matrix_of(&twice, NULL, 0, false, false, 0);
        struct am_learn_task k1 = task_of(a, &t, m1, specs[s], ""),
                             k2 = task_of(a, &twice, m2, specs[s], "");
        fit(&k1, &l1, a);
        fit(&k2, &l2, a);
        const size_t k = predict(&l1, m1, y1);
        assert_int_equal(predict(&l2, m1, y2), k);
        for (size_t i = 0; i < t.n * k; i++)
            assert_true(fabsf(y1[i] - y2[i]) < 1e-5f);
        am_learned_clear(&l1);
        am_learned_clear(&l2);
        am_matrix_free(m1);
        am_matrix_free(m2);
        am_arena_free(a);
    }
}

/* Rows whose first feature is missing are of class 1, the others are split at 0.5: one look at
 * missing values, one at the rest. */
static void test_missing(void **state)
{
    static struct table t;
    static float y[300];
    const char *specs[] = {"{type: decision_tree}", "{type: random_forest, trees: 20}",
                           "{type: extra_trees, trees: 20}", "{type: ada_boost, max_depth: 3}",
                           "{type: decision_tree, bins: 16}"};
    (void)state;
    for (size_t s = 0; s < 5; s++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        memset(&t, 0, sizeof t);
        t.n = 300;
        t.f = 2;
        t.n_classes = 2;
        for (uint32_t i = 0; i < t.n; i++) {
            t.x[i][0] = i % 3 == 0 ? (double)NAN : hashed(i, 1) / 65536.0;
            t.x[i][1] = hashed(i, 2);
            t.y[i] = i % 3 == 0 || t.x[i][0] > 0.5;
        }
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, specs[s], "");
        fit(&k, &l, a);
        assert_int_equal(predict(&l, m, y), 1);
        for (size_t i = 0; i < t.n; i++)
            if ((y[i] > 0.5f) != (t.y[i] > 0.5) && s != 4)
                fail_msg("%s: row %zu: %g for %g", specs[s], i, (double)y[i], t.y[i]);
        if (s == 0)
            assert_int_equal(am_node_i64(l.info, "leaves", 0), 2); /* missing goes right at once */
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

/* Missing values like the low ones (left) or like the high ones (right): one split says all, in
 * every kind of node (counted and sorted), for classes and numbers. */
static void test_missing_sides(void **state)
{
    static struct table t;
    static float y[300];
    const char *specs[] = {"{type: decision_tree}", "{type: decision_tree, criterion: entropy}",
                           "{type: decision_tree}", "{type: decision_tree, criterion: absolute}"};
    (void)state;
    for (unsigned which = 0; which < 16; which++) {
        const bool left = which & 1, few = which & 2, numbers = which / 4 >= 2;
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        memset(&t, 0, sizeof t);
        t.n = 300;
        t.f = 1;
        t.n_classes = numbers ? 0 : 2;
        for (uint32_t i = 0; i < t.n; i++) {
            t.x[i][0] = i % 3 == 0 ? (double)NAN : few ? i % 7 : hashed(i, 1);
            t.y[i] = i % 3 == 0 ? !left : t.x[i][0] > (few ? 3 : 30000);
        }
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, specs[which / 4], "");
        fit(&k, &l, a);
        assert_int_equal(am_node_i64(l.info, "leaves", 0), 2);
        assert_int_equal(predict(&l, m, y), 1);
        for (size_t i = 0; i < t.n; i++)
            assert_true((double)y[i] == t.y[i]);
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

/* A value that training never missed goes with the larger part of the rows. */
static void test_never_missing(void **state)
{
    static struct table t, one;
    float y[1];
    (void)state;
    for (size_t low = 10; low <= 30; low += 20) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        memset(&t, 0, sizeof t);
        t.n = 40;
        t.f = 1;
        t.n_classes = 2;
        for (size_t i = 0; i < t.n; i++) {
            t.x[i][0] = (double)i;
            t.y[i] = i >= low;
        }
        one = t;
        one.n = 1;
        one.x[0][0] = (double)NAN;
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0),
                         *missing = matrix_of(&one, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, "{type: decision_tree}", "");
        fit(&k, &l, a);
        assert_int_equal(predict(&l, missing, y), 1);
        assert_true(y[0] == (low < 20));
        am_learned_clear(&l);
        am_matrix_free(m);
        am_matrix_free(missing);
        am_arena_free(a);
    }
}

/* Labels that mean nothing are learned by heart; the rows not drawn know better. */
static void test_out_of_bag(void **state)
{
    static struct table t;
    const char *specs[] = {"{type: random_forest, trees: 40}",
                           "{type: bagging, n: 15, of: {type: decision_tree}}"};
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        formula_table(&t, "binary", 0);
        for (uint32_t i = 0; i < t.n; i++)
            t.y[i] = hashed(i, 7) & 1;
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, specs[s], "");
        fit(&k, &l, a);
        assert_true(score(&l, m, 2) > 0.95);
        const struct am_node *bag = am_node_get(l.info, "out_of_bag");
        assert_true(am_node_i64(bag, "rows", 0) > 390);
        assert_true(fabs(am_node_f64(bag, "accuracy", 0) - 0.5) < 0.12);
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

/* Where a feature has no more values than bins, quantiles are exact; else they are close. */
static void test_bins(void **state)
{
    static struct table t;
    static float y1[N], y2[N];
    struct am_arena *a = am_arena_new(0);
    struct am_learned exact, binned;
    double off = 0;
    (void)state;
    formula_table(&t, "number", 0);
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
    struct am_learn_task k1 = task_of(a, &t, m, "{type: decision_tree, max_depth: 5}", ""),
                         k2 = task_of(a, &t, m, "{type: decision_tree, max_depth: 5, bins: 500}",
                                      ""),
                         k3 =
                             task_of(a, &t, m, "{type: decision_tree, max_depth: 5, bins: 40}", "");
    fit(&k1, &exact, a);
    fit(&k2, &binned, a);
    (void)predict(&exact, m, y1);
    (void)predict(&binned, m, y2);
    for (size_t i = 0; i < N; i++)
        assert_true(fabsf(y1[i] - y2[i]) < 1e-3f);
    am_learned_clear(&binned);
    fit(&k3, &binned, a);
    (void)predict(&binned, m, y2);
    for (size_t i = 0; i < N; i++)
        off += pow((double)(y1[i] - y2[i]), 2) / N;
    assert_true(off > 0 && sqrt(off) < 25); /* of a deviation of about 90 */
    assert_true(am_str_is(am_node_str(binned.info, "solver", ""), "histograms"));
    am_learned_clear(&exact);
    am_learned_clear(&binned);
    am_matrix_free(m);
    am_arena_free(a);
}

/* ---- threads ---- */

static struct am_matrix *large(struct am_arena *a, size_t n, struct am_learn_task *k)
{
    struct am_matrix *m;
    float x[F], y;
    assert_int_equal(am_matrix_new(F, 1, NULL, &m, NULL), AM_OK);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < F; j++)
            x[j] = (float)hashed(i, j);
        y = (float)(x[0] + 2 * x[3] + (float)hashed(i, 99) > 120000);
        assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    *k = (struct am_learn_task){.task = AM_TASK_BINARY,
                                .n_classes = 2,
                                .n_features = F,
                                .train = am_matrix_data(m),
                                .seed = 3};
    (void)a;
    return m;
}

static void test_threads(void **state)
{
    const char *specs[] = {"{type: decision_tree, max_depth: 6}",
                           "{type: random_forest, trees: 5, max_depth: 8}",
                           "{type: extra_trees, trees: 5, max_depth: 8, bootstrap: true}",
                           "{type: ada_boost, trees: 3, max_depth: 4}",
                           "{type: bagging, n: 2, of: {type: decision_tree, max_depth: 5}}",
                           "{type: isolation_forest, trees: 7}"};
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task k;
    struct am_matrix *m = large(a, 30000, &k); /* features of the root are worked side by side */
    (void)state;
    for (size_t s = 0; s < 6; s++) {
        struct am_learned one = {0};
        k.model = parse_yaml(a, specs[s]);
        k.task = s == 5 ? AM_TASK_ANOMALY : AM_TASK_BINARY;
        for (unsigned n = 1; n <= 3; n++) {
            struct am_learned l;
            assert_int_equal(am_pool_new(n, &k.pool, NULL), AM_OK);
            fit(&k, &l, a);
            am_pool_free(k.pool);
            if (n == 1) {
                one = l;
                continue;
            }
            assert_int_equal(l.params->n_floats, one.params->n_floats);
            assert_memory_equal(l.params->data, one.params->data, am_params_bytes(l.params));
            const struct am_node *bag = am_node_get(l.info, "out_of_bag");
            if (bag) {
                const struct am_node *first = am_node_get(one.info, "out_of_bag");
                assert_true(am_node_f64(bag, "accuracy", -1) == am_node_f64(first, "accuracy", -2));
                assert_true(am_node_f64(bag, "accuracy", 0) > 0.8);
            }
            am_learned_clear(&l);
        }
        am_learned_clear(&one);
    }
    am_matrix_free(m);
    am_arena_free(a);
}

/* ---- refusals ---- */

static void refused(struct am_learn_task *k, enum am_rc rc, const char *words)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_err err;
    assert_int_equal(am_learner_fit(k, &l, a, &err), rc);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    assert_null(l.graph);
    am_arena_free(a);
}

static void test_refused(void **state)
{
    static struct table t, numbers;
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task k;
    (void)state;
    formula_table(&t, "binary", 0);
    formula_table(&numbers, "number", 0);
    numbers.y[7] = -1;
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0),
                     *n = matrix_of(&numbers, NULL, 0, false, false, 0);
    k = task_of(a, &t, m, "{type: decision_tree, criterion: squared}", "");
    refused(&k, AM_EUSAGE, "criterion squared does not fit");
    k = task_of(a, &numbers, n, "{type: random_forest, criterion: gini}", "");
    refused(&k, AM_EUSAGE, "criterion gini does not fit");
    k = task_of(a, &numbers, n, "{type: decision_tree, criterion: poisson}", "");
    refused(&k, AM_EINVAL, "target of row 8 is -1");
    k = task_of(a, &t, m, "{type: extra_trees, max_samples: 0.5}", "");
    refused(&k, AM_EUSAGE, "model.bootstrap is false");
    k = task_of(a, &t, m, "{type: random_forest, max_features: 0}", "");
    refused(&k, AM_EUSAGE, "max_features");
    k = task_of(a, &t, m, "{type: isolation_forest}", "");
    refused(&k, AM_EUSAGE, "isolation_forest");
    k = task_of(a, &t, m, "{type: ada_boost, loss: square}", "");
    refused(&k, AM_EUSAGE, "model.loss is set");
    k = task_of(a, &t, m, "{type: bagging, of: {type: linear}}", "");
    refused(&k, AM_EUSAGE, "linear");
    k = task_of(a, &t, m, "{type: bagging, of: {type: logistic, tree: 1}}", "");
    refused(&k, AM_EUSAGE, "model.tree");
    k = task_of(a, &t, m, "{type: random_forest}", "");
    k.memory_bytes = 10000;
    refused(&k, AM_ELIMIT, "random_forest over 400 rows of 6 features needs");
    atomic_bool cancel = true;
    struct am_progress progress = {.cancel = &cancel};
    k = task_of(a, &t, m, "{type: random_forest}", "");
    k.hooks.progress = &progress;
    refused(&k, AM_ECANCELED, "cancel");
    am_matrix_free(m);
    am_matrix_free(n);
    am_arena_free(a);
}

/* A rare class is in every draw; members are of any learner; the answer is their mean. */
static void test_bagging(void **state)
{
    static struct table t;
    static float y[N * 4];
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    (void)state;
    formula_table(&t, "classes", 0);
    for (size_t i = 0, seen = 0; i < t.n; i++)
        if (t.y[i] == 3 && seen++)
            t.y[i] = 2;
    for (size_t j = 0; j < F; j++)
        for (size_t i = 0; i < t.n; i++)
            t.x[i][j] /= 65536;
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
    struct am_learn_task k =
        task_of(a, &t, m, "{type: bagging, n: 4, of: {type: logistic}, max_samples: 0.6}", "");
    fit(&k, &l, a);
    assert_int_equal(predict(&l, m, y), 4);
    for (size_t i = 0; i < t.n; i++)
        assert_true(fabsf(y[4 * i] + y[4 * i + 1] + y[4 * i + 2] + y[4 * i + 3] - 1) < 1e-5f);
    assert_non_null(am_params_find(l.params, AM_STR("m3.linear.weight")));
    const struct am_node *bag = am_node_get(l.info, "out_of_bag");
    assert_true(am_node_i64(bag, "rows", 0) > 350);
    assert_true(am_node_f64(bag, "accuracy", 0) > 0.4);
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

/* Leaves that are equal are stored once: pure leaves of 4 classes are 4 rows at most. */
static void test_shared_leaves(void **state)
{
    static struct table t;
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    (void)state;
    formula_table(&t, "classes", 0);
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
    struct am_learn_task k = task_of(a, &t, m, "{type: random_forest, trees: 30}", "");
    fit(&k, &l, a);
    assert_true(am_node_i64(l.info, "leaves", 0) > 1000);
    assert_true(am_node_i64(l.info, "leaf_rows", 99) <= 4);
    assert_int_equal(am_node_i64(l.info, "bytes", 0), am_params_bytes(l.params));
    am_learned_clear(&l);
    am_matrix_free(m);
    am_arena_free(a);
}

static enum am_rc try_fit(const struct am_learn_task *k, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    if (!a)
        return AM_ENOMEM;
    const enum am_rc rc = am_learner_fit(k, &l, a, err);
    if (rc == AM_OK)
        am_learned_clear(&l);
    am_arena_free(a);
    return rc;
}

static void test_out_of_memory(void **state)
{
    static struct table t;
    const char *specs[] = {"{type: decision_tree, max_depth: 3, ccp_alpha: 0.001}",
                           "{type: random_forest, trees: 3, max_leaves: 5}",
                           "{type: extra_trees, trees: 2, max_depth: 2, bins: 8}",
                           "{type: ada_boost, trees: 3}",
                           "{type: bagging, n: 2, of: {type: decision_tree, max_depth: 2}}",
                           "{type: isolation_forest, trees: 3, max_samples: 16}"};
    (void)state;
    for (size_t target = 0; target < 2; target++)
        for (size_t s = 0; s < 6; s++) {
            struct am_arena *a = am_arena_new(0);
            formula_table(&t, target ? "number" : "classes", 0);
            t.n = 40;
            struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
            struct am_learn_task k = task_of(a, &t, m, specs[s], "");
            if (s == 5)
                k.task = AM_TASK_ANOMALY;
            AM_OOM_LOOP(try_fit(&k, NULL), (void)0);
            am_matrix_free(m);
            am_arena_free(a);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_boosted),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_isolation),
        cmocka_unit_test(test_isolation_formula),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_missing_sides),
        cmocka_unit_test(test_never_missing),
        cmocka_unit_test(test_out_of_bag),
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bagging),
        cmocka_unit_test(test_shared_leaves),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_folds),
    };
    golden_path = argc > 1 ? argv[1] : "forest_goldens.json";
    examples_path = argc > 2 ? argv[2] : "examples";
    folds_path = argc > 3 ? argv[3] : "learn_goldens.json";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
