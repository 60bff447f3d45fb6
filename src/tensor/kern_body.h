/* The body of the avx2 and avx512 kernel tables, written once over vec.h's vector width.
 *
 * Included by kern_avx2.c and kern_avx512.c, which define KERN_TABLE, KERN_NAME and KERN_ROWS (rows
 * of the largest register tile). Everything here is pure; see kernels.h for what each entry
 * promises. */
#include "tensor/kern_pool.h"
#include "tensor/kernels.h"
#include "tensor/vec.h"

#define PANEL (2 * VL)
#define ROWS KERN_ROWS
#define TILE_ROWS (ROWS < 4 ? 4 : ROWS)

/* ---- GEMM ---- */

struct tile {
    size_t k;            /* length of this block */
    const float *a;      /* first row of the tile, first p of the block */
    size_t a_row, a_col; /* floats */
    const float *b;      /* first column of the tile, first p of the block */
    size_t b_row;        /* floats between p and p + 1 */
    size_t b_pair;       /* floats between pairs of vectors */
    float *c;
    size_t c_row;
    const float *bias; /* at the tile's first column, or NULL */
    vm last;           /* lanes of the last vector that exist */
    int first_block, last_block, relu, masked_b;
};

/* Adds earlier blocks, then bias and relu, and stores. */
AM_INLINE void tile_finish(const int mr, const int nv, const struct tile *t, vf acc[TILE_ROWS][8])
{
    const vm last = t->last;
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++) {
        float *c = t->c + (size_t)i * t->c_row;
#pragma GCC unroll 8
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

/* One register tile of mr rows and nv vectors. `across`: a's rows are contiguous (a_row = 1). All
 * of mr, nv and across are constants where this is inlined, so the loops unroll and acc stays in
 * registers. Row pointers come three to a base register: base, base + row, base + 2 row. */
AM_INLINE void tile_run(const int mr, const int nv, const int across, const struct tile *t)
{
    vf acc[TILE_ROWS][8];
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
        for (int v = 0; v < nv; v++)
            acc[i][v] = vf_set(0.0f);

    const float *b = t->b;
    const size_t b_row = t->b_row, b_pair = t->b_pair, row = across ? 1 : t->a_row;
    const float *a[5];
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
        a[i] = t->a + (size_t)(3 * i < mr ? 3 * i : 0) * row;
        __asm__("" : "+r"(a[i])); /* keep the bases apart: one register each */
    }
    const size_t step = across ? t->a_col : 1;
    const vm last = t->last;
    const int masked = t->masked_b;
    for (size_t p = t->k; p > 0; p--) {
        vf bv[8];
#pragma GCC unroll 8
        for (int v = 0; v < nv; v++) {
            const float *bp = b + (size_t)(v / 2) * b_pair + (v % 2) * VL;
            bv[v] = v == nv - 1 && masked ? vf_load_m(bp, last) : vf_load(bp);
        }
#pragma GCC unroll 16
        for (int i = 0; i < mr; i++) {
            vf x = vf_set(across ? a[0][i] : a[i / 3][(size_t)(i % 3) * row]);
#pragma GCC unroll 8
            for (int v = 0; v < nv; v++)
                acc[i][v] = vf_fma(x, bv[v], acc[i][v]);
        }
        b += b_row;
#pragma GCC unroll 5
        for (int i = 0; i < 5; i++)
            if (3 * i < (across ? 1 : mr))
                a[i] += step;
    }
    tile_finish(mr, nv, t, acc);
}

#define TILE(MR, NV)                                                                               \
    static void tile_d_##MR##_##NV(const struct tile *t)                                           \
    {                                                                                              \
        tile_run(MR, NV, 0, t);                                                                    \
    }                                                                                              \
    static void tile_a_##MR##_##NV(const struct tile *t)                                           \
    {                                                                                              \
        tile_run(MR, NV, 1, t);                                                                    \
    }
#define TILES(MR) TILE(MR, 1) TILE(MR, 2)
/* clang-format off */
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
TILE(1, 4) TILE(1, 8) TILE(2, 4)
#if KERN_ROWS > 6
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
TILE(3, 4) TILE(4, 4) TILE(5, 4) TILE(6, 4)
#endif
    /* clang-format on */

    typedef void tile_fn(const struct tile *t);
#define PAIR(MR, NV)                                                                               \
    {                                                                                              \
        tile_d_##MR##_##NV, tile_a_##MR##_##NV                                                     \
    }
