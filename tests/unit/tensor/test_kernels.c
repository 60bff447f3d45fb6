/* Every kernel of every table against ref on random shapes (1, primes, nothing), and what the bits
 * promise asks of one table: an element does not depend on rows, chunks or columns around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "tensor/blas.h"
#include "tensor/train_kernels.h"

static const char *const tables[] = {"avx2", "avx512"};
static const size_t sizes[] = {1,  2,  3,  5,  7,  8,  13,  15,  16,  17,
                               31, 32, 33, 61, 64, 67, 127, 129, 257, 301};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

static float *floats(size_t n)
{
    float *p = am_alloc_aligned(64, (n + 16) * sizeof(float));
    assert_non_null(p);
    memset(p, 0, (n + 16) * sizeof(float));
    return p;
}

static float *normals(size_t n, uint64_t seed)
{
    float *p = floats(n);
    struct am_rng r;
    am_rng_init(&r, seed, AM_RNG_USER);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)am_rng_normal(&r);
    return p;
}

/* norm-wise */
static void near(const char *what, const float *got, const float *want, size_t n, double tolerance)
{
    double d = 0, w = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        w += (double)want[i] * (double)want[i];
    }
    if (!(sqrt(d) <= tolerance * sqrt(w) + 1e-30)) {
        print_error("%s, %zu floats: off by %g of %g\n", what, n, sqrt(d), sqrt(w));
        fail();
    }
}

static void same(const char *what, const float *a, const float *b, size_t n)
{
    if (memcmp(a, b, n * sizeof(float)) != 0) {
        print_error("%s: other bits\n", what);
        fail();
    }
}

/* The same product by one table: whole, row by row, in pieces, packed, with the rows of A as
 * columns. */
static void gemm_one(const struct am_kernels *k, size_t m, size_t n, size_t p, enum am_act act)
{
    const struct am_kernels *ref = &am_kernels_ref;
    float *a = normals(m * p, m * 7 + p), *at = floats(m * p), *b = normals(p * n, n * 3 + p);
    float *bias = normals(n, n), *c = floats(m * n), *want = floats(m * n);
    float *bt = floats(n * p), *packed = floats(am_pack_floats(k, p, n)),
          *packed2 = floats(am_pack_floats(k, p, n));
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < p; j++)
            at[j * m + i] = a[i * p + j];
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < n; j++)
            bt[j * p + i] = b[i * n + j];
    struct am_gemm g = {m, n, p, a, p, 1, b, n, want, n, bias, act, 0.25f};
    ref->gemm(&g, 0, m, 0, n);
    g.c = c;
    k->gemm(&g, 0, m, 0, n);
    near("gemm", c, want, m * n, 2e-6);
    memcpy(want, c, m * n * sizeof(float)); /* from here on bits */
    memset(c, 0xff, m * n * sizeof(float));
    for (size_t i = 0; i < m; i++)
        k->gemm(&g, i, i + 1, 0, n);
    same("gemm by rows", c, want, m * n);
    memset(c, 0xff, m * n * sizeof(float));
    for (size_t j = 0; j < n; j += k->panel)
        k->gemm(&g, 0, m, j, j + k->panel < n ? j + k->panel : n);
    same("gemm by panels", c, want, m * n);
    am_pack(k, b, n, p, n, packed);
    am_pack_transposed(k, bt, p, p, n, packed2);
    same("packing", packed, packed2, am_pack_floats(k, p, n));
    g.b = packed;
    g.b_row = 0;
    memset(c, 0xff, m * n * sizeof(float));
    k->gemm(&g, 0, m, 0, n);
    same("gemm packed", c, want, m * n);
    g = (struct am_gemm){m, n, p, at, 1, m, b, n, c, n, bias, act, 0.25f};
    memset(c, 0xff, m * n * sizeof(float));
    k->gemm(&g, 0, m, 0, n);
    same("gemm of the transposed", c, want, m * n);
    float *all[] = {a, at, b, bias, c, want, bt, packed, packed2};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        am_free(all[i]);
}

static void gemm(void **state)
{
    (void)state;
    struct am_rng r;
    am_rng_init(&r, 3, AM_RNG_USER);
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        for (size_t i = 0; k && i < 120; i++) {
            const size_t m = sizes[am_rng_below(&r, i < 60 ? N_SIZES : 11)];
            gemm_one(k, m, sizes[am_rng_below(&r, N_SIZES)], sizes[am_rng_below(&r, N_SIZES)],
                     (enum am_act)(i % AM_ACT_SOFTMAX));
        }
        for (size_t m = 1; k && m <= 30; m++)
            gemm_one(k, m, 77, 11, AM_ACT_RELU);
    }
}

