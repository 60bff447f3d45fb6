/* Gradients of convolutions: conv_dx (inputs dy, weight) and conv_dw (inputs x, dy), attributes as
 * in conv_int.h. A transposed convolution's are conv itself and conv_dw with the inputs exchanged.
 * Fitting.
 *
 * conv_dw: images, or bands of them, go to a fixed number of partial sums that depends on shapes
 * and rows only; these are added in order, so the bits are the same for any threads. */
#include <string.h>

#include "base/pool.h"
#include "nn/ops/conv_int.h"
#include "nn/ops/train_ops.h"
#include "nn/ops/winograd.h"

#define PARTS 8                 /* partial sums, and chunks of work */
#define PARTS_FLOATS (4u << 20) /* of all partial sums: 16 MiB */
#define PARALLEL_FLOPS 1.2e7    /* as in linear.c */
#define GATHER_MAX 64           /* patches of at most so many floats are copied together */
#define SPLIT_COLUMNS 64        /* any table's panel divides 64 */
#define SMALL_PICTURE 64        /* pictures of at most so many output pixels are taken together */
#define TOGETHER 256            /* pixels of theirs */
#define TOGETHER_CHANNELS 64

/* ---- by the input ---- */

static enum am_rc dx_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *dy = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    (void)err;
    n->dims = *dy;
    if (dy->rank == 4)
        n->dims.d[1] = n->attr.i[11];
    n->dims.d[dy->rank - 2] = n->attr.i[12];
    n->dims.d[dy->rank - 1] = w->d[0] / (n->attr.i[0] * n->attr.i[1]) * n->attr.i[10];
    return AM_OK;
}

static size_t dx_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_conv_geo q =
        am_conv_geo(&n->attr, am_dims_cols(&n->dims), am_dims_cols(am_in_dims(g, n, 0)));
    const size_t direct = am_conv_back_scratch(&q);
    struct am_conv_geo back;
    if (!am_winograd_back(&q, &back))
        return direct;
    const size_t nine = am_winograd_floats_most(&back) + am_winograd_scratch(&back, rows);
    return direct > nine ? direct : nine;
}

static void dx_run(const struct am_run *r, const struct am_step *s)
{
    const struct am_conv_back b = {.q = am_conv_geo(&s->attr, s->out.cols, s->in[0].cols),
                                   .dy = am_arg_ptr(r, &s->in[0]),
                                   .w = am_arg_ptr(r, &s->in[1]),
                                   .dx = am_arg_ptr(r, &s->out),
                                   .batch = r->n_rows};
    float *scratch = am_scratch(r, s);
    struct am_winograd w = {.x = b.dy, .u = scratch, .y = b.dx, .batch = b.batch};
    if (!am_winograd_back(&b.q, &w.q) || !am_winograd_fits(r->kern, &w.q)) {
        am_conv_back_run(r, &b, scratch);
        return;
    }
    if (b.batch == 0)
        return;
    am_winograd_pack(r->kern, &w.q, b.w, true, scratch);
    am_winograd_run(r, &w, scratch + am_winograd_floats_most(&w.q));
}

static double dx_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(am_in_dims(g, n, 0)) * (double)am_in_dims(g, n, 1)->d[0];
}

/* ---- by the weight ---- */

struct dw {
    struct am_conv_geo q;
    struct am_conv_window v;
    const struct am_conv_kernels *conv;
    const float *x, *dy;
    float *out;
    float *parts;        /* partial sums but the first, which is out */
    float *slots;        /* padded band and gathered patches of each job */
    size_t slot, gather; /* floats of a slot; floats of a gathered patch, 0 = none */
    size_t weight;       /* floats of the weight */
    size_t n_parts, n_splits, batch;
    size_t together; /* pictures of one sum; 0 = each by itself */
    size_t *offsets; /* of the taps: a depthwise pass */
};

/* Patches of few floats are put together: the register tiles want more rows than a run has. */
static size_t gathered(const struct am_conv_geo *q)
{
    const size_t patch = q->kh * q->kw * q->c;
    return q->groups == 1 && q->dw == 1 && q->kw * q->c < 12 && q->kh > 1 && patch <= GATHER_MAX
               ? patch
               : 0;
}

