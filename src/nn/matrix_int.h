/* The store of sparse training rows behind am_matrix; for matrix.c only. */
#ifndef AM_NN_MATRIX_INT_H
#define AM_NN_MATRIX_INT_H

#include "nn/matrix.h"

struct am_sparse_rows;

/* temp_dir is borrowed. memory_bytes 0 = no limit. */
enum am_rc am_sparse_rows_new(size_t n_features, size_t n_targets, size_t n_weights,
                              size_t memory_bytes, const char *temp_dir,
                              struct am_sparse_rows **out, struct am_err *err) AM_MUST_CHECK;
void am_sparse_rows_free(struct am_sparse_rows *s); /* NULL is fine */
enum am_rc am_sparse_rows_append(struct am_sparse_rows *s, const struct am_csr *x, const float *y,
                                 const float *w, struct am_err *err) AM_MUST_CHECK;
/* Fills in how data's rows are read. */
enum am_rc am_sparse_rows_finish(struct am_sparse_rows *s, struct am_train_data *data,
                                 struct am_err *err) AM_MUST_CHECK;
bool am_sparse_rows_spilled(const struct am_sparse_rows *s);

#endif
