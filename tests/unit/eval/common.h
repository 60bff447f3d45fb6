/* What the tests of eval/ share: cmocka's includes, a check that prints the error, made-up rows. */
#ifndef AM_TESTS_EVAL_COMMON_H
#define AM_TESTS_EVAL_COMMON_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "eval/eval.h"

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

#define NEAR(got, want)                                                                            \
    do {                                                                                           \
        double near_g_ = (got), near_w_ = (want);                                                  \
        if (!(fabs(near_g_ - near_w_) <= 1e-9 * fmax(1, fabs(near_w_))))                           \
            fail_msg("%s: %.17g, not %.17g", #got, near_g_, near_w_);                              \
    } while (0)

enum { ROWS = 240, CLASSES = 3 };

/* Two classes whose scores overlap. */
struct two_classes {
    double truth[ROWS];
    float pred[ROWS];
    struct am_eval_input in;
};

static inline void two_classes(struct two_classes *t)
{
    struct am_rng r;
    am_rng_init(&r, 5, AM_RNG_USER);
    for (size_t i = 0; i < ROWS; i++) {
        t->truth[i] = am_rng_unit(&r) < 0.35;
        t->pred[i] = (float)(1 / (1 + exp(-(2 * t->truth[i] - 1 + am_rng_normal(&r)))));
    }
    t->in = (struct am_eval_input){.task = AM_TASK_BINARY,
                                   .n_rows = ROWS,
                                   .n_classes = 2,
                                   .truth = t->truth,
                                   .pred = t->pred,
                                   .threshold = 0.5};
}

#endif
