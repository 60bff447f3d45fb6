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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact)};
    golden_path = argc > 1 ? argv[1] : "forest_goldens.json";
    examples_path = argc > 2 ? argv[2] : "examples";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
