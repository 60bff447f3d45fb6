/* The Parquet writer: columns are gathered until a row group is full, then written column by
 * column. */
#include "data/parquet.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "data/behind.h"

#define GROUP_ROWS ((size_t)65536)
#define GROUP_BYTES ((size_t)32 << 20) /* of one row group in memory, about */
#define MEDIA_BYTES                                                                                \
    ((size_t)8 << 20)          /* of texts, where there are pictures: readers hold several         \
                                */
#define DICTIONARY_TEXTS 16384 /* at most; above, texts are plain */
#define FOOTER_BYTES ((size_t)512 << 20)

enum thrift {
    T_TRUE = 1,
    T_FALSE = 2,
    T_I32 = 5,
    T_I64 = 6,
    T_BINARY = 8,
    T_LIST = 9,
    T_STRUCT = 12
};
enum physical { P_BOOLEAN = 0, P_INT64 = 2, P_DOUBLE = 5, P_BYTE_ARRAY = 6 };
enum page { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };
enum encoding { E_PLAIN = 0, E_RLE = 3, E_RLE_DICTIONARY = 8 };

struct chunk {                                /* of one column in one row group */
    uint64_t dictionary_at, data_at, n_bytes; /* dictionary_at 0 = none */
};

struct gathered { /* one column of the row group in the making */
    enum am_col_type type;
    uint8_t *valid; /* owned [cap / 8]: bit 1 = not null */
    size_t n_values;
    void *numbers;      /* owned [cap] double or int64, nulls left out */
    uint32_t *indices;  /* owned [cap] while texts go to the dictionary */
    struct am_buf text; /* dictionary values or plain values, each u32 length + bytes */
    struct am_map seen; /* text -> index */
    struct am_arena *keys;
    bool plain; /* too many texts */
};

struct am_parquet {
    struct behind *file; /* owned */
    uint64_t at;         /* bytes written */
    const struct am_schema *schema;
    struct gathered *columns; /* owned [schema->n] */
    size_t n_rows, cap;       /* of the row group */
    size_t text_bytes, max_text_bytes;
    AM_VEC(struct chunk) chunks; /* n_groups * schema->n */
    AM_VEC(uint64_t) group_rows;
    struct am_buf out; /* a page in the making; then the footer */
};

void am_parquet_free(struct am_parquet *w)
{
    if (!w)
        return;
    behind_free(w->file);
    for (size_t i = 0; w->columns && i < w->schema->n; i++) {
        struct gathered *g = &w->columns[i];
        am_free(g->valid);
        am_free(g->numbers);
        am_free(g->indices);
        am_buf_clear(&g->text);
        am_map_clear(&g->seen);
        am_arena_free(g->keys);
    }
    am_free(w->columns);
    am_vec_clear(&w->chunks);
    am_vec_clear(&w->group_rows);
    am_buf_clear(&w->out);
    am_free(w);
}

static enum am_rc put(struct am_parquet *w, const void *p, size_t n, struct am_err *err)
{
    AM_TRY(behind_put(w->file, p, n, err));
    w->at += n;
    return AM_OK;
}

static enum am_rc gathered_init(struct gathered *g, enum am_col_type type, size_t cap,
                                struct am_err *err)
{
    g->type = type;
    g->plain = am_col_is_media(type);
    g->valid = am_calloc(cap / 8 + 8, 1);
    am_buf_init(&g->text, (size_t)1 << 31);
    am_map_init(&g->seen);
    if (am_col_is_string(type)) {
        g->indices = am_alloc_array(cap, sizeof *g->indices);
        g->keys = am_arena_new((size_t)1 << 31);
    } else {
        g->numbers = am_alloc_array(cap, sizeof(double));
    }
    if (!g->valid || (am_col_is_string(type) ? !g->indices || !g->keys : !g->numbers))
        return am_fail_nomem(err, cap * sizeof(double));
    return AM_OK;
}

