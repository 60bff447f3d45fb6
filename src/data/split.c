/* Splits. Every row's part is a function of (spec, seed, row number, values): draws are sequential
 * over the rows in order (Knuth's selection sampling, so counts are exact), groups are ordered by a
 * hash of their value, time by value then row. */
#include "data/split.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/rng.h"
#include "data/rowhash.h"
#include "data/split_int.h"

void am_split_count(const uint8_t *parts, uint64_t n_rows, struct am_split_counts *counts)
{
    *counts = (struct am_split_counts){0};
    for (uint64_t i = 0; i < n_rows; i++)
        counts->n[parts[i] & 3]++;
}

static uint64_t count_kept(const uint8_t *parts, uint64_t n_rows)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < n_rows; i++)
        n += parts[i] != AM_ROW_DROPPED;
    return n;
}

static uint64_t share_of(double share, uint64_t n)
{
    return (uint64_t)floor(share * (double)n + 0.5);
}

/* How many of n rows go where. A share above 0 that rounds to no row gets none here; checked at the
 * end. */
struct wanted {
    uint64_t test, validation;
};
static struct wanted wanted_of(const struct am_split_spec *s, uint64_t n)
{
    struct wanted w = {share_of(s->test, n), 0};
    uint64_t of = s->validation_of == AM_SPLIT_OF_TRAIN ? n - w.test : n;
    w.validation = share_of(s->validation, of);
    if (w.validation > n - w.test)
        w.validation = n - w.test;
    return w;
}

/* Selection sampling: of `left` candidates still to come, `need[k]` must go to part k. */
static enum am_row_part draw(struct am_rng *r, struct wanted *need, uint64_t *left)
{
    uint64_t u = am_rng_below(r, *left);
    (*left)--;
    if (u < need->test) {
        need->test--;
        return AM_ROW_TEST;
    }
    if (u < need->test + need->validation) {
        need->validation--;
        return AM_ROW_VALIDATION;
    }
    return AM_ROW_TRAIN;
}

static void split_random(const struct am_split_spec *s, uint8_t *parts, uint64_t n_rows)
{
    struct am_rng r;
    uint64_t left = count_kept(parts, n_rows);
    struct wanted need = wanted_of(s, left);
    am_rng_init(&r, s->seed, AM_RNG_SPLIT);
    if (s->validation_take == AM_SPLIT_TAKE_LAST)
        need.validation = 0;
    for (uint64_t i = 0; i < n_rows; i++)
        if (parts[i] != AM_ROW_DROPPED)
            parts[i] = (uint8_t)draw(&r, &need, &left);
}

/* Validation = the last of the rows left for training. */
static void take_last(const struct am_split_spec *s, uint8_t *parts, uint64_t n_rows)
{
    struct wanted need = wanted_of(s, count_kept(parts, n_rows));
    for (uint64_t i = n_rows; i > 0 && need.validation > 0; i--)
        if (parts[i - 1] == AM_ROW_TRAIN) {
            parts[i - 1] = AM_ROW_VALIDATION;
            need.validation--;
        }
}

