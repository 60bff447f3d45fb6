/* Every metric against scikit-learn and numpy: tests/golden/eval_goldens.json, made by the script
 * of the same name. A golden that is null must be NaN here. */
#include "common.h"

#include "base/fs.h"
#include "base/limits.h"

static enum am_task task_of(const struct am_node *c)
{
    enum am_task t = AM_N_TASKS;
    assert_true(am_task_parse(am_node_str(c, "task", ""), &t));
    return t;
}

static double *numbers(struct am_arena *a, const struct am_node *c, const char *key, size_t *n)
{
    const struct am_node *list = am_node_get(c, key);
    if (am_node_is_null(list))
        return NULL;
    double *v = am_arena_array(a, list->list.n + 1, sizeof *v);
    for (size_t i = 0; i < list->list.n; i++)
        assert_true(am_node_as_f64(list->list.items[i], &v[i]));
    *n = list->list.n;
    return v;
}

static unsigned seen; /* bits of metrics compared */

static void compare(const char *name, const struct am_eval_input *in, struct am_str metric,
                    const struct am_node *want)
{
    size_t n;
    double got, w;
    OK(am_metric(in, metric, &got, &err));
    seen |= 1u << (am_metric_find(metric) - am_metrics(&n));
    if (am_node_is_null(want)) {
        if (!isnan(got))
            fail_msg("%s, %s: %.17g, golden none", name, metric.ptr, got);
        return;
    }
    assert_true(am_node_as_f64(want, &w));
    if (!(fabs(got - w) <= 1e-9 * fmax(1, fabs(w))))
        fail_msg("%s, %s: %.17g, golden %.17g", name, metric.ptr, got, w);
}

static void check_case(struct am_arena *a, const struct am_node *c)
{
    size_t n_rows, n_pred, n_weights, n_metrics, expected = 0;
    double *truth = numbers(a, c, "truth", &n_rows), *pred = numbers(a, c, "pred", &n_pred);
    float *p = am_arena_array(a, n_pred + 1, sizeof *p);
    for (size_t i = 0; i < n_pred; i++)
        p[i] = (float)pred[i];
    struct am_eval_input in = {.task = task_of(c),
                               .n_rows = n_rows,
                               .n_classes = (size_t)am_node_i64(c, "n_classes", 0),
                               .truth = truth,
                               .pred = p,
                               .weight = numbers(a, c, "weight", &n_weights),
                               .threshold = am_node_f64(c, "threshold", 0.5)};
    const struct am_node *e = am_node_get(c, "expect");
    for (size_t i = 0; i < e->map.n; i++)
        compare(am_node_str(c, "name", "").ptr, &in, e->map.pairs[i].key, e->map.pairs[i].value);
    const struct am_node *q = am_node_get(c, "quantiles");
    for (size_t i = 0; q && i < q->list.n; i++) {
        double at, want, got;
        assert_true(am_node_as_f64(q->list.items[i]->list.items[0], &at));
        assert_true(am_node_as_f64(q->list.items[i]->list.items[1], &want));
        OK(am_quantile(p, n_rows, at, &got, &err));
        NEAR(got, want);
    }
    const struct am_metric_info *m = am_metrics(&n_metrics);
    for (size_t i = 0; i < n_metrics; i++)
        expected += (m[i].tasks >> in.task) & 1u;
    assert_int_equal(e->map.n, expected); /* no metric of the task is left out */
}

static void all_cases(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    struct am_node *doc;
    size_t n;
    am_buf_init(&b, AM_LIMIT_JSON_BYTES);
    OK(am_fs_read_file(GOLDEN_DIR "/eval_goldens.json", &b, &err));
    OK(am_json_parse(a, am_buf_view(&b), "goldens", &doc, &err));
    const struct am_node *cases = am_node_get(doc, "cases");
    assert_true(cases->list.n >= 20);
    for (size_t i = 0; i < cases->list.n; i++)
        check_case(a, cases->list.items[i]);
    /* every metric of the table was compared; those of clusters and recommenders are in
     * learn-clusters and learn-recommender */
    const struct am_metric_info *all = am_metrics(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i].tasks & ((1u << AM_TASK_CLUSTERING) - 1))
            assert_true(seen >> i & 1);
    am_buf_clear(&b);
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
