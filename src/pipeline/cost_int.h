/* What the cost model shares with the trainings that it observes. One thread. */
#ifndef AM_PIPELINE_COST_INT_H
#define AM_PIPELINE_COST_INT_H

#include "learn/learn.h"

/* The quickest of some predictions of one row of zeros, in microseconds; NaN = it cannot run. */
double am_cost_latency(const struct am_learned *l, size_t width);

#endif
