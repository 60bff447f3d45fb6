/* L-BFGS and OWL-QN. All sums run in index order on one thread, so results are repeatable. */
#include "learn/lbfgs.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define MEMORY 12
#define LINE_STEPS 40
/* Below this share of the value, differences are rounding. */
#define ROUNDING 4e-15

struct solver {
    const struct am_lbfgs_problem *p;
    size_t n;
    double *x, *g;        /* the point and the smooth gradient there; x is the caller's */
    double *pg;           /* pseudo-gradient (= g without L1) */
    double *next, *gnext; /* the trial point */
    double *d;            /* direction */
    double *s, *y;        /* [MEMORY, n] */
    double rho[MEMORY], alpha[MEMORY];
    size_t stored, head;
    double f; /* objective at x, L1 included */
    double *memory;
    struct am_lbfgs_result *r;
};

static double dot(size_t n, const double *a, const double *b)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++)
        s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

static double largest(size_t n, const double *a)
{
    double m = 0;
    for (size_t i = 0; i < n; i++)
        m = fabs(a[i]) > m ? fabs(a[i]) : m;
    return m;
}

static enum am_rc eval(struct solver *v, const double *x, double *f, double *g, struct am_err *err)
{
    v->r->evaluations++;
    AM_TRY(v->p->eval(v->p->ctx, x, f, g, err));
    for (size_t i = 0; v->p->l1 && i < v->n; i++)
        *f += v->p->l1[i] * fabs(x[i]);
    return AM_OK;
}

/* Steepest descent's direction for the objective with L1, negated. */
static void pseudo_gradient(struct solver *v)
{
    if (!v->p->l1) {
        memcpy(v->pg, v->g, v->n * sizeof *v->pg);
        return;
    }
    for (size_t i = 0; i < v->n; i++) {
        double c = v->p->l1[i], g = v->g[i];
        if (v->x[i] != 0)
            v->pg[i] = g + (v->x[i] > 0 ? c : -c);
        else
            v->pg[i] = g > c ? g - c : g < -c ? g + c : 0;
    }
}

/* d = -H pg by the two loops; with L1 made to agree with -pg in sign. */
static void direction(struct solver *v)
{
    size_t n = v->n;
    for (size_t i = 0; i < n; i++)
        v->d[i] = -v->pg[i];
    for (size_t k = 0; k < v->stored; k++) {
        size_t j = (v->head + MEMORY - 1 - k) % MEMORY;
        v->alpha[j] = v->rho[j] * dot(n, v->s + j * n, v->d);
        for (size_t i = 0; i < n; i++)
            v->d[i] -= v->alpha[j] * v->y[j * n + i];
    }
    if (v->stored) {
        size_t j = (v->head + MEMORY - 1) % MEMORY;
        double scale = 1 / (v->rho[j] * dot(n, v->y + j * n, v->y + j * n));
        for (size_t i = 0; i < n; i++)
            v->d[i] *= scale;
    }
    for (size_t k = v->stored; k-- > 0;) {
        size_t j = (v->head + MEMORY - 1 - k) % MEMORY;
        double b = v->rho[j] * dot(n, v->y + j * n, v->d);
        for (size_t i = 0; i < n; i++)
            v->d[i] += (v->alpha[j] - b) * v->s[j * n + i];
    }
    for (size_t i = 0; v->p->l1 && i < n; i++)
        if (v->p->l1[i] > 0 && v->d[i] * v->pg[i] >= 0)
            v->d[i] = 0;
}

/* next = x + t d, kept in x's orthant where there is L1 */
static void step_to(struct solver *v, double t)
{
    for (size_t i = 0; i < v->n; i++) {
        v->next[i] = v->x[i] + t * v->d[i];
        if (v->p->l1 && v->p->l1[i] > 0) {
            double side = v->x[i] != 0 ? v->x[i] : -v->pg[i];
            if (v->next[i] * side < 0)
                v->next[i] = 0;
        }
    }
}

