/* The body of the avx2 and avx512 training kernel tables, written once over vec.h's vector width.
 *
 * Included by tkern_avx2.c and tkern_avx512.c, which define TKERN_TABLE and KERN_NAME. Everything
 * here is pure; see train_kernels.h for what each entry promises. Columns are worked in vectors,
 * rows in order, so splitting columns over threads changes no bit. */
#include "base/rng.h"
#include "tensor/kern_pool.h"
#include "tensor/train_kernels.h"
#include "tensor/vec.h"

/* for each vector of n elements: `at` is its index, `m` its lanes, LD(p) loads, ST(p, x) stores */
#define LD(p) (full ? vf_load(p) : vf_load_m(p, m))
#define ST(p, x)                                                                                   \
    do {                                                                                           \
        if (full)                                                                                  \
            vf_store(p, x);                                                                        \
        else                                                                                       \
            vf_store_m(p, m, x);                                                                   \
    } while (0)
#define EACH_VECTOR(at, n)                                                                         \
    for (size_t at = 0, full = 0; at < (n); at += VL)                                              \
        if (full = (n)-at >= VL, 1)
#define LANES(at, n) const vm m = vm_first((n) - (at))

AM_INLINE vf slope(const enum am_act act, vf alpha, vf s)
{
    const vf zero = vf_set(0.0f), one = vf_set(1.0f);
    vf g, t;
    switch (act) {
    case AM_ACT_RELU:
        return vf_pick(vf_gt(s, zero), one, zero);
    case AM_ACT_LEAKY_RELU:
        return vf_pick(vf_lt(s, zero), alpha, one);
    case AM_ACT_ELU:
        return vf_pick(vf_lt(s, zero), vf_add(s, alpha), one);
    case AM_ACT_GELU:
        t = vf_phi(s, &g);
        return vf_fma(vf_mul(s, g), vf_set(0.398942280f), t);
    case AM_ACT_GELU_TANH: {
        vf s2 = vf_mul(s, s);
        t = vf_tanh(vf_mul(vf_set(GELU_C0), vf_fma(vf_mul(s2, s), vf_set(GELU_C1), s)));
        g = vf_mul(vf_set(GELU_C0), vf_fma(vf_set(3.0f * GELU_C1), s2, one));
        return vf_mul(vf_set(0.5f), vf_fma(vf_mul(s, vf_fnma(t, t, one)), g, vf_add(one, t)));
    }
    case AM_ACT_SILU:
        t = vf_sigmoid(s);
        return vf_mul(t, vf_fma(s, vf_sub(one, t), one));
    case AM_ACT_SIGMOID:
        return vf_mul(s, vf_sub(one, s));
    case AM_ACT_TANH:
        return vf_fnma(s, s, one);
    default:
        return one;
    }
}

#define SLOPE_LOOP(ACT)                                                                            \
    case ACT:                                                                                      \
        EACH_VECTOR(i, n)                                                                          \
        {                                                                                          \
            LANES(i, n);                                                                           \
            ST(dx + i, vf_mul(LD(dy + i), slope(ACT, al, LD(saved + i))));                         \
        }                                                                                          \
        break;

static void act_grad(enum am_act act, float alpha, const float *dy, const float *saved, float *dx,
                     size_t n)
{
    const vf al = vf_set(alpha);
    switch (act) {
        SLOPE_LOOP(AM_ACT_NONE)
        SLOPE_LOOP(AM_ACT_RELU)
        SLOPE_LOOP(AM_ACT_LEAKY_RELU)
        SLOPE_LOOP(AM_ACT_ELU)
        SLOPE_LOOP(AM_ACT_GELU)
        SLOPE_LOOP(AM_ACT_GELU_TANH)
        SLOPE_LOOP(AM_ACT_SILU)
        SLOPE_LOOP(AM_ACT_SIGMOID)
        SLOPE_LOOP(AM_ACT_TANH)
    case AM_ACT_SOFTMAX:
        break;
    }
}