static void gemm_of_nothing(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        float x[32] = {0}, c[32] = {7};
        const struct am_gemm g = {0, 16, 1, x, 1, 1, x, 16, c, 16, NULL, AM_ACT_NONE, 0};
        if (k)
            k->gemm(&g, 0, 0, 0, 16);
        assert_true(c[0] == 7.0f);
    }
}

static void gemm_keeps_nan_and_infinity(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        float a[2] = {NAN, 1}, b[2] = {1, 0}, c = 0;
        struct am_gemm g = {1, 1, 2, a, 2, 1, b, 1, &c, 1, NULL, AM_ACT_RELU, 0};
        if (!k)
            continue;
        k->gemm(&g, 0, 1, 0, 1);
        assert_true(isnan(c));
        a[0] = INFINITY;
        k->gemm(&g, 0, 1, 0, 1);
        assert_true(isinf(c));
    }
}

static void activations(void **state)
{
    (void)state;
    const struct am_train_kernels *tref = &am_train_kernels_ref;
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        const struct am_train_kernels *tk = am_train_kernels_find(tables[t]);
        for (size_t i = 0; k && i < N_SIZES; i++) {
            const size_t n = sizes[i];
            float *x = normals(n, i), *y = floats(n), *want = floats(n), *dy = normals(n, 99 + i);
            for (size_t j = 0; j < n; j++)
                x[j] *= j % 3 ? 1.0f : 12.0f;
            for (enum am_act a = AM_ACT_NONE; a < AM_ACT_SOFTMAX; a++) {
                am_kernels_ref.act(a, 1.0f, x, want, n);
                k->act(a, 1.0f, x, y, n);
                near("act", y, want, n, 1e-6);
                const bool by_x = a == AM_ACT_GELU || a == AM_ACT_GELU_TANH || a == AM_ACT_SILU;
                const float *saved = by_x ? x : want;
                float *slope = floats(n), *slope_want = floats(n);
                tref->act_grad(a, 1.0f, dy, saved, slope_want, n);
                tk->act_grad(a, 1.0f, dy, saved, slope, n);
                near("act_grad", slope, slope_want, n, 2e-6);
                am_free(slope);
                am_free(slope_want);
            }
            am_free(x);
            am_free(y);
            am_free(want);
            am_free(dy);
        }
    }
}

/* Far out, where naive forms overflow. */
static void activations_at_the_ends(void **state)
{
    (void)state;
    static const float ends[] = {-INFINITY, -1e30f, -200.0f,  -104.5f, -90.0f, 90.0f,
                                 200.0f,    1e30f,  INFINITY, NAN,     0.0f};
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        for (enum am_act a = AM_ACT_RELU; k && a < AM_ACT_SOFTMAX; a++)
            for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
                float got, want;
                if (isinf(ends[i]) &&
                    (a == AM_ACT_GELU || a == AM_ACT_GELU_TANH || a == AM_ACT_SILU))
                    continue; /* infinity times zero */
                am_kernels_ref.act(a, 1.0f, &ends[i], &want, 1);
                k->act(a, 1.0f, &ends[i], &got, 1);
                const bool ok = isnan(want)   ? isnan(got)
                                : isinf(want) ? got == want
                                              : fabsf(got - want) <= 1e-6f * fabsf(want) + 1e-37f;
                if (!ok)
                    print_error("%s act %d at %g: %g, not %g\n", k->name, (int)a, (double)ends[i],
                                (double)got, (double)want);
                assert_true(ok);
            }
    }
}

static void rows_and_columns(void **state)
{
    (void)state;
    const struct am_kernels *ref = &am_kernels_ref;
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        for (size_t i = 0; k && i < N_SIZES * 5; i++) {
            const size_t cols = sizes[i % N_SIZES],
                         rows = i / N_SIZES == 4 ? 0 : sizes[i / N_SIZES * 2], n = rows * cols;
            float *x = normals(n, i), *z = normals(n, 4), *w = normals(cols, 1),
                  *b = normals(cols, 2);
            float *y = floats(n), *want = floats(n);
            ref->softmax(x, want, rows, cols);
            k->softmax(x, y, rows, cols);
            near("softmax", y, want, n, 1e-6);
            ref->layer_norm(x, w, b, 1e-5f, want, rows, cols);
            k->layer_norm(x, w, b, 1e-5f, y, rows, cols);
            near("layer_norm", y, want, n, 1e-5);
            ref->affine(x, w, b, want, rows, cols);
            k->affine(x, w, b, y, rows, cols);
            near("affine", y, want, n, 1e-6);
            ref->add(x, z, want, n);
            k->add(x, z, y, n);
            same("add", y, want, n);
            ref->mul(x, z, want, n);
            k->mul(x, z, y, n);
            same("mul", y, want, n);
            ref->scale(x, 1.5f, 0.5f, want, n);
            k->scale(x, 1.5f, 0.5f, y, n);
            near("scale", y, want, n, 1e-6);
            am_free(x);
            am_free(z);
            am_free(w);
            am_free(b);
            am_free(y);
            am_free(want);
        }
    }
}

