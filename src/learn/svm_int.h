/* Inside of the SVM learners: rows as the port takes them, decisions of rows, folds. */
#ifndef AM_LEARN_SVM_INT_H
#define AM_LEARN_SVM_INT_H

#include "learn/gathered.h"
#include "learn/svm.h"

enum am_rc am_svm_port(enum am_svm_kind kind, const struct am_svm_ops **out,
                       struct am_err *err) AM_MUST_CHECK;

struct am_svm_rows {
    struct am_gathered dense; /* x NULL when sparse; y and w always */
    struct am_csr_buf sparse; /* owned */
    struct am_csr csr;        /* of sparse */
    bool is_sparse;
    uint32_t *times; /* owned, [n]: how often a row stands in the problem */
    double unit;     /* a row's weight is times * unit */
    size_t total;    /* sum of times */
};
/* Rows of the task; sparse ones stay so. Row weights become repetitions: AM_EUNSUPPORTED when they
 * are no small multiples of one number. */
enum am_rc am_svm_rows_read(const struct am_learn_task *t, struct am_svm_rows *out,
                            struct am_err *err) AM_MUST_CHECK;
void am_svm_rows_clear(struct am_svm_rows *r);

/* The problem of the rows whose fold is not `skip` (fold NULL = all). Free rows and y. */
enum am_rc am_svm_problem_of(const struct am_svm_rows *r, const uint8_t *fold, unsigned skip,
                             size_t n_classes, struct am_svm_problem *out,
                             struct am_err *err) AM_MUST_CHECK;
/* Decision values [n_outputs] of row i. kernel: scratch [n_support]. */
void am_svm_decide(const struct am_svm_rows *r, const struct am_svm_result *m,
                   const struct am_svm_options *o, size_t i, double *scratch, double *out);
/* Folds of rows, every class dealt evenly: fold [n] in 0..n_folds-1. */
enum am_rc am_svm_folds(const struct am_svm_rows *r, size_t n_classes, unsigned n_folds,
                        uint64_t seed, uint8_t *fold, struct am_err *err) AM_MUST_CHECK;

#endif