static void softmax_grad(const float *dy, const float *y, float *dx, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, dy += cols, y += cols, dx += cols) {
        vf dot = vf_set(0.0f);
        EACH_VECTOR(j, cols)
        {
            LANES(j, cols);
            dot = vf_fma(LD(dy + j), LD(y + j), dot);
        }
        const vf d = vf_set(vf_sum(dot));
        EACH_VECTOR(j, cols)
        {
            LANES(j, cols);
            ST(dx + j, vf_mul(LD(y + j), vf_sub(LD(dy + j), d)));
        }
    }
}

/* Sums over rows are made for nv neighbouring vectors of columns at once, so that whole cache lines
 * are read: blocks of AM_GEMM_K_BLOCK rows, added in order. Expr is of row r and vector v. */
#define ROW_BLOCKS(nv, rows, total, part, EXPR)                                                    \
    for (size_t r0_ = 0; r0_ < (rows); r0_ += AM_GEMM_K_BLOCK) {                                   \
        const size_t r1_ = (rows)-r0_ < AM_GEMM_K_BLOCK ? (rows) : r0_ + AM_GEMM_K_BLOCK;          \
        vf part[8];                                                                                \
        EACH_OF(nv) part[v] = vf_set(0.0f);                                                        \
        for (size_t r = r0_; r < r1_; r++)                                                         \
            EACH_OF(nv) part[v] = EXPR;                                                            \
        EACH_OF(nv) total[v] = vf_add(total[v], part[v]);                                          \
    }
#define EACH_OF(nv) _Pragma("GCC unroll 8") for (int v = 0; v < (nv); v++)
/* several vectors are whole ones */
#define LDV(p) (nv > 1 ? vf_load(p) : vf_load_m(p, m))
#define STV(p, x)                                                                                  \
    do {                                                                                           \
        if (nv > 1)                                                                                \
            vf_store(p, x);                                                                        \
        else                                                                                       \
            vf_store_m(p, m, x);                                                                   \
    } while (0)
#define AT(p) ((p) + r * cols + (size_t)v * VL)
/* CALL(nv, j, m) for strips of WIDE vectors, then vector by vector, the last with lanes m */
#define STRIPS(WIDE, w, CALL)                                                                      \
    do {                                                                                           \
        size_t j_ = 0;                                                                             \
        for (; (w)-j_ >= (size_t)(WIDE)*VL; j_ += (size_t)(WIDE)*VL)                               \
            CALL(WIDE, j_, vm_first(VL));                                                          \
        for (; j_ < (w); j_ += VL)                                                                 \
            CALL(1, j_, vm_first((w)-j_));                                                         \
    } while (0)
#define STRIP (VL == 16 ? 4 : 2) /* where each column takes several registers */

AM_INLINE void col_sum_strip(const int nv, const vm m, const float *x, size_t rows, size_t cols,
                             float *out)
{
    vf s[8];
    EACH_OF(nv) s[v] = vf_set(0.0f);
    ROW_BLOCKS(nv, rows, s, b, vf_add(b[v], LDV(AT(x))))
    EACH_OF(nv) STV(out + v * VL, s[v]);
}

static void col_sum(const float *x, size_t rows, size_t cols, size_t j0, size_t j1, float *out)
{
#define CALL(nv, j, m) col_sum_strip(nv, m, x + j0 + (j), rows, cols, out + j0 + (j))
    STRIPS(8, j1 - j0, CALL);
#undef CALL
}

