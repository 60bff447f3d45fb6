/* The Gaussian process: kernel, fit, prediction (gp.h).
 *
 * Matrices are upper Cholesky factors in full rows, so that every inner loop adds a multiple of one
 * row to another. Sums run in a fixed order whatever the compiler does. */
#include <math.h>

#include "tune/gp.h"

static const double noise_least = 1e-6;
/* Optuna takes 0.1; against very long lengths a dimension is not given up for what a local optimum
 * says of it. */
static const double length_prior = 0.4;
static const double log_low[3] = {-6, -5, -14}, log_high[3] = {8, 5, 0}; /* theta, s2, noise */

typedef double v4 __attribute__((vector_size(32)));

/* y += a x */
static void add_row(size_t n, double a, const double *x, double *y)
{
    size_t i = 0;
    v4 s = {a, a, a, a};
    for (; i + 4 <= n; i += 4) {
        v4 p, q;
        memcpy(&p, x + i, sizeof p);
        memcpy(&q, y + i, sizeof q);
        q += s * p;
        memcpy(y + i, &q, sizeof q);
    }
    for (; i < n; i++)
        y[i] += a * x[i];
}

enum am_rc am_gp_init(struct tune_gp *gp, struct am_arena *a, size_t cap, size_t d,
                      const uint8_t *hamming, struct am_err *err)
{
    *gp = (struct tune_gp){.d = d, .cap = cap, .hamming = hamming};
    gp->x = am_arena_array(a, cap * d, sizeof(double));
    gp->y = am_arena_array(a, cap, sizeof(double));
    gp->theta = am_arena_array(a, d, sizeof(double));
    gp->p = am_arena_array(a, d + 2, sizeof(double));
    gp->u = am_arena_array(a, cap * cap, sizeof(double));
    gp->alpha = am_arena_array(a, cap, sizeof(double));
    gp->pairs = am_arena_array(a, cap * (cap - 1) / 2 * d + 1, sizeof(double));
    gp->w = am_arena_array(a, cap * cap, sizeof(double));
    gp->c = am_arena_array(a, cap * cap, sizeof(double));
    gp->g = am_arena_array(a, cap * cap, sizeof(double));
    return am_arena_check(a, err);
}

double am_gp_distance(const struct tune_gp *gp, size_t dim, double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) != isnan(b);
    return gp->hamming[dim] ? a != b : (a - b) * (a - b);
}

/* k(r^2) / s2 and, for the gradients, its derivative by r^2 */
static double matern(double r2, double *slope)
{
    double s = sqrt(5 * r2), e = exp(-s);
    *slope = -5.0 / 6 * (1 + s) * e;
    return e * (1 + s + 5.0 / 3 * r2);
}

void am_gp_pairs(struct tune_gp *gp)
{
    double *out = gp->pairs;
    for (size_t a = 1; a < gp->n; a++)
        for (size_t b = 0; b < a; b++)
            for (size_t i = 0; i < gp->d; i++)
                *out++ = am_gp_distance(gp, i, gp->x[a * gp->d + i], gp->x[b * gp->d + i]);
}

/* Upper factor of m (upper part, rows of n) in place. */
static bool cholesky(double *m, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double *row = m + k * n, root;
        if (!(row[k] > 1e-14))
            return false;
        root = sqrt(row[k]);
        for (size_t j = k; j < n; j++)
            row[j] /= root;
        row[k] = root;
        for (size_t i = k + 1; i < n; i++)
            add_row(n - i, -row[i], row + i, m + i * n + i);
    }
    return true;
}

/* z = U^-T b in place */
static void solve_down(const double *u, size_t n, double *z)
{
    for (size_t k = 0; k < n; k++) {
        z[k] /= u[k * n + k];
        add_row(n - k - 1, -z[k], u + k * n + k + 1, z + k + 1);
    }
}

/* a = U^-1 z in place */
static void solve_up(const double *u, size_t n, double *z)
{
    for (size_t k = n; k-- > 0;) {
        double sum = z[k];
        for (size_t j = k + 1; j < n; j++)
            sum -= u[k * n + j] * z[j];
        z[k] = sum / u[k * n + k];
    }
}

/* Covariance into gp->c (upper) and, when slope is not NULL, s2 dk/dr2 into it (upper). */
static void covariance(const struct tune_gp *gp, const double *theta, double s2, double noise,
                       double *c, double *slope)
{
    size_t n = gp->n;
    const double *p = gp->pairs;
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < a; b++) {
            double r2 = 0, by = 0;
            for (size_t i = 0; i < gp->d; i++)
                r2 += theta[i] * *p++;
            c[b * n + a] = s2 * matern(r2, &by);
            if (slope)
                slope[b * n + a] = s2 * by;
        }
        c[a * n + a] = s2 + noise;
    }
}

