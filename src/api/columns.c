/* Columns of one request: one block of cells, regrown by doubling; see columns.h. */
#include "api/columns.h"

#include "base/alloc.h"
#include "base/limits.h"

static size_t cell_bytes(enum am_col_type t)
{
    return am_col_is_string(t) ? sizeof(struct am_str) : 8;
}

void am_columns_clear(struct am_columns *c)
{
    am_free(c->block);
    am_free(c->columns);
    am_free(c->seen);
    *c = (struct am_columns){0};
}

/* Lay the schema's columns over the block for cap_rows rows each. */
static void lay_out(struct am_columns *c, size_t cap_rows)
{
    char *at = c->block;
    for (size_t i = 0; i < c->schema->n; i++) {
        enum am_col_type t = c->schema->columns[i].type;
        c->columns[i].type = t;
        c->columns[i].number = (const double *)(const void *)at;
        if (at)
            at += cell_bytes(t) * cap_rows;
    }
    c->cap_rows = cap_rows;
}

static size_t row_bytes(const struct am_schema *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += cell_bytes(s->columns[i].type);
    return n ? n : 1;
}

enum am_rc am_columns_begin(struct am_columns *c, const struct am_schema *schema, uint64_t id,
                            struct am_err *err)
{
    size_t n = schema->n;
    if (n > c->cap_columns) {
        struct am_column *columns = am_alloc_array(n, sizeof *columns);
        uint32_t *seen = am_alloc_array(n, sizeof *seen);
        if (!columns || !seen) {
            am_free(columns);
            am_free(seen);
            return am_fail_nomem(err, n * sizeof *columns);
        }
        am_free(c->columns);
        am_free(c->seen);
        c->columns = columns;
        c->seen = seen;
        c->cap_columns = n;
        c->schema_id = 0;
    }
    if (n)
        memset(c->seen, 0, n * sizeof *c->seen);
    c->n_rows = 0;
    c->schema = schema;
    if (id == 0 || id != c->schema_id)
        lay_out(c, c->block_bytes / row_bytes(schema));
    c->schema_id = id;
    return AM_OK;
}

enum am_rc am_columns_reserve(struct am_columns *c, size_t n_rows, struct am_err *err)
{
    if (n_rows <= c->cap_rows)
        return AM_OK;
    size_t n_columns = c->schema->n ? c->schema->n : 1;
    if (n_rows > AM_LIMIT_PREDICT_CELLS / n_columns) {
        (void)am_fail(err, AM_ELIMIT, "%zu rows of %zu columns are over the limit of %zu cells",
                      n_rows, c->schema->n, (size_t)AM_LIMIT_PREDICT_CELLS);
        am_hint(err, "Send fewer rows in one request.");
        return AM_ELIMIT;
    }
    size_t want = n_rows < 8 ? 8 : n_rows > c->cap_rows * 2 ? n_rows : c->cap_rows * 2;
    size_t bytes = want * row_bytes(c->schema);
    char *block = am_alloc_aligned(64, (bytes + 63) / 64 * 64), *old = c->block;
    if (!block)
        return am_fail_nomem(err, bytes);
    size_t had = c->cap_rows;
    char *from = old;
    c->block = block;
    c->block_bytes = bytes;
    lay_out(c, want);
    for (size_t i = 0; i < c->schema->n; i++) {
        size_t cell = cell_bytes(c->columns[i].type);
        if (had) {
            memcpy((char *)am_columns_numbers(c, i), from, cell * had);
            from += cell * had;
        }
    }
    am_free(old);
    return AM_OK;
}

const struct am_batch *am_columns_batch(struct am_columns *c)
{
    c->batch =
        (struct am_batch){.n_rows = c->n_rows, .n_columns = c->schema->n, .columns = c->columns};
    return &c->batch;
}

void am_columns_relocate(struct am_columns *c, const char *from, size_t n, const char *to)
{
    for (size_t i = 0; i < c->schema->n; i++) {
        enum am_col_type t = c->columns[i].type;
        if (!am_col_is_string(t))
            continue;
        struct am_str *cells = am_columns_texts(c, i);
        for (size_t row = 0; row < c->n_rows; row++) {
            uintptr_t at = (uintptr_t)cells[row].ptr - (uintptr_t)from;
            if (cells[row].ptr && at <= n)
                cells[row].ptr = to + at;
        }
    }
}

void am_columns_set_missing(struct am_columns *c, size_t column, size_t row)
{
    switch (c->columns[column].type) {
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        am_columns_texts(c, column)[row] = (struct am_str){NULL, 0};
        break;
    case AM_COL_DATE:
        am_columns_dates(c, column)[row] = AM_DATE_MISSING;
        break;
    default:
        am_columns_numbers(c, column)[row] = NAN;
        break;
    }
}
