/* Datasets with media read back: footer, row groups, pages. See stored.h; the layout stands in
 * parquet.h, the numbers of fields in parquet.thrift of the format's specification. */
#include "data/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/fs.h"

#define BATCH_ROWS 2048
#define GROUP_ROWS_MAX 65536
#define FOOTER_BYTES_MAX ((size_t)512 << 20)
#define DEPTH_MAX 8

enum {
    T_TRUE = 1,
    T_FALSE,
    T_BYTE,
    T_I16,
    T_I32,
    T_I64,
    T_DOUBLE,
    T_BINARY,
    T_LIST,
    T_SET,
    T_MAP,
    T_STRUCT
};
enum { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };
enum { E_PLAIN = 0, E_RLE = 3, E_RLE_DICTIONARY = 8 };
enum { P_BOOLEAN = 0, P_INT64 = 2, P_DOUBLE = 5, P_BYTE_ARRAY = 6 };

struct chunk { /* of one column in one row group: its pages lie together */
    uint64_t at, n_bytes;
};
struct group {
    uint64_t n_rows;
    struct chunk *chunks; /* [n], in the table's arena */
};
struct part {
    const char *path;
    struct group *groups; /* [n_groups], in the table's arena */
    size_t n_groups;
};

struct stored {
    struct am_arena *arena; /* owned: everything below */
    struct am_column_desc *desc;
    struct am_schema schema;
    struct part *parts;
    size_t n_parts;
    uint64_t n_rows;
};

/* ---- Thrift compact ---- */

struct in {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t get_varint(struct in *in)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && in->p < in->end; shift += 7) {
        uint8_t b = *in->p++;
        v |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return v;
    }
    in->bad = true;
    return 0;
}

