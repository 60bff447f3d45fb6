/* k-means on rows from a file of float32, for bench/kmeans.sh: one start of k-means++ and Lloyd, as
 * kmeans_peer.py does with scikit-learn. Prints seconds, iterations, inertia. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/num.h"
#include "base/pool.h"
#include "learn/kmeans.h"

static int run(const char *path, size_t n, size_t k, unsigned threads, size_t runs)
{
    struct am_err err = {0};
    struct am_buf b;
    struct am_matrix *m;
    struct am_pool *pool;
    struct am_kmeans out;
    double best = 1e30;
    am_buf_init(&b, (size_t)1 << 32);
    if (am_fs_read_file(path, &b, &err) != AM_OK)
        goto failed;
    const size_t rows = b.len / (n * sizeof(float));
    float *y = am_calloc(rows, sizeof *y);
    if (!y || am_matrix_new(n, 1, NULL, &m, &err) != AM_OK ||
        am_matrix_append(m, rows, (const float *)(const void *)b.ptr, y, NULL, &err) != AM_OK ||
        am_matrix_finish(m, &err) != AM_OK || am_pool_new(threads, &pool, &err) != AM_OK)
        goto failed;
    for (size_t r = 0; r < runs; r++) {
        const struct am_kmeans_options o = {
            .k = k, .n_init = 1, .max_iterations = 100, .tolerance = 1e-4, .seed = r};
        const uint64_t from = am_mono_ns();
        if (am_kmeans_fit(am_matrix_data(m), &o, pool, NULL, &out, &err) != AM_OK)
            goto failed;
        const double s = (double)(am_mono_ns() - from) * 1e-9;
        best = s < best ? s : best;
        printf("aimass   %8.3f s  %3zu iterations  %7.4f s an iteration  inertia %.6g\n", s,
               out.iterations, s / (double)(out.iterations + 1), out.inertia);
        am_kmeans_clear(&out);
    }
    am_pool_free(pool);
    am_matrix_free(m);
    am_free(y);
    am_buf_clear(&b);
    return 0;
failed:
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

int main(int argc, char **argv)
{
    int64_t v[4] = {0};
    for (int i = 0; i < 4; i++)
        if (argc < 6 || !am_parse_i64(am_str(argv[i + 2]), &v[i]) || v[i] < 1) {
            fprintf(stderr, "usage: kmeans FILE.f32 COLUMNS CLUSTERS THREADS RUNS\n");
            return 2;
        }
    return run(argv[1], (size_t)v[0], (size_t)v[1], (unsigned)v[2], (size_t)v[3]);
}
