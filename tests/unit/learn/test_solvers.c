/* The parts under the exact solvers: L-BFGS and OWL-QN on problems with known answers, positive
 * definite and singular systems, and the row work of every instruction set beside plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "learn/dense_solve.h"
#include "learn/lbfgs.h"
#include "learn/pass.h"
#include "learn/stream.h"
#include "tests/support/faults.h"

struct quadratic { /* sum a_i (x_i - t_i)^2 / 2 */
    size_t n;
    double a[40], t[40];
    int calls, fail_at;
};

static enum am_rc eval_quadratic(void *ctx, const double *x, double *f, double *g,
                                 struct am_err *err)
{
    struct quadratic *q = ctx;
    *f = 0;
    if (++q->calls == q->fail_at)
        return am_fail(err, AM_EIO, "the test says no");
    for (size_t i = 0; i < q->n; i++) {
        double d = x[i] - q->t[i];
        *f += q->a[i] * d * d / 2;
        g[i] = q->a[i] * d;
    }
    return AM_OK;
}

static struct quadratic quadratic_of(size_t n)
{
    struct quadratic q = {.n = n};
    for (size_t i = 0; i < n; i++) {
        q.a[i] = pow(10, (double)i / (double)n * 3 - 1); /* condition 1e3 */
        q.t[i] = sin((double)i * 3) * 2;
    }
    return q;
}

static void test_smooth(void **state)
{
    struct quadratic q = quadratic_of(40);
    struct am_lbfgs_problem p = {.n = 40, .ctx = &q, .eval = eval_quadratic};
    struct am_lbfgs_options o = {500, 1e-10};
    struct am_lbfgs_result r;
    double x[40] = {0};
    (void)state;
    assert_int_equal(am_lbfgs(&p, &o, x, &r, NULL), AM_OK);
    if (!r.converged || r.iterations > 350)
        fail_msg("%d iterations, gradient %g", (int)r.iterations, r.gradient);
    for (size_t i = 0; i < 40; i++)
        assert_true(fabs(x[i] - q.t[i]) < 1e-7);
    o.max_iterations = 3;
    memset(x, 0, sizeof x);
    assert_int_equal(am_lbfgs(&p, &o, x, &r, NULL), AM_OK);
    assert_true(!r.converged && r.iterations == 3);
}

static void test_lasso(void **state)
{
    struct quadratic q = quadratic_of(40);
    double l1[40], x[40] = {0};
    struct am_lbfgs_problem p = {.n = 40, .ctx = &q, .eval = eval_quadratic, .l1 = l1};
    struct am_lbfgs_options o = {2000, 1e-10};
    struct am_lbfgs_result r;
    size_t zeros = 0;
    (void)state;
    for (size_t i = 0; i < 40; i++)
        l1[i] = i % 4 == 3 ? 0 : 1.0;
    assert_int_equal(am_lbfgs(&p, &o, x, &r, NULL), AM_OK);
    assert_true(r.converged);
    for (size_t i = 0; i < 40; i++) { /* soft threshold of t by l1 / a */
        double c = l1[i] / q.a[i], want = fabs(q.t[i]) > c ? q.t[i] - copysign(c, q.t[i]) : 0;
        if (fabs(x[i] - want) > 2e-6)
            fail_msg("x[%d] is off by %g after %d iterations", (int)i, fabs(x[i] - want),
                     (int)r.iterations);
        assert_true((want == 0) == (x[i] == 0)); /* zeros are exact */
        zeros += want == 0;
    }
    assert_true(zeros > 8);
}

static enum am_rc eval_rosenbrock(void *ctx, const double *x, double *f, double *g,
                                  struct am_err *err)
{
    double a = 1 - x[0], b = x[1] - x[0] * x[0];
    (void)ctx;
    (void)err;
    *f = a * a + 100 * b * b;
    g[0] = -2 * a - 400 * x[0] * b;
    g[1] = 200 * b;
    return AM_OK;
}

static enum am_rc eval_infinite(void *ctx, const double *x, double *f, double *g,
                                struct am_err *err)
{
    (void)ctx;
    (void)x;
    (void)err;
    *f = INFINITY;
    g[0] = 0;
    return AM_OK;
}

