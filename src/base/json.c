/* JSON in, through jansson; our own walk over the text gives every node its line and column.
 *
 * jansson recurses, so depth is bounded before it sees the text; the number of values is, too,
 * since its trees cost more than the text. Numbers outside int64 (written without point or
 * exponent) or outside double are errors. jansson's memory comes from am_alloc, so that tests reach
 * its failures. Any thread. */
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/tree.h"

/* jansson's scanner does not look whether a byte could be appended to the token and reads past the
 * end of one that lost its closing quote. So the first allocation that fails gets a spare block,
 * made before the parse, and the text ends for jansson at its next byte: a premature end, which it
 * handles. */
struct spare {
    char *ptr; /* owned by am_json_parse */
    size_t n_bytes;
    bool used;
    bool out_of_memory;
};
static _Thread_local struct spare spare;

static void *json_alloc(size_t n)
{
    void *p = am_alloc(n);
    if (p)
        return p;
    spare.out_of_memory = true;
    if (spare.used || n > spare.n_bytes)
        return NULL;
    spare.used = true;
    return spare.ptr;
}

static void json_release(void *p)
{
    if (p && p == spare.ptr) /* not used again: the parse is over */
        return;
    am_free(p);
}

/* One byte a call: jansson must not have the next one when memory is out. */
static size_t next_byte(void *buf, size_t n, void *arg)
{
    struct am_str *rest = arg;
    if (n == 0 || rest->len == 0 || spare.out_of_memory)
        return 0;
    *(char *)buf = *rest->ptr;
    rest->ptr++;
    rest->len--;
    return 1;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void set_memory(void)
{
    json_set_alloc_funcs(json_alloc, json_release);
}

static enum am_rc load_text(struct am_str text, json_t **out, json_error_t *e, struct am_err *err)
{
    size_t n = 2 * text.len + 64; /* what the longest token can grow to; text.len is limited */
    struct am_str rest = text;
    (void)pthread_once(&once, set_memory);
    spare = (struct spare){.ptr = am_alloc(n), .n_bytes = n};
    if (!spare.ptr)
        return am_fail_nomem(err, n);
    *out = json_load_callback(next_byte, &rest,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, e);
    if (*out && spare.out_of_memory) { /* it may hold the spare block */
        json_decref(*out);
        *out = NULL;
    }
    am_free(spare.ptr);
    spare.ptr = NULL;
    spare.n_bytes = 0;
    return AM_OK;
}

/* ---- where we are in the text ---- */

struct cursor {
    const char *p, *end;
    uint32_t line, column; /* of p; columns count characters */
};

static void step(struct cursor *c)
{
    unsigned char b = (unsigned char)*c->p++;
    if (b == '\n') {
        c->line++;
        c->column = 1;
    } else if ((b & 0xC0) != 0x80) {
        c->column++;
    }
}

/* For text that is known to be JSON: commas and colons only separate. */
static void skip_between(struct cursor *c)
{
    while (c->p < c->end && strchr(" \t\r\n,:", *c->p) && *c->p)
        step(c);
}

static void skip_scalar(struct cursor *c)
{
    if (c->p < c->end && *c->p == '"') {
        step(c);
        while (c->p < c->end && *c->p != '"') {
            if (*c->p == '\\')
                step(c);
            if (c->p < c->end)
                step(c);
        }
        if (c->p < c->end)
            step(c);
        return;
    }
    while (c->p < c->end && *c->p && !strchr(" \t\r\n,]}", *c->p))
        step(c);
}

static enum am_rc over(const struct cursor *c, const char *what, const char *why, size_t limit,
                       struct am_err *err)
{
    return am_fail(err, AM_ELIMIT, "%s, line %u, column %u: %s, at most %zu allowed", what, c->line,
                   c->column, am_tr(why), limit);
}

/* Depth and number of values, before anything recurses or allocates. Outside strings a comma or an
 * opening bracket stands for each value but the first. */
static enum am_rc check_size(struct am_str text, const char *what, struct am_err *err)
{
    struct cursor c = {text.ptr, text.ptr + text.len, 1, 1};
    size_t depth = 0, values = 1;
    while (c.p < c.end) {
        char b = *c.p;
        if (b == '"') {
            const char *from = c.p;
            struct cursor at = c;
            skip_scalar(&c);
            if ((size_t)(c.p - from) > AM_LIMIT_JSON_STRING_BYTES)
                return over(&at, what, "a text is too long", AM_LIMIT_JSON_STRING_BYTES, err);
            continue;
        }
        if (b == '[' || b == '{')
            depth++;
        else if ((b == ']' || b == '}') && depth)
            depth--;
        values += b == ',' || b == '[' || b == '{';
        if (depth > AM_LIMIT_JSON_DEPTH)
            return over(&c, what, "nested too deep", AM_LIMIT_JSON_DEPTH, err);
        if (values > AM_LIMIT_JSON_VALUES)
            return over(&c, what, "too many values", AM_LIMIT_JSON_VALUES, err);
        step(&c);
    }
    return AM_OK;
}

/* ---- jansson's tree into ours, in the order of the text ---- */

static struct am_node *convert(struct am_arena *a, struct cursor *c, json_t *j);

static struct am_node *convert_map(struct am_arena *a, struct cursor *c, json_t *j)
{
    struct am_node *m = am_new_map(a);
    step(c);
    for (void *it = json_object_iter(j); it && m; it = json_object_iter_next(j, it)) {
        skip_between(c);
        uint32_t line = c->line, column = c->column;
        skip_scalar(c);
        struct am_node *v = convert(a, c, json_object_iter_value(it));
        size_t n = m->map.n;
        struct am_str key = {json_object_iter_key(it), json_object_iter_key_len(it)};
        am_node_set_str(a, m, key, v);
        if (m->map.n == n)
            return NULL;
        m->map.pairs[n].line = line;
        m->map.pairs[n].column = column;
    }
    skip_between(c);
    step(c);
    return m;
}

static struct am_node *convert_list(struct am_arena *a, struct cursor *c, json_t *j)
{
    struct am_node *l = am_new_list(a);
    step(c);
    for (size_t i = 0, n = json_array_size(j); i < n && l; i++) {
        am_node_push(a, l, convert(a, c, json_array_get(j, i)));
        if (l->list.n == i)
            return NULL;
    }
    skip_between(c);
    step(c);
    return l;
}

static struct am_node *convert_scalar(struct am_arena *a, json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_STRING:
        return am_new_str(a, (struct am_str){json_string_value(j), json_string_length(j)});
    case JSON_INTEGER:
        return am_new_i64(a, (int64_t)json_integer_value(j));
    case JSON_REAL:
        return am_new_f64(a, json_real_value(j));
    case JSON_TRUE:
    case JSON_FALSE:
        return am_new_bool(a, json_is_true(j));
    default:
        return am_new_null(a);
    }
}

