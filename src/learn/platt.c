/* Platt scaling; the targets are those of a uniform prior, so that few rows do not make certain. */
#include "learn/platt.h"

#include <math.h>

#define ROUNDS 100
#define SIGMA 1e-12

struct platt {
    const double *f, *w;
    const uint8_t *y;
    size_t n;
    double high, low; /* targets */
};

static double loss(const struct platt *p, double a, double b)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        const double z = p->f[i] * a + b, t = p->y[i] ? p->high : p->low;
        const double one = z >= 0 ? t * z + log1p(exp(-z)) : (t - 1) * z + log1p(exp(z));
        sum += (p->w ? p->w[i] : 1) * one;
    }
    return sum;
}

/* h11, h22, h21, g1, g2 */
static void derivatives(const struct platt *p, double a, double b, double d[5])
{
    d[0] = d[1] = SIGMA;
    d[2] = d[3] = d[4] = 0;
    for (size_t i = 0; i < p->n; i++) {
        const double z = p->f[i] * a + b, t = p->y[i] ? p->high : p->low, w = p->w ? p->w[i] : 1;
        const double e = exp(-fabs(z)), yes = z >= 0 ? e / (1 + e) : 1 / (1 + e);
        const double d2 = w * yes * (1 - yes), d1 = w * (t - yes);
        d[0] += p->f[i] * p->f[i] * d2;
        d[1] += d2;
        d[2] += p->f[i] * d2;
        d[3] += p->f[i] * d1;
        d[4] += d1;
    }
}

void am_platt_fit(const double *decision, const uint8_t *positive, const double *weight, size_t n,
                  double *a, double *b)
{
    double yes = 0, no = 0;
    for (size_t i = 0; i < n; i++)
        *(positive[i] ? &yes : &no) += weight ? weight[i] : 1;
    const struct platt p = {decision, weight, positive, n, (yes + 1) / (yes + 2), 1 / (no + 2)};
    *a = 0;
    *b = log((no + 1) / (yes + 1));
    if (yes == 0 || no == 0)
        return;
    double now = loss(&p, *a, *b);
    for (int round = 0; round < ROUNDS; round++) {
        double d[5], step = 1;
        derivatives(&p, *a, *b, d);
        if (fabs(d[3]) < 1e-5 && fabs(d[4]) < 1e-5)
            return;
        const double det = d[0] * d[1] - d[2] * d[2];
        const double da = -(d[1] * d[3] - d[2] * d[4]) / det,
                     db = -(d[0] * d[4] - d[2] * d[3]) / det;
        const double slope = d[3] * da + d[4] * db;
        /* NOLINTNEXTLINE(cert-flp30-c): a step size, not a count */
        for (; step >= 1e-10; step /= 2) {
            const double then = loss(&p, *a + step * da, *b + step * db);
            if (then < now + 1e-4 * step * slope) {
                *a += step * da;
                *b += step * db;
                now = then;
                break;
            }
        }
        if (step < 1e-10)
            return;
    }
}
