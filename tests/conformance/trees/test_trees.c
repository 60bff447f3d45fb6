/* The suite of the port learn/trees.h, run against every driver of it: margins are the sums of the
 * trees that come out, for training and validation rows, missing values and sparse rows; the same
 * trees for any number of threads and any cut into batches; feeds that fail or lie; settings out of
 * range; pages that are gone afterwards. */
#include "../driver.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/trees.h"

#define N 3000
#define M 400 /* validation rows, at the end */
#define F 6

static const char *driver;
static const struct am_trees_ops *ops;
static struct am_err err;
static float x[(N + M) * F], y[N + M];

static int setup(void **state)
{
    (void)state;
    struct am_rng r;
    am_rng_init(&r, 11, AM_RNG_USER);
    for (size_t i = 0; i < N + M; i++) {
        double z = 0;
        for (size_t j = 0; j < F; j++) {
            x[i * F + j] = (float)am_rng_normal(&r);
            z += (double)x[i * F + j] * ((double)j - 2);
            if (am_rng_below(&r, 15) == 0)
                x[i * F + j] = NAN;
        }
        y[i] = (float)z;
    }
    ops = open_driver(driver, sizeof *ops);
    return !ops || ops->start(am_host_table(), &err) != AM_OK;
}

enum how { WELL, FAILS, NOTHING, TOO_MANY };
struct feed {
    size_t first, most; /* rows of a batch */
    enum how how;
    struct am_csr_buf sparse;
};

static enum am_rc batch(void *ctx, uint64_t first, const float **out, struct am_csr *sparse,
                        size_t *n, struct am_err *e)
{
    struct feed *f = ctx;
    (void)sparse;
    if (f->how == FAILS && first > 0)
        return am_fail(e, AM_EIO, "the feed has enough");
    *n = f->most;
    if (f->first + first + *n > (f->first ? N + M : N))
        *n = (f->first ? N + M : N) - f->first - (size_t)first;
    if (f->how == NOTHING && first > 0)
        *n = 0;
    if (f->how == TOO_MANY)
        *n = N + M + 1;
    *out = x + (f->first + first) * F;
    return AM_OK;
}

static enum am_rc batch_sparse(void *ctx, uint64_t first, const float **out, struct am_csr *sparse,
                               size_t *n, struct am_err *e)
{
    struct feed *f = ctx;
    (void)e;
    (void)out;
    *n = f->most < N - first ? f->most : (size_t)(N - first);
    const struct am_csr all = am_csr_of(&f->sparse);
    *sparse = am_csr_rows(&all, (size_t)first, *n);
    return AM_OK;
}

static struct am_boost_rows rows_of(struct feed *f, size_t n)
{
    return (struct am_boost_rows){.n_rows = n, .n_features = F, .ctx = f, .batch = batch};
}

static struct am_boost_config config_of(size_t n_outputs, unsigned threads)
{
    return (struct am_boost_config){.n_outputs = n_outputs,
                                    .depth = 4,
                                    .bins = 64,
                                    .learning_rate = 0.3,
                                    .lambda = 1,
                                    .min_child_weight = 1,
                                    .column_sample = 1,
                                    .seed = 3,
                                    .n_threads = threads};
}

/* Squared error towards y (output k: towards y + k); multiples of 2^-10, so that sums are exact. */
static void grow(struct am_booster *b, size_t k, size_t rounds)
{
    float *g = am_alloc(N * k * sizeof *g), *h = am_alloc(N * k * sizeof *h);
    for (size_t r = 0; r < rounds; r++) {
        const float *m;
        assert_int_equal(ops->margins(b, false, &m, &err), AM_OK);
        for (size_t i = 0; i < N * k; i++) {
            g[i] = rintf((m[i] - y[i / k] - (float)(i % k)) * 1024) / 1024;
            h[i] = 1;
        }
        if (ops->grow(b, g, h, &err) != AM_OK)
            fail_msg("%s", err.message);
    }
    am_free(g);
    am_free(h);
}

struct sum {
    size_t n_outputs, n_trees, n_nodes;
    bool zero_missing;
    float *y; /* [N + M, n_outputs] */
    uint64_t hash;
};

static void mix(uint64_t *hash, const void *p, size_t n)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++)
        *hash = (*hash ^ c[i]) * 0x100000001b3u;
}

