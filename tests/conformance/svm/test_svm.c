/* The conformance suite of the port for support vector machines (struct am_svm_ops of learn/svm.h):
 * every driver must pass it. Run with the module's name as argument: svm-liblinear, svm-libsvm.
 *
 * What a linear machine of two classes must be is known from the optimality conditions; the same
 * problem given dense, sparse and with repeated rows must give the same machine. */
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "learn/svm.h"
#include "tests/conformance/driver.h"
#include "tests/support/faults.h"

#define N 60
#define F 4

static const char *driver;
static const struct am_svm_ops *ops;
static struct am_err err;
static float x[N * F];
static double two[N], three[N], number[N];
static uint32_t all[N];

/* A fixed table: classes lie along the columns, with some overlap. */
static int setup(void **state)
{
    (void)state;
    ops = open_driver(driver, sizeof *ops);
    if (!ops)
        return -1;
    for (size_t i = 0; i < N; i++) {
        all[i] = (uint32_t)i;
        three[i] = (double)(i % 3);
        two[i] = (double)(i % 2);
        for (size_t j = 0; j < F; j++)
            x[i * F + j] = (float)(sin((double)(i * F + j) * 1.7) +
                                   (j == i % 3 ? 1.2 : 0) * (j < 3) + (j == 3) * (double)(i % 2));
        if (i % 5 == 0)
            x[i * F + 1] = 0; /* not stored in sparse rows */
        number[i] = 2 * (double)x[i * F] - (double)x[i * F + 3] + 0.1 * sin((double)i);
    }
    return ops->start(am_host_table(), &err) == AM_OK ? 0 : -1;
}

static const struct am_svm_options usual = {.c = 1,
                                            .epsilon = 0.05,
                                            .tolerance = 1e-8,
                                            .loss = AM_SVM_SQUARED,
                                            .bias = true,
                                            .kernel = AM_SVM_KERNEL_RBF,
                                            .gamma = 0.3,
                                            .degree = 2,
                                            .cache_bytes = 1 << 20,
                                            .seed = 7};

static struct am_svm_problem problem(const double *y, size_t n_classes)
{
    return (struct am_svm_problem){
        .n = N, .n_features = F, .x = x, .rows = all, .y = y, .n_classes = n_classes};
}

static void clear(struct am_svm_result *r)
{
    am_free(r->weights);
    am_free(r->support);
    am_free(r->coef);
}

static double decide(const struct am_svm_result *r, size_t output, size_t i)
{
    double s;
    if (r->weights) {
        s = r->weights[output * (F + 1) + F];
        for (size_t j = 0; j < F; j++)
            s += r->weights[output * (F + 1) + j] * (double)x[i * F + j];
        return s;
    }
    s = r->coef[output * (r->n_support + 1) + r->n_support];
    for (size_t v = 0; v < r->n_support; v++) {
        double d = 0;
        for (size_t j = 0; j < F; j++)
            d += pow((double)x[i * F + j] - (double)x[r->support[v] * F + j], 2);
        s += r->coef[output * (r->n_support + 1) + v] * exp(-usual.gamma * d);
    }
    return s;
}

static void must_train(const struct am_svm_problem *p, const struct am_svm_options *o,
                       struct am_svm_result *out)
{
    if (ops->train(p, o, out, &err) != AM_OK)
        fail_msg("%s", err.message);
}

static void test_classes(void **state)
{
    (void)state;
    const struct am_svm_problem p2 = problem(two, 2), p3 = problem(three, 3);
    struct am_svm_result r;
    size_t right = 0;
    must_train(&p2, &usual, &r);
    assert_int_equal(r.n_outputs, 1);
    for (size_t i = 0; i < N; i++)
        right += (decide(&r, 0, i) > 0) == (two[i] == 1);
    assert_true(right > N * 3 / 4);
    clear(&r);
    must_train(&p3, &usual, &r);
    assert_int_equal(r.n_outputs, 3);
    right = 0;
    for (size_t i = 0; i < N; i++) {
        const double f[3] = {decide(&r, 0, i), decide(&r, 1, i), decide(&r, 2, i)};
        size_t best = f[1] > f[0] ? (f[2] > f[1] ? 2 : 1) : (f[2] > f[0] ? 2 : 0);
        if (!r.weights) { /* pairs (0,1), (0,2), (1,2) */
            const int votes[3] = {(f[0] > 0) + (f[1] > 0), (f[0] <= 0) + (f[2] > 0),
                                  (f[1] <= 0) + (f[2] <= 0)};
            best =
                votes[1] > votes[0] ? (votes[2] > votes[1] ? 2 : 1) : (votes[2] > votes[0] ? 2 : 0);
        }
        right += best == (size_t)three[i];
    }
    assert_true(right > N * 2 / 3);
    clear(&r);
}

static void test_numbers(void **state)
{
    (void)state;
    const struct am_svm_problem p = problem(number, 0);
    struct am_svm_result r;
    double worst = 0;
    struct am_svm_options o = usual;
    o.c = 100;
    must_train(&p, &o, &r);
    assert_int_equal(r.n_outputs, 1);
    for (size_t i = 0; i < N; i++)
        worst = fmax(worst, fabs(decide(&r, 0, i) - number[i]));
    assert_true(worst < 0.5);
    clear(&r);
}

static void same(const struct am_svm_result *a, const struct am_svm_result *b, double most)
{
    for (size_t i = 0; i < N; i++)
        if (!(fabs(decide(a, 0, i) - decide(b, 0, i)) <= most))
            fail_msg("row %zu: %.17g and %.17g", i, decide(a, 0, i), decide(b, 0, i));
}