static bool enough_decrease(const struct solver *v, double f, double t, double slope)
{
    double gain = 0;
    if (!isfinite(f))
        return false;
    if (!v->p->l1)
        gain = t * slope;
    else
        for (size_t i = 0; i < v->n; i++)
            gain += v->pg[i] * (v->next[i] - v->x[i]);
    return f <= v->f + 1e-4 * gain + ROUNDING * fabs(v->f);
}

/* Finds next, its value and gradient; *found = false when rounding ends the progress. */
static enum am_rc line_search(struct solver *v, double *f, bool *found, struct am_err *err)
{
    double slope = dot(v->n, v->pg, v->d), low = 0, high = INFINITY, t = 1;
    *found = false;
    if (!(slope < 0))
        return AM_OK;
    if (v->stored == 0)
        t = 1 / sqrt(dot(v->n, v->d, v->d));
    for (int k = 0; k < LINE_STEPS; k++) {
        step_to(v, t);
        AM_TRY(eval(v, v->next, f, v->gnext, err));
        if (!enough_decrease(v, *f, t, slope)) {
            high = t;
        } else if (!v->p->l1 && dot(v->n, v->gnext, v->d) < 0.9 * slope) {
            low = t;
        } else {
            *found = true;
            return AM_OK;
        }
        t = isfinite(high) ? (low + high) / 2 : 2 * t;
    }
    return AM_OK;
}

static void remember(struct solver *v)
{
    double *s = v->s + v->head * v->n, *y = v->y + v->head * v->n, sy;
    for (size_t i = 0; i < v->n; i++) {
        s[i] = v->next[i] - v->x[i];
        y[i] = v->gnext[i] - v->g[i];
    }
    sy = dot(v->n, s, y);
    if (!(sy > 1e-300 && sy > 1e-16 * dot(v->n, y, y)))
        return;
    v->rho[v->head] = 1 / sy;
    v->head = (v->head + 1) % MEMORY;
    v->stored += v->stored < MEMORY;
}

static enum am_rc iterate(struct solver *v, const struct am_lbfgs_options *o, struct am_err *err)
{
    unsigned flat = 0;
    for (;;) {
        double f = 0;
        bool found;
        pseudo_gradient(v);
        v->r->gradient = largest(v->n, v->pg);
        v->r->objective = v->f;
        if (v->r->gradient <= o->tolerance) {
            v->r->converged = true;
            return AM_OK;
        }
        if (v->r->iterations >= o->max_iterations)
            return AM_OK;
        direction(v);
        AM_TRY(line_search(v, &f, &found, err));
        if (!found && v->stored > 0) { /* once more along the gradient itself */
            v->stored = 0;
            continue;
        }
        flat = found && v->f - f <= ROUNDING * fabs(v->f) ? flat + 1 : 0;
        if (!found || flat >= 10) { /* as exact as the arithmetic allows */
            v->r->converged = true;
            return AM_OK;
        }
        remember(v);
        memcpy(v->x, v->next, v->n * sizeof *v->x);
        memcpy(v->g, v->gnext, v->n * sizeof *v->g);
        v->f = f;
        v->r->iterations++;
    }
}

enum am_rc am_lbfgs(const struct am_lbfgs_problem *p, const struct am_lbfgs_options *o, double *x,
                    struct am_lbfgs_result *result, struct am_err *err)
{
    struct solver v = {.p = p, .n = p->n, .x = x, .r = result};
    size_t n = p->n, vectors = 5 + 2 * MEMORY;
    enum am_rc rc;
    *result = (struct am_lbfgs_result){0};
    v.memory = am_calloc(n * vectors + 1, sizeof *v.memory);
    if (!v.memory)
        return am_fail_nomem(err, n * vectors * sizeof *v.memory);
    v.g = v.memory, v.pg = v.g + n, v.next = v.pg + n, v.gnext = v.next + n, v.d = v.gnext + n;
    v.s = v.d + n, v.y = v.s + MEMORY * n;
    AM_GO(rc, eval(&v, x, &v.f, v.g, err));
    if (!isfinite(v.f)) {
        rc = am_fail(err, AM_EINVAL, "the objective is %g at the start", v.f);
        am_hint(err, "Look for infinite or extreme values among the features.");
        goto out;
    }
    rc = iterate(&v, o, err);
out:
    am_free(v.memory);
    return rc;
}
