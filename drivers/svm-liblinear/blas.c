/* The four functions of BLAS that LIBLINEAR calls, so that no library of them and no thread of its
 * comes along. Strides are 1 there; sums run in order, so results are the same everywhere. */
#include <math.h>
#include <stddef.h>

double ddot_(const int *n, const double *x, const int *incx, const double *y, const int *incy);
double ddot_(const int *n, const double *x, const int *incx, const double *y, const int *incy)
{
    double s = 0;
    for (ptrdiff_t i = 0; i < *n; i++)
        s += x[i * *incx] * y[i * *incy];
    return s;
}

double dnrm2_(const int *n, const double *x, const int *incx);
double dnrm2_(const int *n, const double *x, const int *incx)
{
    return sqrt(ddot_(n, x, incx, x, incx));
}

int daxpy_(const int *n, const double *a, const double *x, const int *incx, double *y,
           const int *incy);
int daxpy_(const int *n, const double *a, const double *x, const int *incx, double *y,
           const int *incy)
{
    for (ptrdiff_t i = 0; i < *n; i++)
        y[i * *incy] += *a * x[i * *incx];
    return 0;
}

int dscal_(const int *n, const double *a, double *x, const int *incx);
int dscal_(const int *n, const double *a, double *x, const int *incx)
{
    for (ptrdiff_t i = 0; i < *n; i++)
        x[i * *incx] *= *a;
    return 0;
}
