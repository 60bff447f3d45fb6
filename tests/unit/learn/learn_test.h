/* Shared by the tests of learners: the example tables, standard scaling, tasks from YAML. */
#ifndef AM_TESTS_LEARN_TEST_H
#define AM_TESTS_LEARN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/num.h"
#include "base/pool.h"
#include "learn/learn.h"
#include "nn/session.h"
#include "tests/support/faults.h"

#define MAX_ROWS 600
#define MAX_FEATURES 40

struct table {
    size_t n, f, n_classes; /* n_classes 0 = regression */
    double x[MAX_ROWS][MAX_FEATURES];
    double y[MAX_ROWS];
};

static const char *golden_path, *examples_path;

static inline struct am_node *parse_yaml(struct am_arena *a, const char *text)
{
    struct am_node *n;
    if (!text[0])
        return NULL;
    assert_int_equal(am_yaml_parse(a, am_str(text), "test", &n, NULL), AM_OK);
    return n;
}

static inline struct am_node *load_goldens(struct am_arena *a)
{
    struct am_buf b;
    struct am_node *n;
    am_buf_init(&b, 4 << 20);
    assert_int_equal(am_fs_read_file(golden_path, &b, NULL), AM_OK);
    assert_int_equal(am_json_parse(a, am_buf_view(&b), "goldens", &n, NULL), AM_OK);
    am_buf_clear(&b);
    return n;
}

/* The last column is the target; texts become indices in byte order. */
static inline void load_table(const char *name, struct table *t)
{
    struct am_buf b;
    struct am_str labels[16], cells[MAX_ROWS];
    char path[512];
    size_t at = 0, row = 0, n_labels = 0;
    memset(t, 0, sizeof *t);
    (void)snprintf(path, sizeof path, "%s/%s.csv", examples_path, name);
    am_buf_init(&b, 1 << 20);
    assert_int_equal(am_fs_read_file(path, &b, NULL), AM_OK);
    while (b.ptr[at] != '\n')
        at++;
    for (at++; at < b.len; row++) {
        size_t col = 0;
        for (bool last = false; !last; col++) {
            size_t end = at;
            while (b.ptr[end] != ',' && b.ptr[end] != '\n')
                end++;
            last = b.ptr[end] == '\n';
            cells[row] = (struct am_str){b.ptr + at, end - at};
            if (!last)
                assert_true(am_parse_double(cells[row], AM_NUM_FINITE, &t->x[row][col]));
            at = end + 1;
        }
        t->f = col - 1;
    }
    t->n = row;
    for (size_t i = 0; i < t->n; i++) {
        size_t k = 0;
        if (am_parse_double(cells[i], AM_NUM_FINITE, &t->y[i]))
            continue;
        while (k < n_labels && am_str_cmp(labels[k], cells[i]) < 0)
            k++;
        if (k < n_labels && am_str_eq(labels[k], cells[i]))
            continue;
        memmove(labels + k + 1, labels + k, (n_labels - k) * sizeof *labels);
        labels[k] = cells[i];
        n_labels++;
    }
    for (size_t i = 0; n_labels && i < t->n; i++)
        for (size_t k = 0; k < n_labels; k++)
            if (am_str_eq(labels[k], cells[i]))
                t->y[i] = (double)k;
    t->n_classes = n_labels;
    am_buf_clear(&b);
}

/* Standard scaling by the rows with part[i] != skip (all when part is NULL). */
static inline void scale_table(const struct table *t, const char *part, char skip,
                               struct table *out)
{
    *out = *t;
    for (size_t j = 0; j < t->f; j++) {
        double mean = 0, var = 0, n = 0;
        for (size_t i = 0; i < t->n; i++)
            if (!part || part[i] != skip) {
                mean += t->x[i][j];
                n++;
            }
        mean /= n;
        for (size_t i = 0; i < t->n; i++)
            if (!part || part[i] != skip)
                var += (t->x[i][j] - mean) * (t->x[i][j] - mean);
        var = var > 0 ? sqrt(var / n) : 1;
        for (size_t i = 0; i < t->n; i++)
            out->x[i][j] = (double)(float)((t->x[i][j] - mean) / var);
    }
}