/* A sum over few pixels costs more to add to the gradient than to make. */
static size_t together_of(const struct am_conv_geo *q)
{
    const size_t pixels = q->oh * q->ow;
    return q->groups == 1 && gathered(q) == 0 && pixels <= SMALL_PICTURE ? TOGETHER / pixels : 0;
}

static size_t n_parts_of(const struct am_conv_geo *q, size_t units)
{
    const size_t weight = q->kh * q->kw * (q->c / q->groups) * q->n;
    size_t n = PARTS_FLOATS / weight;
    n = n < 1 ? 1 : n > PARTS ? PARTS : n;
    return n < units ? n : units;
}

static size_t slot_floats(const struct am_conv_geo *q, const struct am_conv_window *v)
{
    if (together_of(q) > 0)
        return (size_t)TOGETHER * TOGETHER_CHANNELS;
    return (am_conv_slots(v, q->c, q->oh) / AM_CONV_SLOTS + q->oh * q->ow * gathered(q) + 15) / 16 *
           16;
}

static void gather(const struct dw *d, const float *x, size_t x_row, size_t rows, float *to)
{
    const struct am_conv_geo *q = &d->q;
    const size_t run = q->kw * q->c; /* kernels with gaps are not gathered */
    for (size_t r = 0; r < rows; r++)
        for (size_t p = 0; p < q->ow; p++)
            for (size_t ky = 0; ky < q->kh; ky++) {
                const float *from =
                    x + r * x_row + ky * q->dh * d->v.cols * q->c + p * q->sw * q->c;
                for (size_t i = 0; i < run; i++)
                    *to++ = from[i];
            }
}

static void dw_depthwise(const struct dw *d, const struct am_conv_dw *k)
{
    const struct am_depthwise_dw w = {.x = k->x,
                                      .x_row = k->x_row,
                                      .x_col = k->x_col,
                                      .offsets = d->offsets,
                                      .n_taps = d->q.kh * d->q.kw,
                                      .dy = k->dy,
                                      .dy_row = k->dy_row,
                                      .dy_col = k->dy_col,
                                      .rows = k->rows,
                                      .width = k->width,
                                      .n = d->q.n,
                                      .out = k->out,
                                      .first = k->first};
    d->conv->depthwise_dw(&w);
}

/* One band into one partial sum, filters j0..j0+n: k holds what all runs share. */
static void dw_runs(const struct dw *d, struct am_conv_dw k, size_t j0, size_t n)
{
    const struct am_conv_geo *q = &d->q;
    const size_t cg = q->c / q->groups, ng = q->n / q->groups;
    const bool joined = q->groups == 1 && q->dw == 1;
    const size_t run = joined ? q->kw * cg : cg, per_row = joined ? 1 : q->kw;
    const float *x = k.x, *dy = k.dy;
    float *out = k.out;
    k.m = run;
    for (size_t g = 0; g < q->groups; g++)
        for (size_t t = 0; t < q->kh * per_row; t++) {
            const size_t ky = t / per_row, kx = t % per_row;
            k.x = x + ky * q->dh * d->v.cols * q->c + kx * q->dw * q->c + g * cg;
            k.dy = dy + g * ng + j0;
            k.out = out + t * run * q->n + g * ng + j0;
            k.n = q->groups > 1 ? ng : n;
            d->conv->dw(&k);
        }
}

