/* Looking inside a trained graph: what a layer answers, and how an output moves with the input.
 *
 * Both make inference plans over copies of the graph, "x" in, "y" out, to be run by session.h; the
 * model's own graph and parameters stay as they are. Dropout is left out and batch norm keeps its
 * running statistics, as at prediction. Fitting library; one thread. */
#ifndef AM_NN_PROBE_H
#define AM_NN_PROBE_H

#include "nn/plan.h"

struct am_probe_layer {
    struct am_str name;  /* "conv1"; lives in the arena */
    am_value value;      /* after its norm and activation */
    struct am_dims dims; /* [B,H,W,C] or [B,T,C] */
};
/* The convolutions in the order of the graph. *out lives in the arena. */
enum am_rc am_probe_convolutions(const struct am_graph *g, struct am_arena *a,
                                 const struct am_probe_layer **out, size_t *n,
                                 struct am_err *err) AM_MUST_CHECK;

/* y [rows, n]: value v of the graph, its dimensions but the batch made one. */
enum am_rc am_probe_value_plan(const struct am_graph *g, const struct am_params *params, am_value v,
                               size_t bucket_rows, struct am_plan **out,
                               struct am_err *err) AM_MUST_CHECK;

/* y [rows, width of x]: the gradient of column `column` of the model's "y" by x, row by row; of
 * what goes into a closing softmax or sigmoid, since probabilities near 0 and 1 move no more.
 * AM_EUNSUPPORTED: no gradient reaches x (token ids). */
enum am_rc am_probe_gradient_plan(const struct am_graph *g, const struct am_params *params,
                                  size_t column, size_t bucket_rows, struct am_plan **out,
                                  struct am_err *err) AM_MUST_CHECK;

#endif