enum am_rc split_keys_read(const struct am_table *t, struct am_str column, const uint8_t *parts,
                           uint64_t n_rows, enum split_missing missing, struct split_keys *out,
                           struct am_err *err)
{
    struct am_table_iter *it = NULL;
    enum am_rc rc = AM_OK;
    size_t c = am_schema_find(t->ops->schema(t->impl), column);
    *out = (struct split_keys){0};
    if (c == SIZE_MAX)
        return am_fail(err, AM_EUSAGE, "the data has no column \"%.*s\" to split by",
                       AM_FMT(column));
    am_map_init(&out->map);
    out->arena = am_arena_new(0);
    out->of = am_alloc_array((size_t)n_rows + 1, sizeof *out->of);
    if (!out->arena || !out->of) {
        rc = am_fail_nomem(err, n_rows * sizeof *out->of);
        goto out;
    }
    AM_GO(rc, t->ops->open(t->impl, &c, 1, &it, err));
    uint64_t row = 0;
    for (const struct am_batch *b;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > n_rows - row) {
            rc = am_fail(err, AM_EINTERNAL, "the table has more than its %llu rows",
                         (unsigned long long)n_rows);
            goto out;
        }
        for (size_t i = 0; i < b->n_rows; i++, row++) {
            char number[32];
            struct am_str key;
            out->of[row] = UINT32_MAX;
            if (parts[row] == AM_ROW_DROPPED)
                continue;
            if (am_cell_missing(&b->columns[0], i) && missing == SPLIT_MISSING_REFUSED) {
                rc = am_fail(err, AM_EINVAL,
                             "row %llu has no value in column \"%.*s\", which the split needs",
                             (unsigned long long)row + 1, AM_FMT(column));
                am_hint(err, "Fill or drop such rows with data.clean, or split by another column.");
                goto out;
            }
            key = split_cell_key(&b->columns[0], i, number);
            uint64_t *known = am_map_get(&out->map, key);
            if (known) {
                out->of[row] = (uint32_t)*known;
                continue;
            }
            struct am_str kept = am_arena_str(out->arena, key);
            if (!kept.ptr) {
                rc = am_fail_nomem(err, key.len);
                goto out;
            }
            out->of[row] = (uint32_t)out->map.n;
            AM_GO(rc, am_map_put(&out->map, kept, out->map.n, err));
        }
    }
    out->n = out->map.n;
    out->sizes = am_calloc(out->n + 1, sizeof *out->sizes);
    if (!out->sizes)
        rc = am_fail_nomem(err, (out->n + 1) * sizeof *out->sizes);
    for (uint64_t i = 0; rc == AM_OK && i < row; i++)
        if (out->of[i] != UINT32_MAX)
            out->sizes[out->of[i]]++;
out:
    t->ops->close(it);
    if (rc != AM_OK)
        split_keys_clear(out);
    return rc;
}

void split_keys_clear(struct split_keys *k)
{
    am_map_clear(&k->map);
    am_arena_free(k->arena);
    am_free(k->of);
    am_free(k->sizes);
    *k = (struct split_keys){0};
}

struct am_str split_cell_key(const struct am_column *c, size_t i, char number[32])
{
    if (am_col_is_string(c->type))
        return c->text[i].ptr ? c->text[i] : AM_STR("\x01missing");
    uint64_t bits;
    double v = c->type == AM_COL_DATE ? 0 : c->number[i] == 0 ? 0 : c->number[i];
    if (c->type == AM_COL_DATE)
        memcpy(&bits, &c->date[i], sizeof bits);
    else if (isnan(v))
        bits = 0x7ff8000000000000ull;
    else
        memcpy(&bits, &v, sizeof bits);
    memcpy(number, &bits, sizeof bits);
    return (struct am_str){number, sizeof bits};
}

/* Shares of each class that add up to the whole's (largest remainders; ties by class order). */
struct remainder {
    double part;
    size_t at;
};
static int by_remainder(const void *a, const void *b)
{
    const struct remainder *x = a, *y = b;
    if (x->part != y->part)
        return x->part > y->part ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void apportion(const uint64_t *sizes, size_t n, double share, uint64_t total, uint64_t *out,
                      struct remainder *scratch)
{
    uint64_t given = 0;
    for (size_t k = 0; k < n; k++) {
        double exact = share * (double)sizes[k];
        out[k] = (uint64_t)floor(exact);
        scratch[k] = (struct remainder){exact - floor(exact), k};
        given += out[k];
    }
    qsort(scratch, n, sizeof *scratch, by_remainder);
    for (size_t k = 0; k < n && given < total; k++)
        if (out[scratch[k].at] + 1 < sizes[scratch[k].at] || sizes[scratch[k].at] > 2) {
            out[scratch[k].at]++;
            given++;
        }
}

static enum am_rc check_classes(const struct split_keys *k, struct am_str column,
                                struct am_err *err)
{
    if (k->n > AM_LIMIT_CLASSES) {
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "column \"%.*s\" has %zu values: too many classes to split by",
                    AM_FMT(column), k->n);
        am_hint(err, "Say data.split: {by: random}.");
        return rc;
    }
    for (size_t i = 0; i < k->n; i++) {
        if (k->sizes[i] > 1)
            continue;
        enum am_rc rc = am_fail(
            err, AM_EINVAL, "a class of \"%.*s\" has one row: it cannot be in training and test",
            AM_FMT(column));
        am_hint(err, "Add rows of that class, drop it with data.clean.where, or say data.split: "
                     "{by: random}.");
        return rc;
    }
    return AM_OK;
}

