/* The workers: predictions too slow for an event loop, taken from one bounded queue and joined by
 * rows when they are for the same version. Nothing waits for a batch to fill: it forms while
 * workers are busy. */

#include "base/alloc.h"
#include "base/clock.h"
#include "serve/serve_int.h"

#define BATCH_ROWS 256
#define BATCH_JOBS 64

/* What one worker keeps between batches. */
struct worker {
    struct am_serve *s;
    unsigned slot;
    struct am_serve_result result;
    struct am_column *joined; /* owned, [cap_columns] */
    size_t cap_columns;
    char *cells; /* owned */
    size_t cap_cells;
    struct am_serve_job *jobs[BATCH_JOBS];
    size_t n_jobs;
};

enum am_rc am_serve_submit(struct am_serve *s, struct am_serve_job *job, struct am_err *err)
{
    uint64_t now = am_mono_ns();
    uint64_t cost =
        job->work ? job->cost_ns : am_served_estimate_ns(job->served, job->batch->n_rows);
    enum am_rc rc = AM_OK;
    job->next = NULL;
    job->rc = AM_OK;
    job->queued_ns = now;
    job->queue_ns = 0;
    job->cost_ns = cost;
    pthread_mutex_lock(&s->queue_lock);
    uint64_t wait = s->queued_ns_estimate / (s->n_workers ? s->n_workers : 1);
    if (s->queue_stop || s->n_jobs >= s->options.max_queued) {
        rc = am_fail(err, AM_EBUSY, "exceeds maximum queue size of %u requests",
                     s->options.max_queued);
    } else if (job->deadline_ns && now + wait > job->deadline_ns) {
        rc = am_fail(err, AM_EBUSY, "the work before this request takes longer than its deadline");
    } else {
        *s->jobs_end = job;
        s->jobs_end = &job->next;
        s->n_jobs++;
        s->queued_ns_estimate += cost;
        pthread_cond_signal(&s->queue_wake);
    }
    pthread_mutex_unlock(&s->queue_lock);
    return rc;
}

size_t am_serve_queued(const struct am_serve *s)
{
    struct am_serve *m = (struct am_serve *)(uintptr_t)s;
    pthread_mutex_lock(&m->queue_lock);
    size_t n = m->n_jobs;
    pthread_mutex_unlock(&m->queue_lock);
    return n;
}

/* The first job, and further ones for the same version while they fit. Under queue_lock. */
static void take_batch(struct am_serve *s, struct worker *w)
{
    struct am_serve_job **at = &s->jobs;
    size_t rows = 0, looked = 0;
    const struct am_served *served = s->jobs->served;
    bool alone = s->jobs->work != NULL;
    w->n_jobs = 0;
    while (*at && w->n_jobs < BATCH_JOBS && looked++ < (size_t)4 * BATCH_JOBS) {
        struct am_serve_job *job = *at;
        size_t n = job->work ? 0 : job->batch->n_rows;
        if (job->served != served || (w->n_jobs && (alone || job->work || rows + n > BATCH_ROWS))) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        s->n_jobs--;
        s->queued_ns_estimate -= job->cost_ns;
        rows += n;
        w->jobs[w->n_jobs++] = job;
    }
    s->jobs_end = &s->jobs;
    while (*s->jobs_end)
        s->jobs_end = &(*s->jobs_end)->next;
}

static size_t cell_bytes(enum am_col_type t)
{
    return am_col_is_string(t) ? sizeof(struct am_str) : 8;
}

/* All jobs' rows as one batch in the worker's own memory. */
static enum am_rc join(struct worker *w, struct am_batch *out, struct am_err *err)
{
    const struct am_batch *first = w->jobs[0]->batch;
    size_t n_columns = first->n_columns, rows = 0, bytes = 0;
    for (size_t i = 0; i < w->n_jobs; i++)
        rows += w->jobs[i]->batch->n_rows;
    for (size_t c = 0; c < n_columns; c++)
        bytes += cell_bytes(first->columns[c].type) * rows;
    if (n_columns > w->cap_columns) {
        am_free(w->joined);
        w->cap_columns = 0;
        w->joined = am_alloc_array(n_columns, sizeof *w->joined);
        if (!w->joined)
            return am_fail_nomem(err, n_columns * sizeof *w->joined);
        w->cap_columns = n_columns;
    }
    if (bytes > w->cap_cells) {
        am_free(w->cells);
        w->cap_cells = 0;
        w->cells = am_alloc_aligned(64, (bytes + 63) / 64 * 64);
        if (!w->cells)
            return am_fail_nomem(err, bytes);
        w->cap_cells = bytes;
    }
    char *at = w->cells;
    for (size_t c = 0; c < n_columns; c++) {
        size_t cell = cell_bytes(first->columns[c].type);
        w->joined[c].type = first->columns[c].type;
        w->joined[c].number = (const double *)(const void *)at;
        for (size_t i = 0; i < w->n_jobs; i++) {
            const struct am_batch *b = w->jobs[i]->batch;
            memcpy(at, b->columns[c].number, cell * b->n_rows);
            at += cell * b->n_rows;
        }
    }
    *out = (struct am_batch){.n_rows = rows, .n_columns = n_columns, .columns = w->joined};
    return AM_OK;
}

