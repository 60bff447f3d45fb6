/* The body of the avx2 and avx512 convolution tables, written once over vec.h's vector width:
 * register tiles over a list of runs.
 *
 * Included by conv_avx2.c and conv_avx512.c, which define KERN_TABLE, KERN_BASE (the am_kernels
 * beside it) and KERN_ROWS (rows of the largest register tile). Pure; conv.h says what each entry
 * promises. */
#include "tensor/conv.h"
#include "tensor/vec.h"

#define PANEL (2 * VL)
#define ROWS KERN_ROWS
#define TILE_ROWS (ROWS < 4 ? 4 : ROWS)

extern const struct am_kernels KERN_BASE;

/* Neighbouring pixels are cut into tiles of nearly equal height. */
AM_INLINE size_t tile_count(size_t rows)
{
    return (rows + ROWS - 1) / ROWS;
}
AM_INLINE size_t tile_start(size_t rows, size_t q)
{
    return q * rows / tile_count(rows);
}

/* ---- convolution ---- */

struct tile {
    const float *a; /* the place of the first pixel */
    size_t a_row;   /* floats between pixels */
    const float *b; /* first column of the tile, first row of the block */
    size_t b_pair;  /* floats between pairs of vectors */
    float *c;
    size_t c_row;
    const float *bias;  /* at the tile's first column, or NULL */
    const float *ahead; /* fetched while this is worked on: a part of the next block's b */
    size_t ahead_step;  /* floats for each of the block's rows */
    vm last;            /* lanes of the last vector that exist */
    bool first_block, last_block, relu;
};

/* Adds earlier blocks, then bias and relu, and stores. */
AM_INLINE void tile_finish(const int mr, const int nv, const struct tile *t, vf acc[TILE_ROWS][4])
{
    const vm last = t->last;
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++) {
        float *c = t->c + (size_t)i * t->c_row;
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++, c += VL) {
            const vm m = v == nv - 1 ? last : vm_first(VL);
            vf x = acc[i][v];
            if (!t->first_block)
                x = vf_add(vf_load_m(c, m), x);
            if (t->last_block && t->bias)
                x = vf_add(x, vf_load_m(t->bias + v * VL, m));
            if (t->last_block && t->relu)
                x = vf_max(vf_set(0.0f), x); /* NaN stays */
            if (v == nv - 1)
                vf_store_m(c, m, x);
            else
                vf_store(c, x);
        }
    }
}

/* One tile of mr neighbouring output pixels and nv vectors of channels over the block's pieces. */
AM_INLINE void conv_tile(const int mr, const int nv, const struct tile *t,
                         const struct am_conv_piece *pieces, size_t n_pieces)
{
    vf acc[TILE_ROWS][4];
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            acc[i][v] = vf_set(0.0f);
    const float *b = t->b;
    const size_t b_pair = t->b_pair, row = t->a_row, ahead_step = t->ahead_step;
    const float *ahead = t->ahead;
    for (size_t s = 0; s < n_pieces; s++) {
        const float *a[5];
#pragma GCC unroll 5
        for (int i = 0; i < 5; i++) {
            a[i] = t->a + pieces[s].offset + (size_t)(3 * i < mr ? 3 * i : 0) * row;
            __asm__("" : "+r"(a[i]));
        }
        for (size_t p = pieces[s].len; p > 0; p--) {
            vf bv[4];
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                bv[v] = vf_load(b + (size_t)(v / 2) * b_pair + (v % 2) * VL);
#pragma GCC unroll 16
            for (int i = 0; i < mr; i++) {
                vf x = vf_set(a[i / 3][(size_t)(i % 3) * row]);
#pragma GCC unroll 4
                for (int v = 0; v < nv; v++)
                    acc[i][v] = vf_fma(x, bv[v], acc[i][v]);
            }
            b += PANEL;
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
            ahead += ahead_step;
#pragma GCC unroll 5
            for (int i = 0; i < 5; i++)
                if (3 * i < mr)
                    a[i]++;
        }
    }
    tile_finish(mr, nv, t, acc);
}

#define CTILE(MR, NV)                                                                              \
    static void conv_tile_##MR##_##NV(const struct tile *t, const struct am_conv_piece *pieces,    \
                                      size_t n_pieces)                                             \
    {                                                                                              \
        conv_tile(MR, NV, t, pieces, n_pieces);                                                    \
    }
