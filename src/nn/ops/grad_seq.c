/* Recurrent layers in training: the twins of lstm and gru that keep what the gradient needs, the
 * walk back through time, and the gradients of the ops around them. Fitting.
 *
 * The walk back gives the gradient d of the gates before their activations for all steps; the
 * recurrent weight's is then one product over all rows and steps, the input's part is the ordinary
 * gradient of the linear before. gru's d has a fourth part: what reached the state's product. */
#include "nn/ops/seq_int.h"
#include "nn/ops/train_ops.h"

#include <string.h>

static const float *lengths_of(const struct am_run *r, const struct am_step *s, unsigned i)
{
    return s->n_in > i ? am_arg_ptr(r, &s->in[i]) : NULL;
}

static size_t padded(size_t n)
{
    return (n + 15) / 16 * 16 + 16;
}

#define TRAIN(NAME, CELL_KIND)                                                                     \
    static enum am_rc NAME##_train_infer(const struct am_graph *g, struct am_gnode *n,             \
                                         struct am_err *err)                                       \
    {                                                                                              \
        return am_seq_infer(g, n, CELL_KIND, am_seq_widths[CELL_KIND].keep, err);                  \
    }                                                                                              \
    static void NAME##_train_run(const struct am_run *r, const struct am_step *s)                  \
    {                                                                                              \
        am_seq_run(r, s, CELL_KIND, true);                                                         \
    }                                                                                              \
    const struct am_op am_op_##NAME##_train = {.name = #NAME "_train",                             \
                                               .min_in = 2,                                        \
                                               .max_in = 4,                                        \
                                               .infer = NAME##_train_infer,                        \
                                               .run = NAME##_train_run,                            \
                                               .flops = am_seq_flops,                              \
                                               .scratch = am_seq_scratch}
TRAIN(lstm, AM_CELL_LSTM);
TRAIN(gru, AM_CELL_GRU);

/* ---- back through time: dy [B,T,H], kept [B,T,K], weight_hh, lengths ---- */

struct back {
    const struct am_run *r;
    const struct am_seq_train_kernels *kern;
    enum am_seq_cell cell;
    enum am_act act;
    bool backwards;       /* the layer's direction; this walk goes against it */
    size_t T, H, G, K, D; /* steps; floats of a step: state, gates, kept, d */
    const float *dy, *kept, *lengths, *weight; /* weight: its transpose, packed */
    float *d;
    float *gates, *rec, *carry; /* scratch: [B,gates_row], [B,H], [B,H], rows padded */
};

static void back_cell(const struct back *w, size_t b, size_t t, bool has_before)
{
    const size_t H = w->H, at = b * w->T + t, before = w->backwards ? at + 1 : at - 1;
    const float *kept = w->kept + at * w->K, *was = has_before ? w->kept + before * w->K : NULL;
    const float *dy = w->dy + at * H, *rec = w->rec + b * padded(H);
    float *d = w->d + at * w->D, *gates = w->gates + b * padded(w->G),
          *carry = w->carry + b * padded(H);
    if (w->cell == AM_CELL_LSTM) {
        w->kern->lstm_grad(H, kept, was ? was + 4 * H : NULL, dy, rec, carry, d);
        memcpy(gates, d, 4 * H * sizeof(float));
    } else if (w->cell == AM_CELL_GRU) {
        w->kern->gru_grad(H, kept, was ? was + 4 * H : NULL, dy, rec, carry, d);
        memcpy(gates, d, 2 * H * sizeof(float));
        memcpy(gates + 2 * H, d + 3 * H, H * sizeof(float));
    } else {
        w->r->kern->add(dy, rec, carry, H);
        w->r->tkern->act_grad(w->act, 0.0f, carry, kept, d, H);
        memcpy(gates, d, H * sizeof(float));
    }
}

static void back_rows(void *ctx, size_t begin, size_t end)
{
    const struct back *w = ctx;
    const size_t h = padded(w->H), n = end - begin;
    memset(w->gates + begin * padded(w->G), 0, n * padded(w->G) * sizeof(float));
    memset(w->rec + begin * h, 0, n * h * sizeof(float));
    memset(w->carry + begin * h, 0, n * h * sizeof(float));
    const struct am_gemm g = {.m = end,
                              .n = w->H,
                              .k = w->G,
                              .a = w->gates,
                              .a_row = padded(w->G),
                              .a_col = 1,
                              .b = w->weight,
                              .c = w->rec,
                              .c_row = h};
    for (size_t i = w->T; i-- > 0;) {
        const size_t t = w->backwards ? w->T - 1 - i : i;
        size_t first = begin, last = end;
        for (size_t b = begin; b < end; b++)
            if (t < am_seq_length(w->lengths, b, w->T))
                back_cell(w, b, t, i > 0);
            else
                memset(w->d + (b * w->T + t) * w->D, 0, w->D * sizeof(float));
        if (i > 0 && am_seq_active(w->lengths, w->T, t, &first, &last))
            w->r->kern->gemm(&g, first, last, 0, w->H);
    }
}

