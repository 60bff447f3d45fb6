/* Statistics of group norm for the op and its gradients: mean and 1 / deviation of one row over the
 * channels c0..c0+n of all positions. Sums of 64 positions and 16 channels in float, added up in
 * double, in a fixed order. Pure; any thread. */
#ifndef AM_NN_OPS_GROUP_NORM_H
#define AM_NN_OPS_GROUP_NORM_H

#include <math.h>

#include "nn/ops/op.h"

/* total += sum over positions p and channels j < n of EXPR(p, j) */
#define AM_GROUP_SUM(positions, n, total, EXPR)                                                    \
    for (size_t j0_ = 0; j0_ < (n); j0_ += 16)                                                     \
        for (size_t p0_ = 0; p0_ < (positions); p0_ += 64) {                                       \
            const size_t j1_ = (n)-j0_ < 16 ? (n) : j0_ + 16;                                      \
            const size_t p1_ = (positions)-p0_ < 64 ? (positions) : p0_ + 64;                      \
            float lane_[16] = {0};                                                                 \
            for (size_t p = p0_; p < p1_; p++)                                                     \
                for (size_t j = j0_; j < j1_; j++)                                                 \
                    lane_[j - j0_] += (EXPR);                                                      \
            for (size_t j = 0; j < 16; j++)                                                        \
                (total) += (double)lane_[j];                                                       \
        }

struct am_group_stats {
    float mean, inverse; /* inverse = 1 / sqrt(variance + eps) */
};

/* x = the row's first float of channel c0, c floats between positions */
static inline struct am_group_stats am_group_stats(const float *x, size_t positions, size_t c,
                                                   size_t n, float eps)
{
    double sum = 0, squares = 0;
    AM_GROUP_SUM(positions, n, sum, x[p * c + j])
    const double count = (double)positions * (double)n;
    const float mean = (float)(sum / count);
    AM_GROUP_SUM(positions, n, squares, (x[p * c + j] - mean) * (x[p * c + j] - mean))
    return (struct am_group_stats){mean, (float)(1.0 / sqrt(squares / count + (double)eps))};
}

#endif
