/* The loader and the finding: watches the source, loads versions beside those that answer,
 * publishes catalogues. See serve_int.h for what the locks guard. */
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/serve_int.h"

#define RETRY_US 5000000 /* a version that failed is tried again after this, when asked for */

/* ---- finding ---- */

void am_serve_sync(struct am_serve *s, unsigned slot_index)
{
    struct am_serve_slot *slot = &s->slots[slot_index];
    uint64_t n = atomic_load_explicit(&s->published, memory_order_acquire);
    if (slot->seen == n)
        return;
    struct am_catalog_box *old = slot->catalog;
    pthread_mutex_lock(&s->lock);
    slot->seen = atomic_load_explicit(&s->published, memory_order_relaxed);
    slot->catalog = s->current;
    if (slot->catalog)
        atomic_fetch_add(&slot->catalog->refs, 1);
    pthread_mutex_unlock(&s->lock);
    am_catalog_unref(old);
}

const struct am_catalog *am_serve_catalog(struct am_serve *s, unsigned slot)
{
    am_serve_sync(s, slot);
    return s->slots[slot].catalog ? &s->slots[slot].catalog->c : NULL;
}

static enum am_rc not_loaded(const struct am_catalog_model *m, const struct am_catalog_version *v,
                             struct am_err *err)
{
    if (v->state == AM_VERSION_FAILED && (int64_t)(am_mono_ns() / 1000) - v->failed_us < RETRY_US) {
        (void)am_fail(err, AM_ECORRUPT, "model \"%.*s\" version %lld cannot be loaded: %.*s",
                      AM_FMT(m->name), (long long)v->number, AM_FMT(v->why));
        return AM_ECORRUPT;
    }
    return am_fail(err, AM_EBUSY, "model \"%.*s\" version %lld is not loaded yet", AM_FMT(m->name),
                   (long long)v->number);
}

enum am_rc am_serve_find(struct am_serve *s, unsigned slot_index, struct am_str model,
                         struct am_str selector, struct am_served **out, struct am_err *err)
{
    am_serve_sync(s, slot_index);
    const struct am_catalog_box *c = s->slots[slot_index].catalog;
    const struct am_catalog_model *m = c ? am_catalog_find(&c->c, model) : NULL;
    const struct am_catalog_version *v = m ? am_catalog_select(m, selector) : NULL;
    if (!v)
        return am_fail(err, AM_EBUSY, "model \"%.*s\" is not known yet", AM_FMT(model));
    if (!v->served)
        return not_loaded(m, v, err);
    *out = v->served;
    return AM_OK;
}

bool am_serve_ready(const struct am_serve *s)
{
    return atomic_load(&s->ready);
}
bool am_serve_alive(const struct am_serve *s)
{
    return atomic_load(&s->alive);
}

