/* Labels, composite expressions, threshold, bootstrap, importance, curves: against brute force or
 * by hand, with hostile numbers, and with memory that runs out. */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/pool.h"
#include "tests/support/faults.h"

/* ---- metrics ---- */

static void labels_as_serving(void **state)
{
    (void)state;
    const double truth[] = {1, 0};
    const float pred[] = {0.7f, 0.3f}; /* 0.7f is below 0.7, 0.3f above 0.3 */
    struct am_eval_input in = {.task = AM_TASK_BINARY,
                               .n_rows = 2,
                               .n_classes = 2,
                               .truth = truth,
                               .pred = pred,
                               .threshold = 0.7};
    assert_int_equal(am_eval_label(&in, 0), 0);
    in.threshold = 0.3;
    assert_int_equal(am_eval_label(&in, 1), 1);
}

static void nothing_hangs_on_nan(void **state)
{
    (void)state;
    static const enum am_task tasks[] = {AM_TASK_REGRESSION, AM_TASK_BINARY, AM_TASK_MULTICLASS};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    size_t n;
    const struct am_metric_info *m = am_metrics(&n);
    for (size_t k = 0; k < 9; k++) {
        double truth[4] = {0, 1, 1, 0}, v;
        float pred[8] = {0.1f, 0.9f, 0.5f, 0.4f, bad[k % 3], bad[k % 3], 0.3f, 0.2f};
        struct am_eval_input in = {.task = tasks[k / 3], .n_rows = 4, .n_classes = 2};
        struct am_arena *a = am_arena_new(0);
        in.truth = truth;
        in.pred = k / 3 == 2 ? pred : pred + 2;
        for (size_t i = 0; i < n; i++)
            if (m[i].tasks & (1u << in.task)) {
                OK(am_metric(&in, am_str(m[i].name), &v, &err));
                assert_true(isnan(v));
            }
        assert_int_equal(am_curve_roc(&in, 10, a)->list.n, 0);
        assert_int_equal(am_curve_pr(&in, 10, a)->list.n, 0);
        assert_int_equal(am_curve_calibration(&in, 10, a)->list.n, 0);
        assert_non_null(am_residuals(&in, 10, a));
        assert_non_null(am_prediction_summary(&in, a));
        OK(am_arena_check(a, &err));
        am_arena_free(a);
    }
}

static void class_out_of_range(void **state)
{
    (void)state;
    double truth[] = {0, 7, -1, NAN}, v;
    float pred[] = {0.1f, 0.2f, 0.9f, 0.8f};
    uint64_t counts[4];
    struct am_eval_input in = {.task = AM_TASK_BINARY,
                               .n_rows = 4,
                               .n_classes = 2,
                               .truth = truth,
                               .pred = pred,
                               .threshold = 0.5};
    OK(am_metric(&in, AM_STR("accuracy"), &v, &err));
    assert_true(isnan(v));
    OK(am_metric(&in, AM_STR("log_loss"), &v, &err));
    assert_true(isnan(v));
    am_confusion(&in, counts);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1] + counts[2] + counts[3], 0);
}

static void names(void **state)
{
    (void)state;
    struct two_classes t;
    double v;
    two_classes(&t);
    assert_int_equal(am_metric(&t.in, AM_STR("acuracy"), &v, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "\"accuracy\""));
    assert_int_equal(am_metric(&t.in, AM_STR("rmse"), &v, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "does not fit"));
    t.in.scores = true; /* a score has no log loss, but an area */
    OK(am_metric(&t.in, AM_STR("log_loss"), &v, &err));
    assert_true(isnan(v));
    OK(am_metric(&t.in, AM_STR("roc_auc"), &v, &err));
    assert_true(v > 0.5);
    t.in.n_rows = 0;
    OK(am_metric(&t.in, AM_STR("accuracy"), &v, &err));
    assert_true(isnan(v));
    for (unsigned k = AM_TASK_REGRESSION; k <= AM_TASK_MULTICLASS; k++)
        for (const char *const *d = am_metrics_default(k); *d; d++)
            assert_true(am_metric_find(am_str(*d))->tasks & (1u << k));
}

