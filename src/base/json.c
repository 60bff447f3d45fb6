/* JSON in, through jansson: duplicate keys refused, depth bounded before jansson sees the text, numbers that
 * fit no double refused. jansson allocates through am_alloc. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/tree.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void hook(void) { json_set_alloc_funcs(am_alloc, am_free); }

struct place {
    uint32_t line, column;
};

static struct place place_of(struct am_str text, size_t at)
{
    struct place p = {1, 1};
    for (size_t i = 0; i < at && i < text.len; i++) {
        if (text.ptr[i] == '\n')
            p = (struct place){p.line + 1, 1};
        else
            p.column++;
    }
    return p;
}

/* Brackets outside strings, at most the limit deep. */
static enum am_rc check_depth(struct am_str text, const char *what, struct am_err *err)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > AM_LIMIT_JSON_DEPTH) {
                struct place p = place_of(text, i);
                return am_fail(err, AM_ELIMIT, "%s, line %u, column %u: nested more than %d deep", what,
                               p.line, p.column, AM_LIMIT_JSON_DEPTH);
            }
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return AM_OK;
}

static struct am_node *convert(struct am_arena *a, const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT: {
        struct am_node *m = am_new_map(a);
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)(uintptr_t)j, key, v)
            am_node_set_str(a, m, am_str(key), convert(a, v));
        return m;
    }
    case JSON_ARRAY: {
        struct am_node *l = am_new_list(a);
        for (size_t i = 0; i < json_array_size(j); i++)
            am_node_push(a, l, convert(a, json_array_get(j, i)));
        return l;
    }
    case JSON_STRING:
        return am_new_str(a, (struct am_str){json_string_value(j), json_string_length(j)});
    case JSON_INTEGER:
        return am_new_i64(a, (int64_t)json_integer_value(j));
    case JSON_REAL:
        return am_new_f64(a, json_real_value(j));
    case JSON_NULL:
        return am_new_null(a);
    default:
        return am_new_bool(a, json_is_true(j));
    }
}

enum am_rc am_json_parse(struct am_arena *a, struct am_str text, const char *what, struct am_node **out,
                         struct am_err *err)
{
    json_error_t e;
    pthread_once(&once, hook);
    if (text.len > AM_LIMIT_JSON_BYTES)
        return am_fail(err, AM_ELIMIT, "%s has %zu bytes, at most %zu allowed", what, text.len,
                       (size_t)AM_LIMIT_JSON_BYTES);
    AM_TRY(check_depth(text, what, err));
    json_t *j = json_loadb(text.ptr ? text.ptr : "", text.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!j) {
        if (json_error_code(&e) == json_error_out_of_memory)
            return am_fail_nomem(err, text.len);
        am_fail(err, AM_EINVAL, "%s, line %d, column %d: not valid JSON: %s", what, e.line, e.column, e.text);
        return AM_EINVAL;
    }
    *out = convert(a, j);
    json_decref(j);
    return am_arena_check(a, err);
}
