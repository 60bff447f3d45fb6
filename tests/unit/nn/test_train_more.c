/* Training features: accumulated batches against large ones, averages of the weights against plain
 * arithmetic, frozen parameters and batch norms, learning rates by name, augmented rows, reading
 * ahead, the rate finder, and that a step allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/layers.h"
#include "nn/train.h"
#include "nn/train_checkpoint.h"
#include "nn/train_norm.h"
#include "tests/support/faults.h"

enum { F = 6, CLASSES = 3 };

static struct am_matrix *rows_new(size_t n, uint64_t seed)
{
    struct am_matrix_options o = {.weights = AM_MATRIX_WEIGHTS};
    struct am_matrix *m;
    struct am_rng r;
    am_rng_init(&r, seed, AM_RNG_USER);
    assert_int_equal(am_matrix_new(F, 1, &o, &m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        float x[F], y = (float)am_rng_below(&r, CLASSES), w = (float)(1 + i % 3) / 2;
        for (size_t j = 0; j < F; j++)
            x[j] = (float)am_rng_normal(&r) + (j == (size_t)y ? 1.5f : 0);
        assert_int_equal(am_matrix_append(m, 1, x, &y, &w, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

enum norm { NO_NORM, NORM };

static struct am_graph *model(enum norm norm)
{
    struct am_graph *g;
    struct am_dense_options hidden = {.init = AM_INIT_HE_UNIFORM},
                            last = {.act = AM_ACT_SOFTMAX, .init = AM_INIT_GLOROT_UNIFORM};
    am_value x;
    assert_int_equal(am_graph_new(&g, NULL), AM_OK);
    x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, F));
    x = am_layer_dense(g, x, 40, &hidden, "a");
    if (norm == NORM)
        x = am_layer_batch_norm(g, x, 1e-5f, 0.1f, "n");
    x = am_layer_activation(g, x, AM_ACT_RELU, 0);
    x = am_layer_dense(g, x, 24, &hidden, "b");
    x = am_layer_activation(g, x, AM_ACT_TANH, 0);
    x = am_layer_dense(g, x, CLASSES, &last, "c");
    am_graph_output(g, "y", x);
    assert_int_equal(am_graph_check(g, NULL), AM_OK);
    return g;
}

static struct am_train_config config(void)
{
    struct am_train_config c;
    am_train_config_init(&c);
    c.loss.kind = AM_LOSS_CATEGORICAL;
    c.epochs = 4;
    c.batch_size = 32;
    c.seed = 11;
    c.learning_rate = 0.01;
    return c;
}

struct fit {
    struct am_graph *g;
    struct am_params *p;
    struct am_train_result r;
    struct am_err err;
};

static void fit_new(struct fit *o, enum norm norm)
{
    o->g = model(norm);
    assert_int_equal(am_params_new(o->g, &o->p, NULL), AM_OK);
    am_params_init(o->p, 5);
}

static void fit_clear(struct fit *o)
{
    am_params_free(o->p);
    am_graph_free(o->g);
}

static enum am_rc train(struct fit *o, const struct am_train_data *data,
                        const struct am_train_data *val, const struct am_train_config *c,
                        const struct am_train_hooks *h, unsigned threads)
{
    struct am_pool *pool = NULL;
    enum am_rc rc;
    if (threads > 1)
        assert_int_equal(am_pool_new(threads, &pool, NULL), AM_OK);
    rc = am_train_run(o->g, o->p, data, val, c, h, pool, &o->r, &o->err);
    am_pool_free(pool);
    return rc;
}

static bool same(const struct fit *a, const struct fit *b)
{
    return memcmp(a->p->data, b->p->data, am_params_bytes(a->p)) == 0;
}

static double apart(const struct fit *a, const struct fit *b)
{
    double most = 0;
    for (size_t i = 0; i < a->p->n_floats; i++)
        most = fmax(most, fabs((double)a->p->data[i] - (double)b->p->data[i]));
    return most;
}

static void fit_as(struct fit *o, const struct am_matrix *m, size_t batch, size_t accumulate,
                   uint64_t epochs)
{
    struct am_train_config c = config();
    c.batch_size = batch;
    c.accumulate = accumulate;
    c.epochs = epochs;
    c.optim.kind = AM_OPTIM_MOMENTUM;
    fit_new(o, NO_NORM);
    assert_int_equal(train(o, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
}

/* Blocks of 256 rows are what sums are made of: then not a bit differs. */
static void test_accumulate(void **state)
{
    struct am_matrix *m = rows_new(2500, 1);
    struct fit large, parts;
    (void)state;
    fit_as(&large, m, 1024, 1, 4);
    fit_as(&parts, m, 256, 4, 4);
    assert_true(same(&large, &parts));
    assert_int_equal(large.r.steps, parts.r.steps);
    assert_true(fabs(large.r.train_loss - parts.r.train_loss) < 1e-9);
    fit_clear(&parts);
    fit_as(&parts, m, 256, 3, 4); /* the comparison can fail */
    assert_false(same(&large, &parts));
    fit_clear(&parts);
    fit_clear(&large);
    fit_as(&large, m, 768, 1, 3); /* no power of two */
    fit_as(&parts, m, 256, 3, 3);
    assert_true(same(&large, &parts));
    fit_clear(&parts);
    fit_clear(&large);
    fit_as(&large, m, 96, 1, 2); /* other blocks: equal but for rounding */
    fit_as(&parts, m, 32, 3, 2);
    assert_true(apart(&large, &parts) < 1e-4 && apart(&large, &parts) > 0);
    fit_clear(&parts);
    fit_clear(&large);
    am_matrix_free(m);
}