static void dw_unit(const struct dw *d, size_t u, float *slot, float *out, bool first, size_t j0,
                    size_t n)
{
    const struct am_conv_geo *q = &d->q;
    const struct am_conv_window *v = &d->v;
    const size_t i = u / v->bands, row0 = u % v->bands * v->band;
    const size_t rows = q->oh - row0 < v->band ? q->oh - row0 : v->band;
    const float *image = d->x + i * q->h * q->w * q->c;
    struct am_conv_dw k = {.x_row = q->sh * v->cols * q->c,
                           .x_col = q->sw * q->c,
                           .dy = d->dy + (i * q->oh + row0) * q->ow * q->n,
                           .dy_row = q->ow * q->n,
                           .dy_col = q->n,
                           .rows = rows,
                           .width = q->ow,
                           .out = out,
                           .out_row = q->n,
                           .first = first};
    k.x = image + (((size_t)v->y + row0 * v->step_y) * q->w + (size_t)v->x) * q->c;
    if (v->floats > 0) {
        am_conv_band(v, image, q->h, q->w, q->c, row0, rows, slot);
        k.x = slot;
    }
    if (d->offsets) {
        dw_depthwise(d, &k);
    } else if (d->gather > 0) {
        float *patches = slot + d->slot - (q->oh * q->ow * d->gather + 15) / 16 * 16;
        gather(d, k.x, k.x_row, rows, patches);
        k.x = patches;
        k.x_row = q->ow * d->gather;
        k.x_col = k.m = d->gather;
        k.dy += j0;
        k.out += j0;
        k.n = n;
        d->conv->dw(&k);
    } else {
        dw_runs(d, k, j0, n);
    }
}

/* What one tap reads of channels c0..c0+n, for each output pixel of pictures i0..i1. */
static void gather_tap(const struct dw *d, size_t tap, size_t c0, size_t n, size_t i0, size_t i1,
                       float *to)
{
    const struct am_conv_geo *q = &d->q;
    const ptrdiff_t y0 = (ptrdiff_t)(tap / q->kw * q->dh) - (ptrdiff_t)q->top;
    const ptrdiff_t x0 = (ptrdiff_t)(tap % q->kw * q->dw) - (ptrdiff_t)q->left;
    for (size_t i = i0; i < i1; i++)
        for (size_t r = 0; r < q->oh; r++)
            for (size_t p = 0; p < q->ow; p++, to += n) {
                const ptrdiff_t y = y0 + (ptrdiff_t)(r * q->sh), x = x0 + (ptrdiff_t)(p * q->sw);
                if (y < 0 || x < 0 || (size_t)y >= q->h || (size_t)x >= q->w)
                    memset(to, 0, n * sizeof(float));
                else
                    memcpy(to, d->x + ((i * q->h + (size_t)y) * q->w + (size_t)x) * q->c + c0,
                           n * sizeof(float));
            }
}

static size_t together_items(const struct am_conv_geo *q)
{
    return q->kh * q->kw * ((q->c + TOGETHER_CHANNELS - 1) / TOGETHER_CHANNELS);
}

/* A job is some taps' channels: rows of the gradient that are its own. */
static void together_jobs(void *ctx, size_t begin, size_t end)
{
    const struct dw *d = ctx;
    const struct am_conv_geo *q = &d->q;
    const size_t items = together_items(q), pixels = q->oh * q->ow;
    for (size_t job = begin; job < end; job++)
        for (size_t k = job * items / d->n_splits; k < (job + 1) * items / d->n_splits; k++) {
            const size_t tap = k % (q->kh * q->kw), c0 = k / (q->kh * q->kw) * TOGETHER_CHANNELS;
            const size_t n = q->c - c0 < TOGETHER_CHANNELS ? q->c - c0 : TOGETHER_CHANNELS;
            float *slot = d->slots + job * d->slot;
            for (size_t i = 0, j; i < d->batch; i = j) {
                j = d->batch - i < d->together ? d->batch : i + d->together;
                gather_tap(d, tap, c0, n, i, j, slot);
                const struct am_conv_dw w = {.x = slot,
                                             .x_col = n,
                                             .dy = d->dy + i * pixels * q->n,
                                             .dy_col = q->n,
                                             .rows = 1,
                                             .width = (j - i) * pixels,
                                             .m = n,
                                             .n = q->n,
                                             .out = d->out + (tap * q->c + c0) * q->n,
                                             .out_row = q->n,
                                             .first = i == 0};
                d->conv->dw(&w);
            }
        }
}

