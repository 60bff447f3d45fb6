/* Progress of long work: the worker reports, a face shows. Not a log. The sink is called on the
 * worker's thread, at most ~10 times a second per phase (am_progress_step thins out), and must not
 * block. */
#ifndef AM_BASE_PROGRESS_H
#define AM_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct am_progress_event {
    const char *phase;    /* "import", "features", "train", "evaluate", ...; static */
    uint64_t done, total; /* units of the phase (rows, epochs); total 0 = unknown */
    double loss;          /* NaN = none */
    double rows_per_s;    /* NaN = unknown */
    double left_s;        /* NaN = unknown */
    bool finished;        /* of the phase */
};

struct am_progress {
    void (*sink)(void *ctx, const struct am_progress_event *ev); /* NULL = nobody watches */
    void *ctx;
    atomic_bool *cancel;          /* borrowed; set by Ctrl-C; NULL = cannot be cancelled */
    uint64_t started_ns, last_ns; /* of the running phase; kept by the functions below */
    const char *phase;
    uint64_t done, total, rows; /* of the last step */
    double loss;
};

/* All accept p == NULL. */
void am_progress_begin(struct am_progress *p, const char *phase, uint64_t total);
void am_progress_step(struct am_progress *p, uint64_t done, uint64_t total, uint64_t rows_done,
                      double loss);
void am_progress_end(struct am_progress *p);
bool am_progress_canceled(const struct am_progress *p);

#endif
