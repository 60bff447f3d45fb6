/* YAML in, through libyaml's events: one document, no anchors, aliases, tags, directives, merge
 * keys or duplicate keys; an explicit stack, so depth is bounded. Scalars stay text.
 *
 * libyaml keeps its own memory (it has no hook); its failures come out as AM_ENOMEM. Any thread. */
#include <yaml.h>

#include "base/limits.h"
#include "base/tree.h"

struct frame {
    struct am_node *node;
    struct am_str key; /* waits for its value; ptr NULL = none does */
    uint32_t key_line, key_column;
};

struct reader {
    struct am_arena *a;
    const char *what;
    struct am_err *err;
    yaml_parser_t parser;
    struct frame stack[AM_LIMIT_JSON_DEPTH];
    size_t depth;
    struct am_node *root;
};

static enum am_rc refuse(struct reader *r, yaml_mark_t m, enum am_rc rc, const char *why,
                         const char *hint)
{
    (void)am_fail(r->err, rc, "%s, line %zu, column %zu: %s", r->what, m.line + 1, m.column + 1,
                  am_tr(why));
    if (hint)
        (void)am_hint(r->err, "%s", am_tr(hint));
    return rc;
}

static enum am_rc take_key(struct reader *r, struct frame *f, const struct am_node *n,
                           yaml_mark_t m)
{
    if (n->plain && n->text.len == 0)
        return refuse(r, m, AM_EINVAL, "a key is missing", NULL);
    if (n->plain && am_str_is(n->text, "<<"))
        return refuse(r, m, AM_EINVAL, "merge keys are not allowed", "Write the keys out.");
    if (am_node_get_str(f->node, n->text)) {
        (void)am_fail(r->err, AM_EINVAL, "%s, line %zu, column %zu: key \"%.*s\" stands twice",
                      r->what, m.line + 1, m.column + 1, AM_FMT(n->text));
        (void)am_hint(r->err, "Keep one of them.");
        return AM_EINVAL;
    }
    if (f->node->map.n >= AM_LIMIT_JSON_KEYS)
        return refuse(r, m, AM_ELIMIT, "too many keys", NULL);
    f->key = n->text;
    f->key_line = n->line;
    f->key_column = n->column;
    return AM_OK;
}

static bool wants_key(const struct frame *f)
{
    return f->node->kind == AM_NODE_MAP && !f->key.ptr;
}

/* A finished scalar or an opened list or map goes where it belongs. */
static enum am_rc place(struct reader *r, struct am_node *n, yaml_mark_t m)
{
    if (!n)
        return am_arena_check(r->a, r->err);
    n->line = (uint32_t)m.line + 1;
    n->column = (uint32_t)m.column + 1;
    if (r->depth == 0) {
        r->root = n;
        return AM_OK;
    }
    struct frame *f = &r->stack[r->depth - 1];
    if (wants_key(f))
        return n->kind == AM_NODE_TEXT ? take_key(r, f, n, m)
                                       : refuse(r, m, AM_EINVAL, "a key must be a text", NULL);
    if (f->node->kind == AM_NODE_LIST) {
        am_node_push(r->a, f->node, n);
        return am_arena_check(r->a, r->err);
    }
    am_node_set_str(r->a, f->node, f->key, n);
    AM_TRY(am_arena_check(r->a, r->err));
    struct am_pair *p = &f->node->map.pairs[f->node->map.n - 1];
    p->line = f->key_line;
    p->column = f->key_column;
    f->key.ptr = NULL;
    return AM_OK;
}

static enum am_rc open_node(struct reader *r, struct am_node *n, yaml_mark_t m)
{
    if (r->depth == AM_LIMIT_JSON_DEPTH)
        return refuse(r, m, AM_ELIMIT, "nested too deep", NULL);
    AM_TRY(place(r, n, m));
    r->stack[r->depth++] = (struct frame){.node = n};
    return AM_OK;
}

static enum am_rc check_properties(struct reader *r, const yaml_char_t *anchor,
                                   const yaml_char_t *tag, yaml_mark_t m)
{
    if (anchor)
        return refuse(r, m, AM_EINVAL, "anchors are not allowed", "Write the value out.");
    if (tag)
        return refuse(r, m, AM_EINVAL, "tags are not allowed", "Remove the tag.");
    return AM_OK;
}