#define ROW2(MR)                                                                                   \
    {                                                                                              \
        PAIR(MR, 1), PAIR(MR, 2), {NULL, NULL},                                                    \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define ROW4(MR)                                                                                   \
    {                                                                                              \
        PAIR(MR, 1), PAIR(MR, 2), PAIR(MR, 4),                                                     \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define ROW8(MR)                                                                                   \
    {                                                                                              \
        PAIR(MR, 1), PAIR(MR, 2), PAIR(MR, 4), PAIR(MR, 8)                                         \
    }
/* [rows - 1][log2 of vectors][across] */
static tile_fn *const tiles[ROWS][4][2] = {
    ROW8(1), ROW4(2),
#if KERN_ROWS > 6
    ROW4(3), ROW4(4),  ROW4(5),  ROW4(6),  ROW2(7),  ROW2(8),
    ROW2(9), ROW2(10), ROW2(11), ROW2(12), ROW2(13), ROW2(14),
#else
    ROW2(3), ROW2(4), ROW2(5), ROW2(6),
#endif
};

static void act_any(enum am_act act, float alpha, const float *x, float *y, size_t n);

/* Rows m0..m1 are cut into register tiles of nearly equal height. */
AM_INLINE size_t tile_count(size_t rows)
{
    return (rows + ROWS - 1) / ROWS;
}
AM_INLINE size_t tile_start(size_t rows, size_t q)
{
    return q * rows / tile_count(rows);
}

/* What one pass over a strip works on: all rows of the call and one block of k. */
struct block {
    size_t rows, m0;
    size_t p0, k;
};

/* All rows of the block for columns j..j+n, n <= 8 vectors, kind = log2 of its vectors. */
static void strip(const struct am_gemm *g, const struct block *b, size_t j, size_t n, unsigned kind)
{
    const size_t nv = (size_t)1 << kind;
    const int packed = g->b_row == 0;
    const float *bp = packed ? g->b + j / PANEL * (g->k * PANEL) + j % PANEL : g->b + j;
    struct tile t = {.k = b->k,
                     .a_row = g->a_row,
                     .a_col = g->a_col,
                     .b_row = packed ? PANEL : g->b_row,
                     .b_pair = packed ? g->k * PANEL : PANEL,
                     .c_row = g->c_row,
                     .bias = g->bias ? g->bias + j : NULL,
                     .last = vm_first(n - (nv - 1) * VL),
                     .first_block = b->p0 == 0,
                     .last_block = b->p0 + b->k == g->k,
                     .relu = g->act == AM_ACT_RELU,
                     .masked_b = !packed && n < nv * VL};
    t.b = bp + b->p0 * t.b_row;
    for (size_t q = 0, n_tiles = tile_count(b->rows); q < n_tiles; q++) {
        const size_t i0 = tile_start(b->rows, q), rows = tile_start(b->rows, q + 1) - i0;
        t.a = g->a + (b->m0 + i0) * g->a_row + b->p0 * g->a_col;
        t.c = g->c + (b->m0 + i0) * g->c_row + j;
        tiles[rows - 1][kind][g->a_col != 1](&t);
        if (!t.last_block || g->act <= AM_ACT_RELU)
            continue;
        if (g->c_row == n) /* one run of numbers */
            act_any(g->act, g->alpha, t.c, t.c, rows * n);
        else
            for (size_t i = 0; i < rows; i++)
                act_any(g->act, g->alpha, t.c + i * g->c_row, t.c + i * g->c_row, n);
    }
}

static void all_strips(const struct am_gemm *g, const struct block *b, size_t n0, size_t n1)
{
    const size_t tallest = (b->rows + tile_count(b->rows) - 1) / tile_count(b->rows);
    for (size_t j = n0; j < n1;) {
        size_t nv = (n1 - j + VL - 1) / VL;
        unsigned kind = nv >= 8 ? 3 : nv >= 4 ? 2 : nv >= 2 ? 1 : 0;
        while (!tiles[tallest - 1][kind][0])
            kind--;
        size_t n = n1 - j < ((size_t)VL << kind) ? n1 - j : (size_t)VL << kind;
        strip(g, b, j, n, kind);
        j += n;
    }
}

static void gemm(const struct am_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    if (m0 >= m1)
        return;
    struct block b = {.rows = m1 - m0, .m0 = m0};
    for (b.p0 = 0; b.p0 < g->k; b.p0 += b.k) {
        b.k = g->k - b.p0 < AM_GEMM_K_BLOCK ? g->k - b.p0 : AM_GEMM_K_BLOCK;
        all_strips(g, &b, n0, n1);
    }
}

/* ---- element-wise ---- */

AM_INLINE vf act_vec(const enum am_act act, vf alpha, vf x)
{
    const vf zero = vf_set(0.0f);
    vf g;
    switch (act) {
    case AM_ACT_RELU:
        return vf_max(zero, x);
    case AM_ACT_LEAKY_RELU:
        return vf_pick(vf_lt(x, zero), vf_mul(alpha, x), x);
    case AM_ACT_ELU:
        return vf_pick(vf_lt(x, zero), vf_mul(alpha, vf_sub(vf_exp(x), vf_set(1.0f))), x);
    case AM_ACT_GELU:
        return vf_mul(x, vf_phi(x, &g));
    case AM_ACT_GELU_TANH:
        g = vf_mul(vf_set(GELU_C0), vf_fma(vf_mul(vf_mul(x, x), x), vf_set(GELU_C1), x));
        return vf_mul(vf_mul(vf_set(0.5f), x), vf_add(vf_set(1.0f), vf_tanh(g)));
    case AM_ACT_SILU:
        return vf_mul(x, vf_sigmoid(x));
    case AM_ACT_SIGMOID:
        return vf_sigmoid(x);
    case AM_ACT_TANH:
        return vf_tanh(x);
    default:
        return x;
    }
}

#define ACT_LOOP(ACT)                                                                              \
    case ACT:                                                                                      \
        for (; i + VL <= n; i += VL)                                                               \
            vf_store(y + i, act_vec(ACT, al, vf_load(x + i)));                                     \
        if (i < n)                                                                                 \
            vf_store_m(y + i, m, act_vec(ACT, al, vf_load_m(x + i, m)));                           \
        break;

static void act_any(enum am_act act, float alpha, const float *x, float *y, size_t n)
{
    size_t i = 0;
    const vf al = vf_set(alpha);
    const vm m = vm_first(n % VL);
    switch (act) {
        ACT_LOOP(AM_ACT_NONE)
        ACT_LOOP(AM_ACT_RELU)
        ACT_LOOP(AM_ACT_LEAKY_RELU)
        ACT_LOOP(AM_ACT_ELU)
        ACT_LOOP(AM_ACT_GELU)
        ACT_LOOP(AM_ACT_GELU_TANH)
        ACT_LOOP(AM_ACT_SILU)
        ACT_LOOP(AM_ACT_SIGMOID)
        ACT_LOOP(AM_ACT_TANH)
    case AM_ACT_SOFTMAX:
        break;
    }
}

#define BINARY_LOOP(NAME, OP)                                                                      \
    static void NAME(const float *a, const float *b, float *y, size_t n)                           \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            vf_store(y + i, OP(vf_load(a + i), vf_load(b + i)));                                   \
        if (i < n) {                                                                               \
            const vm m = vm_first(n - i);                                                          \
            vf_store_m(y + i, m, OP(vf_load_m(a + i, m), vf_load_m(b + i, m)));                    \
        }                                                                                          \
    }
BINARY_LOOP(add, vf_add)
BINARY_LOOP(mul, vf_mul)

static void scale(const float *x, float factor, float shift, float *y, size_t n)
{
    const vf f = vf_set(factor), s = vf_set(shift);
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_fma(vf_load(x + i), f, s));
    if (i < n) {
        const vm m = vm_first(n - i);
        vf_store_m(y + i, m, vf_fma(vf_load_m(x + i, m), f, s));
    }
}

