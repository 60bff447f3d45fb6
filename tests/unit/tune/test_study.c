/* A study's rules: results in any order, resume to the bit, failures, pruning and promotion, the
 * front, importance, damaged state, memory. */
#include "common.h"

static const char *const space = "rate: {log: [1e-4, 1]}\nkind: [a, b, c]\ndepth: {int: [1, 6]}\n"
                                 "width: {float: [0, 1], when: {kind: [a, b]}}\n";

static double loss(const struct am_tune_trial *x)
{
    double rate = log10(number(x, "rate")), depth = number(x, "depth");
    double width = am_node_f64(x->values, "width", 0.5);
    char kind = am_node_str(x->values, "kind", "").ptr[0];
    return (rate + 2) * (rate + 2) + fabs(depth - 4) + (width - 0.3) * (width - 0.3) +
           (kind == 'b' ? 0 : 0.5);
}

static const enum am_tune_sampler samplers[] = {AM_TUNE_RANDOM, AM_TUNE_SOBOL,   AM_TUNE_BAYESIAN,
                                                AM_TUNE_TPE,    AM_TUNE_GENETIC, AM_TUNE_CMAES,
                                                AM_TUNE_NSGA2,  AM_TUNE_GRID};
enum { N_SAMPLERS = sizeof samplers / sizeof *samplers, N = 40 };

/* Trial x: every 7th fails, every 11th of halving and the others by their steps is pruned. */
static void finish(struct am_tune *t, const struct am_tune_trial *x)
{
    double y = loss(x);
    struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &y};
    bool stop = false;
    if (x->number % 7 == 6) {
        r = (struct am_tune_result){.status = AM_TUNE_FAILED, .reason = "it broke"};
    } else {
        for (uint64_t step = 1; step <= 9 && !stop; step++)
            OK(am_tune_report(t, x->number, step, y + 3.0 / (double)step, &stop, &err));
        if (stop)
            r = (struct am_tune_result){.status = AM_TUNE_PRUNED};
    }
    OK(am_tune_tell(t, x->number, &r, &err));
}

static struct am_tune_config busy(enum am_tune_sampler s, enum am_tune_pruner p, uint32_t delay)
{
    struct am_tune_config c = config_of(s, 11);
    c.pruner = p;
    c.delay = delay;
    c.max_steps = 9;
    c.population = s == AM_TUNE_CMAES ? 0 : 8;
    return c;
}

/* Keeps as many trials running as may be, ends them in an order drawn by `order`; the same study
 * whatever the order. order 0: one after the other. */
static void run_in_order(struct am_tune *t, uint64_t order, size_t n)
{
    struct am_rng r;
    am_rng_init(&r, order, AM_RNG_USER);
    while (am_tune_n_told(t) < n) {
        uint64_t running[16], pick;
        size_t n_running = 0;
        while (am_tune_n(t) < n && am_tune_can_ask(t) &&
               (order || am_tune_n(t) == am_tune_n_told(t)))
            if (!ask(t))
                return;
        for (size_t i = 0; i < am_tune_n(t); i++)
            if (am_tune_trial(t, i)->status == AM_TUNE_PENDING)
                running[n_running++] = i;
        pick = order ? running[am_rng_below(&r, n_running)] : running[0];
        finish(t, am_tune_trial(t, pick));
    }
}

static void assert_same_study(const struct am_tune *a, const struct am_tune *b)
{
    assert_int_equal(am_tune_n(a), am_tune_n(b));
    for (size_t i = 0; i < am_tune_n(a); i++) {
        const struct am_tune_trial *x = am_tune_trial(a, i), *y = am_tune_trial(b, i);
        assert_int_equal(x->status, y->status);
        assert_string_equal(x->origin, y->origin);
        assert_int_equal(x->resumes, y->resumes);
        assert_int_equal(x->steps_max, y->steps_max);
        assert_int_equal(x->n_steps, y->n_steps);
        for (size_t k = 0; k < am_tune_space_n(am_tune_space(a)); k++)
            if (memcmp(&x->unit[k], &y->unit[k], sizeof(double)) != 0)
                fail_msg("trial %zu, dimension %zu: %.17g, not %.17g", i, k, x->unit[k],
                         y->unit[k]);
    }
}

