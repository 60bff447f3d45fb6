/* linear: y = act(x W + b), x [.., K], W [K, N], b [N] or none; attr.act and attr.f[0] (alpha) hold
 * an activation that the planner fused. Also the one way that steps call GEMM. */
#include "base/pool.h"
#include "nn/ops/op.h"

/* Below this (about 70 us of one core) a second thread costs more than it brings: it must be woken.
 */
#define GEMM_PARALLEL_FLOPS 1.2e7

struct gemm_job {
    const struct am_gemm *g;
    const struct am_kernels *kern;
    size_t row_chunk, col_chunk, n_col_chunks;
};

static void gemm_chunks(void *ctx, size_t begin, size_t end)
{
    const struct gemm_job *j = ctx;
    for (size_t c = begin; c < end; c++) {
        const size_t m0 = c / j->n_col_chunks * j->row_chunk,
                     n0 = c % j->n_col_chunks * j->col_chunk;
        const size_t m1 = m0 + j->row_chunk < j->g->m ? m0 + j->row_chunk : j->g->m;
        const size_t n1 = n0 + j->col_chunk < j->g->n ? n0 + j->col_chunk : j->g->n;
        j->kern->gemm(j->g, m0, m1, n0, n1);
    }
}

void am_run_gemm(const struct am_run *r, const struct am_gemm *g)
{
    const double flops = 2.0 * (double)g->m * (double)g->n * (double)g->k;
    if (!r->pool || flops < GEMM_PARALLEL_FLOPS) {
        r->kern->gemm(g, 0, g->m, 0, g->n);
        return;
    }
    struct gemm_job j = {.g = g, .kern = r->kern, .row_chunk = 4 * r->kern->tile_rows};
    const size_t n_rows_chunks = (g->m + j.row_chunk - 1) / j.row_chunk;
    /* at least 8 chunks where the columns allow it: they are whole panels */
    const size_t panels = (g->n + r->kern->panel - 1) / r->kern->panel;
    const size_t want = n_rows_chunks >= 8 ? 1 : (8 + n_rows_chunks - 1) / n_rows_chunks;
    const size_t per = want >= panels ? 1 : (panels + want - 1) / want;
    j.col_chunk = per * r->kern->panel;
    j.n_col_chunks = (g->n + j.col_chunk - 1) / j.col_chunk;
    am_pool_for(r->pool, n_rows_chunks * j.n_col_chunks, 1, gemm_chunks, &j);
}

static enum am_rc linear_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    if (x->rank < 2 || w->rank != 2)
        return am_op_fail(g, n, err, "x must be a matrix [B,K] and the weight a matrix [K,N]");
    if (am_dims_batched(w) || x->d[x->rank - 1] != w->d[0])
        return am_op_fail(g, n, err, "the columns of x and the rows of the weight differ");
    if (am_in_given(n, 2)) {
        const struct am_dims *b = am_in_dims(g, n, 2);
        if (b->rank != 1 || b->d[0] != w->d[1])
            return am_op_fail(g, n, err,
                              "the bias must have one element for each column of the weight");
    }
    n->dims = *x;
    n->dims.d[x->rank - 1] = w->d[1];
    return AM_OK;
}

/* Rows [begin, end) of sparse x: one chain over a row's entries in order. */
static void sparse_rows(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct am_csr *x = am_arg_sparse(r, &s->in[0]);
    const size_t n = s->out.cols;
    const float *restrict w = am_arg_ptr(r, &s->in[1]);
    const float *bias = s->n_in > 2 ? am_arg_ptr(r, &s->in[2]) : NULL;
    for (size_t i = begin; i < end; i++) {
        float *restrict y = am_arg_ptr(r, &s->out) + i * n;
        for (size_t j = 0; j < n; j++)
            y[j] = bias ? bias[j] : 0;
        for (uint64_t e = x->start[i]; e < x->start[i + 1]; e++) {
            const float v = x->vals[e], *restrict row = w + (size_t)x->cols[e] * n;
            for (size_t j = 0; j < n; j++)
                y[j] += v * row[j];
        }
        if (s->attr.act != AM_ACT_NONE)
            r->kern->act(s->attr.act, s->attr.f[0], y, y, n);
    }
}

static void linear_run(const struct am_run *r, const struct am_step *s)
{
    const struct am_csr *sparse = am_arg_sparse(r, &s->in[0]);
    if (sparse && r->n_rows > 0) {
        const uint64_t entries = sparse->start[r->n_rows] - sparse->start[0];
        am_run_split(r, s, r->n_rows, (size_t)(entries / r->n_rows + 1) * s->out.cols, sparse_rows);
        return;
    }
    const size_t k = s->in[0].cols, n = s->out.cols;
    const struct am_gemm g = {.m = am_arg_rows(r, &s->in[0]),
                              .n = n,
                              .k = k,
                              .a = am_arg_ptr(r, &s->in[0]),
                              .a_row = k,
                              .a_col = 1,
                              .b = s->prepared ? s->prepared : am_arg_ptr(r, &s->in[1]),
                              .b_row = s->prepared ? 0 : n,
                              .c = am_arg_ptr(r, &s->out),
                              .c_row = n,
                              .bias = s->n_in > 2 ? am_arg_ptr(r, &s->in[2]) : NULL,
                              .act = s->attr.act,
                              .alpha = s->attr.f[0]};
    if (g.m > 0)
        am_run_gemm(r, &g);
}

static double linear_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(&n->dims) * (double)am_in_dims(g, n, 1)->d[0];
}

/* Weights that are parameters are packed once. */
static size_t linear_prepared(const struct am_graph *g, const struct am_gnode *n,
                              const struct am_kernels *k)
{
    const struct am_dims *w = am_in_dims(g, n, 1);
    if (am_graph_node(g, n->in[1])->op != &am_op_param)
        return 0;
    return am_pack_floats(k, (size_t)w->d[0], (size_t)w->d[1]);
}

static void linear_prepare(const struct am_kernels *k, const struct am_step *s, const float *params,
                           float *out)
{
    am_pack(k, params + s->in[1].offset, s->out.cols, s->in[0].cols, s->out.cols, out);
}

const struct am_op am_op_linear = {.name = "linear",
                                   .min_in = 2,
                                   .max_in = 3,
                                   .flags = AM_OP_FUSES_ACT | AM_OP_SPARSE_X,
                                   .infer = linear_infer,
                                   .run = linear_run,
                                   .flops = linear_flops,
                                   .prepared = linear_prepared,
                                   .prepare = linear_prepare,
                                   .prepared_inputs = 1u << 1};
