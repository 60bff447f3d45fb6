/* What resizing and its gradient share: where a place of the result comes from. PyTorch's
 * convention with align_corners=False: place o is at (o + 0.5) * in / out - 0.5. Pure; any thread.
 */
#ifndef AM_NN_OPS_RESAMPLE_H
#define AM_NN_OPS_RESAMPLE_H

#include "nn/ops/op.h"

struct am_taps { /* the two neighbours along one axis and the weight of the second */
    size_t a, b;
    float t;
};

static inline struct am_taps am_taps(size_t o, size_t in, size_t out, bool bilinear)
{
    struct am_taps k;
    if (!bilinear) {
        k.a = k.b = o * in / out;
        k.t = 0.0f;
        return k;
    }
    const double at = ((double)o + 0.5) * (double)in / (double)out - 0.5, from = at > 0 ? at : 0;
    k.a = (size_t)from < in ? (size_t)from : in - 1;
    k.b = k.a + 1 < in ? k.a + 1 : k.a;
    k.t = (float)(from - (double)k.a);
    return k;
}

#endif
