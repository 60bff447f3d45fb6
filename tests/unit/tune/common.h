/* What the tests of tune/ share: a space from YAML, a study, running one to its end. */
#ifndef AM_TESTS_TUNE_COMMON_H
#define AM_TESTS_TUNE_COMMON_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/faults.h"
#include "tune/tune_int.h"

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

static inline struct am_node *yaml(struct am_arena *a, const char *text)
{
    struct am_node *n = NULL;
    OK(am_yaml_parse(a, am_str(text), "test", &n, &err));
    return n;
}

static const struct am_tune_objective one_goal = {"loss", AM_TUNE_MINIMIZE};

static inline struct am_tune_config config_of(enum am_tune_sampler sampler, uint64_t seed)
{
    return (struct am_tune_config){
        .objectives = &one_goal, .n_objectives = 1, .sampler = sampler, .seed = seed};
}

static inline struct am_tune *study(const char *over, const struct am_tune_config *c)
{
    struct am_arena *a = am_arena_new(0);
    struct am_tune *t = NULL;
    OK(am_tune_new(yaml(a, over), c, &t, &err));
    am_arena_free(a);
    return t;
}

static inline double number(const struct am_tune_trial *x, const char *path)
{
    double v = NAN;
    assert_true(am_node_as_f64(am_node_get(x->values, path), &v));
    return v;
}

static inline const struct am_tune_trial *ask(struct am_tune *t)
{
    const struct am_tune_trial *x = NULL;
    OK(am_tune_ask(t, &x, &err));
    return x;
}

static inline void tell(struct am_tune *t, const struct am_tune_trial *x, double y)
{
    struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &y};
    OK(am_tune_tell(t, x->number, &r, &err));
}

typedef double test_fn(const struct am_tune_trial *x);

/* The least loss within n trials. */
static inline double run(struct am_tune *t, test_fn *f, int n)
{
    double best = INFINITY;
    for (int i = 0; i < n; i++) {
        const struct am_tune_trial *x = ask(t);
        double y;
        if (!x)
            break;
        y = f(x);
        best = fmin(best, y);
        tell(t, x, y);
    }
    return best;
}

#endif
