/* Finding, loading, swapping, evicting; the queue, its joins and deadlines; counters; failed
 * allocations. No sleeps: every wait is for something that the code under test must do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "../api/fake_models.h"
#include "base/clock.h"
#include "faults.h"
#include "serve/serve_int.h"

static struct fake fake;

static struct am_serve *start(const struct am_serve_options *given)
{
    struct am_serve_options o = given ? *given : (struct am_serve_options){0};
    struct am_serve *s = NULL;
    struct am_err err;
    o.n_slots = 1;
    o.n_workers = o.n_workers ? o.n_workers : 2;
    o.poll_ms = 5;
    fake_init(&fake);
    struct am_serve_source source = fake_source(&fake);
    assert_int_equal(am_serve_new(&o, &source, &s, &err), AM_OK);
    while (!am_serve_ready(s))
        sched_yield();
    return s;
}

static void stop(struct am_serve *s)
{
    am_serve_free(s);
    assert_int_equal(atomic_load(&fake.n_live), 0);
}

struct wish {
    struct am_serve_want want;
    atomic_int done;
};

static void wish_done(struct am_serve_want *w)
{
    atomic_store(&((struct wish *)(void *)w)->done, 1);
}

static enum am_rc wish(struct am_serve *s, const char *model, const char *selector)
{
    struct wish w = {
        .want = {.model = am_str(model), .selector = am_str(selector), .done = wish_done}};
    struct am_err err;
    assert_int_equal(am_serve_want(s, &w.want, &err), AM_OK);
    while (!atomic_load(&w.done))
        sched_yield();
    return w.want.rc;
}

static int64_t found(struct am_serve *s, const char *model, const char *selector)
{
    struct am_served *v = NULL;
    struct am_err err;
    enum am_rc rc = am_serve_find(s, 0, am_str(model), am_str(selector), &v, &err);
    return rc == AM_OK ? am_served_info(v)->version : -(int64_t)rc;
}

static void test_names_versions_aliases(void **state)
{
    struct am_serve *s = start(NULL);
    (void)state;
    assert_int_equal(found(s, "plane", ""), 3);
    assert_int_equal(found(s, "plane", "3"), 3);
    assert_int_equal(found(s, "plane", "champion"), 2);
    assert_int_equal(found(s, "plane", "1"), -AM_EBUSY); /* neither newest nor aliased: on demand */
    assert_int_equal(wish(s, "plane", "1"), AM_OK);
    assert_int_equal(found(s, "plane", "1"), 1);
    assert_int_equal(wish(s, "plane", "4"), AM_ENOTFOUND);
    assert_int_equal(wish(s, "plane", "other"), AM_ENOTFOUND);
    assert_int_equal(wish(s, "plane", "99999999999999999999"), AM_ENOTFOUND);
    assert_int_equal(wish(s, "nothing", ""), AM_ENOTFOUND);
    assert_int_equal(found(s, "broken", ""), -AM_ECORRUPT);
    const struct am_catalog *c = am_serve_catalog(s, 0);
    const struct am_catalog_model *m = am_catalog_find(c, AM_STR("broken"));
    assert_non_null(strstr(m->versions[0].why.ptr, "cut off"));
    stop(s);
}

static void test_new_version_is_swapped_in(void **state)
{
    struct am_serve *s = start(NULL);
    struct am_served *held = NULL;
    struct am_err err;
    (void)state;
    assert_int_equal(am_serve_find(s, 0, AM_STR("plane"), AM_STR(""), &held, &err), AM_OK);
    held = am_served_ref(held);
    int loads = atomic_load(&fake.n_loads);
    atomic_store(&fake.plane_versions, 4);
    atomic_store(&fake.champion, 3);
    atomic_fetch_add(&fake.generation, 1);
    while (found(s, "plane", "") != 4)
        sched_yield();
    while (found(s, "plane", "champion") != 3)
        sched_yield();
    assert_int_equal(atomic_load(&fake.n_loads), loads + 1); /* what was loaded stays loaded */
    assert_int_equal(am_served_info(held)->version, 3);      /* a held version lives on */
    am_served_unref(held);
    stop(s);
}

static void test_last_good_version_goes_on(void **state)
{
    struct am_serve *s = start(NULL);
    (void)state;
    atomic_store(&fake.bad_version, 4);
    atomic_store(&fake.plane_versions, 4);
    atomic_store(&fake.champion, 4);
    atomic_fetch_add(&fake.generation, 1);
    while (found(s, "plane", "4") != -AM_ECORRUPT) /* until it was tried */
        sched_yield();
    assert_int_equal(found(s, "plane", ""), 3);
    assert_int_equal(found(s, "plane", "champion"), 2);
    stop(s);
}