static enum am_rc split_stratified(const struct am_table *t, const struct am_split_spec *s,
                                   uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    struct split_keys k;
    AM_TRY(split_keys_read(t, s->column, parts, n_rows, SPLIT_MISSING_REFUSED, &k, err));
    enum am_rc rc = AM_OK;
    struct wanted *need = NULL;
    struct wanted all = wanted_of(s, count_kept(parts, n_rows));
    uint64_t *counts = am_alloc_array(k.n + 1, 2 * sizeof *counts),
             *left = am_alloc_array(k.n + 1, sizeof *left);
    struct remainder *scratch = am_alloc_array(k.n + 1, sizeof *scratch);
    need = am_calloc(k.n + 1, sizeof *need);
    if (!counts || !left || !scratch || !need) {
        rc = am_fail_nomem(err, k.n * sizeof *need);
        goto out;
    }
    AM_GO(rc, check_classes(&k, s->column, err));
    double validation =
        s->validation_of == AM_SPLIT_OF_TRAIN ? s->validation * (1 - s->test) : s->validation;
    apportion(k.sizes, k.n, s->test, all.test, counts, scratch);
    apportion(k.sizes, k.n, validation, all.validation, counts + k.n, scratch);
    for (size_t i = 0; i < k.n; i++) {
        uint64_t most = k.sizes[i] - 1; /* one row of every class stays for training */
        need[i].test = counts[i] < most ? counts[i] : most;
        need[i].validation =
            counts[k.n + i] < most - need[i].test ? counts[k.n + i] : most - need[i].test;
        if (s->validation_take == AM_SPLIT_TAKE_LAST)
            need[i].validation = 0;
        left[i] = k.sizes[i];
    }
    struct am_rng r;
    am_rng_init(&r, s->seed, AM_RNG_SPLIT);
    for (uint64_t i = 0; i < n_rows; i++)
        if (k.of[i] != UINT32_MAX)
            parts[i] = (uint8_t)draw(&r, &need[k.of[i]], &left[k.of[i]]);
out:
    am_free(counts);
    am_free(left);
    am_free(scratch);
    am_free(need);
    split_keys_clear(&k);
    return rc;
}

