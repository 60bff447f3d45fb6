/* The training loop: the same bits for 1, 2 and 3 threads, for rows in RAM or in a file, and after
 * a kill at every epoch or an interruption at every batch; early stopping, divergence, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/layers.h"
#include "nn/train.h"
#include "nn/train_checkpoint.h"
#include "tests/support/faults.h"

enum { ROWS = 500, F = 7, CLASSES = 3, EPOCHS = 6, BATCH = 48 };

static struct am_matrix *rows_new(size_t n, size_t memory, uint64_t seed)
{
    struct am_matrix_options o = {.memory_bytes = memory};
    struct am_matrix *m;
    struct am_rng r;
    am_rng_init(&r, seed, AM_RNG_USER);
    assert_int_equal(am_matrix_new(F, 1, &o, &m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        float x[F], y = (float)am_rng_below(&r, CLASSES);
        for (size_t j = 0; j < F; j++)
            x[j] = (float)am_rng_normal(&r) + (j == (size_t)y ? 1.5f : 0);
        assert_int_equal(am_matrix_append(m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

/* Everything that carries state: dropout, batch norm, wide enough to be split among threads. */
static struct am_graph *model(void)
{
    struct am_graph *g;
    struct am_dense_options hidden = {.init = AM_INIT_HE_UNIFORM},
                            last = {.act = AM_ACT_SOFTMAX, .init = AM_INIT_GLOROT_UNIFORM};
    am_value x;
    assert_int_equal(am_graph_new(&g, NULL), AM_OK);
    x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, F));
    x = am_layer_dense(g, x, 96, &hidden, "a");
    x = am_layer_batch_norm(g, x, 1e-5f, 0.1f, "n");
    x = am_layer_activation(g, x, AM_ACT_RELU, 0);
    x = am_layer_dropout(g, x, 0.2f);
    x = am_layer_dense(g, x, 64, &hidden, "b");
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
    c.epochs = EPOCHS;
    c.batch_size = BATCH;
    c.seed = 11;
    c.learning_rate = 0.01;
    c.optim.clip_norm = 1;
    c.sched.kind = AM_SCHED_PLATEAU, c.sched.patience = 0, c.sched.factor = 0.5;
    return c;
}

struct run {
    struct am_graph *g;
    struct am_params *p;
    struct am_train_result r;
    struct am_err err;
};

static enum am_rc run(struct run *o, const struct am_matrix *data, const struct am_matrix *val,
                      const struct am_train_config *c, const struct am_train_hooks *h,
                      unsigned threads)
{
    struct am_pool *pool = NULL;
    enum am_rc rc;
    o->g = model();
    assert_int_equal(am_params_new(o->g, &o->p, NULL), AM_OK);
    am_params_init(o->p, 5);
    if (threads > 1)
        assert_int_equal(am_pool_new(threads, &pool, NULL), AM_OK);
    rc = am_train_run(o->g, o->p, am_matrix_data(data), val ? am_matrix_data(val) : NULL, c, h,
                      pool, &o->r, &o->err);
    am_pool_free(pool);
    return rc;
}

static void run_clear(struct run *o)
{
    am_params_free(o->p);
    am_graph_free(o->g);
}

static bool same(const struct run *a, const struct run *b)
{
    return a->p->n_floats == b->p->n_floats &&
           memcmp(a->p->data, b->p->data, am_params_bytes(a->p)) == 0;
}

static void test_learns(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1), *val = rows_new(200, 0, 2);
    struct am_train_config c = config();
    struct run o;
    double loss;
    (void)state;
    assert_int_equal(run(&o, data, val, &c, NULL, 1), AM_OK);
    assert_int_equal(o.r.epochs, EPOCHS);
    assert_int_equal(o.r.steps, EPOCHS * ((ROWS + BATCH - 1) / BATCH));
    assert_true(o.r.train_loss < 0.6 && o.r.validation_loss < 0.7);
    assert_true(o.r.best_epoch >= 1 && o.r.best_loss <= o.r.validation_loss);
    assert_int_equal(am_train_loss(o.g, o.p, am_matrix_data(val), &c.loss, NULL, &loss, NULL),
                     AM_OK);
    assert_true(fabs(loss - o.r.validation_loss) < 1e-12);
    run_clear(&o);
    am_matrix_free(data);
    am_matrix_free(val);
}

