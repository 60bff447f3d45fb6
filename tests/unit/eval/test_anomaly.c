/* Anomaly scores beside the goldens: the histogram, labelled rows, metrics that need labels, the
 * report's section, and what bad numbers give. */
#include "common.h"

#include "base/alloc.h"
#include "eval/report.h"
#include "tests/support/faults.h"

enum { N = 1000 };

struct rows {
    double truth[N];
    float pred[N];
    struct am_eval_input in;
};

/* Every 50th row is an anomaly with a tenfold score; every third is not labelled. */
static void make(struct rows *r)
{
    for (size_t i = 0; i < N; i++) {
        r->truth[i] = i % 3 == 0 ? (double)NAN : i % 50 == 1;
        r->pred[i] = (float)((i % 50 == 1 ? 10 : 1) * (1 + (double)(i % 10)));
    }
    r->in = (struct am_eval_input){.task = AM_TASK_ANOMALY,
                                   .n_rows = N,
                                   .truth = r->truth,
                                   .pred = r->pred,
                                   .threshold = 10.5};
}

static double number_of(const struct am_node *m, const char *key)
{
    double v = -1;
    assert_true(am_node_as_f64(am_node_get(m, key), &v));
    return v;
}

static int64_t sum(const struct am_node *list)
{
    int64_t all = 0, v;
    for (size_t i = 0; i < list->list.n; i++) {
        assert_true(am_node_as_i64(list->list.items[i], &v));
        all += v;
    }
    return all;
}

static void histogram(void **state)
{
    (void)state;
    static struct rows r;
    struct am_arena *a = am_arena_new(0);
    make(&r);
    r.pred[999] = 1e30f; /* far away: the others must stay visible */
    struct am_node *m = am_score_histogram(&r.in, 40, a);
    OK(am_arena_check(a, &err));
    assert_int_equal(am_node_get(m, "n")->list.n, 40);
    assert_int_equal(sum(am_node_get(m, "n")), N);
    int64_t bad = 0;
    for (size_t i = 0; i < N; i++)
        bad += r.truth[i] > 0.5;
    assert_true(bad > 5);
    assert_int_equal(sum(am_node_get(m, "anomalous")), bad);
    double end = number_of(m, "width") * 40;
    assert_true(end > 10.5 && end < 200);
    assert_true(number_of(m, "above") >= 1);
    for (size_t i = 0; i < N; i++)
        r.truth[i] = (double)NAN;
    assert_null(am_node_get(am_score_histogram(&r.in, 40, a), "anomalous"));
    r.in.n_rows = 0;
    assert_int_equal(sum(am_node_get(am_score_histogram(&r.in, 0, a), "n")), 0);
    am_arena_free(a);
}

static void labels(void **state)
{
    (void)state;
    static struct rows r;
    struct am_labelled l;
    double v;
    make(&r);
    OK(am_labelled_of(&r.in, &l, &err));
    assert_int_equal(l.in.task, AM_TASK_BINARY);
    assert_int_equal(l.in.n_rows, N - 334);
    assert_true(l.in.scores);
    am_labelled_clear(&l);
    OK(am_metric(&r.in, AM_STR("recall"), &v, &err));
    assert_true(v == 1);
    OK(am_metric(&r.in, AM_STR("precision"), &v, &err));
    assert_true(v == 1);
    for (size_t i = 0; i < N; i++)
        r.truth[i] = 0;
    OK(am_metric(&r.in, AM_STR("recall"), &v, &err));
    assert_true(isnan(v));
    OK(am_metric(&r.in, AM_STR("flagged_share"), &v, &err));
    assert_true(v > 0.01 && v < 0.03);
    assert_true(am_metric_needs_labels(AM_STR("roc_auc")));
    assert_false(am_metric_needs_labels(AM_STR("reconstruction_error")));
    assert_false(am_metric_needs_labels(AM_STR("prediction_mean")));
    r.pred[7] = NAN;
    OK(am_metric(&r.in, AM_STR("reconstruction_error"), &v, &err));
    assert_true(isnan(v));
    OK(am_quantile(r.pred, N, 0.5, &v, &err));
    assert_true(isnan(v));
    OK(am_quantile(r.pred, 0, 0.5, &v, &err));
    assert_true(isnan(v));
}

static void refused(void **state)
{
    (void)state;
    static struct rows r;
    double v;
    make(&r);
    assert_int_equal(am_metric(&r.in, AM_STR("log_loss"), &v, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "reconstruction_error"));
    r.in.task = AM_TASK_EMBEDDING;
    assert_int_equal(am_metric(&r.in, AM_STR("roc_auc"), &v, &err), AM_EUSAGE);
    r.in.task = AM_TASK_BINARY;
    r.in.n_classes = 2;
    assert_int_equal(am_metric(&r.in, AM_STR("flagged_share"), &v, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "anomaly"));
}

static const char report[] =
    "{\"title\": \"t\", \"task\": \"anomaly\", \"threshold\": 2.5, \"contamination\": 0.01,"
    "\"scores\": {\"low\": 0, \"width\": 0.5, \"n\": [100, 20, 3, 1], \"anomalous\": [0, 0, 1, 1],"
    "\"above\": 1}, \"column_errors\": [{\"column\": \"a<b>\", \"error\": 0.5},"
    "{\"column\": \"c\", \"error\": 0.1}]}";

static void page(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *r;
    struct am_buf out;
    OK(am_json_parse(a, am_str(report), "report", &r, &err));
    am_buf_init(&out, 1 << 20);
    am_report_html(r, &out);
    OK(am_buf_check(&out, &err));
    am_buf_char(&out, 0);
    assert_non_null(strstr(out.ptr, "Anomaly scores"));
    assert_non_null(strstr(out.ptr, "2.5000"));
    assert_non_null(strstr(out.ptr, "a&lt;b&gt;"));
    assert_null(strstr(out.ptr, "a<b>"));
    am_buf_clear(&out);
    am_arena_free(a);
}

static enum am_rc everything(void *ctx, struct am_err *e)
{
    struct rows *r = ctx;
    struct am_arena *a = am_arena_new(0);
    double v;
    if (!a)
        return am_fail(e, AM_ENOMEM, "no arena");
    enum am_rc rc = am_metric(&r->in, AM_STR("roc_auc"), &v, e);
    if (rc == AM_OK)
        rc = am_quantile(r->pred, N, 0.9, &v, e);
    if (rc == AM_OK)
        (void)am_score_histogram(&r->in, 20, a);
    if (rc == AM_OK)
        rc = am_arena_check(a, e);
    am_arena_free(a);
    return rc;
}

static void memory(void **state)
{
    (void)state;
    static struct rows r;
    make(&r);
    AM_OOM_LOOP(everything(&r, &err), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(histogram), cmocka_unit_test(labels),
                                       cmocka_unit_test(refused), cmocka_unit_test(page),
                                       cmocka_unit_test(memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
