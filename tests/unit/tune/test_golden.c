/* Against tests/golden/tune_goldens.h: Sobol's points, log expected improvement, the Gaussian
 * process, hypervolumes; and gradients against finite differences. */
#include "common.h"

#include "tests/golden/tune_goldens.h"
#include "tune/gp.h"

static void test_sobol(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_sobol_index / sizeof *golden_sobol_index; i++)
        for (uint32_t d = 0; d < TUNE_SOBOL_DIMS; d++)
            assert_int_equal(am_tune_sobol_bits(d, golden_sobol_index[i]),
                             golden_sobol[i * TUNE_SOBOL_DIMS + d]);
}

/* The shift moves all points of a dimension alike; other seeds shift otherwise. */
static void test_shift(void **state)
{
    double a[30], b[30], other[30];
    (void)state;
    am_tune_sobol(7, 1, 5, 30, a);
    am_tune_sobol(7, 1, 5, 30, b);
    am_tune_sobol(8, 1, 5, 30, other);
    for (size_t i = 0; i < 30; i++) {
        assert_true(a[i] == b[i] && a[i] > 0 && a[i] < 1 && a[i] != other[i]);
    }
    /* 16 points fall into 16 sixteenths in each dimension of the table */
    for (size_t d = 0; d < TUNE_SOBOL_DIMS; d++) {
        unsigned bins = 0;
        for (uint32_t i = 0; i < 16; i++) {
            am_tune_sobol(7, 1, i, 30, a);
            bins |= 1u << (unsigned)(a[d] * 16);
        }
        assert_int_equal(bins, 0xffff);
    }
}

static void test_log_ei(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_log_ei / sizeof *golden_log_ei; i += 6) {
        const double *g = golden_log_ei + i;
        double by_mean, by_sd, v = am_log_ei(g[0], g[1], g[2], &by_mean, &by_sd);
        double loose = fabs((g[2] - g[0]) / g[1]) > 1e3 ? 1e-6 : 1e-9;
        if (!(fabs(v - g[3]) <= 1e-12 * fabs(g[3]) + 1e-9) ||
            !(fabs(by_mean - g[4]) <= loose * fabs(g[4])) ||
            !(fabs(by_sd - g[5]) <= loose * fabs(g[5])))
            fail_msg("mean %g, sd %g, f0 %g: %.17g %.17g %.17g", g[0], g[1], g[2], v, by_mean,
                     by_sd);
    }
    /* no step where the branches meet */
    for (double z = -5.0001; z < -4.9999; z += 1e-5)
        assert_true(fabs(am_log_ei(-z, 1, 0, NULL, NULL) - am_log_ei(-z + 1e-9, 1, 0, NULL, NULL)) <
                    1e-7);
}

static void test_log_phi(void **state)
{
    (void)state;
    for (double z = -40; z < 5; z += 0.37) {
        double slope, unused, h = 1e-5;
        double up = am_log_phi(z + h, &unused), down = am_log_phi(z - h, &unused);
        (void)am_log_phi(z, &slope);
        assert_true(fabs(slope - (up - down) / (2 * h)) < 1e-5 * (1 + fabs(slope)));
    }
}

static struct tune_gp golden_gp(struct am_arena *a)
{
    static const uint8_t hamming[3] = {0, 0, 1};
    struct tune_gp gp;
    OK(am_gp_init(&gp, a, 12, 3, hamming, &err));
    memcpy(gp.x, golden_gp_x, sizeof golden_gp_x);
    memcpy(gp.y, golden_gp_y, sizeof golden_gp_y);
    memcpy(gp.p, golden_gp_p, sizeof golden_gp_p);
    gp.n = 12;
    am_gp_pairs(&gp);
    return gp;
}

static void test_gp(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct tune_gp gp = golden_gp(a);
    double gradient[5], work[12 * 9], mean[8], variance[8], m, v;
    (void)state;
    assert_true(fabs(am_gp_loss(&gp, gp.p, gradient) - golden_gp_loss[0]) < 1e-9);
    assert_true(am_gp_factor(&gp));
    am_gp_predict8(&gp, golden_gp_at, mean, variance, work);
    for (size_t i = 0; i < 9; i++) {
        am_gp_predict(&gp, golden_gp_at + i * 3, &m, &v, work);
        assert_true(fabs(m - golden_gp_mean[i]) < 1e-9);
        assert_true(fabs(v - golden_gp_variance[i]) < 1e-9);
        if (i < 8)
            assert_true(fabs(mean[i] - m) < 1e-10 && fabs(variance[i] - v) < 1e-10);
    }
    am_arena_free(a);
}

