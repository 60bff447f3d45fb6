/* Trees: lookups, typed reads, builders and printers. Recursion only over trees whose depth the parsers
 * have bounded (AM_LIMIT_JSON_DEPTH), or which our own code built. */
#include "base/tree.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"

struct am_node *am_node_get_str(const struct am_node *m, struct am_str key)
{
    if (!m || m->kind != AM_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < m->map.n; i++)
        if (am_str_eq(m->map.pairs[i].key, key))
            return m->map.pairs[i].value;
    return NULL;
}

struct am_node *am_node_get(const struct am_node *m, const char *key)
{
    return am_node_get_str(m, am_str(key));
}

struct am_node *am_node_path(const struct am_node *m, const char *dotted)
{
    const struct am_node *at = m;
    for (const char *p = dotted; at;) {
        size_t n = strcspn(p, ".");
        struct am_node *next = am_node_get_str(at, (struct am_str){p, n});
        if (!p[n])
            return next;
        at = next;
        p += n + 1;
    }
    return NULL;
}

bool am_node_is_null(const struct am_node *n)
{
    if (!n || n->kind == AM_NODE_NULL)
        return true;
    return n->kind == AM_NODE_TEXT && n->plain &&
           (n->text.len == 0 || am_str_is(n->text, "null") || am_str_is(n->text, "~"));
}

bool am_node_as_bool(const struct am_node *n, bool *out)
{
    if (!n)
        return false;
    if (n->kind == AM_NODE_BOOL)
        return *out = n->boolean, true;
    if (n->kind == AM_NODE_TEXT && n->plain && (am_str_is(n->text, "true") || am_str_is(n->text, "false")))
        return *out = n->text.len == 4, true;
    return false;
}

bool am_node_as_i64(const struct am_node *n, int64_t *out)
{
    double d;
    if (!n)
        return false;
    if (n->kind == AM_NODE_INT)
        return *out = n->integer, true;
    if (n->kind == AM_NODE_TEXT && n->plain && am_parse_i64(n->text, out))
        return true;
    if (am_node_as_f64(n, &d) && d == floor(d) && fabs(d) < 9.0e15) /* 1e5 is whole, too */
        return *out = (int64_t)d, true;
    return false;
}

bool am_node_as_f64(const struct am_node *n, double *out)
{
    if (!n)
        return false;
    switch (n->kind) {
    case AM_NODE_INT:
        return *out = (double)n->integer, true;
    case AM_NODE_REAL:
        return *out = n->real, true;
    case AM_NODE_TEXT:
        return n->plain && am_parse_double(n->text, AM_NUM_FINITE, out);
    default:
        return false;
    }
}

