/* The thread pool: jobs on their callers' stacks, a list of them, and workers asleep on a futex.
 *
 * lock guards: jobs, stopping, and each job's refs and links. Chunks are handed out by an atomic
 * counter. A caller takes its job off the list when no chunk is left to hand out, then sleeps until
 * the last worker has let go of it, so a job is never touched after am_pool_for returns. Nobody
 * spins. */
#include "base/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

#define MAX_THREADS 1024u

struct job {
    struct job *next;
    void (*fn)(void *, size_t, size_t);
    void *ctx;
    size_t n, grain, n_chunks;
    atomic_size_t next_chunk;
    atomic_uint refs; /* workers inside; written under the lock, watched by the futex */
};

struct am_pool {
    pthread_mutex_t lock;
    struct job *jobs;
    bool stopping;
    atomic_uint seq; /* futex: counts published jobs */
    unsigned n_workers;
    pthread_t workers[];
};

static _Thread_local unsigned chunk_depth; /* > 0: this thread is inside a chunk */

static void futex_wait(atomic_uint *word, unsigned seen)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, unsigned n)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n > INT_MAX ? INT_MAX : n, NULL, NULL, 0);
}

static void run_chunks(struct job *j)
{
    chunk_depth++;
    for (;;) {
        size_t c = atomic_fetch_add_explicit(&j->next_chunk, 1, memory_order_relaxed);
        if (c >= j->n_chunks)
            break;
        size_t begin = c * j->grain;
        j->fn(j->ctx, begin, j->n - begin > j->grain ? begin + j->grain : j->n);
    }
    chunk_depth--;
}

/* The first job that still has chunks to hand out, or NULL. Locked. */
static struct job *find_job(struct am_pool *p)
{
    for (struct job *j = p->jobs; j; j = j->next)
        if (atomic_load_explicit(&j->next_chunk, memory_order_relaxed) < j->n_chunks)
            return j;
    return NULL;
}

static void *work(void *arg)
{
    struct am_pool *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        unsigned seen = atomic_load(&p->seq);
        struct job *j = find_job(p);
        if (!j) {
            (void)pthread_mutex_unlock(&p->lock);
            futex_wait(&p->seq, seen);
            (void)pthread_mutex_lock(&p->lock);
            continue;
        }
        atomic_fetch_add(&j->refs, 1);
        (void)pthread_mutex_unlock(&p->lock);
        run_chunks(j);
        (void)pthread_mutex_lock(&p->lock);
        /* The owner can go as soon as the lock is free: only the word's address is used after it.
         */
        bool last = atomic_fetch_sub(&j->refs, 1) == 1;
        if (last) {
            (void)pthread_mutex_unlock(&p->lock);
            futex_wake(&j->refs, 1);
            (void)pthread_mutex_lock(&p->lock);
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void run_inline(size_t n, size_t grain, void (*fn)(void *, size_t, size_t), void *ctx)
{
    chunk_depth++;
    for (size_t begin = 0; begin < n;) {
        size_t end = n - begin > grain ? begin + grain : n;
        fn(ctx, begin, end);
        begin = end;
    }
    chunk_depth--;
}

void am_pool_for(struct am_pool *p, size_t n, size_t grain, void (*fn)(void *, size_t, size_t),
                 void *ctx)
{
    if (grain == 0)
        grain = 1;
    if (!p || p->n_workers == 0 || chunk_depth || n <= grain) {
        run_inline(n, grain, fn, ctx);
        return;
    }
    struct job j = {.fn = fn, .ctx = ctx, .n = n, .grain = grain, .n_chunks = (n - 1) / grain + 1};
    (void)pthread_mutex_lock(&p->lock);
    struct job **tail = &p->jobs;
    while (*tail)
        tail = &(*tail)->next;
    *tail = &j;
    atomic_fetch_add(&p->seq, 1);
    (void)pthread_mutex_unlock(&p->lock);
    futex_wake(&p->seq, j.n_chunks - 1 < p->n_workers ? (unsigned)(j.n_chunks - 1) : p->n_workers);
    run_chunks(&j);
    (void)pthread_mutex_lock(&p->lock);
    for (struct job **at = &p->jobs; *at; at = &(*at)->next)
        if (*at == &j) {
            *at = j.next;
            break;
        }
    unsigned refs;
    while ((refs = atomic_load(&j.refs)) != 0) {
        (void)pthread_mutex_unlock(&p->lock);
        futex_wait(&j.refs, refs);
        (void)pthread_mutex_lock(&p->lock);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static unsigned usable_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < (long)MAX_THREADS ? (unsigned)n : 1;
}

/* Signals stay with the threads of the faces. */
static int start_worker(struct am_pool *p)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&p->workers[p->n_workers], NULL, work, p);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e == 0)
        p->n_workers++;
    return e;
}

enum am_rc am_pool_new(unsigned n_threads, struct am_pool **out, struct am_err *err)
{
    if (n_threads == 0)
        n_threads = usable_cpus();
    if (n_threads > MAX_THREADS)
        return am_fail(err, AM_EINVAL, "%u threads: at most %u allowed", n_threads, MAX_THREADS);
    size_t bytes = sizeof(struct am_pool) + n_threads * sizeof(pthread_t);
    struct am_pool *p = am_calloc(1, bytes);
    if (!p)
        return am_fail_nomem(err, bytes);
    (void)pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 1; i < n_threads; i++) {
        int e = start_worker(p);
        if (e) {
            am_pool_free(p);
            return am_fail_errno(err, e, "cannot start thread %u of %u", i + 1, n_threads);
        }
    }
    *out = p;
    return AM_OK;
}

void am_pool_free(struct am_pool *p)
{
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    atomic_fetch_add(&p->seq, 1);
    (void)pthread_mutex_unlock(&p->lock);
    futex_wake(&p->seq, INT_MAX);
    for (unsigned i = 0; i < p->n_workers; i++)
        (void)pthread_join(p->workers[i], NULL);
    (void)pthread_mutex_destroy(&p->lock);
    am_free(p);
}

unsigned am_pool_size(const struct am_pool *p)
{
    return p ? p->n_workers + 1 : 1;
}