static void test_order(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SAMPLERS; s++)
        for (int p = AM_TUNE_PRUNE_NONE; p <= AM_TUNE_PRUNE_HYPERBAND; p++) {
            struct am_tune_config c = busy(samplers[s], (enum am_tune_pruner)p, 4);
            struct am_tune *plain = study(space, &c);
            run_in_order(plain, 0, N);
            for (uint64_t order = 1; order <= 2; order++) {
                struct am_tune *mixed = study(space, &c);
                run_in_order(mixed, order, N);
                assert_same_study(plain, mixed);
                am_tune_free(mixed);
            }
            am_tune_free(plain);
        }
}

/* Out as JSON text and in again, at several places, with trials running or not. */
static struct am_tune *reborn(struct am_tune *t)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *doc = NULL;
    struct am_buf text;
    struct am_tune *again = NULL;
    am_buf_init(&text, 1 << 24);
    am_node_to_json(am_tune_export(t, a), AM_JSON_COMPACT, &text);
    OK(am_arena_check(a, &err));
    OK(am_json_parse(a, am_buf_view(&text), "state", &doc, &err));
    OK(am_tune_import(doc, &again, &err));
    am_buf_clear(&text);
    am_arena_free(a);
    return again;
}

static void test_resume(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_SAMPLERS; s++) {
        struct am_tune_config c =
            busy(samplers[s], s % 2 ? AM_TUNE_PRUNE_MEDIAN : AM_TUNE_PRUNE_HALVING, 3);
        struct am_tune *whole = study(space, &c), *t = study(space, &c);
        run_in_order(whole, 0, N);
        for (size_t cut = 3; cut < N; cut += 9) {
            struct am_tune *again;
            run_in_order(t, cut, cut);
            (void)ask(t); /* killed while it ran */
            again = reborn(t);
            am_tune_free(t);
            t = again;
            finish(t, am_tune_trial(t, cut));
        }
        run_in_order(t, 1, N);
        assert_same_study(whole, t);
        am_tune_free(whole);
        am_tune_free(t);
    }
}

static void test_trial_by_trial(void **state)
{
    struct am_tune_config c = busy(AM_TUNE_TPE, AM_TUNE_PRUNE_HYPERBAND, 2);
    struct am_tune *t = study(space, &c), *again = study(space, &c);
    struct am_arena *a = am_arena_new(0);
    (void)state;
    OK(am_tune_enqueue(t, yaml(a, "{rate: 0.01, kind: b}"), &err));
    OK(am_tune_enqueue(again, yaml(a, "{rate: 0.01, kind: b}"), &err));
    run_in_order(t, 1, 20);
    assert_true(number(am_tune_trial(t, 0), "rate") == 0.01);
    for (uint64_t i = 0; i < 20; i++)
        OK(am_tune_import_trial(again, am_tune_export_trial(t, i, a), &err));
    assert_same_study(t, again);
    run_in_order(t, 1, 30);
    run_in_order(again, 2, 30);
    assert_same_study(t, again);
    am_arena_free(a);
    am_tune_free(t);
    am_tune_free(again);
}