#define CTILES(MR) CTILE(MR, 1) CTILE(MR, 2)
/* clang-format off */
CTILES(1) CTILES(2) CTILES(3) CTILES(4) CTILES(5) CTILES(6)
CTILE(1, 4) CTILE(2, 4)
#if KERN_ROWS > 6
CTILES(7) CTILES(8) CTILES(9) CTILES(10) CTILES(11) CTILES(12) CTILES(13) CTILES(14)
CTILE(3, 4) CTILE(4, 4) CTILE(5, 4) CTILE(6, 4)
#endif
#define CROW2(MR) {conv_tile_##MR##_1, conv_tile_##MR##_2, NULL}
#define CROW4(MR) {conv_tile_##MR##_1, conv_tile_##MR##_2, conv_tile_##MR##_4}
typedef void conv_tile_fn(const struct tile *t, const struct am_conv_piece *pieces, size_t n);
/* [rows - 1][log2 of vectors] */
static conv_tile_fn *const conv_tiles[ROWS][3] = {
    CROW4(1), CROW4(2),
#if KERN_ROWS > 6
    CROW4(3), CROW4(4), CROW4(5), CROW4(6), CROW2(7), CROW2(8),
    CROW2(9), CROW2(10), CROW2(11), CROW2(12), CROW2(13), CROW2(14),
#else
    CROW2(3), CROW2(4), CROW2(5), CROW2(6),
#endif
};
/* clang-format on */

/* All pixels of rows row0..row1 for channels j..j+n and one block of pieces. */
static void conv_strip(const struct am_conv *c, struct tile *t, size_t row0, size_t row1, size_t n,
                       unsigned kind, const struct am_conv_piece *pieces, size_t n_pieces,
                       size_t len)
{
    const float *x = t->a;
    float *y = t->c;
    const size_t n_tiles = tile_count(c->width);
    for (size_t r = row0; r < row1; r++)
        for (size_t q = 0; q < n_tiles; q++) {
            const size_t i0 = tile_start(c->width, q), rows = tile_start(c->width, q + 1) - i0;
            t->a = x + r * c->x_row + i0 * c->x_col;
            t->c = y + r * c->y_row + i0 * c->y_col;
            conv_tiles[rows - 1][kind](t, pieces, n_pieces);
            t->ahead += len * t->ahead_step;
            if (t->last_block && c->act > AM_ACT_RELU)
                for (size_t i = 0; i < rows; i++)
                    KERN_BASE.act(c->act, c->alpha, t->c + i * c->y_col, t->c + i * c->y_col, n);
        }
    t->a = x;
    t->c = y;
}

static void conv(const struct am_conv *c, size_t row0, size_t row1)
{
    const size_t tallest = (c->width + tile_count(c->width) - 1) / tile_count(c->width);
    const size_t n_tiles = (row1 - row0) * tile_count(c->width);
    const size_t ahead_step = !c->far || n_tiles == 0 ? 0 : (PANEL + n_tiles - 1) / n_tiles;
    for (size_t j = 0, n; j < c->n; j += n) {
        const size_t nv = (c->n - j + VL - 1) / VL;
        unsigned kind = nv >= 4 ? 2 : nv >= 2 ? 1 : 0;
        while (!conv_tiles[tallest - 1][kind])
            kind--;
        n = c->n - j < ((size_t)VL << kind) ? c->n - j : (size_t)VL << kind;
        struct tile t = {.a_row = c->x_col,
                         .a = c->x,
                         .b_pair = c->k * PANEL,
                         .b = c->b + j / PANEL * (c->k * PANEL) + j % PANEL,
                         .c = c->y + j,
                         .c_row = c->y_col,
                         .bias = c->bias ? c->bias + j : NULL,
                         .last = vm_first(n - (((size_t)1 << kind) - 1) * VL),
                         .ahead_step = ahead_step,
                         .relu = c->act == AM_ACT_RELU};
        for (size_t s = 0, e; s < c->n_pieces; s = e) {
            size_t len = 0;
            for (e = s; e < c->n_pieces && (e == s || len + c->pieces[e].len <= AM_CONV_PIECE_MAX);
                 e++)
                len += c->pieces[e].len;
            t.first_block = s == 0;
            t.last_block = e == c->n_pieces;
            t.ahead = t.b + len * PANEL;
            conv_strip(c, &t, row0, row1, n, kind, c->pieces + s, e - s, len);
            t.b += len * PANEL;
        }
    }
}