struct follow { /* does by hand what averages do */
    double *mean;
    const struct am_params *params;
    size_t n;
    uint64_t from; /* first step counted */
    uint64_t every;
    double decay; /* 0 = a plain mean */
};

static enum am_rc follow(void *ctx, uint64_t step, struct am_params *p, struct am_err *err)
{
    struct follow *f = ctx;
    (void)err;
    if (step < f->from || step % f->every)
        return AM_OK;
    f->n++;
    for (size_t i = 0; i < p->n_floats; i++) {
        double before = (double)f->n - 1;
        double share =
            f->decay > 0 ? 1 - fmin(f->decay, (1 + before) / (10 + before)) : 1 / (double)f->n;
        if (f->n == 1)
            share = 1;
        f->mean[i] += share * ((double)p->data[i] - f->mean[i]);
    }
    return AM_OK;
}

/* The running statistics are those of these weights over the epoch's batches. */
static void check_statistics(const struct fit *o, const struct am_matrix *m,
                             const struct am_train_config *c, uint64_t epoch)
{
    struct am_norms *n;
    struct am_feed feed;
    float *w, *scratch;
    assert_int_equal(am_params_twin(o->p, &w, NULL), AM_OK);
    assert_int_equal(am_params_twin(o->p, &scratch, NULL), AM_OK);
    memcpy(w, o->p->data, am_params_bytes(o->p));
    assert_int_equal(am_norms_new(o->g, o->p, &c->loss, c->batch_size, NULL, &n, NULL), AM_OK);
    assert_int_equal(
        am_feed_init(&feed, am_matrix_data(m), c->batch_size, c->order, c->seed, NULL, NULL),
        AM_OK);
    assert_int_equal(am_norms_refresh(n, &feed, epoch, c->seed, w, scratch, NULL), AM_OK);
    assert_memory_equal(w, o->p->data, am_params_bytes(o->p));
    am_feed_clear(&feed);
    am_norms_free(n);
    am_free(scratch);
    am_free(w);
}

