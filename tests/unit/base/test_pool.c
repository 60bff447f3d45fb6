/* The pool: every item once, chunks that do not depend on the threads, nesting, several callers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/pool.h"
#include "tests/support/faults.h"

enum { N = 5000 };

struct work {
    struct am_pool *pool;
    unsigned char hit[N]; /* written by the chunk that owns the item */
    unsigned short chunk_begin[N];
    atomic_size_t items, chunks;
};

static void mark(void *ctx, size_t begin, size_t end)
{
    struct work *w = ctx;
    if (begin >= end)
        return; /* the count of chunks then shows it */
    for (size_t i = begin; i < end; i++) {
        w->hit[i]++;
        w->chunk_begin[i] = (unsigned short)begin;
    }
    atomic_fetch_add(&w->items, end - begin);
    atomic_fetch_add(&w->chunks, 1);
}

static void every_item_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 100, N}, grains[] = {0, 1, 3, 64, 10000};
    static struct work w, reference;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct am_pool *p = NULL;
        assert_int_equal(am_pool_new(threads, &p, NULL), AM_OK);
        assert_int_equal(am_pool_size(p), threads);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
                size_t grain = grains[g] ? grains[g] : 1;
                memset(&w, 0, sizeof w);
                memset(&reference, 0, sizeof reference);
                am_pool_for(p, sizes[s], grains[g], mark, &w);
                am_pool_for(NULL, sizes[s], grains[g], mark, &reference);
                assert_int_equal(w.items, sizes[s]);
                assert_int_equal(w.chunks, (sizes[s] + grain - 1) / grain);
                for (size_t i = 0; i < sizes[s]; i++) {
                    assert_int_equal(w.hit[i], 1);
                    assert_int_equal(w.chunk_begin[i], i / grain * grain);
                }
                assert_memory_equal(w.chunk_begin, reference.chunk_begin, sizeof w.chunk_begin);
            }
        am_pool_free(p);
    }
    am_pool_free(NULL);
    assert_int_equal(am_pool_size(NULL), 1);
}

static void add(void *ctx, size_t begin, size_t end)
{
    struct work *w = ctx;
    atomic_fetch_add(&w->items, end - begin);
}

static void nest(void *ctx, size_t begin, size_t end)
{
    struct work *w = ctx;
    for (size_t i = begin; i < end; i++)
        am_pool_for(w->pool, 100, 7, add, w);
}

static void nested_calls_run(void **state)
{
    (void)state;
    static struct work w;
    for (unsigned threads = 1; threads <= 3; threads++) {
        memset(&w, 0, sizeof w);
        assert_int_equal(am_pool_new(threads, &w.pool, NULL), AM_OK);
        for (int round = 0; round < 200; round++)
            am_pool_for(w.pool, 20, 1, nest, &w);
        assert_int_equal(w.items, 200 * 20 * 100);
        am_pool_free(w.pool);
    }
}

static void *caller(void *arg)
{
    struct work *w = arg;
    for (int round = 0; round < 300; round++) {
        am_pool_for(w->pool, N, 7, mark, w);
        am_pool_for(w->pool, 3, 1, add, w);
    }
    return NULL;
}

static void several_callers_share_it(void **state)
{
    (void)state;
    static struct work w[3];
    pthread_t t[3];
    struct am_pool *p;
    memset(w, 0, sizeof w);
    assert_int_equal(am_pool_new(3, &p, NULL), AM_OK);
    for (int i = 0; i < 3; i++) {
        w[i].pool = p;
        assert_int_equal(pthread_create(&t[i], NULL, caller, &w[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(w[i].items, 300 * (N + 3));
        for (size_t k = 0; k < N; k++)
            assert_int_equal(w[i].hit[k], 300 & 255);
    }
    am_pool_free(p);
}

/* Two chunks that wait for each other: they only end when they run at the same time. */
struct meeting {
    pthread_barrier_t barrier;
    atomic_int serial;
};
static void meet(void *ctx, size_t begin, size_t end)
{
    struct meeting *m = ctx;
    (void)begin;
    (void)end;
    if (pthread_barrier_wait(&m->barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
        atomic_fetch_add(&m->serial, 1);
}

static void chunks_run_at_the_same_time(void **state)
{
    (void)state;
    struct meeting m = {.serial = 0};
    struct am_pool *p;
    assert_int_equal(am_pool_new(3, &p, NULL), AM_OK);
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, 3), 0);
    for (int i = 0; i < 50; i++)
        am_pool_for(p, 3, 1, meet, &m);
    assert_int_equal(m.serial, 50);
    (void)pthread_barrier_destroy(&m.barrier);
    am_pool_free(p);
}

/* The caller's chunk ends as soon as the worker's has begun; the worker's goes on for long. */
struct slow {
    pthread_t caller;
    atomic_int begun, done;
};
static void dawdle(void *ctx, size_t begin, size_t end)
{
    struct slow *s = ctx;
    (void)begin;
    (void)end;
    if (pthread_equal(pthread_self(), s->caller)) {
        while (!s->begun)
            (void)sched_yield();
        return;
    }
    s->begun = 1;
    for (int i = 0; i < 20000; i++)
        (void)sched_yield();
    s->done = 1;
}

static void the_call_waits_for_its_last_chunk(void **state)
{
    (void)state;
    struct am_pool *p;
    assert_int_equal(am_pool_new(2, &p, NULL), AM_OK);
    for (int i = 0; i < 5; i++) {
        struct slow s = {.caller = pthread_self()};
        am_pool_for(p, 2, 1, dawdle, &s);
        assert_int_equal(s.done, 1);
    }
    am_pool_free(p);
}

static void odd_requests(void **state)
{
    (void)state;
    struct am_pool *p = NULL;
    struct am_err e;
    assert_int_equal(am_pool_new(100000, &p, &e), AM_EINVAL);
    assert_null(p);
    assert_int_equal(am_pool_new(0, &p, &e), AM_OK);
    assert_true(am_pool_size(p) >= 1);
    am_pool_free(p);
    AM_OOM_LOOP(am_pool_new(2, &p, &e), am_pool_free(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once),
        cmocka_unit_test(nested_calls_run),
        cmocka_unit_test(several_callers_share_it),
        cmocka_unit_test(chunks_run_at_the_same_time),
        cmocka_unit_test(the_call_waits_for_its_last_chunk),
        cmocka_unit_test(odd_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