enum am_rc am_parquet_new(const char *path, const struct am_schema *schema, struct am_parquet **out,
                          struct am_err *err)
{
    enum am_rc rc = AM_OK;
    *out = NULL;
    struct am_parquet *w = am_calloc(1, sizeof *w);
    if (!w)
        return am_fail_nomem(err, sizeof *w);
    w->schema = schema;
    am_buf_init(&w->out, FOOTER_BYTES);
    w->cap = GROUP_BYTES / sizeof(double) / (schema->n + 1);
    w->cap = w->cap > GROUP_ROWS ? GROUP_ROWS : w->cap < 64 ? 64 : w->cap & ~(size_t)63;
    AM_GO(rc, behind_new(path, &w->file, err));
    w->columns = am_calloc(schema->n + 1, sizeof *w->columns);
    if (!w->columns) {
        rc = am_fail_nomem(err, (schema->n + 1) * sizeof *w->columns);
        goto out;
    }
    w->max_text_bytes = GROUP_BYTES;
    for (size_t i = 0; i < schema->n; i++)
        if (am_col_is_media(schema->columns[i].type))
            w->max_text_bytes = MEDIA_BYTES;
    for (size_t i = 0; i < schema->n; i++)
        AM_GO(rc, gathered_init(&w->columns[i], schema->columns[i].type, w->cap, err));
    AM_GO(rc, put(w, "PAR1", 4, err));
    *out = w;
    w = NULL;
out:
    am_parquet_free(w);
    return rc;
}

/* Thrift compact protocol. `last` is the id of the struct's field before. */
static void put_varint(struct am_buf *b, uint64_t v)
{
    while (v >= 128) {
        am_buf_char(b, (char)(v | 128));
        v >>= 7;
    }
    am_buf_char(b, (char)v);
}
static void put_zigzag(struct am_buf *b, int64_t v)
{
    put_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}
static void put_field(struct am_buf *b, int *last, int id, enum thrift type)
{
    am_buf_char(b, (char)((id - *last) << 4 | (int)type));
    *last = id;
}
static void put_i32(struct am_buf *b, int *last, int id, int64_t v)
{
    put_field(b, last, id, T_I32);
    put_zigzag(b, v);
}
static void put_i64(struct am_buf *b, int *last, int id, uint64_t v)
{
    put_field(b, last, id, T_I64);
    put_zigzag(b, (int64_t)v);
}
static void put_binary(struct am_buf *b, struct am_str s)
{
    put_varint(b, s.len);
    am_buf_str(b, s);
}
static void put_list(struct am_buf *b, int *last, int id, enum thrift of, size_t n)
{
    put_field(b, last, id, T_LIST);
    if (n < 15) {
        am_buf_char(b, (char)((int)n << 4 | (int)of));
        return;
    }
    am_buf_char(b, (char)(0xf0 | (int)of));
    put_varint(b, n);
}
static void put_stop(struct am_buf *b)
{
    am_buf_char(b, 0);
}

/* The header of the page whose body of n_bytes follows. */
static void page_header(struct am_buf *b, enum page type, size_t n_bytes, size_t n_values,
                        enum encoding e)
{
    int last = 0, inner = 0;
    put_i32(b, &last, 1, type);
    put_i32(b, &last, 2, (int64_t)n_bytes);
    put_i32(b, &last, 3, (int64_t)n_bytes);
    put_field(b, &last, type == PAGE_DATA ? 5 : 7, T_STRUCT);
    put_i32(b, &inner, 1, (int64_t)n_values);
    put_i32(b, &inner, 2, e);
    if (type == PAGE_DATA) {
        put_i32(b, &inner, 3, E_RLE);
        put_i32(b, &inner, 4, E_RLE);
    }
    put_stop(b);
    put_stop(b);
}

/* Definition levels of width 1: one run when nothing is missing, else bit-packed. */
static void put_levels(struct am_buf *b, const struct gathered *g, size_t n_rows)
{
    struct am_buf levels;
    am_buf_init(&levels, GROUP_ROWS);
    if (g->n_values == n_rows) {
        put_varint(&levels, (uint64_t)n_rows << 1);
        am_buf_char(&levels, 1);
    } else {
        size_t groups = (n_rows + 7) / 8;
        put_varint(&levels, (uint64_t)groups << 1 | 1);
        am_buf_add(&levels, g->valid, groups);
    }
    uint32_t n = (uint32_t)levels.len;
    am_buf_add(b, &n, sizeof n);
    am_buf_str(b, am_buf_view(&levels));
    if (levels.failed)
        b->failed = levels.failed;
    am_buf_clear(&levels);
}

static void put_indices(struct am_buf *b, const struct gathered *g)
{
    unsigned width = 0;
    while (g->seen.n > (size_t)1 << width)
        width++;
    am_buf_char(b, (char)width);
    size_t groups = (g->n_values + 7) / 8;
    put_varint(b, (uint64_t)groups << 1 | 1);
    uint64_t word = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < groups * 8; i++) {
        word |= (uint64_t)(i < g->n_values ? g->indices[i] : 0) << n_bits;
        for (n_bits += width; n_bits >= 8; n_bits -= 8, word >>= 8)
            am_buf_char(b, (char)(word & 255));
    }
}

