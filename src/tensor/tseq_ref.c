/* The reference gradients of recurrent layers, in double, and the choice among tables. Not fast.
 * Holds no state; any thread. */
#include "tensor/seq_kernels.h"

#include <math.h>
#include <string.h>

static void lstm_grad(size_t n, const float *keep, const float *c_before, const float *dy,
                      const float *rec, float *dc, float *d)
{
    for (size_t j = 0; j < n; j++) {
        const double i = (double)keep[j], f = (double)keep[n + j], g = (double)keep[2 * n + j],
                     o = (double)keep[3 * n + j], t = tanh((double)keep[4 * n + j]);
        const double dh = (double)dy[j] + (double)rec[j];
        const double dcell = (double)dc[j] + dh * o * (1 - t * t);
        d[j] = (float)(dcell * g * i * (1 - i));
        d[n + j] = c_before ? (float)(dcell * (double)c_before[j] * f * (1 - f)) : 0.0f;
        d[2 * n + j] = (float)(dcell * i * (1 - g * g));
        d[3 * n + j] = (float)(dh * t * o * (1 - o));
        dc[j] = (float)(dcell * f);
    }
}

static void gru_grad(size_t n, const float *keep, const float *h_before, const float *dy,
                     const float *rec, float *carry, float *d)
{
    for (size_t j = 0; j < n; j++) {
        const double r = (double)keep[j], z = (double)keep[n + j], m = (double)keep[2 * n + j];
        const double dh = (double)dy[j] + (double)rec[j] + (double)carry[j];
        const double dm = dh * (1 - z) * (1 - m * m);
        d[j] = (float)(dm * (double)keep[3 * n + j] * r * (1 - r));
        d[n + j] = (float)(dh * ((h_before ? (double)h_before[j] : 0) - m) * z * (1 - z));
        d[2 * n + j] = (float)dm;
        d[3 * n + j] = (float)(dm * r);
        carry[j] = (float)(dh * z);
    }
}

static float dot(size_t n, const float *x, const float *y)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += (double)x[j] * (double)y[j];
    return (float)sum;
}

const struct am_seq_train_kernels am_seq_train_kernels_ref = {
    .name = "ref", .lstm_grad = lstm_grad, .gru_grad = gru_grad, .dot = dot};

#ifdef AM_HAVE_X86
extern const struct am_seq_train_kernels am_seq_train_kernels_avx2, am_seq_train_kernels_avx512;
#endif

const struct am_seq_train_kernels *am_seq_train_kernels_beside(const char *name)
{
#ifdef AM_HAVE_X86
    if (strcmp(name, "avx512") == 0)
        return &am_seq_train_kernels_avx512;
    if (strcmp(name, "avx2") == 0)
        return &am_seq_train_kernels_avx2;
#endif
    (void)name;
    return &am_seq_train_kernels_ref;
}