static int64_t get_zigzag(struct in *in)
{
    uint64_t v = get_varint(in);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* A number that cannot be negative. */
static uint64_t get_size(struct in *in)
{
    int64_t v = get_zigzag(in);
    in->bad |= v < 0;
    return v < 0 ? 0 : (uint64_t)v;
}

static struct am_str get_binary(struct in *in)
{
    uint64_t n = get_varint(in);
    if (in->bad || n > (uint64_t)(in->end - in->p)) {
        in->bad = true;
        return (struct am_str){"", 0};
    }
    struct am_str s = {(const char *)in->p, (size_t)n};
    in->p += n;
    return s;
}

/* The next field's type, 0 = the end of the struct. */
static unsigned next_field(struct in *in, int *id)
{
    if (in->bad || in->p == in->end) {
        in->bad = true;
        return 0;
    }
    uint8_t b = *in->p++;
    if (b == 0)
        return 0;
    *id = b >> 4 ? *id + (b >> 4) : (int)get_zigzag(in);
    return in->bad ? 0 : b & 15u;
}

static size_t get_list(struct in *in)
{
    if (in->p == in->end) {
        in->bad = true;
        return 0;
    }
    size_t n = *in->p++ >> 4;
    if (n == 15)
        n = (size_t)get_varint(in);
    in->bad |= n > (size_t)(in->end - in->p); /* an element has a byte at least */
    return in->bad ? 0 : n;
}

static void skip(struct in *in, unsigned type, unsigned depth);
static void skip_list(struct in *in, unsigned depth)
{
    unsigned type = in->p < in->end ? *in->p & 15u : 0;
    size_t n = get_list(in);
    for (size_t i = 0; i < n && !in->bad; i++) {
        if (type <= T_FALSE)
            in->p++; /* booleans of a list have a byte each */
        else
            skip(in, type, depth);
    }
}

static void skip(struct in *in, unsigned type, unsigned depth)
{
    int id = 0;
    if (depth == 0 || type == T_DOUBLE || type == T_SET || type == T_MAP || type > T_STRUCT) {
        in->bad = true; /* none of them is ever written */
        return;
    }
    if (type == T_BYTE && in->p < in->end)
        in->p++;
    else if (type == T_BYTE)
        in->bad = true;
    else if (type >= T_I16 && type <= T_I64)
        (void)get_varint(in);
    else if (type == T_BINARY)
        (void)get_binary(in);
    else if (type == T_LIST)
        skip_list(in, depth - 1);
    else if (type == T_STRUCT)
        for (unsigned t; (t = next_field(in, &id)) != 0;)
            skip(in, t, depth - 1);
}

/* ---- footer ---- */

static unsigned physical_of(enum am_col_type t)
{
    if (am_col_is_string(t))
        return P_BYTE_ARRAY;
    return t == AM_COL_BOOLEAN ? P_BOOLEAN : t == AM_COL_DATE ? P_INT64 : P_DOUBLE;
}

/* One column of the schema: its name and physical type are what the dataset says. */
static void read_element(struct in *in, const struct am_column_desc *want)
{
    int id = 0;
    uint64_t type = UINT64_MAX;
    struct am_str name = {"", 0};
    for (unsigned t; (t = next_field(in, &id)) != 0;) {
        if (id == 1 && t == T_I32)
            type = get_size(in);
        else if (id == 4 && t == T_BINARY)
            name = get_binary(in);
        else
            skip(in, t, DEPTH_MAX);
    }
    if (want)
        in->bad |= type != physical_of(want->type) || !am_str_eq(name, want->name);
}

static void read_chunk_meta(struct in *in, struct chunk *c)
{
    int id = 0;
    uint64_t codec = UINT64_MAX, data = 0, dictionary = 0;
    for (unsigned t; (t = next_field(in, &id)) != 0;) {
        if (id == 4 && t == T_I32)
            codec = get_size(in);
        else if (id == 7 && t == T_I64)
            c->n_bytes = get_size(in);
        else if (id == 9 && t == T_I64)
            data = get_size(in);
        else if (id == 11 && t == T_I64)
            dictionary = get_size(in);
        else
            skip(in, t, DEPTH_MAX);
    }
    c->at = dictionary ? dictionary : data;
    in->bad |= codec != 0;
}

static void read_group(struct in *in, size_t n, uint64_t footer_at, struct group *g)
{
    int id = 0;
    size_t k = SIZE_MAX;
    for (unsigned t; (t = next_field(in, &id)) != 0;) {
        if (id == 1 && t == T_LIST) {
            k = get_list(in);
            in->bad |= k != n;
            for (size_t i = 0; i < k && !in->bad; i++) {
                int inner = 0;
                for (unsigned u; (u = next_field(in, &inner)) != 0;) {
                    if (inner == 3 && u == T_STRUCT)
                        read_chunk_meta(in, &g->chunks[i]);
                    else
                        skip(in, u, DEPTH_MAX);
                }
                in->bad |= g->chunks[i].at > footer_at ||
                           g->chunks[i].n_bytes > footer_at - g->chunks[i].at;
            }
        } else if (id == 3 && t == T_I64) {
            g->n_rows = get_size(in);
        } else {
            skip(in, t, DEPTH_MAX);
        }
    }
    in->bad |= k != n || g->n_rows == 0 || g->n_rows > GROUP_ROWS_MAX;
}

static enum am_rc read_groups(struct stored *s, struct in *in, uint64_t footer_at, struct part *p,
                              struct am_err *err)
{
    size_t n = s->schema.n;
    p->n_groups = get_list(in);
    p->groups = am_arena_array(s->arena, p->n_groups + 1, sizeof *p->groups);
    if (!p->groups)
        return am_fail_nomem(err, p->n_groups * sizeof *p->groups);
    for (size_t i = 0; i < p->n_groups && !in->bad; i++) {
        p->groups[i] = (struct group){0, am_arena_zalloc(s->arena, (n + 1) * sizeof(struct chunk))};
        if (!p->groups[i].chunks)
            return am_fail_nomem(err, n * sizeof(struct chunk));
        read_group(in, n, footer_at, &p->groups[i]);
        s->n_rows += p->groups[i].n_rows;
    }
    return AM_OK;
}

static enum am_rc fail_corrupt(const char *path, const char *what, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_ECORRUPT, "dataset file \"%s\" is damaged: its %s is not valid",
                            path, am_tr(what));
    am_hint(err, "Restore the dataset from a backup, or import the source again.");
    return rc;
}

static enum am_rc parse_footer(struct stored *s, struct am_str footer, uint64_t footer_at,
                               struct part *p, struct am_err *err)
{
    struct in in = {(const uint8_t *)footer.ptr, (const uint8_t *)footer.ptr + footer.len, false};
    int id = 0;
    bool schema = false, groups = false;
    for (unsigned t; (t = next_field(&in, &id)) != 0;) {
        if (id == 2 && t == T_LIST) {
            schema = get_list(&in) == s->schema.n + 1;
            in.bad |= !schema;
            read_element(&in, NULL);
            for (size_t i = 0; i < s->schema.n && !in.bad; i++)
                read_element(&in, &s->desc[i]);
        } else if (id == 4 && t == T_LIST) {
            groups = true;
            AM_TRY(read_groups(s, &in, footer_at, p, err));
        } else {
            skip(&in, t, DEPTH_MAX);
        }
    }
    if (in.bad || !schema || !groups)
        return fail_corrupt(p->path, AM_N("footer"), err);
    return AM_OK;
}

