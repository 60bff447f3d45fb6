/* A session: what one thread needs to run a plan: its memory map, scratch and pointers.
 *
 * Everything is allocated when it is made; a run allocates nothing and takes no lock. A session
 * belongs to one thread at a time; a pool may help inside a step (outputs are split into fixed
 * chunks, so the bits do not depend on its size). */
#ifndef AM_NN_SESSION_H
#define AM_NN_SESSION_H

#include "nn/plan.h"
#include "tensor/sparse.h"

struct am_pool;
struct am_session;

/* Takes a reference of the plan. pool is borrowed, NULL = this thread alone. */
enum am_rc am_session_new(struct am_plan *plan, struct am_pool *pool, struct am_session **out,
                          struct am_err *err) AM_MUST_CHECK;
void am_session_free(struct am_session *s); /* NULL is fine */

/* INFER: n_rows in 0..bucket; a row's result does not depend on the other rows nor on their number.
 */
enum am_rc am_session_run(struct am_session *s, size_t n_rows,
                          const float *x /* [n_rows, n_inputs] */,
                          float *y /* [n_rows, n_outputs] */, struct am_err *err) AM_MUST_CHECK;

/* The same for sparse rows x [n_rows, n_inputs]; the plan was built with sparse_x. A row's bits are
 * those of its own entries in order; within rounding those of am_session_run. */
enum am_rc am_session_run_sparse(struct am_session *s, const struct am_csr *x,
                                 float *y /* [n_rows, n_outputs] */,
                                 struct am_err *err) AM_MUST_CHECK;

/* One EVAL or TRAIN run. Pointers are borrowed for the call. */
struct am_session_io {
    size_t n_rows;               /* 0..bucket */
    const float *x;              /* [n_rows, n_inputs]; NULL with sparse */
    const struct am_csr *sparse; /* NULL = x; else the rows, of a plan with sparse_x */
    const float *target; /* [n_rows, n_targets]; a class index as a float, 0/1, or a number */
    const float *weight; /* [n_rows], >= 0; NULL = all 1 */
    float *params; /* [n_floats]; TRAIN writes the AM_PARAM_STATE entries (running statistics) */
    float *grads;  /* TRAIN: [n_floats] of a twin; gradients are written over what is there (not
                      added). Floats  of frozen parameters, of gaps and of parameters that the loss
                      does not reach are left  as they were */
    float *y;      /* EVAL: [n_rows, n_outputs], or NULL */
    uint64_t seed,
        step;          /* TRAIN: dropout masks are a function of these, the node and the element */
    double mass;       /* TRAIN: gradients are divided by this weight sum; 0 = by the run's own */
    double loss;       /* out: sum of weighted losses / weight_sum; 0 when that is 0 */
    double weight_sum; /* out: over all batches, sum(loss * weight_sum) / sum(weight_sum) is the
                          mean loss */
};
enum am_rc am_session_run_io(struct am_session *s, struct am_session_io *io,
                             struct am_err *err) AM_MUST_CHECK;

/* Per-step times of the runs since this was switched on; for profiles. ns[i] belongs to
 * am_plan_step_name(i). Off by default. The array belongs to the caller and holds am_plan_n_steps
 * entries; NULL switches off. */
void am_session_profile(struct am_session *s, uint64_t *ns);

#endif
