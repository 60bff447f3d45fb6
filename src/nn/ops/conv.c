/* conv: y = act(x * W + b), and conv_transposed, its gradient by the input as a layer.
 *
 * No column buffer: kernels read patches from the image (tensor/conv.h). Images, or bands of rows
 * of them, are shared out; where the kernel reaches over the edge, a band is first copied with
 * zeros around. The gradient of a strided convolution is one pass for each place modulo the stride,
 * each an unstrided convolution by some of the taps. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "nn/ops/conv_int.h"
#include "nn/ops/winograd.h"

#define BAND_FLOATS 45056    /* of a padded band: 176 KiB */
#define CACHE_FLOATS 300000  /* of a weight: 1.2 MB of the second cache */
#define FAR_FLOATS 131072    /* a weight of more is fetched ahead */
#define MIN_UNITS 8          /* wanted, so that there is work to share out */
#define PARALLEL_FLOPS 1.2e7 /* as in linear.c */
#define PACK_ROUND 64        /* any table's panel divides 64 */

/* ---- geometry ---- */

static size_t out_size(int64_t in, const int64_t *i, unsigned axis)
{
    const int64_t room = in + i[4 + axis] + i[6 + axis] - i[8 + axis] * (i[axis] - 1) - 1;
    return room < 0 ? 0 : (size_t)(room / i[2 + axis] + 1);
}

struct am_conv_geo am_conv_geo(const struct am_attr *a, size_t c, size_t n)
{
    const int64_t *i = a->i;
    return (struct am_conv_geo){.h = (size_t)i[11],
                                .w = (size_t)i[12],
                                .c = c,
                                .oh = out_size(i[11], i, 0),
                                .ow = out_size(i[12], i, 1),
                                .n = n,
                                .kh = (size_t)i[0],
                                .kw = (size_t)i[1],
                                .sh = (size_t)i[2],
                                .sw = (size_t)i[3],
                                .top = (size_t)i[4],
                                .left = (size_t)i[5],
                                .dh = (size_t)i[8],
                                .dw = (size_t)i[9],
                                .groups = (size_t)i[10]};
}

struct am_conv_window am_conv_window_of(const struct am_conv_geo *q, size_t batch)
{
    struct am_conv_window v = {.y = -(ptrdiff_t)q->top,
                               .x = -(ptrdiff_t)q->left,
                               .tall = q->dh * (q->kh - 1) + 1,
                               .wide = q->dw * (q->kw - 1) + 1,
                               .step_y = q->sh,
                               .step_x = q->sw};
    am_conv_window_size(&v, q->h, q->w, q->c, q->oh, q->ow, batch);
    return v;
}

void am_conv_window_size(struct am_conv_window *v, size_t src_h, size_t src_w, size_t src_c,
                         size_t oh, size_t ow, size_t batch)
{
    v->cols = (ow - 1) * v->step_x + v->wide;
    const bool inside = v->y >= 0 && v->x >= 0 && (size_t)v->x + v->cols <= src_w &&
                        (size_t)v->y + (oh - 1) * v->step_y + v->tall <= src_h;
    const size_t rows = BAND_FLOATS / (v->cols * src_c);
    v->band = rows > v->tall ? (rows - v->tall) / v->step_y + 1 : 1;
    v->band = v->band < oh ? v->band : oh;
    if (batch < MIN_UNITS) { /* at least a few rows each: edges are read twice */
        const size_t per = (oh * (batch ? batch : 1) + MIN_UNITS - 1) / MIN_UNITS;
        const size_t least = per > 2 ? per : 2;
        v->band = v->band < least ? v->band : least;
    }
    v->bands = (oh + v->band - 1) / v->band;
    v->floats = inside ? 0 : ((v->band - 1) * v->step_y + v->tall) * v->cols * src_c;
    if (inside)
        v->cols = src_w;
}

/* A band fills BAND_FLOATS, or is as tall as the kernel where that is more, or is all there is. */
size_t am_conv_slots(const struct am_conv_window *v, size_t src_c, size_t oh)
{
    const size_t row = v->cols * src_c, all = ((oh - 1) * v->step_y + v->tall) * row;
    const size_t tall = v->tall * row > BAND_FLOATS ? v->tall * row : BAND_FLOATS;
    return v->floats == 0 ? 0 : AM_CONV_SLOTS * (((tall < all ? tall : all) + 15) / 16 * 16);
}

