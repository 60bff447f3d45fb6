/* The reference training kernels: plain C, sums in double; the oracle of the tests and the fallback
 * of a CPU without AVX2. Not fast. Holds no state; any thread. */
#include "base/rng.h"
#include "tensor/train_kernels.h"

#include <math.h>
#include <string.h>

static double act_slope(enum am_act act, double alpha, double s)
{
    double e, t;
    switch (act) {
    case AM_ACT_RELU:
        return s > 0 ? 1 : 0;
    case AM_ACT_LEAKY_RELU:
        return s < 0 ? alpha : 1;
    case AM_ACT_ELU:
        return s < 0 ? s + alpha : 1;
    case AM_ACT_GELU:
        return 0.5 * erfc(-s * 0.70710678118654752) + s * exp(-0.5 * s * s) * 0.3989422804014327;
    case AM_ACT_GELU_TANH:
        t = tanh(0.79788456080286536 * (s + 0.044715 * s * s * s));
        return 0.5 * (1 + t) +
               0.5 * s * (1 - t * t) * 0.79788456080286536 * (1 + 3 * 0.044715 * s * s);
    case AM_ACT_SILU:
        e = 1 / (1 + exp(-s));
        return e * (1 + s * (1 - e));
    case AM_ACT_SIGMOID:
        return s * (1 - s);
    case AM_ACT_TANH:
        return 1 - s * s;
    default:
        return 1;
    }
}

static void act_grad(enum am_act act, float alpha, const float *dy, const float *saved, float *dx,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = (float)((double)dy[i] * act_slope(act, (double)alpha, (double)saved[i]));
}

static void softmax_grad(const float *dy, const float *y, float *dx, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, dy += cols, y += cols, dx += cols) {
        double dot = 0;
        for (size_t j = 0; j < cols; j++)
            dot += (double)dy[j] * (double)y[j];
        for (size_t j = 0; j < cols; j++)
            dx[j] = (float)((double)y[j] * ((double)dy[j] - dot));
    }
}

static void col_sum(const float *x, size_t rows, size_t cols, size_t j0, size_t j1, float *out)
{
    for (size_t j = j0; j < j1; j++) {
        double s = 0;
        for (size_t i = 0; i < rows; i++)
            s += (double)x[i * cols + j];
        out[j] = (float)s;
    }
}

static void dropout(const float *x, float *y, size_t e0, size_t e1, float rate, uint64_t seed,
                    uint64_t stream, uint64_t counter_base)
{
    const uint32_t bar = (uint32_t)((double)rate * 4294967296.0);
    const float up = 1.0f / (1.0f - rate);
    for (size_t e = e0; e < e1; e++) {
        uint32_t w[4];
        am_rng_block(seed, stream, counter_base + e / 64 * 16 + e % 16, w);
        y[e] = w[e % 64 / 16] >= bar ? x[e] * up : 0.0f;
    }
}

static void col_stats(const float *x, size_t rows, size_t cols, size_t j0, size_t j1, float *mean,
                      float *var)
{
    for (size_t j = j0; j < j1; j++) {
        double s = 0, q = 0;
        for (size_t i = 0; i < rows; i++)
            s += (double)x[i * cols + j];
        const double mu = rows ? s / (double)rows : 0;
        for (size_t i = 0; i < rows; i++)
            q += ((double)x[i * cols + j] - mu) * ((double)x[i * cols + j] - mu);
        mean[j] = (float)mu;
        var[j] = (float)(rows ? q / (double)rows : 0);
    }
}

static void norm_sums(const float *dy, const float *x, const float *mean, const float *var,
                      float eps, size_t rows, size_t cols, size_t j0, size_t j1, float *dbeta,
                      float *dgamma)
{
    for (size_t j = j0; j < j1; j++) {
        const double inv = 1 / sqrt((double)var[j] + (double)eps);
        double b = 0, g = 0;
        for (size_t i = 0; i < rows; i++) {
            b += (double)dy[i * cols + j];
            g += (double)dy[i * cols + j] * ((double)x[i * cols + j] - (double)mean[j]) * inv;
        }
        dbeta[j] = (float)b;
        dgamma[j] = (float)g;
    }
}

static void batch_norm_grad(const float *dy, const float *x, const float *mean, const float *var,
                            float eps, const float *weight, const float *dbeta, const float *dgamma,
                            float *dx, size_t rows, size_t cols, size_t r0, size_t r1)
{
    for (size_t at = r0 * cols; at < r1 * cols; at += cols)
        for (size_t j = 0; j < cols; j++) {
            const double inv = 1 / sqrt((double)var[j] + (double)eps);
            const double xhat = ((double)x[at + j] - (double)mean[j]) * inv;
            dx[at + j] = (float)((double)weight[j] * inv *
                                 ((double)dy[at + j] -
                                  ((double)dbeta[j] + xhat * (double)dgamma[j]) / (double)rows));
        }
}

