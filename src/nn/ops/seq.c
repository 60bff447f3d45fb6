/* Recurrent layers over [B,T,..]: rnn, lstm, gru (seq_int.h says what goes in and out), and the ops
 * around them: seq_lengths, seq_pool, seq_attend, seq_reverse.
 *
 * A chunk of rows walks through all its steps: one product [rows,H] x [H,G H] a step, then the cell
 * row by row; no thread waits for another on the way. */
#include "nn/ops/seq_int.h"

#include <string.h>

#include "base/pool.h"

#define PARALLEL_FLOPS 8e6 /* below this a second thread is not worth waking */
#define CHUNK_ROWS 64      /* at most: state and gates of a chunk stay in the cache */

const struct am_seq_widths am_seq_widths[3] = {{1, 1, 1}, {4, 6, 4}, {3, 5, 4}};

/* ---- shared ---- */

enum am_rc am_seq_check(const struct am_graph *g, const struct am_gnode *n, unsigned x,
                        unsigned lengths, struct am_err *err)
{
    const struct am_dims *d = am_in_dims(g, n, x);
    if (d->rank != 3 || !am_dims_batched(d))
        return am_op_fail(g, n, err, "the input must be a sequence [B,T,C]");
    if (!am_in_given(n, lengths))
        return AM_OK;
    d = am_in_dims(g, n, lengths);
    if (d->rank != 2 || !am_dims_batched(d) || d->d[1] != 1)
        return am_op_fail(g, n, err, "lengths must be a column [B,1]");
    return AM_OK;
}

bool am_seq_active(const float *lengths, size_t n_steps, size_t t, size_t *begin, size_t *end)
{
    while (*begin < *end && t >= am_seq_length(lengths, *begin, n_steps))
        ++*begin;
    while (*begin < *end && t >= am_seq_length(lengths, *end - 1, n_steps))
        --*end;
    return *begin < *end;
}

void am_seq_rows(const struct am_run *r, double flops, void (*fn)(void *, size_t, size_t),
                 void *ctx)
{
    const size_t threads = r->pool && flops >= PARALLEL_FLOPS ? am_pool_size(r->pool) : 1;
    size_t grain = (r->n_rows + threads - 1) / threads;
    grain = grain < CHUNK_ROWS ? grain : CHUNK_ROWS;
    if (threads > 1) {
        am_pool_for(r->pool, r->n_rows, grain, fn, ctx);
        return;
    }
    for (size_t b = 0; b < r->n_rows; b += grain)
        fn(ctx, b, b + grain < r->n_rows ? b + grain : r->n_rows);
}

static const float *lengths_of(const struct am_run *r, const struct am_step *s, unsigned i)
{
    return s->n_in > i ? am_arg_ptr(r, &s->in[i]) : NULL;
}

static size_t steps_of(const struct am_step *s)
{
    return (size_t)s->in[0].dims.d[1];
}

/* ---- recurrent cells ---- */

enum am_rc am_seq_infer(const struct am_graph *g, struct am_gnode *n, enum am_seq_cell cell,
                        size_t out_units, struct am_err *err)
{
    const struct am_dims *pre = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    const int64_t gates = (int64_t)am_seq_widths[cell].gates;
    AM_TRY(am_seq_check(g, n, 0, 3, err));
    if (w->rank != 2 || am_dims_batched(w) || w->d[1] != w->d[0] * gates || pre->d[2] != w->d[1])
        return am_op_fail(g, n, err,
                          "the input must be [B,T,G*H] and the recurrent weight [H,G*H], G = 1 for "
                          "rnn, 4 for lstm, 3 for gru");
    if (am_in_given(n, 2)) {
        const struct am_dims *b = am_in_dims(g, n, 2);
        if (b->rank != 1 || b->d[0] != w->d[1])
            return am_op_fail(g, n, err, "the recurrent bias must have G*H elements");
    }
    if (cell == AM_CELL_RNN && n->attr.act != AM_ACT_TANH && n->attr.act != AM_ACT_RELU)
        return am_op_fail(g, n, err, "the activation of rnn must be tanh or relu");
    n->dims = *pre;
    n->dims.d[2] = w->d[0] * (int64_t)out_units;
    return am_dims_check(&n->dims, "recurrent layer", err);
}

