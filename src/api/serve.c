/* am_api_serve: sockets first, then the workspace (where root is given up), then the loops. */
#include "api/api_int.h"

#include "base/alloc.h"

static void end_serving(void *serving)
{
    am_serving_close(serving);
}

enum am_rc am_api_serve(const struct am_api_options *o, struct am_err *err)
{
    struct am_serving_options so = {.workspace = o->workspace, .user = o->user};
    struct am_serving *serving = NULL;
    struct am_server *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    enum am_rc rc = am_server_bind(s, o, NULL, err);
    if (rc == AM_OK) {
        so.serve =
            (struct am_serve_options){.n_slots = s->n_loops + 1,
                                      .n_workers = o->n_workers ? o->n_workers : am_api_cpus(),
                                      .changed = am_server_changed,
                                      .ctx = s};
        rc = am_serving_open(&so, &serving, err);
    }
    if (rc == AM_OK) {
        s->serve_owner = serving;
        s->end_serve = end_serving;
        rc = am_server_start(s, am_serving_serve(serving), err);
    }
    if (rc == AM_OK)
        am_server_run(s);
    am_server_clear(s);
    am_free(s);
    return rc;
}
