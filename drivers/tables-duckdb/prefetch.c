/* One thread fetches, one takes. The lock guards ring, first, n, ended and stop; the result belongs
 * to the fetching thread until `ended` is seen. */
#include "prefetch.h"

#include <pthread.h>
#include <string.h>

#define AHEAD_MAX 32

struct prefetch {
    const struct duck *d;
    duckdb_connection connection; /* borrowed, to interrupt */
    duckdb_result result;         /* owned */
    unsigned n_ahead;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t has_room, has_chunk;
    duckdb_data_chunk ring[AHEAD_MAX]; /* owned */
    unsigned first, n;
    bool ended, stop;
};

static void *fetch_all(void *arg)
{
    struct prefetch *p = arg;
    for (bool more = true; more;) {
        duckdb_data_chunk chunk = p->d->api->duckdb_fetch_chunk(p->result);
        pthread_mutex_lock(&p->lock);
        while (p->n == p->n_ahead && !p->stop)
            pthread_cond_wait(&p->has_room, &p->lock);
        more = chunk && !p->stop;
        if (more)
            p->ring[(p->first + p->n++) % AHEAD_MAX] = chunk;
        else
            p->ended = true;
        pthread_cond_signal(&p->has_chunk);
        pthread_mutex_unlock(&p->lock);
        if (!more && chunk)
            p->d->api->duckdb_destroy_data_chunk(&chunk);
    }
    return NULL;
}

enum am_rc prefetch_new(const struct duck *d, duckdb_connection c, duckdb_result *result,
                        unsigned n_ahead, struct prefetch **out, struct am_err *err)
{
    *out = NULL;
    struct prefetch *p = d->host->alloc(sizeof *p);
    if (!p)
        return DUCK_NOMEM(d, err, sizeof *p);
    memset(p, 0, sizeof *p);
    p->d = d;
    p->connection = c;
    p->n_ahead = n_ahead < 1 ? 1 : n_ahead > AHEAD_MAX ? AHEAD_MAX : n_ahead;
    p->result = *result;
    memset(result, 0, sizeof *result);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->has_room, NULL);
    pthread_cond_init(&p->has_chunk, NULL);
    p->started = pthread_create(&p->thread, NULL, fetch_all, p) == 0;
    if (!p->started) {
        prefetch_free(p);
        return DUCK_FAIL(d, err, AM_EBUSY, "cannot start a thread to read with");
    }
    *out = p;
    return AM_OK;
}

duckdb_data_chunk prefetch_next(struct prefetch *p, const char **error)
{
    duckdb_data_chunk chunk = NULL;
    *error = NULL;
    pthread_mutex_lock(&p->lock);
    while (p->n == 0 && !p->ended)
        pthread_cond_wait(&p->has_chunk, &p->lock);
    if (p->n > 0) {
        chunk = p->ring[p->first];
        p->first = (p->first + 1) % AHEAD_MAX;
        p->n--;
        pthread_cond_signal(&p->has_room);
    }
    pthread_mutex_unlock(&p->lock);
    if (!chunk)
        *error = p->d->api->duckdb_result_error(&p->result);
    return chunk;
}

void prefetch_free(struct prefetch *p)
{
    if (!p)
        return;
    if (p->started) {
        pthread_mutex_lock(&p->lock);
        p->stop = true;
        bool ended = p->ended;
        pthread_cond_signal(&p->has_room);
        pthread_mutex_unlock(&p->lock);
        if (!ended)
            p->d->api->duckdb_interrupt(p->connection);
        pthread_join(p->thread, NULL);
    }
    for (; p->n > 0; p->n--, p->first = (p->first + 1) % AHEAD_MAX)
        p->d->api->duckdb_destroy_data_chunk(&p->ring[p->first]);
    p->d->api->duckdb_destroy_result(&p->result);
    pthread_cond_destroy(&p->has_room);
    pthread_cond_destroy(&p->has_chunk);
    pthread_mutex_destroy(&p->lock);
    p->d->host->free(p);
}
