/* Columns as plain arrays; texts in an arena. See cache.h. */
#include "data/cache.h"

#include "base/alloc.h"
#include "base/arena.h"

#define BATCH_ROWS 8192

struct cache {
    struct am_arena *texts; /* owned: names and cells */
    struct am_column_desc *columns;
    struct am_schema schema;
    void **values; /* [n columns] owned: double, am_str or int64_t [n_rows] */
    uint64_t n_rows, cap_rows;
    uint64_t bytes, max_bytes;
};

struct am_table_iter {
    const struct cache *cache;
    uint64_t at;
    size_t *which; /* [n] columns handed out */
    struct am_column *columns;
    size_t n;
    struct am_batch batch;
};

static size_t cell_bytes(enum am_col_type t)
{
    return t == AM_COL_CATEGORY || t == AM_COL_TEXT ? sizeof(struct am_str) : 8;
}

static void cache_free(void *impl)
{
    struct cache *c = impl;
    if (!c)
        return;
    for (size_t i = 0; c->values && i < c->schema.n; i++)
        am_free(c->values[i]);
    am_free(c->values);
    am_arena_free(c->texts);
    am_free(c);
}

static const struct am_schema *cache_schema(void *impl)
{
    return &((struct cache *)impl)->schema;
}
static uint64_t cache_rows(void *impl)
{
    return ((struct cache *)impl)->n_rows;
}

static void cache_close(struct am_table_iter *it)
{
    if (it) {
        am_free(it->which);
        am_free(it->columns);
        am_free(it);
    }
}

static enum am_rc cache_open(void *impl, const size_t *columns, size_t n_columns,
                             struct am_table_iter **out, struct am_err *err)
{
    const struct cache *c = impl;
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    size_t n = columns ? n_columns : c->schema.n;
    if (it) {
        it->which = am_alloc_array(n ? n : 1, sizeof *it->which);
        it->columns = am_calloc(n ? n : 1, sizeof *it->columns);
    }
    if (!it || !it->which || !it->columns) {
        cache_close(it);
        return am_fail_nomem(err, n * sizeof *it->columns);
    }
    it->cache = c;
    it->n = n;
    for (size_t i = 0; i < n; i++) {
        it->which[i] = columns ? columns[i] : i;
        it->columns[i].type = c->schema.columns[it->which[i]].type;
    }
    *out = it;
    return AM_OK;
}

static enum am_rc cache_next(struct am_table_iter *it, const struct am_batch **out,
                             struct am_err *err)
{
    const struct cache *c = it->cache;
    uint64_t left = c->n_rows - it->at;
    (void)err;
    if (left == 0) {
        *out = NULL;
        return AM_OK;
    }
    for (size_t i = 0; i < it->n; i++) {
        const char *base = c->values[it->which[i]];
        const void *p = base + it->at * cell_bytes(it->columns[i].type);
        switch (it->columns[i].type) {
        case AM_COL_CATEGORY:
        case AM_COL_TEXT:
            it->columns[i].text = p;
            break;
        case AM_COL_DATE:
            it->columns[i].date = p;
            break;
        default:
            it->columns[i].number = p;
        }
    }
    size_t n = left < BATCH_ROWS ? (size_t)left : BATCH_ROWS;
    it->batch = (struct am_batch){n, it->n, it->columns, it->at};
    it->at += n;
    *out = &it->batch;
    return AM_OK;
}

static const struct am_table_ops ops = {cache_schema, cache_rows,  cache_open,
                                        cache_next,   cache_close, cache_free};

/* ---- filling ---- */

/* AM_ELIMIT = does not fit. */
static enum am_rc grow(struct cache *c, uint64_t want)
{
    uint64_t cap = c->cap_rows ? c->cap_rows : BATCH_ROWS, row = 0;
    while (cap < want)
        cap += cap / 2 > BATCH_ROWS ? cap / 2 : BATCH_ROWS;
    for (size_t i = 0; i < c->schema.n; i++)
        row += cell_bytes(c->schema.columns[i].type);
    if (want > c->max_bytes / (row ? row : 1) || c->bytes > c->max_bytes - want * row)
        return AM_ELIMIT;
    if (cap > c->max_bytes / (row ? row : 1)) /* the last growth is exact */
        cap = want;
    for (size_t i = 0; i < c->schema.n; i++) {
        void *p =
            am_realloc_array(c->values[i], (size_t)cap, cell_bytes(c->schema.columns[i].type));
        if (!p)
            return AM_ENOMEM;
        c->values[i] = p;
    }
    c->cap_rows = cap;
    return AM_OK;
}

