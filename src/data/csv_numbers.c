/* Parses a file of numbers on a thread of its own, into a ring of blocks; see csv_numbers.h. The
 * lock guards first, n and stop; a block belongs to the thread until it is counted in, then to the
 * caller until the next call. */
#include "data/csv_numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/num.h"

#define BLOCKS 3
#define BLOCK_ROWS 8192
#define BLOCK_BYTES ((size_t)4 << 20)  /* of cells: a block of a wide table has fewer rows */
#define BUFFER_BYTES ((size_t)1 << 20) /* of the file; a longer line is not plain */

enum state { ROWS, END, ODD, FAILED };

struct numbers {            /* the table */
    struct am_table engine; /* owned */
    char *path;             /* owned */
    size_t *place;          /* owned [n_cells] of a line: the column of the table, or SIZE_MAX */
    size_t n_cells, n_columns;
    char delimiter, quote;
    bool header;
};

struct block {
    double *cells; /* [n_columns][rows of a block] */
    size_t n;
    enum state state;
};

struct am_table_iter {
    const struct numbers *t;
    size_t rows; /* of a block */
    struct block blocks[BLOCKS];
    unsigned first, n; /* full ones */
    bool stop, held;   /* give up; the caller reads the first one */
    bool started;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t has_room, has_block;
    struct am_err err; /* of FAILED */
    /* the caller's */
    uint64_t given;
    size_t *which; /* owned [n_which] */
    size_t n_which;
    struct am_column *columns; /* owned [n_which] */
    struct am_batch batch;
    struct am_table_iter *inner; /* of the engine, once a line was odd */
    bool ended;
};

/* ---- the thread: bytes to blocks ---- */

struct feed { /* the file's bytes, whole lines at a time */
    int fd;
    char *buffer;          /* owned, with room for a line's end */
    size_t at, lines, end; /* next byte; end of the whole lines; end of what was read */
    bool eof;
};

/* The powers of ten that are doubles. */
static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const char *digits(const char *p, uint64_t *m)
{
    uint64_t v = *m;
    for (unsigned d; (d = (unsigned)(unsigned char)*p - '0') < 10; p++)
        v = v * 10 + d;
    *m = v;
    return p;
}

static const char *exponent(const char *p, int *out)
{
    uint64_t e = 0;
    bool minus = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    const char *begin = p;
    p = digits(p, &e);
    if (p == begin || p - begin > 4)
        return NULL;
    *out += minus ? -(int)e : (int)e;
    return p;
}

/* Spellings that need care: many digits, far exponents. */
static const char *slow_number(const char *begin, const char *p, double *out)
{
    if (!am_parse_double((struct am_str){begin, (size_t)(p - begin)}, AM_NUM_FINITE, out) ||
        !(fabs(*out) <= DBL_MAX) || fabs(*out) < DBL_MIN)
        return NULL;
    return p;
}

/* -?digits[.digits][e[+-]digits]; what stands behind it, or NULL. Exact: up to 2^53 and 10^22 one
 * rounding is made (Clinger 1990). */
static const char *number(const char *p, double *out)
{
    const char *begin = p;
    uint64_t m = 0;
    int e = 0;
    bool minus = *p == '-';
    p += minus;
    const char *whole = p, *mark;
    p = digits(p, &m);
    ptrdiff_t n = p - whole;
    if (n == 0)
        return NULL;
    if (*p == '.') {
        mark = ++p;
        p = digits(p, &m);
        if (p == mark)
            return NULL;
        n += p - mark;
        e = (int)(mark - p);
    }
    if (*p == 'e' || *p == 'E') {
        p = exponent(p + 1, &e);
        if (!p)
            return NULL;
    }
    if (n > 19 || m > (1ull << 53) || e < -22 || e > 22)
        return slow_number(begin, p, out);
    double v = e < 0 ? (double)m / power[-e] : (double)m * power[e];
    *out = minus ? -v : v;
    return p;
}

/* A cell that nobody reads. */
static const char *skip(const struct numbers *t, const char *p)
{
    for (; *p != t->delimiter && *p != '\n' && *p != '\r'; p++)
        if (*p == t->quote || *p == '"')
            return NULL;
    return p;
}