static void norms_one(const struct am_train_kernels *k, size_t rows, size_t cols)
{
    const struct am_train_kernels *ref = &am_train_kernels_ref;
    const size_t n = rows * cols;
    float *x = normals(n, rows), *dy = normals(n, cols), *w = normals(cols, 5);
    float *mean = floats(cols), *var = floats(cols), *m2 = floats(cols), *v2 = floats(cols);
    float *s1 = floats(cols), *s2 = floats(cols), *s3 = floats(cols), *s4 = floats(cols),
          *dx = floats(n), *want = floats(n);
    ref->col_sum(dy, rows, cols, 0, cols, s1);
    k->col_sum(dy, rows, cols, 0, cols, s2);
    near("col_sum", s2, s1, cols, 1e-5);
    for (size_t j = 0; j < cols; j++)
        k->col_sum(dy, rows, cols, j, j + 1, s3);
    same("col_sum by columns", s3, s2, cols);
    ref->col_stats(x, rows, cols, 0, cols, mean, var);
    k->col_stats(x, rows, cols, 0, cols, m2, v2);
    near("mean", m2, mean, cols, 1e-5);
    near("variance", v2, var, cols, 1e-5);
    ref->norm_sums(dy, x, mean, var, 1e-5f, rows, cols, 0, cols, s1, s2);
    k->norm_sums(dy, x, mean, var, 1e-5f, rows, cols, 0, cols, s3, s4);
    near("sum of dy", s3, s1, cols, 1e-5);
    near("sum of dy xhat", s4, s2, cols, 1e-5);
    ref->batch_norm_grad(dy, x, mean, var, 1e-5f, w, s1, s2, want, rows, cols, 0, rows);
    k->batch_norm_grad(dy, x, mean, var, 1e-5f, w, s1, s2, dx, rows, cols, 0, rows / 2);
    k->batch_norm_grad(dy, x, mean, var, 1e-5f, w, s1, s2, dx, rows, cols, rows / 2, rows);
    if (rows > 2) /* with one or two rows only rounding is left */
        near("batch_norm_grad", dx, want, n, 1e-5);
    ref->layer_norm_grad(dy, x, w, 1e-3f, want, rows, cols);
    k->layer_norm_grad(dy, x, w, 1e-3f, dx, rows, cols);
    if (cols > 2)
        near("layer_norm_grad", dx, want, n, 1e-5);
    ref->layer_norm_sums(dy, x, 1e-3f, rows, cols, s1, s2);
    k->layer_norm_sums(dy, x, 1e-3f, rows, cols, s3, s4);
    if (cols > 1)
        near("layer_norm_sums", s3, s1, cols, 1e-5);
    near("layer_norm_sums", s4, s2, cols, 1e-5);
    float *all[] = {x, dy, w, mean, var, m2, v2, s1, s2, s3, s4, dx, want};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        am_free(all[i]);
}

static void norms(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        const struct am_train_kernels *k = am_train_kernels_find(tables[t]);
        for (size_t i = 0; k && i < N_SIZES; i++) {
            norms_one(k, sizes[i], sizes[(i * 7 + 3) % N_SIZES]);
            norms_one(k, 0, sizes[i]);
        }
    }
}