struct ordered {
    uint64_t key, at;
};
static int by_ordered(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Groups in an order that depends on their own value and the seed only. */
static enum am_rc order_groups(const struct split_keys *k, uint64_t seed, struct ordered **out,
                               struct am_err *err)
{
    struct ordered *o = am_alloc_array(k->n + 1, sizeof *o);
    if (!o)
        return am_fail_nomem(err, k->n * sizeof *o);
    for (size_t i = 0; i < k->n; i++) {
        uint32_t r[4];
        am_rng_block(seed, AM_RNG_SPLIT, am_str_hash(k->map.entries[i].key), r);
        o[i] = (struct ordered){(uint64_t)r[0] << 32 | r[1], i};
    }
    qsort(o, k->n, sizeof *o, by_ordered);
    *out = o;
    return AM_OK;
}

static enum am_rc fail_no_group(const struct am_split_spec *s, const struct split_keys *k,
                                struct am_str name, struct am_err *err)
{
    const char *near = NULL;
    unsigned best = 2 + (unsigned)(name.len / 3);
    enum am_rc rc = am_fail(err, AM_EUSAGE,
                            "data.split.test names \"%.*s\", which column \"%.*s\" "
                            "does not hold",
                            AM_FMT(name), AM_FMT(s->column));
    for (size_t i = 0; i < k->n; i++) {
        unsigned d = am_str_distance(name, k->map.entries[i].key);
        if (d < best) {
            best = d;
            near = k->map.entries[i].key.ptr;
            am_hint(err, "Did you mean \"%.*s\"?", AM_FMT(k->map.entries[i].key));
        }
    }
    if (!near && k->n)
        am_hint(err, "It holds %zu values, as \"%.*s\".", k->n, AM_FMT(k->map.entries[0].key));
    return rc;
}

/* Groups that the recipe names are tested. */
static enum am_rc take_named(const struct am_split_spec *s, const struct split_keys *k,
                             uint8_t *part, struct am_err *err)
{
    for (size_t i = 0; i < s->n_test_groups; i++) {
        size_t g = 0;
        while (g < k->n && !am_str_eq(k->map.entries[g].key, s->test_groups[i]))
            g++;
        if (g == k->n)
            return fail_no_group(s, k, s->test_groups[i], err);
        part[g] = AM_ROW_TEST;
    }
    return AM_OK;
}

static enum am_rc split_group(const struct am_table *t, const struct am_split_spec *s,
                              uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    struct split_keys k;
    struct ordered *order = NULL;
    AM_TRY(split_keys_read(t, s->column, parts, n_rows, SPLIT_MISSING_REFUSED, &k, err));
    enum am_rc rc = AM_OK;
    uint8_t *part = am_calloc(k.n + 1, 1);
    if (!part) {
        rc = am_fail_nomem(err, k.n);
        goto out;
    }
    AM_GO(rc, order_groups(&k, s->seed, &order, err));
    AM_GO(rc, take_named(s, &k, part, err));
    struct wanted need = wanted_of(s, count_kept(parts, n_rows));
    if (s->validation_take == AM_SPLIT_TAKE_LAST)
        need.validation = 0;
    uint64_t test = 0, validation = 0;
    size_t left = k.n;
    for (size_t i = 0; i < k.n; i++, left--) {
        size_t g = order[i].at;
        if (part[g] == AM_ROW_TEST)
            continue;
        /* a group goes where more than half of it is still wanted; the last one is for training */
        if (left > 1 && need.test > test && (need.test - test) * 2 >= k.sizes[g]) {
            part[g] = AM_ROW_TEST;
            test += k.sizes[g];
        } else if (left > 1 && need.validation > validation &&
                   (need.validation - validation) * 2 >= k.sizes[g]) {
            part[g] = AM_ROW_VALIDATION;
            validation += k.sizes[g];
        }
    }
    for (uint64_t i = 0; i < n_rows; i++)
        if (k.of[i] != UINT32_MAX)
            parts[i] = part[k.of[i]];
out:
    am_free(part);
    am_free(order);
    split_keys_clear(&k);
    return rc;
}

/* A 64-bit key that orders as the value does. */
static uint64_t order_key(const struct am_column *c, size_t i)
{
    uint64_t bits;
    if (c->type == AM_COL_DATE)
        return (uint64_t)c->date[i] ^ (uint64_t)1 << 63;
    double v = c->number[i] == 0 ? 0 : c->number[i];
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

enum am_rc split_time_order(const struct am_table *t, struct am_str column, const uint8_t *parts,
                            uint64_t n_rows, uint64_t **rows, uint64_t *n, struct am_err *err)
{
    struct am_table_iter *it = NULL;
    const struct am_schema *schema = t->ops->schema(t->impl);
    enum am_rc rc = AM_OK;
    size_t c = am_schema_find(schema, column);
    struct ordered *o = NULL;
    uint64_t row = 0, k = 0;
    *rows = NULL;
    if (c == SIZE_MAX)
        return am_fail(err, AM_EUSAGE, "the data has no column \"%.*s\" to split by",
                       AM_FMT(column));
    if (am_col_is_string(schema->columns[c].type)) {
        rc = am_fail(err, AM_EUSAGE,
                     "column \"%.*s\" is a %s: only dates and numbers order rows in time",
                     AM_FMT(column), am_col_type_name(schema->columns[c].type));
        am_hint(err, "Say data.types: {%.*s: date}, or split by another column.", AM_FMT(column));
        return rc;
    }
    o = am_alloc_array((size_t)n_rows + 1, sizeof *o);
    if (!o)
        return am_fail_nomem(err, n_rows * sizeof *o);
    AM_GO(rc, t->ops->open(t->impl, &c, 1, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows && row < n_rows; i++, row++) {
            if (parts[row] == AM_ROW_DROPPED)
                continue;
            if (am_cell_missing(&b->columns[0], i)) {
                rc = am_fail(err, AM_EINVAL,
                             "row %llu has no value in column \"%.*s\", which the split needs",
                             (unsigned long long)row + 1, AM_FMT(column));
                am_hint(err, "Fill or drop such rows with data.clean, or split by another column.");
                goto out;
            }
            o[k++] = (struct ordered){order_key(&b->columns[0], i), row};
        }
    }
    qsort(o, (size_t)k, sizeof *o, by_ordered);
    *n = k;
    *rows = am_alloc_array((size_t)k + 1, sizeof **rows);
    if (!*rows)
        rc = am_fail_nomem(err, k * sizeof **rows);
    for (uint64_t i = 0; *rows && i < k; i++)
        (*rows)[i] = o[i].at;
out:
    t->ops->close(it);
    am_free(o);
    return rc;
}

static enum am_rc split_time(const struct am_table *t, const struct am_split_spec *s,
                             uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    uint64_t *rows, n = 0;
    AM_TRY(split_time_order(t, s->column, parts, n_rows, &rows, &n, err));
    struct wanted need = wanted_of(s, n);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t from_end = n - 1 - i;
        parts[rows[i]] = from_end < need.test                     ? AM_ROW_TEST
                         : from_end < need.test + need.validation ? AM_ROW_VALIDATION
                                                                  : AM_ROW_TRAIN;
    }
    am_free(rows);
    return AM_OK;
}

/* The columns that make a row's identity: the named ones, or all but the ignored ones. */
enum am_rc split_identity(const struct am_schema *schema, const struct am_str *names,
                          size_t n_names, const struct am_str *ignore, size_t n_ignore,
                          size_t **columns, size_t *n, struct am_err *err)
{
    *n = 0;
    *columns = am_alloc_array(schema->n + n_names + 1, sizeof **columns);
    if (!*columns)
        return am_fail_nomem(err, (schema->n + 1) * sizeof **columns);
    for (size_t i = 0; i < n_names; i++) {
        size_t c = am_schema_find(schema, names[i]);
        if (c == SIZE_MAX) {
            am_free(*columns);
            *columns = NULL;
            return am_fail(err, AM_EUSAGE, "the data has no column \"%.*s\" to split by",
                           AM_FMT(names[i]));
        }
        (*columns)[(*n)++] = c;
    }
    for (size_t c = 0; n_names == 0 && c < schema->n; c++) {
        bool ignored = false;
        for (size_t i = 0; i < n_ignore; i++)
            ignored |= am_str_eq(schema->columns[c].name, ignore[i]);
        if (!ignored)
            (*columns)[(*n)++] = c;
    }
    return AM_OK;
}

static enum am_rc split_hash(const struct am_table *t, const struct am_split_spec *s,
                             uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    struct am_table_iter *it = NULL;
    size_t *columns = NULL, n;
    struct row_hash *hash = NULL;
    size_t cap = 0;
    uint64_t row = 0;
    double validation =
        s->validation_of == AM_SPLIT_OF_TRAIN ? s->validation * (1 - s->test) : s->validation;
    enum am_rc rc = AM_OK;
    AM_GO(rc, split_identity(t->ops->schema(t->impl), s->hash_columns, s->n_hash_columns, s->ignore,
                             s->n_ignore, &columns, &n, err));
    AM_GO(rc, t->ops->open(t->impl, columns, n, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > cap) {
            cap = b->n_rows;
            am_free(hash);
            hash = am_alloc_array(cap, sizeof *hash);
        }
        if (!hash) {
            rc = am_fail_nomem(err, cap * sizeof *hash);
            goto out;
        }
        row_hash_batch(b, 0, b->n_rows, s->seed, hash);
        for (size_t i = 0; i < b->n_rows && row < n_rows; i++, row++) {
            double u = (double)(hash[i].a >> 11) * 0x1p-53;
            if (parts[row] != AM_ROW_DROPPED)
                parts[row] = u < s->test                ? AM_ROW_TEST
                             : u < s->test + validation ? AM_ROW_VALIDATION
                                                        : AM_ROW_TRAIN;
        }
    }
out:
    t->ops->close(it);
    am_free(columns);
    am_free(hash);
    return rc;
}

/* The part that a word of a given split names; false = none. */
static bool part_of_word(struct am_str word, uint8_t *part)
{
    static const struct {
        const char *word;
        uint8_t part;
    } words[] = {
        {"train", AM_ROW_TRAIN},      {"training", AM_ROW_TRAIN}, {"validation", AM_ROW_VALIDATION},
        {"valid", AM_ROW_VALIDATION}, {"val", AM_ROW_VALIDATION}, {"dev", AM_ROW_VALIDATION},
        {"test", AM_ROW_TEST},        {"testing", AM_ROW_TEST}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (am_str_is(word, words[i].word)) {
            *part = words[i].part;
            return true;
        }
    return false;
}

static enum am_rc read_given(const struct am_table *t, const struct am_split_spec *s,
                             uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    struct split_keys k;
    size_t at = am_schema_find(t->ops->schema(t->impl), s->column);
    if (at != SIZE_MAX && !am_col_is_string(t->ops->schema(t->impl)->columns[at].type))
        return am_fail(err, AM_EUSAGE, "column \"%.*s\" holds no words to split by",
                       AM_FMT(s->column));
    AM_TRY(split_keys_read(t, s->column, parts, n_rows, SPLIT_MISSING_REFUSED, &k, err));
    enum am_rc rc = AM_OK;
    uint8_t *part = am_calloc(k.n + 1, 1);
    if (!part)
        AM_GO(rc, am_fail_nomem(err, k.n));
    for (size_t i = 0; i < k.n; i++) {
        struct am_str word = k.map.entries[i].key;
        if (part_of_word(word, &part[i]))
            continue;
        rc = am_fail(err, AM_EINVAL, "column \"%.*s\" says \"%.60s\", which is no part of a split",
                     AM_FMT(s->column), word.ptr);
        am_hint(err, "Parts are train, validation and test; name their column with data.split: "
                     "{by: given, column: COLUMN}.");
        goto out;
    }
    for (uint64_t i = 0; i < n_rows; i++)
        if (k.of[i] != UINT32_MAX)
            parts[i] = part[k.of[i]];
out:
    am_free(part);
    split_keys_clear(&k);
    return rc;
}

/* Parts as the column gives them; validation out of the training rows when none is given. */
static enum am_rc split_given(const struct am_table *t, const struct am_split_spec *s,
                              uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    struct am_split_counts c;
    AM_TRY(read_given(t, s, parts, n_rows, err));
    am_split_count(parts, n_rows, &c);
    uint64_t train = c.n[AM_ROW_TRAIN];
    if (c.n[AM_ROW_VALIDATION] || s->validation <= 0 || train == 0)
        return AM_OK;
    struct am_split_spec inner = *s;
    if (s->validation_of == AM_SPLIT_OF_ALL)
        inner.validation = s->validation * (double)(train + c.n[AM_ROW_TEST]) / (double)train;
    if (inner.validation >= 1) {
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "%llu training rows are too few for %g of all for validation",
                    (unsigned long long)train, s->validation);
        am_hint(err, "Say data.split: {validation: {share: 0.2, of: train}}.");
        return rc;
    }
    uint8_t *kept = am_alloc((size_t)n_rows + 1);
    if (!kept)
        return am_fail_nomem(err, n_rows);
    for (uint64_t i = 0; i < n_rows; i++)
        kept[i] = parts[i] == AM_ROW_TRAIN ? AM_ROW_TRAIN : AM_ROW_DROPPED;
    inner.test = 0;
    inner.column = s->classes;
    enum am_rc rc = AM_OK;
    if (s->validation_take == AM_SPLIT_TAKE_LAST)
        take_last(&inner, kept, n_rows);
    else if (s->classes.ptr)
        rc = split_stratified(t, &inner, kept, n_rows, err);
    else
        split_random(&inner, kept, n_rows);
    for (uint64_t i = 0; rc == AM_OK && i < n_rows; i++)
        if (parts[i] == AM_ROW_TRAIN)
            parts[i] = kept[i];
    am_free(kept);
    return rc;
}

static enum am_rc check_sizes(const struct am_split_spec *s, const struct am_split_counts *c,
                              struct am_err *err)
{
    static const char *const names[] = {"training", "validation", "test"};
    const double shares[] = {1, s->validation, s->test};
    for (int p = 0; p < 3; p++) {
        if (shares[p] <= 0 || c->n[p] > 0)
            continue;
        uint64_t kept = c->n[0] + c->n[1] + c->n[2];
        enum am_rc rc = am_fail(err, AM_EINVAL, "the split leaves no row for %s (%llu rows in all)",
                                names[p], (unsigned long long)kept);
        am_hint(err, "Give more rows, or other shares with data.split: {test: 0.2, validation: "
                     "0.2}; 0 switches a part off.");
        return rc;
    }
    return AM_OK;
}

enum am_rc am_split_make(const struct am_table *t, const struct am_split_spec *s, uint8_t *parts,
                         uint64_t n_rows, struct am_split_counts *counts, struct am_err *err)
{
    struct am_split_counts leaks = {0};
    if (s->test < 0 || s->validation < 0 || !(s->test + s->validation < 1)) {
        enum am_rc rc = am_fail(
            err, AM_EUSAGE, "shares of %g for test and %g for validation leave nothing to train on",
            s->test, s->validation);
        am_hint(err, "Shares are fractions that add up to less than 1.");
        return rc;
    }
    enum am_rc rc = AM_OK;
    switch (s->by) {
    case AM_SPLIT_RANDOM:
        split_random(s, parts, n_rows);
        break;
    case AM_SPLIT_STRATIFIED:
        rc = split_stratified(t, s, parts, n_rows, err);
        break;
    case AM_SPLIT_GROUP:
        rc = split_group(t, s, parts, n_rows, err);
        break;
    case AM_SPLIT_TIME:
        rc = split_time(t, s, parts, n_rows, err);
        break;
    case AM_SPLIT_HASH:
        rc = split_hash(t, s, parts, n_rows, err);
        break;
    case AM_SPLIT_GIVEN:
        rc = split_given(t, s, parts, n_rows, err);
        break;
    }
    AM_TRY(rc);
    if (s->validation_take == AM_SPLIT_TAKE_LAST && s->by != AM_SPLIT_TIME &&
        s->by != AM_SPLIT_HASH && s->by != AM_SPLIT_GIVEN)
        take_last(s, parts, n_rows);
    struct am_split_spec found = *s;
    if (s->by == AM_SPLIT_GIVEN && s->leaks == AM_LEAKS_GROUP)
        found.leaks = AM_LEAKS_WARN; /* whoever gave the parts meant them */
    if (s->leaks != AM_LEAKS_IGNORE)
        AM_TRY(split_leaks(t, &found, parts, n_rows, &leaks, err));
    am_split_count(parts, n_rows, counts);
    counts->n_leaks = leaks.n_leaks;
    counts->n_moved = leaks.n_moved;
    counts->first_leak[0] = leaks.first_leak[0];
    counts->first_leak[1] = leaks.first_leak[1];
    return check_sizes(s, counts, err);
}

enum am_rc am_sample_rows(uint64_t n_keep, uint64_t seed, uint8_t *parts, uint64_t n_rows,
                          struct am_err *err)
{
    uint64_t left = count_kept(parts, n_rows);
    if (n_keep == 0 || left == 0) {
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "a sample of no rows out of %llu", (unsigned long long)left);
        am_hint(err, "Keep at least one row with data.sample.");
        return rc;
    }
    struct am_rng r;
    am_rng_init(&r, seed, AM_RNG_SAMPLE);
    for (uint64_t i = 0; i < n_rows; i++) {
        if (parts[i] == AM_ROW_DROPPED)
            continue;
        if (am_rng_below(&r, left--) < n_keep)
            n_keep--;
        else
            parts[i] = AM_ROW_DROPPED;
    }
    return AM_OK;
}

