/* The modules of learners' ports: trees and support vector machines. Apart from modules.c, so that
 * what knows no learner links without them. Any thread; loaders are set before threads start. */
#include <string.h>

#include "learn/svm.h"
#include "learn/trees.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"

/* ---- trees ---- */

enum am_rc am_trees_open(const char *program, const struct am_trees_ops **out, struct am_err *err)
{
    const struct am_module_spec spec = {
        .name = "trees-xgboost",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_trees_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs XGBoost (Debian: "
                       "libxgboost-dev), which trains gradient boosting. Models that are trained "
                       "already need nothing."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, &spec, &ops, err));
    const struct am_trees_ops *trees = ops;
    AM_TRY(trees->start(am_host_table(), err));
    *out = trees;
    return AM_OK;
}

static enum am_rc load_trees(void *ctx, const struct am_trees_ops **out, struct am_err *err)
{
    return am_trees_open(ctx, out, err);
}

void am_modules_set_trees(const char *program)
{
    struct am_trees_loader l = {.open = load_trees};
    memcpy(&l.ctx, &program, sizeof program); /* const: the loader only hands it back */
    am_trees_set_loader(&l);
}

/* ---- support vector machines ---- */

enum am_rc am_svm_open(const char *program, enum am_svm_kind kind, const struct am_svm_ops **out,
                       struct am_err *err)
{
    const struct am_module_spec linear = {
        .name = "svm-liblinear",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_svm_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs LIBLINEAR (Debian: "
                       "liblinear-dev), which trains linear support vector machines. Models that "
                       "are trained do not need it."),
    };
    const struct am_module_spec kernels = {
        .name = "svm-libsvm",
        .abi = AM_PORTS_ABI,
        .size = sizeof(struct am_svm_ops),
        .remedy = AM_N("Run scripts/setup and build again: it installs LIBSVM (Debian: "
                       "libsvm-dev), which trains support vector machines with kernels. Models "
                       "that are trained do not need it."),
    };
    const void *ops = NULL;
    *out = NULL;
    AM_TRY(am_module_open(program, kind == AM_SVM_LINEAR ? &linear : &kernels, &ops, err));
    const struct am_svm_ops *machines = ops;
    AM_TRY(machines->start(am_host_table(), err));
    *out = machines;
    return AM_OK;
}

static enum am_rc load_svm(void *ctx, enum am_svm_kind kind, const struct am_svm_ops **out,
                           struct am_err *err)
{
    return am_svm_open(ctx, kind, out, err);
}

void am_modules_set_svm(const char *program)
{
    struct am_svm_loader l = {.open = load_svm};
    memcpy(&l.ctx, &program, sizeof program); /* const: the loader only hands it back */
    am_svm_set_loader(&l);
}