static void back_run(const struct am_run *r, const struct am_step *s, enum am_seq_cell cell)
{
    const size_t H = s->in[2].rows, G = s->in[2].cols, rows = r->n_rows;
    float *scratch = am_scratch(r, s);
    struct back w = {.r = r,
                     .kern = am_seq_train_kernels_beside(r->kern->name),
                     .cell = cell,
                     .act = s->attr.act,
                     .backwards = s->attr.i[0] != 0,
                     .T = (size_t)s->in[0].dims.d[1],
                     .H = H,
                     .G = G,
                     .K = s->in[1].cols,
                     .D = s->out.cols,
                     .dy = am_arg_ptr(r, &s->in[0]),
                     .kept = am_arg_ptr(r, &s->in[1]),
                     .lengths = lengths_of(r, s, 3),
                     .weight = scratch,
                     .d = am_arg_ptr(r, &s->out)};
    if (rows == 0)
        return;
    am_pack_transposed(r->kern, am_arg_ptr(r, &s->in[2]), G, G, H, scratch);
    w.gates = scratch + (H + 63) / 64 * 64 * G;
    w.rec = w.gates + rows * padded(G);
    w.carry = w.rec + rows * padded(H);
    am_seq_rows(r, 2.0 * (double)rows * (double)w.T * (double)H * (double)G, back_rows, &w);
}

static enum am_rc back_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *dy = am_in_dims(g, n, 0), *kept = am_in_dims(g, n, 1),
                         *w = am_in_dims(g, n, 2);
    const enum am_seq_cell cell = (enum am_seq_cell)n->attr.i[1];
    AM_TRY(am_seq_check(g, n, 0, 3, err));
    AM_TRY(am_seq_check(g, n, 1, 3, err));
    if (dy->d[2] != w->d[0] || kept->d[2] != w->d[0] * (int64_t)am_seq_widths[cell].keep)
        return am_op_fail(g, n, err, "the gradient and what was kept do not fit the weight");
    n->dims = *dy;
    n->dims.d[2] = w->d[0] * (int64_t)am_seq_widths[cell].grads;
    return am_dims_check(&n->dims, "recurrent gradient", err);
}

static size_t back_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_dims *w = am_in_dims(g, n, 2);
    const size_t h = (size_t)w->d[0], gates = (size_t)w->d[1];
    return (h + 63) / 64 * 64 * gates + rows * (padded(gates) + 2 * padded(h));
}

static double back_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *w = am_in_dims(g, n, 2);
    return (double)n->dims.d[1] * (double)w->d[1] * (2.0 * (double)w->d[0] + 20.0);
}

#define BACK(NAME, CELL_KIND)                                                                      \
    static void NAME##_grad_run(const struct am_run *r, const struct am_step *s)                   \
    {                                                                                              \
        back_run(r, s, CELL_KIND);                                                                 \
    }                                                                                              \
    const struct am_op am_op_##NAME##_grad = {.name = #NAME "_grad",                               \
                                              .min_in = 3,                                         \
                                              .max_in = 4,                                         \
                                              .infer = back_infer,                                 \
                                              .run = NAME##_grad_run,                              \
                                              .flops = back_flops,                                 \
                                              .scratch = back_scratch}
BACK(rnn, AM_CELL_RNN);
BACK(lstm, AM_CELL_LSTM);
BACK(gru, AM_CELL_GRU);

/* ---- the recurrent weight: kept [B,T,K], d [B,T,D]; attr.i[1] = the cell ---- */

static size_t units_of(const struct am_dims *kept, enum am_seq_cell cell)
{
    return (size_t)kept->d[2] / am_seq_widths[cell].keep;
}

static enum am_rc seq_dw_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const enum am_seq_cell cell = (enum am_seq_cell)n->attr.i[1];
    const size_t h = units_of(am_in_dims(g, n, 0), cell);
    (void)err;
    n->dims = am_dims2((int64_t)h, (int64_t)(h * am_seq_widths[cell].gates));
    return AM_OK;
}

static size_t seq_dw_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const size_t k = rows * (size_t)am_in_dims(g, n, 0)->d[1], h = (size_t)n->dims.d[0];
    return k * h + 16 + am_product_scratch(h, (size_t)n->dims.d[1], k);
}

static double seq_dw_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(&n->dims) * (double)am_in_dims(g, n, 0)->d[1];
}

/* The state before each step, dense. Beyond a row's length d is 0, so anything finite may stand
 * there. */