/* Rows in fold order: shuffled within each class (one class when random). */
static enum am_rc folds_by_class(const struct am_table *t, const struct am_split_spec *s,
                                 unsigned k, const uint8_t *parts, unsigned mask, uint16_t *fold,
                                 uint64_t n_rows, struct am_err *err)
{
    struct split_keys keys = {0};
    uint64_t *left = NULL, *need = NULL;
    enum am_rc rc = AM_OK;
    bool classes = s->by == AM_SPLIT_STRATIFIED;
    if (classes)
        AM_TRY(split_keys_read(t, s->column, parts, n_rows, SPLIT_MISSING_REFUSED, &keys, err));
    size_t n = classes ? keys.n : 1;
    left = am_calloc(n + 1, sizeof *left);
    need = am_calloc((n + 1) * k, sizeof *need);
    if (!left || !need) {
        rc = am_fail_nomem(err, n * k * sizeof *need);
        goto out;
    }
    for (uint64_t i = 0; i < n_rows; i++)
        if (AM_PART_BIT(parts[i]) & mask)
            left[classes ? keys.of[i] : 0]++;
    unsigned next = 0; /* remainders go round over the classes, so that folds stay even */
    for (size_t c = 0; c < n; c++) {
        for (unsigned f = 0; f < k; f++)
            need[c * k + f] = left[c] / k;
        for (uint64_t extra = left[c] % k; extra > 0; extra--, next = (next + 1) % k)
            need[c * k + next]++;
    }
    struct am_rng r;
    am_rng_init(&r, s->seed, AM_RNG_FOLD);
    for (uint64_t i = 0; i < n_rows; i++) {
        fold[i] = UINT16_MAX;
        if (!(AM_PART_BIT(parts[i]) & mask))
            continue;
        size_t c = classes ? keys.of[i] : 0;
        uint64_t u = am_rng_below(&r, left[c]--);
        unsigned f = 0;
        while (u >= need[c * k + f])
            u -= need[c * k + f++];
        need[c * k + f]--;
        fold[i] = (uint16_t)f;
    }
out:
    am_free(left);
    am_free(need);
    split_keys_clear(&keys);
    return rc;
}

