/* F(4x4, 3x3): tiles of a batch are numbered through; a unit of work transforms a block of tiles,
 * multiplies by the 36 matrices and transforms back. Units are blocks of tiles by ranges of
 * filters; an output element is the same chain of operations in any of them. */
#include "nn/ops/winograd.h"

#include <string.h>

#include "base/pool.h"

#define SLOT_FLOATS ((size_t)1 << 18) /* of a block's transformed tiles and products: 1 MiB */
#define SLOTS 8
#define UNITS 4                        /* wanted, so that there is work to share out */
#define TILES_MIN 64                   /* of a block: the weights are read for each */
#define MATRIX_MAX ((size_t)256 * 256) /* beyond it, reading weights costs more than it saves */
#define PANEL_MAX 64                   /* any table's panel divides it */
#define BACK_CHANNELS 8
#define PARALLEL_FLOPS 1.2e7 /* as in linear.c */

enum { OUT = AM_WINOGRAD_OUT, PIXELS = OUT * OUT, IN = AM_WINOGRAD_IN, TERMS = AM_WINOGRAD_TERMS };

bool am_winograd_suits(const struct am_conv_geo *q)
{
    return q->kh == 3 && q->kw == 3 && q->sh == 1 && q->sw == 1 && q->dh == 1 && q->dw == 1 &&
           q->groups == 1 && q->c >= 16 && q->c <= AM_CONV_PIECE_MAX && q->n >= 16 &&
           q->oh >= OUT && q->ow >= OUT && q->c * q->n <= MATRIX_MAX;
}

bool am_winograd_fits(const struct am_kernels *kern, const struct am_conv_geo *q)
{
    return am_conv_kernels_beside(kern)->winograd_in && am_winograd_suits(q);
}

bool am_winograd_back(const struct am_conv_geo *q, struct am_conv_geo *out)
{
    *out = *q;
    out->h = q->oh;
    out->w = q->ow;
    out->c = q->n;
    out->oh = q->h;
    out->ow = q->w;
    out->n = q->c;
    out->top = 2 - q->top;
    out->left = 2 - q->left;
    return q->top <= 2 && q->left <= 2 && am_winograd_suits(out);
}

size_t am_winograd_floats(const struct am_kernels *kern, const struct am_conv_geo *q)
{
    return TERMS * am_pack_floats(kern, q->c, q->n);
}

size_t am_winograd_floats_most(const struct am_conv_geo *q)
{
    return TERMS * q->c * ((q->n + PANEL_MAX - 1) / PANEL_MAX * PANEL_MAX);
}

struct pack {
    const struct am_kernels *kern;
    const struct am_conv_kernels *conv;
    const struct am_conv_geo *q;
    const float *w;
    float *out;
};

/* Channel c's filters j0.., tap by tap at w. */
static void pack_row(const struct pack *p, size_t c, size_t j0, const float *w, size_t step)
{
    const size_t panel = p->kern->panel, left = p->q->n - j0;
    const struct am_winograd_weight t = {.w = w,
                                         .step = step,
                                         .n = left < panel ? left : panel,
                                         .u = p->out + j0 * p->q->c + c * panel,
                                         .u_step = am_pack_floats(p->kern, p->q->c, p->q->n)};
    p->conv->winograd_weight(&t);
}

/* Some channels at a time, so that lines of w are read once. */
static void pack_back(const struct pack *p, size_t j0)
{
    float turned[BACK_CHANNELS][9][PANEL_MAX];
    const size_t cs = p->q->c, n = p->q->n, left = n - j0;
    const size_t wide = left < p->kern->panel ? left : p->kern->panel;
    for (size_t c = 0; c < cs; c += BACK_CHANNELS) {
        const size_t m = cs - c < BACK_CHANNELS ? cs - c : BACK_CHANNELS;
        for (size_t t = 0; t < 9; t++)
            for (size_t j = 0; j < wide; j++)
                for (size_t i = 0; i < m; i++)
                    turned[i][t][j] = p->w[((8 - t) * n + j0 + j) * cs + c + i];
        for (size_t i = 0; i < m; i++)
            pack_row(p, c + i, j0, turned[i][0], PANEL_MAX);
    }
}

