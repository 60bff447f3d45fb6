/* What both SVM libraries need around them, included once by each driver. They call malloc, new and
 * rand() and print; linked from their static archives into the module, all of that lands here.
 *
 * Memory comes from the host and is listed while a training runs: when it is out, or the caller
 * cancels, the training is left by longjmp and everything on the list is freed. Random numbers are
 * a function of the seed and a count. Nothing is printed. One training at a time (the lock). */
#ifndef AM_DRIVERS_SVM_GUARD_H
#define AM_DRIVERS_SVM_GUARD_H

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include "learn/svm.h"

struct guard_block { /* before each piece of memory; a multiple of 16 bytes */
    struct guard_block *next, **back;
    size_t n;
    size_t unused;
};

static const struct am_host *host;
static struct guard {
    pthread_mutex_t lock;
    jmp_buf leave;
    struct guard_block *blocks;
    bool running;
    enum am_rc why;
    size_t wanted;
    uint64_t seed, count;
    const struct am_svm_options *options;
} guard = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define fail_at(err, rc, ...) host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)
#define HIDDEN __attribute__((visibility("hidden"), used))

static void guard_leave(enum am_rc why)
{
    guard.why = why;
    longjmp(guard.leave, 1);
}

static void *guard_alloc(size_t n)
{
    struct guard_block *b = n > SIZE_MAX / 2 ? NULL : host->alloc(n + sizeof *b);
    if (!b) {
        guard.wanted = n;
        if (guard.running)
            guard_leave(AM_ENOMEM);
        return NULL;
    }
    b->n = n;
    b->next = guard.blocks;
    b->back = &guard.blocks;
    if (b->next)
        b->next->back = &b->next;
    guard.blocks = b;
    return b + 1;
}

static void guard_free(void *p)
{
    if (!p)
        return;
    struct guard_block *b = (struct guard_block *)p - 1;
    *b->back = b->next;
    if (b->next)
        b->next->back = b->back;
    host->free(b);
}

HIDDEN void *malloc(size_t n);
HIDDEN void *malloc(size_t n)
{
    return guard_alloc(n);
}

HIDDEN void *calloc(size_t n, size_t each);
HIDDEN void *calloc(size_t n, size_t each)
{
    void *p = each && n > SIZE_MAX / 4 / each ? NULL : guard_alloc(n * each);
    if (p)
        memset(p, 0, n * each);
    return p;
}

HIDDEN void free(void *p);
HIDDEN void free(void *p)
{
    guard_free(p);
}

HIDDEN void *realloc(void *p, size_t n);
HIDDEN void *realloc(void *p, size_t n)
{
    void *q = guard_alloc(n);
    if (p && q) {
        const size_t had = ((struct guard_block *)p - 1)->n;
        memcpy(q, p, had < n ? had : n);
        guard_free(p);
    }
    return q;
}

HIDDEN void *operator_new(size_t n) __asm__("_Znwm");
HIDDEN void *operator_new(size_t n)
{
    return guard_alloc(n);
}

HIDDEN void *operator_new_array(size_t n) __asm__("_Znam");
HIDDEN void *operator_new_array(size_t n)
{
    return guard_alloc(n);
}

HIDDEN void operator_delete(void *p, size_t n) __asm__("_ZdlPvm");
HIDDEN void operator_delete(void *p, size_t n)
{
    (void)n;
    guard_free(p);
}

HIDDEN void operator_delete_plain(void *p) __asm__("_ZdlPv");
HIDDEN void operator_delete_plain(void *p)
{
    guard_free(p);
}

HIDDEN void operator_delete_array(void *p) __asm__("_ZdaPv");
HIDDEN void operator_delete_array(void *p)
{
    guard_free(p);
}

/* splitmix64 of seed and count */
HIDDEN int library_rand(void) __asm__("rand");
HIDDEN int library_rand(void)
{
    uint64_t z = guard.seed + ++guard.count * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (int)((z ^ (z >> 31)) >> 33);
}

/* The libraries' way to say something: the moment to ask whether to go on. */
static void guard_print(const char *text)
{
    (void)text;
    if (guard.running && guard.options->canceled && guard.options->canceled(guard.options->ctx))
        guard_leave(AM_ECANCELED);
}

/* Runs work(ctx) with the lock held; whatever it leaves on the list is freed. */
static enum am_rc guard_run(const struct am_svm_options *o, enum am_rc (*work)(void *ctx),
                            void *ctx, struct am_err *err)
{
    enum am_rc rc;
    pthread_mutex_lock(&guard.lock);
    guard.options = o;
    guard.seed = o->seed;
    guard.count = 0;
    guard.running = true;
    if (setjmp(guard.leave) == 0) {
        rc = work(ctx);
    } else {
        rc = guard.why;
        if (rc == AM_ENOMEM)
            (void)host->fail_nomem(err, guard.wanted, __FILE__, __LINE__);
        else
            (void)fail_at(err, rc, "canceled while a support vector machine was trained");
    }
    guard.running = false;
    while (guard.blocks)
        guard_free(guard.blocks + 1);
    pthread_mutex_unlock(&guard.lock);
    return rc;
}

/* Memory of the result: the host's own, not on the list. */
static void *guard_result(size_t n)
{
    void *p = host->alloc(n ? n : 1);
    if (!p) {
        guard.wanted = n;
        guard_leave(AM_ENOMEM);
    }
    memset(p, 0, n);
    return p;
}

static void guard_clear(struct am_svm_result *r)
{
    host->free(r->weights);
    host->free(r->support);
    host->free(r->coef);
    memset(r, 0, sizeof *r);
}

/* One training of a library: work(job) with the guard around it. */
struct job {
    const struct am_svm_problem *p;
    const struct am_svm_options *o;
    struct am_svm_result *out;
    struct am_err *err;
};

static enum am_rc guard_train(const char *library, struct job *j, enum am_rc (*work)(void *job))
{
    memset(j->out, 0, sizeof *j->out);
    if (j->p->n < 1 || j->p->n > INT_MAX || j->p->n_features >= INT_MAX)
        return fail_at(j->err, AM_ELIMIT, "%zu rows of %zu features are more than %s counts",
                       j->p->n, j->p->n_features, library);
    enum am_rc rc = guard_run(j->o, work, j, j->err);
    if (rc != AM_OK)
        guard_clear(j->out);
    return rc;
}

static enum am_rc guard_start(const struct am_host *h, struct am_err *err)
{
    if (h->size < sizeof *h)
        return h->fail(err, AM_ECONFLICT, __FILE__, __LINE__,
                       "the host's table is older than this driver");
    host = h;
    return AM_OK;
}

/* digits: "0.00" of a text, made those of the library's number, as 324 is 3.24. */
static void guard_version(char *digits, int number)
{
    digits[0] = (char)('0' + number / 100 % 10);
    digits[2] = (char)('0' + number / 10 % 10);
    digits[3] = (char)('0' + number % 10);
}

/* Entries of row i that are stored: of dense rows those that are not 0. */
static size_t guard_entries(const struct am_svm_problem *p, size_t i)
{
    const uint32_t row = p->rows[i];
    size_t n = 0;
    if (!p->x)
        return (size_t)(p->sparse->start[row + 1] - p->sparse->start[row]);
    for (size_t j = 0; j < p->n_features; j++)
        n += p->x[(size_t)row * p->n_features + j] != 0.0f;
    return n;
}

#endif
