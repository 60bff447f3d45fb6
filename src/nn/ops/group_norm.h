/* Statistics of group norm for the op and its gradients, one row at a time: for each channel the
 * mean and 1 / deviation of its group. Channels are summed 16 side by side over 64 positions in
 * float, those sums in double, all in a fixed order. Pure; any thread. */
#ifndef AM_NN_OPS_GROUP_NORM_H
#define AM_NN_OPS_GROUP_NORM_H

#include <math.h>

#include "nn/ops/op.h"

#define AM_GROUP_TILE 16

/* sum[j] for the n <= 16 channels from j0 on: the sum over positions of VALUE, which may use `at`
 * (of the element) and `j` (0..n-1). The usual n = 16 is a constant for the compiler. */
#define AM_GROUP_TILE_SUM(positions, c, j0, n, sum, VALUE)                                         \
    do {                                                                                           \
        double total_[AM_GROUP_TILE] = {0};                                                        \
        for (size_t p0_ = 0; p0_ < (positions); p0_ += 64) {                                       \
            const size_t p1_ = (positions)-p0_ < 64 ? (positions) : p0_ + 64;                      \
            float lane_[AM_GROUP_TILE] = {0};                                                      \
            if ((n) == AM_GROUP_TILE)                                                              \
                for (size_t p_ = p0_; p_ < p1_; p_++)                                              \
                    for (size_t j = 0; j < AM_GROUP_TILE; j++) {                                   \
                        const size_t at = p_ * (c) + (j0) + j;                                     \
                        lane_[j] += (VALUE);                                                       \
                    }                                                                              \
            else                                                                                   \
                for (size_t p_ = p0_; p_ < p1_; p_++)                                              \
                    for (size_t j = 0; j < (n); j++) {                                             \
                        const size_t at = p_ * (c) + (j0) + j;                                     \
                        lane_[j] += (VALUE);                                                       \
                    }                                                                              \
            for (size_t j = 0; j < AM_GROUP_TILE; j++)                                             \
                total_[j] += (double)lane_[j];                                                     \
        }                                                                                          \
        for (size_t j = 0; j < (n); j++)                                                           \
            (sum)[(j0) + j] = (float)total_[j];                                                    \
    } while (0)

static inline size_t am_group_tile(size_t c, size_t j0)
{
    return c - j0 < AM_GROUP_TILE ? c - j0 : AM_GROUP_TILE;
}

/* Each channel's number becomes that of its group: the sum over the group, divided. */
static inline void am_group_mean(float *v, size_t c, size_t groups, double divisor)
{
    const size_t each = c / groups;
    for (size_t c0 = 0; c0 < c; c0 += each) {
        double sum = 0;
        for (size_t j = 0; j < each; j++)
            sum += (double)v[c0 + j];
        for (size_t j = 0; j < each; j++)
            v[c0 + j] = (float)(sum / divisor);
    }
}

/* x [positions, c] -> mean [c], inverse [c] = 1 / sqrt(variance + eps) */
static inline void am_group_stats(const float *x, size_t positions, size_t c, size_t groups,
                                  float eps, float *mean, float *inverse)
{
    const double count = (double)positions * (double)(c / groups);
    for (size_t j0 = 0; j0 < c; j0 += AM_GROUP_TILE) {
        const size_t n = am_group_tile(c, j0);
        AM_GROUP_TILE_SUM(positions, c, j0, n, mean, x[at]);
    }
    am_group_mean(mean, c, groups, count);
    for (size_t j0 = 0; j0 < c; j0 += AM_GROUP_TILE) {
        const size_t n = am_group_tile(c, j0);
        const float *mu = mean + j0;
        AM_GROUP_TILE_SUM(positions, c, j0, n, inverse, (x[at] - mu[j]) * (x[at] - mu[j]));
    }
    am_group_mean(inverse, c, groups, count);
    for (size_t j = 0; j < c; j++)
        inverse[j] = (float)(1.0 / sqrt((double)inverse[j] + (double)eps));
}

#endif