static void softmax_row(const float *x, float *y, size_t n)
{
    const size_t whole = n / VL * VL;
    const vm m = vm_first(n - whole);
    vf top = vf_set(-INFINITY), sum = vf_set(0.0f);
    for (size_t j = 0; j < whole; j += VL)
        top = vf_max(top, vf_load(x + j));
    if (whole < n)
        top = vf_max(top, vf_pick(m, vf_load_m(x + whole, m), vf_set(-INFINITY)));
    const vf high = vf_set(vf_hmax(top));
    for (size_t j = 0; j < whole; j += VL) {
        vf e = vf_exp(vf_sub(vf_load(x + j), high));
        sum = vf_add(sum, e);
        vf_store(y + j, e);
    }
    if (whole < n) {
        vf e = vf_keep(m, vf_exp(vf_sub(vf_load_m(x + whole, m), high)));
        sum = vf_add(sum, e);
        vf_store_m(y + whole, m, e);
    }
    const vf inv = vf_set(1.0f / vf_sum(sum));
    for (size_t j = 0; j < whole; j += VL)
        vf_store(y + j, vf_mul(vf_load(y + j), inv));
    if (whole < n)
        vf_store_m(y + whole, m, vf_mul(vf_load_m(y + whole, m), inv));
}

static void softmax(const float *x, float *y, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        softmax_row(x + i * cols, y + i * cols, cols);
}

