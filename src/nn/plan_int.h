/* The inside of a plan, for plan.c and session.c. */
#ifndef AM_NN_PLAN_INT_H
#define AM_NN_PLAN_INT_H

#include <stdatomic.h>

#include "nn/ops/op.h"
#include "nn/plan.h"

/* Inference: packed weights, folded constants and copies of the parameters that steps read as they
 * are; shared by the plans of one model. */
struct am_prepared {
    atomic_size_t refs;
    size_t n_floats;
    float *data; /* owned, 64-byte aligned */
};

struct am_plan {
    atomic_size_t refs;
    enum am_plan_mode mode;
    size_t bucket_rows;
    const struct am_kernels *kern;
    const struct am_train_kernels *tkern;
    struct am_step *steps; /* owned, [n_steps] */
    size_t n_steps;
    size_t arena_floats;    /* a session's memory map, scratch included */
    size_t unshared_floats; /* the same without reuse */
    size_t y_offset;        /* EVAL: where y goes when the caller does not want it */
    float *consts;          /* owned, or NULL */
    size_t n_const_floats;
    struct am_prepared *shared; /* INFER: one reference; else NULL. Its data is AM_IN_PARAMS */
    struct am_ports *ports;     /* nn/plan_port.h: one reference, or NULL */
    size_t n_inputs, n_outputs;
    bool sparse_x;    /* x may come as sparse rows */
    size_t n_classes; /* > 0: targets are classes below this */
    bool mixed;       /* two of them and a share (loss.h) */
    double flops_row, flops_fixed;
    struct am_arena *arena; /* owned: names of steps */
};

#endif
