/* Serving boosted trees beside XGBoost's C predict, same rows, settings and threads, alternating in
 * one process: a row at a time and 1,000 at once. Called by trees.sh. XGBoost predicts in place
 * from a prepared array interface, and over a DMatrix made for the call (one that is kept is
 * answered from its cache); the better of both counts.
 *
 *   trees TREES DEPTH CLASSES FEATURES THREADS */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "learn/learn.h"
#include "nn/session.h"
#include "platform/modules.h"

#define N_ROWS 50000
#define N_BATCH 1000
#define N_REPEATS 9

static size_t n_features, n_out, n_classes;
static unsigned n_trees, depth, n_threads;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != 0) {                                                                         \
            fprintf(stderr, "%s: %s %s\n", #call, e.message, XGBGetLastError());                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
static struct am_err e;

static void make_rows(float *x, float *y)
{
    struct am_rng r;
    am_rng_init(&r, 1, AM_RNG_USER);
    for (size_t i = 0; i < N_ROWS; i++) {
        double z = am_rng_normal(&r);
        for (size_t j = 0; j < n_features; j++) {
            x[i * n_features + j] = (float)am_rng_normal(&r);
            z += sin((double)(j + 1)) * (double)x[i * n_features + j];
        }
        z += (double)x[i * n_features] * (double)x[i * n_features + 1];
        y[i] = n_classes == 2 ? (float)(z > 0) : (float)((uint64_t)(fabs(z) * 1.5) % n_classes);
    }
}

/* ---- ours ---- */

static struct am_session *ours(const float *x, const float *y)
{
    char yaml[256];
    struct am_arena *a = am_arena_new(0);
    struct am_matrix *m;
    struct am_node *model;
    struct am_learned l;
    struct am_pool *pool, *all;
    struct am_plan *plan;
    struct am_session *s;
    (void)snprintf(yaml, sizeof yaml,
                   "{type: gradient_boosting, trees: %u, depth: %u, early_stopping: 0}", n_trees,
                   depth);
    am_modules_set_trees(NULL);
    MUST(am_yaml_parse(a, am_str(yaml), "bench", &model, &e));
    MUST(am_matrix_new(n_features, 1, NULL, &m, &e));
    MUST(am_matrix_append(m, N_ROWS, x, y, NULL, &e));
    MUST(am_matrix_finish(m, &e));
    MUST(am_pool_new(0, &all, &e));
    const struct am_learn_task t = {.task = n_classes == 2 ? AM_TASK_BINARY : AM_TASK_MULTICLASS,
                                    .n_classes = n_classes,
                                    .n_features = n_features,
                                    .train = am_matrix_data(m),
                                    .model = model,
                                    .pool = all};
    MUST(am_learner_fit(&t, &l, a, &e));
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = N_BATCH};
    MUST(am_plan_build(l.graph, l.params, &o, &plan, &e));
    MUST(am_pool_new(n_threads, &pool, &e));
    MUST(am_session_new(plan, n_threads > 1 ? pool : NULL, &s, &e));
    am_matrix_free(m);
    am_learned_clear(&l);
    return s;
}

/* ---- XGBoost ---- */

static BoosterHandle theirs(const float *x, const float *y)
{
    BoosterHandle b;
    DMatrixHandle d;
    char text[32];
    MUST(XGDMatrixCreateFromMat(x, N_ROWS, n_features, NAN, &d));
    MUST(XGDMatrixSetFloatInfo(d, "label", y, N_ROWS));
    MUST(XGBoosterCreate(&d, 1, &b));
    MUST(XGBoosterSetParam(b, "tree_method", "hist"));
    MUST(XGBoosterSetParam(b, "objective", n_classes == 2 ? "binary:logistic" : "multi:softprob"));
    (void)snprintf(text, sizeof text, "%zu", n_classes);
    if (n_classes > 2) {
        MUST(XGBoosterSetParam(b, "num_class", text));
    } else { /* what ours begins with */
        double positive = 0;
        for (size_t i = 0; i < N_ROWS; i++)
            positive += (double)y[i];
        (void)snprintf(text, sizeof text, "%.9g", positive / N_ROWS);
        MUST(XGBoosterSetParam(b, "base_score", text));
    }
    (void)snprintf(text, sizeof text, "%u", depth);
    MUST(XGBoosterSetParam(b, "max_depth", text));
    MUST(XGBoosterSetParam(b, "eta", "0.1"));
    MUST(XGBoosterSetParam(b, "nthread", "2"));
    for (unsigned i = 0; i < n_trees; i++)
        MUST(XGBoosterUpdateOneIter(b, (int)i, d));
    (void)snprintf(text, sizeof text, "%u", n_threads);
    MUST(XGBoosterSetParam(b, "nthread", text));
    MUST(XGDMatrixFree(d));
    return b;
}

static const float *in_place(BoosterHandle b, const char *array)
{
    static const char config[] =
        "{\"type\":0,\"cache_id\":0,\"training\":false,\"iteration_begin\":0,"
        "\"iteration_end\":0,\"strict_shape\":false,\"missing\":NaN}";
    const bst_ulong *shape;
    bst_ulong dim;
    const float *out;
    MUST(XGBoosterPredictFromDense(b, array, config, NULL, &shape, &dim, &out));
    return out;
}

static void array_of(const float *x, size_t n, char *out, size_t room)
{
    (void)snprintf(out, room,
                   "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\","
                   "\"version\":3}",
                   (uintptr_t)x, n, n_features);
}

static void over_matrix(BoosterHandle b, const float *x, size_t n)
{
    DMatrixHandle d;
    bst_ulong len;
    const float *out;
    MUST(XGDMatrixCreateFromMat_omp(x, n, n_features, NAN, &d, (int)n_threads));
    MUST(XGBoosterPredict(b, d, 0, 0, 0, &len, &out));
    MUST(XGDMatrixFree(d));
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Seconds a call, the best of N_REPEATS rounds of each in turn. */
static void measure(struct am_session *s, BoosterHandle b, const float *x, size_t n, double out[3])
{
    static char arrays[N_BATCH][160];
    static float y[N_BATCH * 64];
    const size_t n_calls = n == 1 ? N_BATCH : 20;
    out[0] = out[1] = out[2] = 1e9;
    for (size_t i = 0; i < (n == 1 ? (size_t)N_BATCH : 1); i++)
        array_of(x + i * n_features, n, arrays[i], sizeof arrays[i]);
    for (size_t k = 0; k < N_REPEATS; k++) {
        uint64_t t = am_mono_ns();
        for (size_t i = 0; i < n_calls; i++)
            MUST(am_session_run(s, n, x + (n == 1 ? i * n_features : 0), y, &e));
        out[0] = least(out[0], (double)(am_mono_ns() - t) * 1e-9 / (double)n_calls);
        t = am_mono_ns();
        for (size_t i = 0; i < n_calls; i++)
            (void)in_place(b, arrays[n == 1 ? i : 0]);
        out[1] = least(out[1], (double)(am_mono_ns() - t) * 1e-9 / (double)n_calls);
        t = am_mono_ns();
        for (size_t i = 0; i < n_calls; i++)
            over_matrix(b, x + (n == 1 ? i * n_features : 0), n);
        out[2] = least(out[2], (double)(am_mono_ns() - t) * 1e-9 / (double)n_calls);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    n_trees = (unsigned)strtoul(argv[1], NULL, 10);
    depth = (unsigned)strtoul(argv[2], NULL, 10);
    n_classes = strtoul(argv[3], NULL, 10);
    n_features = strtoul(argv[4], NULL, 10);
    n_threads = (unsigned)strtoul(argv[5], NULL, 10);
    n_out = n_classes == 2 ? 1 : n_classes;
    float *x = am_alloc(N_ROWS * n_features * sizeof *x), *y = am_alloc(N_ROWS * sizeof *y);
    static float own[N_BATCH * 64];
    char array[160];
    double one[3], many[3], worst = 0;
    if (!x || !y || n_out > 64)
        return 1;
    make_rows(x, y);
    BoosterHandle b = theirs(x, y);
    struct am_session *s = ours(x, y);
    MUST(am_session_run(s, N_BATCH, x, own, &e));
    array_of(x, N_BATCH, array, sizeof array);
    const float *same = in_place(b, array);
    for (size_t i = 0; i < N_BATCH * n_out; i++)
        worst = fmax(worst, fabs((double)own[i] - (double)same[i]));
    measure(s, b, x, 1, one);
    measure(s, b, x, N_BATCH, many);
    printf("%u trees x %zu, depth %u, %zu features, %u threads: answers differ by %.1g at most\n",
           n_trees, n_out, depth, n_features, n_threads, worst);
    printf("  one row:    %8.2f us, XGBoost %8.2f us in place, %8.2f us by DMatrix: %.1fx\n",
           one[0] * 1e6, one[1] * 1e6, one[2] * 1e6, least(one[1], one[2]) / one[0]);
    printf("  1,000 rows: %8.1f us, XGBoost %8.1f us in place, %8.1f us by DMatrix: %.1fx\n",
           many[0] * 1e6, many[1] * 1e6, many[2] * 1e6, least(many[1], many[2]) / many[0]);
    return 0;
}
