/* Decision values made probabilities: p = 1 / (1 + exp(a f + b)) (Platt 1999, by the Newton method
 * of Lin, Lin and Weng 2007). Inside of learn/; any thread. */
#ifndef AM_LEARN_PLATT_H
#define AM_LEARN_PLATT_H

#include <stddef.h>
#include <stdint.h>

/* decision [n], positive [n] 0 or 1, weight [n] (NULL = 1). Without rows of one of both: a = 0. */
void am_platt_fit(const double *decision, const uint8_t *positive, const double *weight, size_t n,
                  double *a, double *b);

#endif
