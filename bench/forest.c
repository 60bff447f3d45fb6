/* Times the training of a forest, for bench/forest.sh: rows made by a formula (the peer makes the
 * same), one line of JSON. Needs no workspace. Usage:
 *   forest LEARNER ROWS FEATURES TREES CLASSES THREADS [RECIPE KEYS]
 * CLASSES 0 = a number is predicted. Example: forest random_forest 20000 20 100 2 1 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/pool.h"
#include "learn/learn.h"

static uint32_t hashed(uint32_t i, uint32_t j)
{
    uint32_t h = i * 2654435761u + j * 40503u + 12345u;
    h = (h ^ h >> 15) * 2246822519u;
    h = (h ^ h >> 13) * 3266489917u;
    return h ^ h >> 16;
}

/* Values in [0, 1) of 24 bits; every third feature has 16 values only. */
static float value(uint32_t i, uint32_t j)
{
    const uint32_t h = hashed(i, j);
    return j % 3 == 2 ? (float)(h >> 28) / 16.0f : (float)(h >> 8) / 16777216.0f;
}

static struct am_matrix *rows_of(uint32_t n, uint32_t f, uint32_t classes)
{
    struct am_matrix *m;
    float *x = malloc(f * sizeof *x);
    if (!x || am_matrix_new(f, 1, NULL, &m, NULL) != AM_OK)
        exit(1);
    for (uint32_t i = 0; i < n; i++) {
        float s, y;
        for (uint32_t j = 0; j < f; j++)
            x[j] = value(i, j);
        s = x[0] + x[1] * x[2 % f] + (x[3 % f] > 0.6f ? 0.7f : 0) + value(i, 1000) / 2;
        y = classes ? (float)(uint32_t)(s / 2.5f * (float)classes) : s;
        y = classes && y >= (float)classes ? (float)(classes - 1) : y;
        if (am_matrix_append(m, 1, x, &y, NULL, NULL) != AM_OK)
            exit(1);
    }
    free(x);
    if (am_matrix_finish(m, NULL) != AM_OK)
        exit(1);
    return m;
}

int main(int argc, char **argv)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_err err;
    struct am_pool *pool = NULL;
    char spec[512];
    if (argc < 7 || !a)
        return 2;
    const uint32_t n = (uint32_t)strtoul(argv[2], NULL, 10),
                   f = (uint32_t)strtoul(argv[3], NULL, 10),
                   classes = (uint32_t)strtoul(argv[5], NULL, 10);
    const unsigned threads = (unsigned)strtoul(argv[6], NULL, 10);
    struct am_matrix *m = rows_of(n, f, classes);
    struct am_learn_task k = {.task = classes == 0   ? AM_TASK_REGRESSION
                                      : classes == 2 ? AM_TASK_BINARY
                                                     : AM_TASK_MULTICLASS,
                              .n_classes = classes,
                              .n_features = f,
                              .train = am_matrix_data(m),
                              .seed = 1};
    (void)snprintf(spec, sizeof spec, "{type: %s%s%s%s%s}", argv[1],
                   strcmp(argv[1], "decision_tree") ? ", trees: " : "",
                   strcmp(argv[1], "decision_tree") ? argv[4] : "", argc > 7 ? ", " : "",
                   argc > 7 ? argv[7] : "");
    struct am_node *model;
    if (am_yaml_parse(a, am_str(spec), "model", &model, &err) != AM_OK ||
        am_pool_new(threads, &pool, &err) != AM_OK)
        return 1;
    k.model = model;
    k.pool = pool;
    const uint64_t start = am_mono_ns();
    if (am_learner_fit(&k, &l, a, &err) != AM_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct am_node *bag = am_node_get(l.info, "out_of_bag");
    printf("{\"seconds\": %.3f, \"leaves\": %lld, \"depth\": %lld, \"oob\": %.4f}\n",
           (double)(am_mono_ns() - start) / 1e9, (long long)am_node_i64(l.info, "leaves", 0),
           (long long)am_node_i64(l.info, "depth", 0),
           am_node_f64(bag, classes ? "accuracy" : "r2", 0));
    am_learned_clear(&l);
    am_matrix_free(m);
    am_pool_free(pool);
    am_arena_free(a);
    return 0;
}