static void test_hard(void **state)
{
    struct am_lbfgs_problem p = {.n = 2, .eval = eval_rosenbrock};
    struct am_lbfgs_options o = {500, 1e-9};
    struct am_lbfgs_result r;
    struct quadratic q = quadratic_of(5);
    double x[5] = {-1.2, 1};
    (void)state;
    assert_int_equal(am_lbfgs(&p, &o, x, &r, NULL), AM_OK);
    assert_true(r.converged && fabs(x[0] - 1) < 1e-6 && fabs(x[1] - 1) < 1e-6);
    p = (struct am_lbfgs_problem){.n = 1, .eval = eval_infinite};
    assert_int_equal(am_lbfgs(&p, &o, x, &r, NULL), AM_EINVAL);
    p = (struct am_lbfgs_problem){.n = 5, .ctx = &q, .eval = eval_quadratic};
    q.fail_at = 4;
    assert_int_equal(am_lbfgs(&p, &o, x, &r, NULL), AM_EIO);
}

/* A = B^T B with `rows` random rows, b = A w for a known w. */
static void system_of(size_t n, size_t rows, double *a, double *b, double *w)
{
    double row[30];
    struct am_rng r;
    am_rng_init(&r, n * 100 + rows, AM_RNG_USER);
    memset(a, 0, n * n * sizeof *a);
    for (size_t k = 0; k < rows; k++) {
        for (size_t i = 0; i < n; i++)
            row[i] = am_rng_normal(&r) * pow(10, (double)(i % 5) - 2);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                a[i * n + j] += row[i] * row[j];
    }
    for (size_t i = 0; i < n; i++)
        w[i] = am_rng_normal(&r);
    for (size_t i = 0; i < n; i++) {
        b[i] = 0;
        for (size_t j = 0; j < n; j++)
            b[i] += a[i * n + j] * w[j];
    }
}

static void test_systems(void **state)
{
    static double a[900], copy[900];
    double b[30], rhs[30], w[30], norm_x = 0, norm_w = 0;
    size_t rank;
    (void)state;
    for (size_t n = 1; n <= 29; n += 4) {
        system_of(n, 3 * n, a, b, w);
        assert_int_equal(am_solve_psd(n, a, b, &rank, NULL), AM_OK);
        assert_int_equal(rank, n);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs(b[i] - w[i]) < 1e-6);
    }
    system_of(20, 7, a, b, w); /* rank 7: the equations hold, and the norm is the least */
    memcpy(copy, a, sizeof a);
    memcpy(rhs, b, sizeof b);
    assert_int_equal(am_solve_psd(20, a, b, &rank, NULL), AM_OK);
    assert_int_equal(rank, 7);
    for (size_t i = 0; i < 20; i++) {
        double s = 0;
        for (size_t j = 0; j < 20; j++)
            s += copy[i * 20 + j] * b[j];
        assert_true(fabs(s - rhs[i]) < 1e-8 * (1 + fabs(rhs[i])));
        norm_x += b[i] * b[i];
        norm_w += w[i] * w[i];
    }
    assert_true(norm_x < norm_w);
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    assert_int_equal(am_solve_psd(5, a, b, &rank, NULL), AM_OK);
    assert_true(rank == 0 && b[0] == 0 && b[4] == 0);
}

static void test_memory(void **state)
{
    double a[4] = {2, 0, 1, 2}, b[2] = {1, 1}, w[2] = {0};
    struct quadratic q = quadratic_of(5);
    struct am_lbfgs_problem p = {.n = 5, .ctx = &q, .eval = eval_quadratic};
    struct am_lbfgs_options o = {50, 1e-9};
    struct am_lbfgs_result r;
    struct am_descent_result d;
    double x[5] = {0};
    size_t rank;
    (void)state;
    AM_OOM_LOOP(am_lbfgs(&p, &o, x, &r, NULL), (void)0);
    AM_OOM_LOOP(am_solve_psd(2, a, b, &rank, NULL), (void)0);
    AM_OOM_LOOP(am_solve_elastic_net(2, a, b, 1, 0.1, 0, 10, 1e-9, w, &d, NULL), (void)0);
}

