/* Feature selection: which of the prepared columns a model gets, decided on training rows alone.
 *
 * `features.select` scores every column that features can be made of, and keeps the best; the model
 * then needs no others, in its package's signature neither. am_fit_features calls this for the rows
 * that it is given, so inside every fold the choice is made anew. Columns of texts, pictures,
 * sounds and videos are not scored and always stay. */
#ifndef AM_PIPELINE_SELECT_H
#define AM_PIPELINE_SELECT_H

#include "tensor/frame.h"

struct am_prepared;
struct am_arena;
struct am_node;
struct am_err;

struct am_selected {
    size_t column; /* of the schema */
    double score;  /* higher is better; NaN = not scored */
    bool kept;
};

struct am_selection { /* arrays in the prepared arena */
    const char *by;   /* NULL = the recipe selects nothing: all columns */
    size_t *kept;     /* [n_kept] columns of the schema, in the order of the prepared ones */
    size_t n_kept;
    struct am_selected *each; /* [n] best first, those without a score at the end */
    size_t n;
};

/* Does features.select suit the task? Before any row. AM_EUSAGE. */
enum am_rc am_select_check(const struct am_prepared *p, struct am_err *err) AM_MUST_CHECK;
/* t: a view of the training rows. AM_EUSAGE: a method that does not suit the task; AM_EINVAL:
 * nothing is left. */
enum am_rc am_select_columns(const struct am_prepared *p, const struct am_table *t,
                             struct am_selection *out, struct am_err *err) AM_MUST_CHECK;
/* {by, columns: [{column, score (null = not scored), kept}, ..], n_kept}; NULL without a
 * selection. */
struct am_node *am_selection_to_node(const struct am_prepared *p, const struct am_selection *s,
                                     struct am_arena *a);

/* select_model.c: scores by models of the columns [n]; score [n] is filled. */
enum am_select_model { AM_SELECT_L1, AM_SELECT_RECURSIVE, AM_SELECT_PERMUTATION };
enum am_rc am_select_by_model(const struct am_prepared *p, const struct am_table *t,
                              enum am_select_model by, const size_t *columns, size_t n,
                              double *score, struct am_err *err) AM_MUST_CHECK;

#endif
