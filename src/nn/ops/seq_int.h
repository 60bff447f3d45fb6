/* What the recurrent ops share: the three cells, a row's length, and running rows over the pool.
 *
 * A recurrent op's inputs are x W_ih + b_ih [B,T,G H], weight_hh [H,G H], bias_hh [G H] or none,
 * lengths [B,1] or none; attr.i[0] = 1 walks time backwards, attr.act is rnn's activation. Its
 * output is h [B,T,H]; the training twin's is what the gradient needs, `keep` H floats a step with
 * h last (seq_kernels.h); both are 0 beyond a row's length. For seq.c and grad_seq.c. */
#ifndef AM_NN_SEQ_INT_H
#define AM_NN_SEQ_INT_H

#include "nn/ops/op.h"
#include "tensor/seq_kernels.h"

enum am_seq_cell { AM_CELL_RNN, AM_CELL_LSTM, AM_CELL_GRU };

struct am_seq_widths { /* in units of H */
    size_t gates;      /* G */
    size_t keep;       /* of a step in training */
    size_t grads;      /* of a step in the gradient of the gates */
};
extern const struct am_seq_widths am_seq_widths[3]; /* by enum am_seq_cell */

enum am_rc am_seq_infer(const struct am_graph *g, struct am_gnode *n, enum am_seq_cell cell,
                        size_t out_units, struct am_err *err);
/* keep: the training twin */
void am_seq_run(const struct am_run *r, const struct am_step *s, enum am_seq_cell cell, bool keep);
size_t am_seq_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows);
double am_seq_flops(const struct am_graph *g, const struct am_gnode *n);

/* Steps of row b; lengths may be NULL. */
static inline size_t am_seq_length(const float *lengths, size_t b, size_t n_steps)
{
    if (!lengths || lengths[b] >= (float)n_steps)
        return n_steps;
    return lengths[b] > 0.0f ? (size_t)lengths[b] : 0; /* NaN gives 0 */
}

/* The chunk's rows that are inside their sequence at step t: the range from the first to the last
 * of them; false when there is none. */
bool am_seq_active(const float *lengths, size_t n_steps, size_t t, size_t *begin, size_t *end);

/* fn(ctx, begin, end) over the batch's rows; goes over the pool where `flops` of the whole pay.
 * Rows do not see each other, so the chunks may depend on the number of threads. */
void am_seq_rows(const struct am_run *r, double flops, void (*fn)(void *, size_t, size_t),
                 void *ctx);

/* "x must be [B,T,C], lengths [B,1]" */
enum am_rc am_seq_check(const struct am_graph *g, const struct am_gnode *n, unsigned x,
                        unsigned lengths, struct am_err *err);

#endif
