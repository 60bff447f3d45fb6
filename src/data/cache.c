/* Columns as plain arrays in slabs of rows, each slab one block of memory that never moves; texts
 * in an arena. See cache.h. */
#include "data/cache.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/vec.h"

#define BATCH_ROWS 8192 /* handed out at once, and rows of the first slab */
#define SLAB_ROWS ((size_t)65536)
#define SLAB_BYTES ((size_t)64 << 20) /* at most: a slab of a wide table has fewer rows */

struct am_cache {
    struct am_arena *texts; /* owned: names and cells */
    struct am_column_desc *columns;
    struct am_schema schema;
    size_t *offsets;         /* owned [n columns]: of a column in a slab, in bytes per row of it */
    AM_VEC(char *) slabs;    /* owned: columns of double, am_str or int64_t, one after the other */
    size_t first_rows, rows; /* of the first slab, of each other */
    size_t row_bytes;
    uint64_t n_rows, cap_rows;
    uint64_t bytes, max_bytes; /* bytes: of texts */
};

/* The slab of a row, the row in it, and the slab's rows. */
struct place {
    size_t slab, row, rows;
};

static struct place place_of(const struct am_cache *c, uint64_t row)
{
    if (row < c->first_rows)
        return (struct place){0, (size_t)row, c->first_rows};
    uint64_t behind = row - c->first_rows;
    return (struct place){1 + (size_t)(behind / c->rows), (size_t)(behind % c->rows), c->rows};
}

struct am_table_iter {
    const struct am_cache *cache;
    uint64_t at;
    size_t *which; /* [n] columns handed out */
    struct am_column *columns;
    size_t n;
    struct am_batch batch;
};

static size_t cell_bytes(enum am_col_type t)
{
    return am_col_is_string(t) ? sizeof(struct am_str) : 8;
}

void am_cache_free(struct am_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->slabs.len; i++)
        am_free(c->slabs.ptr[i]);
    am_vec_clear(&c->slabs);
    am_free(c->offsets);
    am_arena_free(c->texts);
    am_free(c);
}

static void cache_free(void *impl)
{
    am_cache_free(impl);
}

static const struct am_schema *cache_schema(void *impl)
{
    return &((struct am_cache *)impl)->schema;
}
static uint64_t cache_rows(void *impl)
{
    return ((struct am_cache *)impl)->n_rows;
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
    const struct am_cache *c = impl;
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

static void *cell(const struct am_cache *c, struct place at, size_t column)
{
    return c->slabs.ptr[at.slab] + c->offsets[column] * at.rows +
           at.row * cell_bytes(c->schema.columns[column].type);
}

static enum am_rc cache_next(struct am_table_iter *it, const struct am_batch **out,
                             struct am_err *err)
{
    const struct am_cache *c = it->cache;
    uint64_t left = c->n_rows - it->at;
    (void)err;
    if (left == 0) {
        *out = NULL;
        return AM_OK;
    }
    struct place at = place_of(c, it->at);
    size_t n = at.rows - at.row < BATCH_ROWS ? at.rows - at.row : BATCH_ROWS;
    n = left < n ? (size_t)left : n;
    for (size_t i = 0; i < it->n; i++) {
        const void *p = cell(c, at, it->which[i]);
        switch (it->columns[i].type) {
        case AM_COL_CATEGORY:
        case AM_COL_TEXT:
        case AM_COL_IMAGE:
        case AM_COL_AUDIO:
        case AM_COL_VIDEO:
            it->columns[i].text = p;
            break;
        case AM_COL_DATE:
            it->columns[i].date = p;
            break;
        default:
            it->columns[i].number = p;
        }
    }
    it->batch = (struct am_batch){n, it->n, it->columns, it->at};
    it->at += n;
    *out = &it->batch;
    return AM_OK;
}

static const struct am_table_ops ops = {cache_schema, cache_rows,  cache_open,
                                        cache_next,   cache_close, cache_free};

/* ---- filling ---- */

static bool fits(const struct am_cache *c, uint64_t n_rows)
{
    return n_rows <= c->max_bytes / c->row_bytes &&
           c->bytes <= c->max_bytes - n_rows * c->row_bytes;
}

static enum am_rc add_slab(struct am_cache *c)
{
    size_t rows = c->slabs.len ? c->rows : c->first_rows;
    char *slab = am_alloc_array(rows, c->row_bytes);
    if (!slab || !am_vec_push(&c->slabs, slab)) {
        am_free(slab);
        return AM_ENOMEM;
    }
    c->cap_rows += rows;
    return AM_OK;
}

static enum am_rc add_texts(struct am_cache *c, struct am_str *to, const struct am_str *from,
                            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct am_str s = from[i];
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
        if (!fits(c, c->n_rows + n))
            return AM_ELIMIT;
        to[i] = am_arena_str(c->texts, s);
        if (!to[i].ptr)
            return AM_ENOMEM;
    }
    return AM_OK;
}