static void metrics_tree(void **state)
{
    (void)state;
    struct two_classes t;
    struct am_arena *a = am_arena_new(0);
    struct am_node *out, *composite = am_new_map(a);
    const struct am_str list[] = {AM_STR_INIT("f1"), AM_STR_INIT("roc_auc")};
    two_classes(&t);
    am_node_set(a, composite, "both", am_new_cstr(a, "0.25 * f1 + 0.75 * roc_auc"));
    OK(am_metrics_node(&t.in, list, 2, composite, a, &out, &err));
    assert_int_equal(out->map.n, 3);
    NEAR(am_node_f64(out, "both", 0),
         0.25 * am_node_f64(out, "f1", 0) + 0.75 * am_node_f64(out, "roc_auc", 0));
    am_arena_free(a);
}

/* ---- composite ---- */

static enum am_rc abc(void *ctx, struct am_str name, double *out, struct am_err *e)
{
    (void)ctx;
    *out = name.ptr[0] == 'a' ? 2 : name.ptr[0] == 'b' ? 3 : 5;
    return name.len == 1 ? AM_OK : am_fail(e, AM_EUSAGE, "there is no \"%.*s\"", AM_FMT(name));
}

static double value_of(const char *text)
{
    double v;
    OK(am_composite(am_str(text), abc, NULL, &v, &err));
    return v;
}

static void precedence(void **state)
{
    (void)state;
    NEAR(value_of("a"), 2);
    NEAR(value_of("a + b * c"), 17);
    NEAR(value_of("(a + b) * c"), 25);
    NEAR(value_of("c - b - a"), 0);
    NEAR(value_of("c / a / a"), 1.25);
    NEAR(value_of("c - (b - a)"), 4);
    NEAR(value_of("a*b+c*b-a/a"), 20);
    NEAR(value_of("-a * b + c"), -1);
    NEAR(value_of("c * (-a + b)"), 5);
    NEAR(value_of("-(a+b)"), -5);
    NEAR(value_of("1e-1*a + 2.5E+1 - .5"), 24.7);
    NEAR(value_of("5-3"), 2);
    NEAR(value_of(" (\t(a)\n) "), 2);
    assert_true(isnan(value_of("a / (b - 3)")));
    NEAR(value_of("((((((((((((((((a+b*c))))))))))))))))"), 17); /* depth 16 */
    NEAR(value_of(
             "(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*(-a*b))))))))))))))))"),
         3 * 65536);
}

static void refused_at(const char *text, size_t position)
{
    double v;
    char want[32];
    assert_int_equal(am_composite(am_str(text), abc, NULL, &v, &err), AM_EUSAGE);
    (void)snprintf(want, sizeof want, "position %zu", position);
    if (!strstr(err.message, want))
        fail_msg("\"%s\": %s; wanted %s", text, err.message, want);
}

static void refusals(void **state)
{
    (void)state;
    refused_at("", 1);
    refused_at("a +", 4);
    refused_at("a b", 3);
    refused_at("(a", 3);
    refused_at("a)", 2);
    refused_at("()", 2);
    refused_at("a * * b", 5);
    refused_at("a - - b", 5);
    refused_at("a ^ b", 3);
    refused_at("a + xyz", 5);
    refused_at("a + nan", 5);
    refused_at("(((((((((((((((((a)))))))))))))))))", 17);
    OK(am_composite_check(AM_STR("0.5*f1 - log_loss"), AM_TASK_MULTICLASS, &err));
    assert_int_equal(am_composite_check(AM_STR("f1 + rmse"), AM_TASK_BINARY, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "position 6"));
}

/* ---- threshold ---- */

static double metric_at(struct am_eval_input in, double threshold, const char *name)
{
    double v;
    in.threshold = threshold;
    OK(am_metric(&in, am_str(name), &v, &err));
    return v;
}