static enum am_rc open_part(const char *path, int *fd, struct am_err *err)
{
    *fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC, 0);
    return *fd < 0 ? am_fail_errno(err, errno, "cannot open \"%s\"", path) : AM_OK;
}

static enum am_rc read_footer(struct stored *s, struct part *p, struct am_err *err)
{
    int fd = -1;
    char *bytes = NULL;
    unsigned char tail[8];
    uint32_t n;
    enum am_rc rc = AM_OK;
    AM_TRY(open_part(p->path, &fd, err));
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 12) {
        rc = fail_corrupt(p->path, AM_N("footer"), err);
        goto out;
    }
    AM_GO(rc, am_fs_pread_all(fd, tail, sizeof tail, size - 8, err));
    memcpy(&n, tail, sizeof n);
    if (memcmp(tail + 4, "PAR1", 4) != 0 || n > (uint64_t)size - 12 || n > FOOTER_BYTES_MAX) {
        rc = fail_corrupt(p->path, AM_N("footer"), err);
        goto out;
    }
    bytes = am_alloc((size_t)n + 1);
    if (!bytes) {
        rc = am_fail_nomem(err, n);
        goto out;
    }
    uint64_t at = (uint64_t)size - 8 - n;
    AM_GO(rc, am_fs_pread_all(fd, bytes, n, (off_t)at, err));
    rc = parse_footer(s, (struct am_str){bytes, n}, at, p, err);
out:
    am_free(bytes);
    (void)am_fs()->close(fd);
    return rc;
}

/* ---- pages ---- */

struct cells {   /* of one column, one row group */
    char *bytes; /* owned: the chunk as it lies in the file */
    size_t room;
    void *values;      /* owned [GROUP_ROWS_MAX at most]: struct am_str, double or int64_t */
    uint8_t *present;  /* owned: one byte a row */
    uint32_t *indices; /* owned: of texts in the dictionary */
    struct am_str *dictionary; /* owned */
    size_t n_values, n_dictionary;
};

struct page {
    uint64_t type, n_bytes, n_values, encoding;
};

static void read_page_header(struct in *in, struct page *p)
{
    int id = 0;
    *p = (struct page){UINT64_MAX, 0, UINT64_MAX, UINT64_MAX};
    for (unsigned t; (t = next_field(in, &id)) != 0;) {
        if (id == 1 && t == T_I32) {
            p->type = get_size(in);
        } else if (id == 3 && t == T_I32) {
            p->n_bytes = get_size(in);
        } else if ((id == 5 || id == 7) && t == T_STRUCT) {
            int inner = 0;
            for (unsigned u; (u = next_field(in, &inner)) != 0;) {
                if (inner == 1 && u == T_I32)
                    p->n_values = get_size(in);
                else if (inner == 2 && u == T_I32)
                    p->encoding = get_size(in);
                else
                    skip(in, u, DEPTH_MAX);
            }
        } else {
            skip(in, t, DEPTH_MAX);
        }
    }
    in->bad |= p->n_bytes > (uint64_t)(in->end - in->p);
}

/* n numbers of `width` bits, in runs and in packed eights. */
static void read_hybrid(struct in *in, unsigned width, uint32_t *out, size_t n)
{
    size_t n_bytes = (width + 7) / 8;
    for (size_t i = 0; i < n && !in->bad;) {
        uint64_t head = get_varint(in), count = head >> 1;
        if (head & 1) {
            if (count > SIZE_MAX / 64 || count * width > (uint64_t)(in->end - in->p)) {
                in->bad = true;
                return;
            }
            for (uint64_t k = 0; k < count * 8 && i < n; k++) {
                uint32_t v = 0;
                for (unsigned b = 0; b < width; b++) {
                    uint64_t bit = k * width + b;
                    v |= (uint32_t)(in->p[bit / 8] >> bit % 8 & 1) << b;
                }
                out[i++] = v;
            }
            in->p += count * width;
            continue;
        }
        uint32_t v = 0;
        if (count == 0 || n_bytes > (size_t)(in->end - in->p)) {
            in->bad = true;
            return;
        }
        memcpy(&v, in->p, n_bytes);
        in->p += n_bytes;
        for (; count > 0 && i < n; count--)
            out[i++] = v;
    }
}