static void losses(void **state)
{
    (void)state;
    const struct am_train_kernels *ref = &am_train_kernels_ref;
    for (size_t t = 0; t < 2; t++) {
        const struct am_train_kernels *k = am_train_kernels_find(tables[t]);
        for (size_t i = 0; k && i < N_SIZES * 4; i++) {
            const size_t cols = sizes[i % N_SIZES], rows = 5;
            const float smoothing = i / N_SIZES % 2 ? 0.1f : 0.0f;
            float *z = normals(rows * cols, i), *target = floats(rows), *cw = normals(cols, 8);
            float *l1 = floats(rows * cols), *l2 = floats(rows * cols), *d1 = floats(rows * cols),
                  *d2 = floats(rows * cols);
            for (size_t r = 0; r < rows; r++)
                target[r] = (float)((r * 5) % cols);
            for (size_t j = 0; j < cols; j++)
                cw[j] = fabsf(cw[j]) + 0.1f;
            z[0] += 90.0f; /* exp of it alone would be near the end of the range */
            const float *w = i / N_SIZES / 2 ? cw : NULL;
            ref->softmax_xent(z, target, w, smoothing, l1, d1, rows, cols);
            k->softmax_xent(z, target, w, smoothing, l2, d2, rows, cols);
            if (cols > 1) { /* with one class the loss is 0 */
                near("softmax_xent", l2, l1, rows, 1e-5);
                near("softmax_xent dz", d2, d1, rows * cols, 1e-5);
            }
            for (size_t e = 0; e < rows * cols; e++)
                cw[e % cols] = 0.5f;
            float *t2 = floats(rows * cols);
            for (size_t e = 0; e < rows * cols; e++)
                t2[e] = (float)(e % 2);
            ref->sigmoid_xent(z, t2, smoothing, l1, d1, rows * cols);
            k->sigmoid_xent(z, t2, smoothing, l2, d2, rows * cols);
            near("sigmoid_xent", l2, l1, rows * cols, 1e-6);
            near("sigmoid_xent dz", d2, d1, rows * cols, 1e-6);
            float *all[] = {z, target, cw, l1, l2, d1, d2, t2};
            for (size_t q = 0; q < sizeof all / sizeof all[0]; q++)
                am_free(all[q]);
        }
    }
}

static void dropout_masks(void **state)
{
    (void)state;
    enum { N = 5000 };
    float *x = floats(N), *want = floats(N), *y = floats(N);
    for (size_t i = 0; i < N; i++)
        x[i] = 1.0f;
    const uint64_t base = 0xfffffff0u; /* the counter's low word wraps inside */
    am_train_kernels_ref.dropout(x, want, 0, N, 0.25f, 42, 6, base);
    size_t kept = 0;
    for (size_t i = 0; i < N; i++)
        kept += want[i] != 0.0f;
    assert_in_range(kept, N * 72 / 100, N * 78 / 100);
    for (size_t t = 0; t < 2; t++) {
        const struct am_train_kernels *k = am_train_kernels_find(tables[t]);
        if (!k)
            continue;
        for (size_t n = 1; n < 200; n += 13) {
            memset(y, 0, N * sizeof(float));
            k->dropout(x, y, 0, n, 0.25f, 42, 6, base);
            same("dropout", y, want, n);
            assert_true(y[n] == 0.0f);
        }
        k->dropout(x, y, 0, 1024, 0.25f, 42, 6, base);
        k->dropout(x, y, 1024, N, 0.25f, 42, 6, base);
        same("dropout in pieces", y, want, N);
        am_train_kernels_ref.dropout(x, want, 0, N, 0.25f, 42, 6, base);
    }
    am_free(x);
    am_free(want);
    am_free(y);
}

typedef void step_fn(const struct am_train_kernels *k, size_t n, float *w, const float *g, float *m,
                     float *v, const struct am_optim_args *o);
static void do_sgd(const struct am_train_kernels *k, size_t n, float *w, const float *g, float *m,
                   float *v, const struct am_optim_args *o)
{
    (void)m, (void)v;
    k->sgd(n, w, g, o);
}
static void do_momentum(const struct am_train_kernels *k, size_t n, float *w, const float *g,
                        float *m, float *v, const struct am_optim_args *o)
{
    (void)v;
    k->momentum(n, w, g, m, o);
}
static void do_nesterov(const struct am_train_kernels *k, size_t n, float *w, const float *g,
                        float *m, float *v, const struct am_optim_args *o)
{
    (void)v;
    k->nesterov(n, w, g, m, o);
}
static void do_adagrad(const struct am_train_kernels *k, size_t n, float *w, const float *g,
                       float *m, float *v, const struct am_optim_args *o)
{
    (void)m;
    k->adagrad(n, w, g, v, o);
}
static void do_rmsprop(const struct am_train_kernels *k, size_t n, float *w, const float *g,
                       float *m, float *v, const struct am_optim_args *o)
{
    k->rmsprop(n, w, g, m, v, o);
}
static void do_adam(const struct am_train_kernels *k, size_t n, float *w, const float *g, float *m,
                    float *v, const struct am_optim_args *o)
{
    k->adam(n, w, g, m, v, o);
}

