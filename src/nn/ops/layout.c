/* Moving the elements of a row about: reshape, split_frames and join_frames (views), permute, slice
 * and pad, for any rank.
 *
 * x is [B, ...]; dimension i of a row is dims.d[i + 1]. Attributes: reshape i[0] = dimensions of
 * the new row, i[1..7] = they; permute i[0..6] = where each comes from; slice i[0..6] = first,
 * i[7..13] = count; pad i[0..6] = zeros before, i[7..13] = zeros after. What lies beyond the rank
 * is 0. */
#include "nn/ops/op.h"

#include <string.h>

#define ROW_RANK_MAX (AM_LIMIT_TENSOR_RANK - 1)
#define SECOND ROW_RANK_MAX /* where the second list of an attribute pair begins */

/* A batched input with at least one more dimension, and nothing in the unused attributes. */
static enum am_rc check_input(const struct am_graph *g, const struct am_gnode *n, unsigned lists,
                              struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 2 || !am_dims_batched(x))
        return am_op_fail(g, n, err, "x must be a batch of rows");
    for (unsigned l = 0; l < lists; l++)
        for (unsigned i = x->rank - 1; i < ROW_RANK_MAX; i++)
            if (n->attr.i[l * SECOND + i] != 0)
                return am_op_fail(g, n, err, "there are more entries than x has dimensions");
    return AM_OK;
}

/* ---- reshape ---- */

static enum am_rc reshape_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(check_input(g, n, 0, err));
    const int64_t rank = n->attr.i[0];
    if (rank < 1 || rank > ROW_RANK_MAX)
        return am_op_fail(g, n, err, "a row must get 1 to 7 dimensions");
    n->dims.rank = (unsigned)rank + 1;
    n->dims.d[0] = AM_DIM_BATCH;
    for (unsigned i = 1; i <= ROW_RANK_MAX; i++) {
        if (i > rank && n->attr.i[i] != 0)
            return am_op_fail(g, n, err, "there are more entries than x has dimensions");
        if (i <= rank)
            n->dims.d[i] = n->attr.i[i];
    }
    AM_TRY(am_dims_check(&n->dims, "reshape", err));
    if (am_dims_count(&n->dims) != am_dims_count(am_in_dims(g, n, 0)))
        return am_op_fail(g, n, err, "a row of the new shape has another number of elements");
    return AM_OK;
}

/* ---- frames: [B,T,...] as [TB,...] and back ---- */

static enum am_rc split_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 3 || !am_dims_batched(x))
        return am_op_fail(g, n, err, "x must be a batch of videos [B,T,...]");
    if (am_dims_fold(x) != 1)
        return am_op_fail(g, n, err, "the frames are split already");
    n->dims.rank = x->rank - 1;
    n->dims.d[0] = -x->d[1];
    for (unsigned i = 1; i < n->dims.rank; i++)
        n->dims.d[i] = x->d[i + 1];
    return AM_OK;
}

static enum am_rc join_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    if (x->rank < 2 || x->rank >= AM_LIMIT_TENSOR_RANK || !am_dims_batched(x))
        return am_op_fail(g, n, err, "x must be a batch of frames");
    n->dims.rank = x->rank + 1;
    n->dims.d[0] = AM_DIM_BATCH;
    n->dims.d[1] = (int64_t)am_dims_fold(x);
    for (unsigned i = 1; i < x->rank; i++)
        n->dims.d[i + 1] = x->d[i];
    return AM_OK;
}

/* ---- permute ---- */

static enum am_rc permute_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(check_input(g, n, 1, err));
    const struct am_dims *x = am_in_dims(g, n, 0);
    unsigned seen = 0;
    n->dims = *x;
    for (unsigned i = 0; i + 1 < x->rank; i++) {
        const int64_t from = n->attr.i[i];
        if (from < 0 || from >= (int64_t)x->rank - 1 || (seen >> from & 1))
            return am_op_fail(g, n, err, "the order must name each dimension of a row once");
        seen |= 1u << from;
        n->dims.d[i + 1] = x->d[from + 1];
    }
    return AM_OK;
}

static void permute_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct am_dims *x = &s->in[0].dims, *y = &s->out.dims;
    const unsigned rank = y->rank - 1; /* of a row */
    const size_t count = am_dims_count(y), n = s->out.cols;
    size_t stride[ROW_RANK_MAX] = {0}, at[ROW_RANK_MAX] = {0}, step = 1;
    for (unsigned k = rank; k-- > 0; step *= (size_t)x->d[k + 1])
        for (unsigned i = 0; i < rank; i++)
            if (s->attr.i[i] == (int64_t)k)
                stride[i] = step;
    const float *from = am_arg_ptr(r, &s->in[0]) + begin * count;
    float *to = am_arg_ptr(r, &s->out) + begin * count;
    for (size_t b = begin; b < end; b++, from += count) {
        size_t offset = 0;
        for (size_t line = 0; line < count / n; line++, to += n) {
            if (stride[rank - 1] == 1)
                memcpy(to, from + offset, n * sizeof(float));
            else
                for (size_t j = 0; j < n; j++)
                    to[j] = from[offset + j * stride[rank - 1]];
            for (unsigned i = rank - 1; i-- > 0;) { /* the next line, as an odometer */
                offset += stride[i];
                if (++at[i] < (size_t)y->d[i + 1])
                    break;
                offset -= stride[i] * at[i];
                at[i] = 0;
            }
        }
    }
}

static void permute_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows, am_dims_count(&s->out.dims), permute_part);
}

/* ---- slice and pad: a box copied between two rows ---- */

struct box {
    const struct am_dims *from, *to, *size; /* row dimensions are d[1..] */
    const int64_t *from_at, *to_at;         /* NULL = the origin */
};