void am_conv_band(const struct am_conv_window *v, const float *image, size_t h, size_t w, size_t c,
                  size_t row0, size_t n, float *to)
{
    const size_t rows = (n - 1) * v->step_y + v->tall;
    const ptrdiff_t first = (ptrdiff_t)(row0 * v->step_y) + v->y;
    const size_t before = v->x < 0 ? (size_t)-v->x : 0, skip = v->x > 0 ? (size_t)v->x : 0;
    const size_t have = skip < w ? w - skip : 0, room = v->cols > before ? v->cols - before : 0;
    const size_t middle = have < room ? have : room;
    const size_t lead = before < v->cols ? before : v->cols;
    for (size_t i = 0; i < rows; i++, to += v->cols * c) {
        const ptrdiff_t y = first + (ptrdiff_t)i;
        if (y < 0 || (size_t)y >= h) {
            memset(to, 0, v->cols * c * sizeof(float));
            continue;
        }
        memset(to, 0, lead * c * sizeof(float));
        memcpy(to + lead * c, image + ((size_t)y * w + skip) * c, middle * c * sizeof(float));
        memset(to + (lead + middle) * c, 0, (v->cols - lead - middle) * c * sizeof(float));
    }
}

/* ---- a pass: every output pixel of a batch by a list of taps ---- */

struct tap {
    ptrdiff_t y, x; /* from a pixel's place in the source */
    size_t w;       /* the tap's number in the weight */
};

struct pass {
    const struct am_kernels *kern;
    const struct am_conv_kernels *conv;
    const float *src;
    size_t h, w, c; /* of a source image */
    float *dst;
    size_t oh, ow, n;           /* output pixels of this pass, channels */
    size_t image, y_row, y_col; /* floats between output images, rows, columns */
    size_t batch, groups, k;    /* k = floats of a patch in one group */
    struct am_conv_window v;
    const struct am_conv_piece *pieces; /* or, depthwise, of each tap: */
    size_t n_pieces;
    const size_t *offsets, *w_rows;
    const float *b; /* packed, groups one behind another; depthwise: the weight */
    size_t b_group;
    const float *bias;
    enum am_act act;
    float alpha;
    float *slots;
    size_t n_slots;
    size_t wide; /* filters of a unit of work */
};

/* Filters of a unit of work: a weight [k, n] that does not stay in the cache is read once for all
 * images, range by range. */
static size_t unit_filters(size_t k, size_t n, size_t groups)
{
    const size_t fit = CACHE_FLOATS / k / PACK_ROUND * PACK_ROUND, wide = fit ? fit : PACK_ROUND;
    return groups > 1 || wide > n ? n : wide;
}

static size_t ranges(size_t n, size_t wide)
{
    return (n + wide - 1) / wide;
}

/* Filters j0..j0+n of some rows. */
static void pass_rows(const struct pass *p, const float *x, size_t x_row, float *y, size_t rows,
                      size_t j0, size_t n)
{
    if (p->offsets) {
        const struct am_depthwise d = {.x = x,
                                       .x_row = x_row,
                                       .x_col = p->v.step_x * p->c,
                                       .offsets = p->offsets,
                                       .w_rows = p->w_rows,
                                       .n_taps = p->n_pieces,
                                       .w = p->b,
                                       .n = p->n,
                                       .width = p->ow,
                                       .y = y,
                                       .y_row = p->y_row,
                                       .y_col = p->y_col,
                                       .bias = p->bias,
                                       .act = p->act,
                                       .alpha = p->alpha};
        p->conv->depthwise(&d, 0, rows);
        return;
    }
    const size_t cg = p->c / p->groups, ng = p->groups > 1 ? p->n / p->groups : n;
    for (size_t g = 0; g < p->groups; g++) {
        const struct am_conv c = {.x = x + g * cg,
                                  .x_row = x_row,
                                  .x_col = p->v.step_x * p->c,
                                  .pieces = p->pieces,
                                  .n_pieces = p->n_pieces,
                                  .k = p->k,
                                  .b = p->b + g * p->b_group + j0 * p->k,
                                  .far = p->k * p->n > FAR_FLOATS,
                                  .n = ng,
                                  .width = p->ow,
                                  .y = y + g * ng + j0,
                                  .y_row = p->y_row,
                                  .y_col = p->y_col,
                                  .bias = p->bias ? p->bias + g * ng + j0 : NULL,
                                  .act = p->act,
                                  .alpha = p->alpha};
        p->conv->conv(&c, 0, rows);
    }
}

