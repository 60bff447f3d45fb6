/* The row work of pass.h, written once over a vector width and compiled per instruction set: the
 * including file defines VL (doubles per vector), NAME and TABLE.
 *
 * A tile of rows is widened to double once (padded with zeros to whole vectors), then used for the
 * products and for the sums. */
#include <string.h>

#include "learn/pass.h"

typedef double vd __attribute__((vector_size(VL * 8), aligned(8), may_alias));
typedef float vf __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef unsigned long long vi __attribute__((vector_size(VL * 8), aligned(8), may_alias));

static inline size_t padded(size_t f)
{
    return (f + VL - 1) / VL * VL;
}

static inline vd splat(double a)
{
    vd v;
    for (int i = 0; i < VL; i++)
        v[i] = a; /* cppcheck-suppress uninitvar ; every lane is set, v is no pointer */
    return v;
}

static inline double sum_lanes(vd v)
{
    double s[VL];
    memcpy(s, &v, sizeof s);
    for (int h = VL / 2; h > 0; h /= 2)
        for (int i = 0; i < h; i++)
            s[i] += s[i + h];
    return s[0];
}

static inline vd load(const double *p)
{
    vd v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(double *p, vd v)
{
    memcpy(p, &v, sizeof v);
}

/* yes where the mask's lane is all ones, else no */
static inline vd pick(vi mask, vd yes, vd no)
{
    vi a, b;
    vd out;
    memcpy(&a, &yes, sizeof a);
    memcpy(&b, &no, sizeof b);
    a = (a & mask) | (b & ~mask);
    memcpy(&out, &a, sizeof out);
    return out;
}

/* exp of x <= 0 (and not below -700): 2^k times a polynomial on |r| <= ln(2) / 2, error < 1 ulp or
 * so. */
static inline vd exp_neg(vd x)
{
    const vd magic = splat(6755399441055744.0); /* 1.5 * 2^52 */
    vd t, k, r, p;
    vi bits;
    x = pick((vi)(x < splat(-700)), splat(-700), x);
    t = x * splat(1.4426950408889634) + magic;
    k = t - magic;
    r = x - k * splat(0.693147180369123816490);
    r = r - k * splat(1.90821492927058770002e-10);
    p = splat(1.0 / 6227020800.0);
    p = p * r + splat(1.0 / 479001600.0);
    p = p * r + splat(1.0 / 39916800.0);
    p = p * r + splat(1.0 / 3628800.0);
    p = p * r + splat(1.0 / 362880.0);
    p = p * r + splat(1.0 / 40320.0);
    p = p * r + splat(1.0 / 5040.0);
    p = p * r + splat(1.0 / 720.0);
    p = p * r + splat(1.0 / 120.0);
    p = p * r + splat(1.0 / 24.0);
    p = p * r + splat(1.0 / 6.0);
    p = p * r + splat(0.5);
    p = p * r + splat(1.0);
    p = p * r + splat(1.0);
    memcpy(&bits, &t, sizeof bits);
    bits = bits << 52; /* the low bits of t are k */
    {
        vi out;
        memcpy(&out, &p, sizeof out);
        out += bits;
        memcpy(&p, &out, sizeof p);
    }
    return p;
}

/* log of y in [1, 2]: 2 atanh((y - 1) / (y + 1)) */
static inline vd log_1_2(vd y)
{
    vd t = (y - splat(1)) / (y + splat(1)), s = t * t;
    vd p = splat(1.0 / 33);
    p = p * s + splat(1.0 / 31);
    p = p * s + splat(1.0 / 29);
    p = p * s + splat(1.0 / 27);
    p = p * s + splat(1.0 / 25);
    p = p * s + splat(1.0 / 23);
    p = p * s + splat(1.0 / 21);
    p = p * s + splat(1.0 / 19);
    p = p * s + splat(1.0 / 17);
    p = p * s + splat(1.0 / 15);
    p = p * s + splat(1.0 / 13);
    p = p * s + splat(1.0 / 11);
    p = p * s + splat(1.0 / 9);
    p = p * s + splat(1.0 / 7);
    p = p * s + splat(1.0 / 5);
    p = p * s + splat(1.0 / 3);
    p = p * s + splat(1.0);
    return splat(2) * t * p;
}

/* Rows r0.. of a tile in double, minus shift (or not), rows of `fp` doubles. Explicit vectors: with
 * -fno-strict-aliasing the compiler would have to assume that x and out overlap. */
static void widen(const struct am_rows *r, size_t r0, size_t n, size_t fp, const double *shift,
                  double *out)
{
    for (size_t i = 0; i < n; i++) {
        const float *x = r->x + (r0 + i) * r->f;
        double *o = out + i * fp;
        size_t j = 0;
        for (; j + VL <= r->f; j += VL) {
            vf v;
            vd wide;
            memcpy(&v, x + j, sizeof v);
            wide = __builtin_convertvector(v, vd);
            if (shift)
                wide -= load(shift + j);
            store(o + j, wide);
        }
        for (; j < r->f; j++)
            o[j] = shift ? (double)x[j] - shift[j] : (double)x[j];
        for (; j < fp; j++)
            o[j] = 0;
    }
}

static inline size_t tile_rows(size_t fp)
{
    size_t rows = AM_PASS_TILE_DOUBLES / (fp ? fp : 1) & ~(size_t)7;
    return rows < 8 ? 8 : rows > 64 ? 64 : rows;
}

/* z[i] = x_i . coef + bias for a tile; n is padded to a multiple of 4 by rows of any content */
static void products(const double *tile, size_t n, size_t fp, const double *coef, double bias,
                     double *z)
{
    for (size_t i = 0; i < n; i += 4) {
        const double *x = tile + i * fp;
        vd a0 = splat(0), a1 = a0, a2 = a0, a3 = a0;
        for (size_t j = 0; j < fp; j += VL) {
            vd c = load(coef + j);
            a0 += load(x + j) * c;
            a1 += load(x + fp + j) * c;
            a2 += load(x + 2 * fp + j) * c;
            a3 += load(x + 3 * fp + j) * c;
        }
        z[i] = sum_lanes(a0) + bias;
        z[i + 1] = sum_lanes(a1) + bias;
        z[i + 2] = sum_lanes(a2) + bias;
        z[i + 3] = sum_lanes(a3) + bias;
    }
}

/* g[j] += sum_i d[i] x[i, j] */
static void accumulate(const double *tile, size_t n, size_t fp, const double *d, double *g)
{
    for (size_t i = 0; i < n; i += 4) {
        const double *x = tile + i * fp;
        vd d0 = splat(d[i]), d1 = splat(d[i + 1]), d2 = splat(d[i + 2]), d3 = splat(d[i + 3]);
        for (size_t j = 0; j < fp; j += VL) {
            vd s = load(g + j);
            s += d0 * load(x + j) + d1 * load(x + fp + j);
            s += d2 * load(x + 2 * fp + j) + d3 * load(x + 3 * fp + j);
            store(g + j, s);
        }
    }
}

static void moments(const struct am_rows *r, const double *shift, double y_shift, double *out)
{
    double *s1 = out + 3, *s2 = out + 3 + r->f;
    for (size_t i = 0; i < r->n; i++) {
        const float *x = r->x + i * r->f;
        double w = r->w ? (double)r->w[i] : 1, y = (double)r->y[i] - y_shift;
        size_t j = 0;
        out[0] += w;
        out[1] += w * y;
        out[2] += w * y * y;
        for (; j + VL <= r->f; j += VL) {
            vf f;
            vd v, wv;
            memcpy(&f, x + j, sizeof f);
            v = __builtin_convertvector(f, vd);
            v -= load(shift + j);
            wv = v * splat(w);
            store(s1 + j, load(s1 + j) + wv);
            store(s2 + j, load(s2 + j) + wv * v);
        }
        for (; j < r->f; j++) {
            double v = (double)x[j] - shift[j];
            s1[j] += w * v;
            s2[j] += w * v * v;
        }
    }
}

static void gram(const struct am_rows *r, const double *mean, double y_mean, double *out,
                 double *tile)
{
    size_t f = r->f, fp = padded(f), rows = tile_rows(fp);
    double *xty = out + f * f, *yty = xty + f;
    for (size_t r0 = 0; r0 < r->n; r0 += rows) {
        size_t n = r->n - r0 < rows ? r->n - r0 : rows, n4 = (n + 3) & ~(size_t)3;
        widen(r, r0, n, fp, mean, tile);
        memset(tile + n * fp, 0, (n4 - n) * fp * sizeof *tile);
        for (size_t i = 0; i < n4; i += 4) {
            const double *x0 = tile + i * fp, *x1 = x0 + fp, *x2 = x1 + fp, *x3 = x2 + fp;
            double w[4] = {0}, y[4] = {0};
            for (size_t q = 0; q < 4 && i + q < n; q++) {
                w[q] = r->w ? (double)r->w[r0 + i + q] : 1;
                y[q] = (double)r->y[r0 + i + q] - y_mean;
                *yty += w[q] * y[q] * y[q];
            }
            for (size_t a = 0; a < f; a++) {
                double c0 = w[0] * x0[a], c1 = w[1] * x1[a], c2 = w[2] * x2[a], c3 = w[3] * x3[a];
                double *o = out + a * f;
                xty[a] += (c0 * y[0] + c1 * y[1]) + (c2 * y[2] + c3 * y[3]);
                size_t b = 0;
                for (; b <= a && b + VL <= f; b += VL) { /* runs over the triangle's edge */
                    vd q = splat(c0) * load(x0 + b) + splat(c1) * load(x1 + b);
                    q += splat(c2) * load(x2 + b) + splat(c3) * load(x3 + b);
                    store(o + b, load(o + b) + q);
                }
                for (; b <= a; b++)
                    o[b] += (c0 * x0[b] + c1 * x1[b]) + (c2 * x2[b] + c3 * x3[b]);
            }
        }
    }
}

/* From products z to losses and residuals d, in place: returns the sum of weighted losses. */
static double logistic_residuals(const struct am_rows *r, size_t r0, size_t n, size_t n8,
                                 const double class_weights[2], double *z, double *scratch)
{
    double *y = scratch, *w = scratch + 64;
    vd total = splat(0);
    for (size_t i = 0; i < n8; i++) {
        y[i] = i < n ? (double)r->y[r0 + i] : 0;
        w[i] = i < n ? (r->w ? (double)r->w[r0 + i] : 1) * class_weights[y[i] > 0.5] : 0;
    }
    for (size_t i = 0; i < n8; i += VL) {
        vd zi = load(z + i), yi = load(y + i), wi = load(w + i), zero = splat(0), one = splat(1);
        vi below = (vi)(zi < zero);
        vd e = exp_neg(pick(below, zi, -zi)), big = one / (one + e);
        vd p = pick(below, e * big, big);
        /* softplus(z) - y z = max(z, 0) - y z + log(1 + exp(-|z|)) */
        vd loss = pick(below, zero, zi) - yi * zi + log_1_2(one + e);
        total += wi * loss;
        store(z + i, wi * (p - yi));
    }
    return sum_lanes(total);
}

static void logistic(const struct am_rows *r, const double *coef, const double class_weights[2],
                     double *out, double *tile)
{
    size_t f = r->f, fp = padded(f), rows = tile_rows(fp);
    double *c = tile + rows * fp, *g = c + fp, *z = g + fp, *scratch = z + 64;
    double bias_sum = 0;
    memcpy(c, coef, f * sizeof *c);
    memset(c + f, 0, (fp - f) * sizeof *c);
    memset(g, 0, fp * sizeof *g);
    for (size_t r0 = 0; r0 < r->n; r0 += rows) {
        size_t n = r->n - r0 < rows ? r->n - r0 : rows, n8 = (n + 7) & ~(size_t)7;
        widen(r, r0, n, fp, NULL, tile);
        memset(tile + n * fp, 0, (n8 - n) * fp * sizeof *tile);
        products(tile, n8, fp, c, coef[f], z);
        out[0] += logistic_residuals(r, r0, n, n8, class_weights, z, scratch);
        accumulate(tile, n8, fp, z, g);
        for (size_t i = 0; i < n; i++)
            bias_sum += z[i];
    }
    for (size_t j = 0; j < f; j++)
        out[1 + j] += g[j];
    out[1 + f] += bias_sum;
}

/* Softmax of one tile: z [k][64] becomes w (p - onehot); returns the sum of weighted losses. */
static double softmax_residuals(const struct am_rows *r, size_t r0, size_t n, size_t n8, size_t k,
                                const double *class_weights, double *z, double *scratch)
{
    double *best = scratch, *sum = scratch + 64, loss = 0;
    memcpy(best, z, n8 * sizeof *best);
    for (size_t c = 1; c < k; c++)
        for (size_t i = 0; i < n8; i++)
            best[i] = z[c * 64 + i] > best[i] ? z[c * 64 + i] : best[i];
    memset(sum, 0, n8 * sizeof *sum);
    for (size_t i = 0; i < n; i++) {
        size_t y = (size_t)r->y[r0 + i];
        double w = (r->w ? (double)r->w[r0 + i] : 1) * class_weights[y];
        loss -= w * (z[y * 64 + i] - best[i]);
    }
    for (size_t c = 0; c < k; c++)
        for (size_t i = 0; i < n8; i += VL) {
            vd e = exp_neg(load(z + c * 64 + i) - load(best + i));
            store(z + c * 64 + i, e);
            store(sum + i, load(sum + i) + e);
        }
    for (size_t i = 0; i < n8; i++) {
        size_t y = i < n ? (size_t)r->y[r0 + i] : 0;
        double w = i < n ? (r->w ? (double)r->w[r0 + i] : 1) * class_weights[y] : 0;
        if (i < n)
            loss += w * __builtin_log(sum[i]);
        sum[i] = w / sum[i];
        best[i] = w;
    }
    for (size_t c = 0; c < k; c++)
        for (size_t i = 0; i < n8; i++)
            z[c * 64 + i] *= sum[i];
    for (size_t i = 0; i < n; i++)
        z[(size_t)r->y[r0 + i] * 64 + i] -= best[i];
    return loss;
}

static void softmax(const struct am_rows *r, size_t k, const double *coef,
                    const double *class_weights, double *out, double *tile)
{
    size_t f = r->f, fp = padded(f), rows = tile_rows(fp), row = f + 1;
    double *c = tile + rows * fp, *g = c + fp, *z = g + fp, *scratch = z + 64 * k;
    for (size_t r0 = 0; r0 < r->n; r0 += rows) {
        size_t n = r->n - r0 < rows ? r->n - r0 : rows, n8 = (n + 7) & ~(size_t)7;
        widen(r, r0, n, fp, NULL, tile);
        memset(tile + n * fp, 0, (n8 - n) * fp * sizeof *tile);
        memset(c, 0, fp * sizeof *c);
        for (size_t q = 0; q < k; q++) {
            memcpy(c, coef + q * row, f * sizeof *c);
            products(tile, n8, fp, c, coef[q * row + f], z + q * 64);
        }
        out[0] += softmax_residuals(r, r0, n, n8, k, class_weights, z, scratch);
        for (size_t q = 0; q < k; q++) {
            double *o = out + 1 + q * row, *d = z + q * 64;
            memset(g, 0, fp * sizeof *g);
            accumulate(tile, n8, fp, d, g);
            for (size_t j = 0; j < f; j++)
                o[j] += g[j];
            for (size_t i = 0; i < n; i++)
                o[f] += d[i];
        }
    }
}

const struct am_pass TABLE;
const struct am_pass TABLE = {NAME, moments, gram, logistic, softmax};
