/* Shared by the files of the training loop only: gathering of batches and loss over data. */
#ifndef AM_NN_TRAIN_INT_H
#define AM_NN_TRAIN_INT_H

#include "nn/session.h"
#include "nn/train.h"

/* Rows read at once: n rows from place `first` of `epoch`. */
struct am_feed_window {
    uint64_t epoch, first, n; /* epoch UINT64_MAX = empty */
    uint32_t keys[8];         /* of the epoch's permutation */
    uint64_t *rows;           /* owned, [window_rows] */
    float *x, *y, *w;         /* owned; x NULL when the rows are sparse: */
    struct am_csr_buf sparse; /* owned */
};
struct am_feed_reader; /* the thread that reads the next window */

/* Rows in batches, a window of several at once with the pool's help. Where reading is work (not
 * in_ram) and there is a pool, a thread reads the next window while this one is used. */
struct am_feed {
    const struct am_train_data *data; /* borrowed */
    struct am_pool *pool;             /* borrowed */
    size_t batch_size;
    size_t window_rows; /* a multiple of batch_size */
    enum am_train_order order;
    uint64_t seed;
    bool training; /* rows as their epoch sees them: gather_at where the data has it */
    struct am_feed_window window;
    struct am_feed_reader *reader; /* owned; NULL = none (yet) */
    bool alone;                    /* no reader: tried, or not worth it */
};
struct am_batch_view {
    const float *x, *y, *w; /* x NULL: sparse */
    struct am_csr sparse;
    size_t n;
};
/* The rows of a session's run: n from row `at` of a batch. rows lives as long as io is used. */
static inline void am_feed_give(const struct am_batch_view *b, size_t at, size_t n, size_t width,
                                struct am_csr *rows, struct am_session_io *io)
{
    io->n_rows = n;
    io->x = b->x ? b->x + at * width : NULL;
    if (b->x)
        return;
    *rows = am_csr_rows(&b->sparse, at, n);
    io->sparse = rows;
}
enum am_rc am_feed_init(struct am_feed *f, const struct am_train_data *data, size_t batch_size,
                        enum am_train_order order, uint64_t seed, struct am_pool *pool,
                        struct am_err *err) AM_MUST_CHECK;
void am_feed_clear(struct am_feed *f);
/* Batch `batch` of `epoch`; valid until the next call. */
enum am_rc am_feed_batch(struct am_feed *f, uint64_t epoch, uint64_t batch,
                         struct am_batch_view *out, struct am_err *err) AM_MUST_CHECK;
uint64_t am_feed_n_batches(const struct am_feed *f);

/* Mean loss through an evaluation session whose bucket is the feed's batch size. */
enum am_rc am_feed_loss(struct am_feed *f, struct am_session *s, float *params, double *out,
                        struct am_err *err) AM_MUST_CHECK;
size_t am_feed_eval_rows(const struct am_train_data *data);

#endif