static void pass_units(void *ctx, size_t begin, size_t end)
{
    const struct pass *p = ctx;
    const struct am_conv_window *v = &p->v;
    const size_t bands = p->batch * v->bands, units = bands * ranges(p->n, p->wide);
    const size_t x_row = v->step_y * v->cols * p->c;
    for (size_t s = begin; s < end; s++)
        for (size_t u = s * units / p->n_slots; u < (s + 1) * units / p->n_slots; u++) {
            const size_t i = u % bands / v->bands, row0 = u % v->bands * v->band;
            const size_t j0 = u / bands * p->wide, n = p->n - j0 < p->wide ? p->n - j0 : p->wide;
            const size_t rows = p->oh - row0 < v->band ? p->oh - row0 : v->band;
            const float *image = p->src + i * p->h * p->w * p->c;
            float *y = p->dst + i * p->image + row0 * p->y_row;
            if (v->floats == 0) {
                const size_t at = (size_t)v->y + row0 * v->step_y;
                pass_rows(p, image + (at * p->w + (size_t)v->x) * p->c, x_row, y, rows, j0, n);
                continue;
            }
            float *slot = p->slots + s * ((v->floats + 15) / 16 * 16);
            am_conv_band(v, image, p->h, p->w, p->c, row0, rows, slot);
            pass_rows(p, slot, x_row, y, rows, j0, n);
        }
}

/* Runs of the taps in the source, joined where one ends at the next and cut at the kernels' limit.
 */
static size_t make_pieces(const struct pass *p, const struct tap *taps, size_t n, size_t run,
                          struct am_conv_piece *out)
{
    size_t n_out = 0;
    for (size_t t = 0; t < n;) {
        const size_t at =
            ((size_t)(taps[t].y - p->v.y) * p->v.cols + (size_t)(taps[t].x - p->v.x)) * p->c;
        size_t len = run;
        for (t++;
             t < n && run == p->c && taps[t].y == taps[t - 1].y && taps[t].x == taps[t - 1].x + 1;
             t++)
            len += run;
        for (size_t done = 0; done < len;) {
            const size_t left = len - done, cuts = 1 + (left - 1) / AM_CONV_PIECE_MAX;
            const size_t one = (left + cuts - 1) / cuts;
            out[n_out++] = (struct am_conv_piece){at + done, one};
            done += one;
        }
    }
    return n_out;
}

/* Bytes of the lists of a pass: the taps, then pieces or a depthwise pass's offsets and rows. */
static size_t list_floats(size_t n_taps, size_t run)
{
    const size_t pieces = n_taps * ((run + AM_CONV_PIECE_MAX - 1) / AM_CONV_PIECE_MAX);
    const size_t bytes = n_taps * sizeof(struct tap) + pieces * sizeof(struct am_conv_piece);
    return (bytes / sizeof(float) + 31) / 16 * 16;
}

/* All images by taps[n_taps], with room for the lists behind the taps. */
static void run_pass(const struct am_run *r, struct pass *p, const struct tap *taps, size_t n_taps,
                     bool depthwise, void *lists)
{
    if (depthwise) {
        size_t *offsets = lists, *rows = offsets + n_taps;
        for (size_t t = 0; t < n_taps; t++) {
            offsets[t] =
                ((size_t)(taps[t].y - p->v.y) * p->v.cols + (size_t)(taps[t].x - p->v.x)) * p->c;
            rows[t] = taps[t].w;
        }
        p->offsets = offsets;
        p->w_rows = rows;
        p->n_pieces = n_taps;
    } else {
        p->pieces = lists;
        p->n_pieces = make_pieces(p, taps, n_taps, p->c / p->groups, lists);
        p->k = n_taps * (p->c / p->groups);
    }
    p->kern = r->kern;
    p->conv = am_conv_kernels_beside(r->kern);
    const size_t units = p->batch * p->v.bands * ranges(p->n, p->wide);
    p->n_slots = units < AM_CONV_SLOTS ? units : AM_CONV_SLOTS;
    const double flops = 2.0 * (double)p->batch * (double)(p->oh * p->ow * p->n) *
                         (double)(n_taps * (depthwise ? 1 : p->c / p->groups));
    am_pool_for(flops < PARALLEL_FLOPS ? NULL : r->pool, p->n_slots, 1, pass_units, p);
}

/* ---- conv ---- */

static enum am_rc check_attr(const struct am_graph *g, const struct am_gnode *n, struct am_err *err)
{
    const int64_t *i = n->attr.i;
    for (unsigned k = 0; k < 2; k++)
        if (i[k] < 1 || i[k] > AM_CONV_TAPS_MAX || i[2 + k] < 1 || i[2 + k] > AM_CONV_TAPS_MAX ||
            i[4 + k] < 0 || i[4 + k] > AM_CONV_TAPS_MAX || i[6 + k] < 0 ||
            i[6 + k] > AM_CONV_TAPS_MAX || i[8 + k] < 1 || i[8 + k] > AM_CONV_TAPS_MAX)
            return am_op_fail(g, n, err,
                              "kernel, stride and dilation must be 1 to 4096, padding 0 to 4096");
    if (i[0] * i[1] > AM_CONV_TAPS_MAX)
        return am_op_fail(g, n, err, "the kernel has more than 4096 places");
    if (i[10] < 1)
        return am_op_fail(g, n, err, "there must be at least one group");
    if (n->attr.act > AM_ACT_TANH)
        return am_op_fail(g, n, err, "this activation cannot be part of a convolution");
    return AM_OK;
}