static void optimisers(void **state)
{
    (void)state;
    static step_fn *const steps[] = {do_sgd,     do_momentum, do_nesterov,
                                     do_adagrad, do_rmsprop,  do_adam};
    enum { N = 160 };
    for (size_t t = 0; t < 2; t++) {
        const struct am_train_kernels *k = am_train_kernels_find(tables[t]);
        for (size_t s = 0; k && s < 6 * 2; s++) {
            const struct am_optim_args o = {.learning_rate = 0.01f,
                                            .grad_scale = 0.5f,
                                            .clip_value = s % 2 ? 0.3f : 0,
                                            .l1 = s % 2 ? 0.01f : 0,
                                            .l2 = s % 2 ? 0.02f : 0,
                                            .decay = s % 2 ? 0.1f : 0,
                                            .momentum = 0.9f,
                                            .beta1 = 0.9f,
                                            .beta2 = 0.99f,
                                            .eps = 1e-8f,
                                            .correction1 = 0.3f,
                                            .correction2 = 0.05f};
            float *w1 = normals(N, 1), *w2 = normals(N, 1), *m1 = floats(N), *m2 = floats(N),
                  *v1 = floats(N), *v2 = floats(N);
            float *w3 = normals(N, 1), *m3 = floats(N), *v3 = floats(N);
            for (uint64_t i = 0; i < 5; i++) {
                float *g = normals(N, 10 + i);
                g[3] = 0.0f;
                steps[s / 2](&am_train_kernels_ref, N, w1, g, m1, v1, &o);
                steps[s / 2](k, N, w2, g, m2, v2, &o);
                for (size_t at = 0; at < N; at += 16) /* any split at 16 gives the same bits */
                    steps[s / 2](k, 16, w3 + at, g + at, m3 + at, v3 + at, &o);
                am_free(g);
            }
            near("optimiser", w2, w1, N, 1e-6);
            same("optimiser in pieces", w3, w2, N);
            float *all[] = {w1, w2, m1, m2, v1, v2, w3, m3, v3};
            for (size_t q = 0; q < sizeof all / sizeof all[0]; q++)
                am_free(all[q]);
        }
        float *x = normals(9008, 3);
        if (k)
            assert_true(fabs(k->sum_squares(9008, x) - am_train_kernels_ref.sum_squares(9008, x)) <
                        1e-9 * 9008);
        am_free(x);
    }
}

static void choice(void **state)
{
    (void)state;
    assert_ptr_equal(am_kernels_find("ref"), &am_kernels_ref);
    assert_null(am_kernels_find("nonsense"));
    assert_non_null(am_kernels_best());
    assert_string_equal(am_train_kernels_best()->name, am_kernels_best()->name);
    assert_non_null(strstr(am_numerics_profile(), am_kernels_best()->name));
}

static void blas(void **state)
{
    (void)state;
    const struct am_blas *b;
    struct am_err err;
    if (am_blas_open(&b, &err) != AM_OK) {
        assert_int_equal(err.rc, AM_EMISSING);
        assert_non_null(strstr(err.hint, "libopenblas0"));
        assert_null(am_blas());
        return;
    }
    assert_ptr_equal(b, am_blas());
    /* [4 2; 2 3] x = [8; 7] by Cholesky: x = [1.25; 1.5] */
    double a[4] = {4, 2, 2, 3}, x[2] = {8, 7};
    const int n = 2, one = 1;
    int info;
    b->dpotrf("L", &n, a, &n, &info, 1);
    assert_int_equal(info, 0);
    b->dpotrs("L", &n, &one, a, &n, x, &n, &info, 1);
    assert_true(fabs(x[0] - 1.25) < 1e-12 && fabs(x[1] - 1.5) < 1e-12);
    const float m[6] = {1, 2, 3, 4, 5, 6};
    float c[4] = {0};
    b->sgemm(AM_BLAS_ROW_MAJOR, AM_BLAS_NO_TRANS, AM_BLAS_TRANS, 2, 2, 3, 1, m, 3, m, 3, 0, c, 2);
    assert_true(c[0] == 14.0f && c[1] == 32.0f && c[3] == 77.0f);
}