/* Rows with part[i] != skip when want_skipped is false, else the others. */
static inline struct am_matrix *matrix_of(const struct table *t, const char *part, char skip,
                                          bool others, bool weights, size_t memory)
{
    struct am_matrix_options o = {.memory_bytes = memory,
                                  .weights = weights ? AM_MATRIX_WEIGHTS : AM_MATRIX_NO_WEIGHTS};
    struct am_matrix *m;
    assert_int_equal(am_matrix_new(t->f, 1, &o, &m, NULL), AM_OK);
    for (size_t i = 0; i < t->n; i++) {
        float x[MAX_FEATURES], y = (float)t->y[i], w = (float)(1 + (double)(i * 7 % 5)) / 2;
        if (part && (part[i] == skip) != others)
            continue;
        for (size_t j = 0; j < t->f; j++)
            x[j] = (float)t->x[i][j];
        assert_int_equal(am_matrix_append(m, 1, x, &y, &w, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static inline struct am_learn_task task_of(struct am_arena *a, const struct table *t,
                                           const struct am_matrix *m, const char *model,
                                           const char *train)
{
    struct am_learn_task k = {.task = t->n_classes == 0   ? AM_TASK_REGRESSION
                                      : t->n_classes == 2 ? AM_TASK_BINARY
                                                          : AM_TASK_MULTICLASS,
                              .n_classes = t->n_classes,
                              .n_features = t->f,
                              .train = m ? am_matrix_data(m) : NULL,
                              .model = parse_yaml(a, model),
                              .train_spec = parse_yaml(a, train),
                              .seed = 42};
    return k;
}

/* Must succeed. */
static inline struct am_learned fit_task(struct am_arena *a, const struct am_learn_task *t)
{
    struct am_learned l;
    struct am_err err = {0};
    if (am_learner_fit(t, &l, a, &err) != AM_OK)
        fail_msg("%s", err.message);
    return l;
}

/* For loops of failures: in an arena of its own, since one that ran out stays so. */
static inline enum am_rc fit_and_forget(const struct am_learn_task *t)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_err err;
    if (!a)
        return AM_ENOMEM;
    enum am_rc rc = am_learner_fit(t, &l, a, &err);
    if (rc == AM_OK)
        am_learned_clear(&l);
    am_arena_free(a);
    return rc;
}

/* y of n rows x. */
static inline void run_rows(const struct am_learned *l, const float *x, size_t n, float *y)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = n};
    struct am_plan *plan;
    struct am_session *s;
    assert_int_equal(am_plan_build(l->graph, l->params, &o, &plan, NULL), AM_OK);
    assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
    assert_int_equal(am_session_run(s, n, x, y, NULL), AM_OK);
    am_session_free(s);
    am_plan_put(plan);
}

/* Predictions of all rows of m: y [n, outputs]; returns the number of outputs. */
static inline size_t predict(const struct am_learned *l, const struct am_matrix *m, float *y)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 64};
    struct am_plan *p;
    struct am_session *s;
    const struct am_train_data *d = am_matrix_data(m);
    size_t k;
    assert_int_equal(am_plan_build(l->graph, l->params, &o, &p, NULL), AM_OK);
    assert_int_equal(am_session_new(p, NULL, &s, NULL), AM_OK);
    k = am_plan_n_outputs(p);
    for (uint64_t r = 0; r < d->n_rows; r += 64) {
        float x[64 * MAX_FEATURES];
        uint64_t rows[64];
        size_t n = d->n_rows - r < 64 ? (size_t)(d->n_rows - r) : 64;
        for (size_t i = 0; i < n; i++)
            rows[i] = r + i;
        assert_int_equal(d->gather(d->self, rows, n, x, NULL, NULL, NULL), AM_OK);
        assert_int_equal(am_session_run(s, n, x, y + r * k, NULL), AM_OK);
    }
    am_session_free(s);
    am_plan_put(p);
    return k;
}

/* Accuracy, or R^2 for numbers. */
static inline double score(const struct am_learned *l, const struct am_matrix *m, size_t n_classes)
{
    static float y[MAX_ROWS * 16];
    float target[MAX_ROWS];
    uint64_t rows[MAX_ROWS];
    const struct am_train_data *d = am_matrix_data(m);
    size_t k = predict(l, m, y), n = (size_t)d->n_rows, right = 0;
    double mean = 0, rss = 0, tss = 0;
    for (size_t i = 0; i < n; i++)
        rows[i] = i;
    assert_int_equal(d->gather(d->self, rows, n, NULL, target, NULL, NULL), AM_OK);
    for (size_t i = 0; i < n; i++)
        mean += (double)target[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < k; c++)
            best = y[i * k + c] > y[i * k + best] ? c : best;
        if (n_classes == 2)
            best = y[i] > 0.5f;
        right += best == (size_t)target[i];
        rss += ((double)target[i] - (double)y[i]) * ((double)target[i] - (double)y[i]);
        tss += ((double)target[i] - mean) * ((double)target[i] - mean);
    }
    return n_classes ? (double)right / (double)n : 1 - rss / tss;
}

#endif