/* A line into row `row` of a block; the next line, or NULL when this one is odd. */
static const char *line(const struct am_table_iter *it, const char *p, double *cells, size_t row)
{
    const struct numbers *t = it->t;
    if (*p == '\n' || *p == '\r')
        return NULL;
    for (size_t c = 0; c < t->n_cells; c++) {
        double v = (double)NAN;
        if (t->place[c] == SIZE_MAX)
            p = skip(t, p);
        else if (*p != t->delimiter && *p != '\n' && *p != '\r')
            p = number(p, &v);
        if (!p)
            return NULL;
        if (t->place[c] != SIZE_MAX)
            cells[t->place[c] * it->rows + row] = v;
        if (c + 1 < t->n_cells && *p++ != t->delimiter)
            return NULL;
    }
    p += *p == '\r';
    return *p == '\n' ? p + 1 : NULL;
}

/* More whole lines behind f->at; ODD when a line is too long. */
static enum state refill(struct feed *f, struct am_err *err)
{
    memmove(f->buffer, f->buffer + f->at, f->end - f->at);
    f->end -= f->at;
    f->at = f->lines = 0;
    while (!f->eof && f->end < BUFFER_BYTES) {
        ssize_t n = am_fs()->read(f->fd, f->buffer + f->end, BUFFER_BYTES - f->end);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            am_fail_errno(err, errno, "cannot read the file");
            return FAILED;
        }
        f->eof = n == 0;
        f->end += (size_t)n;
    }
    if (f->eof && f->end > 0 && f->buffer[f->end - 1] != '\n')
        f->buffer[f->end++] = '\n';
    const char *last = f->end ? memrchr(f->buffer, '\n', f->end) : NULL;
    f->lines = last ? (size_t)(last + 1 - f->buffer) : 0;
    return f->lines ? ROWS : f->end ? ODD : END;
}

/* Past the names. */
static enum state begin(const struct numbers *t, struct feed *f, struct am_err *err)
{
    enum state s = refill(f, err);
    if (s != ROWS)
        return s;
    if ((unsigned char)f->buffer[0] == 0xef || (unsigned char)f->buffer[0] == 0x1f)
        return ODD; /* a byte order mark, gzip */
    if (!t->header)
        return ROWS;
    const char *end = memchr(f->buffer, '\n', f->lines);
    size_t n = (size_t)(end - f->buffer);
    if (memchr(f->buffer, t->quote, n) || memchr(f->buffer, '"', n) || n == 0)
        return ODD;
    f->at = n + 1;
    return ROWS;
}

static void fill(const struct am_table_iter *it, struct feed *f, struct block *b,
                 struct am_err *err)
{
    b->n = 0;
    b->state = ROWS;
    while (b->n < it->rows) {
        if (f->at == f->lines) {
            b->state = refill(f, err);
            if (b->state != ROWS)
                return;
        }
        const char *next = line(it, f->buffer + f->at, b->cells, b->n);
        if (!next) {
            b->state = ODD;
            return;
        }
        f->at = (size_t)(next - f->buffer);
        b->n++;
    }
}

/* A free block, or NULL when the caller gives up. */
static struct block *free_block(struct am_table_iter *it)
{
    pthread_mutex_lock(&it->lock);
    while (it->n == BLOCKS && !it->stop)
        pthread_cond_wait(&it->has_room, &it->lock);
    struct block *b = it->stop ? NULL : &it->blocks[(it->first + it->n) % BLOCKS];
    pthread_mutex_unlock(&it->lock);
    return b;
}

static void *read_all(void *arg)
{
    struct am_table_iter *it = arg;
    struct feed f = {.fd = am_fs()->open(it->t->path, O_RDONLY | O_CLOEXEC, 0)};
    enum state s = f.fd < 0 ? ODD : ROWS; /* the engine says what is wrong with it */
    f.buffer = am_alloc(BUFFER_BYTES + 1);
    if (!f.buffer) {
        s = FAILED;
        am_fail_nomem(&it->err, BUFFER_BYTES);
    }
    if (s == ROWS)
        s = begin(it->t, &f, &it->err);
    for (struct block *b; (b = free_block(it));) {
        *b = (struct block){b->cells, 0, s};
        if (s == ROWS)
            fill(it, &f, b, &it->err);
        s = b->state;
        pthread_mutex_lock(&it->lock);
        it->n++;
        pthread_cond_signal(&it->has_block);
        pthread_mutex_unlock(&it->lock);
        if (s != ROWS)
            break;
    }
    am_free(f.buffer);
    if (f.fd >= 0)
        (void)am_fs()->close(f.fd);
    return NULL;
}

/* ---- the caller ---- */