/* Sparse rows, the same call twice, and rows given twice at half of c. */
static void test_forms(void **state)
{
    (void)state;
    struct am_csr_buf b = {.n_cols = F};
    struct am_svm_problem p = problem(two, 2), sparse = p, twice = p;
    struct am_svm_result dense, other;
    struct am_svm_options half = usual;
    uint32_t rows[2 * N];
    double y[2 * N];
    am_csr_reset(&b, F);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(am_csr_push_dense(&b, x + i * F, &err), AM_OK);
        rows[2 * i] = rows[2 * i + 1] = (uint32_t)i;
        y[2 * i] = y[2 * i + 1] = two[i];
    }
    const struct am_csr csr = am_csr_of(&b);
    sparse.x = NULL;
    sparse.sparse = &csr;
    must_train(&p, &usual, &dense);
    must_train(&sparse, &usual, &other);
    same(&dense, &other, 0);
    clear(&other);
    must_train(&p, &usual, &other);
    same(&dense, &other, 0);
    clear(&other);
    twice.n = 2 * N;
    twice.rows = rows;
    twice.y = y;
    half.c = usual.c / 2;
    must_train(&twice, &half, &other);
    same(&dense, &other, 1e-5);
    clear(&other);
    clear(&dense);
    am_csr_clear(&b);
}

/* A class that weighs more is predicted more. */
static void test_class_weights(void **state)
{
    (void)state;
    const double heavy[2] = {1, 50};
    const struct am_svm_problem p = problem(two, 2);
    struct am_svm_options o = usual;
    struct am_svm_result plain, weighted;
    size_t more = 0, before = 0;
    must_train(&p, &usual, &plain);
    o.class_weights = heavy;
    must_train(&p, &o, &weighted);
    for (size_t i = 0; i < N; i++) {
        before += decide(&plain, 0, i) > 0;
        more += decide(&weighted, 0, i) > 0;
    }
    assert_true(more > before);
    clear(&plain);
    clear(&weighted);
}

static int asked;
static bool stop_later(void *ctx)
{
    return ++asked > *(int *)ctx;
}

/* Cancelled in the middle: clean, and the next training is as ever. */
static void test_cancel(void **state)
{
    (void)state;
    const struct am_svm_problem p = problem(two, 2);
    struct am_svm_options o = usual;
    struct am_svm_result r, again;
    must_train(&p, &usual, &r);
    for (int after = 0; after < 3; after++) {
        asked = 0;
        o.canceled = stop_later;
        o.ctx = &after;
        o.loss = AM_SVM_HINGE;
        enum am_rc rc = ops->train(&p, &o, &again, &err);
        if (after == 0)
            assert_int_equal(rc, AM_ECANCELED);
        if (rc == AM_OK)
            clear(&again);
        else
            assert_true(!again.weights && !again.coef && !again.support);
    }
    assert_true(asked > 0);
    must_train(&p, &usual, &again);
    same(&r, &again, 0);
    clear(&again);
    clear(&r);
}

static enum am_rc train_once(const struct am_svm_problem *p)
{
    struct am_svm_result r;
    enum am_rc rc = ops->train(p, &usual, &r, &err);
    if (rc == AM_OK)
        clear(&r);
    return rc;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    const struct am_svm_problem p2 = problem(two, 2), p3 = problem(three, 3),
                                p = problem(number, 0);
    AM_OOM_LOOP(train_once(&p2), (void)0);
    AM_OOM_LOOP(train_once(&p3), (void)0);
    AM_OOM_LOOP(train_once(&p), (void)0);
}

static void test_refused(void **state)
{
    (void)state;
    struct am_svm_problem p = problem(two, 2);
    struct am_svm_options o = usual;
    struct am_svm_result r;
    o.c = -1;
    assert_int_equal(ops->train(&p, &o, &r, &err), AM_EINVAL);
    o = usual;
    o.tolerance = 0;
    assert_int_equal(ops->train(&p, &o, &r, &err), AM_EINVAL);
    p.n = 1; /* one class of two */
    assert_int_equal(ops->train(&p, &usual, &r, &err), AM_EINVAL);
    p.n = 0;
    assert_int_equal(ops->train(&p, &usual, &r, &err), AM_ELIMIT);
}

/* Several threads at once: each waits its turn, all get the same machine; nothing is printed. */
struct many {
    struct am_svm_result r[8];
    enum am_rc rc[8];
};
static void train_part(void *ctx, size_t begin, size_t end)
{
    struct many *m = ctx;
    const struct am_svm_problem p = problem(two, 2);
    struct am_err mine;
    for (size_t i = begin; i < end; i++)
        m->rc[i] = ops->train(&p, &usual, &m->r[i], &mine);
}

static void test_threads(void **state)
{
    (void)state;
    struct am_pool *pool;
    struct many m = {0};
    int out[2], kept = dup(1);
    char said[64];
    fflush(stdout);
    assert_int_equal(pipe2(out, O_NONBLOCK), 0);
    dup2(out[1], 1);
    assert_int_equal(am_pool_new(3, &pool, &err), AM_OK);
    am_pool_for(pool, 8, 1, train_part, &m);
    fflush(stdout);
    dup2(kept, 1);
    close(kept);
    assert_true(read(out[0], said, sizeof said) <= 0);
    close(out[0]);
    close(out[1]);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(m.rc[i], AM_OK);
        same(&m.r[0], &m.r[i], 0);
    }
    for (size_t i = 0; i < 8; i++)
        clear(&m.r[i]);
    am_pool_free(pool);
    assert_non_null(strstr(ops->version(), "LIB"));
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "svm-liblinear";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_class_weights),
        cmocka_unit_test(test_cancel),  cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
