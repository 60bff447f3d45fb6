/* Signatures of rows, candidates that share a band, groups; see near.h. */
#include "pipeline/near.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/pool.h"
#include "data/split.h"
#include "feature/image.h"
#include "pipeline/prepare.h"

#define HASHES 128 /* of a text's signature */
#define BANDS 32
#define PIECE 4             /* letters */
#define BUCKET_LOOKS 16     /* rows of a bucket that a row is compared with */
#define PICTURES_MAX 200000 /* all pairs are compared */

enum by { BY_MINHASH, BY_PHASH, BY_KEY };
static const char *const names[] = {"minhash", "phash", "key"};

struct key { /* 128 bits of the key columns */
    uint64_t a, b;
};
struct entry {
    uint64_t a, b, row;
};

struct work {
    struct am_prepared *p;
    struct am_near *n;
    enum by by;
    size_t *columns, n_columns; /* arena: of the schema */
    uint16_t *signature;        /* owned [n_rows, HASHES] */
    uint64_t *picture;          /* owned [n_rows] */
    struct key *key;            /* owned [n_rows] */
    bool *some;                 /* owned [n_rows]: there is something to compare */
    uint32_t multiply[HASHES], add[HASHES];
};

static void work_clear(struct work *w)
{
    am_free(w->signature);
    am_free(w->picture);
    am_free(w->key);
    am_free(w->some);
}

/* ---- groups ---- */

static uint64_t root(const struct work *w, uint64_t row)
{
    uint64_t *f = w->n->first;
    while (f[row] != row)
        row = f[row] = f[f[row]];
    return row;
}

static void join(struct work *w, uint64_t a, uint64_t b, double similarity)
{
    const uint64_t x = root(w, a), y = root(w, b);
    struct am_near *n = w->n;
    if (x == y)
        return;
    n->first[x > y ? x : y] = x > y ? y : x;
    if (n->n_shown < AM_NEAR_SHOWN) {
        n->shown[n->n_shown].a = a < b ? a : b;
        n->shown[n->n_shown].b = a < b ? b : a;
        n->shown[n->n_shown++].similarity = similarity;
    }
}

static int by_hash(const void *x, const void *y)
{
    const struct entry *p = x, *q = y;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    if (p->b != q->b)
        return p->b < q->b ? -1 : 1;
    return (p->row > q->row) - (p->row < q->row);
}

/* ---- signatures ---- */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdull;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ull;
    return h ^ h >> 33;
}

/* The next letter of a text: ASCII in small letters, any run of blanks one space; 0 = the end.
 * Bytes that are no UTF-8 stand for themselves. */
static uint32_t next_letter(struct am_str s, size_t *at)
{
    if (*at >= s.len)
        return 0;
    uint32_t c = (unsigned char)s.ptr[(*at)++];
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
        while (*at < s.len && (s.ptr[*at] == ' ' || (s.ptr[*at] >= '\t' && s.ptr[*at] <= '\r')))
            (*at)++;
        return ' ';
    }
    if (c >= 'A' && c <= 'Z')
        return c + 32;
    for (; c >= 0xc0 && *at < s.len && ((unsigned char)s.ptr[*at] & 0xc0) == 0x80; (*at)++)
        c = c << 6 | ((unsigned char)s.ptr[*at] & 0x3f);
    return c ? c : 1;
}

struct pieces { /* the last letters */
    uint32_t letter[PIECE];
    size_t n;
};

static void add_piece(const struct work *w, uint32_t *least, const struct pieces *p)
{
    uint64_t h = 0;
    for (size_t i = 0; i < PIECE; i++)
        h = mix(h ^ (p->letter[i] + (i << 32) + 1));
    const uint32_t v = (uint32_t)h, u = (uint32_t)(h >> 32);
    for (size_t i = 0; i < HASHES; i++) {
        const uint32_t x = (v ^ w->add[i]) * w->multiply[i] + u;
        const uint32_t y = (x ^ x >> 15) * 0x2c1b3c6du;
        least[i] = y < least[i] ? y : least[i];
    }
}

