/* Compute kernels of recurrent layers: one step of one row, forward and back; and the row work of
 * pooling over time.
 *
 * Same rules as kernels.h: pure, an element is one chain of operations, no pointer aliases an
 * output except where said. n = units. Equations are PyTorch's; `pre` is x W_ih + b_ih, `rec` is
 * h W_hh + b_hh. The tables stand beside am_kernels of the same name; whoever holds one of those
 * may use its twin here. Any thread. */
#ifndef AM_TENSOR_SEQ_KERNELS_H
#define AM_TENSOR_SEQ_KERNELS_H

#include <stddef.h>

struct am_seq_kernels {
    const char *name;
    /* pre, rec [4n] (i f g o); c [n] in and out; h [n] out; keep [6n] = i f g o c h or NULL */
    void (*lstm)(size_t n, const float *pre, const float *rec, float *c, float *h, float *keep);
    /* pre, rec [3n] (r z n); h [n] in and out; keep [5n] = r z n (rec of n) h, or NULL */
    void (*gru)(size_t n, const float *pre, const float *rec, float *h, float *keep);
    void (*axpy)(size_t n, float a, const float *x, float *y); /* y += a x */
    void (*maximum)(size_t n, const float *x, float *y);       /* y = max(x, y); NaN of x stays */
};

struct am_seq_train_kernels {
    const char *name;
    /* keep [6n] of this step, c_before [n] or NULL = 0; dy, rec [n] are added: the gradient of h;
     * dc [n] in and out; d [4n] out: gradients of the gates before their activations */
    void (*lstm_grad)(size_t n, const float *keep, const float *c_before, const float *dy,
                      const float *rec, float *dc, float *d);
    /* keep [5n], h_before [n] or NULL = 0; dh = dy + rec + carry; carry [n] out: what goes straight
     * to the state before; d [4n] out: r z n, then the gradient of rec's n */
    void (*gru_grad)(size_t n, const float *keep, const float *h_before, const float *dy,
                     const float *rec, float *carry, float *d);
    float (*dot)(size_t n, const float *x, const float *y);
};

extern const struct am_seq_kernels am_seq_kernels_ref;
extern const struct am_seq_train_kernels am_seq_train_kernels_ref;
/* The twin of a table that this CPU runs, by its name; ref when there is none. */
const struct am_seq_kernels *am_seq_kernels_beside(const char *name);
const struct am_seq_train_kernels *am_seq_train_kernels_beside(const char *name);

#endif
