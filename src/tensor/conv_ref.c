/* The ref table's convolution kernels: plain loops, sums in double. The oracle of the tests and the
 * fallback of any CPU. Also finds the table beside a table of kernels.h. Pure; any thread. */
#include <string.h>

#include "tensor/conv.h"

/* bias and activation of one pixel's channels; acc is their sums */
static void finish(const double *acc, size_t j, size_t n, const float *bias, enum am_act act,
                   float alpha, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[j + i] = (float)(acc[i] + (bias ? (double)bias[j + i] : 0.0));
    am_kernels_ref.act(act, alpha, y + j, y + j, n);
}

static void conv_pixel(const struct am_conv *c, const float *x, float *y)
{
    const size_t panel = am_kernels_ref.panel;
    for (size_t j = 0; j < c->n; j += panel) {
        const float *b = c->b + j * c->k;
        const size_t n = c->n - j < panel ? c->n - j : panel;
        double acc[16] = {0};
        for (size_t s = 0; s < c->n_pieces; s++)
            for (size_t p = 0; p < c->pieces[s].len; p++, b += panel)
                for (size_t i = 0; i < n; i++)
                    acc[i] += (double)x[c->pieces[s].offset + p] * (double)b[i];
        finish(acc, j, n, c->bias, c->act, c->alpha, y);
    }
}

static void conv(const struct am_conv *c, size_t row0, size_t row1)
{
    for (size_t r = row0; r < row1; r++)
        for (size_t i = 0; i < c->width; i++)
            conv_pixel(c, c->x + r * c->x_row + i * c->x_col, c->y + r * c->y_row + i * c->y_col);
}

static void depthwise(const struct am_depthwise *d, size_t row0, size_t row1)
{
    for (size_t r = row0; r < row1; r++)
        for (size_t i = 0; i < d->width; i++)
            for (size_t j = 0; j < d->n; j++) {
                const float *x = d->x + r * d->x_row + i * d->x_col + j;
                double acc = 0;
                for (size_t s = 0; s < d->n_taps; s++)
                    acc += (double)x[d->offsets[s]] * (double)d->w[d->w_rows[s] * d->n + j];
                finish(&acc, j, 1, d->bias, d->act, d->alpha, d->y + r * d->y_row + i * d->y_col);
            }
}

static double dot(const float *x, size_t x_row, size_t x_col, const float *dy, size_t dy_row,
                  size_t dy_col, size_t rows, size_t width)
{
    double sum = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t p = 0; p < width; p++)
            sum += (double)x[r * x_row + p * x_col] * (double)dy[r * dy_row + p * dy_col];
    return sum;
}

static void put(float *out, double sum, bool first)
{
    *out = (float)(first ? sum : (double)*out + sum);
}

static void conv_dw(const struct am_conv_dw *d)
{
    for (size_t i = 0; i < d->m; i++)
        for (size_t j = 0; j < d->n; j++)
            put(d->out + i * d->out_row + j,
                dot(d->x + i, d->x_row, d->x_col, d->dy + j, d->dy_row, d->dy_col, d->rows,
                    d->width),
                d->first);
}

static void depthwise_dw(const struct am_depthwise_dw *d)
{
    for (size_t s = 0; s < d->n_taps; s++)
        for (size_t j = 0; j < d->n; j++)
            put(d->out + s * d->n + j,
                dot(d->x + d->offsets[s] + j, d->x_row, d->x_col, d->dy + j, d->dy_row, d->dy_col,
                    d->rows, d->width),
                d->first);
}

const struct am_conv_kernels am_conv_kernels_ref = {
    .conv = conv, .depthwise = depthwise, .dw = conv_dw, .depthwise_dw = depthwise_dw};

#ifdef AM_HAVE_X86
extern const struct am_conv_kernels am_conv_kernels_avx2, am_conv_kernels_avx512;
#endif

const struct am_conv_kernels *am_conv_kernels_beside(const struct am_kernels *kern)
{
#ifdef AM_HAVE_X86
    if (strcmp(kern->name, "avx512") == 0)
        return &am_conv_kernels_avx512;
    if (strcmp(kern->name, "avx2") == 0)
        return &am_conv_kernels_avx2;
#endif
    (void)kern;
    return &am_conv_kernels_ref;
}