/* ---- each channel by itself ---- */

/* np neighbouring pixels of one vector of channels */
AM_INLINE void depthwise_pixels(const int np, const struct am_depthwise *d, const float *x,
                                float *y, size_t j, vm m)
{
    vf acc[4];
#pragma GCC unroll 4
    for (int i = 0; i < np; i++)
        acc[i] = vf_set(0.0f);
    for (size_t s = 0; s < d->n_taps; s++) {
        const vf w = vf_load_m(d->w + d->w_rows[s] * d->n + j, m);
        const float *from = x + d->offsets[s] + j;
#pragma GCC unroll 4
        for (int i = 0; i < np; i++)
            acc[i] = vf_fma(vf_load_m(from + (size_t)i * d->x_col, m), w, acc[i]);
    }
    const vf bias = d->bias ? vf_load_m(d->bias + j, m) : vf_set(0.0f);
#pragma GCC unroll 4
    for (int i = 0; i < np; i++) {
        vf r = d->bias ? vf_add(acc[i], bias) : acc[i];
        if (d->act == AM_ACT_RELU)
            r = vf_max(vf_set(0.0f), r);
        vf_store_m(y + (size_t)i * d->y_col + j, m, r);
    }
}

static void depthwise(const struct am_depthwise *d, size_t row0, size_t row1)
{
    for (size_t r = row0; r < row1; r++) {
        const float *x = d->x + r * d->x_row;
        float *y = d->y + r * d->y_row;
        for (size_t j = 0; j < d->n; j += VL) {
            const vm m = vm_first(d->n - j);
            size_t i = 0;
            for (; i + 4 <= d->width; i += 4)
                depthwise_pixels(4, d, x + i * d->x_col, y + i * d->y_col, j, m);
            for (; i < d->width; i++)
                depthwise_pixels(1, d, x + i * d->x_col, y + i * d->y_col, j, m);
        }
        for (size_t i = 0; d->act > AM_ACT_RELU && i < d->width; i++)
            KERN_BASE.act(d->act, d->alpha, y + i * d->y_col, y + i * d->y_col, d->n);
    }
}

/* ---- gradient by the weight ---- */

