/* The reference kernels: plain C, sums in double, one obvious loop each. The oracle of the tests
 * and the fallback of a CPU without AVX2. Not fast. Holds no state; any thread. */
#include "tensor/kernels.h"

#include <math.h>

static float act_one(enum am_act act, float alpha, float x)
{
    const double v = (double)x;
    switch (act) {
    case AM_ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case AM_ACT_LEAKY_RELU:
        return x < 0.0f ? alpha * x : x;
    case AM_ACT_ELU:
        return x < 0.0f ? (float)((double)alpha * expm1(v)) : x;
    case AM_ACT_GELU:
        return (float)(0.5 * v * erfc(-v * 0.70710678118654752));
    case AM_ACT_GELU_TANH:
        return (float)(0.5 * v * (1 + tanh(0.79788456080286536 * (v + 0.044715 * v * v * v))));
    case AM_ACT_SILU:
        return (float)(v / (1 + exp(-v)));
    case AM_ACT_SIGMOID:
        return (float)(1 / (1 + exp(-v)));
    case AM_ACT_TANH:
        return (float)tanh(v);
    default:
        return x;
    }
}

static void gemm(const struct am_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    const size_t panel = am_kernels_ref.panel;
    for (size_t i = m0; i < m1; i++)
        for (size_t j = n0; j < n1; j++) {
            const float *b = g->b_row ? g->b + j : g->b + j / panel * (g->k * panel) + j % panel;
            const size_t b_row = g->b_row ? g->b_row : panel;
            double sum = 0;
            for (size_t p = 0; p < g->k; p++)
                sum += (double)g->a[i * g->a_row + p * g->a_col] * (double)b[p * b_row];
            if (g->bias)
                sum += (double)g->bias[j];
            g->c[i * g->c_row + j] = act_one(g->act, g->alpha, (float)sum);
        }
}

static void act(enum am_act kind, float alpha, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = act_one(kind, alpha, x[i]);
}

static void add(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void mul(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void scale(const float *x, float factor, float shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * factor + shift;
}

static void softmax(const float *x, float *y, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        float top = -INFINITY;
        double sum = 0;
        for (size_t j = 0; j < cols; j++)
            top = x[j] > top ? x[j] : top;
        for (size_t j = 0; j < cols; j++)
            sum += exp((double)x[j] - (double)top);
        /* cppcheck-suppress invalidFunctionArg ; cols >= 1, so the largest adds 1 */
        const double log_sum = log(sum);
        for (size_t j = 0; j < cols; j++)
            y[j] = (float)exp((double)x[j] - (double)top - log_sum);
    }
}

static void layer_norm(const float *x, const float *weight, const float *bias, float eps, float *y,
                       size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        double mean = 0, var = 0;
        for (size_t j = 0; j < cols; j++)
            mean += (double)x[j];
        mean /= (double)cols;
        for (size_t j = 0; j < cols; j++)
            var += ((double)x[j] - mean) * ((double)x[j] - mean);
        const double inv = 1 / sqrt(var / (double)cols + (double)eps);
        for (size_t j = 0; j < cols; j++)
            y[j] = (float)(((double)x[j] - mean) * inv * (double)weight[j] + (double)bias[j]);
    }
}

static void affine(const float *x, const float *factor, const float *shift, float *y, size_t rows,
                   size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += cols, y += cols)
        for (size_t j = 0; j < cols; j++)
            y[j] = x[j] * factor[j] + shift[j];
}

static void pack_transposed(const float *b, size_t b_row, size_t k, size_t n, float *out)
{
    const size_t w = am_kernels_ref.panel;
    for (size_t j = 0; j < n; j += w)
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < w; c++)
                *out++ = j + c < n ? b[(j + c) * b_row + p] : 0.0f;
}

/* Places of a window along one axis that lie inside. */
static void inside(size_t o, size_t stride, size_t kernel, size_t pad, size_t size, size_t *from,
                   size_t *to)
{
    const size_t at = o * stride;
    *from = at > pad ? at - pad : 0;
    *to = at + kernel < pad + size ? at + kernel - pad : size;
}

static float window_max(const struct am_pooling_shape *p, const float *x, const size_t e[4])
{
    float best = x[(e[0] * p->w + e[2]) * p->c];
    for (size_t y = e[0]; y < e[1]; y++)
        for (size_t i = e[2]; i < e[3]; i++) {
            const float v = x[(y * p->w + i) * p->c];
            best = v > best || v != v ? v : best;
        }
    return best;
}

static float window_mean(const struct am_pooling_shape *p, const float *x, const size_t e[4])
{
    double sum = 0;
    for (size_t y = e[0]; y < e[1]; y++)
        for (size_t i = e[2]; i < e[3]; i++)
            sum += (double)x[(y * p->w + i) * p->c];
    const size_t n = p->skip_pad ? (e[1] - e[0]) * (e[3] - e[2]) : p->kernel[0] * p->kernel[1];
    return (float)(sum / (double)n);
}

static void pool(const struct am_pooling_shape *p, const float *x, float *y, size_t r0, size_t r1)
{
    for (size_t r = r0; r < r1; r++)
        for (size_t ox = 0; ox < p->out_w; ox++) {
            const float *picture = x + r / p->out_h * p->h * p->w * p->c;
            size_t e[4];
            inside(r % p->out_h, p->stride[0], p->kernel[0], p->pad[0], p->h, &e[0], &e[1]);
            inside(ox, p->stride[1], p->kernel[1], p->pad[1], p->w, &e[2], &e[3]);
            for (size_t j = 0; j < p->c; j++)
                y[(r * p->out_w + ox) * p->c + j] =
                    p->average ? window_mean(p, picture + j, e) : window_max(p, picture + j, e);
        }
}

const struct am_kernels am_kernels_ref = {.name = "ref",
                                          .panel = 16,
                                          .tile_rows = 8,
                                          .gemm = gemm,
                                          .act = act,
                                          .add = add,
                                          .mul = mul,
                                          .scale = scale,
                                          .softmax = softmax,
                                          .layer_norm = layer_norm,
                                          .affine = affine,
                                          .pool = pool,
                                          .pack_transposed = pack_transposed};
