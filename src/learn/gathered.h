/* All training rows at once, for learners that need them together (neighbours, kernel machines).
 * Inside of learn/. Owned by who asked; one thread. */
#ifndef AM_LEARN_GATHERED_H
#define AM_LEARN_GATHERED_H

#include "learn/learn_int.h"

struct am_gathered {
    float *x;  /* owned, [n, f] */
    float *y;  /* owned, [n] value or class index */
    double *w; /* owned, [n] row weight (times class weight), > 0 */
    size_t n, f;
};
enum am_gather_weights { AM_GATHER_CLASS_WEIGHTS, AM_GATHER_ROW_WEIGHTS };
/* w with or without the class weights. Rows of weight 0 are left out. AM_EINVAL: values that are
 * not finite (named with the remedy), no weight at all; AM_ELIMIT: more than bytes_max of memory.
 */
enum am_rc am_gather_all(const struct am_learn_task *t, enum am_gather_weights weights,
                         size_t bytes_max, struct am_gathered *out,
                         struct am_err *err) AM_MUST_CHECK;
void am_gathered_clear(struct am_gathered *g);

/* y of the graph under construction from scores [B, n_classes] or [B, 1]: for two classes the
 * second column. */
void am_learn_class_output(struct am_graph *g, const struct am_learn_task *t, am_value shares);
/* Values of a parameter by name; what is not there is a programmer's error. */
float *am_learn_param(struct am_params *p, const char *name);

#endif