AM_INLINE void dw_tile(const int mr, const int nv, const struct am_conv_dw *d, size_t i0, size_t j,
                       vm last)
{
    vf acc[TILE_ROWS][4];
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            acc[i][v] = vf_set(0.0f);
    const size_t a_step = d->x_col, b_step = d->dy_col;
    for (size_t r = 0; r < d->rows; r++) {
        const float *a = d->x + r * d->x_row + i0, *b = d->dy + r * d->dy_row + j;
        for (size_t p = d->width; p > 0; p--) {
            vf bv[4];
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                bv[v] = v == nv - 1 ? vf_load_m(b + v * VL, last) : vf_load(b + v * VL);
#pragma GCC unroll 16
            for (int i = 0; i < mr; i++) {
                vf x = vf_set(a[i]);
#pragma GCC unroll 4
                for (int v = 0; v < nv; v++)
                    acc[i][v] = vf_fma(x, bv[v], acc[i][v]);
            }
            a += a_step;
            b += b_step;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            float *o = d->out + (i0 + (size_t)i) * d->out_row + j + v * VL;
            const vm m = v == nv - 1 ? last : vm_first(VL);
            vf_store_m(o, m, d->first ? acc[i][v] : vf_add(vf_load_m(o, m), acc[i][v]));
        }
}

#define DTILE(MR, NV)                                                                              \
    static void dw_tile_##MR##_##NV(const struct am_conv_dw *d, size_t i0, size_t j, vm last)      \
    {                                                                                              \
        dw_tile(MR, NV, d, i0, j, last);                                                           \
    }
#define DTILES(MR) DTILE(MR, 1) DTILE(MR, 2)
#define DROW(MR)                                                                                   \
    {                                                                                              \
        dw_tile_##MR##_1, dw_tile_##MR##_2                                                         \
    }
/* clang-format off */
DTILES(1) DTILES(2) DTILES(3) DTILES(4) DTILES(5) DTILES(6)
#if KERN_ROWS > 6
DTILES(7) DTILES(8) DTILES(9) DTILES(10) DTILES(11) DTILES(12) DTILES(13) DTILES(14)
#endif
typedef void dw_tile_fn(const struct am_conv_dw *d, size_t i0, size_t j, vm last);
static dw_tile_fn *const dw_tiles[ROWS][2] = {
    DROW(1), DROW(2), DROW(3), DROW(4), DROW(5), DROW(6),
#if KERN_ROWS > 6
    DROW(7), DROW(8), DROW(9), DROW(10), DROW(11), DROW(12), DROW(13), DROW(14),
#endif
};
/* clang-format on */

static void conv_dw(const struct am_conv_dw *d)
{
    for (size_t j = 0, n; j < d->n; j += n) {
        const unsigned kind = d->n - j > VL;
        n = d->n - j < ((size_t)VL << kind) ? d->n - j : (size_t)VL << kind;
        const vm last = vm_first(n - kind * VL);
        for (size_t q = 0, n_tiles = tile_count(d->m); q < n_tiles; q++) {
            const size_t i0 = tile_start(d->m, q);
            dw_tiles[tile_start(d->m, q + 1) - i0 - 1][kind](d, i0, j, last);
        }
    }
}

AM_INLINE void depthwise_dw_taps(const int nt, const struct am_depthwise_dw *d, size_t s, size_t j,
                                 vm m)
{
    vf acc[4];
    const float *x[4];
#pragma GCC unroll 4
    for (int i = 0; i < nt; i++) {
        acc[i] = vf_set(0.0f);
        x[i] = d->x + d->offsets[s + (size_t)i] + j;
    }
    for (size_t r = 0; r < d->rows; r++)
        for (size_t p = 0; p < d->width; p++) {
            const vf dy = vf_load_m(d->dy + r * d->dy_row + p * d->dy_col + j, m);
            const size_t at = r * d->x_row + p * d->x_col;
#pragma GCC unroll 4
            for (int i = 0; i < nt; i++)
                acc[i] = vf_fma(vf_load_m(x[i] + at, m), dy, acc[i]);
        }
#pragma GCC unroll 4
    for (int i = 0; i < nt; i++) {
        float *o = d->out + (s + (size_t)i) * d->n + j;
        vf_store_m(o, m, d->first ? acc[i] : vf_add(vf_load_m(o, m), acc[i]));
    }
}

static void depthwise_dw(const struct am_depthwise_dw *d)
{
    for (size_t j = 0; j < d->n; j += VL) {
        const vm m = vm_first(d->n - j);
        size_t s = 0;
        for (; s + 3 <= d->n_taps; s += 3)
            depthwise_dw_taps(3, d, s, j, m);
        for (; s < d->n_taps; s++)
            depthwise_dw_taps(1, d, s, j, m);
    }
}

/* ---- Winograd's transforms ---- */

/* G g of one column or row of three */
AM_INLINE void winograd_g(const vf g[3], vf t[6])
{
    const vf sixth = vf_set(-1.0f / 6), small = vf_set(1.0f / 24);
    const vf a = vf_add(g[0], g[2]), b = vf_fma(vf_set(4.0f), g[2], g[0]);
    t[0] = vf_mul(vf_set(0.25f), g[0]);
    t[1] = vf_mul(sixth, vf_add(a, g[1]));
    t[2] = vf_mul(sixth, vf_sub(a, g[1]));
    t[3] = vf_mul(small, vf_fma(vf_set(2.0f), g[1], b));
    t[4] = vf_mul(small, vf_fnma(vf_set(2.0f), g[1], b));
    t[5] = g[2];
}

static void winograd_weight(const struct am_winograd_weight *w)
{
    for (size_t j = 0; j < PANEL; j += VL) {
        const vm m = vm_first(w->n > j ? w->n - j : 0);
        vf t[6][3], g[3], u[6];
        for (size_t b = 0; b < 3; b++) {
            for (size_t a = 0; a < 3; a++)
                g[a] = vf_load_m(w->w + (a * 3 + b) * w->step + j, m);
            winograd_g(g, u);
            for (size_t a = 0; a < 6; a++)
                t[a][b] = u[a];
        }
        for (size_t a = 0; a < 6; a++) {
            winograd_g(t[a], u);
            for (size_t b = 0; b < 6; b++)
                vf_store(w->u + (a * 6 + b) * w->u_step + j, u[b]);
        }
    }
}

/* B^T d of one column or row of six */
AM_INLINE void winograd_bt(const vf d[6], vf t[6])
{
    const vf four = vf_set(4.0f), five = vf_set(5.0f), two = vf_set(2.0f);
    const vf a = vf_fnma(four, d[2], d[4]), b = vf_fnma(four, d[1], d[3]);
    const vf e = vf_sub(d[4], d[2]), f = vf_sub(d[3], d[1]);
    t[0] = vf_fnma(five, d[2], vf_fma(four, d[0], d[4]));
    t[1] = vf_add(a, b);
    t[2] = vf_sub(a, b);
    t[3] = vf_fma(two, f, e);
    t[4] = vf_fnma(two, f, e);
    t[5] = vf_fnma(five, d[3], vf_fma(four, d[1], d[5]));
}

/* A^T m of one column or row of six */
AM_INLINE void winograd_at(const vf m[6], vf t[4])
{
    const vf a = vf_add(m[1], m[2]), b = vf_add(m[3], m[4]);
    const vf e = vf_sub(m[1], m[2]), f = vf_sub(m[3], m[4]);
    t[0] = vf_add(m[0], vf_add(a, b));
    t[1] = vf_fma(vf_set(2.0f), f, e);
    t[2] = vf_fma(vf_set(4.0f), b, a);
    t[3] = vf_add(vf_fma(vf_set(8.0f), f, e), m[5]);
}

static void winograd_in(const struct am_winograd_in *w)
{
    for (size_t j = 0; j < w->c; j += VL) {
        const vm m = vm_first(w->c - j);
        vf t[6][6], d[6], e[6];
#pragma GCC unroll 6
        for (size_t k = 0; k < 6; k++) {
#pragma GCC unroll 6
            for (size_t i = 0; i < 6; i++)
                d[i] = vf_load_m(w->at[i * 6 + k] + j, m);
            winograd_bt(d, e);
#pragma GCC unroll 6
            for (size_t i = 0; i < 6; i++)
                t[i][k] = e[i];
        }
        for (size_t i = 0; i < 6; i++) {
            winograd_bt(t[i], e);
#pragma GCC unroll 6
            for (size_t k = 0; k < 6; k++)
                vf_store_m(w->v + (i * 6 + k) * w->step + j, m, e[k]);
        }
    }
}

static void winograd_out(const struct am_winograd_out *w)
{
    for (size_t j = 0; j < w->n; j += VL) {
        const vm m = vm_first(w->n - j);
        const vf bias = w->bias ? vf_load_m(w->bias + j, m) : vf_set(0.0f);
        vf t[4][6], d[6], e[4];
#pragma GCC unroll 6
        for (size_t k = 0; k < 6; k++) {
#pragma GCC unroll 6
            for (size_t i = 0; i < 6; i++)
                d[i] = vf_load_m(w->m + (i * 6 + k) * w->step + j, m);
            winograd_at(d, e);
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; i++)
                t[i][k] = e[i];
        }
        for (size_t i = 0; i < 4; i++) {
            winograd_at(t[i], e);
            for (size_t k = 0; k < 4; k++) {
                if (!w->to[i * 4 + k])
                    continue;
                const vf y = w->bias ? vf_add(e[k], bias) : e[k];
                vf_store_m(w->to[i * 4 + k] + j, m, w->relu ? vf_max(vf_set(0.0f), y) : y);
            }
        }
    }
}

extern const struct am_conv_kernels KERN_TABLE;
const struct am_conv_kernels KERN_TABLE = {.conv = conv,
                                           .depthwise = depthwise,
                                           .dw = conv_dw,
                                           .depthwise_dw = depthwise_dw,
                                           .winograd_weight = winograd_weight,
                                           .winograd_in = winograd_in,
                                           .winograd_out = winograd_out};
