/* Samplers on functions whose optimum is known, and what each must never do: try a point twice,
 * give a value that is off, go on when everything has been tried. */
#include <stdlib.h>

#include "common.h"

static double branin(const struct am_tune_trial *t)
{
    double x = number(t, "x"), y = number(t, "y"), pi = acos(-1);
    double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10;
}
static const char *const branin_space = "{x: {float: [-5, 10]}, y: {float: [0, 15]}}";

/* As a network's loss: rate, width and decay, optimiser of four, depth. */
static double mixed(const struct am_tune_trial *t)
{
    static const double rate[4] = {.55, .35, .7, .5}, base[4] = {.05, .02, .06, .0};
    int kind = (int)number(t, "kind");
    double depth = number(t, "depth"), r = number(t, "rate");
    double a = 2.2 * (r - rate[kind] - .02 * (depth - 3)), b = number(t, "width") - .6;
    double c = number(t, "decay") - .3;
    return base[kind] + a * a + .3 * b * b + .02 * fabs(depth - 5) + .15 * c * c * (1 + r);
}
static const char *const mixed_space =
    "{rate: {float: [0, 1]}, width: {float: [0, 1]}, decay: {float: [0, 1]}, kind: [0, 1, 2, 3], "
    "depth: {int: [0, 7]}}";

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_best(enum am_tune_sampler s, const char *space, test_fn *f, int n)
{
    double best[7];
    for (uint64_t seed = 0; seed < 7; seed++) {
        struct am_tune_config c = config_of(s, seed);
        struct am_tune *t = study(space, &c);
        best[seed] = run(t, f, n);
        am_tune_free(t);
    }
    qsort(best, 7, sizeof *best, compare);
    return best[3];
}

static void test_tpe_beats_random(void **state)
{
    (void)state;
    assert_true(median_best(AM_TUNE_TPE, branin_space, branin, 100) <
                median_best(AM_TUNE_RANDOM, branin_space, branin, 100));
    assert_true(median_best(AM_TUNE_TPE, mixed_space, mixed, 100) <
                0.6 * median_best(AM_TUNE_RANDOM, mixed_space, mixed, 100));
}

static void test_bayesian(void **state)
{
    (void)state;
    assert_true(median_best(AM_TUNE_BAYESIAN, branin_space, branin, 25) < 0.747); /* 1 % regret */
    assert_true(median_best(AM_TUNE_AUTO, mixed_space, mixed, 30) < 0.03);
}

static const char *const five =
    "{a: {float: [-2, 2]}, b: {float: [-2, 2]}, c: {float: [-2, 2]}, d: {float: [-2, 2]}, "
    "e: {float: [-2, 2]}}";

static double rosenbrock(const struct am_tune_trial *t)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        double x = number(t, names[i]), y = number(t, names[i + 1]);
        sum += 100 * (y - x * x) * (y - x * x) + (1 - x) * (1 - x);
    }
    return sum;
}

static double ackley(const struct am_tune_trial *t)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    double squares = 0, waves = 0;
    for (int i = 0; i < 5; i++) {
        double x = 10 * (number(t, names[i]) - 0.3);
        squares += x * x / 5;
        waves += cos(2 * acos(-1) * x) / 5;
    }
    return 20 + exp(1) - 20 * exp(-0.2 * sqrt(squares)) - exp(waves);
}

static void test_cmaes(void **state)
{
    (void)state;
    assert_true(median_best(AM_TUNE_CMAES, five, rosenbrock, 2000) < 1e-6);
    assert_true(median_best(AM_TUNE_CMAES, five, ackley, 1500) < 1e-3);
}

/* Stagnation on a plane begins again elsewhere with twice the population. */
static double plane(const struct am_tune_trial *t)
{
    (void)t;
    return 1;
}

static void test_cmaes_restarts(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_CMAES, 1);
    struct am_tune *t = study(branin_space, &c);
    (void)state;
    (void)run(t, plane, 200);
    assert_true(t->trials.ptr[199]->model[2] > t->trials.ptr[0]->model[2]);
    am_tune_free(t);
}

static void test_genetic(void **state)
{
    (void)state;
    assert_true(median_best(AM_TUNE_GENETIC, five, rosenbrock, 1500) < 6);
    assert_true(median_best(AM_TUNE_GENETIC, mixed_space, mixed, 300) < 0.02);
}