static void test_rules(void **state)
{
    struct am_tune_config c = busy(AM_TUNE_RANDOM, AM_TUNE_PRUNE_NONE, 2);
    struct am_tune *t = study(space, &c);
    const struct am_tune_trial *x, *first = ask(t), *second = ask(t);
    double y = NAN;
    struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &y};
    bool stop;
    (void)state;
    assert_false(am_tune_can_ask(t));
    assert_int_equal(am_tune_ask(t, &x, &err), AM_EBUSY);
    assert_non_null(strstr(err.message, "waits for the result of trial 0"));
    tell(t, second, 2); /* not the one that is waited for */
    assert_false(am_tune_can_ask(t));
    OK(am_tune_tell(t, 0, &r, &err)); /* not a number: a failure with a reason */
    assert_int_equal(first->status, AM_TUNE_FAILED);
    assert_non_null(strstr(first->reason, "not a finite number"));
    assert_null(first->objectives);
    assert_int_equal(am_tune_tell(t, 0, &r, &err), AM_EEXIST);
    assert_int_equal(am_tune_tell(t, 9, &r, &err), AM_ENOTFOUND);
    assert_int_equal(am_tune_report(t, 0, 1, 1, &stop, &err), AM_EEXIST);
    assert_ptr_equal(am_tune_best(t), second);
    x = ask(t);
    r.objectives = NULL;
    assert_int_equal(am_tune_tell(t, x->number, &r, &err), AM_EINVAL);
    OK(am_tune_report(t, x->number, 1, INFINITY, &stop, &err));
    assert_true(stop);
    am_tune_free(t);
}

static void test_config_refused(void **state)
{
    static const struct am_tune_objective two[] = {{"a", AM_TUNE_MINIMIZE},
                                                   {"a", AM_TUNE_MAXIMIZE}};
    static const struct am_tune_constraint bad = {"c", AM_TUNE_AT_MOST, NAN};
    struct am_tune_config c[7];
    struct am_arena *a = am_arena_new(0);
    const struct am_node *over = yaml(a, space);
    struct am_tune *t = NULL;
    (void)state;
    for (size_t i = 0; i < 7; i++)
        c[i] = config_of(AM_TUNE_RANDOM, 1);
    c[0].n_objectives = 0;
    c[1].objectives = two;
    c[1].n_objectives = 2;
    c[2].constraints = &bad;
    c[2].n_constraints = 1;
    c[3].pruner = AM_TUNE_PRUNE_HALVING; /* max_steps is not said */
    c[4].percentile = 1.5;
    c[5].reduction = 1;
    c[6].pruner = AM_TUNE_PRUNE_HYPERBAND;
    c[6].max_steps = 3;
    c[6].min_steps = 9;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(am_tune_new(over, &c[i], &t, &err), AM_EUSAGE);
        assert_null(t);
    }
    struct am_tune_objective goals[] = {{"a", AM_TUNE_MINIMIZE}, {"b", AM_TUNE_MAXIMIZE}};
    c[0] = config_of(AM_TUNE_CMAES, 1);
    c[0].objectives = goals;
    c[0].n_objectives = 2;
    assert_int_equal(am_tune_new(over, &c[0], &t, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "nsga2"));
    am_arena_free(a);
}

/* ---- pruners ---- */

/* Feeds a trial a constant and tells at which step it stops (0 = never). */
static uint64_t stopped_at(struct am_tune *t, double value, uint64_t steps)
{
    const struct am_tune_trial *x = ask(t);
    struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &value};
    bool stop = false;
    for (uint64_t s = 1; s <= steps; s++) {
        OK(am_tune_report(t, x->number, s, value, &stop, &err));
        if (stop) {
            r.status = AM_TUNE_PRUNED;
            OK(am_tune_tell(t, x->number, &r, &err));
            return s;
        }
    }
    OK(am_tune_tell(t, x->number, &r, &err));
    return 0;
}

static void test_median(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_RANDOM, 1);
    struct am_tune *t;
    (void)state;
    c.pruner = AM_TUNE_PRUNE_MEDIAN;
    c.max_steps = 10;
    t = study(space, &c);
    for (int i = 1; i <= 5; i++) /* the first five run through, however bad */
        assert_int_equal(stopped_at(t, i, 10), 0);
    assert_int_equal(stopped_at(t, 2.9, 10), 0); /* median 3 */
    assert_int_equal(stopped_at(t, 3.1, 10), 2); /* at a fifth of the steps */
    am_tune_free(t);
    c.pruner = AM_TUNE_PRUNE_PERCENTILE; /* the best three quarters go on */
    t = study(space, &c);
    for (int i = 1; i <= 5; i++)
        (void)stopped_at(t, i, 10);
    assert_int_equal(stopped_at(t, 3.9, 10), 0);
    assert_int_equal(stopped_at(t, 4.1, 10), 2);
    am_tune_free(t);
}

