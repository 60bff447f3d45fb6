/* Compute kernels for fitting: gradients, dropout, losses' row work and optimiser loops.
 *
 * Same rules as kernels.h; kept apart so that libaimass does not carry them. Optimiser loops walk
 * whole parameter blocks: n is a multiple of 16 and blocks are 64-byte aligned (am_params), so a
 * caller may split them at any multiple of 16 without changing a bit. Any thread. */
#ifndef AM_TENSOR_TRAIN_KERNELS_H
#define AM_TENSOR_TRAIN_KERNELS_H

#include "tensor/kernels.h"

/* g' = clip(g * grad_scale, clip_value) + l2 * w + l1 * sign(w); decoupled decay: w -=
 * learning_rate * decay * w. Fields that a rule does not use are ignored. */
struct am_optim_args {
    float learning_rate;
    float grad_scale;   /* 1, or the factor of norm clipping */
    float clip_value;   /* > 0: clip to [-v, v] after grad_scale; 0 = off */
    float l1, l2;       /* added to the gradient */
    float decay;        /* decoupled weight decay (AdamW; also usable with the others) */
    float momentum;     /* sgd, rmsprop */
    float beta1, beta2; /* adam; rmsprop uses beta2 as its smoothing */
    float eps;
    float correction1; /* adam: 1 - beta1^t */
    float correction2; /* adam: 1 - beta2^t */
};

struct am_train_kernels {
    const char *name; /* the same as the am_kernels beside it */
    /* dx[i] = dy[i] * act'(.) ; saved = y for RELU LEAKY_RELU ELU SIGMOID TANH, = x for GELU
     * GELU_TANH SILU. dx may be dy or saved. */
    void (*act_grad)(enum am_act act, float alpha, const float *dy, const float *saved, float *dx,
                     size_t n);
    void (*softmax_grad)(const float *dy, const float *y, float *dx, size_t rows, size_t cols);
    /* out[j] = sum over rows of x[i,j], columns j0..j1: blocks of AM_GEMM_K_BLOCK rows, added in
     * order */
    void (*col_sum)(const float *x, size_t rows, size_t cols, size_t j0, size_t j1, float *out);
    /* y[e] = keep ? x[e] / (1 - rate) : 0 for e in e0..e1 (absolute indices; e0 is a multiple of
     * 64). Element e is kept when word (e % 64) / 16 of Philox block counter_base + e / 64 * 16 + e
     * % 16 of (seed, stream) is >= rate * 2^32. y may be x. */
    void (*dropout)(const float *x, float *y, size_t e0, size_t e1, float rate, uint64_t seed,
                    uint64_t stream, uint64_t counter_base);
    /* mean[j], var[j] (biased), columns j0..j1 */
    void (*col_stats)(const float *x, size_t rows, size_t cols, size_t j0, size_t j1, float *mean,
                      float *var);
    /* dbeta[j] = sum dy, dgamma[j] = sum dy * (x - mean) * invstd */
    void (*norm_sums)(const float *dy, const float *x, const float *mean, const float *var,
                      float eps, size_t rows, size_t cols, size_t j0, size_t j1, float *dbeta,
                      float *dgamma);
    /* rows r0..r1 of batch norm backward of x; rows = the batch */
    void (*batch_norm_grad)(const float *dy, const float *x, const float *mean, const float *var,
                            float eps, const float *weight, const float *dbeta, const float *dgamma,
                            float *dx, size_t rows, size_t cols, size_t r0, size_t r1);
    void (*layer_norm_grad)(const float *dy, const float *x, const float *weight, float eps,
                            float *dx, size_t rows, size_t cols);
    /* dweight[j] = sum dy * xhat, dbias[j] = sum dy over rows in order */
    void (*layer_norm_sums)(const float *dy, const float *x, float eps, size_t rows, size_t cols,
                            float *dweight, float *dbias);
    /* pictures n0..n1 of dx; x for the maximum (the first of equal ones gets the gradient), NULL
     * for the average */
    void (*pool_grad)(const struct am_pooling_shape *p, const float *dy, const float *x, float *dx,
                      size_t n0, size_t n1);
    /* Softmax cross-entropy of logits z [rows, C]: row_loss[i] (unweighted by row, class weights
     * inside) and dz[i,:] (not yet scaled by row weight / total); either may be NULL. target =
     * class index (checked by the caller). class_weights [C] or NULL. dz may be z. */
    void (*softmax_xent)(const float *z, const float *target, const float *class_weights,
                         float smoothing, float *row_loss, float *dz, size_t rows, size_t cols);
    /* Binary cross-entropy of logits, element-wise: loss[e], dz[e]; either may be NULL. */
    void (*sigmoid_xent)(const float *z, const float *target, float smoothing, float *loss,
                         float *dz, size_t n);

    /* optimisers over n floats (n % 16 == 0); avx2 and avx512 treat numbers below 1e-38 as 0 */
    void (*sgd)(size_t n, float *w, const float *g, const struct am_optim_args *o);
    void (*momentum)(size_t n, float *w, const float *g, float *m, const struct am_optim_args *o);
    void (*nesterov)(size_t n, float *w, const float *g, float *m, const struct am_optim_args *o);
    void (*adagrad)(size_t n, float *w, const float *g, float *v, const struct am_optim_args *o);
    /* m is used when momentum > 0, else may be NULL */
    void (*rmsprop)(size_t n, float *w, const float *g, float *m, float *v,
                    const struct am_optim_args *o);
    /* adam and adamw (decay > 0): PyTorch's order of operations */
    void (*adam)(size_t n, float *w, const float *g, float *m, float *v,
                 const struct am_optim_args *o);
    /* sum of squares in double: 16 lanes over blocks of 4096, a fixed tree; n % 16 == 0 */
    double (*sum_squares)(size_t n, const float *x);
};

extern const struct am_train_kernels am_train_kernels_ref;
const struct am_train_kernels *am_train_kernels_best(void); /* beside am_kernels_best() */
const struct am_train_kernels *am_train_kernels_find(const char *name);

#endif
