/* Batches of rows: which rows come next, and reading them ahead.
 *
 * The order is a keyed permutation evaluated place by place, so no list of rows is kept and any
 * position can be resumed. Owns its window's memory; the data is borrowed. */
#include "nn/train_int.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/rng.h"

#define WINDOW_BYTES ((size_t)256 << 10)
#define GATHER_GRAIN 64
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
    f->epoch = UINT64_MAX;
    if (!am_mul_size(&bytes, row, batch_size))
        return am_fail(err, AM_ELIMIT, "a batch of %zu rows is too large", batch_size);
    windows = bytes < WINDOW_BYTES ? WINDOW_BYTES / bytes : 1;
    f->window_rows = windows * batch_size;
    f->rows = am_alloc_array(f->window_rows, sizeof *f->rows);
    f->x = am_alloc_aligned(64, f->window_rows * data->n_features * sizeof(float) + 64);
    f->y = am_alloc_aligned(64, f->window_rows * data->n_targets * sizeof(float) + 64);
    f->w = am_alloc_aligned(64, f->window_rows * sizeof(float) + 64);
    if (!f->rows || !f->x || !f->y || !f->w) {
        am_feed_clear(f);
        return am_fail_nomem(err, f->window_rows * row);
    }
    return AM_OK;
}

void am_feed_clear(struct am_feed *f)
{
    am_free(f->rows);
    am_free(f->x);
    am_free(f->y);
    am_free(f->w);
    f->rows = NULL;
    f->x = f->y = f->w = NULL;
}

uint64_t am_feed_n_batches(const struct am_feed *f)
{
    return (f->data->n_rows + f->batch_size - 1) / f->batch_size;
}

struct gather {
    struct am_feed *f;
    pthread_mutex_t lock; /* guards rc and err */
    enum am_rc rc;
    struct am_err err;
};

static void gather_some(void *ctx, size_t begin, size_t end)
{
    struct gather *g = ctx;
    struct am_feed *f = g->f;
    const struct am_train_data *d = f->data;
    unsigned half = half_bits(d->n_rows);
    struct am_err err;
    enum am_rc rc;
    for (size_t i = begin; i < end; i++)
        f->rows[i] = f->order == AM_TRAIN_SHUFFLED ? permute(f->keys, half, d->n_rows, f->first + i)
                                                   : f->first + i;
    if (f->training && d->gather_at)
        rc = d->gather_at(d->self, f->epoch, f->rows + begin, end - begin,
                          f->x + begin * d->n_features, f->y + begin * d->n_targets, f->w + begin,
                          &err);
    else
        rc = d->gather(d->self, f->rows + begin, end - begin, f->x + begin * d->n_features,
                       f->y + begin * d->n_targets, f->w + begin, &err);
    if (rc != AM_OK) {
        pthread_mutex_lock(&g->lock);
        g->rc = rc;
        g->err = err;
        pthread_mutex_unlock(&g->lock);
    }
}

static enum am_rc fill(struct am_feed *f, uint64_t epoch, uint64_t first, struct am_err *err)
{
    struct gather g = {.f = f, .rc = AM_OK};
    uint64_t left = f->data->n_rows - first;
    if (epoch != f->epoch)
        permutation_keys(f->seed, epoch, f->keys);
    f->epoch = epoch;
    f->first = first;
    f->n = left < f->window_rows ? left : f->window_rows;
    pthread_mutex_init(&g.lock, NULL);
    if (f->n <= GATHER_GRAIN)
        gather_some(&g, 0, (size_t)f->n);
    else
        am_pool_for(f->pool, (size_t)f->n, GATHER_GRAIN, gather_some, &g);
    pthread_mutex_destroy(&g.lock);
    if (g.rc != AM_OK) {
        f->epoch = UINT64_MAX;
        if (err)
            *err = g.err;
    }
    return g.rc;
}

enum am_rc am_feed_batch(struct am_feed *f, uint64_t epoch, uint64_t batch,
                         struct am_batch_view *out, struct am_err *err)
{
    uint64_t first = batch * f->batch_size;
    uint64_t n = f->data->n_rows - first;
    size_t at;
    if (n > f->batch_size)
        n = f->batch_size;
    if (epoch != f->epoch || first < f->first || first + n > f->first + f->n)
        AM_TRY(fill(f, epoch, first, err));
    at = (size_t)(first - f->first);
    *out = (struct am_batch_view){f->x + at * f->data->n_features, f->y + at * f->data->n_targets,
                                  f->w + at, (size_t)n};
    return AM_OK;
}

size_t am_feed_eval_rows(const struct am_train_data *data)
{
    size_t rows = ((size_t)64 << 10) / (data->n_features + 1); /* inputs near 256 KiB */
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
        struct am_session_io io = {.params = params};
        AM_TRY(am_feed_batch(f, 0, b, &v, err));
        io.n_rows = v.n, io.x = v.x, io.target = v.y, io.weight = v.w;
        AM_TRY(am_session_run_io(s, &io, err));
        sum += io.loss * io.weight_sum;
        weights += io.weight_sum;
    }
    *out = weights > 0 ? sum / weights : 0;
    return AM_OK;
}
