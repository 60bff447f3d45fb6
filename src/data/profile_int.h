/* Inside of profiles: the running state, shared by profile.c (one pass, merge, finish) and
 * profile_node.c (pairs with the target, warnings, printing). */
#ifndef AM_DATA_PROFILE_INT_H
#define AM_DATA_PROFILE_INT_H

#include "data/distinct.h"
#include "data/profile.h"

struct profile_state { /* of one column */
    struct am_column_profile pub;
    struct distinct distinct;
    uint64_t n_values;       /* finite numbers */
    double shift, sum, sum2; /* of value - shift, in row order */
    double n_words;
    double *sample; /* owned [cap]; NaN = missing; texts: their number in order of appearance */
};

struct am_profile {
    const struct am_schema *schema; /* borrowed */
    size_t target;                  /* SIZE_MAX = none */
    uint64_t seed;
    struct profile_state *columns; /* owned [schema->n] */
    uint64_t n_rows;
    size_t n_sample, keep, cap; /* rows in the sample; kept after thinning; room */
    uint64_t *keys, *rows;      /* owned [cap] random key and number of each sampled row */
    uint64_t threshold;         /* rows with larger keys are not taken */
    double *scratch;            /* owned [2 cap] */
    bool finished;
};

/* rows: the rows' numbers in the whole table, NULL = b->first_row on */
enum am_rc profile_update_at(struct am_profile *p, const struct am_batch *b, const uint64_t *rows,
                             struct am_err *err) AM_MUST_CHECK;
/* Fills target_correlation of every column; after the sample is final. */
enum am_rc profile_correlate(struct am_profile *p, struct am_err *err) AM_MUST_CHECK;
int profile_compare_doubles(const void *a, const void *b);

#endif