static void iter_close(struct am_table_iter *it)
{
    if (!it)
        return;
    if (it->started) {
        pthread_mutex_lock(&it->lock);
        it->stop = true;
        pthread_cond_signal(&it->has_room);
        pthread_mutex_unlock(&it->lock);
        pthread_join(it->thread, NULL);
    }
    pthread_cond_destroy(&it->has_room);
    pthread_cond_destroy(&it->has_block);
    pthread_mutex_destroy(&it->lock);
    if (it->inner)
        it->t->engine.ops->close(it->inner);
    for (size_t i = 0; i < BLOCKS; i++)
        am_free(it->blocks[i].cells);
    am_free(it->which);
    am_free(it->columns);
    am_free(it);
}

static enum am_rc iter_alloc(struct am_table_iter *it, const size_t *columns, size_t n_columns,
                             struct am_err *err)
{
    const struct numbers *t = it->t;
    size_t n = columns ? n_columns : t->n_columns;
    it->rows = BLOCK_BYTES / sizeof(double) / (t->n_columns + 1);
    it->rows = it->rows < 1 ? 1 : it->rows < BLOCK_ROWS ? it->rows : BLOCK_ROWS;
    it->which = am_alloc_array(n + 1, sizeof *it->which);
    it->columns = am_calloc(n + 1, sizeof *it->columns);
    bool ok = it->which && it->columns;
    for (size_t i = 0; i < BLOCKS && ok; i++) {
        it->blocks[i].cells = am_alloc_array(it->rows * (t->n_columns + 1), sizeof(double));
        ok = it->blocks[i].cells != NULL;
    }
    if (!ok)
        return am_fail_nomem(err, it->rows * t->n_columns * sizeof(double));
    for (size_t i = 0; i < n; i++)
        it->which[i] = columns ? columns[i] : i;
    it->n_which = n;
    return AM_OK;
}

static enum am_rc numbers_open(void *impl, const size_t *columns, size_t n_columns,
                               struct am_table_iter **out, struct am_err *err)
{
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->t = impl;
    pthread_mutex_init(&it->lock, NULL);
    pthread_cond_init(&it->has_room, NULL);
    pthread_cond_init(&it->has_block, NULL);
    enum am_rc rc = iter_alloc(it, columns, n_columns, err);
    if (rc == AM_OK) {
        int e = pthread_create(&it->thread, NULL, read_all, it);
        it->started = e == 0;
        if (e != 0)
            rc = am_fail_errno(err, e, "cannot start a thread to read the file");
    }
    if (rc != AM_OK) {
        iter_close(it);
        return rc;
    }
    *out = it;
    return AM_OK;
}

/* The rows of the engine's batch from `skip` on. */
static const struct am_batch *rest_of(struct am_table_iter *it, const struct am_batch *b,
                                      size_t skip)
{
    for (size_t i = 0; i < b->n_columns; i++)
        it->columns[i] =
            (struct am_column){.type = b->columns[i].type, .number = b->columns[i].number + skip};
    it->batch = (struct am_batch){b->n_rows - skip, b->n_columns, it->columns, it->given};
    return &it->batch;
}

/* The engine's table, from the first row that was not given yet. */
static enum am_rc next_of_engine(struct am_table_iter *it, const struct am_batch **out,
                                 struct am_err *err)
{
    const struct am_table_ops *ops = it->t->engine.ops;
    uint64_t row = 0;
    if (it->inner) {
        AM_TRY(ops->next(it->inner, out, err));
        return AM_OK;
    }
    AM_TRY(ops->open(it->t->engine.impl, it->which, it->n_which, &it->inner, err));
    for (const struct am_batch *b;;) {
        AM_TRY(ops->next(it->inner, &b, err));
        if (!b && row < it->given)
            return am_fail(err, AM_EINTERNAL, "the file has fewer rows than before");
        if (!b || row + b->n_rows > it->given) {
            *out = b ? rest_of(it, b, (size_t)(it->given - row)) : NULL;
            return AM_OK;
        }
        row += b->n_rows;
    }
}

static struct block *next_block(struct am_table_iter *it)
{
    pthread_mutex_lock(&it->lock);
    if (it->held) {
        it->first = (it->first + 1) % BLOCKS;
        it->n--;
        pthread_cond_signal(&it->has_room);
    }
    while (it->n == 0)
        pthread_cond_wait(&it->has_block, &it->lock);
    it->held = true;
    struct block *b = &it->blocks[it->first];
    pthread_mutex_unlock(&it->lock);
    return b;
}