bool am_node_as_str(const struct am_node *n, struct am_str *out)
{
    if (!n || n->kind != AM_NODE_TEXT || (n->plain && am_node_is_null(n)))
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

static struct am_node *node_new(struct am_arena *a, enum am_node_kind kind)
{
    struct am_node *n = am_arena_zalloc(a, sizeof *n);
    if (n)
        n->kind = kind;
    return n;
}

struct am_node *am_new_null(struct am_arena *a) { return node_new(a, AM_NODE_NULL); }

struct am_node *am_new_bool(struct am_arena *a, bool v)
{
    struct am_node *n = node_new(a, AM_NODE_BOOL);
    if (n)
        n->boolean = v;
    return n;
}

struct am_node *am_new_i64(struct am_arena *a, int64_t v)
{
    struct am_node *n = node_new(a, AM_NODE_INT);
    if (n)
        n->integer = v;
    return n;
}

struct am_node *am_new_f64(struct am_arena *a, double v)
{
    struct am_node *n = node_new(a, AM_NODE_REAL);
    if (n)
        n->real = v;
    return n;
}

struct am_node *am_new_str(struct am_arena *a, struct am_str v)
{
    struct am_node *n = v.ptr ? node_new(a, AM_NODE_TEXT) : am_new_null(a);
    if (n && v.ptr) {
        n->text = am_arena_str(a, v);
        if (!n->text.ptr)
            return NULL;
    }
    return n;
}

struct am_node *am_new_cstr(struct am_arena *a, const char *v) { return am_new_str(a, am_str(v)); }
struct am_node *am_new_list(struct am_arena *a) { return node_new(a, AM_NODE_LIST); }
struct am_node *am_new_map(struct am_arena *a) { return node_new(a, AM_NODE_MAP); }

/* Room for one more element of an arena-grown array. */
static bool grow(struct am_arena *a, void **items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t want = *cap ? *cap * 2 : 4;
    void *p = am_arena_array(a, want, size);
    if (!p)
        return false;
    if (n)
        memcpy(p, *items, n * size);
    *items = p;
    *cap = want;
    return true;
}

void am_node_push(struct am_arena *a, struct am_node *list, struct am_node *v)
{
    if (!list || !v)
        return;
    void *items = list->list.items;
    if (grow(a, &items, list->list.n, &list->list.cap, sizeof *list->list.items)) {
        list->list.items = items;
        list->list.items[list->list.n++] = v;
    }
}

static void set_pair(struct am_arena *a, struct am_node *map, struct am_str key, struct am_node *v)
{
    if (!map || !v || !key.ptr)
        return;
    for (size_t i = 0; i < map->map.n; i++)
        if (am_str_eq(map->map.pairs[i].key, key)) {
            map->map.pairs[i].value = v;
            return;
        }
    void *pairs = map->map.pairs;
    if (grow(a, &pairs, map->map.n, &map->map.cap, sizeof *map->map.pairs)) {
        map->map.pairs = pairs;
        map->map.pairs[map->map.n++] = (struct am_pair){.key = key, .value = v};
    }
}

void am_node_set(struct am_arena *a, struct am_node *map, const char *key, struct am_node *v)
{
    set_pair(a, map, am_str(key), v);
}

void am_node_set_str(struct am_arena *a, struct am_node *map, struct am_str key, struct am_node *v)
{
    set_pair(a, map, am_arena_str(a, key), v);
}

struct am_node *am_node_copy(struct am_arena *a, const struct am_node *n)
{
    struct am_node *c = n ? am_arena_alloc(a, sizeof *c) : NULL;
    if (!c)
        return NULL;
    *c = *n;
    if (n->kind == AM_NODE_TEXT) {
        c->text = am_arena_str(a, n->text);
    } else if (n->kind == AM_NODE_LIST) {
        c->list.items = am_arena_array(a, n->list.n + 1, sizeof *c->list.items);
        c->list.cap = c->list.items ? n->list.n + 1 : 0;
        c->list.n = 0;
        for (size_t i = 0; c->list.items && i < n->list.n; i++)
            am_node_push(a, c, am_node_copy(a, n->list.items[i]));
    } else if (n->kind == AM_NODE_MAP) {
        c->map.pairs = am_arena_array(a, n->map.n + 1, sizeof *c->map.pairs);
        c->map.cap = c->map.pairs ? n->map.n + 1 : 0;
        c->map.n = 0;
        for (size_t i = 0; c->map.pairs && i < n->map.n; i++) {
            struct am_pair p = n->map.pairs[i];
            p.key = am_arena_str(a, p.key);
            p.value = am_node_copy(a, p.value);
            if (p.key.ptr && p.value)
                c->map.pairs[c->map.n++] = p;
        }
    }
    return c;
}

/* ---- JSON out ---- */

void am_json_quote(struct am_buf *out, struct am_str s)
{
    size_t from = 0;
    am_buf_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        am_buf_add(out, s.ptr + from, i - from);
        from = i + 1;
        switch (c) {
        case '"':
            am_buf_cstr(out, "\\\"");
            break;
        case '\\':
            am_buf_cstr(out, "\\\\");
            break;
        case '\n':
            am_buf_cstr(out, "\\n");
            break;
        case '\r':
            am_buf_cstr(out, "\\r");
            break;
        case '\t':
            am_buf_cstr(out, "\\t");
            break;
        default:
            am_buf_printf(out, "\\u%04x", c);
        }
    }
    am_buf_add(out, s.ptr + from, s.len - from);
    am_buf_char(out, '"');
}

static void put_real(struct am_buf *out, double v)
{
    char text[AM_DOUBLE_CHARS];
    size_t n = am_print_double(v, text);
    am_buf_add(out, text, n);
    if (!memchr(text, '.', n) && !memchr(text, 'e', n)) /* stays a real when read again */
        am_buf_cstr(out, ".0");
}

/* A scalar of plain YAML text as the JSON value that it stands for. */
static void put_scalar(const struct am_node *n, struct am_buf *out)
{
    int64_t i;
    double d;
    bool b;
    if (am_node_is_null(n) || (n->kind == AM_NODE_REAL && !isfinite(n->real)))
        am_buf_cstr(out, "null");
    else if (n->kind == AM_NODE_TEXT && !n->plain)
        am_json_quote(out, n->text);
    else if (am_node_as_bool(n, &b))
        am_buf_cstr(out, b ? "true" : "false");
    else if (n->kind != AM_NODE_REAL && am_node_as_i64(n, &i))
        am_buf_printf(out, "%lld", (long long)i);
    else if (am_node_as_f64(n, &d))
        put_real(out, d);
    else
        am_json_quote(out, n->text);
}