static void test_removed_version_is_let_go(void **state)
{
    struct am_serve *s = start(NULL);
    (void)state;
    int live = atomic_load(&fake.n_live);
    atomic_store(&fake.plane_versions, 2);
    atomic_fetch_add(&fake.generation, 1);
    while (found(s, "plane", "") != 2)
        sched_yield();
    while (atomic_load(&fake.n_live) != live - 1)
        am_serve_sync(s, 0);
    assert_int_equal(found(s, "plane", "3"), -AM_EBUSY);
    assert_int_equal(wish(s, "plane", "3"), AM_ENOTFOUND);
    stop(s);
}

static void test_eviction(void **state)
{
    const struct am_serve_options o = {.max_loaded = 3};
    struct am_serve *s = start(&o);
    (void)state;
    for (int i = 1; i <= 3; i++) {
        char selector[8];
        (void)snprintf(selector, sizeof selector, "%d", i);
        assert_int_equal(wish(s, "plane", selector), AM_OK);
        assert_int_equal(found(s, "plane", selector), i);
        assert_true(atomic_load(&fake.n_live) <= 5); /* 3 and what the older catalogue holds */
    }
    assert_int_equal(wish(s, "half", "1"), AM_OK);
    assert_int_equal(found(s, "half", "1"), 1);
    stop(s);
}

/* ---- the queue ---- */

struct task {
    struct am_serve_job job;
    struct am_serve_result result;
    struct am_batch batch;
    struct am_column column;
    double x[64];
    atomic_int done;
};

static void task_done(struct am_serve_job *job)
{
    atomic_store(&((struct task *)(void *)job)->done, 1);
}

static void task_init(struct task *t, struct am_served *v, size_t n_rows, double first)
{
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < n_rows; i++)
        t->x[i] = first + (double)i;
    t->column = (struct am_column){.type = AM_COL_NUMBER, .number = t->x};
    t->batch = (struct am_batch){.n_rows = n_rows, .n_columns = 1, .columns = &t->column};
    t->job = (struct am_serve_job){
        .served = v, .batch = &t->batch, .result = &t->result, .done = task_done};
}

static void task_wait(struct task *t)
{
    while (!atomic_load(&t->done))
        sched_yield();
}

/* 60 requests at once; `bad` is one that fails (-1: none does). */
static void joined(int bad)
{
    const struct am_serve_options o = {.n_workers = 1};
    struct am_serve *s = start(&o);
    struct am_served *v = NULL;
    struct am_err err;
    static struct task t[60];
    assert_int_equal(am_serve_find(s, 0, AM_STR("slow"), AM_STR(""), &v, &err), AM_OK);
    pthread_mutex_lock(&s->queue_lock); /* hold the worker off until all are in the queue */
    for (int i = 0; i < 60; i++) {
        task_init(&t[i], v, 1 + (size_t)i % 5, i);
        t[i].job.next = NULL;
        *s->jobs_end = &t[i].job;
        s->jobs_end = &t[i].job.next;
        s->n_jobs++;
    }
    if (bad >= 0)
        t[bad].x[0] = NAN;
    pthread_cond_broadcast(&s->queue_wake);
    pthread_mutex_unlock(&s->queue_lock);
    for (int i = 0; i < 60; i++) {
        task_wait(&t[i]);
        assert_int_equal(t[i].job.rc, i == bad ? AM_EINVAL : AM_OK);
        for (size_t k = 0; i != bad && k < t[i].batch.n_rows; k++)
            assert_true(t[i].result.value[k] == t[i].x[k] / 2 + 3);
        am_serve_result_clear(&t[i].result);
    }
    assert_true(atomic_load(&fake.n_largest) > 5);
    assert_int_equal(am_serve_queued(s), 0);
    stop(s);
}

static void test_jobs_are_joined_and_shared_out(void **state)
{
    (void)state;
    joined(-1);
}

static void test_a_bad_row_fails_its_own_request_only(void **state)
{
    (void)state;
    joined(17);
}