/* x [B,H,W,C] or [B,T,C]; sets attr.i[11], [12] from it. */
static enum am_rc take_size(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *x = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    if ((x->rank != 3 && x->rank != 4) || !am_dims_batched(x))
        return am_op_fail(g, n, err, "a convolution needs [B,H,W,C] or [B,T,C]");
    if (w->rank != 2 || am_dims_batched(w))
        return am_op_fail(g, n, err, "the weight must be a matrix");
    n->attr.i[11] = x->rank == 4 ? x->d[1] : 1;
    n->attr.i[12] = x->d[x->rank - 2];
    return check_attr(g, n, err);
}

static enum am_rc check_bias(const struct am_graph *g, const struct am_gnode *n, int64_t channels,
                             struct am_err *err)
{
    if (!am_in_given(n, 2))
        return AM_OK;
    const struct am_dims *b = am_in_dims(g, n, 2);
    if (b->rank != 1 || b->d[0] != channels)
        return am_op_fail(g, n, err, "the bias must have one element for each output channel");
    return AM_OK;
}

static enum am_rc conv_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(take_size(g, n, err));
    const struct am_dims *x = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    const int64_t *i = n->attr.i, c = x->d[x->rank - 1], filters = w->d[1];
    if (c % i[10] != 0 || filters % i[10] != 0)
        return am_op_fail(g, n, err, "the groups must divide the channels and the filters");
    if (w->d[0] != i[0] * i[1] * (c / i[10]))
        return am_op_fail(g, n, err,
                          "the weight must have kernel height * width * channels / groups rows");
    const size_t oh = out_size(i[11], i, 0), ow = out_size(i[12], i, 1);
    if (oh == 0 || ow == 0)
        return am_op_fail(g, n, err, "the kernel is larger than the padded input");
    AM_TRY(check_bias(g, n, filters, err));
    n->dims = *x;
    if (x->rank == 4)
        n->dims.d[1] = (int64_t)oh;
    n->dims.d[x->rank - 2] = (int64_t)ow;
    n->dims.d[x->rank - 1] = filters;
    return am_dims_check(&n->dims, "convolution", err);
}

static struct am_conv_geo geo_of(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    return am_conv_geo(&n->attr, am_dims_cols(x), am_dims_cols(&n->dims));
}

/* A pixel is a row of a matrix product. */
static bool is_matrix(const struct am_conv_geo *q)
{
    return q->kh * q->kw == 1 && q->sh * q->sw == 1 && q->groups == 1 && q->oh == q->h &&
           q->ow == q->w;
}

static size_t packed_floats(size_t k, size_t n, size_t groups)
{
    return groups * ((n + PACK_ROUND - 1) / PACK_ROUND * PACK_ROUND) * k;
}

/* The groups' matrices, one behind another. */
static void pack_groups(const struct am_kernels *kern, const struct am_conv_geo *q, const float *w,
                        float *out)
{
    const size_t k = q->kh * q->kw * (q->c / q->groups), ng = q->n / q->groups;
    for (size_t g = 0; g < q->groups; g++)
        am_pack(kern, w + g * ng, q->n, k, ng, out + g * am_pack_floats(kern, k, ng));
}

static size_t conv_lists(const struct am_conv_geo *q)
{
    return list_floats(q->kh * q->kw, q->c / q->groups);
}

static size_t conv_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_conv_geo q = geo_of(g, n);
    const struct am_conv_window v = am_conv_window_of(&q, rows);
    const size_t k = q.kh * q.kw * (q.c / q.groups);
    const size_t direct =
        conv_lists(&q) + packed_floats(k, q.n / q.groups, q.groups) + am_conv_slots(&v, q.c, q.oh);
    const size_t nine =
        !am_winograd_suits(&q) ? 0 : am_winograd_floats_most(&q) + am_winograd_scratch(&q, rows);
    return direct > nine ? direct : nine;
}

static size_t conv_prepared_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows,
                                    const struct am_kernels *k)
{
    const struct am_conv_geo q = geo_of(g, n);
    const struct am_conv_window v = am_conv_window_of(&q, rows);
    return am_winograd_fits(k, &q) ? am_winograd_scratch(&q, rows)
                                   : conv_lists(&q) + am_conv_slots(&v, q.c, q.oh);
}

static void conv_matrix(const struct am_run *r, const struct pass *p)
{
    const struct am_gemm g = {.m = p->batch * p->oh * p->ow,
                              .n = p->n,
                              .k = p->c,
                              .a = p->src,
                              .a_row = p->c,
                              .a_col = 1,
                              .b = p->b,
                              .c = p->dst,
                              .c_row = p->n,
                              .bias = p->bias,
                              .act = p->act,
                              .alpha = p->alpha};
    am_run_gemm(r, &g);
}

