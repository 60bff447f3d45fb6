/* The reference kernels of recurrent layers, in double, and the choice among tables. Not fast.
 * Holds no state; any thread. */
#include "tensor/seq_kernels.h"

#include <math.h>
#include <string.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void lstm(size_t n, const float *pre, const float *rec, float *c, float *h, float *keep)
{
    for (size_t j = 0; j < n; j++) {
        double z[4];
        for (size_t q = 0; q < 4; q++)
            z[q] = (double)pre[q * n + j] + (double)rec[q * n + j];
        const double i = sigmoid(z[0]), f = sigmoid(z[1]), g = tanh(z[2]), o = sigmoid(z[3]);
        c[j] = (float)(f * (double)c[j] + i * g);
        h[j] = (float)(o * tanh((double)c[j]));
        if (keep) {
            keep[j] = (float)i;
            keep[n + j] = (float)f;
            keep[2 * n + j] = (float)g;
            keep[3 * n + j] = (float)o;
            keep[4 * n + j] = c[j];
            keep[5 * n + j] = h[j];
        }
    }
}

static void gru(size_t n, const float *pre, const float *rec, float *h, float *keep)
{
    for (size_t j = 0; j < n; j++) {
        const double r = sigmoid((double)pre[j] + (double)rec[j]);
        const double z = sigmoid((double)pre[n + j] + (double)rec[n + j]);
        const double m = tanh((double)pre[2 * n + j] + r * (double)rec[2 * n + j]);
        h[j] = (float)((1 - z) * m + z * (double)h[j]);
        if (keep) {
            keep[j] = (float)r;
            keep[n + j] = (float)z;
            keep[2 * n + j] = (float)m;
            keep[3 * n + j] = rec[2 * n + j];
            keep[4 * n + j] = h[j];
        }
    }
}

static void axpy(size_t n, float a, const float *x, float *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] += a * x[j];
}

static void maximum(size_t n, const float *x, float *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = x[j] < y[j] ? y[j] : x[j];
}

const struct am_seq_kernels am_seq_kernels_ref = {
    .name = "ref", .lstm = lstm, .gru = gru, .axpy = axpy, .maximum = maximum};

#ifdef AM_HAVE_X86
extern const struct am_seq_kernels am_seq_kernels_avx2, am_seq_kernels_avx512;
#endif

const struct am_seq_kernels *am_seq_kernels_beside(const char *name)
{
#ifdef AM_HAVE_X86
    if (strcmp(name, "avx512") == 0)
        return &am_seq_kernels_avx512;
    if (strcmp(name, "avx2") == 0)
        return &am_seq_kernels_avx2;
#endif
    (void)name;
    return &am_seq_kernels_ref;
}