static int rising(const void *x, const void *y)
{
    float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

static void threshold_brute_force(void **state)
{
    (void)state;
    static const char *const names_[] = {"f1", "accuracy", "mcc", "balanced_accuracy", "recall"};
    for (size_t m = 0; m < 10; m++) {
        struct two_classes t;
        float s[ROWS];
        double best = -INFINITY, where = NAN, got, value;
        two_classes(&t);
        for (size_t i = 0; m >= 5 && i < ROWS; i++)
            t.pred[i] = roundf(t.pred[i] * 8) / 8; /* ties */
        memcpy(s, t.pred, sizeof s);
        qsort(s, ROWS, sizeof *s, rising);
        for (size_t i = 0; i < ROWS; i++) {
            double at = i ? ((double)s[i] + (double)s[i - 1]) / 2 : (double)s[0];
            double v = metric_at(t.in, at, names_[m % 5]);
            if (i && s[i] <= s[i - 1])
                continue;
            if (v > best || (v >= best && fabs(at - 0.5) < fabs(where - 0.5))) {
                best = v;
                where = at;
            }
        }
        OK(am_threshold_choose(&t.in, am_str(names_[m % 5]), &got, &value, &err));
        NEAR(got, where);
        NEAR(value, best);
    }
}

static void threshold_edges(void **state)
{
    (void)state;
    double truth[] = {0, 1, 1, 0}, t, v;
    float pred[] = {-3, 5, 4, -2}, close[] = {0.5f, nextafterf(0.5f, 1), nextafterf(0.5f, 1), 0.5f};
    struct am_eval_input in = {
        .task = AM_TASK_BINARY, .n_rows = 4, .n_classes = 2, .truth = truth, .pred = pred};
    OK(am_threshold_choose(&in, AM_STR("f1"), &t, &v, &err)); /* scores: only 1 lies in 0..1 */
    NEAR(t, 1);
    NEAR(v, 1);
    in.pred = close; /* the midpoint is no float, and must still part them */
    OK(am_threshold_choose(&in, AM_STR("accuracy"), &t, &v, &err));
    NEAR(v, 1);
    NEAR(metric_at(in, t, "accuracy"), 1);
    OK(am_threshold_choose(&in, AM_STR("log_loss"), &t, &v, &err)); /* all tie */
    NEAR(t, 0.5);
    assert_int_equal(am_threshold_choose(&in, AM_STR("prediction_mean"), &t, &v, &err), AM_EUSAGE);
    assert_int_equal(am_threshold_choose(&in, AM_STR("nothing"), &t, &v, &err), AM_EUSAGE);
    in.n_rows = 0;
    OK(am_threshold_choose(&in, AM_STR("f1"), &t, &v, &err));
    assert_true(isnan(v) && t >= 0.5 && t <= 0.5);
    in.task = AM_TASK_REGRESSION;
    assert_int_equal(am_threshold_choose(&in, AM_STR("rmse"), &t, &v, &err), AM_EUSAGE);
}

/* ---- bootstrap ---- */

static struct am_node *bootstrap(struct am_arena *a, const struct am_eval_input *in,
                                 unsigned threads)
{
    static const struct am_str list[] = {AM_STR_INIT("accuracy"), AM_STR_INIT("roc_auc")};
    struct am_bootstrap_options o = {.seed = 3, .n_resamples = 500, .level = 0.95};
    struct am_node *out;
    if (threads)
        OK(am_pool_new(threads, &o.pool, &err));
    OK(am_bootstrap(in, list, 2, &o, a, &out, &err));
    am_pool_free(o.pool);
    return out;
}

static void bootstrap_same_bits(void **state)
{
    (void)state;
    struct two_classes t;
    struct am_arena *a = am_arena_new(0);
    struct am_buf first, b;
    two_classes(&t);
    am_buf_init(&first, 1 << 20);
    am_buf_init(&b, 1 << 20);
    am_node_to_json(bootstrap(a, &t.in, 0), AM_JSON_COMPACT, &first);
    for (unsigned threads = 1; threads <= 3; threads++) {
        am_buf_reset(&b);
        am_node_to_json(bootstrap(a, &t.in, threads), AM_JSON_COMPACT, &b);
        assert_true(am_str_eq(am_buf_view(&first), am_buf_view(&b)));
    }
    am_buf_clear(&first);
    am_buf_clear(&b);
    am_arena_free(a);
}

/* The accuracy of ROWS independent rows is binomial: the interval is near the normal one around the
 * figure, and over 60 draws of the rows it covers the truth about 57 times. */
static void bootstrap_covers(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    int covered = 0;
    for (unsigned k = 0; k < 60; k++) {
        struct two_classes t;
        struct am_rng r;
        two_classes(&t);
        am_rng_init(&r, k, AM_RNG_USER + 1);
        for (size_t i = 0; i < ROWS; i++) {
            bool right = am_rng_unit(&r) < 0.8;
            t.pred[i] = (t.truth[i] > 0.5) == right ? 0.9f : 0.1f;
        }
        const struct am_node *m = am_node_get(bootstrap(a, &t.in, 0), "accuracy");
        double value = am_node_f64(m, "value", NAN), low = am_node_f64(m, "low", NAN),
               high = am_node_f64(m, "high", NAN), se = sqrt(value * (1 - value) / ROWS);
        covered += low <= 0.8 && 0.8 <= high;
        assert_true(low < value && value < high);
        assert_true(fabs(high - low - 3.92 * se) < 0.25 * 3.92 * se);
        am_arena_reset(a);
    }
    assert_in_range(covered, 51, 60);
    am_arena_free(a);
}

static void bootstrap_edges(void **state)
{
    (void)state;
    struct two_classes t;
    struct am_arena *a = am_arena_new(0);
    const struct am_str one[] = {AM_STR_INIT("roc_auc"), AM_STR_INIT("nothing")};
    struct am_bootstrap_options o = {.seed = 3, .n_resamples = 40, .level = 0.9};
    struct am_node *out;
    two_classes(&t);
    assert_int_equal(am_bootstrap(&t.in, one, 2, &o, a, &out, &err), AM_EUSAGE);
    t.in.n_rows = 3; /* many draws have one class only */
    t.truth[0] = 1;
    t.truth[1] = t.truth[2] = 0;
    OK(am_bootstrap(&t.in, one, 1, &o, a, &out, &err));
    int64_t used = am_node_i64(am_node_get(out, "roc_auc"), "resamples", -1);
    assert_true(used > 0 && used < 40);
    t.in.n_rows = 0;
    OK(am_bootstrap(&t.in, one, 1, &o, a, &out, &err));
    assert_int_equal(out->map.n, 0);
    o.level = 1.5;
    assert_int_equal(am_bootstrap(&t.in, one, 1, &o, a, &out, &err), AM_EUSAGE);
    am_arena_free(a);
}

/* The middle half of a normal spread is 1.349 deviations wide, and lies around its middle. */
static void bootstrap_level(void **state)
{
    (void)state;
    struct two_classes t;
    struct am_arena *a = am_arena_new(0);
    const struct am_str one[] = {AM_STR_INIT("accuracy")};
    struct am_bootstrap_options o = {.seed = 3, .n_resamples = 5000, .level = 0.5};
    struct am_node *out;
    two_classes(&t);
    OK(am_bootstrap(&t.in, one, 1, &o, a, &out, &err));
    const struct am_node *m = am_node_get(out, "accuracy");
    double value = am_node_f64(m, "value", NAN), se = sqrt(value * (1 - value) / ROWS);
    assert_true(fabs((value - am_node_f64(m, "low", NAN)) / se - 0.6745) < 0.17);
    assert_true(fabs((am_node_f64(m, "high", NAN) - value) / se - 0.6745) < 0.17);
    am_arena_free(a);
}

/* ---- importance ---- */

struct two_columns {
    double truth[ROWS];
    float x[ROWS][2]; /* the first decides, the second is noise */
    float pred[ROWS];
    bool error_metric;
};

static enum am_rc score(void *ctx, size_t group, const uint32_t *perm, double *out,
                        struct am_err *e)
{
    struct two_columns *c = ctx;
    for (size_t i = 0; i < ROWS; i++)
        c->pred[i] = 0.9f * c->x[perm && group == 0 ? perm[i] : i][0] +
                     0.001f * c->x[perm && group == 1 ? perm[i] : i][1];
    struct am_eval_input in = {.task = c->error_metric ? AM_TASK_REGRESSION : AM_TASK_BINARY,
                               .n_rows = ROWS,
                               .n_classes = 2,
                               .truth = c->truth,
                               .pred = c->pred,
                               .threshold = 0.5};
    return am_metric(&in, c->error_metric ? AM_STR("rmse") : AM_STR("accuracy"), out, e);
}

static void two_columns(struct two_columns *c)
{
    struct am_rng r;
    am_rng_init(&r, 9, AM_RNG_USER);
    for (size_t i = 0; i < ROWS; i++) {
        c->truth[i] = am_rng_unit(&r) < 0.5;
        c->x[i][0] = (float)c->truth[i];
        c->x[i][1] = (float)am_rng_unit(&r);
    }
}

static void importance(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct two_columns c = {.error_metric = k};
        double mean[2], dev[2];
        struct am_importance_job job = {.n_groups = 2,
                                        .n_rows = ROWS,
                                        .n_repeats = 5,
                                        .seed = 1,
                                        .better = k ? AM_METRIC_LOWER : AM_METRIC_HIGHER,
                                        .ctx = &c,
                                        .score = score};
        two_columns(&c);
        OK(am_importance(&job, mean, dev, &err));
        assert_true(mean[0] > 0.4);
        assert_true(fabs(mean[1]) < 0.01);
        assert_true(dev[0] > 0 && dev[0] < 0.1);
        job.n_repeats = 0;
        assert_int_equal(am_importance(&job, mean, dev, &err), AM_EUSAGE);
    }
}

