/* A plan: a graph made executable. Immutable, reference-counted, shared by any number of sessions.
 *
 * Building drops what no output needs, fuses (linear + bias + activation), picks kernels, lays all
 * intermediate values into one memory map in which dead values' room is used again, and packs
 * weights once (inference). Peak bytes and operations are known before anything runs. A plan runs
 * every n_rows from 0 to its bucket. Any thread. */
#ifndef AM_NN_PLAN_H
#define AM_NN_PLAN_H

#include "nn/graph.h"
#include "nn/params.h"

struct am_plan;

enum am_plan_mode {
    AM_PLAN_INFER, /* x -> y; weights packed into the plan: later changes of params are not seen */
    AM_PLAN_EVAL, /* x, target, weight -> y and loss; reads the parameter block given at each run */
    AM_PLAN_TRAIN, /* x, target, weight -> loss, and gradients into the gradient block given at each
                      run */
};

/* Steps that a library of convolution kernels may serve (tensor/kernel_port.h). */
enum am_plan_library {
    AM_PLAN_LIBRARY_NONE,  /* our own kernels only */
    AM_PLAN_LIBRARY_TIMED, /* INFER: where it is measured to be faster; silently none without it */
    AM_PLAN_LIBRARY_ALL,   /* wherever it can; AM_EMISSING without it */
    AM_PLAN_LIBRARY_TABLE, /* TRAIN: by the table of plan_port.c; AM_EMISSING without it */
};

struct am_plan_options {
    enum am_plan_mode mode;
    enum am_plan_library library;                 /* with `share`: what that plan chose */
    size_t bucket_rows;                           /* the most rows of one run; >= 1 */
    const struct am_kernels *kernels;             /* NULL = am_kernels_best() */
    const struct am_train_kernels *train_kernels; /* EVAL and TRAIN; nn/train_plan.c sets it */
    const struct am_plan
        *share;         /* INFER: use this plan's packed weights (same graph and params), or NULL */
    const char *output; /* INFER: the output that is y; NULL = "y" */
    /* x may come as sparse rows, too: everything that reads it must be able to (AM_OP_SPARSE_X),
     * else AM_EUNSUPPORTED. Its weights are not packed. EVAL and TRAIN take them wherever they can.
     */
    bool sparse_x;
};

/* Can everything in the graph that reads x read sparse rows? */
bool am_plan_takes_sparse(const struct am_graph *g);
/* INFER needs the outputs "y" and input "x" only. EVAL and TRAIN: see nn/train_plan.h, which makes
 * the training graph. The graph may be freed afterwards; of params, INFER keeps a copy, the others
 * the layout. */
enum am_rc am_plan_build(const struct am_graph *g, const struct am_params *params,
                         const struct am_plan_options *options, struct am_plan **out,
                         struct am_err *err) AM_MUST_CHECK;
struct am_plan *am_plan_get(struct am_plan *p); /* one more reference; returns p */
void am_plan_put(struct am_plan *p);            /* NULL is fine */

size_t am_plan_bucket_rows(const struct am_plan *p);
size_t am_plan_n_inputs(const struct am_plan *p); /* width of x */
size_t
am_plan_n_outputs(const struct am_plan *p); /* width of y; 0 when the plan has no y (TRAIN) */
/* Bytes a session of this plan allocates. */
size_t am_plan_session_bytes(const struct am_plan *p);
/* session_bytes plus what the plan itself holds (packed weights and constants). */
size_t am_plan_peak_bytes(const struct am_plan *p);
/* Floating-point operations of one run over n_rows. */
double am_plan_flops(const struct am_plan *p, size_t n_rows);
size_t am_plan_n_steps(const struct am_plan *p);
const char *am_plan_step_name(const struct am_plan *p,
                              size_t i); /* "linear+relu"; lives with the plan */
/* The library that serves some of the steps and its version ("oneDNN 2.6.3 ..."), or NULL. Static.
 */
const char *am_plan_library(const struct am_plan *p);
size_t am_plan_n_library_steps(const struct am_plan *p);
/* Where choices by timing are kept between processes. key: text without tabs that names shape,
 * kernels and library. recall: true = known. keep: false = it cannot be kept, and our own kernels
 * are taken; another process may have been first, then *library is its choice. */
struct am_plan_choices {
    bool (*recall)(const char *key, bool *library);
    bool (*keep)(const char *key, bool *library);
};
/* Borrowed for ever; before threads start. Without it a choice lives as long as the process. */
void am_plan_set_choices(const struct am_plan_choices *c);
/* What the environment wishes of plans that predict (am_kernel_port_wish). */
enum am_plan_library am_plan_library_wish(void);
/* Sum of what INTERMEDIATE values would take without reuse; for tests of the memory map. */
size_t am_plan_unshared_bytes(const struct am_plan *p);

#endif
