/* The feed of boost_rows.h. */
#include "learn/boost_rows.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"

#define BATCH_FLOATS ((size_t)1 << 21) /* 8 MB of rows read from a file at once */
#define BATCH_ROWS ((size_t)1 << 18)
#define ROWS_MAX ((uint64_t)1 << 29) /* 2^53 / 2^24: sums of gradients stay exact */

/* Room for weights at the first one that is not 1. */
static enum am_rc keep_weights(struct am_boost_feed *f, uint64_t first, size_t n, const float *w,
                               struct am_err *err)
{
    bool even = !f->w;
    for (size_t i = 0; even && i < n; i++)
        even = w[i] == 1.0f;
    if (even)
        return AM_OK;
    if (!f->w) {
        f->w = am_alloc_array((size_t)f->rows.n_rows, sizeof *f->w);
        if (!f->w)
            return am_fail_nomem(err, f->rows.n_rows * sizeof *f->w);
        for (uint64_t i = 0; i < f->rows.n_rows; i++)
            f->w[i] = 1.0f;
    }
    memcpy(f->w + first, w, n * sizeof *w);
    return AM_OK;
}

/* Targets, weights and a look at the features, once for each row. */
static enum am_rc look(struct am_boost_feed *f, uint64_t first, size_t n, const float *x,
                       size_t n_x, const float *y, const float *w, struct am_err *err)
{
    float worst = 0;
    for (size_t i = 0; i < n_x; i++)
        worst = fabsf(x[i]) > worst ? fabsf(x[i]) : worst; /* NaN is above nothing */
    if (isinf(worst)) {
        am_fail(err, AM_EINVAL, "a feature of the training rows is infinite");
        am_hint(err, "Clean infinite values first; missing ones may stay.");
        return AM_EINVAL;
    }
    if (y != f->y + first)
        memcpy(f->y + first, y, n * sizeof *y);
    if (w)
        AM_TRY(keep_weights(f, first, n, w, err));
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i]) || (w && !(w[i] >= 0.0f && isfinite(w[i]))))
            return am_fail(err, AM_EINVAL, "target or weight of training row %llu is not finite",
                           (unsigned long long)(first + i));
    }
    f->seen = first + n;
    return AM_OK;
}

/* Rows in memory. false: they are not. */
static bool lend(struct am_boost_feed *f, uint64_t first, const float **x, struct am_csr *s,
                 const float **y, const float **w, size_t *n)
{
    const struct am_train_data *d = f->data;
    uint64_t there = 0;
    if (f->rows.sparse) {
        if (!d->view_sparse || !d->view_sparse(d->self, first, s, y, w))
            return false;
        there = s->n_rows;
    } else if (!d->view || !d->view(d->self, first, x, y, w, &there)) {
        return false;
    }
    *n = there < BATCH_ROWS ? (size_t)there : BATCH_ROWS;
    if (f->rows.sparse)
        *s = am_csr_rows(s, 0, *n);
    return true;
}

static enum am_rc fetch(struct am_boost_feed *f, uint64_t first, struct am_csr *s, size_t n,
                        struct am_err *err)
{
    const struct am_train_data *d = f->data;
    const bool new = first >= f->seen;
    float *y = new ? f->y + first : NULL, *w = new ? f->some_w : NULL;
    for (size_t i = 0; i < n; i++)
        f->numbers[i] = first + i;
    if (!f->rows.sparse)
        return d->gather(d->self, f->numbers, n, f->x, y, w, err);
    am_csr_reset(&f->sparse, d->n_features);
    AM_TRY(d->gather_sparse(d->self, f->numbers, n, &f->sparse, y, w, err));
    *s = am_csr_of(&f->sparse);
    return AM_OK;
}

static enum am_rc room(struct am_boost_feed *f, struct am_err *err)
{
    const size_t width = f->rows.sparse ? 256 : f->data->n_features;
    if (f->numbers)
        return AM_OK;
    f->batch_rows = BATCH_FLOATS / width + 1;
    f->numbers = am_alloc_array(f->batch_rows, sizeof *f->numbers);
    f->some_w = am_alloc_array(f->batch_rows, sizeof *f->some_w);
    if (!f->rows.sparse)
        f->x = am_alloc_array(f->batch_rows * width, sizeof *f->x);
    return f->numbers && f->some_w && (f->rows.sparse || f->x)
               ? AM_OK
               : am_fail_nomem(err, f->batch_rows * width * sizeof(float));
}

static enum am_rc batch(void *ctx, uint64_t first, const float **x, struct am_csr *sparse,
                        size_t *n, struct am_err *err)
{
    struct am_boost_feed *f = ctx;
    const float *y = NULL, *w = NULL;
    if (am_progress_canceled(f->progress))
        return am_fail(err, AM_ECANCELED, "training was canceled");
    if (!lend(f, first, x, sparse, &y, &w, n)) {
        AM_TRY(room(f, err));
        *n = f->rows.n_rows - first < f->batch_rows ? (size_t)(f->rows.n_rows - first)
                                                    : f->batch_rows;
        y = f->y + first;
        w = f->some_w;
        AM_TRY(fetch(f, first, sparse, *n, err));
        *x = f->x;
    }
    am_progress_step(f->progress, first + *n, f->rows.n_rows, first + *n, (double)NAN);
    if (first + *n <= f->seen)
        return AM_OK;
    const float *values = f->rows.sparse ? sparse->vals + sparse->start[0] : *x;
    const size_t n_values =
        f->rows.sparse ? (size_t)(sparse->start[*n] - sparse->start[0]) : *n * f->data->n_features;
    return look(f, first, *n, values, n_values, y, w, err);
}

enum am_rc am_boost_feed_init(struct am_boost_feed *f, const struct am_train_data *data,
                              struct am_progress *progress, struct am_err *err)
{
    *f = (struct am_boost_feed){.data = data, .progress = progress};
    f->rows = (struct am_boost_rows){.n_rows = data->n_rows,
                                     .n_features = data->n_features,
                                     .sparse = data->gather_sparse != NULL,
                                     .ctx = f,
                                     .batch = batch};
    if (data->n_rows > ROWS_MAX) {
        am_fail(err, AM_ELIMIT, "%llu training rows, at most %llu are possible",
                (unsigned long long)data->n_rows, (unsigned long long)ROWS_MAX);
        am_hint(err, "Take a sample of the rows.");
        return AM_ELIMIT;
    }
    f->y = am_alloc_array((size_t)data->n_rows, sizeof *f->y);
    return f->y ? AM_OK : am_fail_nomem(err, data->n_rows * sizeof(float));
}

void am_boost_feed_clear(struct am_boost_feed *f)
{
    am_free(f->y);
    am_free(f->w);
    am_free(f->x);
    am_free(f->numbers);
    am_free(f->some_w);
    am_csr_clear(&f->sparse);
    memset(f, 0, sizeof *f);
}
