/* The discrete Fourier transform of real rows, any length: powers of two by a split half-length
 * complex transform, others by Bluestein's chirp (1970). Double precision, one fixed order of
 * operations: the same bits on every run and thread.
 *
 * A plan is immutable and may be shared by any number of threads; scratch belongs to the caller. */
#ifndef AM_FEATURE_FFT_H
#define AM_FEATURE_FFT_H

#include "base/arena.h"

struct am_fft; /* lives in the arena it was made in */

#define AM_FFT_MAX 65536

/* n: 1..AM_FFT_MAX points. */
enum am_rc am_fft_new(size_t n, struct am_arena *a, const struct am_fft **out,
                      struct am_err *err) AM_MUST_CHECK;
size_t am_fft_scratch(const struct am_fft *f); /* doubles */
/* X[k] = sum x[t] exp(-2 pi i k t / n) for k = 0..n/2. x: [n]; re, im: [n / 2 + 1]; scratch:
 * [am_fft_scratch]. No two of them overlap. */
void am_fft_real(const struct am_fft *f, const double *x, double *re, double *im, double *scratch);

#endif