static void put_booleans(struct am_buf *b, const struct gathered *g)
{
    const double *v = g->numbers;
    for (size_t i = 0; i < g->n_values; i += 8) {
        unsigned bits = 0;
        for (size_t k = 0; k < 8 && i + k < g->n_values; k++)
            bits |= (unsigned)(v[i + k] != 0) << k;
        am_buf_char(b, (char)bits);
    }
}

static enum am_rc put_page(struct am_parquet *w, enum page type, size_t n_values, enum encoding e,
                           struct am_str body, struct am_str more, struct am_err *err)
{
    struct am_buf head;
    am_buf_init(&head, 256);
    page_header(&head, type, body.len + more.len, n_values, e);
    enum am_rc rc = am_buf_check(&head, err);
    if (rc == AM_OK)
        rc = put(w, head.ptr, head.len, err);
    if (rc == AM_OK)
        rc = put(w, body.ptr, body.len, err);
    if (rc == AM_OK && more.len)
        rc = put(w, more.ptr, more.len, err);
    am_buf_clear(&head);
    return rc;
}

static enum am_rc flush_column(struct am_parquet *w, struct gathered *g, struct am_err *err)
{
    struct chunk c = {0};
    struct am_str more = {0};
    uint64_t start = w->at;
    enum encoding e = E_PLAIN;
    if (am_col_is_string(g->type) && !g->plain) {
        c.dictionary_at = w->at;
        AM_TRY(put_page(w, PAGE_DICTIONARY, g->seen.n, E_PLAIN, am_buf_view(&g->text),
                        (struct am_str){0}, err));
        e = E_RLE_DICTIONARY;
    }
    am_buf_reset(&w->out);
    put_levels(&w->out, g, w->n_rows);
    if (e == E_RLE_DICTIONARY)
        put_indices(&w->out, g);
    else if (am_col_is_string(g->type))
        more = am_buf_view(&g->text);
    else if (g->type == AM_COL_BOOLEAN)
        put_booleans(&w->out, g);
    else
        more = (struct am_str){g->numbers, g->n_values * sizeof(double)};
    AM_TRY(am_buf_check(&w->out, err));
    c.data_at = w->at;
    AM_TRY(put_page(w, PAGE_DATA, w->n_rows, e, am_buf_view(&w->out), more, err));
    c.n_bytes = w->at - start;
    if (!am_vec_push(&w->chunks, c))
        return am_fail_nomem(err, sizeof c);
    g->n_values = 0;
    g->plain = am_col_is_media(g->type);
    am_buf_reset(&g->text);
    am_map_clear(&g->seen);
    if (g->keys)
        am_arena_reset(g->keys);
    memset(g->valid, 0, w->cap / 8 + 8);
    return AM_OK;
}

static enum am_rc flush_group(struct am_parquet *w, struct am_err *err)
{
    if (w->n_rows == 0)
        return AM_OK;
    for (size_t i = 0; i < w->schema->n; i++)
        AM_TRY(flush_column(w, &w->columns[i], err));
    if (!am_vec_push(&w->group_rows, w->n_rows))
        return am_fail_nomem(err, sizeof w->n_rows);
    w->n_rows = 0;
    w->text_bytes = 0;
    return AM_OK;
}

static void put_text(struct am_buf *b, struct am_str s)
{
    uint32_t n = (uint32_t)s.len;
    am_buf_add(b, &n, sizeof n);
    am_buf_str(b, s);
}

/* Too many different texts: rewrite those gathered so far as plain values. */
static enum am_rc give_up_dictionary(struct gathered *g, struct am_err *err)
{
    am_buf_reset(&g->text);
    for (size_t i = 0; i < g->n_values; i++)
        put_text(&g->text, g->seen.entries[g->indices[i]].key);
    g->plain = true;
    return am_buf_check(&g->text, err);
}