/* Texts with their lengths before them. */
static void read_texts(struct in *in, struct am_str *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t len;
        if (in->end - in->p < 4) {
            in->bad = true;
            return;
        }
        memcpy(&len, in->p, 4);
        in->p += 4;
        if (len > (size_t)(in->end - in->p)) {
            in->bad = true;
            return;
        }
        out[i] = (struct am_str){(const char *)in->p, len};
        in->p += len;
    }
}

static enum am_rc read_dictionary(struct cells *c, struct in *in, const struct page *p,
                                  struct am_err *err)
{
    struct in body = {in->p, in->p + p->n_bytes, false};
    in->p += p->n_bytes;
    if (p->n_values > GROUP_ROWS_MAX || p->encoding != E_PLAIN) {
        in->bad = true;
        return AM_OK;
    }
    am_free(c->dictionary);
    c->n_dictionary = (size_t)p->n_values;
    c->dictionary = am_alloc_array(c->n_dictionary + 1, sizeof *c->dictionary);
    if (!c->dictionary)
        return am_fail_nomem(err, c->n_dictionary * sizeof *c->dictionary);
    read_texts(&body, c->dictionary, c->n_dictionary);
    in->bad |= body.bad;
    return AM_OK;
}

/* Where values are missing, from the definition levels; gives how many are there. */
static size_t read_levels(struct cells *c, struct in *in, size_t n_rows)
{
    uint32_t n;
    size_t there = 0;
    if (in->end - in->p < 4) {
        in->bad = true;
        return 0;
    }
    memcpy(&n, in->p, 4);
    in->p += 4;
    if (n > (size_t)(in->end - in->p)) {
        in->bad = true;
        return 0;
    }
    struct in levels = {in->p, in->p + n, false};
    in->p += n;
    read_hybrid(&levels, 1, c->indices, n_rows);
    in->bad |= levels.bad;
    for (size_t i = 0; i < n_rows && !levels.bad; i++) {
        c->present[i] = c->indices[i] == 1;
        there += c->present[i];
    }
    return there;
}

static void take_texts(struct cells *c, struct in *in, const struct page *p, size_t n_rows,
                       size_t n)
{
    struct am_str *out = c->values;
    if (p->encoding == E_PLAIN) {
        read_texts(in, out, n);
    } else if (p->encoding == E_RLE_DICTIONARY && in->p < in->end && *in->p <= 20) {
        unsigned width = *in->p++;
        if (width)
            read_hybrid(in, width, c->indices, n);
        else
            memset(c->indices, 0, n * sizeof *c->indices);
        for (size_t i = 0; i < n && !in->bad; i++) {
            in->bad = c->indices[i] >= c->n_dictionary;
            if (!in->bad)
                out[i] = c->dictionary[c->indices[i]];
        }
    } else {
        in->bad = true;
    }
    for (size_t i = n_rows, k = n; i-- > 0 && !in->bad;) /* to their rows, from the end */
        out[i] = c->present[i] ? out[--k] : (struct am_str){NULL, 0};
}

static void take_numbers(struct cells *c, struct in *in, enum am_col_type type, size_t n_rows,
                         size_t n)
{
    bool bits = type == AM_COL_BOOLEAN;
    double *number = c->values;
    int64_t *date = c->values;
    if ((size_t)(in->end - in->p) < (bits ? (n + 7) / 8 : n * 8)) {
        in->bad = true;
        return;
    }
    for (size_t i = 0, k = 0; i < n_rows; i++) {
        if (!c->present[i]) {
            if (type == AM_COL_DATE)
                date[i] = AM_DATE_MISSING;
            else
                number[i] = NAN;
            continue;
        }
        if (bits)
            number[i] = in->p[k / 8] >> k % 8 & 1;
        else
            memcpy(&number[i], in->p + k * 8, 8);
        k++;
    }
}

