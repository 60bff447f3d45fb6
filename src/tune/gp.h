/* Gaussian process regression with a Matern-5/2 kernel over mixed places, its acquisition function
 * and the minimiser that both use.
 *
 * Distances: (a - b)^2 a dimension, a != b for unordered ones, 1 when a dimension is on in one
 * place only, 0 when in neither. Hyper-parameters are maximum a posteriori, nearly with the
 * priors of Optuna's GP sampler. Memory comes from the caller's arena. One thread. */
#ifndef AM_TUNE_GP_H
#define AM_TUNE_GP_H

#include "tune/tune_int.h"

struct tune_gp {
    size_t n, d, cap;       /* observations, dimensions, room for observations */
    const uint8_t *hamming; /* [d] unordered dimensions */
    double *x;              /* [cap, d] */
    double *y;              /* [cap] standardised */
    double *theta;          /* [d] 1 / length^2 */
    double s2, noise;       /* variances of signal and noise */
    double *p;              /* [d + 2] their logarithms */
    double *u;              /* [cap, cap] upper Cholesky factor, rows of n */
    double *alpha;          /* [cap] C^-1 y */
    double *pairs;          /* [cap (cap - 1) / 2, d] squared differences */
    double *w, *c, *g;      /* [cap, cap] each: work of the fit */
};

/* Room for cap observations in d dimensions. */
enum am_rc am_gp_init(struct tune_gp *gp, struct am_arena *a, size_t cap, size_t d,
                      const uint8_t *hamming, struct am_err *err) AM_MUST_CHECK;
double am_gp_distance(const struct tune_gp *gp, size_t dim, double a, double b);
/* After x, y, n are set. Negative log posterior of hyper-parameters p [d + 2] and its gradient. */
void am_gp_pairs(struct tune_gp *gp);
double am_gp_loss(void *gp, const double *p, double *gradient);
/* Fits p, from `start` [d + 2] or, NULL, from the default: roughly, as a sharp optimum of a few
 * trials says little. */
void am_gp_fit(struct tune_gp *gp, const double *start);
/* The factor and alpha for the present p, x, y, n; false when even with jitter it is singular. */
bool am_gp_factor(struct tune_gp *gp);
/* Mean and variance at a place; work: [n]. */
void am_gp_predict(const struct tune_gp *gp, const double *x, double *mean, double *variance,
                   double *work);
/* The same for 8 places, x: [8, d], work: [n, 8]. */
void am_gp_predict8(const struct tune_gp *gp, const double *x, double *mean, double *variance,
                    double *work);
/* With gradients by x [d]; work: [3 n]. */
void am_gp_slope(const struct tune_gp *gp, const double *x, double *mean, double *variance,
                 double *d_mean, double *d_variance, double *work);

/* Logarithm of the expected improvement over f0 (minimising), and its derivatives by mean and
 * standard deviation when not NULL (Ament et al., NeurIPS 2023). */
double am_log_ei(double mean, double sd, double f0, double *by_mean, double *by_sd);
/* log Phi(z) and its derivative. */
double am_log_phi(double z, double *slope);

/* Minimises within low <= x <= high by projected L-BFGS; x [n] in, out; work: [n * 24]. Returns the
 * value. At most TUNE_MINIMIZE_DIMS dimensions. */
enum { TUNE_MINIMIZE_MEMORY = 8, TUNE_MINIMIZE_WORK = 2 * TUNE_MINIMIZE_MEMORY + 6 };
typedef double tune_value_fn(void *ctx, const double *x, double *gradient);
double am_tune_minimize(tune_value_fn *f, void *ctx, size_t n, double *x, const double *low,
                        const double *high, int max_iterations, double tolerance, double *work);

#endif