/* NULL: the arena failed. */
static struct am_node *convert(struct am_arena *a, struct cursor *c, json_t *j)
{
    skip_between(c);
    uint32_t line = c->line, column = c->column;
    struct am_node *n;
    if (json_is_object(j)) {
        n = convert_map(a, c, j);
    } else if (json_is_array(j)) {
        n = convert_list(a, c, j);
    } else {
        skip_scalar(c);
        n = convert_scalar(a, j);
    }
    if (n) {
        n->line = line;
        n->column = column;
    }
    return n;
}

/* The first map with too many keys, or NULL. */
static const json_t *crowded(const json_t *j)
{
    const json_t *found = NULL;
    if (json_is_array(j)) {
        for (size_t i = 0, n = json_array_size(j); i < n && !found; i++)
            found = crowded(json_array_get(j, i));
        return found;
    }
    if (!json_is_object(j))
        return NULL;
    if (json_object_size(j) > AM_LIMIT_JSON_KEYS)
        return j;
    json_t *o = json_incref((json_t *)(uintptr_t)j); /* the iterators take no const */
    for (void *it = json_object_iter(o); it && !found; it = json_object_iter_next(o, it))
        found = crowded(json_object_iter_value(it));
    json_decref(o);
    return found;
}

static enum am_rc syntax_error(const json_error_t *e, size_t n, const char *what,
                               struct am_err *err)
{
    if (spare.out_of_memory || json_error_code(e) == json_error_out_of_memory)
        return am_fail_nomem(err, n);
    return am_fail(err, AM_EINVAL, "%s, line %d, column %d: not valid json: %s", what,
                   e->line > 0 ? e->line : 1, e->column > 0 ? e->column : 1, e->text);
}

enum am_rc am_json_parse(struct am_arena *a, struct am_str text, const char *what,
                         struct am_node **out, struct am_err *err)
{
    if (!text.ptr)
        text = AM_STR("");
    if (text.len > AM_LIMIT_JSON_BYTES)
        return am_fail(err, AM_ELIMIT, "%s has %zu bytes, at most %zu allowed", what, text.len,
                       AM_LIMIT_JSON_BYTES);
    AM_TRY(check_size(text, what, err));
    json_error_t e;
    json_t *j = NULL;
    AM_TRY(load_text(text, &j, &e, err));
    if (!j)
        return syntax_error(&e, text.len, what, err);
    enum am_rc rc = AM_OK;
    struct am_node *root = NULL;
    if (crowded(j))
        rc = am_fail(err, AM_ELIMIT, "%s: a map has more than %d keys", what, AM_LIMIT_JSON_KEYS);
    else
        root = convert(a, &(struct cursor){text.ptr, text.ptr + text.len, 1, 1}, j);
    json_decref(j);
    if (rc == AM_OK)
        rc = am_arena_check(a, err);
    if (rc == AM_OK)
        *out = root;
    return rc;
}