static enum am_rc folds_by_group(const struct am_table *t, const struct am_split_spec *s,
                                 unsigned k, const uint8_t *parts, unsigned mask, uint16_t *fold,
                                 uint64_t n_rows, struct am_err *err)
{
    struct split_keys keys;
    struct ordered *order = NULL;
    AM_TRY(split_keys_read(t, s->column, parts, n_rows, SPLIT_MISSING_REFUSED, &keys, err));
    enum am_rc rc = AM_OK;
    uint16_t *of = am_calloc(keys.n + 1, sizeof *of);
    uint64_t *sizes = am_calloc(k, sizeof *sizes);
    if (!of || !sizes) {
        rc = am_fail_nomem(err, keys.n * sizeof *of);
        goto out;
    }
    if (keys.n < k) {
        rc = am_fail(err, AM_EINVAL, "column \"%.*s\" has %zu groups, %u folds need as many",
                     AM_FMT(s->column), keys.n, k);
        am_hint(err, "Use fewer folds.");
        goto out;
    }
    AM_GO(rc, order_groups(&keys, s->seed, &order, err));
    for (size_t i = 0; i < keys.n; i++) { /* each group to the smallest fold so far */
        unsigned least = 0;
        for (unsigned f = 1; f < k; f++)
            if (sizes[f] < sizes[least])
                least = f;
        of[order[i].at] = (uint16_t)least;
        sizes[least] += keys.sizes[order[i].at];
    }
    for (uint64_t i = 0; i < n_rows; i++)
        fold[i] = AM_PART_BIT(parts[i]) & mask ? of[keys.of[i]] : UINT16_MAX;
out:
    am_free(of);
    am_free(sizes);
    am_free(order);
    split_keys_clear(&keys);
    return rc;
}

