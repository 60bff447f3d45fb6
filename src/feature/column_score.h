/* How much a column alone says: the filters of feature selection, over arrays in memory.
 *
 * Formulas and conventions are those of scikit-learn's feature_selection: higher is better. A
 * column is numbers, or codes of categories; the target is a class or a number. Pure functions; any
 * thread. Fitting only: not linked by libaimass. */
#ifndef AM_FEATURE_COLUMN_SCORE_H
#define AM_FEATURE_COLUMN_SCORE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum am_column_score {
    AM_SCORE_VARIANCE,           /* numbers: population variance; categories: of their indicators,
                                    summed */
    AM_SCORE_CORRELATION,        /* |Pearson| with the target; correlation ratio where one of the
                                    two is a category */
    AM_SCORE_ANOVA,              /* F: f_classif, f_regression; categories against a number: one
                                    way; against a class: the largest of their indicators */
    AM_SCORE_CHI2,               /* classes only. Numbers are moved to begin at 0 */
    AM_SCORE_INFORMATION_GAIN,   /* bits; numbers, also the target, in 10 parts of equal count */
    AM_SCORE_MUTUAL_INFORMATION, /* nats; k nearest neighbours where there are numbers (Kraskov et
                                    al. 2004, Ross 2014) */
    AM_N_COLUMN_SCORES
};

struct am_score_column {
    size_t n;             /* rows */
    const double *number; /* [n], finite; NULL = categories */
    const uint32_t *code; /* [n], < n_codes */
    size_t n_codes;
};
struct am_score_target {
    size_t n_classes; /* 0 = a number */
    const double *y;  /* [n] class index or value, finite */
};
struct am_score_options {
    unsigned n_neighbors; /* of mutual information; 0 = 3 */
    uint64_t seed;        /* of the noise (1e-10 deviations) that parts equal numbers there */
};

/* n >= 2 rows. AM_ENOMEM; AM_EUSAGE: chi2 of a number as target. A column without any spread scores
 * 0. */
enum am_rc am_column_score(enum am_column_score by, const struct am_score_column *x,
                           const struct am_score_target *t, const struct am_score_options *o,
                           double *out, struct am_err *err) AM_MUST_CHECK;
/* |Pearson| of two columns of numbers [n]; 0 when one is constant. */
double am_column_correlation(const double *a, const double *b, size_t n);

#endif
