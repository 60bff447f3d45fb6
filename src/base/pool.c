/* The thread pool: sleeping threads (pthread mutex and condition, which are futexes), a list of open jobs,
 * chunks taken by an atomic counter. A job lives on its caller's stack: the caller takes it off the list
 * and waits for the threads inside before it returns. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/alloc.h"

struct job {
    struct job *next; /* in the pool's list; guarded by lock */
    unsigned inside;  /* threads working on it besides the caller; guarded by lock */
    size_t n, grain;
    void (*fn)(void *, size_t, size_t);
    void *ctx;
    atomic_size_t at; /* first item that nobody has taken */
};

struct am_pool {
    pthread_mutex_t lock; /* guards jobs, stop, and inside of every job */
    pthread_cond_t work, done;
    struct job *jobs; /* open ones */
    bool stop;
    unsigned n_threads; /* started ones, without the caller */
    pthread_t threads[];
};

static _Thread_local bool in_chunk;

/* Chunks until none is left. */
static void work_on(struct job *j)
{
    bool before = in_chunk;
    in_chunk = true;
    for (;;) {
        size_t at = atomic_fetch_add_explicit(&j->at, j->grain, memory_order_relaxed);
        if (at >= j->n)
            break;
        j->fn(j->ctx, at, j->n - at > j->grain ? at + j->grain : j->n);
    }
    in_chunk = before;
}

static void unlink_job(struct am_pool *p, struct job *j)
{
    for (struct job **at = &p->jobs; *at; at = &(*at)->next)
        if (*at == j) {
            *at = j->next;
            return;
        }
}

static void *run(void *arg)
{
    struct am_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct job *j = p->jobs;
        if (j) {
            j->inside++;
            pthread_mutex_unlock(&p->lock);
            work_on(j);
            pthread_mutex_lock(&p->lock);
            unlink_job(p, j); /* nothing is left in it */
            if (--j->inside == 0)
                pthread_cond_broadcast(&p->done);
        } else if (p->stop) {
            break;
        } else {
            pthread_cond_wait(&p->work, &p->lock);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static unsigned cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (unsigned)n : 1;
}

enum am_rc am_pool_new(unsigned n_threads, struct am_pool **out, struct am_err *err)
{
    unsigned n = n_threads ? n_threads : cpu_count();
    if (n > 1024)
        return am_fail(err, AM_EINVAL, "a pool of %u threads is too large, at most 1024 allowed", n);
    struct am_pool *p = am_calloc(1, sizeof *p + (n - 1) * sizeof(pthread_t));
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    for (unsigned i = 0; i + 1 < n; i++) {
        int e = pthread_create(&p->threads[p->n_threads], NULL, run, p);
        if (e) {
            am_pool_free(p);
            return am_fail_errno(err, e, "cannot start thread %u of %u", i + 2, n);
        }
        p->n_threads++;
    }
    *out = p;
    return AM_OK;
}

void am_pool_free(struct am_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    am_free(p);
}

unsigned am_pool_size(const struct am_pool *p) { return p ? p->n_threads + 1 : 1; }

void am_pool_for(struct am_pool *p, size_t n, size_t grain, void (*fn)(void *, size_t, size_t), void *ctx)
{
    struct job j = {.n = n, .grain = grain ? grain : 1, .fn = fn, .ctx = ctx};
    atomic_init(&j.at, 0);
    if (!p || p->n_threads == 0 || in_chunk || n <= j.grain) {
        work_on(&j);
        return;
    }
    pthread_mutex_lock(&p->lock);
    j.next = p->jobs;
    p->jobs = &j;
    if (n / j.grain > 2 && p->n_threads > 1)
        pthread_cond_broadcast(&p->work);
    else
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    work_on(&j);
    pthread_mutex_lock(&p->lock);
    unlink_job(p, &j);
    while (j.inside)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