static void states_before(const float *kept, size_t row, size_t rows, size_t T, size_t H,
                          bool backwards, float *out)
{
    for (size_t b = 0; b < rows; b++)
        for (size_t t = 0; t < T; t++, out += H) {
            const bool none = backwards ? t + 1 == T : t == 0;
            const size_t at = b * T + (backwards ? t + 1 : t - 1);
            if (none)
                memset(out, 0, H * sizeof(float));
            else
                memcpy(out, kept + at * row + row - H, H * sizeof(float));
        }
}

static void seq_dw_run(const struct am_run *r, const struct am_step *s)
{
    const enum am_seq_cell cell = (enum am_seq_cell)s->attr.i[1];
    const size_t H = s->out.rows, G = s->out.cols, T = (size_t)s->in[0].dims.d[1];
    const float *d = am_arg_ptr(r, &s->in[1]);
    float *out = am_arg_ptr(r, &s->out), *h = am_scratch(r, s),
          *packed = h + (r->n_rows * T * H + 15) / 16 * 16;
    if (r->n_rows == 0) {
        memset(out, 0, H * G * sizeof(float));
        return;
    }
    states_before(am_arg_ptr(r, &s->in[0]), s->in[0].cols, r->n_rows, T, H, s->attr.i[0] != 0, h);
    struct am_gemm g = {.m = H,
                        .n = cell == AM_CELL_GRU ? 2 * H : G,
                        .k = r->n_rows * T,
                        .a = h,
                        .a_row = 1,
                        .a_col = H,
                        .b = d,
                        .b_row = s->in[1].cols,
                        .c = out,
                        .c_row = G};
    am_run_product(r, &g, packed);
    if (cell != AM_CELL_GRU)
        return;
    g.n = H;
    g.b = d + 3 * H;
    g.c = out + 2 * H;
    am_run_product(r, &g, packed);
}

const struct am_op am_op_seq_dw = {.name = "seq_dw",
                                   .min_in = 2,
                                   .max_in = 2,
                                   .infer = seq_dw_infer,
                                   .run = seq_dw_run,
                                   .flops = seq_dw_flops,
                                   .scratch = seq_dw_scratch};

/* gru's recurrent bias: sums of parts 0, 1 and 3 of d [B,T,4H] */
static enum am_rc gru_db_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = am_dims1(am_in_dims(g, n, 0)->d[2] / 4 * 3);
    return AM_OK;
}

static size_t gru_db_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)rows;
    return (size_t)am_in_dims(g, n, 0)->d[2];
}

static void gru_db_run(const struct am_run *r, const struct am_step *s)
{
    const size_t n = s->in[0].cols, h = n / 4;
    float *sums = am_scratch(r, s), *out = am_arg_ptr(r, &s->out);
    r->tkern->col_sum(am_arg_ptr(r, &s->in[0]), am_arg_rows(r, &s->in[0]), n, 0, n, sums);
    memcpy(out, sums, 2 * h * sizeof(float));
    memcpy(out + 2 * h, sums + 3 * h, h * sizeof(float));
}

const struct am_op am_op_gru_db = {.name = "gru_db",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .infer = gru_db_infer,
                                   .run = gru_db_run,
                                   .scratch = gru_db_scratch};

/* Columns attr.i[0] .. + attr.i[1] of each step: the state among what was kept, gru's input part of
 * d. */
static enum am_rc part_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    AM_TRY(am_seq_check(g, n, 0, 1, err));
    if (n->attr.i[0] < 0 || n->attr.i[1] < 1 || n->attr.i[0] > x->d[2] - n->attr.i[1])
        return am_op_fail(g, n, err, "the columns asked for lie outside the input");
    n->dims = *x;
    n->dims.d[2] = n->attr.i[1];
    return AM_OK;
}

static void part_run(const struct am_run *r, const struct am_step *s)
{
    const float *x = am_arg_ptr(r, &s->in[0]) + s->attr.i[0];
    const size_t n = s->out.cols, row = s->in[0].cols, rows = am_arg_rows(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = 0; i < rows; i++)
        memcpy(y + i * n, x + i * row, n * sizeof(float));
}

const struct am_op am_op_seq_part = {
    .name = "seq_part", .min_in = 1, .max_in = 1, .infer = part_infer, .run = part_run};

/* ---- pooling over time: dy [B,C], lengths or none, x (for the maximum) or none; attr.i[0] = kind,
 * attr.i[1] = T ---- */

enum { MEAN, MAX, LAST, FIRST };

static enum am_rc pool_grad_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = (struct am_dims){3, {AM_DIM_BATCH, n->attr.i[1], am_in_dims(g, n, 0)->d[1]}};
    return AM_OK;
}