static enum am_rc add_texts(struct cache *c, struct am_str *to, const struct am_column *from,
                            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct am_str s = from->text[i];
        if (s.ptr == NULL) {
            to[i] = s;
            continue;
        }
        /* runs of equal values, as categories have them, share one copy */
        if (i && to[i - 1].ptr && am_str_eq(to[i - 1], s)) {
            to[i] = to[i - 1];
            continue;
        }
        c->bytes += s.len + 16;
        if (c->bytes > c->max_bytes)
            return AM_ELIMIT;
        to[i] = am_arena_str(c->texts, s);
        if (!to[i].ptr)
            return AM_ENOMEM;
    }
    return AM_OK;
}

static enum am_rc add_batch(struct cache *c, const struct am_batch *b)
{
    enum am_rc rc = c->n_rows + b->n_rows > c->cap_rows ? grow(c, c->n_rows + b->n_rows) : AM_OK;
    for (size_t i = 0; rc == AM_OK && i < c->schema.n; i++) {
        enum am_col_type t = c->schema.columns[i].type;
        char *to = (char *)c->values[i] + c->n_rows * cell_bytes(t);
        if (t == AM_COL_CATEGORY || t == AM_COL_TEXT)
            rc = add_texts(c, (struct am_str *)(void *)to, &b->columns[i], b->n_rows);
        else
            memcpy(to,
                   t == AM_COL_DATE ? (const void *)b->columns[i].date
                                    : (const void *)b->columns[i].number,
                   b->n_rows * 8);
    }
    c->n_rows += rc == AM_OK ? b->n_rows : 0;
    return rc;
}

static enum am_rc cache_new(const struct am_schema *s, uint64_t max_bytes, struct cache **out,
                            struct am_err *err)
{
    struct cache *c = am_calloc(1, sizeof *c);
    if (c) {
        c->texts = am_arena_new(max_bytes < SIZE_MAX / 2 ? (size_t)max_bytes + 4096 : 0);
        c->values = am_calloc(s->n ? s->n : 1, sizeof *c->values);
    }
    if (c && c->texts)
        c->columns = am_arena_array(c->texts, s->n + 1, sizeof *c->columns);
    if (!c || !c->values || !c->columns) {
        cache_free(c);
        return am_fail_nomem(err, s->n * sizeof *s->columns);
    }
    for (size_t i = 0; i < s->n; i++) {
        c->columns[i] = s->columns[i];
        c->columns[i].name = am_arena_str(c->texts, s->columns[i].name);
        if (!c->columns[i].name.ptr) {
            cache_free(c);
            return am_fail_nomem(err, s->columns[i].name.len);
        }
    }
    c->schema = (struct am_schema){c->columns, s->n};
    c->max_bytes = max_bytes;
    *out = c;
    return AM_OK;
}

enum am_rc am_table_cache(struct am_table *t, uint64_t max_bytes, bool *cached, struct am_err *err)
{
    const struct am_schema *s = t->ops->schema(t->impl);
    uint64_t known = t->ops->n_rows(t->impl);
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    struct cache *c = NULL;
    enum am_rc rc;
    *cached = false;
    AM_TRY(cache_new(s, max_bytes, &c, err));
    if (known != UINT64_MAX && grow(c, known) == AM_ELIMIT) { /* not even begun */
        cache_free(c);
        return AM_OK;
    }
    AM_GO(rc, t->ops->open(t->impl, NULL, 0, &it, err));
    for (;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        rc = add_batch(c, b);
        if (rc == AM_ENOMEM || rc == AM_ELIMIT) { /* the table itself still works */
            rc = AM_OK;
            goto out;
        }
    }
    t->ops->close(it);
    it = NULL;
    t->ops->free(t->impl);
    *t = (struct am_table){&ops, c};
    c = NULL;
    *cached = true;
out:
    t->ops->close(it);
    cache_free(c);
    return rc;
}