/* c (upper) = (U^T U)^-1; w: work */
static void invert(const double *u, size_t n, double *w, double *c)
{
    memset(w, 0, n * n * sizeof *w);
    memset(c, 0, n * n * sizeof *c);
    for (size_t i = 0; i < n; i++) { /* rows of U^-T */
        double *row = w + i * n, diagonal = u[i * n + i];
        row[i] = 1;
        for (size_t k = 0; k < i; k++)
            add_row(k + 1, -u[k * n + i], w + k * n, row);
        for (size_t j = 0; j <= i; j++)
            row[j] /= diagonal;
        for (size_t a = 0; a <= i; a++)
            add_row(i + 1 - a, row[a], row + a, c + a * n + a);
    }
}

static double priors(const struct tune_gp *gp, const double *p, double *g)
{
    size_t d = gp->d;
    double sum = 0, s2 = exp(p[d]), noise = exp(p[d + 1]) + noise_least;
    for (size_t i = 0; i < d; i++) {
        double theta = exp(p[i]);
        sum += length_prior / theta + 0.1 * theta;
        g[i] += -length_prior / theta + 0.1 * theta;
    }
    sum -= p[d] - s2;
    g[d] -= 1 - s2;
    sum -= 0.1 * log(noise) - 30 * noise;
    g[d + 1] -= (0.1 / noise - 30) * exp(p[d + 1]);
    return sum;
}

double am_gp_loss(void *ctx, const double *p, double *g)
{
    struct tune_gp *gp = ctx;
    size_t n = gp->n, d = gp->d;
    double loss, s2 = exp(p[d]), noise = exp(p[d + 1]) + noise_least, trace = 0, by_s2 = 0;
    const double *pair = gp->pairs;
    for (size_t i = 0; i < d; i++)
        gp->theta[i] = exp(p[i]);
    memset(g, 0, (d + 2) * sizeof *g);
    loss = priors(gp, p, g);
    covariance(gp, gp->theta, s2, noise, gp->u, gp->g);
    if (!cholesky(gp->u, n)) {
        memset(g, 0, (d + 2) * sizeof *g);
        return 1e10;
    }
    memcpy(gp->alpha, gp->y, n * sizeof *gp->y);
    solve_down(gp->u, n, gp->alpha);
    for (size_t i = 0; i < n; i++)
        loss += 0.5 * gp->alpha[i] * gp->alpha[i] + log(gp->u[i * n + i]);
    solve_up(gp->u, n, gp->alpha);
    invert(gp->u, n, gp->w, gp->c);
    for (size_t a = 0; a < n; a++) {
        trace += 0.5 * (gp->c[a * n + a] - gp->alpha[a] * gp->alpha[a]);
        for (size_t b = 0; b < a; b++, pair += d) { /* twice: the matrix is symmetric */
            double by = (gp->c[b * n + a] - gp->alpha[a] * gp->alpha[b]) * gp->g[b * n + a];
            for (size_t i = 0; i < d; i++)
                g[i] += by * pair[i] * gp->theta[i];
        }
    }
    /* sum of G o K = sum of G o (C - noise I) = (n - y^T alpha) / 2 - noise tr G */
    for (size_t i = 0; i < n; i++)
        by_s2 += 0.5 * (1 - gp->y[i] * gp->alpha[i]);
    g[d] += by_s2 - noise * trace;
    g[d + 1] += trace * exp(p[d + 1]);
    return loss;
}

bool am_gp_factor(struct tune_gp *gp)
{
    size_t n = gp->n, d = gp->d;
    double jitter = noise_least;
    for (size_t i = 0; i < d; i++)
        gp->theta[i] = exp(gp->p[i]);
    gp->s2 = exp(gp->p[d]);
    /* NOLINTNEXTLINE(cert-flp30-c): the count is what ends it */
    for (int tries = 0; tries < 6; tries++, jitter *= 10) {
        gp->noise = exp(gp->p[d + 1]) + jitter;
        covariance(gp, gp->theta, gp->s2, gp->noise, gp->u, NULL);
        if (!cholesky(gp->u, n))
            continue;
        memcpy(gp->alpha, gp->y, n * sizeof *gp->y);
        solve_down(gp->u, n, gp->alpha);
        solve_up(gp->u, n, gp->alpha);
        return true;
    }
    return false;
}

void am_gp_fit(struct tune_gp *gp, const double *start)
{
    double low[TUNE_MODEL_MAX], high[TUNE_MODEL_MAX];
    double work[TUNE_MODEL_MAX * TUNE_MINIMIZE_WORK];
    size_t n = gp->d + 2;
    for (size_t i = 0; i < n; i++) {
        size_t k = i < gp->d ? 0 : 1 + i - gp->d;
        low[i] = log_low[k];
        high[i] = log_high[k];
        gp->p[i] = start ? start[i] : i + 1 < n ? 0 : -5;
    }
    am_gp_pairs(gp);
    (void)am_tune_minimize(am_gp_loss, gp, n, gp->p, low, high, 40, 1e-3, work);
}

static void kernel_row(const struct tune_gp *gp, const double *x, double *k, double *slope)
{
    for (size_t a = 0; a < gp->n; a++) {
        double r2 = 0, by = 0;
        for (size_t i = 0; i < gp->d; i++)
            r2 += gp->theta[i] * am_gp_distance(gp, i, x[i], gp->x[a * gp->d + i]);
        k[a] = gp->s2 * matern(r2, &by);
        if (slope)
            slope[a] = gp->s2 * by;
    }
}