/* VL Philox4x32-10 blocks with counters base + lane; out[w] = word w of every lane */
AM_INLINE void philox(uint64_t seed, uint64_t stream, uint64_t base, vi out[4])
{
    const uint64_t low = base & 0xffffffffu;
    vi c0, c1;
    if (low + VL <= 0x100000000u) {
        c0 = vi_add(vi_set((int32_t)(uint32_t)low), vi_iota());
        c1 = vi_set((int32_t)(uint32_t)(base >> 32));
    } else {
        int32_t lo[VL], hi[VL];
        for (unsigned i = 0; i < VL; i++) {
            lo[i] = (int32_t)(uint32_t)(base + i);
            hi[i] = (int32_t)(uint32_t)((base + i) >> 32);
        }
        c0 = vf_bits(vf_load((const float *)(const void *)lo));
        c1 = vf_bits(vf_load((const float *)(const void *)hi));
    }
    vi c2 = vi_set((int32_t)(uint32_t)stream), c3 = vi_set((int32_t)(uint32_t)(stream >> 32));
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        vi h0, l0, h1, l1;
        vi_mulhilo(c0, 0xD2511F53u, &h0, &l0);
        vi_mulhilo(c2, 0xCD9E8D57u, &h1, &l1);
        c0 = vi_xor(vi_xor(h1, c1), vi_set((int32_t)k0));
        c1 = l1;
        c2 = vi_xor(vi_xor(h0, c3), vi_set((int32_t)k1));
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static void dropout(const float *x, float *y, size_t e0, size_t e1, float rate, uint64_t seed,
                    uint64_t stream, uint64_t counter_base)
{
    const vi bar = vi_set((int32_t)(uint32_t)((double)rate * 4294967296.0));
    const vf up = vf_set(1.0f / (1.0f - rate));
    for (size_t e = e0; e < e1; e += 64)
        for (size_t lane = 0; lane < 16; lane += VL) {
            vi word[4];
            philox(seed, stream, counter_base + e / 64 * 16 + lane, word);
            for (size_t k = 0; k < 4; k++) {
                const size_t at = e + k * 16 + lane;
                if (at >= e1)
                    break;
                const vm m = vm_first(e1 - at);
                const vf v = vf_mul(vf_load_m(x + at, m), up);
                vf_store_m(y + at, m, vf_keep(vi_ge_u(word[k], bar), v));
            }
        }
}

AM_INLINE void col_stats_strip(const int nv, const vm m, const float *x, size_t rows, size_t cols,
                               float *mean, float *var)
{
    const vf n = vf_set(rows ? (float)rows : 1.0f);
    vf s[8], q[8];
    EACH_OF(nv) s[v] = q[v] = vf_set(0.0f);
    ROW_BLOCKS(nv, rows, s, b, vf_add(b[v], LDV(AT(x))))
    EACH_OF(nv) s[v] = vf_div(s[v], n);
    for (size_t r = 0; r < rows; r++)
        EACH_OF(nv)
        {
            const vf d = vf_sub(LDV(AT(x)), s[v]);
            q[v] = vf_fma(d, d, q[v]);
        }
    EACH_OF(nv)
    {
        STV(mean + v * VL, s[v]);
        STV(var + v * VL, vf_div(q[v], n));
    }
}

static void col_stats(const float *x, size_t rows, size_t cols, size_t j0, size_t j1, float *mean,
                      float *var)
{
#define CALL(nv, j, m)                                                                             \
    col_stats_strip(nv, m, x + j0 + (j), rows, cols, mean + j0 + (j), var + j0 + (j))
    STRIPS(4, j1 - j0, CALL);
#undef CALL
}

AM_INLINE vf inv_dev(vf var, vf eps)
{
    return vf_div(vf_set(1.0f), vf_sqrt(vf_add(var, eps)));
}

AM_INLINE void norm_sums_strip(const int nv, const vm m, const float *dy, const float *x,
                               const float *mean, const float *var, float eps, size_t rows,
                               size_t cols, float *dbeta, float *dgamma)
{
    vf mu[8], inv[8], b[8], g[8];
    EACH_OF(nv)
    {
        mu[v] = LDV(mean + v * VL);
        inv[v] = inv_dev(LDV(var + v * VL), vf_set(eps));
        b[v] = g[v] = vf_set(0.0f);
    }
    ROW_BLOCKS(nv, rows, b, part, vf_add(part[v], LDV(AT(dy))))
    ROW_BLOCKS(nv, rows, g, part,
               vf_fma(LDV(AT(dy)), vf_mul(vf_sub(LDV(AT(x)), mu[v]), inv[v]), part[v]))
    EACH_OF(nv)
    {
        STV(dbeta + v * VL, b[v]);
        STV(dgamma + v * VL, g[v]);
    }
}

static void norm_sums(const float *dy, const float *x, const float *mean, const float *var,
                      float eps, size_t rows, size_t cols, size_t j0, size_t j1, float *dbeta,
                      float *dgamma)
{
#define CALL(nv, j, m)                                                                             \
    norm_sums_strip(nv, m, dy + j0 + (j), x + j0 + (j), mean + j0 + (j), var + j0 + (j), eps,      \
                    rows, cols, dbeta + j0 + (j), dgamma + j0 + (j))
    STRIPS(STRIP, j1 - j0, CALL);
#undef CALL
}

struct norm_grad {
    const float *dy, *x, *mean, *var, *weight, *dbeta, *dgamma;
    float *dx;
    float eps, per_row;
    size_t cols, r0, r1;
};

AM_INLINE void norm_grad_strip(const int nv, const vm m, size_t j, const struct norm_grad *n)
{
    const size_t cols = n->cols;
    const vf per_row = vf_set(n->per_row);
    vf mu[8], f[8], b[8], g[8];
    EACH_OF(nv)
    {
        const size_t at = j + (size_t)v * VL;
        const vf inv = inv_dev(LDV(n->var + at), vf_set(n->eps));
        mu[v] = LDV(n->mean + at);
        f[v] = vf_mul(LDV(n->weight + at), inv);
        b[v] = vf_mul(LDV(n->dbeta + at), per_row);
        g[v] = vf_mul(vf_mul(LDV(n->dgamma + at), per_row), inv);
    }
    for (size_t r = n->r0; r < n->r1; r++)
        EACH_OF(nv)
        {
            const vf x = vf_sub(LDV(AT(n->x + j)), mu[v]);
            const vf d = vf_sub(LDV(AT(n->dy + j)), vf_fma(x, g[v], b[v]));
            STV(AT(n->dx + j), vf_mul(f[v], d));
        }
}

static void batch_norm_grad(const float *dy, const float *x, const float *mean, const float *var,
                            float eps, const float *weight, const float *dbeta, const float *dgamma,
                            float *dx, size_t rows, size_t cols, size_t r0, size_t r1)
{
    const struct norm_grad n = {.dy = dy,
                                .x = x,
                                .mean = mean,
                                .var = var,
                                .weight = weight,
                                .dbeta = dbeta,
                                .dgamma = dgamma,
                                .dx = dx,
                                .eps = eps,
                                .per_row = rows ? 1.0f / (float)rows : 0.0f,
                                .cols = cols,
                                .r0 = r0,
                                .r1 = r1};
#define CALL(nv, j, m) norm_grad_strip(nv, m, j, &n)
    STRIPS(STRIP, cols, CALL);
#undef CALL
}

AM_INLINE void moments(const float *x, size_t n, float eps, float *mean, float *inv)
{
    vf s = vf_set(0.0f), q = vf_set(0.0f);
    EACH_VECTOR(j, n)
    {
        LANES(j, n);
        s = vf_add(s, LD(x + j));
    }
    *mean = vf_sum(s) / (float)n;
    EACH_VECTOR(j, n)
    {
        LANES(j, n);
        const vf d = vf_keep(m, vf_sub(LD(x + j), vf_set(*mean)));
        q = vf_fma(d, d, q);
    }
    *inv = 1.0f / sqrtf(vf_sum(q) / (float)n + eps);
}

static void layer_norm_grad(const float *dy, const float *x, const float *weight, float eps,
                            float *dx, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, dy += cols, x += cols, dx += cols) {
        float mean, inv;
        moments(x, cols, eps, &mean, &inv);
        const vf mu = vf_set(mean), r = vf_set(inv);
        vf a = vf_set(0.0f), b = vf_set(0.0f);
        EACH_VECTOR(j, cols)
        {
            LANES(j, cols);
            const vf g = vf_mul(LD(dy + j), LD(weight + j));
            a = vf_add(a, g);
            b = vf_fma(g, vf_mul(vf_sub(LD(x + j), mu), r), b);
        }
        const vf am = vf_set(vf_sum(a) / (float)cols), bm = vf_set(vf_sum(b) / (float)cols);
        EACH_VECTOR(j, cols)
        {
            LANES(j, cols);
            const vf xhat = vf_mul(vf_sub(LD(x + j), mu), r);
            const vf g = vf_mul(LD(dy + j), LD(weight + j));
            ST(dx + j, vf_mul(r, vf_sub(vf_sub(g, am), vf_mul(xhat, bm))));
        }
    }
}