static enum am_rc cells_room(struct cells *c, size_t n_bytes, size_t n_rows, struct am_err *err)
{
    if (n_bytes > c->room) {
        am_free(c->bytes);
        c->room = 0;
        c->bytes = am_alloc(n_bytes);
        if (!c->bytes)
            return am_fail_nomem(err, n_bytes);
        c->room = n_bytes;
    }
    if (n_rows <= c->n_values)
        return AM_OK;
    am_free(c->values);
    am_free(c->present);
    am_free(c->indices);
    c->values = am_alloc_array(n_rows, sizeof(struct am_str));
    c->present = am_alloc(n_rows);
    c->indices = am_alloc_array(n_rows, sizeof *c->indices);
    c->n_values = c->values && c->present && c->indices ? n_rows : 0;
    return c->n_values ? AM_OK : am_fail_nomem(err, n_rows * sizeof(struct am_str));
}

/* The cells of one column of a row group. */
static enum am_rc read_cells(struct cells *c, int fd, const struct part *p, const struct group *g,
                             size_t column, enum am_col_type type, struct am_err *err)
{
    const struct chunk *at = &g->chunks[column];
    size_t n_rows = (size_t)g->n_rows;
    AM_TRY(cells_room(c, (size_t)at->n_bytes + 1, n_rows, err));
    AM_TRY(am_fs_pread_all(fd, c->bytes, (size_t)at->n_bytes, (off_t)at->at, err));
    struct in in = {(const uint8_t *)c->bytes, (const uint8_t *)c->bytes + at->n_bytes, false};
    struct page page;
    read_page_header(&in, &page);
    if (!in.bad && page.type == PAGE_DICTIONARY) {
        AM_TRY(read_dictionary(c, &in, &page, err));
        read_page_header(&in, &page);
    }
    if (in.bad || page.type != PAGE_DATA || page.n_values != n_rows)
        return fail_corrupt(p->path, AM_N("page"), err);
    in.end = in.p + page.n_bytes;
    size_t n = read_levels(c, &in, n_rows);
    if (!in.bad && am_col_is_string(type))
        take_texts(c, &in, &page, n_rows, n);
    else if (!in.bad)
        take_numbers(c, &in, type, n_rows, n);
    return in.bad ? fail_corrupt(p->path, AM_N("page"), err) : AM_OK;
}

/* ---- the table ---- */

struct am_table_iter {
    const struct stored *s;
    size_t *which;             /* owned [n] */
    struct cells *cells;       /* owned [n] */
    struct am_column *columns; /* owned [n] */
    size_t n, part, group, at; /* at: the next row of the group */
    size_t in_group;           /* rows of the group that is read; 0 = none */
    uint64_t row;
    int fd;
    struct am_batch batch;
};

static void iter_close(struct am_table_iter *it)
{
    if (!it)
        return;
    for (size_t i = 0; it->cells && i < it->n; i++) {
        am_free(it->cells[i].bytes);
        am_free(it->cells[i].values);
        am_free(it->cells[i].present);
        am_free(it->cells[i].indices);
        am_free(it->cells[i].dictionary);
    }
    if (it->fd >= 0)
        (void)am_fs()->close(it->fd);
    am_free(it->which);
    am_free(it->cells);
    am_free(it->columns);
    am_free(it);
}

static enum am_rc iter_open(void *impl, const size_t *columns, size_t n_columns,
                            struct am_table_iter **out, struct am_err *err)
{
    const struct stored *s = impl;
    size_t n = columns ? n_columns : s->schema.n;
    *out = NULL;
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->fd = -1;
    it->s = s;
    it->n = n;
    it->which = am_alloc_array(n + 1, sizeof *it->which);
    it->cells = am_calloc(n + 1, sizeof *it->cells);
    it->columns = am_calloc(n + 1, sizeof *it->columns);
    if (!it->which || !it->cells || !it->columns) {
        iter_close(it);
        return am_fail_nomem(err, n * sizeof *it->cells);
    }
    for (size_t i = 0; i < n; i++) {
        it->which[i] = columns ? columns[i] : i;
        it->columns[i].type = s->desc[it->which[i]].type;
    }
    *out = it;
    return AM_OK;
}

