/* Where the library behind kernel_port.h comes from, asked once; what the environment wishes. */
#include "tensor/kernel_port.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct am_kernel_port_loader loader;
static bool asked;
static const struct am_kernel_port_ops *found;
static struct am_err why; /* nothing was found */
static char profile[192];

void am_kernel_port_set_loader(const struct am_kernel_port_loader *l)
{
    pthread_mutex_lock(&lock);
    loader = l ? *l : (struct am_kernel_port_loader){0};
    asked = false;
    found = NULL;
    pthread_mutex_unlock(&lock);
}

static void ask(void)
{
    asked = true;
    am_err_clear(&why);
    if (!loader.open) {
        (void)am_fail(&why, AM_EMISSING,
                      "no library of convolution kernels belongs to this program");
        return;
    }
    if (loader.open(loader.ctx, &found, &why) != AM_OK) {
        found = NULL;
        return;
    }
    (void)snprintf(profile, sizeof profile, "%s + %s", am_numerics_profile(), found->version());
}

enum am_rc am_kernel_port(const struct am_kernel_port_ops **out, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    pthread_mutex_lock(&lock);
    if (!asked)
        ask();
    *out = found;
    if (!found) {
        rc = why.rc ? why.rc : AM_EMISSING;
        if (err)
            *err = why;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

enum am_rc am_kernel_port_profile(const char **out, struct am_err *err)
{
    const struct am_kernel_port_ops *ops;
    AM_TRY(am_kernel_port(&ops, err));
    *out = profile;
    return AM_OK;
}

enum am_port_wish am_kernel_port_wish(void)
{
    const char *s = getenv("AIMASS_DNNL");
    return !s || strcmp(s, "auto") == 0 ? AM_PORT_WISH_AUTO
           : strcmp(s, "on") == 0       ? AM_PORT_WISH_ON
                                        : AM_PORT_WISH_OFF;
}