static void moments(const float *x, size_t n, float eps, double *mean, double *inv)
{
    double s = 0, q = 0;
    for (size_t j = 0; j < n; j++)
        s += (double)x[j];
    *mean = s / (double)n;
    for (size_t j = 0; j < n; j++)
        q += ((double)x[j] - *mean) * ((double)x[j] - *mean);
    *inv = 1 / sqrt(q / (double)n + (double)eps);
}

static void layer_norm_grad(const float *dy, const float *x, const float *weight, float eps,
                            float *dx, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, dy += cols, x += cols, dx += cols) {
        double mean, inv, a = 0, b = 0;
        moments(x, cols, eps, &mean, &inv);
        for (size_t j = 0; j < cols; j++) {
            const double g = (double)dy[j] * (double)weight[j];
            a += g;
            b += g * ((double)x[j] - mean) * inv;
        }
        a /= (double)cols;
        b /= (double)cols;
        for (size_t j = 0; j < cols; j++)
            dx[j] = (float)(inv * ((double)dy[j] * (double)weight[j] - a -
                                   ((double)x[j] - mean) * inv * b));
    }
}

static void layer_norm_sums(const float *dy, const float *x, float eps, size_t rows, size_t cols,
                            float *dweight, float *dbias)
{
    for (size_t j = 0; j < cols; j++)
        dweight[j] = dbias[j] = 0;
    for (size_t i = 0; i < rows; i++, dy += cols, x += cols) {
        double mean, inv;
        moments(x, cols, eps, &mean, &inv);
        for (size_t j = 0; j < cols; j++) {
            dweight[j] += (float)((double)dy[j] * ((double)x[j] - mean) * inv);
            dbias[j] += dy[j];
        }
    }
}

static void softmax_xent(const float *z, const float *target, const float *class_weights,
                         float smoothing, float *row_loss, float *dz, size_t rows, size_t cols)
{
    const double s = (double)smoothing, c = (double)cols;
    for (size_t i = 0; i < rows; i++, z += cols) {
        const size_t y = (size_t)target[i];
        double top = -INFINITY, sum = 0, loss = 0, mass = 0;
        for (size_t j = 0; j < cols; j++)
            top = (double)z[j] > top ? (double)z[j] : top;
        for (size_t j = 0; j < cols; j++)
            sum += exp((double)z[j] - top);
        /* cppcheck-suppress invalidFunctionArg ; cols >= 1, so the largest adds 1 */
        const double log_sum = top + log(sum);
        for (size_t j = 0; j < cols; j++) {
            const double cw = class_weights ? (double)class_weights[j] : 1;
            const double t = cw * (s / c + (j == y ? 1 - s : 0));
            loss += t * (log_sum - (double)z[j]);
            mass += t;
        }
        for (size_t j = 0; dz && j < cols; j++) {
            const double cw = class_weights ? (double)class_weights[j] : 1;
            const double t = cw * (s / c + (j == y ? 1 - s : 0));
            dz[i * cols + j] = (float)(mass * exp((double)z[j] - log_sum) - t);
        }
        if (row_loss)
            row_loss[i] = (float)loss;
    }
}

static void sigmoid_xent(const float *z, const float *target, float smoothing, float *loss,
                         float *dz, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double x = (double)z[i];
        const double t = (double)target[i] * (1 - (double)smoothing) + 0.5 * (double)smoothing;
        if (loss)
            loss[i] = (float)((x > 0 ? x : 0) - x * t + log1p(exp(-fabs(x))));
        if (dz)
            dz[i] = (float)(1 / (1 + exp(-x)) - t);
    }
}

static float pull(float w, float g, const struct am_optim_args *o)
{
    g *= o->grad_scale;
    if (o->clip_value > 0)
        g = fminf(o->clip_value, fmaxf(-o->clip_value, g));
    g += o->l2 * w;
    return g + (w > 0 ? o->l1 : w < 0 ? -o->l1 : 0.0f);
}

#define EACH(BODY)                                                                                 \
    for (size_t i = 0; i < n; i++) {                                                               \
        const float d = pull(w[i], g[i], o);                                                       \
        w[i] -= o->learning_rate * o->decay * w[i];                                                \
        BODY                                                                                       \
    }