static void test_bits(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1), *file = rows_new(ROWS, 2000, 1);
    struct am_matrix *val = rows_new(200, 0, 2), *val_file = rows_new(200, 2000, 2);
    struct am_train_config c = config();
    struct run first, o;
    (void)state;
    assert_true(am_matrix_spilled(file) && am_matrix_spilled(val_file));
    assert_int_equal(run(&first, data, val, &c, NULL, 1), AM_OK);
    for (unsigned threads = 1; threads <= 3; threads++) {
        assert_int_equal(run(&o, data, val, &c, NULL, threads), AM_OK);
        assert_true(same(&first, &o));
        assert_true(first.r.validation_loss == o.r.validation_loss);
        run_clear(&o);
        assert_int_equal(run(&o, file, val_file, &c, NULL, threads), AM_OK);
        assert_true(same(&first, &o));
        run_clear(&o);
    }
    c.seed++; /* the comparison can fail */
    assert_int_equal(run(&o, data, val, &c, NULL, 1), AM_OK);
    assert_false(same(&first, &o));
    run_clear(&o);
    run_clear(&first);
    am_matrix_free(data);
    am_matrix_free(file);
    am_matrix_free(val);
    am_matrix_free(val_file);
}

struct killer {
    uint64_t at; /* epoch */
    bool before; /* the checkpoint, else in the middle of the next epoch */
};

static enum am_rc die(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    const struct killer *k = ctx;
    (void)err;
    if (e->epoch == k->at)
        _exit(42);
    return AM_OK;
}

static void temp_path(char out[64])
{
    int fd;
    (void)snprintf(out, 64, "/tmp/am-train-test.XXXXXX");
    fd = mkstemp(out);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)unlink(out);
}

/* A child trains until it is killed at an epoch; training goes on here with other threads. */
static void kill_and_resume(const struct am_matrix *data, const struct am_matrix *val,
                            const struct am_train_config *c, const struct run *want)
{
    for (uint64_t at = 1; at <= c->epochs; at++) {
        struct killer k = {.at = at};
        char path[64];
        struct am_train_hooks h = {.ctx = &k, .on_epoch = die, .checkpoint_path = path};
        struct run o;
        int status;
        pid_t child;
        temp_path(path);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)run(&o, data, val, c, &h, 1);
            _exit(1);
        }
        assert_true(waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
        k.at = 0;
        assert_int_equal(run(&o, data, val, c, &h, 1 + (unsigned)at % 3), AM_OK);
        assert_int_equal(o.r.resumed, at > 1);
        assert_int_equal(o.r.resumed_epoch, at - 1);
        assert_true(same(want, &o));
        assert_int_equal(want->r.epochs, o.r.epochs);
        assert_int_equal(want->r.steps, o.r.steps);
        assert_true(want->r.best_loss == o.r.best_loss);
        run_clear(&o);
        /* once more: a finished training is not repeated, and gives the same */
        assert_int_equal(run(&o, data, val, c, &h, 1), AM_OK);
        assert_true(same(want, &o) && want->r.steps == o.r.steps);
        run_clear(&o);
        (void)unlink(path);
    }
}

static void test_kill(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1), *val = rows_new(200, 0, 2);
    struct am_train_config c = config();
    const enum am_optimizer kinds[] = {AM_OPTIM_ADAM, AM_OPTIM_MOMENTUM, AM_OPTIM_RMSPROP};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct run want;
        c.optim.kind = kinds[i];
        c.patience = i == 1 ? 2 : 0;
        assert_int_equal(run(&want, data, val, &c, NULL, 1), AM_OK);
        if (want.r.epochs == c.epochs)
            kill_and_resume(data, val, &c, &want);
        else
            assert_true(want.r.stopped_early);
        run_clear(&want);
    }
    am_matrix_free(data);
    am_matrix_free(val);
}

struct interrupter {
    atomic_bool cancel;
    uint64_t calls, at;
    struct am_buf bytes;
    uint64_t saves;
};

static enum am_rc keep(void *ctx, const void *bytes, size_t n, struct am_err *err)
{
    struct interrupter *k = ctx;
    am_buf_reset(&k->bytes);
    am_buf_add(&k->bytes, bytes, n);
    k->saves++;
    return am_buf_check(&k->bytes, err);
}

static enum am_rc give(void *ctx, struct am_buf *out, struct am_err *err)
{
    struct interrupter *k = ctx;
    am_buf_add(out, k->bytes.ptr, k->bytes.len);
    return am_buf_check(out, err);
}

/* Rows whose n-th gather pulls the cancel flag: an interruption in the middle of an epoch. */
struct pulling {
    struct am_train_data data;
    const struct am_train_data *base;
    struct interrupter *k;
};

