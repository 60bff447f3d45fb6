/* Views of some rows of a table: by part, by fold, by shard. Chosen rows are packed into the view's
 * own arrays (numbers copied, strings as slices); a batch whose rows are all chosen passes through.
 */
#include "data/split.h"

#include "base/alloc.h"

#define PACK_CELLS 32768

enum chosen_by { BY_PARTS, BY_NUMBER };

struct view {
    const struct am_table *t; /* borrowed */
    enum chosen_by by;
    const uint8_t *parts;    /* borrowed [n_rows] */
    const uint16_t *numbers; /* borrowed [n_rows] */
    uint64_t n_rows, n_chosen;
    struct am_pool *pool; /* borrowed; NULL = one thread */
    unsigned mask, number;
    bool invert; /* every other number but not UINT16_MAX */
};

struct am_table_iter {
    const struct view *v;
    struct am_table_iter *inner;
    struct am_column *columns; /* owned [n] */
    void **buffers;            /* owned [n], each owned [cap] of 16 bytes at most */
    size_t *picked;            /* owned [cap] */
    size_t n, cap;
    struct am_batch batch;
    uint64_t row, out_row;
};

static bool chosen(const struct view *v, uint64_t row)
{
    if (v->by == BY_PARTS)
        return (AM_PART_BIT(v->parts[row]) & v->mask) != 0;
    if (v->invert)
        return v->numbers[row] != v->number && v->numbers[row] != UINT16_MAX;
    return v->numbers[row] == v->number;
}

static const struct am_schema *view_schema(void *impl)
{
    struct view *v = impl;
    return v->t->ops->schema(v->t->impl);
}
static uint64_t view_n_rows(void *impl)
{
    return ((struct view *)impl)->n_chosen;
}
static void view_free(void *impl)
{
    am_free(impl);
}

static void view_close(struct am_table_iter *it)
{
    if (!it)
        return;
    it->v->t->ops->close(it->inner);
    for (size_t i = 0; it->buffers && i < it->n; i++)
        am_free(it->buffers[i]);
    am_free(it->buffers);
    am_free(it->columns);
    am_free(it->picked);
    am_free(it);
}

static enum am_rc view_open(void *impl, const size_t *columns, size_t n_columns,
                            struct am_table_iter **out, struct am_err *err)
{
    struct view *v = impl;
    enum am_rc rc = AM_OK;
    *out = NULL;
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->v = v;
    it->n = columns ? n_columns : view_schema(v)->n;
    it->columns = am_calloc(it->n + 1, sizeof *it->columns);
    it->buffers = am_calloc(it->n + 1, sizeof *it->buffers);
    if (!it->columns || !it->buffers) {
        rc = am_fail_nomem(err, (it->n + 1) * sizeof *it->columns);
        goto out;
    }
    AM_GO(rc, v->t->ops->open(v->t->impl, columns, n_columns, &it->inner, err));
    *out = it;
    it = NULL;
out:
    view_close(it);
    return rc;
}

static enum am_rc grow(struct am_table_iter *it, size_t cap, struct am_err *err)
{
    if (cap <= it->cap)
        return AM_OK;
    am_free(it->picked);
    it->picked = am_alloc_array(cap, sizeof *it->picked);
    bool ok = it->picked != NULL;
    for (size_t i = 0; i < it->n; i++) {
        am_free(it->buffers[i]);
        it->buffers[i] = NULL;
    }
    it->cap = ok ? cap : 0;
    return ok ? AM_OK : am_fail_nomem(err, cap * sizeof *it->picked);
}

struct packing {
    struct am_table_iter *it;
    const struct am_batch *b;
    size_t n;
};

