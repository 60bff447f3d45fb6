/* Batches of rows: which rows come next, and reading them ahead in a thread of its own.
 *
 * The order is a keyed permutation evaluated place by place, so no list of rows is kept and any
 * position can be resumed. Owns its window's memory; the data is borrowed. */
#include "nn/train_int.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/rng.h"

#define WINDOW_BYTES ((size_t)256 << 10)
#define GATHER_GRAIN 64
#define SPARSE_ROWS 4096 /* of a window of sparse rows, about */
#define ROUNDS 8

static void permutation_keys(uint64_t seed, uint64_t epoch, uint32_t keys[ROUNDS])
{
    am_rng_block(seed, AM_RNG_SHUFFLE, epoch * 2, keys);
    am_rng_block(seed, AM_RNG_SHUFFLE, epoch * 2 + 1, keys + 4);
}

/* Balanced Feistel network on 2 h bits; walks the cycle until it is back inside of 0..n-1, which
 * takes less than four turns on average. */
static uint64_t permute(const uint32_t keys[ROUNDS], unsigned half, uint64_t n, uint64_t i)
{
    uint32_t mask = (uint32_t)((UINT64_C(1) << half) - 1);
    do {
        uint32_t left = (uint32_t)(i >> half), right = (uint32_t)i & mask;
        for (unsigned r = 0; r < ROUNDS; r++) {
            uint64_t f = ((uint64_t)(right ^ keys[r]) + 1) * UINT64_C(0x9E3779B97F4A7C15);
            uint32_t next;
            f ^= f >> 29;
            f *= UINT64_C(0xBF58476D1CE4E5B9);
            next = left ^ ((uint32_t)(f >> 32) & mask);
            left = right;
            right = next;
        }
        i = (uint64_t)left << half | right;
    } while (i >= n);
    return i;
}

static unsigned half_bits(uint64_t n)
{
    unsigned bits = n > 1 ? 64 - (unsigned)__builtin_clzll(n - 1) : 1;
    return (bits + 1) / 2;
}

uint64_t am_train_shuffled(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i)
{
    uint32_t keys[ROUNDS];
    permutation_keys(seed, epoch, keys);
    return permute(keys, half_bits(n), n, i);
}

static void window_clear(struct am_feed_window *w)
{
    am_free(w->rows);
    am_csr_clear(&w->sparse);
    am_free(w->x);
    am_free(w->y);
    am_free(w->w);
    *w = (struct am_feed_window){.epoch = UINT64_MAX};
}

static enum am_rc window_init(const struct am_feed *f, struct am_feed_window *w, struct am_err *err)
{
    const size_t n = f->window_rows, x = f->data->n_features, y = f->data->n_targets;
    *w = (struct am_feed_window){.epoch = UINT64_MAX};
    w->rows = am_alloc_array(n, sizeof *w->rows);
    if (!f->data->gather_sparse)
        w->x = am_alloc_aligned(64, n * x * sizeof(float) + 64);
    w->y = am_alloc_aligned(64, n * y * sizeof(float) + 64);
    w->w = am_alloc_aligned(64, n * sizeof(float) + 64);
    if (w->rows && (w->x || f->data->gather_sparse) && w->y && w->w)
        return AM_OK;
    window_clear(w);
    return am_fail_nomem(err, n * (x + y + 1) * sizeof(float));
}

enum am_rc am_feed_init(struct am_feed *f, const struct am_train_data *data, size_t batch_size,
                        enum am_train_order order, uint64_t seed, struct am_pool *pool,
                        struct am_err *err)
{
    size_t row = (data->n_features + data->n_targets + 1) * sizeof(float), bytes, windows;
    memset(f, 0, sizeof *f);
    if (batch_size > data->n_rows)
        batch_size = data->n_rows ? (size_t)data->n_rows : 1;
    f->data = data;
    f->pool = pool;
    f->batch_size = batch_size;
    f->order = order;
    f->seed = seed;
    f->alone = data->in_ram || !pool || am_pool_size(pool) < 2;
    if (!am_mul_size(&bytes, row, batch_size))
        return am_fail(err, AM_ELIMIT, "a batch of %zu rows is too large", batch_size);
    windows = bytes < WINDOW_BYTES ? WINDOW_BYTES / bytes : 1;
    if (data->gather_sparse)
        windows = batch_size < SPARSE_ROWS ? SPARSE_ROWS / batch_size : 1;
    f->window_rows = windows * batch_size;
    return window_init(f, &f->window, err);
}