/* Each of the joined requests gets what it asked for, and no other. */
static void test_joined_jobs_want_different_outputs(void **state)
{
    const struct am_serve_options o = {.n_workers = 1};
    struct am_serve *s = start(&o);
    struct am_served *v = NULL;
    struct am_err err;
    static struct task t[12];
    static struct am_column pairs[12][2];
    (void)state;
    assert_int_equal(am_serve_find(s, 0, AM_STR("sieve"), AM_STR(""), &v, &err), AM_OK);
    pthread_mutex_lock(&s->queue_lock);
    for (unsigned i = 0; i < 12; i++) {
        task_init(&t[i], v, 1 + i % 3, i);
        pairs[i][0] = pairs[i][1] = t[i].column;
        t[i].batch.n_columns = 2;
        t[i].batch.columns = pairs[i];
        t[i].result.wanted = i % 4;
        *s->jobs_end = &t[i].job;
        s->jobs_end = &t[i].job.next;
        s->n_jobs++;
    }
    pthread_cond_broadcast(&s->queue_wake);
    pthread_mutex_unlock(&s->queue_lock);
    for (unsigned i = 0; i < 12; i++) {
        const struct am_serve_result *r = &t[i].result;
        task_wait(&t[i]);
        assert_int_equal(t[i].job.rc, AM_OK);
        assert_int_equal(r->embedding != NULL, (i & AM_SERVE_EMBEDDING) != 0);
        assert_int_equal(r->restored != NULL, (i & AM_SERVE_RESTORED) != 0);
        for (size_t k = 0; k < t[i].batch.n_rows; k++) {
            double x = t[i].x[k];
            assert_true(r->value[k] == 2 * x * x && r->label[k] == (2 * x * x >= 2));
            assert_true(!r->embedding || (double)r->embedding[3 * k] == 2 * x);
            assert_true(!r->restored || r->restored[2 * k + 1] == x);
        }
        am_serve_result_clear(&t[i].result);
    }
    assert_true(atomic_load(&fake.n_largest) > 3);
    stop(s);
}

static void test_queue_bound_and_deadlines(void **state)
{
    const struct am_serve_options o = {.n_workers = 1, .max_queued = 4};
    struct am_serve *s = start(&o);
    struct am_served *v = NULL;
    struct am_err err;
    static struct task t[6];
    (void)state;
    assert_int_equal(am_serve_find(s, 0, AM_STR("slow"), AM_STR(""), &v, &err), AM_OK);
    pthread_mutex_lock(&s->queue_lock);
    s->n_jobs += 4; /* as if four waited */
    pthread_mutex_unlock(&s->queue_lock);
    task_init(&t[0], v, 1, 0);
    assert_int_equal(am_serve_submit(s, &t[0].job, &err), AM_EBUSY);
    assert_non_null(strstr(err.message, "maximum queue size of 4"));
    pthread_mutex_lock(&s->queue_lock);
    s->n_jobs -= 4;
    pthread_mutex_unlock(&s->queue_lock);
    task_init(&t[1], v, 1, 0);
    t[1].job.deadline_ns = 1; /* long ago: refused at once */
    assert_int_equal(am_serve_submit(s, &t[1].job, &err), AM_EBUSY);
    task_init(&t[2], v, 1, 0); /* over while it waits */
    t[2].job.deadline_ns = 1;
    pthread_mutex_lock(&s->queue_lock);
    *s->jobs_end = &t[2].job;
    s->jobs_end = &t[2].job.next;
    s->n_jobs++;
    pthread_cond_signal(&s->queue_wake);
    pthread_mutex_unlock(&s->queue_lock);
    task_wait(&t[2]);
    assert_int_equal(t[2].job.rc, AM_ETIMEDOUT);
    task_init(&t[3], v, 2, 4);
    t[3].job.deadline_ns = am_mono_ns() + 60000000000ull;
    assert_int_equal(am_serve_submit(s, &t[3].job, &err), AM_OK);
    task_wait(&t[3]);
    assert_int_equal(t[3].job.rc, AM_OK);
    assert_true(t[3].result.value[1] == 5.5);
    am_serve_result_clear(&t[3].result);
    stop(s);
}

static void test_inline_by_measured_latency(void **state)
{
    const struct am_serve_options o = {.inline_us = 100};
    struct am_serve *s = start(&o);
    struct am_served *v = NULL;
    struct am_err err;
    (void)state;
    assert_int_equal(am_serve_find(s, 0, AM_STR("half"), AM_STR(""), &v, &err), AM_OK);
    assert_true(am_served_p99_ns(v, 1) > 0);
    for (int k = 0; k < AM_SERVE_ROW_BUCKETS; k++)
        atomic_store(&v->p99_ns[k], 0);
    atomic_store(&v->p99_ns[0], 50000); /* one row: 50 us */
    assert_true(am_serve_inline(s, v, 1));
    assert_true(am_serve_inline(s, v, 2)); /* not measured: in proportion, 100 us */
    assert_false(am_serve_inline(s, v, 3));
    atomic_store(&v->p99_ns[1], 100001);
    assert_false(am_serve_inline(s, v, 2));
    atomic_store(&v->p99_ns[0], 0);
    assert_false(am_serve_inline(s, v, 1)); /* never measured: not on a loop */
    stop(s);
}

