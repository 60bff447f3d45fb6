/* Columns of one request: one block of cells, regrown by doubling; see columns.h. */
#include "api/columns.h"

#include "base/alloc.h"
#include "base/limits.h"

static size_t cell_bytes(enum am_col_type t)
{
    return t == AM_COL_CATEGORY || t == AM_COL_TEXT ? sizeof(struct am_str) : 8;
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
        if (t != AM_COL_CATEGORY && t != AM_COL_TEXT)
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

/* ---- dates ---- */

struct date_cursor {
    const char *p, *end;
};

static bool take_digits(struct date_cursor *c, int n, int *out)
{
    int v = 0;
    if (c->end - c->p < n)
        return false;
    for (int i = 0; i < n; i++, c->p++) {
        if (*c->p < '0' || *c->p > '9')
            return false;
        v = v * 10 + (*c->p - '0');
    }
    *out = v;
    return true;
}

static bool take(struct date_cursor *c, char ch)
{
    if (c->p == c->end || *c->p != ch)
        return false;
    c->p++;
    return true;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, days_from_civil). */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static bool take_day(struct date_cursor *c, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (!take_digits(c, 4, &y) || !take(c, '-') || !take_digits(c, 2, &m) || !take(c, '-') ||
        !take_digits(c, 2, &d))
        return false;
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] + (m == 2 && leap))
        return false;
    *days = days_from_civil(y, m, d);
    return true;
}

static bool take_time(struct date_cursor *c, int64_t *us)
{
    int h, m, s = 0;
    int64_t fraction = 0;
    if (!take_digits(c, 2, &h) || !take(c, ':') || !take_digits(c, 2, &m))
        return false;
    if (take(c, ':')) {
        if (!take_digits(c, 2, &s))
            return false;
        if (take(c, '.')) {
            int64_t unit = 100000;
            const char *begin = c->p;
            for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, unit /= 10)
                fraction += unit * (*c->p - '0');
            if (c->p == begin)
                return false;
        }
    }
    if (h > 23 || m > 59 || s > 59)
        return false;
    *us = ((h * 60LL + m) * 60 + s) * 1000000 + fraction;
    return true;
}

static bool take_zone(struct date_cursor *c, int64_t *us)
{
    int h, m, sign;
    *us = 0;
    if (c->p == c->end || take(c, 'Z'))
        return true;
    if (take(c, '+'))
        sign = 1;
    else if (take(c, '-'))
        sign = -1;
    else
        return false;
    if (!take_digits(c, 2, &h) || (take(c, ':'), !take_digits(c, 2, &m)) || h > 14 || m > 59)
        return false;
    *us = sign * (h * 60LL + m) * 60000000;
    return true;
}

bool am_date_parse(struct am_str s, int64_t *out)
{
    struct date_cursor c = {s.ptr, s.ptr + s.len};
    int64_t days, time = 0, zone = 0;
    if (!s.ptr || !take_day(&c, &days))
        return false;
    if (c.p != c.end) {
        if (!take(&c, 'T') && !take(&c, ' '))
            return false;
        if (!take_time(&c, &time) || !take_zone(&c, &zone))
            return false;
    }
    if (c.p != c.end)
        return false;
    *out = days * 86400000000LL + time - zone;
    return true;
}
