/* What the pooling ops and their gradients share: the shape for the kernels. No state; any thread.
 *
 * Attributes: i[0..1] = kernel, i[2..3] = stride, i[4..5] = padding (height, width), i[6] = 1: the
 * average leaves padding out. The gradients add i[8..10] = height, width and channels of x. A
 * global pool has no attributes. */
#ifndef AM_NN_OPS_POOL_H
#define AM_NN_OPS_POOL_H

#include "nn/ops/op.h"

#define AM_POOL_PLACES_MAX (1 << 24) /* of a window: their numbers are exact as floats */

/* x [B,H,W,C], or [B,T,C] as one line, or for a global pool anything [B,...,C]. The attributes are
 * checked. */
void am_pool_shape(const struct am_op *op, const struct am_attr *attr, const struct am_dims *x,
                   struct am_pooling_shape *out);
bool am_pool_is_global(const struct am_op *op);
bool am_pool_is_average(const struct am_op *op);

#endif
