/* The faces' door to serving: opens a workspace for prediction; everything else is serve/serve.h,
 * which this header passes on (plain structs and calls; no store, no model comes through).
 *
 * Opened as root, it first starts a small loader process that keeps the right to read the
 * workspace, and then gives root up in this process; it must therefore be called while the process
 * has one thread, and after the listening sockets are bound. */
#ifndef AM_PLATFORM_SERVING_H
#define AM_PLATFORM_SERVING_H

#include "serve/serve.h"

struct am_serving_options {
    const char *workspace; /* directory; must exist or be creatable */
    const char *user;      /* to become when started as root; NULL = "nobody" */
    struct am_serve_options serve;
};
struct am_serving;

enum am_rc am_serving_open(const struct am_serving_options *o, struct am_serving **out,
                           struct am_err *err) AM_MUST_CHECK;
struct am_serve *am_serving_serve(struct am_serving *s); /* borrowed */
void am_serving_close(struct am_serving *s);             /* NULL is fine */

#endif
