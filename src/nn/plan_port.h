/* Steps of a plan that a library of convolution kernels serves (tensor/kernel_port.h).
 *
 * For plan.c and session.c. Which steps: at inference by timing, the same for all plans of a model;
 * in training by the table in plan_port.c. All primitives are made here, when a plan is built; a
 * step only runs them. Where the library refuses, the op's own run stays. */
#ifndef AM_NN_PLAN_PORT_H
#define AM_NN_PLAN_PORT_H

#include "nn/plan_int.h"
#include "tensor/kernel_port.h"

struct am_ports; /* the port steps of a plan, or of the plans that share weights; counted */

struct am_port_build {
    struct am_plan *plan; /* steps are made; names live in its arena */
    const struct am_graph *graph;
    const struct am_params *params;
    const struct am_plan_options *options;
    const struct am_gnode *(*node)(const void *ctx, size_t step); /* whose op the step runs */
    const void *ctx;
    size_t *scratch; /* floats, in and out: the most that a step needs */
};
/* Gives steps to the library: sets step.run, .port, .name. AM_EMISSING when it was demanded and is
 * not there. */
enum am_rc am_ports_choose(const struct am_port_build *b, struct am_err *err) AM_MUST_CHECK;
/* INFER: floats that the step wants in the packed block, and what goes there, once the block's
 * other parts are filled (share: it is there already). */
size_t am_port_prepared(const struct am_step *s);
enum am_rc am_ports_prepare(struct am_plan *p, const struct am_params *params,
                            struct am_err *err) AM_MUST_CHECK;
void am_ports_put(struct am_ports *p); /* NULL is fine */

/* What a session needs to run them: NULL when the plan has none. */
enum am_rc am_ports_contexts_new(const struct am_plan *p, struct am_port_context ***out,
                                 struct am_err *err) AM_MUST_CHECK;
void am_ports_contexts_free(const struct am_plan *p, struct am_port_context **contexts);

#endif
