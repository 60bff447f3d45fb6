/* Finds the driver that grows trees, when a model first wants it. */
#include "learn/trees.h"

#include <pthread.h>
#include <string.h>

#include "tensor/ports_abi.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards both */
static struct am_trees_loader loader;
static const struct am_trees_ops *found;

void am_trees_set_loader(const struct am_trees_loader *l)
{
    pthread_mutex_lock(&lock);
    loader = l ? *l : (struct am_trees_loader){0};
    found = NULL;
    pthread_mutex_unlock(&lock);
}

static enum am_rc open_ops(struct am_err *err)
{
    const struct am_trees_ops *ops = NULL;
    if (!loader.open) {
        (void)am_fail(err, AM_EMISSING, "there is no library that grows trees");
        am_hint(err, "Run scripts/setup and build again: it installs XGBoost, which trains "
                     "gradient boosting.");
        return AM_EMISSING;
    }
    AM_TRY(loader.open(loader.ctx, &ops, err));
    if (ops->abi != AM_PORTS_ABI || ops->size != sizeof *ops) {
        (void)am_fail(err, AM_ECONFLICT,
                      "the library that grows trees was built for another version of this program");
        am_hint(err, "Build and install the program and its modules together.");
        return AM_ECONFLICT;
    }
    found = ops;
    return AM_OK;
}

enum am_rc am_trees_port(const struct am_trees_ops **out, struct am_err *err)
{
    pthread_mutex_lock(&lock);
    const enum am_rc rc = found ? AM_OK : open_ops(err);
    *out = found;
    pthread_mutex_unlock(&lock);
    return rc;
}