/* Reads the next row group; in_group stays 0 at the end. */
static enum am_rc next_group(struct am_table_iter *it, struct am_err *err)
{
    const struct stored *s = it->s;
    it->at = it->in_group = 0;
    while (it->part < s->n_parts && it->group == s->parts[it->part].n_groups) {
        if (it->fd >= 0)
            (void)am_fs()->close(it->fd);
        it->fd = -1;
        it->group = 0;
        it->part++;
    }
    if (it->part == s->n_parts)
        return AM_OK;
    const struct part *p = &s->parts[it->part];
    const struct group *g = &p->groups[it->group++];
    if (it->fd < 0)
        AM_TRY(open_part(p->path, &it->fd, err));
    for (size_t i = 0; i < it->n; i++)
        AM_TRY(read_cells(&it->cells[i], it->fd, p, g, it->which[i], it->columns[i].type, err));
    it->in_group = (size_t)g->n_rows;
    return AM_OK;
}

static enum am_rc iter_next(struct am_table_iter *it, const struct am_batch **out,
                            struct am_err *err)
{
    *out = NULL;
    if (it->at == it->in_group)
        AM_TRY(next_group(it, err));
    if (it->in_group == 0)
        return AM_OK;
    size_t left = it->in_group - it->at, n = left < BATCH_ROWS ? left : BATCH_ROWS;
    for (size_t i = 0; i < it->n; i++) {
        struct am_column *c = &it->columns[i];
        if (am_col_is_string(c->type))
            c->text = (const struct am_str *)it->cells[i].values + it->at;
        else if (c->type == AM_COL_DATE)
            c->date = (const int64_t *)it->cells[i].values + it->at;
        else
            c->number = (const double *)it->cells[i].values + it->at;
    }
    it->batch = (struct am_batch){n, it->n, it->columns, it->row};
    it->at += n;
    it->row += n;
    *out = &it->batch;
    return AM_OK;
}

static const struct am_schema *stored_schema(void *impl)
{
    return &((struct stored *)impl)->schema;
}
static uint64_t stored_n_rows(void *impl)
{
    return ((struct stored *)impl)->n_rows;
}
static void stored_free(void *impl)
{
    struct stored *s = impl;
    if (!s)
        return;
    am_arena_free(s->arena);
    am_free(s);
}

static const struct am_table_ops ops = {stored_schema, stored_n_rows, iter_open,
                                        iter_next,     iter_close,    stored_free};

static bool lies_so(const struct am_tables_column *c)
{
    if (c->expr.ptr)
        return false;
    switch (c->stored) {
    case AM_STORED_DOUBLE:
        return c->type == AM_COL_NUMBER;
    case AM_STORED_BOOL:
        return c->type == AM_COL_BOOLEAN;
    case AM_STORED_DATE:
        return c->type == AM_COL_DATE;
    case AM_STORED_TEXT:
        return c->type == AM_COL_TEXT || c->type == AM_COL_CATEGORY;
    case AM_STORED_BLOB:
        return am_col_is_media(c->type);
    default:
        return false;
    }
}

bool stored_suits(const struct am_tables_column *columns, size_t n)
{
    bool media = false;
    for (size_t i = 0; i < n; i++) {
        if (!lies_so(&columns[i]))
            return false;
        media |= am_col_is_media(columns[i].type);
    }
    return media;
}

enum am_rc stored_table(const struct am_str *paths, size_t n_paths,
                        const struct am_tables_column *columns, size_t n, uint64_t n_rows,
                        struct am_table *out, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    *out = (struct am_table){0};
    struct stored *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    s->arena = am_arena_new(0);
    if (s->arena) {
        s->desc = am_arena_array(s->arena, n + 1, sizeof *s->desc);
        s->parts = am_arena_zalloc(s->arena, (n_paths + 1) * sizeof *s->parts);
    }
    if (!s->desc || !s->parts) {
        rc = am_fail_nomem(err, (n + 1) * sizeof *s->desc);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        s->desc[i] =
            (struct am_column_desc){am_arena_str(s->arena, columns[i].name), columns[i].type};
    s->schema = (struct am_schema){s->desc, n};
    for (; s->n_parts < n_paths; s->n_parts++) {
        struct part *p = &s->parts[s->n_parts];
        p->path = am_arena_str(s->arena, paths[s->n_parts]).ptr;
        AM_GO(rc, am_arena_check(s->arena, err));
        AM_GO(rc, read_footer(s, p, err));
    }
    if (s->n_rows != n_rows) {
        rc = fail_corrupt(s->n_parts ? s->parts[0].path : "", AM_N("number of rows"), err);
        goto out;
    }
    *out = (struct am_table){&ops, s};
    s = NULL;
out:
    stored_free(s);
    return rc;
}