/* Floats of a prepared weight. */
static size_t weight_floats(const struct am_kernels *k, const struct am_conv_geo *q)
{
    const size_t rows = q->kh * q->kw * (q->c / q->groups);
    if (am_conv_is_depthwise(q))
        return rows * q->n;
    return am_winograd_fits(k, q) ? am_winograd_floats(k, q)
                                  : q->groups * am_pack_floats(k, rows, q->n / q->groups);
}

static void conv_run(const struct am_run *r, const struct am_step *s)
{
    const struct am_conv_geo q = am_conv_geo(&s->attr, s->in[0].cols, s->out.cols);
    const size_t k = q.kh * q.kw * (q.c / q.groups), ng = q.n / q.groups;
    float *scratch = am_scratch(r, s), *packed = scratch + conv_lists(&q);
    const float *w = am_arg_ptr(r, &s->in[1]);
    const size_t wide = unit_filters(k, q.n, q.groups);
    const bool depthwise = am_conv_is_depthwise(&q), folded = s->n_in > 3;
    struct pass p = {.src = am_arg_ptr(r, &s->in[0]),
                     .h = q.h,
                     .w = q.w,
                     .c = q.c,
                     .dst = am_arg_ptr(r, &s->out),
                     .oh = q.oh,
                     .ow = q.ow,
                     .n = q.n,
                     .image = q.oh * q.ow * q.n,
                     .y_row = q.ow * q.n,
                     .y_col = q.n,
                     .batch = r->n_rows,
                     .groups = q.groups,
                     .wide = wide,
                     .v = am_conv_window_of(&q, r->n_rows * ranges(q.n, wide)),
                     .b = s->prepared ? s->prepared
                          : depthwise ? w
                                      : packed,
                     .b_group = am_pack_floats(r->kern, k, ng),
                     .bias = s->n_in > 2 ? am_arg_ptr(r, &s->in[2]) : NULL,
                     .act = s->attr.act,
                     .alpha = s->attr.f[0],
                     .slots = packed + (s->prepared ? 0 : packed_floats(k, ng, q.groups))};
    if (p.batch == 0)
        return;
    if (folded && s->prepared)
        p.bias = s->prepared + weight_floats(r->kern, &q);
    if (am_winograd_fits(r->kern, &q)) {
        const struct am_winograd w9 = {.q = q,
                                       .x = p.src,
                                       .u = s->prepared ? s->prepared : scratch,
                                       .y = p.dst,
                                       .bias = p.bias,
                                       .act = p.act,
                                       .alpha = p.alpha,
                                       .batch = p.batch};
        if (!s->prepared)
            am_winograd_pack(r->kern, &q, w, false, scratch);
        am_winograd_run(r, &w9, s->prepared ? scratch : scratch + am_winograd_floats_most(&q));
        return;
    }
    if (!s->prepared && !depthwise)
        pack_groups(r->kern, &q, w, packed);
    if (is_matrix(&q)) {
        conv_matrix(r, &p);
        return;
    }
    struct tap *taps = (struct tap *)(void *)scratch;
    for (size_t t = 0; t < q.kh * q.kw; t++)
        taps[t] = (struct tap){(ptrdiff_t)(t / q.kw * q.dh) - (ptrdiff_t)q.top,
                               (ptrdiff_t)(t % q.kw * q.dw) - (ptrdiff_t)q.left, t};
    run_pass(r, &p, taps, q.kh * q.kw, depthwise, taps + q.kh * q.kw);
}

static double conv_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(&n->dims) * (double)am_in_dims(g, n, 1)->d[0];
}

/* Packed weights, then the bias of a folded batch norm. */
static size_t conv_prepared(const struct am_graph *g, const struct am_gnode *n,
                            const struct am_kernels *k)
{
    const struct am_conv_geo q = geo_of(g, n);
    if (am_graph_node(g, n->in[1])->op != &am_op_param)
        return 0;
    return weight_floats(k, &q) + q.n;
}

static void scale_column(float *at, size_t step, size_t rows, double factor)
{
    for (size_t t = 0; t < rows; t++)
        at[t * step] = (float)((double)at[t * step] * factor);
}

/* Batch norm after the convolution: its factor goes into the weight, its shift into the bias. The
 * step's inputs 3..6 are the norm's weight, bias, mean and variance, attr.f[1] its eps. */