uint64_t am_feed_n_batches(const struct am_feed *f)
{
    return (f->data->n_rows + f->batch_size - 1) / f->batch_size;
}

struct gather {
    const struct am_feed *f;
    struct am_feed_window *w;
    pthread_mutex_t lock; /* guards rc and err */
    enum am_rc rc;
    struct am_err err;
};

static void gather_some(void *ctx, size_t begin, size_t end)
{
    struct gather *g = ctx;
    const struct am_feed *f = g->f;
    struct am_feed_window *w = g->w;
    const struct am_train_data *d = f->data;
    unsigned half = half_bits(d->n_rows);
    float *x = w->x + begin * d->n_features, *y = w->y + begin * d->n_targets;
    struct am_err err;
    enum am_rc rc;
    for (size_t i = begin; i < end; i++)
        w->rows[i] = f->order == AM_TRAIN_SHUFFLED ? permute(w->keys, half, d->n_rows, w->first + i)
                                                   : w->first + i;
    if (f->training && d->gather_at)
        rc =
            d->gather_at(d->self, w->epoch, w->rows + begin, end - begin, x, y, w->w + begin, &err);
    else
        rc = d->gather(d->self, w->rows + begin, end - begin, x, y, w->w + begin, &err);
    if (rc != AM_OK) {
        pthread_mutex_lock(&g->lock);
        g->rc = rc;
        g->err = err;
        pthread_mutex_unlock(&g->lock);
    }
}

/* Fewer rows a chunk where a row is large or made, so that the pool shares a window of one batch.
 */
static size_t grain_of(const struct am_feed *f)
{
    return f->data->in_ram ? GATHER_GRAIN : f->data->n_features > 1024 ? 1 : 16;
}

/* Sparse rows are copied one after the other. */
static enum am_rc fill_sparse(const struct am_feed *f, struct am_feed_window *w, struct am_err *err)
{
    const struct am_train_data *d = f->data;
    const unsigned half = half_bits(d->n_rows);
    for (size_t i = 0; i < w->n; i++)
        w->rows[i] = f->order == AM_TRAIN_SHUFFLED ? permute(w->keys, half, d->n_rows, w->first + i)
                                                   : w->first + i;
    am_csr_reset(&w->sparse, d->n_features);
    const enum am_rc rc =
        d->gather_sparse(d->self, w->rows, (size_t)w->n, &w->sparse, w->y, w->w, err);
    if (rc != AM_OK)
        w->epoch = UINT64_MAX;
    return rc;
}

static enum am_rc fill(const struct am_feed *f, struct am_feed_window *w, uint64_t epoch,
                       uint64_t first, struct am_err *err)
{
    struct gather g = {.f = f, .w = w, .rc = AM_OK};
    uint64_t left = f->data->n_rows - first;
    if (epoch != w->epoch)
        permutation_keys(f->seed, epoch, w->keys);
    w->epoch = epoch;
    w->first = first;
    w->n = left < f->window_rows ? left : f->window_rows;
    if (f->data->gather_sparse)
        return fill_sparse(f, w, err);
    pthread_mutex_init(&g.lock, NULL);
    am_pool_for(f->pool, (size_t)w->n, grain_of(f), gather_some, &g);
    pthread_mutex_destroy(&g.lock);
    if (g.rc != AM_OK) {
        w->epoch = UINT64_MAX;
        if (err)
            *err = g.err;
    }
    return g.rc;
}

/* ---- reading ahead ---- */

struct am_feed_reader {
    pthread_t thread;
    const struct am_feed *f; /* data, pool and order only; never its window */
    struct am_feed_window next;
    pthread_mutex_t lock; /* guards busy and stopping; while busy, next is the thread's */
    pthread_cond_t changed;
    bool busy, stopping;
    uint64_t epoch, first; /* asked for */
};

static void *read_ahead(void *arg)
{
    struct am_feed_reader *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->busy && !r->stopping)
            pthread_cond_wait(&r->changed, &r->lock);
        if (!r->busy)
            break;
        pthread_mutex_unlock(&r->lock);
        /* what failed is read again by the loop, which then has the error */
        (void)fill(r->f, &r->next, r->epoch, r->first, NULL);
        pthread_mutex_lock(&r->lock);
        r->busy = false;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void reader_free(struct am_feed_reader *r)
{
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    window_clear(&r->next);
    am_free(r);
}

