/* Fourier transform of real rows: radix-2 over tables of exact twiddles, Bluestein for other
 * lengths.
 *
 * Not a race for speed: a transform of 512 points costs microseconds, a second of sound has about
 * a hundred. Any thread; nothing allocates after am_fft_new(). */
#include "feature/fft.h"

#include <math.h>

struct complex_fft { /* n a power of two */
    size_t n;
    const uint32_t *reversed;            /* [n] bits */
    const double *cos_table, *sin_table; /* [n / 2] of exp(-2 pi i k / n): cos, -sin */
};

struct am_fft {
    size_t n;
    bool chirp;
    struct complex_fft inner;            /* of n / 2, or of the padded length */
    const double *turn_re, *turn_im;     /* power of two: exp(-2 pi i k / n), k <= n / 2;
                                          * chirp: exp(-pi i k^2 / n), k < n */
    const double *kernel_re, *kernel_im; /* chirp: transform of the conjugate, / inner.n */
};

static enum am_rc tables_new(size_t n, struct am_arena *a, struct complex_fft *out,
                             struct am_err *err)
{
    uint32_t *reversed = am_arena_array(a, n, sizeof *reversed);
    double *c = am_arena_array(a, n, sizeof *c), *s = am_arena_array(a, n, sizeof *s);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 1; i < n; i++)
        reversed[i] = reversed[i / 2] / 2 + (uint32_t)(i & 1 ? n / 2 : 0);
    for (size_t k = 0; k < n / 2; k++) {
        double angle = 2 * M_PI * (double)k / (double)n;
        c[k] = cos(angle);
        s[k] = -sin(angle);
    }
    *out = (struct complex_fft){n, reversed, c, s};
    return AM_OK;
}

static void complex_run(const struct complex_fft *f, double *re, double *im)
{
    size_t n = f->n;
    for (size_t i = 0; i < n; i++) {
        size_t j = f->reversed[i];
        if (j <= i)
            continue;
        double r = re[i], m = im[i];
        re[i] = re[j];
        im[i] = im[j];
        re[j] = r;
        im[j] = m;
    }
    for (size_t half = 1; half < n; half *= 2) {
        size_t step = n / (2 * half);
        for (size_t base = 0; base < n; base += 2 * half) {
            for (size_t k = 0; k < half; k++) {
                double c = f->cos_table[k * step], s = f->sin_table[k * step];
                size_t i = base + k, j = i + half;
                double r = re[j] * c - im[j] * s, m = re[j] * s + im[j] * c;
                re[j] = re[i] - r;
                im[j] = im[i] - m;
                re[i] += r;
                im[i] += m;
            }
        }
    }
}

static enum am_rc split_new(struct am_fft *f, struct am_arena *a, struct am_err *err)
{
    size_t half = f->n / 2;
    double *c = am_arena_array(a, half + 1, sizeof *c), *s = am_arena_array(a, half + 1, sizeof *s);
    AM_TRY(am_arena_check(a, err));
    for (size_t k = 0; k <= half; k++) {
        double angle = 2 * M_PI * (double)k / (double)f->n;
        c[k] = cos(angle);
        s[k] = -sin(angle);
    }
    f->turn_re = c;
    f->turn_im = s;
    return tables_new(half, a, &f->inner, err);
}

static enum am_rc chirp_new(struct am_fft *f, struct am_arena *a, struct am_err *err)
{
    size_t n = f->n, m = 1;
    while (m < 2 * n - 1)
        m *= 2;
    AM_TRY(tables_new(m, a, &f->inner, err));
    double *c = am_arena_array(a, n, sizeof *c), *s = am_arena_array(a, n, sizeof *s);
    double *re = am_arena_array(a, m, sizeof *re), *im = am_arena_array(a, m, sizeof *im);
    AM_TRY(am_arena_check(a, err));
    for (size_t k = 0; k < n; k++) {
        double angle = M_PI * (double)((uint64_t)k * k % (2 * n)) / (double)n;
        c[k] = cos(angle);
        s[k] = -sin(angle);
        size_t mirror = k == 0 ? 0 : m - k;
        re[k] = re[mirror] = c[k];
        im[k] = im[mirror] = -s[k];
    }
    complex_run(&f->inner, re, im);
    for (size_t k = 0; k < m; k++) {
        re[k] /= (double)m;
        im[k] /= (double)m;
    }
    f->turn_re = c;
    f->turn_im = s;
    f->kernel_re = re;
    f->kernel_im = im;
    return AM_OK;
}

enum am_rc am_fft_new(size_t n, struct am_arena *a, const struct am_fft **out, struct am_err *err)
{
    if (n < 1 || n > AM_FFT_MAX)
        return am_fail(err, AM_EINVAL, "a Fourier transform of %zu points, 1 to %d allowed", n,
                       AM_FFT_MAX);
    struct am_fft *f = am_arena_zalloc(a, sizeof *f);
    if (f == NULL)
        return am_arena_check(a, err);
    f->n = n;
    f->chirp = n == 1 || (n & (n - 1)) != 0;
    AM_TRY(f->chirp ? chirp_new(f, a, err) : split_new(f, a, err));
    *out = f;
    return AM_OK;
}

size_t am_fft_scratch(const struct am_fft *f)
{
    return 2 * f->inner.n;
}

/* Even points are the real part, odd points the imaginary part of a row of half the length. */
static void split_run(const struct am_fft *f, const double *x, double *re, double *im, double *zr,
                      double *zi)
{
    size_t half = f->inner.n;
    for (size_t i = 0; i < half; i++) {
        zr[i] = x[2 * i];
        zi[i] = x[2 * i + 1];
    }
    complex_run(&f->inner, zr, zi);
    for (size_t k = 0; k <= half; k++) {
        size_t i = k % half, j = (half - k) % half;
        double er = (zr[i] + zr[j]) / 2, ei = (zi[i] - zi[j]) / 2;
        double odd_re = (zi[i] + zi[j]) / 2, odd_im = (zr[j] - zr[i]) / 2;
        re[k] = er + odd_re * f->turn_re[k] - odd_im * f->turn_im[k];
        im[k] = ei + odd_re * f->turn_im[k] + odd_im * f->turn_re[k];
    }
}

static void chirp_run(const struct am_fft *f, const double *x, double *re, double *im, double *zr,
                      double *zi)
{
    size_t n = f->n, m = f->inner.n;
    for (size_t k = 0; k < m; k++) {
        zr[k] = k < n ? x[k] * f->turn_re[k] : 0;
        zi[k] = k < n ? x[k] * f->turn_im[k] : 0;
    }
    complex_run(&f->inner, zr, zi);
    for (size_t k = 0; k < m; k++) {
        double r = zr[k] * f->kernel_re[k] - zi[k] * f->kernel_im[k];
        zi[k] = zr[k] * f->kernel_im[k] + zi[k] * f->kernel_re[k];
        zr[k] = r;
    }
    complex_run(&f->inner, zi, zr); /* exchanged parts: the inverse */
    for (size_t k = 0; k <= n / 2; k++) {
        re[k] = zr[k] * f->turn_re[k] - zi[k] * f->turn_im[k];
        im[k] = zr[k] * f->turn_im[k] + zi[k] * f->turn_re[k];
    }
}

void am_fft_real(const struct am_fft *f, const double *x, double *re, double *im, double *scratch)
{
    if (f->chirp)
        chirp_run(f, x, re, im, scratch, scratch + f->inner.n);
    else
        split_run(f, x, re, im, scratch, scratch + f->inner.n);
}