static void test_patience(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_RANDOM, 1);
    struct am_tune *t;
    const struct am_tune_trial *x;
    bool stop = false;
    uint64_t s = 0;
    (void)state;
    c.patience = 4;
    c.min_delta = 0.01;
    t = study(space, &c);
    x = ask(t);
    for (; s < 20; s++) { /* falls until step 6, by too little from then on */
        OK(am_tune_report(t, x->number, s + 1, s < 6 ? 10.0 - (double)s : 4.999, &stop, &err));
        if (stop)
            break;
    }
    assert_int_equal(s + 1, 10);
    am_tune_free(t);
}

/* Nine places on rung 1 step; the best three go on to 3 steps, the best of them to 9. None passes
 * for want of company, and a paused one comes back as a trial of its own. */
static void test_halving(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_RANDOM, 1);
    struct am_tune *t;
    size_t on[10] = {0}, promoted = 0;
    (void)state;
    c.pruner = AM_TUNE_PRUNE_HALVING;
    c.max_steps = 9;
    t = study(space, &c);
    for (int i = 0; i < 60; i++) {
        const struct am_tune_trial *x = ask(t);
        on[x->steps_max]++;
        promoted += x->resumes >= 0;
        if (x->resumes >= 0) {
            const struct am_tune_trial *from = am_tune_trial(t, (uint64_t)x->resumes);
            assert_true(am_tune_same(t->space, from->unit, x->unit));
            assert_int_equal(x->steps_max, from->steps_max * 3);
            assert_string_equal(x->origin, "promoted");
            assert_int_equal(from->status, AM_TUNE_PRUNED);
        }
        finish(t, x);
        if (x->status == AM_TUNE_PRUNED)
            assert_int_equal(x->n_steps, x->steps_max);
        for (uint64_t k = x->number + 1; k-- > 0;) /* each goes on once */
            assert_true(k == x->number || x->resumes < 0 ||
                        am_tune_trial(t, k)->resumes != x->resumes);
    }
    assert_true(on[1] > 3 * on[9] && on[1] + on[3] + on[9] == 60);
    assert_true(on[3] >= on[1] / 5 && on[3] <= on[1] / 2 && on[9] >= 2 && on[9] <= on[3] / 2);
    assert_int_equal(promoted, on[3] + on[9]);
    am_tune_free(t);
}

static void test_hyperband(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_RANDOM, 1);
    struct am_tune *t;
    size_t first[10] = {0};
    (void)state;
    c.pruner = AM_TUNE_PRUNE_HYPERBAND;
    c.max_steps = 9;
    t = study(space, &c);
    for (int i = 0; i < 80; i++) {
        const struct am_tune_trial *x = ask(t);
        if (x->resumes < 0)
            first[x->steps_max]++;
        finish(t, x);
    }
    /* ceil(3 / (s + 1) * 3^s) for s = 2, 1, 0: 9, 5, 3 of 17 */
    assert_true(first[1] > first[3] && first[3] > first[9] && first[9] >= 3);
    am_tune_free(t);
}

/* ---- results ---- */