static void add_text(const struct work *w, uint32_t *least, struct am_str s, bool *some)
{
    struct pieces p = {{0}, 0};
    uint32_t c;
    for (size_t at = 0; (c = next_letter(s, &at)) != 0;) {
        memmove(p.letter, p.letter + 1, (PIECE - 1) * sizeof p.letter[0]);
        p.letter[PIECE - 1] = c;
        if (++p.n >= PIECE)
            add_piece(w, least, &p);
    }
    if (p.n > 0 && p.n < PIECE)
        add_piece(w, least, &p);
    *some = *some || p.n > 0;
}

static void add_key(struct key *k, uint64_t v)
{
    k->a = mix(k->a ^ v);
    k->b = mix(k->b + (v * 0x9e3779b97f4a7c15ull) + 1);
}

static void key_text(struct key *k, struct am_str s)
{
    uint32_t c;
    for (size_t at = 0; (c = next_letter(s, &at)) != 0;)
        add_key(k, c);
    add_key(k, UINT64_MAX);
}

static void key_cell(struct key *k, const struct am_column *c, size_t i, bool *some)
{
    const bool missing = am_cell_missing(c, i);
    *some = *some || !missing;
    if (missing) {
        add_key(k, UINT64_MAX - 1);
    } else if (am_col_is_string(c->type)) {
        key_text(k, c->text[i]);
    } else {
        uint64_t v;
        const double x = c->type == AM_COL_DATE ? (double)c->date[i] : c->number[i] + 0.0;
        memcpy(&v, &x, sizeof v);
        add_key(k, v);
    }
}

static enum am_rc picture_of(struct am_str bytes, uint64_t *out, struct am_err *err)
{
    static const struct am_fimage small = {.height = 8,
                                           .width = 9,
                                           .channels = 1,
                                           .resize = AM_FR_STRETCH,
                                           .normal = AM_FN_NONE,
                                           .mul = {1, 1, 1}};
    float x[8][9];
    *out = 0;
    AM_TRY(am_fimage_apply(&small, bytes, x[0], err));
    for (size_t r = 0; r < 8; r++)
        for (size_t c = 0; c < 8; c++)
            *out = *out << 1 | (x[r][c] < x[r][c + 1]);
    return AM_OK;
}

static enum am_rc sign_row(struct work *w, const struct am_batch *b, size_t i, struct am_err *err)
{
    const uint64_t row = b->first_row + i;
    if (w->by == BY_PHASH) {
        w->some[row] = !am_cell_missing(&b->columns[0], i);
        return w->some[row] ? picture_of(b->columns[0].text[i], &w->picture[row], err) : AM_OK;
    }
    if (w->by == BY_KEY) {
        for (size_t k = 0; k < w->n_columns; k++)
            key_cell(&w->key[row], &b->columns[k], i, &w->some[row]);
        return AM_OK;
    }
    uint32_t least[HASHES];
    memset(least, 0xff, sizeof least);
    for (size_t k = 0; k < w->n_columns; k++)
        if (b->columns[k].text[i].ptr)
            add_text(w, least, b->columns[k].text[i], &w->some[row]);
    for (size_t k = 0; k < HASHES; k++)
        w->signature[row * HASHES + k] = (uint16_t)(least[k] ^ least[k] >> 16);
    return AM_OK;
}

