/* Trees printed as JSON or YAML.
 *
 * A number that was written stays a number when read again (whole reals keep ".0"), a text stays a
 * text. Trees nested deeper than MAX_DEPTH fail the buffer with AM_ELIMIT. One thread at a time. */
#include <math.h>

#include "base/limits.h"
#include "base/num.h"
#include "base/tree.h"

#define MAX_DEPTH (2 * AM_LIMIT_JSON_DEPTH)

/* ---- text ---- */

static uint32_t decode(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    switch (len) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    case 3:
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    default:
        return 0x10000; /* nothing there needs an escape */
    }
}

/* Controls, and what YAML takes for a line break or refuses. */
static bool needs_escape(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7F && c < 0xA0) || c == 0x2028 ||
           c == 0x2029 || c == 0xFEFF || c == 0xFFFE || c == 0xFFFF;
}

static void put_escape(struct am_buf *out, uint32_t c)
{
    static const char digits[] = "0123456789abcdef";
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *at = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (at) {
        am_buf_add(out, (char[]){'\\', to[at - from]}, 2);
        return;
    }
    am_buf_add(out,
               (char[]){'\\', 'u', digits[c >> 12 & 15], digits[c >> 8 & 15], digits[c >> 4 & 15],
                        digits[c & 15]},
               6);
}

void am_json_quote(struct am_buf *out, struct am_str s)
{
    size_t from = 0, i = 0;
    am_buf_char(out, '"');
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t len = am_utf8_char(s.ptr + i, s.len - i);
        uint32_t code = len ? decode(s.ptr + i, len) : 0;
        if (len && !needs_escape(code)) {
            i += len;
            continue;
        }
        am_buf_add(out, s.ptr + from, i - from);
        if (len)
            put_escape(out, code);
        else
            am_buf_cstr(out, "\xEF\xBF\xBD"); /* a broken byte becomes U+FFFD */
        i += len ? len : 1;
        from = i;
    }
    am_buf_add(out, s.ptr + from, s.len - from);
    am_buf_char(out, '"');
}

/* ---- scalars ---- */

static void put_real(struct am_buf *out, double v)
{
    char text[AM_DOUBLE_CHARS];
    size_t n = am_print_double(v, text);
    am_buf_add(out, text, n);
    if (!memchr(text, '.', n) && !memchr(text, 'e', n))
        am_buf_add(out, ".0", 2);
}

static void put_int(struct am_buf *out, int64_t v)
{
    am_buf_printf(out, "%lld", (long long)v);
}

/* Plain YAML text prints as the JSON value that it stands for. */
static void put_plain(const struct am_node *n, struct am_buf *out)
{
    bool b;
    int64_t i;
    double d;
    if (am_node_is_null(n))
        am_buf_cstr(out, "null");
    else if (am_node_as_bool(n, &b))
        am_buf_cstr(out, b ? "true" : "false");
    else if (!am_node_as_f64(n, &d))
        am_json_quote(out, n->text);
    else if (am_parse_i64(n->text, &i))
        put_int(out, i);
    else
        put_real(out, d);
}

static void put_scalar(const struct am_node *n, struct am_buf *out)
{
    if (!n || n->kind == AM_NODE_NULL || (n->kind == AM_NODE_REAL && !isfinite(n->real)))
        am_buf_cstr(out, "null");
    else if (n->kind == AM_NODE_BOOL)
        am_buf_cstr(out, n->boolean ? "true" : "false");
    else if (n->kind == AM_NODE_INT)
        put_int(out, n->integer);
    else if (n->kind == AM_NODE_REAL)
        put_real(out, n->real);
    else if (n->plain)
        put_plain(n, out);
    else
        am_json_quote(out, n->text);
}

static bool too_deep(struct am_buf *out, unsigned depth)
{
    if (depth <= MAX_DEPTH)
        return false;
    if (out->failed == AM_OK)
        out->failed = AM_ELIMIT;
    return true;
}

static void put_indent(struct am_buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        am_buf_add(out, "  ", 2);
}

/* ---- JSON ---- */

static void put_json(const struct am_node *n, enum am_json_style style, unsigned depth,
                     struct am_buf *out)
{
    bool list = n && n->kind == AM_NODE_LIST;
    if (!list && !(n && n->kind == AM_NODE_MAP)) {
        put_scalar(n, out);
        return;
    }
    if (too_deep(out, depth))
        return;
    size_t count = list ? n->list.n : n->map.n;
    am_buf_char(out, list ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            am_buf_char(out, ',');
        if (style == AM_JSON_PRETTY) {
            am_buf_char(out, '\n');
            put_indent(out, depth + 1);
        }
        if (!list) {
            am_json_quote(out, n->map.pairs[i].key);
            am_buf_cstr(out, style == AM_JSON_PRETTY ? ": " : ":");
        }
        put_json(list ? n->list.items[i] : n->map.pairs[i].value, style, depth + 1, out);
    }
    if (count && style == AM_JSON_PRETTY) {
        am_buf_char(out, '\n');
        put_indent(out, depth);
    }
    am_buf_char(out, list ? ']' : '}');
}