static void test_front(void **state)
{
    static const struct am_tune_objective goals[] = {{"accuracy", AM_TUNE_MAXIMIZE},
                                                     {"ms", AM_TUNE_MINIMIZE}};
    static const struct am_tune_constraint limit = {"bytes", AM_TUNE_AT_MOST, 100};
    static const double f[][2] = {{.9, 9}, {.8, 2}, {.7, 1}, {.8, 3}, {.95, 20}, {.99, 1}, {.8, 2}};
    struct am_tune_config c = {.objectives = goals,
                               .n_objectives = 2,
                               .constraints = &limit,
                               .n_constraints = 1,
                               .sampler = AM_TUNE_RANDOM};
    struct am_tune *t = study(space, &c);
    const struct am_tune_trial *front[7];
    double reference[2] = {.5, 30}, volume, keep[2] = {NAN, 9};
    (void)state;
    assert_null(am_tune_best(t));
    for (size_t i = 0; i < 7; i++) {
        double bytes = i == 5 ? 101 : 100;
        struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = f[i], .constraints = &bytes};
        OK(am_tune_tell(t, ask(t)->number, &r, &err));
    }
    assert_int_equal(am_tune_pareto(t, front), 4);
    assert_int_equal(front[0]->number, 4);
    assert_int_equal(front[1]->number, 0);
    assert_int_equal(front[2]->number, 1);
    assert_int_equal(front[3]->number, 2);
    OK(am_tune_hypervolume(t, reference, &volume, &err));
    assert_true(fabs(volume - (.2 * 29 + .1 * 28 + .1 * 21 + .05 * 10)) < 1e-9);
    assert_int_equal(am_tune_pick(t, 0, keep)->number, 0);
    keep[1] = 8;
    assert_int_equal(am_tune_pick(t, 0, keep)->number, 1);
    keep[1] = 0.5;
    assert_null(am_tune_pick(t, 0, keep));
    assert_int_equal(am_tune_best(t)->number, 0); /* the knee */
    am_tune_free(t);
}

/* y = 3 a + b + noise-free nothing of c: shares 9 to 1 to 0. */
static void test_importance(void **state)
{
    struct am_tune_config c = config_of(AM_TUNE_SOBOL, 1);
    struct am_tune *t = study("a: {float: [0, 1]}\nb: {float: [0, 1]}\nc: [p, q, r]\n"
                              "d: {float: [0, 1], when: {c: p}}\n",
                              &c);
    double share[4];
    (void)state;
    assert_int_equal(am_tune_importance(t, AM_TUNE_FANOVA, 0, share, &err), AM_EINVAL);
    for (int i = 0; i < 200; i++) {
        const struct am_tune_trial *x = ask(t);
        tell(t, x, 3 * number(x, "a") + number(x, "b"));
    }
    OK(am_tune_importance(t, AM_TUNE_FANOVA, 0, share, &err));
    assert_true(fabs(share[0] + share[1] + share[2] + share[3] - 1) < 1e-12);
    assert_true(fabs(share[0] - 0.9) < 0.04 && fabs(share[1] - 0.1) < 0.04);
    assert_true(share[2] < 0.01 && share[3] < 0.01);
    OK(am_tune_importance(t, AM_TUNE_PED_ANOVA, 0, share, &err));
    assert_true(share[0] > 0.7 && share[1] < 0.3 && share[2] < 0.1);
    assert_int_equal(am_tune_importance(t, AM_TUNE_FANOVA, 1, share, &err), AM_EINVAL);
    am_tune_free(t);
}

/* ---- damage and memory ---- */