void am_winograd_pack(const struct am_kernels *kern, const struct am_conv_geo *q, const float *w,
                      bool back, float *out)
{
    const struct pack p = {kern, am_conv_kernels_beside(kern), q, w, out};
    for (size_t j = 0; j < q->n; j += kern->panel)
        if (back)
            pack_back(&p, j);
        else
            for (size_t c = 0; c < q->c; c++)
                pack_row(&p, c, j, w + c * q->n + j, q->c * q->n);
}

/* ---- blocks ---- */

struct cut {
    size_t rows, cols, tiles; /* tiles of a picture */
    size_t block, blocks;     /* tiles of a unit; units of the batch */
    size_t wide, splits;      /* filters of a unit; ranges of filters */
    size_t slot, n_slots;
};

static struct cut cut_of(const struct am_conv_geo *q, size_t batch)
{
    struct cut k = {.rows = (q->oh + OUT - 1) / OUT, .cols = (q->ow + OUT - 1) / OUT};
    k.tiles = k.rows * k.cols;
    const size_t fit = SLOT_FLOATS / (TERMS * (q->c + q->n)), all = k.tiles * batch;
    k.block = fit > TILES_MIN ? fit : TILES_MIN;
    k.block = k.block < all ? k.block : all;
    k.blocks = k.block ? (all + k.block - 1) / k.block : 0;
    k.block = k.blocks ? (all + k.blocks - 1) / k.blocks : 0; /* of equal size */
    k.wide = (q->n + 63) / 64 * 64;                           /* any table's panel divides 64 */
    while (k.blocks * ((q->n + k.wide - 1) / k.wide) < UNITS && k.wide % 128 == 0)
        k.wide /= 2;
    k.splits = (q->n + k.wide - 1) / k.wide;
    k.slot = TERMS * k.block * (q->c + (k.wide < q->n ? k.wide : q->n));
    k.n_slots = k.blocks * k.splits < SLOTS ? k.blocks * k.splits : SLOTS;
    return k;
}

size_t am_winograd_scratch(const struct am_conv_geo *q, size_t rows)
{
    size_t most = 0;
    for (size_t b = 1; b <= rows; b++) { /* any batch: units grow and shrink with it */
        const struct cut k = cut_of(q, b);
        most = k.slot * k.n_slots > most ? k.slot * k.n_slots : most;
    }
    return q->c + most;
}

struct job {
    const struct am_winograd *w;
    const struct am_kernels *kern;
    const struct am_conv_kernels *conv;
    struct cut k;
    const float *zeros; /* [c] */
    float *slots;
};

static void tile_in(const struct job *j, size_t tile, float *v, size_t step)
{
    const struct am_conv_geo *q = &j->w->q;
    const size_t at = tile % j->k.tiles;
    const float *image = j->w->x + tile / j->k.tiles * (q->h * q->w * q->c);
    const ptrdiff_t y0 = (ptrdiff_t)(at / j->k.cols * OUT) - (ptrdiff_t)q->top;
    const ptrdiff_t x0 = (ptrdiff_t)(at % j->k.cols * OUT) - (ptrdiff_t)q->left;
    struct am_winograd_in t = {.c = q->c, .v = v, .step = step};
    for (ptrdiff_t i = 0; i < IN; i++)
        for (ptrdiff_t k = 0; k < IN; k++) {
            const ptrdiff_t y = y0 + i, x = x0 + k;
            const bool inside = y >= 0 && x >= 0 && (size_t)y < q->h && (size_t)x < q->w;
            t.at[i * IN + k] = inside ? image + ((size_t)y * q->w + (size_t)x) * q->c : j->zeros;
        }
    j->conv->winograd_in(&t);
}