static void test_averages(void **state)
{
    struct am_matrix *m = rows_new(320, 1), *v = rows_new(100, 2);
    struct am_train_config c = config();
    double loss;
    (void)state;
    for (int swa = 0; swa < 2; swa++) {
        struct fit o, plain;
        struct follow f = {.every = swa ? 10 : 1, .from = 11, .decay = swa ? 0 : 0.9};
        struct am_train_hooks h = {.ctx = &f, .after_step = follow};
        c.average = swa ? AM_TRAIN_AVERAGE_SWA : AM_TRAIN_AVERAGE_EMA;
        c.average_decay = 0.9;
        c.average_start = 1;
        fit_new(&o, NORM);
        f.mean = calloc(o.p->n_floats, sizeof *f.mean);
        assert_int_equal(train(&o, am_matrix_data(m), am_matrix_data(v), &c, &h, 2), AM_OK);
        assert_true(o.r.averaged);
        assert_int_equal(f.n, swa ? 3 : 30);
        size_t n_states = 0;
        for (size_t k = 0; k < o.p->n_params; k++)
            for (size_t i = 0; i < o.p->table[k].n; i++) {
                size_t at = o.p->table[k].offset + i;
                bool near = fabs((double)o.p->data[at] - f.mean[at]) < 1e-5;
                if (o.p->table[k].flags & AM_PARAM_STATE) /* those of the average itself */
                    n_states += !near;
                else
                    assert_true(near);
            }
        assert_true(n_states > 0);
        check_statistics(&o, m, &c, c.epochs - 1);
        assert_int_equal(am_train_loss(o.g, o.p, am_matrix_data(v), &c.loss, NULL, &loss, NULL),
                         AM_OK);
        assert_true(fabs(loss - o.r.validation_loss) < 1e-12);
        c.average = AM_TRAIN_AVERAGE_NONE;
        fit_new(&plain, NORM);
        assert_int_equal(train(&plain, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
        assert_true(apart(&o, &plain) > 1e-3);
        free(f.mean);
        fit_clear(&plain);
        fit_clear(&o);
    }
    am_matrix_free(m);
    am_matrix_free(v);
}

struct place {
    struct am_buf bytes;
    uint64_t stop_at; /* epoch */
};

static enum am_rc keep(void *ctx, const void *bytes, size_t n, struct am_err *err)
{
    struct place *k = ctx;
    am_buf_reset(&k->bytes);
    am_buf_add(&k->bytes, bytes, n);
    return am_buf_check(&k->bytes, err);
}

static enum am_rc give(void *ctx, struct am_buf *out, struct am_err *err)
{
    struct place *k = ctx;
    am_buf_add(out, k->bytes.ptr, k->bytes.len);
    return am_buf_check(out, err);
}

static enum am_rc stop(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    struct place *k = ctx;
    return e->epoch == k->stop_at ? am_fail(err, AM_ECANCELED, "stopped") : AM_OK;
}

/* Averages, accumulation, rates and frozen parts survive an interruption; other ones are refused.
 */
static void test_resume(void **state)
{
    struct am_matrix *m = rows_new(500, 1), *v = rows_new(100, 2);
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct am_train_config c = config();
        struct fit want;
        c.average = kind ? AM_TRAIN_AVERAGE_SWA : AM_TRAIN_AVERAGE_EMA;
        c.average_start = 1;
        c.accumulate = 3;
        c.patience = 3;
        c.epochs = 6;
        fit_new(&want, NORM);
        assert_int_equal(am_train_freeze(want.g, want.p, AM_STR("b"), NULL), AM_OK);
        assert_int_equal(train(&want, am_matrix_data(m), am_matrix_data(v), &c, NULL, 1), AM_OK);
        for (uint64_t at = 2; at <= 5; at++) {
            struct place k = {.stop_at = at};
            struct am_train_hooks h = {
                .ctx = &k, .on_epoch = stop, .checkpoint_save = keep, .checkpoint_load = give};
            struct fit o;
            am_buf_init(&k.bytes, 1 << 24);
            fit_new(&o, NORM);
            assert_int_equal(am_train_freeze(o.g, o.p, AM_STR("b"), NULL), AM_OK);
            assert_int_equal(train(&o, am_matrix_data(m), am_matrix_data(v), &c, &h, 2),
                             AM_ECANCELED);
            fit_clear(&o);
            k.stop_at = 0;
            fit_new(&o, NORM);
            assert_int_equal(am_train_freeze(o.g, o.p, AM_STR("b"), NULL), AM_OK);
            assert_int_equal(train(&o, am_matrix_data(m), am_matrix_data(v), &c, &h, 3), AM_OK);
            assert_true(o.r.resumed && same(&want, &o));
            fit_clear(&o);
            fit_new(&o, NORM); /* nothing frozen: another training */
            assert_int_equal(train(&o, am_matrix_data(m), am_matrix_data(v), &c, &h, 1),
                             AM_ECONFLICT);
            fit_clear(&o);
            am_buf_clear(&k.bytes);
        }
        fit_clear(&want);
    }
    am_matrix_free(m);
    am_matrix_free(v);
}

static bool unchanged(const struct fit *o, const struct am_params *before, const char *name)
{
    const struct am_param *e = am_params_find(o->p, am_str(name));
    assert_non_null(e);
    return memcmp(o->p->data + e->offset, before->data + e->offset, e->n * sizeof(float)) == 0;
}

static void test_freeze(void **state)
{
    struct am_matrix *m = rows_new(300, 1);
    struct am_train_config c = config();
    struct fit o, start;
    struct am_err err;
    (void)state;
    fit_new(&start, NORM);
    fit_new(&o, NORM);
    assert_int_equal(am_train_match(o.p, AM_STR("*")), 10);
    assert_int_equal(am_train_match(o.p, AM_STR("n")), 4);
    assert_int_equal(am_train_match(o.p, AM_STR("?.weight")), 4);
    assert_int_equal(am_train_match(o.p, AM_STR("*i*s")), 4);
    assert_int_equal(am_train_match(o.p, AM_STR("")), 0);
    assert_int_equal(am_train_freeze(o.g, o.p, AM_STR("conv*"), &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "conv*"));
    assert_non_null(strstr(err.hint, "a.weight"));
    assert_int_equal(am_train_freeze(o.g, o.p, AM_STR("n"), NULL), AM_OK);
    assert_int_equal(am_train_freeze(o.g, o.p, AM_STR("b.bias"), NULL), AM_OK);
    assert_int_equal(train(&o, am_matrix_data(m), NULL, &c, NULL, 2), AM_OK);
    /* the batch norm's statistics stay, and what lies before it still learns */
    assert_true(unchanged(&o, start.p, "n.running_mean") && unchanged(&o, start.p, "n.weight"));
    assert_true(unchanged(&o, start.p, "n.running_var") && unchanged(&o, start.p, "b.bias"));
    assert_false(unchanged(&o, start.p, "a.weight") || unchanged(&o, start.p, "b.weight"));
    assert_true(o.r.train_loss < 0.8);
    fit_clear(&o);
    fit_clear(&start);
    am_matrix_free(m);
}

/* A frozen batch norm at its start is the identity but for its epsilon: so are its gradients. */
static void test_frozen_norm_gradient(void **state)
{
    struct am_matrix *m = rows_new(300, 1);
    struct am_train_config c = config();
    struct fit with, without;
    (void)state;
    c.optim.kind = AM_OPTIM_SGD;
    fit_new(&with, NORM);
    fit_new(&without, NO_NORM);
    for (size_t k = 0; k < without.p->n_params; k++) {
        const struct am_param *e = am_params_find(with.p, without.p->table[k].name);
        memcpy(am_param_data(without.p, k), with.p->data + e->offset, e->n * sizeof(float));
    }
    assert_int_equal(am_train_freeze(with.g, with.p, AM_STR("n"), NULL), AM_OK);
    assert_int_equal(train(&with, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
    assert_int_equal(train(&without, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
    for (size_t k = 0; k < without.p->n_params; k++) {
        const struct am_param *e = am_params_find(with.p, without.p->table[k].name);
        for (size_t i = 0; i < e->n; i++)
            assert_true(fabsf(am_param_data(without.p, k)[i] - with.p->data[e->offset + i]) <
                        1e-4f);
    }
    fit_clear(&with);
    fit_clear(&without);
    am_matrix_free(m);
}

static void test_rates(void **state)
{
    struct am_matrix *m = rows_new(64, 1);
    struct am_train_config c = config();
    struct fit one, two, start;
    const struct am_param *a, *b;
    (void)state;
    c.epochs = 1, c.batch_size = 64, c.optim.kind = AM_OPTIM_SGD;
    fit_new(&start, NO_NORM);
    fit_new(&one, NO_NORM);
    fit_new(&two, NO_NORM);
    assert_int_equal(am_train_rate(two.p, AM_STR("a*"), 0.25, NULL), AM_OK);
    assert_int_equal(am_train_rate(two.p, AM_STR("b"), 0, NULL), AM_OK);
    assert_int_equal(am_train_rate(two.p, AM_STR("z"), 1, NULL), AM_EUSAGE);
    assert_int_equal(am_train_rate(two.p, AM_STR("a"), -1, NULL), AM_EUSAGE);
    assert_int_equal(train(&one, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
    assert_int_equal(train(&two, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
    a = am_params_find(one.p, AM_STR("a.weight"));
    for (size_t i = a->offset; i < a->offset + a->n; i++) {
        float whole = one.p->data[i] - start.p->data[i], part = two.p->data[i] - start.p->data[i];
        assert_true(fabsf(part - whole / 4) < 1e-6f);
    }
    b = am_params_find(two.p, AM_STR("c.weight"));
    assert_true(unchanged(&two, start.p, "b.weight"));
    assert_memory_equal(two.p->data + b->offset, one.p->data + b->offset, b->n * sizeof(float));
    fit_clear(&start);
    fit_clear(&one);
    fit_clear(&two);
    am_matrix_free(m);
}

/* Rows that shift with the epoch, and count their epochs; slow ones read ahead. */
struct shifted {
    struct am_train_data data;
    const struct am_train_data *base;
    _Atomic uint64_t plain, epochs;
};

static enum am_rc gather_plain(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                               float *w, struct am_err *err)
{
    struct shifted *s = self;
    s->plain++;
    return s->base->gather(s->base->self, rows, n, x, y, w, err);
}

static enum am_rc gather_shifted(void *self, uint64_t epoch, const uint64_t *rows, size_t n,
                                 float *x, float *y, float *w, struct am_err *err)
{
    struct shifted *s = self;
    s->epochs |= UINT64_C(1) << epoch;
    AM_TRY(s->base->gather(s->base->self, rows, n, x, y, w, err));
    for (size_t i = 0; x && i < n; i++)
        for (size_t j = 0; j < F; j++)
            x[i * F + j] += 0.01f * (float)((rows[i] + epoch * 7) % 5);
    return AM_OK;
}

static void shift(struct shifted *s, const struct am_matrix *m, bool at)
{
    *s = (struct shifted){.base = am_matrix_data(m)};
    s->data = *s->base;
    s->data.self = s;
    s->data.gather = gather_plain;
    s->data.view = NULL;
    s->data.in_ram = false;
    s->data.gather_at = at ? gather_shifted : NULL;
}

static void test_augmented(void **state)
{
    struct am_matrix *m = rows_new(9000, 1), *v = rows_new(100, 2);
    struct am_train_config c = config();
    struct shifted t, e, plain;
    struct fit first, o;
    (void)state;
    c.epochs = 3;
    c.batch_size = 100;
    shift(&t, m, true);
    shift(&e, v, true);
    fit_new(&first, NORM);
    assert_int_equal(train(&first, &t.data, &e.data, &c, NULL, 1), AM_OK);
    assert_int_equal(t.epochs, 7);
    assert_true(t.plain == 0 && e.epochs == 0 &&
                e.plain > 0);                             /* validation sees the rows as they are */
    for (unsigned threads = 2; threads <= 3; threads++) { /* and with a thread that reads ahead */
        fit_new(&o, NORM);
        assert_int_equal(train(&o, &t.data, &e.data, &c, NULL, threads), AM_OK);
        assert_true(same(&first, &o) && first.r.validation_loss == o.r.validation_loss);
        fit_clear(&o);
        shift(&plain, m, false); /* no augmentation, read ahead = the matrix itself */
        fit_new(&o, NORM);
        assert_int_equal(train(&o, &plain.data, NULL, &c, NULL, threads), AM_OK);
        assert_false(same(&first, &o));
        fit_clear(&first);
        fit_new(&first, NORM);
        assert_int_equal(train(&first, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
        assert_true(same(&first, &o));
        fit_clear(&first);
        fit_clear(&o);
        fit_new(&first, NORM);
        assert_int_equal(train(&first, &t.data, &e.data, &c, NULL, 1), AM_OK);
    }
    fit_clear(&first);
    am_matrix_free(m);
    am_matrix_free(v);
}

/* A subset hands augmentation on with the base's row numbers. */
static void test_subset_at(void **state)
{
    struct am_matrix *m = rows_new(10, 1);
    const uint64_t rows[3] = {7, 2, 9}, pick[2] = {2, 0};
    const struct am_train_data *s;
    struct shifted t;
    float want[2 * F], x[2 * F], y[2], w[2];
    const uint64_t base[2] = {9, 7};
    (void)state;
    shift(&t, m, true);
    assert_int_equal(am_train_subset_new(&t.data, rows, 3, &s, NULL), AM_OK);
    assert_int_equal(s->gather_at(s->self, 5, pick, 2, x, y, w, NULL), AM_OK);
    assert_int_equal(gather_shifted(&t, 5, base, 2, want, y, w, NULL), AM_OK);
    assert_memory_equal(x, want, sizeof x);
    am_train_subset_free(s);
    am_matrix_free(m);
}

struct counter {
    long calls[8];
    size_t n;
};

static enum am_rc count(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    struct counter *k = ctx;
    (void)e;
    (void)err;
    k->calls[k->n++] = am_alloc_hook_calls();
    return AM_OK;
}

static void test_no_allocation(void **state)
{
    struct am_matrix *m = rows_new(9000, 1), *v = rows_new(100, 2);
    (void)state;
    for (unsigned threads = 1; threads <= 2; threads++) {
        struct am_train_config c = config();
        struct counter k = {.n = 0};
        struct am_train_hooks h = {.ctx = &k, .on_epoch = count};
        struct shifted t;
        struct fit o;
        c.accumulate = 2, c.average = AM_TRAIN_AVERAGE_EMA, c.optim.clip_norm = 1;
        c.epochs = 5, c.checkpoint_every = 0;
        shift(&t, m, true);
        fit_new(&o, NORM);
        am_alloc_fail_nth(LONG_MAX, false);
        assert_int_equal(train(&o, &t.data, am_matrix_data(v), &c, &h, threads), AM_OK);
        am_alloc_fail_nth(0, false);
        assert_int_equal(k.n, 5);
        assert_true(k.calls[0] > 0); /* setting up does */
        for (size_t i = 1; i < k.n; i++)
            assert_int_equal(k.calls[i], k.calls[0]);
        fit_clear(&o);
    }
    am_matrix_free(m);
    am_matrix_free(v);
}

static void test_find_rate(void **state)
{
    struct am_matrix *m = rows_new(600, 1);
    struct am_train_config c = config();
    struct am_rate_options o = {.lowest = 1e-5, .highest = 100, .n_steps = 120};
    static struct am_rate_curve curve, again;
    struct am_pool *pool;
    struct am_err err;
    struct fit f, start;
    (void)state;
    c.optim.kind = AM_OPTIM_SGD;
    fit_new(&f, NORM);
    fit_new(&start, NORM);
    assert_int_equal(
        am_train_find_rate(f.g, f.p, am_matrix_data(m), &c, &o, NULL, NULL, &curve, NULL), AM_OK);
    assert_true(same(&f, &start)); /* the parameters are a copy */
    assert_true(curve.n > 20 && curve.n <= 120);
    assert_true(fabs(curve.rate[0] - 1e-5) < 1e-12);
    for (size_t i = 1; i < curve.n; i++)
        assert_true(fabs(log(curve.rate[i] / curve.rate[i - 1]) - log(1e7) / 119) < 1e-9);
    assert_true(curve.suggestion > 1e-2 && curve.suggestion < 10);
    assert_int_equal(am_pool_new(3, &pool, NULL), AM_OK);
    assert_int_equal(
        am_train_find_rate(f.g, f.p, am_matrix_data(m), &c, &o, pool, NULL, &again, NULL), AM_OK);
    assert_true(again.n == curve.n && again.suggestion == curve.suggestion);
    am_pool_free(pool);
    c.learning_rate = curve.suggestion;
    assert_int_equal(train(&f, am_matrix_data(m), NULL, &c, NULL, 1), AM_OK);
    assert_true(f.r.train_loss < 0.8);
    o.highest = 1e-6;
    assert_int_equal(
        am_train_find_rate(f.g, f.p, am_matrix_data(m), &c, &o, NULL, NULL, &curve, &err),
        AM_EUSAGE);
    AM_OOM_LOOP(am_train_find_rate(f.g, f.p, am_matrix_data(m), &c,
                                   &(struct am_rate_options){.n_steps = 3}, NULL, NULL, &curve,
                                   &err),
                (void)0);
    fit_clear(&f);
    fit_clear(&start);
    am_matrix_free(m);
}

static void test_settings(void **state)
{
    struct am_train_config c = config();
    (void)state;
    c.accumulate = 0;
    assert_int_equal(am_train_config_check(&c, NULL), AM_EUSAGE);
    c.accumulate = 1, c.average = AM_TRAIN_AVERAGE_EMA, c.average_decay = 1;
    assert_int_equal(am_train_config_check(&c, NULL), AM_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_frozen_norm_gradient),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_augmented),
        cmocka_unit_test(test_subset_at),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_find_rate),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
