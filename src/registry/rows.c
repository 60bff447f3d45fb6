/* Rows to trees and trees to rows: what every noun of the registry shares. No state of its own;
 * texts live in the caller's arena. */
#include <errno.h>
#include <math.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/num.h"
#include "registry/registry_int.h"

/* ---- reading ---- */

struct collect {
    struct am_arena *a;
    size_t n_columns;
    struct reg_row **tail;
};

static enum am_rc collect_row(void *ctx, const struct am_value *values, struct am_err *err)
{
    struct collect *c = ctx;
    struct reg_row *row =
        am_arena_alloc(c->a, sizeof *row + c->n_columns * sizeof(struct am_value));
    if (!row)
        return am_fail_nomem(err, sizeof *row);
    row->next = NULL;
    for (size_t i = 0; i < c->n_columns; i++) {
        row->v[i] = values[i];
        if (values[i].text.ptr) {
            row->v[i].text = am_arena_str(c->a, values[i].text);
            if (!row->v[i].text.ptr)
                return am_fail_nomem(err, values[i].text.len);
        }
    }
    *c->tail = row;
    c->tail = &row->next;
    return AM_OK;
}

enum am_rc reg_select(const struct am_snapshot *s, struct am_arena *a, const struct am_query *q,
                      struct reg_row **out, struct am_err *err)
{
    struct collect c = {a, q->n_columns + q->n_computed, out};
    *out = NULL;
    return am_snapshot_select(s, q, collect_row, &c, err);
}

enum am_rc reg_select_list(const struct am_snapshot *s, struct am_arena *a,
                           enum am_registry_kind kind, const struct am_registry_list *l,
                           const char *const *columns, size_t n_columns, struct reg_row **out,
                           int64_t *total, struct am_err *err)
{
    static const struct am_registry_list all = {0};
    const struct am_entity *e = &am_registry_entities[kind];
    struct am_order order[AM_FILTER_ORDERS];
    const struct am_cond *where = NULL;
    size_t n_order = 0;
    if (!l)
        l = &all;
    if (l->limit < 0 || l->limit > AM_LIMIT_LIST_ROWS || l->offset < 0)
        return am_fail(err, AM_EUSAGE, "a list of %lld rows from %lld, at most %d from 0 allowed",
                       (long long)l->limit, (long long)l->offset, AM_LIMIT_LIST_ROWS);
    AM_TRY(am_filter_parse(a, am_str(l->filter), kind, &where, err));
    AM_TRY(am_order_parse(a, am_str(l->order_by), kind, order, &n_order, err));
    const struct am_cond *both = where && e->listed ? REG_AND(e->listed, where) : NULL;
    where = both ? both : where ? where : e->listed;
    if (n_order == 0)
        order[n_order++] = (struct am_order){.column = "seq", .descending = true};
    struct am_query q = {.table = e->table,
                         .columns = columns,
                         .n_columns = n_columns,
                         .computed = e->computed,
                         .n_computed = e->n_computed,
                         .where = where,
                         .order = order,
                         .n_order = n_order,
                         .limit = l->limit ? l->limit : 100,
                         .offset = l->offset};
    AM_TRY(am_snapshot_count(s, e->table, where, total, err));
    return reg_select(s, a, &q, out, err);
}

const char *reg_text(const struct am_value *v)
{
    return v->kind == AM_VALUE_TEXT ? v->text.ptr : NULL;
}

struct am_node *reg_node(struct am_arena *a, const struct am_value *v)
{
    switch (v->kind) {
    case AM_VALUE_INT:
        return am_new_i64(a, v->i);
    case AM_VALUE_REAL:
        return am_new_f64(a, v->r);
    case AM_VALUE_TEXT:
        return am_new_str(a, v->text);
    default:
        return am_new_null(a);
    }
}

struct am_node *reg_time(struct am_arena *a, const struct am_value *v)
{
    char text[24];
    if (v->kind != AM_VALUE_INT)
        return am_new_null(a);
    am_time_iso(v->i, text);
    return am_new_cstr(a, text);
}