struct walk {
    const struct am_run *r;
    const struct am_seq_kernels *kern;
    enum am_seq_cell cell;
    enum am_act act;
    bool backwards;
    size_t T, H, G;          /* steps, units, units of gates */
    size_t out_row;          /* floats of a step of the output */
    const float *pre, *bias; /* [B,T,G], [G] or NULL */
    const float *lengths;    /* [B,1] or NULL */
    const float *weight;     /* packed */
    float *out;
    float *h, *c, *rec; /* scratch: [B,H] [B,H] [B,rec_row] */
    size_t rec_row;
};

/* Rows of the product lie apart from whole pages: equal addresses modulo a page share cache sets.
 */
static size_t padded(size_t n)
{
    return (n + 15) / 16 * 16 + 16;
}

static size_t packed_floats(size_t k, size_t n)
{
    return (n + 63) / 64 * 64 * k; /* any table's panel divides 64 */
}

size_t am_seq_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_dims *w = am_in_dims(g, n, 1);
    const size_t h = (size_t)w->d[0], gates = (size_t)w->d[1];
    return packed_floats(h, gates) + rows * (2 * padded(h) + padded(gates));
}

double am_seq_flops(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *w = am_in_dims(g, n, 1);
    return (double)n->dims.d[1] * (double)w->d[1] * (2.0 * (double)w->d[0] + 20.0);
}

static void step_product(const struct walk *w, bool first, size_t begin, size_t end)
{
    if (!first) {
        const struct am_gemm g = {.m = end,
                                  .n = w->G,
                                  .k = w->H,
                                  .a = w->h,
                                  .a_row = padded(w->H),
                                  .a_col = 1,
                                  .b = w->weight,
                                  .c = w->rec,
                                  .c_row = w->rec_row,
                                  .bias = w->bias};
        w->r->kern->gemm(&g, begin, end, 0, w->G);
        return;
    }
    for (size_t b = begin; b < end; b++) /* the state is 0 */
        if (w->bias)
            memcpy(w->rec + b * w->rec_row, w->bias, w->G * sizeof(float));
        else
            memset(w->rec + b * w->rec_row, 0, w->G * sizeof(float));
}

static void step_cell(const struct walk *w, size_t b, size_t t)
{
    const bool keeps = w->out_row > w->H;
    const float *pre = w->pre + (b * w->T + t) * w->G, *rec = w->rec + b * w->rec_row;
    float *h = w->h + b * padded(w->H), *out = w->out + (b * w->T + t) * w->out_row;
    if (w->cell == AM_CELL_LSTM) {
        w->kern->lstm(w->H, pre, rec, w->c + b * padded(w->H), h, keeps ? out : NULL);
    } else if (w->cell == AM_CELL_GRU) {
        w->kern->gru(w->H, pre, rec, h, keeps ? out : NULL);
    } else {
        w->r->kern->add(pre, rec, h, w->H);
        w->r->kern->act(w->act, 0.0f, h, h, w->H);
    }
    if (!keeps)
        memcpy(out, h, w->H * sizeof(float));
}

static void walk_rows(void *ctx, size_t begin, size_t end)
{
    const struct walk *w = ctx;
    const size_t h = padded(w->H);
    memset(w->h + begin * h, 0, (end - begin) * h * sizeof(float));
    memset(w->c + begin * h, 0, (end - begin) * h * sizeof(float));
    for (size_t i = 0; i < w->T; i++) {
        const size_t t = w->backwards ? w->T - 1 - i : i;
        size_t first = begin, last = end;
        if (am_seq_active(w->lengths, w->T, t, &first, &last))
            step_product(w, i == 0, first, last);
        for (size_t b = begin; b < end; b++)
            if (t < am_seq_length(w->lengths, b, w->T))
                step_cell(w, b, t);
            else
                memset(w->out + (b * w->T + t) * w->out_row, 0, w->out_row * sizeof(float));
    }
}