static enum am_rc take_scalar(struct reader *r, const yaml_event_t *e)
{
    struct am_str s = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (s.len > AM_LIMIT_JSON_STRING_BYTES)
        return refuse(r, e->start_mark, AM_ELIMIT, "a text is too long", NULL);
    if (memchr(s.ptr, '\0', s.len))
        return refuse(r, e->start_mark, AM_EINVAL, "a text holds a NUL character", NULL);
    struct am_node *n = am_new_str(r->a, s);
    if (n)
        n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return place(r, n, e->start_mark);
}

static enum am_rc start_document(struct reader *r, const yaml_event_t *e)
{
    if (r->root)
        return refuse(r, e->start_mark, AM_EINVAL, "a second document begins",
                      "One file holds one document.");
    if (e->data.document_start.version_directive ||
        e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return refuse(r, e->start_mark, AM_EINVAL, "directives are not allowed",
                      "Remove the lines that begin with %.");
    return AM_OK;
}

static enum am_rc handle(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return start_document(r, e);
    case YAML_ALIAS_EVENT:
        return refuse(r, e->start_mark, AM_EINVAL, "aliases are not allowed",
                      "Write the value out.");
    case YAML_SCALAR_EVENT:
        AM_TRY(check_properties(r, e->data.scalar.anchor, e->data.scalar.tag, e->start_mark));
        return take_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        AM_TRY(check_properties(r, e->data.sequence_start.anchor, e->data.sequence_start.tag,
                                e->start_mark));
        return open_node(r, am_new_list(r->a), e->start_mark);
    case YAML_MAPPING_START_EVENT:
        AM_TRY(check_properties(r, e->data.mapping_start.anchor, e->data.mapping_start.tag,
                                e->start_mark));
        return open_node(r, am_new_map(r->a), e->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return AM_OK;
    default:
        return AM_OK;
    }
}

static enum am_rc parser_error(const struct reader *r, struct am_str text)
{
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t m = p->problem_mark;
    if (p->error == YAML_MEMORY_ERROR)
        return am_fail_nomem(r->err, text.len);
    if (p->error == YAML_READER_ERROR) { /* it knows the byte only */
        m = (yaml_mark_t){0};
        for (size_t i = 0; i < p->problem_offset && i < text.len; i++) {
            bool next = text.ptr[i] == '\n';
            m.line += next;
            m.column = next ? 0 : m.column + (((unsigned char)text.ptr[i] & 0xC0) != 0x80);
        }
    }
    return am_fail(r->err, AM_EINVAL, "%s, line %zu, column %zu: not valid yaml: %s%s%s", r->what,
                   m.line + 1, m.column + 1, p->problem ? p->problem : "?", p->context ? ", " : "",
                   p->context ? p->context : "");
}

static enum am_rc read_events(struct reader *r, struct am_str text)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e))
            return parser_error(r, text);
        bool end = e.type == YAML_STREAM_END_EVENT;
        enum am_rc rc = handle(r, &e);
        yaml_event_delete(&e);
        if (rc != AM_OK || end)
            return rc;
    }
}

/* JSON may write a character as two surrogates, which libyaml does not know. */
static bool is_json_after_all(struct am_arena *a, struct am_str text, const char *what,
                              struct am_node **out)
{
    struct am_str s = am_str_trim(text);
    return s.len && s.ptr[0] == '{' && am_json_parse(a, text, what, out, NULL) == AM_OK;
}

enum am_rc am_yaml_parse(struct am_arena *a, struct am_str text, const char *what,
                         struct am_node **out, struct am_err *err)
{
    struct reader r = {.a = a, .what = what, .err = err};
    if (!text.ptr)
        text = AM_STR("");
    if (text.len > AM_LIMIT_RECIPE_BYTES)
        return am_fail(err, AM_ELIMIT, "%s has %zu bytes, at most %zu allowed", what, text.len,
                       AM_LIMIT_RECIPE_BYTES);
    if (!yaml_parser_initialize(&r.parser))
        return am_fail_nomem(err, sizeof r.parser);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.ptr, text.len);
    enum am_rc rc = read_events(&r, text);
    bool syntax = r.parser.error != YAML_NO_ERROR;
    yaml_parser_delete(&r.parser);
    if (rc == AM_EINVAL && syntax && is_json_after_all(a, text, what, &r.root)) {
        am_err_clear(err);
        rc = AM_OK;
    }
    if (rc == AM_OK && !r.root) /* nothing but comments */
        r.root = am_new_null(a);
    if (rc == AM_OK)
        rc = am_arena_check(a, err);
    if (rc == AM_OK)
        *out = r.root;
    return rc;
}
