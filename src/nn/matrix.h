/* Training rows: features, targets and a weight per row, as float32, in RAM or in a file.
 *
 * Appended batch by batch, then read by row numbers. Rows stay in RAM until they exceed the memory
 * given; then all of them go to an unlinked temporary file and are read with pread, so that an
 * input many times the memory trains. Which of both makes no difference to any result. One thread
 * appends; after am_matrix_finish any number of threads may read. */
#ifndef AM_NN_MATRIX_H
#define AM_NN_MATRIX_H

#include "base/err.h"
#include "tensor/sparse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows by number. Not owned by whoever gets it. gather and view are called from several threads at
 * once. */
struct am_train_data {
    uint64_t n_rows;
    size_t n_features, n_targets;
    void *self;
    /* Copy the rows `rows` [n] (each < n_rows, any order) to x [n, n_features], y [n, n_targets],
     * w [n]; any of the three may be NULL. No weights given = 1. Runs of consecutive rows are
     * read at once. */
    enum am_rc (*gather)(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                         struct am_err *err);
    /* Optional (NULL = none). Pointers to row `first` and how many rows lie behind it without a gap
     * (at least 1): x [*n, n_features], y [*n, n_targets], w [*n] or NULL when all weights are 1.
     * They live as long as the data. false: these rows are not in RAM. */
    bool (*view)(void *self, uint64_t first, const float **x, const float **y, const float **w,
                 uint64_t *n);
    /* Optional (NULL = gather). The rows as one epoch of training sees them: augmented, each row as
     * a function of (the data's own seed, epoch, row number) only, whatever rows stand beside it,
     * whichever thread asks and how often. Epochs count from 0. The training loop reads its rows
     * through this; validation, scores and statistics of targets use gather and view, which know
     * nothing of it. A subset passes it on with the base's row numbers. */
    enum am_rc (*gather_at)(void *self, uint64_t epoch, const uint64_t *rows, size_t n, float *x,
                            float *y, float *w, struct am_err *err);
    /* gather_at gives three numbers of a row's one target, y [n, 3]: its class, another class, and
     * that one's share in [0, 1] of the row's loss (mixup). gather and view know nothing of it. */
    bool mixes;
    /* Reading is a copy from RAM: not worth a thread of its own that reads ahead. */
    bool in_ram;
    /* Sparse rows (NULL = the rows are dense). gather still works, row by row into zeros, and is
     * what learners without sparse support use; am_learner_fit bounds it (learn.h). */
    /* Append the rows to x (reset before by the caller, n_cols n_features); y and w as gather. */
    enum am_rc (*gather_sparse)(void *self, const uint64_t *rows, size_t n, struct am_csr_buf *x,
                                float *y, float *w, struct am_err *err);
    /* As view: row `first` and those behind it in RAM without a gap; NULL = gather_sparse. */
    bool (*view_sparse)(void *self, uint64_t first, struct am_csr *x, const float **y,
                        const float **w);
};

struct am_matrix;

enum am_matrix_weights { AM_MATRIX_NO_WEIGHTS, AM_MATRIX_WEIGHTS };
enum am_matrix_form { AM_MATRIX_DENSE, AM_MATRIX_SPARSE };
struct am_matrix_options {
    size_t memory_bytes;  /* of rows kept in RAM; 0 = no limit */
    const char *temp_dir; /* where the file is made; NULL = "/tmp" */
    enum am_matrix_weights weights;
    enum am_matrix_form form; /* sparse: rows come by am_matrix_append_sparse; in a file they cost 8
                                 bytes of RAM each */
};

enum am_rc am_matrix_new(size_t n_features, size_t n_targets,
                         const struct am_matrix_options *options /* NULL = RAM, no weights */,
                         struct am_matrix **out, struct am_err *err) AM_MUST_CHECK;
void am_matrix_free(struct am_matrix *m); /* NULL is fine */
/* w is read only with AM_MATRIX_WEIGHTS. After an error the matrix can only be freed. */
enum am_rc am_matrix_append(struct am_matrix *m, size_t n, const float *x /* [n, n_features] */,
                            const float *y /* [n, n_targets] */, const float *w /* [n] or NULL */,
                            struct am_err *err) AM_MUST_CHECK;
/* The same for sparse rows of n_features columns. */
enum am_rc am_matrix_append_sparse(struct am_matrix *m, const struct am_csr *x, const float *y,
                                   const float *w, struct am_err *err) AM_MUST_CHECK;
/* Ends appending. */
enum am_rc am_matrix_finish(struct am_matrix *m, struct am_err *err) AM_MUST_CHECK;
/* Valid from finish until the matrix is freed. */
const struct am_train_data *am_matrix_data(const struct am_matrix *m);
uint64_t am_matrix_n_rows(const struct am_matrix *m); /* so far */
bool am_matrix_spilled(const struct am_matrix *m);

/* A view of some rows of other data, in the order given: for folds and splits. rows [n] is copied,
 * base is borrowed. Free with am_train_subset_free. */
enum am_rc am_train_subset_new(const struct am_train_data *base, const uint64_t *rows, size_t n,
                               const struct am_train_data **out, struct am_err *err) AM_MUST_CHECK;
void am_train_subset_free(const struct am_train_data *d); /* NULL is fine */

#endif