static void layer_norm_sums(const float *dy, const float *x, float eps, size_t rows, size_t cols,
                            float *dweight, float *dbias)
{
    for (size_t j = 0; j < cols; j++)
        dweight[j] = dbias[j] = 0.0f;
    for (size_t i = 0; i < rows; i++, dy += cols, x += cols) {
        float mean, inv;
        moments(x, cols, eps, &mean, &inv);
        const vf mu = vf_set(mean), r = vf_set(inv);
        EACH_VECTOR(j, cols)
        {
            LANES(j, cols);
            const vf g = LD(dy + j);
            ST(dweight + j, vf_fma(g, vf_mul(vf_sub(LD(x + j), mu), r), LD(dweight + j)));
            ST(dbias + j, vf_add(LD(dbias + j), g));
        }
    }
}

/* One row: loss and gradient, see train_kernels.h. With t_j = cw_j (s / C + (1 - s) [j = y]) the
 * loss is sum t_j (log_sum - z_j) and its gradient (sum t) softmax_j - t_j. */
AM_INLINE float xent_row(const float *z, size_t y, const float *cw, float smoothing, float *dz,
                         size_t cols)
{
    vf top = vf_set(-INFINITY), sum = vf_set(0.0f), dot = sum, mass = sum;
    const vf each = vf_set(smoothing / (float)cols), one = vf_set(1.0f);
    EACH_VECTOR(j, cols)
    {
        LANES(j, cols);
        top = vf_max(top, vf_pick(m, LD(z + j), vf_set(-INFINITY)));
    }
    const float high = vf_hmax(top);
    const vf hv = vf_set(high);
    const int plain = smoothing == 0.0f;
    EACH_VECTOR(j, cols)
    {
        LANES(j, cols);
        const vf d = vf_sub(LD(z + j), hv);
        const vf e = vf_keep(m, vf_exp(d));
        sum = vf_add(sum, e);
        if (!plain) {
            const vf t = vf_keep(m, vf_mul(each, cw ? LD(cw + j) : one));
            dot = vf_fma(t, vf_keep(m, d), dot);
            mass = vf_add(mass, t);
        }
        if (dz)
            ST(dz + j, e);
    }
    const float zy = z[y] - high, total = vf_sum(sum); /* before dz overwrites z */
    const float own = (1.0f - smoothing) * (cw ? cw[y] : 1.0f);
    const float all = (plain ? 0.0f : vf_sum(mass)) + own;
    if (dz) {
        const vf f = vf_set(all / total);
        EACH_VECTOR(j, cols)
        {
            LANES(j, cols);
            vf d = vf_mul(LD(dz + j), f);
            if (!plain)
                d = vf_sub(d, vf_mul(each, cw ? LD(cw + j) : one));
            ST(dz + j, d);
        }
        dz[y] -= own;
    }
    return all * logf(total) - (plain ? 0.0f : vf_sum(dot)) - own * zy;
}

