/* What a graph is made of, row by row, and choosing which output is "y". Fitting library; reads
 * only.
 */
#ifndef AM_NN_DESCRIBE_H
#define AM_NN_DESCRIBE_H

#include "nn/graph.h"

struct am_graph_row {    /* an operation */
    struct am_str name;  /* the layer's, or empty */
    struct am_str type;  /* "linear", "relu" */
    struct am_dims dims; /* of its result */
    size_t n_params;     /* numbers it reads as parameters, counted where they are first read */
    size_t n_trained;    /* of them those that training changes by gradients */
    double flops;        /* of one row of the batch */
};

/* Operations in order; leaves and what only passes on are left out. *rows lives in the arena. */
enum am_rc am_graph_describe(const struct am_graph *g, struct am_arena *a,
                             const struct am_graph_row **rows, size_t *n,
                             struct am_err *err) AM_MUST_CHECK;
/* A copy whose "y" is the output of that name; parameters stay the same. AM_ENOTFOUND. */
enum am_rc am_graph_select_output(const struct am_graph *g, const char *name, struct am_graph **out,
                                  struct am_err *err) AM_MUST_CHECK;

#endif