/* ZDT1 in 12 dimensions: front f2 = 1 - sqrt(f1), hypervolume 0.87666 up to (1.1, 1.1). */
static void test_nsga2(void **state)
{
    static const struct am_tune_objective goals[] = {{"f1", AM_TUNE_MINIMIZE},
                                                     {"f2", AM_TUNE_MINIMIZE}};
    struct am_tune_config c = {
        .objectives = goals, .n_objectives = 2, .sampler = AM_TUNE_NSGA2, .seed = 3};
    char space[600] = "";
    struct am_tune *t;
    double reference[2] = {1.1, 1.1}, volume;
    (void)state;
    for (int i = 0; i < 12; i++)
        (void)snprintf(space + strlen(space), sizeof space - strlen(space),
                       "x%d: {float: [0, 1]}\n", i);
    t = study(space, &c);
    for (int n = 0; n < 10000; n++) {
        const struct am_tune_trial *x = ask(t);
        double f[2], g = 0;
        struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = f};
        for (int i = 1; i < 12; i++)
            g += 9 * x->unit[i] / 11;
        f[0] = x->unit[0];
        f[1] = (1 + g) * (1 - sqrt(f[0] / (1 + g)));
        OK(am_tune_tell(t, x->number, &r, &err));
    }
    OK(am_tune_hypervolume(t, reference, &volume, &err));
    if (volume < 0.95 * 0.87666 || volume > 0.87667)
        fail_msg("hypervolume %g", volume);
    am_tune_free(t);
}

/* Two objectives by the other samplers that take them: better than random. */
static double two_goals(enum am_tune_sampler s)
{
    static const struct am_tune_objective goals[] = {{"f1", AM_TUNE_MAXIMIZE},
                                                     {"f2", AM_TUNE_MINIMIZE}};
    struct am_tune_config c = {.objectives = goals, .n_objectives = 2, .sampler = s, .seed = 3};
    struct am_tune *t = study(mixed_space, &c);
    double reference[2] = {-1.1, 3}, volume;
    for (int n = 0; n < 60; n++) {
        const struct am_tune_trial *x = ask(t);
        double depth = number(x, "depth"), f[2] = {-mixed(x), 0.3 * depth + number(x, "width")};
        struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = f};
        OK(am_tune_tell(t, x->number, &r, &err));
    }
    OK(am_tune_hypervolume(t, reference, &volume, &err));
    am_tune_free(t);
    return volume;
}

static void test_two_goals(void **state)
{
    double by_chance = two_goals(AM_TUNE_RANDOM);
    (void)state;
    assert_true(two_goals(AM_TUNE_BAYESIAN) > by_chance);
    assert_true(two_goals(AM_TUNE_TPE) > by_chance);
}

/* x^2 + y^2 with x + y >= 1: the optimum stands on the limit. */
static void constrained(enum am_tune_sampler s, int n, double want)
{
    static const struct am_tune_constraint limit = {"sum", AM_TUNE_AT_LEAST, 1};
    struct am_tune_config c = config_of(s, 5);
    struct am_tune *t;
    const struct am_tune_trial *best;
    c.constraints = &limit;
    c.n_constraints = 1;
    t = study("{x: {float: [-1, 2]}, y: {float: [-1, 2]}}", &c);
    for (int i = 0; i < n; i++) {
        const struct am_tune_trial *x = ask(t);
        double a = number(x, "x"), b = number(x, "y"), y = a * a + b * b, sum = a + b;
        struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &y, .constraints = &sum};
        OK(am_tune_tell(t, x->number, &r, &err));
        assert_int_equal(x->violation == 0, sum >= 1);
    }
    best = am_tune_best(t);
    assert_non_null(best);
    assert_true(best->violation == 0);
    if (!(best->objectives[0] < want))
        fail_msg("%s: %g", am_tune_sampler_names[s], best->objectives[0]);
    am_tune_free(t);
}

static void test_constraints(void **state)
{
    (void)state;
    constrained(AM_TUNE_BAYESIAN, 30, 0.51);
    constrained(AM_TUNE_TPE, 100, 0.6);
    constrained(AM_TUNE_GENETIC, 200, 0.55);
    constrained(AM_TUNE_CMAES, 200, 0.55);
    constrained(AM_TUNE_NSGA2, 300, 0.6);
}

static const enum am_tune_sampler all_samplers[] = {
    AM_TUNE_GRID,    AM_TUNE_RANDOM, AM_TUNE_SOBOL, AM_TUNE_BAYESIAN, AM_TUNE_TPE,
    AM_TUNE_GENETIC, AM_TUNE_CMAES,  AM_TUNE_NSGA2, AM_TUNE_AUTO};
enum { N_SAMPLERS = sizeof all_samplers / sizeof *all_samplers };