/* To the first of equal maxima; a NaN counts as one. */
static void max_grad_row(const float *dy, const float *x, size_t len, size_t c, float *dx)
{
    for (size_t j = 0; j < c; j++) {
        size_t best = 0;
        for (size_t t = 1; t < len; t++)
            if (!(x[t * c + j] <= x[best * c + j]))
                best = t;
        dx[best * c + j] = dy[j];
    }
}

static void pool_grad_run(const struct am_run *r, const struct am_step *s)
{
    const float *dy = am_arg_ptr(r, &s->in[0]), *lengths = lengths_of(r, s, 1),
                *x = s->n_in > 2 ? am_arg_ptr(r, &s->in[2]) : NULL;
    const size_t T = (size_t)s->attr.i[1], c = s->out.cols;
    const int64_t kind = s->attr.i[0];
    float *dx = am_arg_ptr(r, &s->out);
    for (size_t b = 0; b < r->n_rows; b++, dy += c, dx += T * c) {
        const size_t len = am_seq_length(lengths, b, T);
        const size_t same = kind == MEAN ? len : 0; /* steps that get all of dy */
        memset(dx + same * c, 0, (T - same) * c * sizeof(float));
        for (size_t t = 0; t < same; t++)
            r->kern->scale(dy, 1.0f / (float)len, 0.0f, dx + t * c, c);
        if (len == 0)
            continue;
        if (kind == LAST || kind == FIRST)
            memcpy(dx + (kind == LAST ? len - 1 : 0) * c, dy, c * sizeof(float));
        if (kind == MAX)
            max_grad_row(dy, x + b * T * c, len, c, dx);
    }
}

const struct am_op am_op_seq_pool_grad = {.name = "seq_pool_grad",
                                          .min_in = 1,
                                          .max_in = 3,
                                          .infer = pool_grad_infer,
                                          .run = pool_grad_run};

/* ---- attention: dy [B,C], x [B,T,C], scores [B,T,1], lengths ---- */

static enum am_rc attend_dx_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 1);
    return AM_OK;
}

static enum am_rc attend_ds_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = *am_in_dims(g, n, 2);
    return AM_OK;
}

static size_t attend_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)rows;
    return (size_t)am_in_dims(g, n, 1)->d[1];
}

static void attend_dx_run(const struct am_run *r, const struct am_step *s)
{
    const float *dy = am_arg_ptr(r, &s->in[0]), *scores = am_arg_ptr(r, &s->in[2]),
                *lengths = lengths_of(r, s, 3);
    const size_t c = s->out.cols, T = (size_t)s->out.dims.d[1];
    float *dx = am_arg_ptr(r, &s->out), *p = am_scratch(r, s);
    for (size_t b = 0; b < r->n_rows; b++, dy += c, dx += T * c) {
        const size_t len = am_seq_length(lengths, b, T);
        if (len > 0)
            r->kern->softmax(scores + b * T, p, 1, len);
        for (size_t t = 0; t < len; t++)
            r->kern->scale(dy, p[t], 0.0f, dx + t * c, c);
        memset(dx + len * c, 0, (T - len) * c * sizeof(float));
    }
}

static void attend_ds_run(const struct am_run *r, const struct am_step *s)
{
    const struct am_seq_train_kernels *k = am_seq_train_kernels_beside(r->kern->name);
    const float *dy = am_arg_ptr(r, &s->in[0]), *x = am_arg_ptr(r, &s->in[1]),
                *scores = am_arg_ptr(r, &s->in[2]), *lengths = lengths_of(r, s, 3);
    const size_t c = s->in[0].cols, T = (size_t)s->out.dims.d[1];
    float *ds = am_arg_ptr(r, &s->out), *p = am_scratch(r, s);
    for (size_t b = 0; b < r->n_rows; b++, dy += c, ds += T) {
        const size_t len = am_seq_length(lengths, b, T);
        float mean = 0.0f;
        if (len > 0)
            r->kern->softmax(scores + b * T, p, 1, len);
        for (size_t t = 0; t < len; t++) {
            ds[t] = k->dot(c, dy, x + (b * T + t) * c);
            mean += p[t] * ds[t];
        }
        for (size_t t = 0; t < T; t++)
            ds[t] = t < len ? p[t] * (ds[t] - mean) : 0.0f;
    }
}

const struct am_op am_op_seq_attend_dx = {.name = "seq_attend_dx",
                                          .min_in = 3,
                                          .max_in = 4,
                                          .infer = attend_dx_infer,
                                          .run = attend_dx_run,
                                          .scratch = attend_scratch};
const struct am_op am_op_seq_attend_ds = {.name = "seq_attend_ds",
                                          .min_in = 3,
                                          .max_in = 4,
                                          .infer = attend_ds_infer,
                                          .run = attend_ds_run,
                                          .scratch = attend_scratch};