enum am_rc am_serve_want(struct am_serve *s, struct am_serve_want *w, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    w->next = NULL;
    w->rc = AM_OK;
    pthread_mutex_lock(&s->lock);
    if (s->stop) {
        rc = am_fail(err, AM_EBUSY, "the server is stopping");
    } else {
        *s->wants_end = w;
        s->wants_end = &w->next;
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ---- the loader ---- */

/* Takes box over; the loops are told. */
static void publish(struct am_serve *s, struct am_catalog_box *box)
{
    pthread_mutex_lock(&s->lock);
    struct am_catalog_box *old = s->current;
    s->current = box;
    atomic_fetch_add_explicit(&s->published, 1, memory_order_release);
    pthread_mutex_unlock(&s->lock);
    am_catalog_unref(old);
    if (s->options.changed)
        s->options.changed(s->options.ctx);
}

/* Reads the source again when it changed; AM_OK also when nothing did. */
static enum am_rc refresh(struct am_serve *s, struct am_err *err)
{
    uint64_t generation = 0;
    struct am_node *models = NULL;
    enum am_rc rc = s->source.ops->generation(s->source.impl, &generation, err);
    atomic_store(&s->alive, rc == AM_OK || rc == AM_EBUSY);
    if (rc != AM_OK)
        return rc;
    if (s->current && s->current->c.generation == generation)
        return AM_OK;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 4096);
    rc = s->source.ops->catalog(s->source.impl, a, &models, err);
    if (rc != AM_OK) {
        am_arena_free(a);
        return rc;
    }
    struct am_catalog_box *box = am_catalog_build(a, models, s->current, generation, err);
    if (!box)
        return AM_ENOMEM;
    publish(s, box);
    return AM_OK;
}

/* The loader alone replaces `current`, so it may read it without the lock. */
static struct am_catalog_version *version_in(struct am_catalog_box *box, struct am_str model,
                                             int64_t number, struct am_catalog_model **m)
{
    *m = (struct am_catalog_model *)(uintptr_t)am_catalog_find(&box->c, model);
    for (size_t i = 0; *m && i < (*m)->n_versions; i++)
        if ((*m)->versions[i].number == number)
            return &(*m)->versions[i];
    return NULL;
}

static int64_t last_use_us(const struct am_served *v)
{
    struct am_serve_counts n;
    am_served_counts(v, &n);
    return n.last_us > v->loaded_us ? n.last_us : v->loaded_us;
}

/* Drop the version that was used longest ago and is no one's default, when too many are loaded. */
static void evict(struct am_catalog_box *box, size_t max_loaded, const struct am_served *keep)
{
    size_t loaded = 0;
    struct am_catalog_version *oldest = NULL;
    for (size_t i = 0; i < box->c.n_models; i++)
        for (size_t k = 0; k < box->c.models[i].n_versions; k++) {
            struct am_catalog_version *v = &box->c.models[i].versions[k];
            if (!v->served)
                continue;
            loaded++;
            if (v->served != keep &&
                (!oldest || last_use_us(v->served) < last_use_us(oldest->served)))
                oldest = v;
        }
    if (loaded <= max_loaded || !oldest)
        return;
    am_served_unref(oldest->served);
    oldest->served = NULL;
    oldest->state = AM_VERSION_KNOWN;
}

/* A version's new state into a new catalogue. served is taken over. */
static enum am_rc record(struct am_serve *s, struct am_str model, int64_t number,
                         struct am_served *served, const struct am_err *why, struct am_err *err)
{
    struct am_catalog_model *m;
    struct am_catalog_box *box = am_catalog_copy(s->current, err);
    if (!box) {
        am_served_unref(served);
        return AM_ENOMEM;
    }
    struct am_catalog_version *v = version_in(box, model, number, &m);
    if (!v) {
        am_served_unref(served);
        am_catalog_unref(box);
        return am_fail(err, AM_ENOTFOUND, "the version is gone");
    }
    am_served_unref(v->served);
    v->served = served;
    v->state = served ? AM_VERSION_READY : AM_VERSION_FAILED;
    v->why = (struct am_str){NULL, 0};
    if (!served) {
        v->why = am_arena_str(box->arena, am_str(why->message));
        v->failed_us = (int64_t)(am_mono_ns() / 1000);
    } else {
        evict(box, s->options.max_loaded, served);
    }
    am_catalog_settle(box, s->current);
    publish(s, box);
    return AM_OK;
}

static enum am_rc load_served(struct am_serve *s, const char *model,
                              const struct am_catalog_version *v, struct am_served **out,
                              struct am_err *err)
{
    struct am_serve_model m = {0};
    uint64_t begin = am_mono_ns();
    AM_TRY(s->source.ops->load(s->source.impl, model, v->number, &m, err));
    AM_TRY(am_served_new(s, model, v->number, v->package, &m, out, err));
    enum am_rc rc = am_served_warm(s, *out, err);
    if (rc != AM_OK) {
        am_served_unref(*out);
        *out = NULL;
        return rc;
    }
    (*out)->load_seconds = (double)(am_mono_ns() - begin) * 1e-9;
    (*out)->loaded_us = am_wall_us();
    return AM_OK;
}

/* Load one version and publish it, or publish that it failed; err says why. */
static enum am_rc load(struct am_serve *s, const struct am_catalog_model *m,
                       const struct am_catalog_version *v, struct am_err *err)
{
    char name[160];
    struct am_served *served = NULL;
    struct am_str model = {name, m->name.len < sizeof name ? m->name.len : sizeof name - 1};
    int64_t number = v->number;
    memcpy(name, m->name.ptr, model.len);
    name[model.len] = 0;
    enum am_rc rc = load_served(s, name, v, &served, err);
    if (rc != AM_OK)
        am_log(AM_LOG_ERROR, "serve", "model=%s version=%lld state=failed message=\"%s\"", name,
               (long long)number, err->message);
    else
        am_log(AM_LOG_INFO, "serve", "model=%s version=%lld state=ready seconds=%.4f", name,
               (long long)number, served->load_seconds);
    struct am_err other;
    enum am_rc put = record(s, model, number, served, err, rc == AM_OK ? err : &other);
    return rc != AM_OK ? rc : put;
}

static const struct am_catalog_version *pick_model(const struct am_catalog_model *m)
{
    const struct am_catalog_version *v = m->n_versions ? &m->versions[m->n_versions - 1] : NULL;
    if (v && v->state == AM_VERSION_KNOWN)
        return v;
    for (size_t i = 0; i < m->n_aliases; i++)
        if (m->versions[m->aliases[i].version].state == AM_VERSION_KNOWN)
            return &m->versions[m->aliases[i].version];
    return NULL;
}

static size_t count_loaded(const struct am_catalog_box *box)
{
    size_t n = 0;
    for (size_t i = 0; i < box->c.n_models; i++)
        for (size_t k = 0; k < box->c.models[i].n_versions; k++)
            n += box->c.models[i].versions[k].served != NULL;
    return n;
}

/* Load one newest or aliased version that is not loaded; false when there is none left. */
static bool preload_one(struct am_serve *s)
{
    struct am_err err;
    if (!s->current || count_loaded(s->current) >= s->options.max_loaded)
        return false;
    for (size_t i = 0; i < s->current->c.n_models; i++) {
        const struct am_catalog_model *m = &s->current->c.models[i];
        const struct am_catalog_version *v = pick_model(m);
        if (v) {
            (void)load(s, m, v, &err); /* logged; the catalogue says it */
            return true;
        }
    }
    return false;
}

static enum am_rc serve_want(struct am_serve *s, struct am_serve_want *w, struct am_err *err)
{
    AM_TRY(refresh(s, err));
    const struct am_catalog_model *m = am_catalog_find(&s->current->c, w->model);
    if (!m || m->n_versions == 0) {
        (void)am_fail(err, AM_ENOTFOUND, "model \"%.*s\" is not known", AM_FMT(w->model));
        am_hint(err, "GET /api/v1/models lists the models; train one with `aimass train`.");
        return AM_ENOTFOUND;
    }
    const struct am_catalog_version *v = am_catalog_select(m, w->selector);
    if (!v)
        return am_fail(err, AM_ENOTFOUND, "model \"%.*s\" has no version or alias \"%.*s\"",
                       AM_FMT(w->model), AM_FMT(w->selector));
    return v->served ? AM_OK : load(s, m, v, err);
}

static struct am_serve_want *take_want(struct am_serve *s)
{
    struct am_serve_want *w = s->wants;
    if (w) {
        s->wants = w->next;
        if (!s->wants)
            s->wants_end = &s->wants;
    }
    return w;
}

static void wait_for_work(struct am_serve *s)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + (uint64_t)s->options.poll_ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    (void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *loader_main(void *arg)
{
    struct am_serve *s = arg;
    struct am_err err;
    bool more = true; /* the source may have what is not loaded yet */
    for (;;) {
        pthread_mutex_lock(&s->lock);
        if (!s->wants && !s->stop && !more)
            wait_for_work(s);
        struct am_serve_want *w = take_want(s);
        bool stop = s->stop;
        pthread_mutex_unlock(&s->lock);
        if (w) {
            w->rc = stop ? am_fail(&w->err, AM_EBUSY, "the server is stopping")
                         : serve_want(s, w, &w->err);
            w->done(w);
            continue;
        }
        if (stop)
            break;
        if (refresh(s, &err) != AM_OK) {
            am_log(AM_LOG_WARN, "serve", "source=unreadable message=\"%s\"", err.message);
            more = false; /* answers say what is missing; waiting would not help */
        } else {
            more = preload_one(s);
        }
        if (!more)
            atomic_store(&s->ready, true);
    }
    return NULL;
}

/* ---- life ---- */

static enum am_rc init_sync(struct am_serve *s, struct am_err *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return am_fail(err, AM_ENOMEM, "cannot make a condition variable");
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int e = pthread_cond_init(&s->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->queue_lock, NULL);
    (void)pthread_cond_init(&s->queue_wake, NULL);
    return e ? am_fail_errno(err, e, "cannot make a condition variable") : AM_OK;
}

enum am_rc am_serve_new(const struct am_serve_options *o, struct am_serve_source *source,
                        struct am_serve **out, struct am_err *err)
{
    struct am_serve *s = am_calloc(1, sizeof *s);
    if (!s) {
        source->ops->free(source->impl);
        return am_fail_nomem(err, sizeof *s);
    }
    s->options = *o;
    s->source = *source;
#define DEFAULT(field, value) s->options.field = s->options.field ? s->options.field : (value)
    DEFAULT(n_slots, 1);
    DEFAULT(n_workers, 1);
    DEFAULT(poll_ms, 250);
    DEFAULT(max_loaded, 64);
    DEFAULT(max_queued, 1024);
    DEFAULT(inline_us, 100);
#undef DEFAULT
    s->n_slots = s->options.n_slots + s->options.n_workers + 1; /* and the loader's, the last */
    s->wants_end = &s->wants;
    s->jobs_end = &s->jobs;
    atomic_store(&s->alive, true);
    enum am_rc rc = init_sync(s, err);
    size_t bytes = s->n_slots * sizeof *s->slots;
    if (rc == AM_OK && !(s->slots = am_alloc_aligned(64, bytes)))
        rc = am_fail_nomem(err, bytes);
    if (rc == AM_OK) {
        memset(s->slots, 0, bytes);
        rc = am_workers_start(s, err);
    }
    if (rc == AM_OK) {
        int e = pthread_create(&s->loader, NULL, loader_main, s);
        s->loader_started = e == 0;
        if (e)
            rc = am_fail_errno(err, e, "cannot start the loader thread");
    }
    if (rc != AM_OK) {
        am_serve_free(s);
        return rc;
    }
    *out = s;
    return AM_OK;
}

void am_serve_free(struct am_serve *s)
{
    if (!s)
        return;
    am_workers_stop(s);
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->loader_started)
        pthread_join(s->loader, NULL);
    for (unsigned i = 0; s->slots && i < s->n_slots; i++)
        am_catalog_unref(s->slots[i].catalog);
    am_catalog_unref(s->current);
    s->source.ops->free(s->source.impl);
    am_free(s->slots);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->queue_lock);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_cond_destroy(&s->queue_wake);
    am_free(s);
}
