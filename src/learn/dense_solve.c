/* Pivoted Cholesky with a least-norm answer for singular systems (A^+ = L (L^T L)^-2 L^T), and
 * coordinate descent on a Gram matrix (Friedman, Hastie, Tibshirani 2010). */
#include "learn/dense_solve.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

static double tri(const double *a, size_t n, size_t i, size_t j)
{
    return i >= j ? a[i * n + j] : a[j * n + i];
}

/* Right-looking Cholesky with diagonal pivoting of the scaled matrix in full storage; L [n, n] by
 * original row numbers, its columns in pivot order. */
static size_t pivoted_cholesky(size_t n, double *c, double *l, size_t *order)
{
    double limit = (double)n * 1e-13;
    size_t r = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    memset(l, 0, n * n * sizeof *l);
    for (; r < n; r++) {
        size_t best = r, t;
        double root;
        for (size_t i = r; i < n; i++)
            if (c[order[i] * n + order[i]] > c[order[best] * n + order[best]])
                best = i;
        t = order[r], order[r] = order[best], order[best] = t;
        t = order[r];
        if (!(c[t * n + t] > limit))
            break;
        root = sqrt(c[t * n + t]);
        l[t * n + r] = root;
        for (size_t i = r + 1; i < n; i++)
            l[order[i] * n + r] = c[order[i] * n + t] / root;
        for (size_t i = r + 1; i < n; i++) {
            double li = l[order[i] * n + r];
            double *row = c + order[i] * n;
            if (li == 0)
                continue;
            for (size_t j = r + 1; j < n; j++)
                row[order[j]] -= li * l[order[j] * n + r];
        }
    }
    return r;
}

/* Plain Cholesky of m [r, r] (full) in place. */
static void cholesky(size_t r, double *m)
{
    for (size_t j = 0; j < r; j++) {
        double s = m[j * r + j];
        for (size_t k = 0; k < j; k++)
            s -= m[j * r + k] * m[j * r + k];
        m[j * r + j] = sqrt(s > 1e-300 ? s : 1e-300);
        for (size_t i = j + 1; i < r; i++) {
            double t = m[i * r + j];
            for (size_t k = 0; k < j; k++)
                t -= m[i * r + k] * m[j * r + k];
            m[i * r + j] = t / m[j * r + j];
        }
    }
}

static void back_substitute(size_t r, const double *m, double *b)
{
    for (size_t i = 0; i < r; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= m[i * r + k] * b[k];
        b[i] /= m[i * r + i];
    }
    for (size_t i = r; i-- > 0;) {
        for (size_t k = i + 1; k < r; k++)
            b[i] -= m[k * r + i] * b[k];
        b[i] /= m[i * r + i];
    }
}

/* x = L (L^T L)^-2 L^T b with L [n, rank] in rows of n; u and m are scratch */
static void least_norm(size_t n, size_t rank, const double *l, double *m, double *u, double *b)
{
    for (size_t p = 0; p < rank; p++) {
        u[p] = 0;
        for (size_t i = 0; i < n; i++)
            u[p] += l[i * n + p] * b[i];
        for (size_t q = 0; q <= p; q++) {
            double s = 0;
            for (size_t i = 0; i < n; i++)
                s += l[i * n + p] * l[i * n + q];
            m[p * rank + q] = m[q * rank + p] = s;
        }
    }
    cholesky(rank, m);
    back_substitute(rank, m, u);
    back_substitute(rank, m, u);
    for (size_t i = 0; i < n; i++) {
        b[i] = 0;
        for (size_t p = 0; p < rank; p++)
            b[i] += l[i * n + p] * u[p];
    }
}