/* plain loops */
static double row_loss(const struct am_rows *r, size_t i, size_t k, const double *coef, double *d)
{
    double z[8], best = 0, sum = 0;
    size_t y = (size_t)r->y[i];
    z[0] = 0;
    for (size_t q = 0; q < (k == 1 ? 1 : k); q++) {
        double s = coef[q * (r->f + 1) + r->f];
        for (size_t j = 0; j < r->f; j++)
            s += coef[q * (r->f + 1) + j] * (double)r->x[i * r->f + j];
        z[k == 1 ? 1 : q] = s;
    }
    for (size_t q = 0; q < (k == 1 ? 2 : k); q++)
        best = z[q] > best ? z[q] : best;
    for (size_t q = 0; q < (k == 1 ? 2 : k); q++)
        sum += exp(z[q] - best);
    for (size_t q = 0; q < k; q++) {
        size_t c = k == 1 ? 1 : q;
        d[q] = exp(z[c] - best) / sum - (c == y);
    }
    return log(sum) + best - z[y];
}

static void close_to(size_t n, const double *got, const double *want, const char *what)
{
    double off = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        off = fabs(got[i] - want[i]) > off ? fabs(got[i] - want[i]) : off;
        size = fabs(want[i]) > size ? fabs(want[i]) : size;
    }
    if (!(off <= 1e-11 * (size + 1)))
        fail_msg("%s is off by %g of %g", what, off, size);
}

static float xs[300 * 43], ys[300], ws[300];
static double coef[5 * 44], got[5 * 44 + 1], want[5 * 44 + 1], square[43 * 43 + 44],
    square_want[43 * 43 + 44], tile[AM_PASS_TILE_DOUBLES + 64 * (43 + 16) + 64 * 10], mean[43];

static void check_losses(const struct am_pass *p, const struct am_rows *r, size_t k)
{
    const double class_weights[5] = {1, 0.5, 2, 1.5, 3};
    size_t row = r->f + 1;
    memset(got, 0, sizeof got);
    memset(want, 0, sizeof want);
    for (size_t i = 0; i < r->n; i++) {
        double d[8], w = (r->w ? (double)r->w[i] : 1) * class_weights[(size_t)r->y[i]];
        want[0] += w * row_loss(r, i, k, coef, d);
        for (size_t q = 0; q < k; q++) {
            for (size_t j = 0; j < r->f; j++)
                want[1 + q * row + j] += w * d[q] * (double)r->x[i * r->f + j];
            want[1 + q * row + r->f] += w * d[q];
        }
    }
    if (k == 1)
        p->logistic(r, coef, class_weights, got, tile);
    else
        p->softmax(r, k, coef, class_weights, got, tile);
    close_to(1 + k * row, got, want, p->name);
}

static void check_sums(const struct am_pass *p, const struct am_rows *r)
{
    size_t f = r->f;
    memset(got, 0, sizeof got);
    memset(want, 0, sizeof want);
    memset(square, 0, sizeof square);
    memset(square_want, 0, sizeof square_want);
    for (size_t i = 0; i < r->n; i++) {
        double w = r->w ? (double)r->w[i] : 1, y = (double)r->y[i] - 0.7;
        want[0] += w, want[1] += w * y, want[2] += w * y * y;
        square_want[f * f + f] += w * y * y;
        for (size_t a = 0; a < f; a++) {
            double v = (double)r->x[i * f + a] - mean[a];
            want[3 + a] += w * v, want[3 + f + a] += w * v * v;
            square_want[f * f + a] += w * v * y;
            for (size_t b = 0; b <= a; b++)
                square_want[a * f + b] += w * v * ((double)r->x[i * f + b] - mean[b]);
        }
    }
    p->moments(r, mean, 0.7, got);
    close_to(3 + 2 * f, got, want, "moments");
    p->gram(r, mean, 0.7, square, tile);
    for (size_t a = 0; a < f; a++)
        for (size_t b = a + 1; b < f; b++)
            square[a * f + b] = 0; /* not defined */
    close_to(f * f + f + 1, square, square_want, "gram");
}