/* Rows [from, from + n) of a batch to one slab. */
static enum am_rc add_rows(struct am_cache *c, const struct am_batch *b, size_t from, size_t n)
{
    struct place at = place_of(c, c->n_rows);
    for (size_t i = 0; i < c->schema.n; i++) {
        enum am_col_type t = c->schema.columns[i].type;
        const struct am_column *col = &b->columns[i];
        if (am_col_is_string(t))
            AM_TRY(add_texts(c, cell(c, at, i), col->text + from, n));
        else
            memcpy(cell(c, at, i),
                   t == AM_COL_DATE ? (const void *)(col->date + from)
                                    : (const void *)(col->number + from),
                   n * 8);
    }
    c->n_rows += n;
    return AM_OK;
}

enum am_rc am_cache_add(struct am_cache *c, const struct am_batch *b)
{
    if (!fits(c, c->n_rows + b->n_rows))
        return AM_ELIMIT;
    for (size_t from = 0, n; from < b->n_rows; from += n) {
        if (c->n_rows == c->cap_rows)
            AM_TRY(add_slab(c));
        uint64_t room = c->cap_rows - c->n_rows;
        n = b->n_rows - from < room ? b->n_rows - from : (size_t)room;
        AM_TRY(add_rows(c, b, from, n));
    }
    return AM_OK;
}

enum am_rc am_cache_new(const struct am_schema *s, uint64_t max_bytes, struct am_cache **out,
                        struct am_err *err)
{
    struct am_cache *c = am_calloc(1, sizeof *c);
    if (c) {
        c->texts = am_arena_new(max_bytes < SIZE_MAX / 2 ? (size_t)max_bytes + 4096 : 0);
        c->offsets = am_calloc(s->n ? s->n : 1, sizeof *c->offsets);
    }
    if (c && c->texts)
        c->columns = am_arena_array(c->texts, s->n + 1, sizeof *c->columns);
    if (!c || !c->offsets || !c->columns) {
        am_cache_free(c);
        return am_fail_nomem(err, s->n * sizeof *s->columns);
    }
    for (size_t i = 0; i < s->n; i++) {
        c->columns[i] = s->columns[i];
        c->offsets[i] = c->row_bytes;
        c->row_bytes += cell_bytes(s->columns[i].type);
        c->columns[i].name = am_arena_str(c->texts, s->columns[i].name);
        if (!c->columns[i].name.ptr) {
            am_cache_free(c);
            return am_fail_nomem(err, s->columns[i].name.len);
        }
    }
    c->schema = (struct am_schema){c->columns, s->n};
    c->max_bytes = max_bytes;
    c->row_bytes = c->row_bytes ? c->row_bytes : 1;
    size_t most = SLAB_BYTES / c->row_bytes ? SLAB_BYTES / c->row_bytes : 1;
    c->rows = most < SLAB_ROWS ? most : SLAB_ROWS;
    c->first_rows = most < BATCH_ROWS ? most : BATCH_ROWS;
    *out = c;
    return AM_OK;
}

void am_cache_finish(struct am_cache *c, struct am_table *out)
{
    *out = (struct am_table){&ops, c};
}

bool am_cache_retype(struct am_cache *c, size_t column, enum am_col_type type)
{
    enum am_col_type *own = &c->columns[column].type;
    bool same = am_col_is_string(*own) == am_col_is_string(type) &&
                (*own == AM_COL_DATE) == (type == AM_COL_DATE);
    if (same)
        *own = type;
    return same;
}

enum am_rc am_table_cache(struct am_table *t, uint64_t max_bytes, bool *cached, struct am_err *err)
{
    const struct am_schema *s = t->ops->schema(t->impl);
    uint64_t known = t->ops->n_rows(t->impl);
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    struct am_cache *c = NULL;
    enum am_rc rc;
    *cached = false;
    AM_TRY(am_cache_new(s, max_bytes, &c, err));
    if (known != UINT64_MAX && !fits(c, known)) { /* not even begun */
        am_cache_free(c);
        return AM_OK;
    }
    AM_GO(rc, t->ops->open(t->impl, NULL, 0, &it, err));
    for (;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        rc = am_cache_add(c, b);
        if (rc == AM_ENOMEM || rc == AM_ELIMIT) { /* the table itself still works */
            rc = AM_OK;
            goto out;
        }
    }
    t->ops->close(it);
    it = NULL;
    t->ops->free(t->impl);
    am_cache_finish(c, t);
    c = NULL;
    *cached = true;
out:
    t->ops->close(it);
    am_cache_free(c);
    return rc;
}
