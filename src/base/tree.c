/* Trees: lookups, typed reads and builders. The printers are in print.c, the parsers in json.c and
 * yaml.c.
 *
 * A map of more than LINEAR_MAX keys carries an index behind its pairs (the arrays' capacity is a
 * power of two, the index has twice as many slots). Recursion is bounded by MAX_DEPTH. One thread
 * at a time. */
#include "base/tree.h"

#include <assert.h>
#include <math.h>

#include "base/limits.h"
#include "base/num.h"

#define LINEAR_MAX 8
#define MAX_DEPTH (2 * AM_LIMIT_JSON_DEPTH)

/* ---- lookups ---- */

static uint32_t *index_of(const struct am_node *m)
{
    return (uint32_t *)(m->map.pairs + m->map.cap);
}

/* The slot of the key, or the empty one where it would go. */
static size_t find_slot(const struct am_node *m, struct am_str key)
{
    const uint32_t *slots = index_of(m);
    size_t mask = 2 * m->map.cap - 1;
    size_t i = (size_t)am_str_hash_secret(key) & mask;
    while (slots[i] && !am_str_eq(m->map.pairs[slots[i] - 1].key, key))
        i = (i + 1) & mask;
    return i;
}

static struct am_pair *find_pair(const struct am_node *m, struct am_str key)
{
    if (m->map.cap > LINEAR_MAX) {
        uint32_t at = index_of(m)[find_slot(m, key)];
        return at ? &m->map.pairs[at - 1] : NULL;
    }
    for (size_t i = 0; i < m->map.n; i++)
        if (am_str_eq(m->map.pairs[i].key, key))
            return &m->map.pairs[i];
    return NULL;
}

struct am_node *am_node_get_str(const struct am_node *m, struct am_str key)
{
    if (!m || m->kind != AM_NODE_MAP)
        return NULL;
    const struct am_pair *p = find_pair(m, key);
    return p ? p->value : NULL;
}

struct am_node *am_node_get(const struct am_node *m, const char *key)
{
    return am_node_get_str(m, am_str(key));
}

struct am_node *am_node_path(const struct am_node *m, const char *dotted)
{
    for (;;) {
        size_t n = strcspn(dotted, ".");
        struct am_node *next = am_node_get_str(m, (struct am_str){dotted, n});
        if (!next || dotted[n] == '\0')
            return next;
        m = next;
        dotted += n + 1;
    }
}

/* ---- typed reads ---- */

bool am_node_is_null(const struct am_node *n)
{
    if (!n || n->kind == AM_NODE_NULL)
        return true;
    return n->kind == AM_NODE_TEXT && n->plain &&
           (n->text.len == 0 || am_str_is(n->text, "null") || am_str_is(n->text, "~"));
}

bool am_node_as_bool(const struct am_node *n, bool *out)
{
    if (n && n->kind == AM_NODE_BOOL) {
        *out = n->boolean;
        return true;
    }
    if (!n || n->kind != AM_NODE_TEXT || !n->plain)
        return false;
    bool yes = am_str_is(n->text, "true");
    if (!yes && !am_str_is(n->text, "false"))
        return false;
    *out = yes;
    return true;
}

/* Plain text that may be a number: 007 is not one (YAML 1.1 would read it as octal, others as 7).
 */
static bool number_like(const struct am_node *n)
{
    if (n->kind != AM_NODE_TEXT || !n->plain)
        return false;
    struct am_str s = n->text;
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
        s.ptr++;
        s.len--;
    }
    return !(s.len > 1 && s.ptr[0] == '0' && s.ptr[1] >= '0' && s.ptr[1] <= '9');
}

bool am_node_as_f64(const struct am_node *n, double *out)
{
    if (!n)
        return false;
    if (n->kind == AM_NODE_INT) {
        *out = (double)n->integer;
        return true;
    }
    if (n->kind == AM_NODE_REAL) {
        *out = n->real;
        return true;
    }
    return number_like(n) && am_parse_double(n->text, AM_NUM_FINITE, out);
}

bool am_node_as_i64(const struct am_node *n, int64_t *out)
{
    double d;
    if (!n)
        return false;
    if (n->kind == AM_NODE_INT) {
        *out = n->integer;
        return true;
    }
    if (number_like(n) && am_parse_i64(n->text, out))
        return true;
    /* 1e5 and 3.0 are whole, too; up to 2^53 a double is exact */
    if (!am_node_as_f64(n, &d) || !(fabs(d) <= 0x1p53) || d != floor(d))
        return false;
    *out = (int64_t)d;
    return true;
}

bool am_node_as_str(const struct am_node *n, struct am_str *out)
{
    if (!n || n->kind != AM_NODE_TEXT || am_node_is_null(n))
        return false;
    *out = n->text;
    return true;
}

double am_node_f64(const struct am_node *m, const char *key, double otherwise)
{
    double v;
    return am_node_as_f64(am_node_get(m, key), &v) ? v : otherwise;
}

int64_t am_node_i64(const struct am_node *m, const char *key, int64_t otherwise)
{
    int64_t v;
    return am_node_as_i64(am_node_get(m, key), &v) ? v : otherwise;
}

bool am_node_bool(const struct am_node *m, const char *key, bool otherwise)
{
    bool v;
    return am_node_as_bool(am_node_get(m, key), &v) ? v : otherwise;
}

struct am_str am_node_str(const struct am_node *m, const char *key, const char *otherwise)
{
    struct am_str v;
    return am_node_as_str(am_node_get(m, key), &v) ? v : am_str(otherwise);
}