static void test_passes(void **state)
{
    static const char *const names[] = {"ref", "avx2", "avx512"};
    const size_t widths[] = {1, 2, 7, 8, 9, 16, 20, 43}, counts[] = {0, 1, 3, 64, 65, 300};
    struct am_rng r;
    (void)state;
    am_rng_init(&r, 5, AM_RNG_USER);
    for (size_t i = 0; i < 300 * 43; i++)
        xs[i] = (float)am_rng_normal(&r) * (i % 50 == 0 ? 30 : 1);
    for (size_t i = 0; i < 5 * 44; i++)
        coef[i] = am_rng_normal(&r);
    for (size_t i = 0; i < 43; i++)
        mean[i] = am_rng_normal(&r);
    for (size_t i = 0; i < 300; i++)
        ws[i] = (float)am_rng_unit(&r);
    for (size_t t = 0; t < 3; t++) {
        const struct am_pass *p = am_pass_find(names[t]);
        for (size_t a = 0; p && a < 8; a++)
            for (size_t b = 0; b < 6; b++) {
                struct am_rows rows = {xs, ys, a % 2 ? ws : NULL, counts[b], widths[a]};
                for (size_t i = 0; i < 300; i++)
                    ys[i] = (float)(i * 7 % 2);
                check_losses(p, &rows, 1);
                check_sums(p, &rows);
                for (size_t i = 0; i < 300; i++)
                    ys[i] = (float)(i * 7 % 5);
                check_losses(p, &rows, 5);
            }
    }
    assert_non_null(am_pass_find("ref"));
    assert_null(am_pass_find("neon"));
    assert_non_null(am_pass_best());
}

static void count(void *ctx, const struct am_rows *r, double *sums, double *scratch)
{
    (void)ctx;
    scratch[0] = 1; /* there is room */
    for (size_t i = 0; i < r->n; i++) {
        sums[0] += 1;
        sums[1] += (double)r->x[i * r->f];
        sums[2] += (double)r->y[i] * (r->w ? (double)r->w[i] : 1);
    }
}

/* Every row once, for any number of blocks, threads and places. */
static void test_stream(void **state)
{
    enum { F = 300 }; /* blocks of 128 rows */
    const size_t sizes[] = {1, 127, 128, 129, 700, 2000, 20000};
    (void)state;
    for (size_t k = 0; k < 7; k++)
        for (int file = 0; file < 2; file++) {
            struct am_matrix_options o = {.memory_bytes = file ? 100000 : 0};
            struct am_matrix *m;
            float x[F] = {0}, y;
            double n = (double)sizes[k], total[3];
            if (file && k == 6)
                continue;
            assert_int_equal(am_matrix_new(F, 1, &o, &m, NULL), AM_OK);
            for (size_t i = 0; i < sizes[k]; i++) {
                x[0] = (float)(i + 1);
                y = (float)(2 * i);
                assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
            }
            assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
            for (unsigned threads = 1; threads <= 3; threads++) {
                struct am_stream s;
                struct am_pool *pool;
                assert_int_equal(am_pool_new(threads, &pool, NULL), AM_OK);
                assert_int_equal(am_stream_init(&s, am_matrix_data(m), 3, 1, pool, NULL, NULL),
                                 AM_OK);
                assert_int_equal(s.block_rows, 128);
                assert_int_equal(am_stream_sum(&s, count, NULL, total, NULL), AM_OK);
                assert_true(total[0] == n && total[1] == n * (n + 1) / 2);
                assert_true(total[2] == n * (n - 1));
                s.stride = 3;
                assert_int_equal(am_stream_sum(&s, count, NULL, total, NULL), AM_OK);
                assert_true(total[0] >= n / 3 - 128 && total[0] <= n / 3 + 128);
                am_stream_clear(&s);
                am_pool_free(pool);
            }
            am_matrix_free(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smooth), cmocka_unit_test(test_lasso),
        cmocka_unit_test(test_hard),   cmocka_unit_test(test_systems),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_passes),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