static void test_gp_gradients(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct tune_gp gp = golden_gp(a);
    double p[5], g[5], unused[5], work[36], m, v, up, down, dm[3], dv[3], at[3], mu, mv, md, vd;
    const double h = 1e-5;
    (void)state;
    (void)am_gp_loss(&gp, golden_gp_p, g);
    for (size_t i = 0; i < 5; i++) {
        memcpy(p, golden_gp_p, sizeof p);
        p[i] += h;
        up = am_gp_loss(&gp, p, unused);
        p[i] -= 2 * h;
        down = am_gp_loss(&gp, p, unused);
        assert_true(fabs(g[i] - (up - down) / (2 * h)) < 1e-6 * (1 + fabs(g[i])));
    }
    assert_true(am_gp_factor(&gp));
    for (size_t k = 0; k < 9; k++) {
        am_gp_slope(&gp, golden_gp_at + k * 3, &m, &v, dm, dv, work);
        for (size_t i = 0; i < 2; i++) {
            memcpy(at, golden_gp_at + k * 3, sizeof at);
            at[i] += h;
            am_gp_predict(&gp, at, &mu, &v, work);
            mv = v;
            at[i] -= 2 * h;
            am_gp_predict(&gp, at, &md, &v, work);
            vd = v;
            assert_true(fabs(dm[i] - (mu - md) / (2 * h)) < 1e-6 * (1 + fabs(dm[i])));
            assert_true(fabs(dv[i] - (mv - vd) / (2 * h)) < 1e-6 * (1 + fabs(dv[i])));
        }
    }
    am_arena_free(a);
}

/* The fit comes near the minimum that the minimiser finds when asked for all digits, where the
 * gradient is 0. */
static void test_gp_fit(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct tune_gp gp = golden_gp(a);
    static const double start[5] = {0, 0, 0, 0, -5};
    static const double low[5] = {-9, -9, -9, -9, -14}, high[5] = {9, 9, 9, 9, 0};
    double g[5], p[5], work[5 * TUNE_MINIMIZE_WORK], fitted, least;
    double first = am_gp_loss(&gp, start, g);
    (void)state;
    am_gp_fit(&gp, NULL);
    fitted = am_gp_loss(&gp, gp.p, g);
    memcpy(p, start, sizeof p);
    least = am_tune_minimize(am_gp_loss, &gp, 5, p, low, high, 500, 1e-15, work);
    (void)am_gp_loss(&gp, p, g);
    for (size_t i = 0; i < 5; i++)
        assert_true(fabs(g[i]) < 1e-3);
    assert_true(first > least + 1);
    assert_true(fitted < least + 0.02 * (first - least));
    am_arena_free(a);
}

static double rosenbrock(void *ctx, const double *x, double *g)
{
    double a = x[1] - x[0] * x[0], b = 1 - x[0];
    ++*(int *)ctx;
    g[0] = -400 * x[0] * a - 2 * b;
    g[1] = 200 * a;
    return 100 * a * a + b * b;
}

static void test_minimize(void **state)
{
    double x[2] = {-1.2, 1}, low[2] = {-5, -5}, high[2] = {5, 5}, work[2 * TUNE_MINIMIZE_WORK];
    int calls = 0;
    (void)state;
    assert_true(am_tune_minimize(rosenbrock, &calls, 2, x, low, high, 200, 1e-14, work) < 1e-9);
    assert_true(calls < 150);
    x[0] = -1.2; /* the box cuts the minimum off: on its edge then */
    x[1] = 1;
    high[0] = 0.5;
    (void)am_tune_minimize(rosenbrock, &calls, 2, x, low, high, 200, 1e-14, work);
    assert_true(x[0] == 0.5 && fabs(x[1] - 0.25) < 1e-4);
}

static void check_volume(const double *points, size_t m, double want)
{
    double copy[32], reference[4] = {1.1, 1.1, 1.1, 1.1}, work[36 * 4];
    uint32_t order[8];
    memcpy(copy, points, 8 * m * sizeof *copy);
    assert_true(fabs(am_tune_volume(copy, 8, m, reference, work, order) - want) < 1e-12);
}

static void test_volume(void **state)
{
    (void)state;
    check_volume(golden_points2, 2, golden_volume2[0]);
    check_volume(golden_points3, 3, golden_volume3[0]);
    check_volume(golden_points4, 4, golden_volume4[0]);
}

static void test_ranks(void **state)
{
    static const double f[] = {1, 4, 2, 2, 4, 1, 3, 3, 4, 4, 1, 4, 0, 0};
    static const double v[] = {0, 0, 0, 0, 0, 0, 2};
    static const uint32_t want[] = {0, 0, 0, 1, 2, 0, 3};
    uint32_t rank[7], order[7];
    double crowd[7];
    (void)state;
    am_tune_rank(f, v, 7, 2, rank);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(rank[i], want[i]);
    am_tune_crowding(f, rank, 7, 2, order, crowd);
    assert_true(isinf(crowd[2]) && crowd[1] == 2 && isinf(crowd[3]) && isinf(crowd[6]));
    am_tune_rank(f, NULL, 7, 2, rank);
    assert_true(rank[6] == 0 && rank[0] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sobol),  cmocka_unit_test(test_shift),
        cmocka_unit_test(test_log_ei), cmocka_unit_test(test_log_phi),
        cmocka_unit_test(test_gp),     cmocka_unit_test(test_gp_gradients),
        cmocka_unit_test(test_gp_fit), cmocka_unit_test(test_minimize),
        cmocka_unit_test(test_volume), cmocka_unit_test(test_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