static void newline(struct am_buf *out, enum am_json_style style, unsigned depth)
{
    if (style == AM_JSON_PRETTY)
        am_buf_printf(out, "\n%*s", (int)(2 * depth), "");
}

static void put_json(const struct am_node *n, enum am_json_style style, unsigned depth, struct am_buf *out)
{
    bool list = n && n->kind == AM_NODE_LIST;
    if (!list && !(n && n->kind == AM_NODE_MAP)) {
        put_scalar(n, out);
        return;
    }
    size_t count = list ? n->list.n : n->map.n;
    am_buf_char(out, list ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            am_buf_cstr(out, ",");
        newline(out, style, depth + 1);
        if (!list) {
            am_json_quote(out, n->map.pairs[i].key);
            am_buf_cstr(out, style == AM_JSON_PRETTY ? ": " : ":");
        }
        put_json(list ? n->list.items[i] : n->map.pairs[i].value, style, depth + 1, out);
    }
    if (count)
        newline(out, style, depth);
    am_buf_char(out, list ? ']' : '}');
}

void am_node_to_json(const struct am_node *n, enum am_json_style style, struct am_buf *out)
{
    put_json(n, style, 0, out);
}

/* ---- YAML out ---- */

/* May the text stand unquoted and still be the same text? */
static bool plain_safe(struct am_str s)
{
    double d;
    if (s.len == 0 || s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ' || !am_utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '/' || (unsigned char)c >= 0x80 || (i && (c == '.' || c == '-' || c == ' ' || c == '+'));
        if (!ok && !(c == '.' && s.len > 1))
            return false;
    }
    return !am_parse_double(s, AM_NUM_SPECIAL, &d) && !am_str_is(s, "true") && !am_str_is(s, "false") &&
           !am_str_is(s, "null") && !am_str_is(s, "yes") && !am_str_is(s, "no") && !am_str_is(s, "on") &&
           !am_str_is(s, "off");
}

static void put_yaml_text(struct am_str s, struct am_buf *out)
{
    if (plain_safe(s))
        am_buf_str(out, s);
    else
        am_json_quote(out, s); /* a JSON string is a YAML double-quoted scalar */
}

static bool short_list(const struct am_node *n)
{
    for (size_t i = 0; i < n->list.n; i++)
        if (n->list.items[i]->kind == AM_NODE_LIST || n->list.items[i]->kind == AM_NODE_MAP)
            return false;
    return true;
}

static void put_yaml_scalar(const struct am_node *n, struct am_buf *out)
{
    if (n->kind == AM_NODE_TEXT && !n->plain)
        put_yaml_text(n->text, out);
    else if (n->kind == AM_NODE_TEXT && n->text.len)
        am_buf_str(out, n->text); /* as it was written */
    else
        put_scalar(n, out);
}

static void put_yaml(const struct am_node *n, unsigned depth, struct am_buf *out)
{
    if (n->kind == AM_NODE_LIST && short_list(n)) {
        am_buf_cstr(out, " [");
        for (size_t i = 0; i < n->list.n; i++) {
            const struct am_node *v = n->list.items[i];
            am_buf_cstr(out, i ? ", " : "");
            if (v->kind == AM_NODE_TEXT && !(v->plain && plain_safe(v->text)) &&
                !(v->plain && am_node_is_null(v)) && !v->plain)
                put_yaml_text(v->text, out);
            else
                put_yaml_scalar(v, out);
        }
        am_buf_cstr(out, "]\n");
    } else if (n->kind == AM_NODE_LIST) {
        am_buf_char(out, '\n');
        for (size_t i = 0; i < n->list.n; i++) {
            am_buf_printf(out, "%*s- ", (int)(2 * depth), "");
            am_node_to_json(n->list.items[i], AM_JSON_COMPACT, out); /* nested: flow style */
            am_buf_char(out, '\n');
        }
    } else if (n->kind == AM_NODE_MAP && n->map.n) {
        if (depth)
            am_buf_char(out, '\n');
        for (size_t i = 0; i < n->map.n; i++) {
            am_buf_printf(out, "%*s", (int)(2 * depth), "");
            put_yaml_text(n->map.pairs[i].key, out);
            am_buf_char(out, ':');
            put_yaml(n->map.pairs[i].value, depth + 1, out);
        }
    } else if (n->kind == AM_NODE_MAP) {
        am_buf_cstr(out, " {}\n");
    } else {
        am_buf_char(out, ' ');
        put_yaml_scalar(n, out);
        am_buf_char(out, '\n');
    }
}

void am_node_to_yaml(const struct am_node *n, struct am_buf *out)
{
    if (n)
        put_yaml(n, 0, out);
}
