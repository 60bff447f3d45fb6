/* Moving columns, which are the last dimension of any rank: concat (up to 8 tensors side by side),
 * columns (attr.i[0] = first, attr.i[1] = count). Tables: embedding (ids [B,f], table [V,w] -> [B,
 * f*w]; ids outside the table give zeros) and tokens (ids [B,T] -> [B,T,w]; so does id 0). */
#include "nn/ops/op.h"

#include <string.h>

static enum am_rc concat_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const unsigned last = am_in_dims(g, n, 0)->rank - 1;
    int64_t cols = 0;
    for (unsigned i = 0; i < n->n_in; i++) {
        struct am_dims x = *am_in_dims(g, n, i);
        cols += x.d[x.rank - 1];
        x.d[x.rank - 1] = am_in_dims(g, n, 0)->d[last];
        if (last < 1 || !am_dims_eq(&x, am_in_dims(g, n, 0)))
            return am_op_fail(g, n, err, "all inputs must agree in all dimensions but the last");
    }
    n->dims = *am_in_dims(g, n, 0);
    n->dims.d[last] = cols;
    return am_dims_check(&n->dims, "concat", err);
}

static void copy_columns(const float *from, size_t from_row, float *to, size_t to_row, size_t rows,
                         size_t n)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * to_row, from + i * from_row, n * sizeof(float));
}

static void concat_run(const struct am_run *r, const struct am_step *s)
{
    float *y = am_arg_ptr(r, &s->out);
    const size_t rows = am_arg_rows(r, &s->out);
    for (unsigned i = 0; i < s->n_in; i++) {
        copy_columns(am_arg_ptr(r, &s->in[i]), s->in[i].cols, y, s->out.cols, rows, s->in[i].cols);
        y += s->in[i].cols;
    }
}

static enum am_rc columns_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    const int64_t first = n->attr.i[0], count = n->attr.i[1];
    const int64_t cols = x->d[x->rank - 1];
    if (x->rank < 2 || first < 0 || count < 1 || count > cols || first > cols - count)
        return am_op_fail(g, n, err, "the columns asked for lie outside the input");
    n->dims = *x;
    n->dims.d[x->rank - 1] = count;
    return AM_OK;
}

static void columns_run(const struct am_run *r, const struct am_step *s)
{
    copy_columns(am_arg_ptr(r, &s->in[0]) + s->attr.i[0], s->in[0].cols, am_arg_ptr(r, &s->out),
                 s->out.cols, am_arg_rows(r, &s->out), s->out.cols);
}

static enum am_rc embedding_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *ids = am_in_dims(g, n, 0), *table = am_in_dims(g, n, 1);
    if (ids->rank != 2 || table->rank != 2 || am_dims_batched(table))
        return am_op_fail(g, n, err, "ids must be a matrix [B,f] and the table a matrix [V,w]");
    if (ids->d[1] > (int64_t)(AM_LIMIT_TENSOR_BYTES / sizeof(float)) / table->d[1])
        return am_op_fail(g, n, err, "the rows of the result are too long");
    n->dims = am_dims2(ids->d[0], ids->d[1] * table->d[1]);
    return am_dims_check(&n->dims, "embedding", err);
}

static void embedding_run(const struct am_run *r, const struct am_step *s)
{
    const float *ids = am_arg_ptr(r, &s->in[0]), *table = am_arg_ptr(r, &s->in[1]);
    const size_t n = am_arg_count(r, &s->in[0]), width = s->in[1].cols;
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = 0; i < n; i++, y += width) {
        if (ids[i] >= 0.0f && ids[i] < (float)s->in[1].rows)
            memcpy(y, table + (size_t)ids[i] * width, width * sizeof(float));
        else
            memset(y, 0, width * sizeof(float));
    }
}

static enum am_rc tokens_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *ids = am_in_dims(g, n, 0), *table = am_in_dims(g, n, 1);
    if (ids->rank != 2 || !am_dims_batched(ids) || table->rank != 2 || am_dims_batched(table))
        return am_op_fail(g, n, err, "ids must be a matrix [B,T] and the table a matrix [V,w]");
    n->dims = (struct am_dims){3, {ids->d[0], ids->d[1], table->d[1]}};
    return am_dims_check(&n->dims, "tokens", err);
}

static void tokens_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t width = s->out.cols;
    const float *ids = am_arg_ptr(r, &s->in[0]), *table = am_arg_ptr(r, &s->in[1]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin; i < end; i++) {
        if (ids[i] >= 1.0f && ids[i] < (float)s->in[1].rows)
            memcpy(y + i * width, table + (size_t)ids[i] * width, width * sizeof(float));
        else
            memset(y + i * width, 0, width * sizeof(float));
    }
}

static void tokens_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_count(r, &s->in[0]), s->out.cols, tokens_part);
}

const struct am_op am_op_concat = {.name = "concat",
                                   .min_in = 1,
                                   .max_in = AM_GRAPH_INPUTS_MAX,
                                   .infer = concat_infer,
                                   .run = concat_run};
static const struct am_attr_desc columns_attrs[] = {
    {"first", AM_ATTR_I, 0, 0, 1e9}, {"n", AM_ATTR_I, 1, 1, 1e9}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_columns = {.name = "columns",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .attrs = columns_attrs,
                                    .infer = columns_infer,
                                    .run = columns_run};
const struct am_op am_op_embedding = {
    .name = "embedding", .min_in = 2, .max_in = 2, .infer = embedding_infer, .run = embedding_run};
const struct am_op am_op_tokens = {
    .name = "tokens", .min_in = 2, .max_in = 2, .infer = tokens_infer, .run = tokens_run};