void am_node_to_json(const struct am_node *n, enum am_json_style style, struct am_buf *out)
{
    put_json(n, style, 0, out);
}

/* ---- YAML ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_reserved(struct am_str s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                        "off",  "y",    "n",     "nan", "inf"};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        size_t n = strlen(words[w]), i = 0;
        while (n == s.len && i < n && (s.ptr[i] | 0x20) == words[w][i])
            i++;
        if (n == s.len && i == n)
            return true;
    }
    return false;
}

/* May the text stand unquoted, and is it a text for every reader of YAML? */
static bool plain_safe(struct am_str s)
{
    if (s.len == 0 || s.len > 200 || s.ptr[s.len - 1] == ' ' ||
        !(is_letter(s.ptr[0]) || s.ptr[0] == '_' || s.ptr[0] == '/'))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && !strchr("_./-+ ", c))
            return false;
        if (c == '\0')
            return false;
    }
    return !is_reserved(s);
}

static void put_yaml_text(struct am_str s, struct am_buf *out)
{
    if (plain_safe(s))
        am_buf_str(out, s);
    else
        am_json_quote(out, s); /* a JSON string is a double-quoted YAML scalar */
}

static void put_yaml_scalar(const struct am_node *n, struct am_buf *out)
{
    double d;
    bool b;
    if (n->kind != AM_NODE_TEXT || am_node_is_null(n))
        put_scalar(n, out);
    else if (n->plain && (am_node_as_f64(n, &d) || am_node_as_bool(n, &b)))
        am_buf_str(out, n->text); /* as it was written */
    else
        put_yaml_text(n->text, out);
}

static bool is_scalar(const struct am_node *n)
{
    return n->kind != AM_NODE_LIST && n->kind != AM_NODE_MAP;
}

static bool only_scalars(const struct am_node *list)
{
    for (size_t i = 0; i < list->list.n; i++)
        if (!is_scalar(list->list.items[i]))
            return false;
    return true;
}

static void put_yaml(const struct am_node *n, unsigned depth, struct am_buf *out);

/* The pairs at this depth; the first one goes on the line that was begun when there is one. */
static void put_yaml_map(const struct am_node *m, unsigned depth, const char *begun,
                         struct am_buf *out)
{
    for (size_t i = 0; i < m->map.n; i++) {
        const struct am_pair *p = &m->map.pairs[i];
        if (i || !begun)
            put_indent(out, depth);
        if (p->key.len > 128) { /* YAML wants short keys, or this form */
            am_buf_cstr(out, "? ");
            put_yaml_text(p->key, out);
            am_buf_char(out, '\n');
            put_indent(out, depth);
        } else {
            put_yaml_text(p->key, out);
        }
        am_buf_char(out, ':');
        put_yaml(p->value, depth + 1, out);
    }
}

static void put_yaml_list(const struct am_node *n, unsigned depth, struct am_buf *out)
{
    if (only_scalars(n)) {
        am_buf_cstr(out, " [");
        for (size_t i = 0; i < n->list.n; i++) {
            am_buf_cstr(out, i ? ", " : "");
            put_yaml_scalar(n->list.items[i], out);
        }
        am_buf_cstr(out, "]\n");
        return;
    }
    am_buf_char(out, '\n');
    for (size_t i = 0; i < n->list.n; i++) {
        const struct am_node *item = n->list.items[i];
        put_indent(out, depth);
        am_buf_char(out, '-');
        if (item->kind == AM_NODE_MAP && item->map.n && !too_deep(out, depth + 1)) {
            am_buf_char(out, ' ');
            put_yaml_map(item, depth + 1, "-", out);
        } else {
            put_yaml(item, depth + 1, out);
        }
    }
}

/* A value behind "key:" or "-", with its line end. */
static void put_yaml(const struct am_node *n, unsigned depth, struct am_buf *out)
{
    if (too_deep(out, depth))
        return;
    if (n->kind == AM_NODE_LIST) {
        put_yaml_list(n, depth, out);
    } else if (n->kind == AM_NODE_MAP && n->map.n) {
        am_buf_char(out, '\n');
        put_yaml_map(n, depth, NULL, out);
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
    if (!n)
        return;
    if (n->kind == AM_NODE_MAP && n->map.n) {
        put_yaml_map(n, 0, NULL, out);
    } else if (n->kind == AM_NODE_LIST && !only_scalars(n)) {
        am_buf_cstr(out, "---");
        put_yaml_list(n, 0, out);
    } else {
        am_buf_cstr(out, "---");
        put_yaml(n, 0, out);
    }
}
