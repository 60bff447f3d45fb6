/* Sums over all rows of training data, in parallel and yet always with the same bits. Inside of
 * learn/.
 *
 * Rows are cut into blocks of a fixed number; each block's sums are made apart; blocks of a wave
 * are added in a fixed tree, waves one after the other. Neither the pool nor where the rows lie
 * (RAM, file) makes a difference. One thread calls. */
#ifndef AM_LEARN_STREAM_H
#define AM_LEARN_STREAM_H

#include "learn/pass.h"
#include "nn/matrix.h"

struct am_pool;
struct am_progress;

struct am_stream {
    const struct am_train_data *data;
    struct am_pool *pool;
    struct am_progress *progress; /* its cancel flag is obeyed between waves; may be NULL */
    size_t block_rows, n_sums, n_scratch;
    size_t wave;       /* blocks worked at once */
    uint64_t stride;   /* 1 = all blocks; s = every s-th only (for a first guess) */
    double *sums;      /* owned, [wave, n_sums] */
    double *scratch;   /* owned, [wave, n_scratch] */
    float *rows;       /* owned, [wave, block_rows * (f + 2)]; only for data without view */
    uint64_t *numbers; /* owned, [wave, block_rows]; the same */
};
/* Of sparse rows fn sees targets and weights only (x NULL): learn/sparse.h sums over their
 * features. n_sums doubles per block, n_scratch doubles of scratch per worker. */
enum am_rc am_stream_init(struct am_stream *s, const struct am_train_data *data, size_t n_sums,
                          size_t n_scratch, struct am_pool *pool, struct am_progress *progress,
                          struct am_err *err) AM_MUST_CHECK;
void am_stream_clear(struct am_stream *s);
uint64_t am_stream_n_blocks(const struct am_stream *s);
/* total [n_sums] = sum over blocks of what fn adds to sums (zeroed before). fn is called on several
 * threads at once. AM_ECANCELED. */
enum am_rc am_stream_sum(struct am_stream *s,
                         void (*fn)(void *ctx, const struct am_rows *r, double *sums,
                                    double *scratch),
                         void *ctx, double *total, struct am_err *err) AM_MUST_CHECK;

#endif
