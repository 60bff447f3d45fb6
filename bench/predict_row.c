/* Time of one prediction through the public C interface: median and 99th percentile over blocks of
 * 1000.
 *
 *   cc -O2 -Iinclude bench/predict_row.c -Lbuild/src/model -laimass -o predict_row
 *   ./predict_row model.aim          the package must have number inputs only */
#include <aimass.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCKS 2000
#define BLOCK 1000

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double ns[BLOCKS], row[65536];
    aimass_model *m;
    aimass_predictor *p;
    aimass_answer a;
    aimass_error err;
    size_t n;
    if (argc != 2 || aimass_load(argv[1], &m, &err) || aimass_predictor_new(m, &p, &err))
        return fprintf(stderr, "predict_row: %s\n",
                       argc == 2 ? err.message : "usage: predict_row MODEL.aim"),
               1;
    n = aimass_n_inputs(m);
    for (size_t i = 0; i < n && i < 65536; i++)
        row[i] = (double)i;
    for (int b = 0; b < BLOCKS; b++) {
        double t = now_ns();
        for (int i = 0; i < BLOCK; i++) {
            row[0] = i;
            if (aimass_predict_row(p, row, n, &a, &err))
                return fprintf(stderr, "predict_row: %s\n", err.message), 1;
        }
        ns[b] = (now_ns() - t) / BLOCK;
    }
    qsort(ns, BLOCKS, sizeof *ns, by_value);
    printf("one row of %zu inputs: median %.0f ns, p99 %.0f ns\n", n, ns[BLOCKS / 2],
           ns[BLOCKS * 99 / 100]);
    aimass_predictor_free(p);
    aimass_free(m);
    return 0;
}
