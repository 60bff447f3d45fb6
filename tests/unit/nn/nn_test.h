/* What the tests of the engine share: a model with everything needed to run it, and norms. */
#ifndef AM_TESTS_NN_TEST_H
#define AM_TESTS_NN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "nn/layers.h"
#include "nn/session.h"
#include "nn/train_plan.h"

#define MUST(call)                                                                                 \
    do {                                                                                           \
        struct am_err must_err_, *err = &must_err_;                                                \
        am_err_clear(err);                                                                         \
        if ((call) != AM_OK) {                                                                     \
            print_error("%s: %s\n", #call, must_err_.message);                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static const char *const all_tables[] = {"ref", "avx2", "avx512"};

/* sqrt(sum (a-b)^2) and sqrt(sum b^2) */
static inline double norm_of(const float *a, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)a[i];
    return sqrt(s);
}
static inline double distance(const float *a, const float *b, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(s);
}
static inline float *floats(size_t n)
{
    float *p = am_alloc_aligned(64, (n ? n : 1) * sizeof(float));
    assert_non_null(p);
    memset(p, 0, (n ? n : 1) * sizeof(float));
    return p;
}
static inline float *normals(size_t n, uint64_t seed)
{
    float *p = floats(n);
    struct am_rng r;
    am_rng_init(&r, seed, AM_RNG_USER);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)am_rng_normal(&r);
    return p;
}

#endif