void am_seq_run(const struct am_run *r, const struct am_step *s, enum am_seq_cell cell, bool keep)
{
    const size_t H = s->in[1].rows, G = s->in[1].cols, rows = r->n_rows;
    float *scratch = am_scratch(r, s);
    struct walk w = {.r = r,
                     .kern = am_seq_kernels_beside(r->kern->name),
                     .cell = cell,
                     .act = s->attr.act,
                     .backwards = s->attr.i[0] != 0,
                     .T = steps_of(s),
                     .H = H,
                     .G = G,
                     .out_row = keep ? H * am_seq_widths[cell].keep : H,
                     .pre = am_arg_ptr(r, &s->in[0]),
                     .bias = s->n_in > 2 ? am_arg_ptr(r, &s->in[2]) : NULL,
                     .lengths = lengths_of(r, s, 3),
                     .weight = s->prepared,
                     .out = am_arg_ptr(r, &s->out),
                     .rec_row = padded(G)};
    if (rows == 0)
        return;
    if (!w.weight) {
        am_pack(r->kern, am_arg_ptr(r, &s->in[1]), G, H, G, scratch);
        w.weight = scratch;
    }
    w.h = scratch + packed_floats(H, G);
    w.c = w.h + rows * padded(H);
    w.rec = w.c + rows * padded(H);
    am_seq_rows(r, 2.0 * (double)rows * (double)w.T * (double)H * (double)G, walk_rows, &w);
}

static size_t cell_prepared(const struct am_graph *g, const struct am_gnode *n,
                            const struct am_kernels *k)
{
    const struct am_dims *w = am_in_dims(g, n, 1);
    if (am_graph_node(g, n->in[1])->op != &am_op_param)
        return 0;
    return am_pack_floats(k, (size_t)w->d[0], (size_t)w->d[1]);
}

static void cell_prepare(const struct am_kernels *k, const struct am_step *s, const float *params,
                         float *out)
{
    am_pack(k, params + s->in[1].offset, s->in[1].cols, s->in[1].rows, s->in[1].cols, out);
}

#define CELL(NAME, CELL_KIND)                                                                      \
    static enum am_rc NAME##_infer(const struct am_graph *g, struct am_gnode *n,                   \
                                   struct am_err *err)                                             \
    {                                                                                              \
        return am_seq_infer(g, n, CELL_KIND, 1, err);                                              \
    }                                                                                              \
    static void NAME##_run(const struct am_run *r, const struct am_step *s)                        \
    {                                                                                              \
        am_seq_run(r, s, CELL_KIND, false);                                                        \
    }
CELL(rnn, AM_CELL_RNN)
CELL(lstm, AM_CELL_LSTM)
CELL(gru, AM_CELL_GRU)

/* ---- lengths ---- */

static enum am_rc lengths_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *ids = am_in_dims(g, n, 0);
    if (ids->rank != 2 || !am_dims_batched(ids))
        return am_op_fail(g, n, err, "token ids must be a matrix [B,T]");
    n->dims = am_dims2(AM_DIM_BATCH, 1);
    return AM_OK;
}

static void lengths_run(const struct am_run *r, const struct am_step *s)
{
    const float *ids = am_arg_ptr(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out);
    const size_t n = s->in[0].cols;
    for (size_t b = 0; b < r->n_rows; b++, ids += n) {
        size_t count = 0;
        for (size_t t = 0; t < n; t++)
            count += ids[t] != 0.0f;
        y[b] = (float)count;
    }
}

/* ---- pooling over time: attr.i[0] = enum am_seq_pool's numbers ---- */

enum { MEAN, MAX, LAST, FIRST };

static enum am_rc pool_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(am_seq_check(g, n, 0, 1, err));
    if (n->attr.i[0] < MEAN || n->attr.i[0] > FIRST)
        return am_op_fail(g, n, err, "there is no such pooling over time");
    n->dims = am_dims2(AM_DIM_BATCH, am_in_dims(g, n, 0)->d[2]);
    return AM_OK;
}

static void pool_row(const struct am_run *r, int64_t kind, const float *x, size_t len, size_t c,
                     float *y)
{
    const struct am_seq_kernels *k = am_seq_kernels_beside(r->kern->name);
    if (len == 0) {
        memset(y, 0, c * sizeof(float));
        return;
    }
    memcpy(y, x + (kind == LAST ? (len - 1) * c : 0), c * sizeof(float));
    for (size_t t = 1; kind == MEAN && t < len; t++)
        r->kern->add(x + t * c, y, y, c);
    for (size_t t = 1; kind == MAX && t < len; t++)
        k->maximum(c, x + t * c, y);
    if (kind == MEAN)
        r->kern->scale(y, 1.0f / (float)len, 0.0f, y, c);
}

static void pool_run(const struct am_run *r, const struct am_step *s)
{
    const float *x = am_arg_ptr(r, &s->in[0]), *lengths = lengths_of(r, s, 1);
    const size_t c = s->out.cols, T = steps_of(s);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t b = 0; b < r->n_rows; b++)
        pool_row(r, s->attr.i[0], x + b * T * c, am_seq_length(lengths, b, T), c, y + b * c);
}