/* Mean and 1 / sqrt(var + eps) of a row, in two passes. */
AM_INLINE void row_moments(const float *x, size_t n, float eps, float *mean, float *inv)
{
    const size_t whole = n / VL * VL;
    const vm m = vm_first(n - whole);
    vf s = vf_set(0.0f), q = vf_set(0.0f);
    for (size_t j = 0; j < whole; j += VL)
        s = vf_add(s, vf_load(x + j));
    if (whole < n)
        s = vf_add(s, vf_load_m(x + whole, m));
    *mean = vf_sum(s) / (float)n;
    const vf mu = vf_set(*mean);
    for (size_t j = 0; j < whole; j += VL) {
        vf d = vf_sub(vf_load(x + j), mu);
        q = vf_fma(d, d, q);
    }
    if (whole < n) {
        vf d = vf_keep(m, vf_sub(vf_load_m(x + whole, m), mu));
        q = vf_fma(d, d, q);
    }
    *inv = 1.0f / sqrtf(vf_sum(q) / (float)n + eps);
}

static void layer_norm(const float *x, const float *weight, const float *bias, float eps, float *y,
                       size_t rows, size_t cols)
{
    const size_t whole = cols / VL * VL;
    const vm m = vm_first(cols - whole);
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        float mean, inv;
        row_moments(x, cols, eps, &mean, &inv);
        const vf mu = vf_set(mean), r = vf_set(inv);
        for (size_t j = 0; j < whole; j += VL)
            vf_store(y + j, vf_fma(vf_mul(vf_sub(vf_load(x + j), mu), r), vf_load(weight + j),
                                   vf_load(bias + j)));
        if (whole < cols)
            vf_store_m(y + whole, m,
                       vf_fma(vf_mul(vf_sub(vf_load_m(x + whole, m), mu), r),
                              vf_load_m(weight + whole, m), vf_load_m(bias + whole, m)));
    }
}

static void affine(const float *x, const float *factor, const float *shift, float *y, size_t rows,
                   size_t cols)
{
    const size_t whole = cols / VL * VL;
    const vm m = vm_first(cols - whole);
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        for (size_t j = 0; j < whole; j += VL)
            vf_store(y + j, vf_fma(vf_load(x + j), vf_load(factor + j), vf_load(shift + j)));
        if (whole < cols)
            vf_store_m(y + whole, m,
                       vf_fma(vf_load_m(x + whole, m), vf_load_m(factor + whole, m),
                              vf_load_m(shift + whole, m)));
    }
}

/* out[r * to_row + c] = from[c * from_row + r] for r, c < 8 */
AM_INLINE void transpose8(const float *from, size_t from_row, float *to, size_t to_row)
{
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(from + i * from_row);
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

static void pack_transposed(const float *b, size_t b_row, size_t k, size_t n, float *out)
{
    for (size_t j = 0; j < n; j += PANEL, out += PANEL * k) {
        const size_t have = n - j < PANEL ? n - j : PANEL, blocks = have / 8 * 8, rows = k / 8 * 8;
        for (size_t p = 0; p < rows; p += 8)
            for (size_t c = 0; c < blocks; c += 8)
                transpose8(b + (j + c) * b_row + p, b_row, out + p * PANEL + c, PANEL);
        for (size_t p = 0; p < k; p++)
            for (size_t c = p < rows ? blocks : 0; c < PANEL; c++)
                out[p * PANEL + c] = c < have ? b[(j + c) * b_row + p] : 0.0f;
    }
}

static void pool(const struct am_pooling_shape *p, const float *x, float *y, size_t r0, size_t r1)
{
    pool_rows(p, x, y, r0, r1);
}

extern const struct am_kernels KERN_TABLE;
const struct am_kernels KERN_TABLE = {.name = KERN_NAME,
                                      .panel = PANEL,
                                      .tile_rows = ROWS,
                                      .gemm = gemm,
                                      .act = act_any,
                                      .add = add,
                                      .mul = mul,
                                      .scale = scale,
                                      .softmax = softmax,
                                      .layer_norm = layer_norm,
                                      .affine = affine,
                                      .pool = pool,
                                      .pack_transposed = pack_transposed};