static enum am_rc numbers_next(struct am_table_iter *it, const struct am_batch **out,
                               struct am_err *err)
{
    *out = NULL;
    if (it->inner)
        return next_of_engine(it, out, err);
    if (it->ended)
        return AM_OK;
    /* the last block is looked at again for its state, once its rows were given */
    struct block *b =
        it->held && it->blocks[it->first].state != ROWS ? &it->blocks[it->first] : next_block(it);
    if (b->n > 0) {
        for (size_t i = 0; i < it->n_which; i++)
            it->columns[i] = (struct am_column){.type = AM_COL_NUMBER,
                                                .number = b->cells + it->which[i] * it->rows};
        it->batch = (struct am_batch){b->n, it->n_which, it->columns, it->given};
        it->given += b->n;
        b->n = 0;
        *out = &it->batch;
        return AM_OK;
    }
    if (b->state == ODD)
        return next_of_engine(it, out, err);
    it->ended = true;
    if (b->state == FAILED) {
        if (err)
            *err = it->err;
        return it->err.rc;
    }
    return AM_OK;
}

static const struct am_schema *numbers_schema(void *impl)
{
    const struct numbers *t = impl;
    return t->engine.ops->schema(t->engine.impl);
}

static uint64_t numbers_rows(void *impl)
{
    const struct numbers *t = impl;
    return t->engine.ops->n_rows(t->engine.impl);
}

static void numbers_free(void *impl)
{
    struct numbers *t = impl;
    if (t->engine.ops)
        t->engine.ops->free(t->engine.impl);
    am_free(t->path);
    am_free(t->place);
    am_free(t);
}

static const struct am_table_ops ops = {.schema = numbers_schema,
                                        .n_rows = numbers_rows,
                                        .open = numbers_open,
                                        .next = numbers_next,
                                        .close = iter_close,
                                        .free = numbers_free};

static bool empty_is_missing(const struct am_csv_options *o)
{
    for (size_t i = 0; i < o->n_nulls; i++)
        if (o->nulls[i].len == 0)
            return true;
    return !o->nulls;
}

static size_t cell_of(const struct am_tables_info *info, struct am_str name)
{
    for (size_t i = 0; i < info->n_columns; i++)
        if (am_str_eq(info->columns[i].name, name))
            return i;
    return SIZE_MAX;
}

bool csv_numbers_fit(const struct am_tables_read *r)
{
    const struct am_tables_info *info = r->info;
    if (r->source->format != AM_TABLES_CSV || r->source->n_paths != 1 || !info ||
        info->skipped_lines > 0 || info->delimiter == 0 || r->n_columns == 0 ||
        strchr("0123456789.-+eE\r\n\"", info->delimiter) || !empty_is_missing(&r->source->csv))
        return false;
    for (size_t i = 0; i < r->n_columns; i++)
        if (r->columns[i].expr.ptr || r->columns[i].stored != AM_STORED_DOUBLE ||
            r->columns[i].type != AM_COL_NUMBER || cell_of(info, r->columns[i].name) == SIZE_MAX)
            return false;
    return true;
}

enum am_rc csv_numbers_table(const struct am_tables_read *r, const struct am_table *engine,
                             struct am_table *out, struct am_err *err)
{
    const struct am_tables_info *info = r->info;
    struct numbers *t = am_calloc(1, sizeof *t);
    if (!t)
        return am_fail_nomem(err, sizeof *t);
    struct am_str path = r->source->paths[0];
    t->n_cells = info->n_columns;
    t->n_columns = r->n_columns;
    t->delimiter = info->delimiter;
    t->quote = info->quote ? info->quote : '"';
    t->header = info->has_header;
    t->place = am_alloc_array(t->n_cells + 1, sizeof *t->place);
    t->path = am_alloc(path.len + 1);
    if (!t->place || !t->path) {
        numbers_free(t);
        return am_fail_nomem(err, t->n_cells * sizeof *t->place);
    }
    memcpy(t->path, path.ptr, path.len);
    t->path[path.len] = 0;
    for (size_t i = 0; i < t->n_cells; i++)
        t->place[i] = SIZE_MAX;
    for (size_t i = 0; i < r->n_columns; i++)
        t->place[cell_of(info, r->columns[i].name)] = i;
    t->engine = *engine;
    *out = (struct am_table){&ops, t};
    return AM_OK;
}