/* ---- attention: x [B,T,C], scores [B,T,1], lengths ---- */

static enum am_rc attend_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *scores = am_in_dims(g, n, 1);
    AM_TRY(am_seq_check(g, n, 0, 2, err));
    AM_TRY(am_seq_check(g, n, 1, 2, err));
    if (scores->d[1] != x->d[1] || scores->d[2] != 1)
        return am_op_fail(g, n, err, "scores must be [B,T,1], one for each step");
    n->dims = am_dims2(AM_DIM_BATCH, x->d[2]);
    return AM_OK;
}

static size_t attend_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)rows;
    return (size_t)am_in_dims(g, n, 0)->d[1];
}

static void attend_run(const struct am_run *r, const struct am_step *s)
{
    const struct am_seq_kernels *k = am_seq_kernels_beside(r->kern->name);
    const float *x = am_arg_ptr(r, &s->in[0]), *scores = am_arg_ptr(r, &s->in[1]),
                *lengths = lengths_of(r, s, 2);
    const size_t c = s->out.cols, T = steps_of(s);
    float *y = am_arg_ptr(r, &s->out), *p = am_scratch(r, s);
    for (size_t b = 0; b < r->n_rows; b++, y += c) {
        const size_t len = am_seq_length(lengths, b, T);
        memset(y, 0, c * sizeof(float));
        if (len > 0)
            r->kern->softmax(scores + b * T, p, 1, len);
        for (size_t t = 0; t < len; t++)
            k->axpy(c, p[t], x + (b * T + t) * c, y);
    }
}

/* ---- reversal ---- */

static enum am_rc reverse_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(am_seq_check(g, n, 0, 1, err));
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void reverse_run(const struct am_run *r, const struct am_step *s)
{
    const float *x = am_arg_ptr(r, &s->in[0]), *lengths = lengths_of(r, s, 1);
    const size_t c = s->out.cols, T = steps_of(s);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t b = 0; b < r->n_rows; b++) {
        const size_t len = am_seq_length(lengths, b, T);
        for (size_t t = 0; t < T; t++, y += c)
            memcpy(y, x + (b * T + (t < len ? len - 1 - t : t)) * c, c * sizeof(float));
    }
}

static const struct am_attr_desc cell_attrs[] = {{"reverse", AM_ATTR_I, 0, 0, 1},
                                                 {NULL, 0, 0, 0, 0}};
static const struct am_attr_desc rnn_attrs[] = {{"reverse", AM_ATTR_I, 0, 0, 1},
                                                {"act", AM_ATTR_ACT, 0, AM_ACT_NONE, AM_ACT_TANH},
                                                {NULL, 0, 0, 0, 0}};
static const struct am_attr_desc pool_attrs[] = {{"pool", AM_ATTR_I, 0, 0, FIRST},
                                                 {NULL, 0, 0, 0, 0}};
#define CELL_OP(NAME, ATTRS)                                                                       \
    const struct am_op am_op_##NAME = {.name = #NAME,                                              \
                                       .min_in = 2,                                                \
                                       .max_in = 4,                                                \
                                       .attrs = ATTRS,                                             \
                                       .infer = NAME##_infer,                                      \
                                       .run = NAME##_run,                                          \
                                       .flops = am_seq_flops,                                      \
                                       .scratch = am_seq_scratch,                                  \
                                       .prepared = cell_prepared,                                  \
                                       .prepare = cell_prepare,                                    \
                                       .prepared_inputs = 1u << 1}
CELL_OP(rnn, rnn_attrs);
CELL_OP(lstm, cell_attrs);
CELL_OP(gru, cell_attrs);
const struct am_op am_op_seq_lengths = {
    .name = "seq_lengths", .min_in = 1, .max_in = 1, .infer = lengths_infer, .run = lengths_run};
const struct am_op am_op_seq_pool = {.name = "seq_pool",
                                     .min_in = 1,
                                     .max_in = 2,
                                     .attrs = pool_attrs,
                                     .infer = pool_infer,
                                     .run = pool_run};
const struct am_op am_op_seq_attend = {.name = "seq_attend",
                                       .min_in = 2,
                                       .max_in = 3,
                                       .infer = attend_infer,
                                       .run = attend_run,
                                       .scratch = attend_scratch};
const struct am_op am_op_seq_reverse = {
    .name = "seq_reverse", .min_in = 1, .max_in = 2, .infer = reverse_infer, .run = reverse_run};