static enum am_rc failing(void *ctx, size_t group, const uint32_t *perm, double *out,
                          struct am_err *e)
{
    (void)ctx;
    *out = 1;
    return group == 1 && perm ? am_fail(e, AM_EIO, "no") : AM_OK;
}

static void importance_passes_errors_up(void **state)
{
    (void)state;
    double mean[3], dev[3];
    struct am_importance_job job = {.n_groups = 3, .n_rows = 4, .n_repeats = 2, .score = failing};
    assert_int_equal(am_importance(&job, mean, dev, &err), AM_EIO);
}

/* ---- curves ---- */

static double item(const struct am_node *curve, const char *key, size_t i)
{
    double v;
    assert_true(am_node_as_f64(am_node_get(curve, key)->list.items[i], &v));
    return v;
}

static void curves_keep_ends(void **state)
{
    (void)state;
    struct two_classes t;
    struct am_arena *a = am_arena_new(0);
    two_classes(&t);
    for (size_t most = 2; most <= 1000; most = most * 2 + 1) {
        const struct am_node *roc = am_curve_roc(&t.in, most, a)->list.items[0];
        const struct am_node *pr = am_curve_pr(&t.in, most, a)->list.items[0];
        size_t n = am_node_get(roc, "x")->list.n, k = am_node_get(pr, "x")->list.n;
        double base = 0;
        assert_in_range(n, most < 9 ? 2 : most < ROWS ? most / 3 : ROWS / 2, most);
        assert_in_range(k, 2, most);
        NEAR(item(roc, "x", 0), 0);
        NEAR(item(roc, "y", 0), 0);
        NEAR(item(roc, "x", n - 1), 1);
        NEAR(item(roc, "y", n - 1), 1);
        NEAR(item(pr, "x", 0), 0);
        NEAR(item(pr, "y", 0), 1);
        NEAR(item(pr, "x", k - 1), 1);
        for (size_t i = 0; i < ROWS; i++)
            base += t.truth[i] / ROWS;
        NEAR(item(pr, "y", k - 1), base);
        for (size_t i = 1; i < n; i++)
            assert_true(item(roc, "x", i) >= item(roc, "x", i - 1) &&
                        item(roc, "y", i) >= item(roc, "y", i - 1));
    }
    am_arena_free(a);
}