static enum am_rc pull(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                       struct am_err *err)
{
    struct pulling *p = self;
    if (++p->k->calls == p->k->at)
        atomic_store(&p->k->cancel, true);
    return p->base->gather(p->base->self, rows, n, x, y, w, err);
}

static void test_interrupt(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1);
    struct am_train_config c = config();
    struct run want, o;
    size_t canceled = 0;
    (void)state;
    c.batch_size = 400; /* so that a window is one batch and gathers are frequent */
    c.epochs = 4;
    assert_int_equal(run(&want, data, NULL, &c, NULL, 1), AM_OK);
    for (uint64_t at = 1; at < 40; at++) {
        struct interrupter k = {.at = at};
        struct am_progress progress = {.cancel = &k.cancel};
        struct am_train_hooks h = {
            .ctx = &k, .progress = &progress, .checkpoint_save = keep, .checkpoint_load = give};
        struct pulling p = {.base = am_matrix_data(data), .k = &k};
        enum am_rc rc;
        p.data = *p.base, p.data.self = &p, p.data.gather = pull;
        am_buf_init(&k.bytes, 1 << 24);
        for (int again = 0; again < 2; again++) {
            o.g = model();
            assert_int_equal(am_params_new(o.g, &o.p, NULL), AM_OK);
            am_params_init(o.p, 5);
            rc = am_train_run(o.g, o.p, &p.data, NULL, &c, &h, NULL, &o.r, &o.err);
            if (rc == AM_OK)
                break;
            assert_int_equal(rc, AM_ECANCELED);
            assert_true(k.saves > 0);
            canceled++;
            atomic_store(&k.cancel, false);
            run_clear(&o);
        }
        assert_int_equal(rc, AM_OK);
        assert_true(same(&want, &o));
        run_clear(&o);
        am_buf_clear(&k.bytes);
    }
    assert_true(canceled > 5);
    run_clear(&want);
    am_matrix_free(data);
}

static void test_canceled_at_once(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1);
    struct am_train_config c = config();
    atomic_bool cancel = true;
    struct am_progress progress = {.cancel = &cancel};
    struct am_train_hooks h = {.progress = &progress};
    struct run o;
    (void)state;
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_ECANCELED);
    assert_int_equal(o.r.steps, 0);
    assert_non_null(strstr(o.err.message, "interrupted in epoch 1 of 6"));
    run_clear(&o);
    am_matrix_free(data);
}

static enum am_rc note(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    double *losses = ctx;
    (void)err;
    losses[e->epoch] = e->validation_loss;
    assert_true(e->seconds >= 0 && e->learning_rate > 0);
    return AM_OK;
}

static void test_early_stopping(void **state)
{
    struct am_matrix *data = rows_new(60, 0, 1), *val = rows_new(200, 0, 2);
    struct am_train_config c = config();
    double losses[201] = {0}, loss, best = INFINITY;
    struct am_train_hooks h = {.ctx = losses, .on_epoch = note};
    struct run o;
    uint64_t at = 0;
    (void)state;
    c.epochs = 200, c.patience = 4, c.sched.kind = AM_SCHED_CONSTANT; /* overfits soon */
    assert_int_equal(run(&o, data, val, &c, &h, 1), AM_OK);
    assert_true(o.r.stopped_early && o.r.restored_best);
    for (uint64_t e = 1; e <= o.r.epochs; e++)
        if (losses[e] < best) {
            best = losses[e];
            at = e;
        }
    assert_int_equal(o.r.best_epoch, at);
    assert_int_equal(o.r.epochs, at + 4);
    assert_true(o.r.best_loss == best);
    assert_int_equal(am_train_loss(o.g, o.p, am_matrix_data(val), &c.loss, NULL, &loss, NULL),
                     AM_OK);
    assert_true(loss == best); /* the best weights are back */
    run_clear(&o);
    assert_int_equal(run(&o, data, NULL, &c, NULL, 1), AM_EUSAGE);
    assert_non_null(strstr(o.err.message, "early stopping needs validation rows"));
    run_clear(&o);
    am_matrix_free(data);
    am_matrix_free(val);
}

static void test_diverges(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1);
    struct am_train_config c = config();
    struct run o;
    (void)state;
    c.optim.kind = AM_OPTIM_SGD, c.optim.clip_norm = 0, c.learning_rate = 1e30;
    assert_int_equal(run(&o, data, NULL, &c, NULL, 1), AM_EINVAL);
    assert_non_null(strstr(o.err.message, "training diverged"));
    assert_non_null(strstr(o.err.hint, "train.learning_rate"));
    run_clear(&o);
    am_matrix_free(data);
}