static void test_damaged(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"version\": 99}",
        "{\"version\": 1}",
        "{\"version\": 1, \"over\": {\"a\": [1, 2]}, \"config\": {\"objectives\": [{\"name\": "
        "\"x\", \"direction\": \"up\"}], \"constraints\": []}}",
        "{\"version\": 1, \"over\": {\"a\": [1, 2]}, \"config\": {\"objectives\": [{\"name\": "
        "\"x\", \"direction\": \"minimize\"}], \"constraints\": [], \"sampler\": \"x\"}}",
    };
    static const char *const trials[] = {
        "{\"number\": 5}",
        "{\"number\": 0, \"status\": \"well\"}",
        "{\"number\": 0, \"status\": \"ok\"}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.5]}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [7, 0.5, 0.25, null], \"origin\": \"tpe\"}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.1, 0.5, 0.25, 0.5], \"origin\": \"me\"}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.1, 0.5, 0.25, 0.5], \"origin\": \"tpe\", "
        "\"resumes\": 3}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.1, 0.5, 0.25, 0.5], \"origin\": \"tpe\", "
        "\"rung\": 3}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.1, 0.5, 0.25, 0.5], \"origin\": \"tpe\", "
        "\"model\": 3}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.1, 0.5, 0.25, 0.5], \"origin\": \"tpe\"}",
        "{\"number\": 0, \"status\": \"ok\", \"unit\": [0.1, 0.5, 0.25, 0.5], \"origin\": \"tpe\", "
        "\"objectives\": [1], \"steps\": [[1]]}",
    };
    struct am_tune_config c = config_of(AM_TUNE_TPE, 1);
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_tune *t = NULL;
        struct am_node *doc = NULL;
        OK(am_json_parse(a, am_str(texts[i]), "state", &doc, &err));
        assert_int_not_equal(am_tune_import(doc, &t, &err), AM_OK);
        assert_null(t);
        am_arena_free(a);
    }
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_tune *t = study(space, &c);
        struct am_node *doc = NULL;
        OK(am_json_parse(a, am_str(trials[i]), "trial", &doc, &err));
        if (am_tune_import_trial(t, doc, &err) != AM_ECORRUPT)
            fail_msg("%s is taken", trials[i]);
        am_arena_free(a);
        am_tune_free(t);
    }
}

static enum am_rc use_it(const struct am_node *over, enum am_tune_sampler s, struct am_err *e)
{
    struct am_tune_config c = busy(s, s % 2 ? AM_TUNE_PRUNE_MEDIAN : AM_TUNE_PRUNE_HALVING, 1);
    struct am_tune *t = NULL;
    double share[8];
    enum am_rc rc;
    bool stop;
    c.n_startup = 3;
    c.population = 4;
    AM_GO(rc, am_tune_new(over, &c, &t, e));
    for (int i = 0; i < 9; i++) {
        const struct am_tune_trial *x;
        double y = i;
        struct am_tune_result r = {
            .status = i == 4 ? AM_TUNE_FAILED : AM_TUNE_OK, .objectives = &y, .reason = "so"};
        AM_GO(rc, am_tune_ask(t, &x, e));
        AM_GO(rc, am_tune_report(t, x->number, 1, y, &stop, e));
        AM_GO(rc, am_tune_tell(t, x->number, &r, e));
    }
    rc = am_tune_importance(t, AM_TUNE_FANOVA, 0, share, e);
out:
    am_tune_free(t);
    return rc;
}

static void test_memory(void **state)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_node *over = yaml(a, "{x: {float: [0, 1]}, kind: [a, b, c]}");
    (void)state;
    for (size_t s = 0; s < N_SAMPLERS; s++)
        AM_OOM_LOOP(use_it(over, samplers[s], &err), (void)0);
    am_arena_free(a);
}

static void test_memory_of_state(void **state)
{
    struct am_tune_config c = busy(AM_TUNE_TPE, AM_TUNE_PRUNE_MEDIAN, 2);
    struct am_tune *t = study(space, &c), *again = NULL;
    struct am_arena *a = am_arena_new(0);
    const struct am_node *doc;
    (void)state;
    OK(am_tune_enqueue(t, yaml(a, "{rate: 0.01}"), &err));
    OK(am_tune_enqueue(t, yaml(a, "{rate: 0.02}"), &err));
    run_in_order(t, 0, 1);
    doc = am_tune_export(t, a);
    OK(am_arena_check(a, &err));
    AM_OOM_LOOP(am_tune_import(doc, &again, &err), am_tune_free(again));
    am_arena_free(a);
    am_tune_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_resume),
        cmocka_unit_test(test_trial_by_trial), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_config_refused), cmocka_unit_test(test_median),
        cmocka_unit_test(test_patience),       cmocka_unit_test(test_halving),
        cmocka_unit_test(test_hyperband),      cmocka_unit_test(test_front),
        cmocka_unit_test(test_importance),     cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_memory_of_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
