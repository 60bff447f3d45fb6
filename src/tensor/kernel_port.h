/* The port to a library of convolution and pooling kernels (drivers/kernels-*).
 *
 * A plan asks for a primitive when it is built and runs it later; the library is never asked inside
 * a step what to do. A primitive works on a fixed number of pictures, in one thread: the pool
 * shares pictures, or bands of their rows, above it, so a row's bits depend on the row alone.
 * Pictures are channels-last, or, between two primitives that both say so, in the library's blocked
 * layout. Weights are packed once where they do not change. Where a library has only a reference
 * implementation it refuses, and our own kernels (tensor/conv.h) serve the step. */
#ifndef AM_TENSOR_KERNEL_PORT_H
#define AM_TENSOR_KERNEL_PORT_H

#include <stdbool.h>

#include "base/host.h"
#include "tensor/kernels.h"

enum am_port_kind {
    AM_PORT_NONE,
    AM_PORT_CONV,      /* y = act(x * w + bias) */
    AM_PORT_CONV_DX,   /* dx from dy and w */
    AM_PORT_CONV_DW,   /* dw, packed, from x and dy; summed over the pictures */
    AM_PORT_POOL,      /* y from x */
    AM_PORT_POOL_GRAD, /* dx from dy and, for a maximum, x */
};

/* h, w, c: of x; out_h, out_w, n: of y (pooling: n = c). A gradient names the sizes of the forward
 * pass too. */
struct am_port_task {
    enum am_port_kind kind;
    size_t n_images;
    size_t h, w, c, out_h, out_w, n;
    size_t kernel[2], stride[2], before[2], after[2], dilation[2]; /* height, width; zeros around */
    size_t groups;                                                 /* pooling: 1 */
    enum am_act act; /* CONV: NONE, RELU or LEAKY_RELU (alpha) */
    float alpha;
    bool bias;              /* CONV: there is one */
    bool average, skip_pad; /* pooling, as struct am_pooling_shape */
    bool blocked_x,
        blocked_y; /* CONV, POOL: the layout; c (n) is a multiple of ops->block() then */
};

/* What a primitive needs and is; lives with it. */
struct am_port_info {
    const char *implementation; /* the library's name for it: "jit:avx512_core" */
    size_t weight_floats;       /* of packed weights; 0 = it has none */
    size_t scratch_floats;      /* of a run; 64-byte aligned */
};

/* Borrowed for the call; what a kind does not have is NULL. x, y: the first picture. */
struct am_port_args {
    const float *x, *dy;
    const float *weight; /* packed, 64-byte aligned */
    const float *bias;   /* [n] */
    float *out;          /* y, dx or packed dw */
    float *scratch;
};

struct am_port_primitive;
struct am_port_context; /* what one thread at a time needs to run a primitive */

struct am_kernel_port_ops {
    uint64_t abi;  /* AM_PORTS_ABI */
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err); /* first; again is fine */
    /* "oneDNN 2.6.3 avx512": library, version and what else its bits depend on. Static. */
    const char *(*version)(void);
    size_t (*block)(void); /* channels of a block of the blocked layout; 0 = it has none */

    /* AM_EINVAL: only a reference implementation, or none, exists. `like`: the packed weights must
     * have the form of this primitive's, or NULL. The primitive is the caller's to drop; immutable,
     * any thread. */
    enum am_rc (*make)(const struct am_port_task *t, const struct am_port_primitive *like,
                       struct am_port_primitive **out, struct am_err *err);
    const struct am_port_info *(*info)(const struct am_port_primitive *p);
    void (*drop)(struct am_port_primitive *p); /* NULL is fine; after its contexts */

    enum am_rc (*context_new)(const struct am_port_primitive *p, struct am_port_context **out,
                              struct am_err *err);
    void (*context_free)(struct am_port_context *c); /* NULL is fine */
    /* weight: [kernel h * kernel w * c / groups, n]; packed: [weight_floats], 64-byte aligned.
     * unpack is for CONV_DW. What run says of memory, threads and false holds here. */
    bool (*pack)(struct am_port_context *c, const float *weight, float *packed);
    bool (*unpack)(struct am_port_context *c, const float *packed, float *weight);
    /* Nothing of ours is allocated, no thread is started. false: the library failed, out is not
     * to be used. */
    bool (*run)(struct am_port_context *c, const struct am_port_args *a);
};

/* Where the driver comes from: set once by the platform before threads start, asked when a plan
 * first wants it. Without one (libaimass) there is no library. */
struct am_kernel_port_loader {
    void *ctx;
    enum am_rc (*open)(void *ctx, const struct am_kernel_port_ops **out, struct am_err *err);
};
void am_kernel_port_set_loader(const struct am_kernel_port_loader *l); /* copied; NULL = none */

/* The driver, opened at the first call. AM_EMISSING when there is none; the answer is remembered
 * until a loader is set again. Any thread. */
enum am_rc am_kernel_port(const struct am_kernel_port_ops **out, struct am_err *err) AM_MUST_CHECK;

/* AIMASS_DNNL=off|auto|on in the environment (read once): may plans that predict use the library?
 * off: never; auto, the default: where it is measured to be faster, and silently not where it is
 * missing; on: wherever it can, and its absence is an error. */
enum am_port_wish { AM_PORT_WISH_OFF, AM_PORT_WISH_AUTO, AM_PORT_WISH_ON };
enum am_port_wish am_kernel_port_wish(void);

/* The numerics profile of training with the library's kernels: am_numerics_profile() and the
 * library's version. AM_EMISSING without it. Static. */
enum am_rc am_kernel_port_profile(const char **out, struct am_err *err) AM_MUST_CHECK;

#endif