static void softmax_xent(const float *z, const float *target, const float *class_weights,
                         float smoothing, float *row_loss, float *dz, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++) {
        float loss = xent_row(z + i * cols, (size_t)target[i], class_weights, smoothing,
                              dz ? dz + i * cols : NULL, cols);
        if (row_loss)
            row_loss[i] = loss;
    }
}

static void sigmoid_xent(const float *z, const float *target, float smoothing, float *loss,
                         float *dz, size_t n)
{
    const vf zero = vf_set(0.0f), keep = vf_set(1.0f - smoothing), half = vf_set(0.5f * smoothing);
    EACH_VECTOR(i, n)
    {
        LANES(i, n);
        const vf x = LD(z + i), t = vf_fma(LD(target + i), keep, half);
        if (loss) {
            const vf e = vf_exp(vf_sub(zero, vf_abs(x)));
            ST(loss + i, vf_add(vf_fnma(x, t, vf_max(x, zero)), vf_log1p(e)));
        }
        if (dz)
            ST(dz + i, vf_sub(vf_sigmoid(x), t));
    }
}

/* ---- optimisers ---- */

struct optim {
    vf rate, shrink, scale, clip, l1, l2;
    int clips, penal;
};

AM_INLINE struct optim optim_of(const struct am_optim_args *o)
{
    return (struct optim){.rate = vf_set(o->learning_rate),
                          .shrink = vf_set(o->learning_rate * o->decay),
                          .scale = vf_set(o->grad_scale),
                          .clip = vf_set(o->clip_value),
                          .l1 = vf_set(o->l1),
                          .l2 = vf_set(o->l2),
                          .clips = o->clip_value > 0.0f,
                          .penal = o->l1 != 0.0f || o->l2 != 0.0f};
}

