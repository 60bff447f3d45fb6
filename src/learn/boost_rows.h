/* Training rows on their way into a library that grows trees: batch by batch, checked once; targets
 * and weights stay behind in memory. Inside of learn/.
 *
 * Rows in memory are lent as they are; rows in a file are read batch by batch. One thread. */
#ifndef AM_LEARN_BOOST_ROWS_H
#define AM_LEARN_BOOST_ROWS_H

#include "learn/trees.h"
#include "nn/matrix.h"

struct am_progress;

struct am_boost_feed {
    const struct am_train_data *data; /* borrowed */
    struct am_progress *progress;     /* borrowed; its cancel flag is obeyed between batches */
    struct am_boost_rows rows;        /* what the library reads; ctx is this struct */
    float *y;                         /* owned, [n_rows]; of the rows seen so far */
    float *w;                         /* the same; NULL while all are 1 */
    uint64_t seen;                    /* rows whose target and weight are here */
    size_t batch_rows;
    float *x;                 /* owned, [batch_rows, n_features]; rows that are not in memory */
    uint64_t *numbers;        /* owned, [batch_rows] */
    float *some_w;            /* owned, [batch_rows] */
    struct am_csr_buf sparse; /* owned */
};

/* AM_ELIMIT: more rows than sums of gradients stay exact for. */
enum am_rc am_boost_feed_init(struct am_boost_feed *f, const struct am_train_data *data,
                              struct am_progress *progress, struct am_err *err) AM_MUST_CHECK;
void am_boost_feed_clear(struct am_boost_feed *f);
static inline float am_boost_weight(const struct am_boost_feed *f, size_t row)
{
    return f->w ? f->w[row] : 1.0f;
}

#endif