static void fold_norm(const struct am_kernels *kern, const struct am_conv_geo *q,
                      const struct am_step *s, const float *params, float *packed, float *bias)
{
    const bool winograd = am_winograd_fits(kern, q);
    const size_t rows = winograd ? q->c : q->kh * q->kw * (q->c / q->groups);
    const size_t ng = q->n / q->groups, matrix = am_pack_floats(kern, rows, ng);
    for (size_t j = 0; j < q->n; j++) {
        const double var = (double)params[s->in[6].offset + j];
        const double f = (double)params[s->in[3].offset + j] / sqrt(var + (double)s->attr.f[1]);
        const double b =
            s->in[2].space == AM_IN_NOTHING ? 0.0 : (double)params[s->in[2].offset + j];
        const double mean = (double)params[s->in[5].offset + j];
        bias[j] = (float)((double)params[s->in[4].offset + j] + (b - mean) * f);
        if (am_conv_is_depthwise(q))
            scale_column(packed + j, q->n, rows, f);
        else /* a column of each of Winograd's matrices, or of its group's */
            for (size_t m = 0; m < (winograd ? AM_WINOGRAD_TERMS : 1); m++)
                scale_column(packed + (j / ng + m) * matrix +
                                 j % ng / kern->panel * (rows * kern->panel) + j % ng % kern->panel,
                             kern->panel, rows, f);
    }
}

static void conv_prepare(const struct am_kernels *k, const struct am_step *s, const float *params,
                         float *out)
{
    const struct am_conv_geo q = am_conv_geo(&s->attr, s->in[0].cols, s->out.cols);
    const float *w = params + s->in[1].offset;
    if (am_conv_is_depthwise(&q))
        memcpy(out, w, weight_floats(k, &q) * sizeof(float));
    else if (am_winograd_fits(k, &q))
        am_winograd_pack(k, &q, w, false, out);
    else
        pack_groups(k, &q, w, out);
    if (s->n_in > 3)
        fold_norm(k, &q, s, params, out, out + weight_floats(k, &q));
}

/* ---- the way back: gradient by the input, transposed convolution ---- */

/* One place modulo the stride along an axis: which outputs it has. */
static size_t phase_size(size_t size, size_t stride, size_t at)
{
    return size > at ? (size - at + stride - 1) / stride : 0;
}

/* Taps of the phase (ry, rx), in the order of their places in dy; returns their number. */
static size_t phase_taps(const struct am_conv_geo *q, size_t ry, size_t rx, struct tap *out)
{
    size_t n = 0;
    for (size_t ky = q->kh; ky-- > 0;) {
        const ptrdiff_t y = (ptrdiff_t)(ry + q->top) - (ptrdiff_t)(ky * q->dh);
        if (y % (ptrdiff_t)q->sh != 0)
            continue;
        for (size_t kx = q->kw; kx-- > 0;) {
            const ptrdiff_t x = (ptrdiff_t)(rx + q->left) - (ptrdiff_t)(kx * q->dw);
            if (x % (ptrdiff_t)q->sw == 0)
                out[n++] =
                    (struct tap){y / (ptrdiff_t)q->sh, x / (ptrdiff_t)q->sw, ky * q->kw + kx};
        }
    }
    return n;
}

static struct am_conv_window phase_window(const struct am_conv_geo *q, const struct tap *taps,
                                          size_t n, size_t oh, size_t ow, size_t batch)
{
    ptrdiff_t y1 = taps[0].y, x1 = taps[0].x;
    struct am_conv_window v = {.y = y1, .x = x1, .step_y = 1, .step_x = 1};
    for (size_t t = 1; t < n; t++) {
        v.y = taps[t].y < v.y ? taps[t].y : v.y;
        v.x = taps[t].x < v.x ? taps[t].x : v.x;
        y1 = taps[t].y > y1 ? taps[t].y : y1;
        x1 = taps[t].x > x1 ? taps[t].x : x1;
    }
    v.tall = (size_t)(y1 - v.y) + 1;
    v.wide = (size_t)(x1 - v.x) + 1;
    am_conv_window_size(&v, q->oh, q->ow, q->n, oh, ow, batch);
    return v;
}

/* The phase's weights: a group's matrix is [taps * channels of dy, channels of dx], panel by panel.
 */
static void phase_pack(const struct am_kernels *kern, const struct am_conv_geo *q, const float *w,
                       const struct tap *taps, size_t n_taps, float *out)
{
    const size_t cg = q->c / q->groups, ng = q->n / q->groups, k = n_taps * ng, wide = kern->panel;
    for (size_t g = 0; g < q->groups; g++, out += am_pack_floats(kern, k, cg))
        for (size_t j = 0; j < cg; j += wide)
            for (size_t t = 0; t < n_taps; t++)
                am_pack_transposed(kern, w + (taps[t].w * cg + j) * q->n + g * ng, q->n, ng,
                                   cg - j < wide ? cg - j : wide, out + j * k + t * ng * wide);
}