/* ---- builders ---- */

static struct am_node *new_node(struct am_arena *a, enum am_node_kind kind)
{
    struct am_node *n = am_arena_zalloc(a, sizeof *n);
    if (n)
        n->kind = kind;
    return n;
}

struct am_node *am_new_null(struct am_arena *a)
{
    return new_node(a, AM_NODE_NULL);
}

struct am_node *am_new_bool(struct am_arena *a, bool v)
{
    struct am_node *n = new_node(a, AM_NODE_BOOL);
    if (n)
        n->boolean = v;
    return n;
}

struct am_node *am_new_i64(struct am_arena *a, int64_t v)
{
    struct am_node *n = new_node(a, AM_NODE_INT);
    if (n)
        n->integer = v;
    return n;
}

struct am_node *am_new_f64(struct am_arena *a, double v)
{
    struct am_node *n = new_node(a, AM_NODE_REAL);
    if (n)
        n->real = v;
    return n;
}

struct am_node *am_new_str(struct am_arena *a, struct am_str v)
{
    if (!v.ptr)
        return am_new_null(a);
    struct am_node *n = new_node(a, AM_NODE_TEXT);
    if (!n)
        return NULL;
    n->text = am_arena_str(a, v);
    return n->text.ptr ? n : NULL;
}

struct am_node *am_new_cstr(struct am_arena *a, const char *v)
{
    return am_new_str(a, am_str(v));
}
struct am_node *am_new_list(struct am_arena *a)
{
    return new_node(a, AM_NODE_LIST);
}
struct am_node *am_new_map(struct am_arena *a)
{
    return new_node(a, AM_NODE_MAP);
}

void am_node_push(struct am_arena *a, struct am_node *list, struct am_node *v)
{
    if (!list || !v)
        return;
    assert(list->kind == AM_NODE_LIST);
    if (list->list.n == list->list.cap) {
        size_t cap = list->list.cap ? list->list.cap * 2 : 4;
        struct am_node **items = am_arena_array(a, cap, sizeof(struct am_node *));
        if (!items)
            return;
        if (list->list.n)
            /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
            memcpy(items, list->list.items, list->list.n * sizeof *items);
        list->list.items = items;
        list->list.cap = cap;
    }
    list->list.items[list->list.n++] = v;
}

static bool grow_map(struct am_arena *a, struct am_node *m)
{
    size_t cap = m->map.cap ? m->map.cap * 2 : 4;
    size_t each = sizeof(struct am_pair) + (cap > LINEAR_MAX ? 2 * sizeof(uint32_t) : 0);
    struct am_pair *pairs = am_arena_array(a, cap, each);
    if (!pairs)
        return false;
    if (m->map.n)
        memcpy(pairs, m->map.pairs, m->map.n * sizeof *pairs);
    m->map.pairs = pairs;
    m->map.cap = cap;
    for (size_t i = 0; cap > LINEAR_MAX && i < m->map.n; i++)
        index_of(m)[find_slot(m, pairs[i].key)] = (uint32_t)(i + 1);
    return true;
}

/* key stays where it is */
static void add_pair(struct am_arena *a, struct am_node *m, struct am_pair pair)
{
    if (m->map.n == m->map.cap && !grow_map(a, m))
        return;
    size_t slot = m->map.cap > LINEAR_MAX ? find_slot(m, pair.key) : 0;
    m->map.pairs[m->map.n++] = pair;
    if (m->map.cap > LINEAR_MAX)
        index_of(m)[slot] = (uint32_t)m->map.n;
}

void am_node_set(struct am_arena *a, struct am_node *map, const char *key, struct am_node *v)
{
    if (!map || !v || !key)
        return;
    assert(map->kind == AM_NODE_MAP);
    struct am_pair *old = find_pair(map, am_str(key));
    if (old)
        old->value = v;
    else
        add_pair(a, map, (struct am_pair){.key = am_str(key), .value = v});
}

void am_node_set_str(struct am_arena *a, struct am_node *map, struct am_str key, struct am_node *v)
{
    if (!map || !v)
        return;
    assert(map->kind == AM_NODE_MAP);
    struct am_pair *old = find_pair(map, key);
    if (old) {
        old->value = v;
        return;
    }
    struct am_str copy = am_arena_str(a, key);
    if (copy.ptr)
        add_pair(a, map, (struct am_pair){.key = copy, .value = v});
}

static struct am_node *copy_node(struct am_arena *a, const struct am_node *n, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return am_arena_alloc(a, SIZE_MAX); /* over the limit: fails, and sticks */
    struct am_node *c = new_node(a, n->kind);
    if (!c)
        return NULL;
    switch (n->kind) {
    case AM_NODE_TEXT:
        *c = *n;
        c->text = am_arena_str(a, n->text);
        break;
    case AM_NODE_LIST:
        for (size_t i = 0; i < n->list.n; i++)
            am_node_push(a, c, copy_node(a, n->list.items[i], depth + 1));
        break;
    case AM_NODE_MAP:
        for (size_t i = 0; i < n->map.n; i++) {
            struct am_pair p = n->map.pairs[i];
            p.key = am_arena_str(a, p.key);
            p.value = copy_node(a, p.value, depth + 1);
            if (p.key.ptr && p.value)
                add_pair(a, c, p);
        }
        break;
    default:
        *c = *n;
    }
    c->line = n->line;
    c->column = n->column;
    return c;
}

struct am_node *am_node_copy(struct am_arena *a, const struct am_node *n)
{
    return n ? copy_node(a, n, 0) : NULL;
}
