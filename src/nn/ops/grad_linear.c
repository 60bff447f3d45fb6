/* Gradients of linear (dx = dy W^T, dw = x^T dy, db = column sums), of activations and of softmax.
 * Fitting. */
#include "base/pool.h"
#include "nn/ops/train_ops.h"

#include <string.h>

static enum am_rc dx_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *dy = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    if (w->rank != 2 || dy->d[dy->rank - 1] != w->d[1])
        return am_op_fail(g, n, err, "the columns of dy and of the weight differ");
    n->dims = *dy;
    n->dims.d[dy->rank - 1] = w->d[0];
    return AM_OK;
}

/* W [K,N] is packed as the matrix [N,K] into scratch, then an ordinary product. */
static void dx_run(const struct am_run *r, const struct am_step *s)
{
    const size_t n = s->in[0].cols, k = s->out.cols;
    float *packed = am_scratch(r, s);
    const struct am_gemm g = {.m = am_arg_rows(r, &s->in[0]),
                              .n = k,
                              .k = n,
                              .a = am_arg_ptr(r, &s->in[0]),
                              .a_row = n,
                              .a_col = 1,
                              .b = packed,
                              .b_row = 0,
                              .c = am_arg_ptr(r, &s->out),
                              .c_row = k};
    if (g.m == 0)
        return;
    am_pack_transposed(r->kern, am_arg_ptr(r, &s->in[1]), n, n, k, packed);
    am_run_gemm(r, &g);
}

static size_t dx_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_dims *w = am_in_dims(g, n, 1);
    (void)rows;
    return ((size_t)w->d[0] + 63) / 64 * 64 * (size_t)w->d[1]; /* any table's panel divides 64 */
}

static double dx_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(&n->dims) * (double)am_in_dims(g, n, 1)->d[1];
}

/* Where B's rows lie far apart, every tile of C fetches it anew: a dense copy in panels costs less.
 */
#define PACK_FLOATS ((size_t)1 << 20) /* at most */
#define PACK_ROWS 48                  /* of C, at least */
#define PACK_K 64

struct pack_job {
    const struct am_gemm *g;
    const struct am_kernels *kern;
    float *out;
};

static void pack_panels(void *ctx, size_t begin, size_t end)
{
    const struct pack_job *j = ctx;
    const size_t w = j->kern->panel;
    for (size_t q = begin; q < end; q++) {
        const size_t have = j->g->n - q * w < w ? j->g->n - q * w : w;
        am_pack(j->kern, j->g->b + q * w, j->g->b_row, j->g->k, have, j->out + q * w * j->g->k);
    }
}

size_t am_product_scratch(size_t m, size_t n, size_t k)
{
    const size_t floats = (n + 63) / 64 * 64 * k; /* any table's panel divides 64 */
    if (m < PACK_ROWS)
        return 0;
    return floats < PACK_FLOATS ? floats : PACK_FLOATS;
}

void am_run_product(const struct am_run *r, const struct am_gemm *g, float *scratch)
{
    struct am_gemm packed = *g;
    const size_t n_panels = (g->n + r->kern->panel - 1) / r->kern->panel;
    if (g->m < PACK_ROWS || g->k < PACK_K || n_panels < 2 ||
        (g->n + 63) / 64 * 64 * g->k > PACK_FLOATS) {
        am_run_gemm(r, g);
        return;
    }
    struct pack_job j = {.g = g, .kern = r->kern, .out = scratch};
    if (r->pool && g->n * g->k > ((size_t)1 << 18))
        am_pool_for(r->pool, n_panels, 4, pack_panels, &j);
    else
        pack_panels(&j, 0, n_panels);
    packed.b = scratch;
    packed.b_row = 0;
    am_run_gemm(r, &packed);
}

static size_t dw_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    const size_t k = am_dims_rows(x) * (am_dims_batched(x) ? rows : 1);
    return am_product_scratch((size_t)n->dims.d[0], (size_t)n->dims.d[1], k);
}

static enum am_rc dw_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *dy = am_in_dims(g, n, 1);
    (void)err;
    n->dims = am_dims2((int64_t)am_dims_cols(x), (int64_t)am_dims_cols(dy));
    return AM_OK;
}