/* The rows [begin, begin + n) of the joined answer. */
static enum am_rc share(const struct am_serve_result *all, size_t begin, struct am_serve_job *job)
{
    const struct am_serve_info *info = &job->served->info;
    struct am_serve_result *r = job->result;
    size_t n = job->batch->n_rows, k = all->n_classes, e = info->n_embedding, b = info->n_restored;
    AM_TRY(am_serve_result_fit(r, n, info, &job->err));
    if (k)
        memcpy(r->probability, all->probability + begin * k, n * k * sizeof *all->probability);
    else
        memcpy(r->value, all->value + begin, n * sizeof *all->value);
    if (k || am_task_own_labels(info->task))
        memcpy(r->label, all->label + begin, n * sizeof *all->label);
    if (r->wanted & AM_SERVE_EMBEDDING)
        memcpy(r->embedding, all->embedding + begin * e, n * e * sizeof *all->embedding);
    if (r->wanted & AM_SERVE_RESTORED)
        memcpy(r->restored, all->restored + begin * b, n * b * sizeof *all->restored);
    r->compute_ns = all->compute_ns;
    return AM_OK;
}

static void run_one(struct worker *w, struct am_serve_job *job)
{
    if (job->work) {
        job->work(job, w->slot);
        return;
    }
    job->rc = am_served_run(job->served, w->slot, job->batch, job->result, &job->err);
}

static void run_joined(struct worker *w)
{
    struct am_batch batch;
    struct am_err err;
    size_t begin = 0;
    enum am_rc rc = join(w, &batch, &err);
    w->result.wanted = 0;
    for (size_t i = 0; i < w->n_jobs; i++)
        w->result.wanted |= w->jobs[i]->result->wanted;
    if (rc == AM_OK)
        rc = am_served_run(w->jobs[0]->served, w->slot, &batch, &w->result, &err);
    for (size_t i = 0; i < w->n_jobs; i++) {
        struct am_serve_job *job = w->jobs[i];
        if (rc != AM_OK) /* one bad row must not fail the others */
            run_one(w, job);
        else
            job->rc = share(&w->result, begin, job);
        begin += job->batch->n_rows;
    }
}

/* Those over their deadline are answered without work. */
static void drop_late(struct worker *w, uint64_t now, struct am_serve_job **late, size_t *n_late)
{
    size_t kept = 0;
    *n_late = 0;
    for (size_t i = 0; i < w->n_jobs; i++) {
        struct am_serve_job *job = w->jobs[i];
        job->queue_ns = now - job->queued_ns;
        if (job->deadline_ns && now > job->deadline_ns) {
            job->rc = am_fail(&job->err, AM_ETIMEDOUT, "request timeout expired");
            late[(*n_late)++] = job;
        } else {
            w->jobs[kept++] = job;
        }
    }
    w->n_jobs = kept;
}

static void run_batch(struct worker *w)
{
    struct am_serve_job *late[BATCH_JOBS];
    size_t n_late;
    drop_late(w, am_mono_ns(), late, &n_late);
    for (size_t i = 0; i < n_late; i++)
        late[i]->done(late[i]);
    if (w->n_jobs == 1)
        run_one(w, w->jobs[0]);
    else if (w->n_jobs > 1)
        run_joined(w);
    for (size_t i = 0; i < w->n_jobs; i++)
        w->jobs[i]->done(w->jobs[i]);
}

struct worker_start {
    struct am_serve *s;
    unsigned slot;
};

static void *worker_main(void *arg)
{
    struct worker_start start = *(struct worker_start *)arg;
    struct am_serve *s = start.s;
    struct worker w = {.s = s, .slot = start.slot};
    am_free(arg);
    for (;;) {
        pthread_mutex_lock(&s->queue_lock);
        while (!s->jobs && !s->queue_stop)
            pthread_cond_wait(&s->queue_wake, &s->queue_lock);
        if (!s->jobs) {
            pthread_mutex_unlock(&s->queue_lock);
            break;
        }
        take_batch(s, &w);
        pthread_mutex_unlock(&s->queue_lock);
        run_batch(&w);
    }
    am_serve_result_clear(&w.result);
    am_free(w.joined);
    am_free(w.cells);
    return NULL;
}

enum am_rc am_workers_start(struct am_serve *s, struct am_err *err)
{
    unsigned n = s->options.n_workers;
    s->workers = am_calloc(n, sizeof *s->workers);
    if (!s->workers)
        return am_fail_nomem(err, n * sizeof *s->workers);
    for (unsigned i = 0; i < n; i++) {
        struct worker_start *start = am_alloc(sizeof *start);
        if (!start)
            return am_fail_nomem(err, sizeof *start);
        *start = (struct worker_start){s, s->options.n_slots + i};
        int e = pthread_create(&s->workers[i], NULL, worker_main, start);
        if (e) {
            am_free(start);
            return am_fail_errno(err, e, "cannot start a worker thread");
        }
        s->n_workers++;
    }
    return AM_OK;
}

void am_workers_stop(struct am_serve *s)
{
    pthread_mutex_lock(&s->queue_lock);
    s->queue_stop = true;
    pthread_cond_broadcast(&s->queue_wake);
    pthread_mutex_unlock(&s->queue_lock);
    for (unsigned i = 0; i < s->n_workers; i++)
        pthread_join(s->workers[i], NULL);
    s->n_workers = 0;
    am_free(s->workers);
    s->workers = NULL;
}