/* A phase that no tap reaches: act(bias). */
static void fill_phase(const struct am_run *r, const struct am_conv_back *b, float *dst, size_t oh,
                       size_t ow)
{
    const struct am_conv_geo *q = &b->q;
    for (size_t i = 0; i < b->batch; i++)
        for (size_t y = 0; y < oh; y++)
            for (size_t x = 0; x < ow; x++) {
                float *to = dst + ((i * q->h + y * q->sh) * q->w + x * q->sw) * q->c;
                for (size_t j = 0; j < q->c; j++)
                    to[j] = b->bias ? b->bias[j] : 0.0f;
                r->kern->act(b->act, b->alpha, to, to, q->c);
            }
}

static size_t back_lists(const struct am_conv_geo *q)
{
    return list_floats(q->kh * q->kw, q->n / q->groups);
}

static void back_phase(const struct am_run *r, const struct am_conv_back *b, size_t ry, size_t rx,
                       float *scratch)
{
    const struct am_conv_geo *q = &b->q;
    const size_t oh = phase_size(q->h, q->sh, ry), ow = phase_size(q->w, q->sw, rx);
    const size_t cg = q->c / q->groups, ng = q->n / q->groups;
    const bool depthwise = am_conv_is_depthwise(q);
    struct tap *taps = (struct tap *)(void *)scratch;
    const size_t n = phase_taps(q, ry, rx, taps);
    const size_t group = am_pack_floats(r->kern, n * ng, cg);
    const size_t wide = n ? unit_filters(n * ng, q->c, q->groups) : 0;
    float *dst = b->dx + (ry * q->w + rx) * q->c, *own = scratch + back_lists(q);
    if (oh == 0 || ow == 0)
        return;
    if (n == 0) {
        fill_phase(r, b, dst, oh, ow);
        return;
    }
    if (!depthwise)
        phase_pack(r->kern, q, b->w, taps, n, own);
    struct pass p = {.src = b->dy,
                     .h = q->oh,
                     .w = q->ow,
                     .c = q->n,
                     .dst = dst,
                     .oh = oh,
                     .ow = ow,
                     .n = q->c,
                     .image = q->h * q->w * q->c,
                     .y_row = q->sh * q->w * q->c,
                     .y_col = q->sw * q->c,
                     .batch = b->batch,
                     .groups = q->groups,
                     .wide = wide,
                     .v = phase_window(q, taps, n, oh, ow, b->batch * ranges(q->c, wide)),
                     .b = depthwise ? b->w : own,
                     .b_group = group,
                     .bias = b->bias,
                     .act = b->act,
                     .alpha = b->alpha,
                     .slots = own + packed_floats(q->kh * q->kw * ng, cg, q->groups)};
    run_pass(r, &p, taps, n, depthwise, taps + n);
}

void am_conv_back_run(const struct am_run *r, const struct am_conv_back *b, float *scratch)
{
    for (size_t ry = 0; ry < b->q.sh && b->batch > 0; ry++)
        for (size_t rx = 0; rx < b->q.sw; rx++)
            back_phase(r, b, ry, rx, scratch);
}

/* Padded bands of dy: those of the phases are no taller or wider than the whole kernel's. */
size_t am_conv_back_scratch(const struct am_conv_geo *q)
{
    struct am_conv_window v = {.y = -1,
                               .x = -1,
                               .tall = q->dh * (q->kh - 1) / q->sh + 2,
                               .wide = q->dw * (q->kw - 1) / q->sw + 2,
                               .step_y = 1,
                               .step_x = 1,
                               .floats = 1};
    v.cols = phase_size(q->w, q->sw, 0) - 1 + v.wide;
    const size_t cg = q->c / q->groups, ng = q->n / q->groups;
    return back_lists(q) + packed_floats(q->kh * q->kw * ng, cg, q->groups) +
           am_conv_slots(&v, q->n, phase_size(q->h, q->sh, 0));
}

static struct am_conv_geo back_geo(const struct am_graph *g, const struct am_gnode *n)
{
    const struct am_dims *x = am_in_dims(g, n, 0);
    return am_conv_geo(&n->attr, am_dims_cols(&n->dims), am_dims_cols(x));
}