AM_INLINE vf pull(const struct optim *p, vf w, vf g)
{
    const vf zero = vf_set(0.0f);
    g = vf_mul(g, p->scale);
    if (p->clips)
        g = vf_min(p->clip, vf_max(vf_sub(zero, p->clip), g));
    if (p->penal) {
        g = vf_fma(p->l2, w, g);
        g = vf_add(g, vf_pick(vf_gt(w, zero), p->l1, zero));
        g = vf_sub(g, vf_pick(vf_lt(w, zero), p->l1, zero));
    }
    return g;
}

/* BODY sees x = the decayed weight, d = the gradient, and sets x */
#define OPTIM(BODY)                                                                                \
    const struct optim p = optim_of(o);                                                            \
    const unsigned mode = vf_flush();                                                              \
    for (size_t i = 0; i < n; i += VL) {                                                           \
        const vf w0 = vf_load(w + i), d = pull(&p, w0, vf_load(g + i));                            \
        vf x = vf_fnma(p.shrink, w0, w0);                                                          \
        BODY vf_store(w + i, x);                                                                   \
    }                                                                                              \
    vf_gradual(mode);

static void sgd(size_t n, float *w, const float *g, const struct am_optim_args *o)
{
    OPTIM(x = vf_fnma(p.rate, d, x);)
}

static void momentum(size_t n, float *w, const float *g, float *m, const struct am_optim_args *o)
{
    const vf mu = vf_set(o->momentum);
    OPTIM(const vf v = vf_fma(mu, vf_load(m + i), d); vf_store(m + i, v);
          x = vf_fnma(p.rate, v, x);)
}

static void nesterov(size_t n, float *w, const float *g, float *m, const struct am_optim_args *o)
{
    const vf mu = vf_set(o->momentum);
    OPTIM(const vf v = vf_fma(mu, vf_load(m + i), d); vf_store(m + i, v);
          x = vf_fnma(p.rate, vf_fma(mu, v, d), x);)
}

