/* Streaming statistics against two passes over all values: moments, quantiles within their bound,
 * merges, mode. */
#include "table.h"

#include <stdlib.h>

#include "feature/stats.h"
#include "tests/support/faults.h"

#define N 200000

static double values[N];

static void fill_values(int kind)
{
    for (size_t i = 0; i < N; i++) {
        double u = ldexp((double)(draw(i, 40) >> 11), -53);
        values[i] = kind == 0   ? (double)i
                    : kind == 1 ? (double)(N - i)
                    : kind == 2 ? u * u * 1e6
                                : floor(u * 10);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void one_pass_equals_two(void **state)
{
    (void)state;
    static const double shifts[] = {0, 1e6, -1e12};
    for (size_t k = 0; k < 3; k++) {
        struct am_moments m;
        am_moments_init(&m);
        fill_values(2);
        long double mean = 0, m2 = 0;
        for (size_t i = 0; i < N; i++) {
            values[i] += shifts[k];
            am_moments_add(&m, values[i]);
            mean += values[i];
        }
        mean /= N;
        for (size_t i = 0; i < N; i++)
            m2 += (values[i] - mean) * (values[i] - mean);
        am_moments_repeat(&m, 3, 0); /* only ends the block */
        assert_int_equal(m.n, N);
        assert_true(fabs(m.mean - (double)mean) <= 1e-14 * fabs((double)mean));
        assert_true(fabs(am_moments_variance(&m) - (double)(m2 / N)) <= 1e-11 * (double)(m2 / N));
    }
}

static void repeat_equals_adding(void **state)
{
    (void)state;
    struct am_moments a, b;
    am_moments_init(&a);
    am_moments_init(&b);
    for (int i = 0; i < 1000; i++) {
        am_moments_add(&a, i % 7);
        am_moments_add(&b, i % 7);
    }
    for (int i = 0; i < 500; i++)
        am_moments_add(&a, 11);
    am_moments_flush(&a);
    am_moments_repeat(&b, 11, 500);
    assert_true(fabs(a.mean - b.mean) < 1e-14 && fabs(a.m2 - b.m2) < 1e-9 * a.m2);
    assert_true(a.max == 11 && b.max == 11 && a.min == 0 && b.min == 0);
}

/* Worst distance of the sketch's quantiles from their true ranks. */
static double worst_rank_error(const struct am_quantile *q)
{
    double worst = 0;
    qsort(values, N, sizeof *values, by_value);
    for (int k = 0; k <= 1000; k++) {
        double p = k / 1000.0, v = am_quantile_at(q, p), at = p * (N - 1);
        size_t lo = 0, hi = 0;
        while (lo < N && values[lo] < v)
            lo++;
        hi = lo;
        while (hi < N && values[hi] <= v)
            hi++;
        double e = at < (double)lo ? (double)lo - at : at > (double)hi ? at - (double)hi : 0;
        worst = e > worst ? e : worst;
    }
    return worst;
}

static void quantiles_are_exact_up_to_kept(void **state)
{
    (void)state;
    struct am_quantile q;
    fill_values(2);
    am_quantile_init(&q, N);
    for (size_t i = 0; i < N; i++)
        OK(am_quantile_add(&q, values[i], &err));
    OK(am_quantile_end(&q, 0, 0, &err));
    qsort(values, N, sizeof *values, by_value);
    assert_true(am_quantile_at(&q, 0) == values[0] && am_quantile_at(&q, 1) == values[N - 1]);
    assert_true(am_quantile_at(&q, 0.5) == (values[N / 2 - 1] + values[N / 2]) / 2);
    OK(am_quantile_end(&q, values[0], N, &err)); /* as many rows again of the smallest value */
    assert_true(am_quantile_at(&q, 0.25) == values[0] && am_quantile_at(&q, 1) == values[N - 1]);
    am_quantile_clear(&q);
}

static void sketch_keeps_its_bound(void **state)
{
    (void)state;
    const size_t kept = 1024;
    const double bound = N * ceil(log2((double)N / (double)kept)) / (double)kept;
    for (int kind = 0; kind < 4; kind++) {
        struct am_quantile q, parts[3];
        fill_values(kind);
        am_quantile_init(&q, kept);
        for (int k = 0; k < 3; k++)
            am_quantile_init(&parts[k], kept);
        for (size_t i = 0; i < N; i++) {
            OK(am_quantile_add(&q, values[i], &err));
            OK(am_quantile_add(&parts[i < 1000 ? 0 : i < N / 2 ? 1 : 2], values[i], &err));
        }
        OK(am_quantile_merge(&parts[0], &parts[1], &err));
        OK(am_quantile_merge(&parts[0], &parts[2], &err));
        OK(am_quantile_end(&q, 0, 0, &err));
        OK(am_quantile_end(&parts[0], 0, 0, &err));
        assert_int_equal(q.rank_ends[q.n_sorted - 1], N);
        assert_int_equal(parts[0].rank_ends[parts[0].n_sorted - 1], N);
        assert_true(worst_rank_error(&q) <= bound);
        assert_true(worst_rank_error(&parts[0]) <= bound);
        assert_true(am_quantile_at(&q, 0) == values[0] && am_quantile_at(&q, 1) == values[N - 1]);
        am_quantile_clear(&q);
        for (int k = 0; k < 3; k++)
            am_quantile_clear(&parts[k]);
    }
}

static void sketches_must_match(void **state)
{
    (void)state;
    struct am_quantile a, b;
    am_quantile_init(&a, 8);
    am_quantile_init(&b, 16);
    assert_int_equal(am_quantile_merge(&a, &b, &err), AM_EINVAL);
}

static void labels_sort_by_value_or_bytes(void **state)
{
    (void)state;
    struct am_label a[] = {
        {.text = AM_STR_INIT("10")}, {.text = AM_STR_INIT("9")}, {.text = AM_STR_INIT("-1e1")}};
    am_labels_sort(a, 3);
    assert_true(am_str_is(a[0].text, "-1e1") && am_str_is(a[2].text, "10"));
    struct am_label b[] = {{.text = AM_STR_INIT("10")},
                           {.text = AM_STR_INIT("9")},
                           {.text = AM_STR_INIT("B")},
                           {.text = AM_STR_INIT("a")}};
    am_labels_sort(b, 4);
    assert_true(am_str_is(b[0].text, "10") && am_str_is(b[1].text, "9") &&
                am_str_is(b[3].text, "a"));
}

static enum am_rc sketch_life(void)
{
    struct am_quantile q;
    struct am_counts c;
    am_quantile_init(&q, 64);
    enum am_rc rc = AM_OK;
    size_t index;
    for (size_t i = 0; i < 1000 && rc == AM_OK; i++)
        rc = am_quantile_add(&q, (double)(i * 7 % 100), &err);
    if (rc == AM_OK)
        rc = am_quantile_end(&q, 1, 1, &err);
    am_quantile_clear(&q);
    if (rc == AM_OK)
        rc = am_counts_init(&c, &err);
    else
        return rc;
    for (size_t i = 0; i < 100 && rc == AM_OK; i++)
        rc = am_counts_add(&c, (struct am_str){(const char *)&values[i], 8}, 1, &index, &err);
    am_counts_clear(&c);
    return rc;
}

static void failed_allocations(void **state)
{
    (void)state;
    fill_values(0);
    AM_OOM_LOOP(sketch_life(), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pass_equals_two),
        cmocka_unit_test(repeat_equals_adding),
        cmocka_unit_test(quantiles_are_exact_up_to_kept),
        cmocka_unit_test(sketch_keeps_its_bound),
        cmocka_unit_test(sketches_must_match),
        cmocka_unit_test(labels_sort_by_value_or_bytes),
        cmocka_unit_test(failed_allocations),
    };
    (void)table_schema, (void)table_spec, (void)table_init, (void)table_slice, (void)spec_of;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