static void tile_out(const struct job *j, size_t tile, const float *m, size_t step, size_t j0,
                     size_t n)
{
    const struct am_winograd *w = j->w;
    const struct am_conv_geo *q = &w->q;
    const size_t at = tile % j->k.tiles;
    const size_t y0 = at / j->k.cols * OUT, x0 = at % j->k.cols * OUT;
    float *image = w->y + tile / j->k.tiles * (q->oh * q->ow * q->n) + j0;
    struct am_winograd_out t = {.m = m,
                                .n = n,
                                .step = step,
                                .bias = w->bias ? w->bias + j0 : NULL,
                                .relu = w->act == AM_ACT_RELU};
    for (size_t i = 0; i < OUT; i++)
        for (size_t k = 0; k < OUT; k++)
            t.to[i * OUT + k] = y0 + i < q->oh && x0 + k < q->ow
                                    ? image + ((y0 + i) * q->ow + x0 + k) * q->n
                                    : NULL;
    j->conv->winograd_out(&t);
    for (size_t i = 0; w->act > AM_ACT_RELU && i < PIXELS; i++)
        if (t.to[i])
            j->kern->act(w->act, w->alpha, t.to[i], t.to[i], n);
}

static void do_unit(const struct job *j, size_t unit, float *slot)
{
    const struct cut *k = &j->k;
    const struct am_conv_geo *q = &j->w->q;
    const size_t t0 = unit / k->splits * k->block, j0 = unit % k->splits * k->wide;
    const size_t all = k->tiles * j->w->batch, matrix = am_pack_floats(j->kern, q->c, q->n);
    const size_t n_tiles = all - t0 < k->block ? all - t0 : k->block;
    const size_t n = q->n - j0 < k->wide ? q->n - j0 : k->wide;
    float *v = slot, *m = slot + TERMS * n_tiles * q->c;
    for (size_t t = 0; t < n_tiles; t++)
        tile_in(j, t0 + t, v + t * q->c, n_tiles * q->c);
    for (size_t t = 0; t < TERMS; t++) {
        const struct am_conv_piece row = {0, q->c};
        const struct am_conv g = {.x = v + t * n_tiles * q->c,
                                  .x_col = q->c,
                                  .pieces = &row,
                                  .n_pieces = 1,
                                  .k = q->c,
                                  .b = j->w->u + t * matrix + j0 * q->c,
                                  .far = true,
                                  .n = n,
                                  .width = n_tiles,
                                  .y = m + t * n_tiles * n,
                                  .y_col = n};
        j->conv->conv(&g, 0, 1);
    }
    for (size_t t = 0; t < n_tiles; t++)
        tile_out(j, t0 + t, m + t * n, n_tiles * n, j0, n);
}

static void do_slots(void *ctx, size_t begin, size_t end)
{
    const struct job *j = ctx;
    const size_t units = j->k.blocks * j->k.splits;
    for (size_t s = begin; s < end; s++)
        for (size_t u = s * units / j->k.n_slots; u < (s + 1) * units / j->k.n_slots; u++)
            do_unit(j, u, j->slots + s * j->k.slot);
}

void am_winograd_run(const struct am_run *r, const struct am_winograd *w, float *scratch)
{
    const struct am_conv_geo *q = &w->q;
    struct job j = {.w = w,
                    .kern = r->kern,
                    .conv = am_conv_kernels_beside(r->kern),
                    .k = cut_of(q, w->batch),
                    .zeros = scratch,
                    .slots = scratch + q->c};
    const double flops = 2.0 * TERMS * (double)(j.k.tiles * w->batch) * (double)q->c * (double)q->n;
    memset(scratch, 0, q->c * sizeof *scratch);
    am_pool_for(flops < PARALLEL_FLOPS ? NULL : r->pool, j.k.n_slots, 1, do_slots, &j);
}