static void pack_columns(void *ctx, size_t begin, size_t end)
{
    const struct packing *p = ctx;
    struct am_table_iter *it = p->it;
    for (size_t c = begin; c < end; c++) {
        const struct am_column *from = &p->b->columns[c];
        const size_t n = p->n;
        it->columns[c] = (struct am_column){.type = from->type};
        if (am_col_is_string(from->type)) {
            struct am_str *to = it->buffers[c];
            for (size_t i = 0; i < n; i++)
                to[i] = from->text[it->picked[i]];
            it->columns[c].text = to;
        } else if (from->type == AM_COL_DATE) {
            int64_t *to = it->buffers[c];
            for (size_t i = 0; i < n; i++)
                to[i] = from->date[it->picked[i]];
            it->columns[c].date = to;
        } else {
            double *to = it->buffers[c];
            for (size_t i = 0; i < n; i++)
                to[i] = from->number[it->picked[i]];
            it->columns[c].number = to;
        }
    }
}

static enum am_rc pack(struct am_table_iter *it, const struct am_batch *b, size_t n,
                       struct am_err *err)
{
    struct packing p = {it, b, n};
    for (size_t c = 0; c < it->n; c++) {
        if (!it->buffers[c])
            it->buffers[c] =
                am_alloc_array(it->cap, am_col_is_string(b->columns[c].type) ? sizeof(struct am_str)
                                                                             : sizeof(double));
        if (!it->buffers[c])
            return am_fail_nomem(err, it->cap * sizeof(struct am_str));
    }
    /* small batches are not worth waking a thread */
    am_pool_for(n * it->n < PACK_CELLS ? NULL : it->v->pool, it->n, (it->n + 3) / 4, pack_columns,
                &p);
    return AM_OK;
}

static enum am_rc view_next(struct am_table_iter *it, const struct am_batch **out,
                            struct am_err *err)
{
    *out = NULL;
    it->out_row += it->batch.n_rows;
    it->batch.n_rows = 0;
    for (;;) {
        const struct am_batch *b;
        size_t n = 0;
        AM_TRY(it->v->t->ops->next(it->inner, &b, err));
        if (!b)
            return AM_OK;
        if (b->n_rows > it->v->n_rows - it->row)
            return am_fail(err, AM_EINTERNAL, "the table has more than its %llu rows",
                           (unsigned long long)it->v->n_rows);
        AM_TRY(grow(it, b->n_rows, err));
        for (size_t i = 0; i < b->n_rows; i++) {
            it->picked[n] = i;
            n += chosen(it->v, it->row + i);
        }
        it->row += b->n_rows;
        if (n == 0)
            continue;
        if (n < b->n_rows)
            AM_TRY(pack(it, b, n, err));
        it->batch = (struct am_batch){.n_rows = n,
                                      .n_columns = it->n,
                                      .columns = n < b->n_rows ? it->columns : b->columns,
                                      .first_row = it->out_row};
        *out = &it->batch;
        return AM_OK;
    }
}

static const struct am_table_ops view_ops = {.schema = view_schema,
                                             .n_rows = view_n_rows,
                                             .open = view_open,
                                             .next = view_next,
                                             .close = view_close,
                                             .free = view_free};

static enum am_rc make(struct view v, struct am_table *out, struct am_err *err)
{
    *out = (struct am_table){0};
    struct view *kept = am_alloc(sizeof *kept);
    if (!kept)
        return am_fail_nomem(err, sizeof *kept);
    *kept = v;
    for (uint64_t i = 0; i < v.n_rows; i++)
        kept->n_chosen += chosen(&v, i);
    *out = (struct am_table){&view_ops, kept};
    return AM_OK;
}

enum am_rc am_rows_view(const struct am_table *t, const uint8_t *parts, uint64_t n_rows,
                        unsigned mask, struct am_pool *pool, struct am_table *out,
                        struct am_err *err)
{
    return make(
        (struct view){
            .t = t, .by = BY_PARTS, .parts = parts, .n_rows = n_rows, .mask = mask, .pool = pool},
        out, err);
}

enum am_rc am_fold_view(const struct am_table *t, const uint16_t *fold, uint64_t n_rows, unsigned k,
                        enum am_fold_side side, struct am_table *out, struct am_err *err)
{
    return make((struct view){.t = t,
                              .by = BY_NUMBER,
                              .numbers = fold,
                              .n_rows = n_rows,
                              .number = k,
                              .invert = side == AM_FOLD_OUT},
                out, err);
}
