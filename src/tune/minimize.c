/* L-BFGS within a box, by projection: bound dimensions whose gradient points outward stand still,
 * the others take the two-loop direction, steps are halved until Armijo's rule holds.
 *
 * For smooth functions of a few dozen dimensions. No memory of its own; any thread. */
#include <math.h>

#include "tune/gp.h"

enum { M = TUNE_MINIMIZE_MEMORY };

struct history {
    double *s, *y; /* [M, n] rings */
    double rho[M];
    size_t n;
    int count, at;
};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static bool is_held(double x, double g, double low, double high)
{
    return (x <= low && g > 0) || (x >= high && g < 0);
}

/* d = - H g on the free dimensions, 0 on the held ones */
static void direction(const struct history *h, const double *x, const double *g, const double *low,
                      const double *high, double *d)
{
    double a[M] = {0};
    size_t n = h->n;
    for (size_t i = 0; i < n; i++)
        d[i] = is_held(x[i], g[i], low[i], high[i]) ? 0 : -g[i];
    for (int k = 0; k < h->count; k++) {
        int j = (h->at - 1 - k + 2 * M) % M;
        const double *s = h->s + (size_t)j * n, *y = h->y + (size_t)j * n;
        a[j] = h->rho[j] * dot(s, d, n);
        for (size_t i = 0; i < n; i++)
            d[i] -= a[j] * y[i];
    }
    if (h->count) {
        int j = (h->at - 1 + M) % M;
        const double *y = h->y + (size_t)j * n;
        double scale = 1 / (h->rho[j] * dot(y, y, n));
        for (size_t i = 0; i < n; i++)
            d[i] *= scale;
    }
    for (int k = h->count; k-- > 0;) {
        int j = (h->at - 1 - k + 2 * M) % M;
        const double *s = h->s + (size_t)j * n, *y = h->y + (size_t)j * n;
        double b = h->rho[j] * dot(y, d, n);
        for (size_t i = 0; i < n; i++)
            d[i] += (a[j] - b) * s[i];
    }
    for (size_t i = 0; i < n; i++)
        if (is_held(x[i], g[i], low[i], high[i]))
            d[i] = 0;
}

static void remember(struct history *h, const double *x0, const double *x1, const double *g0,
                     const double *g1)
{
    double *s = h->s + (size_t)h->at * h->n, *y = h->y + (size_t)h->at * h->n, sy;
    for (size_t i = 0; i < h->n; i++) {
        s[i] = x1[i] - x0[i];
        y[i] = g1[i] - g0[i];
    }
    sy = dot(s, y, h->n);
    if (!(sy > 1e-12 * dot(y, y, h->n)) || !isfinite(sy))
        return;
    h->rho[h->at] = 1 / sy;
    h->at = (h->at + 1) % M;
    h->count += h->count < M;
}

double am_tune_minimize(tune_value_fn *f, void *ctx, size_t n, double *x, const double *low,
                        const double *high, int max_iterations, double tolerance, double *work)
{
    double *g = work, *d = g + n, *x1 = d + n, *g1 = x1 + n, value, next = 0;
    struct history h = {.s = g1 + n, .y = g1 + n + M * n, .n = n};
    value = f(ctx, x, g);
    for (int it = 0; it < max_iterations; it++) {
        double slope, step, largest = 0;
        direction(&h, x, g, low, high, d);
        slope = dot(g, d, n);
        if (!(slope < 0)) { /* the memory misleads: start again */
            if (h.count == 0)
                break;
            h.count = 0;
            continue;
        }
        for (size_t i = 0; i < n; i++)
            largest = fabs(d[i]) > largest ? fabs(d[i]) : largest;
        step = h.count ? 1 : (largest > 0.25 ? 0.25 / largest : 1);
        /* NOLINTNEXTLINE(cert-flp30-c): the count is what ends it */
        for (int tries = 0;; tries++, step *= 0.5) {
            double move = 0;
            for (size_t i = 0; i < n; i++) {
                double to = x[i] + step * d[i];
                x1[i] = to < low[i] ? low[i] : to > high[i] ? high[i] : to;
                move += g[i] * (x1[i] - x[i]);
            }
            next = f(ctx, x1, g1);
            if (next <= value + 1e-4 * move)
                break;
            if (tries == 20)
                return value;
        }
        remember(&h, x, x1, g, g1);
        memcpy(x, x1, n * sizeof *x);
        memcpy(g, g1, n * sizeof *g);
        if (value - next <= tolerance * (1 + fabs(next)))
            return next;
        value = next;
    }
    return value;
}
