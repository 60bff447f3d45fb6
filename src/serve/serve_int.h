/* Shared by the files of serve/ only.
 *
 * Locks: `lock` guards the current catalogue pointer, the wishes and the loader's state;
 * `queue_lock` the workers' queue. Never both at once. A catalogue is immutable once published and
 * reference-counted; each slot keeps a reference to the one it uses, which only its own thread
 * touches. */
#ifndef AM_SERVE_SERVE_INT_H
#define AM_SERVE_SERVE_INT_H

#include <pthread.h>

#include "serve/serve.h"
#include "serve/source.h"

#define AM_SERVE_ROW_BUCKETS 20 /* rows 1, 2, 3-4, 5-8, … */
#define AM_SERVE_LATENCY_BINS 40

/* The latency of one row count, as one slot measured it. */
struct am_latency {
    uint32_t bins[AM_SERVE_LATENCY_BINS]; /* log-spaced, halved now and then */
    uint32_t n;
};

/* What one slot (thread) has of a version; written by that thread only. */
struct am_served_slot {
    void *state; /* predictor; made at first use */
    _Atomic uint64_t requests[AM_SERVE_OUTCOMES];
    _Atomic uint64_t rows, runs, request_ns, queue_ns, compute_ns;
    _Atomic uint64_t bucket[AM_SERVE_BUCKETS];
    _Atomic uint64_t last_ns; /* mono */
    struct am_latency latency[AM_SERVE_ROW_BUCKETS];
} __attribute__((aligned(64)));

struct am_served {
    atomic_size_t refs;
    struct am_serve_model model;
    struct am_serve_info info;
    char *name; /* owned; the model's */
    char version[24];
    struct am_str *quoted; /* owned, into quoted_text */
    struct am_buf quoted_text;
    char *package; /* owned; hash, tells a re-used number apart */
    double load_seconds;
    size_t n_slots;
    struct am_served_slot *slots;                  /* owned, [n_slots] */
    _Atomic uint64_t p99_ns[AM_SERVE_ROW_BUCKETS]; /* 0 = not measured */
    int64_t loaded_us;                             /* wall */
};

struct am_catalog_box { /* a catalogue and what it needs */
    struct am_catalog c;
    atomic_size_t refs;
    struct am_arena *arena; /* owned; names, details, arrays */
};

struct am_serve_slot {
    struct am_catalog_box *catalog; /* a reference; this slot's thread only */
    uint64_t seen;                  /* publication number of it */
} __attribute__((aligned(64)));

struct am_serve {
    struct am_serve_options options;
    struct am_serve_source source;
    unsigned n_slots; /* the options' and one a worker */
    struct am_serve_slot *slots;

    pthread_mutex_t lock;
    pthread_cond_t wake;            /* the loader */
    struct am_catalog_box *current; /* owned reference */
    _Atomic uint64_t published;     /* counts publications; changes under lock */
    struct am_serve_want *wants, **wants_end;
    bool stop;
    pthread_t loader;
    bool loader_started;
    _Atomic bool ready, alive;

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_wake;
    struct am_serve_job *jobs, **jobs_end;
    size_t n_jobs;
    uint64_t queued_ns_estimate; /* of work in the queue */
    bool queue_stop;
    pthread_t *workers;
    unsigned n_workers;
};

/* catalog.c */
struct am_catalog_box *am_catalog_build(struct am_arena *a, const struct am_node *models,
                                        const struct am_catalog_box *old, uint64_t generation,
                                        struct am_err *err); /* takes the arena over */
struct am_catalog_box *am_catalog_copy(const struct am_catalog_box *old, struct am_err *err);
void am_catalog_unref(struct am_catalog_box *c);
void am_catalog_settle(struct am_catalog_box *c, const struct am_catalog_box *old);

/* served.c */
enum am_rc am_served_new(const struct am_serve *s, const char *model, int64_t version,
                         struct am_str package, struct am_serve_model *m, struct am_served **out,
                         struct am_err *err) AM_MUST_CHECK;
enum am_rc am_served_warm(struct am_serve *s, struct am_served *v,
                          struct am_err *err) AM_MUST_CHECK;
enum am_rc am_served_run(struct am_served *v, unsigned slot, const struct am_batch *batch,
                         struct am_serve_result *r, struct am_err *err) AM_MUST_CHECK;
uint64_t am_served_estimate_ns(const struct am_served *v, size_t n_rows);

/* worker.c */
enum am_rc am_workers_start(struct am_serve *s, struct am_err *err) AM_MUST_CHECK;
void am_workers_stop(struct am_serve *s);

#endif