/* With every point kept, the trapezoids under the ROC curve are the area. */
static void roc_points_make_the_area(void **state)
{
    (void)state;
    struct two_classes t;
    struct am_arena *a = am_arena_new(0);
    double area = 0, auc;
    two_classes(&t);
    const struct am_node *c = am_curve_roc(&t.in, 1000, a)->list.items[0];
    for (size_t i = 1; i < am_node_get(c, "x")->list.n; i++)
        area +=
            (item(c, "x", i) - item(c, "x", i - 1)) * (item(c, "y", i) + item(c, "y", i - 1)) / 2;
    OK(am_metric(&t.in, AM_STR("roc_auc"), &auc, &err));
    NEAR(area, auc);
    NEAR(am_node_f64(c, "auc", 0), auc);
    am_arena_free(a);
}

static void calibration_by_hand(void **state)
{
    (void)state;
    const double truth[] = {0, 1, 1, 1, 0}, weight[] = {1, 1, 2, 1, 1};
    const float pred[] = {0.125f, 0.25f, 0.75f, 1.0f, 0.0f};
    struct am_eval_input in = {.task = AM_TASK_BINARY,
                               .n_rows = 5,
                               .n_classes = 2,
                               .truth = truth,
                               .pred = pred,
                               .weight = weight};
    struct am_arena *a = am_arena_new(0);
    const struct am_node *c = am_curve_calibration(&in, 2, a)->list.items[0];
    assert_int_equal(am_node_get(c, "x")->list.n, 2);
    NEAR(item(c, "x", 0), 0.125);
    NEAR(item(c, "y", 0), 1.0 / 3);
    NEAR(item(c, "n", 0), 3);
    NEAR(item(c, "x", 1), 2.5 / 3);
    NEAR(item(c, "y", 1), 1);
    assert_non_null(am_curve_calibration(&in, 0, a));
    assert_non_null(am_curve_calibration(&in, 1000, a));
    am_arena_free(a);
}