static enum am_rc folds_by_time(const struct am_table *t, const struct am_split_spec *s, unsigned k,
                                const uint8_t *parts, unsigned mask, uint16_t *fold,
                                uint64_t n_rows, struct am_err *err)
{
    uint64_t *rows, n = 0, kept = 0, at = 0;
    AM_TRY(split_time_order(t, s->column, parts, n_rows, &rows, &n, err));
    for (uint64_t i = 0; i < n_rows; i++) {
        fold[i] = UINT16_MAX;
        kept += (AM_PART_BIT(parts[i]) & mask) != 0;
    }
    for (uint64_t i = 0; i < n; i++)
        if (AM_PART_BIT(parts[rows[i]]) & mask)
            fold[rows[i]] = (uint16_t)(at++ * k / kept);
    am_free(rows);
    return AM_OK;
}

enum am_rc am_split_folds(const struct am_table *t, const struct am_split_spec *s, unsigned k,
                          const uint8_t *parts, unsigned parts_mask, uint16_t *fold,
                          uint64_t n_rows, struct am_err *err)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < n_rows; i++)
        n += (AM_PART_BIT(parts[i]) & parts_mask) != 0;
    if (k < 2 || k > 1000 || k > n) {
        enum am_rc rc = am_fail(err, AM_EINVAL, "%u folds cannot be made of %llu rows", k,
                                (unsigned long long)n);
        am_hint(err, "Use 2 to 1000 folds, and at most as many as rows.");
        return rc;
    }
    switch (s->by) {
    case AM_SPLIT_GROUP:
        return folds_by_group(t, s, k, parts, parts_mask, fold, n_rows, err);
    case AM_SPLIT_TIME:
        return folds_by_time(t, s, k, parts, parts_mask, fold, n_rows, err);
    default:
        return folds_by_class(t, s, k, parts, parts_mask, fold, n_rows, err);
    }
}
