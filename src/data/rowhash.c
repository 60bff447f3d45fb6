/* Canonical hashes. Numbers go as IEEE bits, little-endian (this program runs on such machines
 * only). */
#include "data/rowhash.h"

#include <math.h>

#include "base/alloc.h"
#include "base/sha256.h"

#define BLOCK 512 /* values canonicalised at once */

struct value_hash {
    size_t n;
    uint64_t n_rows;
    struct am_sha256 **columns; /* owned [n] */
};

enum am_rc value_hash_new(size_t n_columns, struct value_hash **out, struct am_err *err)
{
    *out = NULL;
    struct value_hash *h = am_calloc(1, sizeof *h);
    if (!h)
        return am_fail_nomem(err, sizeof *h);
    /* NOLINTBEGIN(bugprone-sizeof-expression): pointers */
    h->columns = am_calloc(n_columns + 1, sizeof *h->columns);
    enum am_rc rc = h->columns ? AM_OK : am_fail_nomem(err, (n_columns + 1) * sizeof *h->columns);
    /* NOLINTEND(bugprone-sizeof-expression) */
    for (; rc == AM_OK && h->n < n_columns; h->n++)
        rc = am_sha256_new(&h->columns[h->n], err);
    if (rc != AM_OK)
        value_hash_free(h);
    else
        *out = h;
    return rc;
}

void value_hash_free(struct value_hash *h)
{
    if (!h)
        return;
    for (size_t i = 0; h->columns && i < h->n; i++)
        am_sha256_free(h->columns[i]);
    am_free(h->columns);
    am_free(h);
}

static uint64_t canonical(double v)
{
    uint64_t bits;
    if (isnan(v))
        return 0x7ff8000000000000ull;
    if (v == 0)
        return 0;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* No NaN and no negative zero among them. */
static bool all_canonical(const double *v, size_t n)
{
    uint64_t other = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        other |= (uint64_t)(v[i] != v[i]) | (uint64_t)(bits == (uint64_t)1 << 63);
    }
    return other == 0;
}

static void add_texts(struct am_sha256 *s, const struct am_str *v, size_t n)
{
    char block[4096];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = v[i].ptr ? (uint32_t)v[i].len : UINT32_MAX;
        size_t bytes = v[i].ptr ? v[i].len : 0;
        if (used + sizeof len + bytes > sizeof block) {
            am_sha256_add(s, block, used);
            used = 0;
        }
        if (sizeof len + bytes > sizeof block) {
            am_sha256_add(s, &len, sizeof len);
            am_sha256_add(s, v[i].ptr, bytes);
            continue;
        }
        memcpy(block + used, &len, sizeof len);
        if (bytes)
            memcpy(block + used + sizeof len, v[i].ptr, bytes);
        used += sizeof len + bytes;
    }
    am_sha256_add(s, block, used);
}

static void add_numbers(struct am_sha256 *s, const double *v, size_t n)
{
    uint64_t block[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;
        if (all_canonical(v + i, m)) {
            am_sha256_add(s, v + i, m * sizeof *v);
            continue;
        }
        for (size_t k = 0; k < m; k++)
            block[k] = canonical(v[i + k]);
        am_sha256_add(s, block, m * sizeof block[0]);
    }
}

enum am_rc value_hash_update(struct value_hash *h, const struct am_batch *b, struct am_err *err)
{
    if (b->n_columns != h->n)
        return am_fail(err, AM_EINTERNAL, "a batch has %zu columns, %zu were expected",
                       b->n_columns, h->n);
    for (size_t c = 0; c < h->n; c++) {
        const struct am_column *col = &b->columns[c];
        if (am_col_is_string(col->type))
            add_texts(h->columns[c], col->text, b->n_rows);
        else if (col->type == AM_COL_DATE)
            am_sha256_add(h->columns[c], col->date, b->n_rows * sizeof *col->date);
        else
            add_numbers(h->columns[c], col->number, b->n_rows);
    }
    h->n_rows += b->n_rows;
    return AM_OK;
}

enum am_rc value_hash_finish(struct value_hash *h, const struct am_schema *schema,
                             struct am_arena *a, struct am_str *hex, struct am_err *err)
{
    struct am_sha256 *all = NULL;
    unsigned char digest[AM_SHA256_BYTES];
    char text[AM_SHA256_HEX];
    AM_TRY(am_sha256_new(&all, err));
    am_sha256_add(all, "aimass-dataset-1", 16);
    am_sha256_add(all, &h->n_rows, sizeof h->n_rows);
    for (size_t c = 0; c < h->n; c++) {
        uint64_t len = schema->columns[c].name.len;
        const char *type = am_col_type_name(schema->columns[c].type);
        am_sha256_add(all, &len, sizeof len);
        am_sha256_add(all, schema->columns[c].name.ptr, len);
        am_sha256_add(all, type, strlen(type) + 1);
        am_sha256_end(h->columns[c], digest);
        am_sha256_add(all, digest, sizeof digest);
    }
    am_sha256_end(all, digest);
    am_sha256_free(all);
    am_sha256_hex(digest, text);
    *hex = am_arena_str(a, am_str(text));
    return hex->ptr ? AM_OK : am_fail_nomem(err, sizeof text);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static void add_word(struct row_hash *h, uint64_t w)
{
    h->a = mix(h->a ^ w) + 0x9e3779b97f4a7c15ull;
    h->b = mix(h->b + w * 0xd1342543de82ef95ull);
}

static void add_text(struct row_hash *h, struct am_str s)
{
    add_word(h, s.ptr ? s.len : UINT64_MAX);
    for (size_t i = 0; i < s.len; i += 8) {
        uint64_t w = 0;
        memcpy(&w, s.ptr + i, s.len - i < 8 ? s.len - i : 8);
        add_word(h, w);
    }
}

struct row_hash row_hash_text(struct am_str s)
{
    struct row_hash h = {mix(1), mix(2)};
    add_text(&h, s);
    return h;
}

void row_hash_batch(const struct am_batch *b, size_t begin, size_t end, uint64_t seed,
                    struct row_hash *out)
{
    for (size_t i = begin; i < end; i++)
        out[i] = (struct row_hash){mix(seed), mix(seed + 1)};
    for (size_t c = 0; c < b->n_columns; c++) {
        const struct am_column *col = &b->columns[c];
        for (size_t i = begin; i < end; i++) {
            if (am_col_is_string(col->type))
                add_text(&out[i], col->text[i]);
            else
                add_word(&out[i], col->type == AM_COL_DATE ? (uint64_t)col->date[i]
                                                           : canonical(col->number[i]));
        }
    }
}