/* A job is a partial sum and a range of filters. */
static void dw_jobs(void *ctx, size_t begin, size_t end)
{
    const struct dw *d = ctx;
    const size_t units = d->batch * d->v.bands, per = (d->q.n + d->n_splits - 1) / d->n_splits;
    const size_t wide = (per + SPLIT_COLUMNS - 1) / SPLIT_COLUMNS * SPLIT_COLUMNS;
    for (size_t job = begin; job < end; job++) {
        const size_t part = job / d->n_splits, j0 = job % d->n_splits * wide;
        const size_t n = j0 >= d->q.n ? 0 : d->q.n - j0 < wide ? d->q.n - j0 : wide;
        float *out = part == 0 ? d->out : d->parts + (part - 1) * d->weight;
        const size_t u0 = part * units / d->n_parts, u1 = (part + 1) * units / d->n_parts;
        for (size_t u = u0; u < u1 && n > 0; u++)
            dw_unit(d, u, d->slots + job * d->slot, out, u == u0, j0, n);
    }
}

static enum am_rc dw_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *dy = am_in_dims(g, n, 1);
    const int64_t *i = n->attr.i;
    (void)err;
    n->dims = am_dims2(i[0] * i[1] * (x->d[x->rank - 1] / i[10]), dy->d[dy->rank - 1]);
    return AM_OK;
}

static struct am_conv_geo dw_geo(const struct am_graph *g, const struct am_gnode *n)
{
    return am_conv_geo(&n->attr, am_dims_cols(am_in_dims(g, n, 0)),
                       am_dims_cols(am_in_dims(g, n, 1)));
}

static size_t offset_floats(const struct am_conv_geo *q)
{
    return (q->kh * q->kw * sizeof(size_t) / sizeof(float) + 15) / 16 * 16;
}

static size_t dw_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_conv_geo q = dw_geo(g, n);
    const struct am_conv_window v = am_conv_window_of(&q, rows);
    const size_t parts = together_of(&q) > 0 ? 1 : n_parts_of(&q, PARTS);
    return offset_floats(&q) + PARTS * slot_floats(&q, &v) + (parts - 1) * am_dims_count(&n->dims);
}

static void dw_run(const struct am_run *r, const struct am_step *s)
{
    struct dw d = {.q = am_conv_geo(&s->attr, s->in[0].cols, s->in[1].cols),
                   .conv = am_conv_kernels_beside(r->kern),
                   .x = am_arg_ptr(r, &s->in[0]),
                   .dy = am_arg_ptr(r, &s->in[1]),
                   .out = am_arg_ptr(r, &s->out),
                   .weight = am_arg_count(r, &s->out),
                   .batch = r->n_rows};
    const struct am_conv_geo *q = &d.q;
    float *scratch = am_scratch(r, s);
    if (d.batch == 0) {
        memset(d.out, 0, d.weight * sizeof(float));
        return;
    }
    d.v = am_conv_window_of(q, d.batch);
    d.together = together_of(q);
    d.n_parts = d.together > 0 ? 1 : n_parts_of(q, d.batch * d.v.bands);
    d.n_splits = q->groups > 1 ? 1 : PARTS / d.n_parts;
    d.slot = slot_floats(q, &d.v);
    d.gather = gathered(q);
    d.slots = scratch + offset_floats(q);
    d.parts = d.slots + PARTS * d.slot;
    if (am_conv_is_depthwise(q)) {
        d.offsets = (size_t *)(void *)scratch;
        for (size_t t = 0; t < q->kh * q->kw; t++)
            d.offsets[t] = (t / q->kw * q->dh * d.v.cols + t % q->kw * q->dw) * q->c;
    }
    const double flops = 2.0 * (double)(d.batch * q->oh * q->ow) * (double)d.weight;
    am_pool_for(flops < PARALLEL_FLOPS ? NULL : r->pool, d.n_parts * d.n_splits, 1,
                d.together > 0 ? together_jobs : dw_jobs, &d);
    for (size_t p = 1; p < d.n_parts; p++)
        r->kern->add(d.out, d.parts + (p - 1) * d.weight, d.out, d.weight);
}

static double dw_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(am_in_dims(g, n, 1)) * (double)n->dims.d[0];
}

const struct am_op am_op_conv_dx = {.name = "conv_dx",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .infer = dx_infer,
                                    .run = dx_run,
                                    .flops = dx_flops,
                                    .scratch = dx_scratch};
const struct am_op am_op_conv_dw = {.name = "conv_dw",
                                    .min_in = 2,
                                    .max_in = 2,
                                    .infer = dw_infer,
                                    .run = dw_run,
                                    .flops = dw_flops,
                                    .scratch = dw_scratch};