static size_t place(const struct am_dims *d, const size_t *at, const int64_t *origin)
{
    size_t p = 0;
    for (unsigned i = 1; i < d->rank; i++)
        p = p * (size_t)d->d[i] + at[i - 1] + (origin ? (size_t)origin[i - 1] : 0);
    return p;
}

static void copy_box(const struct box *b, const float *from, float *to)
{
    const unsigned rank = b->size->rank - 1;
    const size_t n = am_dims_cols(b->size), lines = am_dims_count(b->size) / n;
    size_t at[ROW_RANK_MAX] = {0};
    for (size_t line = 0; line < lines; line++) {
        memcpy(to + place(b->to, at, b->to_at), from + place(b->from, at, b->from_at),
               n * sizeof(float));
        for (unsigned i = rank - 1; i-- > 0;) {
            if (++at[i] < (size_t)b->size->d[i + 1])
                break;
            at[i] = 0;
        }
    }
}

static enum am_rc slice_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(check_input(g, n, 2, err));
    const struct am_dims *x = am_in_dims(g, n, 0);
    n->dims = *x;
    for (unsigned i = 0; i + 1 < x->rank; i++) {
        const int64_t first = n->attr.i[i], count = n->attr.i[SECOND + i], size = x->d[i + 1];
        if (first < 0 || count < 1 || count > size || first > size - count)
            return am_op_fail(g, n, err, "the slice lies outside the input");
        n->dims.d[i + 1] = count;
    }
    return AM_OK;
}

static void slice_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct am_dims *x = &s->in[0].dims, *y = &s->out.dims;
    const struct box b = {x, y, y, s->attr.i, NULL};
    for (size_t i = begin; i < end; i++)
        copy_box(&b, am_arg_ptr(r, &s->in[0]) + i * am_dims_count(x),
                 am_arg_ptr(r, &s->out) + i * am_dims_count(y));
}

static void slice_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows, am_dims_count(&s->out.dims), slice_part);
}

static enum am_rc pad_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(check_input(g, n, 2, err));
    const struct am_dims *x = am_in_dims(g, n, 0);
    n->dims = *x;
    for (unsigned i = 0; i + 1 < x->rank; i++) {
        const int64_t before = n->attr.i[i], after = n->attr.i[SECOND + i];
        if (before < 0 || after < 0 || before > (int64_t)1 << 30 || after > (int64_t)1 << 30)
            return am_op_fail(g, n, err, "padding must be at least 0 and below 2^30");
        n->dims.d[i + 1] += before + after;
    }
    return am_dims_check(&n->dims, "pad", err);
}

static void pad_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const struct am_dims *x = &s->in[0].dims, *y = &s->out.dims;
    const struct box b = {x, y, x, NULL, s->attr.i};
    for (size_t i = begin; i < end; i++) {
        float *to = am_arg_ptr(r, &s->out) + i * am_dims_count(y);
        memset(to, 0, am_dims_count(y) * sizeof(float));
        copy_box(&b, am_arg_ptr(r, &s->in[0]) + i * am_dims_count(x), to);
    }
}

static void pad_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, r->n_rows, am_dims_count(&s->out.dims), pad_part);
}

/* ---- tables ---- */

#define LIST7(NAME, AT)                                                                            \
    {NAME "0", AM_ATTR_I, (AT), 0, 2e9}, {NAME "1", AM_ATTR_I, (AT) + 1, 0, 2e9},                  \
        {NAME "2", AM_ATTR_I, (AT) + 2, 0, 2e9}, {NAME "3", AM_ATTR_I, (AT) + 3, 0, 2e9},          \
        {NAME "4", AM_ATTR_I, (AT) + 4, 0, 2e9}, {NAME "5", AM_ATTR_I, (AT) + 5, 0, 2e9},          \
    {                                                                                              \
        NAME "6", AM_ATTR_I, (AT) + 6, 0, 2e9                                                      \
    }

static const struct am_attr_desc reshape_attrs[] = {
    {"rank", AM_ATTR_I, 0, 1, ROW_RANK_MAX}, LIST7("d", 1), {NULL, 0, 0, 0, 0}};
const struct am_op am_op_reshape = {.name = "reshape",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .flags = AM_OP_IDENTITY,
                                    .attrs = reshape_attrs,
                                    .infer = reshape_infer};
const struct am_op am_op_split_frames = {.name = "split_frames",
                                         .min_in = 1,
                                         .max_in = 1,
                                         .flags = AM_OP_IDENTITY,
                                         .infer = split_infer};
const struct am_op am_op_join_frames = {
    .name = "join_frames", .min_in = 1, .max_in = 1, .flags = AM_OP_IDENTITY, .infer = join_infer};
static const struct am_attr_desc permute_attrs[] = {LIST7("from", 0), {NULL, 0, 0, 0, 0}};
const struct am_op am_op_permute = {.name = "permute",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .attrs = permute_attrs,
                                    .infer = permute_infer,
                                    .run = permute_run};
static const struct am_attr_desc slice_attrs[] = {
    LIST7("first", 0), LIST7("n", SECOND), {NULL, 0, 0, 0, 0}};
const struct am_op am_op_slice = {.name = "slice",
                                  .min_in = 1,
                                  .max_in = 1,
                                  .attrs = slice_attrs,
                                  .infer = slice_infer,
                                  .run = slice_run};
static const struct am_attr_desc pad_attrs[] = {
    LIST7("before", 0), LIST7("after", SECOND), {NULL, 0, 0, 0, 0}};
const struct am_op am_op_pad = {.name = "pad",
                                .min_in = 1,
                                .max_in = 1,
                                .attrs = pad_attrs,
                                .infer = pad_infer,
                                .run = pad_run};