enum am_rc reg_json(struct am_arena *a, const struct am_value *v, const char *what,
                    struct am_node **out, struct am_err *err)
{
    *out = am_new_null(a);
    if (v->kind != AM_VALUE_TEXT)
        return am_arena_check(a, err);
    return am_json_parse(a, v->text, what, out, err);
}

enum am_rc reg_pairs(const struct am_snapshot *s, struct am_arena *a, const char *table,
                     const char *kind, const char *ref, struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_order by_key = {.column = "key"};
    struct am_query q = {.table = table,
                         REG_COLUMNS("key", "value"),
                         .where = REG_KIND_REF(kind, ref),
                         .order = &by_key,
                         .n_order = 1,
                         .limit = -1};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_map(a);
    for (; rows; rows = rows->next)
        am_node_set_str(a, *out, rows->v[0].text, reg_node(a, &rows->v[1]));
    return am_arena_check(a, err);
}

/* ---- what hangs on the rows of a list ---- */

enum am_rc reg_many_new(struct am_arena *a, const struct reg_row *rows, struct reg_many *out,
                        struct am_err *err)
{
    *out = (struct reg_many){0};
    for (const struct reg_row *row = rows; row; row = row->next)
        out->cap++;
    out->ids = am_arena_array(a, out->cap + 1, sizeof *out->ids);
    out->nodes = am_arena_array(a, out->cap + 1,
                                sizeof *out->nodes); /* NOLINT(bugprone-sizeof-expression) */
    out->keys = out->ids;
    return am_arena_check(a, err);
}

enum am_rc reg_many_answer(struct am_arena *a, const struct reg_many *m, const char *name,
                           int64_t total, struct am_node **out, struct am_err *err)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < m->n; i++)
        am_node_push(a, list, m->nodes[i]);
    *out = am_new_map(a);
    am_node_set(a, *out, name, list);
    am_node_set(a, *out, "total", am_new_i64(a, total));
    return am_arena_check(a, err);
}

void reg_many_add(struct reg_many *m, struct am_str id, struct am_node *node)
{
    m->ids[m->n] = id;
    m->nodes[m->n++] = node;
}

struct hang {
    struct am_arena *a;
    const struct reg_hanging *h;
    const struct am_map *by_id; /* id -> first node of that id */
    struct am_node **fields;
};

static enum am_rc hang_row(void *ctx, const struct am_value *v, struct am_err *err)
{
    struct hang *c = ctx;
    struct am_str key = c->h->key ? c->h->key(c->a, v) : v[0].text;
    const uint64_t *at = key.ptr ? am_map_get(c->by_id, key) : NULL;
    if (at)
        c->h->take(c->a, c->fields[*at], v);
    return am_arena_check(c->a, err);
}

enum am_rc reg_hang(const struct am_snapshot *s, struct am_arena *a, const struct reg_many *m,
                    const struct reg_hanging *h, const char *field, enum am_node_kind kind,
                    struct am_err *err)
{
    struct am_map by_id;
    enum am_rc rc = AM_OK;
    struct am_order order[] = {{.column = h->ref},
                               {.column = h->order}}; /* as the index has them */
    struct am_value values[REG_MANY_AT_ONCE];
    struct am_node **fields = am_arena_array(
        a, m->n + 1, sizeof *fields); /* NOLINT(bugprone-sizeof-expression): pointers */
    AM_TRY(am_arena_check(a, err));
    am_map_init(&by_id);
    for (size_t i = 0; i < m->n; i++) {
        fields[i] = kind == AM_NODE_MAP ? am_new_map(a) : am_new_list(a);
        am_node_set(a, m->nodes[i], field, fields[i]);
        AM_GO(rc, am_map_put(&by_id, m->keys[i], i, err));
    }
    AM_GO(rc, am_arena_check(a, err));
    struct hang ctx = {a, h, &by_id, fields};
    for (size_t from = 0; from < m->n; from += REG_MANY_AT_ONCE) {
        size_t n = m->n - from < REG_MANY_AT_ONCE ? m->n - from : REG_MANY_AT_ONCE;
        for (size_t i = 0; i < n; i++)
            values[i] = am_v_str(m->ids[from + i]);
        const struct am_cond *in = &(const struct am_cond){.kind = AM_COND_CMP,
                                                           .column = h->ref,
                                                           .op = AM_CMP_IN,
                                                           .values = values,
                                                           .n_values = n};
        const struct am_cond *both = REG_AND(REG_EQ("kind", am_v_text(h->kind ? h->kind : "")), in);
        struct am_query q = {.table = h->table,
                             .columns = h->columns,
                             .n_columns = h->n_columns,
                             .where = h->kind ? both : in,
                             .order = order,
                             .n_order = 2,
                             .limit = -1};
        AM_GO(rc, am_snapshot_select(s, &q, hang_row, &ctx, err));
    }
out:
    am_map_clear(&by_id);
    return rc;
}