static enum am_rc gather_text(struct am_parquet *w, struct gathered *g, struct am_str s,
                              struct am_err *err)
{
    if (!g->plain) {
        const uint64_t *known = am_map_get(&g->seen, s);
        if (known) {
            g->indices[g->n_values++] = (uint32_t)*known;
            return AM_OK;
        }
        if (g->seen.n == DICTIONARY_TEXTS)
            AM_TRY(give_up_dictionary(g, err));
    }
    w->text_bytes += s.len + 4;
    put_text(&g->text, s);
    if (!g->plain) {
        struct am_str key = am_arena_str(g->keys, s);
        if (!key.ptr)
            return am_fail_nomem(err, s.len);
        g->indices[g->n_values] = (uint32_t)g->seen.n;
        AM_TRY(am_map_put(&g->seen, key, g->seen.n, err));
    }
    g->n_values++;
    return am_buf_check(&g->text, err);
}

static void set_valid(struct gathered *g, size_t row)
{
    g->valid[row / 8] |= (uint8_t)(1u << row % 8);
}

static bool any_missing(const double *v, size_t n)
{
    unsigned missing = 0;
    for (size_t i = 0; i < n; i++)
        missing |= isnan(v[i]) != 0;
    return missing != 0;
}

/* Rows [from, from + n) of a column go behind the n_rows gathered. */
static enum am_rc gather(struct am_parquet *w, struct gathered *g, const struct am_column *c,
                         size_t from, size_t n, struct am_err *err)
{
    if (am_col_is_string(g->type)) {
        for (size_t i = 0; i < n; i++) {
            if (!c->text[from + i].ptr)
                continue;
            set_valid(g, w->n_rows + i);
            AM_TRY(gather_text(w, g, c->text[from + i], err));
        }
        return AM_OK;
    }
    if (g->type == AM_COL_DATE) {
        int64_t *to = g->numbers;
        for (size_t i = 0; i < n; i++)
            if (c->date[from + i] != AM_DATE_MISSING) {
                set_valid(g, w->n_rows + i);
                to[g->n_values++] = c->date[from + i];
            }
        return AM_OK;
    }
    double *to = g->numbers;
    if (w->n_rows % 8 == 0 && !any_missing(c->number + from, n)) {
        memcpy(to + g->n_values, c->number + from, n * sizeof *to);
        g->n_values += n;
        memset(g->valid + w->n_rows / 8, 0xff, n / 8);
        if (n % 8) /* g->valid is zero behind the rows gathered */
            g->valid[(w->n_rows + n) / 8] = (uint8_t)((1u << n % 8) - 1);
        return AM_OK;
    }
    for (size_t i = 0; i < n; i++) {
        double v = c->number[from + i];
        bool present = !isnan(v);
        to[g->n_values] = v;
        g->n_values += present;
        g->valid[(w->n_rows + i) / 8] |= (uint8_t)((unsigned)present << (w->n_rows + i) % 8);
    }
    return AM_OK;
}

/* How many of n rows, at least one, fill the row group and not more: pictures may be large. */
static size_t fitting(const struct am_parquet *w, const struct am_column *columns, size_t from,
                      size_t n)
{
    size_t bytes = w->text_bytes;
    for (size_t i = 0; i < n && w->max_text_bytes < GROUP_BYTES; i++) {
        for (size_t c = 0; c < w->schema->n; c++)
            if (am_col_is_media(w->schema->columns[c].type))
                bytes += columns[c].text[from + i].len + 4;
        if (bytes > w->max_text_bytes)
            return i + 1;
    }
    return n;
}

enum am_rc am_parquet_write(struct am_parquet *w, const struct am_column *columns, size_t n_rows,
                            struct am_err *err)
{
    for (size_t from = 0; from < n_rows;) {
        size_t n = n_rows - from < w->cap - w->n_rows ? n_rows - from : w->cap - w->n_rows;
        n = fitting(w, columns, from, n);
        for (size_t i = 0; i < w->schema->n; i++)
            AM_TRY(gather(w, &w->columns[i], &columns[i], from, n, err));
        w->n_rows += n;
        from += n;
        if (w->n_rows == w->cap || w->text_bytes > w->max_text_bytes)
            AM_TRY(flush_group(w, err));
    }
    return AM_OK;
}

static enum physical physical_of(enum am_col_type t)
{
    if (am_col_is_string(t))
        return P_BYTE_ARRAY;
    return t == AM_COL_BOOLEAN ? P_BOOLEAN : t == AM_COL_DATE ? P_INT64 : P_DOUBLE;
}