static enum am_rc transposed_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(take_size(g, n, err));
    const struct am_dims *x = am_in_dims(g, n, 0), *w = am_in_dims(g, n, 1);
    int64_t *i = n->attr.i, c = x->d[x->rank - 1];
    const int64_t taps = i[0] * i[1];
    if (w->d[1] != c || w->d[0] % taps != 0)
        return am_op_fail(g, n, err,
                          "the weight must have kernel height * width * filters / groups rows and "
                          "a column for each channel of x");
    const int64_t filters = w->d[0] / taps * i[10];
    if (c % i[10] != 0)
        return am_op_fail(g, n, err, "the groups must divide the channels and the filters");
    for (unsigned k = 0; k < 2; k++) {
        if (i[13 + k] < 0 || i[13 + k] >= i[2 + k])
            return am_op_fail(g, n, err, "output padding must be below the stride");
        i[11 + k] = (i[11 + k] - 1) * i[2 + k] - i[4 + k] - i[6 + k] + i[8 + k] * (i[k] - 1) + 1 +
                    i[13 + k];
        if (i[11 + k] < 1)
            return am_op_fail(g, n, err, "padding takes the whole output");
    }
    if (x->rank == 3 && i[11] != 1)
        return am_op_fail(g, n, err, "a sequence stays of height 1");
    AM_TRY(check_bias(g, n, filters, err));
    n->dims = *x;
    if (x->rank == 4)
        n->dims.d[1] = i[11];
    n->dims.d[x->rank - 2] = i[12];
    n->dims.d[x->rank - 1] = filters;
    return am_dims_check(&n->dims, "transposed convolution", err);
}

static size_t transposed_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const struct am_conv_geo q = back_geo(g, n);
    (void)rows;
    return am_conv_back_scratch(&q);
}

static void transposed_run(const struct am_run *r, const struct am_step *s)
{
    const struct am_conv_back b = {.q = am_conv_geo(&s->attr, s->out.cols, s->in[0].cols),
                                   .dy = am_arg_ptr(r, &s->in[0]),
                                   .w = am_arg_ptr(r, &s->in[1]),
                                   .dx = am_arg_ptr(r, &s->out),
                                   .bias = s->n_in > 2 ? am_arg_ptr(r, &s->in[2]) : NULL,
                                   .act = s->attr.act,
                                   .alpha = s->attr.f[0],
                                   .batch = r->n_rows};
    am_conv_back_run(r, &b, am_scratch(r, s));
}

static double transposed_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 2.0 * (double)am_dims_count(am_in_dims(g, n, 0)) * (double)am_in_dims(g, n, 1)->d[0];
}

#define SIZES(MAX_GROUPS)                                                                          \
    {"kernel_height", AM_ATTR_I, 0, 1, AM_CONV_TAPS_MAX},                                          \
        {"kernel_width", AM_ATTR_I, 1, 1, AM_CONV_TAPS_MAX},                                       \
        {"stride_height", AM_ATTR_I, 2, 1, AM_CONV_TAPS_MAX},                                      \
        {"stride_width", AM_ATTR_I, 3, 1, AM_CONV_TAPS_MAX},                                       \
        {"pad_top", AM_ATTR_I, 4, 0, AM_CONV_TAPS_MAX},                                            \
        {"pad_left", AM_ATTR_I, 5, 0, AM_CONV_TAPS_MAX},                                           \
        {"pad_bottom", AM_ATTR_I, 6, 0, AM_CONV_TAPS_MAX},                                         \
        {"pad_right", AM_ATTR_I, 7, 0, AM_CONV_TAPS_MAX},                                          \
        {"dilation_height", AM_ATTR_I, 8, 1, AM_CONV_TAPS_MAX},                                    \
        {"dilation_width", AM_ATTR_I, 9, 1, AM_CONV_TAPS_MAX},                                     \
    {                                                                                              \
        "groups", AM_ATTR_I, 10, 1, MAX_GROUPS                                                     \
    }
static const struct am_attr_desc conv_attrs[] = {SIZES(1 << 24), {NULL, 0, 0, 0, 0}};
static const struct am_attr_desc transposed_attrs[] = {
    SIZES(1 << 24),
    {"more_height", AM_ATTR_I, 13, 0, AM_CONV_TAPS_MAX},
    {"more_width", AM_ATTR_I, 14, 0, AM_CONV_TAPS_MAX},
    {NULL, 0, 0, 0, 0}};

const struct am_op am_op_conv = {.name = "conv",
                                 .min_in = 2,
                                 .max_in = 3,
                                 .flags = AM_OP_FUSES_ACT | AM_OP_FOLDS_NORM,
                                 .attrs = conv_attrs,
                                 .infer = conv_infer,
                                 .run = conv_run,
                                 .flops = conv_flops,
                                 .scratch = conv_scratch,
                                 .prepared_scratch = conv_prepared_scratch,
                                 .prepared = conv_prepared,
                                 .prepare = conv_prepare,
                                 .prepared_inputs = 0x7a};
const struct am_op am_op_conv_transposed = {.name = "conv_transposed",
                                            .min_in = 2,
                                            .max_in = 3,
                                            .flags = AM_OP_FUSES_ACT,
                                            .attrs = transposed_attrs,
                                            .infer = transposed_infer,
                                            .run = transposed_run,
                                            .flops = transposed_flops,
                                            .scratch = transposed_scratch};
