/* Block-wise sums. Waves bound the memory of partial sums; their size depends on the problem only,
 * never on the machine. */
#include "learn/stream.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"

#define BLOCK_FLOATS ((size_t)64 << 10)
#define WAVE_BYTES ((size_t)64 << 20)

enum am_rc am_stream_init(struct am_stream *s, const struct am_train_data *data, size_t n_sums,
                          size_t n_scratch, struct am_pool *pool, struct am_progress *progress,
                          struct am_err *err)
{
    size_t f = (data->gather_sparse ? 0 : data->n_features) + 1, bytes;
    memset(s, 0, sizeof *s);
    s->data = data;
    s->pool = pool;
    s->progress = progress;
    s->stride = 1;
    s->n_sums = n_sums;
    s->n_scratch = n_scratch;
    for (s->block_rows = 64; s->block_rows < 4096 && s->block_rows * 2 * f <= BLOCK_FLOATS;)
        s->block_rows *= 2;
    bytes = (n_sums + n_scratch) * sizeof(double) + s->block_rows * (f + 1) * sizeof(float);
    s->wave = WAVE_BYTES / bytes;
    s->wave = s->wave < 4 ? 4 : s->wave > 64 ? 64 : s->wave;
    if (s->wave > am_stream_n_blocks(s))
        s->wave = am_stream_n_blocks(s) ? (size_t)am_stream_n_blocks(s) : 1;
    s->sums = am_alloc_aligned(64, s->wave * n_sums * sizeof(double) + 64);
    s->scratch = am_alloc_aligned(64, s->wave * n_scratch * sizeof(double) + 64);
    s->rows = am_alloc_aligned(64, s->wave * s->block_rows * (f + 1) * sizeof(float) + 64);
    s->numbers = am_alloc_array(s->wave * s->block_rows, sizeof *s->numbers);
    if (s->sums && s->scratch && s->rows && s->numbers)
        return AM_OK;
    am_stream_clear(s);
    return am_fail_nomem(err, s->wave * bytes);
}

void am_stream_clear(struct am_stream *s)
{
    am_free(s->sums);
    am_free(s->scratch);
    am_free(s->rows);
    am_free(s->numbers);
    s->sums = s->scratch = NULL;
    s->rows = NULL;
    s->numbers = NULL;
}

uint64_t am_stream_n_blocks(const struct am_stream *s)
{
    uint64_t n = (s->data->n_rows + s->block_rows - 1) / s->block_rows;
    return (n + s->stride - 1) / s->stride;
}

struct wave {
    struct am_stream *s;
    void (*fn)(void *ctx, const struct am_rows *r, double *sums, double *scratch);
    void *ctx;
    uint64_t first;       /* block */
    pthread_mutex_t lock; /* guards rc and err */
    enum am_rc rc;
    struct am_err err;
};

/* A block's rows: in place when they lie in RAM without a gap, else copied. */
static enum am_rc fetch(struct am_stream *s, uint64_t first, size_t n, size_t slot,
                        struct am_rows *r, struct am_err *err)
{
    const struct am_train_data *d = s->data;
    const size_t f = d->gather_sparse ? 0 : d->n_features;
    uint64_t have = 0, *numbers = s->numbers + slot * s->block_rows;
    float *x = s->rows + slot * s->block_rows * (f + 2);
    float *y = x + s->block_rows * f, *w = y + s->block_rows;
    r->n = n;
    r->f = d->n_features;
    if (d->view && d->view(d->self, first, &r->x, &r->y, &r->w, &have) && have >= n)
        return AM_OK;
    for (size_t i = 0; i < n; i++)
        numbers[i] = first + i;
    AM_TRY(d->gather(d->self, numbers, n, f ? x : NULL, y, w, err));
    r->x = f ? x : NULL, r->y = y, r->w = w;
    return AM_OK;
}

static void one_block(void *ctx, size_t begin, size_t end)
{
    struct wave *v = ctx;
    struct am_stream *s = v->s;
    for (size_t slot = begin; slot < end; slot++) {
        uint64_t first = (v->first + slot) * s->stride * s->block_rows;
        uint64_t left = s->data->n_rows - first;
        double *sums = s->sums + slot * s->n_sums;
        struct am_rows r;
        struct am_err err;
        enum am_rc rc =
            fetch(s, first, (size_t)(left < s->block_rows ? left : s->block_rows), slot, &r, &err);
        if (rc != AM_OK) {
            pthread_mutex_lock(&v->lock);
            v->rc = rc;
            v->err = err;
            pthread_mutex_unlock(&v->lock);
            return;
        }
        memset(sums, 0, s->n_sums * sizeof *sums);
        v->fn(v->ctx, &r, sums, s->scratch + slot * s->n_scratch);
    }
}

/* Pairwise tree over the wave's n blocks into the first one's place. */
static void add_tree(struct am_stream *s, size_t n)
{
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i + step < n; i += 2 * step) {
            double *a = s->sums + i * s->n_sums;
            const double *b = s->sums + (i + step) * s->n_sums;
            for (size_t j = 0; j < s->n_sums; j++)
                a[j] += b[j];
        }
}

enum am_rc am_stream_sum(struct am_stream *s,
                         void (*fn)(void *ctx, const struct am_rows *r, double *sums,
                                    double *scratch),
                         void *ctx, double *total, struct am_err *err)
{
    uint64_t n_blocks = am_stream_n_blocks(s);
    struct wave v = {.s = s, .fn = fn, .ctx = ctx, .rc = AM_OK};
    memset(total, 0, s->n_sums * sizeof *total);
    pthread_mutex_init(&v.lock, NULL);
    for (v.first = 0; v.first < n_blocks && v.rc == AM_OK; v.first += s->wave) {
        uint64_t left = n_blocks - v.first;
        size_t n = left < s->wave ? (size_t)left : s->wave;
        if (am_progress_canceled(s->progress)) {
            v.rc = am_fail(&v.err, AM_ECANCELED, "training was interrupted");
            break;
        }
        if (n == 1)
            one_block(&v, 0, 1);
        else
            am_pool_for(s->pool, n, 1, one_block, &v);
        if (v.rc != AM_OK)
            break;
        add_tree(s, n);
        for (size_t j = 0; j < s->n_sums; j++)
            total[j] += s->sums[j];
    }
    pthread_mutex_destroy(&v.lock);
    if (v.rc != AM_OK && err)
        *err = v.err;
    return v.rc;
}