static void take_pair(struct am_arena *a, struct am_node *field, const struct am_value *v)
{
    am_node_set_str(a, field, v[1].text, reg_node(a, &v[2]));
}

enum am_rc reg_hang_pairs(const struct am_snapshot *s, struct am_arena *a, const struct reg_many *m,
                          const char *table, const char *kind, const char *field,
                          struct am_err *err)
{
    const char *ref = kind ? "ref" : "run";
    const char *const columns[] = {ref, "key", "value"};
    const struct reg_hanging h = {.table = table,
                                  .kind = kind,
                                  .ref = ref,
                                  .columns = columns,
                                  .n_columns = sizeof columns / sizeof *columns,
                                  .order = "key",
                                  .take = take_pair};
    return reg_hang(s, a, m, &h, field, AM_NODE_MAP, err);
}

/* ---- writing ---- */

enum am_rc reg_json_text(struct am_arena *a, const struct am_node *n, struct am_value *out,
                         struct am_err *err)
{
    struct am_buf buf;
    *out = am_v_null();
    if (!n)
        return AM_OK;
    am_buf_init(&buf, AM_LIMIT_JSON_BYTES);
    am_node_to_json(n, AM_JSON_COMPACT, &buf);
    enum am_rc rc = am_buf_check(&buf, err);
    if (rc == AM_OK) {
        *out = am_v_str(am_arena_str(a, am_buf_view(&buf)));
        rc = am_arena_check(a, err);
    }
    am_buf_clear(&buf);
    return rc;
}

