/* k-NN for bench/knn.sh: rows from a file of float32, the last tenth asks, the others are kept.
 * Prints one line like its peer's: seconds of predicting, and the share of answers that are right.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/pool.h"
#include "nn/layers.h"
#include "nn/layers_distance.h"
#include "nn/session.h"

#define BLOCK 1024

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: knn FILE COLUMNS K THREADS\n");
        return 2;
    }
    const size_t columns = (size_t)strtoul(argv[2], NULL, 10),
                 k = (size_t)strtoul(argv[3], NULL, 10);
    size_t n;
    struct am_buf b;
    struct am_pool *pool;
    struct am_graph *g;
    struct am_params *p;
    struct am_plan *plan;
    struct am_session *s;
    struct am_err err;
    am_buf_init(&b, (size_t)1 << 32);
    if (columns < 1 || am_fs_read_file(argv[1], &b, &err) != AM_OK)
        return 1;
    const float *x = (const float *)(const void *)b.ptr;
    n = b.len / sizeof *x;
    if (n < 20 * (columns + 1))
        return 1;
    const size_t rows = n / (columns + 1), asked = rows / 10, kept = rows - asked;
    /* each row: columns, then its class */
    float *train, *y = am_alloc(asked * sizeof *y),
                  *test = am_alloc(asked * columns * sizeof *test);
    const struct am_neighbours_options o = {
        .n_rows = (int64_t)kept, .k = (int64_t)k, .metric = AM_DISTANCE_EUCLIDEAN, .n_classes = 2};
    const struct am_plan_options po = {.mode = AM_PLAN_INFER, .bucket_rows = BLOCK};
    if (am_pool_new((unsigned)strtoul(argv[4], NULL, 10), &pool, &err) != AM_OK ||
        am_graph_new(&g, &err) != AM_OK)
        return 1;
    am_value in = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, (int64_t)columns));
    am_graph_output(g, "y", am_layer_columns(g, am_layer_neighbours(g, in, &o, "k"), 1, 1));
    if (am_graph_check(g, &err) != AM_OK || am_params_new(g, &p, &err) != AM_OK)
        return 1;
    float *values = p->data + am_params_find(p, AM_STR("k.values"))->offset;
    train = p->data + am_params_find(p, AM_STR("k.rows"))->offset;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            (i < kept ? train + i * columns : test + (i - kept) * columns)[j] =
                x[i * (columns + 1) + j];
    for (size_t i = 0; i < kept; i++) {
        values[2 * i] = x[i * (columns + 1) + columns];
        values[2 * i + 1] = 1;
    }
    if (am_plan_build(g, p, &po, &plan, &err) != AM_OK ||
        am_session_new(plan, pool, &s, &err) != AM_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const uint64_t begin = am_mono_ns();
    for (size_t i = 0, m; i < asked; i += m) {
        m = asked - i < BLOCK ? asked - i : BLOCK;
        if (am_session_run(s, m, test + i * columns, y + i, &err) != AM_OK)
            return 1;
    }
    const double seconds = (double)(am_mono_ns() - begin) / 1e9;
    size_t right = 0;
    for (size_t i = 0; i < asked; i++)
        right += (y[i] > 0.5f) == (x[(kept + i) * (columns + 1) + columns] > 0.5f);
    printf("ours          %.3f s, %.0f rows/s, %.4f right\n", seconds, (double)asked / seconds,
           (double)right / (double)asked);
    return 0;
}
