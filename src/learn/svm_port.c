/* Finds the drivers that train support vector machines, each when a model first wants it. */
#include <pthread.h>
#include <string.h>

#include "learn/svm_int.h"
#include "tensor/ports_abi.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards both */
static struct am_svm_loader loader;
static const struct am_svm_ops *found[2];

void am_svm_set_loader(const struct am_svm_loader *l)
{
    pthread_mutex_lock(&lock);
    loader = l ? *l : (struct am_svm_loader){0};
    memset(found, 0, sizeof found);
    pthread_mutex_unlock(&lock);
}

static enum am_rc open_ops(enum am_svm_kind kind, struct am_err *err)
{
    const struct am_svm_ops *ops = NULL;
    if (!loader.open) {
        (void)am_fail(err, AM_EMISSING, "there is no library that trains support vector machines");
        am_hint(err, "Run scripts/setup and build again: it installs LIBLINEAR and LIBSVM.");
        return AM_EMISSING;
    }
    AM_TRY(loader.open(loader.ctx, kind, &ops, err));
    if (ops->abi != AM_PORTS_ABI || ops->size != sizeof *ops) {
        (void)am_fail(err, AM_ECONFLICT,
                      "the library of support vector machines was built for another version of "
                      "this program");
        am_hint(err, "Build and install the program and its modules together.");
        return AM_ECONFLICT;
    }
    found[kind] = ops;
    return AM_OK;
}

enum am_rc am_svm_port(enum am_svm_kind kind, const struct am_svm_ops **out, struct am_err *err)
{
    pthread_mutex_lock(&lock);
    const enum am_rc rc = found[kind] ? AM_OK : open_ops(kind, err);
    *out = found[kind];
    pthread_mutex_unlock(&lock);
    return rc;
}