static void sgd(size_t n, float *w, const float *g, const struct am_optim_args *o)
{
    EACH(w[i] -= o->learning_rate * d;)
}

static void momentum(size_t n, float *w, const float *g, float *m, const struct am_optim_args *o)
{
    EACH(m[i] = o->momentum * m[i] + d; w[i] -= o->learning_rate * m[i];)
}

static void nesterov(size_t n, float *w, const float *g, float *m, const struct am_optim_args *o)
{
    EACH(m[i] = o->momentum * m[i] + d; w[i] -= o->learning_rate * (d + o->momentum * m[i]);)
}

static void adagrad(size_t n, float *w, const float *g, float *v, const struct am_optim_args *o)
{
    EACH(v[i] += d * d; w[i] -= o->learning_rate * d / (sqrtf(v[i]) + o->eps);)
}

static void rmsprop(size_t n, float *w, const float *g, float *m, float *v,
                    const struct am_optim_args *o)
{
    EACH(v[i] = o->beta2 * v[i] + (1 - o->beta2) * d * d; float q = d / (sqrtf(v[i]) + o->eps);
         if (o->momentum > 0) q = m[i] = o->momentum * m[i] + q; w[i] -= o->learning_rate * q;)
}

static void adam(size_t n, float *w, const float *g, float *m, float *v,
                 const struct am_optim_args *o)
{
    EACH(m[i] += (1 - o->beta1) * (d - m[i]); v[i] = o->beta2 * v[i] + (1 - o->beta2) * d * d;
         w[i] -=
         o->learning_rate / o->correction1 * m[i] / (sqrtf(v[i]) / sqrtf(o->correction2) + o->eps);)
}

static double sum_squares(size_t n, const float *x)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return s;
}

/* Places of a window along one axis that lie inside. */
static void inside(size_t o, size_t stride, size_t kernel, size_t pad, size_t size, size_t *from,
                   size_t *to)
{
    const size_t at = o * stride;
    *from = at > pad ? at - pad : 0;
    *to = at + kernel < pad + size ? at + kernel - pad : size;
}

/* One channel of one window. */
static void window_grad(const struct am_pooling_shape *p, float dy, const float *x, float *dx,
                        const size_t e[4])
{
    const size_t n = p->skip_pad ? (e[1] - e[0]) * (e[3] - e[2]) : p->kernel[0] * p->kernel[1];
    size_t best = (e[0] * p->w + e[2]) * p->c;
    for (size_t y = e[0]; y < e[1]; y++)
        for (size_t i = e[2]; i < e[3]; i++) {
            const size_t at = (y * p->w + i) * p->c;
            if (p->average)
                dx[at] += dy / (float)n;
            else if (x[at] > x[best] || x[at] != x[at])
                best = at;
        }
    if (!p->average)
        dx[best] += dy;
}

static void pool_grad(const struct am_pooling_shape *p, const float *dy, const float *x, float *dx,
                      size_t n0, size_t n1)
{
    const size_t in = p->h * p->w * p->c;
    for (size_t i = n0; i < n1; i++) {
        memset(dx + i * in, 0, in * sizeof(float));
        for (size_t o = 0; o < p->out_h * p->out_w; o++)
            for (size_t j = 0; j < p->c; j++) {
                size_t e[4];
                inside(o / p->out_w, p->stride[0], p->kernel[0], p->pad[0], p->h, &e[0], &e[1]);
                inside(o % p->out_w, p->stride[1], p->kernel[1], p->pad[1], p->w, &e[2], &e[3]);
                window_grad(p, dy[(i * p->out_h * p->out_w + o) * p->c + j],
                            x ? x + i * in + j : NULL, dx + i * in + j, e);
            }
    }
}

const struct am_train_kernels am_train_kernels_ref = {.name = "ref",
                                                      .act_grad = act_grad,
                                                      .softmax_grad = softmax_grad,
                                                      .col_sum = col_sum,
                                                      .dropout = dropout,
                                                      .col_stats = col_stats,
                                                      .norm_sums = norm_sums,
                                                      .batch_norm_grad = batch_norm_grad,
                                                      .layer_norm_grad = layer_norm_grad,
                                                      .layer_norm_sums = layer_norm_sums,
                                                      .pool_grad = pool_grad,
                                                      .softmax_xent = softmax_xent,
                                                      .sigmoid_xent = sigmoid_xent,
                                                      .sgd = sgd,
                                                      .momentum = momentum,
                                                      .nesterov = nesterov,
                                                      .adagrad = adagrad,
                                                      .rmsprop = rmsprop,
                                                      .adam = adam,
                                                      .sum_squares = sum_squares};