static enum am_rc take(void *ctx, size_t round, size_t output, const struct am_boost_tree *t,
                       struct am_err *e)
{
    struct sum *s = ctx;
    (void)e;
    assert_int_equal(round * s->n_outputs + output, s->n_trees++);
    s->n_nodes += t->n_nodes;
    for (size_t i = 0; i < t->n_nodes; i++) {
        mix(&s->hash, &t->feature[i], 4);
        mix(&s->hash, &t->threshold[i], 4);
        assert_true(t->cover[i] >= 0 && (t->feature[i] < 0 || t->gain[i] >= 0));
    }
    for (size_t row = 0; row < N + M; row++) {
        size_t i = 0;
        while (t->feature[i] >= 0) {
            const float v = x[row * F + (size_t)t->feature[i]];
            const bool missing = isnan(v) || (s->zero_missing && v == 0);
            i = (missing ? t->missing_left[i] != 0 : v < t->threshold[i]) ? t->left[i]
                                                                          : t->right[i];
            assert_true(i < t->n_nodes);
        }
        s->y[row * s->n_outputs + output] += t->value[i];
    }
    return AM_OK;
}

static struct sum sum_of(struct am_booster *b, size_t k)
{
    struct sum s = {.n_outputs = k, .hash = 1469598103934665603u};
    s.y = am_calloc((N + M) * k, sizeof *s.y);
    if (ops->trees(b, take, &s, &err) != AM_OK)
        fail_msg("%s", err.message);
    return s;
}

static void check_margins(struct am_booster *b, bool validation, const float *want, size_t n)
{
    const float *m;
    assert_int_equal(ops->margins(b, validation, &m, &err), AM_OK);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(m[i] - want[i]) < 1e-4f * (1 + fabsf(want[i]))))
            fail_msg("margin %zu is %g, the trees say %g", i, (double)m[i], (double)want[i]);
}

static void test_margins(void **state)
{
    (void)state;
    for (size_t k = 1; k <= 3; k += 2) {
        struct feed f = {.most = 700}, v = {.first = N, .most = 150};
        const struct am_boost_rows train = rows_of(&f, N), validation = rows_of(&v, M);
        const struct am_boost_config c = config_of(k, 2);
        struct am_booster *b;
        if (ops->make(&c, &train, &validation, &b, &err) != AM_OK)
            fail_msg("%s", err.message);
        grow(b, k, 5);
        struct sum s = sum_of(b, k);
        assert_int_equal(s.n_trees, 5 * k);
        assert_true(s.n_nodes > 5 * k * 7 && s.n_nodes <= 5 * k * 31);
        check_margins(b, false, s.y, N * k);
        check_margins(b, true, s.y + N * k, M * k);
        double before = 0, after = 0;
        for (size_t i = 0; i < N; i++) {
            before += (double)y[i] * (double)y[i];
            after += pow((double)y[i] - (double)s.y[i * k], 2);
        }
        assert_true(after < 0.6 * before);
        am_free(s.y);
        ops->drop(b);
    }
    assert_non_null(strchr(ops->version(), '.'));
}

static uint64_t hash_of(unsigned threads, size_t most)
{
    struct feed f = {.most = most};
    const struct am_boost_rows train = rows_of(&f, N);
    struct am_boost_config c = config_of(1, threads);
    struct am_booster *b;
    c.column_sample = 0.5;
    assert_int_equal(ops->make(&c, &train, NULL, &b, &err), AM_OK);
    grow(b, 1, 4);
    struct sum s = sum_of(b, 1);
    am_free(s.y);
    ops->drop(b);
    return s.hash;
}

static void test_threads(void **state)
{
    (void)state;
    const uint64_t one = hash_of(1, N);
    for (unsigned t = 2; t < 4; t++)
        assert_true(hash_of(t, N) == one);
}