void reg_new_id(char out[AM_REGISTRY_ID])
{
    unsigned char b[16];
    size_t n = 0;
    while (n < sizeof b) {
        ssize_t k = getrandom(b + n, sizeof b - n, 0);
        if (k > 0)
            n += (size_t)k;
    }
    for (size_t i = 0; i < sizeof b; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", b[i]);
}

enum am_rc reg_check_key(struct am_str key, const char *what, struct am_err *err)
{
    bool good = key.ptr && key.len >= 1 && key.len <= AM_LIMIT_TAG_KEY_BYTES && am_utf8_valid(key);
    for (size_t i = 0; good && i < key.len; i++)
        good = (unsigned char)key.ptr[i] >= 0x20 && key.ptr[i] != 0x7f;
    if (!good)
        return am_fail(err, AM_EINVAL,
                       "%s: a key of %zu bytes \"%.*s\"; 1 to %d bytes of UTF-8 without control "
                       "characters allowed",
                       what, key.len, (int)(key.len > 40 ? 40 : key.len), key.ptr ? key.ptr : "",
                       AM_LIMIT_TAG_KEY_BYTES);
    return AM_OK;
}

static enum am_rc add_pair(struct am_arena *a, struct am_str key, struct am_str text, double number,
                           const char *what, struct reg_flat *out, struct am_err *err)
{
    AM_TRY(reg_check_key(key, what, err));
    if (text.len > AM_LIMIT_TAG_VALUE_BYTES || !am_utf8_valid(text))
        return am_fail(err, AM_EINVAL,
                       "%s: value of \"%.*s\" has %zu bytes, at most %d of UTF-8 allowed", what,
                       AM_FMT(key), text.len, AM_LIMIT_TAG_VALUE_BYTES);
    if (out->n == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 32;
        struct reg_pair *more = am_arena_array(a, cap, sizeof *more);
        if (!more)
            return am_fail_nomem(err, cap * sizeof *more);
        if (out->n)
            memcpy(more, out->pairs, out->n * sizeof *more);
        out->pairs = more;
        out->cap = cap;
    }
    if (out->n >= 10000)
        return am_fail(err, AM_ELIMIT, "%s: more than 10000 keys", what);
    out->pairs[out->n++] =
        (struct reg_pair){am_arena_str(a, key).ptr, am_arena_str(a, text), number};
    return am_arena_check(a, err);
}

static enum am_rc flat_leaf(struct am_arena *a, struct am_str key, const struct am_node *n,
                            const char *what, struct reg_flat *out, struct am_err *err)
{
    double number = NAN;
    struct am_str text;
    struct am_buf buf;
    (void)am_node_as_f64(n, &number);
    if (n->kind == AM_NODE_BOOL)
        number = NAN;
    if (am_node_as_str(n, &text)) {
        if (isnan(number) && !am_parse_double(text, AM_NUM_FINITE, &number))
            number = NAN;
        return add_pair(a, key, text, number, what, out, err);
    }
    if (n->kind == AM_NODE_REAL && !isfinite(n->real)) {
        char digits[AM_DOUBLE_CHARS];
        am_print_double(n->real, digits);
        return add_pair(a, key, am_str(digits), n->real, what, out, err);
    }
    am_buf_init(&buf, AM_LIMIT_TAG_VALUE_BYTES + 1);
    am_node_to_json(n, AM_JSON_COMPACT, &buf);
    enum am_rc rc = am_buf_check(&buf, err);
    if (rc == AM_OK)
        rc = add_pair(a, key, am_buf_view(&buf), number, what, out, err);
    am_buf_clear(&buf);
    return rc;
}

static enum am_rc flat_map(struct am_arena *a, struct am_str prefix, const struct am_node *n,
                           const char *what, unsigned depth, struct reg_flat *out,
                           struct am_err *err)
{
    if (depth > 16)
        return am_fail(err, AM_ELIMIT, "%s: maps nested more than 16 deep", what);
    for (size_t i = 0; i < n->map.n; i++) {
        const struct am_pair *p = &n->map.pairs[i];
        struct am_str key = p->key;
        if (prefix.len)
            key = am_arena_printf(a, "%.*s.%.*s", AM_FMT(prefix), AM_FMT(p->key));
        AM_TRY(am_arena_check(a, err));
        if (p->value->kind == AM_NODE_MAP)
            AM_TRY(flat_map(a, key, p->value, what, depth + 1, out, err));
        else if (!am_node_is_null(p->value))
            AM_TRY(flat_leaf(a, key, p->value, what, out, err));
    }
    return AM_OK;
}

enum am_rc reg_flatten(struct am_arena *a, const struct am_node *n, const char *what,
                       struct reg_flat *out, struct am_err *err)
{
    *out = (struct reg_flat){0};
    if (!n)
        return AM_OK;
    if (n->kind != AM_NODE_MAP)
        return am_fail(err, AM_EINVAL, "%s: a map is expected", what);
    return flat_map(a, AM_STR(""), n, what, 0, out, err);
}

const struct am_value *reg_tag_rows(struct am_arena *a, const char *kind, const char *ref,
                                    const struct reg_flat *f)
{
    struct am_value *v = am_arena_array(a, f->n ? f->n : 1, 4 * sizeof *v);
    for (size_t i = 0; v && i < f->n; i++) {
        v[4 * i] = am_v_text(kind);
        v[4 * i + 1] = am_v_text(ref);
        v[4 * i + 2] = am_v_text(f->pairs[i].key);
        v[4 * i + 3] = am_v_str(f->pairs[i].text);
    }
    return v;
}

const struct am_value *reg_metric_rows(struct am_arena *a, const char *kind, const char *ref,
                                       const struct reg_flat *f, int64_t at_us)
{
    struct am_value *v = am_arena_array(a, f->n ? f->n : 1, 5 * sizeof *v);
    for (size_t i = 0; v && i < f->n; i++) {
        v[5 * i] = am_v_text(kind);
        v[5 * i + 1] = am_v_text(ref);
        v[5 * i + 2] = am_v_text(f->pairs[i].key);
        v[5 * i + 3] = am_v_real(f->pairs[i].number);
        v[5 * i + 4] = am_v_int(at_us);
    }
    return v;
}