/* Ruins the weights once, after some step; counts what training says of it. */
struct ruin {
    struct killer kill;
    uint64_t at, from_epoch, times;
    double rate;
};

static enum am_rc ruin(void *ctx, uint64_t step, struct am_params *p, struct am_err *err)
{
    const struct ruin *k = ctx;
    (void)err;
    if (step == k->at)
        for (size_t i = 0; i < 8; i++)
            am_param_data(p, 0)[i] = NAN;
    return AM_OK;
}

static enum am_rc recovered(void *ctx, const struct am_train_recovery *r, struct am_err *err)
{
    struct ruin *k = ctx;
    (void)err;
    k->times++;
    assert_int_equal(r->times, k->times);
    assert_non_null(strstr(r->why, "diverged"));
    k->from_epoch = r->from_epoch;
    k->rate = r->learning_rate;
    return AM_OK;
}

static enum am_rc die_too(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    return die(&((struct ruin *)ctx)->kill, e, err);
}

/* Set back once, in the fourth epoch: the rate falls, the bits depend on neither threads nor a
 * kill at any epoch. */
static void test_recovers(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1), *val = rows_new(200, 0, 2);
    struct am_train_config c = config();
    struct ruin k = {.at = 36};
    struct am_train_hooks h = {.ctx = &k, .after_step = ruin, .on_recovery = recovered};
    struct run first, o;
    const uint64_t batches = (ROWS + BATCH - 1) / BATCH;
    (void)state;
    c.recover = 2;
    assert_int_equal(run(&first, data, val, &c, &h, 1), AM_OK);
    assert_int_equal(k.times, 1);
    assert_int_equal(first.r.n_recovered, 1);
    assert_int_equal(first.r.epochs, EPOCHS);
    assert_true(first.r.steps > EPOCHS * batches); /* some were in vain */
    assert_true(k.from_epoch >= 1 && k.from_epoch <= 3);
    assert_true(fabs(k.rate - 0.001) < 1e-12);
    assert_true(first.r.validation_loss < 0.8);
    for (unsigned threads = 2; threads <= 3; threads++) {
        k.times = 0;
        assert_int_equal(run(&o, data, val, &c, &h, threads), AM_OK);
        assert_true(same(&first, &o));
        run_clear(&o);
    }
    for (uint64_t at = 1; at <= EPOCHS; at++) {
        char path[64];
        int status;
        temp_path(path);
        pid_t child = fork();
        assert_true(child >= 0);
        struct ruin mine = {.at = 36, .kill = {.at = at}};
        struct am_train_hooks hooks = {.ctx = &mine,
                                       .after_step = ruin,
                                       .on_epoch = child == 0 ? die_too : NULL,
                                       .checkpoint_path = path};
        if (child == 0)
            _exit(run(&o, data, val, &c, &hooks, 1) == AM_OK ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WEXITSTATUS(status), 42);
        assert_int_equal(run(&o, data, val, &c, &hooks, 2), AM_OK);
        assert_true(same(&first, &o));
        assert_int_equal(o.r.n_recovered, 1);
        assert_true(o.r.steps == first.r.steps);
        run_clear(&o);
        (void)unlink(path);
    }
    run_clear(&first);
    am_matrix_free(data);
    am_matrix_free(val);
}

/* Before any epoch is complete it begins again from the first weights; at most so often. */
static void test_recovers_from_the_start(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1);
    struct am_train_config c = config();
    struct ruin k = {.at = 3};
    struct am_train_hooks h = {.ctx = &k, .after_step = ruin, .on_recovery = recovered};
    struct run o;
    (void)state;
    c.recover = 1;
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_OK);
    assert_int_equal(k.times, 1);
    assert_int_equal(k.from_epoch, 0);
    run_clear(&o);
    c.optim.kind = AM_OPTIM_SGD, c.optim.clip_norm = 0, c.learning_rate = 1e30;
    c.recover = 3;
    k = (struct ruin){.at = 0};
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_EINVAL);
    assert_int_equal(k.times, 3);
    assert_non_null(strstr(o.err.message, "training diverged"));
    run_clear(&o);
    c.recover_factor = 1;
    assert_int_equal(am_train_config_check(&c, NULL), AM_EUSAGE);
    am_matrix_free(data);
}