/* Every point of a small space once, then no more; nothing twice, the given one included. */
static void test_exhausted(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SAMPLERS; s++) {
        struct am_tune_config c = config_of(all_samplers[s], 2);
        struct am_tune *t = study("a: [p, q]\nb: {int: [1, 3]}\n"
                                  "c: {int: [1, 2], when: {a: p}}\n",
                                  &c);
        struct am_arena *a = am_arena_new(0);
        const struct am_tune_trial *x;
        OK(am_tune_enqueue(t, yaml(a, "{a: q, b: 2}"), &err));
        for (int i = 0; i < 9; i++) {
            x = ask(t);
            assert_non_null(x);
            for (uint64_t k = 0; k < x->number; k++)
                assert_false(am_tune_same(t->space, x->unit, am_tune_trial(t, k)->unit));
            assert_int_equal(strcmp(x->origin, "given") == 0, i == 0);
            tell(t, x, (double)(i % 4));
        }
        assert_null(ask(t));
        assert_int_equal(am_tune_n(t), 9);
        am_arena_free(a);
        am_tune_free(t);
    }
}

static void test_conditional(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SAMPLERS; s++) {
        struct am_tune_config c = config_of(all_samplers[s], 4);
        struct am_tune *t = study("kind: [a, b, c]\n"
                                  "depth: {int: [1, 4], when: {kind: [a, b]}}\n"
                                  "leaf: {choice: [x, y], when: {depth: [3, 4]}}\n"
                                  "gamma: {log: [0.1, 10], when: {kind: c}}\n"
                                  "rate: {log: [1e-4, 1]}\n"
                                  "layers: {list: {log_int: [8, 100]}, length: [1, 3], "
                                  "when: {kind: b}}\n",
                                  &c);
        for (int i = 0; i < 50; i++) {
            const struct am_tune_trial *x = ask(t);
            double copy[TUNE_DIMS_MAX], y, rate, gamma;
            struct am_str kind;
            assert_non_null(x);
            memcpy(copy, x->unit, t->space->n * sizeof *copy);
            am_tune_snap(t->space, copy);
            assert_true(am_tune_same(t->space, copy, x->unit));
            kind = am_node_str(x->values, "kind", "");
            assert_int_equal(am_node_get(x->values, "gamma") != NULL, am_str_is(kind, "c"));
            assert_int_equal(am_node_get(x->values, "layers") != NULL, am_str_is(kind, "b"));
            rate = am_node_f64(x->values, "rate", NAN);
            gamma = am_node_f64(x->values, "gamma", 3);
            assert_true(rate >= 1e-4 && rate <= 1 && gamma >= 0.1 && gamma <= 10);
            y = fabs(log10(rate) + 2) + (am_str_is(kind, "c") ? fabs(log(gamma)) : 1);
            tell(t, x, y);
        }
        am_tune_free(t);
    }
}

static void test_grid(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_GRID, 1);
    struct am_tune *t;
    const struct am_tune_trial *x;
    int n = 0;
    (void)state;
    c.n_trials = 40; /* 2 x 4 x 4 fit, 2 x 5 x 5 do not */
    t = study("{a: [p, q], b: {float: [0, 3]}, c: {log: [1, 1000]}}", &c);
    for (; (x = ask(t)); n++) {
        double b = number(x, "b"), l = log10(number(x, "c"));
        assert_true(fabs(b - round(b)) < 1e-9 && fabs(l - round(l)) < 1e-9);
        tell(t, x, 1);
    }
    assert_int_equal(n, 32);
    am_tune_free(t);
}

/* A search of many trials hands over to TPE; an ask stays possible and places new. */
static void test_many_trials(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_AUTO, 1);
    struct am_tune *t = study(branin_space, &c);
    const struct am_tune_trial *x;
    (void)state;
    c.sampler = AM_TUNE_RANDOM;
    t->config.sampler = AM_TUNE_RANDOM; /* the first 320 at no cost */
    (void)run(t, branin, 320);
    t->config.sampler = AM_TUNE_AUTO;
    x = ask(t);
    assert_string_equal(x->origin, "tpe");
    tell(t, x, branin(x));
    t->config.sampler = AM_TUNE_TPE;
    assert_true(run(t, branin, 300) < 0.6);
    am_tune_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tpe_beats_random),
        cmocka_unit_test(test_bayesian),
        cmocka_unit_test(test_cmaes),
        cmocka_unit_test(test_cmaes_restarts),
        cmocka_unit_test(test_genetic),
        cmocka_unit_test(test_nsga2),
        cmocka_unit_test(test_two_goals),
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_conditional),
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_many_trials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