/* A = P L L^T P^T in pivot order: forward and backward by the order */
static void full_rank(size_t n, const double *l, const size_t *order, double *u, double *b)
{
    for (size_t i = 0; i < n; i++) {
        u[i] = b[order[i]];
        for (size_t k = 0; k < i; k++)
            u[i] -= l[order[i] * n + k] * u[k];
        u[i] /= l[order[i] * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            u[i] -= l[order[k] * n + i] * u[k];
        u[i] /= l[order[i] * n + i];
    }
    for (size_t i = 0; i < n; i++)
        b[order[i]] = u[i];
}

enum am_rc am_solve_psd(size_t n, double *a, double *b, size_t *rank, struct am_err *err)
{
    double *work = am_alloc_array(2 * n * n + 2 * n + 1, sizeof *work), *l, *scale, *u;
    size_t *order = am_alloc_array(n + 1, sizeof *order);
    if (!work || !order) {
        am_free(work);
        am_free(order);
        return am_fail_nomem(err, (2 * n * n + 2 * n) * sizeof *work);
    }
    l = work + n * n, scale = l + n * n, u = scale + n;
    for (size_t i = 0; i < n; i++)
        scale[i] = a[i * n + i] > 0 ? sqrt(a[i * n + i]) : 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            work[i * n + j] = tri(a, n, i, j) / (scale[i] * scale[j]);
    *rank = pivoted_cholesky(n, work, l, order);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < *rank; j++)
            l[i * n + j] *= scale[i];
    if (*rank == n)
        full_rank(n, l, order, u, b);
    else
        least_norm(n, *rank, l, a, u, b);
    am_free(work);
    am_free(order);
    return AM_OK;
}

/* Duality gap of the elastic net in the terms of A = X^T X, b = X^T y, grad = A w - b. */
static double duality_gap(size_t n, const double *grad, const double *b, double yy, double l1,
                          double l2, const double *w)
{
    double dual_norm = 0, wb = 0, wg = 0, ww = 0, w1 = 0, rr, scale = 1, gap;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(grad[i] + l2 * w[i]);
        dual_norm = d > dual_norm ? d : dual_norm;
        wb += w[i] * b[i];
        wg += w[i] * grad[i];
        ww += w[i] * w[i];
        w1 += fabs(w[i]);
    }
    rr = yy - wb + wg; /* |y - X w|^2 = yy - 2 wb + w A w, and w A w = wg + wb */
    if (dual_norm > l1)
        scale = l1 / dual_norm;
    gap = 0.5 * rr * (1 + scale * scale);
    if (!(dual_norm > l1))
        gap = rr;
    return gap + l1 * w1 - scale * (yy - wb) + 0.5 * l2 * (1 + scale * scale) * ww;
}

static double soft(double v, double l1)
{
    return v > l1 ? v - l1 : v < -l1 ? v + l1 : 0;
}

enum am_rc am_solve_elastic_net(size_t n, const double *a, const double *b, double yy, double l1,
                                double l2, size_t max_iterations, double tolerance, double *w,
                                struct am_descent_result *result, struct am_err *err)
{
    double *grad = am_alloc_array(n + 1, sizeof *grad);
    *result = (struct am_descent_result){.gap = INFINITY};
    if (!grad)
        return am_fail_nomem(err, n * sizeof *grad);
    for (size_t i = 0; i < n; i++) {
        grad[i] = -b[i];
        for (size_t j = 0; j < n; j++)
            grad[i] += tri(a, n, i, j) * w[j];
    }
    while (result->iterations < max_iterations && !result->converged) {
        double most = 0, step = 0;
        for (size_t i = 0; i < n; i++) {
            double aii = a[i * n + i], old = w[i], delta;
            if (!(aii > 0))
                continue;
            w[i] = soft(aii * old - grad[i], l1) / (aii + l2);
            delta = w[i] - old;
            if (delta != 0)
                for (size_t j = 0; j < n; j++)
                    grad[j] += delta * tri(a, n, j, i);
            step = fabs(delta) > step ? fabs(delta) : step;
            most = fabs(w[i]) > most ? fabs(w[i]) : most;
        }
        result->iterations++;
        if (step <= 1e-7 * most || result->iterations % 16 == 0) {
            result->gap = duality_gap(n, grad, b, yy, l1, l2, w);
            result->converged = result->gap <= tolerance * yy || step <= 1e-14 * most;
        }
    }
    am_free(grad);
    return AM_OK;
}