/* Values with many ties, or with NaN and infinities among them. */
static float *awkward(size_t n, uint64_t seed, bool special)
{
    float *x = normals(n, seed);
    for (size_t i = 0; i < n; i++) {
        x[i] = floorf(x[i] * 2.0f);
        if (special && i % 7 == 3)
            x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? -INFINITY : INFINITY;
    }
    return x;
}

static void pool_one(const struct am_kernels *k, const struct am_train_kernels *t, size_t n,
                     const struct am_pooling_shape *p, bool special)
{
    const size_t in = n * p->h * p->w * p->c, out = n * p->out_h * p->out_w * p->c;
    float *x = p->average ? normals(in, 1) : awkward(in, in + p->c, special), *y = floats(out);
    float *want = floats(out), *dy = normals(out, 9), *dx = floats(in), *want_dx = floats(in);
    am_kernels_ref.pool(p, x, want, 0, n * p->out_h);
    k->pool(p, x, y, 0, n * p->out_h);
    am_train_kernels_ref.pool_grad(p, dy, x, want_dx, 0, n);
    memset(dx, 0xff, in * sizeof(float));
    t->pool_grad(p, dy, p->average ? NULL : x, dx, 0, n);
    if (p->average)
        near("average pool", y, want, out, 1e-6);
    else
        for (size_t i = 0; i < out; i++) /* NaN has many bits */
            assert_true(y[i] == want[i] || (isnan(y[i]) && isnan(want[i])));
    near("pool_grad", dx, want_dx, in, 1e-6);
    float *again = floats(out), *again_dx = floats(in);
    memset(again_dx, 0xff, in * sizeof(float));
    for (size_t r = 0; r < n * p->out_h; r++)
        k->pool(p, x, again, r, r + 1);
    for (size_t i = 0; i < n; i++)
        t->pool_grad(p, dy, x, again_dx, i, i + 1);
    same("pool by rows", again, y, out);
    same("pool_grad by pictures", again_dx, dx, in);
    float *all[] = {x, y, want, dy, dx, want_dx, again, again_dx};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        am_free(all[i]);
}

static void pools(void **state)
{
    (void)state;
    static const size_t shapes[][9] = {
        /* n h w, kernel, stride, pad */
        {2, 4, 6, 2, 2, 2, 2, 0, 0},       {3, 7, 5, 2, 2, 2, 2, 0, 0},
        {2, 7, 9, 3, 3, 2, 2, 1, 1},       {1, 1, 1, 1, 1, 1, 1, 0, 0},
        {2, 5, 11, 3, 2, 1, 3, 1, 0},      {2, 11, 7, 5, 4, 2, 3, 2, 2},
        {1, 6, 6, 3, 3, 3, 3, 0, 0},       {1, 8, 8, 2, 2, 3, 3, 0, 0},
        {1, 1, 600, 1, 600, 1, 600, 0, 0}, {0, 4, 4, 2, 2, 2, 2, 0, 0}};
    for (size_t t = 0; t < 2; t++) {
        const struct am_kernels *k = am_kernels_find(tables[t]);
        for (size_t i = 0; k && i < sizeof shapes / sizeof shapes[0]; i++)
            for (size_t c = 0; c < N_SIZES - 4; c++)
                for (int mode = 0; mode < 4; mode++) {
                    const size_t *v = shapes[i];
                    struct am_pooling_shape p = {.h = v[1],
                                                 .w = v[2],
                                                 .c = sizes[c],
                                                 .kernel = {v[3], v[4]},
                                                 .stride = {v[5], v[6]},
                                                 .pad = {v[7], v[8]},
                                                 .average = mode > 1,
                                                 .skip_pad = mode == 3};
                    p.out_h = (p.h + 2 * p.pad[0] - p.kernel[0]) / p.stride[0] + 1;
                    p.out_w = (p.w + 2 * p.pad[1] - p.kernel[1]) / p.stride[1] + 1;
                    pool_one(k, am_train_kernels_find(tables[t]), v[0], &p, mode == 1);
                }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gemm),
                                       cmocka_unit_test(gemm_of_nothing),
                                       cmocka_unit_test(gemm_keeps_nan_and_infinity),
                                       cmocka_unit_test(activations),
                                       cmocka_unit_test(activations_at_the_ends),
                                       cmocka_unit_test(rows_and_columns),
                                       cmocka_unit_test(norms),
                                       cmocka_unit_test(pools),
                                       cmocka_unit_test(losses),
                                       cmocka_unit_test(dropout_masks),
                                       cmocka_unit_test(optimisers),
                                       cmocka_unit_test(choice),
                                       cmocka_unit_test(blas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