/* Columns [begin, end) of dW over all entries of sparse x, in order of the rows. */
static void dw_sparse(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct am_csr *x = am_arg_sparse(r, &s->in[0]);
    const size_t n = s->out.cols;
    float *restrict out = am_arg_ptr(r, &s->out);
    for (size_t k = 0; k < s->out.rows; k++)
        memset(out + k * n + begin, 0, (end - begin) * sizeof *out);
    for (size_t i = 0; i < r->n_rows; i++) {
        const float *restrict dy = am_arg_ptr(r, &s->in[1]) + i * n;
        for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++) {
            const float v = x->vals[e];
            float *restrict row = out + (size_t)x->cols[e] * n;
            for (size_t j = begin; j < end; j++)
                row[j] += v * dy[j];
        }
    }
}

static void dw_run(const struct am_run *r, const struct am_step *s)
{
    if (am_arg_sparse(r, &s->in[0])) {
        am_run_columns(r, s, &s->in[1], dw_sparse);
        return;
    }
    const size_t k = s->out.rows, n = s->out.cols, rows = am_arg_rows(r, &s->in[0]);
    float *out = am_arg_ptr(r, &s->out);
    if (rows == 0) {
        memset(out, 0, k * n * sizeof(float));
        return;
    }
    const struct am_gemm g = {.m = k,
                              .n = n,
                              .k = rows,
                              .a = am_arg_ptr(r, &s->in[0]),
                              .a_row = 1,
                              .a_col = k,
                              .b = am_arg_ptr(r, &s->in[1]),
                              .b_row = n,
                              .c = out,
                              .c_row = n};
    am_run_product(r, &g, am_scratch(r, s));
}

static double dw_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(&n->dims) * (double)am_dims_rows(am_in_dims(g, n, 0));
}

static enum am_rc col_sum_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    (void)err;
    n->dims = am_dims1((int64_t)am_dims_cols(am_in_dims(g, n, 0)));
    return AM_OK;
}

static void col_sum_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    r->tkern->col_sum(am_arg_ptr(r, &s->in[0]), am_arg_rows(r, &s->in[0]), s->in[0].cols, begin,
                      end, am_arg_ptr(r, &s->out));
}

static void col_sum_run(const struct am_run *r, const struct am_step *s)
{
    am_run_columns(r, s, &s->in[0], col_sum_part);
}

static enum am_rc same_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!am_dims_eq(am_in_dims(g, n, 0), am_in_dims(g, n, 1)))
        return am_op_fail(g, n, err, "both inputs must have the same shape");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void act_grad_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    r->tkern->act_grad(s->attr.act, s->attr.f[0], am_arg_ptr(r, &s->in[0]) + begin,
                       am_arg_ptr(r, &s->in[1]) + begin, am_arg_ptr(r, &s->out) + begin,
                       end - begin);
}

static void act_grad_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, act_grad_part);
}

static void softmax_grad_run(const struct am_run *r, const struct am_step *s)
{
    r->tkern->softmax_grad(am_arg_ptr(r, &s->in[0]), am_arg_ptr(r, &s->in[1]),
                           am_arg_ptr(r, &s->out), am_arg_rows(r, &s->out), s->out.cols);
}

const struct am_op am_op_linear_dx = {.name = "linear_dx",
                                      .min_in = 2,
                                      .max_in = 2,
                                      .infer = dx_infer,
                                      .run = dx_run,
                                      .flops = dx_flops,
                                      .scratch = dx_scratch};
const struct am_op am_op_linear_dw = {.name = "linear_dw",
                                      .min_in = 2,
                                      .max_in = 2,
                                      .flags = AM_OP_SPARSE_X,
                                      .infer = dw_infer,
                                      .run = dw_run,
                                      .flops = dw_flops,
                                      .scratch = dw_scratch};
const struct am_op am_op_col_sum = {
    .name = "col_sum", .min_in = 1, .max_in = 1, .infer = col_sum_infer, .run = col_sum_run};
const struct am_op am_op_act_grad = {.name = "act_grad",
                                     .min_in = 2,
                                     .max_in = 2,
                                     .flags = AM_OP_IN_PLACE,
                                     .infer = same_infer,
                                     .run = act_grad_run};
const struct am_op am_op_softmax_grad = {.name = "softmax_grad",
                                         .min_in = 2,
                                         .max_in = 2,
                                         .flags = AM_OP_IN_PLACE,
                                         .infer = same_infer,
                                         .run = softmax_grad_run};
