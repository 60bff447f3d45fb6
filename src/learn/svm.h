/* Support vector machines: the port to the libraries that train them (drivers/svm-*): one for
 * linear machines, one for kernels.
 *
 * A driver solves one problem and hands back numbers; probabilities, folds, the model and what it
 * answers are ours (learn/svm.c). The libraries take rows one by one in the memory of the whole
 * problem. Same rows, options and seed give the same numbers. One training at a time in a driver
 * (a second caller waits); the loader is set once, before threads start. */
#ifndef AM_LEARN_SVM_H
#define AM_LEARN_SVM_H

#include <stdbool.h>

#include "base/host.h"
#include "tensor/sparse.h"

enum am_svm_kind { AM_SVM_LINEAR, AM_SVM_KERNEL }; /* which driver */
enum am_svm_kernel {
    AM_SVM_KERNEL_LINEAR,
    AM_SVM_KERNEL_RBF,
    AM_SVM_KERNEL_POLY,
    AM_SVM_KERNEL_SIGMOID
};
enum am_svm_loss { AM_SVM_HINGE, AM_SVM_SQUARED }; /* of numbers: beyond epsilon */
enum am_svm_penalty { AM_SVM_L2, AM_SVM_L1 };
enum am_svm_classes { AM_SVM_ONE_REST, AM_SVM_CRAMMER_SINGER };

struct am_svm_problem {
    size_t n, n_features;        /* rows used, 1..INT_MAX */
    const float *x;              /* rows, dense [.., n_features], or NULL: */
    const struct am_csr *sparse; /* the same, sparse */
    const uint32_t *rows;        /* [n] which of them; a row may stand twice */
    const double *y;             /* [n] value, or class index */
    size_t n_classes;            /* 0: numbers; else each class has a row */
};

struct am_svm_options {
    double c, epsilon, tolerance;
    double nu;                   /* > 0: the nu form instead of c (kernels only) */
    const double *class_weights; /* [n_classes], multiply c; NULL = 1 */
    enum am_svm_loss loss;       /* linear machines */
    enum am_svm_penalty penalty;
    enum am_svm_classes classes;
    bool bias;                 /* a column of 1, penalised like the others (linear machines) */
    enum am_svm_kernel kernel; /* kernel machines */
    double gamma, coef0;
    int degree;
    size_t cache_bytes;
    uint64_t seed;
    bool (*canceled)(void *ctx); /* asked now and then; may be NULL */
    void *ctx;
};

/* Decision functions: 1 for numbers (the value) and for two classes (> 0 is class 1); linear: else
 * one a class; kernel: else one for each pair of classes a < b in the order (0,1), (0,2), .., > 0
 * is class a. Arrays are the caller's, freed with host->free. */
struct am_svm_result {
    size_t n_outputs;
    double *weights;   /* linear: [n_outputs, n_features + 1], constant last; else NULL */
    size_t n_support;  /* kernel */
    uint32_t *support; /* [n_support] as in problem.rows */
    double *coef;      /* [n_outputs, n_support + 1], constant last */
};

struct am_svm_ops {
    uint64_t abi;  /* AM_PORTS_ABI */
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err); /* once, before all else */
    /* AM_EINVAL: options or data that cannot be solved (nu too large ..), AM_ENOMEM, AM_ECANCELED;
     * on failure *out is empty. */
    enum am_rc (*train)(const struct am_svm_problem *p, const struct am_svm_options *o,
                        struct am_svm_result *out, struct am_err *err);
    const char *(*version)(void);
};

/* Where drivers come from; called at the first training. NULL = none (AM_EMISSING). */
struct am_svm_loader {
    void *ctx;
    enum am_rc (*open)(void *ctx, enum am_svm_kind kind, const struct am_svm_ops **out,
                       struct am_err *err);
};
void am_svm_set_loader(const struct am_svm_loader *l); /* copied */

#endif
