/* The HTTP server: one call that serves a workspace until it is told to stop.
 *
 * HTTP/1.1 over libuv, one event loop per core. Until login exists it binds to loopback addresses
 * only and has no route that changes anything. Not a framework: routes are the table in routes.c.
 */
#ifndef AM_API_API_H
#define AM_API_API_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct am_buf;

#define AM_API_PORT 8080

struct am_api_options {
    const char *workspace; /* directory */
    const char *host;      /* loopback address or "localhost"; NULL = both 127.0.0.1 and ::1 */
    int port;              /* 0 = any free port; -1 = AM_API_PORT */
    int admin_port;        /* health and metrics on a loop of their own; 0 = none, -1 = any free */
    unsigned n_loops;      /* 0 = number of CPUs, at most 16 */
    unsigned n_workers;    /* for predictions too slow for a loop; 0 = number of CPUs */
    const char *user;      /* to become when started as root; NULL = "nobody" */
    const char *const *hosts; /* [n_hosts] further names allowed in Host, without port */
    size_t n_hosts;
    unsigned drain_ms; /* how long running requests may take at shutdown; 0 = 10000 */
    /* Called once when requests are answered: "http://127.0.0.1:8080". */
    void (*ready)(void *ctx, const char *url, int port, int admin_port);
    void *ctx;
    atomic_bool *stop; /* borrowed; polled besides SIGTERM and SIGINT; NULL = signals only */
};

/* Serves until SIGTERM, SIGINT or *stop; then finishes what runs and returns AM_OK. Call it while
 * the process has one thread when it runs as root (see platform/serving.h). */
enum am_rc am_api_serve(const struct am_api_options *o, struct am_err *err) AM_MUST_CHECK;

/* The OpenAPI 3.1 document of the route table, as JSON. */
void am_api_openapi(struct am_buf *out);

#endif
