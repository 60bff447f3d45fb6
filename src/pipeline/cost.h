/* What a model would cost on this machine: seconds to train, microseconds to predict, bytes.
 *
 * Per family of learners (at its default settings) a straight line in logarithms: of training rows,
 * features and outputs. Its slopes start from what the algorithm says and are fitted to
 * observations: a short calibration on generated rows, done once for a workspace and a processor,
 * and every finished training since. Observations are lines of WORKSPACE/costs (tab separated:
 * processor, family, rows, features, outputs, seconds, microseconds, bytes); a cache: remove the
 * file and it is measured anew. One thread per struct am_costs. */
#ifndef AM_PIPELINE_COST_H
#define AM_PIPELINE_COST_H

#include "base/tree.h"
#include "tensor/task.h"

struct am_pipeline;
struct am_costs;

struct am_cost_size {
    double rows;     /* of training, once */
    double features; /* numbers of a row */
    double outputs;  /* classes of a multi-class task, else 1 */
};
struct am_cost {
    double fit_s;        /* one training */
    double latency_us;   /* one row alone */
    double model_bytes;  /* weights */
    double memory_bytes; /* at the peak of training: rows, work memory, model */
    size_t n_seen;       /* observations of the family on this processor; 0 = by the algorithm */
};

/* Reads what is known; a file that is missing or damaged knows nothing. dir: of the workspace. */
enum am_rc am_costs_open(const char *dir, struct am_costs **out, struct am_err *err) AM_MUST_CHECK;
void am_costs_free(struct am_costs *c); /* NULL is fine */
/* false = no such family. family: `model.type`. */
bool am_costs_predict(const struct am_costs *c, const char *family, const struct am_cost_size *size,
                      struct am_cost *out);
/* One more observation, here and in the file; what cannot be written is only known here. Times that
 * are not positive numbers count as not measured. */
void am_costs_add(struct am_costs *c, const char *family, const struct am_cost_size *size,
                  const struct am_cost *seen);
size_t am_costs_seen(const struct am_costs *c, const char *family);

/* Trains every learner of the table on generated rows of some sizes unless it was done here before;
 * stops at the deadline (am_mono_ns; 0 = none). Learners whose driver is missing are left out. */
enum am_rc am_costs_calibrate(struct am_costs *c, const struct am_pipeline *pl,
                              uint64_t deadline_ns, struct am_err *err) AM_MUST_CHECK;

#endif