static void adagrad(size_t n, float *w, const float *g, float *v, const struct am_optim_args *o)
{
    const vf eps = vf_set(o->eps);
    OPTIM(const vf s = vf_fma(d, d, vf_load(v + i)); vf_store(v + i, s);
          x = vf_fnma(p.rate, vf_div(d, vf_add(vf_sqrt(s), eps)), x);)
}

static void rmsprop(size_t n, float *w, const float *g, float *m, float *v,
                    const struct am_optim_args *o)
{
    const vf eps = vf_set(o->eps), b = vf_set(o->beta2), c = vf_set(1.0f - o->beta2);
    const vf mu = vf_set(o->momentum);
    const int moves = o->momentum > 0.0f;
    OPTIM(const vf s = vf_fma(b, vf_load(v + i), vf_mul(vf_mul(c, d), d)); vf_store(v + i, s);
          vf q = vf_div(d, vf_add(vf_sqrt(s), eps)); if (moves) {
              q = vf_fma(mu, vf_load(m + i), q);
              vf_store(m + i, q);
          } x = vf_fnma(p.rate, q, x);)
}

static void adam(size_t n, float *w, const float *g, float *m, float *v,
                 const struct am_optim_args *o)
{
    const vf c1 = vf_set(1.0f - o->beta1), b2 = vf_set(o->beta2), c2 = vf_set(1.0f - o->beta2);
    const vf eps = vf_set(o->eps), root = vf_set(1.0f / sqrtf(o->correction2));
    const vf rate = vf_set(o->learning_rate / o->correction1);
    OPTIM(const vf m0 = vf_load(m + i); const vf m1 = vf_fma(c1, vf_sub(d, m0), m0);
          const vf v1 = vf_fma(b2, vf_load(v + i), vf_mul(vf_mul(c2, d), d)); vf_store(m + i, m1);
          vf_store(v + i, v1);
          x = vf_fnma(rate, vf_mul(m1, vf_inverse_quick(vf_fma(vf_sqrt_quick(v1), root, eps))), x);)
}

static double sum_squares(size_t n, const float *x)
{
    double total = 0;
    for (size_t i0 = 0; i0 < n; i0 += 4096) {
        const size_t i1 = n - i0 < 4096 ? n : i0 + 4096;
        double lane[16] = {0};
        for (size_t i = i0; i < i1; i += 16)
            for (size_t k = 0; k < 16; k++)
                lane[k] += (double)x[i + k] * (double)x[i + k];
        for (size_t w = 8; w > 0; w /= 2)
            for (size_t k = 0; k < w; k++)
                lane[k] += lane[k + w];
        total += lane[0];
    }
    return total;
}

static void pool_grad(const struct am_pooling_shape *p, const float *dy, const float *x, float *dx,
                      size_t n0, size_t n1)
{
    pool_grad_pictures(p, dy, x, dx, n0, n1);
}

extern const struct am_train_kernels TKERN_TABLE;
const struct am_train_kernels TKERN_TABLE = {.name = KERN_NAME,
                                             .act_grad = act_grad,
                                             .softmax_grad = softmax_grad,
                                             .col_sum = col_sum,
                                             .dropout = dropout,
                                             .col_stats = col_stats,
                                             .norm_sums = norm_sums,
                                             .batch_norm_grad = batch_norm_grad,
                                             .layer_norm_grad = layer_norm_grad,
                                             .layer_norm_sums = layer_norm_sums,
                                             .pool_grad = pool_grad,
                                             .softmax_xent = softmax_xent,
                                             .sigmoid_xent = sigmoid_xent,
                                             .sgd = sgd,
                                             .momentum = momentum,
                                             .nesterov = nesterov,
                                             .adagrad = adagrad,
                                             .rmsprop = rmsprop,
                                             .adam = adam,
                                             .sum_squares = sum_squares};
