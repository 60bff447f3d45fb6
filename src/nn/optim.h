/* Optimisers: one update of a whole parameter block from a gradient block. Fitting library only.
 *
 * SGD, momentum, Nesterov, Adagrad, RMSprop, Adam and AdamW with PyTorch's formulas and order of
 * operations. Penalties and decay touch AM_PARAM_DECAY entries only; frozen entries never change.
 * The bits depend neither on the pool nor on its size. An am_optim belongs to one thread. */
#ifndef AM_NN_OPTIM_H
#define AM_NN_OPTIM_H

#include "nn/params.h"

struct am_pool;
struct am_optim;

enum am_optimizer {
    AM_OPTIM_SGD,
    AM_OPTIM_MOMENTUM, /* m = momentum m + g; w -= rate m */
    AM_OPTIM_NESTEROV, /* m = momentum m + g; w -= rate (g + momentum m) */
    AM_OPTIM_ADAGRAD,  /* Duchi et al. 2011 */
    AM_OPTIM_RMSPROP,  /* uncentred; epsilon outside the root */
    AM_OPTIM_ADAM,     /* Kingma and Ba 2015, with bias correction */
    AM_OPTIM_ADAMW,    /* Loshchilov and Hutter 2019: decay apart from the gradient */
};
const char *am_optimizer_name(enum am_optimizer k); /* "adam"; static */
bool am_optimizer_parse(struct am_str s, enum am_optimizer *out);

struct am_optim_config {
    enum am_optimizer kind;
    double momentum;     /* [0, 1): momentum, nesterov, rmsprop (0 there = none) */
    double beta1, beta2; /* [0, 1): adam, adamw */
    double rho;          /* [0, 1): rmsprop's smoothing */
    double epsilon;      /* > 0 */
    double weight_decay; /* adamw: decoupled; the others: added to the gradient, like l2 */
    double l1, l2;       /* the gradient of l1 |w| + l2/2 w^2 is added; both: elastic net */
    double clip_norm;    /* > 0: scale the whole gradient to at most this L2 norm; 0 = off */
    double clip_value;   /* > 0: then clip every element to [-v, v]; 0 = off */
};
/* adam with PyTorch's defaults (0.9, 0.999, rho 0.99, epsilon 1e-8), no penalty, no clipping */
void am_optim_config_init(struct am_optim_config *c);
enum am_rc am_optim_config_check(const struct am_optim_config *c, struct am_err *err) AM_MUST_CHECK;

/* Zero moments, step 0. params gives the layout and must outlive the optimiser. */
enum am_rc am_optim_new(const struct am_optim_config *c, const struct am_params *params,
                        struct am_optim **out, struct am_err *err) AM_MUST_CHECK;
void am_optim_free(struct am_optim *o); /* NULL is fine */
/* weights and grads: [n_floats] blocks of the layout. Returns the gradient's L2 norm before
 * clipping (NaN or infinite when the gradient is: then nothing was changed), or -1 when norms are
 * not asked for: clip_norm = 0 skips the pass. */
double am_optim_step(struct am_optim *o, float *weights, const float *grads, double learning_rate,
                     struct am_pool *pool);
/* State for checkpoints: number of steps taken and the moment blocks ([n_floats] each, 0 to 2). */
uint64_t am_optim_steps(const struct am_optim *o);
void am_optim_set_steps(struct am_optim *o, uint64_t n);
unsigned am_optim_n_moments(const struct am_optim *o);
float *am_optim_moment(struct am_optim *o, unsigned i); /* lives with the optimiser */

#endif