static void test_sparse(void **state)
{
    (void)state;
    struct feed f = {.most = 333};
    static float keep[(N + M) * F];
    memcpy(keep, x, sizeof x);
    for (size_t i = 0; i < (N + M) * F; i++)
        x[i] = isnan(x[i]) || fabsf(x[i]) < 0.8f ? 0 : x[i];
    am_csr_reset(&f.sparse, F);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(am_csr_push_dense(&f.sparse, x + i * F, &err), AM_OK);
    struct am_boost_rows train = rows_of(&f, N);
    train.sparse = true;
    train.batch = batch_sparse;
    const struct am_boost_config c = config_of(1, 1);
    struct am_booster *b;
    if (ops->make(&c, &train, NULL, &b, &err) != AM_OK)
        fail_msg("%s", err.message);
    grow(b, 1, 3);
    struct sum s = {.n_outputs = 1, .zero_missing = true};
    s.y = am_calloc(N + M, sizeof *s.y);
    assert_int_equal(ops->trees(b, take, &s, &err), AM_OK);
    check_margins(b, false, s.y, N);
    am_free(s.y);
    ops->drop(b);
    am_csr_clear(&f.sparse);
    memcpy(x, keep, sizeof x);
}

static size_t entries(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void test_pages(void **state)
{
    (void)state;
    char dir[] = "/tmp/aimass-pages-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct feed f = {.most = 500}, v = {.first = N, .most = 500};
    const struct am_boost_rows train = rows_of(&f, N), validation = rows_of(&v, M);
    struct am_boost_config c = config_of(1, 2);
    struct am_booster *b;
    c.page_dir = dir;
    if (ops->make(&c, &train, &validation, &b, &err) != AM_OK)
        fail_msg("%s", err.message);
    assert_int_equal(entries(dir), 1);
    grow(b, 1, 3);
    struct sum s = sum_of(b, 1);
    check_margins(b, false, s.y, N);
    check_margins(b, true, s.y + N, M);
    am_free(s.y);
    ops->drop(b);
    assert_int_equal(entries(dir), 0);
    f.how = FAILS;
    assert_int_equal(ops->make(&c, &train, NULL, &b, &err), AM_EIO);
    assert_int_equal(entries(dir), 0);
    c.page_dir = "/tmp/no such folder";
    assert_int_equal(ops->make(&c, &train, NULL, &b, &err), AM_EIO);
    assert_int_equal(rmdir(dir), 0);
}

static void test_bad_feeds(void **state)
{
    (void)state;
    static const struct {
        enum how how;
        enum am_rc rc;
    } bad[] = {{FAILS, AM_EIO}, {NOTHING, AM_EINVAL}, {TOO_MANY, AM_EINVAL}};
    for (size_t i = 0; i < 3; i++) {
        struct feed f = {.most = 500, .how = bad[i].how};
        const struct am_boost_rows train = rows_of(&f, N);
        const struct am_boost_config c = config_of(1, 1);
        struct am_booster *b;
        assert_int_equal(ops->make(&c, &train, NULL, &b, &err), bad[i].rc);
        assert_null(b);
    }
    struct feed f = {.most = 500};
    const struct am_boost_rows train = rows_of(&f, N);
    for (size_t i = 0; i < 5; i++) {
        struct am_boost_config c = config_of(i == 0 ? 0 : 1, i == 1 ? 0 : 1);
        struct am_booster *b;
        c.depth = i == 2 ? 0 : i == 3 ? 25 : 4;
        c.bins = i == 4 ? 257 : 64;
        assert_int_equal(ops->make(&c, &train, NULL, &b, &err), AM_EINVAL);
    }
    ops->drop(NULL);
}

static enum am_rc enough(void *ctx, size_t round, size_t output, const struct am_boost_tree *t,
                         struct am_err *e)
{
    (void)ctx;
    (void)output;
    (void)t;
    return round == 1 ? am_fail(e, AM_EGATE, "the sink has enough") : AM_OK;
}

static void test_sink(void **state)
{
    (void)state;
    struct feed f = {.most = 500};
    const struct am_boost_rows train = rows_of(&f, N);
    const struct am_boost_config c = config_of(1, 1);
    struct am_booster *b;
    const float *m;
    assert_int_equal(ops->make(&c, &train, NULL, &b, &err), AM_OK);
    assert_int_equal(ops->margins(b, true, &m, &err), AM_EINVAL);
    grow(b, 1, 3);
    assert_int_equal(ops->trees(b, enough, NULL, &err), AM_EGATE);
    assert_string_equal(err.message, "the sink has enough");
    ops->drop(b);
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "trees-xgboost";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_margins),   cmocka_unit_test(test_threads),
        cmocka_unit_test(test_sparse),    cmocka_unit_test(test_pages),
        cmocka_unit_test(test_bad_feeds), cmocka_unit_test(test_sink),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
