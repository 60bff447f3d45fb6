/* A server over the fake models on a free port, its control loop in a thread of the test. */
#ifndef AM_TESTS_SERVER_FIXTURE_H
#define AM_TESTS_SERVER_FIXTURE_H

#include <pthread.h>

#include "api/api_int.h"
#include "fake_models.h"

struct fixture {
    struct fake fake;
    struct am_server server;
    struct am_serve *serve;
    pthread_t thread;
    atomic_bool stop;
};

static void fixture_end_serve(void *serve)
{
    am_serve_free(serve);
}

static void *fixture_main(void *arg)
{
    struct fixture *f = arg;
    am_server_run(&f->server);
    return NULL;
}

/* 0 = running and ready */
static int fixture_start(struct fixture *f, const struct am_http_limits *limits, unsigned n_loops)
{
    struct am_err err;
    struct am_api_options o = {
        .host = "127.0.0.1", .n_loops = n_loops, .stop = &f->stop, .admin_port = -1};
    atomic_store(&f->stop, false);
    fake_init(&f->fake);
    if (am_server_bind(&f->server, &o, limits, &err) != AM_OK) {
        fprintf(stderr, "bind: %s\n", err.message);
        return -1;
    }
    struct am_serve_options so = {.n_slots = f->server.n_loops + 1,
                                  .n_workers = 2,
                                  .poll_ms = 20,
                                  .max_loaded = 16,
                                  .inline_us = 100000,
                                  .changed = am_server_changed,
                                  .ctx = &f->server};
    struct am_serve_source source = fake_source(&f->fake);
    if (am_serve_new(&so, &source, &f->serve, &err) != AM_OK)
        return -1;
    f->server.serve_owner = f->serve;
    f->server.end_serve = fixture_end_serve;
    if (am_server_start(&f->server, f->serve, &err) != AM_OK) {
        fprintf(stderr, "start: %s\n", err.message);
        return -1;
    }
    return pthread_create(&f->thread, NULL, fixture_main, f);
}

static void fixture_stop(struct fixture *f)
{
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
    am_server_clear(&f->server);
}

#endif
