/* OpenBLAS and its LAPACK through pointers, opened at first use and held at one thread.
 *
 * Nothing links the library: it is fitting's helper for dense double algebra (exact solvers) and
 * for comparing kernels; serving never opens it. Matrices follow each routine's own convention
 * (CBLAS: row- or column-major as told; LAPACK: column-major). The table lives until the process
 * ends. Any thread. */
#ifndef AM_TENSOR_BLAS_H
#define AM_TENSOR_BLAS_H

#include <stddef.h>

#include "base/err.h"

enum am_blas_order { AM_BLAS_ROW_MAJOR = 101, AM_BLAS_COL_MAJOR = 102 };
enum am_blas_trans { AM_BLAS_NO_TRANS = 111, AM_BLAS_TRANS = 112 };
enum am_blas_uplo { AM_BLAS_UPPER = 121, AM_BLAS_LOWER = 122 };

struct am_blas { /* the names, arguments and 32-bit integers are those of CBLAS and LAPACK 3.9 */
    void (*sgemm)(enum am_blas_order, enum am_blas_trans, enum am_blas_trans, int m, int n, int k,
                  float alpha, const float *a, int lda, const float *b, int ldb, float beta,
                  float *c, int ldc);
    void (*dgemm)(enum am_blas_order, enum am_blas_trans, enum am_blas_trans, int m, int n, int k,
                  double alpha, const double *a, int lda, const double *b, int ldb, double beta,
                  double *c, int ldc);
    void (*sgemv)(enum am_blas_order, enum am_blas_trans, int m, int n, float alpha, const float *a,
                  int lda, const float *x, int incx, float beta, float *y, int incy);
    void (*dgemv)(enum am_blas_order, enum am_blas_trans, int m, int n, double alpha,
                  const double *a, int lda, const double *x, int incx, double beta, double *y,
                  int incy);
    void (*dsyrk)(enum am_blas_order, enum am_blas_uplo, enum am_blas_trans, int n, int k,
                  double alpha, const double *a, int lda, double beta, double *c, int ldc);
    /* Fortran LAPACK; the last arguments are the lengths of the character arguments (1) */
    void (*dpotrf)(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
    void (*dpotrs)(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda,
                   double *b, const int *ldb, int *info, size_t);
    void (*dgelsd)(const int *m, const int *n, const int *nrhs, double *a, const int *lda,
                   double *b, const int *ldb, double *s, const double *rcond, int *rank,
                   double *work, const int *lwork, int *iwork, int *info);
    void (*dsyev)(const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
                  double *w, double *work, const int *lwork, int *info, size_t, size_t);
    const char *version; /* "OpenBLAS 0.3.21 ..."; static */
};

/* AM_EMISSING with the package to install when the library or one of its functions is not there. */
enum am_rc am_blas_open(const struct am_blas **out, struct am_err *err) AM_MUST_CHECK;
/* The same without an error: NULL when missing. */
const struct am_blas *am_blas(void);

#endif