static void test_bad_checkpoints(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1);
    struct am_train_config c = config();
    struct interrupter k = {0};
    struct am_train_hooks h = {.ctx = &k, .checkpoint_save = keep, .checkpoint_load = give};
    struct run o;
    (void)state;
    am_buf_init(&k.bytes, 1 << 24);
    c.epochs = 2;
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_OK);
    run_clear(&o);
    c.learning_rate *= 2;
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_ECONFLICT);
    run_clear(&o);
    c.learning_rate /= 2;
    for (size_t at = 0; at < k.bytes.len; at += at < 200 ? 1 : 9973) {
        k.bytes.ptr[at] ^= 4;
        assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_ECORRUPT);
        run_clear(&o);
        k.bytes.ptr[at] ^= 4;
    }
    k.bytes.len -= 1;
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_ECORRUPT);
    run_clear(&o);
    k.bytes.len = 20;
    assert_int_equal(run(&o, data, NULL, &c, &h, 1), AM_ECORRUPT);
    run_clear(&o);
    am_buf_clear(&k.bytes);
    am_matrix_free(data);
}

static void test_bad_arguments(void **state)
{
    struct am_matrix *data = rows_new(ROWS, 0, 1), *none = rows_new(0, 0, 1);
    struct am_train_config c = config();
    struct run o;
    (void)state;
    assert_int_equal(run(&o, none, NULL, &c, NULL, 1), AM_EINVAL);
    run_clear(&o);
    c.batch_size = 0;
    assert_int_equal(run(&o, data, NULL, &c, NULL, 1), AM_EUSAGE);
    run_clear(&o);
    c = config();
    c.learning_rate = NAN;
    assert_int_equal(run(&o, data, NULL, &c, NULL, 1), AM_EUSAGE);
    run_clear(&o);
    c = config();
    c.batch_size = 100000; /* more than there are rows: one batch */
    assert_int_equal(run(&o, data, NULL, &c, NULL, 1), AM_OK);
    assert_int_equal(o.r.steps, EPOCHS);
    run_clear(&o);
    am_matrix_free(data);
    am_matrix_free(none);
}

struct fault_case {
    struct am_graph *g;
    struct am_params *p;
    struct am_matrix *data;
    struct am_train_config c;
    char path[64];
};

static enum am_rc faulty(struct fault_case *f)
{
    struct am_train_hooks h = {.checkpoint_path = f->path};
    struct am_train_result r;
    am_params_init(f->p, 5);
    return am_train_run(f->g, f->p, am_matrix_data(f->data), am_matrix_data(f->data), &f->c, &h,
                        NULL, &r, NULL);
}

static void test_faults(void **state)
{
    struct fault_case f = {.g = model(), .data = rows_new(60, 0, 1), .c = config()};
    (void)state;
    f.c.epochs = 2, f.c.patience = 2;
    temp_path(f.path);
    assert_int_equal(am_params_new(f.g, &f.p, NULL), AM_OK);
    AM_OOM_LOOP(faulty(&f), (void)unlink(f.path));
    (void)unlink(f.path);
    AM_IO_LOOP(faulty(&f), (void)unlink(f.path), (void)0);
    (void)unlink(f.path);
    am_params_free(f.p);
    am_graph_free(f.g);
    am_matrix_free(f.data);
}

/* Each epoch visits each row once, another way round each time, and no place favours a row. */
static void test_shuffle(void **state)
{
    const uint64_t sizes[] = {1, 2, 3, 7, 64, 65, 1000};
    unsigned hits[10][10] = {{0}};
    double chi = 0;
    (void)state;
    for (size_t k = 0; k < 7; k++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            unsigned char seen[1000] = {0};
            size_t moved = 0;
            for (uint64_t i = 0; i < sizes[k]; i++) {
                uint64_t r = am_train_shuffled(9, epoch, sizes[k], i);
                assert_true(r < sizes[k] && !seen[r]);
                seen[r] = 1;
                moved += r != am_train_shuffled(9, epoch + 1, sizes[k], i);
            }
            assert_true(sizes[k] < 64 || moved > sizes[k] / 2);
        }
    for (uint64_t epoch = 0; epoch < 10000; epoch++)
        for (uint64_t i = 0; i < 10; i++)
            hits[i][am_train_shuffled(3, epoch, 10, i)]++;
    for (size_t i = 0; i < 10; i++)
        for (size_t j = 0; j < 10; j++)
            chi += (hits[i][j] - 1000.0) * (hits[i][j] - 1000.0) / 1000;
    assert_true(chi > 35 && chi < 150); /* 81 degrees of freedom */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_canceled_at_once),
        cmocka_unit_test(test_early_stopping),
        cmocka_unit_test(test_diverges),
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_recovers_from_the_start),
        cmocka_unit_test(test_bad_checkpoints),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
