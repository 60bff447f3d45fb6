/* Written advice: rules over facts of a run, each a sentence with the figures that made it fire.
 *
 * Pure; the facts are the caller's. Any thread. */
#ifndef AM_EVAL_ADVICE_H
#define AM_EVAL_ADVICE_H

#include "eval/eval.h"

struct am_advice_facts {
    enum am_task task;
    uint64_t n_train;           /* rows */
    size_t n_features;          /* columns of the matrix */
    bool one_input;             /* they are pixels, samples or words of one input */
    uint64_t n_leaks;           /* rows of one part equal to a row of another that stayed there */
    const uint64_t *class_rows; /* [n_classes] training rows of each class */
    const char *const *class_names; /* [n_classes] */
    size_t n_classes;
    const char *metric; /* name of the figure below; its direction is am_metric_find's */
    double train, held_out, baseline; /* NaN = not measured; held_out: test, else validation */
    double deviation;                 /* of held_out by bootstrap; NaN = unknown */
    const char *top_column;           /* most important column, NULL = unknown */
    double top_drop, second_drop;     /* importance of the first two */
};

/* [{kind: overfit|underfit|imbalance|leak|few_rows, text, remedy}] */
struct am_node *am_advice(const struct am_advice_facts *f, struct am_arena *a);

#endif