static enum am_rc sign_all(struct work *w, struct am_err *err)
{
    struct am_prepared *p = w->p;
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    enum am_rc rc;
    AM_TRY(p->raw.ops->open(p->raw.impl, w->columns, w->n_columns, &it, err));
    for (;;) {
        AM_GO(rc, p->raw.ops->next(it, &b, err));
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows; i++)
            if (p->parts[b->first_row + i] != AM_ROW_DROPPED)
                AM_GO(rc, sign_row(w, b, i, err));
        if (am_progress_canceled(p->pl->progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled while near-duplicates were sought"));
    }
out:
    p->raw.ops->close(it);
    return rc;
}

/* ---- comparing ---- */

static double alike(const struct work *w, uint64_t a, uint64_t b)
{
    const uint16_t *x = w->signature + a * HASHES, *y = w->signature + b * HASHES;
    size_t same = 0;
    for (size_t i = 0; i < HASHES; i++)
        same += x[i] == y[i];
    return (double)same / HASHES;
}

static void look_in_bucket(struct work *w, const struct entry *e, size_t begin, size_t at)
{
    const size_t back = at - begin < BUCKET_LOOKS ? begin : at - BUCKET_LOOKS;
    for (size_t i = back; i < at; i++) {
        if (root(w, e[i].row) == root(w, e[at].row))
            continue;
        const double s = w->by == BY_KEY ? 1 : alike(w, e[i].row, e[at].row);
        if (s >= w->n->similarity)
            join(w, e[i].row, e[at].row, s);
    }
}

static void look_in_buckets(struct work *w, struct entry *e, size_t n)
{
    qsort(e, n, sizeof *e, by_hash);
    for (size_t at = 1, begin = 0; at < n; at++) {
        if (e[at].a != e[at - 1].a || e[at].b != e[at - 1].b)
            begin = at;
        look_in_bucket(w, e, begin, at);
    }
}

static enum am_rc compare_buckets(struct work *w, struct am_err *err)
{
    const uint64_t rows = w->n->n_rows;
    const size_t bands = w->by == BY_KEY ? 1 : BANDS, wide = HASHES / BANDS;
    struct entry *e = am_alloc_array((size_t)rows + 1, sizeof *e);
    if (!e)
        return am_fail_nomem(err, rows * sizeof *e);
    for (size_t band = 0; band < bands; band++) {
        size_t n = 0;
        for (uint64_t row = 0; row < rows; row++) {
            struct key k = {band, 0};
            if (!w->some[row])
                continue;
            for (size_t i = 0; w->by != BY_KEY && i < wide; i++)
                add_key(&k, w->signature[row * HASHES + band * wide + i]);
            if (w->by == BY_KEY)
                k = w->key[row];
            e[n++] = (struct entry){k.a, k.b, row};
        }
        look_in_buckets(w, e, n);
    }
    am_free(e);
    return AM_OK;
}

static void compare_pictures(struct work *w)
{
    const uint64_t rows = w->n->n_rows;
    const int most = (int)floor((1 - w->n->similarity) * 64 + 1e-9);
    for (uint64_t a = 1; a < rows; a++)
        for (uint64_t b = 0; w->some[a] && b < a; b++) {
            const int d = __builtin_popcountll(w->picture[a] ^ w->picture[b]);
            if (w->some[b] && d <= most)
                join(w, b, a, 1 - d / 64.0);
        }
}

static void count(struct work *w)
{
    struct am_near *n = w->n;
    for (uint64_t row = 0; row < n->n_rows; row++)
        n->first[row] = root(w, row);
    for (uint64_t row = 0; row < n->n_rows; row++)
        n->n_in_groups += n->first[row] != row;
    /* groups: rows that are the first of others */
    for (uint64_t row = 0; row < n->n_rows; row++)
        if (n->first[row] != row) {
            n->n_groups += w->some[n->first[row]];
            w->some[n->first[row]] = false;
        }
    n->n_in_groups += n->n_groups;
}

/* ---- the recipe's words ---- */

static bool is_text(enum am_col_type t)
{
    return t == AM_COL_TEXT || t == AM_COL_CATEGORY;
}

static enum am_rc no_columns(const char *what, struct am_err *err)
{
    am_fail(err, AM_EUSAGE, "data.near_duplicates by %s finds no column to compare", what);
    am_hint(err, "Name them in data.near_duplicates.columns: texts for minhash, one picture for "
                 "phash, any for key.");
    return AM_EUSAGE;
}

/* The columns named, else every text, else the picture. */
static void list_columns(struct work *w, const struct am_node *list, struct am_str by)
{
    const struct am_schema *s = w->p->schema;
    const size_t n = !list ? 0 : list->kind == AM_NODE_LIST ? list->list.n : 1;
    enum am_col_type want = am_str_is(by, "phash") ? AM_COL_IMAGE : AM_COL_TEXT;
    struct am_str name;
    for (size_t i = 0; i < n && w->n_columns < s->n; i++) {
        const struct am_node *item = list->kind == AM_NODE_LIST ? list->list.items[i] : list;
        const size_t at = am_node_as_str(item, &name) ? am_schema_find(s, name) : SIZE_MAX;
        if (at != SIZE_MAX)
            w->columns[w->n_columns++] = at;
    }
    for (unsigned round = 0; round < 2 && w->n_columns == 0 && !am_str_is(by, "key"); round++) {
        for (size_t i = 0; i < s->n; i++)
            if (s->columns[i].type == want && i != w->p->target_column)
                w->columns[w->n_columns++] = i;
        want = am_str_is(by, "auto") ? AM_COL_IMAGE : want;
    }
}

static enum am_rc choose_columns(struct work *w, const struct am_node *spec, struct am_err *err)
{
    const struct am_schema *s = w->p->schema;
    const struct am_str by = am_node_str(spec, "by", "auto");
    bool texts = true;
    w->columns = am_arena_array(w->p->arena, s->n + 1, sizeof *w->columns);
    AM_TRY(am_arena_check(w->p->arena, err));
    list_columns(w, am_node_get(spec, "columns"), by);
    if (w->n_columns == 0)
        return no_columns(am_arena_str(w->p->arena, by).ptr, err);
    const enum am_col_type first = s->columns[w->columns[0]].type;
    for (size_t i = 0; i < w->n_columns; i++)
        texts = texts && is_text(s->columns[w->columns[i]].type);
    w->by = first == AM_COL_IMAGE ? BY_PHASH : first == AM_COL_TEXT && texts ? BY_MINHASH : BY_KEY;
    for (unsigned i = 0; i < 3; i++)
        if (am_str_is(by, names[i]))
            w->by = (enum by)i;
    w->n_columns = w->by == BY_PHASH ? 1 : w->n_columns;
    if ((w->by == BY_PHASH && first != AM_COL_IMAGE) || (w->by == BY_MINHASH && !texts))
        return no_columns(names[w->by], err);
    return AM_OK;
}

static enum am_rc fail_rows(const struct work *w, uint64_t most, struct am_err *err)
{
    am_fail(err, AM_ELIMIT, "data.near_duplicates by %s holds at most %llu rows, there are %llu",
            names[w->by], (unsigned long long)most, (unsigned long long)w->n->n_rows);
    am_hint(err, "Raise --memory, compare by key, or drop exact duplicates alone with data.clean: "
                 "{duplicates: drop}.");
    return AM_ELIMIT;
}

static enum am_rc make_room(struct work *w, struct am_err *err)
{
    const uint64_t n = w->n->n_rows, memory = w->p->pl->memory_limit_bytes / 2;
    const uint64_t row = (w->by == BY_MINHASH ? HASHES * sizeof(uint16_t) : sizeof(struct key)) +
                         sizeof(struct entry) + sizeof(uint64_t) + 1;
    const uint64_t most = w->by == BY_PHASH ? PICTURES_MAX : memory ? memory / row : UINT64_MAX;
    if (n > most)
        return fail_rows(w, most, err);
    w->some = am_calloc((size_t)n + 1, sizeof *w->some);
    w->n->first = am_alloc_array((size_t)n + 1, sizeof *w->n->first);
    if (w->by == BY_MINHASH)
        w->signature = am_alloc_array((size_t)n + 1, HASHES * sizeof *w->signature);
    else if (w->by == BY_PHASH)
        w->picture = am_calloc((size_t)n + 1, sizeof *w->picture);
    else
        w->key = am_calloc((size_t)n + 1, sizeof *w->key);
    if (!w->some || !w->n->first || (!w->signature && !w->picture && !w->key))
        return am_fail_nomem(err, n * row);
    for (uint64_t i = 0; i < n; i++)
        w->n->first[i] = i;
    for (size_t i = 0; i < HASHES; i++) {
        w->multiply[i] = (uint32_t)mix(2 * i + 1) | 1;
        w->add[i] = (uint32_t)mix(2 * i + 2);
    }
    return AM_OK;
}

enum am_rc am_near_find(struct am_prepared *p, struct am_err *err)
{
    static const char *const actions[] = {"keep", "drop", "group"};
    const struct am_node *spec = am_node_path(p->recipe.resolved, "data.near_duplicates");
    struct work w = {.p = p};
    enum am_rc rc;
    if (!spec || spec->kind != AM_NODE_MAP || spec->map.n == 0)
        return AM_OK;
    struct am_near *n = am_calloc(1, sizeof *n);
    if (!n)
        return am_fail_nomem(err, sizeof *n);
    w.n = n;
    n->n_rows = p->n_rows;
    n->similarity = 0.9;
    n->action = AM_NEAR_GROUP;
    (void)am_node_as_f64(am_node_get(spec, "similarity"), &n->similarity);
    for (unsigned i = 0; i < 3; i++)
        if (am_str_is(am_node_str(spec, "action", "group"), actions[i]))
            n->action = (enum am_near_action)i;
    AM_GO(rc, choose_columns(&w, spec, err));
    n->by = names[w.by];
    AM_GO(rc, make_room(&w, err));
    AM_GO(rc, sign_all(&w, err));
    if (w.by == BY_PHASH)
        compare_pictures(&w);
    else
        AM_GO(rc, compare_buckets(&w, err));
    count(&w);
    for (uint64_t i = 0; n->action == AM_NEAR_DROP && i < n->n_rows; i++)
        if (n->first[i] != i) {
            p->parts[i] = AM_ROW_DROPPED;
            n->n_dropped++;
        }
    p->near = n;
out:
    work_clear(&w);
    if (rc != AM_OK)
        am_near_free(n);
    return rc;
}

enum am_rc am_near_apply(struct am_prepared *p, struct am_err *err)
{
    struct am_near *n = p->near;
    uint64_t a = 0, b = 0;
    if (!n)
        return AM_OK;
    for (uint64_t i = 0; i < n->n_rows; i++) {
        const uint64_t f = n->first[i];
        if (f == i || p->parts[i] == p->parts[f] || p->parts[i] == AM_ROW_DROPPED ||
            p->parts[f] == AM_ROW_DROPPED)
            continue;
        if (n->n_leaks++ == 0) {
            a = f;
            b = i;
        }
        if (n->action == AM_NEAR_GROUP) {
            p->parts[i] = p->parts[f];
            n->n_moved++;
        }
    }
    if (n->n_leaks == 0 || n->action != AM_NEAR_KEEP || p->split.leaks != AM_LEAKS_ERROR)
        return AM_OK;
    am_fail(err, AM_EINVAL,
            "%llu rows of one part are nearly equal to rows of another: first rows %llu and %llu",
            (unsigned long long)n->n_leaks, (unsigned long long)a + 1, (unsigned long long)b + 1);
    am_hint(err, "Say data.near_duplicates.action: group or drop.");
    return AM_EINVAL;
}

void am_near_fold(const struct am_near *n, uint16_t *of, uint16_t none)
{
    for (uint64_t i = 0; n && n->action == AM_NEAR_GROUP && i < n->n_rows; i++)
        if (n->first[i] != i && of[i] != none && of[n->first[i]] != none)
            of[i] = of[n->first[i]];
}

struct am_node *am_near_to_node(const struct am_near *n, struct am_arena *a)
{
    static const char *const actions[] = {"keep", "drop", "group"};
    struct am_node *m = am_new_map(a), *list = am_new_list(a);
    am_node_set(a, m, "by", am_new_cstr(a, n->by));
    am_node_set(a, m, "similarity", am_new_f64(a, n->similarity));
    am_node_set(a, m, "action", am_new_cstr(a, actions[n->action]));
    am_node_set(a, m, "groups", am_new_i64(a, (int64_t)n->n_groups));
    am_node_set(a, m, "rows", am_new_i64(a, (int64_t)n->n_in_groups));
    am_node_set(a, m, "dropped", am_new_i64(a, (int64_t)n->n_dropped));
    am_node_set(a, m, "moved", am_new_i64(a, (int64_t)n->n_moved));
    am_node_set(a, m, "leaks", am_new_i64(a, (int64_t)n->n_leaks));
    for (size_t i = 0; i < n->n_shown; i++) {
        struct am_node *pair = am_new_map(a), *rows = am_new_list(a);
        am_node_push(a, rows, am_new_i64(a, (int64_t)n->shown[i].a + 1));
        am_node_push(a, rows, am_new_i64(a, (int64_t)n->shown[i].b + 1));
        am_node_set(a, pair, "rows", rows);
        am_node_set(a, pair, "similarity", am_new_f64(a, n->shown[i].similarity));
        am_node_push(a, list, pair);
    }
    am_node_set(a, m, "pairs", list);
    return m;
}

void am_near_free(struct am_near *n)
{
    if (!n)
        return;
    am_free(n->first);
    am_free(n);
}