/* A feed works without one, so nothing here is an error. */
static void reader_start(struct am_feed *f)
{
    struct am_feed_reader *r;
    sigset_t all, before;
    int rc;
    f->alone = true;
    if (f->window_rows >= f->data->n_rows && !(f->training && f->data->gather_at))
        return; /* everything is in the window already */
    r = am_calloc(1, sizeof *r);
    if (!r)
        return;
    r->f = f;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    if (window_init(f, &r->next, NULL) != AM_OK) {
        reader_free(r);
        return;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&r->thread, NULL, read_ahead, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        reader_free(r);
    else
        f->reader = r;
}

static void reader_ask(struct am_feed *f)
{
    struct am_feed_reader *r = f->reader;
    uint64_t first = f->window.first + f->window.n, epoch = f->window.epoch;
    if (first >= f->data->n_rows) {
        if (!f->training)
            return;
        first = 0;
        epoch++;
    }
    pthread_mutex_lock(&r->lock);
    r->epoch = epoch;
    r->first = first;
    r->busy = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Waits for the thread; the window it read becomes the feed's when it is the one wanted. */
static bool reader_take(struct am_feed *f, uint64_t epoch, uint64_t first)
{
    struct am_feed_reader *r = f->reader;
    struct am_feed_window w = f->window;
    pthread_mutex_lock(&r->lock);
    while (r->busy)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    if (r->next.epoch != epoch || r->next.first != first)
        return false;
    f->window = r->next;
    r->next = w;
    return true;
}

void am_feed_clear(struct am_feed *f)
{
    struct am_feed_reader *r = f->reader;
    if (r) {
        pthread_mutex_lock(&r->lock);
        r->stopping = true;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
        (void)pthread_join(r->thread, NULL);
        reader_free(r);
        f->reader = NULL;
    }
    window_clear(&f->window);
}

static enum am_rc next_window(struct am_feed *f, uint64_t epoch, uint64_t first, struct am_err *err)
{
    if (!f->reader || !reader_take(f, epoch, first))
        AM_TRY(fill(f, &f->window, epoch, first, err));
    if (!f->alone)
        reader_start(f);
    if (f->reader)
        reader_ask(f);
    return AM_OK;
}

enum am_rc am_feed_batch(struct am_feed *f, uint64_t epoch, uint64_t batch,
                         struct am_batch_view *out, struct am_err *err)
{
    const struct am_feed_window *w = &f->window;
    uint64_t first = batch * f->batch_size;
    uint64_t n = f->data->n_rows - first;
    size_t at;
    if (n > f->batch_size)
        n = f->batch_size;
    if (epoch != w->epoch || first < w->first || first + n > w->first + w->n)
        AM_TRY(next_window(f, epoch, first, err));
    at = (size_t)(first - w->first);
    *out = (struct am_batch_view){.x = w->x ? w->x + at * f->data->n_features : NULL,
                                  .y = w->y + at * f->data->n_targets,
                                  .w = w->w + at,
                                  .n = (size_t)n};
    if (!w->x) {
        const struct am_csr all = am_csr_of(&w->sparse);
        out->sparse = am_csr_rows(&all, at, (size_t)n);
    }
    return AM_OK;
}

size_t am_feed_eval_rows(const struct am_train_data *data)
{
    size_t rows = ((size_t)64 << 10) / (data->n_features + 1); /* inputs near 256 KiB */
    if (data->gather_sparse)
        return 512;
    if (rows > 512)
        rows = 512;
    return rows < 32 ? 32 : rows;
}

enum am_rc am_feed_loss(struct am_feed *f, struct am_session *s, float *params, double *out,
                        struct am_err *err)
{
    double sum = 0, weights = 0;
    uint64_t n = am_feed_n_batches(f);
    for (uint64_t b = 0; b < n; b++) {
        struct am_batch_view v;
        struct am_csr rows;
        struct am_session_io io = {.params = params};
        AM_TRY(am_feed_batch(f, 0, b, &v, err));
        am_feed_give(&v, 0, v.n, 0, &rows, &io);
        io.target = v.y, io.weight = v.w;
        AM_TRY(am_session_run_io(s, &io, err));
        sum += io.loss * io.weight_sum;
        weights += io.weight_sum;
    }
    *out = weights > 0 ? sum / weights : 0;
    return AM_OK;
}