void am_gp_predict(const struct tune_gp *gp, const double *x, double *mean, double *variance,
                   double *work)
{
    double m = 0, v = gp->s2;
    kernel_row(gp, x, work, NULL);
    for (size_t a = 0; a < gp->n; a++)
        m += work[a] * gp->alpha[a];
    solve_down(gp->u, gp->n, work);
    for (size_t a = 0; a < gp->n; a++)
        v -= work[a] * work[a];
    *mean = m;
    *variance = v > 1e-12 ? v : 1e-12;
}

void am_gp_predict8(const struct tune_gp *gp, const double *x, double *mean, double *variance,
                    double *work)
{
    size_t n = gp->n;
    double k[8] = {0}, *column = work + 8 * n;
    for (size_t c = 0; c < 8; c++) {
        double m = 0;
        kernel_row(gp, x + c * gp->d, column, NULL);
        for (size_t a = 0; a < n; a++) {
            m += column[a] * gp->alpha[a];
            work[a * 8 + c] = column[a];
        }
        mean[c] = m;
    }
    for (size_t a = 0; a < n; a++) {
        v4 p, q;
        double inverse = 1 / gp->u[a * n + a];
        for (size_t c = 0; c < 8; c++) {
            work[a * 8 + c] *= inverse;
            k[c] += work[a * 8 + c] * work[a * 8 + c];
        }
        memcpy(&p, work + a * 8, sizeof p);
        memcpy(&q, work + a * 8 + 4, sizeof q);
        for (size_t b = a + 1; b < n; b++) {
            double f = -gp->u[a * n + b];
            v4 r, s, ff = {f, f, f, f};
            memcpy(&r, work + b * 8, sizeof r);
            memcpy(&s, work + b * 8 + 4, sizeof s);
            r += ff * p;
            s += ff * q;
            memcpy(work + b * 8, &r, sizeof r);
            memcpy(work + b * 8 + 4, &s, sizeof s);
        }
    }
    for (size_t c = 0; c < 8; c++)
        variance[c] = gp->s2 - k[c] > 1e-12 ? gp->s2 - k[c] : 1e-12;
}

void am_gp_slope(const struct tune_gp *gp, const double *x, double *mean, double *variance,
                 double *d_mean, double *d_variance, double *work)
{
    size_t n = gp->n;
    double *z = work, *slope = work + n, m = 0, v = gp->s2;
    kernel_row(gp, x, z, slope);
    for (size_t a = 0; a < n; a++)
        m += z[a] * gp->alpha[a];
    solve_down(gp->u, n, z);
    for (size_t a = 0; a < n; a++)
        v -= z[a] * z[a];
    solve_up(gp->u, n, z);
    for (size_t i = 0; i < gp->d; i++) {
        d_mean[i] = d_variance[i] = 0;
        if (gp->hamming[i] || isnan(x[i]))
            continue;
        for (size_t a = 0; a < n; a++) {
            double other = gp->x[a * gp->d + i], by;
            if (isnan(other))
                continue;
            by = slope[a] * 2 * gp->theta[i] * (x[i] - other);
            d_mean[i] += gp->alpha[a] * by;
            d_variance[i] -= 2 * z[a] * by;
        }
    }
    *mean = m;
    *variance = v > 1e-12 ? v : 1e-12;
}

/* ---- expected improvement ---- */

static const double log_sqrt_2pi = 0.91893853320467274178, sqrt_half = 0.70710678118654752440;

/* Phi(z) / phi(z) for z <= -5 by the continued fraction of Mills' ratio */
static double mills(double z)
{
    double x = -z, f = x;
    for (int k = 80; k > 0; k--)
        f = x + k / f;
    return 1 / f;
}

double am_log_ei(double mean, double sd, double f0, double *by_mean, double *by_sd)
{
    double z = (f0 - mean) / sd, h, slope;
    if (z > -5) {
        double phi = exp(-0.5 * z * z - log_sqrt_2pi), cdf = 0.5 * erfc(-z * sqrt_half);
        double ei = phi + z * cdf;
        h = log(ei);
        slope = cdf / ei;
    } else if (z > -1e6) {
        double m = mills(z), rest = 1 + z * m;
        h = -0.5 * z * z - log_sqrt_2pi + log(rest);
        slope = m / rest;
    } else { /* 1 + z m is 1 / z^2 to all digits */
        h = -0.5 * z * z - log_sqrt_2pi - 2 * log(-z);
        slope = -z;
    }
    if (by_mean)
        *by_mean = -slope / sd;
    if (by_sd)
        *by_sd = (1 - slope * z) / sd;
    return h + log(sd);
}

double am_log_phi(double z, double *slope)
{
    double m;
    if (z > -5) {
        double cdf = 0.5 * erfc(-z * sqrt_half);
        *slope = exp(-0.5 * z * z - log_sqrt_2pi) / cdf;
        return log(cdf);
    }
    m = mills(z);
    *slope = 1 / m;
    return -0.5 * z * z - log_sqrt_2pi + log(m);
}