static void residuals_and_summary(void **state)
{
    (void)state;
    double truth[] = {1, 2, 3, 4, 1e308, 6};
    float pred[] = {1.5f, 2, 2, 4, -3e38f, 2};
    struct am_eval_input in = {.n_rows = 4, .truth = truth, .pred = pred};
    struct am_arena *a = am_arena_new(0);
    const struct am_node *m = am_residuals(&in, 2, a), *bins = am_node_get(m, "bins");
    int64_t all = 0;
    assert_in_range(am_node_get(m, "predicted")->list.n, 1, 2);
    NEAR(am_node_f64(bins, "low", 0), -0.5);
    NEAR(am_node_f64(bins, "width", 0), 0.05);
    for (size_t i = 0; i < 30; i++)
        all += (int64_t)item(bins, "n", i);
    assert_int_equal(all, 4);
    NEAR(item(bins, "n", 10), 2); /* the two zeros */
    NEAR(item(bins, "n", 29), 1); /* the largest is inside */
    in.n_rows = 6;
    assert_non_null(am_residuals(&in, 100, a));
    in.n_rows = 4;
    m = am_prediction_summary(&in, a);
    NEAR(am_node_f64(m, "mean", 0), 2.375);
    NEAR(am_node_f64(m, "median", 0), 2);
    NEAR(am_node_f64(m, "mode", 0), 2);
    NEAR(am_node_f64(m, "variance", 0), 0.921875);
    am_arena_free(a);
}

/* ---- memory ---- */

static struct two_classes rows;

static enum am_rc every_metric(void)
{
    size_t n;
    double v;
    const struct am_metric_info *m = am_metrics(&n);
    for (size_t i = 0; i < n; i++)
        if (m[i].tasks & (1u << AM_TASK_BINARY))
            AM_TRY(am_metric(&rows.in, am_str(m[i].name), &v, &err));
    return am_threshold_choose(&rows.in, AM_STR("f1"), &v, &v, &err);
}

static enum am_rc every_tree(void)
{
    static const struct am_str list[] = {AM_STR_INIT("accuracy"), AM_STR_INIT("roc_auc")};
    struct am_bootstrap_options o = {.seed = 3, .n_resamples = 20, .level = 0.95};
    struct am_arena *a = am_arena_new(0);
    struct am_node *out;
    enum am_rc rc;
    if (!a)
        return AM_ENOMEM;
    AM_GO(rc, am_metrics_node(&rows.in, list, 2, NULL, a, &out, &err));
    AM_GO(rc, am_bootstrap(&rows.in, list, 2, &o, a, &out, &err));
    const struct am_node *trees[] = {am_curve_roc(&rows.in, 50, a), am_curve_pr(&rows.in, 50, a),
                                     am_curve_calibration(&rows.in, 10, a),
                                     am_residuals(&rows.in, 50, a),
                                     am_prediction_summary(&rows.in, a)};
    rc = am_arena_check(a, &err);
    for (size_t i = 0; i < 2 && rc == AM_OK; i++) /* OK means whole */
        assert_int_equal(trees[i]->list.n, 1);
    if (rc == AM_OK)
        assert_true(am_node_f64(trees[4], "median", -1) >= 0);
out:
    am_arena_free(a);
    return rc;
}

static enum am_rc importance_call(void)
{
    static struct two_columns c;
    double mean[2], dev[2];
    struct am_importance_job job = {
        .n_groups = 2, .n_rows = ROWS, .n_repeats = 2, .ctx = &c, .score = score};
    two_columns(&c);
    return am_importance(&job, mean, dev, &err);
}

static void out_of_memory(void **state)
{
    (void)state;
    two_classes(&rows);
    rows.in.n_rows = 40;
    AM_OOM_LOOP(every_metric(), (void)0);
    AM_OOM_LOOP(every_tree(), (void)0);
    AM_OOM_LOOP(importance_call(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_as_serving),
        cmocka_unit_test(nothing_hangs_on_nan),
        cmocka_unit_test(class_out_of_range),
        cmocka_unit_test(names),
        cmocka_unit_test(metrics_tree),
        cmocka_unit_test(precedence),
        cmocka_unit_test(refusals),
        cmocka_unit_test(threshold_brute_force),
        cmocka_unit_test(threshold_edges),
        cmocka_unit_test(bootstrap_same_bits),
        cmocka_unit_test(bootstrap_covers),
        cmocka_unit_test(bootstrap_edges),
        cmocka_unit_test(bootstrap_level),
        cmocka_unit_test(importance),
        cmocka_unit_test(importance_passes_errors_up),
        cmocka_unit_test(curves_keep_ends),
        cmocka_unit_test(roc_points_make_the_area),
        cmocka_unit_test(calibration_by_hand),
        cmocka_unit_test(residuals_and_summary),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