static void put_schema(struct am_buf *b, const struct am_schema *s)
{
    int last = 0;
    put_field(b, &last, 4, T_BINARY);
    put_binary(b, AM_STR("rows"));
    put_i32(b, &last, 5, (int64_t)s->n);
    put_stop(b);
    for (size_t i = 0; i < s->n; i++) {
        enum am_col_type type = s->columns[i].type;
        int inner = 0, logical = 0, unit = 0;
        last = 0;
        put_i32(b, &last, 1, physical_of(type));
        put_i32(b, &last, 3, 1); /* optional */
        put_field(b, &last, 4, T_BINARY);
        put_binary(b, s->columns[i].name);
        if (am_col_is_string(type) && !am_col_is_media(type)) {
            put_i32(b, &last, 6, 0); /* UTF8 */
        } else if (type == AM_COL_DATE) {
            put_field(b, &last, 10, T_STRUCT);
            put_field(b, &logical, 8, T_STRUCT);
            put_field(b, &inner, 1, T_FALSE); /* not adjusted to UTC */
            put_field(b, &inner, 2, T_STRUCT);
            put_field(b, &unit, 2, T_STRUCT); /* microseconds */
            put_stop(b);
            put_stop(b);
            put_stop(b);
            put_stop(b);
        }
        put_stop(b);
    }
}

static void put_chunk(struct am_buf *b, const struct chunk *c, const struct am_column_desc *d,
                      uint64_t n_rows)
{
    int outer = 0, last = 0;
    put_i64(b, &outer, 2, c->dictionary_at ? c->dictionary_at : c->data_at);
    put_field(b, &outer, 3, T_STRUCT);
    put_i32(b, &last, 1, physical_of(d->type));
    put_list(b, &last, 2, T_I32, c->dictionary_at ? 3 : 2);
    put_zigzag(b, E_PLAIN);
    put_zigzag(b, E_RLE);
    if (c->dictionary_at)
        put_zigzag(b, E_RLE_DICTIONARY);
    put_list(b, &last, 3, T_BINARY, 1);
    put_binary(b, d->name);
    put_i32(b, &last, 4, 0); /* uncompressed */
    put_i64(b, &last, 5, n_rows);
    put_i64(b, &last, 6, c->n_bytes);
    put_i64(b, &last, 7, c->n_bytes);
    put_i64(b, &last, 9, c->data_at);
    if (c->dictionary_at)
        put_i64(b, &last, 11, c->dictionary_at);
    put_stop(b);
    put_stop(b);
}

static void put_footer(struct am_parquet *w)
{
    struct am_buf *b = &w->out;
    size_t n = w->schema->n;
    uint64_t n_rows = 0;
    int last = 0;
    am_buf_reset(b);
    for (size_t i = 0; i < w->group_rows.len; i++)
        n_rows += w->group_rows.ptr[i];
    put_i32(b, &last, 1, 1);
    put_list(b, &last, 2, T_STRUCT, n + 1);
    put_schema(b, w->schema);
    put_i64(b, &last, 3, n_rows);
    put_list(b, &last, 4, T_STRUCT, w->group_rows.len);
    for (size_t g = 0; g < w->group_rows.len; g++) {
        int inner = 0;
        uint64_t bytes = 0;
        put_list(b, &inner, 1, T_STRUCT, n);
        for (size_t i = 0; i < n; i++) {
            put_chunk(b, &w->chunks.ptr[g * n + i], &w->schema->columns[i], w->group_rows.ptr[g]);
            bytes += w->chunks.ptr[g * n + i].n_bytes;
        }
        put_i64(b, &inner, 2, bytes);
        put_i64(b, &inner, 3, w->group_rows.ptr[g]);
        put_stop(b);
    }
    put_field(b, &last, 6, T_BINARY);
    put_binary(b, AM_STR("aimass"));
    put_stop(b);
    uint32_t length = (uint32_t)b->len;
    am_buf_add(b, &length, sizeof length);
    am_buf_cstr(b, "PAR1");
}

enum am_rc am_parquet_end(struct am_parquet *w, struct am_err *err)
{
    AM_TRY(flush_group(w, err));
    put_footer(w);
    AM_TRY(am_buf_check(&w->out, err));
    AM_TRY(put(w, w->out.ptr, w->out.len, err));
    behind_end(w->file);
    return AM_OK;
}

enum am_rc am_parquet_finish(struct am_parquet *w, uint64_t *n_bytes, char hex[AM_SHA256_HEX],
                             struct am_err *err)
{
    return behind_finish(w->file, n_bytes, hex, err);
}