static void test_counters(void **state)
{
    struct am_serve *s = start(NULL);
    struct am_served *v = NULL;
    struct am_err err;
    struct am_serve_counts n;
    struct am_serve_times t = {.now_ns = am_mono_ns(), .request_ns = 6000, .compute_ns = 2000};
    (void)state;
    assert_int_equal(am_serve_find(s, 0, AM_STR("half"), AM_STR(""), &v, &err), AM_OK);
    am_served_counts(v, &n);
    assert_int_equal(n.runs, 0); /* warming up does not count */
    am_serve_count(v, 0, AM_SERVED_OK, 7, &t);
    am_serve_count(v, 0, AM_SERVED_OTHER, 0, &t);
    t.request_ns = 3600000000000;
    am_serve_count(v, 0, AM_SERVED_OK, 1, &t);
    am_served_counts(v, &n);
    assert_int_equal(n.requests[AM_SERVED_OK], 2);
    assert_int_equal(n.requests[AM_SERVED_OTHER], 1);
    assert_int_equal(n.rows, 8);
    assert_int_equal(n.compute_ns, 4000);
    assert_int_equal(n.bucket[1], 1); /* 5 us < 6 us <= 9 us */
    assert_int_equal(n.bucket[AM_SERVE_BUCKETS - 1], 1);
    assert_true(n.last_us > 0);
    for (unsigned k = 1; k < AM_SERVE_BUCKETS; k++)
        assert_true(am_serve_bucket_ns(k) > am_serve_bucket_ns(k - 1));
    stop(s);
}

static enum am_rc open_and_close(struct am_serve **s, struct am_err *err)
{
    struct am_serve_options o = {.n_slots = 1, .n_workers = 1, .poll_ms = 1000};
    struct am_serve_source source = fake_source(&fake);
    return am_serve_new(&o, &source, s, err);
}

/* Workers and loader allocate too: whichever call fails, the server starts or fails cleanly, and
 * ends. */
static void test_failed_allocations(void **state)
{
    struct am_serve *s = NULL;
    struct am_err err;
    (void)state;
    fake_init(&fake);
    for (long n = 1; n < 60; n++) {
        am_alloc_fail_nth(n, false);
        enum am_rc rc = open_and_close(&s, &err);
        if (rc == AM_OK)
            while (!am_serve_ready(s))
                sched_yield();
        am_alloc_fail_nth(0, false);
        if (rc == AM_OK)
            am_serve_free(s);
        else
            assert_int_equal(rc, AM_ENOMEM);
        assert_int_equal(atomic_load(&fake.n_live), 0);
    }
}

static void test_result_reserve(void **state)
{
    struct am_serve_result r = {0};
    struct am_err err;
    (void)state;
    AM_OOM_LOOP(am_serve_result_reserve(&r, 10, 3, &err), am_serve_result_clear(&r));
    am_serve_result_clear(&r);
    assert_int_equal(am_serve_result_reserve(&r, SIZE_MAX, 3, &err), AM_ELIMIT);
    am_serve_result_clear(&r);
    const struct am_serve_info own = {
        .task = AM_TASK_ANOMALY, .n_embedding = 4, .n_restored = 150000};
    r.wanted = AM_SERVE_EMBEDDING | AM_SERVE_RESTORED;
    AM_OOM_LOOP(am_serve_result_fit(&r, 10, &own, &err), am_serve_result_clear(&r);
                r.wanted = AM_SERVE_EMBEDDING | AM_SERVE_RESTORED);
    am_serve_result_clear(&r);
    r.wanted = AM_SERVE_RESTORED; /* no memory for promises */
    assert_int_equal(am_serve_result_fit(&r, 100000, &own, &err), AM_ELIMIT);
    r.wanted = AM_SERVE_EMBEDDING;
    assert_int_equal(am_serve_result_fit(&r, 100000, &own, &err), AM_OK);
    am_serve_result_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_versions_aliases),
        cmocka_unit_test(test_new_version_is_swapped_in),
        cmocka_unit_test(test_last_good_version_goes_on),
        cmocka_unit_test(test_removed_version_is_let_go),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_jobs_are_joined_and_shared_out),
        cmocka_unit_test(test_joined_jobs_want_different_outputs),
        cmocka_unit_test(test_a_bad_row_fails_its_own_request_only),
        cmocka_unit_test(test_queue_bound_and_deadlines),
        cmocka_unit_test(test_inline_by_measured_latency),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_failed_allocations),
        cmocka_unit_test(test_result_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
