/* Child processes that run candidates: the program itself, started again as `aimass trial-worker`.
 *
 * Each worker prepares the same data once, from files, and then takes one task after the other over
 * an inherited socket; it never opens the records. A worker that dies takes its task with it and
 * nothing else: the next task starts a new one. Who uses a farm decides what to run, and stores
 * what comes back. The workers end with the farm, and with the process that made it. One thread. */
#ifndef AM_PIPELINE_FARM_H
#define AM_PIPELINE_FARM_H

#include "pipeline/trial.h"

#define AM_FARM_COMMAND "trial-worker"
#define AM_FARM_WORKERS_MAX 256

/* Which folds a task is measured on, inside the worker. */
enum am_farm_folds {
    AM_FARM_TUNE,     /* tune.folds of the training and validation rows, or ... */
    AM_FARM_INNER,    /* ... of the training side of fold `outer` of evaluate.folds */
    AM_FARM_EVALUATE, /* evaluate.folds of all rows; fold `outer` alone */
};

struct am_farm_task {
    uint64_t id;
    enum am_farm_folds folds;
    size_t outer;
    const struct am_recipe_set *sets;
    size_t n_sets;
    size_t watch; /* metric of the reports */
    bool reports; /* the worker waits for am_farm_answer after each */
    bool predictions;
};

struct am_farm_options {
    unsigned n_workers;           /* 1..AM_FARM_WORKERS_MAX */
    unsigned n_threads;           /* of all workers together; each gets its part, at least 1 */
    const struct am_str *metrics; /* [n_metrics] of the results */
    size_t n_metrics;
    const char *weights_path; /* NULL = none */
};

struct am_farm;
/* Starts nothing yet. p is borrowed. */
enum am_rc am_farm_new(const struct am_prepared *p, const struct am_farm_options *o,
                       struct am_farm **out, struct am_err *err) AM_MUST_CHECK;
void am_farm_free(struct am_farm *f); /* kills what runs; NULL is fine */

size_t am_farm_n_idle(const struct am_farm *f);
/* Hands the task to an idle worker, which is started when there is none. AM_EBUSY without one. */
enum am_rc am_farm_start(struct am_farm *f, const struct am_farm_task *task,
                         struct am_err *err) AM_MUST_CHECK;

enum am_farm_what {
    AM_FARM_NOTHING, /* the time is over */
    AM_FARM_REPORT,  /* step and value; am_farm_answer goes on */
    AM_FARM_RESULT,  /* result is the caller's: am_trial_result_clear */
};
struct am_farm_event {
    enum am_farm_what what;
    uint64_t id;
    uint64_t step;
    double value;
    /* Of a worker that died: AM_TRIAL_FAILED with how it ended. rows.row and rows.truth are NULL.
     */
    struct am_trial_result result;
};
/* Waits at most timeout_ms. Errors are of this process: a worker that cannot even prepare the data
 * is one, too (it would fail for every task). */
enum am_rc am_farm_wait(struct am_farm *f, int timeout_ms, struct am_farm_event *out,
                        struct am_err *err) AM_MUST_CHECK;
enum am_farm_answer { AM_FARM_GO_ON, AM_FARM_PRUNE };
enum am_rc am_farm_answer(struct am_farm *f, uint64_t id, enum am_farm_answer answer,
                          struct am_err *err) AM_MUST_CHECK;
/* Cuts the task; no event comes of it. */
void am_farm_cut(struct am_farm *f, uint64_t id);

/* ---- the other side ---- */

/* A worker's life: the job, then tasks until the socket closes. pl: pool, memory, tables; registry
 * NULL. The arena gets what lives as long as the worker. */
struct am_worker_start {
    char *scratch; /* arena */
    unsigned n_threads;
    uint64_t memory_limit_bytes;
    struct am_node *job;
    struct am_buf in; /* what came behind the job; am_worker_run takes it */
};
enum am_rc am_worker_begin(int fd, struct am_arena *a, struct am_worker_start *out,
                           struct am_err *err) AM_MUST_CHECK;
enum am_rc am_worker_run(int fd, struct am_pipeline *pl, struct am_arena *a,
                         struct am_worker_start *start, struct am_err *err) AM_MUST_CHECK;

/* tune.folds, with its default where the recipe says nothing: 5 up to 10,000 rows or without
 * validation rows, else the validation part. */
enum am_rc am_farm_tune_folds(const struct am_prepared *p, struct am_folds_spec *out,
                              struct am_err *err) AM_MUST_CHECK;

#endif
